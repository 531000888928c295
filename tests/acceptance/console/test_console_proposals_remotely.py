"""What a distant repository answers: each refusal has its own words on the page, with the patch; nothing half-made is left."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from forge import Forge
from organisation import Applied, copy_repository, copy_sqlite
from petitioners import Desk, commit_in
from scenario import Accord
from waiting import LONG, until

from client import World  # isort: skip
from api.console.proposing import Intent, ProposalFailed, Proposing, environment_of

ADD = {"name": "cleo", "email": "cleo@example.org", "team": ["web"], "why": "She joins"}
DISABLE = Intent(({"act": "disable", "name": "bob"},), ("Root", "root@example.org"))


class Distant(Desk):
    """A desk whose repository is behind a forge."""

    def __init__(self, world: World, forge: Forge, folder: Path) -> None:
        self.forge = forge
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "ACCORD_REPOSITORY": forge.url("config.git", "accord:sesame-open"),
            "ACCORD_CACHE": str(folder / "cache"),
        }
        super().__init__(world, self.environment)

    def hook(self, name: str, script: str) -> None:
        file = self.world.repository.path / "hooks" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)


@pytest.fixture
def distant(applied_on_sqlite: Applied, tmp_path: Path) -> Iterator[Distant]:
    (tmp_path / "www").mkdir()
    repository = copy_repository(applied_on_sqlite, tmp_path / "www/config.git")
    subprocess.run(["git", "-C", str(repository.path), "config", "http.receivepack", "true"], check=True)
    world = World(Accord(repository.path, copy_sqlite(applied_on_sqlite, tmp_path / "accord.db"), tmp_path / "cache"))
    forge = Forge(tmp_path / "www")
    forge.admit("accord", "sesame-open")
    yield Distant(world, forge, tmp_path)
    forge.close()
    world.service.stop()


def test_a_proposal_is_pushed_listed_shown_and_withdrawn(distant: Distant) -> None:
    root = distant["root"]
    preview = root.preview("/users/new", **ADD)
    page = root.press(preview.form("propose"), "propose")
    (branch,) = distant.branches()
    assert distant.git("rev-parse", branch).strip() == commit_in(preview) and "Proposed" in page.text
    distant.git("fsck", "--strict")
    again = root.press(preview.form("propose"), "propose")
    assert "proposed already" in again.text
    (form,) = [each for each in root.see(f"/proposals/{branch}?confirm=withdraw").forms if each.action.endswith(branch)]
    assert root.send("POST", form.action, form.fields).status_code == 303 and distant.branches() == []


REFUSALS = {
    "a protected branch": ("GH006: Protected branch update failed", "The repository protects this branch", "git am"),
    "signatures": ("GH013: Commits must have verified signatures.", "takes only signed commits", "ACCORD_PROPOSAL_SIGNING_KEY"),
    "no right to push": ("GitLab: You are not allowed to push code to this project.", "may not push", "right to push"),
    "a hook": ("Ticket <b>number</b> is missing", "A hook of the repository refused it", "Read what it said"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_each_refusal_has_its_own_words_and_its_next_step(distant: Distant, case: str) -> None:
    said, title, step = REFUSALS[case]
    distant.hook("pre-receive", f"echo '{said}' >&2; exit 1")
    root = distant["root"]
    page = root.press(root.preview("/users/new", **ADD).form("propose"), "propose", 409)
    assert title in page.text and step in page.text and "What the repository said" in page.text and "<b>number" not in page.html
    assert said in page.text and "sesame" not in page.html
    patch = root.answer(page.form("patch"), "patch")
    assert patch.headers["content-type"].startswith("text/x-patch") and patch.content.startswith(b"From ")
    back = root.press(page.form("edit"), "edit")
    assert ("name", "cleo") in back.form("preview").fields and ("why", "She joins") in back.form("preview").fields
    assert distant.branches() == []


def test_a_branch_called_accord_and_a_forge_that_lets_nobody_push(distant: Distant) -> None:
    root = distant["root"]
    form = root.preview("/users/new", **ADD).form("propose")
    distant.git("branch", "accord", "main")
    assert "called “accord” is in the way" in root.press(form, "propose", 409).text
    distant.git("branch", "-D", "accord")
    distant.forge.mood = "forbids"
    assert "may not push" in root.press(form, "propose", 409).text


def test_a_remote_that_hangs_up_or_stops_is_tried_again_and_nothing_is_made_twice(distant: Distant) -> None:
    root = distant["root"]
    form = root.preview("/users/new", **ADD).form("propose")
    distant.forge.mood = "hangs up"
    page = root.press(form, "propose", 503)
    assert "was not reached" in page.text and page.has_step("preview") and page.has_step("patch")
    distant.forge.mood = "stops"
    distant.become(
        Proposing(
            distant.world.url,
            is_configured=True,
            environment={**distant.environment, "ACCORD_PROPOSAL_TIMEOUT": "4s"},
            seconds=LONG,
        )
    )
    assert "did not answer in time" in root.press(form, "propose", 503).text
    assert distant.branches() == []
    distant.forge.mood = "willing"
    assert "Proposed" in root.press(root.press(page.form("preview"), "preview").form("propose"), "propose").text


def test_a_list_that_cannot_be_read_again_is_shown_as_it_was(distant: Distant, monkeypatch: pytest.MonkeyPatch) -> None:
    root = distant["root"]
    root.propose("/users/new", **ADD)
    assert "accord/add-user-cleo" in root.see("/proposals").text
    monkeypatch.setattr("api.console.proposing.KEPT", 0.0)
    distant.forge.close()
    distant.proposing._forget_list()
    stale = root.see("/proposals")
    assert "accord/add-user-cleo" in stale.text and "was not reached" in stale.text and "when it was last read" in stale.text
    distant.proposing._listing = None
    assert "was not reached" in root.see("/proposals").text


def test_a_list_that_cannot_be_read_is_not_tried_again_for_everybody_who_looks(
    distant: Distant, monkeypatch: pytest.MonkeyPatch
) -> None:
    distant.forge.close()
    tried: list[object] = []
    run = distant.proposing._run

    def counted(*given: object) -> object:
        tried.append(given)
        return run(*given)

    monkeypatch.setattr(distant.proposing, "_run", counted)
    assert "was not reached" in distant["root"].see("/proposals").text
    for name in ("alice", "bob"):
        distant[name].see("/proposals")
    assert len(tried) == 1
    distant.proposing._forget_list()
    distant["root"].see("/proposals")
    assert len(tried) == 2


# The process beside


def running(needle: str) -> list[str]:
    """The processes that have this in their arguments or environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if needle.encode() in (folder / "environ").read_bytes() and int(folder.name) != os.getpid():
                found.append((folder / "cmdline").read_text())
        except OSError:
            continue
    return found


def test_a_process_that_takes_too_long_is_ended_with_all_that_it_started(distant: Distant) -> None:
    marked = {**distant.environment, "ACCORD_PROPOSAL_TIMEOUT": "100s"}
    root = distant["root"]
    form = root.preview("/users/new", **ADD).form("propose")
    distant.forge.mood = "stops"
    distant.become(Proposing(distant.world.url, is_configured=True, environment=marked, seconds=8.0))
    begun = time.monotonic()
    page = root.press(form, "propose", 503)
    assert "It took too long" in page.text and time.monotonic() - begun < 60
    until(lambda: not running(str(distant.environment["ACCORD_CACHE"])), "the end of all processes")


def test_more_than_may_work_at_once_are_told_to_try_again(distant: Distant) -> None:
    root = distant["root"]
    form = root.preview("/users/new", **ADD).form("propose")
    members = [distant["alice"], distant["bob"]]  # nobody holds two places
    forms = [each.preview("/proposals/new?act=grant&team=web", issuer="old").form("propose") for each in members]
    distant.forge.mood = "stops"
    busy = Proposing(distant.world.url, is_configured=True, environment=distant.environment, places=2, seconds=LONG, wait=0.05)
    distant.become(busy)
    others = [
        threading.Thread(target=each.answer, args=(theirs, "propose"), daemon=True)
        for each, theirs in zip(members, forms, strict=True)
    ]
    for each in others:
        each.start()
    until(lambda: busy._places._value == 0, "two proposals under way")
    page = root.press(form, "preview", 503)
    assert "Busy" in page.text and "Try again" in page.text and page.has_step("edit")
    distant.forge.released.set()
    for each in others:
        each.join(LONG)
    assert busy._places._value == 2


def test_the_process_gets_what_is_listed_and_nothing_else() -> None:
    given = {
        "PATH": "/bin",
        "HOME": "/h",
        "LANG": "C",
        "SSH_AUTH_SOCK": "/s",
        "https_proxy": "p",
        "NO_PROXY": "n",
        "GIT_SSH_COMMAND": "ssh",
        "GIT_CONFIG_KEY_0": "k",
        "ACCORD_REPOSITORY": "r",
        "ACCORD_CONFIG": "c",
        "ACCORD_DATABASE_URL": "other",
        "ACCORD_SMTP_PASSWORD": "hush",
        "ACCORD_DIRECTORY_CORP_SECRET": "hush",
        "ACCORD_METRICS_TOKEN": "hush",
        "AWS_SECRET_ACCESS_KEY": "hush",
        "GIT_DIR": "/elsewhere",
        "GIT_SSL_NO_VERIFY": "1",
        "GIT_OBJECT_DIRECTORY": "/o",
        "LD_PRELOAD": "x",
        "PYTHONSTARTUP": "x",
        "PYTHONPATH": "/evil",
        "ACCORD_DEBUG": "1",
        "CI": "true",
    }
    found = environment_of(given, "sqlite:///mine.db")
    assert set(found) == {
        "PATH",
        "HOME",
        "LANG",
        "SSH_AUTH_SOCK",
        "https_proxy",
        "NO_PROXY",
        "GIT_SSH_COMMAND",
        "GIT_CONFIG_KEY_0",
        "ACCORD_REPOSITORY",
        "ACCORD_CONFIG",
        "ACCORD_DATABASE_URL",
        "ACCORD_PROPOSAL_TIMEOUT",
        "PYTHONPATH",
    }
    assert found["ACCORD_DATABASE_URL"] == "sqlite:///mine.db" and found["PYTHONPATH"] == str(Path(__file__).parents[3])


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("import sys; sys.exit(3)", "internal"),
        ("print('not JSON')", "internal"),
        ("import sys; sys.stdout.write('x' * (20 << 20))", "too-large"),
        ("import sys; sys.stderr.write('y' * (20 << 20)); print('[]')", ""),
        ("import time; time.sleep(60)", "timeout-here"),
        ("import os, time; os.close(1); os.close(2); os.close(0); time.sleep(60)", "internal"),
        ("import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])", "timeout-here"),
        ('print(\'{"status": "failed", "reason": "nonsense"}\')', "nonsense"),
    ],
)
def test_whatever_the_program_does_it_ends_and_the_page_has_words(
    program: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "reconciler/cli").mkdir(parents=True)
    (tmp_path / "reconciler/__init__.py").touch()
    (tmp_path / "reconciler/cli/__init__.py").touch()
    (tmp_path / "reconciler/cli/__main__.py").write_text(program)
    monkeypatch.setattr("api.console.proposing.reconciler.__file__", str(tmp_path / "reconciler/__init__.py"))
    limit = 6.0 if reason == "timeout-here" else LONG
    proposing = Proposing("sqlite:///x.db", is_configured=True, environment={"PATH": os.environ["PATH"]}, seconds=limit)
    begun = time.monotonic()
    if reason:
        with pytest.raises(ProposalFailed) as failed:
            proposing.preview(DISABLE)
        assert failed.value.reason == reason
    else:
        assert proposing.preview(DISABLE) == []
        assert all(len(record.getMessage()) < 5_000 for record in caplog.records)
    assert time.monotonic() - begun < LONG
    until(lambda: not running(str(tmp_path)), "the end of all processes")
