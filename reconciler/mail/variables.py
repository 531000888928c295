"""The variables that a mail's template may use, each with its meaning and an example."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple, TypeAlias

from reconciler.access.mails import CERTIFICATE_MAILS, PASSWORD_MAILS, PASSWORD_SET, TOKEN_EXPIRING, TOKEN_MINTED

Type: TypeAlias = Literal["text", "link", "number", "instant", "list"]
"""A link is an http or https address, an instant an aware datetime, and a list contains texts."""


class Variable(NamedTuple):
    """One variable, named `group.part` or just `name`.

    `optional`: it may be None, for example if a person has no full name. `lines`: it is text that may have several lines.
    `unchecked`: somebody's own words, for others, which nobody has checked.
    """

    name: str
    type: Type
    meaning: str
    sample: Any
    optional: bool = False
    lines: bool = False
    unchecked: bool = False


_PEM = """\
-----BEGIN CERTIFICATE-----
MIIBeTCCAR+gAwIBAgIUT3Bhc2sncyBzYW1wbGUsIG5vIGNlcnQwCgYIKoZIzj0E
AwIwGzEZMBcGA1UEAwwQc2FtcGxlIG9mIGEgdGV4dDAeFw0yNjAxMDEwMDAwMDBa
-----END CERTIFICATE-----
"""
_USER = (
    Variable("user.name", "text", "The account's login name", "alice"),
    Variable("user.fullName", "text", "The account's full name", "Alice Jones", optional=True),
    Variable("user.email", "text", "The account's e-mail address", "alice@example.org", optional=True),
)
_URL = Variable("url", "link", "The address of Accord, as configured", "https://accord.example.org/", optional=True)
_ACCOUNT = (
    *_USER,
    Variable(
        "password", "text", "The new password, made for this mail; it must be changed at the first login", "k7Qm-4wTz-R9xe-Vb2N"
    ),
    Variable("passwordExpires", "instant", "When the new password expires", datetime(2026, 12, 2, 9, 30, tzinfo=UTC)),
    _URL,
)
_CERTIFICATE = (
    *(variable._replace(meaning=variable.meaning.replace("The account's", "The requester's")) for variable in _USER),
    Variable("certificate.subject", "text", "Who or what the certificate is for", "CN=shop.example.org,O=Example"),
    Variable(
        "certificate.names", "list", "The certificate's alternative names, if any", ("shop.example.org", "www.shop.example.org")
    ),
    Variable("certificate.issuer", "text", "The display name of the certificate's issuer", "Public TLS"),
    Variable("certificate.team", "text", "The team through which the certificate was requested", "web-platform"),
    Variable("certificate.serialNumber", "text", "The certificate's serial number, in hexadecimal digits", "3f9a5b20c41d77e8"),
    Variable(
        "certificate.verification",
        "text",
        "`verified` if one of the CA certificates that the issuer declares verified it, otherwise `unverified`",
        "verified",
    ),
    Variable("certificate.validFrom", "instant", "When the certificate becomes valid", datetime(2026, 11, 25, 8, 0, tzinfo=UTC)),
    Variable("certificate.validTo", "instant", "When the certificate expires", datetime(2027, 2, 23, 8, 0, tzinfo=UTC)),
    Variable(
        "certificate.daysToExpiry",
        "number",
        "Whole days until it expires, counted when the mail is sent; negative afterwards",
        30,
    ),
    Variable(
        "certificate.url",
        "link",
        "Where to download it, according to the requesting application; missing unless the issuer declares its host",
        "https://ca.example.org/certificates/4711",
        optional=True,
    ),
    Variable(
        "certificate.renewalUrl",
        "link",
        "Where to renew it, according to the requesting application; missing unless the issuer declares its host",
        "https://ca.example.org/certificates/4711/renew",
        optional=True,
    ),
    Variable(
        "certificate.links",
        "list",
        "Both of these as text, also if the issuer does not declare their host; then they cannot be clicked",
        ("https://ca.example.org/certificates/4711", "https://ca.example.org/certificates/4711/renew"),
        unchecked=True,
    ),
    Variable("certificate.describedBy", "text", "The account that wrote the links and the note", "portal"),
    Variable(
        "certificate.note",
        "text",
        "The requesting application's note about it",
        "Ordered for the winter sale",
        optional=True,
        lines=True,
        unchecked=True,
    ),
    Variable("certificate.pem", "text", "The certificate in PEM format", _PEM, lines=True),
    _URL,
)
_ANY_TOKEN = (
    *_USER,
    Variable("token.name", "text", "The API token's name", "renewals on web-7", unchecked=True),
    Variable("token.id", "text", "The token's ID, as in lists and the audit log; it opens nothing", "5f0c9d2b7a6e4c11"),
    Variable("token.expires", "instant", "When the token expires", datetime(2027, 2, 23, 8, 0, tzinfo=UTC)),
)
_TOKEN = (
    *_ANY_TOKEN,
    Variable(
        "token.daysToExpiry", "number", "Whole days until it expires, counted when the mail is sent; negative afterwards", 14
    ),
    Variable(
        "token.lastUsed", "instant", "When it was last used, if ever", datetime(2026, 11, 25, 8, 0, tzinfo=UTC), optional=True
    ),
    Variable(
        "token.others",
        "list",
        "Other tokens of the account that expire about then, in words. If there are any, `token.name` ends with their number",
        ("renewals on web-8 (9a1e77c04d2b6f38), 24 February 2027, 08:00 UTC",),
        unchecked=True,
    ),
    _URL,
)
_MINTED = (*_ANY_TOKEN, Variable("token.mintedBy", "text", "The administrator who minted it", "carol"), _URL)
VARIABLES: Mapping[str, tuple[Variable, ...]] = {
    **dict.fromkeys(PASSWORD_MAILS, _ACCOUNT),
    **dict.fromkeys(CERTIFICATE_MAILS, _CERTIFICATE),
    TOKEN_EXPIRING: _TOKEN,
    TOKEN_MINTED: _MINTED,
    PASSWORD_SET: (*_USER, Variable("setBy", "text", "The administrator who set the password", "carol"), _URL),
}
"""Variables by template name."""


def nested(values: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Group values by dotted name, as templates see them: `user.name` is the `name` in `user`."""
    found: dict[str, Any] = {}
    for name, value in values:
        group, _, part = name.rpartition(".")
        (found.setdefault(group, {}) if group else found)[part] = value
    return found


SAMPLES: Mapping[str, dict[str, Any]] = {
    template: nested((variable.name, variable.sample) for variable in variables) for template, variables in VARIABLES.items()
}
"""A value for every variable, by template name: previews show them, and rendering takes variables in this shape."""
