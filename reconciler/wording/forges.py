"""Addresses of pages on the forge that has a repository: which forge a host is, and a commit's page there."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Literal
from urllib.parse import urlsplit

Forge = Literal["github", "gitlab", "gitea", "bitbucket", "bitbucket-server"]
_NAMES: Mapping[str, Forge] = {
    "github": "github",
    "gitlab": "gitlab",
    "gitea": "gitea",
    "forgejo": "gitea",
    "codeberg": "gitea",
    "bitbucket": "bitbucket-server",
    "stash": "bitbucket-server",
}
"""What the first or second label of a forge's host is usually called."""
_PATH = re.compile(r"[A-Za-z0-9._~-]+(/[A-Za-z0-9._~-]+)+")
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")


def forge_of_host(host: str) -> Forge | None:
    """Return which forge a host is, by its name."""
    if host == "bitbucket.org":
        return "bitbucket"
    labels = host.split(".")[:2]
    return next((forge for name, forge in _NAMES.items() if any(re.split(r"[-0-9]", label)[0] == name for label in labels)), None)


def commit_link(repository: str, commit: str) -> str | None:
    """Return the https address of a commit's page, by the URL of its repository; None if that does not tell."""
    try:
        parts = urlsplit(repository)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        return None
    forge, path = forge_of_host(host), parts.path.strip("/").removesuffix(".git").removeprefix("scm/")
    plain = re.fullmatch(r"[a-z0-9.-]+", host) and _PATH.fullmatch(path) and ".." not in path.split("/")
    if parts.scheme != "https" or forge is None or not plain or not _COMMIT.fullmatch(commit):
        return None
    return f"https://{host}{'' if port is None else f':{port}'}/{_PAGES[forge](path, commit)}"


def _server(path: str, commit: str) -> str:
    project, _, name = path.partition("/")
    owner = f"users/{project[1:]}" if project.startswith("~") else f"projects/{project}"
    return f"{owner}/repos/{name}/commits/{commit}"


_PAGES: Mapping[Forge, Callable[[str, str], str]] = {
    "github": lambda path, commit: f"{path}/commit/{commit}",
    "gitlab": lambda path, commit: f"{path}/-/commit/{commit}",
    "gitea": lambda path, commit: f"{path}/commit/{commit}",
    "bitbucket": lambda path, commit: f"{path}/commits/{commit}",
    "bitbucket-server": _server,
}
