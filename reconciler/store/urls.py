"""Database URLs: SQLite's files, and PostgreSQL in the forms that libpq and SQLAlchemy accept."""

from __future__ import annotations

import re
from itertools import zip_longest
from urllib.parse import quote, unquote

from sqlalchemy import exc
from sqlalchemy.engine import URL, make_url

POSTGRESQL = "postgresql+psycopg"
"""The driver's name in a URL that has been read, if it is PostgreSQL's."""
OUR_OPTIONS = frozenset({"timeout", "connect_timeout", "answer_timeout"})
"""The options of a URL that Accord heeds itself, each in seconds."""
_FORM = re.compile(
    r"(?P<scheme>postgres(?:ql)?(?:\+psycopg)?)://(?P<account>[^:/@]*(?::[^@]*)?@)?(?P<hosts>[^/?]*)(?P<rest>.*)", re.DOTALL
)
_HOST = re.compile(r"(?:\[(?P<bracketed>[^\]]*)\]|(?P<name>[^:\[\]]*))(?::(?P<port>[0-9]*))?")
_OPTION = re.compile(r"(?P<path>/.*)|\[(?P<bracketed>[^\]]*)\](?::(?P<port>[0-9]+))?|(?P<name>[^:]*):(?P<its_port>[0-9]+)")


def read_url(url: str) -> URL | None:
    """Parse a database URL; None if it is invalid, or if part of a password ended up in the host.

    PostgreSQL's hosts and ports end up in the options `host` and `port`, separated by commas as libpq wants them (PostgreSQL's
    manual, section 34.1.2), however the URL names them: `h1:1,h2:2`, `?host=h1,h2&port=1,2` or `?host=h1:1&host=h2:2`.
    """
    found = _FORM.fullmatch(url)
    try:
        if found is None:
            parsed = make_url(url)
            return None if "@" in (parsed.host or "") else parsed
        parsed = make_url(f"{POSTGRESQL}://{found['account'] or ''}{found['rest']}")
        hosts = _hosts(parsed, found["hosts"])
    except (exc.ArgumentError, ValueError):
        return None
    lists = {"host": ",".join(host for host, _ in hosts), "port": ",".join(port for _, port in hosts)}
    named = {option: value for option, value in lists.items() if value.strip(",")}
    return parsed.difference_update_query(["host", "port"]).update_query_dict(named)


def _hosts(url: URL, place: str) -> list[tuple[str, str]]:
    """The hosts and their ports: those in the options override those between `//` and the next `/`. Raises ValueError."""
    named, numbered = (",".join(url.normalized_query.get(option, ())) for option in ("host", "port"))
    hosts = [_host_and_port(each) for each in named.split(",")] if named else [_host_in_place(each) for each in place.split(",")]
    if not numbered:
        return hosts
    ports = [_port(each) for each in numbered.split(",")]
    if len(ports) == 1:  # for all
        ports *= len(hosts)
    return [(host, port or own) for (host, own), port in zip(hosts, ports, strict=True)]


def _host_in_place(text: str) -> tuple[str, str]:
    found = _HOST.fullmatch(text)
    if found is None or "@" in text:
        raise ValueError(text)
    return unquote(found["bracketed"] or found["name"] or ""), _port(found["port"])


def _host_and_port(text: str) -> tuple[str, str]:
    found = _OPTION.fullmatch(text)
    if found is None or found["path"]:
        return text, ""
    return found["bracketed"] or found["name"] or "", _port(found["port"] or found["its_port"])


def _port(text: str | None) -> str:
    if text and not (text.isascii() and text.isdigit() and 0 < int(text) <= 65_535):
        raise ValueError(text)
    return text or ""


def hosts_of(url: URL) -> list[dict[str, str]]:
    """The hosts of a PostgreSQL URL that has been read, each as options of libpq; one without options if it names none."""
    lists = {name: str(url.query[name]).split(",") for name in ("host", "port", "hostaddr") if name in url.query}
    return [
        {name: value for name, value in zip(lists, values, strict=True) if value}
        for values in zip_longest(*lists.values(), fillvalue="")
    ] or [{}]


def shown(url: str) -> str:
    """Return a database URL without its password and its options, which may contain another."""
    parsed = read_url(url)
    if parsed is None:
        return "(unreadable URL)"
    if parsed.drivername != POSTGRESQL:
        return parsed.set(query={}).render_as_string(hide_password=True)
    account = "" if parsed.username is None else quote(parsed.username) + (":***" if parsed.password else "") + "@"
    hosts = ",".join(_rendered(each.get("host", each.get("hostaddr", "")), each.get("port", "")) for each in hosts_of(parsed))
    return f"postgresql://{account}{hosts}/{quote(parsed.database or '')}"


def _rendered(host: str, port: str) -> str:
    name = f"[{host}]" if ":" in host else quote(host, safe="")
    return f"{name}:{port}" if port else name


def masked(text: str, url: str) -> str:
    """Return a text without the passwords of a URL."""
    parsed = read_url(url)
    if parsed is None:
        return text
    secrets = [str(parsed.password or ""), *(str(value) for key, value in parsed.query.items() if "password" in key)]
    for secret in filter(None, secrets):
        text = text.replace(secret, "***")
    return text
