"""The register of certificates. Issuing applications register them; Accord mails those concerned, now and before they expire."""

from __future__ import annotations

from typing import Any

import falcon

from api.certificates import search
from api.http.operations import Call, operation
from api.http.shapes import ACCOUNT, DURATION, NAME, NO_CONTROL, PAGE, Schema
from api.resources.base import Resource

TAG = "Certificates"
MAX_REGISTRATION = 512 * 1024
"""Bytes of a request that registers a certificate: enough for one with 1,000 of the longest names, and its chain."""
_PATH: dict[str, Schema] = {"certificate_id": {"type": "string", "pattern": "^[1-9][0-9]{0,8}$", "examples": ["7"]}}


class Certificates(Resource):
    """The certificates that the caller may see."""

    @operation(
        "List certificates",
        access="account",
        tag=TAG,
        response="CertificatePage",
        errors=(404,),
        query={
            "owner": ACCOUNT,
            "team": NAME,
            "issuer": NAME,
            "subject": {
                "type": "string",
                "minLength": 1,
                "maxLength": 255,
                "pattern": NO_CONTROL,
                "description": "Text in the subject or in an alternative name.",
            },
            "serial": {
                "type": "string",
                "maxLength": 3000,
                "pattern": "^-?[0-9A-Fa-f]+(:[0-9A-Fa-f]+)*$",
                "description": "Hexadecimal digits. Certificates of several authorities can have the same.",
            },
            "sha256": {
                "type": "string",
                "pattern": "^[0-9A-Fa-f]{2}(:?[0-9A-Fa-f]{2}){31}$",
                "description": "The fingerprint: SHA-256 of the DER.",
            },
            "verification": {"enum": ["verified", "unverified"]},
            "expiringWithin": {**DURATION, "description": "A duration such as `30d`. Expired certificates are left out."},
            "revoked": {"type": "boolean"},
            "renewed": {"type": "boolean"},
            **PAGE,
        },
    )
    def on_get(self, call: Call) -> Any:
        """The caller's own and those of its teams; administrators see all. The first to expire comes first."""
        return search.list_certificates(self.service.reader, call.caller, call.query, call.now)

    @operation(
        "Register a certificate",
        access="account",
        tag=TAG,
        body="CertificateRequest",
        status=201,
        repeat_status=200,
        response="Certificate",
        errors=(404, 409, 429),
        max_body=MAX_REGISTRATION,
    )
    def on_post(self, call: Call) -> Any:
        """For the application that issued it, or its owner. The owner must be allowed to use the issuer through that team now.
        If the issuer declares CA certificates, one of them must have signed it, or the first certificate of the chain that `pem`
        holds as well. Registering the same certificate for the same issuer, team and owner again returns 200 and the entry, which
        gets only what it lacks: that it is verified, and what it renews. Nobody is mailed twice.
        """
        number, is_new = self.service.register.register(call.authority, call.body)
        if not is_new:
            call.response.status = falcon.HTTP_200
        return search.find_any(self.service.reader, number)


class Certificate(Resource):
    """One certificate."""

    @operation("Show a certificate", access="account", tag=TAG, response="Certificate", errors=(404,), path=_PATH)
    def on_get(self, call: Call, certificate_id: str) -> Any:
        """With its PEM. A certificate that the caller may not see is not found."""
        return search.find(self.service.reader, call.caller, int(certificate_id))

    @operation(
        "Change a certificate",
        access="account",
        tag=TAG,
        body="CertificateChange",
        response="Certificate",
        errors=(404, 409, 429),
        path=_PATH,
    )
    def on_patch(self, call: Call, certificate_id: str) -> Any:
        """Changes what Accord does with it; the certificate itself never changes. For its owner, administrators, and members of
        its team who may use its issuer through that team now."""
        self.service.register.change(call.authority, int(certificate_id), call.body)
        return search.find(self.service.reader, call.caller, int(certificate_id))

    @operation("Delete a certificate", access="administrator", tag=TAG, status=204, errors=(404,), path=_PATH)
    def on_delete(self, call: Call, certificate_id: str) -> None:
        """From the register, with its mails. For entries made by mistake; the audit log keeps what it was. A certificate that it
        renewed gets reminders again."""
        self.service.register.delete(call.authority, int(certificate_id))


class CertificateRevoked(Resource):
    """The mark that a certificate is revoked."""

    @operation("Mark a certificate as revoked", access="account", tag=TAG, status=204, errors=(404,), path=_PATH)
    def on_put(self, call: Call, certificate_id: str) -> None:
        """Its issuer revokes it; Accord only notes that and stops its reminders. For those who may change it."""
        self.service.register.set_revoked(call.authority, int(certificate_id), True)

    @operation("Remove the mark", access="account", tag=TAG, status=204, errors=(404,), path=_PATH)
    def on_delete(self, call: Call, certificate_id: str) -> None:
        """If it was marked by mistake or was only on hold. For those who may change it."""
        self.service.register.set_revoked(call.authority, int(certificate_id), False)
