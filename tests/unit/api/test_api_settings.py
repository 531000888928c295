"""The deployment's settings: where they come from, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.settings import Misconfigured, read_settings


def test_by_default_the_service_is_local_and_trusts_no_proxy() -> None:
    settings = read_settings({}, {})
    assert (settings.host, settings.port, settings.trusted_proxies) == ("127.0.0.1", 8080, ())
    assert (settings.database_url, settings.workers, settings.log_format) == ("sqlite:///accord.db", 1, "text")
    assert settings.hashes >= 1


def test_options_override_the_environment_which_overrides_the_file(tmp_path: Path) -> None:
    file = tmp_path / "accord.toml"
    file.write_text('listen = "127.0.0.1:1"\nthreads = 16\nlog_format = "json"\ntrusted_proxies = ["10.0.0.0/8", "::1"]\n')
    environment = {"ACCORD_CONFIG": str(file), "ACCORD_LISTEN": "127.0.0.1:2", "ACCORD_THREADS": "32"}
    settings = read_settings({"listen": "127.0.0.1:3"}, environment)
    assert (settings.port, settings.threads, settings.log_format) == (3, 32, "json")
    assert [rule.text for rule in settings.trusted_proxies] == ["10.0.0.0/8", "::1"]


@pytest.mark.parametrize(
    ("text", "host", "port"), [("[::1]:80", "::1", 80), ("0.0.0.0:0", "0.0.0.0", 0), ("accord:65535", "accord", 65535)]
)
def test_where_to_listen(text: str, host: str, port: int) -> None:
    settings = read_settings({"listen": text}, {})
    assert (settings.host, settings.port) == (host, port)


@pytest.mark.parametrize(
    "environment",
    [
        {"ACCORD_LISTEN": "8080"},
        {"ACCORD_LISTEN": "127.0.0.1:65536"},
        {"ACCORD_LISTEN": "::1:80"},
        {"ACCORD_TRUSTED_PROXIES": "proxy.example.org"},
        {"ACCORD_TRUSTED_PROXIES": "10.0.0.1/8"},
        {"ACCORD_THREADS": "0"},
        {"ACCORD_THREADS": "-8"},
        {"ACCORD_THREADS": "8.5"},
        {"ACCORD_THREADS": "\u0668"},
        {"ACCORD_WORKERS": "many"},
        {"ACCORD_HASHES": "0"},
        {"ACCORD_LOG_FORMAT": "xml"},
        {"ACCORD_CONFIG": "/nonexistent/accord.toml"},
    ],
)
def test_impossible_settings_are_refused(environment: dict[str, str]) -> None:
    with pytest.raises(Misconfigured):
        read_settings({}, environment)


@pytest.mark.parametrize("content", [b"listen = ", b"\xff", b"listen == 1"])
def test_a_file_that_is_not_toml_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "accord.toml").write_bytes(content)
    with pytest.raises(Misconfigured):
        read_settings({}, {"ACCORD_CONFIG": str(tmp_path / "accord.toml")})


def test_a_local_socket_is_an_absolute_path_that_a_socket_may_have() -> None:
    assert read_settings({}, {}).local_socket is None
    assert read_settings({}, {"ACCORD_LOCAL_SOCKET": "/run/accord/local.sock"}).local_socket == Path("/run/accord/local.sock")
    for path in ("local.sock", "~/local.sock", "/run/" + "x" * 100):
        with pytest.raises(Misconfigured, match="ACCORD_LOCAL_SOCKET"):
            read_settings({}, {"ACCORD_LOCAL_SOCKET": path})
    with pytest.raises(Misconfigured, match="no group `no-such-group`"):
        read_settings({}, {"ACCORD_LOCAL_SOCKET_GROUP": "no-such-group"})
