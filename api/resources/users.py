"""Users, for administrators: who there is, what they may use, and the acts on what the runtime owns of them."""

from __future__ import annotations

from typing import Any

from api.authentication import credentials
from api.errors import Conflict, NotFound
from api.http.operations import NAMED, Call, Resource, operation
from api.http.schemas import INSTANT, NAME, NO_CONTROL
from api.resources.declared import declared_at, refusal
from api.resources.me import shown_access
from api.service import Service
from api.state import accounts
from api.state.pages import PAGE, cut, start
from api.state.reader import Row
from api.state.snapshots import AccessSnapshot
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
        also=(404,),
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
            **PAGE,
        },
    )
    def on_get(self, call: Call) -> Any:
        """By name; `next` is the `cursor` of the next page."""
        query, limit = call.query, call.query["limit"]
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

    on_post = refusal("Create", "User", TAG)


def _instant(text: str) -> str:
    return instant_text(parse_instant(text))


class User(Resource):
    """One of them."""

    @operation("Show a user", who="administrator", tag=TAG, answer="User", also=(404,), path=NAMED)
    def on_get(self, call: Call, name: str) -> Any:
        """Teams, issuers, where it is declared, logins and tokens."""
        access = access_with(self.service, name)
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
            "passwordExpiresAt": account.password_expires_at and format_instant(account.password_expires_at),
            "passwordChangeRequired": accounts.must_change_password(account, call.now),
            "failedLogins": account.failed_logins or 0,
            "nextLoginAt": account.next_login_at and format_instant(account.next_login_at),
            "tokens": credentials.list_credentials(self.service.reader, account.id, call.now),
        }

    on_patch = on_put = refusal("Change", "User", TAG)
    on_delete = refusal("Delete", "User", TAG)


def access_with(service: Service, name: str) -> AccessSnapshot:
    """The access state of this moment, with an account that must be there. Raises NotFound or StoreError."""
    access = service.keeper.now(name)
    if name not in access.accounts:
        raise NotFound(f"there is no account `{name}`")
    return access


class UserDisabled(Resource):
    """The administrators' own switch, for emergencies; Git's is declared."""

    @operation("Disable a user", who="administrator", tag=TAG, status=204, also=(404, 409), path=NAMED)
    def on_put(self, call: Call, name: str) -> None:
        """At once: its sessions and tokens end. Only the same switch takes it back."""
        if name == call.caller.name:
            raise Conflict("you would disable yourself; let another administrator do it")
        accounts.set_disabled(self.service.database, name, True, actor=call.caller.name, now=call.now)

    @operation("Enable a user", who="administrator", tag=TAG, status=204, also=(404, 409), path=NAMED)
    def on_delete(self, call: Call, name: str) -> None:
        """Takes the administrators' switch back; what Git or the directory switched off stays off."""
        accounts.set_disabled(self.service.database, name, False, actor=call.caller.name, now=call.now)


class UserUnlock(Resource):
    """Failed logins."""

    @operation("Unlock a user", who="administrator", tag=TAG, status=204, also=(404,), path=NAMED)
    def on_post(self, call: Call, name: str) -> None:
        """Forget the account's failed logins, so that the next may follow at once."""
        accounts.unlock(self.service.database, name, actor=call.caller.name, now=call.now)
