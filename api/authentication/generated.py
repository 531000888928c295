"""Passwords that Accord generates: each for one mail, for a person to read and type, and to be changed at the first login."""

from __future__ import annotations

import re
import secrets

_CHARACTERS = "abcdefghjkmnpqrstuvwxyz23456789"
"""No characters that look like others: no i, l, 1, o or 0."""
_GROUP = 5
_GROUPS = 6
"""30 characters out of 31: 148 bits."""
GENERATED = re.compile(rf"[{_CHARACTERS}]{{{_GROUP}}}(-[{_CHARACTERS}]{{{_GROUP}}})+")
"""Anything that looks like one, so that it can be removed from text that others wrote."""


def generate_password(min_length: int) -> str:
    """A new password in groups with hyphens, such as `k7qmw-…`, at least as long as the policy requires."""
    groups = max(_GROUPS, -(-(min_length + 1) // (_GROUP + 1)))
    return "-".join("".join(secrets.choice(_CHARACTERS) for _ in range(_GROUP)) for _ in range(groups))
