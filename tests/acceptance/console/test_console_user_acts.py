"""Acts of administrators on an account: done, refused, and never without their form, an administrator and a recent password."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from scenario import Accord, resource
from visitor import PASSWORD, Form, Visitor, World

from reconciler.store.tables import instant_text

NEW = "seven herons over the lake"


@pytest.fixture
def world(organised: Accord) -> Iterator[World]:
    """On a database of each kind."""
    found = World(organised)
    found.set_password("root")
    yield found
    found.service.stop()


@pytest.fixture
def root(world: World) -> Visitor:
    visitor = Visitor(world)
    visitor.sign_in("root")
    return visitor


def act(visitor: Visitor, name: str, path: str, fields: dict[str, Any] | None = None, *, without: tuple[str, ...] = ()) -> str:
    """Do an act by its page; what the user's page says then."""
    answer = visitor.post(f"/users/{name}/{path}", fields or {}, page=f"/users/{name}/{path}", without=without)
    found = re.search(r'role="status">.*?<span>(.*?)</span>', visitor.get(answer.headers["location"]), re.DOTALL)
    assert found is not None
    return found[1]


def test_a_disabled_account_is_out_at_once_until_it_is_enabled(world: World, root: Visitor) -> None:
    world.set_password("alice")
    alice, token = Visitor(world), world.mint("alice")
    alice.sign_in("alice")
    html = root.get("/users/alice/disable")
    assert "1 session and 1 token end at once" in html
    assert "disabled here" in act(root, "alice", "disable")
    assert alice.send("GET", "/me").headers["location"].startswith("/login")
    world.with_secret(token.secret)("GET", "/me", 401)
    alice.sign_in("alice", code=422)
    answer = root.post("/users/alice/enable", page="/users/alice")  # one button: it can be undone
    assert answer.headers["location"] == "/users/alice?done=enabled"
    alice.sign_in("alice")
    assert [each["actor"] for each in world.audit("account.disable")] == ["root"]


def test_tokens_that_it_generated_for_others_are_named_before(world: World, root: Visitor) -> None:
    session = world.mint("alice", "session")
    world.mint("portal", name="x", minter=session.accessor)
    html = root.get("/users/alice/disable")
    assert "generated 1 token for other accounts (portal)" in html


def test_a_new_password_is_mailed_with_or_without_revoking_tokens(world: World, root: Visitor) -> None:
    html = root.get("/users/alice/reset-password")
    assert "alice@example.org" in html
    assert "A new password by mail is asked for." in act(root, "alice", "reset-password")
    act(root, "alice", "reset-password", without=("tokens",))
    assert [each["detail"]["revokeTokens"] for each in world.audit("password.reset")] == [True, False]
    assert re.search(r"a mail with a new one waits", root.get("/users/alice"))


def test_what_is_said_after_an_act_is_true_of_a_disabled_account_too(world: World, root: Visitor) -> None:
    world.set_password("alice")
    Visitor(world).sign_in("alice", "wrong password", 422)
    act(root, "alice", "disable")
    assert act(root, "alice", "unlock") == "Failed logins are forgotten: none of them makes the next login wait."
    assert "can log in" not in root.html.partition("Now, here")[2].partition("In Git, reviewed")[0]
    assert "while the account is disabled, the mail waits" in act(root, "alice", "reset-password")
    assert "a mail with a new one waits" in root.html
    Visitor(world).sign_in("alice", code=422)


def test_an_applications_password_is_set_and_its_sessions_end(world: World, root: Visitor) -> None:
    session, token = world.mint("portal", "session"), world.mint("portal")
    root.post("/users/portal/password", {"new": NEW, "again": "another one"}, 422, page="/users/portal/password")
    assert "repetition differ" in root.html and NEW not in root.html
    root.post("/users/portal/password", {"new": "portal", "again": "portal"}, 409)
    assert "too short" in root.html
    root.post("/users/portal/password", {"new": "", "again": ""}, 422)
    assert "its tokens go on" in act(root, "portal", "password", {"new": NEW, "again": NEW}, without=("tokens",))
    world.with_secret(session.secret)("GET", "/me", 401)
    world.with_secret(token.secret)("GET", "/me", 200)
    portal = Visitor(world)
    assert portal.sign_in("portal", NEW).headers["location"] == "/"
    assert "tokens of the account have ended" in act(
        root, "portal", "password", {"new": NEW + "!", "again": NEW + "!", "change": "on"}
    )
    world.with_secret(token.secret)("GET", "/me", 401)
    assert portal.sign_in("portal", NEW + "!").headers["location"] == "/password"


def test_a_person_who_may_get_a_password_is_told(world: World, root: Visitor) -> None:
    world.apply({"settings.yaml": resource("Settings", "default", {"tokens": {"administratorsMayMintFor": "everyone"}})})
    act(root, "alice", "password", {"new": NEW, "again": NEW})
    assert "told at alice@example.org" in root.get("/users/alice/tokens/new")
    root.post("/users/alice/tokens/new", {"name": "for alice"}, 200)
    assert "told by mail" in root.html
    with world.service.database.reading() as connection:
        sent = connection.exec_driver_sql("SELECT template FROM outbox ORDER BY id").scalars().all()
    assert sent[-2:] == ["password-set", "token-minted"]


def test_a_change_is_required_and_sessions_end_or_go_on(world: World, root: Visitor) -> None:
    world.set_password("alice")
    alice, token = Visitor(world), world.mint("alice")
    alice.sign_in("alice")
    assert "must be changed" in act(root, "alice", "require-change", without=("sessions",))
    alice.get("/me")
    act(root, "alice", "require-change")
    assert alice.send("GET", "/me").headers["location"].startswith("/login")
    world.with_secret(token.secret)("GET", "/me", 200)
    act(root, "alice", "require-change", {"tokens": "on"})
    world.with_secret(token.secret)("GET", "/me", 401)
    assert alice.sign_in("alice").headers["location"] == "/password"


def test_failed_logins_are_shown_and_forgotten(world: World, root: Visitor) -> None:
    now = instant_text(datetime.now(UTC))
    world.execute(
        "INSERT INTO account_networks (account, network, user_id, failures, last_failed_at) "
        f"SELECT CAST(id AS TEXT), '203.0.113.9', id, 20, '{now}' FROM users WHERE name = 'alice'"
    )
    assert "20 in a row" in root.get("/users/alice") and "must wait" in root.html
    root.post("/users/alice/unlock", page="/users/alice")
    assert "in a row" not in root.get("/users/alice") and "nothing to unlock" in root.html


def test_an_applications_token_is_made_once_and_shown_once(world: World, root: Visitor) -> None:
    fields = {"name": "pipeline", "days": "30", "narrow": "some", "issuer": "tls", "addresses": "10.20.0.0/16"}
    world.apply({"teams/web.yaml": {**WEB, "spec": {"members": ["portal"], "issuers": ["tls"]}}})
    root.get("/users/portal/tokens/new")
    form = {**Form(root.html, "/users/portal/tokens/new").fields, **fields}
    answer = root.send_form("/users/portal/tokens/new", form, 200)
    secret = re.search(r"accord_[0-9A-Za-z]{49}", answer.text)
    assert secret is not None and answer.headers["cache-control"] == "no-store"
    assert "told by mail" not in answer.text
    assert world.with_secret(secret[0])("GET", "/me", 200)["name"] == "portal"
    assert "made its token already" in root.send_form("/users/portal/tokens/new", form, 409).text
    html = root.get("/users/portal")
    assert html.count(">pipeline<") == 1 and secret[0] not in html and "by root" in html
    root.post("/users/portal/tokens/new", {"name": ""}, 422, page="/users/portal/tokens/new")
    assert "name the token" in root.html.lower()
    assert root.send("GET", "/users/portal/tokens").headers["location"] == "/users/portal#tokens"


WEB = {"apiVersion": "accord/v1", "kind": "Team", "metadata": {"name": "web"}}


def test_a_token_is_revoked_with_what_came_of_it(world: World, root: Visitor) -> None:
    token = world.mint("alice", name="laptop")
    child = world.mint("alice", name="of laptop", minter=token.accessor)
    other = world.mint("alice", name="other")
    html = root.get(f"/users/alice/tokens/{token.accessor}/revoke")
    assert "laptop" in html and "1 token that came of it ends" in html
    assert root.post(f"/users/alice/tokens/{token.accessor}/revoke").headers["location"] == "/users/alice?done=token-revoked"
    for ended in (token, child):
        world.with_secret(ended.secret)("GET", "/me", 401)
    world.with_secret(other.secret)("GET", "/me", 200)


def test_a_session_is_ended(world: World, root: Visitor) -> None:
    ended, other = world.mint("alice", "session"), world.mint("alice", "session")
    path = f"/users/alice/sessions/{ended.accessor}/end"
    assert root.post(path, page=path).headers["location"] == "/users/alice?done=session-ended-there"
    world.with_secret(ended.secret)("GET", "/me", 401)
    world.with_secret(other.secret)("GET", "/me", 200)
    assert [each["actor"] for each in world.audit("credential.revoke")] == ["root"]
    form = {"csrf": csrf(root)}
    root.send_form(path, form, 404)


def csrf(visitor: Visitor) -> str:
    """The token of a visitor's forms."""
    return Form(visitor.get("/me"), "/logout").fields["csrf"]


def test_a_credential_of_somebody_else_is_not_found(world: World, root: Visitor) -> None:
    token, session = world.mint("bob"), world.mint("bob", "session")
    form = {"csrf": csrf(root)}
    for path in (f"tokens/{token.accessor}/revoke", f"sessions/{session.accessor}/end", f"tokens/{session.accessor}/revoke",
                 f"sessions/{token.accessor}/end", "tokens/x/revoke", "tokens/%F0%9F%92%A9/revoke"):  # fmt: skip
        assert root.send("GET", f"/users/alice/{path}").status_code == 404
        root.send_form(f"/users/alice/{path}", form, 404)
    for each in (token, session):
        world.with_secret(each.secret)("GET", "/me", 200)


ACTS = {
    "disable": {}, "enable": {}, "unlock": {}, "reset-password": {}, "require-change": {"sessions": "on"},
    "password": {"new": NEW, "again": NEW}, "tokens/new": {"name": "x", "days": "30", "nonce": "n"},
}  # fmt: skip


def everything(world: World) -> Any:
    return world.accord.json("audit", "list")


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_nothing_happens_without_its_form_nor_by_others(world: World, root: Visitor) -> None:
    token, session = world.mint("portal"), world.mint("portal", "session")
    paths = {**ACTS, f"tokens/{token.accessor}/revoke": {}, f"sessions/{session.accessor}/end": {}}
    world.set_password("alice")
    alice, nobody = Visitor(world), Visitor(world)
    alice.sign_in("alice")
    of_root, of_alice = csrf(root), csrf(alice)
    before = everything(world)
    for path, fields in paths.items():
        address = f"/users/portal/{path}"
        root.send_form(address, fields, 403)
        root.send_form(address, {**fields, "csrf": of_alice}, 403)
        root.send_form(address, {**fields, "csrf": of_root}, 403, headers={"Origin": "https://evil.example"})
        root.send_form(address, {**fields, "csrf": of_root}, 403, headers={})
        alice.send_form(address, {**fields, "csrf": of_alice}, 403)
        nobody.send_form(address, {**fields, "csrf": of_root}, 303)
    assert everything(world) == before


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_an_act_asks_for_the_password_and_leads_back_to_its_page(world: World, root: Visitor) -> None:
    token, session = world.mint("portal"), world.mint("portal", "session")
    paths = {**ACTS, f"tokens/{token.accessor}/revoke": {}, f"sessions/{session.accessor}/end": {}}
    world.execute(
        f"UPDATE tokens SET created_at = '{instant_text(datetime.now(UTC) - timedelta(hours=1))}', "
        f"last_used_at = '{instant_text(datetime.now(UTC))}' WHERE user_id = (SELECT id FROM users WHERE name = 'root')"
    )
    html = root.get("/users/portal")
    assert "You will be asked for your password first" in html
    assert 'action="/users/portal' not in html  # a form would be refused
    before, form = everything(world), {"csrf": csrf(root)}
    for path, fields in paths.items():
        expected = f"/login?again=1&next=/users/portal/{path}"
        assert root.send("GET", f"/users/portal/{path}").headers["location"] == expected
        assert root.send_form(f"/users/portal/{path}", {**fields, **form}).headers["location"] == expected
    assert everything(world) == before
    html = root.get("/login?again=1&next=/users/portal/disable")
    assert 'value="root" readonly' in html and '<a href="/users/portal">Back</a>' in html
    assert root.post("/login?again=1", {"password": PASSWORD}).headers["location"] == "/users/portal/disable"
    assert "asked for your password" not in root.get("/users/portal")
    act(root, "portal", "disable")


def test_one_does_not_act_on_oneself(world: World, root: Visitor) -> None:
    form = {"csrf": csrf(root)}
    for path in ("disable", "reset-password", "password", "tokens/new"):
        root.send_form(f"/users/root/{path}", {**ACTS[path], **form}, 409)
    root.get("/me")
