"""The browser that tests look with: it sees a page as it is asked to, and misses no fault."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable

import pytest
from browsing import SCREENSHOTS, Chromium, Faults, View, Visitors, barriers, looks, views, ways
from console_world import Console
from playwright.sync_api import Page
from waiting import LONG

POLICY = "default-src 'none'; script-src 'self'; require-trusted-types-for 'script'; trusted-types 'none'"


def serve(page: Page, console: Console, body: str, *, head: str = "<title>A page</title>") -> None:
    """Show a page of the test's own, in place of the console's."""
    text = f"<!doctype html><html lang=en><head>{head}</head><body><main><h1>A page</h1>{body}</main></body></html>"
    headers = {"Content-Security-Policy": POLICY}
    page.route(f"{console.origin}/own", lambda route: route.fulfill(body=text, content_type="text/html", headers=headers))
    page.goto("/own")


@views
def test_a_page_is_seen_as_asked(page: Page, view: View) -> None:
    page.goto("/docs")
    assert page.title().endswith("the API")
    queries = {
        f"(prefers-color-scheme: {view.theme})": True,
        f"(width: {view.width}px)": True,
        "(forced-colors: active)": view.forced_colors,
        "(prefers-reduced-motion: reduce)": view.reduced_motion,
    }
    assert {query: page.evaluate("query => matchMedia(query).matches", query) for query in queries} == queries


@looks
def test_a_screenshot_is_kept(page: Page, view: View, screenshot: Callable[[Page, str], None]) -> None:
    page.goto("/docs")
    screenshot(page, "docs")
    assert (SCREENSHOTS / f"docs-{view.theme}-{view.width}.png").read_bytes().startswith(b"\x89PNG")


@views
def test_the_page_about_the_api_has_no_barrier(page: Page, axe: Callable[..., None]) -> None:
    page.goto("/docs")
    axe(page)


@ways
def test_barriers_are_found_under_a_strict_policy_with_scripts_and_without(page: Page, console: Console, view: View) -> None:
    page.route("**/own.js", lambda route: route.fulfill(body="document.title = 'ran'", content_type="text/javascript"))
    serve(page, console, "<input name=name><script src=/own.js></script>")
    assert [each.partition(" ")[0] for each in barriers(page, javascript=view.javascript)] == ["label"]
    assert page.title() == ("ran" if view.javascript else "A page")


def test_no_trace_of_axe_is_left(page: Page, console: Console) -> None:
    serve(page, console, "")
    assert barriers(page) == []
    assert page.evaluate("typeof axe") == "undefined"


def insist_on_fault(visitors: Visitors, console: Console, fault: str, body: str, script: str = "") -> None:
    """Wait until a fault is found on a page that is wrong on purpose. The test is not failed for it."""
    visitors.faults = Faults(console.origin)
    page = visitors.new()
    page.route("**/own.js", lambda route: route.fulfill(body=script, content_type="text/javascript"))
    serve(page, console, f"{body}<script src=/own.js></script>")
    ends = time.monotonic() + LONG
    while not re.search(fault, told := told_by(visitors.faults)):
        assert time.monotonic() < ends, told
        page.wait_for_timeout(20)  # the browser's events arrive meanwhile


def told_by(faults: Faults) -> str:
    """What was found so far."""
    try:
        faults.check()
    except pytest.fail.Exception as failed:
        return str(failed)
    return ""


@ways
@pytest.mark.parametrize(
    "body", ["<p style='color: red'>x</p>", "<style>p { color: red }</style>", "<img src=/favicon.ico alt=x>"]
)
def test_what_the_policy_refuses_is_a_fault(visitors: Visitors, console: Console, body: str) -> None:
    insist_on_fault(visitors, console, "/own was violated", body)


def test_an_inline_script_is_a_fault(visitors: Visitors, console: Console) -> None:
    insist_on_fault(visitors, console, "/own was violated", "<script>1</script>")


@pytest.mark.parametrize(
    ("script", "fault"),
    [
        ("console.error('a complaint')", "an error on the console of .*: a complaint"),
        ("throw new Error('a failure')", "an error in a script of .*: a failure"),
        ("Promise.reject(new Error('a promise'))", "an error in a script of .*: a promise"),
        ("document.body.innerHTML = '<b>x</b>'", "was violated: .*kTrustedTypesSinkViolation"),
        ("eval('1')", "was violated"),
        ("location = '/nothing-here'", "GET .*/nothing-here was answered with 404"),
        ("location = 'http://127.0.0.1:1/'", "a request to another site: http://127.0.0.1:1/"),
    ],
)
def test_what_a_script_does_wrong_is_a_fault(visitors: Visitors, console: Console, script: str, fault: str) -> None:
    insist_on_fault(visitors, console, fault, "", script)


def test_a_failure_that_is_expected_is_none_and_must_be_seen(page: Page, faults: Faults, console: Console) -> None:
    faults.expect_status(404)
    with pytest.raises(pytest.fail.Exception, match="no answer with 404, which the test expects"):
        faults.check()
    page.goto("/nothing-here")


def test_others_can_run_an_event_loop_between_tests_of_a_browser(browser: Chromium) -> None:
    async def answer() -> int:
        return 42

    assert asyncio.run(answer()) == 42
    with browser.turn() as launched:
        assert launched.is_connected()
    assert asyncio.run(answer()) == 42


def test_visitors_have_cookies_of_their_own(visitors: Visitors, console: Console) -> None:
    one, other = visitors.new(), visitors.new()
    one.context.add_cookies([{"name": "own", "value": "1", "url": console.origin}])
    assert (len(one.context.cookies()), other.context.cookies()) == (1, [])
