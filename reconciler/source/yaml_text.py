"""Writes plain values as YAML for people: block style, two spaces, and quotes only if a scalar could be misread.

Text stays plain only if both YAML 1.1 and 1.2 read it as that string. Otherwise it becomes a literal block (several lines) or
is put in double quotes, with unprintable characters escaped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

Value: TypeAlias = "str | bool | int | Sequence[Value] | Mapping[str, Value] | None"


class Indents(NamedTuple):
    """How many spaces a mapping, and the dashes of a list, are further in than their key."""

    mapping: int = 2
    dashes: int = 2


USUAL_INDENTS = Indents()


class Plain(str):
    """Text that is written as is, such as an instant."""

    __slots__ = ()


_MISREAD = re.compile(
    r"""
    ~ | null | true | false | yes | no | on | off | y | n               # null and booleans, of both versions
    | [-+]? \.inf | \.nan
    | [-+]? (?: 0b[01_]+ | 0o[0-7_]+ | 0x[0-9a-f_]+ )                   # integers with a base
    | [-+]? [0-9][0-9_,]* (?: :[0-9_]+ )* (?: \.[0-9_]* )? (?: e[-+]?[0-9]+ )?  # numbers, sexagesimal ones among them
    | [-+]? \.[0-9_]+ (?: e[-+]?[0-9]+ )?
    | [0-9]{4}-[0-9]{1,2}-[0-9]{1,2} .*                                 # dates and times
    """,
    re.VERBOSE | re.IGNORECASE,
)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_IN_FLOW = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._/@+=() -]*[A-Za-z0-9._/@+=()-])?")
"""What needs no quotes within brackets either, unless a scalar could be misread anyway."""
_UNSAFE_START = re.compile(r"(?![A-Za-z0-9_/(+.])[\x00-\xa0]")
_UNSAFE_INSIDE = re.compile(r":(?: |$)| #| $|^[+.]$|^\.{3}")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r", "\0": "\\0"}


def yaml_document(value: Mapping[str, Value], indents: Indents = USUAL_INDENTS) -> str:
    """Write a mapping as a YAML document that ends in a line break, with keys in the given order."""
    lines: list[str] = []
    _mapping(value, "", "", indents, lines)
    return "".join(lines)


def yaml_sequence(value: Sequence[Value], indents: Indents = USUAL_INDENTS) -> str:
    """Write the items of a list as YAML, each after a dash at the margin."""
    lines: list[str] = []
    _sequence(value, "", indents, lines)
    return "".join(lines)


def _mapping(value: Mapping[str, Value], first: str, indent: str, indents: Indents, lines: list[str]) -> None:
    """Append a mapping's lines; `first` begins the first one (after a list's dash), `indent` all others."""
    lead = first
    for key, item in value.items():
        _entry(f"{lead}{scalar(key)}:", item, indent, indents, lines)
        lead = indent


def _entry(lead: str, value: Value, indent: str, indents: Indents, lines: list[str]) -> None:
    if isinstance(value, str):
        lines.append(f"{lead} {text_value(value, indent + ' ' * indents.mapping)}\n")
    elif isinstance(value, Mapping) and value:
        lines.append(f"{lead}\n")
        within = indent + " " * indents.mapping
        _mapping(value, within, within, indents, lines)
    elif isinstance(value, Sequence) and value:
        lines.append(f"{lead}\n")
        _sequence(value, indent + " " * indents.dashes, indents, lines)
    else:
        lines.append(f"{lead} {_atom(value)}\n")


def _sequence(value: Sequence[Value], indent: str, indents: Indents, lines: list[str]) -> None:
    for item in value:
        if isinstance(item, str):
            lines.append(f"{indent}- {text_value(item, indent + '  ')}\n")
        elif isinstance(item, Mapping) and item:
            _mapping(item, f"{indent}- ", f"{indent}  ", indents, lines)
        elif isinstance(item, Sequence) and item:
            lines.append(f"{indent}- [{', '.join(map(in_flow, item))}]\n")
        else:
            lines.append(f"{indent}- {_atom(item)}\n")


def in_flow(value: Value, quote: str = "", *, as_json: bool = False) -> str:
    """Write a value on one line, as it can stand within brackets; with `as_json`, keys are in double quotes."""
    if isinstance(value, str):
        return scalar(value) if not quote and _NAME.fullmatch(value) else spelt(value, quote or '"')
    if isinstance(value, Mapping) and value:
        keys = (f"{quoted(key) if as_json else key}: {in_flow(item, quote, as_json=as_json)}" for key, item in value.items())
        return "{" + ", ".join(keys) + "}"
    if isinstance(value, Sequence) and value:
        return "[" + ", ".join(in_flow(item, quote, as_json=as_json) for item in value) + "]"
    return _atom(value)


def spelt(text: str, quote: str, *, in_flow: bool = False) -> str:
    """Write text on one line, in the given quotes (empty: none) if they allow it."""
    if quote == "'" and text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    if quote or (in_flow and not _IN_FLOW.fullmatch(text)):
        return quoted(text)
    return scalar(text)


def _atom(value: Value) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return "{}" if isinstance(value, Mapping) else "[]"


def text_value(text: str, indent: str) -> str:
    """Write text as a value, without the last line break; if it has several lines, they are indented by `indent`."""
    return literal(text, indent) if "\n" in text and _fits_literal(text) else scalar(text)


def scalar(text: str) -> str:
    """Write text on one line: plain if that is safe, otherwise in double quotes."""
    if isinstance(text, Plain):
        return str(text)
    if not text or not text.isprintable() or _UNSAFE_START.match(text) or _UNSAFE_INSIDE.search(text):
        return quoted(text)
    return quoted(text) if _MISREAD.fullmatch(text) else text


def quoted(text: str) -> str:
    """Write text in double quotes, with unprintable characters escaped."""
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _fits_literal(text: str) -> bool:
    """Tell whether a literal block reproduces exactly this text without an indentation indicator."""
    return text[0] not in " \n\t" and all(line.isprintable() for line in text.split("\n"))


def literal(text: str, indent: str) -> str:
    """Write text of several lines as a literal block, without the last line break."""
    body = text.rstrip("\n")
    trailing = len(text) - len(body)
    chomping = "-" if not trailing else "" if trailing == 1 else "+"
    lines = [f"{indent}{line}" if line else "" for line in body.split("\n")]
    return "\n".join([f"|{chomping}", *lines, *[""] * (trailing - 1)])
