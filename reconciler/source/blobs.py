"""One blob: bytes → documents that are valid by themselves, and problems. A pure function of the bytes, so it is cached."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson

from reconciler.source.build import check_values
from reconciler.source.documents import Document, Unreadable, parse
from reconciler.source.positions import locate
from reconciler.source.schema import Finding, find_problems
from reconciler.source.secrets import may_hold_secret, secret_in

Report = tuple[int, int, str, str, str, str | None]
"""Line, column, rule, severity, message, suggestion: a problem of a blob, whichever files hold it."""


class Blob(NamedTuple):
    """What a blob's bytes give: each document that is valid by itself, and every problem."""

    documents: list[tuple[int, dict[str, Any]]]
    reports: list[Report]


def blob_id(content: bytes) -> str:
    """The id that Git gives a blob of these bytes."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def read_blob(content: bytes) -> Blob:
    """Parse a blob and check each of its documents by itself."""
    try:
        documents = parse(content)
    except Unreadable as error:
        return Blob([], [(error.line, error.column, error.rule, "error", error.message, None)])
    suspicious = may_hold_secret(content.decode("utf-8", "replace"))
    valid: list[tuple[int, dict[str, Any]]] = []
    reports: list[Report] = []
    for document in documents:
        findings = find_problems(document.value) or check_values(document.value)
        if suspicious:
            findings = [*findings, *_secrets(document.value, ())]
        if all(finding.severity == "warning" for finding in findings):
            valid.append((document.line, document.value))
        reports += [_report(content, document, finding) for finding in findings]
    return Blob(valid, reports)


def _report(content: bytes, document: Document, finding: Finding) -> Report:
    line, column = locate(content, document.line, finding.path, key=finding.at_key)
    return line, column, finding.rule, finding.severity, finding.message, finding.suggestion


def _secrets(value: Any, path: tuple[str | int, ...]) -> Iterator[Finding]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _secrets(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _secrets(item, (*path, index))
    elif isinstance(value, str):
        kind = secret_in(value)
        if kind is not None:
            message = (
                f"this looks like {kind}; secrets have no place in Git. Take it out, and change the secret: the history keeps it"
            )
            yield Finding("secret", path, message)


def encode(blob: Blob) -> bytes:
    """A blob's result as bytes."""
    return orjson.dumps([blob.documents, blob.reports])


def decode(payload: bytes) -> Blob:
    """A blob's result from bytes. Raises ValueError where they are none."""
    documents, reports = orjson.loads(payload)
    return Blob(documents, reports)
