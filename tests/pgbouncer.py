"""A real PgBouncer in transaction mode, for tests."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from postgresql_server import PostgresqlServer
from waiting import LONG, until


class Pgbouncer:
    """PgBouncer on a free loopback port, as Debian configures it but for its mode."""

    def __init__(self, port: int) -> None:
        self.port = port

    def url(self, database: str) -> str:
        """The URL of a database behind it."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    @classmethod
    @contextmanager
    def before(cls, server: PostgresqlServer) -> Iterator[Pgbouncer]:
        """One before a server. Skips the test if PgBouncer is not installed."""
        program = shutil.which("pgbouncer")
        if program is None:
            reason = "PgBouncer is not installed (Debian: apt-get install pgbouncer); what needs it is not tested"
            if os.environ.get("CI") == "true":
                pytest.fail(reason)
            pytest.skip(reason)
        with tempfile.TemporaryDirectory(prefix="accord-pgbouncer-") as name, socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
            folder = Path(name)
            folder.chmod(0o777)  # PgBouncer refuses to run as root
            settings = folder / "pgbouncer.ini"
            settings.write_text(
                f"[databases]\n* = host=127.0.0.1 port={server.port} user=postgres\n"
                f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
                f"auth_type = any\npool_mode = transaction\ndefault_pool_size = 2\nlogfile = {folder}/log\n"
            )
            probe.close()
            as_postgres = ("setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups") if os.geteuid() == 0 else ()
            process = subprocess.Popen(
                [*as_postgres, program, "-q", str(settings)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            try:
                until(lambda: _accepts(port), "PgBouncer's listening")
                yield cls(port)
            finally:
                process.terminate()
                process.wait(LONG)


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
