"""What Git declares, for administrators to see: teams and issuers. It is not changed here, and who tries is told where."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import orjson

from api.errors import Declared, NotFound
from api.http.operations import NAMED, Call, Resource, operation
from api.state.pages import PAGE, cut, start
from api.state.reader import Reader
from reconciler.store.tables import instant_text

TAG = "Declared facts"
Kind = Literal["User", "Team", "Issuer"]
_TABLES: dict[Kind, str] = {"User": "users", "Team": "teams", "Issuer": "issuers"}


def declared_at(reader: Reader, kind: Kind, name: str) -> dict[str, Any] | None:
    """The file that declares a resource, and the commit as which it was applied last; None where Git does not declare it."""
    row = reader.row(
        f"SELECT t.file, r.commit_sha FROM {_TABLES[kind]} t LEFT JOIN revisions r ON r.id = t.revision_id WHERE t.name = ?", name
    )
    return None if row is None or row[0] is None else {"file": row[0], "commit": row[1]}


def refusal(doing: Literal["Create", "Change", "Delete"], kind: Kind, tag: str) -> Callable[..., None]:
    """The responder of an operation that there is only to say where it is done."""
    making, noun = doing == "Create", kind.lower()
    one = f"{'an' if kind == 'Issuer' else 'a'} {noun}"

    @operation(
        f"{doing} {one}",
        who="administrator",
        tag=tag,
        status=201 if making else 204,
        also=(409,) if making else (404, 409),
        path={} if making else NAMED,
    )
    def refuse(self: Resource, call: Call, name: str | None = None) -> None:
        """Done in the config repository, and nowhere else."""
        reader = self.service.reader
        if name is None:
            raise Declared(f"{one} is made by declaring it in the config repository")
        if reader.row(f"SELECT id FROM {_TABLES[kind]} WHERE name = ?", name) is None:
            raise NotFound(f"there is no {noun} `{name}`")
        at = declared_at(reader, kind, name)
        if at is None:
            raise Declared(f"`{name}` is not made by Git, and cannot be changed here")
        raise Declared(f"`{name}` is declared in `{at['file']}` of the config repository; change it there", **at)

    return refuse


class Teams(Resource):
    """All teams."""

    @operation("List teams", who="administrator", tag=TAG, answer="TeamPage", also=(404,), query=PAGE)
    def on_get(self, call: Call) -> Any:
        """By name, with how many members they have now and what these may use."""
        reader, limit, now = self.service.reader, call.query["limit"], instant_text(call.now)
        rows = reader.rows(_TEAMS + " WHERE t.name > ? ORDER BY t.name LIMIT ?", start(call.query.get("cursor")), limit + 1)
        return cut([_team(reader, row, now) for row in rows], limit, "name")

    on_post = refusal("Create", "Team", TAG)


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

    @operation("Show a team", who="administrator", tag=TAG, answer="Team", also=(404,), path=NAMED)
    def on_get(self, call: Call, name: str) -> Any:
        """What is declared of it."""
        row = self.service.reader.row(_TEAMS + " WHERE t.name = ?", name)
        if row is None:
            raise NotFound(f"there is no team `{name}`")
        return _team(self.service.reader, row, instant_text(call.now))

    on_patch = on_put = refusal("Change", "Team", TAG)
    on_delete = refusal("Delete", "Team", TAG)


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

    @operation("List issuers", who="administrator", tag=TAG, answer="IssuerPage", also=(404,), query=PAGE)
    def on_get(self, call: Call) -> Any:
        """By name, with the teams that may use them now."""
        reader, limit, now = self.service.reader, call.query["limit"], instant_text(call.now)
        rows = reader.rows(_ISSUERS + " WHERE i.name > ? ORDER BY i.name LIMIT ?", start(call.query.get("cursor")), limit + 1)
        return cut([_issuer(reader, row, now) for row in rows], limit, "name")

    on_post = refusal("Create", "Issuer", TAG)


class Issuer(Resource):
    """One issuer."""

    @operation("Show an issuer", who="administrator", tag=TAG, answer="Issuer", also=(404,), path=NAMED)
    def on_get(self, call: Call, name: str) -> Any:
        """What is declared of it."""
        row = self.service.reader.row(_ISSUERS + " WHERE i.name = ?", name)
        if row is None:
            raise NotFound(f"there is no issuer `{name}`")
        return _issuer(self.service.reader, row, instant_text(call.now))

    on_patch = on_put = refusal("Change", "Issuer", TAG)
    on_delete = refusal("Delete", "Issuer", TAG)
