"""Which addresses mail can be sent to, and what becomes of those that a directory holds."""

from __future__ import annotations

import pytest

from reconciler.mail.addresses import domain_of, is_address, mailbox


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("alice@example.org", "alice@example.org"),
        (" alice@example.org ", "alice@example.org"),
        ("Joerg Lang <joerg@example.org>", "joerg@example.org"),
        ('"Lang, Jörg" <joerg@example.org>', "joerg@example.org"),
        ("<joerg@example.org>", "joerg@example.org"),
        ("joerg@exämple.org", "joerg@xn--exmple-cua.org"),
        ("Jörg <joerg@EXÄMPLE.org>", "joerg@xn--exmple-cua.org"),
        ("joerg@例え.jp", "joerg@xn--r8jz45g.jp"),
        ("jörg@example.org", None),  # needs SMTPUTF8, which few servers offer
        ("joerg@straße.example", None),  # the older encoding makes `strasse` of it: somebody else's
        ("joerg@" + "ä" * 70 + ".example", None),
        ("joerg", None),
        ("a@example.org, b@example.org", None),
        ("a@example.org; b@example.org", None),
        ("A <a@example.org> <b@example.org>", None),
        ("a@example..org", None),
        ("a@b\r\nRCPT TO:<c@d>", None),
        ("", None),
        (None, None),
    ],
)
def test_the_address_that_a_text_names(text: str | None, address: str | None) -> None:
    assert mailbox(text) == address
    assert address is None or is_address(address)


def test_domains_are_compared_without_case() -> None:
    assert domain_of("Alice@Example.ORG") == "example.org"
