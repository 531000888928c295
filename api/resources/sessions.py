"""Logging in and out."""

from __future__ import annotations

from typing import Any

from api.authentication.logins import LoggedIn, LoginRefused
from api.authentication.sessions import end_session
from api.errors import Problem
from api.http.operations import Call, operation
from api.resources.base import Resource
from reconciler.access.instants import format_instant

TAG = "Sessions"


def open_session(resource: Resource, call: Call) -> LoggedIn:
    """Log in with the body's user name and password. Raises a Problem or StoreError."""
    service, address = resource.service, resource.admission.address_of(call.request.env)
    try:
        found = service.log_in(call.body["username"], call.body["password"], address, call.now)
    except Problem as problem:
        # never why: whoever reads the figures would learn which names exist and which password was right
        service.metrics.logins.labels("refused" if isinstance(problem, LoginRefused) else problem.name).inc()
        raise
    service.metrics.logins.labels("succeeded").inc()
    return found


class Sessions(Resource):
    """All sessions."""

    @operation("Log in", access="anybody", tag=TAG, body="Login", status=201, response="Session", errors=(401, 429))
    def on_post(self, call: Call) -> Any:
        """A new session, for a declared or a directory account."""
        found = open_session(self, call)
        return {
            "token": found.session.secret,
            "user": found.name,
            "expiresAt": format_instant(found.session.expires_at),
            "passwordChangeRequired": found.password_change_required,
        }


class CurrentSession(Resource):
    """The caller's own session."""

    @operation("Log out", access="account", tag=TAG, status=204, restricted=True, narrowed=True)
    def on_delete(self, call: Call) -> None:
        """The session or token is invalid from now on."""
        end_session(call.authority)
