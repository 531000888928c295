"""The caller: what it is, what it may use, its password, its tokens."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from api import accounts
from api.access import CurrentAccess
from api.authentication import credentials
from api.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated
from api.operations import Call, Resource, operation
from api.service import Service
from reconciler.access.instants import format_instant, parse_duration, parse_instant
from reconciler.access.permitted_ips import parse_rule
from reconciler.access.state import access_of
from reconciler.store.audit import Event, append
from reconciler.store.engine import Connection
from reconciler.store.tables import read_instant

TAG = "Me"


class Me(Resource):
    """The caller."""

    @operation("Who am I?", who="account", tag=TAG, answer="Me", restricted=True)
    def on_get(self, call: Call) -> Any:
        """The account, its teams, and the credential and address of this very call."""
        caller = call.caller
        return {
            "name": caller.name,
            "type": caller.account.type,
            "source": caller.account.source,
            "teams": [team.name for team in caller.teams],
            "administrator": caller.is_administrator,
            "address": caller.address and caller.address.text,
            "credential": {
                "id": caller.credential.accessor,
                "kind": caller.credential.kind,
                "expiresAt": caller.credential.expires_at,
            },
            "passwordChangeRequired": bool(caller.credential.password_change_required),
        }


def shown_access(access: CurrentAccess, name: str, now: datetime, only: frozenset[str] | None = None) -> list[dict[str, Any]]:
    """What an account may use, by issuer."""
    found = access_of(access.state, name, now)
    return [
        {
            "issuer": issuer,
            "displayName": access.state.issuers[issuer].display_name or issuer,
            "through": list(each.through),
            "until": each.until and format_instant(each.until),
        }
        for issuer, each in sorted(found.items())
        if only is None or issuer in only
    ]


class MyAccess(Resource):
    """What the caller may use."""

    @operation("What may I use?", who="account", tag=TAG, answer="AccessList")
    def on_get(self, call: Call) -> Any:
        """Every issuer that the caller may use now with this credential, through which teams, and until when."""
        caller = call.caller
        return shown_access(caller.access, caller.name, call.now, caller.credential.only_issuers)


class MyPassword(Resource):
    """The caller's password."""

    @operation(
        "Change my password",
        who="account",
        tag=TAG,
        body="OwnPasswordChange",
        status=204,
        also={409: "", 503: ""},
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


def mint_token(service: Service, call: Call, access: CurrentAccess, name: str) -> dict[str, Any]:
    """Make an API token for an account, as the body asks. Raises Unauthenticated, Forbidden, Invalid, NotFound or Conflict."""
    body, now, minter = call.body, call.now, call.caller.credential
    if minter.issuers is not None or minter.permitted_ips is not None:
        raise Forbidden("a token that is narrowed cannot mint others", reason="narrowed")
    longest = access.policies.token_max_lifetime
    ends = parse_instant(body["expiresAt"]) if "expiresAt" in body else now + parse_duration(body["validFor"])
    if ends <= now:
        raise Conflict("the token would have expired already")
    if ends > now + longest + timedelta(seconds=60):  # a minute for clocks that differ
        raise Conflict(f"a token may be valid until {format_instant((now + longest).replace(microsecond=0))} at most")
    if minter.kind == "token" and ends > read_instant(minter.expires_at):
        raise Conflict("a token cannot mint one that outlives it; log in")
    for text in body.get("permittedIPs", []):
        try:
            parse_rule(text)
        except ValueError as error:
            raise Invalid(str(error)) from None
    unknown = sorted(set(body.get("issuers", [])) - set(access.state.issuers))
    if unknown:
        raise Conflict(f"there is no issuer `{unknown[0]}`")
    with service.database.recording() as connection:
        if credentials.is_revoked(connection, minter.id):
            raise Unauthenticated("this session or API token was revoked meanwhile")
        account = accounts.find(connection, name)
        if account is None:
            raise NotFound(f"there is no account `{name}`")
        if accounts.is_disabled(account):
            raise Conflict(f"`{name}` is disabled")
        minted = credentials.mint(
            connection,
            account.id,
            "token",
            now=now,
            expires_at=ends,
            name=body["name"],
            issuers=body.get("issuers"),
            permitted_ips=body.get("permittedIPs"),
        )
        detail = {"accessor": minted.accessor, "name": body["name"], "expiresAt": format_instant(ends)}
        append(connection, [Event("token.create", "User", name, detail)], at=now, actor=call.caller.name)
    shown = next(each for each in credentials.list_credentials(service.reader, account.id, now) if each["id"] == minted.accessor)
    return {"token": minted.secret, **shown}


def revoke_token(service: Service, call: Call, name: str, accessor: str) -> None:
    """Revoke one of an account's tokens. Raises NotFound."""
    with service.database.recording() as connection:
        account = accounts.find(connection, name)
        ended = credentials.revoke(connection, account.id, call.now, kind="token", accessor=accessor) if account else []
        if not ended:
            raise NotFound("there is no such live token")
        append(connection, credentials.revoked_events(name, ended, "revoked"), at=call.now, actor=call.caller.name)


class MyTokens(Resource):
    """The caller's API tokens."""

    @operation("List my tokens", who="account", tag=TAG, answer="TokenList")
    def on_get(self, call: Call) -> Any:
        """The live ones; no secret is ever shown again."""
        return credentials.list_credentials(self.service.reader, call.caller.account.id, call.now)

    @operation("Mint a token", who="account", tag=TAG, body="TokenRequest", status=201, answer="NewToken", also={409: ""})
    def on_post(self, call: Call) -> Any:
        """A new API token with the account's own permissions, or narrower. Its secret is shown this once."""
        caller = call.caller
        return mint_token(self.service, call, caller.access, caller.name)


class MyToken(Resource):
    """One of the caller's API tokens."""

    @operation("Revoke my token", who="account", tag=TAG, status=204, also={404: ""}, path={"token_id": {"type": "string"}})
    def on_delete(self, call: Call, token_id: str) -> None:
        """It counts for nothing from the next call on."""
        revoke_token(self.service, call, call.caller.name, token_id)
