"""Every branch of a template, taken without asking its condition: what no sample shows is seen all the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jinja2 import nodes

from reconciler.mail.filters import shown
from reconciler.mail.grammar import path_of, reader

Branch = tuple[nodes.If, int]
"""A condition, and which of its bodies: `if`, each `elif`, `else`, in this order."""


def renderings(source: str, values: Mapping[str, Any]) -> Iterator[str]:
    """Render a part of a template once for each of its branches, by dotted variable names. Values are shown without filters."""
    tree = reader().parse(source)
    yield _rendered(tree.body, {}, values)
    for path in _paths(tree.body, ()):
        yield _rendered(tree.body, {id(condition): number for condition, number in path}, values)


def _paths(body: Sequence[nodes.Node], before: tuple[Branch, ...]) -> Iterator[tuple[Branch, ...]]:
    """Yield the way to each branch: the branches around it, and itself."""
    for node in body:
        if isinstance(node, nodes.If):
            for number, branch in enumerate(_bodies(node)):
                path = (*before, (node, number))
                yield path
                yield from _paths(branch, path)
        elif isinstance(node, nodes.For):
            yield from _paths(node.body, before)


def _bodies(node: nodes.If) -> list[list[nodes.Node]]:
    return [node.body, *(branch.body for branch in node.elif_), node.else_]


def _rendered(body: Sequence[nodes.Node], taken: Mapping[int, int], values: Mapping[str, Any]) -> str:
    pieces: list[str] = []
    for node in body:
        if isinstance(node, nodes.Output):
            pieces += (_shown(part, values) for part in node.nodes)
        elif isinstance(node, nodes.If):
            pieces.append(_rendered(_bodies(node)[taken.get(id(node), -1)], taken, values))
        elif isinstance(node, nodes.For):
            pieces.append(_rendered(node.body, taken, values))
    return "".join(pieces)


def _shown(node: nodes.Expr, values: Mapping[str, Any]) -> str:
    if isinstance(node, nodes.TemplateData):
        return node.data
    if isinstance(node, nodes.Const):
        return str(node.value)
    return str(shown(values.get(path_of(node) or "", "x")))
