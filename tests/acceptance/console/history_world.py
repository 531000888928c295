"""A console with a history: several revisions, a repair, overrides, and texts that nobody should obey."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from organisation import Applied, copy_repository, copy_sqlite
from scenario import Accord, resource, team, user
from visitor import Visitor, World

HOSTILE = '<script>alert(1)</script>\u202e"onload=x'


def world_of(applied: Applied, folder: Path) -> World:
    """A small organisation in which some can sign in."""
    repository = copy_repository(applied, folder / "config.git")
    found = World(Accord(repository.path, copy_sqlite(applied, folder / "accord.db"), folder / "cache"))
    for name in ("root", "alice", "bob"):
        found.set_password(name)
    return found


def add_history(world: World) -> None:
    """Two revisions more, of which one has to override guards, and a repair of drift."""
    web = team("web", description=HOSTILE[:25], members=["alice"], issuers=["tls", "vpn"], adGroups=["PKI-Web"])
    limits = resource("Settings", "default", {"guards": {"maxAdministrators": 1}})
    world.apply(
        {"teams/web.yaml": web, "users/carol.yaml": user("carol", fullName="Carol <b>Jones</b>"), "settings.yaml": limits}
    )
    admins = team("admins", administrator=True, members=["root", "bob"])
    gone: dict[str, Any] = dict.fromkeys(("users/carol.yaml", "users/broker.yaml", "teams/brokers.yaml"))
    world.repository.commit({**gone, "teams/admins.yaml": admins})
    world.accord("apply", "--yes", "--override", "administrators", "--override", "clock", "--reason", f"told so {HOSTILE}")
    world.execute("UPDATE users SET email = 'evil@example.org' WHERE name = 'bob'")
    world.accord("drift", "--repair", "--yes")


def signed_in(world: World, name: str) -> Visitor:
    """A browser in which somebody has signed in."""
    visitor = Visitor(world)
    visitor.sign_in(name)
    return visitor
