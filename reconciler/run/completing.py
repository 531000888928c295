"""What a shell completes: the names that the folder which is the repository declares. Whatever fails, there are none."""

from __future__ import annotations

from typing import cast

from reconciler.access.resources import Kind

_MOST = 500


def declared_names(kind: str, begun: str) -> list[str]:
    """Return the names of a kind that begin like this."""
    from reconciler.run.deployment import cache_folder, read_deployment
    from reconciler.run.validating import working_folder
    from reconciler.source.cache import open_cache
    from reconciler.source.load import load_folder

    try:
        deployment = read_deployment({})
        loaded = load_folder(working_folder(deployment), cache=open_cache(cache_folder(deployment)))
    except Exception:  # noqa: BLE001 - nobody wants an error while typing
        return []
    names = (each.resource.name for each in loaded.declarations if each.kind == cast("Kind", kind))
    return sorted(name for name in names if name.startswith(begun))[:_MOST]
