"""The wheel by itself: installed away from the checkout, it finds its schemas, its starter and its migrations."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import urllib.request
import zipfile
from pathlib import Path

import pytest
from waiting import LONG, until

from docs.examples import TOP

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that nothing is left in the checkout."""
    folder = tmp_path_factory.mktemp("build")
    ignored = shutil.ignore_patterns(".*", "tests", "docs", "benchmarks", "dist", "__pycache__")
    shutil.copytree(TOP, folder / "source", ignore=ignored)
    for hidden in TOP.glob("examples/*/.*"):  # the starter's own hidden files are part of it
        place = folder / "source" / hidden.relative_to(TOP)
        (shutil.copytree if hidden.is_dir() else shutil.copy)(hidden, place)
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=folder / "source", check=True, capture_output=True)
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel in it, which borrows the dependencies, and not the checkout, of this one."""
    folder = tmp_path_factory.mktemp("elsewhere") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    [site] = folder.glob("lib/python*/site-packages")
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python")]
    options = ["--no-deps", "--no-index", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", *options, str(wheel)], check=True)
    borrowed = [path for path in sys.path if path.endswith("site-packages")]
    # a plain line of a .pth file is a folder; the .pth files within that folder, the checkout's among them, are not read
    (site / "borrowed.pth").write_text("".join(f"{path}\n" for path in borrowed))
    return folder


def outside(installed: Path, folder: Path) -> dict[str, str]:
    environment = {
        key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "CI")
    }
    return {**environment, "ACCORD_CACHE": str(folder / "cache"), "PATH": f"{installed / 'bin'}:{environment['PATH']}"}


def run(installed: Path, folder: Path, *arguments: str) -> str:
    ended = subprocess.run(arguments, cwd=folder, env=outside(installed, folder), capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_the_wheel_brings_what_the_program_reads(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for path in sorted((TOP / "schemas").iterdir()):
        assert f"reconciler/_schemas/{path.name}" in names
    for path in sorted(path for path in (TOP / "examples" / "starter").rglob("*") if path.is_file()):
        assert f"reconciler/_starter/{path.relative_to(TOP / 'examples' / 'starter')}" in names
    for folder in ("api/templates", "api/console/assets", "api/console/templates"):
        for path in sorted(path for path in (TOP / folder).rglob("*") if path.is_file()):
            assert str(path.relative_to(TOP)) in names
    for path in (TOP / "api" / "console" / "assets" / "licences").iterdir():
        assert [name for name in names if ".dist-info/licenses/" in name and name.endswith(f"/{path.name}")]
    assert not [name for name in names if name.split("/")[0] not in ("reconciler", "api") and ".dist-info/" not in name]


def test_the_page_about_installing_installs_it_on_a_server(wheel: Path, tmp_path: Path) -> None:
    """Its very commands, with folders of the test's own in place of the system's, and an account that is only said to be made."""
    page = (TOP / "docs" / "install.md").read_text()
    (commands,) = re.findall(r"^```sh\n(useradd .*?)^```", page, re.MULTILINE | re.DOTALL)
    for folder in ("/var/lib/accord", "/etc/accord", "/opt/accord", "/usr/local/bin"):
        assert folder in commands
        commands = commands.replace(folder, f"{tmp_path}{folder}")
    for folder in ("dist", "bin", "usr/local/bin"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("useradd", "chown"):
        (tmp_path / "bin" / name).write_text("#!/bin/sh\n")
        (tmp_path / "bin" / name).chmod(0o755)
    shutil.copy(wheel, tmp_path / "dist")
    shutil.copy(TOP / "requirements.lock", tmp_path / "dist")
    today = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}  # as an index's certificate is
    environment = {**today, "PIP_NO_COMPILE": "1", "PATH": f"{tmp_path}/bin:{Path(sys.base_prefix) / 'bin'}:{os.environ['PATH']}"}
    subprocess.run(["bash", "-euo", "pipefail", "-c", commands], cwd=tmp_path, env=environment, check=True)
    for installed in ("accord", "accord-api"):
        program = [tmp_path / "usr/local/bin" / installed, "--version"]
        assert "0.1.0" in subprocess.run(program, env={"PATH": "/nowhere"}, capture_output=True, text=True, check=True).stdout
    for said in (
        "ExecStart=/opt/accord/bin/accord-api ",
        "EnvironmentFile=/etc/accord/api.env",
        "User=accord\n",
        "/var/lib/accord",
    ):
        assert said in page, "the unit for systemd uses what was made"


def test_the_wheel_works_away_from_the_checkout(installed: Path, tmp_path: Path) -> None:
    where = run(installed, tmp_path, "python", "-c", "import reconciler; print(reconciler.__file__)").strip()
    assert Path(where).is_relative_to(installed)
    shutil.copytree(TOP / "examples" / "config-repo", tmp_path / "example")
    assert "0 errors" in run(installed, tmp_path, "accord", "validate", "example")
    run(installed, tmp_path, "accord", "init", "new", "--administrator", "alice", "--email", "alice@example.org")
    assert (tmp_path / "new" / ".accord" / "schemas" / "user.schema.json").exists()
    assert "0 errors" in run(installed, tmp_path, "accord", "validate", "new")
    git = ["git", "-c", "user.name=Alice", "-c", "user.email=alice@example.org", "-C", "new"]
    for command in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-q", "-m", "Who may use what")):
        run(installed, tmp_path, *git, *command)
    assert "Applied" in run(installed, tmp_path, "accord", "apply", "--yes", "--repository", "new")
    assert "alice" in run(installed, tmp_path, "accord", "access")
    serve(installed, tmp_path)


def serve(installed: Path, folder: Path) -> None:
    """The API away from the checkout: it finds its templates and the schemas, whose defaults are policies."""
    where = run(installed, folder, "python", "-c", "import api; print(api.__file__)").strip()
    assert Path(where).is_relative_to(installed)
    assert "serve" in run(installed, folder, "accord-api", "--help")
    run(installed, folder, "accord-api", "user", "disable", "alice")
    run(installed, folder, "accord-api", "user", "enable", "alice")
    with (folder / "log").open("wb") as log:
        program = [installed / "bin" / "accord-api", "serve", "--listen", "127.0.0.1:0"]
        process = subprocess.Popen(program, cwd=folder, env=outside(installed, folder), stdout=log, stderr=log)
    try:

        def said() -> re.Match[str] | None:
            assert process.poll() is None, (folder / "log").read_text()
            return re.search(r"listening on (\S+)", (folder / "log").read_text())

        found = until(said, "a server that listens")
        assert found is not None
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        for path, sign in (
            ("/readyz", b"ready"),
            ("/openapi.json", b"/api/v1/decisions"),
            ("/docs", b"<h1>Accord: the API</h1>"),
        ):
            with opener.open(found[1] + path, timeout=LONG) as answer:
                assert sign in answer.read()
    finally:
        process.terminate()
        assert process.wait(timeout=LONG) == 0
