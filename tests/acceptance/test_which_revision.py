"""A plan says which revision it is of, and where the work tree stands; a branch that is behind is planned as merged."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from desk import Desk
from scenario import everything

from reconciler.cli.exits import ERROR, STALE, UNSAFE

SQLITE = pytest.mark.parametrize("database_kind", ["sqlite"])


def user(name: str, email: str | None = None) -> str:
    return f"apiVersion: accord/v1\nkind: User\nmetadata: {{name: {name}}}\nspec: {{email: {email or name}@example.org}}\n"


@pytest.fixture
def tree(begun: Desk) -> Callable[[], dict[str, bytes]]:
    """What is in the repository: nothing here may change it."""
    folder = begun.config / ".git"
    return lambda: {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "index"}


def part(desk: Desk) -> None:
    """A branch `feature` with Carol, and Dave on main."""
    desk.git("switch", "-q", "-c", "feature")
    desk.write("users/carol.yaml", user("carol"))
    desk.commit("Carol")
    desk.git("switch", "-q", "main")
    desk.write("users/dave.yaml", user("dave"))
    desk.commit("Dave")


def diverge(desk: Desk) -> str:
    """The same, and Dave is applied; the commit of the branch."""
    part(desk)
    desk.accord("apply", "--yes")
    return desk.git("rev-parse", "feature").strip()


def changes(desk: Desk, *arguments: str) -> list[tuple[str, str]]:
    return [(change["action"], change["name"]) for change in desk.accord.json("plan", *arguments)["changes"]]


# Where the work tree stands


@SQLITE
def test_a_plan_of_main_says_what_of_another_branch_is_not_in_it(begun: Desk, tree: Callable[[], dict[str, bytes]]) -> None:
    assert "note" not in begun.accord("plan").output
    begun.git("switch", "-q", "-c", "more")
    assert "note" not in begun.accord("plan").output, "the same commit is nothing to mention"
    begun.write("users/carol.yaml", user("carol"))
    begun.commit("Carol")
    begun.write("users/eve.yaml", user("eve"))
    begun.write("users/carol.yaml", user("carol", "c"))
    begun.write("notes.txt", "no resource")
    before = tree()
    shown = begun.accord("plan").output
    assert "planned branch `main`, but your work tree is on `more` (1 ahead, 0 behind)" in shown
    assert "accord plan --rev more" in shown
    assert "2 files are not committed" in shown and "accord plan --working-tree" in shown
    assert "`more`" in begun.accord("plan", "--format", "markdown").output.replace("&#96;", "`")
    checkout = begun.accord.json("plan")["checkout"]
    assert checkout == {
        "planned": "main", "branch": "more", "commit": begun.git("rev-parse", "HEAD").strip(),
        "ahead": 1, "behind": 0, "uncommitted": 2,
    }  # fmt: skip
    assert begun.accord.json("plan", "--rev", "more")["checkout"] is None, "who names a revision knows which"
    assert tree() == before


@SQLITE
def test_only_files_that_a_plan_would_read_count_as_not_committed(begun: Desk) -> None:
    begun.write(".accordignore", "drafts/\n")
    begun.write("elsewhere/users/x.yaml", user("x"))
    begun.commit("Ignore drafts")
    for name in ("drafts/y.yaml", "users/.z.yaml", "README"):
        begun.write(name, user("y"))
    (begun.config / "users/link.yaml").symlink_to("alice.yaml")
    (begun.config / "users/alice.yaml").touch()  # the same content, at another time
    assert begun.accord.json("plan", "--rev", "HEAD")["checkout"] is None and begun.accord.json("plan")["checkout"] is None
    (begun.config / "users/alice.yaml").unlink()
    begun.write("elsewhere/users/x.yaml", user("y"))
    assert begun.accord.json("plan")["checkout"]["uncommitted"] == 2
    assert begun.accord.json("plan", "--against", "main", "--path", "elsewhere")["checkout"]["uncommitted"] == 1


@SQLITE
def test_a_work_tree_without_a_branch_is_named_by_its_commit(begun: Desk) -> None:
    begun.write("users/carol.yaml", user("carol"))
    begun.commit("Carol")
    begun.git("checkout", "-q", "--detach", "HEAD~1")
    assert "at " + begun.git("rev-parse", "HEAD")[:12] + " (0 ahead, 1 behind)" in begun.accord("plan").output


@SQLITE
def test_a_filter_of_the_repository_is_not_run_to_find_what_is_not_committed(begun: Desk, tmp_path: Path) -> None:
    begun.write(".gitattributes", "*.yaml filter=evil\n")
    begun.commit("Attributes")
    for key in ("clean", "process", "smudge"):
        begun.git("config", f"filter.evil.{key}", f"touch {tmp_path}/sprung; cat")
    begun.git("config", "core.fsmonitor", f"touch {tmp_path}/sprung; false")
    (begun.config / "users/alice.yaml").touch()
    begun.write("users/eve.yaml", user("eve"))
    assert begun.accord.json("plan")["checkout"]["uncommitted"] == 1
    assert ("create", "eve") in changes(begun, "--working-tree")
    assert not (tmp_path / "sprung").exists()


@SQLITE
def test_no_filter_tells_whether_a_file_as_old_as_the_index_is_committed(begun: Desk, tmp_path: Path) -> None:
    begun.write("users/carol.yaml", user("carol"))
    begun.commit("Carol")
    begun.git("config", "filter.evil.clean", f"touch {tmp_path}/sprung; cat")
    (begun.config / ".git/info/attributes").write_text("* filter=evil\n")
    begun.write("users/carol.yaml", user("carla"))
    os.utime(begun.config / ".git/index", (1, 1))
    begun.git("diff-index", "HEAD")
    (tmp_path / "sprung").unlink()  # plain git ran it
    assert begun.accord.json("plan")["checkout"]["uncommitted"] == 1
    assert not (tmp_path / "sprung").exists()


@SQLITE
@pytest.mark.parametrize("index", ["plain", "split", "sparse", "linked"])
def test_files_are_counted_whatever_the_index_is_like(begun: Desk, index: str, tmp_path: Path) -> None:
    begun.write("users/carol.yaml", user("carol"))
    begun.commit("Carol")
    place = begun.config
    if index == "split":
        begun.git("update-index", "--split-index")
        assert list((begun.config / ".git").glob("sharedindex.*"))
    elif index == "sparse":
        begun.git("sparse-checkout", "set", "--cone", "--sparse-index", "teams")
        place.joinpath("users").mkdir()
    elif index == "linked":
        place = tmp_path / "linked"
        begun.git("worktree", "add", "-q", "-b", "linked", str(place))
    assert begun.accord.json("plan", "--repository", str(place))["checkout"] is None
    (place / "users/carol.yaml").write_text(user("carol", "c"))
    (place / "users/eve.yaml").write_text(user("eve"))
    assert begun.accord.json("plan", "--repository", str(place))["checkout"]["uncommitted"] == 2


# The files in the folder


@SQLITE
def test_the_folder_is_planned_as_it_is(begun: Desk, tree: Callable[[], dict[str, bytes]], tmp_path: Path) -> None:
    begun.write("users/bob.yaml", user("bob"))
    begun.write("users/carol.yaml", user("carol"))
    begun.commit("Bob and Carol")
    begun.accord("apply", "--yes")
    begun.write("users/bob.yaml", user("bob", "robert"))
    (begun.config / "users/carol.yaml").unlink()
    begun.write("users/dave.yaml", user("dave"))
    begun.write(".gitignore", "secret/\n")
    begun.write("secret/eve.yaml", user("eve"))  # validate reads what .gitignore names, and so does this
    before = tree()
    planned = begun.accord.json("plan", "--working-tree")
    assert sorted((change["action"], change["name"]) for change in planned["changes"]) == [
        ("create", "dave"), ("create", "eve"), ("delete", "carol"), ("update", "bob"),
    ]  # fmt: skip
    assert planned["workingTree"] is True and planned["revision"]["commit"] == begun.git("rev-parse", "HEAD").strip()
    assert "as the files are in the folder" in begun.accord("plan", "--working-tree").output
    assert len(changes(begun, "--working-tree", "--against", "HEAD")) == 4
    assert tree() == before
    saved = tmp_path / "plan.json"
    saved.write_text(json.dumps(planned))
    assert "cannot be applied; commit" in begun.accord("apply", str(saved), "--yes", code=STALE).stderr
    begun.accord("plan", "--working-tree", "--out", str(saved), code=ERROR)
    begun.accord("plan", "--working-tree", "--rev", "HEAD", code=ERROR)


@SQLITE
def test_the_folder_of_a_branch_that_is_behind_is_planned_as_merged(begun: Desk) -> None:
    diverge(begun)
    begun.git("switch", "-q", "feature")
    begun.write("users/eve.yaml", user("eve"))
    assert changes(begun, "--working-tree") == [("create", "carol"), ("create", "eve")]


@SQLITE
def test_what_a_sparse_checkout_leaves_out_is_not_deleted(begun: Desk) -> None:
    begun.git("sparse-checkout", "set", "users")
    assert not (begun.config / "teams").exists()
    begun.write("users/eve.yaml", user("eve"))
    assert changes(begun, "--working-tree") == [("create", "eve")]


@SQLITE
def test_a_repository_without_a_work_tree_has_no_folder_to_plan(begun: Desk, tmp_path: Path) -> None:
    begun.git("clone", "-q", "--bare", ".", str(tmp_path / "bare.git"))
    for location in (str(tmp_path / "bare.git"), f"file://{tmp_path}/bare.git"):
        assert "has no working tree" in begun.accord("plan", "--working-tree", "--repository", location, code=ERROR).stderr
        assert begun.accord.json("plan", "--repository", location)["checkout"] is None


# Older, behind, rewritten


@SQLITE
def test_a_branch_that_is_behind_is_planned_as_its_merge(
    begun: Desk, tree: Callable[[], dict[str, bytes]], tmp_path: Path
) -> None:
    feature = diverge(begun)
    before, rows = tree(), everything(begun.accord)
    planned = begun.accord.json("plan", "--rev", "feature", "--out", str(tmp_path / "plan.json"))
    assert [(change["action"], change["name"]) for change in planned["changes"]] == [("create", "carol")]
    assert planned["merge"] == "behind" and planned["revision"]["commit"] == feature
    assert "planned as merged with the applied revision" in begun.accord("plan", "--rev", "feature").output
    assert "merge or rebase it" in begun.accord("plan", "--rev", "feature", "--format", "markdown").output
    assert tree() == before
    assert "cannot be applied" in begun.accord("apply", str(tmp_path / "plan.json"), "--yes", code=STALE).stderr
    refused = begun.accord("apply", "--rev", "feature", "--yes", code=UNSAFE).stderr
    assert "its branch is behind. Merge `main` into it" in refused and "force-push" not in refused
    assert everything(begun.accord) == rows
    begun.git("merge", "-q", "--no-edit", "feature")
    assert changes(begun) == [("create", "carol")], "the merge does what was planned"


@SQLITE
def test_a_plan_does_not_depend_on_the_state_of_the_work_tree(begun: Desk) -> None:
    (begun.config / ".git/index").write_bytes(b"damaged")
    assert begun.accord.json("plan")["checkout"] is None


@SQLITE
def test_a_merge_that_conflicts_names_the_files(begun: Desk) -> None:
    begun.git("switch", "-q", "-c", "feature")
    begun.write("users/alice.yaml", user("alice", "a"))
    begun.commit("Mine")
    begun.git("switch", "-q", "main")
    begun.write("users/alice.yaml", user("alice", "b"))
    begun.commit("Theirs")
    begun.accord("apply", "--yes")
    said = begun.accord("plan", "--rev", "feature", code=UNSAFE).stderr
    assert "they conflict in users/alice.yaml; merge or rebase it" in said


@SQLITE
def test_a_merge_driver_of_the_repository_is_not_run(begun: Desk, tmp_path: Path) -> None:
    begun.write(".gitattributes", "*.yaml merge=evil\n")
    begun.commit("Attributes")
    begun.git("config", "merge.evil.driver", f"touch {tmp_path}/sprung")
    begun.git("switch", "-q", "-c", "feature")
    begun.write("users/alice.yaml", "# first\n" + (begun.config / "users/alice.yaml").read_text())
    begun.commit("Mine")
    begun.git("switch", "-q", "main")
    begun.write("users/alice.yaml", (begun.config / "users/alice.yaml").read_text() + "# last\n")
    begun.commit("Theirs")
    begun.accord("apply", "--yes")
    assert changes(begun, "--rev", "feature") == []
    assert not (tmp_path / "sprung").exists()


@SQLITE
def test_a_job_of_an_older_commit_has_nothing_to_apply_and_is_told_so(begun: Desk) -> None:
    old = begun.git("rev-parse", "HEAD").strip()
    diverge(begun)
    planned = begun.accord.json("plan", "--rev", old)
    assert planned["changes"] == [] and planned["merge"] == "older"
    assert "already contains this older one" in begun.accord("plan", "--rev", old).output
    refused = begun.accord("apply", "--rev", old, "--yes", code=UNSAFE).stderr
    assert "it is older, and there is nothing to apply" in refused and "--allow-rewind" in refused


@SQLITE
def test_a_branch_that_was_rewritten_is_a_force_push_and_never_merged(begun: Desk) -> None:
    diverge(begun)
    begun.git("reset", "-q", "--hard", "HEAD~1")
    begun.write("users/frank.yaml", user("frank"))
    begun.commit("Another history")
    for command in (("plan",), ("plan", "--working-tree"), ("apply", "--yes"), ("plan", "--rev", "feature")):
        assert "which `main` no longer contains: a force-push" in begun.accord(*command, code=UNSAFE).stderr


@SQLITE
def test_a_branch_that_was_moved_back_is_a_force_push_and_not_only_older(begun: Desk) -> None:
    diverge(begun)
    applied = begun.git("rev-parse", "HEAD").strip()[:12]
    begun.git("reset", "-q", "--hard", "HEAD~1")
    for command in (("plan",), ("plan", "--working-tree"), ("plan", "--rev", "main"), ("apply", "--yes")):
        said = begun.accord(*command, code=UNSAFE).stderr
        assert "which `main` no longer contains: a force-push" in said and "nothing to apply" not in said
        assert f"push {applied} or" in said and "--allow-rewind" in said
    assert begun.accord.json("plan", "--allow-rewind")["rewind"]


@SQLITE
@pytest.mark.parametrize("branch", ["main", "origin/main"])
def test_the_branch_that_is_planned_tells_whether_history_was_rewritten(begun: Desk, tmp_path: Path, branch: str) -> None:
    clone = begun.config.rename(tmp_path / "server")
    subprocess.run(["git", "clone", "-q", str(clone), str(begun.config)], check=True)
    part(begun)
    begun.git("update-ref", "refs/remotes/origin/main", "main")
    begun.git("update-ref", "refs/remotes/other/main", "main")
    begun.accord("apply", "--yes", "--branch", branch)
    assert begun.accord.json("plan", "--branch", branch, "--rev", "feature")["merge"] == "behind"
    begun.git("reset", "-q", "--hard", "HEAD~1")
    begun.write("users/frank.yaml", user("frank"))
    begun.commit("Another history")
    begun.git("update-ref", "refs/remotes/origin/main", "main")
    for command in (("plan",), ("plan", "--working-tree"), ("plan", "--rev", "feature")):
        said = begun.accord(*command, "--branch", branch, code=UNSAFE).stderr
        assert f"which `{branch}` no longer contains: a force-push" in said


@SQLITE
def test_a_local_branch_that_was_only_not_pulled_is_no_force_push(begun: Desk, tmp_path: Path) -> None:
    clone = begun.config.rename(tmp_path / "server")
    subprocess.run(["git", "clone", "-q", str(clone), str(begun.config)], check=True)
    before = begun.git("rev-parse", "HEAD").strip()
    begun.write("users/dave.yaml", user("dave"))
    begun.commit("Dave")
    begun.accord("apply", "--yes")
    begun.git("update-ref", "refs/remotes/origin/main", "main")
    begun.git("reset", "-q", "--hard", before)
    assert begun.accord.json("plan")["merge"] == "older"
    begun.git("switch", "-q", "-c", "feature")
    begun.write("users/carol.yaml", user("carol"))
    begun.commit("Carol")
    assert begun.accord.json("plan", "--rev", "HEAD")["merge"] == "behind"
    assert changes(begun, "--working-tree") == [("create", "carol")]
    begun.git("update-ref", "refs/remotes/origin/main", before)
    for command in (("plan",), ("plan", "--working-tree"), ("plan", "--rev", "HEAD")):
        said = begun.accord(*command, code=UNSAFE).stderr
        assert "which `main` no longer contains: a force-push" in said
    begun.git("update-ref", "refs/remotes/origin/main", "feature")
    assert "a force-push" in begun.accord("plan", code=UNSAFE).stderr


@SQLITE
def test_a_shallow_clone_is_named_with_what_helps(begun: Desk, tmp_path: Path) -> None:
    diverge(begun)
    clone = ["git", "clone", "-q", "--depth", "1", f"file://{begun.config}", str(tmp_path / "shallow")]
    subprocess.run(clone, check=True)
    begun.git("commit", "-q", "--allow-empty", "-m", "On")
    begun.accord("apply", "--yes")
    said = begun.accord("plan", "--repository", str(tmp_path / "shallow"), code=UNSAFE).stderr
    assert "a shallow clone: fetch the whole history" in said and "fetch-depth: 0" in said
