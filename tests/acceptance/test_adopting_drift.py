"""What was written by hand is adopted in Git by a patch, which keeps what people wrote."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from scenario import Accord, Clone, ConfigRepository, by_hand, resource
from test_drift import DECLARED, EDITS, SOON, SQLITE, member, permission

from reconciler.access.resources import Issuer, Origin, Team
from reconciler.cli.exits import CHANGES, ERROR
from reconciler.plan.plan import Change
from reconciler.source.errors import SourceError
from reconciler.source.patch import adopting_patch


@pytest.mark.parametrize("edit", EDITS)
@SQLITE
def test_any_edit_by_hand_can_be_adopted_by_a_patch(
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


# What people wrote stays

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
    expected = expected[: expected.index("    # contractors")] + "    - carol\n    # contractors\n"
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
def test_a_list_is_replaced_by_everyone_and_back(drifted: Any) -> None:
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
def test_flow_style_stays(drifted: Any) -> None:
    flow = "# short\napiVersion: accord/v1\nkind: Team\nmetadata: {name: web}\nspec: {members: [alice], issuers: [tls]}\n"
    text, _ = drifted("teams/web.yaml", flow, JOIN)
    assert text.decode() == flow.replace("[alice]", "[alice, carol]")


@SQLITE
def test_a_list_in_flow_style_stays_one_beside_others(drifted: Any) -> None:
    flow = WEB.replace("  issuers:\n    - tls\n", "  issuers: [tls]\n")
    text, _ = drifted("teams/web.yaml", flow, permission("web", "vpn"))
    assert text.decode() == flow.replace("[tls]", "[tls, vpn]")


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
    assert text.decode() == f"{ERIN}{flow}---\n{FRANK}".replace("[alice]", "[alice, carol]")


@SQLITE
def test_a_user_and_a_team_of_one_name_in_one_file_are_told_apart(drifted: Any) -> None:
    text, _ = drifted(
        "all.yaml", f"{ERIN.replace('erin', 'web')}---\n{WEB}", JOIN, "UPDATE users SET full_name = 'W' WHERE name = 'web'"
    )
    user = ERIN.replace("erin", "web").replace("example.org\n", "example.org\n  fullName: W\n")
    assert text.decode() == f"{user}---\n{WEB}    - carol\n"


@SQLITE
def test_block_scalars_are_replaced_whole(drifted: Any) -> None:
    template = (
        "apiVersion: accord/v1\nkind: EmailTemplate\nmetadata:\n  name: certificate-issued\nspec:\n"
        "  text: |\n    Hello\n\n    Bye\n  subject: Reset  # short\n---\n"
    )
    text, _ = drifted(
        "t.yaml", template + WEB, "UPDATE email_templates SET text = 'Hello\n\n  Bye\n\n' WHERE name = 'certificate-issued'"
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
    assert '"displayName": "TLS"' in said.stdout
    invalid = "accord: with this patch alone, the config is invalid: "
    assert f"{invalid}Settings default: unknown team `web`" in said.stderr
    assert f"{invalid}Issuer vpn: issuer `tls` is also shown as `TLS`" in said.stderr
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
def test_undeclarable_values_are_not_patched(accord: Accord, repository: ConfigRepository, statement: str, name: str) -> None:
    repository.commit({**DECLARED, "teams/web.yaml": WEB})
    accord("apply", "--yes")
    by_hand(accord, statement)
    refused = accord("drift", "--patch", code=ERROR)
    assert refused.stdout == ""
    assert name in refused.stderr
    assert "--repair" in refused.stderr


def test_a_patch_that_would_come_out_wrong_is_not_written() -> None:
    change = Change("delete", "Issuer", "tls", None, Issuer("tls", description="\x07"), None)
    with pytest.raises(SourceError, match=r"issuers/tls\.yaml"):
        adopting_patch([change], lambda _: None)
