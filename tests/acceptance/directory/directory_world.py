"""The API over a database, and the domain it asks."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import samba_domain
from fake_controller import FakeController
from samba_domain import SambaDomain
from scenario import Accord, team
from sqlalchemy import select
from waiting import until

from reconciler.store import tables
from reconciler.store.engine import open_database

sys.path.append(str(Path(__file__).parent.parent / "api"))

from client import Caller, World, settings

from api.app import create_app
from api.directory.settings import read_directories
from api.service import Service

_NUMBERS = count(1)


class DirectoryWorld(World):
    """A world with a directory."""

    def __init__(self, accord: Accord, domain: SambaDomain | FakeController) -> None:
        self.domain: Any = domain
        self.options: dict[str, Any] = {}
        self.others: list[SambaDomain] = []
        """More domains, behind the first."""
        self.password = samba_domain.PASSWORD
        super().__init__(accord)

    def start(self) -> None:
        tables = {samba_domain.netbios(each.realm).lower(): self._table(each) for each in self.others}
        secrets = {f"ACCORD_DIRECTORY_{name.upper()}_SECRET": samba_domain.PASSWORD for name in ("corp", *tables)}
        directories = read_directories({"corp": self._table(self.domain) | self.options, **tables}, secrets)
        self.service = Service(settings(self.url)._replace(directories=directories))
        self.service.start()
        self.app = create_app(self.service)

    def _table(self, domain: Any) -> dict[str, Any]:
        return {
            "netbios_name": samba_domain.netbios(domain.realm),
            "dns_name": domain.realm,
            "controllers": [domain.url],
            "ca_file": str(domain.ca_file),
            "service_account": f"svc@{domain.realm}",
        }

    def with_more(self, *domains: SambaDomain, **options: Any) -> None:
        """Restart with more domains and other settings of the first."""
        self.service.stop()
        self.others, self.options = list(domains), options
        self.start()

    def cycle(self, number: int = 0) -> None:
        """Run the next re-sync of a domain as if some time had passed. Raises DirectoryUnavailable."""
        self.forget_failures()
        with open_database(self.url) as database, database.writing() as connection:
            columns = tables.directory_accounts.c
            for user_id, read_at in connection.execute(select(columns.user_id, columns.read_at)).all():
                before = tables.directory_accounts.update().where(columns.user_id == user_id)
                connection.execute(before.values(read_at=read_at - timedelta(minutes=3)))
        self.service.resync.cycle(self.service.domains.all[number], datetime.now(UTC))

    def forget_failures(self) -> None:
        """End the pauses of controllers that failed."""
        for each in self.service.domains.all:
            each.controllers._failures.clear()

    def person(self, **attributes: Any) -> tuple[str, str]:
        """A new account in the domain: its name and its DN."""
        name = f"person{next(_NUMBERS)}"
        return name, self.domain.add_user(name, **attributes)

    def map_group(self, group: str, name: str = "pki", **spec: Any) -> None:
        """Declare a team for a group."""
        self.apply({f"teams/{name}.yaml": team(name, adGroups=[group], issuers=["vpn"], **spec)})

    def login(self, name: str, password: str = samba_domain.PASSWORD, code: int = 201) -> Caller:
        """Log in; the caller with its session."""
        answer = self.send_login(name, password)
        assert answer.status_code == code, answer.text
        return self.with_secret(answer.json.get("token"))

    def send_login(self, name: str, password: str = samba_domain.PASSWORD) -> Any:
        """Try to log in; the answer."""
        return self.caller().send("POST", "/sessions", json={"username": name, "password": password})

    def refused(self, name: str, password: str = samba_domain.PASSWORD) -> str:
        """Fail to log in; the reason in the audit log."""
        before = len(self.refusals()), len(self.audit("login.fail"))
        self.login(name, password, 401)
        found: list[str] = []

        def is_written() -> bool:  # a thread of the service may be writing it
            counted, failed = self.refusals()[before[0] :], self.audit("login.fail")[before[1] :]
            found[:] = [
                *(reason for each in counted for reason in each["reasons"]),
                *(each["detail"]["reason"] for each in failed),
            ]
            return bool(found)

        until(is_written, "the reason in the audit log")
        return found[0]
