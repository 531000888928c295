"""Connections to the database: for one consistent snapshot, or for one exclusive transaction."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from sqlalchemy import Connection, Engine, TextClause, create_engine, event, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from reconciler.store.commit import committing
from reconciler.store.errors import (
    ChangedMeanwhile,
    DatabaseRefuses,
    DatabaseUnreachable,
    NotPrimary,
    OutcomeUnknown,
    StoreError,
    translated,
)
from reconciler.store.urls import OUR_OPTIONS, POSTGRESQL, read_url, shown

if TYPE_CHECKING:
    from reconciler.store.postgresql import Servers

__all__ = ["Connection", "Database", "open_database"]

WAIT = 30.0
"""Seconds that a writer waits for another to finish, unless `?timeout=SECONDS` in the URL says otherwise."""


class Limits(NamedTuple):
    """Seconds that a server may take; `connect_timeout` and `answer_timeout` in the URL override the first two."""

    connecting: float
    answer: float
    """For one statement. One that may have to wait for another writer gets that time on top."""
    idle: float
    """After which the server ends a transaction in which nothing happens: its locks stop all writers."""


PATIENT = Limits(10.0, 3600.0, 3600.0)
"""For commands: a statement may write a million rows, and somebody may think while a plan waits for a yes."""
PROMPT = Limits(2.0, 3.0, 60.0)
"""For a service, whose callers would rather hear that there is no answer."""
READ_ONLY = "(pg_is_in_recovery() OR current_setting('default_transaction_read_only')::boolean)"
"""Whether a PostgreSQL server is a standby, or was made read-only; unlike `transaction_read_only`, whatever transaction asks."""
_READ_ONLY_STATE = "25006"
"""PostgreSQL's code for a change that a standby refuses."""
_LOCK = 0x_AC_C0_2D
"""The key of the PostgreSQL advisory lock that writers of declared facts take."""
KEPT = ("teams", "issuers", "memberships", "permissions", "email_templates", "settings")
"""Tables that nobody else can change while a writer has its lock: changes by hand must wait while a plan reads and writes, or
they would count as applied. PostgreSQL keeps accounts open, because logins from directories create them; readers never wait."""
_KEEP = f"""DO $$ BEGIN IF to_regclass('teams') IS NOT NULL THEN
LOCK TABLE {", ".join(KEPT)} IN SHARE ROW EXCLUSIVE MODE;
END IF; END $$"""


class Database:
    """A database at a URL. It connects only when it is used, and reading creates nothing."""

    def __init__(self, url: str, *, read_only: bool, pooled: bool = False) -> None:
        self.url = url
        self.read_only = read_only
        parsed = read_url(url)
        if parsed is None:
            raise StoreError(
                "the database URL is invalid; write `sqlite:///accord.db` or `postgresql://user@host/name`"
                " (in a password, write `@`, `/` and `:` as %40, %2F and %3A)"
            )
        self._wait = _seconds(parsed, "timeout", WAIT)
        self.servers: Servers | None = None
        """PostgreSQL's; None for a file."""
        self._asks_primary = pooled
        if parsed.drivername == POSTGRESQL:
            limits = PROMPT if pooled else PATIENT
            self._limits = limits._replace(
                connecting=_seconds(parsed, "connect_timeout", limits.connecting),
                answer=_seconds(parsed, "answer_timeout", limits.answer),
            )
            self.servers = _servers(parsed.difference_update_query(OUR_OPTIONS), url, self._limits, read_only)
            self._engine = _postgresql(self.servers, self._wait + self._limits.answer, pooled)
        else:
            self._engine = _make_engine(parsed.difference_update_query(["timeout"]), self._wait, read_only)
        self.is_sqlite = self.servers is None
        self._path = self._engine.url.database or ""

    def __enter__(self) -> Database:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the pooled connections."""
        self._engine.dispose()

    @property
    def shown(self) -> str:
        """The URL without its password."""
        return shown(self.url)

    @property
    def is_missing_file(self) -> bool:
        """Whether this is SQLite and its file does not exist."""
        return self.is_sqlite and not self._file.exists()

    def require_place(self) -> None:
        """Raise DatabaseRefuses if SQLite's file cannot be where the URL says."""
        if not self.is_sqlite:
            return
        if self._file.is_dir():
            raise DatabaseRefuses(f"the database {self.shown} is a folder; name a file in it, such as `{self._file}/accord.db`")
        if not self._file.parent.is_dir():
            raise DatabaseRefuses(f"there is no folder `{self._file.parent}` for the database {self.shown}; make it, or mount it")

    @property
    def _file(self) -> Path:
        return Path(self._path)

    @property
    def file_number(self) -> int:
        """A number that tells a SQLite file from a replacement with the same name; 0 without a file."""
        if not self.is_sqlite:
            return 0
        try:
            return os.stat(self._path).st_ino  # noqa: PTH116 - runs for each request, and a Path would take twice as long
        except OSError:
            return 0

    def _require_file(self) -> None:
        self.require_place()
        if self.is_missing_file:
            raise DatabaseUnreachable(f"there is no database at {self.shown}; create one with `accord db upgrade`")

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open one consistent snapshot, in which nothing can be written. Raises StoreError."""
        self._require_file()
        still = _stamp(self._file) if self.is_sqlite and self.read_only and _lies_still(self._file) else None
        engine = self._engine if still is None else _sqlite(self._engine.url, self._wait, read_only=True, still=True)
        with self.translated(), engine.connect() as connection:
            if self.is_sqlite:
                connection.exec_driver_sql("PRAGMA query_only = ON")
                connection.exec_driver_sql("BEGIN")
            else:
                self._begin(connection, "ISOLATION LEVEL REPEATABLE READ READ ONLY")
            try:
                self._require_primary(connection)
                yield connection
            finally:
                _roll_back(connection)
                if still is not None and still != _stamp(self._file):
                    raise ChangedMeanwhile(f"the database {self.shown} changed while it was being read; try again")

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Open a transaction under the writer's lock; other writers wait. It commits at the end and rolls back on any error."""
        with self._transaction(text("SELECT pg_advisory_xact_lock(:key)").bindparams(key=_LOCK), text(_KEEP)) as connection:
            yield connection

    @contextmanager
    def recording(self) -> Iterator[Connection]:
        """Open a transaction for facts of the runtime and their audit entries. It does not wait while a reconciler only plans.

        It locks the head of the audit log first, as an apply does before it writes, so that the two never deadlock.
        """
        self._require_file()
        with self._transaction(text("SELECT id FROM state FOR UPDATE")) as connection:
            yield connection

    @contextmanager
    def noting(self) -> Iterator[Connection]:
        """Open a transaction for facts outside the audit log and decisions. On PostgreSQL it locks only the rows it touches."""
        self._require_file()
        with self._transaction() as connection:
            yield connection

    @contextmanager
    def _transaction(self, *locks: TextClause) -> Iterator[Connection]:
        self.require_place()
        if self.is_missing_file:
            _make_private(self._file)
        with self.translated(), self._engine.connect() as connection:
            try:
                if self.is_sqlite:
                    connection.exec_driver_sql("BEGIN IMMEDIATE")
                else:
                    self._begin(connection)
                    for lock in locks:
                        connection.execute(lock)
                yield connection
            except BaseException as error:
                _roll_back(connection)
                if getattr(getattr(error, "orig", None), "sqlstate", None) == _READ_ONLY_STATE:
                    connection.invalidate()
                raise
            self._commit(connection)

    def _require_primary(self, connection: Connection) -> None:
        # behind a pooler, each transaction may be on another server; one that writes finds out by itself
        if self._asks_primary and not self.is_sqlite and connection.exec_driver_sql(f"SELECT {READ_ONLY}").scalar():
            connection.invalidate()
            raise NotPrimary(f"the database {self.shown} was answered by a standby")

    def _begin(self, connection: Connection, kind: str = "") -> None:
        # in the transaction, because a pooler gives the session to others after it
        limits = {
            "lock_timeout": self._wait,
            "statement_timeout": self._wait + self._limits.answer,
            "idle_in_transaction_session_timeout": self._limits.idle,
        }
        settings = "; ".join(f"SET LOCAL {name} = {max(1, int(seconds * 1000))}" for name, seconds in limits.items())
        connection.exec_driver_sql(f"BEGIN {kind}; {settings}")

    def _commit(self, connection: Connection) -> None:
        with committing():
            self._commit_now(connection)

    def _commit_now(self, connection: Connection) -> None:
        if self.is_sqlite:
            connection.exec_driver_sql("COMMIT")
            return
        driver: Any = connection.connection.driver_connection
        driver.was_confirmed = True
        try:
            # a time-out would end the wait for a synchronous standby, and PostgreSQL would report success
            with self.translated():
                connection.exec_driver_sql("SET LOCAL statement_timeout = 0; COMMIT")
        except DatabaseUnreachable as error:
            raise OutcomeUnknown(f"{error}; whether the change was made is unknown: look, and try again") from None
        if not driver.was_confirmed:
            raise OutcomeUnknown(f"the database {self.shown} made a change that no standby confirmed: a fail-over may undo it")

    def driver_connection(self, *, although_silent: bool = False) -> Any:
        """Return one of the driver's own connections, for fast reads: each statement sees everything committed before it.

        The caller closes it, and uses it within `translated`. Raises StoreError.
        """
        self._require_file()
        with self.translated():
            if self.servers is None:
                proxy = self._engine.raw_connection()
                file: Any = proxy.driver_connection
                proxy.detach()
                return file
            connection = self.servers.connect(self._limits.answer, although_silent=although_silent)
            if not connection.is_pooled:  # the server gives up before us, and says so: it is only slow
                connection.execute(f"SET statement_timeout = {max(1, int(self._limits.answer * 900))}")
        return connection

    def translated(self) -> AbstractContextManager[None]:
        """Turn the driver's errors into StoreError."""
        return translated(self.url, self._engine.dialect.loaded_dbapi.Error)


def _roll_back(connection: Connection) -> None:
    # if the connection is lost, or the database has already rolled back, there is nothing to undo; the error that led
    # here is the one to report
    with suppress(SQLAlchemyError):
        connection.exec_driver_sql("ROLLBACK")


def open_database(url: str, *, read_only: bool = False, pooled: bool = False) -> Database:
    """Return the database at a URL: `sqlite:///FILE` or `postgresql://…`. Raises StoreError for any other.

    `pooled` keeps connections to a server for later transactions, until the database is closed. Connections to a file are never
    kept, since the file may be replaced.
    """
    return Database(url, read_only=read_only, pooled=pooled)


def _seconds(url: URL, option: str, default: float) -> float:
    text = url.query.get(option, str(default))
    try:
        seconds = float(str(text))
    except ValueError:
        seconds = -1
    if not 0 < seconds <= 86_400:
        raise StoreError(f"`{option}` in the database URL must be a number of seconds, at most a day, not `{text}`")
    return seconds


def _make_engine(url: URL, wait: float, read_only: bool) -> Engine:
    if url.drivername == "sqlite" and url.database and url.database != ":memory:" and not url.host:
        return _sqlite(url, wait, read_only)
    raise StoreError(
        f"Accord does not support {url.set(query={}).render_as_string()}; write `sqlite:///FILE` or `postgresql://user@host/name`"
    )


def _servers(url: URL, text: str, limits: Limits, read_only: bool) -> Servers:
    try:
        from reconciler.store.postgresql import Servers
    except ImportError:
        raise StoreError("PostgreSQL needs Accord's extra `postgresql`; install Accord again with that extra") from None
    return Servers(url, text, connecting=limits.connecting, read_only=read_only)


def _postgresql(servers: Servers, limit: float, pooled: bool) -> Engine:
    pool: dict[str, Any] = {"pool_size": 4, "max_overflow": -1, "pool_pre_ping": True} if pooled else {"poolclass": NullPool}
    return create_engine(f"{POSTGRESQL}://", **pool, creator=lambda: servers.connect(limit), isolation_level="AUTOCOMMIT")


def _make_private(file: Path) -> None:
    # it will contain password hashes; SQLite gives its other files the same mode
    with suppress(OSError):  # SQLite will fail in the same way, and say so
        os.close(os.open(file, os.O_CREAT | os.O_WRONLY, 0o600))


def _lies_still(file: Path) -> bool:
    """Tell whether to read a file without locks, because SQLite may not create its log and index beside the file.

    If there already is a log, somebody is writing, and SQLite reads the log as well.
    """
    return not (os.access(file.parent, os.W_OK) and os.access(file, os.W_OK)) and not Path(f"{file}-wal").exists()


def _stamp(file: Path) -> tuple[int, int, int]:
    found = file.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def _sqlite(url: URL, wait: float, read_only: bool, *, still: bool = False) -> Engine:
    # Accord begins transactions explicitly, so the driver's implicit BEGIN is off
    engine = create_engine(
        url, poolclass=NullPool, connect_args={"timeout": wait, "isolation_level": None, "check_same_thread": False}
    )

    if still:

        @event.listens_for(engine, "do_connect")
        def ask_for_no_locks(_dialect: Any, _record: Any, arguments: list[Any], options: dict[str, Any]) -> None:
            arguments[0] = f"file:{quote(arguments[0])}?immutable=1"
            options["uri"] = True

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: Any) -> None:
        if not read_only:
            _write_ahead(connection, wait)
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA temp_store = MEMORY")  # there may be no folder for temporary files
        connection.execute("PRAGMA cache_size = -65536")  # KiB; a large apply must not write its pages out repeatedly
        connection.execute("PRAGMA synchronous = FULL")  # an apply that was reported must survive a power failure

    return engine


def _write_ahead(connection: sqlite3.Connection, wait: float) -> None:
    # SQLite does not wait for the lock that this needs in a new file
    until = time.monotonic() + wait
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return
