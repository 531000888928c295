"""`accord-api` on the host: help, acting on accounts, errors and exit codes."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import click
import pytest
from client import PASSWORD, World
from served import TOP, command
from terminals import on_a_terminal
from test_inert_output import HOSTILE, obeyed
from test_sessions import login
from waiting import LONG

from api.cli.main import accord_api

ALL = [
    (),
    ("serve",),
    ("user",),
    *[("user", name) for name in ("set-password", "unlock", "require-password-change", "disable", "enable", "import-hashes")],
    ("token",),
    ("token", "list"),
    ("token", "expiring"),
    ("token", "revoke"),
    ("mail",),
    ("mail", "status"),
    ("mail", "retry"),
    ("mail", "test"),
    ("directory",),
    ("directory", "doctor"),
    ("directory", "groups"),
    ("directory", "resolve"),
    ("completion",),
]
ON_ACCOUNTS = [
    words
    for words in ALL
    if len(words) == 2 and words[0] not in ("directory", "mail") and words[1] not in ("expiring", "import-hashes")
]


def walk(group: click.Command, words: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = [words]
    if isinstance(group, click.Group):
        context = click.Context(group)
        for name in group.list_commands(context):
            child = group.get_command(context, name)
            assert child is not None
            found += walk(child, (*words, name))
    return found


def test_the_commands_are_these() -> None:
    assert walk(accord_api) == ALL


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_command_has_help_with_examples(words: tuple[str, ...]) -> None:
    shown = command(*words, "--help")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "Example" in shown.stdout
    assert f"  accord-api {' '.join(words)}" in shown.stdout


SERVE = ("serve", "--database", "sqlite:///x.db")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("serv",), "there is no command `serv`; did you mean `serve`?\nTry `accord-api --help`."),
        (("user", "unlokc"), "there is no command `unlokc`; did you mean `unlock`?\nTry `accord-api user --help`."),
        (("xyz",), "there is no command `xyz`; there are serve, user, token, mail, directory, completion\nTry `accord-api"),
        (("serve", "--thread", "1"), "No such option"),
        (
            ("serve", "--database", "sqlite:///x.db", "--listen", "8080"),
            "cannot listen on `8080`; write `127.0.0.1:8080` or `[::1]:8080`",
        ),
        ((*SERVE, "--threads", "0"), "ACCORD_THREADS must be a number from 4 to 512, not `0`"),
        (("token", "revoke", "alice"), "name the IDs to revoke (`accord-api token list` shows them), or use --all"),
        (("completion", "tcsh"), "'tcsh' is not one of 'bash', 'zsh', 'fish'"),
    ],
)
def test_a_mistyped_command_is_named_and_exits_with_1(words: tuple[str, ...], said: str) -> None:
    done = command(*words)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("accord-api: ")
    assert said in done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_for_each_shell(shell: str) -> None:
    done = command("completion", shell)
    assert done.returncode == 0
    assert "_ACCORD_API_COMPLETE" in done.stdout
    assert "serve" in command(_ACCORD_API_COMPLETE="bash_complete", COMP_WORDS="accord-api se", COMP_CWORD="1").stdout


@pytest.mark.parametrize("words", [("serve",), *ON_ACCOUNTS], ids=" ".join)
def test_a_database_without_tables_is_one_clear_error_and_gets_none(words: tuple[str, ...], tmp_path: Path) -> None:
    file = tmp_path / "accord.db"
    name = ["alice"] if words != ("serve",) else []
    more = ["--all"] if words == ("token", "revoke") else []
    done = command(*words, *name, *more, url=f"sqlite:///{file}", given=f"{PASSWORD}\n")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"accord-api: the database sqlite:///{file} has no tables yet; create them with `accord db upgrade`\n"
    assert not file.exists()


@pytest.mark.parametrize("words", [("serve",), ("user", "unlock", "alice")], ids=" ".join)
def test_an_unreachable_database_is_one_clear_error_with_its_own_exit_code(words: tuple[str, ...]) -> None:
    done = command(*words, url="postgresql://who:sesame@127.0.0.1:1/accord")
    assert done.returncode == 6
    said = "the database postgresql://who:***@127.0.0.1:1/accord cannot be reached: nothing listens on that host and port"
    assert done.stderr == f"accord-api: {said}\n"


@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize("words", ON_ACCOUNTS, ids=" ".join)
def test_an_account_that_does_not_exist_is_an_error(world: World, words: tuple[str, ...]) -> None:
    done = command(*words, "alise", *(["--all"] if "revoke" in words else []), url=world.url, given=f"{PASSWORD}\n")
    assert (done.returncode, done.stderr) == (1, "accord-api: there is no account `alise`\n")


def test_a_password_is_read_from_standard_input_and_changed_at_the_next_login(world: World) -> None:
    done = command("user", "set-password", "alice", url=world.url, given=f"{PASSWORD}\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "Set the password of alice. It must be changed at the next login.\n"
    assert login(world, "alice")["passwordChangeRequired"] is True
    assert command("user", "set-password", "alice", "--no-change-required", url=world.url, given=PASSWORD).returncode == 0
    assert login(world, "alice")["passwordChangeRequired"] is False
    assert {entry["actor"].partition(":")[0] for entry in world.audit("password.set")} == {"operator"}


@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize(
    ("password", "said"),
    [("", "too short"), ("sesame", "too short"), ("aaaaaaaaaaaaaaaaaaaa", "too easy to guess"), ("x" * 300, "too long")],
)
def test_a_refused_password_is_never_shown(world: World, password: str, said: str) -> None:
    done = command("user", "set-password", "alice", url=world.url, given=f"{password}\n")
    assert done.returncode == 1
    assert said in done.stderr
    assert not password or password not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_on_a_terminal_the_password_is_prompted_for_twice_and_not_shown(world: World) -> None:
    environment = {**os.environ, "ACCORD_DATABASE_URL": world.url, "PYTHONPATH": str(TOP)}
    seen = b""
    with on_a_terminal([sys.executable, "-m", "api", "user", "set-password", "alice"], environment) as terminal:
        for number, typed in enumerate((PASSWORD, "another one", PASSWORD, PASSWORD)):  # the first two differ
            asked = (b"Password: ", b"confirmation: ")[number % 2]
            while seen.count(asked) == number // 2:
                shown = terminal.read()
                assert shown, seen
                seen += shown
            terminal.type(f"{typed}\n".encode())
        while shown := terminal.read():
            seen += shown
        assert terminal.process.wait(timeout=LONG) == 0
    assert b"do not match" in seen
    assert PASSWORD.encode() not in seen
    assert login(world, "alice")["passwordChangeRequired"] is True


def test_disabling_ends_all_credentials_and_enabling_permits_new_logins(world: World) -> None:
    world.set_password("alice")
    alice = world.caller("alice")
    assert command("user", "disable", "alice", url=world.url).stdout == "Disabled alice.\n"
    alice("GET", "/me", 401)
    login(world, "alice", code=401)
    assert command("user", "enable", "alice", url=world.url).stdout == "Enabled alice again.\n"
    login(world, "alice")
    alice("GET", "/me", 401)


def test_unlocking_ends_the_delay_after_failures(world: World) -> None:
    world.let_delays_last()
    world.set_password("alice")
    for _ in range(6):
        login(world, "alice", "wrong password entirely", 401)
    login(world, "alice", code=401)
    assert command("user", "unlock", "alice", url=world.url).stdout == "Unlocked alice.\n"
    login(world, "alice")


def test_a_password_change_can_be_required(world: World) -> None:
    world.set_password("alice")
    done = command("user", "require-password-change", "alice", url=world.url)
    assert done.stdout == "alice must change the password at the next login.\n"
    assert login(world, "alice")["passwordChangeRequired"] is True


def test_tokens_and_sessions_are_listed_without_their_secrets_and_revoked(world: World) -> None:
    second = world.mint("alice", "session")
    made = world.with_secret(second.secret)("POST", "/me/tokens", 201, json={"name": "for the pipeline", "validFor": "90d"})
    shown = command("token", "list", "alice", url=world.url).stdout
    assert f"{made['id']}  token " in shown
    assert "for the pipeline" in shown
    assert f"{second.accessor}  session" in shown
    assert "accord_" not in shown
    listed = json.loads(command("token", "list", "alice", "--format", "json", url=world.url).stdout)
    assert [each["id"] for each in listed] == [made["id"], second.accessor]
    unknown = command("token", "revoke", "alice", made["id"], "0123456789abcdef", url=world.url)
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert "nothing was revoked" in unknown.stderr
    world.with_secret(made["token"])("GET", "/me", 200)
    assert command("token", "revoke", "alice", made["id"], url=world.url).stdout == "Revoked 1.\n"
    world.with_secret(made["token"])("GET", "/me", 401)
    world.with_secret(second.secret)("GET", "/me", 200)
    assert command("token", "revoke", "alice", "--all", url=world.url).stdout == "Revoked 1.\n"
    world.with_secret(second.secret)("GET", "/me", 401)
    assert command("token", "list", "alice", url=world.url).stdout == "alice has no live tokens or sessions.\n"


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_no_name_of_a_token_is_obeyed(world: World) -> None:
    names = [name.replace("\n", " ") for name in HOSTILE]
    for name in names:
        world.mint("alice", name=name)
    for words in (("list", "alice"), ("expiring",)):
        shown = command("token", *words, url=world.url).stdout
        assert [*obeyed(shown)] == []
        assert all(text in shown for text in ("add-mask", "vso[task.complete]", "\\u001b"))
        listed = command("token", *words, "--format", "json", url=world.url).stdout
        assert [*obeyed(listed)] == []
        assert sorted(each["name"] for each in json.loads(listed)) == sorted(names)


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_no_error_is_obeyed(world: World) -> None:
    for hostile in HOSTILE:
        for words in (
            ("user", "unlock", hostile),
            ("token", hostile),
            ("token", "expiring", "--within", hostile),
            ("mail", "test", hostile),
        ):
            done = command(*words, url=world.url, ACCORD_MAILDIR="/nowhere")
            assert (done.returncode, done.stdout, [*obeyed(done.stderr)]) == (1, "", [])


def test_only_the_edge_writes(request: pytest.FixtureRequest) -> None:
    writing = re.compile(r"click\.(secho|echo)\(|\bprint\(|sys\.stdout\.(write|buffer)")
    found = [path.name for path in (request.config.rootpath / "api").rglob("*.py") if writing.search(path.read_text())]
    assert sorted(found) == ["completion.py", "output.py"]
