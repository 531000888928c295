"""Strict YAML: bytes → documents, or the one problem that makes them unreadable.

YAML 1.2's core schema over libyaml's parser: duplicate keys, tags, merge keys, control characters, deep nesting and alias
bombs are refused. Nodes are walked here instead of by PyYAML's constructor, which is three times slower and knows YAML 1.1.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any, NamedTuple

import yaml
from yaml._yaml import CParser

LARGEST_FILE = 16 << 20
LARGEST_DOCUMENT = 1 << 20
DEEPEST = 32
MOST_ALIASED = 10_000
"""Limits: bytes, bytes, levels, and nodes that aliases may stand for."""

_SPECIAL = frozenset("-+.0123456789~nNtTfF")
"""What a plain scalar begins with that may not be a text."""
_NUMBER = re.compile(
    r"[-+]?(?:0|[1-9][0-9]*|[0-9]+)|0o[0-7]+|0x[0-9a-fA-F]+|[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
)
_NOT_A_NUMBER = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_WORDS = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
_WORDS_TRUE, _WORDS_FALSE = {"true", "True", "TRUE"}, {"false", "False", "FALSE"}
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff]")


class Document(NamedTuple):
    """One YAML document: its value, and the line (from 1) on which it begins."""

    line: int
    value: Any


class Unreadable(Exception):
    """Bytes that are not YAML as Accord reads it: the rule, the place (from 1) and the reason."""

    def __init__(self, rule: str, line: int, column: int, message: str) -> None:
        super().__init__(message)
        self.rule, self.line, self.column, self.message = rule, line, column, message


class _Composer(CParser):
    """libyaml's composer without PyYAML's tag resolution: a tag of None means that none was written."""

    def resolve(self, _kind: Any, _value: Any, _implicit: Any) -> None:
        return None

    def ascend_resolver(self) -> None:
        pass

    def descend_resolver(self, _parent: Any, _index: Any) -> None:
        pass


def parse(content: bytes) -> list[Document]:
    """Read all documents of a file. Empty ones are left out. Raises Unreadable at the first place that cannot be read."""
    documents = []
    for node, text in compose(content):
        builder = _Builder(text)
        value = builder.build(node, 1)
        if value is not None:
            documents.append(Document(node.start_mark.line + 1, value))
    return documents


def compose(content: bytes) -> list[tuple[yaml.Node, str]]:
    """The nodes of all documents, with the file's text. Raises Unreadable."""
    if len(content) > LARGEST_FILE:
        raise Unreadable("too-large", 1, 1, f"the file has {len(content):,} bytes; at most {LARGEST_FILE:,} are read")
    text = _decode(content)
    composer = _Composer(text)
    nodes = []
    try:
        while composer.check_node():
            node = composer.get_node()
            assert node is not None
            if node.end_mark.index - node.start_mark.index > LARGEST_DOCUMENT:
                size = f"{node.end_mark.index - node.start_mark.index:,}"
                raise Unreadable(
                    "too-large", node.start_mark.line + 1, 1, f"the document has {size} characters; at most 1 MiB is read"
                )
            nodes.append((node, text))
    except yaml.MarkedYAMLError as error:
        raise _unreadable(error, text) from None
    except yaml.YAMLError as error:
        raise Unreadable("yaml-syntax", 1, 1, f"this is not YAML: {str(error).splitlines()[0]}") from None
    finally:
        composer.dispose()
    return nodes


def _decode(content: bytes) -> str:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        raise Unreadable("not-utf-8", line, column, "the file is not UTF-8; save it as UTF-8") from None
    if text.startswith("\ufeff"):
        text = text[1:]
    found = _FORBIDDEN.search(text)
    if found:
        raise Unreadable("control-character", *_place(text, found.start()), f"the file holds {_named(found[0])}; remove it")
    return text


def _place(text: str, index: int) -> tuple[int, int]:
    return text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index)


def _named(char: str) -> str:
    name = unicodedata.name(char, "a control character")
    return f"U+{ord(char):04X}, {name.lower() if name.isupper() else name}"


def _unreadable(error: yaml.MarkedYAMLError, text: str) -> Unreadable:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    problem = error.problem or "it cannot be read"
    lines = text.split("\n")
    if line <= len(lines) and "\t" in lines[line - 1][: len(lines[line - 1]) - len(lines[line - 1].lstrip())]:
        return Unreadable("tab", line, lines[line - 1].index("\t") + 1, "a tab cannot indent YAML; use spaces")
    if "maximum nesting depth" in problem:
        return Unreadable("too-deep", line, column, f"it nests deeper than {DEEPEST} levels")
    context = f" {error.context}" if error.context else ""
    return Unreadable("yaml-syntax", line, column, f"this is not YAML:{context} {problem}".replace("  ", " "))


class _Builder:
    """Values out of nodes; counts what aliases stand for without expanding them twice."""

    def __init__(self, text: str) -> None:
        self._escapes = "\\" in text
        self._aliases = "*" in text
        self._sizes: dict[int, int] = {}
        self._open: set[int] = set()
        self._aliased = 0

    def build(self, node: yaml.Node, depth: int) -> Any:
        if isinstance(node, yaml.ScalarNode):
            if node.tag:
                raise self._tagged(node)
            value = node.value
            if node.style:
                if self._escapes and node.style == '"':
                    self._refuse_hidden(node)
                return value
            return value if value and value[0] not in _SPECIAL else _plain(node)
        if depth > DEEPEST:
            raise _at(node, "too-deep", f"it nests deeper than {DEEPEST} levels")
        if node.tag:
            raise self._tagged(node)
        if self._aliases:
            return self._build_counted(node, depth)
        return (
            self._mapping(node, depth)
            if isinstance(node, yaml.MappingNode)
            else [self.build(item, depth + 1) for item in node.value]
        )

    def _build_counted(self, node: yaml.Node, depth: int) -> Any:
        key = id(node)
        if key in self._open:
            raise _at(node, "alias", "an alias stands for something that holds the alias itself")
        if key in self._sizes:
            self._aliased += self._sizes[key]
        if self._aliased > MOST_ALIASED:
            raise _at(node, "alias", f"aliases stand for more than {MOST_ALIASED:,} nodes")
        self._open.add(key)
        before = self._aliased
        value = (
            self._mapping(node, depth)
            if isinstance(node, yaml.MappingNode)
            else [self.build(item, depth + 1) for item in node.value]
        )
        self._open.discard(key)
        self._sizes[key] = 1 + self._aliased - before + len(node.value) * (2 if isinstance(node, yaml.MappingNode) else 1)
        return value

    def _mapping(self, node: yaml.MappingNode, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self.build(key_node, depth + 1)
            if key.__class__ is not str:
                raise _at(key_node, "key", "a key must be a text; write it in quotes")
            if key in found:
                raise _at(key_node, "duplicate-key", f"the key `{key}` stands here twice")
            if key == "<<" and not key_node.style:
                raise _at(key_node, "merge-key", "merge keys (`<<`) are not read; write it out")
            found[key] = self.build(value_node, depth + 1)
        return found

    def _tagged(self, node: yaml.Node) -> Unreadable:
        return _at(node, "tag", f"tags (`{node.tag}`) are not read; leave it out")

    def _refuse_hidden(self, node: yaml.ScalarNode) -> None:
        found = _FORBIDDEN.search(node.value)
        if found:
            raise _at(node, "control-character", f"the text holds {_named(found[0])}; remove it")


def _at(node: yaml.Node, rule: str, message: str) -> Unreadable:
    return Unreadable(rule, node.start_mark.line + 1, node.start_mark.column + 1, message)


def _plain(node: yaml.ScalarNode) -> Any:
    """A plain scalar by YAML 1.2's core schema (10.3.2)."""
    value = node.value
    if value in _WORDS:
        return None
    if value in _WORDS_TRUE or value in _WORDS_FALSE:
        return value in _WORDS_TRUE
    if _NOT_A_NUMBER.fullmatch(value):
        raise _at(node, "number", f"`{value}` is no number Accord knows; write it in quotes if it is a text")
    if len(value) <= 40 and _NUMBER.fullmatch(value):
        return _number(value)
    return value


def _number(value: str) -> int | float:
    if value.startswith("0o"):
        return int(value[2:], 8)
    if value.startswith("0x"):
        return int(value[2:], 16)
    return float(value) if any(char in value for char in ".eE") else int(value)
