"""The point of no return: whether this process has committed, for those who end it or report what it did."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

Standing = Literal["open", "committing", "failed", "done"]

_changed = threading.Condition()
_standing: Standing = "open"


def standing() -> Standing:
    """Tell whether a transaction of this process was committed, is being committed, failed while it was, or neither."""
    return _standing


@contextmanager
def committing() -> Iterator[None]:
    """Commit: from its beginning on nobody may say that nothing was changed; if it fails, only its own error says what was."""
    _become("committing")
    try:
        yield
    except BaseException:
        _become("failed")
        raise
    _become("done")


def forget() -> None:
    """Begin anew: what was committed before is not this command's."""
    _become("open")


def _become(next_: Standing) -> None:
    global _standing  # noqa: PLW0603 - it is the process's
    with _changed:
        _standing = next_
        _changed.notify_all()


@contextmanager
def settled(within: float) -> Iterator[Standing]:
    """Yield what has become of a commit, waiting for its end for so many seconds; none begins or ends meanwhile.

    One that failed has no end yet: that is the process's, once it has said what happened.
    """
    with _changed:
        _changed.wait_for(lambda: _standing in ("open", "done"), within)
        yield _standing
