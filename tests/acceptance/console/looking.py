"""Those who look at every page of the console: an administrator and a person, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from browsing import SCREENSHOTS, Chromium, Faults, View, Visitors, barriers, sign_in
from console_world import PASSWORD, Console
from looks_world import populated
from organisation import Applied
from playwright.sync_api import Page, StorageState

ROLES = {"administrator": "root", "person": "alice"}
USUAL = View()
PROPOSED = "/proposals/new?act=add-member"


class Desk:
    """The console, those who have signed in, and the addresses that exist in it."""

    def __init__(self, browser: Chromium, console: Console) -> None:
        self._browser = browser
        self.console = console
        self.states: dict[str, StorageState] = {}
        self.known: dict[str, str] = {}
        self.branches: dict[str, str] = {}
        """What each of them has proposed."""

    def address(self, role: str, pattern: str) -> str:
        """An address as it is for somebody."""
        return pattern.format(branch=self.branches[role], **self.known)

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


@contextmanager
def desk_of(applied: Applied, browser: Chromium, folder: Path) -> Iterator[Desk]:
    """The console with something on every page, and both signed in to it."""
    with populated(applied, folder) as console:
        found = Desk(browser, console)
        for role, name in ROLES.items():
            with found.visit(None) as page:
                sign_in(page, name, PASSWORD)
                found.states[role] = page.context.storage_state()
                found.branches[role] = propose(page)
        with found.visit("administrator") as page:
            page.goto("/users/alice")
            for kind, act in (("token", "revoke"), ("session", "end")):
                link = page.locator(f"a[href*='/{kind}s/'][href$='/{act}']").first.get_attribute("href") or ""
                found.known[kind] = link.split("/")[-2]
        yield found


def propose(page: Page) -> str:
    """Propose something; the branch of the proposal."""
    preview(page, PROPOSED, user="grace", team="web", reason="She takes over the shop")
    page.locator("button[value=propose]").click()
    page.wait_for_url(re.compile("/proposals/accord/"))
    return page.url.partition("/proposals/")[2].partition("?")[0]


def preview(page: Page, address: str, **fields: str) -> None:
    """Fill a form in, and look at what it would propose."""
    page.goto(address)
    for name, value in fields.items():
        field = page.locator(f"main [name={name}]")
        if field.evaluate("each => each.localName") == "select":  # a person chooses from their own teams
            field.select_option(value)
        else:
            field.fill(value)
    page.locator("button[value=preview]").click()


def look(page: Page, view: View, name: str) -> list[str]:
    """What is wrong with a page as it is seen now, of which a screenshot is kept."""
    page.set_viewport_size({"width": view.width, "height": 800})
    page.emulate_media(color_scheme=view.theme)
    page.screenshot(path=SCREENSHOTS / f"{name}-{view}.png", full_page=True, animations="disabled")
    found = [f"{name} {view}: {each}" for each in barriers(page)]
    return found + wider(page, name, view)


def wider(page: Page, name: str, view: View) -> list[str]:
    """Whether the page scrolls sideways, and what makes it so."""
    asked = """() => document.scrollingElement.scrollWidth <= innerWidth ? [] : [...document.querySelectorAll('body *')]
        .filter(e => e.getBoundingClientRect().right > innerWidth + 1).slice(0, 3).map(e => e.outerHTML.slice(0, 120))"""
    found = page.evaluate(asked)
    return [f"{name} {view}: the page is wider than the window: {found}"] if found else []
