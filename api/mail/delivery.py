"""Delivering the messages of the outbox: claim one, send it, record what came of it. No lock is held while it is sent."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import Any, NamedTuple

from api.background import Periodic
from api.mail.errors import Undelivered
from api.mail.message import Recipient, compose
from api.mail.retry_policy import RetryPolicy, spread
from api.mail.settings import MailSettings
from api.mail.transport import Transport, open_transport
from api.metrics import Metrics
from api.outbox import claims
from api.outbox.claims import Claimed
from api.outbox.kinds import Effect, Held, MessageKind, Unsendable
from api.outbox.messages import Ending, Outcome
from api.outbox.status import read_waiting
from api.state.reader import Reader
from api.state.templates import declared_template
from reconciler.access.resources import EmailTemplate
from reconciler.mail.addresses import mailbox
from reconciler.mail.builtin import BUILT_IN
from reconciler.mail.fitness import objections
from reconciler.mail.links import Hosts
from reconciler.mail.rendering import BadTemplate, Rendered, render
from reconciler.store.audit import Event, append
from reconciler.store.errors import StoreError

_POLL = 1.0
_AFTER_FAILURE = 10.0
"""Seconds between looking for due messages: as a rule, and after a failure of Accord itself."""
_TELL = 15.0
"""Seconds between counting what waits."""
_PATIENCE = 8.0
"""Seconds for the message under way when stopping."""
_SPARE = timedelta(seconds=15)
_MARKING = claims.LEASE - timedelta(seconds=90)
"""How long after a claim we try to record that the message was sent."""
ACTOR = "mail"
"""Who reports, in the audit log, a template that cannot be used."""
_chance = random.SystemRandom()
_log = logging.getLogger("accord.api")


def _without(password: str | None, text: str) -> str:
    return text if password is None else text.replace(password, "***")


class PreparedMessage(NamedTuple):
    """A message, ready to be sent."""

    recipient: Recipient
    content: bytes
    take_effect: Effect | None


class Delivery:
    """One sender: a thread that delivers due messages, one after another."""

    def __init__(
        self,
        settings: MailSettings,
        reader: Reader,
        kinds: Mapping[str, MessageKind],
        metrics: Metrics,
        *,
        policy: RetryPolicy | None = None,
        transport: Transport | None = None,
        only_passwords: bool = False,
    ) -> None:
        """`kinds`: what knows the messages of each template. `only_passwords`: a sender that is kept free for mails with
        passwords, which no slow bulk of others can delay.
        """
        self._only_passwords = only_passwords
        self._settings = settings
        self._reader = reader
        self._database = reader.database
        self._kinds = kinds
        self._metrics = metrics
        self._policy = policy or RetryPolicy()
        self._transport = transport or open_transport(settings)
        self._domain = settings.sender.rpartition("@")[2]
        name = "passwords" if only_passwords else "mail"
        # no tracebacks: they could hold a password
        self._sending = Periodic(name, self._round, every=_POLL, after_failure=_AFTER_FAILURE, is_secret=True)
        self._not_before = 0.0
        self._told = 0.0
        self._new_first = cycle((False, True))
        self._unusable: set[EmailTemplate] = set()
        self._failures = 0
        self._away_since: datetime | None = None

    def start(self) -> None:
        """Deliver from now on, if this process does."""
        if self._settings.delivers:
            if not self._only_passwords:
                _log.info("mail goes to %s", self._settings.shown)
            self._sending.start()

    def stop_soon(self) -> None:
        """Begin no further message, without waiting for the one under way."""
        self._sending.stop()

    def stop(self) -> None:
        """Finish the message under way, for some seconds; one that takes longer is sent again by the next sender."""
        self._sending.stop()
        if not self._sending.join(_PATIENCE):
            self._transport.cut()
            self._sending.join(_PATIENCE / 4)

    def _round(self, now: datetime, _: threading.Event) -> None:
        self._tell(now)
        if time.monotonic() >= self._not_before:
            pause = self.deliver(datetime.now(UTC))
            self._not_before = time.monotonic() + pause

    def deliver(self, now: datetime) -> float:
        """Deliver what is due, one message after another. Returns the seconds to leave the server alone. Raises StoreError."""
        only = self._only_passwords
        try:
            while not self._sending.stopping.is_set() and claims.is_due(self._reader, now, only_passwords=only):
                message = claims.claim(self._database, self._domain, now, new_first=next(self._new_first), only_passwords=only)
                if message is None:
                    break
                wait = self._deliver_one(message, now)
                if wait:
                    return wait
                now = max(now, datetime.now(UTC))
                self._tell(now)
        finally:
            self._transport.close()
        return 0.0

    def _deliver_one(self, message: Claimed, now: datetime) -> float:
        """Deliver a message. Returns the seconds to leave the server alone."""
        try:
            prepared = self._prepare(message, now)
            if datetime.now(UTC) - message.claimed_at > claims.LEASE - timedelta(seconds=self._settings.timeout) - _SPARE:
                raise Undelivered("it took too long to write; another sender may have it now", "temporary")
            self._transport.send(
                prepared.recipient.envelope, prepared.content, message.message_id, secret=prepared.take_effect is not None
            )
        except Unsendable as found:
            self._end(message, found.ending, now, found.tell_others)
            return 0.0
        except Held:
            with self._database.noting() as connection:
                claims.put_off(connection, message, now + claims.HELD, None, counts=False)
            return 0.0
        except Undelivered as failure:
            return self._fail(message, failure, max(now, datetime.now(UTC)))
        self._failures, self._away_since = 0, None
        self._settle(message, prepared)
        return 0.0

    def _prepare(self, message: Claimed, now: datetime) -> PreparedMessage:
        """The message, ready to be sent. Raises Unsendable, Held, Undelivered or StoreError."""
        try:
            return self._write(message, now)
        except (Unsendable, Held, StoreError):
            raise
        except Exception as error:  # noqa: BLE001 - one message that cannot be written must not stop the others
            raise Undelivered(f"internal error while writing it ({type(error).__name__})", "temporary") from None

    def _write(self, message: Claimed, now: datetime) -> PreparedMessage:
        kind = self._kinds.get(message.template)
        if kind is None:
            raise Unsendable(Ending(f"there is no template `{message.template[:32]}`", Outcome.GIVEN_UP))
        with self._database.reading() as connection:
            material = kind.gather(connection, claims.current(connection, message), now)
            declared = declared_template(connection, message.template)
        address = mailbox(material.address)
        if address is None:
            raise Unsendable(Ending("it has no address that mail can be sent to", Outcome.GIVEN_UP))
        hosts = self._settings.link_hosts | material.link_hosts
        password = None if material.make_password is None else material.make_password(now)
        variables = {**material.variables, "url": self._settings.public_url or None, **(password.variables if password else {})}
        rendered = self._rendered(message.template, declared, variables, hosts, password.secret if password else None)
        recipient = Recipient(address, material.name)
        content = compose(rendered, sender=self._settings.sender, recipient=recipient, message_id=message.message_id, now=now)
        return PreparedMessage(recipient, content, password.take_effect if password else None)

    def _rendered(
        self, name: str, declared: EmailTemplate | None, variables: dict[str, Any], hosts: Hosts, password: str | None
    ) -> Rendered:
        """Render the declared template, or the built-in one if it fails or is unfit: a lost mail is worse than a plain one."""
        if declared is not None:
            try:
                rendered = render(declared, variables, hosts)
                objection = next(objections(rendered, hosts, password), None)
                if objection is None:
                    return rendered
                why = f"{objection.field}: {_without(password, objection.message)}"
            except Exception as error:  # noqa: BLE001 - a template may do anything, and its words may hold the password
                why = f"{error.field}, line {error.line or 1}" if isinstance(error, BadTemplate) else type(error).__name__
            self._report_unusable(declared, why)
        return render(BUILT_IN[name], variables, hosts)

    def _report_unusable(self, template: EmailTemplate, why: str) -> None:
        """Tell operators that the built-in template is sent; the audit log, once for each template. Raises StoreError."""
        _log.error("the declared template %s cannot be used (%s); the built-in one is sent instead", template.name, why)
        self._metrics.mail_templates_unusable.labels(template.name).inc()
        if template not in self._unusable:
            event = Event("mail.template-unusable", "EmailTemplate", template.name, {"why": why})
            with self._database.recording() as connection:
                append(connection, [event], at=datetime.now(UTC), actor=ACTOR)
            self._unusable.add(template)

    def _settle(self, message: Claimed, prepared: PreparedMessage) -> None:
        """Record that it was sent, trying for as long as the claim holds. Raises StoreError."""
        while True:
            try:
                with self._database.recording() as connection:
                    wanted = claims.mark_sent(connection, message, datetime.now(UTC))
                    if prepared.take_effect is not None and wanted:
                        prepared.take_effect(connection, datetime.now(UTC))
                break
            except StoreError:
                if datetime.now(UTC) > message.claimed_at + _MARKING or self._sending.stopping.is_set():
                    raise
                time.sleep(_POLL)
        self._metrics.mails_sent.labels(message.template).inc()

    def _end(self, message: Claimed, ending: Ending, now: datetime, tell_others: Effect | None = None) -> None:
        # if more than this row is touched, it is locked in the order in which an apply locks things
        with self._database.recording() if tell_others else self._database.noting() as connection:
            ended = claims.end(connection, message, ending, now)
            if ended and tell_others:
                tell_others(connection, now)
        if ended and ending.outcome is Outcome.GIVEN_UP:
            self._give_up(1, ending.why)

    def _fail(self, message: Claimed, failure: Undelivered, now: datetime) -> float:
        """Record a failure. Returns the seconds to leave the server alone."""
        counts = failure.fault != "server"
        self._metrics.mail_failures.labels(failure.fault).inc()
        self._failures += 1
        if counts and self._policy.is_over(message.attempts, failure.fault, self._settings.give_up):
            tell_others = self._kinds[message.template].tell_others(message)
            self._end(message, Ending(str(failure), Outcome.GIVEN_UP), now, tell_others)
        else:
            wait = self._policy.delay(message.attempts, failure.fault) if counts else self._policy.away_first
            until = now + spread(wait, _chance.random())
            with self._database.noting() as connection:
                claims.put_off(connection, message, until, str(failure), counts=counts)
        if failure.fault in ("temporary", "permanent"):
            _log.warning("message %d (%s) was not delivered: %s", message.id, message.template, failure)
            self._away_since = None
            return 0.0 if self._failures < self._policy.patience else self._policy.refused_pause.total_seconds()
        _log.warning("mail waits: %s", failure)
        self._leave_alone(failure, now)
        return self._pause(self._failures)

    def _pause(self, failures: int) -> float:
        return spread(self._policy.pause(failures), _chance.random()).total_seconds()

    def _leave_alone(self, failure: Undelivered, now: datetime) -> None:
        """The server is away. Give up what has waited too long, all of it while the server was away."""
        if failure.fault != "server":
            return
        self._away_since = self._away_since or now
        if now - self._away_since >= self._settings.give_up:
            with self._database.recording() as connection:
                number = claims.end_older(connection, now - self._settings.give_up, Ending(str(failure), Outcome.GIVEN_UP), now)
            self._give_up(number, str(failure))

    def _give_up(self, number: int, why: str) -> None:
        if number:
            self._metrics.mails_given_up.inc(number)
            _log.error("%d messages were given up: %s; see `accord-api mail status`", number, why)

    def _tell(self, now: datetime) -> None:
        """Now and then, set the figures that are counted in the database."""
        if self._only_passwords or time.monotonic() < self._told:
            return
        self._told = time.monotonic() + _TELL
        with self._database.reading() as connection:
            waiting, _, oldest = read_waiting(connection)
        self._metrics.mails_waiting.set(waiting)
        self._metrics.mail_oldest.set(0 if oldest is None else max(0.0, (now - oldest).total_seconds()))
