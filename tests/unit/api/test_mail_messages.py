"""The form of a message, when it is tried again, and the passwords generated for it."""

from __future__ import annotations

import email
import email.policy
from datetime import UTC, datetime, timedelta
from email.header import decode_header, make_header
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.authentication.generated import GENERATED, generate_password
from api.authentication.passwords import objection
from api.mail.message import Recipient, compose, one_line
from api.mail.retry_policy import RetryPolicy, spread
from api.state.policies import PasswordPolicy
from reconciler.mail.rendering import Rendered

NOW = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
HEADERS = [
    "Content-Type",
    "MIME-Version",
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "Auto-Submitted",
    "X-Auto-Response-Suppress",
]


def composed(subject: str = "Hello", name: str = "", text: str = "text\n", address: str = "alice@example.org") -> bytes:
    recipient = Recipient(address, name)
    rendered = Rendered(subject, text, "<p>html</p>")
    return compose(rendered, sender="accord@example.org", recipient=recipient, message_id="<1@example.org>", now=NOW)


def parsed(content: bytes) -> EmailMessage:
    found = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(found, EmailMessage)
    return found


@given(st.text(max_size=300), st.text(max_size=200), st.text(max_size=300))
def test_every_message_has_its_headers_one_recipient_and_short_lines(subject: str, name: str, text: str) -> None:
    content = composed(subject, name, text)
    assert content.isascii()
    head = content.partition(b"\r\n\r\n")[0]
    assert [line.partition(b":")[0].decode() for line in head.split(b"\r\n") if line[:1] not in b" \t"] == HEADERS
    assert max(len(line) for line in content.split(b"\r\n")) <= 998
    assert b"\n" not in content.replace(b"\r\n", b"") and b"\r" not in content.replace(b"\r\n", b"")
    message = parsed(content)
    assert [each.addr_spec for each in message["To"].addresses] == ["alice@example.org"]
    assert message.is_multipart()


@pytest.mark.parametrize("name", ["Alice Jones", "Jones, Alice", 'A "B" C', "Zoë Ångström", "Ünï, <eve@example.org>", "李小龍"])
def test_a_name_survives_encoding(name: str) -> None:
    (address,) = parsed(composed(name=name))["To"].addresses
    assert (address.display_name, address.addr_spec) == (name, "alice@example.org")
    assert parsed(composed(subject=name))["Subject"] == name


@pytest.mark.parametrize("text", ["=?utf-8?q?=E2=80=AEgro?=", "CN=x =?utf-8?b?4oCu?= y"])
def test_what_looks_like_an_encoded_word_is_shown_as_it_is(text: str) -> None:
    plain = email.message_from_bytes(composed(subject=text, name=text))
    assert text not in plain["Subject"] and text not in plain["To"]
    assert str(make_header(decode_header(plain["Subject"]))) == text
    assert str(make_header(decode_header(plain["To"]))) == f"{text} <alice@example.org>"


def test_a_long_name_is_folded_between_characters() -> None:
    content = composed(subject="é" * 200, name="é" * 128)
    assert max(map(len, content.split(b"\r\n"))) <= 78
    plain = email.message_from_bytes(content)
    assert str(make_header(decode_header(plain["Subject"]))) == "é" * 200
    assert str(make_header(decode_header(plain["To"]))) == "é" * 128 + " <alice@example.org>"


def test_an_odd_address_is_quoted() -> None:
    assert Recipient("a..b@example.org").envelope == '"a..b"@example.org'
    assert parsed(composed(address="a..b@example.org"))["To"].addresses[0].username == "a..b"


def test_one_line() -> None:
    assert one_line(" a\r\nb\u2028c\x1b[2J\u202ed\u200b ", 100) == "a b c [2Jd"
    assert one_line("x" * 100, 10) == "x" * 9 + "…"


def test_delays_double_and_end() -> None:
    policy, days = RetryPolicy(), timedelta(days=3)
    assert [policy.delay(n, "temporary") // timedelta(minutes=1) for n in (1, 2, 3, 7, 8, 500)] == [1, 2, 4, 60, 60, 60]
    assert [policy.delay(n, "permanent") // timedelta(minutes=1) for n in (1, 2, 5)] == [15, 30, 240]
    tries = next(n for n in range(1, 1000) if policy.is_over(n, "temporary", days))
    assert tries == 77
    assert next(n for n in range(1, 1000) if policy.is_over(n, "permanent", days)) == 6
    assert policy.is_over(1, "temporary", timedelta(seconds=1))
    assert [policy.pause(n) for n in (1, 2, 100)] == [timedelta(seconds=5), timedelta(seconds=10), timedelta(minutes=5)]
    assert spread(timedelta(seconds=4), 1.0) == timedelta(seconds=5)


@pytest.mark.parametrize("length", [8, 15, 35, 36, 60, 128])
def test_a_generated_password_is_long_enough_and_unique(length: int) -> None:
    made = {generate_password(length) for _ in range(200)}
    assert len(made) == 200
    for each in made:
        assert max(length, 35) <= len(each) <= 256
        assert GENERATED.fullmatch(each)
        assert objection(each, PasswordPolicy(length, True), identity=("alice",)) is None
