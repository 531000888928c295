"""The program as a process that starts at once: a copy of this one, so that what is killed is the work and not the start.

A copy must not be made while this process has a SQLite database open: SQLite takes its locks for the copy's own.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import tempfile
import warnings
from collections.abc import Callable
from types import TracebackType
from typing import IO, Any, NamedTuple

from scenario import Accord


class Ended(NamedTuple):
    """How a process ended: its exit code, or minus the signal that ended it; and what it wrote."""

    code: int
    output: str
    errors: str


class Forked:
    """A command of the program in a process of its own. `prepare` runs in it first."""

    def __init__(self, accord: Accord, *arguments: str, prepare: Callable[[], Any] | None = None) -> None:
        self._files: list[IO[bytes]] = [tempfile.TemporaryFile() for _ in range(2)]  # noqa: SIM115 - closed by wait()
        self._ended: Ended | None = None
        begun, begin = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os._exit(self._run(accord, arguments, prepare, begin))
        os.close(begin)
        os.read(begun, 1)  # it runs now
        os.close(begun)

    def _run(self, accord: Accord, arguments: tuple[str, ...], prepare: Callable[[], Any] | None, begin: int) -> int:
        from reconciler.cli.main import accord as program
        from reconciler.cli.main import run
        from reconciler.process import decide, heed_signals, say_interrupted

        def command(**options: Any) -> Any:
            os.write(begin, b"!")
            return program.main(args=list(arguments), **options)

        atexit._clear()  # what the test run does at its end, such as deleting its servers, is not for a copy to do
        warnings.simplefilter("ignore", ResourceWarning)  # Python's default: what an interrupt leaves open ends with the process
        sys.settrace(None)  # coverage holds a lock that is never free again once Ctrl-C comes while it is held
        try:
            for number, file in enumerate(self._files, 1):
                os.dup2(file.fileno(), number)
            sys.stdout, sys.stderr = (os.fdopen(number, "w", encoding="utf-8") for number in (1, 2))
            os.environ.update(accord.environment)
            if prepare is not None:
                prepare()
            heed_signals("accord")
            try:
                code = run(command)
                decide(code)
            except KeyboardInterrupt:  # before `run`, or between two of its lines
                code = say_interrupted()
        except BaseException:  # noqa: BLE001 - a copy of the test run must never go on with the tests
            import traceback

            traceback.print_exc()
            code = 99
        sys.stdout.flush()
        sys.stderr.flush()
        return code

    def send(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended already."""
        if self._ended is None:
            os.kill(self.pid, number)

    def wait(self) -> Ended:
        """Wait for its end."""
        if self._ended is None:
            _, status = os.waitpid(self.pid, 0)
            texts = []
            for file in self._files:
                file.seek(0)
                texts.append(file.read().decode())
                file.close()
            self._ended = Ended(os.waitstatus_to_exitcode(status), *texts)
        return self._ended

    def __enter__(self) -> Forked:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.send(signal.SIGKILL)
        self.wait()
