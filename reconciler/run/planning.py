"""accord plan: a revision against the database, or against another revision without any database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from reconciler.access.resources import Revision
from reconciler.plan.actual import Actual, Runtime, Totals
from reconciler.plan.make import make_plan
from reconciler.plan.plan import Plan
from reconciler.run.deployment import Deployment
from reconciler.run.errors import Rewind, RunError
from reconciler.run.gather import Progress, Source, gather, read_declarations, state_of
from reconciler.store.digests import drifted
from reconciler.store.engine import Database, open_database
from reconciler.store.errors import SchemaMissing
from reconciler.store.read import AppliedRevision, read_applied
from reconciler.store.schema import check

if TYPE_CHECKING:
    from reconciler.store.engine import Connection


def open_source(deployment: Deployment) -> Source:
    """The config repository and the cache, as the deployment names them."""
    from reconciler.source.cache import open_cache
    from reconciler.source.repository import Repository

    return Source(Repository.open(deployment.repository, deployment.cache), deployment.path, open_cache(deployment.cache))


@contextmanager
def reading(deployment: Deployment) -> Iterator[Connection]:
    """One consistent look at a database whose schema is this Accord's."""
    with open_database(deployment.database_url, read_only=True) as database:
        check(database)
        with database.reading() as connection:
            yield connection


def plan_revision(
    deployment: Deployment,
    rev: str | None,
    *,
    now: datetime,
    adopt: bool = False,
    allow_rewind: bool = False,
    progress: Progress = None,
) -> Plan:
    """What applying a revision (by default the configured branch's head) would do now.

    A database without any tables yet is an empty one.
    """
    source = open_source(deployment)
    revision = desired_revision(deployment, source, rev)
    with open_database(deployment.database_url, read_only=True) as database:
        if is_new(database):
            return plan_first(source, revision, now=now, adopt=adopt, progress=progress)
        with database.reading() as connection:
            return plan_against(
                connection,
                source,
                revision,
                now=now,
                in_accord=not drifted(connection),
                adopt=adopt,
                allow_rewind=allow_rewind,
                progress=progress,
            )


def desired_revision(deployment: Deployment, source: Source, rev: str | None) -> Revision:
    """The revision that is asked for; where none is, the configured branch's head."""
    return source.repository.head(deployment.branch) if rev is None else source.repository.resolve(rev)


def is_new(database: Database) -> bool:
    """Whether a database has no tables yet. Raises StoreError where its schema is another than this Accord's."""
    try:
        check(database)
    except SchemaMissing:
        return True
    return False


def plan_first(source: Source, revision: Revision, *, now: datetime, adopt: bool = False, progress: Progress = None) -> Plan:
    """The plan for a database that has no tables yet."""
    declarations, warnings = read_declarations(source, revision.commit, now, progress)
    desired = state_of(declarations)
    return make_plan(Actual(), desired, revision=revision, now=now, path=source.path, warnings=warnings, adopt=adopt)


def plan_against(
    connection: Connection,
    source: Source,
    revision: Revision,
    *,
    now: datetime,
    in_accord: bool,
    adopt: bool = False,
    allow_rewind: bool = False,
    progress: Progress = None,
) -> Plan:
    """The plan as the database stands on this connection. Raises Rewind unless the revision descends from the applied one."""
    applied = read_applied(connection)
    rewind = None if applied is None else _rewind(source, applied, revision)
    if rewind is not None and not allow_rewind:
        raise Rewind(rewind)
    gathered = gather(connection, source, revision, applied, now=now, in_accord=in_accord, adopt=adopt, progress=progress)
    return make_plan(
        gathered.actual,
        gathered.desired,
        revision=revision,
        now=now,
        path=source.path,
        warnings=gathered.warnings,
        adopt=adopt,
        rewind=rewind is not None,
    )


def _rewind(source: Source, applied: AppliedRevision, revision: Revision) -> str | None:
    """What to say where a revision does not descend from the applied one; None where it does."""
    before = applied.revision.commit
    if before == revision.commit:
        return None
    if not source.repository.has(before):
        return f"{_absent(applied)}; if it was rewritten on purpose, add --allow-rewind"
    if source.repository.is_ancestor(before, revision.commit):
        return None
    return (
        f"{revision.commit[:12]} does not descend from the applied revision {before[:12]}: a force-push, or an old clone. "
        "Fetch the branch's head; if going back is meant, add --allow-rewind"
    )


def refuse_absent(source: Source, applied: AppliedRevision) -> None:
    """Raise RunError where an applied revision, which is to be read, is not in the repository."""
    if not source.repository.has(applied.revision.commit):
        raise RunError(_absent(applied))


def _absent(applied: AppliedRevision) -> str:
    return (
        f"the applied revision {applied.revision.commit[:12]} is not in this repository: it was rewritten, the clone is shallow "
        "or old, or it is another repository. Fetch its whole history"
    )


def compare_revisions(deployment: Deployment, rev: str | None, against: str, *, now: datetime, progress: Progress = None) -> Plan:
    """What a revision changes against another one, from Git alone: no database, no secrets.

    What only a database knows is taken to be harmless: everybody has a password, nobody is switched off elsewhere.
    """
    source = open_source(deployment)
    revision, base = desired_revision(deployment, source, rev), source.repository.resolve(against)
    before, _ = read_declarations(source, base.commit, now, progress)
    after, warnings = read_declarations(source, revision.commit, now, progress)
    held = state_of(before)
    actual = Actual(
        declared=held.declared,
        runtime=Runtime(can_set_password=frozenset(held.declared.users)),
        files={key: origin.file for key, origin in held.origins.items()},
        totals=Totals(len(held.declared.users), len(held.declared.teams), len(held.declared.issuers)),
        applied=base,
    )
    changed = {file.path for file in source.repository.changed(base.commit, revision.commit, source.path) or ()}
    relevant = tuple(warning for warning in warnings if warning.file in changed)
    return make_plan(actual, state_of(after), revision=revision, now=now, path=source.path, warnings=relevant)
