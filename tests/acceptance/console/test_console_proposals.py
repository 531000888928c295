"""Changes are proposed in the console: what a preview shows is what is pushed, and only what one may see is shown."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from organisation import Applied
from petitioners import NEW, ORIGIN, WEB, Desk, commit_in, desk_at
from scenario import Clone, team, user

from api.console.proposing import Proposing


@pytest.fixture
def desk(applied_on_sqlite: Applied, tmp_path: Path) -> Iterator[Desk]:
    with desk_at(applied_on_sqlite, tmp_path) as found:
        yield found


def test_a_user_is_added_from_the_form_to_the_page_of_the_proposal(desk: Desk) -> None:
    root = desk["root"]
    preview = root.preview("/users/new", **NEW)
    assert desk.branches() == []
    for words in (
        "Add the user cleo to the team web",
        "A generated password is mailed",
        "e-mail address: cleo@example.org",
        "members added: cleo",
        "Gains access",
        "cleo tls web no end",
        "teams/web.yaml",
        "users/cleo.yaml",
        "asks for nobody",
        "accord propose add-user",
        "root <root@example.org>",
    ):
        assert words in preview.text, words
    page = root.press(preview.form("propose"), "propose")
    (branch,) = desk.branches()
    assert desk.git("rev-parse", branch).strip() == commit_in(preview)
    assert desk.git("log", "-1", "--format=%an <%ae>%n%B", branch).startswith(
        "root <root@example.org>\nAdd the user cleo to the team web\n\nShe joins"
    )
    assert "Proposed: the branch is in the repository" in page.text and branch in page.text and "open" in page.text
    listed = root.see("/proposals")
    assert f"/proposals/{branch}" in listed.links and "main was last read at" in listed.text
    again = root.press(preview.form("propose"), "propose")  # the same form, sent twice
    assert "proposed already" in again.text and desk.branches() == [branch]


def test_what_is_merged_is_what_was_shown(desk: Desk) -> None:
    root = desk["root"]
    root.propose("/users/new", **NEW)
    (branch,) = desk.branches()
    desk.git("update-ref", "refs/heads/main", branch)
    desk.world.accord("apply", "--yes")
    assert "merged" in root.see(f"/proposals/{branch}").text
    declared = root.preview("/proposals/new?act=add-member&team=web", user="cleo")
    assert "This is declared already" in declared.text and "It is applied, too" in declared.text


@pytest.mark.parametrize(
    ("path", "values", "words"),
    [
        (
            "/proposals/new?act=add-member&team=office&user=alice",
            {"until": "2099-12-31", "reason": "cover"},
            "alice until 2099-12-31",
        ),
        ("/proposals/new?act=remove-member&team=web&user=bob", {}, "Loses access User Issuer Through Until bob vpn web"),
        ("/proposals/new?act=remove-member&team=web&user=bob", {}, "members removed: bob"),
        ("/proposals/new?act=grant&team=office&issuer=vpn", {"until": "2099-12-31"}, "vpn until 2099-12-31"),
        ("/proposals/new?act=revoke&team=web&issuer=vpn", {}, "issuers removed: vpn"),
        ("/proposals/new?act=set-end&team=web&issuer=vpn", {"until": "2099-12-31"}, "issuers: vpn → vpn until 2099-12-31"),
        (
            "/proposals/new?act=set-end&team=web&user=bob",
            {"until": "2099-12-31", "reason": "leaves"},
            "bob → bob until 2099-12-31",
        ),
        ("/proposals/new?act=disable&name=bob", {"why": "on leave"}, "enabled: yes → no"),
        ("/users/bob/remove", {}, "is removed"),
        ("/users/bob/edit", {"email": "bob@example.com"}, "e-mail address: bob@example.org → bob@example.com"),
        ("/users/bob/edit", {"team": ["office"]}, "members removed: bob"),
        ("/users/bob/edit", {"enabled": "no"}, "enabled: yes → no"),
    ],
)
def test_every_form_is_previewed_and_proposed(desk: Desk, path: str, values: dict[str, Any], words: str) -> None:
    root = desk["root"]
    preview = root.preview(path, **values)
    assert words in preview.text, preview.text
    root.press(preview.form("propose"), "propose")
    (branch,) = desk.branches()
    assert desk.git("rev-parse", branch).strip() == commit_in(preview)


def test_an_edit_proposes_only_what_was_changed_and_says_what_becomes_of_the_password(desk: Desk) -> None:
    root = desk["root"]
    form = root.see("/users/bob/edit").form("preview")
    nothing = root.press(form, "preview", 422)
    assert "Nothing is changed yet" in nothing.text
    desk.world.repository.commit({"users/bob.yaml": user("bob", email="new@example.org")}, "Meanwhile")  # not applied
    preview = root.press(form, "preview", fullName="Bob Smith")
    assert "The password stays as it is" in preview.text and "full name: none → Bob Smith" in preview.text
    assert "1 other change is merged" in preview.text or "User bob" in preview.text
    change = [*form.fields, ("change", "2026-11-30T09:00:00Z")]
    asked = root.press(form._replace(fields=change), "preview", fullName="Bob Smith")
    assert "password change required after: none → 2026-11-30T09:00:00Z" in asked.text
    assert "The password must be changed at the next login" in asked.text
    root.press(asked.form("propose"), "propose")
    changed = desk.git("show", f"{desk.branches()[0]}:users/bob.yaml")
    assert "new@example.org" in changed and "Bob Smith" in changed


def test_the_form_keeps_what_was_typed_when_it_must_be_corrected(desk: Desk) -> None:
    root = desk["root"]
    for values, words in (
        ({**NEW, "name": "Bad Name"}, "lower-case"),
        ({**NEW, "email": "no address"}, "email"),
        ({**NEW, "name": "bob"}, "name is taken"),
        ({**NEW, "email": ""}, "e-mail address"),
        ({**NEW, "team": ["nonesuch"]}, "`nonesuch`"),
    ):
        page = root.preview("/users/new", 422, **values)
        assert words in page.text, (values, page.text)
        assert ("fullName", "Cleo Zöe") in page.form("preview").fields and ("why", NEW["why"]) in page.form("preview").fields
    back = root.press(root.preview("/users/new", **NEW).form("edit"), "edit")
    assert ("name", "cleo") in back.form("preview").fields and ("team", "web") in back.form("preview").fields
    assert desk.branches() == []


def test_a_base_that_moved_without_any_bearing_is_gone_on_with(desk: Desk) -> None:
    root = desk["root"]
    preview = root.preview("/users/new", **NEW)
    desk.world.repository.commit({"users/zoe.yaml": user("zoe")}, "Somebody else")
    page = root.press(preview.form("propose"), "propose")
    assert "moved since the preview, without any bearing" in page.text
    assert desk.git("rev-parse", desk.branches()[0]).strip() == commit_in(preview)


def test_a_base_that_moved_and_matters_is_previewed_again_with_commit_and_author(desk: Desk) -> None:
    root = desk["root"]
    preview = root.preview("/users/new", **NEW)
    head = desk.world.repository.commit({"teams/web.yaml": team("web", members=["alice"], issuers=["vpn"])}, "Web gives up tls")
    page = root.press(preview.form("propose"), "propose", 409)
    assert (
        "moved since you looked" in page.text
        and head[:12] in page.text
        and "Alice Jones" in page.text
        and "Web gives up tls" in page.text
    )
    assert "cleo vpn web" in page.text and desk.branches() == [] and commit_in(page) != commit_in(preview)
    made = root.press(page.form("propose"), "propose")
    assert "Proposed" in made.text and desk.git("rev-parse", desk.branches()[0]).strip() == commit_in(page)


def test_two_people_propose_at_once_and_each_is_told_of_the_other(desk: Desk) -> None:
    root, alice = desk["root"], desk["alice"]
    mine, hers = root.preview("/users/new", **NEW), alice.preview("/proposals/new?act=remove-member&team=web", user="bob")
    root.press(mine.form("propose"), "propose")
    page = alice.press(hers.form("propose"), "propose")
    assert len(desk.branches()) == 2
    assert "Another open proposal changes the same file." in page.text and "cleo" not in page.text
    again = root.preview("/proposals/new?act=grant&team=web", issuer="old")
    linked = [link for link in again.links if link.startswith("/proposals/accord/")]
    assert sorted(linked) == sorted(f"/proposals/{branch}" for branch in desk.branches())


def test_a_guard_that_would_refuse_is_shown_in_red_and_stands_in_the_message(desk: Desk) -> None:
    root = desk["root"]
    page = root.preview("/proposals/new?act=remove-member&team=admins", user="root")
    assert "The guard last-administrator would refuse this." in page.text and "override the guard by name" in page.text
    made = root.press(page.form("propose"), "propose")
    assert "The guard last-administrator would refuse this" in made.text
    assert "The guard last-administrator would refuse this" in desk.git("log", "-1", "--format=%B", desk.branches()[0])


def test_what_ends_with_a_person_is_counted(desk: Desk) -> None:
    for _ in range(2):
        desk.world.mint("bob")
    desk.world.mint("bob", kind="session")
    asked, preview = desk["root"].see("/users/bob/remove"), desk["root"].preview("/users/bob/remove")
    for page in (asked, preview):
        assert "2 tokens and 1 session end at once" in page.text and "No valid certificate" in page.text
    assert "Applying it ends 1 session and 2 tokens." in preview.text


def test_mails_that_applying_sends_are_counted(desk: Desk) -> None:
    assert "Applying it sends 1 mail." in desk["root"].preview("/users/new", **NEW).text


def test_the_patch_of_a_preview_can_be_applied_by_hand(desk: Desk, tmp_path: Path) -> None:
    root = desk["root"]
    preview = root.preview("/users/new", **NEW)
    answer = root.answer(preview.form("patch"), "patch")
    assert answer.headers["content-type"].startswith("text/x-patch") and answer.headers["content-disposition"].startswith(
        "attachment"
    )
    clone = Clone(desk.world.repository, tmp_path / "clone")
    clone.git("am", "-q", "--keep-cr", given=answer.content)
    root.press(preview.form("propose"), "propose")
    (branch,) = desk.branches()
    tree = clone.git("rev-parse", "HEAD^{tree}")
    assert tree == desk.git("rev-parse", f"{branch}^{{tree}}")
    assert root.send("GET", f"/proposals/{branch}?as=patch").content == answer.content


def test_comments_are_kept_or_removed_as_one_chooses(desk: Desk) -> None:
    desk.world.repository.commit({"teams/web.yaml": WEB.replace("    - bob\n", "    # bob leads\n    - bob\n")}, "Comments")
    root = desk["root"]
    preview = root.preview("/proposals/new?act=remove-member&team=web", user="bob")
    assert "Is this comment still true?" in preview.text and "# bob leads" in preview.text and "stays, unless" in preview.text
    (removing,) = [form for form in preview.forms if ("dropComments", "yes") in form.fields]
    without = root.press(removing, "preview")
    assert "is removed with it" in without.text
    root.press(without.form("propose"), "propose")
    assert "bob leads" not in desk.git("show", f"{desk.branches()[0]}:teams/web.yaml")


def test_a_proposal_is_withdrawn_after_a_question(desk: Desk) -> None:
    root = desk["root"]
    root.propose("/users/new", **NEW)
    (branch,) = desk.branches()
    asked = root.see(f"/proposals/{branch}?confirm=withdraw")
    assert "Withdraw this proposal?" in asked.text and desk.branches() == [branch]
    (form,) = [each for each in asked.forms if each.action == f"/proposals/{branch}"]
    assert root.send("POST", f"/proposals/{branch}", []).status_code == 403
    answer = root.send("POST", form.action, form.fields)
    assert answer.status_code == 303 and desk.branches() == []
    assert "The proposal is withdrawn" in root.see(answer.headers["location"]).text
    assert root.send("POST", form.action, form.fields).status_code == 404


def test_forged_and_foreign_forms_propose_nothing(desk: Desk) -> None:
    root = desk["root"]
    form = root.preview("/users/new", **NEW).form("propose")
    without = [pair for pair in form.fields if pair[0] != "csrf"]
    assert root.send("POST", "/users/new", [*without, ("step", "propose")]).status_code == 403
    foreign = root.send(
        "POST",
        "/users/new",
        [*form.fields, ("step", "propose")],
        **{"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
    )
    assert foreign.status_code == 403
    damaged = [pair for pair in form.fields if pair[0] != "expect"]
    for commit in ("", "HEAD", "--upload-pack=x", "0" * 40):
        answer = root.send("POST", "/users/new", [*damaged, ("expect", commit), ("step", "propose")])
        assert answer.status_code in (409, 422), commit
    assert desk.branches() == []


# Hostile text, and a server without a repository


EVIL = '"><script>alert(1)</script>{{7*7}}'


def test_hostile_text_stays_text_on_every_page(desk: Desk) -> None:
    root = desk["root"]
    files = {
        "users/bob.yaml": user("bob", fullName=EVIL),
        "teams/web.yaml": team("web", description=EVIL, members=["alice", "bob"], issuers=["tls"]),
    }
    desk.world.apply(files)
    desk.world.repository.commit({"users/zoe.yaml": user("zoe")}, f"{EVIL}\u202e")
    pages = [
        root.see("/users/bob/edit"),
        root.see("/users/bob/remove"),
        root.preview("/users/bob/edit", email="b@example.org", why=EVIL),
        root.preview("/proposals/new?act=add-member&team=web", 422, user=f"{EVIL}\u202e"),
        root.preview("/users/new", 422, **{**NEW, "name": EVIL}),
        root.see("/proposals/new?act=grant&team=" + "%22%3E%3Cscript%3E"),
        root.see("/proposals?q=%22%3E%3Cscript%3E"),
        root.propose("/users/bob/edit", fullName=EVIL + "x", why=EVIL),
        root.see("/proposals"),
    ]
    for page in pages:
        assert "<script>alert" not in page.html and '"><script' not in page.html
        assert "\u202e" not in page.text
    assert EVIL[:10] not in desk.git("log", "-1", "--format=%an%ae", desk.branches()[0])


def test_reasons_come_through_every_step_byte_for_byte(desk: Desk) -> None:
    root = desk["root"]
    reason = 'One\n\n"two" & <three>\u00e9\u4e2d'
    root.propose("/users/new", **{**NEW, "why": reason})
    assert reason.splitlines()[2] in desk.git("log", "-1", "--format=%B", desk.branches()[0])


def test_without_a_repository_the_pages_say_what_to_set_and_show_the_command(desk: Desk) -> None:
    desk.become(Proposing(desk.world.url, is_configured=False))
    root = desk["root"]
    for path in ("/users/new", "/users/bob/edit", "/proposals/new?act=grant&team=web", "/proposals"):
        page = root.see(path)
        assert "ACCORD_REPOSITORY" in page.text and "Preview" not in page.text, path
    page = root.preview("/users/new", **NEW)
    assert "accord propose add-user '--reason=She joins the web team'" in page.text and not page.has_step("propose")
    root.see("/proposals/accord/none-123456", 404)


@pytest.mark.parametrize(
    "branch", ["main", "accord/../main", "accord/x%0A", "accord/-x/../../y", "accord/" + "x" * 400, "--help", "accord/"]
)
def test_no_other_branch_is_ever_a_proposal(desk: Desk, branch: str) -> None:
    assert desk["root"].send("GET", f"/proposals/{branch}").status_code == 404


def test_nobody_sees_anything(desk: Desk) -> None:
    import falcon.testing

    client = falcon.testing.TestClient(desk.app)
    for path in ("/proposals", "/proposals/new", "/users/new", "/proposals/accord/x-123456"):
        answer = client.simulate_get(path, headers=ORIGIN)
        assert answer.status_code == 303 and answer.headers["location"].startswith("/login"), path
