"""The mails that Accord sends, by the names of their templates."""

from __future__ import annotations

WELCOME = "welcome"
PASSWORD_RESET = "password-reset"  # noqa: S105 - a name, not a password
CERTIFICATE_ISSUED = "certificate-issued"
CERTIFICATE_EXPIRING = "certificate-expiring"
TOKEN_EXPIRING = "token-expiring"  # noqa: S105 - a name, not a token
TOKEN_MINTED = "token-minted"  # noqa: S105 - a name, not a token
PASSWORD_SET = "password-set"  # noqa: S105 - a name, not a password
PASSWORD_MAILS = (WELCOME, PASSWORD_RESET)
"""Mails that bring an account a password."""
CERTIFICATE_MAILS = (CERTIFICATE_ISSUED, CERTIFICATE_EXPIRING)
"""Mails about a certificate."""
