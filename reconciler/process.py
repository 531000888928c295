"""What both programs do around a command: signals end it soon and with a true exit code, and output cannot undo what was done."""

from __future__ import annotations

import atexit
import io
import logging
import os
import select
import signal
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

from reconciler.descendants import end_descendants
from reconciler.store.commit import settled, standing

if TYPE_CHECKING:
    from types import FrameType

OK, ERROR, UNREACHABLE = 0, 1, 6
"""Exit codes of both programs. After a signal it is 128 and the signal's number."""
_GRACE, _SETTLING = 1.0, 0.5
"""Seconds that a command gets to end by itself after a signal, and on top of that to end a commit: two seconds with the rest."""
_ENDING = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}


class _State:
    """Of the process: the first signal that asked it to end, and its exit code once that is certain."""

    name = "accord"
    received: int | None = None
    has_said = False
    saying = threading.Lock()
    serves = False
    code: int | None = None


def heed_signals(name: str) -> None:
    """Let the first signal end the command: in the main thread by KeyboardInterrupt, or, if that is stuck, by force.

    After the beginning of a commit a signal changes nothing: the command goes on and says what was done. A signal that whoever
    started the program chose to ignore stays ignored.
    """
    _State.name = name
    if signal.getsignal(signal.SIGTERM) is _heed:
        return
    _State.received, _State.has_said, _State.code = None, False, None  # a copy of a process has a life of its own
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(reading,), name="signals", daemon=True).start()
    for number in _ENDING:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _heed)
    sys.unraisablehook = _pass_over_interrupts


def release_signals() -> None:
    """Leave signals to a server, which ends in its own way and commits all the time."""
    _State.serves = True
    for number in _ENDING:
        if signal.getsignal(number) is _heed:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    writing = signal.set_wakeup_fd(-1)
    if writing >= 0:
        os.close(writing)  # which ends the thread


def _heed(number: int, frame: FrameType | None) -> None:
    first, _State.received = _State.received is None, _State.received or number
    if first and _State.code is None and standing() == "open":
        for name in ("sqlalchemy.pool", "psycopg"):  # they are told of this already
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        if _is_importing(frame):  # an exception there can crash a compiled module, and nothing needs to be undone
            decide(say_interrupted())
            finish()
        raise KeyboardInterrupt


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _pass_over_interrupts(unraisable: sys.UnraisableHookArgs) -> None:
    """An interrupt in a finalizer is lost, and the watching thread ends the process instead."""
    if not isinstance(unraisable.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)


def _watch(reading: int) -> None:
    """End the process if a signal came and the main thread does not end it: it may wait in a library that knows no signals."""
    number = os.read(reading, 1)
    if not number:
        os.close(reading)
        return
    time.sleep(_GRACE)
    _State.received = _State.received or number[0]  # a main thread that is stuck has not heard of it
    with settled(_SETTLING) as found:
        code = _State.code
        if code is None and found == "done":
            code = OK
        elif code is None and found != "open":
            _say("interrupted while the database committed; whether the change was made is unknown: look, and try again")
            code = UNREACHABLE
        _end(say_interrupted() if code is None else code)


def is_done() -> bool:
    """Tell whether the command has committed what it was asked to change: from there on it has succeeded."""
    return standing() == "done" and not _State.serves


def was_interrupted() -> bool:
    """Tell whether a signal asked the process to end, and it has not begun to commit anything."""
    return _State.received is not None and standing() == "open"


def say_interrupted() -> int:
    """Say that the command ended early; its exit code, by which a shell tells the signal."""
    number = signal.Signals(_State.received or signal.SIGINT)
    if _State.saying.acquire(timeout=_SETTLING):  # one thread says it, and the other does not end the process before it has
        try:
            if not _State.has_said:
                _say(f"{_ENDING[number]}; unfinished work was undone")
                _State.has_said = True
        finally:
            _State.saying.release()
    return 128 + number


def _say(message: str) -> None:
    line = f"{_State.name}: {message}\n"
    with suppress(OSError, ValueError):
        if os.isatty(2):  # which shows ^C
            line = f"\n{line}"
        if threading.current_thread() is threading.main_thread():
            sys.stderr.write(line)
            sys.stderr.flush()
        elif select.select([], [2], [], _SETTLING)[1]:  # the main thread may hold the stream, and nobody may read it
            os.write(2, line.encode())


def decide(code: int) -> None:
    """Decide on the exit code: from here on no signal matters."""
    _State.code = code


def finish() -> NoReturn:
    """End the process, without freeing a million tuples one by one: that takes a tenth of the time of making them."""
    atexit._run_exitfuncs()
    with suppress(Exception):  # output that cannot be written now never can be
        sys.stdout.flush()
    _end(OK if _State.code is None else _State.code)


def _end(code: int) -> NoReturn:
    if _State.received is not None:
        end_descendants(os.getpid(), signal.SIGTERM)
    os._exit(code)


class OutputFailed(OSError):
    """Standard output does not take what the command was asked to say."""


class _Output(io.FileIO):
    """A stream that takes everything, unless it fails for good while that still matters.

    A reader such as `head` may stop early, and the rest is dropped. A pipe that its maker set not to block is waited for.
    """

    def __init__(self, number: int, *, matters: bool) -> None:
        super().__init__(number, "w", closefd=False)
        self._matters = matters

    def write(self, data: Any, /) -> int:
        while True:
            try:
                written = super().write(data)
            except OSError as error:
                self._drop(error)
            else:
                if written is not None:
                    return written
                waiting = select.poll()
                waiting.register(self.fileno(), select.POLLOUT)
                waiting.poll()

    def _drop(self, error: OSError) -> None:
        """Send the rest nowhere. Raises OutputFailed if the command has nothing else to show for itself."""
        if self._matters and not isinstance(error, BrokenPipeError):
            if not is_done():
                raise OutputFailed(error.errno, f"standard output cannot be written: {error.strerror}")
            _say(f"the change is made, but standard output cannot be written: {error.strerror}")
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)


def open_streams() -> None:
    """Make all three streams usable. A closed one goes to the null device, so that no database file gets its number.

    Characters that the stream's encoding lacks are spelled out.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 - open until the program ends
        elif mode == "w":
            output = io.BufferedWriter(_Output(stream.fileno(), matters=name == "stdout"))
            options = {"encoding": stream.encoding, "errors": "backslashreplace", "line_buffering": stream.line_buffering}
            setattr(sys, name, io.TextIOWrapper(output, **options))
