"""Files that Git stores through a filter, such as Git LFS, or in another encoding: a commit holds other bytes than the folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.access.problems import Problem
from reconciler.source.errors import SourceError
from reconciler.source.selection import shown_path

if TYPE_CHECKING:
    from reconciler.source.git_command import GitCommand

_CONVERTING = ("filter", "working-tree-encoding")
_IDLE = ("unspecified", "unset", "set")
_STORED_ENCODING = ("", "utf-8", "utf8")
"""Working-tree encodings that are Git's own, in any case: it converts nothing."""


def filtered_files(root: Path, files: Sequence[tuple[str, Path]]) -> list[Problem]:
    """Report each file, given by its name from the root of a work tree, that a commit would hold otherwise than the folder.

    Git is asked, since it alone knows each place that may name a filter. Nothing is reported if it cannot tell: then it cannot
    commit either.
    """
    from reconciler.source.git_command import GitCommand, find_git_dir
    from reconciler.source.repository import object_id

    place = str(root)
    try:
        git = GitCommand(find_git_dir(place), place)
        converted = _converted(git, place, [name for name, _ in files])
        if not converted:
            return []
        index = git.run("ls-files", "-s", "-z", stdout_as_string=False).decode("utf-8", "surrogateescape")
    except SourceError:
        return []
    stored = {name: meta.split(" ")[1] for meta, _, name in (row.partition("\t") for row in index.split("\0")[:-1])}
    return [
        _problem(name, *converted[name])
        for name, path in files
        if name in converted and (name not in stored or stored[name] != object_id(path.read_bytes(), len(stored[name])))
    ]


def _converted(git: GitCommand, root: str, names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return the attribute, and its value, by which Git converts each of the files that it converts."""
    from reconciler.source.git_command import fed

    with fed("".join(f"{name}\0" for name in names).encode("utf-8", "surrogateescape")) as lines:
        told = git.run(
            *("-c", f"core.attributesFile={_users_attributes(git)}", "--work-tree", root),
            *("check-attr", "-z", "--stdin", *_CONVERTING),
            folder=root,
            istream=lines,
            stdout_as_string=False,
        )
    parts = told.decode("utf-8", "surrogateescape").split("\0")
    triples = zip(parts[::3], parts[1::3], parts[2::3], strict=False)
    return {name: (attribute, value) for name, attribute, value in triples if _converts(attribute, value)}


def _converts(attribute: str, value: str) -> bool:
    return value not in _IDLE and (attribute == "filter" or value.casefold() not in _STORED_ENCODING)


def _users_attributes(git: GitCommand) -> str:
    """Return the file with this user's attributes, which Accord keeps from git everywhere else."""
    told = git.run("config", "-z", "--type=path", "--get-all", "core.attributesFile", with_exceptions=False)
    named = told.split("\0")[:-2]  # the last one is Accord's own
    usual = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")  # noqa: PTH111 - Path fails without a home
    return named[-1] if named else f"{usual}/git/attributes"


def _problem(name: str, attribute: str, value: str) -> Problem:
    message = (
        f"Git stores this file through the {attribute} `{value[:80]}` (.gitattributes), so a commit holds other bytes than this "
        f"folder, and Accord reads commits; exempt it there (`{shown_path(name)} -{attribute}`), then run "
        "`git add --renormalize .`"
    )
    return Problem(shown_path(name), 1, 1, "filtered", "error", message)
