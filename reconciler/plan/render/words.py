"""Wording that the renderers share: a field's values, a revision, what a plan does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import inf
from typing import Any

from reconciler.access.instants import parse_instant, show_instant
from reconciler.access.resources import Revision
from reconciler.plan.objections import Remembered, Standing
from reconciler.plan.plan import Checkout, Effects, GuardResult, Plan
from reconciler.wording.text import count, printable

_LONGEST = 200
_AROUND = 30
"""How many characters are shown on either side of what differs."""


def effects_words(effects: Effects) -> str:
    """Return `sends 2 welcome mails, ends 1 token`, or nothing if there are no effects."""
    parts = (
        ("sends", effects.mails, "welcome mail"),
        ("withholds", effects.mails_withheld, "welcome mail"),
        ("ends", effects.sessions_ended, "session"),
        ("ends", effects.tokens_ended, "token"),
    )
    return ", ".join(f"{verb} {count(number, noun)}" for verb, number, noun in parts if number)


def origin_notes(plan: Plan, checkout: Checkout | None) -> list[str]:
    """Say what was planned if it is not simply a commit that can be applied: also overrides that end, and what was left out."""
    applied = "" if plan.applied is None else f" {plan.applied.commit[:12]}"
    notes = [f"ends {override_words(each)}" for each in plan.ended]
    if plan.working_tree:
        notes.append("planned as the files are in the folder, committed or not; commit them to apply them")
    if plan.merge == "older":
        notes.append(f"the applied revision{applied} already contains this older one: nothing of it is to be applied")
    elif plan.merge == "behind":
        notes.append(f"planned as merged with the applied revision{applied}, which it is behind; merge or rebase it to apply it")
    if checkout is not None and checkout.commit != plan.revision.commit:
        place, rev = (f"on `{checkout.branch}`", checkout.branch) if checkout.branch else (f"at {checkout.commit[:12]}", "HEAD")
        notes.append(
            f"planned branch `{checkout.planned}`, but your work tree is {place} ({checkout.ahead:,} ahead, "
            f"{checkout.behind:,} behind); to plan that: accord plan --rev {rev}"
        )
    if checkout is not None and checkout.uncommitted:
        files = count(checkout.uncommitted, "file is", "files are")
        notes.append(f"{files} not committed and not in this plan; to plan them: accord plan --working-tree")
    return notes


def show_value(value: Any, longest: float = _LONGEST) -> str:
    """Show a field's value on one line, cutting long texts in it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        quoted = '"' + "\\n".join(map(printable, value.split("\n"))) + '"'
        return quoted if len(quoted) <= longest else f'{quoted[:_LONGEST]}…" ({len(value):,} characters)'
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{printable(str(key))}: {show_value(item, longest)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(show_value(item, longest) for item in value) + "]"
    return str(value)


def show_both(old: Any, new: Any) -> tuple[str, str]:
    """Show two values that differ; of long ones, everything that differs and a little around it, so that no change hides."""
    was, now = show_value(old, inf), show_value(new, inf)
    if was == now:  # one spells out characters that are hidden in the other
        was, now = json.dumps(old), json.dumps(new)
    if max(len(was), len(now)) <= _LONGEST:
        return was, now
    same = _same(was, now)
    same_end = _same(was[same:][::-1], now[same:][::-1])
    start, rest = max(0, same - _AROUND), max(0, same_end - _AROUND)
    before, after = "…" if start else "", f"… ({rest:,} characters more)" if rest else ""
    return before + was[start : len(was) - rest] + after, before + now[start : len(now) - rest] + after


def _same(one: str, other: str) -> int:
    """Count the characters that both texts begin with."""
    return next((number for number, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def show_item(item: Any) -> str:
    """Show an item of a list: its name, end and reason."""
    if isinstance(item, Mapping) and "path" not in item:
        name = item.get("user", item.get("issuer"))
        until = f" until {show_instant(parse_instant(item['until']))}" if "until" in item else ""
        reason = f" ({printable(item['reason'])})" if "reason" in item else ""
        return f"{printable(str(name))}{until}{reason}"
    return printable(item) if isinstance(item, str) else show_value(item)


def stood_words(warnings: int) -> str:
    """Count the warnings that a plan does not list."""
    return f"{count(warnings, 'more warning', 'more warnings')} about the changed files stood before: accord validate lists them"


def standing_sentences(guard: GuardResult) -> list[str]:
    """Say what a guard lets pass because it stood before, or because somebody overrode it."""
    return [f"{each.objection.fact} ({_how(each)})" for each in guard.standing]


def _how(standing: Standing) -> str:
    override = standing.override
    if override is None:
        return standing.why
    given = _given(override)
    return f"overridden {given}" if standing.holds else f"{standing.why}; no longer covered by the override {given}"


def override_words(override: Remembered) -> str:
    """Name a remembered override: what it is of and about, until when, by whom and why."""
    about = ", ".join(f"{kind} {name}".strip() for kind, name in override.subjects)
    return f"the override of {override.guard}{about and f' ({about})'} {_given(override)}"


def _given(override: Remembered) -> str:
    return f"until {show_instant(override.until)} by {override.by}: {override.reason}"


def show_revision(revision: Revision) -> str:
    """Show a revision in a few words."""
    summary = f' "{printable(revision.summary)}"' if revision.summary else ""
    return f"{revision.commit[:12]}{summary} by {printable(revision.author)}, {revision.time:%Y-%m-%d %H:%M} UTC"
