"""The deployment's settings: a command's options, `ACCORD_*` variables, and the TOML file that ACCORD_CONFIG names."""

from __future__ import annotations

import getpass
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from reconciler.run.errors import Misconfigured
from reconciler.wording.nearest import did_you_mean

DEFAULTS = {"repository": ".", "branch": "main", "path": "", "database_url": "sqlite:///accord.db"}
_OF_THE_API = ("listen", "trusted_proxies", "threads", "workers", "hashes", "log_format", "log_level")
_OF_MAIL = ("mail", "maildir", "public_url", "smtp")
_ELSEWHERE = (*_OF_THE_API, *_OF_MAIL, "cache", "directory")
"""Keys of the same TOML file for other programs, or for other parts of this one."""


class Deployment(NamedTuple):
    """Where everything is. `path` is the folder in the config repository that contains the resources; empty means the root."""

    repository: str
    branch: str
    path: str
    database_url: str
    cache: Path


def read_deployment(options: Mapping[str, str | None], environment: Mapping[str, str] | None = None) -> Deployment:
    """Read the settings: an option takes precedence over its environment variable, then come the TOML file and the default.

    Raises Misconfigured if the TOML file cannot be read or has an unknown key.
    """
    env = os.environ if environment is None else environment
    file = _read_file(env["ACCORD_CONFIG"]) if env.get("ACCORD_CONFIG") else {}

    def setting(name: str) -> str:
        for value in (options.get(name), env.get(f"ACCORD_{name.upper()}"), file.get(name)):
            if value:
                return value
        return DEFAULTS[name]

    cache = (
        env.get("ACCORD_CACHE") or file.get("cache") or str(Path(env.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "accord")
    )
    path = setting("path").strip("/")
    if ".." in Path(path).parts or "\0" in path:
        raise Misconfigured(f"the path `{path}` leads out of the config repository")
    return Deployment(setting("repository"), setting("branch"), "" if path == "." else path, setting("database_url"), Path(cache))


def _read_file(name: str) -> dict[str, str]:
    try:
        content = tomllib.loads(Path(name).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"cannot read `{name}`, which ACCORD_CONFIG names: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise Misconfigured(f"`{name}` is not TOML: {error}") from None
    known = (*DEFAULTS, *_ELSEWHERE)
    for key, value in content.items():
        if key not in known:
            meant = did_you_mean(key, known) or f"; the settings are {', '.join(known)}"
            raise Misconfigured(f"`{name}` sets `{key}`, which is not a setting{meant}")
        if key in (*DEFAULTS, "cache") and not isinstance(value, str):
            raise Misconfigured(f"`{name}` sets `{key}` to a value that is not text")
    return content


def current_user(environment: Mapping[str, str] | None = None) -> str:
    """Return who applies, for the record: ACCORD_APPLIED_BY, the user that CI names, or the login name."""
    env = os.environ if environment is None else environment
    for name in ("ACCORD_APPLIED_BY", "GITHUB_ACTOR", "GITLAB_USER_LOGIN"):
        if env.get(name):
            return env[name].encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
