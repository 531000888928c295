"""Reminders before API tokens expire: who gets them, when, and that each is made once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from mail_world import MailWorld, in_maildir
from scenario import resource, team, user
from sqlalchemy import Engine, event, select

from api import token_reminders
from api.outbox.claims import claim, end
from api.outbox.messages import Ending, Outcome
from api.token_reminders import TokenNotices, ending_soon, remind
from reconciler.store import tables

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


@pytest.fixture
def world(world: MailWorld) -> Iterator[MailWorld]:
    """An application in a team with two people."""
    world.apply(
        {
            "users/portal.yaml": user("portal", type="application", email="portal@example.org"),
            "users/robot.yaml": user("robot", type="application", email="robot@example.org"),
            "teams/portal.yaml": team("portal", members=["portal", "alice", "bob", "robot"]),
        }
    )
    world.execute("DELETE FROM outbox")
    yield world


def told(world: MailWorld) -> list[tuple[str, int]]:
    """The recipients of all reminders, with the days, in the order in which they were made."""
    outbox, users = tables.outbox.c, tables.users.c
    query = select(users.name, outbox.detail).join(tables.outbox, outbox.user_id == users.id).order_by(outbox.id)
    with world.service.database.reading() as connection:
        rows = connection.execute(query.where(outbox.template == "token-expiring"))
        return [(name, int(detail.rpartition(":")[2].strip("}"))) for name, detail in rows]


def at(world: MailWorld, now: datetime) -> list[tuple[str, int]]:
    """The reminders that are new at an instant."""
    before = len(told(world))
    remind(world.service.database, now)
    return sorted(told(world)[before:])


def minted(world: MailWorld, name: str = "portal", lives: timedelta = 90 * DAY, **more: Any) -> datetime:
    """When a new token was made."""
    return world.mint(name, lives=lives, name="renewals", **more).expires_at - lives


def test_an_application_and_the_people_of_its_teams_are_told_once_at_each_instant(world: MailWorld) -> None:
    made = minted(world)
    everybody = ["alice", "bob", "portal"]
    assert at(world, made + 76 * DAY - SECOND) == []
    assert at(world, made + 76 * DAY) == [(name, 14) for name in everybody]
    assert at(world, made + 76 * DAY) == at(world, made + 80 * DAY) == []
    assert at(world, made + 87 * DAY) == [(name, 3) for name in everybody]
    assert at(world, made + 89 * DAY) == at(world, made + 95 * DAY) == []
    assert [entry["detail"] for entry in world.audit("token.remind")] == [{"tokens": 1, "mails": 3}] * 2
    world.accord("audit", "verify")


def test_a_person_is_told_of_the_own_token_alone(world: MailWorld) -> None:
    assert at(world, minted(world, "alice") + 80 * DAY) == [("alice", 14)]


def test_after_an_outage_only_the_nearest_missed_reminder_is_made(world: MailWorld) -> None:
    made = minted(world, "alice")
    assert at(world, made + 88 * DAY) == [("alice", 3)]
    assert at(world, made + 89 * DAY) == []


def test_nobody_is_told_of_a_token_that_cannot_be_used(world: MailWorld) -> None:
    made = minted(world, "alice")
    assert at(world, made + 91 * DAY) == []
    minted(world, "bob")
    session = minted(world, "alice", kind="session")
    world.execute("UPDATE tokens SET revoked_at = created_at WHERE kind = 'token'")
    assert at(world, session + 80 * DAY) == []


def test_a_disabled_account_is_told_once_it_is_enabled(world: MailWorld) -> None:
    made = minted(world, "alice")
    world.caller("root")("PUT", "/users/alice/disabled", 204)
    world.execute("UPDATE tokens SET revoked_at = NULL")
    assert at(world, made + 80 * DAY) == []
    world.caller("root")("DELETE", "/users/alice/disabled", 204)
    assert at(world, made + 81 * DAY) == [("alice", 14)]


@pytest.mark.parametrize(("lives", "days"), [(DAY, []), (5 * DAY, []), (6 * DAY, [3]), (27 * DAY, [3]), (28 * DAY, [14, 3])])
def test_nobody_is_nagged_in_the_first_half_of_a_short_life(world: MailWorld, lives: timedelta, days: list[int]) -> None:
    made, hour = minted(world, "alice", lives), timedelta(hours=1)
    while (made := made + 6 * hour) < datetime.now(UTC) + lives:
        remind(world.service.database, made)
    assert told(world) == [("alice", each) for each in days]


def test_the_settings_say_when_and_whether(world: MailWorld) -> None:
    minted(world, "alice", 25 * DAY)
    world.execute("UPDATE tokens SET created_at = '2020-01-01T00:00:00.000000Z' WHERE name = 'renewals'")
    for days, expected in (([], []), ([30], [("alice", 30)]), ([60, 30], []), ([30, 26], [("alice", 26)])):
        world.apply({"settings.yaml": resource("Settings", "default", {"tokens": {"daysBeforeExpiry": days}})})
        assert at(world, datetime.now(UTC)) == expected


def test_administrators_are_told_if_nobody_else_can_be(world: MailWorld) -> None:
    world.apply({"users/robot.yaml": user("robot", type="application", email="robot@example.org"), "teams/portal.yaml": None})
    world.execute("UPDATE users SET email = '' WHERE name = 'robot'")
    assert at(world, minted(world, "robot") + 80 * DAY) == [("root", 14)]


def test_an_address_gets_one_mail(world: MailWorld) -> None:
    world.execute("UPDATE users SET email = 'Team@example.org' WHERE name IN ('portal', 'alice')")
    world.execute("UPDATE users SET email = 'team@example.org' WHERE name = 'bob'")
    assert len(at(world, minted(world) + 80 * DAY)) == 1


def test_many_tokens_are_told_of_in_pieces_and_by_many_processes_once(world: MailWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_reminders, "AT_ONCE", 3)
    made = max(minted(world, name) for name in ("alice", "bob") for _ in range(10))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: remind(world.service.database, made + 80 * DAY), range(4)))
    assert sorted(told(world)) == [("alice", 14), ("bob", 14)]


def test_one_mail_a_day_lists_all_tokens_of_an_account_that_are_due_within_it(world: MailWorld) -> None:
    ends = [world.mint("portal", lives=(89 + number / 20) * DAY, name=f"job-{number:02}").expires_at for number in range(20)]
    everybody = [("alice", 14), ("bob", 14), ("portal", 14)]
    assert at(world, ends[0] - 14 * DAY - SECOND) == []
    assert at(world, ends[0] - 14 * DAY) == everybody
    assert at(world, ends[-1] - 14 * DAY) == []
    assert [entry["detail"] for entry in world.audit("token.remind")] == [{"tokens": 20, "mails": 3}]
    world.execute("UPDATE tokens SET revoked_at = created_at WHERE name = 'job-01'")
    world.deliver(world.mail_settings())
    mail, *_ = in_maildir(world.folder / "mail")
    assert str(mail["Subject"]).endswith("days: job-00 and 18 more")
    text = mail.get_body(("plain",)).get_content()
    assert [f"job-{number:02} (" in text for number in range(20)] == [False, False] + [True] * 18


def test_a_token_that_becomes_due_in_between_is_told_of_the_next_day(world: MailWorld) -> None:
    tokens = [world.mint("alice", lives=90 * DAY) for _ in range(3)]
    now = tokens[0].expires_at - 13 * DAY
    later = ", ".join(f"'{each.accessor}'" for each in tokens[1:])
    world.execute(f"UPDATE tokens SET revoked_at = created_at WHERE accessor IN ({later})")
    assert at(world, now) == [("alice", 14)]
    for token in tokens[1:]:
        world.execute(f"UPDATE tokens SET revoked_at = NULL WHERE accessor = '{token.accessor}'")
        assert at(world, now + DAY / 2) == []
    assert at(world, now + DAY) == [("alice", 14)]


def test_tokens_that_are_too_many_for_a_mail_are_counted(world: MailWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_reminders, "MOST_LISTED", 2)
    now = max(minted(world, "alice") for _ in range(5)) + 80 * DAY
    remind(world.service.database, now)
    world.deliver(world.mail_settings())
    (mail,) = in_maildir(world.folder / "mail")
    assert "renewals and 4 more" in str(mail["Subject"])
    assert "    2 more\n" in mail.get_body(("plain",)).get_content()


def test_the_reminders_of_many_accounts_take_few_queries(world: MailWorld) -> None:
    now = max(minted(world, name) for name in ("alice", "bob", "portal", "robot")) + 80 * DAY
    database, statements = world.service.database, list[str]()
    listener = lambda *arguments: statements.append(arguments[2])  # noqa: E731
    event.listen(Engine, "before_cursor_execute", listener)
    try:
        remind(database, now)
    finally:
        event.remove(Engine, "before_cursor_execute", listener)
    assert sum("members" in each.lower() for each in statements) <= 2


def test_a_message_of_a_version_that_made_one_for_each_token_still_goes_out(world: MailWorld) -> None:
    old = world.mint("alice", lives=90 * DAY, name="renewals")
    assert at(world, old.expires_at - 13 * DAY) == [("alice", 14)]
    world.execute(f"""UPDATE outbox SET detail = '{{"token":"{old.accessor}","days":14}}'""")
    world.deliver(world.mail_settings())
    (mail,) = in_maildir(world.folder / "mail")
    assert str(mail["Subject"]).endswith("days: renewals")


def test_the_mail_says_which_token_of_whom_expires_and_when(world: MailWorld) -> None:
    world.mint("portal", lives=4 * DAY, name="renewals on web-7")
    world.execute("UPDATE tokens SET created_at = '2026-01-01T00:00:00.000000Z' WHERE name = 'renewals on web-7'")
    assert remind(world.service.database, datetime.now(UTC)) == 3
    world.deliver(world.mail_settings())
    mails = in_maildir(world.folder / "mail")
    assert {mail["To"].addresses[0].addr_spec for mail in mails} == {"alice@example.org", "bob@example.org", "portal@example.org"}
    assert {str(mail["Subject"]) for mail in mails} == {"API token of portal expires in 3 days: renewals on web-7"}
    text = mails[0].get_body(("plain",)).get_content()
    with world.service.database.reading() as connection:
        accessor = connection.exec_driver_sql("SELECT accessor FROM tokens WHERE name = 'renewals on web-7'").scalar()
    assert f"ID:            {accessor}" in text and "Last used" not in text


def test_a_token_that_is_revoked_meanwhile_is_not_mailed_about(world: MailWorld) -> None:
    made = minted(world, "alice")
    assert at(world, made + 80 * DAY) == [("alice", 14)]
    world.execute("UPDATE tokens SET revoked_at = created_at")
    world.deliver(world.mail_settings())
    assert (world.row().sent_at, world.row().last_error) == (None, "the token was revoked")


def test_a_token_with_a_successor_is_not_followed(world: MailWorld) -> None:
    old = world.mint("portal", lives=90 * DAY)
    new = world.mint("portal", lives=80 * DAY, minter=old.accessor, succeeds=True)
    now = old.expires_at - 13 * DAY
    world.execute(
        f"UPDATE tokens SET created_at = '2026-01-01T00:00:00.000000Z', reminded_days = 1 WHERE accessor = '{new.accessor}'"
    )
    assert at(world, now) == []
    world.execute(f"UPDATE tokens SET revoked_at = created_at WHERE accessor = '{new.accessor}'")
    assert at(world, now) == [("alice", 14), ("bob", 14), ("portal", 14)]
    world.execute(f"UPDATE tokens SET revoked_at = NULL WHERE accessor = '{new.accessor}'")
    world.deliver(world.mail_settings())
    assert {row.last_error for row in world.rows()} == {"the token has a successor"}


def test_administrators_are_told_if_the_only_recipient_cannot_be_reached(world: MailWorld) -> None:
    assert at(world, minted(world, "alice") + 80 * DAY) == [("alice", 14)]
    now = datetime.now(UTC)
    message = claim(world.service.database, "example.org", now)
    assert message is not None
    with world.service.database.recording() as connection:
        end(connection, message, Ending("refused for good", Outcome.GIVEN_UP), now)
        TokenNotices().tell_others(message)(connection, now)
    assert told(world) == [("alice", 14), ("root", 14)]


def test_the_metrics_count_the_tokens_that_end_soon(world: MailWorld) -> None:
    made = minted(world)
    minted(world, "alice", 5 * DAY)

    def soon(now: datetime) -> dict[str, tuple[int, datetime | None]]:
        with world.service.database.reading() as connection:
            return {kind: (found.number, found.first) for kind, found in ending_soon(connection, now).items()}

    assert soon(made + 75 * DAY) == {"person": (0, None), "application": (0, None)}
    assert soon(made + 77 * DAY) == {"person": (0, None), "application": (1, made + 90 * DAY)}
    assert soon(made + 91 * DAY)["application"] == (0, None)
