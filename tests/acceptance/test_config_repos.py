"""Config repositories, each a folder: valid ones have no problems, invalid ones exactly those that stand in the file beside them.

Adding a folder adds a test. `CASE.json` is what `accord validate --format json CASE` prints, a problem a line.
"""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest
from scenario import Accord

import reconciler.source
from reconciler.access.problems import Problem
from reconciler.mail.grammar import Rule
from reconciler.plan.render.problems import problems_json
from reconciler.run.deployment import Deployment
from reconciler.run.validating import Validation, validate_folder, validate_revision
from reconciler.shipped import schema_folder

CASES = Path(__file__).parents[1] / "config-repos"
NOW = datetime(2026, 6, 1, tzinfo=UTC)

ELSEWHERE = {
    "too-large": "tests/unit/source/test_documents.py: a file that is",
    "too-many-problems": "tests/unit/source/test_schema_findings.py: a document with thousands",
    "schema": "a net below jsonschema, for what jsonschema-rs alone refuses",
    "unknown-ad-group": "tests/acceptance/directory/test_commands.py: only a directory knows",
    "filtered": "tests/integration/source/test_files.py: only Git knows its filters",
    "submodule": "tests/integration/source/test_repository.py: a folder cannot hold one",
    "sparse-checkout": "tests/integration/source/test_repository.py: only a clone can be one",
}
"""Rules that no folder of a few lines can show, and where they are shown."""


def cases(kind: str) -> list[Any]:
    return [pytest.param(folder, id=folder.name) for folder in sorted((CASES / kind).iterdir()) if folder.is_dir()]


def work_tree(case: Path, tmp_path: Path) -> Path:
    """A Git work tree that holds the case's files."""
    folder = tmp_path / "work-tree" / case.name
    if not folder.exists():
        shutil.copytree(case, folder, symlinks=True)
        (folder / ".git").mkdir()
    return folder


def in_folder(case: Path, tmp_path: Path) -> Validation:
    return validate_folder(work_tree(case, tmp_path), tmp_path / "cache", now=NOW)


def in_revision(case: Path, tmp_path: Path, *, path: str = "") -> Validation:
    """What is found in a commit that holds the case's files, in a folder of the repository where one is given."""
    top = case
    if path:
        top = tmp_path / "above"
        (top / path).parent.mkdir(parents=True)
        subprocess.run(["cp", "-a", case, top / path], check=True)
    git = ["git", f"--git-dir={tmp_path}/config.git", f"--work-tree={top}", "-c", "core.autocrlf=false", "-c", "core.bare=false"]
    git += ["-c", "user.name=Alice Jones", "-c", "user.email=alice@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", tmp_path / "config.git"], check=True)
    subprocess.run([*git, "add", "--all", "--force", "."], check=True, cwd=top)
    subprocess.run([*git, "commit", "-q", "-m", "All of it"], check=True, cwd=top)
    deployment = Deployment(str(tmp_path / "config.git"), "main", path, "sqlite:///none.db", tmp_path / "cache-of-revision")
    return validate_revision(deployment, "main", now=NOW)


def one_a_line(problems: list[Problem]) -> list[str]:
    """Problems as text, so that a difference is easy to read."""
    return [json.dumps(problem, ensure_ascii=False) for problem in problems_json(problems)]


def expected_of(case: Path) -> list[str]:
    found = json.loads((case.parent / f"{case.name}.json").read_text("utf-8"))
    return [json.dumps(problem, ensure_ascii=False) for problem in found]


@pytest.mark.parametrize("case", cases("valid"))
def test_a_valid_repository_has_no_problems_in_a_folder_or_a_revision(case: Path, tmp_path: Path) -> None:
    folder, revision = in_folder(case, tmp_path), in_revision(case, tmp_path)
    assert one_a_line(folder.problems) == []
    assert folder == revision
    assert folder.resources > 0


@pytest.mark.parametrize("case", cases("invalid"))
def test_an_invalid_repository_has_exactly_the_problems_beside_it(case: Path, tmp_path: Path) -> None:
    folder = in_folder(case, tmp_path)
    assert one_a_line(folder.problems) == expected_of(case)
    assert in_folder(case, tmp_path) == folder  # from the cache
    assert in_revision(case, tmp_path) == folder


def test_a_folder_inside_a_repository_is_validated_as_it_is_alone(tmp_path: Path) -> None:
    for number, name in enumerate(("symbolic-links", "secrets", "unknown-references")):
        place = tmp_path / str(number)
        place.mkdir()
        found = in_revision(CASES / "invalid" / name, place, path="a b/config")
        assert [
            problem._replace(file=problem.file.removeprefix("a b/config/")) for problem in found.problems
        ] == in_folder(CASES / "invalid" / name, place).problems  # fmt: skip


def test_every_invalid_repository_has_its_problems_and_every_list_of_problems_its_repository() -> None:
    folders = {folder.name for folder in (CASES / "invalid").iterdir() if folder.is_dir()}
    lists = {file.stem for file in (CASES / "invalid").glob("*.json")}
    assert folders == lists


def test_the_lists_of_problems_are_what_their_schema_describes() -> None:
    validator = jsonschema.Draft202012Validator(json.loads((schema_folder() / "problems.schema.json").read_bytes()))
    for file in (CASES / "invalid").glob("*.json"):
        problems = json.loads(file.read_text("utf-8"))
        validator.validate(problems)
        assert problems, file


def test_the_program_prints_exactly_the_list(tmp_path: Path) -> None:
    accord = Accord(tmp_path / "none", "sqlite:///none.db", tmp_path / "cache")
    for name, code in (("unknown-references", 1), ("overlapping-permitted-ips", 0), ("yaml-syntax", 1), ("symbolic-links", 0)):
        found = accord.json("validate", str(work_tree(CASES / "invalid" / name, tmp_path)), code=code)
        assert [json.dumps(problem, ensure_ascii=False) for problem in found] == expected_of(CASES / "invalid" / name)
    assert accord.json("validate", str(CASES / "valid" / "one-of-each-kind")) == []


def test_every_rule_is_shown_by_a_case() -> None:
    shown = {json.loads(line)["rule"] for case in (CASES / "invalid").iterdir() if case.is_dir() for line in expected_of(case)}
    assert rules_in_the_code() == shown | set(ELSEWHERE)
    assert not shown & set(ELSEWHERE)


PLACE_OF_RULE = {
    "Finding": 0,
    "Mistake": 0,
    "_Foreign": 1,
    "_check": 1,
    "Unreadable": 0,
    "_at": 1,
    "_found": 1,
    "_Found": 2,
    "Problem": 3,
}
"""Which argument of what makes a problem is the rule."""


def rules_in_the_code() -> set[str]:
    """Every text that stands where a rule's id is due, or in a variable of that name."""
    found: set[str] = set(get_args(Rule))
    for file in Path(reconciler.source.__path__[0]).glob("*.py"):
        if file.name.startswith("peribolos"):
            continue
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in PLACE_OF_RULE:
                place = PLACE_OF_RULE[node.func.id]
                found |= texts(node.args[place]) if len(node.args) > place else set()
            elif isinstance(node, ast.Assign) and [target.id for target in node.targets if isinstance(target, ast.Name)] == [
                "rule"
            ]:
                found |= texts(node.value)
            elif isinstance(node, ast.Tuple) and [texts(part) for part in node.elts[3:4]] == [{"error"}]:
                found |= texts(node.elts[2])
    return found


def texts(node: ast.expr) -> set[str]:
    """The texts that an expression may come to."""
    if isinstance(node, ast.IfExp):
        return texts(node.body) | texts(node.orelse)
    return {node.value} if isinstance(node, ast.Constant) and isinstance(node.value, str) else set()
