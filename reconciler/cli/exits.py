"""Exit codes, and the message for each kind of error."""

from __future__ import annotations

from reconciler.process import ERROR, OK, UNREACHABLE

__all__ = ["CHANGES", "ERROR", "INVALID", "NO_BASE", "OK", "STALE", "UNREACHABLE", "UNSAFE", "exit_code", "proposal_code"]

CHANGES, INVALID, UNSAFE, STALE, NO_BASE = 2, 3, 4, 5, 7


_PROPOSALS = {
    "invalid": INVALID,
    "invalid-base": NO_BASE,
    "moved": STALE,
    "network": UNREACHABLE,
    "timeout": UNREACHABLE,
    "busy": UNREACHABLE,
}


def proposal_code(reason: str) -> int:
    """Return the exit code for a reason why nothing was proposed (`reconciler.run.proposal_failures`)."""
    return _PROPOSALS.get(reason, ERROR)


def exit_code(error: Exception) -> tuple[int, str]:
    """Return the exit code and the message for an error that nothing else caught."""
    from reconciler.run.errors import InvalidBase, InvalidConfiguration, Rewind, RunError, Stale, Unsafe
    from reconciler.source.errors import RepositoryUnreachable, SourceError
    from reconciler.store.errors import ChangedMeanwhile, StoreError

    codes: tuple[tuple[type[Exception], int], ...] = (
        (InvalidConfiguration, INVALID),
        (InvalidBase, NO_BASE),
        (Unsafe, UNSAFE),
        (Rewind, UNSAFE),
        (Stale, STALE),
        (ChangedMeanwhile, STALE),
        (RepositoryUnreachable, UNREACHABLE),
    )
    for kind, code in codes:
        if isinstance(error, kind):
            return code, str(error)
    if isinstance(error, StoreError) and error.again:
        return UNREACHABLE, str(error)
    if isinstance(error, RunError | SourceError | StoreError):
        return ERROR, str(error)
    if isinstance(error, OSError):  # also standard output's
        return ERROR, f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}"
    if isinstance(error, MemoryError):
        return ERROR, "out of memory; nothing was changed"
    name = type(error).__name__
    return ERROR, f"internal error ({name}), a bug in Accord; nothing was changed. Set ACCORD_DEBUG=1 to see where it happened"
