"""Users, for administrators: who they are, what they may use, and acts on the facts that the API owns."""

from __future__ import annotations

from typing import Any

from api import administration
from api.authentication import account_failures, credentials
from api.errors import NotFound
from api.http.operations import NAMED_ACCOUNT, Call, operation
from api.http.shapes import INSTANT, NAME, NO_CONTROL, PAGE
from api.resources.base import Resource
from api.resources.declared import refusal
from api.resources.me import shown_access
from api.service import Service
from api.state import accounts, declared, users
from api.state.pages import Page
from api.state.snapshots import AccessSnapshot
from reconciler.access.instants import format_instant

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
        return users.list_users(self.service.reader, Page.of(call.query), call.query, call.now)

    on_post = refusal("Create", "User", TAG)


class User(Resource):
    """One user."""

    @operation("Show a user", access="administrator", tag=TAG, response="User", errors=(404,), path=NAMED_ACCOUNT)
    def on_get(self, call: Call, name: str) -> Any:
        """With teams, issuers, the file that declares it, logins and tokens."""
        access = access_with(self.service, name)
        summary = users.find_user(self.service.reader, name)
        with self.service.database.reading() as connection:
            account = accounts.find(connection, name)
            key = "" if account is None else account_failures.key_of(account.id, account.guid)
            failures, next_login = account_failures.overview(connection, key, access.policies, call.now)
        if summary is None or account is None:
            raise NotFound(f"there is no account `{name}`")
        teams = access.teams(name, call.now)
        return {
            **summary,
            "teams": [team.name for team in teams],
            "administrator": any(team.administrator for team in teams),
            "issuers": shown_access(access, name, call.now),
            "declaredAt": declared.declared_at(self.service.reader, "User", name),
            "passwordSetAt": account.password_set_at and format_instant(account.password_set_at),
            "passwordExpiresAt": account.password_expires_at and format_instant(account.password_expires_at),
            "passwordChangeRequired": accounts.must_change_password(account, call.now),
            "failedLogins": failures,
            "nextLoginAt": next_login and format_instant(next_login),
            "tokens": credentials.list_credentials(self.service.reader, account.id, call.now),
        }

    on_patch = on_put = refusal("Change", "User", TAG)
    on_delete = refusal("Delete", "User", TAG)


def access_with(service: Service, name: str) -> AccessSnapshot:
    """The current access snapshot with an account. Raises NotFound if there is no such account, or StoreError."""
    access = service.keeper.now(name)
    if name not in access.accounts:
        raise NotFound(f"there is no account `{name}`")
    return access


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
        """Forgets the account's failed logins, so that it can log in at once. A directory's account may never have logged in."""
        administration.unlock(call.authority, name, self.service.domains.guid_of)
