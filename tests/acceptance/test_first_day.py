"""A first day with Accord, as the manual tells it: each test is a chapter, and reads from top to bottom."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from desk import Desk
from scenario import by_hand, everything

from reconciler.cli.exits import CHANGES, ERROR, INVALID, OK, STALE, UNSAFE
from reconciler.store.schema import HEAD

EXAMPLE = Path(__file__).parents[2] / "examples" / "config-repo"


def test_a_first_apply_that_is_refused_leaves_nothing(desk: Desk) -> None:
    accord = desk.accord
    accord("init", str(desk.config), "--administrator", "alice", "--email", "alice@example.org")
    desk.git("init", "-q", "-b", "main")
    good = desk.commit("Who may use what")
    desk.write("empty.yaml", "apiVersion: accord/v1\nkind: Issuer\nmetadata: {name: tls, name: tls}\n")
    invalid = desk.commit("Twice")
    for team in (desk.config / "teams").rglob("*.yaml"):
        team.unlink()
    desk.git("rm", "-q", "empty.yaml")
    unsafe = desk.commit("No administrator")
    for rev, code in ((good, STALE), (invalid, INVALID), (unsafe, UNSAFE)):
        digest = ("--digest", "sha256:0") if code == STALE else ()
        accord("apply", "--yes", "--rev", rev, *digest, code=code)
        assert "There are no tables yet" in accord("db", "current", code=ERROR).output
        assert accord.json("db", "current", code=ERROR) == {"version": None, "needed": HEAD}
        assert not list(desk.config.parent.glob("accord.db*"))
    accord("apply", "--yes", "--rev", good)
    assert accord.json("db", "current") == accord.json("db", "check") == {"version": HEAD, "needed": HEAD}


def test_from_nothing_to_access(desk: Desk) -> None:
    accord = desk.accord

    made = accord(
        "init", str(desk.config), "--administrator", "alice", "--email", "alice@example.org", "--full-name", "Alice Jones"
    )
    assert "git init" in made.output
    assert "is not empty" in accord("init", str(desk.config), "--administrator", "a", "--email", "a@b.c", code=ERROR).stderr
    desk.git("init", "-q", "-b", "main")
    assert "no commits yet" in accord("plan", code=ERROR).stderr
    first, shown = desk.commit("Who may use what"), accord.environment["ACCORD_DATABASE_URL"]

    assert accord("validate", str(desk.config)).output == "5 resources in 5 files: 0 errors, 0 warnings\n"
    assert accord("validate", "--rev", "main").output == "5 resources in 5 files: 0 errors, 0 warnings\n"

    planned = accord("plan", "--detailed-exitcode", code=CHANGES).output
    assert "Plan: Git → database" in planned
    assert "applied   nothing yet" in planned
    assert "+ User alice   users/alice.yaml:2" in planned
    assert "alice gains tls-internal through pki-admins" in planned
    assert "Also: sends 1 welcome mail" in planned

    applied = accord("apply", "--yes").output
    assert applied == f"Applied {first[:12]} to {shown}: 5 created; 1 gains access, 1 becomes an administrator\n"
    before = everything(accord)
    assert accord("apply", "--yes").output == f"Already applied {first[:12]} to {shown}: no changes\n"
    assert everything(accord) == before
    assert "No changes" in accord("plan", "--detailed-exitcode", code=OK).output
    assert everything(accord) == before

    assert accord.json("access") == [
        {"user": "alice", "issuer": "tls-internal", "through": ["pki-admins"], "until": None, "from": None, "later": []}
    ]
    why = accord("explain", "alice", "tls-internal").output
    assert why.startswith("alice may use tls-internal through pki-admins\n")
    assert f'teams/pki-admins.yaml:10, {first[:12]} "Who may use what" by Alice Jones' in why

    desk.write("users/bob.yaml", "apiVersion: accord/v1\nkind: User\nmetadata:\n  name: bob\nspec:\n  email: bob@example.org\n")
    team = (desk.config / "teams/pki-admins.yaml").read_text()
    desk.write("teams/pki-admins.yaml", team.replace("    - alice\n", "    - alice\n    - user: bob\n      until: 2099-12-31\n"))
    assert accord("validate", str(desk.config)).output == "6 resources in 6 files: 0 errors, 0 warnings\n"
    assert "No changes" in accord("plan").output  # what is not committed is not planned
    second = desk.commit("Bob helps out")
    assert "bob gains tls-internal through pki-admins until 2099-12-31" in accord("plan").output
    assert (
        accord("apply", "--yes").output
        == f"Applied {second[:12]} to {shown}: 1 created, 1 updated; 1 gains access, 1 becomes an administrator\n"
    )
    assert accord.json("access", "--user", "bob")[0]["until"] == "2100-01-01T00:00:00Z"

    history = accord.json("history")
    assert [entry["commit"] for entry in history] == [second, first]
    assert [entry["appliedBy"] for entry in history] == ["tester", "tester"]
    shown = accord.json("show", second[:7])
    assert [(entry["action"], entry["name"]) for entry in shown["entries"]] == [
        ("revision.apply", ""),
        ("user.create", "bob"),
        ("team.update", "pki-admins"),
    ]
    assert "#7" in accord("show", second).output
    assert len(accord("history", "--limit", "1").output.splitlines()) == 2


@pytest.mark.parametrize("made", ["starter", "config-repo"])
def test_what_accord_writes_beside_the_files_is_not_committed(desk: Desk, made: str) -> None:
    shutil.copytree(EXAMPLE.parent / made, desk.config)
    desk.git("init", "-q", "-b", "main")
    desk.commit("Who may use what")
    for name in ("accord.db", "accord.db-wal", "plan.json", "mail/new/1.accord", "mail/tmp/2.accord"):
        desk.write(name, "a password, perhaps")
    assert desk.git("status", "--porcelain") == ""


def test_an_export_is_a_config_repository_that_changes_nothing(desk: Desk, tmp_path: Path) -> None:
    accord = desk.accord
    subprocess.run(["cp", "-r", str(EXAMPLE), str(desk.config)], check=True)
    desk.git("init", "-q", "-b", "main")
    desk.commit("The example")
    accord("apply", "--yes")

    exported = tmp_path / "exported"
    assert f"files to {exported}" in accord("export", str(exported)).output
    assert "is not empty" in accord("export", str(exported), code=ERROR).stderr
    copy = Desk(tmp_path / "copy", "sqlite:///unused.db")
    copy.config = exported
    copy.git("init", "-q", "-b", "main")
    copy.commit("As it stands")
    accord("validate", str(exported))
    accord.environment["ACCORD_REPOSITORY"] = str(exported)
    assert accord.json("plan", "--allow-rewind")["changes"] == []
    again = tmp_path / "again"
    accord("export", str(again))
    assert subprocess.run(["diff", "-r", "-x", ".git", str(exported), str(again)], check=False).returncode == 0


def test_an_export_says_what_no_config_could_declare(desk: Desk) -> None:
    accord = desk.accord
    accord("db", "upgrade")
    by_hand(
        accord,
        "INSERT INTO users (name, email) VALUES ('olga', 'olga@example.org'), ('\u00e9v\u00e9', 'eve'), ('paul', 'nowhere')",
        "INSERT INTO teams (name, administrator) VALUES ('staff', true), ('everyone', false)",
        "INSERT INTO memberships (team_id, user_id) SELECT teams.id, users.id FROM teams, users",
    )
    said = accord("export", str(desk.config), code=INVALID)
    assert said.output.endswith(f"Wrote 2 files to {desk.config}.\n")
    assert "accord: left out User \u00e9v\u00e9: a declared name may contain only a-z" in said.stderr
    assert "accord: left out User paul: `email` cannot be `nowhere`" in said.stderr
    assert "accord: left out Team everyone: `name` cannot be `everyone`" in said.stderr
    assert "accord: left out Team staff: only its reference to User `paul`" in said.stderr
    accord("validate", str(desk.config))


def test_an_existing_installation_is_adopted_only_when_asked(desk: Desk, tmp_path: Path) -> None:
    accord = desk.accord
    accord("db", "upgrade")
    by_hand(
        accord,
        "INSERT INTO users (name, email) VALUES ('olga', 'olga@example.org'), ('paul', 'paul@example.org')",
        "INSERT INTO teams (name, administrator) VALUES ('staff', true)",
        "INSERT INTO issuers (name) VALUES ('tls')",
        "INSERT INTO memberships (team_id, user_id) SELECT teams.id, users.id FROM teams, users",
        "INSERT INTO permissions (team_id, issuer_id) SELECT teams.id, issuers.id FROM teams, issuers",
        "INSERT INTO account_states (user_id, password_hash) SELECT id, '$argon2id$x' FROM users",
        "INSERT INTO tokens (user_id, kind, accessor, sha256, created_at, expires_at)"
        " SELECT id, 'token', name, name, '2026-01-01T00:00:00.000000Z', '9999-01-01T00:00:00.000000Z' FROM users",
    )
    accord("export", str(desk.config))
    desk.git("init", "-q", "-b", "main")
    desk.commit("As it stands")

    planned = accord.json("plan")
    assert planned["changes"] == []
    assert {(row["kind"], row["name"]) for row in planned["moves"]} == {
        ("User", "olga"), ("User", "paul"), ("Team", "staff"), ("Issuer", "tls"),
    }  # fmt: skip

    (desk.config / "users/paul.yaml").unlink()
    staff = (desk.config / "teams/staff.yaml").read_text()
    desk.write("teams/staff.yaml", staff.replace("    - paul\n", ""))
    desk.commit("Paul left")
    before = everything(accord)
    assert "use `--adopt` to take it over" in accord("plan", code=INVALID).stderr
    assert "use `--adopt` to take it over" in accord("apply", "--yes", code=INVALID).stderr

    assert everything(accord) == before
    adopting = accord.json("plan", "--adopt")
    assert {(change["action"], change["name"]) for change in adopting["changes"]} == {
        ("adopt", "olga"), ("adopt", "staff"), ("adopt", "tls"), ("delete", "paul"),
    }  # fmt: skip
    assert adopting["effects"]["tokensEnded"] == 1
    assert adopting["access"]["lost"] == [
        {"user": "paul", "issuer": "tls", "through": ["staff"], "until": None, "from": None, "later": []}
    ]
    file = tmp_path / "plan.json"
    accord("plan", "--adopt", "--out", str(file))
    accord("apply", str(file), "--yes", code=STALE)
    accord("apply", str(file), "--yes", "--adopt")
    assert accord.json("plan")["foreign"] == []
    assert "No drift" in accord("drift").output
    assert [access["user"] for access in accord.json("access")] == ["olga"]
    assert "there is no user `paul`" in accord("access", "--user", "paul", code=ERROR).stderr


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_an_organisation_of_github_is_imported(desk: Desk, tmp_path: Path) -> None:
    accord = desk.accord
    source = tmp_path / "org.yaml"
    source.write_text(
        "orgs:\n  Halden:\n    admins: [Olga]\n    members: [bob, carol]\n    repos: {booking: {}}\n    teams:\n"
        "      web:\n        members: [bob]\n        repos: {booking: write}\n"
    )
    assert f"files to {desk.config}" in accord("import", "peribolos", str(source), str(desk.config)).output
    accord("validate", str(desk.config))
    desk.git("init", "-q", "-b", "main")
    desk.commit("Imported")
    accord("apply", "--yes")
    assert ("bob", "halden-booking") in [(access["user"], access["issuer"]) for access in accord.json("access")]

    assert "is not empty" in accord("import", "peribolos", str(source), str(desk.config), code=ERROR).stderr
    source.write_text("orgs:\n  Halden:\n    teams:\n      web: [1]\n")
    refused = accord("import", "peribolos", str(source), str(tmp_path / "other"), code=INVALID)
    assert refused.stderr.endswith("accord: the files have errors; nothing was written\n")
    assert "org.yaml:4:" in refused.stderr
    assert not (tmp_path / "other").exists()
