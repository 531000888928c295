"""make_plan() makes a Plan from desired and actual state."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Literal

from reconciler.access.ad_groups import folded
from reconciler.access.duties import duty_renamed
from reconciler.access.problems import Problem
from reconciler.access.resources import DeclaredState, Guards, Revision, Settings, Team, User
from reconciler.access.state import access_at, rights_at
from reconciler.plan.access_diff import affected_accounts, find_differences
from reconciler.plan.actual import Actual, Clocks, Runtime, access_state
from reconciler.plan.changes import Desired, Renames, find_changes, find_moves, find_shifts, renamed, resulting
from reconciler.plan.disabled import Enabled, gains_once_enabled
from reconciler.plan.effects import find_effects, gets_welcome_mail, loses_ad_group
from reconciler.plan.groups import group_changes, replaced_by_groups, with_known_members
from reconciler.plan.guards import Judged, judge
from reconciler.plan.hand_overs import warnings as identity_warnings
from reconciler.plan.objections import override_renamed
from reconciler.plan.plan import FORMER, AdministratorDiff, Change, Plan
from reconciler.plan.recreated import recreated
from reconciler.plan.renames import find_renames
from reconciler.plan.state_guards import State, administrators


def make_plan(
    actual: Actual,
    desired: Desired,
    *,
    revision: Revision,
    now: datetime,
    path: str = "",
    warnings: Sequence[Problem] = (),
    warned_before: int = 0,
    adopt: bool = False,
    rewind: bool = False,
    against: bool = False,
    merge: Literal["behind", "older"] | None = None,
    working_tree: bool = False,
    clocks: Clocks | None = None,
    repair: bool = False,
    partial: bool = False,
    welcome: bool = True,
    ending: Collection[str] = (),
) -> Plan:
    """Work out everything that applying a revision would do.

    Both states may be restricted to the part that the change can touch, as long as it is the same part. The desired state must
    have no errors and no conflicts (`changes.conflicts`). A `repair` leads back to the revision that was applied last:
    what differs was written by hand, and says nothing about whose an account is. A `partial` one leaves some of it. The overrides
    of the guards in `ending` count no more.
    """
    renames = find_renames(actual, desired.declared, adopt=adopt, repair=repair)
    changes = find_changes(actual, desired, renames, adopt=adopt)
    held = renamed(actual.declared, renames)
    leads_to = resulting(held, changes)
    runtime = _runtime_renamed(actual.runtime, renames)
    before, after = access_state(held, runtime), access_state(leads_to, _without_ad_members(runtime, changes))
    affected = sorted(affected_accounts(before, after, changes))
    access = find_differences(affected, access_at(before, now), access_at(after, now))
    groups = group_changes(before, after, changes, runtime.directory_groups, now)
    mailed = (change.name for change in changes if change.action == "create" and isinstance(change.after, User))
    can_log_in = runtime.can_set_password | {name for name in mailed if welcome and gets_welcome_mail(leads_to.users[name])}
    judged = Judged(
        changes=changes,
        totals=actual.totals,
        before=None
        if actual.applied is None
        else State(with_known_members(before, runtime), held.users, runtime.can_set_password, now),
        after=State(with_known_members(after, runtime), leads_to.users, can_log_in, now, welcome),
        access=access,
        groups=groups,
        now=now,
        clocks=clocks or Clocks(),
        committed_at=revision.time,
        repair=repair and not adopt,
        partial=partial,
        earlier=actual.earlier,
    )
    disabled = sorted(runtime.disabled.intersection(affected))
    enabled = [Enabled(state, of.users, disabled, now) for state, of in ((before, held), (after, leads_to))]
    once_enabled = gains_once_enabled(disabled, *enabled, origins=desired.origins, changes=changes)
    remembered = [override_renamed(each, renames) for each in actual.overrides if each.guard not in ending]
    were, are = administrators(before, now), administrators(after, now)
    brought = _guards(leads_to.settings)
    in_force = brought if actual.applied is None else guards_renamed(_guards(actual.declared.settings), renames)
    return Plan(
        revision=revision,
        applied=actual.applied,
        generation=actual.generation,
        changes=changes,
        access=access,
        guards=judge(judged, in_force, brought, remembered),
        effects=find_effects(changes, actual.runtime, welcome=welcome),
        administrators=AdministratorDiff(tuple(sorted(are - were)), tuple(sorted(were - are))),
        rights=find_differences(sorted((were | are).intersection(affected)), rights_at(before, now), rights_at(after, now)),
        groups=groups,
        applications=_applications(affected, held, leads_to),
        warnings=(
            *warnings,
            *identity_warnings(changes, actual.earlier or {}),
            *(() if repair else recreated(changes)),
            *replaced_by_groups(changes),
            *once_enabled,
        ),
        unmanaged=() if adopt else tuple(sorted(actual.unmanaged - desired.origins.keys())),
        warned_before=warned_before,
        moves=find_moves(actual, desired, changes),
        shifts=find_shifts(actual, desired, changes),
        path=path,
        adopt=adopt,
        rewind=rewind,
        against=against,
        welcome=welcome,
        merge=merge,
        working_tree=working_tree,
        ended=tuple(each for each in actual.overrides if each.guard in ending),
    )


def _applications(accounts: Iterable[str], *states: DeclaredState) -> frozenset[str]:
    users = (state.users.get(name) for state in states for name in accounts)
    return frozenset(user.name for user in users if user is not None and user.type == "application")


def _guards(settings: Settings | None) -> Guards:
    return Guards() if settings is None else settings.guards


def guards_renamed(guards: Guards, renames: Renames) -> Guards:
    """Use new names in the guards in force: a rename must not free a team or an issuer from the separation of duties."""
    teams, issuers = (_lasting(renames.get(kind, {})) for kind in ("Team", "Issuer"))
    apart = tuple(tuple(duty_renamed(duty, teams, issuers) for duty in duties) for duties in guards.separation_of_duties)
    return guards._replace(separation_of_duties=apart)


def _lasting(names: Mapping[str, str]) -> dict[str, str]:
    return {old: new for old, new in names.items() if not new.endswith(FORMER)}


def _without_ad_members(runtime: Runtime, changes: Iterable[Change]) -> Runtime:
    members = dict(runtime.directory_members)
    for change in changes:
        if isinstance(change.after, Team) and change.name in members and loses_ad_group(change.before, change.after):
            listed = folded(change.after.ad_groups)
            members[change.name] = {name: group for name, group in members[change.name].items() if group in listed}
    return runtime._replace(directory_members=members)


def _runtime_renamed(runtime: Runtime, renames: Renames) -> Runtime:
    users, teams = renames.get("User", {}), renames.get("Team", {})
    if not users and not teams:
        return runtime

    def new_names(names: Iterable[str]) -> frozenset[str]:
        return frozenset(users.get(name, name) for name in names)

    return runtime._replace(
        disabled=new_names(runtime.disabled),
        can_set_password=new_names(runtime.can_set_password),
        directory_members={teams.get(team, team): names for team, names in runtime.directory_members.items()},
    )
