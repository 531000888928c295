"""Which certificates are read from PEM, and which are refused."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st
from issued import certificate, der, pem
from openssl_corpus import CASES, KEYS, openssl, self_signed

from api.certificates.reading import LONGEST_NAME, LONGEST_SERIAL, MOST_NAMES, MOST_SAID, read_certificate, visible
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
        x509.OtherName(x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3"), b"\x0c\x0aalice@corp"),
        x509.DirectoryName(x509.Name.from_rfc4514_string("CN=alice\\, the first,O=Example")),
    ]
    text = pem("www.example.org", serial=0x0A0B, begins=begins, lives=timedelta(days=90), names=names)
    found = read_certificate(text)
    assert (found.serial, found.subject) == ("a0b", "CN=www.example.org")
    ways = ("www.example.org", "2001:db8::1", "alice@example.org", "spiffe://example.org/web")
    assert (found.names, found.left_out) == ((*ways, "alice@corp", "CN=alice\\, the first,O=Example"), ())
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
        ("", "must hold a certificate"),
        ("hello", "must hold a certificate"),
        (BEGIN, "must hold a certificate"),
        (BEGIN + END, "no readable certificate"),
        (f"{BEGIN}\nAAAA\n{END}", "no readable certificate"),
        (f"{BEGIN}\nA\n{END}", "is not base64"),
        (f"{BEGIN}\nA=AA\n{END}", "is not base64|readable"),
        (f"{BEGIN}\n\u0661\n{END}", "must hold a certificate"),
        (f"{BEGIN}\nAAAA\n-----END X509 CRL-----", "must hold a certificate"),
        (f"{pem()}{BEGIN}\nAAAA\n", "must hold a certificate"),
        (f"{BEGIN}\nMAA=\n{END}", "no readable certificate"),
    ],
)
def test_garbage_is_refused(text: str, why: str) -> None:
    with pytest.raises(Invalid, match=why):
        read_certificate(text)


@pytest.mark.parametrize("case", CASES)
def test_what_openssl_makes_is_read(case: str, tmp_path: Path) -> None:
    found = read_certificate(self_signed(tmp_path, **CASES[case]))
    assert (
        found.sha256
        == openssl(tmp_path, "x509", "-in", "made.pem", "-noout", "-fingerprint", "-sha256")
        .partition("=")[2]
        .strip()
        .replace(":", "")
        .lower()
    )
    serial = openssl(tmp_path, "x509", "-in", "made.pem", "-noout", "-serial").partition("=")[2].strip()
    assert int(found.serial, 16) == int(serial, 16)
    options = ("-nameopt", "RFC2253,-esc_msb,utf8")
    subject = openssl(tmp_path, "x509", "-in", "made.pem", "-noout", "-subject", *options).removeprefix("subject=").strip()
    assert found.subject == subject.replace("1.2.3.4.5=#0C0178", "1.2.3.4.5=x")
    assert all(text.isprintable() for text in (found.subject, *found.names, *found.left_out))


@pytest.mark.parametrize("key", KEYS)
def test_any_kind_of_key_is_registered(key: str, tmp_path: Path) -> None:
    assert read_certificate(self_signed(tmp_path, key=key)).left_out == ()


@pytest.mark.parametrize(
    ("case", "names", "left_out"),
    [
        ("an email address in Latin-1", ("www.example.org", "j\\F6rg@example.org"), "alternative name 2 is not text"),
        ("a DNS name in Latin-1", ("www.example.org", "m\\FCller.example.org"), "alternative name 2 is not text"),
        ("an IP address with a mask", (), "alternative name 1, an IP address of 10 bytes"),
        ("names that are damaged", (), "the alternative names, or what follows in them"),
    ],
)
def test_what_cannot_be_read_is_said(case: str, names: tuple[str, ...], left_out: str, tmp_path: Path) -> None:
    found = read_certificate(self_signed(tmp_path, **CASES[case]))
    assert found.names == names
    assert left_out in found.left_out[0]


@pytest.mark.parametrize(
    ("name", "left_out"),
    [
        (x509.OtherName(x509.ObjectIdentifier("1.2.3"), b"\x0c\x01a"), "of the kind 1.2.3"),
        (x509.OtherName(x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3"), b"\x02\x01\x07"), "of the kind 1.3.6.1.4.1.311.20.2.3"),
        (x509.RegisteredID(x509.ObjectIdentifier("1.2.3")), "a registered ID"),
        (b"\xa0\x02\x06\x00", "which is damaged"),
        (b"\xa0\x05\x06\x03\x2a\x03\x04", "which is damaged"),
        (b"\xa4\x02\x04\x00", "which is damaged"),
        (b"\xa4\x00", "which is damaged"),
        (b"\xa3\x00", "an X.400 address"),
        (b"\xa5\x00", "an EDI party's name"),
        (b"\xa4\x02\x30\x00", "a directory name without parts"),
        (b"\x9f\x21\x00", "of an unknown kind"),
    ],
)
def test_an_alternative_name_that_is_not_read_is_said(name: x509.GeneralName | bytes, left_out: str) -> None:
    last = x509.DNSName("www.example.org")
    if isinstance(name, bytes):
        content = name + b"\x82\x0fwww.example.org"
        made = pem(
            extension=x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.17"), b"\x30" + bytes([len(content)]) + content)
        )
    else:
        made = pem(names=[name, last])
    found = read_certificate(made)
    assert (found.names, found.left_out) == (("www.example.org",), (f"alternative name 1, {left_out}",))


def test_a_trusted_certificate_is_read_without_its_trust(tmp_path: Path) -> None:
    plain = self_signed(tmp_path)
    openssl(tmp_path, "x509", "-in", "made.pem", "-trustout", "-addtrust", "serverAuth", "-out", "trusted.pem")
    assert read_certificate((tmp_path / "trusted.pem").read_text()) == read_certificate(plain)


def test_what_openssl_prints_around_it_does_no_harm(tmp_path: Path) -> None:
    text = self_signed(tmp_path)
    bag = "Bag Attributes\n    friendlyName: \u00e9\nsubject=CN = www\n\n"
    crl = "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"
    printed = openssl(tmp_path, "x509", "-in", "made.pem", "-text")
    old = text.replace("BEGIN C", "BEGIN X509 C").replace("END C", "END X509 C")
    for dressed in ("\ufeff" + text, bag + text, crl + text, printed, old):
        assert read_certificate(dressed) == read_certificate(text)


ROOT, INTERMEDIATE = pem("Example CA", ca=True), pem("Between", ca=True)


@pytest.mark.parametrize("order", [*itertools.permutations(range(3))])
def test_of_a_chain_the_certificate_that_issued_none_of_the_others_is_read(order: tuple[int, ...]) -> None:
    leaf = pem("leaf")
    chain = (leaf, ROOT, INTERMEDIATE)
    found = read_certificate("".join(chain[place] for place in order))
    assert found.subject == "CN=leaf"
    assert found.left_out[0].startswith("2 other certificates of the PEM: CN=")
    assert found._replace(left_out=(), chain=()) == read_certificate(leaf)


def test_one_certificate_twice_is_one() -> None:
    text = pem()
    assert read_certificate(text * 2) == read_certificate(text)


@pytest.mark.parametrize("texts", [(pem("a"), pem("b")), (pem("a"), pem("b"), ROOT)])
def test_certificates_that_are_no_chain_are_refused(texts: tuple[str, ...]) -> None:
    with pytest.raises(Invalid, match=f"{len(texts)} certificates, and it is not clear which"):
        read_certificate("".join(texts))


def test_a_private_key_is_refused_and_not_repeated() -> None:
    with pytest.raises(Invalid, match="private key") as refused:
        read_certificate(pem() + "-----BEGIN EC PRIVATE KEY-----\nc2VjcmV0\n-----END EC PRIVATE KEY-----\n")
    assert "c2VjcmV0" not in str(refused.value)


@pytest.mark.parametrize(
    ("before", "after", "serial"),
    [
        ("02051234567890", "0205f234567890", "-dcba98770"),
        ("02051234567890", "02050000567890", "567890"),
        ("02051234567890", "02050000000000", "0"),
    ],
    ids=["negative", "padded", "zero"],
)
def test_odd_serial_numbers_are_read(before: str, after: str, serial: str) -> None:
    assert read_certificate(altered(before, after)).serial == serial


BEGINS = datetime(2026, 1, 1, tzinfo=UTC)
UTC_TIME = b"\x17\x0d260101000000Z"


def retimed(written: bytes) -> str:
    """A certificate whose first date is written in another way; the lengths around it are put right."""
    content = der(serial=SERIAL, begins=BEGINS)
    assert UTC_TIME in content and content[:2] == b"\x30\x82" and content[4:6] == b"\x30\x81"
    more = len(written) - len(UTC_TIME)
    validity = content.index(UTC_TIME) - 1
    content = content[:validity] + bytes([content[validity] + more]) + content[validity + 1 :].replace(UTC_TIME, written, 1)
    return armoured(
        b"\x30\x82" + (int.from_bytes(content[2:4]) + more).to_bytes(2) + b"\x30\x81" + bytes([content[6] + more]) + content[7:]
    )


@pytest.mark.parametrize(
    ("written", "instant"),
    [
        (b"\x17\x0b2601010000Z", BEGINS),
        (b"\x17\x112601010130+0130", BEGINS),
        (b"\x17\x11251231223000-0130", BEGINS),
        (b"\x18\x0f20260101000000Z", BEGINS),
        (b"\x18\x1320260101000000.123Z", BEGINS),
        (b"\x18\x0f00010101000000Z", datetime(1, 1, 1, tzinfo=UTC)),
        (b"\x18\x0f99991231235959Z", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (b"\x17\x0d500101000000Z", datetime(1950, 1, 1, tzinfo=UTC)),
    ],
)
def test_dates_are_read_as_they_are_in_use(written: bytes, instant: datetime) -> None:
    written = written[:1] + bytes([len(written) - 2]) + written[2:]
    assert read_certificate(retimed(written)).not_before == instant


@pytest.mark.parametrize(
    "written",
    [
        b"\x17\x0d260230000000Z",
        b"\x17\x0d260101000060Z",
        b"\x17\x0d26010100000\xb2Z",
        b"\x18\x1399991231235959-0100",
        b"\x18\x1300010101000000+0100",
        b"\x18\x1320260101000000+9900",
        b"\x13\x0d260101000000Z",
    ],
)
def test_dates_that_are_none_are_refused(written: bytes) -> None:
    with pytest.raises(Invalid, match="dates between which it is valid cannot be read"):
        read_certificate(retimed(written))


def test_text_that_is_not_utf8_is_shown_byte_by_byte() -> None:
    found = read_certificate(altered(b"www.example.org".hex(), b"www.\xff\xfeample.org".hex()))
    assert found.subject == "CN=www.\\FF\\FEample.org"
    assert found.left_out == ("CN of the subject is not text of its kind; other bytes than UTF-8 are shown as two digits each",)


def test_lengths_that_only_an_end_tells_are_read() -> None:
    content = der(serial=SERIAL)
    assert content[:2] == b"\x30\x82"
    endless = b"\x30\x80" + content[4:] + b"\x00\x00"
    assert read_certificate(armoured(endless + b"behind")).der == endless
    assert read_certificate(armoured(endless)).serial == f"{SERIAL:x}"
    for cut in range(2, len(endless) - 2, 7):
        with pytest.raises(Invalid):
            read_certificate(armoured(endless[:cut]))
    with pytest.raises(Invalid):
        read_certificate(armoured(b"\x30\x80" * 100_000))


def test_a_long_serial_number_is_kept_whole_and_a_longer_one_refused() -> None:
    def of(length: int) -> str:
        # the builder makes none over 20 bytes, and with unknown lengths no others need to be put right
        content = der(serial=SERIAL)
        assert content[4:6] == b"\x30\x81"
        end = 7 + content[6]
        body = content[7:end].replace(bytes.fromhex("02051234567890"), b"\x02\x82" + length.to_bytes(2) + b"\x12" * length)
        return armoured(b"\x30\x80\x30\x80" + body + b"\x00\x00" + content[end:] + b"\x00\x00")

    assert read_certificate(of(LONGEST_SERIAL)).serial == "12" * LONGEST_SERIAL
    with pytest.raises(Invalid, match="more than 1,000 bytes"):
        read_certificate(of(LONGEST_SERIAL + 1))


def test_a_certificate_may_end_before_it_begins() -> None:
    content = der(begins=BEGINS, lives=timedelta(days=90))
    begins, ends = b"260101000000Z", b"260401000000Z"
    turned = content.replace(begins, b"x" * 13).replace(ends, begins).replace(b"x" * 13, ends)
    assert read_certificate(armoured(turned)).not_after == BEGINS


def test_names_beyond_the_limits_are_left_out_and_said() -> None:
    found = read_certificate(pem(names=[x509.DNSName(f"{number}.example.org") for number in range(MOST_NAMES + 7)]))
    assert len(found.names) == MOST_NAMES
    assert found.left_out == ("7 alternative names after the first 1,000",)
    found = read_certificate(pem(names=[x509.UniformResourceIdentifier("https://" + "x" * LONGEST_NAME)]))
    assert (len(found.names[0]), found.names[0][-1]) == (LONGEST_NAME, "…")
    assert found.left_out == ("what of alternative name 1 goes beyond 2,000 characters",)


def test_few_of_many_faults_are_told() -> None:
    many = b"\x82\x02\xff\xff" * 900
    names = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.17"), b"\x30\x82" + len(many).to_bytes(2) + many)
    found = read_certificate(pem(extension=names))
    assert (len(found.names), len(found.left_out), found.left_out[-1]) == (900, MOST_SAID + 1, "880 more")


@given(st.text(min_size=2, max_size=16).filter(lambda text: text.isprintable()))
def test_subjects_are_written_as_the_library_writes_them(text: str) -> None:
    made = certificate(text)
    found = read_certificate(made.public_bytes(Encoding.PEM).decode())
    assert found.subject == made.subject.rfc4514_string()


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
    assert all(text.isprintable() for text in (found.subject, found.issued_by, *found.names, *found.left_out))
    assert found.not_after.tzinfo is UTC and int(found.serial, 16) is not None
