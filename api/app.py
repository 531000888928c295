"""The WSGI application: routes, what is done to every request, and errors as problem details."""

from __future__ import annotations

import itertools
import logging
import os
import re
import time
from contextlib import suppress
from functools import cache, partial
from typing import Any

import falcon

from api.authentication.authority import Terms
from api.authentication.logins import text_of
from api.authentication.places import site_of
from api.console.pages import Page, Site, answer_problem
from api.console.routes import ROUTES as PAGES
from api.console.routes import is_page
from api.console.static import ROUTES as FILES
from api.errors import Forbidden, NotFound, Problem, Unavailable, problem_details
from api.http import certdog
from api.http.admission import VERDICTS, Admission, is_for_proxies
from api.http.checking import JSON, PROBLEM
from api.http.headers import ACCEPT, X_REQUEST_ID, refuse_ambiguous
from api.http.openapi import document
from api.http.operations import ACTOR, Resource
from api.resources.base import admission_of
from api.resources.documentation import Described
from api.routes import ROUTES
from api.service import Service
from reconciler.store.errors import OutcomeUnknown, StoreError

_log = logging.getLogger("accord.api")
ASKED = "accord.asked"
"""Where the environment of a request keeps its path as the client spelled it."""
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def create_app(service: Service, admission: Admission | None = None) -> falcon.App[falcon.Request, falcon.Response]:
    """The application over a service that has been started; with the server's `admission`, if that asks who is let in as well."""
    admission = admission or admission_of(service)
    app = falcon.App(middleware=[RequestMiddleware(service, admission)])
    app.req_options.strip_url_path_trailing_slash = False
    app.req_options.keep_blank_qs_values = True
    site = Site(service, admission, is_page) if service.settings.console else None
    app.add_error_handler(Problem, partial(_answer_problem, site))
    app.add_error_handler(StoreError, partial(_answer_unavailable, site))
    app.add_error_handler(falcon.HTTPError, partial(_answer_http_error, site))
    app.add_error_handler(Exception, partial(_answer_failure, site))
    described = cache(lambda: document(ROUTES))
    for path, resource in ROUTES:
        more = (described,) if issubclass(resource, Described) else ()
        app.add_route(path, resource(service, admission, *more))
    if site is not None:
        for path, page in PAGES:
            app.add_route(path, page(site))
        for path, file in FILES:
            app.add_route(path, file(admission))
    app.add_sink(partial(_answer_unserved, admission), prefix=rf"{certdog.BASE}(?:/|$)")
    return app


_KNOWN = Terms("account", restricted=True, narrowed=True)
"""What is asked of whoever wants to know that something does not exist."""


def _answer_unserved(admission: Admission, request: falcon.Request, response: falcon.Response, **_: str) -> None:
    """Answer what existing clients ask and Accord does not have; first of all, their credential is judged."""
    request.env[ACTOR] = admission.admit(request.env, _KNOWN).principal.name
    raise NotFound(f"Accord does not have this; what it has instead is in its documentation: `{certdog.GUIDE}`")


class RequestMiddleware:
    """Gives every request an ID and headers, refuses what no client sends, counts and logs."""

    def __init__(self, service: Service, admission: Admission) -> None:
        self._admission = admission
        self._metrics = service.metrics
        self._log = service.refusal_log
        self._refusals = service.refusals
        self._latencies: dict[tuple[Any, ...], Any] = {}
        self._ids = map("{}-{:x}".format, itertools.repeat(os.urandom(6).hex()), itertools.count())

    def process_request(self, request: falcon.Request, response: falcon.Response) -> None:
        """Refuse a request that two readers could read differently. Raises Problem."""
        environment = request.env
        environment["accord.began"] = time.perf_counter()
        given = environment.get(X_REQUEST_ID)
        request_id = given if given is not None and _REQUEST_ID.fullmatch(given) else next(self._ids)
        environment["accord.request_id"] = request_id
        environment[ASKED], request.path = request.path, certdog.canonical(request.path)
        response.set_header("X-Request-Id", request_id)
        response.set_header("X-Content-Type-Options", "nosniff")
        response.set_header("Cache-Control", "no-store")
        refuse_ambiguous(environment)
        if "\0" in request.path or "%00" in request.query_string:
            raise Problem("the address contains a NUL character")

    def process_resource(self, request: falcon.Request, response: falcon.Response, resource: Resource, params: object) -> None:
        """Refuse a method that is not declared, OPTIONS among them. Falcon would answer it with 200 to anybody, and a proxy that
        passes on a request's own method would take that for a yes. Raises HTTPMethodNotAllowed."""
        request.context.resource = resource
        if request.method not in resource.methods:
            if certdog.is_below(request.path):
                self._admission.admit(request.env, _KNOWN)
            raise falcon.HTTPMethodNotAllowed(resource.supported)

    def process_response(self, request: falcon.Request, response: falcon.Response, resource: object, succeeded: bool) -> None:
        """Count."""
        key = request.method, request.uri_template, response.status
        latency = self._latencies.get(key)
        if latency is None:
            known = key[1] and key[0] in falcon.HTTP_METHODS  # made-up names must not grow anything
            latency = self._metrics.latency.labels(f"{key[0]} {key[1]}" if known else "none", str(key[2])[:3])
            if known:
                self._latencies[key] = latency
        took = time.perf_counter() - request.env["accord.began"]
        latency.observe(took)
        if "accord.problem" in request.env:
            self._metrics.refusals.labels(request.env["accord.problem"]).inc()
            if "accord.refused" in request.env:
                self._record_refusal(request, request.env["accord.refused"])
        if _log.isEnabledFor(logging.DEBUG):
            more = {"requestId": request.env["accord.request_id"], "milliseconds": round(took * 1000, 2)}
            _log.debug("%s %s %s", *key, extra=more)

    def _record_refusal(self, request: falcon.Request, problem: Problem) -> None:
        """Log a call that its caller may not make; if an account made it, count it for the audit log (ASVS 16.3.2)."""
        address, actor = None, problem.actor or request.env.get(ACTOR, "")
        with suppress(Problem):  # headers that contradict each other, which may be why it is refused
            address = self._admission.address_of(request.env)
        facts = {
            "status": problem.status,
            "actor": actor or "-",
            "address": text_of(address),
            "operation": f"{request.method} {request.uri_template or 'no operation'}",
            "reason": problem.why,
            "requestId": request.env["accord.request_id"],
        }
        self._log.refuse(site_of(address), facts)
        if actor and problem.status == 403 and not is_for_proxies(request.path):  # these ask for decisions, which may be no
            self._refusals.count_call(problem, actor, text_of(address))


def _wants_page(request: falcon.Request) -> bool:
    """Whether a page answers what went wrong: at the console's addresses, and where a browser is that went astray."""
    if isinstance(request.context.get("resource"), Page):
        return True
    return request.uri_template is None and "text/html" in request.env.get(ACCEPT, "") and not _FOR_PROGRAMS.match(request.path)


_FOR_PROGRAMS = re.compile(r"/(api|certdog|static)(/|$)")


def _answer(site: Site | None, request: falcon.Request, response: falcon.Response, problem: Problem) -> None:
    """Answer with problem details, or with a page."""
    status, name, title, detail, more = problem.status, problem.name, problem.title, problem.detail, problem.more
    request.env["accord.problem"] = name
    request_id = request.env.get("accord.request_id", "")
    if site is not None and _wants_page(request):
        answer_problem(site, request, response, problem, request_id)
        return
    response.status = falcon.code_to_http_status(status)
    if certdog.is_below(request.path):
        response.content_type = JSON
        response.data = certdog.error_body(status, detail, request.env[ASKED])
        return
    response.content_type = PROBLEM
    response.data = problem_details(status, name, title, detail, {"requestId": request_id, **more})


def _answer_problem(site: Site | None, request: falcon.Request, response: falcon.Response, problem: Problem, _: Any) -> None:
    if is_for_proxies(request.path) and problem.status < 500 and problem.status not in VERDICTS:
        problem = Forbidden(problem.detail, reason="not-understood")
    if problem.status in (401, 403):
        request.env["accord.refused"] = problem
    response.set_headers(problem.headers)
    _answer(site, request, response, problem)


def _answer_unavailable(site: Site | None, request: falcon.Request, response: falcon.Response, error: StoreError, _: Any) -> None:
    # only the operator may know which database, and why
    _log.error("%s", error, extra={"requestId": request.env.get("accord.request_id")})
    _answer_problem(site, request, response, Unavailable(_UNKNOWN if isinstance(error, OutcomeUnknown) else _UNCHANGED), None)


_UNCHANGED = "the database cannot be used now; nothing was decided or changed"
_UNKNOWN = "the database did not confirm a change, which may stand or be lost; look, and try again"


def _answer_http_error(
    site: Site | None, request: falcon.Request, response: falcon.Response, error: falcon.HTTPError, _: Any
) -> None:
    name, detail = _PLAIN.get(error.status_code, ("bad-request", error.description or error.title or ""))
    if is_for_proxies(request.path):
        _answer_problem(site, request, response, Problem(detail), None)
        return
    if error.headers:
        response.set_headers(error.headers)
    _answer(site, request, response, _as_problem(error.status_code, name, error.title or "", detail))


_PLAIN = {
    404: ("not-found", "there is nothing at this address"),
    405: ("method-not-allowed", "this address does not support the method"),
}


def _as_problem(status: int, name: str, title: str, detail: str) -> Problem:
    problem = Problem(detail)
    problem.status, problem.name, problem.title = status, name, title
    return problem


def _answer_failure(site: Site | None, request: falcon.Request, response: falcon.Response, error: Exception, _: Any) -> None:
    _log.error("internal error", exc_info=error, extra={"requestId": request.env.get("accord.request_id")})
    failure = _as_problem(500, "failure", "Accord failed", "internal error; search the log for this request ID")
    _answer(site, request, response, failure)
