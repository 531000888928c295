"""Owners of a delegated folder write whatever they like into it: nothing that is not delegated to them ever changes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from functools import lru_cache
from ipaddress import ip_address, ip_network
from random import Random
from typing import Any, NamedTuple

from effort import tries
from scenario import issuer, resource, team, user

from reconciler.access.resources import Declaration, DeclaredState, Key, Origin, Revision, Team
from reconciler.plan.actual import Actual, Runtime, Totals
from reconciler.plan.changes import conflicts
from reconciler.plan.delegated import undelegated
from reconciler.plan.make import make_plan
from reconciler.plan.plan import Plan
from reconciler.run.inputs import state_of
from reconciler.source.blobs import read_blob
from reconciler.source.build import build
from reconciler.source.rules import check, nowhere
from reconciler.source.selection import is_candidate

NOW = datetime(2026, 6, 1, tzinfo=UTC)
USERS, ISSUERS = [f"u{number}" for number in range(6)], ["tls", "vpn", "signing"]
TEAMS = ["admins", "audit", "ops", "web-a", "web-b", "net-a"]
GROUPS = ["PKI-Web", "PKI-Admins", "CN=PKI,OU=Groups,DC=corp", "domain admins"]
RANGES = ["10.0.0.0/8", "10.1.0.0/16", "192.0.2.7", "0.0.0.0/0", "2001:db8::/32", "10.2.0.1-10.2.0.9"]
FOLDERS = ["teams/web", "teams/net", "teams/web/inner", "people", "x"]
PATTERNS = ["web-*", "net-*", "*", "*", "u?", "web-a", "t*", "ops", "signing"]

Files = dict[str, bytes]
Delegation = dict[str, Any]


def written(*documents: Any) -> bytes:
    return "---\n".join(json.dumps(document) + "\n" for document in documents).encode()


def some(random: Random, items: list[Any], most: int = 2) -> list[Any]:
    return random.sample(items, random.randint(0, min(most, len(items))))


def delegation(random: Random, path: str) -> Delegation:
    return {
        "path": path,
        "kinds": random.choice(
            [["Team"], ["Team"], ["Team", "User"], ["Team", "User", "Issuer"], ["User"], ["EmailTemplate", "Team"]]
        ),
        "names": sorted({*some(random, PATTERNS, 2), random.choice(PATTERNS)}),
        "issuers": some(random, ["tls", "*", "t*", "vpn"]),
        "adGroups": some(random, ["PKI-*", "pki-web"]),
        "administrator": random.random() < 0.1,
        "mayDecideFor": random.choice([[], [], ["web-*"], ["*"], "everyone"]),
        "permittedIPs": some(random, ["10.0.0.0/8", "192.0.2.0/24", "10.1.0.0-10.1.255.255"]) if random.random() < 0.4 else [],
    }


def central(random: Random) -> tuple[Files, list[Delegation]]:
    """What the administrators declare, in files outside the delegated folders."""
    delegated = [delegation(random, path) for path in random.sample(FOLDERS, random.randint(1, 3))]
    if random.random() < 0.2:
        delegated.append({"path": f"{delegated[0]['path']}/free", "unrestricted": True})
    teams = [
        team(
            name,
            administrator=name == "admins",
            members=some(random, USERS, 4),
            issuers=some(random, ISSUERS, 3),
            adGroups=some(random, GROUPS, 1),
            permittedIPs=some(random, RANGES, 1),
            mayDecideFor=random.choice([[], ["ops"], "everyone"]),
        )
        for name in TEAMS[: random.randint(3, 6)]
    ]
    names = {each["metadata"]["name"] for each in teams}
    for each in teams:
        if isinstance(each["spec"]["mayDecideFor"], list):
            each["spec"]["mayDecideFor"] = [name for name in each["spec"]["mayDecideFor"] if name in names]
    spec: dict[str, Any] = {"delegation": delegated, "guards": {"maxAdministrators": None}}
    files = {
        "settings.yaml": written(resource("Settings", "default", spec)),
        "central.yaml": written(*map(user, USERS), *map(issuer, ISSUERS), *teams),
    }
    if random.random() < 0.1:
        files["mail.yaml"] = written(resource("EmailTemplate", "welcome", {"subject": "Hello", "text": "{{ password }}"}))
    return files, delegated


class Owner:
    """Somebody who may change the files in one folder, and nothing else, and tries everything with them."""

    def __init__(self, random: Random, zone: Delegation) -> None:
        self.random, self.folder, self.zone = random, zone["path"], zone
        self.mine = [f"{stem}{number}" for stem in ("web-", "t", "net-", "un") for number in range(3)]

    def commit(self, files: Files) -> Files:
        random = self.random
        files = dict(files)
        mine = [name for name in files if name.startswith(f"{self.folder}/")]
        for name in mine:
            if random.random() < 0.2:
                del files[name]
            elif random.random() < 0.4:
                files[name] = self.edited(files[name])
        for _ in range(random.choice([0, 1, 1, 1, 2])):
            names = [
                "a.yaml",
                "a.yaml",
                "b.yml",
                "inner2/c.yaml",
                "A B.yaml",
                "\u00e9.yaml",
                "free/a.yaml",
                ".accordignore",
                "..c.yaml",
            ]
            name = random.choice(mine) if mine and random.random() < 0.6 else f"{self.folder}/{random.choice(names)}"
            content = b"*\n" if name.endswith("ignore") else written(*(self.document() for _ in range(random.randint(1, 2))))
            kept = files.get(name, b"")
            files[name] = kept + b"---\n" + content if kept and random.random() < 0.5 else self.disguised(content)
        return files

    def edited(self, content: bytes) -> bytes:
        """Rename or change what a file declares, if it is written plainly."""
        try:
            documents = [json.loads(text) for text in content.split(b"---\n") if text]
        except ValueError:
            return content
        for document in documents:
            if document["kind"] in ("Team", "User", "Issuer") and self.random.random() < 0.5:
                document["metadata"]["previously"] = [document["metadata"]["name"]]
                document["metadata"]["name"] = self.random.choice(self.mine)
            elif document["kind"] == "Team":
                document["spec"] = self.team()
        return written(*documents)

    def document(self) -> dict[str, Any]:
        """Write a resource, mostly one that the owner may well declare, with something in it that may not be."""
        random = self.random
        kinds, names = self.zone["kinds"], [each for each in self.mine if fits(self.zone["names"], each)]
        if random.random() < 0.15 or not names:
            kinds, names = ["Team", "User", "Issuer", "EmailTemplate", "Settings"], self.mine + TEAMS + USERS
        kind, name = random.choice(kinds), random.choice(names)
        if kind == "EmailTemplate":
            name = random.choice(["welcome", "password-reset", "certificate-issued"])
        spec: dict[str, Any] = {
            "Team": self.team,
            "User": self.user,
            "Issuer": lambda: {"enabled": random.random() < 0.7},
            "EmailTemplate": lambda: {"subject": "Mine", "text": "{{ password }}"},
            "Settings": dict,
        }[kind]()
        document = resource(kind, "default" if kind == "Settings" else name, spec)
        if random.random() < 0.3 and kind != "EmailTemplate":
            others = self.mine if random.random() < 0.8 else {"Team": TEAMS, "User": USERS, "Issuer": ISSUERS}.get(kind, TEAMS)
            document["metadata"]["previously"] = [each for each in some(random, others) if each != name]
        return document

    def team(self) -> dict[str, Any]:
        random = self.random
        granted = [each for each in ISSUERS if fits(self.zone["issuers"], each) or random.random() < 0.05]
        found: dict[str, Any] = {"members": some(random, USERS, 3), "issuers": some(random, granted)}
        if random.random() < 0.1:
            found["administrator"] = True
        if random.random() < 0.1:
            found["adGroups"] = some(random, GROUPS)
        if random.random() < 0.2:
            found["permittedIPs"] = some(random, RANGES)
        if random.random() < 0.1:
            found["mayDecideFor"] = random.choice([["ops"], "everyone", ["web-a"], ["admins"]])
        return found

    def user(self) -> dict[str, Any]:
        random = self.random
        return {
            "email": f"{random.choice(USERS)}@evil.example.org",
            "enabled": random.random() < 0.7,
            "type": random.choice(["person", "application"]),
        }

    def disguised(self, content: bytes) -> bytes:
        """Write the same in another way, or something that a parser might read in another way."""
        tricks = [
            *[lambda text: text] * 12,
            lambda text: b"\xef\xbb\xbf" + text,
            lambda text: text.replace(b"\n", b"\r\n"),
            lambda text: b"%YAML 1.1\n---\n" + text,
            lambda text: text.replace(b'"administrator": true', b'"administrator": false, "administrator": true'),
            lambda text: text.replace(b'"spec": {', b'"spec": {"<<": {"administrator": true}, '),
            lambda text: text.replace(b'"kind": "Settings"', b'"kind": !!str Settings'),
            lambda text: text.replace(b'"issuers": [', b'"issuers": &i ['),
            lambda text: text.replace(b"true", b"yes"),
            lambda text: text + b"...\n# the end\n---\n",
        ]
        return self.random.choice(tricks)(content)


read = lru_cache(maxsize=1_000)(read_blob)


class World(NamedTuple):
    """What is applied: the declared state, and the file of each resource."""

    declared: DeclaredState
    files: Mapping[Key, str]


def applied(before: World | None, files: Files) -> tuple[World, Plan] | str:
    """Bytes → documents → resources → plan, as the program does it: what is applied then, or what refuses it."""
    declarations: list[Declaration] = []
    for name in sorted(files):
        if not is_candidate(name):
            continue
        blob = read(files[name])
        for rule, severity in [report[2:4] for report in blob.reports]:
            if severity == "error":
                return rule
        declarations += [Declaration(value["kind"], build(value), Origin(name, line)) for line, value in blob.documents]
    for problem in check(declarations, NOW, locate=nowhere):
        if problem.severity == "error":
            return problem.rule
    desired = state_of(declarations)
    revision = Revision("c" * 40, "Owner", NOW)
    actual = Actual() if before is None else held(before, revision)
    if conflicts(actual, desired):
        return "conflict"
    plan = make_plan(actual, desired, revision=revision, now=NOW)
    in_force = None if before is None else before.declared.settings
    if any(undelegated(plan, in_force, desired.declared, actual.files)):
        return "not-delegated-in-force"
    return World(desired.declared, {key: origin.file for key, origin in desired.origins.items()}), plan


def held(world: World, revision: Revision) -> Actual:
    declared = world.declared
    totals = Totals(len(declared.users), len(declared.teams), len(declared.issuers))
    return Actual(declared, Runtime(), files=world.files, totals=totals, applied=revision._replace(commit="b" * 40))


def zone_of(file: str, delegated: list[Delegation]) -> Delegation | None:
    found = [each for each in delegated if file.startswith(f"{each['path']}/")]
    return max(found, key=lambda each: len(each["path"]), default=None)


def fits(patterns: list[str], name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def within(text: str, ranges: list[str]) -> bool:
    """Whether the ends of a permitted IP are in one of the ranges; the ranges that are tried have no gaps between."""

    def ends(rule: str) -> tuple[Any, Any]:
        if "-" in rule:
            first, _, last = rule.partition("-")
            return ip_address(first), ip_address(last)
        network = ip_network(rule)
        return network[0], network[-1]

    first, last = ends(text)
    return any(low.version == first.version and low <= first and last <= high for low, high in map(ends, ranges))


def powers(state: DeclaredState, teams: set[str]) -> Any:
    """What everybody has through these teams: issuers, administering, groups, decisions, addresses; naively."""
    return {
        (member.user, name): (found.administrator, found.permissions, found.ad_groups, found.may_decide_for, found.permitted_ips)
        for name, found in state.teams.items()
        if name in teams
        for member in found.members
    }


def addresses(state: DeclaredState) -> dict[str, set[str]]:
    """The joined lists of each account."""
    found: dict[str, set[str]] = {}
    for each in state.teams.values():
        for member in each.members:
            found.setdefault(member.user, set()).update(each.permitted_ips)
    return {account: texts for account, texts in found.items() if texts}


def judge(before: World, after: World, plan: Plan, zone: Delegation, delegated: list[Delegation]) -> None:
    """Insist that nothing changed but what is delegated to a folder."""

    def is_mine(key: Key, world: World) -> bool:
        return key in world.files and zone_of(world.files[key], delegated) is zone

    for change in plan.changes:
        old = (change.kind, change.previous_name or change.name)
        assert change.before is None or is_mine(old, before), change
        assert change.after is None or is_mine((change.kind, change.name), after), change
        assert change.kind in zone["kinds"], change
        assert fits(zone["names"], change.name), change
        assert change.previous_name is None or fits(zone["names"], change.previous_name), change
        if isinstance(change.after, Team):
            judge_team(change.after, zone)
    for kind in ("User", "Team", "Issuer", "EmailTemplate", "Settings"):
        others = {name: found for name, found in before.declared.of_kind(kind).items() if not is_mine((kind, name), before)}
        assert others.items() <= after.declared.of_kind(kind).items()
    outside = {name for name in before.declared.teams if not is_mine(("Team", name), before)}
    assert powers(before.declared, outside) == powers(after.declared, outside)
    if not zone["permittedIPs"]:
        accounts = {*before.declared.users, *after.declared.users}
        was, now = addresses(before.declared), addresses(after.declared)
        assert {name: was.get(name) for name in accounts} == {name: now.get(name) for name in accounts}


def judge_team(found: Team, zone: Delegation) -> None:
    assert not found.administrator or zone["administrator"]
    assert all(fits(zone["issuers"], permission.issuer) for permission in found.permissions)
    assert all(fits([each.lower() for each in zone["adGroups"]], group.lower()) for group in found.ad_groups)
    assert all(within(text, zone["permittedIPs"]) for text in found.permitted_ips)
    if zone["mayDecideFor"] != "everyone":
        assert found.may_decide_for != "everyone"
        assert all(fits(zone["mayDecideFor"], name) for name in found.may_decide_for)


def attempt(seed: int) -> list[str]:
    """Let the owner of a folder commit four times; return what came of each."""
    random = Random(seed)
    files, delegated = central(random)
    first = applied(None, files)
    assert not isinstance(first, str), first
    world, zone = first[0], random.choice([each for each in delegated if "unrestricted" not in each])
    owner, outcomes = Owner(random, zone), []
    for _ in range(4):
        tried = {name: text for name, text in owner.commit(files).items() if name in files or zone_of(name, delegated) is zone}
        outcome = applied(world, tried)
        if isinstance(outcome, str):
            outcomes.append(outcome)
            continue
        judge(world, outcome[0], outcome[1], zone, delegated)
        outcomes.append(",".join(sorted({change.action for change in outcome[1].changes})) or "nothing")
        files, world = tried, outcome[0]
    return outcomes


def test_no_commit_of_an_owner_changes_what_is_not_delegated() -> None:
    outcomes = Counter(outcome for seed in range(tries(100)) for outcome in attempt(seed))
    accepted = {action for outcome in outcomes for action in outcome.split(",")}
    assert {"create", "update", "rename", "delete", "not-delegated"} <= accepted, "the owners try too little"
