"""Filters for templates, such as `{{ user.name | upper }}`. Each accepts any value, and the work it does is limited."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from jinja2 import pass_context
from jinja2.runtime import Context
from markupsafe import Markup, escape

from reconciler.mail.variables import Type

BUDGET = "what filters may still do"
"""The variable that holds a rendering's `Budget`, under a name that no template can write."""
_CALL = 50
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


class TooMuchWork(Exception):
    """The filters of one rendering were asked to do more work than any mail needs."""


class Budget:
    """How many characters the filters of one rendering may still read and write."""

    def __init__(self, characters: int) -> None:
        self.left = characters

    def spend(self, characters: int) -> None:
        """Use up characters. Raises TooMuchWork if not enough are left."""
        self.left -= _CALL + characters
        if self.left < 0:
            raise TooMuchWork


class Filter(NamedTuple):
    """A filter: the types it takes and gives, and the types of its arguments, of which the first `needs` are required."""

    function: Callable[..., Any]
    takes: tuple[Type, ...]
    gives: Type
    arguments: tuple[type, ...] = ()
    needs: int = 0
    meaning: str = ""


def shown(value: Any) -> Any:
    """Return a value as a mail shows it: an instant in words, an empty text for None."""
    if value is None:
        return ""
    return f"{_date(value)}, {_time(value)} UTC" if isinstance(value, datetime) else value


def _text(value: Any) -> str:
    return str(shown(value))


def _date(value: datetime) -> str:
    moment = value.astimezone(UTC)
    return f"{moment.day} {_MONTHS[moment.month - 1]} {moment.year}"


def _time(value: datetime) -> str:
    return f"{value.astimezone(UTC):%H:%M}"


def _of_text(change: Callable[[str], str]) -> Callable[..., str]:
    @pass_context
    def run(context: Context, value: Any) -> str:
        text = _text(value)
        context[BUDGET].spend(len(text))
        return change(text)

    return run


@pass_context
def _escape(context: Context, value: Any) -> Markup:
    text = _text(value) if not isinstance(value, Markup) else value
    context[BUDGET].spend(6 * len(text))
    return escape(text)


@pass_context
def _replace(context: Context, value: Any, old: str, new: str) -> str:
    text = _text(value)
    context[BUDGET].spend(len(text) + text.count(old) * len(new))
    return text.replace(old, new)


@pass_context
def _indent(context: Context, value: Any, width: int = 4) -> str:
    text = _text(value)
    context[BUDGET].spend(len(text) + width * text.count("\n"))
    return text.replace("\n", "\n" + " " * width)


@pass_context
def _truncate(context: Context, value: Any, length: int = 80) -> str:
    text = _text(value)
    context[BUDGET].spend(len(text))
    return text if len(text) <= length else text[: max(length - 1, 0)].rstrip() + "…"


@pass_context
def _join(context: Context, value: Sequence[str] | None, separator: str = ", ") -> str:
    value = value or ()
    context[BUDGET].spend(sum(map(len, value)) + len(separator) * len(value))
    return separator.join(value)


@pass_context
def _default(context: Context, value: Any, instead: Any) -> Any:
    context[BUDGET].spend(0)
    return instead if value is None or value in ("", ()) else value


@pass_context
def _length(context: Context, value: Any) -> int:
    context[BUDGET].spend(0)
    return len(value) if isinstance(value, tuple | list) else len(_text(value))


@pass_context
def _first(context: Context, value: Sequence[str] | None) -> str | None:
    context[BUDGET].spend(0)
    return value[0] if value else None


def _of_instant(change: Callable[[datetime], str]) -> Callable[..., str]:
    @pass_context
    def run(context: Context, value: datetime | None) -> str:
        context[BUDGET].spend(0)
        return "" if value is None else change(value)

    return run


_TEXTS: tuple[Type, ...] = ("text", "link", "number", "instant")
FILTERS: Mapping[str, Filter] = {
    "upper": Filter(_of_text(str.upper), _TEXTS, "text", meaning="Put the text in upper case"),
    "lower": Filter(_of_text(str.lower), _TEXTS, "text", meaning="Put the text in lower case"),
    "title": Filter(_of_text(str.title), _TEXTS, "text", meaning="Capitalise each word"),
    "capitalize": Filter(
        _of_text(str.capitalize), _TEXTS, "text", meaning="Capitalise the first letter, and put the others in lower case"
    ),
    "trim": Filter(_of_text(str.strip), _TEXTS, "text", meaning="Remove spaces and line breaks at both ends"),
    "replace": Filter(_replace, _TEXTS, "text", (str, str), 2, '`replace("old", "new")`: replace one text with another'),
    "truncate": Filter(
        _truncate, _TEXTS, "text", (int,), 0, "`truncate(80)`: cut the text to this length, with an ellipsis at its end"
    ),
    "indent": Filter(_indent, _TEXTS, "text", (int,), 0, "`indent(4)`: indent every line except the first"),
    "e": Filter(_escape, _TEXTS, "text", meaning="Escape the text for HTML; the `html` part escapes every value anyway"),
    "escape": Filter(_escape, _TEXTS, "text", meaning="The same as `e`"),
    "default": Filter(
        _default, (*_TEXTS, "list"), "text", (object,), 1, '`default("none")`: use this if the value is missing or empty'
    ),
    "length": Filter(
        _length, ("text", "link", "list"), "number", meaning="Count the items of a list, or the characters of a text"
    ),
    "join": Filter(_join, ("list",), "text", (str,), 0, '`join(", ")`: join a list into one text'),
    "first": Filter(_first, ("list",), "text", meaning="Take the first item of a list; nothing if the list is empty"),
    "date": Filter(_of_instant(_date), ("instant",), "text", meaning="Show the day of an instant, in UTC: 2 December 2026"),
    "time": Filter(_of_instant(_time), ("instant",), "text", meaning="Show the time of an instant, in UTC: 09:30"),
}
"""Every filter, by name."""
