"""For random valid states A and B: apply A, plan B, apply B; what is exported is B, and what was planned is what happened."""

from __future__ import annotations

import tempfile
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from effort import tries
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scenario import ConfigRepository, issuer, resource, team, user

from reconciler.access.resources import DeclaredState
from reconciler.plan.guards import GUARDS
from reconciler.plan.objections import Override
from reconciler.plan.plan import Plan
from reconciler.plan.render.document import plan_digest
from reconciler.plan.render.text import plan_lines
from reconciler.run.applying import Order, apply_revision
from reconciler.run.deployment import Deployment
from reconciler.run.exporting import export_database
from reconciler.run.inputs import state_of
from reconciler.run.planning import compare_revisions, plan_revision

NOW = datetime(2026, 6, 1, tzinfo=UTC)
UNTIL = st.sampled_from([None, None, "2026-01-31", "2026-12-31", "2027-01-31T18:00:00Z", "2026-06-01T00:00:00Z"])
NAMES = {
    kind: [f"{kind[0].lower()}{number}" for number in range(size)] for kind, size in (("User", 6), ("Team", 4), ("Issuer", 4))
}

State = dict[tuple[str, str], dict[str, Any]]


@st.composite
def states(draw: st.DrawFn) -> State:
    """A valid state, as the resources of a config repository."""
    users = draw(st.sets(st.sampled_from(NAMES["User"])))
    issuers = draw(st.sets(st.sampled_from(NAMES["Issuer"])))
    teams = draw(st.sets(st.sampled_from(NAMES["Team"])))
    found: State = {}
    for name in users:
        found["User", name] = user(
            name, enabled=draw(st.booleans()), type=draw(st.sampled_from(["person", "application"])), initialPassword="none"
        )
    for name in issuers:
        found["Issuer", name] = issuer(name, enabled=draw(st.sampled_from([True, True, False])))
    for name in teams:
        members = [
            {"user": member, **({"until": until} if (until := draw(UNTIL)) else {})}
            for member in draw(st.sets(st.sampled_from(sorted(users)) if users else st.nothing()))
        ]
        granted = [
            {"issuer": item, **({"until": until} if (until := draw(UNTIL)) else {})}
            for item in draw(st.sets(st.sampled_from(sorted(issuers)) if issuers else st.nothing()))
        ]
        found["Team", name] = team(
            name,
            members=members,
            issuers=granted,
            administrator=draw(st.booleans()),
            description=draw(st.sampled_from(["", "x: y", "#"])),
        )
    if draw(st.booleans()):
        found["Settings", "default"] = resource("Settings", "default", {"guards": {"maxDeletions": "50%"}})
    return found


@st.composite
def edited(draw: st.DrawFn, before: State) -> State:
    """A state that a few edits lead to, as pull requests make them."""
    after = deepcopy(before)
    for _ in range(draw(st.integers(1, 3))):
        kind, name = draw(st.sampled_from([(kind, name) for kind, names in NAMES.items() for name in names]))
        if (kind, name) not in after:
            after[kind, name] = {"User": user, "Issuer": issuer}[kind](name, enabled=True) if kind != "Team" else new_team(name)
        elif draw(st.sampled_from(["change", "change", "remove"])) == "remove":
            remove(after, kind, name)
        elif kind == "Team":
            field, item, of = draw(st.sampled_from([("members", "user", "User"), ("issuers", "issuer", "Issuer")]))
            listed = after[kind, name]["spec"][field]
            chosen = draw(st.sampled_from([other for known, other in after if known == of] or [None]))
            left = [entry for entry in listed if entry[item] != chosen]
            if chosen is not None and (len(left) == len(listed) or draw(st.booleans())):
                left.append({item: chosen, **({"until": until} if (until := draw(UNTIL)) else {})})
            after[kind, name]["spec"][field] = left
        else:
            after[kind, name]["spec"]["enabled"] ^= True
    return after


def new_team(name: str) -> dict[str, Any]:
    return team(name, members=[], issuers=[], administrator=False, description="")


def remove(state: State, kind: str, name: str) -> None:
    del state[kind, name]
    for (other, _), document in state.items():
        if other == "Team":
            spec = document["spec"]
            spec["members"] = [entry for entry in spec["members"] if (kind, entry["user"]) != ("User", name)]
            spec["issuers"] = [entry for entry in spec["issuers"] if (kind, entry["issuer"]) != ("Issuer", name)]


@st.composite
def pairs(draw: st.DrawFn) -> tuple[State, State, dict[str, str]]:
    """Two states, of which the second may rename users of the first; and the names, old -> new."""
    before = draw(states())
    after = draw(edited(before) if draw(st.booleans()) else states())
    renames = {}
    gone = sorted(name for kind, name in before if kind == "User" and ("User", name) not in after)
    new = sorted(name for kind, name in after if kind == "User" and ("User", name) not in before)
    for old, name in zip(gone, new, strict=False):
        if draw(st.booleans()):
            after["User", name]["metadata"]["previously"] = [old]
            renames[old] = name
    return before, after, renames


def files(state: State) -> dict[str, Any]:
    return {f"{kind.lower()}s/{name}.yaml": document for (kind, name), document in state.items()} or {"README.md": "nothing"}


def naive_access(state: State) -> set[tuple[str, str]]:
    """Who may use what, read straight off the documents; knows nothing of the code under test."""

    def open_still(item: dict[str, Any]) -> bool:
        until = item.get("until")
        if until is None:
            return True
        # plain dates mean their end: the next midnight
        return (until + "T23:59:59.999Z" if len(until) == 10 else until) > "2026-06-01T00:00:00Z"

    return {
        (member["user"], granted["issuer"])
        for (kind, _), document in state.items()
        if kind == "Team"
        for member in document["spec"]["members"]
        for granted in document["spec"]["issuers"]
        if open_still(member)
        and open_still(granted)
        and state["User", member["user"]]["spec"]["enabled"]
        and state["Issuer", granted["issuer"]]["spec"]["enabled"]
    }


def declared(source_folder: Path, cache: Path) -> DeclaredState:
    from reconciler.source.cache import open_cache
    from reconciler.source.load import load_folder

    loaded = load_folder(source_folder, cache=open_cache(cache))
    assert [problem for problem in loaded.problems if problem.severity == "error"] == []
    return state_of(loaded.declarations).declared


def check_history(folder: Path, database_url: str, before: State, after: State, renames: dict[str, str]) -> None:
    repository = ConfigRepository(folder / "config.git")
    deployment = Deployment(str(repository.path), "main", "", database_url, folder / "cache")
    order = Order(None, overrides=[Override(guard, "test") for guard in GUARDS])

    def planned() -> Plan:
        return plan_revision(deployment, None, now=NOW)

    def applied() -> Plan:
        return apply_revision(deployment, order, applied_by="test", clock=lambda: NOW).plan

    first = repository.commit(files(before), whole=True)
    applied()
    second = repository.commit(files(after), whole=True)
    plan = planned()
    assert {(access.user, access.issuer) for access in plan.access.gained} == naive_access(after) - renamed(
        naive_access(before), renames
    )
    assert {(access.user, access.issuer) for access in plan.access.lost} == renamed(naive_access(before), renames) - naive_access(
        after
    )
    text = "\n".join(line for _, line in plan_lines(plan))
    for access in (*plan.access.gained, *plan.access.lost):
        assert access.user in text
    same = compare_revisions(deployment, second, first, now=NOW)
    assert [change[:3] for change in same.changes] == [change[:3] for change in plan.changes]
    assert same.access == plan.access

    assert plan_digest(applied()) == plan_digest(plan)
    again = planned()
    assert again.is_empty
    assert not again.moves
    export_database(deployment, folder / "export", now=NOW)
    (folder / "after").mkdir()
    for name, document in files(after).items():
        target = folder / "after" / name
        target.parent.mkdir(exist_ok=True)
        target.write_text(str(document).replace("'", '"').replace("True", "true").replace("False", "false"))
    assert declared(folder / "export", folder / "cache") == declared(folder / "after", folder / "cache")


def renamed(pairs: set[tuple[str, str]], renames: dict[str, str]) -> set[tuple[str, str]]:
    return {(renames.get(name, name), used) for name, used in pairs}


@settings(max_examples=tries(25), suppress_health_check=list(HealthCheck))
@given(pairs())
def test_what_is_planned_is_what_happens(pair: tuple[State, State, dict[str, str]]) -> None:
    before, after, renames = pair
    with tempfile.TemporaryDirectory() as folder:
        check_history(Path(folder), f"sqlite:///{folder}/accord.db", before, after, renames)


ALICE, TLS = user("u0", enabled=True, initialPassword="none"), issuer("i0", enabled=True)
GRANT = {**new_team("t0"), "spec": {"members": [{"user": "u0"}], "issuers": [{"issuer": "i0"}]}}
BARE = {**new_team("t0"), "spec": {"members": [{"user": "u0"}], "issuers": []}}
BASE = {("User", "u0"): ALICE, ("Issuer", "i0"): TLS}


@pytest.mark.parametrize("before", [BASE, {**BASE, ("Team", "t0"): BARE}], ids=["new team", "team that is there"])
def test_an_existing_issuer_is_gained_through_a_new_permission(tmp_path: Path, before: State) -> None:
    check_history(tmp_path, f"sqlite:///{tmp_path}/accord.db", before, {**BASE, ("Team", "t0"): GRANT}, {})
