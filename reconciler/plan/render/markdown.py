"""A plan as Markdown, for a comment on a pull request: what reviewers must not miss stands open, details are folded.

A comment that is too long is not posted at all. So details shrink first, then warnings; the guards and the access table stay
whole as long as they fit in any way, and whatever is left out is counted. Text from elsewhere stands in code spans.
"""

from __future__ import annotations

import shlex
import sys
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from reconciler.access.problems import Problem
from reconciler.access.resources import Kind
from reconciler.plan.plan import Checkout, Plan
from reconciler.plan.render.document import plan_digest
from reconciler.plan.render.sentences import FEW
from reconciler.plan.render.spans import code, cut_code, rest_words, spans
from reconciler.plan.render.table import HEADER, access_rows, fitting_table
from reconciler.plan.render.text import (
    REWIND,
    adopted_rows,
    adoption,
    change_lines,
    direction,
    left_alone,
    nothing,
    override_merged,
    plan_options,
    summary,
)
from reconciler.plan.render.words import effects_words, origin_notes, show_item, show_value, standing_sentences, stood_words
from reconciler.wording.text import count, inert

LIMITS: Mapping[str, int] = {"github": 65_000, "gitlab": 990_000}
"""Characters. GitHub refuses a comment of more than 65,536, GitLab of more than 1,000,000; a pipeline may add a few words."""
_MOST_ENDS, _FEW_ENDS = 200, 3
"""How many deleted resources of a kind stand open, and if there is little room; the details have all."""
_NOTICE = 300
"""Characters for what had to be left out, besides the command that shows it."""
_LONGEST_NOTE = 400
"""Characters of a commit's subject, or of a note."""
_POWERS = ("administrator", "permittedIPs", "adGroups", "mayDecideFor")
"""What a team gives its members, or takes, besides issuers."""


class _Part(NamedTuple):
    """Lines that may be left out, what stands around them, and what one is called."""

    before: str
    lines: Sequence[str]
    after: str
    rest: tuple[str, str]
    """What is left out, if it is one and if it is more."""
    shorter: Sequence[str] = ()
    """The lines without the ends of long lists, for when there is no room for the whole ones."""


def plan_markdown(plan: Plan, limit: int = LIMITS["github"], checkout: Checkout | None = None) -> str:
    """Render the plan in at most so many characters; `checkout` is a work tree beside it."""
    notes = (f"⚠️ {cut_code(note, _LONGEST_NOTE)}\n" for note in origin_notes(plan, checkout))
    head, foot = "\n".join([*_heading(plan), *notes]), _footer(plan)
    beside = [*_rows_besides(plan)]
    parts = [_ends(plan), _powers(plan), _warnings(plan), _details(plan), *beside]
    rows, header = access_rows(plan), sum(map(len, HEADER)) + 4
    frames = sum(_frame(part, plan) for part in parts) + (header if rows else 0)
    room = limit - len(head) - len(foot) - _NOTICE - len(_see(plan)) - frames
    guards, guards_cut = _fitting_guards(plan, room)
    room -= len(guards)
    table, table_cut = fitting_table(rows, room)
    access = "\n".join([*HEADER, *table, "", ""]) if rows else ""
    room -= sum(len(line) + 1 for line in table)
    written = []
    for part in parts:  # the most important first, as long as there is room
        written.append(_written(part, min(room, limit // 10) if part in beside else room, plan))
        room -= max(0, len(written[-1]) - _frame(part, plan))
    ends, powers, *rest = written
    cut = _left_out(plan, [what for what in (guards_cut, table_cut and f"{table_cut} of the access table") if what])
    return "".join([head, "\n", cut, guards, ends, powers, access, *rest, foot])


def problems_markdown(problems: Sequence[Problem], limit: int = LIMITS["github"], base: str | None = None) -> str:
    """Render why a revision cannot be planned: it has problems, or the base has them that it was to be compared with."""
    errors = count(sum(problem.severity == "error" for problem in problems), "error")
    head = f"### ⛔ Accord plan: this revision is invalid\n\n**{errors}** to correct first:\n\n"
    if base is not None:
        head = (
            "### ⚠️ Accord plan: nothing to compare with\n\n"
            f"The base {code(base)} is invalid. This revision has no errors, but who gains or loses access by it cannot be said. "
            f"**{errors}** of the base:\n\n"
        )
    ordered = sorted(problems, key=lambda problem: problem.severity != "error")
    long = limit // 4
    lines = [f"- {_sign(problem)} {_place(problem, long)} {cut_code(problem.message, long)}" for problem in ordered]
    shown = _fitting(lines, limit - len(head) - 200)
    rest = len(lines) - len(shown)
    see = code(f"accord validate{'' if base is None else f' --rev {base}'}")
    more = f"\nand {count(rest, 'more problem')}: see {see}\n" if rest else ""
    return head + "\n".join(shown) + "\n" + more


def refusal_markdown(message: str, limit: int = LIMITS["github"]) -> str:
    """Render why there is no plan of a valid revision."""
    return f"### ⛔ Accord plan: refused\n\n{cut_code(message, limit - 100)}\n"


def _sign(problem: Problem) -> str:
    return {"error": "⛔", "warning": "⚠️", "note": "ℹ️"}[problem.severity]


def _place(problem: Problem, room: int) -> str:
    return cut_code(f"{problem.file}:{problem.line}:{problem.column}", room)


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
        yield f"{cut_code(plan.revision.summary, _LONGEST_NOTE)} by {cut_code(plan.revision.author, _LONGEST_NOTE // 2)}"
        yield ""
    also = effects_words(plan.effects)
    if also:
        yield f"Also: {also}."
        yield ""


def _footer(plan: Plan) -> str:
    base = f" against {code(plan.applied.commit[:12])}" if plan.against and plan.applied else ""
    return f"<sub>{direction(plan)} · revision {code(plan.revision.commit[:12])}{base} · {plan_digest(plan)}</sub>\n"


def _fitting_guards(plan: Plan, room: int) -> tuple[str, str]:
    """Render the guards that do not pass, then who becomes or stops being an administrator; say what had to be left out."""
    found = [guard for guard in plan.guards if guard.verdict != "pass"]
    signs = {"refuse": "⛔", "overridden": "⚠️ overridden:"}
    told = [(f"- {signs[guard.verdict]} **{guard.id}**: ", code(guard.message), guard.message) for guard in found]
    directions = zip(("➕ become", "➖ stop being"), plan.administrators, strict=True)
    named = [(f"- {verb} **administrator**: ", spans(names), ", ".join(names)) for verb, names in directions if names]
    command = [f"- if this is intended, once it is merged as COMMIT: {code(override_merged(plan))}"] if plan.refusals else []

    def render(most: int) -> str:
        """Render with at most so many characters of each list."""
        messages, people = (
            [line + (whole if len(whole) <= most else cut_code(plain, most)) for line, whole, plain in lines]
            for lines in (told, named)
        )
        return "".join("\n".join([*block, "", ""]) for block in ([*messages, *command], people) if block)

    whole = render(sys.maxsize)
    if len(whole) <= room:
        return whole, ""
    lengths = [len(whole) for _, whole, _ in (*told, *named)]
    left = room - len(whole) + sum(lengths)
    most = bisect_right(range(max(0, room)), left, key=lambda most: sum(min(length, most) for length in lengths)) - 1
    return render(most), "the ends of long lists of names"


def _left_out(plan: Plan, what: Sequence[str]) -> str:
    if not what:
        return ""
    return f"⚠️ **Too long for one comment.** Left out: {', '.join(what)}. Before you approve, read it all: {_see(plan)}\n\n"


def _see(plan: Plan) -> str:
    """Return the command that shows this plan, whole."""
    options = plan_options(plan)
    revision = ["--working-tree"] if plan.working_tree else options[:2]
    base = ["--against", plan.applied.commit[:12]] if plan.against and plan.applied else []
    path = ["--path", shlex.quote(plan.path)] if plan.path else []
    return code(" ".join(["accord plan", *revision, *base, *path, *options[2:]]))


def _ends(plan: Plan) -> _Part:
    """Name the accounts, teams and issuers that are deleted."""

    def lines(most: int) -> list[str]:
        return [
            f"- ➖ delete **{count(len(names), kind.lower())}**: {spans(names[:most])}{rest_words(names, most)}"
            for kind, names in gone.items()
            if names
        ]

    gone: dict[Kind, list[str]] = {"User": [], "Team": [], "Issuer": []}
    for change in plan.changes:
        if change.action == "delete" and change.kind in gone:
            gone[change.kind].append(change.name)
    of = ("more kind of deleted resources", "more kinds of deleted resources")
    return _Part("", lines(_MOST_ENDS), "\n\n", of, lines(_FEW_ENDS))


def _powers(plan: Plan) -> _Part:
    """List what changes in the fields that give teams power, which nobody should have to unfold."""
    changed = [
        (f"- {code(change.name)} {field}: ", difference)
        for change in plan.changes
        if change.kind == "Team"
        for field, difference in change.fields.items()
        if field in _POWERS
    ]
    lines, shorter = ([before + _difference(difference, most) for before, difference in changed] for most in (None, FEW))
    return _Part("", lines, "\n\n", ("more power of a team", "more powers of teams"), shorter)


def _difference(difference: Mapping[str, object], most: int | None) -> str:
    if "from" in difference:
        return code(f"{show_value(difference['from'])} → {show_value(difference['to'])}")
    parts = []
    for sign, key in (("➕", "added"), ("➖", "removed")):
        items = difference[key]
        assert isinstance(items, list)
        parts += [f"{sign} {code(', '.join(map(show_item, items[:most])))}{rest_words(items, most)}"] if items else []
    return " ".join(parts)


def _warnings(plan: Plan) -> _Part:
    lines = [f"- ⚠️ **{guard.id}**: {code(sentence)}" for guard in plan.guards for sentence in standing_sentences(guard)]
    lines += [f"- {_sign(warning)} {code(f'{warning.file}:{warning.line}')} {code(warning.message)}" for warning in plan.warnings]
    lines += [f"- {stood_words(plan.warned_before)}"] if plan.warned_before else []
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


def _frame(part: _Part, plan: Plan) -> int:
    """Return what a part needs in any case: what stands around it, and how many lines are left out."""
    return len(part.before) + len(part.after) + len(_see(plan)) + 80 if part.lines else 0


def _written(part: _Part, room: int, plan: Plan) -> str:
    if not part.lines:
        return ""
    shown = _fitting(part.lines, room)
    if part.shorter and len(shown) < len(part.lines):
        shown = _fitting(part.shorter, room)
    rest = len(part.lines) - len(shown)
    after = part.after
    if rest:
        more = f"\nand {count(rest, *part.rest)}: see {_see(plan)}\n"
        after = (more + "\n") if after == "\n\n" else after.replace("\n\n</details>", f"\n{more}\n</details>")
    return part.before + "\n".join(shown) + after


def _fitting(lines: Sequence[str], room: int) -> Sequence[str]:
    """Return the lines that fit, the first ones first; one that is too long hides no other one."""
    shown, size = [], 0
    for line in lines:
        if size + len(line) < room:
            size += len(line) + 1
            shown.append(line)
    return shown


def _diff_line(style: str, line: str) -> str:
    sign = {"added": "+", "removed": "-", "changed": "!"}.get(style, " ")
    line = line.replace("````", "\\u0060" * 4)
    return inert(sign + line.removeprefix(f"  {sign}") if line.startswith(f"  {sign} ") else sign + line[1:])
