"""What a plan deletes and creates again under another name: most likely a rename that nobody declared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from reconciler.access.problems import Problem
from reconciler.access.resources import DeclaredState, Issuer, Resource, Team
from reconciler.plan.changes import renamed
from reconciler.plan.plan import FORMER, Change


class _Pair(NamedTuple):
    old: str
    created: Change


def recreated(changes: Sequence[Change]) -> list[Problem]:
    """Warn, once for a plan, of teams and issuers that are created with the content of deleted ones.

    Users are not looked at: the guard `identity-handed-over` does so, by their addresses.
    """
    gone = [change.before for change in changes if change.action == "delete" and not change.name.endswith(FORMER)]
    new = [change for change in changes if change.action == "create"]
    issuers = [*_pairs([row for row in gone if isinstance(row, Issuer)], new)]
    teams = {row.name: row for row in gone if isinstance(row, Team)}
    with_new_names = renamed(DeclaredState(teams=teams), {"Issuer": {pair.old: pair.created.name for pair in issuers}})
    found = [*issuers, *_pairs(with_new_names.teams.values(), new)]
    if not found:
        return []
    old, (_, kind, name, source, *_) = found[0]
    if source is None:
        return []
    word = kind.lower()
    what = f"{word} `{old}` is deleted and created again as `{name}`"
    if len(found) > 1:
        what = f"{len(found):,} deleted resources are created again under other names, such as {word} `{old}` as `{name}`"
    message = (
        f"{what}, with the same content: what belongs to the old name, such as certificates, does not pass to the new one. "
        f"For a rename, write `previously: [{old}]` in the metadata of `{name}`, as `accord rename {word} {old} {name}` does"
    )
    return [Problem(source.file, source.line, 1, "recreated", "warning", message)]


def _pairs(gone: Iterable[Resource], new: Iterable[Change]) -> Iterator[_Pair]:
    """Pair deleted resources with created ones of the same content. It tells nothing if more of either kind have it."""
    left: dict[Resource, list[str]] = {}
    for row in gone:
        left.setdefault(_content(row), []).append(row.name)
    heirs: dict[Resource, list[Change]] = {}
    for change in new if left else ():
        if change.after is not None and (content := _content(change.after)) in left:
            heirs.setdefault(content, []).append(change)
    for content, created in heirs.items():
        if len(created) == len(left[content]):
            yield from map(_Pair, left[content], created)


def _content(resource: Resource) -> Resource:
    return resource._replace(name="", previously=())
