"""Brings a file of resources into the usual form. The result is read back before it is returned: it must declare the same, with
the same comments."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

import yaml

from reconciler.access.resources import Resource
from reconciler.source.blobs import read_blob
from reconciler.source.build import build
from reconciler.source.documents import compose
from reconciler.source.flow import arranged_flows
from reconciler.source.layout import NotFormatted, laid_out
from reconciler.source.positions import comments, texts

_BOM = "\ufeff"


def formatted(content: bytes) -> bytes:
    """Return a file's bytes in the usual form, with its own kind of line breaks. Raises NotFormatted."""
    before = _resources(content)
    text = content.decode("utf-8")
    mark = _BOM if text.startswith(_BOM) else ""
    breaks = "\r\n" if "\r\n" in text and not re.search(r"(?<!\r)\n", text) else "\n"
    plain = text.removeprefix(_BOM).replace("\r\n", "\n")
    _refuse_anchors(plain)
    changed = laid_out(arranged_flows(plain))
    if not plain.endswith("\n") and not _says_the_same(changed, plain, before):
        changed = changed.removesuffix("\n")  # the last text would have a line break more
    if not _says_the_same(changed, plain, before):
        raise NotFormatted("its layout is unusual, and could not be changed safely")
    return (mark + changed.replace("\n", breaks)).encode()


def _says_the_same(changed: str, plain: str, before: list[tuple[str, Resource]]) -> bool:
    try:
        return _resources(changed.encode()) == before and _comments(changed) == _comments(plain)
    except NotFormatted:
        return False


def _resources(content: bytes) -> list[tuple[str, Resource]]:
    blob = read_blob(content)
    for line, _, _, severity, message, _ in blob.reports:
        if severity == "error":
            raise NotFormatted(message, line, invalid=True)
    return [(value["kind"], build(value)) for _, value in blob.documents]


def _refuse_anchors(text: str) -> None:
    for root, _ in compose(text.encode()):
        seen: set[int] = set()
        for node in _nodes(root):
            if id(node) in seen or text.startswith("&", node.start_mark.index):
                raise NotFormatted("it has anchors or aliases, whose order matters", node.start_mark.line + 1)
            seen.add(id(node))


def _nodes(node: yaml.Node) -> Iterator[yaml.Node]:
    yield node
    if isinstance(node, yaml.CollectionNode):
        for part in node.value:
            for inner in part if isinstance(part, tuple) else (part,):
                yield from _nodes(inner)


def _comments(text: str) -> Counter[str]:
    """Count a text's comments, wherever they are."""
    known = [span for root, _ in compose(text.encode()) for span in texts(root, text)]
    return Counter(comment.rstrip() for _, comment in comments(text, known))
