"""Fixtures of the tests of mail."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from mail_server import Authority, MailServer, serving_mail
from mail_world import MailWorld
from scenario import Accord


@pytest.fixture
def world(organised: Accord, tmp_path: Path) -> Iterator[MailWorld]:
    """A small organisation on each kind of database, with an empty outbox."""
    found = MailWorld(organised)
    found.folder = tmp_path
    yield found
    found.service.stop()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def server(authority: Authority) -> Iterator[MailServer]:
    """A well-configured mail server, which requires STARTTLS and then a login."""
    with serving_mail(starttls=authority.context()) as found:
        yield found
