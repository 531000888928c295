"""How work grows with its size, told by two sizes in one process: that holds on any machine, and seconds do not."""

from __future__ import annotations

import gc
from collections.abc import Callable
from time import thread_time

SLACK = 4
"""So many times as long as its size says the larger work may take: caches of processors and noise make up to twice of it."""
_ATTEMPTS = 5
_MEASURABLE = 0.002
"""Seconds that a measurement takes at least, by doing the work often enough: less would say more of the clock than of it."""


def assert_linear(prepare: Callable[[int], Callable[[], object]], small: int, large: int) -> None:
    """Assert that work takes time in proportion to its size, and no more. `prepare(size)` gives the work, which is measured.

    Quadratic work is found where the sizes are far enough apart, 16 times at least, and where the small one is large enough for
    what is quadratic in it to show. Counted is the processor time of this thread, whatever else the machine does. An attempt is
    lost to a machine that was slower just then, so one that succeeds is enough.
    """
    times = large / small
    assert times >= 4 * SLACK, "so near to each other, quadratic work could pass"
    little, much = prepare(small), prepare(large)
    little()  # what only the first time takes, imports and caches, is no growth
    least = float("inf")
    for _ in range(_ATTEMPTS):
        least = min(least, _seconds(much) / min(_seconds(little) for _ in range(3)))
        if least <= times * SLACK:
            return
    raise AssertionError(f"{times:g} times as large, it takes {least:,.0f} times as long; up to {times * SLACK:g} would do")


def _seconds(work: Callable[[], object]) -> float:
    """What doing it once takes, of several times where it is quick; without collecting what other tests have left."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        rounds = 1
        while True:
            began = thread_time()
            for _ in range(rounds):
                work()
            taken = thread_time() - began
            if taken >= _MEASURABLE:
                return taken / rounds
            rounds *= 4
    finally:
        if collecting:
            gc.enable()
