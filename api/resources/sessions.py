"""Logging in and out."""

from __future__ import annotations

from typing import Any

from api.authentication.credentials import Minted
from api.authentication.logins import LoggedIn, LoginRefused
from api.authentication.sessions import end_others, end_own, end_session, list_own
from api.errors import Problem
from api.http.operations import Call, operation
from api.resources import me
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


def shown_session(name: str, session: Minted, *, password_change_required: bool = False) -> dict[str, Any]:
    """A new session of an account, with its secret."""
    return {
        "token": session.secret,
        "user": name,
        "expiresAt": format_instant(session.expires_at),
        "passwordChangeRequired": password_change_required,
    }


class Sessions(Resource):
    """All sessions."""

    @operation("Log in", access="anybody", tag=TAG, body="Login", status=201, response="Session", errors=(401, 429))
    def on_post(self, call: Call) -> Any:
        """A new session, for a declared or a directory account."""
        found = open_session(self, call)
        return shown_session(found.name, found.session, password_change_required=found.password_change_required)


class CurrentSession(Resource):
    """The caller's own session."""

    @operation("Log out", access="account", tag=TAG, status=204, restricted=True, narrowed=True)
    def on_delete(self, call: Call) -> None:
        """The session or token is invalid from now on."""
        end_session(call.authority)


class MySessions(Resource):
    """The caller's sessions."""

    @operation("List my sessions", access="account", tag=me.TAG, response="SessionList")
    def on_get(self, call: Call) -> Any:
        """The live ones, without their secrets: when and from where each was used last."""
        return list_own(self.service.reader, call.caller)

    @operation("End my other sessions", access="account", tag=me.TAG, status=204)
    def on_delete(self, call: Call) -> None:
        """They are invalid from the next call on, with the tokens that they minted for their own account. This call's session
        goes on."""
        end_others(call.authority)


class MySession(Resource):
    """One of the caller's sessions."""

    @operation(
        "End one of my sessions", access="account", tag=me.TAG, status=204, errors=(404,), path={"session_id": {"type": "string"}}
    )
    def on_delete(self, call: Call, session_id: str) -> None:
        """It is invalid from the next call on, with the tokens that it minted for its own account."""
        end_own(call.authority, session_id)
