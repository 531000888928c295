"""Writing the register: each act is one transaction, with its mails and its audit entry.

Anybody who would change the facts that the act is decided by waits for that transaction, so they hold until it ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Row, func, select

from api.authentication.authority import Act, CallersAuthority
from api.authentication.principal import Principal
from api.certificates import quotas, search
from api.certificates.notices import CONCERNED, JOINED, Concerned, put, withdraw
from api.certificates.reading import Certificate, read_certificate
from api.certificates.recipients import folded
from api.certificates.search import Condition, Standing
from api.certificates.verification import verify
from api.decisions import may_decide_for
from api.errors import Conflict, Forbidden, NotFound
from api.outbox.queue import NewMessage
from api.state.freshness import Freshness
from api.state.reader import Reader
from reconciler.access.mails import CERTIFICATE_ISSUED
from reconciler.access.state import AccessState, paths
from reconciler.mail.addresses import domain_of
from reconciler.mail.links import leads_elsewhere
from reconciler.store import tables
from reconciler.store.audit import Event
from reconciler.store.engine import Connection
from reconciler.store.rows import read_texts

_certificates = tables.certificates.c
_COLUMNS = {"tracked": "tracked", "note": "note", "url": "url", "renewalUrl": "renewal_url", "extraAddresses": "extra_addresses"}
"""The fields of a certificate that can be changed, and their columns."""
_KEPT = ("issuer", "team", "owner", "serial", "sha256", "subject", "issuedBy", "notAfter")
"""What the audit log keeps of a deleted entry."""


class Place(NamedTuple):
    """The issuer, team and owner of a new certificate."""

    issuer_id: int
    team_id: int
    owner_id: int
    owner: str
    ca_certificates: tuple[str, ...]
    """Those that the issuer declares."""


class Register:
    """The register of certificates, for those who write it."""

    def __init__(self, reader: Reader, freshness: Freshness) -> None:
        self._reader = reader
        self._freshness = freshness

    def register(
        self, authority: CallersAuthority, request: Mapping[str, Any], *, issued: bool = True, revoked: str | None = None
    ) -> tuple[int, bool]:
        """Register a certificate; returns its ID and whether it is new. If it was not `issued` now, nobody is mailed that it was.

        `revoked`: the reason for which a new one is marked as revoked at once, if it was revoked before.

        Raises Invalid, Unauthenticated, Forbidden, NotFound, Conflict, QuotaExceeded or StoreError.
        """
        certificate, request = read_certificate(request["pem"]), _whole(request)
        owner = request.get("owner", authority.principal.name)
        with authority.acting(owner) as act:
            connection, principal, now = act.connection, act.caller, act.now
            place = self._place(connection, principal, request["issuer"], request["team"], owner)
            _check_links(principal, request["issuer"], request)
            verified_by, renewed = verify(certificate, request["issuer"], place.ca_certificates), request.get("renews")
            known = _known(connection, certificate, place)
            if known is not None:
                self._complete(act, known, place, verified_by, renewed)
                return known.id, False
            if renewed is not None:
                _check_renewable(self._reader, principal, renewed, place)
            values = _values(request, certificate, place, verified_by, principal.name, now)
            number = int(connection.execute(tables.certificates.insert().values(values).returning(_certificates.id)).scalar_one())
            if renewed is not None:
                _mark_renewed(connection, renewed, now)
            addresses = request.get("extraAddresses", ())
            _check_addresses(connection, principal, addresses)
            told = _tell(connection, principal, number, certificate, now) if issued else []
            others = sum(each.user_id != principal.account.id for each in told)
            _count(connection, principal, max(others, len(addresses) + (owner != principal.name)), place.team_id)
            detail = {"serial": certificate.serial, "sha256": certificate.sha256, "verified": verified_by is not None}
            detail |= {"issuer": request["issuer"], "team": request["team"], "owner": owner, "mails": len(told)}
            detail |= {} if renewed is None else {"renews": renewed}
            act.record(_event("register", number, detail))
            if revoked is not None:
                _revoke(act, [number], revoked)
        return number, True

    def change(self, authority: CallersAuthority, number: int, request: Mapping[str, Any]) -> None:
        """Change some fields of a certificate, and the mark that it was renewed. Raises Unauthenticated, Forbidden, NotFound,
        Conflict, QuotaExceeded or StoreError.
        """
        request = _whole(request)
        with authority.acting() as act:
            connection, principal, now = act.connection, act.caller, act.now
            standing = _changeable(self._reader, principal, number)
            before = search.find(self._reader, principal, number)
            before["renewed"] = before["renewedAt"] is not None
            changed = {name: value for name, value in request.items() if value != before[name]}
            if not changed:
                return
            _check_links(principal, standing.issuer, changed)
            if "extraAddresses" in changed:
                known = set(map(folded, before["extraAddresses"]))
                added = [each for each in changed["extraAddresses"] if folded(each) not in known]
                _check_addresses(connection, principal, added)
                _count(connection, principal, len(added), standing.team_id)
            values = {_COLUMNS[name]: value for name, value in changed.items() if name in _COLUMNS}
            if "extra_addresses" in values:
                told = (*values["extra_addresses"], *principal.access.policies.mail.always_send_to)
                withdraw(connection, number, before["extraAddresses"], told, now)
                values["extra_addresses"] = orjson.dumps(values["extra_addresses"]).decode()
            if changed.keys() & {"note", "url", "renewalUrl"}:
                values["described_by"] = principal.name
            if "renewed" in changed:
                if not changed["renewed"]:
                    _check_not_renewed(connection, number)
                values["renewed_at"] = now if changed["renewed"] else None
            if values:
                _write(connection, number, values)
            if "renews" in changed:
                renewed = None if changed["renews"] is None else _changeable(self._reader, principal, changed["renews"])
                _link(connection, number, standing.team_id, before["renews"], renewed, now)
            act.record(_event("change", number, changed))

    def set_revoked(self, authority: CallersAuthority, number: int, revoked: bool) -> None:
        """Mark a certificate as revoked, or remove the mark. Raises Unauthenticated, Forbidden, NotFound or StoreError."""
        with authority.acting() as act:
            _changeable(self._reader, act.caller, number)
            was = search.find(self._reader, act.caller, number)["revokedAt"] is not None
            if was is revoked:
                return
            _write(act.connection, number, {"revoked_at": act.now if revoked else None})
            act.record(_event("revoke" if revoked else "restore", number, {}))

    def revoke(self, authority: CallersAuthority, wanted: Sequence[Condition], reason: str) -> int:
        """Mark the entries of one certificate as revoked, all that the caller may change; returns the first one's ID.

        Raises Unauthenticated, Forbidden, NotFound, Conflict if they are of several certificates, or StoreError.
        """
        with authority.acting() as act:
            visible = search.revocable(self._reader, act.caller, wanted)
            if not visible:
                raise NotFound("there is no such certificate that you may see")
            found = [each for each in visible if may_change(act.caller, each.standing)]
            if not found:
                raise _not_theirs()
            if len({each.sha256 for each in found}) > 1:
                raise Conflict("several certificates have this serial number under this issuer; revoke each by its ID")
            _revoke(act, [each.standing.id for each in found if not each.is_revoked], reason)
            return found[0].standing.id

    def delete(self, authority: CallersAuthority, number: int) -> None:
        """Delete an entry, with its mails; what it renewed is no longer renewed. For administrators.

        Raises Unauthenticated, Forbidden, NotFound or StoreError.
        """
        with authority.acting() as act:
            known = search.find(self._reader, act.caller, number)
            act.connection.execute(tables.certificates.delete().where(_certificates.id == number))
            if known["renews"] is not None:
                _unmark_renewed(act.connection, known["renews"])
            act.record(_event("delete", number, {key: known[key] for key in _KEPT}))

    def _complete(
        self, act: Act, known: Row[int, str | None, int | None], place: Place, by: str | None, renewed: int | None
    ) -> None:
        """Record what an earlier registration of the same certificate lacks: what verifies it now, and what it renews, if nobody
        has said anything of that yet.

        Raises NotFound, Forbidden or Conflict.
        """
        added: dict[str, Any] = {}
        if by is not None and by != known.verified_by:
            _write(act.connection, known.id, {"verified_by": by})
            added["verified"] = True
        if renewed is not None and known.renews_id is None and not _was_linked(act.connection, known.id):
            old = _check_renewable(self._reader, act.caller, renewed, place)
            _link(act.connection, known.id, place.team_id, None, old, act.now)
            added["renews"] = renewed
        if added:
            act.record(_event("change", known.id, added))

    def _place(self, connection: Connection, caller: Principal, issuer: str, team: str, owner: str) -> Place:
        """Check that a certificate may be registered here. Raises Forbidden."""
        access = caller.access
        if owner != caller.name and not may_decide_for(caller, owner, access):
            raise Forbidden(f"this account may not register certificates of `{owner}`", reason="may-not-decide-for")
        narrowing = caller.credential.narrowing
        is_stale = access.is_directory_account(owner) and self._freshness.is_stale_account(
            self._reader, access.accounts[owner].id, caller.now
        )
        if not narrowing.permits_issuer(issuer) or is_stale or not may_use(access.state, owner, issuer, team, caller.now):
            raise Forbidden(f"`{owner}` may not use `{issuer}` through `{team}` now, or this token may not", reason="denied")
        team_id = connection.execute(select(tables.teams.c.id).where(tables.teams.c.name == team)).scalar_one()
        issuers = tables.issuers.c
        issuer_id, declared = connection.execute(select(issuers.id, issuers.ca_certificates).where(issuers.name == issuer)).one()
        return Place(issuer_id, team_id, access.accounts[owner].id, owner, read_texts(declared))


def _was_linked(connection: Connection, number: int) -> bool:
    """Whether the audit log has it that somebody said what a certificate renews, perhaps that it renews nothing."""
    columns = tables.audit.c
    of_it = (columns.kind == "Certificate") & (columns.name == str(number))
    return connection.execute(select(columns.id).where(of_it, columns.detail.contains('"renews"'))).first() is not None


def _whole(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """The request with an integer in place of 1.0, which JSON Schema accepts as one."""
    return request if request.get("renews") is None else {**request, "renews": int(request["renews"])}


def may_use(state: AccessState, user: str, issuer: str, team: str, now: datetime) -> bool:
    """Whether an account may use an issuer through this particular team at an instant."""
    declared = state.issuers.get(issuer)
    if not state.accounts.get(user) or declared is None or not declared.enabled:
        return False
    return any(way.team == team and way.holds_at(now) for way in paths(state, user, issuer))


def _known(connection: Connection, certificate: Certificate, place: Place) -> Row[int, str | None, int | None] | None:
    """This same registration, if it was made before: its ID, what verified it, and what it renews.

    The same certificate of another team or owner is a registration of its own: nobody can keep a certificate out of the
    register by registering it first.
    """
    same = (_certificates.sha256 == certificate.sha256) & (_certificates.issuer_id == place.issuer_id)
    same &= (_certificates.team_id == place.team_id) & (_certificates.owner_id == place.owner_id)
    return connection.execute(select(_certificates.id, _certificates.verified_by, _certificates.renews_id).where(same)).first()


def _check_renewable(reader: Reader, caller: Principal, number: int, place: Place) -> Standing:
    """The certificate of the same team that is to be renewed, if the caller, or the owner whom it acts for, may change it.

    Raises NotFound if the team has no such certificate, or Forbidden. The owner is a member of the team, so it may see it.
    """
    found = search.standing_of(reader, number)
    if found is None or found.team_id != place.team_id or not caller.credential.narrowing.permits_issuer(found.issuer or ""):
        raise NotFound(f"this team has no certificate {number} to renew")
    if not may_change(caller, found) and not _may_account_change(caller, place.owner_id, place.owner, found):
        raise _not_theirs()
    return found


def _mark_renewed(connection: Connection, number: int, now: datetime) -> None:
    still = (_certificates.id == number) & _certificates.renewed_at.is_(None)
    connection.execute(tables.certificates.update().where(still).values(renewed_at=now))


def _check_addresses(connection: Connection, caller: Principal, addresses: Iterable[str]) -> None:
    """Check that new addresses may be mailed to. Raises Forbidden."""
    for domain, address in {domain_of(each): each for each in addresses}.items():
        _check_domain(connection, domain, address, caller.access.policies.mail.permitted_domains)


def _count(connection: Connection, caller: Principal, mails: int, team_id: int | None) -> None:
    """Count mails that the caller causes to others. Raises QuotaExceeded."""
    quotas.spend(connection, caller.account.id, team_id, mails, caller.access.policies.mail, caller.now)


def _check_domain(connection: Connection, domain: str, address: str, permitted: frozenset[str] | None) -> None:
    users = tables.users.c
    if permitted is not None:
        is_permitted = domain in permitted
    else:
        same = (users.source == "declared") & func.lower(users.email).like(f"%@{domain}")  # a domain holds no wildcards
        is_permitted = connection.execute(select(users.id).where(same).limit(1)).first() is not None
    if not is_permitted:
        raise Forbidden(
            f"`{address}` cannot get mails: its domain is not one of the declared users', nor of those that"
            " `permittedRecipientDomains` in the Settings names",
            reason="recipient-not-permitted",
        )


def _check_links(caller: Principal, issuer: str | None, request: Mapping[str, Any]) -> None:
    """Check that links lead to hosts that the issuer declares, if it declares any. Raises Forbidden."""
    declared = caller.access.state.issuers.get(issuer or "")
    hosts = frozenset(declared.link_hosts) if declared is not None else frozenset()
    permitted = ", ".join(sorted(hosts))
    for name in ("url", "renewalUrl") if hosts else ():
        link = request.get(name)
        if link is not None and leads_elsewhere(link, hosts):
            raise Forbidden(
                f"`{name}` leads to another host than those that the issuer declares: {permitted}",
                reason="link-not-permitted",
            )


def _values(
    request: Mapping[str, Any], certificate: Certificate, place: Place, verified_by: str | None, caller: str, now: datetime
) -> dict[str, Any]:
    return {
        "issuer_id": place.issuer_id,
        "issuer_name": request["issuer"],
        "team_id": place.team_id,
        "team_name": request["team"],
        "owner_id": place.owner_id,
        "owner_name": place.owner,
        "serial": certificate.serial,
        "sha256": certificate.sha256,
        "issued_by": certificate.issued_by,
        "subject": certificate.subject,
        "names": orjson.dumps(certificate.names).decode(),
        "not_before": certificate.not_before,
        "not_after": certificate.not_after,
        "pem": certificate.pem,
        "left_out": orjson.dumps(certificate.left_out).decode(),
        "verified_by": verified_by,
        "url": request.get("url"),
        "renewal_url": request.get("renewalUrl"),
        "extra_addresses": orjson.dumps(request.get("extraAddresses", [])).decode(),
        "note": request.get("note", ""),
        "described_by": caller,
        "tracked": request.get("tracked", True),
        "registered_at": now,
        "next_reminder_at": now,
        "renews_id": request.get("renews"),
    }


def _tell(connection: Connection, caller: Principal, number: int, certificate: Certificate, now: datetime) -> list[NewMessage]:
    """Mail that a certificate was issued, unless it has already expired; returns the mails."""
    policy = caller.access.policies.mail
    query = select(*CONCERNED, tables.teams.c.suppress_issued_emails).select_from(JOINED).where(_certificates.id == number)
    *concerned, suppressed = connection.execute(query).one()
    if suppressed or not policy.on_issue or certificate.not_after <= now:
        return []
    return put(connection, CERTIFICATE_ISSUED, [(Concerned(*concerned), {})], policy.always_send_to, now)


def _changeable(reader: Reader, caller: Principal, number: int) -> Standing:
    """A certificate that the caller may change. Raises NotFound if the caller may not see it, or Forbidden."""
    found = search.standing(reader, caller, number)
    if not may_change(caller, found):
        raise _not_theirs()
    return found


def _not_theirs() -> Forbidden:
    return Forbidden(
        "only its owner, administrators, and members of its team who may currently use its issuer through that team"
        " may change this certificate, or register one that renews it",
        reason="denied",
    )


def may_change(caller: Principal, found: Standing) -> bool:
    """Whether the caller may change a certificate that it may see."""
    return caller.is_administrator or _may_account_change(caller, caller.account.id, caller.name, found)


def _may_account_change(caller: Principal, account_id: int, name: str, found: Standing) -> bool:
    """The same of an account that the caller acts for, which lends nobody the powers of an administrator."""
    if found.owner_id == account_id:
        return True
    if found.team is None or found.issuer is None:
        return False
    return may_use(caller.access.state, name, found.issuer, found.team, caller.now)


def _link(
    connection: Connection, number: int, team_id: int | None, before: int | None, renewed: Standing | None, now: datetime
) -> None:
    """Record which certificate this one of a team renews, if any. Raises Conflict."""
    if renewed is not None:
        if renewed.team_id is None or renewed.team_id != team_id:
            raise Conflict(f"this certificate cannot renew certificate {renewed.id}, whose team is another or was deleted")
        if number in _renewed_by(connection, renewed.id):
            raise Conflict(f"this certificate cannot renew certificate {renewed.id}, which is the same or renews it")
    _write(connection, number, {"renews_id": renewed and renewed.id})
    if renewed is not None:
        _mark_renewed(connection, renewed.id, now)
    if before is not None:
        _unmark_renewed(connection, before)


def _unmark_renewed(connection: Connection, number: int) -> None:
    """Remove the mark of a renewal unless another certificate renews this one: its reminders come back."""
    if not _is_renewed(connection, number):
        _write(connection, number, {"renewed_at": None})


def _check_not_renewed(connection: Connection, number: int) -> None:
    """Check that nothing renews a certificate, so that the mark may go. Raises Conflict."""
    if _is_renewed(connection, number):
        raise Conflict("another certificate renews this one; change what that one renews instead")


def _is_renewed(connection: Connection, number: int) -> bool:
    return connection.execute(select(_certificates.id).where(_certificates.renews_id == number)).first() is not None


def _renewed_by(connection: Connection, number: int) -> list[int]:
    """The IDs of a certificate, of the one that it renews, and so on."""
    found: list[int] = []
    following: int | None = number
    while following is not None:
        found.append(following)
        following = connection.execute(select(_certificates.renews_id).where(_certificates.id == following)).scalar()
    return found


def _write(connection: Connection, number: int, values: Mapping[str, Any]) -> None:
    connection.execute(tables.certificates.update().where(_certificates.id == number).values(values))


def _revoke(act: Act, numbers: Sequence[int], reason: str) -> None:
    for number in numbers:
        _write(act.connection, number, {"revoked_at": act.now})
    act.record(*(_event("revoke", number, {"reason": reason}) for number in numbers))


def _event(action: str, number: int, detail: Mapping[str, Any]) -> Event:
    return Event(f"certificate.{action}", "Certificate", str(number), dict(detail))
