"""Database errors, in words for an operator; never with a driver's own text unmasked, which may contain a password."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import exc

from reconciler.store.urls import masked, shown


class StoreError(Exception):
    """The database cannot do what was asked; the message says why and what to do. Nothing was changed."""


class DatabaseUnreachable(StoreError):
    """There is no database at the URL, or it does not answer."""


class DatabaseSilent(DatabaseUnreachable):
    """It may be there, but does not answer in time."""


class NotPrimary(DatabaseUnreachable):
    """The server that was reached is not the one to write to: a standby, made read-only, or a primary of the past."""


class OutcomeUnknown(DatabaseUnreachable):
    """The connection was lost while the database committed, or no standby confirmed it: the change may stand, or be lost."""


class DatabaseLocked(StoreError):
    """Another process held the writer's lock for too long."""


class DatabaseBusy(StoreError):
    """The database answers, but a statement took too long."""


class DatabaseReadOnly(StoreError):
    """The database cannot be written to."""


class DatabaseFull(StoreError):
    """The database's disk is full."""


class DatabaseCorrupt(StoreError):
    """It is not a database, or it is damaged."""


class SchemaMissing(StoreError):
    """The database has no tables yet."""


class SchemaOutdated(StoreError):
    """The tables are from an older version of Accord."""


class SchemaTooNew(StoreError):
    """The tables are from a newer version of Accord."""


class ChangedMeanwhile(StoreError):
    """The database changed after a plan was made."""


class UnreadableLog(StoreError):
    """A file is not an exported audit log."""


SILENT = "no answer in time"
"""What Accord says in the driver's place if a server was silent for too long."""
_Signs = tuple[type[StoreError], tuple[str, ...], str]
_WORDS: tuple[_Signs, ...] = (
    (
        DatabaseLocked,
        ("55P03", "database is locked", "database table is locked", "database schema is locked"),
        "is in use by another process, which did not finish in time; try again",
    ),
    (DatabaseReadOnly, ("readonly database",), "cannot be written to; check its permissions"),
    (
        NotPrimary,
        ("25006", "session is read-only", "server is in hot standby mode"),
        "cannot be written to now: the server is a standby, or was made read-only; Accord needs the primary",
    ),
    (DatabaseReadOnly, ("42501",), "does not allow this account to do that; check its permissions"),
    (DatabaseFull, ("53100", "disk is full"), "has no disk space left"),
    (DatabaseFull, ("disk i/o error",), "cannot be written: its disk is full or broken"),
    (DatabaseCorrupt, ("XX001", "file is not a database", "malformed"), "is not a database, or is damaged; restore a backup"),
    (
        DatabaseUnreachable,
        ("28P01", "28000", "password authentication failed", "no password supplied"),
        "does not accept this account or its password",
    ),
    (DatabaseSilent, (SILENT, "connection timeout"), "does not answer in time"),
    (DatabaseBusy, ("57014",), "did not finish a statement in time; try again"),
    (
        DatabaseUnreachable,
        (
            "57P01", "57P02", "57P03", "08000", "08003", "08006", "53300",
            "unable to open database file",
            "connection refused",
            "connection failed",
            "connection is closed",
            "server closed the connection",
            "consuming input failed",
            "ssl syscall error",
            "ssl connection has been closed",
            "the connection is lost",
            "sending query failed",
            "failed to resolve host",
        ),
        "cannot be reached",
    ),
)  # fmt: skip
"""What errors mean: the first entry with the PostgreSQL code or a part of the driver's text, which is never localised."""


@contextmanager
def translated(url: str, driver_error: type[Exception]) -> Iterator[None]:
    """Turn SQLAlchemy's and the driver's errors into StoreError. Messages name the database without its password."""
    try:
        yield
    except exc.DBAPIError as error:
        raise store_error(str(error.orig), url, getattr(error.orig, "sqlstate", None)) from None
    except driver_error as error:  # COPY bypasses SQLAlchemy
        raise store_error(str(error), url, getattr(error, "sqlstate", None)) from None
    except exc.NoResultFound:  # the only row that must always exist
        raise DatabaseCorrupt(
            f"the database {shown(url)} has lost the row of its table `state`, which counts generations and audit entries; "
            "somebody deleted it, so restore a backup"
        ) from None
    except exc.SQLAlchemyError as error:
        raise StoreError(f"the database {shown(url)} cannot be used: {type(error).__name__}") from None


def store_error(text: str, url: str, code: str | None = None) -> StoreError:
    """Return the error that a driver's text or a PostgreSQL code means."""
    lower = text.lower()
    for kind, signs, words in _WORDS:
        if code in signs or any(sign in lower for sign in signs):
            return kind(f"the database {shown(url)} {words}")
    first = next(iter(text.splitlines()), "it gave no reason")
    return StoreError(f"the database {shown(url)} refused: {masked(first, url)[:200]}")
