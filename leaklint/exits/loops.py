"""The loops that a unit stays in, and the places that leave them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from leaklint import ir
from leaklint.catalog.grammar import Does
from leaklint.exits.conditions import conditions, flags_of
from leaklint.graph import Graph
from leaklint.link.syntax import blocks, subexpressions, walk
from leaklint.link.values import FunctionId
from leaklint.paths import FORCED, Edge, Exit, Node, is_endless

Loop = ir.While | ir.For

_ENDLESS = frozenset({"itertools.count", "itertools.cycle", "itertools.repeat"})


@dataclass(frozen=True, slots=True, eq=False)
class Departure:
    """A way out of a loop: the node that leaves it and how, and where control goes (None: out of the function, or on behind the loop)."""

    function: FunctionId
    loop: Loop
    node: Node
    edge: Edge
    handler: ir.Try | None
    """The `try` around the loop whose handlers an exception comes to."""


def lasting(graph: Graph, function: FunctionId) -> list[Loop]:
    """The outermost loops of a function that may turn for as long as the program runs, of those that can be reached."""
    reached = {id(node.stmt) for node in graph.paths(function).nodes if node.kind in ("test", "step")}
    return [loop for loop in _outermost(graph, function, graph.program.node(function).body) if id(loop) in reached]


def _outermost(graph: Graph, function: FunctionId, body: tuple[ir.Stmt, ...]) -> Iterator[Loop]:
    for stmt in body:
        if isinstance(stmt, ir.While | ir.For) and _is_lasting(graph, function, stmt):
            yield stmt
        else:
            for block in blocks(stmt):
                yield from _outermost(graph, function, block)


def _is_lasting(graph: Graph, function: FunctionId, loop: Loop) -> bool:
    """Whether its test is constant or looks at flags, or it waits in each turn; whether what it iterates over comes from a channel, or from
    somewhere out of sight as it gets ready."""
    program = graph.program
    match loop:
        case ir.While(test=test):
            if is_endless(test) or any(flags_of(graph, c) for c in conditions(graph, function, test, going_on=True)):
                return True
            return any(isinstance(part, ir.Call | ir.Attribute) for part in subexpressions(test)) and _waits(graph, function, loop)
        case ir.For(iterable=iterable, is_async=is_async, site=site):
            if any(a.does is Does.RECEIVE for a in program.at(function.site(site))) or is_polling(iterable):
                return True
            if isinstance(iterable, ir.Call):
                here = function.site(iterable.site)
                if _ENDLESS & program.state.unknown_calls.get(here, set()) or any(a.name in _ENDLESS for a in program.at(here)):
                    return True
            own = generators(graph, function, loop)
            return any(lasting(graph, one) for one in own if one != function) if own else is_async


def _waits(graph: Graph, function: FunctionId, loop: ir.While) -> bool:
    inside = {id(s) for s in walk(loop.body)} | {id(loop)}
    nodes = (node for node in graph.paths(function).nodes if node.stmt is not None and id(node.stmt) in inside)
    return any(a.waits is not None for node in nodes for number in node.sites() for a in graph.program.at(function.site(number)))


def is_polling(iterable: ir.Expr) -> bool:
    """`iter(queue.get, None)`: calls the function again and again, until it gives the sentinel."""
    match iterable:
        case ir.Call(function=ir.Name(id="iter"), arguments=(_, _)):
            return True
        case _:
            return False


def departures(graph: Graph, function: FunctionId, loop: Loop, passes: Callable[[Node], bool]) -> Iterator[Departure]:
    """The ways out of a loop, other than a cancellation. Control does not go on from a node that it does not pass (`passes`), except by an
    exception. What leaves through a `finally` or the end of a `with` is known by the node that it comes from."""
    inside = {id(s) for s in walk(loop.body)} | {id(loop)}
    breaks = {id(s) for s in _breaks(loop.body)}
    seen: set[tuple[int, int]] = set()
    told: set[tuple[int, Edge, int]] = set()
    todo: list[tuple[Node, Node | None]] = [
        (node, None) for node in graph.paths(function).nodes if node.stmt is loop and node.kind in ("test", "step")
    ]
    while todo:
        node, source = todo.pop()
        if (id(node), id(source)) in seen:
            continue
        seen.add((id(node), id(source)))
        if isinstance(node.stmt, ir.Return) or id(node.stmt) in breaks:
            if passes(node):
                yield Departure(function, loop, node, Edge.NEXT, None)
            continue
        source = None if node.kind == "except" else source
        stays = not passes(node)
        for edge, target in node.successors:
            if edge in FORCED or (stays and edge is not Edge.RAISE):
                continue
            thrown = node if edge is Edge.RAISE and node.kind != "except" else source
            if edge is Edge.RAISE and node.kind == "except" and target.kind != "except" and target.exit_kind is not Exit.RAISE:
                thrown = None
            if target.exit_kind is None and (target.stmt is None or id(target.stmt) in inside):
                todo.append((target, thrown))
                continue
            left, way = (thrown, Edge.RAISE) if thrown is not None else (node, edge)
            handler = target.stmt if target.kind == "except" and isinstance(target.stmt, ir.Try) else None
            if (id(left), way, id(handler)) not in told:
                told.add((id(left), way, id(handler)))
                yield Departure(function, loop, left, way, handler)


def _breaks(body: tuple[ir.Stmt, ...]) -> Iterator[ir.Stmt]:
    """The `break`s that leave the loop around the body."""
    for stmt in body:
        if isinstance(stmt, ir.Jump) and stmt.kind == "break":
            yield stmt
        elif isinstance(stmt, ir.While | ir.For):
            yield from _breaks(stmt.orelse)
        else:
            for block in blocks(stmt):
                yield from _breaks(block)


def generators(graph: Graph, function: FunctionId, loop: Loop) -> list[FunctionId]:
    """The generators of the project that a loop goes over: their bodies say when it ends."""
    match loop:
        case ir.For(iterable=ir.Call(site=site)):
            callees = graph.program.state.callees.get(function.site(site), set())
            return sorted(c for c in callees if graph.program.node(c).is_generator)
        case _:
            return []
