"""Which certificates are read from PEM, and which are refused."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st
from issued import der, pem

from api.certificates.reading import LONGEST_NAME, MOST_NAMES, read_certificate, visible
from api.errors import Invalid

SERIAL = 0x1234567890
BEGIN, END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"


def armoured(content: bytes) -> str:
    return f"{BEGIN}\n{base64.encodebytes(content).decode()}{END}\n"


def altered(before: str, after: str, **options: object) -> str:
    """A certificate with some bytes of its DER replaced, so that its signature is wrong."""
    content = der(serial=SERIAL, **options)
    assert bytes.fromhex(before) in content
    return armoured(content.replace(bytes.fromhex(before), bytes.fromhex(after)))


def test_a_certificate_is_read() -> None:
    begins = datetime(2026, 11, 1, 12, tzinfo=UTC)
    names = [
        x509.DNSName("www.example.org"),
        x509.IPAddress(ipaddress.ip_address("2001:db8::1")),
        x509.RFC822Name("alice@example.org"),
        x509.UniformResourceIdentifier("spiffe://example.org/web"),
        x509.OtherName(x509.ObjectIdentifier("1.2.3"), b"\x0c\x01a"),
    ]
    text = pem("www.example.org", serial=0x0A0B, begins=begins, lives=timedelta(days=90), names=names)
    found = read_certificate(text)
    assert (found.serial, found.subject) == ("a0b", "CN=www.example.org")
    assert found.names == ("www.example.org", "2001:db8::1", "alice@example.org", "spiffe://example.org/web")
    assert (found.not_before, found.not_after) == (begins, begins + timedelta(days=90))
    assert found.sha256 == hashlib.sha256(base64.b64decode("".join(text.splitlines()[1:-1]))).hexdigest()
    assert found.pem == text


@pytest.mark.parametrize(
    "dress",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "subject=CN = www\n\x1b[31m<script>\n" + text + "\ntrailing words",
        lambda text: BEGIN + "".join(text.splitlines()[1:-1]) + END,
    ],
    ids=["lines of another system", "words around it", "one line"],
)
def test_only_the_certificate_is_kept(dress: Callable[[str], str]) -> None:
    text = pem()
    assert read_certificate(dress(text)) == read_certificate(text)


def test_certificates_of_issuers_are_read() -> None:
    assert read_certificate(pem("Intermediate", ca=True)).subject == "CN=Intermediate"


def test_certificates_that_have_expired_or_never_will_are_read() -> None:
    assert read_certificate(pem(begins=datetime(2001, 1, 1, tzinfo=UTC))).not_after.year == 2001
    begins = datetime(2026, 1, 1, tzinfo=UTC)
    never = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert read_certificate(pem(begins=begins, lives=never - begins)).not_after == never


def test_a_subject_may_be_empty() -> None:
    assert read_certificate(pem(None, names=[x509.DNSName("www.example.org")])).subject == ""


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "must hold one certificate"),
        ("hello", "must hold one certificate"),
        (BEGIN, "must hold one certificate"),
        (BEGIN + END, "cannot be read|no readable certificate"),
        (f"{BEGIN}\nAAAA\n{END}", "no readable certificate"),
        (f"{BEGIN}\nA\n{END}", "is not base64"),
        (f"{BEGIN}\nA=AA\n{END}", "is not base64|readable"),
        (f"{BEGIN}\n\u0661\n{END}", "must hold one certificate"),
        ("-----BEGIN TRUSTED CERTIFICATE-----\nAAAA\n-----END TRUSTED CERTIFICATE-----", "must hold one certificate"),
        (f"{BEGIN}\nAAAA\n-----END X509 CRL-----", "must hold one certificate"),
    ],
)
def test_garbage_is_refused(text: str, why: str) -> None:
    with pytest.raises(Invalid, match=why):
        read_certificate(text)


def test_several_certificates_are_refused() -> None:
    with pytest.raises(Invalid, match="2 certificates; send only the certificate itself"):
        read_certificate(pem() + pem("Intermediate", ca=True))


def test_a_private_key_is_refused_and_not_repeated() -> None:
    with pytest.raises(Invalid, match="private key") as refused:
        read_certificate(pem() + "-----BEGIN EC PRIVATE KEY-----\nc2VjcmV0\n-----END EC PRIVATE KEY-----\n")
    assert "c2VjcmV0" not in str(refused.value)


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ("02051234567890", "0205f234567890", "not positive|readable"),
        ("02051234567890", "02050000567890", "readable"),
        ("02051234567890", "0205000000ff90", "readable"),
        (b"260101000000Z".hex(), b"260230000000Z".hex(), "readable"),
        (b"260101000000Z".hex(), b"260101000060Z".hex(), "readable"),
        (b"www.example.org".hex(), b"www.\xff\xfeample.org".hex(), "readable"),
    ],
    ids=["a negative serial", "a padded serial", "a serial twice padded", "no such day", "no such second", "no UTF-8"],
)
def test_malformed_certificates_are_refused(before: str, after: str, why: str) -> None:
    with pytest.raises(Invalid, match=why):
        read_certificate(altered(before, after, begins=datetime(2026, 1, 1, tzinfo=UTC)))


def test_a_serial_number_of_zero_is_refused() -> None:
    content = der(serial=1, begins=datetime(2026, 1, 1, tzinfo=UTC))
    with pytest.raises(Invalid, match=r"not positive|readable"):
        read_certificate(armoured(content.replace(b"\x02\x01\x01\x30", b"\x02\x01\x00\x30", 1)))


def test_a_long_serial_number_is_kept_whole_and_a_longer_one_refused() -> None:
    # the builder makes none over 20 bytes, so the lengths of what is around it are put right by hand
    def of(length: int) -> str:
        content = der(serial=SERIAL, begins=datetime(2026, 1, 1, tzinfo=UTC))
        more = length - 5
        content = content.replace(bytes.fromhex("02051234567890"), bytes([2, length]) + b"\x12" * length)
        assert content[:2] == b"\x30\x82" and content[4:6] == b"\x30\x81"
        outer = int.from_bytes(content[2:4]) + more
        inner = content[6] + more
        if inner > 255:
            return armoured(b"\x30\x82" + (outer + 1).to_bytes(2) + b"\x30\x82" + inner.to_bytes(2) + content[7:])
        return armoured(b"\x30\x82" + outer.to_bytes(2) + b"\x30\x81" + bytes([inner]) + content[7:])

    assert read_certificate(of(32)).serial == "12" * 32
    with pytest.raises(Invalid, match="more than 64 hexadecimal digits"):
        read_certificate(of(33))


def test_a_certificate_that_ends_before_it_begins_is_refused() -> None:
    content = der(begins=datetime(2026, 1, 1, tzinfo=UTC), lives=timedelta(days=90))
    begins, ends = b"260101000000Z", b"260401000000Z"
    turned = content.replace(begins, b"x" * 13).replace(ends, begins).replace(b"x" * 13, ends)
    with pytest.raises(Invalid, match="ends before it begins"):
        read_certificate(armoured(turned))


def test_too_many_names_and_too_long_ones_are_refused() -> None:
    with pytest.raises(Invalid, match="alternative names"):
        read_certificate(pem(names=[x509.DNSName(f"{number}.example.org") for number in range(MOST_NAMES + 1)]))
    with pytest.raises(Invalid, match="characters"):
        read_certificate(pem(names=[x509.UniformResourceIdentifier("https://" + "x" * LONGEST_NAME)]))


@pytest.mark.parametrize("odd", ["a\r\nBcc: eve@example.org", "a\x00b", "a\x1b[31m", "a\u202eb", "a\u2028b", "a\x7f", "a\x9bb"])
def test_subjects_and_names_hold_no_control_characters(odd: str) -> None:
    found = read_certificate(pem(odd))
    assert found.subject.isprintable()
    assert "\\" in found.subject
    if odd.isascii():
        found = read_certificate(pem(names=[x509.DNSName(odd)]))
        assert all(name.isprintable() for name in found.names)


@given(st.text())
def test_visible_text_is_one_line_and_stable(text: str) -> None:
    assert visible(text).isprintable()
    assert not text.isprintable() or visible(text) == text


_WHOLE = der(serial=SERIAL, names=[x509.DNSName("www.example.org")])


@settings(max_examples=300)
@given(st.integers(0, len(_WHOLE) - 1), st.binary(max_size=4), st.integers(0, 6))
def test_any_bytes_are_read_or_refused(at: int, put: bytes, without: int) -> None:
    try:
        found = read_certificate(armoured(_WHOLE[:at] + put + _WHOLE[at + without :]))
    except Invalid:
        return
    assert found.subject.isprintable() and int(found.serial, 16) > 0
