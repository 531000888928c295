"""Many rows at once: a statement compiled once and tuples handed to the driver; COPY where the database has it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Table, func, select, text

from reconciler.store.engine import Connection


def new_ids(connection: Connection, table: Table, count: int) -> list[int]:
    """Ids for rows to come: never one that a row of another table still refers to, for what hangs on it would be inherited.

    PostgreSQL's come from the sequence, from which others may take at the same time.
    """
    if connection.dialect.name == "sqlite":
        references = [
            key.parent for other in table.metadata.sorted_tables for key in other.foreign_keys if key.column is table.c.id
        ]
        last = max(connection.execute(select(func.max(column))).scalar() or 0 for column in (table.c.id, *references))
        return list(range(last + 1, last + 1 + count))
    taken = text(f"SELECT nextval(pg_get_serial_sequence('{table.name}', 'id')) FROM generate_series(1, :count)")
    return list(connection.execute(taken, {"count": count}).scalars())


def insert_rows(
    connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]], columns: Sequence[str] | None = None
) -> None:
    """Insert tuples in the order of the table's columns, or of the given ones. Values are as the database holds them."""
    if not rows:
        return
    names = columns or [column.name for column in table.columns]
    if connection.dialect.name == "sqlite":
        names, rows = _saying_something(table, names, rows)
    quoted = ", ".join(f'"{name}"' for name in names)
    if connection.dialect.name == "sqlite":
        places = ", ".join("?" * len(names))
        connection.exec_driver_sql(f"INSERT INTO {table.name} ({quoted}) VALUES ({places})", list(rows))
        return
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(f"COPY {table.name} ({quoted}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _saying_something(
    table: Table, names: Sequence[str], rows: Sequence[tuple[Any, ...]]
) -> tuple[list[str], Sequence[tuple[Any, ...]]]:
    """Without the columns that are NULL in every row, as they are by default: binding a None takes twice as long as a text."""
    columns = dict(zip(names, zip(*rows, strict=True), strict=True))
    kept = {
        name: values
        for name, values in columns.items()
        if table.c[name].server_default is not None or values.count(None) < len(rows)
    }
    return list(kept), rows if len(kept) == len(names) else list(zip(*kept.values(), strict=True))
