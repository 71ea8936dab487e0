"""A layered layout: boxes in columns, so that arrows lead from left to right where they can. networkx orders the layers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import networkx as nx

Size = tuple[float, float]
"""Width and height, in pixels."""

_SWEEPS = 6
_SHAPE = 1.7
"""How much wider than high a whole picture is to be."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The left upper corner of each box, and the size of the whole, which begins at (0, 0)."""

    corners: Mapping[str, tuple[float, float]]
    width: float
    height: float


def layered(sizes: Mapping[str, Size], arrows: Iterable[tuple[str, str]], gaps: Size) -> Layout:
    """Sugiyama's method: break cycles, assign layers, order each by the barycentres of the neighbours, place. Parts that nothing
    connects are packed side by side. `gaps` are those between layers and between the boxes of a layer; of the arrows that
    close a cycle the first ones given decide which way is forward."""
    import networkx as nx

    graph = nx.DiGraph()
    graph.add_nodes_from(sizes)
    for source, target in dict.fromkeys(arrows):
        if source != target and not graph.has_edge(source, target) and not nx.has_path(graph, target, source):
            graph.add_edge(source, target)
    order = {name: number for number, name in enumerate(sizes)}
    parts = [sorted(part, key=order.__getitem__) for part in nx.weakly_connected_components(graph)]
    tallest = max(6, math.ceil(math.sqrt(len(sizes)) * 1.2))
    return packed(
        [_part(graph.subgraph(part), part, sizes, gaps, tallest) for part in sorted(parts, key=lambda p: (-len(p), order[p[0]]))], gaps
    )


def packed(parts: Sequence[Layout], gaps: Size) -> Layout:
    """The parts in rows from left to right, in their order, in the shape of a page."""
    area = sum((part.width + gaps[0]) * (part.height + gaps[1]) for part in parts)
    limit = max([math.sqrt(area * _SHAPE), *(part.width for part in parts)])
    corners: dict[str, tuple[float, float]] = {}
    x = y = row = width = 0.0
    for part in parts:
        if x and x + part.width > limit:
            x, y, row = 0.0, y + row + gaps[1], 0.0
        corners |= {name: (x + left, y + top) for name, (left, top) in part.corners.items()}
        x += part.width + gaps[0]
        row = max(row, part.height)
        width = max(width, x - gaps[0])
    return Layout(corners, width, y + row)


def _part(graph: nx.DiGraph, names: Sequence[str], sizes: Mapping[str, Size], gaps: Size, tallest: int) -> Layout:
    near = {name: [*graph.predecessors(name), *graph.successors(name)] for name in names}
    columns = [chunk for layer in _ordered(_layers(graph, names), near) for chunk in _chunks(layer, tallest)]
    tops = _tops(columns, near, sizes, gaps[1])
    corners: dict[str, tuple[float, float]] = {}
    left = 0.0
    for column in columns:
        broadest = max(sizes[name][0] for name in column)
        corners |= {name: (left + (broadest - sizes[name][0]) / 2, tops[name]) for name in column}
        left += broadest + gaps[0]
    highest = min(tops.values())
    corners = {name: (x, y - highest) for name, (x, y) in corners.items()}
    return Layout(corners, left - gaps[0], max(corners[name][1] + sizes[name][1] for name in names))


def _layers(graph: nx.DiGraph, names: Sequence[str]) -> list[list[str]]:
    """By the longest way from a source; a source stands just before the first thing that it leads to."""
    import networkx as nx

    layer = {name: number for number, generation in enumerate(nx.topological_generations(graph)) for name in generation}
    for name in names:
        followers = [layer[target] for target in graph.successors(name)]
        if followers and not graph.in_degree(name):
            layer[name] = min(followers) - 1
    found: dict[int, list[str]] = {}
    for name in names:
        found.setdefault(layer[name], []).append(name)
    return [found[number] for number in sorted(found)]


def _ordered(layers: list[list[str]], near: Mapping[str, Sequence[str]]) -> list[list[str]]:
    for sweep in range(_SWEEPS):
        place = {name: (number + 0.5) / len(layer) for layer in layers for number, name in enumerate(layer)}
        forward = sweep % 2 == 0
        fresh: list[list[str]] = []
        for layer in layers if forward else reversed(layers):
            wish = {name: fmean([place[other] for other in near[name]] or [place[name]]) for name in layer}
            sorted_layer = sorted(layer, key=lambda name: (wish[name], place[name]))
            place |= {name: (number + 0.5) / len(layer) for number, name in enumerate(sorted_layer)}
            fresh.append(sorted_layer)
        layers = fresh if forward else fresh[::-1]
    return layers


def _chunks(layer: list[str], tallest: int) -> list[list[str]]:
    """A layer that is too tall becomes several columns of about the same height."""
    count = math.ceil(len(layer) / tallest)
    size = math.ceil(len(layer) / count)
    return [layer[start : start + size] for start in range(0, len(layer), size)]


def _tops(columns: Sequence[Sequence[str]], near: Mapping[str, Sequence[str]], sizes: Mapping[str, Size], gap: float) -> dict[str, float]:
    """Each box as near to the middle of its neighbours as the order of its column lets it."""
    tops: dict[str, float] = {}
    for column in columns:
        top = -sum(sizes[name][1] + gap for name in column) / 2
        for name in column:
            tops[name] = top
            top += sizes[name][1] + gap
    for sweep in range(_SWEEPS):
        for column in columns if sweep % 2 == 0 else reversed(columns):
            wishes = {
                name: fmean([tops[other] + sizes[other][1] / 2 for other in near[name]]) - sizes[name][1] / 2 if near[name] else tops[name]
                for name in column
            }
            bottom = -math.inf
            for name in column:
                tops[name] = max(wishes[name], bottom)
                bottom = tops[name] + sizes[name][1] + gap
            off = fmean([tops[name] - wishes[name] for name in column])
            for name in column:
                tops[name] -= off
    return tops
