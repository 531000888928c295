"""Users as administrators see them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from api.state.accounts import IS_DISABLED, MEMBERS, SWITCH_COLUMNS, SWITCHES
from api.state.pages import Page, contains
from api.state.reader import Reader, Row
from reconciler.access.instants import parse_instant
from reconciler.store.rows import read_texts
from reconciler.store.tables import instant_text

_SUMMARY = f"""SELECT u.name, u.full_name, u.email, u.type, u.source, u.logins, {SWITCH_COLUMNS}, a.last_login_at,
a.last_login_address FROM users u LEFT JOIN account_states a ON a.user_id = u.id"""
_IN_TEAM = f"u.id IN (SELECT user_id FROM {MEMBERS} WHERE team_id = (SELECT id FROM teams WHERE name = ?))"
_SEARCHED = ("u.name", "u.email", "COALESCE(u.full_name, '')", "u.logins")


def find_user(reader: Reader, name: str) -> dict[str, Any] | None:
    """A user's summary. Raises StoreError."""
    row = reader.row(f"{_SUMMARY} WHERE u.name = ?", name)
    return None if row is None else _summary(row)


def list_users(reader: Reader, page: Page, query: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """A page of the users that fit a query of the API, by name. Raises NotFound or StoreError."""
    conditions = [("u.name > ?", (page.after_name,)), *_conditions(query, now)]
    where = " AND ".join(text for text, _ in conditions)
    values = [value for _, values in conditions for value in values]
    rows = reader.rows(f"{_SUMMARY} WHERE {where} ORDER BY u.name LIMIT ?", *values, page.limit + 1)
    return page.cut([_summary(row) for row in rows], "name")


def _conditions(query: Mapping[str, Any], now: datetime) -> list[tuple[str, tuple[Any, ...]]]:
    found: list[tuple[str, tuple[Any, ...]]] = []
    if query.get("search"):
        found.append(contains(_SEARCHED, query["search"]))
    if "team" in query:
        found.append((_IN_TEAM, (instant_text(now), query["team"])))
    if "source" in query:
        found.append(("u.source = ?", (query["source"],)))
    if "enabled" in query:
        found.append((f"NOT {IS_DISABLED}" if query["enabled"] else IS_DISABLED, ()))
    if "lastLoginBefore" in query:
        found.append(("(a.last_login_at IS NULL OR a.last_login_at < ?)", (_moment(query["lastLoginBefore"]),)))
    if "lastLoginAfter" in query:
        found.append(("a.last_login_at > ?", (_moment(query["lastLoginAfter"]),)))
    return found


def _moment(text: str) -> str:
    return instant_text(parse_instant(text))


def _summary(row: Row) -> dict[str, Any]:
    name, full_name, email, kind, source, logins, *switches, at, address = row
    return {
        "name": name,
        "fullName": full_name,
        "email": email,
        "type": kind,
        "source": source,
        "logins": list(read_texts(logins)),
        "enabled": not any(switches),
        "disabledBy": [who for who, off in zip(SWITCHES, switches, strict=True) if off],
        "lastLoginAt": at,
        "lastLoginAddress": address,
    }
