"""Passwords: the caller's own, and, for administrators, that of an account."""

from __future__ import annotations

from typing import Any

from api.authentication import credentials
from api.errors import Conflict, Forbidden
from api.http.operations import NAMED, Call, operation
from api.resources import me, users
from api.resources.base import Resource
from api.state import accounts
from reconciler.store.audit import Event, append
from reconciler.store.engine import Connection


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
        """The other sessions end; this one goes on. API tokens end only where that is asked for."""
        caller, passwords = call.caller, self.service.passwords
        if caller.credential.kind != "session":
            raise Forbidden("an API token cannot change the password; log in", reason="session-needed")
        kept = self.service.reader.row("SELECT password_hash FROM account_states WHERE user_id = ?", caller.account.id)
        with passwords.place(), passwords.turn():
            verified = passwords.verify(kept[0] if kept else None, call.body["currentPassword"])
        hashed = passwords.hash(call.body["newPassword"])
        with self.service.database.recording() as connection:
            credentials.require_live(connection, caller.credential.id)
            account = accounts.find(connection, caller.name)
            if account is None or account.id != caller.account.id or account.source == "directory":
                raise Conflict("this account has no password here")
            if not verified or kept is None or account.password_hash != kept[0]:
                self._count_failure(connection, call)
            else:
                self._change(connection, call, account, hashed)
                return
        raise Forbidden("the current password is wrong", reason="wrong-password")

    def _count_failure(self, connection: Connection, call: Call) -> None:
        """A session that does not know its password again and again is in other hands: it ends, and so do the guesses."""
        caller, accessor = call.caller, call.caller.credential.accessor
        events = [Event("password.change-fail", "User", caller.name, {"session": accessor})]
        if 1 + accounts.failed_changes(connection, caller.name, accessor) >= caller.access.policies.max_failures:
            ended = credentials.revoke(connection, caller.account.id, call.now, accessor=accessor)
            events += credentials.revoked_events(caller.name, ended, "wrong-password")
        append(connection, events, at=call.now, actor=caller.name)

    def _change(self, connection: Any, call: Call, account: Any, hashed: str) -> None:
        caller = call.caller
        if call.body["newPassword"] == call.body["currentPassword"]:
            raise Conflict("the new password is the current one")
        accounts.check_password(call.body["newPassword"], account, caller.access.policies.passwords)
        accounts.replace_password(connection, account, hashed, now=call.now, change_required=False)
        kind = None if call.body.get("revokeTokens") else "session"
        ended = credentials.revoke(connection, account.id, call.now, kind=kind, but=caller.credential.accessor)
        credentials.lift_restriction(connection, caller.credential.accessor)
        detail = {"revokedCredentials": len(ended)}
        append(connection, [Event("password.change", "User", caller.name, detail)], at=call.now, actor=caller.name)


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
        """Its sessions end, and it must be changed at the next login unless the request says otherwise."""
        accounts.set_password(
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
        """Generated and mailed; until the mail is delivered, the old one stays."""
        accounts.reset_password(self.service.database, name, actor=call.caller.name, now=call.now)


class UserPasswordChange(Resource):
    """A change of password at the next login."""

    @operation("Require a new password", access="administrator", tag=users.TAG, status=204, errors=(404, 409), path=NAMED)
    def on_post(self, call: Call, name: str) -> None:
        """The session of the next login can do nothing but change it."""
        accounts.require_password_change(self.service.database, name, actor=call.caller.name, now=call.now)
