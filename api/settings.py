"""The settings of the API: options, environment variables `ACCORD_*`, and the TOML file that `ACCORD_CONFIG` names."""

from __future__ import annotations

import grp
import os
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from api.authentication.leaked import BadLeaked, Leaked
from api.directory.settings import BadDirectory, DirectorySettings, read_directories
from api.mail.settings import BadMail, MailSettings, read_mail
from api.state.clock import LONGEST_PAUSE
from reconciler.access.instants import parse_duration
from reconciler.access.permitted_ips import Rule, parse_rule
from reconciler.settings import DATABASE_URL, BadSettings, read_sources

DEFAULTS = {
    "database_url": DATABASE_URL,
    "listen": "127.0.0.1:8080",
    "metrics_listen": "",
    "metrics_token": "",
    "local_socket": "",
    "local_socket_group": "",
    "trusted_proxies": "",
    "longest_pause": f"{LONGEST_PAUSE.days}d",
    "threads": "8",
    "workers": "1",
    "hashes": "",
    "log_format": "text",
    "log_level": "info",
    "mail": "on",
    "maildir": "mail",
    "public_url": "",
    "link_hosts": "",
    "leaked_passwords": "",
    "console": "on",
}
LEAST_TOKEN = 16
"""Characters of a token for the metrics."""
_CHOICES = {"log_format": ("text", "json"), "log_level": ("debug", "info", "warning", "error"), "console": ("on", "off")}


class Misconfigured(Exception):
    """A setting cannot be used; the message says which and why."""


class Settings(NamedTuple):
    """How the API runs."""

    database_url: str
    host: str
    port: int
    trusted_proxies: tuple[Rule, ...]
    threads: int
    """In each process, like `hashes`."""
    workers: int
    hashes: int
    """Passwords hashed at the same time."""
    log_format: str
    log_level: str
    mail: MailSettings
    directories: tuple[DirectorySettings, ...] = ()
    metrics_listen: tuple[str, int] | None = None
    """The host and port of a listener for metrics alone."""
    longest_pause: timedelta = LONGEST_PAUSE
    """For how long no API may have run before the clock is in doubt."""
    metrics_token: str = ""
    """What a scraper must present on any listener."""
    local_socket: Path | None = None
    """A socket whose callers count as local."""
    local_socket_group: str = ""
    leaked_passwords: str = ""
    """The file of leaked passwords, or nothing."""
    console: bool = True
    """Whether the web console is served."""
    repository: bool = False
    """Whether the config repository is named, so that changes can be proposed in the console."""
    branch: str = "main"
    """The branch of it that counts."""


def read_settings(options: Mapping[str, str | None], environment: Mapping[str, str] | None = None) -> Settings:
    """The settings in force: options override environment variables, which override the TOML file. Raises Misconfigured."""
    try:
        sources = read_sources(options, environment)
        database_url = sources.database_url()
        maildir, leaked = (sources.place(name, DEFAULTS[name]) for name in ("maildir", "leaked_passwords"))
    except BadSettings as error:
        raise Misconfigured(str(error)) from None

    def setting(name: str) -> str:
        return sources.text(name, DEFAULTS[name])

    host, port = _listen(setting("listen"))
    metrics_listen = _listen(setting("metrics_listen")) if setting("metrics_listen") else None
    metrics_token = setting("metrics_token")
    if metrics_token and (len(metrics_token) < LEAST_TOKEN or not metrics_token.isascii() or not metrics_token.isprintable()):
        raise Misconfigured(f"ACCORD_METRICS_TOKEN must be at least {LEAST_TOKEN} printable ASCII characters")
    try:
        proxies = tuple(parse_rule(text.strip()) for text in setting("trusted_proxies").split(",") if text.strip())
    except ValueError as error:
        raise Misconfigured(f"ACCORD_TRUSTED_PROXIES: {error}") from None
    for name, choices in _CHOICES.items():
        if setting(name) not in choices:
            raise Misconfigured(f"ACCORD_{name.upper()} must be one of {', '.join(choices)}, not `{setting(name)}`")
    try:
        directories = read_directories(sources.file.get("directory", {}), sources.environment)
        mail = read_mail(
            sources.file.get("smtp", {}),
            sources.environment,
            mail=setting("mail"),
            maildir=maildir,
            public_url=setting("public_url"),
            link_hosts=setting("link_hosts"),
        )
    except (BadDirectory, BadMail) as error:
        raise Misconfigured(str(error)) from None
    try:
        longest_pause = parse_duration(setting("longest_pause"))
    except ValueError as error:
        raise Misconfigured(f"ACCORD_LONGEST_PAUSE: {error}") from None
    threads = _count(setting("threads"), "ACCORD_THREADS", 4)
    workers = _count(setting("workers"), "ACCORD_WORKERS", 1)
    hashes = _count(setting("hashes") or str(max(1, len(os.sched_getaffinity(0)) // workers)), "ACCORD_HASHES", 1)
    if hashes >= threads:
        raise Misconfigured(
            f"ACCORD_HASHES must be less than ACCORD_THREADS ({threads}); logins would take every thread from decisions"
        )
    return Settings(
        database_url=database_url,
        host=host,
        port=port,
        trusted_proxies=proxies,
        threads=threads,
        workers=workers,
        hashes=hashes,
        log_format=setting("log_format"),
        log_level=setting("log_level"),
        mail=mail,
        directories=directories,
        metrics_listen=metrics_listen,
        metrics_token=metrics_token,
        longest_pause=longest_pause,
        local_socket=_local_socket(setting("local_socket")),
        local_socket_group=_group(setting("local_socket_group")),
        leaked_passwords=leaked,
        console=setting("console") == "on",
        repository=bool(sources.text("repository", "")),
        branch=sources.text("branch", "main"),
    )


def open_leaked(settings: Settings) -> Leaked | None:
    """The file of leaked passwords, if there is one. Raises Misconfigured."""
    try:
        return Leaked(settings.leaked_passwords) if settings.leaked_passwords else None
    except BadLeaked as error:
        raise Misconfigured(f"ACCORD_LEAKED_PASSWORDS: {error}") from None


def _listen(text: str) -> tuple[str, int]:
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\s:\[\]]+)):([0-9]{1,5})", text)
    if match is None or int(match[3]) > 65535:
        raise Misconfigured(f"cannot listen on `{text}`; write `127.0.0.1:8080` or `[::1]:8080`")
    return match[1] or match[2], int(match[3])


def _local_socket(text: str) -> Path | None:
    path = Path(text)
    if text and (not path.is_absolute() or len(os.fsencode(text)) > _LONGEST_SOCKET or "\0" in text):
        raise Misconfigured(
            f"ACCORD_LOCAL_SOCKET must be an absolute path of at most {_LONGEST_SOCKET} bytes, such as /run/accord/local.sock"
        )
    return path if text else None


_LONGEST_SOCKET = 100
"""Bytes; systems differ, and the smallest limit is 104 with the NUL at its end."""


def _group(name: str) -> str:
    try:
        return name and grp.getgrnam(name).gr_name
    except KeyError:
        raise Misconfigured(f"ACCORD_LOCAL_SOCKET_GROUP: there is no group `{name}` on this machine") from None


def _count(text: str, name: str, least: int) -> int:
    if not (text.isascii() and text.isdigit() and least <= int(text) <= 512):
        raise Misconfigured(f"{name} must be a number from {least} to 512, not `{text}`")
    return int(text)
