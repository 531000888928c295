"""The API as a client sees it, in this process: a small organisation, and callers with their credentials."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import falcon.testing
from organisation import ORGANISATION
from scenario import Accord, ConfigRepository, resource
from served import METRICS_TOKEN

from api import administration
from api.app import create_app
from api.authentication import credentials
from api.authentication.authority import OperatorsAuthority
from api.http.addresses import local
from api.service import Service
from api.settings import Settings, read_settings
from api.state import accounts
from reconciler.access.permitted_ips import LOCAL
from reconciler.store.engine import open_database

PASSWORD = "a rather long passphrase"
OFFICE = "10.20.0.9"
"""An address that the organisation permits to everybody."""


def settings(url: str, **environment: str) -> Settings:
    usual = {"ACCORD_TRUSTED_PROXIES": "192.0.2.0/24", "ACCORD_MAIL": "off", "ACCORD_METRICS_TOKEN": METRICS_TOKEN}
    return read_settings({"database_url": url}, {**usual, **environment})


class Caller:
    """A client with or without a secret, calling from an address, or from `local`: over the local socket."""

    def __init__(self, app: Any, secret: str | None, address: str = OFFICE, **headers: str) -> None:
        self._client = falcon.testing.TestClient(local(app) if address == LOCAL.text else app)
        self._headers = headers if secret is None else {"Authorization": f"Bearer {secret}", **headers}
        self._address = address

    def __call__(self, method: str, path: str, code: int | None = None, **arguments: Any) -> Any:
        """The answer's JSON, or its text; asserts the status if one is given."""
        result = self.send(method, path, **arguments)
        if code is not None:
            assert result.status_code == code, (result.status, result.text)
        return result.json if result.headers.get("content-type", "").endswith("json") else result.text

    def send(self, method: str, path: str, **arguments: Any) -> falcon.testing.Result:
        if not path.startswith(("/certdog", "/healthz", "/readyz", "/metrics", "/openapi", "/docs")):
            path = f"/api/v1{path}"
        headers = {**self._headers, **arguments.pop("headers", {})}
        result = self._client.simulate_request(method, path, remote_addr=self._address, headers=headers, **arguments)
        if result.status_code >= 400 and method != "HEAD":
            assert result.json["status"] == result.status_code
            if path.startswith("/certdog/"):
                assert result.headers["content-type"] == "application/json"
                assert sorted(result.json) == ["error", "message", "path", "status", "timestamp"]
            else:
                assert result.headers["content-type"] == "application/problem+json"
        return result


class World:
    """An applied config repository, and the API over its database."""

    def __init__(self, accord: Accord) -> None:
        self.accord = accord
        self.repository = ConfigRepository(Path(accord.environment["ACCORD_REPOSITORY"]))
        self.url = accord.environment["ACCORD_DATABASE_URL"]
        if not self.repository.head():
            self.apply(ORGANISATION)
        self.start()

    def start(self) -> None:
        self.service = Service(settings(self.url))
        self.service.refusals.start = lambda: None  # type: ignore[method-assign]  # the audit log must not grow at any time
        self.service.start()
        self.app = create_app(self.service)

    def restart(self) -> None:
        """Restart the API."""
        self.service.stop()
        self.start()

    def apply(self, files: dict[str, Any]) -> str:
        """Commit files and apply them."""
        commit = self.repository.commit(files)
        self.accord("apply", "--yes", "--override", "deletions", "--override", "clock", "--reason", "test")
        return commit

    def let_delays_last(self) -> None:
        """Let nobody's delay after failed logins end within a test, however slow the machine is."""
        self.apply({"settings.yaml": resource("Settings", "default", {"logins": {"delay": "1h", "maxDelay": "1d"}})})

    def set_password(self, name: str, password: str = PASSWORD, *, change_required: bool = False) -> None:
        """Set a password as an operator does."""
        policy = self.service.keeper.now().policies.passwords
        authority = OperatorsAuthority(self.service.database, "operator")
        administration.set_password(
            authority, self.service.passwords, policy, name, password, change_required=change_required, revoke_tokens=False
        )

    def mint(self, name: str, /, kind: Any = "token", lives: timedelta = timedelta(days=1), **more: Any) -> credentials.Minted:
        """Mint a credential for an account directly in the database."""
        with self.service.database.recording() as connection:
            account = accounts.require(accounts.find(connection, name), name)
            now = datetime.now(UTC)
            return credentials.mint(connection, account.id, kind, now=now, expires_at=now + lives, **more)

    def caller(self, name: str | None = None, address: str = OFFICE, **more: Any) -> Caller:
        """A client with a new session, or another credential, or without any."""
        return Caller(self.app, None if name is None else self.mint(name, **{"kind": "session", **more}).secret, address)

    def with_secret(self, secret: str | None, address: str = OFFICE, **headers: str) -> Caller:
        """A client with this secret."""
        return Caller(self.app, secret, address, **headers)

    def execute(self, statement: str) -> None:
        """Write to the database directly."""
        with open_database(self.url) as database, database.writing() as connection:
            connection.exec_driver_sql(statement)

    def refusals(self, action: str = "login.refuse") -> list[dict[str, Any]]:
        """The details of what was refused and counted together, written now."""
        self.service.refusals.flush()
        return [entry["detail"] | {"actor": entry["actor"]} for entry in self.audit(action)]

    def metrics(self) -> str:
        """What a scraper with the token gets."""
        return str(self.with_secret(METRICS_TOKEN)("GET", "/metrics", 200))

    def audit(self, action: str) -> list[dict[str, Any]]:
        """The entries of an action, as the reconciler's own command shows them."""
        return [entry for entry in self.accord.json("audit", "list") if entry["action"] == action]
