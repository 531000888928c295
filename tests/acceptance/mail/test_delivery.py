"""Every kind of mail is handed to a real SMTP server and read back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest
from issued import pem
from mail_server import Authority, MailServer, parts, serving_mail
from mail_world import MailWorld, in_maildir, password_in
from scenario import resource, team, user
from test_sessions import login

from reconciler.store import tables


def test_a_new_user_gets_a_password_by_mail_and_logs_in_with_it(
    world: MailWorld, server: MailServer, authority: Authority
) -> None:
    world.apply({"users/zoe.yaml": user("zoe", fullName="Zoë Ångström, PKI")})
    settings = world.mail_settings(server.port, authority.file, public_url="https://accord.example.org")
    world.deliver(settings)
    (received,) = server.received
    message = received.parsed
    assert (received.recipient, received.secured, received.login) == ("zoe@example.org", True, "accord")
    assert (message["To"].addresses[0].display_name, message["To"].addresses[0].addr_spec) == (
        "Zoë Ångström, PKI",
        "zoe@example.org",
    )
    assert message["From"].addresses[0].addr_spec == "accord@example.org"
    assert message["Auto-Submitted"] == "auto-generated"
    assert abs(parsedate_to_datetime(message["Date"]) - datetime.now(UTC)) < timedelta(minutes=1)
    assert message["Message-ID"] == world.row().message_id
    assert message.get_content_type() == "multipart/alternative"
    assert received.content.isascii() and max(map(len, received.content.split(b"\r\n"))) < 200
    assert all("zoe" in part and "https://accord.example.org" in part for part in parts(message))
    password = password_in(received)
    session = login(world, "zoe", password)
    assert session["passwordChangeRequired"] is True
    zoe = world.with_secret(session["token"])
    zoe("PUT", "/me/password", 200, json={"currentPassword": password, "newPassword": "a passphrase of my own"})
    assert world.account("zoe").password_expires_at is None
    login(world, "zoe", "a passphrase of my own")
    (entry,) = world.audit("password.generate")
    assert (entry["actor"], entry["name"], entry["detail"]["template"]) == ("mail", "zoe", "welcome")


def test_the_server_is_left_alone_from_the_end_of_a_failed_delivery(world: MailWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    sender, clock, began = world.sender(world.mail_settings()), [0.0], []

    def deliver(_: datetime) -> float:
        began.append(clock[0])
        clock[0] += 60  # as long as a silent server is waited for
        return 5.0

    monkeypatch.setattr(sender, "deliver", deliver)
    monkeypatch.setattr("api.mail.delivery.time.monotonic", lambda: clock[0])
    for _ in range(70):
        sender._round(datetime.now(UTC), sender._sending.stopping)
        clock[0] += 1
    assert began[:2] == [0.0, 65.0]


def test_a_reset_changes_the_password_once_its_mail_is_sent_and_ends_sessions(
    world: MailWorld, server: MailServer, authority: Authority
) -> None:
    world.set_password("alice")
    session = world.with_secret(login(world, "alice")["token"])
    token = world.caller("alice")
    world.reset()
    login(world, "alice")
    world.deliver(world.mail_settings(server.port, authority.file))
    (received,) = server.received
    assert received.recipient == "alice@example.org"
    session("GET", "/me", 401)
    token("GET", "/me", 401)
    login(world, "alice", code=401)
    assert login(world, "alice", password_in(received))["passwordChangeRequired"] is True
    world.reset()
    world.deliver(world.mail_settings(server.port, authority.file))
    assert len({password_in(each) for each in server.received}) == 2, "sending again generates another password"
    assert len({each.parsed["Message-ID"] for each in server.received}) == 2


def test_mails_about_a_certificate(world: MailWorld, server: MailServer, authority: Authority) -> None:
    world.caller("alice")(
        "POST",
        "/certificates",
        201,
        json={
            "pem": pem("www.example.org"),
            "issuer": "tls",
            "team": "web",
            "extraAddresses": ["ops@example.org"],
            "note": "for the <shop>",
            "url": "https://ca.example.org/1",
        },
    )
    number = world.row().certificate_id
    world.put("certificate-expiring", "alice", certificate_id=number, detail='{"days": 30}')
    world.deliver(world.mail_settings(server.port, authority.file))
    assert sorted((each.recipient, each.parsed["Subject"].partition(":")[0]) for each in server.received) == [
        ("alice@example.org", "Certificate expires in 89 days"),
        ("alice@example.org", "Certificate issued"),
        ("ops@example.org", "Certificate issued"),
    ]
    assert len({each.peer for each in server.received}) == 1, "one connection for all"
    for each in server.received:
        text, html = parts(each.parsed)
        assert "Public TLS" in text and "Public TLS" in html
        assert "for the <shop>" in text and "for the <shop>" not in html
    assert [row.last_error for row in world.rows()] == [None] * 3
    world.caller("alice")("POST", "/me", 405)


def test_administrators_get_the_waiting_mail_of_a_deleted_owner(
    world: MailWorld, server: MailServer, authority: Authority
) -> None:
    world.apply({"users/zoe.yaml": user("zoe"), "teams/web.yaml": team("web", members=["alice", "zoe"], issuers=["tls"])})
    world.execute("DELETE FROM outbox")
    world.caller("zoe")("POST", "/certificates", 201, json={"pem": pem(), "issuer": "tls", "team": "web"})
    gone = {"users/zoe.yaml": None, "users/yan.yaml": user("yan", initialPassword="none")}  # who may come by zoe's number
    world.apply({**gone, "teams/web.yaml": team("web", members=["alice"], issuers=["tls"])})
    world.deliver(world.mail_settings(server.port, authority.file), times=2)
    assert [each.recipient for each in server.received] == ["root@example.org"]


def test_a_mail_about_a_certificate_ends_once_nobody_wants_it(world: MailWorld, server: MailServer, authority: Authority) -> None:
    number = world.caller("alice")("POST", "/certificates", 201, json={"pem": pem(), "issuer": "tls", "team": "web"})["id"]
    world.execute(f"UPDATE certificates SET revoked_at = registered_at WHERE id = {number}")
    world.deliver(world.mail_settings(server.port, authority.file))
    assert server.received == []
    assert world.row().last_error == "the certificate was revoked"
    assert world.row().ended_at is not None


def test_administrators_are_told_instead_of_a_disabled_owner(world: MailWorld, server: MailServer, authority: Authority) -> None:
    world.caller("alice")("POST", "/certificates", 201, json={"pem": pem(), "issuer": "tls", "team": "web"})
    world.caller("root")("PUT", "/users/alice/disabled", 204)
    world.deliver(world.mail_settings(server.port, authority.file))
    assert [each.recipient for each in server.received] == ["root@example.org"]


def test_a_refused_reminder_is_told_to_somebody_else(world: MailWorld, server: MailServer, authority: Authority) -> None:
    world.caller("alice")("POST", "/certificates", 201, json={"pem": pem(), "issuer": "tls", "team": "web"})
    server.answers["RCPT"] = lambda address: "550 5.1.1 no such user" if address.startswith("alice") else None
    world.deliver(world.mail_settings(server.port, authority.file), times=3)
    assert [each.recipient for each in server.received] == ["bob@example.org"]  # of the same team
    assert "550" in world.rows()[0].last_error


def test_declared_templates_are_used_and_if_one_fails_the_built_in_one(
    world: MailWorld, server: MailServer, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    good = {"subject": "Hello {{ user.name }}", "text": "password: {{ password }}", "html": "<b>{{ password }}</b>"}
    world.apply({"mail.yaml": resource("EmailTemplate", "password-reset", good)})
    settings = world.mail_settings(server.port, authority.file)
    world.reset()
    world.deliver(settings)
    assert server.received[0].parsed["Subject"] == "Hello alice"
    password_in(server.received[0])
    world.execute("UPDATE email_templates SET text = '{{ {}[password] }}'")
    world.reset()
    world.deliver(settings)
    assert server.received[1].parsed["Subject"] == "Your new password for the certificate service"
    password = password_in(server.received[1])
    assert "the declared template password-reset cannot be used" in caplog.text
    assert password not in caplog.text
    assert 'accord_mail_templates_unusable_total{template="password-reset"} 1.0' in world.metrics()


@pytest.mark.parametrize(
    ("hidden", "why"),
    [
        ("https://evil.example/", "text: the password is part of a link"),
        ("https://evil.example/login ", "text: it leads to `https://evil.example/login`"),
    ],
)
def test_a_template_that_hid_something_is_replaced_and_reported(
    world: MailWorld, server: MailServer, authority: Authority, caplog: pytest.LogCaptureFixture, hidden: str, why: str
) -> None:
    text = f'{{% if url != "https://accord.example.org/" %}}{hidden}{{% endif %}}{{{{ password }}}}'
    with world.service.database.noting() as connection:  # as an older version could have applied it
        connection.execute(tables.email_templates.insert().values(name="password-reset", subject="Hello", text=text))
    settings = world.mail_settings(server.port, authority.file, public_url="https://accord.corp.example.org")
    sender = world.sender(settings)
    for _ in range(2):
        world.reset()
        sender.deliver(datetime.now(UTC))
    for each in server.received:
        assert each.parsed["Subject"] == "Your new password for the certificate service"
        assert not any("evil" in part for part in parts(each.parsed))
        assert password_in(each) not in caplog.text
    (entry,) = world.audit("mail.template-unusable")
    assert (entry["actor"], entry["kind"], entry["name"]) == ("mail", "EmailTemplate", "password-reset")
    assert why in entry["detail"]["why"]
    assert caplog.text.count("password-reset cannot be used") == 2


def test_implicit_tls(world: MailWorld, authority: Authority) -> None:
    with serving_mail(tls=authority.context()) as server:
        world.reset()
        world.deliver(world.mail_settings(server.port, authority.file, security="tls"))
        assert len(server.received) == 1
        assert server.logins == 1


def test_without_a_server_messages_are_files_that_only_their_owner_reads(world: MailWorld, tmp_path: Path) -> None:
    world.apply({"users/zoe.yaml": user("zoe")})
    world.deliver(world.mail_settings())
    (message,) = in_maildir(tmp_path / "mail")
    assert message["To"] == "zoe <zoe@example.org>"
    login(world, "zoe", password_in(message))
    for path in (tmp_path / "mail").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
    assert list((tmp_path / "mail" / "tmp").iterdir()) == []


def test_no_password_is_written_to_a_folder_that_others_can_write_to(world: MailWorld, tmp_path: Path) -> None:
    (tmp_path / "mail").mkdir()
    (tmp_path / "mail").chmod(0o777)
    world.reset()
    world.deliver(world.mail_settings())
    assert "others may write to it" in world.row().last_error
    assert list((tmp_path / "mail").iterdir()) == []
    (tmp_path / "mail").chmod(0o700)
    world.make_due()
    world.deliver(world.mail_settings())
    assert len(in_maildir(tmp_path / "mail")) == 1


def test_many_messages_go_over_one_connection(world: MailWorld, server: MailServer, authority: Authority) -> None:
    for _ in range(20):
        world.put("certificate-issued", recipient="ops@example.org", certificate_id=_certificate(world))
    world.deliver(world.mail_settings(server.port, authority.file))
    assert len(server.received) == 21
    assert server.logins == 1


def _certificate(world: MailWorld) -> int:
    rows = world.service.reader.rows("SELECT id FROM certificates")
    if rows:
        return int(rows[0][0])
    return int(world.caller("alice")("POST", "/certificates", 201, json={"pem": pem(), "issuer": "tls", "team": "web"})["id"])
