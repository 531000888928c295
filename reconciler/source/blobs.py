"""One blob: bytes → documents that are valid by themselves, and problems. A pure function of the bytes, so it is cached."""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from copy import deepcopy
from itertools import islice
from typing import Any, NamedTuple

import orjson
import yaml

from reconciler.access.resources import KINDS
from reconciler.source.build import check_values
from reconciler.source.documents import Document, Unreadable, read, without_control_characters
from reconciler.source.positions import Places
from reconciler.source.schema import MOST_FINDINGS, Finding, find_problems
from reconciler.source.secrets import may_hold_secret, secret_in

Report = tuple[int, int, str, str, str, str | None]
"""Line, column, rule, severity, message, suggestion: a problem of a blob, whichever files hold it."""


class Blob(NamedTuple):
    """What a blob's bytes give: each document that is valid by itself, every problem, and what the others would declare."""

    documents: list[tuple[int, dict[str, Any]]]
    reports: list[Report]
    broken: list[tuple[str, str]]
    """Kind and name."""
    partial: list[tuple[int, dict[str, Any]]]
    """What can be judged of documents with errors, so that one problem does not hide another."""


def blob_id(content: bytes) -> str:
    """The id that Git gives a blob of these bytes."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


_NAME = re.compile(r"\bname[\"']?\s*:\s*[\"']?([a-z0-9][a-z0-9._-]{0,63})")


def read_blob(content: bytes) -> Blob:
    """Parse a blob and check each of its documents by itself. One that cannot be read makes all of them invalid."""
    blob, readable = Blob([], [], [], []), True
    texts: list[tuple[int, int]] = []
    suspicious = may_hold_secret(content.decode("utf-8", "replace"))
    try:
        for document, node in read(content):
            if isinstance(document, Unreadable):
                readable = False
                blob.reports.append(_unreadable(document))
                continue
            _take(blob, document, node, suspicious)
            if suspicious:
                texts += _texts(node)
    except Unreadable as error:
        mended, hidden = without_control_characters(content, MOST_FINDINGS)
        if error.rule == "control-character":
            return _mended(read_blob(mended), [_unreadable(problem) for problem in hidden])
        readable = False
        blob.reports.append(_unreadable(error))
    if suspicious and readable:
        blob.reports.extend(islice(_secrets_beside(content.decode("utf-8-sig"), texts), MOST_FINDINGS))
    return blob if readable else _invalid(blob)._replace(broken=[*blob.broken, *_named_in(content)])


def _take(blob: Blob, document: Document, node: yaml.Node, suspicious: bool) -> None:
    """Check one document, and put it where it belongs."""
    line, value = document
    findings = find_problems(value)
    findings += _beside(findings, check_values(value))
    if suspicious:
        findings += islice(_secrets(value, ()), MOST_FINDINGS)
    if all(finding.severity == "warning" for finding in findings):
        blob.documents.append((line, value))
    else:
        blob.broken.extend(_identity(value))
        blob.partial.extend((line, rest) for rest in _without(value, findings))
    if findings:
        places = Places(node)
        blob.reports.extend(_report(places, finding) for finding in findings)


def _beside(known: Sequence[Finding], more: Sequence[Finding]) -> Iterator[Finding]:
    """What is wrong where nothing is known to be wrong."""
    paths = {finding.path for finding in known} if more else ()
    return (finding for finding in more if finding.path not in paths)


def _without(value: Any, findings: Sequence[Finding]) -> Iterator[dict[str, Any]]:
    """A document without its parts that have errors, where that is a resource."""
    rest = deepcopy(value)
    for path in sorted({finding.path for finding in findings if finding.severity == "error"}, reverse=True):
        _remove(rest, path)
    if not find_problems(rest):
        yield rest


def _remove(value: Any, path: tuple[str | int, ...]) -> None:
    for step in path[:-1]:
        value = value[step]
    if path:
        del value[path[-1]]


def _mended(blob: Blob, hidden: list[Report]) -> Blob:
    """What is in a file besides its control characters; on their lines nobody knows what was meant."""
    lines = {line for line, *_ in hidden}
    return _invalid(blob)._replace(reports=[*hidden, *(report for report in blob.reports if report[0] not in lines)])


def _invalid(blob: Blob) -> Blob:
    """A file as a whole has an error: none of its documents is valid, and each can be judged."""
    names = [(value["kind"], value["metadata"]["name"]) for _, value in blob.documents]
    return Blob([], blob.reports, [*blob.broken, *names], [*blob.partial, *blob.documents])


def _named_in(content: bytes) -> Iterator[tuple[str, str]]:
    """What a text that cannot be read may declare."""
    names = dict.fromkeys(_NAME.findall(content.decode("utf-8", "replace")))
    return ((kind, name) for name in islice(names, MOST_FINDINGS) for kind in KINDS)


def _unreadable(error: Unreadable) -> Report:
    return error.line, error.column, error.rule, "error", error.message, None


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
    return orjson.dumps([*blob])


def decode(payload: bytes) -> Blob:
    """A blob's result from bytes. Raises ValueError where they are none."""
    return Blob(*orjson.loads(payload))
