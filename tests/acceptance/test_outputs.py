"""What is committed is said to be done, whatever takes the output; and whoever waits can be interrupted."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from scenario import ADMINISTRATORS, Accord, ConfigRepository, by_hand, team, user
from test_interruptions import SOON, WORDS, heeds_signals, scalar
from waiting import LONG, until

from reconciler.cli.exits import ERROR, OK
from reconciler.store.engine import open_database

TOP = Path(__file__).parents[2]
FULL = "the change is made, but standard output cannot be written: No space left on device"
ON_SQLITE = pytest.mark.parametrize("database_kind", ["sqlite"])


def into(file: str, accord: Accord, *command: str, program: str = "reconciler.cli", **variables: str) -> tuple[int, str]:
    """The exit code and the errors of a command whose output goes to a file."""
    environment = {**os.environ, **accord.environment, **variables, "PYTHONPATH": str(TOP)}
    with Path(file).open("wb") as output:
        ended = subprocess.run(
            [sys.executable, "-m", program, *command], env=environment, stdout=output, stderr=subprocess.PIPE, check=False
        )
    return ended.returncode, ended.stderr.decode(errors="replace")


@ON_SQLITE
def test_a_full_disk_makes_no_failure_of_what_was_committed(accord: Accord, repository: ConfigRepository) -> None:
    repository.commit(ADMINISTRATORS)
    assert into("/dev/full", accord, "plan") == (
        ERROR,
        "accord: standard output cannot be written: No space left on device\n",
    )
    assert into("/dev/full", accord, "apply", "--yes") == (OK, f"accord: {FULL}\n")
    assert len(accord.json("history")) == 1
    by_hand(accord, "DELETE FROM memberships")
    assert into("/dev/full", accord, "drift", "--repair", "--yes")[0] == ERROR  # what differs could not be said
    assert scalar(accord, "SELECT count(*) FROM memberships") == 0  # and so nothing was repaired
    assert into("/dev/full", accord, "db", "upgrade") == (OK, f"accord: {FULL}\n")
    assert into("/dev/full", accord, "user", "disable", "root", program="api") == (OK, f"accord-api: {FULL}\n")


@ON_SQLITE
def test_a_pipe_that_does_not_block_is_given_the_whole_plan(accord: Accord, repository: ConfigRepository) -> None:
    repository.commit({**ADMINISTRATORS, **{f"users/{n}.yaml": user(f"p{n}") for n in range(1_500)}})
    whole = accord("plan").output
    assert len(whole) > 70_000
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETFL, os.O_NONBLOCK)
    environment = {**os.environ, **accord.environment}
    process = subprocess.Popen([sys.executable, "-m", "reconciler.cli", "plan"], env=environment, stdout=writing)
    os.close(writing)
    capacity = fcntl.fcntl(reading, fcntl.F_GETPIPE_SZ)
    until(lambda: waiting_in(reading) >= capacity - 4096 or process.poll() is not None, "a full pipe")
    with os.fdopen(reading, encoding="utf-8") as stream:
        assert stream.read() == whole
    assert process.wait(LONG) == OK


def waiting_in(pipe: int) -> int:
    import termios

    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, b"\0" * 4), sys.byteorder)


@ON_SQLITE
def test_characters_that_an_encoding_lacks_are_spelled_out(accord: Accord, repository: ConfigRepository, tmp_path: Path) -> None:
    repository.commit({**ADMINISTRATORS, "users/l.yaml": user("lukasz", fullName="Łukasz"), "teams/zespół.yaml": team("empty")})
    file, encoding = tmp_path / "output", "latin-1"
    assert into(str(file), accord, "plan", PYTHONIOENCODING=encoding)[0] == OK
    assert b"zesp\xf3\\u0142.yaml" in file.read_bytes()
    assert into(str(file), accord, "apply", "--yes", PYTHONIOENCODING=encoding)[0] == OK
    assert into(str(file), accord, "plan", "--format", "json", PYTHONIOENCODING=encoding)[0] == OK
    assert json.loads(file.read_bytes().decode("utf-8"))["changes"] == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_whoever_waits_for_another_writer_can_be_interrupted(
    accord: Accord, repository: ConfigRepository, number: signal.Signals
) -> None:
    repository.commit(ADMINISTRATORS)
    with open_database(accord.environment["ACCORD_DATABASE_URL"]) as database, database.writing():
        ends_soon(accord, number)
    assert accord.json("history") == []


@ON_SQLITE
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_whoever_waits_for_a_silent_server_can_be_interrupted(
    accord: Accord, repository: ConfigRepository, number: signal.Signals
) -> None:
    repository.commit(ADMINISTRATORS)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        accord.environment["ACCORD_DATABASE_URL"] = f"postgresql://accord@127.0.0.1:{silent.getsockname()[1]}/accord"
        ends_soon(accord, number)


def ends_soon(accord: Accord, number: signal.Signals) -> None:
    """An apply that waits ends within two seconds of a signal."""
    process = accord.process("apply", "--yes")
    until(lambda: heeds_signals(process.pid), "the program")
    until(sleeps(process.pid), "an apply that waits")
    told = time.monotonic()
    process.send_signal(number)
    output, errors = process.communicate(timeout=LONG)
    assert time.monotonic() - told < SOON
    assert (process.returncode, output) == (128 + number, b"")
    assert errors.decode() == f"accord: {WORDS[number]}; unfinished work was undone\n"


def sleeps(pid: int) -> Callable[[], bool]:
    """Whether a process has used no processor each of the last fifty times: whatever it did to get there, it waits."""
    used: list[list[str]] = []

    def asked() -> bool:
        used.append(Path(f"/proc/{pid}/stat").read_text().split()[13:15])
        return len(used) > 50 and used[-1] == used[-50]

    return asked
