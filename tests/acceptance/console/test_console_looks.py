"""Every page of the console in a real browser, as everybody may look at it: themes, widths, aids, without scripts, by keyboard.

The browser itself finds errors and what the policy refused (see `conftest`). What pages look like is kept in build/screenshots.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product

import pytest
from browsing import LOOKS, SCREENSHOTS, Chromium, Faults, View, Visitors, barriers, sign_in
from console_world import PASSWORD, Console
from crawler import unvisited
from looks_world import populated
from organisation import Applied
from playwright.sync_api import Page, StorageState

ROLES = {"administrator": "root", "person": "alice"}
USUAL = View()
PROPOSED = "/proposals/new?act=add-member"
DENIED = "/access?user=bob&issuer=document-signing"
ADDRESSES = {
    "/login": "login",
    "/": "home",
    "/password": "password",
    "/me": "me",
    "/me/sessions": "sessions",
    "/me/tokens": "tokens",
    "/me/tokens/new": "token-new",
    "/users": "users",
    "/users/alice": "user",
    "/users/nobody": "user-disabled",
    "/users/alice/reset-password": "user-reset",
    "/users/alice/password": "user-password",
    "/users/alice/require-change": "user-require-change",
    "/users/alice/disable": "user-disable",
    "/users/nobody/enable": "user-enable",
    "/users/alice/unlock": "user-unlock",
    "/users/alice/tokens": "user-tokens",
    "/users/portal/tokens/new": "user-token-new",
    "/users/alice/tokens/{token}/revoke": "user-token-revoke",
    "/users/alice/sessions/{session}/end": "user-session-end",
    "/users/new": "user-new",
    "/users/bob/edit": "user-edit",
    "/users/bob/remove": "user-remove",
    "/proposals": "proposals",
    "/proposals/new": "proposal-new",
    PROPOSED: "proposal-member",
    "/proposals/{branch}": "proposal",
    "/revisions": "revisions",
    "/revisions/2": "revision",
    "/drift": "drift",
    "/audit": "audit",
    "/mail": "mail",
    "/certificates": "certificates",
    "/certificates/1": "certificate",
    "/teams": "teams",
    "/teams/platform": "team",
    "/issuers": "issuers",
    "/issuers/tls": "issuer",
    "/access": "access",
    "/access?issuer=tls": "access-allowed",
    DENIED: "access-denied",
    "/map": "map",
}
"""What is looked at, and the name of its screenshots."""
FILES = ("/audit.csv", "/audit.jsonl", "/certificates/1/pem")
"""What is downloaded, and never looked at."""


class Desk:
    """The console, those who have signed in, and the addresses that exist in it."""

    def __init__(self, browser: Chromium, console: Console) -> None:
        self._browser = browser
        self.console = console
        self.states: dict[str, StorageState] = {}
        self.known: dict[str, str] = {}

    @contextmanager
    def visit(self, role: str | None, view: View = USUAL, status: int | None = None) -> Iterator[Page]:
        """A page of somebody who has signed in, or of nobody (None). Fails at the end if the browser found faults."""
        faults = Faults(self.console.origin)
        if status is not None:
            faults.expect_status(status)
        with self._browser.turn() as launched:
            visitors = Visitors(launched, self.console.origin, view, faults)
            try:
                yield visitors.new(storage_state=self.states.get(role or ""))
            finally:
                visitors.close()
        faults.check()


@pytest.fixture(scope="module")
def desk(applied_on_sqlite: Applied, browser: Chromium, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with populated(applied_on_sqlite, tmp_path_factory.mktemp("looks")) as console:
        found = Desk(browser, console)
        for role, name in ROLES.items():
            with found.visit(None) as page:
                sign_in(page, name, PASSWORD)
                found.states[role] = page.context.storage_state()
        with found.visit("administrator") as page:
            found.known["branch"] = _propose(page)
            page.goto("/users/alice")
            for kind, act in (("token", "revoke"), ("session", "end")):
                link = page.locator(f"a[href*='/{kind}s/'][href$='/{act}']").first.get_attribute("href") or ""
                found.known[kind] = link.split("/")[-2]
        yield found


def _propose(page: Page) -> str:
    """Propose something; the branch of the proposal."""
    page.goto(PROPOSED)
    _fill(page)
    page.locator("button[value=preview]").click()
    page.locator("button[value=propose]").click()
    page.wait_for_url(re.compile("/proposals/accord/"))
    return page.url.partition("/proposals/")[2].partition("?")[0]


def _fill(page: Page) -> None:
    for name, value in {"user": "grace", "team": "web", "reason": "She takes over the shop"}.items():
        page.locator(f"main [name={name}]").fill(value)


def _look(page: Page, view: View, name: str) -> list[str]:
    """What is wrong with a page as it is seen now, of which a screenshot is kept."""
    page.set_viewport_size({"width": view.width, "height": 800})
    page.emulate_media(color_scheme=view.theme)
    page.screenshot(path=SCREENSHOTS / f"{name}-{view}.png", full_page=True, animations="disabled")
    found = [f"{name} {view}: {each}" for each in barriers(page)]
    return found + _wider(page, name, view)


def _wider(page: Page, name: str, view: View) -> list[str]:
    """Whether the page scrolls sideways, and what makes it so."""
    asked = """() => document.scrollingElement.scrollWidth <= innerWidth ? [] : [...document.querySelectorAll('body *')]
        .filter(e => e.getBoundingClientRect().right > innerWidth + 1).slice(0, 3).map(e => e.outerHTML.slice(0, 120))"""
    found = page.evaluate(asked)
    return [f"{name} {view}: the page is wider than the window: {found}"] if found else []


def test_no_page_is_left_out() -> None:
    assert unvisited([*ADDRESSES, *FILES]) == []
    assert len(set(ADDRESSES.values())) == len(ADDRESSES)


@pytest.mark.parametrize(("role", "part"), list(product(ROLES, range(4))))
def test_pages_are_sound_in_every_look(desk: Desk, role: str, part: int) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    found: list[str] = []
    with desk.visit(role) as page:
        for address, name in list(ADDRESSES.items())[part::4]:
            page.goto(address.format(**desk.known))
            found += [fault for view in LOOKS for fault in _look(page, view, f"{role}-{name}")]
    assert not found, "\n".join(found)
