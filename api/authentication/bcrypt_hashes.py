"""Password hashes of bcrypt that were taken over from elsewhere. Accord verifies them until their owners log in; it stores none
that it made.

bcrypt (Provos and Mazières, 1999) uses 72 bytes of a password at most, and its implementations in C end it at a NUL.
"""

from __future__ import annotations

import re

import bcrypt

LOWEST_COST = 4
HIGHEST_COST = 14
"""The base-2 logarithm of the rounds: about a second at 14, twice as long for each more. Every login takes as long meanwhile."""
_HASH = re.compile(r"\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{30}[.CGKOSWaeimquy26]")
"""Salts have 128 bits and results 184, so the last character of either has unused bits, which are 0 in what bcrypt writes."""
_LONGEST = 72
"""Bytes of a password that count."""
_NOBODYS_SALT = "abcdefghijklmnopqrstuu"


def is_bcrypt(kept: str) -> bool:
    """Whether a stored hash is one of bcrypt's."""
    return kept.startswith("$2")


def fault(text: str) -> str | None:
    """Why a text is no hash that can be taken over, without showing it; None if it is one."""
    if not text.startswith(("$2a$", "$2b$", "$2y$")):
        return "this is no bcrypt hash; it must begin with `$2a$`, `$2b$` or `$2y$`"
    if len(text) != 60:
        return f"a bcrypt hash has 60 characters, and this one has {len(text):,}; was it cut off?"
    match = _HASH.fullmatch(text)
    if match is None:
        return "this is no valid bcrypt hash; was it changed by hand?"
    if not LOWEST_COST <= int(match[1]) <= HIGHEST_COST:
        return f"the cost of this hash is {int(match[1])}, and only {LOWEST_COST} to {HIGHEST_COST} are accepted; leave it out"
    return None


def verify(kept: str, password: str, costliest: int = 0) -> bool:
    """Whether a password is the one of a hash. An empty one never is.

    It takes as long as a hash of the cost `costliest`, if that is higher: `2**c` rounds, then `2**c + … + 2**(costliest - 1)`.
    """
    if fault(kept) is not None:  # somebody else wrote to the database
        work(costliest or LOWEST_COST)
        return False
    secret = _counted(password)
    verified = bcrypt.checkpw(secret, kept.encode()) and bool(secret)
    for each in range(int(kept[4:6]), min(costliest, HIGHEST_COST)):
        work(each)
    return verified


def work(cost: int) -> None:
    """Take the time of a verification at a cost."""
    bcrypt.hashpw(b"nobody has this password", f"$2b${min(cost, HIGHEST_COST):02}${_NOBODYS_SALT}".encode())


def _counted(password: str) -> bytes:
    """The part of a password that bcrypt uses. Characters are as they were typed: nobody normalised them."""
    return password.encode().partition(b"\0")[0][:_LONGEST]
