"""Guards over a state: what is wrong with it, whichever plan led there. Judged before and after a plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import combinations
from typing import NamedTuple

from reconciler.access.ad_groups import folded
from reconciler.access.duties import ADMINISTRATOR, issuer_of, show_duty, team_of
from reconciler.access.instants import format_instant
from reconciler.access.resources import Guards, Membership, User
from reconciler.access.state import AccessState, earlier, ended, rights_at
from reconciler.plan.objections import FOREVER, Objection, Subject, weight_of


class State(NamedTuple):
    """One side of a plan: what accounts may do, who they are, and who can log in."""

    access: AccessState
    users: Mapping[str, User]
    can_log_in: frozenset[str]
    """Declared users who have a password, or are sent one."""
    now: datetime
    welcome: bool = True
    """Whether people who are created are mailed a password."""


def administrators(state: AccessState, now: datetime) -> set[str]:
    """Return the enabled accounts in administrator teams."""
    return {user for user in _administration(state, now) if state.accounts.get(user, False)}


def _administration(state: AccessState, now: datetime) -> dict[str, int]:
    """Return everyone in administrator teams, and how much it weighs: until the latest end of these memberships."""
    teams = {name for name, team in state.teams.items() if team.administrator}
    return {
        user: max(ends)
        for user, memberships in state.memberships.items()
        if not teams.isdisjoint(memberships)
        and (
            ends := [
                weight_of(membership.until)
                for team, membership in memberships.items()
                if team in teams and not ended(membership.until, now)
            ]
        )
    }


def too_many_administrators(state: State, guards: Guards) -> list[Objection]:
    """Object to more administrators than the limit."""
    count = len(_could_administer(state))
    if guards.max_administrators is None or count <= guards.max_administrators:
        return []
    said = f"{count} administrators; the limit is {guards.max_administrators}"
    return [Objection((), f"there would be {said}", f"there are {said}", weight=count)]


def unrestricted_administrators(state: State, guards: Guards) -> list[Objection]:
    """Object to whoever may administer from anywhere, now or once a team ends, if permitted IPs are required.

    An AD group counts although nobody may be known to be in it. It weighs the more the sooner it opens, then the longer the
    rights last.
    """
    if not guards.administrators_need_permitted_ips:
        return []
    groups = _groups(state.access)
    as_accounts = state.access._replace(accounts=dict.fromkeys(groups, True), memberships=groups)
    accounts = state.access._replace(accounts=dict.fromkeys(_could_administer(state), True))
    return [*_unrestricted("User", accounts, state.now), *_unrestricted("AD group", as_accounts, state.now)]


def _unrestricted(kind: str, state: AccessState, now: datetime) -> Iterator[Objection]:
    rights = rights_at(state, now)
    for name in sorted(state.accounts):
        for right in rights(name).values():
            opens = next((moment for moment, addresses in right.later if addresses is None), None)
            if right.addresses is not None and opens is None:
                continue
            who = name if kind == "User" else f"whoever is in the AD group {name}"
            said = f"administrator without permitted IPs: {who}"
            weight = weight_of(right.until) // 2
            if right.addresses is None or opens is None:
                weight += FOREVER // 2  # more than any that opens later
            else:
                weight -= int(opens.timestamp())
                said += f", from {format_instant(opens)} on"
            yield Objection(((kind, name),), said, said, weight)


def shared_duties(state: State, guards: Guards) -> list[Objection]:
    """Object to each two duties that are kept apart and that one account or AD group has. It weighs as long as both last.

    A group counts although nobody may be known to be in it: whoever is has both duties.
    """
    found: dict[tuple[Subject, ...], Objection] = {}
    groups = _groups(state.access) if guards.separation_of_duties else {}
    for duties in guards.separation_of_duties:
        given = _given_by_teams(state, duties)
        for kind, holders in (("User", state.access.memberships), ("AD group", groups)):
            for name, memberships in holders.items():
                if given.keys().isdisjoint(memberships) or (kind == "User" and name not in state.access.accounts):
                    continue
                ends = _ends(memberships, given, state.now)
                for pair in combinations([duty for duty in duties if duty in ends], 2):
                    objection = _shared((kind, name), pair, min(ends[duty] for duty in pair))
                    found[objection.subjects] = objection
    return [found[subjects] for subjects in sorted(found)]


def _groups(state: AccessState) -> dict[str, dict[str, Membership]]:
    """Return the teams that list each AD group, by its folded name, like the memberships of an account."""
    found: dict[str, dict[str, Membership]] = {}
    for team in state.teams.values():
        for group in folded(team.ad_groups):
            found.setdefault(group, {})[team.name] = Membership(group)
    return found


def _ends(
    memberships: Mapping[str, Membership], given: Mapping[str, list[tuple[str, datetime | None]]], now: datetime
) -> dict[str, int]:
    """Return the duties that memberships give, and how much each weighs: until the latest end."""
    ends: dict[str, int] = {}
    for team, membership in memberships.items():
        for duty, until in given.get(team, ()) if not ended(membership.until, now) else ():
            ends[duty] = max(ends.get(duty, 0), weight_of(earlier(membership.until, until)))
    return ends


def _given_by_teams(state: State, duties: tuple[str, ...]) -> dict[str, list[tuple[str, datetime | None]]]:
    """Return which of the duties each team gives its members, and until when."""
    given: dict[str, list[tuple[str, datetime | None]]] = {}
    for name, team in state.access.teams.items():
        for duty in duties:
            if duty == name or (duty == ADMINISTRATOR and team.administrator):
                given.setdefault(name, []).append((duty, None))
        for issuer, until in team.permissions:
            for duty in duties if not ended(until, state.now) else ():
                if issuer_of(duty) == issuer:
                    given.setdefault(name, []).append((duty, until))
    return given


def _shared(holder: Subject, duties: tuple[str, str], weight: int) -> Objection:
    both = " and ".join(map(show_duty, duties))
    why = "which may not share members" if all(map(team_of, duties)) else "which are kept apart"
    subjects = [holder, *(_subject(duty) for duty in duties)]
    who = holder[1] if holder[0] == "User" else f"whoever is in the AD group {holder[1]}"
    return Objection(tuple(sorted(subjects)), f"{who} would be {both}, {why}", f"{who} is {both}, {why}", weight)


def _subject(duty: str) -> Subject:
    issuer = issuer_of(duty)
    return ("Issuer", issuer) if issuer is not None else ("Team" if team_of(duty) else "", duty)


def no_administrator(state: State, _guards: Guards) -> list[Objection]:
    """Require an administrator outside any directory: a directory that is down must not lock everyone out.

    If nobody can log in already, it is worse to lose somebody who could again, after an operator's help.
    """
    for_good = (user for user, end in _administration(state.access, state.now).items() if end == FOREVER)
    persons = {user for user in for_good if _is_person(state, user)}
    enabled = {user for user in persons if state.access.accounts.get(user, False)}
    if not enabled.isdisjoint(state.can_log_in):
        return []
    rest = (
        "keep an enabled person, declared in Git, in a team with `administrator: true`, without an end, who has a password or is "
        "sent a welcome mail"
    )
    if enabled and not state.welcome:
        rest = (
            "--no-welcome mails no password; to go on, override this guard, then set one on the API's host: "
            f"accord-api user set-password {min(enabled)}"
        )
    said = "no administrator who can log in"
    return [Objection((), f"{said} would be left; {rest}", f"there is {said}; {rest}", weight=-len(persons))]


def _is_person(state: State, user: str) -> bool:
    declared = state.users.get(user)
    return declared is not None and declared.type == "person"


def new_administrators(before: State, after: State) -> Iterator[Objection]:
    """Object to each account that becomes an administrator or is one for longer, and to each AD group whose members become some.

    An account that its administrator or directory has disabled counts: they enable it again without a plan.
    """
    were = _could_administer(before)
    for user, end in sorted(_could_administer(after).items()):
        if end > were.get(user, 0):
            message = f"{user} would {'be an administrator for longer' if user in were else 'become an administrator'}"
            yield Objection((("User", user),), message, f"{user} is an administrator", weight=end)
    for team, group in sorted(_administrator_groups(after) - _administrator_groups(before)):
        message = f"whoever is in the AD group {group} would become an administrator, through {team}"
        yield Objection((("AD group", group), ("Team", team)), message, message)


def _could_administer(state: State) -> dict[str, int]:
    """Return who administers, or would as soon as an administrator or directory enables the account, and how much it weighs."""
    everyone = _administration(state.access, state.now).items()
    return {user: end for user, end in everyone if user not in state.users or state.users[user].enabled}


def _administrator_groups(state: State) -> set[tuple[str, str]]:
    teams = state.access.teams.values()
    return {(team.name, group.casefold()) for team in teams if team.administrator for group in team.ad_groups}
