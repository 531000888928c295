"""One blob: bytes → documents that are valid by themselves, and problems. A pure function of the bytes, so it is cached."""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

import orjson
import yaml

from reconciler.access.resources import KINDS
from reconciler.source.build import check_values
from reconciler.source.documents import Unreadable, read
from reconciler.source.positions import Places
from reconciler.source.schema import MOST_FINDINGS, Finding, find_problems
from reconciler.source.secrets import may_hold_secret, secret_in

Report = tuple[int, int, str, str, str, str | None]
"""Line, column, rule, severity, message, suggestion: a problem of a blob, whichever files hold it."""


class Blob(NamedTuple):
    """What a blob's bytes give: each document that is valid by itself, every problem, and what the invalid ones would declare."""

    documents: list[tuple[int, dict[str, Any]]]
    reports: list[Report]
    broken: list[tuple[str, str]]
    """Kind and name."""


def blob_id(content: bytes) -> str:
    """The id that Git gives a blob of these bytes."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def read_blob(content: bytes) -> Blob:
    """Parse a blob and check each of its documents by itself; those after one that cannot be read are not known."""
    valid: list[tuple[int, dict[str, Any]]] = []
    reports: list[Report] = []
    broken: list[tuple[str, str]] = []
    texts: list[tuple[int, int]] = []
    try:
        suspicious = may_hold_secret(content.decode("utf-8", "replace"))
        for document, node in read(content):
            findings = find_problems(document.value) or check_values(document.value)
            if suspicious:
                findings = [*findings, *islice(_secrets(document.value, ()), MOST_FINDINGS)]
                texts += _texts(node)
            if all(finding.severity == "warning" for finding in findings):
                valid.append((document.line, document.value))
            else:
                broken += _identity(document.value)
            if findings:
                places = Places(node)
                reports += [_report(places, finding) for finding in findings]
    except Unreadable as error:
        broken += [(value["kind"], value["metadata"]["name"]) for _, value in valid]
        return Blob([], [*reports, (error.line, error.column, error.rule, "error", error.message, None)], broken)
    if suspicious:
        reports += islice(_secrets_beside(content.decode("utf-8-sig"), texts), MOST_FINDINGS)
    return Blob(valid, reports, broken)


def _identity(value: Any) -> Iterator[tuple[str, str]]:
    """Kind and name of a document, where it says as much in spite of its errors."""
    metadata = value.get("metadata") if isinstance(value, dict) else None
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if isinstance(name, str) and value.get("kind") in KINDS:
        yield value["kind"], name


def _report(places: Places, finding: Finding) -> Report:
    line, column = places.find(finding.path, key=finding.at_key)
    return line, column, finding.rule, finding.severity, finding.message, finding.suggestion


def _refusal(kind: str) -> str:
    return f"this looks like {kind}; secrets have no place in Git. Take it out, and change the secret: the history keeps it"


def _secrets(value: Any, path: tuple[str | int, ...]) -> Iterator[Finding]:
    """Texts that look like secrets, in keys too, and values whose key says what they are (`password: …`)."""
    if isinstance(value, dict):
        for key, item in value.items():
            kind = secret_in(f"{key}: {item}" if isinstance(item, str) else key)
            if kind is not None:
                yield Finding("secret", (*path, key), _refusal(kind))
            elif not isinstance(item, str):
                yield from _secrets(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _secrets(item, (*path, index))
    elif isinstance(value, str):
        kind = secret_in(value)
        if kind is not None:
            yield Finding("secret", path, _refusal(kind))


def _texts(node: yaml.Node) -> list[tuple[int, int]]:
    """Where each scalar of a document begins and ends."""
    if isinstance(node, yaml.ScalarNode):
        return [(node.start_mark.index, node.end_mark.index)]
    parts = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
    return [text for part in parts for text in _texts(part)]


def _secrets_beside(text: str, texts: Sequence[tuple[int, int]]) -> Iterator[Report]:
    """Secrets in comments: in what follows a `#` that is in none of the texts."""
    known = sorted(texts)
    for comment in re.finditer(r"(?<![^\s])#.*", text):
        kind = secret_in(comment[0])
        before = bisect_right(known, (comment.start(), len(text)))
        if kind is not None and not (before and known[before - 1][1] > comment.start()):
            line, column = text.count("\n", 0, comment.start()) + 1, comment.start() - text.rfind("\n", 0, comment.start())
            yield line, column, "secret", "error", _refusal(kind), None


def encode(blob: Blob) -> bytes:
    """A blob's result as bytes."""
    return orjson.dumps([blob.documents, blob.reports, blob.broken])


def decode(payload: bytes) -> Blob:
    """A blob's result from bytes. Raises ValueError where they are none."""
    return Blob(*orjson.loads(payload))
