"""The location of a config repository, a path or a URL, and how to show it without credentials."""

from __future__ import annotations

import re
from pathlib import Path

_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_SCP = re.compile(r"[A-Za-z0-9._-]+@[A-Za-z0-9._-]+:[^-]")
_CREDENTIALS = re.compile(r"(?<=://)[^/\s]+@|(?<![^\s'\"`])[^/\s:@'\"`]+:[^/\s'\"`]+@")
"""`alice:secret@`, or `secret@` in a URL; not the user in `git@host:path`."""
_PARAMETER = re.compile(r"(?<=[?&])([^=&\s'\"`]+)=[^&\s'\"`]+")


def is_remote(location: str) -> bool:
    """Tell whether a location is a URL, or something that ssh accepts as one."""
    return bool(_URL.match(location) or (_SCP.match(location) and not Path(location).exists()))


def without_credentials(text: str) -> str:
    """Remove passwords and tokens from all URLs in a text."""
    return _PARAMETER.sub(r"\1=***", _CREDENTIALS.sub("", text))
