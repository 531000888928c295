"""Users for administrators: the list and its filters, everything about one user, and what is possible for whom."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from organisation import Applied, copy_repository, copy_sqlite
from scenario import Accord, resource, team, user
from visitor import Visitor, World

from reconciler.store.tables import instant_text

HOSTILE = "<script>alert(1)</script>\u202e\x07&amp;'\""


@pytest.fixture(scope="module")
def shared(applied_on_sqlite: Applied, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("users")
    repository = copy_repository(applied_on_sqlite, folder / "config.git")
    found = World(Accord(repository.path, copy_sqlite(applied_on_sqlite, folder / "accord.db"), folder / "cache"))
    for name in ("root", "alice"):
        found.set_password(name)
    found.execute(
        "UPDATE account_states SET last_login_at = '2026-03-05T10:00:00.000000Z', last_login_address = '10.20.0.7' "
        "WHERE user_id = (SELECT id FROM users WHERE name = 'alice')"
    )
    add_directory_account(found, "dora", "office")
    yield found
    found.service.stop()


@pytest.fixture
def world(organised: Accord) -> Iterator[World]:
    """On a database of each kind."""
    found = World(organised)
    found.set_password("root")
    yield found
    found.service.stop()


def add_directory_account(world: World, name: str, team: str, *, full_name: str = "Dora", group: str = "PKI-Office") -> None:
    """An account as a login from a directory makes it."""
    now, quoted = instant_text(datetime.now(UTC)), full_name.replace("'", "''").replace("%", "%%")
    world.execute(
        "INSERT INTO users (name, source, email, full_name, type, disabled_by_git) "
        f"VALUES ('{name}', 'directory', '{name[:3]}@corp.example.org', '{quoted}', 'person', FALSE)"
    )
    of_it = f"(SELECT id FROM users WHERE name = '{name}')"
    guid = f"{abs(hash(name)) % 10**12:012}"
    world.execute(
        f"INSERT INTO directory_accounts (user_id, guid, domain, dn, read_at) "
        f"VALUES ({of_it}, '00000000-0000-0000-0000-{guid}', 'corp.example.org', 'CN=Dora,DC=corp', '{now}')"
    )
    world.execute(
        "INSERT INTO directory_memberships (team_id, user_id, ad_group) "
        f"VALUES ((SELECT id FROM teams WHERE name = '{team}'), {of_it}, '{group.replace(chr(39), chr(39) * 2)}')"
    )


def administrator(world: World) -> Visitor:
    visitor = Visitor(world)
    visitor.sign_in("root")
    return visitor


def age_session(world: World, name: str) -> None:
    """Let the passwords of an account's sessions have been given an hour ago."""
    earlier, now = (instant_text(datetime.now(UTC) - ago) for ago in (timedelta(hours=1), timedelta()))
    of_it = f"(SELECT id FROM users WHERE name = '{name}')"
    world.execute(
        f"UPDATE tokens SET created_at = '{earlier}', last_used_at = '{now}' WHERE kind = 'session' AND user_id = {of_it}"
    )


def listed(html: str) -> list[str]:
    """The users that a page lists."""
    return re.findall(r'<th scope="row"><a class="mono" href="/users/([^"/]+)">', html)


ALL = ["alice", "bob", "broker", "dora", "nobody", "portal", "root"]


def test_an_administrator_sees_all_users_by_name(shared: World) -> None:
    html = administrator(shared).get("/users")
    assert listed(html) == ALL
    for part in (
        "Alice Jones",
        "alice@example.org",
        "2026-03-05 10:00 UTC",
        "10.20.0.7",
        "7 users",
        'href="/users/new"',
        "directory",
    ):
        assert part in html, part
    assert 'href="/users/alice/edit"' in html and 'href="/users/alice/remove"' in html
    assert 'href="/users/dora/edit"' not in html and 'href="/users/dora/remove"' not in html


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_what_git_never_declared_cannot_be_proposed_to_change(world: World) -> None:
    world.apply({"teams/spare.yaml": team("spare", members=["alice"])})
    for table, name in (("users", "bob"), ("teams", "spare"), ("issuers", "vpn")):
        world.execute(f"UPDATE {table} SET file = NULL WHERE name = '{name}'")
    world.restart()
    visitor = administrator(world)
    html = visitor.get("/users")
    assert "/users/bob" in html and "/users/bob/edit" not in html and "/users/bob/remove" not in html
    assert "/users/alice/edit" in html and html.count("not declared in Git") == 1
    for path in ("/users/bob/edit", "/users/bob/remove"):
        assert "Git declares no user of this name" in visitor.get(path, 404)
    html = visitor.get("/users/alice/edit")
    assert re.findall(r'name="(?:was_)?team" value="(spare|web)"', html) == ["web", "web"]
    assert "spare" not in visitor.get("/users/new")
    assert "/proposals/new" not in visitor.get("/issuers/vpn").split("Teams that may use it")[0]
    assert "a proposal cannot change it until it is declared" in visitor.html
    alice = Visitor(world)
    world.set_password("alice")
    alice.sign_in("alice")
    assert '<option value="web"' in alice.get("/proposals/new?act=grant") and "spare" not in alice.html


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("search=JONES", ["alice"]),
        ("search=%25", []),
        ("search=alice%40example", ["alice"]),
        ("team=web", ["alice", "bob"]),
        ("team=WEB", ["alice", "bob"]),
        ("team=office", ["bob", "dora"]),
        ("source=directory", ["dora"]),
        ("source=declared&team=office", ["bob"]),
        ("state=disabled", []),
        ("state=enabled", ALL),
        ("login=never", ["bob", "broker", "dora", "nobody", "portal"]),
        ("after=2026-03-05&before=2026-03-06", ["alice"]),
        ("after=2026-03-06&search=alice", []),
        ("before=2026-03-05&search=alice", []),
        ("before=2026-03-06&search=bob", ["bob"]),
        ("sort=last-login", ["root", "alice", "bob", "broker", "dora", "nobody", "portal"]),
        ("search=+alice+", ["alice"]),
        ("unknown=x", ALL),
        ("search=&team=&source=&state=&login=&before=&after=&sort=&cursor=", ALL),
    ],
)
def test_filters_are_in_the_address(shared: World, query: str, names: list[str]) -> None:
    html = administrator(shared).get(f"/users?{query}")
    assert listed(html) == names
    assert ("Nothing matches" in html) == (not names)


def test_each_filter_can_be_removed_by_itself(shared: World) -> None:
    visitor = administrator(shared)
    html = visitor.get("/users?search=zzz&state=enabled&cursor=YQ")
    assert "There are no more users" in html and 'href="/users?search=zzz&amp;state=enabled"' in html
    html = visitor.get("/users?search=zzz&state=enabled&sort=last-login&done=disabled")
    assert 'href="/users?state=enabled&amp;sort=last-login"' in html
    assert 'href="/users?search=zzz&amp;sort=last-login"' in html


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("source=x", 422),
        ("state=<b>", 422),
        ("sort=%00", 400),
        ("before=yesterday", 422),
        ("after=2026-13-01", 422),
        ("before=0000-01-01", 422),
        ("after=0001-01-01", 422),
        ("before=9999-12-31", 200),
        ("after=٢٠٢٦-01-01", 422),
        ("search=" + "x" * 129, 422),
        ("cursor=_w", 404),
        ("sort=last-login&cursor=YQ", 404),
        ("team=" + "x" * 5000, 200),
        ("search=%ff", 400),
        ("search=%01%F0%9F%92%A9", 200),
    ],
)
def test_an_address_that_asks_for_nothing_possible_says_so(shared: World, query: str, code: int) -> None:
    visitor = administrator(shared)
    html = visitor.get(f"/users?{query}", code)
    assert "<b>" not in html and "Traceback" not in html


def test_pages_go_on_where_the_last_one_ended(world: World) -> None:
    more = [f"member-{number:03}" for number in range(120)]
    world.apply({f"users/{name}.yaml": user(name) for name in more} | {"teams/many.yaml": team("many", members=more)})
    visitor = administrator(world)
    for sort in ("", "&sort=last-login"):
        found, address = [], f"/users?team=many{sort}"
        while address:
            html = visitor.get(address)
            found.append(listed(html))
            following = re.search(r'rel="next" href="([^"]+)"', html)
            address = following[1].replace("&amp;", "&") if following else ""
        assert [len(each) for each in found] == [50, 50, 20]
        assert [name for each in found for name in each] == more


def test_users_are_for_administrators(shared: World) -> None:
    person = Visitor(shared)
    person.sign_in("alice")
    for path in ("/users", "/users/bob", "/users/alice", "/users/nobody-there", "/users/bob/disable", "/users/bob/tokens/new"):
        said = person.get(path, 403)
        assert "only administrators" in said.lower()
        assert Visitor(shared).send("GET", path).headers["location"].startswith("/login?next=")


def test_everything_about_a_user_is_on_one_page(world: World) -> None:
    until = "2099-12-31"
    files = {
        "teams/web.yaml": team(
            "web", members=["alice", {"user": "bob", "until": until, "reason": "parental leave"}], issuers=["tls", "vpn"]
        )
    }
    commit = world.apply(files)
    world.mint("bob", name="pipeline", issuers=["tls"], permitted_ips=["10.20.0.0/16"])
    session = world.mint("bob", "session").accessor
    html = administrator(world).get("/users/bob")
    for part in (
        "bob@example.org",
        "users/bob.yaml",
        "teams/web.yaml",
        commit[:10],
        "2100-01-01 00:00",
        "parental leave",
        "pipeline",
        "10.20.0.0/16",
        "Public TLS",
        "none yet",
        "user.create",
        'href="/audit?kind=User&amp;name=bob"',
        'href="/access?user=bob"',
        'href="/proposals/new?act=add-member&amp;user=bob"',
        'href="/proposals/new?act=disable&amp;user=bob"',
        'href="/proposals/new?act=remove-member&amp;user=bob&amp;team=web"',
        'href="/users/bob/edit"',
        'href="/users/bob/remove"',
        f'href="/users/bob/sessions/{session}/end"',
        "Now, here",
        "In Git, reviewed",
    ):
        assert part in html, part
    paths = re.findall(r'<div class="chain bare".*?</div>', html, re.DOTALL)
    assert len(paths) == 3  # tls by two teams, vpn by one
    assert all("deny" not in each and "allow" in each for each in paths)
    assert administrator(world).get("/users/BOB").count("bob@example.org")


def test_an_account_of_a_directory_is_said_to_be_edited_there(shared: World) -> None:
    html = administrator(shared).get("/users/dora")
    for part in ("corp.example.org", "CN=Dora,DC=corp", "PKI-Office", "cannot be edited here", "Active Directory"):
        assert part in html, part
    assert not re.search(
        r'href="/(proposals/new|users/dora/(edit|remove|password|reset-password|require-change|tokens/new))', html
    )


def test_a_disabled_account_is_denied_and_it_is_said_by_whom(world: World) -> None:
    world.apply({"users/alice.yaml": user("alice", enabled=False)})
    visitor = administrator(world)
    html = visitor.get("/users/alice")
    assert "disabled by Git" in html and "may use none of these" in html and "act=enable&amp;user=alice" in html
    visitor.post("/users/alice/disable", page="/users/alice/disable")
    html = visitor.get("/users/alice")
    assert re.search(r'disabled by Git\s*, and by <span class="mono">root</span> here', html)
    assert "It stays disabled by Git" in html
    assert listed(visitor.get("/users?state=disabled")) == ["alice"]


def test_text_from_everywhere_is_shown_as_text(world: World) -> None:
    add_directory_account(world, "j\u00fcrgen on&<i>@corp", "web", full_name=HOSTILE, group=HOSTILE)
    members = [{"user": "alice", "reason": "<img src=x onerror=alert(1)>"}]
    alice = user("alice", fullName="<script>alert(1)</script>")
    world.apply({"users/alice.yaml": alice, "teams/web.yaml": team("web", members=members, issuers=["tls"])})
    world.mint("alice", name=HOSTILE, issuers=[HOSTILE], permitted_ips=["10.0.0.1"])
    visitor = administrator(world)
    for path in (
        "/users",
        "/users/alice",
        "/users/j%C3%BCrgen%20on&%3Ci%3E@corp",
        f"/users?search={'%3Cscript%3E'}&team=%22%3E%3Cb%3E",
    ):
        html = visitor.get(path)
        assert not re.search(r"<script>|<img src=x|<i>|<b>|\u202e|\x07", html), path
    html = visitor.get("/users")
    (address,) = [each for each in re.findall(r'href="(/users/j[^"]*)"', html) if each.count("/") == 2]
    assert "cannot be edited here" in visitor.get(address.replace("&amp;", "&"))


@pytest.mark.parametrize("name", ["none", "bob%2Fx", "..", "%2e%2e", "bob%20", "%F0%9F%92%A9", "x" * 3000, "%ff", "%0a"])
def test_a_user_that_is_not_there_is_not_found(shared: World, name: str) -> None:
    visitor = administrator(shared)
    for path in (f"/users/{name}", f"/users/{name}/disable", f"/users/{name}/tokens/new", f"/users/{name}/tokens/x/revoke"):
        assert visitor.send("GET", path, {"Accept": "text/html"}).status_code == 404


def possible(html: str, name: str) -> set[str]:
    """The acts that a user's page offers: links to their pages, and forms of one button."""
    return set(re.findall(rf'(?:href|action)="/users/{name}/([a-z-]+(?:/new)?)"', html)) - {"edit", "remove"}


ORDER = ("unlock", "tokens/new", "require-change", "reset-password", "password", "disable")
"""All acts; some of the earlier ones are not possible after the later ones."""
EVERY = set(ORDER)


@pytest.mark.parametrize("everyone", [False, True])
def test_what_is_offered_is_possible_and_what_is_not_is_refused(world: World, everyone: bool) -> None:
    if everyone:
        world.apply({"settings.yaml": resource("Settings", "default", {"tokens": {"administratorsMayMintFor": "everyone"}})})
    for name in ("alice", "portal"):
        world.set_password(name)
    for name in ("alice", "portal"):
        world.execute(
            "INSERT INTO account_networks (account, network, user_id, failures, last_failed_at) "
            f"SELECT CAST(id AS TEXT), 'x', id, 9, '{instant_text(datetime.now(UTC))}' FROM users WHERE name = '{name}'"
        )
    add_directory_account(world, "dora", "office")
    visitor = administrator(world)
    expected = {
        "alice": EVERY if everyone else EVERY - {"password", "tokens/new"},
        "portal": EVERY,
        "root": {"require-change"},
        "dora": {"disable", "unlock"},
    }
    fields: dict[str, Any] = {
        "new": "a lake of seven herons",
        "again": "a lake of seven herons",
        "name": "x",
        "days": "30",
    }
    for name, acts in expected.items():
        assert possible(visitor.get(f"/users/{name}"), name) == acts, name
        for act in sorted(EVERY - acts - {"unlock"}):  # which does nothing then
            html = visitor.get(f"/users/{name}/{act}")
            assert f'action="/users/{name}/{act}"' not in html
            csrf = re.search(r'name="csrf" value="([0-9a-f]+)"', html)
            assert csrf is not None
            visitor.send_form(
                f"/users/{name}/{act}",
                {**fields, "csrf": csrf[1], "nonce": "n"},
                403 if (name, act) in REFUSED_AS_PERSON else 409,
            )
        if name != "root":  # whose session would end
            for act in (each for each in ORDER if each in acts):
                typed = fields if act in ("password", "tokens/new") else {}
                code = 200 if act == "tokens/new" else 303
                visitor.post(f"/users/{name}/{act}", typed, code, page=f"/users/{name}/{act}")


REFUSED_AS_PERSON = {("alice", "password"), ("alice", "tokens/new")}
