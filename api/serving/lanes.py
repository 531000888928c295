"""Logins wait outside the threads that answer, in lines, one a network; known networks have threads of their own."""

from __future__ import annotations

import re
import socket
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.task import ThreadedTaskDispatcher, WSGITask

from api.authentication.places import INSIDER, Guest
from api.http import certdog

PROPOSALS = re.compile(r"/proposals(/.*)?|/users/(new|[^/]+/(edit|remove))")
"""Pages for which the reconciler's program runs, for seconds, or is waited for."""
FOR_PROPOSALS = 3
"""Threads that answer these: one more than programs run at once, so that somebody is told that it is busy."""
LOGINS = ("/api/v1/sessions", certdog.LOGIN, "/login")
FOR_KNOWN, FOR_STRANGERS = 4, 2
"""Threads that answer logins, beside those that answer everything else."""
PLACES = FOR_KNOWN + FOR_STRANGERS + 2
"""Places for logins: one for each thread, and as many more as nobody may take who has one already."""
MOST_WAITING = 200
"""Logins that wait in each lane; one more is told to try again at once."""
OVERDUE = float("-inf")
"""When a login arrived for which there was no room."""
_T = TypeVar("_T")


class Lines(Generic[_T]):
    """What waits, in lines of which the first of each takes its turn. Pure."""

    def __init__(self) -> None:
        self._lines: OrderedDict[str, deque[_T]] = OrderedDict()
        self._number = 0

    def __len__(self) -> int:
        return self._number

    def put(self, line: str, item: _T) -> None:
        """Wait at the end of a line."""
        self._lines.setdefault(line, deque()).append(item)
        self._number += 1

    def take(self) -> _T:
        """The next; its line waits until all others have had a turn."""
        name, line = self._lines.popitem(last=False)
        item = line.popleft()
        self._number -= 1
        if line:
            self._lines[name] = line
        return item


class _Waiting(NamedTuple):
    line: str
    channel: HTTPChannel


class _Queue:
    """Lines as the dispatcher uses a queue."""

    def __init__(self) -> None:
        self._lines: Lines[HTTPChannel] = Lines()

    def __len__(self) -> int:
        return len(self._lines)

    def append(self, waiting: _Waiting) -> None:
        self._lines.put(*waiting)

    def popleft(self) -> HTTPChannel:
        return self._lines.take()


class LoginLanes:
    """Threads that answer logins."""

    def __init__(self, guest_of: Callable[[dict[str, Any]], Guest]) -> None:
        """`guest_of`: who sends a request, by its environment; it may raise anything, and the request is a stranger's then."""
        self._guest_of = guest_of
        self._known, self._strangers = ThreadedTaskDispatcher(), ThreadedTaskDispatcher()
        for lane, threads in ((self._known, FOR_KNOWN), (self._strangers, FOR_STRANGERS)):
            lane.queue = _Queue()
            lane.set_thread_count(threads)

    def takes(self, channel: HTTPChannel) -> bool:
        """Whether the next request of a connection waits here; one that finds no room is overdue, and goes elsewhere."""
        request: HTTPRequestParser = channel.requests[0]
        if request.error or request.command != "POST" or certdog.canonical(f"/{request.path.lstrip('/')}") not in LOGINS:
            return False
        guest = self._guest(channel, request)
        lane = self._known if guest.known else self._strangers
        if len(lane.queue) >= MOST_WAITING:
            request.arrived = OVERDUE
            return False
        request.arrived = time.monotonic()
        lane.add_task(_Waiting(guest.network, channel))
        return True

    def shutdown(self, timeout: float) -> None:
        """End the threads."""
        for lane in (self._known, self._strangers):
            lane.shutdown(timeout=timeout)

    def _guest(self, channel: HTTPChannel, request: HTTPRequestParser) -> Guest:
        if channel.socket is not None and channel.socket.family == socket.AF_UNIX:
            return INSIDER  # the local socket, which only this machine reaches
        try:
            return self._guest_of(WSGITask(channel, request).get_environment())
        except Exception:  # noqa: BLE001 - whatever is wrong with the request, its answer says it
            return Guest("", False)
