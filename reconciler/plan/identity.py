"""Whose account it is: whether an account that changes stays one person's. Passwords, tokens and sessions never change hands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from reconciler.access.resources import Kind, Resource, User
from reconciler.plan.fields import differences

Earlier = Mapping[str, Sequence[User]]
"""What users in force were before, by name (see `Actual.earlier`)."""


def same_person(before: Resource, after: Resource, earlier: Iterable[User] = ()) -> bool | None:
    """Tell whether an account in force and its declaration are one person's; None: nothing says so, and nothing denies it.

    An identity decides; if there is none now, another one than the last that the account had is another person's, unless it is
    the address in force. The first one that is declared must not take an account from its owner, so it changes nothing if the
    e-mail address and the name stay, or if it is the address in force, which names the person who had it. With one other change
    it could be either person's, unless it is the new name and address, which name the person who has the login now. One that is
    left out leaves the account to whoever has the address, or the full name. What the account was `earlier` it may be again.
    """
    if not isinstance(before, User) or not isinstance(after, User):
        return True
    earlier = list(earlier)
    if before.identity is not None and after.identity is not None:
        return alike(before.identity, after.identity)
    if had_been(earlier, after):
        return True
    if after.identity is None:
        told = before.identity is None or before.full_name is not None
        return True if alike(before.email, after.email) or (told and _something_stays(before, after)) else None
    return _fits_first_identity(before, after, after.identity, earlier)


def _fits_first_identity(before: User, after: User, identity: str, earlier: Iterable[User]) -> bool | None:
    """Tell the same of an account that has no identity, and of a declaration with one."""
    if is_addressed(before, after):
        return True
    last = next((each.identity for each in earlier if each.identity is not None), identity)
    if not alike(last, identity):
        return False
    if alike(before.email, after.email) and (None in (before.full_name, after.full_name) or same_name(before, after)):
        return True
    half = before.name == after.name and _something_stays(before, after)
    return None if half and not alike(who(after), identity) else False


def is_addressed(row: User, declared: User) -> bool:
    """Tell whether the identity that is declared is the e-mail address in force."""
    return declared.identity is not None and alike(row.email, declared.identity)


def had_been(earlier: Iterable[User], declared: User) -> bool:
    """Tell whether an account had just this login, address, full name and identity before, as a revert declares them."""
    return any(
        (each.name, each.full_name) == (declared.name, declared.full_name)
        and alike(each.email, declared.email)
        and alike(each.identity or "", declared.identity or "")
        for each in earlier
    )


def in_doubt(held: Mapping[str, User], wanted: Mapping[str, User]) -> list[User]:
    """Return the users in force of whom it matters what they were earlier: else nothing says that they stay who they are."""
    found: list[User] = []
    claims: dict[str, list[User]] = {}
    for user in wanted.values():
        for old in user.previously:
            claims.setdefault(old, []).append(user)
    for name, row in held.items():
        declared = wanted.get(name)
        if declared is row or declared == row:
            continue
        identified = declared is not None and row.identity is None and declared.identity is not None
        unclear = identified or (declared is not None and same_person(row, declared) is not True)
        claimed = not all(declared is None and certainly(row, user) for user in claims.get(name, ()))
        if unclear or claimed or any(old in wanted for old in row.previously):
            found.append(row)
    return found


def certainly(before: Resource, after: Resource) -> bool:
    """Tell whether a resource in force is a declared one beyond doubt, whatever both are called."""
    if isinstance(before, User) and isinstance(after, User):
        if None not in (before.identity, after.identity):
            return same_person(before, after) is True
        return before.full_name is not None and same_name(before, after) and alike(before.email, after.email)
    return before._replace(name=after.name, previously=after.previously) == after


def returns(kind: Kind, row: Resource, declared: Resource, holder: Resource, earlier: Iterable[User]) -> bool:
    """Tell whether a row is one that gets an earlier name back, although another row, the holder, has that name now.

    Nothing but their content tells teams and issuers apart: the row that needs fewer changes is the one.
    """
    if isinstance(row, User) and isinstance(declared, User):
        if had_been(earlier, declared):
            stays = certainly(holder, declared) or (isinstance(holder, User) and had_been([holder], declared))
            return not stays and same_person(row, declared, earlier) is True
        known = alike(row.email, declared.email) or certainly(row, declared)
        return known and same_person(row, declared) is True and same_person(holder, declared) is not True
    return _distance(kind, row, declared) < _distance(kind, holder, declared)


def _distance(kind: Kind, row: Resource, declared: Resource) -> int:
    """Count the values in which a row differs from a declaration."""
    changed = differences(kind, row._replace(previously=()), declared._replace(previously=()))
    return sum(sum(map(len, change.values())) if "added" in change else 1 for change in changed.values())


def _something_stays(before: User, after: User) -> bool:
    """Tell whether the e-mail address or the full name stays.

    Without full names, an address alone that changes is an edit, and warned of. If the login changes as well, the mailbox must
    stay, or be called like the login before and after, or `previously` says whose it is.
    """
    if alike(before.email, after.email):
        return True
    if before.full_name is None and after.full_name is None and before.name != after.name:
        was, now = (user.email.rpartition("@")[0] for user in (before, after))
        follows = alike(was, before.name) and alike(now, after.name)
        applications = before.type == after.type == "application"
        return applications or alike(was, now) or follows or before.name in after.previously
    return same_name(before, after)


def same_name(before: User, after: User) -> bool:
    """Tell whether the full name stays."""
    return alike(before.full_name or "", after.full_name or "")


def is_vouched(row: Resource, declared: Resource, earlier: Iterable[User]) -> bool:
    """Tell whether a declaration vouches for an account whose earlier login it has, without saying in `previously` that it does.

    That is so in a revert, which leaves the address and the full name, or brings back all that was. A mailbox may be shared, and
    who has the full name alone may be a namesake, hired under the login.
    """
    if not isinstance(row, User) or not isinstance(declared, User):
        return True
    stays = alike(row.email, declared.email) and (row.full_name is None or same_name(row, declared))
    return stays or has_identity(declared, row) or had_been(earlier, declared)


def alike(one: str, other: str) -> bool:
    """Tell whether addresses, names or identities are the same in other letters."""
    return one.casefold() == other.casefold()


def has_identity(declared: User, row: User) -> bool:
    """Tell whether a declaration says by its identity that it is a row's owner: the one in force, or else the address."""
    return declared.identity is not None and alike(declared.identity, row.identity or row.email)


def who(user: User) -> str:
    """Name a person as a mail program does."""
    return user.email if user.full_name is None else f"{user.full_name} <{user.email}>"
