"""What a deployment is told at its start about the addresses that it believes."""

from __future__ import annotations

import pytest
from client import World
from scenario import team

from api.serving.advice import advice
from api.settings import read_settings
from reconciler.store.engine import open_database

UNRESTRICTED = {"teams/office.yaml": team("office", members=["bob"], issuers=["tls"])}
pytestmark = pytest.mark.parametrize("database_kind", ["sqlite", "postgresql"])


def told(world: World, server: str = "waitress", **environment: str) -> list[str]:
    settings = read_settings({"database_url": world.url}, {f"ACCORD_{name}": value for name, value in environment.items()})
    with open_database(world.url) as database:
        return list(advice(settings, database, server))


def test_a_deployment_whose_loopback_callers_were_let_in_is_told_what_to_set(world: World) -> None:
    (said,) = told(world)
    assert "ACCORD_TRUSTED_PROXIES" in said
    assert "ACCORD_LOCAL_SOCKET" in said
    assert told(world, LISTEN="[::1]:8080") == told(world, LISTEN="localhost:8080") == [said]
    for decided in ({"TRUSTED_PROXIES": "127.0.0.1"}, {"LOCAL_SOCKET": "/run/accord/local.sock"}, {"LISTEN": "10.20.0.5:8080"}):
        assert told(world, **decided) == []
    world.apply(UNRESTRICTED)
    assert told(world) == []
    world.mint("alice", permitted_ips=["10.20.0.0/16"])
    assert told(world) == [said]


def test_a_range_of_proxies_that_others_share_is_warned_of(world: World) -> None:
    for wide in ("10.0.0.0/8", "0.0.0.0/0", "192.168.0.0/16", "fd00::/8", "::/0", "10.1.0.0-10.1.1.0"):
        (said,) = told(world, TRUSTED_PROXIES=wide)
        assert wide in said
    assert told(world, TRUSTED_PROXIES="127.0.0.0/8,::1,10.20.0.0/24,10.20.1.5,2001:db8::/64") == []


def test_granian_says_which_header_it_believes(world: World) -> None:
    (said,) = told(world, "granian", TRUSTED_PROXIES="10.20.0.5")
    assert "`Forwarded`" in said
