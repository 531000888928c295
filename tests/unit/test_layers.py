"""The contracts of who may import whom leave no room out."""

from __future__ import annotations

import tomllib
from pathlib import Path

TOP = Path(__file__).parents[2]
SHARED = {"access", "mail", "store", "wording", "shipped", "settings", "process", "progress", "descendants"}
"""What the API may import of the reconciler."""


def test_the_api_may_import_the_model_and_the_database_and_no_other_room() -> None:
    contracts = tomllib.loads((TOP / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (forbidden,) = [set(each["forbidden_modules"]) for each in contracts if each.get("source_modules") == ["api"]]
    folder = TOP / "reconciler"
    rooms = {path.parent.name for path in folder.glob("*/__init__.py")} | {path.stem for path in folder.glob("*.py")}
    assert forbidden == {f"reconciler.{room}" for room in rooms - SHARED - {"__init__"}}
