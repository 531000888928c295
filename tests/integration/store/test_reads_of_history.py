"""What pages read of history, mail, drift, expiry and the explorer."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta

import pytest
from console_reads import ORGANISATION, first, organised, reading
from declared_states import LATER, NOW, bring, query, run_sql
from test_console_reads import all_pages

from api.administration import retry_mail
from api.authentication.authority import OperatorsAuthority
from api.errors import Conflict
from api.outbox.listing import MailFilter, count_messages, list_messages
from api.reads.explorer import explain
from api.state import audit_log, drift, history, revisions
from api.state.audit_log import AuditFilter
from api.state.drift import Drifted, DriftWatch, find_undeclared
from api.state.freshness import Freshness
from reconciler.access.permitted_ips import parse_address
from reconciler.access.resources import Permission
from reconciler.store.engine import Database
from reconciler.store.tables import instant_text


@pytest.fixture(autouse=True)
def organisation(database: Database) -> None:
    organised(database)


def test_the_audit_log_is_filtered_paged_and_exported(database: Database) -> None:
    bring(
        database,
        ORGANISATION._replace(issuers={**ORGANISATION.issuers, "new": ORGANISATION.issuers["vpn"]._replace(name="new")}),
        "beef",
    )
    with reading(database) as (reader, _):
        everything = all_pages(lambda page: audit_log.list_entries(reader, page, AuditFilter()), 7)
        assert [each.id for each in everything] == list(range(len(everything), 0, -1))
        assert audit_log.chain_head(reader) == (len(everything), everything[0].hash)
        for wanted, fits in (
            (AuditFilter(kind="Issuer", name="new"), lambda each: each.name == "new"),
            (AuditFilter(action="user.create"), lambda each: each.action == "user.create"),
            (AuditFilter(actor="nobody"), lambda each: False),
            (AuditFilter(since=NOW, until=NOW + timedelta(seconds=1)), lambda each: True),
            (AuditFilter(since=LATER), lambda each: False),
            (AuditFilter(until=NOW), lambda each: False),
        ):
            expected = [each for each in everything if fits(each)]
            assert all_pages(lambda page, w=wanted: audit_log.list_entries(reader, page, w), 3) == expected  # type: ignore[misc]
            scanned = [audit_log.read_entry(row) for rows in audit_log.scan(reader, wanted) for row in rows]
            assert sorted(scanned, key=lambda each: -each.id) == expected


def test_a_revision_says_what_it_changed(database: Database) -> None:
    web = ORGANISATION.teams["web"]._replace(permissions=(Permission("tls"),))
    bring(database, ORGANISATION._replace(teams={**ORGANISATION.teams, "web": web}), "beef")
    with reading(database) as (reader, _):
        view, before = revisions.find_revision(reader, 2), revisions.find_revision(reader, 1)
        assert view is not None and before is not None
        assert (view.summary.commit, view.summary.is_repair) == ("beef", False)
        assert view.access is not None
        assert {each["user"] for each in view.access["lost"]} == {"alice", "carol", "dora"}
        (change,) = all_pages(lambda page: revisions.list_changes(reader, view, page), 1)
        assert (change.action, change.name) == ("team.update", "web")
        assert len(all_pages(lambda page: revisions.list_changes(reader, before, page), 4)) == sum(
            len(ORGANISATION.of_kind(kind)) for kind in ("User", "Team", "Issuer")
        )
        assert revisions.find_revision(reader, 99) is None
        sync = history.sync_state(reader, NOW + timedelta(hours=2))
        assert sync is not None
        assert (sync.commit, sync.age) == ("beef", timedelta(hours=2))


def test_mail_is_listed_by_state_and_tried_again(database: Database) -> None:
    run_sql(database, "DELETE FROM outbox")
    at = f"'{instant_text(NOW)}'"
    for number, (columns, values) in enumerate(
        [("attempts", "0"), ("last_error", "'refused'"), ("sent_at", at), ("ended_at, last_error", f"{at}, 'unwanted'")], 1
    ):
        run_sql(
            database, f"INSERT INTO outbox (id, template, created_at, {columns}) VALUES ({number}, 'welcome', {at}, {values})"
        )
    true = 1 if database.is_sqlite else "true"
    run_sql(
        database, f"INSERT INTO outbox (id, template, created_at, ended_at, given_up) VALUES (5, 'welcome', {at}, {at}, {true})"
    )
    with reading(database) as (reader, _):
        states = {"waiting": [2, 1], "failing": [2], "given-up": [5], "sent": [3], "unwanted": [4]}
        for state, numbers in states.items():
            found = all_pages(lambda page, s=state: list_messages(reader, page, MailFilter(s)), 1)  # type: ignore[misc]
            assert [each.id for each in found] == numbers
            assert [each.can_be_retried for each in found] == [each.id in (2, 5) for each in found]
            assert count_messages(reader, state).number == len(numbers)  # type: ignore[arg-type]
        authority = OperatorsAuthority(database, "root")
        with pytest.raises(Conflict):
            retry_mail(authority, [3, 5])
        assert retry_mail(authority, [5]) == 1
        assert [each.id for each in list_messages(reader, first(), MailFilter("given-up"))["items"]] == []
        assert query(database, "SELECT actor FROM audit WHERE action = 'mail.retry'") == [("root",)]


def test_drift_is_compared_beside_the_callers(database: Database) -> None:
    waiting: list[Callable[[], None]] = []
    with reading(database) as (reader, _):
        watch = DriftWatch(reader, waiting.append)
        assert watch.latest(NOW).tables is None
        waiting.pop()()
        assert watch.latest(NOW).tables == {}
        run_sql(database, "UPDATE issuers SET description = 'by hand'")
        run_sql(database, "INSERT INTO teams (name) VALUES ('by-hand')")
        later = NOW + timedelta(minutes=6)
        assert watch.latest(later).tables == {}
        waiting.pop()()
        assert watch.latest(later).tables == {"issuers": 1, "teams": 1}
        assert [(each.kind, list(each.names)) for each in find_undeclared(reader)] == [("Team", ["by-hand"])]


def test_a_comparison_that_fails_is_logged_and_tried_again(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def compare_badly(*_: object) -> Drifted:
        raise KeyError(7)

    with reading(database) as (reader, _), caplog.at_level(logging.ERROR, "accord.api"):
        watch = DriftWatch(reader, lambda work: work())
        with monkeypatch.context() as patched:
            patched.setattr(drift, "compare", compare_badly)
            assert watch.latest(NOW).tables is None
        assert [record.getMessage() for record in caplog.records] == ["comparing for drift failed (KeyError); it tries again"]
        assert watch.latest(NOW).tables == {}


@pytest.mark.parametrize(
    ("user", "issuer", "address", "reason", "acts"),
    [
        ("carol", "code", None, "permitted", []),
        ("root", "tls", None, "no-permission", [{"team": "admins", "issuer": "tls"}, {"team": "old", "user": "root"}]),
        ("alice", "vpn", None, "membership-ended", None),
        ("bob", "tls", None, "account-disabled", [{"name": "bob"}]),
        ("portal", "code", None, "account-disabled", [{"team": "web", "user": "portal"}]),
        ("dora", "off", None, "directory-unread", None),
        ("nobody", "tls", None, "unknown-account", [{"name": "nobody"}]),
        ("alice", "none", None, "unknown-issuer", []),
    ],
)
def test_the_explorer_says_why_and_what_is_missing(
    database: Database, user: str, issuer: str, address: str | None, reason: str, acts: list[object] | None
) -> None:
    with reading(database) as (reader, keeper):
        parsed = None if address is None else parse_address(address)
        found = explain(reader, keeper, Freshness({}), user, issuer, parsed, NOW, NOW)
        assert (found.allow, found.reason) == (reason == "permitted", reason)
        named = [act.arguments for each in found.missing for remedy in each.remedies for act in remedy.acts]
        if acts is not None:
            assert [each for each in named if each in acts] == named
            assert bool(named) is bool(acts)
        assert found.allow or all(each.remedies or each.otherwise for each in found.missing)
