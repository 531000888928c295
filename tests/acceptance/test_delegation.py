"""A delegated folder declares what Settings let it, and nothing else: at validate, at plan, and whichever way is tried."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from scenario import ADMINISTRATORS, Accord, ConfigRepository, by_hand, issuer, resource, team, user

from reconciler.cli.exits import ERROR, INVALID

WEB: dict[str, Any] = {"path": "teams/web", "kinds": ["Team"], "names": ["web-*"], "issuers": ["tls"]}
NETWORK: dict[str, Any] = {
    "path": "teams/network",
    "kinds": ["Team"],
    "names": ["*"],
    "issuers": ["*"],
    "permittedIPs": ["10.0.0.0/8"],
}


def settings(*delegation: dict[str, Any], **guards: Any) -> dict[str, Any]:
    return resource("Settings", "default", {"delegation": list(delegation), "guards": guards})


DECLARED = {
    **ADMINISTRATORS,
    "settings.yaml": settings(WEB, NETWORK),
    **{f"users/{name}.yaml": user(name, initialPassword="none") for name in ("alice", "bob")},
    **{f"issuers/{name}.yaml": issuer(name) for name in ("tls", "vpn")},
    "teams/web/platform.yaml": team("web-platform", members=["alice"], issuers=["tls"]),
    "teams/network/net.yaml": team("network", members=["bob"], issuers=["vpn"]),
    "teams/vpn.yaml": team("vpn-users", members=["alice", "bob"], issuers=["vpn"]),
}
EVIL = "teams/web/platform.yaml"
pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"])


@pytest.fixture
def accord(accord: Accord, repository: ConfigRepository) -> Accord:
    repository.commit(DECLARED)
    accord("apply", "--yes")
    return accord


def renamed(document: dict[str, Any], *previously: str) -> dict[str, Any]:
    return {**document, "metadata": {**document["metadata"], "previously": list(previously)}}


def appended(*documents: dict[str, Any]) -> str:
    return "---\n".join(json.dumps(each) + "\n" for each in (DECLARED[EVIL], *documents))


@pytest.mark.parametrize(
    "files",
    [
        {EVIL: appended(team("web-helpers", administrator=True, members=["alice"]))},
        {EVIL: appended(team("web-helpers", members=["alice"], issuers=["vpn"]))},
        {EVIL: appended(team("helpers", members=["alice"], issuers=["tls"]))},
        {EVIL: appended(team("web-helpers", issuers=["tls"], adGroups=["PKI-Web"]))},
        {EVIL: appended(team("web-helpers", issuers=["tls"], permittedIPs=["0.0.0.0/1"]))},
        {EVIL: appended(team("web-helpers", issuers=["tls"], mayDecideFor="everyone"))},
        {EVIL: appended(team("web-helpers", issuers=["tls"], mayDecideFor=["web-platform"]))},
        {EVIL: appended(user("web-user"))},
        {EVIL: appended(issuer("web-issuer"))},
        {EVIL: appended(resource("EmailTemplate", "welcome", {"subject": "x", "text": "{{ password }}"}))},
        {EVIL: appended(settings())},
        {EVIL: appended(renamed(team("web-admins", members=["alice"], issuers=["tls"]), "old-admins"))},
        {"teams/web/deep/er/a.yaml": team("admins2", members=["alice"], issuers=["tls"])},
        {"Teams/Web/a.yaml": team("admins2", members=["alice"], issuers=["tls"])},
        {"teams/web/\u202e.yaml": team("b", members=["alice"], issuers=["tls"])},
        {EVIL: "a: &x {apiVersion: accord/v1}\n---\n" + json.dumps(team("web-x", administrator=True))},
        {EVIL: json.dumps(team("web-x", issuers=["tls"])).replace('"issuers"', 'administrator: &t true, "issuers"')},
    ],
)  # fmt: skip
def test_nothing_else_is_accepted_from_a_delegated_folder(
    accord: Accord, repository: ConfigRepository, files: dict[str, Any]
) -> None:
    repository.commit(files)
    rules = {
        problem["rule"] for problem in accord.json("validate", "--rev", "main", code=ERROR) if problem["severity"] == "error"
    }
    assert "not-delegated" in rules
    accord("plan", code=INVALID)
    accord("apply", "--yes", code=INVALID)


def test_a_problem_has_its_line_and_column(accord: Accord, repository: ConfigRepository) -> None:
    written = "apiVersion: accord/v1\nkind: Team\nmetadata: {name: web-b}\n"
    written += "spec:\n  issuers:\n    - tls\n    - vpn\n  administrator: true\n"
    repository.commit({"teams/web/b.yaml": written})
    found = accord.json("validate", "--rev", "main", code=ERROR)
    assert [(each["file"], each["line"], each["column"], each["rule"]) for each in found if each["severity"] == "error"] == [
        ("teams/web/b.yaml", 7, 7, "not-delegated"),
        ("teams/web/b.yaml", 8, 18, "not-delegated"),
    ]


def test_what_is_delegated_is_accepted(accord: Accord, repository: ConfigRepository) -> None:
    repository.commit(
        {
            EVIL: appended(team("web-helpers", members=["bob", "root"], issuers=["tls"])),
            "teams/network/net.yaml": team("network", members=["bob"], issuers=["vpn"], permittedIPs=["10.1.0.0/16"]),
        }
    )
    accord("apply", "--yes")
    repository.commit({EVIL: None})
    accord("apply", "--yes")


def test_a_rename_takes_nothing_from_another_folder(accord: Accord, repository: ConfigRepository) -> None:
    stolen = renamed(team("vpn-all", members=["bob"], issuers=["vpn"]), "vpn-users")
    repository.commit({"teams/network/net.yaml": stolen, "teams/vpn.yaml": None})
    problem = accord("plan", code=INVALID).stderr
    assert "may not rename `vpn-users`, which teams/vpn.yaml declared, outside it" in problem
    assert "teams/network/net.yaml:1:" in problem


def test_an_administrator_may_move_a_team_into_a_delegated_folder_and_its_owners_may_rename_it_there(
    accord: Accord, repository: ConfigRepository
) -> None:
    repository.commit({"teams/network/vpn.yaml": DECLARED["teams/vpn.yaml"], "teams/vpn.yaml": None})
    accord("apply", "--yes")
    mine = renamed(team("vpn-all", members=["alice", "bob"], issuers=["vpn"]), "vpn-users")
    repository.commit({"teams/network/vpn.yaml": mine})
    assert [change["action"] for change in accord.json("plan")["changes"]] == ["rename"]


def test_settings_cannot_permit_something_and_use_it_at_once(accord: Accord, repository: ConfigRepository) -> None:
    wider = settings({**WEB, "issuers": ["*"]}, NETWORK)
    granted = team("web-platform", members=["alice"], issuers=["tls", "vpn"])
    repository.commit({"settings.yaml": wider, EVIL: granted})
    accord("validate", "--rev", "main")
    assert (
        "`teams/web` may not grant `vpn`: its delegation has `tls` (the settings in force" in accord("plan", code=INVALID).stderr
    )
    repository.commit({EVIL: DECLARED[EVIL]})
    accord("apply", "--yes")
    repository.commit({EVIL: granted})
    accord("apply", "--yes")


def test_what_is_in_force_stays_so_if_the_settings_leave_the_branch(accord: Accord, repository: ConfigRepository) -> None:
    repository.commit({"settings.yaml": None, EVIL: team("web-platform", members=["alice"], issuers=["vpn"])})
    accord("validate", "--rev", "main")
    accord("plan", code=INVALID)


def test_two_revisions_are_compared_by_the_delegation_of_the_first(accord: Accord, repository: ConfigRepository) -> None:
    base = repository.head()
    repository.commit({"settings.yaml": None, EVIL: team("web-platform", members=["alice"], issuers=["vpn"])})
    accord("plan", "--against", base, code=INVALID)


def test_a_file_that_did_not_change_must_satisfy_a_new_delegation(accord: Accord, repository: ConfigRepository) -> None:
    repository.commit({"settings.yaml": settings({**WEB, "issuers": []}, NETWORK)})
    assert f"{EVIL}:1:" in accord("plan", code=INVALID).stderr


def test_an_issuer_can_be_renamed_with_all_that_grants_it(accord: Accord, repository: ConfigRepository) -> None:
    renamed_issuer = renamed(issuer("tls-internal"), "tls")
    repository.commit(
        {
            "issuers/tls.yaml": renamed_issuer,
            EVIL: team("web-platform", members=["alice"], issuers=["tls-internal"]),
            "settings.yaml": settings({**WEB, "issuers": ["tls-internal"]}, NETWORK),
        }
    )
    accord("apply", "--yes")


def test_a_delegation_written_by_hand_is_undone_by_an_apply_and_hinders_others_only_with_the_way_out(
    accord: Accord, repository: ConfigRepository
) -> None:
    everywhere = "UPDATE settings SET delegation = replace(delegation, '\"teams/web\"', '\"\"')"
    by_hand(accord, everywhere, "UPDATE teams SET description = 'x'")
    assert "update Team/network" in [f"{each['action']} {each['kind']}/{each['name']}" for each in accord.json("plan")["changes"]]
    repository.commit({EVIL: team("web-platform", description="Web", members=["alice"], issuers=["tls"])})
    refused = accord("apply", "--yes", code=INVALID).stderr
    assert "changed by hand in the database; undo that first: accord drift --repair" in refused
    assert "apply the settings" not in refused
    accord("apply", "--yes", "--rev", "main~1")
    accord("apply", "--yes")


def test_drift_in_a_delegated_team_is_repaired(accord: Accord) -> None:
    by_hand(accord, "UPDATE teams SET administrator = 1 WHERE name = 'web-platform'")
    accord("drift", "--repair", "--yes")
    by_hand(accord, "UPDATE settings SET delegation = '[]'")
    assert [change["kind"] for change in accord.json("plan")["changes"]] == ["Settings"]


def test_paths_begin_at_the_repository_s_root_also_with_a_folder_of_resources(
    repository: ConfigRepository, database_url: str, tmp_path: Path
) -> None:
    program = Accord(repository.path, database_url, tmp_path / "cache")
    inside = {f"config/{name}": content for name, content in DECLARED.items()}
    repository.commit({**inside, "config/settings.yaml": settings({**WEB, "path": "config/teams/web"})})
    program("apply", "--yes", "--path", "config")
    repository.commit({"config/teams/web/x.yaml": team("x", issuers=["tls"])})
    program("plan", "--path", "config", code=INVALID)


def test_a_folder_without_git_is_checked_from_its_top(accord: Accord, tmp_path: Path) -> None:
    for name, content in {**DECLARED, "teams/web/x.yaml": team("x", members=["alice"], issuers=["tls"])}.items():
        place = tmp_path / "plain" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(content if isinstance(content, str) else json.dumps(content))
    found = accord.json("validate", str(tmp_path / "plain"), code=ERROR)
    assert [problem["rule"] for problem in found] == ["not-delegated"]


def test_a_misspelt_folder_is_warned_of(accord: Accord, repository: ConfigRepository) -> None:
    repository.commit({"settings.yaml": settings({**WEB, "path": "team/web"}, NETWORK)})
    (found,) = accord.json("validate", "--rev", "main")
    assert (found["rule"], found["suggestion"]) == ("nothing-delegated", "teams/web")


@pytest.mark.parametrize(
    ("entry", "rule"),
    [
        ({"path": "../x"}, "invalid-path"),
        ({"path": "teams/*"}, "invalid-path"),
        ({"path": "Teams/Web/"}, "delegated-twice"),
        ({"path": "x", "permittedIPs": ["10.0.0.1/8"]}, "invalid-ip"),
        ({"path": "x", "kinds": ["Settings"]}, "unknown-value"),
        ({"path": "x", "names": ["Web-*"]}, "wrong-format"),
    ],
)
def test_a_delegation_is_checked_itself(accord: Accord, repository: ConfigRepository, entry: dict[str, Any], rule: str) -> None:
    repository.commit({"settings.yaml": settings(WEB, entry)})
    assert rule in {problem["rule"] for problem in accord.json("validate", "--rev", "main", code=ERROR)}
