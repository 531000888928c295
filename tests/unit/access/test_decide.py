"""decide(): every reason, and the order in which they are found."""

from datetime import UTC, datetime, timedelta

import pytest

from reconciler.access.decide import decide
from reconciler.access.permitted_ips import LOCAL, Address, parse_address
from reconciler.access.resources import DeclaredState, Issuer, Membership, Permission, Team, User
from reconciler.access.state import Access, AccessState, access_of, all_access, build, paths

NOW = datetime(2026, 6, 1, tzinfo=UTC)
LATER = NOW + timedelta(days=30)
EARLIER = NOW - timedelta(days=30)


def state() -> AccessState:
    teams = (
        Team(
            "web",
            members=(Membership("alice"), Membership("bob", LATER), Membership("carol", EARLIER), Membership("off")),
            permissions=(Permission("closed"), Permission("internal"), Permission("old", NOW), Permission("public", LATER)),
            permitted_ips=("10.0.0.0/8",),
        ),
        Team("dba", members=(Membership("alice", LATER),), permissions=(Permission("public"),), permitted_ips=("192.0.2.*",)),
        Team("open", members=(Membership("dave"), Membership("ghost")), permissions=(Permission("internal"), Permission("gone"))),
        Team("empty", members=(Membership("erin"),)),
    )
    return build(
        DeclaredState(
            users={
                name: User(name, f"{name}@example.org", enabled=name != "off")
                for name in ["alice", "bob", "carol", "dave", "erin", "frank", "off"]
            },
            teams={team.name: team for team in teams},
            issuers={name: Issuer(name, enabled=name != "closed") for name in ("closed", "internal", "old", "public")},
        ),
        disabled=frozenset({"frank"}),
        directory_accounts=frozenset({"ada", "ida"}),
        directory_members={"web": ("ada",)},
    )


INSIDE = parse_address("10.1.2.3")


@pytest.mark.parametrize(
    ("user", "issuer", "address", "reason"),
    [
        ("alice", "internal", INSIDE, "permitted"),
        ("ada", "internal", INSIDE, "permitted"),
        ("dave", "internal", None, "permitted"),
        ("nobody", "internal", INSIDE, "unknown-account"),
        ("ghost", "internal", INSIDE, "unknown-account"),
        ("off", "internal", INSIDE, "account-disabled"),
        ("frank", "internal", INSIDE, "account-disabled"),
        ("alice", "nothing", INSIDE, "unknown-issuer"),
        ("dave", "gone", INSIDE, "unknown-issuer"),
        ("alice", "closed", INSIDE, "issuer-disabled"),
        ("ida", "internal", INSIDE, "no-team"),
        ("erin", "internal", INSIDE, "no-permission"),
        ("carol", "internal", INSIDE, "membership-ended"),
        ("alice", "old", INSIDE, "permission-ended"),
        ("alice", "internal", parse_address("172.16.0.1"), "address-not-permitted"),
        ("alice", "internal", None, "address-not-permitted"),
        ("alice", "internal", parse_address("127.0.0.1"), "address-not-permitted"),
        ("alice", "internal", LOCAL, "permitted"),
    ],
)
def test_each_decision_has_its_reason(user: str, issuer: str, address: Address | None, reason: str) -> None:
    decision = decide(state(), user, issuer, address, NOW)
    assert (decision.reason, decision.allow) == (reason, reason == "permitted")


def test_the_permitted_ips_of_all_teams_are_combined() -> None:
    assert decide(state(), "alice", "internal", parse_address("192.0.2.9"), NOW).rule == "192.0.2.*"
    assert not decide(state(), "bob", "internal", parse_address("192.0.2.9"), NOW).allow


def test_a_former_team_restricts_nobody() -> None:
    after = LATER + timedelta(days=1)
    assert decide(state(), "alice", "internal", parse_address("192.0.2.9"), after).reason == "address-not-permitted"


def test_an_end_is_exclusive_and_needs_no_apply() -> None:
    assert decide(state(), "bob", "internal", INSIDE, LATER - timedelta(microseconds=1)).allow
    assert decide(state(), "bob", "internal", INSIDE, LATER).reason == "membership-ended"


def test_the_path_that_holds_longest_is_named() -> None:
    decision = decide(state(), "alice", "internal", INSIDE, NOW)
    assert decision.path is not None
    assert (decision.path.team, decision.path.until) == ("web", None)


def test_access_combines_the_teams_and_ends_with_the_last_path() -> None:
    assert access_of(state(), "alice", NOW) == {
        "internal": Access("alice", "internal", ("web",), None, ("10.0.0.0/8", "192.0.2.0/24"), ((LATER, ("10.0.0.0/8",)),)),
        "public": Access("alice", "public", ("dba", "web"), LATER, ("10.0.0.0/8", "192.0.2.0/24")),
    }


def test_access_and_decisions_agree_for_everybody() -> None:
    everything = state()
    by_access = {(access.user, access.issuer) for access in all_access(everything, NOW)}
    by_decision = {
        (user, issuer)
        for user in everything.accounts
        for issuer in everything.issuers
        if decide(everything, user, issuer, LOCAL, NOW).allow
    }
    assert by_access == by_decision
    assert len(by_access) > 3


def test_paths_are_listed_whether_they_have_ended_or_not() -> None:
    assert [way.team for way in paths(state(), "alice", "public")] == ["dba", "web"]
    assert [way.holds_at(NOW) for way in paths(state(), "carol", "internal")] == [False]
