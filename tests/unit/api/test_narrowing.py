"""What a credential is narrowed to, read from its two columns."""

from __future__ import annotations

import pytest

from api.authentication.narrowing import NOT_NARROWED, narrowing_column, read_narrowing
from reconciler.access.permitted_ips import LOCAL, Address, parse_address


def test_a_credential_without_either_column_is_not_narrowed() -> None:
    narrowing = read_narrowing(None, None)
    assert narrowing is NOT_NARROWED
    assert not narrowing.is_narrowed
    assert narrowing.permits_issuer("tls-public")
    assert narrowing.permits_address(None)


@pytest.mark.parametrize("issuers", [[], ["tls-public"]])
def test_issuers_narrow_to_exactly_themselves(issuers: list[str]) -> None:
    narrowing = read_narrowing(narrowing_column(issuers), None)
    assert narrowing.is_narrowed
    assert narrowing.permits_issuer("tls-public") is ("tls-public" in issuers)
    assert not narrowing.permits_issuer("tls-internal")
    assert narrowing.permits_address(None)


@pytest.mark.parametrize(
    ("address", "permitted"),
    [
        (parse_address("10.1.2.3"), True),
        (parse_address("10.2.2.3"), False),
        (parse_address("::ffff:10.1.2.3"), True),
        (parse_address("127.0.0.1"), False),
        (LOCAL, True),
    ],
)
def test_addresses_narrow_to_their_rules_and_this_machine(address: Address, permitted: bool) -> None:
    narrowing = read_narrowing(None, narrowing_column(["10.1.0.0/16"]))
    assert narrowing.is_narrowed
    assert narrowing.permits_address(address) is permitted
    assert narrowing.permits_issuer("tls-public")


def test_an_unknown_address_fulfils_no_rule() -> None:
    assert not read_narrowing(None, narrowing_column(["0.0.0.0/0", "::/0"])).permits_address(None)


def test_columns_keep_each_text_once_as_it_was_asked_for() -> None:
    assert narrowing_column(None) is None
    assert narrowing_column(["192.168.15.*", "10.0.0.1", "10.0.0.1"]) == '["10.0.0.1","192.168.15.*"]'
