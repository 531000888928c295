"""Signs of a secret in text. Secrets do not belong in Git: everyone who can read the repository can read its history."""

from __future__ import annotations

import re
from collections.abc import Iterator

SIGNS: tuple[tuple[str, str], ...] = (
    ("a private key", r"-----BEGIN [A-Z ]*PRIVATE KEY"),
    ("an Accord token", r"accord_[0-9A-Za-z]{20,}"),
    ("a password hash", r"\$(?:argon2(?:id|i|d)|2[aby]|6|5|y)\$[^\s\"']{20,}"),
    ("a JSON web token", r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"),
    ("an AWS key", r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    ("a GitHub token", r"\b(?:gh[pousr]_[0-9A-Za-z]{30,}|github_pat_[0-9A-Za-z_]{30,})"),
    ("a GitLab token", r"\bglpat-[0-9A-Za-z_-]{20,}"),
    ("a Slack token", r"\bxox[abprs]-[0-9A-Za-z-]{10,}"),
    (
        "a password",
        r"(?i:(?:\b|_)(?:password|passwd|pwd|passphrase|secret|api[_-]?key)(\b\s*[:=]\s*)[\"'`]?([^\s{}<>\[\]\"'`]{6,}))",
    ),
    ("a password in a URL", r"(?i:(?<![a-z0-9+.-])[a-z][a-z0-9+.-]*://[^/\s:@{}]*:[^/\s:@{}]+@)"),
)
_TRACES = (
    "-----begin", "$argon2", "$2", "$6$", "$5$", "$y$", "eyj", "akia", "asia", "glpat-", "xox", "passw", "passphrase", "secret",
    "pwd", "api-key", "apikey", "://",
)  # fmt: skip
"""Without one of these, in any case, no sign can match; searching for them is thirty times faster."""
_COMPILED = [(kind, re.compile(pattern)) for kind, pattern in SIGNS]
_TRACES_WITH_UNDERSCORE = ("accord_", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "api_key")


_WORD = r"(?:[A-Z]?[a-z\u00df-\u024f]+(?:'[a-z]+)?|[A-Z]+|U2F|2FA|FIDO2|1Password)"
_LABEL = r"[a-z]+(?:-[a-z]+)*"
_HOST = rf"(?:{_LABEL}(?:-?[0-9]{{1,3}})?\.)*{_LABEL}\.[a-z]{{2,}}"
_REFERENCE = re.compile(
    r"""
    generated|none
    | ([*x.\N{BULLET}_-])\1+                          # a mask
    | \$[A-Z_][A-Z0-9_]*|%[A-Z_][A-Z0-9_]*%|\$\([a-z._/-]+  # a variable, a command; `${…}` never gets here
    | %[a-z_]+%|%\([a-z_]+\)s                         # a place in a text that is filled in
    | [a-z][a-z0-9+.-]*://.*                          # a URL; passwords in one have their own sign
    | \.{0,2}/?[a-z_-]+(?:/[a-z_-]+[0-9]{0,3}){2,}/?  # a path, in a vault or on a page
    """,
    re.VERBOSE,
)
"""What is never a secret itself, also after `=`."""
_PROSE = re.compile(
    rf"""
    (?:[0-9]{{1,3}}-)?{_WORD}(?:[-/,&]{_WORD}){{0,2}}                    # words: `helpdesk`, `self-service`, `90-day`
    | (?:[A-Z][a-z]+){{2,3}}[A-Z]{{0,2}}|[a-z]+(?:[A-Z][a-z]+){{1,2}}  # names of products, and of properties: `KeePass`
    | (?:{_WORD}(?:[._+-]{_WORD})*[0-9]{{0,3}}@)?{_HOST}               # a host, an address
    | \.{{0,2}}/?[a-z_-]+/[a-z_-]+[0-9]{{0,3}}/?                       # a short path
    | [0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}                                   # a date
    """,
    re.VERBOSE,
)
"""What follows the word `password` and a colon in prose. A password has digits, signs or capitals in odd places."""
_SHORT = re.compile(r"\(?[\w+/~-]{1,5}\)?[.,;:]?")
"""Too short for a password, but for what encloses it in a sentence: `(12+).`."""
_LONGEST_WORD = 64
_ALLOWING = re.compile(r"#\s*accord:\s*not-a-secret\b")


def may_hold_secret(text: str) -> bool:
    """Tell whether a YAML text needs a closer look. A backslash may spell any letter or join two lines."""
    folded = text.casefold()
    return (
        "\\" in text
        or any(map(folded.__contains__, _TRACES))
        or ("_" in folded and any(map(folded.__contains__, _TRACES_WITH_UNDERSCORE)))
    )


def secret_in(text: str) -> str | None:
    """Return the kind of secret that a text seems to contain, or None. Never return the secret itself."""
    return next((kind for kind, _ in secrets_in(text)), None)


def secrets_in(text: str) -> Iterator[tuple[str, int]]:
    """Yield the kind and the place of each sign of a secret."""
    for kind, pattern in _COMPILED:
        for found in pattern.finditer(text):
            if kind != "a password" or _is_password(found[1], found[2]):
                yield kind, found.start()


def _is_password(between: str, value: str) -> bool:
    """Tell a password from a word about one. `password=…`, without blanks, is never prose."""
    if len(value) > _LONGEST_WORD:
        return True
    if any(_REFERENCE.fullmatch(text) for text in (value, value.strip("().,;:"))):
        return False
    return between == "=" or not (_SHORT.fullmatch(value) or _PROSE.fullmatch(value.lstrip("(").rstrip(".,;:!?)")))


def is_allowed(comment: str) -> bool:
    """Tell whether a comment says that its line holds no secret."""
    return _ALLOWING.search(comment) is not None
