"""The patch that adopts a difference: it changes the YAML files so that they declare what the database holds.

It touches only the lines that differ, to keep people's comments and order, and rewrites a whole document only if the layout
requires it. The result is read back before it is returned: it must declare exactly the wanted resource and leave all others
unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import yaml

from reconciler.access.fields import fields_of
from reconciler.access.resources import RESOURCES, DeclaredState, Key, Kind, Resource, linked_name, with_resources
from reconciler.plan.plan import Change
from reconciler.source.arrangement import written_name
from reconciler.source.blobs import read_blob
from reconciler.source.build import build
from reconciler.source.diff import file_diff
from reconciler.source.documents import compose
from reconciler.source.errors import SourceError
from reconciler.source.export import resource_document, resource_fields, resource_path
from reconciler.source.positions import last_line
from reconciler.source.provenance import document_line
from reconciler.source.yaml_text import yaml_document, yaml_sequence

Content = Callable[[str], bytes | None]
"""Returns a file's bytes by path, or None if there is no such file."""
_MARKER = re.compile(r"(?:---|\.\.\.)(?:\s|$)")
"""A line that begins or ends a document; no line inside one may begin this way."""


def adopting_patch(changes: Iterable[Change], content: Content) -> str:
    """Return a unified diff, for `git apply`, after which the files declare each change's `before`.

    Raises SourceError if a file cannot declare it.
    """
    files: dict[str, tuple[str, str]] = {}
    for change in changes:
        file = change.source.file if change.source is not None else resource_path(change.kind, change.name)
        if file not in files:
            found = (content(file) or b"").decode("utf-8", "replace")
            files[file] = (found, found)
        old, text = files[file]
        files[file] = (old, adopted(text, change, file))
    return "".join(line for file in sorted(files) for line in file_diff(file, *files[file]))


def patched(state: DeclaredState, changes: Iterable[Change]) -> DeclaredState:
    """Return what the files declare once the patch is applied."""
    kinds: dict[Kind, dict[str, Resource]] = {}
    for change in changes:
        resources = kinds.setdefault(change.kind, dict(state.of_kind(change.kind)))
        resources.pop(change.name, None)
        if change.before is not None:
            resources[change.before.name] = change.before
    return with_resources(state, kinds)


def adopted(text: str, change: Change, file: str) -> str:
    """Return the file's text that declares what the change would undo, with the file's own line breaks."""
    breaks = "\r\n" if "\r\n" in text and not re.search(r"(?<!\r)\n", text) else "\n"
    plain = text.replace(breaks, "\n")
    plain += "\n" if plain and not plain.endswith("\n") else ""
    expected = _resources(plain)
    expected.pop((change.kind, change.name), None)
    if change.before is not None:
        expected[change.kind, change.before.name] = change.before
    for new in _attempts(plain, change):
        if new is not None and _resources(new) == expected:
            return new.replace("\n", breaks) if expected else ""
    raise SourceError(
        f"cannot make a patch that lets {file} declare {change.kind} `{change.name}` as the database holds it; "
        "repair the database (--repair), or edit the file by hand"
    )


def _resources(text: str) -> dict[Key, Resource]:
    documents = (value for _, value in read_blob(text.encode()).documents)
    return {(value["kind"], value["metadata"]["name"]): build(value) for value in documents}


def _attempts(text: str, change: Change) -> Iterator[str | None]:
    """Yield ways to write the resource, starting with the one that keeps most of the file."""
    wanted, kind = change.before, change.kind
    line = None if change.after is None else document_line(text.encode(), kind, change.name)
    if line is None:
        yield text if wanted is None else _appended(text, resource_document(kind, wanted))
        return
    lines, document = text.splitlines(keepends=True), _node(text, line)
    if wanted is None:
        yield _without(lines, line - 1)
        return
    yield _edited(lines, document, change, wanted)
    separator = ["---\n"] if _MARKER.match(lines[line - 1]) else []
    new = [*separator, resource_document(kind, wanted)]
    yield "".join([*lines[: line - 1], *new, *lines[last_line(document) + 1 :]])


def _appended(text: str, document: str) -> str:
    return f"{text.rstrip()}\n---\n{document}" if text.strip() else document


def _without(lines: Sequence[str], start: int) -> str:
    """Remove the document that begins on a line (from 0), with its comments and its marker."""
    markers = [number for number, line in enumerate(lines) if _MARKER.match(line)]
    opening = max((number for number in markers if number <= start), default=0)
    closing = min((number for number in markers if number > start), default=len(lines))
    while closing < len(lines) and lines[closing].startswith("..."):
        closing += 1
    if opening == 0 and closing < len(lines) and lines[closing].strip() == "---":
        closing += 1
    return "".join([*lines[:opening], *lines[closing:]])


def _node(text: str, line: int) -> yaml.Node:
    return next(node for node, _ in compose(text.encode()) if node.start_mark.line + 1 == line)


Edit = tuple[int, int, tuple[str, ...]]
"""First line (from 0), end line (not included), and the lines that replace them."""


def _edited(lines: Sequence[str], document: yaml.Node, change: Change, wanted: Resource) -> str | None:
    """Return the file with only the differing fields changed, or None if the document's layout does not allow it."""
    edits: list[Edit] = []
    fields = resource_fields(wanted)
    of_metadata = {field.yaml for field in fields_of(RESOURCES[change.kind]).values() if field.metadata}
    for field, difference in change.fields.items():
        section = "metadata" if field in of_metadata else "spec"
        part = _child(document, section)
        if part is None or not _is_block_mapping(part):
            return None
        edits += _field_edits(part, field.split("."), fields[section], difference)
    new = list(lines)
    for start, end, written in sorted(dict.fromkeys(edits), reverse=True):
        new[start:end] = written
    return "".join(new)


def _is_block_mapping(node: yaml.Node) -> bool:
    return isinstance(node, yaml.MappingNode) and not node.flow_style


def _child(node: yaml.Node, name: str) -> yaml.Node | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for key, value in node.value if key.value == name), None)


def _field_edits(
    part: yaml.Node, path: Sequence[str], fields: Mapping[str, Any], difference: Mapping[str, Any]
) -> Iterator[Edit]:
    """Yield the edits that give a field its wanted value; the field may be in a nested section."""
    name = path[0]
    key, value = next(((key, value) for key, value in part.value if key.value == name), (None, None))
    wanted = fields.get(name)
    if len(path) > 1 and value is not None and _is_block_mapping(value) and isinstance(wanted, Mapping):
        yield from _field_edits(value, path[1:], wanted, difference)
        return
    written = () if wanted is None else _indented(yaml_document({name: wanted}), int(part.start_mark.column))
    if key is None or value is None:
        after = last_line(part) + 1
        yield after, after, written
    elif "added" in difference and isinstance(wanted, list | tuple) and _lists_names(value):
        yield from _item_edits(value, wanted, difference)
    else:
        yield int(key.start_mark.line), last_line(value) + 1, written


def _lists_names(node: yaml.Node) -> bool:
    """Tell whether a node is a list in block style whose items are names or mappings with a name."""
    return (
        isinstance(node, yaml.SequenceNode)
        and not node.flow_style
        and not any(isinstance(item, yaml.SequenceNode) for item in node.value)
    )


def _item_edits(node: yaml.Node, wanted: Sequence[Any], difference: Mapping[str, Any]) -> Iterator[Edit]:
    """Edit a list item by item: remove what Git added, restore what it removed and change back what it changed."""
    items = {_name(item): item for item in wanted}
    gone = {_name(item) for item in difference["added"]}
    changed = {_name(item["to"]) for item in difference.get("changed", ())}
    column = int(node.start_mark.column)
    for item in node.value:
        name = written_name(item)
        if name in gone or name in changed:
            written = [items[name]] if name in changed else []
            yield int(item.start_mark.line), last_line(item) + 1, _indented(yaml_sequence(written), column)
    after = last_line(node) + 1
    back = [items[_name(item)] for item in difference["removed"]]
    yield after, after, _indented(yaml_sequence(back), column)


def _name(item: Any) -> str:
    return linked_name(item) if isinstance(item, Mapping) else str(item)


def _indented(text: str, column: int) -> tuple[str, ...]:
    return tuple(f"{' ' * column}{line}" if line.strip() else line for line in text.splitlines(keepends=True))
