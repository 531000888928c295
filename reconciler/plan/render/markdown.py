"""A plan as Markdown, made to be a pull request's comment: summary first, access as a table, details folded.

Everything that comes from the repository stands in code spans or is escaped: a description must not mention people,
draw buttons or close the fold it stands in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from reconciler.access.instants import show_instant
from reconciler.access.state import Access
from reconciler.plan.plan import Plan
from reconciler.plan.render.document import plan_digest
from reconciler.plan.render.text import access_change_sentence, change_lines, summary
from reconciler.plan.render.words import count, effects_words, printable

LIMIT = 60_000
"""Characters; GitHub refuses a comment beyond 65,536."""
_ROWS = 300
_NAMES = 40


def plan_markdown(plan: Plan) -> str:
    """The plan as one comment. What does not fit is counted, never dropped silently."""
    parts = [
        *_heading(plan),
        *_guards(plan),
        *_access(plan),
        *_warnings(plan),
        *_details(plan),
        f"<sub>Git → database · revision {code(plan.revision.commit[:12])} · {plan_digest(plan)}</sub>",
    ]
    return "\n".join(parts) + "\n"


def code(text: str) -> str:
    """A code span that its content cannot leave, on one line."""
    safe = printable(text).replace("|", "\\u007c")
    fence = "`"
    while fence in safe:
        fence += "`"
    padding = " " if fence != "`" else ""
    return f"{fence}{padding}{safe}{padding}{fence}"


def escape(text: str) -> str:
    """Plain text in which nothing is markup, a mention or a reference."""
    return "".join(char if char.isalnum() or char in " .,;:()/%-'" else f"&#{ord(char)};" for char in printable(text))


def _heading(plan: Plan) -> Iterator[str]:
    refused = plan.refusals
    if refused:
        yield f"### ⛔ Accord plan: refused by {', '.join(guard.id for guard in refused)}"
    elif plan.is_empty:
        yield "### Accord plan: no changes"
    else:
        yield "### Accord plan"
    yield ""
    if not plan.is_empty:
        yield f"**{summary(plan)}**"
        yield ""
    also = effects_words(plan.effects)
    if also:
        yield f"Also: {also}."
        yield ""


def _guards(plan: Plan) -> Iterator[str]:
    for guard in plan.guards:
        if guard.verdict != "pass":
            sign = "⛔" if guard.verdict == "refuse" else "⚠️ overridden:"
            yield f"- {sign} **{guard.id}**: {escape(guard.message)}"
    if any(guard.verdict != "pass" for guard in plan.guards):
        yield ""


def _access(plan: Plan) -> Iterator[str]:
    rows = [*_rows(plan.access.gained, "➕ gain"), *_rows(plan.access.lost, "➖ lose")]
    if not rows and not plan.access.changed:
        return
    if rows:
        yield "| | who | issuer | through | until |"
        yield "|---|---|---|---|---|"
        yield from rows[:_ROWS]
        if len(rows) > _ROWS:
            yield f"| | and {count(len(rows) - _ROWS, 'more row')}: see the plan as text | | | |"
        yield ""
    for change in plan.access.changed[:_ROWS]:
        yield f"- {code(access_change_sentence(change))}"
    if len(plan.access.changed) > _ROWS:
        yield f"- and {count(len(plan.access.changed) - _ROWS, 'more change')}: see the plan as text"
    if plan.access.changed:
        yield ""


def _rows(accesses: Iterable[Access], verb: str) -> list[str]:
    groups: dict[tuple[str, tuple[str, ...], str], list[str]] = {}
    for access in accesses:
        until = "" if access.until is None else show_instant(access.until)
        groups.setdefault((access.issuer, access.through, until), []).append(access.user)
    rows = []
    for (issuer, through, until), users in sorted(groups.items()):
        names = ", ".join(code(user) for user in users[:_NAMES])
        if len(users) > _NAMES:
            names += f" and {len(users) - _NAMES:,} more"
        rows.append(f"| {verb} | {names} | {code(issuer)} | {', '.join(code(team) for team in through)} | {until} |")
    return rows


def _warnings(plan: Plan) -> Iterator[str]:
    for warning in plan.warnings[:_ROWS]:
        yield f"- ⚠️ {code(f'{warning.file}:{warning.line}')} {escape(warning.message)}"
    if plan.warnings:
        yield ""


def _details(plan: Plan) -> Iterator[str]:
    if plan.is_empty:
        return
    yield f"<details><summary>{count(len(plan.changes), 'resource change')}</summary>"
    yield ""
    yield "````diff"
    size, shown = 0, 0
    for change in plan.changes:
        lines = [_diff_line(style, line) for style, line in change_lines(change)]
        size += sum(len(line) + 1 for line in lines)
        if size > LIMIT // 2:
            break
        shown += 1
        yield from lines
    yield "````"
    if shown < len(plan.changes):
        yield f"and {count(len(plan.changes) - shown, 'more change')}: see the plan as text"
    yield ""
    yield "</details>"
    yield ""


def _diff_line(style: str, line: str) -> str:
    sign = {"added": "+", "removed": "-", "changed": "!"}.get(style, " ")
    return sign + line.replace("````", "\\u0060" * 4)[1:]
