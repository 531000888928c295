"""Reminders: each is made exactly once, however many scans there are, and whenever they come."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from register_world import DAY, RegisterWorld
from waiting import until

from api.certificates import reminders
from api.metrics import Metrics
from benchmarks.reminders import live_through
from reconciler.store.engine import Database, open_database

EXPIRING = "certificate-expiring"
SECOND = timedelta(seconds=1)


@pytest.fixture
def now(world: RegisterWorld) -> datetime:
    """The time of the first scan ever."""
    moment = datetime.now(UTC).replace(microsecond=0)
    world.scan(moment)
    return moment


def days(world: RegisterWorld) -> list[float]:
    """How many days before the end each reminder was due, in the order in which they were made."""
    with world.service.database.reading() as connection:
        rows = connection.exec_driver_sql(
            "SELECT o.detail, c.not_after FROM outbox o JOIN certificates c ON c.id = o.certificate_id"
            " WHERE o.template = 'certificate-expiring' ORDER BY o.id"
        )
        return [
            round((datetime.fromisoformat(end) - datetime.fromisoformat(orjson.loads(detail)["due"])) / DAY, 2)
            for detail, end in rows
        ]


def test_each_reminder_is_made_once_at_its_instant(world: RegisterWorld, now: datetime) -> None:
    world.register(begins=now, lives=100 * DAY)
    for at, made in (
        (70 * DAY - SECOND, []),
        (70 * DAY, [30]),
        (70 * DAY, [30]),
        (70 * DAY + SECOND, [30]),
        (90 * DAY - SECOND, [30]),
        (90 * DAY + SECOND, [30, 10]),
        (99 * DAY, [30, 10]),
        (200 * DAY, [30, 10]),
    ):
        world.scan(now + at)
        assert days(world) == made
    assert [entry["detail"] for entry in world.audit("certificate.remind")] == [{"certificates": 1, "mails": 1}] * 2
    world.accord("audit", "verify")


def test_after_an_outage_only_the_nearest_missed_reminder_is_made(world: RegisterWorld, now: datetime) -> None:
    world.settings(daysBeforeExpiry=[60, 25, 10, 0])
    world.register(begins=now, lives=90 * DAY)
    world.scan(now + 85 * DAY)
    assert days(world) == [10]
    world.scan(now + 95 * DAY)
    assert days(world) == [10, 0]


def test_a_certificate_that_expired_during_an_outage_still_gets_a_reminder(world: RegisterWorld, now: datetime) -> None:
    world.register(begins=now, lives=90 * DAY)
    world.scan(now + 300 * DAY)
    assert days(world) == [10]


def test_reminders_due_before_the_registration_are_not_made_up_for(world: RegisterWorld, now: datetime) -> None:
    world.register(begins=now - 70 * DAY, lives=90 * DAY)
    world.scan(now + DAY)
    assert days(world) == []
    world.scan(now + 11 * DAY)
    assert days(world) == [10]


def test_a_certificate_registered_after_all_its_reminders_gets_one(world: RegisterWorld, now: datetime) -> None:
    world.register(begins=now - 85 * DAY, lives=90 * DAY)
    for at in range(24 * 8):
        world.scan(now + at * DAY / 24)
    assert days(world) == [1.65]


def test_the_first_scan_ever_makes_the_reminders_since_the_registration(world: RegisterWorld) -> None:
    now = datetime.now(UTC)
    world.register(begins=now - 170 * DAY, lives=200 * DAY - SECOND)
    world.scan(now + 25 * DAY)
    assert days(world) == [10]


@pytest.mark.parametrize(
    ("lifetime", "settings", "expected"),
    [
        (7, {}, [2.31]),
        (1, {}, [0.33]),
        (47, {}, [15.51, 10]),
        (90, {}, [29.7, 10]),
        (100, {}, [30, 10]),
        (200, {}, [30, 10]),
        (90, {"daysBeforeExpiry": [365, 180, 90, 60, 30, 14, 7]}, [29.7, 14, 7]),
        (730, {"daysBeforeExpiry": [365, 180, 90, 60, 30, 14, 7]}, [240.9, 180, 90, 60, 30, 14, 7]),
        (7, {"daysBeforeExpiry": [30, 10, 1]}, [2.31, 1]),
        (7, {"shareBeforeExpiry": "50%"}, [3.5]),
        (365, {"shareBeforeExpiry": "5%"}, [18.25, 10]),
        (365, {"shareBeforeExpiry": "100%", "daysBeforeExpiry": [364]}, [364]),
        (7, {"daysBeforeExpiry": []}, []),
        (7, {"onExpiry": False}, []),
    ],
)
@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_reminders_fit_the_lifetime(
    world: RegisterWorld, now: datetime, lifetime: int, settings: dict[str, Any], expected: list[float]
) -> None:
    world.settings(**settings)
    world.register(begins=now, lives=lifetime * DAY)
    end = now + (lifetime + 1) * DAY
    while now < end:
        world.scan(now)
        now += DAY / 4
    assert days(world) == expected


def test_once_switched_on_again_only_later_reminders_are_made(world: RegisterWorld, now: datetime) -> None:
    number = world.register(begins=now, lives=90 * DAY)
    alice = world.caller("alice")
    alice("PATCH", f"/certificates/{number}", 200, json={"tracked": False})
    world.scan(now + 65 * DAY)
    alice("PATCH", f"/certificates/{number}", 200, json={"tracked": True})
    world.scan(now + 66 * DAY)
    assert days(world) == []
    world.scan(now + 81 * DAY)
    assert days(world) == [10]


def test_removing_a_link_or_a_mark_brings_later_reminders_back(world: RegisterWorld, now: datetime) -> None:
    number, other = world.register(begins=now, lives=90 * DAY), world.register(begins=now, lives=200 * DAY)
    alice = world.caller("alice")
    alice("PATCH", f"/certificates/{other}", 200, json={"renews": number})
    alice("PUT", f"/certificates/{number}/revoked", 204)
    world.scan(now + 61 * DAY)
    alice("PATCH", f"/certificates/{other}", 200, json={"renews": None})
    alice("DELETE", f"/certificates/{number}/revoked", 204)
    world.scan(now + 81 * DAY)
    assert days(world) == [10]


def test_changed_settings_count_from_the_next_scan(world: RegisterWorld, now: datetime) -> None:
    world.register(begins=now, lives=90 * DAY)
    world.scan(now + 65 * DAY)
    assert days(world) == [29.7]
    world.settings(daysBeforeExpiry=[40, 20, 5])  # 29.7 days are past, which is as early as it may be
    world.scan(now + 66 * DAY)
    assert days(world) == [29.7]
    world.scan(now + 71 * DAY)
    assert days(world) == [29.7, 20]
    world.settings(onExpiry=False)
    world.scan(now + 81 * DAY)
    world.settings(daysBeforeExpiry=[10, 5])
    world.scan(now + 82 * DAY)
    assert days(world) == [29.7, 20]
    world.scan(now + 86 * DAY)
    assert days(world) == [29.7, 20, 5]


def test_a_clock_that_goes_back_neither_repeats_nor_skips_reminders(world: RegisterWorld, now: datetime) -> None:
    world.register(begins=now, lives=90 * DAY)
    world.scan(now + 61 * DAY)
    assert world.scan(now + 59 * DAY).until == now + 61 * DAY
    world.scan(now + 60 * DAY)
    world.scan(now + 62 * DAY)
    assert days(world) == [29.7]


def test_the_next_scan_makes_up_for_a_failed_one(world: RegisterWorld, now: datetime) -> None:
    world.register(begins=now, lives=90 * DAY)
    world.execute("ALTER TABLE outbox RENAME TO outbox_elsewhere")
    with pytest.raises(Exception, match="outbox"):
        world.scan(now + 61 * DAY)
    world.execute("ALTER TABLE outbox_elsewhere RENAME TO outbox")
    world.scan(now + 62 * DAY)
    assert days(world) == [29.7]


def test_the_year_9999_is_far_enough(world: RegisterWorld, now: datetime) -> None:
    world.settings(daysBeforeExpiry=[3650, 0])
    never = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    world.register(begins=now, lives=never - now)
    world.scan(now + 3000 * DAY)
    assert days(world) == []


@contextmanager
def scanning(world: RegisterWorld, metrics: Metrics) -> Iterator[None]:
    """The thread of a service that scans, alone."""
    task = reminders.reminding(world.service.database, metrics)
    task.start()
    try:
        yield
    finally:
        task.stop()
        assert task.join(10)


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_the_service_scans_by_itself_and_reports_how_far_it_came(
    world: RegisterWorld, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(reminders, "EVERY", 0.01)
    monkeypatch.setattr(reminders, "SPREAD", 0.0)
    now = datetime.now(UTC)
    world.scan(now - DAY)
    number = world.register(begins=now - 61 * DAY, lives=91 * DAY - timedelta(hours=1))
    long_ago = "'2020-01-01T00:00:00.000000Z'"
    world.execute(f"UPDATE certificates SET registered_at = {long_ago}, next_reminder_at = {long_ago} WHERE id = {number}")
    metrics = Metrics()

    def figures() -> dict[str, Any]:
        lines = [line.split() for line in metrics.exposition().splitlines() if line.startswith("accord_remind")]
        return {line[0]: float(line[1]) for line in lines}

    with scanning(world, metrics):
        until(lambda: figures()["accord_reminders_total"] == 1)
        assert days(world) == [30]
        assert figures()["accord_reminded_until_seconds"] >= now.timestamp()
        world.execute("ALTER TABLE outbox RENAME TO outbox_elsewhere")
        world.execute(f"UPDATE certificates SET next_reminder_at = {long_ago} WHERE id = {number}")
        until(lambda: "reminding waits" in caplog.text)
        world.execute("ALTER TABLE outbox_elsewhere RENAME TO outbox")
        until(lambda: figures()["accord_reminders_total"] == 2)
        world.execute("UPDATE state SET reminded_until = '2999-01-01T00:00:00.000000Z'")
        until(lambda: "no reminders before 2999-01-01" in caplog.text)


@pytest.mark.slow
def test_a_year_of_two_replicas_matches_a_model(database: Database) -> None:
    with open_database(database.url) as other:
        outcome = live_through([database, other], 1_000, seed=1)
    assert outcome.reminders > 300
    assert (outcome.missing, outcome.surplus) == ({}, {})
