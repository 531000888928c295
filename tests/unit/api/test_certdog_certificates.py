"""What existing clients ask about certificates and read of them, without a database."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given
from hypothesis import strategies as st
from issued import certificate, pem
from openssl_corpus import CASES, KEYS, self_signed

from api.certificates.reading import read_certificate
from api.errors import Problem
from api.resources.certdog.asked import asked, moment
from api.resources.certdog.chains import from_leaf_to_root
from api.resources.certdog.contents import contents
from api.resources.certdog.ids import certificate_id, certificate_number
from api.resources.certdog.imports import as_pem
from api.resources.certdog.names import common_name, spaced
from api.resources.certdog.patterns import Pattern
from api.resources.certdog.reasons import REASONS, reason
from api.resources.certificates import MAX_REGISTRATION

NOW = datetime(2026, 1, 28, tzinfo=UTC)


@given(st.integers(1, 999_999_999))
def test_an_id_stands_for_its_number(number: int) -> None:
    assert len(certificate_id(number)) == 24
    assert certificate_number(certificate_id(number)) == number
    assert certificate_number(certificate_id(number).upper()) == number


@pytest.mark.parametrize("text", ["", "7", "0" * 24, "f" * 24, "0" * 23 + "g", "0" * 23 + "٣", " " + "0" * 22 + "7", "0" * 25])
def test_nothing_else_is_an_id(text: str) -> None:
    assert certificate_number(text) is None


@pytest.mark.parametrize(
    ("name", "shown", "common"),
    [
        ("", "", None),
        ("CN=a", "CN=a", "a"),
        ("CN=a,O=b,C=GB", "CN=a, O=b, C=GB", "a"),
        ("O=b,CN=a", "O=b, CN=a", "a"),
        ("OU=x+CN=a,O=b", "OU=x+CN=a, O=b", "a"),
        (r"O=Acme\, Inc.,CN=a\+b", r"O=Acme\, Inc., CN=a\+b", "a+b"),
        (r"CN=a\\,O=b", r"CN=a\\, O=b", "a\\"),
        (r"CN=Zo\C3\AB,O=b", r"CN=Zo\C3\AB, O=b", "Zoë"),
        (r"O=CN\=x,DC=y", r"O=CN\=x, DC=y", None),
        ("2.5.4.3=#0c0161", "2.5.4.3=#0c0161", None),
    ],
)
def test_names_are_shown_with_spaces_between_their_parts(name: str, shown: str, common: str | None) -> None:
    assert spaced(name) == shown
    assert common_name(name) == common


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("test", "CN=a test,O=b"),
        (r"(?i)^CN=test\ cert,O=Test,C=GB$", "CN=test cert,O=Test,C=GB"),
        (r"(?i)^CN=test\ cert,\ O=Test,\ C=GB$", "CN=test cert,O=Test,C=GB"),
        (r"(?i)^cn=ZOË$", "CN=Zoë"),
        (r"(?i)CN=a\#b\.c\(d\)(,|$)", "CN=a#b.c(d),O=e"),
        ("", ""),
    ],
)
def test_a_pattern_finds_names_in_either_spelling(pattern: str, name: str) -> None:
    assert Pattern(pattern, "subjectDn").finds(name)


def test_a_pattern_finds_no_mixed_spelling_and_nothing_else() -> None:
    assert not Pattern("^CN=a, O=b,C=GB$", "subjectDn").finds("CN=a,O=b,C=GB")
    assert not Pattern("^CN=a$", "subjectDn").finds("CN=a,O=b")


UNREADABLE = ("(", "(?=a)", "(?<!a)b", r"(a)\1", "a++", r"\Z", "(?x)a", "(((a{30}){30}){30})", "a{1001}", "\ud800", "a" * 4001)
HOSTILE = ("(x+x+)+y", "(.*)*$y", "^(([a-z])+.)+[A-Z]([a-z])+$", "(a?){500}a{500}", "(.*)(.*)(.*)[0-9]{500}z")


@pytest.mark.parametrize("pattern", [*UNREADABLE, "(" * 4000])
def test_what_re2_cannot_do_is_refused_in_words(pattern: str) -> None:
    with pytest.raises(Problem, match="`subjectDn`") as refused:
        Pattern(pattern, "subjectDn")
    assert refused.value.status == 400
    assert len(refused.value.detail) < 500
    json.dumps(refused.value.detail).encode()


@pytest.mark.parametrize("pattern", HOSTILE)
def test_a_hostile_pattern_takes_linear_time(pattern: str) -> None:
    found = Pattern(pattern, "subjectDn")
    began = time.monotonic()
    for _ in range(100):
        found.finds("x" * 2000)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-01-28T15:59", "2026-01-28T15:59:00+00:00"),
        ("2026-01-28T15:59:51", "2026-01-28T15:59:51+00:00"),
        ("2026-01-28", "2026-01-28T00:00:00+00:00"),
        ("2026-01-28 15:59:51", "2026-01-28T15:59:51+00:00"),
        ("2026-01-28T15:59:51.1234567+01:00", "2026-01-28T14:59:51.123456+00:00"),
        ("2026-01-28T15:59:51.000+0000", "2026-01-28T15:59:51+00:00"),
        ("2026-01-28T15:59:51.5Z", "2026-01-28T15:59:51.500000+00:00"),
    ],
)
def test_instants_are_read_in_all_forms_that_scripts_write(text: str, meant: str) -> None:
    assert moment(text, "validToFrom").isoformat() == meant


NO_INSTANTS = ("", "tomorrow", "2026-13-01T00:00", "28/01/2026", "2026-01-28T25:00", "0001-01-01T00:00+14:00", "2026-02-30")


@pytest.mark.parametrize("text", [*NO_INSTANTS, "2026-01-28T15:59+99:00"])
def test_what_is_no_instant_is_refused_by_the_name_of_its_property(text: str) -> None:
    with pytest.raises(Problem, match="`validToFrom`"):
        moment(text, "validToFrom")


def test_what_is_empty_is_not_asked_for() -> None:
    names = ("subjectDn", "issuerDn", "validFromFrom", "validFromTo", "validToFrom", "validToTo", "status", "serialNumber")
    for empty in (None, ""):
        assert asked(dict.fromkeys(names, empty), NOW) == ([], None)


SPELLINGS = ("superceded", "Key Compromise", "keyCompromise", "CA_COMPROMISE", "certificateHold", "Remove From CRL", "", None)


@pytest.mark.parametrize("text", [*REASONS, *SPELLINGS])
def test_reasons_are_known_in_their_usual_spellings(text: str | None) -> None:
    assert reason(text) in REASONS


def test_an_unknown_reason_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(Problem, match=r"known reasons: unspecified, key compromise, .*hold"):
        reason("boredom\x1b[0m")


def rich() -> x509.Certificate:
    """A certificate with everything that clients read."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a")])
    made = x509.CertificateBuilder(
        name, name, key.public_key(), 7, datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
    )
    usage = dict.fromkeys(("content_commitment", "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign"), False)
    names = [
        x509.DNSName("a.example.org"),
        x509.RFC822Name("a@example.org"),
        x509.UniformResourceIdentifier("https://example.org/"),
        x509.DirectoryName(name),
        x509.OtherName(x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3"), b"\x0c\x01u"),
        x509.OtherName(x509.ObjectIdentifier("1.2.3"), b"\x0c\x01u"),
        x509.RegisteredID(x509.ObjectIdentifier("1.2.3")),
    ]
    location = x509.UniformResourceIdentifier("http://example.org/ca")
    for each in (
        x509.SubjectAlternativeName(names),
        x509.KeyUsage(digital_signature=True, key_encipherment=True, encipher_only=False, decipher_only=False, **usage),
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, x509.ObjectIdentifier("1.2.3")]),
        x509.AuthorityInformationAccess([x509.AccessDescription(x509.ObjectIdentifier("1.3.6.1.5.5.7.48.2"), location)]),
        x509.CRLDistributionPoints([x509.DistributionPoint([location], None, None, None)]),
        x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier("1.2.3.4"), None)]),
        x509.BasicConstraints(ca=True, path_length=None),
        x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2"), b"\x1e\x06\x00W\x00e\x00b"),
    ):
        made = made.add_extension(each, critical=False)
    return made.sign(key, SHA384())


def test_everything_that_a_certificate_says_is_read() -> None:
    found = contents(rich().public_bytes(Encoding.PEM).decode())
    thumbprint = found.pop("thumbprint")
    assert len(thumbprint) == 40
    assert found == {
        "signatureAlgorithm": "RSA",
        "hashAlgorithm": "SHA-384",
        "keyUsages": ["Digital Signature", "Key Encipherment"],
        "enhancedKeyUsages": ["Server Authentication", "1.2.3"],
        "subjectAlternativeNames": [
            "DNS:a.example.org",
            "EMAIL:a@example.org",
            "URI:https://example.org/",
            "DIRNAME:CN=a",
            "UPN:u",
        ],
        "isCa": True,
        "aias": ["http://example.org/ca"],
        "cdps": ["http://example.org/ca"],
        "policies": ["1.2.3.4"],
        "keySize": "2048",
        "eccCurve": None,
        "msTemplateName": "Web",
    }


@pytest.mark.parametrize("text", ["", "x", "-----", "-----a-----", pem()[:-60], pem().replace("M", "N"), "\x00" * 99])
def test_what_cannot_be_read_is_empty_and_never_an_error(text: str) -> None:
    assert contents(text).keys() == contents(pem()).keys()


@pytest.mark.parametrize("key", KEYS)
def test_certificates_of_all_kinds_of_keys_are_read(tmp_path: Path, key: str) -> None:
    json.dumps(contents(self_signed(tmp_path, key=key)))


@pytest.mark.parametrize("case", CASES)
def test_certificates_of_odd_issuers_are_read(tmp_path: Path, case: str) -> None:
    json.dumps(contents(read_certificate(self_signed(tmp_path, **CASES[case])).pem))


def test_a_chain_is_put_in_order_where_it_is_one() -> None:
    key, between = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())

    def authority(name: str, issuer: str) -> str:
        made = certificate(name, ca=True, issuer=issuer, key=key, own_key=between)
        return made.public_bytes(Encoding.PEM).decode()

    root, middle, leaf, other = authority("R", "R"), authority("M", "R"), authority("L", "M"), authority("X", "X")
    assert from_leaf_to_root([root, leaf, middle]) == [leaf, middle, root]
    assert from_leaf_to_root([middle, leaf]) == [leaf, middle]
    assert from_leaf_to_root([root]) == [root]
    assert from_leaf_to_root([]) == []
    for kept in ([root, other], [root, leaf, other, middle], ["damaged", root], [root, authority("R", "R"), middle]):
        assert from_leaf_to_root(kept) == kept


def test_a_loop_of_authorities_stays_as_it_is_declared() -> None:
    one, two = (certificate(name, ca=True, issuer=issuer).public_bytes(Encoding.PEM).decode() for name, issuer in ("ab", "ba"))
    assert from_leaf_to_root([one, two]) == [one, two]


def test_certificates_without_lines_around_them_become_pem() -> None:
    text = pem()
    body = "".join(text.split("-----")[2].split())
    assert read_certificate(as_pem(body)) == read_certificate(text)
    assert as_pem(text) == text
    assert read_certificate(as_pem(text.replace("-----B", "----- B").replace("E-----", "E -----"))) == read_certificate(text)


@pytest.mark.parametrize("gap", [" ", "\t", "A ", "-----BEGIN "])
def test_a_hostile_text_becomes_pem_in_linear_time(gap: str) -> None:
    text = "-----BEGIN " + gap * (MAX_REGISTRATION // len(gap))
    began = time.monotonic()
    assert as_pem(text) == text
    assert time.monotonic() - began < 5
