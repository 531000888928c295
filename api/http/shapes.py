"""What the schemas of the API are made of: elementary schemas, and functions that compose them."""

from __future__ import annotations

from typing import Any

from api.state import accounts

Schema = dict[str, Any]


def ref(name: str) -> Schema:
    """A schema by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def nullable(schema: Schema) -> Schema:
    """A schema, or null."""
    return {"anyOf": [schema, {"type": "null"}]}


NO_NUL = "^[^\\u0000]*$"
NO_CONTROL = "^[^\\u0000-\\u001f\\u007f-\\u009f\\u2028-\\u202e\\u2066-\\u2069]*$"
"""No control characters either, nor characters that make text look like other text."""
NAME: Schema = {"type": "string", "pattern": "^[a-z0-9][a-z0-9._-]{0,63}$", "examples": ["web"]}
"""The name of a team or an issuer."""
ACCOUNT: Schema = {"type": "string", "pattern": accounts.NAME.pattern, "examples": ["alice"]}
"""The name of an account."""
SHOWN_NAME: Schema = {"type": "string", "examples": ["alice"]}
"""Either in an answer. What was a name once may look otherwise."""
LINE: Schema = {"type": "string", "minLength": 1, "maxLength": 128, "pattern": NO_CONTROL}
INSTANT: Schema = {"type": "string", "format": "date-time", "examples": ["2026-10-31T18:00:00Z"]}
COMING: Schema = {**INSTANT, "examples": ["2099-12-31T18:00:00Z"]}
"""An instant in the future, on whatever day the example is tried."""
DURATION: Schema = {
    "type": "string",
    "pattern": "^[0-9]{1,5}[smhd]$",
    "examples": ["90d"],
    "description": "A number of seconds, minutes, hours or days.",
}
ADDRESS: Schema = {"type": "string", "anyOf": [{"format": "ipv4"}, {"format": "ipv6"}], "examples": ["10.20.1.7"]}
EMAIL: Schema = {
    "type": "string",
    "maxLength": 254,
    "pattern": "^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
    "(\\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$",
    "examples": ["alice@example.org"],
}
NO_EMAIL: Schema = nullable({**EMAIL, "pattern": f"^({EMAIL['pattern'][1:-1]})?$"})
"""The same, or nothing."""
LINK: Schema = {
    "type": "string",
    "maxLength": 2000,
    "pattern": "^https://[A-Za-z0-9][A-Za-z0-9.-]{0,252}(:[0-9]{1,5})?([/?#][A-Za-z0-9._~:/?#\\[\\]@!$&'()*+,;=%-]*)?$",
    "examples": ["https://ca.example.org/certificates/4711"],
}
"""A link for people to follow; Accord never does."""
NOTE: Schema = {
    "type": "string",
    "maxLength": 2000,
    "pattern": "^[^\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f\\u2028-\\u202e\\u2066-\\u2069]*$",
    "description": "Lines of text, without control characters.",
}
ANY_NOTE: Schema = {**NOTE, "pattern": NOTE["pattern"].replace("\\u000b-", "\\u000b\\u000c\\u000e-")}
"""The same with lines that end as on Windows."""
NUMBER: Schema = {"type": "integer", "minimum": 1, "maximum": 999_999_999}
PASSWORD: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": 1024,
    "pattern": NO_NUL,
    "writeOnly": True,
}
PAGE: dict[str, Schema] = {
    "limit": {"type": "integer", "minimum": 1, "maximum": 500, "default": 100},
    "cursor": {"type": "string", "maxLength": 256, "pattern": "^[A-Za-z0-9_-]*$"},
}
"""The parameters that ask for a page."""
UNKNOWN: Schema = {"enum": [None, ""]}
"""A property that is not known, where those without a value make no difference."""
NAMES: Schema = {"type": "array", "items": {"type": "string"}}


PATTERNS = {
    NAME["pattern"]: "must be a name: up to 64 small letters, digits, `.`, `_` and `-`, a letter or digit first",
    ACCOUNT["pattern"]: "must be an account's name: up to 64 characters, no capital letter, `/` or `\\`, no space at an end",
    NO_NUL: "must not contain NUL characters",
    NO_CONTROL: "must be one line without control characters",
    ANY_NOTE["pattern"]: "must be lines without control characters",
    NOTE["pattern"]: "must be lines without control characters",
    DURATION["pattern"]: "must be a duration such as `30m`, `12h` or `90d`",
    EMAIL["pattern"]: "must be an e-mail address",
    NO_EMAIL["anyOf"][0]["pattern"]: "must be an e-mail address",
    LINK["pattern"]: "must be an address that begins with `https://`",
}
"""What each pattern asks for, in words."""
FORMATS = {
    "date-time": "must be an instant (`date-time` of RFC 3339) such as `2099-12-31T18:00:00Z`",
    "ipv4": "must be an IPv4 address",
    "ipv6": "must be an IPv6 address",
}


def page(items: str) -> Schema:
    """A page of a list: its items, and the cursor of the next page."""
    return answer({"items": {"type": "array", "items": ref(items)}, "next": nullable({"type": "string"})})


def answer(properties: dict[str, Schema], optional: tuple[str, ...] = (), **more: Any) -> Schema:
    """An object that Accord sends. It may have more properties one day, so that clients must ignore those they do not know."""
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        **more,
    }


def request(properties: dict[str, Schema], optional: tuple[str, ...] = (), **more: Any) -> Schema:
    """An object that Accord reads. Unknown properties are refused, so that no typo goes unnoticed."""
    return {**answer(properties, optional), "additionalProperties": False, **more}


def one_of(*known: str, description: str = "") -> Schema:
    """A word that Accord sends. There may be more of them one day, so that `enum` would be a promise that clients build on."""
    return {
        "type": "string",
        "description": f"{description} There may be more values one day.".strip(),
        "x-extensible-enum": list(known),
    }
