"""How a revision stands to the applied one: whether it may be applied, what its merge would give, and what to do otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, NamedTuple

from reconciler.access.resources import Revision
from reconciler.run.errors import Rewind
from reconciler.run.inputs import Source, absence
from reconciler.store.read import AppliedRevision

if TYPE_CHECKING:
    from reconciler.source.repository import Repository


class Detour(NamedTuple):
    """Why a revision cannot be applied, and how it stands if its merge with the applied one can be planned instead."""

    message: str
    merge: Literal["behind", "older"] | None


def find_detour(source: Source, applied: AppliedRevision | None, revision: Revision, branch: str | None) -> Detour | None:
    """Return None for a revision that is or descends from the applied one, or the first; `branch` is the one that is applied."""
    if applied is None or applied.revision.commit == revision.commit:
        return None
    before, new = applied.revision.commit, revision.commit[:12]
    relation = source.repository.relation(before, revision.commit)
    if relation == "descends":
        return None
    if relation == "absent":
        hint = "" if source.repository.is_shallow() else "; if the rewrite was intended, add --allow-rewind"
        return Detour(absence(source, applied) + hint, None)
    does_not = f"{new} does not descend from the applied revision {before[:12]}"
    on_purpose = "to go back on purpose, add --allow-rewind"
    if branch is not None and source.repository.holds(branch, before) is False:
        lacks = f"{does_not}, which `{branch}` no longer contains: a force-push, or an old clone"
        return Detour(f"{lacks}. Fetch the branch's head, or push {before[:12]} or a descendant of it; {on_purpose}", None)
    if relation == "older":
        message = f"{does_not}, which already contains it: it is older, and there is nothing to apply; {on_purpose}"
        return Detour(message, "older")
    return Detour(f"{does_not}: its branch is behind. Merge `{branch or 'the main branch'}` into it, or rebase it", "behind")


@contextmanager
def merged(source: Source, applied: AppliedRevision, revision: Revision, merge: str) -> Iterator[tuple[Source, str]]:
    """Merge a revision with the applied one in a temporary repository; yield the source to read from, and the merge's tree.

    Raises Rewind if they conflict.
    """
    from reconciler.source.errors import MergeConflict
    from reconciler.source.scratch import borrow

    before = applied.revision.commit
    if merge == "older":
        yield source, before
        return
    repository: Repository
    with borrow(source.repository, len(before)) as repository:
        try:
            tree = repository.merge(before, revision.commit)
        except MergeConflict as error:
            raise Rewind(f"this revision is behind the applied one, {before[:12]}, and {error}; merge or rebase it") from None
        yield source._replace(repository=repository), tree
