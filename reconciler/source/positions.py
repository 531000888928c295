"""Where in a file something stands. Worked out when it is asked for: most files never have to answer."""

from __future__ import annotations

from collections.abc import Sequence

import yaml

from reconciler.source.documents import Unreadable, compose

Path = Sequence[str | int]
"""Keys and indexes from a document's top; a list's item may be given by its name: ("spec", "members", "alice")."""


def locate(content: bytes, document_line: int, path: Path, *, key: bool = False) -> tuple[int, int]:
    """Line and column (from 1) of the value at a path, in the document that begins on a line; `key`: of its key instead.

    Where the path leads nowhere, the deepest part of it that is there.
    """
    node = _document(content, document_line)
    if node is None:
        return document_line, 1
    mark = node.start_mark
    for step in path:
        found = _child(node, step)
        if found is None:
            break
        key_node, node = found
        mark = (key_node if key and key_node is not None else node).start_mark
    return mark.line + 1, mark.column + 1


def _document(content: bytes, line: int) -> yaml.Node | None:
    try:
        nodes = [node for node, _ in compose(content)]
    except Unreadable:
        return None
    return next((node for node in nodes if node.start_mark.line + 1 == line), None)


def _child(node: yaml.Node, step: str | int) -> tuple[yaml.Node | None, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        return next(((key, value) for key, value in node.value if key.value == step), None)
    if isinstance(node, yaml.SequenceNode):
        if isinstance(step, str):
            return next(((None, item) for item in node.value if _names(item, step.casefold())), None)
        return (None, node.value[step]) if step < len(node.value) else None
    return None


def _names(item: yaml.Node, name: str) -> bool:
    """Whether a list's item is a name, or says it: `alice`, `{user: alice}`, or a list that holds it."""
    if isinstance(item, yaml.ScalarNode):
        return bool(item.value.casefold() == name)
    if isinstance(item, yaml.MappingNode):
        return any(key.value in ("user", "issuer") and _names(value, name) for key, value in item.value)
    return any(_names(inner, name) for inner in item.value)
