"""For random states A and B, and whatever the layout of A's files: the patch that adopts B makes the files declare B."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from effort import tries
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_properties import NAMES, State, declared, edited, states

from reconciler.access.resources import DeclaredState, Origin
from reconciler.plan.actual import Actual
from reconciler.plan.changes import Desired, find_changes
from reconciler.source.cache import open_cache
from reconciler.source.load import load_folder
from reconciler.source.patch import adopting_patch, patched


def written(draw: st.DrawFn, document: dict[str, Any]) -> str:
    """A document in one of the layouts that people use."""
    style = draw(st.sampled_from(["block", "block", "block", "indented", "flow", "json", "mixed"]))
    if style == "json":
        return json.dumps(document) + "\n"
    options: dict[str, Any] = {"sort_keys": draw(st.booleans()), "allow_unicode": True}
    if style == "flow":
        return yaml.safe_dump(document, default_flow_style=True, **options)
    if style == "mixed":
        return yaml.safe_dump(document, default_flow_style=None, **options)
    text = yaml.safe_dump(document, default_flow_style=False, **options)
    if style == "indented":  # lists further in than their key, as most people write them
        lines = text.splitlines(keepends=True)
        text = "".join(f"  {line}" if line.startswith("  -") or line.startswith("    ") else line for line in lines)
    comments = draw(st.booleans())
    return "".join(
        f"{line[:-1]}  # {number}\n" if comments else line for number, line in enumerate(text.splitlines(keepends=True))
    )


@st.composite
def layouts(draw: st.DrawFn, state: State) -> dict[str, bytes]:
    """The files of a state: documents shared out among a few, with comments, markers and line breaks of every kind."""
    files: dict[str, list[str]] = {}
    for document in state.values():
        files.setdefault(draw(st.sampled_from(["a.yaml", "b.yaml", "c/d.yml", "e é.yaml"])), []).append(written(draw, document))
    found = {}
    for name, documents in files.items():
        head = draw(st.sampled_from(["", "", "# all of them\n", "---\n", "# all\n---\n"]))
        between = draw(st.sampled_from(["---\n", "# of the next?\n---\n# of the next\n", "\n---\n", "...\n---\n"]))
        text = head + between.join(documents) + draw(st.sampled_from(["", "", "# the end\n", "...\n"]))
        if draw(st.sampled_from([False, False, True])):
            text = text.rstrip("\n")
        if draw(st.sampled_from([False, False, False, True])):
            text = text.replace("\n", "\r\n")
        found[name] = text.encode()
    return found


def git(folder: Path, *arguments: str, given: bytes | None = None) -> None:
    ended = subprocess.run(["git", *arguments], cwd=folder, input=given, capture_output=True, check=False)
    assert ended.returncode == 0, ended.stderr.decode() + (given or b"").decode()


def read(folder: Path, cache: Path) -> tuple[DeclaredState, dict[Any, Origin]]:
    loaded = load_folder(folder, cache=open_cache(cache))
    return declared(folder, cache), {(item.kind, item.resource.name): item.origin for item in loaded.declarations}


def state_of_documents(state: State, folder: Path, cache: Path) -> DeclaredState:
    for number, document in enumerate(state.values()):
        (folder / f"{number}.yaml").write_text(json.dumps(document))
    return declared(folder, cache)


@pytest.mark.slow
@settings(max_examples=tries(60), suppress_health_check=list(HealthCheck))
@given(st.data())
def test_a_patch_makes_the_files_declare_what_the_database_holds(data: st.DataObject) -> None:
    in_git = data.draw(states())
    held = data.draw(edited(in_git) if data.draw(st.booleans()) else states())
    with tempfile.TemporaryDirectory() as name:
        check(Path(name), data.draw(layouts(in_git)), held)


def check(folder: Path, files: dict[str, bytes], held: State) -> None:
    config, other, cache = folder / "config", folder / "held", folder / "cache"
    other.mkdir()
    (config / ".git").mkdir(parents=True)
    for name, content in files.items():
        (config / name).parent.mkdir(exist_ok=True)
        (config / name).write_bytes(content)
    before, origins = read(config, cache)
    wanted = state_of_documents(held, other, cache)
    places = {(kind, name): "b.yaml" for kind in NAMES for name in wanted.of_kind(kind)}  # type: ignore[call-overload]
    actual = Actual(wanted, files={("Settings", "default"): "b.yaml", **places})
    changes = find_changes(actual, Desired(before, origins), {})
    patch = adopting_patch(changes, files.get).encode()
    assert patched(before, changes) == wanted
    if not patch:
        assert before == wanted
        return
    git(config, "init", "-q")
    git(config, "apply", given=patch)
    assert read(config, cache)[0] == wanted
    untouched: Sequence[str] = [name for name in files if f"/{name}\n".encode() not in patch]
    assert all((config / name).read_bytes() == files[name] for name in untouched)
