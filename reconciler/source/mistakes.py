"""What people really type instead of YAML: from the parser's complaint to the mistake, its place, and what to write instead."""

from __future__ import annotations

import re
import sys
from typing import NamedTuple

from reconciler.source.lookalikes import Found, ending, in_lines
from reconciler.source.secrets import secret_in

_LONGEST = 60


class _Foreign(NamedTuple):
    """How bytes begin that are not the text people edit."""

    start: bytes
    rule: str
    message: str


_FOREIGN = (
    _Foreign(
        b"version https://git-lfs.github.com/spec/",
        "lfs-pointer",
        "this is a pointer of Git LFS, not the file: Git stores the content elsewhere, and Accord reads only commits. Take the "
        "`filter=lfs` that concerns it out of .gitattributes (`git lfs untrack`), then run `git add --renormalize .`",
    ),
    _Foreign(
        b"\0GITCRYPT\0",
        "encrypted",
        "this file is encrypted by git-crypt; Accord reads commits and has no key. Take the `filter=git-crypt` that concerns it "
        "out of .gitattributes, then run `git add --renormalize .`. Resources hold no secrets",
    ),
    _Foreign(
        b"$ANSIBLE_VAULT;", "encrypted", "this file is encrypted by Ansible Vault; Accord has no key. Resources hold no secrets"
    ),
    _Foreign(
        b"age-encryption.org/v1", "encrypted", "this file is encrypted by age; Accord has no key. Resources hold no secrets"
    ),
    _Foreign(
        b"-----BEGIN AGE ENCRYPTED", "encrypted", "this file is encrypted by age; Accord has no key. Resources hold no secrets"
    ),
    _Foreign(
        b"-----BEGIN PGP MESSAGE", "encrypted", "this file is encrypted by PGP; Accord has no key. Resources hold no secrets"
    ),
    _Foreign(b"U2FsdGVkX1", "encrypted", "this file is encrypted by OpenSSL; Accord has no key. Resources hold no secrets"),
    _Foreign(b"Salted__", "encrypted", "this file is encrypted by OpenSSL; Accord has no key. Resources hold no secrets"),
    _Foreign(b"/annex/objects/", "lfs-pointer", "this is a pointer of git-annex, not the file; add the file itself to Git"),
    _Foreign(b"\xff\xfe", "not-utf-8", "the file is UTF-16; save it as UTF-8"),
    _Foreign(b"\xfe\xff", "not-utf-8", "the file is UTF-16; save it as UTF-8"),
)
_CONFLICT = re.compile(r"^(?:<{7}|>{7}|\|{7})(?: [^\n]*)?\r?$", re.MULTILINE)
_GLUED = re.compile(r"(\s*(?:- +)?)([A-Za-z][\w.-]*):([^\s:/][^\n]*)\Z")
_DASHED = re.compile(r"(\s*)-([A-Za-z0-9][^\s:]*)\s*\Z")
_BARE = re.compile(r"(\s*)([A-Za-z]\w*)\s*\Z")
_VALUE = re.compile(r"\s*(?:- +)*(?:(?:[\w.-]+|\"[^\"]*\"|'[^']*'):\s+)?")
_PARTS = re.compile(r"( *)((?:- +)*)(?=[^\s#])")
_QUOTED = re.compile(r"[\"']")


class Mistake(NamedTuple):
    """What is wrong, and where, from 1."""

    rule: str
    line: int
    column: int
    message: str


def foreign(content: bytes) -> tuple[str, str] | None:
    """Return the rule and the message for bytes that are not the file's text at all, such as a pointer of Git LFS."""
    return next(((one.rule, one.message) for one in _FOREIGN if content.startswith(one.start)), None)


def conflict(text: str) -> Mistake | None:
    """Return the first mark of a merge that was not finished."""
    found = _CONFLICT.search(text) if "<<<<<<<" in text or ">>>>>>>" in text else None
    if found is None:
        return None
    line = text.count("\n", 0, found.start()) + 1
    message = (
        "this is a mark of an unfinished merge; keep the right lines, and remove the `<<<<<<<`, `=======` and `>>>>>>>` ones"
    )
    return Mistake("merge-conflict", line, 1, message)


def explain(problem: str, context: str, lines: list[str], line: int, column: int, begin: tuple[int, int]) -> Mistake:
    """Explain what libyaml says about a place; `begin` is where what it was reading began. Lines and columns are from 1."""
    said = f"{context} {problem}"
    finders = (_lookalike, _unclosed, _escape, _indicator, _no_blank, _inner_colon, _after_value, _list_beside_key, _indentation)
    for find in finders:
        found = find(said, lines, line, column, begin)
        if found is not None:
            return Mistake("yaml-syntax", *found)
    return Mistake("yaml-syntax", line, column, f"this is not valid YAML: {said}".replace("  ", " ").strip())


def in_quotes(text: str) -> str:
    """Return text in single quotes, for a message. A secret is not repeated."""
    text = text.strip()
    return "it in single quotes" if secret_in(text) or len(text) > _LONGEST else f"`'{text.replace(chr(39), chr(39) * 2)}'`"


def _rest(line: str, at: int) -> str:
    """Return a value as it was meant, from a place on: to the line's end, or within brackets to what ends it there."""
    before, rest = line[:at], line[at:]
    opened = before.rfind("[") > before.rfind("]") or before.rfind("{") > before.rfind("}")
    return re.split(r"[,\]}]" if opened and not rest.startswith("{{") else r" #", rest, maxsplit=1)[0]


def _lookalike(said: str, lines: list[str], line: int, column: int, begin: tuple[int, int]) -> Found:
    if "quoted scalar" in said:
        return None
    opened = lines[begin[0] - 1 : begin[0]]  # none if that is the end of the file
    return in_lines(lines, line, bool(opened) and opened[0][begin[1] - 1 : begin[1]] in ("[", "{"))


def _unclosed(said: str, lines: list[str], line: int, column: int, begin: tuple[int, int]) -> Found:
    if "quoted scalar" in said and ("end of stream" in said or "document indicator" in said):
        return (*begin, "the quote that begins here is not closed")
    if "did not find expected ',' or" in said:
        opened = lines[begin[0] - 1][begin[1] - 1 : begin[1]]
        at = lines[begin[0] - 1]
        if at[begin[1] - 1 :].startswith("{{"):
            return (*begin, f"a text that begins with `{{{{` must be in quotes: write {in_quotes(at[begin[1] - 1 :])}")
        closing = {"[": "]", "{": "}"}.get(opened, "bracket")
        return (*begin, f"the `{opened}` here is not closed before line {line}: add `{closing}`, or a comma between the parts")
    return None


def _escape(said: str, lines: list[str], line: int, column: int, begin: tuple[int, int]) -> Found:
    if "quoted scalar" not in said or not ("hexdecimal" in said or "escape" in said or "Unicode" in said):
        return None
    written = re.match(r'"([^"]*)"', lines[begin[0] - 1][begin[1] - 1 :])
    hint = in_quotes(written[1]) if written else "it in single quotes"
    return (*begin, f"a backslash in double quotes begins an escape; if you mean a backslash, write {hint}")


def _indicator(said: str, lines: list[str], line: int, column: int, begin: tuple[int, int]) -> Found:
    """Find a text that begins with a character that means something to YAML."""
    text = lines[line - 1]
    if "scanning an alias" in said or "scanning an anchor" in said or "undefined alias" in said:
        at = max(text.rfind(char, 0, column) for char in "*&")
    elif "block scalar" in said:
        at = max(text.rfind(char, 0, column) for char in "|>")
    elif "cannot start any token" in said or "node content" in said or "mapping keys are not allowed" in said:
        at = column - 1
    else:
        return None
    if not 0 <= at < len(text) or text[at] not in "*&@`%|>?:,!":
        return None
    value = _rest(text, at)
    if re.fullmatch(r"%\s*[0-9.]+\s*", value):
        return line, at + 1, f"the percent sign comes after the number: write `{value.strip(' %')}%`"
    if text[at] == ",":
        return line, at + 1, "there is nothing before this comma; remove it"
    if text[at] in "|>":
        return line, at + 1, f"after `{text[at]}` the text begins on the next line, indented; or write {in_quotes(value)}"
    char = "a backtick" if text[at] == "`" else f"`{text[at]}`"
    return line, at + 1, f"a text that begins with {char} must be in quotes: write {in_quotes(value)}"


def no_blank(text: str) -> str | None:
    """Return what to write in place of `key:value`, which is no key and value without a blank."""
    found = _GLUED.match(text)
    if found is None or _QUOTED.match(found[3]):
        return None
    value = "…" if secret_in(text) else found[3][:_LONGEST]
    return f"there is no blank after the colon; write `{found[2]}: {value.strip()}`"


def _no_blank(said: str, lines: list[str], line: int, column: int, begin: tuple[int, int]) -> Found:
    """Find `key:value` or `-item` in the line, or in the one above that it then continues."""
    first_colon = ":" not in lines[line - 1][: column - 1]
    if "could not find expected ':'" not in said and not ("mapping values are not allowed" in said and first_colon):
        return None
    above = next((number for number in range(line - 1, 0, -1) if lines[number - 1].strip()), 0)
    for number in (line, above) if "could not find" in said else (above,):
        text = lines[number - 1].rstrip("\r") if number else ""
        glued, dashed, bare = no_blank(text), _DASHED.match(text), _BARE.match(text)
        if glued is not None:
            return number, len(text) - len(text.lstrip()) + 1, glued
        if dashed is not None:
            return number, len(dashed[1]) + 1, f"there is no blank after the dash; write `- {dashed[2][:_LONGEST]}`"
        if bare is not None:
            return number, len(bare[1]) + 1, f"there is no colon after `{bare[2][:_LONGEST]}`; write `{bare[2][:_LONGEST]}:`"
    return None


def _inner_colon(said: str, lines: list[str], line: int, column: int, begin: tuple[int, int]) -> Found:
    if "mapping values are not allowed" not in said:
        return None
    text = lines[line - 1].rstrip("\r")
    start = _VALUE.match(text)
    at = start.end() if start else 0
    if at < column - 1:
        item = text.lstrip().lstrip("- ")
        end = ending(item) if text.lstrip().startswith("- ") else None
        if end is not None and end[0]:
            message = f"several properties on one line must be in braces: write `{{{end[0]}: {end[1]}, until: {end[2]}}}`"
            return line, text.index(item) + 1, message
        return line, at + 1, f"a text that contains a colon and a blank must be in quotes: write {in_quotes(_rest(text, at))}"
    return (
        line,
        len(text) - len(text.lstrip()) + 1,
        "the line above has a value already, so nothing can be below it: align this line with its neighbours; an item of a list "
        "with several properties begins `- user: alice`",
    )


def _after_value(said: str, lines: list[str], line: int, column: int, begin: tuple[int, int]) -> Found:
    """Find what follows a closed quote or bracket on the same line."""
    text = lines[line - 1].rstrip("\r")
    start = _VALUE.match(text)
    at = start.end() if start else 0
    if "did not find expected" not in said or not 0 <= at < column - 1 or text[at : at + 1] not in ("'", '"', "{", "["):
        return None
    if text[at] in "'\"":
        inner = re.sub(r"[\"']\s*(?:#.*)?\Z", "", text[at + 1 :])
        return line, column, f"the text ends at the second quote, before this; for quotes within a text, write {in_quotes(inner)}"
    return line, column, f"nothing can follow the closing bracket; if all of it is text, write {in_quotes(text[at:])}"


def _list_beside_key(said: str, lines: list[str], line: int, column: int, begin: tuple[int, int]) -> Found:
    if "block sequence entries are not allowed" not in said:
        return None
    return line, column, "a list begins on the line below its key; on the same line, write it in brackets, such as `[a, b]`"


def _indentation(said: str, lines: list[str], line: int, column: int, begin: tuple[int, int]) -> Found:
    text = lines[line - 1]
    own = len(text) - len(text.lstrip()) + 1
    if "did not find expected" not in said or "block" not in said or own != column:
        return None
    if own == begin[1]:
        if "'-' indicator" in said:
            message = "there is a list here, whose items begin with `- `; a further property of an item is aligned with its first"
            return line, column, message
        return line, column, "there is a mapping here, so this line needs `key: value`"
    wanted = _neighbour(lines[: line - 1], own - 1, text.lstrip().startswith("-"))
    wanted = begin[1] - 1 if wanted is None else wanted
    return line, column, f"this line begins with {own - 1} blanks, and its neighbours with {wanted}; align it with them"


def _neighbour(above: list[str], own: int, dashed: bool) -> int | None:
    """Return the column, from 0, of the nearest part that lines above leave open: a dash, or what follows an item's dashes."""
    open_to = sys.maxsize
    found: list[tuple[int, int]] = []
    for text in reversed(above):
        part = _PARTS.match(text)
        if part is None or part.start(2) >= open_to:
            continue
        open_to = part.start(2)
        dashes = [open_to + at for at, char in enumerate(part[2]) if char == "-"]
        wanted = dashes if dashed else [part.end()] * (len(dashes) + 1)
        found += [(abs(own - at), -meant) for at, meant in zip((*dashes, part.end()), wanted, strict=False)]
    return -min(found)[1] if found else None
