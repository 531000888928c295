"""Files that Git stores through a filter, such as Git LFS: a commit holds other bytes than the folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryFile

from reconciler.access.problems import Problem
from reconciler.source.blobs import blob_id
from reconciler.source.errors import SourceError
from reconciler.source.selection import shown_path

_NO_FILTER = ("unspecified", "unset", "set")


def filtered_files(root: Path, files: Sequence[tuple[str, Path]]) -> list[Problem]:
    """Report each file, given by its name from the root of a work tree, that a commit would hold otherwise than the folder.

    Nothing is reported if git cannot tell: then it cannot commit either.
    """
    if not _mention_filters(root, files):
        return []
    from reconciler.source.git_command import GitCommand, find_git_dir

    place = str(root)
    try:
        git = GitCommand(find_git_dir(place), place)
        with TemporaryFile() as names:
            names.write("".join(f"{name}\0" for name, _ in files).encode("utf-8", "surrogateescape"))
            names.seek(0)
            told = git.run(
                *("--work-tree", place, "check-attr", "-z", "--stdin", "filter"),
                folder=place,
                istream=names,
                stdout_as_string=False,
            )
        parts = told.decode("utf-8", "surrogateescape").split("\0")
        filters = {name: value for name, value in zip(parts[::3], parts[2::3], strict=False) if value not in _NO_FILTER}
        if not filters:
            return []
        index = git.run("ls-files", "-s", "-z", stdout_as_string=False).decode("utf-8", "surrogateescape")
    except SourceError:
        return []
    stored = {name: meta.split(" ")[1] for meta, _, name in (row.partition("\t") for row in index.split("\0")[:-1])}
    return [
        _problem(name, filters[name])
        for name, path in files
        if name in filters and stored.get(name) != blob_id(path.read_bytes())
    ]


def _mention_filters(root: Path, files: Sequence[tuple[str, Path]]) -> bool:
    """Tell whether an attributes file that can concern the files says anything about filters."""
    folders = {above for name, _ in files for above in Path(name).parents}
    places = [root / ".git" / "info" / "attributes", *(root / folder / ".gitattributes" for folder in folders)]
    return any(b"filter" in place.read_bytes() for place in places if place.is_file())


def _problem(name: str, filter_: str) -> Problem:
    message = (
        f"Git stores this file through the filter `{filter_[:80]}` (.gitattributes), so a commit holds other bytes than this "
        f"folder, and Accord reads commits; exempt it there (`{shown_path(name)} -filter`), then run `git add --renormalize .`"
    )
    return Problem(shown_path(name), 1, 1, "filtered", "error", message)
