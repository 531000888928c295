"""The register of certificates: whoever issued one registers it, and Accord tells those concerned, now and before it expires."""

from __future__ import annotations

from typing import Any

import falcon

from api.certificates import search
from api.http.operations import Call, operation
from api.http.schemas import NAME, NO_CONTROL, PAGE, Schema
from api.resources.base import Resource

TAG = "Certificates"
_PATH: dict[str, Schema] = {"certificate_id": {"type": "string", "pattern": "^[1-9][0-9]{0,8}$", "examples": ["7"]}}


class Certificates(Resource):
    """All that the caller may see."""

    @operation(
        "List certificates",
        access="account",
        tag=TAG,
        response="CertificatePage",
        errors=(404,),
        query={
            "owner": NAME,
            "team": NAME,
            "issuer": NAME,
            "subject": {
                "type": "string",
                "minLength": 1,
                "maxLength": 255,
                "pattern": NO_CONTROL,
                "description": "In the subject, or in an alternative name.",
            },
            "serial": {
                "type": "string",
                "maxLength": 128,
                "pattern": "^[0-9A-Fa-f]+(:[0-9A-Fa-f]+)*$",
                "description": "Hexadecimal digits.",
            },
            "expiringWithin": {
                "type": "string",
                "pattern": "^[0-9]{1,5}[smhd]$",
                "examples": ["30d"],
                "description": "Not those that have expired.",
            },
            "revoked": {"type": "boolean"},
            "renewed": {"type": "boolean"},
            **PAGE,
        },
    )
    def on_get(self, call: Call) -> Any:
        """Those that the caller owns, and those of its teams; for an administrator all. What expires first comes first."""
        return search.list_certificates(self.service.reader, call.caller, call.query, call.now)

    @operation(
        "Register a certificate",
        access="account",
        tag=TAG,
        body="CertificateRequest",
        status=201,
        repeat_status=200,
        response="Certificate",
        errors=(404, 409),
    )
    def on_post(self, call: Call) -> Any:
        """By the application that issued it, or by its owner. The owner must be allowed to use the issuer through that team now.
        The same certificate of the same team and owner again is answered with 200 and what is registered; nobody is mailed twice.
        """
        number, is_new = self.service.register.register(call.caller, call.body, call.now)
        if not is_new:
            call.response.status = falcon.HTTP_200
        return search.find_any(self.service.reader, number)


class Certificate(Resource):
    """One of them."""

    @operation("Show a certificate", access="account", tag=TAG, response="Certificate", errors=(404,), path=_PATH)
    def on_get(self, call: Call, certificate_id: str) -> Any:
        """With its PEM. One that the caller may not see is not there."""
        return search.find(self.service.reader, call.caller, int(certificate_id))

    @operation(
        "Change a certificate",
        access="account",
        tag=TAG,
        body="CertificateChange",
        response="Certificate",
        errors=(404, 409),
        path=_PATH,
    )
    def on_patch(self, call: Call, certificate_id: str) -> Any:
        """What Accord does with it: the certificate itself never changes. By its owner, by administrators, and by members of its
        team who may use its issuer through that team now."""
        self.service.register.change(call.caller, int(certificate_id), call.body, call.now)
        return search.find(self.service.reader, call.caller, int(certificate_id))


class CertificateRevoked(Resource):
    """The mark that it is revoked."""

    @operation("Mark a certificate as revoked", access="account", tag=TAG, status=204, errors=(404,), path=_PATH)
    def on_put(self, call: Call, certificate_id: str) -> None:
        """Its issuer revokes it; here it is only noted, and there are no more reminders of it. By whoever may change it."""
        self.service.register.set_revoked(call.caller, int(certificate_id), True, call.now)

    @operation("Take the mark back", access="account", tag=TAG, status=204, errors=(404,), path=_PATH)
    def on_delete(self, call: Call, certificate_id: str) -> None:
        """Where it was marked by mistake, or was only on hold. By whoever may change it."""
        self.service.register.set_revoked(call.caller, int(certificate_id), False, call.now)
