"""What Git declares, for administrators to see: teams, issuers, the revisions that were applied, the audit log. It is not changed
here, and who tries is told where.
"""

from __future__ import annotations

from typing import Any, Literal, NoReturn

import orjson

from api.errors import Declared, NotFound
from api.operations import CURSOR, LIMIT, Call, Resource, operation
from api.pages import cut, start, start_number
from api.reader import Reader
from api.schemas import NAME, NO_CONTROL
from reconciler.store.tables import instant_text

TAG = "Declared facts"
Kind = Literal["User", "Team", "Issuer"]
_TABLES: dict[Kind, str] = {"User": "users", "Team": "teams", "Issuer": "issuers"}
_PATH = {"name": NAME}
_PAGE = {"limit": LIMIT, "cursor": CURSOR}


def declared_at(reader: Reader, kind: Kind, name: str) -> dict[str, Any] | None:
    """The file that declares a resource, and the commit as which it was applied last; None where Git does not declare it."""
    row = reader.row(
        f"SELECT t.file, r.commit_sha FROM {_TABLES[kind]} t LEFT JOIN revisions r ON r.id = t.revision_id WHERE t.name = ?", name
    )
    return None if row is None or row[0] is None else {"file": row[0], "commit": row[1]}


def refuse(reader: Reader, kind: Kind, name: str | None) -> NoReturn:
    """Say where a declared fact is changed. Raises Declared or NotFound."""
    if name is None:
        raise Declared(f"a {kind.lower()} is made by declaring it in the config repository")
    if reader.row(f"SELECT id FROM {_TABLES[kind]} WHERE name = ?", name) is None:
        raise NotFound(f"there is no {kind.lower()} `{name}`")
    at = declared_at(reader, kind, name)
    if at is None:
        raise Declared(f"`{name}` is not made by Git, and cannot be changed here")
    raise Declared(f"`{name}` is declared in `{at['file']}` of the config repository; change it there", **at)


class Teams(Resource):
    """All teams."""

    @operation("List teams", who="administrator", tag=TAG, answer="TeamPage", also={404: ""}, query=_PAGE)
    def on_get(self, call: Call) -> Any:
        """By name, with how many members they have now and what these may use."""
        reader, limit, now = self.service.reader, call.query.get("limit", 100), instant_text(call.now)
        rows = reader.rows(_TEAMS + " WHERE t.name > ? ORDER BY t.name LIMIT ?", start(call.query.get("cursor")), limit + 1)
        return cut([_team(reader, row, now) for row in rows], limit, "name")

    @operation("Create a team", who="administrator", tag=TAG, status=201, also={409: ""})
    def on_post(self, call: Call) -> None:
        """Teams are declared in the config repository, and nowhere else."""
        refuse(self.service.reader, "Team", None)


_TEAMS = """SELECT t.id, t.name, t.description, t.administrator, t.ad_groups, t.permitted_ips, t.file, r.commit_sha
FROM teams t LEFT JOIN revisions r ON r.id = t.revision_id"""


def _team(reader: Reader, row: Any, now: str) -> dict[str, Any]:
    team_id, name, description, administrator, groups, ips, file, commit = row
    issuers = reader.rows(
        "SELECT i.name FROM permissions p JOIN issuers i ON i.id = p.issuer_id WHERE p.team_id = ? "
        "AND (p.until IS NULL OR p.until > ?) ORDER BY i.name",
        team_id,
        now,
    )
    members = reader.row(
        "SELECT (SELECT count(*) FROM memberships WHERE team_id = ? AND (until IS NULL OR until > ?)) + "
        "(SELECT count(*) FROM directory_memberships WHERE team_id = ?)",
        team_id,
        now,
        team_id,
    )
    return {
        "name": name,
        "description": description,
        "administrator": bool(administrator),
        "members": members[0] if members else 0,
        "issuers": [issuer for (issuer,) in issuers],
        "adGroups": orjson.loads(groups),
        "permittedIPs": orjson.loads(ips),
        "declaredAt": None if file is None else {"file": file, "commit": commit},
    }


class Team(Resource):
    """One team."""

    @operation("Show a team", who="administrator", tag=TAG, answer="Team", also={404: ""}, path=_PATH)
    def on_get(self, call: Call, name: str) -> Any:
        """What is declared of it."""
        row = self.service.reader.row(_TEAMS + " WHERE t.name = ?", name)
        if row is None:
            raise NotFound(f"there is no team `{name}`")
        return _team(self.service.reader, row, instant_text(call.now))

    @operation("Change a team", who="administrator", tag=TAG, status=204, also={404: "", 409: ""}, path=_PATH)
    def on_patch(self, call: Call, name: str) -> None:
        """A team is changed in the config repository, and nowhere else."""
        refuse(self.service.reader, "Team", name)

    on_put = on_patch

    @operation("Delete a team", who="administrator", tag=TAG, status=204, also={404: "", 409: ""}, path=_PATH)
    def on_delete(self, call: Call, name: str) -> None:
        """A team is deleted in the config repository, and nowhere else."""
        refuse(self.service.reader, "Team", name)


_ISSUERS = """SELECT i.id, i.name, i.display_name, i.description, i.enabled, i.file, r.commit_sha
FROM issuers i LEFT JOIN revisions r ON r.id = i.revision_id"""


def _issuer(reader: Reader, row: Any, now: str) -> dict[str, Any]:
    issuer_id, name, display_name, description, enabled, file, commit = row
    teams = reader.rows(
        "SELECT t.name FROM permissions p JOIN teams t ON t.id = p.team_id WHERE p.issuer_id = ? "
        "AND (p.until IS NULL OR p.until > ?) ORDER BY t.name",
        issuer_id,
        now,
    )
    return {
        "name": name,
        "displayName": display_name or name,
        "description": description,
        "enabled": bool(enabled),
        "teams": [team for (team,) in teams],
        "declaredAt": None if file is None else {"file": file, "commit": commit},
    }


class Issuers(Resource):
    """All issuers."""

    @operation("List issuers", who="administrator", tag=TAG, answer="IssuerPage", also={404: ""}, query=_PAGE)
    def on_get(self, call: Call) -> Any:
        """By name, with the teams that may use them now."""
        reader, limit, now = self.service.reader, call.query.get("limit", 100), instant_text(call.now)
        rows = reader.rows(_ISSUERS + " WHERE i.name > ? ORDER BY i.name LIMIT ?", start(call.query.get("cursor")), limit + 1)
        return cut([_issuer(reader, row, now) for row in rows], limit, "name")

    @operation("Create an issuer", who="administrator", tag=TAG, status=201, also={409: ""})
    def on_post(self, call: Call) -> None:
        """Issuers are declared in the config repository, and nowhere else."""
        refuse(self.service.reader, "Issuer", None)


class Issuer(Resource):
    """One issuer."""

    @operation("Show an issuer", who="administrator", tag=TAG, answer="Issuer", also={404: ""}, path=_PATH)
    def on_get(self, call: Call, name: str) -> Any:
        """What is declared of it."""
        row = self.service.reader.row(_ISSUERS + " WHERE i.name = ?", name)
        if row is None:
            raise NotFound(f"there is no issuer `{name}`")
        return _issuer(self.service.reader, row, instant_text(call.now))

    @operation("Change an issuer", who="administrator", tag=TAG, status=204, also={404: "", 409: ""}, path=_PATH)
    def on_patch(self, call: Call, name: str) -> None:
        """An issuer is changed in the config repository, and nowhere else."""
        refuse(self.service.reader, "Issuer", name)

    on_put = on_patch

    @operation("Delete an issuer", who="administrator", tag=TAG, status=204, also={404: "", 409: ""}, path=_PATH)
    def on_delete(self, call: Call, name: str) -> None:
        """An issuer is deleted in the config repository, and nowhere else."""
        refuse(self.service.reader, "Issuer", name)


class Revisions(Resource):
    """The revisions that were applied."""

    @operation("List applied revisions", who="administrator", tag=TAG, answer="RevisionPage", also={404: ""}, query=_PAGE)
    def on_get(self, call: Call) -> Any:
        """The newest first."""
        limit = call.query.get("limit", 100)
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
        also={404: ""},
        query={
            **_PAGE,
            "kind": {"enum": ["User", "Team", "Issuer", "EmailTemplate", "Settings"]},
            "name": NAME,
            "action": {"type": "string", "maxLength": 64, "pattern": NO_CONTROL},
        },
    )
    def on_get(self, call: Call) -> Any:
        """The newest first. `accord audit verify` checks that nothing is missing or altered."""
        limit = call.query.get("limit", 100)
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
