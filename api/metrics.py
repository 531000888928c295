"""Figures for Prometheus."""

from __future__ import annotations

import os
from collections import Counter as Tally
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector


class Metrics:
    """The figures of one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._decisions = Counter(
            "accord_decisions", "Decisions by verdict and reason.", ("verdict", "reason"), registry=self.registry
        )
        self._by_reason: dict[str, Counter] = {}
        self.logins = Counter("accord_logins", "Logins by outcome.", ("outcome",), registry=self.registry)
        self.refusals = Counter("accord_refusals", "Refused requests by problem.", ("problem",), registry=self.registry)
        self.latency = Histogram(
            "accord_request_seconds",
            "How long requests took, by operation and status.",
            ("operation", "status"),
            buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5),
            registry=self.registry,
        )
        self.database_up = self._gauge("accord_database_up", "1 if the database answered when these figures were asked for.")
        self.generation = self._gauge("accord_generation", "The generation that decisions are based on.")
        self.revision_age = self._gauge("accord_revision_age_seconds", "Seconds since the last revision was applied.")
        self.mails_waiting = self._gauge("accord_mails_waiting", "Messages in the outbox that are waiting to be sent.")
        self.mail_oldest = self._gauge(
            "accord_mail_oldest_seconds", "Age of the oldest waiting message, except those of disabled accounts."
        )
        self.mails_sent = Counter("accord_mails_sent", "Messages sent, by template.", ("template",), registry=self.registry)
        self.mail_failures = Counter(
            "accord_mail_failures",
            "Failed attempts to send a message, by the side at fault.",
            ("fault",),
            registry=self.registry,
        )
        self.mails_given_up = Counter(
            "accord_mails_given_up", "Messages that were given up: somebody is not getting a mail.", registry=self.registry
        )
        self.mail_templates_unusable = Counter(
            "accord_mail_templates_unusable",
            "Messages sent with the built-in template because the declared one failed.",
            ("template",),
            registry=self.registry,
        )
        self.directory_age = self._gauge(
            "accord_directory_oldest_reading_seconds", "Age of the oldest reading of an account with access.", "domain"
        )
        self.directory_bound = self._gauge(
            "accord_directory_bound_seconds", "Time within which access that ends in the directory ends here.", "domain"
        )
        self.directory_stopped = self._gauge(
            "accord_directory_stopped",
            "1 if the last cycle stopped: it would have switched off too many accounts.",
            "domain",
        )
        self.clock_doubted = self._gauge("accord_clock_doubted", "1 if work is left out because the clock looks wrong.")
        self.tokens_expiring = self._gauge(
            "accord_tokens_expiring", "API tokens that end within 14 days and were made longer ago, by type of account.", "type"
        )
        self.token_next_end = self._gauge(
            "accord_token_next_end_seconds", "The Unix time at which the first of these ends; 0 if there are none.", "type"
        )
        self.reminders = Counter("accord_reminders", "Reminders put into the outbox.", registry=self.registry)
        self.reminded_until = self._gauge("accord_reminded_until_seconds", "Reminders due up to this Unix time have been made.")

    def _gauge(self, name: str, description: str, *labels: str) -> Gauge:
        return Gauge(name, description, labels, registry=self.registry, multiprocess_mode="mostrecent")

    def count_decision(self, reason: str, number: int = 1) -> None:
        """Count decisions with a reason."""
        counter = self._by_reason.get(reason)
        if counter is None:
            verdict = "allow" if reason == "permitted" else "deny"
            counter = self._by_reason[reason] = self._decisions.labels(verdict, reason)
        counter.inc(number)

    def count_decisions(self, reasons: Iterable[str]) -> None:
        """Count many at once."""
        for reason, number in Tally(reasons).items():
            self.count_decision(reason, number)

    def exposition(self) -> str:
        """The figures in Prometheus' text format, summed over all worker processes."""
        registry = self.registry
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry).decode()
