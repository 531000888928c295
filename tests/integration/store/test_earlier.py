"""What users were before is read from the audit log, whatever they were called and whoever had their names."""

from __future__ import annotations

from declared_states import SEARCH, bring, emptied, held
from hypothesis import given
from hypothesis import strategies as st

from reconciler.access.resources import DeclaredState, User
from reconciler.store.earlier import read_earlier
from reconciler.store.engine import Database

LOGINS = ["a", "b", "c", "d"]


@st.composite
def accounts(draw: st.DrawFn) -> dict[str, User]:
    """Users of whom any may be anybody who was there before: by name, identity or earlier name."""
    names = draw(st.lists(st.sampled_from(LOGINS), unique=True))
    earlier = draw(st.permutations(LOGINS))[: len(names)]
    identities = draw(st.permutations([None, None, "1", "2", "3"]))
    found = {}
    for name, old, identity in zip(names, earlier, identities, strict=False):
        previously = (old,) if old != name and draw(st.booleans()) else ()
        email, full_name = (draw(st.sampled_from(values)) for values in (["p@x.org", "q@x.org"], [None, "P", "Q"]))
        found[name] = User(name, email, full_name, previously=previously, identity=identity)
    return found


@SEARCH
@given(st.lists(accounts(), min_size=2, max_size=5))
def test_what_an_account_was_is_what_was_applied_to_it(database: Database, revisions: list[dict[str, User]]) -> None:
    emptied(database)
    known: dict[str, list[User]] = {}
    for number, users in enumerate(revisions):
        plan = bring(database, DeclaredState(users=users), f"{number}")
        changes = [change for change in plan.changes if change.kind == "User"]
        before = {name: was for name, was in known.items() if name not in {c.before.name for c in changes if c.before}}
        moved = {
            change.name: [] if change.before is None else [change.before, *known[change.before.name]]
            for change in changes
            if change.after is not None
        }
        known = before | moved
        with database.reading() as connection:
            found = read_earlier(connection, held(database).declared.users.values())
        assert {name: list(map(_told, was)) for name, was in found.items()} == {
            name: list(map(_told, was)) for name, was in known.items()
        }


def _told(user: User | None) -> tuple[str | None, ...] | None:
    return None if user is None else (user.name, user.email, user.full_name, user.identity)
