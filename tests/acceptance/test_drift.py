"""Tables that were written to by hand: what differs is shown, and put right in the database."""

from __future__ import annotations

from typing import Any

import pytest
from scenario import ADMINISTRATORS, Accord, ConfigRepository, by_hand, everything, issuer, resource, team, user

from reconciler.cli.exits import CHANGES, ERROR, INVALID, STALE, UNSAFE
from reconciler.run import drift as drift_run

SQLITE = pytest.mark.parametrize("database_kind", ["sqlite"])
SOON = "2099-06-30T12:00:00.000000Z"
BOB = "(SELECT id FROM users WHERE name = 'bob')"
MANY = [f"p{number}" for number in range(8)]
GUARDS = "replace(guards, '5', '99')"
DECLARED: dict[str, Any] = {
    **ADMINISTRATORS,
    **{f"users/{name}.yaml": user(name, initialPassword="none") for name in ("alice", "bob", "carol", *MANY)},
    "issuers/tls.yaml": issuer("tls"),
    "issuers/vpn.yaml": issuer("vpn"),
    "teams/web.yaml": team("web", members=["alice", "bob"], issuers=["tls"]),
    "teams/many.yaml": team("many", members=MANY, issuers=["vpn"]),
    "templates/welcome.yaml": resource("EmailTemplate", "welcome", {"subject": "Hello", "text": "Hello {{ password }}\n"}),
    "settings.yaml": resource("Settings", "default", {"guards": {"maxAdministrators": 5}}),
}


def member(team_name: str, user_name: str, until: str = "NULL") -> str:
    return (
        f"INSERT INTO memberships (team_id, user_id, until) SELECT teams.id, users.id, {until} "
        f"FROM teams, users WHERE teams.name = '{team_name}' AND users.name = '{user_name}'"
    )


def permission(team_name: str, issuer_name: str) -> str:
    return (
        "INSERT INTO permissions (team_id, issuer_id) SELECT teams.id, issuers.id "
        f"FROM teams, issuers WHERE teams.name = '{team_name}' AND issuers.name = '{issuer_name}'"
    )


EDITS: dict[str, tuple[list[str], list[str]]] = {
    "a changed user": (["UPDATE users SET email = 'mallory@example.org' WHERE name = 'alice'"], ["update User/alice"]),
    "a user switched off": (["UPDATE users SET disabled_by_git = true WHERE name = 'bob'"], ["update User/bob"]),
    "a changed team": (["UPDATE teams SET administrator = true WHERE name = 'web'"], ["update Team/web"]),
    "permitted IPs": (["""UPDATE teams SET permitted_ips = '["0.0.0.0/0"]' WHERE name = 'web'"""], ["update Team/web"]),
    "a changed issuer": (["UPDATE issuers SET enabled = false WHERE name = 'tls'"], ["update Issuer/tls"]),
    "a changed template": (["UPDATE email_templates SET text = 'Click here, {{ password }}'"], ["update EmailTemplate/welcome"]),
    "a changed limit": (["UPDATE settings SET guards = replace(guards, '5', '50')"], ["update Settings/default"]),
    "a changed policy": (["UPDATE settings SET policies = replace(policies, '365d', '999d')"], ["update Settings/default"]),
    "a member added": ([member("web", "carol")], ["update Team/web"]),
    "a reason made up": ([f"UPDATE memberships SET reason = 'x' WHERE user_id = {BOB}"], ["update Team/web"]),
    "a membership made to end": ([f"UPDATE memberships SET until = '{SOON}' WHERE user_id = {BOB}"], ["update Team/web"]),
    "members removed": ([f"DELETE FROM memberships WHERE user_id = {BOB}"], ["update Team/web"]),
    "a permission added": ([permission("web", "vpn")], ["update Team/web"]),
    "permissions removed": (["DELETE FROM permissions"], ["update Team/many", "update Team/web"]),
    "a deleted user": (["DELETE FROM users WHERE name = 'bob'"], ["create User/bob", "update Team/web"]),
    "a deleted team": (["DELETE FROM teams WHERE name = 'web'"], ["create Team/web"]),
    "a deleted issuer": (["DELETE FROM issuers WHERE name = 'tls'"], ["update Team/web", "create Issuer/tls"]),
    "a deleted template": (["DELETE FROM email_templates"], ["create EmailTemplate/welcome"]),
    "deleted settings": (["DELETE FROM settings"], ["create Settings/default"]),
    "an inserted user": (
        ["INSERT INTO users (name, email, file) VALUES ('mallory', 'm@example.org', 'users/m.yaml')", member("web", "mallory")],
        ["delete User/mallory", "update Team/web"],
    ),
    "an inserted team": (["INSERT INTO teams (name, file) VALUES ('gang', 'teams/gang.yaml')"], ["delete Team/gang"]),
    "a renamed user": (
        ["UPDATE users SET name = 'alicia' WHERE name = 'alice'"],
        ["create User/alice", "delete User/alicia", "update Team/web"],
    ),
    "a renamed team": (["UPDATE teams SET name = 'webs' WHERE name = 'web'"], ["create Team/web", "delete Team/webs"]),
    "a renamed issuer": (
        ["UPDATE issuers SET name = 'ssl' WHERE name = 'tls'"],
        ["update Team/web", "delete Issuer/ssl", "create Issuer/tls"],
    ),
}  # fmt: skip


def found(accord: Accord) -> list[str]:
    document = accord.json("drift", code=CHANGES)
    return [f"{item['action']} {item['kind']}/{item['name']}" for item in document["differences"]]


@pytest.mark.parametrize("edit", EDITS)
def test_any_edit_by_hand_is_drift_and_can_be_repaired(accord: Accord, repository: ConfigRepository, edit: str) -> None:
    repository.commit(DECLARED)
    accord("apply", "--yes")
    assert "No drift" in accord("drift").output
    statements, expected = EDITS[edit]
    by_hand(accord, *statements)
    assert found(accord) == expected
    accord("drift", "--repair", "--yes")
    assert "No drift" in accord("drift").output
    assert accord.json("plan")["changes"] == []
    assert accord.json("audit", "verify")["broken"] is None


@SQLITE
def test_drift_names_the_last_audit_entry_of_each_resource(accord: Accord, repository: ConfigRepository) -> None:
    repository.commit(DECLARED)
    accord("apply", "--yes")
    repository.commit({"teams/web.yaml": team("web", members=["alice"], issuers=["tls"])})
    accord("apply", "--yes", ACCORD_APPLIED_BY="carol")
    by_hand(
        accord,
        member("web", "bob"),
        "UPDATE issuers SET enabled = false WHERE name = 'tls'",
        "INSERT INTO teams (name, file) VALUES ('gang', 'x.yaml')",
    )
    since = {item["name"]: item["since"] for item in accord.json("drift", code=CHANGES)["differences"]}
    assert (since["web"]["action"], since["web"]["actor"]) == ("team.update", "carol")
    assert (since["tls"]["action"], since["tls"]["actor"]) == ("issuer.create", "tester")
    assert since["gang"] is None
    text = accord("drift", code=CHANGES).output
    assert f"changed outside Accord after audit entry #{since['web']['id']} (team.update, " in text
    assert "carol" not in text  # who wrote last is not who changed it
    assert "no audit entry mentions it" in text


@SQLITE
def test_rows_that_git_never_declared_are_unmanaged_and_not_drift(accord: Accord, repository: ConfigRepository) -> None:
    repository.commit(DECLARED)
    accord("apply", "--yes")
    by_hand(accord, "INSERT INTO users (name, email) VALUES ('stranger', 's@example.org')")
    document = accord.json("drift")
    assert document["differences"] == []
    assert document["foreign"] == [{"kind": "User", "name": "stranger"}]
    assert "stranger" in accord("drift").output
    by_hand(accord, "UPDATE issuers SET enabled = false WHERE name = 'tls'")
    accord("drift", "--repair", "--yes")
    assert accord.json("drift")["foreign"] == [{"kind": "User", "name": "stranger"}]


def test_an_unmanaged_team_that_gives_anything_is_drift_and_everybody_is_named(
    accord: Accord, repository: ConfigRepository
) -> None:
    repository.commit({**DECLARED, "users/robot.yaml": user("robot", type="application")})
    accord("apply", "--yes")
    ended = "'2020-01-01T00:00:00.000000Z'"
    columns = "name, administrator, permitted_ips, may_decide_for"
    gang = f"""INSERT INTO teams ({columns}) VALUES ('gang', true, '["0.0.0.0/0"]', '"everyone"')"""
    by_hand(accord, gang, member("gang", "carol"), member("gang", "robot"), member("gang", "bob", ended))
    by_hand(accord, permission("gang", "vpn"))
    both = ["carol", "robot"]
    expected = {
        "access": [
            {"user": name, "issuer": "vpn", "through": ["gang"], "until": None, "from": ["0.0.0.0/0"], "later": []}
            for name in both
        ],
        "powers": [{"field": f, "team": "gang", "users": both} for f in ("administrator", "permittedIPs", "mayDecideFor")],
    }

    def check() -> None:
        document = accord.json("drift", code=CHANGES)
        assert document["foreignAccess"] == expected
        assert document["foreign"] == [{"kind": "Team", "name": "gang"}]
        text = accord("drift", code=CHANGES).output
        for words in (
            "2 accounts use vpn through gang, from 0.0.0.0/0: carol, robot",
            "administrators through gang: carol, robot",
            "bound to the permitted IPs of gang: carol, robot",
            "may ask for decisions (applications only) through gang: carol, robot",
            "accord apply --adopt",
        ):
            assert words in text
        assert "No drift" not in text

    check()
    assert accord("drift", "--patch", code=CHANGES).stderr.count("through gang") == 3
    by_hand(accord, "UPDATE issuers SET description = 'x' WHERE name = 'tls'")
    accord("drift", "--repair", "--yes", code=CHANGES)  # all that Git declares is as it should be; the gang is there yet
    assert accord.json("drift", code=CHANGES)["differences"] == []
    repository.commit({"issuers/vpn.yaml": issuer("vpn", description="y")})
    accord("apply", "--yes")  # and so the digests count the foreign rows in
    check()
    accord("apply", "--adopt", "--yes")
    assert accord.json("drift")["foreignAccess"] == {"access": [], "powers": []}


@SQLITE
def test_an_unmanaged_team_that_gives_nothing_is_not_drift(accord: Accord, repository: ConfigRepository) -> None:
    repository.commit(DECLARED)
    accord("apply", "--yes")
    by_hand(accord, "INSERT INTO teams (name, administrator) VALUES ('empty', true)", permission("empty", "vpn"))
    by_hand(accord, "INSERT INTO teams (name) VALUES ('harmless')", member("harmless", "alice"))
    assert accord.json("drift")["foreignAccess"] == {"access": [], "powers": []}


@SQLITE
def test_other_settings_written_by_hand_replace_nothing(accord: Accord, repository: ConfigRepository) -> None:
    repository.commit(DECLARED)
    accord("apply", "--yes")
    columns = "guards, policies FROM settings"
    by_hand(accord, f"INSERT INTO settings (id, name, guards, policies) SELECT 0, 'aaa', {columns.replace('guards', GUARDS, 1)}")
    document = accord.json("drift")
    assert (document["differences"], document["foreign"]) == ([], [{"kind": "Settings", "name": "aaa"}])
    assert accord.json("plan")["changes"] == []


@SQLITE
def test_a_declared_row_made_to_look_unmanaged_is_drift_and_repaired(accord: Accord, repository: ConfigRepository) -> None:
    repository.commit(DECLARED)
    accord("apply", "--yes")
    by_hand(accord, "UPDATE teams SET file = NULL, administrator = true WHERE name = 'web'")
    assert found(accord) == ["update Team/web"]
    accord("drift", "--repair", "--yes")
    assert accord.json("drift")["foreign"] == []
    assert accord.json("plan")["moves"] == []


@SQLITE
@pytest.mark.parametrize("arguments", [(), ("--repair", "--yes"), ("--only", "User/alice")])
def test_a_declared_user_made_a_directory_account_is_the_plain_error(
    accord: Accord, repository: ConfigRepository, arguments: tuple[str, ...]
) -> None:
    repository.commit(DECLARED)
    accord("apply", "--yes")
    by_hand(accord, "UPDATE users SET source = 'directory' WHERE name = 'alice'")
    assert "user `alice` has the name of a directory account" in accord("drift", *arguments, code=INVALID).stderr


@SQLITE
def test_only_the_named_resource_is_put_right(accord: Accord, repository: ConfigRepository) -> None:
    repository.commit(DECLARED)
    accord("apply", "--yes")
    by_hand(accord, member("web", "carol"), "UPDATE issuers SET description = 'x'")
    accord("drift", "--repair", "--only", "Issuer/tls", "--yes")
    assert found(accord) == ["update Team/web", "update Issuer/vpn"]
    assert "does not differ" in accord("drift", "--repair", "--only", "Issuer/tls", "--yes", code=ERROR).stderr
    accord("drift", "--repair", "--only", "Issuer/vpn", "--only", "Team/web", "--yes")
    assert accord.json("drift")["differences"] == []


@SQLITE
@pytest.mark.parametrize(
    ("only", "words"),
    [
        ("Team", "such as `Team/web-platform`"),
        ("/web", "there is no kind ``"),
        ("Taem/web", "did you mean `Team`"),
        ("Zebra/web", "User, Team"),
    ],
)
def test_a_resource_is_named_by_kind_and_name(accord: Accord, repository: ConfigRepository, only: str, words: str) -> None:
    assert words in accord("drift", "--only", only, code=ERROR).stderr


@SQLITE
def test_a_repair_that_needs_another_names_it(accord: Accord, repository: ConfigRepository) -> None:
    repository.commit(DECLARED)
    accord("apply", "--yes")
    by_hand(accord, "DELETE FROM users WHERE name = 'bob'")
    assert "without User/bob; name them as well" in accord("drift", "--repair", "--only", "Team/web", "--yes", code=ERROR).stderr
    accord("drift", "--repair", "--only", "User/bob", "--yes")
    accord("drift", "--repair", "--only", "Team/web", "--yes")
    by_hand(
        accord, "INSERT INTO users (name, email, file) VALUES ('mallory', 'm@example.org', 'x.yaml')", member("web", "mallory")
    )
    error = accord("drift", "--repair", "--only", "User/mallory", "--yes", code=ERROR).stderr
    assert "User/mallory cannot be repaired without Team/web; name it as well" in error
    accord("drift", "--repair", "--only", "User/mallory", "--only", "Team/web", "--yes")
    assert accord.json("drift")["differences"] == []


@SQLITE
def test_a_directory_account_written_into_a_team_hinders_no_other_repair(accord: Accord, repository: ConfigRepository) -> None:
    repository.commit(DECLARED)
    accord("apply", "--yes")
    by_hand(
        accord, "INSERT INTO users (name, email, source) VALUES ('dora', 'd@example.org', 'directory')", member("web", "dora")
    )
    by_hand(accord, "UPDATE issuers SET description = 'x' WHERE name = 'tls'")
    accord("drift", "--repair", "--only", "Issuer/tls", "--yes")
    accord("drift", "--repair", "--yes")
    assert accord.json("drift")["differences"] == []
    assert accord.json("access", "--user", "dora") == []


@SQLITE
def test_guards_judge_a_repair_and_an_override_is_recorded_only_where_it_was_needed(
    accord: Accord, repository: ConfigRepository
) -> None:
    repository.commit(DECLARED)
    accord("apply", "--yes")
    repository.commit({"settings.yaml": resource("Settings", "default", {"guards": {"maxPeopleGaining": 1}})})
    accord("apply", "--yes")
    by_hand(accord, "DELETE FROM permissions")
    before = everything(accord)
    refused = accord("drift", "--repair", "--yes", code=UNSAFE)
    hint = 'if this is intended: accord drift --repair --override access-gained --reason "why"\n'
    assert hint in refused.stdout
    assert hint in refused.stderr
    some = accord("drift", "--repair", "--yes", "--only", "Team/web", "--branch", "main", code=UNSAFE)
    assert 'accord drift --repair --branch main --only Team/web --override access-gained --reason "why"\n' in some.stdout
    assert "accounts would gain access; the limit for one plan is 1" in refused.stderr
    assert refused.stderr.endswith("accord: refused by access-gained; nothing was changed\n")
    assert everything(accord) == before
    assert "--override needs --reason" in accord("drift", "--repair", "--yes", "--override", "access-gained", code=ERROR).stderr
    overrides = ("--override", "access-gained", "--override", "administrators", "--reason", "CHG-1")
    assert "guard access-gained overridden" in accord("drift", "--repair", "--yes", *overrides).output
    assert accord.json("history")[0]["overrides"] == [{"guard": "access-gained", "reason": "CHG-1"}]
    (entry,) = [each for each in accord.json("audit", "list") if each["action"] == "revision.repair"]
    assert entry["detail"]["overrides"] == [{"guard": "access-gained", "reason": "CHG-1"}]


@SQLITE
def test_a_repair_that_only_takes_away_is_not_refused_however_much_that_is(accord: Accord, repository: ConfigRepository) -> None:
    repository.commit(DECLARED)
    accord("apply", "--yes")
    by_hand(accord, *(member("web", name) for name in MANY))
    repaired = accord("drift", "--repair", "--yes").output
    assert "members of team web: 8 of 10 would be removed" in repaired
    assert "(a repair may take it away)" in repaired


def strangers(number: int) -> list[str]:
    return [
        f"INSERT INTO users (name, email, file) VALUES ('m{each}', 'm{each}@example.org', 'users/m.yaml')"
        for each in range(number)
    ]


@SQLITE
def test_after_an_upgrade_an_apply_that_changes_nothing_lets_repairs_count_as_such(
    accord: Accord, repository: ConfigRepository
) -> None:
    repository.commit(DECLARED)
    accord("apply", "--yes")
    by_hand(accord, "UPDATE revisions SET accord_version = '0.0.1'")
    assert accord("apply", "--yes").output.startswith("Applied ")
    assert accord("apply", "--yes").output.startswith("Already applied ")
    assert [len(accord.json("history")), accord.json("history")[0]["counts"]["gained"]] == [2, 0]
    by_hand(accord, *strangers(8))
    accord("drift", "--repair", "--yes")
    by_hand(accord, *strangers(8))
    accord("apply", "--yes")


@SQLITE
def test_what_another_version_would_take_away_is_judged_also_after_a_partial_repair(
    accord: Accord, repository: ConfigRepository
) -> None:
    repository.commit(DECLARED)
    accord("apply", "--yes")
    by_hand(accord, "UPDATE revisions SET accord_version = '0.0.1'", "UPDATE teams SET description = 'x'", *strangers(8))
    for _ in range(2):
        assert "refused by deletions" in accord("drift", "--repair", "--yes", code=UNSAFE).stderr
        assert "refused by deletions" in accord("apply", "--yes", code=UNSAFE).stderr
        accord("drift", "--repair", "--only", "Team/web", "--yes", code=0)
        by_hand(accord, "UPDATE teams SET description = 'x'")


@SQLITE
def test_neither_a_repair_nor_an_apply_gives_duties_through_an_ad_group_unjudged(
    accord: Accord, repository: ConfigRepository
) -> None:
    apart = {"guards": {"separationOfDuties": [["web", "many"]]}}
    groups = {f"teams/{name}.yaml": team(name, adGroups=["PKI-Web"]) for name in ("web", "many")}
    repository.commit({**DECLARED, **groups, "settings.yaml": resource("Settings", "default", apart)})
    accord("apply", "--yes", "--override", "separation-of-duties", "--reason", "CHG-1")
    by_hand(accord, "UPDATE teams SET ad_groups = '[]' WHERE name = 'web'")
    for command in (("drift", "--repair", "--yes"), ("apply", "--yes")):
        assert "whoever is in the AD group pki-web would be in many and in web" in accord(*command, code=UNSAFE).stderr


@SQLITE
def test_repair_asks_on_a_terminal_and_goes_nowhere_without_one(accord: Accord, repository: ConfigRepository) -> None:
    repository.commit(DECLARED)
    accord("apply", "--yes")
    assert "No drift" in accord("drift", "--repair").output  # nothing to ask about
    by_hand(accord, member("web", "carol"))
    assert "use --yes to repair without asking" in accord("drift", "--repair", code=ERROR).stderr
    assert "choose one" in accord("drift", "--repair", "--patch", code=ERROR).stderr
    assert found(accord) == ["update Team/web"]


@SQLITE
def test_a_repair_reaches_exactly_the_people_shown(
    accord: Accord, repository: ConfigRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.commit(DECLARED)
    accord("apply", "--yes")
    by_hand(accord, "UPDATE teams SET administrator = NOT administrator WHERE name = 'web'")
    repair = drift_run.repair

    def meanwhile(*arguments: Any, **options: Any) -> Any:
        by_hand(
            accord,
            "INSERT INTO account_states (user_id, disabled_by_administrator) SELECT id, true FROM users WHERE name = 'bob'"
            " ON CONFLICT (user_id) DO UPDATE SET disabled_by_administrator = true",
        )
        return repair(*arguments, **options)

    monkeypatch.setattr(drift_run, "repair", meanwhile)
    assert "has changed since this was shown" in accord("drift", "--repair", "--yes", code=STALE).stderr


@SQLITE
def test_a_change_after_the_drift_was_shown_is_not_repaired(
    accord: Accord, repository: ConfigRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.commit(DECLARED)
    accord("apply", "--yes")
    by_hand(accord, member("web", "carol"))
    repair = drift_run.repair

    def meanwhile(*arguments: Any, **options: Any) -> Any:
        by_hand(accord, "UPDATE teams SET administrator = true WHERE name = 'web'")
        return repair(*arguments, **options)

    monkeypatch.setattr(drift_run, "repair", meanwhile)
    assert "has changed since this was shown" in accord("drift", "--repair", "--yes", code=STALE).stderr
    assert found(accord) == ["update Team/web"]


@SQLITE
def test_nothing_can_differ_before_anything_was_applied(accord: Accord, repository: ConfigRepository) -> None:
    repository.commit(DECLARED)
    assert "no revision has been applied" in accord("drift", code=ERROR).stderr
    assert "no revision has been applied" in accord("drift", "--repair", "--yes", code=ERROR).stderr


@SQLITE
def test_nonsense_written_by_hand_is_named(accord: Accord, repository: ConfigRepository) -> None:
    repository.commit(DECLARED)
    accord("apply", "--yes")
    by_hand(accord, "UPDATE teams SET permitted_ips = 'anywhere'")
    assert "`anywhere`" in accord("drift", code=ERROR).stderr
