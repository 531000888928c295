"""A work tree beside its commits: where it stands, how many files are not committed, and its files as a commit."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from reconciler.access.resources import Revision
from reconciler.source.documents import LARGEST_FILE
from reconciler.source.errors import SourceError
from reconciler.source.folder import find_ignore_files, ignoring_in, list_files
from reconciler.source.git_command import find_repository
from reconciler.source.ignoring import IGNORE_FILE
from reconciler.source.repository import Repository, object_id
from reconciler.source.revision_names import checked_out
from reconciler.source.scratch import Scratch, borrow
from reconciler.source.selection import is_candidate


class Standing(NamedTuple):
    """The branch (None if none is checked out) and commit of a work tree, the commits by which they differ from another one,
    and the number of files with resources that are not committed."""

    branch: str | None
    commit: str
    ahead: int
    behind: int
    uncommitted: int


def find_standing(location: str, planned: str, path: str) -> Standing | None:
    """Tell where the work tree at a location stands to a commit; None without a work tree or without commits."""
    git_dir, top = find_repository(location)
    if top is None:
        return None
    repository = Repository(git_dir, location)
    head = _checked_out(repository)
    if head is None:
        return None
    commit, branch = head
    ahead, behind = (0, 0) if commit == planned else _distance(repository, planned, commit)
    return Standing(branch, commit, ahead, behind, _uncommitted(repository, commit, Path(top), path))


def _uncommitted(repository: Repository, commit: str, top: Path, path: str) -> int:
    """Count the files with resources in a folder that are not as in the commit that is checked out."""
    prefix = len(f"{path}/") if path else 0
    suspects = [(name, old) for name, old in _suspects(repository, commit, str(top), path) if _matters(name[prefix:])]
    ignored = ignoring_in(top / path)
    return sum(
        not ignored(name[prefix:]) and not (top / name).is_symlink() and (old is None or not _holds(top / name, old))
        for name, old in suspects
    )


def _matters(relative: str) -> bool:
    return is_candidate(relative) or relative.rpartition("/")[2] == IGNORE_FILE


def _holds(file: Path, blob: str) -> bool:
    """Tell whether a file has the content of a blob."""
    content = _content(file)
    return content is not None and content[0] != "120000" and object_id(content[1], len(blob)) == blob


def _content(file: Path) -> tuple[str, bytes] | None:
    """Return a file's mode, as Git knows it, and what Git would keep of it; None if there is no file or link."""
    try:
        mode = file.lstat().st_mode
        if stat.S_ISLNK(mode):
            return "120000", os.fsencode(file.readlink())
        if not stat.S_ISREG(mode):
            return None
        with file.open("rb") as stream:  # a little more than the limit is enough to be refused
            return ("100755" if mode & stat.S_IXUSR else "100644"), stream.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SourceError(f"cannot read `{file}`: {error.strerror}") from None


@contextmanager
def as_commit(repository: Repository, path: str) -> Iterator[tuple[Scratch, Revision, str]]:
    """Make a commit of the files with resources in the folder, as `accord validate` reads them, on top of the one checked out.

    Yields the temporary repository that has it, the revision that is checked out, and the commit. Raises SourceError.
    """
    top = repository.top
    if top is None:
        raise SourceError(f"{repository.origin()} has no working tree; name a revision, such as --rev main")
    head = repository.resolve("HEAD")
    committed = _committed(repository, head.commit, path)
    prefix = f"{path}/" if path else ""
    present = {os.fsencode(file.relative_to(top)) for _, file in list_files(Path(top) / path)[0]}
    known = {name for name in committed if is_candidate(os.fsdecode(name)[len(prefix) :])}
    ignore_files = {os.fsencode(file.relative_to(top)) for file in find_ignore_files(Path(top) / path)}
    ignore_files |= {name for name in committed if name.rpartition(b"/")[2] == os.fsencode(IGNORE_FILE)}
    names = present | known | ignore_files
    changed: list[tuple[bytes, str | None]] = []
    with borrow(repository, len(head.commit)) as scratch:
        for name in sorted(names):
            found = _content(Path(top, os.fsdecode(name)))
            entry = None if found is None else f"{found[0]} {object_id(found[1], len(head.commit))}"
            if entry != committed.get(name):
                changed.append((name, entry))
                if found is not None:
                    scratch.write(found[1], len(head.commit))
        if any(entry is None for _, entry in changed):
            left_out = find_left_out(repository, top, path)  # of a sparse checkout: these are as they are committed
            changed = [(name, entry) for name, entry in changed if entry is not None or name not in left_out]
        yield scratch, head, scratch.changed_commit(head.commit, changed)


def _committed(repository: Repository, commit: str, path: str) -> dict[bytes, str]:
    """Return mode and blob of each file of a commit in a folder."""
    rows = repository.git.run("ls-tree", "-r", "-z", commit, *_within(path), stdout_as_string=False).split(b"\0")[:-1]
    parted = (row.partition(b"\t") for row in rows)
    return {name: f"{meta[:6].decode()} {meta[12:].decode()}" for meta, _, name in parted}


def find_left_out(repository: Repository, top: str, path: str) -> set[bytes]:
    """Return the files that a sparse checkout leaves out of a folder."""
    listed = _beside(repository, top, "ls-files", "-t", "-z", *_within(path))
    return {row[2:] for row in listed.split(b"\0") if row.startswith(b"S ")}


def _checked_out(repository: Repository) -> tuple[str, str | None] | None:
    """Return the commit and the branch that are checked out; None before the first commit."""
    commit = checked_out(repository.git)
    if commit is None:
        return None
    reference = repository.git.find("symbolic-ref", "--quiet", "HEAD")
    return commit, reference.removeprefix("refs/heads/") if reference.startswith("refs/heads/") else None


def _distance(repository: Repository, planned: str, commit: str) -> tuple[int, int]:
    """Return how many commits a commit is ahead of another one, and how many it is behind."""
    behind, ahead = repository.git.run("rev-list", "--left-right", "--count", f"{planned}...{commit}").split()
    return int(ahead), int(behind)


def _suspects(repository: Repository, commit: str, top: str, path: str) -> Iterator[tuple[str, str | None]]:
    """Yield each file that may differ from the commit that is checked out, and its blob there, if only its content can tell."""
    with borrow(repository, len(commit)) as scratch:
        raw = scratch.differing(Path(repository.git_dir), commit, top, _within(path))
    parts = raw.split(b"\0")[:-1]
    for meta, name in zip(parts[::2], parts[1::2], strict=True):
        _, _, old, new, letter = meta.decode().split(" ")
        yield os.fsdecode(name), old if letter == "M" and not new.strip("0") else None
    untracked = _beside(repository, top, "ls-files", "-z", "--others", "--exclude-standard", *_within(path))
    for name in untracked.split(b"\0")[:-1]:
        yield os.fsdecode(name), None


def _beside(repository: Repository, top: str, *arguments: str) -> bytes:
    """Run git in a work tree."""
    found: bytes = repository.git.run("--work-tree", top, *arguments, folder=top, stdout_as_string=False)
    return found


def _within(path: str) -> tuple[str, ...]:
    return ("--", f":(literal){path}/") if path else ()
