"""A new resource goes where most of its kind are, named as they are, and never where it may not be."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.access.resources import Kind, Resource, Team, User
from reconciler.source.editing import ResourceEdit, edit_files
from reconciler.source.errors import SourceError


def document(kind: str, name: str, spec: str = "{email: a@example.org}") -> str:
    return f"apiVersion: accord/v1\nkind: {kind}\nmetadata:\n  name: {name}\nspec: {spec}\n"


def users(form: str, *names: str, head: str = "") -> dict[str, str]:
    return {form.format(name, name[0]): head + document("User", name) for name in names}


def teams(form: str, *names: str) -> dict[str, str]:
    return {form.format(name): document("Team", name, "{}") for name in names}


def placed(files: dict[str, str], *resources: Resource) -> dict[str, str]:
    """The new files, and the first line of each."""
    kinds: dict[type[Any], Kind] = {User: "User", Team: "Team"}
    edits = [ResourceEdit(kinds[type(each)], each.name, None, each, None) for each in resources]

    def content(path: str) -> bytes | None:
        return files[path].encode() if path in files else None

    found = edit_files(edits, content, [path for path in files if path.endswith((".yaml", ".yml"))]).files
    return {file: (text or b"").decode().removeprefix(files.get(file, "")).split("\n")[0] for file, text in found.items()}


ZOE = User("zoe", "zoe@example.org")
FIRST = "apiVersion: accord/v1"


@pytest.mark.parametrize(
    ("files", "file"),
    [
        ({}, "users/zoe.yaml"),
        (users("users/{}.yaml", "alice", "bob"), "users/zoe.yaml"),
        (users("people/{}.yml", "alice", "bob") | users("apps/{}.yaml", "portal"), "people/zoe.yml"),
        (users("users/{1}/{0}.yaml", "alice", "bob", "carol"), "users/z/zoe.yaml"),
        (users("users/{}/user.yaml", "alice", "bob"), "users/zoe/user.yaml"),
        (users("users/user-{}.yaml", "alice", "bob"), "users/user-zoe.yaml"),
        (users("users/user-{}.yaml", "er"), "users/user-zoe.yaml"),
        (users("users/{0}.{0}.yaml", "al"), "users/al.zoe.yaml"),
        (users("users/{}ice.yaml", "al"), "users/zoe.yaml"),
        (users("live/people/{}.yaml", "alice") | {"live/settings.yaml": document("Settings", "default", "{}")},
         "live/people/zoe.yaml"),
        (users("{}.yaml", "alice", "bob"), "zoe.yaml"),
    ],
)  # fmt: skip
def test_a_new_file_is_named_as_the_others_are(files: dict[str, str], file: str) -> None:
    assert placed(files, ZOE) == {file: FIRST}


def test_a_file_of_many_gets_another_one() -> None:
    many = "---\n".join(document("User", name) for name in ("alice", "bob", "carol"))
    files = {"all.yaml": many, **users("users/{}.yaml", "dave")}
    assert placed(files, ZOE, User("yan", "y@example.org")) == {"all.yaml": "---"}


def test_the_line_for_editors_is_that_of_the_others_with_another_path() -> None:
    line = "# yaml-language-server: $schema="
    files = users("people/{}.yaml", "alice", "bob", head=f"{line}../.accord/schemas/user.schema.json\n")
    assert placed(files, ZOE) == {"people/zoe.yaml": f"{line}../.accord/schemas/user.schema.json"}
    assert placed(files, Team("web")) == {"teams/web.yaml": f"{line}../.accord/schemas/team.schema.json"}
    sharded = users("u/{1}/{0}.yaml", "alice", "bob", head=f"{line}../../.accord/schemas/user.schema.json\n")
    top = {"settings.yaml": document("Settings", "default", "{}")}
    assert placed(sharded | top, Team("web")) == {"teams/web.yaml": f"{line}../.accord/schemas/team.schema.json"}
    elsewhere = users("people/{}.yaml", "alice", "bob", head=f"{line}https://example.org/user.json\n")
    assert placed(elsewhere, ZOE) == {"people/zoe.yaml": f"{line}https://example.org/user.json"}


def test_a_file_is_not_put_below_another_one() -> None:
    files = users("users/{1}/{0}.yaml", "alice", "bob") | users("people/{}.yaml", "carol")
    assert placed(files | {"users/z": "text"}, ZOE) == {"people/zoe.yaml": FIRST}
    edit = ResourceEdit("User", "zoe", None, ZOE, None)
    found = edit_files(
        [edit], lambda path: files.get(path, "").encode() or None, [*files], is_free=lambda path: path.endswith("z/zoe.yaml")
    )
    assert [*found.files] == ["users/z/zoe.yaml"]
    found = edit_files([edit], lambda path: files.get(path, "").encode() or None, [*files], is_free=lambda path: path[0] == "p")
    assert [*found.files] == ["people/zoe.yaml"]


def test_a_path_that_is_taken_is_left_alone() -> None:
    taken = {"users/Zoe.yaml": document("Team", "zoe", "{}")}
    files = users("users/{}.yaml", "alice", "bob") | users("people/{}.yaml", "carol") | taken
    assert placed(files, ZOE) == {"people/zoe.yaml": FIRST}
    with pytest.raises(SourceError, match=r"there is no place for User `zoe`: `users/zoe\.yaml` is taken"):
        placed(users("users/{}.yaml", "alice", "bob") | taken, ZOE)


def test_a_path_that_is_ignored_is_no_place() -> None:
    files = users("drafts/{}.yaml", "alice", "bob") | users("people/{}.yaml", "carol")
    assert placed(files | {".accordignore": "/drafts/z*\n"}, ZOE) == {"people/zoe.yaml": FIRST}


def test_a_folder_that_may_not_declare_it_is_no_place() -> None:
    zone = "{delegation: [{path: teams/web, kinds: [Team], names: [web-*]}]}"
    files = {"settings.yaml": document("Settings", "default", zone), **teams("teams/web/{}.yaml", "web-a", "web-b")}
    files |= teams("teams/{}.yaml", "db")
    assert placed(files, Team("web-c")) == {"teams/web/web-c.yaml": FIRST}
    assert placed(files, Team("mail")) == {"teams/mail.yaml": FIRST}


def test_a_large_configuration_is_read_in_parts() -> None:
    names = [f"u{number}" for number in range(3_000)]
    files, read = users("users/{1}/{0}.yaml", *names), []

    def content(path: str) -> bytes | None:
        read.append(path)
        return files[path].encode() if path in files else None

    found = edit_files([ResourceEdit("User", "zoe", None, ZOE, None)], content, list(files)).files
    assert list(found) == ["users/z/zoe.yaml"]
    assert len(read) < 100


def test_delegations_are_written_from_the_repositorys_root() -> None:
    zone = "{delegation: [{path: live/teams/web, kinds: [Team], names: [web-*]}]}"
    files = {"settings.yaml": document("Settings", "default", zone), **teams("teams/web/{}.yaml", "web-a", "web-b")}
    files = {path: text.encode() for path, text in {**files, **teams("teams/{}.yaml", "db")}.items()}
    edits = [ResourceEdit("Team", "mail", None, Team("mail"), None)]
    assert list(edit_files(edits, files.get, list(files), root="live").files) == ["teams/mail.yaml"]
    assert list(edit_files(edits, files.get, list(files)).files) == ["teams/web/mail.yaml"]
