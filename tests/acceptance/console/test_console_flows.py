"""Every flow from end to end in a real browser, with JavaScript and without: the console, a forge, and mailboxes."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from browsing import Faults, View, Visitors, sign_in, ways
from colleague import add_and_take_away
from flow_steps import enter, follow, main, press, preview, propose, row, run_curl, says, tick, write
from flows_world import OWN, Flows, flows_of
from organisation import Applied, copy_sqlite
from playwright.sync_api import Page, expect
from scenario import team, user
from waiting import LONG, until

from client import PASSWORD, World  # isort: skip
from reconciler.access.instants import format_instant

CLIPBOARD = ["clipboard-read", "clipboard-write"]


@pytest.fixture(scope="module")
def console(applied_on_sqlite: Applied, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flows]:
    """One server for all flows. Each has people of its own, so that none disturbs another."""
    folder = tmp_path_factory.mktemp("flows")
    with flows_of(applied_on_sqlite, copy_sqlite(applied_on_sqlite, folder / "accord.db"), folder) as found:
        names = [f"{name}-{way}" for name in ("carl", "mona", "ned") for way in ("js", "plain")]
        teams = {
            f"teams/{name}s.yaml": team(f"{name}s", members=[name], issuers=["tls", "vpn"]) for name in names if "mona" in name
        }
        found.world.apply({f"users/{name}.yaml": user(name) for name in names} | teams)
        found.world.execute("DELETE FROM outbox")
        for name in names:
            found.world.set_password(name)
        yield found


@pytest.fixture
def way(view: View) -> str:
    """The end of names of those who look in this way."""
    return "js" if view.javascript else "plain"


@pytest.fixture
def root(visitors: Visitors) -> Page:
    """An administrator, signed in."""
    page = visitors.new()
    sign_in(page, "root", PASSWORD)
    return page


def let_time_pass(world: World, name: str) -> None:
    """From now on, all sessions of an account began an hour ago."""
    then, now = format_instant(datetime.now(UTC) - timedelta(hours=1)), format_instant(datetime.now(UTC))
    account = f"(SELECT id FROM users WHERE name = '{name}')"
    world.execute(f"UPDATE tokens SET created_at = '{then}', last_used_at = '{now}' WHERE user_id = {account}")


@ways
def test_a_colleague_is_added_let_in_gets_a_token_sees_why_and_is_taken_away(
    console: Flows, visitors: Visitors, root: Page, way: str
) -> None:
    add_and_take_away(console, root, visitors.new(), f"dana-{way}")


@ways
@pytest.mark.parametrize("name", ["mona", "root"])
def test_a_token_is_narrowed_shown_once_copied_used_rotated_and_revoked(
    console: Flows, visitors: Visitors, view: View, way: str, name: str
) -> None:
    name = "root" if name == "root" else f"{name}-{way}"
    page = visitors.new(**({"permissions": CLIPBOARD} if view.javascript else {}))
    sign_in(page, name, PASSWORD)
    follow(page, "My tokens")
    follow(page, "Generate a token")
    write(page, name=f"report {way}", addresses="127.0.0.1 10.20.0.0/16")
    narrowing = name != "root"  # who has no issuer has none to choose
    if narrowing:
        tick(page, "narrow", "some")
        tick(page, "issuer", "vpn")
    press(page, "Generate")
    secret = page.locator("#secret").inner_text()
    says(page, "This page alone shows it", "127.0.0.1")
    if view.javascript:
        for label, source in (("Copy the token", secret), ("Copy the command", page.locator("#curl").inner_text())):
            button = page.get_by_role("button", name=label)
            button.click()
            expect(page.get_by_text("Copied", exact=True).last).to_be_visible()
            assert page.evaluate("navigator.clipboard.readText()") == source
    else:
        expect(page.get_by_role("button", name="Copy the token")).to_have_count(0)
    assert [each["issuer"] for each in json.loads(run_curl(page, secret))] == (["vpn"] if narrowing else [])
    follow(page, "Done")
    assert secret not in page.content()
    old = row(page, f"report {way}")
    expect(old).to_contain_text("127.0.0.1")
    follow(page, "Rotate", within=old)
    ticked = [each for each in page.locator("[name=issuer]").all() if each.is_checked()]
    assert [each.get_attribute("value") for each in ticked] == ["vpn"] * narrowing
    expect(page.locator("[name=name]")).to_have_value(f"report {way}")
    press(page, "Generate")
    other = page.locator("#secret").inner_text()
    assert other != secret and console.server.call("GET", "/api/v1/me", secret).status == 200
    press(page, "Revoke the old token")
    says(page, "The token is revoked.")
    assert [console.server.call("GET", "/api/v1/me", each).status for each in (secret, other)] == [401, 200]
    press(page, "Revoke", within=row(page, f"report {way}"))
    assert console.server.call("GET", "/api/v1/me", other).status == 401


@ways
@pytest.mark.parametrize("name", ["mona", "root"])
def test_sessions_end_elsewhere_and_everywhere_and_the_theme_is_kept(visitors: Visitors, way: str, name: str) -> None:
    name = "root" if name == "root" else f"{name}-{way}"
    here, there = visitors.new(), visitors.new()
    for page in (here, there):
        sign_in(page, name, PASSWORD)
    follow(here, "My account")
    press(here, "Dark")
    expect(here.locator("html")).to_have_attribute("data-theme", "dark")
    follow(here, "My sessions")
    expect(here.locator("html")).to_have_attribute("data-theme", "dark")
    press(here, "Sign out elsewhere")
    says(here, "You are signed out everywhere else.")
    follow(there, "My account")
    says(there, "Your session has ended. Sign in again.")
    enter(there, name, PASSWORD)
    says(there, "My account")
    follow(there, "My sessions")
    press(there, "Sign out everywhere")
    says(there, "You are signed out.")
    follow(here, "My account")
    says(here, "Your session has ended. Sign in again.")
    expect(here.locator("html")).to_have_attribute("data-theme", "dark")


@ways
def test_a_user_is_found_by_typing_and_back_leads_to_the_same_filters(root: Page, view: View, way: str) -> None:
    follow(root, "Users")
    search, state = main(root).locator("[name=search]"), main(root).locator("[name=state]")
    if view.javascript:
        search.press_sequentially(f"carl-{way}")
        expect(root).to_have_url(f"/users?search=carl-{way}")
        state.select_option("enabled")
    else:
        search.fill(f"carl-{way}")
        state.select_option("enabled")
        press(root, "Search")
    says(root, "1 user fits")
    expect(root).to_have_url(re.compile(f"search=carl-{way}.*state=enabled"))
    follow(root, f"carl-{way}")
    with root.expect_navigation():
        root.go_back()
    says(root, "1 user fits")
    expect(search).to_have_value(f"carl-{way}")
    expect(state).to_have_value("enabled")


@ways
def test_an_administrator_disables_enables_mails_and_requires_with_the_password_in_between(
    console: Flows, visitors: Visitors, root: Page, page: Page, way: str, faults: Faults
) -> None:
    name, address = f"carl-{way}", f"carl-{way}@example.org"
    sign_in(page, name, PASSWORD)
    let_time_pass(console.world, "root")
    root.goto(f"/users/{name}")
    says(root, "You will be asked for your password first")
    follow(root, "Disable")
    says(root, "Confirm that it is you")
    write(root, password=PASSWORD)
    press(root, "Confirm")
    says(root, "1 session and 0 tokens end at once")
    press(root, "Disable")
    says(root, "The account is disabled here.", "disabled by root here")
    follow(page, "My account")
    says(page, "Your session has ended. Sign in again.")
    faults.expect_status(422)
    enter(page, name, PASSWORD)
    says(page, "Sign in")
    expect(page.get_by_role("alert")).to_be_visible()
    press(root, "Enable")
    says(root, "switch is on again")
    enter(page, name, PASSWORD)
    says(page, "My account")

    follow(root, "Mail a new password")
    says(root, f"A generated password goes to {address}.")
    press(root, "Mail a new password")
    says(root, "A new password by mail is asked for.")
    password = console.mailed_password(address)
    page.goto("/login")
    enter(page, name, password)
    says(page, "Choose a password of your own")
    write(page, current=password, new=OWN, again=OWN)
    press(page, "Change the password")

    root.goto(f"/users/{name}")
    follow(root, "Require a change")
    press(root, "Require a change")
    says(root, "The password must be changed at the next login.", "must change it")
    follow(page, "My sessions")
    says(page, "Your session has ended. Sign in again.")
    enter(page, name, OWN)
    says(page, "Choose a password of your own")


@ways
def test_a_user_is_edited_and_added_to_a_team(console: Flows, root: Page, way: str) -> None:
    name = f"ned-{way}"
    root.goto(f"/users/{name}")
    follow(root, "Edit")
    write(root, fullName="Ned <Nolan>", why="Her new name")
    tick(root, "team", "office")
    preview(root)
    says(root, "full name: none → Ned <Nolan>", "Gains access")
    console.merge(propose(root))
    root.goto(f"/users/{name}")
    says(root, "Ned <Nolan>", "office")
    follow(root, "Add to a team")
    expect(root.locator("[name=user]")).to_have_value(name)
    write(root, team="web", until="2099-12-31", reason="On loan")
    preview(root)
    says(root, "until 2099-12-31")
    console.merge(propose(root))
    root.goto("/teams/web")
    expect(row(root, name)).to_contain_text("On loan")


@ways
def test_each_refusal_has_its_own_words_and_the_patch(console: Flows, root: Page, way: str, faults: Faults) -> None:
    faults.expect_status(409, 503)
    root.goto("/users/new")
    write(root, name=f"rita-{way}", email=f"rita-{way}@example.org")
    tick(root, "team", "web")
    commit = preview(root)
    refusals = {
        "Ticket <b>number</b> is missing": "A hook of the repository refused it",
        "GH006: Protected branch update failed": "The repository protects this branch",
    }
    for said, title in refusals.items():
        with console.refusing(said):
            press(root, "Propose")
        says(root, title, said)
        expect(root.get_by_role("button", name="Download as a patch")).to_be_visible()
        press(root, "Preview it again")
    console.forge.mood, console.forge.stopped = "stops", False
    console.forge.released = threading.Event()
    breaking = threading.Thread(target=break_off, args=(console,), daemon=True)
    breaking.start()
    press(root, "Propose")
    breaking.join(LONG)
    console.forge.mood = "willing"
    says(root, "The repository was not reached", "nothing is made twice")
    patch(root, commit)
    assert f"rita-{way}" not in "".join(console.branches())
    press(root, "Preview it again")
    assert console.commit_of(propose(root)) == commit


def patch(page: Page, commit: str) -> None:
    """Download it as a patch, which is that very commit."""
    with page.expect_download() as downloading:
        main(page).get_by_role("button", name="Download as a patch").click()
    assert downloading.value.path().read_text().startswith(f"From {commit} ")


def break_off(console: Flows) -> None:
    """Let the repository hang up once somebody has pushed to it."""
    until(lambda: console.forge.stopped, "the push")
    console.forge.released.set()


@ways
def test_a_denial_s_remedy_is_proposed_merged_and_the_same_address_says_allow(console: Flows, root: Page, way: str) -> None:
    name = f"carl-{way}"
    address = f"/access?user={name}&issuer=vpn"
    root.goto(address)
    says(root, f"{name} may not use vpn now", "What is missing")
    chain = root.get_by_role("group", name="Through web")
    follow(root, "Propose the membership", within=chain)
    expect(root.locator("[name=user]")).to_have_value(name)
    expect(root.locator("[name=team]")).to_have_value("web")
    preview(root)
    console.merge(propose(root))
    root.goto(address)
    says(root, f"{name} may use vpn now")


@ways
def test_a_person_proposes_for_the_own_team_and_not_for_another_s(
    console: Flows, page: Page, root: Page, way: str, faults: Faults
) -> None:
    name, mine = f"mona-{way}", f"mona-{way}s"
    sign_in(page, name, PASSWORD)
    page.goto(f"/teams/{mine}")
    follow(page, "Add a member")
    write(page, user="nobody", reason="Helps out")
    commit = preview(page)
    branch = propose(page)
    assert console.commit_of(branch) == commit
    follow(page, "Proposals", within=page.get_by_role("navigation", name="Main").last)
    expect(row(page, branch)).to_contain_text("open")
    console.merge(branch)
    page.goto(f"/teams/{mine}")
    says(page, "nobody", "Helps out")
    faults.expect_status(403, 404)
    for address in ("/teams/office?done=proposed", "/proposals/new?act=add-member&team=office", "/users/new"):
        page.goto(address)
        says(page, "Back")
        expect(main(page)).not_to_contain_text("Proposed")  # nothing is done where something failed
        expect(page.locator("main form[action*=proposals]")).to_have_count(0)
