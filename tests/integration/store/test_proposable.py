"""Which files hold nothing but somebody's teams."""

from __future__ import annotations

import pytest
from console_reads import organised, reading
from declared_states import run_sql

from api.state.proposable import files_of_teams_alone
from reconciler.store.engine import Database


@pytest.fixture
def organisation(database: Database) -> Database:
    organised(database)
    files = {
        "teams": {"web": "web.yaml", "old": "both.yaml", "idle": "both.yaml", "admins": "mixed.yaml"},
        "users": {"alice": "mixed.yaml"},
    }
    for table, named in files.items():
        for name, file in named.items():
            run_sql(database, f"UPDATE {table} SET file = '{file}' WHERE name = '{name}'")
    return database


@pytest.mark.parametrize(
    ("teams", "files"),
    [
        ([], set()),
        (["none"], set()),
        (["web"], {"web.yaml"}),
        (["old"], set()),  # another team is in its file
        (["old", "idle"], {"both.yaml"}),
        (["admins", "web"], {"web.yaml"}),  # a user is in a team's file
        (["web", "old", "idle", "admins", "web"], {"web.yaml", "both.yaml"}),
    ],
)
def test_files_of_teams_alone(organisation: Database, teams: list[str], files: set[str]) -> None:
    with reading(organisation) as (reader, _):
        assert files_of_teams_alone(reader, teams) == files
