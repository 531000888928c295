"""Strict YAML: bytes → documents, or the problem that makes a document unreadable.

Applies YAML 1.2's core schema on top of libyaml's parser, and refuses duplicate keys, tags, merge keys, control characters,
deep nesting and alias bombs. PyYAML's own constructor would be three times slower and reads YAML 1.1.
"""

from __future__ import annotations

import math
import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import islice, pairwise
from typing import Any, NamedTuple

import yaml
from yaml._yaml import CParser
from yaml.nodes import ScalarNode, SequenceNode

from reconciler.source.mistakes import conflict, explain, foreign, in_quotes

LARGEST_FILE = 16 << 20
LARGEST_DOCUMENT = 1 << 20
DEEPEST = 32
MOST_ALIASED = 10_000
LONG_TEXT = 128
"""Limits: bytes, bytes, levels, nodes that aliases expand to, and characters of a text that count as one more node."""

_SPECIAL = frozenset("-+.0123456789~nNtTfF")
"""First characters of plain scalars that may not be text."""
_NUMBER = re.compile(
    r"[-+]?(?:0|[1-9][0-9]*|[0-9]+)|0o[0-7]+|0x[0-9a-fA-F]+|[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
)
_NOT_A_NUMBER = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff]")
"""Control characters, characters that change the writing direction, and line breaks that libyaml sees but a reviewer does not."""
_LONE_RETURN = re.compile(r"\r(?!\n)")
_HIDDEN = re.compile(f"{_FORBIDDEN.pattern}|{_LONE_RETURN.pattern}")
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
ANCHOR = r"&[0-9A-Za-z_-]+(?:\s|#[^\n]*\n)*"
"""An anchor as libyaml reads it, up to what it names."""
_TAG = re.compile(rf"(?:{ANCHOR})?!")
"""A node's own tag. libyaml does not report `!`, which turns what follows into text."""
_TABBED = re.compile(r" *\t[ \t]*[^\s]")
MARKER = re.compile(rb"^(?:---|\.\.\.)(?=\s|\Z)", re.MULTILINE)
"""What ends a document wherever it is: at the margin, no text can contain it."""


class Document(NamedTuple):
    """One YAML document: its value, and the line (from 1) where it begins."""

    line: int
    value: Any


class Unreadable(Exception):
    """Bytes that Accord does not accept as YAML: the rule, the place (from 1) and the reason."""

    def __init__(self, rule: str, line: int, column: int, message: str) -> None:
        super().__init__(message)
        self.rule, self.line, self.column, self.message = rule, line, column, message


class _Composer(CParser):
    """libyaml's composer without PyYAML's tag resolution: a tag of None means that the file has no tag, or `!`."""

    def resolve(self, _kind: Any, _value: Any, _implicit: Any) -> None:
        return None

    def ascend_resolver(self) -> None:
        pass

    def descend_resolver(self, _parent: Any, _index: Any) -> None:
        pass


def parse(content: bytes) -> list[Document]:
    """Read all documents of a file except empty ones. Raises Unreadable at the first unreadable place."""
    found = []
    for document, _ in read(content):
        if isinstance(document, Unreadable):
            raise document
        found.append(document)
    return found


def read(content: bytes) -> Iterator[tuple[Document | Unreadable, yaml.Node]]:
    """Yield a file's documents, each with the node that locates its parts.

    An unreadable document is replaced by its problem. Raises Unreadable if the rest of the file cannot be read.
    """
    for node, text in compose(content):
        try:
            value = _Builder(text).build(node, 1)
        except Unreadable as error:
            yield error, node
        else:
            if value is not None:
                yield Document(node.start_mark.line + 1, value), node


def compose(content: bytes) -> Iterator[tuple[yaml.Node, str]]:
    """Yield each document's root node, with the file's text. Raises Unreadable."""
    _refuse_large(content)
    stored = foreign(content)
    if stored is not None:
        raise Unreadable(stored[0], 1, 1, stored[1])
    text = _decode(content)
    unfinished = conflict(text)
    if unfinished is not None:
        raise Unreadable(*unfinished)
    tabbed = [number for number, line in enumerate(text.split("\n")) if _TABBED.match(line)] if "\t" in text else []
    composer = _Composer(text)
    try:
        while composer.check_node():
            node = composer.get_node()
            assert node is not None
            if tabbed:
                _refuse_tabs(node, text, tabbed)
            yield node, text
    except yaml.MarkedYAMLError as error:
        raise _unreadable(error, text) from None
    except yaml.YAMLError as error:
        raise Unreadable("yaml-syntax", 1, 1, f"this is not valid YAML: {str(error).splitlines()[0]}") from None
    finally:
        composer.dispose()


def _refuse_large(content: bytes) -> None:
    """Refuse large files before composing them: one byte of a file can become a node of several hundred bytes."""
    if len(content) > LARGEST_FILE:
        raise Unreadable("too-large", 1, 1, f"the file has {len(content):,} bytes; the limit is {LARGEST_FILE:,}")
    if len(content) > LARGEST_DOCUMENT:
        starts = [0, *(found.start() for found in MARKER.finditer(content)), len(content)]
        for start, end in pairwise(starts):
            if end - start > LARGEST_DOCUMENT:
                line = content.count(b"\n", 0, start) + 1
                raise Unreadable(
                    "too-large", line, 1, f"the document has {end - start:,} bytes; the limit is {LARGEST_DOCUMENT:,}"
                )


def _decode(content: bytes) -> str:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        before = content[content.rfind(b"\n", 0, error.start) + 1 : error.start]
        column = len(before.decode("utf-8-sig" if line == 1 else "utf-8")) + 1
        raise Unreadable("not-utf-8", line, column, "the file is not UTF-8; save it as UTF-8") from None
    if text.startswith("\ufeff"):
        text = text[1:]
    found = _FORBIDDEN.search(text) or (_LONE_RETURN.search(text) if "\r" in text else None)
    if found:
        raise _hidden(*_place(text, found.start()), found[0])
    return text


def without_control_characters(content: bytes, most: int) -> tuple[bytes, list[Unreadable]]:
    """Replace each forbidden character with a mark; also return the first one of each line as a problem."""
    text = content.decode("utf-8", "replace").removeprefix("\ufeff")
    found: dict[int, Unreadable] = {}
    for match in islice(_HIDDEN.finditer(text), most):
        line, column = _place(text, match.start())
        found.setdefault(line, _hidden(line, column, match[0]))
    return _HIDDEN.sub(_REPLACEMENT, text).encode(), list(found.values())


def _hidden(line: int, column: int, char: str) -> Unreadable:
    if char == "\r":
        message = "the file contains a carriage return without a line feed; save it with the line ends of Unix or Windows"
        return Unreadable("control-character", line, column, message)
    return Unreadable("control-character", line, column, f"the file contains {_named(char)}; remove it")


def _refuse_tabs(node: yaml.Node, text: str, lines: list[int]) -> None:
    """Refuse tabs that libyaml allows in brackets and continued lines; they are text only in a block scalar."""
    within: set[int] = set()
    nodes, seen = [node], set()
    while nodes:
        inner = nodes.pop()
        if isinstance(inner, yaml.ScalarNode):
            if inner.style in ("|", ">"):
                within.update(range(inner.start_mark.line + 1, inner.end_mark.line + (inner.end_mark.column > 0)))
        elif id(inner) not in seen:
            seen.add(id(inner))
            nodes += [part for pair in inner.value for part in pair] if isinstance(inner, yaml.MappingNode) else inner.value
    for line in lines[bisect_left(lines, node.start_mark.line) : bisect_right(lines, node.end_mark.line)]:
        if line not in within:
            raise _tab(line + 1, text)


def _tab(line: int, text: str) -> Unreadable:
    return Unreadable("tab", line, text.split("\n")[line - 1].index("\t") + 1, "tabs cannot indent YAML; use spaces")


def _place(text: str, index: int) -> tuple[int, int]:
    return text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index)


def _named(char: str) -> str:
    name = unicodedata.name(char, "a control character")
    return f"U+{ord(char):04X}, {name.lower() if name.isupper() else name}"


def _unreadable(error: yaml.MarkedYAMLError, text: str) -> Unreadable:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    begin = (error.context_mark.line + 1, error.context_mark.column + 1) if error.context_mark else (line, column)
    problem = error.problem or "it cannot be read"
    lines = text.rstrip("\r\n").split("\n")
    if line > len(lines):  # the end of the file comes after its last line
        line, column = len(lines), len(lines[-1]) + 1
    elif "\t" in lines[line - 1][: len(lines[line - 1]) - len(lines[line - 1].lstrip())]:
        return _tab(line, text)
    if "maximum nesting depth" in problem:
        return Unreadable("too-deep", line, column, f"it is nested deeper than {DEEPEST} levels")
    return Unreadable(*explain(problem, error.context or "", lines, line, column, begin))


class _Builder:
    """Builds values from nodes, and counts the nodes that aliases expand to."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._escapes = "\\" in text
        self._tags = "!" in text
        self._aliases = "*" in text and "&" in text
        self._seen: set[int] = set()
        self._open: set[int] = set()
        self._aliased = 0

    def build(self, node: yaml.Node, depth: int) -> Any:
        if self._aliases:
            self._count(node)
        if node.tag or (self._tags and _TAG.match(self._text, node.start_mark.index)):
            raise _at(node, "tag", f"tags (`{(node.tag or '!')[:80]}`) are not supported; remove the tag")
        if node.__class__ is ScalarNode:
            value = node.value
            if node.style:
                if self._escapes and node.style == '"':
                    self._refuse_hidden(node)
                return value
            return value if value and value[0] not in _SPECIAL else _plain(node)
        if depth > DEEPEST:
            raise _at(node, "too-deep", f"it is nested deeper than {DEEPEST} levels")
        self._open.add(id(node))
        built = self._collection(node, depth + 1)
        self._open.remove(id(node))
        return built

    def _count(self, node: yaml.Node) -> None:
        """Count a node seen again: it comes from an alias."""
        key = id(node)
        if key in self._open:
            raise _at(node, "alias", "an alias refers to something that contains the alias itself")
        if key in self._seen:
            self._aliased += 1 + (len(node.value) // LONG_TEXT if isinstance(node, yaml.ScalarNode) else 0)
        self._seen.add(key)
        if self._aliased > MOST_ALIASED:
            raise _at(node, "alias", f"aliases expand to more than {MOST_ALIASED:,} nodes")

    def _collection(self, node: yaml.Node, depth: int) -> dict[str, Any] | list[Any]:
        build = self.build
        if node.__class__ is SequenceNode:
            return [build(item, depth) for item in node.value]
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = build(key_node, depth)
            if key.__class__ is not str:
                raise self._no_key(node, key_node)
            if key in found:
                hint = "; put `---` on a line of its own between two resources" if key in ("apiVersion", "kind") else ""
                raise _at(key_node, "duplicate-key", f"the key `{key[:80]}` appears twice{hint}")
            if key == "<<" and not key_node.style:
                raise _at(key_node, "merge-key", "merge keys (`<<`) are not supported; write the values out")
            found[key] = build(value_node, depth)
        return found

    def _no_key(self, node: yaml.Node, key_node: yaml.Node) -> Unreadable:
        """Report a key that is not text, among them `{{ x }}`, which is a mapping as a key."""
        written = self._text[node.start_mark.index : node.end_mark.index]
        if written.startswith("{{"):
            return _at(node, "key", f"a text that begins with `{{{{` must be in quotes: write {in_quotes(written)}")
        return _at(key_node, "key", "a key must be text; put it in quotes")

    def _refuse_hidden(self, node: yaml.ScalarNode) -> None:
        found = _FORBIDDEN.search(node.value)
        if found:
            written = self._text[node.start_mark.index + 1 : node.end_mark.index - 1]
            hint = f"; if a backslash is meant, write {in_quotes(written)}" if "\n" not in written else ""
            raise _at(node, "control-character", f"the text contains {_named(found[0])}; remove it{hint}")


def _at(node: yaml.Node, rule: str, message: str) -> Unreadable:
    return Unreadable(rule, node.start_mark.line + 1, node.start_mark.column + 1, message)


def _plain(node: yaml.ScalarNode) -> Any:
    """Read a plain scalar by YAML 1.2's core schema (10.3.2)."""
    value = node.value
    if value in _WORDS:
        return _WORDS[value]
    if value[0].isalpha():
        return value
    if _NOT_A_NUMBER.fullmatch(value):
        raise _at(node, "number", f"`{value}` is not a number that Accord reads; put it in quotes if it is text")
    if not _NUMBER.fullmatch(value):
        return value
    number = _number(value) if len(value) <= 40 else math.inf
    if number in (math.inf, -math.inf):
        raise _at(node, "number", f"`{value[:40]}` is too large a number; put it in quotes if it is text")
    return number


def _number(value: str) -> int | float:
    if value.startswith("0o"):
        return int(value[2:], 8)
    if value.startswith("0x"):
        return int(value[2:], 16)
    return float(value) if any(char in value for char in ".eE") else int(value)
