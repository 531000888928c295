"""accord access: who may use what, now, at another instant or under an applied revision."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from reconciler.access.resources import DeclaredState, Key, Kind
from reconciler.access.state import Access, AccessState, access_at, build
from reconciler.plan.actual import access_state
from reconciler.run.deployment import Deployment
from reconciler.run.errors import RunError
from reconciler.run.inputs import open_source, read_declarations, reading, refuse_absent, state_of
from reconciler.store.read import (
    AppliedRevision,
    Scope,
    all_names,
    find_revision,
    read_actual,
    read_applied,
    read_history,
    revision_at,
)
from reconciler.wording.nearest import did_you_mean

if TYPE_CHECKING:
    from reconciler.store.engine import Connection


class UnknownName(RunError):
    """A user, issuer or team that does not exist."""


class Question(NamedTuple):
    """Whose access to what to show; None leaves a part open. `revision` is the commit of an applied revision."""

    user: str | None = None
    issuer: str | None = None
    team: str | None = None
    at: datetime | None = None
    revision: str | None = None


class Answer(NamedTuple):
    """Access by user and issuer, the instant it is for, and the applied revision behind it.

    `past` means that it comes only from what Git declared: accounts disabled by hand and directory accounts at that time are not
    recorded.
    """

    access: tuple[Access, ...]
    at: datetime
    applied: AppliedRevision | None
    past: bool


class Standing(NamedTuple):
    """The basis of access at an instant: the access state, the revision in force, and the names that exist.

    `files` holds the file that declares each resource. For `past`, see `Answer`.
    """

    state: AccessState
    declared: DeclaredState
    files: Mapping[Key, str]
    names: Callable[[Kind], Collection[str]]
    at: datetime
    applied: AppliedRevision | None
    past: bool


def answer(deployment: Deployment, question: Question, *, now: datetime) -> Answer:
    """Find who may use what. Raises UnknownName, suggesting the nearest name, for anything that does not exist."""
    with standing(deployment, question, _scope(question), now=now) as found:
        refuse_unknown(question, found.names)
        return Answer(_select(found.state, question, found.at), found.at, found.applied, found.past)


@contextmanager
def standing(deployment: Deployment, question: Question, scope: Scope | None, *, now: datetime) -> Iterator[Standing]:
    """Yield the basis of access at a question's instant or revision; for the present, read only the part in the scope.

    Raises RunError where nothing had been applied yet then.
    """
    with reading(deployment) as connection:
        applied = _in_force(connection, question, now)
        past = applied is not None and applied != read_applied(connection)
        if not past and (question.at is None or question.at >= now):
            actual = read_actual(connection, scope, now=now)
            names = partial(all_names, connection)
            yield Standing(
                state=access_state(actual.declared, actual.runtime),
                declared=actual.declared,
                files=actual.files,
                names=names,
                at=question.at or now,
                applied=applied,
                past=False,
            )
            return
    if applied is None:
        raise RunError("no revision had been applied at that instant")
    source = open_source(deployment)._replace(path=applied.path)
    refuse_absent(source, applied)
    declarations, _ = read_declarations(source, applied.revision.commit, applied.applied_at)
    declared, origins = state_of(declarations)
    files = {key: origin.file for key, origin in origins.items()}
    yield Standing(
        state=build(declared),
        declared=declared,
        files=files,
        names=declared.of_kind,
        at=question.at or applied.applied_at,
        applied=applied,
        past=True,
    )


def _in_force(connection: Connection, question: Question, now: datetime) -> AppliedRevision | None:
    if question.revision is not None:
        return find_applied(connection, question.revision)
    if question.at is not None and question.at < now:
        return revision_at(connection, question.at)
    return read_applied(connection)


def find_applied(connection: Connection, commit: str) -> AppliedRevision:
    """Find an applied revision by its commit or a prefix of it. Raises RunError if there is none, or more than one."""
    found = find_revision(connection, commit.lower())
    if found is None:
        meant = {
            applied.revision.commit for applied in read_history(connection) if applied.revision.commit.startswith(commit.lower())
        }
        if meant:
            raise RunError(f"`{commit}` is too short: {', '.join(sorted(meant)[:5])} start with it; write more of the commit")
        raise RunError(f"revision `{commit}` was never applied to this database; `accord history` lists applied revisions")
    return found


def _scope(question: Question) -> Scope | None:
    if question.user is not None:
        return Scope(users=frozenset({question.user}))
    if question.issuer is not None:
        return Scope(issuers=frozenset({question.issuer}))
    if question.team is not None:
        return Scope(whole_teams=frozenset({question.team}))
    return None


def refuse_unknown(question: Question, names: Callable[[Kind], Collection[str]]) -> None:
    """Raise UnknownName, suggesting the nearest name, if a question is about something that does not exist."""
    asked: tuple[tuple[Kind, str | None], ...] = (("User", question.user), ("Issuer", question.issuer), ("Team", question.team))
    for kind, name in asked:
        if name is not None and name not in (known := names(kind)):
            raise UnknownName(f"there is no {kind.lower()} `{name}`{did_you_mean(name, known)}")


def _select(state: AccessState, question: Question, at: datetime) -> tuple[Access, ...]:
    users: Iterable[str] = sorted(state.accounts) if question.user is None else [question.user]
    access_then = access_at(state, at)
    found = (access for user in users for _, access in sorted(access_then(user).items()))
    return tuple(
        access
        for access in found
        if (question.issuer is None or access.issuer == question.issuer)
        and (question.team is None or question.team in access.through)
    )
