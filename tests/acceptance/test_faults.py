"""Whatever goes wrong ends in one clear error or in completion, and the database is as before or as planned, never between."""

from __future__ import annotations

import logging
import os
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from effort import tries
from forked import Ended, Forked
from postgresql_server import PostgresqlServer
from scenario import ADMINISTRATORS, Accord, ConfigRepository, by_hand, issuer, user
from sqlalchemy import text
from waiting import LONG, until

from api.cli.main import run as run_api
from reconciler import process
from reconciler.access.resources import DeclaredState
from reconciler.cli.exits import CHANGES, ERROR, OK, UNREACHABLE, UNSAFE
from reconciler.cli.main import run as edge
from reconciler.store.audit import chain_head, raw_entries, verify
from reconciler.store.commit import committing, forget
from reconciler.store.digests import drifted
from reconciler.store.engine import open_database
from reconciler.store.errors import OutcomeUnknown
from reconciler.store.read import read_actual, read_history

APPLY = ("apply", "--yes")
OVERRIDE = ("--override", "deletions", "--reason", "test")
NOBODY = 65534
INTERRUPTED = 128 + signal.SIGINT


def organisation(people: int, flavour: str, *, without: int = 0) -> dict[str, Any]:
    """Many resources in few files: people, and teams of twenty. `without` leaves out every so-manieth."""
    files: dict[str, Any] = dict(ADMINISTRATORS)
    names = [f"p{number}" for number in range(people) if not without or number % without]
    for start in range(0, len(names), 100):
        files[f"users/{start}.yaml"] = "---\n".join(
            f"apiVersion: accord/v1\nkind: User\nmetadata: {{name: {name}}}\n"
            f"spec: {{email: {name}@example.org, fullName: {flavour}, initialPassword: none}}\n"
            for name in names[start : start + 100]
        )
    for start in range(0, len(names), 20):
        files[f"teams/{start}.yaml"] = (
            f"apiVersion: accord/v1\nkind: Team\nmetadata: {{name: t{start}}}\n"
            f"spec: {{description: {flavour}, members: [{', '.join(names[start : start + 20])}], issuers: [tls]}}\n"
        )
    files["issuers/tls.yaml"] = "apiVersion: accord/v1\nkind: Issuer\nmetadata: {name: tls}\nspec: {}\n"
    return files


@pytest.fixture
def repository(tmp_path: Path) -> ConfigRepository:
    return ConfigRepository(tmp_path / "config.git")


@pytest.fixture
def accord(repository: ConfigRepository, database_url: str, tmp_path: Path) -> Accord:
    return Accord(repository.path, database_url, tmp_path / "cache")


@pytest.fixture
def durable_url(database_kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database that keeps what it promised to keep."""
    if database_kind == "sqlite":
        yield f"sqlite:///{tmp_path}/accord.db"
        return
    server: PostgresqlServer = request.getfixturevalue("durable_postgresql_server")
    url = server.new_database()
    yield url
    server.drop_database(url)


class Look:
    """The database as it is, once whoever writes has ended; and that it is whole."""

    def __init__(self, url: str) -> None:
        # a killed client's last statement may still run on the server: whoever takes the writer's lock comes after it
        with open_database(url) as database, database.writing() as connection:
            self.history = read_history(connection)[::-1]
            actual = read_actual(connection, now=datetime.now(UTC))
            self.declared, self.generation = actual.declared, actual.generation
            count, head = chain_head(connection)
            assert verify(raw_entries(connection), count=count, head=head) is None
            assert drifted(connection) == []
            assert [applied.id for applied in self.history] == list(range(1, len(self.history) + 1))

    @property
    def applied(self) -> str:
        return self.history[-1].revision.commit


def refused(ended: Ended, code: int, *parts: str) -> None:
    """Assert that a process ended in one error that says what is wrong."""
    assert ended.code == code, ended
    assert ended.errors.startswith("accord: "), ended
    assert len(ended.errors.strip().splitlines()) == 1, ended
    assert "Traceback" not in ended.output + ended.errors
    for part in parts:
        assert part in ended.errors


def run(accord: Accord, *arguments: str, prepare: Callable[[], Any] | None = None) -> Ended:
    return Forked(accord, *arguments, prepare=prepare).wait()


def at(accord: Accord, url: str) -> Accord:
    """The same program and repository with another database."""
    return Accord(accord.environment["ACCORD_REPOSITORY"], url, Path(accord.environment["ACCORD_CACHE"]))


# Whether it is there, and ours


@pytest.mark.parametrize("command", [APPLY, ("plan",), ("history",), ("db", "check"), ("db", "upgrade")])
def test_a_missing_server_is_unreachable(accord: Accord, repository: ConfigRepository, command: tuple[str, ...]) -> None:
    repository.commit(ADMINISTRATORS)
    elsewhere = at(accord, "postgresql://accord:hunter2@127.0.0.1:1/accord")
    refused(run(elsewhere, *command), UNREACHABLE, "accord:***@127.0.0.1:1")


@pytest.mark.parametrize("command", [("history",), ("access",)])
def test_reading_does_not_create_a_missing_file(accord: Accord, tmp_path: Path, command: tuple[str, ...]) -> None:
    ended = run(at(accord, f"sqlite:///{tmp_path}/nowhere.db"), *command)
    assert ended.code in (ERROR, UNREACHABLE)
    assert "accord db upgrade" in ended.errors
    assert not (tmp_path / "nowhere.db").exists()


def test_a_missing_folder_is_reported(accord: Accord, repository: ConfigRepository, tmp_path: Path) -> None:
    repository.commit(ADMINISTRATORS)
    refused(
        run(at(accord, f"sqlite:///{tmp_path}/nowhere/accord.db"), *APPLY), ERROR, "there is no folder `", "nowhere/accord.db"
    )


@pytest.mark.parametrize("command", [APPLY, ("plan",), ("history",), ("db", "upgrade")])
def test_tables_of_a_newer_accord_are_refused(accord: Accord, repository: ConfigRepository, command: tuple[str, ...]) -> None:
    repository.commit(ADMINISTRATORS)
    accord(*APPLY)
    url = accord.environment["ACCORD_DATABASE_URL"]
    with open_database(url) as database, database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    refused(run(accord, *command), ERROR, "9999", "newer")


@pytest.mark.parametrize("command", [APPLY, ("plan",), ("history",), ("db", "upgrade")])
def test_a_file_that_is_not_a_database_is_refused_and_kept(
    accord: Accord, repository: ConfigRepository, tmp_path: Path, command: tuple[str, ...]
) -> None:
    repository.commit(ADMINISTRATORS)
    file = tmp_path / "notes.txt"
    content = b"Remember the milk.\n" * 1000
    file.write_bytes(content)
    refused(run(at(accord, f"sqlite:///{file}"), *command), ERROR, "is not a database")
    assert file.read_bytes() == content


def test_a_damaged_file_is_said_to_be_damaged(repository: ConfigRepository, tmp_path: Path) -> None:
    repository.commit(organisation(100, "one"))
    file = tmp_path / "accord.db"
    accord = Accord(repository.path, f"sqlite:///{file}", tmp_path / "cache")
    accord(*APPLY)
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'users'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    connection.close()
    content = bytearray(file.read_bytes())
    content[(page - 1) * size : page * size] = os.urandom(1) * size
    file.write_bytes(content)
    repository.commit(organisation(100, "two"))
    for command in (APPLY, ("plan",)):
        refused(run(accord, *command), ERROR, "is damaged")


# Whether it can be written


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that an account without privileges can reach, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def become_nobody() -> None:
    """Give up root's privileges, which no permission binds."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    os.environ["HOME"] = "/nonexistent"


def give(folder: Path, owner: int) -> None:
    if os.geteuid() == 0:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, owner, owner)


@pytest.mark.parametrize("modes", [(0o555, 0o444), (0o755, 0o444), (0o555, 0o644)], ids=["both", "file", "folder"])
def test_a_database_that_may_not_be_written_says_so_and_stays(public_folder: Path, modes: tuple[int, int]) -> None:
    repository = ConfigRepository(public_folder / "config.git")
    repository.commit(ADMINISTRATORS)
    folder = public_folder / "database"
    folder.mkdir()
    file = folder / "accord.db"
    accord = Accord(repository.path, f"sqlite:///{file}", public_folder / "cache")
    accord(*APPLY)
    repository.commit(organisation(20, "one"))
    accord("plan")  # and so every module is loaded that the account could not load
    give(public_folder, NOBODY)
    before = file.read_bytes()
    folder.chmod(modes[0])
    file.chmod(modes[1])
    ended = run(accord, *APPLY, prepare=become_nobody)
    assert ended.code in (ERROR, UNREACHABLE)
    refused(ended, ended.code, str(file), "permissions")
    folder.chmod(0o755)
    file.chmod(0o644)
    assert file.read_bytes() == before
    give(public_folder, 0)
    accord(*APPLY)


@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize("streams", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", "| true", "2>&1 | true"])
@pytest.mark.parametrize(
    ("command", "code"), [("plan --detailed-exitcode", CHANGES), ("apply", ERROR), ("apply --yes", OK), ("db current", ERROR)]
)
def test_the_exit_code_says_what_happened_whoever_reads_the_output(
    accord: Accord, repository: ConfigRepository, streams: str, command: str, code: int
) -> None:
    repository.commit(ADMINISTRATORS)
    script = f"'{sys.executable}' -m reconciler.cli {command} {streams}; exit ${{PIPESTATUS[0]}}"
    environment = {**os.environ, **accord.environment}
    ended = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == code, ended
    assert "internal error" not in ended.stdout + ended.stderr


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_database_that_lost_its_state_says_so(accord: Accord, repository: ConfigRepository) -> None:
    repository.commit(ADMINISTRATORS)
    accord(*APPLY)
    by_hand(accord, "DELETE FROM state")
    for command in (("plan",), APPLY, ("audit", "verify")):
        refused(run(accord, *command), ERROR, "has lost the row of its table `state`", "restore a backup")


READ = [("plan",), ("access",), ("history",), ("drift",), ("audit", "verify"), ("db", "check"), ("explain", "root", "tls")]
CRASH = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("UPDATE issuers SET description = 'not checkpointed'")
connection.commit()
os._exit(0)
"""


@pytest.mark.parametrize("crashed", [False, True], ids=["closed", "crashed"])
@pytest.mark.parametrize("modes", [(0o555, 0o444), (0o755, 0o444), (0o555, 0o644)], ids=["both", "file", "folder"])
def test_a_database_that_may_not_be_written_can_be_read(public_folder: Path, modes: tuple[int, int], crashed: bool) -> None:
    repository = ConfigRepository(public_folder / "config.git")
    repository.commit(organisation(20, "one"))
    folder = public_folder / "data #%41?"  # what a URI would take for its own
    folder.mkdir()
    file = folder / "accord.db"
    accord = Accord(repository.path, f"sqlite:///{quote(str(file))}", public_folder / "cache")
    accord(*APPLY)
    for command in READ:
        accord(*command)  # and so every module is loaded that the account could not load
    if crashed:
        subprocess.run([sys.executable, "-c", CRASH, str(file)], check=True)
        assert Path(f"{file}-wal").stat().st_size > 0
    give(public_folder, NOBODY)
    folder.chmod(modes[0])
    for path in folder.iterdir():
        path.chmod(modes[1])
    before = file.read_bytes()
    for command in READ:
        ended = run(accord, *command, prepare=become_nobody)
        assert ended.code == (CHANGES if crashed and command == ("drift",) else OK), ended
    folder.chmod(0o755)
    assert crashed or file.read_bytes() == before  # what the crash left in the log may come into the file


@pytest.mark.parametrize("spare", [0, 20_000, 200_000])
def test_a_full_disk_says_so_and_changes_nothing(repository: ConfigRepository, tmp_path: Path, spare: int) -> None:
    file = tmp_path / "accord.db"
    accord = Accord(repository.path, f"sqlite:///{file}", tmp_path / "cache")
    first = repository.commit(ADMINISTRATORS)
    accord(*APPLY)
    repository.commit(organisation(2000, "one"))
    accord("plan")  # what it reads is in the cache now, so that it is the database that meets the limit
    size = max(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file() and "cache" not in path.parts)
    limit = size + spare

    def fill() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    refused(run(accord, *APPLY, prepare=fill), ERROR, "disk")
    assert Look(accord.environment["ACCORD_DATABASE_URL"]).applied == first
    accord(*APPLY)


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_where_no_file_can_be_written_what_only_reads_works(accord: Accord, repository: ConfigRepository, tmp_path: Path) -> None:
    first = repository.commit(ADMINISTRATORS)
    repository.commit({"issuers/tls.yaml": issuer("tls")})
    folder = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(repository.path), str(folder)], check=True)
    accord.environment["ACCORD_CACHE"] = str(tmp_path / "no-cache")

    def write_nothing() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    for command in (("validate", str(folder)), ("validate", "--rev", "main"), ("plan", "--against", first)):
        process = accord.process(*command, preexec_fn=write_nothing)
        said = process.communicate(timeout=LONG)
        assert process.returncode == OK, said


def test_a_database_in_use_is_waited_for_and_then_said_to_be_in_use(accord: Accord, repository: ConfigRepository) -> None:
    repository.commit(ADMINISTRATORS)
    accord(*APPLY)
    head = repository.commit(organisation(20, "one"))
    url = accord.environment["ACCORD_DATABASE_URL"]
    with open_database(url) as database, database.writing():
        patient = accord.process(*APPLY)
        output, errors = at(accord, f"{url}?timeout=0.3").process(*APPLY).communicate(timeout=LONG)
        assert errors.decode().endswith("is in use by another process, which did not finish in time; try again\n")
        assert output == b""
        reading = accord.process("plan")  # who only reads does not wait
        assert reading.communicate(timeout=LONG)[1] == b""
        assert reading.returncode == OK
        assert patient.poll() is None
    assert patient.communicate(timeout=LONG)[1] == b""
    assert patient.returncode == OK
    assert Look(url).applied == head


# Whether it is interrupted


def two_states(accord: Accord, repository: ConfigRepository, people: int) -> Mapping[str, DeclaredState]:
    """Two revisions that differ in nearly every resource, applied once; by their flavour what the database then holds."""
    found = {}
    for flavour, without in FLAVOURS.items():
        repository.commit(organisation(people, flavour, without=without), whole=True)
        accord(*APPLY, *OVERRIDE)
        found[flavour] = Look(accord.environment["ACCORD_DATABASE_URL"]).declared
    return found


FLAVOURS = {"one": 7, "two": 5}
"""Which of the people each flavour leaves out, so that each creates, changes and deletes."""


class Interrupted:
    """Applies that are interrupted at random moments, and what each must have left behind."""

    def __init__(self, accord: Accord, repository: ConfigRepository, people: int) -> None:
        self.accord = accord
        self.repository = repository
        self.people = people
        self.states = two_states(accord, repository, people)
        self.flavour = "two"
        self.applied = repository.head()
        self.count = len(FLAVOURS)
        self._commit_next()
        began = time.monotonic()
        assert run(accord, *APPLY, *OVERRIDE).code == OK
        self.whole_time = time.monotonic() - began
        self._was_applied()

    def _commit_next(self) -> None:
        """Commit the other flavour, for the next apply to bring."""
        self.coming = "one" if self.flavour == "two" else "two"
        self.repository.commit(organisation(self.people, self.coming, without=FLAVOURS[self.coming]), whole=True)

    def _was_applied(self) -> None:
        self.flavour, self.applied = self.coming, self.repository.head()
        self.count += 1
        self._commit_next()

    def once(self, number: signal.Signals, moment: float) -> Ended:
        """Interrupt an apply after so many of its own seconds, and check what is there."""
        with Forked(self.accord, *APPLY, *OVERRIDE) as process:
            time.sleep(moment)
            process.send(number)
            ended = process.wait()
        if ended.code == OK:
            self.whole_time = min(self.whole_time, moment)  # the machine is less busy by now
        look = Look(self.accord.environment["ACCORD_DATABASE_URL"])
        if number != signal.SIGKILL:
            assert (ended.code == OK) is (look.applied != self.applied), ended
        if look.applied != self.applied:
            assert look.applied == self.repository.head()
            self._was_applied()
        assert look.declared == self.states[self.flavour]
        assert (len(look.history), look.generation) == (self.count, self.count)
        return ended


@pytest.mark.slow
def test_an_apply_that_is_killed_leaves_the_database_as_before_or_as_planned(
    repository: ConfigRepository, durable_url: str, tmp_path: Path
) -> None:
    accord = Accord(repository.path, durable_url, tmp_path / "cache")
    interrupted = Interrupted(accord, repository, 1000)
    moments = random.Random(7)
    ends = [interrupted.once(signal.SIGKILL, moments.uniform(0, interrupted.whole_time)) for _ in range(tries(16))]
    killed = [ended for ended in ends if ended.code == -signal.SIGKILL]
    assert len(killed) >= tries(6)
    assert all(ended.code == OK for ended in ends if ended not in killed)
    assert "Applied" in accord(*APPLY, *OVERRIDE).output
    assert Look(durable_url).applied == repository.head()


@pytest.mark.parametrize("copied_from", ["a process that was", "one that was not"])
def test_an_interrupt_as_git_starts_is_all_that_is_told_of(
    accord: Accord, copied_from: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process._State, "has_said", copied_from == "a process that was")

    def interrupt_each() -> None:
        start = subprocess.Popen.__init__

        def start_and_interrupt(process: subprocess.Popen[bytes], *arguments: Any, **options: Any) -> None:
            start(process, *arguments, **options)
            os.kill(os.getpid(), signal.SIGINT)

        subprocess.Popen.__init__ = start_and_interrupt  # type: ignore[method-assign]

    ended = run(accord, *APPLY, prepare=interrupt_each)
    assert (ended.code, ended.errors.strip()) == (INTERRUPTED, "accord: interrupted; unfinished work was undone")


@pytest.mark.slow
def test_an_apply_that_is_interrupted_says_so_and_leaves_nothing_half_done(accord: Accord, repository: ConfigRepository) -> None:
    interrupted = Interrupted(accord, repository, 500)
    moments = random.Random(7)
    codes = []
    for _ in range(12):
        ended = interrupted.once(signal.SIGINT, moments.uniform(0, interrupted.whole_time))
        codes.append(ended.code)
        assert ended.code in (OK, INTERRUPTED), ended
        if ended.code == INTERRUPTED:
            assert ended.errors.strip() == "accord: interrupted; unfinished work was undone"
    assert INTERRUPTED in codes
    assert run(accord, *APPLY, *OVERRIDE).code == OK
    assert Look(accord.environment["ACCORD_DATABASE_URL"]).applied == repository.head()


def test_an_interrupt_that_trips_up_a_library_is_an_interrupt(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def command(**_: Any) -> None:
        try:
            raise KeyboardInterrupt
        finally:
            raise RuntimeError("cannot tidy up")

    monkeypatch.setattr(process._State, "has_said", False)
    assert edge(command) == INTERRUPTED
    assert capsys.readouterr().err == "accord: interrupted; unfinished work was undone\n"


def test_what_a_library_meets_in_an_interrupt_it_does_not_say(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    loggers = [logging.getLogger(name) for name in ("psycopg", "sqlalchemy.pool")]
    levels = [each.level for each in loggers]
    monkeypatch.setattr(process._State, "received", None)
    forget()
    try:
        with pytest.raises(KeyboardInterrupt):
            process._heed(signal.SIGINT, None)
        for each in loggers:
            each.critical("error ignored in rollback")
    finally:
        for each, level in zip(loggers, levels, strict=True):
            each.setLevel(level)
    assert capsys.readouterr().err == ""


def test_a_process_does_not_end_before_its_interrupt_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    writing, written = threading.Event(), threading.Event()

    def say(text: str) -> None:
        writing.set()
        written.wait()
        said.append(text)

    monkeypatch.setattr(process._State, "has_said", False)
    monkeypatch.setattr(process, "_say", say)
    main = threading.Thread(target=process.say_interrupted)
    main.start()
    writing.wait()
    threading.Timer(0.05, written.set).start()
    assert process.say_interrupted() == INTERRUPTED
    assert said == ["interrupted; unfinished work was undone"]
    main.join()


@pytest.mark.parametrize("program", [edge, run_api], ids=["accord", "accord-api"])
def test_what_a_commit_ended_in_is_said_although_somebody_interrupted_it(
    program: Callable[[Callable[..., Any]], int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def command(**_: Any) -> None:
        with committing():
            process._heed(signal.SIGINT, None)
            raise OutcomeUnknown("whether the change was made is unknown")

    monkeypatch.setattr(process._State, "received", None)
    assert program(command) == UNREACHABLE
    assert capsys.readouterr().err.endswith("whether the change was made is unknown\n")
    forget()


def test_a_program_that_cannot_say_what_a_commit_ended_in_ends_as_unknown(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    ends: list[int] = []
    monkeypatch.setattr(process, "_end", ends.append)
    monkeypatch.setattr(process, "_GRACE", 0)
    monkeypatch.setattr(process, "_SETTLING", 0)
    monkeypatch.setattr(process._State, "received", signal.SIGINT)
    reading, writing = os.pipe()
    os.write(writing, bytes([signal.SIGINT]))
    with pytest.raises(OSError, match="lost"), committing():
        raise OSError("lost")
    process._watch(reading)
    forget()
    os.close(reading)
    os.close(writing)
    assert ends == [UNREACHABLE]
    assert "whether the change was made is unknown" in capfd.readouterr().err


# Whether others apply at the same time


@pytest.mark.slow
def test_twenty_applies_of_one_history_at_once_end_in_one_order(accord: Accord, repository: ConfigRepository) -> None:
    commits = [repository.commit(organisation(20, "one"))]
    newcomers = [f"n{number}" for number in range(1, 20)]
    for name in newcomers:
        commits.append(repository.commit({f"users/{name}.yaml": user(name)}))
    processes = [Forked(accord, *APPLY, "--rev", commit) for commit in commits]
    ends = [process.wait() for process in processes]
    won = [commit for commit, ended in zip(commits, ends, strict=True) if ended.code == OK]
    for ended in ends:
        if ended.code == OK:
            assert ended.output.startswith("Applied")
        else:
            refused(ended, UNSAFE, "does not descend from the applied revision")
    look = Look(accord.environment["ACCORD_DATABASE_URL"])
    assert [applied.revision.commit for applied in look.history] == won  # each after its ancestors, and none forgotten
    assert look.applied == commits[-1]
    assert look.generation == len(won)
    assert set(look.declared.users) == {"root", *newcomers, *(f"p{number}" for number in range(20))}
    assert accord.json("plan")["changes"] == []


def test_two_applies_of_one_commit_at_once_apply_it_once(accord: Accord, repository: ConfigRepository) -> None:
    repository.commit(organisation(200, "one"))
    processes = [Forked(accord, *APPLY) for _ in range(2)]
    ends = [process.wait() for process in processes]
    assert [ended.code for ended in ends] == [OK, OK], ends
    assert sorted(ended.output.split(maxsplit=1)[0] for ended in ends) == ["Already", "Applied"]
    assert len(Look(accord.environment["ACCORD_DATABASE_URL"]).history) == 1


@pytest.mark.postgresql
def test_a_server_that_goes_away_in_the_middle_is_unreachable(
    repository: ConfigRepository, postgresql_server: PostgresqlServer, postgresql_url: str, tmp_path: Path
) -> None:
    accord = Accord(repository.path, postgresql_url, tmp_path / "cache")
    first = repository.commit(ADMINISTRATORS)
    accord(*APPLY)
    repository.commit(organisation(20, "one"))
    with open_database(postgresql_url) as database, database.writing():
        waiting = Forked(accord, *APPLY)
        ending = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'advisory'"
        name = postgresql_url.rpartition("/")[2]
        until(lambda: postgresql_server.query(ending, name), "an apply that waits")
        with waiting:
            refused(waiting.wait(), UNREACHABLE, "cannot be reached")
    assert Look(postgresql_url).applied == first
