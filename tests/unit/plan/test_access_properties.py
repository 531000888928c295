"""For random pairs of states, a plan names every person, issuer and address that opens or closes, now and later.

What should be found is read straight off the resources, address by address and instant by instant, by code that knows nothing of
the code under test.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import Any, NamedTuple

from effort import tries
from hypothesis import given, settings
from hypothesis import strategies as st
from test_make_plan import NOW, actual, desired, plan

from reconciler.access.instants import format_instant
from reconciler.access.resources import Issuer, Membership, Permission, Resource, Team, User
from reconciler.plan.actual import Runtime
from reconciler.plan.plan import Plan
from reconciler.plan.render.document import plan_document
from reconciler.plan.render.markdown import plan_markdown
from reconciler.plan.render.text import plan_lines

DAYS = [None, -1, 1, 2, 3]
MOMENTS = [NOW, *(NOW + timedelta(days=day) for day in (1, 2, 3))]
RULES = ["10.0.0.0/9", "10.128.0.0/9", "10.0.0.0/8", "10.255.255.255", "10.20.0.0-10.20.0.7", "192.168.15.*", "2001:db8::/32"]
RULES += ["::ffff:10.0.0.0/104", "0.0.0.0/0", "::/0"]
ADDRESSES = ["9.255.255.255", "10.0.0.0", "10.20.0.7", "10.20.0.8", "10.128.0.0", "10.255.255.255", "11.0.0.0", "192.168.15.3"]
ADDRESSES += ["2001:db8::1", "2001:db9::", "::1"]
USERS, TEAMS, ISSUERS, GROUPS = ["ada", "bot", "cy"], ["t0", "t1", "t2"], ["i0", "i1"], ["PKI-Web", "pki-web", "Net"]
FIELDS = ["permitted_ips", "permitted_ips", "members", "permissions", "administrator", "ad_groups"]

subsets = lambda items, most=9: st.lists(st.sampled_from(items), unique=True, max_size=most)  # noqa: E731 - a name for a strategy
ends = st.sampled_from(DAYS).map(lambda day: None if day is None else NOW + timedelta(days=day))


@st.composite
def states(draw: st.DrawFn) -> list[Resource]:
    users: list[Resource] = []
    for name in draw(st.sampled_from([USERS, USERS, USERS[:2]])):
        kind, enabled = "application" if name == "bot" else "person", draw(st.sampled_from([True] * 4 + [False]))
        users.append(User(name, f"{name}@example.org", type=kind, enabled=enabled))
    issuers: list[Resource] = [Issuer(name, enabled=draw(st.sampled_from([True, True, True, False]))) for name in ISSUERS]
    teams: list[Resource] = [
        Team(
            name,
            administrator=draw(st.booleans()),
            members=tuple(Membership(user, draw(ends)) for user in sorted(draw(subsets([user.name for user in users])))),
            permissions=tuple(Permission(issuer, draw(ends)) for issuer in sorted(draw(subsets(ISSUERS)))),
            ad_groups=tuple(sorted(draw(subsets(GROUPS[:1] + GROUPS[2:], 1)) if name != "t1" else draw(subsets(GROUPS[1:], 1)))),
            permitted_ips=tuple(sorted(draw(subsets(RULES, 2)))),
        )
        for name in draw(st.sampled_from([TEAMS, TEAMS, TEAMS[1:], TEAMS[:1], []]))
    ]
    return [*users, *issuers, *teams]


@st.composite
def pairs(draw: st.DrawFn) -> tuple[list[Resource], list[Resource]]:
    """Two states; mostly the second differs in a field or two, as after a pull request."""
    before, other = draw(states()), draw(states())
    if draw(st.integers(0, 3)) == 0:
        return before, other
    after = {(type(each), each.name): each for each in before}
    drawn = {(type(each), each.name): each for each in other}
    shared = sorted((key for key in after.keys() & drawn.keys() if key[0] is not User), key=str)
    for key in draw(st.lists(st.sampled_from(shared), min_size=1, max_size=2)):
        field = draw(st.sampled_from(FIELDS if key[0] is Team else ["enabled"]))
        after[key] = after[key]._replace(**{field: getattr(drawn[key], field)})
    present = {name for kind, name in after if kind is User}
    for key, each in after.items():
        if isinstance(each, Team):
            after[key] = each._replace(members=tuple(member for member in each.members if member.user in present))
    return before, list(after.values())


class Fact(NamedTuple):
    """Somebody may use something at an instant from an address; an issuer of None stands for an administrator's rights."""

    user: str
    issuer: str | None
    moment: datetime
    address: str


def covers(rule: str, address: str) -> bool:
    value = ip_address(address)
    if rule.endswith("*"):
        return value.version == 4 and address.rsplit(".", 1)[0] == rule.rsplit(".", 1)[0]
    if "-" in rule:
        first, last = map(ip_address, rule.split("-"))
        return value.version == first.version and first <= value <= last
    network = ip_network(rule)
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is not None:
        network = ip_network(f"{mapped}/{network.prefixlen - 96}")
    return value.version == network.version and value in network


def naive(state: list[Resource], *, groups: bool = False) -> set[Fact]:
    """What holds, read straight off the resources; with `groups`, for a group in place of a user."""
    teams = [each for each in state if isinstance(each, Team)]
    usable = {each.name for each in state if isinstance(each, Issuer) and each.enabled}

    def members(team: Team) -> list[tuple[str, datetime | None]]:
        if groups:
            return [(group.casefold(), None) for group in team.ad_groups]
        return [(member.user, member.until) for member in team.members if member.user in enabled]

    enabled = {each.name for each in state if isinstance(each, User) and each.enabled}
    who: dict[str, list[tuple[Team, datetime | None]]] = {}
    for team in teams:
        for user, until in members(team):
            who.setdefault(user, []).append((team, until))
    found = set()
    for user, all_ways in who.items():
        for moment in MOMENTS:
            ways = [team for team, until in all_ways if until is None or until > moment]
            rules = [rule for team in ways for rule in team.permitted_ips]
            granted: set[str | None] = {p.issuer for t in ways for p in t.permissions if p.until is None or p.until > moment}
            granted = (granted & usable) | ({None} if any(team.administrator for team in ways) else set())
            found |= {
                Fact(user, issuer, moment, address)
                for issuer in granted
                for address in ADDRESSES
                if not rules or any(covers(rule, address) for rule in rules)
            }
    return found


def told(access: Mapping[str, Any]) -> Iterator[Fact]:
    """What an entry of the JSON says that holds."""
    issuer = None if access["issuer"] == "(administrator)" else access["issuer"]
    for moment in MOMENTS:
        if access["until"] is not None and access["until"] <= format_instant(moment):
            continue
        begun = [step["from"] for step in access["later"] if step["at"] <= format_instant(moment)]
        rules = begun[-1] if begun else access["from"]
        for address in ADDRESSES:
            if rules is None or any(covers(rule, address) for rule in rules):
                yield Fact(access["user"].casefold(), issuer, moment, address)


def check(found: Mapping[str, Any], before: set[Fact], after: set[Fact]) -> None:
    """Compare what a difference in the JSON says with what the resources say."""
    was = [*found["lost"], *(each["before"] for each in found["changed"])]
    now = [*found["gained"], *(each["after"] for each in found["changed"])]
    lost, gained = ({fact for each in entries for fact in told(each)} for entries in (was, now))
    assert lost - gained == before - after
    assert gained - lost == after - before
    for each in found["changed"]:
        mine = {fact.address for fact in told(each["before"]) if fact.moment == NOW}
        then = {fact.address for fact in told(each["after"]) if fact.moment == NOW}
        assert {address for address in ADDRESSES if any(covers(rule, address) for rule in each["opened"])} == then - mine
        assert {address for address in ADDRESSES if any(covers(rule, address) for rule in each["closed"])} == mine - then


def rights(facts: set[Fact], *, of_administrators: bool = False) -> set[Fact]:
    return {fact for fact in facts if (fact.issuer is None) is of_administrators}


def check_words(made: Plan, document: Mapping[str, Any]) -> None:
    """Check that text and Markdown name whoever gains or loses, with what, and each range that opens or closes."""
    lines = [line for _, line in plan_lines(made)]
    shown = lines[next(number for number, line in enumerate(lines) if line.startswith("Access")) : lines.index("Guards")]
    table = [line for line in plan_markdown(made).splitlines() if line.startswith("| ")]
    for each in [*document["access"]["gained"], *document["access"]["lost"]]:
        ranges = each["from"] or ["anywhere"]
        for text in (shown, table):
            assert any(all(word in line for word in (each["user"], each["issuer"], *ranges)) for line in text), each
    for each in document["access"]["changed"]:
        names = each["after"]["user"], each["after"]["issuer"]
        for part in [each, *each["later"]]:
            ranges = [*part["opened"], *part["closed"]]
            for text in (shown, table):
                mine = [line for line in text if all(name in line for name in names)]
                assert not ranges or any("anywhere" in line or all(item in line for item in ranges) for line in mine), each


@settings(max_examples=tries(300), deadline=None)
@given(pairs(), st.lists(st.sampled_from(USERS), unique=True))
def test_a_plan_names_everything_that_opens_or_closes(pair: tuple[list[Resource], list[Resource]], members: list[str]) -> None:
    before, after = pair
    runtime = Runtime(can_set_password=frozenset(USERS), directory_groups={"pki-web": tuple(members)})
    made = plan(actual(*before, runtime=runtime), desired(*after))
    document = plan_document(made)
    was, now = naive(before), naive(after)
    check(document["access"], rights(was), rights(now))
    check(document["administrators"]["access"], rights(was, of_administrators=True), rights(now, of_administrators=True))
    in_groups, groups_then = naive(before, groups=True), naive(after, groups=True)
    for key, administrators in (("access", False), ("administrators", True)):
        changed = {
            kind: [each for group in document["access"]["groups"] for each in group[key][kind]]
            for kind in ("gained", "lost", "changed")
        }
        check(changed, rights(in_groups, of_administrators=administrators), rights(groups_then, of_administrators=administrators))
    assert {fact.user for fact in rights(now) - rights(was) if fact.moment == NOW} <= made.access.gaining
    assert {fact.user for fact in rights(was) - rights(now) if fact.moment == NOW} <= made.access.losing
    if not made.is_empty:
        check_words(made, document)
    words = "\n".join(line for _, line in plan_lines(made))
    if "nobody gains or loses access" in words:
        assert (rights(was), in_groups) == (rights(now), groups_then)
