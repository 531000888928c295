"""What somebody types as the reason of a proposal stays readable, and commands nothing."""

from __future__ import annotations

import pytest

from reconciler.run.proposal_message import message_of
from reconciler.source.intent import Act, Author, Intent


def said(reason: str) -> str:
    """The message of a proposal for this reason, without its first and its last line."""
    intent = Intent((Act("disable", {"name": "ada"}),), reason=reason)
    message = message_of(intent, Author("Alice", "alice@example.org"), ())
    return message.removeprefix("Disable the user ada\n\n").removesuffix("\n\nProposed-by: Alice <alice@example.org>\n")


@pytest.mark.parametrize(
    ("reason", "wanted"),
    [
        ("[skip ci]", "(skip ci)"),
        ("[CI-Skip]", "(CI-Skip)"),
        ("[ci:skip]", "(ci:skip)"),
        ("[no ci]", "(no ci)"),
        ("[ NO  Builds ]", "( NO  Builds )"),
        ("[no-build]", "(no-build)"),
        ("[skip azp]", "(skip azp)"),
        ("[azurepipelines skip]", "(azurepipelines skip)"),
        ("[skip azpipelines]", "(skip azpipelines)"),
        ("[Skip Travis]", "(Skip Travis)"),
        ("[skip   cirrus]", "(skip   cirrus)"),
        ("[skip" + " " * 50 + "ci]", "(skip" + " " * 50 + "ci)"),
        ("[skip\nci]", "(skip\nci)"),
        ("[CF-Pages-Skip]", "(CF-Pages-Skip)"),
        ("[[skip ci]]", "[(skip ci)]"),
        ("[a] [skip ci] [b]", "[a] (skip ci) [b]"),
        ("***NO_CI***", "NO_CI"),
        ("skip-checks: true", "skip-checks true"),
        ("Because.\n\n\nSkip-Checks :true", "Because.\n\n\nSkip-Checks true"),
        ("SKIP-CHECKS:true", "SKIP-CHECKS true"),
        ("skip-checks   :   true", "skip-checks true"),
        ("[1] see the note, [nobody] and [north]; skip: checks", "[1] see the note, [nobody] and [north]; skip: checks"),
    ],
)
def test_nothing_in_a_reason_keeps_ci_from_checking(reason: str, wanted: str) -> None:
    assert said(reason) == wanted


@pytest.mark.parametrize(
    "reason", ["[" * 100_000, "[skip" * 50_000, "skip-checks" + " " * 100_000, "skip" * 50_000, "[no" * 50_000]
)
def test_hostile_reasons_end_soon(reason: str) -> None:
    said(reason)
