"""A first day's desk: a folder with a config repository in it, a database, and the program."""

from __future__ import annotations

import subprocess
from pathlib import Path

from scenario import Accord


class Desk:
    """A folder with a config repository in it, a database, and the program."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.config = folder / "config"
        self.accord = Accord(self.config, database_url, folder / "cache")

    def git(self, *arguments: str) -> str:
        identity = ["-c", "user.name=Alice Jones", "-c", "user.email=alice@example.org"]
        git = ["git", *identity, "-C", str(self.config), *arguments]
        return subprocess.run(git, check=True, capture_output=True, text=True).stdout

    def write(self, name: str, text: str) -> None:
        place = self.config / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)

    def commit(self, message: str) -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        return self.git("rev-parse", "HEAD").strip()
