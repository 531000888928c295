"""Checks documents against their JSON Schema: a fast yes for most, and every problem in words for the others."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, partial
from itertools import islice
from types import MappingProxyType
from typing import Any, NamedTuple

from reconciler.access.resources import KINDS
from reconciler.shipped import schema_folder
from reconciler.source import advice, forms
from reconciler.source.lookalikes import wide_colon
from reconciler.wording.nearest import nearest

FILES = {
    "User": "user.schema.json",
    "Team": "team.schema.json",
    "Issuer": "issuer.schema.json",
    "EmailTemplate": "email-template.schema.json",
    "Settings": "settings.schema.json",
}
API_VERSION = "accord/v1"
MOST_FINDINGS = 1_000
"""How many problems of one document are reported; nobody reads more, and a hostile document could have a million."""


class Finding(NamedTuple):
    """A problem at a path in a document; `at_key` means that the key is wrong, not the value."""

    rule: str
    path: tuple[str | int, ...]
    message: str
    suggestion: str | None = None
    at_key: bool = False
    severity: str = "error"


@cache
def schema_of(kind: str) -> dict[str, Any]:
    """Return a kind's schema."""
    found: dict[str, Any] = json.loads((schema_folder() / FILES[kind]).read_bytes())
    return found


@cache
def _fast(kind: str) -> Any:
    import jsonschema_rs

    return jsonschema_rs.validator_for(schema_of(kind))


def find_problems(value: Any) -> list[Finding]:
    """Return everything that is wrong within one document; empty if it is valid."""
    if not isinstance(value, dict):
        listed = isinstance(value, list) and any(isinstance(item, dict) and "kind" in item for item in value[:10])
        wide = wide_colon(value) if isinstance(value, str) else None
        hint = f"; {wide[1]}" if wide else ""
        if listed:
            hint = "; this is a list: remove the dashes, and put `---` on a line of its own between resources"
        return [Finding("not-a-resource", (), f"a resource must be a mapping with apiVersion, kind, metadata and spec{hint}")]
    kind = value.get("kind")
    if value.get("apiVersion") == API_VERSION and isinstance(kind, str) and kind in FILES:
        return [] if _fast(kind).is_valid(value) else _explain(kind, value)
    return list(_header(value))


def _header(value: dict[str, Any]) -> Iterator[Finding]:
    for name, valid in (("apiVersion", (API_VERSION,)), ("kind", KINDS)):
        found = value.get(name)
        if name not in value:
            near = nearest(name, value)
            usual = f"; begin with `apiVersion: {API_VERSION}`" if name == "apiVersion" else f"; valid: {', '.join(KINDS)}"
            hint = f"; did you mean `{name}` instead of `{near}`?" if near else usual
            yield Finding("missing-property", (), f"`{name}` is missing{hint}", name if near else None)
        elif found not in valid:
            text = found if isinstance(found, str) else ""
            near = nearest(text, valid) or (valid[0] if len(valid) == 1 else advice.for_kind(text))
            hint = f"did you mean `{near}`?" if near else f"valid: {', '.join(valid)}"
            rule = "unknown-api-version" if name == "apiVersion" else "unknown-kind"
            message = f"unknown {name} {_shown(found)}" if isinstance(found, str) else f"{name} cannot be {_shown(found)}"
            yield Finding(rule, (name,), f"{message}; {hint}", near)


def _explain(kind: str, value: Any) -> list[Finding]:
    errors = _slow(kind).iter_errors(value)
    top = schema_of(kind)
    found = list(islice(_once(finding for error in errors for finding in _findings(error, top)), MOST_FINDINGS + 1))
    if len(found) > MOST_FINDINGS:
        message = f"this document has more than {MOST_FINDINGS:,} problems; only the first are shown"
        return [*found[:MOST_FINDINGS], Finding("too-many-problems", (), message)]
    return found or [Finding("schema", (), "this does not match the schema of its kind")]


def _once(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Yield each finding once: jsonschema repeats all missing properties in the error for each of them."""
    seen: set[Finding] = set()
    for finding in findings:
        if finding not in seen:
            seen.add(finding)
            yield finding


@cache
def _slow(kind: str) -> Any:
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    make: Any = extend
    return make(Draft202012Validator, {"uniqueItems": _unique_items, "oneOf": _one_of})(schema_of(kind))


def _unique_items(_validator: Any, wanted: bool, instance: Any, _schema: Any) -> Iterator[Any]:
    """Report repeated items of a list; jsonschema's own check compares every pair."""
    from jsonschema import ValidationError

    seen: set[str] = set()
    for index, item in enumerate(instance if wanted and isinstance(instance, list) else ()):
        text = json.dumps(item, sort_keys=True)
        if text in seen:
            yield ValidationError("", path=(index,), instance=item)
        seen.add(text)


def _one_of(validator: Any, forms: list[Any], instance: Any, _schema: Any) -> Iterator[Any]:
    """Report why no form matches; jsonschema's own check would collect a million reasons before reporting the first."""
    from jsonschema import ValidationError

    reasons = [list(_enough(validator.descend(instance, form, schema_path=index))) for index, form in enumerate(forms)]
    if reasons.count([]) != 1:
        yield ValidationError("", context=[reason for each in reasons for reason in each])


def _enough(errors: Iterable[Any]) -> Iterator[Any]:
    """Yield errors until there are more findings than will be reported."""
    told: set[Finding] = set()
    for error in errors:
        yield error
        told.update(_findings(error))
        if len(told) > MOST_FINDINGS:
            return


def _findings(error: Any, top: Mapping[str, Any] = MappingProxyType({})) -> Iterator[Finding]:
    path = tuple(error.absolute_path)
    where = f"`{path[-1][:80]}`" if path and isinstance(path[-1], str) else "this"
    rule = str(error.validator)
    if "propertyNames" in error.absolute_schema_path:
        message = (
            f"{_shown(error.instance)} cannot be a label's key: use at most 63 letters, digits, `.`, `_`, `/` and `-`, "
            "starting with a letter or digit"
        )
        yield Finding("wrong-format", (*path, error.instance), message, at_key=True)
    elif rule in ("additionalProperties", "unevaluatedProperties"):
        yield from _unknown_properties(error, path, top)
    elif rule == "required":
        present = set(error.instance)
        for name in error.validator_value:
            if name not in present:
                yield Finding("missing-property", path, f"`{name}` is missing")
    elif rule in ("oneOf", "anyOf"):
        yield from _alternatives(error, path, where, top)
    elif rule == "type":
        fits = partial(_could_be_item, error.schema, top)
        advised = advice.for_type(error.instance, error.validator_value, error.schema, path[-1] if path else "", fits)
        hint = f"; {advised.hint}" if advised else _quote_hint(error)
        message = f"{where} must be {_types(error.validator_value)}, not {_shown(error.instance)}{hint}"
        yield Finding("wrong-type", path, message, advised and advised.suggestion)
    elif rule in ("enum", "const"):
        valid = [str(item) for item in (error.validator_value if rule == "enum" else [error.validator_value])]
        near = nearest(str(error.instance), valid) if isinstance(error.instance, str) else None
        hint = f"; did you mean `{near}`?" if near else f"; valid: {', '.join(f'`{item}`' for item in valid)}"
        yield Finding("unknown-value", path, f"{where} cannot be {_shown(error.instance)}{hint}", near)
    elif rule == "pattern":
        yield _wrong_format(error, path, where)
    elif rule == "not":
        yield from _forbidden(error, path, where)
    elif rule == "uniqueItems":
        yield Finding("wrong-value", path, f"{_shown(error.instance)} appears twice")
    else:
        yield Finding("wrong-value", path, f"{where} must {_limits(rule, error)}")


def _forbidden(error: Any, path: tuple[str | int, ...], where: str) -> Iterator[Finding]:
    """Report a reserved word or a forbidden character. Wrong types and formats are reported elsewhere."""
    if "const" in error.validator_value:
        yield Finding("wrong-value", path, f"{where} cannot be {_shown(error.instance)}, which has a special meaning here")
    elif isinstance(error.instance, str) and re.search(error.schema.get("pattern", ""), error.instance):
        found = re.search(error.validator_value["pattern"], error.instance)
        char = found[0] if found else "\n"
        name = {"\n": "a line break", "\t": "a tab"}.get(char, f"U+{ord(char):04X}, a control character")
        escape = found and char in "\n\t\r" and error.instance[found.end() : found.end() + 1].isalnum()
        hint = "; for a backslash, use single quotes" if escape else ""
        yield Finding("wrong-format", path, f"{where} contains {name}, which is not allowed here{hint}")


def _unknown_properties(error: Any, path: tuple[str | int, ...], top: Mapping[str, Any]) -> Iterator[Finding]:
    valid = list(error.schema.get("properties", {}))
    for name in error.instance if isinstance(error.instance, dict) else ():
        if name not in valid:
            advised = advice.for_unknown(name, error.instance, path, valid, top)
            near = advised.suggestion if advised else None
            hint = f"; {advised.hint}" if advised else f"; valid: {', '.join(valid)}"
            yield Finding("unknown-property", (*path, name), f"unknown property {_shown(name)}{hint}", near, at_key=True)


def _could_be_item(schema: Mapping[str, Any], top: Mapping[str, Any], value: Any) -> bool:
    """Tell whether a value could be an item of the list that a schema describes."""
    return (
        bool(top)
        and "items" in schema
        and bool(_items(top["properties"]["kind"]["const"], json.dumps(schema["items"])).is_valid(value))
    )


@cache
def _items(kind: str, items: str) -> Any:
    import jsonschema_rs

    return jsonschema_rs.validator_for({"$defs": schema_of(kind)["$defs"], **json.loads(items)})


def _alternatives(error: Any, path: tuple[str | int, ...], where: str, top: Mapping[str, Any]) -> Iterator[Finding]:
    """Report the problems of the form with the right type; if no form has it, report the types."""
    by_form: dict[Any, list[Any]] = {}
    for inner in error.context or ():
        by_form.setdefault(inner.schema_path[0], []).append(inner)
    for inners in by_form.values():
        if not any(inner.validator in ("type", "const") and tuple(inner.absolute_path) == path for inner in inners):
            for inner in inners:
                yield from _findings(inner, top)
            return
    inners = [inner for form in by_form.values() for inner in form]
    words = [f"`{inner.validator_value}`" for inner in inners if inner.validator == "const"]
    wanted = [*words, *(_types(inner.validator_value) for inner in inners if inner.validator == "type")]
    near = nearest(error.instance, [word.strip("`") for word in words]) if isinstance(error.instance, str) else None
    hint = f"; did you mean `{near}`?" if near else _quote_hint(error) if not words else ""
    yield Finding(
        "wrong-type", path, f"{where} must be {' or '.join(dict.fromkeys(wanted))}, not {_shown(error.instance)}{hint}", near
    )


_TYPE_WORDS = {
    "string": "text",
    "object": "a mapping",
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "null": "nothing",
}


def _types(value: Any) -> str:
    return " or ".join(_TYPE_WORDS[item] for item in (value if isinstance(value, list) else [value]))


def _shown(value: Any) -> str:
    if value is None:
        return "nothing (null)"
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    return f"`{json.dumps(value, ensure_ascii=False)[:80]}`" if not isinstance(value, str) else f"`{value[:80]}`"


def _quote_hint(error: Any) -> str:
    scalar = isinstance(error.instance, int | float | bool)
    text = "string" in json.dumps(error.schema.get("type", "")) or error.validator in ("oneOf", "anyOf")
    return "; put it in quotes" if scalar and text else ""


def _in_list(path: tuple[str | int, ...]) -> bool:
    return bool(path) and isinstance(path[-1], int)


def _wrong_format(error: Any, path: tuple[str | int, ...], where: str) -> Finding:
    text, pattern = str(error.instance), str(error.validator_value)
    if not pattern.startswith("^[a-z0-9]"):
        tries = (
            (forms.for_instant, forms.for_duration)
            if "T" in pattern or "smhd" in pattern
            else (forms.for_address, forms.for_identifier)
        )
        advised = next(
            (found for found in (each(text) for each in tries) if found and re.search(pattern, found.suggestion or "")), None
        )
        hint = advised.hint if advised else _purpose(error)
        return Finding("wrong-format", path, f"{where} cannot be {_shown(text)}: {hint}", advised and advised.suggestion)
    key = {"members": "user", "issuers": "issuer"}.get(str(path[-2])) if len(path) == 3 and _in_list(path) else None
    ended = advice.for_ending(text, key) if key else None
    if ended is not None:
        return Finding("wrong-format", path, f"{where} cannot be {_shown(text)}: {ended.hint}", ended.suggestion)
    advised = advice.for_name(text, _in_list(path))
    end = f"; {advised.hint}" if advised and re.search(pattern, advised.suggestion or "") else ""
    near = advised.suggestion if advised and end else None
    strange = next((char for char in text if ord(char) > 127), None)
    if strange is not None:
        name = unicodedata.name(strange, "unnamed").lower()
        looks = ", which is not an ASCII letter, even if it looks like one" if strange.isalpha() else ""
        message = (
            f"{where} contains `{strange}` (U+{ord(strange):04X}, {name}){looks}; "
            f"names are lower-case ASCII letters, digits, `.`, `_` and `-`{end}"
        )
        return Finding("wrong-format", path, message, near)
    message = (
        f"{where} cannot be {_shown(text)}: names have at most 64 lower-case letters, digits, `.`, `_` and `-`, "
        f"and start with a letter or digit{end}"
    )
    return Finding("wrong-format", path, message, near)


def _purpose(error: Any) -> str:
    examples = error.schema.get("examples")
    return (
        f"write it like {' or '.join(f'`{example}`' for example in examples[:2])}"
        if examples
        else f"it must match {error.validator_value}"
    )


def _limits(rule: str, error: Any) -> str:
    words = {
        "maxLength": "have at most {0:,} characters",
        "minLength": "have at least {0:,} characters",
        "maxItems": "have at most {0:,} items",
        "minItems": "have at least {0:,} items",
        "maxProperties": "have at most {0:,} entries",
        "maximum": "be at most {0:,}",
        "minimum": "be at least {0:,}",
    }
    if rule == "minLength" and error.validator_value == 1:
        return "not be empty"
    if rule not in words:
        return "match the schema"
    found = f"{len(error.instance):,}" if hasattr(error.instance, "__len__") else f"{error.instance:,}"[:80]
    return f"{words[rule].format(error.validator_value)}, not {found}"
