"""Every operation of the API, called by everybody who may not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from html import unescape
from typing import Any, NamedTuple

import pytest
from client import OFFICE, PASSWORD, Caller, World
from cryptography.hazmat.primitives.serialization import Encoding
from issued import certificate, pem
from scenario import everything, issuer, resource, user
from schemathesis import openapi as schemathesis

from api.authentication.tokens import new_secret
from api.console.routes import ROUTES as PAGES
from api.console.static import ROUTES as FILES
from api.http.checking import FORM, validator
from api.http.openapi import METHODS, document, operations
from api.http.operations import Operation, Resource
from api.http.schemas import COMPONENTS
from api.resources.documentation import curl, example
from api.routes import ROUTES

BODIES: dict[str | None, dict[str, Any]] = {
    None: {},
    "Login": {"json": {"username": "alice", "password": PASSWORD}},
    "OwnPasswordChange": {"json": {"currentPassword": PASSWORD, "newPassword": "another long passphrase"}},
    "PasswordSet": {"json": {"password": "another long passphrase"}},
    "TokenRequest": {"json": {"name": "ci", "validFor": "1h"}},
    "CertificateRequest": {"json": {"pem": pem(), "issuer": "tls", "team": "web"}},
    "CertificateChange": {"json": {"tracked": False}},
    "ExistingSearch": {"json": {"subjectDn": "(?i)^CN=www"}},
    "ExistingChange": {"json": {"renewed": True}},
    "ExistingRevocation": {"json": {"certId": f"{1:024x}", "reason": "superceded"}},
    "ExistingImport": {"json": {"certData": pem("imported.example.org"), "caName": "tls"}},
    "DecisionQuestion": {"json": {"issuer": "tls"}},
    "IntrospectionRequest": {"body": "token=accord_x", "headers": {"Content-Type": FORM}},
}
"""A body that each schema accepts."""


class Each(NamedTuple):
    """An operation with a valid request."""

    method: str
    path: str
    declared: Operation

    def __call__(self, caller: Caller) -> Any:
        return caller.send(self.method, self.path, **BODIES[self.declared.body])


def each_operation(*who: str) -> Iterator[Each]:
    for path, method, declared, _ in operations(ROUTES):
        if declared.terms.access in who and path != "/metrics":  # which has a token of its own
            names = {
                "users": "portal" if path.endswith("/tokens") else "alice",
                "teams": "web",
                "issuers": "tls",
                "api": "Public TLS",
            }
            name = names.get(path.split("/")[2 if path.startswith("/certdog/") else 3] if "{name}" in path else "")
            more = {
                "token_id": "0123456789abcdef",
                "session_id": "0123456789abcdef",
                "certificate_id": "1",
                "cert_id": f"{1:024x}",
                "issuer": "tls",
                "rest": "certificates/7",
            }
            filled = path.format(name=name, **more)
            yield Each(method.upper(), filled.removeprefix("/api/v1"), declared)


def assert_all_refuse(world: World, caller: Caller, status: int, reason: str | None = None, *, who: str = "account") -> None:
    """Every restricted operation is refused with a problem, and changes nothing."""
    before = without_uses(world)
    for operation in each_operation("administrator") if who == "administrator" else each_operation("account", "administrator"):
        answer = operation(caller)
        told = None if operation.declared.legacy else reason
        assert (answer.status_code, answer.json.get("reason")) == (status, told), (operation, answer.text)
        assert ("www-authenticate" in answer.headers) is (status == 401)
        assert answer.headers["cache-control"] == "no-store"
    assert without_uses(world) == before


def without_uses(world: World) -> dict[str, list[Any]]:
    """All rows except tokens, whose last use may be written at any time."""
    return {name: rows for name, rows in everything(world.accord).items() if name != "tokens"}


def test_every_operation_answers_the_callers_it_is_for(world: World) -> None:
    authority = certificate("Example CA", ca=True).public_bytes(Encoding.PEM).decode()
    world.apply(
        {
            "settings.yaml": resource("Settings", "default", {"tokens": {"administratorsMayMintFor": "everyone"}}),
            "issuers/tls.yaml": issuer("tls", displayName="Public TLS", caCertificates=[authority]),
        }
    )
    every = each_operation("anybody", "account", "administrator")
    for operation in sorted(every, key=lambda each: (each.method, each.path) == ("DELETE", "/certificates/1")):  # others need it
        for name in ("root", "alice"):
            world.set_password(name)
        secret = world.mint("root" if operation.declared.terms.access == "administrator" else "alice", "session").secret
        answer = operation(world.with_secret(secret))
        missing = operation.path.endswith("/0123456789abcdef") and answer.status_code == 404
        assert answer.status_code == operation.declared.status or missing, (operation, answer.text)
        world.execute("UPDATE account_states SET disabled_by_administrator = FALSE")


def test_without_a_credential(world: World) -> None:
    assert_all_refuse(world, world.caller(), 401)


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Bearer accord_", "Basic cm9vdDpyb290", "Bearer null", "accord_\x7f"]
)
def test_with_an_invalid_credential(world: World, header: str) -> None:
    assert_all_refuse(world, world.with_secret(None, Authorization=header), 401)


def test_with_a_mistyped_credential_and_with_one_never_issued(world: World) -> None:
    secret = world.mint("root").secret
    for wrong in (secret[:-1], secret + "0", secret.swapcase(), secret[:10] + ("A" if secret[10] != "A" else "B") + secret[11:]):
        assert_all_refuse(world, world.with_secret(wrong), 401)
    assert_all_refuse(world, world.with_secret(new_secret()), 401)


def test_with_two_credentials(world: World) -> None:
    one, other = world.mint("root").secret, world.mint("root").secret
    assert_all_refuse(world, world.with_secret(None, Authorization=f"Bearer {one}, Bearer {other}"), 401)


@pytest.mark.parametrize("kind", ["session", "token"])
def test_with_an_expired_credential(world: World, kind: str) -> None:
    assert_all_refuse(world, world.caller("root", kind=kind, lives=timedelta(seconds=-1)), 401)


def test_with_a_revoked_credential(world: World) -> None:
    minted = world.mint("root")
    caller = world.with_secret(minted.secret)
    world.caller("root")("DELETE", f"/users/root/tokens/{minted.accessor}", 204)
    assert_all_refuse(world, caller, 401)


@pytest.mark.parametrize("switch", ["directory", "administrator"])
def test_with_a_credential_of_a_disabled_account(world: World, switch: str) -> None:
    caller = world.caller("root")
    world.execute(f"INSERT INTO account_states (user_id, disabled_by_{switch}) SELECT id, TRUE FROM users WHERE name = 'root'")
    assert_all_refuse(world, caller, 401)


def test_with_a_credential_of_an_account_that_git_disables_or_deletes(world: World) -> None:
    caller = world.caller("alice")
    world.apply({"users/alice.yaml": user("alice", enabled=False)})
    assert_all_refuse(world, caller, 401)
    caller = world.caller("nobody")
    world.apply({"users/nobody.yaml": None})
    assert_all_refuse(world, caller, 401)


def test_with_a_session_that_must_change_its_password(world: World) -> None:
    caller = world.caller("root", kind="session", password_change_required=True)
    for operation in each_operation("account", "administrator"):
        if operation.declared.terms.restricted:
            continue
        answer = operation(caller)
        assert answer.status_code == 403, operation
        assert "change the password first" in answer.text
    allowed = {(each.method, each.path) for each in each_operation("account", "administrator") if each.declared.terms.restricted}
    assert allowed == {
        ("GET", "/me"),
        ("PUT", "/me/password"),
        ("DELETE", "/sessions/current"),
        ("GET", "/certdog/api/logouthere"),
    }


@pytest.mark.parametrize("name", ["alice", "nobody", "portal", "broker"])
def test_by_a_caller_who_is_not_an_administrator(world: World, name: str) -> None:
    assert_all_refuse(world, world.caller(name), 403, "not-administrator", who="administrator")


@pytest.mark.parametrize("narrowing", [{"issuers": ["tls"]}, {"permitted_ips": [OFFICE]}])
def test_by_an_administrator_with_a_narrowed_token(world: World, narrowing: dict[str, Any]) -> None:
    caller = world.caller("root", kind="token", **narrowing)
    assert_all_refuse(world, caller, 403, "narrowed", who="administrator")


def test_a_narrowed_token_decides_introspects_and_reads_itself(world: World) -> None:
    caller = world.caller("alice", kind="token", issuers=["tls"])
    for operation in each_operation("account"):
        answer = operation(caller)
        refused = answer.status_code == 403 and "a narrowed token may only" in answer.text
        assert refused is not operation.declared.terms.narrowed or operation.path == "/me/tokens", operation
        if operation.path == "/sessions/current":
            caller = world.caller("alice", kind="token", issuers=["tls"])


def test_by_an_administrator_whose_membership_has_ended(world: World) -> None:
    caller = world.caller("root")
    world.execute(
        "UPDATE memberships SET until = '2020-01-01T00:00:00.000000Z' WHERE user_id IN (SELECT id FROM users WHERE name = 'root')"
    )
    world.execute("UPDATE state SET generation = generation + 1")
    assert_all_refuse(world, caller, 403, "not-administrator", who="administrator")


@pytest.mark.parametrize("address", ["10.21.0.1", "2001:db8::1", "127.0.0.2.example", "::ffff:10.21.0.1", ""])
def test_from_an_address_that_no_team_permits(world: World, address: str) -> None:
    assert_all_refuse(world, world.caller("bob", address), 403, "address-not-permitted")


def test_from_an_address_that_the_token_does_not_permit(world: World) -> None:
    caller = world.caller("root", "203.0.113.7", permitted_ips=["10.20.0.0/16"])
    assert_all_refuse(world, caller, 403, "address-not-permitted")


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"])
def test_from_this_machine_but_on_behalf_of_somebody_else(world: World, header: str) -> None:
    secret = world.mint("root", permitted_ips=["127.0.0.1"]).secret
    world.with_secret(secret, "127.0.0.1")("GET", "/me", 200)
    assert_all_refuse(world, world.with_secret(secret, "127.0.0.1", **{header: "127.0.0.1"}), 403, "address-not-permitted")


@pytest.mark.filterwarnings("ignore:Unknown REQUEST_METHOD")
@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "PROPFIND"])
@pytest.mark.parametrize("path", [path for path, resource in ROUTES if not hasattr(resource, "on_options")])
def test_undeclared_methods_never_succeed(world: World, path: str, method: str) -> None:
    values = {"name": "alice", "token_id": "x", "session_id": "x", "certificate_id": "1", "cert_id": "1"}
    at = path.removeprefix("/api/v1").replace(":path}", "}").format(**values) + ("?issuer=tls" if path.endswith("/auth") else "")
    for caller, known in ((world.caller(), False), (world.caller("root"), True)):
        result = caller.send(method, at.partition("?")[0], query_string=at.partition("?")[2])
        asked_first = path.startswith("/certdog/") and not known
        assert result.status_code == (403 if path.endswith("/auth") else 401 if asked_first else 405)
        assert not {method, "OPTIONS"} & set(result.headers.get("allow", "").split(", "))


def test_head_is_answered_like_get_without_the_body(world: World) -> None:
    for operation in each_operation("anybody", "account", "administrator"):
        if operation.method != "GET" or operation.path.endswith("/logouthere"):
            continue
        for caller in (world.caller("root"), world.caller("nobody"), world.caller()):
            head, get = caller.send("HEAD", operation.path), caller.send("GET", operation.path)
            assert (head.status, head.text) == (get.status, ""), operation
            assert head.headers.get("content-type") == get.headers.get("content-type")
            assert "content-length" in head.headers or get.status_code == 200


def test_head_does_nothing_if_get_has_an_effect(world: World) -> None:
    caller = world.caller("alice", kind="session")
    result = caller.send("HEAD", "/certdog/api/logouthere")
    assert (result.status_code, result.headers["allow"]) == (405, "GET")
    caller("GET", "/me", 200)


def subclasses(of: type) -> Iterator[type]:
    for each in of.__subclasses__():
        yield each
        yield from subclasses(each)


def test_every_responder_is_declared() -> None:
    listed = {each for _, each in (*ROUTES, *PAGES, *FILES)}
    with_responders = {each for each in subclasses(Resource) if any(name.startswith("on_") for name in vars(each))}
    shared = {each for each in with_responders if each.__name__.startswith("_")}  # what several pages inherit
    assert listed >= with_responders - shared
    for one in listed:
        responders = [name for name in dir(one) if name.startswith("on_") and getattr(one, name) is not None]
        assert responders
        for name in responders:
            assert name.removeprefix("on_") in METHODS or getattr(one, name) is getattr(one, "on_get", None)
            assert isinstance(getattr(one, name).operation, Operation), (one, name)


def test_the_served_document_is_openapi(world: World) -> None:
    served = world.caller()("GET", "/openapi.json", 200)
    assert served == document(ROUTES)
    assert served["openapi"] == "3.1.0"
    schemathesis.from_dict(served).validate()
    ids = [operation["operationId"] for path in served["paths"].values() for operation in path.values()]
    assert len(ids) == len(set(ids)) == len([each for *_, each, _ in operations(ROUTES) if each.status < 400])


def parts(schema: Any) -> Iterator[dict[str, Any]]:
    """A schema and all schemas in it, by reference as well."""
    if isinstance(schema, list):
        for each in schema:
            yield from parts(each)
    elif isinstance(schema, dict):
        yield schema
        for each in schema.values():
            yield from parts(each)
        if "$ref" in schema:
            yield from parts(COMPONENTS[schema["$ref"].rpartition("/")[2]])


def test_answers_are_open_to_more_and_each_form_of_a_request_has_a_name() -> None:
    for path in document(ROUTES)["paths"].values():
        for method, operation in path.items():
            for answer in operation["responses"].values():
                for part in parts(answer):
                    assert not {"enum", "const", "pattern"} & set(part), (operation["operationId"], part)
                    assert part.get("additionalProperties", True) is True, (operation["operationId"], part)
            for part in parts(operation.get("requestBody", {})):
                for form in (*part.get("oneOf", ()), *part.get("anyOf", ())):
                    assert "required" not in form, (operation["operationId"], part)
            assert method in ("get", "post", "put", "patch", "delete")


def test_every_operation_in_the_document_can_succeed_and_says_how_it_fails() -> None:
    for path, item in document(ROUTES)["paths"].items():
        for method, operation in item.items():
            statuses = {int(status) for status in operation["responses"]}
            assert any(status < 300 for status in statuses), (method, path)
            assert {500, 503} <= statuses, (method, path)
            for status, answer in operation["responses"].items():
                if int(status) >= 400:
                    legacy = path.startswith("/certdog/")
                    wanted = "application/json" if legacy else "application/problem+json"
                    assert list(answer["content"]) == [wanted], (method, path, status)
    assert not {"post", "put", "patch", "delete"} & set(document(ROUTES)["paths"]["/api/v1/issuers/{name}"])


def test_the_page_shows_a_request_of_every_operation_and_who_may_send_it(world: World) -> None:
    page = unescape(world.caller()("GET", "/docs", 200))
    sections = dict(re.findall(r'<details id="(\w+)">(.*?)</details>', page, re.DOTALL))
    for path, item in document(ROUTES)["paths"].items():
        for method, operation in item.items():
            section = sections[operation["operationId"]]
            assert curl(path, method, operation) in section
            assert ("administrators</span>" in section) is ("For administrators." in operation["description"])
            for media, content in operation.get("requestBody", {}).get("content", {}).items():
                assert validator(content["schema"]).is_valid(example(content["schema"])), (path, media)


def test_the_page_names_every_path_and_loads_nothing_from_elsewhere(world: World) -> None:
    page = world.caller()("GET", "/docs", 200)
    for path in document(ROUTES)["paths"]:
        assert path in page
    assert not re.search(r"""(?:src|href|action)\s*=\s*["']?\s*(?:https?:)?//|url\(|@import|<script""", page, re.IGNORECASE)
