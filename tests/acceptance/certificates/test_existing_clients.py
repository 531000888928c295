"""What existing clients ask about issuers and certificates, and what they do with them."""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from client import Caller
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from issued import certificate, der, pem
from register_world import DAY, RegisterWorld
from scenario import issuer, team

from api.resources.certdog import certificates

BASE = "/certdog/api"


def hexadecimal(number: int) -> str:
    return f"{number:024x}"


def authority(name: str, **more: Any) -> str:
    return certificate(name, ca=True, **more).public_bytes(Encoding.PEM).decode()


def ask(caller: Caller, method: str, path: str, code: int = 200, **body: Any) -> Any:
    return caller(method, f"{BASE}/{path}", code, **({"json": body} if method in ("POST", "PATCH") else {}))


def search(world: RegisterWorld, who: str = "root", code: int = 200, **body: Any) -> Any:
    return ask(world.caller(who), "POST", "certs/search", code, **body)


def found(world: RegisterWorld, who: str = "root", **body: Any) -> list[int]:
    return [int(each["id"], 16) for each in search(world, who, **body)]


def declare_authorities(world: RegisterWorld, **more: Any) -> None:
    """Declare the CA of all certificates of the tests for `tls`."""
    world.apply({"issuers/tls.yaml": issuer("tls", displayName="Public TLS", caCertificates=[authority("Example CA")], **more)})


DETAIL = {
    *("id", "caId", "localCaId", "csrId", "pemCert", "commonName", "subjectDn", "issuerDn", "issuerCertId", "serialNumber"),
    *("signatureAlgorithm", "hashAlgorithm", "keyUsages", "enhancedKeyUsages", "subjectAlternativeNames", "validFrom", "validTo"),
    *("validFromStr", "validToStr", "ownerUserId", "ownerUsername", "teamId", "active", "status", "renewed", "renewedByCertId"),
    *("renewsCertId", "revoked", "history", "extraDetails", "extraEmails", "trackExpiry", "isCa", "hasKeyData", "imported"),
    *("importTime", "aias", "cdps", "thumbprint", "policies", "keySize", "eccCurve", "msTemplateName", "dnFromCsrWasReversed"),
    "daysToExpiry",
}


def test_a_certificate_has_all_properties_that_clients_read(world: RegisterWorld) -> None:
    begins = datetime(2099, 1, 28, 15, 59, 51, tzinfo=UTC)
    number = world.register(
        "alice",
        serial=0xABC,
        begins=begins,
        names=[x509.DNSName("a.example.org")],
        note="Rack 7",
        extraAddresses=["ops@example.org"],
    )
    shown = ask(world.caller("alice"), "GET", f"certs/{hexadecimal(number)}")
    assert shown.keys() == DETAIL
    assert shown["id"] == hexadecimal(number)
    assert (shown["serialNumber"], shown["commonName"], shown["subjectDn"]) == ("abc", "www.example.org", "CN=www.example.org")
    assert (shown["issuerDn"], shown["ownerUsername"], shown["extraDetails"]) == ("CN=Example CA", "alice", "Rack 7")
    assert (shown["extraEmails"], shown["trackExpiry"], shown["subjectAlternativeNames"]) == (
        ["ops@example.org"],
        True,
        ["DNS:a.example.org"],
    )
    assert (shown["validFrom"], shown["validFromStr"]) == ("2099-01-28T15:59:51.000+00:00", "2099-01-28 15:59:51")
    assert (shown["status"], shown["active"], shown["renewed"], shown["revoked"]) == ("Valid", True, False, False)
    assert (shown["trackExpiry"], shown["hasKeyData"], shown["isCa"]) == (True, False, False)
    assert (shown["signatureAlgorithm"], shown["hashAlgorithm"], shown["eccCurve"]) == ("ECDSA", "SHA-256", "secp256r1")
    assert isinstance(shown["daysToExpiry"], float)
    assert all(re.fullmatch("[0-9a-f]{24}", shown[name]) for name in ("caId", "ownerUserId", "teamId"))
    assert [each["event"] for each in shown["history"]] == ["imported"]
    assert (
        ask(world.caller("root"), "GET", "certs")
        == search(world)
        == [shown | {"daysToExpiry": pytest.approx(shown["daysToExpiry"], abs=1)}]
    )


@pytest.mark.parametrize("text", ["x", "1", "0" * 24, "f" * 24, "000000000000000000000063", "00000000000000000000000g", "%20"])
def test_an_id_that_is_none_is_not_found(world: RegisterWorld, text: str) -> None:
    world.register()
    caller = world.caller("root")
    ask(caller, "GET", f"certs/{text}", 404)
    ask(caller, "PATCH", f"certs/{text}", 404, renewed=True)


def test_somebody_sees_the_certificates_that_it_sees_in_the_register(world: RegisterWorld) -> None:
    mine, theirs = world.register("alice"), world.register("bob", team="office")
    assert found(world, "alice") == [mine]
    assert found(world, "bob") == [theirs, mine]
    assert found(world, "nobody") == []
    ask(world.caller("alice"), "GET", f"certs/{hexadecimal(theirs)}", 404)
    ask(world.caller("alice"), "POST", "certs/revoke", 404, certId=hexadecimal(theirs))
    ask(world.caller("alice"), "PATCH", f"certs/{hexadecimal(theirs)}", 404, renewed=True)


def test_subjects_are_found_in_both_spellings_anywhere_and_anchored(world: RegisterWorld) -> None:
    one, other = world.register(subject="test cert"), world.register(subject="test cert 2")
    assert found(world, subjectDn="test") == [other, one]
    assert found(world, subjectDn=r"(?i)cn=TEST\ cert(,|$)") == [one]
    assert found(world, subjectDn=r"(?i)^CN=test\ cert\ 2$") == [other]
    assert found(world, subjectDn=r"(?i)(^|[,+])\s*CN\s*=\s*test\ cert\s*([,+]|$)") == [one]
    assert found(world, issuerDn="CN=Example CA") == [other, one]
    assert found(world, issuerDn="CN=Another", subjectDn="test") == []
    assert found(world, subjectDn="", issuerDn=None, status="", teamId="", certsPerPage=1) == [other]


@pytest.mark.parametrize("pattern", ["(", "(?=a)", r"(a)\1", "a++", "(((a{30}){30}){30})", "a" * 4001])
def test_an_expression_that_is_none_or_too_much_is_refused(world: RegisterWorld, pattern: str) -> None:
    for name in ("subjectDn", "issuerDn"):
        answer = ask(world.caller("root"), "POST", "certs/search", None, **{name: pattern})  # type: ignore[arg-type]
        assert answer["status"] in (400, 422)
        assert f"`{name}`" in answer["message"]


def test_dates_and_statuses_are_conditions(world: RegisterWorld) -> None:
    now = datetime.now(UTC)
    old = world.register(begins=now - 20 * DAY, lives=10 * DAY)
    new = world.register(lives=10 * DAY)
    revoked, renewed = world.register(lives=40 * DAY), world.register(lives=50 * DAY)
    ask(world.caller("alice"), "POST", "certs/revoke", certId=hexadecimal(revoked))
    ask(world.caller("alice"), "PATCH", f"certs/{hexadecimal(renewed)}", renewed=True)
    assert found(world, status="active") == [renewed, new]
    assert found(world, status="Expired") == [old]
    assert found(world, status="revoked") == [revoked]
    assert found(world, status="renewed") == [renewed]
    assert found(world, validToFrom=f"{now:%Y-%m-%dT%H:%M}") == [renewed, revoked, new]
    assert found(world, validToTo=f"{now + 45 * DAY:%Y-%m-%dT%H:%M:%S}.1234567+00:00", validToFrom=f"{now:%Y-%m-%d}") == [
        revoked,
        new,
    ]
    assert found(world, validFromTo=f"{now - 5 * DAY:%Y-%m-%dT%H:%M:%SZ}") == [old]
    assert found(world, validFromFrom=f"{now - 5 * DAY:%Y-%m-%dT%H:%M}", certsPerPage=2) == [renewed, revoked]
    assert "known ones" in search(world, code=400, status="broken")["message"]
    assert "validToTo" in search(world, code=400, validToTo="tomorrow")["message"]


@pytest.mark.parametrize("body", [{"commonName": "www"}, {"pageNum": 1}, {"renewed": False}])
def test_a_condition_that_is_not_known_is_refused_by_its_name(world: RegisterWorld, body: dict[str, Any]) -> None:
    world.register()
    answer = search(world, code=422, **body)
    assert f"`{next(iter(body))}` is not known here" in answer["message"]
    assert found(world, **dict.fromkeys(body)) == found(world)  # the details hold the time that is left


def test_a_list_that_is_too_long_is_refused_and_never_cut_silently(world: RegisterWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificates, "MOST", 2)
    monkeypatch.setattr(certificates, "AT_ONCE", 1)
    numbers = [world.register() for _ in range(3)]
    assert "certsPerPage" in search(world, code=400)["message"]
    assert "certsPerPage" in search(world, code=400, certsPerPage=5000)["message"]
    ask(world.caller("root"), "GET", "certs", 400)
    assert found(world, certsPerPage=2) == numbers[:0:-1]
    assert found(world, certsPerPage=1) == numbers[:1:-1]


def test_a_list_that_is_too_large_is_refused(world: RegisterWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(2):
        world.register("alice", serial=x509.random_serial_number())
    size = len(json.dumps(search(world), separators=(",", ":")))
    monkeypatch.setattr(certificates, "LARGEST", size)
    assert len(search(world)) == 2
    monkeypatch.setattr(certificates, "LARGEST", size - 200)
    for most in (None, 2):
        assert "bytes; search for fewer" in search(world, code=400, certsPerPage=most)["message"]
    assert len(search(world, certsPerPage=1)) == 1


def test_a_search_that_takes_too_long_is_refused(world: RegisterWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificates, "PATIENCE", -1.0)
    number = world.register()
    assert "took more than" in search(world, code=400, subjectDn="www")["message"]
    assert found(world) == [number]


def test_a_search_goes_through_the_register_in_pieces(world: RegisterWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.certificates.search.AT_ONCE", 2)
    numbers = [world.register(subject=f"host{number}.example.org") for number in range(5)]
    assert found(world, subjectDn="host") == numbers[::-1]
    assert found(world, subjectDn="host[13]") == [numbers[3], numbers[1]]
    assert found(world, subjectDn="host[024]", certsPerPage=2) == [numbers[4], numbers[2]]


def test_what_accord_does_with_a_certificate_can_be_changed(world: RegisterWorld) -> None:
    number = world.register()
    path = f"certs/{hexadecimal(number)}"
    alice = world.caller("alice")
    emails = ["ops@example.org", None, ""]
    shown = ask(alice, "PATCH", path, trackExpiry=False, extraDetails="Rack 8\r\nRow 2", extraEmails=emails)
    assert (shown["trackExpiry"], shown["extraDetails"], shown["extraEmails"]) == (False, "Rack 8\nRow 2", ["ops@example.org"])
    assert ask(alice, "PATCH", path, extraDetails=None, renewed=None)["extraDetails"] == "Rack 8\nRow 2"
    assert ask(alice, "PATCH", path, extraDetails="")["extraDetails"] == ""
    assert "`teamId` is not known here" in ask(alice, "PATCH", path, 422, teamId=hexadecimal(1))["message"]
    ask(alice, "PATCH", path, 403, extraEmails=["someone@elsewhere.example"])
    ask(alice, "PATCH", path, 422, extraDetails="\x07")
    ask(world.caller("nobody"), "PATCH", path, 404, renewed=True)


def test_the_mark_of_a_renewal_stops_reminders_and_its_removal_brings_them_back(world: RegisterWorld) -> None:
    world.settings(daysBeforeExpiry=[30, 7])
    number = world.register(lives=40 * DAY)
    world.forget_mails()
    alice = world.caller("alice")
    path = f"certs/{hexadecimal(number)}"
    assert ask(alice, "PATCH", path, renewed=True)["renewed"] is True
    ask(alice, "PATCH", path, renewed=True)
    world.scan(datetime.now(UTC) + 11 * DAY)
    assert world.mails() == []
    assert ask(alice, "PATCH", path, renewed=False)["renewed"] is False
    world.scan(datetime.now(UTC) + 34 * DAY)
    assert world.mails() == [("certificate-expiring", "alice")]
    assert [each["detail"]["renewed"] for each in world.audit("certificate.change")] == [True, False]


def test_the_mark_stays_while_another_certificate_renews_it(world: RegisterWorld) -> None:
    old = world.register()
    new = world.register(renews=old)
    shown = ask(world.caller("alice"), "GET", f"certs/{hexadecimal(old)}")
    assert (shown["renewed"], shown["renewedByCertId"]) == (True, hexadecimal(new))
    ask(world.caller("alice"), "PATCH", f"certs/{hexadecimal(old)}", 409, renewed=False)
    assert ask(world.caller("alice"), "GET", f"certs/{hexadecimal(new)}")["renewsCertId"] == hexadecimal(old)


@pytest.mark.parametrize(
    ("reason", "known"),
    [("superceded", "superseded"), ("Key Compromise", "key compromise"), ("hold", "hold"), (None, "unspecified")],
)
def test_a_certificate_is_marked_as_revoked_by_its_id(world: RegisterWorld, reason: str | None, known: str) -> None:
    number = world.register()
    body = {"certId": hexadecimal(number), "reason": reason, "serialNumber": None, "caName": None, "caId": None}
    assert ask(world.caller("alice"), "POST", "certs/revoke", **body) == {"certId": hexadecimal(number), "revoked": True}
    ask(world.caller("alice"), "POST", "certs/revoke", **body)
    (entry,) = world.audit("certificate.revoke")
    assert (entry["detail"]["reason"], entry["name"], entry["actor"]) == (known, str(number), "alice")
    shown = ask(world.caller("alice"), "GET", f"certs/{hexadecimal(number)}")
    assert (shown["revoked"], shown["status"], shown["active"]) == (True, "Revoked", False)
    assert [each["event"] for each in shown["history"]] == ["imported", "revoked"]


@pytest.mark.parametrize("serial", ["ab01", "AB01", "00ab01", "AB:01"])
@pytest.mark.parametrize("named", ["Public TLS", "tls"])
def test_a_certificate_is_marked_as_revoked_by_its_serial_number_and_issuer(
    world: RegisterWorld, serial: str, named: str
) -> None:
    number = world.register(serial=0xAB01)
    other = world.register(serial=0xAB01, issuer="vpn")
    ask(world.caller("alice"), "POST", "certs/revoke", 404, serialNumber="ab02", caName=named)
    ask(world.caller("alice"), "POST", "certs/revoke", 404, serialNumber=serial, caName="old")
    ask(world.caller("alice"), "POST", "certs/revoke", serialNumber=serial, caName=named)
    assert [world.shown(each)["revokedAt"] is not None for each in (number, other)] == [True, False]
    at = ask(world.caller("alice"), "GET", f"certs/{hexadecimal(other)}")["caId"]
    for body in ({"caId": at}, {"caName": at}):  # clients write an id in place of a name
        ask(world.caller("alice"), "POST", "certs/revoke", serialNumber=serial, **body)
    assert world.shown(other)["revokedAt"] is not None


def test_all_entries_of_a_certificate_that_the_caller_may_change_are_marked_at_once(world: RegisterWorld) -> None:
    body = world.body(serial=0xAB01)
    numbers = [world.caller(who)("POST", "/certificates", 201, json=body)["id"] for who in ("alice", "bob")]
    other = world.caller("bob")("POST", "/certificates", 201, json={**body, "team": "office"})["id"]
    ask(world.caller("alice"), "POST", "certs/revoke", serialNumber="ab01", caName="Public TLS", reason="hold")
    assert [world.shown(each)["revokedAt"] is not None for each in (*numbers, other)] == [True, True, False]
    ask(world.caller("root"), "POST", "certs/revoke", certId=hexadecimal(numbers[0]))
    assert world.shown(other)["revokedAt"] is not None
    assert len(world.audit("certificate.revoke")) == 3


def test_an_ambiguous_serial_number_or_a_property_that_does_not_hold_revokes_nothing(world: RegisterWorld) -> None:
    numbers = [world.register(serial=0xAB01, subject=f"{number}.example.org") for number in range(2)]
    alice = world.caller("alice")
    ask(alice, "POST", "certs/revoke", 409, serialNumber="ab01", caName="Public TLS")
    ask(alice, "POST", "certs/revoke", 404, certId=hexadecimal(numbers[0]), serialNumber="ab02")
    ask(alice, "POST", "certs/revoke", 404, certId=hexadecimal(numbers[0]), caName="vpn")
    answer = ask(alice, "POST", "certs/revoke", 400, certId=hexadecimal(numbers[0]), reason="boredom")
    assert "superseded" in answer["message"]
    for body in ({}, {"serialNumber": "ab01"}, {"caName": "Public TLS"}, {"certId": hexadecimal(numbers[0]), "serial": "ab01"}):
        ask(alice, "POST", "certs/revoke", 422, **body)
    assert all(world.shown(each)["revokedAt"] is None for each in numbers)
    ask(alice, "POST", "certs/revoke", certId=hexadecimal(numbers[0]), serialNumber="ab01", caName="Public TLS")


def test_who_sees_a_certificate_and_may_not_change_it_revokes_nothing(world: RegisterWorld) -> None:
    number = world.register("alice")
    world.apply({"teams/web.yaml": team("web", members=["alice", "bob"], issuers=["vpn"], adGroups=["PKI-Web"])})
    ask(world.caller("bob"), "POST", "certs/revoke", 403, certId=hexadecimal(number))
    ask(world.caller("bob"), "PATCH", f"certs/{hexadecimal(number)}", 403, renewed=True)
    ask(world.caller("alice"), "POST", "certs/revoke", certId=hexadecimal(number))


@pytest.mark.parametrize("form", ["pem", "base64", "wrapped", "spaced"])
def test_a_certificate_is_imported_for_the_issuer_that_verifies_it_and_nobody_is_mailed(world: RegisterWorld, form: str) -> None:
    declare_authorities(world)
    raw = der("import.example.org")
    lines = base64.encodebytes(raw).decode().replace("\n", "\r\n")
    data = {
        "pem": x509.load_der_x509_certificate(raw).public_bytes(Encoding.PEM).decode(),
        "base64": base64.b64encode(raw).decode(),
        "wrapped": lines,
        "spaced": f"----- BEGIN CERTIFICATE -----\n{lines}----- END CERTIFICATE -----\n",
    }[form]
    body = {"certData": data, "ownerUserId": "", "teamId": "", "extraInfo": "SCAN from 10.1.2.3", "extraEmails": [None]}
    shown = ask(world.caller("alice"), "POST", "certs/import", **body)
    assert shown.keys() == DETAIL
    assert (shown["ownerUsername"], shown["extraDetails"]) == ("alice", "SCAN from 10.1.2.3")
    entry = world.shown(int(shown["id"], 16))
    assert (entry["issuer"], entry["team"], entry["verification"]) == ("tls", "web", "verified")
    assert world.mails() == []
    world.settings(daysBeforeExpiry=[30])
    world.scan(datetime.now(UTC) + 65 * DAY)
    assert world.mails() == [("certificate-expiring", "alice")]


def test_one_that_is_there_is_a_conflict_that_names_its_id(world: RegisterWorld) -> None:
    declare_authorities(world)
    data = pem("import.example.org")
    shown = ask(world.caller("alice"), "POST", "certs/import", certData=data)
    for who in ("alice", "bob", "root"):
        message = ask(world.caller(who), "POST", "certs/import", 409, certData=data)["message"]
        match = re.search(r'(?i)already present in the system.*?\bid:\s*([^,\s"\\]+)', message)
        assert match
        assert match[1] == shown["id"]
        assert message.endswith("owner: alice")
    assert len(world.listed()) == 1
    ask(world.caller("alice"), "POST", "certs/import", 409, certData=data, revoked=True, revocationReason="Key Compromise")
    assert world.shown(int(shown["id"], 16))["revokedAt"] is not None


def test_a_revoked_certificate_is_imported_with_its_mark(world: RegisterWorld) -> None:
    declare_authorities(world)
    more = {"revoked": True, "revocationReason": "Superseded", "revocationTime": "2026-01-01T00:00:00", "csrData": None}
    shown = ask(world.caller("alice"), "POST", "certs/import", certData=pem("import.example.org"), msTemplateName="Web", **more)
    assert shown["revoked"] is True
    assert world.audit("certificate.revoke")[0]["detail"]["reason"] == "superseded"


def test_nobody_guesses_whose_certificate_it_is(world: RegisterWorld) -> None:
    data = pem("import.example.org")
    alice = world.caller("alice")
    assert "caCertificates" in ask(alice, "POST", "certs/import", 409, certData=data)["message"]
    unrelated = authority("Other CA", key=ec.generate_private_key(ec.SECP256R1()), issuer="Other CA")
    world.apply({"issuers/vpn.yaml": issuer("vpn", caCertificates=[unrelated])})
    ask(alice, "POST", "certs/import", 409, certData=data)
    assert "cannot be verified" in ask(alice, "POST", "certs/import", 422, certData=data, caName="vpn")["message"]
    ask(alice, "POST", "certs/import", 403, certData=data, caName="old")
    assert world.listed() == []
    shown = ask(alice, "POST", "certs/import", certData=data, caName="Public TLS")
    assert world.shown(int(shown["id"], 16))["verification"] == "unverified"


def test_issuers_that_declare_the_same_authority_are_told_apart_by_name(world: RegisterWorld) -> None:
    declare_authorities(world)
    world.apply({"issuers/vpn.yaml": issuer("vpn", caCertificates=[authority("Example CA")])})
    alice = world.caller("alice")
    assert "`tls`, `vpn`" in ask(alice, "POST", "certs/import", 409, certData=pem("a.example.org"))["message"]
    shown = ask(alice, "POST", "certs/import", certData=pem("a.example.org"), caName="vpn")
    ask(alice, "POST", "certs/import", certData=pem("b.example.org"), certIssuerId=shown["caId"])
    assert world.shown(int(shown["id"], 16))["issuer"] == "vpn"


def test_several_teams_are_told_apart_by_the_id_that_is_given(world: RegisterWorld) -> None:
    declare_authorities(world)
    bob = world.caller("bob")
    assert "`office`, `web`" in ask(bob, "POST", "certs/import", 409, certData=pem("a.example.org"))["message"]
    number = world.register("bob", team="office", subject="b.example.org")
    office = ask(bob, "GET", f"certs/{hexadecimal(number)}")["teamId"]
    shown = ask(bob, "POST", "certs/import", certData=pem("a.example.org"), teamId=office)
    assert world.shown(int(shown["id"], 16))["team"] == "office"
    ask(world.caller("alice"), "POST", "certs/import", 404, certData=pem("c.example.org"), teamId=office)
    ask(bob, "POST", "certs/import", 404, certData=pem("c.example.org"), teamId="f" * 24)
    assert found(world, teamId=office) == [int(shown["id"], 16), number]
    search(world, code=404, teamId="f" * 24)


def test_a_certificate_is_imported_for_another_only_by_those_who_may(world: RegisterWorld) -> None:
    declare_authorities(world)
    world.register("bob", team="web", subject="b.example.org")
    (bob,) = {each["ownerUserId"] for each in search(world, subjectDn="CN=b")}
    for who, code in (("alice", 403), ("nobody", 403), ("portal", 409), ("root", 409)):
        ask(world.caller(who), "POST", "certs/import", code, certData=pem("c.example.org"), ownerUserId=bob)
    ask(world.caller("alice"), "POST", "certs/import", 403, certData=pem("c.example.org"), ownerUserId="e" * 24)
    ask(world.caller("root"), "POST", "certs/import", 404, certData=pem("c.example.org"), ownerUserId="e" * 24)
    world.apply({"teams/office.yaml": team("office", members=["bob"], permittedIPs=["10.20.0.0/16"], issuers=["vpn"])})
    for who in ("portal", "root"):
        shown = ask(world.caller(who), "POST", "certs/import", certData=pem(f"{who}.example.org"), ownerUserId=bob)
        assert shown["ownerUsername"] == "bob"


@pytest.mark.parametrize(
    "data", ["", "x", "!!!!", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "A" * 1000, "\x00"]
)
def test_what_is_no_certificate_is_refused(world: RegisterWorld, data: str) -> None:
    answer = ask(world.caller("alice"), "POST", "certs/import", 422, certData=data)
    assert "certData" in answer["message"]


def test_issuers_are_listed_as_their_users_and_administrators_may_know_them(world: RegisterWorld) -> None:
    declare_authorities(world)
    listed = ask(world.caller("alice"), "GET", "admin/ca")
    assert [each["caName"] for each in listed] == ["Public TLS", "vpn"]
    assert listed[0].keys() == {"id", "caName", "caType", "caTypeName", "caCerts", "caSubjectDn", "dnRestrictionId"}
    assert (listed[0]["caSubjectDn"], listed[1]["caSubjectDn"], listed[1]["caCerts"]) == ("CN=Example CA", None, [])
    assert all(re.fullmatch("[0-9a-f]{24}", each["id"]) for each in listed)
    assert ask(world.caller("nobody"), "GET", "admin/ca") == []
    assert [each["caName"] for each in ask(world.caller("root"), "GET", "admin/ca")] == ["Public TLS", "old", "vpn"]
    assert ask(world.caller("alice"), "GET", "admin/generators") == []


def test_a_chain_goes_from_the_authority_that_issues_to_the_root(world: RegisterWorld) -> None:
    key, between = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = authority("Root", issuer="Root", key=key, own_key=key, path_length=None)
    middle = authority("Middle", issuer="Root", key=key, own_key=between, path_length=1)
    leaf = authority("Leaf", issuer="Middle", key=between)
    world.apply({"issuers/tls.yaml": issuer("tls", displayName="Public TLS", caCertificates=[root, leaf, middle])})
    alice = world.caller("alice")
    for name in ("Public%20TLS", "tls"):
        assert [each.strip() for each in ask(alice, "GET", f"admin/ca/chainbyname/{name}")] == [
            each.strip() for each in (leaf, middle, root)
        ]
    assert ask(alice, "GET", "admin/ca")[0]["caSubjectDn"] == "CN=Leaf"
    for name in ("vpn", "old", "x/y", "Public"):
        ask(alice, "GET", f"admin/ca/chainbyname/{name}", 404)
    ask(world.caller("nobody"), "GET", "admin/ca/chainbyname/tls", 404)


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "request"), ("POST", "requestp10"), ("GET", f"{1:024x}/jks"), ("POST", f"{1:024x}/pem"), ("GET", f"{1:024x}/pem")],
)
def test_what_accord_never_does_says_so_to_those_who_are_known(world: RegisterWorld, method: str, path: str) -> None:
    answer = ask(world.caller("alice"), method, f"certs/{path}", 501, caName="Public TLS", csr="x")
    assert answer["error"] == "Not Implemented"
    assert "docs/coming-from-the-predecessor.md" in answer["message"]
    ask(world.caller(), method, f"certs/{path}", 401)


def test_answers_are_in_ascii(world: RegisterWorld) -> None:
    number = world.register(subject="Zoë", note="Büro")
    answer = world.caller("alice").send("GET", f"{BASE}/certs")
    assert answer.content.isascii()
    assert json.loads(answer.content)[0]["commonName"] == "Zoë"
    assert found(world, subjectDn="(?i)ZOË") == [number]


def test_what_cannot_be_read_of_a_certificate_is_empty(world: RegisterWorld) -> None:
    number = world.register()
    world.execute("UPDATE certificates SET pem = 'damaged'")
    shown = ask(world.caller("alice"), "GET", f"certs/{hexadecimal(number)}")
    assert shown.keys() == DETAIL
    assert (shown["keyUsages"], shown["thumbprint"], shown["keySize"]) == ([], None, None)
    assert timedelta(days=shown["daysToExpiry"]) > 80 * DAY
