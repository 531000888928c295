"""Where both programs find their settings: options, `ACCORD_*` variables, and the TOML file that ACCORD_CONFIG names."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from reconciler.wording.nearest import did_you_mean
from reconciler.wording.text import printable

_TEXT, _NUMBER, _LIST, _TABLE = "text", "a number", "text or a list of text", "a table"
KEYS = {
    "repository": _TEXT,
    "repository_without_tls": _LIST,
    "branch": _TEXT,
    "path": _TEXT,
    "database_url": _TEXT,
    "cache": _TEXT,
    "proposal_committer": _TEXT,
    "proposal_signing_key": _TEXT,
    "proposal_timeout": _TEXT,
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
    "console": _TEXT,
    "smtp": _TABLE,
    "directory": _TABLE,
}
"""The keys of the file, which both programs read, and what each must be. Only those who read a table know what it may hold."""
SMTP_KEYS = (
    *("host", "port", "security", "username", "password", "password_file", "ca_file", "from", "helo", "timeout", "give_up"),
)
"""The keys of the table `smtp`, which are variables as well."""
DATABASE_URL = "sqlite:///accord.db"
"""The default of both programs, which must meet in one database."""
VARIABLES = frozenset(
    f"ACCORD_{name.upper()}"
    for name in (
        *(key for key, form in KEYS.items() if form != _TABLE),
        *(f"smtp_{key}" for key in SMTP_KEYS),
        *("config", "debug", "applied_by"),
    )
)
"""The variables of both programs, which may share an environment; each directory's secret has one as well."""
WORKFLOWS = frozenset({"ACCORD_PACKAGE", "ACCORD_LOCK", "ACCORD_PLAN_DATABASE_URL"})
"""Variables of the shipped workflows, which may define them without a value."""
_SECRET = re.compile(r"ACCORD_DIRECTORY_[A-Z0-9_]+_SECRET")
_KUBERNETES = re.compile(
    r"ACCORD_(\w+_)?(SERVICE_HOST=.*|SERVICE_PORT(_\w+)?=\d+|PORT(_\d+_[A-Z]+)?=\w+://.*|PORT_\d+_[A-Z]+_(PROTO|PORT|ADDR)=.*)"
)
"""What Kubernetes tells every container about a service whose name begins with `accord`."""


class BadSettings(Exception):
    """The settings file cannot be used; the message says why."""


class Sources(NamedTuple):
    """Where settings are looked for, in this order."""

    options: Mapping[str, str | None]
    environment: Mapping[str, str]
    file: Mapping[str, Any]

    def text(self, name: str, default: str) -> str:
        """The first value that is set; the items of a list are joined by commas."""
        for value in (self.options.get(name), self.environment.get(f"ACCORD_{name.upper()}"), self.file.get(name)):
            if value is not None:
                return ",".join(value) if isinstance(value, list) else str(value)
        return default

    def place(self, name: str, default: str) -> str:
        """The same of a setting that is a path: `~` is the home folder. Raises BadSettings without one."""
        return at_home(self.text(name, default))

    def database_url(self) -> str:
        """The URL of the database. Raises BadSettings if a command that uses it would take the default in CI."""
        found = self.text("database_url", "")
        if not found and "database_url" in self.options and self.environment.get("CI", "").lower() not in ("", "0", "false"):
            raise BadSettings(
                f"no database is named, and nothing would remain of {DATABASE_URL}, the default, after a run in CI "
                "(the variable `CI` is set); set ACCORD_DATABASE_URL, or give --database"
            )
        file = "sqlite:///"
        return file + at_home(found.removeprefix(file)) if found.startswith(f"{file}~") else found or DATABASE_URL


def read_sources(options: Mapping[str, str | None], environment: Mapping[str, str] | None = None) -> Sources:
    """The sources of a program with these options.

    Raises BadSettings, also if a variable is not a setting, or if what is set came about by accident: it never means the default.
    """
    variables = os.environ if environment is None else environment
    for name, value in options.items():
        if value is not None and (flaw := flaw_of(value)):
            option = "--database" if name == "database_url" else f"--{name.replace('_', '-')}"
            raise BadSettings(f"{option} {flaw}; give it a value, or leave the option out")
    for name in sorted(variables):
        _check_variable(name, variables[name])
    config = variables.get("ACCORD_CONFIG")
    content = _read_file(at_home(config)) if config else {}
    secrets = {secret_of_directory(directory) for directory in content.get("directory", {})}
    for name in sorted(filter(_SECRET.fullmatch, variables)) if secrets else ():
        if name not in secrets:
            raise BadSettings(f"{name} is the secret of no directory in `{config}`{did_you_mean(name, secrets)}")
    return Sources(options, variables, content)


def flaw_of(value: str) -> str | None:
    """Say why a value was hardly meant, without showing it, since it may be a secret.

    In CI a secret that does not exist expands to nothing; a file ends with a line break; only a shell removes quotes.
    """
    if not value.strip():
        return "is blank" if value else "is empty"
    if "\0" in value:
        return "contains a NUL"
    if value != value.strip():
        return "begins or ends with a blank" if value.strip("\r\n") == value else "begins or ends with a line break"
    return "is in quotes, which must not be part of it" if value[0] == value[-1] and value[0] in "\"'" and value[1:] else None


def _check_variable(name: str, value: str) -> None:
    if not name.upper().startswith("ACCORD_") or name in WORKFLOWS or _KUBERNETES.fullmatch(f"{name}={value}"):
        return
    if name not in VARIABLES and not _SECRET.fullmatch(name):
        meant = did_you_mean(name.upper(), VARIABLES) or "; variables that begin with ACCORD_ are Accord's, so rename yours"
        raise BadSettings(f"{printable(name)} is not a setting{meant}")
    if flaw := flaw_of(value):
        raise BadSettings(f"{name} {flaw}; give it a value, or unset it")


def secret_of_directory(name: str) -> str:
    """The variable that holds a directory's secret."""
    return f"ACCORD_DIRECTORY_{re.sub(r'[^A-Z0-9]', '_', name.upper())}_SECRET"


def at_home(path: str) -> str:
    """Return a path with the home folder in place of `~`, which only a shell would replace. Raises BadSettings without one."""
    found = os.path.expanduser(path)  # noqa: PTH111 - a Path would lose the slashes of a URL
    if found == path and path.split("/", 1)[0] == "~":
        raise BadSettings(f"`{path}` begins with the home folder, but HOME is not set; set it, or write the whole path")
    return found


def _texts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Each text in a value of the file, with its path."""
    if isinstance(value, str):
        yield path, value
    for key, each in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from _texts(each, f"{path}.{key}" if path and isinstance(value, dict) else path or str(key))


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
    for key, value in _texts(content):
        if flaw := flaw_of(value):
            raise BadSettings(f"`{name}` sets `{key}`, which {flaw}; give it a value, or leave it out")
    return content


def _fits(value: Any, form: str) -> bool:
    if form == _TABLE:
        return isinstance(value, dict)
    if form == _LIST and isinstance(value, list):
        return all(isinstance(each, str) for each in value)
    if form == _NUMBER and isinstance(value, int):
        return not isinstance(value, bool)
    return isinstance(value, str)
