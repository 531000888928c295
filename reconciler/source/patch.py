"""The patch that adopts a difference: it changes the YAML files so that they declare what the database holds."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.access.resources import DeclaredState, Kind, Resource, with_resources
from reconciler.plan.plan import Change
from reconciler.source.diff import file_diff
from reconciler.source.editing import Content, Dropping, ResourceEdit, edit_each
from reconciler.source.errors import SourceError
from reconciler.source.export import resource_path
from reconciler.source.placing import Places


def adopting_patch(changes: Iterable[Change], content: Content) -> str:
    """Return a unified diff, for `git apply`, after which the files declare each change's `before`.

    A document that goes takes the comments above it along. Raises SourceError if a file cannot declare what is wanted.
    """
    edits = [ResourceEdit(change.kind, change.name, change.after, change.before, _file(change)) for change in changes]
    try:
        edited = edit_each(edits, content, Dropping(items=False, documents=True), Places(content, ()))
    except SourceError as error:
        raise SourceError(f"cannot make a patch: {error}; or repair the database (--repair)") from None
    return "".join(
        line for file, after in sorted(edited.files.items()) for line in file_diff(file, _text(content(file)), _text(after))
    )


def _file(change: Change) -> str:
    return change.source.file if change.source is not None else resource_path(change.kind, change.name)


def _text(content: bytes | None) -> str:
    return (content or b"").decode("utf-8", "replace")


def patched(state: DeclaredState, changes: Iterable[Change]) -> DeclaredState:
    """Return what the files declare once the patch is applied."""
    kinds: dict[Kind, dict[str, Resource]] = {}
    for change in changes:
        resources = kinds.setdefault(change.kind, dict(state.of_kind(change.kind)))
        resources.pop(change.name, None)
        if change.before is not None:
            resources[change.before.name] = change.before
    return with_resources(state, kinds)
