"""A person for whom an administrator mints a token, or whose password one sets, is told."""

from __future__ import annotations

import pytest
from mail_server import Authority, MailServer, parts
from mail_world import MailWorld
from scenario import resource

from api.mail.settings import MailSettings

BODY = {"name": "on behalf", "validFor": "1d"}


@pytest.fixture
def settings(world: MailWorld, server: MailServer, authority: Authority) -> MailSettings:
    return world.mail_settings(server.port, authority.file)


def test_a_person_is_told_of_a_token_that_an_administrator_minted(
    world: MailWorld, server: MailServer, settings: MailSettings
) -> None:
    world.caller("root")("POST", "/users/alice/tokens", 403, json=BODY)
    world.apply({"settings.yaml": resource("Settings", "default", {"tokens": {"administratorsMayMintFor": "everyone"}})})
    minted = world.caller("root")("POST", "/users/alice/tokens", 201, json=BODY)
    world.caller("root")("DELETE", f"/users/alice/tokens/{minted['id']}", 204)
    world.deliver(settings)
    (received,) = server.received
    text, _ = parts(received.parsed)
    assert received.recipient == "alice@example.org"
    assert minted["id"] in text and "root" in text
    assert minted["token"] not in text


def test_a_person_is_told_of_a_password_that_an_administrator_set(
    world: MailWorld, server: MailServer, settings: MailSettings
) -> None:
    world.apply({"settings.yaml": resource("Settings", "default", {"tokens": {"administratorsMayMintFor": "everyone"}})})
    password = "three harbours and a lighthouse"
    world.caller("root")("PUT", "/users/alice/password", 204, json={"password": password})
    world.set_password("alice")  # an operator's own act, which the operator tells
    world.deliver(settings)
    (received,) = server.received
    text, _ = parts(received.parsed)
    assert received.recipient == "alice@example.org"
    assert "root" in text and password not in text


def test_an_application_has_nobody_to_tell(world: MailWorld, server: MailServer, settings: MailSettings) -> None:
    world.caller("root")("POST", "/users/portal/tokens", 201, json=BODY)
    world.caller("root")("PUT", "/users/portal/password", 204, json={"password": "three harbours and a lighthouse"})
    world.deliver(settings)
    assert server.received == []
