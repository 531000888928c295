"""What somebody asks to be changed: acts, with who asks and why, read from JSON or from a command's options.

Everything here may be a stranger's. An intent that is returned has only the keys, types and sizes that are described here;
whether its names exist and its values are valid, `acts` says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from reconciler.access.fields import Codec, Field, fields_of
from reconciler.access.instants import format_instant
from reconciler.access.resources import KINDS, RESOURCES, Kind
from reconciler.source.errors import InvalidIntent
from reconciler.wording.nearest import did_you_mean
from reconciler.wording.text import author_text, listed, printable

VERSION = 1
LARGEST = 1 << 20
"""How many bytes an intent may have."""
_MOST_ACTS, _MOST_NAMES = 200, 1_000
_LONGEST = {"reason": 4_000, "name": 200, "email": 254, "text": 100_000}
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_KEYS = ("version", "author", "reason", "acts", "base", "expect", "dropComments")
_NESTED: tuple[Codec, ...] = ("limits", "policies", "delegations", "groups")
"""Fields with a form of their own, which people edit in the file."""
NOW = "now"
"""A value of an instant: the moment of the preview."""


class Author(NamedTuple):
    """The person who asks: fit to be in a commit, which ends a name at `<` and a line."""

    name: str
    email: str

    def __str__(self) -> str:
        return f"{self.name} <{self.email}>"


class Act(NamedTuple):
    """One change that is asked for: a key of ACTS, and what that takes, as JSON has it."""

    act: str
    arguments: Mapping[str, Any]


class Intent(NamedTuple):
    """Acts that become one commit. `base` and `expect` are the commits that were shown in a preview."""

    acts: tuple[Act, ...]
    author: Author | None = None
    reason: str = ""
    base: str | None = None
    expect: str | None = None
    drop_comments: bool = False


class _Form(NamedTuple):
    needed: tuple[str, ...]
    optional: tuple[str, ...] = ()


ACTS: Mapping[str, _Form] = {
    "add-user": _Form(("name", "email"), ("fullName", "type", "teams", "password", "fields")),
    "add-member": _Form(("team", "user"), ("until", "reason")),
    "remove-member": _Form(("team", "user")),
    "grant": _Form(("team", "issuer"), ("until",)),
    "revoke": _Form(("team", "issuer")),
    "disable": _Form(("name",)),
    "enable": _Form(("name",)),
    "remove-user": _Form(("name",)),
    "set": _Form(("kind", "name"), ("fields", "teams")),
}
PASSWORDS = {"mail": "generated", "none": "none"}
"""What becomes of a new account's password, and `initialPassword` for it."""


def read_intent(content: bytes) -> Intent:
    """Read an intent from JSON. Raises InvalidIntent, saying where."""
    if len(content) > LARGEST:
        raise InvalidIntent(f"the document is larger than {LARGEST:,} bytes")
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise InvalidIntent(f"the document is not JSON: {error}") from None
    _check_keys(document, "the document", ("version", "acts"), _KEYS)
    if document["version"] != VERSION or isinstance(document["version"], bool):
        raise InvalidIntent(f"`version` must be {VERSION}")
    acts = document["acts"]
    if not isinstance(acts, list) or not 1 <= len(acts) <= _MOST_ACTS:
        raise InvalidIntent(f"`acts` must be a list of 1 to {_MOST_ACTS} acts")
    drop = document.get("dropComments", False)
    if not isinstance(drop, bool):
        raise InvalidIntent("`dropComments` must be true or false")
    return Intent(
        tuple(read_act(act, f"acts[{number}]") for number, act in enumerate(acts)),
        _author(document.get("author")),
        check_reason(document.get("reason") or ""),
        read_commit(document.get("base"), "base"),
        read_commit(document.get("expect"), "expect"),
        drop,
    )


def intent_document(intent: Intent) -> dict[str, Any]:
    """Return an intent as JSON has it."""
    return {
        "version": VERSION,
        "author": None if intent.author is None else intent.author._asdict(),
        "reason": intent.reason,
        "acts": [{"act": act, **arguments} for act, arguments in intent.acts],
        "base": intent.base,
        "expect": intent.expect,
        "dropComments": intent.drop_comments,
    }


def check_reason(value: Any) -> str:
    """Return a reason as it was given. Raises InvalidIntent unless it is text of a bounded length."""
    return _text(value, "reason", "reason")


def read_commit(value: Any, what: str) -> str | None:
    """Return the whole id of a commit, or None. Raises InvalidIntent."""
    if value is None:
        return None
    if not isinstance(value, str) or not _COMMIT.fullmatch(value):
        raise InvalidIntent(f"`{what}` must be a whole commit id, as a preview shows it")
    return value


def author_of(name: str, email: str) -> Author:
    """Return an author without what a commit could not hold. Raises InvalidIntent if nothing is left."""
    cleaned = [author_text(text) for text in (name, email)]
    for text, what in zip(cleaned, ("name", "email"), strict=True):
        if len(text) > _LONGEST[what]:
            raise InvalidIntent(f"the author's {what} is longer than {_LONGEST[what]} characters")
    found = Author(cleaned[0].strip(".,:;'\"\\ "), cleaned[1].replace(" ", "").strip(".,:;'\"\\"))
    if not found.name or not found.email:  # git strips these characters, and refuses a commit without a name
        raise InvalidIntent("the author needs a name and an e-mail address")
    return found


def parse_author(text: str) -> Author:
    """Read `Name <address>`. Raises InvalidIntent."""
    found = re.fullmatch(r"\s*([^<>]+?)\s*<([^<>\s]+)>\s*", text)
    if found is None:
        raise InvalidIntent(f"`{printable(text[:200])}` is not an author; write `Name <address>`")
    return author_of(found[1], found[2])


def _author(value: Any) -> Author | None:
    if value is None:
        return None
    _check_keys(value, "`author`", ("name", "email"), ("name", "email"))
    if not isinstance(value["name"], str) or not isinstance(value["email"], str):
        raise InvalidIntent("the author's `name` and `email` must be text")
    return author_of(value["name"], value["email"])


def read_act(value: Any, where: str) -> Act:
    """Check the form of one act. Raises InvalidIntent."""
    if not isinstance(value, dict) or not isinstance(value.get("act"), str):
        raise InvalidIntent(f"`{where}` must be a mapping with an `act`")
    act = value["act"]
    if act not in ACTS:
        hint = did_you_mean(act, ACTS) or f"; the acts are {listed([*ACTS])}"
        raise InvalidIntent(f"`{where}`: there is no act `{printable(act[:100])}`{hint}")
    needed, optional = ACTS[act]
    given = {key: value[key] for key in value if key != "act" and value[key] is not None}
    _check_keys(given, f"`{where}` ({act})", needed, (*needed, *optional))
    return Act(act, {key: _CHECKS[key](given[key], f"{where}.{key}") for key in (*needed, *optional) if key in given})


def _check_keys(value: Any, where: str, needed: Sequence[str], known: Sequence[str]) -> None:
    if not isinstance(value, dict):
        raise InvalidIntent(f"{where} must be a mapping")
    for key in needed:
        if key not in value:
            raise InvalidIntent(f"{where} needs `{key}`")
    for key in value:
        if key not in known:
            hint = did_you_mean(key, known) or f"; it may have {listed([f'`{each}`' for each in known])}"
            raise InvalidIntent(f"{where} has `{printable(str(key)[:100])}`, which means nothing{hint}")


def _text(value: Any, where: str, limit: str = "text") -> str:
    if not isinstance(value, str):
        raise InvalidIntent(f"`{where}` must be text")
    if len(value) > _LONGEST[limit]:
        raise InvalidIntent(f"`{where}` is longer than {_LONGEST[limit]:,} characters")
    if "\0" in value or any("\ud800" <= char <= "\udfff" for char in value):
        raise InvalidIntent(f"`{where}` has characters that are no text")
    return value


def _names(value: Any, where: str) -> list[str]:
    if not isinstance(value, list) or len(value) > _MOST_NAMES:
        raise InvalidIntent(f"`{where}` must be a list of at most {_MOST_NAMES:,} names")
    return list(dict.fromkeys(_text(each, where) for each in value))


def kind_of(value: Any, where: str) -> Kind:
    """Return the kind, written in any case. Raises InvalidIntent with the nearest one."""
    name = value if isinstance(value, str) else ""
    found = next((kind for kind in KINDS if kind.casefold() == name.casefold()), None)
    if found is None:
        raise InvalidIntent(f"`{where}` must be a kind{did_you_mean(name, KINDS) or f': {listed(KINDS)}'}")
    return found


def _password(value: Any, where: str) -> str:
    if value not in (*PASSWORDS,):
        raise InvalidIntent(f"`{where}` must be {' or '.join(f'`{each}`' for each in PASSWORDS)}")
    return str(value)


def _fields(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidIntent(f"`{where}` must be a mapping of fields")
    return dict(value)


_CHECKS: Mapping[str, Callable[[Any, str], Any]] = {
    **dict.fromkeys(("name", "team", "user", "issuer", "email", "fullName", "type", "until", "reason"), _text),
    "teams": _names,
    "kind": kind_of,
    "password": _password,
    "fields": _fields,
}


def settable(kind: Kind) -> dict[str, Field]:
    """Return the fields of a kind that an act can set, by their names in YAML."""
    return {field.yaml: field for field in fields_of(RESOURCES[kind]).values() if field.codec not in _NESTED}


def field_named(kind: Kind, name: str) -> Field:
    """Return the field of this name in YAML. Raises InvalidIntent with the nearest one."""
    known = settable(kind)
    if name not in known:
        hint = did_you_mean(name, known) or f"; there are {listed([*known])}"
        raise InvalidIntent(f"a {kind} has no field `{printable(name[:100])}` that can be set{hint}")
    return known[name]


def field_value(kind: Kind, name: str, text: str) -> Any:
    """Return what a field is to be, written as text: lists are separated by commas, and nothing removes the field.

    Raises InvalidIntent.
    """
    codec = field_named(kind, name).codec
    if not text:
        return None
    if codec == "flag":
        if text not in ("true", "false"):
            raise InvalidIntent(f"`{name}` must be true or false")
        return text == "true"
    if codec in ("names", "texts", "links") or (codec == "names or everyone" and text != "everyone"):
        return [part.strip() for part in text.split(",") if part.strip()]
    if codec in ("labels", "certificates"):
        raise InvalidIntent(f"`{name}` is more than a value or a list; give it in JSON, with `accord propose from-json`")
    return text


def at(intent: Intent, now: datetime) -> Intent:
    """Return the intent in which `now` is an instant: a preview and its proposal must mean the same one."""
    moment = format_instant(now.replace(microsecond=0))

    def resolved(act: Act) -> Act:
        fields = act.arguments.get("fields")
        if not fields:
            return act
        known = settable(act.arguments.get("kind", "User"))
        instants = {name for name, field in known.items() if field.codec == "instant"}
        changed = {name: moment if value == NOW and name in instants else value for name, value in fields.items()}
        return act._replace(arguments={**act.arguments, "fields": changed})

    return intent._replace(acts=tuple(map(resolved, intent.acts)))
