"""Database errors, in words for an operator; never with a driver's own text unmasked, which may contain a password."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from sqlalchemy import exc

from reconciler.store.urls import masked, shown
from reconciler.wording.text import printable


class StoreError(Exception):
    """The database cannot do what was asked; the message says why and what to do. Nothing was changed."""

    again = False
    """Whether the same may well succeed later, with nothing set right."""


class DatabaseUnreachable(StoreError):
    """There is no database at the URL, or it does not answer."""

    again = True


class DatabaseRefuses(DatabaseUnreachable):
    """It answers, but does not let this account in, or not like this: somebody must set something right."""

    again = False


class DatabaseSilent(DatabaseUnreachable):
    """It may be there, but does not answer in time."""


class NotPrimary(DatabaseUnreachable):
    """The server that was reached is not the one to write to: a standby, made read-only, or a primary of the past."""


class OutcomeUnknown(DatabaseUnreachable):
    """The connection was lost while the database committed, or no standby confirmed it: the change may stand, or be lost."""


class DatabaseLocked(StoreError):
    """Another process held the writer's lock for too long."""

    again = True


class DatabaseBusy(StoreError):
    """The database answers, but a statement took too long, or lost against somebody else's."""

    again = True


class DatabaseReadOnly(StoreError):
    """The database cannot be written to."""


class DatabaseFull(StoreError):
    """The database's disk is full."""


class DatabaseCorrupt(StoreError):
    """It is not a database of Accord's, or it is damaged."""


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


class _Meaning(NamedTuple):
    """What an error means that has one of these PostgreSQL codes, or one of these patterns in the driver's text."""

    kind: type[StoreError]
    codes: tuple[str, ...]
    patterns: tuple[str, ...]
    words: str


_WORDS = (
    _Meaning(
        DatabaseLocked,
        ("55P03",),
        ("database is locked", "database table is locked", "database schema is locked"),
        "is in use by another process, which did not finish in time; try again",
    ),
    _Meaning(DatabaseReadOnly, (), ("readonly database",), "cannot be written to; check its permissions"),
    _Meaning(
        NotPrimary,
        ("25006",),
        ("session is read-only", "server is in hot standby mode"),
        "cannot be written to now: the server is a standby, or was made read-only; Accord needs the primary",
    ),
    _Meaning(DatabaseReadOnly, ("42501",), (), "does not allow this account to do that; check its permissions"),
    _Meaning(DatabaseFull, ("53100",), ("disk is full",), "has no disk space left"),
    _Meaning(DatabaseFull, (), ("disk i/o error",), "cannot be written: its disk is full or broken"),
    _Meaning(
        DatabaseCorrupt,
        ("XX001",),
        ("file is not a database", "disk image is malformed", "malformed database schema"),
        "is not a database, or is damaged; restore a backup",
    ),
    _Meaning(
        DatabaseRefuses,
        (),
        ("unable to open database file",),
        "cannot be opened; check the permissions of the file and its folder",
    ),
    _Meaning(
        DatabaseRefuses,
        ("3D000",),
        ('database ".*" does not exist', "no such database"),
        "does not exist on its server; create it, or correct its name in the URL",
    ),
    _Meaning(
        DatabaseRefuses,
        (),
        ('role ".*" does not exist', 'role ".*" is not permitted to log in', "no such user"),
        "does not know this account, or does not let it log in; create the role, or correct its name in the URL",
    ),
    _Meaning(
        DatabaseRefuses,
        ("28P01",),
        ("password authentication failed", "no password supplied"),
        "does not accept this account or its password",
    ),
    _Meaning(
        DatabaseRefuses,
        (),
        ("no pg_hba.conf entry.*(no encryption|ssl off)",),
        "does not let this account in from this machine without TLS (pg_hba.conf); ask for it with `sslmode=verify-full`",
    ),
    _Meaning(
        DatabaseRefuses,
        ("28000",),
        ("no pg_hba.conf entry", "pg_hba.conf rejects", 'permission denied for database ".*"'),
        "does not let this account in from this machine (pg_hba.conf)",
    ),
    _Meaning(
        DatabaseRefuses, (), ("server does not support ssl",), "is on a server without TLS, which `sslmode` in the URL asks for"
    ),
    _Meaning(
        DatabaseRefuses,
        (),
        ("root certificate file", "could not read root certificate"),
        "cannot be trusted: the file of authorities that `sslrootcert` in the URL names cannot be read",
    ),
    _Meaning(DatabaseRefuses, (), ("does not match host name",), "is on a server whose TLS certificate is for another name"),
    _Meaning(
        DatabaseRefuses,
        (),
        ("certificate verify failed", "certificate has expired", "self.signed certificate"),
        "is on a server whose TLS certificate no known authority vouches for; name the authorities with `sslrootcert` in the URL",
    ),
    _Meaning(
        DatabaseRefuses,
        (),
        ("certificate file", "private key file", "client certificate", "certificate required", "unknown ca"),
        "cannot be reached: the TLS certificate or key of this account, `sslcert` and `sslkey` in the URL, cannot be used",
    ),
    _Meaning(
        DatabaseSilent, (), (SILENT, "connection timeout", "timeout expired", "connection timed out"), "does not answer in time"
    ),
    _Meaning(DatabaseBusy, ("57014",), (), "did not finish a statement in time; try again"),
    _Meaning(
        DatabaseBusy,
        ("40P01", "40001"),
        ("deadlock detected",),
        "was busy with somebody else's change to the same rows; try again",
    ),
    _Meaning(
        DatabaseUnreachable, ("25P03", "57P05"), (), "ended a transaction in which nothing happened for too long; try again"
    ),
    _Meaning(
        DatabaseUnreachable,
        ("53300",),
        ("too many (clients|conn)", "remaining connection slots", "no more connections allowed", "query_wait_timeout"),
        "accepts no more connections now: too many are open; try again",
    ),
    _Meaning(
        DatabaseUnreachable,
        ("57P03",),
        ("database system is (starting up|shutting down|in recovery)", "not (yet )?accepting connections"),
        "is on a server that is starting or stopping; try again",
    ),
    _Meaning(
        DatabaseUnreachable, (), ("failed to resolve host", "could not translate host name"), "cannot be reached: no such host"
    ),
    _Meaning(
        DatabaseUnreachable,
        (),
        ("connection refused", 'connection to server on socket ".*" failed: no such file'),
        "cannot be reached: nothing listens on that host and port",
    ),
    _Meaning(
        DatabaseUnreachable,
        ("57P01", "57P02", "08000", "08003", "08006"),
        (
            "connection is closed",
            "server closed the connection",
            "consuming input failed",
            "ssl syscall error",
            "ssl connection has been closed",
            "the connection is lost",
            "sending query failed",
        ),
        "cannot be reached",
    ),
)
"""What errors mean: the first entry that fits. Only a server that does not let
somebody in may say so in its own language and without a code; then its words are shown."""
_NAMES = re.compile('"[^"]*"')
"""Names of hosts, roles, databases and files in the driver's text: what they are called means nothing."""
_CONNECTING = "connection failed"
_DUPLICATE = re.compile(r'unique constraint "pk_(\w+)"[\s\S]*\(id\)=')


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
    lower = _NAMES.sub('""', text.lower())
    for kind, codes, patterns, words in _WORDS:
        if code in codes or any(re.search(pattern, lower) for pattern in patterns):
            return kind(f"the database {shown(url)} {words}")
    first = printable(masked(next(iter(text.splitlines()), "it gave no reason"), url))[-200:]
    if _CONNECTING in lower:
        return DatabaseUnreachable(f"the database {shown(url)} cannot be reached: {first.rpartition('failed: ')[2]}")
    if behind := _DUPLICATE.search(text):
        return StoreError(
            f"the sequence that numbers the rows of `{behind[1]}` in the database {shown(url)} is behind, as after a switch-over "
            "by logical replication or a restore of data alone; `accord db upgrade` sets it right"
        )
    return StoreError(f"the database {shown(url)} refused: {first}")
