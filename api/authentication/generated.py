"""Passwords that Accord makes: for one mail, to be read and typed by a person, and changed at the first login."""

from __future__ import annotations

import re
import secrets

_CHARACTERS = "abcdefghjkmnpqrstuvwxyz23456789"
"""None that is taken for another: no i, l, 1, o, 0."""
_GROUP = 5
_GROUPS = 6
"""31 characters, 30 times: 148 bits."""
GENERATED = re.compile(rf"[{_CHARACTERS}]{{{_GROUP}}}(-[{_CHARACTERS}]{{{_GROUP}}})+")
"""What may be one, to be taken out of texts that others wrote."""


def generate_password(min_length: int) -> str:
    """A new one in groups with hyphens, as in `k7qmw-…`; no shorter than a policy asks for."""
    groups = max(_GROUPS, -(-(min_length + 1) // (_GROUP + 1)))
    return "-".join("".join(secrets.choice(_CHARACTERS) for _ in range(_GROUP)) for _ in range(groups))
