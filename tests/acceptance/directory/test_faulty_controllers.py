"""Controllers that hang, trickle, hang up or refuse."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest
from directory_world import DirectoryWorld
from faulty_proxy import Fault, FaultyProxy
from samba_domain import SambaDomain
from waiting import until

from api.directory.controllers import DirectoryUnavailable

FAULTS: tuple[Fault, ...] = ("silence", "trickle", "cut", "refuse")
pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


@pytest.fixture
def proxy(domain: SambaDomain) -> Iterator[FaultyProxy]:
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    found = FaultyProxy(f"127.0.0.{50 + worker}", (domain.address, 636))
    yield found
    found.fault = "none"
    found.close()


def behind(world: DirectoryWorld, proxy: FaultyProxy, *others: str) -> None:
    """Restart the API with the proxy as its first controller."""
    address = world.domain.address.rsplit(".", 1)[0]
    host = f"{address}.{50 + int(os.environ.get('PYTEST_XDIST_WORKER', 'gw0').removeprefix('gw'))}"
    world.service.stop()
    world.options = {"controllers": [f"ldaps://{host}:{proxy.port}", *others], "try_time": 3, "total_time": 30}
    world.start()


@pytest.mark.parametrize("fault", FAULTS)
def test_another_controller_answers_if_one_does_not(world: DirectoryWorld, proxy: FaultyProxy, fault: Fault) -> None:
    behind(world, proxy, world.domain.url)
    name, _ = world.person()
    world.login(name)
    proxy.fault = fault
    world.login(name)("GET", "/me", 200)
    asked = proxy.connections
    world.login(name)
    assert proxy.connections == asked, "the one that failed is not asked for a while"


@pytest.mark.parametrize("fault", FAULTS)
def test_an_only_controller_that_does_not_answer_is_503_within_the_time_limit(
    world: DirectoryWorld, proxy: FaultyProxy, fault: Fault
) -> None:
    behind(world, proxy)
    name, _ = world.person()
    proxy.fault = fault
    world.login(name, code=503)
    assert world.audit("login.fail") == []
    proxy.fault = "none"
    until(lambda: world.send_login(name).status_code == 201, "a login once it is asked again")


def test_few_threads_wait_for_a_directory(world: DirectoryWorld, proxy: FaultyProxy) -> None:
    behind(world, proxy)
    name, _ = world.person()
    session = world.login(name)
    proxy.fault = "silence"
    world.service.domains.close()
    codes: list[int] = []

    def log_in() -> None:
        answer = world.caller().send("POST", "/sessions", json={"username": name, "password": "whatever"})
        codes.append(answer.status_code)

    threads = [threading.Thread(target=log_in) for _ in range(12)]
    for thread in threads:
        thread.start()
    waiting = world.service.domains.all[0].settings.waiting
    until(lambda: len(codes) >= 12 - waiting, "the answer to those that are told to come again")
    session("POST", "/decisions", 200, json={"issuer": "vpn"})
    assert any(thread.is_alive() for thread in threads), "the decision came only when nobody waited any more"
    for thread in threads:
        thread.join()
    assert set(codes) == {503}


@pytest.mark.slow
def test_random_faults_disable_nobody_and_let_nobody_in(world: DirectoryWorld, proxy: FaultyProxy) -> None:
    behind(world, proxy)
    people = [world.person()[0] for _ in range(6)]
    sessions = [world.login(name) for name in people]
    rng = random.Random(7)
    stopping = threading.Event()

    def misbehave() -> None:
        while not stopping.wait(rng.uniform(0.05, 0.3)):
            proxy.fault = rng.choice(("none", "none", *FAULTS))

    thread = threading.Thread(target=misbehave)
    thread.start()
    outcomes = []
    try:
        for _ in range(60):
            right = rng.random() < 0.5
            password = world.password if right else "wrong password"
            answer = world.caller().send("POST", "/sessions", json={"username": rng.choice(people), "password": password})
            outcomes.append((right, answer.status_code))
            if rng.random() < 0.3:
                with suppress(DirectoryUnavailable):
                    world.cycle()
    finally:
        stopping.set()
        thread.join()
        proxy.fault = "none"
    assert {code for right, code in outcomes if right} <= {201, 401, 503}  # 401: near the lock-out by then
    assert {code for right, code in outcomes if not right} <= {401, 503}
    for session in sessions:
        session("GET", "/me", 200)
    assert world.audit("account.disable") == []
