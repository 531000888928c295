"""Templates to HTML. Everything that a template writes is escaped, and characters that show nothing are spelled out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from api.console.proposal_acts import end_in_words
from api.console.static import asset
from reconciler.access.instants import parse_instant, show_instant
from reconciler.wording.text import count, inert_html, inert_lines


class Renderer:
    """The templates of the console."""

    def __init__(self) -> None:
        self._environment = Environment(
            loader=PackageLoader("api.console"),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=StrictUndefined,
            finalize=_visible,
            extensions=["jinja2.ext.do"],
            auto_reload=False,
        )
        self._environment.globals |= {"asset": asset, "timedelta": timedelta}
        self._environment.filters |= {
            "segment": segment,
            "instant": instant,
            "day": day,
            "minute": minute,
            "distance": distance,
            "count": count,
            "proposal": proposal,
            "end": end_in_words,
            "exact": exact,
        }

    def render(self, template: str, **values: Any) -> str:
        """The page that a template and values make."""
        return self._environment.get_template(template).render(**values)


def _visible(value: Any) -> Any:
    return inert_lines(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def proposal(fields: Mapping[str, str | datetime | None]) -> str:
    """The query of the form that proposes an act, with what is known of it."""
    said = {name: show_instant(value) if isinstance(value, datetime) else value for name, value in fields.items() if value}
    return urlencode(said)


def exact(value: object) -> Markup:
    """What a field sends back, and which must come back as it was: what hides is a character reference, not spelled out.

    It is for values of fields and what stands in a textarea, and cannot leave either. What is only read is spelled out.
    """
    parts = _MISREAD.split(str(escape(value)))
    parts[0::2] = [inert_html(part) for part in parts[0::2]]
    return Markup("".join(parts))  # noqa: S704 - escaped here


_MISREAD = re.compile("([\x80-\x9f]+)")
"""A browser reads a reference to one of these as another character (HTML Standard, numeric character reference end state)."""


def segment(text: str) -> str:
    """Text as one part of an address's path."""
    return quote(text, safe="@")


def instant(value: datetime | str) -> datetime:
    """An instant, be it an instant or text as the API shows it."""
    return parse_instant(value) if isinstance(value, str) else value


def day(value: datetime | str) -> str:
    """The day of an instant in UTC, as 2026-12-31."""
    return f"{instant(value).astimezone(UTC):%Y-%m-%d}"


def minute(value: datetime | str) -> str:
    """The minute of an instant in UTC, as 2026-12-31 18:00."""
    return f"{instant(value).astimezone(UTC):%Y-%m-%d %H:%M}"


_STEPS = ((timedelta(days=365), "year"), (timedelta(days=30), "month"), (timedelta(days=1), "day"), (timedelta(hours=1), "hour"),
          (timedelta(minutes=1), "minute"))  # fmt: skip


def distance(value: datetime | str, now: datetime) -> str:
    """How far an instant is from now, in words: `in 3 days`, `2 hours ago`, `just now`."""
    gap = instant(value) - now
    size = abs(gap)
    for step, name in _STEPS:
        if size >= (step if name != "month" else timedelta(days=61)):
            words = count(int(size / step), name)
            return f"in {words}" if gap > timedelta() else f"{words} ago"
    return "in a moment" if gap > timedelta() else "just now"
