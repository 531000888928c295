"""The bodies and answers of existing clients of the product that Accord succeeds (see `api.http.certdog`)."""

from __future__ import annotations

from api.http.shapes import ANY_NOTE, NAMES, NO_CONTROL, NO_EMAIL, SHOWN_NAME, UNKNOWN, Schema, answer, nullable, one_of, ref

_TEXT: Schema = {"type": "string"}
_OPTIONAL = nullable(_TEXT)
_FLAG: Schema = {"type": "boolean"}
_INSTANT: Schema = {"type": "string", "examples": ["2026-01-28T15:59:51.000+00:00"]}
_SHOWN_INSTANT: Schema = {"type": "string", "examples": ["2026-01-28 15:59:51"], "description": "In UTC."}
_ID: Schema = {"type": "string", "pattern": "^[0-9a-fA-F]{24}$", "examples": ["000000000000000000000007"]}
_SHOWN_ID: Schema = {
    "type": "string",
    "examples": ["5f2b7c9d1e3a4b5c6d7e8f90"],
    "description": "24 hexadecimal digits, which stay when what they stand for is renamed.",
}
_NO_ID: Schema = nullable({"type": "string", "pattern": "^([0-9a-fA-F]{24})?$", "examples": ["000000000000000000000007"]})
"""An id, or nothing."""
_PATTERN: Schema = nullable(
    {
        "type": "string",
        "maxLength": 4000,
        "format": "re2",
        "examples": ["(?i)^CN=www\\.example\\.org"],
        "description": "A regular expression (RE2), found anywhere in the name as `CN=a,O=b` or as `CN=a, O=b`.",
    }
)
_MOMENT: Schema = nullable(
    {
        "type": "string",
        "maxLength": 40,
        "format": "existing-instant",
        "examples": ["2026-01-28T15:59"],
        "description": "`yyyy-MM-ddTHH:mm`, perhaps with seconds, a fraction and an offset; without an offset, in UTC.",
    }
)
_SERIAL: Schema = {
    "type": "string",
    "maxLength": 3000,
    "pattern": "^-?[0-9A-Fa-f]+(:[0-9A-Fa-f]+)*$",
    "examples": ["1a2b3c"],
    "description": "Hexadecimal digits.",
}
_NO_SERIAL: Schema = nullable({**_SERIAL, "pattern": "^(-?[0-9A-Fa-f]+(:[0-9A-Fa-f]+)*)?$"})
_ISSUER_NAME: Schema = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": NO_CONTROL, "examples": ["Internal TLS"]}
_REASON: Schema = nullable(
    {
        "type": "string",
        "maxLength": 64,
        "format": "revocation-reason",
        "examples": ["superseded"],
        "description": "In any usual spelling; unspecified if it is left out.",
    }
)
_NOTE: Schema = nullable(ANY_NOTE)
_EMAILS: Schema = nullable({"type": "array", "items": NO_EMAIL, "maxItems": 20})


def _body(properties: dict[str, Schema], required: tuple[str, ...] = ()) -> Schema:
    """A body. Unknown properties are refused unless they are empty: what is ignored could show or change too much."""
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": UNKNOWN}


_REVOCATION: dict[str, Schema] = {
    "certId": nullable({"type": "string", "maxLength": 0}),
    "serialNumber": _SERIAL,
    "caName": nullable({"type": "string", "maxLength": 255, "pattern": NO_CONTROL}),
    "caId": _NO_ID,
    "reason": _REASON,
}

EXISTING: dict[str, Schema] = {
    "ExistingError": answer(
        {
            "timestamp": {"type": "string"},
            "status": {"type": "integer"},
            "error": {"type": "string"},
            "message": {"type": "string"},
            "path": {"type": "string"},
        }
    ),
    "ExistingLogin": answer({"username": SHOWN_NAME, "token": {"type": "string"}}),
    "ExistingLogout": answer({"username": SHOWN_NAME}),
    "ExistingTeam": answer(
        {
            "id": _SHOWN_ID,
            "name": {**_TEXT, "description": "The team's display name, or else its name."},
            "description": _TEXT,
            "internalGroup": {**one_of("USER", "ADMIN"), "description": "ADMIN for a team of administrators."},
            "adGroups": NAMES,
            "authorisedCas": {"type": "array", "items": _SHOWN_ID, "description": "The issuers that it may use now."},
            "adminUsernames": NAMES,
            "dontSendEmailsOnIssue": {"type": "boolean"},
            "dontSendReminderEmails": {"type": "boolean"},
            "ipWhiteList": nullable({"type": "string", "description": "Permitted IPs, with commas between them."}),
        }
    ),
    "ExistingTeams": {"type": "array", "items": ref("ExistingTeam")},
    "ExistingIssuers": NAMES,
    "ExistingIssuer": answer(
        {
            "id": _TEXT,
            "caName": {**_TEXT, "description": "Its display name."},
            "caType": _OPTIONAL,
            "caTypeName": _OPTIONAL,
            "caCerts": {**NAMES, "description": "The CA certificates that it declares, as PEM."},
            "caSubjectDn": {**_OPTIONAL, "description": "The subject of the first of them."},
            "dnRestrictionId": _OPTIONAL,
        }
    ),
    "ExistingIssuerList": {"type": "array", "items": ref("ExistingIssuer")},
    "ExistingChain": {**NAMES, "description": "CA certificates as PEM, each before its own issuer's."},
    "ExistingGenerators": {"type": "array", "items": {"type": "object"}},
    "ExistingEvent": answer({"timestamp": _INSTANT, "timestampStr": _SHOWN_INSTANT, "event": _TEXT, "details": _TEXT}),
    "ExistingCertificate": answer(
        {
            "id": _TEXT,
            "caId": {**_OPTIONAL, "description": "Its issuer, unless that is deleted."},
            "localCaId": _OPTIONAL,
            "csrId": _OPTIONAL,
            "pemCert": _TEXT,
            "commonName": _OPTIONAL,
            "subjectDn": {**_TEXT, "examples": ["CN=www.example.org, O=Example"]},
            "issuerDn": _TEXT,
            "issuerCertId": _OPTIONAL,
            "serialNumber": {**_TEXT, "description": "Hexadecimal digits, small, without leading zeros."},
            "signatureAlgorithm": _OPTIONAL,
            "hashAlgorithm": _OPTIONAL,
            "keyUsages": NAMES,
            "enhancedKeyUsages": NAMES,
            "subjectAlternativeNames": {**NAMES, "examples": [["DNS:www.example.org", "IP:10.20.1.7"]]},
            "validFrom": _INSTANT,
            "validTo": _INSTANT,
            "validFromStr": _SHOWN_INSTANT,
            "validToStr": _SHOWN_INSTANT,
            "ownerUserId": _OPTIONAL,
            "ownerUsername": _TEXT,
            "teamId": _OPTIONAL,
            "active": {**_FLAG, "description": "Neither revoked nor expired."},
            "status": {**_TEXT, "description": "`Valid`, `Revoked` or `Expired`."},
            "renewed": _FLAG,
            "renewedByCertId": _OPTIONAL,
            "renewsCertId": _OPTIONAL,
            "revoked": _FLAG,
            "history": {"type": "array", "items": ref("ExistingEvent")},
            "extraDetails": {**_TEXT, "description": "The note."},
            "extraEmails": NAMES,
            "trackExpiry": _FLAG,
            "isCa": _FLAG,
            "hasKeyData": _FLAG,
            "imported": _FLAG,
            "importTime": {**_INSTANT, "description": "When it was registered."},
            "aias": NAMES,
            "cdps": NAMES,
            "thumbprint": {**_OPTIONAL, "description": "SHA-1 of the DER."},
            "policies": NAMES,
            "keySize": _OPTIONAL,
            "eccCurve": _OPTIONAL,
            "msTemplateName": _OPTIONAL,
            "dnFromCsrWasReversed": _FLAG,
            "daysToExpiry": {"type": "number"},
        }
    ),
    "ExistingCertificates": {"type": "array", "items": ref("ExistingCertificate")},
    "ExistingSearch": _body(
        {
            "subjectDn": _PATTERN,
            "issuerDn": _PATTERN,
            "serialNumber": _NO_SERIAL,
            "validFromFrom": _MOMENT,
            "validFromTo": _MOMENT,
            "validToFrom": _MOMENT,
            "validToTo": _MOMENT,
            "status": nullable(
                {
                    "type": "string",
                    "maxLength": 20,
                    "format": "certificate-status",
                    "examples": ["active"],
                    "description": "`active` (neither revoked nor expired), `revoked`, `expired`, `renewed` or `all`.",
                }
            ),
            "teamId": _NO_ID,
            "certsPerPage": nullable({"type": "integer", "minimum": 1, "maximum": 1_000_000, "description": "The most to find."}),
        }
    ),
    "ExistingChange": _body(
        {
            "renewed": nullable({**_FLAG, "description": "Reminders of a renewed certificate stop."}),
            "trackExpiry": nullable({**_FLAG, "description": "Whether there are reminders before it expires."}),
            "extraDetails": _NOTE,
            "extraInfo": _NOTE,
            "extraEmails": _EMAILS,
        }
    ),
    "ExistingRevocation": {
        "anyOf": [ref("ExistingRevocationById"), ref("ExistingRevocationByName"), ref("ExistingRevocationByIssuer")]
    },
    "ExistingRevocationById": _body({**_REVOCATION, "certId": _ID, "serialNumber": _NO_SERIAL}, required=("certId",)),
    "ExistingRevocationByName": _body({**_REVOCATION, "caName": _ISSUER_NAME}, required=("serialNumber", "caName")),
    "ExistingRevocationByIssuer": _body(
        {**_REVOCATION, "caId": _ID, "caName": nullable({"type": "string", "maxLength": 0})}, required=("serialNumber", "caId")
    ),
    "ExistingRevoked": answer({"certId": _TEXT, "revoked": _FLAG}),
    "ExistingImport": _body(
        {
            "certData": {
                "type": "string",
                "minLength": 1,
                "format": "pem-certificate",
                "description": "PEM, or the base64 of the DER alone.",
            },
            "ownerUserId": {**_NO_ID, "description": "The caller, unless it is given."},
            "teamId": {**_NO_ID, "description": "The only team through which the owner may use the issuer, unless it is given."},
            "caName": nullable({"type": "string", "maxLength": 255, "pattern": NO_CONTROL, "description": "The issuer."}),
            "caId": {**_NO_ID, "description": "The issuer."},
            "certIssuerId": {**_NO_ID, "description": "The issuer."},
            "extraInfo": _NOTE,
            "extraEmails": _EMAILS,
            "revoked": nullable({**_FLAG, "description": "Whether it is marked as revoked, also if it is there already."}),
            "revocationReason": _REASON,
            "revocationTime": {"description": "Not kept: the mark has the time at which it was made."},
            "csrData": {"description": "Not kept."},
            "msTemplateName": {"description": "Not kept: the certificate itself says it."},
        },
        required=("certData",),
    ),
}
"""All of them, by name."""
