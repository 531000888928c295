"""A mirror of a remote repository in the cache folder, fetched each time and read like any other repository."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, flock
from hashlib import sha256
from pathlib import Path

from reconciler.source.errors import SourceError
from reconciler.source.git_command import FETCHING, GitCommand

_REMOTE_TIMEOUT = 300
"""How many seconds a remote may take."""
_REFERENCES = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")


def fetch_mirror(url: str, cache: Path) -> Path:
    """Bring a bare mirror up to date and return its folder. Raises RepositoryUnreachable or SourceError."""
    folder = cache / f"mirror-{sha256(url.encode('utf-8', 'surrogateescape')).hexdigest()[:16]}.git"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _alone(folder.with_suffix(".lock")):
            _fetch(GitCommand(str(folder), url), url, folder)
    except OSError as error:
        raise SourceError(f"cannot keep a mirror in `{cache}`: {error.strerror}") from None
    return folder


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    """Wait until no other process holds the lock: of two fetches at once, one fails."""
    with file.open("a") as lock:
        flock(lock, LOCK_EX)
        yield


def _fetch(git: GitCommand, url: str, folder: Path) -> None:
    if not (folder / "HEAD").exists():
        git.run("init", "--bare", "--quiet", "--template=", str(folder))
    options = ("--quiet", "--prune", "--no-auto-maintenance", "--no-recurse-submodules")
    git.run("fetch", *options, "--end-of-options", url, *_REFERENCES, env=FETCHING, kill_after_timeout=_REMOTE_TIMEOUT)
