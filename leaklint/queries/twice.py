"""LK502: a lock taken again by the unit that holds it."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint.finding import Confidence, Leak, Step
from leaklint.graph import Graph
from leaklint.link.values import FunctionId
from leaklint.locks import Acquisition, Event, Hold, Locks, Mode, State, locks_of
from leaklint.locks.order import Order
from leaklint.queries.midway import taken_midway
from leaklint.queries.query import NoOptions
from leaklint.queries.wording import grows


def taken_twice(graph: Graph, options: NoOptions) -> Iterator[Leak]:
    """A function that holds a lock which is not reentrant and takes it again, itself or through what it calls: it waits for itself."""
    locks = locks_of(graph)
    for function in sorted(locks.holders):
        for _, event, state in locks.steps(function):
            for held in sorted(state.holds, key=_place):
                if _is_of_this_call(graph, function, held):
                    continue
                found = (one for one in _taken(locks, function, event, state, held) if _is_again(locks, held, one))
                again = next((one for one in found if _shut_out(graph, locks, function, held, one)), None)
                if again is not None:
                    yield _leak(graph, function, held, again)
                    break
    yield from taken_midway(graph, locks)


def _is_of_this_call(graph: Graph, function: FunctionId, held: Hold) -> bool:
    """Whether the function makes the lock, and takes it by a call: taken once more it is waited for until somebody else gives it back."""
    made = (graph.program.made_at(lock) for lock in held.locks)
    return not held.by_block and any(at is not None and at[0].source == function.source and function.index != 0 for at in made)


def _taken(locks: Locks, function: FunctionId, event: Event, state: State, held: Hold) -> Iterator[Acquisition]:
    """How an event takes what may be a lock that is held, without giving up."""
    for lock in sorted(held.locks):
        yield from (one for one in locks.taking.again(function, event, state, lock) if one.blocks)


def _is_again(locks: Locks, held: Hold, again: Acquisition) -> bool:
    """Whether the lock that is taken is for sure the one that is held, and is still held then."""
    if any(one.locks & held.locks for one in again.without) or not locks.are_same(held, again.hold):
        return False
    if again.is_one_of and (held.term is None or held.term != again.hold.term):
        return False
    if not held.by_block and held.locks & locks.signals:
        return False
    return not any(locks.identity.is_reentrant(lock) for lock in held.locks | again.hold.locks)


def _shut_out(graph: Graph, locks: Locks, function: FunctionId, held: Hold, again: Acquisition) -> bool:
    """Whether the first take keeps the second one out. Two readers do not, unless the lock heeds who waits to write and somebody else may
    come to do so in between."""
    if Mode.EXCLUSIVE in (held.mode, again.hold.mode):
        return True
    order = Order(graph, locks)
    program = graph.program
    return any(
        order.in_two_units(function, writer)
        for lock in held.locks & again.hold.locks
        if locks.events.gates.heeds_waiting(lock)
        for gate in locks.events.gates.alone(lock)
        for writer in sorted(program.callers.get(gate, frozenset()))
    )


def _leak(graph: Graph, function: FunctionId, held: Hold, again: Acquisition) -> Leak:
    name, qualname = graph.program.describe(min(held.locks & again.hold.locks)), graph.qualname(function)
    is_read = held.mode is again.hold.mode is Mode.SHARED
    often = graph.recurrences.of(function)
    last = again.way[-1]
    words = "a writer that waits by now keeps new readers out" if is_read else "who holds it waits for itself"
    trace = (held.taken, *again.way[:-1], Step(last.path, last.at, f"`{name}` is taken again here: {words}"))
    return Leak(
        graph.program.path(function.module), again.way[0].at, qualname,
        {"object": name, "function": qualname or "the module", "growth": grows(graph, often, "waiting caller", function)},
        Confidence.LIKELY, often.growth, trace, blocked=trace[-1:], variant="shared" if is_read else "default",
    )  # fmt: skip


def _place(hold: Hold) -> tuple[str, int, int]:
    return hold.taken.path, hold.taken.at.line, hold.taken.at.column
