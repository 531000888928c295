"""The access map folds, keeps to its budget, counts what it leaves out, and is made anew when the stamp moves."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
from console_reads import ORGANISATION, organised, reading
from declared_states import NOW, bring, run_sql

from api.reads import access_map
from api.reads.access_map import AccessMap, AccessMaps, Facts, Key
from api.state.reader import Reader
from api.state.snapshots import read_stamp
from reconciler.access.resources import DeclaredState, Issuer, Membership, Permission, Team
from reconciler.store.engine import Database


def at_once(function: Callable[[], None]) -> None:
    function()


def shown(found: AccessMap | None) -> dict[str, tuple[int, int]]:
    assert found is not None
    return {node.id: (node.number, node.access) for node in found.nodes}


def test_people_and_issuers_fold_and_bands_carry_the_ways(database: Database) -> None:
    organised(database)
    with reading(database) as (reader, _):
        found = AccessMaps(reader, at_once).map_of(NOW, "label", "none")
        # alice, carol and dora are enabled members of `web`; the membership of alice in `old` has ended; tls: by two teams
        assert shown(found) == {
            "people:alice": (3, 6),
            "team:web": (1, 6),  # alone in its group, and so shown by itself; nobody is in `old` now
            "issuers:code": (1, 3),
            "issuers:tls": (1, 3),
        }
        assert found is not None
        # the membership of carol ends by itself, and so does the permission for `code`
        assert {tuple(band) for band in found.bands} == {
            ("people:alice", "team:web", 6, 4),
            ("team:web", "issuers:code", 3, 3),
            ("team:web", "issuers:tls", 3, 1),
        }
        assert (found.people, found.more_people, found.more_teams, found.more_issuers) == (3, 0, 0, 0)
        focused = AccessMaps(reader, at_once).map_of(NOW, "folder", focus="issuers:code")
        assert shown(focused) == {"people:alice": (3, 3), "team:web": (1, 3), "issuers:code": (1, 3)}
        for focus in ("people:nobody", "team:none", "teams:none", "issuers:none", "issuers:off", "team:idle", "x", ""):
            assert shown(AccessMaps(reader, at_once).map_of(NOW, focus=focus)) == {}
        around = AccessMaps(reader, at_once).map_of(NOW, focus="people:carol")  # is in the class of alice
        assert shown(around) == shown(AccessMaps(reader, at_once).map_of(NOW, focus="team:web"))


def test_teams_fold_by_folder_and_by_label_and_unfold_in_focus(database: Database) -> None:
    web, more = ORGANISATION.teams["web"], {}
    for number in range(6):
        labels = (("part", "one" if number < 2 else "two"), ("rare", "x"))[: 1 + (number == 0)]
        more[f"team-{number}"] = web._replace(name=f"team-{number}", labels=labels)
    bring(database, ORGANISATION._replace(teams={**ORGANISATION.teams, **more}))
    with reading(database) as (reader, _):
        maps = AccessMaps(reader, at_once)
        assert maps.labels() == ()
        by_label = shown(maps.map_of(NOW, "label", "part"))
        assert maps.labels() == ("part", "rare")
        assert {name: number for name, (number, _) in by_label.items() if name.startswith("team")} == {
            "teams:": 2,
            "teams:one": 2,
            "teams:two": 4,
        }
        unfolded = shown(maps.map_of(NOW, "label", "part", focus="teams:two"))
        assert [name for name in unfolded if name.startswith("team")] == [f"team:team-{number}" for number in range(2, 6)]


def test_what_is_left_out_is_counted(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    organised(database)
    monkeypatch.setattr(access_map, "NODES", 3)
    monkeypatch.setattr(access_map, "BANDS", 1)
    with reading(database) as (reader, _):
        found = AccessMaps(reader, at_once).map_of(NOW, "issuer")
        assert found is not None
        assert (len(found.nodes), len(found.bands)) == (3, 1)
        assert (found.more_people, found.more_teams, found.more_issuers, found.more_bands) == (0, 0, 1, 1)


def test_no_node_hangs_loose_and_people_s_bands_are_not_lost_beside_wide_ones(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_map, "BANDS", 9)
    everybody = tuple(Membership(name) for name in sorted(ORGANISATION.users))
    granted = {"a": ("i0", "i1"), "b": ("i1", "i2"), "c": ("i0", "i2"), "few": ("i0",)}
    teams = {
        name: Team(
            name,
            administrator=name == "a",
            members=everybody if name != "few" else (Membership("carol"),),
            permissions=tuple(Permission(each) for each in issuers),
        )
        for name, issuers in granted.items()
    }
    bring(database, DeclaredState(ORGANISATION.users, teams, {name: Issuer(name) for name in ("i0", "i1", "i2")}))
    with reading(database) as (reader, _):
        found = AccessMaps(reader, at_once).map_of(NOW, "issuer", focus="issuers:i0")
        assert found is not None
        assert {node.id for node in found.nodes} == {end for band in found.bands for end in (band.start, band.end)}
        found = AccessMaps(reader, at_once).map_of(NOW)
    assert found is not None and len(found.bands) == 9 and found.more_bands > 0
    assert {node.id for node in found.nodes} == {end for band in found.bands for end in (band.start, band.end)}


def test_a_map_is_made_anew_beside_the_callers(database: Database) -> None:
    organised(database)
    waiting: list[Callable[[], None]] = []
    with reading(database) as (reader, _):
        maps = AccessMaps(reader, waiting.append)
        assert maps.map_of(NOW) is None
        assert maps.map_of(NOW) is None
        assert len(waiting) == 1
        waiting.pop()()
        first = maps.map_of(NOW)
        assert shown(first)["people:alice"] == (3, 6)
        assert maps.map_of(NOW) is first
        web = ORGANISATION.teams["web"]._replace(members=(Membership("alice"),))
        bring(database, ORGANISATION._replace(teams={**ORGANISATION.teams, "web": web}), "beef")
        assert maps.map_of(NOW) is first
        waiting.pop()()
        assert shown(maps.map_of(NOW))["people:alice"] == (2, 4)


def test_maps_that_are_stopped_read_no_more(database: Database) -> None:
    organised(database)
    waiting: list[Callable[[], None]] = []
    with reading(database) as (reader, _):
        maps = AccessMaps(reader, waiting.append)
        assert maps.map_of(NOW) is None
        maps.stop(timeout=0)
        waiting.pop()()  # ends at the next pause
        assert maps.map_of(NOW) is None and not waiting


def test_a_map_that_is_being_read_when_its_reader_is_closed_ends_quietly(database: Database) -> None:
    organised(database)
    waiting: list[Callable[[], None]] = []
    with reading(database) as (reader, _):
        assert AccessMaps(reader, waiting.append).map_of(NOW) is None
    waiting.pop()()


def test_only_labels_that_teams_have_fold_them_and_only_those_are_made_anew(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    web = ORGANISATION.teams["web"]
    labelled = {f"team-{each}": web._replace(name=f"team-{each}", labels=(("part", each), ("rare", each))) for each in "ab"}
    bring(database, ORGANISATION._replace(teams={**ORGANISATION.teams, **labelled}))
    made: list[Key] = []

    def make(facts: Facts, *key: object) -> AccessMap:
        made.append(key)  # type: ignore[arg-type]
        return original(facts, *key)  # type: ignore[arg-type]

    original = access_map.make_map
    monkeypatch.setattr(access_map, "make_map", make)
    with reading(database) as (reader, _):
        maps = AccessMaps(reader, at_once)
        assert maps.label_of("part") == ""
        first = maps.map_of(NOW, "label", "nobody-has-this")
        for number in range(300):
            assert maps.map_of(NOW, "label", f"x{number}") is first
        assert shown(maps.map_of(NOW, "label", "rare")) != {}
        assert [maps.label_of(each) for each in ("rare", "x", "")] == ["rare", "part", "part"]
        assert set(made) == {("folder", "", None), ("issuer", "", None), ("label", "part", None), ("label", "rare", None)}
        renamed = {name: team._replace(labels=(("part", name), ("new", name))) for name, team in labelled.items()}
        bring(database, ORGANISATION._replace(teams={**ORGANISATION.teams, **renamed}), "beef")
        made.clear()
        maps.map_of(NOW)
        assert set(made) == {("folder", "", None), ("issuer", "", None), ("label", "new", None), ("label", "part", None)}


def test_gaps_between_numbers_of_accounts_take_no_time(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    organised(database)
    far = "INSERT INTO users (id, name, email, source, file) VALUES (2000000000, 'zoe', 'zoe@example.org', 'declared', 'z.yaml')"
    run_sql(database, far)
    run_sql(database, "INSERT INTO memberships (team_id, user_id) SELECT id, 2000000000 FROM teams WHERE name = 'web'")
    monkeypatch.setattr(access_map, "_AT_ONCE", 2)
    pauses: list[None] = []
    with reading(database) as (reader, _):
        facts = access_map.read_facts(reader, read_stamp(reader), NOW, lambda: pauses.append(None))
    assert len(pauses) == 4 + 1  # seven accounts, two at once, and the permissions
    assert facts.with_access == 4
    assert sum(each.number for each in facts.people) == 5


@pytest.mark.parametrize("table", ["teams", "issuers"])
def test_what_is_deleted_while_facts_are_read_is_on_no_map(database: Database, table: str) -> None:
    organised(database)
    pauses: list[None] = []

    def pause() -> None:
        pauses.append(None)
        if len(pauses) == 2:  # the permissions have been read, and teams and issuers have not
            column, name = {"teams": ("team_id", "old"), "issuers": ("issuer_id", "code")}[table]
            of_it = f"(SELECT id FROM {table} WHERE name = '{name}')"
            for other in ("memberships", "directory_memberships", "permissions") if table == "teams" else ("permissions",):
                run_sql(database, f"DELETE FROM {other} WHERE {column} = {of_it}")
            run_sql(database, f"DELETE FROM {table} WHERE name = '{name}'")

    with reading(database) as (reader, _):
        facts = access_map.read_facts(reader, read_stamp(reader), NOW, pause)
    for by in ("folder", "issuer", "label"):
        found = access_map.make_map(facts, by, "", None)  # type: ignore[arg-type]
        assert {"teams": "team:old", "issuers": "issuers:code"}[table] not in shown(found)
        assert "team:web" in shown(found)


def test_a_map_that_cannot_be_made_is_logged_and_tried_again(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    organised(database)
    original = access_map.read_facts

    def read_badly(reader: Reader, *_: object) -> Facts:
        raise KeyError(7)

    with reading(database) as (reader, _), caplog.at_level(logging.ERROR, "accord.api"):
        maps = AccessMaps(reader)  # in a thread, as always
        monkeypatch.setattr(access_map, "read_facts", read_badly)
        assert maps.map_of(NOW) is None
        maps.stop(timeout=10)
        assert [record.getMessage() for record in caplog.records] == ["making the access map failed (KeyError); it tries again"]
        maps = AccessMaps(reader, at_once)
        assert maps.map_of(NOW) is None
        monkeypatch.setattr(access_map, "read_facts", original)
        assert shown(maps.map_of(NOW)) != {}
