"""What to write instead of a value or a property that does not fit its schema: what new users mean by what they type. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from reconciler.access.ad_groups import check_group
from reconciler.access.permitted_ips import parse_rule
from reconciler.source.forms import Advice, for_instant
from reconciler.source.lookalikes import bullet, ending, wide_colon
from reconciler.source.mistakes import no_blank
from reconciler.source.secrets import secret_in
from reconciler.source.yaml_text import in_flow
from reconciler.wording.nearest import nearest

_LONGEST = 60
_SWITCHES = {
    **dict.fromkeys(("disabled", "disable", "inactive", "deactivated", "locked", "blocked", "suspended"), False),
    **dict.fromkeys(("active", "enable"), True),
}
"""Properties that people expect, and the value of `enabled` that each means when it is true."""
_NEGATIONS = ("dis", "un", "in", "no", "de", "isnot")
_TRUTHS = {**dict.fromkeys(("true", "yes", "y", "on"), True), **dict.fromkeys(("false", "no", "n", "off"), False)}
"""Words that are true or false to YAML 1.1 and to people, and text to YAML 1.2."""
_MEANT = {
    "users": "members", "user": "members", "member": "members", "admin": "administrator", "admins": "administrator",
    "isAdmin": "administrator", "mail": "email", "emailAddress": "email", "group": "adGroups",
    "groups": "adGroups", "ips": "permittedIPs", "allowedIPs": "permittedIPs", "ipRanges": "permittedIPs",
    "permissions": "issuers", "expires": "until", "expiry": "until", "end": "until", "validUntil": "until", "comment": "reason",
    "body": "text", "aliases": "previously", "previousNames": "previously", "oldName": "previously", "tags": "labels",
    "title": "displayName", "name": "fullName",
}  # fmt: skip
_IN_LISTS = {"name": ("user", "issuer"), "username": ("user",), "login": ("user",), "member": ("user",)}
_KINDS = {
    "group": "Team", "role": "Team", "person": "User", "account": "User", "member": "User", "ca": "Issuer", "authority": "Issuer",
    "template": "EmailTemplate", "mailtemplate": "EmailTemplate", "config": "Settings", "setting": "Settings",
    "policy": "Settings",
}  # fmt: skip
_ELSEWHERE = {
    "teams": "a team's `members` decide who is in it; add the name there",
    "memberOf": "a team's `members` decide who is in it; add the name there",
    "issuers": "only teams may use issuers; put the user in a team that lists it",
    "password": "no password is ever in Git: Accord mails a generated one, or an administrator sets it; remove this",
}
_CHECKS: Mapping[str, Callable[[str], object]] = {"permittedIPs": parse_rule, "adGroups": check_group}
"""Checks of items whose form no schema knows."""
_JOINING = frozenset(
    (
        "and",
        "or",
        "und",
        "oder",
        "until",
        "till",
        "bis",
        "from",
        "to",
        "by",
        "with",
        "without",
        "except",
        "not",
        "but",
        "plus",
        "as",
    )
)
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_CLOSES = str.maketrans("", "", "\u201c\u201d\u201e\u2018\u2019\u00a0\u200b\ufeff\"'`")


def for_unknown(
    name: str, item: Mapping[str, Any], path: tuple[str | int, ...], valid: Collection[str], top: Mapping[str, Any]
) -> Advice | None:
    """Advise on a property, of the mapping at a path, that is not valid there; `top` is the kind's whole schema."""
    value, key = item[name], next((key for key in ("user", "issuer") if key in valid and key not in item), None)
    return (
        _mistyped(name, valid)
        or _switch(name, value, valid)
        or (_ending_as_key(name, value, key) if key else None)
        or _misplaced(name, value, path, valid, top)
        or _synonym(name, valid)
        or _similar(name, valid)
        or (_of_name_as_key(name, value, key) if key else None)
    )


def _mistyped(name: str, valid: Collection[str]) -> Advice | None:
    glued = no_blank(name)
    plain = name.translate(_CLOSES).strip()
    if glued is not None:
        return Advice(glued)
    if "\u00a0" in name and plain not in valid:
        return Advice("it contains no-break spaces; write ordinary ones")
    if plain != name and plain in valid:
        return Advice(f"it contains blanks or quotes that do not belong there; write `{plain}`", plain)
    near = next((item for item in valid if item.casefold() == name.casefold()), None)
    return Advice(f"did you mean `{near}`?", near) if near else None


def _switch(name: str, value: Any, valid: Collection[str]) -> Advice | None:
    """Advise on `disabled: true`, which is `enabled: false`. What may mean either is never decided here."""
    word = name.casefold()
    negated = word.startswith(_NEGATIONS) and nearest(word, valid) == "enabled"
    if "enabled" not in valid or not (word in _SWITCHES or negated):
        return None
    truth = _truth(value) if word in _SWITCHES else None
    if truth is None:
        return Advice("write `enabled: true` or `enabled: false`")
    meant = f"enabled: {str(_SWITCHES[word] is truth).lower()}"
    return Advice(f"write `{meant}`", meant)


def _truth(value: Any) -> bool | None:
    """Read a switch as its author meant it, or None."""
    return value if isinstance(value, bool) else _TRUTHS.get(value.strip(" ,;.").casefold()) if isinstance(value, str) else None


def _misplaced(
    name: str, value: Any, path: tuple[str | int, ...], valid: Collection[str], top: Mapping[str, Any]
) -> Advice | None:
    in_item = bool(path) and isinstance(path[-1], int)
    for meant in _IN_LISTS.get(name, ()) if in_item else ():
        if meant in valid:
            return Advice(f"did you mean `{meant}`?", meant)
    place = _place_of(name, top)
    is_name = isinstance(value, str) and _NAME.fullmatch(value)
    if in_item or place is None or place in path[-1:] or (_MEANT.get(name) in valid and not is_name):
        return None
    return Advice(f"it belongs under `{place}`" if place else "it belongs at the top of the document, without indentation")


def _synonym(name: str, valid: Collection[str]) -> Advice | None:
    found = _MEANT.get(name)
    if found in valid:
        return Advice(f"did you mean `{found}`?", found)
    return Advice(_ELSEWHERE[name]) if "email" in valid and name in _ELSEWHERE else None


def _similar(name: str, valid: Collection[str]) -> Advice | None:
    near = nearest(name, valid)
    return Advice(f"did you mean `{near}`?", near) if near else None


def _place_of(name: str, top: Mapping[str, Any]) -> str | None:
    """Return the part of a document that has a property, such as `metadata`, or nothing for the top; None if no part has it."""
    properties = top.get("properties", {})
    if name in properties:
        return ""
    spec = properties.get("spec", {}).get("properties", {})
    places = {part: properties.get(part, {}).get("properties", {}) for part in ("spec", "metadata")}
    places |= {section: content.get("properties", {}) for section, content in spec.items()}
    return next((part for part, inside in places.items() if name in inside), None)


def _of_name_as_key(name: str, value: Any, key: str) -> Advice | None:
    """Advise on `- alice: 2099-01-01`, a name as the key of an item."""
    if not _NAME.fullmatch(name):
        return None
    until = for_instant(value) if isinstance(value, str) else None
    if value is not None and until is None:
        return None
    rest = f", until: {until.suggestion}" if until else ""
    return Advice(f"write `{{{key}: {name}{rest}}}`", f"{{{key}: {name}{rest}}}")


def _ending_as_key(name: str, value: Any, key: str) -> Advice | None:
    """Advise on `- alice until: 2099-01-01`."""
    return for_ending(f"{name}: {value}", key) if isinstance(value, str) else None


def for_ending(text: str, key: str) -> Advice | None:
    """Advise on `alice until 2099-01-01` in a list of users or issuers, by the key that an item with an end has."""
    found = ending(text)
    if found is None:
        return None
    until = for_instant(found[2])
    meant = f"{{{key}: {found[1]}, until: {until.suggestion if until else found[2]}}}"
    return Advice(f"write `{meant}`", meant)


def for_type(value: Any, wanted: Any, schema: Mapping[str, Any], name: str | int, fits: Callable[[Any], bool]) -> Advice | None:
    """Advise on a value of the wrong type; `fits` tells whether a value could be an item, if a list is wanted."""
    types = wanted if isinstance(wanted, list) else [wanted]
    if "array" in types:
        return Advice("write a list of lists, such as `[[a, b]]`") if isinstance(name, int) else _for_list(value, name, fits)
    if "object" in types and isinstance(value, str):
        return _for_mapping(value)
    truth = _truth(value) if "boolean" in types else None
    if truth is not None:
        meant = str(truth).lower()
        return Advice(f"write `{meant}`{', without quotes' if value in ('true', 'false') else ''}", meant)
    if "integer" in types and isinstance(value, str) and re.fullmatch(r"\d{1,9}", value.replace(",", "").strip()):
        number = value.replace(",", "").strip()
        return Advice(f"write `{number}`, without quotes", number)
    if "string" in types and isinstance(value, int | float) and not isinstance(value, bool):
        return _for_number(value, schema)
    return None


def _for_list(value: Any, name: str, fits: Callable[[Any], bool]) -> Advice | None:
    if isinstance(value, str):
        return _for_list_as_text(value, name, fits)
    if isinstance(value, dict):
        return Advice("begin each item with `- `")
    return Advice(f"write `[{value}]`", f"[{value}]") if value is not None and fits(value) else None


def _for_list_as_text(value: str, name: str, fits: Callable[[Any], bool]) -> Advice:
    """Advise on `alice, bob`. A text is one item where items may have blanks; what is no list of valid ones is not cut."""
    if not _is_secret(value) and re.match(r"-\S", value):
        return Advice("there is no blank after the dash; write `- ` before each item")
    if not _is_secret(value) and bullet(value):
        return Advice(f"an item of a list begins with `-` and a blank, not with `{value[0]}`; write `- ` before each item")
    listed = re.fullmatch(r"\[(.*)\]", value.strip(), re.DOTALL)
    if listed:
        parts = re.split(r"\s*,\s*", re.sub(r"[\"']", "", listed[1]).strip(" ,"))
    elif fits("a b"):
        parts = [value.strip()] if name in _CHECKS or not re.search("[,;]", value) else []
    else:
        parts = re.split(r"[,;\s]+", value.strip(" ,;\n"))
    items = [_item(part, name, fits) for part in parts if not (len(parts) > 1 and part.casefold() in _JOINING)]
    if _is_secret(value) or not items or None in items or len(items) < len(parts):
        return Advice("write a list, each item on a line of its own after `- `")
    meant = f"[{', '.join(map(str, items))}]"
    return Advice(f"write `{meant}`{', without quotes' if listed else ''}", meant)


def _item(text: str, name: str, fits: Callable[[Any], bool]) -> str | None:
    """Write a text as an item of a list; None if it cannot be one."""
    if re.fullmatch("[0-9]{1,9}", text) and fits(int(text)):
        return text
    try:
        _CHECKS.get(name, str)(text)
    except ValueError:
        return None
    return in_flow(text) if fits(text) else None


def _for_mapping(value: str) -> Advice | None:
    glued = no_blank(value)
    if glued is not None:
        return Advice(glued)
    wide = wide_colon(value)
    if wide is not None:
        return Advice(wide[1])
    if "\u00a0" in value:
        return Advice("it contains no-break spaces; write ordinary ones")
    found = re.match(r"([A-Za-z]\w*)\s*=", value)
    if found:
        return Advice(f"write a colon and a blank after `{found[1]}`, not `=`")
    return Advice("write `key: value`, indented, on the lines below")


def _for_number(value: float, schema: Mapping[str, Any]) -> Advice | None:
    """Advise on a number where text of a form is wanted: quotes help only if the digits alone have that form."""
    pattern, examples = str(schema.get("pattern", "")), [str(example) for example in schema.get("examples", ())]
    if not pattern or re.search(pattern, str(value)):
        return Advice("put it in quotes")
    if value >= 1 and re.search(pattern, f"{value:g}%"):
        return Advice(f"write `{value:g}%`", f"{value:g}%")
    if re.search(pattern, f"{value}s"):
        return Advice(f"write it with a unit: `{value}s`, `{value}m`, `{value}h` or `{value}d`")
    return Advice(f"write it like {' or '.join(f'`{example}`' for example in examples[:2])}") if examples else None


def for_name(text: str, in_list: bool) -> Advice | None:
    """Return the valid name nearest to a text that is not one. In a list, blanks may be between two."""
    if _is_secret(text):
        return None
    words = [word for word in re.split(r"[^a-z0-9._-]+", text.translate(_CLOSES).casefold()) if word.strip("._-")]
    if not words or any(ord(char) > 127 and char.isalpha() for char in text):
        return None
    meant = "-".join(words).lstrip("._-")[:64]
    hint = f"did you mean `{meant}`?"
    if in_list and len(words) > 1 and " " in text and text == text.casefold():
        hint = f"did you mean `{meant}`, or two names: `{', '.join(words)}`?"
    return Advice(hint, meant)


def for_kind(text: str) -> str | None:
    """Return the kind that another word for it means."""
    return _KINDS.get(text.casefold().rstrip("s"))


def _is_secret(text: str) -> bool:
    return len(text) > _LONGEST or secret_in(text) is not None
