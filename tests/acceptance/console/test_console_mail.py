"""The page of mail: what waits, failed and was sent, and trying again."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from history_world import HOSTILE, signed_in, world_of
from organisation import Applied
from visitor import Visitor, World

_INSERT = """INSERT INTO outbox (template, user_id, recipient, created_at, attempts, next_attempt_at, sent_at, ended_at, given_up,
last_error, detail) VALUES """
NOON = "'2026-11-01T12:00:00.000000Z'"


@pytest.fixture(scope="module")
def world(applied_on_sqlite: Applied, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    found = world_of(applied_on_sqlite, tmp_path_factory.mktemp("mail"))
    yield found
    found.service.stop()


@pytest.fixture
def root(world: World) -> Visitor:
    world.execute("DELETE FROM outbox")
    rows = (
        f"('welcome', (SELECT id FROM users WHERE name = 'alice'), NULL, {NOON}, 0, NULL, NULL, NULL, FALSE, NULL, '{{}}')",
        f"('token-minted', NULL, 'failing@example.org', {NOON}, 3, {NOON}, NULL, NULL, FALSE, 'refused {HOSTILE}', '{{}}')",
        f"('welcome', NULL, 'lost@example.org', {NOON}, 9, NULL, NULL, {NOON}, TRUE, 'no mailbox', '{{\"secret\": \"body\"}}')",
        f"('password-set', NULL, 'sent@example.org', {NOON}, 1, NULL, {NOON}, NULL, FALSE, NULL, '{{}}')",
        f"('welcome', NULL, 'unwanted@example.org', {NOON}, 0, NULL, NULL, {NOON}, FALSE, 'deleted', '{{}}')",
    )
    for row in rows:
        world.execute(_INSERT + row)
    return signed_in(world, "root")


def _shown(visitor: Visitor, query: str) -> list[str]:
    return re.findall(r'<span class="mono">(\w+)@example.org', visitor.get(f"/mail{query}"))


def test_mails_are_shown_by_state_and_kind(root: Visitor) -> None:
    assert _shown(root, "") == ["unwanted", "sent", "lost", "failing"]
    assert '<a class="mono" href="/users/alice">alice</a>' in root.html
    assert _shown(root, "?state=failing") == ["failing"]
    assert _shown(root, "?state=given-up") == ["lost"]
    assert _shown(root, "?state=sent") == ["sent"]
    assert _shown(root, "?state=unwanted") == ["unwanted"]
    assert _shown(root, "?state=waiting") == ["failing"]
    assert _shown(root, "?kind=welcome") == ["unwanted", "lost"]
    assert _shown(root, "?kind=nothing") == []
    assert "No mail matches" in root.html
    root.get("/mail?state=x", 422)


def test_reasons_are_told_and_no_body(root: Visitor) -> None:
    html = root.get("/mail")
    assert "no mailbox" in html and "refused &lt;script&gt;" in html and "<script>alert" not in html
    assert "body" not in re.sub(r"</?t?body[^>]*>", "", html)


def test_one_that_failed_is_tried_again(world: World, root: Visitor) -> None:
    number = re.findall(r'name="retry" value="(\d+)"', root.get("/mail?state=given-up"))[0]
    answer = root.post("/mail?state=given-up", {"retry": number})
    assert answer.headers["location"] == "/mail?state=given-up&done=mail-retried"
    assert "What failed is due again" in root.get(answer.headers["location"])
    assert _shown(root, "?state=given-up") == []
    assert "lost" in _shown(root, "?state=waiting")
    entry = world.audit("mail.retry")[0]
    assert (entry["actor"], entry["detail"]["message"]) == ("root", int(number))


def test_all_that_failed_are_tried_again(world: World, root: Visitor) -> None:
    before = len(world.audit("mail.retry"))
    root.post("/mail", {"retry": "all"}, page="/mail")
    assert _shown(root, "?state=given-up") == _shown(root, "?state=failing") == []
    assert len(world.audit("mail.retry")) == before + 2


@pytest.mark.parametrize(("retry", "code"), [("999", 409), ("", 422), ("x", 422), ("-1", 422), ("0", 422), ("9" * 30, 422)])
def test_nothing_else_is_tried_again(root: Visitor, retry: str, code: int) -> None:
    root.post("/mail", {"retry": retry}, code, page="/mail")
    assert 'role="alert"' in root.html
    assert _shown(root, "?state=given-up") == ["lost"]


def test_one_that_was_sent_stays_sent(world: World, root: Visitor) -> None:
    (sent,) = world.service.reader.rows("SELECT id FROM outbox WHERE sent_at IS NOT NULL")
    root.post("/mail", {"retry": str(sent[0])}, 409, page="/mail")
    assert "has neither failed nor been given up" in root.html
    assert _shown(root, "?state=sent") == ["sent"]


def test_only_administrators_and_only_by_their_own_form(world: World, root: Visitor) -> None:
    root.post("/mail", {"retry": "all"}, 403, page="/mail", without=("csrf",))
    alice = signed_in(world, "alice")
    alice.get("/me")
    csrf = re.findall(r'name="csrf" value="([^"]+)"', alice.html)[0]
    alice.send_form("/mail", {"csrf": csrf, "retry": "all"}, 403)
    assert _shown(root, "?state=given-up") == ["lost"]
