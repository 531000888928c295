"""A working tree and a cache for each test, and a git that nobody has configured."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from work_tree import Work


@pytest.fixture(autouse=True)
def _only_what_a_test_configures(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("GIT_") and name != "GIT_PYTHON_REFRESH"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(tmp_path / "config")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"
