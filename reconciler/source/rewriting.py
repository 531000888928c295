"""Writes files that were edited in memory: all of them, or none if they cannot all be written."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import NamedTuple

from reconciler.source.errors import SourceError


class Edit(NamedTuple):
    """A file's bytes before and after."""

    before: bytes
    after: bytes


def rewrite(edits: Mapping[Path, Edit], committing: Callable[[], AbstractContextManager[None]] = nullcontext) -> None:
    """Replace each file, keeping its permissions. Every new file is complete before the first one takes its place.

    While files take their places, `committing` keeps an interrupt from coming between two of them.
    Raises SourceError if a file is a link, changed meanwhile or cannot be written; then no file was replaced, or it says which.
    """
    ready: dict[Path, Path] = {}
    replaced: list[str] = []
    try:
        for path, edit in edits.items():
            ready[path] = _beside(path, edit)
        with committing():
            for path in list(ready):
                ready[path].replace(path)
                del ready[path]
                replaced.append(str(path))
    except OSError as error:
        state = f"; already written: {', '.join(replaced)}" if replaced else "; nothing was written"
        raise SourceError(f"cannot write {error.filename or 'the files'}: {error.strerror or error}{state}") from error
    finally:
        for left in ready.values():
            with suppress(OSError):
                left.unlink()


def _beside(path: Path, edit: Edit) -> Path:
    """Write the new bytes into a file that will take the path's place, and return it."""
    if path.is_symlink():
        raise SourceError(f"`{path}` is a symbolic link, which is not followed; name the file itself. Nothing was written")
    if path.read_bytes() != edit.before:
        raise SourceError(f"`{path}` was changed meanwhile; nothing was written. Run the command again")
    handle, name = tempfile.mkstemp(prefix=".accord-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(edit.after)
            os.fchmod(file.fileno(), path.stat().st_mode & 0o7777)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        Path(name).unlink()
        raise
    return Path(name)
