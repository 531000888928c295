"""How often is tried what has no end: little at each change, and more where somebody has the time (`make soak`)."""

from __future__ import annotations

import os

_EFFORT = int(os.environ.get("TESTS_EFFORT", "1"))


def tries(number: int) -> int:
    """So many at each change."""
    return number * _EFFORT
