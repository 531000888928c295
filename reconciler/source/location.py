"""Where a config repository is, as people name it: a path or a URL, and what of it may be shown."""

from __future__ import annotations

import re
from pathlib import Path

_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_SCP = re.compile(r"[A-Za-z0-9._-]+@[A-Za-z0-9._-]+:[^-]")
_CREDENTIALS = re.compile(r"(?<=://)[^/\s]+@|(?<![^\s'\"`])[^/\s:@'\"`]+:[^/\s'\"`]+@")
"""`alice:secret@`, or `secret@` in a URL; the user of `git@host:path` is none."""
_PARAMETER = re.compile(r"(?<=[?&])([^=&\s'\"`]+)=[^&\s'\"`]+")


def is_remote(location: str) -> bool:
    """Whether a location is a URL, or what ssh takes for one."""
    return bool(_URL.match(location) or (_SCP.match(location) and not Path(location).exists()))


def without_credentials(text: str) -> str:
    """A text in which no URL, or what stands for one, shows a password or a token."""
    return _PARAMETER.sub(r"\1=***", _CREDENTIALS.sub("", text))
