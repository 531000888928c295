"""The generation, which rises with every change of what decisions stand on; and what each of the newest ones touched."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import orjson
from sqlalchemy import func, select

from reconciler.access.touched import EVERYTHING, Touched
from reconciler.store import tables
from reconciler.store.engine import Connection

MOST_NAMES = 1_000
"""A generation that touched more names than this says that it touched everything."""
MOST_GENERATIONS = 1_000
MOST_KEPT = 20_000
"""Names of all generations together. A reader further behind than that reads everything anew."""
BETWEEN = "SELECT generation, mark, touched FROM generations WHERE generation BETWEEN ? AND ? ORDER BY generation"
_KINDS = ("accounts", "teams", "issuers")
_columns = tables.generations.c


def raise_generation(connection: Connection, touched: Touched) -> int:
    """Tell every process that what decisions stand on has changed, and what of it; returns the new generation."""
    generation, mark = lock_generation(connection) + 1, secrets.token_hex(8)
    connection.execute(tables.state.update().values(generation=generation, mark=mark))
    told = not touched.everything and touched.names <= MOST_NAMES
    kept = {
        "generation": generation,
        "mark": mark,
        "names": touched.names if told else 0,
        "touched": orjson.dumps({kind: sorted(getattr(touched, kind)) for kind in _KINDS}).decode() if told else None,
    }
    # a later one than the newest is of before somebody set the generation back
    connection.execute(tables.generations.delete().where(_columns.generation >= generation))
    connection.execute(tables.generations.insert(), kept)
    _trim(connection, generation)
    return generation


def lock_generation(connection: Connection) -> int:
    """The generation of now, which nobody else raises before this transaction ends."""
    return int(connection.execute(select(tables.state.c.generation).with_for_update()).scalar_one())


def _trim(connection: Connection, newest: int) -> None:
    so_far = func.sum(_columns.names).over(order_by=_columns.generation.desc())
    sums = select(_columns.generation, so_far.label("names")).subquery()
    beyond = connection.execute(select(func.max(sums.c.generation)).where(sums.c.names > MOST_KEPT)).scalar()
    oldest = max(newest - MOST_GENERATIONS, -1 if beyond is None else beyond)
    connection.execute(tables.generations.delete().where(_columns.generation <= oldest))


def read_touched(rows: Sequence[tuple[int, str, str | None]], generation: int, mark: str, until: int) -> Touched:
    """What was touched after a generation, until another one, by the rows that `BETWEEN` gives for the two.

    That is everything unless there is a row of each generation, and the first has the expected mark: a backup that was restored
    has other marks from the change on that it does not hold.
    """
    if [row[0] for row in rows] != list(range(generation, generation + len(rows))) or len(rows) != until - generation + 1:
        return EVERYTHING
    if not rows or rows[0][1] != mark:
        return EVERYTHING
    found: dict[str, set[str]] = {kind: set() for kind in _KINDS}
    try:
        for _, _, text in rows[1:]:
            names = orjson.loads(text or "")
            for kind in _KINDS:
                found[kind].update(names[kind])
    except (ValueError, TypeError, KeyError):
        return EVERYTHING  # one of them says so, or was written by hand
    return Touched(frozenset(found["accounts"]), frozenset(found["teams"]), frozenset(found["issuers"]))
