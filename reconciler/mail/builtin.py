"""The texts that are sent where a config repository declares no template of its own."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.access.resources import EmailTemplate

_HELLO = "Hello {{ user.fullName or user.name }},"
_LOG_IN = """\
    user name: {{ user.name }}
    password:  {{ password }}

{% if url %}Log in at {{ url }}

{% endif %}\
You will be asked to choose a password of your own.
The one above can be used until {{ passwordExpires }}.

Nobody will ever ask you for your password. If you did not expect this mail, tell an administrator.
"""
_CERTIFICATE = """\
    subject:       {{ certificate.subject }}
{% if certificate.names %}\
    names:         {{ certificate.names | join(", ") }}
{% endif %}\
    issuer:        {{ certificate.issuer }}
    serial number: {{ certificate.serialNumber }}
    valid from:    {{ certificate.validFrom }}
    valid to:      {{ certificate.validTo }}
    requested by:  {{ user.fullName or user.name }}, team {{ certificate.team }}
{% if certificate.note %}\
    note:          {{ certificate.note }}
{% endif %}\
"""
BUILT_IN: Mapping[str, EmailTemplate] = {
    template.name: template
    for template in (
        EmailTemplate(
            "welcome",
            "Your new account in the certificate service",
            f"{_HELLO}\n\nan account has been made for you in the certificate service.\n\n{_LOG_IN}",
        ),
        EmailTemplate(
            "password-reset",
            "Your new password for the certificate service",
            f"{_HELLO}\n\nan administrator has reset your password for the certificate service.\n\n{_LOG_IN}",
        ),
        EmailTemplate("certificate-issued", "Certificate issued: {{ certificate.subject }}", f"Hello,\n\n{_CERTIFICATE}"),
        EmailTemplate(
            "certificate-expiring",
            "Certificate expires in {{ certificate.daysToExpiry }} days: {{ certificate.subject }}",
            f"Hello,\n\n{_CERTIFICATE}",
        ),
    )
}
"""By name. Each gives text and HTML that say the same."""
