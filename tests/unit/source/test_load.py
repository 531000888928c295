"""Loading: no blob is parsed twice, problems carry their files, and it does not matter who parses or what is remembered."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

import reconciler.source.load
from reconciler.source.blobs import Blob, blob_id, read_blob
from reconciler.source.cache import BlobCache, open_cache
from reconciler.source.errors import SourceError
from reconciler.source.load import Loaded, load_folder, load_listed, load_revision
from reconciler.source.repository import Repository
from reconciler.source.rules import check, problems_of

NOW = datetime(2026, 6, 1, tzinfo=UTC)
NOTHING = BlobCache(None)


def user(name: str, more: str = "") -> bytes:
    return f"apiVersion: accord/v1\nkind: User\nmetadata: {{name: {name}}}\nspec: {{email: {name}@example.org{more}}}\n".encode()


def write(folder: Path, files: Mapping[str, bytes]) -> Path:
    """A Git work tree with the files."""
    (folder / ".git").mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def committed(folder: Path, files: Mapping[str, bytes]) -> tuple[Repository, str]:
    """A bare repository with one commit of the files."""
    git = ["git", "-C", str(folder)]
    folder.mkdir()
    subprocess.run([*git, "init", "-q", "--bare", "-b", "main"], check=True)
    script = b"commit refs/heads/main\ncommitter A <a@example.org> 1770000000 +0000\ndata 0\n"
    named = ((os.fsencode(name), len(data), data) for name, data in files.items())
    script += b"".join(b"M 100644 inline %s\ndata %d\n%s\n" % each for each in named)
    subprocess.run([*git, "fast-import", "--quiet"], input=script, check=True)
    repository = Repository.open(str(folder), folder / "cache")
    return repository, repository.resolve("main").commit


def said(loaded: Loaded) -> tuple[object, ...]:
    """What was loaded, without the function."""
    return (loaded.declarations, loaded.problems, loaded.files, loaded.broken)


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The contents that are parsed, one after the other."""
    seen: list[bytes] = []

    def read(content: bytes) -> Blob:
        seen.append(content)
        return read_blob(content)

    monkeypatch.setattr(reconciler.source.load, "read_blob", read)
    return seen


FILES = {
    "a.yaml": user("alice"),
    "b/a.yaml": user("alice"),
    "c.yaml": user("bob", ", enabeld: true"),
    "d.yaml": user("bob", ", x: 1"),
}


def test_a_blob_in_two_files_is_parsed_once_and_found_in_both(tmp_path: Path, parsed: list[bytes]) -> None:
    repository, head = committed(tmp_path / "config.git", FILES)
    loaded = load_revision(repository, head, "", cache=NOTHING)
    assert len(parsed) == 3
    assert [(found.resource.name, str(found.origin)) for found in loaded.declarations] == [
        ("alice", "a.yaml:1"),
        ("alice", "b/a.yaml:1"),
    ]
    (problem,) = check(loaded.declarations, NOW, locate=loaded.locate)
    assert str(problem) == (
        "b/a.yaml:3:18: error: user `alice` is declared twice; the other one is in a.yaml:1 [duplicate-name]"
    )  # fmt: skip
    parsed.clear()
    folder = load_folder(write(tmp_path / "folder", FILES), cache=NOTHING)
    assert said(folder) == said(loaded)
    assert len(parsed) == 3
    assert check(folder.declarations, NOW, locate=folder.locate) == [problem]


def test_a_broken_file_in_two_places_is_two_problems(tmp_path: Path) -> None:
    loaded = load_folder(write(tmp_path, {"a.yaml": b"a: [\n", "b.yaml": b"a: [\n"}), cache=NOTHING)
    assert [(problem.file, problem.rule) for problem in loaded.problems] == [("a.yaml", "yaml-syntax"), ("b.yaml", "yaml-syntax")]


def test_unreadable_files_are_not_reported_as_an_empty_repository(tmp_path: Path) -> None:
    (problem,) = problems_of(load_folder(write(tmp_path, {"a.yaml": b"a: [\n"}), cache=NOTHING), NOW)
    assert problem.rule == "yaml-syntax"


def test_cached_files_are_not_parsed_and_give_the_same_result(tmp_path: Path, parsed: list[bytes]) -> None:
    repository, head = committed(tmp_path / "config.git", FILES)
    folder = write(tmp_path / "folder", FILES)
    first = load_revision(repository, head, "", cache=open_cache(tmp_path / "cache"))
    parsed.clear()
    assert said(load_revision(repository, head, "", cache=open_cache(tmp_path / "cache"))) == said(first)
    assert said(load_folder(folder, cache=open_cache(tmp_path / "cache"))) == said(first)
    assert parsed == []
    write(folder, {"c.yaml": user("carol")})
    load_folder(folder, cache=open_cache(tmp_path / "cache"))
    assert parsed == [user("carol")]


@pytest.mark.parametrize("first", [b"q\\xff.yaml", b"q\xff.yaml"])
def test_the_result_of_one_file_is_never_kept_for_another(first: bytes, tmp_path: Path) -> None:
    """Both names would be shown alike if a backslash were shown as it is."""
    names = [os.fsdecode(name) for name in (b"q\\xff.yaml", b"q\xff.yaml")]
    folder = write(tmp_path / "folder", {names[0]: user("alice"), names[1]: b"\n\n" + user("bob")})
    loaded = load_folder(folder, cache=open_cache(tmp_path / "cache"))
    places = {each.resource.name: loaded.locate([(each, ["spec", "email"])])[0] for each in loaded.declarations}
    assert places == {"alice": (4, 15), "bob": (6, 15)}
    repository, head = committed(tmp_path / "config.git", {os.fsdecode(first): user("alice")})
    again = load_revision(repository, head, "", cache=open_cache(tmp_path / "cache"))
    assert [each.resource.name for each in again.declarations] == ["alice"]


def test_files_of_one_name_are_read_each_by_itself(tmp_path: Path) -> None:
    load_listed([("a.yaml", user("alice")), ("a.yaml", user("bob"))], cache=open_cache(tmp_path))
    loaded = load_listed([("b.yaml", user("alice"))], cache=open_cache(tmp_path))
    assert [each.resource.name for each in loaded.declarations] == ["alice"]


def test_progress_goes_to_the_number_of_blobs_and_files(tmp_path: Path) -> None:
    repository, head = committed(tmp_path / "config.git", FILES)
    steps: list[tuple[int, int]] = []
    load_revision(repository, head, "", cache=NOTHING, progress=lambda *step: steps.append(step))
    assert steps == [(3, 3)]
    steps.clear()
    load_folder(write(tmp_path / "folder", FILES), cache=NOTHING, progress=lambda *step: steps.append(step))
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.slow
def test_worker_processes_give_the_same_result_as_this_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {f"users/{number:04}.yaml": user(f"u-{number}", ", x: 1" if number % 7 == 0 else "") for number in range(2_600)}
    files |= {"same-a.yaml": files["users/0001.yaml"], "broken.yaml": b"a: [\n", "large.yaml": b"#" * ((16 << 20) + 1)}
    repository, head = committed(tmp_path / "config.git", files)
    monkeypatch.setattr(reconciler.source.load, "_SHARE", 800)
    steps: list[tuple[int, int]] = []
    by_workers = load_revision(repository, head, "", cache=NOTHING, progress=lambda *step: steps.append(step))
    assert len(steps) >= 4 and steps[-1] == (2_602, 2_602)
    monkeypatch.setattr(reconciler.source.load, "_FEW", 10_000)
    here = load_revision(repository, head, "", cache=NOTHING)
    assert said(by_workers) == said(here) == said(load_folder(write(tmp_path / "folder", files), cache=NOTHING))
    assert len(here.declarations) == 2_229 and {problem.rule for problem in here.problems} >= {"too-large", "yaml-syntax"}


def test_an_error_of_a_worker_is_the_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository, _ = committed(tmp_path / "config.git", FILES)
    monkeypatch.setattr(reconciler.source.load, "_FEW", 0)
    with pytest.raises(SourceError, match="is missing or damaged"):
        reconciler.source.load.load_files(repository, [("a.yaml", "1" * 40)], cache=NOTHING)


def test_one_file_is_loaded_alone(tmp_path: Path) -> None:
    file = write(tmp_path, FILES) / "a.yaml"
    loaded = load_folder(file, cache=NOTHING)
    assert [(found.resource.name, found.origin.file) for found in loaded.declarations] == [("alice", "a.yaml")]
    assert check([*loaded.declarations] * 2, NOW, locate=loaded.locate)[0].file == "a.yaml"


def test_a_folder_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="there is no folder"):
        load_folder(tmp_path / "nowhere", cache=NOTHING)
    if os.geteuid() != 0:
        (tmp_path / "closed").mkdir(mode=0)
        with pytest.raises(SourceError, match="cannot be read"):
            load_folder(tmp_path, cache=NOTHING)
        (tmp_path / "closed").chmod(0o700)


def test_the_id_of_a_blob_is_the_one_git_gives_it(tmp_path: Path) -> None:
    file = write(tmp_path, {"a": user("alice")}) / "a"
    assert blob_id(user("alice")) == subprocess.check_output(["git", "hash-object", "--no-filters", file], text=True).strip()


def test_the_places_of_problems_in_many_files_are_read_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {f"{number}.yaml": user("alice") for number in range(3)} | {"other.yaml": user("alice", ", fullName: A")}
    repository, head = committed(tmp_path / "config.git", files)
    loaded = load_revision(repository, head, "", cache=NOTHING)
    asked: list[int] = []
    read = Repository.read

    def counted(self: Repository, blobs: Iterable[str]) -> Iterator[tuple[str, bytes | None]]:
        asked.append(len(wanted := list(blobs)))
        return read(self, wanted)

    monkeypatch.setattr(Repository, "read", counted)
    assert [str(problem).split(" ")[0] for problem in check(loaded.declarations, NOW, locate=loaded.locate)] == [
        "1.yaml:3:18:",
        "2.yaml:3:18:",
        "other.yaml:3:18:",
    ]
    assert asked == [3]
    assert check([], NOW, locate=loaded.locate)[0].file == "."
    assert asked == [3]


HALF_A_MESSAGE = """
import os
from multiprocessing import forkserver
from reconciler.source.load import _workers
with _workers(0):
    answers, asks = forkserver.connect_to_new_process([])
    os.close(asks)
    while os.read(answers, 64):
        pass
"""


def test_a_worker_says_nothing_if_whoever_asked_for_it_was_killed() -> None:
    assert subprocess.run([sys.executable, "-c", HALF_A_MESSAGE], capture_output=True, check=True, text=True).stderr == ""
