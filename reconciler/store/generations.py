"""The generation, which rises with every change of the facts behind decisions, and what the newest generations touched."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import orjson
from sqlalchemy import func, select

from reconciler.access.touched import EVERYTHING, Touched
from reconciler.store import tables
from reconciler.store.engine import Connection

MOST_NAMES = 1_000
"""A generation that touched more names than this counts as having touched everything."""
MOST_GENERATIONS = 1_000
MOST_KEPT = 20_000
"""Names kept for all generations together. A reader that is further behind reads everything anew."""
BETWEEN = "SELECT generation, mark, touched FROM generations WHERE generation BETWEEN ? AND ? ORDER BY generation"
_KINDS = ("accounts", "teams", "issuers")
_columns = tables.generations.c


def raise_generation(connection: Connection, touched: Touched) -> int:
    """Tell all processes what changed among the facts behind decisions, and return the new generation."""
    generation, mark = lock_generation(connection) + 1, secrets.token_hex(8)
    connection.execute(tables.state.update().values(generation=generation, mark=mark))
    told = not touched.everything and touched.names <= MOST_NAMES
    kept = {
        "generation": generation,
        "mark": mark,
        "names": touched.names if told else 0,
        "touched": orjson.dumps({kind: sorted(getattr(touched, kind)) for kind in _KINDS}).decode() if told else None,
    }
    # rows of later generations remain if somebody set the generation back
    connection.execute(tables.generations.delete().where(_columns.generation >= generation))
    connection.execute(tables.generations.insert(), kept)
    _trim(connection, generation)
    return generation


def lock_generation(connection: Connection) -> int:
    """Return the current generation, and keep others from raising it until this transaction ends."""
    return int(connection.execute(select(tables.state.c.generation).with_for_update()).scalar_one())


def _trim(connection: Connection, newest: int) -> None:
    so_far = func.sum(_columns.names).over(order_by=_columns.generation.desc())
    sums = select(_columns.generation, so_far.label("names")).subquery()
    beyond = connection.execute(select(func.max(sums.c.generation)).where(sums.c.names > MOST_KEPT)).scalar()
    oldest = max(newest - MOST_GENERATIONS, -1 if beyond is None else beyond)
    connection.execute(tables.generations.delete().where(_columns.generation <= oldest))


def read_touched(rows: Sequence[tuple[int, str, str | None]], generation: int, mark: str, until: int) -> Touched:
    """Return what was touched after a generation and up to another, given the rows of `BETWEEN` for the two.

    That is everything unless there is a row for each generation and the first one has the expected mark. A restored backup has
    different marks from the first generation that it lacks.
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
        return EVERYTHING  # a row says so, or was written by hand
    return Touched(frozenset(found["accounts"]), frozenset(found["teams"]), frozenset(found["issuers"]))
