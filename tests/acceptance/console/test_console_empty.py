"""The console over a database to which nothing was applied."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
from visitor import Visitor, World, settings

from api.app import create_app
from api.service import Service
from reconciler.store.engine import Database


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_first_visit_says_what_comes_first(database: Database, tmp_path: Path) -> None:
    service = Service(settings(database.url))
    service.start()
    try:
        html = Visitor(cast(World, _Served(service))).get("/login")
    finally:
        service.stop()
    assert html.index("accord apply") < html.index("accord-api user set-password NAME")


class _Served:
    """A service without a world."""

    def __init__(self, service: Service) -> None:
        self.app = create_app(service)
