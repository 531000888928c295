"""Variables and keys that cannot be meant as they stand are refused by both programs, and never taken for the default."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from api.mail.settings import SMTP_DEFAULTS
from api.settings import Misconfigured as ApiMisconfigured
from api.settings import read_settings
from reconciler.run.deployment import cache_folder, read_deployment
from reconciler.run.errors import Misconfigured
from reconciler.settings import SMTP_KEYS, VARIABLES, WORKFLOWS

TOP = Path(__file__).parents[2]
DIRECTORY = '[directory.corp]\nsecret_file = "/run/secret"\n'
Read = Callable[[Mapping[str, str | None], Mapping[str, str]], Any]
BOTH = pytest.mark.parametrize(("read", "error"), [(read_deployment, Misconfigured), (read_settings, ApiMisconfigured)])


def refusal(read: Read, error: type[Exception], variables: Mapping[str, str], options: Mapping[str, str | None]) -> str:
    with pytest.raises(error) as caught:
        read(options, variables)
    return str(caught.value)


@BOTH
@pytest.mark.parametrize("name", [*sorted(VARIABLES), "ACCORD_DIRECTORY_CORP_SECRET"])
def test_a_value_that_came_about_by_accident_is_refused_and_not_shown(read: Read, error: type[Exception], name: str) -> None:
    for value, flaw in {
        "": "is empty",
        " \n": "is blank",
        "hunter2 ": "begins or ends with a blank",
        "hunter2\n": "begins or ends with a line break",
        "hunter2\r\n": "begins or ends with a line break",
        '"hunter2"': "is in quotes, which must not be part of it",
        "'hunter2'": "is in quotes, which must not be part of it",
        "hunter\0002": "contains a NUL",
    }.items():
        assert refusal(read, error, {name: value}, {}) == f"{name} {flaw}; give it a value, or unset it"


@BOTH
def test_a_misspelt_variable_is_answered_with_the_nearest_name(read: Read, error: type[Exception]) -> None:
    for name, meant in {
        "ACCORD_DATABASE_URI": "ACCORD_DATABASE_URL",
        "ACCORD_DB_URL": "ACCORD_DATABASE_URL",
        "ACCORD_REPO": "ACCORD_REPOSITORY",
        "accord_branch": "ACCORD_BRANCH",
        "ACCORD_SMTP_PASWORD": "ACCORD_SMTP_PASSWORD",
    }.items():
        assert refusal(read, error, {name: "x"}, {}) == f"{name} is not a setting; did you mean `{meant}`?"
    assert "so rename yours" in refusal(read, error, {"ACCORD_COMPANY_WIDE_NUMBER_OF_THE_BUILD": "7"}, {})


@BOTH
def test_variables_of_workflows_and_of_kubernetes_are_no_mistakes(read: Read, error: type[Exception]) -> None:
    read({}, dict.fromkeys(WORKFLOWS, ""))
    kubernetes = {
        "ACCORD_SERVICE_HOST": "10.0.0.1",
        "ACCORD_SERVICE_PORT": "8080",
        "ACCORD_SERVICE_PORT_HTTP": "8080",
        "ACCORD_PORT": "tcp://10.0.0.1:8080",
        "ACCORD_PORT_8080_TCP": "tcp://10.0.0.1:8080",
        "ACCORD_PORT_8080_TCP_PROTO": "tcp",
        "ACCORD_API_PORT_8080_TCP_ADDR": "10.0.0.1",
        "ACCORDION": "",
    }
    read({}, kubernetes)
    assert "ACCORD_PORT is not a setting" in refusal(read, error, {**kubernetes, "ACCORD_PORT": "8080"}, {})


def test_every_variable_of_the_shipped_workflows_is_known() -> None:
    files = [path for folder in (TOP / "examples", TOP / ".ci") for path in folder.rglob("*") if path.is_file()]
    used = {name for path in files for name in re.findall(r"(?<!\w)ACCORD_[A-Z_]+\b", path.read_text(errors="replace"))}
    assert used <= VARIABLES | WORKFLOWS
    assert set(SMTP_KEYS) == set(SMTP_DEFAULTS)


@BOTH
def test_the_secret_of_a_directory_that_the_file_does_not_have_is_refused(
    read: Read, error: type[Exception], tmp_path: Path
) -> None:
    (tmp_path / "accord.toml").write_text(DIRECTORY)
    variables = {"ACCORD_CONFIG": str(tmp_path / "accord.toml"), "ACCORD_DIRECTORY_CROP_SECRET": "hunter2"}
    said = refusal(read, error, variables, {})
    assert "is the secret of no directory in" in said and "did you mean `ACCORD_DIRECTORY_CORP_SECRET`?" in said


@BOTH
@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('branch = ""', "branch"),
        ('smtp = {host = "mail "}', "smtp.host"),
        ('trusted_proxies = ["10.0.0.1", ""]', "trusted_proxies"),
    ],
)
def test_a_value_in_the_file_is_held_to_the_same(read: Read, error: type[Exception], tmp_path: Path, text: str, key: str) -> None:
    (tmp_path / "accord.toml").write_text(text)
    assert f"sets `{key}`, which " in refusal(read, error, {"ACCORD_CONFIG": str(tmp_path / "accord.toml")}, {})


@BOTH
def test_in_ci_the_database_must_be_named_where_one_is_used(read: Read, error: type[Exception]) -> None:
    asked: dict[str, str | None] = {"database_url": None}
    for word in ("true", "1", "woodpecker"):
        assert "set ACCORD_DATABASE_URL, or give --database" in refusal(read, error, {"CI": word}, asked)
    for word in ("", "0", "false", "False"):
        assert read(asked, {"CI": word}).database_url == "sqlite:///accord.db"
    assert read(asked, {"CI": "true", "ACCORD_DATABASE_URL": "sqlite:///a.db"}).database_url == "sqlite:///a.db"
    assert read({"database_url": "sqlite:///b.db"}, {"CI": "true"}).database_url == "sqlite:///b.db"
    assert read({}, {"CI": "true"}).database_url == "sqlite:///accord.db"  # a command that uses none
    assert "--database is empty" in refusal(read, error, {}, {"database_url": ""})


def test_the_home_folder_may_be_written_as_a_shell_writes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    variables = {"ACCORD_REPOSITORY": "~/config", "ACCORD_CACHE": "~/c", "ACCORD_DATABASE_URL": "sqlite:///~/a.db?timeout=1"}
    found = read_deployment({}, variables)
    assert (found.repository, found.cache) == (f"{tmp_path}/config", tmp_path / "c")
    assert found.database_url == f"sqlite:///{tmp_path}/a.db?timeout=1"
    assert read_deployment({"repository": "~"}, {}).repository == str(tmp_path)
    assert read_settings({}, {"ACCORD_MAILDIR": "~/mail"}).mail.maildir == tmp_path / "mail"
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("os.getuid", lambda: 987_654_321)
    assert "HOME is not set; set it" in refusal(read_deployment, Misconfigured, variables, {})


def test_an_account_without_a_home_needs_no_settings_for_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("os.getuid", lambda: 987_654_321)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HOME")
    folder = cache_folder(read_deployment({}, {}))
    assert folder.is_dir() and folder.parent == Path(tempfile.gettempdir())
    assert list(tmp_path.iterdir()) == []
    assert "going on without the cache in `~/.cache/accord`: HOME is not set" in caplog.text
    assert str(read_deployment({}, {"XDG_CACHE_HOME": "/c"}).cache) == "/c/accord"
    assert str(read_deployment({}, {"XDG_CACHE_HOME": "relative"}).cache) == "~/.cache/accord"


def test_a_cache_that_others_may_write_to_is_not_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache").chmod(0o777)
    assert cache_folder(read_deployment({}, {"ACCORD_CACHE": str(tmp_path / "cache")})) != tmp_path / "cache"
    assert "others may write to it" in caplog.text
    (tmp_path / "file").write_text("")
    assert cache_folder(read_deployment({}, {"ACCORD_CACHE": str(tmp_path / "file")})) != tmp_path / "file"
    (tmp_path / "cache").chmod(0o700)
    assert cache_folder(read_deployment({}, {"ACCORD_CACHE": str(tmp_path / "cache")})) == tmp_path / "cache"


def test_the_cache_may_be_the_folder_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o700)
    monkeypatch.chdir(tmp_path)
    assert cache_folder(read_deployment({}, {"ACCORD_CACHE": "."})) == Path()
