"""Flows on PostgreSQL, with a real domain controller: of an AD account, and of a colleague who is declared."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import samba_domain
from browsing import View, Visitors, sign_in, ways
from colleague import add_and_take_away
from flow_steps import enter, follow, main, press, row, run_curl, says, write
from flows_world import PASSWORD, Flows, flows_of
from organisation import Applied, copy_postgresql
from playwright.sync_api import expect
from postgresql_server import PostgresqlServer
from samba_domain import SambaDomain
from scenario import team

GROUP = "Console-Users"


@pytest.fixture(scope="module")
def console(
    applied_on_postgresql: Applied,
    postgresql_server: PostgresqlServer,
    domain: SambaDomain,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Flows]:
    """One server that asks the domain, where a group may use an issuer."""
    folder = tmp_path_factory.mktemp("directory")
    domain.add_group(GROUP, *(domain.add_user(f"ada-{way}", mail=f"ada-{way}@example.org") for way in ("js", "plain")))
    url = copy_postgresql(applied_on_postgresql, postgresql_server)
    file = folder / "accord.toml"
    file.write_text(settings_of(domain))
    environment = {"ACCORD_CONFIG": str(file), "ACCORD_DIRECTORY_CORP_SECRET": samba_domain.PASSWORD}
    with flows_of(applied_on_postgresql, url, folder, **environment) as found:
        found.world.apply({"teams/ad.yaml": team("ad", adGroups=[GROUP], issuers=["vpn"])})
        yield found
    postgresql_server.drop_database(url)


def settings_of(domain: SambaDomain) -> str:
    """The table of a configuration file."""
    values = {
        "netbios_name": samba_domain.netbios(domain.realm),
        "dns_name": domain.realm,
        "controllers": [domain.url],
        "ca_file": str(domain.ca_file),
        "service_account": f"svc@{domain.realm}",
    }
    return "[directory.corp]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())


@ways
def test_an_ad_account_signs_in_gets_a_token_is_not_editable_and_signs_out(
    console: Flows, visitors: Visitors, view: View, domain: SambaDomain
) -> None:
    name = f"ada-{'js' if view.javascript else 'plain'}"
    ada, root = visitors.new(), visitors.new()
    ada.goto("/me/tokens")
    says(ada, f"CORP\\jane or jane@{domain.realm}")
    enter(ada, f"CORP\\{name}", samba_domain.PASSWORD)
    follow(ada, "Generate a token")
    write(ada, name="report")
    press(ada, "Generate")
    secret = ada.locator("#secret").inner_text()
    assert [each["issuer"] for each in json.loads(run_curl(ada, secret))] == ["vpn"]
    follow(ada, "My account")
    says(ada, name, "of your directory", "team ad")
    expect(main(ada).get_by_role("link", name="Change the password")).to_have_count(0)
    ada.goto("/password")
    says(ada, "Your password is kept in your directory.")
    expect(main(ada).locator("input[type=password]")).to_have_count(0)

    sign_in(root, "root", PASSWORD)
    root.goto(f"/users?search={name}&source=directory")
    expect(row(root, name)).to_contain_text("edited in its directory")
    follow(root, name)
    says(root, "it cannot be edited here", "This account is not declared", GROUP, "report")
    for label in ("Edit", "Delete", "Mail a new password", "Set a password"):
        expect(main(root).get_by_role("link", name=label, exact=True)).to_have_count(0)

    press(ada, "Sign out", within=ada.locator("body"))
    says(ada, "You are signed out.")
    ada.goto("/me")
    says(ada, "Sign in")
    assert console.server.call("GET", "/api/v1/me", secret).status == 200
    follow(root, "Revoke report")
    press(root, "Revoke the token")
    assert console.server.call("GET", "/api/v1/me", secret).status == 401


def test_a_colleague_is_added_and_taken_away_on_postgresql(console: Flows, visitors: Visitors) -> None:
    root = visitors.new()
    sign_in(root, "root", PASSWORD)
    add_and_take_away(console, root, visitors.new(), "dana")
