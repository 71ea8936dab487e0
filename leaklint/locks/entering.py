"""What is held by callers when a function is entered."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from functools import cached_property
from typing import TypeAlias

from leaklint.link.values import FunctionId
from leaklint.locks.calls import Call, How
from leaklint.locks.flow import State
from leaklint.locks.held import Held
from leaklint.locks.holds import Context, Hold
from leaklint.locks.terms import entering

_FARTHEST = 12
"""Calls and takes on the way to a function, from which nobody looks further."""
_MOST = 12
"""Ways to enter one function with something held that are told apart."""
Known: TypeAlias = dict[frozenset[Hold], Context]
FREE = Context(frozenset(), ())


class Entering:
    """Answers for one program. Only what lies above the functions that somebody asks about is looked at."""

    def __init__(self, held: Held) -> None:
        self.held = held
        self._found: dict[FunctionId, Known] = {}

    def of(self, function: FunctionId) -> tuple[Context, ...]:
        """What callers may hold when they call the function, each way once, with the calls that lead there. One without holds: it may be
        entered with nothing held."""
        if function not in self._under:
            return (FREE,)
        if function not in self._found:
            self._settle(function)
        return tuple(self._found[function].values()) or (FREE,)

    @cached_property
    def _under(self) -> frozenset[FunctionId]:
        """Whatever runs as part of a call that is made with a lock held."""
        calls = self.held.graph.program.calls
        seen = {call.callee for function in self.held.holders for call, state in self._calls(function) if state.holds}
        todo = sorted(seen)
        while todo:
            for callee in calls.get(todo.pop(), frozenset()) - seen:
                seen.add(callee)
                todo.append(callee)
        return frozenset(seen)

    def _calls(self, function: FunctionId) -> Iterator[tuple[Call, State]]:
        for _, event, state in self.held.steps(function):
            if isinstance(event, Call):
                yield event, state

    def _settle(self, target: FunctionId) -> None:
        """The contexts of a function and of all above it, from the top down."""
        above = self._above(target)
        fresh = above - self._found.keys()
        for function in fresh:
            self._found[function] = {FREE.holds: FREE} if self._is_entry(function) else {}
        todo = deque((f, c) for f in sorted(above) for c in self._found[f].values())
        while todo:
            function, context = todo.popleft()
            for call, state in self._calls(function):
                if call.callee in fresh:
                    found = self._passed(function, context, call, state)
                    known = self._found[call.callee]
                    if found.holds not in known and len(known) < _MOST and len(found.way) <= _FARTHEST:
                        known[found.holds] = found
                        todo.append((call.callee, found))

    def _above(self, target: FunctionId) -> set[FunctionId]:
        callers = self.held.graph.program.callers
        seen, todo = {target}, [target]
        while todo:
            for caller in callers.get(todo.pop(), frozenset()) - seen:
                if caller in self._under or caller in self.held.holders:
                    seen.add(caller)
                    todo.append(caller)
        return seen

    def _is_entry(self, function: FunctionId) -> bool:
        """Whether somebody enters the function with nothing held: a unit, code out of sight, a caller that has nothing to do with locks."""
        program = self.held.graph.program
        callers = program.callers.get(function, frozenset())
        if not callers or function in program.entered_by or function in program.openness.callable:
            return True
        return any(caller not in self._under and caller not in self.held.holders for caller in callers)

    def _passed(self, function: FunctionId, context: Context, call: Call, state: State) -> Context:
        """The context in which a call of a function that is in a context itself enters its callee."""
        seen = self.held.visible(call.callee)
        outer = {h for h in context.holds if not any(h.locks & lent.locks for lent in state.lent)}
        own = self._taken_by_block(function, call)
        around = (h for h in (*state.holds, *outer) if not h.locks & own)
        holds = frozenset(h.named(entering(h.term, seen, call.callee.source, call.given)) for h in around)
        if not holds:
            return FREE
        taken = sorted((h.taken for h in state.holds), key=lambda s: (s.path, s.at.line, s.at.column))
        return Context(holds, (*context.way, *taken, self.held.step(function, call)))

    def _taken_by_block(self, function: FunctionId, call: Call) -> frozenset[int]:
        """The locks that the generator behind a `with` has taken itself by the time that its block is left: what it holds there, and gives
        back, stands in its own code."""
        if call.how is not How.LEFT or not self.held.graph.program.node(call.callee).is_generator:
            return frozenset()
        return frozenset(lock for hold in self.held.changes(function, call).gives for lock in hold.locks)
