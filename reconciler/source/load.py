"""Loads the files of a commit or a folder into declarations and problems. No blob is parsed twice."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from math import ceil
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple

from reconciler.access.problems import Problem
from reconciler.access.resources import Declaration, Key, Kind, Origin, Resource
from reconciler.source.blobs import Blob, Report, blob_id, decode, encode, read_blob
from reconciler.source.build import build
from reconciler.source.cache import BlobCache
from reconciler.source.documents import LARGEST_FILE
from reconciler.source.errors import RepositoryUnreachable, SourceError
from reconciler.source.positions import locate

if TYPE_CHECKING:
    from reconciler.source.repository import Repository

Progress = Callable[[int, int], None] | None

_FEW = 2_000
"""Up to this many blobs are parsed in this process; more are worth starting worker processes."""
_WORTH = 1_000
"""How many blobs are worth another worker."""
_SHARE = 14_000
"""The most blobs a worker takes at a time. Each share starts git anew, without what the last one had unpacked."""

Spot = tuple[Declaration, Sequence[str | int]]
"""A declaration, and a path in its document."""
Place = Callable[[Sequence[Spot]], list[tuple[int, int]]]


class Loaded(NamedTuple):
    """Every declaration from a valid document, all problems within documents, and the number of files read.

    `broken` names what documents with errors would declare, `partial` holds the parts of them that can be checked, and `locate`
    finds lines and columns in declarations' documents, all at once: each call may start git.
    """

    declarations: tuple[Declaration, ...]
    problems: tuple[Problem, ...]
    files: int
    locate: Place
    broken: frozenset[Key] = frozenset()
    partial: tuple[Declaration, ...] = ()
    root: str = ""
    """What files have in front of their path from the repository's root: outside Git, the folder that was named."""


def load_revision(repository: Repository, commit: str, path: str, *, cache: BlobCache, progress: Progress = None) -> Loaded:
    """Load everything that a commit declares in a folder of the repository. Raises SourceError if it cannot be read."""
    tree = repository.entries(commit, path)
    loaded = load_files(repository, tree.files, cache=cache, progress=progress)
    return loaded._replace(problems=(*tree.skipped, *loaded.problems))


def load_files(
    repository: Repository, files: Sequence[tuple[str, str]], *, cache: BlobCache, progress: Progress = None
) -> Loaded:
    """Load the given files (path and blob id)."""
    blobs = list(dict.fromkeys(blob for _, blob in files))
    known = cache.get(blobs)
    reading = _Reading()
    reading.take(known.items())
    fresh: list[tuple[str, bytes]] = []
    for done in _read_mended(repository, [blob for blob in blobs if blob not in known]):
        fresh += done
        reading.take(done)  # while workers read on
        if progress is not None:
            progress(len(known) + len(fresh), len(blobs))
    cache.put(fresh)
    by_file = dict(files)

    def contents(of: Sequence[str]) -> Iterator[bytes | None]:
        return (content for _, content in repository.read([by_file[file] for file in of]))

    return reading.loaded(files, lambda spots: locate_all(spots, contents))


def locate_all(spots: Sequence[Spot], contents: Callable[[Sequence[str]], Iterable[bytes | None]]) -> list[tuple[int, int]]:
    """Return the line and column of each spot; `contents` is asked once, for every file that has one."""
    by_file: dict[str, list[int]] = {}
    for number, (declaration, _) in enumerate(spots):
        by_file.setdefault(declaration.origin.file, []).append(number)
    places = [(1, 1)] * len(spots)
    for numbers, content in zip(by_file.values(), contents([*by_file]) if by_file else (), strict=True):
        for number in numbers:
            declaration, path = spots[number]
            places[number] = locate(content or b"", declaration.origin.line, path)
    return places


class _Reading:
    """Collects the results of blobs, whichever files contain them: resources with kind and line, problems, and broken names."""

    def __init__(self) -> None:
        self._resources: dict[str, list[tuple[Kind, Resource, int, str]]] = {}
        self._partial: dict[str, list[tuple[Kind, Resource, int]]] = {}
        self._reports: dict[str, list[Report]] = {}
        self._broken: set[Key] = set()

    def take(self, payloads: Iterable[tuple[str, bytes]]) -> None:
        for blob, payload in payloads:
            documents, reports, broken, partial, items = decode(payload)
            resources = [(value["kind"], build(value), line, items.get(str(line), "")) for line, value in documents]
            self._resources[blob] = resources
            if reports:
                self._reports[blob] = reports
            if partial:
                self._partial[blob] = [(value["kind"], build(value), line) for line, value in partial]
            if broken:
                self._broken.update((kind, name) for kind, name in broken)  # type: ignore[misc]  # JSON knows no Kind

    def loaded(self, files: Sequence[tuple[str, str]], place: Place) -> Loaded:
        resources, new = self._resources, tuple.__new__  # does what Declaration() and Origin() do, at half the cost
        declarations = tuple(
            [
                new(Declaration, (kind, resource, new(Origin, (file, line, items))))
                for file, blob in files
                for kind, resource, line, items in resources[blob]
            ]
        )
        partial = tuple(
            Declaration(kind, resource, Origin(file, line))
            for file, blob in (files if self._partial else ())
            for kind, resource, line in self._partial.get(blob, ())
        )
        problems = tuple(
            Problem(file, line, column, rule, severity, message, suggestion)  # type: ignore[arg-type]
            for file, blob in files
            if blob in self._reports
            for line, column, rule, severity, message, suggestion in self._reports[blob]
        )
        return Loaded(declarations, problems, len(files), place, frozenset(self._broken), partial)


def _read_mended(repository: Repository, blobs: Sequence[str]) -> Iterator[list[tuple[str, bytes]]]:
    """Parse blobs, once more if they are in a mirror that is broken and could be made anew."""
    try:
        yield from _read_all(repository, blobs)
    except RepositoryUnreachable:
        if not repository.mend():
            raise
        yield from _read_all(repository, blobs)


def _read_all(repository: Repository, blobs: Sequence[str]) -> Iterator[list[tuple[str, bytes]]]:
    """Parse blobs: a few in this process, more in one process per core."""
    if len(blobs) <= _FEW:
        yield read_share(repository.git_dir, repository.origin(), blobs)
        return
    workers = min(ceil(len(blobs) / _WORTH), os.cpu_count() or 1)
    turns = ceil(len(blobs) / workers / _SHARE)
    size = ceil(len(blobs) / workers / turns)
    shares = [blobs[start : start + size] for start in range(0, len(blobs), size)]
    waiting, done = deque(shares), SimpleQueue[list[tuple[str, bytes]] | Exception]()
    with _workers(workers) as connections:
        for connection in connections:
            threading.Thread(target=_hand_out, args=(connection, repository, waiting, done), daemon=True).start()
        for _ in shares:
            found = done.get()
            if isinstance(found, Exception):
                raise found
            yield found


def _hand_out(connection: Connection, repository: Repository, waiting: deque[Sequence[str]], done: SimpleQueue[Any]) -> None:
    """Give a worker one share after another."""
    with suppress(IndexError):
        while True:
            share = waiting.popleft()
            try:
                connection.send((repository.git_dir, repository.origin(), share))
                done.put(connection.recv())
            except (EOFError, OSError):
                done.put(SourceError("a process that read the repository was ended, perhaps for want of memory; try again"))


@contextmanager
def _workers(number: int) -> Iterator[list[Connection]]:
    """Processes that read shares. They end with the block, and with this process, however it ends."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "reconciler.source.repository", "reconciler.source.worker_server"])
    resource_tracker.ensure_running()  # or the next line but one would start it, and let Ctrl-C through again
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # which the workers inherit: Ctrl-C is for this process
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    started: list[tuple[Any, Connection]] = []
    try:
        for _ in range(number):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs,), daemon=True)
            process.start()
            started.append((process, ours))
            theirs.close()
        yield [ours for _, ours in started]
    finally:
        for process, _ in started:
            process.kill()
        for process, _ in started:
            process.join()


def _work(connection: Connection) -> None:
    """Read shares, and end when the parent process ends, for whatever reason."""
    gc.disable()  # workers make no cycles to collect
    parent = multiprocessing.parent_process()
    assert parent is not None

    def end_with_parent() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
    with suppress(EOFError, OSError):  # the parent process has ended
        while True:
            git_dir, named, share = connection.recv()
            try:
                found: Any = read_share(git_dir, named, share)
            except Exception as error:  # noqa: BLE001 - the parent process raises it
                found = error
            connection.send(found)


def read_share(git_dir: str, named: str, blobs: Sequence[str]) -> list[tuple[str, bytes]]:
    """Read blobs of a repository and return their encoded results."""
    from reconciler.source.repository import Repository

    return [(blob, encode(_read(content))) for blob, content in Repository(git_dir, named).read(blobs)]


def _read(content: bytes | None) -> Blob:
    if content is None:
        return Blob(
            [],
            [(1, 1, "too-large", "error", f"the file has more than {LARGEST_FILE:,} bytes, the limit", None)],
            [],
            [],
            {},
        )
    return read_blob(content)


def load_folder(folder: Path, *, cache: BlobCache, progress: Progress = None) -> Loaded:
    """Load a working folder or a single file. Raises SourceError if it cannot be read."""
    from reconciler.source.folder import list_files, root_of

    found, skipped = list_files(folder)
    loaded = load_listed([(name, file_content(path)) for name, path in found], cache=cache, progress=progress)
    return loaded._replace(problems=(*skipped, *loaded.problems), root=root_of(folder))


def load_listed(contents: Sequence[tuple[str, bytes | None]], *, cache: BlobCache, progress: Progress = None) -> Loaded:
    """Load files, given as name and bytes; None for one that is too large."""
    files = [(name, "" if content is None else blob_id(content)) for name, content in contents]
    known = cache.get({blob for _, blob in files})
    fresh: dict[str, bytes] = {}
    for done, ((_, content), (_, blob)) in enumerate(zip(contents, files, strict=True), 1):
        if blob not in known and blob not in fresh:
            fresh[blob] = encode(_read(content))
        if progress is not None:
            progress(done, len(files))
    cache.put((blob, payload) for blob, payload in fresh.items() if blob)
    reading = _Reading()
    reading.take([*known.items(), *fresh.items()])
    by_name = dict(contents)

    return reading.loaded(files, lambda spots: locate_all(spots, lambda of: map(by_name.__getitem__, of)))


def file_content(path: Path) -> bytes | None:
    """Return a file's bytes, or None if it is too large."""
    try:
        return None if path.stat().st_size > LARGEST_FILE else path.read_bytes()
    except OSError as error:
        raise SourceError(f"cannot read `{path}`: {error.strerror}") from None


def load_onto(before: Loaded, repository: Repository, changed: Sequence[tuple[str, str | None]], *, cache: BlobCache) -> Loaded:
    """Load files that changed (path, and blob id or None if it is gone), beside what is loaded of the others, without errors."""
    files = {file for file, _ in changed}
    new = load_files(repository, [(file, blob) for file, blob in changed if blob is not None], cache=cache)

    def locate_both(spots: Sequence[Spot]) -> list[tuple[int, int]]:
        parts = [[spot for spot in spots if (spot[0].origin.file in files) is those] for those in (False, True)]
        kept, fresh = (iter(loaded.locate(part)) for loaded, part in zip((before, new), parts, strict=True))
        return [next(fresh) if spot[0].origin.file in files else next(kept) for spot in spots]

    return Loaded(
        (*(each for each in before.declarations if each.origin.file not in files), *new.declarations),
        (*(problem for problem in before.problems if problem.file not in files), *new.problems),
        before.files - len(files & {each.origin.file for each in before.declarations}) + new.files,
        locate_both,
        new.broken,
        new.partial,
    )
