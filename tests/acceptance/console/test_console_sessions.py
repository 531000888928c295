"""Who is signed in to the console, and that nobody is by way of somebody else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path

import pytest
from organisation import Applied, copy_repository, copy_sqlite
from scenario import Accord, resource
from visitor import FORM, HOST, OFFICE, PASSWORD, SAME_ORIGIN, Form, Visitor, World, encoded, settings

from api.app import create_app
from api.authentication.tokens import new_secret
from api.service import Service
from reconciler.access.instants import parse_duration
from reconciler.store.tables import instant_text

ONCE = "brisk otter lantern parade"


@pytest.fixture(scope="module")
def world(applied_on_sqlite: Applied, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("console")
    repository = copy_repository(applied_on_sqlite, folder / "config.git")
    found = World(Accord(repository.path, copy_sqlite(applied_on_sqlite, folder / "accord.db"), folder / "cache"))
    for name in ("root", "alice", "bob"):
        found.set_password(name)
    yield found
    found.service.stop()


@pytest.fixture
def alice(world: World) -> Visitor:
    visitor = Visitor(world)
    visitor.sign_in("alice")
    return visitor


def test_a_visitor_signs_in_and_out(world: World) -> None:
    visitor = Visitor(world)
    assert visitor.send("GET", "/me").headers["location"] == "/login?next=%2Fme"
    answer = visitor.sign_in("alice")
    assert answer.headers["location"] == "/"
    assert set(visitor.cookies) == {"accord"}
    assert "alice" in visitor.get("/me")
    kept = dict(visitor.cookies)
    assert visitor.post("/logout").headers["location"] == "/login?done=signed-out"
    assert not visitor.cookies
    visitor.cookies = kept
    assert visitor.send("GET", "/me").headers["location"].startswith("/login?next=")  # the secret is dead, not only forgotten
    assert not visitor.cookies


def test_one_lands_where_one_wanted_to_go(world: World) -> None:
    visitor = Visitor(world)
    visitor.get("/login?next=%2Fme%2Ftokens")
    assert visitor.post("/login", {"name": "alice", "password": PASSWORD}).headers["location"] == "/me/tokens"


@pytest.mark.parametrize(
    "elsewhere",
    ["https://evil.example", "//evil.example", "/\\evil.example", "\\/evil.example", "/\tevil", "javascript:alert(1)",
     "/api/v1/me", "/logout", "/nothing", "/%2f/evil.example", "http:/me",
     " //evil.example", "/me\r\nX: y", "/static/x/console.js"],
)  # fmt: skip
def test_nobody_is_sent_to_another_site(world: World, elsewhere: str) -> None:
    visitor = Visitor(world)
    visitor.get("/login")
    sent = {"name": "alice", "password": PASSWORD, "next": elsewhere}
    assert visitor.post("/login", sent).headers["location"] == "/"


def test_a_wrong_password_says_nothing_of_the_account(world: World) -> None:
    visitor = Visitor(world)
    answers = []
    for name in ("bob", "nobody-at-all"):
        visitor.sign_in(name, "wrong password", 422)
        assert "accord" not in visitor.cookies
        answers.append(re.sub(name, "NAME", re.sub(r'value="[0-9a-f]{64}"', "", visitor.html)))
    assert answers[0] == answers[1]
    assert "wrong password" not in visitor.html


def test_what_was_typed_is_kept_but_for_the_password(world: World) -> None:
    visitor = Visitor(world)
    visitor.sign_in('a"<b>', PASSWORD, 422)
    assert Form(visitor.html, "/login").fields["name"] == 'a"<b>'
    assert PASSWORD not in visitor.html


def test_the_secret_of_a_cookie_is_none_in_a_header_nor_the_reverse(world: World, alice: Visitor) -> None:
    secret = alice.cookies["accord"]
    world.with_secret(secret)("GET", "/me", 401)
    for kind in ("session", "token"):
        thief = Visitor(world)
        thief.cookies["accord"] = world.mint("alice", kind).secret
        assert thief.send("GET", "/me").headers["location"].startswith("/login")
        thief.cookies["accord"] = new_secret()
        assert thief.send("GET", "/me").headers["location"].startswith("/login")


def test_the_api_reads_no_cookie(world: World, alice: Visitor) -> None:
    for method, path in (("GET", "/api/v1/me"), ("DELETE", "/api/v1/sessions/current"), ("GET", "/certdog/api/certs")):
        assert alice.send(method, path).status_code == 401
    assert "alice" in alice.get("/me")


def test_pages_read_no_header(world: World) -> None:
    stranger = Visitor(world)
    secret = world.mint("root", "session").secret
    assert stranger.send("GET", "/me", {"Authorization": f"Bearer {secret}"}).headers["location"].startswith("/login")


def test_two_cookies_of_one_name_are_nobodys(world: World, alice: Visitor) -> None:
    secret = alice.cookies.pop("accord")
    answer = alice.send("GET", "/me", {"Cookie": f"accord={secret}; accord={new_secret()}"})
    assert answer.headers["location"].startswith("/login")


def test_a_session_is_new_at_each_login_and_the_one_before_ends(world: World, alice: Visitor) -> None:
    before = dict(alice.cookies)
    alice.post("/login?again=1", {"password": PASSWORD}, page="/login?again=1&next=/me/tokens/new")
    assert alice.cookies["accord"] != before["accord"]
    stale = Visitor(world)
    stale.cookies = before
    assert stale.send("GET", "/me").headers["location"].startswith("/login")
    planted = Visitor(world)
    planted.cookies["accord"] = chosen = new_secret()  # somebody else's choice
    planted.sign_in("alice")
    assert planted.cookies["accord"] != chosen


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "same-site", "Origin": "null"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "null"},
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
        {},
    ],
)
def test_a_form_of_another_site_does_nothing(world: World, alice: Visitor, headers: dict[str, str]) -> None:
    alice.get("/me")
    alice.post("/logout", code=403, headers=headers)
    alice.get("/me")


@pytest.mark.parametrize("token", ["", "0" * 64, "ä" * 64, None])
def test_a_form_without_its_token_does_nothing(world: World, alice: Visitor, token: str | None) -> None:
    alice.get("/me")
    alice.post("/logout", {} if token is None else {"csrf": token}, 403, without=("csrf",) if token is None else ())
    alice.get("/me")


def test_the_token_of_another_session_does_nothing(world: World, alice: Visitor) -> None:
    other = Visitor(world)
    other.sign_in("alice")
    other.get("/me")
    replayed = Form(other.html, "/logout").fields["csrf"]
    alice.get("/me")
    alice.post("/logout", {"csrf": replayed}, 403)
    other.post("/logout")
    other.sign_in("alice")
    other.get("/me")
    other.post("/logout", {"csrf": replayed}, 403)


def test_nobody_signs_a_visitor_in_to_another_account(world: World) -> None:
    attacker, victim = Visitor(world), Visitor(world)
    attacker.get("/login")
    token = Form(attacker.html, "/login").fields["csrf"]
    fields = {"name": "bob", "password": PASSWORD, "csrf": token}
    victim.send_form("/login", fields, 403)  # without a visit of its own
    victim.get("/login")
    victim.send_form("/login", fields, 403)  # with its own visit, whose token is another one
    assert "accord" not in victim.cookies


def test_an_act_is_no_get(world: World, alice: Visitor) -> None:
    for path in ("/logout", "/theme", "/me/tokens/x/revoke"):
        assert alice.send("GET", path).status_code == 405
    alice.get("/me")


def test_no_page_is_framed_kept_or_told_elsewhere(world: World, alice: Visitor) -> None:
    for path in ("/login", "/", "/me", "/me/tokens", "/nothing-there"):
        headers = alice.send("GET", path, {"Accept": "text/html"}).headers
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "script-src 'self'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-frame-options"] == "DENY"
        assert headers["cache-control"] == "no-store"
        assert headers["referrer-policy"] == "no-referrer"
        assert "access-control-allow-origin" not in headers


def test_a_cookie_is_for_this_host_alone(world: World) -> None:
    visitor = Visitor(world)
    lines = visitor.sign_in("alice").headers["set-cookie"]
    assert "HttpOnly" in lines and "SameSite=Lax" in lines and "Path=/" in lines and "Domain" not in lines


@pytest.fixture
def behind_tls(world: World) -> Iterator[Visitor]:
    service = Service(settings(world.url, ACCORD_PUBLIC_URL="https://accord.example.org"))
    service.refusals.start = lambda: None  # type: ignore[method-assign]
    service.start()
    visitor = Visitor(world)
    visitor.client.app = create_app(service)
    yield visitor
    service.stop()


def test_behind_tls_cookies_need_it(behind_tls: Visitor) -> None:
    answer = behind_tls.sign_in("alice")
    assert set(behind_tls.cookies) == {"__Host-accord"}
    assert all("; Secure" in cookie for cookie in answer.headers["set-cookie"].split("accord")[1:] if "=" in cookie)
    behind_tls.get("/me")
    behind_tls.post("/logout", code=303, headers={"Origin": "https://accord.example.org"})
    behind_tls.sign_in("alice")
    behind_tls.get("/me")
    behind_tls.post("/logout", code=403, headers={"Origin": f"http://{HOST}"})


@pytest.mark.parametrize("host", ["accord.example.org", "10.1.2.3:8080", "localhost.evil.example", "127.0.0.1.evil.example", ""])
def test_over_plain_http_from_elsewhere_nobody_types_a_password(world: World, host: str) -> None:
    visitor = Visitor(world)
    answer = visitor.send("GET", "/login", {"Host": host})
    assert answer.status_code == 403
    assert 'name="password"' not in answer.text
    assert "ACCORD_PUBLIC_URL" in answer.text
    visitor.cookies["accord"] = "x"
    sent = {"Host": host, "Content-Type": FORM, **SAME_ORIGIN}
    assert visitor.send("POST", "/login", sent, "name=alice&password=x").status_code == 403


def test_a_forced_change_comes_before_everything(world: World) -> None:
    world.set_password("root", ONCE, change_required=True)
    visitor = Visitor(world)
    assert visitor.sign_in("root", ONCE).headers["location"] == "/password"
    for path in ("/", "/me", "/me/tokens", "/me/sessions"):
        assert visitor.send("GET", path).headers["location"] == "/password"
    secret = visitor.cookies["accord"]
    new = {"current": ONCE, "new": PASSWORD, "again": "another one"}
    visitor.post("/password", new, 422, page="/password")
    assert "differ" in visitor.html and PASSWORD not in visitor.html
    visitor.post("/password", {**new, "current": "wrong", "again": PASSWORD}, 422)
    assert "current password is wrong" in visitor.html
    answer = visitor.post("/password", {**new, "again": PASSWORD})
    assert answer.headers["location"] == "/me?done=password-changed"
    assert visitor.cookies["accord"] != secret
    assert "Your password is changed" in visitor.get("/me?done=password-changed")


def test_a_page_says_only_what_it_can_say(world: World, alice: Visitor) -> None:
    assert 'role="status"' not in alice.get("/me?done=pwned")
    assert "pwned" not in alice.html


def test_other_sessions_end_from_here(world: World, alice: Visitor) -> None:
    other = Visitor(world)
    other.sign_in("alice")
    alice.post("/me/sessions", {"end": "others"}, page="/me/sessions")
    assert other.send("GET", "/me").headers["location"].startswith("/login")
    alice.get("/me/sessions?done=signed-out-others")
    alice.post("/me/sessions", {"end": "all"})
    assert alice.send("GET", "/me").headers["location"].startswith("/login")


def test_a_token_is_made_once_shown_once_and_works(world: World, alice: Visitor) -> None:
    fields = {"name": "pipeline", "days": "30", "narrow": "some", "issuer": "tls", "addresses": "10.20.0.0/16, 10.30.0.1"}
    answer = alice.post("/me/tokens/new", fields, 200, page="/me/tokens/new")
    secret = re.search(r"accord_[0-9A-Za-z]{49}", answer.text)
    assert secret is not None and answer.headers["cache-control"] == "no-store"
    caller = world.with_secret(secret[0])
    assert [each["issuer"] for each in caller("GET", "/me/access", 200)] == ["tls"]
    alice.get("/me/tokens")
    assert "pipeline" in alice.html and "10.30.0.1" in alice.html and secret[0] not in alice.html
    accessor = caller("GET", "/me", 200)["credential"]["id"]
    assert alice.post(f"/me/tokens/{accessor}/revoke").headers["location"] == "/me/tokens?done=token-revoked"
    caller("GET", "/me", 401)


def test_a_form_that_is_sent_again_makes_no_second_token(world: World, alice: Visitor) -> None:
    alice.get("/me/tokens/new")
    form = {**Form(alice.html, "/me/tokens/new").fields, "name": "once"}
    alice.send_form("/me/tokens/new", form, 200)
    again = alice.send_form("/me/tokens/new", form, 409)
    assert "made its token already" in again.text
    assert alice.get("/me/tokens").count(">once<") == 1


@pytest.mark.parametrize(
    ("longest", "offered"),
    [("90m", "90 minutes"), ("12h", "12 hours"), ("36h", "36 hours"), ("5d", "5 days"), ("30d", "7 days 30 days")],
)
def test_a_token_lives_as_long_as_the_settings_permit(world: World, alice: Visitor, longest: str, offered: str) -> None:
    world.apply({"settings.yaml": resource("Settings", "default", {"tokens": {"maxLifetime": longest}})})
    try:
        html = alice.get("/me/tokens/new")
        labels = re.findall(r'<input type="radio" name="days" value="\w+"(?: checked)?> ([^<]+)</label>', html)
        assert " ".join(labels) == offered and f"at most {labels[-1]}." in html
        for fields in ({}, {"days": "365"}):  # what a form offered before the Settings became stricter
            answer = alice.post("/me/tokens/new", {"name": "backup", **fields}, 200, page="/me/tokens/new")
            expires = re.search(r'<dt>Expires</dt><dd><time datetime="([^"]+)"', answer.text)
            assert expires is not None
            lives = datetime.fromisoformat(expires[1]) - datetime.now(UTC)
            assert timedelta() <= parse_duration(longest) - lives < timedelta(minutes=1)
    finally:
        world.apply({"settings.yaml": None})


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": ""}, "name the token"),
        ({"name": "a\nb"}, "name"),
        ({"days": "0"}, "for how long"),
        ({"days": "99999999999"}, "for how long"),
        ({"days": "36501"}, "for how long"),
        ({"days": "-1"}, "for how long"),
        ({"narrow": "some"}, "choose the issuers"),
        ({"narrow": "some", "issuer": "no-such"}, "no issuer"),
        ({"addresses": "300.1.1.1"}, "300.1.1.1"),
        ({"addresses": "<script>"}, "&lt;script&gt;"),
        ({"nonce": ""}, "incomplete"),
    ],
)
def test_a_token_that_cannot_be_is_explained_and_the_form_kept(alice: Visitor, fields: dict[str, str], said: str) -> None:
    alice.get("/me/tokens/new")
    form = {**Form(alice.html, "/me/tokens/new").fields, "name": "kept name", **fields}
    result = alice.send("POST", "/me/tokens/new", {"Content-Type": FORM, **SAME_ORIGIN}, encoded(form))
    assert 400 <= result.status_code < 500
    assert said.lower() in result.text.lower()
    assert 'action="/me/tokens/new"' in result.text


def grow_old(world: World, name: str) -> None:
    """Let an account's sessions have begun an hour ago."""
    now = datetime.now(UTC)
    began, used = instant_text(now - timedelta(hours=1)), instant_text(now)
    sessions = f"kind = 'session' AND user_id = (SELECT id FROM users WHERE name = '{name}') AND revoked_at IS NULL"
    world.execute(f"UPDATE tokens SET created_at = '{began}', last_used_at = '{used}' WHERE {sessions}")


def test_a_token_that_is_rotated_stays_narrowed_when_the_password_is_asked_for(world: World) -> None:
    world.mint("alice", name="narrow", issuers=["vpn"], permitted_ips=["10.20.0.0/16"])
    visitor = Visitor(world)
    visitor.sign_in("alice")
    (address,) = re.findall(r'href="(/me/tokens/new\?name=narrow&[^"]*)"', visitor.get("/me/tokens"))
    address = unescape(address)
    grow_old(world, "alice")
    for ask in ("GET", "POST"):  # before the form is shown, and when it is sent
        if ask == "POST":
            form = Form(visitor.html, address).fields
            grow_old(world, "alice")
            answer = visitor.send_form(address, form)
        else:
            answer = visitor.send("GET", address)
        again = answer.headers["location"]
        visitor.get(again)
        answer = visitor.post("/login?again=1", {"password": PASSWORD})
        assert answer.headers["location"] == address
        fields = Form(visitor.get(address), address).fields
        assert (fields["narrow"], fields["issuer"], fields["addresses"]) == ("some", "vpn", "10.20.0.0/16")


def test_minting_needs_a_password_that_was_given_just_now(world: World) -> None:
    visitor = Visitor(world)
    visitor.sign_in("alice")
    visitor.get("/me/tokens/new")
    grow_old(world, "alice")
    answer = visitor.send("GET", "/me/tokens/new")
    assert answer.headers["location"] == "/login?again=1&next=/me/tokens/new"
    visitor.get("/login?again=1&next=/me/tokens/new")
    assert 'value="alice" readonly' in visitor.html
    visitor.post("/login?again=1", {"password": PASSWORD})
    visitor.get("/me/tokens/new")


@pytest.mark.parametrize(
    ("media", "body", "code"),
    [
        ("application/json", "{}", 400),
        (FORM, "a=%ff", 400),
        (FORM, "a=%00", 400),
        (FORM, "&".join(f"a{n}=1" for n in range(3_000)), 400),
        (FORM, "a=" + "x" * 70_000, 413),
        ("multipart/form-data; boundary=x", "--x--", 400),
    ],
)
def test_a_body_that_is_no_form_is_refused_with_a_page(alice: Visitor, media: str, body: str, code: int) -> None:
    answer = alice.send("POST", "/logout", {"Content-Type": media, **SAME_ORIGIN}, body)
    assert answer.status_code == code
    assert answer.headers["content-type"].startswith("text/html")
    assert "Traceback" not in answer.text
    alice.get("/me")


def test_what_is_not_there_is_a_page_for_a_browser_and_problem_details_for_a_program(world: World, alice: Visitor) -> None:
    assert alice.send("GET", "/nothing", {"Accept": "text/html,*/*"}).headers["content-type"].startswith("text/html")
    assert alice.send("GET", "/nothing").headers["content-type"] == "application/problem+json"
    assert alice.send("GET", "/api/v1/nothing", {"Accept": "text/html"}).headers["content-type"] == "application/problem+json"


def test_without_the_console_there_is_no_page(world: World) -> None:
    service = Service(settings(world.url, ACCORD_CONSOLE="off"))
    try:
        visitor = Visitor(world)
        visitor.client.app = create_app(service)
        for path in ("/", "/login", "/me"):
            answer = visitor.send("GET", path, {"Accept": "text/html"})
            assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    finally:
        service.database.close()


def test_the_theme_is_kept_and_shown(alice: Visitor) -> None:
    alice.post("/theme", {"theme": "dark"}, page="/me")
    assert '<html lang="en" data-theme="dark">' in alice.get("/me")
    alice.post("/theme", {"theme": '"><script>'})
    assert '<html lang="en">' in alice.get("/me")


def test_a_first_visit_is_told_how_the_first_password_comes_about(applied_on_sqlite: Applied, tmp_path: Path) -> None:
    repository = copy_repository(applied_on_sqlite, tmp_path / "config.git")
    fresh = World(Accord(repository.path, copy_sqlite(applied_on_sqlite, tmp_path / "accord.db"), tmp_path / "cache"))
    try:
        visitor = Visitor(fresh)
        assert "accord-api user set-password" in visitor.get("/login")
        fresh.set_password("alice")
        assert "accord-api user set-password" not in visitor.get("/login")
    finally:
        fresh.service.stop()


def test_an_address_that_is_not_permitted_is_refused_in_words(world: World) -> None:
    visitor = Visitor(world)
    visitor.sign_in("bob")
    visitor.address = "198.51.100.7"
    answer = visitor.send("GET", "/me")
    assert answer.status_code == 403
    assert "not permitted" in answer.text and OFFICE not in answer.text


def test_a_refused_login_is_logged_and_counted_as_the_api_does(world: World, caplog: pytest.LogCaptureFixture) -> None:
    Visitor(world, "10.20.99.5").sign_in("bob", "wrong password", 422)  # lines about one network are gathered
    told = [each for each in caplog.records if getattr(each, "operation", "") == "POST /login"]
    assert [(each.status, each.reason) for each in told] == [(401, "wrong-password")]  # type: ignore[attr-defined]


@pytest.mark.parametrize("days", ["0" * 5 + "1" + "0" * 5_000, "0000011", "1" + "0" * 20])
def test_a_number_of_days_that_no_form_offers_is_refused(alice: Visitor, days: str) -> None:
    alice.post("/me/tokens/new", {"name": "tool", "days": days}, 422, page="/me/tokens/new")


@pytest.mark.parametrize("path", ["/teams", "/issuers", "/certificates"])
def test_a_very_long_search_is_refused_and_not_the_databases_fault(alice: Visitor, path: str) -> None:
    assert "at most 128 characters" in alice.get(f"{path}?search={'a' * 60_000}", 422)


@pytest.fixture
def unwritable(world: World) -> Iterator[None]:
    """A database that takes no new session or token."""
    world.execute("CREATE TRIGGER full_disk BEFORE INSERT ON tokens BEGIN SELECT RAISE(ABORT, 'the disk is full'); END")
    yield
    world.execute("DROP TRIGGER IF EXISTS full_disk")


def test_what_was_typed_is_sent_again_where_that_can_work(world: World, alice: Visitor, unwritable: None) -> None:
    del unwritable
    alice.post("/me/tokens/new", {"name": "backup"}, 503, page="/me/tokens/new")
    assert "Try again with what you typed" in alice.html
    world.execute("DROP TRIGGER full_disk")
    assert 'id="secret"' in alice.post("/me/tokens/new", code=200).text


def test_a_form_with_a_password_is_opened_again(alice: Visitor, unwritable: None) -> None:
    del unwritable
    alice.post("/password", {"current": PASSWORD, "new": ONCE, "again": ONCE}, 503, page="/password")
    assert "Try again" not in alice.html and not Form(alice.html, "/password").found
    assert re.findall(r'<a class="button primary" href="([^"]+)">Open the page again', alice.html) == ["/password"]
    assert ONCE not in alice.html and PASSWORD not in alice.html


@pytest.mark.parametrize("query", ["", "?again=1"])
def test_a_login_that_failed_begins_anew(alice: Visitor, unwritable: None, query: str) -> None:
    del unwritable
    alice.post(f"/login{query}", {"name": "alice", "password": PASSWORD}, 503, page=f"/login{query}")
    assert "Try again" not in alice.html and PASSWORD not in alice.html
    assert re.findall(r'<a class="button primary" href="([^"]+)">Open the page again', alice.html) == [f"/login{query}"]
