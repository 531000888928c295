"""The patch that adopts a difference: what to change in the YAML files so that they declare what the database holds.

Only the lines that differ are touched, so that people's comments and order stay. Where a document's layout does not allow it,
the whole document is written anew. What comes out is read again before it is handed on: it declares exactly the wanted
resource, or it is not the answer.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import yaml

from reconciler.access.resources import Kind, Resource
from reconciler.plan.plan import Change
from reconciler.source.blobs import read_blob
from reconciler.source.build import build
from reconciler.source.documents import compose
from reconciler.source.export import resource_document, resource_fields, resource_path
from reconciler.source.provenance import document_line
from reconciler.source.yaml_text import yaml_document, yaml_sequence

Content = Callable[[str], bytes | None]
"""A file's bytes by its path; None where it is not there."""


def adopting_patch(changes: Iterable[Change], content: Content) -> str:
    """A unified diff, for `git apply`, that undoes the changes on Git's side: the files then declare each change's `before`."""
    files: dict[str, tuple[str, str]] = {}
    for change in changes:
        adopted = change.before
        file = change.source.file if change.source is not None else resource_path(change.kind, change.name)
        if file not in files:
            found = (content(file) or b"").decode("utf-8", "replace")
            files[file] = (found, found)
        old, text = files[file]
        files[file] = (old, _adopt(text, change, adopted))
    return "".join(line for file in sorted(files) for line in _diff(file, *files[file]))


def _diff(file: str, old: str, new: str) -> Iterator[str]:
    before, after = f"a/{file}" if old else "/dev/null", f"b/{file}" if new.strip() else "/dev/null"
    lines = new.splitlines(keepends=True) if new.strip() else []
    for line in difflib.unified_diff(old.splitlines(keepends=True), lines, before, after):
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def _adopt(text: str, change: Change, wanted: Resource | None) -> str:
    declared = change.name if change.after is not None else None
    line = None if declared is None else document_line(text.encode(), change.kind, declared)
    if line is None:
        return text if wanted is None else _appended(text, resource_document(change.kind, wanted))
    start, end = _extent(text, line)
    lines = text.splitlines(keepends=True)
    if wanted is None:
        return _without(lines, start, end)
    edited = _edited(lines, _node(text, line), change, wanted)
    if edited is not None and _declares(edited, change.kind, wanted) and _others(edited, wanted) == _others(text, wanted, change):
        return edited
    return "".join([*lines[:start], resource_document(change.kind, wanted), *lines[end:]])


def _appended(text: str, document: str) -> str:
    return document if not text.strip() else f"{text.rstrip()}\n---\n{document}"


def _without(lines: Sequence[str], start: int, end: int) -> str:
    """The file without a document, nor the separator that set it off."""
    before, after = list(lines[:start]), list(lines[end:])
    if after and after[0].startswith("---"):
        after = after[1:] if not before or before[-1].startswith("---") else after
    elif before and before[-1].startswith("---"):
        before.pop()
    return "".join([*before, *after])


def _node(text: str, line: int) -> yaml.Node:
    return next(node for node, _ in compose(text.encode()) if node.start_mark.line + 1 == line)


def _extent(text: str, line: int) -> tuple[int, int]:
    """The lines (from 0, the last excluded) of the document that begins on a line."""
    return line - 1, _last_line(_node(text, line)) + 1


def _last_line(node: yaml.Node) -> int:
    """The line (from 0) on which a node's own text ends, whatever comments follow it."""
    if isinstance(node, yaml.ScalarNode):
        block = node.style in ("|", ">")
        return int(node.end_mark.line - (1 if block and node.end_mark.column == 0 else 0))
    assert isinstance(node, yaml.CollectionNode)
    if node.flow_style or not node.value:
        return int(node.end_mark.line)
    last = node.value[-1]
    return _last_line(last[1] if isinstance(last, tuple) else last)


def _declares(text: str, kind: Kind, wanted: Resource) -> bool:
    return any(value["kind"] == kind and build(value) == wanted for _, value in read_blob(text.encode()).documents)


def _others(text: str, wanted: Resource, change: Change | None = None) -> list[Any]:
    names = {wanted.name, change.name if change else wanted.name}
    return [value for _, value in read_blob(text.encode()).documents if value["metadata"]["name"] not in names]


Edit = tuple[int, int, list[str]]
"""Lines from one (from 0) up to another, and what stands there instead."""


def _edited(lines: Sequence[str], document: yaml.Node, change: Change, wanted: Resource) -> str | None:
    """The file with only the differing fields changed; None where the document is laid out in a way that does not allow it."""
    edits: list[Edit] = []
    fields = resource_fields(wanted)
    for field in dict.fromkeys(field.split(".")[0] for field in change.fields):
        section = "metadata" if field in ("labels", "previously") else "spec"
        part = _child(document, section)
        if not isinstance(part, yaml.MappingNode) or part.flow_style:
            return None
        edits += _field_edits(part, field, fields[section], change.fields.get(field, {}))
    new = list(lines)
    for start, end, written in sorted(edits, reverse=True):
        new[start:end] = written
    return "".join(new)


def _child(node: yaml.Node, name: str) -> yaml.Node | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for key, value in node.value if key.value == name), None)


def _field_edits(part: yaml.MappingNode, name: str, fields: Mapping[str, Any], difference: Mapping[str, Any]) -> Iterator[Edit]:
    """What makes a section say of a field what it should."""
    column = int(part.start_mark.column)
    written = _indented(yaml_document({name: fields[name]}), column) if name in fields else []
    key, value = next(((key, value) for key, value in part.value if key.value == name), (None, None))
    if key is None or value is None:
        after = _last_line(part) + 1
        yield after, after, written
    elif isinstance(value, yaml.SequenceNode) and not value.flow_style and "added" in difference and name in fields:
        yield from _item_edits(value, fields[name], difference)
    else:
        yield int(key.start_mark.line), _last_line(value) + 1, written


def _item_edits(node: yaml.SequenceNode, wanted: Sequence[Any], difference: Mapping[str, Any]) -> Iterator[Edit]:
    """A list item by item: what Git added goes, what it removed comes back, what it changed is changed back."""
    items = {_name(item): item for item in wanted}
    gone = {_name(item) for item in difference["added"]}
    changed = {_name(item["to"]) for item in difference.get("changed", ())}
    column = int(node.start_mark.column)
    for item in node.value:
        name = _written_name(item)
        if name in gone or name in changed:
            written = [items[name]] if name in changed else []
            yield int(item.start_mark.line), _last_line(item) + 1, _indented(yaml_sequence(written), column)
    after = _last_line(node) + 1
    back = [items[_name(item)] for item in difference["removed"]]
    yield after, after, _indented(yaml_sequence(back), column)


def _name(item: Any) -> str:
    return str(item.get("user", item.get("issuer"))) if isinstance(item, Mapping) else str(item)


def _written_name(item: yaml.Node) -> str:
    if isinstance(item, yaml.MappingNode):
        return next((str(value.value) for key, value in item.value if key.value in ("user", "issuer")), "")
    return str(item.value)


def _indented(text: str, column: int) -> list[str]:
    return [f"{' ' * column}{line}" if line.strip() else line for line in text.splitlines(keepends=True)]
