"""Who may use what and why: now, at another instant, under a revision; and who brought each link of it in."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from scenario import ADMINISTRATORS, Accord, Clone, ConfigRepository, by_hand, issuer, team, user

from reconciler.cli.exits import ERROR, INVALID
from reconciler.cli.explanation import REASONS

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"])
PAST, FUTURE = "2026-01-31", "2099-01-31"
DECLARED: dict[str, Any] = {
    **ADMINISTRATORS,
    **{f"users/{name}.yaml": user(name, initialPassword="none") for name in ("alice", "bob", "carol", "erin", "frank")},
    "users/off.yaml": user("off", initialPassword="none", enabled=False),
    "issuers/tls.yaml": issuer("tls-public"),
    "issuers/vpn.yaml": issuer("vpn"),
    "issuers/off.yaml": issuer("retired", enabled=False),
    "teams/web.yaml": team(
        "web",
        members=["alice", "bob", "off", {"user": "erin", "until": PAST}],
        issuers=["tls-public", "retired", {"issuer": "vpn", "until": PAST}],
        permittedIPs=["10.20.0.0/16", "192.168.15.*"],
        adGroups=["PKI-Web"],
    ),
    "teams/cover.yaml": team(
        "cover",
        members=[{"user": "alice", "until": FUTURE, "reason": "parental leave"}],
        issuers=[{"issuer": "tls-public", "until": "2098-12-31T18:00:00Z"}],
    ),
    "teams/idle.yaml": team("idle", members=["carol"]),
}


OFFICE = ["10.20.0.0/16", "192.168.15.0/24"]


@pytest.fixture
def applied(accord: Accord, repository: ConfigRepository) -> Accord:
    repository.commit(DECLARED, "Who may use what")
    accord("apply", "--yes")
    by_hand(
        accord,
        "INSERT INTO users (name, email, source) VALUES ('dora', 'd@example.org', 'directory'), ('dirk', 'k@x.org', 'directory')",
        "INSERT INTO directory_memberships (team_id, user_id) SELECT teams.id, users.id FROM teams, users"
        " WHERE teams.name = 'web' AND users.source = 'directory'",
        "INSERT INTO account_states (user_id, disabled_by_directory) SELECT id, true FROM users WHERE name = 'dirk'",
        "INSERT INTO account_states (user_id, disabled_by_administrator) SELECT id, true FROM users WHERE name = 'bob'",
    )
    return accord


def rows(accord: Accord, *arguments: str) -> list[tuple[str, str]]:
    return [(entry["user"], entry["issuer"]) for entry in accord.json("access", *arguments)]


def test_access_is_what_is_open_now(applied: Accord) -> None:
    assert applied.json("access") == [
        {"user": "alice", "issuer": "tls-public", "through": ["cover", "web"], "until": None, "from": OFFICE, "later": []},
        {"user": "dora", "issuer": "tls-public", "through": ["web"], "until": None, "from": OFFICE, "later": []},
    ]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--user", "alice"), [("alice", "tls-public")]),
        (("--user", "dora"), [("dora", "tls-public")]),
        (("--user", "bob"), []),
        (("--issuer", "tls-public"), [("alice", "tls-public"), ("dora", "tls-public")]),
        (("--issuer", "retired"), []),
        (("--team", "cover"), [("alice", "tls-public")]),
        (("--team", "idle"), []),
        (("--user", "alice", "--issuer", "vpn"), []),
        (("--user", "alice", "--team", "web"), [("alice", "tls-public")]),
        (("--at", "2100-01-01"), [("alice", "tls-public"), ("dora", "tls-public")]),
    ],
)
def test_access_can_be_filtered(applied: Accord, arguments: tuple[str, ...], expected: list[Any]) -> None:
    assert rows(applied, *arguments) == expected


def test_access_at_a_future_instant_leaves_out_what_will_have_ended(applied: Accord) -> None:
    [before] = applied.json("access", "--user", "alice", "--team", "cover", "--at", "2098-06-01")
    assert before["through"] == ["cover", "web"]
    [after] = applied.json("access", "--user", "alice", "--at", "2099-01-01")
    assert after["through"] == ["web"]
    assert applied.json("access", "--team", "cover", "--at", "2098-12-31T18:00:00Z") == []


def test_what_holds_until_a_day_holds_on_that_day(accord: Accord, repository: ConfigRepository) -> None:
    cover = team("cover", members=[{"user": "alice", "until": "2098-06-30"}], issuers=["tls-public"])
    repository.commit({**DECLARED, "teams/web.yaml": team("web"), "teams/cover.yaml": cover}, "Cover")
    accord("apply", "--yes")
    for day, holds in (("2098-06-30", True), ("2098-07-01", False)):
        assert (rows(accord, "--at", day) == [("alice", "tls-public")]) == holds
        assert accord.json("explain", "alice", "tls-public", "--at", day)["allow"] == holds


def test_access_as_a_table(applied: Accord) -> None:
    lines = applied("access").output.splitlines()
    assert lines[0].split() == ["user", "issuer", "through", "until", "from"]
    assert lines[1] == "alice  tls-public  cover, web         10.20.0.0/16, 192.168.15.0/24"
    assert lines[3].startswith("2 accounts, 2 permissions, as of 2")
    assert "under revision " in lines[4] and '"Who may use what" by Alice Jones' in lines[4]


@pytest.mark.parametrize("command", [("access",), ("explain", "alice", "tls-public")])
def test_before_the_first_apply_nothing_was_in_force(applied: Accord, command: tuple[str, ...]) -> None:
    assert "no revision had been applied at that instant" in applied(*command, "--at", "2020-01-01", code=ERROR).stderr


def test_an_empty_database_has_no_access_and_needs_no_repository(accord: Accord, repository: ConfigRepository) -> None:
    assert accord.json("access") == []
    assert accord("access", ACCORD_REPOSITORY="/nonexistent").output.splitlines()[0] == "user  issuer  through  until  from"
    assert "there is no user `alice`" in accord("access", "--user", "alice", code=ERROR).stderr


class History:
    """Three revisions: alice and the issuer; bob joins; alice leaves. What was in force between them can be asked for."""

    def __init__(self, accord: Accord, repository: ConfigRepository) -> None:
        basis = {key: value for key, value in DECLARED.items() if key.startswith(("users/", "issuers/"))}
        self.commits, self.moments = [], []
        for members in (["alice"], ["alice", "bob"], ["bob"]):
            web = team("web", members=members, issuers=["tls-public"])
            self.commits.append(repository.commit({**ADMINISTRATORS, **basis, "teams/web.yaml": web}))
            accord("apply", "--yes")
            self.moments.append(accord.json("history")[0]["appliedAt"])


def test_access_as_it_stood_under_each_applied_revision(accord: Accord, repository: ConfigRepository) -> None:
    history = History(accord, repository)
    expected = [[("alice", "tls-public")], [("alice", "tls-public"), ("bob", "tls-public")], [("bob", "tls-public")]]
    for commit, moment, access in zip(history.commits, history.moments, expected, strict=True):
        assert rows(accord, "--revision", commit) == access
        assert rows(accord, "--revision", commit[:8].upper()) == access
        assert rows(accord, "--at", moment) == access
    assert rows(accord) == expected[-1]
    text = accord("access", "--at", history.moments[0]).output
    assert "as Git declared it" in text
    assert f"under revision {history.commits[0][:12]}" in text
    assert "no record of directory accounts or of accounts disabled by hand" in text
    assert "as of 2" in accord("access", "--revision", history.commits[2]).output


def test_a_past_instant_takes_accounts_as_git_declared_them(accord: Accord, repository: ConfigRepository) -> None:
    history = History(accord, repository)
    by_hand(
        accord, "INSERT INTO account_states (user_id, disabled_by_administrator) SELECT id, true FROM users WHERE name = 'bob'"
    )
    assert rows(accord) == []
    assert rows(accord, "--at", history.moments[2]) == [("bob", "tls-public")]


@pytest.mark.parametrize("revision", ["feedfacefeed", "HEAD", "main", "zz", "%", "_____"])
def test_a_revision_that_was_never_applied_is_unknown(applied: Accord, revision: str) -> None:
    for command in (("access", "--revision", revision), ("show", revision), ("explain", "alice", "vpn", "--revision", revision)):
        assert f"revision `{revision}` was never applied" in applied(*command, code=ERROR).stderr


def test_an_ambiguous_revision_prefix_names_none(accord: Accord, repository: ConfigRepository) -> None:
    history = History(accord, repository)
    by_hand(accord, "UPDATE revisions SET commit_sha = 'abcdef' || substr(commit_sha, 7) WHERE id < 3")
    error = accord("show", "abcdef", code=ERROR).stderr
    assert "`abcdef` is too short" in error
    assert f"abcdef{history.commits[0][6:]}" in error
    assert "is too short" in accord("access", "--revision", history.commits[2][:3], code=ERROR).stderr


def test_a_revision_missing_from_the_repository_is_reported(accord: Accord, repository: ConfigRepository, tmp_path: Path) -> None:
    history = History(accord, repository)
    other = ConfigRepository(tmp_path / "other.git")
    other.commit(ADMINISTRATORS)
    accord.environment["ACCORD_REPOSITORY"] = str(other.path)
    for command in (("access", "--revision", history.commits[0]), ("access", "--at", history.moments[0])):
        assert f"{history.commits[0][:12]} is not in this repository" in accord(*command, code=ERROR).stderr
    by_hand(accord, "UPDATE issuers SET enabled = false WHERE name = 'vpn'")
    assert f"{history.commits[2][:12]} is not in this repository" in accord("drift", code=ERROR).stderr
    assert rows(accord) == [("bob", "tls-public")]  # the present needs no repository


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("access", "--user", "alcie"), "there is no user `alcie`; did you mean `alice`?"),
        (("access", "--issuer", "tls-pubilc"), "there is no issuer `tls-pubilc`; did you mean `tls-public`?"),
        (("access", "--team", "wbe"), "there is no team `wbe`; did you mean `web`?"),
        (("access", "--user", "DORA"), "did you mean `dora`?"),
        (("access", "--user", "x" * 10_000), "there is no user"),
        (("explain", "alcie", "tls-public"), "there is no user `alcie`; did you mean `alice`?"),
        (("explain", "alice", "tls-pubilc"), "there is no issuer `tls-pubilc`; did you mean `tls-public`?"),
        (("explain", "alice", "vpn", "--address", "10.0.0"), "`10.0.0` is not an IP address"),
        (("access", "--at", "yesterday"), "`yesterday` is not an instant"),
        (("access", "--at", "2026-02-30"), "`2026-02-30` is not on the calendar"),
    ],
)
def test_what_does_not_exist_is_answered_with_the_nearest_name(applied: Accord, arguments: tuple[str, ...], words: str) -> None:
    assert words in applied(*arguments, code=ERROR).stderr


# explain


@pytest.mark.parametrize(
    ("arguments", "allow", "reason"),
    [
        (("alice", "tls-public"), True, "permitted"),
        (("alice", "tls-public", "--address", "10.20.1.7"), True, "permitted"),
        (("alice", "tls-public", "--address", "::ffff:10.20.1.7"), True, "permitted"),
        (("alice", "tls-public", "--address", "192.0.2.1"), False, "address-not-permitted"),
        (("alice", "tls-public", "--address", "127.0.0.1"), False, "address-not-permitted"),
        (("dora", "tls-public"), True, "permitted"),
        (("off", "tls-public"), False, "account-disabled"),
        (("bob", "tls-public"), False, "account-disabled"),
        (("dirk", "tls-public"), False, "account-disabled"),
        (("alice", "retired"), False, "issuer-disabled"),
        (("frank", "tls-public"), False, "no-team"),
        (("carol", "tls-public"), False, "no-permission"),
        (("erin", "tls-public"), False, "membership-ended"),
        (("alice", "vpn"), False, "permission-ended"),
        (("alice", "vpn", "--address", "192.0.2.1"), False, "permission-ended"),
    ],
)
def test_every_reason_is_explained(applied: Accord, arguments: tuple[str, ...], allow: bool, reason: str) -> None:
    document = applied.json("explain", *arguments)
    assert (document["allow"], document["reason"]) == (allow, reason)
    assert bool(document["missing"]) is not allow
    verdict = applied("explain", *arguments).output.splitlines()[0]
    assert verdict.startswith(f"{arguments[0]} {'may use' if allow else 'may not use'} {arguments[1]}")
    assert allow or verdict.endswith(f": {REASONS[reason]}")


@pytest.mark.parametrize(
    ("arguments", "missing"),
    [
        (("off", "tls-public"), ["off is disabled: set `enabled: true` in users/off.yaml"]),
        (("bob", "tls-public"), ["bob is disabled: an administrator or its directory did this and must undo it"]),
        (("alice", "retired"), ["the issuer is disabled: set `enabled: true` in issuers/off.yaml"]),
        (
            ("off", "retired"),
            [
                "off is disabled: set `enabled: true` in users/off.yaml",
                "the issuer is disabled: set `enabled: true` in issuers/off.yaml",
            ],
        ),
        (
            ("frank", "tls-public"),
            [
                "frank is not in a team that may use tls-public; frank is in no team",
                "make frank a member of a team that may use it: cover in teams/cover.yaml, web in teams/web.yaml",
            ],
        ),
        (
            ("carol", "tls-public"),
            [
                "carol is not in a team that may use tls-public; carol is in idle",
                "make carol a member of a team that may use it: cover in teams/cover.yaml, web in teams/web.yaml",
                "or add tls-public to the issuers of one of carol's teams: idle in teams/idle.yaml",
            ],
        ),
        (("erin", "tls-public"), ["web: extend `until` in teams/web.yaml"]),
        (
            ("alice", "tls-public", "--address", "192.0.2.1"),
            ["no permitted IP of alice's teams (web) covers the address"],
        ),
    ],
)
def test_a_denial_says_what_is_missing_and_in_which_file(applied: Accord, arguments: tuple[str, ...], missing: list[str]) -> None:
    assert applied.json("explain", *arguments)["missing"] == missing
    assert all(sentence in applied("explain", *arguments).output for sentence in missing)


def test_every_path_is_shown_with_its_links(applied: Accord, repository: ConfigRepository) -> None:
    document = applied.json("explain", "alice", "tls-public", "--address", "192.168.15.9")
    assert (document["through"], document["until"], document["rule"]) == ("web", None, "192.168.15.*")
    assert [(way["team"], way["holds"]) for way in document["ways"]] == [("cover", True), ("web", True)]
    assert [(link["what"], link["words"], link["until"]) for link in document["ways"][0]["links"]] == [
        ("membership", "alice is in cover (parental leave)", "2099-02-01T00:00:00Z"),
        ("permission", "cover may use tls-public", "2098-12-31T18:00:00Z"),
    ]
    assert [(link["words"], link["holds"]) for link in document["permittedIPs"]] == [
        ("10.20.0.0/16 of team web", False),
        ("192.168.15.* of team web", True),
    ]
    assert document["revision"]["commit"] == repository.head()
    text = applied("explain", "alice", "tls-public").output
    assert "Way 1, through cover" in text
    assert "use --address to check one" in text
    assert "No permitted IPs: the account may call from anywhere" in applied("explain", "carol", "vpn").output


def test_an_account_of_a_directory_is_in_a_team_through_its_groups(applied: Accord) -> None:
    document = applied.json("explain", "dora", "tls-public")
    assert document["subjects"][0]["words"] == "directory account dora is enabled"
    assert document["subjects"][0]["declared"] is None
    [way] = document["ways"]
    assert way["links"][0]["words"] == "dora is in web through its AD groups (PKI-Web)"
    assert way["links"][0]["declared"]["file"] == "teams/web.yaml"
    assert applied.json("explain", "dirk", "tls-public")["subjects"][0]["words"] == "directory account dirk is disabled"


def test_the_past_and_the_future_are_explained(accord: Accord, repository: ConfigRepository) -> None:
    history = History(accord, repository)
    assert not accord.json("explain", "alice", "tls-public")["allow"]
    past = accord.json("explain", "alice", "tls-public", "--revision", history.commits[0])
    assert past["allow"]
    assert past["revision"]["commit"] == history.commits[0]
    assert past["ways"][0]["links"][0]["declared"]["revision"]["commit"] == history.commits[0]
    assert accord.json("explain", "alice", "tls-public", "--at", history.moments[1])["allow"]
    assert "as of 2" in accord("explain", "alice", "tls-public", "--at", history.moments[1]).output
    assert accord.json("explain", "bob", "tls-public", "--at", "2099-01-01")["allow"]


# who brought it in


class People:
    """A clone in which several people write."""

    def __init__(self, repository: ConfigRepository, folder: Path) -> None:
        self.clone = Clone(repository, folder)
        self.clone.git("config", "user.useConfigOnly", "false")

    def commit(self, author: str, files: dict[str, str | None]) -> str:
        for name, content in files.items():
            place = self.clone.folder / name
            if content is None:
                place.unlink()
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(content)
        self.clone.git("add", "-A")
        self.clone.git("commit", "-q", "-m", f"By {author}", "--author", f"{author} <{author}@example.org>")
        self.clone.git("push", "-q", "origin", "HEAD:main")
        return self.clone.git("rev-parse", "HEAD").strip()


WEB = "apiVersion: accord/v1\nkind: Team\nmetadata:\n  name: web\nspec:\n  members:\n    - bob\n  issuers:\n    - tls\n"
BASIS: dict[str, str | None] = {
    **ADMINISTRATORS,
    **{
        f"users/{name}.yaml": f"apiVersion: accord/v1\nkind: User\nmetadata:\n  name: {name}\n"
        f"spec:\n  email: {name}@example.org\n  initialPassword: none\n"
        for name in ("alice", "bob")
    },
    "issuers/tls.yaml": "apiVersion: accord/v1\nkind: Issuer\nmetadata:\n  name: tls\nspec:\n  enabled: true\n",
    "teams/web.yaml": WEB,
}


def links(accord: Accord, user_name: str = "alice") -> dict[str, tuple[str, str]]:
    """What -> file and line, and author."""
    document = accord.json("explain", user_name, "tls")
    found = [*document["subjects"], *(link for way in document["ways"] for link in way["links"]), *document["permittedIPs"]]
    return {
        link["what"]: (f"{link['declared']['file']}:{link['declared']['line']}", link["declared"]["revision"]["author"])
        for link in found
        if link["declared"] is not None
    }


def test_each_link_names_its_line_and_author(accord: Accord, repository: ConfigRepository, tmp_path: Path) -> None:
    people = People(repository, tmp_path / "clone")
    people.commit("anna", BASIS)
    joined = WEB.replace("    - bob\n", "    - bob\n    - user: alice\n      until: 2099-01-31\n")
    people.commit("ben", {"teams/web.yaml": joined})
    people.commit("cleo", {"teams/web.yaml": "# The web people\n" + joined + "  permittedIPs:\n    - 10.0.0.0/8\n"})
    people.commit("dan", {"issuers/tls.yaml": (BASIS["issuers/tls.yaml"] or "").replace("true", "false")})
    accord("apply", "--yes")
    assert links(accord) == {
        "account": ("users/alice.yaml:4", "anna"),
        "issuer": ("issuers/tls.yaml:6", "dan"),
        "membership": ("teams/web.yaml:9", "ben"),
        "permission": ("teams/web.yaml:12", "anna"),
        "permitted-ip": ("teams/web.yaml:14", "cleo"),
    }
    text = accord("explain", "alice", "tls").output
    assert "teams/web.yaml:9, " in text
    assert '"By ben" by ben, ' in text


def test_a_file_that_moved_keeps_its_authors(accord: Accord, repository: ConfigRepository, tmp_path: Path) -> None:
    people = People(repository, tmp_path / "clone")
    people.commit("anna", BASIS)
    people.commit("ben", {"teams/web.yaml": None, "groups/internet.yaml": WEB})
    accord("apply", "--yes")
    assert links(accord, "bob")["membership"] == ("groups/internet.yaml:7", "anna")


def test_a_document_among_others_is_found(accord: Accord, repository: ConfigRepository, tmp_path: Path) -> None:
    people = People(repository, tmp_path / "clone")
    other = WEB.replace("name: web", "name: other")
    people.commit("anna", {**BASIS, "teams/web.yaml": other})
    people.commit("ben", {"teams/web.yaml": f"{other}---\n{WEB}---\n{other.replace('other', 'third')}"})
    accord("apply", "--yes")
    ways = accord.json("explain", "bob", "tls")["ways"]
    assert {way["team"]: way["links"][0]["declared"]["line"] for way in ways} == {"other": 7, "web": 17, "third": 27}
    assert {way["team"]: way["links"][0]["declared"]["revision"]["author"] for way in ways} == {
        "other": "anna",
        "web": "ben",
        "third": "ben",
    }


def test_a_shallow_clone_names_no_wrong_author(accord: Accord, repository: ConfigRepository, tmp_path: Path) -> None:
    people = People(repository, tmp_path / "clone")
    people.commit("anna", BASIS)
    people.commit("ben", {"teams/web.yaml": WEB.replace("    - bob\n", "    - bob\n    - alice\n")})
    accord("apply", "--yes")
    assert links(accord)["permission"][1] == "anna"
    shallow = tmp_path / "shallow"
    subprocess.run(["git", "clone", "-q", "--depth=1", f"file://{repository.path}", str(shallow)], check=True)
    accord.environment["ACCORD_REPOSITORY"] = str(shallow)
    assert all(author != "ben" for _, author in links(accord).values())
    assert accord.json("explain", "alice", "tls")["allow"]


def test_without_the_repository_the_explanation_names_no_lines(
    accord: Accord, repository: ConfigRepository, tmp_path: Path
) -> None:
    people = People(repository, tmp_path / "clone")
    people.commit("anna", BASIS)
    accord("apply", "--yes")
    accord.environment["ACCORD_REPOSITORY"] = str(tmp_path / "nowhere")
    assert accord.json("explain", "bob", "tls")["allow"]
    assert links(accord, "bob") == {}
    assert "teams/web.yaml" in accord("explain", "alice", "tls").output  # which the database knows


def test_resources_in_a_folder_are_named_from_the_root(accord: Accord, repository: ConfigRepository, tmp_path: Path) -> None:
    people = People(repository, tmp_path / "clone")
    people.commit("anna", {f"live/{name}": content for name, content in BASIS.items()})
    accord.environment["ACCORD_PATH"] = "live"
    accord("apply", "--yes")
    del accord.environment["ACCORD_PATH"]
    assert links(accord, "bob")["membership"] == ("live/teams/web.yaml:7", "anna")
    assert rows(accord, "--revision", repository.head()) == [("bob", "tls")]


def test_a_past_revision_that_the_rules_no_longer_admit_is_invalid(
    accord: Accord, repository: ConfigRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = History(accord, repository)
    repository.commit({"users/bad.yaml": user("bad", surprise=1)})
    by_hand(accord, f"UPDATE revisions SET commit_sha = '{repository.head()}' WHERE commit_sha = '{history.commits[0]}'")
    assert "the config repository has errors" in accord("access", "--revision", repository.head(), code=INVALID).stderr
