"""The API's settings: where they come from, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.settings import DEFAULTS, Misconfigured, read_settings
from reconciler.run import deployment
from reconciler.settings import KEYS


def test_options_override_the_environment_which_overrides_the_file_which_overrides_the_default(tmp_path: Path) -> None:
    file = tmp_path / "accord.toml"
    file.write_text('listen = "127.0.0.1:3"\nthreads = 12\ntrusted_proxies = ["10.0.0.1", "10.1.0.0/16"]\nrepository = "."\n')
    variables = {"ACCORD_CONFIG": str(file), "ACCORD_LISTEN": "127.0.0.1:2"}
    assert read_settings({"listen": "127.0.0.1:1"}, variables).port == 1
    assert read_settings({"listen": None}, variables).port == 2
    assert read_settings({}, {"ACCORD_CONFIG": str(file)}).port == 3
    assert read_settings({}, {}).port == 8080
    found = read_settings({}, variables)
    assert found.threads == 12
    assert len(found.trusted_proxies) == 2


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"ACCORD_LISTEN": "8080"}, "cannot listen on `8080`"),
        ({"ACCORD_LISTEN": "127.0.0.1:65536"}, "cannot listen on"),
        ({"ACCORD_LISTEN": "::1:80"}, "cannot listen on"),
        ({"ACCORD_TRUSTED_PROXIES": "10.0.0.0/8, nonsense"}, "ACCORD_TRUSTED_PROXIES: "),
        ({"ACCORD_THREADS": "3"}, "ACCORD_THREADS must be a number from 4 to 512, not `3`"),
        ({"ACCORD_WORKERS": "many"}, "ACCORD_WORKERS must be a number"),
        ({"ACCORD_HASHES": "0"}, "ACCORD_HASHES must be a number"),
        ({"ACCORD_LOG_FORMAT": "xml"}, "ACCORD_LOG_FORMAT must be one of text, json, not `xml`"),
        ({"ACCORD_LOG_LEVEL": "loud"}, "ACCORD_LOG_LEVEL must be one of debug, info, warning, error, not `loud`"),
    ],
)
def test_errors_name_the_impossible_setting(variables: dict[str, str], said: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        read_settings({}, variables)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("threads = 8\nlog_fromat = 'json'\n", "sets `log_fromat`, which is not a setting; did you mean `log_format`?"),
        ("threads = {many = true}\n", "sets `threads`, which must be a number"),
        ("threads = true\n", "sets `threads`, which must be a number"),
        ("threads = 0\n", "ACCORD_THREADS must be a number from 4 to 512, not `0`"),
        ("listen = 2099-01-01\n", "sets `listen`, which must be text"),
        ("trusted_proxies = [1]\n", "sets `trusted_proxies`, which must be text or a list of text"),
        ("smtp = 1\n", "sets `smtp`, which must be a table"),
        ("threads 8\n", "is not TOML"),
    ],
)
def test_a_file_with_an_unknown_setting_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "accord.toml").write_text(text)
    with pytest.raises(Misconfigured) as caught:
        read_settings({}, {"ACCORD_CONFIG": str(tmp_path / "accord.toml")})
    assert said in str(caught.value)
    with pytest.raises(Misconfigured):
        read_settings({}, {"ACCORD_CONFIG": str(tmp_path / "none.toml")})


def test_one_file_serves_both_programs(tmp_path: Path) -> None:
    lines = [f"{key} = '{value}'" for key, value in DEFAULTS.items() if value]
    lines += [f"{key} = '{value}'" for key, value in deployment.DEFAULTS.items() if value and key not in DEFAULTS]
    (tmp_path / "accord.toml").write_text(
        "\n".join([*lines, "hashes = 2", 'public_url = "https://a.example"', 'cache = "c"', "smtp = {}", "directory = {}"])
    )
    variables = {"ACCORD_CONFIG": str(tmp_path / "accord.toml")}
    assert read_settings({}, variables).hashes == 2
    assert deployment.read_deployment({}, variables).branch == "main"
    assert {*DEFAULTS, *deployment.DEFAULTS, "cache", "smtp", "directory"} == set(KEYS)
