"""What tests of the API's reads share: a small organisation with a directory's account, and its readers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from declared_states import LATER, NOW, bring, run_sql

from api.state.pages import Page
from api.state.reader import Reader
from api.state.snapshots import AccessKeeper
from reconciler.access.resources import DeclaredState, Issuer, Membership, Permission, Team, User
from reconciler.store.engine import Database
from reconciler.store.tables import instant_text

PAST = NOW - timedelta(days=1)
ORGANISATION = DeclaredState(
    users={
        "alice": User("alice", "alice@example.org", "Alice Jones"),
        "bob": User("bob", "bob@example.org", "Ümit Yılmaz", enabled=False),
        "carol": User("carol", "carol@example.org", "Carol MÜLLER", logins=("C.Mueller",)),
        "portal": User("portal", "portal@example.org", type="application", initial_password="none"),
        "root": User("root", "root@example.org"),
    },
    teams={
        "admins": Team("admins", administrator=True, members=(Membership("root"),), permitted_ips=("10.0.0.0/8",)),
        "idle": Team("idle", "Has nothing"),
        "old": Team(
            "old", members=(Membership("alice", PAST, "cover"),), permissions=(Permission("tls"), Permission("vpn", PAST))
        ),
        "web": Team(
            "web",
            "Runs the web tier",
            members=(Membership("alice"), Membership("bob"), Membership("carol", LATER, "cover")),
            permissions=(Permission("tls"), Permission("code", LATER)),
            ad_groups=("PKI-Web",),
            display_name="The web",
        ),
    },
    issuers={
        "code": Issuer("code", "Code signing"),
        "off": Issuer("off", enabled=False),
        "tls": Issuer("tls", "TLS", "Server certificates"),
        "vpn": Issuer("vpn"),
    },
)


def organised(database: Database) -> None:
    """Bring a database into accord with it, and add what the runtime knows."""
    bring(database, ORGANISATION)
    run_sql(database, "INSERT INTO users (name, email, source) VALUES ('dora', 'dora@corp.example.org', 'directory')")
    run_sql(
        database,
        "INSERT INTO directory_accounts (user_id, guid, domain, dn, read_at) SELECT id, 'g', 'corp.example.org', 'CN=Dora', "
        f"'{instant_text(NOW)}' FROM users WHERE name = 'dora'",
    )
    run_sql(
        database,
        "INSERT INTO directory_memberships (team_id, user_id, ad_group) SELECT t.id, u.id, 'PKI-Web' FROM teams t, users u "
        "WHERE t.name = 'web' AND u.name = 'dora'",
    )
    for name, days in (("alice", 1), ("carol", 3), ("dora", 2)):
        logged_in(database, name, days)
    run_sql(
        database,
        f"INSERT INTO account_states (user_id, disabled_by_administrator) SELECT id, {TRUE[database.is_sqlite]} "
        "FROM users WHERE name = 'portal'",
    )


TRUE = {True: "1", False: "true"}


def logged_in(database: Database, name: str, days: int) -> None:
    """So many days ago."""
    at = instant_text(NOW - timedelta(days=days))
    run_sql(
        database,
        f"INSERT INTO account_states (user_id, last_login_at, last_login_address) SELECT id, '{at}', '10.1.1.1' FROM users "
        f"WHERE name = '{name}'",
    )


@contextmanager
def reading(database: Database) -> Iterator[tuple[Reader, AccessKeeper]]:
    """A reader and a keeper, closed at the end."""
    reader = Reader(database)
    try:
        yield reader, AccessKeeper(reader)
    finally:
        reader.close()


def first(limit: int = 50, cursor: str | None = None) -> Page:
    """A page."""
    return Page(cursor, limit)
