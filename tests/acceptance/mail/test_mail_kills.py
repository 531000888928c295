"""Senders are killed while they deliver: no message is lost, and only those under way can arrive twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.mail import kill_senders
from reconciler.store.engine import open_database
from reconciler.store.schema import upgrade


@pytest.mark.slow
def test_no_message_is_lost_if_its_sender_is_killed(database_url: str, tmp_path: Path) -> None:
    with open_database(database_url) as database:
        upgrade(database)
    found = kill_senders(database_url, tmp_path, kills=4, messages=60, seed=4711)
    assert found.kills >= 3
    assert found == (found.kills, 0, 0, found.copies, 0, 0)
