"""Renames a resource in a file's text: only the names themselves are replaced, so comments, quotes and layout stay.

Which texts are references is asked of `references()`: a text refers to the resource exactly if changing it changes what the
resource around it refers to. So a new kind of reference needs nothing here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any, NamedTuple

import yaml

from reconciler.access.delegation import fields_about, matches
from reconciler.access.fields import fields_of
from reconciler.access.references import references
from reconciler.access.resources import Delegation, Kind
from reconciler.source.build import build
from reconciler.source.documents import Document, Unreadable, parse, read
from reconciler.source.errors import SourceError
from reconciler.source.positions import last_line, texts
from reconciler.source.schema import find_problems
from reconciler.source.splicing import Splice, spliced
from reconciler.source.yaml_text import quoted, scalar, spelt

_BOM = "\ufeff"
_Path = tuple[str | int, ...]


class Renamed(NamedTuple):
    """A file with the new name: its bytes, how many names were replaced, and the lines (from 1) where the old name means
    something else, or where a pattern fits it and not the new one."""

    content: bytes
    places: int
    left: list[tuple[int, str]]


class _Name(NamedTuple):
    kind: Kind
    old: str
    new: str


def rename_in(content: bytes, kind: Kind, old: str, new: str) -> Renamed:
    """Give a resource its new name in a file of valid resources: where it is declared, and wherever it is referred to.

    The old name becomes one of its earlier names. Raises SourceError if that cannot be done by replacing the names alone.
    """
    name = _Name(kind, old, new)
    plain = content.decode("utf-8")
    mark = _BOM if plain.startswith(_BOM) else ""
    text = plain.removeprefix(_BOM)
    splices: list[Splice] = []
    expected: list[Any] = []
    places = 0
    left: list[tuple[int, str]] = []
    for document, node in read(content):
        assert not isinstance(document, Unreadable)
        value = deepcopy(document.value)
        known: dict[_Path, bool] = {}
        delegated = dict(_delegated(node, document.value, name))
        for path, listed in delegated.items():
            found_here, stays = _in_patterns(text, listed, _at(value, path), name, keeps=path[-1] == "names")
            splices += found_here
            places += len(found_here)
            left += stays
        for path, found in _occurrences(node, document.value, old):
            form = tuple("*" if isinstance(step, int) else step for step in path)  # an index decides nothing
            if form not in known:
                known[form] = _is_name(document, path, name) or _refers(document.value, path, name)
            if known[form]:
                splices.append(_respelt(text, found, new))
                _set(value, path, new)
                places += 1
            elif path[:2] != ("metadata", "previously") and path[:-1] not in delegated:
                left.append((found.start_mark.line + 1, old))
        if _declares(document, name):
            splices.append(_remembered(text, node, value["metadata"], name))
        expected.append(value)
    changed = (mark + spliced(text, splices)).encode()
    try:
        as_meant = [document.value for document in parse(changed)] == expected
    except Unreadable:
        as_meant = False
    if not as_meant:
        raise SourceError(
            f"cannot rename `{old}` by replacing its name alone, perhaps for an alias (`*`); edit this file by hand"
        )
    return Renamed(changed, places, left)


def _occurrences(node: yaml.Node, value: Any, text: str, path: _Path = ()) -> Iterator[tuple[_Path, yaml.ScalarNode]]:
    """Yield each value that is a text, with its path; keys are none."""
    if isinstance(node, yaml.MappingNode):
        for key, item in node.value:
            yield from _occurrences(item, value[key.value], text, (*path, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _occurrences(item, value[index], text, (*path, index))
    elif isinstance(node, yaml.ScalarNode) and value == text:
        yield path, node


def _declares(document: Document, name: _Name) -> bool:
    return bool(document.value["kind"] == name.kind and document.value["metadata"]["name"] == name.old)


def _is_name(document: Document, path: _Path, name: _Name) -> bool:
    return path == ("metadata", "name") and _declares(document, name)


def _refers(value: Any, path: _Path, name: _Name) -> bool:
    """Tell whether the resource would refer to the new name if this one text were changed."""
    changed = deepcopy(value)
    _set(changed, path, name.new)
    if find_problems(changed):
        return False
    return any(found.kind == name.kind and name.new in found.names for found in references(build(changed)))


def _delegated(root: yaml.Node, value: Any, name: _Name) -> Iterator[tuple[_Path, yaml.SequenceNode]]:
    """Yield the lists of patterns, in the delegation of Settings, that are about resources of the name's kind."""
    zones = value.get("spec", {}).get("delegation", ()) if value["kind"] == "Settings" else ()
    for index, zone in enumerate(zones):
        for field in fields_about(zone.get("kinds", ()), name.kind):
            key = fields_of(Delegation)[field].yaml
            entries = _child(_child(root, "spec"), "delegation")
            listed = _child(entries.value[index], key) if isinstance(entries, yaml.SequenceNode) else None
            if isinstance(listed, yaml.SequenceNode):
                yield ("spec", "delegation", index, key), listed


def _in_patterns(
    text: str, node: yaml.SequenceNode, patterns: list[str], name: _Name, *, keeps: bool
) -> tuple[list[Splice], list[tuple[int, str]]]:
    """Let an exact entry follow the rename, as plans do. What may declare the resource needs its earlier name too (`keeps`)."""
    splices, stays = [], []
    for index, item in enumerate(node.value):
        exact = item.value == name.old
        if exact and keeps and not matches(patterns, name.new):
            splices.append(_appended(text, node, name.new))
            patterns.append(name.new)
        elif exact and not keeps and name.new not in patterns:
            splices.append(_respelt(text, item, name.new))
            patterns[index] = name.new
        elif matches([item.value], name.old) and (not keeps if exact else not matches([item.value], name.new)):
            stays.append((item.start_mark.line + 1, item.value))
    return splices, stays


def _set(value: Any, path: _Path, text: str) -> None:
    _at(value, path[:-1])[path[-1]] = text


def _at(value: Any, path: _Path) -> Any:
    for step in path:
        value = value[step]
    return value


def _respelt(text: str, node: yaml.ScalarNode, new: str) -> Splice:
    """Replace a name by another in the quotes that it has."""
    start, end = node.start_mark.index, node.end_mark.index
    quote = node.style if node.style in ("'", '"') else ""
    written = f"{quote}{node.value}{quote}"
    if text[start:end].endswith(written):  # it may follow an anchor
        return Splice(end - len(written), end, spelt(new, quote))
    if node.style in ("|", ">"):  # a comment may follow the sign
        at = text.index(node.value, *texts(node, text)[0])
        return Splice(at, at + len(node.value), new)
    if text[start] == "&":
        line = node.start_mark.line + 1
        raise SourceError(f"line {line}: cannot rename `{node.value}` behind an anchor (`&`); edit this file by hand")
    return Splice(start, start + len(text[start:end].rstrip()), spelt(new, quote))


def _remembered(text: str, document: yaml.Node, metadata: dict[str, Any], name: _Name) -> Splice:
    """Add the old name to the earlier ones, in the value and in the text; the new name is no earlier one any more."""
    node = _child(document, "metadata")
    listed = _child(node, "previously")
    assert isinstance(node, yaml.MappingNode)
    earlier = metadata.setdefault("previously", [])
    if isinstance(listed, yaml.SequenceNode):
        if name.new in earlier:
            index = earlier.index(name.new)
            earlier[index] = name.old
            return _respelt(text, listed.value[index], name.old)
        earlier.append(name.old)
        return _appended(text, listed, name.old)
    earlier.append(name.old)
    if node.flow_style:
        end = node.value[-1][1].end_mark.index
        as_json = text[node.value[0][0].start_mark.index] == '"'
        added = f'"previously": [{quoted(name.old)}]' if as_json else f"previously: [{scalar(name.old)}]"
        return Splice(end, end, f", {added}")
    indent = " " * node.start_mark.column
    return _line_after(text, last_line(node), [f"{indent}previously:", f"{indent}  - {scalar(name.old)}"])


def _appended(text: str, node: yaml.SequenceNode, name: str) -> Splice:
    if not node.flow_style:
        return _line_after(text, last_line(node), [f"{' ' * node.start_mark.column}- {scalar(name)}"])
    if not node.value:
        start = text.index("[", node.start_mark.index) + 1
        return Splice(start, start, scalar(name))
    last = node.value[-1]
    as_json = text[last.end_mark.index - 1] == '"'
    return Splice(last.end_mark.index, last.end_mark.index, f", {quoted(name) if as_json else scalar(name)}")


def _line_after(text: str, line: int, lines: Sequence[str]) -> Splice:
    """Insert lines after a line (from 0), with the text's own line breaks."""
    breaks = "\r\n" if "\r\n" in text else "\n"
    end = 0
    for _ in range(line + 1):
        found = text.find("\n", end)
        if found < 0:
            return Splice(len(text), len(text), "".join(f"{breaks}{added}" for added in lines))
        end = found + 1
    return Splice(end, end, "".join(f"{added}{breaks}" for added in lines))


def _child(node: yaml.Node | None, name: str) -> yaml.Node | None:
    pairs = node.value if isinstance(node, yaml.MappingNode) else ()
    return next((value for key, value in pairs if key.value == name), None)
