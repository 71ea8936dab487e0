"""A drawing for Graphviz."""

from __future__ import annotations

from itertools import groupby

from leaklint.picture.drawing import OWN, Drawing, Edge, Node, NodeType

_SHAPES = {NodeType.UNIT: "box", NodeType.RESOURCE: "ellipse", NodeType.OBJECT: "folder"}


def dot(drawing: Drawing) -> str:
    """In DOT: units are boxes, resources ellipses, both dashed when open; objects are folders; a cluster for each module."""
    lines = ["digraph leaklint {", "  rankdir=LR;", '  node [fontname="sans-serif"];', '  edge [fontname="sans-serif"];']
    for number, (path, inside) in enumerate(groupby(drawing.nodes, key=lambda node: node.path)):
        if path:
            lines.append(f"  subgraph cluster_{number} {{")
            lines.append(f"    label={_quoted(drawing.modules[path])};")
        lines += (f"    {node.id} [{_look(node)}];" for node in inside)
        if path:
            lines.append("  }")
    lines += (f"  {edge.source.id} -> {edge.target.id} [{_line(edge)}];" for edge in drawing.edges)
    return "\n".join((*lines, "}", ""))


def _look(node: Node) -> str:
    place = f"\n{node.place}" if node.place else ""
    dashed = "" if node.open is None else ", style=dashed"
    what = "code out of sight" if node.is_anyone else f"{node.kind} {node.name}"
    return f"shape={_SHAPES[node.type]}, label={_quoted(f'{what}{place}')}{dashed}"


def _line(edge: Edge) -> str:
    dotted = ", style=dotted" if edge.operation == OWN else ""
    return f"label={_quoted(f'{edge.operation} {edge.line}')}{dotted}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
