"""The access state that the API keeps while the database changes is at every step what one read anew is, and what a plan sees."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime
from itertools import count, product
from random import Random
from typing import Any

import pytest
from declared_changes import GUIDS, ISSUERS, NAMES, beginning, changed, without_user
from declared_states import LATER, NOW, SEARCH, bring, emptied, held, query, run_sql
from effort import tries
from hypothesis import given, settings
from hypothesis import strategies as st

from api.administration import set_disabled
from api.authentication.authority import OperatorsAuthority
from api.directory import accounts as directory
from api.directory.entries import Entry
from api.errors import NotFound
from api.state.reader import Reader
from api.state.snapshots import AccessKeeper, AccessSnapshot, Stamp, read_stamp
from reconciler.access.decide import decide
from reconciler.access.permitted_ips import parse_address
from reconciler.access.resources import DeclaredState
from reconciler.access.state import AccessState
from reconciler.plan.actual import access_state
from reconciler.store import tables
from reconciler.store.audit import Event
from reconciler.store.engine import Database

ADDRESSES = [parse_address("10.0.0.1"), parse_address("192.0.2.1")]
Decisions = dict[tuple[str, str, str, datetime], tuple[bool, str, str | None]]


def decisions(state: AccessState, names: Iterable[str]) -> Decisions:
    """What is decided of accounts: every issuer, from inside and outside, now and later."""
    return {
        (name, issuer, address.text, at): (found.allow, found.reason, found.rule)
        for name in names
        for issuer in ISSUERS
        for address in ADDRESSES
        for at in (NOW, LATER)
        for found in [decide(state, name, issuer, address, at)]
    }


def shown(snapshot: AccessSnapshot) -> dict[str, Any]:
    return {name: getattr(snapshot, name) for name in AccessSnapshot.__slots__}


def as_stored(database: Database) -> AccessState:
    """The access state that the database holds, read whole."""
    actual = held(database)
    return access_state(actual.declared, actual.runtime)


class Interrupted(Reader):
    """Lets something else happen before and after it reads."""

    interrupt: Callable[[], object] = staticmethod(lambda: None)

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        self.interrupt()
        found = super().rows(statement, *values)
        self.interrupt()
        return found


class InterruptedDict(dict[str, Any]):
    """The same for what is kept."""

    def __init__(self, kept: dict[str, Any], interrupt: Callable[[], object]) -> None:
        super().__init__(kept)
        self._interrupt = interrupt

    def get(self, key: str, default: Any = None) -> Any:
        self._interrupt()
        found = super().get(key, default)
        self._interrupt()
        return found


class Organisation:
    """A database that changes in every way there is, by chance; and the access state that is kept of it."""

    def __init__(self, database: Database, chance: Random) -> None:
        emptied(database)
        self.database, self.chance = database, chance
        self.truth: dict[Stamp, Decisions] = {}
        """What is decided of everybody at each stamp that there was."""
        self.commits = (f"{number:040x}" for number in count())
        self.declared = DeclaredState()
        self.backup: dict[str, list[Any]] | None = None
        self.reader, self.other = Interrupted(database), Reader(database)
        self.keeper = AccessKeeper(self.reader)

    def close(self) -> None:
        self.reader.close()
        self.other.close()

    def check(self, names: list[str]) -> None:
        """What is kept is what is read anew, and decides as the reconciler does."""
        kept = self.keeper.now(*names)
        assert shown(kept) == shown(AccessKeeper(self.other).now(*names))
        assert decisions(kept.state, names) == decisions(as_stored(self.database), names)

    def note(self) -> None:
        self.truth[read_stamp(self.other)] = decisions(as_stored(self.database), NAMES)

    def was_true(self, stamp: Stamp, names: list[str], found: Decisions) -> bool:
        return found == {question: answer for question, answer in self.truth[stamp].items() if question[0] in names}

    def one(self, names: Iterable[str]) -> str | None:
        found = sorted(names)
        return self.chance.choice(found) if found else None

    # ---- what Git declares

    def apply(self) -> None:
        """One to three changes at once."""
        state = self.declared
        for _ in range(self.chance.choice([1, 1, 1, 2, 3])):
            state = changed(self.chance, state)
        in_directory = {name for (name,) in query(self.database, "SELECT name FROM users WHERE source = 'directory'")}
        if in_directory.isdisjoint(state.users):  # else it would be refused
            self.bring(state)

    def apply_nothing(self) -> None:
        self.bring(self.declared)

    def bring(self, state: DeclaredState) -> None:
        bring(self.database, state, next(self.commits))
        self.declared = state

    # ---- what the runtime does

    def switch(self) -> None:
        name, disabled = self.chance.choice(NAMES), self.chance.random() < 0.5
        with suppress(NotFound):
            set_disabled(OperatorsAuthority(self.database, "root"), name, disabled)

    def sync_directory(self) -> None:
        """An account appears, has another name, other teams, or ends."""
        guid, name = self.chance.choice(GUIDS), self.chance.choice(NAMES)
        entry = Entry(guid, name, f"CN={name}", None, "", self.chance.random() < 0.3, None, False, False)
        with self.database.recording() as connection:
            known = directory.find(connection, guid=guid)
            events = [] if known else [Event("account.appear", "User", name, {})]
            known = known or directory.provision(connection, name, "example.org", entry, NOW)
            if isinstance(known, str):
                return  # the name is taken
            ids = [row[0] for row in connection.execute(tables.teams.select().with_only_columns(tables.teams.c.id))]
            teams = {number: self.chance.choice(["PKI", "Web"]) for number in ids if self.chance.random() < 0.5}
            events += directory.sync(connection, known, name, entry, teams, NOW)
            directory.record(connection, "example.org", events, NOW)

    def leave_directory(self) -> None:
        with self.database.recording() as connection:
            known = directory.find(connection, guid=self.chance.choice(GUIDS))
            if known is None:
                return
            if self.chance.random() < 0.5:
                events = directory.remove(connection, known, "gone", NOW)
            else:
                events = directory.mark_missing(connection, known, NOW, seen_missing=True)
            directory.record(connection, "example.org", events, NOW)

    # ---- what is not as it should be

    def write_past_everything(self) -> None:
        """By hand, or an Accord that knows of no log."""
        statement = self.chance.choice(
            [
                "DELETE FROM memberships WHERE user_id % 2 = 0",
                "DELETE FROM permissions WHERE team_id % 2 = 0",
                "UPDATE issuers SET enabled = NOT enabled",
                "UPDATE account_states SET disabled_by_administrator = NOT disabled_by_administrator",
                "DELETE FROM directory_memberships",
                "DELETE FROM teams WHERE id % 2 = 0",
                "UPDATE teams SET name = 'x' || name WHERE id % 3 = 0 AND length(name) < 9",
            ]
        )
        with self.database.writing() as connection:
            connection.exec_driver_sql(statement.replace("%", "%%") if not self.database.is_sqlite else statement)
            connection.exec_driver_sql("UPDATE state SET generation = generation + 1")

    def forget_the_log(self) -> None:
        run_sql(self.database, "DELETE FROM generations WHERE generation % :some = 0", some=self.chance.choice([1, 2, 5]))

    def back_up(self) -> None:
        with self.database.reading() as connection:
            self.backup = {
                table.name: [tuple(row) for row in connection.execute(table.select())] for table in tables.metadata.sorted_tables
            }
        self.backed_up = self.declared

    def restore(self) -> None:
        """In place, so that no connection is lost."""
        if self.backup is None:
            return
        with self.database.writing() as connection:
            for table in reversed(tables.metadata.sorted_tables):
                connection.execute(table.delete())
            for table in tables.metadata.sorted_tables:
                rows = [
                    {column.name: value for column, value in zip(table.columns, row, strict=True) if column.computed is None}
                    for row in self.backup[table.name]
                ]
                if rows:
                    connection.execute(table.insert(), rows)
        self.declared = self.backed_up
        for _ in range(self.chance.randrange(8)):  # its generations go on from there, with other changes
            self.chance.choice([Organisation.apply, Organisation.switch])(self)


STEPS: list[Callable[[Organisation], None]] = [
    *[Organisation.apply] * 8,
    *[Organisation.switch] * 3,
    *[Organisation.sync_directory] * 4,
    Organisation.leave_directory,
    Organisation.apply_nothing,
    Organisation.write_past_everything,
    Organisation.forget_the_log,
    Organisation.back_up,
    Organisation.restore,
]


def begun(database: Database, seed: int) -> Organisation:
    """An organisation with something of everything."""
    world = Organisation(database, Random(seed))
    world.bring(beginning())
    return world


@pytest.mark.slow
@settings(SEARCH, max_examples=tries(5))
@given(seed=st.integers(0, 2**32), steps=st.integers(10, 40))
def test_the_kept_state_equals_a_fresh_one(database: Database, seed: int, steps: int) -> None:
    world = begun(database, seed)
    try:
        for _ in range(steps):
            world.chance.choice(STEPS)(world)
            if world.chance.random() < 0.8:  # now and then several generations pass
                asked = world.chance.sample(NAMES, world.chance.randint(0, len(NAMES)))
                world.check(asked)
        world.check(NAMES)
    finally:
        world.close()


@pytest.mark.slow
@pytest.mark.parametrize("asked_by_others", [False, True])
def test_a_change_at_each_point_of_the_first_reading_of_an_account(database: Database, asked_by_others: bool) -> None:
    def switched(world: Organisation) -> None:
        set_disabled(OperatorsAuthority(world.database, "root"), "u0", True)

    def deleted(world: Organisation) -> None:
        world.bring(without_user(world.declared, "u0"))

    def restricted(world: Organisation) -> None:
        teams = {name: team._replace(permitted_ips=("10.0.0.0/8",)) for name, team in world.declared.teams.items()}
        world.bring(world.declared._replace(teams=teams))

    def without_teams(world: Organisation) -> None:
        world.bring(world.declared._replace(teams={}))

    for change, point in product(
        (switched, deleted, restricted, without_teams), range(6)
    ):  # before and after its own, and its teams'
        world, calls = begun(database, 1), count()
        try:
            world.keeper.now()
            world.note()

            def interrupt(world: Organisation = world, calls: Any = calls, point: int = point, change: Any = change) -> None:
                if next(calls) == point:
                    change(world)
                    world.note()
                    if asked_by_others:
                        world.keeper.now("u1")

            world.reader.interrupt = interrupt
            snapshot = world.keeper.at(read_stamp(world.other), "u0")
            assert world.was_true(snapshot.stamp, ["u0"], decisions(snapshot.state, ["u0"]))
            assert next(calls) > point
            world.check(["u0", "u1"])
        finally:
            world.close()


@pytest.mark.slow
@settings(SEARCH, max_examples=tries(5))
@given(seed=st.integers(0, 2**32))
def test_a_change_at_any_point_of_a_request_leaves_it_and_all_later_ones_of_one_moment(database: Database, seed: int) -> None:
    world = begun(database, seed)
    left = 0

    def interrupt() -> None:
        """After some more calls: change something, and have it asked for by somebody else."""
        nonlocal left
        left -= 1
        if left != 0:
            return
        for _ in range(world.chance.randint(1, 2)):
            world.chance.choice(INTERRUPTIONS)(world)
            world.note()
        if not world.keeper._renewing.locked() and world.chance.random() < 0.6:
            world.keeper.now(*world.chance.sample(NAMES, world.chance.randint(0, len(NAMES))))

    world.reader.interrupt = interrupt
    world.note()
    try:
        for _ in range(40):
            names = world.chance.sample(NAMES, world.chance.randint(1, len(NAMES)))
            if world.keeper._moment is not None:
                kept = world.keeper._moment
                for name in world.chance.sample(NAMES, world.chance.randint(0, len(NAMES))):
                    kept.accounts.pop(name, None)  # so that it has to be read
                world.keeper._moment = kept._replace(
                    accounts=InterruptedDict(kept.accounts, interrupt), teams=InterruptedDict(kept.teams, interrupt)
                )
            asked = read_stamp(world.other)
            left = world.chance.randint(1, 25)
            snapshot = world.keeper.now(*names)
            left = 0
            assert snapshot.stamp.generation >= asked.generation
            assert world.was_true(snapshot.stamp, names, decisions(snapshot.state, names))
    finally:
        world.close()


INTERRUPTIONS = [
    *[Organisation.apply] * 4,
    *[Organisation.switch] * 2,
    *[Organisation.sync_directory] * 2,
    Organisation.leave_directory,
    Organisation.write_past_everything,
]


@pytest.mark.slow
def test_concurrent_threads_each_see_one_moment_and_never_a_past_one(database: Database) -> None:
    """Each answer is what the database held at the stamp that it names, all of it, and no earlier than when it was asked."""
    world = begun(database, 1)
    answers: list[tuple[Stamp, list[str], Decisions]] = []
    failures: list[BaseException] = []
    stopping = threading.Event()

    def ask(seed: int) -> None:
        chance = Random(seed)
        try:
            while not stopping.is_set():
                names = chance.sample(NAMES, chance.randint(1, len(NAMES)))
                stamp = read_stamp(world.reader)
                snapshot = world.keeper.at(stamp, *names)
                assert snapshot.stamp.generation >= stamp.generation
                answers.append((snapshot.stamp, names, decisions(snapshot.state, names)))
        except BaseException as failure:  # noqa: BLE001 - handed to the test
            failures.append(failure)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(3)]
    threads.append(threading.Thread(target=world.keeper.fill, args=(stopping,)))
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        world.note()
        for thread in threads:
            thread.start()
        for _ in range(tries(60)):
            world.chance.choice([Organisation.apply, Organisation.apply, Organisation.switch, Organisation.sync_directory])(world)
            world.note()
    finally:
        stopping.set()
        world.keeper.stop()
        for thread in threads:
            thread.join()
        sys.setswitchinterval(interval)
        world.close()
    assert failures == []
    assert len({stamp for stamp, _, _ in answers}) > 10
    assert all(world.was_true(*answer) for answer in answers)


def test_an_account_that_is_missing_again_was_read_then(database: Database) -> None:
    """So that a login which read it before that cannot undo it."""
    begun(database, 1)
    entry = Entry("e0", "zoe", "CN=zoe", None, "", False, None, False, False)
    with database.recording() as connection:
        known = directory.provision(connection, "zoe", "example.org", entry, NOW)
        assert not isinstance(known, str)
        for seen_missing, at in ((False, NOW), (True, LATER)):
            directory.mark_missing(connection, known, at, seen_missing=seen_missing)
        found = directory.find(connection, guid="e0")
    assert found is not None and found.is_off
    assert found.was_read_since(NOW, LATER)
