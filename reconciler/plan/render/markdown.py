"""A plan as Markdown, for a comment on a pull request: what reviewers must not miss stands open, details are folded.

A comment that is too long is not posted at all. So details shrink first, then warnings; the guards and the access table stay
whole as long as they fit in any way, and whatever is left out is counted. Text from elsewhere stands in code spans.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from reconciler.access.problems import Problem
from reconciler.plan.plan import Change, Checkout, Plan
from reconciler.plan.render.document import plan_digest
from reconciler.plan.render.spans import code, spans
from reconciler.plan.render.table import HEADER, access_rows, fitting_table
from reconciler.plan.render.text import (
    REWIND,
    adopted_rows,
    adoption,
    change_lines,
    direction,
    left_alone,
    nothing,
    override_command,
    summary,
)
from reconciler.plan.render.words import effects_words, origin_notes, show_item, show_value, standing_sentences
from reconciler.wording.text import count

LIMITS: Mapping[str, int] = {"github": 65_000, "gitlab": 990_000}
"""Characters. GitHub refuses a comment of more than 65,536, GitLab of more than 1,000,000; a pipeline may add a few words."""
_MOST_ENDS = 200
"""How many deleted resources of a kind stand open; the details have all."""
_POWERS = ("administrator", "permittedIPs", "adGroups", "mayDecideFor")
"""What a team gives its members, or takes, besides issuers."""


class _Part(NamedTuple):
    """Lines that may be cut, what stands around them, and what one is called."""

    before: str
    lines: Sequence[str]
    after: str
    rest: tuple[str, str]
    """What is left out, if it is one and if it is more."""


def plan_markdown(plan: Plan, limit: int = LIMITS["github"], checkout: Checkout | None = None) -> str:
    """Render the plan in at most so many characters; `checkout` is a work tree beside it."""
    notes = (f"⚠️ {code(note)}\n" for note in origin_notes(plan, checkout))
    head, foot = "\n".join([*_heading(plan), *notes]), _footer(plan)
    guards, guards_cut = _fitting_guards(plan, limit // 2)
    beside = [*_rows_besides(plan)]
    parts = [_ends(plan), _powers(plan), _warnings(plan), _details(plan), *beside]
    room = limit - len(head) - len(foot) - len(guards) - 300 - sum(_frame(part) for part in parts)
    rows = access_rows(plan)
    table, table_cut = fitting_table(rows, room - sum(map(len, HEADER)) - 4)
    access = "\n".join([*HEADER, *table, "", ""]) if rows else ""
    room -= len(access)
    written = []
    for part in parts:  # the most important first, as long as there is room
        written.append(_written(part, min(room, limit // 10) if part in beside else room, plan))
        room -= max(0, len(written[-1]) - _frame(part))
    ends, powers, *rest = written
    cut = _left_out(plan, [what for what in (guards_cut, table_cut and f"{table_cut} of the access table") if what])
    return "".join([head, "\n", cut, guards, ends, powers, access, *rest, foot])


def problems_markdown(problems: Sequence[Problem], limit: int = LIMITS["github"]) -> str:
    """Render why a revision cannot be planned."""
    errors = sum(problem.severity == "error" for problem in problems)
    head = f"### ⛔ Accord plan: this revision is invalid\n\n**{count(errors, 'error')}** to correct first:\n\n"
    ordered = sorted(problems, key=lambda problem: problem.severity != "error")
    lines = [f"- {_sign(problem)} {_place(problem)} {code(problem.message)}" for problem in ordered]
    shown = _first(lines, limit - len(head) - 200)
    rest = len(lines) - len(shown)
    more = f"\nand {count(rest, 'more problem')}: see {code('accord validate')}\n" if rest else ""
    return head + "\n".join(shown) + "\n" + more


def refusal_markdown(message: str) -> str:
    """Render why there is no plan of a valid revision."""
    return f"### ⛔ Accord plan: refused\n\n{code(message)}\n"


def _sign(problem: Problem) -> str:
    return {"error": "⛔", "warning": "⚠️", "note": "ℹ️"}[problem.severity]


def _place(problem: Problem) -> str:
    return code(f"{problem.file}:{problem.line}:{problem.column}")


def _heading(plan: Plan) -> Iterator[str]:
    refused = plan.refusals
    if refused:
        yield f"### ⛔ Accord plan: refused by {', '.join(guard.id for guard in refused)}"
    elif plan.is_empty:
        yield f"### Accord plan: {nothing(plan)[:1].lower()}{nothing(plan)[1:].rstrip('.')}"
    else:
        yield "### Accord plan"
    yield ""
    if plan.rewind:
        yield f"⚠️ **Rewind**: {REWIND}"
        yield ""
    if not plan.is_empty:
        yield f"**{summary(plan)}**"
        yield ""
    if plan.revision.summary:
        yield f"{code(plan.revision.summary[:200])} by {code(plan.revision.author[:100])}"
        yield ""
    also = effects_words(plan.effects)
    if also:
        yield f"Also: {also}."
        yield ""


def _footer(plan: Plan) -> str:
    base = f" against {code(plan.applied.commit[:12])}" if plan.against and plan.applied else ""
    return f"<sub>{direction(plan)} · revision {code(plan.revision.commit[:12])}{base} · {plan_digest(plan)}</sub>\n"


def _fitting_guards(plan: Plan, limit: int) -> tuple[str, str]:
    """Render the guards that do not pass, then who becomes or stops being an administrator; say what had to be left out."""
    found = [guard for guard in plan.guards if guard.verdict != "pass"]
    lines = [f"- {'⛔' if guard.verdict == 'refuse' else '⚠️ overridden:'} **{guard.id}**: " for guard in found]
    directions = zip(("➕ become", "➖ stop being"), plan.administrators, strict=True)
    named = [f"- {verb} **administrator**: {spans(names)}" for verb, names in directions if names]
    command = [f"- if this is intended: {code(override_command(plan))}"] if plan.refusals else []

    def render(most: int | None) -> str:
        told = [line + code(guard.message[:most]) + _more(guard.message, most) for line, guard in zip(lines, found, strict=True)]
        blocks = [[*told, *command], [line[:most] + _more(line, most) if most is not None else line for line in named]]
        return "".join("\n".join([*block, "", ""]) for block in blocks if block)

    whole = render(None)
    if len(whole) <= limit:
        return whole, ""
    most = max(200, limit // (len(found) + len(named)) - 300)
    return render(most), "the ends of long lists of names"


def _more(text: str, most: int | None) -> str:
    return "" if most is None or len(text) <= most else f" … ({len(text) - most:,} more characters)"


def _left_out(plan: Plan, what: Sequence[str]) -> str:
    if not what:
        return ""
    return f"⚠️ **Too long for one comment.** Left out: {', '.join(what)}. Before you approve, read it all: {_see(plan)}\n\n"


def _see(plan: Plan) -> str:
    """Return the command that shows everything."""
    base = f" --against {plan.applied.commit[:12]}" if plan.against and plan.applied else ""
    return code(f"accord plan --rev {plan.revision.commit[:12]}{base}{' --adopt' if plan.adopt else ''}")


def _ends(plan: Plan) -> _Part:
    """Name the accounts, teams and issuers that are deleted."""
    lines = []
    for kind, plural in (("User", "users"), ("Team", "teams"), ("Issuer", "issuers")):
        names = [change.name for change in plan.changes if change.kind == kind and change.action == "delete"]
        more = f" and {len(names) - _MOST_ENDS:,} more" if len(names) > _MOST_ENDS else ""
        if names:
            lines.append(f"- ➖ delete **{count(len(names), kind.lower(), plural)}**: {spans(names[:_MOST_ENDS])}{more}")
    return _Part("", lines, "\n\n", ("more kind of deleted resources", "more kinds of deleted resources"))


def _powers(plan: Plan) -> _Part:
    """List what changes in the fields that give teams power, which nobody should have to unfold."""
    lines = [
        f"- {code(change.name)} {field}: {_difference(change, difference)}"
        for change in plan.changes
        if change.kind == "Team"
        for field, difference in change.fields.items()
        if field in _POWERS
    ]
    return _Part("", lines, "\n\n", ("more power of a team", "more powers of teams"))


def _difference(change: Change, difference: Mapping[str, object]) -> str:
    if "from" in difference:
        return code(f"{show_value(difference['from'])} → {show_value(difference['to'])}")
    parts = []
    for sign, key in (("➕", "added"), ("➖", "removed")):
        items = difference[key]
        assert isinstance(items, list)
        parts += [f"{sign} {code(', '.join(map(show_item, items)))}"] if items else []
    return " ".join(parts)


def _warnings(plan: Plan) -> _Part:
    lines = [f"- ⚠️ **{guard.id}**: {code(sentence)}" for guard in plan.guards for sentence in standing_sentences(guard)]
    lines += [f"- {_sign(warning)} {code(f'{warning.file}:{warning.line}')} {code(warning.message)}" for warning in plan.warnings]
    return _Part("", lines, "\n\n", ("more warning", "more warnings"))


def _details(plan: Plan) -> _Part:
    blocks = ["\n".join(_diff_line(style, line) for style, line in change_lines(change)) for change in plan.changes]
    before = f"<details><summary>{count(len(plan.changes), 'resource change')}</summary>\n\n````diff\n"
    return _Part(before, blocks, "\n````\n\n</details>\n\n", ("more change", "more changes"))


def _rows_besides(plan: Plan) -> Iterator[_Part]:
    """Fold rows taken over, rows left alone and moved resources."""
    if plan.adopt:
        taken, gone = adopted_rows(plan)
        yield _folded(adoption(taken, gone), [*(f"takes over {row}" for row in taken), *(f"deletes {row}" for row in gone)])
    if plan.unmanaged:
        yield _folded(left_alone(len(plan.unmanaged)), [f"{kind} {name}" for kind, name in plan.unmanaged])
    if plan.moves:
        moves = [f"{kind} {name}: {origin}" for (kind, name), origin in plan.moves]
        yield _folded(f"{count(len(moves), 'resource')} now declared elsewhere", moves)


def _folded(title: str, items: Sequence[str]) -> _Part:
    before = f"<details><summary>{title.replace('`', '')}</summary>\n\n"
    return _Part(before, [f"- {code(item)}" for item in items], "\n\n</details>\n\n", ("more", "more"))


def _frame(part: _Part) -> int:
    """Return what a part needs in any case: what stands around it, and how many lines are left out."""
    return len(part.before) + len(part.after) + 200 if part.lines else 0


def _written(part: _Part, room: int, plan: Plan) -> str:
    if not part.lines:
        return ""
    shown = _first(part.lines, room)
    rest = len(part.lines) - len(shown)
    after = part.after
    if rest:
        more = f"\nand {count(rest, *part.rest)}: see {_see(plan)}\n"
        after = (more + "\n") if after == "\n\n" else after.replace("\n\n</details>", f"\n{more}\n</details>")
    return part.before + "\n".join(shown) + after


def _first(lines: Sequence[str], room: int) -> Sequence[str]:
    """Return the first lines that fit."""
    size = 0
    for number, line in enumerate(lines):
        size += len(line) + 1
        if size > room:
            return lines[:number]
    return lines


def _diff_line(style: str, line: str) -> str:
    sign = {"added": "+", "removed": "-", "changed": "!"}.get(style, " ")
    line = line.replace("````", "\\u0060" * 4)
    return sign + line.removeprefix(f"  {sign}") if line.startswith(f"  {sign} ") else sign + line[1:]
