"""What the audit log says of an act, in words: key and value, and what changed in a field."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from api.state.audit_log import Entry
from reconciler.access.instants import parse_instant, show_instant

MOST_ITEMS = 50
"""So many items of a list are shown; how many more there are is said."""
MOST_TEXT = 1_000
"""So many characters of a value are shown."""


class FieldChange(NamedTuple):
    """What changed in a field of a resource: a single value's `before` and `after`, each empty for nothing; a list's items."""

    name: str
    before: str
    after: str
    added: Sequence[str]
    removed: Sequence[str]
    changed: Sequence[tuple[str, str]]
    more: int
    """Items that are not shown."""

    @property
    def is_list(self) -> bool:
        """Whether it is a list's."""
        return bool(self.added or self.removed or self.changed)


class Told(NamedTuple):
    """An entry of the audit log, and what it says."""

    entry: Entry
    fields: Sequence[FieldChange]
    facts: Sequence[tuple[str, str]]


def tell(entry: Entry) -> Told:
    """What an entry says."""
    return Told(entry, field_changes(entry.detail), pairs(entry.detail))


def pairs(detail: Mapping[str, Any]) -> list[tuple[str, str]]:
    """All that is said beside the changes of fields, as words and their values."""
    return [
        (words(name), value_text(value)) for name, value in detail.items() if name != "fields" and value not in ([], {}, None)
    ]


def field_changes(detail: Mapping[str, Any]) -> list[FieldChange]:
    """The changes of a resource's fields; none if the act changed no resource, or somebody wrote the entry by hand."""
    fields = detail.get("fields")
    if not isinstance(fields, Mapping):
        return []
    return [_field_change(name, change) for name, change in fields.items() if isinstance(change, Mapping)]


def _field_change(name: str, change: Mapping[str, Any]) -> FieldChange:
    if "added" not in change and "removed" not in change:
        before, after = ("" if change.get(end) in ("", [], {}, None) else value_text(change[end]) for end in ("from", "to"))
        return FieldChange(name, before, after, (), (), (), 0)
    added, removed, changed = (_items(change.get(part)) for part in ("added", "removed", "changed"))
    shown = [each[:MOST_ITEMS] for each in (added, removed, changed)]
    return FieldChange(
        name,
        "",
        "",
        [value_text(item) for item in shown[0]],
        [value_text(item) for item in shown[1]],
        [(value_text(item.get("from")), value_text(item.get("to"))) for item in shown[2] if isinstance(item, Mapping)],
        sum(map(len, (added, removed, changed))) - sum(map(len, shown)),
    )


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def words(name: str) -> str:
    """A name of JSON as words: `sessionsEnded` is `sessions ended`."""
    return re.sub(r"(?<=[a-z0-9])[A-Z]+", lambda found: f" {found[0] if len(found[0]) > 1 else found[0].lower()}", name)


_PARTS_OF_LINKS = frozenset(("user", "issuer", "until", "reason"))


def _link(value: Mapping[str, Any]) -> str:
    """A membership or a permission: `bob until 2099-12-31 (cover for parental leave)`."""
    until, reason = value.get("until"), value.get("reason")
    end = f" until {_end(until)}" if until else ""
    return f"{value.get('user', value.get('issuer'))}{end}{f' ({reason})' if reason else ''}"


def _end(until: Any) -> str:
    try:
        return show_instant(parse_instant(until))
    except (ValueError, TypeError):  # written by hand, perhaps
        return str(until)


def value_text(value: Any) -> str:
    """A value of JSON as text for people. What is very long is cut, and it says so."""
    text = _text(value)
    return text if len(text) <= MOST_TEXT else f"{text[:MOST_TEXT]}… ({len(text):,} characters)"


def _text(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping) and ("user" in value or "issuer" in value) and _PARTS_OF_LINKS.issuperset(value):
        return _link(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{words(str(key))}: {_text(item)}" for key, item in value.items())
    if isinstance(value, list):
        more = f" and {len(value) - MOST_ITEMS:,} more" if len(value) > MOST_ITEMS else ""
        return ("; " if any(isinstance(item, Mapping) for item in value) else ", ").join(map(_text, value[:MOST_ITEMS])) + more
    return f"{value:,}" if isinstance(value, int) else str(value)
