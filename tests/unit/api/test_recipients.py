"""Who is mailed about a certificate: the pure decision."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from api.certificates.recipients import Person, Recipient, recipients

ALICE, ROOT, CAROL = Person(1, "alice@example.org"), Person(2, "root@example.org"), Person(3, "carol@example.org")


def test_the_owner_then_extra_addresses_then_addresses_of_the_settings() -> None:
    assert recipients(ALICE, [ROOT], ["x@example.org"], ["pki@example.org"]) == [
        Recipient(1, None),
        Recipient(None, "x@example.org"),
        Recipient(None, "pki@example.org"),
    ]


def test_administrators_stand_in_for_an_owner_who_is_gone_or_has_no_address() -> None:
    for owner in (None, Person(1, "")):
        assert recipients(owner, [ROOT, Person(4, ""), CAROL], [], []) == [Recipient(2, None), Recipient(3, None)]
        assert recipients(owner, [], ["x@example.org"], []) == [Recipient(None, "x@example.org")]
        assert recipients(owner, [], [], []) == []


def test_each_address_is_told_once_regardless_of_case() -> None:
    shared = [ROOT, Person(5, "Root@Example.ORG")]
    assert recipients(None, shared, ["ROOT@example.org", "x@EXAMPLE.org"], ["x@example.org"]) == [
        Recipient(2, None),
        Recipient(None, "x@EXAMPLE.org"),
    ]


_addresses = st.sampled_from(["a@example.org", "A@example.org", "b@Example.org", "b@example.org", "c@example.org", ""])
_people = st.builds(Person, st.integers(1, 9), _addresses)
_written = st.lists(_addresses.filter(bool))


@given(st.none() | _people, st.lists(_people), _written, _written)
def test_everybody_is_told_exactly_once(
    owner: Person | None, administrators: list[Person], extra: list[str], always: list[str]
) -> None:
    told = recipients(owner, administrators, extra, always)
    people = {person.user_id: person.email for person in [*administrators, *([owner] if owner else [])]}
    if len(people) < len({*administrators, *([owner] if owner else [])}):
        return  # an account has one address
    reached = [each.address or people[each.user_id or 0] for each in told]
    assert len({address.lower() for address in reached}) == len(reached)
    first = [owner] if owner is not None and owner.email else administrators
    wanted = [*(person.email for person in first if person.email), *extra, *always]
    assert {address.lower() for address in reached} == {address.lower() for address in wanted}
