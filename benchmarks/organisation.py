"""Apply a history, commit by commit, and compare what follows from each with an expectation worked out elsewhere.

    python -m benchmarks.organisation BUNDLE EXPECTED.jsonl --database sqlite:////tmp/organisation.db

EXPECTED has one JSON object a commit, oldest first: users, teams, issuers, access. Guards are overridden where history trips
them; how often is printed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from reconciler.access.state import all_access
from reconciler.plan.actual import access_state
from reconciler.plan.guards import GUARDS
from reconciler.plan.objections import Override
from reconciler.run.applying import Order, apply_revision
from reconciler.run.deployment import Deployment
from reconciler.run.inputs import reading
from reconciler.store.read import read_actual


def main() -> None:
    """Apply everything; exit with 1 where anything differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("expected", type=Path)
    parser.add_argument("--database", required=True)
    arguments = parser.parse_args()
    expected = [json.loads(line) for line in arguments.expected.read_text().splitlines()]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        repository = folder / "config.git"
        subprocess.run(["git", "clone", "-q", "--bare", str(arguments.bundle), str(repository)], check=True)
        log = subprocess.run(
            ["git", "-C", str(repository), "rev-list", "--reverse", "main"], capture_output=True, check=True, text=True
        )
        commits = log.stdout.split()
        if len(commits) != len(expected):
            sys.exit(f"{len(commits)} commits, but {len(expected)} expectations")
        deployment = Deployment(str(repository), "main", "", arguments.database, folder / "cache")
        sys.exit(1 if replay(deployment, commits, expected) else 0)


def replay(deployment: Deployment, commits: list[str], expected: list[dict[str, int]]) -> int:
    """Apply each commit and compare; returns how many differ."""
    began, tripped, wrong = time.perf_counter(), Counter[str](), 0
    overrides = [Override(guard, "history") for guard in GUARDS]
    for number, (commit, wanted) in enumerate(zip(commits, expected, strict=True), 1):
        outcome = apply_revision(
            deployment, Order(commit, overrides=overrides), applied_by="replay", clock=lambda: datetime.now(UTC)
        )
        tripped.update(guard.id for guard in outcome.plan.guards if guard.verdict == "overridden")
        with reading(deployment) as connection:
            actual = read_actual(connection, now=datetime.now(UTC))
        declared = actual.declared
        access = sum(1 for _ in all_access(access_state(actual.declared, actual.runtime), datetime.now(UTC)))
        found = {"users": len(declared.users), "teams": len(declared.teams), "issuers": len(declared.issuers), "access": access}
        if found != {key: wanted[key] for key in found}:
            wrong += 1
            print(f"commit {number} {commit[:12]}: found {found}, expected {wanted}")
    seconds = time.perf_counter() - began
    print(f"{len(commits)} commits in {seconds:.1f} s, {wrong} differ; guards overridden: {dict(tripped) or 'none'}")
    return wrong


if __name__ == "__main__":
    main()
