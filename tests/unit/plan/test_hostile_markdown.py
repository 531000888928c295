"""Whatever stands in names, subjects, paths, reasons and messages: in a comment it is text in a code span, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

from effort import tries
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from test_make_plan import ADMINS, ALICE, PUBLIC, REVISION, actual, desired, plan

from reconciler.access.problems import Problem
from reconciler.access.resources import Guards, Issuer, Membership, Origin, Permission, Settings, Team, User
from reconciler.plan.actual import Runtime
from reconciler.plan.plan import Plan
from reconciler.plan.render.markdown import plan_markdown, problems_markdown, refusal_markdown
from reconciler.plan.render.spans import code

PIECES = ["`", "``", "````", "|", "\\", "\n", "\r", "@everyone", "<b>", "</details>", "<!--", "![i](http://x)", "[l](http://x)"]
PIECES += ["https://evil.example", "www.evil.example", "a@evil.example", "#123", "*", "_", "\u202e", "\x1b[31m", "x", " "]
PIECES += ["~~~~", "&#64;"]
texts = st.lists(st.sampled_from(PIECES), min_size=1, max_size=6).map("".join)
MARKUP = MarkdownIt("commonmark", {"html": True}).enable("table")


def comment(hostile: str) -> Plan:
    """A plan with this text in every place that a repository, a directory or a hand in the database can fill."""
    user = User(hostile, hostile, full_name=hostile)
    members = (Membership(hostile, None, hostile),)
    team = Team(hostile, hostile, True, members, (Permission(hostile),), (hostile,), ("10.0.0.0/8",))
    apart = Settings(guards=Guards(separation_of_duties=((hostile, "admins"),)))
    admins = ADMINS._replace(members=(Membership("alice"), Membership(hostile)))
    before = actual(ALICE, ADMINS, PUBLIC, Issuer("stray"), unmanaged=frozenset({("Issuer", "stray")}))
    after = desired(ALICE, admins, PUBLIC, user, team, Issuer(hostile), apart)
    made = plan(before, after, warnings=[Problem(hostile, 1, 1, "rule", "warning", hostile)])
    return made._replace(
        revision=REVISION._replace(summary=hostile, author=hostile),
        unmanaged=(("Team", hostile),),
        moves=((("User", hostile), Origin(hostile, 1)),),
    )


def flat(tokens: list[Token]) -> Iterator[Token]:
    for token in tokens:
        yield token
        yield from flat(token.children or [])


def check(markdown: str) -> None:
    found = list(flat(MARKUP.parse(markdown)))
    for token in found:
        assert token.type not in ("link_open", "image", "em_open", "strikethrough_open"), token
        if token.type in ("html_block", "html_inline"):
            known = ("</details>", "<sub>", "</sub>")
            assert token.content.strip() in known or token.content.startswith("<details><summary>"), token
            assert "@" not in token.content
        if token.type == "text":
            assert not any(sign in token.content for sign in ("@", "http", "www.", "<", "#", "`")), token.content
    rows = [line for line in markdown.splitlines() if line.startswith("| ")]
    assert sum(token.type == "tr_open" for token in found) == len(rows)
    assert sum(token.type in ("td_open", "th_open") for token in found) == 6 * len(rows)


@settings(max_examples=tries(60), deadline=None)
@given(texts)
@example("x` | <b>@everyone</b> ````\n</details> [a](b)")
def test_hostile_text_is_inert_in_a_comment(hostile: str) -> None:
    check(plan_markdown(comment(hostile)))
    check(plan_markdown(comment(hostile), 5_000))
    check(problems_markdown([Problem(hostile, 1, 1, "rule", "error", hostile)]))
    check(refusal_markdown(hostile))
    (span,) = [token for token in flat(MARKUP.parse(f"- {code(hostile)} x")) if token.type == "code_inline"]
    assert "\n" not in span.content


def test_a_group_of_a_hostile_name_is_inert_too() -> None:
    made = comment("plain")
    (change,) = made.groups
    check(plan_markdown(made._replace(groups=(change._replace(group="` | @everyone <b>"),))))
    assert plan_markdown(made).count("whoever is in `plain` (0 directory accounts known here; more may be)") == 1


def test_known_accounts_of_a_group_are_counted() -> None:
    runtime = Runtime(can_set_password=frozenset({"alice"}), directory_groups={"pki": ("ada", "ben")})
    team = Team("web", ad_groups=("PKI",), permissions=(Permission("public"),))
    shown = plan_markdown(plan(actual(ALICE, ADMINS, PUBLIC, runtime=runtime), desired(ALICE, ADMINS, PUBLIC, team)))
    assert "| whoever is in `PKI` (2 directory accounts known here; more may be) | `public` | `web` | anywhere |" in shown
