"""Password hashes that move from elsewhere: taken over on the host, verified, and replaced at the first login."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from pathlib import Path
from typing import Any

import bcrypt
import pytest
from client import PASSWORD, World
from scenario import user
from served import TOP, command, serving
from terminals import on_a_terminal
from test_sessions import login
from waiting import LONG

from reconciler.store.engine import open_database

OLD = "the password of old"


def made(password: str, prefix: str = "$2y$", cost: int = 4) -> str:
    """What `htpasswd -B` makes of a password."""
    return prefix + bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(cost)).decode()[4:]


def imported(world: World, content: str | dict[str, str], *options: str, code: int = 0) -> Any:
    """What the command prints that takes over hashes from standard input: JSON, or its errors."""
    text = json.dumps(content) if isinstance(content, dict) else content
    done = command("user", "import-hashes", "-", "--format", "json", *options, url=world.url, given=text)
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout) if code == 0 else done.stderr


def kept(world: World, name: str) -> tuple[Any, ...]:
    """An account's stored hash, when it was set, when it expires, and whether it must be changed."""
    with open_database(world.url) as database, database.reading() as connection:
        row = connection.exec_driver_sql(
            "SELECT password_hash, password_set_at, password_expires_at, password_change_required FROM account_states"
            f" JOIN users ON users.id = user_id WHERE name = '{name}'"
        ).first()
    return (None,) * 4 if row is None else tuple(row)


def test_a_password_moves_and_is_hashed_anew_at_the_first_login(world: World) -> None:
    hashed = made(OLD)
    found = imported(world, f"alice:{hashed}\nportal:{made(OLD, '$2a$')}\n")
    assert found == {
        "dryRun": False,
        "accounts": [
            {"name": name, "replaced": False, "passwordChangeRequired": False, "revokedCredentials": 0}
            for name in ("alice", "portal")
        ],
    }
    assert kept(world, "alice")[0] == hashed
    assert kept(world, "alice")[2] is None
    login(world, "alice", "wrong password entirely", 401)
    assert kept(world, "alice")[0] == hashed
    set_at = kept(world, "alice")[1]
    assert login(world, "alice", OLD)["passwordChangeRequired"] is False
    assert kept(world, "alice")[0].startswith("$argon2id$")
    assert kept(world, "alice")[1] == set_at
    login(world, "alice", OLD)
    login(world, "portal", OLD)
    entries = world.audit("password.import")
    assert [(entry["actor"].partition(":")[0], entry["name"]) for entry in entries] == [
        ("operator", "alice"),
        ("operator", "portal"),
    ]
    assert [entry["detail"] for entry in entries] == [{"changeRequired": False, "replaced": False, "revokedCredentials": 0}] * 2


def test_the_whole_password_counts_from_the_first_login_on(world: World) -> None:
    long = "x" * 72 + "and what bcrypt never saw"
    imported(world, {"alice": made(long)})
    login(world, "alice", long)
    login(world, "alice", long[:72], 401)
    login(world, "alice", long)


def test_the_policy_for_new_passwords_is_not_asked(world: World) -> None:
    imported(world, {"alice": made("sesame")})
    login(world, "alice", "sesame")


def test_a_change_is_required_if_wanted_and_takes_the_old_password(world: World) -> None:
    assert imported(world, {"alice": made(OLD)}, "--require-change")["accounts"][0]["passwordChangeRequired"] is True
    session = login(world, "alice", OLD)
    assert session["passwordChangeRequired"] is True
    world.with_secret(session["token"])("PUT", "/me/password", 200, json={"currentPassword": OLD, "newPassword": PASSWORD})
    assert login(world, "alice")["passwordChangeRequired"] is False


def test_a_change_that_was_required_before_still_is(world: World) -> None:
    world.set_password("alice", change_required=True)
    assert imported(world, {"alice": made(OLD)}, "--replace")["accounts"][0]["passwordChangeRequired"] is True


def test_a_session_changes_a_password_that_was_just_taken_over(world: World) -> None:
    imported(world, {"alice": made(OLD)})
    alice = world.caller("alice")
    alice("PUT", "/me/password", 403, json={"currentPassword": "wrong password entirely", "newPassword": PASSWORD})
    alice("PUT", "/me/password", 200, json={"currentPassword": OLD, "newPassword": PASSWORD})
    login(world, "alice")


def test_a_password_is_replaced_only_if_wanted_and_then_ends_sessions_and_tokens(world: World) -> None:
    world.set_password("alice")
    alice, token, bob = world.caller("alice"), world.caller("alice", kind="token"), world.caller("bob", kind="token")
    said = imported(world, {"alice": made(OLD), "bob": made(OLD)}, code=1)
    assert "standard input, entry 1: `alice`: this account has a password; to replace it, use --replace" in said
    assert kept(world, "bob")[0] is None
    login(world, "alice")
    alice("GET", "/me", 200)
    found = imported(world, {"alice": made(OLD), "bob": made(OLD)}, "--replace")["accounts"]
    assert [(each["replaced"], each["revokedCredentials"]) for each in found] == [(True, 3), (False, 0)]
    alice("GET", "/me", 401)
    token("GET", "/me", 401)
    bob("GET", "/me", 200)
    login(world, "alice", code=401)
    login(world, "alice", OLD)


def test_tokens_are_kept_if_wanted(world: World) -> None:
    world.set_password("alice")
    session, token = world.caller("alice"), world.caller("alice", kind="token")
    imported(world, {"alice": made(OLD)}, "--replace", "--keep-tokens")
    session("GET", "/me", 401)
    token("GET", "/me", 200)


def test_a_dry_run_judges_everything_and_changes_nothing(world: World) -> None:
    found = imported(world, {"alice": made(OLD)}, "--dry-run")
    assert (found["dryRun"], [each["name"] for each in found["accounts"]]) == (True, ["alice"])
    assert kept(world, "alice")[0] is None
    assert world.audit("password.import") == []
    assert "no such account" in imported(world, {"alise": made(OLD)}, "--dry-run", code=1)


def test_all_errors_are_said_at_once_and_nothing_is_taken_over(world: World) -> None:
    world.execute("INSERT INTO users (name, source, email) VALUES ('zoe', 'directory', 'zoe@example.org')")
    hashed = made(OLD)
    lines = [f"bob:{hashed}", f"alise:{hashed}", "root:sesame", f"zoe:{hashed}", f"portal:$2x${hashed[4:]}"]
    said = imported(world, "\n".join(lines), "--replace", code=1)
    assert said == (
        "accord-api: no password hash was taken over:\n"
        "standard input, line 2: `alise`: there is no such account; did you mean `alice`?\n"
        "standard input, line 3: `root`: this is no bcrypt hash; it must begin with `$2a$`, `$2b$` or `$2y$`\n"
        "standard input, line 4: `zoe`: this is a directory account; its password is kept in its directory\n"
        "standard input, line 5: `portal`: this is no bcrypt hash; it must begin with `$2a$`, `$2b$` or `$2y$`\n"
    )
    assert kept(world, "bob")[0] is None
    assert world.audit("password.import") == []


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_many_errors_are_counted_after_the_first(world: World) -> None:
    said = imported(world, "\n".join(f"xyz{number}:{made(OLD)}" for number in range(25)), code=1)
    assert said.splitlines()[-1] == "and 5 more errors"
    assert len(said.splitlines()) == 22


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_what_people_type_to_log_in_names_the_account_and_counts_once(world: World) -> None:
    assert imported(world, {"ALICE": made(OLD)})["accounts"][0]["name"] == "alice"
    world.apply({"users/fred.yaml": user("fred", logins=["Fred.Bloggs@example.org"])})
    assert imported(world, {"fred.bloggs@EXAMPLE.org": made(OLD)})["accounts"][0]["name"] == "fred"
    login(world, "Fred.Bloggs@example.org", OLD)
    twice = imported(world, {"fred": made(OLD), "Fred.Bloggs@example.org": made(OLD)}, "--replace", code=1)
    assert "entry 2: `Fred.Bloggs@example.org`: this is the account `fred` of entry 1 already" in twice
    assert "this name is in entry 1 already" in imported(world, {"bob": made(OLD), "Bob": made(OLD)}, code=1)


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_file_that_others_can_open_is_refused(world: World, tmp_path: Path) -> None:
    file = tmp_path / "users.htpasswd"
    file.write_text(f"alice:{made(OLD)}\n")
    file.chmod(0o644)
    refused = command("user", "import-hashes", str(file), url=world.url)
    assert refused.returncode == 1
    assert refused.stderr == (
        f"accord-api: everybody on this host can open {file}, which holds password hashes; first `chmod o= {file}`\n"
    )
    file.chmod(0o640)
    done = command("user", "import-hashes", str(file), url=world.url)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"Took over the 1 password hash of {file}.\n"
    again = command("user", "import-hashes", str(file), "--replace", "--dry-run", url=world.url)
    assert again.stdout == f"Would take over the 1 password hash of {file}, 1 in place of another password.\n"


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_no_file_is_one_clear_error(world: World, tmp_path: Path) -> None:
    hashed, large = made(OLD), tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(100 * 1024 * 1024)
    large.chmod(0o600)
    for name, said in (
        (str(tmp_path / "x"), f"No such file or directory: {tmp_path / 'x'}"),
        (str(tmp_path), f"Is a directory: {tmp_path}"),
        (f"alice:{hashed}", "name a file, not a hash: others on this host can read arguments"),
        (str(large), f"{large} has more than 16,777,216 bytes; take it over in parts"),
    ):
        done = command("user", "import-hashes", name, url=world.url)
        assert (done.returncode, done.stdout, done.stderr) == (1, "", f"accord-api: {said}\n")


def test_two_first_logins_at_once_both_succeed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    imported(world, {"alice": made(OLD, cost=8)})
    both, found = threading.Barrier(2), []
    recording = world.service.database.recording

    def together() -> Any:
        if len(verified) < 2:
            verified.append(True)
            both.wait(LONG)  # both have verified the hash of bcrypt
        return recording()

    verified: list[bool] = []
    monkeypatch.setattr(world.service.database, "recording", together)
    threads = [threading.Thread(target=lambda: found.append(login(world, "alice", OLD))) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(LONG)
    assert len(found) == 2
    assert world.audit("login.fail") == []


def test_a_password_that_is_replaced_while_it_is_verified_is_wrong(world: World) -> None:
    imported(world, {"alice": made(OLD)})
    verify = world.service.passwords.verify

    def replaced(*values: Any) -> bool:
        right = verify(*values)
        world.service.passwords.verify = verify  # type: ignore[method-assign]
        imported(world, {"alice": made("another password of alice")}, "--replace")
        return right

    world.service.passwords.verify = replaced  # type: ignore[method-assign]
    login(world, "alice", OLD, 401)
    assert [entry["detail"]["reason"] for entry in world.audit("login.fail")] == ["wrong-password"]
    login(world, "alice", "another password of alice")


def test_while_a_hash_of_bcrypt_is_left_every_login_does_its_work(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    rounds: list[int] = []
    check, make = bcrypt.checkpw, bcrypt.hashpw
    monkeypatch.setattr(bcrypt, "checkpw", lambda secret, kept: rounds.append(2 ** int(kept[4:6])) or check(secret, kept))
    monkeypatch.setattr(bcrypt, "hashpw", lambda secret, salt: rounds.append(2 ** int(salt[4:6])) or make(secret, salt))
    world.set_password("root")
    login(world, "root")
    login(world, "who", code=401)
    assert rounds == []
    imported(world, {"alice": made(OLD, cost=4), "bob": made(OLD, cost=6)})
    for name, password, code in (
        *(("who", OLD, 401), ("nobody", OLD, 401), ("root", "wrong password entirely", 401), ("root", PASSWORD, 201)),
        *(("alice", "wrong password entirely", 401), ("bob", "wrong password entirely", 401), ("alice", OLD, 201)),
        ("bob", OLD, 201),
    ):
        rounds.clear()
        login(world, name, password, code)
        assert sum(rounds) == 2**6, name
    rounds.clear()
    login(world, "who", code=401)
    login(world, "alice", OLD)
    assert rounds == []


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_whether_a_hash_is_left_is_one_look_at_an_index(world: World) -> None:
    with open_database(world.url) as database, database.reading() as connection:
        from api.authentication.logins import _COSTLIEST

        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {_COSTLIEST}").all()
    assert [row[-1].partition(" (")[0] for row in plan] == ["SEARCH account_states USING INDEX ix_account_states_bcrypt"]


def test_a_mail_with_a_generated_password_is_not_sent_any_more(world: World) -> None:
    def waiting() -> int:
        with open_database(world.url) as database, database.reading() as connection:
            query = "SELECT count(*) FROM outbox JOIN users ON users.id = user_id WHERE name = 'alice' AND ended_at IS NULL"
            return int(connection.exec_driver_sql(query).scalar_one())

    assert waiting() == 1
    imported(world, {"alice": made(OLD)})
    assert waiting() == 0


def test_hashes_are_in_no_log_and_no_audit_entry(world: World, caplog: pytest.LogCaptureFixture) -> None:
    hashed = made(OLD)
    with caplog.at_level(logging.DEBUG):
        imported(world, {"alice": hashed})
        login(world, "alice", "wrong password entirely", 401)
        login(world, "alice", OLD)
    told = caplog.text + json.dumps(world.audit("password.import") + world.audit("login.succeed")) + world.metrics()
    assert hashed[7:] not in told
    assert "$2y$" not in told


@pytest.mark.slow
@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_the_running_server_takes_the_old_password_at_both_addresses(world: World, tmp_path: Path) -> None:
    imported(world, {"alice": made(OLD), "portal": made(OLD, "$2a$")})
    with serving(world.url, tmp_path) as server:
        assert server.call("POST", "/api/v1/sessions", body={"username": "alice", "password": OLD}).status == 201
        assert server.call("POST", "/certdog/api/login", body={"username": "portal", "password": OLD}).status == 200
        assert server.call("POST", "/api/v1/sessions", body={"username": "alice", "password": "wrong"}).status == 401
        assert server.stop() == 0


@pytest.mark.slow
@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_long_import_shows_its_progress_on_a_terminal(world: World, tmp_path: Path) -> None:
    file = tmp_path / "users"
    file.write_text(f"alice:{made(OLD)}\nbob:{made(OLD)}\n")
    file.chmod(0o600)
    environment = {**os.environ, "ACCORD_DATABASE_URL": world.url, "PYTHONPATH": str(TOP), "TERM": "xterm"}
    start = "import reconciler.progress as p; p._PATIENCE = 0; from api.cli.main import main; main()"
    seen = b""
    with on_a_terminal([sys.executable, "-c", start, "user", "import-hashes", file], environment) as terminal:
        while shown := terminal.read():
            seen += shown
    assert b"Taking over" in seen
    assert b"Took over the 2 password hashes" in seen
