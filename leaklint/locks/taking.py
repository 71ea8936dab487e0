"""Which locks a call may take, through any number of calls, and on which way."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property

from leaklint import ir
from leaklint.link.values import FunctionId
from leaklint.locks.calls import Call, How
from leaklint.locks.events import Event, Take
from leaklint.locks.flow import State, in_caller, yields
from leaklint.locks.held import Held
from leaklint.locks.holds import Acquisition

_FARTHEST = 12
"""Calls between a function and a lock that it takes, from which it counts as having nothing to do with it."""
_MOST = 24
"""Ways in which a function takes one lock that are told apart."""


class Taking:
    """Answers for one program. Ways are only followed to locks that somebody asks for, through functions that come to them."""

    def __init__(self, held: Held) -> None:
        self.held = held
        self._found: dict[tuple[FunctionId, int], dict[object, Acquisition]] = {}

    def locks(self, function: FunctionId) -> frozenset[int]:
        """The locks that a call of the function may take."""
        return frozenset(self._reach.get(function, ()))

    @cached_property
    def _reach(self) -> dict[FunctionId, set[int]]:
        found: dict[FunctionId, set[int]] = {}
        for action in self.held.events.takes:
            found.setdefault(action.function, set()).update(self.held.identity.locks(action.subjects))
        todo = deque(sorted(found))
        while todo:
            function = todo.popleft()
            for caller in self.held.calls.callers(function):
                known = found.setdefault(caller, set())
                if not found[function] <= known:
                    known |= found[function]
                    todo.append(caller)
        return found

    def of(self, function: FunctionId, lock: int) -> tuple[Acquisition, ...]:
        """The ways in which a call of the function may take a lock, in its words, the shortest first."""
        if (function, lock) not in self._found:
            self._explore(function, lock)
        return tuple(self._found[function, lock].values())

    def _explore(self, start: FunctionId, lock: int) -> None:
        """How the functions below a function take a lock, from the bottom up."""
        order, callers = [start], dict[FunctionId, set[FunctionId]]()
        fresh = {start}
        for function in order:
            for _, call, _ in self.held.steps(function):
                if isinstance(call, Call) and lock in self._reach.get(call.callee, ()):
                    callers.setdefault(call.callee, set()).add(function)
                    if (call.callee, lock) not in self._found and call.callee not in fresh:
                        fresh.add(call.callee)
                        order.append(call.callee)
        for function in fresh:
            self._found[function, lock] = {}
        todo = deque(reversed(order))
        waiting = set(todo)
        while todo:
            function = todo.popleft()
            waiting.discard(function)
            if self._collect(function, lock):
                for caller in sorted(callers.get(function, set()) - waiting):
                    waiting.add(caller)
                    todo.append(caller)

    def _collect(self, function: FunctionId, lock: int) -> bool:
        """Add how the function takes the lock by what is known of those that it calls; whether anything is new."""
        known = self._found[function, lock]
        before = len(known)
        for one in sorted(self._direct(function, lock), key=lambda a: len(a.way)):
            key = (one.hold, one.blocks, one.without, one.when, one.is_late)
            if key not in known and len(known) < _MOST:
                known[key] = one
        return len(known) != before

    def _direct(self, function: FunctionId, lock: int) -> Iterator[Acquisition]:
        late = self._late(function)
        for node, event, state in self.held.steps(function):
            for one in self.at(function, event, state, lock):
                yield replace(one, is_late=True) if id(node) in late else one

    def at(self, function: FunctionId, event: Event, state: State, lock: int) -> Iterator[Acquisition]:
        """How an event of a function that is in this state takes a lock, in the words of the function."""
        match event:
            case Take(hold=hold, blocks=blocks) if lock in hold.locks:
                yield Acquisition(hold, blocks, function, (hold.taken,), state.lent, state.facts)
            case Call(callee=callee) if lock in self._reach.get(callee, ()):
                yield from self._through(function, event, state, lock)
            case _:
                pass

    def _through(self, function: FunctionId, call: Call, state: State, lock: int) -> Iterator[Acquisition]:
        found = self._found.get((call.callee, lock))
        visible = self.held.visible(function)
        is_half = call.how in (How.ENTERED, How.LEFT) and self.held.graph.program.node(call.callee).is_generator
        for one in list(found.values()) if found is not None else self.of(call.callee, lock):
            if is_half and one.is_late is not (call.how is How.LEFT):
                continue
            if len(one.way) >= _FARTHEST or any(_contradicts(call, name, truth) for name, truth in one.when):
                continue
            when = state.facts | {(call.given[name].name, truth) for name, truth in one.when if _is_parameter(function, call, name)}
            without = state.lent | {in_caller(hold, call, visible) for hold in one.without}
            way = (self.held.step(function, call), *one.way)
            waited = one.in_other_unit or call.how is How.WAITED
            yield Acquisition(in_caller(one.hold, call, visible), one.blocks, one.function, way, without, when, waited)

    def _late(self, function: FunctionId) -> frozenset[int]:
        """The nodes of a generator that stands for a block which run when the block is left."""
        if function.source not in self.held.graph.program.blocks_written_as_generators:
            return frozenset()
        todo = [target for node in self.held.graph.paths(function).nodes if yields(node) for _, target in node.successors]
        seen: set[int] = set()
        while todo:
            node = todo.pop()
            if id(node) not in seen:
                seen.add(id(node))
                todo += [target for _, target in node.successors]
        return frozenset(seen)


def _is_parameter(function: FunctionId, call: Call, name: str) -> bool:
    term = call.given.get(name)
    return term is not None and term.scope == function.source and not term.steps


def _contradicts(call: Call, name: str, truth: bool) -> bool:
    """Whether a call gives a constant for a parameter that has the other truth value."""
    match call.constants.get(name):
        case ir.Constant(kind="none"):
            return truth
        case ir.Constant(kind="bool", text=text):
            return truth is not (text == "True")
        case _:
            return False
