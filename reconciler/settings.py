"""Where both programs find their settings: options, `ACCORD_*` variables, and the TOML file that ACCORD_CONFIG names."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from reconciler.wording.nearest import did_you_mean

_TEXT, _NUMBER, _LIST, _TABLE = "text", "a number", "text or a list of text", "a table"
KEYS = {
    "repository": _TEXT,
    "branch": _TEXT,
    "path": _TEXT,
    "database_url": _TEXT,
    "cache": _TEXT,
    "listen": _TEXT,
    "metrics_listen": _TEXT,
    "metrics_token": _TEXT,
    "local_socket": _TEXT,
    "local_socket_group": _TEXT,
    "trusted_proxies": _LIST,
    "longest_pause": _TEXT,
    "threads": _NUMBER,
    "workers": _NUMBER,
    "hashes": _NUMBER,
    "log_format": _TEXT,
    "log_level": _TEXT,
    "mail": _TEXT,
    "maildir": _TEXT,
    "public_url": _TEXT,
    "link_hosts": _LIST,
    "leaked_passwords": _TEXT,
    "smtp": _TABLE,
    "directory": _TABLE,
}
"""The keys of the file, which both programs read, and what each must be. Only those who read a table know what it may hold."""
DATABASE_URL = "sqlite:///accord.db"
"""The default of both programs, which must meet in one database."""


class BadSettings(Exception):
    """The settings file cannot be used; the message says why."""


class Sources(NamedTuple):
    """Where settings are looked for, in this order."""

    options: Mapping[str, str | None]
    environment: Mapping[str, str]
    file: Mapping[str, Any]

    def text(self, name: str, default: str) -> str:
        """The first value that is set and not empty; the items of a list are joined by commas."""
        for value in (self.options.get(name), self.environment.get(f"ACCORD_{name.upper()}"), self.file.get(name)):
            if value not in (None, ""):
                return ",".join(value) if isinstance(value, list) else str(value)
        return default


def read_sources(options: Mapping[str, str | None], environment: Mapping[str, str] | None = None) -> Sources:
    """The sources of a program with these options. Raises BadSettings."""
    variables = os.environ if environment is None else environment
    name = variables.get("ACCORD_CONFIG")
    return Sources(options, variables, _read_file(name) if name else {})


def _read_file(name: str) -> dict[str, Any]:
    try:
        content = tomllib.loads(Path(name).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise BadSettings(f"cannot read `{name}`, which ACCORD_CONFIG names: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise BadSettings(f"`{name}` is not TOML: {error}") from None
    for key, value in content.items():
        if key not in KEYS:
            meant = did_you_mean(key, KEYS) or f"; the settings are {', '.join(KEYS)}"
            raise BadSettings(f"`{name}` sets `{key}`, which is not a setting{meant}")
        if not _fits(value, KEYS[key]):
            raise BadSettings(f"`{name}` sets `{key}`, which must be {KEYS[key]}")
    return content


def _fits(value: Any, form: str) -> bool:
    if form == _TABLE:
        return isinstance(value, dict)
    if form == _LIST and isinstance(value, list):
        return all(isinstance(each, str) for each in value)
    if form == _NUMBER and isinstance(value, int):
        return not isinstance(value, bool)
    return isinstance(value, str)
