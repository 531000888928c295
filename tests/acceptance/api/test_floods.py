"""Floods of requests: what they may use, and what is left for others."""

from __future__ import annotations

import sqlite3
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import closing
from pathlib import Path

import pytest
from client import PASSWORD, World
from waiting import LONG


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_logins_that_wait_for_the_database_leave_threads_for_decisions(world: World, tmp_path: Path) -> None:
    """An apply holds the writer's lock for as long as it takes, and a login has to write."""
    world.set_password("alice")
    alice = world.caller("alice")
    threads, hashes = world.service.settings.threads, world.service.settings.hashes
    login = {"username": "alice", "password": PASSWORD}
    with closing(sqlite3.connect(tmp_path / "accord.db")) as applying, ThreadPoolExecutor(threads) as server:
        applying.execute("BEGIN IMMEDIATE")
        waiting = {server.submit(world.caller().send, "POST", "/sessions", json=login) for _ in range(3 * threads)}
        while len(waiting) > hashes + (threads - hashes) // 2:
            done, waiting = wait(waiting, timeout=LONG, return_when=FIRST_COMPLETED)
            assert done, "logins hold all threads"
            assert {(each.result().status_code, each.result().json["type"]) for each in done} == {
                (503, "urn:accord:problem:busy")
            }
        assert server.submit(alice, "POST", "/decisions", 200, json={"issuer": "tls"}).result(LONG)["allow"] is True
        applying.execute("ROLLBACK")
        assert {each.result().status_code for each in waiting} == {201}
