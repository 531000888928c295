"""`accord-api mail`, and the sender within `accord-api serve`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from mail_server import PASSWORD, USERNAME, Authority, MailServer, ScriptedServer, talk
from mail_world import MailWorld, in_maildir, password_in
from scenario import user
from served import command, serving
from test_sessions import login
from waiting import until

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"])


def environment(server: Any, authority: Authority) -> dict[str, str]:
    return {
        "ACCORD_SMTP_HOST": "127.0.0.1",
        "ACCORD_SMTP_PORT": str(server.port),
        "ACCORD_SMTP_FROM": "accord@example.org",
        "ACCORD_SMTP_USERNAME": USERNAME,
        "ACCORD_SMTP_PASSWORD": PASSWORD,
        "ACCORD_SMTP_CA_FILE": str(authority.file),
    }


def test_a_test_message(world: MailWorld, server: MailServer, authority: Authority, tmp_path: Path) -> None:
    done = command("mail", "test", "ops@example.com", url=world.url, **environment(server, authority))
    assert done.returncode == 0, done.stderr
    assert f"Connected to the mail server 127.0.0.1:{server.port}: TLSv1.3, with a trusted certificate." in done.stdout
    assert server.received[0].parsed["Subject"] == "Test message from Accord"
    done = command("mail", "test", "ops@example.com", url=world.url, ACCORD_MAILDIR=str(tmp_path / "post"))
    assert (done.returncode, len(in_maildir(tmp_path / "post"))) == (0, 1)
    wrong = {**environment(server, authority), "ACCORD_SMTP_PASSWORD": "wrong secret"}
    done = command("mail", "test", "ops@example.com", url=world.url, **wrong)
    assert done.returncode == 1
    assert "nothing was sent: the mail server 127.0.0.1" in done.stderr
    assert "wrong secret" not in done.stdout + done.stderr
    evil = ScriptedServer(talk({}, greeting=b"554 \x1b[31mred\r\n"))
    bare = {name: value for name, value in environment(evil, authority).items() if name[12:] not in ("USERNAME", "PASSWORD")}
    done = command("mail", "test", "ops@example.com", url=world.url, **bare, ACCORD_SMTP_SECURITY="none")
    evil.close()
    assert (done.returncode, "\x1b" in done.stderr) == (1, False)
    assert command("mail", "test", "no address", url=world.url).returncode == 1


def test_a_message_that_was_given_up_is_shown_and_can_be_retried(
    world: MailWorld, server: MailServer, authority: Authority
) -> None:
    server.answers["RCPT"] = "550 5.1.1 no such user"
    settings = world.mail_settings(server.port, authority.file)
    world.reset()
    world.deliver(settings)
    done = command("mail", "status", url=world.url)
    assert done.returncode == 1
    assert "0 wait.\n1 was given up, 0 were no longer wanted.\n" in done.stdout
    assert "password-reset to alice, 3 tries, never again" in done.stdout
    shown = json.loads(command("mail", "status", "--format", "json", url=world.url).stdout)
    (trouble,) = shown["trouble"]
    assert trouble["why"].startswith("given up: the mail server ")
    assert (trouble["to"], trouble["attempts"], trouble["nextAttemptAt"], shown["givenUp"]) == ("alice", 3, None, 1)
    assert command("mail", "retry", "999", url=world.url).returncode == 1
    assert command("mail", "retry", url=world.url).returncode == 1
    done = command("mail", "retry", str(trouble["id"]), url=world.url)
    assert done.stdout == "1 message will be tried again at once.\n"
    server.answers.clear()
    world.deliver(settings)
    login(world, "alice", password_in(server.received[0]))
    assert [entry["name"] for entry in world.audit("mail.retry")] == ["alice"]
    assert command("mail", "status", url=world.url).returncode == 0
    assert command("mail", "retry", "--all", url=world.url).stdout == "0 messages will be tried again at once.\n"


def test_retry_leaves_unwanted_messages_alone(world: MailWorld, server: MailServer, authority: Authority) -> None:
    world.apply({"users/zoe.yaml": user("zoe")})
    world.set_password("zoe")
    assert command("mail", "retry", "--all", url=world.url).stdout == "0 messages will be tried again at once.\n"
    world.deliver(world.mail_settings(server.port, authority.file))
    assert server.received == []


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--server", "granian", "--workers", "2")], ids=["waitress", "granian"])
def test_the_server_delivers_in_the_background_and_answers_while_the_mail_server_is_slow(
    world: MailWorld, server: MailServer, authority: Authority, tmp_path: Path, options: tuple[str, ...]
) -> None:
    server.holds = True
    world.apply({"users/zoe.yaml": user("zoe"), "users/yan.yaml": user("yan")})
    with serving(world.url, tmp_path, *options, ACCORD_MAIL="on", **environment(server, authority)) as running:
        until(lambda: server.holding, "a message")
        for _ in range(20):  # whichever worker answers
            assert running.call("GET", "/readyz").status == 200
        assert server.received == []
        server.holds = False
        until(lambda: not world.service.reader.row("SELECT 1 FROM outbox WHERE sent_at IS NULL"), "the end of delivering")
        assert len(server.received) == 2
        for each in server.received:
            name = each.recipient.partition("@")[0]
            body = {"username": name, "password": password_in(each)}
            assert running.call("POST", "/api/v1/sessions", None, body).status == 201
        assert b'accord_mails_sent_total{template="welcome"}' in running.metrics()
        assert running.stop() == 0
    assert "Traceback" not in running.log.read_text()
    for each in server.received:
        assert password_in(each) not in running.log.read_text()
