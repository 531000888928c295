"""What a document's anchors stand for after an edit: an alias still means what it should, or it is written out."""

from __future__ import annotations

from typing import Any

from reconciler.source.yaml_parts import Part

_GONE: Any = object()


class Anchors:
    """Follows the anchors of one document in the order of its text."""

    def __init__(self, root: Part) -> None:
        self.any = any(part.anchor for part in root.inner())
        self._values: dict[str, Any] = {}

    def set(self, part: Part, value: Any) -> None:
        """Note what a part, if it has an anchor, says now."""
        if part.anchor:
            self._values[part.anchor] = value

    def forget(self, part: Part) -> None:
        """Note that a part is not there any more, nor what is in it."""
        for inner in part.inner() if self.any else ():
            if inner.anchor and inner.kind != "alias":
                self._values[inner.anchor] = _GONE

    def copy(self) -> dict[str, Any]:
        """Return what is noted, for `restore`."""
        return dict(self._values)

    def restore(self, noted: dict[str, Any]) -> None:
        """Forget what was noted since a copy was made."""
        self._values = noted

    def holds(self, alias: Part, value: Any) -> bool:
        """Tell whether an alias still stands for a value."""
        found = self._values.get(alias.anchor, _GONE)
        return found is not _GONE and same(found, value)


def same(one: Any, other: Any) -> bool:
    """Tell whether two values of YAML are the same; 1 and true are not."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return isinstance(one, str) == isinstance(other, str) and isinstance(one, bool) == isinstance(other, bool) and one == other
