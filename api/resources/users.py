"""Users, for administrators: who there is, what they may use, and the acts on what the runtime owns of them."""

from __future__ import annotations

from typing import Any

from api import accounts
from api.access import CurrentAccess
from api.authentication import credentials
from api.errors import Conflict, NotFound
from api.operations import CURSOR, LIMIT, USER_PATH, Call, Resource, operation
from api.pages import cut, start
from api.reader import Row
from api.resources.declared import declared_at, refuse
from api.resources.me import mint_token, revoke_token, shown_access
from api.schemas import INSTANT, NAME, NO_CONTROL
from api.service import Service
from reconciler.access.instants import format_instant, parse_instant
from reconciler.store.tables import instant_text

TAG = "Users"
_SUMMARY = """SELECT u.name, u.full_name, u.email, u.type, u.source, u.disabled_by_git, a.disabled_by_directory,
a.disabled_by_administrator, a.last_login_at, a.last_login_address
FROM users u LEFT JOIN account_states a ON a.user_id = u.id"""
_ENABLED = "NOT (u.disabled_by_git OR COALESCE(a.disabled_by_directory, FALSE) OR COALESCE(a.disabled_by_administrator, FALSE))"
_IN_TEAM = """u.id IN (SELECT m.user_id FROM memberships m JOIN teams t ON t.id = m.team_id
WHERE t.name = ? AND (m.until IS NULL OR m.until > ?)
UNION SELECT d.user_id FROM directory_memberships d JOIN teams t ON t.id = d.team_id WHERE t.name = ?)"""
_SOURCES = ("git", "directory", "administrator")


def _summary(row: Row) -> dict[str, Any]:
    name, full_name, email, kind, source, *switches, at, address = row
    return {
        "name": name,
        "fullName": full_name,
        "email": email,
        "type": kind,
        "source": source,
        "enabled": not any(switches),
        "disabledBy": [who for who, off in zip(_SOURCES, switches, strict=True) if off],
        "lastLoginAt": at,
        "lastLoginAddress": address,
    }


class Users(Resource):
    """All of them."""

    @operation(
        "List users",
        who="administrator",
        tag=TAG,
        answer="UserPage",
        also={404: ""},
        query={
            "search": {
                "type": "string",
                "maxLength": 128,
                "pattern": NO_CONTROL,
                "description": "In name, full name and address.",
            },
            "team": NAME,
            "source": {"enum": ["declared", "directory"]},
            "enabled": {"type": "boolean"},
            "lastLoginBefore": {**INSTANT, "description": "Also those who never logged in."},
            "lastLoginAfter": INSTANT,
            "limit": LIMIT,
            "cursor": CURSOR,
        },
    )
    def on_get(self, call: Call) -> Any:
        """By name; `next` is the `cursor` of the next page."""
        query, limit = call.query, call.query.get("limit", 100)
        where, values = ["u.name > ?"], [start(query.get("cursor"))]

        def narrow(condition: str, *more: Any) -> None:
            where.append(condition)
            values.extend(more)

        if query.get("search"):
            pattern = "%" + query["search"].replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
            columns = ("u.name", "lower(u.email)", "lower(COALESCE(u.full_name, ''))")
            narrow(
                "(" + " OR ".join(f"{column} LIKE lower(CAST(? AS TEXT)) ESCAPE '\\'" for column in columns) + ")",
                pattern,
                pattern,
                pattern,
            )
        if "team" in query:
            narrow(_IN_TEAM, query["team"], instant_text(call.now), query["team"])
        if "source" in query:
            narrow("u.source = ?", query["source"])
        if "enabled" in query:
            narrow(_ENABLED if query["enabled"] else f"NOT ({_ENABLED})")
        if "lastLoginBefore" in query:
            narrow("(a.last_login_at IS NULL OR a.last_login_at < ?)", _instant(query["lastLoginBefore"]))
        if "lastLoginAfter" in query:
            narrow("a.last_login_at > ?", _instant(query["lastLoginAfter"]))
        rows = self.service.reader.rows(f"{_SUMMARY} WHERE {' AND '.join(where)} ORDER BY u.name LIMIT ?", *values, limit + 1)
        return cut([_summary(row) for row in rows], limit, "name")

    @operation("Create a user", who="administrator", tag=TAG, status=201, also={409: ""})
    def on_post(self, call: Call) -> None:
        """Users are declared in the config repository, and nowhere else."""
        refuse(self.service.reader, "User", None)


def _instant(text: str) -> str:
    return instant_text(parse_instant(text))


class User(Resource):
    """One of them."""

    @operation("Show a user", who="administrator", tag=TAG, answer="User", also={404: ""}, path=USER_PATH)
    def on_get(self, call: Call, name: str) -> Any:
        """Teams, issuers, where it is declared, logins and tokens."""
        access = _access(self.service, name)
        row = self.service.reader.row(f"{_SUMMARY} WHERE u.name = ?", name)
        with self.service.database.reading() as connection:
            account = accounts.find(connection, name)
        if row is None or account is None:
            raise NotFound(f"there is no account `{name}`")
        teams = access.teams(name, call.now)
        return {
            **_summary(row),
            "teams": [team.name for team in teams],
            "administrator": any(team.administrator for team in teams),
            "issuers": shown_access(access, name, call.now),
            "declaredAt": declared_at(self.service.reader, "User", name),
            "passwordSetAt": account.password_set_at and format_instant(account.password_set_at),
            "passwordChangeRequired": accounts.must_change_password(account, call.now),
            "failedLogins": account.failed_logins or 0,
            "nextLoginAt": account.next_login_at and format_instant(account.next_login_at),
            "tokens": credentials.list_credentials(self.service.reader, account.id, call.now),
        }

    @operation("Change a user", who="administrator", tag=TAG, status=204, also={404: "", 409: ""}, path=USER_PATH)
    def on_patch(self, call: Call, name: str) -> None:
        """What is declared of a user is changed in the config repository, and nowhere else."""
        refuse(self.service.reader, "User", name)

    on_put = on_patch

    @operation("Delete a user", who="administrator", tag=TAG, status=204, also={404: "", 409: ""}, path=USER_PATH)
    def on_delete(self, call: Call, name: str) -> None:
        """Users are deleted in the config repository, and nowhere else."""
        refuse(self.service.reader, "User", name)


def _access(service: Service, name: str) -> CurrentAccess:
    access = service.keeper.now(name)
    if name not in access.accounts:
        raise NotFound(f"there is no account `{name}`")
    return access


class UserTokens(Resource):
    """The API tokens of one account."""

    @operation("List a user's tokens", who="administrator", tag=TAG, answer="TokenList", also={404: ""}, path=USER_PATH)
    def on_get(self, call: Call, name: str) -> Any:
        """The live ones."""
        return credentials.list_credentials(self.service.reader, _access(self.service, name).accounts[name].id, call.now)

    @operation(
        "Mint a token for a user",
        who="administrator",
        tag=TAG,
        body="TokenRequest",
        status=201,
        answer="NewToken",
        also={404: "", 409: ""},
        path=USER_PATH,
    )
    def on_post(self, call: Call, name: str) -> Any:
        """For a declared account; its secret is shown this once."""
        access = _access(self.service, name)
        if access.accounts[name].source == "directory":
            raise Conflict(f"`{name}` is a directory account: its owner mints its tokens")
        return mint_token(self.service, call, access, name)


class UserToken(Resource):
    """One API token of an account."""

    @operation(
        "Revoke a user's token",
        who="administrator",
        tag=TAG,
        status=204,
        also={404: ""},
        path={**USER_PATH, "token_id": {"type": "string"}},
    )
    def on_delete(self, call: Call, name: str, token_id: str) -> None:
        """It counts for nothing from the next call on."""
        revoke_token(self.service, call, name, token_id)


class UserPassword(Resource):
    """An account's password."""

    @operation(
        "Set a user's password",
        who="administrator",
        tag=TAG,
        body="PasswordSet",
        status=204,
        also={404: "", 409: ""},
        path=USER_PATH,
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

    @operation("Mail a new password", who="administrator", tag=TAG, status=204, also={404: "", 409: ""}, path=USER_PATH)
    def on_post(self, call: Call, name: str) -> None:
        """Generated and mailed; until the mail is delivered, the old one stays."""
        accounts.reset_password(self.service.database, name, actor=call.caller.name, now=call.now)


class UserPasswordChange(Resource):
    """A change of password at the next login."""

    @operation("Require a new password", who="administrator", tag=TAG, status=204, also={404: "", 409: ""}, path=USER_PATH)
    def on_post(self, call: Call, name: str) -> None:
        """The session of the next login can do nothing but change it."""
        accounts.require_password_change(self.service.database, name, actor=call.caller.name, now=call.now)


class UserDisabled(Resource):
    """The administrators' own switch, for emergencies; Git's is declared."""

    @operation("Disable a user", who="administrator", tag=TAG, status=204, also={404: "", 409: ""}, path=USER_PATH)
    def on_put(self, call: Call, name: str) -> None:
        """At once: its sessions and tokens end. Only the same switch takes it back."""
        if name == call.caller.name:
            raise Conflict("you would disable yourself; let another administrator do it")
        accounts.set_disabled(self.service.database, name, True, actor=call.caller.name, now=call.now)

    @operation("Enable a user", who="administrator", tag=TAG, status=204, also={404: "", 409: ""}, path=USER_PATH)
    def on_delete(self, call: Call, name: str) -> None:
        """Takes the administrators' switch back; what Git or the directory switched off stays off."""
        accounts.set_disabled(self.service.database, name, False, actor=call.caller.name, now=call.now)


class UserUnlock(Resource):
    """Failed logins."""

    @operation("Unlock a user", who="administrator", tag=TAG, status=204, also={404: ""}, path=USER_PATH)
    def on_post(self, call: Call, name: str) -> None:
        """Forget the account's failed logins, so that the next may follow at once."""
        accounts.unlock(self.service.database, name, actor=call.caller.name, now=call.now)
