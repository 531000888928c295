"""Every page of the console in a real browser, as everybody may look at it: themes, widths, aids, without scripts, by keyboard.

The browser itself finds errors and what the policy refused (see `conftest`). What pages look like is kept in build/screenshots.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from browsing import AIDS, LOOKS, SCREENSHOTS, Chromium, View, barriers
from crawler import unvisited
from looking import PROPOSED, ROLES, Desk, desk_of, look, wider
from organisation import Applied
from playwright.sync_api import Page, expect

TOP = Path(__file__).parents[3]
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
    "/access?user=alice&issuer=tls": "access-allowed",
    DENIED: "access-denied",
    "/map": "map",
}
"""What is looked at, and the name of its screenshots."""
REFUSED = {
    *("users", "user", "user-disabled", "user-reset", "user-password", "user-require-change", "user-disable", "user-enable"),
    *("user-unlock", "user-tokens", "user-token-new", "user-token-revoke", "user-session-end", "user-new", "user-edit"),
    *("user-remove", "revisions", "revision", "drift", "audit", "mail", "access-denied"),
}
"""What a person may not see."""
AIDED = ("home", "user", "me", "users", "proposal", "audit", "access-denied", "map", "certificate")
"""What axe looks at with aids, too: between them, they have all parts."""
FILES = ("/audit.csv", "/audit.jsonl", "/certificates/1/pem")
"""What is downloaded, and never looked at."""


@pytest.fixture(scope="module")
def desk(applied_on_sqlite: Applied, browser: Chromium, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with desk_of(applied_on_sqlite, browser, tmp_path_factory.mktemp("looks")) as found:
        yield found


def test_no_page_is_left_out() -> None:
    assert unvisited([*ADDRESSES, *FILES]) == []
    assert len(set(ADDRESSES.values())) == len(ADDRESSES)


@pytest.mark.parametrize(("role", "part"), list(product(ROLES, range(4))))
def test_pages_are_sound_in_every_look(desk: Desk, role: str, part: int) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    found: list[str] = []
    with desk.visit(role) as page:
        for address, name in list(ADDRESSES.items())[part::4]:
            if role == "person" and name in REFUSED:
                continue
            page.goto(desk.address(role, address))
            found += [fault for view in LOOKS for fault in look(page, view, f"{role}-{name}")]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("view", [AIDS[0], AIDS[2], View("dark", 360, javascript=False)], ids=str)
def test_pages_serve_those_with_aids_or_without_scripts(desk: Desk, role: str, view: View) -> None:
    found: list[str] = []
    with desk.visit(role, view) as page:
        for address, name in ADDRESSES.items():
            if role == "person" and name in REFUSED:
                continue
            page.goto(desk.address(role, address))
            found += wider(page, f"{role}-{name}", view) if view.javascript else []
            if view.reduced_motion:
                moving = "document.getAnimations().length"
                found += [f"{name}: something moves"] if page.evaluate(moving) else []
            if name in AIDED:
                rules = ("color-contrast",) if view.forced_colors else ()
                found += [f"{name} {view}: {each}" for each in barriers(page, javascript=view.javascript, without=rules)]
    assert found == []


def test_a_person_is_refused_what_concerns_others(desk: Desk) -> None:
    """The pages of refusals are alike, so each is opened, and one of each kind is looked at."""
    seen: dict[str, int] = {}
    found: list[str] = []
    with desk.visit("person", status=403) as page:
        for address, name in ADDRESSES.items():
            if name in REFUSED:
                answer = page.goto(desk.address("person", address))
                assert answer is not None
                seen[name] = answer.status
        found += [fault for view in LOOKS for fault in look(page, view, "person-refused")]
    with desk.visit("person", status=404) as page:
        page.goto(desk.address("administrator", "/proposals/{branch}"))
        found += [fault for view in LOOKS for fault in look(page, view, "person-missing")]
    assert found == []
    assert set(seen.values()) == {403}


# By keyboard


def _focused(page: Page) -> str:
    """The text, or the name, of what has the focus."""
    return str(page.evaluate("(e => e.innerText?.trim() || e.getAttribute('name') || e.localName)(document.activeElement)"))


def test_the_tab_key_first_skips_to_the_content_and_then_follows_the_page(desk: Desk) -> None:
    with desk.visit("administrator") as page:
        page.goto("/teams")
        page.keyboard.press("Tab")
        assert _focused(page) == "Skip to the content"
        assert _tops_of_focus(page, 12), "the order of tabs is that of the page"
        page.goto("/teams")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        assert page.evaluate("document.querySelector('main').contains(document.activeElement)")
        assert _tops_of_focus(page, 12)


def _tops_of_focus(page: Page, steps: int) -> bool:
    """Whether each next element with the focus follows in the document, is seen, and shows the focus."""
    following = """(() => { const now = document.activeElement, before = window.before; window.before = now;
        const box = now.getBoundingClientRect(), style = getComputedStyle(now);
        return (!before || before === document.body || !!(before.compareDocumentPosition(now) & 4))
          && box.width > 1 && box.height > 1 && style.outlineStyle !== 'none' })()"""
    for _ in range(steps):
        page.keyboard.press("Tab")
        if not page.evaluate(following):
            return False
    return True


def test_the_menu_opens_and_closes_by_keyboard_where_it_is_narrow(desk: Desk) -> None:
    with desk.visit("administrator", View("light", 360)) as page:
        page.goto("/users")
        menu = page.locator("details.menu")
        for _ in range(3):
            page.keyboard.press("Tab")
        assert _focused(page) == "Menu"
        page.keyboard.press("Enter")
        expect(menu.get_by_role("link", name="Audit")).to_be_visible()
        assert [fault for view in LOOKS[2:] for fault in look(page, view, "state-menu")] == []
        page.keyboard.press("Tab")
        page.keyboard.press("Escape")
        expect(menu.get_by_role("link", name="Audit")).to_be_hidden()
        assert _focused(page) == "Menu"


def test_typing_loads_keeps_the_focus_and_the_filters_and_back_works(desk: Desk) -> None:
    with desk.visit("administrator") as page:
        page.goto("/teams")
        page.goto("/users?team=platform")
        page.keyboard.press("/")
        search = page.locator("main input[type=search][name=search]")
        expect(search).to_be_focused()
        page.keyboard.type("ami")
        expect(page.locator("main .empty")).to_be_visible()
        page.keyboard.press("Backspace")
        expect(page.get_by_role("link", name="amara", exact=True)).to_be_visible()
        expect(search).to_be_focused()
        expect(search).to_have_value("am")
        assert page.url.partition("?")[2].split("&") == ["search=am", "team=platform"]
        page.reload()
        expect(search).to_have_value("am")
        expect(page.get_by_role("link", name="amara", exact=True)).to_be_visible()
        page.get_by_role("link", name="amara", exact=True).click()
        page.wait_for_url(re.compile("/users/amara"))
        page.go_back()
        expect(search).to_have_value("am")
        page.go_back()
        page.wait_for_url(re.compile("/teams$"))


# For the README


@pytest.mark.parametrize(
    ("name", "address", "height"),
    [("console-user", "/users/alice", 850), ("console-access", DENIED, 744)],
    ids=["user", "access"],
)
def test_images_for_the_readme_are_small(desk: Desk, name: str, address: str, height: int) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    made = SCREENSHOTS / f"{name}.png"
    with desk.visit("administrator") as page:
        page.set_viewport_size({"width": 1280, "height": height})
        page.goto(address)
        page.evaluate("document.fonts.ready.then(() => null)")
        page.screenshot(path=made, animations="disabled")
    assert _is_small(made)


def test_the_readme_shows_images_with_words_for_those_who_do_not_see_them() -> None:
    shown = re.findall(r"!\[([^]]{40,})\]\((docs/images/console-\w+\.png)\)", (TOP / "README.md").read_text())
    assert [path for _, path in shown] == ["docs/images/console-user.png", "docs/images/console-access.png"]
    assert all(_is_small(TOP / path) for _, path in shown)


def _is_small(image: Path) -> bool:
    """Whether a PNG has less than 150 kB and is 1280 pixels wide (its header says so, PNG 11.2.2)."""
    content = image.read_bytes()
    return len(content) < 150_000 and int.from_bytes(content[16:20]) == 1280
