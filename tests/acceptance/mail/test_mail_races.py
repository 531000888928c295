"""Administrators, owners and senders act at the same time; and generated passwords are kept nowhere."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from issued import pem
from mail_server import Authority, MailServer
from mail_world import MailWorld, in_maildir, password_in
from scenario import resource, user
from test_sessions import login

from api.mail.settings import MailSettings
from reconciler.access.instants import parse_instant
from reconciler.store.engine import open_database

OWN = "a passphrase of her own"


@pytest.fixture
def settings(world: MailWorld, server: MailServer, authority: Authority) -> MailSettings:
    return world.mail_settings(server.port, authority.file)


def meanwhile(server: MailServer, act: Callable[[], object]) -> None:
    """Act while the server has a message, before it replies."""

    def once(_about: str) -> None:
        server.answers.clear()
        act()

    server.answers["DATA"] = once


def change_own(world: MailWorld, current: str) -> None:
    session = world.with_secret(world.mint("alice", "session").secret)
    session("PUT", "/me/password", 200, json={"currentPassword": current, "newPassword": OWN})


def test_two_waiting_resets_send_one_mail(world: MailWorld, server: MailServer, settings: MailSettings) -> None:
    world.reset()
    world.reset()
    world.deliver(settings)
    (received,) = server.received
    login(world, "alice", password_in(received))
    assert [row.sent_at is not None for row in world.rows()] == [True, False]
    assert world.row().last_error == "another message has brought a password since"


def test_a_reset_requested_during_another_delivery_sends_another_password(
    world: MailWorld, server: MailServer, settings: MailSettings
) -> None:
    world.reset()
    meanwhile(server, world.reset)
    world.deliver(settings)
    first, second = server.received
    login(world, "alice", password_in(first), 401)
    login(world, "alice", password_in(second))


def test_a_reset_overrides_a_password_that_the_owner_changes_meanwhile(
    world: MailWorld, server: MailServer, settings: MailSettings
) -> None:
    world.set_password("alice")
    world.reset()
    change_own(world, "a rather long passphrase")
    world.deliver(settings)
    login(world, "alice", OWN, 401)
    login(world, "alice", password_in(server.received[0]))
    world.set_password("alice")
    world.reset()
    meanwhile(server, lambda: change_own(world, "a rather long passphrase"))
    world.deliver(settings)
    login(world, "alice", OWN, 401)
    login(world, "alice", password_in(server.received[1]))


def test_a_password_set_by_an_administrator_overrides_a_mail_on_its_way(
    world: MailWorld, server: MailServer, settings: MailSettings
) -> None:
    world.reset()
    meanwhile(server, lambda: world.set_password("alice"))
    world.deliver(settings)
    login(world, "alice", password_in(server.received[0]), 401)
    login(world, "alice")
    world.reset()
    world.set_password("alice")
    world.deliver(settings)
    assert len(server.received) == 1
    assert world.row().last_error == "a password was set since"


def test_a_welcome_is_not_sent_to_a_person_who_was_given_a_password(
    world: MailWorld, server: MailServer, settings: MailSettings
) -> None:
    world.apply({"users/zoe.yaml": user("zoe")})
    world.set_password("zoe")
    world.deliver(settings)
    assert server.received == []
    login(world, "zoe")


def test_a_user_is_deleted_during_the_delivery(world: MailWorld, server: MailServer, settings: MailSettings) -> None:
    world.apply({"users/zoe.yaml": user("zoe")})
    meanwhile(server, lambda: world.apply({"users/zoe.yaml": None, "users/yan.yaml": user("yan")}))
    world.deliver(settings, times=2)
    assert [each.recipient for each in server.received] == ["zoe@example.org", "yan@example.org"]
    login(world, "yan", password_in(server.received[0]), 401)
    login(world, "yan", password_in(server.received[1]))
    assert [entry["name"] for entry in world.audit("password.generate")] == ["yan"]


def test_the_mail_of_a_disabled_account_waits_until_it_is_enabled(
    world: MailWorld, server: MailServer, settings: MailSettings
) -> None:
    root = world.caller("root")
    world.apply({"users/zoe.yaml": user("zoe", enabled=False)})
    world.deliver(settings)
    assert server.received == []
    assert world.row().attempts == 0
    world.apply({"users/zoe.yaml": user("zoe")})
    world.make_due()
    meanwhile(server, lambda: root("PUT", "/users/zoe/disabled", 204))
    world.deliver(settings)
    password = password_in(server.received[0])
    login(world, "zoe", password, 401)
    root("DELETE", "/users/zoe/disabled", 204)
    login(world, "zoe", password)


def test_a_generated_password_that_nobody_used_is_refused_like_a_wrong_one(
    world: MailWorld, server: MailServer, settings: MailSettings
) -> None:
    world.apply({"settings.yaml": resource("Settings", "default", {"passwords": {"generatedLifetime": "2h", "minLength": 60}})})
    world.reset()
    world.deliver(settings)
    password = password_in(server.received[0])
    assert len(password) >= 60
    left = world.account("alice").password_expires_at - datetime.now(UTC)
    assert timedelta(minutes=119) < left <= timedelta(hours=2)
    shown = world.caller("root")("GET", "/users/alice", 200)["passwordExpiresAt"]
    assert parse_instant(shown) == world.account("alice").password_expires_at
    login(world, "alice", password)
    world.execute("UPDATE account_states SET password_expires_at = '2026-01-01T00:00:00.000000Z'")
    refused = login(world, "alice", password, 401)
    wrong = login(world, "alice", "wrong", 401)
    assert (refused["type"], refused["detail"]) == (wrong["type"], wrong["detail"])
    assert [entry["detail"]["reason"] for entry in world.audit("login.fail")] == ["password-expired", "wrong-password"]
    world.reset()
    world.deliver(settings)
    login(world, "alice", password_in(server.received[1]))


def test_an_administrator_whose_generated_password_expired_cannot_log_in(
    world: MailWorld, server: MailServer, settings: MailSettings
) -> None:
    world.reset("root")
    world.deliver(settings)
    change = {"users/zoe.yaml": user("zoe")}
    world.repository.commit(change)
    nobody = "warning: there is no administrator who can log in"
    assert nobody not in world.accord("plan").stdout
    world.execute("UPDATE account_states SET password_expires_at = '2026-01-01T00:00:00.000000Z'")
    assert nobody in world.accord("plan").stdout
    world.reset("root")
    assert nobody not in world.accord("plan").stdout
    world.execute("UPDATE outbox SET ended_at = created_at")
    assert nobody in world.accord("plan").stdout


@pytest.mark.parametrize(
    "name",
    [
        "Bcc: eve@example.org\r\nX: y",
        "a\u2028b\u0085c\x0bd",
        "\u202eevil",
        "\ud800",
        '"<eve@example.org>"',
        "x" * 500,
        "é" * 500,
        "Ünï, <eve@example.org>",
    ],
)
@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_name_cannot_add_headers_or_recipients(world: MailWorld, server: MailServer, settings: MailSettings, name: str) -> None:
    statement = "UPDATE users SET full_name = ? WHERE name = 'alice'"
    with open_database(world.url) as database, database.writing() as connection:
        connection.exec_driver_sql(statement, (name.encode("utf-8", "replace").decode(),))
    world.reset()
    world.deliver(settings)
    (received,) = server.received
    message = received.parsed
    assert received.recipient == "alice@example.org"
    assert [each.addr_spec for each in message["To"].addresses] == ["alice@example.org"]
    assert sorted(message.keys()) == sorted(
        [
            "Content-Type",
            "MIME-Version",
            "From",
            "To",
            "Subject",
            "Date",
            "Message-ID",
            "Auto-Submitted",
            "X-Auto-Response-Suppress",
        ]
    )
    assert "\u202e" not in str(message["To"])
    login(world, "alice", password_in(received))


@pytest.mark.parametrize(
    "address", ["", "eve", "a@b\r\nRCPT TO:<eve@example.org>", "a@b c", "é@example.org", "a@b,eve@example.org", "<a@b"]
)
@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_message_without_a_valid_address_is_given_up(
    world: MailWorld, server: MailServer, settings: MailSettings, address: str
) -> None:
    world.put("password-reset", "alice", recipient=address)
    world.deliver(settings)
    assert server.received == []
    assert (world.row().given_up, world.row().last_error) == (True, "it has no address that mail can be sent to")


def test_several_concurrent_senders_send_each_message_once(world: MailWorld, server: MailServer, settings: MailSettings) -> None:
    number = world.caller("alice")("POST", "/certificates", 201, json={"pem": pem(), "issuer": "tls", "team": "web"})["id"]
    for _ in range(40):
        world.put("certificate-issued", recipient="ops@example.com", certificate_id=number)
    for name in ("alice", "bob", "nobody"):
        world.reset(name)
        world.reset(name)
    senders = [threading.Thread(target=world.deliver, args=(settings,)) for _ in range(4)]
    for each in senders:
        each.start()
    for each in senders:
        each.join()
    world.deliver(settings)
    assert all(row.sent_at or row.ended_at or row.next_attempt_at for row in world.rows())
    sent = Counter(each.parsed["Message-ID"] for each in server.received)
    assert set(sent.values()) == {1}
    for name in ("alice", "bob", "nobody"):
        mine = [
            each for each in server.received if each.recipient == f"{name}@example.org" and "password" in each.parsed["Subject"]
        ]
        login(world, name, password_in(mine[-1]))


@pytest.mark.parametrize("way", ["smtp", "maildir"])
@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_no_generated_password_is_found_in_database_logs_or_audit(
    world: MailWorld, server: MailServer, settings: MailSettings, way: str, tmp_path: Path
) -> None:
    log = logging.FileHandler(tmp_path / "everything.log")
    logging.getLogger().addHandler(log)
    logging.getLogger("accord.api").setLevel(logging.DEBUG)
    try:
        world.apply({"users/zoe.yaml": user("zoe")})
        chosen = settings if way == "smtp" else world.mail_settings()
        server.drops = 1
        world.deliver(chosen, times=2)
        world.reset()
        server.answers["DATA"] = "554 no"
        world.deliver(chosen)
        server.answers.clear()
        world.reset("bob")
        world.deliver(chosen)
    finally:
        logging.getLogger().removeHandler(log)
        log.close()
    found = [each.parsed for each in server.received] if way == "smtp" else in_maildir(tmp_path / "mail")
    passwords = [password_in(each) for each in found]
    assert len(passwords) >= 2
    for password in passwords:
        for file in tmp_path.rglob("*"):
            if file.is_file() and file.parent != tmp_path / "mail" / "new":
                assert password.encode() not in file.read_bytes(), file
