"""The program at its edge: help, names, colours, prompts, settings, secrets; and never a traceback."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import pytest
from scenario import ADMINISTRATORS, Accord, ConfigRepository, by_hand, issuer, user
from waiting import LONG

from reconciler.cli.exits import CHANGES, ERROR, OK, UNREACHABLE
from reconciler.cli.main import COMMANDS
from reconciler.cli.main import accord as program

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"])


def all_commands() -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    context = click.Context(program, **program.context_settings)
    for name in COMMANDS:
        command = program.get_command(context, name)
        found.append((name,))
        if isinstance(command, click.Group):
            found += [(name, inner) for inner in sorted(command.commands)]
    return found


# Help and names


@pytest.mark.parametrize("command", [(), *all_commands()], ids=" ".join)
def test_every_command_explains_itself_with_an_example(accord: Accord, command: tuple[str, ...]) -> None:
    for flag in ("--help", "-h"):
        shown = accord(*command, flag).output
        assert shown.startswith(f"Usage: {' '.join(('accord', *command))}")
        assert "Example" in shown
        assert f"\n    accord {' '.join(command)}" in shown


def test_what_a_command_is_said_to_do_in_the_list_is_what_it_says_itself(accord: Accord) -> None:
    listed = accord("--help").output
    for name, words in COMMANDS.items():
        assert f"  {name}" in listed
        assert words[:40] in listed


@pytest.mark.parametrize("command", [(), ("audit",), ("db",), ("import",)])
def test_a_group_by_itself_shows_its_help(accord: Accord, command: tuple[str, ...]) -> None:
    result = accord(*command, code=ERROR)
    assert result.stderr.startswith(f"Usage: {' '.join(('accord', *command))} ")


def test_the_version_is_told(accord: Accord) -> None:
    from reconciler import __version__

    assert accord("--version").output == f"accord, version {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("plna",), "there is no command `plna`; did you mean `plan`?"),
        (("PLAN",), "did you mean `plan`?"),
        (("frobnicate",), "there is no command `frobnicate`\n"),
        (("audit", "lsit"), "Did you mean 'list'?"),
        (("db", "upgarde"), "Did you mean 'upgrade'?"),
        (("plan", "--deatiled-exitcode"), "Did you mean '--detailed-exitcode'?"),
        (("plan", "--format", "xml"), "'text', 'markdown', 'json'"),
        (("plan", "extra"), "unexpected extra argument"),
        (("explain", "alice"), "Missing argument 'ISSUER'"),
        (("history", "--limit", "0"), "--limit"),
        (("validate", "a", "--rev", "b"), "not both"),
        (("apply",), "use --yes to apply without asking"),
        (("init", "x"), "--administrator is required"),
    ],
)
def test_a_typing_mistake_is_answered_with_the_nearest_name(accord: Accord, arguments: tuple[str, ...], words: str) -> None:
    result = accord(*arguments, code=ERROR)
    assert words in result.stderr
    assert result.stderr.startswith("accord: ")
    assert result.stdout == ""


# Errors


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (RuntimeError("boom"), "internal error (RuntimeError), a bug in Accord; nothing was changed. Set ACCORD_DEBUG=1"),
        (MemoryError(), "out of memory"),
        (PermissionError(13, "Permission denied", "/secret"), "Permission denied: /secret"),
        (OSError("odd"), "accord: odd"),
        (click.ClickException("said by click"), "accord: said by click"),
    ],
)
def test_no_traceback_is_shown_unless_asked_for(
    accord: Accord, monkeypatch: pytest.MonkeyPatch, error: Exception, message: str
) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr("reconciler.run.history.history", fail)
    result = accord("history", code=ERROR)
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    if not isinstance(error, click.ClickException):
        assert type(accord.run("history", ACCORD_DEBUG="1").exception) is type(error)


def test_a_reader_that_goes_away_ends_the_program_quietly(accord: Accord, repository: ConfigRepository) -> None:
    repository.commit({**ADMINISTRATORS, **{f"users/{number}.yaml": user(f"p{number}") for number in range(300)}})
    accord("apply", "--yes")
    for command in (("audit", "list"), ("audit", "export"), ("history",)):
        reading, writing = os.pipe()
        os.close(reading)
        process = subprocess.Popen(
            [sys.executable, "-m", "reconciler.cli", *command],
            env={**os.environ, **accord.environment},
            stdout=writing,
            stderr=subprocess.PIPE,
        )
        os.close(writing)
        assert process.communicate(timeout=LONG)[1] == b""
        assert process.returncode == OK


# Colours


def coloured(text: str) -> bool:
    return "\x1b[" in text


def test_colour_is_for_terminals_and_for_those_who_insist(accord: Accord, repository: ConfigRepository) -> None:
    repository.commit(ADMINISTRATORS)
    assert not coloured(accord("plan", NO_COLOR="").output)
    assert coloured(accord("plan", NO_COLOR="", FORCE_COLOR="1").output)
    assert not coloured(accord("plan", NO_COLOR="1", FORCE_COLOR="1").output)
    for format_ in ("json", "markdown"):
        assert not coloured(accord("plan", "--format", format_, NO_COLOR="", FORCE_COLOR="1").output)
    assert coloured(terminal(accord, "plan", NO_COLOR="").text)
    assert not coloured(terminal(accord, "plan", NO_COLOR="1").text)
    assert not coloured(terminal(accord, "plan", NO_COLOR="", TERM="dumb").text)


# A terminal


class Ended:
    def __init__(self, code: int, text: str) -> None:
        self.code, self.text = code, text


CTRL_C, CTRL_D = "\x03", "\x04"


def terminal(accord: Accord, *arguments: str, answer: str = "", patience: float | None = None, **variables: str) -> Ended:
    """Run the program on a terminal of its own; a line of the answer is typed whenever it asks."""
    answers = answer.splitlines(keepends=True)
    start = f"import reconciler.progress as p; p._PATIENCE = {patience}; " if patience is not None else ""
    code = f"{start}from reconciler.cli.main import main; main()"
    child, leader = pty.fork()
    if child == 0:
        os.execve(
            sys.executable,
            [sys.executable, "-W", "error", "-c", code, *arguments],
            {**os.environ, "TERM": "xterm", "COLUMNS": "200", **accord.environment, **variables},
        )
    text, typed = b"", ""
    for piece in _pieces(leader):
        text += piece
        if answers and text.endswith(b": "):
            typed = answers.pop(0)
            os.write(leader, typed.encode())
        elif typed in (CTRL_C, CTRL_D) and not piece:  # readline loses one that comes while it begins to read
            os.write(leader, typed.encode())
    os.close(leader)
    _, status = os.waitpid(child, 0)
    return Ended(os.waitstatus_to_exitcode(status), text.decode())


def _pieces(leader: int) -> Iterator[bytes]:
    """What is written to the terminal, and b"" for each second without a word."""
    silent = 0
    while silent < 30:
        if not select.select([leader], [], [], 1)[0]:
            silent += 1
            yield b""
            continue
        try:
            piece = os.read(leader, 65_536)
        except OSError:  # the other end was closed
            return
        if not piece:
            return
        silent = 0
        yield piece


def applied(accord: Accord) -> list[str]:
    return [entry["commit"] for entry in accord.json("history")]


@pytest.mark.slow
def test_apply_shows_the_plan_and_asks(accord: Accord, repository: ConfigRepository) -> None:
    head = repository.commit(ADMINISTRATORS)
    for answer in ("n\n", "\n", "x\nn\n", CTRL_D):
        ended = terminal(accord, "apply", answer=answer)
        assert ended.code == ERROR
        assert "Plan: Git → database" in ended.text
        assert "Apply this? [y/N]: " in ended.text
        assert ended.text.endswith("Nothing was changed.\r\n")
    assert applied(accord) == []
    interrupted = terminal(accord, "apply", answer=CTRL_C)
    assert interrupted.code == 130
    assert "interrupted" in interrupted.text
    assert applied(accord) == []
    assert "Applied" in terminal(accord, "apply", answer="y\n").text
    assert applied(accord) == [head]
    again = terminal(accord, "apply")
    assert again.code == OK
    assert "Apply this?" not in again.text
    assert "Already applied" in again.text


def test_a_refused_plan_can_be_agreed_to_only_with_the_override(accord: Accord, repository: ConfigRepository) -> None:
    repository.commit({"issuers/tls.yaml": issuer("tls")})
    refused = terminal(accord, "apply", answer="y\n")
    assert refused.code == 4
    assert "refused by last-administrator" in refused.text
    overriding = ("--override", "last-administrator", "--reason", "first day")
    assert terminal(accord, "apply", *overriding, answer="y\n").code == OK


def test_repair_shows_the_drift_and_asks(accord: Accord, repository: ConfigRepository) -> None:
    repository.commit({**ADMINISTRATORS, "issuers/tls.yaml": issuer("tls")})
    accord("apply", "--yes")
    by_hand(accord, "UPDATE issuers SET enabled = false", "UPDATE teams SET administrator = false")
    ended = terminal(accord, "drift", "--repair", answer=CTRL_D)
    assert (ended.code, ended.text.endswith("Nothing was changed.\r\n")) == (ERROR, True)
    kept = terminal(accord, "drift", "--repair", answer="n\n")
    assert kept.code == ERROR
    assert "Issuer tls" in kept.text
    for consequence in ("Access: nobody", "Administrators: + root", "✓ last-administrator"):
        assert consequence in kept.text.partition("Repair this?")[0]
    assert "Guards" not in accord("drift", code=CHANGES).output
    assert terminal(accord, "drift", "--repair", answer="y\n").code == OK
    accord("drift")


def test_init_asks_for_what_it_needs(accord: Accord, tmp_path: Path) -> None:
    folder = tmp_path / "config"
    made = terminal(accord, "init", str(folder), answer="alice\nalice@example.org\n")
    assert made.code == OK
    assert (folder / "users" / "alice.yaml").read_text().count("alice@example.org") == 1


def test_a_bar_is_drawn_on_a_terminal_only(accord: Accord, repository: ConfigRepository, tmp_path: Path) -> None:
    repository.commit(ADMINISTRATORS)
    folder = tmp_path / "folder"
    folder.mkdir()
    for number in range(50):
        (folder / f"{number}.yaml").write_text(f"apiVersion: accord/v1\nkind: Issuer\nmetadata: {{name: i{number}}}\n")
    drawn = terminal(accord, "validate", str(folder), patience=-1.0)
    assert "Checking" in drawn.text
    assert drawn.code == OK
    assert "Checking" not in terminal(accord, "validate", str(folder)).text  # done before anybody wonders
    assert "Checking" not in accord("validate", str(folder)).stderr


# Settings


def branch_asked_for(accord: Accord, *arguments: str, **variables: str) -> str:
    error = accord("plan", *arguments, code=ERROR, **variables).stderr
    return error.split("`")[1]


def test_an_option_goes_before_the_environment_that_before_the_file_and_that_before_the_default(
    accord: Accord, repository: ConfigRepository, tmp_path: Path
) -> None:
    file = tmp_path / "accord.toml"
    file.write_text('branch = "of-the-file"\nlisten = "127.0.0.1:1"\nsmtp = {host = "mail"}\ntrusted_proxies = []\n')
    variables = {"ACCORD_CONFIG": str(file), "ACCORD_BRANCH": "of-the-environment"}
    assert branch_asked_for(accord, "--branch", "of-the-option", **variables) == "of-the-option"
    assert branch_asked_for(accord, **variables) == "of-the-environment"
    assert branch_asked_for(accord, ACCORD_CONFIG=str(file)) == "of-the-file"
    assert branch_asked_for(accord) == "main"


def test_the_defaults_are_the_folder_and_a_file_in_it(
    accord: Accord, repository: ConfigRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.commit(ADMINISTRATORS)
    subprocess.run(["git", "clone", "-q", str(repository.path), str(tmp_path / "here")], check=True)
    monkeypatch.chdir(tmp_path / "here")
    unset = dict.fromkeys(("ACCORD_REPOSITORY", "ACCORD_DATABASE_URL", "ACCORD_CACHE", "CI"))
    accord("apply", "--yes", **unset, XDG_CACHE_HOME=str(tmp_path / "xdg"))
    assert (tmp_path / "here" / "accord.db").exists()
    assert (tmp_path / "xdg" / "accord").is_dir()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot read `"),
        ("branch = ", "is not TOML"),
        ('bramch = "x"', "sets `bramch`, which is not a setting; did you mean `branch`?"),
        ("branch = 1", "sets `branch`, which must be text"),
        ("cache = []", "sets `cache`, which must be text"),
        ('database_url = "mysql://x"', "Accord does not support mysql://x"),
    ],
)
def test_a_settings_file_that_cannot_be_used_is_named(accord: Accord, tmp_path: Path, content: str | None, words: str) -> None:
    file = tmp_path / "accord.toml"
    if content is not None:
        file.write_text(content)
    result = accord("history", code=ERROR, ACCORD_CONFIG=str(file), ACCORD_DATABASE_URL=None)
    assert words in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_settings_file_that_is_not_text_is_named(accord: Accord, tmp_path: Path) -> None:
    file = tmp_path / "accord.toml"
    file.write_bytes(b"\xff\xfe")
    assert "cannot read `" in accord("history", code=ERROR, ACCORD_CONFIG=str(file)).stderr


# Secrets


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://accord:hunter2@127.0.0.1:1/accord",
        "postgresql://accord:hunter2@127.0.0.1:1/accord?password=hunter2",
        "mysql://accord:hunter2@127.0.0.1/accord",
        "postgresql://accord:hunter2@x:y@127.0.0.1/accord",
        "postgresql://accord:hunter2@127.0.0.1:port/accord",
        "sqlite://accord:hunter2@host/accord.db",
    ],
)
@pytest.mark.parametrize("command", [("history",), ("plan",), ("apply", "--yes"), ("db", "current"), ("drift",)])
def test_a_password_in_the_database_url_is_never_shown(
    accord: Accord, repository: ConfigRepository, url: str, command: tuple[str, ...]
) -> None:
    repository.commit(ADMINISTRATORS)
    result = accord.run(*command, "--database", url)
    assert result.exit_code in (ERROR, UNREACHABLE)
    assert "hunter2" not in result.output + result.stderr
    assert "internal error" not in result.stderr


@pytest.mark.parametrize(
    "location",
    [
        "https://accord:hunter2@127.0.0.1:1/config.git",
        "https://hunter2@127.0.0.1:1/config.git",
        "http://accord:hunter2@127.0.0.1:1/config.git",
        "ssh://accord:hunter2@127.0.0.1:1/config.git",
    ],
)
def test_credentials_in_the_repository_url_are_never_shown(accord: Accord, location: str) -> None:
    for command in (("plan",), ("apply", "--yes"), ("validate", "--rev", "main")):
        result = accord(*command, "--repository", location, code=UNREACHABLE)
        assert "hunter2" not in result.output + result.stderr
        assert "127.0.0.1:1/config.git" in result.stderr


# Completion


@pytest.fixture
def path_with_accord(tmp_path: Path) -> Mapping[str, str]:
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "accord").write_text(f'#!/bin/sh\nexec {sys.executable} -m reconciler.cli "$@"\n')
    (folder / "accord").chmod(0o755)
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}


def test_bash_completes_commands_options_and_values(accord: Accord, path_with_accord: Mapping[str, str]) -> None:
    script = accord("completion", "bash").output
    asked = {
        ("accord", "pla"): "plan",
        ("accord", "audit", "ver"): "verify",
        ("accord", "plan", "--detailed"): "--detailed-exitcode",
        ("accord", "validate", "--format", "sar"): "sarif",
        ("accord", "plna", "--x"): "",
    }
    for words in asked:
        script += (
            f"COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; COMPREPLY=(); "
            f'_accord_completion accord "{words[-1]}"; echo "${{COMPREPLY[*]}}"\n'
        )
    ended = subprocess.run(["bash", "-c", script], env=path_with_accord, capture_output=True, text=True, check=False)
    assert ended.stderr == ""
    assert ended.stdout.splitlines() == list(asked.values())


@pytest.mark.parametrize(
    ("shell", "sign"), [("bash", "complete -o"), ("zsh", "#compdef accord"), ("fish", "complete --no-files")]
)
def test_each_shell_has_a_script(accord: Accord, shell: str, sign: str) -> None:
    script = accord("completion", shell).output
    assert sign in script
    assert "_ACCORD_COMPLETE" in script


# Validation, in every format


def test_problems_in_every_format(accord: Accord, tmp_path: Path) -> None:
    file = tmp_path / "team.yaml"
    (tmp_path / ".git").mkdir()
    file.write_text("apiVersion: accord/v1\nkind: Team\nmetadata: {name: web}\nspec: {members: [nobody]}\n")
    [error, warning] = accord.json("validate", str(tmp_path), code=ERROR)
    assert {error["rule"], warning["rule"]} == {"unknown-reference", "grants-nothing"}
    sarif = accord("validate", str(tmp_path), "--format", "sarif", code=ERROR).output
    assert '"version": "2.1.0"' in sarif
    github = accord("validate", str(tmp_path), "--format", "github", code=ERROR).output
    assert github.startswith(("::error file=team.yaml,line=4", "::warning file=team.yaml"))
    text = accord("validate", str(tmp_path), code=ERROR).output
    assert text.endswith("1 resource in 1 file: 1 error, 1 warning\n")
    file.write_text("apiVersion: accord/v1\nkind: Issuer\nmetadata: {name: tls}\n")
    accord("validate", str(tmp_path))
    accord("validate", str(tmp_path), "--strict", code=ERROR)
    file.unlink()
    assert accord("validate", str(tmp_path), "--format", "github").output.startswith("::warning")
    assert "there is no folder" in accord("validate", str(tmp_path / "nowhere"), code=ERROR).stderr
