"""A lock of threads that a coroutine holds while it gives way: the next one that takes it stops the event loop, and with it the holder."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint import ir
from leaklint.catalog.grammar import Does, Waits
from leaklint.finding import Confidence, Growth, Leak
from leaklint.graph import Graph
from leaklint.link.actions import Action
from leaklint.link.syntax import subexpressions
from leaklint.link.values import FunctionId
from leaklint.locks import Hold, Locks
from leaklint.paths import Node


def suspended(graph: Graph, locks: Locks) -> Iterator[Leak]:
    """Of each coroutine and lock, the first place where it gives way with the lock held, when another one may then wait for the lock."""
    takes = _blocking_takes(graph, locks)
    for function in sorted(locks.holders):
        if not graph.program.node(function).is_async:
            continue
        told: set[int] = set()
        for node in sorted(graph.paths(function).nodes, key=_place):
            for hold in locks.held(function, node):
                lock = min(hold.locks)
                others = [a for a in takes.get(lock, ()) if len(hold.locks) == 1 and _may_come_meanwhile(graph, function, a)]
                if others and lock not in told and not locks.identity.is_reentrant(lock) and _gives_way(graph, function, node):
                    told.add(lock)
                    yield _leak(graph, function, node, hold, min(others, key=lambda a: (a.function != function, a.function, a.at.line)))


def _blocking_takes(graph: Graph, locks: Locks) -> dict[int, list[Action]]:
    """Lock → the operations that take it by blocking their thread, without a bound. What is entered by `async with` is no such lock."""
    program = graph.program
    found: dict[int, list[Action]] = {}
    others: set[int] = set()
    for action in program.actions:
        if action.does is not Does.ACQUIRE:
            continue
        place = program.place(action.function, action.site.number)
        if action.call.operation.is_async or (place is not None and isinstance(place.stmt, ir.With) and place.stmt.is_async):
            others |= locks.identity.locks(action.subjects)
        elif program.blocks(action):
            for lock in locks.identity.locks(action.subjects):
                found.setdefault(lock, []).append(action)
    return {lock: takes for lock, takes in found.items() if lock not in others}


def _may_come_meanwhile(graph: Graph, holder: FunctionId, take: Action) -> bool:
    """Whether a coroutine on the same loop, other than the one that holds the lock, may come to the take."""
    program = graph.program
    if take.function not in program.live:
        return False
    if take.function == holder:
        return not graph.runs_once(holder) and not all(_is_one_unit(graph, root) for root in program.roots(holder))
    return _runs_on_loop(graph, take.function, frozenset())


def _runs_on_loop(graph: Graph, function: FunctionId, below: frozenset[FunctionId]) -> bool:
    """Whether a coroutine runs the function, itself or through plain calls: what it has run in a thread of its own is elsewhere."""
    program = graph.program
    if program.node(function).is_async:
        return True
    callers = {record.function for record in program.calls_of(function)} & program.live - below
    return any(_runs_on_loop(graph, caller, below | {function}) for caller in callers)


def _is_one_unit(graph: Graph, root: FunctionId) -> bool:
    units = graph.program.entered_by.get(root, ())
    if len(units) != 1 or root in graph.program.openness.callable or units[0].made is None:
        return False
    record = units[0].made.record
    place = graph.program.place(record.function, record.site.number)
    return place is not None and not place.loops and not place.in_comprehension


def _gives_way(graph: Graph, function: FunctionId, node: Node) -> bool:
    """Whether control may go to another coroutine at the node."""
    if node.kind == "step" and isinstance(node.stmt, ir.For):
        return node.stmt.is_async
    awaits = (e for part in node.parts for e in subexpressions(part) if isinstance(e, ir.Await))
    return any(graph.program.suspending.at(function, one) and not _is_over_at_once(graph, function, one) for one in awaits)


def _is_over_at_once(graph: Graph, function: FunctionId, awaited: ir.Await) -> bool:
    """Whether all that is awaited are operations that never wait: a `put` to a queue without a bound."""
    if not isinstance(awaited.value, ir.Call):
        return False
    actions = graph.program.at(function.site(awaited.value.site))
    return bool(actions) and all(a.waits is None or (a.waits is Waits.WHILE_FULL and not _is_bounded(graph, a)) for a in actions)


def _is_bounded(graph: Graph, send: Action) -> bool:
    channels = [c for c in graph.channels if c.objects & send.subjects]
    return not channels or any(c.bounded for c in channels)


def _place(node: Node) -> tuple[int, int]:
    at = getattr(node.stmt, "at", None)
    return (at.line, at.column) if at is not None else (0, 0)


def _leak(graph: Graph, function: FunctionId, node: Node, hold: Hold, other: Action) -> Leak:
    program = graph.program
    name = program.describe(min(hold.locks))
    awaits = [e for part in node.parts for e in subexpressions(part) if isinstance(e, ir.Await)]
    at: ir.Span = awaits[0].at if awaits else node.stmt.at  # type: ignore[union-attr]
    waker = graph.qualname(other.function) or "the module"
    trace = (
        hold.taken,
        graph.step(function, at, f"other coroutines run here, while `{name}` is held"),
        graph.step(other.function, other.at, f"in another task `{waker}` blocks the thread of the event loop here"),
        graph.step(function, at, f"so that this never goes on, and `{name}` is never released"),
    )
    return Leak(
        program.path(function.module), at, graph.qualname(function), {"lock": name, "waker": waker},
        Confidence.LIKELY, Growth.ONCE, trace, "suspended",
    )  # fmt: skip
