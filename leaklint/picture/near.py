"""Parts of a drawing: what belongs together, and the neighbourhood of a name or a place. networkx does the walking."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from leaklint.picture.drawing import OWN, Drawing, Edge, Node, NodeType, as_json

if TYPE_CHECKING:
    import networkx as nx

HOPS = 2
"""From a channel to who uses it, and on to what these use."""


def named(drawing: Drawing, name: str) -> list[Node]:
    """The nodes of that name, whole or its last part (`rows` of `Outbox.rows`); when there are none, those whose name contains it."""
    exact = [node for node in drawing.nodes if any(name in (part, part.rpartition(".")[2]) for part in node.name.split(", "))]
    return exact or [node for node in drawing.nodes if name.casefold() in node.name.casefold()]


def at_place(drawing: Drawing, path: str, line: int) -> list[Node]:
    """The nodes made at a line, and those that an operation at that line is about. `path` may be the end of a path, from a `/` on."""
    found = {node: None for node in drawing.nodes if node.line == line and _ends(node.path, path)}
    for edge in drawing.edges:
        if edge.line == line and _ends(edge.path, path):
            found |= {edge.source: None, edge.target: None}
    return list(found)


def _ends(path: str, end: str) -> bool:
    plain = end.replace("\\", "/").removeprefix("./")
    return path in (end, plain) or path.endswith(f"/{plain.lstrip('/')}") or plain.endswith(f"/{path}")


def around(drawing: Drawing, centers: Collection[Node], hops: int = HOPS) -> Drawing:
    """What is at most `hops` edges away from a center, and the edges on the way. No way leads through code out of sight, which touches
    everything, nor from what a unit makes to the unit: the main line makes much."""
    import networkx as nx

    walkable = nx.Graph((edge.source, edge.target) for edge in drawing.edges if _is_way(edge))
    walkable.add_nodes_from(drawing.nodes)
    away: dict[Node, int] = {}
    for center in centers:
        for node, steps in nx.single_source_shortest_path_length(walkable, center, cutoff=hops).items():
            away[node] = min(steps, away.get(node, steps))
    edges = tuple(
        edge
        for edge in drawing.edges
        if min(away.get(edge.source, hops), away.get(edge.target, hops)) < hops
        and (edge.source in away or edge.source.is_anyone)
        and (edge.target in away or edge.target.is_anyone)
    )
    kept = {*away, *(end for edge in edges for end in (edge.source, edge.target))}
    nodes = tuple(node for node in drawing.nodes if node in kept)
    return Drawing(nodes, edges, {node.path: drawing.modules[node.path] for node in nodes if node.path})


def _is_way(edge: Edge) -> bool:
    is_made_by_unit = edge.operation == OWN and edge.source.type is NodeType.UNIT
    return not (is_made_by_unit or edge.source.is_anyone or edge.target.is_anyone)


def network(drawing: Drawing) -> nx.MultiDiGraph:
    """The ids of the nodes with edges from who does something to what it is done to; the facts of `as_json` as attributes."""
    import networkx as nx

    facts = as_json(drawing)
    found = nx.MultiDiGraph()
    found.add_nodes_from((node["id"], node) for node in facts["nodes"])
    found.add_edges_from((edge["from"], edge["to"], edge) for edge in facts["edges"])
    return found


def connected(drawing: Drawing) -> dict[str, list[dict[str, str | int | None]]]:
    """The facts of `as_json`; the `component` of a node numbers the part of the drawing that it is connected with."""
    import networkx as nx

    parts = enumerate(nx.weakly_connected_components(network(drawing)))
    component = {name: number for number, part in parts for name in part}
    facts = as_json(drawing)
    nodes = [{**node, "component": component[str(node["id"])]} for node in facts["nodes"]]
    return {**facts, "nodes": nodes}
