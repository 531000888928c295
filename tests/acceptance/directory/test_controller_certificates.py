"""Controllers with a wrong certificate: they get no password, and the doctor says what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result
from directory_world import DirectoryWorld
from fake_controller import PASSWORD, Authority, FakeController
from scenario import Accord
from test_commands import accord_api_command

BAD = ["expired", "another host", "another CA"]
SAID = {
    "expired": ("certificate has expired", "its certificate has expired: renew it on the controller"),
    "another host": ("IP address mismatch", "use the name in its certificate in `controllers`"),
    "another CA": ("unable to get local issuer certificate", "name the CA that issued the controller's certificate in `ca_file`"),
}
Make = Callable[[str, bool], FakeController]


@pytest.fixture
def make(authority: Authority, tmp_path: Path) -> Iterator[Make]:
    """A controller with a wrong certificate, with TLS or StartTLS."""
    made: list[FakeController] = []

    def controller(kind: str, tls: bool) -> FakeController:
        issuing = Authority(tmp_path / "other") if kind == "another CA" else authority
        name = "DNS:dc2.corp.example.org" if kind == "another host" else "IP:127.0.0.1"
        found = FakeController(authority.file, issuing.issue(name, -1 if kind == "expired" else 90), tls=tls)
        found.add_account("ann")
        found.add_account("svc")
        made.append(found)
        return found

    yield controller
    for each in made:
        each.close()


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
@pytest.mark.parametrize("tls", [True, False], ids=["ldaps", "StartTLS"])
@pytest.mark.parametrize("kind", ["right", *BAD])
def test_no_password_is_sent_to_a_controller_that_cannot_prove_its_identity(
    organised: Accord, make: Make, kind: str, tls: bool
) -> None:
    controller = make(kind, tls)
    world = DirectoryWorld(organised, controller)
    try:
        world.login("ann", code=201 if kind == "right" else 503)
        assert world.audit("login.fail") == []
        assert bool(controller.binds) is (kind == "right")
    finally:
        world.service.stop()


def examined(controller: FakeController, folder: Path) -> Result:
    (folder / "secret").write_text(PASSWORD)
    (folder / "accord.toml").write_text(f"""
[directory.corp]
netbios_name = "CORP"
dns_name = "corp.example.org"
controllers = ["{controller.url}"]
ca_file = "{controller.ca_file}"
service_account = "svc@corp.example.org"
secret_file = "{folder}/secret"
""")
    return accord_api_command(folder / "accord.toml", "directory", "doctor")


@pytest.mark.parametrize("tls", [True, False], ids=["ldaps", "StartTLS"])
@pytest.mark.parametrize("kind", BAD)
def test_the_doctor_says_only_what_is_wrong_with_a_certificate(make: Make, tmp_path: Path, kind: str, tls: bool) -> None:
    controller = make(kind, tls)
    result = examined(controller, tmp_path)
    what, advice = SAID[kind]
    assert result.exit_code == 1
    lines = result.output.splitlines()
    assert lines[0].startswith("ok")
    assert f"certificate: {what}" in lines[1]
    assert advice in lines[2]
    assert len(lines) == 3
    assert controller.binds == []


def test_the_doctor_notices_a_certificate_that_expires_soon_even_with_start_tls(authority: Authority, tmp_path: Path) -> None:
    controller = FakeController(authority.file, authority.issue(days=5), tls=False)
    try:
        lines = examined(controller, tmp_path).output.splitlines()
        assert "certificate: valid until" in lines[1]
        assert "→ renew it" in lines[2]
    finally:
        controller.close()


def test_the_doctor_notices_what_the_service_account_may_not_read(authority: Authority, tmp_path: Path) -> None:
    controller = FakeController(authority.file, authority.issue())
    controller.add_account("ann")
    controller.add_account("svc")
    for each in controller.entries.values():
        each.pop("tokenGroups", None)
        each.pop("accountExpires", None)
    try:
        output = examined(controller, tmp_path).output
        assert "accounts: not readable" in output
        assert "tokenGroups: not readable" in output
        assert "add it to `Windows Authorization Access Group`" in output
        assert "password settings: not readable" in output
    finally:
        controller.close()
