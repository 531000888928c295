"""Users as administrators see them: searched, filtered and sorted, in pages whose work does not grow with what they leave out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, NamedTuple

from api.state.accounts import MEMBERS, SWITCH_COLUMNS, SWITCHES
from api.state.counting import FEW, Count
from api.state.pages import Page
from api.state.reader import Reader, Row
from reconciler.access.instants import parse_instant
from reconciler.store.rows import read_texts
from reconciler.store.tables import DISABLED_HERE, instant_text

_SUMMARY = f"""SELECT u.name, u.full_name, u.email, u.type, u.source, u.logins, {SWITCH_COLUMNS}, a.last_login_at,
a.last_login_address FROM users u LEFT JOIN account_states a ON a.user_id = u.id"""
_NUMBERED = _SUMMARY.replace("SELECT ", "SELECT u.id, ", 1)
_TEAM = "(SELECT id FROM teams WHERE name = ?)"
_IN_LARGE_TEAM = f"""(CASE u.source WHEN 'declared'
THEN EXISTS (SELECT 1 FROM memberships m WHERE m.team_id = {_TEAM} AND m.user_id = u.id AND (m.until IS NULL OR m.until > ?))
ELSE EXISTS (SELECT 1 FROM directory_memberships d WHERE d.team_id = {_TEAM} AND d.user_id = u.id) END)"""
_DISABLED = f"(SELECT id FROM users WHERE disabled_by_git UNION SELECT user_id FROM account_states WHERE {DISABLED_HERE})"
Condition = tuple[str, tuple[Any, ...]]
"""A part of a WHERE clause, and its values."""


class UserFilter(NamedTuple):
    """Which users are asked for, and in which order. None leaves a part open."""

    search: str = ""
    """Text in the name, e-mail address, full name or an alias, without regard to case."""
    team: str | None = None
    source: Literal["declared", "directory"] | None = None
    enabled: bool | None = None
    last_login_before: datetime | None = None
    """Includes users who never logged in."""
    last_login_after: datetime | None = None
    never_logged_in: bool = False
    sort: Literal["name", "last-login"] = "name"
    """`last-login`: the newest first; then those who never logged in, by name."""

    @classmethod
    def of(cls, query: Mapping[str, Any]) -> UserFilter:
        """What a query of the API asks for."""
        before, after = (query.get(name) for name in ("lastLoginBefore", "lastLoginAfter"))
        return cls(
            search=query.get("search") or "",
            team=query.get("team"),
            source=query.get("source"),
            enabled=query.get("enabled"),
            last_login_before=before and parse_instant(before),
            last_login_after=after and parse_instant(after),
        )


def find_user(reader: Reader, name: str) -> dict[str, Any] | None:
    """A user's summary. Raises StoreError."""
    row = reader.row(f"{_SUMMARY} WHERE u.name = ?", name)
    return None if row is None else _summary(row)


def list_users(reader: Reader, page: Page, wanted: UserFilter, now: datetime) -> dict[str, Any]:
    """A page of the users that fit. Raises NotFound or StoreError."""
    conditions = _conditions(reader, wanted, now)
    if wanted.sort == "last-login":
        keyed = page.cut([{"id": row[0], **_summary(row[1:])} for row in _by_last_login(reader, page, wanted, conditions)], _key)
        items = [{name: value for name, value in each.items() if name != "id"} for each in keyed["items"]]
        return {**keyed, "items": items}
    rows = _by_name(reader, page.after_name, [*_logged_in(wanted), *conditions], page.limit + 1)
    return page.cut([_summary(row[1:]) for row in rows], "name")


def count_users(reader: Reader, wanted: UserFilter, now: datetime) -> Count:
    """How many users fit. Raises StoreError."""
    where, values = _joined([*_logged_in(wanted), *_conditions(reader, wanted, now)])
    return Count.rows(reader, f"SELECT 1 FROM users u {_hint(reader, where)} WHERE {where}", *values)


def _by_name(reader: Reader, after: str, conditions: list[Condition], limit: int) -> list[Row]:
    where, values = _joined([("u.name > ?", (after,)), *conditions])
    # what shows users is read only of those that fit
    found = f"SELECT u.id FROM users u WHERE {where} ORDER BY u.name LIMIT ?"
    return reader.rows(f"{_NUMBERED} WHERE u.id IN ({found}) ORDER BY u.name", *values, limit)


def _by_last_login(reader: Reader, page: Page, wanted: UserFilter, conditions: list[Condition]) -> list[Row]:
    """Those who logged in, the newest first, and then those who never did. If they are few, they are sorted here: the database
    would look at every account in this order to find them."""
    cursor, limit = page.after_name, page.limit + 1
    after_instant = ("", 0) if cursor.startswith(_NEVER) else page.after_instant
    few = _few_by_last_login(reader, cursor, after_instant, [*_logged_in(wanted), *conditions]) if conditions else None
    if few is not None:
        return _shown_in_order(reader, few[:limit])
    found = list[Row]()
    if not cursor.startswith(_NEVER) and not wanted.never_logged_in:
        found = _newest_first(reader, after_instant, wanted, conditions, limit)
    if len(found) < limit and wanted.last_login_after is None:
        after = cursor.removeprefix(_NEVER) if cursor.startswith(_NEVER) else ""
        found += _by_name(reader, after, [(_NEVER_LOGGED_IN, ()), *conditions], limit - len(found))
    return found


_NEVER = "never "
_NEVER_LOGGED_IN = "u.id NOT IN (SELECT user_id FROM account_states WHERE last_login_at IS NOT NULL)"


def _few_by_last_login(
    reader: Reader, cursor: str, after_instant: tuple[str, int], conditions: list[Condition]
) -> list[int] | None:
    """The numbers of those that fit, behind the cursor; None if they are many."""
    where, values = _joined(conditions)
    columns = (
        f"u.id, u.name, (SELECT a.last_login_at FROM account_states a WHERE a.user_id = u.id) FROM users u {_hint(reader, where)}"
    )
    rows = reader.rows(f"SELECT {columns} WHERE {where} LIMIT {FEW + 1}", *values)
    if len(rows) > FEW:
        return None
    seen = sorted(((at, number) for number, _, at in rows if at is not None), reverse=True)
    never = sorted((name, number) for number, name, at in rows if at is None)
    if cursor.startswith(_NEVER):
        return [number for name, number in never if name > cursor.removeprefix(_NEVER)]
    return [number for at, number in seen if not cursor or (at, number) < after_instant] + [number for _, number in never]


def _shown_in_order(reader: Reader, numbers: list[int]) -> list[Row]:
    if not numbers:
        return []
    rows = reader.rows(f"{_NUMBERED} WHERE u.id IN ({', '.join('?' * len(numbers))})", *numbers)
    by_number = {row[0]: row for row in rows}
    return [by_number[number] for number in numbers if number in by_number]


def _newest_first(
    reader: Reader, after_instant: tuple[str, int], wanted: UserFilter, conditions: list[Condition], limit: int
) -> list[Row]:
    bounds: list[Condition] = [("(s.last_login_at, s.user_id) < (?, ?)", after_instant)] if after_instant[0] else []
    for sign, bound in (("<", wanted.last_login_before), (">", wanted.last_login_after)):
        if bound is not None:
            bounds.append((f"s.last_login_at {sign} ?", (instant_text(bound),)))
    where, values = _joined([("s.last_login_at IS NOT NULL", ()), *bounds, *conditions])
    rows = reader.rows(
        f"""SELECT u.id FROM account_states s JOIN users u ON u.id = s.user_id
WHERE {where} ORDER BY s.last_login_at DESC, s.user_id DESC LIMIT ?""",
        *values,
        limit,
    )
    return _shown_in_order(reader, [number for (number,) in rows])


def _hint(reader: Reader, where: str) -> str:
    """SQLite reads the index that has the texts only if it is told to, unless it sorts by its first column."""
    return "INDEXED BY ix_users_searched" if "searched" in where and reader.database.is_sqlite else ""


def _key(user: dict[str, Any]) -> str:
    return f"{_NEVER}{user['name']}" if user["lastLoginAt"] is None else f"{user['lastLoginAt']} {user['id']}"


def _logged_in(wanted: UserFilter) -> list[Condition]:
    """When users logged in last, wherever the order does not say so."""
    found: list[Condition] = []
    if wanted.last_login_before is not None:
        before = instant_text(wanted.last_login_before)
        found.append(("u.id NOT IN (SELECT user_id FROM account_states WHERE last_login_at >= ?)", (before,)))
    if wanted.last_login_after is not None:
        after = instant_text(wanted.last_login_after)
        found.append(("u.id IN (SELECT user_id FROM account_states WHERE last_login_at > ?)", (after,)))
    if wanted.never_logged_in:
        found.append((_NEVER_LOGGED_IN, ()))
    return found


def _conditions(reader: Reader, wanted: UserFilter, now: datetime) -> list[Condition]:
    found: list[Condition] = []
    if wanted.search:
        spellings = _spellings(wanted.search)
        test = "instr(u.searched, ?) > 0" if reader.database.is_sqlite else "strpos(u.searched, ?) > 0"
        found.append((f"({' OR '.join([test] * len(spellings))})", spellings))
    if wanted.team is not None:
        found.append(_in_team(reader, wanted.team, instant_text(now)))
    if wanted.source is not None:
        found.append(("u.source = ?", (wanted.source,)))
    if wanted.enabled is not None:
        found.append((f"u.id {'NOT ' * wanted.enabled}IN {_DISABLED}", ()))
    return found


def _in_team(reader: Reader, team: str, moment: str) -> Condition:
    few = f"SELECT user_id FROM {MEMBERS} WHERE team_id = {_TEAM} LIMIT {FEW + 1}"
    if len(reader.rows(few, moment, team)) > FEW:
        return _IN_LARGE_TEAM, (team, moment, team)
    return f"u.id IN (SELECT user_id FROM {MEMBERS} WHERE team_id = {_TEAM})", (moment, team)


def _spellings(text: str) -> tuple[str, ...]:
    """The text as the search column may have it: a database may know the small letters of ASCII only."""
    return tuple(dict.fromkeys(each.translate(_SMALL) for each in (text, text.lower(), text.title(), text.upper())))


_SMALL = {ord(each): ord(each.lower()) for each in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}


def _joined(conditions: list[Condition]) -> Condition:
    return " AND ".join(["TRUE", *(text for text, _ in conditions)]), tuple(value for _, values in conditions for value in values)


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
