"""Whose account it is: the same person's, another's, or refused until Git says so; and which row a name continues."""

from __future__ import annotations

import pytest
from test_make_plan import ADMINS, ALICE, PUBLIC, actual, desired, plan

from reconciler.access.resources import Guards, Issuer, Membership, Permission, Settings, Team, User
from reconciler.access.state import Access
from reconciler.plan.actual import Runtime
from reconciler.plan.identity import in_doubt, same_person
from reconciler.plan.plan import Effects, Plan

JANE = User("jane", "jane@example.org", "Jane Doe")
JOHN = User("jane", "john@example.org", "John Roe")


def done(made: Plan) -> list[tuple[str, str, str | None]]:
    return [(change.action, change.name, change.previous_name) for change in made.changes if change.kind == "User"]


def refusals(made: Plan) -> list[str]:
    return [guard.message for guard in made.refusals if guard.id == "identity-handed-over"]


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        (JANE, JANE._replace(email="jane@example.com"), True),
        (JANE, JANE._replace(full_name="Jane Roe"), True),
        (JANE, JANE._replace(email="Jane@Example.org", full_name="Jane Roe"), True),
        (JANE, JOHN, None),
        (JANE, JOHN._replace(full_name=None), None),
        (JANE._replace(full_name=None), JOHN, None),
        (JANE._replace(full_name=None), JOHN._replace(full_name=None), True),
        (JANE._replace(full_name=None), JANE._replace(full_name=None, email="jane@example.com"), True),
        (JANE._replace(full_name=None, type="application"), JOHN._replace(full_name=None, type="application"), True),
        (User("jane", "jane@example.org"), User("doe", "doe@example.org"), True),
        (User("jane", "jane@example.org"), User("doe", "john@example.org"), None),
        (User("jane", "jane@example.org"), User("doe", "john@example.org", previously=("jane",)), True),
        (JANE, JOHN._replace(name="doe", previously=("jane",)), None),
        (JANE._replace(identity="1"), JOHN._replace(identity="1"), True),
        (JANE._replace(identity="e1"), JOHN._replace(identity="E1"), True),
        (JANE._replace(identity="1"), JANE._replace(identity="2"), False),
        (JANE, JANE._replace(identity="1"), True),
        (JANE._replace(full_name=None), JANE._replace(identity="1"), True),
        (JANE, JOHN._replace(identity="Jane@example.org"), True),
        (JANE, JOHN._replace(identity="1"), False),
        (JANE, JOHN._replace(identity="1", email=JANE.email), None),
        (JANE, JANE._replace(identity="1", email="jane@example.com"), None),
        (JANE, JANE._replace(identity="jane@example.com", email="jane@example.com"), None),
        (JANE, JANE._replace(identity="Jane Doe <jane@example.com>", email="jane@example.com"), False),
        (JANE, JANE._replace(identity="Jane Doe <jane@example.org>"), True),
        (JANE._replace(full_name=None), JOHN._replace(identity="1", full_name=None), None),
        (JANE, JANE._replace(identity="1", name="doe", email="jane@example.com"), False),
        (User("jane", "a@example.org"), User("doe", "b@example.org", type="application"), None),
        (User("jane", "a@example.org", type="application"), User("doe", "b@example.org", type="application"), True),
        (JANE._replace(identity="1"), JANE, True),
        (JANE._replace(identity="1"), JOHN, None),
        (JANE._replace(identity="1"), JANE._replace(email="jane@example.com"), True),
        (JANE._replace(identity="1", full_name=None), JOHN._replace(full_name=None), None),
        (JANE._replace(identity="1", full_name=None), JANE._replace(full_name=None, name="doe"), True),
        (JANE._replace(identity="1", full_name=None), User("doe", "doe@example.org", previously=("jane",)), None),
        (Team("web"), Team("web", "other"), True),
    ],
)
def test_an_identity_decides_and_without_one_something_of_the_person_must_stay(
    before: User, after: User, verdict: bool | None
) -> None:
    assert same_person(before, after) is verdict


def test_leaving_out_an_identity_that_is_in_force_does_not_pass_the_account_on() -> None:
    """Without a full name, another address leaves nothing of the person; an earlier name does not outweigh the identity."""
    jane = User("jane", "jane@example.org", identity="emp-1")
    for heir in (User("jane", "john@example.org"), User("doe", "john@example.org", previously=("jane",))):
        (message,) = refusals(plan(actual(ALICE, jane, ADMINS), desired(ALICE, heir, ADMINS)))
        assert "The same person: declare `identity: emp-1`" in message
        kept = plan(actual(ALICE, jane, ADMINS), desired(ALICE, heir._replace(identity="emp-1"), ADMINS))
        assert ([action for action, _, _ in done(kept)], refusals(kept)) == (
            ["update" if heir.name == "jane" else "rename"],
            [],
        )


def test_an_account_that_may_be_another_persons_is_refused_with_what_to_write_for_both_readings() -> None:
    (message,) = refusals(plan(actual(ALICE, JANE, ADMINS), desired(ALICE, JOHN, ADMINS)))
    assert "Jane Doe <jane@example.org> to John Roe <john@example.org>" in message
    same, another = (f"identity: {word}" for word in (JANE.email, JOHN.email))
    assert f"The same person: declare `{same}`" in message
    assert f"such as `{another}`" in message
    for identity, expected in ((JANE.email, "update"), (JOHN.email, "delete")):
        made = plan(actual(ALICE, JANE, ADMINS), desired(ALICE, JOHN._replace(identity=identity), ADMINS))
        assert refusals(made) == []
        assert made.changes[0].action == expected


def test_the_account_of_another_person_ends_with_its_sessions_and_the_new_one_is_welcomed() -> None:
    web = Team("web", members=(Membership("jane"),), permissions=(Permission("public"),))
    runtime = Runtime(
        can_set_password=frozenset({"alice", "jane"}), disabled=frozenset(), sessions={"jane": 2}, tokens={"jane": 3, "alice": 9}
    )
    made = plan(
        actual(ALICE, JANE, ADMINS, PUBLIC, web, runtime=runtime),
        desired(ALICE, JOHN._replace(identity="emp-2"), ADMINS, PUBLIC, web),
    )
    assert done(made) == [("delete", "jane (former)", None), ("create", "jane", None)]
    assert made.changes[0].before == JANE
    assert made.effects == Effects(mails=1, sessions_ended=2, tokens_ended=3)
    assert made.access.lost == (Access("jane (former)", "public", ("web",), None),)
    assert made.access.gained == (Access("jane", "public", ("web",), None),)
    (warning,) = made.warnings
    assert warning.message == (
        "`jane`'s account ends with its password, tokens and sessions: the login becomes another person's (identity `emp-2`)"
    )


@pytest.mark.parametrize("change", [{"email": "jane@example.com"}, {"full_name": "Jane Roe"}])
def test_the_first_identity_with_one_other_change_is_refused_until_git_says_whose_it_is(change: dict[str, str]) -> None:
    """Of three revisions, the second brings the identity and the third the change: the second may be skipped."""
    before, changed = actual(ALICE, JANE, ADMINS), JANE._replace(**change, identity="emp-1")
    made = plan(before, desired(ALICE, changed, ADMINS))
    (message,) = refusals(made)
    assert done(made) == [("update", "jane", None)]
    another = f"{changed.full_name} <{changed.email}>"
    assert f"The same person: declare `identity: {JANE.email}`" in message
    assert f"Another person: declare `identity: {another}` instead" in message
    same, other = (plan(before, desired(ALICE, changed._replace(identity=word), ADMINS)) for word in (JANE.email, another))
    assert (done(same), refusals(same)) == ([("update", "jane", None)], [])
    assert (done(other), refusals(other)) == ([("delete", "jane (former)", None), ("create", "jane", None)], [])


def test_what_the_runtime_knows_of_one_person_does_not_pass_to_another() -> None:
    admins = Team("admins", administrator=True, members=(Membership("jane"),))
    runtime = Runtime(disabled=frozenset({"jane"}), can_set_password=frozenset({"jane"}))
    john = JOHN._replace(identity="emp-2", initial_password="none")
    made = plan(actual(JANE, admins, runtime=runtime), desired(john, admins))
    assert made.administrators == (("jane",), ())
    enabled = runtime._replace(disabled=frozenset())
    made = plan(actual(JANE, admins, runtime=enabled), desired(john, admins))
    assert [guard.id for guard in made.refusals] == ["last-administrator"]
    welcomed = plan(actual(JANE, admins, runtime=runtime), desired(john._replace(initial_password="generated"), admins))
    assert not welcomed.refusals


def test_a_replaced_account_counts_as_a_deletion_and_as_a_person_who_gains() -> None:
    people = [User(f"u{number}", f"u{number}@example.org", identity=f"{number}") for number in range(9)]
    others = [user._replace(identity=f"{user.identity}b") for user in people]
    web = Team("web", members=tuple(Membership(user.name) for user in people), permissions=(Permission("public"),))
    limits = Settings(guards=Guards(max_people_gaining=6))
    made = plan(actual(ALICE, ADMINS, PUBLIC, web, *people, limits), desired(ALICE, ADMINS, PUBLIC, web, *others, limits))
    assert {guard.id for guard in made.refusals} == {"deletions", "access-gained"}


def test_a_new_account_with_the_address_of_one_that_ends_is_refused_until_git_says_whose_it_is() -> None:
    before, janet = actual(ALICE, JANE, ADMINS), JANE._replace(name="janet", email="Jane@example.org")
    (message,) = refusals(plan(before, desired(ALICE, janet, ADMINS)))
    assert "declare `previously: [jane]`" in message
    assert "such as `identity: janet`" in message
    assert refusals(plan(before, desired(ALICE, janet._replace(identity="janet"), ADMINS))) == []
    assert refusals(plan(before, desired(ALICE, janet._replace(identity=JANE.email), ADMINS))) == [message]
    same = plan(before, desired(ALICE, janet._replace(previously=("jane",)), ADMINS))
    assert (done(same), refusals(same)) == ([("rename", "janet", "jane")], [])


def test_a_new_account_with_the_address_that_another_gives_up_is_refused() -> None:
    moved = JANE._replace(email="jane@example.com")
    made = plan(actual(ALICE, JANE, ADMINS), desired(ALICE, moved, JOHN._replace(name="john", email=JANE.email), ADMINS))
    assert len(refusals(made)) == 1
    stays = plan(actual(ALICE, JANE, ADMINS), desired(ALICE, JANE, JOHN._replace(name="john", email=JANE.email), ADMINS))
    assert refusals(stays) == []


def test_a_name_that_is_declared_again_is_renamed_first_and_created_then() -> None:
    doe, john = JANE._replace(name="doe", previously=("jane",)), JOHN
    made = plan(actual(ALICE, JANE, ADMINS), desired(ALICE, doe, john, ADMINS))
    assert done(made) == [("rename", "doe", "jane"), ("create", "jane", None)]
    assert refusals(made) == []
    recycled = plan(actual(ALICE, JANE, ADMINS), desired(ALICE, doe, john._replace(email=JANE.email), ADMINS))
    assert done(recycled) == done(made)
    assert "remove `previously: [jane]`" in refusals(recycled)[0]
    numbered = john._replace(email=JANE.email, identity="emp-2")
    assert refusals(plan(actual(ALICE, JANE, ADMINS), desired(ALICE, doe, numbered, ADMINS))) == []


@pytest.mark.parametrize(
    ("row", "stays", "claimant"),
    [
        (User("bob", "bob@x.org"), {"identity": "emp-9"}, User("mallory", "mallory@x.org", "Mallory")),
        (User("bob", "bob@x.org"), {"identity": "emp-9", "full_name": "Bob B"}, User("mallory", "mallory@x.org")),
        (User("bob", "bob@x.org", "Bob B"), {"email": "bob@y.org"}, User("mallory", "mallory@x.org", "Mallory")),
    ],
)
def test_an_earlier_name_takes_no_account_from_who_continues_it(row: User, stays: dict[str, str], claimant: User) -> None:
    """Either may be meant: the claimant was called so, and the login is a new colleague's, or the claim is wrong."""
    before, bob, mallory = actual(ALICE, row, ADMINS), row._replace(**stays), claimant._replace(previously=("bob",))
    (message,) = refusals(plan(before, desired(ALICE, bob, mallory, ADMINS)))
    assert "The same person: remove `previously: [bob]` from `mallory`" in message
    kept = plan(before, desired(ALICE, bob, claimant, ADMINS))
    assert (done(kept), refusals(kept)) == ([("update", "bob", None), ("create", "mallory", None)], [])
    assert "declare an identity in the metadata of `bob`, such as `identity: bob`" in message
    says = "and `identity: bob@x.org` in that of `mallory`" in message
    new, heir = bob._replace(identity="bob"), mallory._replace(identity="bob@x.org" if says else None)
    handed = plan(before, desired(ALICE, new, heir, ADMINS))
    assert (done(handed), refusals(handed)) == ([("create", "bob", None), ("rename", "mallory", "bob")], [])


def test_a_claim_takes_no_account_of_which_everything_stays() -> None:
    """Whoever has the same mailbox may not take it, and not either with another claim that fills the name again."""
    bob, mallory = User("bob", "bob@x.org", "Bob B"), User("mallory", "bob@x.org", "Mallory", previously=("bob",))
    old = User("old", "old@x.org")
    for after in (bob, bob._replace(identity="emp-9"), bob._replace(previously=("old",))):
        made = plan(actual(ALICE, bob, old, ADMINS), desired(ALICE, after, mallory, ADMINS))
        assert ("rename", "mallory", "bob") not in done(made)


def test_a_claim_to_an_account_that_is_declared_unchanged_is_asked_about() -> None:
    bob, mallory = User("bob", "bob@x.org"), User("mallory", "m@x.org", previously=("bob",), identity="bob@x.org")
    assert len(refusals(plan(actual(ALICE, bob, ADMINS), desired(ALICE, bob, mallory, ADMINS)))) == 1


def test_a_chain_of_renames_is_followed_from_its_free_end() -> None:
    one, two = User("a", "one@example.org", "One"), User("b", "two@example.org", "Two")
    made = plan(
        actual(ALICE, ADMINS, one, two),
        desired(ALICE, ADMINS, one._replace(name="b", previously=("a",)), two._replace(name="c", previously=("b",))),
    )
    assert done(made) == [("rename", "b", "a"), ("rename", "c", "b")]


def test_an_earlier_name_that_is_another_persons_by_now_renames_nothing() -> None:
    """Jane became doe and left; John has her old login; then doe is declared again, as after a revert."""
    doe = JANE._replace(name="doe", previously=("jane",))
    made = plan(actual(ALICE, ADMINS, JOHN), desired(ALICE, ADMINS, JOHN, doe))
    assert (done(made), refusals(made)) == ([("create", "doe", None)], [])
    identified = plan(
        actual(ALICE, ADMINS, JOHN._replace(identity="2")),
        desired(ALICE, ADMINS, JOHN._replace(identity="2", email="new@example.org"), doe._replace(identity="1")),
    )
    assert done(identified) == [("create", "doe", None), ("update", "jane", None)]
    nameless = JOHN._replace(full_name=None)
    unclear = plan(actual(ALICE, ADMINS, nameless), desired(ALICE, ADMINS, nameless, doe._replace(full_name=None)))
    assert refusals(unclear)


def test_a_rename_that_says_the_same_person_and_an_identity_that_says_another_are_refused() -> None:
    doe = JOHN._replace(name="doe", previously=("jane",), identity="emp-1")
    (message,) = refusals(plan(actual(ALICE, ADMINS, JANE), desired(ALICE, ADMINS, doe)))
    assert "remove `jane` from its `previously`" in message
    assert refusals(plan(actual(ALICE, ADMINS, JANE), desired(ALICE, ADMINS, doe._replace(identity=JANE.email)))) == []


@pytest.mark.parametrize(
    "heir",
    [
        User("smith", "jane.smith@example.org", "Jane Smith", identity="jane.smith@example.org"),
        User("smith", JANE.email, JANE.full_name, identity="emp-1"),
    ],
)
def test_an_account_does_not_end_while_an_earlier_name_and_an_identity_contradict_each_other(heir: User) -> None:
    """Who takes the address for the identity changes both after a marriage."""
    jane, claimed = JANE._replace(identity=JANE.email), heir._replace(previously=("jane",))
    (message,) = refusals(plan(actual(ALICE, ADMINS, jane), desired(ALICE, ADMINS, claimed)))
    assert "The same person: declare `identity: jane@example.org` in its metadata" in message
    assert "Another person: remove `jane` from its `previously`" in message
    same = plan(actual(ALICE, ADMINS, jane), desired(ALICE, ADMINS, claimed._replace(identity=JANE.email)))
    assert (done(same), refusals(same)) == ([("rename", "smith", "jane")], [])
    another = plan(actual(ALICE, ADMINS, jane), desired(ALICE, ADMINS, heir))
    assert (done(another), refusals(another)) == ([("delete", "jane", None), ("create", "smith", None)], [])
    replaced = plan(actual(ALICE, ADMINS, jane), desired(ALICE, ADMINS, claimed, JOHN._replace(identity="emp-2")))
    assert len(refusals(replaced)) == 1


def test_an_identity_does_not_pass_from_one_account_to_another() -> None:
    """Otherwise a revert would find the other account by the identity, and give it the login of the first."""
    jane, second = JANE._replace(identity="1"), JANE._replace(name="jane-2")
    (message,) = refusals(plan(actual(ALICE, ADMINS, jane, second), desired(ALICE, ADMINS, second._replace(identity="1"))))
    assert "which the account `jane` has" in message
    swapped = desired(ALICE, ADMINS, jane._replace(identity=None), second._replace(identity="1"))
    assert refusals(plan(actual(ALICE, ADMINS, jane, second), swapped)) == [message]
    assert refusals(plan(actual(ALICE, ADMINS, jane, second), desired(ALICE, ADMINS, second))) == []
    assert refusals(plan(actual(ALICE, ADMINS, second), desired(ALICE, ADMINS, second._replace(identity="1")))) == []


def test_one_identity_is_one_person_under_any_name() -> None:
    jane, john = JANE._replace(identity="1"), JOHN._replace(identity="2")
    doe = JOHN._replace(name="doe", identity="1", email="doe@example.org")
    assert done(plan(actual(ALICE, ADMINS, jane), desired(ALICE, ADMINS, doe))) == [("rename", "doe", "jane")]
    assert done(plan(actual(ALICE, ADMINS, jane), desired(ALICE, ADMINS, doe, john))) == [
        ("rename", "doe", "jane"),
        ("create", "jane", None),
    ]
    written = doe._replace(identity="E-ß")
    capitals = plan(actual(ALICE, ADMINS, jane._replace(identity="e-SS")), desired(ALICE, ADMINS, written))
    assert done(capitals) == [("rename", "doe", "jane")]
    swapped = plan(actual(ALICE, ADMINS, jane, doe._replace(identity="2")), desired(ALICE, ADMINS, john, doe))
    assert done(swapped) == [("rename", "doe", "jane"), ("rename", "jane", "doe")]
    assert refusals(swapped) == []


def test_an_identity_in_force_says_whose_an_account_is_and_previously_does_not() -> None:
    ceo = User("ceo", "ceo@example.org", "C Eo", identity="K")
    moved = ceo._replace(email="chief@example.org")
    mallory = User("mallory", ceo.email, "M", previously=("ceo",))
    for claimant in (mallory, mallory._replace(full_name=None), mallory._replace(email="m@example.org", full_name=None)):
        made = plan(actual(ALICE, ADMINS, ceo), desired(ALICE, ADMINS, moved, claimant))
        assert done(made) == [("update", "ceo", None), ("create", "mallory", None)]
    (message,) = refusals(plan(actual(ALICE, ADMINS, ceo), desired(ALICE, ADMINS, moved, mallory)))
    assert "The same person: declare `identity: K` there, and not on `ceo`" in message
    handed = plan(
        actual(ALICE, ADMINS, ceo), desired(ALICE, ADMINS, moved._replace(identity="2"), mallory._replace(identity="k"))
    )
    assert (done(handed), refusals(handed)) == ([("create", "ceo", None), ("rename", "mallory", "ceo")], [])


@pytest.mark.parametrize("numbers", [(None, None), ("1", "2"), (None, "2"), ("1", None)])
def test_a_reverted_rename_renames_back_and_ends_who_had_the_name_since(numbers: tuple[str | None, str | None]) -> None:
    jane, john = JANE._replace(identity=numbers[0]), JOHN._replace(identity=numbers[1])
    doe = jane._replace(name="doe", previously=("jane",))
    back = plan(actual(ALICE, ADMINS, doe), desired(ALICE, ADMINS, jane))
    assert (done(back), refusals(back)) == ([("rename", "jane", "doe")], [])
    both = plan(actual(ALICE, ADMINS, doe, john), desired(ALICE, ADMINS, jane))
    assert done(both) == [("delete", "jane (former)", None), ("rename", "jane", "doe")]
    assert both.changes[0].before == john
    assert refusals(both) == []
    assert "`doe`, which gets its name back" in both.warnings[0].message


def test_a_name_in_the_database_is_given_back_to_the_same_person_only() -> None:
    doe = JANE._replace(name="doe", previously=("jane",))
    made = plan(actual(ALICE, ADMINS, doe), desired(ALICE, ADMINS, JOHN))
    assert (done(made), len(refusals(made))) == ([("rename", "jane", "doe")], 1)
    other = plan(actual(ALICE, ADMINS, doe), desired(ALICE, ADMINS, JOHN._replace(identity=JOHN.email)))
    assert (done(other), refusals(other)) == ([("delete", "doe", None), ("create", "jane", None)], [])
    explicit = User("jane", "x@example.org", "Jane Doe", previously=("x",))
    made = plan(actual(ALICE, ADMINS, doe, explicit._replace(name="x", previously=())), desired(ALICE, ADMINS, explicit))
    assert done(made) == [("delete", "doe", None), ("rename", "jane", "x")]


@pytest.mark.parametrize(
    ("row", "declared"),
    [
        (User("jane.smith", "jane.smith@example.org"), User("jane", "jane@example.org")),
        (User("kim", "desk@example.org", "Kim A"), User("desk", "desk@example.org", "Lee B")),
        (User("kim", "desk@example.org", "Kim A"), User("desk", "desk@example.org")),
        (
            User("bot2", "b@example.org", type="application"),
            User("bot", "a@example.org", type="application"),
        ),
    ],
)
def test_a_name_goes_back_with_the_account_only_if_something_vouches_for_it(row: User, declared: User) -> None:
    before = actual(ALICE, ADMINS, row._replace(previously=(declared.name,)))
    back = [("rename", declared.name, row.name)]
    made = plan(before, desired(ALICE, ADMINS, declared))
    (message,) = refusals(made)
    assert done(made) == back
    assert f"The same person: declare `identity: {row.email}`" in message
    same = (declared._replace(identity=row.email), declared._replace(previously=(row.name,)))
    for made in (plan(before, desired(ALICE, ADMINS, each)) for each in same):
        assert (done(made), refusals(made)) == (back, [])
    another = message.split("another identity there, such as `identity: ")[1].split("`")[0]
    made = plan(before, desired(ALICE, ADMINS, declared._replace(identity=another)))
    assert {action for action, _, _ in done(made)} == {"create", "delete"}
    assert refusals(made) == []


@pytest.mark.parametrize("identities", [(None, None), (None, "emp-1"), ("emp-1", None)])
def test_a_revert_gives_back_all_that_an_account_was(identities: tuple[str | None, str | None]) -> None:
    """Nothing stays of who married and got another login; what the account was before tells a revert from a new hire."""
    jane = JANE._replace(identity=identities[0])
    smith = User("smith", "smith@example.org", "Jane Smith", previously=("jane",), identity=identities[1])
    nothing, known = actual(ALICE, ADMINS, smith), actual(ALICE, ADMINS, smith)._replace(earlier={"smith": (smith, jane)})
    made = plan(known, desired(ALICE, ADMINS, jane))
    assert (done(made), refusals(made)) == ([("rename", "jane", "smith")], [])
    assert "gets another e-mail address" in made.warnings[0].message
    for before, heir in ((nothing, jane), (known, jane._replace(email="jane.doe@example.org")), (known, JOHN)):
        if heir.identity is None:
            assert refusals(plan(before, desired(ALICE, ADMINS, heir)))
    since = known._replace(declared=actual(ALICE, ADMINS, smith, JOHN).declared)
    made = plan(since, desired(ALICE, ADMINS, jane))
    assert (done(made), refusals(made)) == ([("delete", "jane (former)", None), ("rename", "jane", "smith")], [])


@pytest.mark.parametrize("identities", [(None, "jane@example.org"), ("emp-1", None)])
def test_a_revert_of_an_update_gives_back_all_that_an_account_was(identities: tuple[str | None, str | None]) -> None:
    jane, smith = JANE._replace(identity=identities[0]), User("jane", "s@example.org", "Jane Smith", identity=identities[1])
    known = actual(ALICE, ADMINS, smith)._replace(earlier={"jane": (jane,)})
    made = plan(known, desired(ALICE, ADMINS, jane))
    assert (done(made), refusals(made)) == ([("update", "jane", None)], [])
    assert "gets another e-mail address" in made.warnings[0].message
    unclear = plan(known._replace(earlier={}), desired(ALICE, ADMINS, jane))
    assert refusals(unclear) or done(unclear)[0][0] == "delete"


@pytest.mark.parametrize("full_names", [("One", "Two"), (None, None)])
def test_a_reverted_chain_of_renames_renames_all_back(full_names: tuple[str | None, str | None]) -> None:
    one, two = User("a", "one@example.org", full_names[0]), User("b", "two@example.org", full_names[1])
    held = (one._replace(name="b", previously=("a",)), two._replace(name="c", previously=("b",)))
    before = actual(ALICE, ADMINS, *held)._replace(earlier={"b": (one,), "c": (two,)})
    made = plan(before, desired(ALICE, ADMINS, one, two))
    assert (done(made), refusals(made)) == ([("rename", "a", "b"), ("rename", "b", "c")], [])
    teams = Team("a", "one"), Team("b", "two")
    made = plan(
        actual(ALICE, ADMINS, teams[0]._replace(name="b", previously=("a",)), teams[1]._replace(name="c", previously=("b",))),
        desired(ALICE, ADMINS, *teams),
    )
    assert [(change.name, change.previous_name) for change in made.changes] == [("a", "b"), ("b", "c")]


def test_what_an_account_had_been_says_more_than_an_old_claim() -> None:
    """The claim had nothing to do when it was applied first, since the login was another's by then."""
    kept, was = User("c", "p@example.org"), User("a", "p@example.org", previously=("c",))
    row = was._replace(name="b", previously=("a",))
    made = plan(actual(ALICE, ADMINS, kept, row)._replace(earlier={"b": (was,)}), desired(ALICE, ADMINS, kept, was))
    assert (done(made), refusals(made)) == ([("rename", "a", "b")], [])


def test_who_leaves_does_not_get_an_earlier_login_that_stays_somebody_elses() -> None:
    """Who was hired under the login has the address too that the leaver once had."""
    ann = User("ann", "ann@example.org")
    leaver = User("ann.b", "annb@example.org", previously=("ann",))
    made = plan(actual(ALICE, ADMINS, leaver, ann)._replace(earlier={"ann.b": (ann,)}), desired(ALICE, ADMINS, ann))
    assert done(made) == [("delete", "ann.b", None)]


@pytest.mark.parametrize("full_name", ["P", None])
def test_an_old_claim_takes_no_account_of_a_chain_that_is_reverted(full_name: str | None) -> None:
    one, two = User("a", "q@example.org", previously=("c",)), User("b", "p@example.org", full_name)
    held = User("b", "q@example.org", previously=("a",)), User("c", "p@example.org", full_name, previously=("b",))
    made = plan(actual(ALICE, ADMINS, *held)._replace(earlier={"b": (one,), "c": (two,)}), desired(ALICE, ADMINS, one, two))
    assert (done(made), refusals(made)) == ([("rename", "a", "b"), ("rename", "b", "c")], [])


def test_a_new_claim_to_an_account_that_is_also_again_what_it_had_been_is_asked_about() -> None:
    """Either may be meant: the account goes back and the claim is wrong, or a new hire has the old login and address."""
    ann = User("ann", "ann@example.org")
    for row, heir in (
        (User("ann", "annx@example.org"), User("ann.c", "annc@example.org", previously=("ann",))),
        (User("ann", "ann.c@example.org"), User("ann.c", "ann.c@example.org", previously=("ann",))),
        (
            User("ann.b", "annb@example.org", previously=("ann",)),
            User("ann.c", "annc@example.org", previously=("ann.b", "ann")),
        ),
    ):
        before = actual(ALICE, ADMINS, row)._replace(earlier={row.name: (ann,)})
        renamed = [("create", "ann", None), ("rename", "ann.c", row.name)]
        made = plan(before, desired(ALICE, ADMINS, ann, heir))
        (message,) = refusals(made)
        assert sorted(done(made)) == renamed
        assert f"has the earlier login and address of {row.email}, whose account was `{row.name}`" in message
        assert "Another person: declare an identity in the metadata of `ann`, such as `identity: ann`" in message
        hired = plan(before, desired(ALICE, ADMINS, ann._replace(identity="ann"), heir))
        assert (sorted(done(hired)), refusals(hired)) == (renamed, [])
        assert f"The same person: remove `previously: [{row.name}]` from `ann.c`" in message
        claims = tuple(name for name in heir.previously if name != row.name)
        back = plan(before, desired(ALICE, ADMINS, ann, heir._replace(email="c@example.org", previously=claims)))
        assert [each for each in done(back) if each[1] == "ann"] == [
            ("update", "ann", None) if row.name == "ann" else ("rename", "ann", row.name)
        ]


def test_an_account_that_loses_its_login_by_identity_gets_its_earlier_one_back() -> None:
    one, two = User("a", "one@example.org", "One", identity="1"), User("b", "two@example.org", "Two")
    held = (one._replace(name="x"), two._replace(name="a", previously=("b",)))
    made = plan(actual(ALICE, ADMINS, *held), desired(ALICE, ADMINS, one, two))
    assert (done(made), refusals(made)) == ([("rename", "a", "x"), ("rename", "b", "a")], [])


def test_an_account_with_two_earlier_logins_gets_back_the_one_that_is_its_owners() -> None:
    doe = JANE._replace(name="doe", previously=("jd", "jane"))
    made = plan(actual(ALICE, ADMINS, doe), desired(ALICE, ADMINS, JANE, JOHN._replace(name="jd")))
    assert (done(made), refusals(made)) == ([("rename", "jane", "doe"), ("create", "jd", None)], [])


@pytest.mark.parametrize("full_name", ["Ann Lee", None])
def test_a_login_goes_back_with_a_warning_if_nothing_knows_what_the_account_had_been(full_name: str | None) -> None:
    ann, moved = User("ann", "ann@x.org", full_name), User("ann.b", "ann.b@x.org", full_name, previously=("ann",))
    without = actual(ALICE, ADMINS, moved)
    made = plan(without._replace(earlier=None), desired(ALICE, ADMINS, ann))
    assert (done(made), refusals(made)) == ([("rename", "ann", "ann.b")], [])
    assert "gets another e-mail address" in made.warnings[0].message
    assert refusals(plan(without, desired(ALICE, ADMINS, ann)))
    assert refusals(plan(without._replace(earlier=None), desired(ALICE, ADMINS, ann._replace(full_name="Bo", email="b@x.org"))))


def test_history_matters_only_where_something_is_unclear() -> None:
    """Each account that it matters for is a query of the audit log, also if everybody gets another login at once."""
    doe = JANE._replace(name="doe", previously=("jane",))
    held = {"jane": JANE}
    assert in_doubt(held, {"doe": doe}) == []
    assert in_doubt(held, {"doe": doe._replace(email="doe@example.org")}) == [JANE]
    assert in_doubt(held, {"doe": doe, "jane": JOHN}) == [JANE]
    assert in_doubt(held, {"doe": doe, "john": JOHN._replace(name="john", previously=("jane",))}) == [JANE]
    assert in_doubt({"doe": doe}, {"jane": JANE}) == [doe]


def test_a_namesake_does_not_get_the_account_with_its_earlier_login() -> None:
    """With the full name alone, it may be somebody who was hired under the login."""
    doe = JANE._replace(name="doe", email="doe@example.org", previously=("jane",))
    for namesake in (JANE, JANE._replace(email="jane.2@example.org")):
        assert refusals(plan(actual(ALICE, ADMINS, doe), desired(ALICE, ADMINS, namesake)))


def test_teams_and_issuers_get_their_names_back_as_well() -> None:
    """Both in one revert, with another team that had the name since."""
    tls, web = Issuer("tls"), Team("web", "web", members=(Membership("alice"),), permissions=(Permission("tls"),))
    old = (Issuer("tls-old", previously=("tls",)), web._replace(name="legacy", permissions=(Permission("tls-old"),)))
    legacy = old[1]._replace(previously=("web",))
    since = Team("web", "another", permissions=(Permission("tls-old"),))
    made = plan(actual(ALICE, ADMINS, old[0], legacy, since), desired(ALICE, ADMINS, tls, web))
    assert [(change.action, change.kind, change.name, change.previous_name) for change in made.changes] == [
        ("delete", "Team", "web (former)", None),
        ("rename", "Team", "web", "legacy"),
        ("rename", "Issuer", "tls", "tls-old"),
    ]
    assert "team `web` ends" in made.warnings[0].message


def test_a_team_that_gets_its_name_back_has_the_duties_of_the_name() -> None:
    """Who had both powers before under other names has them still: that is told, and nothing gets worse."""
    guards = Settings(guards=Guards(separation_of_duties=(("web", "audit"),)))
    audit = Team("audit", members=(Membership("alice"),), permissions=(Permission("public"),))
    web = Team("web", "web", members=(Membership("alice"),))
    before = actual(ALICE, ADMINS, PUBLIC, audit, web._replace(name="legacy", previously=("web",)), Team("web", "x"), guards)
    made = plan(before, desired(ALICE, ADMINS, PUBLIC, audit, web))
    (duties,) = [guard for guard in made.guards if guard.id == "separation-of-duties"]
    assert [standing.objection.subjects for standing in duties.standing] == [
        (("Team", "audit"), ("Team", "web"), ("User", "alice"))
    ]
    bob = User("bob", "bob@example.org")
    joined = web._replace(members=(Membership("alice"), Membership("bob")))
    made = plan(
        before, desired(ALICE, bob, ADMINS, PUBLIC, audit._replace(members=(Membership("alice"), Membership("bob"))), joined)
    )
    assert [guard.id for guard in made.refusals] == ["separation-of-duties"]


def test_a_claim_to_the_account_of_who_is_declared_with_its_identity_is_asked_about() -> None:
    """She has another address and name now, and says by the identity that she is who had the account."""
    erin = User("erin", "erin@example.org", "Erin Castellanos")
    married = User("erin", "erin.berg@example.org", "Erin Berg", identity="erin@example.org")
    mallory = User("mallory", "mallory@example.org", "Mallory", previously=("erin",))
    before = actual(ALICE, ADMINS, erin)
    assert done(plan(before, desired(ALICE, ADMINS, married))) == [("update", "erin", None)]
    (message,) = refusals(plan(before, desired(ALICE, ADMINS, married, mallory)))
    assert "The same person: remove `previously: [erin]` from `mallory`" in message
    hired = plan(before, desired(ALICE, ADMINS, married._replace(identity="erin-2"), mallory))
    assert (sorted(done(hired)), refusals(hired)) == ([("create", "erin", None), ("rename", "mallory", "erin")], [])


def test_a_claim_to_one_account_by_who_has_the_address_of_another_that_ends_is_asked_about() -> None:
    bea, carl = User("bea", "bea@example.org", "Bea"), User("carl", "carl@example.org", "Carl")
    heir = User("bea.k", "bea@example.org", "Bea", previously=("carl",))
    before = actual(ALICE, ADMINS, bea, carl)
    (message,) = refusals(plan(before, desired(ALICE, ADMINS, heir)))
    assert "as that: declare `identity: bea@example.org` and `previously: [bea]`, and no other earlier name" in message
    assert "Another person: declare `identity: carl@example.org`" in message
    same = plan(before, desired(ALICE, ADMINS, heir._replace(identity="bea@example.org", previously=("bea",))))
    assert (sorted(done(same)), refusals(same)) == ([("delete", "carl", None), ("rename", "bea.k", "bea")], [])
    another = plan(before, desired(ALICE, ADMINS, heir._replace(identity="carl@example.org")))
    assert (sorted(done(another)), refusals(another)) == ([("delete", "bea", None), ("rename", "bea.k", "carl")], [])


def test_an_account_that_gets_the_address_of_one_that_ends_is_asked_about() -> None:
    """Without full names, an address alone that changes is an edit; that of somebody who leaves says who has the login now."""
    desk, carl = User("desk", "desk@example.org"), User("carl", "carl@example.org")
    heir = desk._replace(email="carl@example.org")
    before = actual(ALICE, ADMINS, desk, carl)
    (message,) = refusals(plan(before, desired(ALICE, ADMINS, heir)))
    assert "the e-mail address of carl@example.org, whose account `carl` ends" in message
    same = plan(before, desired(ALICE, ADMINS, heir._replace(identity="carl@example.org", previously=("carl",))))
    assert (done(same), refusals(same)) == ([("delete", "desk (former)", None), ("rename", "desk", "carl")], [])
    another = plan(before, desired(ALICE, ADMINS, heir._replace(identity="desk@example.org")))
    assert (sorted(done(another)), refusals(another)) == ([("delete", "carl", None), ("update", "desk", None)], [])


@pytest.mark.parametrize("claims", [(), ("a",)])
def test_a_new_user_with_the_identity_of_an_account_that_goes_on_as_anothers_is_asked_about(claims: tuple[str, ...]) -> None:
    row, new = User("a", "p@example.org"), User("b", "b@example.org", identity="p@example.org")
    heir = User("c" if claims else "a", "q@example.org", previously=claims)
    (message,) = refusals(plan(actual(ALICE, ADMINS, row), desired(ALICE, ADMINS, heir, new)))
    assert f"has the identity of p@example.org, whose account `a` goes on as `{heir.name}` of q@example.org" in message
    same = desired(ALICE, ADMINS, heir._replace(previously=()), new._replace(previously=("a",)))
    made = plan(actual(ALICE, ADMINS, row), same)
    assert (sorted(done(made)), refusals(made)) == ([("create", heir.name, None), ("rename", "b", "a")], [])
    another = plan(actual(ALICE, ADMINS, row), desired(ALICE, ADMINS, heir, new._replace(identity="b@example.org")))
    assert (sorted(action for action, *_ in done(another)), refusals(another)) == (
        ["create", "rename" if claims else "update"],
        [],
    )


@pytest.mark.parametrize("freed", [True, False])
def test_a_claim_by_a_login_that_is_vacated_in_the_same_revision_is_new(freed: bool) -> None:
    ann, xavier = User("ann", "ann@example.org"), User("x", "x@example.org", "Xavier")
    row = ann._replace(name="ann.b", email="annb@example.org", previously=("ann",))
    heir = User("x" if freed else "z", "annc@example.org", previously=("ann.b",))
    rest = xavier._replace(name="y", previously=("x",)) if freed else xavier
    before = actual(ALICE, ADMINS, row, xavier)._replace(earlier={"ann.b": (ann,)})
    (message,) = refusals(plan(before, desired(ALICE, ADMINS, ann, heir, rest)))
    assert f"The same person: remove `previously: [ann.b]` from `{heir.name}`" in message


def test_another_identity_than_an_account_had_is_another_persons_however_it_was_left_out() -> None:
    """A revision that is skipped ends as one that is applied."""
    first, without = User("desk", "desk@example.org", identity="emp-1"), User("desk", "desk@example.org")
    second = without._replace(identity="emp-2")
    ends = [("delete", "desk (former)", None), ("create", "desk", None)]
    assert done(plan(actual(ALICE, ADMINS, first), desired(ALICE, ADMINS, second))) == ends
    before = actual(ALICE, ADMINS, without)._replace(earlier={"desk": (first,)})
    assert in_doubt({"desk": without}, {"desk": second}) == [without]
    assert done(plan(before, desired(ALICE, ADMINS, second))) == ends
    assert done(plan(before, desired(ALICE, ADMINS, first))) == [("update", "desk", None)]


def test_an_account_that_is_declared_as_it_is_does_not_pass_on_because_its_claimant_had_it() -> None:
    """Not even if the claimant is just what the account was earlier: a label that changes must not decide."""
    was, row = User("mal", "mal@example.org"), User("bob", "bob@example.org", previously=("mal",))
    claimant = was._replace(previously=("bob",))
    for bob in (row, row._replace(labels=(("cost-centre", "42"),))):
        made = plan(actual(ALICE, ADMINS, row)._replace(earlier={"bob": (was,)}), desired(ALICE, ADMINS, bob, claimant))
        assert refusals(made) or ("create", "mal", None) in done(made)


def test_an_account_with_its_identity_goes_back_before_one_with_the_address_does() -> None:
    first, second = User("a", "q@example.org", identity="p@example.org"), User("b", "p@example.org", previously=("a",))
    held = first._replace(name="c"), second._replace(name="a", previously=())
    before = actual(ALICE, ADMINS, *held)._replace(earlier={"c": (first,), "a": (second,)})
    made = plan(before, desired(ALICE, ADMINS, first, second))
    assert (sorted(done(made)), refusals(made)) == ([("rename", "a", "c"), ("rename", "b", "a")], [])


def test_the_address_in_force_says_who_it_is_whatever_identity_the_account_had() -> None:
    """It is what a refusal tells to write."""
    erin, had = User("erin", "erin@example.org", "Erin Cole"), User("erin", "erin@example.org", "Erin Cole", identity="emp-1")
    before = actual(ALICE, ADMINS, erin)._replace(earlier={"erin": (had,)})
    for married in (erin, User("erin", "erin.berg@example.org", "Erin Berg")):
        made = plan(before, desired(ALICE, ADMINS, married._replace(identity="erin@example.org")))
        assert (done(made), refusals(made)) == ([("update", "erin", None)], [])


@pytest.mark.parametrize(
    "later", [User("erin2", "kay@example.org", "Erin Kay"), User("erin2", "erin@example.org", "Erin Newman")]
)
def test_who_was_hired_with_the_address_that_is_anothers_identity_does_not_get_that_account(later: User) -> None:
    erin = User("erin", "erin.berg@example.org", "Erin Berg", identity="erin@example.org")
    hired = User("erin2", "erin@example.org", "Erin Newman")
    before = actual(ALICE, ADMINS, erin, hired)
    (message,) = refusals(plan(before, desired(ALICE, ADMINS, later._replace(identity="erin@example.org"))))
    assert "`erin2` gets the identity of Erin Berg <erin.berg@example.org>, which the account `erin` has" in message


def test_a_revert_that_would_leave_an_account_to_who_got_it_is_asked_about() -> None:
    ann, carl = User("ann", "ann@example.org", "Ann"), User("carl", "carl@example.org", "Carl")
    row = User("carl", "carl@example.org", "Ann", previously=("ann",))
    before = actual(ALICE, ADMINS, row)._replace(earlier={"carl": (ann,)})
    (message,) = refusals(plan(before, desired(ALICE, ADMINS, ann, carl)))
    assert "The same person: declare `previously: [carl]`" in message
    back = plan(before, desired(ALICE, ADMINS, ann._replace(previously=("carl",)), carl))
    assert (sorted(done(back)), refusals(back)) == ([("create", "carl", None), ("rename", "ann", "carl")], [])


@pytest.mark.parametrize("email", ["new@example.org", "carl@example.org"])
def test_a_new_claim_by_a_login_that_exists_is_not_passed_over(email: str) -> None:
    """The account that is claimed would end, and the one that goes on is another's."""
    ann, carl = User("ann", "ann@example.org"), User("carl", "carl@example.org")
    before, heir = actual(ALICE, ADMINS, ann, carl), User("carl", email, previously=("ann",))
    (message,) = refusals(plan(before, desired(ALICE, ADMINS, heir)))
    assert "`carl` has `ann` in its `previously`, but not the identity of ann@example.org, whose account ends" in message
    assert "The same person: declare `identity: ann@example.org`" in message
    same = plan(before, desired(ALICE, ADMINS, heir._replace(identity="ann@example.org")))
    assert (done(same), refusals(same)) == ([("delete", "carl (former)", None), ("rename", "carl", "ann")], [])


def test_a_new_user_with_the_identity_of_an_account_that_ends_is_asked_about() -> None:
    ann = User("ann", "ann@example.org", "Ann Cole")
    new = User("ann.k", "ann.k@example.org", "Ann King", identity="ann@example.org")
    before = actual(ALICE, ADMINS, ann)
    (message,) = refusals(plan(before, desired(ALICE, ADMINS, new)))
    assert "whose account `ann` ends. The same person: declare `previously: [ann]`" in message
    same = plan(before, desired(ALICE, ADMINS, new._replace(previously=("ann",))))
    assert (done(same), refusals(same)) == ([("rename", "ann.k", "ann")], [])


def test_the_advice_says_from_whom_to_take_a_claim_or_an_identity() -> None:
    """One that two users have is refused."""
    carl, bea = User("carl", "carl@example.org"), User("bea", "carl@example.org")
    heir = User("carl.d", "carl.d@example.org", previously=("carl",))
    (message,) = refusals(plan(actual(ALICE, ADMINS, carl), desired(ALICE, ADMINS, heir, bea)))
    assert "declare `previously: [carl]` in its metadata, and remove it from that of `carl.d`" in message
    known = carl._replace(identity="e-1")
    (message,) = refusals(
        plan(actual(ALICE, ADMINS, known), desired(ALICE, ADMINS, known._replace(email="new@example.org"), bea))
    )
    assert "The same person: declare `identity: e-1` there, and not on `carl`" in message
    ann = User("ann", "ann@example.org", identity="e-2")
    taken = User("kim", "kim@example.org", previously=("ann",))
    (message,) = refusals(plan(actual(ALICE, ADMINS, ann), desired(ALICE, ADMINS, taken)))
    assert "Another person: remove `ann` from its `previously`" in message


def test_drift_says_nothing_about_whose_an_account_is() -> None:
    """A hand changed the row since the revision was applied: the repair gives the account back, and ends nothing."""
    jane = JANE._replace(identity="1")
    for row in (JOHN._replace(identity="2"), JOHN, JANE):
        made = plan(actual(ALICE, ADMINS, row), desired(ALICE, ADMINS, jane), repair=True)
        assert (done(made), refusals(made)) == ([("update", "jane", None)], [])
    doe = jane._replace(name="doe", previously=("jane",))
    made = plan(actual(ALICE, ADMINS, JOHN), desired(ALICE, ADMINS, JOHN, doe), repair=True)
    assert done(made) == [("create", "doe", None)]
