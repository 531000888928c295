"""`accord schemas` writes what editors load, refreshes it, and leaves what others wrote."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from reconciler.cli.main import accord
from reconciler.shipped import schema_folder, starter_folder
from reconciler.source.editors import MAPPING, SCHEMAS

NAMES = {"user", "team", "issuer", "email-template", "settings", "resource"}


def schemas(*arguments: str | Path) -> Result:
    return CliRunner().invoke(accord, ["schemas", *map(str, arguments)], standalone_mode=False)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_all_schemas_and_a_mapping_are_written_once(tmp_path: Path) -> None:
    first = schemas(tmp_path)
    assert first.return_value == 0, first.output
    shipped = {f"{SCHEMAS}/{name}.schema.json": (schema_folder() / f"{name}.schema.json").read_bytes() for name in NAMES}
    assert contents(tmp_path) == {**shipped, MAPPING: (starter_folder() / MAPPING).read_bytes()}
    assert first.output.count("wrote ") == len(shipped) + 1
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    second = schemas(tmp_path)
    assert "wrote" not in second.output
    assert "up to date" in second.output
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_the_working_folder_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert schemas().return_value == 0
    assert (tmp_path / SCHEMAS / "team.schema.json").is_file()


def test_a_check_names_what_is_stale_or_missing_and_writes_nothing(tmp_path: Path) -> None:
    schemas(tmp_path)
    team, user = (tmp_path / SCHEMAS / f"{name}.schema.json" for name in ("team", "user"))
    team.write_text(json.dumps({**json.loads(team.read_text()), "title": "Of an older version"}))
    user.unlink()
    before = contents(tmp_path)
    found = schemas(tmp_path, "--check")
    assert found.return_value == 1
    assert f"{team}: of another version\n" in found.output
    assert f"{user}: missing\n" in found.output
    assert contents(tmp_path) == before
    assert schemas(tmp_path).output.count("wrote ") == 2
    assert schemas(tmp_path, "--check").return_value == 0


@pytest.mark.parametrize("text", ["mine", "{}", "[]", '{"$id": "urn:mine"}'])
def test_a_file_that_is_not_accord_s_is_named_and_nothing_is_written(tmp_path: Path, text: str) -> None:
    place = tmp_path / SCHEMAS / "settings.schema.json"
    place.parent.mkdir(parents=True)
    place.write_text(text)
    found = schemas(tmp_path)
    assert f"{place} is not a schema of Accord's" in str(found.exception)
    assert contents(tmp_path) == {f"{SCHEMAS}/settings.schema.json": text.encode()}


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    config = tmp_path / "config"
    config.mkdir()
    (config / ".accord").symlink_to(elsewhere)
    assert "symbolic link" in str(schemas(config).exception)
    assert contents(tmp_path) == {}


def test_people_s_own_editor_settings_stay_and_they_are_told_what_to_add(tmp_path: Path) -> None:
    place = tmp_path / MAPPING
    place.parent.mkdir()
    place.write_text('{\n  // mine\n  "editor.tabSize": 2,\n}\n')
    found = schemas(tmp_path)
    assert place.read_text().startswith("{\n  // mine")
    assert f"{place} is yours" in found.output
    assert found.output.endswith((starter_folder() / MAPPING).read_text())
    place.write_text('{"yaml.schemas": {".accord/schemas/resource.schema.json": "*.yaml"}}')
    assert "is yours" not in schemas(tmp_path).output


def test_a_folder_that_is_not_there_is_one_clear_error(tmp_path: Path) -> None:
    assert "there is no folder" in str(schemas(tmp_path / "nowhere").exception)
