"""Duties that are kept apart: being in a team, or a power through whichever team: administering, or using an issuer.

A duty is text: a team's name, or `KEY: VALUE` for a power, which no name can be.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

ADMINISTRATOR = "administrator: true"
_ISSUER = "issuer: "


def duty_of(item: str | Mapping[str, Any]) -> str:
    """Return the duty that YAML has: a team's name, `{administrator: true}` or `{issuer: NAME}`."""
    if isinstance(item, str):
        return item
    return _ISSUER + item["issuer"] if "issuer" in item else ADMINISTRATOR


def written_duty(duty: str) -> str | dict[str, Any]:
    """Return what YAML has for a duty."""
    issuer = issuer_of(duty)
    if issuer is not None:
        return {"issuer": issuer}
    return {"administrator": True} if duty == ADMINISTRATOR else duty


def issuer_of(duty: str) -> str | None:
    """Return the issuer that a duty is to use; None for another duty."""
    return duty.removeprefix(_ISSUER) if duty.startswith(_ISSUER) else None


def team_of(duty: str) -> str | None:
    """Return the team that a duty is to be in; None for a power."""
    return None if duty == ADMINISTRATOR or duty.startswith(_ISSUER) else duty


def issuers_in(groups: Iterable[Iterable[str]]) -> frozenset[str]:
    """Return the issuers that groups of duties name."""
    return frozenset(issuer for duties in groups for duty in duties if (issuer := issuer_of(duty)) is not None)


def teams_in(groups: Iterable[Iterable[str]]) -> frozenset[str]:
    """Return the teams that groups of duties name."""
    return frozenset(team for duties in groups for duty in duties if (team := team_of(duty)) is not None)


def duty_renamed(duty: str, teams: Mapping[str, str], issuers: Mapping[str, str]) -> str:
    """Return a duty with the new name of its team or issuer."""
    issuer = issuer_of(duty)
    return teams.get(duty, duty) if issuer is None else _ISSUER + issuers.get(issuer, issuer)


def show_duty(duty: str) -> str:
    """Say what somebody with a duty is: `in auditors`, `able to use tls-public`, `an administrator`."""
    issuer = issuer_of(duty)
    if issuer is not None:
        return f"able to use {issuer}"
    return "an administrator" if duty == ADMINISTRATOR else f"in {duty}"
