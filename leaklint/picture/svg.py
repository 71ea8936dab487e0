"""A drawing that needs nothing but a viewer: SVG, laid out here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from unicodedata import east_asian_width

from leaklint.picture.drawing import Drawing, Link, Node, links
from leaklint.picture.families import FAMILIES, act, family
from leaklint.picture.layers import Layout, Size, layered, packed
from leaklint.picture.outside import apart
from leaklint.picture.palette import plain

_LETTER = 0.62
"""Width of a letter in the monospaced fonts of the usual systems, in font sizes, rounded up."""
_NAME, _SMALL = 13.0, 10.0
_PAD, _HEAD, _ROW = 10.0, 48.0, 15.0
_TITLE = 30.0
_MARGIN = 24.0
_LONGEST = 44
"""Letters of a text; longer ones end in `…`."""
_ROWS = 8


def svg(drawing: Drawing) -> str:
    """A box for each module with a card for each node in it. What is done to a node stands in the rows of its card, and the arrows of those
    who do it end there, so that no text lies on another. Light or dark as the viewer prefers."""
    split = apart(drawing)
    all_links = links(split.edges)
    cards = {node: _card(node, rows) for node, rows in _rows(split.nodes, all_links).items()}
    modules = {path: list(nodes) for path, nodes in groupby(split.nodes, key=lambda node: node.path)}
    weighed = _by_weight(all_links)
    within: dict[str, list[tuple[str, str]]] = {path: [] for path in modules}
    for link in weighed:
        if link.source.path == link.target.path:
            within[link.source.path].append((link.source.id, link.target.id))
    inner = {path: layered({n.id: cards[n].size for n in nodes}, within[path], (56.0, 16.0)) for path, nodes in modules.items()}
    titles = {path: _cut(drawing.modules.get(path, "")) for path in modules}
    sizes = {path: _framed(layout, titles[path]) for path, layout in inner.items()}
    across = [(link.source.path, link.target.path) for link in weighed if not link.is_ownership]
    outer = _outer(sizes, across)
    corners = {
        node: (_MARGIN + outer.corners[path][0] + x, _MARGIN + outer.corners[path][1] + y)
        for path, nodes in modules.items()
        for node in nodes
        for x, y in [_in_frame(inner[path].corners[node.id])]
    }
    lines = [*_frames(outer, sizes, titles), *_arrows(all_links, cards, corners), *_cards(cards, corners)]
    width, height = (f"{one + 2 * _MARGIN:.0f}" for one in (outer.width, outer.height))
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
    return "\n".join((head, f"<style>{plain(_STYLE + _families())}</style>", _MARKERS, *lines, "</svg>", ""))


_STYLE = """\
svg { background: var(--ground); }
text { font-family: ui-monospace, "SFMono-Regular", Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: var(--ink); }
.title { font-size: 13px; font-weight: 600; fill: var(--soft); }
.name { font-size: 13px; font-weight: 600; }
.small { font-size: 10px; fill: var(--soft); }
.frame { fill: var(--sunken); stroke: var(--line); }
.card { stroke-width: 1.4; }
.open { stroke-dasharray: 5 4; }
.arrow { fill: none; stroke: var(--edge); stroke-width: 1.2; }
.tip { fill: var(--edge); }
.far { opacity: 0.45; }
.own { stroke-dasharray: 2 4; }
"""


def _families() -> str:
    names = sorted({*FAMILIES.values()})
    return "".join(f"rect.{n} {{ fill: var(--{n}-fill); stroke: var(--{n}); }}\ntext.{n} {{ fill: var(--{n}); }}\n" for n in names)


_MARKERS = (
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path d="M0 0.8 7 4 0 7.2z" class="tip"/></marker></defs>'
)


@dataclass(frozen=True, slots=True)
class _Card:
    """`rows`: operation → the line of text about it."""

    node: Node
    rows: Mapping[str, str]
    size: Size

    def port(self, link: Link) -> float:
        """How far below the upper edge an arrow ends: at the row of its first operation."""
        shown = list(self.rows)
        number = min((shown.index(operation) for operation in link.operations if operation in self.rows), default=len(shown) - 1)
        return _HEAD + max(number, 0) * _ROW + 1


def _rows(nodes: Iterable[Node], all_links: Iterable[Link]) -> dict[Node, dict[str, str]]:
    """Node → operation → the lines where it is done to the node."""
    found: dict[Node, dict[str, dict[int, None]]] = {node: {} for node in nodes}
    for link in all_links:
        for operation, places in link.operations.items():
            found[link.target].setdefault(operation, {}).update((line, None) for _, line in places)
    return {node: _shown(rows) for node, rows in found.items()}


def _shown(rows: Mapping[str, Iterable[int]]) -> dict[str, str]:
    """Those that pass, lock and start things first; what is too much is left out."""
    order = ("passing", "starting", "ending", "locking", "waiting", "owning", "looking")
    texts: dict[str, str] = {}
    for operation in sorted(rows, key=lambda one: order.index(act(one)))[:_ROWS]:
        lines = sorted(rows[operation])
        texts[operation] = f"{operation} {', '.join(map(str, lines[:4]))}{'…' if len(lines) > 4 else ''}"
    return texts


def _card(node: Node, rows: dict[str, str]) -> _Card:
    texts = [(_cut(node.name), _NAME), (_about(node), _SMALL), *((row, _SMALL) for row in rows.values())]
    width = max(_width(text, size) for text, size in texts) + 2 * _PAD + 6
    return _Card(node, rows, (width, _HEAD + (len(rows) * _ROW if rows else -6)))


def _about(node: Node) -> str:
    return f"{node.kind}, line {node.line}" if node.line else "code out of sight"


def _outer(sizes: Mapping[str, Size], across: Sequence[tuple[str, str]]) -> Layout:
    """The modules in the order of what flows between them while that gives about the shape of a page, else in rows."""
    flow = layered(sizes, across, (90.0, 40.0))
    rows = packed([Layout({path: (0.0, 0.0)}, *size) for path, size in sizes.items()], (56.0, 40.0))
    is_page = 0.5 < flow.width / max(flow.height, 1.0) < 4 or len(sizes) < 3
    return flow if is_page and flow.width * flow.height < 2 * rows.width * rows.height else rows


def _by_weight(all_links: Iterable[Link]) -> list[Link]:
    """Those first that say which way is forward: starting and passing on."""
    order = {"starting": 0, "passing": 1, "owning": 2}
    return sorted(all_links, key=lambda link: min(order.get(act(operation), 3) for operation in link.operations))


def _framed(layout: Layout, title: str) -> Size:
    return max(layout.width, _width(title, _NAME)) + 2 * _PAD + 12, layout.height + _TITLE + _PAD + 6


def _in_frame(corner: tuple[float, float]) -> tuple[float, float]:
    return corner[0] + _PAD + 6, corner[1] + _TITLE


def _frames(outer: Layout, sizes: Mapping[str, Size], titles: Mapping[str, str]) -> Iterator[str]:
    for path, (x, y) in outer.corners.items():
        width, height = sizes[path]
        left, top = x + _MARGIN, y + _MARGIN
        yield f'<rect class="frame" x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" rx="10"/>'
        yield _text("title", left + _PAD + 6, top + 20, titles[path])


def _arrows(all_links: Iterable[Link], cards: Mapping[Node, _Card], corners: Mapping[Node, tuple[float, float]]) -> Iterator[str]:
    for link in all_links:
        source, target = corners[link.source], corners[link.target]
        x, y = source[0] + cards[link.source].size[0], source[1] + _HEAD / 2 - 3
        end_x, end_y = target[0] - 1, target[1] + cards[link.target].port(link)
        if end_x < source[0] and link.source is not link.target:  # back to the left: from side to side as well
            x, end_x = source[0], target[0] + cards[link.target].size[0] + 1
        bend = max(36.0, min(160.0, abs(end_x - x) / 2)) * (1 if end_x >= x or link.source is link.target else -1)
        kind = "arrow" + (" own" if link.is_ownership else "") + (" far" if link.source.path != link.target.path else "")
        told = escape(f"{link.source.name} → {link.target.name}: {link.words}")
        lift = 0.0 if link.source.path != link.target.path else _lift((x, y), (end_x, end_y), link, cards, corners)
        way = f"M{x:.1f} {y:.1f}C{x + bend:.1f} {y + lift:.1f} {end_x - bend:.1f} {end_y + lift:.1f} {end_x:.1f} {end_y:.1f}"
        yield f'<path class="{kind}" marker-end="url(#tip)" d="{way}"><title>{told}</title></path>'


def _lift(start: Size, end: Size, link: Link, cards: Mapping[Node, _Card], corners: Mapping[Node, tuple[float, float]]) -> float:
    """How far the middle of an arrow is pulled up or down, to pass by the cards of its module that stand in its way."""
    left, right = sorted((start[0], end[0]))
    top, bottom = sorted((start[1], end[1]))
    between = [
        (corners[node][1], corners[node][1] + card.size[1])
        for node, card in cards.items()
        if node.path == link.source.path and node not in (link.source, link.target)
        if left < corners[node][0] + card.size[0] / 2 < right
        and corners[node][1] < bottom + 6
        and corners[node][1] + card.size[1] > top - 6
    ]
    if not between:
        return 0.0
    middle = (start[1] + end[1]) / 2
    above, below = min(upper for upper, _ in between) - 9, max(lower for _, lower in between) + 9
    nearest = above if middle - above < below - middle else below
    return (nearest - middle) * 4 / 3  # where a cubic curve is half-way


def _cards(cards: Mapping[Node, _Card], corners: Mapping[Node, tuple[float, float]]) -> Iterator[str]:
    for node, card in cards.items():
        (x, y), (width, height) = corners[node], card.size
        colour = family(node.kind)
        radius = 16 if node.type == "resource" else 5
        told = node.place + (f"\nopen: {node.open}" if node.open else "")
        dashed = "card open" if node.open or node.is_anyone else "card"
        yield f"<g><title>{escape(told)}</title>"
        yield (f'<rect class="{dashed} {colour}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="{radius}"/>')
        yield _text("name", x + _PAD + 3, y + 19, _cut(node.name))
        yield _text("small", x + _PAD + 3, y + 33, _about(node))
        for number, row in enumerate(card.rows.values()):
            yield _text(f"small {colour}", x + _PAD + 3, y + _HEAD + number * _ROW + 4, row)
        yield "</g>"


def _text(kind: str, x: float, y: float, text: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'


def _cut(text: str) -> str:
    plain = "".join(letter if letter.isprintable() else " " for letter in text)
    return plain if len(plain) <= _LONGEST else f"{plain[: _LONGEST - 1]}…"


def _width(text: str, size: float) -> float:
    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in text) * size * _LETTER


__all__ = ["svg"]
