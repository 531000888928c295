"""Leaked passwords: a file of SHA-1 hashes in hexadecimal, one a line, sorted, as Have I Been Pwned offers for download.

The file may have tens of gigabytes, so it is searched where it lies and never read as a whole.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from typing import NamedTuple

from api.errors import Unavailable

_LINE = re.compile(rb"([0-9A-Fa-f]{40})(:[0-9]*)?\r?\n?")
"""A hash, and how often it was seen, which does not matter here."""
_LONGEST = 128
"""Bytes of a line, at most."""
_EXAMINED = 10_000
"""Lines that are examined at the start, all over the file; of a file with fewer lines, all."""


class BadLeaked(Exception):
    """The file cannot be searched; the message says why."""


class _Line(NamedTuple):
    hash: bytes
    begin: int
    end: int


class Leaked:
    """A file of leaked passwords. Threads may share it."""

    def __init__(self, path: str) -> None:
        """Open and examine it. Raises BadLeaked."""
        self._path = path
        try:
            self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe must not keep us waiting
        except OSError as error:
            raise BadLeaked(f"cannot read `{path}`: {error.strerror}") from None
        try:
            about = os.fstat(self._file)
            if not stat.S_ISREG(about.st_mode):
                raise BadLeaked(f"`{path}` is not a file")
            self._size = about.st_size
            self._examine()
        except OSError as error:
            self.close()
            raise BadLeaked(f"cannot read `{path}`: {error.strerror}") from None
        except BadLeaked:
            self.close()
            raise

    def contains(self, password: str) -> bool:
        """Whether the file has a password. Raises Unavailable if that cannot be said."""
        wanted = hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper().encode()
        try:
            return self._search(wanted)
        except (OSError, BadLeaked):
            raise Unavailable("the file of leaked passwords cannot be read; an operator has to look at it") from None

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _search(self, wanted: bytes) -> bool:
        """Halve the part of the file where the line can be. It begins and ends where lines do. Raises BadLeaked or OSError."""
        begin, end, least, most = 0, self._size, b"", b"G"
        while begin < end:
            line = self._line_at((begin + end) // 2, begin)
            if line.hash == wanted:
                return True
            if not least <= line.hash <= most:
                raise self._unsorted(line)
            if line.hash < wanted:
                begin, least = line.end, line.hash
            else:
                end, most = line.begin, line.hash
        return False

    def _unsorted(self, line: _Line) -> BadLeaked:
        return BadLeaked(f"`{self._path}` is not sorted by hash: the line at byte {line.begin} is in the wrong place")

    def _line_at(self, place: int, least: int) -> _Line:
        """The line that a place lies in. Raises BadLeaked or OSError."""
        start = max(least, place - _LONGEST)
        read = os.pread(self._file, 2 * _LONGEST, start)
        begin = read.rfind(b"\n", 0, place - start) + 1
        found = _LINE.fullmatch(read[begin : (read.find(b"\n", begin) + 1) or len(read)])
        if found is None:
            raise BadLeaked(f"`{self._path}` has no line with the SHA-1 hash of a password at byte {start + begin}")
        return _Line(found[1].upper(), start + begin, start + begin + found.end())

    def _examine(self) -> None:
        """Read lines all over the file, and refuse one that is not sorted. Raises BadLeaked or OSError."""
        if self._size == 0:
            raise BadLeaked(f"`{self._path}` is empty")
        stride, last, place = self._size // _EXAMINED, b"", 0
        while place < self._size:
            line = self._line_at(place, 0)
            if line.hash < last:
                raise self._unsorted(line)
            last, place = line.hash, max(line.end, line.begin + stride)
