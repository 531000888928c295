"""Processes that are measured: their time, their memory, and when a server answers."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE") / 2**20
_TICKS = os.sysconf("SC_CLK_TCK")


def family(pid: int) -> Iterator[Path]:
    """The folders in /proc of a process and its descendants; some may be gone when they are looked into."""
    waiting = [pid]
    while waiting:
        folder = Path(f"/proc/{waiting.pop()}")
        yield folder
        try:
            for children in folder.glob("task/*/children"):
                waiting += [int(child) for child in children.read_text().split()]
        except OSError:
            continue


def resident(pid: int) -> float:
    """MiB that a process and its descendants hold, shared pages counted in each."""
    return sum(int(fields[1]) * _PAGE for fields in _fields(pid, "statm"))


def busy(pid: int) -> float:
    """Seconds that a process and its living descendants have computed."""
    return sum(int(fields[11]) + int(fields[12]) for fields in _fields(pid, "stat")) / _TICKS


def _fields(pid: int, file: str) -> Iterator[list[str]]:
    for folder in family(pid):
        try:
            yield (folder / file).read_text().rpartition(")")[2].split()
        except OSError:
            continue


def settle(pid: int, seconds: float = 120) -> None:
    """Wait until a server has done what it does by itself when it starts: for a second it computes hardly anything."""
    end, before = time.monotonic() + seconds, busy(pid) - 1
    while time.monotonic() < end and (now := busy(pid)) - before > 0.05:
        before = now
        time.sleep(1)


@contextmanager
def running(command: list[str], environment: Mapping[str, str], port: int, path: str) -> Iterator[tuple[int, float]]:
    """A server from when it answers, at `path`, with 200: its process, and after how many seconds that was."""
    began = time.monotonic()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not _answers(port, path):
            if process.poll() is not None or time.monotonic() - began > 60:
                raise RuntimeError(f"{' '.join(command)} does not answer; it ended with {process.returncode}")
            time.sleep(0.01)
        yield process.pid, time.monotonic() - began
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)


def _answers(port: int, path: str) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            return b" 200 " in connection.recv(100)
    except OSError:
        return False


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
