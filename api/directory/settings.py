"""Where the directories are and how long they may take: the `[directory.NAME]` tables of the file that `ACCORD_CONFIG` names."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from reconciler.access.instants import parse_duration
from reconciler.settings import secret_of_directory
from reconciler.wording.nearest import did_you_mean


class Controller(NamedTuple):
    """One domain controller. Without `tls`, StartTLS secures the connection before anything else is sent."""

    host: str
    port: int
    tls: bool

    @property
    def shown(self) -> str:
        """Its URL."""
        return f"{'ldaps' if self.tls else 'ldap'}://{self.host}:{self.port}"


class DirectorySettings(NamedTuple):
    """One domain."""

    name: str
    netbios_name: str
    dns_name: str
    controllers: tuple[Controller, ...]
    """In the order they are tried."""
    ca_file: str
    user_base: str
    group_base: str
    service_account: str
    secret: str
    try_time: float
    """Seconds that one controller may take."""
    total_time: float
    """Seconds that all controllers together may take."""
    results: int
    waiting: int
    """How many threads may wait for this domain at a time."""
    resync: timedelta
    """How often accounts with sessions or tokens are re-read."""
    grace: timedelta
    """How long access lasts while no controller answers."""
    upn_suffixes: tuple[str, ...]
    """In lower case: what follows the `@` in user principal names of this domain, besides its DNS name."""
    switch_off_share: float
    """The share of the accounts read that one cycle may disable, in percent. It may always disable five."""

    @property
    def base(self) -> str:
        """The domain's own DN."""
        return _base(self.dns_name)


class BadDirectory(Exception):
    """The settings of a directory are unusable; the message says which, and why."""


_SUFFIX = re.compile(r"[^\s@\\/]{1,255}")
_KNOWN = frozenset(
    (
        "netbios_name", "dns_name", "controllers", "ca_file", "user_base", "group_base", "service_account", "secret",
        "secret_file", "try_time", "total_time", "results", "waiting", "resync", "grace", "switch_off_share", "upn_suffixes",
    )
)  # fmt: skip


def read_directories(tables: Mapping[str, Any], environment: Mapping[str, str]) -> tuple[DirectorySettings, ...]:
    """The domains in their order; bare names belong to the first. Raises BadDirectory."""
    if not all(isinstance(table, Mapping) for table in tables.values()):
        raise BadDirectory("`directory` must hold a table for each domain, such as `[directory.corp]`")
    found = tuple(_read(name, table, environment) for name, table in tables.items())
    for attribute in ("netbios_name", "dns_name"):
        names = [getattr(each, attribute).lower() for each in found]
        if len(set(names)) < len(names):
            raise BadDirectory(f"two directories have the same `{attribute}`")
    named = [suffix for each in found for suffix in (each.dns_name, *each.upn_suffixes)]
    twice = next((suffix for suffix in named if named.count(suffix) > 1), None)
    if twice is not None:
        raise BadDirectory(f"`{twice}` in `upn_suffixes` belongs to another directory as well, or is listed twice")
    return found


def _read(name: str, table: Mapping[str, Any], environment: Mapping[str, str]) -> DirectorySettings:
    def refuse(why: str) -> BadDirectory:
        return BadDirectory(f"[directory.{name}]: {why}")

    def text(key: str, default: str | None = None) -> str:
        value = table.get(key, default)
        if not isinstance(value, str) or not value.strip():
            raise refuse(f"`{key}` is missing" if key not in table else f"`{key}` must be text")
        return value.strip()

    def number(key: str, default: float, low: float, high: float) -> float:
        value = table.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise refuse(f"`{key}` must be a number from {low:g} to {high:g}")
        return float(value)

    def duration(key: str, default: str) -> timedelta:
        try:
            return parse_duration(text(key, default))
        except ValueError as error:
            raise refuse(f"`{key}`: {error}") from None

    unknown = sorted(set(table) - _KNOWN)
    if unknown:
        meant = did_you_mean(unknown[0], _KNOWN) or f"; the settings are {', '.join(sorted(_KNOWN))}"
        raise refuse(f"`{unknown[0]}` is not a setting{meant}")
    dns_name = text("dns_name").lower()
    if not re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", dns_name):
        raise refuse(f"`dns_name` must be a domain's full name, such as `corp.example.org`, not `{dns_name}`")
    suffixes = table.get("upn_suffixes", [])
    if not isinstance(suffixes, list) or not all(isinstance(each, str) and _SUFFIX.fullmatch(each) for each in suffixes):
        raise refuse("`upn_suffixes` must be a list of what follows the `@` in user principal names, such as `example.com`")
    urls = table.get("controllers")
    if not isinstance(urls, list) or not urls:
        raise refuse("`controllers` must be a list of addresses, such as `ldaps://dc1.corp.example.org`")
    try:
        controllers = tuple(_controller(str(url)) for url in urls)
    except ValueError as error:
        raise refuse(str(error)) from None
    ca_file = text("ca_file")
    try:
        ssl.create_default_context(cafile=ca_file)
    except OSError:
        raise refuse(f"`ca_file` names `{ca_file}`, which holds no readable certificates") from None
    base = _base(dns_name)
    return DirectorySettings(
        name=name,
        netbios_name=text("netbios_name"),
        dns_name=dns_name,
        controllers=controllers,
        ca_file=ca_file,
        user_base=text("user_base", base),
        group_base=text("group_base", base),
        service_account=text("service_account"),
        secret=_secret(name, table, environment, refuse),
        try_time=number("try_time", 3, 0.1, 60),
        total_time=number("total_time", 8, 0.1, 120),
        results=int(number("results", 1000, 10, 10_000)),
        waiting=int(number("waiting", 4, 1, 100)),
        resync=duration("resync", "5m"),
        grace=duration("grace", "4h"),
        upn_suffixes=tuple(each.lower() for each in suffixes),
        switch_off_share=number("switch_off_share", 10, 0, 100),
    )


def _base(dns_name: str) -> str:
    return ",".join(f"DC={part}" for part in dns_name.split("."))


def _controller(url: str) -> Controller:
    parts = urlsplit(url)
    if parts.scheme not in ("ldaps", "ldap") or not parts.hostname or parts.path.strip("/") or parts.username:
        raise ValueError(
            f"`{url}` is not the address of a domain controller; write `ldaps://HOST`, or `ldap://HOST` for StartTLS"
        )
    tls = parts.scheme == "ldaps"
    return Controller(parts.hostname, parts.port or (636 if tls else 389), tls)


def _secret(name: str, table: Mapping[str, Any], environment: Mapping[str, str], refuse: Any) -> str:
    variable = secret_of_directory(name)
    if "secret" in table:
        raise refuse(f"the secret does not belong in this file; name a `secret_file`, or set {variable}")
    secret = environment.get(variable, "")
    if not secret and isinstance(table.get("secret_file"), str):
        try:
            secret = Path(table["secret_file"]).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError):
            raise refuse(f"`secret_file` names `{table['secret_file']}`, which cannot be read") from None
    if not secret:
        raise refuse(f"the service account's secret is missing; name a `secret_file`, or set {variable}")
    if not can_be_password(secret):
        raise refuse("the service account's secret is not UTF-8, or contains a NUL; no directory has such a password")
    return secret


def can_be_password(text: str) -> bool:
    """Whether text can be the password of a bind: not empty, or the bind would be unauthenticated and succeed (RFC 4513, 5.1.2);
    no NUL, at which a controller may cut it off; and text that UTF-8 can hold. What else is right, the directory decides."""
    return bool(text) and "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)
