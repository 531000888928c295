"""Existing clients of the product that Accord succeeds: every call that they make, against a running server."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from certdog_client import NEWER, OLDER, CertdogClient
from certdog_desk import CHAIN, ISSUER, PASSWORD, Desk, issued, pem, served
from client import World
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import Encoding
from organisation import copy_postgresql, copy_repository, copy_sqlite
from scenario import Accord

KINDS = [
    pytest.param(("sqlite", ()), id="waitress"),
    pytest.param(("sqlite", ("--server", "granian")), id="granian"),
    pytest.param(("postgresql", ()), id="postgresql", marks=pytest.mark.postgresql),
]


@pytest.fixture(scope="module", params=KINDS)
def desk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    database, options = request.param
    folder = tmp_path_factory.mktemp("desk")
    applied = request.getfixturevalue(f"applied_on_{database}")
    repository = copy_repository(applied, folder / "config.git")
    if database == "sqlite":
        url = copy_sqlite(applied, folder / "accord.db")
    else:
        url = copy_postgresql(applied, request.getfixturevalue("postgresql_server"))
    world = World(Accord(repository.path, url, folder / "cache"))
    with served(world, folder, *options) as found:
        yield found
    world.service.stop()
    if database == "postgresql":
        request.getfixturevalue("postgresql_server").drop_database(url)


@pytest.fixture
def fred(desk: Desk) -> CertdogClient:
    return desk.client()


def escaped(text: str) -> str:
    """Escaped for .NET's regular expressions, as scripts do; spaces and `#` as well."""
    return re.sub(r"([\\*+?|{\[()^$.# ])", r"\\\1", text)


def web(fred: CertdogClient) -> str:
    """The id of the team that may use the issuer."""
    return next(str(each["id"]) for each in fred.my_teams() if each["name"] == "web")


def added(fred: CertdogClient, dn: str = "CN=www.example.org", *names: str, **more: int) -> dict[str, object]:
    """A new certificate, imported."""
    return fred.add(pem(issued(dn, *names, **more)), teamId=web(fred))


@pytest.mark.parametrize("base", [NEWER, OLDER])
def test_a_client_logs_in_works_and_logs_out(desk: Desk, base: str) -> None:
    client = desk.stranger(base=base)
    assert client.login("fred", PASSWORD)["username"] == "fred"
    assert client.my_issuers() == [ISSUER, "vpn"]
    client.logout()
    client.refused(401, "GET", "currentuser/myissuers")


def test_a_wrong_password_is_refused_in_the_shape_of_errors(desk: Desk) -> None:
    body = {"username": "fred", "password": "no such password at all"}
    message = desk.stranger().refused(401, "POST", "login", body)
    assert body["password"] not in message


def test_an_api_token_lives_on_after_a_logout(fred: CertdogClient) -> None:
    fred.logout()
    assert fred.my_issuers() == [ISSUER, "vpn"]


@pytest.mark.parametrize("base", [NEWER, OLDER])
@pytest.mark.parametrize("path", ["currentuser/myissuers/", "/currentuser/myissuers", "currentuser//myissuers//"])
def test_slashes_too_many_are_overlooked(fred: CertdogClient, base: str, path: str) -> None:
    fred.base = base
    assert fred.call("GET", path, lambda value, where: None) == [ISSUER, "vpn"]


def test_the_callers_teams(fred: CertdogClient) -> None:
    teams = {each["name"]: each for each in fred.my_teams()}
    assert teams.keys() == {"web", "ops"}
    assert {each["internalGroup"] for each in teams.values()} == {"USER"}
    assert teams["web"]["description"] == "L'équipe web"
    assert set(re.split(", *", teams["web"]["ipWhiteList"])) == {"127.0.0.0/8", "10.0.0.0/8"}
    assert teams["ops"]["ipWhiteList"] is None
    assert (teams["web"]["adGroups"], teams["ops"]["adGroups"]) == ([], ["PKI-Ops"])
    assert (teams["web"]["dontSendReminderEmails"], teams["ops"]["dontSendReminderEmails"]) == (False, True)
    assert fred.my_teams() == list(teams.values())


def test_a_team_of_administrators(desk: Desk) -> None:
    (team,) = desk.client("root").my_teams()
    assert (team["name"], team["internalGroup"]) == ("admins", "ADMIN")


def test_the_issuers_and_what_the_teams_may_use_of_them(fred: CertdogClient) -> None:
    issuers = {each["id"]: each for each in fred.issuers()}
    teams = {each["name"]: each for each in fred.my_teams()}
    assert {issuers[number]["caName"] for number in teams["web"]["authorisedCas"]} == {ISSUER, "vpn"}
    assert {issuers[number]["caName"] for number in teams["ops"]["authorisedCas"]} == {"vpn"}
    certificates = {each["caName"]: each["caCerts"] for each in issuers.values()}
    assert [each.split() for each in certificates[ISSUER]] == [each.split() for each in CHAIN]
    assert certificates["vpn"] == []


def test_the_chain_of_an_issuer(fred: CertdogClient) -> None:
    assert [each.split() for each in fred.chain(ISSUER)] == [each.split() for each in CHAIN]
    assert ISSUER in fred.my_issuers()
    for name in ("vpn", "nothing of the kind", "%C3%A9", "../x"):
        fred.refused(404, "GET", f"admin/ca/chainbyname/{name.replace(' ', '%20')}")


def test_there_are_no_generators(fred: CertdogClient) -> None:
    assert fred.generators() == []


def test_a_certificate_is_imported_and_shown(fred: CertdogClient) -> None:
    made = issued("CN=shown.example.org,O=Test,C=GB", "shown.example.org", "www.shown.example.org", serial=0x0ABC_DEF0_1234)
    shown = fred.add(pem(made), teamId=web(fred), extraInfo="Résidence: centre 111")
    assert fred.certificate(shown["id"]) == {**shown, "daysToExpiry": pytest.approx(shown["daysToExpiry"], abs=1)}
    assert shown["pemCert"].split() == pem(made).split()
    assert (shown["commonName"], shown["serialNumber"]) == ("shown.example.org", "abcdef01234")
    assert re.sub(", ", ",", shown["subjectDn"]) == "CN=shown.example.org,O=Test,C=GB"
    assert re.sub(", ", ",", shown["issuerDn"]) == "CN=Test Issuing CA,O=Krestel"
    assert shown["teamId"] == web(fred)
    assert (shown["ownerUsername"], shown["extraDetails"]) == ("fred", "Résidence: centre 111")
    assert (shown["renewed"], shown["revoked"], shown["trackExpiry"]) == (False, False, True)
    assert shown["thumbprint"].lower() == made.fingerprint(SHA1()).hex()
    assert sum("shown.example.org" in each for each in shown["subjectAlternativeNames"]) == 2
    assert 89 < shown["daysToExpiry"] < 90
    begins = made.not_valid_before_utc
    assert datetime.fromisoformat(shown["validFrom"]) == begins
    assert shown["validFromStr"].startswith(f"{begins:%Y-%m-%d %H:%M:%S}")


def test_whether_an_import_is_bare_base64_or_has_the_lines_of_another_system(fred: CertdogClient) -> None:
    bare = issued("CN=bare.example.org")
    data = base64.b64encode(bare.public_bytes(Encoding.DER)).decode()
    assert fred.add(data, teamId=web(fred))["commonName"] == "bare.example.org"
    assert fred.add_again(pem(bare).replace("\n", "\r\n"), teamId=web(fred)) == fred.add_again(data, teamId=web(fred))


def test_a_certificate_that_is_there_is_named_in_the_refusal(fred: CertdogClient) -> None:
    made = issued("CN=twice.example.org")
    number = fred.add(pem(made), teamId=web(fred))["id"]
    assert fred.add_again(pem(made), teamId=web(fred)) == number
    assert fred.certificate(fred.add_again(pem(made)))["commonName"] == "twice.example.org"


def test_an_import_takes_its_owner_from_a_certificate(fred: CertdogClient) -> None:
    owner = added(fred)["ownerUserId"]
    assert fred.add(pem(issued()), teamId=web(fred), ownerUserId=owner)["ownerUsername"] == "fred"


@pytest.mark.parametrize("is_revoked", [True, False])
def test_an_import_from_another_ca_says_what_that_one_knew(fred: CertdogClient, is_revoked: bool) -> None:
    revoked = {"revoked": is_revoked, "revocationTime": "2026-01-28T15:59:51" if is_revoked else None}
    known = {"revocationReason": "Key Compromise" if is_revoked else None, "csrData": None, "msTemplateName": "Web Server"}
    shown = fred.add(pem(issued()), teamId=web(fred), certIssuerId="", **revoked, **known)
    assert shown["revoked"] == is_revoked


def test_what_is_imported_for_somebody_else_is_marked_as_revoked_at_once(desk: Desk, fred: CertdogClient) -> None:
    owner = added(fred)["ownerUserId"]
    shown = desk.client("agent").add(pem(issued()), teamId=web(fred), ownerUserId=owner, revoked=True, revocationReason="hold")
    assert shown["revoked"]
    assert fred.certificate(str(shown["id"]))["revoked"]


@pytest.mark.parametrize(
    ("data", "team"),
    [("", "web"), ("no certificate", "web"), ("AAAA", "web"), ("real", "0" * 24), ("real", "x" * 300)],
)
def test_an_import_that_makes_no_sense_is_refused(fred: CertdogClient, data: str, team: str) -> None:
    body = {
        "certData": pem(issued()) if data == "real" else data,
        "teamId": web(fred) if team == "web" else team,
        "ownerUserId": "",
    }
    answer = fred.send("POST", "certs/import", json.dumps(body).encode())
    assert answer.status in (400, 404, 422), answer
    fred.error(answer, answer.status, f"{NEWER}/certs/import")


def test_nobody_imports_for_a_team_of_others(desk: Desk, fred: CertdogClient) -> None:
    (theirs,) = desk.client("zoe").my_teams()
    body = {"certData": pem(issued()), "teamId": theirs["id"], "ownerUserId": "", "extraInfo": ""}
    answer = fred.send("POST", "certs/import", json.dumps(body).encode())
    fred.error(answer, 404, f"{NEWER}/certs/import")


def test_nobody_learns_from_an_id_whether_there_is_a_team(desk: Desk, fred: CertdogClient) -> None:
    """Ids follow from names, so whoever guesses a name has the id."""
    (theirs,) = desk.client("zoe").my_teams()
    for call, body in (("search", {}), ("import", {"certData": pem(issued())})):
        answers = []
        for team in (str(theirs["id"]), "0" * 24):
            answer = fred.send("POST", f"certs/{call}", json.dumps({**body, "teamId": team}).encode())
            fred.error(answer, 404, f"{NEWER}/certs/{call}")
            answers.append(json.loads(answer.body)["message"].replace(team, "ID"))
        assert answers[0] == answers[1]


def test_the_certificates_that_the_caller_may_see(desk: Desk, fred: CertdogClient) -> None:
    number = added(fred)["id"]
    assert number in [each["id"] for each in fred.certificates()]
    zoe = desk.client("zoe")
    assert number not in [each["id"] for each in zoe.certificates()]
    assert number not in [each["id"] for each in zoe.search()]
    for path in (number, "0" * 24, "1", "x", "%20", "f" * 24, "9" * 100):
        zoe.refused(404, "GET", f"certs/{path}")


REGEXES = [
    ("(?i)CN=.*web.*", True),
    ("(?i)cn=web server 7", True),
    (f"(?i)CN={escaped('web server 7')}(,|$)", True),
    (f"(?i)CN={escaped('web server')}(,|$)", False),
    (f"(?i)^{escaped('CN=web server 7,O=Ex (UK) #1,C=GB')}$", True),
    (f"(?i)(^|[,+])\\s*CN\\s*=\\s*{escaped('WEB SERVER 7')}\\s*([,+]|$)", True),
    ("server", True),
    ("SERVER", False),
    ("^O=", False),
]


@pytest.mark.parametrize(("regex", "is_found"), REGEXES)
def test_subjects_are_found_by_the_regular_expressions_of_scripts(fred: CertdogClient, regex: str, is_found: bool) -> None:
    number = added(fred, "CN=web server 7,O=Ex (UK) #1,C=GB")["id"]
    now = datetime.now(UTC)
    found = fred.search(subjectDn=regex, validToFrom=f"{now:%Y-%m-%dT%H:%M:%S}", certsPerPage=5000)
    assert (number in [each["id"] for each in found]) == is_found


def test_a_subject_as_it_is_shown_finds_itself(fred: CertdogClient) -> None:
    shown = added(fred, "CN=itself,OU=A\\, B,O=Test,C=GB")
    assert shown["id"] in [each["id"] for each in fred.search(subjectDn=f"(?i)^{escaped(str(shown['subjectDn']))}$")]


@pytest.mark.parametrize(
    "issuer", ["CN=Test Issuing CA", "CN=Test Issuing CA, O=Krestel", "CN=Test Issuing CA,O=Krestel", "^CN=Test"]
)
def test_certificates_are_found_by_their_issuer(fred: CertdogClient, issuer: str) -> None:
    number = added(fred)["id"]
    assert number in [each["id"] for each in fred.search(issuerDn=issuer, certsPerPage=5000)]
    assert fred.search(issuerDn="CN=Somebody Else", certsPerPage=5000) == []


def at(days: float, form: str) -> str:
    instant = datetime.now(UTC) + timedelta(days=days)
    return f"{instant:%Y-%m-%dT%H:%M:%S}.1234567+00:00" if form == "o" else f"{instant:{form}}"


@pytest.mark.parametrize("form", ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "o", "%Y-%m-%dT%H:%M:%SZ"])
def test_certificates_are_found_by_their_dates(fred: CertdogClient, form: str) -> None:
    number = added(fred, age=10, lives=30)["id"]

    def is_found(**days: float) -> bool:
        given = {name: at(value, form) for name, value in days.items()}
        return number in [each["id"] for each in fred.search(**given, certsPerPage=5000)]

    assert is_found(validFromFrom=-11, validFromTo=-9)
    assert not is_found(validFromFrom=-9, validFromTo=0)
    assert not is_found(validFromTo=-11)
    assert is_found(validToFrom=19, validToTo=21)
    assert not is_found(validToFrom=21)
    assert not is_found(validToTo=19)


@pytest.mark.parametrize("media", ["application/json", "application/x-www-form-urlencoded"])
def test_a_subject_that_is_no_ascii_is_found_in_latin_1(fred: CertdogClient, media: str) -> None:
    subject = "CN=Zoë {a]b} 'x' & y/z @ 100%,O=Société,C=FR"
    number = added(fred, subject)["id"]
    body = json.dumps({"subjectDn": f"(?i)^{escaped(subject)}$"}, ensure_ascii=False).encode("latin-1")
    fred.headers = {"Content-Type": media}
    assert number in [each["id"] for each in fred.send("POST", "certs/search", body).json]


def test_a_script_marks_all_but_the_newest_of_a_name_as_renewed_and_revokes_them(fred: CertdogClient) -> None:
    """As scripts do that clean up behind a renewal, whatever they say of the type of their bodies."""
    fred.base, fred.headers = OLDER, {"Content-Type": "application/x-www-form-urlencoded", "User-Agent": "WindowsPowerShell/5.1"}
    old = [added(fred, "CN=cleaned up", age=days) for days in (20, 10)]
    newest = added(fred, "CN=cleaned up")

    def living() -> list[dict[str, object]]:
        found = fred.search(subjectDn=f"(?i)CN={escaped('cleaned up')}(,|$)", validToFrom=at(0, "%Y-%m-%dT%H:%M:%S"))
        return [each for each in found if each["renewed"] is False and each["revoked"] is False]

    assert {each["id"] for each in living()} == {each["id"] for each in [*old, newest]}
    for each in living():
        if each["serialNumber"] != newest["serialNumber"]:
            fred.renew(str(each["id"]))
    assert [each["id"] for each in living()] == [newest["id"]]
    for each in old:
        fred.revoke(certId=each["id"], reason="superceded")
    assert [each["id"] for each in living()] == [newest["id"]]
    assert [fred.certificate(str(each["id"]))["revoked"] for each in [*old, newest]] == [True, True, False]


def test_certificates_are_found_by_their_status(fred: CertdogClient) -> None:
    living, revoked, expired = (added(fred, "CN=status.example.org", **more)["id"] for more in ({}, {}, {"age": 40, "lives": 30}))
    fred.revoke(certId=revoked, reason="superseded")

    def found(**criteria: str) -> set[object]:
        return {each["id"] for each in fred.search(subjectDn="CN=status", certsPerPage=5000, **criteria)}

    mine = {living, revoked, expired}
    assert found() >= mine
    assert found(status="active") & mine == {living}
    assert found(status="revoked") & mine == {revoked}
    assert found(status="expired") & mine == {expired}


def test_a_page_is_as_long_as_the_client_says(fred: CertdogClient) -> None:
    for _ in range(3):
        added(fred, "CN=page.example.org")
    assert len(fred.search(subjectDn="CN=page", certsPerPage=2)) == 2
    assert len(fred.search(subjectDn="CN=page", certsPerPage=2.0)) == 2
    assert fred.search(subjectDn="no such subject anywhere") == []


@pytest.mark.parametrize(
    "criteria",
    [
        {"subjectDn": "("},
        {"subjectDn": 7},
        {"validToFrom": "tomorrow"},
        {"certsPerPage": -1},
        {"certsPerPage": "many"},
        {"subjectDn": "a" * 100_000},
    ],
)
def test_a_search_that_makes_no_sense_is_refused(fred: CertdogClient, criteria: dict[str, object]) -> None:
    fred.senseless("POST", "certs/search", criteria)


@pytest.mark.parametrize("regex", ["(a+)+$", "(a|a)*b", "(.*.*)*x", "(?i)(CN=|C)+(N|=)*!$", "(x{1,1000}){1,1000}"])
def test_no_regular_expression_keeps_the_server_busy(fred: CertdogClient, regex: str) -> None:
    added(fred, "CN=" + "a" * 60)
    begun = datetime.now(UTC)
    answer = fred.send("POST", "certs/search", json.dumps({"subjectDn": regex}).encode())
    assert answer.status in (200, 400)
    assert datetime.now(UTC) - begun < timedelta(seconds=3)


def test_a_certificate_is_marked_as_renewed(fred: CertdogClient) -> None:
    number = str(added(fred)["id"])
    fred.renew(number)
    assert fred.certificate(number)["renewed"]
    fred.renew(number)
    for status, path in ((404, "0" * 24), (404, "x")):
        fred.refused(status, "PATCH", f"certs/{path}", {"renewed": True})


REASONS = ["unspecified", "key compromise", "ca compromise", "affiliation changed", "superseded", "superceded", "hold"]
REASONS += ["cessation of operation", "Key Compromise", "Superseded", "Cessation of Operation"]


@pytest.mark.parametrize("reason", REASONS)
def test_a_certificate_is_revoked_for_each_reason_that_clients_give(fred: CertdogClient, reason: str) -> None:
    number = str(added(fred)["id"])
    fred.revoke(certId=number, reason=reason)
    assert fred.certificate(number)["revoked"]


@pytest.mark.parametrize("spelled", ["{:x}", "{:X}", "00{:X}"])
@pytest.mark.parametrize("by", ["name", "id", "caId"])
def test_a_certificate_is_revoked_by_its_serial_number_and_issuer(fred: CertdogClient, spelled: str, by: str) -> None:
    shown = added(fred)
    number = next(str(each["id"]) for each in fred.issuers() if each["caName"] == ISSUER)
    named = {"name": {"caName": ISSUER}, "id": {"caName": number}, "caId": {"caId": number}}[by]
    fred.revoke(serialNumber=spelled.format(int(str(shown["serialNumber"]), 16)), reason="unspecified", **named)
    assert fred.certificate(str(shown["id"]))["revoked"]


def test_a_revocation_that_makes_no_sense_is_refused(desk: Desk, fred: CertdogClient) -> None:
    shown = added(fred)
    fred.refused(404, "POST", "certs/revoke", {"certId": "0" * 24, "reason": "unspecified"})
    fred.refused(404, "POST", "certs/revoke", {"serialNumber": "1", "caName": ISSUER, "reason": "unspecified"})
    fred.refused(
        404, "POST", "certs/revoke", {"serialNumber": shown["serialNumber"], "caName": "Nothing", "reason": "unspecified"}
    )
    fred.senseless("POST", "certs/revoke", {"serialNumber": shown["serialNumber"], "reason": "unspecified"})
    fred.senseless("POST", "certs/revoke", {"certId": shown["id"], "reason": "no such reason"})
    fred.senseless("POST", "certs/revoke", {"certId": shown["id"], "serialNumber": "\0"})
    fred.senseless("POST", "certs/revoke", {})
    desk.client("zoe").refused(404, "POST", "certs/revoke", {"certId": shown["id"], "reason": "unspecified"})
    assert not fred.certificate(str(shown["id"]))["revoked"]


NOT_ISSUED: list[tuple[str, str, object]] = [
    (
        "POST",
        "certs/request",
        {"caName": ISSUER, "dn": "CN=x", "teamName": "web", "csrGeneratorName": "RSA2048", "p12Password": "p"},
    ),
    (
        "POST",
        "certs/requestp10",
        {"caName": ISSUER, "dn": None, "csr": "MIIC", "teamName": "web", "extraInfo": "", "extraEmails": None},
    ),
    ("POST", "certs/requestp10", {"issuerId": "0" * 24, "teamId": "0" * 24, "csr": "MIIC", "extraInfo": "C:\\csrs\\a.csr"}),
    ("GET", "certs/{}/jks", None),
    ("GET", "certs/{}/pem", None),
]


@pytest.mark.parametrize(("method", "path", "body"), NOT_ISSUED)
def test_what_would_issue_a_certificate_says_that_accord_issues_none(
    desk: Desk, fred: CertdogClient, method: str, path: str, body: object
) -> None:
    message = fred.refused(501, method, path.format("0" * 24), body)
    assert "docs/" in message
    desk.stranger().refused(401, method, path.format("0" * 24), body)


UNSERVED = ["admin/users", "ui/settings", "certs/a/b/c", "nothing", "swagger-ui.html", "a" * 1000, "%C3%A9"]


@pytest.mark.parametrize("base", [NEWER, OLDER])
@pytest.mark.parametrize("path", UNSERVED)
def test_an_address_that_is_not_served_judges_the_credential_first(desk: Desk, fred: CertdogClient, base: str, path: str) -> None:
    fred.base = base
    for method in ("GET", "POST", "PUT", "DELETE"):
        for client, status in ((desk.stranger(base=base), 401), (fred, 404)):
            answer = client.send(method, path)
            client.error(answer, status, answer.json["path"])


@pytest.mark.parametrize("path", ["certs", "certs/search", "certs/import", "certs/revoke", "admin/ca", "admin/generators"])
def test_nothing_is_served_without_a_credential(desk: Desk, path: str) -> None:
    for method in ("GET", "POST", "PATCH", "DELETE"):
        desk.stranger().refused(401, method, path)


@pytest.mark.parametrize("path", ["login", "certs/search", "certs/import", "certs/revoke"])
@pytest.mark.parametrize("body", [b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"", b'{"username": 1}', b"[" * 5000])
def test_a_body_that_cannot_be_read_is_refused_in_the_shape_of_errors(fred: CertdogClient, path: str, body: bytes) -> None:
    fred.senseless("POST", path, body)
