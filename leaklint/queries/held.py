"""The ways out of a function on which something that was taken is still held."""

from __future__ import annotations

from dataclasses import dataclass

from leaklint import ir
from leaklint.catalog.grammar import Kind
from leaklint.graph import Graph
from leaklint.link.values import FunctionId
from leaklint.paths import EXCEPTIONAL, Choices, Edge, Exit, Facts, Node
from leaklint.queries.holding import Event, Holding, held_edges

Way = tuple[Exit, Edge, Node]
"""A way out on which the lock is held: how the function ends, and the last step that says why."""

WAITS_FOR_EVER = "whoever acquires it next waits for ever"

_MOST = 20_000
"""Steps of a search after which a function counts as too tangled to judge."""


def held_ways(graph: Graph, holding: Holding, function: FunctionId, take: Node | None) -> list[Way]:
    """The ways from the take out of the function on which nothing gives back, one for each statement they leave from, explicit ones
    first; without a take, those of a function that is entered with it held. What earlier tests and assignments say about later tests is
    heeded."""
    paths = graph.paths(function)
    choices = Choices(graph.program.node(function), paths, lambda call: _is_held_test(graph, holding, function, call))
    events: dict[int, Event | None] = {}
    start = _Trail(paths.entry, (Edge.NEXT, paths.entry)) if take is None else None
    todo: list[tuple[Node, Facts, _Trail | None]] = [(paths.entry, frozenset(), start)]
    seen: set[tuple[int, Facts, bool]] = set()
    found: dict[tuple[Exit, int], Way] = {}
    while todo:
        node, facts, trail = todo.pop()
        key = (id(node), facts, trail is not None)
        if key in seen:
            continue
        seen.add(key)
        if len(seen) > _MOST:
            return []
        if trail is not None:
            if node.exit_kind is not None:
                edge, origin = (Edge.NEXT, trail.last) if node.exit_kind is Exit.RETURN else trail.raised
                found.setdefault((node.exit_kind, id(origin)), (node.exit_kind, edge, origin))
                continue
            if id(node) not in events:
                events[id(node)] = holding.event(function, node)
            if events[id(node)] is not None:
                continue
        for way, target, known in choices.onward(node, facts):
            if trail is None and node is take and way in held_edges(node):
                todo.append((target, choices.assume_result(node, known), _Trail(node, (Edge.NEXT, node))))
            elif trail is None:
                todo.append((target, known, None))
            else:
                last = node if node.stmt is not None and node.kind != "exit" else trail.last
                todo.append((target, known, _Trail(last, (way, node) if way in EXCEPTIONAL and node.kind != "except" else trail.raised)))
    return sorted(found.values(), key=_rank)


@dataclass(frozen=True, slots=True)
class _Trail:
    """Of a way on which the lock is held: its last statement, and the last of its steps that raised."""

    last: Node
    raised: tuple[Edge, Node]


def _rank(way: Way) -> tuple[bool, bool, int, int]:
    exit_kind, _, node = way
    at = span_of(node)
    return (exit_kind is not Exit.RETURN, not isinstance(node.stmt, ir.Return | ir.Raise), at.line if at else 0, at.column if at else 0)


def _is_held_test(graph: Graph, holding: Holding, function: FunctionId, call: ir.Call) -> bool:
    """`lock.locked()`, which is true while it is held."""
    at = graph.program.at(function.site(call.site))
    return any(a.method == "locked" and a.subjects & holding.what.objects for a in at)


def left(edge: Edge, node: Node) -> str:
    """How the last step of a way leaves the function."""
    match edge:
        case Edge.CANCEL:
            return "a cancellation may arrive here"
        case Edge.RAISE if not isinstance(node.stmt, ir.Raise):
            return "this may raise"
        case _:
            return "the function is left here"


def is_permit(graph: Graph, holding: Holding) -> bool:
    """Whether it is a semaphore: its permits are given back by whoever has what they stand for."""
    objects = holding.what.objects
    return bool(objects) and all(graph.program.kind(o) is Kind.SEMAPHORE for o in objects)


def take_span(graph: Graph, holding: Holding, function: FunctionId, take: Node) -> ir.Span | None:
    """The call that takes, or the statement where there is none."""
    program = graph.program
    for record in program.state.calls:
        if record.function == function and record.site.number in take.sites() and record.by is None:
            here = program.at(record.site)
            if any(a.subjects & holding.what.objects for a in here) or program.state.callees.get(record.site, set()) & holding.acquirers:
                return record.at
    return span_of(take)


def span_of(node: Node) -> ir.Span | None:
    return getattr(node.stmt, "at", None)
