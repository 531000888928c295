"""Clients of RFC 7662 as they come: how they show who they are (RFC 6749, section 2.3.1), and what they add to the form."""

from __future__ import annotations

from base64 import b64encode
from urllib.parse import quote_plus, urlencode

import falcon.testing
import pytest
from client import World

from api.http.checking import FORM

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"])


def basic(name: str, secret: str) -> str:
    return "Basic " + b64encode(f"{name}:{secret}".encode()).decode()


def ask(world: World, token: str, authorization: str | None = None, **form: str) -> falcon.testing.Result:
    caller = world.with_secret(None, **({} if authorization is None else {"Authorization": authorization}))
    return caller.send("POST", "/introspect", body=urlencode({"token": token, **form}), headers={"Content-Type": FORM})


def test_every_way_in_which_clients_show_themselves_is_understood(world: World) -> None:
    token, secret = world.mint("alice").secret, world.mint("portal").secret
    both = {"client_id": "portal", "client_secret": secret}
    for result in (
        ask(world, token, f"Bearer {secret}"),
        ask(world, token, f"Bearer {secret}", **both),
        ask(world, token, f"Bearer {secret}", client_id="portal", client_secret=""),
        ask(world, token, basic("portal", secret)),
        ask(world, token, basic("Portal", secret).replace("Basic", "basic")),
        ask(world, token, basic(quote_plus("portal"), secret.replace("_", "%5F"))),
        ask(world, token, basic("portal", secret), client_id="portal", token_type_hint="access_token"),
        ask(world, token, **both),
        ask(world, token, **both, token_type_hint="pat"),
    ):
        assert (result.status_code, result.json.get("active")) == (200, True), result.text


def test_whatever_does_not_show_one_caller_is_challenged(world: World) -> None:
    token, secret, roots = world.mint("alice").secret, world.mint("portal").secret, world.mint("root").secret
    other = world.mint("portal").secret
    for result in (
        ask(world, token),
        ask(world, token, client_id="portal"),
        ask(world, token, client_id="portal", client_secret="x"),
        ask(world, token, client_id="broker", client_secret=secret),
        ask(world, token, client_id="", client_secret="accord_x"),
        ask(world, token, basic("root", secret)),
        ask(world, token, basic("", secret)),
        ask(world, token, basic("portal", "")),
        ask(world, token, "Basic " + secret),
        ask(world, token, "Basic"),
        ask(world, token, "Basic " + b64encode(b"\xff:\xff").decode()),
        ask(world, token, "Basic " + b64encode(b"portal").decode()),
        ask(world, token, basic("portal", secret), client_id="root"),
        ask(world, token, basic("portal", secret), client_secret=roots),
        ask(world, token, basic("portal", secret), client_secret=other),
        ask(world, token, f"Bearer {secret}", client_id="root", client_secret=roots),
        ask(world, token, f"Bearer {secret}", client_id="root"),
        ask(world, token, f"{basic('portal', secret)}, {basic('root', roots)}"),
    ):
        assert result.status_code == 401, result.text
        assert result.headers["www-authenticate"] == 'Bearer realm="accord", Basic realm="accord"'


@pytest.mark.parametrize(("method", "path"), [("GET", "/me"), ("GET", "/auth"), ("POST", "/decisions"), ("GET", "/users")])
def test_basic_is_for_introspection_alone(world: World, method: str, path: str) -> None:
    result = world.with_secret(None, Authorization=basic("root", world.mint("root").secret)).send(method, path)
    assert (result.status_code, result.headers["www-authenticate"]) == (401, 'Bearer realm="accord"')


def test_who_shows_itself_so_is_held_to_the_same_rules(world: World) -> None:
    token, bobs = world.mint("alice").secret, world.mint("bob").secret
    assert ask(world, token, basic("broker", world.mint("broker").secret)).json == {"active": False}
    far = world.with_secret(None, "10.21.0.1", Authorization=basic("bob", bobs))
    assert far.send("POST", "/introspect", body=f"token={bobs}", headers={"Content-Type": FORM}).status_code == 403
    minted = world.mint("portal")
    world.caller("root")("DELETE", f"/users/portal/tokens/{minted.accessor}")
    assert ask(world, token, basic("portal", minted.secret)).status_code == 401
