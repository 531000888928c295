"""For random repositories in any layout: what `accord rename` writes declares the same, but for the name."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from effort import tries
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_patches import layouts
from test_properties import State, declared, states

from reconciler.access.resources import DeclaredState, Revision
from reconciler.plan.actual import Actual
from reconciler.plan.changes import Desired
from reconciler.plan.make import make_plan
from reconciler.run.deployment import read_deployment
from reconciler.run.renaming import rename
from reconciler.source.rewriting import rewrite

NOW = datetime(2026, 6, 1, tzinfo=UTC)
QUICK: dict[str, Any] = {"max_examples": tries(60), "suppress_health_check": list(HealthCheck)}


@st.composite
def repositories(draw: st.DrawFn) -> tuple[State, dict[str, bytes]]:
    """A state with references of every kind, and its files in any layout."""
    state = draw(states())
    teams = sorted(name for kind, name in state if kind == "Team")
    for name in teams:
        state["Team", name]["spec"]["mayDecideFor"] = draw(st.lists(st.sampled_from(teams), unique=True))
    if ("Settings", "default") in state and len(teams) > 1:
        apart = draw(st.lists(st.lists(st.sampled_from(teams), min_size=2, unique=True), max_size=2))
        state["Settings", "default"]["spec"]["guards"]["separationOfDuties"] = apart
    return state, draw(layouts(state))


def write(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def without_earlier_names(state: DeclaredState) -> DeclaredState:
    def bare(resources: Any) -> dict[str, Any]:
        return {name: resource._replace(previously=()) for name, resource in resources.items()}

    return state._replace(users=bare(state.users), teams=bare(state.teams), issuers=bare(state.issuers))


@pytest.mark.slow
@settings(**QUICK)
@given(repositories(), st.data())
def test_a_rename_is_one_rename_in_the_plan_and_nobody_s_access_changes(
    repository: tuple[State, dict[str, bytes]], data: st.DataObject
) -> None:
    state, files = repository
    names = sorted(key for key in state if key[0] != "Settings")
    if not names:
        return
    kind, old = data.draw(st.sampled_from(names))
    new = data.draw(st.sampled_from(["new", "007", "null", "1e3", "a-much-longer-name.of_it"]))
    with tempfile.TemporaryDirectory() as name:
        folder, cache = Path(name, "config"), Path(name, "cache")
        (folder / ".git").mkdir(parents=True)
        write(folder, files)
        deployment = read_deployment({"repository": str(folder), "cache": str(cache)})
        before = declared(folder, cache)
        found = rename(deployment, kind, old, new, now=NOW)
        assert contents(folder) == files, "nothing is written before all is known"
        rewrite(dict(found.edits.values()))
        after = declared(folder, cache)
        plan = make_plan(Actual(before), Desired(after, {}), revision=Revision("c0ffee", "Alice", NOW), now=NOW)
        assert [(change.action, change.name) for change in plan.changes if change.action == "rename"] == [("rename", new)]
        assert {change.action for change in plan.changes} <= {"rename", "update"}
        fields = {field for change in plan.changes for field in change.fields}
        assert fields <= {"previously", "mayDecideFor", "guards.separationOfDuties"}
        access = plan.access
        assert not (access.gained or access.lost or plan.administrators.gained or plan.administrators.lost)
        rewrite(dict(rename(deployment, kind, new, old, now=NOW).edits.values()))
        assert without_earlier_names(declared(folder, cache)) == before
        assert contents(folder).keys() == files.keys()
