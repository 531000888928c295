"""Importing certificates, as existing clients do."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from typing import Any

from api.authentication.principal import Principal
from api.certificates import search
from api.certificates.importing import belonging
from api.certificates.reading import Certificate, read_certificate
from api.decisions import may_decide_for
from api.errors import Conflict, Forbidden, Invalid, NotFound
from api.http.operations import Call
from api.resources.base import Resource
from api.resources.certdog.base import certdog_operation
from api.resources.certdog.certificates import addresses, note
from api.resources.certdog.details import detail
from api.resources.certdog.ids import Ids, certificate_id
from api.resources.certdog.issuers import of_name
from api.resources.certdog.reasons import reason
from api.resources.certificates import MAX_REGISTRATION

_BOUNDARY = re.compile(r"-----\s*(BEGIN|END) ([A-Z0-9]+(?: [A-Z0-9]+)*)\s*-----")
"""The lines around PEM, also with spaces beside the dashes. Nothing in it can match the same spaces twice: a text may be long."""


class Import(Resource):
    """`POST /certdog/api/certs/import`."""

    @certdog_operation(
        "Import a certificate",
        access="account",
        body="ExistingImport",
        response="ExistingCertificate",
        errors=(404, 409, 429),
        max_body=MAX_REGISTRATION,
    )
    def on_post(self, call: Call) -> Any:
        """Registers one that was issued before: nobody is mailed that it was issued, but reminders come. It belongs to the issuer
        whose CA certificates verify it, among those that its owner may use now, or to the one that is named."""
        body, ids = call.body, Ids(self.service.reader)
        why = reason(body.get("revocationReason"))
        revoked = why if body.get("revoked") else None
        pem = as_pem(body["certData"])
        certificate = _read(pem)
        caller, owner = self._owner(call, body.get("ownerUserId"), ids)
        known = search.same_certificate(self.service.reader, caller, certificate.sha256)
        if known:
            raise self._already_there(call, *next((each for each in known if each[1] == owner), known[0]), revoked)
        request = self._request(caller, owner, body, ids, certificate)
        number, is_new = self.service.register.register(call.authority, {**request, "pem": pem}, issued=False, revoked=revoked)
        if not is_new:
            raise self._already_there(call, number, owner, revoked)
        return detail(search.any_entry(self.service.reader, number), ids, call.now)

    def _owner(self, call: Call, given: str | None, ids: Ids) -> tuple[Principal, str]:
        """The caller with the owner's access at hand, and the owner. Raises Forbidden or NotFound."""
        owner = ids.name("User", given) if given else call.caller.name
        if owner is None:
            if call.caller.is_administrator:
                raise NotFound(f"there is no user with the id `{given}`")
            raise Forbidden("this account may not register certificates of that user", reason="may-not-decide-for")
        caller = self.service.authenticator.beside(call.caller, owner)
        if owner != caller.name and not may_decide_for(caller, owner, caller.access):
            raise Forbidden("this account may not register certificates of that user", reason="may-not-decide-for")
        return caller, owner

    def _request(
        self, caller: Principal, owner: str, body: Mapping[str, Any], ids: Ids, certificate: Certificate
    ) -> dict[str, Any]:
        """What to register. Raises Forbidden, NotFound or Conflict."""
        team = ids.name("Team", body["teamId"]) if body.get("teamId") else None
        if body.get("teamId") and team not in {each.name for each in caller.access.teams(owner, caller.now)}:
            raise NotFound(f"`{owner}` is in no team with the id `{body['teamId']}`")  # whether others have it is not told
        named = [set(of_name(caller, ids, body[name])) for name in ("caName", "caId", "certIssuerId") if body.get(name)]
        issuers = set.intersection(*named) if named else None
        place = belonging(caller.access.state, owner, certificate, issuers=issuers, team=team, now=caller.now)
        found = {"issuer": place.issuer, "team": place.team, "owner": owner}
        more = {"note": note(body.get("extraInfo")), "extraAddresses": addresses(body.get("extraEmails"))}
        return {**found, **{name: value for name, value in more.items() if value}}

    def _already_there(self, call: Call, number: int, owner: str, revoked: str | None) -> Conflict:
        """Mark it as revoked, if it comes so, and say where it is: scripts read the id out of this sentence."""
        if revoked is not None:
            self.service.register.revoke(call.authority, [search.numbered(number)], revoked)
        where = f"id: {certificate_id(number)}, owner: {owner}"
        return Conflict(f"The certificate is already present in the system. Details: {where}")


def as_pem(text: str) -> str:
    """PEM as it is, or of the base64 of a DER alone."""
    if "-----" in text:
        return _BOUNDARY.sub(r"-----\1 \2-----", text)
    lines = textwrap.wrap("".join(text.split()), 64)
    return "\n".join(["-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""])


def _read(pem: str) -> Certificate:
    try:
        return read_certificate(pem)
    except Invalid as problem:
        raise Invalid(problem.detail.replace("`pem`", "`certData`")) from None
