"""Plans and problems as text, Markdown, JSON, SARIF and annotations."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from test_make_plan import ADMINS, ALICE, BOB, INTERNAL, LATER, PUBLIC, actual, desired, plan

from reconciler.access.problems import Problem
from reconciler.access.resources import EmailTemplate, Guards, Issuer, Membership, Origin, Permission, Settings, Team, User
from reconciler.plan.actual import Runtime
from reconciler.plan.guards import overridden
from reconciler.plan.plan import AdministratorDiff, Change, Plan
from reconciler.plan.render.access import access_lines
from reconciler.plan.render.document import plan_digest, plan_document
from reconciler.plan.render.markdown import LIMITS, plan_markdown
from reconciler.plan.render.problems import problem_lines, problems_github, problems_json, problems_sarif, tally
from reconciler.plan.render.spans import code
from reconciler.plan.render.table import Row, fitting_table
from reconciler.plan.render.text import change_lines, plan_lines, summary
from reconciler.plan.render.words import show_both, show_value
from reconciler.wording.text import printable

SCHEMAS = Path(__file__).parents[3] / "schemas"


def text(made: Plan) -> str:
    return "\n".join(line for _, line in plan_lines(made))


def busy_plan() -> Plan:
    """A plan with every kind of change in it."""
    users = [User(f"u{number}", f"u{number}@example.org") for number in range(3)]
    web = Team(
        "web",
        members=tuple(Membership(user.name) for user in users),
        permissions=(Permission("internal"),),
        permitted_ips=("10.0.0.0/8",),
    )
    ops = Team("ops", members=(Membership("alice"),), permissions=(Permission("internal"), Permission("public")))
    runtime = Runtime(can_set_password=frozenset({"alice"}), sessions={"bob": 1}, tokens={"bob": 2})
    unmanaged = frozenset({("Issuer", "stray")})
    before = actual(ALICE, BOB, ADMINS, INTERNAL, PUBLIC, Issuer("stray"), web, ops, *users, runtime=runtime, unmanaged=unmanaged)
    after = desired(
        ALICE._replace(full_name="Alice Jones", labels=(("cost", "42"),)),
        User("carol", "carol@example.org"),
        ADMINS,
        INTERNAL._replace(display_name="Internal"),
        PUBLIC,
        web._replace(permissions=(Permission("public", LATER),), members=(*web.members[1:], Membership("carol", LATER))),
        ops._replace(permissions=(Permission("internal", LATER), Permission("public"))),
        *users,
        Settings(policies=(("sessions", '{"idle":"1h"}'),)),
    )
    return plan(before, after, warnings=[Problem("web.yaml", 3, 5, "until-past", "warning", "`until` is in the past")])


def test_the_text_says_what_changes_for_whom_and_from_where() -> None:
    shown = text(busy_plan())
    assert "Plan: Git → database" in shown
    assert "+ User carol   carol.yaml:1" in shown
    assert "- User bob   bob.yaml" in shown
    assert "      members: + carol until 2026-06-30" in shown
    assert "3 people lose internal through web, from 10.0.0.0/8: u0, u1, u2" in shown
    assert "3 people gain public through web until 2026-06-30, from 10.0.0.0/8: carol, u1, u2" in shown
    assert "alice keeps internal, until 2026-06-30 (was for good), from anywhere" in shown
    assert "sends 1 welcome mail, ends 1 session, ends 2 tokens" in shown
    assert "✓ last-administrator" in shown
    assert "Issuer stray" in shown
    assert "web.yaml:3:5: warning: `until` is in the past" in shown
    assert 'sessions.idle: "1h"' in shown


def test_every_format_says_who_becomes_and_who_stops_being_an_administrator() -> None:
    made = plan(actual(ALICE, BOB, ADMINS), desired(ALICE, BOB, ADMINS._replace(members=(Membership("bob"),))))
    assert ("added", "Administrators: + bob") in plan_lines(made)
    assert ("removed", "Administrators: - alice") in plan_lines(made)
    assert summary(made) == "1 updated; 1 becomes an administrator, 1 stops being an administrator"
    assert "\n- ➕ become **administrator**: `bob`\n- ➖ stop being **administrator**: `alice`\n" in plan_markdown(made)
    assert plan_document(made)["administrators"]["gained"] == ["bob"]
    assert plan_document(made)["administrators"]["lost"] == ["alice"]
    assert plan_digest(made) != plan_digest(made._replace(administrators=AdministratorDiff()))


def test_every_format_warns_of_an_account_that_is_handed_over() -> None:
    bob = BOB._replace(full_name="Bob Okafor")
    mallory = User("mallory", "mallory@example.org", "Bob Okafor", previously=("bob",))
    made = plan(actual(ALICE, bob, ADMINS), desired(ALICE, mallory, ADMINS))
    message = "`mallory` was `bob` and gets another e-mail address; the account keeps its password, tokens and memberships"
    assert f"warning: mallory.yaml:1:1: warning: user {message} [identity-handed-over]" in text(made)
    assert f"⚠️ `mallory.yaml:1` {code(f'user {message}')}" in plan_markdown(made)
    assert [warning["rule"] for warning in plan_document(made)["warnings"]] == ["identity-handed-over"]
    assert not plan(actual(ALICE, BOB, ADMINS), desired(ALICE, mallory._replace(email=BOB.email), ADMINS)).warnings


def test_the_text_is_deterministic() -> None:
    assert text(busy_plan()) == text(busy_plan())


def test_a_refused_plan_says_how_it_would_be_overridden() -> None:
    shown = text(plan(actual(ALICE, ADMINS), desired()))
    assert "✗ emptying: all users would be removed (1); all teams would be removed (1)\n" in shown
    made = plan(actual(ALICE, ADMINS), desired())
    overriding = '--override last-administrator --override emptying --reason "why"'
    pinned = f"--rev {made.revision.commit[:12]} {{}}--digest {{}} {overriding}"
    assert f"      if this is intended: accord apply {pinned.format('', plan_digest(made))}\n" in shown
    # whatever the plan was made with is in it, and the guards that somebody overrode already
    made = plan(actual(ALICE, ADMINS), desired(), adopt=True, rewind=True, welcome=False)
    made = made._replace(guards=overridden(made.guards, ["emptying"]))
    assert f"accord apply {pinned.format('--adopt --allow-rewind --no-welcome ', plan_digest(made))}\n" in text(made)
    # what is not merged yet is not applied: the merged commit is another one
    unmerged = (
        f"if this is intended, once it is merged as COMMIT: {{}}accord apply --rev COMMIT --adopt --allow-rewind {overriding}"
    )
    unmerged = unmerged.replace("--allow-rewind", "--allow-rewind --no-welcome")
    for other in (made._replace(working_tree=True), made._replace(merge="behind"), made._replace(against=True)):
        assert unmerged.format("") + "\n" in text(other)
    assert unmerged.format("`") + "`\n" in plan_markdown(made)


def test_an_empty_plan_says_so_and_shows_no_guards() -> None:
    shown = text(plan(actual(ALICE, ADMINS), desired(ALICE, ADMINS)))
    assert "No changes" in shown
    assert "Guards" not in shown


def test_the_document_is_what_its_schema_says() -> None:
    schema = json.loads((SCHEMAS / "plan.schema.json").read_text())
    for made in (
        busy_plan(),
        plan(actual(ALICE, ADMINS), desired()),
        plan(actual()._replace(applied=None), desired(ALICE, ADMINS)),
    ):
        document = json.loads(json.dumps(plan_document(made)))
        jsonschema.Draft202012Validator(schema).validate(document)
        assert document["digest"] == plan_digest(made)


def test_the_digest_follows_what_is_done_and_where_it_starts() -> None:
    made = busy_plan()
    assert plan_digest(made) == plan_digest(busy_plan())
    assert plan_digest(made) != plan_digest(made._replace(generation=8))
    assert plan_digest(made) != plan_digest(made._replace(changes=made.changes[1:]))
    assert plan_digest(made) != plan_digest(made._replace(applied=None))
    assert plan_digest(made) != plan_digest(made._replace(rewind=True))
    overridden = made._replace(
        guards=tuple(guard._replace(verdict="overridden") for guard in made.guards if guard.verdict == "refuse")
    )
    assert plan_digest(overridden) == plan_digest(made._replace(guards=tuple(g for g in made.guards if g.verdict == "refuse")))


def test_the_digest_follows_whom_a_plan_reaches() -> None:
    """The same changes reach others once an account is switched on, a membership ends or a session begins."""
    made = busy_plan()
    access, other = made.access, made.access.gained[0]._replace(user="zoe")
    assert plan_digest(made) != plan_digest(made._replace(effects=made.effects._replace(tokens_ended=3)))
    for reached in (
        access._replace(gained=(*access.gained, other)),
        access._replace(lost=(*access.lost, other)),
        access._replace(changed=()),
        access._replace(gained=(*access.gained, access.lost[0]), lost=access.lost[1:]),
    ):
        assert plan_digest(made) != plan_digest(made._replace(access=reached))


HOSTILE = "x` | <b>@everyone</b> ````\n</details> \x1b[31m\u202e [a](b)"


def test_hostile_text_cannot_escape_its_place_in_markdown() -> None:
    user = User("eve", "eve@example.org", full_name=HOSTILE)
    made = plan(actual(ALICE, ADMINS), desired(ALICE, ADMINS, user))
    shown = plan_markdown(made)
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert shown.count("</details>") == shown.count("\n</details>\n") + 1  # the other one stands inside the fenced block
    assert shown.count("````") == 2


def test_code_spans_hold_what_they_are_given() -> None:
    assert code("a`b") == "`` a`b ``"
    assert code("a|b") == "`a\\u007cb`"
    assert code("") == "` `"


def test_markdown_puts_the_summary_first_and_access_in_a_table() -> None:
    shown = plan_markdown(busy_plan())
    assert shown.startswith("### Accord plan\n\n**1 created") or "**2 created" in shown.splitlines()[2]
    assert "| ➕ gain | `carol`, `u1`, `u2` | `public` | `web` | `10.0.0.0/8` | 2026-06-30 |" in shown
    assert "<details>" in shown


def test_markdown_folds_adopted_unmanaged_and_moved_resources() -> None:
    stray = {"unmanaged": frozenset({("Issuer", "stray")})}
    before = actual(ALICE, ADMINS, Issuer("stray"), **stray)
    shown = plan_markdown(plan(before, desired(ALICE, ADMINS)))
    assert "<details><summary>1 row that Git never declared, left alone (--adopt would delete it" in shown
    assert "</summary>\n\n- `Issuer stray`\n\n</details>\n" in shown
    adopted = plan_markdown(plan(before, desired(ALICE, ADMINS, Issuer("stray", "Stray")), adopt=True))
    assert "<details><summary>--adopt takes over 1 row that Git never declared, and deletes 0 that it lacks" in adopted
    assert "left alone" not in adopted
    assert (
        "takes over 0 rows that Git never declared, and deletes 1 that it lacks</summary>\n\n- `deletes Issuer stray`"
        in plan_markdown(plan(before, desired(ALICE, ADMINS), adopt=True))
    )
    moved = plan_markdown(plan(before._replace(files={("User", "alice"): "old.yaml"}), desired(ALICE, ADMINS)))
    assert "1 resource now declared elsewhere</summary>\n\n- `User alice: alice.yaml:1`" in moved


def test_markdown_limits_unmanaged_rows_and_moves() -> None:
    made = plan(actual(ALICE, ADMINS), desired(ALICE, ADMINS))
    long = Origin("/".join(["folder"] * 500), 1)
    many = tuple(("User", f"user-{number}") for number in range(5_000))
    shown = plan_markdown(made._replace(unmanaged=many, moves=tuple((key, long) for key in many)))
    assert len(shown) < LIMITS["github"] // 4
    assert "more: see `accord plan --rev cccccccccccc`" in shown


def crowd(size: int, **more: object) -> list[User]:
    return [User(f"user-with-a-long-name-{number:05}", f"u{number}@example.org", **more) for number in range(size)]  # type: ignore[arg-type]


def crowded(users: list[User], *issuers: str) -> Plan:
    members = tuple(Membership(user.name) for user in users)
    web = Team("web", members=members, permissions=tuple(map(Permission, issuers)))
    return plan(actual(ALICE, ADMINS), desired(ALICE, ADMINS, web, *users, *map(Issuer, issuers)))


def test_the_access_table_stays_whole_and_details_shrink_first() -> None:
    users = crowd(2_000, full_name="x" * 100)
    shown = plan_markdown(crowded(users, "internal", "public"))
    assert len(shown) < LIMITS["github"]
    assert all(user.name in shown for user in users)  # all of them in one row for both issuers
    assert "Too long" not in shown
    assert "more changes: see `accord plan --rev cccccccccccc`" in shown


def test_names_are_left_out_only_if_nothing_else_helps_and_the_comment_says_how_many() -> None:
    made = crowded(crowd(5_000), "public")
    shown = plan_markdown(made)
    assert len(shown) < LIMITS["github"]
    left_out = int(re.search(r"Left out: ([0-9,]+) names of long rows of the access table", shown)[1].replace(",", ""))
    named = set(re.findall(r"user-with-a-long-name-[0-9]{5}", shown))
    assert len(named) == 5_000 - left_out
    assert left_out < 3_000
    whole = plan_markdown(made, LIMITS["gitlab"])
    assert "Too long" not in whole
    assert "user-with-a-long-name-04999" in whole


def test_rows_are_left_out_only_in_the_end_and_the_comment_says_how_many() -> None:
    users = crowd(3_000)
    teams = [Team(f"t{user.name[-4:]}", members=(Membership(user.name),), permissions=(Permission("public"),)) for user in users]
    shown = plan_markdown(plan(actual(ALICE, ADMINS), desired(ALICE, ADMINS, Issuer("public"), *teams, *users)))
    assert len(shown) < LIMITS["github"]
    told = re.search(r"Left out: ([0-9,]+) of 3,000 rows of the access table. Before you approve", shown)
    assert told is not None
    assert 3_000 - int(told[1].replace(",", "")) == shown.count("| ➕ gain | `user-with-a-long-name-") > 500


NETS = tuple(f"10.{number // 200}.{number % 200}.0/24" for number in range(0, 600, 2))


def net_of(users: list[User], ranges: tuple[str, ...]) -> list[Team]:
    """A team with addresses, whose members have an issuer through a team each."""
    each = [Team(f"t{user.name[-2:]}", members=(Membership(user.name),), permissions=(Permission("public"),)) for user in users]
    return [Team("net", members=tuple(Membership(user.name) for user in users), permitted_ips=ranges), *each]


def test_long_lists_of_addresses_are_cut_before_any_row_or_name() -> None:
    users = crowd(30)
    pki = Team("pki", ad_groups=("PKI-Web",), permissions=(Permission("public"),))
    before = actual(ALICE, ADMINS, PUBLIC, pki._replace(ad_groups=()), *users, *net_of(users, NETS))
    made = plan(before, desired(ALICE, ADMINS, PUBLIC, pki, *users, *net_of(users, ("192.0.2.7", *NETS))))
    shown = plan_markdown(made)
    assert len(shown) < LIMITS["github"]
    table = [line for line in shown.splitlines() if line.startswith("| ➕")]
    assert len(table) == 31 and "whoever is in `PKI-Web`" in table[0], "a gain stands before what opens"
    assert all("also `192.0.2.7`, before: `10.0.0.0/24, " in line and "` and 294 more ranges |" in line for line in table[1:])
    assert "Left out: the ends of long lists of addresses of the access table." in shown
    whole = plan_markdown(made, LIMITS["gitlab"])
    assert "Too long" not in whole and whole.count(NETS[-1]) == 30


def test_a_row_that_does_not_fit_hides_no_other_one() -> None:
    few = ("`10.0.0.1`", "`10.0.0.1`", "`10.0.0.1`")
    small = [Row("➕ gain", (f"user{number}",), ("public",), few, few, "") for number in range(2)]
    long = Row("➕ gain", ("alice",), ("public",), ("`x`" * 9_999,) * 3, few, "")
    lines, gone = fitting_table([long, *small], 500)
    assert [line.split("`")[1] for line in lines] == ["user0", "user1"] and gone == "1 of 3 rows"


def test_all_that_is_gained_is_cut_rather_than_left_out() -> None:
    many = tuple(f"2001:db8:{number:x}::/48" for number in range(1, 4_000, 2))
    web = Team("web", members=(Membership("alice"),), permissions=(Permission("public"),), permitted_ips=many)
    granted = [Permission(f"an-issuer-with-a-long-name-{number:04}") for number in range(2_500)]
    rich = Team("rich", administrator=True, members=(Membership("bob"),), permissions=tuple(granted))
    issuers = [Issuer(permission.issuer) for permission in granted]
    made = plan(actual(ALICE, ADMINS, PUBLIC), desired(ALICE, BOB, ADMINS, PUBLIC, web, rich, *issuers))
    shown = plan_markdown(made)
    bob, alice = (line for line in shown.splitlines() if line.startswith("| ➕"))
    assert "| `alice` | `public` | `web` | `2001:db8:1::/48, " in alice and "` and 1,994 more ranges |" in alice
    assert re.search(r"\| `bob` \| \*\*administrator\*\*, `an-issuer-.*` and [0-9,]+ more \|", bob)
    told = "the ends of long lists of addresses and teams, "
    assert re.search(f"Left out: {told}[0-9,]+ names of long rows of the access table", shown)


@pytest.mark.parametrize(
    ("more", "command"),
    [
        ({}, "accord plan --rev cccccccccccc"),
        ({"working_tree": True}, "accord plan --working-tree"),
        ({"working_tree": True, "against": True}, "accord plan --working-tree --against bbbbbbbbbbbb"),
        ({"adopt": True, "rewind": True}, "accord plan --rev cccccccccccc --adopt --allow-rewind"),
        ({"welcome": False, "path": "a b"}, "accord plan --rev cccccccccccc --path 'a b' --no-welcome"),
    ],
)
def test_what_is_left_out_is_shown_by_the_command_that_makes_this_very_plan(more: dict[str, Any], command: str) -> None:
    made = crowded(crowd(5_000), "public")._replace(**more)
    shown = plan_markdown(made._replace(applied=made.revision._replace(commit="b" * 40)))
    assert f"Before you approve, read it all: `{command}`\n" in shown and f"more changes: see `{command}`\n" in shown


def test_a_refused_plan_says_so_in_its_headline() -> None:
    assert plan_markdown(plan(actual(ALICE, ADMINS), desired())).startswith(
        "### ⛔ Accord plan: refused by last-administrator, emptying"
    )


def test_hidden_characters_are_spelt_out() -> None:
    assert printable("a\x1b[31m\u202eb\nc") == "a\\u001b[31m\\u202eb\\u000ac"
    assert show_value("x" * 300).endswith('…" (300 characters)')


def test_a_deleted_resource_is_shown_briefly_with_what_it_held() -> None:
    web = Team("web", "Runs it", members=tuple(Membership(f"u{number:02}") for number in range(12)))
    assert list(change_lines(Change("delete", "Team", "web", None, web, None))) == [
        ("removed", "  - Team web"),
        ("dim", '      description: was "Runs it"'),
        ("dim", "      members: was u00, u01, u02, u03, u04, u05, u06, u07, u08, u09 and 2 more"),
    ]


def changed_line(old: EmailTemplate, new: EmailTemplate) -> str:
    change = Change("update", "EmailTemplate", "welcome", Origin("welcome.yaml", 1), old, new)
    return [line for _, line in change_lines(change)][-1].strip()


def test_a_change_in_a_long_line_is_shown() -> None:
    good, evil = (
        EmailTemplate("welcome", "", "", html="x" * 5000 + "good"),
        EmailTemplate("welcome", "", "", html="x" * 5000 + "evil"),
    )
    around = "x" * 30
    assert changed_line(good, evil) == f'html: …{around}good" → …{around}evil"'
    good, evil = (each._replace(html=each.html + "y" * 1030) for each in (good, evil))
    more = "y" * 30 + "… (1,001 characters more)"
    assert changed_line(good, evil) == f"html: …{around}good{more} → …{around}evil{more}"
    both = evil._replace(html="X" + evil.html[1:])
    assert "good" in changed_line(good, both)  # however far apart
    assert "evil" in changed_line(good, both)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a\u200bb", "a\\u200bb"),
        ({"note": "x" * 300 + "good"}, {"note": "x" * 300 + "evil"}),
        ("x" * 300, "x" * 301),
        (["x" * 300], ["x" * 299]),
    ],
)
def test_different_values_are_never_shown_as_the_same(old: object, new: object) -> None:
    was, now = show_both(old, new)
    assert was != now
    assert len(was) < 300 or len(now) < 300


@pytest.mark.parametrize(
    ("value", "shown"), [(None, "none"), (True, "true"), (5, "5"), ({"a": "b"}, '{a: "b"}'), (["a", "b"], '["a", "b"]')]
)
def test_values_are_shown_as_in_yaml(value: object, shown: str) -> None:
    assert show_value(value) == shown


def test_the_summary_counts_people_once() -> None:
    assert summary(busy_plan()) == "2 created, 4 updated, 1 deleted; 3 gain access, 3 lose access, 1 keeps access on other terms"
    assert summary(plan(actual(ALICE), desired(ALICE))) == "no changes"


PROBLEMS = [
    Problem("a,b:c.yaml", 3, 5, "unknown-reference", "error", "unknown issuer `x`\n; 100% wrong", "y"),
    Problem("b ü.yaml", 1, 1, "no-issuers", "warning", "grants nothing"),
]


def test_problems_are_annotations_that_cannot_be_broken_out_of() -> None:
    assert problems_github(PROBLEMS)[0] == (
        "::error file=a%2Cb%3Ac.yaml,line=3,col=5,title=unknown-reference::unknown issuer `x`\\u000a; 100%25 wrong"
    )


def test_problems_are_sarif_with_each_rule_once() -> None:
    run = problems_sarif(PROBLEMS, "1.0")["runs"][0]
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["no-issuers", "unknown-reference"]
    asked_by_github = {"id", "shortDescription", "fullDescription", "help"}
    assert {frozenset(rule) for rule in run["tool"]["driver"]["rules"]} == {frozenset(asked_by_github)}
    assert [result["ruleIndex"] for result in run["results"]] == [1, 0]
    place = run["results"][1]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "b%20%C3%BC.yaml"


def test_problems_are_json_as_their_schema_says() -> None:
    schema = json.loads((SCHEMAS / "problems.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(problems_json(PROBLEMS))


def test_problems_are_lines_with_a_tally() -> None:
    assert problem_lines(PROBLEMS)[0] == ("changed", "b ü.yaml:1:1: warning: grants nothing [no-issuers]")
    assert tally(PROBLEMS) == "1 error, 1 warning"


def template_plan(before: EmailTemplate, after: EmailTemplate) -> Plan:
    made = plan(actual(ALICE, ADMINS), desired(ALICE, ADMINS))
    return made._replace(changes=(Change("update", "EmailTemplate", before.name, None, before, after),))


TEMPLATE = EmailTemplate("welcome", "Hello", "Hello {{ name }},\n\nuse this link:\nhttps://accord.example.org\n")


@pytest.mark.parametrize(
    ("text_after", "lines"),
    [
        (TEMPLATE.text.replace("accord", "evil"), ["text: - https://accord.example.org", "text: + https://evil.example.org"]),
        (TEMPLATE.text.rstrip("\n"), ["text: - "]),
        (TEMPLATE.text + "\n", ["text: + "]),
        (TEMPLATE.text.replace("link", "\u202eknil"), ["text: - use this link:", "text: + use this \\u202eknil:"]),
        (TEMPLATE.text.replace("\n\n", "\r\n\n"), ["text: - Hello {{ name }},", "text: + Hello {{ name }},\\u000d"]),
        ("Bye", ["text: - Hello {{ name }},", "text: - use this link:", "text: + Bye"]),
    ],
)
def test_a_long_text_is_shown_by_the_lines_that_differ_and_nothing_hides_in_it(text_after: str, lines: list[str]) -> None:
    made = template_plan(TEMPLATE, TEMPLATE._replace(text=text_after))
    shown = [line.strip() for line in text(made).splitlines() if line.strip().startswith("text:")]
    for line in lines:
        assert line.strip() in shown
    if len(lines) < 3:
        assert len(shown) == len(lines)


def test_every_change_has_a_line() -> None:
    long = TEMPLATE._replace(text="a\n" * 500 + "b")
    made = template_plan(long, long._replace(text="a\n" * 500 + "c"))
    assert "text: - b" in text(made)
    assert "text: + c" in text(made)


def test_names_and_places_written_by_hand_cannot_control_the_terminal() -> None:
    name, file = "\x1b[31mx", "users/\x1b[2J.yaml"
    team = Team("web", members=(Membership(name),), permissions=(Permission("public"),))
    held = actual(ALICE, ADMINS, PUBLIC, User(name, "x@example.org"), team)
    wanted = desired(ALICE, ADMINS, PUBLIC, team._replace(members=()))
    made = plan(held, wanted, warnings=[Problem(file, 1, 1, "rule", "warning", "words\x07")])
    made = made._replace(moves=((("User", "alice"), Origin(file, 1)),))
    assert "\x1b" not in text(made)
    assert "\x07" not in text(made)
    assert "\\u001b[31mx loses public through web" in text(made)
    assert "\x1b" not in plan_markdown(made)
    access = [line for _, line in access_lines(made.access.lost, LATER, None, past=False)]
    assert access[1].startswith("\\u001b[31mx  public  web")
    assert "\x1b" not in "".join(access)


def test_a_comment_never_grows_beyond_its_limit_and_counts_what_it_leaves_out() -> None:
    users = [User(f"u{number:03}", f"u{number}@example.org") for number in range(200)]
    issuers = [Issuer(f"i{number:03}") for number in range(400)]
    ops = Team("ops", members=tuple(Membership(user.name) for user in users), permissions=(Permission("public"),))
    web = Team("web", members=tuple(Membership(user.name) for user in users))
    before = [ALICE, ADMINS, PUBLIC, ops, web._replace(members=()), *users]
    granted = web._replace(permissions=tuple(Permission(issuer.name) for issuer in issuers))
    apart = Settings(guards=Guards(separation_of_duties=(("ops", "web"),)))
    changed = ops._replace(permissions=(Permission("public", LATER),))
    warnings = [Problem("a.yaml", number, 1, "rule", "warning", "words " * 20) for number in range(1, 400)]
    after = [ALICE, ADMINS, PUBLIC, changed, granted, apart, *users, *issuers]
    made = plan(actual(*before), desired(*after), warnings=warnings)
    markdown = plan_markdown(made)
    assert len(markdown) <= LIMITS["github"]
    assert all(user.name in markdown.split("| keep |")[1].split("\n")[0] for user in users)
    guard = next(guard for guard in made.guards if guard.id == "separation-of-duties")
    assert guard.message in markdown
    for rest in ("more changes", "more warnings"):
        assert f"{rest}: see `accord plan --rev cccccccccccc`" in markdown
    assert markdown.endswith("</sub>\n")
    short = plan_markdown(made, 5_000)
    assert len(short) <= 5_000
    assert "**Too long for one comment.** Left out: the ends of long lists of names, " in short


def test_a_comment_says_what_was_refused_and_what_was_overridden() -> None:
    made = plan(actual(ALICE, ADMINS), desired(ALICE, ADMINS._replace(members=())))
    assert "### ⛔ Accord plan: refused by last-administrator" in plan_markdown(made)
    made = made._replace(guards=overridden(made.guards, ["last-administrator"]))
    assert "⚠️ overridden: **last-administrator**" in plan_markdown(made)
    assert "! last-administrator: overridden" in text(made)
    assert "### Accord plan: no changes" in plan_markdown(plan(actual(ALICE, ADMINS), desired(ALICE, ADMINS)))
