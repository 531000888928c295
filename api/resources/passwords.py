"""Passwords: the caller's own, and, for administrators, that of an account."""

from __future__ import annotations

from typing import Any

from api import administration
from api.authentication.password_changes import PasswordChange, change_own
from api.http.operations import NAMED_ACCOUNT, Call, operation
from api.http.shapes import Schema
from api.resources import me, users
from api.resources.base import Resource
from api.resources.sessions import shown_session

_REVOKE_TOKENS: dict[str, Schema] = {
    "revokeTokens": {"type": "boolean", "default": True, "description": "Whether API tokens end as well."}
}
_END_SESSIONS: dict[str, Schema] = {
    "endSessions": {"type": "boolean", "default": True, "description": "Whether sessions end at once."}
}


class MyPassword(Resource):
    """The caller's password."""

    @operation(
        "Change my password",
        access="account",
        tag=me.TAG,
        body="OwnPasswordChange",
        response="Session",
        errors=(409,),
        restricted=True,
    )
    def on_put(self, call: Call) -> Any:
        """All sessions end, this one as well: go on with the one in the answer. API tokens end only if that is asked for."""
        body = call.body
        change = PasswordChange(body["currentPassword"], body["newPassword"], body.get("revokeTokens", False))
        session = change_own(self.service.reader, call.authority, self.service.passwords, change)
        return shown_session(call.caller.name, session)


class UserPassword(Resource):
    """An account's password."""

    @operation(
        "Set a user's password",
        access="administrator",
        tag=users.TAG,
        body="PasswordSet",
        status=204,
        errors=(404, 409),
        path=NAMED_ACCOUNT,
        fresh=True,
    )
    def on_put(self, call: Call, name: str) -> None:
        """Its sessions and tokens end, and it must be changed at the next login, unless the request says otherwise."""
        administration.set_password(
            call.authority,
            self.service.passwords,
            call.caller.access.policies.passwords,
            name,
            call.body["password"],
            change_required=call.body.get("changeRequired", True),
            revoke_tokens=call.body.get("revokeTokens", True),
        )


class UserPasswordReset(Resource):
    """A new password by mail."""

    @operation(
        "Mail a new password",
        access="administrator",
        tag=users.TAG,
        status=204,
        errors=(404, 409),
        path=NAMED_ACCOUNT,
        query=_REVOKE_TOKENS,
        fresh=True,
    )
    def on_post(self, call: Call, name: str) -> None:
        """Generated and mailed. The old one stays valid until the mail is delivered; then sessions and tokens end."""
        administration.reset_password(call.authority, name, revoke_tokens=call.query["revokeTokens"])


class UserPasswordChange(Resource):
    """A change of password at the next login."""

    @operation(
        "Require a new password",
        access="administrator",
        tag=users.TAG,
        status=204,
        errors=(404, 409),
        path=NAMED_ACCOUNT,
        query=_END_SESSIONS | _REVOKE_TOKENS,
        fresh=True,
    )
    def on_post(self, call: Call, name: str) -> None:
        """Sessions and tokens end. The session of the next login can only change the password."""
        end_sessions, revoke_tokens = call.query["endSessions"], call.query["revokeTokens"]
        administration.require_password_change(call.authority, name, end_sessions=end_sessions, revoke_tokens=revoke_tokens)
