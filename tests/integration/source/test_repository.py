"""Reading real Git repositories, hostile and broken ones too: each ends in an answer or one clear error."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zlib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from work_tree import ALICE, BOB, Work, contents, opened

from reconciler.run.validating import validate_folder
from reconciler.source.cache import BlobCache
from reconciler.source.documents import LARGEST_FILE
from reconciler.source.errors import RepositoryUnreachable, ShallowRepository, SourceError, UnknownRevision
from reconciler.source.folder import list_files
from reconciler.source.load import load_revision
from reconciler.source.repository import ChangedFile
from reconciler.source.sparse import sparse_warning
from reconciler.source.work_tree import find_standing

# Revisions


def test_a_revision_is_told_with_its_author_time_and_first_line(work: Work, cache: Path) -> None:
    head = work.commit({"alice.yaml": ALICE}, "Let alice in\n\nBecause.")
    found = opened(work, cache).resolve("main")
    assert found == (head, "Alice Jones", datetime.fromtimestamp(work.clock, UTC), "Let alice in")


def test_a_branch_a_tag_and_a_short_id_name_a_commit_too(work: Work, cache: Path) -> None:
    head = work.commit({"alice.yaml": ALICE})
    work.git("tag", "-a", "-m", "x", "v1")
    work.git("update-ref", "refs/heads/--upload-pack=x", head)
    repository = opened(work, cache)
    for rev in ("main", "v1", "HEAD", head, head[:10], "refs/heads/main", "refs/heads/--upload-pack=x", "heads/main", "v1^{}"):
        assert repository.resolve(rev).commit == head, rev


def lead(work: Work, reference: str, commit: str) -> None:
    """Make a reference as a push can: `git tag` and `git branch` refuse some names."""
    work.git("update-ref", reference, commit)


@pytest.mark.parametrize("tag", ["main", "heads/main", "origin/main", "refs/heads/main", "refs/remotes/origin/main"])
def test_a_branch_is_never_a_tag_of_the_same_name(tag: str, work: Work, cache: Path) -> None:
    head = work.commit({"alice.yaml": ALICE})
    evil = work.commit({"bob.yaml": BOB}, "Evil")
    lead(work, "refs/remotes/origin/main", head)
    work.git("checkout", "-q", "--detach")
    work.git("branch", "-D", "main")
    lead(work, f"refs/tags/{tag}", evil)
    assert work.git("rev-parse", tag) == evil or tag == "refs/remotes/origin/main"
    assert opened(work, cache).head("main").commit == head
    assert opened(work, cache).resolve("refs/remotes/origin/main").commit == head
    with pytest.raises(UnknownRevision):
        opened(work, cache).resolve("refs/heads/main")
    lead(work, "refs/heads/main", head)
    assert opened(work, cache).head("main").commit == head
    assert opened(work, cache).resolve("refs/heads/main").commit == head


def test_a_name_that_means_several_revisions_is_refused_and_they_are_named(work: Work, cache: Path) -> None:
    first, second = work.commit({"alice.yaml": ALICE}), work.commit({"bob.yaml": BOB})
    lead(work, "refs/remotes/origin/main", second)
    for tag in ("main", "origin/main", "heads/main", first[:8], second):
        lead(work, f"refs/tags/{tag}", first)
    repository = opened(work, cache)
    for name, also in (
        ("main", "refs/heads/main"),
        ("main~1", "refs/heads/main"),
        ("main@{0}", "refs/heads/main"),
        ("heads/main^{commit}", "refs/heads/main"),
        ("origin/main", "refs/remotes/origin/main"),
        (first[:8], first),
    ):
        with pytest.raises(SourceError, match=rf"ambiguous .*: .*\b{also}\b.*; name one of them in full"):
            repository.resolve(name)
    assert repository.resolve("refs/heads/main").commit == repository.resolve("refs/heads/main@{0}").commit == second
    assert repository.resolve("refs/tags/main").commit == repository.resolve(first).commit == first
    assert repository.resolve(second).commit == second
    lead(work, "refs/tags/2030", first)
    assert repository.resolve("2030").commit == first, "no id begins so"


def test_a_name_that_git_describe_prints_is_never_a_branch_of_that_name(work: Work, cache: Path) -> None:
    first = work.commit({"alice.yaml": ALICE})
    work.git("tag", "-a", "-m", "x", "v1")
    head = work.commit({"bob.yaml": BOB})
    described = work.git("describe")
    assert described.startswith("v1-1-g")
    assert opened(work, cache).resolve(described).commit == head
    lead(work, f"refs/heads/{described}", first)
    with pytest.raises(SourceError, match=rf"ambiguous .*refs/heads/{described} or {head}"):
        opened(work, cache).resolve(described)


def test_what_git_leaves_in_its_folder_is_never_a_tag_of_that_name(work: Work, cache: Path) -> None:
    first, second = work.commit({"alice.yaml": ALICE}), work.commit({"bob.yaml": BOB})
    work.git("update-ref", "ORIG_HEAD", first)
    assert opened(work, cache).resolve("ORIG_HEAD").commit == first
    for name in ("ORIG_HEAD", "FETCH_HEAD"):
        lead(work, f"refs/tags/{name}", second)
        with pytest.raises(SourceError, match=f"ambiguous .*: refs/tags/{name} or git's own {name}"):
            opened(work, cache).resolve(name)
        assert opened(work, cache).resolve(f"refs/tags/{name}").commit == second


def test_forty_digits_are_no_whole_id_where_ids_are_longer(tmp_path: Path, cache: Path) -> None:
    work = Work(tmp_path / "longer", "--object-format=sha256")
    head = work.commit({"alice.yaml": ALICE})
    evil = work.commit({"bob.yaml": BOB}, "Evil")
    assert opened(work, cache).resolve(head[:40]).commit == opened(work, cache).resolve(head).commit == head
    lead(work, f"refs/tags/{head[:40]}", evil)
    with pytest.raises(SourceError, match="ambiguous"):
        opened(work, cache).resolve(head[:40])


@pytest.mark.parametrize("kind", ["blob", "tree"])
def test_a_branch_whose_name_begins_the_id_of_a_file_or_folder_has_one_meaning(kind: str, work: Work, cache: Path) -> None:
    head = work.commit({"alice.yaml": ALICE})
    name = work.git("rev-parse", "HEAD:alice.yaml" if kind == "blob" else "HEAD^{tree}")[:8]
    lead(work, f"refs/heads/{name}", head)
    assert opened(work, cache).resolve(name).commit == head


def test_head_is_never_a_tag_of_this_name(work: Work, cache: Path) -> None:
    first = work.commit({"alice.yaml": ALICE})
    lead(work, "refs/tags/HEAD", work.commit({"bob.yaml": BOB}))
    work.git("checkout", "-q", first)
    for rev in ("HEAD", "@", "HEAD~0"):
        assert opened(work, cache).resolve(rev).commit == first
    assert find_standing(str(work.folder), first, "") == (None, first, 0, 0, 0)
    work.git("checkout", "-q", "--orphan", "empty")
    lead(work, "refs/heads/HEAD", first)
    for rev in ("HEAD", "@", "HEAD~0", "@{0}"):
        with pytest.raises(UnknownRevision, match="has no HEAD to go by; name the branch"):
            opened(work, cache).resolve(rev)
    assert find_standing(str(work.folder), first, "") is None


@pytest.mark.parametrize(
    "rev",
    [
        *(
            "",
            "-",
            "--help",
            "--upload-pack=x",
            "--all",
            "main..side",
            "main...side",
            "^main",
            "a\0b",
            "main\n",
            "main\nHEAD",
            "a b",
        ),
        *(
            "@{-9}",
            "@{upstream}",
            "main@{99999}",
            "HEAD~99",
            "main:alice.yaml",
            "main^{tree}",
            ":/nothing",
            "*",
            "0" * 40,
            "f" * 64,
        ),
        *("x" * 2_000_000, "main^{commit", "refs/heads", "../../etc/passwd", "main --", "mäin", "\udcff"),
    ],
)
def test_a_text_that_names_no_commit_is_an_unknown_revision(rev: str, work: Work, cache: Path) -> None:
    work.commit({"alice.yaml": ALICE})
    with pytest.raises(UnknownRevision) as caught:
        opened(work, cache).resolve(rev)
    assert len(str(caught.value)) < 6_000


def test_an_unknown_revision_is_answered_with_the_nearest(work: Work, cache: Path) -> None:
    work.commit({"alice.yaml": ALICE})
    work.git("branch", "production")
    with pytest.raises(UnknownRevision, match="did you mean `production`"):
        opened(work, cache).resolve("prodution")


def test_a_repository_without_commits_says_so(work: Work, cache: Path) -> None:
    with pytest.raises(UnknownRevision, match="has no commits yet"):
        opened(work, cache).resolve("main")


@pytest.mark.parametrize(
    ("author", "name", "year"),
    [
        (b"<a@b> 1 +0000", "a@b", 1970),
        (b"A <> 1 +0000", "A", 1970),
        (b"A <a@b> 99999999999999 +0000", "A", 9999),
        (b"A <a@b> -99 +0000", "A", 1970),
        (b"A <a@b> " + b"9" * 6000 + b" +0000", "A", 9999),
        (b"\xff\xfe <a@b> 1 +0000", "\ufffd\ufffd", 1970),
        (b"nonsense", "unknown", 1970),
    ],
)
def test_a_malformed_commit_is_described_as_well_as_possible(
    author: bytes, name: str, year: int, work: Work, cache: Path
) -> None:
    work.commit({"alice.yaml": ALICE})
    tree = work.git("rev-parse", "HEAD^{tree}").encode()
    raw = b"tree " + tree + b"\nauthor " + author + b"\ncommitter C <c@d> 1 +0000\nauthor E <e@f> 2 +0000\n\n\xff" + b"x" * 999
    commit = work.git("hash-object", "-t", "commit", "--literally", "-w", "--stdin", stdin=raw)
    found = opened(work, cache).resolve(commit)
    assert (found.author, found.time.year, len(found.summary)) == (name, year, 200)


@pytest.mark.parametrize(
    ("encoding", "written", "author"),
    [
        (b"ISO-8859-1", "Jürgen Müller".encode("latin-1"), "Jürgen Müller"),
        (b"EUC-JP", "山田".encode("euc-jp"), "山田"),
        (b"no-such-encoding", "Jürgen".encode(), "Jürgen"),
        (b"zip", b"Jim", "Jim"),
        (b"utf-8\0", b"Jim", "Jim"),
        (b"Punycode", b"Jim-", "Jim-"),
        (b"unicode_escape", rb"\ud800\x00Jim", "?\ufffdJim"),
    ],
)
def test_a_commit_is_read_in_the_encoding_that_it_names(
    encoding: bytes, written: bytes, author: str, work: Work, cache: Path
) -> None:
    work.commit({"alice.yaml": ALICE})
    tree = work.git("rev-parse", "HEAD^{tree}").encode()
    who = written + b" <a@b> 1 +0000\n"
    raw = b"tree " + tree + b"\nauthor " + who + b"committer " + who + b"encoding " + encoding + b"\n\n" + written
    commit = work.git("hash-object", "-t", "commit", "--literally", "-w", "--stdin", stdin=raw)
    found = opened(work, cache).resolve(commit)
    assert (found.author, found.summary) == (author, author)


# Files


def test_names_of_any_kind_are_read(work: Work, cache: Path) -> None:
    names = [
        "a b.yaml",
        "new\nline.yaml",
        'quote".yaml',
        "tab\t.yaml",
        "ä/ö.yaml",
        "-x.yaml",
        "[a]*.yaml",
        ":x.yaml",
        "back\\slash.yml",
    ]
    odd = os.fsdecode(b"latin-\xe4.yaml")
    head = work.commit({**{name: name.encode() for name in names}, odd: b"odd"})
    repository = opened(work, cache)
    found = contents(repository, head)
    assert found == {**{name: name.encode() for name in names}, "latin-\\xe4.yaml": b"odd"}
    assert all(repository.content(head, name) == name.encode() for name in names)
    changed = repository.changed(work.git("commit-tree", "-m", "x", work.git("mktree")), head, "")
    assert {file.path for file in changed or ()} == set(found)
    assert {name for name, _ in list_files(work.folder)[0]} == set(found)
    assert repository.content(head, "latin-\\xe4.yaml") == b"odd"
    assert {repository.blame(head, name, 1).commit for name in ("new\nline.yaml", "latin-\\xe4.yaml")} == {head}


@pytest.mark.parametrize("path", ["a b", "[x]*", "ä", ":(glob)x", "-o", "new\nline", "deep/er"])
def test_a_folder_of_any_name_is_read_and_nothing_else(path: str, work: Work, cache: Path) -> None:
    files: dict[str, bytes | None] = {f"{path}/in.yaml": ALICE, f"{path}2/out.yaml": BOB, "x/out.yaml": BOB, "out.yaml": BOB}
    first = work.commit({**files, f"{path}/.accordignore": b"draft.yaml", f"{path}/draft.yaml": b"a: 1\n"})
    head = work.commit(dict.fromkeys(files, ALICE + b"#\n") | {f"{path}/draft.yaml": b"a: 2\n"})
    repository = opened(work, cache)
    assert contents(repository, head, path) == {f"{path}/in.yaml": ALICE + b"#\n"}
    assert [file.path for file in repository.changed(first, head, path) or ()] == [f"{path}/in.yaml"]


def test_a_missing_folder_is_an_error(work: Work, cache: Path) -> None:
    head = work.commit({"alice.yaml": ALICE, "users/bob.yaml": BOB})
    for path in ("nowhere", "alice.yaml", "user", "..", "*"):
        with pytest.raises(SourceError):
            opened(work, cache).entries(head, path)


def test_links_and_nested_repositories_are_skipped_with_a_warning(work: Work, cache: Path) -> None:
    first = work.commit({"alice.yaml": ALICE, ".accordignore": b"quiet\n"})
    for name, target in (
        ("link.yaml", "alice.yaml"),
        ("folder", "/etc"),
        ("README.md", "alice.yaml"),
        (".dot", "/etc"),
        ("quiet", "/"),
    ):
        (work.folder / name).symlink_to(target)
    for name in ("sub", "deep/sub", ".hidden/sub"):
        inner = work.folder / name
        inner.parent.mkdir(exist_ok=True)
        work.git("clone", "-q", str(work.folder), str(inner))
    head = work.commit({})
    assert work.git("ls-tree", "-r", head).count("160000") == 3
    skipped = [
        ("deep/sub", "submodule"),
        ("folder", "symlink"),
        ("link.yaml", "symlink"),
        ("sub", "submodule"),
    ]  # fmt: skip
    tree = opened(work, cache).entries(head, "")
    assert [name for name, _ in tree.files] == ["alice.yaml"]
    assert [(problem.file, problem.rule) for problem in sorted(tree.skipped)] == skipped
    assert list_files(work.folder) == ([("alice.yaml", work.folder / "alice.yaml")], sorted(tree.skipped))
    assert opened(work, cache).changed(first, head, "") == [ChangedFile(name, None, None) for name, _ in skipped]


def test_an_ignore_file_counts_as_committed(work: Work, cache: Path) -> None:
    first = work.commit({"alice.yaml": ALICE, "drafts/x.yaml": BOB, ".accordignore": b"drafts/\n"})
    second = work.commit({"drafts/x.yaml": b"a: 1\n"})
    third = work.commit({".accordignore": b""})
    repository = opened(work, cache)
    assert [list(contents(repository, commit)) for commit in (first, second, third)] == [
        ["alice.yaml"], ["alice.yaml"], ["alice.yaml", "drafts/x.yaml"],
    ]  # fmt: skip
    assert repository.changed(first, second, "") == []
    assert repository.changed(second, third, "") is None


def test_an_ignore_file_in_a_sub_folder_is_refused_however_it_comes(work: Work, cache: Path) -> None:
    first = work.commit({"alice.yaml": ALICE, "a/b/c/x.yaml": BOB})
    second = work.commit({"a/b/.accordignore": b"\xef\xbb\xbf/c/\r\n"})
    tree = opened(work, cache).entries(second, "")
    assert tree.files == [] and [(one.file, one.rule) for one in tree.skipped] == [("a/b/.accordignore", "ignore-file")]
    assert list_files(work.folder) == ([], tree.skipped)
    assert opened(work, cache).changed(first, second, "") is None


def test_an_ignore_file_that_is_no_readable_text_is_refused_and_nothing_is_read(work: Work, cache: Path) -> None:
    work.commit({"alice.yaml": ALICE, "users/bob.yaml": BOB, "patterns": b"users/\n"})
    place = work.folder / ".accordignore"
    for content in (b"d\xe9p\xf4t/\n", "users/\n".encode("utf-16"), b"*x\n" * 1_001, b"x" * 40_000):
        place.write_bytes(content)
        assert_refused(work, cache)
    place.unlink()
    place.symlink_to("patterns")
    assert_refused(work, cache)


def assert_refused(work: Work, cache: Path) -> None:
    before = work.git("rev-parse", "HEAD")
    head = work.commit({})
    tree = opened(work, cache).entries(head, "")
    assert tree.files == [] and [(one.file, one.rule, one.severity) for one in tree.skipped] == [
        (".accordignore", "ignore-file", "error")
    ]
    assert list_files(work.folder) == ([], tree.skipped)
    assert opened(work, cache).changed(before, head, "") is None


MEANT = {
    "web.YAML": "web.yaml", "web.Yml": "web.yml", "web.yaml ": "web.yaml", "web.yml.": "web.yml", "web.yaml.txt": "web.yaml",
    "web.yaml.bak": "web.yaml", "web.yml~": "web.yml", "web.json": "web.yaml", "web.yalm": "web.yaml", "web.txt": "web.yaml",
    "web": "web.yaml", "#web.yaml#": "#web.yaml",
}  # fmt: skip


@pytest.mark.parametrize("name", MEANT)
def test_a_file_that_looks_meant_and_is_not_read_is_warned_of(name: str, work: Work, cache: Path) -> None:
    first = work.commit({"teams/alice.yaml": ALICE})
    second = work.commit({f"teams/{name}": b"# a comment\n---\n" + BOB})
    for skipped in (opened(work, cache).entries(second, "").skipped, list_files(work.folder)[1]):
        assert [(one.file, one.rule, one.severity, one.suggestion) for one in skipped] == [
            (f"teams/{name}", "not-read", "warning", f"teams/{MEANT[name]}")
        ]
    assert opened(work, cache).changed(first, second, "") == [ChangedFile(f"teams/{name}", None, None)]
    third = work.commit({".accordignore": f"teams/{name}\n".replace("#", "[#]").replace(" ", "\\ ").encode()})
    assert opened(work, cache).entries(third, "").skipped == []


@pytest.mark.parametrize(
    "name", ["package.json", "README.md", "LICENSE", "values.yaml.txt", "notes.txt", ".web.YAML", ".old/web.yml~"]
)
def test_a_file_that_holds_no_resource_or_is_hidden_is_not_warned_of(name: str, work: Work, cache: Path) -> None:
    first = work.commit({"alice.yaml": ALICE})
    text = BOB if name.startswith(".") else b"See:\n\n```\n" + BOB if name == "README.md" else b'{"name": "apiVersion"}'
    second = work.commit({name: text})
    assert opened(work, cache).entries(second, "").skipped == list_files(work.folder)[1] == []
    assert opened(work, cache).changed(first, second, "") == []


def test_a_resource_that_only_a_pattern_hides_beside_others_is_warned_of(work: Work, cache: Path) -> None:
    first = work.commit({"teams/alice.yaml": ALICE, ".accordignore": b"drafts/\n*evil*\n", "mkdocs.yml": b"site_name: x\n"})
    second = work.commit({"teams/evil.yaml": BOB, "drafts/x.yaml": BOB, "other/evil.yaml": BOB})
    [warning] = opened(work, cache).entries(second, "").skipped
    assert (warning.file, warning.rule) == ("teams/evil.yaml", "not-read")
    assert "`*evil*` in .accordignore:2" in warning.message
    assert list_files(work.folder)[1] == [warning]
    assert ChangedFile("teams/evil.yaml", None, None) in (opened(work, cache).changed(first, second, "") or ())


def test_a_folder_holds_no_more_than_regular_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "alice.yaml").write_bytes(ALICE)
    assert [path for _, path in list_files(tmp_path)[0]] == [tmp_path / "alice.yaml"]


def test_files_of_a_folder_are_named_from_the_root_of_its_work_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config/teams").mkdir(parents=True)
    (tmp_path / "config/teams/web.yaml").write_bytes(ALICE)
    (tmp_path / "config/link.yaml").symlink_to("teams/web.yaml")

    def names(folder: str) -> list[str]:
        found, skipped = list_files(Path(folder))
        return [*(name for name, _ in found), *(problem.file for problem in skipped)]

    monkeypatch.chdir(tmp_path)
    assert names("config") == ["config/teams/web.yaml", "config/link.yaml"]  # outside of any, as it was named
    monkeypatch.chdir(tmp_path / "config")
    assert names(".") == ["teams/web.yaml", "link.yaml"]
    (tmp_path / ".git").write_text("gitdir: elsewhere\n")  # as in a worktree
    for folder in (".", "../config", str(tmp_path / "config")):
        assert names(folder) == ["config/teams/web.yaml", "config/link.yaml"]
    assert names("teams/web.yaml") == ["config/teams/web.yaml"]


def test_changes_are_told_with_what_was_there_before(work: Work, cache: Path) -> None:
    (work.folder / "to-file.yaml").symlink_to("x")
    old = work.commit(
        {"same.yaml": ALICE, "edit.yaml": ALICE, "gone.yaml": ALICE, "mode.yaml": ALICE, "moved.yaml": BOB, "x.txt": b"1"}
    )
    (work.folder / "to-file.yaml").unlink()
    (work.folder / "mode.yaml").chmod(0o755)
    new = work.commit(
        {"edit.yaml": BOB, "gone.yaml": None, "to-file.yaml": BOB, "moved.yaml": None, "to.yaml": BOB, "x.txt": b"2"}
    )
    a, b = (work.git("hash-object", "--stdin", stdin=content) for content in (ALICE, BOB))
    repository = opened(work, cache)
    assert repository.changed(old, new, "") == [
        ChangedFile("edit.yaml", a, b),
        ChangedFile("gone.yaml", a, None),
        ChangedFile("mode.yaml", a, a),
        ChangedFile("moved.yaml", b, None),
        ChangedFile("to-file.yaml", None, b),
        ChangedFile("to.yaml", None, b),
    ]
    assert repository.changed(new, new, "") == []
    (work.folder / "edit.yaml").unlink()
    (work.folder / "edit.yaml").symlink_to("to.yaml")
    assert repository.changed(new, work.commit({}), "") == [ChangedFile("edit.yaml", None, None)]
    assert repository.changed("1" * 40, new, "") is None


PLACES = st.sampled_from(
    [
        *("a.yaml", "b.yaml.txt", "notes", "teams/a.yaml", "teams/a.YAML", "teams/more", "teams/c.md"),
        *(".hidden/a.yaml", "drafts/a.yaml", "quiet", "quiet.yaml"),
    ]
)
ENTRIES = st.sampled_from(["100644", "100755", "120000", "160000"])
TREES = st.dictionaries(PLACES, st.tuples(ENTRIES, st.sampled_from([ALICE, BOB, b"x"])), max_size=6)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=TREES, after=TREES)
def test_all_that_is_warned_of_and_new_is_among_the_changes(
    tmp_path_factory: pytest.TempPathFactory, before: dict[str, tuple[str, bytes]], after: dict[str, tuple[str, bytes]]
) -> None:
    """A plan shows the warnings about what the revision changes, and no others."""
    work = Work(tmp_path_factory.mktemp("any") / "config")
    work.git("config", "diff.ignoreSubmodules", "all")
    old, new = (commit_of(work, {**tree, ".accordignore": ("100644", b"/drafts/\n/quiet*\n")}) for tree in (before, after))
    repository = opened(work, work.folder.parent / "cache")
    changed = repository.changed(old, new, "") or []
    told = {file for file, *_ in repository.entries(new, "").skipped}
    differing = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert {file.path for file in changed if file.old_blob is None and file.new_blob is None} >= told & differing
    assert {file.path for file in changed} <= differing
    read = [dict(repository.entries(commit, "").files) for commit in (old, new)]
    for file in changed:
        if file.path not in told:
            assert (file.old_blob, file.new_blob) == tuple(files.get(file.path) for files in read)
    assert {name for name in differing if name in read[0] or name in read[1]} <= {file.path for file in changed}


def commit_of(work: Work, tree: dict[str, tuple[str, bytes]]) -> str:
    """A commit with these entries, by mode and content; a submodule's content is whatever Git calls it."""
    work.git("read-tree", "--empty")
    lines = []
    for name, (mode, content) in tree.items():
        blob = work.git("hash-object", "-w", "--stdin", stdin=content)
        lines.append(f"{mode} {blob}\t{name}")
    work.git("update-index", "--index-info", stdin="\n".join([*lines, ""]).encode())
    return work.git("commit-tree", "-m", "x", work.git("write-tree"))


def test_a_line_is_blamed_on_the_commit_that_wrote_it(work: Work, cache: Path) -> None:
    first = work.commit({"alice.yaml": ALICE}, "First")
    second = work.commit({"alice.yaml": ALICE.replace(b"User", b"Team")}, "Second")
    repository = opened(work, cache)
    assert [repository.blame(second, "alice.yaml", line).commit for line in (1, 2, 3)] == [first, second, first]
    for commit, file, line in ((second, "alice.yaml", 99), (second, "none.yaml", 1), ("1" * 40, "alice.yaml", 1)):
        with pytest.raises(SourceError):
            repository.blame(commit, file, line)


# Histories that end early, and objects that are not there


def test_a_shallow_clone_says_what_it_does_not_know(work: Work, cache: Path, tmp_path: Path) -> None:
    first = work.commit({"alice.yaml": ALICE})
    head = work.commit({"bob.yaml": BOB})
    work.git("clone", "-q", "--depth", "1", f"file://{work.folder}", str(tmp_path / "shallow"))
    repository = opened(tmp_path / "shallow", cache)
    assert contents(repository, repository.resolve("main").commit) == {"alice.yaml": ALICE, "bob.yaml": BOB}
    with pytest.raises(ShallowRepository, match="fetch-depth: 0"):
        repository.is_ancestor(first, head)
    with pytest.raises(ShallowRepository, match="too short to tell"):
        repository.blame(head, "alice.yaml", 1)
    assert repository.changed(first, head, "") is None
    assert repository.is_ancestor(head, head)


@pytest.mark.parametrize("left_out", ["blob:none", "tree:0"])
def test_a_partial_clone_is_named_with_what_completes_it(left_out: str, work: Work, cache: Path, tmp_path: Path) -> None:
    work.git("config", "uploadpack.allowFilter", "true")
    work.git("config", "uploadpack.allowAnySHA1InWant", "true")
    head = work.commit({"deep/alice.yaml": ALICE})
    clone = tmp_path / "partial"
    work.git("clone", "-q", "--no-checkout", f"--filter={left_out}", f"file://{work.folder}", str(clone))
    with pytest.raises(RepositoryUnreachable, match=r"partial is a partial clone .* git fetch --refetch --no-filter"):
        load_revision(opened(clone, cache), head, "", cache=BlobCache(None))
    work.git("-C", str(clone), "fetch", "-q", "--refetch", "--no-filter")
    assert load_revision(opened(clone, cache), head, "", cache=BlobCache(None)).files == 1


def test_a_sparse_checkout_is_warned_of_if_it_leaves_out_resources(work: Work, cache: Path) -> None:
    work.commit({"users/alice.yaml": ALICE, "teams/web.yaml": ALICE, "src/main.c": b""})
    assert sparse_warning(work.folder) == []
    work.git("sparse-checkout", "set", "users", "teams")
    assert not (work.folder / "src").exists() and sparse_warning(work.folder) == []
    work.git("sparse-checkout", "set", "users")
    [warning] = sparse_warning(work.folder)
    assert "leaves out 1 file" in warning.message and "git sparse-checkout disable" in warning.message
    assert sparse_warning(work.folder / "users") == []
    found = validate_folder(work.folder, cache, now=datetime.now(UTC))
    assert [problem.rule for problem in found.problems] == ["sparse-checkout"]


def test_a_folder_of_resources_with_a_dot_is_read_and_warned_of_like_any_other(work: Work, cache: Path) -> None:
    work.commit({".accord/users/alice.yaml": ALICE, ".accord/.hidden/x.yaml": ALICE, ".other/y.yaml": ALICE, ".accord/note": b""})
    (work.folder / ".accord/users/note.txt").write_bytes(b"")
    work.git("sparse-checkout", "set", "--no-cone", "/.accord/note")
    [warning] = sparse_warning(work.folder / ".accord")
    assert "leaves out 1 file" in warning.message


def test_borrowed_objects_are_read_while_their_repository_exists(work: Work, cache: Path, tmp_path: Path) -> None:
    head = work.commit({"alice.yaml": ALICE})
    work.git("clone", "-q", "--shared", "--bare", str(work.folder), str(tmp_path / "shared"))
    assert contents(opened(tmp_path / "shared", cache), head) == {"alice.yaml": ALICE}
    (tmp_path / "shared" / "objects" / "info" / "alternates").write_text(f"{tmp_path}/gone\n")
    with pytest.raises(SourceError, match="/gone does not exist"):
        opened(tmp_path / "shared", cache).resolve("main")


@pytest.mark.parametrize(
    "damage",
    [
        b"", b"not zlib", zlib.compress(b"blob 5\0abc"), zlib.compress(b"blob 3\0abcdef"), zlib.compress(b"nonsense"),
        zlib.compress(b"blob %d\0" % len(BOB) + BOB), zlib.compress(b"tree 0\0"), zlib.compress(b"blob -1\0"),
    ],
)  # fmt: skip
def test_a_damaged_object_is_an_error_and_never_read(damage: bytes, work: Work, cache: Path) -> None:
    head = work.commit({"alice.yaml": ALICE, "bob.yaml": BOB.replace(b"bob", b"rob")})
    work.overwrite(work.git("rev-parse", "HEAD:alice.yaml"), damage)
    repository = opened(work, cache)
    with pytest.raises(RepositoryUnreachable, match="damaged"):
        load_revision(repository, repository.resolve(head).commit, "", cache=BlobCache(None))


def test_a_missing_object_is_an_error(work: Work, cache: Path) -> None:
    head = work.commit({"users/alice.yaml": ALICE})
    repository = opened(work, cache)
    for name in ("HEAD:users/alice.yaml", "HEAD:users"):
        work.object_file(work.git("rev-parse", name)).unlink()
        with pytest.raises(RepositoryUnreachable):
            contents(repository, head)
    work.object_file(head).unlink()
    assert not repository.has(head)
    with pytest.raises(SourceError, match="missing"):
        repository.resolve("main")


def test_a_damaged_pack_is_an_error(work: Work, cache: Path) -> None:
    head = work.commit({f"{number}.yaml": os.urandom(2_000).hex().encode() for number in range(20)})
    work.git("repack", "-adq")
    (pack,) = (work.folder / ".git" / "objects" / "pack").glob("*.pack")
    content = bytearray(pack.read_bytes())
    for place in range(2_000, len(content) - 100, 500):
        content[place] ^= 0xFF
    pack.chmod(0o644)
    pack.write_bytes(content)
    with pytest.raises(RepositoryUnreachable):
        contents(opened(work, cache), head)
    pack.write_bytes(content[: len(content) // 2])
    with pytest.raises(SourceError):
        contents(opened(work, cache), head)


@pytest.mark.parametrize(
    ("file", "content"), [("HEAD", b"\0\xff"), ("HEAD", b""), ("config", b"[core\n"), ("packed-refs", b"\0\xff\n")]
)
def test_a_damaged_repository_is_an_error(file: str, content: bytes, work: Work, cache: Path) -> None:
    work.commit({"alice.yaml": ALICE})
    (work.folder / ".git" / file).write_bytes(content)
    with pytest.raises(SourceError):
        opened(work, cache).resolve("main").commit.index("no")


# Size


@pytest.mark.slow
def test_a_file_too_large_is_a_problem_of_that_file_and_takes_little_memory(work: Work, cache: Path, tmp_path: Path) -> None:
    huge = work.folder / "huge.yaml"
    with huge.open("wb") as stream:
        stream.truncate(200 << 20)
    work.commit({"alice.yaml": ALICE, "fits.yaml": b"#" * LARGEST_FILE, "over.yaml": b"#" * (LARGEST_FILE + 1), "zoe.yaml": BOB})
    work.git("repack", "-adq")
    program = """
import resource, sys
from pathlib import Path
from reconciler.source.cache import BlobCache
from reconciler.source.load import load_revision
from reconciler.source.repository import Repository
repository = Repository.open(sys.argv[1], Path(sys.argv[2]))
resource.setrlimit(resource.RLIMIT_DATA, (180 << 20, 180 << 20))  # for git too
loaded = load_revision(repository, repository.resolve("main").commit, "", cache=BlobCache(None))
problems = loaded.problems
names = [found.resource.name for found in loaded.declarations]
print(sorted(problem.file for problem in problems), {problem.rule for problem in problems}, names)
"""
    listener = tmp_path / "bin" / "git"  # git may run out of memory only after it said how large the blob is
    listener.parent.mkdir()
    listener.write_text(f'#!/bin/sh\n{shutil.which("git")} "$@" 2>> {tmp_path}/said\n')
    listener.chmod(0o755)
    environment = {**os.environ, "PATH": f"{listener.parent}:{os.environ['PATH']}"}
    command = [sys.executable, "-c", program, str(work.folder), str(cache)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "['fits.yaml', 'huge.yaml', 'over.yaml'] {'too-large'} ['alice', 'bob']\n", done.stderr
    assert "memory" not in (tmp_path / "said").read_text()


def test_blobs_after_one_that_is_too_large_are_read(work: Work, cache: Path) -> None:
    large, small = (work.git("hash-object", "-w", "--stdin", stdin=content) for content in (b"x" * (LARGEST_FILE + 1), ALICE))
    work.commit({})
    repository = opened(work, cache)
    assert list(repository.read([large, small, large, large, small])) == [
        (large, None), (small, ALICE), (large, None), (large, None), (small, ALICE),
    ]  # fmt: skip
    assert list(repository.read([])) == []


# Other formats


def test_a_repository_of_sha_256_is_read(tmp_path: Path, cache: Path) -> None:
    work = Work(tmp_path / "sha256", "--object-format=sha256")
    old = work.commit({"alice.yaml": ALICE})
    head = work.commit({"bob.yaml": BOB})
    repository = opened(work, cache)
    assert len(repository.resolve("main").commit) == 64
    assert contents(repository, head) == {"alice.yaml": ALICE, "bob.yaml": BOB}
    assert [file.path for file in repository.changed(old, head, "") or ()] == ["bob.yaml"]
    assert repository.is_ancestor(old, head) and repository.blame(head, "alice.yaml", 1).commit == old
    work.overwrite(work.git("rev-parse", "HEAD:bob.yaml"), zlib.compress(b"blob %d\0" % len(ALICE) + ALICE))
    with pytest.raises(RepositoryUnreachable, match="damaged"):
        contents(repository, head)
