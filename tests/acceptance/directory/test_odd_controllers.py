"""Controllers that misbehave as Samba never would: referrals, truncated pages, limits, and thousands of groups."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from client import Caller
from directory_world import DirectoryWorld
from fake_controller import Authority, FakeController, Fault, sid
from faulty_proxy import Listener
from scenario import Accord

from api.directory.controllers import DirectoryUnavailable
from api.directory.domains import Domain

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


@pytest.fixture
def controller(authority: Authority) -> Iterator[FakeController]:
    found = FakeController(authority.file, authority.issue())
    yield found
    found.close()


@pytest.fixture
def world(organised: Accord, controller: FakeController) -> Iterator[DirectoryWorld]:
    found = DirectoryWorld(organised, controller)
    yield found
    found.service.stop()


class Stranger(Listener):
    """A listener that nobody may contact."""

    def __init__(self) -> None:
        self.visits = 0
        super().__init__()
        self.url = f"ldap://127.0.0.1:{self.port}/DC=corp,DC=example,DC=org"

    def serve(self, client: socket.socket) -> None:
        self.visits += 1
        client.close()


@pytest.fixture
def stranger() -> Iterator[Stranger]:
    found = Stranger()
    yield found
    found.close()


def two_sessions(world: DirectoryWorld, controller: FakeController) -> list[Caller]:
    """Two accounts with access; the second is then deleted in the directory."""
    controller.add_account("ann")
    dn = controller.add_account("ben")
    sessions = [world.login(name) for name in ("ann", "ben")]
    del controller.entries[dn]
    return sessions


def test_a_bind_that_is_referred_elsewhere_is_503_and_the_password_goes_nowhere(
    world: DirectoryWorld, controller: FakeController, stranger: Stranger
) -> None:
    controller.add_account("ann")
    controller.bind_fault = Fault(10, stranger.url)
    world.login("ann", code=503)
    assert (stranger.visits, world.audit("login.fail")) == (0, [])


def test_a_search_that_is_referred_elsewhere_is_never_followed(
    world: DirectoryWorld, controller: FakeController, stranger: Stranger
) -> None:
    controller.add_account("ann")
    controller.search_fault = Fault(10, stranger.url)
    world.login("ann", code=503)
    assert (stranger.visits, world.audit("login.fail")) == (0, [])


def test_referrals_to_more_of_a_directory_are_ignored(
    world: DirectoryWorld, controller: FakeController, stranger: Stranger
) -> None:
    controller.add_account("ann")
    controller.continuation = stranger.url
    world.login("ann")("GET", "/me", 200)
    world.cycle()
    assert stranger.visits == 0


FAULTS = {
    "end": Fault(cut=True),
    "busy": Fault(51),
    "size limit": Fault(4),
    "time limit": Fault(3),
    "limit": Fault(11),
    "referral": Fault(10, "ldap://127.0.0.1:9/"),
    "unavailable": Fault(52),
    "no such base": Fault(32),
}


@pytest.mark.parametrize("page", [None, 1], ids=["whole", "page"])
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_an_incomplete_answer_changes_nothing(
    world: DirectoryWorld, controller: FakeController, fault: Fault, page: int | None
) -> None:
    first, second = two_sessions(world, controller)
    if page is not None:
        controller.add_account("cleo")
        world.login("cleo")
        controller.page = page
    controller.search_fault = fault
    for _ in range(3):
        with pytest.raises(DirectoryUnavailable):
            world.cycle()
    for session in (first, second):
        session("GET", "/me", 200)
    assert world.audit("account.disable") == []
    assert world.service.reader.rows("SELECT user_id FROM directory_accounts WHERE missing_since IS NOT NULL") == []
    controller.search_fault = None
    world.cycle()
    second("GET", "/me", 200)
    world.cycle()
    second("GET", "/me", 401)
    first("GET", "/me", 200)


def test_an_incomplete_answer_does_not_remove_a_replaced_account(world: DirectoryWorld, controller: FakeController) -> None:
    dn = controller.add_account("ann")
    session = world.login("ann")
    del controller.entries[dn]
    controller.add_account("ann")
    controller.search_fault = Fault(4)
    world.login("ann", code=503)
    session("GET", "/me", 200)
    assert world.audit("account.delete") == []


@pytest.mark.parametrize("attribute", ["userAccountControl", "accountExpires", "msDS-User-Account-Control-Computed"])
def test_an_account_shown_incompletely_is_neither_gone_nor_read(
    world: DirectoryWorld, controller: FakeController, attribute: str
) -> None:
    dn = controller.add_account("ann")
    session = world.login("ann")
    value = controller.entries[dn].pop(attribute)
    ((before,),) = world.service.reader.rows("SELECT read_at FROM directory_accounts")
    for _ in range(3):
        world.cycle()
    session("GET", "/me", 200)
    ((after, missing_since),) = world.service.reader.rows("SELECT read_at, missing_since FROM directory_accounts")
    assert (after < before, missing_since) == (True, None)
    assert world.refused("ann") == "unknown-account"
    controller.entries[dn][attribute] = value
    world.cycle()
    assert world.service.reader.rows("SELECT read_at FROM directory_accounts")[0][0] > before[0][0]


@pytest.mark.parametrize("told_at_a_time", [None, 1500])
def test_an_account_in_five_thousand_groups_has_the_right_teams(
    world: DirectoryWorld, controller: FakeController, told_at_a_time: int | None
) -> None:
    controller.range = told_at_a_time
    controller.add_account("ann", *(sid(number) for number in range(1000, 6000)))
    for number in (1000, 5999, 6000):
        controller.add_group(f"g{number}", number)
        world.map_group(f"g{number}", f"team{number}")
    world.map_group("S-1-5-21-1-1-1-3456", "team3456")
    session = world.login("ann")
    assert session("GET", "/me", 200)["teams"] == ["team1000", "team3456", "team5999"]
    world.cycle()
    assert session("GET", "/me", 200)["teams"] == ["team1000", "team3456", "team5999"]


def test_a_name_with_more_than_one_account_means_nobody(world: DirectoryWorld, controller: FakeController) -> None:
    dn = controller.add_account("ann")
    controller.entries[f"CN=other,{dn}"] = controller.entries[dn] | {"objectGUID": [b"0123456789abcdef"]}
    assert world.refused("ann") == "unknown-account"
    assert [name for name in controller.binds if "ann" in name] == []


def test_waiting_logins_do_not_block_the_re_sync(world: DirectoryWorld, controller: FakeController) -> None:
    dn = controller.add_account("ann")
    session = world.login("ann")
    controller.entries[dn]["userAccountControl"] = [b"514"]
    places = world.service.domains.all[0].controllers._places
    while places.acquire(blocking=False):
        pass  # as many as may wait
    world.login("ann", code=503)
    world.cycle()
    session("GET", "/me", 401)


@pytest.fixture
def branch(authority: Authority) -> Iterator[FakeController]:
    """A controller of another domain that claims anything."""
    found = FakeController(authority.file, authority.issue(), realm="branch.example.org")
    yield found
    found.close()


def test_a_domain_cannot_claim_an_account_of_another(
    world: DirectoryWorld, controller: FakeController, branch: FakeController
) -> None:
    world.with_more(branch)
    dn = controller.add_account("ann")
    session = world.login("ann")
    branch.entries[branch.add_account("eve")]["objectGUID"] = controller.entries[dn]["objectGUID"]
    assert world.refused("BRANCH\\eve") == "account-of-another-domain"
    session("GET", "/me", 200)
    assert world.audit("account.rename") == []


def test_a_name_that_contains_a_domain_takes_no_account_of_that_domain(
    world: DirectoryWorld, controller: FakeController, branch: FakeController
) -> None:
    world.with_more(branch)
    branch.add_account("ann")
    session = world.login("BRANCH\\ann")
    controller.add_account("ann@branch.example.org")
    assert world.refused("CORP\\ann@branch.example.org") == "name-not-usable"
    dn = controller.add_account("eve")
    impostor = world.login("eve")
    controller.entries[dn]["sAMAccountName"] = [b"zoe@branch.example.org"]
    world.cycle()
    assert impostor("GET", "/me", 200)["name"] == "eve"
    assert session("GET", "/me", 200)["name"] == "ann@branch.example.org"


def test_a_reading_overtaken_by_a_login_changes_nothing(
    world: DirectoryWorld, controller: FakeController, monkeypatch: pytest.MonkeyPatch
) -> None:
    dn = controller.add_account("ann")
    world.login("ann")
    world.execute("UPDATE directory_accounts SET read_at = '2026-01-01T00:00:00.000000Z'")
    read_all = Domain.read_all
    sessions: list[Caller] = []

    def overtaken(domain: Domain, guids: list[str]) -> object:
        controller.entries[dn]["userAccountControl"] = [b"514"]
        found = read_all(domain, guids)
        controller.entries[dn]["userAccountControl"] = [b"512"]
        sessions.append(world.login("ann"))
        return found

    monkeypatch.setattr(Domain, "read_all", overtaken)
    world.service.resync.cycle(world.service.domains.all[0], datetime.now(UTC))
    sessions[0]("GET", "/me", 200)
    assert world.audit("account.disable") == []
