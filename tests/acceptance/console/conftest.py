"""The console, and a browser that looks at it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from console_world import Console, console_of
from organisation import Applied


@pytest.fixture(scope="module")
def console(applied_on_sqlite: Applied, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """A server over a small organisation, shared by all tests of a module."""
    with console_of(applied_on_sqlite, tmp_path_factory.mktemp("console")) as found:
        yield found
