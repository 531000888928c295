"""A plan is applied exactly: what is created, changed, renamed, adopted and deleted, with its mails, credentials and log."""

from __future__ import annotations

import json
from typing import Any

import pytest
from declared_states import LATER, NOW, SEARCH, SMALL, bring, emptied, execute, held, origins_of, plan_for, query, run_sql, states
from hypothesis import given

from reconciler.access.resources import DeclaredState, EmailTemplate, Issuer, Membership, Origin, Permission, Settings, Team, User
from reconciler.plan.actual import Actual
from reconciler.plan.plan import Change
from reconciler.store import tables
from reconciler.store.digests import drifted
from reconciler.store.engine import Database
from reconciler.store.read import find_revision, read_actual, read_applied, read_history, revision_at
from reconciler.store.tables import instant_text


def without(state: DeclaredState, **kinds: Any) -> DeclaredState:
    """The state with users, teams … replaced; a None removes one."""
    for kind, changes in kinds.items():
        found = {**getattr(state, kind), **changes}
        state = state._replace(**{kind: {name: resource for name, resource in found.items() if resource is not None}})
    return state


def give_credentials(database: Database, name: str) -> None:
    """A password, a login, a session and a token, as the API would write them."""
    ((user_id,),) = query(database, "SELECT id FROM users WHERE name = :name", name=name)
    later = instant_text(LATER.replace(year=9999))
    run_sql(
        database,
        "INSERT INTO account_states (user_id, password_hash, password_set_at, last_login_at, last_login_address) "
        f"VALUES ({user_id}, '$argon2id$x', '{later}', '{later}', '10.0.0.1')",
    )
    for kind in ("session", "token"):
        run_sql(
            database,
            "INSERT INTO tokens (user_id, kind, accessor, sha256, created_at, expires_at) "
            f"VALUES ({user_id}, '{kind}', '{kind}-{name}', '{kind}-{name}', '{later}', '{later}')",
        )


def credentials(database: Database, name: str) -> list[tuple[Any, ...]]:
    return query(
        database,
        "SELECT kind, accessor, revoked_at FROM tokens JOIN users ON users.id = user_id WHERE users.name = :name ORDER BY 1",
        name=name,
    )


def generation(database: Database) -> int:
    return held(database).generation


def test_what_is_applied_is_what_is_read(database: Database) -> None:
    bring(database, SMALL)
    assert held(database).declared == SMALL
    assert held(database).files == {key: origin.file for key, origin in origins_of(SMALL).items()}
    assert held(database).totals == (4, 2, 2)
    assert held(database).unmanaged == frozenset()


@pytest.mark.slow
@SEARCH
@given(states(), states(), states())
def test_any_state_follows_any_other(
    database: Database, first: DeclaredState, second: DeclaredState, third: DeclaredState
) -> None:
    emptied(database)
    for number, state in enumerate((first, second, third)):
        bring(database, state, commit=f"{number:040x}")
        assert held(database).declared == state
        with database.reading() as connection:
            assert drifted(connection) == []


def test_an_update_changes_every_field(database: Database) -> None:
    bring(database, SMALL)
    changed = DeclaredState(
        users={
            **SMALL.users,
            "alice": User("alice", "a@example.org", None, "application", False, "none", LATER, (("a", "b"),), ("alicia",)),
        },
        teams={
            **SMALL.teams,
            "web": Team(
                "web",
                "Other",
                True,
                (Membership("alice", LATER), Membership("root", None, "helps")),
                (Permission("tls-internal", LATER),),
                ("A", "B"),
                ("::1",),
                "everyone",
                True,
                True,
                (("a", "b"),),
                ("website",),
            ),
        },
        issuers={
            **SMALL.issuers,
            "tls-internal": Issuer("tls-internal", enabled=False, labels=(("a", "b"),), previously=("tls",)),
        },
        templates={"welcome": EmailTemplate("welcome", "s", "t", None, (("a", "b"),))},
        settings=Settings(policies=(("logins", "{}"),), labels=(("a", "b"),)),
    )
    bring(database, changed)
    assert held(database).declared == changed


def test_applying_the_same_revision_again_writes_nothing(database: Database) -> None:
    bring(database, SMALL)
    before = {table.name: query(database, f"SELECT * FROM {table.name} ORDER BY 1, 2") for table in tables.metadata.sorted_tables}
    with database.writing() as connection:
        assert execute(connection, plan_for(read_actual(connection, now=NOW), SMALL)) is None
    after = {table.name: query(database, f"SELECT * FROM {table.name} ORDER BY 1, 2") for table in tables.metadata.sorted_tables}
    assert after == before


def test_another_revision_without_changes_is_recorded_and_raises_no_generation(database: Database) -> None:
    bring(database, SMALL)
    before = generation(database)
    bring(database, SMALL, commit="beef")
    assert generation(database) == before
    with database.reading() as connection:
        assert [applied.revision.commit for applied in read_history(connection)] == ["beef", "c0ffee"]


@pytest.mark.parametrize(
    "changed",
    [
        without(SMALL, users={"carol": User("carol", "carol@example.org")}),
        without(SMALL, users={"portal": None}),
        without(SMALL, users={"alice": SMALL.users["alice"]._replace(email="other@example.org")}),
        without(SMALL, teams={"web": SMALL.teams["web"]._replace(members=())}),
        without(SMALL, issuers={"tls-public": SMALL.issuers["tls-public"]._replace(enabled=True)}),
        without(SMALL, templates={"welcome": None}),
        SMALL._replace(settings=None),
    ],
)
def test_every_changed_fact_raises_the_generation(database: Database, changed: DeclaredState) -> None:
    bring(database, SMALL)
    before = generation(database)
    bring(database, changed, commit="beef")
    assert generation(database) == before + 1


def test_a_generation_raised_meanwhile_is_raised_further(database: Database) -> None:
    bring(database, SMALL)
    with database.writing() as connection:
        plan = plan_for(read_actual(connection, now=NOW), without(SMALL, users={"portal": None}), commit="beef")
    run_sql(database, "UPDATE state SET generation = generation + 5")  # as a directory synchronisation does
    with database.writing() as connection:
        execute(connection, plan)
    assert generation(database) == plan.generation + 6
    with database.reading() as connection:
        applied = read_applied(connection)
        assert applied is not None
        assert applied.generation == plan.generation + 6


def test_a_renamed_user_keeps_id_memberships_password_and_tokens(database: Database) -> None:
    bring(database, SMALL)
    give_credentials(database, "bob")
    before = query(database, "SELECT * FROM account_states"), query(database, "SELECT * FROM tokens ORDER BY id")
    ((user_id,),) = query(database, "SELECT id FROM users WHERE name = 'bob'")
    web = SMALL.teams["web"]
    renamed = without(
        SMALL,
        users={"bob": None, "robert": SMALL.users["bob"]._replace(name="robert", previously=("bob",))},
        teams={"web": web._replace(members=(web.members[0], web.members[1]._replace(user="robert")))},
    )
    plan = bring(database, renamed, commit="beef")
    assert [(change.action, change.name) for change in plan.changes] == [("rename", "robert")]
    assert query(database, "SELECT id FROM users WHERE name = 'robert'") == [(user_id,)]
    assert (query(database, "SELECT * FROM account_states"), query(database, "SELECT * FROM tokens ORDER BY id")) == before
    assert held(database).declared == renamed
    with database.reading() as connection:
        assert drifted(connection) == []


def test_a_rename_and_a_changed_membership_meet_in_one_plan(database: Database) -> None:
    bring(database, SMALL)
    renamed = without(
        SMALL,
        users={"bob": None, "robert": SMALL.users["bob"]._replace(name="robert", previously=("bob",))},
        teams={
            "web": SMALL.teams["web"]._replace(members=(Membership("robert", None, "stays"),)),
            "admins": SMALL.teams["admins"]._replace(members=(Membership("robert"), Membership("root"))),
        },
    )
    bring(database, renamed, commit="beef")
    assert held(database).declared == renamed


def rename(state: DeclaredState, old: str, new: str) -> Change:
    before = state.users[old]
    after = before._replace(name=new, previously=(old,))
    return Change("rename", "User", new, Origin(f"User/{new}.yaml", 1), before, after)


@pytest.mark.parametrize(
    ("names", "left"),
    [
        ({"alice": "bob", "bob": "carol"}, ["bob", "carol", "portal", "root"]),
        ({"bob": "alice", "alice": "bob"}, ["alice", "bob", "portal", "root"]),
        ({"alice": "bob", "bob": "root", "root": "alice"}, ["alice", "bob", "portal", "root"]),
    ],
)
def test_names_may_move_along_chains_and_cycles(database: Database, names: dict[str, str], left: list[str]) -> None:
    bring(database, SMALL)
    ids = dict(query(database, "SELECT name, id FROM users"))
    with database.writing() as connection:
        plan = plan_for(read_actual(connection, now=NOW), SMALL, commit="beef")
        execute(connection, plan._replace(changes=tuple(rename(SMALL, old, new) for old, new in names.items())))
    found = dict(query(database, "SELECT name, id FROM users"))
    assert sorted(found) == left
    assert {new: found[new] for new in names.values()} == {new: ids[old] for old, new in names.items()}
    assert held(database).declared.teams["admins"].members == (Membership(names.get("root", "root")),)


def test_an_earlier_name_may_pass_from_one_resource_to_another(database: Database) -> None:
    bob, alice = SMALL.users["bob"], SMALL.users["alice"]
    bring(database, without(SMALL, users={"bob": bob._replace(previously=("robert",))}))
    for state in (
        without(SMALL, users={"alice": alice._replace(previously=("robert",))}),
        without(SMALL, users={"carol": User("carol", "carol@example.org", previously=("robert",))}),
        without(SMALL, users={"bob": bob._replace(previously=("robert",))}),
    ):
        bring(database, state, commit="beef")
        assert held(database).declared == state
        claimed = [(user.name,) for user in state.users.values() if user.previously]
        assert query(database, "SELECT name FROM previous_names WHERE previous = 'robert'") == claimed


def test_a_deleted_user_loses_memberships_and_tokens_and_frees_its_address(database: Database) -> None:
    bring(database, SMALL)
    give_credentials(database, "alice")
    gone = without(
        SMALL, users={"alice": None}, teams={"web": SMALL.teams["web"]._replace(members=SMALL.teams["web"].members[1:])}
    )
    plan = bring(database, gone, commit="beef")
    assert (plan.effects.sessions_ended, plan.effects.tokens_ended) == (1, 1)
    assert query(database, "SELECT * FROM tokens") == []
    assert query(database, "SELECT * FROM account_states") == []
    assert query(database, "SELECT name FROM outbox LEFT JOIN users ON users.id = user_id ORDER BY outbox.id") == [
        (None,),
        ("root",),
    ]
    assert query(database, "SELECT action FROM audit WHERE name = 'alice' ORDER BY id") == [("user.create",), ("user.delete",)]
    assert held(database).declared == gone


@pytest.mark.parametrize("new_name", ["alice", "alison"])
def test_a_disabled_users_tokens_and_sessions_are_revoked(database: Database, new_name: str) -> None:
    bring(database, SMALL)
    give_credentials(database, "alice")
    give_credentials(database, "bob")
    alice = SMALL.users["alice"]._replace(name=new_name, enabled=False, previously=() if new_name == "alice" else ("alice",))
    web = SMALL.teams["web"]
    state = without(
        SMALL,
        users={"alice": None, new_name: alice},
        teams={"web": web._replace(members=tuple(sorted((Membership(new_name), web.members[1]))))},
    )
    bring(database, state, commit="beef")
    moment = instant_text(NOW)
    assert credentials(database, new_name) == [("session", "session-alice", moment), ("token", "token-alice", moment)]
    assert {row[2] for row in credentials(database, "bob")} == {None}
    bring(database, without(state, users={new_name: alice._replace(enabled=True)}), commit="cafe")
    assert {row[2] for row in credentials(database, new_name)} == {moment}


def test_tokens_of_others_that_came_of_ended_accounts_are_named(database: Database) -> None:
    state = without(SMALL, users={name: User(name, f"{name}@example.org") for name in ("carol", "dave", "portal", "shop")})
    bring(database, state)
    for name in ("carol", "dave", "portal", "shop"):
        give_credentials(database, name)
    for accessor, minter in (
        ("token-portal", "session-carol"),  # and so does its successor
        ("session-portal", "token-portal"),
        ("session-shop", "session-dave"),
        ("token-shop", "session-carol"),
        ("token-dave", "session-carol"),  # which ends with its account
    ):
        run_sql(database, f"UPDATE tokens SET minter = '{minter}' WHERE accessor = '{accessor}'")
    run_sql(database, f"UPDATE tokens SET revoked_at = '{instant_text(NOW)}' WHERE accessor = 'token-shop'")
    market = state.users["shop"]._replace(name="market", previously=("shop",))
    gone = {"carol": None, "dave": state.users["dave"]._replace(enabled=False), "shop": None, "market": market}
    bring(database, without(state, users=gone), commit="beef")
    rows = query(database, "SELECT name, detail FROM audit WHERE revision_id = 2 ORDER BY name")
    named = {name: json.loads(detail).get("mintedForOthers") for name, detail in rows if name}
    assert named == {
        "carol": [{"user": "portal", "token": "session-portal"}, {"user": "portal", "token": "token-portal"}],
        "dave": [{"user": "market", "token": "session-shop"}],
        "market": None,
    }


def test_an_update_leaves_password_login_and_tokens_alone(database: Database) -> None:
    bring(database, SMALL)
    give_credentials(database, "alice")
    before = query(database, "SELECT * FROM account_states"), query(database, "SELECT * FROM tokens ORDER BY id")
    alice = SMALL.users["alice"]._replace(email="new@example.org", full_name=None, initial_password="none", labels=(("a", "b"),))
    bring(database, without(SMALL, users={"alice": alice}), commit="beef")
    assert (query(database, "SELECT * FROM account_states"), query(database, "SELECT * FROM tokens ORDER BY id")) == before


def test_new_people_with_a_generated_password_are_welcomed_and_no_mail_holds_one(database: Database) -> None:
    plan = bring(database, SMALL)
    mails = query(
        database, "SELECT name, template, sent_at, attempts, detail FROM outbox JOIN users ON users.id = user_id ORDER BY 1"
    )
    assert mails == [("alice", "welcome", None, 0, "{}"), ("root", "welcome", None, 0, "{}")]
    assert plan.effects.mails == 2
    assert {column.name for column in tables.outbox.columns} == {
        "id", "template", "user_id", "certificate_id", "recipient", "created_at", "attempts", "next_attempt_at", "claim",
        "message_id", "sent_at", "ended_at", "given_up", "last_error", "detail",
    }  # fmt: skip
    bring(database, without(SMALL, users={"alice": SMALL.users["alice"]._replace(email="x@example.org")}), commit="beef")
    assert len(query(database, "SELECT id FROM outbox")) == 2


def test_a_waiting_welcome_mail_lets_somebody_log_in(database: Database) -> None:
    bring(database, SMALL)
    assert held(database).runtime.can_set_password == {"alice", "root"}
    run_sql(database, "UPDATE outbox SET sent_at = created_at")
    assert held(database).runtime.can_set_password == frozenset()
    give_credentials(database, "bob")
    assert held(database).runtime.can_set_password == {"bob"}
    assert held(database).runtime.sessions == {"bob": 1}
    assert held(database).runtime.tokens == {"bob": 1}


def test_unmanaged_rows_are_left_alone_and_adopted_when_asked(database: Database) -> None:
    bring(database, SMALL)
    run_sql(database, "INSERT INTO users (name, email) VALUES ('carol', 'c@example.org'), ('dave', 'd@example.org')")
    assert held(database).unmanaged == {("User", "carol"), ("User", "dave")}
    bring(database, SMALL, commit="beef")
    assert set(held(database).declared.users) == {*SMALL.users, "carol", "dave"}
    carol = User("carol", "carol@example.org", initial_password="none")
    ((carols_id,),) = query(database, "SELECT id FROM users WHERE name = 'carol'")
    plan = bring(database, without(SMALL, users={"carol": carol}), commit="cafe", adopt=True)
    assert [(change.action, change.name) for change in plan.changes] == [("adopt", "carol"), ("delete", "dave")]
    assert held(database).declared == without(SMALL, users={"carol": carol})
    assert held(database).unmanaged == frozenset()
    assert query(database, "SELECT id FROM users WHERE name = 'carol'") == [(carols_id,)]


def test_a_resource_that_moves_to_another_file_changes_nothing_else(database: Database) -> None:
    bring(database, SMALL)
    before = generation(database)
    plan = bring(database, SMALL, commit="beef", origins=origins_of(SMALL, "moved/"))
    assert plan.is_empty
    assert held(database).files == {key: f"moved/{key[0]}/{key[1]}.yaml" for key in origins_of(SMALL)}
    assert held(database).declared == SMALL
    assert generation(database) == before
    with database.reading() as connection:
        assert drifted(connection) == []


def test_a_revision_is_recorded_and_found_again(database: Database) -> None:
    bring(database, SMALL, commit="a" * 40)
    bring(database, without(SMALL, users={"portal": None}), commit="ab" * 20)
    with database.reading() as connection:
        applied = read_applied(connection)
        assert applied is not None
        assert applied.revision.commit == "ab" * 20
        nobody = dict.fromkeys(["gained", "lost", "administratorsGained", "administratorsLost", "mails"], 0)
        assert applied.counts == {"delete": 1, **nobody}
        assert (applied.applied_by, applied.applied_at, applied.repository, applied.branch) == (
            "tester",
            NOW,
            "config.git",
            "main",
        )
        assert find_revision(connection, "abab") == applied
        assert find_revision(connection, "aba") is None
        assert find_revision(connection, "%%%%") is None
        assert revision_at(connection, NOW) == applied
        assert revision_at(connection, NOW.replace(year=2025)) is None


def test_every_change_has_its_entry_in_the_audit_log(database: Database) -> None:
    plan = bring(database, SMALL)
    entries = query(database, "SELECT action, kind, name, detail, actor, revision_id FROM audit ORDER BY id")
    assert entries[0][:3] == ("revision.apply", "", "")
    assert [entry[:3] for entry in entries[1:]] == [
        (f"{change.kind.lower()}.{change.action}", change.kind, change.name) for change in plan.changes
    ]
    assert {entry[4:] for entry in entries} == {("tester", 1)}
    assert json.loads(entries[1][3])["source"] == "User/alice.yaml:1"


def test_an_apply_that_fails_leaves_nothing_behind(database: Database) -> None:
    bring(database, SMALL)
    before = held(database)
    broken = without(SMALL, users={"carol": User("carol", "c@example.org"), "dave": None})

    class Broken(Exception):
        """Something unforeseen."""

    with pytest.raises(Broken), database.writing() as connection:
        execute(connection, plan_for(read_actual(connection, now=NOW), broken, commit="beef"))
        raise Broken
    assert held(database) == before


def test_an_empty_plan_on_an_empty_database_records_the_revision(database: Database) -> None:
    bring(database, DeclaredState())
    assert held(database) == Actual(applied=plan_for(Actual(), DeclaredState()).revision)
