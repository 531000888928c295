"""Headers that are read, and what could be taken for them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import api
from api.errors import Forbidden
from api.http import headers
from api.http.headers import READ, X_ACCORD_ISSUER, X_FORWARDED_FOR, X_REQUEST_ID, forget, refuse_ambiguous, wary


def test_no_module_reads_a_header_that_the_table_lacks() -> None:
    assert api.__file__ is not None
    for file in Path(api.__file__).parent.rglob("*.py"):
        if file != Path(headers.__file__):
            found = re.findall(r'"HTTP_[A-Z_]+"|get_header\(', file.read_text())
            assert not found, f"{file} reads {found}; name it in api/http/headers.py"


def served(environment: dict[str, Any]) -> tuple[str, dict[str, Any] | None]:
    """The status, and what the application got, if it got anything."""
    got: list[dict[str, Any]] = []
    statuses: list[str] = []

    def app(environment: dict[str, Any], start_response: Any) -> list[bytes]:
        got.append(environment)
        start_response("200 OK", [])
        return []

    list(wary(app)(environment, lambda status, _: statuses.append(status)))
    return statuses[0], got[0] if got else None


def test_a_server_that_folds_names_is_not_believed_about_those_with_a_hyphen() -> None:
    status, got = served({X_FORWARDED_FOR: "10.20.1.7", X_REQUEST_ID: "x", "HTTP_FORWARDED": "for=10.20.1.7"})
    assert (status, got) == ("200 OK", {X_FORWARDED_FOR: "unknown", "HTTP_FORWARDED": "for=10.20.1.7"})
    assert served({}) == ("200 OK", {})


def test_an_issuer_that_may_be_forged_is_refused_rather_than_forgotten() -> None:
    _, got = served({X_ACCORD_ISSUER: "tls"})
    assert got is not None
    with pytest.raises(Forbidden, match="name the issuer in the address"):
        refuse_ambiguous(got)
    refuse_ambiguous({X_ACCORD_ISSUER: "tls"})


@pytest.mark.parametrize("name", sorted(READ | {"HTTP_PROXY", "HTTP_ANYTHING"}))
def test_no_variable_that_could_be_a_header_stays(name: str) -> None:
    variables = {name: "x", "PATH": "/bin", "HTTPS_PROXY": "y"}
    forget(variables)
    assert variables == {"PATH": "/bin", "HTTPS_PROXY": "y"}
