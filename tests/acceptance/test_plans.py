"""Plans: between two revisions or against a database, refused or overridden."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from desk import Desk
from scenario import ADMINISTRATORS, Accord, Clone, ConfigRepository, by_hand, everything, issuer, resource, team, user

from reconciler.cli.exits import CHANGES, ERROR, INVALID, NO_BASE, STALE, UNREACHABLE, UNSAFE
from reconciler.plan.guards import GUARDS

SQLITE = pytest.mark.parametrize("database_kind", ["sqlite"])
DECLARED: dict[str, Any] = {
    **ADMINISTRATORS,
    **{f"users/{name}.yaml": user(name, initialPassword="none") for name in ("alice", "bob", "carol")},
    "issuers/tls.yaml": issuer("tls"),
    "issuers/vpn.yaml": issuer("vpn"),
    "teams/web.yaml": team("web", members=["alice", "bob"], issuers=["tls"]),
}


# Two revisions, no database


@pytest.fixture
def no_database(repository: ConfigRepository, tmp_path: Path) -> Accord:
    return Accord(repository.path, "postgresql://accord:hunter2@127.0.0.1:1/nowhere", tmp_path / "cache")


def test_two_revisions_are_compared_without_any_database(repository: ConfigRepository, no_database: Accord) -> None:
    first = repository.commit(DECLARED)
    second = repository.commit({"teams/web.yaml": team("web", members=["alice", "carol"], issuers=["tls"])})
    document = no_database.json("plan", "--against", first, "--rev", second)
    assert [(item["action"], item["name"]) for item in document["changes"]] == [("update", "web")]
    assert [item["user"] for item in document["access"]["gained"]] == ["carol"]
    assert [item["user"] for item in document["access"]["lost"]] == ["bob"]
    assert document["applied"]["commit"] == first
    assert no_database("plan", "--against", second, "--detailed-exitcode").output.count("No changes") == 1
    no_database("plan", "--against", first, "--detailed-exitcode", code=CHANGES)
    for option in (("--out", "plan.json"), ("--adopt",), ("--allow-rewind",)):
        assert "--against does not use one" in no_database("plan", "--against", first, *option, code=ERROR).stderr
    back = no_database.json("plan", "--against", second, "--rev", first)  # either way round: nothing is applied
    assert [item["user"] for item in back["access"]["gained"]] == ["bob"]
    no_database("plan", code=UNREACHABLE)


def test_a_fork_is_compared_with_the_branch_it_comes_from(
    repository: ConfigRepository, no_database: Accord, tmp_path: Path
) -> None:
    repository.commit(DECLARED)
    clone = Clone(repository, tmp_path / "clone")
    clone.git("checkout", "-q", "-b", "feature")
    (clone.folder / "teams/web.yaml").write_text(json.dumps(team("web", members=["alice"], issuers=["tls", "vpn"])))
    clone.git("commit", "-qam", "VPN for alice")
    no_database.environment["ACCORD_REPOSITORY"] = str(clone.folder)
    text = no_database("plan", "--against", "origin/main", "--rev", "HEAD").output
    assert "alice gains vpn through web" in text
    assert "bob loses tls through web" in text


def test_guards_judge_a_comparison_too(repository: ConfigRepository, no_database: Accord) -> None:
    first = repository.commit(DECLARED)
    repository.commit(
        {"teams/admins.yaml": team("admins", administrator=True, members=[{"user": "root", "until": "2026-01-01"}])}
    )
    result = no_database("plan", "--against", first, code=UNSAFE)
    assert "✗ last-administrator" in result.output
    assert "until-past" in result.output


def test_a_base_that_is_invalid_is_told_apart_from_the_revision_that_repairs_it(
    repository: ConfigRepository, no_database: Accord
) -> None:
    repository.commit(DECLARED)
    base = repository.commit({"teams/broken.yaml": team("broken", members=["nobody"])})
    repair = repository.commit({"teams/broken.yaml": None})
    no_database("validate", "--rev", repair)
    result = no_database("plan", "--against", base, "--rev", repair, "--format", "markdown", code=NO_BASE)
    assert result.stdout.startswith("### ⚠️ Accord plan: nothing to compare with\n") and "revision is invalid" not in result.stdout
    assert f"The base `{base[:12]}` is invalid. This revision has no errors" in result.stdout
    for output in (result.stdout, result.stderr):
        assert f"{base[:12]}:teams/broken.yaml:" in output and "unknown user `nobody`" in output.replace("``", "`")
    assert f"the base {base[:12]} is invalid, so there is nothing to compare with" in result.stderr
    worse = repository.commit({"teams/other.yaml": team("other", members=["alcie"])})
    result = no_database("plan", "--against", base, "--rev", worse, "--format", "markdown", code=INVALID)
    assert "this revision is invalid" in result.stdout and "broken.yaml" not in result.stderr


def test_a_comparison_of_invalid_files_lists_every_problem(repository: ConfigRepository, no_database: Accord) -> None:
    first = repository.commit(DECLARED)
    repository.commit({"teams/web.yaml": team("web", members=["alcie", "bob", "bob"]), "users/x.yaml": "a: ["})
    result = no_database("plan", "--against", first, code=INVALID)
    assert "unknown user `alcie`; did you mean `alice`?" in result.stderr
    assert "[listed-twice]" in result.stderr
    assert "users/x.yaml:" in result.stderr
    assert result.stderr.endswith("the config repository has errors: 3 errors, 3 warnings\n")
    assert result.stdout == ""


# Against a database


@SQLITE
def test_a_plan_writes_nothing(accord: Accord, repository: ConfigRepository) -> None:
    repository.commit(DECLARED)
    before = everything(accord)
    accord("plan")
    assert everything(accord) == before


@SQLITE
def test_planning_does_not_create_a_missing_database(accord: Accord, repository: ConfigRepository, tmp_path: Path) -> None:
    repository.commit(DECLARED)
    accord.environment["ACCORD_DATABASE_URL"] = f"sqlite:///{tmp_path}/new.db"
    assert "applied   nothing yet" in accord("plan").output
    assert not (tmp_path / "new.db").exists()


@SQLITE
def test_both_commands_refuse_what_does_not_descend_unless_going_back_is_meant(
    accord: Accord, repository: ConfigRepository, tmp_path: Path
) -> None:
    first = repository.commit(DECLARED)
    second = repository.commit({"users/dora.yaml": user("dora", initialPassword="none")})
    accord("apply", "--yes")
    before = everything(accord)
    assert "does not descend from the applied revision" in accord("apply", "--yes", "--rev", first, code=UNSAFE).stderr
    other = ConfigRepository(tmp_path / "other.git")
    other.commit(DECLARED, "Another history")
    for command in (("plan",), ("apply", "--yes")):
        error = accord(*command, "--repository", str(other.path), code=UNSAFE).stderr
        assert f"{second[:12]} is not in this repository" in error
        assert "--allow-rewind" in error
    assert everything(accord) == before
    assert [item["name"] for item in accord.json("plan", "--rev", first, "--allow-rewind")["changes"]] == ["dora"]
    allowed = ("--rev", first, "--allow-rewind")
    assert accord.json("plan", *allowed)["rewind"] is True
    assert "\n  rewind    this revision does not descend" in accord("plan", *allowed).output
    assert "**Rewind**: this revision does not descend" in accord("plan", *allowed, "--format", "markdown").output
    assert accord.json("plan", "--rev", repository.head(), "--allow-rewind")["rewind"] is False  # permitted, and none
    accord("apply", "--yes", *allowed)
    [entry] = [entry for entry in accord.json("audit", "list") if entry["action"] == "revision.apply"][-1:]
    assert entry["detail"]["rewind"] is True
    assert accord.json("history")[0]["commit"] == first
    accord("apply", "--yes")  # and on again


@SQLITE
def test_a_shallow_clone_that_cannot_tell_says_so(accord: Accord, repository: ConfigRepository, tmp_path: Path) -> None:
    repository.commit(DECLARED)
    accord("apply", "--yes")
    repository.commit({"users/dora.yaml": user("dora", initialPassword="none")})
    shallow = tmp_path / "shallow"
    subprocess.run(["git", "clone", "-q", "--depth=1", f"file://{repository.path}", str(shallow)], check=True)
    assert "a shallow clone: fetch the whole history" in accord("plan", "--repository", str(shallow), code=UNSAFE).stderr


@SQLITE
def test_only_the_named_folder_is_read(accord: Accord, repository: ConfigRepository) -> None:
    elsewhere = {f"live/{name}": content for name, content in DECLARED.items()}
    repository.commit({**elsewhere, "broken.yaml": "a: [", "live/.accordignore": "notes/\n", "live/notes/n.yaml": "- a\n"})
    accord("plan", code=INVALID)
    for path in ("live", "/live/", "live/"):
        assert len(accord.json("plan", "--path", path)["changes"]) == 8
    accord("apply", "--yes", "--path", "live")
    repository.commit({"broken.yaml": "a: {"})
    assert accord.json("plan", "--path", "live")["changes"] == []
    repository.commit({"live/users/alice.yaml": user("alice", fullName="Alice")})
    assert [item["source"] for item in accord.json("plan", "--path", "live")["changes"]] == ["live/users/alice.yaml:1"]
    for path in ("../live", "live/../.."):
        assert "leads out of the config repository" in accord("plan", "--path", path, code=ERROR).stderr
    assert "there is no folder `lief`" in accord("plan", "--path", "lief", code=ERROR).stderr


@SQLITE
def test_a_folder_that_vanishes_empties_nothing_unasked(accord: Accord, repository: ConfigRepository) -> None:
    repository.commit({f"live/{name}": content for name, content in DECLARED.items()})
    accord("apply", "--yes", "--path", "live")
    before = everything(accord)
    repository.commit(DECLARED, whole=True)
    overrides = [word for guard in GUARDS for word in ("--override", guard)]
    assert "there is no folder `live`" in accord("plan", "--path", "live", code=ERROR).stderr
    assert (
        "there is no folder `live`" in accord("apply", "--yes", "--path", "live", *overrides, "--reason", "x", code=ERROR).stderr
    )
    assert everything(accord) == before
    assert accord.json("plan")["changes"] == []  # the same resources, in the repository's root


@SQLITE
def test_a_repository_at_a_url_is_mirrored(accord: Accord, repository: ConfigRepository) -> None:
    first = repository.commit(DECLARED)
    accord.environment["ACCORD_REPOSITORY"] = f"file://{repository.path}"
    accord("apply", "--yes")
    second = repository.commit({"users/dora.yaml": user("dora", initialPassword="none")})
    assert [item["name"] for item in accord.json("plan")["changes"]] == ["dora"]
    accord("apply", "--yes")
    assert [entry["commit"] for entry in accord.json("history")] == [second, first]
    assert accord.json("history")[0]["repository"] == f"file://{repository.path}"
    assert accord.json("explain", "alice", "tls")["subjects"][0]["declared"]["revision"]["commit"] == first


@SQLITE
@pytest.mark.parametrize(
    ("rev", "words"),
    [
        ("mian", "did you mean `main`?"),
        ("feedface", "there is no revision `feedface`"),
        ("-x", "is not a revision"),
        ("main..x", "is not a revision"),
    ],
)
def test_a_missing_revision_is_answered_with_the_nearest(
    accord: Accord, repository: ConfigRepository, rev: str, words: str
) -> None:
    repository.commit(DECLARED)
    for command in (("plan", f"--rev={rev}"), ("apply", "--yes", f"--rev={rev}"), ("validate", f"--rev={rev}")):
        assert words in accord(*command, code=ERROR).stderr
    assert "did you mean `main`?" in accord("plan", "--branch", "mian", code=ERROR).stderr
    assert "did you mean `main`?" in accord("plan", "--against", "mian", code=ERROR).stderr


@SQLITE
def test_an_invalid_configuration_lists_every_problem_and_changes_nothing(accord: Accord, repository: ConfigRepository) -> None:
    repository.commit({
        **DECLARED,
        "teams/web.yaml": team("web", members=["alcie"], issuers=["tls", {"issuer": "vpn", "until": "2026-02-30"}]),
        "teams/more.yaml": team("more", members=["nobody"], colour="red"),
        "users/alice2.yaml": user("alice"),
    })  # fmt: skip
    before = everything(accord)
    for command in (("plan",), ("apply", "--yes")):
        result = accord(*command, code=INVALID)
        for rule in ("invalid-instant", "duplicate-name", "unknown-property"):
            assert f"[{rule}]" in result.stderr, result.stderr
        assert result.stderr.splitlines()[-1] == "accord: the config repository has errors: 5 errors, 0 warnings"
    assert everything(accord) == before
    problems = accord.json("validate", "--rev", "main", code=ERROR)
    assert {problem["file"] for problem in problems if problem["severity"] == "error"} >= {
        "teams/web.yaml",
        "teams/more.yaml",
        "users/alice2.yaml",
    }


@SQLITE
def test_a_declared_user_with_the_name_of_a_directory_account_is_an_error_that_names_both(
    accord: Accord, repository: ConfigRepository
) -> None:
    repository.commit(DECLARED)
    accord("apply", "--yes")
    by_hand(accord, "INSERT INTO users (name, email, source) VALUES ('dora', 'd@example.org', 'directory')")
    repository.commit({"users/dora.yaml": user("dora")})
    error = accord("plan", code=INVALID).stderr
    assert "users/dora.yaml:1:1: error: user `dora` has the name of a directory account" in error


@SQLITE
def test_an_error_among_many_warnings_is_listed_last_and_counted(accord: Accord, repository: ConfigRepository) -> None:
    idle = {f"teams/{name}.yaml": team(name) for name in ("aaa", "zzz")}
    repository.commit({**DECLARED, **idle, "teams/mmm.yaml": team("mmm", members=["alcie"], issuers=["tls"])})
    *_, warning, error, last = accord("plan", code=INVALID).stderr.splitlines()
    assert "warning: team `zzz` grants nothing" in warning
    assert "error: unknown user `alcie`" in error
    assert last == "accord: the config repository has errors: 1 error, 3 warnings"


# Guards


@SQLITE
def test_a_plan_that_a_guard_refuses_is_shown_and_not_applied(accord: Accord, repository: ConfigRepository) -> None:
    people = {f"users/p{number}.yaml": user(f"p{number}", initialPassword="none") for number in range(8)}
    repository.commit({**DECLARED, **people})
    accord("apply", "--yes")
    before = everything(accord)
    repository.commit(dict.fromkeys(people, None))
    planned = accord("plan", code=UNSAFE).output
    assert "✗ deletions: users: 8 of 12 would be removed; the limit for one plan is 5" in planned
    assert f"if this is intended: accord apply --rev {repository.head()[:12]} --digest sha256:" in planned
    refused = accord("apply", "--yes", code=UNSAFE)
    assert "- User p7" in refused.stderr
    assert refused.stderr.endswith("accord: refused by deletions; nothing was changed\n")
    accord("apply", "--yes", "--override", "emptying", "--reason", "x", code=UNSAFE)
    assert everything(accord) == before

    digest = accord.json("plan", code=UNSAFE)["digest"]
    done = accord(
        "apply", "--yes", "--override", "deletions", "--override", "emptying", "--reason", "CHG-1 “dissolved”", "--digest", digest
    )
    assert "guard deletions overridden: users: 8 of 12 would be removed" in done.output
    assert accord.json("history")[0]["overrides"] == [{"guard": "deletions", "reason": "CHG-1 “dissolved”"}]
    [entry] = [entry for entry in accord.json("audit", "list") if entry["action"] == "revision.apply"][-1:]
    assert entry["detail"]["overrides"] == [{"guard": "deletions", "reason": "CHG-1 “dissolved”"}]
    assert "guard deletions overridden: CHG-1 “dissolved”" in accord("history").output
    assert "guard deletions overridden: CHG-1 “dissolved”" in accord("show", repository.head()).output


@SQLITE
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--override", "deletions"), "--override needs --reason"),
        (("--override", "deletions", "--reason", "  "), "--override needs --reason"),
        (("--override", "deletoins", "--reason", "x"), "there is no guard `deletoins`; did you mean `deletions`?"),
        (("--override", "zzz", "--reason", "x"), "the guards are deletions, administrators"),
        (("--override", "", "--reason", "x"), "there is no guard ``"),
    ],
)
def test_an_override_names_a_guard_and_a_reason(
    accord: Accord, repository: ConfigRepository, arguments: tuple[str, ...], words: str
) -> None:
    repository.commit(DECLARED)
    assert words in accord("apply", "--yes", *arguments, code=ERROR).stderr
    assert accord.json("history") == []


@SQLITE
def test_a_change_cannot_weaken_a_guard_and_use_it_at_once(accord: Accord, repository: ConfigRepository) -> None:
    people = {f"users/p{number}.yaml": user(f"p{number}", initialPassword="none") for number in range(8)}
    repository.commit({**DECLARED, **people})
    accord("apply", "--yes")
    weaker = {"settings.yaml": resource("Settings", "default", {"guards": {"maxDeletions": "100%"}})}
    repository.commit({**dict.fromkeys(people, None), **weaker})
    assert ": 10%, at least 5 (guards.maxDeletions in force; this plan's 100% counts" in accord("plan", code=UNSAFE).output
    repository.commit({**people})
    accord("apply", "--yes")  # the weaker guard alone
    repository.commit(dict.fromkeys(people, None))
    accord("apply", "--yes")


@SQLITE
def test_a_change_that_tightens_a_guard_is_judged_by_it(accord: Accord, repository: ConfigRepository) -> None:
    repository.commit(DECLARED)
    accord("apply", "--yes")
    duties = {"guards": {"separationOfDuties": [["web", "admins"]]}}
    both = team("admins", administrator=True, members=["root", "alice"])
    repository.commit({"settings.yaml": resource("Settings", "default", duties), "teams/admins.yaml": both})
    assert "alice would be in admins and in web" in accord("plan", code=UNSAFE).output


# What is not read


@SQLITE
def test_a_link_or_a_repository_in_the_place_of_files_is_warned_of_in_every_plan(begun: Desk) -> None:
    for name in ("bob", "carol"):
        begun.write(f"users/{name}.yaml", json.dumps(user(name, initialPassword="none")))
    begun.commit("Bob and Carol")
    begun.accord("apply", "--yes")
    for name in ("bob", "carol"):
        (begun.config / f"users/{name}.yaml").unlink()
    (begun.config / "users/elsewhere").symlink_to("/tmp/users")
    begun.git("clone", "-q", ".", "sub")
    begun.commit("Elsewhere")
    expected = [("sub", "submodule"), ("users/elsewhere", "symlink")]
    for options in ((), ("--against", "HEAD~1"), ("--adopt",)):
        found = begun.accord.json("plan", *options)
        assert [(each["file"], each["rule"]) for each in found["warnings"]] == expected
    begun.accord("apply", "--yes")
    begun.write("users/carol.yaml", json.dumps(user("carol")))
    begun.commit("Carol again")
    assert begun.accord.json("plan")["warnings"] == []


@SQLITE
def test_the_command_that_a_refusal_shows_applies_the_refused_plan_or_nothing(
    accord: Accord, repository: ConfigRepository
) -> None:
    settings = resource("Settings", "default", {"guards": {"refuseNewAdministrators": True, "maxPeopleGaining": 1}})
    repository.commit(DECLARED)
    accord("apply", "--yes")
    repository.commit({"settings.yaml": settings})
    accord("apply", "--yes")
    reviewed = repository.commit({
        "teams/admins.yaml": team("admins", administrator=True, members=["root", "alice"]),
        "teams/web.yaml": team("web", members=["alice", "bob"], issuers=["tls", "vpn"]),
    })  # fmt: skip
    here = accord.environment.pop("ACCORD_REPOSITORY")

    def shown(*arguments: str) -> list[str]:
        """The command below the guards, without the name of the program."""
        result = accord(*arguments, "--repository", here, code=UNSAFE)
        (line,) = [line for line in result.output.splitlines() if "if this is intended" in line]
        return shlex.split(line.partition(": accord ")[2])

    command = shown("plan", "--rev", reviewed, "--no-welcome")
    again = shown("apply", "--rev", reviewed, "--no-welcome", "--yes", "--override", "new-administrator", "--reason", "x")
    assert command == again
    repository.commit({"teams/more.yaml": team("more", administrator=True, members=["carol"])})
    accord(*command, "--yes")
    assert accord.json("history")[0]["commit"] == reviewed
    assert accord.json("audit", "list", "--kind", "Team", "--name", "more") == []
    assert "review it again" in accord(*command, "--yes", code=STALE).stderr


# Warnings


@SQLITE
@pytest.mark.parametrize("way", ["delta", "whole", "against"])
def test_a_plan_warns_of_what_it_makes_so_and_counts_the_rest(accord: Accord, repository: ConfigRepository, way: str) -> None:
    wide = ["0.0.0.0/0", "::/0"]
    idle = {"teams/some.yaml": documents(team("idle"), team("busy", issuers=["vpn"]), team("open", permittedIPs=wide))}
    first = repository.commit({**DECLARED, **idle})
    accord("apply", "--yes")
    if way == "whole":
        by_hand(accord, "UPDATE issuers SET display_name = 'X' WHERE name = 'vpn'")
    some = (
        team("idle", members=["alice"]),
        team("busy"),
        team("open", permittedIPs=wide),
        team("wide", permittedIPs=wide, issuers=["vpn"]),
    )
    repository.commit({"teams/some.yaml": documents(*some), "issuers/tls.yaml": issuer("tls", displayName="TLS")})
    options = ("--against", first) if way == "against" else ()
    document = accord.json("plan", *options)
    assert [(each["rule"], each["line"]) for each in document["warnings"]] == [
        ("grants-nothing", 3),
        ("permits-everything", 5),
        ("permits-everything", 7),
    ]
    assert document["warnedBefore"] == 2
    counted = "2 more warnings about the changed files stood before: accord validate lists them"
    assert counted in accord("plan", *options).output.splitlines()
    assert f"\n- {counted}\n" in accord("plan", *options, "--format", "markdown").output


def documents(*resources: dict[str, Any]) -> str:
    """A file with the resources, each on a line."""
    return "\n---\n".join(map(json.dumps, resources)) + "\n"
