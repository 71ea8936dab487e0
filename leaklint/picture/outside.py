"""Code out of sight, drawn once in each module that it touches: one node for all of it would have an edge to everything."""

from __future__ import annotations

from dataclasses import replace

from leaklint.picture.drawing import Drawing, Edge, Node


def apart(drawing: Drawing) -> Drawing:
    """The same with a stand-in for "anyone" in each module, beside what it does something to. The nodes of a module are in one row."""
    anyone = next((node for node in drawing.nodes if node.is_anyone), None)
    if anyone is None:
        return drawing
    stand_ins: dict[str, Node] = {}

    def stand_in(edge: Edge) -> Edge:
        if edge.source is not anyone:
            return edge
        path = edge.target.path
        if path not in stand_ins:
            stand_ins[path] = replace(anyone, id=f"{anyone.id}_{len(stand_ins)}", path=path)
        return replace(edge, source=stand_ins[path])

    edges = tuple(map(stand_in, drawing.edges))
    nodes = sorted((*stand_ins.values(), *(node for node in drawing.nodes if node is not anyone)), key=lambda node: node.path)
    return Drawing(tuple(nodes), edges, drawing.modules)
