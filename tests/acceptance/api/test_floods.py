"""Floods of requests: what they may use, and what is left for others."""

from __future__ import annotations

import sqlite3
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

import pytest
from client import PASSWORD, World
from served import serving
from waiting import LONG

from api.authentication.known_networks import EVERY, KNOWN_FOR, KnownNetworks
from api.authentication.places import Guest
from reconciler.access.permitted_ips import parse_address


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_logins_that_wait_for_the_database_leave_threads_for_decisions(world: World, tmp_path: Path) -> None:
    """An apply holds the writer's lock for as long as it takes, and a login has to write."""
    world.set_password("alice")
    alice = world.caller("alice")
    threads = world.service.settings.threads
    most = world.service.passwords.places - 1  # all call from one network, which never takes the last
    login = {"username": "alice", "password": PASSWORD}
    world.caller()("POST", "/sessions", 201, json=login)  # its network is known from now on
    with closing(sqlite3.connect(tmp_path / "accord.db")) as applying, ThreadPoolExecutor(threads) as server:
        applying.execute("BEGIN IMMEDIATE")
        waiting = {server.submit(world.caller().send, "POST", "/sessions", json=login) for _ in range(3 * threads)}
        while len(waiting) > most:
            done, waiting = wait(waiting, timeout=LONG, return_when=FIRST_COMPLETED)
            assert done, "logins hold all threads"
            assert {(each.result().status_code, each.result().json["type"]) for each in done} == {
                (503, "urn:accord:problem:busy")
            }
        assert server.submit(alice, "POST", "/decisions", 200, json={"issuer": "tls"}).result(LONG)["allow"] is True
        applying.execute("ROLLBACK")
        assert {each.result().status_code for each in waiting} == {201}


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_an_address_that_must_wait_takes_no_place_and_its_body_is_not_read(world: World) -> None:
    world.execute(
        "INSERT INTO login_failures VALUES ('203.0.113.9', 99, '2026-01-01T00:00:00.000000Z', '2999-01-01T00:00:00.000000Z')"
    )
    with ExitStack() as taken:
        for number in range(world.service.passwords.places):
            taken.enter_context(world.service.passwords.place(Guest(str(number), True)))
        for path in ("/sessions", "/certdog/api/login"):
            answer = world.caller(address="203.0.113.9").send("POST", path, body="not even JSON")
            assert (answer.status_code, "retry-after" in answer.headers) == (429, True)
            assert world.caller(address="203.0.113.10").send("POST", path, body="not even JSON").status_code == 503


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_who_logged_in_from_an_address_before_is_let_in_among_strangers_also_after_a_restart(world: World) -> None:
    world.set_password("alice")
    login = {"json": {"username": "alice", "password": PASSWORD}}
    address = "2001:db8:7:8::9"
    world.caller(address=address)("POST", "/sessions", 201, **login)
    for _ in range(2):
        with ExitStack() as taken:
            for number in range(world.service.passwords.places - world.service.passwords.places // 2):
                taken.enter_context(world.service.passwords.place(Guest(str(number), False)))
            assert world.caller(address="198.51.100.7").send("POST", "/sessions", **login).status_code == 503
            for same_site in (address, "2001:db8:7:8::a"):
                world.caller(address=same_site)("POST", "/sessions", 201, **login)
        world.restart()


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_another_process_learns_of_a_network_within_a_minute(world: World) -> None:
    world.set_password("alice")
    other = KnownNetworks(world.service.reader)
    now = datetime.now(UTC)
    other.read(now)
    address = parse_address("203.0.113.77")
    assert not other.guest(address).known
    world.caller(address=address.text)("POST", "/sessions", 201, json={"username": "alice", "password": PASSWORD})
    assert world.service.known.guest(address).known
    other.read(now)
    assert other.guest(address).known
    assert EVERY <= 60
    other.read(now + KNOWN_FOR + timedelta(days=1))
    assert not other.guest(address).known


@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.slow
def test_in_a_flood_known_networks_log_in_and_everything_else_is_answered(world: World, tmp_path: Path) -> None:
    world.set_password("alice")
    secret = world.mint("alice").secret
    login = {"username": "alice", "password": PASSWORD}
    with serving(world.url, tmp_path, ACCORD_TRUSTED_PROXIES="127.0.0.1") as server, ThreadPoolExecutor(40) as pool:
        assert server.call("POST", "/api/v1/sessions", None, login, X_Forwarded_For="198.51.100.7").status == 201
        stop = Event()

        def attack(number: int) -> set[int]:
            found = set()
            while not stop.is_set():
                guess = {"username": "nobody", "password": "x"}
                network = f"2001:db8:{number:x}::1"
                found.add(server.call("POST", "/api/v1/sessions", None, guess, X_Forwarded_For=network).status)
            return found

        flood = [pool.submit(attack, number) for number in range(32)]
        statuses = [server.call("POST", "/api/v1/sessions", None, login, X_Forwarded_For="198.51.100.7").status for _ in range(5)]
        assert server.call("GET", "/api/v1/me", secret).status == 200
        stop.set()
        assert set().union(*(each.result() for each in flood)) <= {401, 429, 503}
    assert statuses == [201] * 5
