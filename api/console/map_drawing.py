"""Where the nodes and bands of the access map are drawn: three columns, and bands as wide as the access that they carry. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from api.reads.access_map import Column

COLUMNS: tuple[Column, ...] = ("people", "teams", "issuers")
WIDTH, BOX = 952.0, 220.0
"""Of the drawing and of a node, in units of the drawing."""
LETTERS = 27
"""How many letters fit into a node."""
_LOW, _GAP, _TOP = 26.0, 8.0, 34.0
"""The height of the lowest node, what lies between two of them, and what lies above the first."""
_TALL = 420.0
"""The height that all access of the drawing would have, in one node."""
_WAY = 14.0
"""The width of one way, where there are few."""
_THIN = 1.5
"""The width of a band that carries hardly anything."""
_ROUNDS = 6


class Node(NamedTuple):
    """Something in a column."""

    key: str
    label: str
    detail: str
    """A few letters beside the label: how many it stands for."""
    title: str
    """The same in a sentence."""
    href: str
    kind: str = ""
    """What it is, as a class for its look."""


class Band(NamedTuple):
    """Access that leads from a node to one of the next column."""

    source: str
    target: str
    weight: int
    ends: bool
    """All of it ends by itself."""
    title: str


class PlacedNode(NamedTuple):
    """A node where it is drawn, and the bands that belong to it."""

    node: Node
    x: float
    y: float
    height: float
    bands: tuple[int, ...]


class PlacedBand(NamedTuple):
    """A band as the outline of an area (SVG 2, section 9.3)."""

    band: Band
    outline: str


class Drawing(NamedTuple):
    """All of it."""

    height: float
    headings: tuple[tuple[float, str], ...]
    nodes: tuple[PlacedNode, ...]
    bands: tuple[PlacedBand, ...]


def draw(columns: Mapping[Column, Sequence[Node]], bands: Sequence[Band]) -> Drawing:
    """Place nodes so that bands cross little, and bands so that none covers another where it meets a node."""
    order = _untangled({column: [node.key for node in columns[column]] for column in COLUMNS}, bands)
    unit = min(_WAY, _TALL / max(1, sum(band.weight for band in bands) / 2))
    widths = [max(_THIN, band.weight * unit) for band in bands]
    sides = {key: [0.0, 0.0] for keys in order.values() for key in keys}
    for band, width in zip(bands, widths, strict=True):
        sides[band.source][1] += width
        sides[band.target][0] += width
    heights = {key: max(_LOW, *both) for key, both in sides.items()}
    total = max((sum(heights[key] + _GAP for key in keys) for keys in order.values()), default=0.0)
    left = {column: index * (WIDTH - BOX) / 2 for index, column in enumerate(COLUMNS)}
    top: dict[str, float] = {}
    for keys in order.values():
        free = total - sum(heights[key] + _GAP for key in keys)
        y = _TOP + free / 2
        for key in keys:
            top[key] = y
            y += heights[key] + _GAP
    outlines = _outlines(order, bands, widths, top, heights, sides, left)
    of_node: dict[str, list[int]] = {key: [] for key in top}
    for number, band in enumerate(bands):
        of_node[band.source].append(number)
        of_node[band.target].append(number)
    by_key = {node.key: node for column in COLUMNS for node in columns[column]}
    nodes = tuple(
        PlacedNode(by_key[key], left[column], round(top[key], 1), round(heights[key], 1), tuple(of_node[key]))
        for column in COLUMNS
        for key in order[column]
    )
    headings = tuple((left[column], column.capitalize()) for column in COLUMNS)
    placed = tuple(PlacedBand(band, outline) for band, outline in zip(bands, outlines, strict=True))
    return Drawing(_TOP + total, headings, nodes, placed)


def _untangled(columns: dict[Column, list[str]], bands: Sequence[Band]) -> dict[Column, list[str]]:
    """The order of each column by the middle of what each node is connected with, back and forth (Sugiyama's heuristic)."""
    neighbours: dict[str, list[tuple[str, int]]] = {key: [] for keys in columns.values() for key in keys}
    for band in bands:
        neighbours[band.source].append((band.target, band.weight + 1))
        neighbours[band.target].append((band.source, band.weight + 1))
    order = {column: list(keys) for column, keys in columns.items()}
    for number in range(_ROUNDS):
        for column in ("people", "issuers") if number % 2 else ("teams",):
            places = {
                key: index / max(1, len(keys) - 1)
                for other, keys in order.items()
                if other != column
                for index, key in enumerate(keys)
            }
            order[column].sort(key=lambda key: _middle(neighbours[key], places))  # stable: what is level stays in its order
    return order


def _middle(neighbours: Sequence[tuple[str, int]], places: Mapping[str, float]) -> float:
    weights = sum(weight for _, weight in neighbours)
    return sum(places[key] * weight for key, weight in neighbours) / weights if weights else 1.0


def _outlines(
    order: Mapping[Column, Sequence[str]],
    bands: Sequence[Band],
    widths: Sequence[float],
    top: Mapping[str, float],
    heights: Mapping[str, float],
    sides: Mapping[str, Sequence[float]],
    left: Mapping[Column, float],
) -> list[str]:
    """Each band's area. At a node, bands lie side by side, in the order of the nodes that they lead to."""
    column_of = {key: column for column, keys in order.items() for key in keys}
    begins, ends = [0.0] * len(bands), [0.0] * len(bands)
    used: dict[tuple[str, int], float] = {}
    for side, starts in ((1, begins), (0, ends)):
        near = [band.source if side else band.target for band in bands]
        far = [band.target if side else band.source for band in bands]
        for number in sorted(range(len(bands)), key=lambda each: top[far[each]]):
            key = near[number]
            offset = used.setdefault((key, side), (heights[key] - sides[key][side]) / 2)
            starts[number] = top[key] + offset
            used[key, side] = offset + widths[number]
    found = []
    for number, band in enumerate(bands):
        x0, x1 = left[column_of[band.source]] + BOX, left[column_of[band.target]]
        half, whole = (f"{part:.0f}" for part in ((x1 - x0) / 2, x1 - x0))
        corners = begins[number], ends[number], ends[number] + widths[number], begins[number] + widths[number]
        y0, y1, y2, y3 = (round(each, 1) for each in corners)
        there, down, back = (f"{round(part, 1):g}" for part in (y1 - y0, y2 - y1, y3 - y2))
        # relative to where each part begins, which takes half the letters
        found.append(f"M{x0:.0f} {y0:g}c{half} 0 {half} {there} {whole} {there}v{down}c-{half} 0-{half} {back}-{whole} {back}z")
    return found


def shortened(text: str, letters: int) -> str:
    """A label that fits into a node. Long names often begin alike, so their ends tell more."""
    return text if len(text) <= letters else f"{text[:6]}…{text[7 - letters :]}"
