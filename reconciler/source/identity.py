"""Who a person is by the configuration of their own Git, not by a repository's."""

from __future__ import annotations

import os
import tempfile

from reconciler.source.errors import SourceError
from reconciler.source.git_command import GitCommand


def usual_author(user: str) -> tuple[str, str]:
    """Return the name and address of the user's global Git configuration, or else of the account that runs this."""
    git = GitCommand(tempfile.gettempdir(), "git", bare=True)
    found = []
    for key in ("user.name", "user.email"):
        try:
            found.append(git.find("config", "--global", "--get", key))
        except SourceError:
            found.append("")
    name, email = found
    return name or user, email or f"{user}@{os.uname().nodename or 'localhost'}"
