"""The identifiers that existing clients keep, and the index of aliases for logging in."""

from __future__ import annotations

import pytest
from declared_states import bring, held, query, run_sql

from reconciler.access.public_ids import derived_ids
from reconciler.access.resources import DeclaredState, Issuer, Kind, Team, User
from reconciler.store.engine import Database
from reconciler.store.login_aliases import alias_owners


def ids(database: Database, table: str = "users") -> dict[str, str]:
    return dict(query(database, f"SELECT name, public_id FROM {table}"))


def usual(kind: Kind, name: str, number: int = 1) -> str:
    found = derived_ids(kind, name)
    return [next(found) for _ in range(number)][-1]


def people(*users: User) -> DeclaredState:
    return DeclaredState(users={user.name: user for user in users})


def person(name: str, *logins: str, **fields: object) -> User:
    return User(name, f"{name}@example.org", logins=logins, **fields)  # type: ignore[arg-type]


def aliases(database: Database) -> dict[str, str]:
    return dict(query(database, "SELECT l.alias, u.name FROM login_aliases l JOIN users u ON u.id = l.user_id"))


def test_new_rows_get_the_identifiers_of_their_names(database: Database) -> None:
    state = people(person("alice"))._replace(teams={"alice": Team("alice")}, issuers={"tls": Issuer("tls")})
    bring(database, state)
    assert ids(database) == {"alice": usual("User", "alice")}
    assert ids(database, "teams") == {"alice": usual("Team", "alice")}
    assert ids(database, "issuers") == {"tls": usual("Issuer", "tls")}
    assert len({*ids(database).values(), *ids(database, "teams").values()}) == 2


def test_a_rename_keeps_the_identifier_and_a_new_one_with_the_old_name_gets_another(database: Database) -> None:
    bring(database, people(person("fred")))
    kept = ids(database)["fred"]
    bring(database, people(User("frederick", "fred@example.org", previously=("fred",))), "bb")
    assert ids(database) == {"frederick": kept}
    renamed = User("frederick", "fred@example.org", previously=("fred",))
    bring(database, people(renamed, User("fred", "other@example.org", "Another Fred")), "cc")
    assert ids(database) == {"frederick": kept, "fred": usual("User", "fred", 2)}


def test_a_new_person_with_the_name_of_one_who_ends_gets_another_identifier(database: Database) -> None:
    bring(database, people(User("fred", "f@example.org", "Fred", identity="1")))
    bring(database, people(User("fred", "o@example.org", "Other", identity="2")), "bb")
    assert ids(database) == {"fred": usual("User", "fred", 2)}


def test_an_identifier_that_another_one_declares_is_not_derived_again(database: Database) -> None:
    bring(database, people(person("bob", certdog_id=usual("User", "alice"))))
    bring(database, people(person("bob", certdog_id=usual("User", "alice")), person("alice")), "bb")
    assert ids(database)["alice"] == usual("User", "alice", 2)


def test_an_identifier_that_another_one_declares_at_once_is_not_derived(database: Database) -> None:
    bring(database, people(person("alice"), person("bob", certdog_id=usual("User", "alice"))))
    assert ids(database) == {"alice": usual("User", "alice", 2), "bob": usual("User", "bob")}


def test_who_declares_the_identifier_of_its_own_name_keeps_it(database: Database) -> None:
    bring(database, people(person("alice", certdog_id=usual("User", "alice"))))
    bring(database, people(person("alice")), "bb")
    assert ids(database) == {"alice": usual("User", "alice")}


def test_rows_made_by_hand_get_theirs_with_the_next_revision(database: Database) -> None:
    bring(database, people(person("bob")))
    run_sql(database, "INSERT INTO users (name, email) VALUES ('carol', 'c@example.org'), ('dave', 'd@example.org')")
    assert ids(database)["carol"] == ids(database)["dave"] == ""
    bring(database, people(person("bob", "Robert")), "bb")
    assert ids(database) == {name: usual("User", name) for name in ("bob", "carol", "dave")}


def test_an_update_leaves_the_identifier(database: Database) -> None:
    bring(database, people(person("bob")))
    bring(database, people(person("bob", "Robert", certdog_id="5" * 24)), "bb")
    assert query(database, "SELECT public_id, certdog_id FROM users") == [(usual("User", "bob"), "5" * 24)]


def test_aliases_are_indexed_as_users_change(database: Database) -> None:
    bring(database, people(person("ann", "Ann Ä", "CORP\\Ann"), person("ben")))
    assert aliases(database) == {"ann ä": "ann", "corp\\ann": "ann"}
    bring(database, people(person("ann", "CORP\\Ann"), person("ben", "Ann Ä"), person("cid", "C")), "bb")  # one moves
    assert aliases(database) == {"ann ä": "ben", "corp\\ann": "ann", "c": "cid"}
    bring(database, people(User("anna", "ann@example.org", logins=("C",), previously=("ann",)), person("ben")), "cc")
    assert aliases(database) == {"c": "anna"}
    bring(database, people(person("ben")), "dd")
    assert query(database, "SELECT count(*) FROM login_aliases") == [(0,)]


def test_what_is_declared_holds_and_not_its_index(database: Database) -> None:
    bring(database, people(person("ann", "Ann A"), person("ben")))
    run_sql(database, "UPDATE login_aliases SET user_id = (SELECT id FROM users WHERE name = 'ben')")
    with database.reading() as connection:
        assert alias_owners(connection, ["ann a"]) == {}
    bring(database, people(person("ann", "Ann A"), person("ben", "B")), "bb")
    bring(database, people(person("ann", "ann a"), person("ben", "B")), "cc")
    assert aliases(database) == {"ann a": "ann", "b": "ben"}
    assert held(database).declared.users["ann"].logins == ("ann a",)


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
@pytest.mark.parametrize("table", ["users", "teams", "issuers"])
def test_identifiers_are_looked_up_by_index(database: Database, table: str) -> None:
    def how(condition: str) -> str:
        return str(query(database, f"EXPLAIN QUERY PLAN SELECT name FROM {table} WHERE {condition}"))

    assert f"ix_{table}_public_id" in how("public_id = 'x' AND public_id <> ''")
    assert f"ix_{table}_certdog_id" in how("certdog_id = 'x'")
    assert f"ix_{table}_underived" in how("public_id = ''")
