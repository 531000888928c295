"""Counts, and text made safe to show: a terminal and a CI runner take it for text, and obey nothing in it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence

_HIDING = (
    "\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\ud800-\uf8ff\ufeff\ufff0-\ufffb\U000110bd\U000110cd\U00013430-\U0001345f\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e00ff\U000e01f0-\U000e0fff\U000f0000-\U0010ffff"
)
"""Characters that show nothing, move the cursor or turn the writing direction; control characters below them not counted."""
_HIDDEN = re.compile(f"[\x00-\x1f{_HIDING}]")
_HIDDEN_IN_LINES = re.compile(f"[\x00-\x08\x0b-\x1f{_HIDING}]")
_HIDDEN_IN_JSON = re.compile(f"[{_HIDING}]")  # every writer of JSON escapes those below
_SIGNS = ("::", "##", "--- ", "+++ ", "~~~ ", "^^^ ")
_COMMANDS = re.compile(
    r"^([^\S\n]*):(?=:)"  # GitHub's, whatever blanks are before it
    r"|#(?=#[A-Za-z]*\[)"  # GitHub's of old, Azure's and TeamCity's, anywhere in a line
    r"|^([-+~^])(?=\2\2 )",  # Buildkite's, which fold what follows
    re.MULTILINE,
)


def count(number: int, noun: str, plural: str = "") -> str:
    """Return `1 team` or `1,200 teams`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def listed(names: Sequence[str]) -> str:
    """Return `a`, `a and b` or `a, b and c`."""
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def printable(text: str) -> str:
    """Put text on one line in which nothing hides: spell out characters that move the cursor or turn the writing direction."""
    return text if text.isprintable() else _HIDDEN.sub(_spelled, text)


def inert_lines(text: str) -> str:
    """The same for text of several lines, which stay as they are."""
    return text if text.isprintable() else _HIDDEN_IN_LINES.sub(_spelled, text)


def unhidden(text: str) -> str:
    """Return text with a blank in place of each character that hides, moves the cursor or turns the writing direction."""
    return text if text.isprintable() else _HIDDEN.sub(" ", text)


_NO_AUTHORS = str.maketrans({"<": " ", ">": " ", "[": "(", "]": ")", "*": " "})


def author_text(text: str) -> str:
    """Return a name as a commit's author can have it: on one line, without what ends it or, in brackets, tells CI to skip."""
    return " ".join(unhidden(text).translate(_NO_AUTHORS).split())


def inert(text: str) -> str:
    """Keep lines as they are, except what a terminal or a CI runner would obey: spell that out.

    Everything that commands write for people passes through here, so that no text from a repository has to be trusted.
    """
    if not text.replace("\n", "").isprintable():
        text = _HIDDEN_IN_LINES.sub(_spelled, text)
    return _COMMANDS.sub(_disarmed, text) if any(sign in text for sign in _SIGNS) else text


def inert_json(text: str) -> str:
    """Keep JSON equal, as a parser reads it, with escapes for what a terminal or a CI runner would obey."""
    if not text.replace("\n", "").isprintable():
        text = _HIDDEN_IN_JSON.sub(_escaped, text)
    return _COMMANDS.sub(_disarmed, text) if "##" in text else text  # no line of JSON begins with text


def inert_html(text: str) -> str:
    """Keep a page equal, as a browser reads it, with character references for what a terminal or a CI runner would obey."""
    pieces = re.split(r"(<style\b.*?</style)", text, flags=re.IGNORECASE | re.DOTALL)  # knows no character references
    pieces[0::2] = (_COMMANDS.sub(_referred, _HIDDEN_IN_LINES.sub(_referred, piece)) for piece in pieces[0::2])
    pieces[1::2] = (inert(re.sub(r"\s+::", " ::", piece)) for piece in pieces[1::2])
    return "".join(pieces)


def command_line(words: Iterable[str]) -> str:
    """A command that a shell reads as these words. What hides in one is spelled out as bash, ksh and zsh read it."""
    return " ".join(map(_quoted, words))


def _quoted(word: str) -> str:
    if not _HIDDEN_IN_LINES.search(word):
        return shlex.quote(word)
    plain = word.replace("\\", "\\\\").replace("'", "\\'")
    return f"$'{_HIDDEN_IN_LINES.sub(lambda found: f'{chr(92)}U{ord(found[0]):08x}', plain)}'"


def _spelled(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def _escaped(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))


def _disarmed(found: re.Match[str]) -> str:
    return f"{found[0][:-1]}\\u{ord(found[0][-1]):04x}"


def _referred(found: re.Match[str]) -> str:
    return f"{found[0][:-1]}&#{ord(found[0][-1])};"
