"""Finds the file for a new resource: where most of its kind are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from reconciler.access.resources import Kind, Resource
from reconciler.source.export import resource_path


class Place(NamedTuple):
    """The file where a new resource goes, and what its first lines are if it is new."""

    file: str
    head: str = ""


class Places:
    """Finds places in a configuration."""

    def __init__(self, content: Callable[[str], bytes | None], paths: Sequence[str]) -> None:
        self._content, self._paths = content, paths

    def of(self, kind: Kind, resource: Resource) -> Place:
        """Return the place for a new resource."""
        return Place(resource_path(kind, resource.name))
