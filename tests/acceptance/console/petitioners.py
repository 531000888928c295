"""People who propose changes in the console, in this process, against real repositories: a path, or a forge over HTTP."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import falcon.testing
from organisation import Applied, copy_repository, copy_sqlite
from scenario import Accord

sys.path.append(str(Path(__file__).parent.parent / "api"))

from client import OFFICE, World
from waiting import LONG

from api.app import create_app
from api.console.proposing import Proposing

ORIGIN = {"Host": "127.0.0.1", "Origin": "http://127.0.0.1", "Sec-Fetch-Site": "same-origin"}
NEW = {"name": "cleo", "email": "cleo@example.org", "fullName": "Cleo Zöe", "team": ["web"], "why": "She joins the web team"}
"""A form that adds a user."""
WEB = """apiVersion: accord/v1
kind: Team
metadata: {name: web}
spec:
  issuers: [tls, vpn]
  members:
    - alice
    - bob
"""
"""What `teams/web.yaml` says, in a form that is edited by lines."""


class Form(NamedTuple):
    """A form of a page: where it goes, and its fields as a browser would send them."""

    action: str
    fields: list[tuple[str, str]]
    buttons: list[tuple[str, str]]


class Seen(HTMLParser):
    """A page: its status, its text with single blanks, its links, and its forms."""

    def __init__(self, status: int, html: str) -> None:
        super().__init__()
        self.status, self.html = status, html
        self.links: list[str] = []
        self.forms: list[Form] = []
        self._texts: list[str] = []
        self._area: str | None = None
        self._select: str | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag == "form":
            self.forms.append(Form(given.get("action", ""), [], []))
        if not self.forms:
            return
        fields, buttons = self.forms[-1].fields, self.forms[-1].buttons
        if tag == "input" and given.get("type") in ("checkbox", "radio"):
            if "checked" in given:
                fields.append((given["name"], given.get("value", "on")))
        elif tag == "input":
            fields.append((given["name"], given.get("value", "")))
        elif tag == "textarea":
            self._area = given["name"]
            fields.append((self._area, ""))
        elif tag == "select":
            self._select = given["name"]
        elif tag == "option" and self._select:
            is_first = self._select not in dict(fields)
            if "selected" in given and not is_first:
                fields.pop()
            if "selected" in given or is_first:
                fields.append((self._select, given["value"]))
        elif tag == "button" and "name" in given:
            buttons.append((given["name"], given.get("value", "")))

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            self._area = None
        if tag == "select":
            self._select = None

    def handle_data(self, data: str) -> None:
        self._texts.append(data)
        if self._area and self.forms:
            fields = self.forms[-1].fields
            so_far = fields[-1][1]
            fields[-1] = (fields[-1][0], so_far + data if so_far else data.removeprefix("\n"))  # a first line break is not text

    @property
    def text(self) -> str:
        return " ".join(" ".join(self._texts).split())

    def form(self, button: str) -> Form:
        """The form with this step."""
        (found,) = [each for each in self.forms if ("step", button) in each.buttons]
        return found

    def has_step(self, button: str) -> bool:
        return any(("step", button) in each.buttons for each in self.forms)


class Petitioner:
    """Somebody with a session, who fills in forms."""

    def __init__(self, desk: Desk, name: str) -> None:
        self._desk = desk
        self._cookie = desk.world.mint(name, kind="session", carrier="cookie").secret

    def send(self, method: str, path: str, fields: Any = None, **headers: str) -> falcon.testing.Result:
        given = {**ORIGIN, "Cookie": f"accord={self._cookie}", **headers}
        path, _, query = path.partition("?")
        more = {} if fields is None else {"body": urlencode(fields)}
        if fields is not None:
            given["Content-Type"] = "application/x-www-form-urlencoded"
        client = falcon.testing.TestClient(self._desk.app)
        return client.simulate_request(method, path, query_string=query, headers=given, remote_addr=OFFICE, **more)

    def see(self, path: str, code: int = 200) -> Seen:
        """The page at an address; one redirection is followed."""
        answer = self.send("GET", path)
        if answer.status_code == 303:
            answer = self.send("GET", answer.headers["location"])
        assert answer.status_code == code, (path, answer.status, answer.text[-1500:])
        return Seen(answer.status_code, answer.text)

    def press(self, form: Form, step: str, code: int = 200, **changed: str | list[str]) -> Seen:
        """What comes of a form with other values for some fields; a redirection is followed."""
        answer = self.answer(form, step, **changed)
        if answer.status_code == 303:
            return self.see(answer.headers["location"])
        assert answer.status_code == code, (answer.status, Seen(0, answer.text).text[-1500:])
        return Seen(answer.status_code, answer.text)

    def answer(self, form: Form, step: str, **changed: str | list[str]) -> falcon.testing.Result:
        fields = [(name, value) for name, value in form.fields if name not in changed]
        for name, values in changed.items():
            fields += [(name, value) for value in ([values] if isinstance(values, str) else values)]
        return self.send("POST", unescape(form.action), [*fields, ("step", step)])

    def preview(self, path: str, code: int = 200, **values: str | list[str]) -> Seen:
        """The preview of a form that is filled in."""
        return self.press(self.see(path).form("preview"), "preview", code, **values)

    def propose(self, path: str, **values: str | list[str]) -> Seen:
        """The page of what was proposed."""
        return self.press(self.preview(path, **values).form("propose"), "propose")


class Desk:
    """A world whose console knows the repository, and that repository."""

    def __init__(self, world: World, environment: Mapping[str, str]) -> None:
        self.world = world
        world.service.settings = world.service.settings._replace(repository=True)
        self.app = create_app(world.service)
        patient = {"ACCORD_PROPOSAL_TIMEOUT": f"{LONG:g}s", **environment}  # however slow the machine is
        self.become(Proposing(world.url, is_configured=True, environment=patient, seconds=LONG, wait=LONG))

    def become(self, proposing: Proposing) -> None:
        """Let the console propose in another way."""
        found = self.app._router.find("/proposals")
        assert found is not None
        found[0].site.proposing = proposing
        self.proposing = proposing

    def __getitem__(self, name: str) -> Petitioner:
        return Petitioner(self, name)

    def git(self, *arguments: str) -> str:
        git = ["git", "-c", "user.name=M", "-c", "user.email=m@example.org", "-C", str(self.world.repository.path), *arguments]
        return subprocess.run(git, capture_output=True, text=True, check=True).stdout

    def branches(self) -> list[str]:
        return [name for name in self.git("for-each-ref", "--format=%(refname:short)", "refs/heads").split() if name != "main"]


def commit_in(page: Seen) -> str:
    """The commit that a preview would propose."""
    found = re.search(r'name="expect" value="([0-9a-f]+)"', page.html)
    assert found is not None
    return found[1]


@contextmanager
def desk_at(applied: Applied, folder: Path) -> Iterator[Desk]:
    """A desk over a copy of an applied organisation."""
    repository = copy_repository(applied, folder / "config.git")
    world = World(Accord(repository.path, copy_sqlite(applied, folder / "accord.db"), folder / "cache"))
    kept = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    proposing = {name: world.accord.environment[name] for name in ("ACCORD_REPOSITORY", "ACCORD_CACHE")}
    yield Desk(world, {**kept, **proposing})
    world.service.stop()
