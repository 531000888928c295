"""The CI workflows that `accord init` writes: every step runs, at every event that teams have, without any variable."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest
from runner import GitHub, Runner, Step, gitlab_job, jobs

from reconciler.cli.exits import INVALID, NO_BASE
from reconciler.shipped import starter_folder
from reconciler.store.engine import open_database

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("database_kind", ["sqlite"])]
WORKFLOWS = starter_folder() / ".github" / "workflows"
PIPELINE = starter_folder() / ".gitlab-ci.yml"
PUSH = {"github": {"event_name": "push", "ref": "refs/heads/main", "event": {"repository": {"default_branch": "main"}}}}


class World:
    """A forge with the starter on main, a database that is in accord with it, and a machine to run jobs on."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url, self.config = folder, url, folder / "config"
        self.git("init", "-q", "--bare", "-b", "main", str(folder / "origin.git"), at=folder)
        self.accord("init", str(self.config), "--administrator", "alice", "--email", "alice@example.org", at=folder)
        self.git("init", "-q", "-b", "main")
        self.git("remote", "add", "origin", str(folder / "origin.git"))
        self.commit("Who may use what")
        self.accord("apply", "--yes")
        self.runner = Runner(folder / "runner", folder / "origin.git")

    def git(self, *arguments: str, at: Path | None = None) -> str:
        identity = ["-c", "user.name=Alice", "-c", "user.email=alice@example.org"]
        done = subprocess.run(["git", *identity, *arguments], cwd=at or self.config, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def accord(self, *arguments: str, at: Path | None = None, code: int = 0) -> str:
        program = [sys.executable, "-m", "reconciler.cli", *arguments]
        environment = {"ACCORD_DATABASE_URL": self.url, "ACCORD_CACHE": str(self.folder / "cache"), "PATH": "/usr/bin:/bin"}
        done = subprocess.run(program, cwd=at or self.config, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
        return done.stdout

    def commit(self, message: str, **files: str | None) -> str:
        """Commit users (`None` removes one) to the current branch, and push it."""
        for name, spec in files.items():
            path = self.config / "users" / f"{name}.yaml"
            if spec is None:
                path.unlink()
            else:
                path.write_text(f"apiVersion: accord/v1\nkind: User\nmetadata: {{name: {name}}}\nspec: {spec}\n")
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        self.git("push", "-q", "origin", "HEAD")
        return self.git("rev-parse", "HEAD")

    def pull_request(self, *, fork: bool, **files: str | None) -> tuple[dict[str, Any], dict[str, str]]:
        """Open pull request 1, which GitHub merges for a try; return the context of its runs, and their environment."""
        self.git("switch", "-q", "-c", "feature")
        head = self.commit("A change", **files)
        self.git("switch", "-q", "main")
        self.git("merge", "-q", "--no-ff", "-m", "Merge", "feature")
        self.git("push", "-q", "origin", "HEAD:refs/pull/1/merge", "feature:refs/pull/1/head")
        self.git("reset", "-q", "--hard", "origin/main")
        event = {"pull_request": {"number": 1, "head": {"sha": head, "repo": {"fork": fork}}}}
        secrets = {"ACCORD_PLAN_DATABASE_URL": self.url}  # what the base's own runs get, whoever opened it
        context = {"github": {"token": "t", "event_name": "pull_request_target", "event": event}, "secrets": secrets}
        return context, {"GITHUB_REPOSITORY": "o/r", "GITHUB_SHA": self.git("rev-parse", "main"), "GITHUB_REF": "refs/heads/main"}

    def pushed(self, workflow: str, job: str, **context: Any) -> list[Step]:
        environment = {"GITHUB_SHA": self.git("rev-parse", "main"), "GITHUB_REF": "refs/heads/main", "GITHUB_REPOSITORY": "o/r"}
        secrets = {"ACCORD_DATABASE_URL": self.url, "ACCORD_PLAN_DATABASE_URL": self.url}
        run = GitHub(self.runner, {**PUSH, "secrets": secrets, **context}, {**environment, "GITHUB_ACTOR": "alice"})
        assert run.wants(jobs(WORKFLOWS / workflow)[job])
        return run.run(jobs(WORKFLOWS / workflow)[job])

    def gitlab(self, job: str, **variables: str) -> Step:
        """Run a job of GitLab's; its jobs get all variables of the project."""
        declared, script = gitlab_job(PIPELINE, job)
        given = {"ACCORD_PLAN_DATABASE_URL": self.url, "CI_DEFAULT_BRANCH": "main", "GITLAB_USER_LOGIN": "alice", **variables}
        names = {"GITLAB_USER_NAME": "Alice", "GITLAB_USER_EMAIL": "alice@example.org", **given}
        own = {name: names.get(str(value).lstrip("$"), str(value)) for name, value in declared["variables"].items()}
        return self.runner.bash(job, script, {**given, **own})


@pytest.fixture
def world(tmp_path: Path, database_url: str) -> World:
    return World(tmp_path, database_url)


def refuse(world: World) -> None:
    """Push what a guard refuses: the only administrator goes."""
    world.commit("Alice goes", alice="{email: alice@example.org, enabled: false}")


# GitHub


@pytest.mark.parametrize("event", ["pull_request", "merge_group", "push"])
def test_validation_needs_no_variable_and_no_secret(world: World, event: str) -> None:
    run = GitHub(world.runner, {"github": {"event_name": event}}, {"GITHUB_REF": "refs/heads/main"})
    install, validate = run.run(jobs(WORKFLOWS / "accord.yml")["validate"])
    assert (install.code, validate.code) == (0, 0)
    assert world.runner.asked("pip") == [
        "install --quiet --no-deps --require-hashes --only-binary :all: -r .accord/requirements.txt"
    ]
    assert run.wants(jobs(WORKFLOWS / "accord.yml")["apply"]) == (event == "push")


def test_an_invalid_pull_request_is_annotated(world: World) -> None:
    world.pull_request(fork=True, bob="{email: bob}")
    run = GitHub(world.runner, {"github": {"event_name": "pull_request"}}, {"GITHUB_REF": "refs/pull/1/merge"})
    *_, validate = run.run(jobs(WORKFLOWS / "accord.yml")["validate"])
    assert validate.code == 1
    assert validate.log.startswith("::error file=users/bob.yaml,line=4")


@pytest.mark.parametrize("fork", [False, True])
def test_a_report_is_uploaded_unless_a_fork_may_not(world: World, fork: bool) -> None:
    context, _ = world.pull_request(fork=fork, bob="{email: bob}")
    context["github"] |= {"event_name": "pull_request"}
    environment = {"GITHUB_REF": "refs/pull/1/merge", "GITHUB_SHA": "1234", "GITHUB_REPOSITORY": "o/r"}
    run = GitHub(world.runner, context, environment)
    job = jobs(WORKFLOWS / "accord.yml")["code-scanning"]
    assert run.wants(job) is not fork
    if not fork:
        assert [step.code for step in run.run(job)] == [0, 0, 0]
        (arguments, (sarif,)) = world.runner.asked("gh")[0]
        assert {"repos/o/r/code-scanning/sarifs", "commit_sha=1234", "ref=refs/pull/1/merge"} <= set(arguments)
        assert json.loads(gzip.decompress(b64decode(sarif)))["runs"][0]["results"][0]["level"] == "error"


@pytest.mark.parametrize("fork", [False, True])
def test_a_pull_request_is_planned_and_commented(world: World, fork: bool) -> None:
    context, environment = world.pull_request(fork=fork, bob="{email: bob@example.org}")
    steps = GitHub(world.runner, context, environment).run(jobs(WORKFLOWS / "accord-plan.yml")["plan"])
    assert [step.code for step in steps] == [0, 0, 0, 0, 0], steps
    assert not (world.runner.work / "users" / "bob.yaml").exists(), "nothing of the pull request is checked out"
    *_, (arguments, (comment,)) = world.runner.asked("gh")
    assert "POST" in arguments and "repos/o/r/issues/1/comments" in arguments
    assert comment.startswith("<!-- accord plan -->\n### Accord plan")
    assert ("sends 1 welcome mail" in comment) and "1 created" in comment
    GitHub(world.runner, context, environment | {"KNOWN": "42\n"}).run(jobs(WORKFLOWS / "accord-plan.yml")["plan"])
    assert {"PATCH", "repos/o/r/issues/comments/42"} <= set(world.runner.asked("gh")[-1][0])


def test_only_a_branch_of_our_own_is_planned_with_the_database(world: World) -> None:
    context, environment = world.pull_request(fork=True, bob="{email: bob@example.org}")
    context["secrets"]["ACCORD_PLAN_DATABASE_URL"] = "sqlite:////nowhere/accord.db?timeout=x"
    plan = jobs(WORKFLOWS / "accord-plan.yml")["plan"]
    assert [step.code for step in GitHub(world.runner, context, environment).run(plan)][2] == 0
    context["github"]["event"]["pull_request"]["head"]["repo"]["fork"] = False
    assert [step.code for step in GitHub(world.runner, context, environment).run(plan)][2] == 1
    assert "Accord made no plan" in world.runner.asked("gh")[-1][1][0]


def test_a_refused_plan_is_commented_and_fails(world: World) -> None:
    context, environment = world.pull_request(fork=False, alice="{email: alice@example.org, enabled: false}")
    steps = GitHub(world.runner, context, environment).run(jobs(WORKFLOWS / "accord-plan.yml")["plan"])
    assert [step.code for step in steps] == [0, 0, 4, 0, 0]
    assert "refused by last-administrator" in world.runner.asked("gh")[-1][1][0]


def test_a_repair_of_an_invalid_base_passes_and_the_comment_says_that_it_was_not_compared(world: World) -> None:
    world.commit("Broken", eve="{email: nonsense}")
    context, environment = world.pull_request(fork=True, eve=None)
    steps = GitHub(world.runner, context, environment).run(jobs(WORKFLOWS / "accord-plan.yml")["plan"])
    assert [step.code for step in steps] == [0, 0, 0, 0, 0], steps
    assert "nothing to compare with" in world.runner.asked("gh")[-1][1][0]
    given = {"CI_COMMIT_SHA": world.git("rev-parse", "feature"), "CI_MERGE_REQUEST_DIFF_BASE_SHA": world.git("rev-parse", "main")}
    assert world.gitlab("plan", **given).code == NO_BASE == gitlab_job(PIPELINE, "plan")[0]["allow_failure"]["exit_codes"]


def test_an_invalid_pull_request_of_a_fork_is_commented_and_fails(world: World) -> None:
    context, environment = world.pull_request(fork=True, eve="{email: nonsense}")
    steps = GitHub(world.runner, context, environment).run(jobs(WORKFLOWS / "accord-plan.yml")["plan"])
    assert [step.code for step in steps] == [0, 0, INVALID, 0, 0], steps
    assert "this revision is invalid" in world.runner.asked("gh")[-1][1][0]


def test_a_merge_that_is_not_of_this_commit_is_not_planned(world: World) -> None:
    context, environment = world.pull_request(fork=True, bob="{email: bob@example.org}")
    context["github"]["event"]["pull_request"]["head"]["sha"] = "0" * 40
    (step,) = GitHub(world.runner, context, environment).run(jobs(WORKFLOWS / "accord-plan.yml")["plan"])
    assert (step.code, world.runner.asked("gh")) == (1, [])


def test_a_merge_queue_is_planned_without_a_comment(world: World) -> None:
    base = world.git("rev-parse", "main")
    world.pull_request(fork=False, bob="{email: bob@example.org}")
    queued = world.git("ls-remote", "origin", "refs/pull/1/merge").split()[0]
    event = {"merge_group": {"base_sha": base}}
    context = {"github": {"event_name": "merge_group", "event": event}, "secrets": {"ACCORD_PLAN_DATABASE_URL": world.url}}
    run = GitHub(world.runner, context, {"GITHUB_SHA": queued, "GITHUB_REF": "refs/pull/1/merge", "GITHUB_REPOSITORY": "o/r"})
    steps = run.run(jobs(WORKFLOWS / "accord-plan.yml")["plan"])
    assert [(step.name, step.code) for step in steps][-2:] == [("Plan", 0), ("Summary", 0)]
    assert "1 created" in (world.runner.folder / "summary").read_text()


def test_a_merge_is_applied(world: World) -> None:
    world.commit("Bob joins", bob="{email: bob@example.org}")
    steps = world.pushed("accord.yml", "apply")
    assert [step.code for step in steps] == [0, 0, 0], steps
    assert "1 created" in steps[-1].log
    assert "by alice" in world.accord("history", "--limit", "1")


def test_a_refused_plan_is_kept_and_a_person_applies_that_very_plan(world: World) -> None:
    refuse(world)
    steps = world.pushed("accord.yml", "apply")
    assert [(step.name, step.code) for step in steps] == [("Install Accord", 0), ("Plan", 4)]
    inputs = {"run": "77", "guards": "last-administrator emptying", "reason": "CHG-1; $(touch x) `x` ${{ x }}"}
    *_, applied = world.pushed("accord-override.yml", "override", inputs=inputs)
    assert applied.code == 0, applied.log
    assert inputs["reason"] in world.accord("history", "--limit", "1")
    assert not (world.runner.work / "x").exists()


def test_an_override_of_another_plan_than_the_kept_one_is_refused(world: World) -> None:
    refuse(world)
    world.pushed("accord.yml", "apply")
    inputs = {"run": "77", "guards": "last-administrator emptying", "reason": "CHG-1"}
    kept = world.runner.artefacts["plan"]
    forged = json.loads(kept)
    forged["changes"] = []
    world.runner.artefacts["plan"] = json.dumps(forged).encode()
    assert world.pushed("accord-override.yml", "override", inputs=inputs)[-1].code == 5
    world.runner.artefacts["plan"] = kept
    world.commit("Bob joins", alice="{email: alice@example.org}", bob="{email: bob@example.org}")
    world.accord("apply", "--yes")
    assert world.pushed("accord-override.yml", "override", inputs=inputs)[-1].code == 5


def test_drift_opens_an_issue_that_its_end_closes(world: World) -> None:
    assert [step.code for step in world.pushed("accord-drift.yml", "drift")] == [0, 0, 0]
    assert len(world.runner.asked("gh")) == 1, "there was nothing to close"
    with open_database(world.url) as database, database.writing() as connection:
        connection.exec_driver_sql("UPDATE users SET full_name = '@everybody ````'")
    assert [step.code for step in world.pushed("accord-drift.yml", "drift")] == [0, 2, 0]
    arguments, (body,) = world.runner.asked("gh")[-1]
    assert {"POST", "repos/o/r/issues", "title=The database has drifted"} <= set(arguments)
    assert all(line.startswith("    ") for line in body.splitlines()[2:])
    assert "@everybody" in body
    world.accord("drift", "--repair", "--yes")
    environment = {"GITHUB_REF": "refs/heads/main", "GITHUB_REPOSITORY": "o/r", "KNOWN": "7\n"}
    context = {**PUSH, "secrets": {"ACCORD_PLAN_DATABASE_URL": world.url}}
    GitHub(world.runner, context, environment).run(jobs(WORKFLOWS / "accord-drift.yml")["drift"])
    assert {"PATCH", "repos/o/r/issues/7", "state=closed"} <= set(world.runner.asked("gh")[-1][0])


def test_a_night_without_a_database_fails_and_says_nothing_of_drift(world: World) -> None:
    for url in ("", "sqlite:////nowhere/accord.db"):
        steps = world.pushed("accord-drift.yml", "drift", secrets={"ACCORD_PLAN_DATABASE_URL": url})
        assert [step.name for step in steps] == ["Install Accord", "Look for drift"]
        assert steps[-1].code not in (0, 2)
    assert world.runner.asked("gh") == []


# GitLab


def test_gitlab_plans_a_fork_without_a_database(world: World) -> None:
    base = world.git("rev-parse", "main")
    world.pull_request(fork=True, bob="{email: bob@example.org}")
    head = world.git("rev-parse", "feature")
    world.runner.check_out("feature")
    assert world.gitlab("validate").code == 0
    step = world.gitlab("plan", CI_COMMIT_SHA=head, CI_MERGE_REQUEST_DIFF_BASE_SHA=base)
    assert step.code == 0, step.log
    assert "1 created" in (world.runner.work / "plan.md").read_text()


def test_gitlab_plans_what_the_merge_of_a_branch_that_is_behind_would_make(world: World) -> None:
    world.pull_request(fork=False, bob="{email: bob@example.org}")
    head = world.git("rev-parse", "feature")
    world.commit("Carol joins", carol="{email: carol@example.org}")
    world.accord("apply", "--yes")
    world.runner.check_out("feature")
    given = {"CI_COMMIT_SHA": head, "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main"}
    step = world.gitlab("plan-database", **given)
    assert step.code == 0, step.log
    assert "1 created" in step.log and "bob" in step.log and "delete" not in step.log
    world.commit("Bob is somebody else", bob="{email: other@example.org}")
    step = world.gitlab("plan-database", **given)
    assert (step.code, "resolve the conflicts with main first" in step.log) == (1, True)


def test_gitlab_applies_what_was_planned(world: World) -> None:
    head = world.commit("Bob joins", bob="{email: bob@example.org}")
    world.runner.check_out("main")
    for job in ("plan-merged", "apply"):
        step = world.gitlab(job, CI_COMMIT_SHA=head, ACCORD_DATABASE_URL=world.url)
        assert step.code == 0, step.log
    assert "1 created" in step.log


def test_gitlab_follows_a_default_branch_of_any_name(world: World) -> None:
    world.git("push", "-q", "origin", "main:trunk")
    world.git("symbolic-ref", "HEAD", "refs/heads/trunk", at=world.folder / "origin.git")
    world.git("push", "-q", "origin", ":main")
    world.git("branch", "-q", "-m", "trunk")
    refuse(world)
    world.runner.check_out("trunk")
    given = {"CI_COMMIT_SHA": world.git("rev-parse", "trunk"), "CI_DEFAULT_BRANCH": "trunk", "ACCORD_DATABASE_URL": world.url}
    assert [world.gitlab(job, **given).code for job in ("plan-merged", "apply")] == [4, 4]
    step = world.gitlab("override", **given, GUARDS="last-administrator emptying", REASON="CHG-1")
    assert step.code == 0, step.log
    step = world.gitlab("drift", CI_DEFAULT_BRANCH="trunk")
    assert step.code == 0, step.log
    given["CI_COMMIT_SHA"] = world.commit("Bob joins", bob="{email: bob@example.org}")
    world.runner.check_out("trunk")
    for job in ("plan-merged", "apply"):
        step = world.gitlab(job, **given)
        assert step.code == 0, step.log


def test_gitlab_keeps_a_refused_plan_for_whoever_overrides_it(world: World) -> None:
    refuse(world)
    world.runner.check_out("main")
    given = {"CI_COMMIT_SHA": world.git("rev-parse", "main"), "ACCORD_DATABASE_URL": world.url}
    assert world.gitlab("plan-merged", **given).code == gitlab_job(PIPELINE, "plan-merged")[0]["allow_failure"]["exit_codes"]
    assert world.gitlab("apply", **given).code == 4
    assert world.gitlab("override", **given).code not in (0, 4)
    assert world.gitlab("override", **given, GUARDS="last-administrator").code not in (0, 4)
    step = world.gitlab("override", **given, GUARDS="last-administrator emptying", REASON="CHG-1 $(touch x)")
    assert step.code == 0, step.log
    assert "CHG-1 $(touch x)" in world.accord("history", "--limit", "1")


def test_gitlab_looks_for_drift(world: World) -> None:
    world.runner.check_out("main")
    assert world.gitlab("drift").code == 0
    world.commit("Bob joins", bob="{email: bob@example.org}")
    assert world.gitlab("drift", ACCORD_PLAN_DATABASE_URL="").code not in (0, 2)


# All of them


def test_what_checks_workflows_has_nothing_to_say(database_kind: str) -> None:
    tools = Path(sys.executable).parent
    for command in (
        ["zizmor", "--offline", "--no-progress", "--strict-collection", "--persona", "regular", str(WORKFLOWS)],
        ["check-jsonschema", "--builtin-schema", "vendor.github-workflows", *map(str, WORKFLOWS.glob("*.yml"))],
        ["check-jsonschema", "--builtin-schema", "vendor.gitlab-ci", str(PIPELINE)],
    ):
        done = subprocess.run([tools / command[0], *command[1:]], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_step_of_every_workflow_is_run_by_a_test(database_kind: str) -> None:
    scripts = {job for file in WORKFLOWS.glob("*.yml") for job in jobs(file)}
    assert scripts == {"validate", "code-scanning", "apply", "plan", "override", "drift"}
