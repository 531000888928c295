"""Whenever a run is killed, interrupted or terminated, it ends soon, its exit code is true, and no process stays behind."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest
from effort import tries
from scenario import ADMINISTRATORS, Accord, ConfigRepository, by_hand
from sqlalchemy import text
from waiting import LONG, until

from reconciler.cli.exits import OK
from reconciler.store.engine import open_database

SOON = 2.0
WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
FILES = {
    **ADMINISTRATORS,
    **{f"issuers/{n}.yaml": f"apiVersion: accord/v1\nkind: Issuer\nmetadata: {{name: i{n}}}\n" for n in range(2_100)},
    "teams/all.yaml": f"apiVersion: accord/v1\nkind: Team\nmetadata: {{name: all}}\n"
    f"spec: {{issuers: [{', '.join(f'i{n}' for n in range(2_100))}]}}\n",
}
"""More files than one process reads, so that there are workers to leave behind."""


class Ended(NamedTuple):
    """How a run ended; its seconds in all, and after the signal."""

    code: int
    errors: str
    whole: float
    after: float


def heeds_signals(pid: int) -> bool:
    """Whether the program has begun: before that, Python itself answers."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = int(status.partition("SigCgt:\t")[2].split()[0], 16)
    return bool(caught >> (signal.SIGTERM - 1) & 1) or "State:\tZ" in status


def session(pid: int) -> list[str]:
    """The processes of a session, but for zombies."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        if fields[3] == str(pid) and fields[0] != "Z":
            found.append(stat.parent.name)
    return found


class Interrupting:
    """A command that is run again and again, every other time with a cold cache, and ended at a random moment."""

    def __init__(self, accord: Accord, folder: Path, *command: str) -> None:
        self.accord = accord
        self.command = command
        self.folder = folder
        self.moments = random.Random(7)
        self.count = 0
        self.whole = self.run(None).whole

    def run(self, number: signal.Signals | None, *, everybody: bool = False) -> Ended:
        self.count += 1
        self.accord.environment["ACCORD_CACHE"] = str(self.folder / (f"cold-{self.count}" if self.count % 4 > 1 else "warm"))
        process = self.accord.process(*self.command, start_new_session=True)
        until(lambda: heeds_signals(process.pid), "the program")
        began = told = time.monotonic()
        if number is not None:
            time.sleep(self.moments.uniform(0, self.whole))  # which moment it is must be random
            told = time.monotonic()
            (os.killpg if everybody else os.kill)(process.pid, number)
        errors = process.communicate()[1].decode()
        ended = Ended(process.returncode, errors, time.monotonic() - began, time.monotonic() - told)
        until(lambda: not session(process.pid), "the end of all processes")
        return ended

    def once(self, number: signal.Signals, is_done: Callable[[], bool] | None = None) -> Ended:
        """End it once, and check how it ended. `is_done` tells whether it did what it does."""
        ended = self.run(number, everybody=self.count % 2 == 0)
        print(f"{self.command} {number.name}: {ended.code} after {ended.after:.2f} s of {self.whole:.2f} s")
        assert ended.after < SOON, ended
        if ended.code == OK:
            assert ended.errors == ""
            self.whole = min(self.whole, ended.whole)
        elif number == signal.SIGKILL:
            assert (ended.code, ended.errors) == (-number, "")
        else:
            assert (ended.code, ended.errors) == (128 + number, f"accord: {WORDS[number]}; unfinished work was undone\n")
        if is_done is not None:
            assert is_done() or ended.code != OK, ended
            assert not is_done() or ended.code == OK or number == signal.SIGKILL, ended
        return ended


def scalar(accord: Accord, statement: str) -> object:
    """A value, once whoever writes has ended."""
    with open_database(accord.environment["ACCORD_DATABASE_URL"]) as database, database.writing() as connection:
        return connection.execute(text(statement)).scalar()


@pytest.fixture
def applied(accord: Accord, repository: ConfigRepository) -> Accord:
    repository.commit(FILES)
    accord("apply", "--yes")
    return accord


@pytest.mark.slow
@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
@pytest.mark.parametrize("command", [("validate", "--rev", "main"), ("plan",)], ids=" ".join)
def test_a_run_that_only_reads_ends_soon(
    applied: Accord, tmp_path: Path, command: tuple[str, ...], number: signal.Signals
) -> None:
    interrupting = Interrupting(applied, tmp_path, *command)
    codes = {interrupting.once(number).code for _ in range(tries(5))}
    assert codes != {OK}
    assert interrupting.run(None).code == OK


@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize("number", WORDS, ids=lambda number: number.name)
def test_a_fetch_that_waits_for_a_silent_server_ends_as_a_whole(accord: Accord, number: signal.Signals) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        accord.environment["ACCORD_REPOSITORY"] = f"http://127.0.0.1:{silent.getsockname()[1]}/pki.git"
        process = accord.process("plan", start_new_session=True)
        with silent.accept()[0] as connection:
            connection.recv(1)  # the end of a chain of processes waits for an answer
            os.kill(process.pid, number)
            errors = process.communicate()[1].decode()
            assert (process.returncode, errors) == (128 + number, f"accord: {WORDS[number]}; unfinished work was undone\n")
            until(lambda: not session(process.pid), "the end of all processes")


@pytest.mark.slow
@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_an_apply_says_whether_it_was_done(
    applied: Accord, repository: ConfigRepository, tmp_path: Path, number: signal.Signals
) -> None:
    def commit() -> str:
        return repository.commit({"issuers/0.yaml": FILES["issuers/0.yaml"] + f"spec: {{description: at {repository.clock}}}\n"})

    def last() -> object:
        return scalar(applied, "SELECT commit_sha FROM revisions ORDER BY id DESC LIMIT 1")

    commit()
    interrupting = Interrupting(applied, tmp_path, "apply", "--yes")
    head = commit()
    for _ in range(tries(5)):
        interrupting.once(number, lambda head=head: last() == head)  # type: ignore[misc]
        if last() == head:
            head = commit()
    assert interrupting.run(None).code == OK
    assert last() == head


@pytest.mark.slow
@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_a_repair_says_whether_it_was_done(applied: Accord, tmp_path: Path, number: signal.Signals) -> None:
    def is_repaired() -> bool:
        return scalar(applied, "SELECT count(*) FROM issuers WHERE enabled") == 2_100

    def break_it() -> None:
        by_hand(applied, "UPDATE issuers SET enabled = false WHERE name < 'i5'")

    break_it()
    interrupting = Interrupting(applied, tmp_path, "drift", "--repair", "--yes")
    break_it()
    for _ in range(tries(5)):
        interrupting.once(number, is_repaired)
        if is_repaired():
            break_it()
    assert interrupting.run(None).code == OK
    assert is_repaired()


@pytest.mark.parametrize("number", WORDS, ids=lambda number: number.name)
@pytest.mark.parametrize("stuck", ["in_what_it_says", "elsewhere"])
def test_a_run_ends_although_nobody_reads_what_it_says(stuck: str, number: signal.Signals) -> None:
    said = {"in_what_it_says": "process.say_interrupted()", "elsewhere": "threading.Event().wait()"}[stuck]
    program = f"""
import threading, time
from reconciler import process
process.heed_signals("accord")
print("begun", flush=True)
try:
    time.sleep(600)
except KeyboardInterrupt:
    {said}
"""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writing, bytes(4096))
    os.set_blocking(writing, True)
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=writing) as run:
        assert run.stdout is not None
        run.stdout.readline()
        run.send_signal(number)
        try:
            assert run.wait(LONG) == 128 + number
        finally:
            run.kill()
            os.close(reading)
            os.close(writing)
