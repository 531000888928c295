"""Users, for administrators: who they are, what they may use, and acts on the facts that the API owns."""

from __future__ import annotations

from typing import Any

from api import administration
from api.http.operations import NAMED_ACCOUNT, Call, operation
from api.http.shapes import INSTANT, NAME, NO_CONTROL, PAGE
from api.reads.users import shown_user
from api.resources.base import Resource
from api.resources.declared import refusal
from api.state import users
from api.state.pages import Page
from api.state.users import UserFilter

TAG = "Users"


class Users(Resource):
    """All users."""

    @operation(
        "List users",
        access="administrator",
        tag=TAG,
        response="UserPage",
        errors=(404,),
        query={
            "search": {
                "type": "string",
                "maxLength": 128,
                "pattern": NO_CONTROL,
                "description": "Text in the name, full name or e-mail address.",
            },
            "team": NAME,
            "source": {"enum": ["declared", "directory"]},
            "enabled": {"type": "boolean"},
            "lastLoginBefore": {**INSTANT, "description": "Includes users who never logged in."},
            "lastLoginAfter": INSTANT,
            **PAGE,
        },
    )
    def on_get(self, call: Call) -> Any:
        """By name. `next` is the `cursor` of the next page."""
        return users.list_users(self.service.reader, Page.of(call.query), UserFilter.of(call.query), call.now)

    on_post = refusal("Create", "User", TAG)


class User(Resource):
    """One user."""

    @operation("Show a user", access="administrator", tag=TAG, response="User", errors=(404,), path=NAMED_ACCOUNT)
    def on_get(self, call: Call, name: str) -> Any:
        """With teams, issuers, the file that declares it, logins and tokens."""
        return shown_user(self.service.reader, self.service.keeper, name, call.now)

    on_patch = on_put = refusal("Change", "User", TAG)
    on_delete = refusal("Delete", "User", TAG)


class UserDisabled(Resource):
    """The administrators' own switch, for emergencies. Git has another, which is declared."""

    @operation("Disable a user", access="administrator", tag=TAG, status=204, errors=(404, 409), path=NAMED_ACCOUNT, fresh=True)
    def on_put(self, call: Call, name: str) -> None:
        """At once; its sessions and tokens end. Only the same switch enables it again."""
        administration.set_disabled(call.authority, name, True)

    @operation("Enable a user", access="administrator", tag=TAG, status=204, errors=(404, 409), path=NAMED_ACCOUNT, fresh=True)
    def on_delete(self, call: Call, name: str) -> None:
        """Undoes the administrators' switch. What Git or the directory switched off stays off."""
        administration.set_disabled(call.authority, name, False)


class UserUnlock(Resource):
    """Failed logins."""

    @operation("Unlock a user", access="administrator", tag=TAG, status=204, errors=(404,), path=NAMED_ACCOUNT, fresh=True)
    def on_post(self, call: Call, name: str) -> None:
        """Forgets the account's failed logins: none makes the next login wait. A directory's account need not have logged in."""
        administration.unlock(call.authority, name, self.service.domains.guid_of)
