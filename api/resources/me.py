"""The caller: who it is and what it may use."""

from __future__ import annotations

from typing import Any

from api.http.operations import Call, operation
from api.reads.access import shown_access
from api.resources.base import Resource

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


class MyAccess(Resource):
    """The caller's access."""

    @operation("What may I use?", access="account", tag=TAG, response="AccessList", narrowed=True)
    def on_get(self, call: Call) -> Any:
        """Every issuer that the caller may use now with this credential, with its teams and its end."""
        caller = call.caller
        return shown_access(caller.access, caller.name, call.now, caller.credential.narrowing)
