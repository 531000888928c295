"""What pages of the console look like in states that no address alone has: refused, empty, asked about, shown once, failed.

A state is looked at as `test_console_looks` looks at pages: by axe, in both themes, wide and narrow.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from browsing import LOOKS, SCREENSHOTS, Chromium, sign_in
from console_world import PASSWORD, Console, console_of
from looking import PROPOSED, ROLES, Desk, desk_of, look, preview
from organisation import Applied, copy_repository
from playwright.sync_api import Page, expect
from scenario import Accord, team

from client import World  # isort: skip
from served import serving  # isort: skip


class State(NamedTuple):
    """How a page is brought into a state, and the status of its answer if that is a failure."""

    open: Callable[[Page, Desk], None]
    status: int | None = None
    role: str = "administrator"


STATES: dict[str, State] = {}


def state(status: int | None = None, role: str = "administrator") -> Callable[[Callable[[Page, Desk], None]], None]:
    """Declare a state; its name is the function's."""

    def declare(opening: Callable[[Page, Desk], None]) -> None:
        STATES[opening.__name__.strip("_").replace("_", "-")] = State(opening, status, role)

    return declare


@pytest.fixture(scope="module")
def desk(applied_on_sqlite: Applied, browser: Chromium, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with desk_of(applied_on_sqlite, browser, tmp_path_factory.mktemp("states")) as found:
        yield found


@pytest.fixture(scope="module", autouse=True)
def screenshots() -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)


# Pages


@state()
def _empty(page: Page, desk: Desk) -> None:
    page.goto("/teams/legacy")


@state()
def _none(page: Page, desk: Desk) -> None:
    page.goto("/users?search=nobody-at-all")
    expect(page.locator("main .empty")).to_be_visible()


@state(status=404)
def _missing(page: Page, desk: Desk) -> None:
    page.goto("/nothing-here")


@state()
def _details(page: Page, desk: Desk) -> None:
    page.goto("/map")
    page.locator("main summary").first.click()


@state()
def _done(page: Page, desk: Desk) -> None:
    page.goto("/users/bob?done=unlocked")
    expect(page.get_by_role("status")).to_be_visible()


@state()
def _asked_again(page: Page, desk: Desk) -> None:
    page.goto("/login?again=1&next=/me/tokens/new")
    expect(page.locator("[name=name]")).to_have_value("root")


# What is shown once


@state(role="person")
def _token_shown(page: Page, desk: Desk) -> None:
    page.goto("/me/tokens/new")
    page.locator("[name=name]").fill("deploy")
    page.get_by_role("button", name="Generate").click()
    expect(page.get_by_role("button", name="Copy the token")).to_be_visible()


@state()
def _token_of_an_application_shown(page: Page, desk: Desk) -> None:
    page.goto("/users/portal/tokens/new")
    page.locator("[name=name]").fill("deploy")
    page.get_by_role("button", name="Generate").click()
    expect(page.get_by_role("button", name="Copy the token")).to_be_visible()


@state(status=422)
def _token_refused(page: Page, desk: Desk) -> None:
    page.goto("/me/tokens/new")
    page.locator("[name=name]").fill("deploy")
    page.locator("[name=addresses]").fill("not an address")
    page.get_by_role("button", name="Generate").click()
    expect(page.get_by_role("alert")).to_be_visible()


# Proposing


@state(status=422)
def _invalid(page: Page, desk: Desk) -> None:
    preview(page, PROPOSED, team="web", user="nobody-at-all")
    expect(page.get_by_role("alert")).to_be_visible()


@state()
def _preview(page: Page, desk: Desk) -> None:
    preview(page, PROPOSED, team="web", user="farid")
    expect(page.locator("button[value=propose]")).to_be_visible()


@state(role="person")
def _preview_of_a_person(page: Page, desk: Desk) -> None:
    preview(page, PROPOSED, team="web", user="farid")
    expect(page.locator("button[value=propose]")).to_be_visible()


@state()
def _preview_of_a_removal(page: Page, desk: Desk) -> None:
    page.goto("/users/alice/remove")
    page.locator("button[value=preview]").click()
    expect(page.get_by_role("heading", name="Loses access")).to_be_visible()


@state()
def _guarded(page: Page, desk: Desk) -> None:
    preview(page, "/proposals/new?act=remove-member", team="admins", user="root")
    expect(page.get_by_text("would refuse this").first).to_be_visible()


@state()
def _declared(page: Page, desk: Desk) -> None:
    preview(page, PROPOSED, team="web", user="alice", reason="Runs the public web tier")
    expect(page.get_by_role("heading", name="This is declared already")).to_be_visible()


@state()
def _withdrawing(page: Page, desk: Desk) -> None:
    page.goto(desk.address("administrator", "/proposals/{branch}?confirm=withdraw"))
    expect(page.get_by_role("heading", name="Withdraw this proposal?")).to_be_visible()


@state(status=503)
def _not_proposed(page: Page, desk: Desk) -> None:
    preview(page, PROPOSED, team="web", user="elif")
    with _without_repository(desk):
        page.locator("button[value=propose]").click()
        expect(page.get_by_text("made after all")).to_be_visible()


@state(status=503)
def _unread(page: Page, desk: Desk) -> None:
    with _without_repository(desk):
        page.goto(desk.address("administrator", "/proposals/{branch}"))
        expect(page.get_by_role("link", name="Try again")).to_be_visible()
        expect(page.get_by_text("made after all")).to_have_count(0)


@contextmanager
def _without_repository(desk: Desk) -> Iterator[None]:
    """While the config repository cannot be reached."""
    path = desk.console.world.repository.path
    gone = path.rename(path.with_name("gone.git"))
    try:
        yield
    finally:
        gone.rename(path)


@state()
def _stale(page: Page, desk: Desk) -> None:
    world = desk.console.world
    made = world.accord("propose", "grant", "web", "document-signing", "--author", "Rosa Klein <root@example.org>")
    branch = next(word for word in made.output.split() if word.startswith("accord/")).rstrip(".,")
    kept = world.repository.head()
    world.repository.commit({"teams/web.yaml": team("web")})
    try:
        page.goto(f"/proposals/{branch}")
        expect(page.get_by_text("this conflicts with it").first).to_be_visible()
    finally:
        subprocess.run(["git", "-C", world.repository.path, "update-ref", "refs/heads/main", kept], check=True)


@pytest.mark.parametrize("name", STATES)
def test_states_are_sound_in_every_look(desk: Desk, name: str) -> None:
    wanted = STATES[name]
    with desk.visit(None, status=wanted.status) as page:
        sign_in(page, ROLES[wanted.role], PASSWORD)
        wanted.open(page, desk)
        assert [fault for view in LOOKS for fault in look(page, view, f"state-{name}")] == []


def test_a_refused_login_is_sound_in_every_look(desk: Desk) -> None:
    with desk.visit(None, status=422) as page:
        sign_in(page, "amara", "not her password")
        expect(page.get_by_role("alert")).to_be_visible()
        assert [fault for view in LOOKS for fault in look(page, view, "state-refused")] == []


def test_a_server_that_cannot_propose_is_sound_in_every_look(
    applied_on_sqlite: Applied, browser: Chromium, tmp_path: Path
) -> None:
    with console_of(applied_on_sqlite, tmp_path) as console, Desk(browser, console).visit(None) as page:
        sign_in(page, "root", PASSWORD)
        page.goto("/proposals")
        found = [fault for view in LOOKS for fault in look(page, view, "state-unconfigured")]
        preview(page, PROPOSED, team="web", user="nobody")
        expect(page.get_by_text("accord propose add-member").first).to_be_visible()
        assert found + [fault for view in LOOKS for fault in look(page, view, "state-command")] == []


def test_a_first_visit_is_sound_in_every_look(applied_on_sqlite: Applied, browser: Chromium, tmp_path: Path) -> None:
    repository = copy_repository(applied_on_sqlite, tmp_path / "config.git")
    accord = Accord(repository.path, f"sqlite:///{tmp_path}/accord.db", tmp_path / "cache")
    accord("db", "upgrade")
    world = World(accord)
    with serving(world.url, tmp_path) as server, Desk(browser, Console(world, server)).visit(None) as page:
        page.goto("/login")
        expect(page.get_by_text("accord apply").first).to_be_visible()
        assert [fault for view in LOOKS for fault in look(page, view, "state-first-visit")] == []
