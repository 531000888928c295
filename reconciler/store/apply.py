"""Applies a plan: exactly its changes, with audit entries, mails and digests, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from itertools import chain
from typing import Any, Literal, TypeVar

import orjson
from sqlalchemy import func, select

from reconciler import __version__
from reconciler.access.ad_groups import folded
from reconciler.access.mails import WELCOME
from reconciler.access.public_ids import IDENTIFIED
from reconciler.access.resources import KINDS, Issuer, Kind, Membership, Origin, Permission, Team, User
from reconciler.access.touched import EVERYTHING, Touched
from reconciler.plan.effects import ends_account, ends_credentials, gets_welcome_mail, loses_ad_group
from reconciler.plan.objections import Override
from reconciler.plan.plan import Change, Plan
from reconciler.plan.render.document import plan_digest
from reconciler.plan.touched import find_touched
from reconciler.store import tables
from reconciler.store.audit import Chain, Event, append
from reconciler.store.bulk import BackgroundWriter, insert_rows, new_ids
from reconciler.store.chunks import names_linked
from reconciler.store.digests import GROUPINGS, Bucket, buckets_of, drifted, refresh
from reconciler.store.engine import KEPT, Connection
from reconciler.store.errors import ChangedMeanwhile
from reconciler.store.generations import MOST_NAMES, lock_generation, raise_generation
from reconciler.store.login_aliases import alias_rows, forget_aliases
from reconciler.store.minted import MINTED_FOR_OTHERS, Minted, minted_for_others
from reconciler.store.orphans import remove_orphans
from reconciler.store.overrides import write_overrides
from reconciler.store.places import place_columns, write_shifts
from reconciler.store.public_ids import derive_missing, new_public_ids
from reconciler.store.revision_access import write_access
from reconciler.store.revisions import AppliedRevision, read_applied, revision_document, write_digest, write_revision
from reconciler.store.rows import column_values, column_writer
from reconciler.store.tables import TABLES, instant_text, read_instant

Progress = Callable[[int, int], None] | None
_PIECE = 5_000
_TEAMS = 500
"""How many teams to write the links of at once."""


def apply_plan(
    connection: Connection,
    plan: Plan,
    *,
    repository: str,
    branch: str,
    applied_by: str,
    overrides: Sequence[Override],
    now: datetime,
    progress: Progress = None,
    whole: bool = True,
    known: Collection[Bucket] | None = None,
    action: Literal["apply", "repair"] = "apply",
    why_ended: str = "",
) -> int | None:
    """Execute a plan and return the id of its history entry.

    If this version of Accord has applied the revision and the plan changes nothing, write nothing but the end of overrides, and
    return None. For another version, add an entry: it reads the revision alike. A plan that is not `whole` leaves other drift
    alone, and the digests keep showing it. `known` are the buckets that had drifted in this transaction, when the plan was made.
    `why_ended` says why the plan ends overrides.
    Raises ChangedMeanwhile if others have drifted since, because their changes would count as applied.
    """
    applied = read_applied(connection)
    last = None if applied is None else (applied.revision.commit, applied.path, applied.accord_version)
    remember = partial(write_overrides, connection, plan, by=applied_by, now=now, why_ended=why_ended)
    if last == (plan.revision.commit, plan.path, __version__) and plan.is_empty and not plan.moves:
        if plan.ended:
            append(connection, remember(()), at=now, actor=applied_by)
        return None
    stale = _drifted_by_now(connection, known)
    by_hand = bool(stale)
    generation = lock_generation(connection)  # from here on no login gives a team or a name, or what it touched would be missed
    if stale and remove_orphans(connection):
        stale = drifted(connection)
    revision_id = (connection.execute(select(func.max(tables.revisions.c.id))).scalar() or 0) + 1
    writer = _Writer(connection, revision_id, now, progress, len(plan.changes))
    entry = AppliedRevision(
        id=revision_id,
        revision=plan.revision,
        repository=repository,
        branch=branch,
        path=plan.path,
        applied_at=now,
        applied_by=applied_by,
        plan_digest="",
        generation=_raised(connection, plan, by_hand, generation),
        overrides=_needed(plan, overrides),
        counts=_counts(plan),
        # what a partial repair leaves may come of this version's rules, and must not count as written by hand
        accord_version=__version__ if whole or applied is None else applied.accord_version,
    )
    write_revision(connection, entry)
    write_access(connection, revision_id, plan)
    remembered = remember(entry.overrides)
    writer.change(plan)
    log = Chain(connection, at=now, actor=applied_by, revision_id=revision_id)
    with BackgroundWriter() as background:
        writer.insert(background)
        entry = entry._replace(plan_digest=plan_digest(plan))  # slow, so do it while rows are being written
        background.call(write_digest, connection, entry)
        touched = writer.touched.union(stale) if whole else writer.touched.difference(stale)
        background.call(refresh, connection, touched)
        for rows in log.entries(chain(_events(plan, entry, action, writer.minted), remembered)):
            background.call(insert_rows, connection, tables.audit, rows)
    log.end()
    return revision_id


def _drifted_by_now(connection: Connection, known: Collection[Bucket] | None) -> Collection[Bucket]:
    """Return the drifted buckets: the known ones, if nobody else can have written since they were found."""
    if known is None:
        return drifted(connection)
    if connection.dialect.name == "sqlite":
        return known
    stale = {bucket for bucket in known if bucket[0] in KEPT}.union(drifted(connection, GROUPINGS.keys() - KEPT))
    if not stale.issubset(known):
        raise ChangedMeanwhile("somebody else changed the declared tables during planning; nothing was changed, try again")
    return stale


def _raised(connection: Connection, plan: Plan, by_hand: bool, generation: int) -> int:
    """Raise the generation, which is locked, if something changes. After changes by hand, a plan cannot name all that differs."""
    if by_hand or len(plan.changes) > MOST_NAMES:
        return raise_generation(connection, EVERYTHING)
    if plan.is_empty:
        return generation
    return raise_generation(connection, find_touched(plan.changes) | _linked(connection, plan.changes))


def _linked(connection: Connection, changes: Iterable[Change]) -> Touched:
    """Return what depends on renamed or deleted teams and issuers, and on AD groups that teams lose."""
    old_names: dict[Kind, set[str]] = {kind: set() for kind in KINDS}
    left: set[str] = set()
    for change in changes:
        if change.before is not None and change.action in ("rename", "delete"):
            old_names[change.kind].add(change.before.name)
        if change.before is not None and loses_ad_group(change.before, change.after):
            left.add(change.before.name)
    members = names_linked(connection, tables.memberships, tables.teams, old_names["Team"], tables.users)
    in_groups = names_linked(connection, tables.directory_memberships, tables.teams, old_names["Team"] | left, tables.users)
    teams = names_linked(connection, tables.permissions, tables.issuers, old_names["Issuer"], tables.teams)
    return Touched(frozenset(members | in_groups), frozenset(teams))


def _needed(plan: Plan, overrides: Iterable[Override]) -> tuple[Override, ...]:
    """Drop overrides that do nothing: that of a guard that did not refuse, unless it changes until when another one holds."""
    refusing = {guard.id for guard in plan.guards if guard.refused}
    covered = {guard.id for guard in plan.guards if guard.covered}
    return tuple(each for each in overrides if each.guard in refusing or (each.until is not None and each.guard in covered))


def _counts(plan: Plan) -> dict[str, int]:
    counts: dict[str, int] = {}
    for change in plan.changes:
        counts[change.action] = counts.get(change.action, 0) + 1
    gained = len(plan.access.gained) + len(plan.access.opening)
    lost = len(plan.access.lost) + len(plan.access.closing)
    became, ceased = map(len, plan.administrators)
    administrators = {"administratorsGained": became, "administratorsLost": ceased}
    return {**counts, "gained": gained, "lost": lost, **administrators, "mails": plan.effects.mails}


def _events(plan: Plan, applied: AppliedRevision, action: str, minted: Mapping[str, Sequence[Minted]]) -> Iterator[Event]:
    yield Event(
        f"revision.{action}",
        "",
        "",
        {
            **revision_document(applied),
            "adopt": plan.adopt,
            "rewind": plan.rewind,
            "welcome": plan.welcome,
            "sessionsEnded": plan.effects.sessions_ended,
            "tokensEnded": plan.effects.tokens_ended,
        },
    )
    for change in plan.changes:
        detail: dict[str, Any] = {"fields": orjson.Fragment(change.fields_json)}
        if change.source is not None:
            detail["source"] = str(change.source)
        if change.previous_name is not None:
            detail["previousName"] = change.previous_name
        if change.before is not None and ends_account(change) and change.before.name in minted:
            detail[MINTED_FOR_OTHERS] = minted[change.before.name]
        resource = change.after or change.before
        yield Event(f"{change.kind.lower()}.{change.action}", change.kind, resource.name if resource else change.name, detail)


class _Writer:
    """Writes the changes of one plan, kind by kind, and remembers the buckets it touched."""

    def __init__(self, connection: Connection, revision_id: int, now: datetime, progress: Progress, total: int) -> None:
        self.connection = connection
        self.revision_id = revision_id
        self.now = instant_text(now)
        self.touched: set[Bucket] = set()
        self.minted: dict[str, list[Minted]] = {}
        """The tokens of others that came of accounts that end, by these accounts' names before."""
        self._progress = progress
        self._done = 0
        self._total = total
        self._changes: dict[Kind, list[Change]] = {}
        self._ids: dict[Kind, dict[str, int]] = {}
        self._public_ids: dict[str, list[str]] = {}
        """Those of new rows, by kind."""
        self._welcome = True

    def change(self, plan: Plan) -> None:
        """Delete, rename and update, in an order that satisfies all constraints."""
        self._welcome = plan.welcome
        self._changes = {kind: [change for change in plan.changes if change.kind == kind] for kind in KINDS}
        created: dict[Kind, list[int]] = {}
        for kind, changes in self._changes.items():
            self._load_ids(kind, changes)
            # before anything is deleted: a new account never gets the number of one that ends
            names = [change.name for change in changes if change.before is None]
            created[kind] = new_ids(self.connection, TABLES[kind], len(names))
            if kind in IDENTIFIED:
                self._public_ids[kind] = new_public_ids(self.connection, kind, names, _declared_ids(changes))
            if kind == "User":
                self._note_minted(changes)
            self._delete([change for change in changes if change.after is None])
        self._forget_previous(plan.changes)
        forget_aliases(self.connection, self._changes["User"], self._ids["User"])
        for changes in self._changes.values():
            self._rename([change for change in changes if change.action == "rename"])
            self._update([change for change in changes if change.before is not None and change.after is not None])
        self._end_credentials(
            [change for change in self._changes["User"] if change.after is not None and ends_credentials(change)]
        )
        self._unlink([change for change in self._changes["Team"] if change.before is not None and change.after is not None])
        derive_missing(self.connection)
        for (kind, name), origin in plan.moves:
            table = TABLES[kind]
            row_id = self.connection.execute(select(table.c.id).where(table.c.name == name)).scalar_one()
            self.connection.execute(table.update().where(table.c.id == row_id).values(place_columns(kind, origin)))
            self._touch(table.name, row_id)
        write_shifts(self.connection, plan.shifts)
        for kind, changes in self._changes.items():
            names = [change.name for change in changes if change.before is None]
            self._ids[kind].update(zip(names, created[kind], strict=True))

    def insert(self, background: BackgroundWriter) -> None:
        """Insert new rows, and all new links."""
        for kind, changes in self._changes.items():
            self._create(kind, [change for change in changes if change.before is None], background)
        self._link([change for change in self._changes["Team"] if change.after is not None], background)

    def _tell(self, number: int) -> None:
        self._done += number
        if self._progress is not None:
            self._progress(self._done, self._total)

    def _load_ids(self, kind: Kind, changes: Iterable[Change]) -> None:
        """Load the ids of rows that the changes of a kind concern, and of rows that changed teams link to."""
        table = TABLES[kind]
        names = {change.before.name for change in changes if change.before is not None}
        if kind in ("User", "Issuer"):
            created = {change.name for change in changes if change.before is None}
            names.update(
                link[0] for change in self._changes["Team"] for link in _changed_links(change, kind) if link[0] not in created
            )
        ordered, found = sorted(names), {}
        for start in range(0, len(ordered), 500):
            query = select(table.c.name, table.c.id).where(table.c.name.in_(ordered[start : start + 500]))
            found.update({row[0]: row[1] for row in self.connection.execute(query)})
        self._ids[kind] = found

    def _note_minted(self, changes: Iterable[Change]) -> None:
        """Note which tokens of others go on that came of accounts that end, while the accounts and their tokens are there."""
        renamed = {change.previous_name: change.name for change in changes if change.previous_name is not None}
        ending = [change.before.name for change in changes if change.before is not None and ends_account(change)]
        ids = {self._ids["User"][name]: name for name in ending}
        for user_id, tokens in minted_for_others(self.connection, ids, read_instant(self.now)).items():
            self.minted[ids[user_id]] = [{**each, "user": renamed.get(each["user"], each["user"])} for each in tokens]

    def _touch(self, table: str, *keys: int) -> None:
        self.touched |= buckets_of(table, keys)

    def _delete(self, changes: Sequence[Change]) -> None:
        """Delete rows, which deletes their links and tokens; the links' buckets count as touched."""
        for change in changes:
            assert change.before is not None
            table, row_id = TABLES[change.kind], self._ids[change.kind].pop(change.before.name)
            links = {"User": ("memberships", "user_id"), "Issuer": ("permissions", "issuer_id")}
            if change.kind in links:
                link, column = links[change.kind]
                for (team_id,) in self.connection.exec_driver_sql(f"SELECT team_id FROM {link} WHERE {column} = {row_id}"):
                    self._touch(link, team_id)
            elif change.kind == "Team":
                self._touch("memberships", row_id)
                self._touch("permissions", row_id)
            self.connection.execute(table.delete().where(table.c.id == row_id))
            self._touch(table.name, row_id)
        self._tell(len(changes))

    def _rename(self, changes: Sequence[Change]) -> None:
        """Rename in two steps, with temporary names first, so that chains and swaps do not collide."""
        moving = [(change, self._ids[change.kind].pop(change.previous_name or "")) for change in changes]
        for temporary in (True, False):
            for change, row_id in moving:
                table = TABLES[change.kind]
                name = f"\x7f{row_id}" if temporary else change.name
                self.connection.execute(table.update().where(table.c.id == row_id).values(name=name))
        for change, row_id in moving:
            self._ids[change.kind][change.name] = row_id

    def _create(self, kind: Kind, changes: Sequence[Change], background: BackgroundWriter) -> None:
        table, ids, public_ids = TABLES[kind], self._ids[kind], self._public_ids.get(kind, ())
        columns, values = column_writer(kind)
        identified = ("public_id",) if kind in IDENTIFIED else ()
        places = place_columns(kind, None)
        for start in range(0, len(changes), _PIECE):
            piece = changes[start : start + _PIECE]
            rows = [
                (
                    ids[change.name],
                    *place_columns(kind, change.source).values(),
                    self.revision_id,
                    *values(change.after),
                    *public_ids[at : at + 1],
                )
                for at, change in enumerate(piece, start)
                if change.after is not None
            ]
            mails = [
                (WELCOME, ids[change.name], self.now, 0, "{}")
                for change in piece
                if self._welcome and isinstance(change.after, User) and gets_welcome_mail(change.after)
            ]
            background.call(insert_rows, self.connection, table, rows, ("id", *places, "revision_id", *columns, *identified))
            background.call(
                insert_rows, self.connection, tables.outbox, mails, ("template", "user_id", "created_at", "attempts", "detail")
            )
            background.call(insert_rows, self.connection, tables.previous_names, _previous_names(piece))
            background.call(insert_rows, self.connection, tables.login_aliases, alias_rows(piece, ids))
            self._touch(table.name, *(row[0] for row in rows))
            self._tell(len(piece))

    def _update(self, changes: Sequence[Change]) -> None:
        for change in changes:
            assert change.after is not None
            table, row_id = TABLES[change.kind], self._ids[change.kind][change.name]
            if isinstance(change.after, Team) and loses_ad_group(change.before, change.after):
                self._end_memberships(row_id, folded(change.after.ad_groups))
            values = {**column_values(change.kind, change.after), **self._bookkeeping(change.kind, change.source)}
            self.connection.execute(table.update().where(table.c.id == row_id).values(**values))
            insert_rows(self.connection, tables.previous_names, _previous_names([change]))
            insert_rows(self.connection, tables.login_aliases, alias_rows([change], self._ids[change.kind]))
            self._touch(table.name, row_id)
        self._tell(len(changes))

    def _end_memberships(self, team_id: int, listed: Collection[str]) -> None:
        """End what a team's AD groups gave, except to whom a group that it still lists gave it."""
        members = tables.directory_memberships
        mine = members.c.team_id == team_id
        groups = self.connection.execute(select(members.c.ad_group).where(mine).distinct()).scalars()
        kept = [group for group in groups if group is not None and group.casefold() in listed]
        gone = mine & (members.c.ad_group.is_(None) | members.c.ad_group.not_in(kept))
        self.connection.execute(members.delete().where(gone))

    def _bookkeeping(self, kind: Kind, source: Origin | None) -> dict[str, Any]:
        found: dict[str, Any] = {"revision_id": self.revision_id}
        return found if source is None else {**place_columns(kind, source), **found}

    def _forget_previous(self, changes: Iterable[Change]) -> None:
        """Delete earlier names first: one may move between resources, or be left over from a resource deleted by hand."""
        columns = tables.previous_names.c
        for change in changes:
            if change.after is not None and change.after.previously:
                claimed = (columns.kind == change.kind) & columns.previous.in_(change.after.previously)
                self.connection.execute(tables.previous_names.delete().where(claimed))
            if change.before is not None and change.before.previously:
                mine = (columns.kind == change.kind) & (columns.name == change.before.name)
                self.connection.execute(tables.previous_names.delete().where(mine))

    def _end_credentials(self, changes: Iterable[Change]) -> None:
        columns = tables.tokens.c
        for change in changes:
            mine = (columns.user_id == self._ids["User"][change.name]) & columns.revoked_at.is_(None)
            self.connection.execute(tables.tokens.update().where(mine).values(revoked_at=self.now))

    def _unlink(self, changes: Iterable[Change]) -> None:
        """Delete the memberships and permissions that teams lose."""
        for change in changes:
            before, after = change.before, change.after
            assert isinstance(before, Team) and isinstance(after, Team)
            links: tuple[tuple[str, str, Kind, Iterable[Membership | Permission]], ...] = (
                ("memberships", "user_id", "User", _differing(before.members, after.members)[0]),
                ("permissions", "issuer_id", "Issuer", _differing(before.permissions, after.permissions)[0]),
            )
            team_id = self._ids["Team"][change.name]
            for table, column, kind, gone in links:
                for link in gone:
                    row_id = self._ids[kind].get(link[0])
                    if row_id is not None:  # otherwise the link went with its deleted user or issuer
                        self.connection.exec_driver_sql(f"DELETE FROM {table} WHERE team_id = {team_id} AND {column} = {row_id}")

    def _link(self, changes: Sequence[Change], background: BackgroundWriter) -> None:
        """Insert the memberships and permissions that teams gain."""
        users, issuers = self._ids["User"], self._ids["Issuer"]
        for start in range(0, len(changes), _TEAMS):
            members: list[tuple[Any, ...]] = []
            permissions: list[tuple[Any, ...]] = []
            for change in changes[start : start + _TEAMS]:
                before, after = change.before or Team(""), change.after
                assert isinstance(before, Team) and isinstance(after, Team)
                team_id = self._ids["Team"][change.name]
                joined = _differing(before.members, after.members)[1]
                granted = _differing(before.permissions, after.permissions)[1]
                members.extend((team_id, users[user], until and instant_text(until), reason) for user, until, reason in joined)
                permissions.extend((team_id, issuers[issuer], until and instant_text(until)) for issuer, until in granted)
            background.call(insert_rows, self.connection, tables.memberships, members)
            background.call(insert_rows, self.connection, tables.permissions, permissions)
        teams = [self._ids["Team"][change.name] for change in changes]
        self._touch("memberships", *teams)
        self._touch("permissions", *teams)


def _declared_ids(changes: Iterable[Change]) -> dict[str, str]:
    """Map the identifiers that resources declare to these resources' names."""
    resources = (change.after for change in changes)
    return {
        each.certdog_id: each.name for each in resources if isinstance(each, User | Team | Issuer) and each.certdog_id is not None
    }


def _previous_names(changes: Iterable[Change]) -> list[tuple[Any, ...]]:
    return [
        (change.kind, previous, change.name)
        for change in changes
        if change.after is not None and change.after.previously
        for previous in dict.fromkeys(change.after.previously)
    ]


_Link = TypeVar("_Link", Membership, Permission)


def _differing(old: Sequence[_Link], new: Sequence[_Link]) -> tuple[Collection[_Link], Collection[_Link]]:
    """Return the links to delete and to insert; a link with another end is in both."""
    return (set(old) - set(new), set(new) - set(old)) if old else ((), new)


def _changed_links(change: Change, kind: Kind) -> Iterator[Membership | Permission]:
    """Yield the memberships or permissions in which a team differs before and after."""
    before, after = change.before, change.after
    if change.kind != "Team" or after is None:
        return
    old = before if isinstance(before, Team) else Team("")
    assert isinstance(after, Team)
    for links in _differing(old.members, after.members) if kind == "User" else _differing(old.permissions, after.permissions):
        yield from links
