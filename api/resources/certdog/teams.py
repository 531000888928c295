"""Teams, as existing clients read them."""

from __future__ import annotations

from typing import Any

from api.http.operations import Call
from api.resources.base import Resource
from api.resources.certdog.base import certdog_operation
from api.state import declared
from reconciler.access.state import ended


class MyTeams(Resource):
    """`GET /certdog/api/currentuser/myteams`."""

    @certdog_operation("My teams", access="account", response="ExistingTeams")
    def on_get(self, call: Call) -> Any:
        """The caller's teams, in the form that these clients read."""
        caller = call.caller
        found = []
        for team in caller.teams:
            number = declared.team_id(self.service.reader, team.name)
            permitted = [each.issuer for each in team.permissions if not ended(each.until, call.now)]
            issuers = [caller.access.state.issuers[name] for name in permitted]
            found.append(
                {
                    "id": "" if number is None else str(number),
                    "name": team.name,
                    "description": team.description,
                    "internalGroup": not team.ad_groups,
                    "adGroups": list(team.ad_groups),
                    "authorisedCas": sorted(issuer.display_name or issuer.name for issuer in issuers if issuer.enabled),
                    "adminUsernames": [],
                    "dontSendEmailsOnIssue": team.suppress_issued_emails,
                    "dontSendReminderEmails": team.suppress_reminder_emails,
                    "ipWhiteList": list(team.permitted_ips),
                }
            )
        return found
