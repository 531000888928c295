"""Steps that a person takes in a browser: each ends on the page that follows."""

from __future__ import annotations

import re
import subprocess

from playwright.sync_api import Locator, Page, expect


def main(page: Page) -> Locator:
    """What the page is about."""
    return page.locator("main")


def says(page: Page, *texts: str) -> None:
    """The page comes to show all of these."""
    for text in texts:
        expect(main(page)).to_contain_text(text)


def follow(page: Page, name: str, *, within: Locator | None = None) -> None:
    """Click the first visible link of this name."""
    where = within if within is not None else page.locator("body")
    with page.expect_navigation():
        where.get_by_role("link", name=name, exact=True).locator("visible=true").first.click()


def press(page: Page, name: str, *, within: Locator | None = None) -> None:
    """Press the first button of this name."""
    where = within if within is not None else main(page)
    with page.expect_navigation():
        where.get_by_role("button", name=name, exact=True).locator("visible=true").first.click()


def way(page: Page, issuer: str) -> Locator:
    """The item of a list of issuers that is about one of them."""
    return page.locator(".ways > li").filter(has_text=issuer).first


def row(page: Page, text: str) -> Locator:
    """The row of a table with this text."""
    return page.locator("tbody tr").filter(has_text=text).first


def write(page: Page, **fields: str) -> None:
    """Fill fields in."""
    for name, value in fields.items():
        main(page).locator(f"[name={name}]").fill(value)


def tick(page: Page, name: str, value: str) -> None:
    """Tick a box, or choose among others."""
    main(page).locator(f"[name={name}][value='{value}']").check()


def enter(page: Page, name: str, password: str) -> None:
    """Fill in the form for signing in that is on the page."""
    write(page, name=name, password=password)
    press(page, "Sign in")


def preview(page: Page) -> str:
    """Preview what a form asks for; the commit that it would be."""
    press(page, "Preview")
    says(page, "nothing is pushed yet")
    return page.locator("[name=expect]").first.get_attribute("value") or ""


def propose(page: Page) -> str:
    """Propose what is previewed; the branch that it has."""
    press(page, "Propose")
    says(page, "What happens next")
    found = re.search(r"accord/[a-z0-9.-]+", main(page).inner_text())
    assert found is not None
    return found[0]


def run_curl(page: Page, token: str) -> str:
    """What the curl line of the page answers, as somebody runs it in a shell who gives it the token."""
    line = page.locator("#curl").inner_text().replace("curl ", "curl -sS ", 1)
    return subprocess.run(["bash", "-c", line], input=f"{token}\n", capture_output=True, text=True, check=True).stdout
