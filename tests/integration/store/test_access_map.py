"""The access map folds, keeps to its budget, counts what it leaves out, and is made anew when the stamp moves."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from console_reads import ORGANISATION, organised, reading
from declared_states import NOW, bring

from api.reads import access_map
from api.reads.access_map import AccessMap, AccessMaps
from reconciler.access.resources import Membership
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
            "teams:": (2, 6),
            "issuers:code": (1, 3),
            "issuers:tls": (1, 3),
        }
        assert found is not None
        assert {(band.start, band.end, band.access) for band in found.bands} == {
            ("people:alice", "teams:", 6),
            ("teams:", "issuers:code", 3),
            ("teams:", "issuers:tls", 3),
        }
        assert (found.people, found.more_people, found.more_teams, found.more_issuers) == (3, 0, 0, 0)
        focused = AccessMaps(reader, at_once).map_of(NOW, "folder", focus="issuers:code")
        assert shown(focused) == {"people:alice": (3, 3), "teams:Team": (1, 3), "issuers:code": (1, 3)}
        assert shown(AccessMaps(reader, at_once).map_of(NOW, focus="people:nobody")) == {}


def test_what_is_left_out_is_counted(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    organised(database)
    monkeypatch.setattr(access_map, "NODES", 3)
    monkeypatch.setattr(access_map, "BANDS", 1)
    with reading(database) as (reader, _):
        found = AccessMaps(reader, at_once).map_of(NOW, "issuer")
        assert found is not None
        assert (len(found.nodes), len(found.bands)) == (3, 1)
        assert (found.more_people, found.more_teams, found.more_issuers, found.more_bands) == (0, 1, 1, 1)


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
