"""Opening real Git repositories, most of them hostile or broken: nothing they bring is run, and no secret is shown."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from fcntl import LOCK_EX, LOCK_UN, flock
from pathlib import Path
from threading import Event
from typing import TextIO

import pytest
from growth import assert_linear
from waiting import LONG
from work_tree import ALICE, BOB, Work, contents, opened

import reconciler.source.mirror
from reconciler.source.cache import BlobCache
from reconciler.source.errors import RepositoryUnreachable, SourceError, UnknownRevision
from reconciler.source.folder import list_files
from reconciler.source.git_command import _git_error
from reconciler.source.hook import install_hook
from reconciler.source.load import load_revision
from reconciler.source.location import without_credentials
from reconciler.source.repository import Repository
from reconciler.source.work_tree import as_commit, find_standing

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
    assert not any((Path(repository.git_dir) / "hooks").glob("*"))


def test_a_partial_clone_fetches_nothing(work: Work, trap: Path, cache: Path, tmp_path: Path) -> None:
    head = work.commit({"alice.yaml": ALICE})
    work.git("config", "uploadpack.allowFilter", "true")
    work.git("clone", "-q", "--bare", "--filter=blob:none", f"file://{work.folder}", str(tmp_path / "partial"))
    partial = tmp_path / "partial"
    work.git("-C", str(partial), "config", "remote.origin.uploadpack", str(trap))
    work.git("-C", str(partial), "cat-file", "-p", f"{head}:alice.yaml", check=False)
    is_live(trap)
    repository = opened(partial, cache)
    with pytest.raises(RepositoryUnreachable, match=r"is a partial clone .* git fetch --refetch --no-filter"):
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


def test_git_configuration_cannot_change_or_break_reading(work: Work, cache: Path) -> None:
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


@pytest.mark.parametrize("top", ["..", "../..", ".", "WORK"])
def test_commits_are_read_whole_wherever_git_is_told_that_the_work_tree_is(
    top: str, work: Work, cache: Path, tmp_path: Path
) -> None:
    first = work.commit({"users/alice.yaml": ALICE, "users/bob.yaml": BOB}, "First")
    second = work.commit({"users/bob.yaml": BOB + b"#\n"}, "Second")
    work.git("config", "core.worktree", str(work.folder) if top == "WORK" else top)
    repository = opened(work.folder / ".git", cache)
    for path in ("", "users"):
        assert contents(repository, second, path) == {"users/alice.yaml": ALICE, "users/bob.yaml": BOB + b"#\n"}
        assert [file.path for file in repository.changed(first, second, path) or ()] == ["users/bob.yaml"]
    assert repository.content(second, "users/alice.yaml") == ALICE
    assert repository.blame(second, "users/bob.yaml", 1).summary == "First"
    assert repository.tree(second) == repository.staged(None), "as the hook reads what is staged"


def test_a_work_tree_that_is_configured_is_the_one_that_is_read(work: Work, cache: Path) -> None:
    head = work.commit({"users/alice.yaml": ALICE, "users/bob.yaml": BOB})
    work.git("config", "core.worktree", str(work.folder))
    (work.folder / "users/alice.yaml").unlink()
    (work.folder / "users/bob.yaml").write_bytes(BOB + b"#\n")
    assert find_standing(str(work.folder), head, "users") == ("main", head, 0, 0, 2)
    with as_commit(opened(work, cache), "users") as (repository, _, commit):
        assert contents(repository, commit) == {"users/bob.yaml": BOB + b"#\n"}


# Which repository


@pytest.mark.parametrize("where", ["config", "config/.git", "config/users", "config/users/deep", "bare.git", "config/../config"])
def test_a_repository_is_the_same_however_it_is_named(where: str, work: Work, cache: Path, tmp_path: Path) -> None:
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


def bring_bare(work: Work, place: str, tmp_path: Path) -> tuple[Path, str]:
    """Commit a bare repository of a stranger's in a folder, as a branch can."""
    stranger = Work(tmp_path / "stranger")
    hostile = stranger.commit({"bob.yaml": BOB}, "Hostile")
    folder = work.folder / place
    work.git("clone", "-q", "--bare", str(stranger.folder), str(folder))
    (folder / "refs/keep").write_text("")
    (folder / "objects/keep").write_text("")
    return folder, hostile


@pytest.mark.parametrize("inside", ["", "refs", "objects/pack", "link"])
@pytest.mark.parametrize("named", [True, False])
def test_a_bare_repository_that_a_branch_brings_is_never_the_config_repository(
    inside: str, named: bool, work: Work, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work.commit({"alice.yaml": ALICE})
    folder, _ = bring_bare(work, "docs", tmp_path)
    (work.folder / "link").symlink_to("docs")
    work.commit({})
    assert work.git("ls-files", "docs/HEAD"), "nothing was brought, so the test shows nothing"
    place = work.folder / "link" if inside == "link" else folder / inside
    assert place.is_dir()
    monkeypatch.chdir(place)
    location = str(place) if named else "."
    for use in (lambda: opened(location, cache), lambda: install_hook(location), lambda: find_standing(location, "0" * 40, "")):
        with pytest.raises(RepositoryUnreachable, match=r"is in a bare repository in the work tree `[^`]*/config`, .*file:///"):
            use()


def test_a_bare_repository_in_a_work_tree_is_read_by_its_url(work: Work, cache: Path, tmp_path: Path) -> None:
    work.commit({"alice.yaml": ALICE})
    folder, head = bring_bare(work, "docs", tmp_path)
    work.commit({})
    with pytest.raises(RepositoryUnreachable) as caught:
        opened(folder, cache)
    assert opened(str(caught.value).rpartition(" ")[2], cache).resolve("main").commit == head


@pytest.mark.parametrize("command", ["status", "init -q git", "config core.bare true"])
def test_a_bare_repository_that_no_branch_brought_into_a_work_tree_is_read(
    command: str, work: Work, cache: Path, tmp_path: Path
) -> None:
    head = work.commit({"alice.yaml": ALICE})
    outer = Work(tmp_path / "srv")
    outer.commit({"apart/x": b"x"})
    outer.git(*command.split())
    work.git("clone", "-q", "--bare", str(work.folder), str(outer.folder / "git/config.git"))
    assert opened(outer.folder / "git/config.git", cache).resolve("main").commit == head


def brought_past_a_clone(outer: Work, bare: Path) -> None:
    outer.commit({})
    outer.git("init", "-q", str(bare.parent))


def in_a_work_tree_that_git_cannot_read(outer: Work, bare: Path) -> None:
    (outer.folder / ".git/config").write_text("[")


@pytest.mark.parametrize("bring", [brought_past_a_clone, in_a_work_tree_that_git_cannot_read])
def test_a_bare_repository_that_may_have_been_brought_is_not_read(
    bring: Callable[[Work, Path], None], work: Work, cache: Path, tmp_path: Path
) -> None:
    work.commit({"alice.yaml": ALICE})
    outer = Work(tmp_path / "srv")
    bare = outer.folder / "git/config.git"
    work.git("clone", "-q", "--bare", str(work.folder), str(bare))
    bring(outer, bare)
    with pytest.raises(RepositoryUnreachable, match="where any branch can bring one"):
        opened(bare, cache)


def test_a_hook_of_a_bare_repository_reads_it_wherever_it_is(
    work: Work, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work.commit({"alice.yaml": ALICE})
    bare, head = bring_bare(work, "docs", tmp_path)
    work.commit({})
    monkeypatch.setenv("GIT_QUARANTINE_PATH", str(bare / "objects/incoming-x"))
    assert opened(bare, cache).resolve("main").commit == head
    monkeypatch.setenv("GIT_QUARANTINE_PATH", str(work.folder / ".git/objects/incoming-x"))
    with pytest.raises(RepositoryUnreachable, match="where any branch can bring one"):
        opened(bare, cache)


@pytest.mark.parametrize(
    "where", ["super/sub", "super/.git/modules/sub", "side", "config/.git/worktrees/side", "apart", "apart/.bare"]
)
def test_a_git_folder_that_a_work_tree_leads_to_is_the_repository(where: str, work: Work, cache: Path, tmp_path: Path) -> None:
    head = work.commit({"alice.yaml": ALICE})
    work.git("worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    outer = Work(tmp_path / "super")
    outer.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(work.folder), "sub")
    work.git("clone", "-q", "--bare", str(work.folder), str(tmp_path / "apart/.bare"))
    (tmp_path / "apart/.git").write_text("gitdir: ./.bare\n")
    assert opened(tmp_path / where, cache).resolve("main").commit == head


def test_to_find_a_bare_repository_the_users_own_setting_decides(
    work: Work, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = work.commit({"alice.yaml": ALICE})
    bare = tmp_path / "bare.git"
    work.git("clone", "-q", "--bare", str(work.folder), str(bare))
    monkeypatch.chdir(bare)
    assert opened(".", cache).resolve("main").commit == head
    work.git("config", "--file", str(tmp_path / "mine"), "safe.bareRepository", "explicit")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "mine"))
    for found in (".", str(bare / "refs")):
        with pytest.raises(RepositoryUnreachable, match=r"uses only by its name \(safe.bareRepository\)"):
            opened(found, cache)
    assert opened(bare, cache).resolve("main").commit == head


def test_variables_set_by_a_hook_do_not_redirect_reading(
    work: Work, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = work.commit({"alice.yaml": ALICE})
    other = Work(tmp_path / "other")
    other.commit({"bob.yaml": BOB})
    for name, value in (("GIT_DIR", ".git"), ("GIT_WORK_TREE", "."), ("GIT_INDEX_FILE", "index"), ("GIT_PREFIX", "users/")):
        monkeypatch.setenv(name, str(other.folder / value))
    assert opened(work, cache).resolve("main").commit == head


def test_git_inherits_only_what_says_how_to_reach_a_remote_and_how_it_is_configured(
    work: Work, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work.commit({"alice.yaml": ALICE})
    git = shutil.which("git")
    program = tmp_path / "bin/git"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nenv | grep ^GIT_ > {tmp_path}/inherited\nexec {git} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    kept = {"GIT_SSH_COMMAND": "ssh -4", "GIT_SSL_CAINFO": "/ca.pem", "GIT_CONFIG_COUNT": "0", "GIT_CONFIG_GLOBAL": os.devnull}
    dropped = ("GIT_SSL_NO_VERIFY", "GIT_EXTERNAL_DIFF", "GIT_TRACE", "GIT_NAMESPACE", "GIT_CONFIG_PARAMETERS", "GIT_ATTR_SOURCE")
    for name, value in {**kept, **dict.fromkeys(dropped, "/x")}.items():
        monkeypatch.setenv(name, value)
    opened(work, cache).resolve("main")
    inherited = dict(line.split("=", 1) for line in (tmp_path / "inherited").read_text().splitlines())
    assert inherited.items() >= kept.items()
    assert not inherited.keys() & set(dropped)
    assert inherited["GIT_ALLOW_PROTOCOL"] == "none"


def test_a_folder_that_is_not_a_repository_is_reported(cache: Path, tmp_path: Path) -> None:
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
    with pytest.raises(RepositoryUnreachable, match="belongs to another user"):
        opened(work, cache)


def test_a_repository_of_a_future_format_is_refused(work: Work, cache: Path) -> None:
    work.commit({"alice.yaml": ALICE})
    work.git("config", "core.repositoryFormatVersion", "99")
    with pytest.raises(SourceError, match="version"):
        opened(work, cache)


def test_a_missing_git_is_named(work: Work, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(SourceError, match="git is not installed"):
        opened(work, cache)


# Mirrors, and what is told of a remote


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
    assert (Path(repository.git_dir).stat().st_mode & 0o777) == 0o700
    assert not repository.is_ancestor(first, rewritten)


def test_a_mirror_that_cannot_be_kept_is_an_error(work: Work, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(SourceError, match="cannot keep a mirror"):
        opened(f"file://{work.folder}", tmp_path / "file")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://alice:hunter2@127.0.0.1:1/config.git", "https://127.0.0.1:1/config.git"),
        ("https://alice:hun@ter2@127.0.0.1:1/config.git", "https://127.0.0.1:1/config.git"),
        ("https://hunter2@127.0.0.1:1/config.git", "https://127.0.0.1:1/config.git"),
        ("http://:hunter2@127.0.0.1:1/a%40b", "http://127.0.0.1:1/a%40b"),
    ],
)
def test_credentials_in_a_url_are_never_shown(url: str, shown: str, cache: Path) -> None:
    assert Repository(str(cache), url).origin() == shown
    with pytest.raises(RepositoryUnreachable) as caught:
        opened(url, cache)
    assert shown in str(caught.value)
    assert "hunter2" not in str(caught.value) and "ter2" not in str(caught.value)


@pytest.mark.parametrize("sign", ["://", "?", "hint:"])
def test_what_a_server_says_at_length_takes_no_time(sign: str) -> None:
    """Git repeats the text of an error page, however long it is."""

    def explained(length: int) -> Callable[[], object]:
        said = "fatal: " + sign * (length // len(sign))
        return lambda: _git_error(said, "config")

    assert_linear(explained, 8_000, 160_000)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("alice:hunter2@host/config.git", "host/config.git"),
        ("alice:hunter2@host:config.git", "host:config.git"),
        ("git@host:config.git", "git@host:config.git"),
        ("https://host/config.git?access_token=hunter2&ref=hunter2", "https://host/config.git?access_token=***&ref=***"),
        ("fatal: 'alice:hunter2@host/x' is none, nor `alice:hunter2@y`", "fatal: 'host/x' is none, nor `y`"),
        ("config/a:b", "config/a:b"),
        ("cannot reach 'https://a:1/hunter2@host/x' or 'https://a b'", "cannot reach 'https://host/x' or 'https://a b'"),
        ("file:///srv/alice@host/x is not file://alice:hunter2@host/x", "file:///srv/alice@host/x is not file://host/x"),
    ],
)
def test_the_label_of_a_url_shows_no_credentials(text: str, shown: str, cache: Path) -> None:
    assert without_credentials(text) == shown
    if " " not in text and "git@" not in text:
        with pytest.raises(RepositoryUnreachable) as caught:
            opened(text, cache)
        assert shown in str(caught.value)


@pytest.mark.parametrize(
    "location",
    [
        "https:/alice:hunter2@host/x", "https:/hunter2@host/x", "https//alice:hunter2@host/x", "//alice:hunter2@host/x",
        "alice:hunt/hunter2@host/x", "hunter2@host/x", "alice:hunter2@b@host/x", "https:///alice:hunter2@host/x",
        "https:///hunter2@host/x", "https:// hunter2@host/x", "alice:hunter2@host::/x", "-alice:hunt/hunter2@host/x",
        "https;//alice:hunter2@host/x", "htps:alice:hunter2@host/x", "https://alice:hunt/hunter2@host/x",
        "https://alice:123/4hunter2@host/x", "https://alice:12#hunter2@host/x", "https://alice:12?hunter2@host/x",
        "ssh://alice:12/hunter2@host/x", "https://alice/hunter2@host/x",
    ],
)  # fmt: skip
def test_a_mistyped_url_shows_no_credentials(location: str, cache: Path) -> None:
    with pytest.raises(RepositoryUnreachable) as caught:
        opened(location, cache)
    assert "hunt" not in str(caught.value)
    with pytest.raises(SourceError) as caught_too:
        list_files(Path(location))
    assert "hunt" not in str(caught_too.value)


def test_a_folder_that_is_there_is_named_whole(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "alice@host").mkdir()
    with pytest.raises(RepositoryUnreachable, match="alice@host` is not a Git repository"):
        opened(tmp_path / "alice@host", cache)


def test_gits_message_is_shown_whole_without_its_advice(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(RepositoryUnreachable) as caught:
        opened(f"file://{tmp_path}/none", cache)
    assert str(caught.value).endswith(
        f"'{tmp_path}/none' does not appear to be a git repository; Could not read from remote repository."
    )


def test_two_fetches_into_one_mirror_take_turns(work: Work, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    happened: list[str] = []
    waiting = Event()

    def take(file: TextIO, kind: int) -> None:
        waiting.set()
        flock(file, kind)
        happened.append("taken")

    first = work.commit({"alice.yaml": ALICE})
    url = f"file://{work.folder}"
    mirror = Path(opened(url, cache).git_dir)
    second = work.commit({"bob.yaml": BOB})
    monkeypatch.setattr(reconciler.source.mirror, "flock", take)
    with ThreadPoolExecutor() as pool, mirror.with_suffix(".lock").open("a") as lock:
        flock(lock, LOCK_EX)
        opening = pool.submit(opened, url, cache)
        assert waiting.wait(LONG)
        assert Repository(str(mirror)).resolve("main").commit == first
        happened.append("released")
        flock(lock, LOCK_UN)
        assert opening.result(LONG).resolve("main").commit == second
    assert happened == ["released", "taken"]
