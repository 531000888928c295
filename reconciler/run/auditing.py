"""accord audit: the log's entries, its hash chain, and copies of it that can be checked away from the database."""

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
    """Where the chain is broken (None: it holds), how many entries were looked at, and the hash of the last."""

    broken: Broken | None
    entries: int
    head: str


def verify_database(deployment: Deployment, noted: str | None = None) -> Verified:
    """Check the log in the database, and that the history says the same. `noted`: a hash of the log that must be in it still."""
    told: list[Recorded] = []

    def listening(rows: Iterable[Sequence[Any]]) -> Iterator[Sequence[Any]]:
        for row in rows:
            yield row  # the next one is asked for only where this one holds
            told.extend(filter(None, [recorded(row)]))

    with reading(deployment) as connection:
        count, head = chain_head(connection)
        found = _verified(listening(raw_entries(connection)), noted, count, head)
        return found if found.broken else found._replace(broken=contradiction(read_history(connection), told))


def verify_file(file: Path, noted: str | None = None) -> Verified:
    """Check a copy that `write_log` made, without any database. Raises UnreadableLog where the file is none."""
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
    """Every entry as a line of JSON, oldest first."""
    with reading(deployment) as connection:
        yield from map(to_line, raw_entries(connection))


def entries(
    deployment: Deployment, *, since: datetime | None, kind: str | None, name: str | None, limit: int | None
) -> list[AuditEntry]:
    """Entries, oldest first; with a limit the newest."""
    with reading(deployment) as connection:
        return read_audit(connection, since=since, kind=kind, name=name, limit=limit)
