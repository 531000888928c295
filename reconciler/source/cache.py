"""Results of parsing blobs, by blob id, for later processes. Accord works without it and never trusts another user's.

Somebody else who can write to the cache could grant access that Git does not, so only a private folder is used.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import stat
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from zlib import crc32

import yaml

from reconciler import __version__
from reconciler.shipped import schema_folder

_CHUNK = 900


class BlobCache:
    """Results by blob id. Any trouble with the file means that nothing is remembered."""

    def __init__(self, connection: sqlite3.Connection | None) -> None:
        self._connection = connection

    def get(self, blobs: Iterable[str]) -> dict[str, bytes]:
        """Return the remembered results of the given blobs, except damaged ones."""
        if self._connection is None:
            return {}
        wanted = list(blobs)
        try:
            if len(wanted) > 20_000:
                keep = set(wanted)
                rows = [row for row in self._connection.execute("SELECT id, checksum, payload FROM blobs") if row[0] in keep]
            else:
                rows = [row for start in range(0, len(wanted), _CHUNK) for row in self._some(wanted[start : start + _CHUNK])]
        except sqlite3.Error:
            return {}
        return {name: payload for name, checksum, payload in rows if isinstance(payload, bytes) and crc32(payload) == checksum}

    def _some(self, blobs: list[str]) -> list[tuple[str, int, bytes]]:
        assert self._connection is not None
        places = ", ".join("?" * len(blobs))
        return self._connection.execute(f"SELECT id, checksum, payload FROM blobs WHERE id IN ({places})", blobs).fetchall()

    def put(self, entries: Iterable[tuple[str, bytes]]) -> None:
        """Remember the results of blobs."""
        if self._connection is None:
            return
        rows = sorted((name, crc32(payload), payload) for name, payload in entries)
        try:
            with self._connection:
                self._connection.executemany("INSERT OR IGNORE INTO blobs VALUES (?, ?, ?)", rows)
        except sqlite3.Error:
            self._connection = None


class ReadOnlyCache(BlobCache):
    """The same results, to which nothing is added."""

    def __init__(self, cache: BlobCache) -> None:
        super().__init__(cache._connection)

    def put(self, entries: Iterable[tuple[str, bytes]]) -> None:
        """Remember nothing."""


def open_cache(folder: Path) -> BlobCache:
    """Open the cache in a folder; if the folder is unusable or not private, return one that remembers nothing."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = folder / f"blobs-{_format_id()}.db"
        for path in (folder, *([file] if file.exists() else [])):
            found = path.lstat()
            if found.st_uid != os.geteuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) or stat.S_ISLNK(found.st_mode):
                return BlobCache(None)
        connection = sqlite3.connect(file, timeout=2)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = OFF")  # entries lost in a crash are parsed again
        connection.execute("CREATE TABLE IF NOT EXISTS blobs (id TEXT PRIMARY KEY, checksum INTEGER, payload BLOB) WITHOUT ROWID")
        file.chmod(0o600)
    except (OSError, sqlite3.Error):
        return BlobCache(None)
    return BlobCache(connection)


@cache
def _format_id() -> str:
    """Return an id of everything that decides a blob's result: Accord's version, schemas and reading code, Python, the parser."""
    digest = hashlib.sha256(f"{__version__} {yaml.__version__} {sys.version}".encode())
    for file in (*sorted(schema_folder().glob("*.json")), *reading_code()):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def reading_code() -> list[Path]:
    """Return the modules of the rooms that reading a blob knows, so that none can be forgotten."""
    package = Path(__file__).parents[1]
    return [file for room in ("access", "source", "wording") for file in sorted((package / room).glob("*.py"))]
