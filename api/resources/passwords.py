"""Passwords: the caller's own, and, for administrators, that of an account."""

from __future__ import annotations

from api import administration
from api.authentication.password_changes import PasswordChange, change_own
from api.http.operations import NAMED, Call, operation
from api.resources import me, users
from api.resources.base import Resource


class MyPassword(Resource):
    """The caller's password."""

    @operation(
        "Change my password",
        access="account",
        tag=me.TAG,
        body="OwnPasswordChange",
        status=204,
        errors=(409,),
        restricted=True,
    )
    def on_put(self, call: Call) -> None:
        """The other sessions end; this one goes on. API tokens end only if that is asked for."""
        body = call.body
        change = PasswordChange(body["currentPassword"], body["newPassword"], body.get("revokeTokens", False))
        change_own(self.service.reader, self.service.passwords, call.caller, change, call.now)


class UserPassword(Resource):
    """An account's password."""

    @operation(
        "Set a user's password",
        access="administrator",
        tag=users.TAG,
        body="PasswordSet",
        status=204,
        errors=(404, 409),
        path=NAMED,
    )
    def on_put(self, call: Call, name: str) -> None:
        """Its sessions end. It must be changed at the next login unless the request says otherwise."""
        administration.set_password(
            self.service.database,
            self.service.passwords,
            call.caller.access.policies.passwords,
            name,
            call.body["password"],
            actor=call.caller.name,
            now=call.now,
            change_required=call.body.get("changeRequired", True),
            revoke_tokens=call.body.get("revokeTokens", False),
        )


class UserPasswordReset(Resource):
    """A new password by mail."""

    @operation("Mail a new password", access="administrator", tag=users.TAG, status=204, errors=(404, 409), path=NAMED)
    def on_post(self, call: Call, name: str) -> None:
        """Generated and mailed. The old one stays valid until the mail is delivered."""
        administration.reset_password(self.service.database, name, actor=call.caller.name, now=call.now)


class UserPasswordChange(Resource):
    """A change of password at the next login."""

    @operation("Require a new password", access="administrator", tag=users.TAG, status=204, errors=(404, 409), path=NAMED)
    def on_post(self, call: Call, name: str) -> None:
        """The session of the next login can only change the password."""
        administration.require_password_change(self.service.database, name, actor=call.caller.name, now=call.now)
