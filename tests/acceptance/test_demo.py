"""`make demo`: it shows what it says it shows, and leaves no server behind."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
from terminals import on_a_terminal
from waiting import LONG

from docs.examples import TOP, masked

pytestmark = pytest.mark.slow
_COLOURS = re.compile(r"\x1b\[\d*m")


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    """The demo's script in a checkout of its own."""
    for part in ("reconciler", "api", "schemas"):
        (tmp_path / part).symlink_to(TOP / part)
    shutil.copytree(TOP / "examples", tmp_path / "examples")
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name, module in (("accord", "reconciler.cli.main"), ("accord-api", "api.cli.main")):
        (programs / name).write_text(f"#!{sys.executable}\nfrom {module} import main\nmain()\n")
        (programs / name).chmod(0o755)
    (programs / "python").symlink_to(sys.executable)
    return tmp_path / "examples" / "demo.sh"


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ACCORD_") and name != "VENV"}
    return {**kept, "PYTHONPATH": str(TOP), **more}


def run(demo: Path, **more: str) -> list[str]:
    done = subprocess.run([demo], env=environment(**more), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return _COLOURS.sub("", done.stdout).splitlines()


def url_of(lines: list[str]) -> str:
    (url,) = [line.partition("listening on ")[2] for line in lines if line.startswith("listening on ")]
    return url


def answers(lines: list[str]) -> dict[str, object]:
    """What each call of curl printed, by its path."""
    found = {}
    for line, following in itertools.pairwise(lines):
        if line.startswith("$ curl"):
            path = re.search(r"/api/v1(\S+)", line)
            assert path is not None
            found[f"{path[1]} {len(found)}"] = json.loads(following)
    return found


def insist_on_the_answers(lines: list[str]) -> None:
    login, access, minted, me, allowed, denied, first, registered = answers(lines).values()
    assert isinstance(login, dict) and login["user"] == "alice"
    assert isinstance(access, list) and [each["issuer"] for each in access] == ["tls-internal", "tls-public", "vpn"]
    assert isinstance(minted, dict) and minted["name"] == "pipeline"
    assert isinstance(me, dict) and me["credential"]["id"] == minted["id"]
    assert isinstance(allowed, dict) and (allowed["allow"], allowed["path"]["team"]) == (True, "web-platform")
    assert isinstance(denied, dict) and (denied["allow"], denied["reason"]) == (False, "no-permission")
    assert isinstance(first, dict) and (first["user"], first["passwordChangeRequired"]) == ("heidi", True)
    assert isinstance(registered, dict) and (registered["owner"], registered["issuer"]) == ("alice", "tls-public")
    assert "To: Heidi Lang <heidi@example.org>" in lines
    assert lines[lines.index("To: Alice Jones <alice@example.org>") + 1].startswith("Subject: Certificate issued: CN=www")


def is_answering(url: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url}/readyz", timeout=LONG):
            return True
    except OSError:
        return False


def signs_in(url: str, name: str, password: str) -> str:
    """Where a browser lands that signs in to the console, and what it sees there."""
    jar = urllib.request.HTTPCookieProcessor()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), jar)
    with opener.open(f"{url}/login", timeout=LONG) as page:
        token = re.search(r'name="csrf" value="([0-9a-f]+)"', page.read().decode())
    assert token is not None
    form = urllib.parse.urlencode({"csrf": token[1], "name": name, "password": password, "next": "/me"}).encode()
    with opener.open(urllib.request.Request(f"{url}/login", form, {"Sec-Fetch-Site": "same-origin"}), timeout=LONG) as page:
        return f"{page.url} {page.read().decode()}"


def test_the_demo_runs_to_its_end_and_leaves_no_server(demo: Path) -> None:
    lines = run(demo)
    shown = list(map(masked, lines))
    for wanted in (
        "20 resources in 19 files: 0 errors, 0 warnings",
        "  + grace gains document-signing through auditors, from anywhere",
        "8 accounts, 12 permissions, as of MOMENT",
        "  + 2 people and 1 application gain vpn through web-platform until 2099-12-31, from anywhere: alice, bob, deploy-bot",
        "alice       vpn     web-platform  2099-12-31  anywhere",
        "alice may use vpn from 10.20.1.1 through web-platform, until 2099-12-31",
        "The audit log is intact: 23 entries; the last hash is HASH",
    ):
        assert wanted in shown, wanted
    insist_on_the_answers(lines)
    assert (demo.parents[1] / ".demo" / "accord.db").is_file()
    assert not is_answering(url_of(lines))


def test_on_a_terminal_the_api_goes_on_until_it_is_interrupted_and_nothing_needs_curl(demo: Path, tmp_path: Path) -> None:
    programs = tmp_path / "few"
    programs.mkdir()
    for name in ("bash", "env", "git", "mkdir", "cp", "rm", "sed", "grep", "sleep", "cat", "dirname"):
        (programs / name).symlink_to(str(shutil.which(name)))
    seen = b""
    with on_a_terminal([demo], environment(TERM="dumb", PATH=str(programs))) as terminal:
        while b"until Ctrl-C" not in seen:
            shown = terminal.read()
            assert shown, seen.decode()
            seen += shown
        lines = _COLOURS.sub("", seen.decode()).splitlines()
        insist_on_the_answers(lines)
        url = url_of(lines)
        assert is_answering(url)
        assert f"── The web console, at {url}/" in lines
        for kind, name in (("an administrator", "carol"), ("a person", "alice")):
            (told,) = [line for line in lines if line.startswith(f"{kind}: ")]
            found = re.fullmatch(r"[a-z ]+: +(\w+), password: (.+)", told)
            assert found is not None and found[1] == name
            seen_there = signs_in(url, name, found[2])
            assert seen_there.startswith(f"{url}/me ")
            assert ("administrator</span>" in seen_there) == (name == "carol")
        terminal.type(b"\x03")
        assert terminal.process.wait(timeout=LONG) == 0
    assert not is_answering(url)
