"""What the acceptance tests share: a config repository to commit to, and the `accord` program as a process or in this one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema_rs
from click.testing import CliRunner, Result
from sqlalchemy import text

from reconciler.shipped import schema_folder
from reconciler.store.commit import forget
from reconciler.store.engine import open_database
from reconciler.store.tables import metadata

Documents = Mapping[str, Any]

ADMINISTRATORS = {
    "users/root.yaml": "apiVersion: accord/v1\nkind: User\nmetadata: {name: root}\nspec: {email: root@example.org}\n",
    "teams/admins.yaml": "apiVersion: accord/v1\nkind: Team\nmetadata: {name: admins}\n"
    "spec: {administrator: true, members: [root]}\n",
}
"""What no plan may be without: an administrator who can log in."""


def user(name: str, **spec: Any) -> dict[str, Any]:
    return resource("User", name, {"email": f"{name}@example.org", **spec})


def team(name: str, **spec: Any) -> dict[str, Any]:
    return resource("Team", name, spec)


def issuer(name: str, **spec: Any) -> dict[str, Any]:
    return resource("Issuer", name, spec)


def resource(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "accord/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


class ConfigRepository:
    """A bare Git repository that is written to as one would write files."""

    def __init__(self, folder: Path) -> None:
        self.path = folder
        self.clock = 1_770_000_000
        if not folder.exists():
            subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(folder)], check=True)

    def commit(
        self, files: Mapping[str, str | bytes | dict[str, Any] | None], message: str = "Change", *, whole: bool = False
    ) -> str:
        """Write files (None removes one; a mapping is written as YAML's JSON subset) and commit; `whole`: these are all files."""
        self.clock += 60
        parent = self.head()
        lines = [f"commit refs/heads/main\ncommitter Alice Jones <alice@example.org> {self.clock} +0000\n".encode()]
        lines.append(f"data {len(message.encode())}\n{message}\n".encode())
        if parent:
            lines.append(f"from {parent}\n".encode())
        if whole:
            lines.append(b"deleteall\n")
        for name, content in files.items():
            if content is None:
                lines.append(f"D {name}\n".encode())
                continue
            written = json.dumps(content) + "\n" if isinstance(content, dict) else content
            data = written.encode() if isinstance(written, str) else written
            lines.append(f"M 100644 inline {name}\ndata {len(data)}\n".encode() + data + b"\n")
        git = ["git", "-C", str(self.path), "fast-import", "--quiet", "--force"]
        subprocess.run(git, input=b"".join(lines), check=True)
        head = self.head()
        assert head
        return head

    def head(self) -> str:
        found = subprocess.run(
            ["git", "-C", str(self.path), "rev-parse", "--verify", "-q", "main"], capture_output=True, text=True, check=False
        )
        return found.stdout.strip()


PRINTED = {"explain": "explanation", "validate": "problems", "db": "version"}
"""The schema of what a command prints, where it is not called as the command."""


class Accord:
    """The program against one repository and one database."""

    def __init__(self, repository: Path | str, database_url: str, cache: Path) -> None:
        self.environment = {
            "ACCORD_REPOSITORY": str(repository),
            "ACCORD_DATABASE_URL": database_url,
            "ACCORD_CACHE": str(cache),
            "ACCORD_APPLIED_BY": "tester",
            "NO_COLOR": "1",
        }

    def __call__(self, *arguments: str, code: int = 0, **environment: str | None) -> Result:
        """Run a command in this process, and insist on its exit code."""
        result = self.run(*arguments, **environment)
        assert result.exit_code == code, f"accord {' '.join(arguments)}: {result.exit_code}\n{result.output}\n{result.stderr}"
        assert "Traceback" not in result.output + result.stderr
        return result

    def run(self, *arguments: str, **environment: str | None) -> Result:
        """Run a command in this process. A variable that is None is unset."""
        from reconciler.cli.main import accord, run

        class Edge:
            """The program with its edge: errors become messages and exit codes, as for a user."""

            name = "accord"

            def main(self, args: list[str], prog_name: str, **extra: Any) -> None:
                sys.exit(run(lambda **options: accord.main(args=list(args), **options)))

        runner = CliRunner(env={**self.environment, **environment})
        return runner.invoke(Edge(), list(arguments))  # type: ignore[arg-type]

    def json(self, *arguments: str, code: int = 0) -> Any:
        """What a command prints for programs, which is always what its schema describes."""
        document = json.loads(self(*arguments, "--format", "json", code=code).stdout)
        name = "verification" if arguments[:2] == ("audit", "verify") else PRINTED.get(arguments[0], arguments[0])
        schema = json.loads((schema_folder() / f"{name}.schema.json").read_bytes())
        jsonschema_rs.Draft202012Validator(schema, validate_formats=True).validate(document)
        return document

    def process(self, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
        """Start the program as a process of its own."""
        environment = {**os.environ, **self.environment}
        return subprocess.Popen(
            [sys.executable, "-m", "reconciler.cli", *arguments],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **options,
        )


def by_hand(accord: Accord, *statements: str) -> None:
    """Write into the tables as no Accord would, in one transaction."""
    with open_database(accord.environment["ACCORD_DATABASE_URL"]) as database, database.writing() as connection:
        for statement in statements:
            connection.execute(text(statement))
    forget()  # the program under test, in this very process, did not commit that


def everything(accord: Accord) -> dict[str, list[Any]]:
    """Every row of every table."""
    with open_database(accord.environment["ACCORD_DATABASE_URL"], read_only=True) as database, database.reading() as connection:
        return {table.name: sorted(map(repr, connection.execute(table.select()).fetchall())) for table in metadata.sorted_tables}


class Clone:
    """A working copy of a config repository, as people have one."""

    def __init__(self, repository: ConfigRepository, folder: Path) -> None:
        self.folder = folder
        subprocess.run(["git", "clone", "-q", str(repository.path), str(folder)], check=True)

    def git(self, *arguments: str, given: bytes | None = None) -> str:
        identity = ["-c", "user.name=Alice Jones", "-c", "user.email=alice@example.org"]
        ended = subprocess.run(["git", *identity, *arguments], cwd=self.folder, input=given, capture_output=True, check=False)
        assert ended.returncode == 0, ended.stderr.decode()
        return ended.stdout.decode()

    def push(self, message: str = "Change") -> str:
        """Commit whatever is there, and push it."""
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        self.git("push", "-q")
        return self.git("rev-parse", "HEAD").strip()
