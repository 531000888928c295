"""accord plan: compares a revision with the database, or with another revision and no database."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import datetime

from reconciler.access.resources import Revision
from reconciler.plan.actual import Actual, Clocks, Runtime, Totals
from reconciler.plan.make import make_plan
from reconciler.plan.plan import Plan
from reconciler.run.delegated import refuse_undelegated
from reconciler.run.deployment import Deployment
from reconciler.run.errors import Rewind
from reconciler.run.gather import gather
from reconciler.run.inputs import Progress, Source, absence, desired_revision, is_new, open_source, read_declarations, state_of
from reconciler.store.digests import drifted
from reconciler.store.engine import Connection, open_database
from reconciler.store.read import AppliedRevision, read_applied, read_clocks


def plan_revision(
    deployment: Deployment,
    rev: str | None,
    *,
    now: datetime,
    adopt: bool = False,
    allow_rewind: bool = False,
    welcome: bool = True,
    progress: Progress = None,
) -> Plan:
    """Plan what applying a revision (by default the configured branch's head) would do now.

    A database without any tables yet is an empty one.
    """
    source = open_source(deployment)
    revision = desired_revision(deployment, source, rev)
    with (
        open_database(deployment.database_url, read_only=True) as database,
        nullcontext() if is_new(database) else database.reading() as connection,
    ):
        return plan_against(
            connection,
            source,
            revision,
            now=now,
            in_accord=connection is not None and not drifted(connection),
            adopt=adopt,
            allow_rewind=allow_rewind,
            welcome=welcome,
            progress=progress,
        )


def plan_against(
    connection: Connection | None,
    source: Source,
    revision: Revision,
    *,
    now: datetime,
    in_accord: bool,
    adopt: bool = False,
    allow_rewind: bool = False,
    welcome: bool = True,
    progress: Progress = None,
) -> Plan:
    """Plan against the database on this connection; without one, for a database that has no tables yet.

    Raises Rewind unless the revision descends from the applied one.
    """
    applied = None if connection is None else read_applied(connection)
    rewind = None if applied is None else _rewind(source, applied, revision)
    if rewind is not None and not allow_rewind:
        raise Rewind(rewind)
    gathered = gather(connection, source, revision, applied, now=now, in_accord=in_accord, adopt=adopt, progress=progress)
    plan = make_plan(
        gathered.actual,
        gathered.desired,
        revision=revision,
        now=now,
        path=source.path,
        warnings=gathered.warnings,
        adopt=adopt,
        rewind=rewind is not None,
        clocks=Clocks() if connection is None else read_clocks(connection),
        repair=applied is not None and (applied.revision.commit, applied.path) == (revision.commit, source.path),
        welcome=welcome,
    )
    refuse_undelegated(plan, gathered.actual, gathered.desired, source)
    return plan


def _rewind(source: Source, applied: AppliedRevision, revision: Revision) -> str | None:
    """Return the message for a revision that does not descend from the applied one; None if it does."""
    before = applied.revision.commit
    if before == revision.commit:
        return None
    if not source.repository.has(before):
        return f"{absence(applied)}; if the rewrite was intended, add --allow-rewind"
    if source.repository.is_ancestor(before, revision.commit):
        return None
    return (
        f"{revision.commit[:12]} does not descend from the applied revision {before[:12]}: a force-push, or an old clone. "
        "Fetch the branch's head; to go back on purpose, add --allow-rewind"
    )


def compare_revisions(deployment: Deployment, rev: str | None, against: str, *, now: datetime, progress: Progress = None) -> Plan:
    """Plan what a revision changes compared with another, from Git alone: without a database and without secrets.

    It assumes that what only a database knows is harmless: everyone has a password, and nobody is disabled elsewhere.
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
    desired = state_of(after)
    plan = make_plan(actual, desired, revision=revision, now=now, path=source.path, warnings=relevant, against=True)
    refuse_undelegated(plan, actual, desired, source)
    return plan
