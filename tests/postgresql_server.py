"""A real PostgreSQL server for tests."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import psycopg

_NUMBERS = count(1)


def find_binaries() -> Path | None:
    """Where PostgreSQL's programs are: Debian keeps them apart by version, others put them on the PATH."""
    installed = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if (path / "initdb").exists()]
    if installed:
        return max(installed, key=lambda path: float(path.parent.name))
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


class PostgresqlServer:
    """A PostgreSQL server of our own on a free loopback port. Quick rather than safe, unless it is `durable`."""

    def __init__(self, binaries: Path, folder: Path, *, durable: bool = False, settings: Sequence[str] = ()) -> None:
        self._binaries = binaries
        self._folder = folder
        self._data = folder / "data"
        self._durable = durable
        self._settings = settings
        self.port = _free_port()

    def make(self) -> None:
        """Make the cluster."""
        self._make_folder()
        self._run("initdb", "-D", str(self._data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        with (self._data / "postgresql.conf").open("a") as settings:
            settings.writelines(f"{setting}\n" for setting in self._settings)

    def _make_folder(self) -> None:
        # PostgreSQL refuses to run as root, so root hands the folder to the account `postgres`
        self._folder.mkdir(exist_ok=True)
        if os.geteuid() == 0:
            shutil.chown(self._folder, "postgres", "postgres")

    def copy(self, primary: PostgresqlServer) -> None:
        """Make it a standby of another server, whatever it was before."""
        self._make_folder()
        shutil.rmtree(self._data, ignore_errors=True)
        self._run("pg_basebackup", "-d", primary._replicated(), "-D", str(self._data), "-R", "-X", "stream", "-c", "fast", "-N")

    def promote(self) -> None:
        """Make a standby a primary."""
        self._run("pg_ctl", "-D", str(self._data), "-w", "-s", "promote")

    def _replicated(self) -> str:
        return f"host=127.0.0.1 port={self.port} user=postgres dbname=postgres"

    def processes(self) -> list[int]:
        """The server's process, and those that it started."""
        first = int((self._data / "postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{first}/task/{first}/children").read_text()
        return [first, *map(int, children.split())]

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = [
            f"-c port={self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self._folder}",
            "-c shared_buffers=32MB -c max_connections=60",
        ]
        if not self._durable:
            options.append("-c fsync=off -c synchronous_commit=off -c full_page_writes=off")
        self._run("pg_ctl", "-D", str(self._data), "-l", str(self._data / "log"), "-w", "-s", "-o", " ".join(options), "start")

    def stop(self, mode: str = "immediate") -> None:
        """Stop it at once, as a crash would, or in another mode of `pg_ctl`."""
        self._run("pg_ctl", "-D", str(self._data), "-m", mode, "-s", "stop")

    def is_running(self) -> bool:
        """Whether it was started, and not stopped."""
        return (self._data / "postmaster.pid").exists()

    def url(self, database: str = "postgres", user: str = "postgres", password: str = "") -> str:
        """The URL of one of its databases."""
        account = f"{user}:{password}" if password else user
        return f"postgresql://{account}@127.0.0.1:{self.port}/{database}"

    def execute(self, statement: str, database: str = "postgres") -> None:
        """Run a statement outside any transaction."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(statement.encode())

    def query(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """The rows of a statement."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            return connection.execute(statement.encode()).fetchall()

    def asking_passwords(self) -> AbstractContextManager[None]:
        """The account `guest` must give its password meanwhile; everybody else is trusted."""
        return self._admitting("host all guest 127.0.0.1/32 scram-sha-256\n")

    def refusing(self, account: str) -> AbstractContextManager[None]:
        """The account is not let in meanwhile."""
        return self._admitting(f"host all {account} 127.0.0.1/32 reject\n")

    @contextmanager
    def _admitting(self, rule: str) -> Iterator[None]:
        access = self._data / "pg_hba.conf"
        trusting = access.read_text()
        access.write_text(rule + trusting)
        self.execute("SELECT pg_reload_conf()")
        try:
            yield
        finally:
            access.write_text(trusting)
            self.execute("SELECT pg_reload_conf()")

    def new_database(self, template: str = "template0") -> str:
        """The URL of a new database: an empty one, or a copy of another, to which nobody is connected."""
        name = f"accord_{next(_NUMBERS)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    def drop_database(self, url: str) -> None:
        """Drop a database, whoever is still connected to it."""
        self.execute(f"DROP DATABASE IF EXISTS {url.rpartition('/')[2]} WITH (FORCE)")

    def _run(self, program: str, *arguments: str) -> None:
        as_postgres: Sequence[str] = ()
        if os.geteuid() == 0:
            as_postgres = ("setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups")
        command = [*as_postgres, str(self._binaries / program), *arguments]
        # a file rather than a pipe: the server keeps what it inherits, and reading a pipe would wait for its end
        with tempfile.TemporaryFile() as output:
            ended = subprocess.run(command, cwd="/", stdout=output, stderr=subprocess.STDOUT, check=False)
            output.seek(0)
            assert ended.returncode == 0, f"{program}: {output.read().decode()}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
