"""Real Git repositories, most of them hostile or broken: nothing they bring is run; each ends in an answer or one clear error."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.source.cache import BlobCache
from reconciler.source.documents import LARGEST_FILE
from reconciler.source.errors import RepositoryUnreachable, ShallowRepository, SourceError, UnknownRevision
from reconciler.source.folder import list_files
from reconciler.source.load import load_revision
from reconciler.source.repository import ChangedFile, Repository

ALICE = b"apiVersion: accord/v1\nkind: User\nmetadata: {name: alice}\nspec: {email: alice@example.org}\n"
BOB = ALICE.replace(b"alice", b"bob")


@pytest.fixture(autouse=True)
def _only_what_a_test_configures(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("GIT_") and name != "GIT_PYTHON_REFRESH"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("HOME", str(tmp_path))


class Work:
    """A repository with a working tree, and a clock of its own."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder, self.clock = folder, 1_770_000_000
        folder.mkdir()
        self.git("init", "-q", "-b", "main", *options)

    def git(self, *arguments: str, stdin: bytes = b"", check: bool = True) -> str:
        identity = {"NAME": "Alice Jones", "EMAIL": "alice@example.org", "DATE": f"{self.clock} +0000"}
        who = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in identity.items()}
        done = subprocess.run(
            ["git", *arguments], cwd=self.folder, input=stdin, env={**os.environ, **who}, capture_output=True, check=False
        )
        assert done.returncode == 0 or not check, done.stderr.decode()
        return done.stdout.decode("utf-8", "surrogateescape").strip()

    def commit(self, files: Mapping[str, bytes | None], message: str = "Change") -> str:
        self.clock += 60
        for name, content in files.items():
            path = self.folder / name
            if content is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        self.git("add", "--all", "--force")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def object_file(self, name: str) -> Path:
        return self.folder / ".git" / "objects" / name[:2] / name[2:]

    def overwrite(self, name: str, content: bytes) -> None:
        file = self.object_file(name)
        file.chmod(0o644)
        file.write_bytes(content)


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(tmp_path / "config")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def opened(work: Work | Path | str, cache: Path) -> Repository:
    return Repository.open(str(work.folder if isinstance(work, Work) else work), cache)


def contents(repository: Repository, commit: str, path: str = "") -> dict[str, bytes | None]:
    files = repository.entries(commit, path).files
    read = dict(repository.read(blob for _, blob in files))
    return {name: read[blob] for name, blob in files}


# What a repository brings is never run


@pytest.fixture
def trap(tmp_path: Path) -> Iterator[Path]:
    """A program that leaves a mark where it is run; no test may leave one."""
    program = tmp_path / "trap"
    program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/sprung\nexit 1\n')
    program.chmod(0o755)
    yield program
    assert not sprung(program), "something that the repository brought was run"


def sprung(trap: Path) -> bool:
    return (trap.parent / "sprung").exists()


def is_live(trap: Path) -> None:
    """Insist that plain git ran the trap just now, and set it again."""
    assert sprung(trap), "the trap is none, so the test shows nothing"
    (trap.parent / "sprung").unlink()


HOOKS = (
    "reference-transaction",
    "post-checkout",
    "post-index-change",
    "pre-auto-gc",
    "fsmonitor-watchman",
    "post-merge",
    "post-update",
)
DRIVERS = (
    "diff.evil.command",
    "diff.evil.textconv",
    "filter.evil.clean",
    "filter.evil.smudge",
    "filter.evil.process",
    "merge.evil.driver",
)
PROGRAMS = (
    *(
        "core.fsmonitor",
        "core.pager",
        "core.editor",
        "core.sshCommand",
        "core.gitProxy",
        "core.askPass",
        "core.alternateRefsCommand",
    ),
    *("pager.ls-tree", "pager.blame", "pager.cat-file", "diff.external", "interactive.diffFilter", "sequence.editor"),
    *("gpg.program", "gpg.ssh.program", "credential.helper", "uploadpack.packObjectsHook", "remote.origin.uploadpack"),
    *DRIVERS,
)


def arm(work: Work, trap: Path) -> None:
    hooks = work.folder / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in HOOKS:
        (hooks / name).write_bytes(trap.read_bytes())
        (hooks / name).chmod(0o755)
    for name in PROGRAMS:
        work.git("config", name, str(trap))
    for name in ("ls-tree", "cat-file", "rev-parse", "blame", "diff-tree", "merge-base", "for-each-ref"):
        work.git("config", f"alias.{name}", f"!{trap}")
    for name, value in (("log.showSignature", "true"), ("filter.evil.required", "true"), ("diff.evil.cachetextconv", "true")):
        work.git("config", name, value)
    work.git("config", "remote.origin.url", f"ext::{trap}")
    (work.folder / ".git" / "info" / "attributes").write_text("* diff=evil filter=evil merge=evil\n")


ATTRIBUTES = b"*.yaml diff=evil filter=evil merge=evil ident export-subst eol=crlf\n"
MODULES = b"""[submodule "sub"]
\tpath = sub
\turl = ext::sh -c touch% sprung
\tupdate = !touch sprung
\tfetchRecurseSubmodules = true
"""


def test_nothing_that_a_repository_brings_is_run(work: Work, trap: Path, cache: Path) -> None:
    first = work.commit({"users/alice.yaml": ALICE, "gone.yaml": ALICE, ".gitmodules": MODULES}, "First")
    second = work.commit({"users/alice.yaml": ALICE + b"  # $Id$\n", "gone.yaml": None, ".gitattributes": ATTRIBUTES}, "Second")
    work.git("update-index", "--add", "--cacheinfo", f"160000,{first},sub")
    arm(work, trap)
    for command in (["diff", first, second], ["status"], ["blame", "users/alice.yaml"]):
        work.git(*command, check=False)
        is_live(trap)

    repository = opened(work, cache)
    assert repository.resolve("main").commit == repository.resolve("HEAD").commit == second
    with pytest.raises(UnknownRevision):
        repository.resolve("mian")
    assert contents(repository, second) == {"users/alice.yaml": ALICE + b"  # $Id$\n"}
    assert repository.content(second, "users/alice.yaml") == ALICE + b"  # $Id$\n"
    assert [file.path for file in repository.changed(first, second, "") or ()] == ["gone.yaml", "users/alice.yaml"]
    assert repository.is_ancestor(first, second) and not repository.is_ancestor(second, first)
    assert repository.blame(second, "users/alice.yaml", 1).summary == "First"
    assert load_revision(repository, second, "", cache=BlobCache(None)).files == 1
    assert list_files(work.folder)[0] == [("users/alice.yaml", work.folder / "users/alice.yaml")]


def test_nothing_that_a_remote_brings_is_run(work: Work, trap: Path, cache: Path) -> None:
    head = work.commit({"users/alice.yaml": ALICE, ".gitattributes": ATTRIBUTES, ".gitmodules": MODULES})
    work.git("update-index", "--add", "--cacheinfo", f"160000,{head},sub")
    work.git("commit", "-q", "-m", "A submodule")
    arm(work, trap)
    repository = opened(f"file://{work.folder}", cache)
    assert contents(repository, repository.resolve("main").commit) == {"users/alice.yaml": ALICE}
    assert not any((Path(repository.location) / "hooks").glob("*"))


def test_a_partial_clone_fetches_nothing(work: Work, trap: Path, cache: Path, tmp_path: Path) -> None:
    head = work.commit({"alice.yaml": ALICE})
    work.git("config", "uploadpack.allowFilter", "true")
    work.git("clone", "-q", "--bare", "--filter=blob:none", f"file://{work.folder}", str(tmp_path / "partial"))
    partial = tmp_path / "partial"
    work.git("-C", str(partial), "config", "remote.origin.uploadpack", str(trap))
    work.git("-C", str(partial), "cat-file", "-p", f"{head}:alice.yaml", check=False)
    is_live(trap)
    repository = opened(partial, cache)
    with pytest.raises(RepositoryUnreachable, match="is missing or damaged"):
        contents(repository, repository.resolve("main").commit)
    assert not repository.has("1" * 40)
    work.git("-C", str(partial), "config", "remote.origin.uploadpack", "git-upload-pack")
    with pytest.raises(RepositoryUnreachable):
        contents(repository, head)


@pytest.mark.parametrize("form", ["ext::{} %S", "ext::sh -c {}", "fd::17", "evil::x", "ext::{}/a/b", "evil://host/x"])
def test_a_transport_that_runs_programs_is_refused(form: str, trap: Path, cache: Path) -> None:
    helper = trap.parent / "git-remote-evil"
    helper.write_bytes(trap.read_bytes())
    helper.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{trap.parent}:{os.environ['PATH']}")
        with pytest.raises(SourceError, match="transport"):
            opened(form.format(trap), cache)


@pytest.mark.parametrize(
    "location", ["-o", "--upload-pack=touch sprung", "a\0b", "ssh://-oProxyCommand=touch%20sprung/x", "x" * 5000]
)
def test_a_location_is_never_an_option(location: str, trap: Path, cache: Path) -> None:
    with pytest.raises(SourceError):
        opened(location, cache)
    assert not Path("sprung").exists()


def test_replaced_objects_and_grafts_are_not_what_is_read(work: Work, cache: Path) -> None:
    first = work.commit({"alice.yaml": ALICE})
    work.git("checkout", "-q", "--orphan", "other")
    other = work.commit({"alice.yaml": ALICE}, "Unrelated")
    blob, evil = work.git("rev-parse", "HEAD:alice.yaml"), work.git("hash-object", "-w", "--stdin", stdin=BOB)
    work.git("replace", blob, evil)
    (work.folder / ".git" / "info" / "grafts").write_text(f"{other} {first}\n")
    assert work.git("cat-file", "-p", f"{other}:alice.yaml") == BOB.decode().strip()
    assert work.git("merge-base", first, other) == first
    repository = opened(work, cache)
    assert contents(repository, other) == {"alice.yaml": ALICE}
    assert not repository.is_ancestor(first, other)


def test_a_configuration_cannot_change_or_break_what_is_read(work: Work, cache: Path) -> None:
    first = work.commit({"a.yaml": ALICE, "b.yaml": BOB}, "First")
    second = work.commit({"c.yaml": ALICE.replace(b"email", b" email"), "a.yaml": BOB}, "Second")
    for name, value in (
        ("blame.ignoreRevsFile", "/nonexistent"),
        ("diff.orderFile", "/nonexistent"),
        ("diff.noprefix", "true"),
        ("diff.renames", "copies"),
        ("diff.relative", "true"),
        ("diff.ignoreSubmodules", "all"),
        ("core.quotePath", "true"),
        ("core.abbrev", "4"),
        ("color.ui", "always"),
        ("blame.showEmail", "true"),
        ("blame.coloring", "highlightRecent"),
        ("core.worktree", "/etc"),
        ("status.showUntrackedFiles", "no"),
        ("log.date", "format:evil"),
        ("i18n.logOutputEncoding", "UTF-16"),
    ):
        work.git("config", name, value)
    repository = opened(work, cache)
    assert repository.entries(second, "").files == opened(work, cache).entries(second, "").files
    assert [name for name, _ in repository.entries(second, "").files] == ["a.yaml", "b.yaml", "c.yaml"]
    assert [file.path for file in repository.changed(first, second, "") or ()] == ["a.yaml", "c.yaml"]
    assert repository.blame(second, "b.yaml", 2).summary == "First"


# Which repository


@pytest.mark.parametrize("where", ["config", "config/.git", "config/users", "config/users/deep", "bare.git", "config/../config"])
def test_a_repository_is_the_same_from_wherever_it_is_named(where: str, work: Work, cache: Path, tmp_path: Path) -> None:
    old = work.commit({"users/deep/alice.yaml": ALICE, "bob.yaml": BOB}, "First")
    head = work.commit({"users/deep/alice.yaml": ALICE + b"#\n"}, "Second")
    work.git("clone", "-q", "--bare", str(work.folder), str(tmp_path / "bare.git"))
    repository = opened(tmp_path / where, cache)
    assert repository.resolve("main").commit == head
    assert contents(repository, head) == {"bob.yaml": BOB, "users/deep/alice.yaml": ALICE + b"#\n"}
    assert contents(repository, head, "users") == {"users/deep/alice.yaml": ALICE + b"#\n"}
    assert [file.path for file in repository.changed(old, head, "users") or ()] == ["users/deep/alice.yaml"]
    assert repository.content(head, "bob.yaml") == BOB
    assert repository.blame(head, "users/deep/alice.yaml", 5).commit == head


def test_a_linked_working_tree_is_its_repository(work: Work, cache: Path, tmp_path: Path) -> None:
    head = work.commit({"alice.yaml": ALICE})
    work.git("worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    assert contents(opened(tmp_path / "side", cache), head) == {"alice.yaml": ALICE}


def test_variables_of_a_hook_do_not_lead_to_another_repository(
    work: Work, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = work.commit({"alice.yaml": ALICE})
    other = Work(tmp_path / "other")
    other.commit({"bob.yaml": BOB})
    for name, value in (("GIT_DIR", ".git"), ("GIT_WORK_TREE", "."), ("GIT_INDEX_FILE", "index"), ("GIT_PREFIX", "users/")):
        monkeypatch.setenv(name, str(other.folder / value))
    assert opened(work, cache).resolve("main").commit == head


def test_what_is_no_repository_is_said_to_be_none(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(RepositoryUnreachable, match="there is no repository at"):
        opened(tmp_path / "nowhere", cache)
    (tmp_path / "file").write_text("x")
    with pytest.raises(RepositoryUnreachable, match="there is no repository at"):
        opened(tmp_path / "file", cache)
    (tmp_path / "folder").mkdir()
    with pytest.raises(RepositoryUnreachable, match="is not a Git repository"):
        opened(tmp_path / "folder", cache)
    with pytest.raises(RepositoryUnreachable):
        opened(f"file://{tmp_path}/nowhere", cache)


def test_a_repository_of_somebody_else_is_refused(work: Work, cache: Path) -> None:
    if os.geteuid() != 0 and os.environ.get("CI") != "true":  # in CI nothing is skipped: it fails instead
        pytest.skip("only root can give files away")
    work.commit({"alice.yaml": ALICE})
    for path in (work.folder, *work.folder.rglob("*")):
        os.chown(path, 65534, 65534)
    with pytest.raises(RepositoryUnreachable, match="belongs to somebody else"):
        opened(work, cache)


def test_a_repository_of_a_format_to_come_is_refused(work: Work, cache: Path) -> None:
    work.commit({"alice.yaml": ALICE})
    work.git("config", "core.repositoryFormatVersion", "99")
    with pytest.raises(SourceError, match="version"):
        opened(work, cache)


def test_a_missing_git_is_named(work: Work, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(SourceError, match="git is not installed"):
        opened(work, cache)


# Revisions


def test_a_revision_is_told_with_its_author_time_and_first_line(work: Work, cache: Path) -> None:
    head = work.commit({"alice.yaml": ALICE}, "Let alice in\n\nBecause.")
    found = opened(work, cache).resolve("main")
    assert found == (head, "Alice Jones", datetime.fromtimestamp(work.clock, UTC), "Let alice in")


def test_a_branch_a_tag_and_a_short_id_name_a_commit_too(work: Work, cache: Path) -> None:
    head = work.commit({"alice.yaml": ALICE})
    work.git("tag", "-a", "-m", "x", "v1")
    work.git("update-ref", "refs/heads/--upload-pack=x", head)
    repository = opened(work, cache)
    for rev in ("main", "v1", "HEAD", head, head[:10], "refs/heads/main", "refs/heads/--upload-pack=x", "heads/main", "v1^{}"):
        assert repository.resolve(rev).commit == head, rev


@pytest.mark.parametrize(
    "rev",
    [
        *(
            "",
            "-",
            "--help",
            "--upload-pack=x",
            "--all",
            "main..side",
            "main...side",
            "^main",
            "a\0b",
            "main\n",
            "main\nHEAD",
            "a b",
        ),
        *(
            "@{-9}",
            "@{upstream}",
            "main@{99999}",
            "HEAD~99",
            "main:alice.yaml",
            "main^{tree}",
            ":/nothing",
            "*",
            "0" * 40,
            "f" * 64,
        ),
        *("x" * 2_000_000, "main^{commit", "refs/heads", "../../etc/passwd", "main --", "mäin", "\udcff"),
    ],
)
def test_what_names_no_commit_is_an_unknown_revision(rev: str, work: Work, cache: Path) -> None:
    work.commit({"alice.yaml": ALICE})
    with pytest.raises(UnknownRevision) as caught:
        opened(work, cache).resolve(rev)
    assert len(str(caught.value)) < 6_000


def test_an_unknown_revision_is_told_with_the_nearest_one(work: Work, cache: Path) -> None:
    work.commit({"alice.yaml": ALICE})
    work.git("branch", "production")
    with pytest.raises(UnknownRevision, match="did you mean `production`"):
        opened(work, cache).resolve("prodution")


def test_a_repository_without_commits_says_so(work: Work, cache: Path) -> None:
    with pytest.raises(UnknownRevision, match="has no commits yet"):
        opened(work, cache).resolve("main")


@pytest.mark.parametrize(
    ("author", "name", "year"),
    [
        (b"<a@b> 1 +0000", "a@b", 1970),
        (b"A <> 1 +0000", "A", 1970),
        (b"A <a@b> 99999999999999 +0000", "A", 9999),
        (b"A <a@b> -99 +0000", "A", 1970),
        (b"A <a@b> " + b"9" * 6000 + b" +0000", "A", 9999),
        (b"\xff\xfe <a@b> 1 +0000", "\ufffd\ufffd", 1970),
        (b"nonsense", "unknown", 1970),
    ],
)
def test_a_commit_that_no_git_would_write_is_told_as_well_as_it_can_be(
    author: bytes, name: str, year: int, work: Work, cache: Path
) -> None:
    work.commit({"alice.yaml": ALICE})
    tree = work.git("rev-parse", "HEAD^{tree}").encode()
    raw = b"tree " + tree + b"\nauthor " + author + b"\ncommitter C <c@d> 1 +0000\nauthor E <e@f> 2 +0000\n\n\xff" + b"x" * 999
    commit = work.git("hash-object", "-t", "commit", "--literally", "-w", "--stdin", stdin=raw)
    found = opened(work, cache).resolve(commit)
    assert (found.author, found.time.year, len(found.summary)) == (name, year, 200)


# Files


def test_names_of_any_kind_are_read(work: Work, cache: Path) -> None:
    names = [
        "a b.yaml",
        "new\nline.yaml",
        'quote".yaml',
        "tab\t.yaml",
        "ä/ö.yaml",
        "-x.yaml",
        "[a]*.yaml",
        ":x.yaml",
        "back\\slash.yml",
    ]
    odd = os.fsdecode(b"latin-\xe4.yaml")
    head = work.commit({**{name: name.encode() for name in names}, odd: b"odd"})
    repository = opened(work, cache)
    found = contents(repository, head)
    assert found == {**{name: name.encode() for name in names}, "latin-\\xe4.yaml": b"odd"}
    assert all(repository.content(head, name) == name.encode() for name in names)
    changed = repository.changed(work.git("commit-tree", "-m", "x", work.git("mktree")), head, "")
    assert {file.path for file in changed or ()} == set(found)
    assert {name for name, _ in list_files(work.folder)[0]} == set(found)
    assert repository.blame(head, "new\nline.yaml", 1).commit == head


@pytest.mark.parametrize("path", ["a b", "[x]*", "ä", ":(glob)x", "-o", "new\nline", "deep/er"])
def test_a_folder_of_any_name_is_read_and_nothing_else(path: str, work: Work, cache: Path) -> None:
    files: dict[str, bytes | None] = {f"{path}/in.yaml": ALICE, f"{path}2/out.yaml": BOB, "x/out.yaml": BOB, "out.yaml": BOB}
    first = work.commit({**files, f"{path}/.accordignore": b"draft.yaml", f"{path}/draft.yaml": BOB})
    head = work.commit(dict.fromkeys(files, ALICE + b"#\n") | {f"{path}/draft.yaml": ALICE})
    repository = opened(work, cache)
    assert contents(repository, head, path) == {f"{path}/in.yaml": ALICE + b"#\n"}
    assert [file.path for file in repository.changed(first, head, path) or ()] == [f"{path}/in.yaml"]


def test_a_folder_that_is_not_there_is_an_error(work: Work, cache: Path) -> None:
    head = work.commit({"alice.yaml": ALICE, "users/bob.yaml": BOB})
    for path in ("nowhere", "alice.yaml", "user", "..", "*"):
        with pytest.raises(SourceError):
            opened(work, cache).entries(head, path)


def test_links_and_repositories_inside_are_skipped_with_a_warning_in_a_folder_as_in_a_commit(work: Work, cache: Path) -> None:
    first = work.commit({"alice.yaml": ALICE, ".accordignore": b"quiet\n"})
    for name, target in (
        ("link.yaml", "alice.yaml"),
        ("folder", "/etc"),
        ("README.md", "alice.yaml"),
        (".dot", "/etc"),
        ("quiet", "/"),
    ):
        (work.folder / name).symlink_to(target)
    for name in ("sub", "deep/sub", ".hidden/sub"):
        inner = work.folder / name
        inner.parent.mkdir(exist_ok=True)
        work.git("clone", "-q", str(work.folder), str(inner))
    head = work.commit({})
    assert work.git("ls-tree", "-r", head).count("160000") == 3
    skipped = [
        ("deep/sub", "submodule"),
        ("folder", "symlink"),
        ("link.yaml", "symlink"),
        ("sub", "submodule"),
    ]  # fmt: skip
    tree = opened(work, cache).entries(head, "")
    assert [name for name, _ in tree.files] == ["alice.yaml"]
    assert [(problem.file, problem.rule) for problem in sorted(tree.skipped)] == skipped
    assert list_files(work.folder) == ([("alice.yaml", work.folder / "alice.yaml")], sorted(tree.skipped))
    assert [file.path for file in opened(work, cache).changed(first, head, "") or ()] == ["link.yaml"]


def test_an_ignore_file_counts_as_the_commit_has_it(work: Work, cache: Path) -> None:
    first = work.commit({"alice.yaml": ALICE, "drafts/x.yaml": BOB, ".accordignore": b"drafts/\n"})
    second = work.commit({"drafts/x.yaml": ALICE})
    third = work.commit({".accordignore": b""})
    (work.folder / ".accordignore").unlink()
    (work.folder / ".accordignore").symlink_to("/dev/null")
    fourth = work.commit({"ignored": b"*"})
    repository = opened(work, cache)
    assert [list(contents(repository, commit)) for commit in (first, second, third, fourth)] == [
        ["alice.yaml"], ["alice.yaml"], ["alice.yaml", "drafts/x.yaml"], ["alice.yaml", "drafts/x.yaml"],
    ]  # fmt: skip
    assert repository.changed(first, second, "") == []
    assert repository.changed(second, third, "") is None
    (work.folder / ".accordignore").unlink()
    (work.folder / ".accordignore").symlink_to(work.folder / "ignored")
    assert [name for name, _ in list_files(work.folder)[0]] == ["alice.yaml", "drafts/x.yaml"]


def test_a_folder_holds_no_more_than_regular_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "alice.yaml").write_bytes(ALICE)
    assert [path for _, path in list_files(tmp_path)[0]] == [tmp_path / "alice.yaml"]


def test_files_of_a_folder_are_named_from_the_root_of_its_work_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config/teams").mkdir(parents=True)
    (tmp_path / "config/teams/web.yaml").write_bytes(ALICE)
    (tmp_path / "config/link.yaml").symlink_to("teams/web.yaml")

    def names(folder: str) -> list[str]:
        found, skipped = list_files(Path(folder))
        return [*(name for name, _ in found), *(problem.file for problem in skipped)]

    monkeypatch.chdir(tmp_path)
    assert names("config") == ["config/teams/web.yaml", "config/link.yaml"]  # outside of any, as it was named
    monkeypatch.chdir(tmp_path / "config")
    assert names(".") == ["teams/web.yaml", "link.yaml"]
    (tmp_path / ".git").write_text("gitdir: elsewhere\n")  # as in a worktree
    for folder in (".", "../config", str(tmp_path / "config")):
        assert names(folder) == ["config/teams/web.yaml", "config/link.yaml"]
    assert names("teams/web.yaml") == ["config/teams/web.yaml"]


def test_changes_are_told_with_what_was_there_before(work: Work, cache: Path) -> None:
    (work.folder / "to-file.yaml").symlink_to("x")
    old = work.commit(
        {"same.yaml": ALICE, "edit.yaml": ALICE, "gone.yaml": ALICE, "mode.yaml": ALICE, "moved.yaml": BOB, "x.txt": b"1"}
    )
    (work.folder / "to-file.yaml").unlink()
    (work.folder / "mode.yaml").chmod(0o755)
    new = work.commit(
        {"edit.yaml": BOB, "gone.yaml": None, "to-file.yaml": BOB, "moved.yaml": None, "to.yaml": BOB, "x.txt": b"2"}
    )
    a, b = (work.git("hash-object", "--stdin", stdin=content) for content in (ALICE, BOB))
    repository = opened(work, cache)
    assert repository.changed(old, new, "") == [
        ChangedFile("edit.yaml", a, b),
        ChangedFile("gone.yaml", a, None),
        ChangedFile("mode.yaml", a, a),
        ChangedFile("moved.yaml", b, None),
        ChangedFile("to-file.yaml", None, b),
        ChangedFile("to.yaml", None, b),
    ]
    assert repository.changed(new, new, "") == []
    assert repository.changed("1" * 40, new, "") is None


def test_a_line_is_blamed_on_the_commit_that_wrote_it(work: Work, cache: Path) -> None:
    first = work.commit({"alice.yaml": ALICE}, "First")
    second = work.commit({"alice.yaml": ALICE.replace(b"User", b"Team")}, "Second")
    repository = opened(work, cache)
    assert [repository.blame(second, "alice.yaml", line).commit for line in (1, 2, 3)] == [first, second, first]
    for commit, file, line in ((second, "alice.yaml", 99), (second, "none.yaml", 1), ("1" * 40, "alice.yaml", 1)):
        with pytest.raises(SourceError):
            repository.blame(commit, file, line)


# Histories that end early, and objects that are not there


def test_a_shallow_clone_says_what_it_cannot_tell(work: Work, cache: Path, tmp_path: Path) -> None:
    first = work.commit({"alice.yaml": ALICE})
    head = work.commit({"bob.yaml": BOB})
    work.git("clone", "-q", "--depth", "1", f"file://{work.folder}", str(tmp_path / "shallow"))
    repository = opened(tmp_path / "shallow", cache)
    assert contents(repository, repository.resolve("main").commit) == {"alice.yaml": ALICE, "bob.yaml": BOB}
    with pytest.raises(ShallowRepository, match="fetch-depth: 0"):
        repository.is_ancestor(first, head)
    with pytest.raises(ShallowRepository, match="cut off"):
        repository.blame(head, "alice.yaml", 1)
    assert repository.changed(first, head, "") is None
    assert repository.is_ancestor(head, head)


def test_objects_of_another_repository_are_read_where_it_is_and_missed_where_it_is_gone(
    work: Work, cache: Path, tmp_path: Path
) -> None:
    head = work.commit({"alice.yaml": ALICE})
    work.git("clone", "-q", "--shared", "--bare", str(work.folder), str(tmp_path / "shared"))
    assert contents(opened(tmp_path / "shared", cache), head) == {"alice.yaml": ALICE}
    (tmp_path / "shared" / "objects" / "info" / "alternates").write_text(f"{tmp_path}/gone\n")
    with pytest.raises(SourceError, match="/gone does not exist"):
        opened(tmp_path / "shared", cache).resolve("main")


@pytest.mark.parametrize(
    "damage",
    [
        b"", b"not zlib", zlib.compress(b"blob 5\0abc"), zlib.compress(b"blob 3\0abcdef"), zlib.compress(b"nonsense"),
        zlib.compress(b"blob %d\0" % len(BOB) + BOB), zlib.compress(b"tree 0\0"), zlib.compress(b"blob -1\0"),
    ],
)  # fmt: skip
def test_a_damaged_object_is_an_error_and_never_read(damage: bytes, work: Work, cache: Path) -> None:
    head = work.commit({"alice.yaml": ALICE, "bob.yaml": BOB.replace(b"bob", b"rob")})
    work.overwrite(work.git("rev-parse", "HEAD:alice.yaml"), damage)
    repository = opened(work, cache)
    with pytest.raises(RepositoryUnreachable, match="damaged"):
        load_revision(repository, repository.resolve(head).commit, "", cache=BlobCache(None))


def test_a_missing_object_is_an_error(work: Work, cache: Path) -> None:
    head = work.commit({"users/alice.yaml": ALICE})
    repository = opened(work, cache)
    for name in ("HEAD:users/alice.yaml", "HEAD:users"):
        work.object_file(work.git("rev-parse", name)).unlink()
        with pytest.raises(RepositoryUnreachable):
            contents(repository, head)
    work.object_file(head).unlink()
    assert not repository.has(head)
    with pytest.raises(SourceError, match="missing"):
        repository.resolve("main")


def test_a_damaged_pack_is_an_error(work: Work, cache: Path) -> None:
    head = work.commit({f"{number}.yaml": os.urandom(2_000).hex().encode() for number in range(20)})
    work.git("repack", "-adq")
    (pack,) = (work.folder / ".git" / "objects" / "pack").glob("*.pack")
    content = bytearray(pack.read_bytes())
    for place in range(2_000, len(content) - 100, 500):
        content[place] ^= 0xFF
    pack.chmod(0o644)
    pack.write_bytes(content)
    with pytest.raises(RepositoryUnreachable):
        contents(opened(work, cache), head)
    pack.write_bytes(content[: len(content) // 2])
    with pytest.raises(SourceError):
        contents(opened(work, cache), head)


@pytest.mark.parametrize(
    ("file", "content"), [("HEAD", b"\0\xff"), ("HEAD", b""), ("config", b"[core\n"), ("packed-refs", b"\0\xff\n")]
)
def test_a_damaged_repository_is_an_error(file: str, content: bytes, work: Work, cache: Path) -> None:
    work.commit({"alice.yaml": ALICE})
    (work.folder / ".git" / file).write_bytes(content)
    with pytest.raises(SourceError):
        opened(work, cache).resolve("main").commit.index("no")


# Size


@pytest.mark.slow
def test_a_file_too_large_is_a_problem_of_that_file_and_takes_little_memory(work: Work, cache: Path, tmp_path: Path) -> None:
    huge = work.folder / "huge.yaml"
    with huge.open("wb") as stream:
        stream.truncate(200 << 20)
    work.commit({"alice.yaml": ALICE, "fits.yaml": b"#" * LARGEST_FILE, "over.yaml": b"#" * (LARGEST_FILE + 1), "zoe.yaml": BOB})
    work.git("repack", "-adq")
    program = """
import resource, sys
from pathlib import Path
from reconciler.source.cache import BlobCache
from reconciler.source.load import load_revision
from reconciler.source.repository import Repository
repository = Repository.open(sys.argv[1], Path(sys.argv[2]))
resource.setrlimit(resource.RLIMIT_DATA, (180 << 20, 180 << 20))  # for git too
loaded = load_revision(repository, repository.resolve("main").commit, "", cache=BlobCache(None))
problems = loaded.problems
names = [found.resource.name for found in loaded.declarations]
print(sorted(problem.file for problem in problems), {problem.rule for problem in problems}, names)
"""
    listener = tmp_path / "bin" / "git"  # git may run out of memory only after it said how large the blob is
    listener.parent.mkdir()
    listener.write_text(f'#!/bin/sh\n{shutil.which("git")} "$@" 2>> {tmp_path}/said\n')
    listener.chmod(0o755)
    environment = {**os.environ, "PATH": f"{listener.parent}:{os.environ['PATH']}"}
    command = [sys.executable, "-c", program, str(work.folder), str(cache)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "['fits.yaml', 'huge.yaml', 'over.yaml'] {'too-large'} ['alice', 'bob']\n", done.stderr
    assert "memory" not in (tmp_path / "said").read_text()


def test_blobs_after_one_that_is_too_large_are_read(work: Work, cache: Path) -> None:
    large, small = (work.git("hash-object", "-w", "--stdin", stdin=content) for content in (b"x" * (LARGEST_FILE + 1), ALICE))
    work.commit({})
    repository = opened(work, cache)
    assert list(repository.read([large, small, large, large, small])) == [
        (large, None), (small, ALICE), (large, None), (large, None), (small, ALICE),
    ]  # fmt: skip
    assert list(repository.read([])) == []


# Other formats and places


def test_a_repository_of_sha_256_is_read(tmp_path: Path, cache: Path) -> None:
    work = Work(tmp_path / "sha256", "--object-format=sha256")
    old = work.commit({"alice.yaml": ALICE})
    head = work.commit({"bob.yaml": BOB})
    repository = opened(work, cache)
    assert len(repository.resolve("main").commit) == 64
    assert contents(repository, head) == {"alice.yaml": ALICE, "bob.yaml": BOB}
    assert [file.path for file in repository.changed(old, head, "") or ()] == ["bob.yaml"]
    assert repository.is_ancestor(old, head) and repository.blame(head, "alice.yaml", 1).commit == old
    work.overwrite(work.git("rev-parse", "HEAD:bob.yaml"), zlib.compress(b"blob %d\0" % len(ALICE) + ALICE))
    with pytest.raises(RepositoryUnreachable, match="damaged"):
        contents(repository, head)


def test_a_mirror_follows_its_remote(work: Work, cache: Path) -> None:
    url = f"file://{work.folder}"
    first = work.commit({"alice.yaml": ALICE})
    work.git("branch", "side")
    assert opened(url, cache).resolve("side").commit == first
    work.git("checkout", "-q", "--orphan", "new")
    rewritten = work.commit({"bob.yaml": BOB})
    work.git("branch", "-f", "main", "new")
    work.git("branch", "-D", "side")
    work.git("tag", "v1")
    repository = opened(url, cache)
    assert repository.resolve("main").commit == repository.resolve("v1").commit == rewritten
    with pytest.raises(UnknownRevision):
        repository.resolve("side")
    assert (Path(repository.location).stat().st_mode & 0o777) == 0o700
    assert not repository.is_ancestor(first, rewritten)


def test_a_mirror_that_cannot_be_kept_is_an_error(work: Work, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(SourceError, match="no mirror can be kept"):
        opened(f"file://{work.folder}", tmp_path / "file")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://alice:hunter2@127.0.0.1:1/config.git", "https://127.0.0.1:1/config.git"),
        ("https://alice:hun@ter2@127.0.0.1:1/config.git", "https://127.0.0.1:1/config.git"),
        ("https://hunter2@127.0.0.1:1/config.git", "https://127.0.0.1:1/config.git"),
        ("http://:hunter2@127.0.0.1:1/a@b", "http://127.0.0.1:1/a@b"),
    ],
)
def test_credentials_in_a_url_are_never_shown(url: str, shown: str, cache: Path) -> None:
    assert Repository(str(cache), url).origin() == shown
    with pytest.raises(RepositoryUnreachable) as caught:
        opened(url, cache)
    assert shown in str(caught.value)
    assert "hunter2" not in str(caught.value) and "ter2" not in str(caught.value)
