"""Proposals are made by `accord propose`, a process of its own: the push credential, Git and large plans stay out of this one.

Everything that the console asks of it passes here: what is to change as JSON on its standard input, its answer as JSON. No secret
is ever in its arguments, and of this process's environment it gets what is listed here, and nothing else.
"""

from __future__ import annotations

import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from selectors import EVENT_READ, EVENT_WRITE, DefaultSelector
from typing import Any, NamedTuple

import orjson

import reconciler
from reconciler.descendants import end_descendants
from reconciler.wording.text import printable

_log = logging.getLogger("accord.api")
Document = Mapping[str, Any]
PLACES = 2
"""How many proposals may be worked on at once in this process."""
SECONDS = 20.0
"""How long one may take, from its start to its answer."""
WITHIN = "15s"
"""How long the repository may take, unless the operator says otherwise: the process is ended later, so that it can say why."""
WAIT = 1.0
"""Seconds that somebody waits for a place."""
_AGAIN = 0.02
KEPT = 10.0
"""Seconds for which a list of proposals is shown again without a look at the repository."""
LARGEST = 16 << 20
"""Bytes of an answer. Diff and patch have at most 4 MiB each."""
_MOST_LOGGED = 4_000
_GRACE = 2.5
"""Seconds for a process to end that is asked to (`reconciler.process`)."""
_SETTLING = 2.0
"""Seconds for a process to end that has said everything."""
_PASSED_ON = re.compile(
    r"PATH|HOME|LANG|LC_ALL|LC_CTYPE|TMPDIR|XDG_CONFIG_HOME|XDG_CACHE_HOME|SSL_CERT_(?:FILE|DIR)|SSH_AUTH_SOCK"
    r"|(?:https?|all|no)_proxy|(?:HTTPS?|ALL|NO)_PROXY"
    r"|PG(?:PASSFILE|SERVICE|SERVICEFILE|SSLMODE|SSLROOTCERT|SSLCERT|SSLKEY|REQUIRESSL|CHANNELBINDING)"
    r"|ACCORD_(?:REPOSITORY|REPOSITORY_WITHOUT_TLS|BRANCH|PATH|CACHE|CONFIG|PROPOSAL_COMMITTER|PROPOSAL_SIGNING_KEY|PROPOSAL_TIMEOUT)"
    r"|GIT_(?:SSH|SSH_COMMAND|SSH_VARIANT|ASKPASS|SSL_(?:CAINFO|CAPATH|CERT|CERT_TYPE|CERT_PASSWORD_PROTECTED|KEY|KEY_TYPE)"
    r"|PROXY_SSL_(?:CAINFO|CERT|KEY)|HTTP_PROXY_AUTHMETHOD|CONFIG_(?:GLOBAL|SYSTEM|NOSYSTEM|COUNT|KEY_[0-9]+|VALUE_[0-9]+)|EXEC_PATH)"
)
"""The variables that the reconciler reads to find and reach the repository and the database (docs/reference/settings.md)."""
BRANCH = re.compile(r"accord/[A-Za-z0-9._/-]{1,200}")
"""What a proposal's branch is called."""


class ProposalFailed(Exception):
    """Nothing was proposed; `reason` is one of the reconciler's, or of `FAILURES` of `api.console.proposal_failures`."""

    def __init__(self, reason: str, detail: str = "", document: Document | None = None) -> None:
        super().__init__(detail or reason)
        self.reason, self.detail = reason, detail
        said = document or {}
        self.remote: str = said.get("remote") or ""
        """The remote's own words: a stranger's text."""
        self.patch: str = said.get("patch") or ""
        self.problems: Sequence[Mapping[str, Any]] = said.get("problems") or ()


class Intent(NamedTuple):
    """What somebody wants to change, and who it is."""

    acts: tuple[Mapping[str, Any], ...]
    author: tuple[str, str]
    """Name and e-mail address."""
    reason: str = ""
    drop_comments: bool = False
    most_open: int | None = None
    """How many open proposals this person may have."""


class Expected(NamedTuple):
    """What a preview showed: the commit that it stands on, and the commit that is proposed."""

    base: str
    commit: str


class Listing(NamedTuple):
    """The proposals as they were when the repository was read."""

    proposals: Sequence[Document]
    read_at: datetime
    failed: ProposalFailed | None = None
    """Why it could not be read again since."""


class _Kept(NamedTuple):
    until: float
    """On the monotonic clock."""
    found: Listing | ProposalFailed


class _Turn:
    """What one person asks for at once."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.callers = 0


class Proposing:
    """Runs the reconciler's program, a few times at once and for a limited time."""

    def __init__(
        self,
        database_url: str,
        is_configured: bool,
        environment: Mapping[str, str] | None = None,
        *,
        places: int = PLACES,
        seconds: float = SECONDS,
        wait: float = WAIT,
    ) -> None:
        self.is_configured = is_configured
        """Whether the operator said where the config repository is."""
        self._environment = environment_of(os.environ if environment is None else environment, database_url)
        self._places = threading.BoundedSemaphore(places)
        self._people_lock = threading.Lock()
        self._people: dict[str, _Turn] = {}
        """Those for whom the program works now. Nobody holds two places, so that the others get one."""
        self._seconds, self._wait = seconds, wait
        self._listing: _Kept | None = None
        self._listing_lock = threading.Lock()
        self._changes = 0
        """How often this process has changed what a list would say."""

    @contextmanager
    def turn_of(self, name: str) -> Iterator[None]:
        """What the program does for somebody, one thing after the other. Raises ProposalFailed if it takes long."""
        with self._people_lock:
            turn = self._people.setdefault(name, _Turn())
            if turn.callers > 1:  # one is served and one waits: more would only hold threads
                raise ProposalFailed("busy-here")
            turn.callers += 1
        try:
            if not turn.lock.acquire(timeout=self._wait):
                raise ProposalFailed("busy-here")
            try:
                yield
            finally:
                turn.lock.release()
        finally:
            with self._people_lock:
                turn.callers -= 1
                if not turn.callers:
                    del self._people[name]

    def preview(self, intent: Intent) -> Document:
        """The commit that an intent makes, with its diff and its plan. Raises ProposalFailed."""
        found: Document = self._run(("propose", "from-json", "-", "--preview", *_limits(intent)), _document(intent, None))
        return found

    def submit(self, intent: Intent, expected: Expected) -> Document:
        """Put the commit that a preview showed on a branch of its own. Raises ProposalFailed: `moved` if it would be another."""
        found: Document = self._run(("propose", "from-json", "-", *_limits(intent)), _document(intent, expected))
        self._forget_list()
        return found

    def list_proposals(self) -> Listing:
        """All proposals, newest first, as they are now or were seconds ago. Raises ProposalFailed if they were never read."""
        kept = self._listing
        if kept is None or kept.until <= time.monotonic():
            if self._listing_lock.acquire(timeout=self._wait):
                try:
                    kept = self._read_list()
                finally:
                    self._listing_lock.release()
            elif kept is None:  # somebody else reads, and it takes long
                raise ProposalFailed("busy-here")
        if isinstance(kept.found, Listing):
            return kept.found
        raise ProposalFailed(kept.found.reason, kept.found.detail)

    def _read_list(self) -> _Kept:
        """The list, read by one at a time; the others take what that one has read, or that it failed."""
        kept, changes = self._listing, self._changes
        if kept is not None and kept.until > time.monotonic():
            return kept
        found: Listing | ProposalFailed
        passing = False
        try:
            found = Listing(self._run(("proposals", "list")), datetime.now(UTC))
        except ProposalFailed as failed:
            passing = failed.reason == "busy-here"
            found = kept.found._replace(failed=failed) if kept is not None and isinstance(kept.found, Listing) else failed
        lasts = changes == self._changes and not passing
        self._listing = _Kept(time.monotonic() + KEPT if lasts else 0.0, found)
        return self._listing

    def show(self, branch: str) -> Document:
        """A proposal, and what merging it would change now. Raises ProposalFailed."""
        found: Document = self._run(("proposals", "show", "--", checked(branch)))
        return found

    def withdraw(self, branch: str, commit: str) -> Document:
        """Delete a proposal's branch, if it still leads to the commit that was looked at. Raises ProposalFailed."""
        try:
            found: Document = self._run(("proposals", "withdraw", "--expect", commit, "--", checked(branch)))
        except ProposalFailed as failed:
            raise ProposalFailed("changed-meanwhile") if failed.reason == "moved" else failed from None
        self._forget_list()
        return found

    def _forget_list(self) -> None:
        """Read the list again when it is asked for."""
        self._changes += 1
        kept = self._listing
        self._listing = None if kept is None else kept._replace(until=0.0)

    def _run(self, arguments: Sequence[str], given: bytes = b"") -> Any:
        """What the program answers. Raises ProposalFailed."""
        if not self.is_configured:
            raise ProposalFailed("not-configured")
        if not self._places.acquire(timeout=self._wait):
            raise ProposalFailed("busy-here")
        try:
            command = [sys.executable, "-P", "-m", "reconciler.cli", *_with_format(arguments)]
            output, errors = _answer_of(command, given, self._environment, self._seconds)
        finally:
            self._places.release()
        if errors:
            _log.warning("accord %s: %s", arguments[0], printable(errors[:_MOST_LOGGED].decode("utf-8", "replace").strip()))
        return _read(output)


def environment_of(environment: Mapping[str, str], database_url: str) -> dict[str, str]:
    """What the program gets of this process's environment; it is this very code, on this process's database."""
    found = {name: value for name, value in environment.items() if _PASSED_ON.fullmatch(name)}
    found.setdefault("ACCORD_PROPOSAL_TIMEOUT", WITHIN)
    return {**found, "ACCORD_DATABASE_URL": database_url, "PYTHONPATH": str(Path(reconciler.__file__).parents[1])}


def checked(branch: str) -> str:
    """The name of a proposal's branch. Raises ProposalFailed if no proposal can be called so."""
    if not BRANCH.fullmatch(branch) or ".." in branch:
        raise ProposalFailed("unknown-proposal")
    return branch


def _with_format(arguments: Sequence[str]) -> list[str]:
    """Options before `--`, behind which a name stands."""
    at = arguments.index("--") if "--" in arguments else len(arguments)
    return [*arguments[:at], "--format", "json", *arguments[at:]]


def _limits(intent: Intent) -> tuple[str, ...]:
    return () if intent.most_open is None else ("--most-open", str(intent.most_open))


def _document(intent: Intent, expected: Expected | None) -> bytes:
    name, email = intent.author
    return orjson.dumps(
        {
            "version": 1,
            "author": {"name": name, "email": email},
            "reason": intent.reason,
            "acts": list(intent.acts),
            "dropComments": intent.drop_comments,
            **({} if expected is None else {"base": expected.base, "expect": expected.commit}),
        }
    )


def _read(output: bytes) -> Any:
    try:
        found = orjson.loads(output)
    except orjson.JSONDecodeError:
        raise ProposalFailed("internal", "the program that makes proposals gave no answer") from None
    if isinstance(found, dict) and found.get("status") == "failed":
        raise ProposalFailed(str(found.get("reason")), str(found.get("detail") or ""), found)
    return found


def _answer_of(command: Sequence[str], given: bytes, environment: Mapping[str, str], seconds: float) -> tuple[bytes, bytes]:
    """What a process wrote. It ends with all that it started if it takes longer, or says too much. Raises ProposalFailed."""
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(environment),
            start_new_session=True,
        )
    except OSError as error:
        raise ProposalFailed("internal", f"the program that makes proposals cannot be started: {error.strerror}") from None
    ended, why, heard = False, "timeout-here", (b"", b"")
    try:
        heard, why = _talk(process, given, time.monotonic() + seconds)
        ended = not why and process.wait(timeout=_SETTLING) is not None
    except subprocess.TimeoutExpired:
        pass
    finally:
        if not ended:
            _end(process)
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
    if why:
        raise ProposalFailed(why)
    return heard


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started. Until it is waited for, nobody else can have its number.

    It is asked first, so that it removes its temporary repository, and made to if it takes longer than its own limit for that.
    """
    os.kill(process.pid, signal.SIGTERM)  # `terminate` would ask first whether it has ended, and so let go of its number
    end = time.monotonic() + _GRACE
    while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None and time.monotonic() < end:
        time.sleep(_AGAIN)
    end_descendants(process.pid, signal.SIGKILL)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _talk(process: subprocess.Popen[bytes], given: bytes, end: float) -> tuple[tuple[bytes, bytes], str]:
    """Give a process its input, and collect what it writes until it closes its streams; or say why that was not waited for."""
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    heard = {process.stdout.fileno(): bytearray(), process.stderr.fileno(): bytearray()}
    feeding = process.stdin.fileno()
    os.set_blocking(feeding, False)
    with DefaultSelector() as waiting:
        waiting.register(feeding, EVENT_WRITE)
        for number in heard:
            waiting.register(number, EVENT_READ)
        while waiting.get_map():
            ready = waiting.select(max(end - time.monotonic(), 0))
            if not ready:
                return (b"", b""), "timeout-here"
            for key, _ in ready:
                if key.fd == feeding:
                    try:
                        given = given[os.write(feeding, given) :] if given else b""
                    except BrokenPipeError:
                        given = b""
                    if not given:
                        waiting.unregister(feeding)
                        process.stdin.close()
                    continue
                piece = os.read(key.fd, 1 << 16)
                if not piece:
                    waiting.unregister(key.fd)
                elif key.fd == process.stdout.fileno() or len(heard[key.fd]) < _MOST_LOGGED:
                    heard[key.fd] += piece
            if len(heard[process.stdout.fileno()]) > LARGEST:
                return (b"", b""), "too-large"
    output, errors = heard.values()
    return (bytes(output), bytes(errors)), ""
