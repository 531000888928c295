"""An export of the predecessor becomes a config repository with the same access."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from reconciler.run.importing import import_predecessor
from reconciler.run.validating import validate_folder
from reconciler.source.certdog import import_certdog
from reconciler.source.certdog_mails import converted
from reconciler.source.certdog_mapping import Mapped

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HASH = "$2a$10$VEsIyJlN5MiZoXLsEe7GEesJuRDD9YhmymmKlERAq778mZaq5JOuG"
FRED, WEB, ADMINS, TLS = (f"604ba413edd31279d221aa8{digit}" for digit in range(4))
EXPORT: dict[str, Any] = {
    "users": [
        {
            "_id": {"$oid": FRED.upper()},
            "username": "Fred.Bloggs@example.org",
            "email": "fred@example.org",
            "password": HASH,
            "teamsIds": [{"$oid": WEB}],
        },
        {"username": "Admin", "email": "admin@example.org", "enabled": False, "teamsIds": [ADMINS]},
        {"username": "CORP\\jane", "email": "jane@example.org", "adUser": True},
    ],
    "teams": [
        {
            "id": WEB,
            "name": "Test Team",
            "description": "Tests",
            "internalGroup": "USER",
            "adGroups": ["PKI-Web"],
            "authorisedCas": [TLS],
            "ipWhiteList": "192.168.15.10, 10.15.116.1-10.15.116.128,10.15.117.*",
            "dontSendEmailsOnIssue": True,
            "dontSendReminderEmails": False,
        },
        {"id": ADMINS, "name": "admins", "internalGroup": "ADMIN", "authorisedCas": ["Internal TLS"]},
    ],
    "issuers": [{"id": TLS, "caName": "Internal TLS"}],
    "emailTemplates": {"issued": {"subject": "[CERTSUBJECT]", "body": "Valid until [VALIDTO]"}},
    "settings": {"reminderDays": "5, 30", "alwaysSendTo": "pki@example.org", "sendOnIssue": False},
}


def imported(folder: Path, content: Any, *, with_hashes: bool = False) -> Mapped:
    file = folder / "export.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content, indent=1))
    return import_certdog(file, with_hashes=with_hashes)


def errors(found: Mapped) -> list[str]:
    return [each.message for each in found.problems if each.severity == "error"]


def test_names_and_ids_that_people_and_clients_know_stay(tmp_path: Path) -> None:
    state = imported(tmp_path, EXPORT).state
    fred, admin = state.users["fred.bloggs-example.org"], state.users["admin"]
    assert (fred.logins, fred.certdog_id, fred.initial_password) == (("Fred.Bloggs@example.org",), FRED, "generated")
    assert (admin.logins, admin.certdog_id, admin.enabled) == ((), None, False)
    team, admins = state.teams["test-team"], state.teams["admins"]
    assert (team.display_name, team.certdog_id, team.administrator) == ("Test Team", WEB, False)
    assert (team.suppress_issued_emails, team.suppress_reminder_emails, team.ad_groups) == (True, False, ("PKI-Web",))
    assert team.permitted_ips == ("10.15.116.1-10.15.116.128", "10.15.117.*", "192.168.15.10")
    assert (admins.display_name, admins.administrator) == (None, True)
    assert [each.issuer for each in admins.permissions] == ["internal-tls"]
    assert state.issuers["internal-tls"].display_name == "Internal TLS"
    assert state.settings is not None
    mail = json.loads(dict(state.settings.policies)["mail"])
    assert (mail["daysBeforeExpiry"], mail["alwaysSendTo"], mail["onIssue"]) == ([30, 5], ["pki@example.org"], False)


def test_users_of_active_directory_are_left_out_and_told(tmp_path: Path) -> None:
    found = imported(tmp_path, EXPORT)
    assert len(found.state.users) == 2
    assert [each.message for each in found.problems] == [
        "`CORP\\jane` is of Active Directory and appears here at the first login"
    ]
    assert found.problems[0].line > 1


def test_the_repository_is_valid(tmp_path: Path) -> None:
    imported(tmp_path, EXPORT)
    import_predecessor(tmp_path / "export.json", tmp_path / "config", None)
    found = validate_folder(tmp_path / "config", tmp_path / "cache", now=NOW)
    assert [each for each in found.problems if each.severity == "error"] == []


def change(section: str, **changes: Any) -> dict[str, Any]:
    return {**EXPORT, section: [{**EXPORT[section][0], **changes}, *EXPORT[section][1:]]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (change("teams", ipWhiteList=" , ,"), "`ipWhiteList` names no address"),
        (change("teams", ipWhiteList=["  "]), "each of `ipWhiteList` must be text"),
        (change("teams", ipWhiteList=7), "`ipWhiteList` must be text"),
        (change("teams", ipWhiteList="10.0.0.300"), "`10.0.0.300` is not an IP address"),
        (change("teams", authorisedCas=["0" * 24]), "no issuer has the id or the name"),
        (change("teams", internalGroup="ROOT"), "`internalGroup` must be USER or ADMIN"),
        (change("teams", id=ADMINS), "two teams have the id or the name"),
        (change("teams", name="everyone", adGroups=[7]), "each of `adGroups` must be text"),
        (change("users", teamsIds=["nobody's"]), "no team has the id or the name `nobody's`"),
        (change("users", username=""), "`username` is missing"),
        (change("users", username="fred\u200b"), "which nobody sees"),
        (change("users", username="\ud800"), "half of a character"),
        (change("users", enabled="yes"), "`enabled` must be true or false"),
        (change("users", _id="7"), "`_id` must have 24 hexadecimal digits"),
        (change("issuers", caCerts=["none"]), "this must be one certificate as PEM"),
        ({**EXPORT, "users": {}}, "`users` must be a list"),
        ({**EXPORT, "users": ["fred"]}, "each of `users` must be an object"),
        ({**EXPORT, "settings": {"reminderDays": "soon"}}, "`reminderDays` must be numbers of days"),
        ([], "the file must contain an object"),
        ('{"users": [', "this is not JSON"),
        ('{"users": [], "users": []}', "has the property `users` twice"),
        ('{"a":' * 100_000, "nested too deeply"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_written(tmp_path: Path, content: Any, message: str) -> None:
    found = imported(tmp_path, content)
    assert any(message in each for each in errors(found)), errors(found)
    problems, written = import_predecessor(tmp_path / "export.json", tmp_path / "config", tmp_path / "hashes")
    assert written is None
    assert problems
    assert [each.name for each in tmp_path.iterdir()] == ["export.json"]


def test_what_only_validation_finds_is_told_at_its_place_in_the_export(tmp_path: Path) -> None:
    imported(tmp_path, change("users", email="no address"))
    problems, written = import_predecessor(tmp_path / "export.json", tmp_path / "config", None)
    (found,) = [each for each in problems if each.severity == "error"]
    assert written is None
    assert (found.file, found.line) == ("export.json", 3)
    assert "email" in found.message


def test_what_is_not_taken_over_is_told_once(tmp_path: Path) -> None:
    users = [{**each, "phone": "1", "enabledd": True} for each in EXPORT["users"]]
    told = [each.message for each in imported(tmp_path, {**EXPORT, "users": users}).problems]
    assert sum("`phone` of users is not taken over" in each for each in told) == 1
    assert any("did you mean `enabled`" in each for each in told)


def test_who_is_an_administrator_in_no_team_of_administrators_is_told(tmp_path: Path) -> None:
    users = [{**each, "group": "ADMIN"} for each in EXPORT["users"]]
    told = [
        each.message for each in imported(tmp_path, {**EXPORT, "users": users}).problems if "is no administrator" in each.message
    ]
    assert told == ["`Fred.Bloggs@example.org` is no administrator here, since none of its teams is of ADMIN"]


def test_names_that_become_the_same_get_numbers(tmp_path: Path) -> None:
    teams = [{"name": name} for name in ("Web Team", "web-team", "WEB TEAM!", "!!!", "everyone")]
    state = imported(tmp_path, {"teams": teams}).state
    assert sorted(state.teams)[-3:] == ["web-team", "web-team-2", "web-team-3"]
    assert state.teams["web-team"].display_name is None
    assert state.teams["web-team-2"].display_name == "Web Team"
    assert "everyone" not in state.teams


def test_more_administrators_than_the_limit_raise_it(tmp_path: Path) -> None:
    users = [{"username": f"a{number}", "email": "a@example.org", "teamsIds": ["t"]} for number in range(12)]
    state = imported(tmp_path, {"users": users, "teams": [{"name": "t", "internalGroup": "ADMIN"}]}).state
    assert state.settings is not None
    assert state.settings.guards.max_administrators == 12


def test_html_that_mail_programs_read_differently_is_left_out() -> None:
    made, lost = converted("certificate-issued", "Issued", "<p>[CERTSUBJECT]</p><script>alert(1)</script>")
    assert made is not None
    assert made.html is None
    assert "its HTML is left out" in lost[0]
