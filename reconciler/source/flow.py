"""Puts the parts of flow collections (`{…}`, `[…]`) into the usual order, each in the place of another."""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from reconciler.source.arrangement import ANY, Shape, key_order, shape_of, written_name
from reconciler.source.documents import Unreadable, read
from reconciler.source.splicing import Splice, spliced


def arranged_flows(text: str) -> str:
    """Return the text with the parts of its flow collections in order. One with comments between its parts keeps its order."""
    splices: list[Splice] = []
    for document, root in read(text.encode()):
        assert not isinstance(document, Unreadable)
        splices += _flows(text, root, shape_of(document.value["kind"]))
    return spliced(text, splices)


def _flows(text: str, node: yaml.Node, shape: Shape) -> Iterator[Splice]:
    if not isinstance(node, yaml.CollectionNode):
        return
    if node.flow_style:
        yield Splice(node.start_mark.index, node.end_mark.index, _written(text, node, shape))
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _flows(text, value, shape.properties.get(key.value, ANY))
    else:
        for item in node.value:
            yield from _flows(text, item, shape.items or ANY)


def _written(text: str, node: yaml.Node, shape: Shape) -> str:
    """Write a node with its parts in order; what stands between them stays between them."""
    start, end = node.start_mark.index, node.end_mark.index
    parts = list(_parts(text, node, shape))
    if not parts:
        return text[start:end]
    edges = [start, *(edge for _, first, last, _ in parts for edge in (first, last)), end]
    between = [text[edges[number] : edges[number + 1]] for number in range(0, len(edges), 2)]
    ordered = parts if any("#" in gap for gap in between) else _ordered(parts, node, shape)
    return "".join(piece for gap, part in zip(between, [*ordered, ("", 0, 0, "")], strict=True) for piece in (gap, part[3]))


_Part = tuple[str, int, int, str]
"""A part's name, where it begins and ends, and how it is written."""


def _parts(text: str, node: yaml.Node, shape: Shape) -> Iterator[_Part]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            start, middle = key.start_mark.index, value.start_mark.index
            written = text[start:middle] + _written(text, value, shape.properties.get(key.value, ANY))
            yield key.value, start, value.end_mark.index, written
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield written_name(item), item.start_mark.index, item.end_mark.index, _written(text, item, shape.items or ANY)


def _ordered(parts: list[_Part], node: yaml.Node, shape: Shape) -> list[_Part]:
    if isinstance(node, yaml.MappingNode):
        by_name = key_order(shape)
        return sorted(parts, key=lambda part: by_name(part[0]))
    return sorted(parts, key=lambda part: part[0]) if shape.is_sorted else parts
