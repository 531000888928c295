"""`accord fmt` brings files into one order and indentation, keeps each comment with its part, and changes no meaning."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from reconciler.access.resources import KINDS
from reconciler.cli.main import accord
from reconciler.source.arrangement import Shape, shape_of
from reconciler.source.blobs import read_blob
from reconciler.source.build import build
from reconciler.source.formatting import _resources, _says_the_same, formatted
from reconciler.source.layout import NotFormatted

TEAM = "apiVersion: accord/v1\nkind: Team\nmetadata: {name: web}\n"


def fmt(text: str) -> str:
    after = formatted(text.encode())
    assert formatted(after) == after, "a second time changes nothing"
    return after.decode()


def spec(text: str) -> str:
    """A team with this spec, formatted; its spec."""
    return fmt(TEAM + textwrap.dedent(text)).removeprefix(TEAM)


def test_keys_have_the_schema_s_order_at_every_level() -> None:
    before = """\
# yaml-language-server: $schema=x
# the web tier

spec:
    issuers:
    - until: 2099-01-31  # for now
      issuer: tls
    # why they are here
    description: Web
    permittedIPs: []
kind: Team
metadata:
   previously: [b, a]
   labels: {b: "1", a: "2"}
   name: web   # the name
apiVersion: accord/v1
"""
    assert (
        fmt(before)
        == """\
# yaml-language-server: $schema=x
# the web tier

apiVersion: accord/v1
kind: Team
metadata:
  name: web   # the name
  labels: {a: "2", b: "1"}
  previously: [b, a]
spec:
  # why they are here
  description: Web
  issuers:
    - issuer: tls
      until: 2099-01-31  # for now
  permittedIPs: []
"""
    )


def test_lists_whose_order_means_nothing_are_sorted_and_comments_move_with_their_items() -> None:
    before = """\
        spec:
          members:
          - carol
            # of carol
          # above bob
          - {until: 2099-01-31, user: bob}   # beside bob
          - user: alice
            # within alice
            reason: |
              cover
          mayDecideFor: [b, a]
          adGroups: ['b', "a", C]
        """
    with pytest.raises(NotFormatted, match="line break"):
        spec(before)
    assert spec(before.replace("|\n              cover", "cover")) == textwrap.dedent("""\
        spec:
          members:
            - user: alice
              # within alice
              reason: cover
            # above bob
            - {user: bob, until: 2099-01-31}   # beside bob
            - carol
              # of carol
          adGroups: [C, "a", 'b']
          mayDecideFor: [a, b]
        """)


def test_a_comment_after_a_text_with_a_hash_counts_as_one() -> None:
    before = TEAM + "spec:\n  description: 'a # b' # why\n"
    for lost in (before.replace(" # why", ""), before.replace("# why", "#")):
        assert not _says_the_same(lost, before, _resources(before.encode()))
    assert _says_the_same(before, before, _resources(before.encode()))


def test_a_blank_line_ends_a_group_and_a_comment_before_it_heads_the_group() -> None:
    assert spec("""\
        spec:
          members:
            # by day

            - dan
            - carol


            # by night

            # the new one
            - bob
            - alice
          # that is all
        """) == textwrap.dedent("""\
        spec:
          members:
            # by day

            - carol
            - dan

            # by night

            - alice
            # the new one
            - bob
          # that is all
        """)


def test_a_comment_right_after_a_blank_line_heads_the_group() -> None:
    assert spec("""\
        spec:
          members:
          - zoe

          # Contractors, until the project ends
          - dave
          - bob

          # alone
          - alice
        """) == textwrap.dedent("""\
        spec:
          members:
            - zoe

            # Contractors, until the project ends
            - bob
            - dave

            # alone
            - alice
        """)


def test_a_comment_above_the_key_that_comes_first_in_an_item_goes_above_its_dash() -> None:
    assert spec("""\
        spec:
          members:
            - until: 2099-01-31
              # who it is

              user: bob
            - alice
        """) == textwrap.dedent("""\
        spec:
          members:
            - alice
            # who it is
            - user: bob
              until: 2099-01-31
        """)


def test_comments_at_the_end_stay_with_what_they_are_indented_like() -> None:
    assert spec("""\
        spec:
            members:
                - alice
                # - bob
              # of the members
            # of the spec
        # of the document
        """) == textwrap.dedent("""\
        spec:
          members:
            - alice
            # - bob
            # of the members
          # of the spec
        # of the document
        """)


def test_an_item_made_a_comment_stays_in_its_list_even_if_the_list_is_not_further_in_than_its_key() -> None:
    assert spec("""\
        spec:
          issuers:
          - b
          # - c
          # of the members
          members: [a]
        """) == textwrap.dedent("""\
        spec:
          # of the members
          members: [a]
          issuers:
            - b
            # - c
        """)


_TEXTS = (
    "|\n      one\n\n        two\n",
    "|-\n      one\n",
    "|+\n      one\n\n\n",
    ">\n      one\n      two\n",
    "|2\n        one\n",
)


@pytest.mark.parametrize("text", _TEXTS)
def test_texts_of_several_lines_keep_every_character(text: str) -> None:
    head = "apiVersion: accord/v1\nkind: EmailTemplate\nmetadata: {name: password-set}\n"
    before = f"{head}spec:\n    text: {text}    # of the subject\n    subject: s\n"
    after = fmt(before)
    assert "  # of the subject\n  subject: s\n  text: " in after
    values = [build(document) for content in (before, after) for _, document in read_blob(content.encode()).documents]
    assert values[0] == values[1]


def test_a_text_that_ends_with_the_file_keeps_its_end() -> None:
    head = "apiVersion: accord/v1\nkind: EmailTemplate\nmetadata: {name: password-set}\nspec:\n  subject: s\n"
    assert fmt(f"{head}  text: |\n    one") == f"{head}  text: |\n    one"
    assert fmt(f"{head}  text: |+\n    one\n\n\n") == f"{head}  text: |+\n    one\n\n\n"
    assert fmt(f"{head}  text: |\n    one\n\n\n") == f"{head}  text: |\n    one\n"


def test_flow_lists_over_several_lines_keep_their_lines_and_one_with_comments_its_order() -> None:
    assert spec("""\
        spec:
          members: [
            bob,
            alice
          ]
          issuers: [b,  # b
            a]
        """) == textwrap.dedent("""\
        spec:
          members: [
            alice,
            bob
          ]
          issuers: [b,  # b
            a]
        """)


def test_json_is_ordered_and_stays_json() -> None:
    before = '{"kind": "Team", "apiVersion": "accord/v1", "spec": {"members": ["b", "a"]}, "metadata": {"name": "web"}}'
    after = '{"apiVersion": "accord/v1", "kind": "Team", "metadata": {"name": "web"}, "spec": {"members": ["a", "b"]}}\n'
    assert fmt(before) == after


def test_several_documents_keep_their_markers_and_what_is_between_them() -> None:
    user = "kind: User\napiVersion: accord/v1\nmetadata: {name: alice}\nspec: {email: a@b}\n"
    text = f"%YAML 1.2\n---\n# first\n{user}...\n# between\n---  # second\n{user}---\n---\n# last\n"
    assert fmt(text) == text.replace("kind: User\napiVersion: accord/v1\n", "apiVersion: accord/v1\nkind: User\n")


def test_windows_line_breaks_and_a_byte_order_mark_stay_and_a_last_line_break_is_added() -> None:
    text = "\ufeffkind: User\r\napiVersion: accord/v1\r\nmetadata: {name: alice}\r\nspec: {email: a@b}"
    expected = "\ufeffapiVersion: accord/v1\r\nkind: User\r\nmetadata: {name: alice}\r\nspec: {email: a@b}\r\n"
    assert fmt(text) == expected
    assert fmt(text.replace("kind: User\r\n", "kind: User\n")) == expected.replace("\r\n", "\n"), "mixed ones become Unix's"


@pytest.mark.parametrize("text", ["", "\n", "# only a comment\n", "---\n"])
def test_a_file_that_declares_nothing_stays(text: str) -> None:
    assert fmt(text) == text


@pytest.mark.parametrize(
    "spec_text",
    [
        "spec:\n  members: [&a alice]\n  description: *a\n",
        "spec:\n  ? members\n  : [alice]\n",
        "spec:\n  members:\n    -\n      alice\n",
    ],
)
def test_what_cannot_be_changed_safely_is_left_as_it_is(spec_text: str) -> None:
    with pytest.raises(NotFormatted) as found:
        formatted((TEAM + spec_text).encode())
    assert not found.value.invalid
    assert found.value.line > 3


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_of_the_schema_has_its_place(kind: str) -> None:
    def sorted_parts(shape: Shape) -> set[str]:
        inner = {found for part in shape.properties.values() for found in sorted_parts(part)}
        return inner | {
            name for name, part in shape.properties.items() if part.is_sorted or (part.items and part.items.is_sorted)
        }

    shape = shape_of(kind)  # type: ignore[arg-type]
    assert list(shape.properties) == ["apiVersion", "kind", "metadata", "spec"]
    wanted = {
        "Team": {"labels", "members", "issuers", "adGroups", "permittedIPs", "mayDecideFor"},
        "Issuer": {"labels", "linkHosts"},
        "Settings": {"labels", "separationOfDuties"},
    }
    assert sorted_parts(shape) >= wanted.get(kind, {"labels"})
    assert "daysBeforeExpiry" not in sorted_parts(shape)


def run(*arguments: str | Path, given: bytes | None = None) -> Result:
    return CliRunner().invoke(accord, ["fmt", *map(str, arguments)], input=given, standalone_mode=False)


UNORDERED = TEAM + "spec: {issuers: [b, a]}\n"
ORDERED = TEAM + "spec: {issuers: [a, b]}\n"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, text in {"a.yaml": UNORDERED, "b.yaml": ORDERED, "teams/c.yaml": UNORDERED, ".x.yaml": UNORDERED}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_all_resources_of_the_working_folder_are_formatted(config: Path) -> None:
    found = run()
    assert (found.return_value, found.output) == (0, "formatted a.yaml\nformatted teams/c.yaml\n2 files formatted, 1 unchanged\n")
    assert (config / "a.yaml").read_text() == (config / "teams/c.yaml").read_text() == ORDERED
    assert (config / ".x.yaml").read_text() == UNORDERED
    assert run().output == "0 files formatted, 3 unchanged\n"


def test_only_what_is_named_is_formatted(config: Path) -> None:
    assert run("teams", "b.yaml").return_value == 0
    assert (config / "teams/c.yaml").read_text() == ORDERED
    assert (config / "a.yaml").read_text() == UNORDERED


def test_what_the_ignore_file_hides_from_the_repository_is_hidden_in_its_folders(config: Path) -> None:
    (config / ".accordignore").write_text("/teams/c.yaml\n")
    run("teams")
    assert (config / "teams/c.yaml").read_text() == UNORDERED


def test_a_check_names_what_would_change_and_writes_nothing(config: Path) -> None:
    found = run("--check")
    assert found.return_value == 1
    assert found.output == "would format a.yaml\nwould format teams/c.yaml\n2 files to format, 1 unchanged\n"
    assert (config / "a.yaml").read_text() == UNORDERED
    assert run("b.yaml", "--check").return_value == 0


def test_a_diff_shows_the_changes_and_writes_nothing(config: Path) -> None:
    found = run("--diff")
    assert found.return_value == 0
    assert "--- a/a.yaml\n+++ b/a.yaml\n" in found.output
    assert "-spec: {issuers: [b, a]}\n+spec: {issuers: [a, b]}\n" in found.output
    assert (config / "a.yaml").read_text() == UNORDERED
    assert run("--diff", "--check").return_value == 1


def test_standard_input_goes_to_standard_output(config: Path) -> None:
    found = run("-", given=UNORDERED.encode())
    assert (found.return_value, found.stdout) == (0, ORDERED)
    broken = run("-", given=b"a: [")
    assert (broken.return_value, broken.stdout) == (1, "a: [")
    assert run("-", "--check", given=UNORDERED.encode()).return_value == 1


def test_a_file_with_errors_is_named_and_left_and_the_others_are_formatted(config: Path) -> None:
    (config / "b.yaml").write_text("kind: Team\napiVersion: accord/v1\n")
    (config / "teams/d.yaml").write_text(TEAM + "spec: {members: [&a b, *a]}\n")
    found = run()
    assert found.return_value == 1
    assert "accord: b.yaml:1: left as it is: `metadata` is missing; run `accord validate`" in found.stderr
    assert "accord: teams/d.yaml:4: left as it is: it has anchors or aliases" in found.stderr
    assert found.stdout.endswith("2 files formatted, 0 unchanged, 2 left as they are\n")
    assert (config / "a.yaml").read_text() == ORDERED


def test_a_link_is_not_followed(config: Path) -> None:
    (config / "link.yaml").symlink_to("a.yaml")
    assert "is a symbolic link" in str(run("link.yaml").exception)
    assert (config / "a.yaml").read_text() == UNORDERED
