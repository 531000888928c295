"""The calls of existing clients of the product that Accord succeeds, answered as they expect."""

from __future__ import annotations

from typing import Any

from api.authentication.sessions import end_session
from api.http.operations import Call, operation
from api.resources.base import Resource
from api.resources.sessions import open_session
from api.state import public_ids
from reconciler.access.state import access_of, ended

TAG = "Existing clients"


class Login(Resource):
    """`POST /certdog/api/login`."""

    @operation("Log in", access="anybody", tag=TAG, body="Login", response="ExistingLogin", errors=(401, 429))
    def on_post(self, call: Call) -> Any:
        """Like `POST /api/v1/sessions`."""
        found = open_session(self, call)
        return {"username": found.name, "token": found.session.secret}


class Logout(Resource):
    """`GET /certdog/api/logouthere`."""

    @operation("Log out", access="account", tag=TAG, response="ExistingLogout", restricted=True, narrowed=True)
    def on_get(self, call: Call) -> Any:
        """Like `DELETE /api/v1/sessions/current`. It is a GET because these clients send one."""
        end_session(call.authority)
        return {"username": call.caller.name}

    on_head = None  # HEAD must not change anything


class MyTeams(Resource):
    """`GET /certdog/api/currentuser/myteams`."""

    @operation("My teams", access="account", tag=TAG, response="ExistingTeams")
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


class MyIssuers(Resource):
    """`GET /certdog/api/currentuser/myissuers`."""

    @operation("My issuers", access="account", tag=TAG, response="ExistingIssuers", narrowed=True)
    def on_get(self, call: Call) -> Any:
        """The display names of the issuers that the caller may use now."""
        caller, narrowing = call.caller, call.caller.credential.narrowing
        issuers = caller.access.state.issuers
        return sorted(
            issuers[name].display_name or name
            for name in access_of(caller.access.state, caller.name, call.now)
            if narrowing.permits_issuer(name)
        )
