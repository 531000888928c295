"""A mirror of a remote repository in the cache folder, fetched each time and read like any other repository.

Fetching prunes, so it must never meet anybody else's repository: a mirror has a marker, which is looked for before anything is
written. Nothing in a mirror is needed: one that is broken is made anew.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_NB, flock
from hashlib import sha256
from pathlib import Path
from time import monotonic, sleep

from reconciler.source.errors import Busy, SourceError
from reconciler.source.git_command import GitCommand
from reconciler.source.location import Remote

REMOTE_TIMEOUT = 300
"""How many seconds a remote may take."""
_REFERENCES = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
_NOWHERE = "refs/accord/none"
"""What a mirror's HEAD leads to, and no fetch fills: `git init` would choose a branch that anybody may push to."""
_REPACKED = ("-c", "gc.autoDetach=false")
"""Git repacks a mirror that has grown after a fetch, not in a process that would outlive this one."""
_MARKER = "accord-mirror"
_REMOTE_AT_FAULT = re.compile(
    r"from remote repository|unable to access|could not resolve|authentication failed|could not read (username|password)"
    r"|access denied|permission denied|repository .* not found|timed out|in time|not allowed|git is not installed|cannot run git",
    re.IGNORECASE,
)
"""What a mirror made anew could not mend."""
_HELPER = '!f() { test "$1" = get && printf \'username=%s\\npassword=%s\\n\' "$ACCORD_GIT_NAME" "$ACCORD_GIT_SECRET"; }; f'
"""A credential helper, run by git, that answers from the environment, which only this user can read."""


def fetch_mirror(remote: Remote, cache: Path, *, anew: bool = False, within: float = REMOTE_TIMEOUT) -> Path:
    """Bring a bare mirror up to date, or make it anew, and return its folder; the remote has so many seconds.

    Raises RepositoryUnreachable or SourceError.
    """
    folder = cache / f"mirror-{sha256(remote.url.encode('utf-8', 'surrogateescape')).hexdigest()[:20]}.git"
    try:
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _alone(folder.with_suffix(".lock"), within):
            if anew or not _fetched(remote, folder, within):
                _make_anew(remote, folder, within)
    except OSError as error:
        raise SourceError(f"cannot keep a mirror in `{cache}`: {error.strerror}") from None
    return folder


@contextmanager
def _alone(file: Path, within: float) -> Iterator[None]:
    """Wait until no other process holds the lock: of two fetches at once, one fails.

    Who gives the remote less time than usual waits no longer for others either. Raises Busy.
    """
    with file.open("a") as lock:
        if within >= REMOTE_TIMEOUT:
            flock(lock, LOCK_EX)
        else:
            _lock_before(lock.fileno(), monotonic() + within)
        yield


def _lock_before(lock: int, end: float) -> None:
    while True:
        try:
            flock(lock, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            if monotonic() > end:
                raise Busy("other runs are fetching the config repository; try again") from None
            sleep(0.05)
        else:
            return


def _fetched(remote: Remote, folder: Path, within: float) -> bool:
    """Tell whether a mirror could be brought up to date. Raises the error that a new one would meet as well."""
    if not os.path.lexists(folder):
        return False
    try:
        _fetch(remote, folder, within)
    except SourceError as error:
        if _REMOTE_AT_FAULT.search(str(error)):
            raise
        return False
    return True


def _make_anew(remote: Remote, folder: Path, within: float) -> None:
    """Make a mirror beside the old one and put it in its place: somebody may be reading the old one."""
    fresh, old = folder.with_suffix(".new"), folder.with_suffix(".old")
    for place in (fresh, old):
        _remove(place)
    fresh.mkdir(mode=0o700)
    (fresh / _MARKER).write_text(f"Accord's mirror of {remote.url}; it may be deleted\n", encoding="utf-8", errors="replace")
    GitCommand(str(fresh), remote.url, bare=True).run("init", "--bare", "--quiet", "--template=")
    try:
        _fetch(remote, fresh, within)
    except SourceError:
        _remove(fresh)
        raise
    if os.path.lexists(folder):
        _refuse_foreign(folder)
        folder.rename(old)
    fresh.rename(folder)
    _remove(old)


def _fetch(remote: Remote, folder: Path, within: float) -> None:
    _refuse_foreign(folder)
    git = GitCommand(str(folder), remote.url, bare=True)
    if not _leads_nowhere(folder):
        git.run("symbolic-ref", "HEAD", _NOWHERE)
    config, environment = remote_access(remote)
    options = ("--quiet", "--prune", "--no-recurse-submodules", "--no-write-fetch-head")
    git.run_within(
        within, *_REPACKED, *config, "fetch", *options, "--end-of-options", remote.url, *_REFERENCES,
        env=environment,
    )  # fmt: skip


def _leads_nowhere(folder: Path) -> bool:
    try:
        return (folder / "HEAD").read_bytes() == f"ref: {_NOWHERE}\n".encode()
    except OSError:
        return False  # git says what is wrong


def remote_access(remote: Remote) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return options and variables by which git may talk to this remote, over its own protocol, with its credentials."""
    config, environment = _credentials(remote)
    allowed = "http:https" if remote.protocol == "http" else remote.protocol  # also after a redirection
    return config, {**environment, "GIT_ALLOW_PROTOCOL": allowed}


def _credentials(remote: Remote) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return options and variables by which git, asked by this very host, finds the credentials; no argument has them."""
    where = f"credential.{remote.protocol}://{remote.host}"
    if remote.username is None:
        return (), {}
    if remote.password is None:  # the user's own helpers know the password; askpass has the name, maybe a token, as an argument
        count = int(os.environ.get("GIT_CONFIG_COUNT") or 0)
        values = {f"GIT_CONFIG_KEY_{count}": f"{where}.username", f"GIT_CONFIG_VALUE_{count}": remote.username}
        return (), {**values, "GIT_CONFIG_COUNT": str(count + 1), "GIT_ASKPASS": ""}
    options = ("-c", "credential.helper=", "-c", f"{where}.helper={_HELPER}")
    return options, {"ACCORD_GIT_NAME": remote.username, "ACCORD_GIT_SECRET": remote.password}


def _refuse_foreign(folder: Path) -> None:
    """Raise SourceError unless a folder is a mirror that this user's Accord made: nothing else may be written to."""
    mode = folder.lstat()
    mine = stat.S_ISDIR(mode.st_mode) and mode.st_uid == os.geteuid() and not mode.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    if not mine or not ((folder / _MARKER).is_file() or not any(folder.iterdir())):
        raise SourceError(f"`{folder}` is not a mirror that Accord made for this user; move it away, or set ACCORD_CACHE")


def _remove(folder: Path) -> None:
    """Delete a mirror, its marker last: if that is interrupted, the next run must know the rest."""
    if os.path.lexists(folder):
        _refuse_foreign(folder)
        for entry in folder.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            elif entry.name != _MARKER:
                entry.unlink()
        shutil.rmtree(folder)
