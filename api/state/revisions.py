"""Applied revisions as pages show them: what each changed, who gained and who lost access, and what was overridden for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from api.state.audit_log import Entry, read_entry
from api.state.pages import Page
from api.state.reader import Reader, Row
from reconciler.store.audit import REVISION_ACTIONS
from reconciler.store.rows import read_json
from reconciler.store.tables import read_instant

ACTIONS = ("create", "adopt", "update", "rename", "delete")
"""What a revision can do to a resource."""
_COLUMNS = """r.id, r.commit_sha, r.author, r.committed_at, r.summary, r.applied_at, r.applied_by, r.generation, r.counts,
r.overrides"""
_WHOLE = f"{_COLUMNS}, r.repository, r.branch, r.path, r.plan_digest, r.accord_version"


class Overridden(NamedTuple):
    """A guard that somebody overrode, and why."""

    guard: str
    reason: str
    until: str | None
    """An instant; None: for this revision only."""


class Summary(NamedTuple):
    """A revision in a list."""

    id: int
    commit: str
    author: str
    committed_at: datetime
    summary: str
    applied_at: datetime
    applied_by: str
    generation: int
    counts: Mapping[str, int]
    overrides: Sequence[Overridden]
    is_repair: bool
    """It only repaired drift from the revision before it."""

    @property
    def changes(self) -> int:
        """How many resources it changed."""
        return sum(self.counts.get(action, 0) for action in ACTIONS)


class Detail(NamedTuple):
    """A revision with everything that is known of it."""

    summary: Summary
    repository: str
    """Without credentials."""
    branch: str
    path: str
    plan_digest: str
    accord_version: str
    entry: int | None
    """The number of its entry in the audit log, which those about its changes follow."""
    recorded: Mapping[str, Any]
    """What that entry says of it."""
    access: Mapping[str, Any] | None
    """Who gained and lost what; None: it was applied before Accord kept that."""


def list_revisions(reader: Reader, page: Page) -> dict[str, Any]:
    """A page of applied revisions, newest first. Raises NotFound or StoreError."""
    query = f"SELECT {_COLUMNS} FROM revisions r WHERE r.id < ? ORDER BY r.id DESC LIMIT ?"
    rows = reader.rows(query, page.before_number, page.limit + 1)
    repairs = _repairs(reader, [row[0] for row in rows])
    return page.cut_by([_summary(row, repairs) for row in rows], lambda each: str(each.id))


def in_force(reader: Reader) -> Summary | None:
    """The revision that was applied last; None if none was. Raises StoreError."""
    row = reader.row(f"SELECT {_COLUMNS} FROM revisions r ORDER BY r.id DESC LIMIT 1")
    return None if row is None else _summary(row, _repairs(reader, [row[0]]))


_OF_REVISIONS = "kind = '' AND name = ''"
"""What entries of revisions themselves have: by the index of names they are found among those of all resources."""


def find_revision(reader: Reader, number: int) -> Detail | None:
    """A revision; None if there is none of this number. Raises StoreError."""
    row = reader.row(f"SELECT {_WHOLE} FROM revisions r WHERE r.id = ?", number)
    if row is None:
        return None
    entry = reader.row(
        f"SELECT id, action, detail FROM audit WHERE {_OF_REVISIONS} AND revision_id = ? "
        f"AND action IN ({', '.join('?' * len(REVISION_ACTIONS))})",
        number,
        *REVISION_ACTIONS,
    )
    access = reader.row("SELECT detail FROM revision_access WHERE revision_id = ?", number)
    is_repair = entry is not None and entry[1] == "revision.repair"
    repository, branch, path, plan_digest, accord_version = row[10:]
    return Detail(
        _summary(row[:10], frozenset((number,) if is_repair else ())),
        repository,
        branch,
        path,
        plan_digest,
        accord_version,
        None if entry is None else entry[0],
        {} if entry is None else _mapping(entry[2]),
        None if access is None else _mapping(access[0]),
    )


def list_changes(reader: Reader, revision: Detail, page: Page) -> dict[str, Any]:
    """A page of the resources that a revision changed, in the order of the plan, as entries of the audit log.

    They follow the revision's own entry, since one transaction wrote them. Raises NotFound or StoreError.
    """
    if revision.entry is None:
        return {"items": [], "next": None}
    rows = reader.rows(
        "SELECT id, at, actor, action, kind, name, revision_id, detail, previous_hash, hash FROM audit "
        "WHERE id > ? AND id <= ? AND revision_id = ? ORDER BY id LIMIT ?",
        max(page.after_number, revision.entry),
        revision.entry + revision.summary.changes,
        revision.summary.id,
        page.limit + 1,
    )
    found: list[Entry] = [read_entry(row) for row in rows]
    return page.cut_by(found, lambda each: str(each.id))


def _summary(row: Row, repairs: frozenset[int]) -> Summary:
    number, commit, author, committed_at, summary, applied_at, applied_by, generation, counts, overrides = row
    return Summary(
        number,
        commit,
        author,
        read_instant(committed_at),
        summary,
        read_instant(applied_at),
        applied_by,
        generation,
        _mapping(counts),
        [Overridden(each["guard"], each["reason"], each.get("until")) for each in read_json(overrides)],
        number in repairs,
    )


def _repairs(reader: Reader, numbers: Sequence[int]) -> frozenset[int]:
    """Those of some revisions that only repaired drift."""
    if not numbers:
        return frozenset()
    rows = reader.rows(
        f"SELECT revision_id FROM audit WHERE {_OF_REVISIONS} AND action = 'revision.repair' "
        f"AND revision_id IN ({', '.join('?' * len(numbers))})",
        *numbers,
    )
    return frozenset(number for (number,) in rows)


def _mapping(text: str) -> Mapping[str, Any]:
    found = orjson.loads(text)
    return found if isinstance(found, dict) else {}
