"""My account: who I am here, what I may use and why, from where, my sessions and my tokens."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any

from api.authentication import api_tokens, credentials, sessions
from api.authentication.api_tokens import TokenRequest
from api.console import forgery
from api.console.pages import Answer, Page, SeeOther, Visit, act, page
from api.errors import Invalid
from api.http.checking import check, validator
from api.http.shapes import ref
from api.reads.access import reach_of
from reconciler.access.decide import permits
from reconciler.access.instants import parse_instant
from reconciler.access.state import ended
from reconciler.wording.text import count

UNUSED = timedelta(days=90)
PRESETS = (7, 30, 90, 180, 365)
"""Days that a token may be asked to live; the Settings cap them."""
_USUAL = 30
_LONGEST = "longest"
"""What the form asks for in place of days: as long as the Settings permit."""
_TOKEN = validator(ref("TokenRequestFor"))


class Account(Page):
    """`/me`."""

    @page()
    def on_get(self, visit: Visit) -> Answer:
        """Everything about the visitor."""
        caller = visit.caller
        state = caller.access.state
        memberships = state.memberships.get(caller.name, {})
        teams = [
            {"team": team, "membership": memberships[team.name]}
            for team in caller.teams
            if not ended(memberships[team.name].until, visit.now)
        ]
        return visit.render(
            "me.html",
            teams=teams,
            reach=reach_of(visit.service.reader, caller.access, caller.name, visit.now, only=visit.own_issuers),
            here_permitted=permits(caller.teams, caller.address)[0],
            live_tokens=len(credentials.list_credentials(visit.service.reader, caller.account.id, visit.now)),
            live_sessions=len(sessions.list_own(visit.service.reader, caller)),
        )


class Sessions(Page):
    """`/me/sessions`."""

    @page()
    def on_get(self, visit: Visit) -> Answer:
        """Where the visitor is signed in."""
        return visit.render("sessions.html", sessions=sessions.list_own(visit.service.reader, visit.caller))

    @act()
    def on_post(self, visit: Visit) -> Answer:
        """End one of them, all others, or all."""
        what = visit.form.text("end")
        if what == "others":
            sessions.end_others(visit.authority)
            return SeeOther("/me/sessions?done=signed-out-others")
        if what == "all":
            sessions.end_others(visit.authority)
            sessions.end_session(visit.authority)
            return SeeOther("/login?done=signed-out", (visit.cookies.forget(visit.cookies.session),))
        sessions.end_own(visit.authority, what)
        if what == visit.caller.credential.accessor:
            return SeeOther("/login?done=signed-out", (visit.cookies.forget(visit.cookies.session),))
        return SeeOther("/me/sessions?done=session-ended")


class Tokens(Page):
    """`/me/tokens`."""

    @page()
    def on_get(self, visit: Visit) -> Answer:
        """The live tokens, and which of them nobody has used for long."""
        found = credentials.list_credentials(visit.service.reader, visit.caller.account.id, visit.now)
        return visit.render("tokens.html", tokens=[{**each, "unused": is_unused(each, visit)} for each in found])


def is_unused(token: dict[str, Any], visit: Visit) -> bool:
    """Whether a token was neither made nor used within the last 90 days."""
    return bool(parse_instant(token["lastUsedAt"] or token["createdAt"]) < visit.now - UNUSED)


class NewToken(Page):
    """`/me/tokens/new`."""

    back = "/me/tokens"

    @page()
    def on_get(self, visit: Visit) -> Answer:
        """The form; first the password again, if it was given long ago."""
        if not visit.is_fresh:
            return SeeOther(visit.site.confirming(visit.here))
        return self.show(visit)

    @act(fresh=True)
    def on_post(self, visit: Visit) -> Answer:
        """The token, whose secret this answer alone shows. The form's nonce makes a second token of the same form impossible."""
        minted = api_tokens.mint_own(visit.service.reader, visit.authority, read_token_request(visit))
        return visit.render("token_shown.html", token=minted, owner=visit.caller.name, list_address="/me/tokens")

    def show(self, visit: Visit, **_: str) -> str:
        """The form."""
        issuers = sorted(visit.own_issuers)
        # with its query: what a rotated token is narrowed to must outlive a password that is asked for again
        return visit.render("token_new.html", **token_form(visit, issuers), owner=None, action=visit.here, back="/me/tokens")


def token_form(visit: Visit, issuers: list[str]) -> dict[str, Any]:
    """What the form for a token offers."""
    longest = visit.caller.access.policies.token_max_lifetime
    days = [each for each in PRESETS if timedelta(days=each) <= longest]
    lifetimes = [(str(each), count(each, "day")) for each in days] or [(_LONGEST, count(*in_units(longest)))]
    return {
        "issuers": issuers,
        "lifetimes": lifetimes,
        "usual": str(_USUAL) if _USUAL in days else lifetimes[0][0],
        "longest": count(*in_units(longest)),
        "nonce": secrets.token_urlsafe(16),
        "chosen": visit.form.texts("issuer"),
    }


def in_units(lifetime: timedelta) -> tuple[int, str]:
    """A lifetime in the largest unit of which it is a whole number, as durations are written, and the unit."""
    seconds = int(lifetime.total_seconds())
    units = (86_400, "day"), (3_600, "hour"), (60, "minute")
    return next(((seconds // size, name) for size, name in units if seconds % size == 0), (seconds, "second"))


def _read_lifetime(visit: Visit) -> timedelta:
    """How long the token is to be valid: as the form says, or as long as the Settings permit, if that is shorter."""
    days, longest = visit.form.text("days"), visit.caller.access.policies.token_max_lifetime
    if days == _LONGEST:
        return longest
    if not (days.isascii() and days.isdecimal() and len(days) <= 5 and 0 < int(days) <= 36_500):
        raise Invalid("choose for how long the token is to be valid")
    return min(timedelta(days=int(days)), longest)


def read_token_request(visit: Visit) -> TokenRequest:
    """The token that the form asks for. Raises Invalid."""
    form, lifetime = visit.form, _read_lifetime(visit)
    number, unit = in_units(lifetime)
    wanted: dict[str, Any] = {"name": form.text("name"), "validFor": f"{number}{unit[0]}"}
    if form.text("narrow") == "some":
        if not form.texts("issuer"):
            raise Invalid("choose the issuers that the token is good for, or let it be good for all of yours")
        wanted["issuers"] = sorted(set(form.texts("issuer")))
    addresses = form.text("addresses").replace(",", " ").split()
    if addresses:
        wanted["permittedIPs"] = addresses
    if not wanted["name"]:
        raise Invalid("name the token after the program that will use it")
    check(_TOKEN, wanted, "the form")
    nonce = form.text("nonce")
    if not nonce:
        raise Invalid("the form is incomplete; open it again")
    return TokenRequest(
        wanted["name"],
        visit.now + lifetime,
        wanted.get("issuers"),
        wanted.get("permittedIPs"),
        accessor=forgery.derived(visit.secret or "", nonce),
    )


class RevokedToken(Page):
    """`/me/tokens/{token_id}/revoke`."""

    @act()
    def on_post(self, visit: Visit, token_id: str) -> Answer:
        """The token is invalid from the next call on."""
        api_tokens.revoke_own(visit.authority, token_id)
        return SeeOther("/me/tokens?done=token-revoked")
