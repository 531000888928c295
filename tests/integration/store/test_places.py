"""Where facts stand is written at apply. Lines are no facts: nothing changes by them."""

from __future__ import annotations

import json

from declared_states import NOW, SMALL, bring, held, plan_for, query

from reconciler.access.resources import Origin, Permission
from reconciler.plan.changes import Desired
from reconciler.plan.make import make_plan
from reconciler.plan.plan import AccessDiff, AdministratorDiff
from reconciler.store.digests import drifted
from reconciler.store.engine import Database
from reconciler.store.revision_access import MOST, access_document


def stands(database: Database, table: str, name: str) -> tuple[object, ...]:
    columns = "file, line" + (", item_lines" if table == "teams" else "")
    return tuple(query(database, f"SELECT {columns} FROM {table} WHERE name = :name", name=name)[0])


def test_lines_alone_change_nothing_but_lines(database: Database) -> None:
    bring(database, SMALL)
    assert stands(database, "users", "alice") == ("User/alice.yaml", 1)
    assert stands(database, "teams", "web") == ("Team/web.yaml", 1, None)
    items = json.dumps({"members": {"alice": 9}})
    origins = {("Team", "web"): Origin("Team/web.yaml", 4, items), ("User", "alice"): Origin("User/alice.yaml", 7)}
    plan = make_plan(held(database), Desired(SMALL, origins), revision=plan_for(held(database), SMALL).revision, now=NOW)
    assert plan.is_empty
    assert not plan.moves
    assert dict(plan.shifts) == origins
    before = held(database).generation
    apply(database, plan)
    assert held(database).generation == before
    assert stands(database, "teams", "web") == ("Team/web.yaml", 4, items)
    assert stands(database, "users", "alice") == ("User/alice.yaml", 7)
    assert stands(database, "users", "bob") == ("User/bob.yaml", 1)
    with database.reading() as connection:
        assert drifted(connection) == []


def apply(database: Database, plan: object) -> None:
    from reconciler.store.apply import apply_plan

    revision = plan.revision._replace(commit="beef")  # type: ignore[attr-defined]
    with database.writing() as connection:
        apply_plan(
            connection,
            plan._replace(revision=revision),  # type: ignore[attr-defined]
            repository="r",
            branch="main",
            applied_by="t",
            overrides=(),
            now=NOW,
        )


def test_a_revision_keeps_the_access_that_it_changed(database: Database) -> None:
    bring(database, SMALL)
    ((first,),) = query(database, "SELECT detail FROM revision_access")
    assert {(each["user"], each["issuer"]) for each in json.loads(first)["gained"]} == {
        ("alice", "tls-internal"),
        ("bob", "tls-internal"),
    }
    assert json.loads(first)["administratorsGained"] == ["root"]
    assert json.loads(first)["cut"] == {}
    web = SMALL.teams["web"]._replace(permissions=(Permission("tls-public"),))
    bring(database, SMALL._replace(teams={**SMALL.teams, "web": web}), "beef")
    ((second,),) = query(database, "SELECT detail FROM revision_access WHERE revision_id = 2")
    assert [each["user"] for each in json.loads(second)["lost"]] == ["alice", "bob"]


def test_what_is_cut_is_counted(database: Database) -> None:
    plan = plan_for(held(database), SMALL)
    gained = plan.access.gained[:1] * (MOST + 3)
    document = access_document(plan._replace(access=plan.access._replace(gained=gained)))
    assert document is not None
    assert (len(document["gained"]), document["cut"]) == (MOST, {"gained": 3})
    nothing = plan._replace(access=AccessDiff(), administrators=AdministratorDiff(), groups=())
    assert access_document(nothing) is None
