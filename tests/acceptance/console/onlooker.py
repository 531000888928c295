"""Somebody who looks at pages: what a page says, and where its links lead."""

from __future__ import annotations

from html.parser import HTMLParser

from visitor import OFFICE, Visitor, World


class Shown(HTMLParser):
    """A page: its text with single blanks, its tags, and the addresses of its links."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.links: list[str] = []
        self.tags: list[str] = []
        self._texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name == "href" and value is not None]

    def handle_data(self, data: str) -> None:
        self._texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self._texts).split())

    def links_to(self, begin: str) -> list[str]:
        """The links that begin like this."""
        return [link for link in self.links if link.startswith(begin)]


class Onlooker(Visitor):
    """Somebody with a session, or nobody."""

    def __init__(self, world: World, name: str | None, address: str = OFFICE) -> None:
        super().__init__(world, address)
        if name is not None:
            self.cookies["accord"] = world.mint(name, kind="session", carrier="cookie").secret

    def see(self, path: str, code: int = 200) -> Shown:
        """The page at an address, which has this status."""
        return Shown(self.get(path, code))
