"""One blob: bytes → documents that are valid in themselves, and problems. A pure function of the bytes, so results are cached."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator, Sequence
from copy import deepcopy
from itertools import islice
from typing import Any, NamedTuple

import orjson
import yaml

from reconciler.access.resources import KINDS
from reconciler.source.documents import Document, Unreadable, read, without_control_characters
from reconciler.source.positions import Places, Span, comments, item_lines, texts
from reconciler.source.schema import MOST_FINDINGS, Finding, find_problems
from reconciler.source.secrets import is_allowed, may_hold_secret, secret_in, secrets_in
from reconciler.source.values import check_values

Report = tuple[int, int, str, str, str, str | None]
"""Line, column, rule, severity, message and suggestion: a problem in a blob, whichever files contain it."""


class Blob(NamedTuple):
    """The result of reading a blob: each document that is valid in itself, every problem, and what invalid documents declare."""

    documents: list[tuple[int, dict[str, Any]]]
    reports: list[Report]
    broken: list[tuple[str, str]]
    """Kind and name of each document with errors."""
    partial: list[tuple[int, dict[str, Any]]]
    """The parts of documents with errors that can still be checked, so that one problem does not hide another."""
    items: dict[str, str]
    """The lines of items in lists, as `Origin.items` has them, by the line of their document."""


def blob_id(content: bytes) -> str:
    """Return the id that Git gives a blob of these bytes."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


_LISTS = ("members", "issuers", "adGroups", "permittedIPs")
"""The lists of a team whose items give somebody something."""
_NAME = re.compile(r"\bname[\"']?\s*:\s*[\"']?([a-z0-9][a-z0-9._-]{0,63})")


def read_blob(content: bytes) -> Blob:
    """Parse a blob and check each of its documents. One unreadable document makes all of them invalid."""
    blob, readable = Blob([], [], [], [], {}), True
    known: list[Span] = []
    text = content.decode("utf-8", "replace").removeprefix("\ufeff")
    suspicious = may_hold_secret(text)
    marked = suspicious and is_allowed(text)
    try:
        for document, node in read(content):
            if isinstance(document, Unreadable):
                readable = False
                blob.reports.append(_unreadable(document))
                continue
            inside = texts(node, text) if suspicious else []
            allowed = _allowed_lines(text, inside, node) if marked else frozenset()
            _take(blob, document, node, suspicious, allowed)
            known += inside
    except Unreadable as error:
        mended, hidden = without_control_characters(content, MOST_FINDINGS)
        if error.rule == "control-character":
            return _mended(read_blob(mended), [_unreadable(problem) for problem in hidden])
        readable = False
        blob.reports.append(_unreadable(error))
    if suspicious and readable:
        blob.reports.extend(islice(_secrets_beside(text, known), MOST_FINDINGS))
    return blob if readable else _invalid(blob)._replace(broken=[*blob.broken, *_named_in(content)])


def _take(blob: Blob, document: Document, node: yaml.Node, suspicious: bool, allowed: Collection[int]) -> None:
    """Check one document and sort it into the blob. `allowed` holds the lines that a comment allows as no secrets."""
    line, value = document
    findings = find_problems(value)
    findings += _beside(findings, check_values(value))
    if suspicious:
        places = Places(node)
        found = islice(_secrets(value, ()), MOST_FINDINGS)
        findings += [_allowed(finding) if _may_pass(finding, places, allowed) else finding for finding in found]
    if all(finding.severity != "error" for finding in findings):
        blob.documents.append((line, value))
        lines = item_lines(node, _LISTS) if value["kind"] == "Team" else None
        if lines:
            blob.items[str(line)] = orjson.dumps(lines).decode()
    else:
        blob.broken.extend(_identity(value))
        blob.partial.extend((line, rest) for rest in _without(value, findings))
    if findings:
        places = Places(node)
        blob.reports.extend(_report(places, finding) for finding in findings)


def _beside(known: Sequence[Finding], more: Sequence[Finding]) -> Iterator[Finding]:
    """Return the findings at paths that have no known finding."""
    paths = {finding.path for finding in known} if more else ()
    return (finding for finding in more if finding.path not in paths)


def _without(value: Any, findings: Sequence[Finding]) -> Iterator[dict[str, Any]]:
    """Yield a document without its wrong parts, if the rest is a resource."""
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
    """Report control characters, and other problems on lines without any: their own lines cannot be judged."""
    lines = {line for line, *_ in hidden}
    return _invalid(blob)._replace(reports=[*hidden, *(report for report in blob.reports if report[0] not in lines)])


def _invalid(blob: Blob) -> Blob:
    """Treat every document as invalid but still worth checking, because the file as a whole has an error."""
    names = [(value["kind"], value["metadata"]["name"]) for _, value in blob.documents]
    return Blob([], blob.reports, [*blob.broken, *names], [*blob.partial, *blob.documents], {})


def _named_in(content: bytes) -> Iterator[tuple[str, str]]:
    """Yield what an unreadable text may declare."""
    names = dict.fromkeys(_NAME.findall(content.decode("utf-8", "replace")))
    return ((kind, name) for name in islice(names, MOST_FINDINGS) for kind in KINDS)


def _unreadable(error: Unreadable) -> Report:
    return error.line, error.column, error.rule, "error", error.message, None


def _identity(value: Any) -> Iterator[tuple[str, str]]:
    """Yield the kind and name of a document with errors, if it has them."""
    metadata = value.get("metadata") if isinstance(value, dict) else None
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if isinstance(name, str) and value.get("kind") in KINDS:
        yield value["kind"], name


def _report(places: Places, finding: Finding) -> Report:
    line, column = places.find(finding.path, key=finding.at_key)
    message = finding.message
    if finding.rule == "wrong-type":
        message = _as_written(message, places.written(finding.path))
    return line, column, finding.rule, finding.severity, message, finding.suggestion


def _as_written(message: str, written: str | None) -> str:
    """Show a number as the file has it: `007` is read as 7."""
    if written is None or not re.fullmatch(r"[-+]?0[0-9]{1,20}|0[xo][0-9a-fA-F]{1,20}", written):
        return message
    return re.sub(r"not `-?[0-9]+`", f"not `{written}`", message, count=1)


def _refusal(kind: str) -> str:
    return (
        f"this looks like {kind}; secrets do not belong in Git. Remove it and change the secret, because the history keeps it. "
        "If it is none, end the line with `# accord: not-a-secret`"
    )


_ALLOWED = "this looks like a secret, and a comment says that it is none (`accord: not-a-secret`)"


def _allowed(finding: Finding) -> Finding:
    return Finding("allowed-secret", finding.path, _ALLOWED, severity="note")


def _may_pass(finding: Finding, places: Places, allowed: Collection[int]) -> bool:
    """Tell whether a comment beside the finding allows it: one line, even of a text that has many."""
    if not allowed or places.find(finding.path)[0] not in allowed:
        return False
    written = places.written(finding.path) or ""
    key = f"{finding.path[-1]}: " if isinstance(finding.path[-1], str) else ""
    signs = list(secrets_in(key + written))
    whole = any(kind == "a private key" for kind, _ in signs)  # it has many lines
    return not whole and len({(key + written).count("\n", 0, at) for _, at in signs}) <= 1


def _allowed_lines(text: str, inside: Sequence[Span], node: yaml.Node) -> frozenset[int]:
    """Return the lines of a document that end in a comment that allows them."""
    found, line, at = set(), node.start_mark.line + 1, node.start_mark.index
    end = text.find("\n", node.end_mark.index)
    for place, comment in comments(text, inside, at, len(text) if end < 0 else end):
        if is_allowed(comment):
            line, at = line + text.count("\n", at, place), place
            found.add(line)
    return frozenset(found)


def _secrets(value: Any, path: tuple[str | int, ...]) -> Iterator[Finding]:
    """Find keys and values that look like secrets, and values whose key says so (`password: …`)."""
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


def _secrets_beside(text: str, inside: Sequence[Span]) -> Iterator[Report]:
    """Find secrets in comments."""
    for place, comment in comments(text, inside):
        kind = secret_in(comment)
        if kind is not None:
            finding = Finding("secret", (), _refusal(kind))
            rule, _, message, _, _, severity = _allowed(finding) if is_allowed(comment) else finding
            yield text.count("\n", 0, place) + 1, place - text.rfind("\n", 0, place), rule, severity, message, None


def encode(blob: Blob) -> bytes:
    """Encode a blob's result."""
    return orjson.dumps([*blob])


def decode(payload: bytes) -> Blob:
    """Decode a blob's result. Raises ValueError if the bytes are not one."""
    return Blob(*orjson.loads(payload))
