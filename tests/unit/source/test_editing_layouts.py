"""Each layout that people use keeps what is not edited, byte by byte."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.access.instants import parse_instant
from reconciler.access.resources import Membership, Permission, Team, User
from reconciler.source.build import build
from reconciler.source.documents import parse
from reconciler.source.editing import Edited, OrphanComment, ResourceEdit, edit_files
from reconciler.source.errors import SourceError

HEAD = "apiVersion: accord/v1\nkind: Team\nmetadata:\n  name: web\nspec:\n"
END = parse_instant("2099-06-30T12:00:00Z")


def edit(text: str, *, drop_comments: bool = False, **changes: Any) -> Edited:
    """Edit the team of a file. Members are given by name, or with an end."""
    held = next(build(document.value) for document in parse(text.encode()) if document.value["kind"] == "Team")
    if "members" in changes:
        members = (Membership(*([each] if isinstance(each, str) else each)) for each in changes["members"])
        changes["members"] = tuple(sorted(members))
    edits = [ResourceEdit("Team", held.name, held, held._replace(**changes), "t.yaml")]
    return edit_files(edits, {"t.yaml": text.encode()}.get, drop_comments=drop_comments)


def edited(text: str, **changes: Any) -> str:
    content = edit(text, **changes).files["t.yaml"]
    assert content is not None
    return content.decode()


FLOW = [
    ("[alice, carol]  # keep me", ["alice", "bob", "carol"], "[alice, bob, carol]  # keep me"),
    ("[alice, carol]  # keep me", ["aaron", "alice", "carol"], "[aaron, alice, carol]  # keep me"),
    ("[carol, alice]", ["alice", "bob", "carol"], "[carol, alice, bob]"),
    ("[alice, bob]", ["alice", "bob", "zoe"], "[alice, bob, zoe]"),
    ("[alice,bob]", ["alice", "bob", "zoe"], "[alice,bob,zoe]"),
    ("[ alice, bob ]", ["alice", "bob", "zoe"], "[ alice, bob, zoe ]"),
    ("[ alice, bob ]", ["bob"], "[ bob ]"),
    ("[ alice, bob ]", ["alice"], "[ alice ]"),
    ("[alice, bob,]", ["alice", "bob", "zoe"], "[alice, bob, zoe,]"),
    ("[alice, bob,]", ["alice"], "[alice,]"),
    ("['alice', 'bob']", ["alice", "bob", "zoe"], "['alice', 'bob', 'zoe']"),
    ('["alice", "bob"]', ["alice", "bob", "zoe"], '["alice", "bob", "zoe"]'),
    ("[]  # nobody", ["alice"], "[alice]  # nobody"),
    ("[ ]", ["alice"], "[alice]"),
    ("[alice]  # keep me", [], "[]  # keep me"),
    ("[alice, bob]", ["alice", ("bob", END)], '[alice, {user: bob, until: "2099-06-30T12:00:00Z"}]'),
    ("[{user: bob, until: 2099-01-31}, carol]", ["bob", "carol"], "[bob, carol]"),
    ("[\n    alice,  # a\n    {until: 2099-01-31, user: bob},  # b\n    carol]", ["alice", "bob", "carol"],
     "[\n    alice,  # a\n    bob,  # b\n    carol]"),
    ("[{user: bob, reason: 'x'}]", [("bob", None, "it's")], "[{user: bob, reason: 'it''s'}]"),
    ("[\n    alice,  # a\n    carol  # c\n  ]", ["alice", "bob", "carol"], "[\n    alice,  # a\n    bob,\n    carol  # c\n  ]"),
    ("[\n    alice,  # a\n    carol  # c\n  ]", ["alice", "carol", "zoe"],
     "[\n    alice,  # a\n    carol,  # c\n    zoe\n  ]"),
    ("[\n    alice,  # a\n    carol,  # c\n  ]", ["alice", "carol", "zoe"],
     "[\n    alice,  # a\n    carol,  # c\n    zoe,\n  ]"),
    ("[\n    alice,  # a\n    carol  # c\n  ]", ["carol"], "[\n    carol  # c\n  ]"),
    ("[\n    alice,  # a\n    carol  # c\n  ]", ["alice"], "[\n    alice  # a\n  ]"),
    ("[  # all\n    bob\n  ]", ["alice", "bob"], "[  # all\n    alice,\n    bob\n  ]"),
    ("[alice,\n    bob]", ["alice"], "[alice]"),
]  # fmt: skip


@pytest.mark.parametrize(("before", "members", "after"), FLOW)
def test_a_list_in_brackets(before: str, members: list[Any], after: str) -> None:
    rest = "  issuers: [tls]\n# the end\n"
    assert edited(f"{HEAD}  members: {before}\n{rest}", members=members) == f"{HEAD}  members: {after}\n{rest}"


BLOCK = [
    ("    - alice  # a\n    - carol\n", ["alice", "bob", "carol"], "    - alice  # a\n    - bob\n    - carol\n"),
    ("    - carol\n    - alice\n", ["alice", "bob", "carol"], "    - carol\n    - alice\n    - bob\n"),
    ("  - alice\n", ["alice", "bob"], "  - alice\n  - bob\n"),
    ("      - alice\n", ["alice", "bob"], "      - alice\n      - bob\n"),
    ("    # first\n    - bob\n", ["alice", "bob"], "    - alice\n    # first\n    - bob\n"),
    ("    - alice\n    # - bob\n      # about alice\n", ["alice", "zoe"],
     "    - alice\n    - zoe\n    # - bob\n      # about alice\n"),
    ("    - alice\n      # about alice\n", ["alice", "zoe"], "    - alice\n      # about alice\n    - zoe\n"),
    ("    - 'alice'\n", ["alice", "bob"], "    - 'alice'\n    - 'bob'\n"),
    ("    - alice  # a\n", [("alice", END)], "    - user: alice  # a\n      until: 2099-06-30T12:00:00Z\n"),
    ("    - user: alice  # a\n      until: 2099-01-31  # u\n", ["alice"], "    - alice  # a\n"),
    ("    - until: 2099-01-31\n      user: alice  # a\n", [("alice", END)],
     "    - until: 2099-06-30T12:00:00Z\n      user: alice  # a\n"),
    ("    - user: alice\n      until: '2099-01-31'  # u\n      reason: x\n", [("alice", END, "y: z")],
     "    - user: alice\n      until: '2099-06-30T12:00:00Z'  # u\n      reason: \"y: z\"\n"),
    ("    - {user: alice, until: 2099-01-31}  # a\n", ["alice"], "    - alice  # a\n"),
    ("    - alice  # a\n    - until: 2099-12-31\n      user: bob\n    # on call\n    - 'carol'\n", ["alice", "bob", "carol"],
     "    - alice  # a\n    - bob\n    # on call\n    - 'carol'\n"),
    ("    # a\n    - until: 2099-12-31  # u\n      user: 'bob'  # b\n      # why\n      reason: x  # r\n    - carol # c\n",
     ["bob", "carol"], "    # a\n    - 'bob'  # b\n      # why\n    - carol # c\n"),
    ("    - alice  # a\n    - until: 2099-12-31\n      user: &b bob\n    - carol # c\n", ["alice", "bob", "carol"],
     "    - alice  # a\n    - &b bob\n    - carol # c\n"),
    ("    - alice  # a\n    - until: 2099-12-31\n      user:\n        bob\n    - carol # c\n", ["alice", "bob", "carol"],
     "    - alice  # a\n    - bob\n    - carol # c\n"),
    ("    - alice  # a\n    - &i {until: 2099-12-31, user: bob}  # b\n    - carol # c\n", ["alice", "bob", "carol"],
     "    - alice  # a\n    - bob  # b\n    - carol # c\n"),
    ("    - alice  # a\n    - &i\n      user: bob\n      until: 2099-12-31\n    - carol # c\n", ["alice", "bob", "carol"],
     "    - alice  # a\n    - bob\n    - carol # c\n"),
    ("    - alice\n\n    # the others\n    - bob  # b\n    - carol\n", ["alice", "carol"],
     "    - alice\n\n    # the others\n    - carol\n"),
    ("    - &a alice\n    - bob\n", ["alice", "bob", "carol"], "    - &a alice\n    - bob\n    - carol\n"),
]  # fmt: skip


@pytest.mark.parametrize("breaks", ["\n", "\r\n"])
@pytest.mark.parametrize(("before", "members", "after"), BLOCK)
def test_a_list_of_lines(before: str, members: list[Any], after: str, breaks: str) -> None:
    rest = "  # what\n  issuers: [tls]\n# the end\n"
    texts = (f"{HEAD}  members:  # who\n{lines}{rest}".replace("\n", breaks) for lines in (before, after))
    assert edited(next(texts), members=members) == next(texts)


FIELDS = [
    ("description: Runs  # d", {"description": "Runs: all"}, 'description: "Runs: all"  # d'),
    ("description: 'Runs'  # d", {"description": "it's"}, "description: 'it''s'  # d"),
    ('description: "Runs"  # d', {"description": "all"}, 'description: "all"  # d'),
    ("description: &d Runs  # d", {"description": "all"}, "description: &d all  # d"),
    ("description: Runs\n    the web  # d", {"description": "all"}, "description: all  # d"),
    ("description: Runs  # d", {"description": "a\nb"}, "description: |-  # d\n    a\n    b"),
    ("description: |  # d\n     a\n     b", {"description": "a\nc\n"}, "description: |  # d\n     a\n     c"),
    ("description: >-  # d\n    a\n    b", {"description": "c"}, "description: c  # d"),
    ("administrator: false  # no", {"administrator": True}, "administrator: true  # no"),
    ("mayDecideFor: everyone  # all", {"may_decide_for": ("a", "b")}, "mayDecideFor:  # all\n    - a\n    - b"),
    ("mayDecideFor:  # all\n    - a\n    - b", {"may_decide_for": "everyone"}, "mayDecideFor: everyone  # all"),
    ("mayDecideFor: [a, b]  # all", {"may_decide_for": "everyone"}, "mayDecideFor: everyone  # all"),
    ("description: “нов”  # 漢字 😀", {"description": "漢字"}, "description: 漢字  # 漢字 😀"),
]


@pytest.mark.parametrize(("before", "changes", "after"), FIELDS)
def test_a_field(before: str, changes: dict[str, Any], after: str) -> None:
    rest = "  members: [a]\n"
    assert edited(f"{HEAD}  {before}\n{rest}", **changes) == f"{HEAD}  {after}\n{rest}"


WHOLE = [
    ("--- {apiVersion: accord/v1, kind: Team, metadata: {name: web}, spec: {members: [a]}}  # t\n", "[a]", "[a, b]"),
    ('{"apiVersion": "accord/v1", "kind": "Team", "metadata": {"name": "web"}, "spec": {"members": ["a"]}}\n', '["a"]',
     '["a", "b"]'),
    ("apiVersion: accord/v1\nkind: Team\nmetadata: {name: web}\nspec: {members: [a], issuers: [tls]}  # s\n", "[a]", "[a, b]"),
    ("apiVersion: accord/v1\nkind: Team\nmetadata: {name: web}\nspec: {issuers: [tls]}  # s\n", "{issuers",
     "{members: [a, b], issuers"),
    ("apiVersion: accord/v1\nkind: Team\nmetadata: {name: web}\n", "web}\n", "web}\nspec:\n  members:\n    - a\n    - b\n"),
    ("apiVersion: accord/v1\nkind: Team\nmetadata:\n    name: web\nspec:\n    issuers:\n    - tls\n", "spec:\n",
     "spec:\n    members:\n    - a\n    - b\n"),
    (f"{HEAD}  members: [a]", "[a]", "[a, b]"),
    (f"\ufeff{HEAD}  members: [a]\n", "[a]", "[a, b]"),
    (f"{HEAD}  issuers: [tls]\r\n  members:\n  - a\r\n", "a\r\n", "a\r\n  - b\r\n"),
    (f"{HEAD}  members: [a]\t# a tab\there\n", "[a]", "[a, b]"),
    (f"{HEAD}  description: |\n    no end", "|\n    no end", "|-\n    no end\n  members:\n    - a\n    - b\n"),
    (f"{HEAD}  members: &m [a]\n  adGroups: *m  # g\n", "&m [a]\n  adGroups: *m  # g\n",
     "&m [a, b]\n  adGroups:  # g\n    - a\n"),
    (f"{HEAD}  adGroups: &m [a]\n  members: *m  # g\n", "*m  # g\n", " # g\n    - a\n    - b\n"),
    (f"{HEAD}  description: &d a\n  members:\n    - *d\n", "- *d\n", "- *d\n    - b\n"),
    (f"# x\n---\n{HEAD}  members: [a]\n...\n---\n# y\n", "[a]", "[a, b]"),
]  # fmt: skip


@pytest.mark.parametrize(("before", "old", "new"), WHOLE)
def test_a_member_is_added_whatever_the_layout(before: str, old: str, new: str) -> None:
    assert edited(before, members=["a", "b"]) == before.replace(old, new)


GONE = f"{HEAD}  # the people\n  members:\n    # contractors\n    - alice  # a\n  issuers: [tls]\n"


def test_a_comment_above_something_removed_stays_and_is_told() -> None:
    found = edit(GONE, members=[])
    assert found.files == {"t.yaml": GONE.replace("members:\n", "members: []\n").replace("    - alice  # a\n", "").encode()}
    assert found.comments == (OrphanComment("t.yaml", 8, "# contractors", stays=True),)


def test_a_comment_above_something_removed_goes_with_it_if_asked() -> None:
    found = edit(GONE, members=[], drop_comments=True)
    assert found.files == {"t.yaml": f"{HEAD}  # the people\n  members: []\n  issuers: [tls]\n".encode()}
    assert found.comments == (OrphanComment("t.yaml", 8, "# contractors", stays=False),)


def told(found: Edited) -> list[tuple[str, bool]]:
    return [(comment.text, comment.stays) for comment in found.comments]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("\n    - tls  # t\n    - until: 2099-12-31\n      issuer: vpn\n    # w\n    - 'web'\n",
         "\n    - tls  # t\n    - vpn\n    # w\n    - 'web'\n"),
        (" [tls, {until: 2099-12-31, issuer: vpn}, 'web']  # w\n", " [tls, vpn, 'web']  # w\n"),
    ],
)  # fmt: skip
def test_a_permission_loses_its_end_and_the_others_stay(before: str, after: str) -> None:
    found = edit(f"{HEAD}  issuers:{before}", permissions=tuple(map(Permission, ("tls", "vpn", "web"))))
    assert found.files == {"t.yaml": f"{HEAD}  issuers:{after}".encode()} and told(found) == []


def test_every_comment_that_an_item_loses_is_told() -> None:
    before = "    - alice  # a\n    - &i\n      # whose\n      user: bob  # b\n      until: 2099-12-31\n    - carol\n"
    found = edit(f"{HEAD}  members:\n{before}", members=["alice", "bob", "carol"])
    assert found.files == {"t.yaml": f"{HEAD}  members:\n    - alice  # a\n    - bob\n    - carol\n".encode()}
    assert told(found) == [("# whose", False), ("# b", False)]
    found = edit(f"{HEAD}  members: [{{\n    # whose\n    user: bob, until: 2099-12-31}}]\n", members=["bob"])
    assert found.files == {"t.yaml": f"{HEAD}  members: [bob]\n".encode()} and told(found) == [("# whose", False)]


def test_every_comment_that_a_field_loses_is_told() -> None:
    found = edit(f"{HEAD}  mayDecideFor: [  # who\n    a,  # a\n    'b'  # b #2\n  ]\n", may_decide_for="everyone")
    assert found.files == {"t.yaml": f"{HEAD}  mayDecideFor: everyone\n".encode()}
    assert told(found) == [("# who", False), ("# a", False), ("# b #2", False)]


def user(name: str) -> str:
    return f"# {name}\napiVersion: accord/v1\nkind: User\nmetadata:\n  name: {name}\nspec:\n  email: {name}@example.org\n"


A, B, C = user("a"), user("b"), user("c")
MODELINE = "# yaml-language-server: $schema=x.json\n"
REMOVED = [
    (f"{A}---\n{B}", "a", f"# a\n{B}", B),
    (f"{A}---\n{B}", "b", f"{A}# b\n", A),
    (f"{A}---\n{B}---\n{C}", "b", f"{A}---\n# b\n{C}", f"{A}---\n{C}"),
    (f"{MODELINE}{A}---\n{B}", "a", f"{MODELINE}# a\n{B}", f"{MODELINE}{B}"),
    (f"{A[4:]}...\n---\n{B}", "a", B, B),
    (f"{A}...\n---\n{B}", "a", f"# a\n{B}", B),
    (f"{A}---\n{B}...\n", "b", f"{A}# b\n", A),
    (f"{A}--- {{apiVersion: accord/v1, kind: User, metadata: {{name: b}}, spec: {{email: b@example.org}}}}\n", "b", A, A),
    (f"{A[:-1]}", "a", None, None),
    (f"{MODELINE}---\n{A}", "a", None, None),
]


@pytest.mark.parametrize(("before", "name", "kept", "dropped"), REMOVED)
def test_a_document_goes_with_or_without_the_comment_above_it(before: str, name: str, kept: str, dropped: str) -> None:
    gone = [ResourceEdit("User", name, User(name, f"{name}@example.org"), None, "t.yaml")]
    for drop_comments, after in ((False, kept), (True, dropped)):
        files = edit_files(gone, {"t.yaml": before.encode()}.get, drop_comments=drop_comments).files
        assert files == {"t.yaml": None if after is None else after.encode()}


HEADED = f"# Licence\n\n{A}# trailing\n---\n{B}"
MARKED = "--- {apiVersion: accord/v1, kind: User, metadata: {name: a}, spec: {email: a@example.org}}  # one\n# for all\n"
INNER = B.replace("  email", "  # inner\n  email").replace(".org", ".org  # at work")
GOING = [
    (HEADED, "a", False, f"# Licence\n\n# a\n# trailing\n{B}", [("# a", True)]),
    (HEADED, "a", True, f"# Licence\n\n# trailing\n{B}", [("# a", False)]),
    (f"# head\n{MARKED}---\n{B}", "a", False, f"# head\n# for all\n---\n{B}", [("# one", False)]),
    (f"{B}{MARKED}", "a", True, f"{B}# for all\n", [("# one", False)]),
    (f"{A}--- # two\n{B}", "b", True, A, [("# two", False), ("# b", False)]),
    (f"{A}---\n{INNER}---\n{C}", "b", False, f"{A}---\n# b\n{C}", [("# b", True), ("# inner", False), ("# at work", False)]),
    (f"{A}---\n{MODELINE}{B[4:]}---\n{C}", "b", False, f"{A}---\n{C}", []),
    (f"# LEGAL HOLD\n{MODELINE}{INNER}# end\n", "b", False, None,
     [("# LEGAL HOLD", False), ("# b", False), ("# inner", False), ("# at work", False), ("# end", False)]),
]  # fmt: skip


@pytest.mark.parametrize("breaks", ["\n", "\r\n"])
@pytest.mark.parametrize(("before", "name", "drop_comments", "after", "comments"), GOING)
def test_every_comment_that_goes_with_a_document_is_told(
    before: str, name: str, drop_comments: bool, after: str | None, comments: list[tuple[str, bool]], breaks: str
) -> None:
    gone = [ResourceEdit("User", name, User(name, f"{name}@example.org"), None, "t.yaml")]
    content = before.replace("\n", breaks).encode()
    found = edit_files(gone, {"t.yaml": content}.get, drop_comments=drop_comments)
    assert found.files == {"t.yaml": None if after is None else after.replace("\n", breaks).encode()}
    assert told(found) == comments


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (A, f"{A}---\n{C[4:]}"),
        (A[:-1], f"{A}---\n{C[4:]}"),
        (A.replace("\n", "\r\n"), f"{A}---\n{C[4:]}".replace("\n", "\r\n")),
        (f"{A}\n# end\n", f"{A}\n# end\n---\n{C[4:]}"),
    ],
)
def test_a_new_document_comes_at_the_end(before: str, after: str) -> None:
    new = [ResourceEdit("User", "c", None, User("c", "c@example.org"), "t.yaml")]
    assert edit_files(new, {"t.yaml": before.encode()}.get).files == {"t.yaml": after.encode()}


def test_edits_of_one_file_are_done_together() -> None:
    held = {name: User(name, f"{name}@example.org") for name in "abc"}
    edits = [
        ResourceEdit("User", "a", held["a"], None, "t.yaml"),
        ResourceEdit("User", "b", held["b"], held["b"]._replace(enabled=False), "t.yaml"),
        ResourceEdit("User", "c", held["c"], None, "t.yaml"),
        ResourceEdit("User", "d", None, User("d", "d@example.org"), "t.yaml"),
    ]
    files = edit_files(edits, {"t.yaml": f"{A}---\n{B}---\n{C}".encode()}.get, drop_comments=True).files
    assert files == {"t.yaml": f"{B}  enabled: false\n---\n{user('d')[4:]}".encode()}


def test_nothing_changes_if_it_is_so_already() -> None:
    text = f"{HEAD}  members: [ b,a ]\n"
    assert edit(text, members=["a", "b"]) == Edited({})


@pytest.mark.parametrize(
    ("content", "wanted", "message"),
    [
        (b"a: [", Team("web", "x"), r"t\.yaml:1 cannot be edited: .*Repair the file first"),
        (f"{HEAD}  members: [a]\n".encode(), Team("web", "beep \x07"), r"t\.yaml cannot declare Team `web` as wanted: "),
        (f"{HEAD}  members: [a]\n".replace("web", "db").encode(), Team("web", "x"), r"t\.yaml does not declare Team `web`"),
        (None, Team("web", "x"), r"t\.yaml does not declare Team `web`"),
    ],
)
def test_what_cannot_be_edited_is_refused(content: bytes | None, wanted: Team, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        edit_files([ResourceEdit("Team", "web", Team("web"), wanted, "t.yaml")], lambda _: content)
