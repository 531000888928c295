"""Rows are the same people, teams and issuers through any history of names: applied, skipped or reverted."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from effort import tries
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from scenario import ConfigRepository, issuer, team, user
from sqlalchemy import text

from reconciler.plan.guards import GUARDS
from reconciler.plan.objections import Override
from reconciler.plan.plan import Plan
from reconciler.run.applying import Order, apply_revision
from reconciler.run.deployment import Deployment
from reconciler.run.drift import find_drift, repair
from reconciler.run.errors import InvalidConfiguration, Unsafe
from reconciler.run.planning import compare_revisions, plan_revision
from reconciler.store.engine import open_database

NOW = datetime(2026, 6, 1, tzinfo=UTC)
EVERY_OTHER = [Override(guard, "test") for guard in GUARDS if guard != "identity-handed-over"]
KINDS = ("User", "Team", "Issuer")
MARKS = {"User": ("users", "full_name"), "Team": ("teams", "description"), "Issuer": ("issuers", "description")}

# explaining traces every line, for minutes
PHASES = [Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink]
SEARCH = settings(max_examples=tries(20), suppress_health_check=list(HealthCheck), deadline=None, phases=PHASES)

Thing = tuple[str, int]
"""A kind and a number: somebody or something that stays the same under any name."""


class World(NamedTuple):
    """What is called how, and was called before, most recent first; whether users are declared with their identities."""

    names: dict[Thing, list[str]]
    identified: bool
    step: int = 0

    def documents(self) -> dict[str, Any]:
        people, issuers = (
            [self.names[thing][0] for thing in sorted(self.names) if thing[0] == kind] for kind in ("User", "Issuer")
        )
        found: dict[str, Any] = {"README.md": "names"}
        for (kind, number), (name, *before) in self.names.items():
            mark = f"{kind} {number}"
            if kind == "User":
                document = user(name, fullName=mark, email=f"{number}@example.org", initialPassword="none")
                if self.identified:
                    document["metadata"]["identity"] = f"person {number}"
            elif kind == "Issuer":
                document = issuer(name, description=mark)
            else:
                document = team(name, description=mark, members=people[number % 2 :], issuers=issuers[number % 2 :])
            document["metadata"]["previously"] = before
            found[f"{kind.lower()}s/{name}.yaml"] = document
        return found


@st.composite
def worlds(draw: st.DrawFn) -> World:
    return World(
        {(kind, n): [f"{kind[0].lower()}{n}"] for kind in KINDS for n in range(draw(st.integers(1, 3)))}, draw(st.booleans())
    )


@st.composite
def later(draw: st.DrawFn, before: World) -> World:
    """A world in which some have other names, some of these names are others', some have left and some are new."""
    names = {thing: list(known) for thing, known in before.names.items()}
    for kind in KINDS:
        numbers = iter(range(10 * (before.step + 1), 10 * (before.step + 2)))  # no name is chosen twice, and nobody comes back
        fresh = (f"{kind[0].lower()}{number}" for number in range(10 * (before.step + 1), 10 * (before.step + 2)))
        vacated = []
        for thing in [thing for thing in before.names if thing[0] == kind]:
            change = draw(st.sampled_from(["stay", "stay", "move", "move", "leave"]))
            takes_over = any(names[thing][0] in known[1:] for known in before.names.values())
            if change == "move" and not takes_over:
                vacated.append(names[thing][0])
                names[thing].insert(0, next(fresh))
            elif change == "leave" and kind == "User" and len([other for other in names if other[0] == kind]) > 1:
                left = names.pop(thing)
                vacated += left[:1] if before.identified else []
        for name in [*vacated, next(fresh)]:
            if draw(st.booleans()):
                names[kind, next(numbers)] = [name]
    return World(names, before.identified, before.step + 1)


class Database:
    """A database that the revisions of a repository are applied to, and the rows in it."""

    def __init__(self, folder: Path, url: str) -> None:
        self.repository = ConfigRepository(folder / "config.git")
        self.deployment = Deployment(str(self.repository.path), "main", "", url, folder / "cache")

    def apply(self, *worlds: World) -> Plan:
        """Commit these worlds one after the other, and apply only the last one."""
        for world in worlds:
            self.repository.commit(world.documents(), whole=True)
        order = Order(None, overrides=EVERY_OTHER)
        return apply_revision(self.deployment, order, applied_by="test", clock=lambda: NOW).plan

    def rows(self) -> dict[Thing, tuple[str, int]]:
        """Who is called how, with the number of the row."""
        with open_database(self.deployment.database_url) as database, database.reading() as connection:
            return {
                (kind, int(mark.split()[1])): (name, number)
                for kind, (table, column) in MARKS.items()
                for mark, name, number in connection.execute(text(f"SELECT {column}, name, id FROM {table}"))
            }

    def passwords(self) -> dict[str, str]:
        """Whose password everybody has who has one."""
        with open_database(self.deployment.database_url) as database, database.reading() as connection:
            query = "SELECT full_name, password_hash FROM users JOIN account_states ON user_id = users.id"
            return {row[0]: row[1] for row in connection.execute(text(query))}

    def give_passwords(self) -> None:
        with open_database(self.deployment.database_url) as database, database.writing() as connection:
            connection.execute(text("INSERT INTO account_states (user_id, password_hash) SELECT id, full_name FROM users"))


@contextmanager
def databases(count: int) -> Iterator[list[Database]]:
    with tempfile.TemporaryDirectory() as folder:
        found = []
        for number in range(count):
            (Path(folder) / str(number)).mkdir()
            found.append(Database(Path(folder) / str(number), f"sqlite:///{folder}/{number}/accord.db"))
        yield found


def apply_and_check(database: Database, *worlds: World) -> None:
    """Everybody gets the name declared; who was there has the row of before, and who was not has a new one."""
    before, world = database.rows(), worlds[-1]
    database.apply(*worlds)
    after = database.rows()
    assert {thing: name for thing, (name, _) in after.items()} == {thing: names[0] for thing, names in world.names.items()}
    numbers = {(thing[0], number) for thing, (_, number) in before.items()}
    for thing, (_, number) in after.items():
        if thing in before:
            assert number == before[thing][1], thing
        else:
            assert (thing[0], number) not in numbers, thing
    assert all(owner == password for owner, password in database.passwords().items())


@SEARCH
@given(st.data())
def test_skipping_a_revision_ends_as_applying_it_does(data: st.DataObject) -> None:
    first = data.draw(worlds())
    second = data.draw(later(first))
    third = data.draw(later(second))
    with databases(2) as (stepwise, skipping):
        for database in (stepwise, skipping):
            database.apply(first)
            database.give_passwords()
        apply_and_check(stepwise, second)
        apply_and_check(stepwise, third)
        try:
            apply_and_check(skipping, second, third)
        except (
            Unsafe
        ):  # somebody left, and in between the login was another's: only an identity could say so, and no earlier name
            users = [known for thing, known in third.names.items() if thing[0] == "User"]
            left = [known[0] for thing, known in first.names.items() if thing not in third.names]
            names = {old for known in users for old in known[1:]} if first.identified else {known[0] for known in users}
            assert not names.isdisjoint(left)
        else:
            assert stepwise.passwords() == skipping.passwords()


@SEARCH
@given(st.data())
def test_reverting_a_revision_ends_where_it_began(data: st.DataObject) -> None:
    first = data.draw(worlds())
    second = data.draw(later(first))
    with databases(1) as (database,):
        database.apply(first)
        database.give_passwords()
        at_first, passwords = database.rows(), database.passwords()
        database.apply(second)
        stayed = {thing: row for thing, row in at_first.items() if thing in second.names}
        plan = database.apply(first)
        after = database.rows()
        assert {thing: after[thing] for thing in stayed} == stayed
        assert {thing: name for thing, (name, _) in after.items()} == {thing: name for thing, (name, _) in at_first.items()}
        kept = {f"{kind} {number}" for kind, number in stayed}
        assert database.passwords() == {owner: password for owner, password in passwords.items() if owner in kept}
        assert plan_revision(database.deployment, None, now=NOW).is_empty
        assert plan.access == compare_revisions(database.deployment, "main", "main~1", now=NOW).access


JANE, JOHN = ("User", 0), ("User", 1)


def simple(identified: bool, **names: Sequence[str]) -> World:
    found = {JANE: list(names.get("jane", ())), JOHN: list(names.get("john", ())), ("Team", 0): ["t0"], ("Issuer", 0): ["i0"]}
    return World({thing: known for thing, known in found.items() if known}, identified)


@pytest.mark.parametrize("identified", [False, True])
def test_a_login_that_passes_to_another_person_on_either_database(database_url: str, tmp_path: Path, identified: bool) -> None:
    database = Database(tmp_path, database_url)
    database.apply(simple(identified, jane=["jane"]))
    database.give_passwords()
    handed_over = simple(identified, john=["jane"])
    if not identified:
        with pytest.raises(Unsafe, match="identity-handed-over"):
            database.apply(handed_over)
        assert database.passwords() == {"User 0": "User 0"}
    else:
        apply_and_check(database, handed_over)
        assert database.passwords() == {}


@pytest.mark.parametrize("identified", [False, True])
def test_a_rename_a_new_hire_and_their_revert_on_either_database(database_url: str, tmp_path: Path, identified: bool) -> None:
    database = Database(tmp_path, database_url)
    before = simple(identified, jane=["jane"])
    database.apply(before)
    database.give_passwords()
    at_first = database.rows()
    apply_and_check(database, simple(identified, jane=["doe", "jane"], john=["jane"]))
    assert database.passwords() == {"User 0": "User 0"}
    database.apply(before)
    assert database.rows() == at_first
    assert database.passwords() == {"User 0": "User 0"}


def account(name: str, email: str, full_name: str, previously: Sequence[str] = (), identity: str | None = None) -> dict[str, Any]:
    document = user(name, email=email, fullName=full_name, initialPassword="none")
    document["metadata"].update({"previously": list(previously)} if previously else {})
    document["metadata"].update({"identity": identity} if identity else {})
    return document


DOE = account("jane", "jane.doe@example.org", "Jane Doe")
SMITH = account("smith", "smith@example.org", "Jane Smith", ["jane"])


@pytest.mark.parametrize(
    "later",
    [
        [SMITH],
        [SMITH, account("jsmith", "jsmith@example.org", "J. Smith", ["smith", "jane"])],
        [SMITH, account("smith", "smith@example.org", "Jane Smith-Doe", ["jane"])],
        [account("smith", "smith@example.org", "Jane Smith", ["jane"], "jane.doe@example.org")],
        [account("jane", "smith@example.org", "Jane Smith", identity="jane.doe@example.org")],
    ],
)
def test_a_person_with_another_login_address_and_name_is_given_back_by_a_revert(
    database_url: str, tmp_path: Path, later: list[dict[str, Any]]
) -> None:
    database = Database(tmp_path, database_url)

    def apply(document: dict[str, Any]) -> Plan:
        database.repository.commit({"jane.yaml": document}, whole=True)
        return database.apply()

    apply(DOE)
    database.give_passwords()
    query = "SELECT users.id, name, email, full_name, password_hash FROM users JOIN account_states ON user_id = users.id"
    with open_database(database.deployment.database_url) as opened, opened.reading() as connection:
        at_first = connection.execute(text(query)).all()
    for document in later:
        apply(document)
    with pytest.raises(Unsafe, match="identity-handed-over"):
        apply(account("jane", "jane.2@example.org", "Jane Doe"))
    plan = apply(DOE)
    assert [warning.rule for warning in plan.warnings] == ["identity-handed-over"]
    with open_database(database.deployment.database_url) as opened, opened.reading() as connection:
        assert connection.execute(text(query)).all() == at_first


def person(name: str, email: str, *previously: str) -> dict[str, Any]:
    document = user(name, email=email, initialPassword="none")
    document["metadata"].update({"previously": list(previously)} if previously else {})
    return document


def test_the_account_of_who_leaves_does_not_become_that_of_who_has_the_earlier_login(database_url: str, tmp_path: Path) -> None:
    database = Database(tmp_path, database_url)
    ann, leaver = person("ann", "ann@example.org"), person("ann.b", "annb@example.org", "ann")
    for documents in ({"ann.yaml": ann}, {"ann.yaml": leaver}, {"ann.yaml": leaver, "hire.yaml": ann}):
        database.repository.commit(documents, whole=True)
        database.apply()
    database.repository.commit({"hire.yaml": ann}, whole=True)
    assert [(change.action, change.name) for change in database.apply().changes] == [("delete", "ann.b")]


@pytest.mark.parametrize("full_name", ["Ann Lee", None])
def test_a_reverted_rename_passes_without_a_database_as_it_does_with_one(tmp_path: Path, full_name: str | None) -> None:
    database = Database(tmp_path, f"sqlite:///{tmp_path}/accord.db")
    ann, moved = person("ann", "ann@example.org"), person("ann.b", "ann.b@example.org", "ann")
    for document in (ann, moved):
        document["spec"].update({"fullName": full_name} if full_name else {})
        database.repository.commit({"ann.yaml": document}, whole=True)
        database.apply()
    database.repository.commit({"ann.yaml": ann}, whole=True)
    for plan in (
        plan_revision(database.deployment, None, now=NOW),
        compare_revisions(database.deployment, "main", "main~1", now=NOW),
    ):
        assert [(change.name, change.previous_name) for change in plan.changes] == [("ann", "ann.b")]
        assert "identity-handed-over" not in [guard.id for guard in plan.refusals]


@pytest.mark.parametrize(
    ("second", "heir"),
    [
        (person("ann", "annx@example.org"), person("ann.c", "annc@example.org", "ann")),
        (person("ann.b", "annb@example.org", "ann"), person("ann.c", "annc@example.org", "ann.b", "ann")),
    ],
)
def test_a_new_hire_who_is_what_somebody_had_been_does_not_get_the_account(
    database_url: str, tmp_path: Path, second: dict[str, Any], heir: dict[str, Any]
) -> None:
    database = Database(tmp_path, database_url)
    ann = person("ann", "ann@example.org")
    for documents in ({"ann.yaml": ann}, {"ann.yaml": second}):
        database.repository.commit(documents, whole=True)
        database.apply()
    database.repository.commit({"ann.yaml": heir, "hire.yaml": ann}, whole=True)
    with pytest.raises(Unsafe, match="identity-handed-over"):
        database.apply()
    ann["metadata"]["identity"] = "emp-2"
    database.repository.commit({"ann.yaml": heir, "hire.yaml": ann}, whole=True)
    plan = database.apply()
    assert sorted((each.name, each.previous_name) for each in plan.changes) == [
        ("ann", None),
        ("ann.c", second["metadata"]["name"]),
    ]


@pytest.mark.parametrize("by", ["drift", "apply"])
def test_what_was_written_by_hand_and_repaired_is_nothing_that_an_account_had_been(
    database_url: str, tmp_path: Path, by: str
) -> None:
    database = Database(tmp_path, database_url)
    jane, john = person("jane", "jane@example.org"), person("jane", "john@example.org")
    jane["spec"]["fullName"], john["spec"]["fullName"] = "Jane Doe", "John Roe"
    database.repository.commit({"jane.yaml": jane}, whole=True)
    database.apply()
    with open_database(database_url) as opened, opened.writing() as connection:
        connection.execute(text("UPDATE users SET email = 'john@example.org', full_name = 'John Roe'"))
    if by == "drift":
        drift = find_drift(database.deployment, now=NOW)
        assert drift.plan is not None
        repair(database.deployment, drift.plan, overrides=EVERY_OTHER, applied_by="test", clock=lambda: NOW)
    else:
        assert [change.action for change in database.apply().changes] == ["update"]
    database.repository.commit({"jane.yaml": john}, whole=True)
    with pytest.raises(Unsafe, match="identity-handed-over"):
        database.apply()


@pytest.mark.parametrize("change", [{"email": "new@example.org"}, {"fullName": "User 9"}])
def test_skipping_the_revision_that_brings_an_identity_ends_no_account(tmp_path: Path, change: dict[str, str]) -> None:
    plain, identified = (simple(known, jane=["jane"]).documents() for known in (False, True))
    identified["users/jane.yaml"]["spec"].update(change)
    with databases(2) as (stepwise, skipping):
        for database in (stepwise, skipping):
            database.repository.commit(plain, whole=True)
            database.apply()
        stepwise.apply(simple(True, jane=["jane"]))
        before = {number for _, number in stepwise.rows().values()}
        for database in (stepwise, skipping):
            database.repository.commit(identified, whole=True)
        stepwise.apply()
        assert {number for _, number in stepwise.rows().values()} == before
        with pytest.raises(Unsafe, match="identity-handed-over"):
            skipping.apply()


@pytest.mark.parametrize("held", ["E-SS", "e-\u00df"])
def test_an_identity_in_other_letters_is_the_same_one_on_either_database(database_url: str, tmp_path: Path, held: str) -> None:
    """The second revision does not touch the file of who has it: only the database knows."""
    database = Database(tmp_path, database_url)
    documents = simple(True, jane=["jane"]).documents()
    documents["users/jane.yaml"]["metadata"]["identity"] = held
    database.repository.commit(documents, whole=True)
    database.apply()
    for identity in ("e-ss", "E-\u1e9e"):
        another = simple(True, john=["john"]).documents()["users/john.yaml"]
        another["metadata"]["identity"] = identity
        database.repository.commit({"users/john.yaml": another})
        with pytest.raises(InvalidConfiguration) as refused:
            database.apply()
        assert [problem.rule for problem in refused.value.problems] == ["duplicate-identity"]
    another["metadata"]["identity"] = "e-s"
    database.repository.commit({"users/john.yaml": another})
    assert [change.name for change in database.apply().changes] == ["john"]
