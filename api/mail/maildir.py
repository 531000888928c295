"""Messages as files in a maildir, which any mail program can read: used if there is no mail server."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from api.mail.errors import Undelivered


class Maildir:
    """A folder of messages. It is created with the first message, and only its owner can read it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, recipient: str, content: bytes, message_id: str, *, secret: bool) -> None:
        """Write a message, whole or not at all; one with the same ID is replaced. Raises Undelivered."""
        name = f"{hashlib.sha256(message_id.encode()).hexdigest()[:32]}.accord"
        try:
            self._make()
            self._write(self._folder / "tmp" / name, content)
            (self._folder / "tmp" / name).replace(self._folder / "new" / name)
            self._settle(self._folder / "new")
        except OSError as error:
            raise Undelivered(f"cannot write to the folder {self._folder}: {error.strerror}", "server") from None

    def close(self) -> None:
        """Nothing is open."""

    cut = close

    def _make(self) -> None:
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        for each in (self._folder, *(self._folder / name for name in ("tmp", "new", "cur"))):
            each.mkdir(mode=0o700, exist_ok=True)
            found = each.stat()
            if found.st_uid != os.geteuid() or found.st_mode & 0o022:
                raise Undelivered(
                    f"the folder {each} belongs to somebody else, or others may write to it; it will hold passwords", "server"
                )

    def _write(self, file: Path, content: bytes) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        with os.fdopen(os.open(file, flags, 0o600), "wb") as opened:
            opened.write(content.replace(b"\r\n", b"\n"))
            opened.flush()
            os.fsync(opened.fileno())

    def _settle(self, folder: Path) -> None:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
