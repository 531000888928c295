"""A real domain controller, and the API that asks it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from directory_world import DirectoryWorld
from fake_controller import Authority
from samba_domain import SambaDomain, running
from scenario import Accord


@pytest.fixture(scope="session")
def branch(domains_folder: Path) -> Iterator[SambaDomain]:
    """The controller of another domain."""
    with running(domains_folder / "branch", "branch.example.org") as found:
        yield found


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Issues certificates for fake controllers."""
    return Authority(tmp_path_factory.mktemp("authority") / "ca")


@pytest.fixture
def world(organised: Accord, domain: SambaDomain) -> Iterator[DirectoryWorld]:
    """A small organisation with teams that map groups of the domain."""
    found = DirectoryWorld(organised, domain)
    yield found
    found.service.stop()
