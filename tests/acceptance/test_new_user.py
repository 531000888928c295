"""A new colleague, from the pull request to the reminder of a certificate: each step as the people concerned take it."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path

import pytest
from desk import Desk
from issued import pem
from waiting import until

sys.path.append(str(Path(__file__).parent / "api"))
sys.path.append(str(Path(__file__).parent / "mail"))

from mail_world import in_maildir, password_in
from served import Server, serving

from api.certificates.reminders import scan
from reconciler.store.engine import open_database

HEIDI = """apiVersion: accord/v1
kind: User
metadata: {name: heidi}
spec: {email: heidi@example.org, fullName: Heidi Lang}
---
apiVersion: accord/v1
kind: Team
metadata: {name: shop}
spec: {members: [heidi], issuers: [tls-internal]}
"""


def awaited(url: str, maildir: Path, subject: str, to: str) -> EmailMessage:
    """The message that comes next, once it is also known that it was sent."""
    waiting = "SELECT count(*) FROM outbox WHERE sent_at IS NULL AND ended_at IS NULL"
    with open_database(url) as database:

        def delivered() -> list[EmailMessage]:
            with database.reading() as connection:
                if connection.exec_driver_sql(waiting).scalar():
                    return []
            return [each for each in in_maildir(maildir) if to in each["To"] and subject in each["Subject"].lower()]

        return until(delivered, f"a mail to {to}")[0]


@pytest.mark.slow
def test_from_a_pull_request_to_a_reminder(desk: Desk, tmp_path: Path) -> None:
    accord, maildir = desk.accord, tmp_path / "mail"
    url = accord.environment["ACCORD_DATABASE_URL"]
    accord("init", str(desk.config), "--administrator", "root", "--email", "root@example.org")
    desk.git("init", "-q", "-b", "main")
    desk.commit("Who may use what")
    accord("apply", "--yes")
    with serving(url, tmp_path, ACCORD_MAIL="on", ACCORD_MAILDIR=str(maildir)) as server:
        desk.git("switch", "-q", "-c", "heidi")
        desk.write("users/heidi.yaml", HEIDI)
        desk.commit("Heidi joins the shop")
        assert "heidi gains tls-internal through shop" in accord("plan", "--rev", "heidi").output
        desk.git("switch", "-q", "main")
        desk.git("merge", "-q", "--no-ff", "-m", "Merge the pull request", "heidi")
        accord("apply", "--yes")
        secrets = use(server, url, maildir)
    accord("audit", "verify")
    assert accord("drift").exit_code == 0
    for file in tmp_path.rglob("*"):  # repository, cache, database, log
        if file.is_file() and maildir not in file.parents:
            assert not [each for each in secrets if each.encode() in file.read_bytes()], file


def use(server: Server, url: str, maildir: Path) -> list[str]:
    """What Heidi does, and what she hears; the secrets that she got, which nobody else keeps."""
    password = password_in(awaited(url, maildir, "", "heidi@example.org"))
    first = server.call("POST", "/api/v1/sessions", body={"username": "heidi", "password": password})
    assert (first.status, first.json["passwordChangeRequired"]) == (201, True)
    session = first.json["token"]
    token_wanted = {"name": "shop", "validFor": "30d", "issuers": ["tls-internal"]}
    assert server.call("POST", "/api/v1/me/tokens", session, token_wanted).json["reason"] == "password-change"
    change = {"currentPassword": password, "newPassword": "a passphrase of her own"}
    session = server.call("PUT", "/api/v1/me/password", session, change).json["token"]
    assert server.call("POST", "/api/v1/sessions", body={"username": "heidi", "password": password}).status == 401
    token = server.call("POST", "/api/v1/me/tokens", session, token_wanted).json["token"]
    assert server.call("POST", "/api/v1/decisions", token, {"issuer": "tls-internal"}).json["allow"] is True

    made = pem("shop.example.org", serial=0xC0FFEE, lives=timedelta(days=90))
    body = {"pem": made, "issuer": "tls-internal", "team": "shop", "note": "For the <winter> sale"}
    registered = server.call("POST", "/api/v1/certificates", session, body)
    assert (registered.status, registered.json["owner"]) == (201, "heidi")
    issued = awaited(url, maildir, "issued", "heidi@example.org")
    plain, html = (issued.get_body((kind,)).get_content() for kind in ("plain", "html"))  # type: ignore[union-attr]
    for text in ("shop.example.org", "c0ffee", "Internal", "<winter>"):
        assert text in plain, plain
    assert made.splitlines()[1] in plain and "&lt;winter&gt;" in html

    with open_database(url) as database:
        now = datetime.now(UTC)
        scan(database, now)
        assert scan(database, now + timedelta(days=61)).mails == 1
    reminder = awaited(url, maildir, "expires", "heidi@example.org")
    assert "shop.example.org" in reminder.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    return [password, session, token, "a passphrase of her own"]
