"""Teams, as existing clients read them."""

from __future__ import annotations

from typing import Any

from api.http.operations import Call
from api.resources.base import Resource
from api.resources.certdog.base import certdog_operation
from api.state import public_ids
from reconciler.access.state import ended


class MyTeams(Resource):
    """`GET /certdog/api/currentuser/myteams`."""

    @certdog_operation("My teams", access="account", response="ExistingTeams")
    def on_get(self, call: Call) -> Any:
        """The caller's teams, in the form that these clients read."""
        caller, reader = call.caller, self.service.reader
        found = []
        for team in caller.teams:
            permitted = [each.issuer for each in team.permissions if not ended(each.until, call.now)]
            enabled = [name for name in permitted if caller.access.state.issuers[name].enabled]
            identifier = public_ids.id_of(reader, "Team", team.name)
            if identifier is None:  # deleted since, or made by hand: nothing that a client could keep
                continue
            found.append(
                {
                    "id": identifier,
                    "name": team.display_name or team.name,
                    "description": team.description,
                    "internalGroup": "ADMIN" if team.administrator else "USER",
                    "adGroups": list(team.ad_groups),
                    "authorisedCas": sorted(public_ids.ids_of(reader, "Issuer", enabled)),
                    "adminUsernames": [],
                    "dontSendEmailsOnIssue": team.suppress_issued_emails,
                    "dontSendReminderEmails": team.suppress_reminder_emails,
                    "ipWhiteList": ",".join(team.permitted_ips) or None,
                }
            )
        return found
