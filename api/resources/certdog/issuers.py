"""Issuers, as existing clients read them."""

from __future__ import annotations

from typing import Any

from api.http.operations import Call
from api.resources.base import Resource
from api.resources.certdog.base import certdog_operation
from reconciler.access.state import access_of


class MyIssuers(Resource):
    """`GET /certdog/api/currentuser/myissuers`."""

    @certdog_operation("My issuers", access="account", response="ExistingIssuers", narrowed=True)
    def on_get(self, call: Call) -> Any:
        """The display names of the issuers that the caller may use now."""
        caller, narrowing = call.caller, call.caller.credential.narrowing
        issuers = caller.access.state.issuers
        return sorted(
            issuers[name].display_name or name
            for name in access_of(caller.access.state, caller.name, call.now)
            if narrowing.permits_issuer(name)
        )
