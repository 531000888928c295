"""A first day with Accord, as the manual tells it: each test is a chapter, and reads from top to bottom."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from scenario import Accord, by_hand, everything

from reconciler.cli.exits import CHANGES, ERROR, INVALID, OK, STALE, UNSAFE
from reconciler.store import tables
from reconciler.store.schema import HEAD

EXAMPLE = Path(__file__).parents[2] / "examples" / "config-repo"


class Desk:
    """A folder with a config repository in it, a database, and the program."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.config = folder / "config"
        self.accord = Accord(self.config, database_url, folder / "cache")

    def git(self, *arguments: str) -> str:
        identity = ["-c", "user.name=Alice Jones", "-c", "user.email=alice@example.org"]
        git = ["git", *identity, "-C", str(self.config), *arguments]
        return subprocess.run(git, check=True, capture_output=True, text=True).stdout

    def write(self, name: str, text: str) -> None:
        place = self.config / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)

    def commit(self, message: str) -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        return self.git("rev-parse", "HEAD").strip()


@pytest.fixture
def desk(tmp_path: Path, database_url: str) -> Desk:
    """With no database at all, as on a first day."""
    return Desk(tmp_path, database_url)


@pytest.fixture
def begun(desk: Desk) -> Desk:
    """The starter, committed and applied."""
    desk.accord("init", str(desk.config), "--administrator", "alice", "--email", "alice@example.org")
    desk.git("init", "-q", "-b", "main")
    desk.commit("Who may use what")
    desk.accord("apply", "--yes")
    return desk


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
    first = desk.commit("Who may use what")

    assert accord("validate", str(desk.config)).output == "5 resources in 5 files: 0 errors, 0 warnings\n"
    assert accord("validate", "--rev", "main").output == "5 resources in 5 files: 0 errors, 0 warnings\n"

    planned = accord("plan", "--detailed-exitcode", code=CHANGES).output
    assert "Plan: Git → database" in planned
    assert "applied   nothing yet" in planned
    assert "+ User alice   users/alice.yaml:2" in planned
    assert "alice gains tls-internal through pki-admins" in planned
    assert "Also: sends 1 welcome mail" in planned

    applied = accord("apply", "--yes").output
    assert applied == f"Applied {first[:12]}: 5 created; 1 gains access, 1 becomes administrator\n"
    before = everything(accord)
    assert accord("apply", "--yes").output == f"Already applied {first[:12]}: no changes\n"
    assert everything(accord) == before
    assert "No changes" in accord("plan", "--detailed-exitcode", code=OK).output
    assert everything(accord) == before

    assert accord.json("access") == [{"user": "alice", "issuer": "tls-internal", "through": ["pki-admins"], "until": None}]
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
        == f"Applied {second[:12]}: 1 created, 1 updated; 1 gains access, 1 becomes administrator\n"
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


def test_a_plan_is_saved_reviewed_and_applied_as_it_was_reviewed(begun: Desk, tmp_path: Path) -> None:
    accord, file = begun.accord, tmp_path / "plan.json"
    begun.write("issuers/vpn.yaml", "apiVersion: accord/v1\nkind: Issuer\nmetadata: {name: vpn}\nspec: {}\n")
    begun.commit("A new issuer")

    shown = accord.json("plan", "--out", str(file))
    assert json.loads(file.read_text()) == shown
    assert accord("apply", str(file), "--yes").output.splitlines()[-1].startswith("Applied ")
    before = everything(accord)
    assert "another revision was applied since" in accord("apply", str(file), "--yes", code=STALE).stderr
    assert everything(accord) == before


def test_a_plan_of_a_revision_that_was_overtaken_is_stale_not_a_rewind(begun: Desk, tmp_path: Path) -> None:
    accord, file = begun.accord, tmp_path / "plan.json"
    begun.write("issuers/vpn.yaml", "apiVersion: accord/v1\nkind: Issuer\nmetadata: {name: vpn}\nspec: {}\n")
    begun.commit("A new issuer")
    accord("plan", "--out", str(file))
    begun.write("issuers/code.yaml", "apiVersion: accord/v1\nkind: Issuer\nmetadata: {name: code}\nspec: {}\n")
    begun.commit("Another")
    accord("apply", "--yes")
    assert "another revision was applied since" in accord("apply", str(file), "--yes", code=STALE).stderr


def test_a_plan_that_is_stale_is_refused(begun: Desk, tmp_path: Path) -> None:
    accord, file = begun.accord, tmp_path / "plan.json"
    begun.write("issuers/vpn.yaml", "apiVersion: accord/v1\nkind: Issuer\nmetadata: {name: vpn}\nspec: {}\n")
    begun.commit("A new issuer")
    accord("plan", "--out", str(file))
    by_hand(accord, "UPDATE state SET generation = generation + 1")  # a directory account logged in
    assert "the database has changed since" in accord("apply", str(file), "--yes", code=STALE).stderr
    accord("plan", "--out", str(file))
    by_hand(accord, "UPDATE issuers SET description = 'by hand'")
    assert "it differs in: digest, changes" in accord("apply", str(file), "--yes", code=STALE).stderr
    assert accord.json("history")[0]["commit"] != begun.git("rev-parse", "HEAD").strip()


@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize(
    "edit",
    [
        {"changes": []},
        {"digest": "sha256:" + "0" * 64},
        {"access": {"gained": [], "lost": [{"user": "alice", "issuer": "vpn", "through": [], "until": None}], "changed": []}},
        {"guards": []},
        {"effects": {"mails": 0, "sessionsEnded": 0, "tokensEnded": 1}},
        {"warnings": []},
        {"more": 1},
        {"applied": None},
        {"applied": "x"},
        {"applied": {}},
        {"generation": "1"},
        {"adopt": True},
        {"adopt": "yes"},
        {"path": "teams"},
        {"moves": None},
    ],
    ids=str,
)
def test_a_plan_file_that_was_edited_is_refused(begun: Desk, tmp_path: Path, edit: dict[str, Any]) -> None:
    accord, file = begun.accord, tmp_path / "plan.json"
    begun.write("issuers/vpn.yaml", "apiVersion: accord/v1\nkind: Issuer\nmetadata: {name: vpn}\nspec: {}\n")
    begun.commit("A new issuer")
    accord("plan", "--out", str(file))
    before = everything(accord)
    file.write_text(json.dumps({**json.loads(file.read_text()), **edit}))
    result = accord.run("apply", str(file), "--yes")
    assert result.exit_code in (STALE, INVALID), result.output + result.stderr
    assert "Traceback" not in result.stderr
    assert "internal error" not in result.stderr
    assert everything(accord) == before


@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize(
    "content",
    [
        *("", "{", "[]", "null", "{}", '"plan"', "\udcff"),
        '{"digest": 1}',
        '{"digest": "x", "revision": {}}',
        '{"digest": "x", "revision": {"commit": 1}}',
    ],
)
def test_a_file_that_is_no_plan_is_refused(begun: Desk, tmp_path: Path, content: str) -> None:
    file = tmp_path / "plan.json"
    file.write_bytes(content.encode("utf-8", "surrogateescape"))
    assert "is not a saved plan" in begun.accord("apply", str(file), "--yes", code=ERROR).stderr


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_saved_plan_of_another_branch_is_applied_only_where_it_is_named(begun: Desk, tmp_path: Path) -> None:
    """Whoever can swap the file must not be able to choose what is applied."""
    accord, file = begun.accord, tmp_path / "plan.json"
    begun.git("checkout", "-q", "-b", "unmerged")
    begun.write("issuers/vpn.yaml", "apiVersion: accord/v1\nkind: Issuer\nmetadata: {name: vpn}\nspec: {}\n")
    begun.commit("Not reviewed")
    accord("plan", "--rev", "unmerged", "--out", str(file))
    before = everything(accord)
    assert "which is not on branch `main`" in accord("apply", str(file), "--yes", code=STALE).stderr
    assert "which is not revision `main`" in accord("apply", str(file), "--yes", "--rev", "main", code=STALE).stderr
    assert everything(accord) == before
    accord("apply", str(file), "--yes", "--rev", "unmerged")


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_tag_named_like_the_branch_is_not_the_branch(begun: Desk) -> None:
    begun.git("checkout", "-q", "-b", "unmerged")
    begun.write("issuers/vpn.yaml", "apiVersion: accord/v1\nkind: Issuer\nmetadata: {name: vpn}\nspec: {}\n")
    begun.commit("Not reviewed")
    begun.git("tag", "main")
    begun.git("checkout", "-q", "--detach")
    assert begun.accord.json("plan")["revision"]["commit"] == begun.git("rev-parse", "refs/heads/main").strip()
    begun.git("branch", "-q", "-D", "main")
    assert "there is no branch `main`" in begun.accord("plan", code=ERROR).stderr


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_what_is_agreed_to_is_what_was_shown_even_if_that_was_nothing(begun: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    from reconciler.cli.apply import _asked
    from reconciler.run.applying import Order
    from reconciler.run.deployment import read_deployment

    begun.accord("apply", "--yes")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    agreed = _asked(read_deployment({}, begun.accord.environment), Order(None))
    assert agreed is not None
    assert agreed.rev == begun.git("rev-parse", "main").strip()
    assert agreed.expected is not None


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_saved_plan_says_itself_what_it_is_for(begun: Desk, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    begun.accord("plan", "--out", str(file))
    adopting = begun.accord("apply", str(file), "--yes", "--adopt", code=STALE)
    assert "--adopt must be given for both" in adopting.stderr
    assert "nowhere.json' does not exist" in begun.accord("apply", str(tmp_path / "nowhere.json"), "--yes", code=ERROR).stderr
    missing = begun.accord("plan", "--out", str(tmp_path / "nowhere" / "plan.json"), code=ERROR)
    assert missing.stderr == f"accord: the plan cannot be saved: there is no folder `{tmp_path}/nowhere`\n"
    assert not list(tmp_path.glob(".plan*"))


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_plan_is_applied_only_with_the_digest_that_was_agreed_to(begun: Desk) -> None:
    accord = begun.accord
    begun.write("issuers/vpn.yaml", "apiVersion: accord/v1\nkind: Issuer\nmetadata: {name: vpn}\nspec: {}\n")
    begun.commit("A new issuer")
    digest = accord.json("plan")["digest"]
    assert f"not sha256:{'0' * 64}" in accord("apply", "--yes", "--digest", f"sha256:{'0' * 64}", code=STALE).stderr
    assert "Applied" in accord("apply", "--yes", "--digest", digest).output


def test_the_history_tells_repairs_apart_and_where_it_was_read_from(begun: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    accord = begun.accord
    by_hand(accord, "UPDATE users SET email = 'mallory@example.org' WHERE name = 'alice'")
    monkeypatch.chdir(begun.config)
    accord("drift", "--repair", "--yes", "--repository", ".")
    begun.write("issuers/vpn.yaml", "apiVersion: accord/v1\nkind: Issuer\nmetadata: {name: vpn}\nspec: {}\n")
    begun.commit("A new issuer")
    accord("apply", "--yes", "--repository", ".")
    steps = accord.json("history")
    assert [step["repair"] for step in steps] == [False, True, False]
    assert {step["repository"] for step in steps} == {str(begun.config.resolve())}
    words = [line.split()[0] for line in accord("history").output.splitlines() if line.startswith("  ")]
    assert words == ["applied", "drift", "applied"]
    assert accord.json("show", steps[1]["commit"])["repair"] is True
    accord("audit", "verify")


def test_the_audit_log_tells_and_can_be_checked_anywhere(begun: Desk, tmp_path: Path) -> None:
    accord = begun.accord
    listed = accord("audit", "list").output.splitlines()
    assert listed[0].endswith(" tester: revision.apply")
    assert any("user.create alice" in line for line in listed)
    [entry] = accord.json("audit", "list", "--kind", "User", "--name", "alice")
    assert entry["detail"]["fields"]["email"]["to"] == "alice@example.org"
    assert accord.json("audit", "list", "--since", "2099-01-01T00:00:00Z") == []
    assert len(accord.json("audit", "list", "--limit", "2")) == 2
    assert "there is no kind `teem`; did you mean `Team`?" in accord("audit", "list", "--kind", "teem", code=ERROR).stderr
    assert accord("audit", "list", "--kind", "Team", "--name", "nobody").output == ""

    head = accord.json("audit", "verify")["head"]
    assert f"6 entries, the last one {head}" in accord("audit", "verify").output
    accord("audit", "verify", "--head", head)
    copy = tmp_path / "audit.jsonl"
    copy.write_bytes(accord("audit", "export").stdout_bytes)
    nowhere = {"ACCORD_DATABASE_URL": "sqlite:////nowhere/accord.db"}
    assert f"6 entries, the last one {head}" in accord("audit", "verify", str(copy), **nowhere).output

    lines = copy.read_bytes().splitlines(keepends=True)
    tampered = {
        "altered": [lines[0], lines[1].replace(b"alice@", b"mallory@"), *lines[2:]],
        "missing": [*lines[:2], *lines[3:]],
        "swapped": [lines[1], lines[0], *lines[2:]],
    }
    for kind, content in tampered.items():
        assert content != lines, kind
        copy.write_bytes(b"".join(content))
        assert "the audit log is broken at entry" in accord("audit", "verify", str(copy), code=ERROR).stderr
        assert accord.json("audit", "verify", str(copy), code=ERROR)["broken"]["id"] in (2, 4)
    copy.write_bytes(b"".join(lines[:4]))
    accord("audit", "verify", str(copy))  # a beginning holds by itself
    assert "was cut off or replaced" in accord("audit", "verify", str(copy), "--head", head, code=ERROR).stderr
    copy.write_bytes(b"hello\n")
    assert accord("audit", "verify", str(copy), code=ERROR).stderr == "accord: line 1 is not JSON\n"

    by_hand(accord, "UPDATE audit SET actor = 'nobody' WHERE id = 3")
    assert "broken at entry 3" in accord("audit", "verify", code=ERROR).stderr
    by_hand(accord, "UPDATE audit SET actor = 'tester' WHERE id = 3")
    accord("audit", "verify")
    by_hand(accord, "DELETE FROM audit WHERE id = 6")
    assert "6 entries were written" in accord("audit", "verify", code=ERROR).stderr


COPIED = ", ".join(column.name for column in tables.revisions.columns if column.name != "id")
UNBOUND = [f"UPDATE {table.name} SET revision_id = NULL" for table in tables.TABLES.values()]
EARLIER = "2020-01-01T00:00:00.000000Z"
OTHERS = {
    "committed_at": EARLIER,
    "applied_at": EARLIER,
    "counts": "{}",
    "overrides": '[{"guard": "x", "reason": "y"}]',
    "generation": "7",
}


@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize(
    ("statement", "words"),
    [
        *(
            (f"UPDATE revisions SET {name} = '{OTHERS.get(name, 'x')}' WHERE id = 2", "another thing of revision 2")
            for name in COPIED.split(", ")
        ),
        ("UPDATE revisions SET id = 7 WHERE id = 2", "tells of revision 2, which is missing"),
        ("DELETE FROM revisions WHERE id = 1", "tells of revision 1, which is missing"),
        (f"INSERT INTO revisions (id, {COPIED}) SELECT 3, {COPIED} FROM revisions WHERE id = 1", "of which no entry tells"),
        ("UPDATE revisions SET overrides = '[1]'", "a list of overrides"),
        ("DELETE FROM revisions", "tells of revision 1, which is missing"),
    ],
)
def test_a_history_that_is_not_what_the_audit_log_tells_is_found(begun: Desk, statement: str, words: str) -> None:
    accord = begun.accord
    begun.write("issuers/vpn.yaml", "apiVersion: accord/v1\nkind: Issuer\nmetadata: {name: vpn}\nspec: {}\n")
    begun.commit("A new issuer")
    accord("apply", "--yes")
    accord("audit", "verify")
    by_hand(accord, *UNBOUND, statement)
    assert words in accord("audit", "verify", code=ERROR).stderr


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_history_whose_last_entry_was_replaced_is_found(begun: Desk) -> None:
    accord = begun.accord
    by_hand(accord, *UNBOUND, "DELETE FROM revisions")
    accord("apply", "--yes", "--adopt")  # takes the number that is free again
    assert "another thing of revision 1: appliedAt, planDigest" in accord("audit", "verify", code=ERROR).stderr


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
    assert "accord: left out User \u00e9v\u00e9: a declared name has only a-z" in said.stderr
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
    assert "`--adopt` takes it over" in accord("plan", code=INVALID).stderr
    assert "`--adopt` takes it over" in accord("apply", "--yes", code=INVALID).stderr

    assert everything(accord) == before
    adopting = accord.json("plan", "--adopt")
    assert {(change["action"], change["name"]) for change in adopting["changes"]} == {
        ("adopt", "olga"), ("adopt", "staff"), ("adopt", "tls"), ("delete", "paul"),
    }  # fmt: skip
    assert adopting["effects"]["tokensEnded"] == 1
    assert adopting["access"]["lost"] == [{"user": "paul", "issuer": "tls", "through": ["staff"], "until": None}]
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
