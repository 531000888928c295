"""The audit log: searched on a page, and exported with the same filters."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator

from api.console.detail import tell
from api.console.listing import page_of, read_since, read_until
from api.console.pages import Answer, Download, Page, Visit, page
from api.state import audit_log, named
from api.state.audit_log import AuditFilter
from api.state.reader import Row
from reconciler.access.resources import KINDS
from reconciler.store.audit import AuditEntry, to_line
from reconciler.wording.text import inert_json, printable

ABOUT = (*KINDS, "Certificate")
"""The kinds of what entries are about."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
"""What a spreadsheet takes for the beginning of a formula (OWASP, "CSV Injection")."""
_AFTER_SEMICOLON = re.compile(r"(;\s*\"*)(?=[=+\-@＝＋－＠])")
"""Where the decimal sign is a comma, spreadsheets take semicolons for the ends of cells."""


class Audit(Page):
    """`/audit`."""

    @page("administrator")
    def on_get(self, visit: Visit) -> Answer:
        """The entries that fit, newest first."""
        reader, wanted = visit.service.reader, read_filter(visit)
        found = audit_log.list_entries(reader, page_of(visit.query), wanted)
        entries = found["items"]
        return visit.render(
            "audit.html",
            entries=[tell(each) for each in entries],
            following=found["next"],
            is_filtered=any(wanted),
            head=audit_log.chain_head(reader),
            actions=audit_log.list_actions(reader),
            kinds=ABOUT,
            linked=named.existing(reader, [key for each in entries for key in ((each.kind, each.name), ("User", each.actor))]),
        )


class AuditCsv(Page):
    """`/audit.csv`."""

    @page("administrator")
    def on_get(self, visit: Visit) -> Answer:
        """All entries that fit, oldest first, for spreadsheets."""
        pieces = audit_log.scan(visit.service.reader, read_filter(visit))
        return Download(csv_lines(pieces), "text/csv; charset=utf-8; header=present", f"audit-{visit.now:%Y-%m-%d}.csv")


class AuditJsonl(Page):
    """`/audit.jsonl`."""

    @page("administrator")
    def on_get(self, visit: Visit) -> Answer:
        """The same as lines of JSON. All entries together are what `accord audit verify FILE` checks."""
        pieces = audit_log.scan(visit.service.reader, read_filter(visit))
        lines = (b"".join(inert_json(to_line(row).decode()).encode() for row in rows) for rows in pieces)
        return Download(lines, "application/jsonl", f"audit-{visit.now:%Y-%m-%d}.jsonl")


def read_filter(visit: Visit) -> AuditFilter:
    """What the query asks for. Raises Invalid."""
    query = visit.query
    actor, action, kind, name = (query.text(field) or None for field in ("actor", "action", "kind", "name"))
    return AuditFilter(
        actor,
        action,
        kind,
        name,
        since=read_since(query, "from"),
        until=read_until(query, "until"),
    )


def csv_lines(pieces: Iterable[list[Row]]) -> Iterator[bytes]:
    """Rows of the log as CSV (RFC 4180), some at once, with a header."""
    yield _csv([AuditEntry._fields])
    for rows in pieces:
        yield _csv([["" if value is None else cell(str(value)) for value in row] for row in rows])


def cell(text: str) -> str:
    """Text as a cell in which nothing hides, and which no spreadsheet takes for a formula."""
    shown = _AFTER_SEMICOLON.sub(r"\1'", printable(text))
    return f"'{shown}" if text.startswith(_FORMULA) else shown


def _csv(rows: Iterable[Iterable[str]]) -> bytes:
    written = io.StringIO()
    csv.writer(written).writerows(rows)
    return written.getvalue().encode()
