"""The bodies and answers of the API as JSON Schema 2020-12. OpenAPI shows the schemas that requests are checked against."""

from __future__ import annotations

from typing import Any, get_args

from api.state import accounts
from reconciler.access.decide import Reason

Schema = dict[str, Any]

NO_NUL = "^[^\\u0000]*$"
NO_CONTROL = "^[^\\u0000-\\u001f\\u007f-\\u009f\\u2028-\\u202e\\u2066-\\u2069]*$"
"""No control characters either, nor characters that make text look like other text."""
NAME: Schema = {"type": "string", "pattern": "^[a-z0-9][a-z0-9._-]{0,63}$", "examples": ["web"]}
"""The name of a team or an issuer."""
ACCOUNT: Schema = {"type": "string", "pattern": accounts.NAME.pattern, "examples": ["alice"]}
"""The name of an account."""
SHOWN_NAME: Schema = {"type": "string", "examples": ["alice"]}
"""Either in an answer. What was a name once may look otherwise."""
LINE: Schema = {"type": "string", "minLength": 1, "maxLength": 128, "pattern": NO_CONTROL}
INSTANT: Schema = {"type": "string", "format": "date-time", "examples": ["2026-10-31T18:00:00Z"]}
COMING: Schema = {**INSTANT, "examples": ["2099-12-31T18:00:00Z"]}
"""An instant in the future, on whatever day the example is tried."""
DURATION: Schema = {
    "type": "string",
    "pattern": "^[0-9]{1,5}[smhd]$",
    "examples": ["90d"],
    "description": "A number of seconds, minutes, hours or days.",
}
ADDRESS: Schema = {"type": "string", "anyOf": [{"format": "ipv4"}, {"format": "ipv6"}], "examples": ["10.20.1.7"]}
EMAIL: Schema = {
    "type": "string",
    "maxLength": 254,
    "pattern": "^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
    "(\\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$",
    "examples": ["alice@example.org"],
}
LINK: Schema = {
    "type": "string",
    "maxLength": 2000,
    "pattern": "^https://[A-Za-z0-9][A-Za-z0-9.-]{0,252}(:[0-9]{1,5})?([/?#][A-Za-z0-9._~:/?#\\[\\]@!$&'()*+,;=%-]*)?$",
    "examples": ["https://ca.example.org/certificates/4711"],
}
"""A link for people to follow; Accord never does."""
NOTE: Schema = {
    "type": "string",
    "maxLength": 2000,
    "pattern": "^[^\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f\\u2028-\\u202e\\u2066-\\u2069]*$",
    "description": "Lines of text, without control characters.",
}
NUMBER: Schema = {"type": "integer", "minimum": 1, "maximum": 999_999_999}
PASSWORD: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": 1024,
    "pattern": NO_NUL,
    "writeOnly": True,
}
PAGE: dict[str, Schema] = {
    "limit": {"type": "integer", "minimum": 1, "maximum": 500, "default": 100},
    "cursor": {"type": "string", "maxLength": 256, "pattern": "^[A-Za-z0-9_-]*$"},
}
"""The parameters that ask for a page."""
NAMES: Schema = {"type": "array", "items": {"type": "string"}}


PATTERNS = {
    NAME["pattern"]: "must be a name: up to 64 small letters, digits, `.`, `_` and `-`, a letter or digit first",
    ACCOUNT["pattern"]: "must be an account's name: up to 64 characters, no capital letter, `/` or `\\`, no space at an end",
    NO_NUL: "must not contain NUL characters",
    NO_CONTROL: "must be one line without control characters",
    NOTE["pattern"]: "must be lines without control characters",
    DURATION["pattern"]: "must be a duration such as `30m`, `12h` or `90d`",
    EMAIL["pattern"]: "must be an e-mail address",
    LINK["pattern"]: "must be an address that begins with `https://`",
}
"""What each pattern asks for, in words."""
FORMATS = {
    "date-time": "must be an instant (`date-time` of RFC 3339) such as `2099-12-31T18:00:00Z`",
    "ipv4": "must be an IPv4 address",
    "ipv6": "must be an IPv6 address",
}


def ref(name: str) -> Schema:
    """A schema by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def nullable(schema: Schema) -> Schema:
    """A schema, or null."""
    return {"anyOf": [schema, {"type": "null"}]}


def page(items: str) -> Schema:
    """A page of a list: its items, and the cursor of the next page."""
    return _answer({"items": {"type": "array", "items": ref(items)}, "next": nullable({"type": "string"})})


def _answer(properties: dict[str, Schema], optional: tuple[str, ...] = (), **more: Any) -> Schema:
    """An object that Accord sends. It may have more properties one day, so that clients must ignore those they do not know."""
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        **more,
    }


def _request(properties: dict[str, Schema], optional: tuple[str, ...] = (), **more: Any) -> Schema:
    """An object that Accord reads. Unknown properties are refused, so that no typo goes unnoticed."""
    return {**_answer(properties, optional), "additionalProperties": False, **more}


def _one_of(*known: str, description: str = "") -> Schema:
    """A word that Accord sends. There may be more of them one day, so that `enum` would be a promise that clients build on."""
    return {
        "type": "string",
        "description": f"{description} There may be more values one day.".strip(),
        "x-extensible-enum": list(known),
    }


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
_ACCOUNT_TYPE = _one_of("person", "application")
_ACCOUNT_SOURCE = _one_of("declared", "directory", description="Whether Git declares it or a directory has it.")
_ACCOUNT: dict[str, Schema] = {
    "name": SHOWN_NAME,
    "fullName": nullable({"type": "string"}),
    "email": {"type": "string"},
    "type": _ACCOUNT_TYPE,
    "source": _ACCOUNT_SOURCE,
    "enabled": {"type": "boolean"},
    "disabledBy": {"type": "array", "items": _one_of("git", "directory", "administrator")},
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
    "verification": _one_of(
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
_PUBLIC_ID: Schema = {
    "type": "string",
    "description": "An identifier that stays, also when what it names is renamed: 24 hexadecimal digits.",
    "examples": ["5f2b7c9d1e3a4b5c6d7e8f90"],
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
    "Login": _request(
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
    "Session": _answer(
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
    "OwnSession": _answer(
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
    "Me": _answer(
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
    "Credential": _answer({"id": {"type": "string"}, "kind": _one_of("session", "token"), "expiresAt": INSTANT}),
    "Access": _answer(
        {
            "issuer": {"type": "string"},
            "displayName": {"type": "string"},
            "through": NAMES,
            "until": nullable(COMING),
        }
    ),
    "AccessList": {"type": "array", "items": {"$ref": "#/components/schemas/Access"}},
    "OwnPasswordChange": _request(
        {
            "currentPassword": PASSWORD,
            "newPassword": PASSWORD,
            "revokeTokens": {"type": "boolean", "default": False, "description": "Whether API tokens end as well."},
        },
        optional=("revokeTokens",),
    ),
    "PasswordSet": _request(
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
    "TokenRequestFor": _request({"name": LINE, "validFor": DURATION, **_NARROWING}, optional=tuple(_NARROWING)),
    "TokenRequestUntil": _request({"name": LINE, "expiresAt": COMING, **_NARROWING}, optional=tuple(_NARROWING)),
    "Minter": _answer(
        {
            "user": nullable({"type": "string"}),
            "credential": {"type": "string"},
            "kind": nullable(_one_of("session", "token")),
        },
        description="The credential that minted it, and its account; null for those that are deleted by now.",
    ),
    "NewToken": _answer({"token": {"type": "string", "description": "Shown only once."}, **_TOKEN_PROPERTIES}),
    "Token": _answer(_TOKEN_PROPERTIES),
    "TokenList": {"type": "array", "items": {"$ref": "#/components/schemas/Token"}},
    "UserSummary": _answer(_ACCOUNT),
    "UserPage": page("UserSummary"),
    "User": _answer(
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
    "DeclaredAt": _answer(
        {"file": {"type": "string"}, "commit": nullable({"type": "string"})},
        description="The file of the config repository that declares it, and the commit last applied with it.",
    ),
    "Team": _answer(
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
    "Issuer": _answer(
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
    "Revision": _answer(
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
    "AuditEntry": _answer(
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
    "CertificateRequest": _request(
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
    "CertificateChange": _request(_FOLLOWED, optional=tuple(_FOLLOWED), minProperties=1),
    "CertificateSummary": _answer(_CERTIFICATE),
    "CertificatePage": page("CertificateSummary"),
    "Certificate": _answer({**_CERTIFICATE, "pem": {"type": "string"}}),
    "DecisionRequest": _request(_DECISION_REQUEST, optional=("action", "at", "subject", "address")),
    "DecisionBatch": _request(
        {"requests": {"type": "array", "items": ref("DecisionRequest"), "minItems": 1, "maxItems": 1000}},
    ),
    "DecisionQuestion": {"oneOf": [ref("DecisionRequest"), ref("DecisionBatch")]},
    "Decision": _answer(
        {
            "allow": {"type": "boolean"},
            "reason": _one_of(
                *get_args(Reason),
                "credential-not-permitted",
                "directory-unread",
                description="Why. `allow` alone decides: take a reason that you do not know for a denial.",
            ),
            "subject": {"type": "string"},
            "issuer": {"type": "string"},
            "action": _one_of("request", "revoke", "view"),
            "path": nullable(ref("DecisionPath")),
            "rule": nullable({"type": "string", "description": "The permitted-IP rule that let the address in."}),
            "revision": ref("DecisionRevision"),
        }
    ),
    "DecisionPath": _answer(
        {
            "team": {"type": "string"},
            "adGroup": nullable({"type": "string", "description": "The directory group that gives the team."}),
            "membershipUntil": nullable(COMING),
            "permissionUntil": nullable(COMING),
            "until": nullable(COMING),
        }
    ),
    "DecisionRevision": _answer({"commit": nullable({"type": "string"}), "generation": {"type": "integer"}}),
    "Decisions": _answer({"decisions": {"type": "array", "items": ref("Decision")}}),
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
    "IntrospectionRequest": _request(
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
    "Health": _answer({"status": _one_of("ok")}),
    "Readiness": _answer({"status": _one_of("ready")}),
    "ExistingError": _answer(
        {
            "timestamp": {"type": "string"},
            "status": {"type": "integer"},
            "error": {"type": "string"},
            "message": {"type": "string"},
            "path": {"type": "string"},
        }
    ),
    "ExistingLogin": _answer({"username": SHOWN_NAME, "token": {"type": "string"}}),
    "ExistingLogout": _answer({"username": SHOWN_NAME}),
    "ExistingTeam": _answer(
        {
            "id": _PUBLIC_ID,
            "name": {"type": "string", "description": "The team's display name, or else its name."},
            "description": {"type": "string"},
            "internalGroup": {**_one_of("USER", "ADMIN"), "description": "ADMIN for a team of administrators."},
            "adGroups": NAMES,
            "authorisedCas": {"type": "array", "items": _PUBLIC_ID, "description": "The issuers that it may use now."},
            "adminUsernames": NAMES,
            "dontSendEmailsOnIssue": {"type": "boolean"},
            "dontSendReminderEmails": {"type": "boolean"},
            "ipWhiteList": nullable({"type": "string", "description": "Permitted IPs, with commas between them."}),
        }
    ),
    "ExistingTeams": {"type": "array", "items": ref("ExistingTeam")},
    "ExistingIssuers": NAMES,
    "OpenApi": {"type": "object"},
}
"""All schemas, by name."""
