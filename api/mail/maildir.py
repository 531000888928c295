"""Messages as files in a maildir, where there is no mail server: any mail program reads them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from api.mail.errors import Undelivered


class Maildir:
    """A folder of messages; made when the first one comes, and its owner's alone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, recipient: str, content: bytes, message_id: str, *, secret: bool) -> None:
        """Put a message there, whole or not at all; the same again takes the place of what was there. Raises Undelivered."""
        name = f"{hashlib.sha256(message_id.encode()).hexdigest()[:32]}.accord"
        try:
            self._make()
            self._write(self._folder / "tmp" / name, content)
            (self._folder / "tmp" / name).replace(self._folder / "new" / name)
            self._settle(self._folder / "new")
        except OSError as error:
            raise Undelivered(f"the folder {self._folder} cannot be written to: {error.strerror}", "server") from None

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
                    f"the folder {each} is somebody else's, or others may write to it; passwords go there", "server"
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
