"""`accord rename` replaces names and nothing else, in every file, or nothing at all."""

from __future__ import annotations

import os
import re
import signal
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from growth import assert_linear

from reconciler import process
from reconciler.cli.exits import ERROR
from reconciler.cli.main import accord, run
from reconciler.source import rewriting
from reconciler.source.errors import SourceError
from reconciler.source.renaming import rename_in
from reconciler.source.rewriting import Edit, rewrite
from reconciler.store.commit import forget

HEAD = "apiVersion: accord/v1\nkind: {kind}\n"
ALICE = HEAD.format(kind="User") + "metadata: {name: alice}\nspec: {email: alice@example.org}\n"
BOB = HEAD.format(kind="User") + "metadata:\n  name: bob  # Bob\n  labels: {desk: bob}\nspec:\n  email: bob@example.org\n"
WEB = HEAD.format(kind="Team") + (
    "metadata: {name: web}\n"
    "spec:\n"
    "  # bob is on leave\n"
    "  members:\n"
    "    - 'bob'   # until the move\n"
    '    - {"user": "alice", until: 2099-01-31}\n'
    "  issuers: [tls, {issuer: vpn}]\n"
)
PORTAL = HEAD.format(kind="Team") + "metadata: {name: portal}\nspec: {mayDecideFor: [web], issuers: [tls]}\n"
ISSUERS = "".join(f"---\n{HEAD.format(kind='Issuer')}metadata: {{name: {name}}}\n" for name in ("tls", "vpn"))
SETTINGS = HEAD.format(kind="Settings") + (
    "metadata: {name: default}\nspec:\n  guards:\n    separationOfDuties:\n      - - web\n        - portal\n"
)
FILES = {
    "users/alice.yaml": ALICE,
    "users/bob.yaml": BOB,
    "teams/web.yaml": WEB,
    "teams/portal.yaml": PORTAL,
    "issuers.yaml": ISSUERS,
    "settings.yaml": SETTINGS,
    "CODEOWNERS": "/teams/web.yaml @org/web\n",
}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ACCORD_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "config"
    (folder / ".git").mkdir(parents=True)
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return folder


def contents(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_bytes().decode() for path in folder.rglob("*") if path.is_file()}


def rename(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(accord, ["rename", *arguments, "--repository", str(folder)], standalone_mode=False)


def test_a_user_s_name_changes_wherever_it_refers_to_them_and_nowhere_else(config: Path) -> None:
    found = rename(config, "user", "bob", "robert")
    assert found.return_value == 0, found.output
    assert contents(config) == {
        **FILES,
        "users/bob.yaml": BOB.replace("name: bob", "name: robert").replace(
            "{desk: bob}\n", "{desk: bob}\n  previously:\n    - bob\n"
        ),
        "teams/web.yaml": WEB.replace("'bob'", "'robert'"),
    }
    assert "Renamed User `bob` to `robert` in 2 places, in 2 files:" in found.output
    assert "`bob` stays in users/bob.yaml:5" in found.output
    assert f"git -C {config} mv users/bob.yaml users/robert.yaml" in found.output


@pytest.mark.parametrize("within", [".", "users"])
def test_the_command_that_moves_the_file_works_where_it_is_printed(
    config: Path, within: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(config / within)
    found = rename(Path(".." if within == "users" else "."), "user", "bob", "robert")
    (command,) = [line.partition(": ")[2] for line in found.output.splitlines() if "git " in line]
    words = command.split()
    folder = Path(words[words.index("-C") + 1]) if "-C" in words else Path()
    assert (folder / words[-2]).is_file()
    assert ("-C" in words) == (within == "users")


@pytest.mark.parametrize("sign", ["|-", ">-", "|2-", "&x |-"])
def test_a_comment_beside_the_sign_of_a_block_stays(sign: str) -> None:
    text = f"{HEAD.format(kind='User')}metadata:\n  name: {sign} # keep me\n    bob\nspec: {{email: a@b}}\n"
    changed = rename_in(text.encode(), "User", "bob", "null").content.decode()
    assert changed == text.replace("    bob\n", "    null\n" + "  previously:\n    - bob\n")


def test_a_team_s_name_changes_in_teams_that_decide_for_it_and_in_guards(config: Path) -> None:
    found = rename(config, "Team", "web", "tier")
    assert found.return_value == 0, found.output
    assert contents(config) == {
        **FILES,
        "teams/web.yaml": WEB.replace("{name: web}", "{name: tier, previously: [web]}"),
        "teams/portal.yaml": PORTAL.replace("[web]", "[tier]"),
        "settings.yaml": SETTINGS.replace("- web", "- tier"),
    }
    assert "`web` stays in CODEOWNERS:1" in found.output


def test_an_issuer_s_name_changes_in_lists_of_both_forms(config: Path) -> None:
    assert rename(config, "ISSUER", "vpn", "remote").return_value == 0
    assert rename(config, "issuer", "tls", "null").return_value == 0
    assert contents(config)["teams/web.yaml"] == WEB.replace("[tls, {issuer: vpn}]", '["null", {issuer: remote}]')
    assert contents(config)["issuers.yaml"].count("previously: [") == 2


ZONES = SETTINGS + (
    "  delegation:\n"
    "    - path: teams\n"
    "      kinds: [Team]\n"
    "      names: [web, portal] # both\n"
    "      issuers:\n"
    "        - 'tls' # inside\n"
    "        - v*\n"
    "      mayDecideFor: [web]\n"
    "    - {path: other, kinds: [User], names: [web, tls], issuers: [tls, tls-new], mayDecideFor: everyone}\n"
)


@pytest.mark.parametrize(
    ("arguments", "zones", "left"),
    [
        (
            ("issuer", "tls", "tls-corp"),
            ZONES.replace("- 'tls'", "- 'tls-corp'").replace("[tls, tls-new]", "[tls-corp, tls-new]"),
            ["`tls` stays in settings.yaml:17: is it the same Issuer?"],
        ),
        (
            ("team", "web", "tier"),
            ZONES.replace("- web\n", "- tier\n")
            .replace("[web, portal]", "[web, portal, tier]")
            .replace("For: [web]", "For: [tier]"),
            [f"`web` stays in {place}: is it the same Team?" for place in ("CODEOWNERS:1", "settings.yaml:17")],
        ),
        (("user", "bob", "robert"), ZONES, ["`bob` stays in users/bob.yaml:5: is it the same User?"]),
    ],
)
def test_names_in_the_delegation_follow_and_keep_what_may_be_declared(
    config: Path, arguments: tuple[str, str, str], zones: str, left: list[str]
) -> None:
    (config / "settings.yaml").write_text(ZONES)
    (config / "teams/web.yaml").write_text(WEB.replace("[tls, {issuer: vpn}]", "[tls]"))
    found = rename(config, *arguments)
    assert found.return_value == 0, found.output
    assert contents(config)["settings.yaml"] == zones
    assert [line for line in found.output.splitlines() if "stays in" in line] == left


def test_a_name_that_only_the_delegation_uses_follows_too(config: Path) -> None:
    (config / "settings.yaml").write_text(ZONES)
    (config / "issuers.yaml").write_text(ISSUERS + f"---\n{HEAD.format(kind='Issuer')}metadata: {{name: tls-new}}\n")
    assert rename(config, "issuer", "tls-new", "tls-newer").return_value == 0
    assert "[tls, tls-newer]" in contents(config)["settings.yaml"]


def test_a_pattern_that_fits_only_the_old_name_is_named_and_what_it_then_refuses_is_an_error(config: Path) -> None:
    (config / "settings.yaml").write_text(ZONES)
    before = contents(config)
    found = rename(config, "issuer", "vpn", "remote")
    assert str(found.exception) == "after the rename, the config repository would have errors; nothing was written"
    assert "`teams` may not grant `remote`" in found.stderr
    assert contents(config) == before
    (config / "teams/web.yaml").write_text(WEB.replace("[tls, {issuer: vpn}]", "[tls]"))
    assert rename(config, "issuer", "vpn", "vpn-corp").return_value == 0
    found = rename(config, "issuer", "vpn-corp", "remote")
    assert found.return_value == 0, found.output
    assert "`v*` stays in settings.yaml:15: it fits `vpn-corp`, and not `remote`" in found.output


def test_a_new_name_that_the_delegation_has_already_is_not_listed_twice() -> None:
    before = ZONES.replace("[tls, tls-new]", "[tls, tls-corp]")
    found = rename_in(before.encode(), "Issuer", "tls", "tls-corp")
    assert "issuers: [tls, tls-corp]" in found.content.decode()
    assert (found.places, found.left) == (1, [(17, "tls"), (17, "tls")])


def test_a_dry_run_shows_a_diff_and_writes_nothing(config: Path) -> None:
    found = rename(config, "user", "bob", "robert", "--dry-run")
    assert found.return_value == 0
    assert "--- a/teams/web.yaml\n+++ b/teams/web.yaml\n" in found.output
    assert "-    - 'bob'   # until the move\n+    - 'robert'   # until the move\n" in found.output
    assert contents(config) == FILES


def test_there_and_back_differs_only_in_the_earlier_names(config: Path) -> None:
    rename(config, "user", "bob", "robert")
    back = rename(config, "user", "robert", "bob")
    assert back.return_value == 0, back.output
    assert contents(config) == {
        **FILES,
        "users/bob.yaml": BOB.replace("{desk: bob}\n", "{desk: bob}\n  previously:\n    - robert\n"),
    }


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("  previously: [bo, b]\n", "  previously: [bo, b, bob]\n"),
        ("  previously: [] # none\n", "  previously: [bob] # none\n"),
        ('  previously: ["bo"]\n', '  previously: ["bo", "bob"]\n'),
        ("  previously:\n  - bo # once\n  # and\n", "  previously:\n  - bo # once\n  - bob\n  # and\n"),
        ("  previously:\n      - 'robert'\n      - bo\n", "  previously:\n      - 'bob'\n      - bo\n"),
        ("  previously: [\n    bo,  # once\n    b,\n  ]\n", "  previously: [\n    bo,  # once\n    b, bob,\n  ]\n"),
    ],
)
def test_earlier_names_keep_their_form(before: str, after: str) -> None:
    text = f"{HEAD.format(kind='User')}metadata:\n  name: bob\n{before}spec: {{email: a@b}}\n"
    changed = rename_in(text.encode(), "User", "bob", "robert").content.decode()
    assert changed == text.replace("name: bob", "name: robert").replace(before, after)


@pytest.mark.parametrize("item", ["- {{user: user-{}, reason: bob}}", "- {{user: user-{}, until: 2099-01-31, reason: bob}}"])
def test_a_name_that_occurs_often_is_renamed_in_linear_time(item: str) -> None:
    def renaming(count: int) -> Callable[[], object]:
        lines = "".join(f"    {item.format(number)}\n" for number in range(count))
        text = f"{HEAD.format(kind='Team')}metadata: {{name: web}}\nspec:\n  members:\n    - bob\n{lines}".encode()
        found = rename_in(text, "User", "bob", "robert")
        assert (found.places, len(found.left)) == (1, count)
        return lambda: rename_in(text, "User", "bob", "robert")

    assert_linear(renaming, 25, 400)


def test_json_stays_json() -> None:
    text = '{"apiVersion": "accord/v1", "kind": "User", "metadata": {"name": "bob"}, "spec": {"email": "bob@example.org"}}'
    assert rename_in(text.encode(), "User", "bob", "robert").content.decode() == text.replace(
        '"name": "bob"', '"name": "robert", "previously": ["bob"]'
    )


def test_windows_line_breaks_a_byte_order_mark_and_a_missing_last_line_break_stay() -> None:
    text = "\ufeff" + HEAD.format(kind="User") + "spec: {email: a@b}\nmetadata:\n  name: bob"
    expected = text.replace("name: bob", "name: robert\n  previously:\n    - bob")
    assert rename_in(text.encode(), "User", "bob", "robert").content.decode() == expected
    windows = text.replace("\n", "\r\n").encode()
    assert rename_in(windows, "User", "bob", "robert").content.decode() == expected.replace("\n", "\r\n")


def test_a_name_that_is_also_another_word_of_the_format_is_not_mistaken_for_it() -> None:
    text = HEAD.format(kind="User") + "metadata: {name: person}\nspec: {email: a@b, type: person, fullName: person}\n"
    changed = rename_in(text.encode(), "User", "person", "paul")
    assert changed.content.decode() == text.replace("{name: person}", "{name: paul, previously: [person]}")
    assert changed.places == 1


def test_a_name_behind_an_anchor_is_renamed_if_all_its_uses_are_references() -> None:
    team = HEAD.format(kind="Team") + "metadata: {{name: web}}\nspec:\n  members: [&who bob]\n  description: {}\n"
    only = team.format("Web").encode()
    assert b"[&who robert]" in rename_in(only, "User", "bob", "robert").content
    with pytest.raises(SourceError, match="cannot rename `bob` by replacing its name alone"):
        rename_in(team.format("*who").encode(), "User", "bob", "robert")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("usr", "bob", "robert"), "there is no kind `usr`; did you mean `User`?"),
        (("xyz", "bob", "robert"), "the kinds are User, Team, Issuer, EmailTemplate, Settings"),
        (("user", "bobb", "robert"), "no User `bobb` is declared; did you mean `bob`?"),
        (("user", "bob", "bob"), "called `bob` already"),
        (("user", "bob", "alice"), "there is a User `alice` already, in users/alice.yaml:1"),
        (("user", "bob", "Bob"), "`Bob` cannot be the name of a User"),
        (("team", "web", "everyone"), "`everyone` cannot be the name of a Team"),
        (("settings", "default", "other"), "`other` cannot be the name of a Settings"),
        (("user", "x\x1b[31m", "y"), "no User `x\\u001b[31m` is declared"),
    ],
)
def test_what_cannot_be_is_one_clear_error_and_nothing_is_written(config: Path, arguments: tuple[str, ...], message: str) -> None:
    found = rename(config, *arguments)
    assert message in str(found.exception)
    assert contents(config) == FILES


def test_a_second_rename_of_the_same_name_says_what_it_is_called_now(config: Path) -> None:
    rename(config, "user", "bob", "robert")
    assert "it is `robert` now, in users/bob.yaml:1" in str(rename(config, "user", "bob", "rob").exception)


def test_files_with_errors_are_not_touched(config: Path) -> None:
    (config / "teams/portal.yaml").write_text(PORTAL.replace("[web]", "[wep]"))
    before = contents(config)
    found = rename(config, "user", "bob", "robert")
    assert "unknown team `wep`" in found.stderr
    assert contents(config) == before


def test_a_rename_that_would_leave_errors_is_not_written(config: Path) -> None:
    (config / "users/alice.yaml").write_text(ALICE.replace("{name: alice}", "{name: alice, previously: [bob]}"))
    before = contents(config)
    found = rename(config, "user", "bob", "robert")
    assert "`alice` also claims the earlier name `bob`" in found.stderr
    assert contents(config) == before


def test_files_keep_their_permissions_and_leave_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    path.chmod(0o640)
    rewrite({path: Edit(b"old", b"new")})
    assert contents(tmp_path) == {"a": "new"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_no_file_is_written_unless_all_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [tmp_path / name for name in "abc"]
    for path in paths:
        path.write_bytes(b"old")
    edits = {path: Edit(b"old", b"new") for path in paths}
    paths[2].write_bytes(b"edited meanwhile")
    with pytest.raises(SourceError, match="c` was changed meanwhile; nothing was written"):
        rewrite(edits)
    assert contents(tmp_path) == {"a": "old", "b": "old", "c": "edited meanwhile"}
    paths[2].write_bytes(b"old")

    def full(_file: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(rewriting.os, "fsync", full)
    with pytest.raises(SourceError, match=r"No space left on device; nothing was written"):
        rewrite(edits)
    assert contents(tmp_path) == dict.fromkeys("abc", "old")


@pytest.mark.parametrize("command", [["rename", "user", "bob", "robert"], ["fmt"]], ids=["rename", "fmt"])
def test_an_interrupt_between_two_files_does_not_leave_half(
    config: Path, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def replaced(path: Path, other: Path) -> Path:
        process._heed(signal.SIGINT, None)
        places.append(other.name)
        return real(path, other)

    for name in ("users/alice.yaml", "users/bob.yaml"):
        (config / name).write_text(FILES[name] + "\n\n")
    places: list[str] = []
    real = Path.replace
    forget()
    monkeypatch.setattr(process._State, "received", None)
    monkeypatch.setattr(Path, "replace", replaced)
    monkeypatch.chdir(config)
    found = CliRunner().invoke(accord, command, standalone_mode=False)
    assert found.return_value == 0, found.output
    assert len(places) > 1 and "bob.yaml" in places
    assert process.is_done(), "from here on the command has succeeded"
    forget()


def test_what_a_failing_write_left_is_said_although_somebody_interrupted_it(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def replaced(path: Path, other: Path) -> Path:
        if places:
            process._heed(signal.SIGINT, None)
            raise OSError(28, os.strerror(28), str(other))
        places.append(other.name)
        return real(path, other)

    places: list[str] = []
    real = Path.replace
    monkeypatch.setattr(process._State, "received", None)
    monkeypatch.setattr(Path, "replace", replaced)
    monkeypatch.chdir(config)
    assert run(lambda **options: accord.main(["rename", "user", "bob", "robert"], **options)) == ERROR
    assert re.search(f"already written: .*{places[0]}", capsys.readouterr().err)
    forget()


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    with pytest.raises(SourceError, match="is a symbolic link"):
        rewrite({tmp_path / "link": Edit(b"old", b"new")})
    assert (tmp_path / "real").read_bytes() == b"old"
