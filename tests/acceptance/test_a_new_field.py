"""Fields that somebody adds to the table and the schema of a kind are read, written, planned, exported and compared for drift."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from scenario import ConfigRepository

from reconciler.store.schema import HEAD

TOP = Path(__file__).parents[2]
AFTER = '    suppress_reminder_emails: Annotated[bool, Field("suppressReminderEmails", "flag")] = False\n'
FIELDS = """    contact: Annotated[str | None, Field("contact", "text")] = None
    on_call: Annotated[tuple[str, ...], Field("onCall", "names")] = ()
    audited: Annotated[bool, Field("audited", "flag", "not_audited", opposite=True)] = True
    review_by: Annotated[datetime | None, Field("reviewBy", "instant")] = None
"""
"""The lines added to the class; no other line of the code that uses resources changes."""
PROPERTIES = {
    "contact": {"type": "string", "default": None},
    "onCall": {"type": "array", "items": {"type": "string"}, "default": []},
    "audited": {"type": "boolean", "default": True},
    "reviewBy": {"type": "string", "default": None},
}
COLUMNS = {
    "contact": 'Column("contact", Text)',
    "on_call": 'Column("on_call", Text, nullable=False, server_default="[]")',
    "not_audited": 'Column("not_audited", Boolean, nullable=False, server_default="0")',
    "review_by": 'Column("review_by", Instant)',
}
DECLARED = {
    "users/root.yaml": "apiVersion: accord/v1\nkind: User\nmetadata: {name: root}\nspec: {email: root@example.org}\n",
    "teams/admins.yaml": """apiVersion: accord/v1
kind: Team
metadata: {name: admins}
spec:
  administrator: true
  members: [root]
  contact: The desk
  onCall: [zoe, amy]
  audited: false
  reviewBy: "2099-06-30T12:00:00Z"
""",
}


def insert(file: Path, after: str, text: str) -> None:
    content = file.read_text()
    assert content.count(after) == 1, (file.name, after)
    file.write_text(content.replace(after, after + text))


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the code and schemas with the new fields, and a migration for their columns."""
    tree = tmp_path_factory.mktemp("tree")
    for folder in ("reconciler", "schemas"):
        shutil.copytree(TOP / folder, tree / folder, ignore=shutil.ignore_patterns("__pycache__"))
    insert(tree / "reconciler/access/resources.py", AFTER, FIELDS)
    schema = tree / "schemas/team.schema.json"
    document = json.loads(schema.read_bytes())
    document["properties"]["spec"]["properties"] |= PROPERTIES
    schema.write_text(json.dumps(document))
    columns = "".join(f"    {column},\n" for column in COLUMNS.values())
    insert(tree / "reconciler/store/tables.py", '    _flag("suppress_reminder_emails"),\n', columns)
    following = f"{int(HEAD) + 1:04}"
    module = tree / "reconciler/store/schema.py"
    module.write_text(module.read_text().replace(f'HEAD = "{HEAD}"', f'HEAD = "{following}"'))
    steps = "".join(f'    op.add_column("teams", {column})\n' for column in COLUMNS.values())
    (tree / f"reconciler/store/migrations/versions/{following}_new.py").write_text(
        "from alembic import op\nfrom sqlalchemy import Boolean, Column, Text\n\nfrom reconciler.store.tables import Instant\n\n"
        f'revision = "{following}"\ndown_revision = "{HEAD}"\n\n\ndef upgrade():\n{steps}'
    )
    return tree


def test_a_new_field_is_read_written_planned_exported_and_compared(
    tree: Path, repository: ConfigRepository, tmp_path: Path
) -> None:
    database = tmp_path / "accord.db"
    environment = {
        **os.environ,
        "ACCORD_REPOSITORY": str(repository.path),
        "ACCORD_DATABASE_URL": f"sqlite:///{database}",
        "ACCORD_CACHE": str(tmp_path / "cache"),
        "ACCORD_APPLIED_BY": "tester",
        "PYTHONPATH": str(tree),
    }

    def accord(*arguments: str, code: int = 0) -> str:
        command = [sys.executable, "-m", "reconciler.cli", *arguments]
        ended = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
        assert ended.returncode == code, ended.stderr
        return ended.stdout

    def run_sql(statement: str) -> list[Any]:
        with closing(sqlite3.connect(database, isolation_level=None)) as connection:
            return connection.execute(statement).fetchall()

    def fields(printed: str, changes: str = "changes") -> Any:
        return {change["name"]: change["fields"] for change in json.loads(printed)[changes] if change["kind"] == "Team"}["admins"]

    repository.commit(DECLARED)
    accord("validate", "--rev", "main")
    new = fields(accord("plan", "--format", "json"))
    assert new["contact"] == {"from": None, "to": "The desk"}
    assert new["onCall"] == {"added": ["amy", "zoe"], "removed": []}
    assert new["audited"] == {"from": True, "to": False}
    assert new["reviewBy"] == {"from": None, "to": "2099-06-30T12:00:00Z"}
    accord("apply", "--yes")
    columns = ("The desk", '["amy","zoe"]', 1, "2099-06-30T12:00:00.000000Z")
    assert run_sql("SELECT contact, on_call, not_audited, review_by FROM teams") == [columns]
    assert json.loads(accord("plan", "--format", "json"))["changes"] == []

    accord("export", str(tmp_path / "exported"))
    text = (tmp_path / "exported" / "teams" / "admins.yaml").read_text()
    said = yaml.safe_load(text)["spec"]
    expected = {"contact": "The desk", "onCall": ["amy", "zoe"], "audited": False}
    expected["reviewBy"] = datetime(2099, 6, 30, 12, tzinfo=UTC)
    assert {name: said[name] for name in PROPERTIES} == expected
    repository.commit({"teams/admins.yaml": text.replace("2099-06-30", "2099-02-30")})
    (problem,) = json.loads(accord("validate", "--rev", "main", "--format", "json", code=1))
    assert (problem["rule"], problem["file"]) == ("invalid-instant", "teams/admins.yaml")
    repository.commit({"teams/admins.yaml": text.replace("The desk", "Everybody").replace("  audited: false\n", "")})
    changed = fields(accord("plan", "--format", "json"))
    assert changed == {"contact": {"from": "The desk", "to": "Everybody"}, "audited": {"from": False, "to": True}}
    shown = accord("plan")
    assert all(words in shown for words in ("contact", '"The desk"', '"Everybody"', "audited"))
    accord("apply", "--yes")

    run_sql("UPDATE teams SET contact = 'Nobody'")
    drift = fields(accord("drift", "--format", "json", code=2), "differences")
    assert drift == {"contact": {"from": "Nobody", "to": "Everybody"}}
