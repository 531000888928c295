"""Files of a work tree: some of them, checked against the rest, and those that a commit would hold otherwise."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from work_tree import ALICE, BOB, Work

from reconciler.run.deployment import Deployment
from reconciler.run.validating import Validation, validate_files
from reconciler.source.folder import list_files

NOW = datetime(2026, 6, 1, tzinfo=UTC)
TEAM = b"""\
apiVersion: accord/v1
kind: Team
metadata: {name: web}
spec: {members: [alice, bob], issuers: [tls]}
"""
ISSUER = b"apiVersion: accord/v1\nkind: Issuer\nmetadata: {name: tls}\n"
FILES = {"users/alice.yaml": ALICE, "users/bob.yaml": BOB, "teams/web.yaml": TEAM, "issuers/tls.yaml": ISSUER}


@pytest.fixture
def committed(work: Work) -> Work:
    work.commit({**FILES, "stray/team.yaml": TEAM.replace(b"web", b"stray").replace(b"alice", b"nobody")})
    return work


def check(work: Work, cache: Path, *files: str, path: str = "") -> Validation:
    deployment = Deployment(".", "main", path, "sqlite:///none.db", cache)
    return validate_files([work.folder / file for file in files], deployment, now=NOW)


def said(found: Validation) -> list[tuple[str, str]]:
    return [(problem.file, problem.message) for problem in found.problems]


def test_a_file_is_checked_against_the_work_tree_it_is_in(committed: Work, cache: Path) -> None:
    assert check(committed, cache, "teams/web.yaml") == Validation([], 1, 1)
    (committed.folder / "teams/web.yaml").write_bytes(TEAM.replace(b"bob", b"bobb"))
    found = check(committed, cache, "teams/web.yaml", "users/alice.yaml")
    assert said(found) == [("teams/web.yaml", "unknown user `bobb`; did you mean `bob`?")]
    assert (found.resources, found.files) == (2, 2)


def test_what_a_file_breaks_elsewhere_is_reported_and_what_was_broken_before_is_not(committed: Work, cache: Path) -> None:
    (committed.folder / "users/bob.yaml").write_bytes(BOB.replace(b"bob", b"rob"))
    assert said(check(committed, cache, "users/bob.yaml")) == [
        ("stray/team.yaml", "unknown user `bob`; did you mean `rob`?"),
        ("teams/web.yaml", "unknown user `bob`; did you mean `rob`?"),
    ]
    (committed.folder / "users/new.yaml").write_bytes(BOB.replace(b"bob", b"alice"))
    assert [file for file, _ in said(check(committed, cache, "users/new.yaml"))] == ["users/new.yaml"]


def test_a_file_is_checked_against_the_folder_of_resources_if_it_is_in_it(work: Work, cache: Path) -> None:
    work.commit({f"config/{name}": content for name, content in FILES.items()} | {"other/alice.yaml": ALICE})
    assert said(check(work, cache, "config/users/alice.yaml", path="config")) == []
    assert [file for file, _ in said(check(work, cache, "other/alice.yaml", path="config"))] == ["other/alice.yaml"]


@pytest.mark.parametrize(
    ("file", "why"),
    [(".github/ci.yaml", "begins with a dot"), ("drafts/x.yaml", "hides it"), ("teams/web.txt", "does not end in")],
)
def test_a_file_that_is_not_read_is_named_and_not_judged(file: str, why: str, committed: Work, cache: Path) -> None:
    committed.commit({file: b"a: [", ".accordignore": b"drafts/\n"})
    [problem] = check(committed, cache, file).problems
    assert (problem.file, problem.rule, problem.severity) == (file, "not-read", "warning") and why in problem.message


def test_why_a_file_is_not_read_does_not_depend_on_where_the_folder_is(work: Work, cache: Path) -> None:
    work.commit({".accord/teams/web.txt": b"a: [", ".accord/drafts/x.yaml": b"a: [", ".accord/.accordignore": b"drafts/\n"})
    work.commit({".accord/users/alice.yaml": ALICE})
    for file, why in (("teams/web.txt", "does not end in"), ("drafts/x.yaml", "hides it")):
        [problem] = check(work, cache, f".accord/{file}", path=".accord").problems
        assert problem.file == f".accord/{file}" and why in problem.message


def test_a_file_outside_any_work_tree_is_checked_alone(tmp_path: Path, cache: Path) -> None:
    file = tmp_path / "web.yaml"
    file.write_bytes(TEAM)
    found = validate_files([file], Deployment(".", "main", "", "sqlite:///none.db", cache), now=NOW)
    assert [problem.rule for problem in found.problems] == ["unknown-reference"] * 3


def test_a_file_that_a_commit_would_hold_otherwise_is_refused(committed: Work) -> None:
    (committed.folder / ".gitattributes").write_bytes(b"users/*.yaml filter=rot\nusers/alice.yaml -filter\n*.yaml text\n")
    assert list_files(committed.folder)[1] == []  # what is committed is what is here
    (committed.folder / "users/bob.yaml").write_bytes(BOB + b"#\n")
    (committed.folder / "users/carol.yaml").write_bytes(BOB.replace(b"bob", b"carol"))
    found = list_files(committed.folder)[1]
    assert [(problem.file, problem.rule, problem.severity) for problem in found] == [
        ("users/bob.yaml", "filtered", "error"),
        ("users/carol.yaml", "filtered", "error"),
    ]
    assert "`users/bob.yaml -filter`" in found[0].message
    assert [problem.file for problem in list_files(committed.folder / "teams")[1]] == []


def filtered(folder: Path) -> list[str]:
    return [problem.file for problem in list_files(folder)[1] if problem.rule == "filtered"]


def of_the_user(work: Work, home: Path, line: str) -> None:
    (home / "attributes").write_text(line)
    (home / "gitconfig").write_text("[core]\n\tattributesFile = ~/attributes\n")
    os.environ["GIT_CONFIG_GLOBAL"] = str(home / "gitconfig")


def of_the_user_where_git_looks(work: Work, home: Path, line: str) -> None:
    (home / ".config/git").mkdir(parents=True)
    (home / ".config/git/attributes").write_text(line)


def of_the_repository(work: Work, home: Path, line: str) -> None:
    work.git("config", "core.attributesFile", "~/attributes")
    (home / "attributes").write_text(line)


def in_the_git_folder(work: Work, home: Path, line: str) -> None:
    (work.folder / ".git/info/attributes").write_text(line)


@pytest.mark.parametrize("place", [of_the_user, of_the_user_where_git_looks, of_the_repository, in_the_git_folder])
@pytest.mark.parametrize("line", ["users/*.yaml filter=rot\n", "users/*.yaml working-tree-encoding=UTF-7\n"])
def test_a_filter_is_noticed_wherever_it_is_named(
    place: Callable[[Work, Path, str], None], line: str, committed: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)  # and restored
    committed.git("worktree", "add", "-q", str(tmp_path / "linked"))
    place(committed, tmp_path, line)
    for folder in (committed.folder, tmp_path / "linked"):
        assert filtered(folder) == []
        (folder / "users/bob.yaml").write_bytes(BOB + b"#\n")
        assert filtered(folder) == ["users/bob.yaml"]
        assert filtered(folder / "teams") == []


@pytest.mark.parametrize("encoding", ["UTF-8", "utf-8", "utf8"])
def test_the_encoding_that_git_stores_is_no_conversion(encoding: str, committed: Work) -> None:
    (committed.folder / ".git/info/attributes").write_text(f"*.yaml working-tree-encoding={encoding}\n")
    (committed.folder / "users/bob.yaml").write_bytes(BOB + b"#\n")
    assert filtered(committed.folder) == []
    (committed.folder / ".git/info/attributes").write_text(f"*.yaml filter={encoding}\n")
    assert filtered(committed.folder) == ["users/bob.yaml"]


def test_a_user_who_wants_no_attributes_has_none(committed: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    of_the_user_where_git_looks(committed, tmp_path, "users/*.yaml filter=rot\n")
    (committed.folder / "users/bob.yaml").write_bytes(ALICE)
    assert filtered(committed.folder) == ["users/bob.yaml"]
    committed.git("config", "core.attributesFile", os.devnull)
    assert filtered(committed.folder) == []


def test_what_a_filter_hides_is_noticed(committed: Work) -> None:
    """The commit has Bob, the folder Alice: what is checked would not be what is applied."""
    committed.git("config", "filter.rot.clean", "sed s/carol/bob/g")
    (committed.folder / ".git/info/attributes").write_text("*.yaml filter=rot\n")
    committed.commit({"users/carol.yaml": BOB.replace(b"bob", b"carol")})
    assert filtered(committed.folder) == ["users/carol.yaml"]


def test_ids_of_either_length_tell_whether_a_filter_does_anything(tmp_path: Path) -> None:
    work = Work(tmp_path / "long", "--object-format=sha256")
    work.commit({".gitattributes": b"*.yaml filter=rot\n", "users/bob.yaml": BOB})
    assert filtered(work.folder) == []
    (work.folder / "users/bob.yaml").write_bytes(ALICE)
    assert filtered(work.folder) == ["users/bob.yaml"]
