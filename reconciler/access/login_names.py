"""Names that people log in with: a declared user's name, and the aliases that the predecessor or Windows gave them."""

from __future__ import annotations

import re
import unicodedata

LONGEST = 256
"""How many characters an alias has at most, as declared and as it is compared."""
_INVISIBLE = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
"""Characters that count as printable, and that nobody sees: fillers, joiners and selectors of variants."""


def folded(name: str) -> str:
    """Return what a name is compared by, so that two names that look the same are one: Unicode's NFKC_Casefold, in essence.

    Folding twice changes nothing more.
    """
    decomposed = unicodedata.normalize("NFKC", unicodedata.normalize("NFD", name).casefold())
    return unicodedata.normalize("NFKC", decomposed.casefold())


def check_alias(text: str) -> None:
    """Raise ValueError, saying what is wrong, unless a text can be an alias: printable, without spaces around it."""
    if text != text.strip() or folded(text) != folded(text).strip():
        raise ValueError(f"the login `{text}` begins or ends with a space; remove it")
    hidden = next((each for each in text if not each.isprintable() or _INVISIBLE.match(each)), None)
    if hidden is not None:
        raise ValueError(f"the login has the character U+{ord(hidden):04X}, which nobody sees; write it without")
    if not folded(text) or len(folded(text)) > LONGEST:
        raise ValueError(f"the login is compared by more than {LONGEST} characters; write a shorter one")
