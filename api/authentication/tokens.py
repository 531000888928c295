"""The secrets of sessions and API tokens: made here, shown once, and stored only as a hash.

A secret is `accord_`, 256 random bits in base62, and the CRC-32 of all that in base62. So a typo is refused without a look-up,
and secret scanners find leaked ones.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import zlib
from typing import Literal

Carrier = Literal["header", "cookie"]
"""What brings a secret: the header `Authorization`, or the console's cookie. A secret counts in one of them alone."""
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PREFIX = "accord_"
_RANDOM, _CHECK = 43, 6
"""The base62 digits of 256 and of 32 bits."""
_SHAPE = re.compile(rf"{_PREFIX}[0-9A-Za-z]{{{_RANDOM + _CHECK}}}", re.ASCII)


def new_secret() -> str:
    """A new random secret."""
    body = _PREFIX + _base62(int.from_bytes(secrets.token_bytes(32)), _RANDOM)
    return body + _check(body)


def is_well_formed(text: str) -> bool:
    """Whether text can be one of our secrets: its shape and its check digits are right."""
    return _SHAPE.fullmatch(text) is not None and _check(text[:-_CHECK]) == text[-_CHECK:]


def fingerprint(secret: str, carrier: Carrier = "header") -> str:
    """The hash that is stored: each carrier has its own. 256 random bits cannot be guessed, so they need no slow hash."""
    kept = secret if carrier == "header" else f"{carrier}:{secret}"
    return hashlib.sha256(kept.encode()).hexdigest()


def new_accessor() -> str:
    """An identifier to list, audit and revoke a credential by; it gives no access."""
    return secrets.token_hex(8)


def _check(body: str) -> str:
    number = zlib.crc32(body.encode())
    return _PAIRS[number // 3844**2] + _PAIRS[number // 3844 % 3844] + _PAIRS[number % 3844]


_PAIRS = [high + low for high in _DIGITS for low in _DIGITS]
"""Pairs of base62 digits, because every request computes the check."""


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
