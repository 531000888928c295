"""Registering, finding and changing certificates."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from client import ORGANISATION, Caller
from cryptography import x509
from issued import pem
from register_world import DAY, RegisterWorld
from scenario import issuer, team, user
from sqlalchemy import select

from api.app import create_app
from api.authentication.authority import CallersAuthority, Terms
from api.errors import Unauthenticated
from api.outbox.claims import claim, current
from api.service import Service
from reconciler.store import tables


def test_the_requester_registers_a_certificate(world: RegisterWorld) -> None:
    names = [x509.DNSName("www.example.org"), x509.DNSName("example.org")]
    more = {
        "url": "https://ca.example.org/certificates/1",
        "renewalUrl": "https://ca.example.org/certificates/1/renew?how=same#now",
        "extraAddresses": ["team@example.org"],
        "note": "Ordered for the winter sale.\nAsk Bob.",
    }
    shown = world.caller("alice")("POST", "/certificates", 201, json=world.body(serial=0xAB, names=names, **more))
    assert {name: shown[name] for name in more} == more
    assert [shown[name] for name in ("issuer", "team", "owner", "serial")] == ["tls", "web", "alice", "ab"]
    assert (shown["subject"], shown["names"]) == ("CN=www.example.org", ["www.example.org", "example.org"])
    assert (shown["issuedBy"], shown["verification"], shown["leftOut"]) == ("CN=Example CA", "unverified", [])
    assert shown["tracked"] is True
    assert [shown[name] for name in ("renews", "renewedBy", "renewedAt", "revokedAt")] == [None] * 4
    assert shown["pem"].startswith("-----BEGIN CERTIFICATE-----\n")
    assert world.shown(shown["id"], "alice") == shown
    (entry,) = world.audit("certificate.register")
    assert (entry["actor"], entry["kind"], entry["name"]) == ("alice", "Certificate", str(shown["id"]))
    assert {name: value for name, value in entry["detail"].items() if name != "credential"} == {
        **{name: shown[name] for name in ("issuer", "team", "owner", "serial", "sha256")},
        "mails": 2,
        "verified": False,
    }
    assert entry["detail"]["credential"]
    world.accord("audit", "verify")


def test_registering_again_changes_nothing_and_mails_nobody(world: RegisterWorld) -> None:
    alice, body = world.caller("alice"), world.body(note="first")
    first = alice("POST", "/certificates", 201, json=body)
    assert alice("POST", "/certificates", 200, json={**body, "note": "again"}) == first
    assert world.mails() == [("certificate-issued", "alice")]
    assert len(world.audit("certificate.register")) == 1


def test_registering_again_records_a_renewal_that_is_missing(world: RegisterWorld) -> None:
    old, other, bobs = world.register(), world.register(), world.register("bob", team="office")
    body = world.body(owner="alice")
    new = world.caller("alice")("POST", "/certificates", 201, json=body)["id"]
    mails = world.mails()
    for who in ("alice", "portal", "alice"):
        assert world.caller(who)("POST", "/certificates", 200, json={**body, "renews": old})["renews"] == old
    assert world.shown(old)["renewedAt"] is not None
    assert world.caller("alice")("POST", "/certificates", 200, json={**body, "renews": other})["renews"] == old
    assert world.shown(other)["renewedAt"] is None
    (entry,) = world.audit("certificate.change")
    assert (entry["actor"], entry["name"], entry["detail"]["renews"]) == ("alice", str(new), old)
    assert world.mails() == mails
    last = world.body()
    number = world.caller("alice")("POST", "/certificates", 201, json=last)["id"]
    world.caller("alice")("PATCH", f"/certificates/{other}", 200, json={"renews": number})
    for renewed, code in ((bobs, 404), (999, 404), (number, 409), (other, 409)):
        world.caller("alice")("POST", "/certificates", code, json={**last, "renews": renewed})
    assert world.shown(number)["renews"] is None


def test_registering_again_takes_back_no_correction(world: RegisterWorld) -> None:
    old, alice = world.register(), world.caller("alice")
    body = {**world.body(), "renews": old}
    new = alice("POST", "/certificates", 201, json=body)["id"]
    alice("PATCH", f"/certificates/{new}", 200, json={"renews": None})
    assert alice("POST", "/certificates", 200, json=body)["renews"] is None
    assert world.shown(old)["renewedAt"] is None
    world.caller("root")("DELETE", f"/certificates/{old}", 204)
    alice("POST", "/certificates", 200, json=body)


def test_no_number_is_given_twice(world: RegisterWorld) -> None:
    world.register()
    last = world.register()
    message = claim(world.service.database, "example.org", datetime.now(UTC))
    while message is not None and message.certificate_id != last:
        message = claim(world.service.database, "example.org", datetime.now(UTC))
    assert message is not None
    with world.service.database.reading() as connection:
        assert current(connection, message) == message
    world.caller("root")("DELETE", f"/certificates/{last}", 204)
    number = world.register()
    assert number > last
    with world.service.database.reading() as connection:
        about = current(connection, message)
        newer = connection.execute(select(tables.outbox.c.id).where(tables.outbox.c.certificate_id == number)).scalars().all()
    assert (about.user_id, about.certificate_id) == (None, None)
    assert newer and min(newer) > message.id


def test_no_certificate_keeps_another_one_out_of_the_register(world: RegisterWorld) -> None:
    body = world.body(serial=7, note="a secret project")
    first = world.caller("alice")("POST", "/certificates", 201, json=body)["id"]
    made_up = world.register("alice", serial=7)
    for who, change in (("bob", {}), ("bob", {"team": "office"}), ("alice", {"issuer": "vpn"})):
        again = world.caller(who)("POST", "/certificates", 201, json={**body, "note": "", **change})
        assert (again["owner"], again["note"]) == (who, "")
        assert again["sha256"] == world.shown(first)["sha256"]
        assert world.caller(who)("POST", "/certificates", 200, json={**body, **change}) == again
    assert len(world.listed(serial="7")) == 5
    assert len(world.listed(sha256=world.shown(first)["sha256"])) == 4
    assert world.listed(sha256=world.shown(made_up)["sha256"].upper()) == [made_up]


def test_administrators_delete_an_entry(world: RegisterWorld) -> None:
    old = world.register()
    new = world.register(renews=old)
    newest = world.register(renews=new)
    shown = world.shown(new)
    for who, code in (("alice", 403), ("nobody", 403)):
        world.caller(who)("DELETE", f"/certificates/{new}", code)
    world.caller("root")("DELETE", f"/certificates/{new}", 204)
    assert world.listed() == [old, newest]
    world.caller("root")("DELETE", f"/certificates/{new}", 404)
    world.caller("root")("GET", f"/certificates/{new}", 404)
    assert (world.shown(old)["renewedAt"], world.shown(newest)["renews"]) == (None, None)
    assert world.mails(new) == []
    (entry,) = world.audit("certificate.delete")
    assert (entry["actor"], entry["name"]) == ("root", str(new))
    assert entry["detail"].pop("credential")
    assert entry["detail"] == {name: shown[name] for name in entry["detail"]}
    assert {"serial", "sha256", "subject", "team", "owner"} <= entry["detail"].keys()
    world.accord("audit", "verify")
    world.caller("alice")("POST", "/certificates", 201, json={**world.body(), "pem": shown["pem"]})


def test_a_chain_is_left_out_and_named(world: RegisterWorld) -> None:
    body = world.body(subject="leaf.example.org")
    chain = pem("Example CA", ca=True) + pem("Another Root", ca=True)
    shown = world.caller("alice")("POST", "/certificates", 201, json={**body, "pem": chain + body["pem"]})
    assert shown["subject"] == "CN=leaf.example.org"
    assert shown["leftOut"] == ["2 other certificates of the PEM: CN=Example CA; CN=Another Root"]
    assert world.shown(shown["id"], "alice") == shown
    assert world.caller("alice")("POST", "/certificates", 200, json=body) == shown


@pytest.mark.parametrize(
    ("who", "change"),
    [
        ("alice", {"team": "office"}),
        ("bob", {"team": "office", "issuer": "vpn"}),
        ("alice", {"issuer": "old"}),
        ("alice", {"issuer": "unknown"}),
        ("alice", {"team": "unknown"}),
        ("nobody", {}),
        ("root", {}),
        ("root", {"team": "admins"}),
        ("portal", {}),
        ("portal", {"owner": "nobody"}),
        ("portal", {"owner": "ghost"}),
        ("root", {"owner": "nobody"}),
    ],
)
def test_nobody_registers_a_certificate_whose_owner_may_not_use_the_issuer_through_that_team(
    world: RegisterWorld, who: str, change: dict[str, Any]
) -> None:
    answer = world.caller(who).send("POST", "/certificates", json=world.body(**change))
    assert (answer.status_code, answer.json["reason"]) == (403, "denied")
    assert world.listed() == [] and world.mails() == []


def test_ended_or_removed_permissions_and_memberships_do_not_count(world: RegisterWorld) -> None:
    alice = world.caller("alice")
    for members, issuers in (
        ([{"user": "alice", "until": "2020-01-01"}], ["tls"]),
        (["alice"], [{"issuer": "tls", "until": "2020-01-01"}]),
        ([], ["tls"]),
    ):
        world.apply({"teams/web.yaml": team("web", members=["bob", *members], issuers=["vpn", *issuers])})
        assert alice.send("POST", "/certificates", json=world.body()).json["reason"] == "denied"
    world.apply({"teams/web.yaml": team("web", members=["alice"], issuers=["tls"])})
    alice("POST", "/certificates", 201, json=world.body())


def test_an_application_registers_for_the_people_it_may_decide_for(world: RegisterWorld) -> None:
    body = world.body(owner="alice")
    shown = world.caller("portal")("POST", "/certificates", 201, json=body)
    assert shown["owner"] == "alice"
    assert world.caller("portal")("POST", "/certificates", 200, json=body) == shown
    assert world.listed("portal") == []
    world.caller("portal")("GET", f"/certificates/{shown['id']}", 404)
    assert world.caller("root")("POST", "/certificates", 201, json=world.body(owner="alice"))["owner"] == "alice"
    for who, owner in (("broker", "alice"), ("alice", "bob"), ("bob", "alice")):
        answer = world.caller(who).send("POST", "/certificates", json=world.body(owner=owner))
        assert (answer.status_code, answer.json["reason"]) == (403, "may-not-decide-for")
    world.caller("broker")("POST", "/certificates", 201, json=world.body(owner="bob"))


def test_a_disabled_account_gets_no_new_certificates(world: RegisterWorld) -> None:
    world.caller("root")("PUT", "/users/alice/disabled", 204)
    assert world.caller("portal").send("POST", "/certificates", json=world.body(owner="alice")).json["reason"] == "denied"


def test_a_narrowed_token_neither_sees_nor_registers_certificates(world: RegisterWorld) -> None:
    number = world.register()
    for who in ("alice", "root"):
        narrowed = world.caller(who, kind="token", issuers=["tls"])
        for method, path, body in (("GET", "", None), ("POST", "", world.body()), ("PUT", f"/{number}/revoked", None)):
            answer = narrowed(method, f"/certificates{path}", 403, **({"json": body} if body else {}))
            assert answer["reason"] == "narrowed"


@pytest.mark.parametrize(
    "change",
    [
        {"pem": "hello"},
        {"pem": ""},
        {"pem": pem() + pem()},
        {"pem": pem() + "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"},
        {"issuer": "Public TLS"},
        {"owner": "Alice"},
        {"note": "a\r\nBcc: eve@example.org"},
        {"note": "\x1b[31m"},
        {"note": "\u202egnp.exe"},
        {"note": "x" * 2001},
        {"note": "a\0b"},
        {"extraAddresses": [f"a{number}@example.org" for number in range(21)]},
        {"extraAddresses": [f"a{number}@example.org" for number in range(2000)]},
        {"extraAddresses": ["a@example.org", "a@example.org"]},
        {"extraAddresses": ["Alice <a@example.org>"]},
        {"extraAddresses": ["a@example.org\r\nBcc: eve@example.org"]},
        {"extraAddresses": ["a@example.org\n"]},
        {"extraAddresses": ["a@example.org,b@example.org"]},
        {"renewalUrl": "http://ca.example.org/"},
        {"renewalUrl": "javascript:alert(1)"},
        {"renewalUrl": "https://user:password@example.org/"},
        {"renewalUrl": 'https://example.org/"><script>'},
        {"renewalUrl": "https://example.org/\r\nX: y"},
        {"renewalUrl": "https://example.org/\n"},
        {"url": "file:///etc/passwd"},
        {"url": "https:///etc/passwd"},
        {"renews": 0},
        {"renews": "1"},
        {"renews": 2**40},
        {"tracked": "yes"},
        {"unknown": 1},
    ],
)
@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_impossible_requests_are_refused(world: RegisterWorld, change: dict[str, Any]) -> None:
    answer = world.caller("alice").send("POST", "/certificates", json=world.body() | change)
    assert answer.status_code == 422, answer.text
    assert "eve@" not in answer.text and "script" not in answer.text
    assert world.listed() == [] and world.mails() == []


def test_a_large_body_is_refused(world: RegisterWorld) -> None:
    longest = [x509.DNSName(f"{number:03}{'x' * 60}." + f"{'y' * 61}." * 3 + "org") for number in range(1000)]
    body = world.body(names=longest)
    shown = world.caller("alice")("POST", "/certificates", 201, json=body)
    assert (len(shown["names"]), shown["leftOut"]) == (1000, [])
    world.caller("alice")("POST", "/certificates", 413, json={**body, "note": "x" * 512 * 1024})


def test_two_concurrent_registrations_make_one_certificate(world: RegisterWorld) -> None:
    other = Service(world.service.settings)
    other.start()
    try:
        secret, body = world.mint("alice").secret, world.body(extraAddresses=["team@example.org"])
        apps = [world.app, create_app(other)] * 4
        with ThreadPoolExecutor(len(apps)) as pool:
            answers = list(pool.map(lambda app: Caller(app, secret).send("POST", "/certificates", json=body), apps))
        assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
        assert len({answer.json["id"] for answer in answers}) == 1
        assert world.mails() == [("certificate-issued", "alice"), ("certificate-issued", "team@example.org")]
    finally:
        other.stop()


def test_everybody_sees_only_their_own_and_their_teams_certificates(world: RegisterWorld) -> None:
    web = world.register("alice")
    office = world.register("bob", team="office")
    assert world.listed("root") == [web, office]
    assert world.listed("alice") == [web]
    assert world.listed("bob") == [web, office]
    assert world.listed("nobody") == world.listed("portal") == []
    missing = world.caller("alice").send("GET", "/certificates/999").json
    hidden = world.caller("alice").send("GET", f"/certificates/{office}").json
    assert missing["detail"].replace("999", str(office)) == hidden["detail"]
    for name in ("alice", "nobody"):
        caller = world.caller(name)
        for method, path, more in (
            ("GET", "", {}),
            ("PATCH", "", {"json": {"tracked": False}}),
            ("PUT", "/revoked", {}),
            ("DELETE", "/revoked", {}),
        ):
            caller(method, f"/certificates/{office}{path}", 404, **more)
    assert world.shown(office)["tracked"] is True


def test_no_filter_reveals_certificates_that_the_caller_may_not_see(world: RegisterWorld) -> None:
    office = world.shown(world.register("bob", team="office", subject="payroll.example.org", lives=20 * DAY))
    for query in (
        {"owner": "bob"},
        {"team": "office"},
        {"issuer": "tls"},
        {"subject": "payroll"},
        {"serial": office["serial"]},
        {"expiringWithin": "30d"},
        {"revoked": "false", "renewed": "false"},
    ):
        assert world.listed("alice", **query) == []
        assert world.listed("bob", **query) == [office["id"]]
    world.register("alice", lives=10 * DAY)
    world.register("alice", lives=30 * DAY)
    page = world.caller("alice")("GET", "/certificates", 200, params={"limit": 1})
    assert world.listed("alice", cursor=page["next"]) == [office["id"] + 2]


def test_searching(world: RegisterWorld) -> None:
    now = datetime.now(UTC)
    soon = world.register(subject="Shop_100%", lives=5 * DAY, serial=0x0AB)
    later = world.register(subject="other", lives=50 * DAY, names=[x509.DNSName("www.SHOP.example.org")])
    over = world.register(issuer="vpn", subject="over", begins=now - 90 * DAY, lives=80 * DAY)
    old = world.register("bob", team="office", subject="last", lives=70 * DAY)
    world.register("bob", team="office", subject="new", lives=80 * DAY, renews=old)
    world.caller("root")("PUT", f"/certificates/{later}/revoked", 204)
    for query, found in (
        ({}, [over, soon, later, old, old + 1]),
        ({"owner": "alice"}, [over, soon, later]),
        ({"team": "office"}, [old, old + 1]),
        ({"issuer": "vpn"}, [over]),
        ({"subject": "shop"}, [soon, later]),
        ({"subject": "P_100%"}, [soon]),
        ({"subject": "p%1"}, []),
        ({"subject": "\\"}, []),
        ({"serial": "00:AB"}, [soon]),
        ({"serial": "0"}, []),
        ({"expiringWithin": "30d"}, [soon]),
        ({"expiringWithin": "60d"}, [soon, later]),
        ({"expiringWithin": "0s"}, []),
        ({"revoked": "true"}, [later]),
        ({"revoked": "false"}, [over, soon, old, old + 1]),
        ({"renewed": "true"}, [old]),
        ({"renewed": "false", "revoked": "false", "expiringWithin": "99999d", "team": "web", "owner": "alice"}, [soon]),
        ({"owner": "ghost"}, []),
    ):
        assert world.listed(**query) == found, query
    for query in (
        {"expiringWithin": "soon"},
        {"serial": "xyz"},
        {"owner": "A"},
        {"revoked": "1"},
        {"subject": "a\nb"},
        {"q": "x"},
    ):
        world.caller("root")("GET", "/certificates", 422, params=query)


def test_pages_neither_skip_nor_repeat_certificates_that_expire_at_the_same_instant(world: RegisterWorld) -> None:
    begins = datetime.now(UTC).replace(microsecond=0)
    made = [world.register(begins=begins, lives=(10 + number % 3) * DAY) for number in range(10)]
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        query = {"limit": 3} if cursor is None else {"limit": 3, "cursor": cursor}
        page = world.caller("alice")("GET", "/certificates", 200, params=query)
        assert "pem" not in page["items"][0]
        found += page["items"]
        cursor = page["next"]
        if cursor is None:
            break
    assert sorted(item["id"] for item in found) == made
    assert [(item["notAfter"], item["id"]) for item in found] == sorted((item["notAfter"], item["id"]) for item in found)
    for cursor in ("AAAA", "Nw", "MjAyNg"):
        world.caller("alice")("GET", "/certificates", 404, params={"cursor": cursor})


def test_changes_to_a_certificate_are_saved_and_recorded(world: RegisterWorld) -> None:
    number = world.register(note="first", url="https://ca.example.org/1")
    change = {
        "tracked": False,
        "note": "",
        "extraAddresses": ["a@example.org"],
        "url": None,
        "renewalUrl": "https://ca.example.org/r",
    }
    shown = world.caller("alice")("PATCH", f"/certificates/{number}", 200, json=change)
    assert {name: shown[name] for name in change} == change
    world.caller("alice")("PATCH", f"/certificates/{number}", 200, json=change)
    (entry,) = world.audit("certificate.change")
    assert {name: value for name, value in entry["detail"].items() if name != "credential"} == change
    for body in ({}, {"pem": pem()}, {"owner": "bob"}, {"team": "office"}, {"serial": "1"}, {"note": None}):
        world.caller("alice")("PATCH", f"/certificates/{number}", 422, json=body)


def test_a_certificate_is_marked_as_revoked_and_unmarked(world: RegisterWorld) -> None:
    number = world.register()
    alice = world.caller("alice")
    for _ in range(2):
        alice("PUT", f"/certificates/{number}/revoked", 204)
    assert world.shown(number)["revokedAt"] is not None
    for _ in range(2):
        alice("DELETE", f"/certificates/{number}/revoked", 204)
    assert world.shown(number)["revokedAt"] is None
    assert [len(world.audit(f"certificate.{action}")) for action in ("revoke", "restore")] == [1, 1]


def test_the_owner_administrators_and_members_who_may_use_the_issuer_change_a_certificate(world: RegisterWorld) -> None:
    number = world.register("alice")
    for who, note in (("alice", "1"), ("bob", "2"), ("root", "3")):
        assert world.caller(who)("PATCH", f"/certificates/{number}", 200, json={"note": note})["note"] == note
    world.apply({"teams/web.yaml": team("web", members=["alice", "bob"], issuers=["vpn"])})
    answer = world.caller("bob").send("PATCH", f"/certificates/{number}", json={"note": "4"})
    assert (answer.status_code, answer.json["reason"]) == (403, "denied")
    assert world.caller("bob").send("PUT", f"/certificates/{number}/revoked").status_code == 403
    world.caller("alice")("PATCH", f"/certificates/{number}", 200, json={"note": "5"})
    world.apply({"teams/web.yaml": team("web", members=["bob"], issuers=["tls"])})
    world.caller("alice")("PATCH", f"/certificates/{number}", 200, json={"note": "6"})


def test_a_renewal_links_the_old_one_to_the_new(world: RegisterWorld) -> None:
    old = world.register("alice")
    new = world.register("bob", renews=float(old))
    assert world.shown(new)["renews"] == old
    assert (world.shown(old)["renewedBy"], world.shown(old)["renewedAt"] is None) == (new, False)
    (entry,) = [entry for entry in world.audit("certificate.register") if entry["name"] == str(new)]
    assert entry["detail"]["renews"] == old


def test_a_renewal_needs_the_right_to_change_the_old_certificate(world: RegisterWorld) -> None:
    old = world.register("alice")
    world.apply({"teams/web.yaml": team("web", members=["alice", "bob"], issuers=["vpn"])})
    body = world.body(issuer="vpn", renews=old)
    for who, owner in (("bob", "bob"), ("portal", "bob")):
        answer = world.caller(who).send("POST", "/certificates", json={**body, "owner": owner})
        assert answer.status_code == 403, answer.text
        assert answer.json["reason"] in ("denied", "may-not-decide-for")
    assert world.shown(old)["renewedAt"] is None
    body = world.body(issuer="vpn")
    new = world.caller("bob")("POST", "/certificates", 201, json=body)["id"]
    world.caller("bob")("PATCH", f"/certificates/{new}", 403, json={"renews": old})
    world.caller("bob")("POST", "/certificates", 403, json={**body, "renews": old})
    assert world.shown(old)["renewedAt"] is None
    registered = world.caller("portal")("POST", "/certificates", 201, json={**body, "owner": "alice", "renews": old})
    assert world.shown(old)["renewedBy"] == registered["id"]


def test_a_renewal_must_be_in_the_same_team(world: RegisterWorld) -> None:
    office = world.register("bob", team="office")
    for who in ("alice", "bob"):
        hidden = world.caller(who).send("POST", "/certificates", json=world.body(renews=office))
        missing = world.caller(who).send("POST", "/certificates", json=world.body(renews=999))
        assert hidden.status_code == missing.status_code == 404
        assert hidden.json["detail"].replace(str(office), "999") == missing.json["detail"]
    web = world.register("bob")
    world.caller("bob")("PATCH", f"/certificates/{web}", 409, json={"renews": office})
    world.caller("alice")("PATCH", f"/certificates/{web}", 404, json={"renews": office})
    assert world.shown(office)["renewedAt"] is None


def test_a_mistaken_link_is_undone(world: RegisterWorld) -> None:
    one, two, three = world.register(), world.register(), world.register()
    alice = world.caller("alice")
    alice("PATCH", f"/certificates/{three}", 200, json={"renews": one})
    alice("PATCH", f"/certificates/{three}", 200, json={"renews": two})
    assert [world.shown(each)["renewedAt"] is not None for each in (one, two)] == [False, True]
    for number, renews in ((two, three), (two, two)):
        alice("PATCH", f"/certificates/{number}", 409, json={"renews": renews})
    alice("PATCH", f"/certificates/{one}", 200, json={"renews": two})
    alice("PATCH", f"/certificates/{three}", 200, json={"renews": None})
    assert world.shown(two)["renewedBy"] == one
    alice("PATCH", f"/certificates/{one}", 200, json={"renews": None})
    assert (world.shown(two)["renewedAt"], world.shown(two)["renewedBy"]) == (None, None)


def test_names_stay_on_certificates_and_follow_a_rename(world: RegisterWorld) -> None:
    number = world.register("alice")

    def names() -> list[str]:
        return [world.shown(number)[name] for name in ("owner", "team", "issuer")]

    world.apply(
        {
            "users/alice.yaml": None,
            "teams/web.yaml": None,
            "issuers/tls.yaml": None,
            "users/alicia.yaml": user("alicia") | {"metadata": {"name": "alicia", "previously": ["alice"]}},
            "teams/www.yaml": team("www", members=["alicia", "bob"], issuers=["tls2", "vpn"])
            | {"metadata": {"name": "www", "previously": ["web"]}},
            "teams/office.yaml": team("office", members=["bob"], issuers=["tls2"]),
            "issuers/tls2.yaml": issuer("tls2") | {"metadata": {"name": "tls2", "previously": ["tls"]}},
        }
    )
    assert names() == ["alicia", "www", "tls2"]
    for query in ({"owner": "alicia"}, {"team": "www"}, {"issuer": "tls2"}):
        assert world.listed(**query) == [number]
    for query in ({"owner": "alice"}, {"team": "web"}, {"issuer": "tls"}):
        assert world.listed(**query) == []
    assert world.listed("alicia") == world.listed("bob") == [number]
    world.apply(
        {
            "users/alicia.yaml": None,
            "teams/www.yaml": None,
            "issuers/tls2.yaml": None,
            "teams/office.yaml": team("office", members=["bob"], issuers=["vpn"]),
        }
    )
    assert names() == ["alice", "web", "tls"]
    assert world.listed() == world.listed(owner="alice") == world.listed(team="web") == world.listed(issuer="tls") == [number]
    assert world.listed("bob") == []


def test_a_new_resource_with_an_old_name_inherits_nothing(world: RegisterWorld) -> None:
    number = world.register("alice", serial=7)
    kept = {path: ORGANISATION[path] for path in ("users/alice.yaml", "teams/web.yaml", "issuers/tls.yaml")}
    world.apply({**dict.fromkeys(kept), "teams/office.yaml": team("office", members=["bob"], issuers=["vpn"])})
    world.apply(kept)
    assert world.listed("alice") == world.listed("bob") == []
    world.caller("alice")("GET", f"/certificates/{number}", 404)
    again = world.register("alice", serial=7)
    assert again != number
    world.caller("alice")("PATCH", f"/certificates/{again}", 404, json={"renews": number})
    assert world.listed() == [number, again]


def test_a_session_that_must_change_its_password_registers_nothing(world: RegisterWorld) -> None:
    caller = world.caller("alice", kind="session", password_change_required=True)
    assert caller.send("POST", "/certificates", json=world.body()).json["reason"] == "password-change"


def test_a_token_that_is_revoked_during_its_request_registers_nothing(world: RegisterWorld) -> None:
    minted, service = world.mint("alice"), world.service
    principal = service.authenticator.authenticate(f"Bearer {minted.secret}", None)
    authority = CallersAuthority(service.authenticator, principal, Terms("account"))
    world.caller("root")("DELETE", f"/users/alice/tokens/{minted.accessor}", 204)
    with pytest.raises(Unauthenticated):
        service.register.register(authority, world.body())
    assert world.listed() == []
