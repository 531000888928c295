"""Whether the service lives, whether it is ready, and what it counted."""

from __future__ import annotations

from typing import Any

from api.errors import Unavailable
from api.http.operations import Call, Resource, operation
from api.state.snapshots import read_stamp
from reconciler.store.schema import HEAD
from reconciler.store.tables import read_instant

TAG = "Operation"


class Health(Resource):
    """Liveness."""

    @operation("Is it alive?", who="anybody", tag=TAG, answer="Health")
    def on_get(self, call: Call) -> Any:
        """The process answers; nothing else is asked."""
        return {"status": "ok"}


class Readiness(Resource):
    """Readiness."""

    @operation("Is it ready?", who="anybody", tag=TAG, answer="Readiness")
    def on_get(self, call: Call) -> Any:
        """The database answers, its tables are of this version, and a revision was applied."""
        row = self.service.reader.row("SELECT version_num FROM alembic_version")
        if row is None or row[0] != HEAD:
            raise Unavailable(f"the database's tables are at {row and row[0]}, and this needs {HEAD}")
        access = self.service.keeper.now()
        if access.commit is None:
            raise Unavailable("no revision was applied yet")
        return {"status": "ready", "schema": HEAD, "generation": access.stamp.generation, "revision": access.commit}


class Metrics(Resource):
    """Figures for Prometheus."""

    @operation("Metrics", who="anybody", tag=TAG, media="text/plain; version=0.0.4; charset=utf-8", answer="")
    def on_get(self, call: Call) -> str:
        """In Prometheus' text format."""
        metrics = self.service.metrics
        metrics.generation.set(read_stamp(self.service.reader).generation)
        applied = self.service.reader.row("SELECT applied_at FROM revisions ORDER BY id DESC LIMIT 1")
        if applied is not None:
            metrics.revision_age.set((call.now - read_instant(applied[0])).total_seconds())
        return metrics.exposition()
