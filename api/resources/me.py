"""The caller: who it is and what it may use."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from api.authentication.narrowing import NOT_NARROWED, Narrowing
from api.http.operations import Call, operation
from api.resources.base import Resource
from api.state.snapshots import AccessSnapshot
from reconciler.access.instants import format_instant
from reconciler.access.state import access_of

TAG = "Me"


class Me(Resource):
    """The caller."""

    @operation("Who am I?", access="account", tag=TAG, response="Me", restricted=True, narrowed=True)
    def on_get(self, call: Call) -> Any:
        """The account, its teams, and the credential and address of this call."""
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


def shown_access(access: AccessSnapshot, name: str, now: datetime, narrowing: Narrowing = NOT_NARROWED) -> list[dict[str, Any]]:
    """What an account may use with a credential, by issuer."""
    found = access_of(access.state, name, now)
    return [
        {
            "issuer": issuer,
            "displayName": access.state.issuers[issuer].display_name or issuer,
            "through": list(each.through),
            "until": each.until and format_instant(each.until),
        }
        for issuer, each in sorted(found.items())
        if narrowing.permits_issuer(issuer)
    ]


class MyAccess(Resource):
    """The caller's access."""

    @operation("What may I use?", access="account", tag=TAG, response="AccessList", narrowed=True)
    def on_get(self, call: Call) -> Any:
        """Every issuer that the caller may use now with this credential, with its teams and its end."""
        caller = call.caller
        return shown_access(caller.access, caller.name, call.now, caller.credential.narrowing)
