"""The access map: people, teams and issuers in three columns, folded until they fit a budget. What is left out is counted.

People with the same teams are one class, and so are issuers with the same grants; teams fold by their folder or a label. It is
made of whole tables, which are read beside the callers, a piece at a time, once for each stamp: a map may be older than its page.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from heapq import nlargest
from typing import Literal, NamedTuple

import orjson

from api.background import log_failure
from api.state.reader import Reader
from api.state.snapshots import Stamp, read_stamp
from reconciler.store.errors import StoreError
from reconciler.store.tables import DISABLED_HERE, instant_text

NODES, BANDS, FOCUSED_NODES = 60, 160, 100
"""So many nodes and bands at first; so many nodes around one that somebody looks at."""
_NAMED = 5
_FEWEST = 2
"""Teams that fold into fewer groups than this are shown one by one: one node for everything would say nothing."""
"""So many members of a class are named."""
By = Literal["folder", "label", "issuer"]
Key = tuple[By, str, str | None]
"""What a map is asked for by: how teams fold, by which label, and around what."""
Column = Literal["people", "teams", "issuers"]


class Node(NamedTuple):
    """A class of people, a group of teams, or a class of issuers."""

    id: str
    """For `focus`: `people:`, `team:` or `issuers:` and the name of its first member, or `teams:` and the folder or label."""
    column: Column
    title: str
    number: int
    """How many it stands for."""
    names: tuple[str, ...]
    """Some of them."""
    access: int
    """How many ways of a person to an issuer go through it."""


class Band(NamedTuple):
    """What leads from a node to another, as wide as the access that it carries."""

    start: str
    end: str
    access: int
    ending: int
    """How much of it ends by itself."""


class AccessMap(NamedTuple):
    """The map, and what is left out of it."""

    nodes: tuple[Node, ...]
    bands: tuple[Band, ...]
    more_people: int
    more_teams: int
    more_issuers: int
    more_bands: int
    people: int
    teams: int
    issuers: int
    """All that give or get access now."""
    stamp: Stamp
    at: datetime


class Facts(NamedTuple):
    """Who is in which teams, folded: what every map of a stamp is made of."""

    stamp: Stamp
    at: datetime
    people: Sequence[PeopleClass]
    by_team: Mapping[int, Sequence[int]]
    """Team → the indexes of classes that are in it."""
    members: Mapping[int, int]
    """Team → how many enabled members it has."""
    leaving: Mapping[int, int]
    """Team → of how many of them the membership ends by itself."""
    grants: Mapping[int, tuple[int, ...]]
    """Team → enabled issuers."""
    ending: Collection[tuple[int, int]]
    """The teams and issuers whose permission ends by itself."""
    teams: Mapping[int, tuple[str, str, Mapping[str, str]]]
    """Name, file and labels."""
    issuers: Mapping[int, tuple[str, tuple[str, ...]]]
    """Issuer → the node of its class, and the names in it."""
    leading: Sequence[int]
    """The indexes of the classes with the most ways: no map of everything shows others."""
    with_access: int
    """How many people have any."""
    labels: tuple[str, ...] = ()
    """The keys of the labels that teams have, those of most teams first."""


class PeopleClass(NamedTuple):
    """People with the same teams."""

    teams: tuple[int, ...]
    number: int
    names: tuple[str, ...]
    """Some of them."""
    leaving: Mapping[int, int] = {}
    """Team → of how many of them the membership ends by itself."""


class AccessMaps:
    """Makes maps, and keeps what they are made of, and those that were asked for."""

    def __init__(self, reader: Reader, start: Callable[[Callable[[], None]], None] | None = None) -> None:
        """`start` runs a function beside the caller; by default, in a thread."""
        self._reader = reader
        self._start = start or _in_a_thread
        self._lock = threading.Lock()
        self._idle = threading.Event()
        self._idle.set()
        self._stopping = threading.Event()
        self._facts: Facts | None = None
        self._made: dict[Key, AccessMap] = {}

    def map_of(self, now: datetime, by: By = "folder", label: str = "", focus: str | None = None) -> AccessMap | None:
        """The newest map there is; None until the first is made, unless that takes little time.

        `label` is the key that teams are folded by: see `label_of`. If the stamp has moved, or ends may have passed, a newer map
        is begun.
        A focus that no node has gives an empty map. Raises StoreError.
        """
        stamp, facts = read_stamp(self._reader), self._facts
        if facts is None or facts.stamp != stamp or abs(now - facts.at).total_seconds() >= _KEPT:
            self._renew(stamp, now)
            if facts is None:
                self._idle.wait(_PATIENCE)
            facts = self._facts
        if facts is None:
            return None
        if focus is not None and focus.startswith("people:"):
            focus = self._class_of(facts, focus.partition(":")[2])
        key = by, _known_label(facts, label) if by == "label" else "", focus
        made = self._made.get(key)
        if made is None or (made.stamp, made.at) != (facts.stamp, facts.at):
            made = make_map(facts, *key)
            if len(self._made) >= _MOST_MADE:
                self._made.clear()
            self._made[key] = made
        return made

    def _class_of(self, facts: Facts, name: str) -> str:
        """The node of the class that somebody is in. Raises StoreError."""
        moment = instant_text(facts.at)
        teams = tuple(sorted(team for (team,) in self._reader.rows(_TEAMS_OF, name, moment, name)))
        same = (each.names[0] for each in facts.people if each.teams == teams)
        return f"people:{next(same, name)}"

    def labels(self) -> tuple[str, ...]:
        """The keys of the labels that teams have, those of most teams first; none before the first map is made."""
        return () if self._facts is None else self._facts.labels

    def label_of(self, label: str) -> str:
        """The label itself, if some team has it, or else that of most teams; none before the first map is made."""
        return "" if self._facts is None else _known_label(self._facts, label)

    def _renew(self, stamp: Stamp, now: datetime) -> None:
        with self._lock:
            if self._stopping.is_set() or not self._idle.is_set():
                return
            self._idle.clear()

        def renew() -> None:
            try:
                facts = read_facts(self._reader, stamp, now, self._pause)
                of_labels: list[Key] = [("label", label, None) for label in facts.labels]
                whole = {*_USUAL, *of_labels[:1], *(key for key in of_labels if key in self._made)}
                self._made = {key: make_map(facts, *key) for key in whole}  # of all teams, they take longest
                self._facts = facts
            except (StoreError, _Stopped):  # the next call tries again
                pass
            except Exception as error:  # noqa: BLE001 - in its thread, nobody else would log it
                log_failure("making the access map", error)
            finally:
                self._idle.set()

        self._start(renew)

    def _pause(self) -> None:
        if self._stopping.wait(_PAUSE):
            raise _Stopped

    def stop(self, timeout: float) -> None:
        """Begin no other map, and wait for the piece of one that is being read, at most so many seconds."""
        with self._lock:
            self._stopping.set()
        self._idle.wait(timeout)


class _Stopped(Exception):
    """The process ends before a map is made."""


_KEPT = 300.0
_PATIENCE = 0.05
"""Seconds that a page waits for the first map: enough for a small organisation."""
_MOST_MADE = 200
_MOST_LABELS = 50
_USUAL: tuple[Key, ...] = (("folder", "", None), ("issuer", "", None))
_TEAMS_OF = """SELECT m.team_id FROM users u JOIN memberships m ON m.user_id = u.id
WHERE u.name = ? AND u.source = 'declared' AND (m.until IS NULL OR m.until > ?)
UNION ALL SELECT d.team_id FROM users u JOIN directory_memberships d ON d.user_id = u.id
WHERE u.name = ? AND u.source = 'directory'"""
_AT_ONCE = 2_000
_PAUSE = 0.01
"""Seconds between two pieces, in which decisions go on."""


def _known_label(facts: Facts, label: str) -> str:
    return label if label in facts.labels else next(iter(facts.labels), "")


def _labels_of(teams: Mapping[int, tuple[str, str, Mapping[str, str]]]) -> tuple[str, ...]:
    found = Counter(key for _, _, labels in teams.values() for key in labels)
    return tuple(key for key, _ in sorted(found.items(), key=lambda item: (-item[1], item[0]))[:_MOST_LABELS])


def _in_a_thread(function: Callable[[], None]) -> None:
    threading.Thread(target=function, name="access map", daemon=True).start()


def read_facts(reader: Reader, stamp: Stamp, now: datetime, pause: Callable[[], None]) -> Facts:
    """Read what maps are made of, with a pause after each piece. Raises StoreError."""
    moment = instant_text(now)
    off = f"SELECT id FROM users WHERE disabled_by_git UNION SELECT user_id FROM account_states WHERE {DISABLED_HERE}"
    disabled = {number for (number,) in reader.rows(off)}
    classes: dict[tuple[int, ...], list[str]] = {}
    numbers: Counter[tuple[int, ...]] = Counter()
    leaving: dict[tuple[int, ...], Counter[int]] = {}
    after = 0
    while last := _end_of_piece(reader, after):
        for user, (name, teams) in _teams_between(reader, after, last, moment).items():
            if user not in disabled:
                key = tuple(sorted(teams))
                numbers[key] += 1
                if numbers[key] <= _NAMED:
                    classes.setdefault(key, []).append(name)
                if ending := [team for team, ends in teams.items() if ends]:
                    leaving.setdefault(key, Counter()).update(ending)
        after = last
        pause()
    people = [PeopleClass(teams, numbers[teams], tuple(names), leaving.get(teams, {})) for teams, names in classes.items()]
    by_team: dict[int, list[int]] = {}
    members: Counter[int] = Counter()
    leavers: Counter[int] = Counter()
    for index, each in enumerate(people):
        for team in each.teams:
            by_team.setdefault(team, []).append(index)
            members[team] += each.number
        leavers.update(each.leaving)
    grants: dict[int, list[int]] = {}
    ending_grants: set[tuple[int, int]] = set()
    query = """SELECT p.team_id, p.issuer_id, p.until IS NOT NULL FROM permissions p JOIN issuers i ON i.id = p.issuer_id
WHERE i.enabled AND (p.until IS NULL OR p.until > ?) ORDER BY p.team_id, p.issuer_id"""
    rows = reader.rows(query, moment)
    pause()
    declared_teams = {
        number: (name, file or "", _labels(labels))
        for number, name, file, labels in reader.rows("SELECT id, name, file, labels FROM teams")
    }
    names: dict[int, str] = dict(reader.rows("SELECT id, name FROM issuers"))
    for team, issuer, ends in rows:
        if team not in declared_teams or issuer not in names:
            continue  # an apply has deleted it meanwhile, and moved the stamp
        grants.setdefault(team, []).append(issuer)
        if ends:
            ending_grants.add((team, issuer))
    ways = [each.number * sum(len(grants.get(team, ())) for team in each.teams) for each in people]
    leading = nlargest(NODES, (index for index, number in enumerate(ways) if number), key=ways.__getitem__)
    return Facts(
        stamp,
        now,
        people,
        by_team,
        members,
        leavers,
        {team: tuple(issuers) for team, issuers in grants.items()},
        ending_grants,
        declared_teams,
        _issuer_classes(grants, names),
        leading,
        sum(each.number for each, number in zip(people, ways, strict=True) if number),
        _labels_of(declared_teams),
    )


def _end_of_piece(reader: Reader, after: int) -> int | None:
    """The number of the last of the next accounts that are read at once: numbers may have gaps, however wide."""
    row = reader.row("SELECT max(id) FROM (SELECT id FROM users WHERE id > ? ORDER BY id LIMIT ?) AS piece", after, _AT_ONCE)
    return None if row is None else row[0]


def _teams_between(reader: Reader, after: int, last: int, moment: str) -> dict[int, tuple[str, dict[int, bool]]]:
    """The names of the accounts with these numbers, and their teams, with whether the membership ends by itself."""
    found: dict[int, tuple[str, dict[int, bool]]] = {}
    within = "u.id > ? AND u.id <= ?"
    query = f"""SELECT u.id, u.name, m.team_id, m.until IS NOT NULL FROM users u JOIN memberships m ON m.user_id = u.id
WHERE {within} AND u.source = 'declared' AND (m.until IS NULL OR m.until > ?)
UNION ALL SELECT u.id, u.name, d.team_id, FALSE FROM users u JOIN directory_memberships d ON d.user_id = u.id
WHERE {within} AND u.source = 'directory'"""
    for user, name, team, ends in reader.rows(query, after, last, moment, after, last):
        found.setdefault(user, (name, {}))[1][team] = bool(ends)
    return found


def _labels(text: str) -> Mapping[str, str]:
    return {} if text == "{}" else dict(orjson.loads(text))


def _issuer_classes(grants: Mapping[int, Sequence[int]], names: Mapping[int, str]) -> dict[int, tuple[str, tuple[str, ...]]]:
    """The class of each issuer that somebody may use: those that the same teams may use are one."""
    granted: dict[int, list[int]] = {}
    for team, issuers in grants.items():
        for issuer in issuers:
            granted.setdefault(issuer, []).append(team)
    classes: dict[tuple[int, ...], list[int]] = {}
    for issuer, teams in granted.items():
        classes.setdefault(tuple(teams), []).append(issuer)
    found: dict[int, tuple[str, tuple[str, ...]]] = {}
    for members in classes.values():
        of_class = tuple(sorted(names[issuer] for issuer in members))
        found.update(dict.fromkeys(members, (f"issuers:{of_class[0]}", of_class)))
    return found


def make_map(facts: Facts, by: By, label: str, focus: str | None) -> AccessMap:
    """A map of the facts within the budget: the nodes that most ways go through, and what is between them."""
    folded = {team: _group(facts, team, by, label) for team in facts.grants}
    teams, classes, issuers = _around(facts, folded, focus)
    is_whole = focus is None and len(set(folded.values())) >= _FEWEST
    groups = folded if is_whole else {team: f"team:{facts.teams[team][0]}" for team in teams}
    carried: Counter[str] = Counter()
    numbers: dict[str, tuple[int, tuple[str, ...]]] = {}
    # team → people among the classes
    reaching: Counter[int] = Counter(facts.members if focus is None else ())
    leaving: Counter[int] = Counter(facts.leaving if focus is None else ())
    for index in classes:
        each = facts.people[index]
        ways = sum(len(_granted(facts, team, issuers)) for team in each.teams if team in teams)
        if ways:
            node = f"people:{each.names[0]}"
            carried[node], numbers[node] = ways * each.number, (each.number, each.names)
            if focus is not None:
                reaching.update({team: each.number for team in each.teams if team in teams})
                leaving.update({team: number for team, number in each.leaving.items() if team in teams})
    names: dict[str, list[str]] = {}
    for team in teams:
        names.setdefault(groups[team], []).append(facts.teams[team][0])
        given = _granted(facts, team, issuers)
        carried[groups[team]] += reaching[team] * len(given)
        for issuer in given:
            node, of_class = facts.issuers[issuer]
            carried[node] += reaching[team]
            numbers[node] = len(of_class), of_class[:_NAMED]
    numbers |= {node: (len(found), tuple(sorted(found)[:_NAMED])) for node, found in names.items()}
    kept, by_column = _chosen(+carried, NODES if focus is None else FOCUSED_NODES)
    bands: Counter[tuple[str, str]] = Counter()
    ending: Counter[tuple[str, str]] = Counter()
    for index in classes:
        each = facts.people[index]
        node = f"people:{each.names[0]}"
        for team in each.teams if node in kept else ():
            if team in teams and groups[team] in kept:
                given, gone = _granted(facts, team, issuers), each.leaving.get(team, 0)
                bands[node, groups[team]] += each.number * len(given)
                ending[node, groups[team]] += sum(each.number if (team, issuer) in facts.ending else gone for issuer in given)
    for team in teams:
        for issuer in _granted(facts, team, issuers) if groups[team] in kept else ():
            node = facts.issuers[issuer][0]
            if node in kept:
                bands[groups[team], node] += reaching[team]
                ending[groups[team], node] += reaching[team] if (team, issuer) in facts.ending else leaving[team]
    drawn, left_out = _drawn(+bands)
    people, of_teams, of_issuers = (_counted(numbers, nodes, kept) for nodes in by_column.values())
    if focus is None:
        people = facts.with_access, facts.with_access - (people[0] - people[1])
    return AccessMap(
        nodes=tuple(_node(node, numbers[node], carried[node]) for nodes in by_column.values() for node in nodes if node in kept),
        bands=tuple(Band(*between, bands[between], ending[between]) for between in drawn),
        more_people=people[1],
        more_teams=of_teams[1],
        more_issuers=of_issuers[1],
        more_bands=left_out,
        people=people[0],
        teams=of_teams[0],
        issuers=of_issuers[0],
        stamp=facts.stamp,
        at=facts.at,
    )


def _around(
    facts: Facts, groups: Mapping[int, str], focus: str | None
) -> tuple[Collection[int], Collection[int], Collection[int] | None]:
    """The teams, the indexes of people's classes, and the issuers (None: all) that a map is about."""
    if focus is None:
        return facts.grants.keys(), facts.leading, None
    if focus.startswith("people:"):
        found = [index for index, each in enumerate(facts.people) if f"people:{each.names[0]}" == focus]
        return {team for index in found for team in facts.people[index].teams if team in facts.grants}, found, None
    kind, _, name = focus.partition(":")
    if kind == "issuers":
        issuers = {issuer for issuer, (_, of_class) in facts.issuers.items() if name in of_class}
        teams = {team for team, given in facts.grants.items() if not issuers.isdisjoint(given)}
    elif kind == "team":
        issuers, teams = set(), {team for team in facts.grants if facts.teams[team][0] == name}
    else:
        issuers, teams = set(), {team for team, group in groups.items() if group == focus}
    return teams, {index for team in teams for index in facts.by_team.get(team, ())}, issuers or None


def _granted(facts: Facts, team: int, issuers: Collection[int] | None) -> Sequence[int]:
    given = facts.grants[team]
    return given if issuers is None else [issuer for issuer in given if issuer in issuers]


def _group(facts: Facts, team: int, by: By, label: str) -> str:
    """What a team folds into: its folder, the value of a label, or, by issuer, the first of the issuers that it may use."""
    _, file, labels = facts.teams.get(team, ("", "", {}))
    if by == "label":
        return f"teams:{labels.get(label, '')}"
    if by == "folder":
        return f"teams:{file.rpartition('/')[0]}"
    return f"teams:{facts.issuers[facts.grants[team][0]][0].partition(':')[2]}"


def _chosen(carried: Mapping[str, int], budget: int) -> tuple[set[str], dict[str, list[str]]]:
    """The nodes that most ways go through: a third of the budget for each column, and what one leaves is for the others."""
    by_column: dict[str, list[str]] = {"people": [], "teams": [], "issuers": []}
    for node, _ in sorted(carried.items(), key=lambda item: (-item[1], item[0])):
        by_column[_column(node)].append(node)
    kept = {node for nodes in by_column.values() for node in nodes[: budget // 3]}
    for nodes in by_column.values():
        for node in nodes[budget // 3 :]:
            if len(kept) == budget:
                break
            kept.add(node)
    return kept, by_column


def _drawn(bands: Mapping[tuple[str, str], int]) -> tuple[list[tuple[str, str]], int]:
    """The bands within the budget, widest first, and how many are left out.

    The widest of each node comes first, so that no node hangs loose, and then the widest of people and of issuers in turns: what
    one person has is thin beside what a team gives, and would all be left out.
    """
    widest = sorted(bands, key=lambda between: (-bands[between], between))
    of_node: dict[str, tuple[str, str]] = {}
    turns: dict[tuple[str, str], int] = {}
    taken: Counter[Column] = Counter()
    for between in widest:
        turns[between] = taken[_column(between[0])]
        taken[_column(between[0])] += 1
        for node in between:
            of_node.setdefault(node, between)
    turns |= dict.fromkeys(of_node.values(), -1)
    drawn = set(sorted(widest, key=turns.__getitem__)[:BANDS])
    return [between for between in widest if between in drawn], len(widest) - len(drawn)


def _counted(numbers: Mapping[str, tuple[int, tuple[str, ...]]], nodes: Sequence[str], kept: Collection[str]) -> tuple[int, int]:
    """How many people, teams or issuers nodes stand for, and how many of them are not kept."""
    return sum(numbers[node][0] for node in nodes), sum(numbers[node][0] for node in nodes if node not in kept)


def _node(node: str, counted: tuple[int, tuple[str, ...]], access: int) -> Node:
    return Node(node, _column(node), node.partition(":")[2], *counted, access)


def _column(node: str) -> Column:
    kind = node.partition(":")[0]
    return "people" if kind == "people" else "issuers" if kind == "issuers" else "teams"
