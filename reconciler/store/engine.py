"""A connection to the database: one consistent look at it, or one exclusive transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool

from reconciler.store.errors import DatabaseUnreachable, StoreError, shown, translated

__all__ = ["Connection", "Database", "open_database"]

WAIT = 30
"""Seconds that a writer waits for another one to finish."""
_LOCK = 0x_AC_C0_2D
"""The key of the PostgreSQL advisory lock that keeps writers of declared facts apart."""


class Database:
    """A database at a URL. Nothing is connected before it is used, and nothing is made by looking."""

    def __init__(self, url: str, *, read_only: bool) -> None:
        self.url = url
        self.read_only = read_only
        self._engine = _make_engine(url, read_only)

    def __enter__(self) -> Database:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._engine.dispose()

    @property
    def shown(self) -> str:
        """The URL without its password."""
        return shown(self.url)

    @property
    def is_missing_file(self) -> bool:
        """Whether this is SQLite, and its file is not there."""
        return self.is_sqlite and not Path(self._engine.url.database or "").exists()

    @property
    def is_sqlite(self) -> bool:
        """Whether this is SQLite."""
        return self._engine.dialect.name == "sqlite"

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One consistent snapshot; nothing can be written. Raises StoreError."""
        if self.is_missing_file:
            raise DatabaseUnreachable(f"there is no database at {self.shown}; `accord db upgrade` makes one")
        with translated(self.url), self._engine.connect() as connection:
            begin = "BEGIN" if self.is_sqlite else "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
            connection.exec_driver_sql(begin)
            try:
                yield connection
            finally:
                connection.exec_driver_sql("ROLLBACK")

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction under the writer's lock: committed at the end, rolled back on any error. A second one waits."""
        with translated(self.url), self._engine.connect() as connection:
            if self.is_sqlite:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            else:
                connection.exec_driver_sql("BEGIN")
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{WAIT}s'")
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            try:
                yield connection
            except BaseException:
                connection.exec_driver_sql("ROLLBACK")
                raise
            connection.exec_driver_sql("COMMIT")


def open_database(url: str, *, read_only: bool = False) -> Database:
    """A database by its URL: `sqlite:///FILE` or `postgresql://…`. Raises StoreError where the URL is neither."""
    return Database(url, read_only=read_only)


def _make_engine(url: str, read_only: bool) -> Engine:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise StoreError(
            "the database URL cannot be read; write `sqlite:///accord.db` or `postgresql://user@host/name`"
        ) from None
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername == "postgresql+psycopg":
        return _postgresql(parsed)
    if parsed.drivername == "sqlite" and parsed.database and parsed.database != ":memory:":
        return _sqlite(parsed, read_only)
    raise StoreError(f"{shown(url)} is no database Accord knows; write `sqlite:///FILE` or `postgresql://user@host/name`")


def _postgresql(url: URL) -> Engine:
    try:
        return create_engine(
            url,
            poolclass=NullPool,
            isolation_level="AUTOCOMMIT",
            connect_args={"connect_timeout": 10, "application_name": "accord"},
        )
    except ModuleNotFoundError:
        raise StoreError("PostgreSQL needs the extra `postgresql`: pip install 'accord-access[postgresql]'") from None


def _sqlite(url: URL, read_only: bool) -> Engine:
    # transactions are begun by name, so the driver's own implicit BEGIN is switched off
    engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": WAIT, "isolation_level": None})

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: Any) -> None:
        if not read_only:
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = FULL")  # an apply that was reported must survive a power cut

    return engine
