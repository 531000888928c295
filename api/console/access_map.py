"""The access map as it is shown: what a map's nodes are called and lead to, its drawing, and the same as tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple
from urllib.parse import quote

from api.console.map_drawing import LETTERS, Band, Drawing, Node, draw, shortened
from api.console.pages import Answer, Page, Visit, page
from api.reads import access_map
from api.reads.access_map import AccessMap, By, Column
from api.reads.own_map import own_facts
from reconciler.wording.text import count

_PAGES: Mapping[Column, str] = {"people": "/users", "teams": "/teams", "issuers": "/issuers"}
_NOUNS: Mapping[Column, tuple[str, str]] = {
    "people": ("person", "people"),
    "teams": ("team", "teams"),
    "issuers": ("issuer", "issuers"),
}
_BY: tuple[By, ...] = ("folder", "label", "issuer")


class More(NamedTuple):
    """What of a column is not drawn, and where all of it is listed."""

    words: str
    href: str


class Shown(NamedTuple):
    """A map, ready to be drawn and listed."""

    map: AccessMap
    drawing: Drawing
    names: Mapping[str, Node]
    more: tuple[More | None, ...]
    """By column."""


class Map(Page):
    """`/map`."""

    @page()
    def on_get(self, visit: Visit) -> Answer:
        """Everybody's access for administrators, and their own for others."""
        query, everything = visit.query, visit.caller.is_administrator
        by: By = next((each for each in _BY if each == query.text("by")), "folder")
        focus, label = (query.text("focus") or None) if everything else None, query.text("label")
        found: AccessMap | None
        if everything:
            maps = visit.service.maps
            found = maps.map_of(visit.now, by, label, focus)
            keys, label = maps.labels(), maps.label_of(label)
        else:
            keys = ()
            found = access_map.make_map(
                own_facts(visit.caller.access, visit.caller.name, visit.now), by, label, f"people:{visit.caller.name}"
            )
        return visit.render(
            "map.html",
            by=by,
            label=label,
            labels=keys,
            focus=focus,
            shown=found and shown_map(visit, found, everything=everything),
        )


def shown_map(visit: Visit, found: AccessMap, *, everything: bool) -> Shown:
    """A map as it is drawn."""
    columns: dict[Column, list[Node]] = {"people": [], "teams": [], "issuers": []}
    for each in found.nodes:
        columns[each.column].append(node_of(visit, each, everything=everything))
    names = {node.key: node for nodes in columns.values() for node in nodes}
    bands = [part for each in found.bands for part in parts_of(names, each, whole=len(found.bands) > access_map.BANDS // 2)]
    left: dict[Column, int] = {"people": found.more_people, "teams": found.more_teams, "issuers": found.more_issuers}
    more = tuple(More(f"and {number:,} more", _PAGES[column]) if number else None for column, number in left.items())
    return Shown(found, draw(columns, bands), names, more)


def node_of(visit: Visit, node: access_map.Node, *, everything: bool) -> Node:
    """How a node is called, and where it leads: to the map around it, and from there to its page."""
    one, several = _NOUNS[node.column]
    first = node.names[0] if node.names else node.title
    folded = node.column == "teams" and node.id.startswith("teams:")
    name = (node.title or "(none)") if folded else first
    number = count(node.number, one, several)
    detail = number if folded else f"+{node.number - 1:,}" if node.number > 1 else ""
    listed = ", ".join(node.names) + (f" and {node.number - len(node.names):,} more" if node.number > len(node.names) else "")
    title = f"{f'{name}: ' if folded else ''}{number}: {listed}; {count(node.access, 'way')} of a person to an issuer"
    focused = visit.query.text("focus")
    if not everything or node.id == focused:
        href = f"{_PAGES[node.column]}/{quote(first, safe='@')}" if everything or node.column != "people" else "/me"
        if node.id == focused and node.number > 1:
            href = visit.query.address("/map", focus=None)
    else:
        href = visit.query.address("/map", focus=node.id)
    return Node(node.id, shortened(name, LETTERS - len(detail)), detail, title, href, "many" if node.number > 1 else "")


def parts_of(names: Mapping[str, Node], band: access_map.Band, *, whole: bool) -> Iterator[Band]:
    """A band as it is drawn: what lasts and what ends by itself side by side, or as one `whole`, where there are many."""
    words = band_words(names, band)
    if whole or band.ending in (0, band.access):
        yield Band(band.start, band.end, band.access, band.ending == band.access, words)
    else:
        yield Band(band.start, band.end, band.access - band.ending, False, words)
        yield Band(band.start, band.end, band.ending, True, words)


def band_words(names: Mapping[str, Node], band: access_map.Band) -> str:
    """What a band says when one points at it."""
    part = "all" if band.ending == band.access else f"{band.ending:,}"
    ends = f", {part} of which end by themselves" if band.ending else ""
    return f"{names[band.start].label} to {names[band.end].label}: {count(band.access, 'way')}{ends}"
