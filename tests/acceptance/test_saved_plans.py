"""A plan is saved, reviewed and applied as it was reviewed; one that is stale, edited or another's is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from desk import Desk
from scenario import by_hand, everything

from reconciler.cli.exits import ERROR, INVALID, STALE


def test_a_plan_is_saved_reviewed_and_applied_as_it_was_reviewed(begun: Desk, tmp_path: Path) -> None:
    accord, file = begun.accord, tmp_path / "plan.json"
    begun.write("issuers/vpn.yaml", "apiVersion: accord/v1\nkind: Issuer\nmetadata: {name: vpn}\nspec: {}\n")
    begun.commit("A new issuer")

    shown = accord.json("plan", "--out", str(file))
    assert json.loads(file.read_text()) == shown
    assert accord("apply", str(file), "--yes").output.splitlines()[-1].startswith("Applied ")
    before = everything(accord)
    assert "another revision has been applied since" in accord("apply", str(file), "--yes", code=STALE).stderr
    assert everything(accord) == before


def test_a_plan_of_a_revision_that_was_overtaken_is_stale_not_a_rewind(begun: Desk, tmp_path: Path) -> None:
    accord, file = begun.accord, tmp_path / "plan.json"
    begun.write("issuers/vpn.yaml", "apiVersion: accord/v1\nkind: Issuer\nmetadata: {name: vpn}\nspec: {}\n")
    begun.commit("A new issuer")
    accord("plan", "--out", str(file))
    begun.write("issuers/code.yaml", "apiVersion: accord/v1\nkind: Issuer\nmetadata: {name: code}\nspec: {}\n")
    begun.commit("Another")
    accord("apply", "--yes")
    assert "another revision has been applied since" in accord("apply", str(file), "--yes", code=STALE).stderr


def test_a_plan_that_is_stale_is_refused(begun: Desk, tmp_path: Path) -> None:
    accord, file = begun.accord, tmp_path / "plan.json"
    begun.write("issuers/vpn.yaml", "apiVersion: accord/v1\nkind: Issuer\nmetadata: {name: vpn}\nspec: {}\n")
    begun.commit("A new issuer")
    accord("plan", "--out", str(file))
    by_hand(accord, "UPDATE state SET generation = generation + 1")  # a directory account logged in
    assert "the database has changed since" in accord("apply", str(file), "--yes", code=STALE).stderr
    accord("plan", "--out", str(file))
    by_hand(accord, "UPDATE issuers SET description = 'by hand'")
    assert "they differ in: digest, changes" in accord("apply", str(file), "--yes", code=STALE).stderr
    assert accord.json("history")[0]["commit"] != begun.git("rev-parse", "HEAD").strip()


@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize(
    "edit",
    [
        {"changes": []},
        {"digest": "sha256:" + "0" * 64},
        {"access": {"gained": [], "lost": [{"user": "alice", "issuer": "vpn", "through": [], "until": None}], "changed": []}},
        {"guards": []},
        {"effects": {"mails": 0, "sessionsEnded": 0, "tokensEnded": 1}},
        {"warnings": []},
        {"more": 1},
        {"applied": None},
        {"applied": "x"},
        {"applied": {}},
        {"generation": "1"},
        {"adopt": True},
        {"adopt": "yes"},
        {"path": "teams"},
        {"moves": None},
    ],
    ids=str,
)
def test_a_plan_file_that_was_edited_is_refused(begun: Desk, tmp_path: Path, edit: dict[str, Any]) -> None:
    accord, file = begun.accord, tmp_path / "plan.json"
    begun.write("issuers/vpn.yaml", "apiVersion: accord/v1\nkind: Issuer\nmetadata: {name: vpn}\nspec: {}\n")
    begun.commit("A new issuer")
    accord("plan", "--out", str(file))
    before = everything(accord)
    file.write_text(json.dumps({**json.loads(file.read_text()), **edit}))
    result = accord.run("apply", str(file), "--yes")
    assert result.exit_code in (STALE, INVALID), result.output + result.stderr
    assert "Traceback" not in result.stderr
    assert "internal error" not in result.stderr
    assert everything(accord) == before


@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize(
    "content",
    [
        *("", "{", "[]", "null", "{}", '"plan"', "\udcff"),
        '{"digest": 1}',
        '{"digest": "x", "revision": {}}',
        '{"digest": "x", "revision": {"commit": 1}}',
    ],
)
def test_a_file_that_is_not_a_plan_is_refused(begun: Desk, tmp_path: Path, content: str) -> None:
    file = tmp_path / "plan.json"
    file.write_bytes(content.encode("utf-8", "surrogateescape"))
    assert "is not a saved plan" in begun.accord("apply", str(file), "--yes", code=ERROR).stderr


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_saved_plan_of_another_branch_is_applied_only_where_it_is_named(begun: Desk, tmp_path: Path) -> None:
    """Whoever can swap the file must not be able to choose what is applied."""
    accord, file = begun.accord, tmp_path / "plan.json"
    begun.git("checkout", "-q", "-b", "unmerged")
    begun.write("issuers/vpn.yaml", "apiVersion: accord/v1\nkind: Issuer\nmetadata: {name: vpn}\nspec: {}\n")
    begun.commit("Not reviewed")
    accord("plan", "--rev", "unmerged", "--out", str(file))
    before = everything(accord)
    assert "which is not on branch `main`" in accord("apply", str(file), "--yes", code=STALE).stderr
    assert "which is not revision `main`" in accord("apply", str(file), "--yes", "--rev", "main", code=STALE).stderr
    assert everything(accord) == before
    accord("apply", str(file), "--yes", "--rev", "unmerged")


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_tag_named_like_the_branch_is_not_the_branch(begun: Desk) -> None:
    begun.git("checkout", "-q", "-b", "unmerged")
    begun.write("issuers/vpn.yaml", "apiVersion: accord/v1\nkind: Issuer\nmetadata: {name: vpn}\nspec: {}\n")
    begun.commit("Not reviewed")
    begun.git("tag", "main")
    begun.git("checkout", "-q", "--detach")
    assert begun.accord.json("plan")["revision"]["commit"] == begun.git("rev-parse", "refs/heads/main").strip()
    begun.git("branch", "-q", "-D", "main")
    assert "there is no branch `main`" in begun.accord("plan", code=ERROR).stderr


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_only_what_was_shown_is_agreed_to_even_if_it_was_nothing(begun: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    from reconciler.cli.apply import _asked
    from reconciler.run.applying import Order
    from reconciler.run.deployment import read_deployment

    begun.accord("apply", "--yes")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    agreed = _asked(read_deployment({}, begun.accord.environment), Order(None))
    assert agreed is not None
    assert agreed.rev == begun.git("rev-parse", "main").strip()
    assert agreed.expected is not None


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_saved_plan_says_itself_what_it_is_for(begun: Desk, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    begun.accord("plan", "--out", str(file))
    adopting = begun.accord("apply", str(file), "--yes", "--adopt", code=STALE)
    assert "give --adopt to both or neither" in adopting.stderr
    assert "nowhere.json' does not exist" in begun.accord("apply", str(tmp_path / "nowhere.json"), "--yes", code=ERROR).stderr
    missing = begun.accord("plan", "--out", str(tmp_path / "nowhere" / "plan.json"), code=ERROR)
    assert missing.stderr == f"accord: the plan cannot be saved: there is no folder `{tmp_path}/nowhere`\n"
    assert not list(tmp_path.glob(".plan*"))


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_plan_is_applied_only_with_the_digest_that_was_agreed_to(begun: Desk) -> None:
    accord = begun.accord
    begun.write("issuers/vpn.yaml", "apiVersion: accord/v1\nkind: Issuer\nmetadata: {name: vpn}\nspec: {}\n")
    begun.commit("A new issuer")
    digest = accord.json("plan")["digest"]
    assert f"not sha256:{'0' * 64}" in accord("apply", "--yes", "--digest", f"sha256:{'0' * 64}", code=STALE).stderr
    assert "Applied" in accord("apply", "--yes", "--digest", digest).output
