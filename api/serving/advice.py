"""What a deployment is told when it starts, since it decides whom the permitted IPs of teams and tokens let in."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import exists, or_, select

from api.http.addresses import LOOPBACK
from api.settings import Settings
from reconciler.access.permitted_ips import Rule, matching, parse_address
from reconciler.store import tables
from reconciler.store.engine import Database

_FEW = {4: 2**8, 6: 2**64}
"""Addresses that one segment of a network has: a proxy is one of them, or a few."""


def advice(settings: Settings, database: Database, server: str) -> Iterator[str]:
    """Yield what an operator should know. Raises StoreError."""
    yield from map(_too_wide, filter(_is_wide, settings.trusted_proxies))
    if not _restricts(database):
        return
    if settings.trusted_proxies and server == "granian":
        yield (
            "on Granian a trusted proxy is believed only in `Forwarded`, since a client's `X_Forwarded_For` looks there like "
            "`X-Forwarded-For`. Let the proxy set `Forwarded` and remove `X-Forwarded-For`, or serve with waitress"
        )
    if not settings.trusted_proxies and settings.local_socket is None and _is_loopback(settings.host):
        yield (
            "permitted IPs are declared, and calls from loopback addresses do not satisfy them. If a proxy on this machine calls "
            "Accord, name it in ACCORD_TRUSTED_PROXIES; for programs on this machine, set ACCORD_LOCAL_SOCKET"
        )


def _is_loopback(host: str) -> bool:
    try:
        address = parse_address(host)
    except ValueError:
        return host == "localhost"
    return matching(LOOPBACK, address) is not None


def _is_wide(rule: Rule) -> bool:
    return rule.last - rule.first >= _FEW[rule.version] and not any(
        rule.version == own.version and own.first <= rule.first and rule.last <= own.last for own in LOOPBACK
    )


def _too_wide(rule: Rule) -> str:
    return (
        f"ACCORD_TRUSTED_PROXIES trusts {rule.text}: every machine there can call from any address it likes. "
        "Name the addresses of the proxies alone"
    )


def _restricts(database: Database) -> bool:
    """Whether anything declared or minted depends on addresses."""
    teams, tokens = tables.teams.c, tables.tokens.c
    question = select(or_(exists().where(teams.permitted_ips != "[]"), exists().where(tokens.permitted_ips.is_not(None))))
    with database.reading() as connection:
        return bool(connection.execute(question).scalar())
