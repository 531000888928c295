"""What `accord init` writes, and the example in the repository, are valid as they are."""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.access.problems import Problem
from reconciler.access.resources import Membership
from reconciler.run.inputs import state_of
from reconciler.shipped import schema_folder, starter_folder
from reconciler.source.cache import open_cache
from reconciler.source.editors import SCHEMAS, stale_schemas
from reconciler.source.errors import SourceError
from reconciler.source.load import Loaded, load_folder
from reconciler.source.rules import problems_of
from reconciler.source.starter import write_starter

NOW = datetime(2026, 1, 1, tzinfo=UTC)
EXAMPLE = Path(__file__).parents[3] / "examples/config-repo"


def read(folder: Path, cache: Path) -> tuple[Loaded, list[Problem]]:
    loaded = load_folder(folder, cache=open_cache(cache))
    return loaded, problems_of(loaded, NOW)


def test_the_starter_is_valid_and_has_one_of_each_kind(tmp_path: Path) -> None:
    written = write_starter(tmp_path / "config", "alice", "alice@example.org", "Alice Jones")
    loaded, problems = read(tmp_path / "config", tmp_path / "cache")
    assert problems == []
    state = state_of(loaded.declarations).declared
    assert (len(state.users), len(state.teams), len(state.issuers), len(state.templates)) == (1, 1, 1, 1)
    assert state.settings is not None
    assert state.users["alice"].full_name == "Alice Jones"
    assert state.teams["pki-admins"].administrator
    assert state.teams["pki-admins"].members == (Membership("alice"),)
    on_disk = {path for path in (tmp_path / "config").rglob("*") if path.is_file()}
    assert set(written) == on_disk
    assert not any(re.search(r"@[A-Z_]+@", path.read_text()) for path in on_disk)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")], ids=["interrupt", "disk"])
@pytest.mark.parametrize("place", ["reconciler.source.starter._filled", "reconciler.source.editors._write"])
def test_a_starter_that_is_not_completed_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, error: BaseException
) -> None:
    (tmp_path / "there/.git/refs").mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    for folder in (tmp_path / "there", tmp_path / "new/config"):
        monkeypatch.setattr(place, third_time(error, pkgutil.resolve_name(place), folder))
        with pytest.raises((KeyboardInterrupt, SourceError, OSError)):
            write_starter(folder, "alice", "alice@example.org", None)
        monkeypatch.undo()
        assert sorted(tmp_path.rglob("*")) == before


def third_time(error: BaseException, function: Callable[..., Any], folder: Path) -> Callable[..., Any]:
    """The function, which an error ends the third time, when there are files already."""
    calls = count(1)

    def called(*arguments: Any) -> Any:
        if next(calls) == 3:
            assert any(path.is_file() for path in folder.rglob("*"))
            raise error
        return function(*arguments)

    return called


@settings(max_examples=30)
@given(
    st.one_of(
        st.sampled_from(["null", "42", "yes", "1e3", "pki-admins", "0x10", "a.b"]),
        st.from_regex("[a-z0-9][a-z0-9._-]{0,63}", fullmatch=True),
    ),
    st.sampled_from(["a@b", "#x@example.org", "!&*{}@example.org", "a" * 64 + "@example.org"]),
    st.one_of(st.none(), st.sampled_from(["null", "A: B", "#", "@EMAIL@", "O'Neill", "Zoë", "12", "\\1"])),
)
def test_the_starter_is_valid_for_any_administrator(
    tmp_path_factory: pytest.TempPathFactory, name: str, email: str, full_name: str | None
) -> None:
    folder = tmp_path_factory.mktemp("starter")
    write_starter(folder / "config", name, email, full_name)
    loaded, problems = read(folder / "config", folder / "cache")
    assert problems == []
    user = state_of(loaded.declarations).declared.users[name]
    assert (user.email, user.full_name) == (email, full_name)


@pytest.mark.parametrize(
    ("name", "email", "full_name", "message"),
    [
        ("Alice", "a@example.org", None, "'Alice' cannot be a login name"),
        ("../alice", "a@example.org", None, "cannot be a login name"),
        ("alice\n", "a@example.org", None, "cannot be a login name"),
        ("alice", "a@b\nBcc: x@y", None, "is not an e-mail address"),
        ("alice", "alice", None, "'alice' is not an e-mail address"),
        ("alice", "a@" + "b." * 130 + "org", None, "is not an e-mail address"),
        ("alice", "a@example.org", "a\nb", "a full name must be one line"),
        ("alice", "a@example.org", "", "a full name must be one line"),
        ("alice", "a@example.org", "x" * 129, "a full name must be one line"),
    ],
)
def test_an_administrator_that_could_not_be_declared_is_refused(
    tmp_path: Path, name: str, email: str, full_name: str | None, message: str
) -> None:
    with pytest.raises(SourceError, match=message):
        write_starter(tmp_path / "config", name, email, full_name)
    assert not (tmp_path / "config").exists()


def test_a_folder_that_holds_anything_but_git_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(SourceError, match="is not empty"):
        write_starter(tmp_path, "alice", "alice@example.org", None)
    assert (tmp_path / "README.md").read_text() == "mine"
    (tmp_path / "README.md").unlink()
    assert write_starter(tmp_path, "alice", "alice@example.org", None)


def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(SourceError, match=r"cannot use .* as a folder: Not a directory"):
        write_starter(tmp_path / "file/config", "alice", "alice@example.org", None)


def test_the_schemas_are_the_shipped_ones_and_every_file_points_to_its_own(tmp_path: Path) -> None:
    write_starter(tmp_path, "alice", "alice@example.org", None)
    for path in (tmp_path / SCHEMAS).iterdir():
        assert path.read_bytes() == (schema_folder() / path.name).read_bytes()
    points_to_its_schema(tmp_path)


def points_to_its_schema(folder: Path) -> None:
    files = [path for path in folder.rglob("*.yaml") if not path.name.startswith(".") and "apiVersion" in path.read_text()]
    assert files
    for path in files:
        match = re.match(r"# yaml-language-server: \$schema=(\S+)\n", path.read_text())
        assert match is not None, path
        place = path.parent / match[1]
        assert place.resolve().is_file(), path
        kinds = re.findall(r"^kind: (\w+)$", path.read_text(), re.MULTILINE)
        wanted = "resource" if len(kinds) > 1 else re.sub("(?<=[a-z])(?=[A-Z])", "-", kinds[0]).lower()
        assert place.name == f"{wanted}.schema.json"


def test_the_example_is_valid_without_a_warning(tmp_path: Path) -> None:
    loaded, problems = read(EXAMPLE, tmp_path / "cache")
    assert problems == []
    state = state_of(loaded.declarations).declared
    assert {"alice", "bob"} <= state.users.keys()
    assert {"web-platform", "pki-admins", "auditors"} <= state.teams.keys()
    assert {"tls-internal", "tls-public"} <= state.issuers.keys()
    assert len(state.teams["pki-admins"].members) >= 2
    assert any(user.type == "application" for user in state.users.values())


def test_the_examples_files_point_to_their_schemas_which_are_the_shipped_ones() -> None:
    assert stale_schemas(EXAMPLE) == []
    points_to_its_schema(EXAMPLE)


@pytest.mark.parametrize(
    "name",
    [
        ".github/workflows/accord.yml",
        ".github/workflows/accord-plan.yml",
        ".github/workflows/accord-override.yml",
        ".github/workflows/accord-drift.yml",
        ".accord/requirements.txt",
        ".gitlab-ci.yml",
        ".pre-commit-config.yaml",
        ".vscode/settings.json",
        ".vscode/extensions.json",
    ],
)
def test_the_example_runs_the_same_checks_as_the_starter(name: str) -> None:
    assert (EXAMPLE / name).read_bytes() == (starter_folder() / name).read_bytes()


def test_neither_brings_a_program_that_git_would_run() -> None:
    for folder in (EXAMPLE, starter_folder()):
        assert not [path for path in folder.rglob("*") if path.is_file() and path.stat().st_mode & 0o111]
        assert not [path for path in folder.rglob("*") if path.suffix in (".md", ".yml") and "hooksPath" in path.read_text()]


def workflow(name: str) -> dict[str, dict[str, dict[str, object]]]:
    found: dict[str, dict[str, dict[str, object]]] = yaml.safe_load((starter_folder() / ".github/workflows" / name).read_text())
    return found


def test_the_workflows_hold_the_least_permissions_and_never_run_what_a_pull_request_brings() -> None:
    files = sorted((starter_folder() / ".github/workflows").glob("*.yml"))
    assert len(files) == 4
    for file in files:
        text = file.read_text()
        assert workflow(file.name)["permissions"] == {}
        assert all(job["permissions"]["contents"] == "read" for job in workflow(file.name)["jobs"].values())  # type: ignore[index]
        used = re.findall(r"uses: (\S+)", text)
        assert all(re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", action) for action in used), "of GitHub's own, and by their hash"
        assert text.count("persist-credentials: false") == text.count("actions/checkout@")
        for script in re.findall(r"run: (?:\|\n((?:          .*\n|\n)+)|(.*))", text):
            assert "${{" not in "".join(script), "an expression in a script is a way in"
        assert "vars." not in text, "GitHub hands no variables to runs of pull requests from forks"
    plan = (starter_folder() / ".github/workflows/accord-plan.yml").read_text()
    assert "ref:" not in plan, "the pull request itself is never checked out"
    assert "secrets.ACCORD_DATABASE_URL" not in plan, "the account that may write is for apply alone"
    apply = workflow("accord.yml")["jobs"]["apply"]
    assert apply["if"] == "github.event_name == 'push'"
    assert apply["concurrency"] == {"group": "accord-apply", "cancel-in-progress": False}
