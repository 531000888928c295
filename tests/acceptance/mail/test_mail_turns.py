"""Which message comes next: no message delays the others, even if servers refuse, clocks are wrong or operators retry."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from issued import pem
from mail_server import Authority, MailServer
from mail_world import AT_ONCE, MailWorld
from sqlalchemy import or_, select

from api.mail.settings import MailSettings
from api.outbox import claims, status
from api.outbox.messages import TOO_FAR, WAITING, due
from reconciler.store import tables

DAY = timedelta(days=1)
ON_SQLITE = pytest.mark.parametrize("database_kind", ["sqlite"])


@pytest.fixture
def settings(world: MailWorld, server: MailServer, authority: Authority) -> MailSettings:
    return world.mail_settings(server.port, authority.file)


def retry(world: MailWorld) -> list[int]:
    with world.service.database.recording() as connection:
        return [number for number, _, _ in status.retry(connection, None, datetime.now(UTC))]


@ON_SQLITE
def test_refused_messages_never_delay_others(world: MailWorld, server: MailServer, settings: MailSettings) -> None:
    number = world.caller("alice")("POST", "/certificates", 201, json={"pem": pem(), "issuer": "tls", "team": "web"})["id"]
    world.execute("DELETE FROM outbox")
    for each in range(20):
        failed = {"attempts": 1, "next_attempt_at": datetime.now(UTC) - timedelta(hours=1), "last_error": "no"}
        world.put("certificate-issued", recipient=f"nobody{each}@example.org", certificate_id=number, **failed)
    server.answers["RCPT"] = lambda address: "450 4.2.0 later" if address.startswith("nobody") else None
    world.reset("alice")
    world.reset("bob")
    sender = world.sender(settings, AT_ONCE._replace(patience=2, first=DAY, longest=DAY))
    pauses = [sender.deliver(datetime.now(UTC)) for _ in range(4)]
    assert [each.recipient for each in server.received] == ["alice@example.org", "bob@example.org"]
    assert max(pauses) == 1.0, "a second for each refused message, and no longer"


@ON_SQLITE
def test_messages_postponed_by_a_fast_clock_are_due_once_the_clock_is_right(
    world: MailWorld, server: MailServer, settings: MailSettings
) -> None:
    for name, days, claim in (("alice", 300, None), ("bob", 300, "of a sender that is gone"), ("nobody", 1, None)):
        world.put("password-reset", name, next_attempt_at=datetime.now(UTC) + days * DAY, attempts=1, claim=claim)
    world.deliver(settings)
    assert [each.recipient for each in server.received] == ["alice@example.org", "bob@example.org"]
    assert world.row().sent_at is None


@pytest.mark.postgresql
@pytest.mark.parametrize("database_kind", ["postgresql"])
def test_nobody_claims_a_message_during_its_retry(world: MailWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    world.put("password-reset", "alice", attempts=1, next_attempt_at=datetime.now(UTC) - DAY, last_error="no")
    chunks, claimed = status.in_chunks, []

    def meanwhile(numbers: Iterable[int]) -> Any:
        claimed.append(claims.claim(world.service.database, "example.org", datetime.now(UTC)))
        return chunks(numbers)

    monkeypatch.setattr(status, "in_chunks", meanwhile)
    assert len(retry(world)) == 1
    assert claimed == [None]
    assert (world.row().claim, world.row().attempts) == (None, 0)


@pytest.mark.parametrize("way", ["set", "mailed"])
def test_a_reset_that_was_given_up_cannot_be_retried_once_a_password_was_set(
    world: MailWorld, server: MailServer, settings: MailSettings, way: str
) -> None:
    world.reset("alice")
    server.answers["RCPT"] = "550 5.1.1 no such user"
    world.deliver(settings)
    server.answers.clear()
    number = world.row().id
    assert world.row().given_up
    if way == "set":
        world.set_password("alice")
    else:
        world.reset("alice")
        world.deliver(settings)
    assert retry(world) == []
    assert "since" in world.row(number).last_error


def test_whether_anything_is_due_is_asked_as_messages_are_claimed(world: MailWorld) -> None:
    now, hour = datetime.now(UTC), timedelta(hours=1)
    times = (None, now - hour, now, now + hour, now + TOO_FAR, now + TOO_FAR + hour)
    for sent_at, ended_at, next_attempt_at in itertools.product((None, now), (None, now), times):
        world.execute("DELETE FROM outbox")
        world.put("password-reset", "alice", sent_at=sent_at, ended_at=ended_at, next_attempt_at=next_attempt_at)
        with world.service.database.reading() as connection:
            wanted = connection.execute(select(tables.outbox.c.id).where(WAITING, or_(*due(now)))).first() is not None
        assert claims.is_due(world.service.reader, now) is wanted
        assert (claims.claim(world.service.database, "example.org", now, new_first=True) is not None) is wanted


@ON_SQLITE
def test_passwords_go_before_all_other_mails(world: MailWorld, server: MailServer, settings: MailSettings) -> None:
    number = world.caller("alice")("POST", "/certificates", 201, json={"pem": pem(), "issuer": "tls", "team": "web"})["id"]
    for each in range(3):
        failed = {"attempts": 1, "next_attempt_at": datetime.now(UTC) - DAY} if each else {}
        world.put("certificate-issued", recipient=f"ops{each}@example.org", certificate_id=number, **failed)
    world.put("password-reset", "bob", attempts=1, next_attempt_at=datetime.now(UTC))
    world.reset("alice")
    world.deliver(settings)
    assert {each.recipient for each in server.received[:2]} == {"alice@example.org", "bob@example.org"}
    assert len(server.received) == 6


@ON_SQLITE
def test_a_sender_kept_free_for_passwords_takes_nothing_else(world: MailWorld) -> None:
    database, now = world.service.database, datetime.now(UTC)
    number = world.caller("alice")("POST", "/certificates", 201, json={"pem": pem(), "issuer": "tls", "team": "web"})["id"]
    world.put("certificate-issued", recipient="ops@example.org", certificate_id=number)
    assert claims.is_due(world.service.reader, now) and not claims.is_due(world.service.reader, now, only_passwords=True)
    assert claims.claim(database, "example.org", now, only_passwords=True) is None
    world.reset("alice")
    assert claims.is_due(world.service.reader, now, only_passwords=True)
    claimed = claims.claim(database, "example.org", now, only_passwords=True)
    assert claimed is not None and claimed.template == "password-reset"
    assert len(world.service.deliveries) == 2
