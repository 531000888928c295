"""Text that somebody chose, on every page: it is shown as text."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from crawler import HOSTILE, PATTERNS, Reader, addresses, crawl, unvisited
from organisation import Applied, copy_repository, copy_sqlite
from scenario import Accord
from visitor import Visitor, World

sys.path.append(str(Path(__file__).parent.parent / "certificates"))

from register_world import RegisterWorld

from reconciler.store.engine import open_database

_TEXTS = {
    "users": ("full_name", "email", "labels"),
    "teams": ("display_name", "description"),
    "issuers": ("display_name", "description"),
    "memberships": ("reason",),
    "tokens": ("name", "last_used_address"),
    "account_states": ("last_login_address",),
    "audit": ("actor", "action", "name", "detail"),
    "revisions": ("author", "summary", "applied_by", "repository", "branch", "overrides"),
    "outbox": ("recipient", "last_error"),
    "certificates": ("subject", "names", "note", "url", "renewal_url", "owner_name", "issuer_name", "team_name", "serial"),
}
"""Columns of text. Some could not hold this by way of the files or the API: pages do not rely on that."""
_JSON = {"labels", "detail", "names", "overrides"}


def insert_hostile_text(url: str) -> None:
    """Put it into every column that pages may show; names of accounts that people sign in with stay."""
    shapes = {
        "labels": {"x": HOSTILE},
        "detail": {"reason": HOSTILE, HOSTILE: [HOSTILE]},
        "names": [HOSTILE],
        "overrides": [{"guard": HOSTILE, "reason": HOSTILE}],
    }
    with open_database(url) as database, database.writing() as connection:
        connection.exec_driver_sql("DROP TRIGGER IF EXISTS audit_no_update")
        connection.exec_driver_sql("PRAGMA ignore_check_constraints = ON")
        for table, columns in _TEXTS.items():
            for column in columns:
                value = json.dumps(shapes[column]) if column in _JSON else HOSTILE
                condition = f"{column} IS NOT NULL" if column in ("last_error", "url", "renewal_url") else "1 = 1"
                connection.exec_driver_sql(f"UPDATE {table} SET {column} = ? WHERE {condition}", (value,))


FIELDS = (
    *("search", "team", "user", "issuer", "address", "at", "actor", "name"),
    *("next", "done", "cursor", "act", "by", "focus", "after", "before"),
)
"""What addresses of pages ask by."""


@pytest.fixture(scope="module")
def world(applied_on_sqlite: Applied, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("hostile")
    repository = copy_repository(applied_on_sqlite, folder / "config.git")
    found = RegisterWorld(Accord(repository.path, copy_sqlite(applied_on_sqlite, folder / "accord.db"), folder / "cache"))
    for name in ("root", "alice", "portal"):
        found.set_password(name)
        found.mint(name, name="pipeline")
    found.register("alice", url="https://example.org/x")
    root = found.caller("root")
    root("PUT", "/users/nobody/disabled", 204)
    insert_hostile_text(found.url)
    found.restart()
    yield found
    found.service.stop()


@pytest.mark.parametrize("name", ["root", "alice"])
def test_text_that_somebody_chose_is_text_on_every_page(world: World, name: str) -> None:
    visitor = Visitor(world)
    visitor.sign_in(name)
    pages = list(crawl(visitor, ("/", "/nothing-there", *addresses("alice", "nobody", "web", "tls", "1"))))
    assert {address: page.faults for address, _, page in pages if page.faults} == {}
    assert sum("x-evil" in html for _, html, _ in pages) >= 4, "the text must be somewhere"
    if name == "root":
        assert unvisited([address for address, *_ in pages]) == []


def test_what_a_query_says_is_text(world: World) -> None:
    visitor = Visitor(world)
    visitor.sign_in("root")
    said = quote(HOSTILE)
    for path in PATTERNS:
        address = path.replace("{name}", "alice")
        if "{" in address:
            continue
        names = (
            "search",
            "team",
            "user",
            "issuer",
            "address",
            "at",
            "actor",
            "name",
            "next",
            "done",
            "cursor",
            "act",
            "by",
            "focus",
        )
        for field in names:
            answer = visitor.send("GET", f"{address}?{field}={said}", {"Accept": "text/html"})
            assert answer.status_code < 500, (address, field, answer.text[:600])
            if answer.headers.get("content-type", "").startswith("text/html") and answer.text:
                assert Reader(answer.text).faults == [], (address, field)
                assert "\u202e" not in answer.text, (address, field)
