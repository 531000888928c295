"""The short way reads only what a change can touch, the long way everything: for any history both end in the same plan."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from effort import tries
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scenario import ConfigRepository, issuer, resource, team, user
from sqlalchemy import text

from reconciler.plan.guards import GUARDS, overridden
from reconciler.plan.plan import Plan
from reconciler.plan.render.document import plan_document
from reconciler.run import gather
from reconciler.run.errors import InvalidConfiguration
from reconciler.run.planning import plan_against
from reconciler.source.cache import open_cache
from reconciler.source.errors import SourceError
from reconciler.source.repository import Repository
from reconciler.store.apply import apply_plan
from reconciler.store.digests import drifted
from reconciler.store.engine import Connection, open_database
from reconciler.store.read import read_applied

START = datetime(2026, 6, 1, tzinfo=UTC)
LATE = "9999-01-01T00:00:00.000000Z"
NAMES = {
    kind: [f"{kind[0].lower()}{number}" for number in range(size)] for kind, size in (("User", 5), ("Team", 4), ("Issuer", 3))
}
UNTIL = ["2026-05-31", "2026-06-02", "2026-06-04T12:00:00Z", "2027-01-31"]
FILES = ["a.yaml", "b.yaml", "c/d.yaml", "c/e.yaml", "f.yml", "g.yaml", "h.yaml"]
DELEGATED: list[dict[str, Any]] = [
    {
        "path": "c",
        "kinds": ["Team", "User", "Issuer", "EmailTemplate"],
        "names": ["*"],
        "issuers": ["*"],
        "adGroups": ["*"],
        "administrator": True,
        "mayDecideFor": "everyone",
        "permittedIPs": ["0.0.0.0/0", "::/0"],
    }
]
"""A folder in which nearly everything may be declared, so that only some plans are refused."""
IPS = ["10.0.0.0/8", "10.1.0.0/16", "192.0.2.7", "2001:db8::/32", "0.0.0.0-255.255.255.255"]

Document = dict[str, Any]


class World:
    """The files of a config repository as lists of documents, and what people do to them."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self._draw = draw
        self.files: dict[str, list[Document]] = {name: [] for name in FILES}
        self.ignored: str | None = None
        self.notes = 0
        for kind, names in NAMES.items():
            for name in names[:-1]:
                self._add(self._new(kind, name))
        self._add(resource("EmailTemplate", "welcome", {"subject": "Hello", "text": "{{ password }}"}))
        for document in self._all("Team"):
            document["spec"]["members"] = [{"user": name} for name in NAMES["User"][:-1] if self.chance()]
            document["spec"]["issuers"] = [{"issuer": name} for name in NAMES["Issuer"][:-1] if self.chance()]
        for _ in range(self.pick([0, 1, 3])):  # most guards are off unless settings say otherwise
            self._settings()

    def pick(self, items: Sequence[Any]) -> Any:
        return self._draw(st.sampled_from(items))

    def chance(self) -> bool:
        return bool(self._draw(st.booleans()))

    def written(self) -> dict[str, str]:
        """The files as bytes to commit."""
        found = {
            name: "---\n".join(json.dumps(document) + "\n" for document in documents) for name, documents in self.files.items()
        }
        found["README.md"] = f"{self.notes}"
        if self.ignored is not None:
            found[".accordignore"] = self.ignored
        return {name: content for name, content in found.items() if content}

    def edit(self) -> None:
        """One thing that a pull request may do."""
        often = [self._change, self._link, self._delete, self._create, self._rename]
        seldom = [self._move, self._settings, self._ignore, self._comment, self._break]
        self.pick(often * 3 + seldom)()

    def _new(self, kind: str, name: str) -> Document:
        if kind == "User":
            return user(name, initialPassword=self.pick(["none", "generated"]))
        return team(name, administrator=self.chance()) if kind == "Team" else issuer(name)

    def _add(self, document: Document) -> None:
        self.files[self.pick(FILES)].append(document)

    def _all(self, *kinds: str) -> list[Document]:
        return [document for documents in self.files.values() for document in documents if document["kind"] in kinds]

    def _change(self) -> None:
        found = self._all("User", "Team", "Issuer", "EmailTemplate")
        if not found:
            return
        document = self.pick(found)
        spec, metadata = document["spec"], document["metadata"]
        labels: Any = self.pick([{"cost-centre": "42"}, {}])
        if self.pick([False, False, False, False, True]):
            metadata["labels"] = labels
            return
        kind = document["kind"]
        if kind in ("User", "Team", "Issuer") and self.pick([False, False, False, False, True]):
            metadata["certdogId"] = self.pick(["5f2b7c9d1e3a4b5c6d7e8f90", "5f2b7c9d1e3a4b5c6d7e8f91"])
            return
        if kind == "User" and self.pick([False, False, True]):
            metadata["identity"] = self.pick(["emp-1", "emp-2", spec["email"]])
            return
        if kind == "User":
            field, values = self.pick(
                [
                    ("email", ["new@example.org"]),
                    ("fullName", ["Alice Jones", "Bob"]),
                    ("type", ["person", "application"]),
                    ("enabled", [True, False]),
                    ("enabled", [True, False]),
                    ("initialPassword", ["none", "generated"]),
                    ("passwordChangeRequiredAfter", ["2026-06-01", "2026-07-01"]),
                    ("logins", [["Fred Bloggs"], ["FRED bloggs", "CORP\\fred"], [], *([name.upper()] for name in NAMES["User"])]),
                ]
            )
        elif kind == "Team":
            field, values = self.pick(
                [
                    ("description", ["", "new"]),
                    ("displayName", ["Same", "Other", *NAMES["Team"]]),
                    ("administrator", [True, False]),
                    ("adGroups", [[], ["PKI-Web"], ["pki-web", "Audit"], ["Audit"]]),
                    ("permittedIPs", [IPS[:1], IPS[1:3], IPS[:2], IPS[4:]]),
                    ("mayDecideFor", [[], "everyone", [NAMES["Team"][0]], [NAMES["Team"][-1]]]),
                    ("suppressIssuedEmails", [True, False]),
                    ("suppressReminderEmails", [True, False]),
                ]
            )
        elif kind == "Issuer":
            field, values = self.pick(
                [
                    ("enabled", [True, False]),
                    ("enabled", [True, False]),
                    ("displayName", ["Same", "Other"]),
                    ("description", ["x"]),
                ]
            )
        else:
            field, values = self.pick(
                [("subject", ["Hi", "{{"]), ("text", ["new {{ password }}\n"]), ("html", ["<p>{{ password }}"])]
            )
        spec[field] = self.pick(values)

    def _link(self) -> None:
        teams = self._all("Team")
        if not teams:
            return
        spec = self.pick(teams)["spec"]
        field, word, names = self.pick([("members", "user", NAMES["User"]), ("issuers", "issuer", NAMES["Issuer"])])
        existing = [document["metadata"]["name"] for document in self._all("User" if word == "user" else "Issuer")]
        name = self.pick(existing * 4 + names) if existing else self.pick(names)
        left = [item for item in spec.get(field, []) if item[word] != name]
        if len(left) == len(spec.get(field, [])) or self.chance():
            left.append({word: name, **({"until": self.pick(UNTIL)} if self.chance() else {})})
        spec[field] = left

    def _delete(self) -> None:
        found = self._all("User", "Team", "Issuer", "EmailTemplate", "Settings")
        if found:
            document = self.pick(found)
            for documents in self.files.values():
                if document in documents:
                    documents.remove(document)
            if self.pick([True, True, True, False]):
                self._replace_references(document["kind"], document["metadata"]["name"], None)

    def _create(self) -> None:
        kind = self.pick(list(NAMES))
        missing = [name for name in NAMES[kind] if name not in {document["metadata"]["name"] for document in self._all(kind)}]
        if missing:
            self._add(self._new(kind, self.pick(missing)))
        elif self.chance():
            self._add(self._new(kind, self.pick(NAMES[kind])))  # a second of that name

    def _rename(self) -> None:
        found = self._all("User", "Team", "Issuer")
        if not found:
            return
        document = self.pick(found)
        old, kind = document["metadata"]["name"], document["kind"]
        new = self.pick([*NAMES[kind], f"{old}x"])
        document["metadata"]["name"] = new
        document["metadata"]["previously"] = [old, *document["metadata"].get("previously", [])]
        if self.pick([True, True, True, False]):
            self._replace_references(kind, old, new)

    def _replace_references(self, kind: str, old: str, new: str | None) -> None:
        for document in self._all("Team"):
            spec = document["spec"]
            for field, word, of in (("members", "user", "User"), ("issuers", "issuer", "Issuer")):
                if kind == of:
                    spec[field] = [
                        {**item, word: new if item[word] == old else item[word]}
                        for item in spec.get(field, [])
                        if new is not None or item[word] != old
                    ]
            if kind == "Team" and isinstance(spec.get("mayDecideFor"), list):
                spec["mayDecideFor"] = [new if name == old else name for name in spec["mayDecideFor"] if new or name != old]

    def _move(self) -> None:
        source = self.pick(FILES)
        if self.files[source]:
            document = self.files[source].pop(self.pick(range(len(self.files[source]))))
            target = self.files[self.pick(FILES)]
            target.insert(self.pick(range(len(target) + 1)), document)

    def _settings(self) -> None:
        found = self._all("Settings")
        if not found:
            self._add(resource("Settings", "default", {}))
            found = self._all("Settings")
        section, values = self.pick(
            [
                ("guards", {"maxDeletions": "50%"}),
                ("guards", {"maxAdministrators": 1}),
                ("guards", {"requireAdministratorIPs": True}),
                ("guards", {"separationOfDuties": [[NAMES["Team"][0], NAMES["Team"][1]]]}),
                ("guards", {"separationOfDuties": [NAMES["Team"][1:]]}),
                ("guards", {"separationOfDuties": [[{"administrator": True}, {"issuer": NAMES["Issuer"][0]}, NAMES["Team"][0]]]}),
                ("guards", {"maxPeopleGaining": 1}),
                ("guards", {"refuseNewAdministrators": True}),
                ("passwords", {"minLength": 20}),
                ("delegation", DELEGATED),
                ("delegation", [{**DELEGATED[0], "administrator": False, "issuers": ["i0"]}]),
            ]
        )
        spec = self.pick(found)["spec"]
        spec[section] = values if section == "delegation" else {**spec.get(section, {}), **values}

    def _ignore(self) -> None:
        self.ignored = self.pick([None, "c/\n", "*.yml\n", "# nothing\n"])

    def _comment(self) -> None:
        self.notes += 1

    def _break(self) -> None:
        found = self._all("User", "Team", "Issuer")
        if found:
            document = self.pick(found)
            if not document["spec"].pop("surprise", None):
                document["spec"]["surprise"] = self.pick([True, False])


RUNTIME = (
    "INSERT INTO users (name, source, email) VALUES ('d0', 'directory', 'd0@example.org')",
    "INSERT INTO users (name, source, email) VALUES ('u4', 'directory', 'u4@example.org')",
    "INSERT INTO directory_memberships (team_id, user_id)"
    " SELECT teams.id, users.id FROM teams, users WHERE users.source = 'directory' AND teams.name IN ('t0', 't1')",
    *(
        "INSERT INTO directory_memberships (team_id, user_id, ad_group) SELECT teams.id, users.id, 'PKI-Web' FROM teams, users"
        f" WHERE users.name = 'd0' AND teams.ad_groups LIKE '%pki-web%' AND teams.name = 't{number}'"
        for number in (1, 2)
    ),
    "INSERT INTO account_states (user_id, disabled_by_administrator) SELECT id, 1 FROM users WHERE name = 'u0'",
    "INSERT INTO account_states (user_id, disabled_by_directory) SELECT id, 1 FROM users WHERE name = 'd0'",
    "INSERT INTO account_states (user_id, password_hash) SELECT id, '$argon2id$x' FROM users WHERE name = 'u1'",
    "UPDATE outbox SET sent_at = created_at",
    "INSERT INTO tokens (user_id, kind, accessor, sha256, created_at, expires_at)"
    f" SELECT id, 'session', 's' || id, 's' || id, '{LATE}', '{LATE}' FROM users",
    "INSERT INTO tokens (user_id, kind, accessor, sha256, created_at, expires_at)"
    f" SELECT id, 'token', 't' || id, 't' || id, '{LATE}', '{LATE}' FROM users WHERE name IN ('u0', 'u1')",
)
"""What runtime does between two applies; none of it is drift."""
BY_HAND = (
    "INSERT INTO users (name, email) VALUES ('u4', 'u4@example.org')",
    "INSERT INTO issuers (name) VALUES ('i2')",
    "INSERT INTO teams (name) VALUES ('t3')",
    "INSERT INTO memberships (team_id, user_id) SELECT teams.id, users.id FROM teams, users WHERE teams.name = 't3'",
    "INSERT INTO permissions (team_id, issuer_id) SELECT teams.id, issuers.id FROM teams, issuers WHERE teams.name = 't3'",
    "UPDATE teams SET administrator = 1 WHERE name = 't3'",
    "UPDATE teams SET permitted_ips = '[\"10.0.0.0/8\"]' WHERE name = 't3'",
    "UPDATE teams SET ad_groups = '[\"PKI-Web\"]' WHERE name = 't3'",
    "UPDATE memberships SET until = '2026-06-04T12:00:00.000000Z' WHERE team_id = (SELECT id FROM teams WHERE name = 't3')",
    "UPDATE teams SET description = 'by hand' WHERE name = 't0'",
    "DELETE FROM memberships WHERE team_id = (SELECT id FROM teams WHERE name = 't0')",
)
"""What a foreign hand does: rows that Git never declared, and drift."""


def attempt(statement: str, connection: Connection) -> None:
    """Write as somebody else; what the tables do not allow does not happen."""
    from sqlalchemy.exc import IntegrityError

    connection.execute(text("SAVEPOINT here"))
    try:
        connection.execute(text(statement))
    except IntegrityError:
        connection.execute(text("ROLLBACK TO here"))


def planned(connection: Connection, source: gather.Source, commit: str, now: datetime) -> tuple[Any, Plan | None]:
    """All that can be said of a plan, and the plan; or how it cannot be made."""
    revision = source.repository.resolve(commit)
    try:
        plan = plan_against(connection, source, revision, now=now, in_accord=not drifted(connection))
    except InvalidConfiguration as error:
        return error.problems, None
    except SourceError as error:
        return str(error), None
    return (plan_document(plan), plan), plan


def long_way(connection: Connection, source: gather.Source, commit: str, now: datetime) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gather, "read_alike", lambda *_: False)
        return planned(connection, source, commit, now)[0]


def apply(connection: Connection, plan: Plan, now: datetime) -> None:
    plan = plan._replace(guards=overridden(plan.guards, GUARDS))
    arguments = {"repository": "r", "branch": "main", "applied_by": "test", "overrides": [], "now": now}
    apply_plan(connection, plan, **arguments)  # type: ignore[arg-type]


def check_both_ways(folder: Path, template: Path, world: World, edits: Callable[[], int], by_hand: bool) -> int:
    """Commit, plan both ways, apply the plan; again and again. Says how often the short way was taken."""
    repository = ConfigRepository(folder / "config.git")
    source = gather.Source(Repository.open(str(repository.path), folder / "cache"), "", open_cache(folder / "cache"))
    shutil.copy(template, folder / "accord.db")
    short = 0
    statements = RUNTIME + BY_HAND if by_hand else RUNTIME
    with open_database(f"sqlite:///{folder}/accord.db") as database:
        for step in range(5):
            now = START + timedelta(days=step)
            before = deepcopy((world.files, world.ignored))
            for _ in range(edits() if step else 0):
                world.edit()
            commit = repository.commit(world.written(), whole=True)
            with database.writing() as connection, pytest.MonkeyPatch.context() as patch:
                for _ in range(edits()):
                    attempt(world.pick(statements), connection)
                taken: list[bool] = []
                changed = gather._gather_changed

                def noting(*arguments: Any, changed: Any = changed, taken: list[bool] = taken) -> Any:
                    found = changed(*arguments)
                    taken.append(found is not None)
                    return found

                patch.setattr(gather, "_gather_changed", noting)
                found, plan = planned(connection, source, commit, now)
                expected = long_way(connection, source, commit, now)
                assert found == expected
                short += any(taken)
                if plan is not None:
                    apply(connection, plan, now)
                    again, _ = planned(connection, source, commit, now)
                    assert again[1].is_empty
                else:
                    world.files, world.ignored = before
    return short


@pytest.mark.slow
@settings(max_examples=tries(15), suppress_health_check=list(HealthCheck))
@given(st.data())
def test_both_ways_end_in_the_same_plan(sqlite_template: Path, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        check_both_ways(Path(folder), sqlite_template, World(data.draw), lambda: data.draw(st.integers(0, 3)), by_hand=False)


@pytest.mark.slow
@settings(max_examples=tries(10), suppress_health_check=list(HealthCheck))
@given(st.data())
def test_both_ways_end_in_the_same_plan_after_edits_by_hand(sqlite_template: Path, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        check_both_ways(Path(folder), sqlite_template, World(data.draw), lambda: data.draw(st.integers(0, 3)), by_hand=True)


def both_ways(
    folder: Path, template: Path, first: dict[str, Any], by_hand: Sequence[str], then: dict[str, Any]
) -> tuple[Any, bool]:
    """What both ways find of a change after a first revision and what a hand wrote were applied; whether one was short."""
    repository = ConfigRepository(folder / "config.git")
    source = gather.Source(Repository.open(str(repository.path), folder / "cache"), "", open_cache(folder / "cache"))
    shutil.copy(template, folder / "accord.db")
    with open_database(f"sqlite:///{folder}/accord.db") as database, database.writing() as connection:
        for number, files in enumerate((first, {"README.md": "by hand, and applied over"})):
            _, plan = planned(connection, source, repository.commit(files), START)
            assert plan is not None
            apply(connection, plan, START)
            if number == 0:
                for statement in by_hand:
                    connection.execute(text(statement))
        commit = repository.commit(then)
        applied = read_applied(connection)
        found = planned(connection, source, commit, START)[0]
        assert found == long_way(connection, source, commit, START)
        assert applied is not None
        changed = source.repository.changed(applied.revision.commit, commit, "")
        return found, gather._gather_changed(connection, source, changed or [], START) is not None


WEB = {
    "users/a.yaml": user("a", initialPassword="none"),
    "issuers/i.yaml": issuer("i"),
    "teams/web.yaml": team("web", issuers=["i"]),
}


@pytest.mark.parametrize(
    ("statement", "then"),
    [
        (
            "INSERT INTO users (name, email) VALUES ('stranger', 's@example.org')",
            team("web", members=["stranger"], issuers=["i"]),
        ),
        ("INSERT INTO issuers (name) VALUES ('stray')", team("web", members=["a"], issuers=["i", "stray"])),
        ("INSERT INTO teams (name) VALUES ('gang')", team("web", issuers=["i"], mayDecideFor=["gang"])),
    ],
)
def test_neither_way_lets_a_team_refer_to_what_git_never_declared(
    tmp_path: Path, sqlite_template: Path, statement: str, then: dict[str, Any]
) -> None:
    problems, _ = both_ways(tmp_path, sqlite_template, WEB, [statement], {"teams/web.yaml": then})
    assert [problem.rule for problem in problems if problem.severity == "error"] == ["unknown-reference"]


@pytest.mark.parametrize("alias", ["Straße", "STRASSE", "ﬁne", "FINE", "Bob"])
def test_both_ways_know_a_directory_account_by_any_spelling(tmp_path: Path, sqlite_template: Path, alias: str) -> None:
    rows = ", ".join(f"('{name}', 'directory', 'x@example.org')" for name in ("straße", "ﬁne", "bob"))
    accounts = f"INSERT INTO users (name, source, email) VALUES {rows}"
    then = {"users/a.yaml": user("a", initialPassword="none", logins=[alias])}
    found, short = both_ways(tmp_path, sqlite_template, WEB, [accounts], then)
    assert [problem.rule for problem in found if problem.severity == "error"] == ["directory-account"]
    assert short


def test_both_ways_call_applications_whom_the_plan_affects(tmp_path: Path, sqlite_template: Path) -> None:
    programs = {f"users/{name}.yaml": user(name, type="application", initialPassword="none") for name in ("p", "q")}
    then = {"teams/web.yaml": team("web", members=["a", "p"], issuers=["i"])}
    (_, plan), short = both_ways(tmp_path, sqlite_template, {**WEB, **programs}, [], then)
    assert plan.applications == {"p"}
    assert short


def test_both_ways_know_that_another_team_binds_an_administrator(tmp_path: Path, sqlite_template: Path) -> None:
    office = team("office", members=["a"], permittedIPs=["10.0.0.0/8"])
    strict = resource("Settings", "default", {"guards": {"requireAdministratorIPs": True}})
    first = {**WEB, "teams/office.yaml": office, "teams/admins.yaml": team("admins", administrator=True, members=["a"])}
    for number, then in enumerate(
        ({"settings.yaml": strict}, {"settings.yaml": strict, "users/a.yaml": user("a", fullName="A")})
    ):
        (tmp_path / str(number)).mkdir()
        (_, plan), short = both_ways(tmp_path / str(number), sqlite_template, first, [], then)
        assert {guard.id: guard.verdict for guard in plan.guards}["administrators-permitted-ips"] == "pass"
        assert short


def test_both_ways_know_a_team_that_becomes_an_administrators(tmp_path: Path, sqlite_template: Path) -> None:
    office = team("office", members=["a"], permittedIPs=["10.0.0.0/8"])
    strict = resource("Settings", "default", {"guards": {"requireAdministratorIPs": True}})
    first = {**WEB, "teams/office.yaml": office, "teams/crew.yaml": team("crew", members=["a"]), "settings.yaml": strict}
    then = {"teams/crew.yaml": team("crew", members=["a"], administrator=True)}
    (_, plan), short = both_ways(tmp_path, sqlite_template, first, [], then)
    assert {guard.id: guard.verdict for guard in plan.guards}["administrators-permitted-ips"] == "pass"
    assert short


def through(account: str, where: str, group: str) -> str:
    """A statement that puts a directory account into a team through a group."""
    return (
        f"INSERT INTO directory_memberships (team_id, user_id, ad_group) SELECT teams.id, users.id, {group}"
        f" FROM teams, users WHERE users.name = '{account}' AND teams.name = '{where}'"
    )


IN_GROUPS = [
    "INSERT INTO users (name, source, email) VALUES ('ada', 'directory', 'a@x.org'), ('ben', 'directory', 'b@x.org')",
    *(through("ada", where, group) for where, group in (("web", "'G'"), ("lab", "'H'"))),
    *(through("ben", where, group) for where, group in (("web", "'G'"), ("site", "NULL"))),  # not known through which
]
GROUPED = {
    "users/a.yaml": user("a", initialPassword="none"),
    "teams/web.yaml": team("web", adGroups=["g"]),
    "teams/lab.yaml": team("lab", adGroups=["H"]),
    "teams/audit.yaml": team("audit", adGroups=["G"]),
    "teams/office.yaml": team("office", adGroups=["h"], permittedIPs=["10.0.0.0/8"]),
    "teams/site.yaml": team("site", adGroups=["K"], permittedIPs=["10.0.0.0/8"]),
    "teams/desk.yaml": team("desk", members=["a"], permittedIPs=["10.0.0.0/8"]),
}
ADMINS = team("admins", administrator=True, members=["a"], adGroups=["G"])


@pytest.mark.parametrize(
    ("limits", "guard", "who"),
    [
        ({"maxAdministrators": 1}, "administrators", set()),
        ({"requireAdministratorIPs": True}, "administrators-permitted-ips", {"g"}),  # other teams restrict who is known
        ({"separationOfDuties": [[{"administrator": True}, "audit"]]}, "separation-of-duties", {"ada", "ben", "g"}),
    ],
)
@pytest.mark.parametrize("late", [False, True], ids=["the group is new", "the directory was not read since"])
def test_both_ways_know_who_comes_through_an_ad_group(
    tmp_path: Path, sqlite_template: Path, limits: dict[str, Any], guard: str, who: set[str], late: bool
) -> None:
    first = {**GROUPED, "settings.yaml": resource("Settings", "default", {"guards": limits})}
    then = {"teams/admins.yaml": ADMINS}
    if late:
        first, then = {**first, **then}, {"users/a.yaml": user("a", initialPassword="none", fullName="A")}
    (_, plan), short = both_ways(tmp_path, sqlite_template, first, IN_GROUPS, then)
    result = {guard.id: guard for guard in plan.guards}[guard]
    assert result.verdict == ("pass" if late else "refuse")
    found = [each.objection for each in result.standing] if late else result.refused
    assert found
    assert {name for each in found for kind, name in each.subjects if kind in ("User", "AD group")} == who
    assert short
