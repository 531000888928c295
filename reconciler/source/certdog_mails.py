"""The predecessor's mail templates, whose tags stand in square brackets, as templates of Accord. Pure."""

from __future__ import annotations

import re

from reconciler.access.resources import EmailTemplate
from reconciler.mail.checking import check
from reconciler.mail.markup import text_of

_VALUES = {
    "CERTDATA": "{{ certificate.pem }}",
    "CERTURL": '{{ certificate.url or "" }}',
    "CERTRENEWURL": '{{ certificate.renewalUrl or "" }}',
    "CERTSUBJECT": "{{ certificate.subject }}",
    "CERTISSUER": "{{ certificate.issuer }}",
    "VALIDFROM": "{{ certificate.validFrom }}",
    "VALIDTO": "{{ certificate.validTo }}",
    "SERIALNUM": "{{ certificate.serialNumber }}",
    "DAYSTOEXPIRY": "{{ certificate.daysToExpiry }}",
}
_KNOWN = re.compile(rf"\[({'|'.join(_VALUES)})\]")
_TAG = re.compile(r"\[[A-Z]{3,}\]")
_ELEMENT = re.compile(r"<[A-Za-z!/]")
_BEGINS = re.compile(r"\{(?=[{%#])|\{\Z")
"""What would begin a value, a statement or a comment, or does before a tag."""


def converted(name: str, subject: str, body: str) -> tuple[EmailTemplate | None, list[str]]:
    """The template of a mail, fit to be sent, and what is lost, in words; None if it cannot be taken over at all."""
    lost = [f"{tag} is no tag that Accord knows, so it stays as text" for tag in sorted(set(_unknown(subject) + _unknown(body)))]
    is_html = _ELEMENT.search(body) is not None
    page = _with_values(body) if is_html else None
    made = EmailTemplate(name, _with_values(" ".join(subject.split())), _lines(text_of(body) if is_html else body), page)
    reason = _reason(made)
    if reason is not None and page is not None:
        lost.append(f"its HTML is left out, and its text stays: {reason}")
        made = made._replace(html=None)
        reason = _reason(made)
    if reason is None:
        return made, lost
    return None, [*lost, f"it cannot be used, so the built-in mail is sent: {reason}"]


def _lines(body: str) -> str:
    return _with_values(body.replace("\r\n", "\n").strip("\n")) + "\n"


def _with_values(text: str) -> str:
    """The text with values in place of tags. Nothing else in it is evaluated."""
    *before, last = _KNOWN.split(text)
    pieces = [_literal(each) if number % 2 == 0 else _VALUES[each] for number, each in enumerate(before)]
    return "".join([*pieces, _literal(last)])


def _literal(text: str) -> str:
    return _BEGINS.sub("{%+ raw %}{{% endraw +%}", text)  # `+`: spaces and line breaks beside it stay


def _unknown(text: str) -> list[str]:
    return [tag for tag in _TAG.findall(text) if tag[1:-1] not in _VALUES]


def _reason(template: EmailTemplate) -> str | None:
    """Why a template cannot be sent."""
    return next((fault.message for fault in check(template) if fault.severity == "error"), None)
