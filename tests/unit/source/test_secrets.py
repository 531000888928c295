"""Signs of secrets: each is found wherever it stands in a resource, ordinary text is none, and looking is never slow."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from growth import assert_linear
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reconciler.source.blobs import read_blob
from reconciler.source.secrets import SIGNS, may_hold_secret, secret_in

SECRETS = {
    "a private key": ["-----BEGIN PRIVATE KEY-----", "-----BEGIN RSA PRIVATE KEY", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA"],
    "an Accord token": ["accord_" + "0aZ" * 7],
    "a password hash": [
        "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ",
        "$2b$12$abcdefghijklmnopqrstuv",
        "$6$salt$" + "x" * 20,
        "$5$rounds=5000$" + "x" * 20,
        "$y$j9T$" + "x" * 20,
    ],
    "a JSON web token": ["eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N"],
    "an AWS key": ["AKIAIOSFODNN7EXAMPLE", "ASIAIOSFODNN7EXAMPLE"],
    "a GitHub token": [*(f"gh{letter}_" + "a1B" * 12 for letter in "pousr"), "github_pat_" + "a1_" * 20],
    "a GitLab token": ["glpat-" + "a1-_" * 5],
    "a Slack token": ["xoxb-1234567890-abc", "xoxp-1234567890-abc"],
    "a password": [
        "password: hunter22",
        "PASSWORD=hunter22",
        "my passwd = hunter22",
        "Passphrase : correct-horse-battery-staple",
        "DB_PASSWORD=hunter22",
        "pwd=swordfish",
        "password=swordfish",
        "password: Summer2026!",
        "password: qWerTyuIop",
        "secret: aGVsbG8gd29ybGQK",
        "api-key:0123456",
        "apiKey=0123456",
        "secret: s3cr3t!",
        "pa\u017f\u017fword: hunter22",
        *(
            f"password: {text}"
            for text in (
                "$ecretP4ss!",
                "$Summer2026!",
                "$SUMMER2026!",
                "%Tr0ub4dor3",
                "$(aB3x)y",
                "$(aB3x9yZ)",
                "Tr0ub4dor@3x.9",
                "P4ssw0rd@corp.example",
                "hunter2026@corp.example",
                "jane.d0e2@corp.example",
                "%Tr0ub4dor3%",
                "%(Tr0ub4dor3)s",
                "(aB3x9y).",
                "aB3x:::",
                "aB3!x;",
                "x7k2m9q4.zz",
                "c0rrect.horse",
                "hunter2.horse",
                "hunter2/abc1",
                "/aB3x/yZ9",
                "aB3x!!!",
                "(aB3x)!",
                "Summer26",
                "A1B/C2D",
            )
        ),
        "password=$ecretP4ss",
        "password=correct/horse",
        "password=******1",
    ],
    "a password in a URL": [
        "https://alice:hunter22@example.org/",
        "postgresql+psycopg://accord:x@db/accord",
        "redis://:hunter22@localhost",
        "HTTPS://alice:hunter22@example.org",
    ],
}
ALL = [(kind, text) for kind, texts in SECRETS.items() for text in texts]
ORDINARY = [
    "password policy",
    "Ask for the password: helpdesk@example.org",
    "Forgotten password: see https://wiki.example.org/reset",
    "Certificates for the secret: management service",
    "API key: rotation is quarterly",
    "the database password: rotated every quarter",
    "Passphrase: remember it well",
    "secret: kv/production/pki",
    "secret: vault01.example.org",
    "password: self-service",
    "password: KeePass",
    "password: 90-day rotation",
    "password: $VAULT_PASSWORD",
    "password: (optional)",
    *(
        f"password: {text}"
        for text in (
            "KeePassXC",
            "1Password",
            "TOTP/U2F",
            "......",
            "$(pass show db)",
            "%DB_PASSWORD%",
            "heidi.jones@example.org",
            "Helpdesk@corp.example.org.",
            "vault01.example.org",
            "kv/team1",
            "kv/team/db",
            "2099-12-31",
            "changeable!!!",
            "(see-wiki).",
            "helpdesk2@corp.example",
            "jane.doe2@corp.example",
            "(12+).",
            "12-16,",
            "(90d):",
            "%username%",
            "%(password)s",
        )
    ),
    "password=$DB_PASSWORD",
    "password=${DB_PASSWORD}",
    "password=********",
    "password=%(password)s",
    "secret=kv/team/db",
    "initialPassword=generated",
    "api_key=vault://kv/team1/db",
    "password: ********",
    "password = fifteen characters",
    "password-policy: strict",
    "The password: see the wiki",
    "password: generated",
    "initialPassword: none",
    "Your password: {{ password }}",
    "secretary",
    "Our secret-sharing scheme: Shamir's",
    "https://example.org:8443/a@b",
    "https://alice@example.org",
    "ssh://git@example.org:22/x",
    "https://{{ user }}:{{ port }}@x",
    "mailto:alice@example.org",
    "A$AP $2 $5 bills",
    "accord_token",
    "AKIAthoven",
    "eyJustAName.eyJ",
    "BEGIN CERTIFICATE",
    "-----BEGIN CERTIFICATE-----",
    "-----BEGIN PUBLIC KEY-----",
    "passwords are for people",
    "api_key",
    "ghp_short",
]


def test_every_sign_has_an_example() -> None:
    assert {kind for kind, _ in SIGNS} == set(SECRETS)


@pytest.mark.parametrize(("kind", "text"), ALL)
def test_each_kind_of_secret_is_recognized(kind: str, text: str) -> None:
    assert secret_in(text) == kind
    assert secret_in(f"see {text} or so") == kind


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_text_holds_no_secret(text: str) -> None:
    assert secret_in(text) is None


def quoted(text: str) -> str:
    """A double-quoted scalar in which no letter stands as it is."""
    return '"' + "".join(f"\\U{ord(char):08x}" for char in text) + '"'


HEAD = "apiVersion: accord/v1\nkind: Team\nmetadata: {name: web}\nspec:\n"
FORMS = {
    "a value": "  description: {}\n",
    "a value in a list": "  adGroups: [x, {}]\n",
    "a value in a member": "  members: [{{user: alice, reason: {}}}]\n",
    "a key": "  {}: 1\n",
    "an unknown property": "  nested: {{a: [{{b: {}}}]}}\n",
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("kind", "text"), ALL)
def test_a_secret_is_found_anywhere_and_however_it_is_written(kind: str, text: str, form: str) -> None:
    for scalar in (quoted(text), f"'{text}'") if "\n" not in text else (quoted(text),):
        blob = read_blob((HEAD + FORMS[form].format(scalar)).encode())
        found = [message for _, _, rule, severity, message, _ in blob.reports if (rule, severity) == ("secret", "error")]
        assert len(found) == 1 and f"looks like {kind};" in found[0]
        assert not blob.documents


def places(content: str) -> list[tuple[int, int]]:
    return [(line, column) for line, column, rule, *_ in read_blob(content.encode()).reports if rule == "secret"]


def test_a_secret_in_a_folded_or_a_literal_text_is_found() -> None:
    assert places(HEAD + "  description: >\n    -----BEGIN\n    PRIVATE KEY-----\n") == [(5, 16)]
    assert places(HEAD + "  description: |\n    x\n    password: hunter22\n") == [(5, 16)]
    assert places(HEAD + '  description: "acc\\\n    ord_0123456789abcdefghij"\n') == [(5, 16)]
    assert places(HEAD + "  description: 'secret:\n    hunter22'\n") == [(5, 16)]


def test_a_label_says_what_its_value_is() -> None:
    content = HEAD.replace("name: web", "name: web, labels: {password: hunter22, policy: password}") + "  administrator: true\n"
    assert places(content) == [(3, 42)]


def test_a_secret_in_a_comment_is_found_once_and_text_after_a_hash_is_no_comment() -> None:
    assert places("# password: hunter22\n" + HEAD + "  administrator: true # accord_0123456789abcdefghij\n") == [(1, 1), (6, 23)]
    assert places("\ufeff# password: hunter22\n" + HEAD + "  administrator: true\n") == [(1, 1)]
    assert places(HEAD + "  description: '# password: hunter22'\n") == [(5, 16)]
    assert places(HEAD + "  description: |\n    # password: hunter22\n") == [(5, 16)]
    assert places(HEAD + "  description: x#password:hunter22\n") == [(5, 16)]
    assert places("# password: 'hunter22'\n" + HEAD + "  description: | # password: hunter22\n    x\n") == [(1, 1), (6, 18)]


@pytest.mark.parametrize(
    "line",
    [
        "description: 'x # y' {}", "description: 'x # y'{}", "description: a#b {}", "description: &x {}\n    'y # z'",
        "description: &x 'y # z' {}", "description: &x # y\n    | {}\n    z # z", "description: |{}\n    x # y\n    z",
        "adGroups: ['x # y',{}\n    z]", "adGroups: [x{}\n    ]", "adGroups: {}\n    - 'x # y'", "'description': 'x #' {}",
        "description: 'x #\n\n    # y' {}", 'description: "\\" # y" {}',
    ],
)  # fmt: skip
def test_a_secret_is_found_in_every_comment_that_libyaml_reads_as_one(line: str) -> None:
    blank = "" if "x{}" not in line else " "
    for comment in ("# password: Tr0ub4dor&3x", "#password: Tr0ub4dor&3x"):
        content = HEAD + f"  {line.format(blank + comment)}\n"
        column = content.rpartition(comment)[0].rpartition("\n")[2]
        assert places(content) == [(content.partition(comment)[0].count("\n") + 1, len(column) + 1)]
        assert allowing(content.replace("&3x", f"&3x {MARK} (see #12)"))[0][1:] == ("allowed-secret", "note")


def test_comments_take_time_linear_in_the_text() -> None:
    def reading(count: int) -> Callable[[], object]:
        lines = "".join(f"    - &a{number} 'password: hunter22' # accord: not-a-secret\n" for number in range(count))
        return lambda: read_blob((HEAD + "  adGroups:\n" + lines).encode())

    assert_linear(reading, 60, 960)


def test_a_message_about_a_secret_never_repeats_it() -> None:
    for _, text in ALL:
        for _, _, rule, _, message, suggestion in read_blob((HEAD + f"  description: {quoted(text)}\n").encode()).reports:
            assert rule == "secret" and text not in message and suggestion is None


def allowing(content: str) -> list[tuple[int, str, str]]:
    return [(line, rule, severity) for line, _, rule, severity, *_ in read_blob(content.encode()).reports]


MARK = "# accord: not-a-secret"


def test_a_comment_allows_one_line_as_no_secret() -> None:
    line = f"  description: 'password: hunter22' {MARK}\n"
    assert allowing(HEAD + line) == [(5, "allowed-secret", "note")]
    assert read_blob((HEAD + line).encode()).documents
    assert allowing(f"# password: hunter22 {MARK}\n" + HEAD + "  administrator: true\n") == [(1, "allowed-secret", "note")]
    both = HEAD + line + "  # password: hunter22\n"
    assert allowing(both) == [(5, "allowed-secret", "note"), (6, "secret", "error")]
    block = HEAD + f"  description: | {MARK}\n    x\n    password: hunter22\n"
    assert allowing(block) == [(5, "allowed-secret", "note")]


def test_a_comment_allows_neither_two_lines_nor_a_private_key_nor_another_line() -> None:
    two = HEAD + f"  description: | {MARK}\n    password: hunter22\n    password: hunter23\n"
    key = HEAD + f"  description: | {MARK}\n    -----BEGIN PRIVATE KEY-----\n    AAAA\n"
    above = HEAD + f"  {MARK}\n  description: 'password: hunter22'\n"
    within = HEAD + f"  description: 'password: hunter22 {MARK}'\n"
    for content in (two, key, above, within):
        assert [rule for _, rule, _ in allowing(content)] == ["secret"]


def test_a_message_about_an_allowed_line_does_not_repeat_it() -> None:
    for _, text in ALL:
        for _, _, _, _, message, _ in read_blob((HEAD + f"  description: {quoted(text)} {MARK}\n").encode()).reports:
            assert text not in message


TRACES = st.sampled_from([word for _, text in ALL for word in re.findall(r"\w+|\W+", text)])
TEXTS = st.one_of(
    st.text(max_size=30),
    st.lists(TRACES, max_size=12).map("".join),
    st.builds(
        lambda pair, before, after: before + pair[1] + after, st.sampled_from(ALL), st.text(max_size=5), st.text(max_size=5)
    ),
    *(st.from_regex(pattern) for _, pattern in SIGNS),
)


@settings(max_examples=300)
@given(TEXTS, st.sampled_from([str, str.upper, str.lower, str.swapcase]))
@example("pa\u017f\u017fword: hunter22", str)
@example("api\u212aey: hunter22".replace("i\u212a", "i_\u212a"), str)
def test_the_quick_look_misses_nothing_that_the_closer_look_finds(text: str, case: type[str]) -> None:
    cased = case(text)
    assert secret_in(cased) is None or may_hold_secret(cased)


@settings(max_examples=100)
@given(st.sampled_from(ALL), st.integers(0, 2**20))
def test_the_quick_look_at_a_file_misses_nothing_in_its_values(pair: tuple[str, str], choice: int) -> None:
    text = "".join(
        f"\\x{ord(char):02x}" if choice >> index & 1 and ord(char) < 256 else char for index, char in enumerate(pair[1])
    )
    content = HEAD + '  description: "' + text.replace("\n", "\\n") + '"\n'
    assert [rule for _, _, rule, *_ in read_blob(content.encode()).reports] == ["secret"]


@pytest.mark.parametrize(
    "piece",
    [
        *("eyJ", "-eyJ", "eyJaaaaaaaaaa.", "-----BEGIN ", "-----BEGIN A", "password ", "password = ", "password:", "secret\t"),
        *("a://", "a://a:", "a.b-", "://", "$2a$", "$6$ ", "accord_", "api_key ", "xoxb-", "ghp_", "glpat-", "github_pat_"),
        *("AKIA", "a:b@", " ", "\n", "x"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("before", ["", "password:"])
def test_looking_for_secrets_takes_time_linear_in_the_text(piece: str, before: str) -> None:
    def looking(length: int) -> Callable[[], object]:
        text = before + piece * (length // len(piece))
        return lambda: (may_hold_secret(text), secret_in(text))

    assert_linear(looking, 1 << 11, 1 << 15)
