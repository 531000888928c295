"""A program on a terminal of its own."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from waiting import LONG

_TAKE_IT = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"


class Terminal(NamedTuple):
    """What is typed and shown there."""

    process: subprocess.Popen[bytes]
    descriptor: int

    def read(self) -> bytes:
        """What is shown next; nothing where the program has ended."""
        try:
            return os.read(self.descriptor, 65536)
        except OSError:  # how a terminal tells its end
            return b""

    def type(self, text: bytes) -> None:
        os.write(self.descriptor, text)


@contextmanager
def on_a_terminal(command: Sequence[str | Path], environment: Mapping[str, str]) -> Iterator[Terminal]:
    """Run it there; it is ended at the end, if it has not done so by itself."""
    ours, theirs = pty.openpty()
    try:
        process = subprocess.Popen(
            [sys.executable, "-c", _TAKE_IT, *command],
            env=environment,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        try:
            yield Terminal(process, ours)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(timeout=LONG)
    finally:
        os.close(ours)
