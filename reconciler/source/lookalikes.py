"""Signs of other languages, and of word processors, in place of YAML's: comments, bullets, separators and colons."""

from __future__ import annotations

import re

from reconciler.source.secrets import secret_in

_LONGEST = 60
_COMMENT = re.compile(r"(?:^\s*|[\]}\"',]\s*)(//|/\*)(.*)|^\s*(;)(.*)")
_SEPARATOR = re.compile(r"\s*(?:[-–—]{2,}|[–—]|={3,})\s*")
_BULLET = re.compile(r"(\s*)([*+•·‣◦–—])\s+(\S.*)")
_WIDE_COLON = re.compile(r"\s*(?:- +)*([A-Za-z][\w.-]*)\s*([\uff1a\ufe55\ua789])")
_TEXT_BELOW = re.compile(r"(?:^|\s)(?:- +|[\w.-]+:\s+)([|>])[-+1-9]*\s*(?:#.*)?\Z")
_PART = re.compile(r"\s*(?:- |-\Z|[\w.-]+:(?:\s|\Z))")
_ENDING = re.compile(r"(?:(user|issuer):\s+)?([a-z0-9][a-z0-9._-]*),?\s+\(?until\b:?\s*([^\s,()]*)\)?")

Found = tuple[int, int, str] | None


def in_lines(lines: list[str], line: int, within_brackets: bool) -> Found:
    """Find such a sign in the line that a parser complains about, or in the one above, which that line may continue."""
    unindented = _unindented(lines, line)
    if unindented is not None:
        return unindented
    above = next((number for number in range(line - 1, 0, -1) if lines[number - 1].strip()), line)
    for number in dict.fromkeys((line, above)):
        if not _is_text(lines, number):
            text = lines[number - 1].rstrip()
            found = wide_colon(text) or _comment(text, within_brackets) or _separator(text) or bullet(text)
            if found is not None:
                return number, *found
    return None


def wide_colon(text: str) -> tuple[int, str] | None:
    """Find `key：value`, with a full-width colon; the column, from 1, and what to write."""
    found = _WIDE_COLON.match(text)
    if found is None:
        return None
    return found.start(2) + 1, f"`{found[2]}` (U+{ord(found[2]):04X}) is no colon of YAML; write `{found[1]}:` and a blank"


def bullet(text: str) -> tuple[int, str] | None:
    """Find `* alice` or `– alice` at the beginning of a line; the column, from 1, and what to write."""
    found = _BULLET.match(text)
    if found is None:
        return None
    written = f"; write `- {found[3]}`" if _may_be_shown(found[3]) else ""
    return found.start(2) + 1, f"an item of a list begins with `-` and a blank, not with `{found[2]}`{written}"


def ending(text: str) -> tuple[str | None, str, str] | None:
    """Return the key (if there is one), the name and the end of `user: alice until: 2099-01-01` or `alice until 2099-01-01`."""
    found = _ENDING.fullmatch(text.strip())
    return (found[1], found[2], found[3]) if found and found[3] and _may_be_shown(text) else None


def _comment(text: str, within_brackets: bool) -> tuple[int, str] | None:
    found = _COMMENT.search(text)
    if found is None:
        return None
    at = found.start(1) if found[1] else found.start(3)
    said = (found[2] if found[1] else found[4]).strip(" */;")
    if any(text.count(quote, 0, at) % 2 for quote in "\"'"):
        return None
    json = " (JSON has none)" if within_brackets else ""
    return at + 1, f"comments begin with `#`{json}" + (f"; write `# {said}`" if said and _may_be_shown(said) else "")


def _separator(text: str) -> tuple[int, str] | None:
    if text == "---" or not _SEPARATOR.fullmatch(text):
        return None
    return len(text) - len(text.lstrip()) + 1, "what separates documents is `---`, at the beginning of a line; write that"


def _unindented(lines: list[str], line: int) -> Found:
    """Find the text of a key that ends in `|` or `>` if it is not indented: lines without keys, from there to the complaint."""
    first = line
    for number in range(line, 0, -1):
        text = lines[number - 1].rstrip()
        sign = _TEXT_BELOW.search(text)
        if sign and number < line:
            wanted, own = _indentation(text) + 2, _indentation(lines[first - 1])
            if own >= wanted - 1 or _PART.match(lines[first - 1]):
                return None
            return first, own + 1, f"the text below `{sign[1]}` must be indented; begin its lines with {wanted} blanks"
        if text and number < line and _PART.match(text):
            return None
        first = number if text else first
    return None


def _is_text(lines: list[str], number: int) -> bool:
    """Tell whether a line is within the indented text of a key that ends in `|` or `>`."""
    own = _indentation(lines[number - 1])
    for text in reversed(lines[: number - 1]):
        if text.strip() and _indentation(text) < own:
            return bool(_TEXT_BELOW.search(text.rstrip()))
    return False


def _indentation(text: str) -> int:
    return len(text) - len(text.lstrip())


def _may_be_shown(text: str) -> bool:
    return len(text) <= _LONGEST and secret_in(text) is None
