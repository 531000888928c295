"""What the documentation says is so: every example is run, every link leads somewhere, nothing there is goes unsaid."""

from __future__ import annotations

import ast
import configparser
import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import certifi
import click
import jsonschema
import pytest
from postgresql_server import PostgresqlServer

from api.directory.settings import read_directories
from api.errors import Problem
from api.metrics import Metrics
from api.schemas import COMPONENTS
from api.server import PATIENCE
from api.settings import DEFAULTS as SETTINGS
from docs import examples, reference
from docs.examples import TOP, Ran, pages
from reconciler.access.resources import KINDS
from reconciler.cli import exits
from reconciler.cli.main import accord
from reconciler.plan.guards import GUARDS
from reconciler.run.deployment import DEFAULTS, current_user, read_deployment
from reconciler.source.blobs import read_blob
from reconciler.source.schema import FILES, schema_of

PAGES = {str(page.relative_to(TOP)): page for page in pages()}
WITH_EXAMPLES = [name for name, page in PAGES.items() if "```console" in page.read_text()]
_FENCE = re.compile(r"^(?P<fence>`{3,})(?P<kind>\w+)?(?: (?P<about>\S+))?\n(?P<body>.*?)^(?P=fence)$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_OUTPUTS = {
    "accord validate": "problems",
    "accord plan": "plan",
    "accord access": "access",
    "accord explain": "explanation",
    "accord drift": "drift",
    "accord history": "history",
    "accord show": "show",
    "accord audit list": "audit",
    "accord audit verify": "verification",
    "accord db current": "version",
    "accord db check": "version",
}


def fences(kind: str) -> Iterator[tuple[str, str, str]]:
    """Every fenced block of a kind: its page, the word after the kind, and what it holds."""
    for name, page in PAGES.items():
        for found in _FENCE.finditer(page.read_text()):
            if found["kind"] == kind:
                yield name, found["about"] or "", found["body"]


def prose(name: str) -> str:
    """A page without its fenced blocks and comments."""
    return re.sub(r"<!--.*?-->", "", _FENCE.sub("", PAGES[name].read_text()), flags=re.DOTALL)


@cache
def all_ran() -> dict[str, list[Ran]]:
    """Every page's examples, run; several pages at a time."""
    if shutil.which("curl") is None:
        reason = "curl is not installed (Debian: apt-get install curl); the examples of the documentation are not tested"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        slowest_first = sorted(WITH_EXAMPLES, key=lambda name: PAGES[name].read_text().count("accord "), reverse=True)
        return dict(zip(slowest_first, pool.map(lambda name: examples.run(PAGES[name].read_text()), slowest_first), strict=True))


def ran(name: str) -> list[Ran]:
    return all_ran()[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_every_example_prints_what_its_page_shows(name: str) -> None:
    for item in ran(name):
        place = f"{name}:{item.example.line}: $ {item.example.command}\n"
        assert item.is_as_shown, f"{place}{chr(10).join(item.output)}\n(`make docs` writes what is printed into the page)"


def test_no_fenced_block_is_ended_by_what_it_shows() -> None:
    for name, page in PAGES.items():
        for found in _FENCE.finditer(page.read_text()):
            assert not re.search(f"^{found['fence']}`*$", found["body"], re.MULTILINE), f"{name}: {found['body']}"


def test_the_pages_for_every_reader_have_examples() -> None:
    readers = (
        "README.md",
        *(
            f"docs/{page}.md"
            for page in ("pull-request-author", "ci-owner", "operator", "application-developer", "command-output")
        ),
    )
    assert set(readers) <= set(WITH_EXAMPLES)


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        (["at 2026-01-01T00:00:00Z, abcdef012345"], ["at 2027-12-31T23:59:59Z, 012345abcdef"], True),
        (["one", "…", "four"], ["one", "two", "three", "four"], True),
        (["one", "…", "four"], ["one", "two", "three"], False),
        (["…"], [], True),
        (["alice gains vpn"], ["alice loses vpn"], False),
        (["until 2030-12-31"], ["until 2031-12-31"], False),
        (["1 error"], ["1 error", "2 warnings"], False),
        ([], ["anything"], False),
    ],
)
def test_an_example_is_as_shown_only_where_nothing_but_the_day_differs(shown: list[str], printed: list[str], same: bool) -> None:
    assert Ran(examples.Example("true", shown, 1, False), printed, 0).is_as_shown is same


def test_an_example_that_readers_do_not_see_must_succeed() -> None:
    page = (
        "<!-- run: cd / && false -->\n\n```console\n$ pwd\n/\n$ cat <<END\n> a\n> END\na\n$ echo b; cd /tmp\n$ pwd\n/root\n```\n"
    )
    results = examples.run(page)
    assert [item.is_as_shown for item in results] == [False, True, True, False, False]
    assert "$ pwd\n/tmp\n```" in examples.renewed(page, results)
    assert "> END\na\n$ echo b; cd /tmp\nb\n" in examples.renewed(page, results)


@pytest.mark.slow
def test_what_is_printed_for_programs_is_what_its_schema_describes() -> None:
    seen = set()
    for name in WITH_EXAMPLES:
        for item in ran(name):
            command = next((prefix for prefix in _OUTPUTS if item.example.command.startswith(prefix)), None)
            if command is None or "--format json" not in item.example.command:
                continue
            schema = json.loads((TOP / "schemas" / f"{_OUTPUTS[command]}.schema.json").read_bytes())
            lines = [line for line in item.output if not line.startswith("exit code")]
            jsonschema.Draft202012Validator(schema).validate(json.loads("\n".join(lines)))
            seen.add(command)
    assert seen == set(_OUTPUTS)


@pytest.mark.parametrize(("name", "about", "body"), list(fences("yaml")))
def test_every_yaml_example_is_valid_or_an_extract_of_the_file_it_names(name: str, about: str, body: str) -> None:
    if about:
        file = TOP / "examples" / "starter" / about
        assert textwrap.dedent(body).strip() in textwrap.dedent(file.read_text()) or body.rstrip() in file.read_text()
        return
    blob = read_blob(body.encode())
    assert blob.reports == []
    assert blob.documents


def test_every_kind_has_a_yaml_example_for_authors() -> None:
    kinds = {
        document["kind"]
        for name, about, body in fences("yaml")
        if name == "docs/pull-request-author.md" and not about
        for _, document in read_blob(body.encode()).documents
    }
    assert kinds == set(KINDS)


@pytest.mark.parametrize(("name", "_about", "body"), list(fences("json")))
def test_every_json_example_is_a_valid_resource(name: str, _about: str, body: str) -> None:
    value = json.loads(body)
    jsonschema.Draft202012Validator(schema_of(value["kind"])).validate(value)


def test_the_toml_examples_are_settings(tmp_path: Path) -> None:
    about_directories, deployment = sorted((body for _, _, body in fences("toml")), key=lambda body: "[directory" not in body)
    (tmp_path / "accord.toml").write_text(deployment)
    found = read_deployment({}, {"ACCORD_CONFIG": str(tmp_path / "accord.toml")})
    assert found.database_url == tomllib.loads(deployment)["database_url"]
    tables = tomllib.loads(about_directories)["directory"]
    tables["corp"] |= dict.fromkeys(("ca_file", "secret_file"), certifi.where())
    (directory,) = read_directories(tables, {})
    assert [controller.tls for controller in directory.controllers] == [True, False]


@pytest.mark.postgresql
@pytest.mark.slow
def test_the_privileges_for_postgresql_are_enough_and_not_more(postgresql_server: PostgresqlServer, tmp_path: Path) -> None:
    roles, privileges, _of_the_api = (body for _, _, body in fences("sql"))
    repository = tmp_path / "config"
    subprocess.run(["cp", "-r", str(TOP / "examples" / "config-repo"), str(repository)], check=True)
    git = ["git", "-C", str(repository), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for arguments in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "One"]):
        subprocess.run([*git, *arguments], check=True)

    def run(role: str, *arguments: str) -> tuple[int, str]:
        url = postgresql_server.url("accord", role)
        environment = {
            **os.environ,
            "ACCORD_DATABASE_URL": url,
            "ACCORD_REPOSITORY": str(repository),
            "ACCORD_CACHE": str(tmp_path),
        }
        command = [sys.executable, "-m", "reconciler.cli", *arguments]
        done = subprocess.run(command, env=environment, cwd=TOP, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    try:
        for statement in roles.strip().split(";\n"):
            postgresql_server.execute(statement)
        assert run("accord_owner", "db", "upgrade")[0] == 0
        postgresql_server.execute(privileges, "accord")
        assert run("accord_plan", "plan")[0] == 0
        assert run("accord_plan", "apply", "--yes")[0] == 1
        code, said = run("accord_apply", "apply", "--yes")
        assert code == 0, said
        assert run("accord_plan", "drift")[0] == 0
        for forbidden in ("UPDATE audit SET actor = 'x'", "DELETE FROM audit", "UPDATE revisions SET author = 'x'"):
            with pytest.raises(Exception, match="permission denied"):
                postgresql_server.execute(f"SET ROLE accord_apply; {forbidden}", "accord")
    finally:
        postgresql_server.drop_database(postgresql_server.url("accord"))
        for role in ("accord_plan", "accord_apply", "accord_owner"):
            postgresql_server.execute(f"DROP ROLE IF EXISTS {role}")


def test_every_link_leads_somewhere() -> None:
    broken = []
    for name, page in PAGES.items():
        for target in _LINK.findall(prose(name)):
            path, _, anchor = target.partition("#")
            if "://" in path:
                continue
            file = (page.parent / path).resolve() if path else page
            if not file.exists() or (anchor and anchor not in anchors(file)):
                broken.append(f"{name}: {target}")
    assert broken == []


def anchors(file: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    text = _FENCE.sub("", file.read_text())
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    }


def test_every_page_is_reached_from_the_readme() -> None:
    reached, waiting = set(), [TOP / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached:
            continue
        reached.add(page)
        paths = (target.partition("#")[0] for target in _LINK.findall(page.read_text()) if "://" not in target)
        targets = [page.parent / path for path in paths if path]
        for target in targets:
            found = sorted(target.resolve().glob("*.md")) if target.is_dir() else [target.resolve()]
            waiting += [file for file in found if file.suffix == ".md" and file.is_file()]
    assert {str(page.relative_to(TOP)) for page in set(pages()) - reached} == set()


def rules_in_code() -> set[str]:
    """Every rule id that reading a config repository, or planning it, can report: what stands as a rule where they are made."""
    makers = {"Problem": 3, "Finding": 0, "_Found": 2, "Unreadable": 0, "_at": 1}
    found: set[str] = set()
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
    assert sorted(documented) == sorted(COMPONENTS["Decision"]["properties"]["reason"]["enum"])


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
    for command, schema in _OUTPUTS.items():
        assert f"| `{command} --format json`" in page
        assert f"schemas/{schema}.schema.json" in page


def test_every_exit_code_is_documented_and_no_other() -> None:
    codes = [value for name, value in vars(exits).items() if name.isupper() and isinstance(value, int)]
    section = prose("docs/ci-owner.md").partition("\n## Exit codes\n")[2].partition("\n## ")[0]
    assert [int(code) for code in re.findall(r"^\| (\d+) \|", section, re.MULTILINE)] == sorted(codes)
    assert set(map(int, re.findall(r"(\d+) [a-z]", (accord.epilog or "").partition("Exit codes:")[2]))) == set(codes)


def variables_in_code() -> set[str]:
    """Every ACCORD_* variable that the program reads."""
    found = {f"ACCORD_{name.upper()}" for name in DEFAULTS}
    for file in (TOP / "reconciler").rglob("*.py"):
        found |= set(re.findall(r"""(?:environ|env)(?:\.get\(|\[)["'](ACCORD_[A-Z_]+)""", file.read_text()))
    return found | {"ACCORD_APPLIED_BY"}


def test_every_setting_of_a_deployment_is_documented_with_its_default() -> None:
    assert current_user({"ACCORD_APPLIED_BY": "x"}) == "x"
    documented = table_keys("docs/operator.md", "Settings of a deployment")
    assert sorted(documented) == sorted(variables_in_code())
    for name, default in DEFAULTS.items():
        row = next(line for line in prose("docs/operator.md").splitlines() if line.startswith(f"| `ACCORD_{name.upper()}`"))
        assert f"| `{name}` |" in row
        assert f"| {f'`{default}`' if default else 'its root'} |" in row


def test_every_setting_of_the_api_is_documented_with_its_default() -> None:
    documented = table_keys("docs/operator.md", "Settings of the API")
    assert sorted(documented) == sorted({*(f"ACCORD_{name.upper()}" for name in SETTINGS), "ACCORD_CONFIG", "ACCORD_DEBUG"})
    section = prose("docs/operator.md").partition("\n## Settings of the API\n")[2]
    for name, default in SETTINGS.items():
        row = next(line for line in section.splitlines() if line.startswith(f"| `ACCORD_{name.upper()}`"))
        assert f"| `{name}` |" in row
        assert f"| {f'`{default}`' if default else {'trusted_proxies': 'none', 'hashes': 'the processors'}[name]} |" in row


def test_every_metric_is_documented_and_no_other() -> None:
    documented = table_keys("docs/operator.md", "Health, metrics, logs")
    counted = {sample.name + ("_total" if sample.type == "counter" else "") for sample in Metrics().registry.collect()}
    assert {word for word in documented if word.startswith("accord_")} == counted


def test_the_unit_of_the_api_runs_a_command_that_there_is() -> None:
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


def test_the_two_commands_are_in_the_readme_and_in_the_makefile() -> None:
    targets = re.findall(r"^([a-z-]+):.*?## ", (TOP / "Makefile").read_text(), re.MULTILINE)
    for command in ("demo", "test"):
        assert f"| `make {command}` |" in PAGES["README.md"].read_text()
        assert command in targets
    mentioned = {target for page in PAGES.values() for target in re.findall(r"`make ([a-z-]+)`", page.read_text())}
    assert mentioned <= {*targets, "help"}


def test_the_readme_has_a_picture_that_is_drawn_for_light_and_dark_pages() -> None:
    (picture,) = re.findall(r"!\[.+\]\((\S+\.svg)\)", PAGES["README.md"].read_text())
    drawing = (TOP / picture).read_text()
    assert drawing.startswith("<svg") and "aria-label" in drawing
    assert set(re.findall(r"\.(?:note|arrow|head) {[^}]*?(?:fill|stroke): (#\w+)", drawing)) == {"#7d8590"}, (
        "grey outside of boxes"
    )


def test_no_page_speaks_of_a_path_of_one_machine() -> None:
    for name, page in PAGES.items():
        assert not re.search(r"/(?:work|root|tmp)/", page.read_text()), name
