"""Sessions: logging in and out."""

from __future__ import annotations

from typing import Any

from api.authentication import credentials
from api.authentication.logins import LoggedIn, LoginRefused
from api.errors import Problem
from api.http.operations import Call, operation
from api.resources.base import Resource
from api.service import Service
from reconciler.access.instants import format_instant
from reconciler.store.audit import append

TAG = "Sessions"


def open_session(resource: Resource, call: Call) -> LoggedIn:
    """Log in with the body's user name and password. Raises a Problem or StoreError."""
    service, address = resource.service, resource.admission.address_of(call.request.env)
    try:
        found = service.log_in(call.body["username"], call.body["password"], address, call.now)
    except Problem as problem:
        service.metrics.logins.labels(problem.reason if isinstance(problem, LoginRefused) else problem.name).inc()
        raise
    service.metrics.logins.labels("succeeded").inc()
    return found


def close_session(service: Service, call: Call) -> None:
    """End the caller's session or token."""
    caller = call.caller
    with service.database.recording() as connection:
        ended = credentials.revoke(connection, caller.account.id, call.now, accessor=caller.credential.accessor)
        append(connection, credentials.revoked_events(caller.name, ended, "logout"), at=call.now, actor=caller.name)


class Sessions(Resource):
    """The sessions."""

    @operation("Log in", access="anybody", tag=TAG, body="Login", status=201, response="Session", errors=(401, 429))
    def on_post(self, call: Call) -> Any:
        """A new session for a declared account."""
        found = open_session(self, call)
        return {
            "token": found.session.secret,
            "user": found.name,
            "expiresAt": format_instant(found.session.expires_at),
            "passwordChangeRequired": found.password_change_required,
        }


class CurrentSession(Resource):
    """The caller's own session."""

    @operation("Log out", access="account", tag=TAG, status=204, restricted=True)
    def on_delete(self, call: Call) -> None:
        """The session, or the token, counts for nothing from now on."""
        close_session(self.service, call)
