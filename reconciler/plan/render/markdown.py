"""A plan as Markdown, for a pull request comment: summary first, access as a table, details folded.

Text from the repository is escaped or put in code spans: a description must not mention people, draw buttons or close the
fold around it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from reconciler.access.instants import show_instant
from reconciler.access.state import Access
from reconciler.plan.plan import Plan
from reconciler.plan.render.document import plan_digest
from reconciler.plan.render.text import REWIND, access_change_sentence, change_lines, summary
from reconciler.plan.render.words import effects_words
from reconciler.wording.text import count, printable

LIMIT = 60_000
"""Characters; GitHub refuses a comment of more than 65,536."""
_NAMES = 40
_GUARD = LIMIT // 40
_SHARES = {"access": LIMIT // 4, "changed": LIMIT // 8, "warnings": LIMIT // 8, "details": LIMIT // 4, "folded": LIMIT // 30}
"""How much of the limit each part may take; guards' messages have their own limit."""


def plan_markdown(plan: Plan) -> str:
    """Render the plan as one comment. Anything that does not fit is counted, never dropped silently."""
    parts = [
        *_heading(plan),
        *_guards(plan),
        *_administrators(plan),
        *_access(plan),
        *_warnings(plan),
        *_details(plan),
        *_rows_besides(plan),
        f"<sub>Git → database · revision {code(plan.revision.commit[:12])} · {plan_digest(plan)}</sub>",
    ]
    return "\n".join(parts) + "\n"


def code(text: str) -> str:
    """Put text in a code span, on one line, that the text cannot close."""
    safe = printable(text).replace("|", "\\u007c")
    fence = "`"
    while fence in safe:
        fence += "`"
    padding = " " if fence != "`" else ""
    return f"{fence}{padding}{safe}{padding}{fence}"


def escape(text: str) -> str:
    """Escape text so that nothing in it is markup, a mention or a reference."""
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
    if plan.rewind:
        yield f"⚠️ **Rewind**: {REWIND}"
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
            rest = f" … ({len(guard.message):,} characters: see the plan as text)" if len(guard.message) > _GUARD else ""
            yield f"- {sign} **{guard.id}**: {escape(guard.message[:_GUARD])}{rest}"
    if any(guard.verdict != "pass" for guard in plan.guards):
        yield ""


def _administrators(plan: Plan) -> Iterator[str]:
    directions = zip(("➕ become", "➖ stop being"), plan.administrators, strict=True)
    lines = [f"- {verb} **administrator**: {_names(names)}" for verb, names in directions if names]
    if lines:
        yield from (*lines, "")


def _access(plan: Plan) -> Iterator[str]:
    rows = [*_rows(plan.access.gained, "➕ gain"), *_rows(plan.access.lost, "➖ lose")]
    if not rows and not plan.access.changed:
        return
    if rows:
        shown = _fitting(rows, "access")
        yield "| | who | issuer | through | until |"
        yield "|---|---|---|---|---|"
        yield from shown
        if len(rows) > len(shown):
            yield f"| | and {count(len(rows) - len(shown), 'more row')}: see the plan as text | | | |"
        yield ""
    yield from _items([f"- {code(access_change_sentence(change))}" for change in plan.access.changed], "changed", "more change")


def _fitting(lines: Sequence[str], part: str) -> Sequence[str]:
    """Return the first lines that fit into a part's share of the comment."""
    size = 0
    for number, line in enumerate(lines):
        size += len(line) + 1
        if size > _SHARES[part]:
            return lines[:number]
    return lines


def _items(lines: Sequence[str], part: str, rest: str) -> Iterator[str]:
    """Render a list, and the number of items that do not fit."""
    shown = _fitting(lines, part)
    yield from shown
    if len(lines) > len(shown):
        yield f"- and {count(len(lines) - len(shown), rest)}: see the plan as text"
    if lines:
        yield ""


def _rows(accesses: Iterable[Access], verb: str) -> list[str]:
    groups: dict[tuple[str, tuple[str, ...], str], list[str]] = {}
    for access in accesses:
        until = "" if access.until is None else show_instant(access.until)
        groups.setdefault((access.issuer, access.through, until), []).append(access.user)
    rows = []
    for (issuer, through, until), users in sorted(groups.items()):
        rows.append(f"| {verb} | {_names(users)} | {code(issuer)} | {', '.join(code(team) for team in through)} | {until} |")
    return rows


def _names(names: Sequence[str]) -> str:
    """Render names in code spans, and the number of those left out."""
    rest = f" and {len(names) - _NAMES:,} more" if len(names) > _NAMES else ""
    return ", ".join(map(code, names[:_NAMES])) + rest


def _warnings(plan: Plan) -> Iterator[str]:
    lines = [f"- ⚠️ {code(f'{warning.file}:{warning.line}')} {escape(warning.message)}" for warning in plan.warnings]
    yield from _items(lines, "warnings", "more warning")


def _details(plan: Plan) -> Iterator[str]:
    if plan.is_empty:
        return
    yield f"<details><summary>{count(len(plan.changes), 'resource change')}</summary>"
    yield ""
    yield "````diff"
    blocks = ["\n".join(_diff_line(style, line) for style, line in change_lines(change)) for change in plan.changes]
    shown = _fitting(blocks, "details")
    yield from shown
    yield "````"
    if len(shown) < len(blocks):
        yield f"and {count(len(blocks) - len(shown), 'more change')}: see the plan as text"
    yield ""
    yield "</details>"
    yield ""


def _rows_besides(plan: Plan) -> Iterator[str]:
    """Fold rows taken over, rows left alone and moved resources into one line each."""
    if plan.adopt:
        taken = [f"{change.kind} {change.name}" for change in plan.changes if change.action == "adopt"]
        rest = "takes over rows that Git never declared, and deletes those this revision does not declare"
        yield from _folded(f"{len(taken):,} taken over: --adopt {rest}", taken)
    if plan.unmanaged:
        unmanaged = count(len(plan.unmanaged), "row that Git never declared", "rows that Git never declared")
        yield from _folded(f"{unmanaged}, left alone", [f"{kind} {name}" for kind, name in plan.unmanaged])
    if plan.moves:
        moves = [f"{kind} {name}: {origin}" for (kind, name), origin in plan.moves]
        yield from _folded(f"{count(len(moves), 'resource')} now declared elsewhere", moves)


def _folded(title: str, items: Sequence[str]) -> Iterator[str]:
    shown = _fitting([code(item) for item in items[: _SHARES["folded"]]], "folded")
    rest = f" and {len(items) - len(shown):,} more: see the plan as text" if len(items) > len(shown) else ""
    yield f"<details><summary>{title}</summary>\n\n{', '.join(shown)}{rest}\n\n</details>\n"


def _diff_line(style: str, line: str) -> str:
    sign = {"added": "+", "removed": "-", "changed": "!"}.get(style, " ")
    return sign + line.replace("````", "\\u0060" * 4)[1:]
