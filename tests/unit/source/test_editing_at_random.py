"""Random layouts × random intents: the result declares exactly what is wanted, and keeps what has nothing to do with it.

Every case follows from its number alone. More of them: `python tests/unit/source/test_editing_at_random.py FIRST LAST`.
"""

from __future__ import annotations

import json
import random
import re
import sys
from difflib import SequenceMatcher
from typing import Any, NamedTuple

import pytest

from reconciler.access.instants import parse_instant
from reconciler.access.resources import Issuer, Kind, Membership, Permission, Resource, Team, User
from reconciler.source.blobs import read_blob
from reconciler.source.build import build
from reconciler.source.editing import Edited, ResourceEdit, edit_files

CASES = 400
SHARDS = 8
PEOPLE = ["alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "no", "x-y.z", "007", "null"]
TEXTS = ["Runs the web", "it's: all", "“нов” 漢字 😀", 'say "hi"', "# no comment", "- dash", "a, b", "yes", "", "x" * 120,
         "two\nlines", "ends\n", "  leads\nwith space", "a\n\n\nb\n\n", "back\\slash"]  # fmt: skip
DATES = ["2099-01-31", "2098-12-31T12:00:00Z", "2097-06-30"]


class Case(NamedTuple):
    """A file, and what should become of the resources in it. `budget`: how many of its lines may go."""

    content: bytes
    edits: list[ResourceEdit]
    budget: int
    only_adds: bool


class Writer:
    """Writes documents in a layout that is drawn part by part."""

    def __init__(self, draw: random.Random) -> None:
        self.draw, self.count = draw, 0
        self.anchors: list[tuple[str, Any]] = []
        self.step, self.dash = draw.choice([2, 2, 4]), draw.choice([0, 2, 2, 4])

    def maybe(self, share: float = 0.5) -> bool:
        return self.draw.random() < share

    def comment(self) -> str:
        self.count += 1
        said = self.draw.choice(["why", "c", "- old", "é\ttab", "k: v"])
        return f"# {said} <{self.count}>"

    def beside(self) -> str:
        return self.draw.choice([" ", "  ", "\t"]) + self.comment() if self.maybe(0.3) else ""

    def above(self, indent: int) -> list[str]:
        lines = [" " * indent + self.comment() for _ in range(self.draw.choice([0, 0, 0, 1, 2]))]
        return ["", *lines] if self.maybe(0.1) else lines

    def scalar(self, value: Any, *, flow: bool = False) -> str:
        if not isinstance(value, str):
            return json.dumps(value)
        plain = re.fullmatch(r"[a-z][a-z.-]*|20[0-9-]+|20[0-9-]+T12:00:00Z|[A-Z][a-z]+( [a-z]+)*", value)
        if plain and value not in ("no", "null", "yes") and not (flow and ":" in value) and self.maybe(0.7):
            return value
        if "\n" not in value and self.maybe():
            return "'" + value.replace("'", "''") + "'"
        return json.dumps(value, ensure_ascii=False)

    def flow(self, value: Any) -> str:
        gap = self.draw.choice(["", " "])
        if isinstance(value, dict):
            return "{" + gap + ", ".join(f"{key}: {self.flow(item)}" for key, item in value.items()) + gap + "}"
        if isinstance(value, list):
            separator, last = self.draw.choice([", ", ", ", ",", " , "]), self.draw.choice(["", "", ","]) if value else ""
            return "[" + gap + separator.join(map(self.flow, value)) + last + gap + "]"
        return self.scalar(value, flow=True)

    def spread(self, value: list[Any], indent: int) -> list[str]:
        """A flow list with an item a line."""
        inner, lines = " " * (indent + self.step), []
        for number, item in enumerate(value):
            lines += [line for line in self.above(indent + self.step) if line]
            comma = "," if number < len(value) - 1 or self.maybe(0.4) else ""
            lines.append(f"{inner}{self.flow(item)}{comma}{self.beside()}")
        return ["[" + self.beside(), *lines, " " * indent + "]" + self.beside()]

    def anchor(self, value: Any) -> str:
        """An anchor for a value, perhaps."""
        if not self.maybe(0.1):
            return ""
        self.anchors.append((f"a{len(self.anchors)}", value))
        return f"&{self.anchors[-1][0]} "

    def alias(self, value: Any) -> str:
        """An alias for a value, if it has an anchor."""
        return next((f"*{name} " for name, known in self.anchors if known == value and self.maybe(0.9)), "")

    def block_list(self, value: list[Any], indent: int) -> list[str]:
        lines = []
        for item in value:
            lines += self.above(indent)
            if isinstance(item, dict) and self.maybe(0.8):
                written = self.mapping(item, indent + 2)
                written = written[next(n for n, line in enumerate(written) if line.strip() and line.strip()[0] != "#") :]
                lines += [" " * indent + "- " + written[0][indent + 2 :], *written[1:]]
            else:
                written = [self.flow(item) if isinstance(item, dict) else self.scalar(item)]
                if isinstance(item, str):
                    written[0] = self.alias(item).strip() or self.anchor(item) + written[0]
                lines.append(f"{' ' * indent}- {written[0]}{self.beside()}")
        return lines

    def mapping(self, value: dict[str, Any], indent: int) -> list[str]:
        lines, margin = [], " " * indent
        for key, item in value.items():
            lines += self.above(indent)
            alias = self.alias(item) if isinstance(item, list) and item else ""
            if alias:
                lines.append(f"{margin}{key}: {alias}{self.beside()}")
            elif isinstance(item, list) and item and self.maybe(0.2):
                first, *rest = self.spread(item, indent)
                lines += [f"{margin}{key}: {first}", *rest]
            elif isinstance(item, list) and item and self.maybe(0.7):
                anchor = self.anchor(item).rstrip()
                lines += [
                    f"{margin}{key}:{' ' if anchor else ''}{anchor}{self.beside()}",
                    *self.block_list(item, indent + self.dash),
                ]
            elif isinstance(item, dict) and item and self.maybe(0.8):
                lines += [f"{margin}{key}:{self.beside()}", *self.mapping(item, indent + self.step)]
            elif isinstance(item, dict | list):
                anchor = self.anchor(item) if isinstance(item, list) else ""
                lines.append(f"{margin}{key}: {anchor}{self.flow(item)}{self.beside()}")
            elif isinstance(item, str) and re.fullmatch(r"(\w[^\n]*\n*)+", item) and self.maybe(0.6 if "\n" in item else 0.1):
                body = item.rstrip("\n")
                chomp = ["-", "", "+"][min(len(item) - len(body), 2)]
                lines.append(f"{margin}{key}: |{chomp}{self.beside()}")
                lines += [" " * (indent + 3) + line if line else "" for line in body.split("\n")]
                lines += [""] * max(len(item) - len(body) - 1, 0)
            else:
                lines.append(f"{margin}{key}: {self.scalar(item)}{self.beside()}")
        return lines

    def document(self, value: dict[str, Any]) -> list[str]:
        self.anchors = []
        style = self.draw.choice(["block"] * 8 + ["flow", "json", "pretty"])
        if style == "flow":
            return [self.flow(value)]
        if style == "json":
            return [json.dumps(value, ensure_ascii=False)]
        if style == "pretty":
            return json.dumps(value, indent=self.step, ensure_ascii=False).split("\n")
        return [line for line in self.above(0) if line] + self.mapping(value, 0)

    def file(self, documents: list[dict[str, Any]]) -> bytes:
        lines: list[str] = []
        for number, document in enumerate(documents):
            if number or self.maybe(0.2):
                lines += self.draw.choice(
                    [["---"], ["---"], ["", "---" + self.beside()], ["...", "---"]] if number else [["---"]]
                )
            lines += self.document(document)
        breaks = self.draw.choice([["\n"]] * 5 + [["\r\n"], ["\n", "\r\n"]])
        text = "".join(line + self.draw.choice(breaks) for line in lines)
        if self.maybe(0.1):
            text = text.rstrip("\r\n")
        return self.draw.choice([b"", b"", b"", b"\xef\xbb\xbf"]) + text.encode()


def document_of(draw: random.Random, kind: Kind, name: str) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name}
    if draw.random() < 0.3:
        metadata["labels"] = {key: draw.choice(["1", "x", ""]) for key in draw.sample(["a", "b", "c"], draw.randint(1, 3))}
    spec: dict[str, Any] = {}
    if kind == "User":
        spec = {"email": f"{name}@example.org", "enabled": draw.choice([True, False])}
    elif kind == "Issuer":
        spec = {"description": draw.choice(TEXTS), "linkHosts": draw.sample(["a.example", "b.example"], draw.randint(0, 2))}
    else:
        members = [member(draw, each) for each in draw.sample(PEOPLE, draw.randint(0, 6))]
        if draw.random() < 0.5:
            members.sort(key=lambda each: each["user"] if isinstance(each, dict) else each)
        spec = {"members": members, "issuers": draw.sample(["tls", "vpn", "web"], draw.randint(0, 3))}
        if draw.random() < 0.2:
            spec["adGroups"] = [each for each in members if isinstance(each, str)]
        if draw.random() < 0.5:
            spec["description"] = draw.choice(TEXTS)
        if draw.random() < 0.3:
            spec["mayDecideFor"] = draw.choice(["everyone", ["t0", "t1"]])
    items = list(spec.items())
    draw.shuffle(items)
    return {"apiVersion": "accord/v1", "kind": kind, "metadata": metadata, "spec": dict(items)}


def member(draw: random.Random, name: str) -> Any:
    more = {
        key: draw.choice(values) for key, values in (("until", DATES), ("reason", ["cover", "why: so"])) if draw.random() < 0.2
    }
    return {"user": name, **more} if more or draw.random() < 0.1 else name


def changed(draw: random.Random, held: Resource) -> tuple[Resource, int, bool]:
    """Return what a resource becomes, how many lines that may cost, and whether something is only added."""
    if isinstance(held, User):
        return draw.choice(
            [(held._replace(enabled=not held.enabled), 2, False), (held._replace(email="new@example.org"), 2, False)]
        )
    if isinstance(held, Issuer):
        return held._replace(description=draw.choice(TEXTS)), held.description.count("\n") + 3, False
    assert isinstance(held, Team)
    names = [each.user for each in held.members]
    what = draw.choice(["add", "add", "add", "remove", "remove", "until", "grant", "text", "label", "decide", "empty"])
    if what == "add":
        new = Membership(draw.choice([name for name in PEOPLE if name not in names]), *draw.choice([(), (), (None, "for now")]))
        return held._replace(members=tuple(sorted((*held.members, new)))), 2, True
    if what == "remove" and names:
        gone = draw.choice(names)
        return held._replace(members=tuple(each for each in held.members if each.user != gone)), 12, False
    if what == "until" and names:
        at = draw.randrange(len(names))
        new = held.members[at]._replace(until=draw.choice([None, parse_instant("2099-05-31")]), reason=draw.choice([None, "r"]))
        return held._replace(members=(*held.members[:at], new, *held.members[at + 1 :])), 12, False
    if what == "grant":
        kept = [each for each in held.permissions if each.issuer != "new"]
        return held._replace(permissions=tuple(sorted((*kept, Permission("new"))))), 2, True
    if what == "text":
        return held._replace(description=draw.choice(TEXTS)), held.description.count("\n") + 3, False
    if what == "label":
        return held._replace(labels=tuple(sorted({**dict(held.labels), "b": "new"}.items()))), 2, False
    if what == "decide":
        return held._replace(may_decide_for=draw.choice(["everyone", (), ("t0",), ("t0", "t7")])), 10, False
    return held._replace(members=(), permissions=()), 60, False


def case(number: int) -> Case:
    draw = random.Random(number)
    writer = Writer(draw)
    kinds: list[Kind] = ["Team", "Team", "Team", "User", "Issuer"]
    documents = [document_of(draw, draw.choice(kinds), f"t{index}") for index in range(draw.choice([1, 1, 2, 3]))]
    content = writer.file(documents)
    read = [value for _, value in read_blob(content).documents]
    assert [value["metadata"] for value in read] == [value["metadata"] for value in documents], content.decode()
    documents = read  # blank lines and the file's end change some texts
    edits, budget, only_adds = [], 0, True
    for document in draw.sample(documents, draw.randint(1, len(documents))):
        held, kind, name = build(document), document["kind"], document["metadata"]["name"]
        if draw.random() < 0.15:
            edits.append(ResourceEdit(kind, name, held, None, "f.yaml"))
            budget, only_adds = 10**6, False
            continue
        wanted, lines, adds = changed(draw, held)
        edits.append(ResourceEdit(kind, name, held, wanted, "f.yaml"))
        budget += lines if wanted != held else 0
        only_adds = only_adds and adds
    if draw.random() < 0.1:
        edits.append(ResourceEdit("User", "new", None, User("new", "new@example.org"), "f.yaml"))
    return Case(content, edits, budget, only_adds)


def check(number: int) -> None:
    content, edits, budget, only_adds = case(number)
    edited = edit_files(edits, {"f.yaml": content}.get)
    check_comments(content, edited)
    check_comments(content, edit_files(edits, {"f.yaml": content}.get, drop_comments=True))
    after = edited.files.get("f.yaml", content)
    held = {(value["kind"], value["metadata"]["name"]): build(value) for _, value in read_blob(content).documents}
    for edit in edits:
        held.pop((edit.kind, edit.name), None)
    wanted = {**held, **{(edit.kind, edit.wanted.name): edit.wanted for edit in edits if edit.wanted is not None}}
    if after is None:
        assert not wanted
        return
    blob = read_blob(after)
    assert {(value["kind"], value["metadata"]["name"]): build(value) for _, value in blob.documents} == wanted
    assert not [report for report in blob.reports if report[3] == "error"]
    assert after.startswith(b"\xef\xbb\xbf") == content.startswith(b"\xef\xbb\xbf")
    has_anchor = re.search(rb"[&][a-z0-9]", content) is not None
    open_end = not content.endswith(b"\n")
    before_lines, after_lines = content.split(b"\n"), after.split(b"\n")
    blocks = SequenceMatcher(None, before_lines, after_lines, autojunk=False).get_matching_blocks()
    lost = len(before_lines) - sum(block.size for block in blocks)
    assert lost <= budget + open_end + (b"\r\n" in content and open_end), (lost, budget)
    if only_adds:
        marks = re.findall(rb"<[0-9]+>", content)
        assert [mark for mark in marks if after.count(mark) != content.count(mark)] == []
    if only_adds and not has_anchor and not open_end and all(lasting(edit) for edit in edits):
        back = [ResourceEdit(edit.kind, edit.name, edit.wanted, edit.declared, "f.yaml") for edit in edits]
        assert edit_files(back, {"f.yaml": after}.get).files.get("f.yaml") == content


def check_comments(content: bytes, edited: Edited) -> None:
    """Each comment with a line of its own is still there, or it is told that it goes."""
    after = edited.files.get("f.yaml", content) or b""
    alone = {mark.decode() for mark in re.findall(rb"(?m)^[ \t]*#.*(<[0-9]+>)", content)}
    told = {stays: "".join(each.text for each in edited.comments if each.stays == stays) for stays in (True, False)}
    gone = {mark for mark in alone if mark.encode() not in after}
    assert gone == {mark for mark in alone if mark in told[False]}, (gone, edited.comments)
    assert not [mark for mark in re.findall(r"<[0-9]+>", told[True]) if mark.encode() not in after]


def lasting(edit: ResourceEdit) -> bool:
    """Whether undoing an edit promises the same bytes: something was added to a list that is not empty."""
    held, wanted = edit.declared, edit.wanted
    if not isinstance(held, Team) or not isinstance(wanted, Team):
        return False
    pairs = ((held.members, wanted.members), (held.permissions, wanted.permissions))
    return all(len(old) > 0 or not new for old, new in pairs) and held != wanted


@pytest.mark.parametrize("shard", range(SHARDS))
def test_an_edit_declares_what_is_wanted_and_keeps_the_rest(shard: int) -> None:
    for number in range(shard, CASES, SHARDS):
        try:
            check(number)
        except BaseException as error:
            error.add_note(f"case {number}")
            raise


if __name__ == "__main__":
    failed = 0
    for each in range(int(sys.argv[1]), int(sys.argv[2])):
        try:
            check(each)
        except Exception as error:  # noqa: BLE001 - each is told
            failed += 1
            sys.stdout.write(f"{each}: {type(error).__name__}: {str(error)[:300]}\n")
    sys.exit(failed > 0)
