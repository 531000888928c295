"""What every page of the console goes through: who visits, what the form brings, what is answered.

A page declares who may see it, and each act who may do it. The same declaration admits the visitor. An act that succeeds answers
303, so that no reload repeats it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote

import falcon

from api.authentication.authority import Access, CallersAuthority, Terms
from api.authentication.principal import Principal
from api.console import forgery
from api.console.cookies import Cookies, origin_of, read_cookie, read_theme
from api.console.done import DONE
from api.console.forms import NOTHING, read_fields, read_form
from api.console.menu import Entry, Group, current, menu_of
from api.console.proposing import Proposing
from api.console.rendering import Renderer
from api.errors import Forbidden, NotFound, Problem, Unauthenticated
from api.http.admission import Admission
from api.http.checking import receive
from api.http.operations import ACTOR, Operation
from api.http.operations import Resource as Answering
from api.service import Service
from reconciler.access.state import access_of
from reconciler.store.errors import StoreError

MAX_FORM = 64 * 1024
"""Bytes."""
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'",
    "X-Frame-Options": "DENY",  # for browsers that do not know `frame-ancestors`
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
"""What keeps a browser from running, framing, keeping or telling anything on behalf of others."""


class SeeOther(NamedTuple):
    """Where the browser goes after an act (RFC 9110, section 15.4.4)."""

    address: str
    cookies: tuple[str, ...] = ()


class Download(NamedTuple):
    """A file in place of a page."""

    content: Any
    """Bytes, or an iterator of them."""
    media: str
    name: str


class WithStatus(NamedTuple):
    """A page that says with its status, too, that something was not done."""

    text: str
    status: int


class Visit:
    """One request of the console."""

    def __init__(self, site: Site, request: falcon.Request) -> None:
        self.site = site
        self.request = request
        self.origin = origin_of(site.service.settings.mail.public_url, request.env)
        self.cookies = Cookies(secure=self.origin is not None and self.origin.startswith("https:"))
        self.secret = read_cookie(request.env, self.cookies.session) if self.origin else None
        self.theme = read_theme(request.env)
        self.query = NOTHING
        self.form = NOTHING
        self.now = datetime.now(UTC)
        self.admitted: CallersAuthority | None = None
        self.problem: Problem | None = None
        """What is wrong with the form that is shown again."""
        self.sent_cookies: tuple[str, ...] = ()

    @property
    def service(self) -> Service:
        """The parts that requests share."""
        return self.site.service

    @property
    def authority(self) -> CallersAuthority:
        """The visitor's right to act, on a page that is not open to anybody."""
        assert self.admitted is not None
        return self.admitted

    @property
    def caller(self) -> Principal:
        """The visitor, on a page that is not open to anybody."""
        return self.authority.principal

    @functools.cached_property
    def own_teams(self) -> tuple[str, ...]:
        """The teams that the visitor is in now."""
        return tuple(team.name for team in self.caller.teams)

    @functools.cached_property
    def own_issuers(self) -> tuple[str, ...]:
        """The issuers that the visitor may use now."""
        return tuple(access_of(self.caller.access.state, self.caller.name, self.now))

    def sees_team(self, name: str) -> bool:
        """Whether the visitor may see the page of a team."""
        return self.caller.is_administrator or name in self.own_teams

    def sees_issuer(self, name: str) -> bool:
        """Whether the visitor may see the page of an issuer."""
        return self.caller.is_administrator or name in self.own_issuers

    @property
    def is_fresh(self) -> bool:
        """Whether the visitor's password was given within the last minutes."""
        return self.caller.credential.began > self.caller.now - self.caller.access.policies.session_fresh

    @property
    def here(self) -> str:
        """The address of this page."""
        path, query = quote(self.request.path, safe="/@"), self.request.query_string
        return f"{path}?{query}" if query else path

    def render(self, template: str, **values: Any) -> str:
        """A page. Every template knows the visit."""
        return self.site.renderer.render(template, visit=self, done=DONE.get(self.query.text("done")), **values)

    @property
    def can_propose(self) -> bool:
        """Whether changes can be proposed here: an operator said where the config repository is."""
        return self.site.proposing.is_configured

    @property
    def menu(self) -> tuple[Group, ...]:
        """What the visitor can go to."""
        return menu_of(administrator=self.caller.is_administrator)

    @property
    def current(self) -> Entry | None:
        """The entry of the menu that this page belongs to."""
        return current(self.menu, self.request.path)

    @property
    def csrf(self) -> str:
        """The token of this visitor's forms."""
        return forgery.token_for(self.secret or "")


class Site:
    """The console over a service."""

    def __init__(self, service: Service, admission: Admission, is_page: Callable[[str], bool]) -> None:
        self.service = service
        self.admission = admission
        self.renderer = Renderer()
        self.proposing = Proposing(service.settings.database_url, service.settings.repository)
        self._is_page = is_page

    def safe_address(self, text: str, otherwise: str = "/") -> str:
        """An address of the console that somebody wants to go to; another one, or one of another site, is not followed."""
        path = text.partition("?")[0].partition("#")[0]
        plain = text.isascii() and text.isprintable() and text.startswith("/") and not text.startswith("//") and "\\" not in text
        return text if plain and self._is_page(path) else otherwise

    def page_above(self, address: str) -> str:
        """The nearest page above an address of the console."""
        path = address.partition("?")[0]
        while path.count("/") > 1:
            path = path.rpartition("/")[0]
            if self._is_page(path):
                return path
        return "/"

    def confirming(self, address: str) -> str:
        """Where a visitor gives the password again and comes from there to a page, or to the nearest one above."""
        wanted = self.safe_address(address, self.page_above(address))
        return f"/login?again=1&next={quote(wanted, safe='/')}"

    def visit(self, request: falcon.Request, terms: Terms) -> Visit:
        """The visit that a request is, judged by who comes. Raises Problem or StoreError."""
        visit = Visit(self, request)
        visit.query = read_fields(request.query_string)
        if terms.access != "anybody":
            if visit.secret is None:
                raise Unauthenticated("sign in first")
            visit.admitted = self.admission.admit_cookie(request.env, terms, visit.secret)
            visit.now = visit.caller.now
            request.env[ACTOR] = visit.caller.name
        return visit


Answer = str | SeeOther | Download | WithStatus
Found = TypeVar("Found")


class Page(Answering):
    """A page, and what is done on it."""

    back = "/"
    """Where a refused act leads back to; it may name the values of the path."""

    def __init__(self, site: Site) -> None:
        super().__init__(site.admission)
        self.site = site

    def show(self, visit: Visit, **path: str) -> Answer:
        """The page; also with the problem of the form that was sent."""
        raise NotImplementedError


def page(access: Access = "account", *, restricted: bool = False) -> Callable[[Callable[..., Answer]], Callable[..., None]]:
    """Declare what shows a page, for these visitors. `restricted`: also for those who must change their password first."""
    terms = Terms(access, restricted)

    def decorate(shown: Callable[..., Answer]) -> Callable[..., None]:
        @functools.wraps(shown)
        def respond(self: Page, request: falcon.Request, response: falcon.Response, **path: str) -> None:
            visit = self.site.visit(request, terms)
            _answer(response, shown(self, visit, **path), visit)

        respond.operation = _declared(terms)  # type: ignore[attr-defined]
        return respond

    return decorate


def act(
    access: Access = "account", *, restricted: bool = False, fresh: bool = False
) -> Callable[[Callable[..., Answer]], Callable[..., None]]:
    """Declare an act, for these visitors. `fresh`: their password must have been given within the last minutes.

    If it is refused, and the page can be shown, the page says why and keeps what was typed.
    """
    terms = Terms(access, restricted, fresh=fresh)

    def decorate(done: Callable[..., Answer]) -> Callable[..., None]:
        @functools.wraps(done)
        def respond(self: Page, request: falcon.Request, response: falcon.Response, **path: str) -> None:
            visit, raw = Visit(self.site, request), b""
            if visit.origin is None:
                raise Forbidden(NO_TLS).of("", "no-tls")
            forgery.refuse_foreign(request.env, visit.origin)
            with self.admission.receiving(request.env, terms, visit.secret):
                raw = receive(request, MAX_FORM)
            form = read_form(raw, request.env)
            if access != "anybody" and form.can_be_sent_again:  # a page of an error has the token of a session alone
                request.context.again = form
            visit = self.site.visit(request, terms)
            visit.form = form
            name = visit.cookies.visit if access == "anybody" else visit.cookies.session
            forgery.refuse_unbound(read_cookie(request.env, name), visit.form.raw(forgery.FIELD))
            try:
                answer = done(self, visit, **path)
            except Problem as problem:
                if type(self).show is Page.show or problem.status in (401, 403, 404) or problem.status >= 500:
                    raise
                visit.problem = problem
                request.env["accord.problem"] = problem.name  # it is counted, and logged if it is a refusal
                answer = self.show(visit, **path)
                response.status = falcon.code_to_http_status(problem.status)
                response.set_headers(problem.headers)
            _answer(response, answer, visit)

        respond.operation = _declared(terms)  # type: ignore[attr-defined]
        return respond

    return decorate


NO_TLS = (
    "Accord's pages need https, so that nobody on the way reads a password: set ACCORD_PUBLIC_URL to the https address under "
    "which this server is reached, or open it on the machine itself as http://127.0.0.1"
)


PASSING = (408, 429, 500, 503)
"""Statuses of what may succeed when it is sent again."""


def _declared(terms: Terms) -> Operation:
    return Operation("", terms, "Console", None, True, 200, None, None, (), {}, {}, MAX_FORM, "text/html", False)


def _answer(response: falcon.Response, answer: Answer, visit: Visit) -> None:
    response.set_headers(HEADERS)
    for cookie in visit.sent_cookies:
        response.append_header("Set-Cookie", cookie)
    if isinstance(answer, SeeOther):
        response.status, response.location = falcon.HTTP_303, answer.address
        for cookie in answer.cookies:
            response.append_header("Set-Cookie", cookie)
    elif isinstance(answer, Download):
        response.content_type = answer.media
        response.set_header("Content-Disposition", f'attachment; filename="{answer.name}"')
        if isinstance(answer.content, bytes):
            response.data = answer.content
        else:
            response.stream = answer.content
    else:
        text, status = answer if isinstance(answer, WithStatus) else (answer, None)
        response.content_type, response.text = "text/html; charset=utf-8", text
        if status is not None:
            response.status = falcon.code_to_http_status(status)


def answer_problem(site: Site, request: falcon.Request, response: falcon.Response, problem: Problem, request_id: str) -> None:
    """Answer a page or an act that failed: the next step for who is not signed in, else a page that says what to do."""
    visit = Visit(site, request)
    reason = str(problem.more.get("reason", ""))
    posted = request.method == "POST"
    if problem.status == 401 and visit.origin is not None:
        where = "/" if posted else site.safe_address(visit.here)
        dead = visit.cookies.forget(visit.cookies.session) if visit.secret else None
        more = "&done=signed-out-elsewhere" if dead else ""
        _answer(response, SeeOther(f"/login?next={falcon.uri.encode_value(where)}{more}", (dead,) if dead else ()), visit)
        return
    if reason == "password-change":
        _answer(response, SeeOther("/password"), visit)
        return
    if reason in ("login-too-old", "session-needed"):
        _answer(response, SeeOther(site.confirming(visit.here)), visit)
        return
    with suppress(Problem, StoreError):
        visit = site.visit(request, Terms("account", restricted=True))
    again = getattr(request.context, "again", None) if visit.admitted and problem.status in PASSING else None
    above = site.page_above(visit.here)
    response.set_headers(HEADERS)
    response.status = falcon.code_to_http_status(problem.status)
    response.content_type = "text/html; charset=utf-8"
    response.text = visit.render(
        "problem.html",
        failure=problem,
        request_id=request_id,
        again=again,
        form_page=site.safe_address(visit.here, above) if posted and problem.status in PASSING else None,
        back=above,
    )


def found(value: Found | None, what: str) -> Found:
    """What was looked for. Raises NotFound if there is none."""
    if value is None:
        raise NotFound(f"there is no {what}, or you may not see it")
    return value
