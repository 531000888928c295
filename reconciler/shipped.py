"""The folders that Accord ships with its code: inside the package in a wheel, beside it in a checkout."""

from __future__ import annotations

import importlib.resources
from pathlib import Path


def schema_folder() -> Path:
    """The folder of the JSON Schemas."""
    return _folder("_schemas", "schemas")


def starter_folder() -> Path:
    """The folder of the files that `accord init` writes."""
    return _folder("_starter", "examples/starter")


def _folder(packaged: str, in_checkout: str) -> Path:
    package = Path(str(importlib.resources.files("reconciler")))
    found = package / packaged
    return found if found.is_dir() else package.parent / in_checkout
