"""Asks the directories by running `accord-api`, which knows them and has their secrets."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Collection

from reconciler.run.errors import Misconfigured


def missing_groups(names: Collection[str]) -> set[str]:
    """Return the groups that no configured directory has. Raises Misconfigured if the directories cannot be asked."""
    asked = sorted(name for name in names if "\n" not in name)
    # -P: the current folder may be the one being checked, with an `api` of its own
    command = [sys.executable, "-P", "-X", "utf8", "-m", "api", "directory", "resolve", "--format", "json"]
    ended = subprocess.run(command, input="\n".join(asked), capture_output=True, text=True, encoding="utf-8", check=False)
    try:
        found = json.loads(ended.stdout) if ended.returncode in (0, 1) else None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        said = ended.stderr.strip().removeprefix("accord-api: ") or "accord-api did not answer"
        raise Misconfigured(f"cannot ask the directories: {said}")
    return {name for name in names if found.get(name) is None}
