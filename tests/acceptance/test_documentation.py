"""What the documentation says is so: every example is run, every link leads somewhere."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
import tomllib
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import certifi
import jsonschema
import pytest
from manual import FENCE, OUTPUTS, PAGES, fences, prose
from postgresql_server import PostgresqlServer

from api.directory.settings import read_directories
from api.settings import read_settings
from docs import examples
from docs.examples import TOP, Ran, pages
from reconciler.access.resources import KINDS
from reconciler.run.deployment import read_deployment
from reconciler.source.blobs import read_blob
from reconciler.source.schema import schema_of

WITH_EXAMPLES = [name for name, page in PAGES.items() if re.search("^```(?:console|bash)$", page.read_text(), re.MULTILINE)]
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


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
        for found in FENCE.finditer(page.read_text()):
            assert not re.search(f"^{found['fence']}`*$", found["body"], re.MULTILINE), f"{name}: {found['body']}"


def test_the_pages_for_every_reader_have_examples() -> None:
    operators = ("install", "run", "mail", "monitoring", "adopt", "drift", "audit", "recover")
    others = ("new-colleague", "pull-request-author", "ci-owner", "application-developer", "command-output")
    assert {"README.md", *(f"docs/{page}.md" for page in (*operators, *others))} <= set(WITH_EXAMPLES)


@pytest.mark.parametrize("name", ["README.md", "docs/new-colleague.md"])
def test_a_tour_can_be_pasted(name: str) -> None:
    shown = examples.examples(PAGES[name].read_text())
    assert {item.pasted for item in shown} == {True}


@pytest.mark.parametrize("name", ["install", "run", "mail", "proxies", "monitoring", "adopt", "drift", "audit", "recover"])
def test_a_page_for_operators_reaches_its_first_command_soon(name: str) -> None:
    before, fence, _ = PAGES[f"docs/{name}.md"].read_text().partition("```")
    assert fence
    assert before.count("\n") <= 30


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        (["at 2026-01-01T00:00:00Z, abcdef012345"], ["at 2027-12-31T23:59:59Z, 012345abcdef"], True),
        (["one", "…", "four"], ["one", "two", "three", "four"], True),
        (["one", "…", "four"], ["one", "two", "three"], False),
        (["…"], [], True),
        (["alice gains vpn"], ["alice loses vpn"], False),
        (["until 2099-12-31"], ["until 2098-12-31"], False),
        (["until 2099-12-31T18:00:00Z"], ["until 2098-12-31T18:00:00Z"], False),
        (['"permissionUntil": "2099-12-31T18:00:00Z",'], ['"permissionUntil": "2098-12-31T18:00:00Z",'], False),
        (['{"until":"2099-12-31T18:00:00Z"}'], ['{"until":"2098-12-31T18:00:00Z"}'], False),
        (["1 error"], ["1 error", "2 warnings"], False),
        ([], ["anything"], False),
    ],
)
def test_an_example_is_as_shown_if_only_the_day_differs(shown: list[str], printed: list[str], same: bool) -> None:
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
            command = next((prefix for prefix in OUTPUTS if item.example.command.startswith(prefix)), None)
            if command is None or "--format json" not in item.example.command:
                continue
            schema = json.loads((TOP / "schemas" / f"{OUTPUTS[command]}.schema.json").read_bytes())
            lines = [line for line in item.output if not line.startswith("exit code")]
            jsonschema.Draft202012Validator(schema).validate(json.loads("\n".join(lines)))
            seen.add(command)
    assert seen == set(OUTPUTS)


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
    about_directories, about_mail, deployment = (body for _, _, body in fences("toml"))
    (tmp_path / "accord.toml").write_text(deployment)
    found = read_deployment({}, {"ACCORD_CONFIG": str(tmp_path / "accord.toml")})
    assert found.database_url == tomllib.loads(deployment)["database_url"]
    tables = tomllib.loads(about_directories)["directory"]
    tables["corp"] |= dict.fromkeys(("ca_file", "secret_file"), certifi.where())
    (directory,) = read_directories(tables, {})
    assert [controller.tls for controller in directory.controllers] == [True, False]
    (tmp_path / "password").write_text("of no account\n")
    (tmp_path / "accord.toml").write_text(about_mail.replace("/etc/accord/smtp-password", str(tmp_path / "password")))
    mail = read_settings({}, {"ACCORD_CONFIG": str(tmp_path / "accord.toml")}).mail
    assert mail.server is not None
    assert (mail.server.port, mail.public_url) == (587, "https://accord.example.org")


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
        postgresql_server.execute(run("accord_owner", "db", "grants", "accord_plan")[1], "accord")
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
    text = FENCE.sub("", file.read_text())
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
