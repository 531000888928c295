"""A console with something on every page: people with teams, tokens and certificates, mails that failed, history, a proposal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from console_world import Console, World, console_of
from issued import pem
from organisation import Applied
from scenario import issuer, team, user

DAY = timedelta(days=1)
NAMES = ("Amara Okafor", "Ben Fischer", "Chiara Rossi", "Dmitri Sokolov", "Elif Yılmaz", "Farid Haddad", "Grace Hopper")
PEOPLE = {name.lower().partition(" ")[0]: name for name in NAMES} | {f"person-{number:02}": "" for number in range(1, 51)}
"""Accounts and their full names; more than a list shows at once."""
_WEB: list[Any] = [
    {"user": "alice", "reason": "Runs the public web tier"},
    {"user": "bob", "until": "2099-06-30", "reason": "Contract until the end of June"},
]
FILES: dict[str, Any] = {
    **{f"users/{name}.yaml": user(name, **({"fullName": full} if full else {})) for name, full in PEOPLE.items()},
    "users/root.yaml": user("root", fullName="Rosa Klein"),
    "users/bob.yaml": user("bob", fullName="Bob Meyer"),
    "teams/web.yaml": team("web", displayName="Web", description="The web", members=_WEB, issuers=["tls", "vpn"]),
    "teams/platform.yaml": team(
        "platform",
        displayName="Platform engineering",
        description="Runs clusters, pipelines and whatever else everybody stands on.",
        members=["alice", "amara", "ben", {"user": "chiara", "until": "2099-12-31", "reason": "Parental leave cover"}],
        permittedIPs=["10.20.0.0/16", "127.0.0.0/8"],
        issuers=["tls", {"issuer": "document-signing", "until": "2099-03-31"}],
    ),
    "teams/finance.yaml": team("finance", members=["dmitri", "elif"], issuers=["document-signing"]),
    "teams/staff.yaml": team("staff", displayName="Everybody", members=[*PEOPLE, "alice", "bob"], issuers=["vpn"]),
    "issuers/document-signing.yaml": issuer("document-signing", displayName="Document signing"),
}
_MAIL = """INSERT INTO outbox
(template, user_id, recipient, created_at, attempts, next_attempt_at, sent_at, ended_at, given_up, last_error, detail) VALUES """
_THEN = "'2026-11-01T12:00:00.000000Z'"
_MAILS = (
    f"('welcome', (SELECT id FROM users WHERE name = 'alice'), NULL, {_THEN}, 1, NULL, {_THEN}, NULL, FALSE, NULL, '{{}}')",
    f"('token-minted', NULL, 'failing@example.org', {_THEN}, 3, {_THEN}, NULL, NULL, FALSE, 'the server answered 451', '{{}}')",
    f"('welcome', NULL, 'lost@example.org', {_THEN}, 9, NULL, NULL, {_THEN}, TRUE, 'the server has no such mailbox', '{{}}')",
)


@contextmanager
def populated(applied: Applied, folder: Path) -> Iterator[Console]:
    """A server over it, which may propose changes."""
    proposing = {"ACCORD_REPOSITORY": str(folder / "config.git"), "ACCORD_CACHE": str(folder / "cache")}
    with console_of(applied, folder, **proposing) as console:
        _populate(console.world)
        yield console


def _populate(world: World) -> None:
    world.apply(FILES)
    world.apply({"teams/legacy.yaml": team("legacy"), "issuers/old.yaml": None})
    for name in ("alice", "root"):
        world.mint(name, name="deploy pipeline", lives=30 * DAY)
        world.mint(name, name="laptop", lives=DAY)
    world.mint("alice", kind="session", carrier="cookie")
    world.mint("root", kind="session", carrier="cookie")
    world.caller("root")("PUT", "/users/nobody/disabled", 204)
    now = datetime.now(UTC)
    for who, subject, group, used, age, lives in (
        ("alice", "www.example.org", "web", "tls", 85, 90),
        ("alice", "shop.example.org", "web", "tls", 10, 90),
        ("alice", "build.example.org", "platform", "tls", 100, 90),
        ("amara", "reports.example.org", "platform", "document-signing", 30, 365),
    ):
        made = pem(subject, begins=now - age * DAY, lives=lives * DAY)
        body = {"pem": made, "issuer": used, "team": group}
        world.caller(who)("POST", "/certificates", 201, json=body)
    for mail in _MAILS:
        world.execute(_MAIL + mail)
