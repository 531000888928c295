"""Git's pre-commit hook that checks what is about to be committed: a fixed program, out of reach of what a branch brings.

A folder of the work tree must not hold hooks (`core.hooksPath .githooks`): checking out a branch would run that branch's.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import tempfile
from pathlib import Path

from reconciler.source.errors import SourceError
from reconciler.source.git_command import GitCommand, find_git_dir, find_repository
from reconciler.wording.text import printable

_MARKER = "Written by `accord hook install`"
_TEXT = f"""#!/bin/sh
# Checks what is about to be committed. {_MARKER}; `accord hook uninstall` removes it.
accord=PROGRAM
[ -x "$accord" ] || accord=accord
exec "$accord" hook run
"""


def install_hook(folder: str) -> Path:
    """Write the hook into a repository's own folder and return its file; writing it again is harmless.

    Raises SourceError if Git would not run it, or if there is another hook.
    """
    file, top = _hook_file(folder)
    _refuse_other_folder(folder, top, file.parent)
    if os.path.lexists(file) and not _is_ours(file):
        raise SourceError(
            f"there is another hook, `{file}`; Accord does not touch it. Add this line to it: accord hook run || exit 1"
        )
    try:
        file.parent.mkdir(exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=".pre-commit.")
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(_TEXT.replace("PROGRAM", shlex.quote(_program())))
        Path(temporary).chmod(0o755)
        Path(temporary).replace(file)
    except OSError as error:
        raise SourceError(f"cannot write `{file}`: {error.strerror}") from None
    return file


def uninstall_hook(folder: str) -> Path | None:
    """Remove the hook and return its file; None if there is none. Raises SourceError if the hook is another one."""
    file, _ = _hook_file(folder)
    if not os.path.lexists(file):
        return None
    if not _is_ours(file):
        raise SourceError(f"`{file}` was not written by Accord, so Accord does not remove it")
    try:
        file.unlink()
    except OSError as error:
        raise SourceError(f"cannot remove `{file}`: {error.strerror}") from None
    return file


def _hook_file(folder: str) -> tuple[Path, Path]:
    """Return where a repository keeps its pre-commit hook, and the top of its work tree."""
    git_dir, top = find_repository(folder)
    if top is None:
        raise SourceError(f"`{folder}` has no work tree to commit from; name the folder of a clone")
    said = GitCommand(git_dir, folder).run("rev-parse", "--git-common-dir").removesuffix("\n")
    common = Path(os.path.realpath(Path(git_dir, said)))  # linked work trees share their repository's hooks
    hooks = Path(os.path.realpath(common / "hooks"))
    if not hooks.is_relative_to(common):
        raise SourceError(
            f"`{common / 'hooks'}` leads to `{hooks}`, outside of the repository's own folder, where other people may write; "
            "remove that link first"
        )
    return hooks / "pre-commit", Path(top)


def _refuse_other_folder(folder: str, top: Path, hooks: Path) -> None:
    """Raise SourceError if Git looks for hooks elsewhere, above all in the work tree."""
    said = GitCommand(find_git_dir(folder), folder).run(
        "config", "--null", "--show-scope", "--type=path", "--get-all", "core.hooksPath"
    )
    fields = said.split("\0")
    found = [(scope, path) for scope, path in zip(fields[::2], fields[1::2], strict=False) if scope != "command"]
    scope, path = found[-1] if found else ("", str(hooks))
    place = Path(os.path.realpath(top / path))
    if place == hooks:
        return
    unset = f"git config --{scope} --unset-all core.hooksPath"
    shown = printable(path)
    if place.is_relative_to(os.path.realpath(top)):
        raise SourceError(
            f"Git takes its hooks from `{shown}` in the work tree (core.hooksPath), so a branch that you check out can run "
            f"programs as you. End that first: {unset}"
        )
    raise SourceError(
        f"Git takes its hooks from `{shown}` (core.hooksPath), not from this repository. Add this line to the hook `pre-commit` "
        f"there: accord hook run || exit 1. Or end that: {unset}"
    )


def _is_ours(file: Path) -> bool:
    try:
        return not file.is_symlink() and _MARKER.encode() in file.read_bytes()[:1000]
    except OSError:
        return False


def _program() -> str:
    """Return the path of `accord`: editors that commit may have another PATH."""
    beside = Path(sys.executable).with_name("accord")
    return str(beside) if beside.is_file() else shutil.which("accord") or "accord"
