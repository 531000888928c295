"""A small organisation, applied once for all tests that start from it: each gets a copy of its repository and its database."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from postgresql_server import PostgresqlServer
from scenario import Accord, ConfigRepository, issuer, team, user

ORGANISATION: dict[str, Any] = {
    "users/root.yaml": user("root"),
    "users/alice.yaml": user("alice", fullName="Alice Jones"),
    "users/bob.yaml": user("bob"),
    "users/portal.yaml": user("portal", type="application"),
    "users/broker.yaml": user("broker", type="application"),
    "users/nobody.yaml": user("nobody"),
    "teams/admins.yaml": team("admins", administrator=True, members=["root"]),
    "teams/web.yaml": team("web", description="The web", members=["alice", "bob"], issuers=["tls", "vpn"], adGroups=["PKI-Web"]),
    "teams/office.yaml": team("office", members=["bob"], permittedIPs=["10.20.0.0/16"], issuers=["tls"]),
    "teams/deciders.yaml": team("deciders", members=["portal"], mayDecideFor="everyone"),
    "teams/brokers.yaml": team("brokers", members=["broker"], mayDecideFor=["office"]),
    "issuers/tls.yaml": issuer("tls", displayName="Public TLS"),
    "issuers/vpn.yaml": issuer("vpn"),
    "issuers/old.yaml": issuer("old", enabled=False),
}


class Applied(NamedTuple):
    """The organisation's repository, and the URL of the database that it was applied to."""

    repository: Path
    url: str


def apply_organisation(folder: Path, url: str) -> Applied:
    """Commit it to a new repository and apply it to a database with tables."""
    repository = ConfigRepository(folder / "config.git")
    repository.commit(ORGANISATION)
    Accord(repository.path, url, folder / "cache")("apply", "--yes")
    return Applied(repository.path, url)


def copy_sqlite(applied: Applied, file: Path) -> str:
    """A copy of the database; its URL."""
    with closing(sqlite3.connect(applied.url.removeprefix("sqlite:///"))) as source, closing(sqlite3.connect(file)) as copy:
        source.backup(copy)
    file.chmod(0o600)
    return f"sqlite:///{file}"


def copy_postgresql(applied: Applied, server: PostgresqlServer) -> str:
    """The same on PostgreSQL."""
    return server.new_database(template=applied.url.rpartition("/")[2])


def copy_repository(applied: Applied, folder: Path) -> ConfigRepository:
    """A copy of the repository."""
    shutil.copytree(applied.repository, folder)
    return ConfigRepository(folder)
