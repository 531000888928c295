"""API tokens: the caller's own, and, for administrators, those of an account."""

from __future__ import annotations

from typing import Any

from api.authentication import api_tokens, credentials
from api.authentication.api_tokens import TokenRequest
from api.http.operations import NAMED_ACCOUNT, Call, operation
from api.reads.users import access_with
from api.resources import me, users
from api.resources.base import Resource
from reconciler.access.instants import parse_duration, parse_instant

_TOKEN_PATH = {"token_id": {"type": "string"}}


def _requested(call: Call) -> TokenRequest:
    body = call.body
    expires_at = parse_instant(body["expiresAt"]) if "expiresAt" in body else call.now + parse_duration(body["validFor"])
    return TokenRequest(body["name"], expires_at, body.get("issuers"), body.get("permittedIPs"))


class MyTokens(Resource):
    """The caller's API tokens."""

    @operation("List my tokens", access="account", tag=me.TAG, response="TokenList")
    def on_get(self, call: Call) -> Any:
        """The live ones, without their secrets."""
        return credentials.list_credentials(self.service.reader, call.caller.account.id, call.now)

    @operation(
        "Mint a token",
        access="account",
        tag=me.TAG,
        body="TokenRequest",
        status=201,
        response="NewToken",
        errors=(409,),
        narrowed=True,
    )
    def on_post(self, call: Call) -> Any:
        """A new API token with the account's own permissions, or narrower ones. Its secret is shown only this once. With a
        session, its login must be recent. With a token, the new one ends with it; but an application's token that asks for one
        that outlives it gets its successor, and goes on for the overlap of the settings."""
        return api_tokens.mint_own(self.service.reader, call.authority, _requested(call))


class MyToken(Resource):
    """One of the caller's API tokens."""

    @operation("Revoke my token", access="account", tag=me.TAG, status=204, errors=(404,), path=_TOKEN_PATH)
    def on_delete(self, call: Call, token_id: str) -> None:
        """It is invalid from the next call on."""
        api_tokens.revoke_own(call.authority, token_id)


class UserTokens(Resource):
    """The API tokens of one account."""

    @operation(
        "List a user's tokens", access="administrator", tag=users.TAG, response="TokenList", errors=(404,), path=NAMED_ACCOUNT
    )
    def on_get(self, call: Call, name: str) -> Any:
        """The live ones."""
        account = access_with(self.service.keeper, name).accounts[name]
        return credentials.list_credentials(self.service.reader, account.id, call.now)

    @operation(
        "Mint a token for a user",
        access="administrator",
        tag=users.TAG,
        body="TokenRequest",
        status=201,
        response="NewToken",
        errors=(404, 409),
        path=NAMED_ACCOUNT,
        fresh=True,
    )
    def on_post(self, call: Call, name: str) -> Any:
        """For a declared account. Its secret is shown only this once."""
        return api_tokens.mint_for(self.service.reader, call.authority, name, _requested(call))


class UserToken(Resource):
    """One API token of an account."""

    @operation(
        "Revoke a user's token",
        access="administrator",
        tag=users.TAG,
        status=204,
        errors=(404,),
        path={**NAMED_ACCOUNT, **_TOKEN_PATH},
        fresh=True,
    )
    def on_delete(self, call: Call, name: str, token_id: str) -> None:
        """It is invalid from the next call on."""
        api_tokens.revoke(call.authority, name, token_id)
