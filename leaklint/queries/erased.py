"""LK505: a `clear()` that may erase a signal that nobody has heard yet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from leaklint import ir
from leaklint.catalog.grammar import Does, Kind
from leaklint.finding import Confidence, Leak
from leaklint.graph import Graph
from leaklint.link.actions import Action
from leaklint.link.syntax import subexpressions, walk
from leaklint.link.values import FunctionId
from leaklint.locks.cells import Cells, looked_at
from leaklint.locks.quiet import Quiet
from leaklint.locks.signals import Signal, Signals
from leaklint.paths import EXCEPTIONAL, Node
from leaklint.queries.wording import grows

_NONE, _FRESH, _STALE = 1, 2, 4
"""What is known of the state that a signal speaks of: nothing yet; how it is now; how it was, and the signal may have come since."""
_FARTHEST = 3
"""Calls between the function and a look at the state, followed at most."""


def erased(graph: Graph, signals: Signals, quiet: Quiet) -> Iterator[Leak]:
    """A unit looks at the state, then clears the event, then waits for it: what was signalled between the look and the clear is gone."""
    told: set[tuple[tuple[int, int], int]] = set()
    for function, waits in sorted(signals.waits.items()):
        for clear, events in _clears(graph, function):
            key = (function.source, clear.site.number)
            waited = key not in told and any(a.subjects & events for a in waits)
            for signal in signals.of(events, function) if waited else ():
                erasing = _Erasing(graph, signals, quiet, function, events, clear, signal)
                found = erasing.found()
                if found is not None:
                    told.add(key)
                    yield _leak(graph, erasing, *found)
                    break


def _clears(graph: Graph, function: FunctionId) -> Iterator[tuple[Action, frozenset[int]]]:
    """Where the function clears events, or puts a new one in the place of an old one; with all that is known by that name."""
    program = graph.program
    for action in program.actions_in(function):
        if action.does is Does.CLEAR and action.call.record.by is None:
            yield action, frozenset(o for o in action.subjects if program.kind(o) is Kind.EVENT)
        elif action.does is Does.MAKE and any(program.kind(o) is Kind.EVENT for o in action.subjects):
            place = program.place(function, action.site.number)
            match place.stmt if place is not None else None:
                case ir.Bind(targets=(ir.Attribute() as target,), value=ir.Call(site=number)) if number == action.site.number:
                    yield action, frozenset(o for o in program.denoted(function, target) if program.kind(o) is Kind.EVENT)
                case _:
                    pass


@dataclass(eq=False)
class _Erasing:
    """One clear of a function against one place that signals."""

    graph: Graph
    signals: Signals
    quiet: Quiet
    function: FunctionId
    events: frozenset[int]
    clear: Action
    signal: Signal
    _tails: dict[tuple[FunctionId, int], int] = field(default_factory=dict)

    @cached_property
    def is_async(self) -> bool:
        """Whether all who use the event take turns: then only an await lets others run."""
        return self.signal.action.call.operation.is_async or any(
            a.call.operation.is_async for o in self.events for a in self.graph.program.on(o)
        )

    def found(self) -> tuple[Node, Action] | None:
        """The look at the state, and the wait that comes after the clear."""
        look = self._stale_look() if self.signal.published else None
        if look is None:
            return None
        starts = [target for node in self._clears() for edge, target in node.successors if edge not in EXCEPTIONAL]
        wait = self.quiet.way(self.function, starts, lambda node: self._waits(node) is not None, self.signal.published)
        action = self._waits(wait) if wait is not None else None
        return (look, action) if action is not None else None

    def _clears(self) -> list[Node]:
        return self.graph.paths(self.function).of(self.clear.site.number)

    def _waits(self, node: Node) -> Action | None:
        return self.signals.acts(self.function, node, Does.WAIT, self.events)

    def _stale_look(self) -> Node | None:
        """A look after which the signal may come before the clear."""
        paths = self.graph.paths(self.function)
        clears = {id(node) for node in self._clears()}
        states: dict[int, int] = {id(paths.entry): _NONE}
        looks: dict[int, Node] = {}
        todo = [paths.entry]
        while todo:
            node = todo.pop()
            state = states[id(node)]
            if id(node) in clears:
                if state & _STALE:
                    return self._nearest(looks.values())
                state = _NONE
            after, looked = self._after(self.function, node, state, 0)
            if looked:
                looks.setdefault(id(node), node)
            for edge, target in node.successors:
                if edge not in EXCEPTIONAL and states.get(id(target), 0) | after != states.get(id(target), 0):
                    states[id(target)] = states.get(id(target), 0) | after
                    todo.append(target)
        return None

    def _nearest(self, looks: Iterable[Node]) -> Node | None:
        """The last look before the clear in the order of the lines, or else the first behind it, which comes before it in a loop."""
        lines = {line: node for node in looks if (line := getattr(getattr(node.stmt, "at", None), "line", None)) is not None}
        before = [line for line in lines if line <= self.clear.at.line]
        return lines[max(before) if before else min(lines)] if lines else None

    def _after(self, function: FunctionId, node: Node, state: int, depth: int) -> tuple[int, bool]:
        """The states after a node, and whether it looks."""
        seen = self.signal.published.intersection(looked_at(node)) if not self._only_waits(function, node) else ()
        looks = any(self._is_published(function, cell) for cell in seen)
        if looks:
            state = _FRESH if self._holds_on(function, node) else _STALE
        gives_way = self._gives_way(function, node)
        if depth < _FARTHEST:
            for callee in self._callees(function, node):
                tail = self._tail(callee, depth + 1)
                if tail & (_FRESH | _STALE):
                    looks = True
                    state = (state if tail & _NONE else 0) | tail & (_FRESH | _STALE)
                    gives_way = False
        if gives_way and state & _FRESH:
            state = state & ~_FRESH | _STALE
        return state, looks

    def _only_waits(self, function: FunctionId, node: Node) -> bool:
        """Whether the statement waits for one of several things, and heeds no answer: `await asyncio.wait([lost, asked])`."""
        match node.stmt:
            case ir.Evaluate(value=ir.Await(value=ir.Call(site=site, arguments=arguments))):
                waits = any(a.waits is not None for a in self.graph.program.at(function.site(site)))
                return waits and not any(isinstance(part, ir.Call) for one in arguments for part in subexpressions(one.value))
            case _:
                return False

    def _is_published(self, function: FunctionId, cell: str) -> bool:
        """Whether a cell of that name is one of those that the signal speaks of, and no namesake of another class."""
        return self.signals.shared.may_be_same(cell, function, self.signal.action.function)

    def _holds_on(self, function: FunctionId, node: Node) -> bool:
        """Whether what is seen here stays true for a while: until the next await, or because the lock is held until after the clear that
        the signaller takes too."""
        return self.is_async or (node.stmt is not None and id(node.stmt) in self._under_the_lock)

    @cached_property
    def _under_the_lock(self) -> frozenset[int]:
        """The statements in the blocks around the clear that hold a lock which the signaller holds."""
        theirs = _held_by_all(self.graph, self.signal.action.function, self.signal.action.site.number)
        mine = _held(self.graph, self.function, self.clear.site.number)
        return frozenset(id(s) for block, locks in mine if locks & theirs for s in walk(block.body))

    def _gives_way(self, function: FunctionId, node: Node) -> bool:
        if not self.is_async:
            return False
        if node.kind in ("enter", "exit") and isinstance(node.stmt, ir.With) and node.stmt.is_async:
            return True
        if node.kind == "step" and isinstance(node.stmt, ir.For) and node.stmt.is_async:
            return True
        awaits = (one for part in node.parts for one in subexpressions(part) if isinstance(one, ir.Await))
        return any(self.graph.program.suspending.at(function, one) for one in awaits)

    def _callees(self, function: FunctionId, node: Node) -> list[FunctionId]:
        program = self.graph.program
        inline = program.calls.get(function, frozenset())
        return sorted({c for n in node.sites() for c in program.state.callees.get(function.site(n), ()) if c in inline})

    def _tail(self, function: FunctionId, depth: int) -> int:
        """The states in which a callee returns that is entered with nothing known."""
        if (function, depth) not in self._tails:
            self._tails[function, depth] = _NONE
            self._tails[function, depth] = self._flow_through(function, depth)
        return self._tails[function, depth]

    def _flow_through(self, function: FunctionId, depth: int) -> int:
        paths = self.graph.paths(function)
        states: dict[int, int] = {id(paths.entry): _NONE}
        todo = [paths.entry]
        ends = 0
        while todo:
            node = todo.pop()
            if node.exit_kind is not None:
                ends |= states[id(node)]
                continue
            after, _ = self._after(function, node, states[id(node)], depth)
            for edge, target in node.successors:
                if edge not in EXCEPTIONAL and states.get(id(target), 0) | after != states.get(id(target), 0):
                    states[id(target)] = states.get(id(target), 0) | after
                    todo.append(target)
        return ends


def _held_by_all(graph: Graph, function: FunctionId, number: int, depth: int = 0) -> frozenset[int]:
    """The locks in whose blocks a site stands, there or, for code that only functions in sight call, wherever these call it."""
    program = graph.program
    found = frozenset(o for _, locks in _held(graph, function, number) for o in locks)
    calls = [r for r in program.calls_of(function) if r.function in program.live]
    if depth == _FARTHEST or not calls or function in program.openness.callable or function in program.entered_by:
        return found
    return found | frozenset.intersection(*(_held_by_all(graph, r.function, r.site.number, depth + 1) for r in calls))


def _held(graph: Graph, function: FunctionId, number: int) -> Iterator[tuple[ir.With, frozenset[int]]]:
    """The blocks around a site that hold a lock, each with the locks."""
    program = graph.program
    place = program.place(function, number)
    for enclosing in place.around if place is not None else ():
        if isinstance(enclosing.stmt, ir.With) and enclosing.block == "body":
            at = (a for item in enclosing.stmt.items for a in program.at(function.site(item.site)))
            locks = frozenset(o for a in at if a.does is Does.ACQUIRE for o in a.subjects)
            if locks:
                yield enclosing.stmt, locks


def _leak(graph: Graph, erasing: _Erasing, look: Node, wait: Action) -> Leak:
    program, function, clear, signal = graph.program, erasing.function, erasing.clear, erasing.signal.action
    name = min(program.describe(o) for o in erasing.events)
    often = graph.recurrence([clear.call.record])
    at: ir.Span = getattr(look.stmt, "at", clear.at)
    trace = (
        graph.step(function, at, f"`{graph.qualname(function)}` looks at {_named(erasing.signal.published)} here"),
        graph.step(signal.function, signal.at, f"`{graph.qualname(signal.function)}` may signal `{name}` after that"),
        graph.step(function, clear.at, f"this {'clears' if clear.does is Does.CLEAR else 'replaces'} the event: the signal is gone"),
        graph.step(function, wait.at, f"and the next wait does not hear of it{'' if program.blocks(wait) else ' before its timeout'}"),
    )
    return Leak(
        program.path(function.module), clear.at, graph.qualname(function),
        {"object": name, "function": graph.qualname(function) or "the module", "growth": grows(graph, often, "lost signal", function)},
        Confidence.LIKELY, often.growth, trace, "erased",
    )  # fmt: skip


def _named(cells: Cells) -> str:
    return ", ".join(f"`{cell.removeprefix('.')}`" for cell in sorted(cells)[:2])
