"""Logging in and out, as existing clients do."""

from __future__ import annotations

from typing import Any

from api.authentication.sessions import end_session
from api.http.operations import Call
from api.resources.base import Resource
from api.resources.certdog.base import certdog_operation
from api.resources.sessions import open_session


class Login(Resource):
    """`POST /certdog/api/login`."""

    @certdog_operation("Log in", access="anybody", body="Login", response="ExistingLogin", errors=(401, 429))
    def on_post(self, call: Call) -> Any:
        """Like `POST /api/v1/sessions`."""
        found = open_session(self, call)
        return {"username": found.name, "token": found.session.secret}


class Logout(Resource):
    """`GET /certdog/api/logouthere`."""

    @certdog_operation("Log out", access="account", response="ExistingLogout", restricted=True, narrowed=True)
    def on_get(self, call: Call) -> Any:
        """Like `DELETE /api/v1/sessions/current`, but an API token lives on: scripts log out with theirs, and use it again. It is
        a GET because these clients send one."""
        if call.caller.credential.kind == "session":
            end_session(call.authority)
        return {"username": call.caller.name}

    on_head = None  # HEAD must not change anything
