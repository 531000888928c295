"""The pages of certificates: who sees which, what expires next, and what is noted of one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from history_world import HOSTILE, signed_in, world_of
from issued import pem
from organisation import Applied
from visitor import Visitor, World

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def world(applied_on_sqlite: Applied, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    found = world_of(applied_on_sqlite, tmp_path_factory.mktemp("certificates"))
    yield found
    found.service.stop()


@pytest.fixture
def registered(world: World) -> Iterator[dict[str, int]]:
    """Certificates by their subject: alice's of the team web, and bob's of the team office."""
    world.execute("DELETE FROM outbox")
    world.execute("DELETE FROM certificates")
    begins = datetime.now(UTC) - 100 * DAY
    made = {
        "soon": _register(world, "alice", "soon", begins=begins, lives=105 * DAY),
        "later": _register(world, "alice", "later", begins=begins, lives=200 * DAY, note="by hand"),
        "gone": _register(world, "alice", "gone", begins=begins, lives=90 * DAY),
        "earlier": _register(world, "alice", "earlier", begins=begins, lives=80 * DAY),
        "office": _register(world, "bob", "office", team="office", issuer="tls", begins=begins, lives=130 * DAY),
    }
    yield made


def _register(world: World, who: str, subject: str, *, team: str = "web", issuer: str = "vpn", **more: Any) -> int:
    told = {name: more.pop(name) for name in ("note", "renews", "url") if name in more}
    body = {"pem": pem(subject, **more), "issuer": issuer, "team": team, **told}
    return int(world.caller(who)("POST", "/certificates", 201, json=body)["id"])


def _listed(visitor: Visitor, query: str = "") -> list[int]:
    """The certificates of a page."""
    html = visitor.get(f"/certificates{query}")
    return [int(number) for number in re.findall(r'<th scope="row"><a href="/certificates/(\d+)"', html)]


def test_the_list_opens_on_what_expires_next(world: World, registered: dict[str, int]) -> None:
    root = signed_in(world, "root")
    assert _listed(root) == [registered[name] for name in ("soon", "office", "later")]
    assert _listed(root, "?state=expired") == [registered[name] for name in ("gone", "earlier")]
    assert _listed(root, "?state=expiring") == [registered["soon"], registered["office"]]
    assert len(_listed(root, "?state=all")) == 5
    assert _listed(root, "?state=revoked") == []
    assert "No certificate matches" in root.html
    root.get("/certificates?state=x", 422)


def test_a_person_sees_what_the_api_shows(world: World, registered: dict[str, int]) -> None:
    alice = signed_in(world, "alice")
    assert _listed(alice, "?state=all") == [registered[name] for name in ("earlier", "gone", "soon", "later")]
    for path in ("", "/pem"):
        assert alice.send("GET", f"/certificates/{registered['office']}{path}").status_code == 404
    alice.get("/certificates/999999", 404)
    assert Visitor(world).send("GET", f"/certificates/{registered['soon']}").headers["location"].startswith("/login")


@pytest.mark.parametrize("number", ["0", "x", "-1", "9" * 40, "1.5", "%00"])
def test_there_is_no_other_certificate(world: World, number: str) -> None:
    assert signed_in(world, "root").send("GET", f"/certificates/{number}").status_code in (400, 404)


def test_filters_are_in_the_address(world: World, registered: dict[str, int]) -> None:
    root = signed_in(world, "root")
    assert _listed(root, "?search=LATER") == [registered["later"]]
    assert _listed(root, "?team=office") == _listed(root, "?issuer=tls") == [registered["office"]]
    assert _listed(root, "?search=%25") == []
    shown = root.get(f"/certificates/{registered['soon']}")
    serial = re.findall(r'<dt>serial</dt><dd class="mono">([0-9a-f]+)<', shown)[0]
    fingerprint = re.findall(r'<dt>SHA-256</dt><dd class="mono">([0-9A-F:]+)<', shown)[0]
    assert _listed(root, f"?search={serial}") == _listed(root, f"?search={fingerprint}") == [registered["soon"]]
    assert re.findall(r'class="chip" href="([^"]+)"', root.html) == ["/certificates"]


def test_a_month_of_the_timeline_leads_to_what_expires_then(world: World, registered: dict[str, int]) -> None:
    root = signed_in(world, "root")
    bars = re.findall(
        r'<li><a href="/certificates\?month=([0-9-]{7})"[^>]*><span class="number">(\d+)<', root.get("/certificates")
    )
    assert len(bars) == 13
    now = datetime.now(UTC)
    assert bars[0][0] == f"{now:%Y-%m}"
    months = [bar[0] for bar in bars]
    assert months == sorted(months)
    ends = [datetime.now(UTC) + days * DAY for days in (5, 30, 100)]
    expected = {month: sum(f"{end:%Y-%m}" == month for end in ends) for month in months}
    assert {month: int(number) for month, number in bars} == expected
    month = f"{now + 100 * DAY:%Y-%m}"
    assert _listed(root, f"?month={month}") == [registered["later"]]
    for wrong in ("2026-13", "x", "0000-01", "2026-1"):
        root.get(f"/certificates?month={wrong}", 422)


def test_a_month_lists_what_its_bar_counts_unless_another_state_is_asked_for(world: World, registered: dict[str, int]) -> None:
    begins = datetime.now(UTC) - 100 * DAY
    renewal = _register(world, "alice", "later", begins=begins, lives=210 * DAY, renews=registered["later"])
    alice = signed_in(world, "alice")
    for path, number in re.findall(
        r'<li><a href="(/certificates\?month=[0-9-]{7})"[^>]*><span class="number">(\d+)<', alice.get("/certificates")
    ):
        assert len(_listed(alice, path.removeprefix("/certificates"))) == int(number), path
    assert '<option value="to-renew" selected>' in alice.html
    months = [f"{datetime.now(UTC) + days * DAY:%Y-%m}" for days in (100, 110)]
    listed = [number for month in months for number in _listed(alice, f"?month={month}&state=all")]
    assert {registered["later"], renewal} <= set(listed)
    assert registered["later"] in _listed(alice) and registered["later"] not in _listed(alice, "?state=to-renew")


def test_an_owner_is_a_filter_that_shows_nothing_more_than_before(world: World, registered: dict[str, int]) -> None:
    shared = _register(world, "bob", "shared", team="web", begins=datetime.now(UTC) - 100 * DAY, lives=130 * DAY)
    root, alice = signed_in(world, "root"), signed_in(world, "alice")
    own = [registered[name] for name in ("earlier", "gone", "soon", "later")]
    assert _listed(root, "?owner=alice&state=all") == _listed(alice, "?owner=alice&state=all") == own
    root.get("/certificates?owner=alice&team=web")
    assert re.findall(r'class="chip" href="([^"]+)"', root.html) == ["/certificates?owner=alice", "/certificates?team=web"]
    assert set(_listed(root, "?owner=bob")) == {registered["office"], shared}
    assert _listed(alice, "?owner=bob") == [shared], "only of teams that alice is in"
    assert sum(map(int, re.findall(r'class="number">(\d+)<', alice.html))) == 1
    nobody = alice.get("/certificates?owner=nobody").replace("nobody", "root")
    assert nobody == alice.get("/certificates?owner=root").replace("nobody", "root"), "nobody is told whether there is such a one"


def test_links_to_ones_own_certificates_lead_to_these(world: World, registered: dict[str, int]) -> None:
    _register(world, "bob", "shared", team="web", begins=datetime.now(UTC) - 100 * DAY, lives=110 * DAY)
    alice, root = signed_in(world, "alice"), signed_in(world, "root")
    (mine,) = re.findall(r'href="/certificates([^"]*)">1 of your certificates<', alice.get("/"))
    assert _listed(alice, mine.replace("&amp;", "&")) == [registered["soon"]]
    (all_of_it,) = re.findall(r'href="/certificates([^"]*)">All its certificates<', root.get("/users/alice"))
    assert _listed(root, all_of_it.replace("&amp;", "&")) == [registered[name] for name in ("earlier", "gone", "soon", "later")]


def test_a_page_follows_the_other_in_both_orders(world: World, registered: dict[str, int]) -> None:
    for number in range(60):  # the last ten have expired
        _register(world, "alice", f"many{number}", begins=datetime.now(UTC) - 50 * DAY, lives=(100 - number) * DAY)
    root = signed_in(world, "root")
    expected = {"all": 65, "expired": 2 + 10}
    for state, number in expected.items():
        found, query = list[int](), f"?state={state}"
        while query:
            found += _listed(root, query)
            following = re.findall(r'rel="next" href="/certificates([^"]+)"', root.html)
            query = following[0].replace("&amp;", "&") if following else ""
        assert len(found) == len(set(found)) == number
        ends = [world.caller("root")("GET", f"/certificates/{each}", 200)["notAfter"] for each in found]
        assert ends == sorted(ends, reverse=state == "expired")


def test_a_certificate_is_shown_with_everything_and_nothing_hostile_is_obeyed(world: World, registered: dict[str, int]) -> None:
    del registered
    names = [x509.DNSName("www.example.org")]
    number = _register(
        world, "alice", HOSTILE[:60], names=names, note="<img src=x onerror=alert(1)>", url="https://ca.example.org/7"
    )
    alice = signed_in(world, "alice")
    for path in (f"/certificates/{number}", "/certificates"):
        html = alice.get(path)
        assert "<script>alert" not in html and "<img src=x" not in html and "\u202e" not in html
    html = alice.get(f"/certificates/{number}")
    assert "-----BEGIN CERTIFICATE-----" in html
    assert "by alice" in html
    assert 'href="https://ca.example.org/7" rel="noreferrer"' in html
    assert "Marking it here revokes nothing." in html
    file = alice.send("GET", f"/certificates/{number}/pem")
    assert file.headers["content-disposition"] == f'attachment; filename="certificate-{number}.pem"'
    assert x509.load_pem_x509_certificate(file.content)


def test_reminders_and_a_note_are_changed(world: World, registered: dict[str, int]) -> None:
    alice, number = signed_in(world, "alice"), registered["soon"]
    address = f"/certificates/{number}"
    answer = alice.post(address, {"note": "two\r\nlines"}, page=address, without=("tracked",))
    assert answer.headers["location"] == f"{address}?done=certificate-saved"
    shown = world.caller("root")("GET", f"/certificates/{number}", 200)
    assert (shown["tracked"], shown["note"]) == (False, "two\nlines")
    assert "The certificate is saved." in alice.get(answer.headers["location"])
    assert world.audit("certificate.change")[0]["actor"] == "alice"
    alice.post(address, {"note": "a" * 2001, "tracked": "on"}, 422, page=address)
    assert "a" * 2001 in alice.html, "what was typed is kept"
    assert world.caller("root")("GET", f"/certificates/{number}", 200)["note"] == "two\nlines"


def test_the_mark_of_a_revocation_is_made_and_removed(world: World, registered: dict[str, int]) -> None:
    alice, number = signed_in(world, "alice"), registered["soon"]
    address = f"/certificates/{number}"
    alice.post(f"{address}/revoked", page=address)
    assert world.caller("root")("GET", address, 200)["revokedAt"] is not None
    assert _listed(alice, "?state=revoked") == [number]
    alice.post(f"{address}/revoked", page=address)
    assert world.caller("root")("GET", address, 200)["revokedAt"] is None


def test_nobody_changes_what_is_not_theirs(world: World, registered: dict[str, int]) -> None:
    alice, number = signed_in(world, "alice"), registered["office"]
    alice.get("/me")
    csrf = {"csrf": re.findall(r'name="csrf" value="([^"]+)"', alice.html)[0]}
    alice.send_form(f"/certificates/{number}/revoked", {**csrf, "revoked": "yes"}, 404)
    alice.send_form(f"/certificates/{number}", {**csrf, "note": "mine"}, 404)
    shown = world.caller("root")("GET", f"/certificates/{number}", 200)
    assert (shown["revokedAt"], shown["note"]) == (None, "")


def test_no_form_of_others_changes_a_certificate(world: World, registered: dict[str, int]) -> None:
    alice, number = signed_in(world, "alice"), registered["soon"]
    address = f"/certificates/{number}"
    alice.get(address)
    foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    for path in (address, f"{address}/revoked"):
        alice.post(path, {"revoked": "yes", "note": "x"}, 403, page=address, without=("csrf",))
        alice.post(path, {"revoked": "yes", "note": "x"}, 403, page=address, headers=foreign)
    shown = world.caller("root")("GET", address, 200)
    assert (shown["revokedAt"], shown["note"]) == (None, "")


def test_notices_tell_administrators_whom_and_others_only_that(world: World, registered: dict[str, int]) -> None:
    address = f"/certificates/{registered['soon']}"
    world.execute("UPDATE outbox SET recipient = 'somebody@example.org'")
    assert "somebody@example.org" in signed_in(world, "root").get(address)
    html = signed_in(world, "alice").get(address)
    assert "certificate-issued" in html and "somebody@example.org" not in html
