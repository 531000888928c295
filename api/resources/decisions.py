"""Decisions, introspection of tokens, and answers to proxies that ask before they let a request pass."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from urllib.parse import quote

import falcon

from api.authentication import credentials
from api.authentication.credentials import Found
from api.authentication.principal import permits_call
from api.authentication.tokens import is_well_formed
from api.decisions import decide_all, decide_own, may_decide_for
from api.errors import Forbidden
from api.http.headers import X_ACCORD_ISSUER
from api.http.operations import Call, operation
from api.http.shapes import NO_CONTROL, Schema
from api.resources.base import Resource
from api.service import Service
from api.state.snapshots import AccessSnapshot, Account
from reconciler.access.permitted_ips import parse_address
from reconciler.access.resources import Team
from reconciler.store.tables import read_instant

TAG = "Decisions"


class Decisions(Resource):
    """May this caller use that issuer, from this address, now?"""

    @operation(
        "Decide",
        access="account",
        tag=TAG,
        body="DecisionQuestion",
        response="DecisionAnswer",
        max_body=256 * 1024,
        narrowed=True,
    )
    def on_post(self, call: Call) -> Any:
        """One decision, or up to 1,000 at once, about the caller or accounts that it may decide for."""
        body, caller, authenticator = call.body, call.caller, self.service.authenticator

        def is_stale(account: Account) -> bool:
            return self.service.freshness.is_stale_account(self.service.reader, account.id, call.now)

        if "requests" in body:
            answers = decide_all(authenticator, caller, body["requests"], is_stale)
            self.service.metrics.count_decisions(reason for reason, _ in answers)
            return b'{"decisions":[' + b",".join([answer for _, answer in answers]) + b"]}"
        if "subject" not in body and "address" not in body and "at" not in body:
            reason, answer = decide_own(caller, body["issuer"], body.get("action", "request"))
        else:
            ((reason, answer),) = decide_all(authenticator, caller, [body], is_stale)
        self.service.metrics.count_decision(reason)
        return answer


class Introspection(Resource):
    """RFC 7662: whether a token that somebody presented is valid."""

    @operation(
        "Introspect a token",
        access="account",
        tag=TAG,
        body="IntrospectionRequest",
        form=True,
        response="Introspection",
        narrowed=True,
        clients=True,
    )
    def on_post(self, call: Call) -> Any:
        """A token is also inactive if the caller may not decide for its account, or if it may not be used from `address`,
        which is an extension of Accord."""
        secret, reader = call.body["token"], self.service.reader
        if not is_well_formed(secret):
            return {"active": False}
        of_one_moment = self.service.authenticator.at_one_moment(lambda: credentials.find(reader, secret))
        if of_one_moment is None:
            return {"active": False}
        found, access = of_one_moment
        teams = access.teams(found.name, call.now)
        if not self._counts(call, found, access, teams):
            return {"active": False}
        credential, only = found.credential, found.credential.narrowing.issuers
        return {
            "active": True,
            "sub": found.name,
            "username": found.name,
            "token_type": "Bearer",
            "exp": int(read_instant(credential.expires_at).timestamp()),
            "iat": int(read_instant(credential.created_at).timestamp()),
            "jti": credential.accessor,
            "teams": [team.name for team in teams],
            "issuers": None if only is None else sorted(only),
        }

    def _counts(self, call: Call, found: Found, access: AccessSnapshot, teams: list[Team]) -> bool:
        """Whether a token is valid and the caller may know it."""
        address = call.body.get("address")
        own = found.name == call.caller.name and address is None
        if not own and not may_decide_for(call.caller, found.name, access):
            return False
        if self.service.authenticator.fault(found, access, call.now) is not None:
            return False
        if found.credential.password_change_required:
            return False
        return address is None or permits_call(found.credential, teams, parse_address(address))


_ISSUER: Schema = {"type": "string", "minLength": 1, "maxLength": 64, "pattern": NO_CONTROL}
_TEAMS: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": 2000,
    "pattern": NO_CONTROL,
    "examples": ["web-platform,network"],
    "description": "Names of teams, separated by commas. `X-Accord-Teams` then has only those of them that the caller is in.",
}
LONGEST_TEAMS = 2_048
"""Bytes of `X-Accord-Teams`. nginx fails a request if all headers of an answer take more than its buffer, 4 KiB by default."""
_PLAIN = "".join(map(chr, range(0x20, 0x7F))).translate({ord(each): None for each in "%,"})
"""What stands in the value of a header as it is."""


class ForwardAuth(Resource):
    """For nginx's `auth_request` and Traefik's ForwardAuth."""

    @operation("May this request pass?", access="account", tag=TAG, query={"issuer": _ISSUER, "teams": _TEAMS}, narrowed=True)
    def on_get(self, call: Call) -> None:
        """Answers 200 with `X-Accord-User` and `X-Accord-Teams`, or 401 or 403. If an issuer is named, by the parameter or the
        header `X-Accord-Issuer`, 200 means that the caller may use it."""
        issuer, teams = call.query.get("issuer") or call.request.env.get(X_ACCORD_ISSUER), call.query.get("teams")
        let_pass(self.service, call, issuer, None if teams is None else teams.split(","))


class PrefixedAuth(Resource):
    """For Envoy's `ext_authz`, which sends the method of the original request, and its path after a prefix.

    The issuer comes from the prefix. Everything that the caller chose follows it and is ignored, as is a body. Paths are not
    normalized here, so `..` and empty parts cannot change the issuer.
    """

    @operation(
        "May this request pass? (path and query follow)",
        access="account",
        tag=TAG,
        path={"issuer": _ISSUER, "rest": {"type": "string"}},
        reads_query=False,
        narrowed=True,
    )
    def on_get(self, call: Call, issuer: str, rest: str) -> None:
        """Decides like `GET /api/v1/auth` with this issuer, for any method. What follows the issuer is ignored."""
        let_pass(self.service, call, issuer)


for _method in set(falcon.COMBINED_METHODS) - {"WEBSOCKET"}:
    setattr(PrefixedAuth, f"on_{_method.lower()}", PrefixedAuth.on_get)


def let_pass(service: Service, call: Call, issuer: str | None, only: Collection[str] | None = None) -> None:
    """Tell a proxy who is calling, and its teams, or which of `only` these it is in. Raises Forbidden if the caller may not use
    the named issuer.

    Every header is always set: a proxy that copies what it finds would pass on a client's own in place of one that is missing.
    """
    caller = call.caller
    if issuer is not None:
        reason, _ = decide_own(caller, issuer, "request")
        service.metrics.count_decision(reason)
        if reason != "permitted":
            raise Forbidden(f"this caller may not use `{issuer[:64]}` now", reason="denied")
    names = [team.name for team in caller.teams if only is None or team.name in only]
    teams = ",".join(map(header_text, names))
    is_short = len(teams) <= LONGEST_TEAMS
    call.response.set_header("X-Accord-User", header_text(caller.name))
    call.response.set_header("X-Accord-Teams", teams if is_short else "")  # all or none: nobody takes a part for the whole
    call.response.set_header("X-Accord-Teams-Omitted", "0" if is_short else str(len(names)))
    call.response.content_type = falcon.MEDIA_TEXT


def header_text(name: str) -> str:
    """A name as the value of a header: visible ASCII stays; the rest, `%` and `,` are percent-encoded as UTF-8 (RFC 3986)."""
    return quote(name, safe=_PLAIN)
