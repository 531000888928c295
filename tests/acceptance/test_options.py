"""Options that cannot be meant as they are written are refused, and never taken for the default."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from desk import Desk
from scenario import ADMINISTRATORS, Accord, ConfigRepository, user

from reconciler.cli.exits import ERROR

ADA = "apiVersion: accord/v1\nkind: User\nmetadata: {name: ada}\nspec: {email: ada@example.org}\n"

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"])


@pytest.mark.parametrize("option", ["--branch", "--repository", "--path", "--database"])
def test_an_empty_option_does_not_mean_the_default(accord: Accord, repository: ConfigRepository, option: str) -> None:
    repository.commit(ADMINISTRATORS)
    assert f"{option} is empty; give it a value, or leave the option out" in accord("plan", option, "", code=ERROR).stderr


def test_a_repository_whose_path_is_not_utf_8_is_applied_under_a_name_that_is(
    accord: Accord, repository: ConfigRepository
) -> None:
    repository.commit(ADMINISTRATORS)
    copy = f"{repository.path}-\udcff"
    shutil.copytree(repository.path, copy)
    accord("apply", "--yes", "--repository", copy)
    assert accord.json("history")[0]["repository"] == f"{repository.path}-\\xff"


@pytest.mark.parametrize("location", ["https://alice:hunter2@127.0.0.1:1/config.git", "git@127.0.0.1:hunter2"])
def test_a_remote_repository_is_validated_by_revision(accord: Accord, location: str) -> None:
    said = accord("validate", "--repository", location, code=ERROR).stderr
    assert said == "accord: a remote repository has no working folder; name a revision, such as --rev main\n"
    assert "there is no folder `host/x`" in accord("validate", "--repository", "alice:hunter2@host/x", code=ERROR).stderr


def test_a_reason_that_is_not_utf_8_is_refused(accord: Accord, repository: ConfigRepository) -> None:
    repository.commit(ADMINISTRATORS)
    said = accord("apply", "--yes", "--override", "emptying", "--reason", "gr\udcfcn", code=ERROR).stderr
    assert "--reason must be UTF-8" in said
    assert accord.json("history") == []


@pytest.mark.parametrize("path", ["./c", "c/.", ".//c/", "c/./d/", "c//d"])
def test_a_folder_is_the_same_however_its_path_is_written(accord: Accord, repository: ConfigRepository, path: str) -> None:
    plain = "c/d" if "d" in path else "c"
    folder = f"{plain}/drafts"
    repository.commit({f"{plain}/{name}": text for name, text in ADMINISTRATORS.items()} | {f"{folder}/x.yaml": "x"})
    repository.commit({f"{plain}/.accordignore": "drafts/\n"})
    accord("apply", "--yes", "--path", plain)
    assert accord.json("plan", "--path", path)["changes"] == []
    repository.commit({f"{plain}/users/new.yaml": user("new")})
    for again in (path, plain):  # a delta and a full reading
        found = [(change["action"], change["name"]) for change in accord.json("plan", "--path", again)["changes"]]
        assert found == [("create", "new")]


def test_the_root_may_be_written_as_a_dot_and_a_slash(accord: Accord, repository: ConfigRepository) -> None:
    repository.commit(ADMINISTRATORS)
    accord("apply", "--yes")
    for root in ("./", "./.", "/"):
        assert accord.json("plan", "--path", root)["changes"] == []


@pytest.mark.parametrize("flaw", ["others may write to it", "HOME is not set"])
@pytest.mark.parametrize(
    "command",
    [
        ("hook", "run"), ("rename", "user", "ada", "eve", "--dry-run"), ("mail", "preview", "welcome"),
        ("mail", "preview", "welcome", "--rev", "HEAD"), ("validate",), ("validate", "--rev", "HEAD"), ("plan",),
    ],
    ids=" ".join,
)  # fmt: skip
def test_no_command_uses_a_cache_that_cannot_be_used(
    begun: Desk,
    command: tuple[str, ...],
    flaw: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    begun.write("users/ada.yaml", ADA)
    begun.commit("Ada")
    cache: str | None = str(tmp_path / "open")
    if flaw == "HOME is not set":
        cache = None
        monkeypatch.setattr("os.getuid", lambda: 987_654_321)
        monkeypatch.delenv("HOME")
    else:
        (tmp_path / "open").mkdir()
        (tmp_path / "open").chmod(0o777)
    monkeypatch.chdir(begun.config)
    begun.accord(*command, ACCORD_CACHE=cache, XDG_CACHE_HOME=None)
    assert flaw in caplog.text
    assert begun.git("status", "--porcelain", "--ignored") == ""
    assert cache is None or list((tmp_path / "open").iterdir()) == []
