"""`accord-api directory`, against a real domain."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import samba_domain
from click.testing import CliRunner, Result
from directory_world import DirectoryWorld
from samba_domain import SambaDomain
from scenario import Accord

from api.cli.main import accord_api, run


@pytest.fixture
def configuration(domain: SambaDomain, tmp_path: Path) -> Path:
    file = tmp_path / "accord.toml"
    secret = tmp_path / "secret"
    secret.write_text(samba_domain.PASSWORD + "\n")
    file.write_text(f"""
[directory.corp]
netbios_name = "CORP"
dns_name = "corp.example.org"
controllers = ["{domain.url}", "ldap://{domain.address}"]
ca_file = "{domain.ca_file}"
service_account = "svc@corp.example.org"
secret_file = "{secret}"
""")
    return file


def accord_api_command(configuration: Path, *arguments: str) -> Result:
    class Edge:
        name = "accord-api"

        def main(self, args: list[str], prog_name: str, **extra: Any) -> None:
            raise SystemExit(run(lambda **options: accord_api.main(args=list(args), **options)))

    return CliRunner().invoke(Edge(), list(arguments), env={"ACCORD_CONFIG": str(configuration)})  # type: ignore[arg-type]


def test_the_doctor_approves_of_a_healthy_domain(configuration: Path) -> None:
    result = accord_api_command(configuration, "directory", "doctor", "--format", "json")
    found = json.loads(result.output)
    assert [each for each in found if not each["ok"]] == []
    assert result.exit_code == 0
    assert {each["check"] for each in found} >= {"reachable", "certificate", "clock", "service account", "tokenGroups", "latency"}


def test_the_doctor_says_what_is_wrong_and_what_to_do(configuration: Path) -> None:
    text = configuration.read_text()
    wrong_ca = configuration.parent / "other.pem"
    wrong_ca.write_text(text_of_another_ca(configuration.parent))
    configuration.write_text(text.replace(text.partition('ca_file = "')[2].partition('"')[0], str(wrong_ca)))
    result = accord_api_command(configuration, "directory", "doctor")
    assert result.exit_code == 1
    assert "FAIL" in result.output
    assert "name the CA that issued the controller's certificate in `ca_file`" in result.output


def text_of_another_ca(folder: Path) -> str:
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        "k.pem",
        "-out",
        "c.pem",
        "-subj",
        "/CN=Other",
    ]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return (folder / "c.pem").read_text()


def test_a_group_is_found_by_part_of_its_name(configuration: Path, domain: SambaDomain) -> None:
    domain.add_group("PKI Certificate Managers")
    result = accord_api_command(configuration, "directory", "groups", "--search", "certificate man")
    assert result.output == "PKI Certificate Managers  CN=PKI Certificate Managers,CN=Users,DC=corp,DC=example,DC=org\n"
    assert accord_api_command(configuration, "directory", "groups", "--search", "*)(x").output.startswith("No group has")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('controllers = ["http://dc1"]', "is not the address of a domain controller"),
        ("controllers = []", "must be a list of addresses"),
        ('secret = "hunter22hunter22"', "the secret does not belong in this file"),
        ('dns_name = "corp"', "must be a domain's full name"),
        ('ca_file = "nowhere.pem"', "which holds no readable certificates"),
        ('secret_file = "nowhere"', "which cannot be read"),
        ("start_tls = false", "`start_tls` is not a setting"),
        ("resync = 5", "`resync` must be text"),
        ("try_time = true", "`try_time` must be a number"),
    ],
)
def test_unusable_settings_are_refused_when_they_are_read(configuration: Path, line: str, why: str) -> None:
    key = line.partition(" =")[0]
    lines = [old for old in configuration.read_text().splitlines() if not old.startswith(f"{key} =")]
    configuration.write_text("\n".join([*lines, line]) + "\n")
    result = accord_api_command(configuration, "directory", "doctor")
    assert result.exit_code == 1
    assert why in result.stderr
    assert "hunter22" not in result.stderr + result.output


def test_without_a_directory_there_is_nothing_to_examine(tmp_path: Path) -> None:
    (tmp_path / "accord.toml").write_text("")
    result = accord_api_command(tmp_path / "accord.toml", "directory", "doctor")
    assert (result.exit_code, "no directory is configured" in result.stderr) == (1, True)


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_an_account_that_never_logged_in_is_unlocked_by_any_of_its_names(configuration: Path, world: DirectoryWorld) -> None:
    name, _ = world.person()
    for form in (name, f"CORP\\{name}", f"{name}@corp.example.org"):
        world.login(name, "wrong", 401)
        result = accord_api_command(configuration, "user", "unlock", form, "--database", world.url)
        assert (result.exit_code, result.output) == (0, f"Unlocked {form}.\n")
        assert world.service.reader.rows("SELECT failures FROM account_networks") == []
    result = accord_api_command(configuration, "user", "unlock", "person-unknown", "--database", world.url)
    assert (result.exit_code, result.stderr) == (1, "accord-api: there is no account `person-unknown`\n")


def test_groups_are_resolved(configuration: Path) -> None:
    result = accord_api_command(configuration, "directory", "resolve", "Domain Admins", "No Such Group", "CORP\\Domain Users")
    assert result.exit_code == 1
    lines = result.output.splitlines()
    assert lines[0].startswith("Domain Admins  S-1-5-21-")
    assert lines[1] == "No Such Group  not found"
    assert lines[2].endswith("-513")


def test_validate_warns_of_missing_groups_and_runs_nothing_it_checks(
    configuration: Path, accord: Accord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "config"
    (folder / "api").mkdir(parents=True)
    (folder / "api" / "__main__.py").write_text("raise SystemExit('run')")
    (folder / "teams.yaml").write_text(
        "apiVersion: accord/v1\nkind: Team\nmetadata: {name: web}\nspec:\n  adGroups:\n    - Domain Admins\n    - No Such Group\n"
    )
    monkeypatch.chdir(folder)
    monkeypatch.setenv("ACCORD_CONFIG", str(configuration))
    found = accord("validate", str(folder), "--check-directory", "--format", "json").output
    (problem,) = [each for each in json.loads(found) if each["rule"] == "unknown-ad-group"]
    assert (problem["severity"], problem["line"], problem["column"]) == ("warning", 7, 7)
    assert "`No Such Group`" in problem["message"]
    monkeypatch.delenv("ACCORD_CONFIG")
    assert "no directory is configured" in accord("validate", str(folder), "--check-directory", code=1).stderr
