"""A real domain controller, and the API that asks it."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import samba_domain
from directory_world import DirectoryWorld
from fake_controller import Authority
from samba_domain import SambaDomain
from scenario import Accord


def _free_address() -> str:
    """A loopback address with free LDAP ports, because Samba cannot choose others. Each worker searches its own range."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    for number in range(10 + 10 * (worker % 4), 50):
        address = f"127.0.0.{number}"
        try:
            for port in (389, 636):
                with socket.socket() as probe:
                    probe.bind((address, port))
        except OSError:
            continue
        return address
    raise AssertionError("no loopback address is free for a domain controller")


@pytest.fixture(scope="session")
def domains_folder() -> Iterator[Path]:
    """The folder of the domains."""
    if not samba_domain.is_installed():
        reason = "Samba's domain controller is not installed, or we are not root; what needs Active Directory is not tested"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="accord-ad-", dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


def _running(folder: Path, realm: str) -> Iterator[SambaDomain]:
    samba_domain.make_golden(folder / "golden", realm)
    found = SambaDomain(folder / "golden", folder / "dc", _free_address(), realm)
    try:
        found.start()
        minutes = str(-30 * 60 * 10**7)
        policy = {"lockoutThreshold": "4", "lockoutDuration": minutes, "lockOutObservationWindow": minutes, "minPwdAge": "0"}
        found.set(found.base, **policy, maxPwdAge=str(-42 * 86400 * 10**7), pwdProperties="0")
        found.add_user("svc")
        found.change_rights(f"{samba_domain.POLICIES},{found.base}", "(A;CI;RPLCLORC;;;{})", "svc")
        yield found
    finally:
        found.stop()
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def domain(domains_folder: Path) -> Iterator[SambaDomain]:
    """A controller shared by all tests, with a lockout threshold of 4. Tests create their own accounts."""
    yield from _running(domains_folder / "corp", samba_domain.REALM)


@pytest.fixture(scope="session")
def branch(domains_folder: Path) -> Iterator[SambaDomain]:
    """The controller of another domain."""
    yield from _running(domains_folder / "branch", "branch.example.org")


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
