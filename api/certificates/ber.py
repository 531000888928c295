"""Reads ASN.1 in its basic encoding (BER, ITU-T X.690), one element after another, as leniently as OpenSSL.

Libraries read a certificate whole or not at all. What can be read of one that breaks RFC 5280 somewhere is enough for a reminder.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

INTEGER, OCTET_STRING, UTC_TIME, GENERALIZED_TIME, SEQUENCE = 0x02, 0x04, 0x17, 0x18, 0x30

LONGEST_IDENTIFIER = 64
"""Bytes of an object identifier; those in use have about 20, and the work grows with the square."""


class Malformed(ValueError):
    """Bytes that are not ASN.1, or not what is expected there."""


class Element(NamedTuple):
    """An element. `tag` is its first byte: class, form and number (larger numbers than 30 all look like 31)."""

    tag: int
    content: bytes
    whole: bytes
    """With its tag and length."""

    def parts(self, least: int) -> list[Element]:
        """The elements of a sequence that has at least so many. Raises Malformed."""
        found = list(self.inside(SEQUENCE))
        if len(found) < least:
            raise Malformed(f"{len(found)} elements instead of {least}")
        return found

    def inside(self, tag: int | None = None) -> Iterator[Element]:
        """The elements in the content. Raises Malformed, also if this element has another tag than the given one."""
        if tag is not None and self.tag != tag:
            raise Malformed(f"a tag {self.tag:#04x} instead of {tag:#04x}")
        at = 0
        while at < len(self.content):
            found = element(self.content, at)
            yield found
            at += len(found.whole)


def element(data: bytes, start: int = 0) -> Element:
    """Read the element that begins at a position. Raises Malformed."""
    body, length = _header(data, start)
    end = body + length if length is not None else _end_of_contents(data, body)
    if end > len(data):
        raise Malformed("an element is longer than what holds it")
    content = data[body:end] if length is not None else data[body : end - 2]
    return Element(data[start], content, data[start:end])


def _header(data: bytes, at: int) -> tuple[int, int | None]:
    """Where an element's content begins, and its length; None: up to an end-of-contents (X.690, section 8.1)."""
    try:
        long_tag = data[at] & 0x1F == 0x1F
        at += 1
        while long_tag:
            long_tag = data[at] & 0x80 != 0
            at += 1
        first = data[at]
    except IndexError:
        raise Malformed("an element is cut off") from None
    at += 1
    if first < 0x80:
        return at, first
    if first == 0x80:
        return at, None
    size = first & 0x7F
    return at + size, int.from_bytes(data[at : at + size])


def _end_of_contents(data: bytes, at: int) -> int:
    """Where content of unknown length ends, behind its end-of-contents. Any depth takes no recursion."""
    depth = 1
    while depth:
        body, length = _header(data, at)
        if length is None:
            depth, at = depth + 1, body
        else:
            depth -= data[at] == 0 and length == 0
            at = body + length
    return at


def object_identifier(content: bytes) -> str:
    """An object identifier in dots (X.690, section 8.19). Raises Malformed."""
    if not content or content[-1] & 0x80 or len(content) > LONGEST_IDENTIFIER:
        raise Malformed("an object identifier is cut off, or too long")
    numbers, number = [], 0
    for byte in content:
        number = number << 7 | byte & 0x7F
        if not byte & 0x80:
            numbers.append(number)
            number = 0
    first = min(numbers[0] // 40, 2)
    return ".".join(map(str, (first, numbers[0] - 40 * first, *numbers[1:])))
