"""The console of a small organisation, served by a process of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from organisation import Applied, copy_repository, copy_sqlite
from scenario import Accord

sys.path.append(str(Path(__file__).parent.parent / "api"))

from client import PASSWORD, World
from served import Server, serving

PEOPLE = {"root": "an administrator", "alice": "a person"}
"""Who can sign in with PASSWORD, and what they are."""


class Console:
    """A running server, and the world it serves."""

    def __init__(self, world: World, server: Server) -> None:
        self.world = world
        self.server = server
        self.origin = f"http://127.0.0.1:{server.port}"


@contextmanager
def console_of(applied: Applied, folder: Path, *options: str, **environment: str) -> Iterator[Console]:
    """The console over a copy of an applied organisation, in a folder of its own."""
    repository = copy_repository(applied, folder / "config.git")
    world = World(Accord(repository.path, copy_sqlite(applied, folder / "accord.db"), folder / "cache"))
    try:
        for name in PEOPLE:
            world.set_password(name, PASSWORD)
        with serving(world.url, folder, *options, **environment) as server:
            yield Console(world, server)
    finally:
        world.service.stop()
