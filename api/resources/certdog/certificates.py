"""Certificates, as existing clients read, search, change and revoke them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from api.authentication.principal import Principal
from api.certificates import search
from api.certificates.search import Condition
from api.errors import NotFound, NotOffered, Problem
from api.http.certdog import GUIDE, written
from api.http.operations import Call
from api.http.shapes import NO_CONTROL, Schema
from api.resources.base import Resource
from api.resources.certdog.asked import Asked, Fits, asked
from api.resources.certdog.base import certdog_operation
from api.resources.certdog.details import detail
from api.resources.certdog.ids import Ids, certificate_id, certificate_number
from api.resources.certdog.issuers import of_name
from api.resources.certdog.reasons import reason

MOST = 10_000
"""Certificates of one answer. A longer one is refused unless the client asked for no more: a script would miss the rest."""
LARGEST = 128 << 20
"""Bytes of one answer, which is whole in memory. Usual certificates stay below it; but each may have hundreds of KiB."""
AT_ONCE = 20
_PAUSE = 0.001
"""Certificates that are read and written at once, and seconds before the next: decisions in other threads come in between."""
PATIENCE = 10.0
"""Seconds for finding certificates: linear time is long with a long expression and a long register."""
PATH: dict[str, Schema] = {
    "cert_id": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": NO_CONTROL, "examples": [certificate_id(7)]}
}


class Certificates(Resource):
    """`GET /certdog/api/certs`."""

    @certdog_operation("List certificates", access="account", response="ExistingCertificates")
    def on_get(self, call: Call) -> Any:
        """Those that the caller may see, the newest first. More than 10,000 are refused."""
        return listed(self, call, Asked([], None))


class CertificateSearch(Resource):
    """`POST /certdog/api/certs/search`."""

    @certdog_operation(
        "Search certificates", access="account", body="ExistingSearch", response="ExistingCertificates", errors=(404,)
    )
    def on_post(self, call: Call) -> Any:
        """Those that the caller may see and that meet all conditions, the newest first. Without `certsPerPage`, more than 10,000
        are refused."""
        found = asked(call.body, call.now)
        team = call.body.get("teamId")
        if team:
            found.conditions.append(self._of_team(call.caller, team))
        most = call.body.get("certsPerPage")
        return listed(self, call, found, None if most is None else int(most))  # 5.0 is an integer in JSON Schema

    def _of_team(self, caller: Principal, identifier: str) -> Condition:
        """Whether a team exists that the caller has nothing to do with is not told. Raises NotFound."""
        reader = self.service.reader
        name = Ids(reader).name("Team", identifier)
        if name is not None:
            condition = search.of_team(name)
            known = caller.is_administrator or name in {each.name for each in caller.teams}
            if known or any(search.scan(reader, caller, [condition])):
                return condition
        raise NotFound(f"there is no team with the id `{identifier}` whose certificates you may see")


class Certificate(Resource):
    """`/certdog/api/certs/ID`."""

    @certdog_operation("Show a certificate", access="account", response="ExistingCertificate", errors=(404,), path=PATH)
    def on_get(self, call: Call, cert_id: str) -> Any:
        """With its PEM. A certificate that the caller may not see is not found."""
        return shown(self, call, number_of(cert_id))

    @certdog_operation(
        "Change a certificate",
        access="account",
        body="ExistingChange",
        response="ExistingCertificate",
        errors=(404, 409, 429),
        path=PATH,
    )
    def on_patch(self, call: Call, cert_id: str) -> Any:
        """Changes what Accord does with it; the certificate itself never changes. What is null stays as it is. For its owner,
        administrators, and members of its team who may use its issuer through that team now."""
        number = number_of(cert_id)
        self.service.register.change(call.authority, number, _change(call.body))
        return shown(self, call, number)


class Revocation(Resource):
    """`POST /certdog/api/certs/revoke`."""

    @certdog_operation(
        "Mark a certificate as revoked",
        access="account",
        body="ExistingRevocation",
        response="ExistingRevoked",
        errors=(404, 409),
    )
    def on_post(self, call: Call) -> Any:
        """Its issuer revokes it; Accord only notes that and stops its reminders. All its entries that the caller may change are
        marked. By its id, or by its serial number and its issuer."""
        wanted = self._wanted(call)
        number = self.service.register.revoke(call.authority, wanted, reason(call.body.get("reason")))
        return {"certId": certificate_id(number), "revoked": True}

    def _wanted(self, call: Call) -> list[Condition]:
        """Every property that is given must hold, so that a wrong one revokes nothing. Raises NotFound."""
        body, found = call.body, []
        if body.get("certId"):
            found.append(search.numbered(number_of(body["certId"])))
        if body.get("serialNumber"):
            found.append(search.with_serial(body["serialNumber"]))
        for given in filter(None, (body.get("caId"), body.get("caName"))):
            found.append(search.of_issuers(of_name(call.caller, Ids(self.service.reader), given)))
        return found


class CertificateRequests(Resource):
    """`POST /certdog/api/certs/request` and `requestp10`."""

    @certdog_operation("Request a certificate", access="account", status=501)
    def on_post(self, call: Call) -> None:
        """Accord issues none."""
        raise NotOffered(f"Accord issues no certificates: ask the issuer itself, and register what it issues; see `{GUIDE}`")


class CertificateKeys(Resource):
    """`/certdog/api/certs/ID/jks` and `pem`."""

    @certdog_operation("Download a key", access="account", status=501, path=PATH)
    def on_get(self, call: Call, cert_id: str) -> None:
        """Accord keeps none."""
        raise NotOffered(
            f"Accord keeps no keys, so it makes no such file; the certificate is in its detail, as PEM; see `{GUIDE}`"
        )

    on_post = on_get


def number_of(text: str) -> int:
    """The number of an entry, by its id. Raises NotFound."""
    number = certificate_number(text)
    if number is None:
        raise NotFound("there is no certificate with this id that you may see; ids have 24 hexadecimal digits")
    return number


def shown(resource: Resource, call: Call, number: int) -> dict[str, Any]:
    """The detail of an entry. Raises NotFound, also if the caller may not see it, or StoreError."""
    reader = resource.service.reader
    return detail(search.entry(reader, call.caller, number), Ids(reader), call.now)


def listed(resource: Resource, call: Call, wanted: Asked, most: int | None = None) -> bytes:
    """The details of certificates as JSON, written piece by piece. Raises Problem if there are too many, or too large ones."""
    reader, limit = resource.service.reader, MOST if most is None else min(most, MOST)
    fits = None if wanted.fits is None else _within(PATIENCE, wanted.fits)
    numbers = list(islice(search.scan(reader, call.caller, wanted.conditions, fits), limit + 1))
    if len(numbers) > limit and limit != most:
        raise Problem(f"there are more than {MOST:,} certificates; search for fewer, or for the newest: `certsPerPage`")
    ids, size = Ids(reader), 0
    found: list[bytes] = []
    for start in range(0, min(len(numbers), limit), AT_ONCE):
        if start:
            time.sleep(_PAUSE)
        entries = search.entries(reader, call.caller, numbers[start : min(start + AT_ONCE, limit)])
        piece = [written(detail(each, ids, call.now)) for each in entries]
        size += sum(map(len, piece))
        if size > LARGEST:
            raise Problem(f"these certificates have more than {LARGEST:,} bytes; search for fewer")
        found += piece
    return b"[" + b",".join(found) + b"]"


def _within(seconds: float, fits: Fits) -> Fits:
    """The same judgement, until it has taken too long. It raises Problem then."""
    until = time.monotonic() + seconds

    def judge(subject: str, issuer: str) -> bool:
        if time.monotonic() > until:
            raise Problem(f"the search took more than {seconds:g} seconds; make its expressions simpler, or ask for fewer dates")
        return fits(subject, issuer)

    return judge


def note(text: str | None) -> str | None:
    """What these clients write about a certificate, as a note; None if they write nothing."""
    return None if text is None else text.replace("\r\n", "\n").replace("\r", "\n")


def addresses(given: Sequence[str | None] | None) -> list[str] | None:
    """Additional addresses; scripts write null for none."""
    return None if given is None else list(dict.fromkeys(each for each in given if each))


def _change(body: Mapping[str, Any]) -> dict[str, Any]:
    """A change in Accord's own words."""
    text = body.get("extraDetails")
    found = {
        "renewed": body.get("renewed"),
        "tracked": body.get("trackExpiry"),
        "note": note(body.get("extraInfo") if text is None else text),
        "extraAddresses": addresses(body.get("extraEmails")),
    }
    return {name: value for name, value in found.items() if value is not None}
