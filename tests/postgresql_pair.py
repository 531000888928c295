"""Two PostgreSQL servers, a primary and its standby, which change places."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from postgresql_server import PostgresqlServer
from waiting import until

_SETTINGS = ("fsync=off", "wal_keep_size=256MB", "max_connections=60")


class Pair:
    """A primary, and a standby that follows it."""

    def __init__(self, binaries: Path, folder: Path, *, synchronous: bool) -> None:
        settings = (*_SETTINGS, *(["synchronous_standby_names=walreceiver"] if synchronous else []))
        self.primary, self.standby = (
            PostgresqlServer(binaries, folder / name, durable=True, settings=settings) for name in ("one", "other")
        )

    def start(self) -> None:
        """Make and start both."""
        self.primary.make()
        self.primary.start()
        self.standby.copy(self.primary)
        self._start_standby()

    def url(self, database: str = "postgres") -> str:
        """The URL that names both."""
        hosts = ",".join(f"127.0.0.1:{port}" for port in sorted((self.primary.port, self.standby.port)))
        return f"postgresql://postgres@{hosts}/{database}"

    def fail_over(self) -> None:
        """Promote the standby; the primary must have ended, or hang."""
        self.standby.promote()
        self.primary, self.standby = self.standby, self.primary

    def take_back(self) -> None:
        """Make the primary of the past, which has ended, the standby."""
        self.standby.copy(self.primary)
        self._start_standby()

    def _start_standby(self) -> None:
        self.standby.start()
        streaming = "SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'"
        until(lambda: self.primary.query(streaming), "the standby's following")

    def catch_up(self) -> None:
        """Wait until the standby has everything that the primary has now."""
        ((position,),) = self.primary.query("SELECT pg_current_wal_lsn()::text")
        reached = f"SELECT pg_last_wal_replay_lsn() >= '{position}'"
        until(lambda: self.standby.query(reached)[0][0], "the standby's catching up")

    def stop(self) -> None:
        """Stop both."""
        for server in (self.standby, self.primary):
            if server.is_running():
                server.stop()


def hang(server: PostgresqlServer) -> None:
    """Stop its processes without ending them: it is there, and does not answer."""
    _signal(server, signal.SIGSTOP)


def go_on(server: PostgresqlServer) -> None:
    """Let it answer again."""
    _signal(server, signal.SIGCONT)


def _signal(server: PostgresqlServer, number: signal.Signals) -> None:
    for process in server.processes():
        with suppress(ProcessLookupError):  # of those that it starts, some just end
            os.kill(process, number)


@contextmanager
def pair_of_servers(binaries: Path, *, synchronous: bool) -> Iterator[Pair]:
    """A pair for a while."""
    with tempfile.TemporaryDirectory(prefix="accord-pair-") as folder:
        Path(folder).chmod(0o755)  # the account `postgres` must be able to walk through
        pair = Pair(binaries, Path(folder), synchronous=synchronous)
        try:
            pair.start()
            yield pair
        finally:
            pair.stop()
