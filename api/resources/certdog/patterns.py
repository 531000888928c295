"""The regular expressions that existing clients search by. They are hostile: RE2 matches in linear time, within a memory limit.

They were written for engines that find them anywhere in a name, and by scripts which anchor names with and without a space
behind each comma. Pure.
"""

from __future__ import annotations

import re2

from api.errors import Problem
from api.resources.certdog.names import spaced
from reconciler.wording.text import printable

LONGEST = 4_000
"""Characters: a name with each of its signs escaped."""
_MEMORY = 2 << 20
"""Bytes."""


class Pattern:
    """A regular expression for distinguished names."""

    def __init__(self, text: str, what: str) -> None:
        """Raises Problem, which says what is wrong with `what`."""
        if len(text) > LONGEST:
            raise Problem(f"`{what}` may have at most {LONGEST:,} characters")
        options = re2.Options()
        options.max_mem, options.log_errors, options.never_capture = _MEMORY, False, True
        try:
            self._search = re2.compile(text, options).search
        except (re2.error, UnicodeError) as error:
            raise Problem(
                f"`{what}` is not a regular expression that Accord can search by: {_reason(error)}. It reads the syntax of"
                " RE2, which has neither lookaround nor references back, nor possessive quantifiers"
            ) from None

    def finds(self, name: str) -> bool:
        """Whether the expression matches anywhere in a name of RFC 4514, in that spelling or with spaces."""
        return self._search(name) is not None or ("," in name and self._search(spaced(name)) is not None)


def _reason(error: Exception) -> str:
    """RE2's own words, shown safely."""
    if isinstance(error, UnicodeError):
        return "it holds half of a character"
    first = error.args[0] if error.args else ""
    text = first.decode("utf-8", "replace") if isinstance(first, bytes) else str(first)
    return printable(text)[:200]
