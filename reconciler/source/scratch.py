"""A repository in a temporary folder that borrows another one's objects: what is made in it, the other one never sees.

It has a configuration of its own, so nothing that the other one configures, such as a merge driver, can run.
"""

from __future__ import annotations

import os
import shutil
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import NamedTuple

from reconciler.source.errors import MergeConflict, SourceError
from reconciler.source.git_command import fed
from reconciler.source.repository import Repository, leave_quarantine, object_id
from reconciler.wording.text import printable

ISOLATED = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
"""Variables by which git reads no configuration but the repository's own."""
_NOBODY = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in {
    "NAME": "accord", "EMAIL": "accord@localhost", "DATE": "1000000000 +0000",
}.items()}  # fmt: skip
_MOST_NAMED = 5
_SHA256 = 64


class Record(NamedTuple):
    """What a commit says beside its files. Author and committer are names with addresses; the time is in seconds since 1970."""

    author: tuple[str, str]
    committer: tuple[str, str]
    time: int
    message: str


class Scratch(Repository):
    """The temporary repository. It has no branches: those of the one it borrows from, the lender, count."""

    def __init__(self, git_dir: str, lender: Repository) -> None:
        super().__init__(git_dir, lender.origin())
        self._lender = lender

    def holds(self, branch: str, commit: str) -> bool | None:
        """Tell whether a branch of the lender contains a commit."""
        return self._lender.holds(branch, commit)

    def initialise(self, form: int, objects: Iterable[str]) -> None:
        """Make the repository, whose ids have the given length, and let it read objects in other folders."""
        root = Path(self.git_dir)
        for folder in ("objects/info", "refs"):
            (root / folder).mkdir(parents=True)
        (root / "HEAD").write_text("ref: refs/heads/main\n")
        version = "1\n[extensions]\n\tobjectFormat = sha256\n" if form == _SHA256 else "0\n"
        (root / "config").write_text(f"[core]\n\tbare = true\n\trepositoryFormatVersion = {version}")
        quoted = ('"' + place.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"' for place in objects)
        (root / "objects/info/alternates").write_bytes(b"".join(os.fsencode(place) + b"\n" for place in quoted))

    def merge(self, ours: str, theirs: str) -> str:
        """Return the tree of the merge of two commits. Raises MergeConflict, which names the files, or SourceError."""
        status, said, errors = self.git.run(
            "merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", ours, theirs,
            with_exceptions=False, with_extended_output=True, env=ISOLATED,
        )  # fmt: skip
        tree, *files = said.split("\0")[:-1] or [""]
        if status == 0 and tree:
            return str(tree)
        if status == 1 and files:
            rest = f" and {len(files) - _MOST_NAMED:,} more" if len(files) > _MOST_NAMED else ""
            raise MergeConflict(f"they conflict in {', '.join(files[:_MOST_NAMED])}{rest}")
        if "unrelated histories" in errors:
            raise MergeConflict("they have no history in common")
        if "usage:" in errors:
            raise MergeConflict("git before 2.38 cannot merge without a work tree")
        raise SourceError(f"git cannot merge {theirs[:12]} with {ours[:12]} in {self.origin()}: {errors.strip()[-300:]}")

    def differing(self, git_dir: Path, commit: str, top: str, where: Iterable[str]) -> bytes:
        """Return what `git diff-index` says of a work tree, whose index is in its Git folder, beside a commit.

        Where time and size cannot tell, git compares contents as filters make them, and here there are none.
        """
        found: bytes = self.git.run(
            "-c", "core.sparseCheckout=true", "--work-tree", top,
            "diff-index", "-z", "--no-renames", "--ignore-submodules=all", commit, *where,
            folder=top, env={**ISOLATED, "GIT_INDEX_FILE": str(git_dir / "index")}, stdout_as_string=False,
        )  # fmt: skip
        return found

    def write(self, content: bytes, form: int) -> str:
        """Keep bytes as a blob and return its id; `form` is the length of ids in this repository."""
        name = object_id(content, form)
        file = Path(self.git_dir, "objects", name[:2], name[2:])
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(zlib.compress(b"blob %d\0" % len(content) + content, 1))
        return name

    def changed_tree(self, commit: str, entries: Iterable[tuple[bytes, str | None]]) -> str:
        """Return a commit's tree with other entries: path, and mode and blob as git writes them, or None for a path to remove."""
        removed = f"0 {'0' * len(commit)}"
        self.git.run("read-tree", commit)
        with TemporaryFile() as lines:
            for name, entry in entries:
                lines.write((entry or removed).encode() + b"\t" + name + b"\0")
            lines.seek(0)
            self.git.run("update-index", "-z", "--index-info", istream=lines)
        tree: str = self.git.run("write-tree").strip()
        return tree

    def changed_commit(self, commit: str, entries: Iterable[tuple[bytes, str | None]]) -> str:
        """Return a commit with other entries, as `changed_tree` takes them."""
        return self.child_of(commit, self.changed_tree(commit, entries))

    def child_of(self, commit: str, tree: str) -> str:
        """Return a commit of a tree, which nobody is to see, on top of another commit."""
        made: str = self.git.run("commit-tree", "-p", commit, "-m", "The working tree", tree, env=_NOBODY).strip()
        return made

    def commit(self, parent: str, tree: str, record: Record, seconds: float, signing_key: str | None) -> str:
        """Return a commit of a tree on top of another one, which is the same for the same record: its dates are given.

        Raises SourceError, also if it cannot be signed within so many seconds, or with signatures that differ each time.
        """
        identity = {
            f"GIT_{role}_{key}": value
            for role, (name, email) in (("AUTHOR", record.author), ("COMMITTER", record.committer))
            for key, value in (("NAME", name), ("EMAIL", email), ("DATE", f"{record.time} +0000"))
        }
        key = ("-c", "gpg.format=ssh", "-c", "gpg.ssh.program=ssh-keygen") if signing_key else ()
        sign = (f"-S{signing_key}",) if signing_key else ()
        made = set()
        for _ in range(2 if signing_key else 1):
            with fed(record.message.encode()) as reading:
                ended = self.git.attempt_within(
                    seconds, *key, "commit-tree", *sign, "-p", parent, "-F", "-", tree,
                    istream=reading, env={**ISOLATED, **identity, "SSH_ASKPASS_REQUIRE": "never"},
                )  # fmt: skip
            if ended.status != 0:
                what = "git cannot sign the commit" if signing_key else "git cannot make the commit"
                raise SourceError(f"{what}: {printable(ended.errors.strip())[-300:] or 'it took too long'}")
            made.add(ended.output.strip())
        if len(made) > 1:
            raise SourceError("the signing key signs the same commit differently each time; use a key of type ed25519")
        return made.pop()


@contextmanager
def borrow(repository: Repository, form: int) -> Iterator[Scratch]:
    """Make a temporary repository that reads another one's objects, whose ids have the given length."""
    with TemporaryDirectory(prefix="accord-", ignore_cleanup_errors=True) as folder:
        objects, shallow = repository.object_folders()
        scratch = Scratch(folder, repository)
        leave_quarantine(None)  # what is made here belongs to nobody's push
        scratch.initialise(form, objects)
        if shallow.is_file():
            shutil.copyfile(shallow, Path(folder) / "shallow")
        yield scratch
