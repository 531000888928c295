"""Preloaded by the process that forks workers (`load.py`), and imported nowhere else.

Whoever is killed while it asks for a worker leaves half a message, which nobody is left to read about.
"""

from __future__ import annotations

import sys
from pickle import UnpicklingError
from types import TracebackType


def _say(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not issubclass(kind, EOFError | UnpicklingError):
        sys.__excepthook__(kind, error, trace)


sys.excepthook = _say
