"""Certificates of issuers that declare their CA certificates: one of these must have signed them."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from issued import pem
from register_world import DAY, RegisterWorld, claimed
from scenario import issuer, team
from sqlalchemy import select

from api.certificates import verification
from api.certificates.notices import Notices
from reconciler.store import tables

OLD, NEW, BETWEEN, OTHER = (ec.generate_private_key(ec.SECP256R1()) for _ in range(4))


def authority(key: ec.EllipticCurvePrivateKey, name: str = "Example CA", by: str = "Example CA", **more: Any) -> str:
    more.setdefault("begins", datetime(2025, 1, 1, tzinfo=UTC))
    more.setdefault("lives", 30_000 * DAY)
    more.setdefault("path_length", None)
    return pem(name, ca=more.pop("ca", True), issuer=by, own_key=key, key=more.pop("signed", key), **more)


def declare(world: RegisterWorld, *texts: str) -> None:
    world.apply({"issuers/tls.yaml": issuer("tls", caCertificates=list(texts))})


def register(world: RegisterWorld, code: int, text: str) -> Any:
    return world.caller("alice")("POST", "/certificates", code, json={"pem": text, "issuer": "tls", "team": "web"})


def test_a_certificate_must_be_signed_by_a_declared_authority(world: RegisterWorld) -> None:
    before = register(world, 201, pem(key=OTHER))
    declare(world, authority(OLD), authority(NEW, serial=2))
    for key in (OLD, NEW):
        shown = register(world, 201, pem(key=key))
        assert shown["verification"] == "verified"
        assert world.shown(shown["id"], "alice")["verification"] == "verified"
    assert before["verification"] == world.shown(before["id"])["verification"] == "unverified"
    assert world.listed(verification="unverified") == [before["id"]]
    assert len(world.listed(verification="verified")) == 2
    detail = register(world, 422, pem(key=OTHER))["detail"]
    assert "none of the CA certificates that `tls` declares signed it" in detail and "CN=Example CA" in detail
    assert "CN=Somebody" in register(world, 422, pem(key=OLD, issuer="Somebody"))["detail"]
    assert len(world.listed()) == 3
    assert "none of the CA certificates" in register(world, 422, before["pem"])["detail"]
    assert world.shown(before["id"]) == before


def test_a_certificate_is_verified_only_while_its_authority_is_declared(world: RegisterWorld) -> None:
    old, new = authority(OLD), authority(NEW, serial=2)
    declare(world, old, new)
    ids = [register(world, 201, pem(key=key))["id"] for key in (OLD, NEW)]
    for declared, found in (([new], ids[1:]), ([], []), ([old.strip(), new], ids)):
        declare(world, *declared)
        assert world.listed(verification="verified") == found
        assert world.listed(verification="unverified") == [each for each in ids if each not in found]
        assert [each for each in ids if world.shown(each)["verification"] == "verified"] == found
    teams = {f"teams/{name}.yaml": team(name, members=["bob"], issuers=["vpn"]) for name in ("web", "office")}
    world.apply({"issuers/tls.yaml": None, **teams})
    world.apply({"issuers/tls.yaml": issuer("tls", caCertificates=[old, new])})
    assert world.listed(verification="verified") == []
    assert world.shown(ids[0])["verification"] == "unverified"


def test_registering_again_verifies_again(world: RegisterWorld) -> None:
    text, chained = pem(key=OLD), pem("leaf", issuer="Between", key=BETWEEN)
    number, other = register(world, 201, text)["id"], register(world, 201, chained)["id"]
    declare(world, authority(OLD))
    assert world.shown(number)["verification"] == "unverified"
    for body in (text, text):
        shown = register(world, 200, body)
        assert (shown["id"], shown["verification"]) == (number, "verified")
    register(world, 422, chained)
    assert register(world, 200, chained + authority(BETWEEN, "Between", signed=OLD))["id"] == other
    changes = world.audit("certificate.change")
    assert [(entry["name"], entry["detail"]["verified"]) for entry in changes] == [(str(number), True), (str(other), True)]
    assert len(world.mails()) == 2
    declare(world, authority(NEW))
    register(world, 422, text)
    assert world.shown(number)["verification"] == "unverified"


def test_a_path_of_authorities_leads_to_a_declared_one(world: RegisterWorld) -> None:
    root, between = authority(OLD), authority(BETWEEN, "Between", signed=OLD)
    last = authority(OTHER, "Last", "Between", signed=BETWEEN, path_length=0)
    declare(world, root)
    shown = register(world, 201, pem("leaf", issuer="Between", key=BETWEEN) + between)
    assert (shown["verification"], shown["issuedBy"]) == ("verified", "CN=Between")
    leaf = pem("leaf", issuer="Last", key=OTHER)
    assert "`CN=Last`" in register(world, 422, leaf)["detail"]
    for text in (last + between, root + last + leaf + between):
        shown = register(world, 201, text)
        assert shown["verification"] == "verified"
    assert shown["subject"] == "CN=leaf"
    register(world, 422, leaf + last)
    declare(world, between)
    assert register(world, 201, pem("leaf", issuer="Last", key=OTHER) + last)["verification"] == "verified"


def usage(*, signs: bool) -> x509.KeyUsage:
    """What a key may be used for: to sign certificates, or lists of revoked ones."""
    return x509.KeyUsage(False, False, False, False, False, signs, not signs, False, False)


RESTRICTED = x509.NameConstraints([x509.DNSName("example.net")], None)


@pytest.mark.parametrize(
    ("root", "between"),
    [
        ({"path_length": 0}, {}),
        ({}, {"ca": False}),
        ({}, {"extension": usage(signs=False)}),
        ({}, {"extension": RESTRICTED}),
        ({}, {"signed": NEW}),
        ({}, {"by": "Another CA"}),
    ],
    ids=["too long a path", "no authority", "another use of the key", "restricted", "another's signature", "another's name"],
)
@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_path_must_be_sound(world: RegisterWorld, root: dict[str, Any], between: dict[str, Any]) -> None:
    declare(world, authority(OLD, **root))
    chain = authority(BETWEEN, "Between", **{"signed": OLD, **between})
    leaf = pem("leaf", issuer="Between", key=BETWEEN)
    register(world, 422, leaf + chain)
    declare(world, authority(OLD))
    register(world, 201, leaf + authority(BETWEEN, "Between", signed=OLD, extension=usage(signs=True)))


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_path_lengths_of_those_between_count_and_the_longest_path_is_found(world: RegisterWorld) -> None:
    declare(world, authority(OLD, path_length=2))
    first = authority(BETWEEN, "First", signed=OLD, path_length=0)
    second = authority(OTHER, "Second", "First", signed=BETWEEN)
    leaf = pem("leaf", issuer="Second", key=OTHER)
    register(world, 422, leaf + first + second)
    register(world, 201, leaf + first + second + authority(BETWEEN, "First", signed=OLD, path_length=1))


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_no_key_of_a_stranger_checks_a_signature(world: RegisterWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    declare(world, authority(OLD))
    leaf = pem("leaf", issuer="CA 0", key=OTHER)
    chain = [authority(OTHER, f"CA {place}", f"CA {place + 1}") for place in range(18)] + [authority(OTHER, "CA 18")]
    used: list[Any] = []
    check = verification._has_signed
    monkeypatch.setattr(verification, "_has_signed", lambda by, signed: used.append(by) or check(by, signed))
    register(world, 422, leaf + "".join(chain))
    assert [each.public_key() for each in used] == [OLD.public_key()] * 20


def test_the_declared_certificates_themselves_are_verified(world: RegisterWorld) -> None:
    between = authority(BETWEEN, "Between", signed=OLD)
    declare(world, between)
    assert register(world, 201, between)["verification"] == "verified"


def test_a_signature_that_cannot_be_checked_does_not_count(world: RegisterWorld) -> None:
    declare(world, authority(OLD))
    text = pem(key=OLD, serial=0x1234567890)
    assert "cannot be verified" in register(world, 422, negative(text))["detail"]
    declare(world)
    assert register(world, 201, negative(text))["verification"] == "unverified"


def negative(text: str) -> str:
    content = base64.b64decode("".join(text.splitlines()[1:-1])).replace(b"\x02\x05\x12", b"\x02\x05\xf2")
    return f"-----BEGIN CERTIFICATE-----\n{base64.encodebytes(content).decode()}-----END CERTIFICATE-----\n"


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_mails_say_whether_a_certificate_was_verified(world: RegisterWorld) -> None:
    register(world, 201, pem(key=OTHER))
    declare(world, authority(OLD))
    register(world, 201, pem(key=OLD))
    with world.service.database.reading() as connection:
        messages = connection.execute(select(tables.outbox).where(tables.outbox.c.certificate_id.is_not(None))).all()
        gathered = [Notices().gather(connection, claimed(row), datetime.now(UTC)).variables for row in messages]
    assert [each["certificate"]["verification"] for each in gathered] == ["unverified", "verified"]
    declare(world, authority(NEW))
    with world.service.database.reading() as connection:
        last = Notices().gather(connection, claimed(messages[-1]), datetime.now(UTC)).variables
    assert last["certificate"]["verification"] == "unverified"


def test_an_expired_authority_still_counts(world: RegisterWorld) -> None:
    declare(world, authority(OLD, begins=datetime(2001, 1, 1, tzinfo=UTC), lives=DAY))
    assert register(world, 201, pem(key=OLD))["verification"] == "verified"
