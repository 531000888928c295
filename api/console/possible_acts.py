"""What an administrator can do to an account, and why not: shown beside each other, what lasts here and what lasts in Git."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlencode

from api.authentication.principal import Principal
from api.console.rendering import segment
from api.reads.users import UserView


class Act(NamedTuple):
    """An act on an account. Its page is `path`, below that of the user, or elsewhere if it begins with a slash."""

    path: str
    label: str
    mark: str
    """An icon."""
    effect: str
    """What it does, in a sentence."""
    objection: str | None = None
    """Why it is not possible; None: it is."""
    at_once: bool = False
    """It can be undone, and asks for nothing more."""
    danger: bool = False


_YOURS = "Yours is changed under My account; another administrator can mail you a new one."
_PERSONS = "Only for applications: the Settings do not let administrators act as people."


def acts_here(user: UserView, by: Principal) -> dict[str, Act]:
    """What changes runtime facts: at once, until it is undone here, and Git does not know of it."""
    return {act.path: act for act in (*_password_acts(user, by), *_switch_acts(user, by), _mint_act(user, by))}


def _is_own(user: UserView, by: Principal) -> bool:
    return bool(user.summary["name"] == by.name)


def _objection(user: UserView, by: Principal, own: str, directory: str, *, as_person: bool = False) -> str | None:
    """The first that holds of: it is one's own account, a directory's, a person's whom the Settings protect."""
    if _is_own(user, by):
        return own
    if user.directory is not None or user.summary["source"] == "directory":
        return directory
    if as_person and user.summary["type"] == "person" and by.access.policies.administrators_mint_for != "everyone":
        return _PERSONS
    return None


def _password_acts(user: UserView, by: Principal) -> tuple[Act, ...]:
    kept = f"Its password is kept in its directory{f', {user.directory.domain}' if user.directory else ''}; change it there."
    has_none = None if user.has_password else "It has no password here yet."
    return (
        Act(
            "reset-password",
            "Mail a new password",
            "mail",
            "Generated and mailed. The old one stays valid until the mail is delivered.",
            _objection(user, by, _YOURS, kept),
        ),
        Act(
            "password",
            "Set a password",
            "key",
            "One that you choose. Sessions end, and tokens if you want.",
            _objection(user, by, _YOURS, kept, as_person=True),
        ),
        Act(
            "require-change",
            "Require a change",
            "clock",
            "The next login must choose another password.",
            (kept if user.summary["source"] == "directory" else None) or has_none,
        ),
    )


def _switch_acts(user: UserView, by: Principal) -> tuple[Act, ...]:
    own = "You cannot disable yourself; ask another administrator."
    if "administrator" in user.summary["disabledBy"]:
        others = [who for who in user.summary["disabledBy"] if who != "administrator"]
        stays = f" It stays disabled by {' and '.join(_SWITCH[who] for who in others)}." if others else ""
        switch = Act("enable", "Enable", "check", f"Turns the administrators' switch on again.{stays}", None, at_once=True)
    else:
        effect = "Sessions and tokens end at once. The switch is the administrators' own, for emergencies."
        switch = Act("disable", "Disable", "x", effect, own if _is_own(user, by) else None, danger=True)
    # what counts against a lock-out in a directory is not shown here
    nothing = user.failed_logins == 0 and user.summary["source"] != "directory"
    unlock = Act(
        "unlock",
        "Unlock",
        "shield-check",
        "Failed logins are forgotten: none of them makes the next login wait.",
        "No login has failed: there is nothing to unlock." if nothing else None,
        at_once=True,
    )
    return switch, unlock


_SWITCH = {"git": "Git", "directory": "its directory"}


def _mint_act(user: UserView, by: Principal) -> Act:
    own = "Generate your own under My tokens."
    objection = _objection(user, by, own, "Only its owner can generate tokens of a directory's account.", as_person=True)
    if objection is None and not user.summary["enabled"]:
        objection = "The account is disabled."
    told = " The person is told by mail." if user.summary["type"] == "person" else ""
    return Act("tokens/new", "Generate a token", "plus", f"For a program that acts as this account.{told}", objection)


def acts_in_git(user: UserView) -> tuple[Act, ...]:
    """What changes what Git declares: others see it before it counts, and it lasts."""
    name = user.summary["name"]
    own = f"/users/{segment(name)}"
    objection = _not_declared(user)
    by_git = "git" in user.summary["disabledBy"]
    switch = (
        ("enable", "Enable in Git", "Git's own switch on again.")
        if by_git
        else ("disable", "Disable in Git", "Until Git says otherwise.")
    )
    return (
        Act(f"{own}/edit", "Edit", "pencil", "E-mail, full name, teams, and the rest of what is declared.", objection),
        Act(proposing("add-member", name), "Add to a team", "plus", "With an end and a reason, if you like.", objection),
        Act(proposing(switch[0], name), switch[1], "git-pull-request", switch[2], objection),
        Act(f"{own}/remove", "Delete", "trash-2", "The account goes, with its tokens and sessions.", objection, danger=True),
    )


def _not_declared(user: UserView) -> str | None:
    if user.directory is not None or user.summary["source"] == "directory":
        return "This account is not declared: it is read from its directory."
    if user.place is None:
        return "Git does not declare it: somebody wrote it into the database. Declare it, or delete it by an apply with --adopt."
    return None


def proposing(act: str, user: str, team: str = "") -> str:
    """The address of the page that proposes an act."""
    return f"/proposals/new?{urlencode({'act': act, 'user': user} | ({'team': team} if team else {}))}"
