"""An act stands on who its caller is when it happens: whoever loses the right while a request waits changes nothing."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from client import PASSWORD, Caller, World
from issued import pem
from scenario import everything
from served import Server, serving
from test_operations import Each, each_operation
from waiting import LONG, until

from reconciler.access.touched import EVERYTHING
from reconciler.store.engine import Connection, open_database
from reconciler.store.generations import raise_generation
from reconciler.store.tables import instant_text

READING = ("/decisions", "/introspect", "/auth", "/certdog/api/login", "/certdog/api/certs/search")
"""Operations that are not GET and write nothing of the caller's."""
WRITERS = {
    f"{each.method} {each.path}": each
    for each in each_operation("account", "administrator")
    if (each.method != "GET" or "logout" in each.path)
    and not each.path.startswith(READING)
    and each.declared.status < 500  # others do nothing
    and each.path not in ("/users", "/users/alice", "/teams", "/teams/web", "/issuers", "/issuers/tls")
}


def who(operation: Each) -> str:
    return "root" if operation.declared.terms.access == "administrator" else "alice"


def disable(connection: Connection, name: str, _accessor: str) -> None:
    connection.exec_driver_sql("DELETE FROM account_states")
    connection.exec_driver_sql(
        f"INSERT INTO account_states (user_id, disabled_by_administrator) SELECT id, TRUE FROM users WHERE name = '{name}'"
    )
    raise_generation(connection, EVERYTHING)


def delete(connection: Connection, name: str, _accessor: str) -> None:
    connection.exec_driver_sql(f"DELETE FROM users WHERE name = '{name}'")
    raise_generation(connection, EVERYTHING)


def revoke(connection: Connection, _name: str, accessor: str) -> None:
    connection.exec_driver_sql(f"UPDATE tokens SET revoked_at = created_at WHERE accessor = '{accessor}'")


def forbid_the_address(connection: Connection, _name: str, _accessor: str) -> None:
    connection.exec_driver_sql("""UPDATE teams SET permitted_ips = '["203.0.113.0/24"]'""")
    raise_generation(connection, EVERYTHING)


def require_another_password(connection: Connection, _name: str, accessor: str) -> None:
    connection.exec_driver_sql(f"UPDATE tokens SET password_change_required = TRUE WHERE accessor = '{accessor}'")


def leave_the_team(connection: Connection, name: str, _accessor: str) -> None:
    connection.exec_driver_sql(f"DELETE FROM memberships WHERE user_id IN (SELECT id FROM users WHERE name = '{name}')")
    raise_generation(connection, EVERYTHING)


def demote_the_team(connection: Connection, _name: str, _accessor: str) -> None:
    connection.exec_driver_sql("UPDATE teams SET administrator = FALSE")
    raise_generation(connection, EVERYTHING)


Ending = Callable[[Connection, str, str], None]
ANYBODYS: tuple[Ending, ...] = (disable, delete, revoke, forbid_the_address)
ADMINISTRATORS: tuple[Ending, ...] = (*ANYBODYS, require_another_password, leave_the_team, demote_the_team)
CASES = [
    pytest.param(operation, end, id=f"{name} {end.__name__}")
    for name, operation in WRITERS.items()
    for end in (ADMINISTRATORS if who(operation) == "root" else ANYBODYS)
]


@contextmanager
def while_it_waits(
    world: World, monkeypatch: pytest.MonkeyPatch, send: Callable[[], Any]
) -> Iterator[tuple[Connection, list[Any]]]:
    """A transaction that a request waits for after it was admitted, and then its answer."""
    admitted, answers = threading.Event(), []
    admit = world.service.authenticator.authenticate

    def note(*arguments: Any) -> Any:
        principal = admit(*arguments)
        admitted.set()
        return principal

    monkeypatch.setattr(world.service.authenticator, "authenticate", note)
    thread = threading.Thread(target=lambda: answers.append(send()))
    with world.service.database.recording() as connection:
        thread.start()
        assert admitted.wait(LONG)
        yield connection, answers
    thread.join(LONG)
    monkeypatch.undo()


def written(world: World, accessor: str) -> dict[str, Any]:
    """What only an act would change: not what its caller's end changes."""
    rows = everything(world.accord)
    kept = {name: rows[name] for name in ("audit", "outbox", "certificates")}
    with world.service.database.reading() as connection:
        others = connection.exec_driver_sql(
            f"SELECT accessor, revoked_at, expires_at FROM tokens WHERE accessor != '{accessor}' ORDER BY id"
        ).fetchall()
        passwords = connection.exec_driver_sql(
            "SELECT password_hash, password_change_required FROM account_states WHERE password_hash IS NOT NULL ORDER BY user_id"
        ).fetchall()
    return {**kept, "tokens": list(map(tuple, others)), "passwords": list(map(tuple, passwords))}


def prepared(world: World, operation: Each) -> tuple[Caller, str]:
    """A caller who may do it, now, and what it is about."""
    name = who(operation)
    minted = world.mint(name, "session")
    caller = world.with_secret(minted.secret, "198.51.100.7")
    if "/certificates/1" in operation.path:
        body = {"pem": pem(), "issuer": "tls", "team": "web"}
        world.caller("alice")("POST", "/certificates", json=body)
    return caller, minted.accessor


@pytest.mark.parametrize(("operation", "end"), CASES)
def test_nothing_is_written_for_a_caller_who_lost_the_right_meanwhile(
    world: World, operation: Each, end: Ending, monkeypatch: pytest.MonkeyPatch
) -> None:
    if operation.path == "/me/password":
        world.set_password("alice")
    caller, accessor = prepared(world, operation)
    before = written(world, accessor)
    with while_it_waits(world, monkeypatch, lambda: operation(caller)) as (connection, answers):
        end(connection, who(operation), accessor)
        if end is disable:
            before["passwords"] = []
    (answer,) = answers
    assert answer.status_code in (401, 403), answer.text
    after = written(world, accessor)
    compared = ("audit",) if end is delete else tuple(before)  # what was about a deleted account changes by itself
    assert {name: after[name] for name in compared} == {name: before[name] for name in compared}


@pytest.mark.parametrize("column", ["expires_at", "until"])
def test_the_clock_is_read_when_the_act_happens(world: World, monkeypatch: pytest.MonkeyPatch, column: str) -> None:
    minted = world.mint("root", "session")
    ends = datetime.now(UTC) + timedelta(seconds=2)
    if column == "expires_at":
        world.execute(f"UPDATE tokens SET expires_at = '{instant_text(ends)}' WHERE accessor = '{minted.accessor}'")
    else:
        of_root = "user_id IN (SELECT id FROM users WHERE name = 'root')"
        world.execute(f"UPDATE memberships SET until = '{instant_text(ends)}' WHERE {of_root}")
        world.execute("UPDATE state SET generation = generation + 1")
    root = world.with_secret(minted.secret)
    with while_it_waits(world, monkeypatch, lambda: root.send("PUT", "/users/alice/disabled")) as (_, answers):
        until(lambda: datetime.now(UTC) > ends, "the end")
    (answer,) = answers
    assert answer.status_code == (401 if column == "expires_at" else 403)
    assert world.audit("account.disable") == []


@pytest.mark.slow
@pytest.mark.parametrize("server_kind", ["waitress", "granian"])
def test_a_request_held_open_is_judged_when_its_body_is_there(world: World, server_kind: str, tmp_path: Path) -> None:
    world.set_password("alice")
    session = world.mint("root", "session")
    with serving(world.url, tmp_path, "--server", server_kind) as server:
        for path, body in (
            ("users/alice/password", b'{"password": "chosen by somebody dismissed"}'),
            ("decisions", b'{"issuer": "tls"}'),
        ):
            held = _Held(server, "PUT" if "users" in path else "POST", path, session.secret, body)
            assert server.call("GET", "/api/v1/me", session.secret).status == 200
            with open_database(world.url) as database, database.recording() as connection:
                revoke(connection, "root", session.accessor)
            assert b" 401 " in held.finish().split(b"\r\n")[0]
            with open_database(world.url) as database, database.recording() as connection:
                connection.exec_driver_sql("UPDATE tokens SET revoked_at = NULL")
    assert [entry["actor"] for entry in world.audit("password.set")] == ["operator"]


class _Held:
    """A request whose last byte is still to come."""

    def __init__(self, server: Server, method: str, path: str, secret: str, body: bytes) -> None:
        self._last = body[-1:]
        self._connection = socket.create_connection(("127.0.0.1", server.port), timeout=LONG)
        head = f"{method} /api/v1/{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {secret}\r\nConnection: close\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self._connection.sendall(head.encode() + body[:-1])

    def finish(self) -> bytes:
        """Send it; the answer."""
        with self._connection as connection:
            connection.sendall(self._last)
            found = b""
            while part := connection.recv(65536):
                found += part
            return found


def test_a_login_that_is_not_recent_acts_on_nobody_else(world: World) -> None:
    minted = world.mint("root", "session")
    world.execute(
        f"UPDATE tokens SET created_at = '{instant_text(datetime.now(UTC) - timedelta(minutes=11))}',"
        f" last_used_at = '{instant_text(datetime.now(UTC))}' WHERE accessor = '{minted.accessor}'"
    )
    old, token = world.with_secret(minted.secret), world.caller("root", kind="token")
    for operation in WRITERS.values():
        if "/users/" in operation.path:
            assert operation(old).json["reason"] == "login-too-old", operation
            assert operation(token).json["reason"] == "session-needed", operation
    assert old("POST", "/me/tokens", 403, json={"name": "ci", "validFor": "1h"})["reason"] == "login-too-old"
    old("GET", "/users", 200)
    token("GET", "/users", 200)


def test_nobody_sets_the_own_password_without_the_old_one(world: World) -> None:
    root = world.caller("root")
    root("PUT", "/users/root/password", 409, json={"password": PASSWORD})
    root("POST", "/users/root/password-reset", 409)
    assert world.audit("password.set") == world.audit("password.reset") == []
