"""What the operator's commands share: an open, checked database, and who acts when."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import click

_Command = TypeVar("_Command", bound=Callable[..., Any])


class Operator(NamedTuple):
    """An operator on the host, with an open database."""

    settings: Any
    database: Any
    authority: Any


def database_option(command: _Command) -> _Command:
    """`--database`."""
    text = "The database; else ACCORD_DATABASE_URL, else sqlite:///accord.db."
    return click.option("--database", "database_url", metavar="URL", help=text)(command)


@contextmanager
def at_work(options: Mapping[str, str | None]) -> Iterator[Operator]:
    """Open the database and check that its tables fit this Accord. Raises Misconfigured or StoreError."""
    from api.authentication.authority import OperatorsAuthority
    from api.settings import read_settings
    from reconciler.store import schema
    from reconciler.store.engine import open_database

    settings = read_settings(options)
    with open_database(settings.database_url) as database:
        schema.check(database)
        yield Operator(settings, database, OperatorsAuthority(database, f"operator:{_user()}"))


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
