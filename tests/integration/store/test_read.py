"""What is read is what was applied; a part of it agrees with the whole, and leads to the same plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg
import pytest
from declared_states import LATER, NOW, SEARCH, SMALL, TEXTS, bring, emptied, held, plan_for, query, run_sql, states
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event

from reconciler.access.ad_groups import folded
from reconciler.access.resources import (
    KINDS,
    Declaration,
    DeclaredState,
    Issuer,
    Key,
    Membership,
    Origin,
    Resource,
    Team,
    User,
    with_resources,
)
from reconciler.plan.actual import Actual, Runtime
from reconciler.run.delta import Delta, scope_of
from reconciler.source.load import Loaded
from reconciler.store import read
from reconciler.store.engine import Database, open_database
from reconciler.store.read import Scope, read_actual
from reconciler.store.schema import upgrade
from reconciler.store.tables import instant_text

NAMES = {"User": ["u0", "u1", "u2", "u3", "u4"], "Team": ["t0", "t1", "t2"], "Issuer": ["i0", "i1", "i2"]}


def some(kind: str) -> st.SearchStrategy[frozenset[str]]:
    return st.frozensets(st.sampled_from([*NAMES[kind], "nobody"]), max_size=2)


GROUPS = st.frozensets(TEXTS.map(str.casefold), max_size=2)
SCOPES = st.tuples(  # every field, by a strategy of ours: Hypothesis would draw names that no file can hold
    *map(some, ["User", "Team", "Issuer", "Team", "Team", "Issuer", "Issuer"]), GROUPS, some("Team"), GROUPS
).map(Scope._make)


@st.composite
def runtimes(draw: st.DrawFn) -> list[str]:
    """Statements that write runtime facts, as the API would: directory accounts, passwords, switches, tokens."""
    found = ["INSERT INTO users (name, email, source) VALUES ('dora', 'd@corp.example.org', 'directory')"]
    for team in sorted(draw(some("Team"))):
        found.append(
            "INSERT INTO directory_memberships (team_id, user_id) "
            f"SELECT teams.id, users.id FROM teams, users WHERE teams.name = '{team}' AND users.name = 'dora'"
        )
    moment = instant_text(LATER.replace(year=9999))
    for number, user in enumerate(sorted(draw(st.frozensets(st.sampled_from([*NAMES["User"], "dora"]))))):
        password = draw(st.sampled_from(["NULL", "'$argon2id$x'"]))
        off = draw(st.sampled_from(["false", "true"]))
        found.append(
            f"INSERT INTO account_states (user_id, password_hash, disabled_by_administrator) SELECT id, {password}, {off} "
            f"FROM users WHERE name = '{user}'"
        )
        found.append(
            "INSERT INTO tokens (user_id, kind, accessor, sha256, created_at, expires_at) "
            f"SELECT id, '{draw(st.sampled_from(['session', 'token']))}', 'a{number}', 's{number}', '{moment}', '{moment}' "
            f"FROM users WHERE name = '{user}'"
        )
    return found


def prepare(database: Database, state: DeclaredState, statements: list[str]) -> Actual:
    emptied(database)
    bring(database, state)
    for statement in statements:
        run_sql(database, statement)
    return held(database)


def part_of(database: Database, scope: Scope) -> Actual:
    with database.reading() as connection:
        return read_actual(connection, scope, now=NOW)


def assert_within(part: Mapping[Any, Any], whole: Mapping[Any, Any]) -> None:
    assert dict(part) == {key: whole[key] for key in part}


@SEARCH
@given(states(), runtimes(), SCOPES)
def test_a_partial_state_agrees_with_the_whole(
    database: Database, state: DeclaredState, statements: list[str], scope: Scope
) -> None:
    whole = prepare(database, state, statements)
    part = part_of(database, scope)
    assert_within(part.declared.users, whole.declared.users)
    assert_within(part.declared.issuers, whole.declared.issuers)
    assert part.declared.templates == whole.declared.templates
    assert part.declared.settings == whole.declared.settings
    for name, team in part.declared.teams.items():
        expected = whole.declared.teams[name]
        assert set(team.members) <= set(expected.members)
        assert team._replace(members=()) == expected._replace(members=())
    assert (part.unmanaged, part.totals, part.generation, part.applied) == (
        whole.unmanaged,
        whole.totals,
        whole.generation,
        whole.applied,
    )
    assert_within(part.files, whole.files)
    known = set(part.declared.users) | part.runtime.directory_accounts
    assert part.runtime.directory_accounts <= whole.runtime.directory_accounts
    assert part.runtime.disabled == whole.runtime.disabled & known
    assert part.runtime.can_set_password == whole.runtime.can_set_password & known
    assert part.runtime.sessions == {name: count for name, count in whole.runtime.sessions.items() if name in known}
    assert part.runtime.tokens == {name: count for name, count in whole.runtime.tokens.items() if name in known}


@SEARCH
@given(states(), SCOPES)
def test_a_partial_state_holds_what_was_asked_for(database: Database, state: DeclaredState, scope: Scope) -> None:
    whole = prepare(database, state, []).declared
    part = part_of(database, scope).declared
    assert scope.users & whole.users.keys() <= part.users.keys()
    assert (scope.issuers | scope.granted_issuers) & whole.issuers.keys() <= part.issuers.keys()
    administering = {name for name, team in whole.teams.items() if team.administrator}
    guarded = {name for name, team in whole.teams.items() if any(one.issuer in scope.guarded_issuers for one in team.permissions)}
    entire = (scope.teams | scope.whole_teams | scope.guarded_teams | administering) & whole.teams.keys() | guarded
    assert {name: part.teams[name] for name in entire} == {name: whole.teams[name] for name in entire}
    assert {name for name, team in whole.teams.items() if scope.groups & folded(team.ad_groups)} <= part.teams.keys()
    for name, team in whole.teams.items():
        mine = {member for member in team.members if member.user in scope.users}
        assert not mine or mine <= set(part.teams[name].members)


def resources_of(state: DeclaredState) -> dict[Key, Resource]:
    return {(kind, name): resource for kind in KINDS for name, resource in state.of_kind(kind).items()}


@pytest.mark.slow
@SEARCH
@given(states(), states(), runtimes())
def test_a_plan_from_the_partial_state_is_the_plan_from_the_whole(
    database: Database, before: DeclaredState, after: DeclaredState, statements: list[str]
) -> None:
    whole = prepare(database, before, statements)
    old, new = resources_of(before), resources_of(after)
    changed = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
    plan = plan_for(whole, after, "beef")
    declarations = tuple(Declaration(key[0], new[key], plan_origin(key)) for key in changed if key in new)
    loaded = Loaded(declarations, (), 0, no_place)
    delta = Delta({key: old[key] for key in changed if key in old}, loaded, loaded)
    with database.reading() as connection:
        part = read_actual(connection, scope_of(connection, delta, NOW), now=NOW)
    left: dict[Any, dict[str, Resource]] = {kind: dict(part.declared.of_kind(kind)) for kind in KINDS}
    for kind, name in changed:
        assert left[kind].pop(name, None) == old.get((kind, name))
        if (kind, name) in new:
            left[kind][name] = new[kind, name]
    desired = with_resources(part.declared, left)
    origins = {(declaration.kind, declaration.resource.name): declaration.origin for declaration in declarations}
    short = plan_for(part, desired, "beef", origins=origins or {("User", "none"): plan_origin(("User", "none"))})
    assert short == plan


def plan_origin(key: Key) -> Origin:
    return Origin(f"{key[0]}/{key[1]}.yaml", 1)


def no_place(_: Any) -> list[tuple[int, int]]:
    raise AssertionError("nothing is located here")


def test_an_empty_scope_reads_hardly_anything(database: Database) -> None:
    many = DeclaredState(
        users={f"u{n}": User(f"u{n}", "x@example.org", initial_password="none") for n in range(200)},
        teams={
            "admins": Team("admins", administrator=True, members=(Membership("u0"),)),
            "all": Team("all", members=tuple(sorted(Membership(f"u{n}") for n in range(200)))),
        },
        issuers={"tls": Issuer("tls")},
    )
    bring(database, many)
    part = part_of(database, Scope())
    assert set(part.declared.users) == {"u0"}
    assert part.declared.teams == {"admins": many.teams["admins"]}
    one = part_of(database, Scope(users=frozenset({"u7"})))
    assert set(one.declared.users) == {"u0", "u7"}
    assert one.declared.teams["all"].members == (Membership("u7"),)


def test_more_names_than_one_statement_takes_are_read(database: Database) -> None:
    many = {f"u{n}": User(f"u{n}", f"{n}@example.org", initial_password="none") for n in range(1203)}
    bring(database, DeclaredState(users=many))
    assert part_of(database, Scope(users=frozenset(many))).declared.users == many


def test_tokens_that_ended_do_not_count(database: Database) -> None:
    bring(database, SMALL)
    old, late = instant_text(NOW.replace(year=2020)), instant_text(NOW.replace(year=9999))
    for number, (expires, revoked) in enumerate([(old, "NULL"), (late, f"'{old}'"), (late, "NULL")]):
        run_sql(
            database,
            "INSERT INTO tokens (user_id, kind, accessor, sha256, created_at, expires_at, revoked_at) "
            f"SELECT id, 'token', 'a{number}', 's{number}', '{old}', '{expires}', {revoked} FROM users WHERE name = 'alice'",
        )
    assert held(database).runtime.tokens == {"alice": 1}


@pytest.mark.postgresql
def test_an_account_that_appears_while_a_writer_reads_is_left_out(postgresql_url: str) -> None:
    """A writer on PostgreSQL sees what the API commits between two of its statements."""
    late = instant_text(NOW.replace(year=9999))
    meanwhile = [
        "INSERT INTO users (name, email, source) VALUES ('dora', 'd@corp.example.org', 'directory')",
        "INSERT INTO directory_memberships (team_id, user_id) "
        "SELECT teams.id, users.id FROM teams, users WHERE users.name = 'dora'",
        "INSERT INTO account_states (user_id, disabled_by_directory) SELECT id, true FROM users WHERE name = 'dora'",
        "INSERT INTO tokens (user_id, kind, accessor, sha256, created_at, expires_at) "
        f"SELECT id, 'session', 'a', 's', '{late}', '{late}' FROM users WHERE name = 'dora'",
    ]
    with open_database(postgresql_url) as database, psycopg.connect(postgresql_url) as other:
        upgrade(database)
        bring(database, SMALL)
        with database.writing() as connection:

            @event.listens_for(connection, "after_cursor_execute")
            def once_users_were_read(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
                if " FROM users" in statement and meanwhile:
                    for written in meanwhile:
                        other.execute(written.encode())
                    other.commit()
                    meanwhile.clear()

            actual = read_actual(connection, now=NOW)
        assert meanwhile == []
        assert actual.declared == SMALL
        assert actual.runtime == Runtime(can_set_password=frozenset({"alice", "root"}))
        assert held(database).runtime.sessions == {"dora": 1}


def test_lookups_of_names(database: Database) -> None:
    state = SMALL._replace(
        users={**SMALL.users, "alice": SMALL.users["alice"]._replace(previously=("alicia",))},
        issuers={**SMALL.issuers, "spare": Issuer("spare", "Straße")},
    )
    bring(database, state)
    run_sql(database, "INSERT INTO users (name, email, source) VALUES ('dora', 'd@corp.example.org', 'directory')")
    with database.reading() as connection:
        assert read.names_existing(connection, "User", ["alice", "dora", "nobody"]) == {"alice"}
        assert read.names_existing(connection, "Team", ["web", "nobody"]) == {"web"}
        assert sorted(read.all_names(connection, "Issuer")) == ["spare", "tls-internal", "tls-public"]
        assert read.teams_referring(connection, "User", ["alice", "portal"]) == {"alice": ("web",)}
        assert read.teams_referring(connection, "Issuer", ["tls-public", "spare"]) == {"tls-public": ("web",)}
        assert read.teams_referring(connection, "Team", ["admins", "nobody"]) == {"admins": ("web", "Settings")}
        assert read.teams_referring(connection, "Settings", ["default"]) == {}
        assert read.display_names(connection, "Team") == {"admins": "admins", "web": "web"}
        assert read.display_names(connection, "Issuer") == {
            "spare": "spare",
            "strasse": "spare",
            "tls-internal": "tls-internal",
            "internal tls": "tls-internal",
            "tls-public": "tls-public",
        }
        assert read.previous_names(connection, "User", ["alicia", "x"]) == {"alicia": "alice"}
        assert read.granted_issuers(connection, ["tls-public", "spare"], []) == {"tls-public"}
        assert read.granted_issuers(connection, ["tls-public", "spare"], ["web"]) == frozenset()
        assert read.settings_in_force(connection) == [state.settings]
    assert query(database, "SELECT count(*) FROM previous_names") == [(1,)]
