"""Mail servers that refuse, fall silent, disconnect or lie about who they are: no mail is lost or sent in the clear."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from mail_server import PASSWORD, Authority, MailServer, ScriptedServer, serving_mail, talk, trickle
from mail_world import AT_ONCE, MailWorld, password_in
from test_sessions import login
from waiting import LONG, until

from api.mail.settings import MailSettings

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"])
HOUR = timedelta(hours=1)
SECRET = re.compile(r"[a-z2-9]{5}(-[a-z2-9]{5}){5}")


@pytest.fixture
def waiting(world: MailWorld) -> MailWorld:
    """A password reset for alice waits to be mailed."""
    world.set_password("alice")
    world.reset()
    return world


@pytest.fixture
def scripted(waiting: MailWorld) -> Iterator[list[ScriptedServer]]:
    servers: list[ScriptedServer] = []
    yield servers
    for each in servers:
        each.close()


def plain(world: MailWorld, server: ScriptedServer, **more: object) -> MailSettings:
    """Settings for a server on this machine, without TLS."""
    return world.mail_settings(server.port, security="none", username="", password="", **more)


def insist_on_nothing_changed(world: MailWorld, error: str, attempts: int = 0) -> None:
    row = world.row()
    assert (row.sent_at, row.ended_at, row.attempts) == (None, None, attempts)
    assert re.search(error, row.last_error), row.last_error
    assert not SECRET.search(row.last_error)
    login(world, "alice")
    assert world.audit("password.generate") == []


def test_a_port_without_a_listener(waiting: MailWorld, authority: Authority) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    waiting.deliver(waiting.mail_settings(port, authority.file))
    insist_on_nothing_changed(waiting, "the mail server 127.0.0.1:[0-9]+ refuses connections")


@pytest.mark.parametrize(
    ("host", "days", "error"),
    [
        ("127.0.0.1", -1, "an untrusted certificate: certificate has expired"),
        ("mail.example.org", 90, "an untrusted certificate: IP address mismatch"),
    ],
)
@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_bad_certificate(waiting: MailWorld, authority: Authority, host: str, days: int, error: str, security: str) -> None:
    with serving_mail(**{security: authority.context(host, days)}) as server:
        waiting.deliver(waiting.mail_settings(server.port, authority.file, security=security))
        insist_on_nothing_changed(waiting, error)
        assert server.received == []
        assert server.logins == 0


def test_a_certificate_of_an_unknown_authority(waiting: MailWorld, server: MailServer, tmp_path: Path) -> None:
    waiting.deliver(waiting.mail_settings(server.port, Authority(tmp_path / "another").file))
    insist_on_nothing_changed(waiting, "an untrusted certificate: ")
    waiting.deliver(waiting.mail_settings(server.port))
    insist_on_nothing_changed(waiting, "an untrusted certificate: .*; if you trust its issuer, set ACCORD_SMTP_CA_FILE")


def test_tls_from_the_start_on_a_port_that_begins_without(waiting: MailWorld, server: MailServer, authority: Authority) -> None:
    waiting.deliver(waiting.mail_settings(server.port, authority.file, security="tls"))
    insist_on_nothing_changed(waiting, "speaks no TLS .*; if the port begins without TLS, set ACCORD_SMTP_SECURITY=starttls")


def test_without_starttls_nothing_is_sent(waiting: MailWorld, scripted: list[ScriptedServer], authority: Authority) -> None:
    heard: list[bytes] = []
    stripped = {"EHLO": b"250-hi\r\n250-XXXXXXXA\r\n250 AUTH PLAIN LOGIN\r\n"}
    scripted.append(ScriptedServer(talk(stripped, heard=heard)))
    waiting.deliver(waiting.mail_settings(scripted[0].port, authority.file))
    insist_on_nothing_changed(waiting, "offers no STARTTLS, so nothing was sent")
    refusing = {"EHLO": b"250-hi\r\n250 STARTTLS\r\n", "STARTTLS": b"454 not now\r\n"}
    scripted.append(ScriptedServer(talk(refusing, heard=heard)))
    waiting.deliver(waiting.mail_settings(scripted[1].port, authority.file))
    insist_on_nothing_changed(waiting, "refuses STARTTLS, so nothing was sent: 454 not now")
    until(lambda: all(each.ended for each in scripted), "the end of what is heard")
    assert {line.split()[0].upper() for line in heard} <= {b"EHLO", b"STARTTLS"}


def test_replies_sent_before_tls_are_forgotten(waiting: MailWorld, scripted: list[ScriptedServer], authority: Authority) -> None:
    # replies that somebody on the way appends to the one to STARTTLS must not answer later commands
    injected = {"EHLO": b"250-hi\r\n250 STARTTLS\r\n", "STARTTLS": b"220 go\r\n250-evil\r\n250 AUTH PLAIN\r\n235 in\r\n"}
    scripted.append(ScriptedServer(talk(injected)))
    waiting.deliver(waiting.mail_settings(scripted[0].port, authority.file, timeout=1.0))
    insist_on_nothing_changed(waiting, "did not finish within 1 seconds|speaks no TLS")


def test_a_wrong_login(waiting: MailWorld, server: MailServer, authority: Authority) -> None:
    settings = waiting.mail_settings(server.port, authority.file, password="wrong")
    waiting.deliver(settings)
    insist_on_nothing_changed(waiting, "rejects our user name and password: 535 5.7.8$")


@pytest.mark.parametrize(
    ("command", "answer", "attempts", "error"),
    [
        ("MAIL", "450 4.7.1 later", 0, "does not accept messages from us: 450 4.7.1 later"),
        ("MAIL", "550 5.7.1 not you", 0, "does not accept messages from us: 550 5.7.1 not you"),
        ("RCPT", "450 4.2.0 greylisted", 1, "refuses the recipient: 450 4.2.0 greylisted"),
        ("RCPT", "550 5.1.1 no such user", 1, "refuses the recipient: 550 5.1.1 no such user"),
        ("RCPT", "421 4.3.2 going down", 1, "refuses the recipient: 421"),
        ("DATA", "452 4.3.1 full", 1, "refuses the message: 452 4.3.1$"),
        ("DATA", "554 5.7.1 spam", 1, "refuses the message: 554 5.7.1$"),
    ],
)
def test_a_refused_message_is_tried_again(
    waiting: MailWorld, server: MailServer, authority: Authority, command: str, answer: str, attempts: int, error: str
) -> None:
    settings = waiting.mail_settings(server.port, authority.file)
    server.answers[command] = answer
    waiting.deliver(settings, AT_ONCE._replace(first=HOUR, longest=HOUR, refused_first=HOUR))
    insist_on_nothing_changed(waiting, error, attempts)
    server.answers.clear()
    waiting.make_due()
    waiting.deliver(settings)
    assert len(server.received) == 1
    assert waiting.row().sent_at is not None


def test_one_refused_message_delays_no_other_and_keeps_the_connection(
    world: MailWorld, server: MailServer, authority: Authority
) -> None:
    for name in ("alice", "bob", "nobody"):
        world.reset(name)
    server.answers["RCPT"] = lambda address: "550 5.1.1 no" if address.startswith("bob") else None
    world.deliver(world.mail_settings(server.port, authority.file), AT_ONCE._replace(refused_first=HOUR))
    assert [each.recipient for each in server.received] == ["alice@example.org", "nobody@example.org"]
    assert len({each.peer for each in server.received}) == 1


def test_the_sender_pauses_if_every_message_fails(world: MailWorld, server: MailServer, authority: Authority) -> None:
    for name in ("alice", "bob", "nobody"):
        world.reset(name)
    server.answers["RCPT"] = "450 4.2.0 later"
    sender = world.sender(world.mail_settings(server.port, authority.file), AT_ONCE._replace(patience=2))
    assert sender.deliver(datetime.now(UTC)) > 0
    assert sum(row.attempts for row in world.rows()) == 2


def test_stopping_does_not_wait_for_a_silent_server(waiting: MailWorld, scripted: list[ScriptedServer]) -> None:
    over = threading.Event()
    scripted.append(ScriptedServer(lambda client: over.wait(4 * LONG) and None))
    sender = waiting.sender(plain(waiting, scripted[0], timeout=2 * LONG))
    sender.start()
    until(lambda: scripted[0].connections, "a connection")
    sender.stop()
    assert not over.is_set()
    over.set()
    insist_on_nothing_changed(waiting, "closed the connection")


def test_a_permanently_refused_message_is_given_up_after_a_few_tries_with_an_alarm(
    waiting: MailWorld, server: MailServer, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    server.answers["RCPT"] = "550 5.1.1 no such user"
    waiting.deliver(waiting.mail_settings(server.port, authority.file))
    row = waiting.row()
    assert (row.attempts, row.sent_at) == (3, None)
    assert row.ended_at is not None
    assert row.given_up
    assert row.last_error.startswith("the mail server ")
    figures = waiting.metrics()
    assert "accord_mails_given_up_total 1.0" in figures
    assert 'accord_mail_failures_total{fault="permanent"} 3.0' in figures
    assert "1 messages were given up" in caplog.text
    login(waiting, "alice")


def test_a_message_that_fails_for_too_long_is_given_up(waiting: MailWorld, server: MailServer, authority: Authority) -> None:
    server.answers["DATA"] = "451 4.3.0 later"
    settings = waiting.mail_settings(server.port, authority.file, give_up=timedelta(minutes=10))
    policy = AT_ONCE._replace(first=timedelta(minutes=1), longest=timedelta(hours=1))
    for attempt in range(1, 5):
        assert waiting.row().ended_at is None, attempt
        waiting.deliver(settings, policy)
        waiting.make_due()
    assert waiting.row().ended_at is not None, "1 + 2 + 4 + 8 minutes are more than 10"
    assert waiting.row().attempts == 4


def test_an_unreachable_server_uses_up_no_tries_and_is_not_asked_for_each_message(
    world: MailWorld, scripted: list[ScriptedServer], authority: Authority
) -> None:
    for _ in range(5):
        world.reset("nobody")
    scripted.append(ScriptedServer(talk({}, greeting=b"554 away\r\n")))
    sender = world.sender(plain(world, scripted[0]))
    assert sender.deliver(datetime.now(UTC)) > 0, "a pause"
    assert scripted[0].connections == 1
    assert {row.attempts for row in world.rows()} == {0}
    for _ in range(4):
        sender.deliver(datetime.now(UTC))
    assert scripted[0].connections == 5
    assert {row.attempts for row in world.rows()} == {0}
    assert all(row.ended_at is None for row in world.rows())


def test_messages_that_wait_too_long_for_an_unreachable_server_are_given_up(
    world: MailWorld, authority: Authority, scripted: list[ScriptedServer]
) -> None:
    world.reset("bob")
    world.caller("root")("PUT", "/users/bob/disabled", 204)
    scripted.append(ScriptedServer(talk({}, greeting=b"554 away\r\n")))
    sender = world.sender(plain(world, scripted[0], give_up=HOUR))
    sender.deliver(datetime.now(UTC))
    assert [row.ended_at for row in world.rows()] == [None, None]
    later = datetime.now(UTC) + 2 * HOUR
    world.put("password-reset", "nobody", created_at=later)
    sender.deliver(later)
    ended = {row.template + str(row.user_id): row.ended_at is not None for row in world.rows()}
    assert list(ended.values()) == [True, False, False], "neither the disabled account's nor the new one"
    assert "accord_mails_given_up_total 1.0" in world.metrics()


def test_a_message_whose_connection_breaks_is_tried_again_with_the_same_id(
    waiting: MailWorld, server: MailServer, authority: Authority
) -> None:
    server.drops = 1
    settings = waiting.mail_settings(server.port, authority.file)
    waiting.deliver(settings)
    insist_on_nothing_changed(waiting, "closed the connection", 1)
    message_id = waiting.row().message_id
    waiting.deliver(settings)
    (received,) = server.received
    assert received.parsed["Message-ID"] == message_id
    login(waiting, "alice", password_in(received))


def test_a_server_that_closes_an_idle_connection_uses_up_no_try(world: MailWorld, scripted: list[ScriptedServer]) -> None:
    def one_a_connection(client: socket.socket) -> None:
        client.sendall(b"220 hi\r\n")
        file = client.makefile("rb")
        for line in file:
            if line.startswith(b"DATA"):
                client.sendall(b"354 go\r\n")
                while file.readline() != b".\r\n":
                    pass
                client.sendall(b"250 ok\r\n")
                return
            client.sendall(b"250 ok\r\n")

    scripted.append(ScriptedServer(one_a_connection))
    for name in ("bob", "nobody"):
        world.reset(name)
    world.deliver(plain(world, scripted[0]))
    assert [(row.attempts, row.sent_at is not None) for row in world.rows()] == [(1, True)] * 3
    assert scripted[0].connections == 3


@pytest.mark.parametrize(
    "script",
    [
        lambda client: client.recv(1) and None,
        trickle(b"220-" + b"x" * 900 + b"\r\n", 0.01),
        trickle(b"220-hi\r\n", 0.0002),
        talk({"EHLO": b"250-" + b"x" * 2000 + b"\r\n"}),
        talk({"EHLO": b"250-hi\r\n" * 200}),
        talk({}, greeting=b"\x00\xff\xfe\r\n"),
        talk({}, greeting=b"999 hi\r\n"),
        talk({}, greeting=b"220"),
        talk({"RCPT": b"250-hi\r\n"}),
        talk({"BODY": b""}),
    ],
    ids=["silent", "trickles", "says-more-and-more", "long-line", "endless", "binary", "odd-code", "cut-off", "half", "no-end"],
)
def test_a_hostile_server_cannot_hold_up_the_sender_forever(
    waiting: MailWorld, scripted: list[ScriptedServer], script: object
) -> None:
    scripted.append(ScriptedServer(script))  # type: ignore[arg-type]
    waiting.deliver(plain(waiting, scripted[0], timeout=1.0))
    insist_on_nothing_changed(waiting, "within 1 seconds|mail server does|not answer|closed|finish its", waiting.row().attempts)


def test_replies_are_cleaned_and_shortened(waiting: MailWorld, scripted: list[ScriptedServer]) -> None:
    evil = b"550 5.7.1 \x1b[31mred\x1b]0;title\x07 \xe2\x80\xae" + b"long " * 100 + b"\r\n"
    scripted.append(ScriptedServer(talk({"RCPT": evil})))
    waiting.deliver(plain(waiting, scripted[0]), AT_ONCE._replace(refused_first=HOUR))
    error = waiting.row().last_error
    assert error.isascii() and error.isprintable()
    assert len(error) < 300
    assert "5.7.1 [31mred ]0;title" in error


def test_no_secret_that_a_server_echoes_is_kept(
    waiting: MailWorld, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[str] = []

    def echo(_about: str) -> str:
        return f"554 5.6.0 I read {seen[-1]} and {PASSWORD}" if seen else "450 later"

    with serving_mail(starttls=authority.context()) as server:
        received = server.received
        settings = waiting.mail_settings(server.port, authority.file)
        waiting.deliver(settings)
        seen.append(password_in(received[-1]))
        server.answers["DATA"] = server.answers["RCPT"] = echo
        waiting.reset()
        waiting.deliver(settings, AT_ONCE._replace(refused_first=HOUR))
    assert waiting.row().last_error.startswith("the mail server ")
    assert PASSWORD not in waiting.row().last_error + caplog.text
    assert "***" in waiting.row().last_error
