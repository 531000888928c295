"""Finding the certificates that a caller may see. IDs decide that: a new resource with an old name has a new ID."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

import orjson

from api.authentication.principal import Principal
from api.certificates.verification import fingerprints
from api.errors import NotFound
from api.state.accounts import MEMBERS
from api.state.counting import Count
from api.state.pages import Page, contains
from api.state.reader import Reader, Row
from reconciler.access.instants import parse_duration
from reconciler.store.tables import instant_text

# `+ 0`: otherwise PostgreSQL may look for the maximum from the end of the whole table, once for each row
_COLUMNS = """c.id, COALESCE(i.name, c.issuer_name), COALESCE(t.name, c.team_name), COALESCE(u.name, c.owner_name),
c.serial, c.issued_by, c.sha256, c.verified_by, c.subject, c.names, c.left_out, c.not_before, c.not_after, c.url, c.renewal_url,
c.extra_addresses, c.note, c.tracked, c.registered_at,
c.renews_id, (SELECT max(n.id + 0) FROM certificates n WHERE n.renews_id = c.id), c.renewed_at, c.revoked_at,
CASE WHEN c.verified_by IS NOT NULL THEN i.ca_certificates END"""
_TABLES = """certificates c LEFT JOIN issuers i ON i.id = c.issuer_id LEFT JOIN teams t ON t.id = c.team_id
LEFT JOIN users u ON u.id = c.owner_id"""
_MINE = f"(c.owner_id = ? OR c.team_id IN (SELECT team_id FROM {MEMBERS} WHERE user_id = ?))"
_OWNER = "(c.owner_id = (SELECT id FROM users WHERE name = ?) OR (c.owner_id IS NULL AND c.owner_name = ?))"
_TEAM = "(c.team_id = (SELECT id FROM teams WHERE name = ?) OR (c.team_id IS NULL AND c.team_name = ?))"
_ISSUER = "(c.issuer_id = (SELECT id FROM issuers WHERE name = ?) OR (c.issuer_id IS NULL AND c.issuer_name = ?))"


class Condition(NamedTuple):
    """A part of a WHERE clause, and its values."""

    text: str
    values: tuple[Any, ...] = ()


class Standing(NamedTuple):
    """The part of a certificate that says who may change it. None: deleted."""

    id: int
    owner_id: int | None
    team_id: int | None
    team: str | None
    issuer: str | None


class Entry(NamedTuple):
    """A certificate as the API shows it, its PEM, and whether its issuer, team and owner still exist."""

    shown: dict[str, Any]
    pem: str
    has_issuer: bool
    has_team: bool
    has_owner: bool


_WHOLE = f"{_COLUMNS}, c.pem, i.id IS NOT NULL, t.id IS NOT NULL, u.id IS NOT NULL"
AT_ONCE = 1_000
"""Rows that a scan reads at once: requests in other threads come in between."""


def find(reader: Reader, caller: Principal, certificate_id: int) -> dict[str, Any]:
    """A certificate as the API shows it, with its PEM. Raises NotFound, also if the caller may not see it, or StoreError."""
    row = _one(reader, caller, certificate_id, f"{_COLUMNS}, c.pem")
    return {**_shown(row[:-1]), "pem": row[-1]}


def find_any(reader: Reader, certificate_id: int) -> dict[str, Any]:
    """The same for a caller who just registered it, perhaps for another account."""
    (row,) = _rows(reader, f"{_COLUMNS}, c.pem", [Condition("c.id = ?", (certificate_id,))])
    return {**_shown(row[:-1]), "pem": row[-1]}


def entry(reader: Reader, caller: Principal, certificate_id: int) -> Entry:
    """A certificate with everything that is known of it. Raises NotFound, also if the caller may not see it, or StoreError."""
    return _entry(_one(reader, caller, certificate_id, _WHOLE))


def any_entry(reader: Reader, certificate_id: int) -> Entry:
    """The same for a caller who just registered it, perhaps for another account."""
    (row,) = _rows(reader, _WHOLE, [Condition("c.id = ?", (certificate_id,))])
    return _entry(row)


def entries(reader: Reader, caller: Principal, numbers: Sequence[int]) -> list[Entry]:
    """Those of some certificates that are still there and that the caller may see, the newest first. Raises StoreError."""
    return [_entry(row) for row in _rows(reader, _WHOLE, [_among(numbers), *visible_to(caller)], "ORDER BY c.id DESC")]


def visible_of(reader: Reader, caller: Principal, numbers: Sequence[int]) -> frozenset[int]:
    """Those of some certificates that are still there and that the caller may see. Raises StoreError."""
    if not numbers:
        return frozenset()
    return frozenset(number for (number,) in _rows(reader, "c.id", [_among(numbers), *visible_to(caller)]))


def _among(numbers: Sequence[int]) -> Condition:
    return Condition(f"c.id IN ({', '.join('?' * len(numbers))})", tuple(numbers))


def _entry(row: Row) -> Entry:
    *shown, pem, has_issuer, has_team, has_owner = row
    return Entry(_shown(tuple(shown)), pem, bool(has_issuer), bool(has_team), bool(has_owner))


def scan(
    reader: Reader, caller: Principal, conditions: Sequence[Condition], fits: Callable[[str, str], bool] | None = None
) -> Iterator[int]:
    """The numbers of the certificates that the caller may see and that meet conditions, the newest first.

    `fits` judges a subject and a certificate's own issuer, as RFC 4514 writes them. Rows are read as they are asked for, so that
    whoever has enough stops. Raises StoreError.
    """
    before = NEWEST
    while True:
        wanted = [Condition("c.id < ?", (before,)), *visible_to(caller), *conditions]
        rows = _rows(reader, "c.id, c.subject, c.issued_by", wanted, "ORDER BY c.id DESC LIMIT ?", AT_ONCE)
        for number, subject, issued_by in rows:
            if fits is None or fits(subject, issued_by):
                yield number
        if len(rows) < AT_ONCE:
            return
        before = rows[-1][0]


NEWEST = 1_000_000_000
"""More than any number of a certificate."""
_STANDING = "c.id, c.owner_id, c.team_id, t.name, i.name"


def standing(reader: Reader, caller: Principal, certificate_id: int) -> Standing:
    """The standing of a certificate. Raises NotFound, also if the caller may not see it, or StoreError."""
    return Standing(*_one(reader, caller, certificate_id, _STANDING))


def standing_of(reader: Reader, certificate_id: int) -> Standing | None:
    """The same, whoever asks. Raises StoreError."""
    rows = _rows(reader, _STANDING, [Condition("c.id = ?", (certificate_id,))])
    return Standing(*rows[0]) if rows else None


def _one(reader: Reader, caller: Principal, certificate_id: int, columns: str) -> Row:
    rows = _rows(reader, columns, [Condition("c.id = ?", (certificate_id,)), *visible_to(caller)])
    if not rows:
        raise NotFound(f"there is no certificate {certificate_id} that you may see")
    return rows[0]


def same_certificate(reader: Reader, caller: Principal, sha256: str) -> list[tuple[int, str]]:
    """The entries of one certificate that the caller may see, and their owners, the first first. Raises StoreError."""
    wanted = [Condition("c.sha256 = ?", (sha256,)), *visible_to(caller)]
    return [(number, owner) for number, owner in _rows(reader, "c.id, COALESCE(u.name, c.owner_name)", wanted, "ORDER BY c.id")]


class Revocable(NamedTuple):
    """An entry that somebody wants to mark as revoked."""

    standing: Standing
    sha256: str
    is_revoked: bool


def revocable(reader: Reader, caller: Principal, conditions: Sequence[Condition]) -> list[Revocable]:
    """The entries that the caller may see and that meet conditions, in order. Raises StoreError."""
    rows = _rows(reader, f"{_STANDING}, c.sha256, c.revoked_at IS NOT NULL", [*conditions, *visible_to(caller)], "ORDER BY c.id")
    return [Revocable(Standing(*row[:5]), row[5], bool(row[6])) for row in rows]


def numbered(number: int) -> Condition:
    """All entries of the certificate that an entry has."""
    return Condition("c.sha256 = (SELECT sha256 FROM certificates WHERE id = ?)", (number,))


def list_certificates(reader: Reader, caller: Principal, query: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """A page of the certificates that the caller may see and asks for, by expiry. Raises NotFound or StoreError."""
    return list_fitting(reader, caller, Page.of(query), _asked_for(reader, query, now))


def list_fitting(
    reader: Reader, caller: Principal, page: Page, conditions: Iterable[Condition], *, last_first: bool = False
) -> dict[str, Any]:
    """A page of the certificates that the caller may see and that meet conditions, by expiry; or, with `last_first`, those that
    expire last come first. Raises NotFound or StoreError."""
    instant, number = page.after_instant
    sign, order = ("<", "DESC") if last_first else (">", "ASC")
    if last_first and not instant:
        instant = instant_text(datetime.max.replace(tzinfo=UTC))
    behind = Condition(f"c.not_after {sign}= ? AND (c.not_after {sign} ? OR c.id {sign} ?)", (instant, instant, number))
    rows = _rows(
        reader,
        _COLUMNS,
        [behind, *visible_to(caller), *conditions],
        f"ORDER BY c.not_after {order}, c.id {order} LIMIT ?",
        page.limit + 1,
    )
    return page.cut([_shown(row) for row in rows], lambda item: f"{item['notAfter']} {item['id']}")


def count(reader: Reader, conditions: Iterable[Condition]) -> Count:
    """How many certificates meet conditions. Raises StoreError."""
    texts, values = zip(*conditions, strict=True)
    return Count.rows(reader, f"SELECT 1 FROM {_TABLES} WHERE {' AND '.join(texts)}", *(each for part in values for each in part))


def _rows(reader: Reader, columns: str, conditions: Iterable[Condition], end: str = "", *values: Any) -> list[Row]:
    texts, chosen = zip(*conditions, strict=True)
    statement = f"SELECT {columns} FROM {_TABLES} WHERE {' AND '.join(texts)} {end}"
    return reader.rows(statement, *(value for each in chosen for value in each), *values)


def visible_to(caller: Principal) -> list[Condition]:
    """What the caller may see: its own and its teams' certificates, or all as an administrator; within the token's issuers."""
    found = []
    if not caller.is_administrator:
        mine = caller.account.id
        found.append(Condition(_MINE, (mine, instant_text(caller.now), mine)))
    only = caller.credential.narrowing.issuers
    if only is not None:
        found.append(Condition(f"i.name IN ({', '.join('?' * len(only))})", tuple(sorted(only))))
    return found


def _asked_for(reader: Reader, query: Mapping[str, Any], now: datetime) -> list[Condition]:
    found = [
        Condition(text, (query[name], query[name]))
        for name, text in (("owner", _OWNER), ("team", _TEAM), ("issuer", _ISSUER))
        if name in query
    ]
    if "subject" in query:
        found.append(Condition(*contains(("c.subject", "c.names"), query["subject"])))
    if "serial" in query:
        found.append(with_serial(query["serial"]))
    if "sha256" in query:
        found.append(Condition("c.sha256 = ?", (query["sha256"].replace(":", "").lower(),)))
    if "verification" in query:
        found.append(_verified(reader, query["verification"] == "verified"))
    if "expiringWithin" in query:
        until = now + parse_duration(query["expiringWithin"])
        found.append(Condition("c.not_after > ? AND c.not_after <= ?", (instant_text(now), instant_text(until))))
    for name, column in (("revoked", "revoked_at"), ("renewed", "renewed_at")):
        if name in query:
            found.append(Condition(f"c.{column} IS {'NOT ' if query[name] else ''}NULL"))
    return found


def with_serial(text: str) -> Condition:
    """The certificates with a serial number, of hexadecimal digits with or without leading zeros and colons."""
    digits = text.replace(":", "").lower()
    sign = "-" if digits.startswith("-") else ""
    return Condition("c.serial = ?", (sign + (digits.lstrip("-0") or "0"),))


def of_issuers(names: Sequence[str]) -> Condition:
    """The certificates of any of these issuers, or of deleted ones that had these names."""
    return Condition(f"({' OR '.join([_ISSUER] * len(names))})", tuple(name for name in names for _ in range(2)))


def of_team(name: str) -> Condition:
    """The same of a team."""
    return Condition(_TEAM, (name, name))


def of_owner(name: str) -> Condition:
    """The same of an account that owns them."""
    return Condition(_OWNER, (name, name))


STILL_OPEN = Condition("c.revoked_at IS NULL AND c.renewed_at IS NULL")
"""The certificates that somebody has to renew before they expire: neither revoked nor renewed."""


def expiring(since: datetime, until: datetime) -> Condition:
    """The certificates that expire from an instant on and before another."""
    return Condition("c.not_after >= ? AND c.not_after < ?", (instant_text(since), instant_text(until)))


_HEX = re.compile(r"-?[0-9A-Fa-f]+(:[0-9A-Fa-f]+)*", re.ASCII)


def with_text(text: str) -> Condition:
    """The certificates with a text in their subject or names, or with it as their serial number or fingerprint."""
    found = Condition(*contains(("c.subject", "c.names"), text))
    if not _HEX.fullmatch(text):
        return found
    serial = with_serial(text)
    fingerprint = text.replace(":", "").lower()
    return Condition(f"({found.text} OR {serial.text} OR c.sha256 = ?)", (*found.values, *serial.values, fingerprint))


Status = Literal["active", "revoked", "expired", "renewed"]


def with_status(status: Status, now: datetime) -> Condition:
    """The certificates that are revoked, expired or renewed, or active: neither of the first two."""
    if status == "active":
        return Condition("c.revoked_at IS NULL AND c.not_after > ?", (instant_text(now),))
    if status == "expired":
        return Condition("c.not_after <= ?", (instant_text(now),))
    return Condition(f"c.{status}_at IS NOT NULL")


def dated(date: Literal["not_before", "not_after"], since: datetime | None, until: datetime | None) -> list[Condition]:
    """The certificates with a date within two instants, both included."""
    bounds = ((">=", since), ("<=", until))
    return [Condition(f"c.{date} {sign} ?", (instant_text(each),)) for sign, each in bounds if each is not None]


_NAMES = (
    *("id", "issuer", "team", "owner", "serial", "issuedBy", "sha256", "verification", "subject", "names", "leftOut"),
    *("notBefore", "notAfter", "url", "renewalUrl", "extraAddresses", "note", "tracked", "registeredAt"),
    *("renews", "renewedBy", "renewedAt", "revokedAt"),
)


def _shown(row: Row) -> dict[str, Any]:
    *values, declared = row
    shown = dict(zip(_NAMES, values, strict=True))
    for name in ("names", "leftOut", "extraAddresses"):
        shown[name] = orjson.loads(shown[name])
    shown["verification"] = verification(shown["verification"], declared)
    shown["tracked"] = bool(shown["tracked"])
    return shown


def verification(by: str | None, declared: str | None) -> str:
    """The word for whether the issuer still declares the CA certificate that verified a certificate."""
    return "verified" if by is not None and declared is not None and by in fingerprints(declared) else "unverified"


def _verified(reader: Reader, wanted: bool) -> Condition:
    """The same as a condition."""
    rows = reader.rows("SELECT id, ca_certificates FROM issuers WHERE ca_certificates <> '[]'")
    pairs = ", ".join(f"({number}, '{each}')" for number, declared in rows for each in sorted(fingerprints(declared)))
    is_verified = f"COALESCE((c.issuer_id, c.verified_by) IN (VALUES {pairs}), FALSE)" if pairs else "FALSE"
    return Condition(f"{'' if wanted else 'NOT '}{is_verified}")
