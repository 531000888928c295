"""A mirror of a remote repository in the cache folder: fetched whenever it is asked for, and read as any other repository."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, flock
from hashlib import sha256
from pathlib import Path

from reconciler.source.errors import SourceError
from reconciler.source.git_command import FETCHING, GitCommand

_REMOTE_TIMEOUT = 300
"""Seconds that a remote may take."""
_REFERENCES = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")


def fetch_mirror(url: str, cache: Path) -> Path:
    """The folder of a bare mirror that was brought up to date just now. Raises RepositoryUnreachable, or SourceError."""
    folder = cache / f"mirror-{sha256(url.encode('utf-8', 'surrogateescape')).hexdigest()[:16]}.git"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _alone(folder.with_suffix(".lock")):
            _fetch(GitCommand(str(folder), url), url, folder)
    except OSError as error:
        raise SourceError(f"no mirror can be kept in `{cache}`: {error.strerror}") from None
    return folder


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    """Wait until no other process holds the file: two fetches at once are in each other's way, and one of them fails."""
    with file.open("a") as lock:
        flock(lock, LOCK_EX)
        yield


def _fetch(git: GitCommand, url: str, folder: Path) -> None:
    if not (folder / "HEAD").exists():
        git.run("init", "--bare", "--quiet", "--template=", str(folder))
    options = ("--quiet", "--prune", "--no-auto-maintenance", "--no-recurse-submodules")
    git.run("fetch", *options, "--end-of-options", url, *_REFERENCES, env=FETCHING, kill_after_timeout=_REMOTE_TIMEOUT)
