"""A real browser, and what it must not find on any page: errors, refused content, failed or foreign requests, barriers."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, CDPSession, Page, Response, expect, sync_playwright
from playwright.sync_api import Error as BrowserError
from waiting import LONG, until

AXE = Path(sys.prefix) / "browser" / "node_modules" / "axe-core" / "axe.min.js"
"""Where `make` installs what `tests/browser/package-lock.json` pins."""
expect.set_options(timeout=LONG * 1000)
SCREENSHOTS = Path(__file__).parents[3] / "build" / "screenshots"
_ARGUMENTS = [
    "--no-sandbox",  # tests may run as root
    "--disable-gpu",
    "--disable-dev-shm-usage",  # it is small in containers
    "--disable-background-networking",
    "--disable-component-update",
]


class View(NamedTuple):
    """How somebody looks at a page."""

    theme: Literal["light", "dark"] = "light"
    width: int = 1280
    javascript: bool = True
    forced_colors: bool = False
    reduced_motion: bool = False

    def __str__(self) -> str:
        """As in names of tests and screenshots."""
        more = {"plain": not self.javascript, "forced": self.forced_colors, "still": self.reduced_motion}
        return "-".join([self.theme, str(self.width), *(name for name, is_so in more.items() if is_so)])


LOOKS = [View("light", 1280), View("dark", 1280), View("light", 360), View("dark", 360)]
"""What screenshots are made of."""
WAYS = [View(), View(javascript=False)]
"""With JavaScript and without."""
AIDS = [View(forced_colors=True), View("dark", 360, forced_colors=True), View(reduced_motion=True)]
"""What people set who see or bear less."""
looks = pytest.mark.parametrize("view", LOOKS, ids=str)
ways = pytest.mark.parametrize("view", WAYS, ids=str)
views = pytest.mark.parametrize("view", [*LOOKS, *WAYS[1:], *AIDS], ids=str)


def find_browser() -> str:
    """The path of Chromium. Skips the test if it is not installed, and fails it under CI=true."""
    found = shutil.which("chromium")
    if found is None:
        _leave_out("Chromium is not installed (Debian: apt-get install chromium): nothing is tested in a browser")
    assert found is not None
    return found


@cache
def axe_source() -> str:
    """The text of axe-core. Skips or fails the test like `find_browser`."""
    if not AXE.exists():
        _leave_out("`make browser` has not installed tests/browser (it needs npm): axe looks at no page")
    return AXE.read_text()


def _leave_out(reason: str) -> None:
    pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)


class Chromium:
    """One browser for all tests of a process. Launching it takes half a second; a context, milliseconds.

    Playwright leaves its event loop marked as running, so that nobody else in this thread could run one. It is so only in a turn.
    """

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        self._loop = asyncio.get_running_loop()
        asyncio._set_running_loop(None)

    @contextmanager
    def turn(self) -> Iterator[Browser]:
        """While a test uses the browser."""
        asyncio._set_running_loop(self._loop)
        try:
            yield self.browser
        finally:
            asyncio._set_running_loop(None)


@contextmanager
def chromium() -> Iterator[Chromium]:
    """Debian's Chromium: no browser is downloaded."""
    path = find_browser()
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=_ARGUMENTS, timeout=LONG * 1000)
        found = Chromium(launched)
        try:
            yield found
        finally:
            asyncio._set_running_loop(found._loop)
            launched.close()


class Faults:
    """What a test's pages did wrong."""

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._found: list[str] = []
        self._expected: dict[int, bool] = {}
        """Statuses of failures that the test wants to see, and whether it saw them."""

    def expect_status(self, *statuses: int) -> None:
        """From now on, answers may have these statuses, and each must be seen. Anything else from 400 on is a fault."""
        self._expected |= dict.fromkeys(statuses, False)

    def watch(self, page: Page) -> None:
        """Note what happens on a page. The browser itself tells what its policy refused, so without JavaScript as well."""
        page.on("console", lambda said: self._hear(said.type, said.text, page.url))
        page.on("pageerror", lambda error: self._found.append(f"an error in a script of {page.url}: {error}"))
        page.on("crash", lambda _: self._found.append(f"{page.url} crashed"))
        page.on("request", lambda request: self._see_request(request.url))
        page.on("requestfailed", lambda request: self._see_failure(request.url, request.failure))
        page.on("response", self._see_response)
        session = page.context.new_cdp_session(page)
        session.on("Audits.issueAdded", lambda told: self._see_issue(told["issue"], page))
        session.send("Audits.enable")

    def _hear(self, kind: str, text: str, url: str) -> None:
        if kind == "error" and not text.startswith("Failed to load resource: the server responded with a status of"):
            self._found.append(f"an error on the console of {url}: {text}")

    def _see_request(self, url: str) -> None:
        if urlsplit(url).scheme not in ("about", "data", "blob") and not url.startswith(f"{self._origin}/"):
            self._found.append(f"a request to another site: {url}")

    def _see_failure(self, url: str, reason: str | None) -> None:
        if reason != "net::ERR_ABORTED":  # the page itself gave it up, or went elsewhere
            self._found.append(f"a request for {url} failed: {reason}")

    def _see_response(self, response: Response) -> None:
        if response.status in self._expected:
            self._expected[response.status] = True
        elif response.status >= 400:
            self._found.append(f"{response.request.method} {response.url} was answered with {response.status}")

    def _see_issue(self, issue: dict[str, Any], page: Page) -> None:
        if issue["code"] == "ContentSecurityPolicyIssue":
            told = issue["details"]["contentSecurityPolicyIssueDetails"]
            self._found.append(f"the policy of {page.url} was violated: {json.dumps(told)}")

    def check(self) -> None:
        """Fail if anything was wrong, or if an expected status never came."""
        unseen = [f"no answer with {status}, which the test expects" for status, seen in self._expected.items() if not seen]
        found = list(dict.fromkeys([*self._found, *unseen]))
        if found:
            pytest.fail("the browser found faults:\n" + "\n".join(f"- {each}" for each in found), pytrace=False)


class Visitors:
    """Browsers' profiles of one test: each has its own cookies. All look at the console in the same way."""

    def __init__(self, browser: Browser, origin: str, view: View, faults: Faults) -> None:
        self._browser = browser
        self._origin = origin
        self._view = view
        self.faults = faults
        self._contexts: list[BrowserContext] = []

    def new(self, **options: Any) -> Page:
        """A page of a new profile; with further options of a Playwright context."""
        view = self._view
        context = self._browser.new_context(
            base_url=self._origin,
            viewport={"width": view.width, "height": 800},
            color_scheme=view.theme,
            java_script_enabled=view.javascript,
            forced_colors="active" if view.forced_colors else "none",
            reduced_motion="reduce" if view.reduced_motion else "no-preference",
            locale="en-GB",
            timezone_id="UTC",
            service_workers="block",
            **options,
        )
        self._contexts.append(context)
        context.set_default_timeout(LONG * 1000)
        context.on("page", self.faults.watch)
        return context.new_page()

    def close(self) -> None:
        """Forget all of them."""
        for context in self._contexts:
            with suppress(BrowserError):
                context.close()


def sign_in(page: Page, name: str, password: str) -> None:
    """Sign in by the form, as a person does. The page that follows is whatever the console shows next."""
    page.goto("/login")
    page.locator("[name=name]").fill(name)
    page.locator("[name=password]").fill(password)
    with page.expect_navigation():
        page.locator("[name=password]").press("Enter")


def barriers(page: Page, *, javascript: bool = True, without: tuple[str, ...] = ()) -> list[str]:
    """What axe finds on a page as it is now, in sentences. `without`: rules that cannot be judged there.

    It runs in a world of its own: the page's policy stays in force, and its scripts see nothing of it. Where the page has no
    JavaScript, axe alone gets it, and no script that the page names is run after all.
    """
    session = page.context.new_cdp_session(page)
    try:
        session.send("Emulation.setScriptExecutionDisabled", {"value": False})
        world = _isolated_world(session)
        rules = json.dumps({rule: {"enabled": False} for rule in without})
        # a page without JavaScript has no timers, with which axe's preload would limit itself, and which axe ends with
        _evaluate(session, world, "globalThis.setTimeout = run => { Promise.resolve().then(run) }; 0")
        _evaluate(session, world, f"{axe_source()};0")
        options = f"{{resultTypes: ['violations'], preload: false, rules: {rules}}}"
        _evaluate(
            session, world, f"axe.run(document, {options}).then(all => {{ globalThis.whatAxeFinds = JSON.stringify(all) }}); 0"
        )
        told = until(lambda: _evaluate(session, world, "globalThis.whatAxeFinds"), "what axe finds")
    finally:
        session.send("Emulation.setScriptExecutionDisabled", {"value": not javascript})
        session.detach()
    return [_sentence(violation, node) for violation in json.loads(told)["violations"] for node in violation["nodes"]]


def _sentence(violation: dict[str, Any], node: dict[str, Any]) -> str:
    why = "; ".join(line.strip() for line in node["failureSummary"].splitlines()[1:])
    return f"{violation['id']} ({violation['impact']}): {violation['help']}: {node['target'][0]}: {why}: {node['html'][:200]}"


def _isolated_world(session: CDPSession) -> int:
    frame = session.send("Page.getFrameTree")["frameTree"]["frame"]["id"]
    context: int = session.send("Page.createIsolatedWorld", {"frameId": frame, "worldName": "axe"})["executionContextId"]
    return context


def _evaluate(session: CDPSession, world: int, expression: str) -> Any:
    asked = {"expression": expression, "contextId": world, "returnByValue": True}
    told = session.send("Runtime.evaluate", asked)
    assert "exceptionDetails" not in told, told["exceptionDetails"]
    return told["result"].get("value")
