"""The secrets that are handed out, for sessions and API tokens alike: made here, shown once, kept only as a hash.

`accord_`, 256 random bits in base62, and the CRC-32 of all that in base62: a typo is refused without a look-up, and a
scanner finds one that leaked.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import zlib

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PREFIX = "accord_"
_RANDOM, _CHECK = 43, 6
"""The base62 digits of 256 and of 32 bits."""
_SHAPE = re.compile(rf"{_PREFIX}[0-9A-Za-z]{{{_RANDOM + _CHECK}}}", re.ASCII)


def new_secret() -> str:
    """A secret that nobody has seen before."""
    body = _PREFIX + _base62(int.from_bytes(secrets.token_bytes(32)), _RANDOM)
    return body + _check(body)


def is_well_formed(text: str) -> bool:
    """Whether a text can be a secret of ours: its shape and its check digits are right."""
    return _SHAPE.fullmatch(text) is not None and _check(text[:-_CHECK]) == text[-_CHECK:]


def fingerprint(secret: str) -> str:
    """What is kept of a secret. 256 random bits need no slow hash: there is nothing to guess."""
    return hashlib.sha256(secret.encode()).hexdigest()


def new_accessor() -> str:
    """A name for a credential, to list, audit and revoke it by; it opens nothing."""
    return secrets.token_hex(8)


def _check(body: str) -> str:
    number = zlib.crc32(body.encode())
    return _PAIRS[number // 3844**2] + _PAIRS[number // 3844 % 3844] + _PAIRS[number % 3844]


_PAIRS = [high + low for high in _DIGITS for low in _DIGITS]
"""Two base62 digits at once: every request computes the check."""


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
