"""The hook that `accord hook install` writes, in real clones: it checks what is committed, and no branch can change it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from work_tree import ALICE, BOB, Work

from reconciler.source.errors import SourceError
from reconciler.source.hook import install_hook, uninstall_hook

BROKEN = b"apiVersion: accord/v1\nkind: Broken\n"
OLD_HOOK = '#!/bin/sh\ntree=$(git write-tree) || exit 1\nexec accord validate --rev "$tree"\n'


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`accord`, found on the PATH alone."""
    file = tmp_path / "bin/accord"
    file.parent.mkdir()
    file.write_text(f'#!/bin/sh\nexec {sys.executable} -m reconciler.cli "$@"\n')
    file.chmod(0o755)
    monkeypatch.setenv("PATH", str(file.parent), prepend=":")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    monkeypatch.setenv("ACCORD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("reconciler.source.hook.sys.executable", str(tmp_path / "nowhere/python"))
    return file


def commits(folder: Path, *options: str) -> bool:
    identity = {f"GIT_{role}_{key}": "a@example.org" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}
    command = ["git", "-C", str(folder), "commit", "-q", "-m", "x", *options]
    return subprocess.run(command, env={**os.environ, **identity}, capture_output=True, check=False).returncode == 0


@pytest.mark.usefixtures("program")
@pytest.mark.parametrize("top", ["", ".."], ids=["the usual work tree", "a work tree that is configured"])
def test_the_hook_checks_what_is_committed_and_not_the_folder(top: str, work: Work) -> None:
    work.commit({"alice.yaml": ALICE, "bob.yaml": BOB})
    if top:
        work.git("config", "core.worktree", top)
    install_hook(str(work.folder))
    file = work.folder / "alice.yaml"

    def stage(staged: bytes, in_folder: bytes) -> None:
        file.write_bytes(staged)
        work.git("add", "-A")
        file.write_bytes(in_folder)

    stage(ALICE + b"# one\n", BROKEN)
    assert commits(work.folder)
    stage(BROKEN, ALICE)
    assert not commits(work.folder)
    stage(ALICE + b"# two\n", BROKEN)
    assert not commits(work.folder, "-a"), "what `commit -a` adds is in an index of its own"
    (work.folder / "bob.yaml").write_bytes(BOB + b"# three\n")
    assert commits(work.folder, "bob.yaml"), "so is what a partial commit takes"


@pytest.mark.usefixtures("program")
def test_the_hook_checks_the_clone_it_is_in_whatever_the_settings_name(
    work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work.commit({"alice.yaml": ALICE})
    work.git("clone", "-q", "--bare", str(work.folder), str(tmp_path / "remote.git"))
    work.git("branch", "unpushed")
    work.git("worktree", "add", "-q", "-b", "second", str(tmp_path / "second"))
    hook = install_hook(str(tmp_path / "second"))
    assert hook == work.folder / ".git/hooks/pre-commit"
    before = work.git("for-each-ref")
    monkeypatch.setenv("ACCORD_REPOSITORY", f"file://{tmp_path}/remote.git")
    for content, accepted in ((BROKEN, False), (BOB, True)):
        (tmp_path / "second/bob.yaml").write_bytes(content)
        work.git("-C", str(tmp_path / "second"), "add", "-A")
        assert commits(tmp_path / "second") is accepted
    assert len(work.git("for-each-ref").splitlines()) == len(before.splitlines())


@pytest.mark.usefixtures("program")
def test_an_old_hook_in_the_work_tree_harms_no_branch(work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hook = work.folder / ".githooks/pre-commit"
    work.commit({"alice.yaml": ALICE, ".githooks/pre-commit": OLD_HOOK.encode()})
    hook.chmod(0o755)
    work.git("config", "core.hooksPath", ".githooks")
    work.git("clone", "-q", "--bare", str(work.folder), str(tmp_path / "remote.git"))
    work.git("branch", "unpushed")
    work.git("worktree", "add", "-q", "-b", "second", str(tmp_path / "second"))
    (tmp_path / "second/.githooks/pre-commit").chmod(0o755)
    before = work.git("for-each-ref")
    monkeypatch.setenv("ACCORD_REPOSITORY", f"file://{tmp_path}/remote.git")
    (tmp_path / "second/bob.yaml").write_bytes(BOB)
    work.git("-C", str(tmp_path / "second"), "add", "-A")
    assert not commits(tmp_path / "second")
    assert work.git("for-each-ref") == before
    monkeypatch.delenv("ACCORD_REPOSITORY")
    assert commits(tmp_path / "second")


def test_installing_again_is_harmless_and_uninstalling_leaves_nothing(work: Work, program: Path) -> None:
    first = install_hook(str(work.folder))
    assert os.access(first, os.X_OK) and str(program) in first.read_text()
    written = first.read_bytes()
    (work.folder / "deep").mkdir()
    work.git("config", "core.hooksPath", ".git/hooks")  # where Git looks anyway
    assert install_hook(str(work.folder / "deep")).read_bytes() == written
    assert uninstall_hook(str(work.folder)) == first and not first.exists()
    assert uninstall_hook(str(work.folder)) is None
    assert list(first.parent.glob(".*")) == []


@pytest.mark.parametrize("change", [install_hook, uninstall_hook])
def test_another_hook_is_left_as_it_is(change: Callable[[str], object], work: Work, tmp_path: Path) -> None:
    file = work.folder / ".git/hooks/pre-commit"
    file.write_text("#!/bin/sh\necho mine\n")
    with pytest.raises(SourceError, match="Accord does not"):
        change(str(work.folder))
    assert file.read_text() == "#!/bin/sh\necho mine\n"
    file.unlink()
    file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SourceError, match="Accord does not"):
        change(str(work.folder))
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    ("place", "why"),
    [
        (".githooks", r"in the work tree .*git config --local --unset-all core\.hooksPath"),
        ("TOP/hooks", "in the work tree"),
        ("/etc/git-hooks", "not from this repository.*accord hook run"),
        ("~/hooks", "not from this repository"),
    ],
)
def test_a_hook_that_git_would_not_run_is_not_written(place: str, why: str, work: Work) -> None:
    work.git("config", "core.hooksPath", place.replace("TOP", str(work.folder)))
    with pytest.raises(SourceError, match=why):
        install_hook(str(work.folder))
    assert not (work.folder / ".git/hooks/pre-commit").exists() and not (work.folder / ".githooks").exists()


def test_hooks_that_lead_into_the_work_tree_are_refused(work: Work) -> None:
    hooks = work.folder / ".git/hooks"
    for file in hooks.iterdir():
        file.unlink()
    hooks.rmdir()
    (work.folder / "shared").mkdir()
    hooks.symlink_to("../shared")
    with pytest.raises(SourceError, match="remove that link"):
        install_hook(str(work.folder))
    assert not list((work.folder / "shared").iterdir())


@pytest.mark.parametrize("name", ["nowhere", "alice.yaml"])
def test_a_folder_that_is_none_does_not_mean_the_current_one(name: str, work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    work.commit({"alice.yaml": ALICE})
    monkeypatch.chdir(work.folder)
    with pytest.raises(SourceError, match="there is no repository at"):
        install_hook(name)
    assert not (work.folder / ".git/hooks/pre-commit").exists()


def test_a_bare_repository_has_nothing_to_commit_from(work: Work, tmp_path: Path) -> None:
    work.git("clone", "-q", "--bare", str(work.folder), str(tmp_path / "bare.git"))
    with pytest.raises(SourceError, match="no work tree"):
        install_hook(str(tmp_path / "bare.git"))
