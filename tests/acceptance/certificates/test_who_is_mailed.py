"""Who gets messages about a certificate, decided when they are put into the outbox and again when they are delivered."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from register_world import DAY, RegisterWorld, claimed
from scenario import team, user
from sqlalchemy import select

from api.certificates.notices import Notices
from reconciler.store import tables

ISSUED, EXPIRING = "certificate-issued", "certificate-expiring"


def remind(world: RegisterWorld, days: int = 60) -> list[tuple[str, str]]:
    """The mails of a scan at which certificates of 90 days have this many left, or fewer."""
    now = datetime.now(UTC)
    world.execute("UPDATE state SET reminded_until = NULL, reminder_policy = NULL")
    world.scan(now)
    world.forget_mails()
    world.scan(now + (90 - days) * DAY)
    return world.mails()


def test_the_owner_extra_addresses_and_addresses_of_the_settings_are_told_once_each(world: RegisterWorld) -> None:
    world.settings(alwaysSendTo=["pki@example.org", "ALICE@example.org"])
    number = world.register(extraAddresses=["team@example.org", "PKI@Example.org", "alice@EXAMPLE.org"])
    told = ["alice", "team@example.org", "PKI@Example.org"]
    assert world.mails(number) == [(ISSUED, each) for each in told]
    assert remind(world, 9) == [(EXPIRING, each) for each in told]


@pytest.mark.parametrize(
    ("mail", "spec", "issued", "reminded"),
    [
        ({}, {}, True, True),
        ({"onIssue": False}, {}, False, True),
        ({"onExpiry": False}, {}, True, False),
        ({}, {"suppressIssuedEmails": True}, False, True),
        ({}, {"suppressReminderEmails": True}, True, False),
        ({"daysBeforeExpiry": []}, {}, True, False),
    ],
)
def test_settings_and_teams_switch_mails_off(
    world: RegisterWorld, mail: dict[str, Any], spec: dict[str, bool], issued: bool, reminded: bool
) -> None:
    world.settings(alwaysSendTo=["pki@example.org"], **mail)
    world.apply({"teams/web.yaml": team("web", members=["alice"], issuers=["tls"], **spec)})
    world.register()
    assert world.mails() == ([(ISSUED, "alice"), (ISSUED, "pki@example.org")] if issued else [])
    assert remind(world, 20) == ([(EXPIRING, "alice"), (EXPIRING, "pki@example.org")] if reminded else [])


def test_an_expired_certificate_is_registered_without_mails(world: RegisterWorld) -> None:
    world.register(begins=datetime(2020, 1, 1, tzinfo=UTC))
    assert world.mails() == remind(world) == []


@pytest.mark.parametrize("act", ["untracked", "revoked", "renewed"])
def test_no_reminders_of_certificates_that_are_untracked_revoked_or_renewed(world: RegisterWorld, act: str) -> None:
    number = world.register(tracked=act != "untracked")
    if act == "revoked":
        world.caller("alice")("PUT", f"/certificates/{number}/revoked", 204)
    if act == "renewed":
        world.register(renews=number, lives=300 * DAY)
    assert remind(world, 5) == []


@pytest.mark.parametrize("gone", ["deleted", "disabled by git", "disabled here", "without an address", "jörg@example.org"])
def test_administrators_are_told_instead_of_an_owner_who_is_gone(world: RegisterWorld, gone: str) -> None:
    admins = {"users/carol.yaml": user("carol"), "teams/more.yaml": team("more", administrator=True, members=["carol", "bob"])}
    world.apply(admins)
    world.execute(
        "INSERT INTO account_states (user_id, disabled_by_administrator) SELECT id, TRUE FROM users WHERE name = 'carol'"
    )
    world.register("alice", extraAddresses=["bob@example.org"])
    if gone == "deleted":
        world.apply({"users/alice.yaml": None, "teams/web.yaml": team("web", members=["bob"], issuers=["tls", "vpn"])})
    elif gone == "disabled by git":
        world.apply({"users/alice.yaml": user("alice", enabled=False)})
    elif gone == "disabled here":
        world.caller("root")("PUT", "/users/alice/disabled", 204)
    else:
        address = "" if gone == "without an address" else gone
        world.execute(f"UPDATE users SET email = '{address}' WHERE name = 'alice'")
    assert remind(world) == []
    assert remind(world, 29) == [(EXPIRING, "bob")]  # an administrator in the team
    if gone in ("without an address", "jörg@example.org"):
        return  # the reconciler puts that right
    world.apply({"teams/web.yaml": team("web", members=["alice"] if gone != "deleted" else ["root"], issuers=["tls"])})
    found = remind(world, 29)
    if gone == "deleted":
        assert found == [(EXPIRING, "root"), (EXPIRING, "bob@example.org")]
    else:  # the team has no administrators, so all are told
        assert sorted(found) == [(EXPIRING, "bob"), (EXPIRING, "root")]


def test_if_the_team_is_deleted_the_owner_is_told_or_else_all_administrators(world: RegisterWorld) -> None:
    world.register("alice")
    world.apply({"teams/web.yaml": None})
    assert remind(world, 29) == [(EXPIRING, "alice")]
    world.apply({"users/alice.yaml": None})
    assert remind(world, 29) == [(EXPIRING, "root")]


def test_a_former_administrator_is_not_told(world: RegisterWorld) -> None:
    ended = {"user": "bob", "until": "2020-01-01"}
    world.apply({"teams/more.yaml": team("more", administrator=True, members=[ended, "portal"])})
    world.register("alice")
    world.apply({"users/alice.yaml": None, "teams/web.yaml": team("web", members=["bob"], issuers=["tls", "vpn"])})
    assert sorted(remind(world, 29)) == [(EXPIRING, "portal"), (EXPIRING, "root")]


def test_a_directory_account_is_told_at_its_address_in_the_directory(world: RegisterWorld) -> None:
    world.execute("INSERT INTO users (name, source, email) VALUES ('zoe', 'directory', 'zoe@corp.example.org')")
    world.execute(
        "INSERT INTO directory_memberships (team_id, user_id) SELECT t.id, u.id FROM teams t, users u "
        "WHERE t.name IN ('web', 'admins') AND u.name = 'zoe'"
    )
    number = world.register("alice")
    world.execute("UPDATE certificates SET owner_id = (SELECT id FROM users WHERE name = 'zoe')")
    assert remind(world, 29) == [(EXPIRING, "zoe")]
    world.execute("UPDATE users SET email = '' WHERE name = 'zoe'")
    assert remind(world, 29) == [(EXPIRING, "root")]  # without an address nobody can be told, not even an administrator
    world.execute("UPDATE certificates SET owner_id = NULL")
    world.execute("UPDATE users SET email = 'zoe@corp.example.org' WHERE name = 'zoe'")
    assert remind(world, 29) == [(EXPIRING, "zoe")]
    assert world.mails(number) == [(EXPIRING, "zoe")]


@pytest.mark.parametrize(
    ("act", "issued", "reminder"),
    [
        ("nothing", None, None),
        ("untracked", None, "the certificate's expiry is no longer tracked"),
        ("renewed", None, "the certificate was renewed"),
        ("revoked", "the certificate was revoked", "the certificate was revoked"),
        ("team", "the team suppresses mails about issued certificates", "the team suppresses reminders"),
        ("settings", "the Settings switch off mails about issued certificates", "the Settings switch off reminders"),
        ("disabled", "the account is gone or disabled", "the account is gone or disabled"),
        ("no address", "the account is gone or disabled", "the account is gone or disabled"),
        ("jörg@example.org", "the account is gone or disabled", "the account is gone or disabled"),
    ],
)
def test_a_message_that_is_unwanted_by_the_time_of_delivery_is_not_sent(
    world: RegisterWorld, act: str, issued: str | None, reminder: str | None
) -> None:
    number = world.register(extraAddresses=["x@example.org"])
    world.scan(datetime.now(UTC))
    world.scan(datetime.now(UTC) + 61 * DAY)
    assert len(world.mails()) == 4
    alice = world.caller("alice")
    if act == "untracked":
        alice("PATCH", f"/certificates/{number}", 200, json={"tracked": False})
    elif act == "renewed":
        other = world.register(lives=300 * DAY)
        world.execute(f"DELETE FROM outbox WHERE certificate_id = {other}")
        alice("PATCH", f"/certificates/{other}", 200, json={"renews": number})
    elif act == "revoked":
        alice("PUT", f"/certificates/{number}/revoked", 204)
    elif act == "team":
        spec = {"suppressIssuedEmails": True, "suppressReminderEmails": True}
        world.apply({"teams/web.yaml": team("web", members=["alice"], issuers=["tls"], **spec)})
    elif act == "settings":
        world.settings(onIssue=False, onExpiry=False)
    elif act == "disabled":
        world.caller("root")("PUT", "/users/alice/disabled", 204)
    elif act != "nothing":
        world.execute(f"UPDATE users SET email = '{'' if act == 'no address' else act}' WHERE name = 'alice'")
    of_the_account = act in ("disabled", "no address", "jörg@example.org")  # the other addresses are told all the same
    assert world.unwanted() == [issued, None if of_the_account else issued, reminder, None if of_the_account else reminder]
    assert world.tell_others() == (2 if of_the_account else 0)
    assert world.mails()[4:] == ([(ISSUED, "root"), (EXPIRING, "root")] if of_the_account else [])
    assert world.tell_others() == 0


def test_nobody_is_told_twice(world: RegisterWorld) -> None:
    world.register(extraAddresses=["ROOT@example.org"])
    world.caller("root")("PUT", "/users/alice/disabled", 204)
    assert world.tell_others() == 0


def test_a_removed_address_gets_no_more_mails(world: RegisterWorld) -> None:
    world.settings(alwaysSendTo=["pki@example.org"])
    extra = ["Typo@example.org", "pki@example.org", "gone@example.org", "kept@example.org"]
    number, other = (world.register(extraAddresses=extra) for _ in range(2))
    world.execute(
        "UPDATE outbox SET ended_at = created_at, given_up = TRUE, last_error = 'no' WHERE recipient = 'gone@example.org'"
    )
    world.caller("alice")(
        "PATCH", f"/certificates/{number}", 200, json={"extraAddresses": ["KEPT@example.org", "new@example.org"]}
    )
    with world.service.database.reading() as connection:
        outbox = tables.outbox.c
        columns = outbox.recipient, outbox.last_error, outbox.given_up
        rows = connection.execute(select(*columns).where(outbox.certificate_id == number)).all()
        untouched = connection.execute(select(outbox.last_error).where(outbox.certificate_id == other)).scalars().all()
    why = "the certificate no longer has this address"
    expected = {None: None, "pki@example.org": None, "kept@example.org": None, "Typo@example.org": why, "gone@example.org": why}
    assert {row.recipient: row.last_error for row in rows} == expected
    assert not any(row.given_up for row in rows), "nobody can retry them"
    assert why not in untouched


def refuse(world: RegisterWorld) -> list[str]:
    """Have every message refused for good by the mail server; returns who is told instead."""
    with world.service.database.recording() as connection:
        outbox = tables.outbox.c
        waiting = (outbox.certificate_id.is_not(None)) & outbox.ended_at.is_(None)
        rows = connection.execute(select(tables.outbox).where(waiting).order_by(outbox.id)).all()
        for row in rows:
            ended = tables.outbox.update().where(outbox.id == row.id)
            connection.execute(ended.values(ended_at=datetime.now(UTC), given_up=True))
            Notices().tell_others(claimed(row))(connection, datetime.now(UTC))
        ids = [row.id for row in rows]
        names = select(tables.users.c.name).join(tables.outbox, outbox.user_id == tables.users.c.id)
        return list(connection.execute(names.where(waiting, outbox.id > max(ids)).order_by(outbox.id)).scalars())


def test_if_the_server_refuses_an_owner_the_team_is_told_and_then_administrators(world: RegisterWorld) -> None:
    people = {f"users/{name}.yaml": user(name) for name in ("carol", "dave")}
    world.apply({**people, "teams/web.yaml": team("web", members=["alice", "carol", "dave"], issuers=["tls"])})
    world.execute("UPDATE users SET email = 'dave' WHERE name = 'dave'")  # cannot be told
    world.register("alice")
    assert [name for _, name in remind(world, 29)] == ["alice"]
    assert refuse(world) == ["carol"]
    assert refuse(world) == ["root"]
    assert refuse(world) == []


def test_if_the_server_refuses_an_extra_address_the_team_is_told_only_if_nobody_is_reached(world: RegisterWorld) -> None:
    world.register("alice", extraAddresses=["typo@example.org"])
    assert [name for _, name in remind(world, 29)] == ["alice", "typo@example.org"]
    world.execute("UPDATE outbox SET ended_at = created_at WHERE user_id IS NOT NULL AND certificate_id IS NOT NULL")
    assert refuse(world) == ["bob"]
