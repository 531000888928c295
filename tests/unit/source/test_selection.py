"""Names of files: what is shown of a path stands for that path and no other."""

from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st

from reconciler.source.selection import path_shown_as, shown_path

PIECES = st.sampled_from(["\\", "x", "5", "c", "f", "ff", "\\xff", "\\x5c", "/", "é", "é", ".yaml", *map(chr, (0xDCFF, 0xDCC3))])
PATHS = st.lists(PIECES, max_size=8).map(lambda pieces: os.fsdecode(os.fsencode("".join(pieces))))


@given(PATHS)
def test_a_shown_path_is_text_that_stands_for_one_path_only(path: str) -> None:
    shown = shown_path(path)
    assert shown.encode().decode() == shown
    assert path_shown_as(shown) == path
    assert "/".join(map(shown_path, path.split("/"))) == shown


def test_only_what_could_be_taken_for_a_byte_is_spelt_out() -> None:
    assert shown_path("a\\b \\xyz \\XFF é.yaml") == "a\\b \\xyz \\XFF é.yaml"
    assert [shown_path(os.fsdecode(name)) for name in (b"q\xff.yaml", b"q\\xff.yaml")] == ["q\\xff.yaml", "q\\x5cxff.yaml"]
