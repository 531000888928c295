"""Certificates of issuers that declare their CA certificates: one of these must have signed them."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from issued import pem
from register_world import DAY, RegisterWorld, claimed
from scenario import issuer
from sqlalchemy import select

from api.certificates.notices import Notices
from reconciler.store import tables

OLD, NEW, BETWEEN, OTHER = (ec.generate_private_key(ec.SECP256R1()) for _ in range(4))


def authority(key: ec.EllipticCurvePrivateKey, name: str = "Example CA", by: str = "Example CA", **more: Any) -> str:
    more.setdefault("begins", datetime(2025, 1, 1, tzinfo=UTC))
    more.setdefault("lives", 30_000 * DAY)
    return pem(name, ca=True, issuer=by, own_key=key, key=more.pop("signed", key), **more)


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
    assert register(world, 200, before["pem"]) == before


def test_an_intermediate_authority_is_declared_itself(world: RegisterWorld) -> None:
    root, between = authority(OLD), authority(BETWEEN, "Between", signed=OLD)
    leaf = pem("leaf", issuer="Between", key=BETWEEN)
    declare(world, root)
    assert "`CN=Between`" in register(world, 422, leaf + between)["detail"]
    declare(world, root, between)
    shown = register(world, 201, leaf + between)
    assert (shown["verification"], shown["issuedBy"]) == ("verified", "CN=Between")


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


def test_an_expired_authority_still_counts(world: RegisterWorld) -> None:
    declare(world, authority(OLD, begins=datetime(2001, 1, 1, tzinfo=UTC), lives=DAY))
    assert register(world, 201, pem(key=OLD))["verification"] == "verified"
