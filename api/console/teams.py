"""Teams: who is in them, what they may use, and what may be proposed about them."""

from __future__ import annotations

from api.console.listing import read_search
from api.console.pages import Answer, Page, Visit, found, page
from api.state import declared, resources, teams
from api.state.pages import Page as Rows
from api.state.teams import TeamFilter

ROWS = 50
"""How many rows a list of the console has at a time."""
_KINDS = {"administrators": True, "others": False}


def wanted_teams(visit: Visit) -> TeamFilter:
    """The teams that the address asks for, of those that the visitor may see."""
    query = visit.query
    return TeamFilter(
        search=read_search(query),
        issuer=query.text("issuer") or None,
        administrator=_KINDS.get(query.text("kind")),
        names=None if visit.caller.is_administrator else visit.own_teams,
    )


class Teams(Page):
    """`/teams`."""

    @page()
    def on_get(self, visit: Visit) -> Answer:
        """All teams, for administrators; for a person, those that the person is in."""
        reader, wanted = visit.service.reader, wanted_teams(visit)
        rows = teams.search_teams(reader, Rows(visit.query.text("cursor") or None, ROWS), wanted, visit.now)
        return visit.render("teams.html", teams=rows, count=teams.count_teams(reader, wanted, visit.now))


class Team(Page):
    """`/teams/{name}`."""

    @page()
    def on_get(self, visit: Visit, name: str) -> Answer:
        """Everything that is declared of a team, to administrators and its members."""
        reader, query = visit.service.reader, visit.query
        team = found(teams.find_team(reader, name, visit.now) if visit.sees_team(name) else None, "such team")
        place = declared.place_of(reader, "Team", name)
        return visit.render(
            "team.html",
            team=team,
            place=place,
            details=resources.team_of(reader, name),
            delegation=resources.delegation_of(reader, place),
            members=teams.list_members(reader, name, Rows(query.text("cursor") or None, ROWS), visit.now),
            grants=teams.list_grants(reader, name, Rows(query.text("issuers") or None, ROWS), visit.now),
            is_member=name in visit.own_teams,
        )
