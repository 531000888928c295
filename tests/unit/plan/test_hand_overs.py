"""Random pairs of users: no account passes to another person, or ends, where what is declared says otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from effort import tries
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from test_make_plan import ADMINS, ALICE, actual, desired, plan

from reconciler.access.resources import User
from reconciler.plan.plan import Change, Plan

LOGINS, EMAILS, FULL_NAMES = "abcd", ("p@x.org", "q@x.org", "a@x.org"), (None, None, "P", "Q")
IDENTITIES = (None, None, None, "1", "2", "p@x.org")
SEARCH = settings(max_examples=tries(500), suppress_health_check=list(HealthCheck), deadline=None)

Users = dict[str, User]
Earlier = Mapping[str, Sequence[User]]


def new_user(draw: st.DrawFn, name: str) -> User:
    email, full_name, identity = (draw(st.sampled_from(values)) for values in (EMAILS, FULL_NAMES, IDENTITIES))
    previously = draw(st.sampled_from([(), (), *((old,) for old in LOGINS if old != name)]))
    return User(name, email, full_name, identity=identity, previously=previously)


def is_valid(users: Iterable[User]) -> bool:
    """As `accord validate` says: names, identities and earlier names are one user's, and nobody exchanges names."""
    users = list(users)
    identities = [user.identity for user in users if user.identity is not None]
    claims = {old: user.name for user in users for old in user.previously}
    unique = len(set(identities)) == len(identities) and len(claims) == sum(len(user.previously) for user in users)
    return unique and all(claims.get(new) != old and new != old for old, new in claims.items())


@st.composite
def states(draw: st.DrawFn) -> Users:
    names = draw(st.lists(st.sampled_from(LOGINS), unique=True, min_size=1, max_size=3))
    found = [new_user(draw, name) for name in names]
    return {user.name: user for user in found} if is_valid(found) else {user.name: User(user.name, user.email) for user in found}


@st.composite
def later(draw: st.DrawFn, held: Users) -> Users:
    """Users of whom some are those before, some of them changed, under the same name or another; others are new."""
    found: Users = {}
    for row in held.values():
        kind = draw(st.sampled_from(["stays", "changes", "changes", "renamed", "leaves", "another"]))
        user = row
        if kind == "changes" or (kind == "renamed" and draw(st.booleans())):
            other = new_user(draw, row.name)
            fields = draw(st.sets(st.sampled_from(["email", "full_name", "identity"])))
            user = row._replace(**{field: getattr(other, field) for field in fields})
        if kind == "renamed":
            name = draw(st.sampled_from([name for name in LOGINS if name != row.name]))
            claims = (row.name, *(old for old in row.previously if old != name)) if draw(st.booleans()) else ()
            user = user._replace(name=name, previously=claims)
        if kind == "another":
            user = new_user(draw, row.name)
        if kind != "leaves" and is_valid([*found.values(), user]):
            found[user.name] = user
    for name in draw(st.lists(st.sampled_from(LOGINS), max_size=2)):
        user = new_user(draw, name)
        if name not in found and is_valid([*found.values(), user]):
            found[name] = user
    return found


def planned(held: Users, wanted: Users, earlier: Earlier) -> Plan:
    before = actual(ALICE, ADMINS, *held.values())._replace(earlier={name: tuple(was) for name, was in earlier.items()})
    return plan(before, desired(ALICE, ADMINS, *wanted.values()))


def is_refused(made: Plan) -> bool:
    return any(guard.id == "identity-handed-over" for guard in made.refusals)


def is_edit(change: Change) -> bool:
    """Tell whether an address changes of which no full name says whose it is: that is warned of, and no more is known."""
    row, user = change.before, change.after
    users = isinstance(row, User) and isinstance(user, User)
    return users and row.name == user.name and row.email != user.email and row.full_name is None


def is_exchange(made: Plan) -> bool:
    """Tell whether names are exchanged, which one revision cannot do without a question."""
    moves = {change.previous_name: change.name for change in made.changes if change.action == "rename"}
    while ends := [old for old, new in moves.items() if new not in moves]:
        moves = {old: new for old, new in moves.items() if old not in ends}
    return bool(moves)


def known_of(made: Plan, held: Users, earlier: Earlier) -> dict[str, list[User]]:
    """What each account was before, once a plan is applied."""
    changes = [change for change in made.changes if change.kind == "User"]
    touched = {change.before.name for change in changes if change.before is not None}
    found = {name: list(earlier.get(name, ())) for name in held if name not in touched}
    for change in changes:
        if isinstance(change.after, User):
            row = change.before
            found[change.name] = [row, *earlier.get(row.name, ())] if isinstance(row, User) else []
    return found


def facts(user: User) -> tuple[str | None, ...]:
    return user.name, user.email, user.full_name, user.identity


def supported(row: User, user: User, was: Iterable[User]) -> bool:
    """Tell whether anything but a claim says that an account is a user's."""
    stays = row.email == user.email or (row.full_name is not None and row.full_name == user.full_name)
    identified = user.identity is not None and user.identity == (row.identity or row.email)
    return stays or identified or facts(user) in map(facts, was)


@SEARCH
@given(st.data())
def test_no_account_passes_on_or_ends_against_what_is_declared(data: st.DataObject) -> None:
    first = data.draw(states())
    held = data.draw(later(first))
    earlier = known_of(planned(first, held, {}), first, {})
    wanted = data.draw(later(held) | later(first))
    made = planned(held, wanted, earlier)
    changes = [change for change in made.changes if change.kind == "User"]
    warned = " ".join(problem.message for problem in made.warnings)
    for change in changes:
        row, user = change.before, change.after
        if not isinstance(row, User) or not isinstance(user, User):
            continue
        assert None in (row.identity, user.identity) or row.identity == user.identity or is_refused(made)
        if is_refused(made) or supported(row, user, earlier[row.name]):
            continue
        assert f"`{user.name}`" in warned
        assert row.name in user.previously or (row.full_name, user.full_name) == (None, None)
        assert not (row.identity is not None and user.identity is None)
    if is_refused(made):
        return
    ended = [change.before for change in changes if isinstance(change.before, User) and change.after is None]
    created = [change.after for change in changes if isinstance(change.after, User) and change.before is None]
    for row, user in ((row, user) for row in ended for user in created):
        assert row.name not in user.previously
        assert user.identity is None or user.identity != row.identity
        assert user.identity is not None or row.email != user.email
        assert user.name not in row.previously or user.identity is not None
        assert facts(user) not in map(facts, earlier[row.name])
    passed = [(row, user) for row, user, *_ in ((each.before, each.after) for each in changes) if row and user]
    for row, user in passed:
        if not isinstance(row, User) or not isinstance(user, User) or supported(row, user, earlier[row.name]):
            continue
        assert not [new.name for new in created if new.identity is not None and new.identity == (row.identity or row.email)]
        assert user.email not in [other.email for other in ended] or user.identity is not None


@SEARCH
@given(st.data())
def test_what_was_applied_and_is_reverted_ends_where_it_began(data: st.DataObject) -> None:
    """Whoever was there all along has the same account, unless a guard asks; renames alone are reverted without a question."""
    held = data.draw(states())
    wanted = data.draw(later(held))
    made = planned(held, wanted, {})
    assume(not is_refused(made) and not any(map(is_edit, made.changes)))
    assume(all(len({user.email for user in users.values()}) == len(users) for users in (held, wanted)))  # no shared mailbox
    rows: dict[str, str | None] = {name: name for name in wanted}
    rows |= {change.name: change.before and change.before.name for change in made.changes if change.after is not None}
    back = planned(wanted, held, known_of(made, held, {}))
    if {change.action for change in made.changes} <= {"rename"} and not is_exchange(made):
        assert not is_refused(back)
    if is_refused(back):
        return
    returned = {change.before.name: change.name for change in back.changes if change.kind == "User" and change.before}
    kept = {now: was for now, was in rows.items() if was is not None}
    assert {now: returned.get(now, now) for now in kept} == kept
