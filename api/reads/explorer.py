"""The access explorer: may an account use an issuer from an address at an instant, why, and what is missing if not."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import orjson

from api.reads.access import Way, reach_of
from api.state.accounts import SWITCH_COLUMNS, SWITCHES
from api.state.counting import COUNTED
from api.state.declared import Kind, Place, declared_among, place_of, team_places
from api.state.freshness import Freshness
from api.state.reader import Reader
from api.state.snapshots import AccessKeeper, AccessSnapshot
from reconciler.access.decide import decide
from reconciler.access.permitted_ips import Address, parse_rule, permitting
from reconciler.access.remedies import Candidate, Ground, Obstacle, obstacles
from reconciler.access.state import paths, teams_of
from reconciler.store.tables import instant_text

MOST_PERMITTED_IPS = 50
"""So many permitted IPs of an account are shown; how many more there are is said."""


class PermittedIP(NamedTuple):
    """One permitted IP of one of the account's teams."""

    rule: str
    team: str
    covers: bool | None
    """Whether it covers the address; None: no address was asked about."""
    place: Place | None


class Explained(NamedTuple):
    """A verdict and everything behind it."""

    user: str
    issuer: str
    address: Address | None
    at: datetime
    allow: bool
    reason: str
    """As a decision has it, or `directory-unread`."""
    rule: str | None
    """The permitted IP that covers the address."""
    disabled_by: tuple[str, ...]
    """`git`, `directory`, `administrator`; empty: the account is enabled."""
    issuer_enabled: bool
    user_place: Place | None
    issuer_place: Place | None
    ways: tuple[Way, ...]
    more_ways: int
    permitted_ips: tuple[PermittedIP, ...]
    """Those that cover the address come first. If empty, the account may call from anywhere."""
    more_permitted_ips: int
    missing: tuple[Obstacle, ...]
    commit: str | None
    generation: int


_UNREAD = Obstacle(
    "account-disabled",
    "its directory has not been read for too long",
    (),
    "an operator must see why: `accord-api directory check`",
)


def explain(
    reader: Reader,
    keeper: AccessKeeper,
    freshness: Freshness,
    user: str,
    issuer: str,
    address: Address | None,
    at: datetime,
    now: datetime,
) -> Explained:
    """Explain whether an account may use an issuer, as things stand now, at an instant. Raises StoreError.

    Without an address, permitted IPs are shown but not checked. Unknown names are obstacles.
    """
    access = keeper.now(user)
    decision = decide(access.state, user, issuer, address, at)
    allow, reason = decision.allow, str(decision.reason)
    if address is None and reason == "address-not-permitted":
        allow, reason = True, "permitted"
    disabled_by = _disabled_by(reader, user)
    missing: tuple[Obstacle, ...] = ()
    if not allow:
        missing = obstacles(access.state, user, issuer, address, at, _ground(reader, access, user, issuer, disabled_by, at))
    if access.is_directory_account(user) and freshness.is_stale_account(reader, access.accounts[user].id, now):
        allow, reason, missing = False, "directory-unread", (_UNREAD, *missing)
    reach = reach_of(reader, access, user, at, only=(issuer,))
    permitted_ips, more_permitted_ips = _permitted_ips(reader, access, user, address, at)
    declared = access.state.issuers.get(issuer)
    return Explained(
        user=user,
        issuer=issuer,
        address=address,
        at=at,
        allow=allow,
        reason=reason,
        rule=decision.rule,
        disabled_by=disabled_by,
        issuer_enabled=declared is not None and declared.enabled,
        user_place=place_of(reader, "User", user),
        issuer_place=place_of(reader, "Issuer", issuer),
        ways=reach.issuers[0].ways if reach.issuers else (),
        more_ways=reach.issuers[0].more_ways if reach.issuers else 0,
        permitted_ips=permitted_ips,
        more_permitted_ips=more_permitted_ips,
        missing=missing,
        commit=access.commit,
        generation=access.stamp.generation,
    )


def _disabled_by(reader: Reader, user: str) -> tuple[str, ...]:
    row = reader.row(
        f"SELECT {SWITCH_COLUMNS} FROM users u LEFT JOIN account_states a ON a.user_id = u.id WHERE u.name = ?", user
    )
    return () if row is None else tuple(who for who, off in zip(SWITCHES, row, strict=True) if off)


_MOST_CANDIDATES = 50
_MOST_TEAMS = 500
_GRANTING = f"""SELECT t.name, t.administrator, t.ad_groups,
(SELECT count(*) FROM permissions q WHERE q.team_id = t.id AND q.issuer_id <> p.issuer_id AND (q.until IS NULL OR q.until > ?)
AND q.issuer_id NOT IN (SELECT r.issuer_id FROM memberships m JOIN permissions r ON r.team_id = m.team_id WHERE m.user_id = ?))
AS gives FROM permissions p JOIN teams t ON t.id = p.team_id
WHERE p.issuer_id = (SELECT id FROM issuers WHERE name = ?) AND (p.until IS NULL OR p.until > ?) AND t.file IS NOT NULL {{}}
ORDER BY t.administrator, gives, t.name LIMIT {_MOST_CANDIDATES}"""
_JOINED = f"""SELECT t.name, t.administrator, (SELECT count(*) FROM (SELECT 1 FROM memberships m WHERE m.team_id = t.id
AND m.user_id <> ? AND (m.until IS NULL OR m.until > ?) LIMIT {COUNTED}) AS linked)
+ (SELECT count(*) FROM (SELECT 1 FROM directory_memberships d WHERE d.team_id = t.id AND d.user_id <> ?
LIMIT {COUNTED}) AS others) AS gives FROM teams t WHERE t.name IN ({{}})
ORDER BY t.administrator, gives, t.name LIMIT {_MOST_CANDIDATES}"""


def _ground(reader: Reader, access: AccessSnapshot, user: str, issuer: str, disabled_by: tuple[str, ...], at: datetime) -> Ground:
    """What remedies are chosen from."""
    account, moment = access.accounts.get(user), instant_text(at)
    if account is None:
        return Ground(disabled_by)
    undeclared = _undeclared(reader, access, user, issuer)
    is_directory = account.source == "directory"
    granting: list[Candidate] = []
    if issuer in access.state.issuers and not paths(access.state, user, issuer):  # otherwise what has ended goes on
        with_groups = "AND t.ad_groups <> '[]'" if is_directory else ""
        rows = reader.rows(_GRANTING.format(with_groups), moment, account.id, issuer, moment)
        granting = [Candidate(team, gives, bool(admin), tuple(orjson.loads(groups))) for team, admin, groups, gives in rows]
    names = [team.name for team in teams_of(access.state, user, at)][:_MOST_TEAMS]
    joined: list[Candidate] = []
    if names:
        rows = reader.rows(_JOINED.format(", ".join("?" * len(names))), account.id, moment, account.id, *names)
        joined = [Candidate(team, gives, bool(admin)) for team, admin, gives in rows]
    return Ground(disabled_by, is_directory, granting, joined, undeclared)


def _undeclared(reader: Reader, access: AccessSnapshot, user: str, issuer: str) -> set[tuple[Kind, str]]:
    """What of a question is in the database alone; so is an account of a directory for Git."""
    teams = [team for team in access.state.memberships.get(user, {}) if team in access.state.teams][:_MOST_TEAMS]
    asked: dict[Kind, Sequence[str]] = {"User": [user], "Issuer": [issuer], "Team": teams}
    return {(kind, name) for kind, names in asked.items() for name in set(names) - declared_among(reader, kind, names)}


def _permitted_ips(
    reader: Reader, access: AccessSnapshot, user: str, address: Address | None, at: datetime
) -> tuple[tuple[PermittedIP, ...], int]:
    """The permitted IPs of an account, those that cover the address first, and how many more there are."""
    found = [
        (None if address is None else permitting([parse_rule(rule)], address) is not None, rule, team.name)
        for team in teams_of(access.state, user, at)
        for rule in team.permitted_ips
    ]
    found.sort(key=lambda each: not each[0])  # otherwise as they were
    shown = found[:MOST_PERMITTED_IPS]
    places = team_places(reader, sorted({team for _, _, team in shown}))
    permitted = (
        PermittedIP(rule, team, covers, places[team].of("permittedIPs", rule) if team in places else None)
        for covers, rule, team in shown
    )
    return tuple(permitted), len(found) - len(shown)
