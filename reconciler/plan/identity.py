"""Whose account it is: whether an account that changes stays one person's. Passwords, tokens and sessions never change hands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from reconciler.access.problems import Problem
from reconciler.access.resources import Kind, Resource, User
from reconciler.plan.fields import differences
from reconciler.plan.plan import FORMER, Change

Earlier = Mapping[str, Sequence[User]]
"""What users in force were before, by name (see `Actual.earlier`)."""


def same_person(before: Resource, after: Resource, earlier: Iterable[User] = ()) -> bool | None:
    """Tell whether an account in force and its declaration are one person's; None: nothing says so, and nothing denies it.

    An identity decides. The first one that is declared must not take an account from its owner, so it changes nothing if the
    e-mail address and the name stay, or if it is the address in force, which names the person who had it. With one other change
    it could be either person's, unless it is the new name and address, which name the person who has the login now. One that is
    left out leaves the account to whoever has the address, or the full name. What the account was `earlier` it may be again.
    """
    if not isinstance(before, User) or not isinstance(after, User):
        return True
    if before.identity is not None and after.identity is not None:
        return _alike(before.identity, after.identity)
    if had_been(earlier, after):
        return True
    if after.identity is None:
        known = before.identity is None or before.full_name is not None
        return True if _alike(before.email, after.email) or (known and _something_stays(before, after)) else None
    stays = _alike(before.email, after.email) and (None in (before.full_name, after.full_name) or _same_name(before, after))
    if stays or _alike(before.email, after.identity):
        return True
    half = before.name == after.name and _something_stays(before, after)
    return None if half and not _alike(_who(after), after.identity) else False


def had_been(earlier: Iterable[User], declared: User) -> bool:
    """Tell whether an account had just this login, address, full name and identity before, as a revert declares them."""
    return any(
        (each.name, each.full_name) == (declared.name, declared.full_name)
        and _alike(each.email, declared.email)
        and _alike(each.identity or "", declared.identity or "")
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
        unclear = declared is not None and same_person(row, declared) is not True
        claimed = not all(declared is None and certainly(row, user) for user in claims.get(name, ()))
        if unclear or claimed or any(old in wanted for old in row.previously):
            found.append(row)
    return found


def certainly(before: Resource, after: Resource) -> bool:
    """Tell whether a resource in force is a declared one beyond doubt, whatever both are called."""
    if isinstance(before, User) and isinstance(after, User):
        if None not in (before.identity, after.identity):
            return same_person(before, after) is True
        return before.full_name is not None and _same_name(before, after) and _alike(before.email, after.email)
    return before._replace(name=after.name, previously=after.previously) == after


def returns(kind: Kind, row: Resource, declared: Resource, holder: Resource, earlier: Iterable[User]) -> bool:
    """Tell whether a row is one that gets an earlier name back, although another row, the holder, has that name now.

    Nothing but their content tells teams and issuers apart: the row that needs fewer changes is the one.
    """
    if isinstance(row, User) and isinstance(declared, User):
        if had_been(earlier, declared):
            stays = certainly(holder, declared) or (isinstance(holder, User) and had_been([holder], declared))
            return not stays and same_person(row, declared, earlier) is True
        known = _alike(row.email, declared.email) or certainly(row, declared)
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
    if _alike(before.email, after.email):
        return True
    if before.full_name is None and after.full_name is None and before.name != after.name:
        was, now = (user.email.rpartition("@")[0] for user in (before, after))
        follows = _alike(was, before.name) and _alike(now, after.name)
        applications = before.type == after.type == "application"
        return applications or _alike(was, now) or follows or before.name in after.previously
    return _same_name(before, after)


def _same_name(before: User, after: User) -> bool:
    return _alike(before.full_name or "", after.full_name or "")


def is_vouched(row: Resource, declared: Resource, earlier: Iterable[User]) -> bool:
    """Tell whether a declaration vouches for an account whose earlier login it has, without saying in `previously` that it does.

    That is so in a revert, which leaves the address and the full name, or brings back all that was. A mailbox may be shared, and
    who has the full name alone may be a namesake, hired under the login.
    """
    if not isinstance(row, User) or not isinstance(declared, User):
        return True
    stays = _alike(row.email, declared.email) and (row.full_name is None or _same_name(row, declared))
    return stays or _has_identity(declared, row) or had_been(earlier, declared)


def _alike(one: str, other: str) -> bool:
    return one.casefold() == other.casefold()


def handed_over(changes: Sequence[Change], earlier: Earlier | None) -> list[str]:
    """Return, in sentences, which accounts may pass to another person, and what to write for each of the two readings."""
    return [*_changed(changes, earlier), *_taken_up(changes, earlier or {}), *_contradicted(changes)]


def _changed(changes: Sequence[Change], earlier: Earlier | None) -> Iterator[str]:
    for change in changes:
        before, after = change.before, change.after
        if not isinstance(before, User) or not isinstance(after, User):
            continue
        if _may_be_anothers(before, after, None if earlier is None else earlier.get(before.name, ())):
            was = "" if change.previous_name is None else f" (was `{before.name}`)"
            yield (
                f"`{after.name}`{was} changes from {_who(before)} to {_who(after)}, and would keep its password, tokens and "
                f"sessions. The same person: declare `identity: {before.identity or before.email}` in its metadata. "
                f"Another person: {_another(before, after)}; the old account then ends"
            )


def _may_be_anothers(before: User, after: User, earlier: Sequence[User] | None) -> bool:
    """Tell whether an account and its declaration may be two people's; an identity in force says more than `previously`.

    If it is unknown what the account was earlier, a login may go back that the audit log would vouch for: that is warned of.
    """
    verdict, claims = same_person(before, after, earlier or ()), _claims(after, before)
    left_out = before.identity is not None and after.identity is None
    unclear = verdict is None and (left_out or not claims)
    goes_back = before.name != after.name and not claims and earlier is not None
    return verdict is False or unclear or (goes_back and not is_vouched(before, after, earlier or ()))


def _claims(after: User, before: User) -> bool:
    """Tell whether a declaration says that it is the account of another login, under which nothing else of it need stay."""
    return before.name != after.name and before.name in after.previously


def _another(before: User, after: User) -> str:
    if after.identity is not None and before.name in after.previously:  # they contradict each other
        return f"remove `{before.name}` from its `previously`"
    if after.identity is not None:  # it is the first one, and could be either person's
        return f"declare `identity: {_who(after)}` instead"
    names = (after.email, _who(after), after.name)
    new = next((name for name in names if not _alike(name, before.identity or before.email)), f"{after.name}-2")
    return f"declare another identity there, such as `identity: {new}`"


def _taken_up(changes: Sequence[Change], earlier: Earlier) -> Iterator[str]:
    """Find new accounts with the e-mail address of one that ends or gets another address, and who continues one renamed away."""
    left: dict[str, list[User]] = {}
    heirs: dict[str, tuple[User, User]] = {}
    were: dict[str, list[str]] = {}
    for change in changes:
        before, after = change.before, change.after
        if not isinstance(before, User):
            continue
        if isinstance(after, User) and before.name != after.name:
            heirs[before.name] = before, after
            for name in {was.name for was in earlier.get(before.name, ())}:
                were.setdefault(name, []).append(before.name)
        if not isinstance(after, User) or not _alike(before.email, after.email):
            left.setdefault(before.email.casefold(), []).append(before)
    for change in changes:
        new, renamed = change.after, change.previous_name is not None
        if not isinstance(new, User) or not (renamed or change.before is None):
            continue
        if new.name in heirs and _continues(new, *heirs[new.name], earlier.get(new.name, ())):
            yield _readings(new, *heirs[new.name])
            continue
        if renamed:
            continue
        if old := next((old for old in were.get(new.name, ()) if _returns_beside(new, *heirs[old], earlier[old])), None):
            yield _readings(new, *heirs[old])
            continue
        for row in left.get(new.email.casefold(), ()):
            known = row.name == new.name and row.name in heirs
            if not known and (new.identity is None or _has_identity(new, row)):
                yield _readings(new, row)
                break


def _contradicted(changes: Sequence[Change]) -> Iterator[str]:
    """Find accounts that end although a new user claims them by `previously`, and those whose identity another one gets."""
    rows = [(change.before, change.after is None) for change in changes if isinstance(change.before, User)]
    ending = {row.name: row for row, ends in rows if ends}
    identities = {row.identity.casefold(): row for row, _ in rows if row.identity is not None}
    for change in changes:
        new = change.after
        if not isinstance(new, User):
            continue
        for row in [ending[old] for old in new.previously if old in ending and change.before is None]:
            yield (
                f"`{new.name}` has `{row.name}` in its `previously`, but not the identity of {_who(row)}, whose account ends. "
                f"The same person: declare `identity: {row.identity or row.email}` in its metadata. "
                f"Another person: remove `{row.name}` from its `previously`"
            )
        twin = identities.get((new.identity or "").casefold())
        if twin is not None and change.before is not twin:
            yield (
                f"`{new.name}` gets the identity of {_who(twin)}, which the account `{twin.name}` has. "
                f"The same person, with two accounts: take it from `{twin.name}`, and declare it in the next revision. "
                f"Another person: declare another identity in the metadata of `{new.name}`"
            )


def _continues(new: User, row: User, heir: User, earlier: Sequence[User]) -> bool:
    """Tell whether who gets a login could be the owner of the account that had it, which an heir took along under another.

    An identity decides, and what the account had been. Otherwise that is whoever has the address, and a namesake if nothing of
    the heir stays.
    """
    if _is_told_apart(new, row, heir, earlier):
        return False
    namesake = row.full_name is not None and _same_name(row, new)
    return _alike(row.email, new.email) or (namesake and not _alike(row.email, heir.email) and not _same_name(row, heir))


def _returns_beside(new: User, row: User, heir: User, earlier: Sequence[User]) -> bool:
    """Tell whether a new account is just what one had been that an heir takes along: a revert, or a new hire."""
    return had_been(earlier, new) and not _is_told_apart(new, row, heir, earlier)


def _is_told_apart(new: User, row: User, heir: User, earlier: Sequence[User]) -> bool:
    apart = new.identity is not None and same_person(row, new, earlier) is not True
    identified = _has_identity(heir, row) and not had_been([row], new)  # not if the account is also declared unchanged
    return apart or identified or had_been(earlier, heir)


def _has_identity(declared: User, row: User) -> bool:
    """Tell whether a declaration says by its identity that it is a row's owner: the one in force, or else the address."""
    return declared.identity is not None and _alike(declared.identity, row.identity or row.email)


def _readings(new: User, row: User, heir: User | None = None) -> str:
    own = new.name if not _alike(new.name, row.identity or row.email) else f"{new.name}-2"
    same = f"declare `previously: [{row.name}]` in its metadata"
    another = f"declare an identity in the metadata of `{new.name}`, such as `identity: {own}`"
    if row.identity is not None and row.name in new.previously:
        same = f"declare `identity: {row.identity}` there, and not on `{row.name}`"
    if heir is not None:
        same = f"remove `previously: [{row.name}]` from `{heir.name}`"
        if same_person(row, new._replace(identity=own)) is True:
            another += f", and `identity: {row.identity or row.email}` in that of `{heir.name}`"
    namesake = row.name == new.name and row.full_name is not None and _same_name(row, new)
    has = "e-mail address" if _alike(row.email, new.email) else "login and full name" if namesake else "earlier login and address"
    return (
        f"`{new.name}` is new and has the {has} of {_who(row)}, whose account was `{row.name}`. "
        f"The same person: {same}. Another person: {another}"
    )


def _who(user: User) -> str:
    return user.email if user.full_name is None else f"{user.full_name} <{user.email}>"


def warnings(changes: Sequence[Change], earlier: Earlier) -> list[Problem]:
    """Warn about each resource that ends because another gets its name, and about accounts renamed with another address."""
    after = {(change.kind, change.name): change for change in changes if change.after is not None}
    found = []
    for change in changes:
        following = after.get((change.kind, change.name.removesuffix(FORMER)))
        if change.name.endswith(FORMER) and following is not None:
            found += _warning(following, _ending(change, following))
        elif _moves_house(change, earlier):
            was = "" if change.previous_name is None else f" was `{change.previous_name}` and"
            keeps = "the account keeps its password, tokens and memberships"
            found += _warning(change, f"user `{change.name}`{was} gets another e-mail address; {keeps}")
    return found


def _moves_house(change: Change, earlier: Earlier) -> bool:
    """Tell whether an account gets another address, and either another login too or nothing that says whose it is."""
    before, after = change.before, change.after
    if not isinstance(before, User) or not isinstance(after, User) or certainly(before, after):
        return False
    same = same_person(before, after) is True
    vouched = same and change.action != "rename" and None not in (before.full_name, after.full_name)
    stays = same or _claims(after, before) or same_person(before, after, earlier.get(before.name, ())) is True
    return stays and not _alike(before.email, after.email) and not vouched


def _ending(change: Change, following: Change) -> str:
    name, new = following.name, following.after
    heir = "a new one" if following.previous_name is None else f"`{following.previous_name}`, which gets its name back"
    if not isinstance(new, User):
        return f"{change.kind.lower()} `{name}` ends: the name becomes that of {heir}"
    identity = f" (identity `{new.identity}`)" if new.identity is not None else ""
    whose = f"another person's{identity}" if following.previous_name is None else f"that of {heir}{identity}"
    return f"`{name}`'s account ends with its password, tokens and sessions: the login becomes {whose}"


def _warning(change: Change, message: str) -> list[Problem]:
    place = change.source
    return [] if place is None else [Problem(place.file, place.line or 1, 1, "identity-handed-over", "warning", message)]
