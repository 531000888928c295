"""What a reviewer reads of addresses, AD groups and administrators, as sentences."""

from __future__ import annotations

from datetime import timedelta

import pytest
from test_make_plan import ADMINS, ALICE, BOB, INTERNAL, LATER, NOW, PUBLIC, actual, desired, plan

from reconciler.access.resources import Guards, Membership, Permission, Settings, Team, User
from reconciler.plan.actual import Runtime
from reconciler.plan.plan import Plan
from reconciler.plan.render.document import plan_document
from reconciler.plan.render.markdown import plan_markdown
from reconciler.plan.render.text import plan_lines, summary

WEB = Team("web", members=(Membership("bob"),), permissions=(Permission("public"),))
OFFICE = Team("office", members=(Membership("bob"),), permitted_ips=("10.20.0.0/16",))
FOUR = ("10.0.0.0/8", "192.0.2.7", "192.168.15.*", "2001:db8::/32")
SOON = NOW + timedelta(days=1)
BASE = (ALICE, BOB, ADMINS, PUBLIC, INTERNAL)


def change(before: list[Team], after: list[Team], **more: object) -> Plan:
    return plan(actual(*BASE, *before, **more), desired(*BASE, *after))  # type: ignore[arg-type]


def access(made: Plan) -> list[str]:
    lines = [line for _, line in plan_lines(made)]
    start = next(number for number, line in enumerate(lines) if line.startswith("Access"))
    return lines[start : lines.index("", start)]


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        (
            [WEB._replace(permitted_ips=("10.20.0.0/16",))],
            [WEB],
            ["Access: 1 gained, 0 lost, 0 changed", "  + bob may use public from anywhere (before: 10.20.0.0/16)"],
        ),
        (
            [WEB],
            [WEB._replace(permitted_ips=FOUR)],
            [
                "Access: 0 gained, 1 lost, 0 changed",
                "  - bob may use public only from 10.0.0.0/8, 192.0.2.7, 192.168.15.0/24, 2001:db8::/32 (before: anywhere)",
            ],
        ),
        (
            [WEB, OFFICE],
            [WEB, OFFICE._replace(members=())],
            ["Access: 1 gained, 0 lost, 0 changed", "  + bob may use public from anywhere (before: 10.20.0.0/16)"],
        ),
        (
            [WEB, OFFICE],
            [WEB, OFFICE._replace(members=(Membership("bob", LATER),))],
            [
                "Access: 1 gained, 0 lost, 0 changed",
                "  + bob may use public from anywhere after 2026-06-30 (before: 10.20.0.0/16)",
            ],
        ),
        (
            [WEB],
            [WEB, OFFICE._replace(members=(Membership("bob", LATER),))],
            [
                "Access: 0 gained, 1 lost, 0 changed",
                "  - bob may use public only from 10.20.0.0/16 until 2026-06-30 (before: anywhere)",
            ],
        ),
        (
            [WEB._replace(permitted_ips=("10.0.0.0/9", "192.0.2.7"))],
            [WEB._replace(permitted_ips=("10.0.0.0/8",))],
            [
                "Access: 1 gained, 1 lost, 0 changed",
                "  ± bob may also use public from 10.128.0.0/9, and no longer from 192.0.2.7 (now: 10.0.0.0/8)",
            ],
        ),
        (
            [WEB._replace(permitted_ips=("10.0.0.0/9",))],
            [WEB._replace(permitted_ips=("10.0.0.0/8",))],
            ["Access: 1 gained, 0 lost, 0 changed", "  + bob may also use public from 10.128.0.0/9 (before: 10.0.0.0/9)"],
        ),
        (
            [WEB._replace(permitted_ips=("10.0.0.0/8",))],
            [WEB._replace(permitted_ips=("10.0.0.0/9", "10.128.0.0/9"))],
            ["Access: nobody gains or loses access"],
        ),
        (
            [WEB, OFFICE],
            [WEB, OFFICE, Team("guests", members=(Membership("bob"),))],
            ["Access: nobody gains or loses access"],
        ),
        (
            [OFFICE],
            [OFFICE, WEB],
            ["Access: 1 gained, 0 lost, 0 changed", "  + bob gains public through web, from 10.20.0.0/16"],
        ),
    ],
    ids=["all removed", "four rules", "second team left", "end", "for a while", "both", "wider", "the same", "no list", "gain"],
)
def test_an_opening_is_a_gain_and_a_closing_a_loss(before: list[Team], after: list[Team], lines: list[str]) -> None:
    assert access(change(before, after)) == lines


def test_openings_count_for_the_summary_the_guard_and_the_json() -> None:
    guarded = Settings(guards=Guards(max_people_gaining=1))
    both = (Membership("alice"), Membership("bob"))
    bound = WEB._replace(members=both, permitted_ips=("10.20.0.0/16",))
    made = plan(actual(*BASE, guarded, bound), desired(*BASE, guarded, bound._replace(permitted_ips=())))
    assert summary(made) == "1 updated; 2 gain access, 1 administers from other addresses"
    refused = {guard.id: guard.message for guard in made.refusals}
    assert refused == {"access-gained": "2 accounts would gain access; the limit for one plan is 1 (guards.maxPeopleGaining)"}
    (alice, _) = plan_document(made)["access"]["changed"]
    assert (alice["before"]["from"], alice["after"]["from"]) == (["10.20.0.0/16"], None)
    assert alice["opened"] == ["0.0.0.0-10.19.255.255", "10.21.0.0-255.255.255.255", "::/0"]
    assert (alice["closed"], alice["later"]) == ([], [])
    assert "| ➕ open | `alice`, `bob` | `public` | `web` | **anywhere**, before: `10.20.0.0/16` |" in plan_markdown(made)


def test_an_administrator_without_any_issuer_still_has_addresses() -> None:
    before = ADMINS._replace(permitted_ips=("10.20.99.0/24",))
    made = plan(actual(ALICE, before), desired(ALICE, ADMINS))
    shown = "\n".join(line for _, line in plan_lines(made))
    assert "  + alice may use administrators' rights from anywhere (before: 10.20.99.0/24)" in shown
    assert summary(made) == "1 updated; 1 administers from other addresses"
    assert plan_document(made)["administrators"]["access"]["changed"][0]["after"]["from"] is None


def test_rights_that_last_longer_are_in_the_summary() -> None:
    root = Team("root", administrator=True, members=(Membership("bob", LATER),))
    made = change([root], [root._replace(members=(Membership("bob"),))])
    assert summary(made) == "1 updated; 1 keeps administrators' rights on other terms"


def test_a_later_opening_of_access_that_lasts_longer_is_in_the_table() -> None:
    web, until = WEB._replace(members=(Membership("bob", SOON),)), Membership("bob", LATER)
    office = OFFICE._replace(members=(until,))
    made = change([web, office], [WEB, office._replace(permitted_ips=("10.0.0.0/8",))])
    (row,) = [line for line in plan_markdown(made).splitlines() if "`bob`" in line and "`public`" in line]
    assert "in all from `10.0.0.0/8`; after 2026-06-30: anywhere" in row


def test_people_are_not_applications() -> None:
    robot = User("robot", "r@example.org", type="application")
    made = plan(
        actual(*BASE, robot, WEB._replace(members=())),
        desired(*BASE, robot, WEB._replace(members=(Membership("alice"), Membership("bob"), Membership("robot")))),
    )
    assert "  + 2 people and 1 application gain public through web, from anywhere: alice, bob, robot" in access(made)


GROUPED = Team("web", ad_groups=("PKI-Web",), permissions=(Permission("internal"), Permission("public")))


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        ([], [GROUPED], "  + whoever is in PKI-Web gains internal, public through web, from anywhere"),
        ([GROUPED], [], "  - whoever is in PKI-Web loses internal, public through web, from anywhere"),
        (
            [GROUPED],
            [GROUPED._replace(administrator=True)],
            "  + whoever is in PKI-Web gains administrators' rights through web, from anywhere",
        ),
        (
            [GROUPED._replace(permitted_ips=("10.20.0.0/16",))],
            [GROUPED],
            "  + whoever is in PKI-Web may use internal, public from anywhere (before: 10.20.0.0/16)",
        ),
        (
            [GROUPED],
            [GROUPED, Team("office", ad_groups=("pki-web",), permitted_ips=("10.20.0.0/16",))],
            "  - whoever is in pki-web may use internal, public only from 10.20.0.0/16 (before: anywhere)",
        ),
        (
            [],
            [Team("empty", ad_groups=("PKI-Web",))],
            "  ~ whoever is in PKI-Web joins empty, which changes nothing else",
        ),
    ],
    ids=["new team", "deleted team", "administrators", "addresses", "addresses of another team", "nothing"],
)
def test_members_of_ad_groups_gain_and_lose(before: list[Team], after: list[Team], line: str) -> None:
    runtime = Runtime(can_set_password=frozenset({"alice"}), directory_groups={"pki-web": ("ada", "ben")})
    shown = access(change(before, after, runtime=runtime))
    assert f"{line} (2 directory accounts known here; more may be)" in shown


def test_members_who_make_way_for_a_group_lose_access_and_the_plan_says_why() -> None:
    shown = access(change([WEB], [WEB._replace(members=(), ad_groups=("PKI-Web",))]))
    assert shown[1:] == [
        "  - bob loses public through web, from anywhere",
        "  + whoever is in PKI-Web gains public through web, from anywhere (0 directory accounts known here; more may be)",
        "  ! bob leaves team `web`, which gains `PKI-Web`: declared users are not members through AD groups",
    ]


def test_rows_left_alone_and_adopted_say_what_is_deleted() -> None:
    rogue = Team("rogue", members=(Membership("bob"),))
    held = actual(*BASE, rogue, unmanaged=frozenset({("Team", "rogue"), ("Issuer", "internal")}))
    shown = [line for _, line in plan_lines(plan(held, desired(*BASE)))]
    assert "Unmanaged: 1 row that Git never declared, left alone (`--adopt` would delete it: this revision has no such)" in shown
    adopting = [line for _, line in plan_lines(plan(held, desired(*BASE), adopt=True))]
    assert "Adoption: `--adopt` takes over 1 row that Git never declared, and deletes 1 that it lacks" in adopting
    assert "  deletes Team rogue" in adopting


def test_a_comparison_of_revisions_names_both() -> None:
    made = plan(actual(*BASE, WEB), desired(*BASE), against=True)
    shown = [line for _, line in plan_lines(made)]
    assert shown[0] == "Plan: Git → Git, between two revisions, without a database"
    assert shown[2].startswith("  against   bbbbbbbbbbbb ")
    assert "· revision `cccccccccccc` against `bbbbbbbbbbbb` ·" in plan_markdown(made)


def test_issuers_with_the_same_change_share_a_line() -> None:
    both = WEB._replace(
        permissions=(Permission("internal"), Permission("public")), members=(Membership("alice"), Membership("bob"))
    )
    assert access(change([], [both])) == [
        "Access: 4 gained, 0 lost, 0 changed",
        "  + 2 people gain internal, public through web, from anywhere: alice, bob",
    ]
    more = [both, *(Team(name, members=both.members, permissions=both.permissions) for name in ("x", "y"))]
    made = change([both], more)
    assert access(made)[1:] == [
        "  ~ 2 people keep internal, public, through web, x and y (was web), from anywhere: alice, bob",
    ]
    assert summary(made) == "2 created; 2 keep access through other teams"


def test_what_is_deleted_stands_open_in_a_comment() -> None:
    shown = plan_markdown(plan(actual(*BASE, WEB), desired(ALICE, ADMINS, PUBLIC)))
    open_part = shown.partition("<details>")[0]
    assert "- ➖ delete **1 user**: `bob`\n- ➖ delete **1 team**: `web`\n- ➖ delete **1 issuer**: `internal`\n" in open_part


def test_an_older_revision_is_not_called_in_accord() -> None:
    made = plan(actual(*BASE), desired(*BASE), merge="older")
    assert "Nothing to apply: this revision is older than the applied one." in [line for _, line in plan_lines(made)]
    assert "in accord" not in plan_markdown(made)
