"""A cache in a work tree is used unless a branch could have brought it: what it says of a file would count for the file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from work_tree import ALICE, BOB, Work

from reconciler.run.deployment import Deployment, cache_folder
from reconciler.run.inputs import open_source
from reconciler.source.blobs import blob_id, encode, read_blob
from reconciler.source.brought import why_not_trusted
from reconciler.source.cache import open_cache
from reconciler.source.load import load_revision


def tracked(work: Work) -> Path:
    work.commit({".cache/accord/blobs-0.db": b"x"})
    return work.folder / ".cache/accord"


def tracked_in_capitals(work: Work) -> Path:
    """Some file systems do not tell them apart."""
    work.commit({".Cache/accord/blobs-0.db": b"x"})
    return work.folder / ".cache/accord"


def the_work_tree_itself(work: Work) -> Path:
    work.commit({"alice.yaml": ALICE})
    return work.folder


def behind_a_tracked_link(work: Work) -> Path:
    (work.folder / ".cache").symlink_to(work.folder.parent / "elsewhere")
    work.commit({})
    return work.folder / ".cache/accord"


def behind_a_link_that_leads_into_the_work_tree(work: Work) -> Path:
    work.commit({"drafts/accord/mirror-0.git/HEAD": b"x"})
    (work.folder.parent / "link").symlink_to("config/drafts")
    return work.folder.parent / "link/accord"


def behind_a_tracked_link_that_another_one_leads_to(work: Work) -> Path:
    (work.folder / "inner").symlink_to("../elsewhere")
    work.commit({})
    (work.folder.parent / "link").symlink_to("config/inner/..")
    return work.folder.parent / "link/accord"


def a_submodule(work: Work) -> Path:
    work.commit({"accord/blobs-0.db": b"x"})
    work.git("clone", "-q", str(work.folder), ".cache")
    return work.folder / ".cache/accord"


def a_submodule_in_it(work: Work) -> Path:
    work.commit({"HEAD": b"x"})
    work.git("clone", "-q", str(work.folder), ".cache/accord/mirror-0.git")
    work.commit({})
    return work.folder / ".cache/accord"


def a_repository_that_git_does_not_trust(work: Work) -> Path:
    (work.folder / ".git/config").write_bytes(b"[")
    return work.folder / ".cache/accord"


@pytest.mark.parametrize(
    "brings",
    [
        tracked,
        tracked_in_capitals,
        the_work_tree_itself,
        behind_a_tracked_link,
        behind_a_link_that_leads_into_the_work_tree,
        behind_a_tracked_link_that_another_one_leads_to,
        a_submodule,
        a_submodule_in_it,
        a_repository_that_git_does_not_trust,
    ],
)
def test_what_a_branch_could_have_brought_is_not_trusted(brings: Callable[[Work], Path], work: Work) -> None:
    (work.folder.parent / "elsewhere").mkdir()
    assert "a branch could have brought what is in it" in (why_not_trusted(brings(work)) or "")


@pytest.mark.parametrize("relative", [".cache/accord", ".git/accord", "../outside", "linked/accord"])
def test_what_git_does_not_track_is_trusted(relative: str, work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    work.commit({"alice.yaml": ALICE, ".gitignore": b"/.cache\n", ".cache2/accord/x": b""})
    (work.folder / ".cache/accord").mkdir(parents=True)
    (work.folder / ".cache/accord/blobs-0.db").write_bytes(b"x")
    (work.folder / "linked").symlink_to(work.folder.parent)
    monkeypatch.chdir(work.folder)
    assert [why_not_trusted(place) for place in (Path(relative), work.folder / relative)] == [None, None]


def test_a_git_folder_beside_its_work_trees_leaves_the_folder_between_them_alone(work: Work, tmp_path: Path) -> None:
    work.commit({".cache/accord/x": b"x"})
    work.git("clone", "-q", "--bare", str(work.folder), str(tmp_path / "apart/.bare"))
    (tmp_path / "apart/.git").write_text("gitdir: ./.bare\n")
    work.git("-C", str(tmp_path / "apart"), "worktree", "add", "-q", "main")
    assert why_not_trusted(tmp_path / "apart/.cache/accord") is None
    assert "Git tracks files there" in (why_not_trusted(tmp_path / "apart/main/.cache/accord") or "")


def test_a_work_tree_below_its_git_folder_is_not_overlooked(work: Work) -> None:
    work.commit({"below/accord/x": b"x"})
    work.git("config", "core.worktree", str(work.folder / "below"))
    assert "Git cannot tell" in (why_not_trusted(work.folder / "below/accord") or "")


def test_no_git_is_started_outside_a_work_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert why_not_trusted(tmp_path / "cache") is None


def test_a_cache_that_a_branch_brings_decides_nothing(work: Work, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    work.commit({"a.yaml": ALICE})
    cache = work.folder / ".cache/accord"
    open_cache(cache).put([(blob_id(ALICE), encode(read_blob(BOB)))])
    assert names(work.folder, cache) == ["bob"]  # the attack would work
    work.commit({})
    clone = tmp_path / "clone"
    work.git("clone", "-q", str(work.folder), str(clone))
    assert names(clone, clone / ".cache/accord") == ["alice"]
    assert "Git tracks files there" in caplog.text


def names(folder: Path, cache: Path) -> list[str]:
    source = open_source(Deployment(str(folder), "main", "", "sqlite:///none.db", cache))
    head = source.repository.resolve("main").commit
    return [each.resource.name for each in load_revision(source.repository, head, "", cache=source.cache).declarations]


def test_without_any_folder_to_write_to_an_untrusted_cache_stays_unused(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> str:
        raise OSError

    monkeypatch.setattr("tempfile.mkdtemp", fail)
    folder = cache_folder(Deployment(".", "main", "", "sqlite:///none.db", tracked(work)))
    assert str(folder).startswith(os.devnull)
    open_cache(folder).put([("1", b"1")])
    assert open_cache(folder).get(["1"]) == {}


@pytest.mark.parametrize("links", [{"loop": "loop"}, {"loop": "back/x", "back": "loop"}])
def test_a_link_that_leads_to_itself_is_no_cache(
    links: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name, target in links.items():
        (tmp_path / name).symlink_to(target)
    monkeypatch.chdir(tmp_path)
    folder = cache_folder(Deployment(".", "main", "", "sqlite:///none.db", tmp_path / "loop/accord"))
    assert tmp_path not in folder.parents and folder.is_dir()
    assert "symbolic links" in caplog.text
