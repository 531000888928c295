"""For random repositories in any layout: what `accord rename` and `accord fmt` write declares the same, but for the name."""

from __future__ import annotations

import re
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
from reconciler.source.blobs import read_blob
from reconciler.source.build import build
from reconciler.source.formatting import formatted
from reconciler.source.layout import NotFormatted
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


@st.composite
def commented(draw: st.DrawFn, content: bytes) -> bytes:
    """A file with comments and blank lines in random places, at random columns."""
    lines = content.decode().split("\n")
    for number in range(draw(st.integers(0, 6))):
        place = draw(st.integers(0, len(lines)))
        added = f"{' ' * draw(st.integers(0, 7))}# comment {number}" if draw(st.integers(0, 3)) else ""
        lines.insert(place, added + ("\r" if b"\r" in content and place < len(lines) else ""))
    return "\n".join(lines).encode()


def meaning(content: bytes) -> list[Any] | None:
    """What a file declares, or None if it has errors."""
    blob = read_blob(content)
    return None if any(report[3] == "error" for report in blob.reports) else [build(value) for _, value in blob.documents]


_COMMENT = re.compile(rb"# (?:comment )?[a-z0-9 ?]+")


@pytest.mark.slow
@settings(**QUICK)
@given(repositories(), st.data())
def test_formatting_changes_no_meaning_loses_no_comment_and_is_done_at_once(
    repository: tuple[State, dict[str, bytes]], data: st.DataObject
) -> None:
    for plain in repository[1].values():
        content = data.draw(commented(plain))
        before = meaning(content)
        try:
            after = formatted(content)
        except NotFormatted as error:
            assert error.invalid == (before is None)
            continue
        assert meaning(after) == before
        assert sorted(_COMMENT.findall(after)) == sorted(_COMMENT.findall(content))
        assert formatted(after) == after
        assert (b"\r" in after) == (b"\r" in content and not re.search(rb"(?<!\r)\n", content))


LINES = st.lists(st.sampled_from(["one", "  two", "# three", "", "- four: 4", "    "]), min_size=1, max_size=5)
ORDERS = st.permutations(["text", "subject", "html"])


@pytest.mark.slow
@settings(**QUICK)
@given(
    LINES,
    st.sampled_from(["|", "|-", "|+", ">", ">+"]),
    st.integers(1, 4),
    st.permutations(["text", "subject", "html"]),
    st.data(),
)
def test_formatting_keeps_every_character_of_a_text_of_several_lines(
    text: list[str], style: str, indent: int, order: list[str], data: st.DataObject
) -> None:
    margin = " " * indent
    values = {"subject": "s", "html": "<p>h</p>", "text": "\n".join([style, *(f"{margin * 2}{line}" for line in ["one", *text])])}
    spec = "\n".join(f"{margin}{key}: {values[key]}" for key in order)
    end = data.draw(st.sampled_from(["", "\n", "\n\n", "\n# end\n"]))
    content = f"apiVersion: accord/v1\nmetadata: {{name: password-set}}\nkind: EmailTemplate\nspec:\n{spec}{end}".encode()
    content = data.draw(commented(content))
    before = meaning(content)
    try:
        after = formatted(content)
    except NotFormatted as error:
        assert error.invalid == (before is None) or not content.endswith(b"\n")
        return
    assert meaning(after) == before
    assert formatted(after) == after
