"""Delivering what the outbox holds: claim a message, send it, write down what came of it. No lock is held while it is sent.

A password is made for one message, and nothing of it is kept but its hash, which takes effect in the transaction that says that
the message is sent. Where sending fails, the next try makes another.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import Any, NamedTuple, Protocol

from sqlalchemy import Row

from api.authentication import credentials
from api.authentication.generated import generate_password
from api.authentication.password_changes import replace_password
from api.authentication.passwords import Passwords
from api.certificates import recipients
from api.mail import retry_policy as pace
from api.mail.errors import Undelivered
from api.mail.maildir import Maildir
from api.mail.message import Recipient, compose
from api.mail.retry_policy import Pace
from api.mail.settings import MailSettings, is_address
from api.mail.smtp import Smtp
from api.mail.variables import gather
from api.metrics import Metrics
from api.outbox import claims as outbox
from api.outbox.claims import Claimed
from api.outbox.messages import Ending, Outcome
from api.outbox.queue import end_password_mails
from api.outbox.status import read_waiting
from api.state import accounts
from api.state.policies import Policies
from api.state.reader import Reader
from reconciler.access.mails import PASSWORD_MAILS, WELCOME
from reconciler.access.resources import EmailTemplate
from reconciler.mail.builtin import BUILT_IN
from reconciler.mail.rendering import BadTemplate, Rendered, render
from reconciler.store.audit import Event, append
from reconciler.store.errors import StoreError
from reconciler.store.tables import instant_text

ACTOR = "mail"
"""Who changes passwords by mail, in the audit log; who asked for it stands there, too."""
_POLL = 1.0
_TELL = 15.0
"""Seconds between looking for what is due, and between counting what waits."""
_PATIENCE = 8.0
"""Seconds for the message under way when stopping."""
_SPARE = timedelta(seconds=15)
_MARKING = outbox.LEASE - timedelta(seconds=90)
"""For so long after a claim it is tried to write down that the message is sent."""
_log = logging.getLogger("accord.api")


class Way(Protocol):
    """A way out."""

    def send(self, recipient: str, content: bytes, message_id: str, *, secret: bool) -> None:
        """Hand over one message. Raises Undelivered."""

    def close(self) -> None:
        """No more for now."""

    def cut(self) -> None:
        """End what is under way, from another thread."""


def way_out(settings: MailSettings) -> Way:
    """Where messages go in this deployment."""
    if settings.server is None:
        return Maildir(settings.maildir)
    return Smtp(settings.server, sender=settings.sender, timeout=settings.timeout)


class NewPassword(NamedTuple):
    """A password that was made for a message, as it will be kept."""

    hashed: str
    expires_at: datetime
    before: datetime | None
    """When the password that it takes the place of was set."""


class Letter(NamedTuple):
    """A message, ready to be sent."""

    recipient: Recipient
    content: bytes
    password: NewPassword | None


class Unsendable(Exception):
    """A message that will never be sent."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.why)
        self.ending = ending


class Held(Exception):
    """A password mail of an account that was disabled since it was claimed."""


class Delivery:
    """One sender: a thread that delivers what is due, one message after the other."""

    def __init__(
        self,
        settings: MailSettings,
        reader: Reader,
        policies: Callable[[], Policies],
        passwords: Passwords,
        metrics: Metrics,
        *,
        pace: Pace | None = None,
        way: Way | None = None,
    ) -> None:
        self._settings = settings
        self._reader = reader
        self._database = reader.database
        self._policies = policies
        self._passwords = passwords
        self._metrics = metrics
        self._pace = pace or Pace()
        self._way = way or way_out(settings)
        self._domain = settings.sender.rpartition("@")[2]
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mail", daemon=True)
        self._told = 0.0
        self._new_first = cycle((False, True))
        self._failures = 0
        self._away_since: datetime | None = None

    def start(self) -> None:
        """Deliver from now on, where this process does."""
        if self._settings.delivers:
            _log.info("mail goes to %s", self._settings.shown)
            self._thread.start()

    def stop(self) -> None:
        """Finish the message under way, for some seconds; one that takes longer is tried again by whoever comes next."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(_PATIENCE)
        if self._thread.is_alive():
            self._way.cut()
            self._thread.join(_PATIENCE / 4)

    def _run(self) -> None:
        not_before = 0.0
        while not self._stopping.wait(_POLL):
            wait = 10 * _POLL
            try:
                self._tell(datetime.now(UTC))
                if time.monotonic() < not_before:
                    continue
                wait = self.deliver(datetime.now(UTC))
            except StoreError as error:
                _log.warning("mail waits, since the database cannot be used: %s", error)
            except Exception as error:  # noqa: BLE001 - it must go on; and no traceback, which could hold a password
                _log.error("a fault of Accord's in delivering mail (%s); it is tried again", type(error).__name__)
            not_before = time.monotonic() + wait
        self._way.close()

    def deliver(self, now: datetime) -> float:
        """Deliver what is due by now, one after the other; the seconds for which to leave the server alone. Raises StoreError."""
        try:
            while not self._stopping.is_set() and outbox.is_due(self._reader, now):
                message = outbox.claim(self._database, self._domain, now, new_first=next(self._new_first))
                if message is None:
                    break
                wait = self._deliver_one(message, now)
                if wait:
                    return wait
                now = max(now, datetime.now(UTC))
                self._tell(now)
        finally:
            self._way.close()
        return 0.0

    def _deliver_one(self, message: Claimed, now: datetime) -> float:
        """The seconds for which to leave the server alone."""
        try:
            letter = self._written(message, now)
            if datetime.now(UTC) - message.claimed_at > outbox.LEASE - timedelta(seconds=self._settings.timeout) - _SPARE:
                raise Undelivered("it took too long to write it, and may be another's by now", "temporary")
            self._way.send(letter.recipient.envelope, letter.content, message.message_id, secret=letter.password is not None)
        except Unsendable as error:
            self._end(message, error.ending, now)
            return 0.0
        except Held:
            with self._database.noting() as connection:
                outbox.put_off(connection, message, now + outbox.HELD, None, counts=False)
            return 0.0
        except Undelivered as failure:
            return self._fail(message, failure, max(now, datetime.now(UTC)))
        self._failures, self._away_since = 0, None
        self._settle(message, letter, now)
        return 0.0

    def _written(self, message: Claimed, now: datetime) -> Letter:
        """The message, ready to be sent. Raises Unsendable, Held, Undelivered or StoreError."""
        try:
            return self._write(message, now)
        except (Unsendable, Held, StoreError):
            raise
        except Exception as error:  # noqa: BLE001 - one message that cannot be written must not keep the others
            raise Undelivered(f"a fault of Accord's in writing it ({type(error).__name__})", "temporary") from None

    def _write(self, message: Claimed, now: datetime) -> Letter:
        with self._database.reading() as connection:
            message = outbox.current(connection, message)
            material = gather(connection, message, self._settings.public_url, now)
            if material is None:
                raise Unsendable(Ending("what it is about is gone", Outcome.UNWANTED))
            if message.template not in PASSWORD_MAILS:
                reason = recipients.still_wanted(connection, message)  # type: ignore[arg-type] # a row of the outbox, as far as it looks
                if reason is not None:
                    raise Unsendable(Ending(reason, Outcome.UNWANTED, reason == recipients.GONE))
        if not is_address(material.recipient.address):
            raise Unsendable(Ending("there is no address that mail can be sent to", Outcome.GIVEN_UP))
        variables, password = dict(material.variables), None
        if message.template in PASSWORD_MAILS:
            assert material.account is not None
            if accounts.is_disabled(material.account):
                raise Held
            reason = _unwanted_password(message, material.account)
            if reason is not None:
                raise Unsendable(Ending(reason, Outcome.UNWANTED))
            secret, password = self._make_password(material.account, now)
            variables |= {"password": secret, "passwordExpires": password.expires_at}
        content = compose(
            self._rendered(message.template, material.declared, variables),
            sender=self._settings.sender,
            recipient=material.recipient,
            message_id=message.message_id,
            now=now,
        )
        return Letter(material.recipient, content, password)

    def _make_password(self, account: Row[Any], now: datetime) -> tuple[str, NewPassword]:
        policies = self._policies()
        secret = generate_password(policies.passwords.min_length)
        expires_at = now.replace(microsecond=0) + policies.generated_lifetime
        return secret, NewPassword(self._passwords.hash_in_time(secret), expires_at, account.password_set_at)

    def _rendered(self, name: str, declared: EmailTemplate | None, variables: dict[str, Any]) -> Rendered:
        """By the declared template, or where that fails by the one that is built in: a lost mail is worse than a plain one."""
        if declared is not None:
            try:
                return render(declared, variables)
            except Exception as error:  # noqa: BLE001 - whatever a template does; and its words may hold the password
                where = f"{error.field}, line {error.line or 1}" if isinstance(error, BadTemplate) else type(error).__name__
                _log.error("the declared template %s cannot be used (%s); the one that is built in was sent", name, where)
                self._metrics.mail_templates_unusable.labels(name).inc()
        if name not in BUILT_IN:
            raise Unsendable(Ending(f"there is no template `{name[:32]}`", Outcome.GIVEN_UP))
        return render(BUILT_IN[name], variables)

    def _settle(self, message: Claimed, letter: Letter, now: datetime) -> None:
        """Write down that it is sent. It is, so this is tried for as long as the message is ours. Raises StoreError."""
        while True:
            try:
                with self._database.recording() as connection:
                    wanted = outbox.mark_sent(connection, message, datetime.now(UTC))
                    if letter.password is not None and wanted:
                        _take_effect(connection, message, letter.password, datetime.now(UTC))
                break
            except StoreError:
                if datetime.now(UTC) > message.claimed_at + _MARKING or self._stopping.is_set():
                    raise
                time.sleep(_POLL)
        self._metrics.mails_sent.labels(message.template).inc()

    def _end(self, message: Claimed, ending: Ending, now: datetime) -> None:
        # where more than this row is touched, in the order in which an apply locks things
        with self._database.recording() if ending.tells_others else self._database.noting() as connection:
            ended = outbox.end(connection, message, ending, now)
            if ended and ending.tells_others:
                recipients.tell_others(connection, message, now)  # type: ignore[arg-type] # as above
        if ended and ending.outcome is Outcome.GIVEN_UP:
            self._give_up(1, ending.why)

    def _fail(self, message: Claimed, failure: Undelivered, now: datetime) -> float:
        """Write down that it failed; the seconds for which to leave the server alone."""
        counts = failure.fault != "server"
        self._metrics.mail_failures.labels(failure.fault).inc()
        self._failures += 1
        if counts and pace.is_over(self._pace, message.attempts, failure.fault, self._settings.give_up):
            self._end(message, Ending(str(failure), Outcome.GIVEN_UP), now)
        else:
            wait = pace.delay(self._pace, message.attempts, failure.fault) if counts else self._pace.away_first
            until = now + pace.spread(wait, random.random())  # noqa: S311 - no secret
            with self._database.noting() as connection:
                outbox.put_off(connection, message, until, str(failure), counts=counts)
        if failure.fault in ("temporary", "permanent"):
            _log.warning("message %d (%s) was not delivered: %s", message.id, message.template, failure)
            self._away_since = None
            return 0.0 if self._failures < self._pace.patience else self._pace.refused_pause.total_seconds()
        _log.warning("mail waits: %s", failure)
        self._leave_alone(failure, now)
        return self._pause(self._failures)

    def _pause(self, failures: int) -> float:
        return pace.spread(pace.pause(self._pace, failures), random.random()).total_seconds()  # noqa: S311 - no secret

    def _leave_alone(self, failure: Undelivered, now: datetime) -> None:
        """The server is away, which keeps every message: what has waited all that time, and too long, is given up."""
        if failure.fault != "server":
            return
        self._away_since = self._away_since or now
        if now - self._away_since >= self._settings.give_up:
            with self._database.recording() as connection:
                number = outbox.end_older(connection, now - self._settings.give_up, Ending(str(failure), Outcome.GIVEN_UP), now)
            self._give_up(number, str(failure))

    def _give_up(self, number: int, why: str) -> None:
        if number:
            self._metrics.mails_given_up.inc(number)
            _log.error("%d messages were given up: %s; see `accord-api mail status`", number, why)

    def _tell(self, now: datetime) -> None:
        """Set the figures that are counted in the database, now and then."""
        if time.monotonic() < self._told:
            return
        self._told = time.monotonic() + _TELL
        with self._database.reading() as connection:
            waiting, _, oldest = read_waiting(connection)
        self._metrics.mails_waiting.set(waiting)
        self._metrics.mail_oldest.set(0 if oldest is None else max(0.0, (now - oldest).total_seconds()))


def _unwanted_password(message: Claimed, account: Row[Any]) -> str | None:
    """Why an account is not to be given a password by a message."""
    if account.source == "directory":
        return "it is a directory account by now: its password is its directory's affair"
    if message.template == WELCOME and account.password_hash and account.password_set_at >= message.created_at:
        return "the account has a password by now"
    return None


def _take_effect(connection: Any, message: Claimed, password: NewPassword, now: datetime) -> None:
    """Give the account the password that was mailed to it.

    A reset, which an administrator asked for, goes before a change that the account's owner, or whoever has its password, made
    meanwhile. A welcome does not: its owner has come in by another way.
    """
    account = accounts.find_by_id(connection, message.user_id)
    if account is None or account.source == "directory":
        return
    detail: dict[str, Any] = {"message": message.id, "template": message.template}
    if message.template == WELCOME and account.password_set_at != password.before:
        append(connection, [Event("password.generate-unused", "User", account.name, detail)], at=now, actor=ACTOR)
        return
    replace_password(connection, account, password.hashed, now=now, change_required=True, expires_at=password.expires_at)
    ended = credentials.revoke(connection, account.id, now, kind="session")
    # whoever asked before this message was begun has been answered by it
    reason = "another message has brought a password since"
    end_password_mails(connection, account.id, reason, now, before=message.claimed_at)
    detail |= {"expiresAt": instant_text(password.expires_at), "revokedCredentials": len(ended)}
    append(connection, [Event("password.generate", "User", account.name, detail)], at=now, actor=ACTOR)
