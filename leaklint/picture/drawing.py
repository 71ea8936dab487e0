"""What every picture is drawn from: nodes, edges, and the links that gather the edges between two nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from leaklint.catalog.grammar import Does, UnitKind

OWN = "own"
"""The operation of an ownership edge: the owner makes or keeps what the edge leads to."""


class NodeType(StrEnum):
    UNIT = "unit"
    RESOURCE = "resource"
    OBJECT = "object"  # a project class, for its instances, that owns units or resources


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """`kind` is a kind of unit or resource, or "object". `path` is "" and `line` 0 for all code out of sight, the unit "anyone".
    `open`: why such code may use it, else None."""

    id: str
    type: NodeType
    kind: str
    name: str
    path: str
    line: int
    open: str | None

    @property
    def is_anyone(self) -> bool:
        return self.kind == UnitKind.ANYONE

    @property
    def place(self) -> str:
        """`path:line`, or nothing for code out of sight."""
        return f"{self.path}:{self.line}" if self.path else ""


@dataclass(frozen=True, slots=True, eq=False)
class Edge:
    path: str
    line: int
    operation: str
    source: Node
    target: Node


@dataclass(frozen=True, slots=True)
class Drawing:
    """Nodes and edges in the order of place; `modules`: path → the module's name."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    modules: Mapping[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class Link:
    """All that one node does to another, in the direction in which things go: what is received comes from the channel. `operations`:
    operation → the places (path, line) where it is done, both in order."""

    source: Node
    target: Node
    operations: Mapping[str, tuple[tuple[str, int], ...]]

    @property
    def is_ownership(self) -> bool:
        return OWN in self.operations and len(self.operations) == 1

    @property
    def words(self) -> str:
        """`send 4, 12 · close 20`"""
        return " · ".join(f"{operation} {_lines(places)}" for operation, places in self.operations.items())


def links(edges: Iterable[Edge]) -> list[Link]:
    """One for each two nodes and direction, in the order of the first edge of each."""
    found: dict[tuple[Node, Node], dict[str, dict[tuple[str, int], None]]] = {}
    for edge in edges:
        ends = (edge.target, edge.source) if edge.operation == Does.RECEIVE else (edge.source, edge.target)
        found.setdefault(ends, {}).setdefault(edge.operation, {})[edge.path, edge.line] = None
    return [
        Link(source, target, {operation: tuple(places) for operation, places in operations.items()})
        for (source, target), operations in found.items()
    ]


def _lines(places: Iterable[tuple[str, int]], shown: int = 3) -> str:
    lines = list(dict.fromkeys(str(line) for _, line in places))
    return ", ".join(lines[:shown]) + ("…" if len(lines) > shown else "")


def as_json(drawing: Drawing) -> dict[str, list[dict[str, str | int | None]]]:
    """`nodes`: `id`, `type` ("unit", "resource" or "object"), `kind`, `name`, `path`, `line`, `open` (why code out of sight may use it,
    else None); the unit "anyone", all code out of sight, has no place. `edges`: `operation` ("own" for ownership), `from` and `to`
    (ids of nodes), `path`, `line`."""
    return {
        "nodes": [
            {
                "id": node.id,
                "type": node.type,
                "kind": node.kind,
                "name": node.name,
                "path": node.path or None,
                "line": node.line or None,
                "open": node.open,
            }
            for node in drawing.nodes
        ],
        "edges": [
            {"operation": edge.operation, "from": edge.source.id, "to": edge.target.id, "path": edge.path, "line": edge.line}
            for edge in drawing.edges
        ],
    }
