"""Signing in and out, and the change of password that a login may ask for."""

from __future__ import annotations

import secrets
from contextlib import suppress

from api.authentication import credentials, sessions
from api.authentication.authority import Terms
from api.authentication.logins import LoginRefused
from api.authentication.password_changes import PasswordChange, change_own
from api.console.cookies import THEMES, read_cookie
from api.console.forgery import token_for
from api.console.pages import NO_TLS, Answer, Page, SeeOther, Visit, act, page
from api.errors import Forbidden, Invalid, Problem
from api.state import accounts, history
from reconciler.store.errors import StoreError


class SignIn(Page):
    """`/login`."""

    @page("anybody")
    def on_get(self, visit: Visit) -> Answer:
        """The form, which is bound to a cookie, so that nobody can sign a visitor in to an account that is not the visitor's."""
        return self.show(visit)

    @act("anybody")
    def on_post(self, visit: Visit) -> Answer:
        """A session with a new secret, for a declared or a directory account; the one before it ends."""
        name, password = visit.form.text("name"), visit.form.raw("password")
        if not name or not password:
            raise Invalid("write your name and your password")
        service, address = visit.service, self.admission.address_of(visit.request.env)
        try:
            opened = service.log_in(name, password, address, visit.now, "cookie")
        except Problem as problem:
            service.metrics.logins.labels("refused" if isinstance(problem, LoginRefused) else problem.name).inc()
            if isinstance(problem, LoginRefused):
                visit.request.env["accord.refused"] = problem
                raise Invalid(problem.detail) from None
            raise
        service.metrics.logins.labels("succeeded").inc()
        _end_session(visit)
        wanted = visit.site.safe_address(visit.form.text("next"))
        cookies = visit.cookies.keep(visit.cookies.session, opened.session.secret), visit.cookies.forget(visit.cookies.visit)
        return SeeOther("/password" if opened.password_change_required else wanted, cookies)

    def show(self, visit: Visit, **_: str) -> str:
        """The form."""
        if visit.origin is None:
            raise Forbidden(NO_TLS).of("", "no-tls")
        secret = read_cookie(visit.request.env, visit.cookies.visit)
        if secret is None:
            secret = secrets.token_urlsafe(32)
            visit.sent_cookies = (visit.cookies.keep(visit.cookies.visit, secret),)
        wanted = visit.site.safe_address(visit.form.text("next") or visit.query.text("next"))
        return visit.render(
            "login.html",
            form_token=token_for(secret),
            again=_known(visit) if visit.query.has("again") else None,
            next=wanted,
            back=visit.site.page_above(wanted),
            directories=visit.service.settings.directories,
            nobody_can=nobody_can_sign_in(visit),
            nothing_applied=history.last_applied_at(visit.service.reader) is None,
        )


def _known(visit: Visit) -> str | None:
    """Who gives the password again, for an act that needs it."""
    try:
        return visit.site.visit(visit.request, Terms("account", restricted=True)).caller.name
    except Problem:
        return None


def _end_session(visit: Visit) -> None:
    """End the session that a browser had before it signed in again."""
    try:
        before = visit.site.visit(visit.request, Terms("account", restricted=True))
    except Problem:
        return
    with suppress(Problem, StoreError), before.authority.acting() as acting:  # the new one counts, even if the old one goes on
        mine = acting.caller
        ended = credentials.revoke(acting.connection, mine.account.id, acting.now, accessor=mine.credential.accessor)
        acting.record(*credentials.revoked_events(ended, "signed-in-again"))


def nobody_can_sign_in(visit: Visit) -> bool:
    """Whether no account has a password yet, so that a first visit needs to be told how the first one gets it."""
    return not visit.service.settings.directories and not accounts.anybody_has_password(visit.service.reader)


class SignOut(Page):
    """`/logout`."""

    @act(restricted=True)
    def on_post(self, visit: Visit) -> Answer:
        """The session ends, here and in the database."""
        sessions.end_session(visit.authority)
        return SeeOther("/login?done=signed-out", (visit.cookies.forget(visit.cookies.session),))


class Password(Page):
    """`/password`."""

    @page(restricted=True)
    def on_get(self, visit: Visit) -> Answer:
        """The form and the policy."""
        return self.show(visit)

    @act(restricted=True)
    def on_post(self, visit: Visit) -> Answer:
        """Another password; all sessions end but this browser's, which gets a new secret."""
        current, new = visit.form.raw("current"), visit.form.raw("new")
        if not current or not new:
            raise Invalid("write the current password and the new one")
        if new != visit.form.raw("again"):
            raise Invalid("the new password and its repetition differ")
        change = PasswordChange(current, new, visit.form.has("tokens"))
        try:
            session = change_own(visit.service.reader, visit.authority, visit.service.passwords, change, "cookie")
        except Forbidden as refused:
            if refused.why != "wrong-password":
                raise
            raise Invalid(refused.detail) from None
        return SeeOther("/me?done=password-changed", (visit.cookies.keep(visit.cookies.session, session.secret),))

    def show(self, visit: Visit, **_: str) -> str:
        """The form and the policy."""
        policy = visit.caller.access.policies.passwords
        return visit.render(
            "password.html",
            policy=policy,
            forced=bool(visit.caller.credential.password_change_required),
            is_directorys=visit.caller.account.source == "directory",
        )


class Theme(Page):
    """`/theme`."""

    @act(restricted=True)
    def on_post(self, visit: Visit) -> Answer:
        """Light, dark, or as the system has it."""
        theme = visit.form.text("theme")
        back = visit.site.safe_address(visit.form.text("next"), "/me")
        return SeeOther(back, (visit.cookies.keep_theme(theme if theme in THEMES else ""),))
