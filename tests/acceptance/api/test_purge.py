"""Old rows are deleted, even by several processes at once. Live rows and the audit log stay."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import waiting
from client import World
from scenario import everything

from api import purge
from reconciler.store.engine import open_database
from reconciler.store.errors import DatabaseUnreachable

DAY = timedelta(days=1)


def purge_all(world: World) -> None:
    purge.purge(world.service.reader, datetime.now(UTC), threading.Event())


def names(world: World, table: str = "tokens", column: str = "name") -> list[str]:
    with open_database(world.url) as database, database.reading() as connection:
        return list(connection.exec_driver_sql(f"SELECT {column} FROM {table} ORDER BY 1").scalars())


def mint(world: World, name: str, kind: str = "token", *, ended: timedelta = -DAY, revoked: timedelta | None = None) -> Any:
    """A credential that expired or was revoked this long ago."""
    minted = world.mint("alice", kind, lives=-ended, name=name)
    if revoked is not None:
        at = (datetime.now(UTC) - revoked).isoformat(timespec="microseconds").replace("+00:00", "Z")
        world.execute(f"UPDATE tokens SET revoked_at = '{at}' WHERE accessor = '{minted.accessor}'")
    return minted


def test_ended_credentials_are_kept_for_a_while_and_then_deleted(world: World) -> None:
    live = mint(world, "live")
    mint(world, "expired lately", ended=29 * DAY)
    mint(world, "expired long ago", ended=31 * DAY)
    mint(world, "revoked lately", revoked=29 * DAY)
    mint(world, "revoked long ago", revoked=31 * DAY)
    mint(world, "session lately", "session", ended=6 * DAY)
    mint(world, "session long ago", "session", ended=8 * DAY)
    mint(world, "session revoked long ago", "session", revoked=8 * DAY)
    before = {name: rows for name, rows in everything(world.accord).items() if name != "tokens"}
    purge_all(world)
    assert names(world) == ["expired lately", "live", "revoked lately", "session lately"]
    assert {name: rows for name, rows in everything(world.accord).items() if name != "tokens"} == before
    world.with_secret(live.secret)("GET", "/me", 200)


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_purge_continues_in_pieces_until_it_has_seen_everything(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purge, "_AT_A_TIME", 2)
    monkeypatch.setattr(purge, "_PAUSE", 0)
    for number in range(7):
        mint(world, f"live {number}")
        mint(world, f"over {number}", ended=40 * DAY)
    purge_all(world)
    assert names(world) == [f"live {number}" for number in range(7)]


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_credential_that_reuses_a_deleted_ones_number_is_not_deleted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    mint(world, "over", ended=40 * DAY)
    delete = purge._delete

    def after_somebody_else(*arguments: Any) -> None:
        world.execute("DELETE FROM tokens")
        mint(world, "live")
        delete(*arguments)

    monkeypatch.setattr(purge, "_delete", after_somebody_else)
    purge_all(world)
    assert names(world) == ["live"]


def test_processes_can_purge_at_the_same_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purge, "_AT_A_TIME", 3)
    monkeypatch.setattr(purge, "_PAUSE", 0)
    for number in range(10):
        mint(world, f"over {number}", ended=40 * DAY)
        mint(world, f"live {number}")
    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(purge_all, world) for _ in range(4)]:
            done.result()
    assert names(world) == [f"live {number}" for number in range(10)]


def test_failed_logins_that_no_longer_count_are_deleted(world: World) -> None:
    past, future = "2020-01-01T00:00:00.000000Z", "2999-01-01T00:00:00.000000Z"
    for address, failed, until in (("old", past, past), ("waiting", past, future), ("new", future, past)):
        world.execute(f"INSERT INTO login_failures VALUES ('{address}', 7, '{failed}', '{until}')")
    for network, logged_in, failed in (
        ("old", "NULL", f"'{past}'"),
        ("left", f"'{past}'", "NULL"),
        ("failed", "NULL", f"'{future}'"),
        ("home", f"'{future}'", "NULL"),
    ):
        world.execute(
            "INSERT INTO account_networks (account, network, last_login_at, last_failed_at)"
            f" VALUES ('1', '{network}', {logged_in}, {failed})"
        )
    for guid, failed in (("old", past), ("failed", future)):  # of which password these failures were still counts
        world.execute(
            f"INSERT INTO directory_attempts (guid, last_wrong_at, wrong_until) VALUES ('{guid}', '{failed}', '{past}')"
        )
    purge_all(world)
    assert names(world, "directory_attempts", "guid") == ["failed"]
    assert names(world, "login_failures", "address") == ["new", "waiting"]
    assert names(world, "account_networks", "network") == ["failed", "home"]


def test_mails_that_were_sent_or_ended_long_ago_are_deleted_and_those_that_wait_are_not(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purge, "_AT_A_TIME", 2)
    monkeypatch.setattr(purge, "_PAUSE", 0)
    old, lately = ((datetime.now(UTC) - days * DAY).strftime("%Y-%m-%dT%H:%M:%S.%fZ") for days in (91, 89))
    rows = {
        "sent": (old, None),
        "sent lately": (lately, None),
        "ended": (None, old),
        "ended lately": (None, lately),
        "ended and sent lately": (lately, old),
        "waits": (None, None),
        "sent, too": (old, old),
        "ended, too": (None, old),
    }
    world.execute("DELETE FROM outbox")
    for name, (sent, ended) in rows.items():
        at = ", ".join("NULL" if each is None else f"'{each}'" for each in (sent, ended))
        world.execute(f"INSERT INTO outbox (template, created_at, sent_at, ended_at) VALUES ('{name}', '{old}', {at})")
    purge_all(world)
    assert names(world, "outbox", "template") == ["ended and sent lately", "ended lately", "sent lately", "waits"]


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_purge_that_fails_is_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tries = []

    def fail(*_: Any) -> None:
        tries.append(1)
        raise ZeroDivisionError if len(tries) == 2 else DatabaseUnreachable("gone")

    monkeypatch.setattr(purge, "purge", fail)
    monkeypatch.setattr(purge, "EVERY", 0.01)
    monkeypatch.setattr(purge.random, "uniform", lambda *_: 0.01)
    task = purge.purging(world.service.reader)
    task.start()
    waiting.until(lambda: len(tries) >= 3)
    task.stop()
    assert task.join(10)
    assert "purging waits: the database cannot be used: gone" in caplog.text
    assert "ZeroDivisionError" in caplog.text
