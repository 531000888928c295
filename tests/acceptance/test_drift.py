"""Tables that were written to by hand: what differs is shown, put right in the database, or adopted in Git by a patch."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from scenario import ADMINISTRATORS, Accord, Clone, ConfigRepository, by_hand, everything, issuer, resource, team, user

from reconciler.access.resources import Issuer, Origin, Team
from reconciler.cli.exits import CHANGES, ERROR, INVALID, STALE, UNSAFE
from reconciler.plan.plan import Change
from reconciler.run import drift as drift_run
from reconciler.source.errors import SourceError
from reconciler.source.patch import adopting_patch

SQLITE = pytest.mark.parametrize("database_kind", ["sqlite"])
SOON = "2099-06-30T12:00:00.000000Z"
BOB = "(SELECT id FROM users WHERE name = 'bob')"
MANY = [f"p{number}" for number in range(8)]
GUARDS = "replace(guards, '5', '99')"
DECLARED: dict[str, Any] = {
    **ADMINISTRATORS,
    **{f"users/{name}.yaml": user(name, initialPassword="none") for name in ("alice", "bob", "carol", *MANY)},
    "issuers/tls.yaml": issuer("tls"),
    "issuers/vpn.yaml": issuer("vpn"),
    "teams/web.yaml": team("web", members=["alice", "bob"], issuers=["tls"]),
    "teams/many.yaml": team("many", members=MANY, issuers=["vpn"]),
    "templates/welcome.yaml": resource("EmailTemplate", "welcome", {"subject": "Hello", "text": "Hello\n"}),
    "settings.yaml": resource("Settings", "default", {"guards": {"maxAdministrators": 5}}),
}


def member(team_name: str, user_name: str, until: str = "NULL") -> str:
    return (
        f"INSERT INTO memberships (team_id, user_id, until) SELECT teams.id, users.id, {until} "
        f"FROM teams, users WHERE teams.name = '{team_name}' AND users.name = '{user_name}'"
    )


def permission(team_name: str, issuer_name: str) -> str:
    return (
        "INSERT INTO permissions (team_id, issuer_id) SELECT teams.id, issuers.id "
        f"FROM teams, issuers WHERE teams.name = '{team_name}' AND issuers.name = '{issuer_name}'"
    )


EDITS: dict[str, tuple[list[str], list[str]]] = {
    "a changed user": (["UPDATE users SET email = 'mallory@example.org' WHERE name = 'alice'"], ["update User/alice"]),
    "a user switched off": (["UPDATE users SET disabled_by_git = true WHERE name = 'bob'"], ["update User/bob"]),
    "a changed team": (["UPDATE teams SET administrator = true WHERE name = 'web'"], ["update Team/web"]),
    "permitted IPs": (["""UPDATE teams SET permitted_ips = '["0.0.0.0/0"]' WHERE name = 'web'"""], ["update Team/web"]),
    "a changed issuer": (["UPDATE issuers SET enabled = false WHERE name = 'tls'"], ["update Issuer/tls"]),
    "a changed template": (["UPDATE email_templates SET text = 'Click here'"], ["update EmailTemplate/welcome"]),
    "a changed limit": (["UPDATE settings SET guards = replace(guards, '5', '50')"], ["update Settings/default"]),
    "a changed policy": (["UPDATE settings SET policies = replace(policies, '365d', '999d')"], ["update Settings/default"]),
    "a member added": ([member("web", "carol")], ["update Team/web"]),
    "a reason made up": ([f"UPDATE memberships SET reason = 'x' WHERE user_id = {BOB}"], ["update Team/web"]),
    "a membership made to end": ([f"UPDATE memberships SET until = '{SOON}' WHERE user_id = {BOB}"], ["update Team/web"]),
    "members removed": ([f"DELETE FROM memberships WHERE user_id = {BOB}"], ["update Team/web"]),
    "a permission added": ([permission("web", "vpn")], ["update Team/web"]),
    "permissions removed": (["DELETE FROM permissions"], ["update Team/many", "update Team/web"]),
    "a deleted user": (["DELETE FROM users WHERE name = 'bob'"], ["create User/bob", "update Team/web"]),
    "a deleted team": (["DELETE FROM teams WHERE name = 'web'"], ["create Team/web"]),
    "a deleted issuer": (["DELETE FROM issuers WHERE name = 'tls'"], ["update Team/web", "create Issuer/tls"]),
    "a deleted template": (["DELETE FROM email_templates"], ["create EmailTemplate/welcome"]),
    "deleted settings": (["DELETE FROM settings"], ["create Settings/default"]),
    "an inserted user": (
        ["INSERT INTO users (name, email, file) VALUES ('mallory', 'm@example.org', 'users/m.yaml')", member("web", "mallory")],
        ["delete User/mallory", "update Team/web"],
    ),
    "an inserted team": (["INSERT INTO teams (name, file) VALUES ('gang', 'teams/gang.yaml')"], ["delete Team/gang"]),
    "a renamed user": (
        ["UPDATE users SET name = 'alicia' WHERE name = 'alice'"],
        ["create User/alice", "delete User/alicia", "update Team/web"],
    ),
    "a renamed team": (["UPDATE teams SET name = 'webs' WHERE name = 'web'"], ["create Team/web", "delete Team/webs"]),
    "a renamed issuer": (
        ["UPDATE issuers SET name = 'ssl' WHERE name = 'tls'"],
        ["update Team/web", "delete Issuer/ssl", "create Issuer/tls"],
    ),
}  # fmt: skip


def found(accord: Accord) -> list[str]:
    document = accord.json("drift", code=CHANGES)
    return [f"{item['action']} {item['kind']}/{item['name']}" for item in document["differences"]]


@pytest.mark.parametrize("edit", EDITS)
def test_whatever_is_written_by_hand_is_drift_and_can_be_put_right(
    accord: Accord, repository: ConfigRepository, edit: str
) -> None:
    repository.commit(DECLARED)
    accord("apply", "--yes")
    assert "No drift" in accord("drift").output
    statements, expected = EDITS[edit]
    by_hand(accord, *statements)
    assert found(accord) == expected
    accord("drift", "--repair", "--yes")
    assert "No drift" in accord("drift").output
    assert accord.json("plan")["changes"] == []
    assert accord.json("audit", "verify")["broken"] is None


@pytest.mark.parametrize("edit", EDITS)
@SQLITE
def test_whatever_is_written_by_hand_can_be_adopted_by_a_patch(
    accord: Accord, repository: ConfigRepository, tmp_path: Path, edit: str
) -> None:
    repository.commit(DECLARED)
    accord("apply", "--yes")
    by_hand(accord, *EDITS[edit][0])
    adopt(accord, repository, tmp_path)


def adopt(accord: Accord, repository: ConfigRepository, tmp_path: Path) -> str:
    """Apply the patch with git, commit it, and see that Git and the database agree. Gives the patch."""
    patch = accord("drift", "--patch", code=CHANGES).stdout_bytes
    clone = Clone(repository, tmp_path / "clone")
    clone.git("apply", given=patch)
    clone.push("Adopt what was done by hand")
    accord("validate", "--rev", "main")
    assert accord.json("plan")["changes"] == []
    accord("apply", "--yes")
    assert "No drift" in accord("drift").output
    return str(patch.decode())


@SQLITE
def test_drift_names_the_last_audit_entry_of_each_resource(accord: Accord, repository: ConfigRepository) -> None:
    repository.commit(DECLARED)
    accord("apply", "--yes")
    repository.commit({"teams/web.yaml": team("web", members=["alice"], issuers=["tls"])})
    accord("apply", "--yes", ACCORD_APPLIED_BY="carol")
    by_hand(
        accord,
        member("web", "bob"),
        "UPDATE issuers SET enabled = false WHERE name = 'tls'",
        "INSERT INTO teams (name, file) VALUES ('gang', 'x.yaml')",
    )
    since = {item["name"]: item["since"] for item in accord.json("drift", code=CHANGES)["differences"]}
    assert (since["web"]["action"], since["web"]["actor"]) == ("team.update", "carol")
    assert (since["tls"]["action"], since["tls"]["actor"]) == ("issuer.create", "tester")
    assert since["gang"] is None
    text = accord("drift", code=CHANGES).output
    assert f"since audit entry #{since['web']['id']}: team.update by carol" in text
    assert "no entry of the audit log speaks of it" in text


@SQLITE
def test_rows_that_git_never_declared_are_foreign_and_no_drift(accord: Accord, repository: ConfigRepository) -> None:
    repository.commit(DECLARED)
    accord("apply", "--yes")
    by_hand(accord, "INSERT INTO users (name, email) VALUES ('stranger', 's@example.org')")
    document = accord.json("drift")
    assert document["differences"] == []
    assert document["foreign"] == [{"kind": "User", "name": "stranger"}]
    assert "stranger" in accord("drift").output
    by_hand(accord, "UPDATE issuers SET enabled = false WHERE name = 'tls'")
    accord("drift", "--repair", "--yes")
    assert accord.json("drift")["foreign"] == [{"kind": "User", "name": "stranger"}]


def test_a_foreign_team_that_gives_anything_is_drift_and_everybody_is_named(accord: Accord, repository: ConfigRepository) -> None:
    repository.commit({**DECLARED, "users/robot.yaml": user("robot", type="application")})
    accord("apply", "--yes")
    ended = "'2020-01-01T00:00:00.000000Z'"
    columns = "name, administrator, permitted_ips, may_decide_for"
    gang = f"""INSERT INTO teams ({columns}) VALUES ('gang', true, '["0.0.0.0/0"]', '"everyone"')"""
    by_hand(accord, gang, member("gang", "carol"), member("gang", "robot"), member("gang", "bob", ended))
    by_hand(accord, permission("gang", "vpn"))
    both = ["carol", "robot"]
    expected = {
        "access": [{"user": name, "issuer": "vpn", "through": ["gang"], "until": None} for name in both],
        "powers": [{"field": f, "team": "gang", "users": both} for f in ("administrator", "permittedIPs", "mayDecideFor")],
    }

    def check() -> None:
        document = accord.json("drift", code=CHANGES)
        assert document["foreignAccess"] == expected
        assert document["foreign"] == [{"kind": "Team", "name": "gang"}]
        text = accord("drift", code=CHANGES).output
        for words in (
            "2 people use vpn through gang: carol, robot",
            "administrators through gang: carol, robot",
            "bound to the permitted IPs of gang: carol, robot",
            "may ask for decisions, where they are applications, through gang: carol, robot",
            "accord apply --adopt",
        ):
            assert words in text
        assert "No drift" not in text

    check()
    assert accord("drift", "--patch", code=CHANGES).stderr.count("through gang") == 3
    by_hand(accord, "UPDATE issuers SET description = 'x' WHERE name = 'tls'")
    accord("drift", "--repair", "--yes", code=CHANGES)  # all that Git declares is as it should be; the gang is there yet
    assert accord.json("drift", code=CHANGES)["differences"] == []
    repository.commit({"issuers/vpn.yaml": issuer("vpn", description="y")})
    accord("apply", "--yes")  # and so the digests count the foreign rows in
    check()
    accord("apply", "--adopt", "--yes")
    assert accord.json("drift")["foreignAccess"] == {"access": [], "powers": []}


@SQLITE
def test_a_foreign_team_that_gives_nothing_is_no_drift(accord: Accord, repository: ConfigRepository) -> None:
    repository.commit(DECLARED)
    accord("apply", "--yes")
    by_hand(accord, "INSERT INTO teams (name, administrator) VALUES ('empty', true)", permission("empty", "vpn"))
    by_hand(accord, "INSERT INTO teams (name) VALUES ('harmless')", member("harmless", "alice"))
    assert accord.json("drift")["foreignAccess"] == {"access": [], "powers": []}


@SQLITE
def test_other_settings_written_by_hand_stand_in_for_nothing(accord: Accord, repository: ConfigRepository) -> None:
    repository.commit(DECLARED)
    accord("apply", "--yes")
    columns = "guards, policies FROM settings"
    by_hand(accord, f"INSERT INTO settings (id, name, guards, policies) SELECT 0, 'aaa', {columns.replace('guards', GUARDS, 1)}")
    document = accord.json("drift")
    assert (document["differences"], document["foreign"]) == ([], [{"kind": "Settings", "name": "aaa"}])
    assert accord.json("plan")["changes"] == []


@SQLITE
def test_a_declared_row_that_is_made_to_look_foreign_is_drift_and_put_right(accord: Accord, repository: ConfigRepository) -> None:
    repository.commit(DECLARED)
    accord("apply", "--yes")
    by_hand(accord, "UPDATE teams SET file = NULL, administrator = true WHERE name = 'web'")
    assert found(accord) == ["update Team/web"]
    accord("drift", "--repair", "--yes")
    assert accord.json("drift")["foreign"] == []
    assert accord.json("plan")["moves"] == []


@SQLITE
@pytest.mark.parametrize("arguments", [(), ("--repair", "--yes"), ("--only", "User/alice")])
def test_a_declared_user_made_a_directory_account_is_the_plain_error(
    accord: Accord, repository: ConfigRepository, arguments: tuple[str, ...]
) -> None:
    repository.commit(DECLARED)
    accord("apply", "--yes")
    by_hand(accord, "UPDATE users SET source = 'directory' WHERE name = 'alice'")
    assert "user `alice` has the name of a directory account" in accord("drift", *arguments, code=INVALID).stderr


@SQLITE
def test_only_the_named_resource_is_put_right(accord: Accord, repository: ConfigRepository) -> None:
    repository.commit(DECLARED)
    accord("apply", "--yes")
    by_hand(accord, member("web", "carol"), "UPDATE issuers SET description = 'x'")
    accord("drift", "--repair", "--only", "Issuer/tls", "--yes")
    assert found(accord) == ["update Team/web", "update Issuer/vpn"]
    assert "does not differ" in accord("drift", "--repair", "--only", "Issuer/tls", "--yes", code=ERROR).stderr
    accord("drift", "--repair", "--only", "Issuer/vpn", "--only", "Team/web", "--yes")
    assert accord.json("drift")["differences"] == []


@SQLITE
@pytest.mark.parametrize(
    ("only", "words"),
    [
        ("Team", "as in `Team/web-platform`"),
        ("/web", "there is no kind ``"),
        ("Taem/web", "did you mean `Team`"),
        ("Zebra/web", "User, Team"),
    ],
)
def test_a_resource_is_named_by_kind_and_name(accord: Accord, repository: ConfigRepository, only: str, words: str) -> None:
    assert words in accord("drift", "--only", only, code=ERROR).stderr


@SQLITE
def test_what_cannot_be_put_right_alone_says_what_it_needs(accord: Accord, repository: ConfigRepository) -> None:
    repository.commit(DECLARED)
    accord("apply", "--yes")
    by_hand(accord, "DELETE FROM users WHERE name = 'bob'")
    assert "without User/bob; name them too" in accord("drift", "--repair", "--only", "Team/web", "--yes", code=ERROR).stderr
    accord("drift", "--repair", "--only", "User/bob", "--yes")
    accord("drift", "--repair", "--only", "Team/web", "--yes")
    by_hand(
        accord, "INSERT INTO users (name, email, file) VALUES ('mallory', 'm@example.org', 'x.yaml')", member("web", "mallory")
    )
    error = accord("drift", "--repair", "--only", "User/mallory", "--yes", code=ERROR).stderr
    assert "User/mallory cannot be put right without Team/web; name it too" in error
    accord("drift", "--repair", "--only", "User/mallory", "--only", "Team/web", "--yes")
    assert accord.json("drift")["differences"] == []


@SQLITE
def test_a_directory_account_written_into_a_team_hinders_no_other_repair(accord: Accord, repository: ConfigRepository) -> None:
    repository.commit(DECLARED)
    accord("apply", "--yes")
    by_hand(
        accord, "INSERT INTO users (name, email, source) VALUES ('dora', 'd@example.org', 'directory')", member("web", "dora")
    )
    by_hand(accord, "UPDATE issuers SET description = 'x' WHERE name = 'tls'")
    accord("drift", "--repair", "--only", "Issuer/tls", "--yes")
    accord("drift", "--repair", "--yes")
    assert accord.json("drift")["differences"] == []
    assert accord.json("access", "--user", "dora") == []


@SQLITE
def test_guards_judge_a_repair_and_an_override_is_recorded_only_where_it_was_needed(
    accord: Accord, repository: ConfigRepository
) -> None:
    repository.commit(DECLARED)
    accord("apply", "--yes")
    by_hand(accord, *(member("web", name) for name in MANY))
    before = everything(accord)
    refused = accord("drift", "--repair", "--yes", code=UNSAFE)
    assert 'if this is meant: accord drift --repair --override deletions --reason "why"' in refused.stdout
    assert "members of team web: 8 of 10 would go" in refused.stderr
    assert refused.stderr.endswith("accord: refused by deletions; nothing was changed\n")
    assert everything(accord) == before
    assert "--override needs --reason" in accord("drift", "--repair", "--yes", "--override", "deletions", code=ERROR).stderr
    overrides = ("--override", "deletions", "--override", "administrators", "--reason", "CHG-1")
    assert "guard deletions overridden" in accord("drift", "--repair", "--yes", *overrides).output
    assert accord.json("history")[0]["overrides"] == [{"guard": "deletions", "reason": "CHG-1"}]
    assert accord.json("audit", "list", "--limit", "2")[0]["detail"]["overrides"] == [{"guard": "deletions", "reason": "CHG-1"}]


@SQLITE
def test_repair_asks_on_a_terminal_and_goes_nowhere_without_one(accord: Accord, repository: ConfigRepository) -> None:
    repository.commit(DECLARED)
    accord("apply", "--yes")
    assert "No drift" in accord("drift", "--repair").output  # nothing to ask about
    by_hand(accord, member("web", "carol"))
    assert "--yes repairs without asking" in accord("drift", "--repair", code=ERROR).stderr
    assert "choose one" in accord("drift", "--repair", "--patch", code=ERROR).stderr
    assert found(accord) == ["update Team/web"]


@SQLITE
def test_who_is_reached_by_a_repair_is_who_was_shown(
    accord: Accord, repository: ConfigRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.commit(DECLARED)
    accord("apply", "--yes")
    by_hand(accord, "UPDATE teams SET administrator = NOT administrator WHERE name = 'web'")
    repair = drift_run.repair

    def meanwhile(*arguments: Any, **options: Any) -> Any:
        by_hand(
            accord,
            "INSERT INTO account_states (user_id, disabled_by_administrator) SELECT id, true FROM users WHERE name = 'bob'"
            " ON CONFLICT (user_id) DO UPDATE SET disabled_by_administrator = true",
        )
        return repair(*arguments, **options)

    monkeypatch.setattr(drift_run, "repair", meanwhile)
    assert "has changed since this was shown" in accord("drift", "--repair", "--yes", code=STALE).stderr


@SQLITE
def test_what_changed_after_it_was_shown_is_not_put_right(
    accord: Accord, repository: ConfigRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.commit(DECLARED)
    accord("apply", "--yes")
    by_hand(accord, member("web", "carol"))
    repair = drift_run.repair

    def meanwhile(*arguments: Any, **options: Any) -> Any:
        by_hand(accord, "UPDATE teams SET administrator = true WHERE name = 'web'")
        return repair(*arguments, **options)

    monkeypatch.setattr(drift_run, "repair", meanwhile)
    assert "has changed since this was shown" in accord("drift", "--repair", "--yes", code=STALE).stderr
    assert found(accord) == ["update Team/web"]


@SQLITE
def test_nothing_can_differ_before_anything_was_applied(accord: Accord, repository: ConfigRepository) -> None:
    repository.commit(DECLARED)
    assert "nothing was ever applied" in accord("drift", code=ERROR).stderr
    assert "nothing was ever applied" in accord("drift", "--repair", "--yes", code=ERROR).stderr


@SQLITE
def test_what_a_hand_wrote_in_no_sense_is_named(accord: Accord, repository: ConfigRepository) -> None:
    repository.commit(DECLARED)
    accord("apply", "--yes")
    by_hand(accord, "UPDATE teams SET permitted_ips = 'anywhere'")
    assert "`anywhere`" in accord("drift", code=ERROR).stderr


# The patch keeps what people wrote

WEB = """\
# The web people
apiVersion: accord/v1
kind: Team
metadata:
  name: web
spec:
  # what they do
  description: Runs the web
  issuers:
    - tls
  members:
    - bob  # since the beginning
    # contractors
    - user: alice
      until: 2099-01-31
      reason: "cover: parental leave"
"""


@pytest.fixture
def drifted(accord: Accord, repository: ConfigRepository, tmp_path: Path) -> Any:
    """Commits files, applies, writes by hand, adopts; gives the file afterwards as bytes (None: it is gone) and the patch."""

    def run(name: str, content: str | bytes, *statements: str, **others: Any) -> tuple[bytes | None, str]:
        basis = {key: value for key, value in DECLARED.items() if key != "teams/web.yaml"}
        repository.commit({**basis, **others, name: content})
        accord("apply", "--yes")
        by_hand(accord, *statements)
        patch = adopt(accord, repository, tmp_path)
        file = tmp_path / "clone" / name
        return (file.read_bytes() if file.exists() else None), patch

    return run


JOIN = member("web", "carol")
LEAVE = "DELETE FROM memberships WHERE user_id = (SELECT id FROM users WHERE name = '{}')"


@SQLITE
def test_comments_and_order_stay(drifted: Any) -> None:
    text, patch = drifted(
        "teams/web.yaml",
        WEB,
        JOIN,
        permission("web", "vpn"),
        LEAVE.format("alice"),
        "UPDATE teams SET description = 'Runs: all' WHERE name = 'web'",
    )
    expected = WEB.replace("description: Runs the web", 'description: "Runs: all"').replace(
        "    - tls\n", "    - tls\n    - vpn\n"
    )
    expected = expected[: expected.index("    - user: alice")] + "    - carol\n"
    assert text.decode() == expected
    assert patch.count("\n-") == 4


@SQLITE
@pytest.mark.parametrize(
    ("statement", "line"),
    [
        (f"UPDATE memberships SET until = '{SOON}' WHERE reason IS NOT NULL", "      until: 2099-06-30T12:00:00Z\n"),
        ("UPDATE memberships SET reason = NULL WHERE reason IS NOT NULL", "    - user: alice\n      until: 2099-01-31\n"),
        ("UPDATE teams SET administrator = true WHERE name = 'web'", "  administrator: true\n"),
        ("""UPDATE teams SET ad_groups = '["CN=Web,DC=corp"]' WHERE name = 'web'""", "  adGroups:\n    - CN=Web,DC=corp\n"),
        ("""UPDATE teams SET labels = '{"cost": "42"}' WHERE name = 'web'""", '  labels:\n    cost: "42"\n'),
        ("""UPDATE teams SET may_decide_for = '"everyone"' WHERE name = 'web'""", "  mayDecideFor: everyone\n"),
        ("""UPDATE teams SET may_decide_for = '["many"]' WHERE name = 'web'""", "  mayDecideFor:\n    - many\n"),
        ("UPDATE teams SET description = '“нов” 漢字 😀' WHERE name = 'web'", "  description: “нов” 漢字 😀\n"),
        ("UPDATE teams SET description = 'two\nlines' WHERE name = 'web'", "  description: |-\n    two\n    lines\n"),
    ],
)  # fmt: skip
def test_one_field_is_changed_in_place(drifted: Any, statement: str, line: str) -> None:
    text, _ = drifted("teams/web.yaml", WEB, statement)
    assert line in text.decode()
    for comment in ("# The web people\n", "  # what they do\n", "    - bob  # since the beginning\n", "    # contractors\n"):
        assert comment in text.decode()


@SQLITE
def test_a_list_becomes_everyone_and_back(drifted: Any) -> None:
    text, _ = drifted(
        "teams/web.yaml",
        WEB + "  mayDecideFor:\n    - web\n",
        """UPDATE teams SET may_decide_for = '"everyone"' WHERE name = 'web'""",
    )
    assert text.decode() == WEB + "  mayDecideFor: everyone\n"


@SQLITE
def test_a_file_with_windows_line_breaks_keeps_them(drifted: Any) -> None:
    text, _ = drifted("teams/web.yaml", WEB.replace("\n", "\r\n"), JOIN)
    assert text == (WEB + "    - carol\n").replace("\n", "\r\n").encode()


@SQLITE
def test_a_file_without_a_final_line_break_is_edited_too(drifted: Any) -> None:
    text, patch = drifted("teams/web.yaml", WEB[:-1], JOIN)
    assert text.decode() == WEB + "    - carol\n"
    assert "\\ No newline at end of file" in patch


@SQLITE
def test_flow_style_is_written_anew(drifted: Any) -> None:
    flow = "# short\napiVersion: accord/v1\nkind: Team\nmetadata: {name: web}\nspec: {members: [alice], issuers: [tls]}\n"
    text, _ = drifted("teams/web.yaml", flow, JOIN)
    assert text.decode().startswith("# short\napiVersion: accord/v1\nkind: Team\nmetadata:\n  name: web\nspec:\n")
    assert "    - carol\n" in text.decode()


@SQLITE
def test_only_the_list_in_flow_style_is_written_anew(drifted: Any) -> None:
    flow = WEB.replace("  issuers:\n    - tls\n", "  issuers: [tls]\n")
    text, _ = drifted("teams/web.yaml", flow, permission("web", "vpn"))
    assert text.decode() == WEB.replace("    - tls\n", "    - tls\n    - vpn\n")


ERIN = (
    "# Erin\napiVersion: accord/v1\nkind: User\nmetadata:\n  name: erin\nspec:\n  email: e@example.org\n  initialPassword: none\n"
)
FRANK = ERIN.replace("erin", "frank").replace("Erin", "Frank")


@SQLITE
@pytest.mark.parametrize(
    ("content", "left"),
    [
        (f"{ERIN}---\n{WEB}---\n{FRANK}", f"{WEB}---\n{FRANK}"),
        (f"# all\n---\n{WEB}---\n{ERIN}---\n{FRANK}", f"# all\n---\n{WEB}---\n{FRANK}"),
        (f"{WEB}---\n{ERIN}", WEB),
        (f"{WEB}...\n---\n{ERIN}...\n", f"{WEB}...\n"),
        (f"{WEB}--- {{apiVersion: accord/v1, kind: User, metadata: {{name: erin}}, spec: {{email: e@example.org}}}}\n", WEB),
    ],
)
def test_one_of_several_documents_goes_with_its_comments(drifted: Any, content: str, left: str) -> None:
    text, _ = drifted("all.yaml", content, "DELETE FROM users WHERE name = 'erin'")
    assert text.decode() == left


@SQLITE
def test_a_file_that_declares_nothing_more_goes(drifted: Any) -> None:
    modeline = "# yaml-language-server: $schema=user.schema.json\n"
    text, patch = drifted("users/erin.yaml", modeline + ERIN, "DELETE FROM users WHERE name = 'erin'", **{"teams/web.yaml": WEB})
    assert text is None
    assert "+++ /dev/null" in patch


@SQLITE
def test_documents_of_one_file_change_one_after_the_other(drifted: Any) -> None:
    text, _ = drifted(
        "all.yaml",
        f"{ERIN}---\n{WEB}---\n{FRANK}",
        "UPDATE users SET email = 'new@example.org' WHERE name IN ('erin', 'frank')",
        JOIN,
        "INSERT INTO users (name, email, initial_password, file) VALUES ('grace', 'g@example.org', 'none', 'all.yaml')",
    )
    expected = f"{ERIN}---\n{WEB}    - carol\n---\n{FRANK}".replace("e@example.org", "new@example.org")
    assert text.decode() == f"{expected}---\n{ERIN[7:]}".replace("erin\nspec:\n  email: e@", "grace\nspec:\n  email: g@")


@SQLITE
def test_a_document_that_shares_its_line_with_the_marker_keeps_it(drifted: Any) -> None:
    flow = "--- {apiVersion: accord/v1, kind: Team, metadata: {name: web}, spec: {members: [alice], issuers: [tls]}}\n"
    text, _ = drifted("all.yaml", f"{ERIN}{flow}---\n{FRANK}", JOIN)
    assert text.decode().count("---\n") == 2


@SQLITE
def test_a_user_and_a_team_of_one_name_in_one_file_are_told_apart(drifted: Any) -> None:
    text, _ = drifted(
        "all.yaml", f"{ERIN.replace('erin', 'web')}---\n{WEB}", JOIN, "UPDATE users SET full_name = 'W' WHERE name = 'web'"
    )
    assert text.decode() == ERIN.replace("erin", "web") + f"  fullName: W\n---\n{WEB}    - carol\n"


@SQLITE
def test_block_scalars_are_replaced_whole(drifted: Any) -> None:
    template = (
        "apiVersion: accord/v1\nkind: EmailTemplate\nmetadata:\n  name: password-reset\nspec:\n  text: |\n    Hello\n\n    Bye\n"
        "  subject: Reset  # short\n---\n"
    )
    text, _ = drifted(
        "t.yaml", template + WEB, "UPDATE email_templates SET text = 'Hello\n\n  Bye\n\n' WHERE name = 'password-reset'"
    )
    assert text.decode() == (template + WEB).replace("    Hello\n\n    Bye\n", "    Hello\n\n      Bye\n\n").replace(
        "|\n", "|+\n", 1
    )


@SQLITE
def test_a_limit_changes_in_the_middle_of_commented_settings(drifted: Any) -> None:
    settings = (
        "apiVersion: accord/v1\nkind: Settings\nmetadata:\n  name: default\nspec:\n  # limits\n  guards:\n"
        "    maxDeletions: 20%  # a share\n    # many\n    maxAdministrators: 7\n  mail:\n    onIssue: false\n"
    )
    text, _ = drifted(
        "settings.yaml",
        settings,
        "UPDATE settings SET guards = replace(guards, '7', '9'), policies = replace(policies, '365d', '30d')",
        **{"teams/web.yaml": WEB},
    )
    assert text.decode() == settings.replace("7", "9") + "  tokens:\n    maxLifetime: 30d\n"


@SQLITE
@pytest.mark.parametrize("name", ["the wéb team.yaml", 'a "quoted" one.yaml', "漢字/web.yaml"])
def test_a_file_may_be_called_anything(drifted: Any, name: str) -> None:
    text, _ = drifted(name, WEB, JOIN)
    assert text.decode() == WEB + "    - carol\n"


@pytest.mark.parametrize("name", ['a "quoted" one.yaml', "back\\slash.yaml", "tab\there.yaml", "line\nbreak.yaml"])
def test_git_reads_the_name_of_any_file_out_of_a_patch(tmp_path: Path, name: str) -> None:
    change = Change("delete", "Team", "web", Origin(name, 1), Team("web"), None)
    patch = adopting_patch([change], lambda _: None)
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    subprocess.run(["git", "apply"], cwd=tmp_path, input=patch.encode(), check=True)
    assert "name: web" in (tmp_path / name).read_text()


@SQLITE
def test_a_patch_for_resources_in_a_folder_stays_in_it(accord: Accord, repository: ConfigRepository, tmp_path: Path) -> None:
    accord.environment["ACCORD_PATH"] = "config/live"
    files = {f"config/live/{name}": content for name, content in DECLARED.items()}
    repository.commit({**files, "config/live/teams/web.yaml": WEB, "teams/web.yaml": "elsewhere: true\n"})
    accord("apply", "--yes")
    by_hand(accord, JOIN, "DELETE FROM users WHERE name = 'p0'")
    patch = adopt(accord, repository, tmp_path)
    assert {line[6:] for line in patch.splitlines() if line.startswith("--- ")} == {
        "config/live/teams/many.yaml",
        "config/live/teams/web.yaml",
        "config/live/users/p0.yaml",
    }


@SQLITE
def test_a_patch_that_alone_makes_the_config_invalid_says_so(accord: Accord, repository: ConfigRepository) -> None:
    apart = {"guards": {"separationOfDuties": [["web", "many"]]}}
    repository.commit({**DECLARED, "settings.yaml": resource("Settings", "default", apart)})
    accord("apply", "--yes")
    by_hand(
        accord, "UPDATE teams SET name = 'net' WHERE name = 'web'", "UPDATE issuers SET display_name = 'TLS' WHERE name = 'vpn'"
    )
    said = accord("drift", "--patch", code=CHANGES)
    assert "displayName: TLS" in said.stdout
    invalid = "accord: the config is not valid with this patch alone: "
    assert f"{invalid}Settings default: unknown team `web`" in said.stderr
    assert f"{invalid}Issuer vpn: issuer `tls` is shown as `TLS` too" in said.stderr
    by_hand(
        accord, "UPDATE teams SET name = 'web' WHERE name = 'net'", "UPDATE issuers SET display_name = 'V' WHERE name = 'vpn'"
    )
    assert invalid not in accord("drift", "--patch", code=CHANGES).stderr


@SQLITE
def test_a_patch_of_one_resource_only(accord: Accord, repository: ConfigRepository) -> None:
    repository.commit({**DECLARED, "teams/web.yaml": WEB})
    accord("apply", "--yes")
    by_hand(accord, JOIN, "UPDATE issuers SET description = 'x'")
    patch = accord("drift", "--patch", "--only", "Team/web", code=CHANGES).output
    assert "+    - carol" in patch
    assert "issuers/tls.yaml" not in patch
    assert accord("drift", "--patch", "--only", "Team/many", code=ERROR).stdout == ""


@SQLITE
@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("UPDATE users SET email = 'nobody' WHERE name = 'alice'", "User `alice`"),
        ("UPDATE teams SET description = 'beep \x07' WHERE name = 'web'", "Team `web`"),
        ("UPDATE users SET name = '-rf' WHERE name = 'carol'", "User `-rf`"),
    ],
)
def test_what_no_file_may_declare_is_not_patched(accord: Accord, repository: ConfigRepository, statement: str, name: str) -> None:
    repository.commit({**DECLARED, "teams/web.yaml": WEB})
    accord("apply", "--yes")
    by_hand(accord, statement)
    refused = accord("drift", "--patch", code=ERROR)
    assert refused.stdout == ""
    assert name in refused.stderr
    assert "--repair" in refused.stderr


def test_a_patch_that_does_not_come_out_right_is_none() -> None:
    change = Change("delete", "Issuer", "tls", None, Issuer("tls", description="\x07"), None)
    with pytest.raises(SourceError, match=r"issuers/tls\.yaml"):
        adopting_patch([change], lambda _: None)
