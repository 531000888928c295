"""accord audit: the log's entries, its hash chain, and copies that can be checked without the database."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from reconciler.run.deployment import Deployment
from reconciler.run.inputs import reading
from reconciler.store.audit import (
    GENESIS,
    AuditEntry,
    Broken,
    Recorded,
    chain_head,
    from_lines,
    raw_entries,
    read_audit,
    recorded,
    to_line,
    verify,
)
from reconciler.store.read import read_history
from reconciler.store.revisions import contradiction


class Verified(NamedTuple):
    """Where the chain is broken (None if it is intact), how many entries were checked, and the hash of the last."""

    broken: Broken | None
    entries: int
    head: str


def verify_database(deployment: Deployment, noted: str | None = None) -> Verified:
    """Check the log in the database, and that the history agrees with it. `noted` is a hash that must still be in the log."""
    told: list[Recorded] = []

    def listening(rows: Iterable[Sequence[Any]]) -> Iterator[Sequence[Any]]:
        for row in rows:
            yield row  # the next row is requested only if this one is intact
            told.extend(filter(None, [recorded(row)]))

    with reading(deployment) as connection:
        count, head = chain_head(connection)
        found = _verified(listening(raw_entries(connection)), noted, count, head)
        return found if found.broken else found._replace(broken=contradiction(read_history(connection), told))


def verify_file(file: Path, noted: str | None = None) -> Verified:
    """Check an exported copy without any database. Raises UnreadableLog if the file is not one."""
    with file.open("rb") as lines:
        return _verified(from_lines(lines), noted)


def _verified(rows: Iterable[Sequence[Any]], noted: str | None, count: int | None = None, head: str | None = None) -> Verified:
    seen, last, found = 0, GENESIS, noted is None

    def passing() -> Iterator[Sequence[Any]]:
        nonlocal seen, last, found
        for row in rows:
            seen, last = seen + 1, row[9]
            found = found or last == noted
            yield row

    broken = verify(passing(), count=count, head=head)
    if broken is None and not found:
        broken = Broken(seen, f"no entry has the hash {noted}: the log was cut off or replaced")
    return Verified(broken, seen, last)


def log_lines(deployment: Deployment) -> Iterator[bytes]:
    """Yield every entry as a line of JSON, oldest first."""
    with reading(deployment) as connection:
        yield from map(to_line, raw_entries(connection))


def entries(
    deployment: Deployment, *, since: datetime | None, kind: str | None, name: str | None, limit: int | None
) -> list[AuditEntry]:
    """Read entries, oldest first; with a limit, only the newest."""
    with reading(deployment) as connection:
        return read_audit(connection, since=since, kind=kind, name=name, limit=limit)
