"""The drawing as SVG."""

from __future__ import annotations

import re
from itertools import combinations, pairwise
from xml.etree import ElementTree

import pytest
from picture.shop import drawing

from leaklint.picture import svg
from leaklint.picture.drawing import Drawing, Edge, Node, NodeType
from leaklint.picture.layers import layered

SVG = "{http://www.w3.org/2000/svg}"
Box = tuple[float, float, float, float]


def crowd() -> Drawing:
    """Many nodes in few modules, each connected with some others, in circles too."""
    nodes = [
        Node(f"u{n}", NodeType.UNIT if n % 3 else NodeType.RESOURCE, "task" if n % 3 else "lock", _name(n), f"m{n % 5}.py", n + 1, None)
        for n in range(90)
    ]
    nodes.sort(key=lambda node: node.path)
    edges = [Edge(node.path, n, "acquire", node, nodes[n * step % 90]) for n, node in enumerate(nodes) for step in (2, 7, 31)]
    return Drawing(tuple(nodes), tuple(edges), {f"m{n}.py": f"m{n}" for n in range(5)})


def _name(number: int) -> str:
    return f"name<{number}>" * (number % 7 + 1)


def boxes(text: str, kind: str) -> list[Box]:
    """Left, top, right, bottom."""
    found = []
    for rect in ElementTree.fromstring(text).iter(f"{SVG}rect"):
        if kind in rect.attrib["class"].split():
            x, y, width, height = (float(rect.attrib[name]) for name in ("x", "y", "width", "height"))
            found.append((x, y, x + width, y + height))
    return found


def overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


@pytest.mark.parametrize("drawn", [drawing(), crowd()], ids=["shop", "crowd"])
def test_no_card_lies_on_another_and_every_text_is_inside_its_card(drawn: Drawing) -> None:
    text = svg(drawn)
    cards = boxes(text, "card")
    assert len(cards) >= len(drawn.nodes)
    assert not [pair for pair in combinations(cards, 2) if overlap(*pair)]
    assert not [pair for pair in combinations(boxes(text, "frame"), 2) if overlap(*pair)]
    for group in ElementTree.fromstring(text).iter(f"{SVG}g"):
        rect, lines = group.find(f"{SVG}rect"), group.findall(f"{SVG}text")
        assert rect is not None
        left, top = float(rect.attrib["x"]), float(rect.attrib["y"])
        heights = [float(line.attrib["y"]) for line in lines]
        assert all(above + 9 < below for above, below in pairwise(heights))
        assert top < heights[0] - 10
        assert heights[-1] < top + float(rect.attrib["height"])
        for line in lines:
            size = 13 if line.attrib["class"] == "name" else 10
            assert left < float(line.attrib["x"])
            assert float(line.attrib["x"]) + len(line.text or "") * size * 0.6 < left + float(rect.attrib["width"])


def test_light_and_dark_without_custom_properties() -> None:
    text = svg(drawing())
    assert "@media (prefers-color-scheme: dark)" in text
    assert "var(" not in text
    assert re.findall(r"(?:href|src|url)\W+http", text) == []


def test_nothing_makes_an_empty_drawing() -> None:
    assert ElementTree.fromstring(svg(Drawing((), (), {}))).tag == f"{SVG}svg"


def test_arrows_lead_to_the_right_where_no_circle_is() -> None:
    sizes = dict.fromkeys("abcd", (10.0, 10.0))
    corners = layered(sizes, [("a", "b"), ("b", "c"), ("c", "a"), ("a", "d")], (5.0, 5.0)).corners
    assert corners["a"][0] < corners["b"][0] < corners["c"][0]
    assert corners["a"][0] < corners["d"][0]
