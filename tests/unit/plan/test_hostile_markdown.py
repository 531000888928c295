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
from reconciler.access.state import Access
from reconciler.plan.actual import Runtime
from reconciler.plan.guards import GUARDS
from reconciler.plan.plan import AccessChange, AccessDiff, AdministratorDiff, Checkout, GuardResult, Plan
from reconciler.plan.render.markdown import LIMITS, plan_markdown, problems_markdown, refusal_markdown
from reconciler.plan.render.spans import code
from reconciler.plan.render.text import override_merged
from reconciler.wording.text import inert

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


def crammed(text: str, size: int) -> Plan:
    """A plan in which every guard refuses, and everything that a comment lists is this long, with this text in it."""
    made = comment(text * 3)
    names = tuple(f"{number}{text}" for number in range(size))
    ranges = tuple(f"2001:db8:{number:x}::/48" for number in range(1, 2 * size, 2))
    gained = tuple(
        Access(names[number % 9 % size], name, names[: size // 50 + 1], None, ranges) for number, name in enumerate(names[:30])
    )
    moved = AccessChange(gained[0]._replace(addresses=ranges), gained[0]._replace(addresses=("192.0.2.7", *ranges)))
    (change,) = made.groups
    guards = tuple(GuardResult(guard, "refuse", f"{text}, " * size) for guard in GUARDS)
    return made._replace(
        guards=guards,
        administrators=AdministratorDiff(names, names),
        access=AccessDiff(gained, gained, (moved,) * 30),
        groups=(change,) * (size // 50 + 1),
        warnings=tuple(Problem(name, 1, 1, "rule", "warning", text * (size // 20 + 1)) for name in names),
        unmanaged=tuple(("Team", name) for name in names),
        applied=REVISION._replace(commit="a" * 40),
        revision=REVISION._replace(summary=text * 200, author=text * 200),
        changes=tuple(made.changes) * (size // 50 + 1),
        rewind=True, adopt=True, welcome=False, working_tree=True,
    )  # fmt: skip


@settings(max_examples=tries(10), deadline=None)
@given(texts | st.just("##a["), st.sampled_from([1, 60, 400]), st.sampled_from([5_000, 9_000, LIMITS["github"]]))
@example("|" * 100, 60, LIMITS["github"])
@example("|" * 100, 60, 5_000)
@example("\u202e" * 50, 400, 5_000)
def test_a_comment_is_never_too_long_and_names_each_guard_that_refuses(text: str, size: int, limit: int) -> None:
    made = crammed(text, size)
    checkout = Checkout("main", text * 30, "d" * 40, 10_000, 10_000, 10_000)
    markdown = plan_markdown(made, limit, checkout)
    assert len(inert(markdown)) <= limit
    if limit == 5_000:
        check(markdown)
    for guard in made.guards:
        assert f"- ⛔ **{guard.id}**: `" in markdown
    assert code(override_merged(made)) in markdown
    problems = [warning._replace(severity="error", file=text * 500) for warning in made.warnings]
    assert len(inert(problems_markdown(problems, limit))) <= limit
    assert len(inert(refusal_markdown(text * size * 10, limit))) <= limit


def test_guards_take_the_room_of_everything_that_can_shrink() -> None:
    text = "x" * 100
    made = crammed(text, 60)
    made = made._replace(guards=(GuardResult("deletions", "refuse", text * 400),))
    markdown = plan_markdown(made)
    assert text * 400 in markdown and len(markdown) <= LIMITS["github"]
    assert "more changes: see" in markdown


def test_a_long_power_of_a_team_is_cut_and_hides_no_other_one() -> None:
    many = tuple(f"10.{number // 200}.{number % 200}.0/24" for number in range(9_000))
    open_ = Team("z", members=(Membership("alice"),), permitted_ips=("0.0.0.0/0",))
    made = plan(actual(ALICE, ADMINS), desired(ALICE, ADMINS, Team("a", permitted_ips=many), open_))
    markdown = plan_markdown(made)
    assert "- `a` permittedIPs: ➕ `10.0.0.0/24, " in markdown and "` and 8,994 more" in markdown
    assert "- `z` permittedIPs: ➕ `0.0.0.0/0`" in markdown


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
