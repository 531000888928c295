"""A plan as the JSON document that programs read and `--out` saves; `schemas/plan.schema.json` describes it."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson

from reconciler.access.instants import format_instant
from reconciler.access.problems import Problem
from reconciler.access.resources import Revision
from reconciler.access.state import Access
from reconciler.plan.objections import Remembered
from reconciler.plan.plan import AccessChange, AccessDiff, Change, Checkout, GroupChange, GuardResult, Plan

Document = dict[str, Any]
_PIECE = 1_000
"""How many entries of access are hashed at once: orjson leaves a spare kilobyte behind each text it writes."""


def plan_digest(plan: Plan) -> str:
    """Return `sha256:` and a hash of what the plan does and where it starts; that an override begins or ends does not change it.

    The hash covers the access that changes: it follows from the changes, but also from the clock and from switches outside Git.
    """
    content = {
        "revision": plan.revision.commit,
        "applied": plan.applied and plan.applied.commit,
        "generation": plan.generation,
        "path": plan.path,
        "adopt": plan.adopt,
        "rewind": plan.rewind,
        "welcome": plan.welcome,
        "merge": plan.merge,
        "workingTree": plan.working_tree,
        "effects": [*plan.effects],
        "administrators": [[*names] for names in plan.administrators],
        "guards": [[guard.id, guard.verdict != "pass", guard.message] for guard in plan.guards],
        "moves": [[*key, str(origin)] for key, origin in plan.moves],
        "groups": [group_document(change) for change in plan.groups],
    }
    digest = hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS))
    for change in plan.changes:
        heading = (change.action, change.kind, change.name, change.previous_name, change.source and str(change.source))
        digest.update(orjson.dumps(heading))
        digest.update(change.fields_json)
    for diff in (plan.access, plan.rights):
        changed = [access for change in diff.changed for access in change]
        for accesses in (diff.gained, diff.lost, changed):
            digest.update(b"%d" % len(accesses))
            for start in range(0, len(accesses), _PIECE):
                digest.update(b"".join(map(orjson.dumps, map(tuple, accesses[start : start + _PIECE]))))
    return "sha256:" + digest.hexdigest()


def plan_document(plan: Plan) -> Document:
    """Return the whole plan, its digest first."""
    return {
        "digest": plan_digest(plan),
        "revision": revision_document(plan.revision),
        "applied": None if plan.applied is None else revision_document(plan.applied),
        "generation": plan.generation,
        "path": plan.path,
        "adopt": plan.adopt,
        "rewind": plan.rewind,
        "welcome": plan.welcome,
        "merge": plan.merge,
        "workingTree": plan.working_tree,
        "checkout": None,
        "changes": [change_document(change) for change in plan.changes],
        "against": plan.against,
        "access": {**_difference(plan.access), "groups": [group_document(change) for change in plan.groups]},
        "administrators": {
            "gained": list(plan.administrators.gained),
            "lost": list(plan.administrators.lost),
            "access": _difference(plan.rights),
        },
        "guards": [guard_document(guard) for guard in plan.guards],
        "endedOverrides": [_ended_document(each) for each in plan.ended],
        "warnings": [problem_document(warning) for warning in plan.warnings],
        "warnedBefore": plan.warned_before,
        "effects": {
            "mails": plan.effects.mails,
            "sessionsEnded": plan.effects.sessions_ended,
            "tokensEnded": plan.effects.tokens_ended,
        },
        "foreign": [{"kind": kind, "name": name} for kind, name in plan.unmanaged],
        "moves": [{"kind": kind, "name": name, "source": str(origin)} for (kind, name), origin in plan.moves],
    }


def checkout_document(checkout: Checkout) -> Document:
    """Return where the work tree stands beside the planned branch."""
    return checkout._asdict()


def revision_document(revision: Revision) -> Document:
    """Return a revision: commit, author, time and summary."""
    return {
        "commit": revision.commit,
        "author": revision.author,
        "time": format_instant(revision.time),
        "summary": revision.summary,
    }


def change_document(change: Change) -> Document:
    """Return one resource's change."""
    document = {
        "action": change.action,
        "kind": change.kind,
        "name": change.name,
        "source": None if change.source is None else str(change.source),
        "fields": change.fields,
    }
    if change.previous_name is not None:
        document["previousName"] = change.previous_name
    return document


def guard_document(guard: GuardResult) -> Document:
    """Return a guard's verdict."""
    return {
        "id": guard.id,
        "verdict": guard.verdict,
        "message": guard.message,
        "standing": [
            {"message": each.objection.fact, "override": override_document(each.override, each.holds)} for each in guard.standing
        ],
    }


def override_document(override: Remembered | None, holds: bool) -> Document | None:
    """Return a remembered override, and whether it covers what it is shown with."""
    if override is None:
        return None
    return {"until": format_instant(override.until), "by": override.by, "reason": override.reason, "holds": holds}


def about_document(override: Remembered) -> list[Document]:
    """Return what an override is about."""
    return [{"kind": kind, "name": name} for kind, name in override.subjects]


def _ended_document(override: Remembered) -> Document:
    return {
        "guard": override.guard,
        "about": about_document(override),
        "until": format_instant(override.until),
        "by": override.by,
        "reason": override.reason,
    }


def access_document(access: Access) -> Document:
    """Return one (user, issuer) pair."""
    return {
        "user": access.user,
        "issuer": access.issuer,
        "through": list(access.through),
        "until": None if access.until is None else format_instant(access.until),
        "from": None if access.addresses is None else list(access.addresses),
        "later": [
            {"at": format_instant(moment), "from": None if addresses is None else list(addresses)}
            for moment, addresses in access.later
        ],
    }


def _difference(diff: AccessDiff) -> Document:
    return {
        "gained": [access_document(access) for access in diff.gained],
        "lost": [access_document(access) for access in diff.lost],
        "changed": [_change_of_access(change) for change in diff.changed],
    }


def _change_of_access(change: AccessChange) -> Document:
    at_once = next((period for period in change.periods if period.since is None), None)
    return {
        "before": access_document(change.before),
        "after": access_document(change.after),
        "opened": list(at_once.opened) if at_once else [],
        "closed": list(at_once.closed) if at_once else [],
        "later": [
            {"at": format_instant(period.since), "opened": list(period.opened), "closed": list(period.closed)}
            for period in change.periods
            if period.since is not None
        ],
    }


def group_document(change: GroupChange) -> Document:
    """Return what an AD group's members gain and lose."""
    return {
        "group": change.group,
        "known": len(change.known),
        "joins": list(change.joins),
        "leaves": list(change.leaves),
        "access": _difference(change.access),
        "administrators": _difference(change.rights),
    }


def problem_document(problem: Problem) -> Document:
    """Return one problem, as `accord validate --format json` lists it."""
    return {
        "rule": problem.rule,
        "severity": problem.severity,
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
        "message": problem.message,
        "suggestion": problem.suggestion,
    }
