"""The deployment's settings: a command's options, `ACCORD_*` variables, and the TOML file that ACCORD_CONFIG names."""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from reconciler.run.errors import Misconfigured
from reconciler.settings import DATABASE_URL, BadSettings, read_sources

DEFAULTS = {"repository": ".", "branch": "main", "path": "", "database_url": DATABASE_URL}


class Deployment(NamedTuple):
    """Where everything is. `path` is the folder in the config repository that contains the resources; empty means the root."""

    repository: str
    branch: str
    path: str
    database_url: str
    cache: Path


def read_deployment(options: Mapping[str, str | None], environment: Mapping[str, str] | None = None) -> Deployment:
    """Read the settings: an option takes precedence over its environment variable, then come the TOML file and the default.

    Raises Misconfigured if the TOML file cannot be read or has an unknown key.
    """
    try:
        sources = read_sources(options, environment)
    except BadSettings as error:
        raise Misconfigured(str(error)) from None
    found = {name: sources.text(name, default) for name, default in DEFAULTS.items()}
    cache = sources.text("cache", "") or Path(sources.environment.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "accord"
    path = found["path"].strip("/")
    if ".." in Path(path).parts or "\0" in path:
        raise Misconfigured(f"the path `{path}` leads out of the config repository")
    return Deployment(found["repository"], found["branch"], "" if path == "." else path, found["database_url"], Path(cache))


def current_user(environment: Mapping[str, str] | None = None) -> str:
    """Return who applies, for the record: ACCORD_APPLIED_BY, the user that CI names, or the login name."""
    env = os.environ if environment is None else environment
    for name in ("ACCORD_APPLIED_BY", "GITHUB_ACTOR", "GITLAB_USER_LOGIN"):
        if env.get(name):
            return env[name].encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
