"""Finding the certificates that a caller may see. IDs decide that: a new resource with an old name has a new ID."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from api.authentication.principal import Principal
from api.certificates.verification import fingerprints
from api.errors import NotFound
from api.state.accounts import MEMBERS
from api.state.pages import Page, contains
from api.state.reader import Reader, Row
from reconciler.access.instants import parse_duration
from reconciler.store.tables import instant_text

_COLUMNS = """c.id, COALESCE(i.name, c.issuer_name), COALESCE(t.name, c.team_name), COALESCE(u.name, c.owner_name),
c.serial, c.issued_by, c.sha256, c.verified_by, c.subject, c.names, c.left_out, c.not_before, c.not_after, c.url, c.renewal_url,
c.extra_addresses, c.note, c.tracked, c.registered_at,
c.renews_id, (SELECT max(n.id) FROM certificates n WHERE n.renews_id = c.id), c.renewed_at, c.revoked_at,
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


def find(reader: Reader, caller: Principal, certificate_id: int) -> dict[str, Any]:
    """A certificate as the API shows it, with its PEM. Raises NotFound, also if the caller may not see it, or StoreError."""
    row = _one(reader, caller, certificate_id, f"{_COLUMNS}, c.pem")
    return {**_shown(row[:-1]), "pem": row[-1]}


def find_any(reader: Reader, certificate_id: int) -> dict[str, Any]:
    """The same for a caller who just registered it, perhaps for another account."""
    (row,) = _rows(reader, f"{_COLUMNS}, c.pem", [Condition("c.id = ?", (certificate_id,))])
    return {**_shown(row[:-1]), "pem": row[-1]}


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


def list_certificates(reader: Reader, caller: Principal, query: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """A page of the certificates that the caller may see and asks for, by expiry. Raises NotFound or StoreError."""
    page = Page.of(query)
    instant, number = page.after_instant
    behind = Condition("c.not_after >= ? AND (c.not_after > ? OR c.id > ?)", (instant, instant, number))
    conditions = [behind, *visible_to(caller), *_asked_for(reader, query, now)]
    rows = _rows(reader, _COLUMNS, conditions, "ORDER BY c.not_after, c.id LIMIT ?", page.limit + 1)
    return page.cut([_shown(row) for row in rows], lambda item: f"{item['notAfter']} {item['id']}")


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
        digits = query["serial"].replace(":", "").lower()
        sign = "-" if digits.startswith("-") else ""
        found.append(Condition("c.serial = ?", (sign + (digits.lstrip("-0") or "0"),)))
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
