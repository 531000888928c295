"""Liveness, readiness, and figures."""

from __future__ import annotations

import hmac
import logging
from datetime import datetime
from typing import Any

from api.errors import NotFound, Unauthenticated, Unavailable
from api.http.headers import AUTHORIZATION
from api.http.operations import Call, operation
from api.resources.base import Resource
from api.state import history
from api.state.snapshots import read_stamp
from reconciler.store.errors import StoreError
from reconciler.store.schema import HEAD

_log = logging.getLogger("accord.api")
TAG = "Operation"
ON_OWN_LISTENER = "accord.metrics_listener"
"""Set in the environment of a request that came by the listener for metrics alone."""


class Health(Resource):
    """Liveness."""

    @operation("Is it alive?", access="anybody", tag=TAG, response="Health")
    def on_get(self, call: Call) -> Any:
        """The process answers; the database is not asked."""
        return {"status": "ok"}


class Readiness(Resource):
    """Readiness."""

    @operation("Is it ready?", access="anybody", tag=TAG, response="Readiness")
    def on_get(self, call: Call) -> Any:
        """The database answers, its tables are of this version, and a revision has been applied. Strangers learn no more."""
        version = history.schema_version(self.service.reader)
        if version != HEAD:
            _log.error("the database is at schema version %s; this Accord needs %s", version, HEAD)
            raise Unavailable("the tables of the database belong to another version of Accord; its log says which")
        if self.service.keeper.now().commit is None:
            raise Unavailable("no revision has been applied yet")
        return {"status": "ready"}


class Metrics(Resource):
    """Figures for Prometheus."""

    _applied_at: datetime | None = None
    """When the last revision was applied, as far as is known."""

    @operation(
        "Metrics",
        access="anybody",
        tag=TAG,
        media="text/plain; version=0.0.4; charset=utf-8",
        response="",
        errors=(401, 404),
    )
    def on_get(self, call: Call) -> str:
        """In Prometheus' text format, for whoever presents the token of the deployment's settings, or on a listener of its own.
        Without either setting there is nothing here."""
        self._refuse_strangers(call)
        metrics = self.service.metrics
        try:
            metrics.generation.set(read_stamp(self.service.reader).generation)
            self._applied_at = history.last_applied_at(self.service.reader)
        except StoreError:  # what is known without it may be what tells why
            metrics.database_up.set(0)
        else:
            metrics.database_up.set(1)
        if self._applied_at is not None:
            metrics.revision_age.set((call.now - self._applied_at).total_seconds())
        return metrics.exposition()

    def _refuse_strangers(self, call: Call) -> None:
        """Figures tell how a guess went, so they are not for everybody. Raises NotFound or Unauthenticated."""
        token = self.service.settings.metrics_token
        if token:
            given = call.request.env.get(AUTHORIZATION) or ""
            if not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
                raise Unauthenticated("this needs the token for metrics: `Authorization: Bearer …`")
        elif ON_OWN_LISTENER not in call.request.env:
            raise NotFound("there is nothing at this address")
