"""Proposals in the config repository: the commit that one is, made in a temporary repository; the branches of others."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

from reconciler.access.resources import Revision
from reconciler.source.errors import MergeConflict, SourceError
from reconciler.source.pushing import Branch
from reconciler.source.repository import Repository
from reconciler.source.scratch import ISOLATED, Scratch
from reconciler.source.selection import path_shown_as, shown_path

PREFIX = "accord/"
"""What the names of proposals' branches begin with."""
TRAILER = "Proposed-by"
MOST = 100
"""How many proposals are looked at: the newest."""
_MOST_FILES, _LARGEST_DIFF = 2_000, 4 << 20
_SECONDS = 10
_REGULAR, _FOLDER = ("100644", "100755"), "040000"

State = Literal["open", "merged", "stale"]
"""Whether a proposal could be merged, is contained in the head, or no longer applies to it."""


class FileChange(NamedTuple):
    """A file by its shown name, and its blobs before and after; None without one."""

    path: str
    before: str | None
    after: str | None


class BranchState(NamedTuple):
    """A branch below `accord/`: its commit, where it left the configured branch, its files, and how it stands."""

    branch: Branch
    revision: Revision
    base: str | None
    files: tuple[str, ...]
    state: State
    proposed_by: str | None = None


def committed_at(repository: Repository, commit: str) -> int:
    """Return when a commit was made, in seconds since 1970."""
    raw: bytes = repository.git.run("cat-file", "commit", commit, stdout_as_string=False)
    found = re.search(rb"^committer .*> (\d{1,12})", raw.partition(b"\n\n")[0], re.MULTILINE)
    return int(found[1]) if found else 0


def message_of(repository: Repository, commit: str) -> str:
    """Return what a commit says, whole."""
    raw: bytes = repository.git.run("cat-file", "commit", commit, stdout_as_string=False)
    return raw.partition(b"\n\n")[2][:100_000].decode("utf-8", "replace").replace("\0", "\ufffd")


def changed_tree(scratch: Scratch, base: str, files: Mapping[str, bytes | None]) -> str:
    """Keep the bytes of files, given by their shown names, and return the base's tree with them.

    Raises SourceError for a path at which the base has a link or a folder, or anything but a folder above it.
    """
    entries: list[tuple[bytes, str | None]] = []
    for shown, content in sorted(files.items()):
        name = path_shown_as(shown)
        mode = _mode(scratch, base, name) or _REGULAR[0]
        above = _in_the_way(scratch, base, name)
        if mode not in _REGULAR or above is not None:
            what = f"`{shown}` is not a regular file" if above is None else f"`{shown_path(above)}` is not a folder"
            raise SourceError(f"{what} in {base[:12]}, and nothing can be written there")
        raw = name.encode("utf-8", "surrogateescape")
        entries.append((raw, None if content is None else f"{mode} {scratch.write(content, len(base))}"))
    return scratch.changed_tree(base, entries)


def is_free(repository: Repository, commit: str, shown: str) -> bool:
    """Tell whether a new file, given by its shown name, would replace nothing in a commit."""
    name = path_shown_as(shown)
    return not _mode(repository, commit, name) and _in_the_way(repository, commit, name) is None


def _in_the_way(repository: Repository, commit: str, name: str) -> str | None:
    """Return the path above a file's at which the commit has anything but a folder, which git would replace by one."""
    above = (name[: found.start()] for found in re.finditer("/", name))
    return next((path for path in above if _mode(repository, commit, path) not in ("", _FOLDER)), None)


def _mode(repository: Repository, commit: str, name: str) -> str:
    """Return the mode of what a commit has at a path; empty if there is nothing."""
    listed: bytes = repository.git.run("ls-tree", "-z", commit, "--", f":(literal){name}", stdout_as_string=False)
    return listed[:6].decode()


def file_changes(repository: Repository, before: str, after: str) -> list[FileChange]:
    """List the files that differ between two commits or trees. Raises SourceError if there are too many."""
    raw = repository.git.run("diff-tree", "-r", "--raw", "-z", "--no-renames", before, after, stdout_as_string=False)
    parts = raw.split(b"\0")[:-1]
    if len(parts) > 2 * _MOST_FILES:
        raise SourceError(f"more than {_MOST_FILES:,} files differ between {before[:12]} and {after[:12]}")
    found = []
    for meta, name in zip(parts[::2], parts[1::2], strict=True):
        _, _, old, new, _ = meta.decode().split(" ")
        shown = shown_path(name.decode("utf-8", "surrogateescape"))
        found.append(FileChange(shown, old if old.strip("0") else None, new if new.strip("0") else None))
    return found


def blobs_at(repository: Repository, commit: str, paths: list[str]) -> dict[str, str | None]:
    """Return the blob of each path, given by its shown name, in a commit."""
    found: dict[str, str | None] = {}
    for shown in paths:
        listed = repository.git.run("ls-tree", "-z", commit, "--", f":(literal){path_shown_as(shown)}", stdout_as_string=False)
        found[shown] = listed.partition(b"\t")[0].decode().rpartition(" ")[2] or None
    return found


def diff_of(repository: Repository, before: str, after: str) -> str:
    """Return the unified diff between two commits; empty if it is too large to be shown."""
    return _shown(repository, "diff-tree", "-r", "-p", "--full-index", *_PLAINLY, before, after)


def mailed_patch(repository: Repository, commit: str) -> str:
    """Return a commit as `git format-patch` writes it for `git am`; empty if it is too large."""
    return _shown(repository, "format-patch", "--stdout", "-1", "--no-signature", "--full-index", *_PLAINLY, commit)


_PLAINLY = ("--text", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-color")


def _shown(repository: Repository, *arguments: str) -> str:
    ended = repository.git.attempt_within(_SECONDS, *arguments, most=_LARGEST_DIFF, env=ISOLATED)
    return ended.output if ended.status == 0 else ""


def find_branches(repository: Repository, unmerged: str | None = None) -> list[Branch]:
    """List the branches below `accord/`, those with the newest commits first; or only those that a commit does not contain."""
    options = ["--format=%(objectname) %(objecttype) %(refname)", "--sort=-committerdate", f"--count={MOST}"]
    options += [f"--no-merged={unmerged}"] if unmerged else []
    raw: bytes = repository.git.run("for-each-ref", *options, f"refs/heads/{PREFIX}", stdout_as_string=False)
    rows = (row.decode("utf-8", "replace").split(" ", 2) for row in raw.splitlines())
    return [Branch(name.removeprefix("refs/heads/"), commit) for commit, kind, name in rows if kind == "commit"]


def find_proposal(repository: Repository, name: str) -> Branch | None:
    """Return the branch of a proposal by its whole name; None without one."""
    if not name.startswith(PREFIX) or not name.isprintable() or len(name) > 250 or re.search(r"[*?\[\s\\]|\.\.", name):
        return None
    raw: str = repository.git.run("for-each-ref", "--format=%(objectname) %(objecttype) %(refname)", f"refs/heads/{name}")
    rows = (row.split(" ", 2) for row in raw.splitlines())
    return next((Branch(name, commit) for commit, kind, ref in rows if kind == "commit" and ref == f"refs/heads/{name}"), None)


def touched(repository: Repository, head: str, commit: str) -> tuple[str | None, tuple[str, ...]]:
    """Return where a commit's history leaves that of the head, and the files that changed since; None: they have nothing in
    common."""
    base = repository.git.find("merge-base", head, commit)
    if not base:
        return None, ()
    raw = repository.git.run("diff-tree", "-r", "-z", "--name-only", "--no-renames", base, commit, stdout_as_string=False)
    names = raw.split(b"\0")[:-1][:_MOST_FILES]
    return base, tuple(shown_path(name.decode("utf-8", "surrogateescape")) for name in names)


def states(repository: Repository, scratch: Scratch, head: str) -> Iterator[BranchState]:
    """Yield every proposal's branch, and how it stands to the head."""
    for branch in find_branches(repository):
        yield state_of(repository, scratch, head, branch)


def state_of(repository: Repository, scratch: Scratch, head: str, branch: Branch) -> BranchState:
    """Return how a proposal's branch stands to the head."""
    base, files = touched(repository, head, branch.commit)
    if base == branch.commit and (parent := repository.parent(base)) is not None:  # merged as it is
        files = tuple(change.path for change in file_changes(repository, parent, base))
    state: State = "stale"
    if base is not None and is_contained(scratch, head, branch.commit):
        state = "merged"
    elif base is not None and merged_tree(scratch, head, branch.commit) is not None:
        state = "open"
    proposer = proposed_by(message_of(repository, branch.commit))
    return BranchState(branch, repository.resolve(branch.commit), base, files, state, proposer)


def merged_tree(scratch: Scratch, head: str, commit: str) -> str | None:
    """Return the tree of a merge of a commit into the head, or None if they conflict."""
    try:
        return scratch.merge(head, commit)
    except MergeConflict:
        return None


def is_contained(scratch: Scratch, head: str, commit: str) -> bool:
    """Tell whether the head has what a commit changed: merging it would change nothing, or its patch is among the head's."""
    tree = merged_tree(scratch, head, commit)
    if tree is not None:
        return tree == scratch.tree(head)
    ended = scratch.git.attempt_within(_SECONDS, "cherry", head, commit, env=ISOLATED)
    marks = [line[:1] for line in ended.output.splitlines()]
    return ended.status == 0 and bool(marks) and set(marks) == {"-"}


def proposed_by(message: str) -> str | None:
    """Return who proposed a commit, by the trailer at the end of its message; None without one."""
    last = re.split(r"\n\s*\n", message.rstrip())[-1]
    found = re.search(rf"^{TRAILER}: (.+)$", last, re.MULTILINE)
    return found[1] if found else None
