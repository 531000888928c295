"""The config repository: commits, files and history, read from the object store, never from a checkout."""

from __future__ import annotations

import codecs
import os
import re
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha1, sha256
from pathlib import Path
from typing import Any, Literal, NamedTuple

from reconciler.access.problems import Problem
from reconciler.access.resources import Revision
from reconciler.source.documents import LARGEST_FILE
from reconciler.source.errors import RepositoryUnreachable, ShallowRepository, SourceError, UnknownRevision
from reconciler.source.git_command import ALTERNATES, OBJECTS, QUARANTINE, GitCommand, fed, find_repository, is_pushed_to
from reconciler.source.ignoring import IGNORE_FILE, Ignoring, read_ignore_files
from reconciler.source.location import is_remote, parse_remote, shown_location
from reconciler.source.mirror import REMOTE_TIMEOUT, fetch_mirror
from reconciler.source.overlooked import What, is_misnamed, judge, looks_like_resource, select
from reconciler.source.revision_names import find_branch, last_fetched, refuse_doubtful, unknown
from reconciler.source.selection import is_visible, path_shown_as, shown_path

_QUADRATIC = ("punycode", "idna")
"""Encodings of domain names, which Git does not know, and which take time that grows with the square of a commit's size."""
_WHAT: dict[str, What] = {"160000": "repository", "120000": "link"}


Relation = Literal["descends", "older", "diverged", "absent"]
"""How a revision stands to another one: it is or descends from it, the other one contains it, each has commits of its own, or
the other one is not in the repository."""


class Tree(NamedTuple):
    """A commit's files with resources (path from the root, blob id), and warnings about skipped ones."""

    files: list[tuple[str, str]]
    skipped: list[Problem]


class ChangedFile(NamedTuple):
    """A file that differs between two commits; its blob is None in a commit without the file.

    Without either blob, a reading of the new commit warns about what is there.
    """

    path: str
    old_blob: str | None
    new_blob: str | None


class Repository:
    """A repository whose Git folder is on this machine."""

    def __init__(self, git_dir: str, named: str | None = None, *, mend: Callable[[], object] | None = None) -> None:
        self.git_dir = git_dir
        self.top: str | None = None
        """The top of the work tree that the folder that was named is in."""
        self.git = GitCommand(git_dir, named or git_dir, mend=mend)

    @classmethod
    def open(cls, location: str, cache: Path, without_tls: Collection[str] = (), within: float = REMOTE_TIMEOUT) -> Repository:
        """Open the repository at a path, or an up-to-date mirror of the one at a URL (see `location.parse_remote`), which has
        so many seconds.

        Raises RepositoryUnreachable if there is no repository.
        """
        if "\0" in location or location.startswith("-"):
            raise RepositoryUnreachable(f"`{shown_location(location)!r}` is not the location of a repository")
        if "::" in location.split("/", 1)[0]:
            transport = shown_location(location.split("::", maxsplit=1)[0])
            raise RepositoryUnreachable(f"`{transport}::` is a transport that can run programs; Accord does not use it")
        if is_remote(location):
            remote = parse_remote(location, without_tls)
            leave_quarantine(None)
            mirror = fetch_mirror(remote, cache, within=within)
            return cls(str(mirror), location, mend=lambda: fetch_mirror(remote, cache, anew=True, within=within))
        try:
            found = Path(location).is_dir()
        except OSError:  # for example, the name is too long
            found = False
        if not found:
            named = shown_location(location)[:200]
            raise RepositoryUnreachable(f"there is no repository at `{named}`; give its path or URL with --repository")
        git_dir, top = find_repository(location)
        leave_quarantine(git_dir)
        opened = cls(git_dir, location)
        opened.top = top
        return opened

    def origin(self) -> str:
        """The repository's name in messages, without credentials."""
        return self.git.origin

    def resolve(self, rev: str) -> Revision:
        """Return the commit that a revision names. Raises UnknownRevision, suggesting the nearest branch or tag."""
        return self._revision(self._id(rev, "commit"))

    def tree(self, rev: str) -> str:
        """Return the id of a revision's tree: a commit's, or one that `git write-tree` made. Raises UnknownRevision."""
        return self._id(rev, "tree")

    def staged(self, index: str | None) -> str:
        """Return the id of the tree that an index (by default the repository's own) holds, as a commit would have it."""
        place = {} if index is None else {"GIT_INDEX_FILE": os.path.abspath(index)}  # noqa: PTH100 - must not follow links
        tree: str = self.git.run("write-tree", env=place).strip()
        return tree

    def _id(self, rev: str, kind: str) -> str:
        refuse_doubtful(self.git, rev)
        return self._peeled(rev, kind, rev)

    def _peeled(self, rev: str, kind: str, named: str) -> str:
        try:
            found: str = self.git.run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{rev}^{{{kind}}}").strip()
        except SourceError as error:
            if isinstance(error, RepositoryUnreachable):
                raise
            raise unknown(self.git, named) from None
        return found

    def head(self, branch: str) -> Revision:
        """Return the head of a branch, local or last fetched from `origin`; never a tag of the same name.

        Raises UnknownRevision, suggesting the nearest name.
        """
        if branch == "HEAD":
            return self.resolve(branch)
        return self._revision(self._peeled(find_branch(self.git, branch), "commit", branch))

    def _revision(self, commit: str) -> Revision:
        head, _, message = _decoded(self.git.run("cat-file", "commit", commit, stdout_as_string=False)).partition("\n\n")
        fields = dict(line.split(" ", 1) for line in reversed(head.split("\n")) if " " in line and not line.startswith(" "))
        author = re.match(r"(.*?) ?<([^>]*)> (-?[0-9]{1,18})", fields.get("author", ""))
        name, seconds = (author[1] or author[2], int(author[3])) if author else ("unknown", 0)
        return Revision(commit, name, _instant(seconds), message.strip().split("\n")[0][:200])

    def entries(self, commit: str, path: str) -> Tree:
        """List a commit's files with resources in a folder. Raises SourceError if the folder does not exist."""
        where = ["--", f":(literal){path}/"] if path else []
        listing = self.git.run("ls-tree", "-r", "-z", commit, *where, stdout_as_string=False)
        if path and not listing:
            raise SourceError(f"there is no folder `{path}` in {commit[:12]}")
        return self._select(listing, path)

    def _select(self, listing: bytes, path: str) -> Tree:
        prefix = f"{path}/" if path else ""
        cut = len(prefix)
        entries: list[tuple[str, What, str]] = []
        ignore_files = []
        for row in listing.split(b"\0")[:-1]:
            meta, _, raw = row.partition(b"\t")
            name, mode, blob = raw.decode("utf-8", "surrogateescape"), meta[:6].decode(), meta[12:].decode()
            entries.append((name[cut:], _WHAT.get(mode, "file"), blob))
            if name.endswith(IGNORE_FILE):
                ignore_files.append((name, mode, blob))
        ignoring, refused = self._ignoring(ignore_files, cut)
        if refused:
            return Tree([], refused)
        found, skipped = select(entries, ignoring, self._contents)
        return Tree(
            [(shown_path(prefix + name), blob) for name, blob in found],
            [warning._replace(file=shown_path(prefix + name)) for name, warning in skipped],
        )

    def _ignoring(self, found: Sequence[tuple[str, str, str]], cut: int) -> tuple[Ignoring, list[Problem]]:
        """Read ignore files, given as path, mode and blob."""
        used = [(name, _regular(mode, blob)) for name, mode, blob in found if _is_ignore_file(name[cut:])]
        contents = iter(self._contents([blob for _, blob in used if blob is not None]))
        return read_ignore_files(
            (name[cut:].rpartition("/")[0], shown_path(name), None if blob is None else next(contents)) for name, blob in used
        )

    def _contents(self, blobs: Sequence[str]) -> Iterable[bytes | None]:
        return (content for _, content in self.read(blobs)) if blobs else ()

    def changed(self, old: str, new: str, path: str) -> list[ChangedFile] | None:
        """List the files with resources that differ between two commits; None if that cannot be determined."""
        if not self.has(old):
            return None
        where = ["--", f":(literal){path}/"] if path else []
        options = ("-r", "--raw", "-z", "--no-renames", "--no-ext-diff", "--ignore-submodules=none")
        raw = self.git.run("diff-tree", *options, old, new, *where, stdout_as_string=False)
        prefix = f"{path}/" if path else ""
        parts = raw.split(b"\0")[:-1]
        found = []
        names = [part.decode("utf-8", "surrogateescape") for part in parts[1::2]]
        if any(_is_ignore_file(name[len(prefix) :]) for name in names if name.endswith(IGNORE_FILE)):
            return None
        ignoring, refused = self._ignoring(self._ignore_file(new, prefix), len(prefix))
        if refused:
            return None
        doubtful: list[tuple[str, str]] = []
        for meta, name in zip(parts[::2], names, strict=True):
            old_mode, new_mode, old_blob, new_blob, _ = meta.decode()[1:].split(" ")
            relative = name[len(prefix) :]
            old_file, new_file = _regular(old_mode, old_blob), _regular(new_mode, new_blob)
            before = judge(relative, "file", ignoring)[0] if old_file else "unseen"
            after = judge(relative, _WHAT.get(new_mode, "file"), ignoring)[0] if new_blob.strip("0") else "unseen"
            if after == "doubtful" and new_file:
                doubtful.append((name, new_file))
            elif after == "refused":
                found.append(ChangedFile(shown_path(name), None, None))  # a full reading warns about it
            elif "read" in (before, after):
                found.append(ChangedFile(shown_path(name), old_file, new_file))
        contents = self._contents([blob for _, blob in doubtful])
        found += [
            ChangedFile(shown_path(name), None, None)
            for (name, _), content in zip(doubtful, contents, strict=True)
            if looks_like_resource(content) or is_misnamed(name)
        ]
        return found

    def _ignore_file(self, commit: str, prefix: str) -> list[tuple[str, str, str]]:
        """Find the ignore file of a folder: path, mode and blob."""
        listing = self.git.run("ls-tree", "-z", commit, "--", f":(literal){prefix}{IGNORE_FILE}", stdout_as_string=False)
        rows = (row.partition(b"\t") for row in listing.split(b"\0")[:-1])
        return [(raw.decode("utf-8", "surrogateescape"), meta[:6].decode(), meta[12:].decode()) for meta, _, raw in rows]

    def content(self, commit: str, name: str) -> bytes | None:
        """Return a file's bytes in a commit, by its shown name; None if it is missing, not a regular file, or too large."""
        blob = self._blob_at(commit, path_shown_as(name))
        return None if blob is None else next(self.read([blob]))[1]

    def _blob_at(self, commit: str, name: str) -> str | None:
        found = self.git.run("ls-tree", "-z", commit, "--", f":(literal){name}", stdout_as_string=False)
        mode, _, blob = found.partition(b"\t")[0].decode().rpartition(" blob ")
        return _regular(mode, blob)

    def read(self, blobs: Iterable[str]) -> Iterator[tuple[str, bytes | None]]:
        """Yield the bytes of blobs, in order, from one `git cat-file --batch`; None for a blob that is too large.

        Raises RepositoryUnreachable if a blob is missing or damaged.
        """
        waiting = deque(blobs)
        while waiting:
            with self._batch(waiting) as answers:
                content: bytes | None = b""
                while waiting and content is not None:  # stop git at a blob that is too large, and start it again
                    try:
                        content = _answer(answers, waiting[0], self.origin())
                    except RepositoryUnreachable as error:
                        if not self.mend():
                            raise self.git.explained(error) from None
                        break
                    yield waiting.popleft(), content

    def mend(self) -> bool:
        """Make a broken mirror anew, once; tell whether there was one."""
        return self.git.mend()

    @contextmanager
    def _batch(self, blobs: Iterable[str]) -> Iterator[Any]:
        """Yield git's stream of answers for the ids of blobs."""
        with fed("".join(f"{blob}\n" for blob in blobs).encode()) as reading:
            process = self.git.run("cat-file", "--batch", "--buffer", as_process=True, istream=reading)
        try:
            yield process.proc.stdout
        finally:
            for stream in (process.proc.stdout, process.proc.stderr):
                stream.close()
            process.proc.wait()

    def has(self, commit: str) -> bool:
        """Tell whether the repository has the commit."""
        try:
            self.git.run("cat-file", "-e", f"{commit}^{{commit}}")
        except RepositoryUnreachable:
            raise
        except SourceError:
            return False
        return True

    def parent(self, commit: str) -> str | None:
        """Return the first parent of a commit; None if it has none here."""
        return self.git.find("rev-parse", "--verify", "--quiet", f"{commit}^") or None

    def is_ancestor(self, old: str, new: str) -> bool:
        """Tell whether `new` is or descends from `old`. Raises ShallowRepository if the history is too short to tell."""
        relation = self.relation(old, new)
        if relation == "absent" and self.is_shallow():
            raise self._too_short(old, new)
        return relation == "descends"

    def relation(self, old: str, new: str) -> Relation:
        """Tell how `new`, which exists, stands to `old`. Raises ShallowRepository if the history is too short to tell."""
        if not self.has(old):
            # a damaged history lacks commits as well: walking it finds the damage, and mends a mirror
            self.git.run("-c", "core.commitGraph=false", "rev-list", "--quiet", new)
            if not self.has(old):
                return "absent"
        base = self.git.find("merge-base", old, new)
        if base == old:
            return "descends"
        if base == new:
            return "older"
        if self.is_shallow():
            raise self._too_short(old, new)
        return "diverged"

    def _too_short(self, old: str, new: str) -> ShallowRepository:
        return ShallowRepository(
            f"{self.origin()} is a shallow clone, too short to tell whether {new[:12]} descends from {old[:12]}; "
            "fetch the whole history (`git fetch --unshallow`, or fetch-depth: 0 in CI)"
        )

    def is_shallow(self) -> bool:
        """Tell whether the history was cut off."""
        return str(self.git.run("rev-parse", "--is-shallow-repository")).strip() == "true"

    def holds(self, branch: str, commit: str) -> bool | None:
        """Tell whether a branch, as `head` finds it, contains a commit that exists; None if there is no such branch.

        A local branch that lacks the commit may only not have been pulled since it was fetched.
        """
        try:
            head = self.head(branch).commit
        except UnknownRevision:
            return None
        if self.is_ancestor(commit, head):
            return True
        fetched = last_fetched(self.git, branch)
        return fetched is not None and self.is_ancestor(head, fetched) and self.is_ancestor(commit, fetched)

    def object_folders(self) -> tuple[list[str], Path]:
        """Return the folders with this repository's objects, and the file that says where its history was cut off."""
        said = self.git.run("rev-parse", "--git-path", "objects", "--git-path", "shallow").splitlines()
        objects, shallow = (os.path.abspath(os.path.join(self.git_dir, line)) for line in said)  # noqa: PTH100, PTH118 - as git
        borrowed = os.environ.get(ALTERNATES, "").split(":")
        return [objects, *(place for place in borrowed if place)], Path(shallow)

    def blame(self, commit: str, file: str, line: int) -> Revision:
        """Return the commit that last wrote a line of a file, given by its shown name.

        Raises ShallowRepository if the history is too short to tell.
        """
        raw = self.git.run(
            "blame",
            "--porcelain",
            "--no-textconv",
            "--no-ignore-revs-file",
            "-L",
            f"{line},{line}",
            commit,
            "--",
            path_shown_as(file),
            stdout_as_string=False,
        )
        brought = raw[:64].split(b" ")[0].decode()
        content = self.git.run("cat-file", "commit", brought)
        parents = re.findall(r"^parent ([0-9a-f]+)$", content.partition("\n\n")[0], re.MULTILINE)
        if not all(map(self.has, parents)):
            raise ShallowRepository(f"the history of {self.origin()} is too short to tell who wrote {file}:{line}")
        return self._revision(brought)


def leave_quarantine(git_dir: str | None) -> None:
    """Forget where a hook's pushed objects are, unless they were pushed to this repository."""
    if git_dir is None or not is_pushed_to(git_dir):
        for name in (OBJECTS, ALTERNATES, QUARANTINE):
            os.environ.pop(name, None)


def _is_ignore_file(relative: str) -> bool:
    folder, _, name = relative.rpartition("/")
    return name == IGNORE_FILE and is_visible(folder)


def _regular(mode: str, blob: str) -> str | None:
    return blob if mode in ("100644", "100755") else None


def _decoded(raw: bytes) -> str:
    """Return a commit as text, in the encoding that it names (i18n.commitEncoding), and fit to be stored."""
    named = re.search(rb"^encoding (\S+)$", raw.partition(b"\n\n")[0], re.MULTILINE)
    try:
        encoding = codecs.lookup(named[1].decode("ascii")).name if named else "utf-8"
        text = raw.decode("utf-8" if encoding in _QUADRATIC else encoding, "replace")
    except (LookupError, ValueError):  # a name with a NUL is no UnicodeError
        text = raw.decode("utf-8", "replace")
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "\ufffd")


def _answer(stream: Any, blob: str, origin: str) -> bytes | None:
    header = stream.readline().split()
    if len(header) != 3 or header[1] != b"blob":
        raise RepositoryUnreachable(f"the object {blob[:12]} is missing or damaged in {origin}; fetch the repository again")
    size = int(header[2])
    if size > LARGEST_FILE:
        return None
    content: bytes = stream.read(size + 1)[:-1]
    if object_id(content, len(blob)) != blob:  # git does not check, and the cache must not store a wrong blob under this id
        raise RepositoryUnreachable(f"the object {blob[:12]} is damaged in {origin}; fetch the repository again")
    return content


def object_id(content: bytes, length: int) -> str:
    """Return the id of a blob in a repository whose ids have this length."""
    digest = sha256() if length == 64 else sha1(usedforsecurity=False)
    digest.update(b"blob %d\0" % len(content))
    digest.update(content)
    return digest.hexdigest()


def _instant(seconds: int) -> datetime:
    """Return a commit's time, moved into the calendar's range if necessary."""
    return datetime.fromtimestamp(min(max(seconds, 0), 253402300799), UTC)
