"""What a page shows of a proposal: its diff by lines, its access in rows, and of all that only what the visitor may see.

A person who is no administrator proposes for teams that they are in. What they are shown concerns these teams alone: of a file
that may declare more, the changed lines; of access, what goes through these teams; of guards, which they are, since what a guard
says may be about others.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from api.console.proposal_acts import end_in_words

MOST_LINES = 3_000
"""Lines of a diff on a page; the rest is in the patch."""
MOST_ROWS = 200
"""Rows of a table of access on a page."""
Document = Mapping[str, Any]


_TOLD = "\nThe guard "
"""Where a commit's message tells what a guard said of it, maybe long ago."""


class Viewer(NamedTuple):
    """Whose eyes see a proposal. None: an administrator's, who see everything."""

    teams: frozenset[str]
    whole_files: frozenset[str] = frozenset()
    """Files that declare nothing but these teams."""


class DiffLine(NamedTuple):
    """A line of a diff: its kind (`added`, `removed`, `same`, `hunk`), its sign and its text."""

    kind: str
    sign: str
    text: str


class FileDiff(NamedTuple):
    """What changes in a file."""

    path: str
    lines: tuple[DiffLine, ...]


class AccessRow(NamedTuple):
    """Somebody who gains, keeps or loses access to an issuer."""

    user: str
    issuer: str
    through: tuple[str, ...]
    until: str | None
    note: str = ""


class Shown(NamedTuple):
    """A proposal as one page shows it."""

    document: Document
    files: tuple[FileDiff, ...]
    cut: bool
    """Whether the diff is longer than what is shown."""
    gained: tuple[AccessRow, ...]
    lost: tuple[AccessRow, ...]
    changed: tuple[AccessRow, ...]
    more: Mapping[str, int]
    """How many rows of access are left out, by `gained`, `lost` and `changed`."""
    fields: tuple[tuple[str, str, tuple[str, ...]], ...]
    """What changes: kind, name, and each field in words."""
    guards: tuple[Mapping[str, Any], ...]
    approvals: tuple[Mapping[str, Any], ...]
    is_whole: bool
    """Whether the visitor sees all of it, and may have the patch."""
    is_hidden: bool = False
    """Whether it concerns more than the visitor's teams, or nobody can tell, so that nothing in it is shown."""

    @property
    def is_unchecked(self) -> bool:
        """Whether nobody can tell what it changes: it is not valid together with what the branch has got since."""
        return self.document.get("comparison") is None

    @property
    def administrators(self) -> Mapping[str, Sequence[str]]:
        """Who becomes an administrator, and who is one no more."""
        plan = self.document.get("comparison") or {}
        return plan.get("administrators") or {"gained": (), "lost": ()}

    @property
    def waiting(self) -> int:
        """How many other changes are merged already and will be applied with it."""
        plan, own = self.document.get("plan") or {}, self.document.get("comparison") or {}
        known = {(change["kind"], change["name"]) for change in own.get("changes") or ()}
        return sum((change["kind"], change["name"]) not in known for change in plan.get("changes") or ())

    @property
    def effects(self) -> Mapping[str, int]:
        """What applying it sends and ends, by the database."""
        return (self.document.get("plan") or {}).get("effects") or {}


def shown(document: Document, viewer: Viewer | None) -> Shown:
    """A proposal as this visitor is shown it."""
    plan = document.get("comparison") or {}
    changes = plan.get("changes") or ()
    if viewer is not None and not _is_of(changes, viewer):
        return Shown(document, (), False, (), (), (), {}, (), (), (), is_whole=False, is_hidden=True)
    access = plan.get("access") or {}
    rows = {name: list(_rows(name, access.get(name) or (), viewer)) for name in ("gained", "lost", "changed")}
    files = list(_files(document.get("diff") or ""))
    told = bool(document.get("guards")) or _TOLD in (document.get("message") or "")  # what guards say may be about others
    whole = viewer is None or (bool(files) and all(file.path in viewer.whole_files for file in files) and not told)
    if viewer is not None and not whole:
        files = [file._replace(lines=tuple(line for line in file.lines if line.kind in ("added", "removed"))) for file in files]
    kept, cut = _bounded(files)
    return Shown(
        document,
        tuple(kept),
        cut,
        tuple(rows["gained"][:MOST_ROWS]),
        tuple(rows["lost"][:MOST_ROWS]),
        tuple(rows["changed"][:MOST_ROWS]),
        {name: max(0, len(found) - MOST_ROWS) for name, found in rows.items()},
        tuple((change["kind"], change["name"], tuple(_in_words(change))) for change in changes[:MOST_ROWS]),
        tuple(guard if viewer is None else {"id": guard["id"], "message": ""} for guard in document.get("guards") or ()),
        tuple(document.get("approvals") or ()),
        whole,
    )


def may_have_patch(patch: str, viewer: Viewer | None) -> bool:
    """Whether a patch holds nothing but what the visitor may see: also its message, which tells what guards say."""
    if viewer is None:
        return bool(patch)
    files = list(_files(patch))
    return bool(files) and all(file.path in viewer.whole_files for file in files) and _TOLD not in patch


def _is_of(changes: Sequence[Mapping[str, Any]], viewer: Viewer) -> bool:
    """Whether all that changes are members and permissions of the visitor's teams."""
    return bool(changes) and all(
        change["kind"] == "Team" and change["action"] == "update" and change["name"] in viewer.teams for change in changes
    )


_FILE = re.compile(r'^\+\+\+ (?:"?b/(?P<after>.*?)"?|/dev/null)\t?$')
_BEFORE = re.compile(r'^--- (?:"?a/(?P<before>.*?)"?|/dev/null)\t?$')
_HUNK = re.compile(r"^@@ -[0-9]+(?:,([0-9]+))? \+[0-9]+(?:,([0-9]+))? @@")


def _files(diff: str) -> Iterator[FileDiff]:
    """The files of a unified diff as git writes it. The numbers of a hunk say where it ends, whatever its lines look like."""
    path, lines, old, new = "", list[DiffLine](), 0, 0
    for raw in diff.split("\n"):
        if old > 0 or new > 0:
            sign, text = raw[:1], raw[1:].removesuffix("\r")
            old -= sign in (" ", "-", "")
            new -= sign in (" ", "+", "")
            lines.append(DiffLine({"+": "added", "-": "removed"}.get(sign, "same"), {"-": "−"}.get(sign, sign), text))
        elif hunk := _HUNK.match(raw):
            old, new = (1 if number is None else int(number) for number in hunk.groups())
            lines.append(DiffLine("hunk", "", hunk[0]))
        elif raw.startswith("diff --git "):
            if lines:
                yield FileDiff(path, tuple(lines))
            path, lines = "", []
        elif before := _BEFORE.match(raw):
            path = before["before"] or path
        elif after := _FILE.match(raw):
            path = after["after"] or path
    if lines:
        yield FileDiff(path, tuple(lines))


def _bounded(files: Sequence[FileDiff]) -> tuple[list[FileDiff], bool]:
    """As many files and lines as a page holds, and whether there are more."""
    kept, left = list[FileDiff](), MOST_LINES
    for file in files:
        if left <= 0:
            return kept, True
        kept.append(file._replace(lines=file.lines[:left]))
        left -= len(file.lines)
    return kept, left < 0


def _rows(what: str, entries: Sequence[Mapping[str, Any]], viewer: Viewer | None) -> Iterator[AccessRow]:
    for entry in entries:
        before, after = (entry["before"], entry["after"]) if what == "changed" else (entry, entry)
        both = {*before["through"], *after["through"]}
        if viewer is not None and not both & viewer.teams:
            continue
        note = _note(before, after) if what == "changed" else ""
        through, until = tuple(after["through"]), after["until"]
        if viewer is not None and not both <= viewer.teams:  # how it goes on through other teams is not theirs to see
            through, until, note = tuple(each for each in through if each in viewer.teams), None, "also through another team"
        yield AccessRow(after["user"], after["issuer"], through, until, note)


def _note(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """How access goes on in another way, in words."""
    said = []
    if before["until"] != after["until"]:
        said.append(f"ended {end_in_words(before['until'])} before" if before["until"] else "had no end before")
    if before["through"] != after["through"]:
        said.append(f"went through {_list(before['through'])} before")
    if before.get("from") != after.get("from"):
        said.append(f"from {_list(after['from']) if after.get('from') else 'any address'} now")
    return "; ".join(said)


def _list(values: Collection[str], most: int = 12) -> str:
    shown_ = [str(each) for each in list(values)[:most]]
    return ", ".join(shown_) + (f" and {len(values) - most} more" if len(values) > most else "")


_NAMES = {
    "email": "e-mail address",
    "fullName": "full name",
    "enabled": "enabled",
    "passwordChangeRequiredAfter": "password change required after",
    "initialPassword": "initial password",
    "members": "members",
    "issuers": "issuers",
    "type": "type",
}
_VALUES = {"initialPassword": {"generated": "generated, and mailed", "none": "none yet"}}


def _in_words(change: Mapping[str, Any]) -> Iterator[str]:
    """What changes in a resource: a sentence a field."""
    if change["action"] == "delete":
        yield "is removed"
        return
    if change["action"] == "create":
        yield "is new"
    for name, field in (change.get("fields") or {}).items():
        label = _NAMES.get(name, name)
        if isinstance(field, Mapping) and ("added" in field or "removed" in field):
            for what in ("added", "removed"):
                if field.get(what):
                    yield f"{label} {what}: {_list([_item(each) for each in field[what]])}"
            for each in field.get("changed") or ():
                yield f"{label}: {_item(each['from'])} → {_item(each['to'])}"
        elif isinstance(field, Mapping):
            before, after = (_value(name, field.get(when)) for when in ("from", "to"))
            yield f"{label}: {after}" if change["action"] == "create" else f"{label}: {before} → {after}"
        else:
            yield f"{label}: {_value(name, field)}"


def _value(name: str, value: Any) -> str:
    if value is None or value == "":
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return _list([_item(each) for each in value]) or "none"
    return _VALUES.get(name, {}).get(str(value), str(value)[:500])


def _item(value: Any) -> str:
    """A link of a list: its name, and its end."""
    if isinstance(value, Mapping):
        named = str(value.get("user") or value.get("issuer") or value.get("name") or next(iter(value.values()), ""))
        return f"{named} until {end_in_words(str(value['until']))}" if value.get("until") else named
    return str(value)[:500]
