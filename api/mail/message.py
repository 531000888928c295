"""A rendered mail as the bytes that are sent: headers that their values cannot add to, and text beside HTML.

This uses the standard library's older API on purpose: in some Python versions that Accord supports, the newer one wrongly
folds names that contain commas or line breaks.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime
from email import policy
from email.charset import QP, Charset
from email.header import Header
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.utils import format_datetime, formataddr
from typing import NamedTuple

from reconciler.mail.rendering import Rendered

_LONGEST_SUBJECT = 250
_LONGEST_NAME = 128
_UTF8 = Charset("utf-8")
_UTF8.body_encoding = QP
_TRAVELS = policy.compat32.clone(linesep="\r\n")
_UNSEEN = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
"""Invisible characters that change how text reads."""


class Recipient(NamedTuple):
    """The recipient of a message."""

    address: str
    name: str = ""

    @property
    def envelope(self) -> str:
        """The address in the form that a mail server gets."""
        local, _, domain = self.address.rpartition("@")
        return self.address if all(local.split(".")) else f'"{local}"@{domain}'


def compose(rendered: Rendered, *, sender: str, recipient: Recipient, message_id: str, now: datetime) -> bytes:
    """The message, with the line endings that SMTP requires."""
    message = MIMEMultipart("alternative")
    message["From"] = formataddr(("Accord", sender))
    message["To"] = _address(recipient)  # type: ignore[assignment]
    message["Subject"] = _subject(one_line(rendered.subject, _LONGEST_SUBJECT))  # type: ignore[assignment]
    message["Date"] = format_datetime(now)
    message["Message-ID"] = message_id
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no automatic replies
    message["X-Auto-Response-Suppress"] = "All"  # nor from Exchange
    for text, kind in ((rendered.text, "plain"), (rendered.html, "html")):
        message.attach(MIMEText(_body(text), kind, _UTF8))  # type: ignore[arg-type]
    return message.as_bytes(policy=_TRAVELS)


def one_line(text: str, longest: int) -> str:
    """Text without characters that end a line, move a cursor or change the direction of reading, shortened if necessary."""
    visible = "".join(" " if unicodedata.category(each) in ("Cc", "Cs", "Zl", "Zp") else each for each in text)
    shown = " ".join(_UNSEEN.sub("", visible).split())
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"


def _address(recipient: Recipient) -> str | Header:
    name = one_line(recipient.name, _LONGEST_NAME)
    if _stands_for_itself(name):
        return formataddr((name, recipient.envelope))
    header = Header(name, "utf-8", header_name="To")
    header.append(f"<{recipient.envelope}>", "us-ascii")
    return header


def _subject(text: str) -> str | Header:
    return text if _stands_for_itself(text) else Header(text, "utf-8", header_name="Subject")


def _stands_for_itself(text: str) -> bool:
    """Whether a header can hold a text as it is: ASCII that no mail program takes for an encoded word (RFC 2047)."""
    return text.isascii() and "=?" not in text


def _body(text: str) -> str:
    """Text that can be encoded and that mail programs can show."""
    return re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]", "\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))
