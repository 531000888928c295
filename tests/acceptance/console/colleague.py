"""What a console is for, from end to end, with nothing but it, merges and a mailbox."""

from __future__ import annotations

import json

from flow_steps import enter, follow, main, press, preview, propose, row, run_curl, says, tick, way, write
from flows_world import OWN, Flows
from playwright.sync_api import Page


def add_and_take_away(console: Flows, root: Page, dana: Page, name: str) -> None:
    """Add a colleague, let her in, let her mint a token, see why she may use an issuer, and take it all away."""
    address = f"{name}@example.org"
    # added
    follow(root, "Users")
    follow(root, "Add user")
    write(root, name=name, email=address, fullName="Dana Reed", why="She joins the web team")
    tick(root, "team", "web")
    commit = preview(root)
    says(root, "A generated password is mailed once this is applied", f"+ metadata:+   name: {name}", "Gains access")
    assert [row(root, issuer).inner_text().split() for issuer in ("tls", "vpn")] == [
        [name, issuer, "web", "no", "end"] for issuer in ("tls", "vpn")
    ]
    branch = propose(root)
    says(root, "Nothing changes until it is merged and applied")
    assert console.commit_of(branch) == commit
    console.merge(branch)
    # let in
    password = console.mailed_password(address)
    assert console.origin in console.mails_to(address)[-1]
    dana.goto("/")
    enter(dana, name, password)
    says(dana, "Choose a password of your own")
    write(dana, current=password, new=OWN, again=OWN)
    press(dana, "Change the password")
    says(dana, "Your password is changed", "Issuers I may use")
    assert ["no end" in way(dana, issuer).inner_text() for issuer in ("tls", "vpn")] == [True, True]
    # a token
    follow(dana, "My tokens")
    follow(dana, "Generate the first one")
    write(dana, name="backup on db1")
    press(dana, "Generate")
    answered = json.loads(run_curl(dana, dana.locator("#secret").inner_text()))
    assert [each["issuer"] for each in answered] == ["tls", "vpn"]
    # why
    follow(dana, "My account")
    follow(dana, "Explorer")
    follow(dana, "vpn", within=main(dana))
    says(dana, f"{name} may use vpn now", "member", "teams/web.yaml", "allow")
    # taken away
    root.goto(f"/users/{name}")
    follow(root, "Delete")
    says(root, f"With {name}: 1 token and 1 session end at once.")
    preview(root)
    says(root, "Loses access", "ends 1 session and 1 token")
    console.merge(propose(root))
    follow(dana, "My tokens")
    says(dana, "Your session has ended. Sign in again.")
    root.goto(f"/users?search={name}")
    says(root, "Nothing matches.")
