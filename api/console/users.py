"""Users, for administrators: the list of them, and everything about one, with what can be done here and what in Git."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from api.console.account import is_unused
from api.console.forms import Fields
from api.console.listing import read_search
from api.console.pages import Answer, SeeOther, Visit, page
from api.console.pages import Page as ConsolePage
from api.console.possible_acts import acts_here, acts_in_git
from api.console.rendering import segment
from api.errors import Invalid
from api.reads.standing import read_standing
from api.reads.users import UserView, view_user
from api.state import users
from api.state.declared import declared_among
from api.state.pages import Page
from api.state.users import UserFilter

ROWS = 50
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


class Users(ConsolePage):
    """`/users`."""

    @page("administrator")
    def on_get(self, visit: Visit) -> Answer:
        """A page of the users that fit."""
        wanted = read_filter(visit.query)
        reader = visit.service.reader
        found = users.list_users(reader, Page(visit.query.text("cursor") or None, ROWS), wanted, visit.now)
        return visit.render(
            "users.html",
            users=found["items"],
            declared=declared_among(reader, "User", [each["name"] for each in found["items"]]),
            following=found["next"],
            number=users.count_users(reader, wanted, visit.now),
            wanted=wanted,
            filtered=wanted._replace(sort="name") != UserFilter(),
        )


def read_filter(query: Fields) -> UserFilter:
    """The users that an address asks for. Raises Invalid."""
    state = _one_of(query, "state", ("enabled", "disabled"))
    before, after = _day(query, "before"), _day(query, "after")
    return UserFilter(
        search=read_search(query),
        team=query.text("team").lower() or None,
        source=_one_of(query, "source", ("declared", "directory")),
        enabled=None if state is None else state == "enabled",
        last_login_before=before,
        last_login_after=after and after - timedelta(microseconds=1),  # the day itself included
        never_logged_in=_one_of(query, "login", ("never",)) is not None,
        sort=_one_of(query, "sort", ("name", "last-login")) or "name",
    )


def _one_of(query: Fields, name: str, values: tuple[str, ...]) -> Any:
    text = query.text(name)
    if text and text not in values:
        raise Invalid(f"`{name}` in the address must be {' or '.join(f'`{each}`' for each in values)}")
    return text or None


def _day(query: Fields, name: str) -> datetime | None:
    """The beginning of a day in UTC."""
    text = query.text(name)
    if not text:
        return None
    try:
        day = datetime.fromisoformat(text)
        if not (_DAY.fullmatch(text) and day.year > 1):  # the day before must be one as well
            raise ValueError
        return day.replace(tzinfo=UTC)
    except ValueError:
        raise Invalid(f"`{name}` in the address must be a day, such as `2026-12-31`") from None


class User(ConsolePage):
    """`/users/{name}`."""

    @page("administrator")
    def on_get(self, visit: Visit, name: str) -> Answer:
        """Everything about a user."""
        view = find(visit, name)
        return visit.render(
            "user.html",
            user=view,
            address=address_of(view),
            standing=read_standing(visit.service.reader, view),
            tokens=[{**each, "unused": is_unused(each, visit)} for each in view.tokens],
            here=acts_here(view, visit.caller),
            in_git=acts_in_git(view),
        )


def find(visit: Visit, name: str) -> UserView:
    """A user by name, in capitals or not. Raises NotFound or StoreError."""
    return view_user(visit.service.reader, visit.service.keeper, name.lower(), visit.now)


def address_of(user: UserView) -> str:
    """The address of a user's page."""
    return f"/users/{segment(user.summary['name'])}"


class UserTokens(ConsolePage):
    """`/users/{name}/tokens`."""

    @page("administrator")
    def on_get(self, visit: Visit, name: str) -> Answer:
        """They are on the user's page."""
        return SeeOther(f"{address_of(find(visit, name))}#tokens")
