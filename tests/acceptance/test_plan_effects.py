"""What plans do to people, and how they are shown."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from scenario import Accord, Clone, ConfigRepository, by_hand, issuer, team, user
from test_plans import DECLARED, SQLITE

from reconciler.cli.exits import ERROR, OK, UNREACHABLE

LATE = "9999-01-01T00:00:00.000000Z"


def token(kind: str, name: str) -> str:
    return (
        "INSERT INTO tokens (user_id, kind, accessor, sha256, created_at, expires_at) "
        f"SELECT id, '{kind}', '{kind}-{name}', '{kind}-{name}', '{LATE}', '{LATE}' FROM users WHERE name = '{name}'"
    )


def rows(accord: Accord, query: str) -> list[tuple[Any, ...]]:
    from sqlalchemy import text

    from reconciler.store.engine import open_database

    with open_database(accord.environment["ACCORD_DATABASE_URL"], read_only=True) as database, database.reading() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


# What becomes of people


def test_a_rename_keeps_identity_tokens_and_history(accord: Accord, repository: ConfigRepository) -> None:
    repository.commit(DECLARED)
    accord("apply", "--yes")
    by_hand(accord, token("token", "alice"), token("session", "alice"))
    before = rows(accord, "SELECT id FROM users WHERE name = 'alice'")
    renamed = {"apiVersion": "accord/v1", "kind": "User", "metadata": {"name": "alicia", "previously": ["alice"]}}
    repository.commit({
        "users/alice.yaml": None,
        "users/alicia.yaml": {**renamed, "spec": {"email": "alice@example.org", "initialPassword": "none"}},
        "teams/web.yaml": team("web", members=["alicia", "bob"], issuers=["tls"]),
    })  # fmt: skip
    document = accord.json("plan")
    assert [(item["action"], item["name"], item.get("previousName")) for item in document["changes"]] == [
        ("rename", "alicia", "alice")
    ]
    assert document["access"] == {"gained": [], "lost": [], "changed": [], "groups": []}
    assert document["effects"] == {"mails": 0, "sessionsEnded": 0, "tokensEnded": 0}
    accord("apply", "--yes")
    assert rows(accord, "SELECT id FROM users WHERE name = 'alicia'") == before
    assert rows(accord, "SELECT count(*) FROM tokens WHERE revoked_at IS NULL") == [(2,)]
    assert accord.json("audit", "list", "--name", "alicia")[0]["detail"]["previousName"] == "alice"
    assert accord.json("access", "--user", "alicia")[0]["issuer"] == "tls"


def test_a_deleted_and_a_disabled_user_lose_sessions_and_tokens(accord: Accord, repository: ConfigRepository) -> None:
    repository.commit(DECLARED)
    accord("apply", "--yes")
    by_hand(accord, *(token(kind, name) for kind in ("token", "session") for name in ("alice", "bob", "carol")))
    repository.commit({
        "users/alice.yaml": None,
        "users/bob.yaml": user("bob", initialPassword="none", enabled=False),
        "teams/web.yaml": team("web", members=["bob"], issuers=["tls"]),
    })  # fmt: skip
    document = accord.json("plan")
    assert document["effects"] == {"mails": 0, "sessionsEnded": 2, "tokensEnded": 2}
    assert "Also: ends 2 sessions, ends 2 tokens" in accord("plan").output
    accord("apply", "--yes")
    live = "SELECT users.name FROM tokens JOIN users ON users.id = user_id WHERE revoked_at IS NULL ORDER BY 1"
    assert rows(accord, live) == [("carol",), ("carol",)]
    assert rows(accord, "SELECT count(*) FROM tokens") == [(4,)]
    assert [entry["action"] for entry in accord.json("audit", "list", "--name", "alice")] == ["user.create", "user.delete"]


@SQLITE
def test_a_past_end_gives_nobody_access_and_is_warned_of(accord: Accord, repository: ConfigRepository) -> None:
    repository.commit(DECLARED)
    accord("apply", "--yes")
    members = ["alice", "bob", {"user": "carol", "until": "2026-01-31"}]
    repository.commit({"teams/web.yaml": team("web", members=members, issuers=["tls"])})
    document = accord.json("plan")
    assert document["access"] == {"gained": [], "lost": [], "changed": [], "groups": []}
    assert [warning["rule"] for warning in document["warnings"]] == ["until-past"]


@SQLITE
def test_a_new_person_is_mailed_and_an_application_is_not(accord: Accord, repository: ConfigRepository) -> None:
    repository.commit({**DECLARED, "users/new.yaml": user("new"), "users/bot.yaml": user("bot", type="application")})
    assert accord.json("plan")["effects"]["mails"] == 2  # root, and new
    accord("apply", "--yes")
    assert rows(accord, "SELECT users.name FROM outbox JOIN users ON users.id = user_id ORDER BY 1") == [("new",), ("root",)]


@SQLITE
def test_a_moved_file_is_told_of_and_changes_nothing_else(accord: Accord, repository: ConfigRepository) -> None:
    repository.commit(DECLARED)
    accord("apply", "--yes")
    repository.commit({"users/alice.yaml": None, "people/alice.yaml": DECLARED["users/alice.yaml"]})
    document = accord.json("plan", "--detailed-exitcode")
    assert document["changes"] == []
    assert document["moves"] == [{"kind": "User", "name": "alice", "source": "people/alice.yaml:1"}]
    assert "User alice is now declared in people/alice.yaml:1" in accord("plan").output
    generation = accord.json("history")[0]["generation"]
    accord("apply", "--yes")
    assert accord.json("history")[0]["generation"] == generation
    assert accord.json("plan")["moves"] == []


@SQLITE
def test_a_link_is_warned_of_and_not_followed(accord: Accord, repository: ConfigRepository, tmp_path: Path) -> None:
    repository.commit(DECLARED)
    accord("apply", "--yes")
    clone = Clone(repository, tmp_path / "clone")
    (clone.folder / "link.yaml").symlink_to("users/alice.yaml")
    clone.push()
    document = accord.json("plan")
    assert document["changes"] == []
    assert [(warning["rule"], warning["file"]) for warning in document["warnings"]] == [("symlink", "link.yaml")]


# How it is shown

HOSTILE = 'x\x1b[31m\u202e"\n@everyone <script>alert(1)</script> | `code` </details> ![i](http://x) [l](javascript:1)'


@SQLITE
def test_hostile_texts_cannot_leave_their_place(accord: Accord, repository: ConfigRepository) -> None:
    text = HOSTILE.replace("\x1b", "").replace("\u202e", "")
    repository.commit(
        {**DECLARED, "issuers/tls.yaml": issuer("tls", description=text, displayName=text.replace("\n", " ")[:60])}, HOSTILE
    )
    plain = accord("plan").output
    markdown = accord("plan", "--format", "markdown").output
    for shown in (plain, markdown):
        assert "\x1b" not in shown
        assert "\u202e" not in shown
        assert "\\u001b" in shown or shown is markdown
    assert "\n@everyone" not in plain
    outside = "\n".join(line for line in markdown.splitlines() if not line.startswith(("    ", "```")))
    inert = re.sub(r"(`+)(?!`).+?(?<!`)\1(?!`)", "", "".join(markdown.split("````")[::2]))  # without code spans and fences
    assert "<script>" not in inert
    assert "@everyone" not in inert
    assert "</details>" in outside
    document = accord.json("plan")
    created = next(item for item in document["changes"] if item["name"] == "tls")
    assert created["fields"]["description"]["to"] == text
    accord("apply", "--yes")
    for command in (("history",), ("show", repository.head()), ("audit", "list"), ("access",), ("explain", "alice", "tls")):
        output = accord(*command).output
        assert "\x1b" not in output
        assert "\u202e" not in output


@SQLITE
def test_the_same_plan_is_the_same_text(accord: Accord, repository: ConfigRepository) -> None:
    repository.commit(DECLARED)
    for format_ in ("text", "markdown", "json"):
        assert len({accord("plan", "--format", format_).output for _ in range(2)}) == 1
    assert accord("plan", "--format", "markdown").output.startswith("### Accord plan\n")


@SQLITE
def test_a_plan_names_the_author_and_the_time_of_its_revision(accord: Accord, repository: ConfigRepository) -> None:
    head = repository.commit(DECLARED, "Let the web in\n\nWith a body.")
    assert accord.json("plan")["revision"] == {
        "commit": head,
        "author": "Alice Jones",
        "time": "2026-02-02T02:41:00Z",
        "summary": "Let the web in",
    }


@SQLITE
def test_applying_names_who_did_it(accord: Accord, repository: ConfigRepository) -> None:
    for number, (variables, expected) in enumerate(
        (
            ({"ACCORD_APPLIED_BY": "olga"}, "olga"),
            ({"ACCORD_APPLIED_BY": None, "GITHUB_ACTOR": "octo"}, "octo"),
            ({"ACCORD_APPLIED_BY": None, "GITHUB_ACTOR": "", "GITLAB_USER_LOGIN": "fox"}, "fox"),
            ({"ACCORD_APPLIED_BY": None, "GITHUB_ACTOR": "", "GITLAB_USER_LOGIN": "", "LOGNAME": "kim"}, "kim"),
        )
    ):
        repository.commit({**DECLARED, "notes.md": str(number)})
        accord("apply", "--yes", **variables)
        assert accord.json("history")[0]["appliedBy"] == expected


@SQLITE
def test_an_empty_commit_is_applied_once_and_changes_no_generation(accord: Accord, repository: ConfigRepository) -> None:
    repository.commit(DECLARED)
    accord("apply", "--yes")
    head, shown = repository.commit({"README.md": "words"}), accord.environment["ACCORD_DATABASE_URL"]
    assert accord("apply", "--yes").output == f"Applied {head[:12]} to {shown}: no changes\n"
    assert accord("apply", "--yes").output == f"Already applied {head[:12]} to {shown}: no changes\n"
    assert [entry["generation"] for entry in accord.json("history")] == [1, 1]
    assert accord("plan", "--detailed-exitcode", code=OK)


@SQLITE
def test_an_empty_repository_is_reported(accord: Accord, repository: ConfigRepository, tmp_path: Path) -> None:
    assert "no commits yet" in accord("plan", code=ERROR).stderr
    repository.commit({"README.md": "nothing"})
    assert accord("apply", "--yes").output.endswith(": no changes\n")
    assert "is not a Git repository" in accord("plan", "--repository", str(tmp_path), code=UNREACHABLE).stderr
    assert "there is no repository at" in accord("plan", "--repository", "/nowhere", code=UNREACHABLE).stderr
    assert "transport" in accord("plan", "--repository", "ext::sh -c touch% /tmp/x", code=UNREACHABLE).stderr
