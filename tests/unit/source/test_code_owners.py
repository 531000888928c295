"""Whose approval a CODEOWNERS file asks for."""

from __future__ import annotations

import pytest

from reconciler.source.code_owners import Approval, Rules, approvals

GITHUB = """# comment
*                @everyone
/teams/          @teams   # of all teams
/teams/web.yaml  @web @leads
teams/ops.yaml
docs/*           docs@example.org
**/deep/**       @deep
my\\ file.yaml   @blank
"""
GITLAB = """* @everyone
[Web][2] @web-default
/teams/web.yaml
/teams/
!/teams/open.yaml
^[Advice] @advisers
*.yaml
[web]
/users/ @user-owners
"""


def owners(path: str, text: str, place: str = "CODEOWNERS", rules: Rules | None = None) -> list[Approval]:
    return approvals([path], {place: text.encode()}.get, rules)


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("x.yaml", ("@everyone",)),
        ("teams/a/b.yaml", ("@teams",)),
        ("teams/web.yaml", ("@web", "@leads")),
        ("teams/ops.yaml", None),  # a line without owners
        ("docs/a.md", ("docs@example.org",)),
        ("docs/a/b.md", ("@everyone",)),  # only what is right in there
        ("a/deep/b/c.yaml", ("@deep",)),
        ("a/my file.yaml", ("@blank",)),
    ],
)
def test_github_s_last_line_that_matches_decides(path: str, wanted: tuple[str, ...] | None) -> None:
    assert owners(path, GITHUB) == ([] if wanted is None else [Approval(path, wanted)])


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("x.txt", [(None, ("@everyone",), False)]),
        ("teams/web.yaml", [(None, ("@everyone",), False), ("Web", ("@web-default",), False), ("Advice", ("@advisers",), True)]),
        ("teams/open.yaml", [(None, ("@everyone",), False), ("Advice", ("@advisers",), True)]),
        ("users/ada.yaml", [(None, ("@everyone",), False), ("Web", ("@user-owners",), False), ("Advice", ("@advisers",), True)]),
    ],
)
def test_gitlab_asks_for_an_approval_in_each_section(path: str, wanted: list[tuple[str | None, tuple[str, ...], bool]]) -> None:
    found = owners(path, GITLAB)
    assert found == [Approval(path, names, section, optional) for section, names, optional in wanted]


def test_each_forge_has_its_places() -> None:
    files = {
        place: f"* @{place.split('/')[0].strip('.').lower()}" for place in (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS")
    }
    content = {name: text.encode() for name, text in files.items()}
    assert approvals(["x"], content.get, "github")[0].owners == ("@github",)
    assert approvals(["x"], content.get, "gitlab")[0].owners == ("@codeowners",)
    assert approvals(["x"], content.get, None)[0].owners == ("@github",)
    assert approvals(["x"], {".gitlab/CODEOWNERS": b"[A]\n* @a"}.get, None) == [Approval("x", ("@a",), "A")]
    assert approvals(["x"], {}.get, None) == []


@pytest.mark.parametrize(
    "text", ["\xff\xfe", "[", "* ", "!", "!*", "\\", "[]\n* @x", "* @a" * 100_000, "[a]" * 50_000, "*" * 100_000 + " @x"]
)
@pytest.mark.parametrize("rules", ["github", "gitlab"])
def test_hostile_files_end_soon(text: str, rules: Rules) -> None:
    approvals(["teams/web.yaml"] * 3, {"CODEOWNERS": text.encode("latin-1")}.get, rules)
