"""The bodies and answers of the API as JSON Schema 2020-12. OpenAPI shows the schemas that requests are checked against."""

from __future__ import annotations

from typing import get_args

from api.http.certdog_schemas import EXISTING
from api.http.shapes import (
    ACCOUNT,
    ADDRESS,
    COMING,
    DURATION,
    EMAIL,
    INSTANT,
    LINE,
    LINK,
    NAME,
    NAMES,
    NO_CONTROL,
    NO_NUL,
    NOTE,
    NUMBER,
    PASSWORD,
    SHOWN_NAME,
    Schema,
    answer,
    nullable,
    one_of,
    page,
    ref,
    request,
)
from reconciler.access.decide import Reason

_TOKEN_PROPERTIES: dict[str, Schema] = {
    "id": {
        "type": "string",
        "description": "The accessor: it names the token in lists and logs, and opens nothing.",
    },
    "name": {"type": "string"},
    "createdAt": INSTANT,
    "expiresAt": INSTANT,
    "lastUsedAt": nullable(INSTANT),
    "lastUsedAddress": nullable({"type": "string"}),
    "issuers": nullable(NAMES),
    "permittedIPs": nullable(NAMES),
    "mintedBy": nullable(ref("Minter")),
}
_NARROWING: dict[str, Schema] = {
    "issuers": {
        "type": "array",
        "items": NAME,
        "minItems": 1,
        "maxItems": 1000,
        "description": "Narrows the token to some of the account's issuers.",
    },
    "permittedIPs": {
        "type": "array",
        "items": {"type": "string", "format": "permitted-ip", "minLength": 1, "maxLength": 100},
        "minItems": 1,
        "maxItems": 100,
        "examples": [["10.20.0.0/16"]],
        "description": "Narrows the token to some addresses, in addition to the account's own rules.",
    },
}
_DECISION_REQUEST: dict[str, Schema] = {
    "issuer": {"type": "string", "minLength": 1, "maxLength": 64, "pattern": NO_CONTROL, "examples": ["tls-public"]},
    "action": {
        "enum": ["request", "revoke", "view"],
        "default": "request",
        "description": "What the subject wants to do with the issuer's certificates. All actions need the same permission.",
    },
    "at": {**COMING, "description": "A future instant, judged by what is declared now. One in the past is refused."},
    "subject": {**ACCOUNT, "description": "Another account. The caller needs the right to decide for it."},
    "address": {**ADDRESS, "description": "The subject's address. Without it, no permitted-IP rule is satisfied."},
}
_ACCOUNT_TYPE = one_of("person", "application")
_ACCOUNT_SOURCE = one_of("declared", "directory", description="Whether Git declares it or a directory has it.")
_ACCOUNT: dict[str, Schema] = {
    "name": SHOWN_NAME,
    "fullName": nullable({"type": "string"}),
    "email": {"type": "string"},
    "type": _ACCOUNT_TYPE,
    "source": _ACCOUNT_SOURCE,
    "logins": {**NAMES, "description": "Other names that the account logs in with."},
    "enabled": {"type": "boolean"},
    "disabledBy": {"type": "array", "items": one_of("git", "directory", "administrator")},
    "lastLoginAt": nullable(INSTANT),
    "lastLoginAddress": nullable({"type": "string"}),
}
_FOLLOWED: dict[str, Schema] = {
    "url": nullable({**LINK, "description": "A link to the certificate."}),
    "renewalUrl": nullable({**LINK, "description": "A link to renew the certificate."}),
    "extraAddresses": {
        "type": "array",
        "items": EMAIL,
        "maxItems": 20,
        "uniqueItems": True,
        "description": "These addresses also get every mail about the certificate.",
    },
    "note": {**NOTE, "description": "Shown in the mails about the certificate."},
    "tracked": {"type": "boolean", "description": "Whether Accord sends reminders before it expires."},
    "renews": nullable({**NUMBER, "description": "The certificate that this one renews. Reminders of that one stop."}),
}
_CERTIFICATE: dict[str, Schema] = {
    "id": {"type": "integer"},
    "issuer": {"type": "string", "description": "Its current name; if it is gone, its name at registration."},
    "team": {"type": "string"},
    "owner": {"type": "string"},
    "serial": {
        "type": "string",
        "description": "Hexadecimal digits, without leading zeros; `-` before a negative one.",
    },
    "issuedBy": {"type": "string", "description": "The certificate's own issuer (RFC 4514)."},
    "sha256": {"type": "string", "description": "The fingerprint: SHA-256 of the DER."},
    "verification": one_of(
        "verified",
        "unverified",
        description="Whether a CA certificate that the issuer still declares verified it when it was registered, or last again.",
    ),
    "subject": {"type": "string"},
    "names": {**NAMES, "description": "Alternative names."},
    "leftOut": {**NAMES, "description": "What of the PEM could not be read, or was not registered, such as a chain."},
    "notBefore": INSTANT,
    "notAfter": INSTANT,
    "url": nullable({"type": "string"}),
    "renewalUrl": nullable({"type": "string"}),
    "extraAddresses": NAMES,
    "note": {"type": "string"},
    "tracked": {"type": "boolean"},
    "registeredAt": INSTANT,
    "renews": nullable({"type": "integer"}),
    "renewedBy": nullable({"type": "integer"}),
    "renewedAt": nullable(INSTANT),
    "revokedAt": nullable(INSTANT),
}
_DECLARED_AT: Schema = nullable(ref("DeclaredAt"))

COMPONENTS: dict[str, Schema] = {
    "Problem": {
        "type": "object",
        "description": "Problem details (RFC 9457).",
        "properties": {
            "type": {"type": "string", "format": "uri"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "requestId": {"type": "string"},
            "reason": {"type": "string", "description": "Why it is `forbidden`."},
            "pointer": {"type": "string", "description": "The part of the body that is at fault (RFC 6901)."},
            "retryAfter": {"type": "integer", "description": "Seconds to wait."},
        },
        "required": ["type", "title", "status", "detail"],
    },
    "Login": request(
        {
            "username": {
                "type": "string",
                "minLength": 1,
                "maxLength": 256,
                "pattern": NO_NUL,
                "description": "The account's name, or one of its aliases for logging in, in any case.",
                "examples": ["alice", "Fred.Bloggs@example.org"],
            },
            "password": PASSWORD,
        }
    ),
    "Session": answer(
        {
            "token": {"type": "string", "description": "The session's secret, shown only once."},
            "user": SHOWN_NAME,
            "expiresAt": INSTANT,
            "passwordChangeRequired": {
                "type": "boolean",
                "description": "Whether the session can only change the password.",
            },
        }
    ),
    "OwnSession": answer(
        {
            "id": {"type": "string", "description": "The accessor: it names the session in lists and logs, and opens nothing."},
            "createdAt": INSTANT,
            "expiresAt": {**INSTANT, "description": "When it ends at the latest."},
            "lastUsedAt": nullable(INSTANT),
            "lastUsedAddress": nullable({"type": "string"}),
            "current": {"type": "boolean", "description": "Whether it is the session of this call."},
        }
    ),
    "SessionList": {"type": "array", "items": {"$ref": "#/components/schemas/OwnSession"}},
    "Me": answer(
        {
            "name": SHOWN_NAME,
            "type": _ACCOUNT_TYPE,
            "source": _ACCOUNT_SOURCE,
            "teams": NAMES,
            "administrator": {"type": "boolean"},
            "address": nullable({"type": "string"}),
            "credential": ref("Credential"),
            "passwordChangeRequired": {"type": "boolean"},
        }
    ),
    "Credential": answer({"id": {"type": "string"}, "kind": one_of("session", "token"), "expiresAt": INSTANT}),
    "Access": answer(
        {
            "issuer": {"type": "string"},
            "displayName": {"type": "string"},
            "through": NAMES,
            "until": nullable(COMING),
        }
    ),
    "AccessList": {"type": "array", "items": {"$ref": "#/components/schemas/Access"}},
    "OwnPasswordChange": request(
        {
            "currentPassword": PASSWORD,
            "newPassword": PASSWORD,
            "revokeTokens": {"type": "boolean", "default": False, "description": "Whether API tokens end as well."},
        },
        optional=("revokeTokens",),
    ),
    "PasswordSet": request(
        {
            "password": PASSWORD,
            "changeRequired": {
                "type": "boolean",
                "default": True,
                "description": "Whether the next login must change it.",
            },
            "revokeTokens": {"type": "boolean", "default": True, "description": "Whether API tokens end as well."},
        },
        optional=("changeRequired", "revokeTokens"),
    ),
    "TokenRequest": {"oneOf": [ref("TokenRequestFor"), ref("TokenRequestUntil")]},
    "TokenRequestFor": request({"name": LINE, "validFor": DURATION, **_NARROWING}, optional=tuple(_NARROWING)),
    "TokenRequestUntil": request({"name": LINE, "expiresAt": COMING, **_NARROWING}, optional=tuple(_NARROWING)),
    "Minter": answer(
        {
            "user": nullable({"type": "string"}),
            "credential": {"type": "string"},
            "kind": nullable(one_of("session", "token")),
        },
        description="The credential that minted it, and its account; null for those that are deleted by now.",
    ),
    "NewToken": answer({"token": {"type": "string", "description": "Shown only once."}, **_TOKEN_PROPERTIES}),
    "Token": answer(_TOKEN_PROPERTIES),
    "TokenList": {"type": "array", "items": {"$ref": "#/components/schemas/Token"}},
    "UserSummary": answer(_ACCOUNT),
    "UserPage": page("UserSummary"),
    "User": answer(
        {
            **_ACCOUNT,
            "teams": NAMES,
            "administrator": {"type": "boolean"},
            "issuers": ref("AccessList"),
            "declaredAt": _DECLARED_AT,
            "passwordSetAt": nullable(INSTANT),
            "passwordExpiresAt": nullable({**INSTANT, "description": "When a generated password expires, until it is changed."}),
            "passwordChangeRequired": {"type": "boolean"},
            "failedLogins": {"type": "integer", "description": "In a row, at all networks."},
            "nextLoginAt": {**nullable(INSTANT), "description": "When the network that must wait longest may try again."},
            "tokens": ref("TokenList"),
        }
    ),
    "DeclaredAt": answer(
        {"file": {"type": "string"}, "commit": nullable({"type": "string"})},
        description="The file of the config repository that declares it, and the commit last applied with it.",
    ),
    "Team": answer(
        {
            "name": {"type": "string"},
            "displayName": {"type": "string"},
            "description": {"type": "string"},
            "administrator": {"type": "boolean"},
            "members": {"type": "integer"},
            "issuers": NAMES,
            "adGroups": NAMES,
            "permittedIPs": NAMES,
            "declaredAt": _DECLARED_AT,
        }
    ),
    "TeamPage": page("Team"),
    "Issuer": answer(
        {
            "name": {"type": "string"},
            "displayName": {"type": "string"},
            "description": {"type": "string"},
            "enabled": {"type": "boolean"},
            "teams": NAMES,
            "declaredAt": _DECLARED_AT,
        }
    ),
    "IssuerPage": page("Issuer"),
    "Revision": answer(
        {
            "id": {"type": "integer"},
            "commit": {"type": "string"},
            "author": {"type": "string"},
            "committedAt": INSTANT,
            "summary": {"type": "string"},
            "appliedAt": INSTANT,
            "appliedBy": {"type": "string"},
            "generation": {"type": "integer"},
            "planDigest": {"type": "string"},
        }
    ),
    "RevisionPage": page("Revision"),
    "AuditEntry": answer(
        {
            "id": {"type": "integer"},
            "at": INSTANT,
            "actor": {"type": "string"},
            "action": {"type": "string"},
            "kind": {"type": "string"},
            "name": {"type": "string"},
            "detail": {"type": "object"},
            "hash": {"type": "string"},
        }
    ),
    "AuditPage": page("AuditEntry"),
    "CertificateRequest": request(
        {
            "pem": {
                "type": "string",
                "format": "pem-certificate",
                "minLength": 1,
                "description": "The certificate as PEM, and never a private key. If its chain is there as well, the certificate"
                " that issued none of the others is registered, and `leftOut` names the others.",
            },
            "issuer": NAME,
            "team": NAME,
            "owner": {**ACCOUNT, "description": "Another account that the caller may decide for. Default: the caller."},
            **_FOLLOWED,
        },
        optional=("owner", *_FOLLOWED),
    ),
    "CertificateChange": request(_FOLLOWED, optional=tuple(_FOLLOWED), minProperties=1),
    "CertificateSummary": answer(_CERTIFICATE),
    "CertificatePage": page("CertificateSummary"),
    "Certificate": answer({**_CERTIFICATE, "pem": {"type": "string"}}),
    "DecisionRequest": request(_DECISION_REQUEST, optional=("action", "at", "subject", "address")),
    "DecisionBatch": request(
        {"requests": {"type": "array", "items": ref("DecisionRequest"), "minItems": 1, "maxItems": 1000}},
    ),
    "DecisionQuestion": {"oneOf": [ref("DecisionRequest"), ref("DecisionBatch")]},
    "Decision": answer(
        {
            "allow": {"type": "boolean"},
            "reason": one_of(
                *get_args(Reason),
                "credential-not-permitted",
                "directory-unread",
                description="Why. `allow` alone decides: take a reason that you do not know for a denial.",
            ),
            "subject": {"type": "string"},
            "issuer": {"type": "string"},
            "action": one_of("request", "revoke", "view"),
            "path": nullable(ref("DecisionPath")),
            "rule": nullable({"type": "string", "description": "The permitted-IP rule that let the address in."}),
            "revision": ref("DecisionRevision"),
        }
    ),
    "DecisionPath": answer(
        {
            "team": {"type": "string"},
            "adGroup": nullable({"type": "string", "description": "The directory group that gives the team."}),
            "membershipUntil": nullable(COMING),
            "permissionUntil": nullable(COMING),
            "until": nullable(COMING),
        }
    ),
    "DecisionRevision": answer({"commit": nullable({"type": "string"}), "generation": {"type": "integer"}}),
    "Decisions": answer({"decisions": {"type": "array", "items": ref("Decision")}}),
    "DecisionAnswer": {"oneOf": [ref("Decision"), ref("Decisions")]},
    "Introspection": {
        "type": "object",
        "description": "RFC 7662, section 2.2. A token is inactive if it is invalid, or if the caller may not ask about it.",
        "properties": {
            "active": {"type": "boolean"},
            "sub": {"type": "string"},
            "username": {"type": "string"},
            "token_type": {"type": "string"},
            "exp": {"type": "integer"},
            "iat": {"type": "integer"},
            "jti": {"type": "string"},
            "teams": NAMES,
            "issuers": nullable(NAMES),
        },
        "required": ["active"],
    },
    "IntrospectionRequest": request(
        {
            "token": {"type": "string", "minLength": 1, "maxLength": 1024, "pattern": NO_NUL},
            "token_type_hint": {"type": "string", "maxLength": 64, "pattern": NO_NUL, "description": "Makes no difference."},
            "client_id": {
                "type": "string",
                "maxLength": 256,
                "pattern": NO_NUL,
                "description": "The name of the caller's account, if the form shows who calls (RFC 6749, section 2.3.1).",
            },
            "client_secret": {
                "type": "string",
                "maxLength": 1024,
                "pattern": NO_NUL,
                "writeOnly": True,
                "description": "One of the caller's tokens.",
            },
            "address": {
                **ADDRESS,
                "description": "Where the token was used. The caller needs the right to decide for its account. Without it, "
                "`active` does not judge addresses.",
            },
        },
        optional=("token_type_hint", "client_id", "client_secret", "address"),
    ),
    "Health": answer({"status": one_of("ok")}),
    "Readiness": answer({"status": one_of("ready")}),
    "OpenApi": {"type": "object"},
    **EXISTING,
}
"""All schemas, by name."""
