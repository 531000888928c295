"""Every denial names its smallest remedies, and a remedy that is applied leads to a permission."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from reconciler.access.decide import decide
from reconciler.access.permitted_ips import parse_address
from reconciler.access.remedies import Act, Candidate, Ground, Obstacle, obstacles
from reconciler.access.resources import DeclaredState, Issuer, Kind, Membership, Permission, Team, User
from reconciler.access.state import AccessState, build

NOW = datetime(2026, 6, 1, tzinfo=UTC)
PAST = NOW - timedelta(days=1)
OUTSIDE = parse_address("192.0.2.1")


def state(**users: User) -> AccessState:
    return build(
        DeclaredState(
            users={name: User(name, f"{name}@example.org") for name in ("alice", "bob", "carol", "new")} | users,
            teams={
                "web": Team("web", members=(Membership("alice"),), permissions=(Permission("tls"), Permission("vpn", PAST))),
                "old": Team("old", members=(Membership("bob", PAST),), permissions=(Permission("tls"),)),
                "gone": Team("gone", members=(Membership("bob", PAST),), permissions=(Permission("tls", PAST),)),
                "net": Team(
                    "net", members=(Membership("carol"),), permitted_ips=("10.0.0.0/8",), permissions=(Permission("tls"),)
                ),
            },
            issuers={"tls": Issuer("tls"), "vpn": Issuer("vpn"), "off": Issuer("off", enabled=False)},
        )
    )


GRANTING = (Candidate("net", 2), Candidate("web", 1), Candidate("admins", 0, administrator=True))


def acts(obstacle: Obstacle) -> list[tuple[Act, ...]]:
    return [each.acts for each in obstacle.remedies]


@pytest.mark.parametrize(
    ("user", "issuer", "ground", "reason", "remedies"),
    [
        ("alice", "vpn", Ground(), "permission-ended", [(Act("grant", {"team": "web", "issuer": "vpn"}),)]),
        ("bob", "tls", Ground(), "membership-ended", [(Act("add-member", {"team": "old", "user": "bob"}),)]),
        ("new", "tls", Ground(granting=GRANTING), "no-team", [(Act("add-member", {"team": "web", "user": "new"}),)]),
        (
            "carol",
            "vpn",
            Ground(granting=(Candidate("web", 1),), joined=(Candidate("net", 1),)),
            "no-permission",
            [(Act("grant", {"team": "net", "issuer": "vpn"}),), (Act("add-member", {"team": "web", "user": "carol"}),)],
        ),
        ("nobody", "tls", Ground(), "unknown-account", [(Act("add-user", {"name": "nobody"}),)]),
        ("alice", "none", Ground(), "unknown-issuer", []),
    ],
)
def test_the_smallest_remedies_are_named(user: str, issuer: str, ground: Ground, reason: str, remedies: list[object]) -> None:
    (found,) = obstacles(state(), user, issuer, None, NOW, ground)
    assert found.reason == reason == decide(state(), user, issuer, None, NOW).reason
    assert acts(found) == remedies
    assert found.remedies or found.otherwise


def test_each_switch_is_an_obstacle_of_its_own() -> None:
    off = state(alice=User("alice", "alice@example.org", enabled=False))
    found = obstacles(off, "alice", "off", None, NOW, Ground(disabled_by=("git", "administrator", "directory")))
    assert [each.reason for each in found] == ["account-disabled"] * 3 + ["issuer-disabled", "no-permission"]
    assert acts(found[0]) == [(Act("enable", {"name": "alice"}),)]
    assert all(not each.remedies and each.otherwise for each in found[1:3])
    assert acts(found[3]) == [(Act("set", {"kind": "Issuer", "name": "off", "fields": {"enabled": True}}),)]


def test_an_address_is_permitted_by_the_smallest_team() -> None:
    (found,) = obstacles(state(), "carol", "tls", OUTSIDE, NOW, Ground(joined=(Candidate("net", 1),)))
    assert found.reason == "address-not-permitted"
    ((act,),) = acts(found)
    assert act == Act("set", {"kind": "Team", "name": "net", "fields": {"permittedIPs": ["10.0.0.0/8", "192.0.2.1"]}})


def test_a_directory_account_is_told_of_groups_and_joins_nothing_by_git() -> None:
    ground = Ground(is_directory_account=True, granting=(Candidate("web", 1, ad_groups=("PKI-Web",)),))
    directory = build(state_declared(), directory_accounts=frozenset({"dora"}))
    (found,) = obstacles(directory, "dora", "tls", None, NOW, ground)
    assert (found.remedies, "PKI-Web" in found.otherwise) == ((), True)


def state_declared() -> DeclaredState:
    return DeclaredState(issuers={"tls": Issuer("tls")})


def test_nothing_is_missing_where_access_is_given() -> None:
    assert obstacles(state(), "alice", "tls", OUTSIDE, NOW, Ground()) == ()


@pytest.mark.parametrize(
    ("user", "issuer", "undeclared", "remedies"),
    [
        ("carol", "vpn", ("Team", "net"), [(Act("add-member", {"team": "web", "user": "carol"}),)]),
        ("carol", "vpn", ("User", "carol"), [(Act("grant", {"team": "net", "issuer": "vpn"}),)]),
        ("carol", "vpn", ("Issuer", "vpn"), [(Act("add-member", {"team": "web", "user": "carol"}),)]),
        ("alice", "vpn", ("Issuer", "vpn"), []),
        ("bob", "tls", ("Team", "old"), [tuple(Act(*each) for each in (
            ("add-member", {"team": "gone", "user": "bob"}), ("grant", {"team": "gone", "issuer": "tls"})))]),
        ("bob", "tls", ("User", "bob"), []),
    ],
)  # fmt: skip
def test_what_the_database_alone_has_is_in_no_remedy(
    user: str, issuer: str, undeclared: tuple[Kind, str], remedies: list[object]
) -> None:
    ground = Ground(granting=(Candidate("web", 2),), joined=(Candidate("net", 2),), undeclared={undeclared})
    (found,) = obstacles(state(), user, issuer, None, NOW, ground)
    assert acts(found) == remedies
    assert found.remedies or "declare it in the config repository first" in found.otherwise


def test_switches_and_addresses_of_what_the_database_alone_has_are_in_no_remedy() -> None:
    off = state(carol=User("carol", "carol@example.org", enabled=False))
    ground = Ground(("git",), joined=(Candidate("net", 1),), undeclared={("User", "carol"), ("Issuer", "off"), ("Team", "net")})
    found = obstacles(off, "carol", "off", OUTSIDE, NOW, ground)
    assert [each.reason for each in found] == ["account-disabled", "issuer-disabled", "no-permission", "address-not-permitted"]
    assert [each.remedies for each in found] == [()] * 4
    assert all(each.otherwise for each in found)
