"""Runs git. Nothing from the repository is executed, and git's complaints become one clear error without secrets.

This is the only module that knows the git program. Every call names the repository's folder and turns off everything that a
repository's configuration could make Git run: hooks, filters, fsmonitor, textconv, signature programs, pagers, lazy fetches,
foreign transports.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from signal import SIGKILL
from subprocess import TimeoutExpired
from threading import Thread
from time import monotonic
from typing import Any, NamedTuple

os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # report a missing git only when it is needed
from git import Git
from git.exc import CommandError, GitCommandNotFound

from reconciler.descendants import end_descendants
from reconciler.source.documents import LARGEST_FILE
from reconciler.source.errors import RepositoryUnreachable, SourceError
from reconciler.source.location import without_credentials
from reconciler.source.selection import shown_path
from reconciler.wording.text import printable

OBJECTS, ALTERNATES, QUARANTINE = "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_QUARANTINE_PATH"
"""What git sets for a pre-receive hook: the pushed objects are not in the repository yet."""
_INHERITED = re.compile(
    r"GIT_(?:"
    r"SSH|SSH_COMMAND|SSH_VARIANT|ASKPASS|SSL_(?:CAINFO|CAPATH|CERT|CERT_TYPE|CERT_PASSWORD_PROTECTED|KEY|KEY_TYPE)"
    r"|PROXY_SSL_(?:CAINFO|CERT|KEY)|HTTP_PROXY_AUTHMETHOD|HTTP_LOW_SPEED_(?:LIMIT|TIME)"  # how to reach a remote
    r"|CONFIG_(?:GLOBAL|SYSTEM|NOSYSTEM|COUNT|KEY_[0-9]+|VALUE_[0-9]+)"  # the user's configuration; a CI's extra header
    r"|EXEC_PATH|CEILING_DIRECTORIES|DISCOVERY_ACROSS_FILESYSTEM|PYTHON_.*"  # where git and repositories are
    r"|OBJECT_DIRECTORY|ALTERNATE_OBJECT_DIRECTORIES|QUARANTINE_PATH"  # `Repository.open` drops them unless they are its own
    r")"
)
"""The `GIT_*` variables that count. A hook's others name a repository, an index or an identity that is not ours to use, and
GIT_SSL_NO_VERIFY would let anybody on the way decide who gets access."""
_ENVIRONMENT = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_GRAFT_FILE": os.devnull,
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_PAGER": "cat",
    "LC_ALL": "C",
}
_CONFIG = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.attributesFile=/dev/null",
    "advice.graftFileDeprecated=false",
    "log.showSignature=false",
    "diff.external=",
    f"core.bigFileThreshold={LARGEST_FILE}",  # keep larger ones out of memory
    "protocol.ext.allow=never",
    "uploadpack.packObjectsHook=",
)
_MOST_SAID, _MOST_READ, _MOST_HEARD = 500, 8_000, 1 << 20
_UNREACHABLE = re.compile(
    r"could not read|unable to access|does not exist|could not resolve|bad object|corrupt|missing|broken|unable to read|inflate"
    r"|loose object|packfile|connection|timed out|timeout|early eof|not found|could not fetch|promisor|cannot lock ref"
    r"|authentication failed"
)

_MISSING = re.compile(
    r"bad object|missing|unable to read|could not read|could not fetch|promisor|not a tree|not allowed", re.IGNORECASE
)
_PROMISORS = ("config", "--get-regexp", r"^(extensions\.partialclone|remote\..*\.(promisor|partialclonefilter))$")


class Attempt(NamedTuple):
    """How git ended (None: it had to be ended), what it wrote, and its complaints with what a remote said."""

    status: int | None
    output: str
    errors: str


class GitCommand:
    """The git program in a repository's folder; messages call the repository by the name people know."""

    def __init__(self, git_dir: str, named: str, *, bare: bool = False, mend: Callable[[], object] | None = None) -> None:
        """Use a repository, which git treats as a bare one if it writes to it and there is no work tree."""
        forget_variables()
        self.origin = shown_path(without_credentials(named))
        self.git_dir = git_dir
        # else core.worktree counts: git reads only a part of each commit if that is a folder that contains the Git folder
        self._where = ("--git-dir", git_dir, *(() if bare else ("--work-tree", git_dir)))
        self._mend = mend

    def run(self, *arguments: str, folder: str | None = None, **options: Any) -> Any:
        """Run git, in the Git folder or in another one; of several `--work-tree`, the last one counts.

        Raises RepositoryUnreachable if git cannot use the repository, and SourceError for everything else.
        """
        try:
            return _execute(folder or self.git_dir, self.origin, (*self._where, *arguments), **options)
        except SourceError as error:
            if not isinstance(error, RepositoryUnreachable):
                raise
            if not self.mend():
                raise self.explained(error) from None
            return self.run(*arguments, folder=folder, **options)

    def find(self, *arguments: str) -> str:
        """Run git, and return the line that it finds; empty if its exit status, 1, and nothing else says that there is none."""
        found: str = self.run(*arguments, may_find_none=True)
        return found.removesuffix("\n")

    def run_within(self, seconds: float, *arguments: str, **options: Any) -> None:
        """Run git, which ends with all that it started if it takes longer, or if this process is asked to end.

        Raises RepositoryUnreachable or SourceError.
        """
        process = self.run(*arguments, as_process=True, **options)
        try:
            _, errors = process.communicate(timeout=seconds)
        except BaseException as error:
            end_descendants(process.pid, SIGKILL)
            process.proc.kill()
            if not isinstance(error, TimeoutExpired):
                raise
            raise RepositoryUnreachable(f"cannot read the repository {self.origin}: it did not answer in time") from None
        if process.returncode:
            raise _git_error(errors.decode("utf-8", "surrogateescape").strip(), self.origin)

    def attempt_within(self, seconds: float, *arguments: str, most: int = _MOST_HEARD, **options: Any) -> Attempt:
        """Run git, which ends with all that it started if it takes longer or says more; return how it ended and what it said.

        Raises RepositoryUnreachable only if git cannot be started.
        """
        process = self.run(*arguments, as_process=True, **options)
        said, ended = {process.proc.stdout: b"", process.proc.stderr: b""}, False
        try:
            ended = _listen(said, monotonic() + seconds, most) and process.proc.wait(timeout=max(seconds, 1)) is not None
        except TimeoutExpired:
            pass
        finally:
            if not ended:
                end_descendants(process.pid, SIGKILL)
                process.proc.kill()
            status = process.proc.wait()
            for stream in said:
                stream.close()
        output, errors = (text.decode("utf-8", "replace") for text in said.values())
        return Attempt(status if ended else None, output, errors)

    def explained(self, error: RepositoryUnreachable) -> RepositoryUnreachable:
        """Return the error that an object is missing, with what helps in a clone that left objects out."""
        if not _MISSING.search(str(error)) or not self._is_partial():
            return error
        return RepositoryUnreachable(
            f"{self.origin} is a partial clone (--filter; sparse-checkout in actions/checkout) and lacks what Accord reads. "
            "Accord fetches nothing into it: clone without a filter, or complete it with git fetch --refetch --no-filter"
        )

    def _is_partial(self) -> bool:
        try:
            return bool(_execute(self.git_dir, self.origin, (*self._where, *_PROMISORS), with_exceptions=False))
        except SourceError:
            return False

    def mend(self) -> bool:
        """Make a broken mirror anew, once; tell whether there was one."""
        mend, self._mend = self._mend, None
        if mend is not None:
            mend()
        return mend is not None


def _listen(said: dict[Any, bytes], end: float, most: int) -> bool:
    """Collect what comes out of pipes until all are closed; tell whether that was before a moment, and at most so much."""
    heard: dict[Any, list[bytes]] = {stream: [] for stream in said}
    size, in_time = 0, True
    with DefaultSelector() as waiting:
        for stream in said:
            waiting.register(stream, EVENT_READ)
        while in_time and waiting.get_map():
            ready = waiting.select(max(end - monotonic(), 0))
            for key, _ in ready:
                piece = os.read(key.fd, 65_536)
                if not piece:
                    waiting.unregister(key.fileobj)
                heard[key.fileobj].append(piece)
                size += len(piece)
            in_time = bool(ready) and size <= most
    said.update((stream, b"".join(pieces)) for stream, pieces in heard.items())
    return in_time


@contextmanager
def fed(content: bytes) -> Iterator[int]:
    """Give content to be git's input. Not a temporary file: there may be no place for one."""
    reading, writing = os.pipe()
    Thread(target=_feed, args=(writing, content), daemon=True).start()  # because git writes while it reads
    try:
        yield reading
    finally:
        os.close(reading)


def _feed(writing: int, content: bytes) -> None:
    with suppress(BrokenPipeError), os.fdopen(writing, "wb") as stream:  # git may have read enough
        stream.write(content)


def forget_variables() -> None:
    """Drop the `GIT_*` variables of this process that git must not inherit; GitPython hands on all of them."""
    for name in [name for name in os.environ if name.startswith("GIT_") and not _INHERITED.fullmatch(name)]:
        del os.environ[name]


def find_repository(folder: str) -> tuple[str, str | None]:
    """Return the Git folder of the repository that contains a folder, and the top of its work tree, if that contains it too.

    Raises RepositoryUnreachable.
    """
    forget_variables()
    origin = shown_path(without_credentials(folder))
    is_named = os.path.normpath(folder) != os.curdir and os.path.isfile(os.path.join(folder, "HEAD"))  # noqa: PTH113, PTH118
    by_name = ("-c", "safe.bareRepository=all") if is_named else ()  # to find one, the user's own setting decides
    arguments = (*by_name, "rev-parse", "--absolute-git-dir", "--is-inside-work-tree", "--show-toplevel")
    _, said, errors = _execute(folder, origin, arguments, with_exceptions=False, with_extended_output=True)
    git_dir, is_inside, top = said.partition("\ntrue\n")
    if not is_inside:
        git_dir, is_told, _ = said.rpartition("\nfalse\n")
        if not is_told:
            raise _git_error(errors, origin)
    _refuse_brought(folder, git_dir, origin)
    return git_dir, top.removesuffix("\n") if is_inside else None


def _refuse_brought(folder: str, git_dir: str, origin: str) -> None:
    """Raise RepositoryUnreachable for a bare repository that a branch brought into a work tree; none brings a `.git`."""
    if not Path(os.path.realpath(folder)).is_relative_to(git_dir) or is_pushed_to(git_dir):
        return  # a `.git` led to it, or its own hook did
    for top in (above for above in Path(git_dir).parents if os.path.lexists(above / ".git")):
        if _could_bring(top, git_dir):
            raise RepositoryUnreachable(
                f"`{origin}` is in a bare repository in the work tree `{shown_path(str(top))}`, where any branch can bring one; "
                "give the work tree with --repository, or, if you mean the bare repository, "
                f"its URL: {shown_path(Path(git_dir).as_uri())}"
            )


def _could_bring(top: Path, git_dir: str) -> bool:
    """Tell whether a branch could have brought a Git folder into a work tree, or Git cannot tell."""
    try:
        return not Path(git_dir).is_relative_to(find_git_dir(str(top))) and tracks(top, Path(git_dir))
    except SourceError:
        return True


def tracks(root: Path, place: Path) -> bool:
    """Tell whether Git tracks a path in a work tree, or anything in it, in capitals or not. Raises SourceError."""
    git_dir, top = find_repository(str(root))
    git = GitCommand(git_dir, str(root))
    if top is None:
        if git.find("config", "--type=bool", "core.bare") == "true":
            return False  # there is no work tree but linked ones, which have a `.git` each
        raise SourceError(f"`{git.origin}` has no working tree")
    relative = place.relative_to(os.path.realpath(top)).as_posix()
    within = [] if relative == "." else ["--", f":(literal,icase){relative}"]
    return bool(git.run("--work-tree", top, "ls-files", "-z", *within, folder=top))


def is_pushed_to(git_dir: str) -> bool:
    """Tell whether this is a hook that looks at objects which are being pushed to a repository."""
    incoming = os.environ.get(QUARANTINE)
    return incoming is not None and Path(os.path.realpath(incoming)).parent == Path(os.path.realpath(Path(git_dir, "objects")))


def find_git_dir(folder: str) -> str:
    """Return the absolute path of the Git folder of the repository that contains a folder. Raises RepositoryUnreachable."""
    return find_repository(folder)[0]


def _execute(folder: str, origin: str, arguments: tuple[str, ...], *, may_find_none: bool = False, **options: Any) -> Any:
    if not os.access(folder, os.X_OK) or not os.path.isdir(folder):  # noqa: PTH112 - GitPython would run git somewhere else
        raise RepositoryUnreachable(f"there is no repository at `{origin}`, or it may not be entered")
    config = [word for setting in _CONFIG for word in ("-c", setting)]
    options = {"strip_newline_in_stdout": False, **options, "env": {**_ENVIRONMENT, **options.get("env", {})}}
    try:
        return Git(folder).execute(["git", *config, *arguments], **options)
    except OSError as error:
        raise RepositoryUnreachable(f"cannot run git in {origin}: {error.strerror}") from None
    except GitCommandNotFound:
        raise SourceError("git is not installed; Accord needs it to read the config repository") from None
    except CommandError as error:
        if may_find_none and error.status == 1 and not _said(error):
            return ""
        raise _git_error(_said(error), origin) from None


def _said(error: CommandError) -> str:
    text = error.stderr if isinstance(error.stderr, str) else str(error.stderr)
    return text.strip().removeprefix("stderr: '").removesuffix("'").strip()


def _git_error(said: str, origin: str) -> SourceError:
    lower = said.lower()
    if "not a git repository" in lower:
        return RepositoryUnreachable(f"`{origin}` is not a Git repository; give the config repository with --repository")
    if "cannot use bare repository" in lower:
        return RepositoryUnreachable(
            f"`{origin}` is in a bare repository, which your Git uses only by its name (safe.bareRepository); "
            "give its path with --repository"
        )
    if "dubious ownership" in lower:
        found = re.search(r"safe\.directory (.+)", said)
        place = printable(found[1]) if found else "PATH"
        return RepositoryUnreachable(
            f"`{origin}` belongs to another user; if you trust it: git config --global --add safe.directory {place}"
        )
    if _UNREACHABLE.search(lower):
        return RepositoryUnreachable(f"cannot read the repository {origin}: {_reason(said)}")
    return SourceError(f"git failed in {origin}: {_reason(said)}")


def _reason(said: str) -> str:
    """Put git's message on one line, up to its advice: the last line alone seldom says what is wrong."""
    said = said[:_MOST_READ]  # before what takes time that grows with the square
    advised = re.sub(r"^hint:.*\n?", "", said, flags=re.MULTILINE).strip().split("\n\n", maxsplit=1)
    lines = [re.sub(r"^(fatal|error): ", "", line.strip()) for line in advised[0].splitlines() if line.strip()]
    return printable(without_credentials("; ".join(dict.fromkeys(lines))))[:_MOST_SAID] or "no reason given"
