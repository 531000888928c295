"""`.accordignore` hides what Git's own `.gitignore` would, whatever is in it, and never takes long."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from growth import assert_linear
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from work_tree import ALICE, Work, opened

from reconciler.source.errors import SourceError
from reconciler.source.folder import list_files
from reconciler.source.ignoring import LARGEST, MOST_PATTERNS, Ignoring, read_ignore_files

PIECES = (
    *("a", "b", "c", "*", "**", "?", "/", "[ab]", "[!a]", "[^b]", "[a-c]", "[c-a]", "[]a]", "[\\]a]", "[[:alpha:]]", "[a"),
    *("\\", "\\*", "\\a", " ", "\\ ", "!", "#", ".", "-", "\N{LATIN SMALL LETTER E WITH ACUTE}", "**/", "/**/", "/**"),
)
LINES = st.tuples(
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=6).map("".join), st.sampled_from(["\n", "\r\n", " \n", "/\n"])
).map("".join)
FILES = st.tuples(st.sampled_from(["", "\ufeff"]), st.lists(LINES, min_size=1, max_size=4).map("".join)).map("".join)
NAMES = st.text("abc*[]! #-.\N{LATIN SMALL LETTER E WITH ACUTE}", min_size=1, max_size=3).filter(
    lambda name: name not in (".", "..")
)
PATHS = st.lists(NAMES, min_size=1, max_size=4)


def reading(text: str) -> Ignoring:
    ignoring, problems = read_ignore_files([("", ".accordignore", text.encode())])
    assert not problems
    return ignoring


def hidden_by_git(folder: Path, text: str, paths: list[str]) -> list[str]:
    """Ask the real Git, in a work tree with this ignore file."""
    subprocess.run(["git", "init", "-q", folder], check=True)
    for path in paths:
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
    (folder / ".gitignore").write_bytes(text.encode())
    command = ["git", "-C", str(folder), "check-ignore", "--no-index", "-z", "--stdin"]
    found = subprocess.run(command, input="\0".join(paths).encode(), capture_output=True, check=False)
    assert found.returncode in (0, 1), found.stderr
    return found.stdout.decode().split("\0")[:-1]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(paths=st.lists(PATHS, min_size=1, max_size=12), text=FILES)
def test_it_hides_exactly_what_git_hides(tmp_path_factory: pytest.TempPathFactory, paths: list[list[str]], text: str) -> None:
    files = ["/".join(path) for path in paths]
    folders = {"/".join(path[:end]) for path in paths for end in range(1, len(path))}
    distinct = sorted({file for file in files if file not in folders})
    hidden = hidden_by_git(tmp_path_factory.mktemp("git"), text, distinct)
    ours = reading(text)
    assert [path for path in distinct if ours(path)] == hidden


@pytest.mark.parametrize(
    ("pattern", "path"),
    [("*a", "a"), ("*[ab]?", "ab"), ("**/a/", "a"), ("*aaaaaaaab", "a"), ("*?", "x"), ("?*a*b", "a"), ("[^b]*", "a")],
)
def test_a_path_is_matched_in_time_linear_in_its_length(pattern: str, path: str) -> None:
    def matching(length: int) -> Callable[[], object]:
        ignoring = reading(pattern * 20 + "*z\n")
        name = path * (length // len(path)) + ".yaml"
        return lambda: ignoring(name)

    assert_linear(matching, 1 << 10, 1 << 14)


def test_patterns_of_many_stars_end_at_once() -> None:
    assert not reading("*a" * 5_000 + "*b\n")("a" * 120 + ".yaml")


def test_endless_folders_and_patterns_are_refused() -> None:
    with pytest.raises(SourceError, match="more than 64 folders"):
        reading("x\n")("a/" * 70 + "x.yaml")
    assert read_ignore_files([("", "x", b"*a\n" * (MOST_PATTERNS + 1))])[1]


@pytest.mark.parametrize("filler", ["x", "\N{LATIN SMALL LETTER E WITH ACUTE}"])
@pytest.mark.parametrize(("beyond", "said"), [(0, []), (1, ["the file has more than 1,000 patterns or 32,768 bytes"])])
def test_an_ignore_file_is_read_whole_or_refused(filler: str, beyond: int, said: list[str], work: Work, cache: Path) -> None:
    ending = b"\n/drafts/\n"
    comment = b"#" * (2 + beyond) + filler.encode() * LARGEST
    head = work.commit({".accordignore": comment[: LARGEST + beyond - len(ending)] + ending, "drafts/z.yaml": ALICE})
    in_folder, in_commit = list_files(work.folder), opened(work, cache).entries(head, "")
    assert in_folder[0] == in_commit.files == []
    assert in_folder[1] == in_commit.skipped
    assert [problem.message.partition(";")[0] for problem in in_commit.skipped] == said


def test_an_ignore_file_below_the_folder_of_all_resources_is_refused() -> None:
    """The owners of a folder could hide what others declare in folders inside of it."""
    ignoring, (problem,) = read_ignore_files([("", "a", b"x\n"), ("teams/web", "teams/web/.accordignore", b"internal/\n")])
    assert (problem.file, problem.rule, problem.severity) == ("teams/web/.accordignore", "ignore-file", "error")
    assert "as `/teams/web/…`" in problem.message
    assert not ignoring("x")
