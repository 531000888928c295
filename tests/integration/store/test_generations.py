"""What each generation touched is written with it, in few rows, and read again only if all of it is there."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from declared_states import SMALL, bring, held, query, run_sql
from sqlalchemy import text
from waiting import LONG, until

from reconciler.access.resources import DeclaredState, Issuer, Membership, Permission, Team, User
from reconciler.access.touched import EVERYTHING, Touched
from reconciler.store import generations
from reconciler.store.engine import Database, open_database
from reconciler.store.generations import BETWEEN, raise_generation, read_touched
from reconciler.store.schema import upgrade

ALICE = Touched(frozenset({"alice"}))


def touch(database: Database, *all_touched: Touched) -> int:
    with database.recording() as connection:
        return [raise_generation(connection, touched) for touched in all_touched][-1]


def mark_of(database: Database, generation: int) -> str | None:
    found = query(database, "SELECT mark FROM generations WHERE generation = :generation", generation=generation)
    return found[0][0] if found else None


def since(database: Database, generation: int, mark: str | None, until: int | None = None) -> Touched:
    until = held(database).generation if until is None else until
    with database.reading() as connection:
        statement = BETWEEN.replace("?", ":generation", 1).replace("?", ":until", 1)
        rows = connection.execute(text(statement), {"generation": generation, "until": until})
        return read_touched([tuple(row) for row in rows], generation, mark, until)


def touched_by(database: Database, state: DeclaredState, **options: Any) -> Touched:
    """What bringing a database into accord with a state touches."""
    before = held(database).generation
    mark = mark_of(database, before)
    bring(database, state, commit=f"{before:06x}", **options)
    return since(database, before, mark)


def changed(**kinds: Any) -> DeclaredState:
    """The small state with resources replaced; a None removes one."""
    state = SMALL
    for kind, changes in kinds.items():
        found = {name: each for name, each in {**getattr(state, kind), **changes}.items() if each is not None}
        state = state._replace(**{kind: found})
    return state


WEB, PUBLIC = SMALL.teams["web"], SMALL.issuers["tls-public"]
JUST_ALICE = (Membership("alice"),)


@pytest.mark.parametrize(
    ("state", "accounts", "teams", "issuers"),
    [
        (SMALL, "", "", ""),
        (changed(templates={"welcome": None})._replace(settings=None), "", "", ""),
        (changed(users={"carol": User("carol", "c@example.org")}), "carol", "", ""),
        (changed(users={"portal": None}), "portal", "", ""),
        (changed(users={"alice": SMALL.users["alice"]._replace(enabled=False)}), "alice", "", ""),
        (changed(users={"portal": None, "gate": SMALL.users["portal"]._replace(name="gate", previously=("portal",))}),
         "portal gate", "", ""),
        (changed(teams={"web": WEB._replace(members=JUST_ALICE)}), "bob", "", ""),
        (changed(teams={"web": WEB._replace(members=(*JUST_ALICE, Membership("bob", None, "for good")))}), "bob", "", ""),
        (changed(teams={"web": WEB._replace(members=(*WEB.members, Membership("root")))}), "root", "", ""),
        (changed(teams={"web": WEB._replace(permitted_ips=("10.0.0.0/8",))}), "", "web", ""),
        (changed(teams={"web": WEB._replace(permissions=())}), "", "web", ""),
        (changed(teams={"web": WEB._replace(permissions=(), members=JUST_ALICE)}), "bob", "web", ""),
        (changed(teams={"web": None}), "alice bob", "web", ""),
        (changed(teams={"office": Team("office", members=JUST_ALICE)}), "alice", "office", ""),
        (changed(teams={"web": None, "site": WEB._replace(name="site", previously=("web",))}), "alice bob", "web site", ""),
        (changed(teams={"web": None, "site": WEB._replace(name="site", previously=("web",), members=JUST_ALICE)}),
         "alice bob", "web site", ""),
        (changed(issuers={"tls-public": PUBLIC._replace(enabled=True)}), "", "", "tls-public"),
        (changed(issuers={"vpn": Issuer("vpn")}), "", "", "vpn"),
        (changed(issuers={"tls-public": None}, teams={"web": WEB._replace(permissions=(Permission("tls-internal"),))}),
         "", "web", "tls-public"),
        (changed(
            issuers={"tls-public": None, "tls": PUBLIC._replace(name="tls", previously=("tls-public",))},
            teams={"web": WEB._replace(permissions=(Permission("tls", WEB.permissions[1].until), Permission("tls-internal")))},
        ), "", "web", "tls-public tls"),
    ],
)  # fmt: skip
def test_an_apply_records_what_it_touched(
    database: Database, state: DeclaredState, accounts: str, teams: str, issuers: str
) -> None:
    bring(database, SMALL)
    expected = Touched(frozenset(accounts.split()), frozenset(teams.split()), frozenset(issuers.split()))
    assert touched_by(database, state) == expected


@pytest.mark.parametrize(
    ("web", "touched"),
    [
        (WEB._replace(ad_groups=()), "zoe"),
        (WEB._replace(ad_groups=("PKI-Web", "PKI-More")), ""),
        (WEB._replace(name="site", previously=("web",)), "zoe alice bob"),
        (None, "zoe alice bob"),
    ],
)
def test_directory_accounts_are_touched_if_a_team_goes_or_is_renamed(database: Database, web: Team | None, touched: str) -> None:
    bring(database, SMALL)
    run_sql(
        database, "INSERT INTO users (id, name, email, source) VALUES (99, 'zoe', '', 'directory'), (98, 'yan', '', 'directory')"
    )
    run_sql(database, "INSERT INTO directory_memberships (team_id, user_id) SELECT id, 99 FROM teams WHERE name = 'web'")
    run_sql(database, "INSERT INTO directory_memberships (team_id, user_id) SELECT id, 98 FROM teams WHERE name = 'admins'")
    state = changed(teams={"web": None, **({web.name: web} if web else {})})
    assert touched_by(database, state).accounts == frozenset(touched.split())


@pytest.mark.postgresql
def test_a_login_under_way_is_part_of_what_an_apply_touches(postgresql_url: str) -> None:
    """Else the API would keep what the login gave, after the apply took it away."""
    with open_database(postgresql_url) as database, open_database(postgresql_url) as other, ThreadPoolExecutor(1) as pool:
        upgrade(database)
        bring(database, SMALL)
        run_sql(database, "INSERT INTO users (id, name, email, source) VALUES (99, 'zoe', '', 'directory')")
        with other.recording() as login:
            login.execute(
                text("INSERT INTO directory_memberships (team_id, user_id) SELECT id, 99 FROM teams WHERE name = 'web'")
            )
            raise_generation(login, Touched(frozenset({"zoe"})))
            apply = pool.submit(touched_by, database, changed(teams={"web": WEB._replace(ad_groups=())}))
            until(lambda: query(other, "SELECT 1 FROM pg_locks WHERE NOT granted"), "the apply, which waits for the login")
        assert "zoe" in apply.result(LONG).accounts
        generation = held(database).generation
        assert "zoe" in since(database, generation - 1, mark_of(database, generation - 1)).accounts


@pytest.mark.parametrize("state", [SMALL, changed(users={"portal": None})])
def test_an_apply_over_what_was_written_by_hand_touches_everything(database: Database, state: DeclaredState) -> None:
    bring(database, SMALL)
    run_sql(database, "DELETE FROM memberships WHERE user_id IN (SELECT id FROM users WHERE name = 'alice')")
    assert touched_by(database, state) == EVERYTHING


def test_many_changes_touch_everything(database: Database) -> None:
    bring(database, SMALL)
    people = {f"u{number}": User(f"u{number}", "u@example.org", initial_password="none") for number in range(1_001)}
    assert touched_by(database, changed(users=people)) == EVERYTHING
    assert held(database).generation == 2


def test_generations_add_up(database: Database) -> None:
    touch(database, ALICE, Touched(teams=frozenset({"web"})), Touched(frozenset({"bob"}), issuers=frozenset({"tls"})), Touched())
    mark = mark_of(database, 1)
    assert since(database, 1, mark) == Touched(frozenset({"bob"}), frozenset({"web"}), frozenset({"tls"}))
    assert since(database, 2, mark_of(database, 2)) == Touched(frozenset({"bob"}), issuers=frozenset({"tls"}))
    assert since(database, 4, mark_of(database, 4)) == Touched()
    touch(database, EVERYTHING, ALICE)
    assert since(database, 1, mark) == EVERYTHING
    assert since(database, 5, mark_of(database, 5)) == ALICE


def test_a_gap_another_history_and_a_step_back_touch_everything(database: Database) -> None:
    touch(database, ALICE, ALICE)
    first, second = mark_of(database, 1), mark_of(database, 2)
    assert since(database, 1, first) == ALICE
    assert since(database, 1, "of another history") == since(database, 1, None) == EVERYTHING
    assert since(database, 2, second, until=1) == since(database, 2, second, until=0) == EVERYTHING
    assert since(database, 0, None, until=0) == EVERYTHING
    run_sql(database, "UPDATE state SET generation = generation + 1")  # as an older Accord does
    assert since(database, 2, second) == EVERYTHING
    touch(database, ALICE, ALICE)
    assert since(database, 1, first) == since(database, 2, second) == since(database, 3, mark_of(database, 3)) == EVERYTHING
    assert since(database, 4, mark_of(database, 4)) == ALICE
    run_sql(database, "UPDATE state SET generation = 1")
    assert touch(database, ALICE) == 2
    assert mark_of(database, 2) != second
    assert query(database, "SELECT generation FROM generations ORDER BY 1") == [(1,), (2,)]


@pytest.mark.parametrize("text", ["", "nonsense", "[]", "3", '{"accounts": []}', '{"accounts": 3, "teams": [], "issuers": []}'])
def test_changes_not_written_by_accord_touch_everything(database: Database, text: str) -> None:
    touch(database, ALICE, ALICE)
    run_sql(database, "UPDATE generations SET touched = :text WHERE generation = 2", text=text)
    assert since(database, 1, mark_of(database, 1)) == EVERYTHING


def test_the_log_keeps_only_the_newest_entries(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generations, "MOST_GENERATIONS", 10)
    monkeypatch.setattr(generations, "MOST_KEPT", 20)
    monkeypatch.setattr(generations, "MOST_NAMES", 6)

    def kept() -> list[int]:
        return [row[0] for row in query(database, "SELECT generation FROM generations ORDER BY 1")]

    touch(database, *[ALICE] * 14)
    assert kept() == list(range(5, 15))
    five = Touched(frozenset("abcde"))
    touch(database, *[five] * 3)
    assert kept() == list(range(10, 18))  # 15 names of three, and 5 of five
    touch(database, five, five)
    assert kept() == [16, 17, 18, 19]
    assert touch(database, Touched(frozenset("abcd"), frozenset("abc"))) == 20
    assert query(database, "SELECT names, touched FROM generations WHERE generation = 20") == [(0, None)]
    assert kept() == [16, 17, 18, 19, 20]


def test_a_rollback_raises_nothing(database: Database) -> None:
    with pytest.raises(KeyError), database.recording() as connection:
        raise_generation(connection, ALICE)
        raise KeyError
    assert (held(database).generation, query(database, "SELECT * FROM generations")) == (0, [])
