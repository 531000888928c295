"""The tables of fields, the JSON Schemas and the database's columns agree on every field."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import Boolean

from reconciler.access.fields import Field, fields_of
from reconciler.access.resources import KINDS, RESOURCES, Guards, Kind, Membership, Permission
from reconciler.shipped import schema_folder
from reconciler.source.build import reader, section_defaults
from reconciler.store.tables import TABLES, Instant

OTHER_COLUMNS = {"id", "name", "file", "line", "item_lines", "revision_id", "source", "public_id", "searched"}


def schema_of(kind: Kind) -> Any:
    name = "email-template" if kind == "EmailTemplate" else kind.lower()
    return json.loads((schema_folder() / f"{name}.schema.json").read_bytes())


def resolved(part: Any, schema: Any) -> Any:
    return schema["$defs"][part["$ref"].removeprefix("#/$defs/")] if "$ref" in part else part


def compare(made: Any, attribute: str, field: Field, schema: Any, required: bool) -> None:
    assert required == (attribute not in made._field_defaults), attribute
    if required or field.codec == "limits":
        return
    read, default = reader(field.codec, field.part), schema["default"]
    assert (default if default is None or read is None else read(default)) == made._field_defaults[attribute], attribute
    assert (field.codec == "flag") == (schema.get("type") == "boolean"), attribute


@pytest.mark.parametrize("kind", KINDS)
def test_a_schema_has_the_fields_of_the_table_and_their_defaults(kind: Kind) -> None:
    schema = schema_of(kind)
    for part, in_metadata in (("metadata", True), ("spec", False)):
        content = schema["properties"][part]
        fields = {
            field.yaml: (attribute, field)
            for attribute, field in fields_of(RESOURCES[kind]).items()
            if field.metadata == in_metadata and field.codec != "policies"
        }
        if kind != "Settings":  # whose other sections the reconciler only stores
            assert content["properties"].keys() - {"name"} == fields.keys()
        for yaml, (attribute, field) in fields.items():
            compare(RESOURCES[kind], attribute, field, content["properties"][yaml], yaml in content.get("required", ()))


@pytest.mark.parametrize(("part", "name"), [(Membership, "members"), (Permission, "issuers")])
def test_a_link_has_the_fields_of_its_table(part: Any, name: str) -> None:
    schema = schema_of("Team")
    forms = resolved(schema["properties"]["spec"]["properties"][name]["items"], schema)["oneOf"]
    (long,) = [form for form in (resolved(form, schema) for form in forms) if form["type"] == "object"]
    fields = {field.yaml: (attribute, field) for attribute, field in fields_of(part).items()}
    assert long["properties"].keys() == fields.keys()
    for yaml, (attribute, field) in fields.items():
        compare(part, attribute, field, long["properties"][yaml], yaml in long["required"])


def test_guards_have_the_limits_of_the_schema() -> None:
    defaults, read = section_defaults()["guards"], reader("limits", Guards)
    assert read is not None
    assert read(defaults) == read({}) == Guards()
    assert defaults.keys() == {field.yaml for field in fields_of(Guards).values()}


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_has_its_column(kind: Kind) -> None:
    columns, made = TABLES[kind].c, RESOURCES[kind]
    fields = {field.column: (attribute, field) for attribute, field in fields_of(made).items() if field.column is not None}
    assert {column.name for column in columns} - OTHER_COLUMNS == fields.keys()
    for column, (attribute, field) in fields.items():
        assert isinstance(columns[column].type, Boolean) == (field.codec == "flag"), column
        assert isinstance(columns[column].type, Instant) == (field.codec == "instant"), column
        assert columns[column].nullable == (made._field_defaults.get(attribute, "") is None), column


def test_every_attribute_of_a_resource_but_its_name_is_a_field() -> None:
    for made in RESOURCES.values():
        assert ["name", *fields_of(made)] == list(made._fields)
