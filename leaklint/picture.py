"""The channel graph of a program, as plain facts and as a drawing for Graphviz."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

from leaklint.catalog.grammar import Does, Kind, UnitKind
from leaklint.link import Program
from leaklint.link.actions import Action
from leaklint.link.dump import origins
from leaklint.link.units import Unit
from leaklint.link.values import FunctionId, Pending, Resource, Site


def facts(program: Program) -> dict[str, list[dict[str, str | int | None]]]:
    """`nodes`: `id`, `type` ("unit" or "resource"), `kind`, `name`, `path`, `line`, `open` (why code out of sight may use it, else None);
    the unit "anyone", all code out of sight, has no place. `edges`: `operation`, `from` and `to` (ids of nodes), `path`, `line`.

    The two ends of a pair are one channel; a task, thread or timer is drawn as the unit that it stands for. What nothing in sight
    runs has no edge."""
    nodes, edges = _drawn(program)
    return {
        "nodes": [
            {
                "id": name,
                "type": "unit" if node.is_unit else "resource",
                "kind": node.kind,
                "name": node.name,
                "path": node.path or None,
                "line": node.line or None,
                "open": node.open,
            }
            for node, name in nodes.items()
        ],
        "edges": [
            {"operation": edge.operation, "from": nodes[edge.source], "to": nodes[edge.target], "path": edge.path, "line": edge.line}
            for edge in edges
        ],
    }


def dot(program: Program) -> str:
    """The same in DOT: units are boxes, resources ellipses, both dashed when open; a cluster for each module."""
    nodes, edges = _drawn(program)
    modules = {module.path: module.name for module in program.modules}
    lines = ["digraph leaklint {", "  rankdir=LR;", '  node [fontname="sans-serif"];', '  edge [fontname="sans-serif"];']
    for number, (path, inside) in enumerate(groupby(nodes, key=lambda node: node.path)):
        if path:
            lines.append(f"  subgraph cluster_{number} {{")
            lines.append(f"    label={_quoted(modules[path])};")
        lines += (f"    {nodes[node]} [{_look(node)}];" for node in inside)
        if path:
            lines.append("  }")
    lines += (f"  {nodes[e.source]} -> {nodes[e.target]} [label={_quoted(f'{e.operation} {e.line}')}];" for e in edges)
    return "\n".join((*lines, "}", ""))


@dataclass(frozen=True, slots=True)
class _Node:
    path: str
    line: int
    column: int
    is_unit: bool
    kind: str
    name: str
    open: str | None
    number: int
    """Tells apart what is made at one place."""

    @property
    def order(self) -> tuple[str, int, int, bool, str, str, int]:
        return self.path, self.line, self.column, not self.is_unit, self.kind, self.name, self.number


@dataclass(frozen=True, slots=True)
class _Edge:
    path: str
    line: int
    column: int
    operation: str
    source: _Node
    target: _Node


_ANYONE = _Node("", 0, 0, True, UnitKind.ANYONE, "anyone", None, 0)


def _drawn(program: Program) -> tuple[dict[_Node, str], list[_Edge]]:
    """Each node with its id, and the edges, all in the order of place."""
    picture = _Picture(program)
    edges = sorted(set(picture.edges()), key=lambda e: (e.path, e.line, e.column, e.operation, e.source.order, e.target.order))
    used = {*picture.units.values(), *picture.resources.values(), *(end for edge in edges for end in (edge.source, edge.target))}
    nodes = sorted(used, key=lambda node: node.order)
    return {node: f"{'u' if node.is_unit else 'r'}{number}" for number, node in enumerate(nodes)}, edges


class _Picture:
    """What stands for each unit and each object of the program."""

    def __init__(self, program: Program) -> None:
        self.program = program

    @cached_property
    def units(self) -> dict[Unit, _Node]:
        found: dict[Unit, _Node] = {}
        for number, unit in enumerate(self.program.units):
            if unit.made is not None:
                record = unit.made.record
                opened = next((reason for obj in sorted(unit.handle) if (reason := self.program.opened(obj)) is not None), None)
                path = self.program.path(record.function.module)
                found[unit] = _Node(path, record.at.line, record.at.column, True, unit.kind, unit.name, opened, number)
        return found

    @cached_property
    def resources(self) -> dict[int, _Node]:
        """Object id → its node, for what has a kind, is used, and is no handle of a unit."""
        handles = {obj for unit in self.units for obj in unit.handle}
        used = {obj for action in self.program.actions if action.does is not Does.MAKE for obj in action.subjects} - handles
        found: dict[int, _Node] = {}
        for _, group in groupby(sorted(used, key=self._channel), key=self._channel):
            ends = sorted(group, key=lambda obj: _part(self.program, obj))
            kind, made = self.program.kind(ends[0]), origins(self.program, ends[0])
            if kind is None or not made:
                continue
            name = ", ".join(dict.fromkeys(self.program.describe(obj) for obj in ends))
            opened = next((reason for obj in ends if (reason := self.program.opened(obj)) is not None), None)
            path, at = self.program.path(made[0].function.module), made[0].at
            shown = Kind.CHANNEL if self._channel(ends[0])[0] else kind
            node = _Node(path, at.line, at.column, False, shown, name, opened, min(ends))
            found.update(dict.fromkeys(ends, node))
        return found

    def _channel(self, obj: int) -> tuple[bool, Site | None, int]:
        """What two ends of one pair have in common; anything else has it for itself."""
        value = self.program.value(obj)
        if isinstance(value, Resource) and value.part and self.program.kind(obj) in (Kind.SENDER, Kind.RECEIVER, Kind.ENDPOINT):
            return True, value.site, 0
        return False, None, obj

    def edges(self) -> Iterator[_Edge]:
        for action in self.program.actions:
            if action.does is Does.MAKE:
                continue
            targets = [node for obj in action.subjects for node in self._nodes(obj)]
            yield from self._between(self._performers(action), targets, action.does, action.function, action.at.line, action.at.column)
        for unit, node in self.units.items():
            for spawn in unit.spawns:
                does = Does.SPAWN if spawn.operation.does is Does.MAKE else spawn.operation.does
                function, at = spawn.record.function, spawn.record.at
                yield from self._between(self._runners(function), [node], does, function, at.line, at.column)

    def _between(
        self, sources: Iterable[_Node], targets: Iterable[_Node], does: Does, function: FunctionId, line: int, column: int
    ) -> Iterator[_Edge]:
        path = self.program.path(function.module)
        targets = list(targets)
        for source in sources:
            for target in targets:
                yield _Edge(path, line, column, does, source, target)

    def _nodes(self, obj: int) -> list[_Node]:
        if obj in self.resources:
            return [self.resources[obj]]
        return self._by_handle.get(obj, [])

    @cached_property
    def _by_handle(self) -> dict[int, list[_Node]]:
        found: dict[int, list[_Node]] = {}
        for unit, node in self.units.items():
            for obj in unit.handle:
                found.setdefault(obj, []).append(node)
        return found

    def _performers(self, action: Action) -> list[_Node]:
        """A coroutine of the library that is handed on runs in the unit made of it."""
        own = self._by_pending.get(action.site, []) if action.deferred else []
        return own or self._runners(action.function)

    @cached_property
    def _by_pending(self) -> dict[Site, list[_Node]]:
        found: dict[Site, list[_Node]] = {}
        for unit, node in self.units.items():
            for obj in unit.made.entries if unit.made is not None else ():
                value = self.program.value(obj)
                if isinstance(value, Pending):
                    found.setdefault(value.site, []).append(node)
        return found

    def _runners(self, function: FunctionId) -> list[_Node]:
        program = self.program
        found: list[_Node] = []
        for root in program.roots(function):
            found += (self.units[unit] for unit in program.entered_by.get(root, ()) if unit in self.units)
            if root.index == 0:
                module = program.modules[root.module]
                found.append(_Node(module.path, 1, 0, True, UnitKind.MAIN, module.name, None, 0))
            if root in program.openness.callable:
                found.append(_ANYONE)
        return found


def _part(program: Program, obj: int) -> str:
    value = program.value(obj)
    return value.part if isinstance(value, Resource) else ""


def _look(node: _Node) -> str:
    place = f"\n{node.path}:{node.line}" if node.path else ""
    shape = "box" if node.is_unit else "ellipse"
    dashed = "" if node.open is None else ", style=dashed"
    return f"shape={shape}, label={_quoted(f'{node.kind} {node.name}{place}')}{dashed}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


__all__ = ["dot", "facts"]
