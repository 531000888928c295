"""What the console ships of other projects is what its lock names: each file by its SHA-256, each package by its integrity."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from served import TOP
from waiting import LONG

ASSETS = TOP / "api" / "console" / "assets"
LOCK: dict[str, Any] = json.loads((ASSETS / "vendor.lock.json").read_text())
FILES: dict[str, str] = {name: told["sha256"] for package in LOCK["packages"] for name, told in package["files"].items()}
OWN = {"mark.svg", "console.css", "console.js"}


def test_every_file_is_the_one_that_the_lock_names() -> None:
    assert {name: hashlib.sha256((ASSETS / name).read_bytes()).hexdigest() for name in FILES} == FILES


def test_there_are_no_others() -> None:
    found = {str(each.relative_to(ASSETS)) for each in ASSETS.rglob("*") if each.is_file()}
    ours = {name for name in found if Path(name).suffix in (".css", ".js")} | OWN
    assert found - ours == {*FILES, "vendor.lock.json"}


@pytest.mark.parametrize("package", LOCK["packages"], ids=lambda package: package["package"])
def test_a_package_has_an_exact_version_an_integrity_and_the_text_of_its_licence(package: dict[str, Any]) -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", package["version"])
    assert re.fullmatch(r"sha512-[A-Za-z0-9+/]{86}==", package["integrity"])
    [text] = [(ASSETS / name).read_text() for name in package["files"] if name.startswith("licences/")]
    words = {"OFL-1.1": "SIL Open Font License, Version 1.1", "ISC AND MIT": "ISC License"}
    assert words[package["licence"]] in text
    if package["licence"] == "ISC AND MIT":
        assert "The MIT License" in text


def test_the_lock_names_no_registry() -> None:
    assert "://" not in (ASSETS / "vendor.lock.json").read_text()


@pytest.mark.slow
def test_they_can_be_made_again_of_the_packages(tmp_path: Path) -> None:
    made = _make(TOP, tmp_path)
    if made.returncode != 0 and "npm gave no " in made.stderr:
        reason = "npm gets no package from its registry: that the vendored files come of the locked packages is not tested"
        pytest.fail(f"{reason}\n{made.stderr}") if os.environ.get("CI") == "true" else pytest.skip(reason)
    assert made.returncode == 0, made.stderr
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (ASSETS / name).read_bytes(), name


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "message"),
    [(("integrity", "sha512-x"), "is not the package that vendor.lock.json names"), (("sha256", "x"), "is not the file that")],
)
def test_what_differs_from_the_lock_is_refused_and_nothing_is_written(
    change: tuple[str, str], message: str, tmp_path: Path
) -> None:
    """With an npm that has one package, made here."""
    top = tmp_path / "top"
    shutil.copytree(TOP / ".ci", top / ".ci")
    package = top / "package"
    (package / "files").mkdir(parents=True)
    (package / "files" / "a.woff2").write_bytes(b"a font")
    subprocess.run(["tar", "-czf", "a.tgz", "package"], cwd=top, check=True)
    (tmp_path / "npm").write_text(f'#!/bin/sh\ncp {top}/a.tgz .\necho \'[{{"filename": "a.tgz"}}]\'\n')
    (tmp_path / "npm").chmod(0o755)
    file = {"from": "files/a.woff2", "sha256": ""}
    lock = {"packages": [{"package": "a", "version": "1.0.0", "integrity": "", "licence": "OFL-1.1", "files": {"a.woff2": file}}]}
    assets = top / "api" / "console" / "assets"
    assets.mkdir(parents=True)
    (assets / "vendor.lock.json").write_text(json.dumps(lock))
    assert _make(top, None, tmp_path, "--lock").returncode == 0
    assert (assets / "a.woff2").read_bytes() == b"a font"
    assert _make(top, None, tmp_path).returncode == 0
    text = (assets / "vendor.lock.json").read_text()
    (assets / "vendor.lock.json").write_text(re.sub(rf'"{change[0]}": "[^"]*"', f'"{change[0]}": "{change[1]}"', text))
    (assets / "a.woff2").unlink()
    refused = _make(top, None, tmp_path)
    assert (refused.returncode, message in refused.stderr) == (1, True), refused.stderr
    assert not (assets / "a.woff2").exists()


def _make(top: Path, folder: Path | None, path: Path | None = None, *options: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, str(top / ".ci" / "vendor.py"), *options, *([] if folder is None else [str(folder)])]
    env = {**os.environ, **({} if path is None else {"PATH": f"{path}:{os.environ['PATH']}"})}
    return subprocess.run(program, env=env, capture_output=True, text=True, check=False, timeout=LONG)
