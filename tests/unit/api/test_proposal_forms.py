"""What the forms for changes ask for, what a preview shows of an answer, and to whom; and the words of every failure."""

from __future__ import annotations

import json
import re
import shlex
import threading
from pathlib import Path
from typing import Any

import pytest
from waiting import LONG, until

from api.console.forms import Fields
from api.console.proposal_acts import (
    FORMS,
    command_of,
    end_in_words,
    is_of_teams,
    read_acts,
    read_edited_user,
    read_new_user,
    says_of_password,
)
from api.console.proposal_failures import FAILURES, words_of
from api.console.proposal_shown import MOST_LINES, Viewer, may_have_patch, shown
from api.console.proposing import ProposalFailed, Proposing, checked
from api.errors import Invalid
from reconciler.wording.text import author_text

TOP = Path(__file__).parents[3]


def fields(**values: str | tuple[str, ...]) -> Fields:
    return Fields({name: (value,) if isinstance(value, str) else value for name, value in values.items()})


def test_every_form_reads_acts_that_the_program_knows() -> None:
    filled = fields(team="web", user="bob", issuer="tls", name="bob", until="2099-12-31", reason="cover")
    for act in FORMS:
        given = filled if act != "set-end" else fields(team="web", issuer="tls")
        (found,) = read_acts(act, given)
        assert found["act"] in ("add-member", "remove-member", "grant", "revoke", "disable", "enable")
        with pytest.raises(Invalid):
            read_acts(act, fields())


@pytest.mark.parametrize(
    "until", ["tomorrow", "2099-13-01", "31.12.2099", "2099-12-31T00:00:00", "\u0662\u0660\u0669\u0669-01-01"]
)
def test_an_end_that_is_no_day_is_refused(until: str) -> None:
    with pytest.raises(Invalid, match="2026-12-31"):
        read_acts("grant", fields(team="web", issuer="tls", until=until))


def test_an_end_is_the_day_that_it_is_the_end_of() -> None:
    assert end_in_words("2100-01-01T00:00:00Z") == "2099-12-31"
    assert end_in_words("2099-12-31T18:00:00Z") == "2099-12-31T18:00:00Z"
    assert end_in_words("0001-01-01T00:00:00Z") == "0001-01-01T00:00:00Z"  # there is no day before


def test_a_new_user_says_only_what_is_not_the_default() -> None:
    assert read_new_user(fields(name="a", email="a@x.org", type="person", initial="mail")) == (
        {"act": "add-user", "name": "a", "email": "a@x.org"},
    )
    (found,) = read_new_user(fields(name="a", email="a@x.org", type="application", initial="mail", team=("web", "ops, web")))
    assert found["password"] == "mail" and found["type"] == "application" and found["teams"] == ["web", "ops"]
    assert "mailed" in says_of_password([found])
    (found,) = read_new_user(fields(name="a", email="a@x.org", initial="none"))
    assert found["password"] == "none" and "no password yet" in says_of_password([found])
    for wrong in (fields(name="a", email="a@x.org"), fields(name="a", email="a@x.org", type="robot", initial="mail")):
        with pytest.raises(Invalid):
            read_new_user(wrong)


def test_an_edit_is_what_differs_from_what_the_form_showed() -> None:
    was = {"was_email": "b@x.org", "was_fullName": "Bob", "was_enabled": "yes", "was_team": ("web", "ops")}
    acts = read_edited_user("bob", fields(email="b@x.org", fullName="", enabled="no", team=("web", "net"), **was))
    assert acts == (
        {"act": "set", "kind": "User", "name": "bob", "fields": {"fullName": None}},
        {"act": "disable", "name": "bob"},
        {"act": "add-member", "team": "net", "user": "bob"},
        {"act": "remove-member", "team": "ops", "user": "bob"},
    )
    assert says_of_password(acts) == "The password stays as it is."
    with pytest.raises(Invalid):
        read_edited_user("bob", fields(email="b@x.org", fullName="Bob", enabled="yes", team=("ops", "web"), **was))
    with pytest.raises(Invalid):
        read_edited_user("bob", fields(email="b@x.org", fullName="Bob", enabled="yes", change="soon", **was))


def test_who_is_no_administrator_changes_members_and_permissions_of_their_teams_alone() -> None:
    assert is_of_teams([{"act": "grant", "team": "web", "issuer": "tls"}], ["web"])
    for acts in (
        [{"act": "grant", "team": "ops", "issuer": "tls"}],
        [{"act": "grant", "team": "web", "issuer": "tls"}, {"act": "disable", "name": "bob"}],
        [{"act": "add-user", "name": "x", "email": "x@x", "teams": ["web"]}],
        [{"act": "set", "kind": "Team", "name": "web", "fields": {}}],
        [{"act": "add-member", "team": "web", "user": "x"}, {"act": "add-member", "team": "admins", "user": "x"}],
    ):
        assert not is_of_teams(acts, ["web"])


def test_a_command_says_the_same_and_nothing_in_it_is_an_option_by_accident() -> None:
    evil = "$(touch x); `id` 'quoted' --repository=evil"
    words = shlex.split(command_of([{"act": "add-member", "team": "--expect=x", "user": evil}], "why\n--database=x"))
    assert words == ["accord", "propose", "add-member", "--reason=why\n--database=x", "--", "--expect=x", evil]
    several = command_of([{"act": "disable", "name": "a'\nEND\nrm -rf /"}, {"act": "enable", "name": "b"}], "")
    first, document, last = several.split("\n")
    assert first == "accord propose from-json - <<'END'" and last == "END" and json.loads(document)["acts"][0]["act"] == "disable"


DIFF = """diff --git a/teams/web.yaml b/teams/web.yaml
index 1..2 100644
--- a/teams/web.yaml
+++ b/teams/web.yaml
@@ -1,4 +1,4 @@ secret: hush
 before
--- a/elsewhere
-diff --git a/x b/x
+++ b/elsewhere
+@@ -1 +1 @@
 after\r
diff --git a/users/cleo.yaml b/users/cleo.yaml
new file mode 100644
--- /dev/null
+++ b/users/cleo.yaml
@@ -0,0 +1 @@
+name: cleo
\\ No newline at end of file
"""


def document(*changes: tuple[str, str, str], **more: Any) -> dict[str, Any]:
    made = [{"action": action, "kind": kind, "name": name, "fields": {}} for action, kind, name in changes]
    access = {"gained": [pair("bob", "tls", ["web"]), pair("zoe", "vpn", ["ops"])], "lost": [], "changed": []}
    return {"diff": DIFF, "patch": "x", "guards": [], "approvals": [], "comparison": {"changes": made, "access": access}, **more}


def pair(user: str, issuer: str, through: list[str]) -> dict[str, Any]:
    return {"user": user, "issuer": issuer, "through": through, "until": None, "from": ["10.0.0.0/8"]}


def test_a_diff_is_read_by_the_numbers_of_its_hunks_whatever_the_lines_look_like() -> None:
    web, cleo = shown(document(("update", "Team", "web")), None).files
    assert web.path == "teams/web.yaml" and cleo.path == "users/cleo.yaml"
    assert [(line.kind, line.text) for line in web.lines] == [
        ("hunk", "@@ -1,4 +1,4 @@"), ("same", "before"), ("removed", "-- a/elsewhere"), ("removed", "diff --git a/x b/x"),
        ("added", "++ b/elsewhere"), ("added", "@@ -1 +1 @@"), ("same", "after"),
    ]  # fmt: skip
    assert [line.text for line in cleo.lines] == ["@@ -0,0 +1 @@", "name: cleo"]


def test_a_very_long_diff_is_cut_and_says_so() -> None:
    lines = "".join(f"+line {number}\n" for number in range(2 * MOST_LINES))
    found = shown(document(diff=f"diff --git a/x b/x\n--- /dev/null\n+++ b/x\n@@ -0,0 +1,{2 * MOST_LINES} @@\n{lines}"), None)
    assert found.cut and sum(len(file.lines) for file in found.files) == MOST_LINES


def test_a_person_is_shown_changed_lines_and_access_of_their_teams_alone() -> None:
    viewer = Viewer(frozenset({"web"}))
    found = shown(document(("update", "Team", "web")), viewer)
    assert {line.kind for file in found.files for line in file.lines} == {"added", "removed"} and not found.is_whole
    assert [row.user for row in found.gained] == ["bob"]
    for changes in (
        [],
        [("update", "Team", "ops")],
        [("update", "Team", "web"), ("update", "User", "bob")],
        [("delete", "Team", "web")],
    ):
        hidden = shown(document(*changes), viewer)
        assert hidden.is_hidden and not hidden.files and not hidden.gained and not hidden.fields and not hidden.guards
        assert not hidden.is_unchecked
    unknown = shown({**document(), "comparison": None}, viewer)
    assert unknown.is_hidden and unknown.is_unchecked and not unknown.files


def test_access_that_goes_on_through_another_team_does_not_tell_which() -> None:
    changed = {
        "before": pair("bob", "tls", ["secret", "web"]),
        "after": {**pair("bob", "tls", ["secret"]), "until": "2099-01-01T00:00:00Z"},
    }
    made = document(("update", "Team", "web"))
    made["comparison"]["access"] = {"gained": [], "lost": [], "changed": [changed]}
    (row,) = shown(made, Viewer(frozenset({"web"}))).changed
    assert row.through == () and row.until is None and "secret" not in row.note and "10." not in row.note
    (whole,) = shown(made, None).changed
    assert whole.through == ("secret",) and "web" in whole.note


def test_only_files_of_nothing_but_ones_teams_are_seen_whole() -> None:
    viewer = Viewer(frozenset({"web"}), frozenset({"teams/web.yaml", "users/cleo.yaml"}))
    made = document(("update", "Team", "web"))
    assert shown(made, viewer).is_whole and may_have_patch(DIFF, viewer)
    guarded = shown({**made, "guards": [{"id": "x", "message": "about others"}]}, viewer)
    assert not guarded.is_whole and guarded.guards == ({"id": "x", "message": ""},)
    message = "Add bob to the team web\n\nThe guard x would refuse this: about others\n\nProposed-by: Ann <ann@x.example>\n"
    assert not shown({**made, "message": message}, viewer).is_whole  # it was refused when it was made, and is not any more
    assert not shown({**made, "diff": ""}, viewer).is_whole
    assert not may_have_patch(f"Subject\n\nThe guard x would refuse this\n{DIFF}", viewer)
    assert not may_have_patch(DIFF, Viewer(frozenset({"web"}), frozenset({"teams/web.yaml"}))) and not may_have_patch("", None)


def test_each_reason_of_the_program_has_words_of_its_own() -> None:
    source = (TOP / "reconciler/run/proposal_failures.py").read_text()
    reasons = set(re.findall(r'^    "([a-z-]+)": \(', source, re.MULTILINE))
    assert len(reasons) > 15 and reasons <= set(FAILURES)
    titles = [words.title for words in FAILURES.values()]
    assert len(set(titles)) == len(titles)
    for reason in [*FAILURES, "something new"]:
        for administrator in (True, False):
            words = words_of(ProposalFailed(reason, "Detail <b>."), administrator=administrator)
            assert words.title and words.what and (words.next or words.what.startswith("Detail"))
    assert words_of(ProposalFailed("unknown-name", "did you mean secret?"), administrator=False).what.startswith("The config")


@pytest.mark.parametrize(
    "branch", ["", "accord/", "main", "accord/x\n", "accord/a..b", "accord/é", "accord/a b", "--x", "accord/" + "a" * 201]
)
def test_no_other_name_reaches_the_program(branch: str) -> None:
    with pytest.raises(ProposalFailed):
        checked(branch)


def test_nobody_holds_two_places() -> None:
    proposing = Proposing("sqlite:///x.db", is_configured=True, environment={}, wait=0.05)
    with proposing.turn_of("alice"):
        with pytest.raises(ProposalFailed, match="busy-here"), proposing.turn_of("alice"):
            raise AssertionError
        with proposing.turn_of("bob"):
            pass
    with proposing.turn_of("alice"):
        pass


def test_a_command_for_several_acts_keeps_what_hides_as_json_has_it() -> None:
    acts = [{"act": "add-member", "team": "web", "user": name} for name in ("bob", "eve")]
    line = command_of(acts, "\U0001f469\u200d\U0001f4bb")
    assert "\\u200d" in line and "\u200d" not in line
    assert json.loads(line.splitlines()[1])["reason"] == "\U0001f469\u200d\U0001f4bb"


def test_who_asks_more_than_twice_at_once_is_told_so_at_once() -> None:
    proposing = Proposing("sqlite:///x.db", is_configured=True, environment={}, wait=LONG)
    served = threading.Event()

    def wait_for_a_turn() -> None:
        with proposing.turn_of("alice"):
            served.set()

    with proposing.turn_of("alice"):
        waiting = threading.Thread(target=wait_for_a_turn, daemon=True)
        waiting.start()
        until(lambda: proposing._people["alice"].callers == 2, "somebody who waits")
        with pytest.raises(ProposalFailed, match="busy-here"), proposing.turn_of("alice"):
            raise AssertionError
    assert served.wait(LONG)
    waiting.join(LONG)
    assert proposing._people == {}


def test_approvals_that_are_not_known_are_not_told_as_none() -> None:
    assert shown(document(approvals=None), None).approvals is None
    assert shown(document(approvals=[]), None).approvals == ()


@pytest.mark.parametrize(
    ("name", "author"),
    [
        ("Zoë Ångström", "Zoë Ångström"),
        ("[skip ci] Eve", "(skip ci) Eve"),  # the last line of the message names the author
        ("Eve ***NO_CI***", "Eve NO_CI"),
        ("Eve\nSigned-off-by: <root>", "Eve Signed-off-by: root"),
    ],
)
def test_an_author_s_name_ends_no_line_and_skips_no_ci(name: str, author: str) -> None:
    assert author_text(name) == author
