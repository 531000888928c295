"""Names in headers: whatever a directory permits in one, a header can carry it."""

from __future__ import annotations

from urllib.parse import unquote

import pytest

from api.resources.decisions import header_text


@pytest.mark.parametrize(
    ("name", "text"), [("alice", "alice"), ("jane doe", "jane doe"), ("o'brien@corp", "o'brien@corp"), ("müller", "m%C3%BCller")]
)
def test_a_name_is_told_in_a_header(name: str, text: str) -> None:
    assert (header_text(name), unquote(text)) == (text, name)
    assert header_text("Łódź, 100 %") == "%C5%81%C3%B3d%C5%BA%2C 100 %25"
