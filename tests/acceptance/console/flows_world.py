"""A console whose config repository is behind a forge and whose mail goes to a folder: all that a flow from end to end meets."""

from __future__ import annotations

import email
import email.policy
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from console_world import PEOPLE, Console
from forge import Forge
from organisation import Applied, copy_repository
from scenario import Accord, Clone
from waiting import until

sys.path.append(str(Path(__file__).parent.parent / "api"))

from client import PASSWORD, World
from served import Server, free_port, serving

OWN = "quite another long passphrase"
"""What people choose who must change their password."""
_SECRET = re.compile(r"\b([a-z2-9]{5}(?:-[a-z2-9]{5}){5,})\b")
_CREDENTIALS = ("accord", "sesame-open")


class Flows(Console):
    """The console, the repository that its proposals are pushed to, and everybody's mailbox."""

    def __init__(self, world: World, server: Server, forge: Forge, folder: Path) -> None:
        super().__init__(world, server)
        self.forge = forge
        self._mail = folder / "mail/new"
        self._clone = Clone(world.repository, folder / "clone")

    def mails_to(self, address: str) -> list[str]:
        """The plain texts of mails that an address got, the oldest first."""
        files = sorted(self._mail.iterdir(), key=lambda file: file.stat().st_mtime_ns) if self._mail.is_dir() else []
        found = [email.message_from_bytes(file.read_bytes(), policy=email.policy.default) for file in files]
        bodies = [each.get_body(("plain",)) for each in found if address in str(each["To"])]  # type: ignore[attr-defined]
        return [body.get_content() for body in bodies]

    def mailed_password(self, address: str, *, number: int = 1) -> str:
        """The password of the mail with this number among those with a password that an address got; waits for it."""

        def passwords() -> list[str]:
            found = [password for text in self.mails_to(address) for password in _SECRET.findall(text)]
            return found if len(found) >= number else []

        return until(passwords, f"mail {number} with a password for {address}")[number - 1]

    def commit_of(self, branch: str) -> str:
        """The commit of a branch in the repository."""
        self._clone.git("fetch", "-q", "--prune")
        return self._clone.git("rev-parse", f"origin/{branch}").strip()

    def branches(self) -> list[str]:
        """The proposals' branches in the repository."""
        git = ["git", "-C", str(self.world.repository.path), "for-each-ref", "--format=%(refname:short)", "refs/heads/accord/"]
        return subprocess.run(git, capture_output=True, text=True, check=True).stdout.split()

    def merge(self, branch: str) -> None:
        """Merge a proposal as a forge's button does, and apply what came of it."""
        self._clone.git("fetch", "-q", "--prune")
        self._clone.git("merge", "-q", "--ff-only", "origin/main")
        self._clone.git("merge", "-q", "--no-ff", "-m", f"Merge {branch}", f"origin/{branch}")
        self._clone.git("push", "-q", "origin", "HEAD:main", f":{branch}")
        self.world.accord("apply", "--yes")

    @contextmanager
    def refusing(self, said: str) -> Iterator[None]:
        """The repository takes nothing meanwhile, and says this."""
        hook = self.world.repository.path / "hooks/pre-receive"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\necho '{said}' >&2\nexit 1\n")
        hook.chmod(0o755)
        yield
        hook.unlink()


@contextmanager
def flows_of(applied: Applied, url: str, folder: Path, **environment: str) -> Iterator[Flows]:
    """A console over a copy of an applied organisation's repository, and a database of its own."""
    www = folder / "www"
    www.mkdir()
    repository = copy_repository(applied, www / "config.git")
    subprocess.run(["git", "-C", str(repository.path), "config", "http.receivepack", "true"], check=True)
    forge = Forge(www)
    forge.admit(*_CREDENTIALS)
    port = free_port()
    settings = {
        "ACCORD_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "ACCORD_REPOSITORY": forge.url("config.git", ":".join(_CREDENTIALS)),
        "ACCORD_CACHE": str(folder / "cache"),
        "ACCORD_MAIL": "on",
        "ACCORD_MAILDIR": str(folder / "mail"),
        "HOME": str(folder),
        "PATH": os.environ["PATH"],
        **environment,
    }
    world = World(Accord(repository.path, url, folder / "planner"))
    try:
        world.execute("DELETE FROM outbox")  # nobody waits for the first mails
        for name in PEOPLE:
            world.set_password(name, PASSWORD)
        with serving(url, folder, port=port, **settings) as server:
            yield Flows(world, server, forge, folder)
    finally:
        world.service.stop()
        forge.close()
