"""The cache of parsed blobs: what is remembered is what was put there, and whatever is wrong with the file, nothing breaks."""

from __future__ import annotations

import gc
import os
import shutil
import sqlite3
import zlib
from pathlib import Path

import grimp
import pytest

import reconciler.source.cache
from reconciler.shipped import schema_folder
from reconciler.source.cache import BlobCache, open_cache


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def file_in(folder: Path) -> Path:
    (file,) = folder.glob("blobs-*.db")
    return file


def remembers(folder: Path) -> bool:
    """Whether what one process puts there is there for the next."""
    open_cache(folder).put([("1" * 40, b"[1]")])
    return open_cache(folder).get(["1" * 40]) == {"1" * 40: b"[1]"}


def test_cached_values_are_there_for_the_next_process(folder: Path) -> None:
    open_cache(folder).put([("b", b"2"), ("a", b"1"), ("c", b"")])
    assert open_cache(folder).get(["a", "c", "none", "b"]) == {"a": b"1", "b": b"2", "c": b""}
    assert open_cache(folder).get([]) == {}
    open_cache(folder).put([])


def test_cached_values_are_not_replaced(folder: Path) -> None:
    open_cache(folder).put([("a", b"1")])
    open_cache(folder).put([("a", b"2"), ("b", b"2")])
    assert open_cache(folder).get(["a", "b"]) == {"a": b"1", "b": b"2"}


@pytest.mark.parametrize("count", [899, 900, 901, 2_500, 20_001])
def test_any_number_of_blobs_is_found(count: int, folder: Path) -> None:
    entries = {f"{number:040x}": str(number).encode() for number in range(count)}
    open_cache(folder).put([*entries.items(), ("other", b"x")])
    assert open_cache(folder).get(entries) == entries


@pytest.mark.parametrize(
    "change",
    [
        "payload = x'00'", "payload = ''", "payload = NULL", "payload = 'text'", "payload = 5", "checksum = 0", "checksum = NULL",
        "checksum = 'x'",
    ],
)  # fmt: skip
def test_a_damaged_entry_is_ignored_and_the_others_are_used(change: str, folder: Path) -> None:
    open_cache(folder).put([("a", b"1"), ("b", b"2")])
    with sqlite3.connect(file_in(folder)) as connection:
        connection.execute(f"UPDATE blobs SET {change} WHERE id = 'a'")
    connection.close()
    assert open_cache(folder).get(["a", "b"]) == {"b": b"2"}


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\0" + b"\xff" * 5_000, bytes(100_000)])
def test_a_file_that_is_not_a_database_breaks_nothing(content: bytes, folder: Path) -> None:
    open_cache(folder).put([("a", b"1")])
    gc.collect()  # closes its connection
    file = file_in(folder)
    assert not list(folder.glob("*-wal"))
    file.write_bytes(content)
    cache = open_cache(folder)
    assert cache.get(["a"]) == {}
    cache.put([("a", b"1")])
    assert cache.get(["b"]) == {}


def test_a_database_that_is_cut_off_or_has_other_tables_breaks_nothing(folder: Path) -> None:
    open_cache(folder).put((f"{number:040x}", bytes(500)) for number in range(500))
    file = file_in(folder)
    sqlite3.connect(file).execute("PRAGMA wal_checkpoint(TRUNCATE)").connection.close()
    os.truncate(file, file.stat().st_size // 2)
    cache = open_cache(folder)
    assert len(cache.get(f"{number:040x}" for number in range(500))) < 500
    cache.put([("x" * 40, b"")])
    shutil.rmtree(folder)
    open_cache(folder)
    with sqlite3.connect(file_in(folder)) as connection:
        connection.executescript("DROP TABLE blobs; CREATE TABLE blobs (id TEXT)")
    connection.close()
    assert not remembers(folder)


@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777])
def test_a_folder_that_others_can_write_to_is_not_trusted(mode: int, folder: Path) -> None:
    assert remembers(folder)
    folder.chmod(mode)
    assert not remembers(folder)
    folder.chmod(0o755)
    assert remembers(folder)


@pytest.mark.parametrize("mode", [0o660, 0o602])
def test_a_file_that_others_can_write_to_is_not_trusted(mode: int, folder: Path) -> None:
    assert remembers(folder)
    file_in(folder).chmod(mode)
    assert not remembers(folder)


def test_a_file_owned_by_somebody_else_is_not_trusted(folder: Path) -> None:
    if os.geteuid() != 0 and os.environ.get("CI") != "true":  # in CI nothing is skipped: it fails instead
        pytest.skip("only root can give files away")
    assert remembers(folder)
    os.chown(file_in(folder), 65534, 65534)
    assert not remembers(folder)
    os.chown(file_in(folder), 0, 0)
    assert remembers(folder)
    os.chown(folder, 65534, 65534)
    assert not remembers(folder)


def test_a_link_is_not_trusted(folder: Path, tmp_path: Path) -> None:
    assert remembers(folder)
    (tmp_path / "link").symlink_to(folder)
    assert not remembers(tmp_path / "link")
    file = file_in(folder)
    file.rename(tmp_path / "elsewhere.db")
    file.symlink_to(tmp_path / "elsewhere.db")
    assert not remembers(folder)


def test_a_new_folder_and_its_file_are_private(folder: Path) -> None:
    open_cache(folder / "deeper").put([("a", b"1")])
    assert (folder / "deeper").stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o077 for file in (folder / "deeper").glob("*.db")} == {0}


def test_a_folder_that_cannot_be_made_breaks_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert not remembers(tmp_path / "file")
    assert not remembers(tmp_path / "file" / "deeper")
    assert not remembers(tmp_path / ("x" * 300))


def test_a_locked_database_is_read_and_what_cannot_be_written_is_forgotten(folder: Path) -> None:
    open_cache(folder).put([("a", b"1")])
    other = sqlite3.connect(file_in(folder), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    connection = sqlite3.connect(file_in(folder), timeout=0.1)
    cache = BlobCache(connection)
    assert cache.get(["a"]) == {"a": b"1"}
    cache.put([("b", b"2")])
    assert cache.get(["a"]) == {}
    cache.put([("c", b"3")])
    other.close()
    connection.close()
    assert open_cache(folder).get(["a", "b", "c"]) == {"a": b"1"}


def test_without_a_database_nothing_is_remembered() -> None:
    cache = BlobCache(None)
    cache.put([("a", b"1")])
    assert cache.get(["a"]) == {}


def test_a_full_disk_breaks_nothing(folder: Path) -> None:
    open_cache(folder).put([("a", b"1")])
    connection = sqlite3.connect(file_in(folder))
    connection.execute("PRAGMA max_page_count = 3")
    cache = BlobCache(connection)
    cache.put([("b", os.urandom(100_000))])
    assert open_cache(folder).get(["a", "b"]) == {"a": b"1"}
    connection.close()


def modules_that_read() -> list[str]:
    """What reading a blob imports, at whatever depth; `shipped` only finds the schemas, which count themselves."""
    upstream = grimp.build_graph("reconciler", cache_dir=None).find_upstream_modules("reconciler.source.blobs")
    found = {"reconciler.source.blobs", *upstream} - {"reconciler.shipped"}
    return sorted(f"{name.replace('.', '/')}.py" for name in found)


@pytest.mark.parametrize("changed", [*modules_that_read(), "reconciler/source/load.py", "schemas/team.schema.json"])
def test_entries_of_an_older_accord_that_reads_differently_are_not_used(
    changed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = Path(reconciler.source.cache.__file__).parents[1]
    shutil.copytree(package, tmp_path / "reconciler", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(schema_folder(), tmp_path / "schemas")
    monkeypatch.setattr(reconciler.source.cache, "__file__", str(tmp_path / "reconciler" / "source" / "cache.py"))
    monkeypatch.setattr(reconciler.source.cache, "schema_folder", lambda: tmp_path / "schemas")
    format_id = reconciler.source.cache._format_id.__wrapped__
    before = format_id()
    assert format_id() == before
    with (tmp_path / changed).open("a") as stream:
        stream.write("\n")
    assert format_id() != before


def test_a_cache_of_another_format_is_another_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert remembers(folder)
    monkeypatch.setattr(reconciler.source.cache, "_format_id", lambda: f"{zlib.crc32(b'x'):016x}")
    assert open_cache(folder).get(["1" * 40]) == {}
