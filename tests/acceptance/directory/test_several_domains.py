"""Two domains, each with its own controller."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest
from directory_world import DirectoryWorld
from samba_domain import SambaDomain

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
_NUMBERS = count(1)


@pytest.fixture
def two(world: DirectoryWorld, branch: SambaDomain) -> Iterator[DirectoryWorld]:
    """A world with both domains, the branch second."""
    world.with_more(branch)
    yield world


@pytest.fixture
def twin(world: DirectoryWorld, branch: SambaDomain) -> str:
    """A name that exists in both domains."""
    name = f"twin{next(_NUMBERS)}"
    for domain in (world.domain, branch):
        domain.add_user(name, displayName=f"{name} of {domain.realm}")
    return name


@pytest.mark.parametrize(
    ("form", "named"),
    [
        ("{}", "{}"),
        ("CORP\\{}", "{}"),
        ("{}@corp.example.org", "{}"),
        ("branch\\{}", "{}@branch.example.org"),
        ("{}@BRANCH.example.org", "{}@branch.example.org"),
    ],
)
def test_a_name_means_an_account_of_one_domain(two: DirectoryWorld, twin: str, form: str, named: str) -> None:
    me = two.login(form.format(twin))("GET", "/me", 200)
    assert me["name"] == named.format(twin)
    shown = two.caller("root")("GET", f"/users/{me['name']}", 200)
    assert shown["fullName"] == f"{twin} of {'branch' if '@' in me['name'] else 'corp'}.example.org"


def test_a_bare_name_is_looked_up_only_in_the_first_domain(two: DirectoryWorld, branch: SambaDomain) -> None:
    name = f"only{next(_NUMBERS)}"
    branch.add_user(name)
    assert two.refused(name) == "unknown-account"
    assert two.login(f"BRANCH\\{name}")("GET", "/me", 200)["name"] == f"{name}@branch.example.org"


def test_twins_are_two_accounts_with_their_own_passwords_sessions_and_ends(
    two: DirectoryWorld, branch: SambaDomain, twin: str
) -> None:
    here, there = two.login(twin), two.login(f"BRANCH\\{twin}")
    token = there("POST", "/me/tokens", 201, json={"name": "ci", "validFor": "1d"})["token"]
    assert here("GET", "/me/tokens", 200) == []
    branch.set(f"CN={twin},CN=Users,{branch.base}", userAccountControl="514")
    for each in (0, 1):
        two.cycle(each)
    here("GET", "/me", 200)
    there("GET", "/me", 401)
    two.with_secret(token)("GET", "/me", 401)


def test_a_group_gives_no_team_to_another_domains_accounts(two: DirectoryWorld, branch: SambaDomain, twin: str) -> None:
    group = f"PKI-{twin}"
    for domain in (two.domain, branch):
        domain.add_group(group, f"CN={twin},CN=Users,{domain.base}")
    two.map_group(group)
    assert two.login(twin)("GET", "/me", 200)["teams"] == ["pki"]
    assert two.login(f"BRANCH\\{twin}")("GET", "/me", 200)["teams"] == []
    two.map_group(f"BRANCH\\{group}")
    here, there = two.login(twin), two.login(f"BRANCH\\{twin}")
    assert (here("GET", "/me", 200)["teams"], there("GET", "/me", 200)["teams"]) == ([], ["pki"])
    two.map_group(f"CN={group},CN=Users,{branch.base}")
    for each in (0, 1):
        two.cycle(each)
    assert (here("GET", "/me", 200)["teams"], there("GET", "/me", 200)["teams"]) == ([], ["pki"])
    assert there("POST", "/decisions", 200, json={"issuer": "vpn"})["path"]["adGroup"].startswith("CN=")


@pytest.mark.parametrize("down", [0, 1], ids=["the first is down", "the second is down"])
def test_a_domain_that_is_down_leaves_the_other_working(two: DirectoryWorld, branch: SambaDomain, twin: str, down: int) -> None:
    forms = [twin, f"BRANCH\\{twin}"]
    two.with_more(branch, try_time=0.5, total_time=1)
    sessions = [two.login(form) for form in forms]
    away = (two.domain, branch)[down]
    away.add_group(f"late-{twin}")
    two.map_group(f"{('CORP', 'BRANCH')[down]}\\late-{twin}")  # has to be asked for, and cannot be
    away.pause()
    try:
        two.login(forms[down], code=503)
        two.login(forms[1 - down])("GET", "/me", 200)
        two.cycle(1 - down)
        for session in sessions:
            session("GET", "/me", 200)
    finally:
        away.go_on()
    assert two.audit("login.fail") == []
