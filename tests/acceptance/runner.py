"""What a runner of GitHub's or GitLab's does with a workflow: it checks out, evaluates expressions and runs each step."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

_PROGRAMS = {
    "accord": f"#!{sys.executable}\nfrom reconciler.cli.main import main\nmain()\n",
    "pip": '#!/bin/sh\necho "$@" >> "$RECORDS/pip"\n',
    "gh": f"#!{sys.executable}\n"
    """import json, os, sys
read = [open(each.split("=@")[1]).read() for each in sys.argv if "=@" in each]
with open(os.environ["RECORDS"] + "/gh", "a") as file:
    file.write(json.dumps([sys.argv[1:], read]) + "\\n")
sys.stdout.write(os.environ.get("KNOWN", "") if "--jq" in sys.argv else "")
""",
}


class Step(NamedTuple):
    """A step that ran: its name, exit code and log."""

    name: str
    code: int
    log: str


class Runner:
    """A machine with git, bash, this very Accord, and a `pip` and a `gh` that only record what they are asked for."""

    def __init__(self, folder: Path, origin: Path) -> None:
        self.folder, self.origin, self.work = folder, origin, folder / "work"
        (folder / "bin").mkdir(parents=True)
        for name, text in _PROGRAMS.items():
            (folder / "bin" / name).write_text(text)
            (folder / "bin" / name).chmod(0o755)
        self.artefacts: dict[str, bytes] = {}

    def check_out(self, ref: str) -> None:
        """Clone the whole repository, and check out a ref of it."""
        shutil.rmtree(self.work, ignore_errors=True)
        subprocess.run(["git", "clone", "-q", "--no-checkout", str(self.origin), str(self.work)], check=True)
        subprocess.run(["git", "fetch", "-q", "origin", ref], cwd=self.work, check=True)
        subprocess.run(["git", "-c", "advice.detachedHead=false", "checkout", "-q", "FETCH_HEAD"], cwd=self.work, check=True)

    def bash(self, name: str, script: str, environment: Mapping[str, str]) -> Step:
        """Run a script as a runner does: in a file, and until a command fails."""
        (self.folder / "script.sh").write_text(script)
        clean = {"PATH": f"{self.folder}/bin:/usr/local/bin:/usr/bin:/bin", "HOME": str(self.folder), "RECORDS": str(self.folder)}
        clean |= {"CI": "true", "ACCORD_CACHE": str(self.folder / "cache"), "LC_ALL": "C.UTF-8"}
        for kept in ("LD_PRELOAD", "FAKETIME"):
            if kept in os.environ:
                clean[kept] = os.environ[kept]
        done = subprocess.run(
            ["bash", "-e", str(self.folder / "script.sh")],
            cwd=self.work,
            env={**clean, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return Step(name, done.returncode, done.stdout)

    def asked(self, program: str) -> list[Any]:
        """What a program was asked for."""
        file = self.folder / program
        lines = file.read_text().splitlines() if file.exists() else []
        return [json.loads(line) for line in lines] if program == "gh" else lines


class GitHub(NamedTuple):
    """A run of a workflow: the event, and the secrets that GitHub hands to it. There are never any variables."""

    runner: Runner
    context: Mapping[str, Any]
    environment: Mapping[str, str] = {}

    def value(self, expression: str, steps: Mapping[str, Any], failed: bool) -> Any:
        """Evaluate an expression."""

        def get(path: str) -> Any:
            found: Any = {**self.context, "steps": steps}
            for part in path.split("."):
                found = found.get(part) if isinstance(found, Mapping) else None
            return "" if found is None else found

        def is_name(text: str) -> str:
            return text if text in ("and", "or", "not") else f"get({text!r})"

        python = expression.replace("&&", " and ").replace("||", " or ")
        python = re.sub(r"!(?!=)", " not ", python)
        pieces = re.split(r"('[^']*')", python)
        pieces[0::2] = [re.sub(r"[a-z][\w.-]*(?![\w.(-])", lambda found: is_name(found[0]), piece) for piece in pieces[0::2]]
        functions = {
            "get": get,
            "always": lambda: True,
            "success": lambda: not failed,
            "hashFiles": lambda name: "hash" if (self.runner.work / name).exists() else "",
            "format": lambda text, value: text.replace("{0}", value),
        }
        return eval("".join(pieces), {"__builtins__": {}}, functions)

    def text(self, template: Any, steps: Mapping[str, Any], failed: bool) -> str:
        return re.sub(r"\$\{\{(.*?)\}\}", lambda found: str(self.value(found[1].strip(), steps, failed)), str(template))

    def wants(self, job: Mapping[str, Any]) -> bool:
        """Whether a job runs at this event."""
        return bool(self.value(job.get("if", "success()"), {}, False))

    def run(self, job: Mapping[str, Any]) -> list[Step]:
        """Run a job's steps, and return those that were scripts."""
        steps: dict[str, Any] = {}
        ran: list[Step] = []
        failed = False
        for step in job["steps"]:
            condition = step.get("if", "success()")
            if "always()" not in condition:
                condition = f"success() && ({condition})"
            if not self.value(condition, steps, failed):
                steps[step.get("id", "")] = {"outcome": "skipped", "outputs": {}}
                continue
            given = {name: self.text(value, steps, failed) for name, value in step.get("with", {}).items()}
            if "run" not in step:
                self._use(step["uses"], given)
                continue
            outputs, summary = self.runner.folder / "outputs", self.runner.folder / "summary"
            outputs.write_text("")
            environment = {name: self.text(value, steps, failed) for name, value in step.get("env", {}).items()}
            files = {"GITHUB_OUTPUT": str(outputs), "GITHUB_STEP_SUMMARY": str(summary), "GITHUB_ACTIONS": "true"}
            done = self.runner.bash(step.get("name", ""), step["run"], {**self.environment, **files, **environment})
            ran.append(done)
            failed = failed or done.code != 0
            lines = dict(line.split("=", 1) for line in outputs.read_text().splitlines())
            steps[step.get("id", "")] = {"outcome": "failure" if done.code else "success", "outputs": lines}
        return ran

    def _use(self, action: str, given: Mapping[str, str]) -> None:
        name = action.partition("@")[0]
        if name == "actions/checkout":
            assert given["persist-credentials"] == "False"
            self.runner.check_out(self.environment["GITHUB_REF"])
        elif name == "actions/upload-artifact":
            self.runner.artefacts[given["name"]] = (self.runner.work / given["path"]).read_bytes()
        elif name == "actions/download-artifact":
            assert given["run-id"] == "77"
            (self.runner.work / f"{given['name']}.json").write_bytes(self.runner.artefacts[given["name"]])
        else:
            assert name == "actions/setup-python"


def jobs(file: Path) -> dict[str, Any]:
    """The jobs of a GitHub workflow."""
    found: dict[str, Any] = yaml.safe_load(file.read_text())["jobs"]
    return found


def gitlab_job(file: Path, name: str) -> tuple[dict[str, Any], str]:
    """A job of a GitLab pipeline, with the variables of all jobs, and its whole script."""
    pipeline = yaml.safe_load(file.read_text())
    job = {**pipeline[name], "variables": {**pipeline["variables"], **pipeline[name].get("variables", {})}}
    return job, "\n".join([*pipeline["default"]["before_script"], *job["script"]])
