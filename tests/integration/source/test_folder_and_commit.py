"""A folder and the commit of it are read alike, whatever its files are called: else what was checked is not what is applied."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from effort import tries
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from work_tree import ALICE, BOB, Work, opened

from reconciler.source.cache import open_cache
from reconciler.source.load import Loaded, load_folder, load_revision
from reconciler.source.rules import problems_of

NOW = datetime(2026, 6, 1, tzinfo=UTC)
TEAM = b"apiVersion: accord/v1\nkind: Team\nmetadata: {name: web}\nspec: {members: [alice, nobody]}\n"
STEMS = st.sampled_from(
    [
        *(
            b"a",
            b"A",
            b"b",
            b"q\\xff",
            b"q\xff",
            b"q\\x5cxff",
            b"\\",
            b"x y",
            b" ",
            b"-a",
            b":a",
            b"[a]",
            b"*",
            b'"',
            b"new\nline",
        ),
        *("\u00e9".encode(), "e\u0301".encode(), b"\xe9", b"\xed\xa0\x80", b".hidden", b"drafts", b"a.b", b"~", b"$(id)"),
    ]
)
ENDINGS = st.sampled_from([b"", b".yaml", b".yaml", b".yml", b".YAML", b".yaml.txt", b".yaml ", b".json", b".yaml\\", b".md"])
NAMES = st.tuples(STEMS, ENDINGS).map(b"".join)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(b"/".join)
CONTENTS = st.sampled_from([ALICE, BOB, TEAM, ALICE + b"---\n" + BOB, b"a: [\n", b"", b"kind: \xff\n"])
LINK = st.just(b"a.yaml").map(lambda target: (target, "link"))
FILES = st.dictionaries(PATHS, CONTENTS.map(lambda content: (content, "file")) | LINK, max_size=7)
IGNORED = st.sampled_from(
    [None, b"", b"/drafts/\n", b"q*\n", b"*.yml\n", "\u00e9*\n".encode(), b"a/**\n!b.yaml\n", b"\\\\*\n", b"q?xff*\n"]
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("trees")


def filled(folder: Path, files: dict[bytes, tuple[bytes, str]], ignored: bytes | None) -> Work:
    """A work tree with those of the files that can be there together, committed."""
    shutil.rmtree(folder, ignore_errors=True)
    work = Work(folder)
    if ignored is not None:
        (folder / ".accordignore").write_bytes(ignored)
    for name, (content, what) in files.items():
        path = folder / os.fsdecode(name)
        with suppress(FileExistsError, NotADirectoryError, IsADirectoryError):
            path.parent.mkdir(parents=True, exist_ok=True)
            if what == "link":
                path.symlink_to(content.decode())
            elif not path.is_symlink():
                path.write_bytes(content)
    return work


def said(loaded: Loaded) -> tuple[object, ...]:
    return loaded.declarations, problems_of(loaded, NOW), loaded.files, loaded.broken, loaded.partial


@settings(max_examples=tries(25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=FILES, ignored=IGNORED)
@example(files={b"q\\xff.yaml": (ALICE, "file"), b"q\xff.yaml": (BOB, "file")}, ignored=None)
@example(files={b"\xff.yaml": (ALICE, "file"), b"a.yaml": (ALICE, "file"), b"~.yaml": (ALICE, "file")}, ignored=None)
def test_a_folder_and_the_commit_of_it_give_the_same(
    place: Path, files: dict[bytes, tuple[bytes, str]], ignored: bytes | None
) -> None:
    work = filled(place / "config", files, ignored)
    head = work.commit({})
    cache = place / "cache"
    for first in (True, False):  # whoever reads first decides nothing
        shutil.rmtree(cache, ignore_errors=True)
        readers = [
            lambda: load_folder(work.folder, cache=open_cache(cache)),
            lambda: load_revision(opened(work, cache), head, "", cache=open_cache(cache)),
        ]
        one, other = [said(read()) for read in (readers if first else reversed(readers))]
        assert one == other
