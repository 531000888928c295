"""Clients that others' generators make of the OpenAPI document, used against a running server.

They are made of an older document, as clients in use are: it lacks a reason and some properties that the server sends.
"""

from __future__ import annotations

import copy
import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from client import PASSWORD, World
from served import TOP, Server, serving
from waiting import LONG

from api.http.openapi import document
from api.routes import ROUTES

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("database_kind", ["sqlite"])]
TYPESCRIPT = Path(sys.prefix) / "typescript"
"""Where `make` installs what `tests/clients/package-lock.json` pins."""


def older_document() -> dict[str, Any]:
    """The document of an earlier version: without a reason, and without some properties of answers."""
    found = copy.deepcopy(document(ROUTES))
    schemas = found["components"]["schemas"]
    schemas["Decision"]["properties"]["reason"]["x-extensible-enum"].remove("credential-not-permitted")
    for name, since in (("Decision", "rule"), ("NewToken", "lastUsedAddress"), ("Session", "expiresAt")):
        del schemas[name]["properties"][since]
        schemas[name]["required"].remove(since)
    return found


@pytest.fixture
def server(world: World, tmp_path: Path) -> Iterator[Server]:
    world.set_password("alice")
    with serving(world.url, tmp_path) as found:
        yield found


@pytest.fixture
def accord(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The generated Python client."""
    (tmp_path / "openapi.json").write_text(json.dumps(older_document()))
    (tmp_path / "config.yaml").write_text("post_hooks: []\n")
    program = [sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none", "--fail-on-warning"]
    options = ["--path", "openapi.json", "--config", "config.yaml", "--output-path", "accord_generated"]
    made = subprocess.run([*program, *options], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=LONG)
    assert made.returncode == 0, made.stdout + made.stderr
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("accord_generated")
    for name in [name for name in sys.modules if name.partition(".")[0] == "accord_generated"]:
        del sys.modules[name]


def test_a_generated_python_client_works(server: Server, accord: ModuleType) -> None:
    def call(name: str, client: Any, **arguments: Any) -> Any:
        return importlib.import_module(f"accord_generated.api.{name}").sync(client=client, **arguments)

    models = importlib.import_module("accord_generated.models")
    url = f"http://127.0.0.1:{server.port}"
    with accord.Client(base_url=url, raise_on_unexpected_status=True) as stranger:
        session = call("sessions.post_sessions", stranger, body=models.Login("alice", PASSWORD))
        assert (session.user, session.password_change_required) == ("alice", False)
        assert "expiresAt" in session.additional_properties
        refused = call("sessions.post_sessions", stranger, body=models.Login("alice", "wrong"))
        assert (type(refused), refused.status) == (models.Problem, 401)
    with accord.AuthenticatedClient(base_url=url, token=session.token, raise_on_unexpected_status=True) as client:
        minted = call("me.post_me_tokens", client, body=models.TokenRequestFor("generated", "1h", ["tls"]))
        far = models.TokenRequestUntil("until", datetime(2099, 12, 31, tzinfo=UTC))
        assert call("me.post_me_tokens", client, body=far).status == 409
    with accord.AuthenticatedClient(base_url=url, token=minted.token, raise_on_unexpected_status=True) as client:
        one = call("decisions.post_decisions", client, body=models.DecisionRequest("tls"))
        assert (one.allow, one.reason, one.path.team, one.additional_properties) == (True, "permitted", "web", {"rule": None})
        asked = models.DecisionBatch([models.DecisionRequest("tls"), models.DecisionRequest("vpn")])
        first, second = call("decisions.post_decisions", client, body=asked).decisions
        assert (first.allow, second.allow, second.reason) == (True, False, "credential-not-permitted")
        asked = models.DecisionBatch([models.DecisionRequest("tls"), models.DecisionRequest("")])
        assert "item 2" in call("decisions.post_decisions", client, body=asked).detail
        forbidden = call("users.get_users", client)
        assert (forbidden.status, bool(forbidden.reason)) == (403, True)


def test_a_generated_typescript_client_works(server: Server, tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None or not TYPESCRIPT.is_dir():
        reason = "`make typescript` has not installed tests/clients (it needs npm): the TypeScript client is not tested"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    folder = tmp_path / "typescript"
    shutil.copytree(TOP / "tests" / "clients", folder)
    (folder / "node_modules").symlink_to(TYPESCRIPT / "node_modules")
    (folder / "openapi.json").write_text(json.dumps(older_document()))
    env = {**os.environ, "ACCORD": f"http://127.0.0.1:{server.port}", "PASSWORD": PASSWORD}

    def run(*program: str) -> None:
        done = subprocess.run([node, *program], cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=LONG)
        assert done.returncode == 0, done.stdout + done.stderr

    run("node_modules/openapi-typescript/bin/cli.js", "openapi.json", "--output", "api.d.ts")
    run("node_modules/typescript/bin/tsc", "--project", ".")
    run("use.js")
