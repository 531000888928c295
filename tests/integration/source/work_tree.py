"""A repository to commit to, and what is read out of it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from reconciler.source.repository import Repository

ALICE = b"apiVersion: accord/v1\nkind: User\nmetadata: {name: alice}\nspec: {email: alice@example.org}\n"
BOB = ALICE.replace(b"alice", b"bob")


class Work:
    """A repository with a working tree, and a clock of its own."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder, self.clock = folder, 1_770_000_000
        folder.mkdir()
        self.git("init", "-q", "-b", "main", *options)

    def git(self, *arguments: str, stdin: bytes = b"", check: bool = True) -> str:
        identity = {"NAME": "Alice Jones", "EMAIL": "alice@example.org", "DATE": f"{self.clock} +0000"}
        who = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in identity.items()}
        done = subprocess.run(
            ["git", *arguments], cwd=self.folder, input=stdin, env={**os.environ, **who}, capture_output=True, check=False
        )
        assert done.returncode == 0 or not check, done.stderr.decode()
        return done.stdout.decode("utf-8", "surrogateescape").strip()

    def commit(self, files: Mapping[str, bytes | None], message: str = "Change") -> str:
        self.clock += 60
        for name, content in files.items():
            path = self.folder / name
            if content is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        self.git("add", "--all", "--force")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def object_file(self, name: str) -> Path:
        return self.folder / ".git" / "objects" / name[:2] / name[2:]

    def overwrite(self, name: str, content: bytes) -> None:
        file = self.object_file(name)
        file.chmod(0o644)
        file.write_bytes(content)


def opened(work: Work | Path | str, cache: Path) -> Repository:
    return Repository.open(str(work.folder if isinstance(work, Work) else work), cache)


def contents(repository: Repository, commit: str, path: str = "") -> dict[str, bytes | None]:
    files = repository.entries(commit, path).files
    read = dict(repository.read(blob for _, blob in files))
    return {name: read[blob] for name, blob in files}
