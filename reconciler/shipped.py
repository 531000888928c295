"""The folders that Accord ships beside its code: in a wheel inside the package, in a checkout beside it."""

from __future__ import annotations

import importlib.resources
from pathlib import Path


def schema_folder() -> Path:
    """Where the JSON Schemas are."""
    return _folder("_schemas", "schemas")


def starter_folder() -> Path:
    """Where the files that `accord init` writes are."""
    return _folder("_starter", "examples/starter")


def _folder(packaged: str, in_checkout: str) -> Path:
    package = Path(str(importlib.resources.files("reconciler")))
    found = package / packaged
    return found if found.is_dir() else package.parent / in_checkout
