"""What the clients of the product that Accord succeeds send and expect, whatever they call: addresses, bodies and errors.

They run on Java, .NET and Windows PowerShell. Windows PowerShell sends no media type, or that of a form; it writes bodies in
Latin-1, and reads answers as if they were in it.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

BASE = "/certdog/api"
"""Older scripts leave out `/certdog`."""
LOGIN = f"{BASE}/login"
SEARCH = f"{BASE}/certs/search"
GUIDE = "docs/coming-from-the-predecessor.md"
"""What of the predecessor there is, and how it is done here."""
_OWN = re.compile(r"/api/v\d+(?:/|$)")
"""Accord's own addresses, which have one spelling each."""
_LATIN_1 = re.compile(r"charset *= *\"?(?:iso-8859-1|latin-?1)\b", re.IGNORECASE)


def canonical(path: str) -> str:
    """The address that a client means: existing ones double slashes, end in one, or leave out `/certdog`."""
    if _OWN.match(path):
        return path
    spelled = re.sub("//+", "/", path).rstrip("/")
    if spelled == "/api" or (spelled.startswith("/api/") and not _OWN.match(spelled)):
        spelled = f"/certdog{spelled}"
    return spelled if is_below(spelled) else path


def is_below(path: str) -> bool:
    """Whether a canonical address is one for existing clients, served or not."""
    return path == BASE or path.startswith(f"{BASE}/")


def written(value: Any) -> bytes:
    """An answer as JSON in ASCII, which means the same to those who read Latin-1."""
    return json.dumps(value, separators=(",", ":")).encode("ascii")


def in_utf8(raw: bytes, media: str) -> bytes:
    """A body in UTF-8 without a byte order mark, which was in that, with or without the mark, or in Latin-1."""
    if not _LATIN_1.search(media):
        try:
            return raw.decode("utf-8-sig").encode()
        except UnicodeDecodeError:
            pass
    return raw.decode("latin-1").encode()


def error_body(status: int, message: str, path: str) -> bytes:
    """The body of an answer that refuses; `path` as the client spelled it."""
    found = {"timestamp": instant(datetime.now(UTC)), "status": status, "error": HTTPStatus(status).phrase}
    return written({**found, "message": message, "path": path})


def instant(value: datetime) -> str:
    """An instant as these clients read it: in UTC, to the millisecond."""
    return value.astimezone(UTC).isoformat(timespec="milliseconds")
