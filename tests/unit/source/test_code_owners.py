"""Whose approval a CODEOWNERS file asks for."""

from __future__ import annotations

import time

import pytest

from reconciler.source.code_owners import Approval, Rules, approvals
from reconciler.source.owner_patterns import gitlab_matches

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


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("teams/web/", "config/teams/web/x.yaml", True),
        ("teams/web/", "teams/web/a/b/x.yaml", True),
        ("/teams/web/", "config/teams/web/x.yaml", False),
        ("/teams", "teams", True),
        ("/teams", "teams/web/x.yaml", False),
        ("teams", "a/teams", True),
        ("teams", "teams/x.yaml", False),
        ("internal/README.md", "a/internal/README.md", True),
        ("teams/*", "a/teams/x.yaml", True),
        ("/teams/*", "teams/x.yaml", True),
        ("/teams/*", "teams/web/x.yaml", False),
        ("/teams/**", "teams/x.yaml", True),
        ("/teams/**", "teams/web/x.yaml", False),  # at the end, it is a star
        ("/teams/**/x.yaml", "teams/x.yaml", True),
        ("/teams/**/x.yaml", "teams/a/b/x.yaml", True),
        ("/teams/**/b/**/x.yaml", "teams/a/b/b/c/x.yaml", True),
        ("/teams/**/b/c/x.yaml", "teams/b/a/b/c/x.yaml", True),
        ("/teams/**/b/**/x.yaml", "teams/a/c/x.yaml", False),
        ("/**/**/x.yaml", "x.yaml", True),
        ("/teams/*b", "teams/web", True),
        ("/teams/*b", "teams/web/x.yaml", False),
        ("*", "a/.hidden", True),
        ("*.yaml", "a/b/.x.yaml", True),
        ("/*", "x.yaml", True),
        ("/*", "a/x.yaml", False),
        ("/a**b/x", "a1/2b/x", False),
        ("/a**b/x", "a12b/x", True),
        ("/x?z", "xyz", True),
        ("/x?z", "x/z", False),
        ("/[a-c][!d-e]", "bf", True),
        ("/[a-c][^d-e]", "bd", False),
        ("/[a-", "a", False),
        ("/[]a]", "a", False),
        ("/\\[a]", "[a]", True),
        ("\\#x", "a/#x", True),
        ("/my\\ dir/", "my dir/x.yaml", True),
        ("/x.yaml", "y.yaml", False),
        ("/X.yaml", "x.yaml", False),
    ],
)
def test_gitlab_compares_whole_paths(pattern: str, path: str, matches: bool) -> None:
    assert bool(owners(path, f"{pattern} @a", rules="gitlab")) is matches


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("* @a\n/teams/x.yaml @b\n*.yaml @c", [("@c",)]),  # the last line that matches
        ("* @a\n[S]\n* @b", [("@a",), ("@b",)]),
        ("[S] @d\n/teams/ foo", []),  # what follows is nobody, and so not the default either
        ("[S] @d\n/teams/", [("@d",)]),
        ("[S] @d\n/teams/ @o # @not", [("@o", "@not")]),  # there are no comments behind a line
        ("[S] @d\n[s] @e\n/teams/", [("@e",)]),
        ("[S] @d\n*\n!/teams/\n/teams/ @x", []),
        ("* @@maintainer", [("@@maintainer",)]),
    ],
)
def test_gitlab_s_owners(text: str, wanted: list[tuple[str, ...]]) -> None:
    assert [each.owners for each in owners("teams/x.yaml", text, rules="gitlab")] == wanted


@pytest.mark.parametrize(("first", "second", "optional"), [("^", "^", True), ("^", "", False), ("", "^", False)])
def test_a_section_is_optional_only_if_all_of_it_is(first: str, second: str, optional: bool) -> None:
    (found,) = owners("x", f"{first}[S]\n* @a\n{second}[s]\ny @b", rules="gitlab")
    assert found.optional is optional


@pytest.mark.parametrize(
    "line",
    [
        "/teams/ teamowner",
        "/teams/ @b teamowner",
        "/teams/ @b @",
        "/teams/ @org/team/x",
        "/teams/ @@maintainer",
        "/teams/ b@nowhere",
        "/teams/[xy].yaml @b",
        "/teams/x].yaml @b",
        "!/teams/x.yaml @b",
        "\\#x @b",
    ],
)
def test_github_skips_lines_that_are_not_valid(line: str) -> None:
    assert owners("teams/x.yaml", f"* @a\n{line}", rules="github") == [Approval("teams/x.yaml", ("@a",))]
    assert owners("#x", f"* @a\n{line}", rules="github") == [Approval("#x", ("@a",))]


@pytest.mark.parametrize("owner", ["@b", "@b-c", "@b_corp", "@org/a.team_x", "b@example.org"])
def test_github_s_owners(owner: str) -> None:
    for comment in ("", " # @c", "\t#and so on"):
        assert owners("teams/x.yaml", f"* @a\n/teams/ {owner}{comment}", rules="github")[0].owners == (owner,)


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


@pytest.mark.parametrize(
    "pattern", ["*a" * 400 + "b", "**/" * 300 + "b", "a/**/" * 190 + "b", "*" * 900 + "b", "[a" * 400, "?*" * 400 + "b"]
)
@pytest.mark.parametrize("path", ["a" * 4_000, "a/" * 2_000 + "a"])
def test_hostile_patterns_end_soon(pattern: str, path: str) -> None:
    begun = time.process_time()
    assert not any(gitlab_matches(f"{lead}{pattern}", path) for lead in ("", "/"))
    assert time.process_time() - begun < 2


def test_a_file_of_brackets_that_never_close_is_read_soon() -> None:
    begun = time.process_time()
    assert owners("x", "[\n" * 200_000) == []
    assert time.process_time() - begun < 2
