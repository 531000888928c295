"""What existing clients send: the spellings of addresses and the encodings of bodies."""

from __future__ import annotations

import json

import pytest

from api.http.certdog import canonical, error_body, in_utf8, is_below, written


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("/certdog/api/login", "/certdog/api/login"),
        ("/certdog/api/login/", "/certdog/api/login"),
        ("/certdog/api//login", "/certdog/api/login"),
        ("//certdog///api/login//", "/certdog/api/login"),
        ("/api/login", "/certdog/api/login"),
        ("/api//certs/search/", "/certdog/api/certs/search"),
        ("/api/v", "/certdog/api/v"),
        ("/api/values", "/certdog/api/values"),
        ("/certdog/api/v1/me", "/certdog/api/v1/me"),
        ("/certdog/api/", "/certdog/api"),
        ("/api", "/certdog/api"),
        ("/api/", "/certdog/api"),
    ],
)
def test_an_address_for_existing_clients_has_one_spelling_within_accord(path: str, meant: str) -> None:
    assert canonical(path) == meant
    assert is_below(meant)
    assert canonical(meant) == meant


@pytest.mark.parametrize(
    "path",
    [
        *("/", "", "//", "/docs", "/docs/", "//docs", "/healthz/", "/certdog", "/certdog/apis", "/certdogs/api/login"),
        *("/api/v1", "/api/v1/", "/api/v1//me", "/api/v1/me/", "/api/v2/me", "//api/v1/me", "/api//v1/me"),
        *("/apis/login", "/API/login"),
    ],
)
def test_every_other_address_stays_as_it_is(path: str) -> None:
    assert canonical(path) == path
    assert not is_below(canonical(path))


@pytest.mark.parametrize("media", ["", "application/json", "text/json; charset=utf-8", "application/x-www-form-urlencoded"])
@pytest.mark.parametrize("raw", ["Zoë €".encode(), "Zoë €".encode("utf-8-sig")])
def test_a_body_in_utf_8_is_read_with_and_without_a_mark(media: str, raw: bytes) -> None:
    assert in_utf8(raw, media).decode() == "Zoë €"


@pytest.mark.parametrize(
    "media", ["", "application/json", "application/json; Charset = ISO-8859-1", 'text/json;charset="latin1"']
)
def test_a_body_in_latin_1_is_read(media: str) -> None:
    assert in_utf8("Zoë".encode("latin-1"), media).decode() == "Zoë"


def test_what_the_media_type_says_counts_before_what_could_be_read_as_utf_8() -> None:
    assert in_utf8("Ã©".encode("latin-1"), "application/json; charset=iso-8859-1").decode() == "Ã©"
    assert in_utf8("Ã©".encode("latin-1"), "application/json").decode() == "é"
    assert in_utf8(b"\xc3\xa9", "application/json; charset=iso-8859-15").decode() == "é"


def test_answers_are_ascii() -> None:
    assert written({"name": "Zoë \U0001f600"}).isascii()
    assert json.loads(written({"name": "Zoë \U0001f600"})) == {"name": "Zoë \U0001f600"}


def test_an_error_has_the_properties_that_clients_read_and_no_more() -> None:
    found = json.loads(error_body(403, "not “you”", "/api//certs/"))
    assert found.keys() == {"timestamp", "status", "error", "message", "path"}
    assert (found["status"], found["error"], found["message"], found["path"]) == (403, "Forbidden", "not “you”", "/api//certs/")
    assert found["timestamp"].endswith("+00:00")
    assert len(found["timestamp"]) == len("2026-01-28T15:59:51.000+00:00")
