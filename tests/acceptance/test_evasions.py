"""What would get access past the review, or keep it: each is refused, or shown."""

from __future__ import annotations

import os
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from scenario import ADMINISTRATORS, Accord, ConfigRepository, by_hand, issuer, resource, team, user
from waiting import LONG

from reconciler.cli.exits import UNSAFE
from reconciler.run.applying import Order, apply_revision
from reconciler.run.deployment import read_deployment
from reconciler.store.errors import ChangedMeanwhile

PEOPLE = [f"p{number}" for number in range(20)]
DECLARED = {
    **ADMINISTRATORS,
    **{f"users/{name}.yaml": user(name, initialPassword="none") for name in ("alice", "mallory", *PEOPLE)},
    "issuers/tls.yaml": issuer("tls"),
    "teams/web.yaml": team("web", members=["alice"], issuers=["tls"]),
    "teams/all.yaml": team("all", members=PEOPLE, issuers=["tls"]),
}
SQLITE = pytest.mark.parametrize("database_kind", ["sqlite"])


@pytest.fixture
def accord(accord: Accord, repository: ConfigRepository) -> Accord:
    repository.commit(DECLARED)
    accord("apply", "--yes")
    return accord


def may(accord: Accord, name: str) -> bool:
    return bool(accord.json("access", "--user", name))


@SQLITE
def test_a_renamed_team_is_still_kept_apart(accord: Accord, repository: ConfigRepository) -> None:
    duties = {"guards": {"separationOfDuties": [["web", "admins"]]}}
    repository.commit({"settings.yaml": resource("Settings", "default", duties)})
    accord("apply", "--yes")
    renamed = team("web2", members=["alice"], issuers=["tls"])
    renamed["metadata"]["previously"] = ["web"]
    both = team("admins", administrator=True, members=["root", "alice"])
    repository.commit({
        "settings.yaml": None, "teams/web.yaml": None, "teams/web2.yaml": renamed, "teams/admins.yaml": both,
    })  # fmt: skip
    shown = accord("plan", code=UNSAFE).output
    assert "alice would be in admins and in web2" in shown or "alice would be in web2 and in admins" in shown


@SQLITE
@pytest.mark.parametrize(
    "change",
    [
        {"teams/all.yaml": team("all", members=PEOPLE[:10], issuers=["tls"])},
        {"teams/all.yaml": team("all", members=[{"user": name, "until": "2020-01-01"} for name in PEOPLE], issuers=["tls"])},
        {"teams/all.yaml": None},
        {f"users/{name}.yaml": user(name, initialPassword="none", enabled=False) for name in PEOPLE},
        {"issuers/tls.yaml": issuer("tls", enabled=False)},
    ],
    ids=["taken off", "ended", "team deleted", "people switched off", "only issuer switched off"],
)
def test_many_cannot_lose_their_access_unnoticed_by_a_guard(
    accord: Accord, repository: ConfigRepository, change: dict[str, object]
) -> None:
    repository.commit(change)  # type: ignore[arg-type]
    accord("plan", code=UNSAFE)


def test_an_adopted_row_is_deleted_when_git_removes_it(accord: Accord, repository: ConfigRepository) -> None:
    by_hand(
        accord,
        "INSERT INTO teams (name) VALUES ('side')",
        "INSERT INTO permissions (team_id, issuer_id) SELECT teams.id, issuers.id FROM teams, issuers WHERE teams.name = 'side'",
        "INSERT INTO memberships (team_id, user_id) SELECT teams.id, users.id FROM teams, users "
        "WHERE teams.name = 'side' AND users.name = 'mallory'",
    )
    side = team("side", members=["mallory"], issuers=["tls"])
    repository.commit({"teams/side.yaml": side})
    document = accord.json("plan")
    assert (document["changes"], document["foreign"]) == ([], [])
    accord("apply", "--yes")
    assert may(accord, "mallory")
    repository.commit({"teams/side.yaml": None})
    assert [item["user"] for item in accord.json("plan")["access"]["lost"]] == ["mallory"]
    accord("apply", "--yes")
    assert not may(accord, "mallory")


def test_a_declared_row_made_to_look_undeclared_is_still_deleted(accord: Accord, repository: ConfigRepository) -> None:
    by_hand(accord, "UPDATE teams SET file = NULL WHERE name = 'web'")
    repository.commit({"README.md": "nothing else"})
    accord("apply", "--yes")
    repository.commit({"teams/web.yaml": None})
    accord("apply", "--yes")
    assert not may(accord, "alice")


def test_a_directory_membership_gives_a_declared_user_nothing(accord: Accord) -> None:
    by_hand(
        accord,
        "INSERT INTO directory_memberships (team_id, user_id) SELECT teams.id, users.id FROM teams, users "
        "WHERE teams.name = 'web' AND users.name = 'mallory'",
    )
    assert not may(accord, "mallory")


@pytest.mark.postgresql
def test_what_somebody_writes_while_a_plan_is_made_does_not_count_as_applied(
    postgresql_url: str, repository: ConfigRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg

    from reconciler.run import applying

    program = Accord(repository.path, postgresql_url, tmp_path / "cache")
    repository.commit({**DECLARED, "users/mallory.yaml": user("mallory", enabled=False)})
    program("apply", "--yes")
    repository.commit({"users/alice.yaml": user("alice", fullName="Alice Jones", initialPassword="none")})
    planned = applying.plan_against

    def meanwhile(*arguments: object, **options: object) -> object:
        plan = planned(*arguments, **options)  # type: ignore[arg-type]
        with psycopg.connect(postgresql_url, autocommit=True) as other:
            other.execute("UPDATE users SET disabled_by_git = false WHERE name = 'mallory'")
        return plan

    monkeypatch.setattr(applying, "plan_against", meanwhile)
    deployment = read_deployment({}, program.environment)
    with pytest.raises(ChangedMeanwhile):
        apply_revision(deployment, Order(None), applied_by="test", clock=lambda: datetime.now(UTC))
    monkeypatch.undo()
    assert [item["name"] for item in program.json("drift", code=2)["differences"]] == ["mallory"]


@SQLITE
def test_an_explanation_names_authors_only_of_what_git_declares(accord: Accord) -> None:
    by_hand(
        accord,
        "INSERT INTO memberships (team_id, user_id) SELECT teams.id, users.id FROM teams, users "
        "WHERE teams.name = 'web' AND users.name = 'mallory'",
    )
    way = accord.json("explain", "mallory", "tls")["ways"][0]["links"][0]
    assert (way["what"], way["declared"]) == ("membership", None)
    assert "no known line of the applied revision declares this" in accord("explain", "mallory", "tls").output


@SQLITE
def test_a_resource_deleted_by_hand_comes_back_with_its_earlier_names(accord: Accord, repository: ConfigRepository) -> None:
    renamed = user("alicia", initialPassword="none")
    renamed["metadata"]["previously"] = ["alice"]
    web = team("web", members=["alicia"], issuers=["tls"])
    repository.commit({"users/alice.yaml": None, "users/alicia.yaml": renamed, "teams/web.yaml": web})
    accord("apply", "--yes")
    by_hand(accord, "DELETE FROM users WHERE name = 'alicia'")
    accord("drift", "--repair", "--yes")
    assert may(accord, "alicia")


@SQLITE
def test_an_earlier_name_does_not_lead_to_a_row_that_git_never_declared(accord: Accord, repository: ConfigRepository) -> None:
    by_hand(accord, "INSERT INTO users (name, email) VALUES ('alicia', 'x@example.org')")
    renamed = user("alicia", initialPassword="none")
    renamed["metadata"]["previously"] = ["alice"]
    web = team("web", members=["alicia"], issuers=["tls"])
    repository.commit({"users/alice.yaml": None, "users/alicia.yaml": renamed, "teams/web.yaml": web})
    assert "is declared as the new name of `alice`" in accord("plan", "--adopt", code=3).stderr


@SQLITE
def test_a_plan_is_written_into_a_pipe_or_through_a_link_and_replaces_neither(accord: Accord, tmp_path: Path) -> None:
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    accord("plan", "--out", str(pipe))
    reader.join(LONG)
    assert pipe.is_fifo()
    assert read[0].startswith(b"{")
    link.symlink_to(tmp_path / "target")
    accord("plan", "--out", str(link))
    assert link.is_symlink()
    assert (tmp_path / "target").read_bytes() == read[0]


@SQLITE
def test_an_empty_revision_is_an_error_and_not_the_branch(accord: Accord) -> None:
    assert "is not a revision" in accord("plan", "--rev", "", code=1).stderr
    assert "is not a revision" in accord("apply", "--rev", "", "--yes", code=1).stderr


def test_removing_an_ad_group_removes_whoever_is_not_known_to_come_through_another(
    accord: Accord, repository: ConfigRepository
) -> None:
    def corp(*groups: str) -> None:
        repository.commit({"teams/corp.yaml": team("corp", issuers=["tls"], adGroups=groups, permittedIPs=["10.0.0.0/8"])})

    corp("PKI-Web", "PKI-Net")
    accord("apply", "--yes")
    came = {"dora": "NULL", "nina": "'PKI-Net'", "wanda": "'PKI-Web'"}
    for name, group in came.items():
        by_hand(
            accord,
            f"INSERT INTO users (name, email, source) VALUES ('{name}', '{name}@corp.example.org', 'directory')",
            "INSERT INTO directory_memberships (team_id, user_id, ad_group) "
            f"SELECT teams.id, users.id, {group} FROM teams, users WHERE teams.name = 'corp' AND users.name = '{name}'",
        )
    assert all(may(accord, name) for name in came)
    corp("pki-net", "PKI-Web")  # case tells no groups apart
    assert accord.json("plan")["access"]["lost"] == []
    accord("apply", "--yes")
    assert all(may(accord, name) for name in came)
    corp("pki-net")
    assert [item["user"] for item in accord.json("plan")["access"]["lost"]] == ["dora", "wanda"]
    accord("apply", "--yes")
    assert [name for name in came if may(accord, name)] == ["nina"]
