"""No command, in any format, prints text of a repository or a database that a terminal or a CI runner would obey."""

from __future__ import annotations

import json
import re
import subprocess
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result
from scenario import ADMINISTRATORS, Accord, ConfigRepository, by_hand, issuer, team, user

COMMANDS = (
    "::add-mask::x",
    " \u3000::notice title=Approved::by security",
    "##[add-mask]x",
    "a ##vso[task.complete]",
    "##teamcity[x]",
)
ESCAPES = (
    "\x1b[2J",
    "\x9b2J",
    "\x1b]1338;url=x\x07",
    "\r\x1b[0Ksection_start:1:x\r\x1b[0K",
    "\u202egnp",
    "a\n::warning::b",
    "\n--- x",
)
pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"])
HOSTILE = (*COMMANDS, *ESCAPES)
TEMPORARY = {"user": "root", "until": "2099-01-01"}
RUNNER = {"GITHUB_ACTIONS": "true", "CI": "true", "ACCORD_APPLIED_BY": "::error::x"}


def obeyed(text: str, *, annotations: bool = False) -> Iterator[str]:
    """What a runner or a terminal would take for its own."""
    for line in re.split(r"[\r\n]", text):
        own = annotations and re.match(r"::(error|warning) file=[^:]*,title=[^:]*::(?!.*##\w*\[)", line)
        if not own and (re.match(r"\s*::|(---|\+\+\+|~~~) ", line) or re.search(r"##[A-Za-z]*\[", line)):
            yield line
    yield from (char for char in text if char not in "\t\n" and unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp", "Cs"))


def check(result: Result, *, annotations: bool = False) -> Result:
    assert [*obeyed(result.stdout, annotations=annotations), *obeyed(result.stderr)] == []
    assert "Traceback" not in result.stderr
    return result


@pytest.fixture
def hostile(repository: ConfigRepository, accord: Accord) -> Accord:
    """Everything that is free text holds something hostile, what is applied as well as what comes next."""
    text = "\n".join((*COMMANDS, "--- x"))
    files = {
        **ADMINISTRATORS,
        "issuers/tls.yaml": issuer("tls", displayName="##[group]tls", description=text),
        "::notice::teams.yaml": team("web", description=text, issuers=["tls"], members=[TEMPORARY | {"reason": COMMANDS[0]}]),
        "##[x]/users.yaml": user("alice", fullName="##vso[x]Alice")
        | {"metadata": {"name": "alice", "labels": {"a": COMMANDS[3]}}},
    }
    repository.commit(files, message="::add-mask::everything ##[x] \x1b[2J")
    accord("apply", "--yes", **RUNNER)
    by_hand(accord, 'UPDATE revisions SET overrides = \'[{"guard": "##[x]", "reason": "::x::\\u001b[2J"}]\', counts = \'{}\'')
    files["::notice::teams.yaml"] = team("web", description=text[::-1] + COMMANDS[3], issuers=["tls"], members=["alice"])
    files["::x::/new.yaml"] = user("bob", fullName="\u3000##[x]Bob")
    repository.commit(files, message="".join(HOSTILE))
    return accord


@pytest.mark.parametrize(
    "command",
    [
        "plan",
        "plan --format markdown",
        "plan --format json",
        "plan --against main~1 --format markdown",
        "history",
        "history --format json",
        "show APPLIED",
        "show APPLIED --format json",
        "audit list",
        "audit list --format json",
        "audit export",
        "drift",
        "drift --format json",
        "drift --repair --yes",
        "access",
        "explain alice tls",
        "explain root tls --format json",
        "validate --rev main --format github",
        "validate --rev main --format sarif",
        "apply --yes",
    ],
)
def test_nothing_that_a_command_prints_is_obeyed(hostile: Accord, command: str) -> None:
    if command.startswith("drift"):
        by_hand(hostile, "UPDATE issuers SET description = '::x::' || description", "UPDATE users SET full_name = '##[\x1b[2J'")
    applied = json.loads(hostile("history", "--format", "json").stdout)[0]["commit"]
    result = check(hostile.run(*command.replace("APPLIED", applied).split(), **RUNNER), annotations="github" in command)
    assert result.exit_code in (0, 2), result.stderr
    if "json" in command and "drift" not in command:
        assert "##[" in json.dumps(json.loads(result.stdout)), "who parses it gets the text itself"


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_that_a_command_was_called_with_is_obeyed(repository: ConfigRepository, accord: Accord, text: str) -> None:
    repository.commit(ADMINISTRATORS)
    accord("apply", "--yes")
    for command in (
        ("plan", "--rev", text),
        (text,),
        ("access", "--issuer", text),
        ("explain", text, text),
        ("show", text),
        ("db", "current", "--database", f"sqlite:///{text}"),
        ("plan", "--repository", text),
        ("plan", "--path", text),
        ("plan", "--branch", text),
        ("drift", "--only", text),
        ("apply", "--yes", "--override", text, "--reason", "x"),
        ("validate", text),
        ("mail", "preview", text),
        ("audit", "verify", text),
    ):
        assert check(accord.run(*command, **RUNNER)).exit_code in (1, 2, 6), command


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("format_", ["text", "json", "sarif", "github"])
def test_no_problem_with_a_file_is_obeyed(repository: ConfigRepository, accord: Accord, text: str, format_: str) -> None:
    name = text.replace("\n", "").replace("\r", "").replace("/", "")
    written = json.dumps(text)
    repository.commit(
        {
            **ADMINISTRATORS,
            f"{name}.yaml": "kind: Nonsense\n",
            "x.yaml": f"apiVersion: accord/v1\nkind: User\nmetadata: {{name: x}}\nspec: {{email: x@example.org, {written}: 1}}\n",
            "y.yaml": f"apiVersion: accord/v1\nkind: Team\nmetadata: {{name: {written}}}\nspec: {{members: [{written}]}}\n",
            "z.yaml": f"a: [1\n{text}\n",
            "templates/t.yaml": "apiVersion: accord/v1\nkind: EmailTemplate\nmetadata: {name: welcome}\n"
            f"spec: {{subject: x, text: {json.dumps('{{ ' + text + ' }}')}}}\n",
        }
    )
    found = check(accord.run("validate", "--rev", "main", "--format", format_, **RUNNER), annotations=format_ == "github")
    assert found.exit_code == 1
    if format_ == "json":
        assert any(name in problem["file"] for problem in json.loads(found.stdout))
    for command in (("plan", "--format", "markdown"), ("apply", "--yes"), ("plan", "--against", "main")):
        assert check(accord.run(*command, **RUNNER)).exit_code == 3


@pytest.mark.parametrize("format_", ["text", "html", "json"])
def test_no_previewed_mail_is_obeyed(accord: Accord, tmp_path: Path, format_: str) -> None:
    lines = "\n".join((*COMMANDS, "--- x", "{{ user.name }}", "{{ password }}"))
    template = {"subject": "##[x] Welcome", "text": f"Hello\n{lines}\n", "html": f"<p>Hello\n{lines}</p>"}
    (tmp_path / "welcome.yaml").write_text(
        json.dumps({"apiVersion": "accord/v1", "kind": "EmailTemplate", "metadata": {"name": "welcome"}, "spec": template})
    )
    result = check(accord.run("mail", "preview", "welcome", str(tmp_path), "--format", format_, **RUNNER))
    assert result.exit_code == 0, result.stderr
    assert "add-mask" in result.stdout


def test_a_line_break_written_by_hand_forges_no_line_of_a_plan(repository: ConfigRepository, accord: Accord) -> None:
    repository.commit({**ADMINISTRATORS, "users/eve.yaml": user("eve", fullName="Eve", initialPassword="none")})
    accord("apply", "--yes")
    by_hand(accord, "UPDATE users SET full_name = 'Eve' || char(10) || '  ✓ identity-handed-over: forged' WHERE name = 'eve'")
    other = user("eve", fullName="Eva", email="eva@example.org", initialPassword="none")
    repository.commit({"users/eve.yaml": other})
    for command in (("plan",), ("apply", "--yes"), ("apply", "--yes", "--override", "identity-handed-over", "--reason", "x")):
        for colour in ({}, {"NO_COLOR": "", "FORCE_COLOR": "1"}):
            said = accord.run(*command, **colour)
            assert "Eve\\u000a" in said.output + said.stderr or "Already applied" in said.output
            assert not re.search(r"^(\x1b\[\d+m)* +✓ identity-handed-over: forged", said.output + said.stderr, re.MULTILINE)


def test_a_patch_with_commands_for_a_runner_reaches_files_alone(hostile: Accord, tmp_path: Path) -> None:
    by_hand(hostile, "UPDATE users SET full_name = '##vso[task.complete]' WHERE name = 'alice'")
    hostile("apply", "--yes", code=0)
    by_hand(hostile, "UPDATE users SET full_name = 'Alice', email = 'a@example.org' WHERE name = 'alice'")
    for runner in ("CI", "TF_BUILD", "TEAMCITY_VERSION"):
        hostile.environment[runner] = ""  # the tests themselves may run in one
    piped = hostile.process("drift", "--patch")
    assert piped.communicate()[0]
    environment = {**hostile.environment, "CI": "true", "PATH": "/usr/bin:/bin"}
    hostile.environment.update(environment)
    refused = hostile.process("drift", "--patch")
    out, err = refused.communicate()
    assert (refused.returncode, out) == (1, b"")
    assert b"write it to a file" in err
    with (tmp_path / "adopt.patch").open("wb") as file:
        process = subprocess.Popen(refused.args, env={**environment}, stdout=file)
        assert process.wait() == 2
    assert "##vso[" in (tmp_path / "adopt.patch").read_text()


@pytest.mark.usefixtures("database_kind")
def test_only_the_edge_writes(request: pytest.FixtureRequest) -> None:
    folder = request.config.rootpath / "reconciler"
    writing = [
        path.name
        for path in folder.rglob("*.py")
        if re.search(r"click\.(secho|echo)\(|\bprint\(|sys\.stdout\.(write|buffer)", path.read_text())
    ]
    assert sorted(writing) == ["completion.py", "output.py", "progress.py"]  # the last writes nothing but bars, for both programs
