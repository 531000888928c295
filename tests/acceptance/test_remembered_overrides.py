"""An override that holds until an instant: remembered for what it was given for, shown while it holds, and gone by itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from scenario import ADMINISTRATORS, Accord, ConfigRepository, by_hand, resource, team, user

from reconciler.cli.apply import _asked
from reconciler.cli.exits import ERROR, STALE, UNSAFE
from reconciler.plan.guards import GUARDS, LASTING
from reconciler.run.applying import Order
from reconciler.run.deployment import read_deployment

TOMORROW = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
OVERRIDE = ("--override", "separation-of-duties", "--reason", "while Bob is away")
APART = {"guards": {"separationOfDuties": [[{"administrator": True}, "audit"]], "refuseNewAdministrators": True}}
DECLARED = {
    **ADMINISTRATORS,
    "settings.yaml": resource("Settings", "default", APART),
    **{f"users/{name}.yaml": user(name, initialPassword="none") for name in ("alice", "bob")},
    "teams/audit.yaml": team("audit", members=["bob"]),
}
BOTH = {"teams/audit.yaml": team("audit", members=["bob", "root"])}


@pytest.fixture
def accord(accord: Accord, repository: ConfigRepository) -> Accord:
    repository.commit(DECLARED)
    accord("apply", "--yes")
    return accord


def guard(accord: Accord, name: str = "separation-of-duties", code: int = 0) -> dict[str, object]:
    return next(each for each in accord.json("plan", code=code)["guards"] if each["id"] == name)


def test_an_override_until_an_instant_covers_the_same_people_again_and_nobody_else(
    accord: Accord, repository: ConfigRepository
) -> None:
    repository.commit(BOTH)
    assert "root would be an administrator and in audit, which are kept apart" in accord("plan", code=UNSAFE).output
    accord("apply", "--yes", *OVERRIDE, "--override-until", TOMORROW)
    assert accord.json("history")[0]["overrides"] == [
        {"guard": "separation-of-duties", "reason": "while Bob is away", "until": f"{TOMORROW[:-1]}Z"}
    ]
    assert "guard separation-of-duties overridden until " in accord("history").output
    (entry,) = [each for each in accord.json("show", repository.head())["entries"] if each["action"] == "guard.override"]
    assert {"kind": "User", "name": "root"} in entry["detail"]["about"]
    accord("audit", "verify")
    repository.commit({"teams/audit.yaml": DECLARED["teams/audit.yaml"]})
    accord("apply", "--yes")
    repository.commit(BOTH)
    found = guard(accord)
    assert found["verdict"] == "overridden"
    (standing,) = found["standing"]
    assert standing["override"] == {"until": TOMORROW, "by": "tester", "reason": "while Bob is away", "holds": True}
    assert "by tester: while Bob is away" in accord("plan", "--format", "markdown").output.replace("&#58;", ":")
    accord("apply", "--yes")
    repository.commit({"teams/audit.yaml": team("audit", members=["bob", "root"], description="Reads"), **new_admin("bob")})
    accord("plan", code=UNSAFE)


NEXT_WEEK = (datetime.now(UTC) + timedelta(days=7)).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.parametrize(("first", "second"), [(TOMORROW, NEXT_WEEK), (NEXT_WEEK, TOMORROW)], ids=["later", "earlier"])
def test_an_override_that_is_given_again_ends_as_the_history_says(
    accord: Accord, repository: ConfigRepository, first: str, second: str
) -> None:
    repository.commit(BOTH)
    accord("apply", "--yes", *OVERRIDE, "--override-until", first)
    repository.commit({"teams/audit.yaml": DECLARED["teams/audit.yaml"]})
    accord("apply", "--yes", *OVERRIDE, "--override-until", second)
    assert accord.json("history")[0]["overrides"] == [], "nothing to override"
    repository.commit(BOTH)
    accord("apply", "--yes", *OVERRIDE)
    assert accord.json("history")[0]["overrides"] == [], "covered already"
    repository.commit({"teams/audit.yaml": DECLARED["teams/audit.yaml"]})
    accord("apply", "--yes")
    repository.commit(BOTH)
    again = ("--override", "separation-of-duties", "--reason", "once more", "--override-until", second)
    accord("apply", "--yes", *again)
    assert accord.json("history")[0]["overrides"] == [{"guard": "separation-of-duties", "reason": "once more", "until": second}]
    (entry,) = [each for each in accord.json("show", repository.head())["entries"] if each["action"] == "guard.override"]
    assert entry["detail"]["until"] == second
    accord("audit", "verify")
    repository.commit({"users/alice.yaml": user("alice", fullName="Alice", initialPassword="none")})
    (standing,) = guard(accord)["standing"]
    assert standing["override"] == {"until": second, "by": "tester", "reason": "once more", "holds": True}


def new_admin(name: str) -> dict[str, object]:
    return {"teams/admins.yaml": team("admins", administrator=True, members=["root", name])}


def test_an_override_for_one_plan_is_not_remembered_and_what_it_let_pass_stands(
    accord: Accord, repository: ConfigRepository
) -> None:
    repository.commit(BOTH)
    accord("apply", "--yes", *OVERRIDE)
    repository.commit({"users/alice.yaml": user("alice", fullName="Alice", initialPassword="none")})
    found = guard(accord)
    assert found["verdict"] == "pass"
    assert found["standing"] == [{"message": "root is an administrator and in audit, which are kept apart", "override": None}]
    repository.commit({"teams/audit.yaml": DECLARED["teams/audit.yaml"]})
    accord("apply", "--yes")
    repository.commit(BOTH)
    accord("plan", code=UNSAFE)


def test_an_override_that_has_ended_covers_nothing_and_is_forgotten_with_what_it_was_for(
    accord: Accord, repository: ConfigRepository
) -> None:
    repository.commit(BOTH)
    accord("apply", "--yes", *OVERRIDE, "--override-until", TOMORROW)
    by_hand(accord, "UPDATE overrides SET until = '2026-01-01T00:00:00.000000Z'")
    repository.commit({"users/alice.yaml": user("alice", fullName="Alice", initialPassword="none")})
    assert "no longer covered by the override until" in accord("plan").output
    accord("apply", "--yes")
    repository.commit({"teams/audit.yaml": DECLARED["teams/audit.yaml"]})
    accord("apply", "--yes")
    repository.commit(BOTH)
    assert guard(accord, code=UNSAFE)["verdict"] == "refuse"


def test_an_override_ends_with_the_account_that_it_is_about(accord: Accord, repository: ConfigRepository) -> None:
    repository.commit({**new_admin("bob"), "teams/audit.yaml": team("audit", members=["bob"])})
    both = (*OVERRIDE, "--override", "new-administrator", "--override-until", TOMORROW)
    accord("apply", "--yes", *both)
    repository.commit(
        {"users/bob.yaml": None, "teams/audit.yaml": team("audit"), "teams/admins.yaml": ADMINISTRATORS["teams/admins.yaml"]}
    )
    accord("apply", "--yes")
    repository.commit({**new_admin("bob"), "users/bob.yaml": user("bob", initialPassword="none")})
    assert guard(accord, "new-administrator", code=UNSAFE)["verdict"] == "refuse"


@pytest.mark.parametrize("heir", ["new", "renamed"])
def test_an_override_does_not_pass_to_the_next_person_with_the_login(
    accord: Accord, repository: ConfigRepository, heir: str
) -> None:
    repository.commit({**new_admin("bob"), "teams/audit.yaml": team("audit", members=["bob"])})
    both = (*OVERRIDE, "--override", "new-administrator", "--override-until", TOMORROW)
    accord("apply", "--yes", *both)
    leaves = {"teams/audit.yaml": team("audit"), "teams/admins.yaml": ADMINISTRATORS["teams/admins.yaml"]}
    other = user("bob", email="other@example.org", fullName="Another Bob", initialPassword="none")
    other["metadata"]["identity"] = "emp-2"
    if heir == "renamed":
        repository.commit({"users/alice.yaml": identified("alice", "emp-2")})
        accord("apply", "--yes")
        other = identified("bob", "emp-2", email="alice@example.org")
        leaves = {**leaves, "users/alice.yaml": None}
    repository.commit({**leaves, "users/bob.yaml": other})
    accord("apply", "--yes")
    repository.commit({**new_admin("bob"), "teams/audit.yaml": team("audit", members=["bob"])})
    for name in ("separation-of-duties", "new-administrator"):
        assert guard(accord, name, code=UNSAFE)["verdict"] == "refuse"


def identified(name: str, identity: str, **spec: object) -> dict[str, Any]:
    declared: dict[str, Any] = user(name, initialPassword="none", **spec)
    declared["metadata"]["identity"] = identity
    return declared


def test_an_override_does_not_pass_to_the_next_team_with_the_name(accord: Accord, repository: ConfigRepository) -> None:
    renamed = team("auditors", members=["bob"])
    renamed["metadata"]["previously"] = ["audit"]
    repository.commit({"teams/auditors.yaml": renamed, "teams/audit.yaml": team("audit", members=["root"])})
    accord("apply", "--yes", *OVERRIDE, "--override-until", TOMORROW)
    repository.commit({"teams/auditors.yaml": None, "teams/audit.yaml": DECLARED["teams/audit.yaml"]})
    assert "team `audit` ends: the name becomes that of `auditors`" in accord("apply", "--yes").output
    repository.commit(BOTH)
    assert guard(accord, code=UNSAFE)["verdict"] == "refuse"


def test_an_override_follows_a_rename(accord: Accord, repository: ConfigRepository) -> None:
    repository.commit(BOTH)
    accord("apply", "--yes", *OVERRIDE, "--override-until", TOMORROW)
    renamed = team("auditors", members=["bob"])
    renamed["metadata"]["previously"] = ["audit"]
    apart = {"guards": {**APART["guards"], "separationOfDuties": [[{"administrator": True}, "auditors"]]}}
    repository.commit({"teams/audit.yaml": renamed, "settings.yaml": resource("Settings", "default", apart)})
    accord("apply", "--yes")
    repository.commit({"teams/audit.yaml": {**renamed, "spec": {"members": ["bob", "root"]}}})
    assert guard(accord)["verdict"] == "overridden"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        *(
            (("--override", name, "--reason", "x", "--override-until", TOMORROW), "does not name people")
            for name in sorted(GUARDS.keys() - set(LASTING))
        ),
        ((*OVERRIDE, "--override-until", "2020-01-01"), "is in the past"),
        ((*OVERRIDE, "--override-until", "9999-01-01"), "days ahead"),
        ((*OVERRIDE, "--override-until", "soon"), "--override-until"),
        (("--override-until", TOMORROW), "needs --override"),
    ],
)
@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_an_end_that_makes_no_sense_is_refused(accord: Accord, options: tuple[str, ...], message: str) -> None:
    for command in (("apply", "--yes"), ("drift", "--repair", "--yes")):
        result = accord.run(*command, *options)
        assert result.exit_code in (1, 2)
        assert message in result.stderr


def test_an_administrator_made_by_hand_does_not_block_the_repair_that_takes_the_rights_away(
    accord: Accord, repository: ConfigRepository
) -> None:
    apart = {"guards": {**APART["guards"], "requireAdministratorIPs": True, "maxAdministrators": 1}}
    repository.commit({"settings.yaml": resource("Settings", "default", apart)})
    accord("apply", "--yes")
    by_hand(accord, "UPDATE teams SET administrator = true WHERE name = 'audit'")
    repository.commit({"users/alice.yaml": user("alice", fullName="Alice", initialPassword="none")})
    accord("drift", "--repair", "--yes")
    accord("apply", "--yes")


@pytest.fixture
def overridden(accord: Accord, repository: ConfigRepository) -> Accord:
    """Root has both duties, by an override that is remembered."""
    repository.commit(BOTH)
    accord("apply", "--yes", *OVERRIDE, "--override-until", TOMORROW)
    return accord


END = ("--end-override", "separation-of-duties", "--reason", "it was a mistake")


def end_entries(accord: Accord) -> list[dict[str, Any]]:
    return [each for each in accord.json("audit", "list") if each["action"] == "guard.override-ended"]


def test_an_override_can_be_ended_by_the_apply_of_the_revert_and_no_longer_covers_the_same_people(
    overridden: Accord, repository: ConfigRepository
) -> None:
    repository.commit({"teams/audit.yaml": DECLARED["teams/audit.yaml"]})
    about = "the override of separation-of-duties (administrator: true, Team audit, User root) until "
    assert f"note      ends {about}" in overridden("plan", *END[:2]).output
    assert f"ends {about}" in overridden("plan", "--format", "markdown", *END[:2]).output.replace("&#58;", ":")
    applied = overridden("apply", "--yes", *END).output
    assert f"ended {about}" in applied
    assert "1 updated" in applied
    (entry,) = end_entries(overridden)
    assert (entry["actor"], entry["name"]) == ("tester", "separation-of-duties")
    assert entry["detail"]["reason"] == "it was a mistake"
    assert entry["detail"]["until"] == TOMORROW
    assert {"kind": "User", "name": "root"} in entry["detail"]["about"]
    assert entry in overridden.json("show", repository.head())["entries"]
    overridden("audit", "verify")
    repository.commit(BOTH)
    assert guard(overridden, code=UNSAFE)["verdict"] == "refuse"


def test_an_override_can_be_ended_when_there_is_nothing_to_apply_and_what_it_let_pass_stands(
    overridden: Accord, repository: ConfigRepository
) -> None:
    history = overridden.json("history")
    assert [each["guard"] for each in overridden.json("plan", *END[:2])["endedOverrides"]] == ["separation-of-duties"]
    assert "Already applied" in overridden("apply", "--yes", *END).output
    (entry,) = end_entries(overridden)
    assert entry["detail"]["reason"] == "it was a mistake"
    overridden("audit", "verify")
    assert overridden.json("history") == history
    repository.commit({"users/alice.yaml": user("alice", fullName="Alice", initialPassword="none")})
    found = guard(overridden)
    assert found["verdict"] == "pass"
    assert found["standing"] == [{"message": "root is an administrator and in audit, which are kept apart", "override": None}]
    overridden("apply", "--yes")


def test_what_a_plan_makes_worse_is_refused_although_the_override_that_it_ends_covered_it(
    overridden: Accord, repository: ConfigRepository
) -> None:
    repository.commit({"teams/audit.yaml": DECLARED["teams/audit.yaml"]})
    reverted = repository.head()
    overridden("apply", "--yes")
    repository.commit(BOTH)
    assert guard(overridden)["verdict"] == "overridden"
    refused = overridden("apply", "--yes", *END, code=UNSAFE).stderr
    assert "root would be an administrator and in audit" in refused
    assert " --override separation-of-duties --end-override separation-of-duties --reason" in refused
    assert not end_entries(overridden)
    assert guard(overridden)["verdict"] == "overridden"
    overridden("apply", "--yes", "--rev", reverted, *END)
    assert guard(overridden, code=UNSAFE)["verdict"] == "refuse"


def test_ending_an_override_and_giving_it_anew_replaces_it(overridden: Accord, repository: ConfigRepository) -> None:
    repository.commit({"teams/audit.yaml": DECLARED["teams/audit.yaml"]})
    overridden("apply", "--yes")
    repository.commit(BOTH)
    anew = (*OVERRIDE[:2], *END[:2], "--reason", "only for today", "--override-until", TOMORROW)
    overridden("apply", "--yes", *anew)
    repository.commit({"teams/audit.yaml": DECLARED["teams/audit.yaml"]})
    overridden("apply", "--yes")
    repository.commit(BOTH)
    (standing,) = guard(overridden)["standing"]  # type: ignore[misc]
    assert standing["override"]["reason"] == "only for today"


def test_only_the_overrides_of_the_named_guard_end(accord: Accord, repository: ConfigRepository) -> None:
    gained = {**new_admin("bob"), "teams/audit.yaml": team("audit", members=["bob"])}
    repository.commit(gained)
    accord("apply", "--yes", *OVERRIDE, "--override", "new-administrator", "--override-until", TOMORROW)
    accord("apply", "--yes", *END)
    repository.commit({"teams/admins.yaml": ADMINISTRATORS["teams/admins.yaml"]})
    accord("apply", "--yes")
    repository.commit(gained)
    assert guard(accord, "new-administrator", code=UNSAFE)["verdict"] == "overridden"
    assert guard(accord, code=UNSAFE)["verdict"] == "refuse"


def test_a_guard_without_a_remembered_override_is_an_error_that_says_which_there_are(
    overridden: Accord, repository: ConfigRepository
) -> None:
    for command in (("plan",), ("apply", "--yes", "--reason", "x")):
        for name in ("administrators", "separation-of-dutys"):
            told = overridden(*command, *END[:2], "--end-override", name, code=ERROR).stderr
            assert told == f"accord: no override of `{name}` is remembered, only of separation-of-duties\n"
    assert "--end-override needs --reason" in overridden("apply", "--yes", *END[:2], code=ERROR).stderr
    assert "--end-override need a database" in overridden("plan", "--against", "main", *END[:2], code=ERROR).stderr
    assert not end_entries(overridden)
    overridden("apply", "--yes", *END)
    assert (
        "no override of `separation-of-duties` is remembered, nor of any other guard"
        in overridden("apply", "--yes", *END, code=ERROR).stderr
    )
    assert len(end_entries(overridden)) == 1


def test_there_is_no_override_to_end_in_a_database_without_tables(
    repository: ConfigRepository, database_url: str, tmp_path: Path
) -> None:
    repository.commit(DECLARED)
    accord = Accord(repository.path, database_url, tmp_path / "cache")
    assert "is remembered, nor of any other guard" in accord("apply", "--yes", *END, code=ERROR).stderr


def test_a_saved_plan_ends_the_overrides_that_it_says(overridden: Accord, repository: ConfigRepository, tmp_path: Path) -> None:
    repository.commit({"users/alice.yaml": user("alice", fullName="Alice", initialPassword="none")})
    ending, other = str(tmp_path / "ending.json"), str(tmp_path / "other.json")
    overridden("plan", "--out", ending, *END[:2])
    overridden("plan", "--out", other)
    for mismatch in ((ending,), (other, *END)):
        told = overridden("apply", "--yes", *mismatch, code=STALE).stderr
        assert "give --end-override to both or neither" in told
    assert not end_entries(overridden)
    overridden("apply", ending, "--yes", *END)
    assert len(end_entries(overridden)) == 1


def test_somebody_is_asked_before_an_override_ends(overridden: Accord, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    asked: list[str] = []
    monkeypatch.setattr("click.confirm", lambda text: bool(asked.append(text)))
    deployment = read_deployment({}, overridden.environment)
    assert _asked(deployment, Order(None, ending=("separation-of-duties",))) is None
    assert asked == ["Apply this?"]
