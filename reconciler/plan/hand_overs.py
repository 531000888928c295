"""Which accounts a plan may pass to another person: what the guard asks about, with what to write for each reading."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from reconciler.access.problems import Problem
from reconciler.access.resources import User
from reconciler.plan.identity import (
    Earlier,
    alike,
    certainly,
    had_been,
    has_identity,
    is_addressed,
    is_vouched,
    same_name,
    same_person,
    who,
)
from reconciler.plan.plan import FORMER, Change


def handed_over(changes: Sequence[Change], earlier: Earlier | None) -> list[str]:
    """Return, in sentences, which accounts may pass to another person, and what to write for each of the two readings."""
    known = earlier or {}
    found = [*_changed(changes, earlier), *_taken_up(changes, known), *_exchanged(changes, known)]
    return [*found, *_identified(changes, known), *_contradicted(changes)]


def _changed(changes: Sequence[Change], earlier: Earlier | None) -> Iterator[str]:
    for change in changes:
        before, after = change.before, change.after
        if not isinstance(before, User) or not isinstance(after, User):
            continue
        if _may_be_anothers(before, after, None if earlier is None else earlier.get(before.name, ())):
            was = "" if change.previous_name is None else f" (was `{before.name}`)"
            yield (
                f"`{after.name}`{was} changes from {who(before)} to {who(after)}, and would keep its password, tokens and "
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
    if before.name in after.previously and (before.identity or after.identity):  # they contradict each other
        return f"remove `{before.name}` from its `previously`"
    if after.identity is not None:  # it is the first one, and could be either person's
        return f"declare `identity: {who(after)}` instead"
    names = (after.email, who(after), after.name)
    new = next((name for name in names if not alike(name, before.identity or before.email)), f"{after.name}-2")
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
        if isinstance(after, User) and (not had_been([before], after) or not {*before.previously}.issubset(after.previously)):
            heirs[before.name] = before, after
            for name in {was.name for was in earlier.get(before.name, ())}.difference([after.name]):
                were.setdefault(name, []).append(before.name)
        if not isinstance(after, User) or not alike(before.email, after.email):
            left.setdefault(before.email.casefold(), []).append(before)
    for change in changes:
        new, own = change.after, change.before
        if not isinstance(new, User):
            continue
        created, comes = own is None, own is None or own.name != new.name
        if comes and new.name in heirs and _continues(new, *heirs[new.name], earlier.get(new.name, ()), created=created):
            yield _readings(new, *heirs[new.name])
            continue
        returns = (old for old in were.get(new.name, ()) if _returns_beside(new, *heirs[old], earlier[old]))
        if (old := next(returns, None)) is not None and (
            not isinstance(own, User) or not had_been([own, *earlier.get(own.name, ())], new)
        ):
            row, heir = heirs[old]
            yield _readings(new, row, heir if heir.name != row.name else None)
        elif created:
            known = [row for row in left.get(new.email.casefold(), ()) if row.name != new.name or row.name not in heirs]
            known = [row for row in known if new.identity is None or has_identity(new, row)]
            yield from [_readings(new, row, claimant=heirs.get(row.name, (row, None))[1]) for row in known[:1]]


def _exchanged(changes: Iterable[Change], earlier: Earlier) -> Iterator[str]:
    """Find accounts that get the e-mail address of one that ends, and nothing else that says whose they are."""
    pairs = [(change.before, change.after) for change in changes if isinstance(change.before, User)]
    ended = {row.email.casefold(): row for row, user in pairs if user is None}
    for row, user in pairs:
        if not isinstance(user, User) or user.identity is not None or alike(row.email, user.email):
            continue
        other = ended.get(user.email.casefold())
        was = earlier.get(row.name, ())
        known = (row.full_name is not None and same_name(row, user)) or had_been(was, user)
        if other is not None and not known and not _may_be_anothers(row, user, was):
            yield (
                f"`{user.name}` continues the account `{row.name}` of {who(row)}, and has the e-mail address of {who(other)}, "
                f"whose account `{other.name}` ends. "
                f"The same person as that: declare `identity: {other.identity or other.email}` "
                f"and `previously: [{other.name}]`, and no other earlier name. "
                f"Another person: declare `identity: {row.identity or row.email}` in its metadata"
            )


def _identified(changes: Sequence[Change], earlier: Earlier) -> Iterator[str]:
    """Find new users whose identity is the address in force of an account that ends, or goes on with another address."""
    known: dict[str, tuple[User, User | None]] = {}
    for change in changes:
        row, heir = change.before, change.after
        if not isinstance(row, User) or row.identity is not None:
            continue
        if not isinstance(heir, User):
            known[row.email.casefold()] = row, None
        elif not alike(row.email, heir.email) and not is_addressed(row, heir) and not had_been(earlier.get(row.name, ()), heir):
            known[row.email.casefold()] = row, heir
    for change in changes:
        new = change.after
        if change.before is not None or not isinstance(new, User) or (new.identity or "").casefold() not in known:
            continue
        row, heir = known[(new.identity or "").casefold()]
        if row.name in (new.name, *new.previously) or (heir is None and alike(row.email, new.email)):
            continue  # asked about by the login, the claim or the address
        also = f", and remove it from that of `{heir.name}`" if heir is not None and row.name in heir.previously else ""
        how = "ends" if heir is None else f"goes on as `{heir.name}` of {who(heir)}"
        yield (
            f"`{new.name}` is new and has the identity of {who(row)}, whose account `{row.name}` {how}. "
            f"The same person: declare `previously: [{row.name}]` in its metadata{also}. "
            "Another person: declare another identity there"
        )


def _contradicted(changes: Sequence[Change]) -> Iterator[str]:
    """Find accounts that end although a user newly claims them by `previously`, and those whose identity another one gets."""
    rows = [(change.before, change.after is None) for change in changes if isinstance(change.before, User)]
    ending = {row.name: row for row, ends in rows if ends}
    identities = {row.identity.casefold(): row for row, _ in rows if row.identity is not None}
    for change in changes:
        new = change.after
        if not isinstance(new, User):
            continue
        known = change.before.previously if isinstance(change.before, User) else ()
        for row in [ending[old] for old in new.previously if old in ending and old != new.name and old not in known]:
            yield (
                f"`{new.name}` has `{row.name}` in its `previously`, but not the identity of {who(row)}, whose account ends. "
                f"The same person: declare `identity: {row.identity or row.email}` in its metadata. "
                f"Another person: remove `{row.name}` from its `previously`"
            )
        twin = identities.get((new.identity or "").casefold())
        if twin is not None and change.before is not twin:
            yield (
                f"`{new.name}` gets the identity of {who(twin)}, which the account `{twin.name}` has. "
                f"The same person, with two accounts: take it from `{twin.name}`, and declare it in the next revision. "
                f"Another person: declare another identity in the metadata of `{new.name}`"
            )


def _continues(new: User, row: User, heir: User, earlier: Sequence[User], *, created: bool) -> bool:
    """Tell whether who gets a login could be the owner of the account that had it, which an heir took along under another.

    An identity decides, and what the account had been. Otherwise that is whoever has the address, and a namesake if nothing of
    the heir stays. The identity of one who continues another account is that account's.
    """
    if _is_told_apart(new, row, heir, earlier):
        return False
    if created and has_identity(new, row):
        return True
    namesake = row.full_name is not None and same_name(row, new)
    return alike(row.email, new.email) or (namesake and not alike(row.email, heir.email) and not same_name(row, heir))


def _returns_beside(new: User, row: User, heir: User, earlier: Sequence[User]) -> bool:
    """Tell whether a new account is just what one had been that an heir takes along: a revert, or a new hire."""
    return had_been(earlier, new) and not _is_told_apart(new, row, heir, earlier)


def _is_told_apart(new: User, row: User, heir: User, earlier: Sequence[User]) -> bool:
    apart = new.identity is not None and same_person(row, new, earlier) is not True
    told = has_identity(heir, row) or had_been(earlier, heir)
    return apart or (told and not had_been([row], new))  # not if the account is also declared unchanged


def _readings(new: User, row: User, heir: User | None = None, claimant: User | None = None) -> str:
    """Say who a new user could be, whose account an heir would take along, or which a claimant goes on with."""
    own = new.name if not alike(new.name, row.identity or row.email) else f"{new.name}-2"
    same = f"declare `previously: [{row.name}]` in its metadata"
    another = f"declare an identity in the metadata of `{new.name}`, such as `identity: {own}`"
    if claimant is not None and row.name in claimant.previously:
        same += f", and remove it from that of `{claimant.name}`"
    if row.identity is not None and (row.name in new.previously or (claimant is not None and has_identity(claimant, row))):
        same = f"declare `identity: {row.identity}` there, and not on `{row.name if claimant is None else claimant.name}`"
    if heir is not None:
        same = f"remove `previously: [{row.name}]` from `{heir.name}`"
        if same_person(row, new._replace(identity=own)) is True:
            another += f", and `identity: {row.identity or row.email}` in that of `{heir.name}`"
    namesake = row.name == new.name and row.full_name is not None and same_name(row, new)
    has = "e-mail address" if alike(row.email, new.email) else "login and full name" if namesake else "earlier login and address"
    return (
        f"`{new.name}` is new and has the {has} of {who(row)}, whose account was `{row.name}`. "
        f"The same person: {same}. Another person: {another}"
    )


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
    return stays and not alike(before.email, after.email) and not vouched


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
