"""Nothing goes undocumented, and nothing else is spoken of: rules, guards, reasons, problems, settings, figures, files."""

from __future__ import annotations

import ast
import configparser
import json
import re
from collections.abc import Iterator
from signal import SIGINT, SIGTERM
from typing import Any, get_args

import click
import pytest
from manual import OUTPUTS, PAGES, fences, prose

from api.errors import Problem
from api.http.schemas import COMPONENTS
from api.mail.settings import SMTP_DEFAULTS as SMTP
from api.metrics import Metrics
from api.serving.waitress import PATIENCE
from api.settings import DEFAULTS as SETTINGS
from docs import reference
from docs.examples import TOP
from reconciler.cli import exits
from reconciler.cli.main import accord
from reconciler.mail.grammar import Rule
from reconciler.plan.guards import GUARDS
from reconciler.run.deployment import DEFAULTS, current_user
from reconciler.source.schema import FILES, schema_of


def rules_in_code() -> set[str]:
    """Every rule id that reading a config repository, or planning it, can report: what stands as a rule where they are made."""
    makers = {"Problem": 3, "Finding": 0, "Mistake": 0, "_Foreign": 1, "_Found": 2, "Unreadable": 0, "_at": 1, "_check": 1}
    found: set[str] = set(get_args(Rule))  # what the room of mails says of templates
    for file in [*(TOP / "reconciler" / "source").glob("*.py"), *(TOP / "reconciler" / "plan").glob("*.py")]:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in makers:
                place = makers[getattr(node.func, "id", "")]
                if len(node.args) > place:
                    found |= texts(node.args[place])
            elif isinstance(node, ast.Tuple) and len(node.elts) == 6 and isinstance(node.elts[3], ast.Constant):
                found |= texts(node.elts[2]) if node.elts[3].value in ("error", "warning") else set()
    return found | {"unknown-api-version", "unknown-kind"}  # put together from two parts


def texts(node: ast.expr) -> set[str]:
    """The words that an expression is, whichever way a condition goes."""
    if isinstance(node, ast.IfExp):
        return texts(node.body) | texts(node.orelse)
    return {node.value} if isinstance(node, ast.Constant) and isinstance(node.value, str) else set()


def table_keys(name: str, heading: str) -> list[str]:
    """The words in code spans of the first column of the table under a heading."""
    section = prose(name).partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return [word for cell in re.findall(r"^\| ([^|]+) \|", section, re.MULTILINE) for word in re.findall(r"`([^`]+)`", cell)]


def test_every_validation_rule_is_documented_and_no_other() -> None:
    documented = table_keys("docs/pull-request-author.md", "What validation finds")
    assert len(rules_in_code()) > 30
    assert sorted(documented) == sorted(rules_in_code())


def test_every_guard_is_documented_and_no_other() -> None:
    assert table_keys("docs/pull-request-author.md", "Guards") == list(GUARDS)
    section = PAGES["docs/pull-request-author.md"].read_text().partition("\n## Guards\n")[2]
    for setting in schema_of("Settings")["properties"]["spec"]["properties"]["guards"]["properties"]:
        assert f"`{setting}`" in section


def test_every_reason_of_a_decision_is_documented_and_no_other() -> None:
    schema = json.loads((TOP / "schemas" / "explanation.schema.json").read_bytes())
    documented = table_keys("docs/command-output.md", "One decision, and why")
    assert sorted(documented) == sorted(schema["properties"]["reason"]["enum"])


def test_every_reason_of_the_api_s_decisions_is_documented_and_no_other() -> None:
    documented = table_keys("docs/application-developer.md", "Decisions")
    assert sorted(documented) == sorted(COMPONENTS["Decision"]["properties"]["reason"]["x-extensible-enum"])


def test_every_problem_of_the_api_is_documented_with_its_status_and_no_other() -> None:
    def kinds(of: type[Problem]) -> Iterator[tuple[str, int]]:
        yield of.name, of.status
        for child in of.__subclasses__():
            yield from kinds(child)

    source = "".join(file.read_text() for file in (TOP / "api").rglob("*.py"))
    reasons = set(re.findall(r'Forbidden\([^)]*?reason="([a-z-]+)"', source, re.DOTALL))
    documented = table_keys("docs/application-developer.md", "Errors")
    problems = {*kinds(Problem), ("method-not-allowed", 405), ("failure", 500)}
    assert len(reasons) > 5
    assert sorted(documented) == sorted({name for name, _ in problems} | reasons)
    for name, status in problems:
        assert f"| `{name}` | {status} |" in prose("docs/application-developer.md")


def test_every_output_for_programs_is_documented() -> None:
    page = PAGES["docs/command-output.md"].read_text()
    for command, schema in OUTPUTS.items():
        assert f"| `{command} --format json`" in page
        assert f"schemas/{schema}.schema.json" in page


def test_every_exit_code_is_documented_and_no_other() -> None:
    codes = [value for name, value in vars(exits).items() if name.isupper() and isinstance(value, int)]
    codes += [128 + SIGINT, 128 + SIGTERM]
    section = prose("docs/ci-owner.md").partition("\n## Exit codes\n")[2].partition("\n## ")[0]
    assert [int(code) for code in re.findall(r"^\| (\d+) \|", section, re.MULTILINE)] == sorted(codes)
    assert set(map(int, re.findall(r"(\d+) [a-z]", (accord.epilog or "").partition("Exit codes:")[2]))) == set(codes)


def variables_in_code() -> set[str]:
    """Every ACCORD_* variable that the program reads."""
    found = {f"ACCORD_{name.upper()}" for name in DEFAULTS}
    for file in (TOP / "reconciler").rglob("*.py"):
        found |= set(re.findall(r"""(?:environ|env|variables)(?:\.get\(|\[)["'](ACCORD_[A-Z_]+)""", file.read_text()))
    return found | {"ACCORD_APPLIED_BY", "ACCORD_CACHE", "ACCORD_REPOSITORY_WITHOUT_TLS"}


def test_every_setting_of_a_deployment_is_documented_with_its_default() -> None:
    assert current_user({"ACCORD_APPLIED_BY": "x"}) == "x"
    documented = table_keys("docs/settings.md", "accord")
    assert sorted(documented) == sorted(variables_in_code())
    for name, default in DEFAULTS.items():
        row = next(line for line in prose("docs/settings.md").splitlines() if line.startswith(f"| `ACCORD_{name.upper()}`"))
        assert f"| `{name}` |" in row
        unset = "its root" if name == "path" else "none"
        assert f"| {f'`{default}`' if default else unset} |" in row


def test_every_setting_of_the_api_is_documented_with_its_default() -> None:
    documented = table_keys("docs/settings.md", "accord-api")
    assert sorted(documented) == sorted({*(f"ACCORD_{name.upper()}" for name in SETTINGS), "ACCORD_CONFIG", "ACCORD_DEBUG"})
    section = prose("docs/settings.md").partition("\n## accord-api\n")[2]
    for name, default in SETTINGS.items():
        row = next(line for line in section.splitlines() if line.startswith(f"| `ACCORD_{name.upper()}`"))
        assert f"| `{name}` |" in row
        assert f"| {f'`{default}`' if default else {'hashes': 'the processors'}.get(name, 'none')} |" in row


def test_every_setting_of_mail_is_documented_with_its_default() -> None:
    documented = table_keys("docs/settings.md", "The mail server")
    assert sorted(key for key in documented if key.startswith("ACCORD_")) == sorted(
        f"ACCORD_SMTP_{name.upper()}" for name in SMTP
    )
    for name, default in SMTP.items():
        row = next(line for line in prose("docs/settings.md").splitlines() if line.startswith(f"| `ACCORD_SMTP_{name.upper()}`"))
        assert f"| `{name}` |" in row or name == "password"
        assert f"| `{default}` |" in row or not default


def test_every_metric_is_documented_and_no_other() -> None:
    documented = table_keys("docs/monitoring.md", "Metrics")
    counted = {sample.name + ("_total" if sample.type == "counter" else "") for sample in Metrics().registry.collect()}
    assert {word for word in documented if word.startswith("accord_")} == counted


def test_the_systemd_unit_runs_an_existing_command() -> None:
    ((_, _, unit),) = fences("ini")
    started = configparser.ConfigParser()
    started.optionxform = str  # type: ignore[assignment, method-assign]
    started.read_string(unit)
    command = started["Service"]["ExecStart"].removeprefix("/opt/accord/bin/")
    assert command.startswith("accord-api serve")
    assert list(misspelt(command, dict(reference.every_command()))) == []
    assert int(started["Service"]["TimeoutStopSec"]) > PATIENCE


def test_every_command_that_is_mentioned_exists_with_the_options_it_is_given() -> None:
    known = dict(reference.every_command())
    unknown = []
    for name, page in PAGES.items():
        if name == "docs/reference/commands.md":
            continue
        text = re.sub(r"\$\(.*?\)|-->", "", page.read_text())
        for line in re.findall(r"(?:^\$ |^ *run: |`|^ *- |&& |\| |; |^)(accord(?:-api)? [a-z][^`\n]*)", text, re.MULTILINE):
            for part in re.split(r" (?:&&|\|\||\||;) |; ", line):
                unknown += [f"{name}: {problem}" for problem in misspelt(part, known)]
    assert unknown == []


def misspelt(line: str, known: dict[str, click.Command]) -> Iterator[str]:
    """What there is not in a command line: its command, or one of its options."""
    words = line.split()
    if words[0] not in ("accord", "accord-api") or len(words) < 2 or "/" in line.split()[1]:
        return
    full = f"{words[0]} {words[1]}"
    if full not in known:
        yield full
        return
    if len(words) > 2 and f"{full} {words[2]}" in known:
        full = f"{full} {words[2]}"
    options = {"--help", *(option for parameter in known[full].params for option in [*parameter.opts, *parameter.secondary_opts])}
    for word in words:
        option = word.split("=")[0].rstrip(".,;:)")
        if option.startswith("--") and option not in options:
            yield f"{full} {option}"


def test_a_command_that_is_misspelt_is_found() -> None:
    known = dict(reference.every_command())
    assert list(misspelt("accord plna", known)) == ["accord plna"]
    assert list(misspelt("accord-api user unlokc --databas X", known)) == ["accord-api user --databas"]
    assert list(misspelt("accord audit verify --haed X", known)) == ["accord audit verify --haed"]
    assert list(misspelt("accord plan --rev X --format json", known)) == []


@pytest.mark.parametrize("name", ["commands.md", "resources.md", "openapi.json"])
def test_the_reference_is_what_the_program_says(name: str) -> None:
    assert (reference.FOLDER / name).read_text() == reference.documents()[name], "`make docs` writes it anew"


def test_the_reference_names_every_command_option_kind_and_property() -> None:
    commands, resources = (reference.documents()[name] for name in ("commands.md", "resources.md"))
    for name, command in reference.every_command():
        section = commands.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
        assert command.epilog and "Example" in section, name
        for parameter in command.params:
            assert not isinstance(parameter, click.Option) or parameter.opts[0] in section
    for kind in FILES:
        section = resources.partition(f"\n## {kind}\n")[2].partition("\n## ")[0]
        for place in properties(schema_of(kind)):
            assert f"| `{place}` |" in section, (kind, place)


def properties(schema: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, part in schema.get("properties", {}).items():
        yield prefix + name
        yield from properties(part, f"{prefix}{name}.")


def test_every_file_that_the_architecture_names_is_there_and_every_room() -> None:
    page = PAGES["docs/architecture.md"].read_text()
    folder = TOP
    for path in re.findall(r"`([a-z_/.-]+(?:\.py|/))`", page):
        places = (TOP / path, TOP / "reconciler" / path, folder / path)
        found = next((place for place in places if place.exists()), None)
        assert found is not None, path
        folder = found if path.endswith("/") else found.parent
    for package in ("reconciler", "api"):
        for room in (path.parent.name for path in (TOP / package).glob("*/__init__.py")):
            assert f"`{package}/{room}/`" in page, room


def test_every_module_of_a_run_is_on_the_map() -> None:
    page = PAGES["docs/architecture.md"].read_text()
    for file in [*(TOP / "api").glob("*.py"), *(TOP / "api" / "authentication").glob("*.py")]:
        assert file.name in page or file.name in ("__init__.py", "__main__.py", "pages.py", "listening.py"), file
    for file in (TOP / "reconciler" / "run").glob("*.py"):
        assert file.name in page or file.name in ("__init__.py", "errors.py"), file
