"""A change is proposed as a commit on a branch: what a preview shows is what is pushed, and what merging it then does."""

from __future__ import annotations

import difflib
import json
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest
from scenario import ADMINISTRATORS, Accord, ConfigRepository, issuer, team, user

from reconciler.cli.exits import ERROR, INVALID, NO_BASE, STALE

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"])

FILES: dict[str, Any] = {
    **ADMINISTRATORS,
    "users/ada.yaml": "# Ada, of the web team\napiVersion: accord/v1\nkind: User\nmetadata:\n  name: ada\nspec:\n"
    "  email: ada@example.org  # at home\n",
    "users/ben.yaml": user("ben"),
    "teams/web.yaml": "apiVersion: accord/v1\nkind: Team\nmetadata:\n  name: web\nspec:\n  members:\n    - ada  # leads\n"
    "  issuers:\n    - tls\n",
    "teams/ops.yaml": team("ops", members=["ben"]),
    "issuers/tls.yaml": issuer("tls"),
    "issuers/vpn.yaml": issuer("vpn"),
    "CODEOWNERS": "* @pki\n/teams/web.yaml @web @leads\n",
}
ADD = ("add-user", "cleo", "--email", "cleo@example.org", "--team", "web")
AUTHOR = ("--author", "Alice Jones <alice@example.org>")


class Desk:
    """The program, and Git, against one repository."""

    def __init__(self, accord: Accord, repository: ConfigRepository) -> None:
        self.accord, self.repository = accord, repository

    def propose(self, *arguments: str, code: int = 0, **environment: str | None) -> Any:
        """What `accord propose` answers a program."""
        return json.loads(self.accord("propose", *arguments, *AUTHOR, "--format", "json", code=code, **environment).stdout)

    def submit(self, intent: dict[str, Any], *, code: int = 0, **environment: str | None) -> Any:
        """What comes of an intent on standard input."""
        said = run_given(self.accord, json.dumps(intent), "propose", "from-json", "-", "--format", "json", **environment)
        assert said.returncode == code, said.stdout + said.stderr
        return json.loads(said.stdout)

    def git(self, *arguments: str, check: bool = True) -> str:
        ended = subprocess.run(
            ["git", "-c", "user.name=M", "-c", "user.email=m@example.org", "-C", str(self.repository.path), *arguments],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert not check or ended.returncode == 0, ended.stderr
        return ended.stdout

    def branches(self) -> list[str]:
        return self.git("for-each-ref", "--format=%(refname:short)", "refs/heads").split()


def run_given(accord: Accord, text: str, *arguments: str, **environment: str | None) -> subprocess.CompletedProcess[str]:
    process = accord.process(*arguments, stdin=subprocess.PIPE)
    output, errors = process.communicate(text.encode(), timeout=60)
    return subprocess.CompletedProcess(arguments, process.returncode, output.decode(), errors.decode())


@pytest.fixture
def desk(accord: Accord, repository: ConfigRepository) -> Desk:
    repository.commit(FILES, "Start")
    accord("apply", "--yes")
    return Desk(accord, repository)


def test_a_preview_pushes_nothing_and_shows_everything(desk: Desk) -> None:
    before = desk.git("for-each-ref"), desk.git("count-objects", "-v")
    shown = desk.propose(*ADD, "--preview", "--reason", "She joins the web team")
    assert (desk.git("for-each-ref"), desk.git("count-objects", "-v")) == before
    assert shown["status"] == "previewed" and shown["branch"] == f"accord/add-user-cleo-{shown['commit'][:6]}"
    assert shown["base"]["commit"] == desk.repository.head() and shown["base"]["subject"] == "Start"
    assert shown["subject"] == "Add the user cleo to the team web"
    assert "\n\nShe joins the web team\n\nProposed-by: Alice Jones <alice@example.org>\n" in shown["message"]
    assert sorted(change["path"] for change in shown["files"]) == ["teams/web.yaml", "users/cleo.yaml"]
    assert "+    - cleo\n" in shown["diff"] and "-    - ada" not in shown["diff"]
    assert [access["user"] for access in shown["plan"]["access"]["gained"]] == ["cleo"]
    assert shown["plan"]["generation"] > 0 and shown["comparison"]["against"]
    assert shown["approvals"] == [
        {"path": "teams/web.yaml", "owners": ["@web", "@leads"], "section": None, "optional": False},
        {"path": "users/cleo.yaml", "owners": ["@pki"], "section": None, "optional": False},
    ]
    assert shown["guards"] == shown["overlapping"] == shown["comments"] == []


def test_the_commit_that_is_previewed_is_the_commit_that_is_pushed(desk: Desk) -> None:
    shown = desk.propose(*ADD, "--preview")
    made = desk.submit(shown["intent"])
    assert made["status"] == "proposed" and made["commit"] == shown["commit"]
    assert desk.git("rev-parse", shown["branch"]).strip() == shown["commit"]
    assert desk.git("log", "-1", "--format=%an <%ae>|%cn <%ce>", shown["branch"]).strip() == (
        "Alice Jones <alice@example.org>|Accord <accord@localhost>"
    )
    again = desk.submit(shown["intent"])
    assert again["status"] == "already-proposed" and again["branch"] == made["branch"]
    assert desk.branches() == [made["branch"], "main"]


def test_without_a_database_the_plan_is_against_the_base(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path / "cache")
    shown = desk.propose(*ADD, "--preview", ACCORD_DATABASE_URL=None)
    assert shown["plan"] == shown["comparison"] and shown["plan"]["against"]
    unreachable = desk.propose(*ADD, "--preview", ACCORD_DATABASE_URL="sqlite:////nowhere/at/all.db", code=ERROR)
    assert unreachable["reason"] == "database"


@pytest.mark.parametrize("way", ["fast-forward", "no-ff", "squash"])
@pytest.mark.parametrize(
    "act",
    [
        ADD,
        ("add-member", "web", "ben", "--until", "2099-12-31", "--reason", "cover"),
        ("remove-member", "web", "ada"),
        ("grant", "ops", "vpn", "--until", "2099-12-31"),
        ("revoke", "web", "tls"),
        ("disable", "ada"),
        ("remove-user", "ada"),
        ("set", "User", "ada", "email=ada@example.com", "fullName=Ada", "--team", "ops"),
        ("set", "Team", "web", "permittedIPs=10.0.0.0/8", "description=The web"),
    ],
    ids=lambda act: " ".join(act[:2]),
)
def test_merging_it_gives_exactly_the_plan_that_was_shown(desk: Desk, act: tuple[str, ...], way: str, tmp_path: Path) -> None:
    shown = desk.propose(*act)
    merge(desk, shown["branch"], way, tmp_path / "clone")
    assert desk.repository.head() != shown["base"]["commit"]
    planned = json.loads(desk.accord.run("plan", "--format", "json").stdout)
    for part in ("changes", "access", "administrators", "guards", "effects", "warnings", "moves", "applied", "generation"):
        assert planned[part] == shown["plan"][part], part
    assert shown["plan"]["changes"]
    (listed,) = json.loads(desk.accord("proposals", "--format", "json").stdout)
    assert listed["state"] == "merged" and listed["branch"] == shown["branch"]
    desk.accord("apply", "--yes", *(each for guard in shown["guards"] for each in ("--override", guard["id"], "--reason", "x")))
    if act[0] == "remove-user":
        assert desk.propose(*act, code=ERROR)["reason"] == "unknown-name"
    else:
        assert desk.propose(*act)["status"] == "already-declared"


def merge(desk: Desk, branch: str, way: str, folder: Path) -> None:
    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=M", "-c", "user.email=m@example.org"]
        subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)

    subprocess.run(["git", "clone", "-q", str(desk.repository.path), str(folder)], check=True)
    options = {"fast-forward": ["--ff-only"], "no-ff": ["--no-ff", "-m", "Merge"], "squash": ["--squash"]}[way]
    git("merge", "-q", *options, f"origin/{branch}")
    if way == "squash":
        git("commit", "-q", "-m", "Squashed")
    git("push", "-q", "origin", "HEAD:main")


def state(desk: Desk) -> str:
    (listed,) = json.loads(desk.accord("proposals", "--format", "json").stdout)
    shown = json.loads(desk.accord("proposals", "show", listed["branch"], "--format", "json").stdout)
    assert shown["status"] == listed["state"]
    return str(listed["state"])


WEB = (
    "apiVersion: accord/v1\nkind: Team\nmetadata:\n  name: web\nspec:\n  members:\n    - ada  # leads\n{}  issuers:\n    - tls\n"
)


@pytest.mark.parametrize(("way", "undone"), [("fast-forward", "stale"), ("no-ff", "stale"), ("squash", "open")])
def test_what_was_merged_and_undone_is_not_merged(desk: Desk, way: str, undone: str, tmp_path: Path) -> None:
    shown = desk.propose("add-member", "web", "ben")
    merge(desk, shown["branch"], way, tmp_path / "clone")
    assert state(desk) == "merged"
    desk.repository.commit({"teams/web.yaml": WEB.format("")}, "Revert")
    assert state(desk) == undone
    desk.repository.commit({"teams/web.yaml": WEB.format("") + "  description: The web\n", "users/dan.yaml": user("dan")})
    assert state(desk) == undone
    desk.repository.commit({"teams/web.yaml": WEB.format("    - ben\n") + "  description: The web\n"}, "Again")
    assert state(desk) == "merged"


@pytest.mark.parametrize("way", ["fast-forward", "no-ff", "squash"])
@pytest.mark.parametrize(
    "later",
    [
        {"teams/web.yaml": WEB.format("    - ben\n").replace("tls", "vpn")},  # beside it
        {"teams/web.yaml": WEB.format("    - {user: ben, until: 2099-12-31}\n")},  # the same line
        {"teams/web.yaml": None, "teams/a/web.yaml": WEB.format("    - ben\n")},  # another place
        {"teams/web.yaml": WEB.format("    - ben\n    - root\n")},  # the next line
    ],
    ids=["beside", "same line", "moved", "next line"],
)
def test_what_was_merged_stays_merged_when_people_go_on_from_there(
    desk: Desk, way: str, later: dict[str, Any], tmp_path: Path
) -> None:
    shown = desk.propose("add-member", "web", "ben")
    merge(desk, shown["branch"], way, tmp_path / "clone")
    desk.repository.commit(later, "Later")
    assert state(desk) == "merged"


def test_of_a_merged_proposal_one_part_may_be_undone(desk: Desk, tmp_path: Path) -> None:
    shown = desk.propose("add-user", "cleo", "--email", "cleo@example.org", "--team", "web")
    merge(desk, shown["branch"], "no-ff", tmp_path / "clone")
    desk.repository.commit({"teams/web.yaml": WEB.format("")}, "Not in the web team")
    assert state(desk) == "merged"
    desk.repository.commit({"users/cleo.yaml": None}, "Nor here")
    assert state(desk) == "stale"


def test_several_acts_are_one_commit_and_later_ones_see_earlier_ones(desk: Desk) -> None:
    acts = [
        {"act": "add-user", "name": "cleo", "email": "cleo@example.org", "fullName": "Cleo", "password": "none"},
        {"act": "add-member", "team": "web", "user": "cleo", "until": "2099-12-31"},
        {"act": "set", "kind": "User", "name": "cleo", "fields": {"labels": {"desk": "4"}}, "teams": ["web", "ops"]},
        {"act": "remove-user", "name": "ada"},
    ]
    shown = desk.submit({"version": 1, "author": {"name": "Al", "email": "al@x.org"}, "acts": acts, "reason": "Spring"})
    assert shown["status"] == "proposed"
    assert shown["message"].startswith("Add the user cleo and 3 more\n\nSpring\n\n- Add the user cleo\n")
    assert desk.git("rev-list", "--count", f"main..{shown['branch']}").strip() == "1"
    assert "cleo" in desk.git("show", f"{shown['branch']}:teams/web.yaml")
    assert "- ada" not in desk.git("show", f"{shown['branch']}:teams/web.yaml")


def test_what_is_declared_already_makes_no_commit_and_says_whether_it_is_applied(desk: Desk) -> None:
    assert desk.propose("add-member", "web", "ada") == desk.propose("add-member", "web", "ada")
    assert (found := desk.propose("add-member", "web", "ada"))["status"] == "already-declared" and found["applied"] is True
    assert found["commit"] is None and desk.branches() == ["main"]
    desk.repository.commit({"teams/web.yaml": team("web", members=["ada", "ben"], issuers=["tls"])})
    assert desk.propose("add-member", "web", "ben")["applied"] is False


def test_the_moment_of_a_preview_is_the_moment_that_is_pushed(desk: Desk) -> None:
    shown = desk.propose("set", "User", "ada", "passwordChangeRequiredAfter=now", "--preview")
    (act,) = shown["intent"]["acts"]
    assert act["fields"]["passwordChangeRequiredAfter"].endswith("Z")
    assert desk.submit(shown["intent"])["commit"] == shown["commit"]


# What stands in the way


def test_a_base_that_moved_without_any_bearing_is_gone_on_with(desk: Desk) -> None:
    shown = desk.propose(*ADD, "--preview")
    head = desk.repository.commit({"users/new.yaml": user("new")}, "Somebody else")
    made = desk.submit(shown["intent"])
    assert made["status"] == "proposed" and made["commit"] == shown["commit"]
    assert made["moved"]["commit"] == head and made["moved"]["subject"] == "Somebody else"


@pytest.mark.parametrize(
    "change",
    [
        {"teams/web.yaml": team("web", members=["ada", "ben"], issuers=["tls"])},  # the same file
        {"settings.yaml": {"apiVersion": "accord/v1", "kind": "Settings", "metadata": {"name": "default"},
                           "spec": {"guards": {"maxPeopleGaining": 0}}}},  # a guard would refuse it now
        {"users/cleo.yaml": user("cleo")},  # declared by another
        {"issuers/tls.yaml": None, "teams/web.yaml": team("web", members=["ada"])},
        {"users/broken.yaml": "kind: Usr\n"},
    ],
    ids=["file", "guard", "name", "reach", "broken"],
)  # fmt: skip
def test_a_base_that_moved_and_matters_is_previewed_again(desk: Desk, change: dict[str, Any]) -> None:
    shown = desk.propose(*ADD, "--preview")
    head = desk.repository.commit(change, "Meanwhile")
    failed = desk.submit(shown["intent"], code=STALE)
    assert failed["reason"] == "moved" and head[:12] in failed["detail"] and "Alice Jones" in failed["detail"]
    assert desk.branches() == ["main"]


def test_what_was_proposed_already_is_shown_again_whatever_happened_since(desk: Desk) -> None:
    shown = desk.propose(*ADD, "--preview")
    made = desk.submit(shown["intent"])
    desk.repository.commit({"teams/web.yaml": team("web", members=["ada", "ben"], issuers=["tls"])})
    again = desk.submit(shown["intent"])
    same = ("commit", "branch", "message", "files", "diff", "patch", "author")
    assert again["status"] == "already-proposed" and {key for key in same if again[key] != made[key]} == set()


def test_a_folder_of_the_repository_is_all_that_is_read_and_written(desk: Desk) -> None:
    desk.repository.commit({f"config/{name}": content for name, content in FILES.items()} | {"users/broken.yaml": "kind: Usr\n"})
    shown = desk.propose(*ADD, "--path", "config", ACCORD_DATABASE_URL="sqlite:///", code=ERROR)
    assert shown["status"] == "failed"
    fresh = f"sqlite:///{desk.repository.path.parent}/fresh.db"
    desk.accord("db", "upgrade", "--database", fresh)
    shown = desk.propose(*ADD, "--path", "config", "--database", fresh)
    assert [change["path"] for change in shown["files"]] == ["config/teams/web.yaml", "config/users/cleo.yaml"]


def test_a_rewritten_base_is_not_gone_on_with(desk: Desk) -> None:
    shown = desk.propose(*ADD, "--preview")
    orphan = desk.git("commit-tree", "-m", "Rewritten", "main^{tree}").strip()
    desk.git("update-ref", "refs/heads/main", orphan)
    assert desk.submit(shown["intent"], code=STALE)["reason"] == "moved"


def test_another_commit_than_the_previewed_one_is_never_pushed(desk: Desk) -> None:
    shown = desk.propose(*ADD, "--preview")
    for change in ({"reason": "Another"}, {"author": {"name": "Eve", "email": "eve@example.org"}}, {"expect": "0" * 40}):
        assert desk.submit({**shown["intent"], **change}, code=STALE)["reason"] == "moved"
    assert desk.branches() == ["main"]


def test_another_open_proposal_for_the_same_file_is_named(desk: Desk) -> None:
    first = desk.propose("add-member", "web", "ben")
    second = desk.propose("revoke", "web", "tls", "--preview")
    (other,) = second["overlapping"]
    assert other["branch"] == first["branch"] and other["files"] == ["teams/web.yaml"] and other["subject"] == first["subject"]
    assert desk.propose("disable", "ben", "--preview")["overlapping"] == []


def test_a_guard_that_would_refuse_it_is_named_also_in_the_message(desk: Desk) -> None:
    shown = desk.propose("remove-user", "root")
    assert shown["status"] == "proposed"
    assert "last-administrator" in [guard["id"] for guard in shown["guards"]]
    assert "\nThe guard last-administrator would refuse this: " in desk.git("log", "-1", "--format=%B", shown["branch"])
    said = desk.accord("propose", "disable", "root", "--preview", *AUTHOR).stdout
    assert "guard last-administrator would refuse this" in said


def test_what_would_be_invalid_is_refused_with_its_place(desk: Desk) -> None:
    desk.repository.commit({"users/dan.yaml": user("dan", logins=["Danny"])})
    failed = desk.propose("set", "User", "ada", "logins=Danny", code=INVALID)
    assert failed["status"] == "failed" and failed["reason"] == "invalid"
    problem = next(each for each in failed["problems"] if each["severity"] == "error")
    assert problem["file"].startswith("users/") and problem["line"] > 0 and problem["column"] > 0
    assert desk.branches() == ["main"]


def test_a_repository_with_errors_is_named_as_that(desk: Desk) -> None:
    desk.repository.commit({"users/broken.yaml": "kind: Usr\n"})
    failed = desk.propose(*ADD, code=NO_BASE)
    assert failed["reason"] == "invalid-base" and failed["problems"][0]["file"].endswith("users/broken.yaml")
    assert failed["detail"].endswith("is not valid. Repair the branch first: nothing can be compared with it.")


@pytest.mark.parametrize(
    ("act", "reason", "words"),
    [
        (("add-member", "wbe", "ada"), "unknown-name", "did you mean `web`?"),
        (("add-member", "web", "adda"), "unknown-name", "did you mean `ada`?"),
        (("remove-member", "web", "nobody"), "unknown-name", "No User"),
        (("grant", "web", "tsl"), "unknown-name", "did you mean `tls`?"),
        (("set", "User", "zoe", "email=z@example.org"), "unknown-name", "No User"),
        (("add-user", "ada", "--email", "other@example.org"), "name-taken", "already"),
        (("add-user", "../../etc/passwd", "--email", "x@example.org"), "invalid", "lower-case"),
        (("add-user", "a" * 65, "--email", "x@example.org"), "invalid", "64"),
        (("add-user", "ok", "--email", "no address"), "invalid", "email"),
        (("add-member", "web", "ben", "--until", "tomorrow"), "invalid", "not an instant"),
        (("set", "User", "ada", "fullName=Ada\u202e"), "invalid", "U+202E"),
        (("set", "Team", "web", "permittedIPs=10.0.0.1/33"), "invalid", "10.0.0.1/33"),
        (("set", "User", "ada", "emial=x@example.org"), "invalid", "did you mean `email`?"),
        (("set", "User", "ada", "enabled=yes"), "invalid", "true or false"),
        (("set", "User", "ada"), "invalid", "Nothing is to be set"),
        (("set", "Team", "web", "--team", "ops"), "invalid", "a Team is in none"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, tuple) else "",
)
def test_what_cannot_be_asked_for_is_refused_with_what_to_do(desk: Desk, act: tuple[str, ...], reason: str, words: str) -> None:
    failed = desk.propose(*act, code=INVALID if reason == "invalid" else ERROR)
    assert failed["reason"] == reason and words in failed["detail"]
    assert desk.branches() == ["main"]


@pytest.mark.parametrize(
    "document",
    [
        "", "[]", "null", "{", '{"version":2,"acts":[]}', '{"version":true,"acts":[{"act":"disable","name":"ada"}]}',
        '{"version":1,"acts":[]}', '{"version":1,"acts":{}}', '{"version":1,"acts":[1]}', '{"version":1,"acts":[{"act":"x"}]}',
        '{"version":1,"acts":[{"act":"disable"}]}', '{"version":1,"acts":[{"act":"disable","name":1}]}',
        '{"version":1,"acts":[{"act":"disable","name":"ada","more":1}]}',
        '{"version":1,"acts":[{"act":"disable","name":"a\\u0000"}]}',
        '{"version":1,"acts":[{"act":"disable","name":"ada"}],"expect":"HEAD"}',
        '{"version":1,"acts":[{"act":"disable","name":"ada"}],"base":"--upload-pack=x"}',
        '{"version":1,"acts":[{"act":"disable","name":"ada"}],"author":{"name":"<>","email":"x"}}',
        '{"version":1,"acts":[{"act":"disable","name":"ada"}],"reason":["x"]}',
        '{"version":1,"acts":[{"act":"set","kind":"User","name":"ada","fields":{"email":{"a":[[]]}}}]}',
        '{"version":1,"acts":[{"act":"set","kind":"User","name":"ada","fields":{"labels":[1e999]}}]}',
        '{"version":1,"acts":[{"act":"set","kind":"Settings","name":"default","fields":{"guards":{}}}]}',
        '{"version":1,"acts":[{"act":"add-user","name":"x","email":"x@example.org","teams":"web"}]}',
        "[" * 100_000, '{"version":1,"acts":[' + '{"act":"disable","name":"ada"},' * 300 + "1]}", "x" * ((1 << 20) + 1),
    ],
)  # fmt: skip
def test_hostile_documents_are_refused_without_a_traceback(accord: Accord, repository: ConfigRepository, document: str) -> None:
    repository.commit(FILES)
    said = run_given(accord, document, "propose", "from-json", "-", "--format", "json")
    failed = json.loads(said.stdout)
    assert failed["status"] == "failed" and failed["reason"] in ("invalid", "unknown-name"), failed
    assert "Traceback" not in said.stderr and said.returncode in (ERROR, INVALID)


def test_hostile_text_stays_text(desk: Desk) -> None:
    name = "Eve\n\nSigned-off-by: root <root@example.org>\x1b[31m\u202e"
    shown = desk.submit(
        {
            "version": 1,
            "author": {"name": name, "email": "eve@example.org>\nX: y"},
            "reason": "[skip ci] ***NO_CI***\n\nProposed-by: Root <root@example.org>\n\x1b]0;x\x07",
            "acts": [{"act": "set", "kind": "User", "name": "ada", "fields": {"fullName": "::add-mask::"}}],
        }
    )
    raw = desk.git("cat-file", "commit", shown["commit"])
    assert "\x1b" not in raw and "\u202e" not in raw and "[skip ci]" not in raw and "***NO_CI***" not in raw
    trailers = desk.git("log", "-1", "--format=%(trailers:only,unfold)", shown["commit"]).strip().splitlines()
    assert len(trailers) == 1 and trailers[0].startswith("Proposed-by: Eve Signed-off-by: root root@example.org (31m")
    assert raw.count("\nauthor ") == 1 and "X: y" not in raw.partition("\n\n")[0].partition("\nauthor ")[0]


@pytest.mark.parametrize("where", ["here", "linked", "bare"])
def test_a_branch_that_is_checked_out_is_not_withdrawn(desk: Desk, where: str, tmp_path: Path) -> None:
    branch = desk.propose("disable", "ada")["branch"]
    place = tmp_path / "my tree" if where != "bare" else desk.repository.path
    if where == "here":
        subprocess.run(["git", "clone", "-q", "-b", branch, str(desk.repository.path), str(place)], check=True)
    elif where == "linked":
        desk.git("worktree", "add", "-q", str(place), branch)
    else:
        desk.git("symbolic-ref", "HEAD", f"refs/heads/{branch}")
    within = (
        "--repository",
        str(place if where == "here" else desk.repository.path),
        "--branch",
        "HEAD" if where == "here" else "main",
    )
    withdraw = ("proposals", "withdraw", branch, "--format", "json", *within)
    failed = json.loads(desk.accord(*withdraw, code=ERROR).stdout)
    assert failed["reason"] == "refused" and failed["remote"].startswith(f"{place} has this branch checked out")
    assert subprocess.run(
        ["git", "-C", str(place), "rev-parse", "-q", "--verify", "HEAD"], check=True, capture_output=True
    ).stdout
    if where == "linked":
        subprocess.run(["git", "-C", str(place), "switch", "-q", "--detach"], check=True)
        assert json.loads(desk.accord(*withdraw).stdout)["status"] == "withdrawn"


def test_the_patch_can_be_applied_by_hand(desk: Desk, tmp_path: Path) -> None:
    shown = desk.propose(*ADD, "--preview", "--author", "Zoë Ångström <zoe@example.org>")
    subprocess.run(["git", "clone", "-q", str(desk.repository.path), str(tmp_path / "clone")], check=True)
    subprocess.run(
        ["git", "-c", "user.name=M", "-c", "user.email=m@x.org", "am", "-q"],
        input=shown["patch"].encode(), cwd=tmp_path / "clone", check=True,
    )  # fmt: skip
    seen = subprocess.run(
        ["git", "log", "-1", "--format=%T %an %s"], cwd=tmp_path / "clone", capture_output=True, text=True, check=True
    ).stdout
    tree = desk.propose(*ADD)["commit"]
    assert seen.startswith(desk.git("rev-parse", f"{tree}^{{tree}}").strip())


EVIL = "users/mallory.yaml"
EVIL_FILE = f"diff --git a/{EVIL} b/{EVIL}\nnew file mode 100644\n--- /dev/null\n+++ b/{EVIL}\n"
REASONS = {
    "a patch": f"see this\n\n{EVIL_FILE}@@ -0,0 +1 @@\n+evil: yes",
    "an older patch": "see\nIndex: users/mallory.yaml\n--- /dev/null\n+++ users/mallory.yaml\n@@ -0,0 +1 @@\n+evil: yes",
    "another author": "From: The Boss <boss@example.org>\n\nDo it",
    "another author in other letters": "fRoM: The Boss <boss@example.org>\nDate: Mon, 1 Jan 2001 00:00:00 +0000\nsubject: Other",
    "a quoted header": ">From the boss\n[PATCH] Other",
    "the end of a message": "what\n---\nis cut off",
    "the end of a message with blanks": "what\n---  \n--- a/x\nis cut off",
    "another mail": f"what\nFrom {'1' * 40} Mon Sep 17 00:00:00 2001\nFrom: a <b@c>\nSubject: x\n\ny",
    "a cut": "what\n-- >8 --\nSubject: rest",
    "lines of a mail's parts": "Content-Type: multipart/mixed; boundary=x\nContent-Transfer-Encoding: base64\n\n--x\n-- \nend",
}


@pytest.mark.parametrize("case", REASONS)
def test_no_reason_changes_what_the_patch_does(desk: Desk, case: str, tmp_path: Path) -> None:
    shown = desk.propose("disable", "ben", "--preview", "--reason", REASONS[case])
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(desk.repository.path), str(clone)], check=True)
    author = ["-c", "user.name=M", "-c", "user.email=m@x.org", "-c", "mailinfo.scissors=true"]
    subprocess.run(["git", *author, "am", "-q", "--keep-cr"], input=shown["patch"].encode(), cwd=clone, check=True)
    said = subprocess.run(
        ["git", "log", "-1", "--format=%an <%ae>%n%ad%n%B", "--date=unix"], cwd=clone, capture_output=True, text=True, check=True
    ).stdout
    made = desk.submit(shown["intent"])
    assert made["commit"] == shown["commit"]
    assert said == desk.git("log", "-1", "--format=%an <%ae>%n%ad%n%B", "--date=unix", made["commit"])
    changed = subprocess.run(
        ["git", "diff", "--name-only", "HEAD^"], cwd=clone, capture_output=True, text=True, check=True
    ).stdout
    assert changed.split() == ["users/ben.yaml"] and "Proposed-by: Alice Jones" in said


def test_attributes_of_the_repository_hide_no_change(desk: Desk) -> None:
    desk.repository.commit({".gitattributes": "*.yaml binary -diff\n"}, "Hide")
    shown = desk.propose("disable", "ben", "--preview")
    for text in (shown["diff"], shown["patch"]):
        assert '"enabled": false' in text and "Binary" not in text


@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_proposed_is_what_merging_it_does(desk: Desk, seed: int, tmp_path: Path) -> None:
    """Random intents, one after the other: each preview is what is pushed, and what is pushed is what its plan says."""
    chance = random.Random(seed)
    people = ["ada", "ben", "cleo", "dan"]

    def act() -> dict[str, Any]:
        name, which, what = chance.choice(people), chance.choice(["web", "ops"]), chance.choice(["tls", "vpn"])
        until = chance.choice([None, "2099-12-31", "2099-06-30T12:00:00Z"])
        return chance.choice(
            [
                {"act": "add-user", "name": name, "email": f"{name}@example.org", "teams": [which]},
                {
                    "act": "add-member",
                    "team": which,
                    "user": name,
                    "until": until,
                    "reason": chance.choice([None, "a: b # c", "x"]),
                },
                {"act": "remove-member", "team": which, "user": name},
                {"act": "grant", "team": which, "issuer": what, "until": until},
                {"act": "revoke", "team": which, "issuer": what},
                {"act": chance.choice(["disable", "enable"]), "name": name},
                {"act": "remove-user", "name": name},
                {"act": "set", "kind": "User", "name": name, "fields": {"fullName": chance.choice([None, "Ünï", "- x"])}},
                {"act": "set", "kind": "User", "name": name, "teams": chance.sample(["web", "ops"], chance.randint(0, 2))},
                {"act": "set", "kind": "Team", "name": which, "fields": {"permittedIPs": chance.choice([None, ["10.0.0.0/8"]])}},
            ]
        )

    done = 0
    for step in range(25):
        acts = [act() for _ in range(chance.randint(1, 3))]
        intent = {"version": 1, "author": {"name": "Al", "email": "al@x.org"}, "acts": acts}
        shown = given(desk, intent, "--preview")
        if shown["status"] != "previewed":
            assert shown["status"] == "already-declared" or shown["reason"] in ("unknown-name", "name-taken"), shown
            continue
        before = {change["path"]: desk.git("show", f"main:{change['path']}", check=False) for change in shown["files"]}
        made = given(desk, shown["intent"])
        assert (made["status"], made["commit"]) == ("proposed", shown["commit"])
        for path, text in before.items():
            hunk = shown["diff"].partition(f"diff --git a/{path} ")[2].partition("\ndiff --git ")[0]
            assert text.count("\n") - hunk.count("\n-") + hunk.count("\n--- ") == kept_lines(desk, shown["commit"], path, text)
        merge(desk, shown["branch"], chance.choice(["fast-forward", "no-ff", "squash"]), tmp_path / f"clone{step}")
        planned = json.loads(desk.accord.run("plan", "--format", "json").stdout)
        for part in ("changes", "access", "administrators", "guards", "effects"):
            assert planned[part] == shown["plan"][part], (part, acts)
        overriding = [word for guard in shown["guards"] for word in ("--override", guard["id"])]
        desk.accord("apply", "--yes", *overriding, *(["--reason", "x"] if overriding else []))
        done += 1
    assert done > 5


def given(desk: Desk, intent: dict[str, Any], *options: str) -> Any:
    file = desk.repository.path.parent / "intent.json"
    file.write_text(json.dumps(intent))
    return json.loads(desk.accord.run("propose", "from-json", str(file), *options, "--format", "json").stdout)


def kept_lines(desk: Desk, commit: str, path: str, text: str) -> int:
    """How many lines of a text are, in this order, in a file of a commit."""
    after = desk.git("show", f"{commit}:{path}", check=False).splitlines()
    blocks = difflib.SequenceMatcher(None, text.splitlines(), after, autojunk=False).get_matching_blocks()
    return sum(block.size for block in blocks)


def test_a_new_file_replaces_nothing(desk: Desk) -> None:
    """Where users are by their first letters, a file has the name of such a folder."""
    gone = {"users/ada.yaml": None, "users/ben.yaml": None, "users/c": "plain text\n"}
    desk.repository.commit({**gone, **{f"users/{name[0]}/{name}.yaml": user(name) for name in ("ada", "ben")}}, "By letters")
    for name, file in (("dora", "users/d/dora.yaml"), ("cleo", "users/cleo.yaml")):
        shown = desk.propose("add-user", name, "--email", f"{name}@example.org", "--preview")
        assert [(each["path"], each["before"]) for each in shown["files"]] == [(file, None)]


def test_comments_that_stay_and_those_that_go_are_told(desk: Desk) -> None:
    shown = desk.propose("remove-user", "ada", "--preview")
    assert shown["comments"] == [
        {"file": "users/ada.yaml", "line": 1, "text": "# Ada, of the web team", "stays": False},
        {"file": "users/ada.yaml", "line": 7, "text": "# at home", "stays": False},
    ]
    assert "users/ada.yaml:1: this comment goes: # Ada, of the web team" in desk.accord("propose", "remove-user", "ada").stdout
    web = desk.git("show", "main:teams/web.yaml").replace("    - ada", "    # The lead\n    - until: 2099-12-31\n      user: ada")
    desk.repository.commit({"teams/web.yaml": web}, "An end")
    shown = desk.propose("add-member", "web", "ada", "--preview")
    assert (
        shown["comments"] == []
        and "\n-    - until: 2099-12-31\n-      user: ada  # leads\n+    - ada  # leads\n" in shown["diff"]
    )
    shown = desk.propose("remove-member", "web", "ada", "--preview")
    assert [(each["text"], each["stays"]) for each in shown["comments"]] == [("# The lead", True)]


# Many of them


def crowd(desk: Desk, number: int, author: str) -> None:
    """Make branches of proposals whose commits are newer than any other, and which change something."""
    tree, head = desk.git("rev-parse", "main^{tree}").strip(), desk.repository.head()
    blob = desk.git("rev-parse", "main:CODEOWNERS").strip()
    listed = subprocess.run(
        ["git", "-C", str(desk.repository.path), "mktree"], check=True, capture_output=True, text=True,
        input=desk.git("ls-tree", tree) + f"100644 blob {blob}\tOTHER\n",
    ).stdout.strip()  # fmt: skip
    said = f"committer M <m@x.org> 4000000000 +0000\ndata <<E\nMore\n\nProposed-by: {author}\nE\nfrom {head}\n"
    stream = "".join(
        f"commit refs/heads/accord/crowd-{each}\nauthor M{each} <m@x.org> 4000000000 +0000\n{said}M 040000 {listed} \n\n"
        for each in range(number)
    )
    subprocess.run(["git", "-C", str(desk.repository.path), "fast-import", "--quiet"], input=stream, check=True, text=True)


def test_a_proposal_among_more_than_a_hundred_is_known_again(desk: Desk) -> None:
    made = desk.propose("disable", "ada")
    crowd(desk, 120, "Zoe <zoe@example.org>")
    assert desk.submit(made["intent"])["status"] == "already-proposed"
    again = desk.propose("disable", "ada")
    assert (again["status"], again["branch"]) == ("already-proposed", made["branch"])
    desk.git("update-ref", f"refs/heads/{made['branch']}", "refs/heads/accord/crowd-1")  # somebody took its name
    other = desk.propose("disable", "ada")
    assert other["status"] == "proposed" and other["branch"] == f"accord/disable-ada-{made['commit'][:8]}"


def test_the_open_proposals_of_an_author_count_among_more_than_a_hundred(desk: Desk) -> None:
    few = ("--most-open", "2")
    for name in ("ada", "ben"):
        desk.propose("disable", name, *few)
    crowd(desk, 120, "Zoe <zoe@example.org>")
    failed = desk.propose("disable", "root", *few, code=ERROR)
    assert failed["reason"] == "too-many" and "has 2 open proposals already" in failed["detail"]
    assert desk.propose("disable", "root", "--most-open", "3")["status"] == "proposed"
