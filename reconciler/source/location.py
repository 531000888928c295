"""The location of a config repository, a path or a URL, and how to show it without credentials."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from reconciler.source.errors import RepositoryUnreachable

_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_SCP = re.compile(r"[A-Za-z0-9._-]+@([A-Za-z0-9._-]+):[^-]")
_CREDENTIALS = re.compile(r"(?<=://)(?!(?<=file://)/)\S*@|(?<![^\s'\"`])[^/\s:@'\"`]+:[^/\s'\"`]+@")
"""`alice:secret@`, or everything up to the last `@` in a URL; neither the user in `git@host:path` nor what is in `file:///path`."""
_PARAMETER = re.compile(r"(?<=[?&])([^=&\s'\"`]+)=[^&\s'\"`]+")
_PROTOCOLS = ("https", "ssh", "file", "http", "git")
_WITHOUT_TLS = ("http", "git")
_INVALID = (
    "the repository's URL is not a valid one; in a name or password, write `/`, `@`, `:`, `#`, `?` and `%` as %2F, %40, "
    "%3A, %23, %3F and %25, and `@` in a path as %40"
)


class Remote(NamedTuple):
    """A remote repository: its URL without credentials, and the credentials."""

    url: str
    protocol: str
    host: str
    username: str | None = None
    password: str | None = None


def is_remote(location: str) -> bool:
    """Tell whether a location is a URL, or something that ssh accepts as one."""
    return bool(_URL.match(location) or (_SCP.match(location) and not Path(location).exists()))


def without_credentials(text: str) -> str:
    """Remove passwords and tokens from all URLs in a text."""
    return _PARAMETER.sub(r"\1=***", _CREDENTIALS.sub("", text))


def shown_location(location: str) -> str:
    """Return what messages may say of a location. One that leads nowhere may be a mistyped URL: what follows its last `@`."""
    if is_remote(location) or os.path.lexists(location):
        return without_credentials(location)
    return without_credentials(location.rpartition("@")[2])


def parse_remote(location: str, without_tls: Collection[str] = ()) -> Remote:
    """Take the location of a remote repository apart; `without_tls` names hosts that may be reached unprotected.

    Raises RepositoryUnreachable unless git can be asked for it safely.
    """
    scp = None if _URL.match(location) else _SCP.match(location)
    if scp is not None:
        return Remote(location, "ssh", scp[1])
    try:
        parts = urlsplit(location)
        if not location.isprintable() or " " in parts.netloc:
            raise ValueError
        host, port, protocol = parts.hostname or "", parts.port, parts.scheme.lower()
        if (
            protocol != "file" and "@" in parts.path + parts.query + parts.fragment
        ):  # the end of a password with a `/`, `#` or `?`
            raise ValueError
    except ValueError:
        raise RepositoryUnreachable(_INVALID) from None
    shown = without_credentials(location)
    if protocol not in _PROTOCOLS:
        raise RepositoryUnreachable(f"`{protocol}://` is a transport that Accord does not use; use https:// or ssh://")
    if host.startswith("-") or (host not in ("", "localhost") if protocol == "file" else not host):
        form = "file:///PATH" if protocol == "file" else f"{protocol}://HOST/PATH"
        raise RepositoryUnreachable(f"`{shown.rpartition('@')[2]}` is not the location of a repository; write {form}")
    if protocol in _WITHOUT_TLS and not _is_loopback(host) and host not in without_tls:
        raise RepositoryUnreachable(
            f"`{shown}` is not protected by TLS, so anybody on the way could decide who gets access; use https:// or ssh://. "
            f"If nothing else will do: ACCORD_REPOSITORY_WITHOUT_TLS={host}"
        )
    if _PARAMETER.search(location) and protocol in ("https", "http"):
        raise RepositoryUnreachable(
            f"`{shown}` has parameters, which git would show to every user of this machine; put a token before the host "
            "(https://USER:TOKEN@HOST/PATH), which Accord keeps to itself"
        )
    return _taken_apart(location, protocol, host, port)


def _taken_apart(location: str, protocol: str, host: str, port: int | None) -> Remote:
    parts = urlsplit(location)
    user, _, _ = parts.netloc.rpartition("@")
    name, colon, secret = user.partition(":")
    username, password = (unquote(name) if user else None), (unquote(secret) if colon else None)
    if not all(value is None or value.isprintable() for value in (username, password)):
        raise RepositoryUnreachable("the name or password in the repository's URL has control characters")
    if protocol == "ssh" and password is not None:
        raise RepositoryUnreachable(f"ssh takes no password from `{without_credentials(location)}`; use a key instead of it")
    place = f"[{host}]" if ":" in host else host
    place += f":{port}" if port is not None else ""
    rest = location[location.index("://") + 3 + len(parts.netloc) :]
    if protocol == "ssh":
        return Remote(f"ssh://{f'{name}@' if user else ''}{place}{rest}", protocol, place)
    return Remote(f"{protocol}://{'' if protocol == 'file' else place}{rest}", protocol, place, username, password)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
