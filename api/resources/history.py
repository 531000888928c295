"""What happened, for administrators to see: the revisions that were applied, and the audit log."""

from __future__ import annotations

from typing import Any

from api.http.operations import Call, operation
from api.http.shapes import ACCOUNT, NO_CONTROL, PAGE
from api.resources.base import Resource
from api.resources.declared import TAG
from api.state import history
from api.state.pages import Page


class Revisions(Resource):
    """The revisions that were applied."""

    @operation("List applied revisions", access="administrator", tag=TAG, response="RevisionPage", errors=(404,), query=PAGE)
    def on_get(self, call: Call) -> Any:
        """Newest first."""
        return history.list_revisions(self.service.reader, Page.of(call.query))


class Audit(Resource):
    """The audit log."""

    @operation(
        "Read the audit log",
        access="administrator",
        tag=TAG,
        response="AuditPage",
        errors=(404,),
        query={
            **PAGE,
            "kind": {"enum": ["User", "Team", "Issuer", "EmailTemplate", "Settings", "Certificate"]},
            "name": ACCOUNT,
            "action": {"type": "string", "maxLength": 64, "pattern": NO_CONTROL},
        },
    )
    def on_get(self, call: Call) -> Any:
        """Newest first. `accord audit verify` checks that no entry is missing or altered."""
        return history.list_audit(self.service.reader, Page.of(call.query), call.query)
