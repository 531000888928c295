"""Signs of a secret in text. Secrets do not belong in Git: everyone who can read the repository can read its history."""

from __future__ import annotations

import re

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
        r"(?i:\b(?:password|passwd|passphrase|secret|api[_-]?key)\b\s*[:=]\s*(?!generated\b|none\b)[^\s{}<>\[\]\"']{6,})",
    ),
    ("a password in a URL", r"(?i:(?<![a-z0-9+.-])[a-z][a-z0-9+.-]*://[^/\s:@{}]*:[^/\s:@{}]+@)"),
)
_TRACES = (
    "-----begin", "$argon2", "$2", "$6$", "$5$", "$y$", "eyj", "akia", "asia", "glpat-", "xox", "passw", "passphrase", "secret",
    "api-key", "apikey", "://",
)  # fmt: skip
"""Without one of these, in any case, no sign can match; searching for them is thirty times faster."""
_TRACES_WITH_UNDERSCORE = ("accord_", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "api_key")


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
    return next((name for name, pattern in SIGNS if re.search(pattern, text)), None)
