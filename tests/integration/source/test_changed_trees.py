"""The tree of a commit in which files are written or removed: whatever else the commit has stays."""

from __future__ import annotations

from pathlib import Path

import pytest
from work_tree import ALICE, BOB, Work, opened

from reconciler.source.errors import SourceError
from reconciler.source.proposals import changed_tree, file_changes, is_free
from reconciler.source.scratch import borrow
from reconciler.source.work_tree import as_commit


@pytest.fixture
def work(tmp_path: Path) -> Work:
    work = Work(tmp_path / "work")
    (work.folder / "link").symlink_to("users")
    work.commit({"users/alice.yaml": ALICE, "users/b": b"text\n"})
    work.git("update-index", "--add", "--cacheinfo", f"160000,{work.git('rev-parse', 'HEAD')},module")
    work.git("commit", "-q", "-m", "Module")
    return work


@pytest.mark.parametrize(
    ("file", "above"),
    [("users/b/bob.yaml", "users/b"), ("link/bob.yaml", "link"), ("module/a/b/bob.yaml", "module")],
)
def test_nothing_is_written_below_what_is_not_a_folder(work: Work, cache: Path, file: str, above: str) -> None:
    repository, head = opened(work, cache), work.git("rev-parse", "HEAD")
    assert not is_free(repository, head, file)
    with borrow(repository, len(head)) as scratch, pytest.raises(SourceError, match=f"`{above}` is not a folder"):
        changed_tree(scratch, head, {file: BOB})


@pytest.mark.parametrize("file", ["users", "link", "module"])
def test_nothing_is_written_in_the_place_of_what_is_not_a_file(work: Work, cache: Path, file: str) -> None:
    repository, head = opened(work, cache), work.git("rev-parse", "HEAD")
    assert not is_free(repository, head, file)
    with borrow(repository, len(head)) as scratch, pytest.raises(SourceError, match=f"`{file}` is not a regular file"):
        changed_tree(scratch, head, {file: BOB})


def test_a_file_is_written_where_nothing_is(work: Work, cache: Path) -> None:
    repository, head = opened(work, cache), work.git("rev-parse", "HEAD")
    assert not is_free(repository, head, "users/alice.yaml")
    for file in ("bob.yaml", "users/bob.yaml", "users/c/d/bob.yaml"):
        assert is_free(repository, head, file)
        with borrow(repository, len(head)) as scratch:
            tree = changed_tree(scratch, head, {file: BOB})
            assert [(each.path, each.before) for each in file_changes(scratch, head, tree)] == [(file, None)]


@pytest.mark.parametrize("form", ["sha1", "sha256"])
def test_a_file_is_removed_whatever_the_length_of_ids(tmp_path: Path, cache: Path, form: str) -> None:
    work = Work(tmp_path / "either", f"--object-format={form}")
    head = work.commit({"alice.yaml": ALICE, "users/bob.yaml": BOB})
    repository = opened(work, cache)
    with borrow(repository, len(head)) as scratch:
        tree = changed_tree(scratch, head, {"users/bob.yaml": None})
        assert [(each.path, each.after) for each in file_changes(scratch, head, tree)] == [("users/bob.yaml", None)]
    (work.folder / "alice.yaml").unlink()
    with as_commit(repository, "") as (scratch, _, commit):
        assert [(each.path, each.after) for each in file_changes(scratch, head, commit)] == [("alice.yaml", None)]
