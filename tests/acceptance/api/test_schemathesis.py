"""Schemathesis: requests generated from the OpenAPI document, with all its checks on the answers."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import schemathesis
from client import World
from effort import tries
from hypothesis import strategies as st
from issued import pem
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from werkzeug.serving import make_server

CONFIG = {
    "seed": 1,
    "continue-on-failure": True,
    # some methods are answered, and in no document: they say where Git declares what they would change
    "checks": {"unsupported_method": {"enabled": False}},
    "generation": {"mode": "all", "max-examples": tries(5), "database": "none", "no-shrink": True, "deterministic": True},
    "phases": {"stateful": {"generation": {"max-examples": tries(10)}}},
}
"""Random requests per operation, in addition to those that cover its schema keyword by keyword."""


schemathesis.openapi.format(
    "permitted-ip", st.sampled_from(["10.20.0.0/16", "192.168.15.*", "10.0.0.1-10.0.0.9", "2001:db8::/32"])
)
schemathesis.openapi.format("pem-certificate", st.sampled_from([pem(f"{number}.example.org") for number in range(3)]))
schemathesis.openapi.format("re2", st.sampled_from(["", "www", "(?i)^CN=a\\ b\\.c,O=d$", "[^,]*(x|y){2,3}"]))
schemathesis.openapi.format("existing-instant", st.sampled_from(["2026-01-28T15:59", "2026-01-28T15:59:51.0000000+01:00"]))
schemathesis.openapi.format("certificate-status", st.sampled_from(["active", "Revoked", "expired", "renewed", "all", ""]))
schemathesis.openapi.format("revocation-reason", st.sampled_from(["superceded", "Key Compromise", "hold", "unspecified", ""]))


@contextmanager
def served(app: Any) -> Iterator[str]:
    """The application behind a real server: Schemathesis skips some checks if it calls an application in-process."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.slow
@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_every_generated_request_is_answered_as_the_document_says(world: World) -> None:
    with served(world.app) as url:
        schema = schemathesis.openapi.from_url(f"{url}/openapi.json", config=SchemathesisConfig.from_dict(CONFIG))

        @schema.auth(refresh_interval=None)
        class Administrator:
            """Use a new session for each request, because some requests end it."""

            def get(self, case: Any, context: Any) -> str:
                return world.mint("root", "session").secret

            def set(self, case: Any, data: str, context: Any) -> None:
                case.headers["Authorization"] = f"Bearer {data}"
                ask_about_times_to_come(case.body)

        failures = [failure for event in from_schema(schema).execute() for failure in failures_of(event)]
    assert not failures, "\n\n".join(failures)


def ask_about_times_to_come(body: Any) -> None:
    """Put off what a decision is asked about. No schema can say that it must not be past."""
    for question in (body, *(body["requests"] if isinstance(body, dict) and isinstance(body.get("requests"), list) else ())):
        at = question.get("at") if isinstance(question, dict) else None
        if isinstance(at, str) and re.fullmatch(r"\d{4}-\d\d-\d\dT.*", at, re.ASCII):
            question["at"] = f"2099{at[4:]}".replace("2099-02-29", "2099-02-28")


def failures_of(event: events.EngineEvent) -> Iterator[str]:
    """The failures in an event of Schemathesis' engine."""
    if isinstance(event, events.ScenarioFinished):
        for case, checks in event.recorder.checks.items():
            for info in filter(None, (check.failure_info for check in checks)):
                answer = event.recorder.interactions[case].response
                yield f"{event.label}: {info.failure}\n{info.code_sample}\n{answer and answer.text}"
    if isinstance(event, events.NonFatalError | events.FatalError):
        yield str(event)
