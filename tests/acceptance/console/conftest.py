"""The console, and a browser that looks at it.

A test that takes `page` fails if the browser finds any fault on it (see `browsing.Faults`). It is run with JavaScript, in the
light theme, 1280 pixels wide, unless it says otherwise: `@looks`, `@ways`, `@views`, or its own parameters for `view`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator

import pytest
from browsing import SCREENSHOTS, Chromium, Faults, View, Visitors, barriers, chromium
from console_world import Console, console_of
from organisation import Applied
from playwright.sync_api import Page


@pytest.fixture(scope="module")
def console(applied_on_sqlite: Applied, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """A server over a small organisation, shared by all tests of a module."""
    with console_of(applied_on_sqlite, tmp_path_factory.mktemp("console")) as found:
        yield found


@pytest.fixture(scope="session")
def browser() -> Iterator[Chromium]:
    """One for all tests of a process."""
    with chromium() as found:
        yield found


@pytest.fixture
def view() -> View:
    """How the test looks at pages, unless it is parametrised."""
    return View()


@pytest.fixture
def faults(console: Console) -> Faults:
    """What the browser finds wrong."""
    return Faults(console.origin)


@pytest.fixture
def visitors(browser: Chromium, console: Console, view: View, faults: Faults) -> Iterator[Visitors]:
    """Whoever else visits the console: `visitors.new()` is a page with cookies of its own."""
    with browser.turn() as launched:
        found = Visitors(launched, console.origin, view, faults)
        try:
            yield found
        finally:
            found.close()


@pytest.fixture
def page(visitors: Visitors) -> Page:
    """A page of a new visitor."""
    return visitors.new()


@pytest.fixture
def axe(view: View) -> Callable[..., None]:
    """`axe(page)` fails if axe finds a barrier. `without`: rules that cannot be judged there."""

    def look(page: Page, *, without: tuple[str, ...] = ()) -> None:
        chosen = ("color-contrast",) if view.forced_colors else ()  # the colours are then the user's own
        found = barriers(page, javascript=view.javascript, without=(*without, *chosen))
        if found:
            pytest.fail(f"axe finds barriers on {page.url}, {view}:\n" + "\n".join(f"- {each}" for each in found), pytrace=False)

    return look


@pytest.fixture
def screenshot(view: View) -> Callable[[Page, str], None]:
    """`screenshot(page, name)` keeps what is seen as `build/screenshots/NAME-THEME-WIDTH.png`."""

    def keep(page: Page, name: str) -> None:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SCREENSHOTS / f"{name}-{view}.png", full_page=True, animations="disabled")

    return keep


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Judge the pages as part of the test. If it fails by itself, that says more."""
    yield
    found = getattr(item, "funcargs", {}).get("faults")
    if found is not None:
        found.check()
