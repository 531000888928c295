"""Who is no administrator proposes changes in the console: for their own teams, and sees nothing of others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from organisation import Applied
from petitioners import NEW, WEB, Desk, desk_at
from scenario import user

from api.console import proposal_forms

SECRET = """---
{apiVersion: accord/v1, kind: Team, metadata: {name: secret},
 spec: {description: Hush, members: [bob], issuers: [vpn]}}
"""


@pytest.fixture
def desk(applied_on_sqlite: Applied, tmp_path: Path) -> Iterator[Desk]:
    with desk_at(applied_on_sqlite, tmp_path) as found:
        yield found


def test_a_person_proposes_for_their_teams_alone(desk: Desk) -> None:
    alice = desk["alice"]
    assert "Add a user" not in alice.see("/proposals/new").text
    preview = alice.preview("/proposals/new?act=add-member&team=web", user="nobody", until="2099-12-31")
    assert "members added: nobody until 2099-12-31" in preview.text and "Alice Jones <alice@example.org>" in preview.text
    page = alice.press(preview.form("propose"), "propose")
    (branch,) = desk.branches()
    assert "Proposed" in page.text and f"/proposals/{branch}" in alice.see("/proposals").links
    assert desk.git("log", "-1", "--format=%an <%ae>", branch).strip() == "Alice Jones <alice@example.org>"
    form = alice.see("/proposals/new?act=add-member&team=web").form("preview")
    for values in ({"team": "office"}, {"team": "admins"}, {"team": "nonesuch"}):
        assert alice.answer(form, "preview", user="nobody", **values).status_code == 404
        assert alice.answer(form, "propose", user="nobody", base="0" * 40, expect="0" * 40, **values).status_code == 404
    for path in (
        "/proposals/new?act=add-member&team=office",
        "/proposals/new?act=disable&name=bob",
        "/proposals/new?act=nonsense",
    ):
        alice.see(path, 404)
    for path in ("/users/new", "/users/bob/edit", "/users/bob/remove"):
        alice.see(path, 403)
        assert alice.send("POST", path, form.fields).status_code == 403


def test_a_person_has_a_number_of_open_proposals_at_most(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proposal_forms, "MOST_OPEN", 1)
    alice = desk["alice"]
    second = alice.preview("/proposals/new?act=remove-member&team=web", user="bob").form("propose")
    alice.propose("/proposals/new?act=grant&team=web", issuer="old")
    page = alice.press(second, "propose", 409)
    assert "You have too many open proposals" in page.text and "/proposals" in page.links
    assert "too many" in alice.preview("/proposals/new?act=add-member&team=web", 409, user="nobody").text
    (branch,) = desk.branches()
    desk["root"].propose("/users/new", **NEW)  # no limit for administrators, nor do others' count
    desk["root"].propose("/proposals/new?act=disable", name="bob")
    (form,) = [each for each in alice.see(f"/proposals/{branch}?confirm=withdraw").forms if each.action.endswith(branch)]
    assert alice.send("POST", form.action, form.fields).status_code == 303
    assert "Proposed" in alice.press(second, "propose").text


def test_a_person_sees_only_their_own_proposals(desk: Desk) -> None:
    desk["root"].propose("/users/new", **NEW)
    (branch,) = desk.branches()
    alice = desk["alice"]
    assert "You have proposed nothing yet" in alice.see("/proposals").text
    none, foreign = alice.see("/proposals/accord/none-123456", 404), alice.see(f"/proposals/{branch}", 404)
    assert none.text.partition("Request")[0] == foreign.text.partition("Request")[0]
    assert alice.send("GET", f"/proposals/{branch}?as=patch").status_code == 404
    csrf = [pair for pair in alice.see("/proposals/new?act=grant").form("preview").fields if pair[0] == "csrf"]
    assert alice.send("POST", f"/proposals/{branch}", csrf).status_code == 404
    assert desk.branches() == [branch]
    form = alice.preview("/proposals/new?act=grant&team=web", issuer="old").form("propose")
    kept = [pair for pair in form.fields if pair[0] != "expect"]
    answer = alice.send("POST", form.action, [*kept, ("expect", desk.git("rev-parse", branch).strip()), ("step", "propose")])
    assert answer.status_code == 409 and branch not in answer.text + str(answer.headers)
    assert desk.branches() == [branch]


@pytest.mark.parametrize("when", ["before the form is sent", "while it is deleted"])
def test_a_proposal_that_is_not_the_one_that_was_seen_is_not_withdrawn(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    root = desk["root"]
    for path, values in (("/users/new", NEW), ("/proposals/new?act=disable", {"name": "bob"})):
        root.propose(path, **values)
    branch, other = desk.branches()
    (form,) = [each for each in root.see(f"/proposals/{branch}?confirm=withdraw").forms if each.action.endswith(branch)]
    show = desk.proposing.show

    def shown_before_it_moves(name: str) -> Any:
        found = show(name)
        desk.git("update-ref", f"refs/heads/{branch}", other)
        return found

    if when == "while it is deleted":
        monkeypatch.setattr(desk.proposing, "show", shown_before_it_moves)
    else:
        desk.git("update-ref", f"refs/heads/{branch}", other)
    answer = root.send("POST", form.action, form.fields)
    assert answer.status_code == 409 and "changed meanwhile" in answer.text and desk.branches() == [branch, other]


def test_who_proposed_and_who_withdrew_is_in_the_audit_log(desk: Desk) -> None:
    desk["alice"].propose("/proposals/new?act=grant&team=web", issuer="old")
    (branch,) = desk.branches()
    commit, root = desk.git("rev-parse", branch).strip(), desk["root"]
    (form,) = [each for each in root.see(f"/proposals/{branch}?confirm=withdraw").forms if each.action.endswith(branch)]
    assert root.send("POST", form.action, form.fields).status_code == 303
    entries = desk.world.service.reader.rows("SELECT actor, action, detail FROM audit WHERE action LIKE 'proposal.%' ORDER BY id")
    assert [(actor, action) for actor, action, _ in entries] == [("alice", "proposal.create"), ("root", "proposal.withdraw")]
    for _, _, detail in entries:
        told = json.loads(detail)
        assert (told["branch"], told["commit"], told["author"]) == (branch, commit, "Alice Jones <alice@example.org>")
    assert "proposal.withdraw" in root.send("GET", "/audit?search=&actor=root").text


def test_accounts_with_one_name_and_address_do_not_see_each_others_proposals(desk: Desk) -> None:
    page = desk["alice"].propose("/proposals/new?act=grant&team=web", issuer="old")
    (branch,) = desk.branches()
    assert "Proposed" in page.text
    account = "'mallory', 'alice@example.org', 'Alice Jones', 'directory'"
    desk.world.execute(f"INSERT INTO users (name, email, full_name, source) VALUES ({account})")
    desk.world.execute("UPDATE state SET generation = generation + 1")
    desk.world.restart()
    again = Desk(desk.world, desk.proposing._environment)
    assert "You have proposed nothing yet" in again["mallory"].see("/proposals").text
    again["mallory"].see(f"/proposals/{branch}", 404)


def test_a_person_is_shown_nothing_of_other_teams(desk: Desk) -> None:
    desk.world.apply({"teams/web.yaml": WEB + SECRET, "users/pending.yaml": user("pending")})
    desk.world.repository.commit({"users/unapplied.yaml": user("unapplied")}, "Hush: unapplied")
    alice, root = desk["alice"], desk["root"]
    path = "/proposals/new?act=remove-member&team=web"
    hers, all_ = alice.preview(path, user="bob"), root.preview(path, user="bob")
    assert "Hush" in all_.text and "secret" in all_.text
    for hidden in ("Hush", "secret", "unapplied", "office", "10.20"):
        assert hidden not in hers.text, hidden
    assert "members removed: bob" in hers.text and "Only the changed lines are shown" in hers.text and not hers.has_step("patch")
    answer = alice.answer(hers.form("propose"), "patch")
    assert answer.status_code == 404 and "Hush" not in answer.text
    made = alice.press(hers.form("propose"), "propose")
    assert "Hush" not in made.text and "secret" not in made.text and "?as=patch" not in made.html


def test_a_proposal_in_a_persons_name_that_touches_more_is_not_shown(desk: Desk, tmp_path: Path) -> None:
    desk.world.accord("propose", "add-user", "spy", "--email", "spy@example.org", "--author", "Alice Jones <alice@example.org>")
    (branch,) = desk.branches()
    page = desk["alice"].see(f"/proposals/{branch}")
    assert (
        "more than the teams you are in" in page.text and "spy@example.org" not in page.text and "users/spy.yaml" not in page.text
    )


def test_a_persons_proposal_that_is_valid_no_more_is_not_said_to_concern_others(desk: Desk) -> None:
    alice = desk["alice"]
    alice.propose("/proposals/new?act=grant&team=web", issuer="old")
    (branch,) = desk.branches()
    desk.world.repository.commit({"issuers/old.yaml": None})
    hers, all_ = alice.see(f"/proposals/{branch}"), desk["root"].see(f"/proposals/{branch}")
    assert "more than the teams" not in hers.text and "Diff" not in hers.text
    assert "cannot be checked against the branch main as that is now" in hers.text and "An administrator sees why" in hers.text
    assert "unknown issuer `old` teams/web.yaml" in all_.text
    assert "An administrator sees why" not in all_.text
    for page in (hers, all_):
        assert "it would be refused. Propose the change again" in page.text and "Reviewers see the same plan" not in page.text


def test_a_persons_wrong_names_do_not_tell_others(desk: Desk) -> None:
    page = desk["alice"].preview("/proposals/new?act=add-member&team=web", 422, user="nobodi")
    assert "no such name" in page.text and "did you mean" not in page.text


def test_an_account_of_a_directory_proposes_under_its_name_there(desk: Desk) -> None:
    account = "'dora', 'dora@corp.example', 'Dora <Explorer>\n', 'directory'"
    desk.world.execute(f"INSERT INTO users (name, email, full_name, source) VALUES ({account})")
    link = "SELECT t.id, u.id, 'PKI-Web' FROM teams t, users u WHERE t.name = 'web' AND u.name = 'dora'"
    desk.world.execute(f"INSERT INTO directory_memberships (team_id, user_id, ad_group) {link}")
    desk.world.execute("UPDATE state SET generation = generation + 1")
    desk.world.restart()
    again = Desk(desk.world, desk.proposing._environment)
    page = again["dora"].propose("/proposals/new?act=grant&team=web", issuer="old")
    assert "Proposed" in page.text
    assert again.git("log", "-1", "--format=%an <%ae>", again.branches()[0]).strip() == "Dora Explorer <dora@corp.example>"
    assert again["root"].send("GET", "/users/dora/edit").status_code == 404
    assert again["root"].send("GET", "/users/dora/remove").status_code == 404
