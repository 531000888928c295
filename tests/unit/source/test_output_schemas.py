"""What Accord prints for programs is what the schemas of its outputs describe."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import jsonschema
import pytest

from reconciler.access.problems import Problem
from reconciler.access.resources import (
    DeclaredState,
    EmailTemplate,
    Guards,
    Issuer,
    Membership,
    Origin,
    Permission,
    Revision,
    Settings,
    Team,
    User,
)
from reconciler.plan.actual import Actual, Runtime, Totals
from reconciler.plan.changes import Desired
from reconciler.plan.make import make_plan
from reconciler.plan.plan import Plan
from reconciler.plan.render.document import plan_document, problem_document
from reconciler.shipped import schema_folder

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = datetime(2027, 1, 1, tzinfo=UTC)
BEFORE = DeclaredState(
    {"alice": User("alice", "a@example.org"), "bob": User("bob", "b@example.org"), "old": User("old", "o@example.org")},
    {
        "web": Team(
            "web", members=(Membership("alice"), Membership("bob")), permissions=(Permission("tls"),), may_decide_for="everyone"
        )
    },
    {"tls": Issuer("tls"), "vpn": Issuer("vpn")},
    {},
    Settings(policies=(("passwords", '{"minLength":15,"refuseCommon":true}'),)),
)
AFTER = DeclaredState(
    {
        "alice": User("alice", "a@example.org", "Alice", password_change_required_after=NOW, labels=(("a", "b"),)),
        "bob": User("bob", "b@example.org", enabled=False),
        "new": User("new", "o@example.org", previously=("old",)),
    },
    {
        "web": Team(
            "web",
            "x",
            True,
            (Membership("alice", LATER, "why"), Membership("new")),
            (Permission("tls", LATER), Permission("vpn")),
        ),
        "ops": Team("ops", members=(Membership("new"),), permissions=(Permission("tls"),), permitted_ips=("10.0.0.0/8",)),
    },
    {"tls": Issuer("tls", "TLS"), "vpn": Issuer("vpn")},
    {"welcome": EmailTemplate("welcome", "Hi", "Hello\n")},
    Settings(
        guards=Guards(5.0, None, True, (("web", "ops"),), 1), policies=(("passwords", '{"minLength":16,"refuseCommon":true}'),)
    ),
)
REVISION = Revision("a" * 40, "Alice <a@example.org>", NOW, "Change it all")


def validator(name: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json.loads((schema_folder() / f"{name}.schema.json").read_bytes()))


def origins(state: DeclaredState) -> dict[Any, Origin]:
    return {
        (kind, name): Origin("all.yaml", 1)
        for kind in ("User", "Team", "Issuer", "EmailTemplate", "Settings")
        for name in state.of_kind(kind)
    }


def plan(before: DeclaredState, after: DeclaredState) -> Plan:
    actual = Actual(
        before,
        Runtime(can_set_password=frozenset(before.users), sessions={"bob": 2}, tokens={"bob": 1}),
        unmanaged=frozenset({("Issuer", "vpn")} if "vpn" in before.issuers else ()),
        files=dict.fromkeys(origins(before), "old.yaml"),
        totals=Totals(len(before.users), len(before.teams), len(before.issuers)),
        generation=7,
        applied=REVISION if before.users else None,
    )
    warning = Problem("all.yaml", 1, 1, "granted-nothing", "warning", "this team grants nothing")
    return make_plan(actual, Desired(after, origins(after)), revision=REVISION, now=NOW, warnings=(warning,), adopt=True)


@pytest.mark.parametrize(
    ("before", "after"), [(BEFORE, AFTER), (AFTER, BEFORE), (DeclaredState(), AFTER), (BEFORE, DeclaredState()), (BEFORE, BEFORE)]
)
def test_a_plan_is_what_its_schema_describes(before: DeclaredState, after: DeclaredState) -> None:
    document = json.loads(json.dumps(plan_document(plan(before, after))))
    validator("plan").validate(document)


def test_the_plans_above_hold_one_of_everything() -> None:
    documents = [plan_document(plan(*states)) for states in ((BEFORE, AFTER), (AFTER, BEFORE))]
    assert {change["action"] for document in documents for change in document["changes"]} >= {
        "create",
        "update",
        "rename",
        "delete",
    }
    for part in ("gained", "lost", "changed"):
        assert any(document["access"][part] for document in documents), part
    assert any(
        "changed" in field for document in documents for change in document["changes"] for field in change["fields"].values()
    )


def test_a_plan_without_a_part_or_with_another_one_is_not_what_the_schema_describes() -> None:
    document = json.loads(json.dumps(plan_document(plan(BEFORE, AFTER))))
    for key in document:
        assert not validator("plan").is_valid({name: value for name, value in document.items() if name != key}), key
    assert not validator("plan").is_valid({**document, "extra": 1})


def test_problems_and_access_are_what_their_schemas_describe() -> None:
    problem = Problem("a.yaml", 1, 1, "unknown-reference", "error", "unknown issuer `x`", None)
    validator("problems").validate([problem_document(problem), problem_document(problem._replace(suggestion="y"))])
    found = json.loads(json.dumps(plan_document(plan(DeclaredState(), AFTER))))["access"]["gained"]
    assert found
    validator("access").validate(found)
