"""The page of a forge on which a pull request is opened: as the forge itself printed it, or else by its pattern.

Only an https address of the remote's own host is ever returned.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from urllib.parse import quote, urlsplit

from reconciler.source.location import Remote
from reconciler.wording.forges import Forge, forge_of_host

_LINK = re.compile(r"https://[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]{1,2000}")
_IS_NEW = re.compile(r"/pull/new/|/merge_requests/new|/compare/|/pull-requests/new|pull-requests\?create|/pulls/")


def forge_of(remote: Remote | None) -> Forge | None:
    """Return which forge a remote is, by its host's name."""
    return forge_of_host(_host(remote))


def pull_request_link(remote: Remote | None, said: str, branch: str, base: str) -> str | None:
    """Return the address on which a pull request is opened; `said` is what the push printed. None if nobody knows."""
    if remote is None or remote.protocol not in ("https", "ssh"):
        return None
    links = [link for found in _LINK.findall(said[:100_000]) if _is_at(link := found.rstrip(".,;:)'!"), _host(remote))]
    told = next((link for link in links if _IS_NEW.search(link)), links[0] if links else None)
    return told or _by_pattern(remote, branch, base)


def _host(remote: Remote | None) -> str:
    return "" if remote is None else re.sub(r":\d+$", "", remote.host).lower()


def _is_at(link: str, host: str) -> bool:
    try:
        parts = urlsplit(link)
        return parts.hostname == host and parts.username is None and parts.password is None
    except ValueError:
        return False


def _by_pattern(remote: Remote, branch: str, base: str) -> str | None:
    forge, path = forge_of(remote), _path(remote)
    if forge is None or path.count("/") < 1 or not re.fullmatch(r"[A-Za-z0-9._~/-]+", path):
        return None
    port = re.search(r":\d+$", remote.host) if remote.protocol == "https" else None
    top = f"https://{_host(remote)}{port[0] if port else ''}"
    return f"{top}/{_PATTERNS[forge](path, quote(base, safe='/'), quote(branch, safe='/'))}"


def _path(remote: Remote) -> str:
    """Return the path of a repository on its forge: owner or groups, and name."""
    rest = remote.url.partition("://")[2].partition("/")[2] if "://" in remote.url else remote.url.partition(":")[2]
    return rest.strip("/").removesuffix(".git").removeprefix("scm/")


def _server(path: str, _base: str, branch: str) -> str:
    project, _, name = path.partition("/")
    owner = f"users/{project[1:]}" if project.startswith("~") else f"projects/{project}"
    return f"{owner}/repos/{name}/pull-requests?create&sourceBranch=refs/heads/{branch}"


_PATTERNS: Mapping[Forge, Callable[[str, str, str], str]] = {
    "github": lambda path, base, branch: f"{path}/compare/{base}...{branch}?expand=1",
    "gitlab": lambda path, _base, branch: (
        f"{path}/-/merge_requests/new?merge_request%5Bsource_branch%5D={quote(branch, safe='')}"
    ),
    "gitea": lambda path, base, branch: f"{path}/compare/{base}...{branch}",
    "bitbucket": lambda path, _base, branch: f"{path}/pull-requests/new?source={quote(branch, safe='')}",
    "bitbucket-server": _server,
}
