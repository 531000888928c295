"""What can go wrong with a database, in words for an operator; never a driver's own text, which may hold a password."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import exc
from sqlalchemy.engine import make_url


class StoreError(Exception):
    """The database cannot be used as asked; the message says why and what to do. Nothing was changed."""


class DatabaseUnreachable(StoreError):
    """There is no database at the URL, or it does not answer."""


class DatabaseLocked(StoreError):
    """Somebody else holds the writer's lock for longer than one waits."""


class DatabaseReadOnly(StoreError):
    """It cannot be written to."""


class DatabaseFull(StoreError):
    """There is no space left."""


class DatabaseCorrupt(StoreError):
    """It is not a database, or not any more."""


class SchemaMissing(StoreError):
    """The database has no tables yet."""


class SchemaOutdated(StoreError):
    """The tables are of an older Accord."""


class SchemaTooNew(StoreError):
    """The tables are of a newer Accord."""


_WORDS: tuple[tuple[type[StoreError], tuple[str, ...], str], ...] = (
    (
        DatabaseLocked,
        ("database is locked", "database table is locked", "lock timeout", "canceling statement due to lock"),
        "is in use by another process, which did not finish in time; try again",
    ),
    (DatabaseReadOnly, ("readonly database", "read-only", "permission denied"), "cannot be written to; check its permissions"),
    (DatabaseFull, ("disk is full", "no space left", "disk full", "could not extend file"), "has no space left on its disk"),
    (
        DatabaseCorrupt,
        ("file is not a database", "malformed", "invalid page"),
        "is not a database, or is damaged; restore a backup",
    ),
    (
        DatabaseUnreachable,
        (
            "unable to open database file",
            "connection refused",
            "could not connect",
            "connection failed",
            "does not exist",
            "password authentication failed",
            "server closed the connection",
            "terminating connection",
            "timeout expired",
            "could not translate host name",
            "name or service not known",
        ),
        "cannot be reached",
    ),
)


@contextmanager
def translated(url: str) -> Iterator[None]:
    """Turn the driver's errors into StoreError. The message names the database without its password."""
    try:
        yield
    except exc.DBAPIError as error:
        raise store_error(str(error.orig), url) from None
    except exc.SQLAlchemyError as error:
        raise StoreError(f"the database {shown(url)} cannot be used: {type(error).__name__}") from None


def store_error(text: str, url: str) -> StoreError:
    """The error that a driver's text means."""
    lower = text.lower()
    for kind, signs, words in _WORDS:
        if any(sign in lower for sign in signs):
            return kind(f"the database {shown(url)} {words}")
    if "disk i/o error" in lower:
        return DatabaseFull(f"the database {shown(url)} cannot be written: its disk is full or broken")
    return StoreError(f"the database {shown(url)} refused: {text.splitlines()[0][:200]}")


def shown(url: str) -> str:
    """A database URL without its password."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except exc.ArgumentError:
        return "(unreadable URL)"
