"""Links in mails: which hosts they lead to, and text that leads nowhere else.

Mail programs make a link of everything that looks like one, so text counts as much as tags do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

Hosts = frozenset[str]
"""Names of hosts in lower case that links may lead to."""
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,30}):(?=[/\\]{2})")
_CALLED = re.compile(r"\b(mailto|tel|sms|callto|sips?|xmpp):(?=\S)", re.IGNORECASE)
"""Schemes without slashes that mail programs make links of."""
_HOST = r"([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*|\[[0-9A-Fa-f:.]+\])"
_HTTP = re.compile(rf"https?://{_HOST}(?::[0-9]{{1,5}})?(?=[.,;:!?'\")\]}}*]*(?:[/?#\s\"<>]|\Z))", re.IGNORECASE)
"""The beginning of a link whose host no program can read differently: nothing that could be a user's name before an `@`."""
_WHOLE = re.compile(rf"https?://{_HOST}(?::[0-9]{{1,5}})?(?:[/?#][^\s<>\"'`\\]*)?", re.IGNORECASE)
"""A link and nothing else."""
_DOT = r"[.\u3002\uff0e\uff61]"
"""What separates the parts of a host's name (UTS 46)."""
_BARE = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]{0,30}(?::|\[:\])[/\\]{2}[\w.~%+&=?#:@/\\-]*"  # its scheme decides about it
    rf"|(?:(@)|(?<![\w.-]))[.-]*+((?:[\w-]+{_DOT}+)+[^\W\d_][\w-]+)(:[0-9]{{1,5}}|/|[?#]\w)?"
)
"""A host's name in any letters, and what makes an address of it, which mail programs make a link of without a scheme."""
_LONGEST_SHOWN = 60


def host_of(link: str) -> str | None:
    """Return the host of an http or https link, in lower case; None if it is anything else or programs could disagree."""
    found = _WHOLE.fullmatch(link)
    return found[1].lower() if found else None


def leads_elsewhere(link: str, hosts: Hosts) -> bool:
    """Whether a link, or what may be one, leads to a host that is not permitted."""
    return host_of(link) not in hosts


def links_elsewhere(text: str, hosts: Hosts, *, names: bool = False) -> Iterator[str]:
    """Yield what begins a link in a text and leads to a host that is not permitted, shortened to be shown.

    With `names`, `www.other.example` counts as well as `other.example/x` does.
    """
    for found in _SCHEME.finditer(text):
        if _is_elsewhere(text, found, hosts):
            yield text[found.start() : found.start() + _LONGEST_SHOWN].split(maxsplit=1)[0]
    for found in _BARE.finditer(text):
        if _is_bare_elsewhere(found, hosts, names=names):
            yield found[0][:_LONGEST_SHOWN]


def inert(text: str, hosts: Hosts, *, names: bool = False) -> str:
    """Return text whose links to other hosts no mail program makes clickable: `https[:]//other.example`.

    With `names`, `www.other.example` counts, too, and so do e-mail addresses and telephone numbers.
    """

    def broken(found: re.Match[str]) -> str:
        is_mailbox = names and found[1] is not None
        return re.sub(_DOT, "[.]", found[0]) if _is_bare_elsewhere(found, hosts, names=names, mailbox=is_mailbox) else found[0]

    text = _SCHEME.sub(lambda found: f"{found[1]}[:]" if _is_elsewhere(text, found, hosts) else found[0], text)
    return _BARE.sub(broken, _CALLED.sub(r"\1[:]", text) if names else text)


def _is_elsewhere(text: str, found: re.Match[str], hosts: Hosts) -> bool:
    permitted = _HTTP.match(text, found.start())
    return permitted is None or permitted[1].lower() not in hosts


def _is_bare_elsewhere(found: re.Match[str], hosts: Hosts, *, names: bool, mailbox: bool = False) -> bool:
    _, host, place = found.groups()
    return bool(host and (place or mailbox or (names and host.lower().startswith("www.")))) and host.lower() not in hosts
