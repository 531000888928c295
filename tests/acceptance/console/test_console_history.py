"""The pages of revisions, drift and the audit log, its exports, and the overview of administrators."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator

import pytest
from history_world import HOSTILE, add_history, signed_in, world_of
from organisation import Applied
from visitor import Visitor, World

from reconciler.store.audit import from_lines, verify

PAGES = ("/revisions", "/revisions/1", "/drift", "/audit", "/audit.csv", "/audit.jsonl", "/mail")


@pytest.fixture(scope="module")
def world(applied_on_sqlite: Applied, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    found = world_of(applied_on_sqlite, tmp_path_factory.mktemp("history"))
    add_history(found)
    yield found
    found.service.stop()


@pytest.fixture(scope="module")
def root(world: World) -> Visitor:
    return signed_in(world, "root")


@pytest.mark.parametrize("path", PAGES)
def test_only_administrators_see_what_happened(world: World, path: str) -> None:
    assert signed_in(world, "alice").send("GET", path).status_code == 403
    assert Visitor(world).send("GET", path).headers["location"].startswith("/login?next=")


def test_revisions_are_listed_the_newest_first(root: Visitor) -> None:
    html = root.get("/revisions")
    assert re.findall(r'<a href="/revisions/(\d+)">', html) == ["4", "3", "2", "1"]
    assert "repair of drift" in html
    assert "1 override" in html
    assert "is in force since" in html


def test_a_revision_says_what_it_changed_and_why_guards_were_overridden(root: Visitor) -> None:
    html = root.get("/revisions/3")
    assert '<th scope="row" class="mono">administrators</th>' in html
    assert "told so &lt;script&gt;" in html
    assert "\\u202e" in html
    for name in ("carol", "broker", "brokers"):
        assert name in html
    assert html.count(">deleted</span>") == 3
    assert "/users/carol" not in html, "she has no page any more"
    assert '<a class="mono" href="/users/bob">bob</a>' in root.get("/revisions/4")


def test_revisions_lead_to_each_other_and_to_the_forge_if_its_address_tells(world: World, root: Visitor) -> None:
    assert 'href="/revisions/1"' in root.get("/revisions/2") and 'href="/revisions/3"' in root.html
    assert "Open the commit" not in root.html
    world.execute("UPDATE revisions SET repository = 'https://github.com/acme/access.git' WHERE id = 2")
    (link,) = re.findall(r'href="(https://github.com/acme/access/commit/[0-9a-f]{40})"', root.get("/revisions/2"))
    assert link.endswith(re.findall(r'<span class="mono">([0-9a-f]{40})<', root.html)[0])
    world.execute("UPDATE revisions SET repository = 'javascript:alert(1)' WHERE id = 2")
    assert 'href="javascript' not in root.get("/revisions/2")


@pytest.mark.parametrize("number", ["0", "99", "01", "x", "-1", "1.0", "9" * 30, "%F0%9F%98%80", "1%2F2"])
def test_there_is_no_other_revision(root: Visitor, number: str) -> None:
    root.get(f"/revisions/{number}", 404)


def test_a_revision_says_who_gained_and_lost_access(world: World, root: Visitor) -> None:
    html = root.get("/revisions/2")
    lost = html[html.index('id="lost"') : html.index('id="changes"')]
    assert re.findall(r'<span class="lost"><a class="mono" href="/users/(\w+)">', lost) == ["bob"]
    assert 'href="/issuers/vpn"' in lost
    assert 'id="gained"' not in html
    html = root.get("/revisions/3")
    assert "became an administrator" in html
    world.execute(
        'UPDATE revision_access SET detail = replace(detail, \'"cut":{}\', \'"cut":{"lost":1234}\') WHERE revision_id = 2'
    )
    assert "And 1,234 more, which are not kept one by one." in root.get("/revisions/2")
    assert "Nobody&#39;s access changed with it." in root.get("/revisions/4") or "Nobody's access changed" in root.html


def test_an_old_revision_says_that_its_access_was_not_kept(world: World, root: Visitor) -> None:
    world.execute("DELETE FROM revision_access WHERE revision_id = 1")
    assert "applied before Accord kept who gained and lost access" in root.get("/revisions/1")


def test_a_page_of_changes_follows_the_other(world: World, root: Visitor) -> None:
    world.apply({f"users/many{number}.yaml": _user(number) for number in range(60)})
    number = int(re.findall(r'<a href="/revisions/(\d+)">', root.get("/revisions"))[0])
    first = root.get(f"/revisions/{number}")
    following = re.findall(rf'href="(/revisions/{number}\?cursor=[^"]+)"', first)[0]
    second = root.get(following)
    names = [re.findall(r'href="/users/(many\d+)"', html) for html in (first, second)]
    assert [len(each) for each in names] == [50, 10]
    assert len({*names[0], *names[1]}) == 60
    root.get(f"/revisions/{number}?cursor=nonsense", 404)


def _user(number: int) -> dict[str, object]:
    spec = {"email": f"many{number}@example.org", "initialPassword": "none"}
    return {"apiVersion": "accord/v1", "kind": "User", "metadata": {"name": f"many{number}"}, "spec": spec}


def test_the_log_is_filtered_by_its_address(root: Visitor) -> None:
    html = root.get("/audit?kind=User&name=carol")
    assert re.findall(r'<td class="mono nowrap">([^<]+)</td>', html) == ["user.delete", "user.create"]
    assert 'value="carol"' in html
    assert "/audit?kind=User&amp;name=carol" not in re.findall(r'class="chip" href="([^"]+)"', html)
    assert "user.create" in root.get("/audit?action=user.create&from=2020-01-01&until=2100-01-01")
    assert "No entry matches" in root.get("/audit?until=2020-01-01")
    assert "No entry matches" in root.get("/audit?actor=nobody-at-all")
    for wrong in ("from=x", "until=2026-13-40", "from=9999-99-99", "until=9999-12-31", "from=%E2%80%AE"):
        root.get(f"/audit?{wrong}", 422)
    root.get("/audit?from=2026-01-01T00:00:00Z&until=2026-01-01T00:00:00%2B02:00")


def test_details_are_words_and_lead_to_pages(root: Visitor) -> None:
    html = root.get("/audit?action=login.succeed&actor=root")
    assert "<dt>password change required</dt><dd>no</dd>" in html
    assert '<a class="mono" href="/users/root">root</a>' in html
    assert "{&#34;" not in html and '{"' not in html


def test_the_head_of_the_chain_is_shown(world: World, root: Visitor) -> None:
    html = root.get("/audit")
    (row,) = world.service.reader.rows("SELECT audit_head FROM state")
    assert row[0] in html


def test_an_export_of_lines_is_the_chain(world: World, root: Visitor) -> None:
    answer = root.send("GET", "/audit.jsonl")
    assert re.fullmatch(r'attachment; filename="audit-[0-9-]{10}\.jsonl"', answer.headers["content-disposition"])
    rows = list(from_lines(answer.content.splitlines()))
    (state,) = world.service.reader.rows("SELECT audit_count, audit_head FROM state")
    assert verify(rows, count=state[0], head=state[1]) is None
    assert "\u202e" not in answer.text


def test_an_export_has_the_filters_of_the_page(root: Visitor) -> None:
    lines = root.send("GET", "/audit.jsonl?kind=User&name=carol").content.splitlines()
    assert [json.loads(line)["action"] for line in lines] == ["user.create", "user.delete"]
    header, *rows = csv.reader(io.StringIO(root.send("GET", "/audit.csv?kind=User&name=carol").text))
    assert [dict(zip(header, row, strict=True))["action"] for row in rows] == ["user.create", "user.delete"]
    root.get("/audit.csv?from=x", 422)


def test_no_cell_of_an_export_is_a_formula(world: World, root: Visitor) -> None:
    world.execute(
        "INSERT INTO audit (id, at, actor, action, kind, name, detail, previous_hash, hash) SELECT max(id) + 1, "
        "'2026-01-01T00:00:00.000000Z', '=HYPERLINK(1)', '@x', '', '', '{\"a\": \"\u202e\"}', '', '' FROM audit"
    )
    found = root.send("GET", "/audit.csv?actor=%3DHYPERLINK(1)").text
    assert "'=HYPERLINK(1),'@x" in found
    assert "\\u202e" in found and "\u202e" not in found
    world.execute("DELETE FROM audit WHERE actor = '=HYPERLINK(1)'")


def test_nothing_differs_from_what_was_applied(root: Visitor) -> None:
    html = root.get("/drift")
    assert "as it was applied" in html
    assert "None: every row came from Git." in html
    assert "accord drift --repair" not in html


def test_rows_written_by_hand_are_told_with_the_commands_that_mend_them(world: World, root: Visitor) -> None:
    world.execute("UPDATE teams SET description = 'by hand' WHERE name = 'office'")
    world.execute("INSERT INTO teams (id, name) VALUES (900, 'backdoor')")
    world.service.drift._stamp = None
    html = root.get("/drift")
    assert ">differs</span>" in html
    assert re.findall(r'<th scope="row">(\w+)</th><td>2 groups of rows differ<', html) == ["teams"]
    for command in ("accord drift", "accord drift --repair", "accord drift --patch", "accord plan --adopt"):
        assert command in html
    assert 'href="/teams/backdoor"' in html
    assert ">differs</span>" in root.get("/")
    world.execute("DELETE FROM teams WHERE id = 900")
    world.accord("drift", "--repair", "--yes")
    assert "as it was applied" in root.get("/drift"), "another generation is compared at once"


def test_the_overview_of_administrators_leads_to_what_it_counts(world: World, root: Visitor) -> None:
    html = root.get("/")
    for address in ("/drift", "/mail?state=waiting", "/certificates?state=expiring"):
        assert f'href="{address}"' in html
    assert re.search(r'<a href="/revisions/\d+" class="mono">[0-9a-f]{10}</a>', html)
    mine = signed_in(world, "alice").get("/")
    assert "Revision in force" not in mine and "/mail" not in mine


def test_hostile_texts_are_texts(root: Visitor) -> None:
    for path in (
        "/revisions",
        "/revisions/2",
        "/revisions/3",
        "/audit",
        "/audit?kind=User&name=carol",
        "/audit?kind=Team&name=web",
    ):
        html = root.get(path)
        assert "<script>alert" not in html and "<b>Jones" not in html and "\u202e" not in html
    root.get(f"/audit?actor={HOSTILE.encode().hex()}&name=%3Cscript%3E%22")
    assert "&lt;script&gt;" in root.html and "<script>%" not in root.html
