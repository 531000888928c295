"""Runs git. Nothing from the repository is executed, and git's complaints become one clear error without secrets.

This is the only module that knows the git program. Every call turns off everything that a repository's configuration could
make Git run: hooks, filters, fsmonitor, textconv, signature programs, pagers, lazy fetches, foreign transports.
"""

from __future__ import annotations

import os
import re
from typing import Any

os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # report a missing git only when it is needed
from git import Git
from git.exc import CommandError, GitCommandNotFound

from reconciler.source.documents import LARGEST_FILE
from reconciler.source.errors import RepositoryUnreachable, SourceError
from reconciler.source.location import without_credentials
from reconciler.source.selection import shown_path
from reconciler.wording.text import printable

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
FETCHING = {**_ENVIRONMENT, "GIT_ALLOW_PROTOCOL": "https:http:ssh:git:file"}
_CONFIG = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.attributesFile=/dev/null",
    "log.showSignature=false",
    "diff.external=",
    f"core.bigFileThreshold={LARGEST_FILE}",  # keep larger ones out of memory
    "protocol.ext.allow=never",
    "uploadpack.packObjectsHook=",
)
_MOST_SAID = 500


class GitCommand:
    """The git program in a folder; messages call the repository by the name people know."""

    def __init__(self, folder: str, named: str) -> None:
        self.origin = shown_path(without_credentials(named))
        self._command = Git(folder)

    def run(self, *arguments: str, **options: Any) -> Any:
        """Run git. Raises RepositoryUnreachable if git cannot use the repository, and SourceError for everything else."""
        config = [word for setting in _CONFIG for word in ("-c", setting)]
        options = {"env": _ENVIRONMENT, "strip_newline_in_stdout": False, **options}
        try:
            return self._command.execute(["git", *config, *arguments], **options)
        except OSError as error:
            raise RepositoryUnreachable(f"cannot run git in {self.origin}: {error.strerror}") from None
        except GitCommandNotFound:
            raise SourceError("git is not installed; Accord needs it to read the config repository") from None
        except CommandError as error:
            raise _git_error(_said(error), self.origin) from None


def _said(error: CommandError) -> str:
    text = error.stderr if isinstance(error.stderr, str) else str(error.stderr)
    return text.strip().removeprefix("stderr: ").strip("'\n ")


def _git_error(said: str, origin: str) -> SourceError:
    lower = said.lower()
    reason = _reason(said)
    if "not a git repository" in lower:
        return RepositoryUnreachable(f"`{origin}` is not a Git repository; give the config repository with --repository")
    if "dubious ownership" in lower:
        return RepositoryUnreachable(
            f"`{origin}` belongs to another user; trust it with git config --global --add safe.directory PATH"
        )
    signs = (
        "could not read",
        "unable to access",
        "does not exist",
        "could not resolve",
        "bad object",
        "corrupt",
        "missing",
        "broken",
        "unable to read",
        "inflate",
        "loose object",
        "packfile",
        "connection",
        "timed out",
        "timeout",
        "early eof",
        "not found",
    )
    if any(sign in lower for sign in signs):
        return RepositoryUnreachable(f"cannot read the repository {origin}: {reason}")
    return SourceError(f"git failed in {origin}: {reason}")


def _reason(said: str) -> str:
    """Put git's message on one line, up to its advice: the last line alone seldom says what is wrong."""
    advised = said.split("\n\n", maxsplit=1)
    lines = [re.sub(r"^(fatal|error): ", "", line.strip()) for line in advised[0].splitlines() if line.strip()]
    return printable(without_credentials("; ".join(dict.fromkeys(lines))))[:_MOST_SAID] or "no reason given"
