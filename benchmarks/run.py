"""`make bench`: Accord on generated config repositories, against the same bytes through PyYAML's C loader."""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.generate import commit, make_repository, user_file
from benchmarks.processes import free_port, resident, running, settle

_LIMIT = """
import subprocess, sys, time, yaml
repo = sys.argv[1]
git = ["git", "-C", repo]
listing = subprocess.run([*git, "ls-tree", "-r", "--format=%(objectname)", "main"], capture_output=True, check=True).stdout
batch = subprocess.run([*git, "cat-file", "--batch"], input=listing, capture_output=True, check=True).stdout
documents, at = [], 0
while at < len(batch):
    end = batch.index(b"\\n", at)
    size = int(batch[at:end].split()[2])
    documents.append(batch[end + 1:end + 1 + size])
    at = end + size + 2
began = time.perf_counter()
for document in documents:
    yaml.load(document, Loader=yaml.CSafeLoader)
print(time.perf_counter() - began)
"""


class Measured(NamedTuple):
    """Wall time in seconds of a whole process, and the peak resident memory of it and its children in MiB."""

    seconds: float
    mebibytes: float


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--database", help="a PostgreSQL URL of an empty database for the largest size, instead of SQLite")
    arguments = parser.parse_args()
    print(f"{'users':>8} {'step':<28} {'seconds':>8} {'of limit':>9} {'of cold':>8} {'peak MiB':>9}")
    for users in arguments.users:
        with tempfile.TemporaryDirectory() as folder:
            measure(Path(folder), users, arguments.database)


def measure(folder: Path, users: int, database: str | None) -> None:
    """All steps for one size."""
    repository = make_repository(folder / "config.git", users)
    limit = float(subprocess.run([sys.executable, "-c", _LIMIT, str(repository)], capture_output=True, check=True).stdout)
    environment = {
        **os.environ,
        "ACCORD_REPOSITORY": str(repository),
        "ACCORD_DATABASE_URL": database or f"sqlite:///{folder}/accord.db",
        "ACCORD_CACHE": str(folder / "cache"),
        "ACCORD_MAIL": "off",
    }
    accord = [sys.executable, "-m", "reconciler.cli"]

    def step(*arguments: str) -> Measured:
        return timed([*accord, *arguments], environment)

    validate = step("validate", "--rev", "main")
    apply = step("apply", "--yes")
    cold = validate.seconds + apply.seconds
    no_op = step("plan")
    row(users, "limit: PyYAML C loader", Measured(limit, 0), limit, cold)
    row(users, "cold validate", validate, limit, cold)
    row(users, "cold apply", apply, limit, cold)
    row(users, "cold validate + apply", Measured(cold, max(validate.mebibytes, apply.mebibytes)), limit, cold)
    row(users, "no-op plan, drift check", no_op, limit, cold)
    commit(repository, [user_file(7, random.Random(1), full_name="Somebody Else")], "One file")
    row(users, "one-file change: plan", step("plan"), limit, cold)
    row(users, "one-file change: plan+apply", step("apply", "--yes"), limit, cold)
    row(users, "warm validate", step("validate", "--rev", "main"), limit, cold)
    row(users, "API, until it is ready", started(environment), limit, cold)


def row(users: int, name: str, measured: Measured, limit: float, cold: float) -> None:
    """One line of the table."""
    peak = f"{measured.mebibytes:9.0f}" if measured.mebibytes else " " * 9
    print(
        f"{users:8,} {name:<28} {measured.seconds:8.2f} {measured.seconds / limit:8.2f}x {measured.seconds / cold:7.1%} {peak}",
        flush=True,
    )


def started(environment: dict[str, str]) -> Measured:
    """Start the API until it says that it is ready; its memory is what it holds when it has read ahead what it will."""
    port = free_port()
    command = [sys.executable, "-m", "api", "serve", "--listen", f"127.0.0.1:{port}"]
    with running(command, environment, port, "/readyz") as (pid, seconds):
        settle(pid)
        return Measured(seconds, resident(pid))


def timed(command: list[str], environment: dict[str, str]) -> Measured:
    """Run a command to its end, and watch the memory of its processes."""
    began = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    peak = [0.0]
    watcher = threading.Thread(target=_watch, args=(process.pid, peak), daemon=True)
    watcher.start()
    _, errors = process.communicate()
    seconds = time.perf_counter() - began
    if process.returncode != 0:
        sys.exit(f"{' '.join(command)} failed with {process.returncode}: {errors.decode()[-2000:]}")
    watcher.join()
    return Measured(seconds, peak[0])


def _watch(pid: int, peak: list[float]) -> None:
    """Every 20 ms: the resident memory of a process and its descendants."""
    while total := resident(pid):
        peak[0] = max(peak[0], total)
        time.sleep(0.02)


if __name__ == "__main__":
    main()
