"""A proposal is pushed to a forge, or the forge refuses it: each refusal has its own words, and nothing half-made is left."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from forge import Forge
from scenario import Accord, ConfigRepository
from test_proposing import ADD, AUTHOR, FILES
from using import using
from waiting import until

from reconciler.cli.exits import ERROR, INVALID, STALE, UNREACHABLE


class Distant:
    """The program against a repository behind a forge."""

    def __init__(self, forge: Forge, repository: ConfigRepository, tmp_path: Path) -> None:
        self.forge, self.repository, self.cache = forge, repository, tmp_path / "cache"
        self.accord = Accord(forge.url("config.git"), f"sqlite:///{tmp_path}/accord.db", self.cache)
        self.accord.environment.update(ACCORD_DATABASE_URL="")
        del self.accord.environment["ACCORD_DATABASE_URL"]

    def propose(self, *arguments: str, code: int = 0, **environment: str | None) -> Any:
        said = self.accord("propose", *arguments, *AUTHOR, "--format", "json", code=code, **environment)
        return json.loads(said.stdout)

    def hook(self, name: str, script: str) -> None:
        file = self.repository.path / "hooks" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)

    def git(self, *arguments: str) -> str:
        ended = subprocess.run(["git", "-C", str(self.repository.path), *arguments], capture_output=True, text=True, check=True)
        return ended.stdout

    def branches(self) -> list[str]:
        return self.git("for-each-ref", "--format=%(refname:short)", "refs/heads").split()


@pytest.fixture
def distant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Distant]:
    monkeypatch.delenv("ACCORD_DATABASE_URL", raising=False)
    monkeypatch.chdir(tmp_path)
    repository = ConfigRepository(tmp_path / "www/config.git")
    repository.commit(FILES, "Start")
    subprocess.run(["git", "-C", str(repository.path), "config", "http.receivepack", "true"], check=True)
    forge = Forge(tmp_path / "www")
    yield Distant(forge, repository, tmp_path)
    forge.close()


def test_a_proposal_is_pushed_over_http_and_pollutes_no_mirror(distant: Distant) -> None:
    shown = distant.propose(*ADD, "--preview")
    (mirror,) = distant.cache.glob("mirror-*.git")
    objects = subprocess.run(["git", "-C", str(mirror), "count-objects", "-v"], capture_output=True, text=True, check=True).stdout
    cached = sorted(file.stat().st_size for file in distant.cache.glob("blobs-*.db"))
    made = distant.propose(*ADD, "--expect", shown["commit"], "--base", shown["base"]["commit"])
    assert made["status"] == "proposed" and made["commit"] == shown["commit"] and made["pullRequest"] is None
    assert distant.git("rev-parse", made["branch"]).strip() == shown["commit"]
    distant.git("fsck", "--strict")
    after = subprocess.run(["git", "-C", str(mirror), "count-objects", "-v"], capture_output=True, text=True, check=True).stdout
    assert after == objects and sorted(file.stat().st_size for file in distant.cache.glob("blobs-*.db")) == cached
    assert distant.propose(*ADD)["status"] == "already-proposed"


def test_what_the_remote_says_is_shown_as_text(distant: Distant) -> None:
    distant.hook(
        "post-receive", "printf 'To open a request:\\n\\033[31m::set-output x\\n https://evil.example/pull/new/x\\n' >&2"
    )
    made = distant.propose(*ADD)
    assert made["status"] == "proposed" and "To open a request:" in made["remote"] and "\x1b" not in made["remote"]
    assert made["pullRequest"] is None
    text = distant.accord("propose", "disable", "ben", *AUTHOR).stdout
    assert "\x1b" not in text and not any(line.startswith("::") for line in text.splitlines())


REFUSALS = {
    "github protects": ("error: GH006: Protected branch update failed for refs/heads/accord/x.", "protected-branch"),
    "github rules": ("error: GH013: Repository rule violations found for refs/heads/accord/x.", "protected-branch"),
    "github signs": ("GH013: Repository rule violations found - Commits must have verified signatures.", "signing-required"),
    "gitlab protects": ("GitLab: You are not allowed to create protected branches on this project.", "protected-branch"),
    "gitlab signs": ("GitLab: Commit must be signed with a GPG key", "signing-required"),
    "gitlab forbids": ("GitLab: You are not allowed to push code to this project.", "permission"),
    "gitea protects": ("Gitea: Not allowed to push to protected branch accord", "protected-branch"),
    "bitbucket": ("Branch refs/heads/accord/x can only be modified through pull requests.", "protected-branch"),
    "own hook": ("Ticket number is missing", "hook"),
}
"""What forges print from a hook of theirs, and what it means."""


@pytest.mark.parametrize("hook", ["pre-receive", "update"])
@pytest.mark.parametrize("case", REFUSALS)
def test_each_refusal_is_told_apart_and_comes_with_the_patch(distant: Distant, case: str, hook: str) -> None:
    words, reason = REFUSALS[case]
    distant.hook(hook, f"echo '{words}' >&2; exit 1")
    failed = distant.propose(*ADD, code=ERROR)
    assert failed["reason"] == reason and words in failed["remote"]
    assert failed["patch"].startswith("From ") and "+    - cleo" in failed["patch"]
    assert distant.branches() == ["main"]
    assert f"remote: {words}" in distant.accord("propose", *ADD, *AUTHOR, code=ERROR).stderr


def test_a_branch_called_accord_is_in_the_way(distant: Distant) -> None:
    distant.git("branch", "accord", "main")
    failed = distant.propose(*ADD, code=ERROR)
    assert failed["reason"] == "branch-name-taken" and "Rename or delete it" in failed["detail"]
    local = distant.accord("propose", *ADD, "--repository", str(distant.repository.path), *AUTHOR, "--format", "json", code=ERROR)
    assert json.loads(local.stdout)["reason"] == "branch-name-taken"


def test_a_remote_that_lets_nobody_push(distant: Distant) -> None:
    distant.forge.mood = "forbids"
    assert distant.propose(*ADD, code=ERROR)["reason"] == "permission"


def test_a_remote_that_stops_in_the_middle_of_a_push_is_given_up_in_time(distant: Distant) -> None:
    distant.forge.mood = "stops"
    begun = time.monotonic()
    failed = distant.propose(*ADD, code=UNREACHABLE, ACCORD_PROPOSAL_TIMEOUT="3s")
    assert failed["reason"] == "timeout" and time.monotonic() - begun < 10
    assert failed["patch"] and distant.branches() == ["main"]
    until(lambda: not using(distant.forge.url("")), "the end of git")
    distant.forge.mood = "willing"
    assert distant.propose(*ADD)["status"] == "proposed"


def test_ctrl_c_in_the_middle_of_a_push_ends_all_of_it(distant: Distant) -> None:
    distant.forge.mood = "stops"
    process = distant.accord.process("propose", *ADD, *AUTHOR, "--format", "json")
    until(lambda: distant.forge.stopped, "a push")
    begun = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert time.monotonic() - begun < 10 and process.returncode == UNREACHABLE
    assert "unknown" in errors.decode() and "Traceback" not in errors.decode()
    until(lambda: not using(distant.forge.url("")), "the end of git")
    assert distant.branches() == ["main"]


def test_a_remote_that_hangs_up_is_the_network_s_fault(distant: Distant) -> None:
    distant.forge.mood = "hangs up"
    assert distant.propose(*ADD, code=UNREACHABLE)["reason"] == "network"
    distant.forge.close()
    assert distant.propose(*ADD, code=UNREACHABLE)["reason"] == "network"


def test_a_remote_that_never_answers_a_fetch_is_given_up_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://alice:hunter2@127.0.0.1:{silent.getsockname()[1]}/config.git"
        accord = Accord(url, "sqlite:///none.db", tmp_path / "cache")
        said = accord("propose", *ADD, *AUTHOR, "--format", "json", code=UNREACHABLE, ACCORD_PROPOSAL_TIMEOUT="1s")
    failed = json.loads(said.stdout)
    assert failed["reason"] == "timeout" and "hunter2" not in said.stdout + said.stderr


def test_a_credential_is_in_no_argument_no_answer_and_no_file(
    distant: Distant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "git").write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> {tmp_path}/arguments\nexec {shutil.which("git")} "$@"\n')
    (programs / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    distant.forge.admit("x-access-token", "ghs_secret")
    url = distant.forge.url("config.git", "x-access-token:ghs_secret")
    distant.hook("pre-receive", f"echo 'try {url} again' >&2; exit 1")
    said = distant.accord("propose", *ADD, *AUTHOR, "--repository", url, "--format", "json", code=ERROR)
    assert json.loads(said.stdout)["reason"] == "hook"
    distant.hook("pre-receive", "exit 0")
    done = distant.accord("propose", *ADD, *AUTHOR, "--repository", url)
    wrong = distant.forge.url("config.git", "x-access-token:ghs_wrong")
    failed = distant.accord("propose", *ADD, *AUTHOR, "--repository", wrong, "--format", "json", code=UNREACHABLE)
    text = "".join(each.stdout + each.stderr for each in (said, done, failed))
    assert "ghs_" not in text + (tmp_path / "arguments").read_text() and "push" in (tmp_path / "arguments").read_text()
    assert not [file for file in distant.cache.rglob("*") if file.is_file() and b"ghs_" in file.read_bytes()]


def test_nothing_that_the_repository_brings_is_run(distant: Distant, tmp_path: Path) -> None:
    for name in ("pre-push", "reference-transaction", "post-commit"):
        distant.hook(name, f"touch {tmp_path}/ran-{name}")
    local = str(distant.repository.path)
    for key, value in (("core.fsmonitor", f"touch {tmp_path}/ran"), ("gpg.program", f"touch {tmp_path}/ran"),
                       ("commit.gpgSign", "true"), ("uploadpack.packObjectsHook", f"touch {tmp_path}/ran")):  # fmt: skip
        distant.git("config", key, value)
    distant.repository.commit({".gitattributes": "* filter=x diff=x merge=x\n"})
    for key in ("filter.x.clean", "diff.x.command", "merge.x.driver"):
        distant.git("config", key, f"touch {tmp_path}/ran")
    for file in tmp_path.glob("ran*"):  # by what has just been done to the repository
        file.unlink()
    made = distant.accord("propose", *ADD, *AUTHOR, "--repository", local, "--format", "json")
    assert json.loads(made.stdout)["status"] == "proposed"
    assert not list(tmp_path.glob("ran*"))


def test_two_people_at_once_both_get_a_branch(distant: Distant) -> None:
    distant.accord("validate", "--rev", "main")  # the mirror is there
    started = [
        distant.accord.process("propose", "add-member", "web", "ben", "--author", f"{name} <{name}@x.org>", "--format", "json")
        for name in ("ann", "bea", "cid", "dot")
    ]
    answers = [json.loads(process.communicate(timeout=60)[0]) for process in started]
    assert {answer["status"] for answer in answers} == {"proposed"}
    assert sorted(distant.branches()) == sorted([*(answer["branch"] for answer in answers), "main"])


def test_the_same_proposal_at_once_is_made_once(distant: Distant) -> None:
    distant.accord("validate", "--rev", "main")
    started = [distant.accord.process("propose", *ADD, *AUTHOR, "--format", "json") for _ in range(4)]
    answers = [json.loads(process.communicate(timeout=60)[0]) for process in started]
    assert {answer["status"] for answer in answers} <= {"proposed", "already-proposed"}, answers
    assert len({answer["branch"] for answer in answers}) == 1 and len(distant.branches()) == 2


def test_a_signing_key_signs_the_same_commit_each_time(distant: Distant, tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    shown = distant.propose(*ADD, "--preview", ACCORD_PROPOSAL_SIGNING_KEY=str(key))
    made = distant.propose(*ADD, "--expect", shown["commit"], ACCORD_PROPOSAL_SIGNING_KEY=str(key))
    (tmp_path / "signers").write_text(f"* {(tmp_path / 'key.pub').read_text()}")
    distant.git("-c", f"gpg.ssh.allowedSignersFile={tmp_path}/signers", "verify-commit", made["commit"])
    ecdsa = tmp_path / "ecdsa"
    subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", str(ecdsa)], check=True)
    failed = distant.propose("disable", "ben", code=ERROR, ACCORD_PROPOSAL_SIGNING_KEY=str(ecdsa))
    assert "ed25519" in failed["detail"]
    subprocess.run(["ssh-keygen", "-q", "-p", "-N", "a passphrase", "-f", str(key)], check=True)
    failed = distant.propose("disable", "ben", code=ERROR, ACCORD_PROPOSAL_SIGNING_KEY=str(key))
    assert "cannot sign" in failed["detail"]
    assert distant.propose("disable", "ben", code=ERROR, ACCORD_PROPOSAL_SIGNING_KEY=str(tmp_path / "none"))["status"] == "failed"


# Proposals


def test_proposals_are_listed_shown_and_withdrawn(distant: Distant) -> None:
    first = distant.propose("add-member", "web", "ben")
    second = distant.propose("disable", "ben")
    listed = json.loads(distant.accord("proposals", "list", "--format", "json").stdout)
    assert {each["branch"]: each["state"] for each in listed} == {first["branch"]: "open", second["branch"]: "open"}
    assert {each["branch"]: each["files"] for each in listed}[first["branch"]] == ["teams/web.yaml"]
    shown = json.loads(distant.accord("proposals", "show", first["branch"], "--format", "json").stdout)
    same = ("commit", "branch", "base", "subject", "message", "author", "files", "diff", "patch", "approvals", "comparison")
    assert shown["status"] == "open" and {key: shown[key] for key in same if shown[key] != first[key]} == {}
    distant.accord("proposals", "withdraw", first["branch"])
    assert distant.branches() == [second["branch"], "main"]
    failed = distant.accord("proposals", "withdraw", first["branch"], "--format", "json", code=ERROR)
    assert json.loads(failed.stdout)["reason"] == "unknown-proposal"
    here = ("--repository", str(distant.repository.path))
    distant.accord("proposals", "withdraw", second["branch"], *here)
    assert "Nothing is proposed." in distant.accord("proposals").stdout


def test_a_proposal_is_withdrawn_only_if_it_is_the_one_that_was_shown(distant: Distant) -> None:
    made = distant.propose("disable", "ben")
    branch = made["branch"]
    other = distant.git("rev-parse", "main").strip()
    withdraw = ("proposals", "withdraw", branch, "--format", "json", "--expect")
    assert json.loads(distant.accord(*withdraw, other, code=STALE).stdout)["reason"] == "moved"
    assert json.loads(distant.accord(*withdraw, "main", code=INVALID).stdout)["reason"] == "invalid"
    assert distant.branches() == [branch, "main"]
    assert json.loads(distant.accord(*withdraw, made["commit"]).stdout)["status"] == "withdrawn"


def test_an_author_can_be_kept_to_a_number_of_open_proposals(distant: Distant) -> None:
    few = ("--most-open", "2")
    made = [distant.propose(act, "ben", *few) for act in ("disable", "remove-user")]
    for more in ((), ("--preview",)):
        failed = distant.propose("add-member", "web", "ben", *few, *more, code=ERROR)
        assert failed["reason"] == "too-many" and "2 open proposals" in failed["detail"]
    # the same again is no other one, and neither others' nor one's own without a limit are refused
    assert distant.propose("disable", "ben", *few, "--expect", made[0]["commit"])["status"] == "already-proposed"
    other = ("propose", "add-member", "web", "ben", *few, "--author", "Bob <bob@example.org>", "--format", "json")
    assert json.loads(distant.accord(*other).stdout)["status"] == "proposed"
    # what was merged as another commit is no longer open, although its branch stays
    changed = distant.git("show", f"{made[0]['commit']}:users/ben.yaml")
    distant.repository.commit({"users/ben.yaml": changed}, "Disable ben, squashed")
    listed = json.loads(distant.accord("proposals", "list", "--format", "json").stdout)
    assert {each["branch"]: each["state"] for each in listed}[made[0]["branch"]] == "merged"
    assert distant.propose("add-member", "web", "ben", *few)["status"] == "proposed"


def test_only_proposals_are_withdrawn(distant: Distant) -> None:
    distant.git("branch", "accord/mine", "main")
    distant.git("branch", "other", "main")
    for name in ("accord/mine", "other", "main", "accord/", "accord/*", "../x", "accord/..", "--all", "accord/\x1b"):
        failed = json.loads(distant.accord("proposals", "withdraw", "--format", "json", "--", name, code=ERROR).stdout)
        assert failed["reason"] in ("not-a-proposal", "unknown-proposal")
    assert distant.branches() == ["accord/mine", "main", "other"]


def test_a_proposal_that_no_longer_applies_is_stale(distant: Distant) -> None:
    made = distant.propose("set", "User", "ada", "email=new@example.org")
    distant.repository.commit({"users/ada.yaml": FILES["users/ada.yaml"].replace("ada@example.org", "other@example.org")})
    (listed,) = json.loads(distant.accord("proposals", "--format", "json").stdout)
    assert listed["state"] == "stale"
    shown = json.loads(distant.accord("proposals", "show", made["branch"], "--format", "json").stdout)
    assert shown["status"] == "stale" and shown["comparison"]["changes"]


def test_a_stranger_s_branch_is_shown_as_what_it_is(distant: Distant) -> None:
    tree = distant.git("rev-parse", "main^{tree}").strip()
    message = "\x1b[2J\u202eevil\n\nProposed-by: Root <root@example.org>"
    commit = subprocess.run(
        ["git", "-C", str(distant.repository.path), "-c", "user.name=\u202eX", "-c", "user.email=x", "commit-tree", tree],
        input=message.encode(), capture_output=True, check=True,
    ).stdout.decode().strip()  # fmt: skip
    distant.git("branch", "accord/unrelated", commit)
    clone = distant.repository
    clone.commit({"users/broken.yaml": "kind: Usr\n"})
    distant.git("branch", "accord/broken", "main")
    distant.git("update-ref", "refs/heads/main", "main^")
    listed = json.loads(distant.accord("proposals", "--format", "json").stdout)
    assert {each["branch"]: each["state"] for each in listed} == {"accord/unrelated": "stale", "accord/broken": "open"}
    assert "\x1b" not in distant.accord("proposals").stdout and "\u202e" not in distant.accord("proposals").stdout
    shown = json.loads(distant.accord("proposals", "show", "accord/broken", "--format", "json").stdout)
    assert shown["plan"] is None and any(problem["severity"] == "error" for problem in shown["validation"])
    shown = json.loads(distant.accord("proposals", "show", "accord/unrelated", "--format", "json").stdout)
    assert shown["status"] == "stale"
