"""A plan as text for a terminal: complete, deterministic, and headed by its direction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import unified_diff
from typing import Any, Literal

from reconciler.plan.groups import REPLACED
from reconciler.plan.plan import Change, Checkout, GroupChange, Plan
from reconciler.plan.render.document import plan_digest
from reconciler.plan.render.sentences import group_sentences, signed_sentences
from reconciler.plan.render.words import (
    effects_words,
    origin_notes,
    show_both,
    show_item,
    show_revision,
    show_value,
    standing_sentences,
    stood_words,
)
from reconciler.wording.text import count, printable

Style = Literal["heading", "plain", "added", "removed", "changed", "refused", "dim"]
Line = tuple[Style, str]
"""A line and its style; the terminal chooses the colour."""

_SIGNS: dict[str, tuple[str, Style]] = {
    "create": ("+", "added"),
    "update": ("~", "changed"),
    "rename": ("→", "changed"),
    "adopt": ("*", "changed"),
    "delete": ("-", "removed"),
}
_FIRST = 10
"""How many items of a deleted resource's list are shown."""
_STYLES: dict[str, Style] = {"+": "added", "-": "removed", "±": "changed", "~": "changed", "!": "changed"}
REWIND = "this revision does not descend from the applied one (--allow-rewind)"
ACTIONS = {"create": "created", "update": "updated", "rename": "renamed", "adopt": "taken over", "delete": "deleted"}


def plan_lines(plan: Plan, checkout: Checkout | None = None, hint: str | None = None) -> Iterator[Line]:
    """Render the whole plan, naming every account that gains or loses access.

    `checkout` is a work tree beside it, and `hint` says how to override the guards that refuse it, if another command does.
    """
    yield "heading", f"Plan: {direction(plan)}"
    yield "plain", f"  revision  {show_revision(plan.revision)}"
    before = "against" if plan.against else "applied"
    yield "plain", f"  {before}   {'nothing yet' if plan.applied is None else show_revision(plan.applied)}"
    if plan.rewind:
        yield "refused", f"  rewind    {REWIND}"
    for note in origin_notes(plan, checkout):
        yield "changed", f"  note      {printable(note)}"
    yield "plain", ""
    yield from _changes(plan)
    yield from consequence_lines(plan, override_hint(plan) if hint is None else hint)
    if plan.adopt:
        taken, gone = adopted_rows(plan)
        yield "heading", f"Adoption: {adoption(taken, gone)}"
        for row in gone:
            yield "removed", f"  deletes {printable(row)}"
    if plan.unmanaged:
        yield "heading", f"Unmanaged: {left_alone(len(plan.unmanaged))}"
        for kind, name in plan.unmanaged:
            yield "dim", f"  {kind} {printable(name)}"
    yield "dim", f"Digest {plan_digest(plan)}"


def direction(plan: Plan) -> str:
    """Say what is compared with what."""
    return "Git → Git, between two revisions, without a database" if plan.against else "Git → database"


def left_alone(rows: int) -> str:
    """Say what stays that Git never declared, and what `--adopt` would do to it: no plan lists what this revision declares."""
    they = "it" if rows == 1 else f"all {rows:,}"
    return f"{count(rows, 'row')} that Git never declared, left alone (`--adopt` would delete {they}: this revision has no such)"


def adopted_rows(plan: Plan) -> tuple[list[str], list[str]]:
    """Return which rows that Git never declared are taken over, and which are deleted, as this revision does not declare them."""
    taken = [f"{change.kind} {change.name}" for change in plan.changes if change.action == "adopt"]
    gone = [f"{change.kind} {change.name}" for change in plan.changes if change.action == "delete" and change.source is None]
    return taken, gone


def adoption(taken: Sequence[str], gone: Sequence[str]) -> str:
    """Say how much `--adopt` takes over and deletes."""
    return f"`--adopt` takes over {count(len(taken), 'row')} that Git never declared, and deletes {len(gone):,} that it lacks"


def consequence_lines(plan: Plan, hint: str) -> Iterator[Line]:
    """Render what follows from the changes; `hint` says how to override the guards that refuse them."""
    yield from _administrators(plan)
    yield from _access(plan)
    yield from _effects(plan)
    yield from _guards(plan, hint)
    for warning in plan.warnings:
        if warning.rule != REPLACED:  # said beside the access that it explains
            yield "changed", f"{warning.severity}: {printable(str(warning))}"
    if plan.warned_before:
        yield "dim", stood_words(plan.warned_before)


def summary(plan: Plan) -> str:
    """Summarise a plan in one line: `2 created, 1 updated; 3 gain access, 1 loses access`."""
    if plan.is_empty:
        return "no changes"
    tally: dict[str, int] = {}
    for change in plan.changes:
        tally[change.action] = tally.get(change.action, 0) + 1
    parts = [f"{tally[action]:,} {word}" for action, word in ACTIONS.items() if action in tally]
    people = [
        f"{count(len(who), verb, plural)} access"
        for who, verb, plural in ((plan.access.gaining, "gains", "gain"), (plan.access.losing, "loses", "lose"))
        if who
    ]
    people += administrators_counted(*map(len, plan.administrators))
    people += _also_changed(plan)
    return ", ".join(parts) + "; " + (", ".join(people) or "nobody gains or loses access")


def administrators_counted(became: int, ceased: int) -> Iterator[str]:
    """Count who becomes and who stops being an administrator."""
    if became:
        yield count(became, "becomes an administrator", "become administrators")
    if ceased:
        yield count(ceased, "stops being an administrator", "stop being administrators")


def _also_changed(plan: Plan) -> Iterator[str]:
    """Count whose rights open or close to addresses, which AD groups change, and for how many only the terms do."""
    moved = {change.after.user for change in plan.rights.changed if change.periods}
    if moved:
        words = "administers from other addresses", "administer from other addresses"
        yield count(len(moved), *words)
    terms = {change.after.user for change in plan.rights.changed} - moved
    if terms:
        yield f"{count(len(terms), 'keeps', 'keep')} administrators' rights on other terms"
    gain = sum(bool(change.access.gaining or change.rights.gaining) for change in plan.groups)
    lose = sum(bool(change.access.losing or change.rights.losing) for change in plan.groups)
    for groups, verb in ((gain, "gain"), (lose, "lose")):
        if groups:
            yield f"members of {count(groups, 'AD group')} {verb} access"
    groups_kept = sum(_on_other_terms(change) for change in plan.groups)
    if groups_kept:
        yield f"members of {count(groups_kept, 'AD group')} keep access on other terms"
    kept = [change for change in plan.access.changed if change.after.user not in plan.access.gaining | plan.access.losing]
    terms = {change.after.user for change in kept if change.before.until != change.after.until}
    teams = {change.after.user for change in kept} - terms
    for people, how in ((terms, "on other terms"), (teams, "through other teams")):
        if people:
            yield f"{count(len(people), 'keeps', 'keep')} access {how}"


def _on_other_terms(change: GroupChange) -> bool:
    parts = (change.access, change.rights)
    return any(each.changed for each in parts) and not any(each.gaining or each.losing for each in parts)


def _changes(plan: Plan) -> Iterator[Line]:
    if plan.is_empty:
        yield "heading", nothing(plan)
    else:
        yield "heading", f"Changes: {summary(plan)}"
    for change in plan.changes:
        yield from change_lines(change)
    for (kind, name), origin in plan.moves:
        yield "dim", f"  {kind} {name} is now declared in {printable(str(origin))}"
    yield "plain", ""


def nothing(plan: Plan) -> str:
    """Say why a plan has no changes."""
    if plan.merge == "older":
        return "Nothing to apply: this revision is older than the applied one."
    same = "both revisions declare the same" if plan.against else "the database is in accord with this revision"
    return f"No changes: {same}."


def change_lines(change: Change) -> Iterator[Line]:
    """Render one resource's change, field by field."""
    sign, style = _SIGNS[change.action]
    name = change.name if change.previous_name is None else f"{change.previous_name} → {change.name}"
    place = "" if change.source is None else f"   {printable(str(change.source))}"
    yield style, f"  {sign} {change.kind} {printable(name)}{place}"
    if change.after is None:
        yield from _held(change)
        return
    for field, difference in change.fields.items():
        yield from _field(field, difference, is_new=change.before is None)


def _held(change: Change) -> Iterator[Line]:
    """Render what a deleted resource held, one line per field; a long list is cut."""
    for field, difference in change.fields.items():
        if "removed" in difference:
            items = difference["removed"]
            rest = f" and {len(items) - _FIRST:,} more" if len(items) > _FIRST else ""
            yield "dim", f"      {field}: was {', '.join(map(show_item, items[:_FIRST]))}{rest}"
        else:
            yield "dim", f"      {field}: was {show_value(difference['from'])}"


def _field(name: str, difference: dict[str, Any], *, is_new: bool) -> Iterator[Line]:
    if "added" not in difference:
        old, new = difference["from"], difference["to"]
        if isinstance(old, str) and isinstance(new, str) and "\n" in old.strip() and not is_new:
            yield from _text(name, old, new)
        else:
            shown = show_value(new) if is_new or old in (None, "", {}, []) else " → ".join(show_both(old, new))
            yield "plain", f"      {name}: {shown}"
        return
    for item in difference["added"]:
        yield "added", f"      {name}: + {show_item(item)}"
    for item in difference["removed"]:
        yield "removed", f"      {name}: - {show_item(item)}"
    for item in difference.get("changed", ()):
        yield "changed", f"      {name}: ~ {show_item(item['from'])} → {show_item(item['to'])}"


def _text(name: str, old: str, new: str) -> Iterator[Line]:
    """Render the lines of a long text that differ: cutting it could hide a change."""
    styles: dict[str, Style] = {"+": "added", "-": "removed"}
    for line in list(unified_diff(old.split("\n"), new.split("\n"), lineterm="", n=0))[2:]:
        if line[0] in styles:
            yield styles[line[0]], f"      {name}: {line[0]} {printable(line[1:])}"


def _access(plan: Plan) -> Iterator[Line]:
    lines = [*signed_sentences(plan.access, plan.applications)]
    lines += [line for change in plan.groups for line in group_sentences(change, against=plan.against)]
    lines += [("!", warning.message) for warning in plan.warnings if warning.rule == REPLACED]
    if not lines:
        if not plan.is_empty:
            yield "heading", "Access: nobody gains or loses access"
            yield "plain", ""
        return
    gained = len(plan.access.gained) + len(plan.access.opening)
    lost = len(plan.access.lost) + len(plan.access.closing)
    rest = sum(not change.periods for change in plan.access.changed)
    yield "heading", f"Access: {gained:,} gained, {lost:,} lost, {rest:,} changed"
    for sign, sentence in lines:
        yield _STYLES[sign], f"  {sign} {printable(sentence)}"
    yield "plain", ""


def _administrators(plan: Plan) -> Iterator[Line]:
    """Name everyone who becomes or stops being an administrator: administrators manage everything."""
    gained, lost = (printable(", ".join(names)) for names in plan.administrators)
    if gained:
        yield "added", f"Administrators: + {gained}"
    if lost:
        yield "removed", f"Administrators: - {lost}"
    if not (gained or lost) and plan.rights.changed:
        yield "heading", "Administrators: nobody becomes or stops being one"
    for sign, sentence in signed_sentences(plan.rights._replace(lost=()), plan.applications):
        yield _STYLES[sign], f"  {sign} {printable(sentence)}"
    if gained or lost or plan.rights.changed:
        yield "plain", ""


def override_hint(plan: Plan, given: str = "") -> str:
    """Say how to apply this very plan although guards refuse it; `given` holds the options that named repository and database."""
    if plan.against or plan.merge or plan.working_tree:
        return f"if this is intended, once it is merged as COMMIT: {override_merged(plan)}"
    options = [*filter(None, [given]), *plan_options(plan), "--digest", plan_digest(plan)]
    return f"if this is intended: accord apply {' '.join(options)} {override_options(plan)}"


def override_merged(plan: Plan) -> str:
    """Return the command that applies the changes of a plan once they are merged; the merged commit is another one."""
    return f"accord apply --rev COMMIT {' '.join([*plan_options(plan)[2:], override_options(plan)])}"


def plan_options(plan: Plan) -> list[str]:
    """Return the options that a plan was made with, its revision first."""
    flags = {"--adopt": plan.adopt, "--allow-rewind": plan.rewind, "--no-welcome": not plan.welcome}
    return ["--rev", plan.revision.commit[:12], *(flag for flag, is_given in flags.items() if is_given)]


def override_options(plan: Plan) -> str:
    """Override every guard that refuses a plan, also those that are overridden already; some of them are not enough."""
    options = [f"--override {guard.id}" for guard in plan.guards if guard.refused]
    options += [f"--end-override {guard}" for guard in dict.fromkeys(each.guard for each in plan.ended)]
    return f'{" ".join(options)} --reason "why"'


def _effects(plan: Plan) -> Iterator[Line]:
    also = effects_words(plan.effects)
    if also:
        yield "plain", f"Also: {also}"
        yield "plain", ""


def _guards(plan: Plan, hint: str) -> Iterator[Line]:
    if plan.is_empty:
        return
    yield "heading", "Guards"
    for guard in plan.guards:
        if guard.off:
            continue
        if guard.verdict == "pass":
            yield "dim", f"  ✓ {guard.id}: {guard.message}"
        elif guard.verdict == "overridden":
            yield "changed", f"  ! {guard.id}: overridden: {guard.message}"
        else:
            yield "refused", f"  ✗ {guard.id}: {guard.message}"
        for sentence in standing_sentences(guard):
            yield "changed", f"      warning: {printable(sentence)}"
    if any(guard.off for guard in plan.guards):
        yield "dim", f"  - off: {', '.join(f'{guard.id} ({guard.off})' for guard in plan.guards if guard.off)}"
    if plan.refusals:
        yield "plain", f"      {printable(hint)}"
    yield "plain", ""
