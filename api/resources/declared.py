"""What Git declares, for administrators to see: teams and issuers. It is changed in Git alone, and refusals say where."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from api.errors import Declared, NotFound
from api.http.operations import NAMED, NAMED_ACCOUNT, Call, operation
from api.http.shapes import PAGE
from api.resources.base import Resource
from api.state import declared, issuers, teams
from api.state.declared import Kind
from api.state.pages import Page

TAG = "Declared facts"


def refusal(doing: Literal["Create", "Change", "Delete"], kind: Kind, tag: str) -> Callable[..., None]:
    """The responder of an operation that exists only to say where it is done."""
    making, noun = doing == "Create", kind.lower()
    one = f"{'an' if kind == 'Issuer' else 'a'} {noun}"

    @operation(
        f"{doing} {one}",
        access="administrator",
        tag=tag,
        status=409,  # it never succeeds
        errors=() if making else (404,),
        path={} if making else NAMED_ACCOUNT if kind == "User" else NAMED,
    )
    def refuse(self: Resource, call: Call, name: str | None = None) -> None:
        """Done in the config repository only."""
        reader = self.service.reader
        if name is None:
            raise Declared(f"to create {one}, declare it in the config repository")
        if not declared.exists(reader, kind, name):
            raise NotFound(f"there is no {noun} `{name}`")
        at = declared.declared_at(reader, kind, name)
        if at is None:
            raise Declared(f"`{name}` does not come from Git and cannot be changed here")
        raise Declared(f"`{name}` is declared in `{at['file']}` of the config repository; change it there", **at)

    return refuse


class Teams(Resource):
    """All teams."""

    @operation("List teams", access="administrator", tag=TAG, response="TeamPage", errors=(404,), query=PAGE)
    def on_get(self, call: Call) -> Any:
        """By name, with the number of their members and the issuers that these may use now."""
        return teams.list_teams(self.service.reader, Page.of(call.query), call.now)

    on_post = refusal("Create", "Team", TAG)


class Team(Resource):
    """One team."""

    @operation("Show a team", access="administrator", tag=TAG, response="Team", errors=(404,), path=NAMED)
    def on_get(self, call: Call, name: str) -> Any:
        """What is declared of it."""
        found = teams.find_team(self.service.reader, name, call.now)
        if found is None:
            raise NotFound(f"there is no team `{name}`")
        return found

    on_patch = on_put = refusal("Change", "Team", TAG)
    on_delete = refusal("Delete", "Team", TAG)


class Issuers(Resource):
    """All issuers."""

    @operation("List issuers", access="administrator", tag=TAG, response="IssuerPage", errors=(404,), query=PAGE)
    def on_get(self, call: Call) -> Any:
        """By name, with the teams that may use them now."""
        return issuers.list_issuers(self.service.reader, Page.of(call.query), call.now)

    on_post = refusal("Create", "Issuer", TAG)


class Issuer(Resource):
    """One issuer."""

    @operation("Show an issuer", access="administrator", tag=TAG, response="Issuer", errors=(404,), path=NAMED)
    def on_get(self, call: Call, name: str) -> Any:
        """What is declared of it."""
        found = issuers.find_issuer(self.service.reader, name, call.now)
        if found is None:
            raise NotFound(f"there is no issuer `{name}`")
        return found

    on_patch = on_put = refusal("Change", "Issuer", TAG)
    on_delete = refusal("Delete", "Issuer", TAG)
