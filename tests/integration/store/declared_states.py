"""What the store's tests share: states, hand-made and random, and bringing a database into accord with them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from sqlalchemy import text

from reconciler.access.duties import ADMINISTRATOR
from reconciler.access.resources import (
    KINDS,
    DeclaredState,
    EmailTemplate,
    Guards,
    Issuer,
    Key,
    Membership,
    Origin,
    Permission,
    Resource,
    Revision,
    Settings,
    Team,
    User,
)
from reconciler.plan.actual import Actual
from reconciler.plan.changes import Desired
from reconciler.plan.make import make_plan
from reconciler.plan.plan import Plan
from reconciler.store import tables
from reconciler.store.apply import apply_plan
from reconciler.store.engine import Connection, Database
from reconciler.store.read import read_actual

SEARCH = settings(
    max_examples=12,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],  # explaining traces every line, for minutes
)
NOW = datetime(2026, 6, 1, tzinfo=UTC)
LATER = datetime(2027, 1, 31, 12, 30, 15, 123456, tzinfo=UTC)

SMALL = DeclaredState(
    users={
        "alice": User("alice", "alice@example.org", "Alice Jones", identity="emp-4711"),
        "bob": User("bob", "bob@example.org", initial_password="none", password_change_required_after=LATER),
        "root": User("root", "root@example.org", labels=(("cost-centre", "42"),)),
        "portal": User("portal", "portal@example.org", type="application", initial_password="none"),
    },
    teams={
        "admins": Team("admins", administrator=True, members=(Membership("root"),), permitted_ips=("10.0.0.0/8",)),
        "web": Team(
            "web",
            "Runs the web tier",
            members=(Membership("alice"), Membership("bob", LATER, "cover for parental leave")),
            permissions=(Permission("tls-internal"), Permission("tls-public", LATER)),
            ad_groups=("PKI-Web",),
            may_decide_for=("admins",),
        ),
    },
    issuers={
        "tls-internal": Issuer("tls-internal", "Internal TLS", "Server certificates"),
        "tls-public": Issuer("tls-public", enabled=False),
    },
    templates={"welcome": EmailTemplate("welcome", "Hello", "Dear {{ user }}", "<p>Dear</p>")},
    settings=Settings(guards=Guards(separation_of_duties=(("admins", "web"),)), policies=(("mail", '{"onIssue":true}'),)),
)
"""A state with something in every column."""


def origins_of(state: DeclaredState, folder: str = "") -> dict[Key, Origin]:
    """A file of its own for every resource."""
    return {(kind, name): Origin(f"{folder}{kind}/{name}.yaml", 1) for kind in KINDS for name in state.of_kind(kind)}


def plan_for(actual: Actual, state: DeclaredState, commit: str = "c0ffee", **options: Any) -> Plan:
    origins = options.pop("origins", None) or origins_of(state)
    return make_plan(actual, Desired(state, origins), revision=Revision(commit, "Alice Jones", NOW, "Change"), now=NOW, **options)


def execute(connection: Connection, plan: Plan) -> int | None:
    return apply_plan(
        connection,
        plan,
        repository="config.git",
        branch="main",
        applied_by="tester",
        overrides=[],
        now=NOW,
    )


def bring(database: Database, state: DeclaredState, commit: str = "c0ffee", **options: Any) -> Plan:
    """Bring a database into accord with a state, in one transaction."""
    with database.writing() as connection:
        plan = plan_for(read_actual(connection, now=NOW), state, commit, **options)
        execute(connection, plan)
    return plan


def held(database: Database) -> Actual:
    with database.reading() as connection:
        return read_actual(connection, now=NOW)


def query(database: Database, statement: str, **values: Any) -> list[tuple[Any, ...]]:
    with database.reading() as connection:
        return [tuple(row) for row in connection.execute(text(statement), values)]


def run_sql(database: Database, statement: str, **values: Any) -> None:
    with database.writing() as connection:
        connection.execute(text(statement), values)


def emptied(database: Database) -> None:
    """As freshly upgraded; quicker than a new database for each random example."""
    with database.writing() as connection:
        for table in reversed(tables.metadata.sorted_tables):
            if table is not tables.state:
                connection.execute(table.delete())
        connection.execute(tables.state.update().values(generation=0, audit_count=0, audit_head="0" * 64))


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8) | st.sampled_from(
    ["\\N", "a\tb", "line\nline", "back\\slash\\", "quote'\"", "\\.", "{}", "é𝄞\u202e", "\r\n"]
)
INSTANTS = st.none() | st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)).map(lambda moment: moment.replace(tzinfo=UTC))
LABELS = st.dictionaries(TEXTS, TEXTS, max_size=2).map(lambda found: tuple(sorted(found.items())))
SORTED_TEXTS = st.sets(TEXTS, max_size=2).map(lambda found: tuple(sorted(found)))

IDENTIFIERS = st.none() | st.sampled_from(["5f2b7c9d1e3a4b5c6d7e8f90", "000000000000000000000001"])

POLICIES = st.dictionaries(TEXTS, TEXTS, max_size=1).map(lambda found: orjson.dumps(found).decode())


@st.composite
def users(draw: st.DrawFn, name: str) -> User:
    return User(
        name,
        draw(TEXTS),
        draw(st.none() | TEXTS),
        draw(st.sampled_from(["person", "application"])),
        draw(st.sampled_from([True, True, False])),
        draw(st.sampled_from(["generated", "none"])),
        draw(INSTANTS),
        draw(LABELS),
        identity=draw(st.none() | TEXTS.map(lambda text: name + text)),
        logins=draw(st.sampled_from([(), (), (f"{name} {name.upper()}",), (f"CORP\\{name}", f"{name.upper()}@Example.org")])),
        certdog_id=draw(IDENTIFIERS),
    )


@st.composite
def teams(draw: st.DrawFn, name: str, members: list[str], issuers: list[str]) -> Team:
    return Team(
        name,
        draw(TEXTS),
        draw(st.sampled_from([False, False, True])),
        tuple(Membership(user, draw(INSTANTS), draw(st.none() | TEXTS)) for user in sorted(draw(st.sets(_one_of(members))))),
        tuple(Permission(issuer, draw(INSTANTS)) for issuer in sorted(draw(st.sets(_one_of(issuers))))),
        draw(SORTED_TEXTS),
        draw(SORTED_TEXTS),
        draw(SORTED_TEXTS | st.just("everyone")),
        draw(st.booleans()),
        draw(st.booleans()),
        draw(LABELS),
        display_name=draw(st.none() | TEXTS),
        certdog_id=draw(IDENTIFIERS),
    )


def _one_of(names: list[str]) -> st.SearchStrategy[str]:
    return st.sampled_from(names) if names else st.nothing()


@st.composite
def states(draw: st.DrawFn) -> DeclaredState:
    """Any valid state over few names, so that two of them have much in common."""
    people = sorted(draw(st.sets(st.sampled_from(["u0", "u1", "u2", "u3", "u4"]))))
    issuers = sorted(draw(st.sets(st.sampled_from(["i0", "i1", "i2"]))))
    groups = sorted(draw(st.sets(st.sampled_from(["t0", "t1", "t2"]))))
    policies_of = None
    if draw(st.booleans()):
        guards = Guards(
            max_administrators=draw(st.sampled_from([None, 1])),
            administrators_need_permitted_ips=draw(st.booleans()),
            separation_of_duties=draw(st.sampled_from([(), (("t0", "t1"),), ((ADMINISTRATOR, "issuer: i0", "t0"),)])),
            max_people_gaining=draw(st.sampled_from([None, 1])),
            refuse_new_administrators=draw(st.booleans()),
        )
        policies = draw(st.dictionaries(st.sampled_from(["mail", "logins"]), POLICIES, max_size=2))
        policies_of = Settings(guards=guards, policies=tuple(sorted(policies.items())), labels=draw(LABELS))
    state = DeclaredState(
        users={name: draw(users(name)) for name in people},
        teams={name: draw(teams(name, people, issuers)) for name in groups},
        issuers={
            name: Issuer(
                name, draw(st.none() | TEXTS), draw(TEXTS), draw(st.booleans()), labels=draw(LABELS), certdog_id=draw(IDENTIFIERS)
            )
            for name in issuers
        },
        templates=draw(
            st.sampled_from(
                [{}, {"welcome": EmailTemplate("welcome", "s", "t", None)}, {"welcome": EmailTemplate("welcome", "s", "\t", "h")}]
            )
        ),
        settings=policies_of,
    )
    return draw(with_earlier_names(state))


@st.composite
def with_earlier_names(draw: st.DrawFn, state: DeclaredState) -> DeclaredState:
    """A state some of whose resources were called otherwise before; no earlier name is claimed twice, or is in use."""

    def renamed(resources: Mapping[str, Any], pool: list[str]) -> dict[str, Any]:
        free = [name for name in pool if name not in resources]
        found: dict[str, Resource] = {}
        for name, resource in resources.items():
            earlier = draw(st.sets(st.sampled_from(free), max_size=2)) if free else set()
            free = [name for name in free if name not in earlier]
            found[name] = resource._replace(previously=tuple(sorted(earlier)))
        return found

    return state._replace(
        users=renamed(state.users, ["u0", "u1", "u2", "u3", "u4", "old"]),
        teams=renamed(state.teams, ["t0", "t1", "t2", "old"]),
        issuers=renamed(state.issuers, ["i0", "i1", "i2"]),
    )
