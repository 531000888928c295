"""The history of applied revisions and the audit log: what they tell, and that a falsified one is found."""

from __future__ import annotations

from pathlib import Path

import pytest
from desk import Desk
from scenario import by_hand

from reconciler.cli.exits import ERROR
from reconciler.store import tables

ADMINISTRATING = """\
apiVersion: accord/v1
kind: Team
metadata: {name: more}
spec: {administrator: true, members: [bob]}
"""


def test_the_history_tells_repairs_apart_and_where_it_was_read_from(begun: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    accord = begun.accord
    by_hand(accord, "UPDATE users SET email = 'mallory@example.org' WHERE name = 'alice'")
    monkeypatch.chdir(begun.config)
    accord("drift", "--repair", "--yes", "--repository", ".")
    begun.write("issuers/vpn.yaml", "apiVersion: accord/v1\nkind: Issuer\nmetadata: {name: vpn}\nspec: {}\n")
    begun.commit("A new issuer")
    accord("apply", "--yes", "--repository", ".")
    steps = accord.json("history")
    assert [step["repair"] for step in steps] == [False, True, False]
    assert {step["repository"] for step in steps} == {str(begun.config.resolve())}
    words = [line.split()[0] for line in accord("history").output.splitlines() if line.startswith("  ")]
    assert words == ["applied", "drift", "applied"]
    assert accord.json("show", steps[1]["commit"])["repair"] is True
    accord("audit", "verify")


def test_the_history_says_who_became_an_administrator(begun: Desk) -> None:
    accord = begun.accord
    begun.write("users/bob.yaml", "apiVersion: accord/v1\nkind: User\nmetadata: {name: bob}\nspec: {email: bob@example.org}\n")
    begun.write("teams/more.yaml", ADMINISTRATING)
    head = begun.commit("Bob administers")
    accord("apply", "--yes")
    told = "2 created, 1 becomes an administrator, 1 mail"
    assert told in accord("history").output
    assert told in accord("show", head).output
    counts = accord.json("history")[0]["counts"]
    assert (counts["administratorsGained"], counts["administratorsLost"]) == (1, 0)
    (begun.config / "teams/more.yaml").unlink()
    begun.commit("Bob administers no more")
    accord("apply", "--yes")
    assert "1 deleted, 1 stops being an administrator" in accord("history", "--limit", "1").output
    accord("audit", "verify")


def test_the_audit_log_tells_and_can_be_checked_anywhere(begun: Desk, tmp_path: Path) -> None:
    accord = begun.accord
    listed = accord("audit", "list").output.splitlines()
    assert listed[0].endswith(" tester: revision.apply")
    assert any("user.create alice" in line for line in listed)
    [entry] = accord.json("audit", "list", "--kind", "User", "--name", "alice")
    assert entry["detail"]["fields"]["email"]["to"] == "alice@example.org"
    assert accord.json("audit", "list", "--since", "2099-01-01T00:00:00Z") == []
    assert len(accord.json("audit", "list", "--limit", "2")) == 2
    assert "there is no kind `teem`; did you mean `Team`?" in accord("audit", "list", "--kind", "teem", code=ERROR).stderr
    assert accord("audit", "list", "--kind", "Team", "--name", "nobody").output == ""

    head = accord.json("audit", "verify")["head"]
    assert f"6 entries; the last hash is {head}" in accord("audit", "verify").output
    accord("audit", "verify", "--head", head)
    copy = tmp_path / "audit.jsonl"
    copy.write_bytes(accord("audit", "export").stdout_bytes)
    nowhere = {"ACCORD_DATABASE_URL": "sqlite:////nowhere/accord.db"}
    assert f"6 entries; the last hash is {head}" in accord("audit", "verify", str(copy), **nowhere).output

    lines = copy.read_bytes().splitlines(keepends=True)
    tampered = {
        "altered": [lines[0], lines[1].replace(b"alice@", b"mallory@"), *lines[2:]],
        "missing": [*lines[:2], *lines[3:]],
        "swapped": [lines[1], lines[0], *lines[2:]],
    }
    for kind, content in tampered.items():
        assert content != lines, kind
        copy.write_bytes(b"".join(content))
        assert "the audit log is broken at entry" in accord("audit", "verify", str(copy), code=ERROR).stderr
        assert accord.json("audit", "verify", str(copy), code=ERROR)["broken"]["id"] in (2, 4)
    copy.write_bytes(b"".join(lines[:4]))
    accord("audit", "verify", str(copy))  # a beginning holds by itself
    assert "was cut off or replaced" in accord("audit", "verify", str(copy), "--head", head, code=ERROR).stderr
    copy.write_bytes(b"hello\n")
    assert accord("audit", "verify", str(copy), code=ERROR).stderr == "accord: line 1 is not JSON\n"

    by_hand(accord, "UPDATE audit SET actor = 'nobody' WHERE id = 3")
    assert "broken at entry 3" in accord("audit", "verify", code=ERROR).stderr
    by_hand(accord, "UPDATE audit SET actor = 'tester' WHERE id = 3")
    accord("audit", "verify")
    by_hand(accord, "DELETE FROM audit WHERE id = 6")
    assert "6 entries were written" in accord("audit", "verify", code=ERROR).stderr


COPIED = ", ".join(column.name for column in tables.revisions.columns if column.name != "id")
UNBOUND = ["DELETE FROM revision_access", *(f"UPDATE {table.name} SET revision_id = NULL" for table in tables.TABLES.values())]
EARLIER = "2020-01-01T00:00:00.000000Z"
OTHERS = {
    "committed_at": EARLIER,
    "applied_at": EARLIER,
    "counts": "{}",
    "overrides": '[{"guard": "x", "reason": "y"}]',
    "generation": "7",
}


@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize(
    ("statement", "words"),
    [
        *(
            (f"UPDATE revisions SET {name} = '{OTHERS.get(name, 'x')}' WHERE id = 2", "contradicts it about revision 2")
            for name in COPIED.split(", ")
        ),
        ("UPDATE revisions SET id = 7 WHERE id = 2", "records revision 2, which is missing"),
        ("DELETE FROM revisions WHERE id = 1", "records revision 1, which is missing"),
        (f"INSERT INTO revisions (id, {COPIED}) SELECT 3, {COPIED} FROM revisions WHERE id = 1", "which no entry records"),
        ("UPDATE revisions SET overrides = '[1]'", "a list of overrides"),
        ("DELETE FROM revisions", "records revision 1, which is missing"),
    ],
)
def test_a_history_that_is_not_what_the_audit_log_tells_is_found(begun: Desk, statement: str, words: str) -> None:
    accord = begun.accord
    begun.write("issuers/vpn.yaml", "apiVersion: accord/v1\nkind: Issuer\nmetadata: {name: vpn}\nspec: {}\n")
    begun.commit("A new issuer")
    accord("apply", "--yes")
    accord("audit", "verify")
    by_hand(accord, *UNBOUND, statement)
    assert words in accord("audit", "verify", code=ERROR).stderr


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_history_whose_last_entry_was_replaced_is_found(begun: Desk) -> None:
    accord = begun.accord
    by_hand(accord, *UNBOUND, "DELETE FROM revisions")
    accord("apply", "--yes", "--adopt")  # takes the number that is free again
    assert "contradicts it about revision 1: appliedAt, planDigest" in accord("audit", "verify", code=ERROR).stderr
