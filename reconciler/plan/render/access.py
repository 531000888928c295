"""Access as a text table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from reconciler.access.instants import format_instant, show_instant
from reconciler.access.resources import Revision
from reconciler.access.state import Access
from reconciler.plan.render.sentences import from_words
from reconciler.plan.render.text import Line
from reconciler.plan.render.words import show_revision
from reconciler.wording.text import count, printable


def access_lines(accesses: Sequence[Access], at: datetime, revision: Revision | None, *, past: bool) -> Iterator[Line]:
    """Render one line for each (user, issuer) pair, in columns."""
    rows = [
        (
            printable(access.user),
            printable(access.issuer),
            printable(", ".join(access.through)),
            "" if access.until is None else show_instant(access.until),
            from_words(access).removeprefix("from "),
        )
        for access in accesses
    ]
    header = ("user", "issuer", "through", "until", "from")
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    yield "heading", _columns(header, widths)
    for row in rows:
        yield "plain", _columns(row, widths)
    people = count(len({access.user for access in accesses}), "account")
    yield "dim", f"{people}, {count(len(rows), 'permission')}, as of {format_instant(at.replace(microsecond=0))}"
    if revision is not None:
        yield "dim", f"under revision {show_revision(revision)}"
    if past:
        yield "dim", "as Git declared it; the past holds no record of directory accounts or of accounts disabled by hand"


def _columns(row: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
