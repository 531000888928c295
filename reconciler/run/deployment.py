"""The deployment's settings: a command's options, `ACCORD_*` variables, and the TOML file that ACCORD_CONFIG names."""

from __future__ import annotations

import atexit
import getpass
import logging
import os
import shutil
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from reconciler.access.instants import parse_duration
from reconciler.run.errors import Misconfigured
from reconciler.settings import DATABASE_URL, BadSettings, read_sources

LONGEST_PROPOSAL = 300
"""The most seconds that a proposal may take."""
log = logging.getLogger("accord")
DEFAULTS = {
    "repository": ".",
    "branch": "main",
    "path": "",
    "database_url": DATABASE_URL,
    "repository_without_tls": "",
    "proposal_committer": "Accord <accord@localhost>",
    "proposal_signing_key": "",
    "proposal_timeout": "20s",
}


class Deployment(NamedTuple):
    """Where everything is. `path` is the folder in the config repository that contains the resources; empty means the root."""

    repository: str
    branch: str
    path: str
    database_url: str
    cache: Path
    without_tls: frozenset[str] = frozenset()
    """Hosts that the repository may be fetched from without TLS."""
    proposal_committer: str = DEFAULTS["proposal_committer"]
    proposal_signing_key: str | None = None
    """The file of the SSH key that signs proposals."""
    proposal_seconds: float = 20.0
    """How long the repository may take while something is proposed, and all that follows from that."""
    database_named: bool = False
    """Whether somebody named the database; otherwise it is the default."""


def read_deployment(options: Mapping[str, str | None], environment: Mapping[str, str] | None = None) -> Deployment:
    """Read the settings: an option takes precedence over its environment variable, then come the TOML file and the default.

    Raises Misconfigured if the TOML file cannot be read or has an unknown key.
    """
    try:
        sources = read_sources(options, environment)
        repository, database_url = sources.place("repository", DEFAULTS["repository"]), sources.database_url()
        cache = sources.place("cache", "") or _usual_cache(sources.environment)
        key = sources.place("proposal_signing_key", DEFAULTS["proposal_signing_key"])
    except BadSettings as error:
        raise Misconfigured(str(error)) from None
    path = PurePosixPath(sources.text("path", DEFAULTS["path"]).strip("/")).as_posix()  # as git names it: without `./` and `//`
    if ".." in PurePosixPath(path).parts or "\0" in path:
        raise Misconfigured(f"the path `{path}` leads out of the config repository")
    branch = sources.text("branch", DEFAULTS["branch"])
    hosts = frozenset(
        host.strip().lower() for host in sources.text("repository_without_tls", DEFAULTS["repository_without_tls"]).split(",")
    )
    return Deployment(
        repository,
        branch,
        "" if path == "." else path,
        database_url,
        Path(cache),
        hosts,
        proposal_committer=sources.text("proposal_committer", DEFAULTS["proposal_committer"]),
        proposal_signing_key=str(Path(key).absolute()) if key else None,
        proposal_seconds=_seconds(sources.text("proposal_timeout", DEFAULTS["proposal_timeout"])),
        database_named=bool(sources.text("database_url", "")),
    )


def _seconds(text: str) -> float:
    try:
        found = parse_duration(text).total_seconds()
    except ValueError as error:
        raise Misconfigured(f"ACCORD_PROPOSAL_TIMEOUT: {error}") from None
    if not 1 <= found <= LONGEST_PROPOSAL:
        raise Misconfigured(f"ACCORD_PROPOSAL_TIMEOUT must be 1s to {LONGEST_PROPOSAL}s")
    return found


def _usual_cache(environment: Mapping[str, str]) -> str:
    """Return where programs keep caches (XDG Base Directory Specification); an account in a container may have no home."""
    named = environment.get("XDG_CACHE_HOME", "")
    home = os.path.expanduser("~")  # noqa: PTH111 - Path.home() fails without a home
    return f"{named if named.startswith('/') else '~/.cache' if home in ('~', '') else f'{home}/.cache'}/accord"


def cache_folder(deployment: Deployment) -> Path:
    """Return the cache's folder, or a temporary one for this run, with a line about it, if that cannot be used.

    A cache that others may write to, or that a branch brought, could grant access that Git does not.
    """
    from reconciler.source.brought import why_not_trusted

    folder = deployment.cache
    if folder.parts[:1] == ("~",):
        return _without(folder, "HOME is not set")
    try:
        trouble = why_not_trusted(folder)
        if trouble is not None:
            return _without(folder, trouble)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
    except OSError as error:
        return _without(folder, error.strerror or str(error))
    if found.st_uid != os.geteuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return _without(folder, "others may write to it")
    return folder if os.access(folder, os.W_OK | os.X_OK) else _without(folder, "it cannot be written to")


def _without(folder: Path, trouble: str) -> Path:
    log.warning("accord: going on without the cache in `%s`: %s; ACCORD_CACHE names another folder", folder, trouble)
    try:
        temporary = Path(tempfile.mkdtemp(prefix="accord-"))
    except OSError:
        return Path(os.devnull, "accord")  # nothing is remembered; a mirror of a remote repository says that it needs a folder
    atexit.register(shutil.rmtree, temporary, ignore_errors=True)
    return temporary


def shown_database(deployment: Deployment) -> str:
    """Return the URL of the database without its password, for messages."""
    from reconciler.store.urls import shown

    return shown(deployment.database_url)


def current_user(environment: Mapping[str, str] | None = None) -> str:
    """Return who applies, for the record: ACCORD_APPLIED_BY, the user that CI names, or the login name."""
    env = os.environ if environment is None else environment
    for name in ("ACCORD_APPLIED_BY", "GITHUB_ACTOR", "GITLAB_USER_LOGIN"):
        if env.get(name):
            return env[name].encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
