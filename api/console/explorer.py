"""The access explorer: may this account use that issuer, from there, then; by which ways, and if not, what would let it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import urlencode

from api.console.pages import Answer, Page, Visit, page
from api.decisions import CLOCKS
from api.errors import Forbidden, Invalid
from api.reads.explorer import Explained, explain
from api.state.declared import declared_among
from api.state.suggestions import names_like
from reconciler.access.instants import format_instant, parse_moment
from reconciler.access.permitted_ips import Address, parse_address
from reconciler.access.remedies import Act, Obstacle, Remedy
from reconciler.wording.nearest import nearest
from reconciler.wording.text import command_line, count

_CLOSE = 200
"""Names among which the nearest to an unknown one is looked for."""
_LONGEST_ADDRESS = 64
_MOST_OWN = 3
_ALL = -1
"""For `Remedy.gives`: all members of the team get the same, however many they are."""
ASK = "an administrator can propose it"
ASK_TO_JOIN = (
    "check the name; if it is right, an administrator, or somebody in a team that may use the issuer, "
    "can propose adding you there"
)
_OF_OTHERS = frozenset(("unknown-issuer", "issuer-disabled", "no-team", "no-permission"))
"""What prevents somebody without a way to an issuer: which of them it is would tell whether there is such an issuer."""


class Question(NamedTuple):
    """What the address of the page asks."""

    user: str
    issuer: str
    address: Address | None
    """None: from anywhere."""
    at: datetime


class Offer(NamedTuple):
    """How a remedy is proposed: in words, and each act by a form of the console, or by a command."""

    words: str
    forms: tuple[tuple[str, str], ...]
    """The address of a form, and what its link says."""
    commands: tuple[str, ...]
    team: str
    link: str
    """Which link is missing of a chain through `team`: `member`, `grant`, or empty."""


class Explorer(Page):
    """`/access`."""

    @page()
    def on_get(self, visit: Visit) -> Answer:
        """The form, and the answer once it is asked. Administrators ask about all accounts, others about themselves."""
        query, service, caller = visit.query, visit.service, visit.caller
        user, issuer = query.text("user").lower() or caller.name, query.text("issuer")
        if user != caller.name and not caller.is_administrator:  # who may ask for decisions hears less than this page says
            raise Forbidden("you may ask about yourself only", reason="may-not-decide-for")
        explained = question = None
        if issuer:
            try:
                question = read_question(visit, user, issuer)
                explained = explain(service.reader, service.keeper, service.freshness, *question, visit.now)
                explained = explained if caller.is_administrator else without_others(explained)
            except Invalid as problem:
                visit.problem = problem
        reader, everything = service.reader, caller.is_administrator
        account = service.keeper.now(user).accounts.get(user)
        return visit.render(
            "access.html",
            user=user,
            issuer=issuer,
            question=question,
            explained=explained,
            kind=account.type if account else "account",
            obstacles=list(shown_obstacles(visit, explained)) if explained else [],
            curl=explained and curl_of(visit, explained),
            users=names_like(reader, "User", user) if everything else [],
            issuers=names_like(reader, "Issuer", issuer) if everything else own_issuers(visit),
        )


def own_issuers(visit: Visit) -> list[str]:
    """The issuers that the visitor's teams may use."""
    return sorted({each.issuer for team in visit.caller.teams for each in team.permissions})


def read_question(visit: Visit, user: str, issuer: str) -> Question:
    """What the address asks. Raises Invalid.

    The visitor calls from where the visitor is, unless another address is given, which only administrators may ask about.
    """
    query, caller = visit.query, visit.caller
    at, address = visit.now, caller.address if user == caller.name else None
    try:
        if query.text("at"):
            at = parse_moment(query.text("at"))
        if query.text("address") and caller.is_administrator:
            address = parse_address(query.text("address")[:_LONGEST_ADDRESS])
    except ValueError as error:
        raise Invalid(str(error)) from None
    if at < visit.now - CLOCKS:
        raise Invalid("that is in the past; `accord explain --at` answers it from the history")
    return Question(user, issuer, address, max(at, visit.now))


def without_others(explained: Explained) -> Explained:
    """The answer for a person: an issuer without a way of the person is as one that is not there."""
    found = [each.reason in _OF_OTHERS for each in explained.missing]
    if explained.ways or not any(found):
        return explained
    words = f"there is no issuer `{explained.issuer}`, or you are in no team that may use it"
    first = found.index(True)
    before, after = explained.missing[:first], explained.missing[first:]
    rest = (each for each in after if each.reason not in _OF_OTHERS)
    return explained._replace(
        missing=(*before, Obstacle("no-permission", words), *rest),
        issuer_enabled=True,
        issuer_place=None,
    )


def shown_obstacles(visit: Visit, explained: Explained) -> Iterator[tuple[Obstacle, str, list[Offer]]]:
    """What is missing, what helps besides proposals, and what can be proposed. A person hears of own teams only."""
    mine = None if visit.caller.is_administrator else {team.name for team in visit.caller.teams}
    for obstacle in explained.missing:
        remedies = [each for each in obstacle.remedies if mine is None or concerns(each) <= mine]
        otherwise = obstacle.otherwise
        if mine is not None and obstacle.reason in _OF_OTHERS and not explained.ways:
            otherwise, remedies = ASK_TO_JOIN, list(own_grants(visit, explained))
        elif mine is not None and not remedies:
            otherwise = otherwise or ASK
        words = obstacle.words + suggestion(visit, explained, obstacle)
        yield obstacle._replace(words=words), otherwise, [offer(each, explained) for each in remedies]


def own_grants(visit: Visit, explained: Explained) -> Iterator[Remedy]:
    """What a person may propose: that a team of the person may use the issuer."""
    declared = declared_among(visit.service.reader, "Team", [team.name for team in visit.caller.teams])
    for team in sorted(declared)[:_MOST_OWN]:
        yield Remedy((Act("grant", {"team": team, "issuer": explained.issuer}),), _ALL)


def concerns(remedy: Remedy) -> set[str]:
    """What only an administrator, or a member of it, may propose to change: teams, or another resource."""
    return {str(act.arguments.get("team") or f"{act.act}:") for act in remedy.acts}


def suggestion(visit: Visit, explained: Explained, obstacle: Obstacle) -> str:
    """The name that was meant, perhaps."""
    if not visit.caller.is_administrator or obstacle.reason not in ("unknown-account", "unknown-issuer"):
        return ""
    kind, name = ("User", explained.user) if obstacle.reason == "unknown-account" else ("Issuer", explained.issuer)
    found = nearest(name, names_like(visit.service.reader, kind, name, _CLOSE))  # type: ignore[arg-type]  # one of its kinds
    return f"; did you mean `{found}`?" if found else ""


def offer(remedy: Remedy, explained: Explained) -> Offer:
    """A remedy as it is offered."""
    forms, commands, words = [], [], []
    for act in remedy.acts:
        said = act.arguments
        if act.act == "add-user":
            forms.append((f"/users/new?{urlencode(said)}", "Add the user"))
            words.append(f"Add a user called `{said['name']}`")
        elif act.act == "set":
            commands.append(command_of(said))
            words.append(_set_words(said, explained))
        else:
            forms.append((f"/proposals/new?{urlencode({'act': act.act, **said})}", _BUTTONS[act.act]))
            words.append(_words(act, explained))
    teams = {str(act.arguments["team"]) for act in remedy.acts if "team" in act.arguments}
    link = {"add-member": "member", "grant": "grant"}.get(remedy.acts[0].act, "") if len(remedy.acts) == 1 else ""
    said_of_others = _others(remedy, remedy.acts[0])
    return Offer(f"{' and '.join(words)}.{said_of_others}", tuple(forms), tuple(commands), teams.pop() if teams else "", link)


_BUTTONS = {"add-member": "Propose the membership", "grant": "Propose the permission", "enable": "Propose to enable it"}


def _words(act: Act, explained: Explained) -> str:
    said = act.arguments
    been = {way.team for way in explained.ways}
    again = said.get("team") in been
    if act.act == "add-member":
        return f"{'Keep' if again else 'Make'} `{said['user']}` a member of `{said['team']}`{' for longer' if again else ''}"
    if act.act == "grant":
        return f"Let `{said['team']}` use `{said['issuer']}`{' for longer' if again else ''}"
    return f"Enable `{said['name']}` in Git"


def _set_words(said: Mapping[str, Any], explained: Explained) -> str:
    if said["kind"] == "Team":
        return f"Permit {explained.address.text if explained.address else 'the address'} in `{said['name']}`"
    return f"Enable the issuer `{said['name']}` in Git"


def _others(remedy: Remedy, act: Act) -> str:
    if not remedy.gives:
        return " Nobody gets anything else with it." if act.act in ("add-member", "grant") else ""
    if remedy.gives == _ALL:
        return " All its members get the same."
    if act.act == "add-member":
        return f" The team gives {count(remedy.gives, 'other issuer')} as well."
    return f" {count(remedy.gives, 'other member')} of the team {'get' if remedy.gives > 1 else 'gets'} the same."


def command_of(said: Mapping[str, Any]) -> str:
    """The command that sets fields of a resource."""
    fields = [f"{name}={_value(value)}" for name, value in said["fields"].items()]
    return command_line(["accord", "propose", "set", said["kind"], said["name"], *fields])


def _value(value: Any) -> str:
    return ",".join(value) if isinstance(value, list) else str(value).lower()


def curl_of(visit: Visit, explained: Explained) -> str:
    """The command that asks the API the same. Without an address, the API takes it for unknown, which no restriction permits."""
    own = explained.user == visit.caller.name
    body = {"issuer": explained.issuer} if own else {"subject": explained.user, "issuer": explained.issuer}
    if visit.query.text("address") and explained.address is not None:
        body["address"] = explained.address.text
    elif explained.address is None and explained.permitted_ips:
        body["address"] = "ADDRESS"
    if explained.at > visit.now:
        body["at"] = format_instant(explained.at)
    headers = '-H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json"'
    return f"curl {headers} \\\n  -d {shlex.quote(json.dumps(body))} \\\n  {visit.origin}/api/v1/decisions"
