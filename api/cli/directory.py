"""accord-api directory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from api.cli.groups import Group
from api.cli.output import say, say_json

if TYPE_CHECKING:
    from api.directory.domains import Domains

_format = click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)


@click.group(
    "directory",
    cls=Group,
    epilog="""\b
Examples:
  accord-api directory doctor
  accord-api directory groups --search pki
""",
)
def command() -> None:
    """Examine the domain controllers, and find groups to map to teams. ACCORD_CONFIG names the file that configures them."""


@contextmanager
def _domains() -> Iterator[Domains]:
    from api.directory.domains import Domains
    from api.settings import Misconfigured, read_settings

    domains = Domains(read_settings({}).directories)
    if not domains:
        raise Misconfigured("no directory is configured; set ACCORD_CONFIG to a file with a `[directory.NAME]` table")
    try:
        yield domains
    finally:
        domains.close()


@command.command(
    "doctor",
    epilog="""\b
Examples:
  accord-api directory doctor
  accord-api directory doctor --format json

\b
Exit codes: 0 every check passed; 1 a check failed.
""",
)
@_format
def doctor(form: str) -> int:
    """Check each controller: reachability, certificate, clock, service account, read permissions, latency; and say what to do."""
    from datetime import UTC, datetime

    from api.directory.doctor import examine

    with _domains() as domains:
        found = [finding for domain in domains.all for finding in examine(domain, datetime.now(UTC))]
    if form == "json":
        say_json([each._asdict() for each in found])
    else:
        for controller, check, ok, detail, advice in found:
            mark, colour = ("ok  ", "green") if ok else ("FAIL", "red")
            say(f"  {controller}  {check}: {detail}", mark=mark, colour=colour)
            if not ok and advice:
                say(f"      → {advice}")
    return 0 if all(each.ok for each in found) else 1


@command.command(
    "groups",
    epilog="""\b
Examples:
  accord-api directory groups --search pki
  accord-api directory groups --search "certificate admins" --format json
""",
)
@click.option("--search", "text", required=True, metavar="TEXT", help="Part of the group's name.")
@_format
def groups(text: str, form: str) -> None:
    """Find groups by part of their name, for a team's `adGroups`."""
    from api.directory.doctor import find_groups

    with _domains() as domains:
        first = domains.all[0]
        found = [
            (name if domain is first else f"{domain.settings.netbios_name}\\{name}", dn)
            for domain in domains.all
            for name, dn in find_groups(domain, text)
        ]
    if form == "json":
        say_json([{"name": name, "dn": dn} for name, dn in found])
        return
    for name, dn in found:
        say(f"{name}  {dn}")
    if not found:
        say(f"No group has `{text}` in its name.")


@command.command(
    "resolve",
    epilog="""\b
Examples:
  accord-api directory resolve PKI-Web "BRANCH\\\\PKI"
  accord-api directory resolve --format json < names

\b
Exit codes: 0 all were found; 1 one was not, or no directory could be asked.
""",
)
@click.argument("names", nargs=-1)
@_format
def resolve(names: tuple[str, ...], form: str) -> int:
    """Find the SIDs of groups by the names that teams use, given as arguments or on standard input, one per line."""
    import sys

    with _domains() as domains:
        asked = names or [line for line in sys.stdin.read().split("\n") if line]
        found = {name: domains.group_sid(name) for name in asked}
    if form == "json":
        say_json(found)
    else:
        for name, sid in found.items():
            say(f"{name}  {sid or 'not found'}")
    return 0 if None not in found.values() else 1
