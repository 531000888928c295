"""Links in mails: which hosts they lead to, and text that leads nowhere else.

Mail programs make a link of everything that looks like one, so text counts as much as tags do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

Hosts = frozenset[str]
"""Names of hosts in lower case that links may lead to."""
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,30}):(?=[/\\]{2})")
_HOST = r"([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*|\[[0-9A-Fa-f:.]+\])"
_HTTP = re.compile(rf"https?://{_HOST}(?::[0-9]{{1,5}})?(?=[.,;:!?'\")\]}}*]*(?:[/?#\s\"<>]|\Z))", re.IGNORECASE)
"""A link whose host no program can read differently: nothing that could be a user's name before an `@`, no backslash."""
_LONGEST_SHOWN = 60


def host_of(link: str) -> str | None:
    """Return the host of an http or https link, in lower case; None if programs could disagree about it."""
    found = _HTTP.match(link)
    return found[1].lower() if found else None


def leads_elsewhere(link: str, hosts: Hosts) -> bool:
    """Whether a link, or what may be one, leads to a host that is not permitted."""
    return host_of(link) not in hosts


def links_elsewhere(text: str, hosts: Hosts) -> Iterator[str]:
    """Yield what begins a link in a text and leads to a host that is not permitted, shortened to be shown."""
    for found in _SCHEME.finditer(text):
        if _is_elsewhere(text, found, hosts):
            yield text[found.start() : found.start() + _LONGEST_SHOWN].split(maxsplit=1)[0]


def inert(text: str, hosts: Hosts) -> str:
    """Return text whose links to other hosts no mail program makes clickable: `https[:]//other.example`."""
    return _SCHEME.sub(lambda found: f"{found[1]}[:]" if _is_elsewhere(text, found, hosts) else found[0], text)


def _is_elsewhere(text: str, found: re.Match[str], hosts: Hosts) -> bool:
    permitted = _HTTP.match(text, found.start())
    return permitted is None or permitted[1].lower() not in hosts
