"""accord-api mail."""

from __future__ import annotations

from datetime import datetime

import click

from api.cli.groups import Group
from api.cli.operator import at_work, database_option
from api.cli.output import say, say_json

_SHOWN = 50
_NUMBER = click.IntRange(1, 2**31 - 1)
_NUMBER.name = "message number"
_format = click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)


@click.group(
    "mail",
    cls=Group,
    epilog="""\b
Examples:
  accord-api mail status
  accord-api mail test alice@example.org
  accord-api mail retry --all
""",
)
def command() -> None:
    """See which mails wait and why, retry them, and send a test message."""


@command.command(
    "status",
    short_help="Show which mails wait, failed or were given up.",
    epilog="""\b
Examples:
  accord-api mail status
  accord-api mail status --format json

\b
Exit codes: 0 nothing was given up; 1 something was.
""",
)
@_format
@database_option
def status(form: str, **options: str | None) -> int:
    """Show how many messages wait and since when, which failed and why, and which were given up."""
    from api.outbox import status as outbox
    from reconciler.access.instants import format_instant

    with at_work(options) as (settings, database, _), database.reading() as connection:
        found, trouble = outbox.read_status(connection), outbox.read_trouble(connection, _SHOWN)
    waiting = found.waiting
    if form == "json":
        shown = {
            "way": settings.mail.shown,
            "waiting": waiting.messages,
            "heldBack": waiting.held_back,
            "oldest": waiting.oldest and format_instant(waiting.oldest),
            "givenUp": found.given_up,
            "unwanted": found.unwanted,
            "sent": found.sent,
            "trouble": [
                {
                    "id": each.id,
                    "template": each.template,
                    "to": each.recipient,
                    "attempts": each.attempts,
                    "createdAt": format_instant(each.created_at),
                    "nextAttemptAt": each.next_attempt_at and format_instant(each.next_attempt_at),
                    "why": each.why,
                }
                for each in trouble
            ],
        }
        say_json(shown)
    else:
        say(f"Mail goes to {settings.mail.shown}.")
        since = f", the oldest since {_second(waiting.oldest)}" if waiting.oldest else ""
        held = f"; of them {waiting.held_back} until their accounts are enabled" if waiting.held_back else ""
        say(f"{waiting.messages} {_of(waiting.messages, 'waits', 'wait')}{since}{held}.")
        given_up, unwanted = _of(found.given_up, "was", "were"), _of(found.unwanted, "was", "were")
        say(f"{found.given_up} {given_up} given up, {found.unwanted} {unwanted} no longer wanted.")
        for template, number in found.sent.items():
            say(f"{number} sent: {template}")
        for each in trouble:
            after = f"next try {_second(each.next_attempt_at)}" if each.next_attempt_at else "never again"
            tries = f"{each.attempts} {_of(each.attempts, 'try', 'tries')}"
            say(f"#{each.id}  {each.template} to {each.recipient}, {tries}, {after}\n      {each.why}")
    return 1 if found.given_up else 0


def _of(number: int, one: str, several: str) -> str:
    return one if number == 1 else several


def _second(instant: datetime) -> str:
    """An instant for people, to the second."""
    from reconciler.access.instants import format_instant

    return format_instant(instant.replace(microsecond=0))


@command.command(
    "retry",
    short_help="Retry messages that failed or were given up.",
    epilog="""\b
Examples:
  accord-api mail retry 17
  accord-api mail retry --all

\b
Exit codes: 0 they will be tried again; 1 one of them has neither failed nor been given up, and nothing was changed.
""",
)
@click.argument("ids", nargs=-1, metavar="[ID]...", type=_NUMBER)
@click.option("--all", "everything", is_flag=True, help="Retry all messages that failed and wait, or were given up.")
@database_option
def retry(ids: tuple[int, ...], everything: bool, **options: str | None) -> None:
    """Retry messages that failed or were given up at once. Messages that were sent or are no longer wanted are left alone."""
    from api.administration import retry_mail
    from api.errors import Conflict

    if bool(ids) is everything:
        raise click.UsageError("name the messages to retry by number (see `accord-api mail status`), or pass --all")
    with at_work(options) as (_, __, authority):
        try:
            number = retry_mail(authority, None if everything else ids)
        except Conflict as error:
            raise click.ClickException(str(error)) from None
    say(f"{number} {_of(number, 'message', 'messages')} will be tried again at once.")


@command.command(
    "test",
    short_help="Send a test message now.",
    epilog="""\b
Examples:
  accord-api mail test alice@example.org
  ACCORD_SMTP_HOST=mail.example.org ACCORD_SMTP_FROM=accord@example.org accord-api mail test alice@example.org

\b
Exit codes: 0 it was sent; 1 it was not.
""",
)
@click.argument("address")
def test(address: str) -> None:
    """Send a test message now, with the settings of the server, and say what went wrong if it fails."""
    import secrets
    from datetime import UTC

    from api.mail.errors import Undelivered
    from api.mail.message import Recipient, compose
    from api.mail.smtp import Smtp
    from api.mail.transport import open_transport
    from api.settings import read_settings
    from reconciler.mail.addresses import mailbox
    from reconciler.mail.rendering import Rendered

    settings = read_settings({}).mail
    recipient = mailbox(address)
    if recipient is None:
        raise click.ClickException(f"`{address}` is not an address that mail can be sent to")
    text = "This is a test message from Accord. If you can read it, mail works."
    content = compose(
        Rendered("Test message from Accord", f"{text}\n", f"<p>{text}</p>\n"),
        sender=settings.sender,
        recipient=Recipient(recipient),
        message_id=f"<{secrets.token_hex(16)}@{settings.sender.rpartition('@')[2]}>",
        now=datetime.now(UTC),
    )
    transport = open_transport(settings)
    try:
        if isinstance(transport, Smtp):
            say(f"Connected to {settings.shown}: {transport.connect()}.")
        transport.send(Recipient(recipient).envelope, content, f"test {secrets.token_hex(16)}", secret=False)
    except Undelivered as failure:
        raise click.ClickException(f"nothing was sent: {failure}") from None
    finally:
        transport.close()
    say(f"A test message to {address} went to {settings.shown}.")
