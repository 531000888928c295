"""What has happened, for administrators to see: the revisions that were applied, and the audit log."""

from __future__ import annotations

from typing import Any

import orjson

from api.http.operations import Call, Resource, operation
from api.http.schemas import NAME, NO_CONTROL
from api.resources.declared import TAG
from api.state.pages import PAGE, cut, start_number


class Revisions(Resource):
    """The revisions that were applied."""

    @operation("List applied revisions", who="administrator", tag=TAG, answer="RevisionPage", also=(404,), query=PAGE)
    def on_get(self, call: Call) -> Any:
        """The newest first."""
        limit = call.query["limit"]
        rows = self.service.reader.rows(
            "SELECT id, commit_sha, author, committed_at, summary, applied_at, applied_by, generation, plan_digest "
            "FROM revisions WHERE id < ? ORDER BY id DESC LIMIT ?",
            start_number(call.query.get("cursor")),
            limit + 1,
        )
        names = ("id", "commit", "author", "committedAt", "summary", "appliedAt", "appliedBy", "generation", "planDigest")
        return cut([dict(zip(names, row, strict=True)) for row in rows], limit, "id")


class Audit(Resource):
    """The audit log."""

    @operation(
        "Read the audit log",
        who="administrator",
        tag=TAG,
        answer="AuditPage",
        also=(404,),
        query={
            **PAGE,
            "kind": {"enum": ["User", "Team", "Issuer", "EmailTemplate", "Settings", "Certificate"]},
            "name": NAME,
            "action": {"type": "string", "maxLength": 64, "pattern": NO_CONTROL},
        },
    )
    def on_get(self, call: Call) -> Any:
        """The newest first. `accord audit verify` checks that nothing is missing or altered."""
        limit = call.query["limit"]
        where, values = ["id < ?"], [start_number(call.query.get("cursor"))]
        for column in ("kind", "name", "action"):
            if column in call.query:
                where.append(f"{column} = ?")
                values.append(call.query[column])
        names = ("id", "at", "actor", "action", "kind", "name", "detail", "hash")
        chosen = f"SELECT {', '.join(names)} FROM audit WHERE {' AND '.join(where)}"
        rows = self.service.reader.rows(f"{chosen} ORDER BY id DESC LIMIT ?", *values, limit + 1)
        items = [dict(zip(names, row, strict=True)) for row in rows]
        for item in items:
            item["detail"] = orjson.loads(item["detail"])
        return cut(items, limit, "id")
