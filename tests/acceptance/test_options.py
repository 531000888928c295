"""Options that cannot be meant as they are written are refused, and never taken for the default."""

from __future__ import annotations

import shutil

import pytest
from scenario import ADMINISTRATORS, Accord, ConfigRepository

from reconciler.cli.exits import ERROR

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
