"""API tokens: the caller's own, and, for administrators, those of an account."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from api.authentication import credentials
from api.errors import Conflict, Forbidden, Invalid, NotFound
from api.http.operations import NAMED, Call, operation
from api.resources import me, users
from api.resources.base import Resource
from api.resources.users import access_with
from api.service import Service
from api.state import accounts
from api.state.snapshots import AccessSnapshot
from reconciler.access.instants import format_instant, parse_duration, parse_instant
from reconciler.access.permitted_ips import parse_rule
from reconciler.store.audit import Event, append
from reconciler.store.tables import read_instant

_TOKEN_PATH = {"token_id": {"type": "string"}}


def mint_token(service: Service, call: Call, access: AccessSnapshot, name: str) -> dict[str, Any]:
    """Make an API token for an account, as the body asks. Raises Unauthenticated, Forbidden, Invalid, NotFound or Conflict."""
    body, now, minter = call.body, call.now, call.caller.credential
    if minter.issuers is not None or minter.permitted_ips is not None:
        raise Forbidden("a token that is narrowed cannot mint others", reason="narrowed")
    ends = _end(call, access.policies.token_max_lifetime)
    _check_narrowing(body, access)
    with service.database.recording() as connection:
        credentials.require_live(connection, minter.id)
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


def _end(call: Call, longest: timedelta) -> datetime:
    """When the token that the body asks for ends. Raises Conflict."""
    body, now, minter = call.body, call.now, call.caller.credential
    ends = parse_instant(body["expiresAt"]) if "expiresAt" in body else now + parse_duration(body["validFor"])
    if ends <= now:
        raise Conflict("the token would have expired already")
    if ends > now + longest + timedelta(seconds=60):  # a minute for clocks that differ
        raise Conflict(f"a token may be valid until {format_instant((now + longest).replace(microsecond=0))} at most")
    if minter.kind == "token" and ends > read_instant(minter.expires_at):
        raise Conflict("a token cannot mint one that outlives it; log in")
    return ends


def _check_narrowing(body: dict[str, Any], access: AccessSnapshot) -> None:
    """Raise Invalid or Conflict where the body names what nothing can be narrowed to."""
    for text in body.get("permittedIPs", []):
        try:
            parse_rule(text)
        except ValueError as error:
            raise Invalid(str(error)) from None
    unknown = sorted(set(body.get("issuers", [])) - set(access.state.issuers))
    if unknown:
        raise Conflict(f"there is no issuer `{unknown[0]}`")


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

    @operation("List my tokens", access="account", tag=me.TAG, response="TokenList")
    def on_get(self, call: Call) -> Any:
        """The live ones; no secret is ever shown again."""
        return credentials.list_credentials(self.service.reader, call.caller.account.id, call.now)

    @operation("Mint a token", access="account", tag=me.TAG, body="TokenRequest", status=201, response="NewToken", errors=(409,))
    def on_post(self, call: Call) -> Any:
        """A new API token with the account's own permissions, or narrower. Its secret is shown this once."""
        caller = call.caller
        return mint_token(self.service, call, caller.access, caller.name)


class MyToken(Resource):
    """One of the caller's API tokens."""

    @operation("Revoke my token", access="account", tag=me.TAG, status=204, errors=(404,), path=_TOKEN_PATH)
    def on_delete(self, call: Call, token_id: str) -> None:
        """It counts for nothing from the next call on."""
        revoke_token(self.service, call, call.caller.name, token_id)


class UserTokens(Resource):
    """The API tokens of one account."""

    @operation("List a user's tokens", access="administrator", tag=users.TAG, response="TokenList", errors=(404,), path=NAMED)
    def on_get(self, call: Call, name: str) -> Any:
        """The live ones."""
        return credentials.list_credentials(self.service.reader, access_with(self.service, name).accounts[name].id, call.now)

    @operation(
        "Mint a token for a user",
        access="administrator",
        tag=users.TAG,
        body="TokenRequest",
        status=201,
        response="NewToken",
        errors=(404, 409),
        path=NAMED,
    )
    def on_post(self, call: Call, name: str) -> Any:
        """For a declared account; its secret is shown this once."""
        access = access_with(self.service, name)
        if access.accounts[name].source == "directory":
            raise Conflict(f"`{name}` is a directory account: its owner mints its tokens")
        return mint_token(self.service, call, access, name)


class UserToken(Resource):
    """One API token of an account."""

    @operation(
        "Revoke a user's token",
        access="administrator",
        tag=users.TAG,
        status=204,
        errors=(404,),
        path={**NAMED, **_TOKEN_PATH},
    )
    def on_delete(self, call: Call, name: str, token_id: str) -> None:
        """It counts for nothing from the next call on."""
        revoke_token(self.service, call, name, token_id)
