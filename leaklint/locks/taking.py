"""Which locks a call may take, through any number of calls, and on which way."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cached_property

from leaklint import ir
from leaklint.link.values import FunctionId
from leaklint.locks.calls import Call, How
from leaklint.locks.events import Event, Take
from leaklint.locks.flow import State, in_caller, yields
from leaklint.locks.held import Held
from leaklint.locks.holds import Acquisition
from leaklint.paths import Node

_FARTHEST = 12
"""Calls between a function and a lock that it takes, from which it counts as having nothing to do with it."""
_MOST = 24
"""Ways in which a function takes one lock that are told apart."""


class Taking:
    """Answers for one program."""

    def __init__(self, held: Held) -> None:
        self.held = held
        self._ways: dict[tuple[int, int], dict[FunctionId, dict[object, Acquisition]]] = {}

    def locks(self, function: FunctionId) -> frozenset[int]:
        """The locks that a call of the function may take."""
        return frozenset(self._reach.get(function, ()))

    @cached_property
    def _reach(self) -> dict[FunctionId, set[int]]:
        found: dict[FunctionId, set[int]] = {}
        for function, locks in self.held.events.takers.items():
            found.setdefault(function, set()).update(locks)
        todo = deque(sorted(found))
        while todo:
            function = todo.popleft()
            for caller in self._callers(function):
                known = found.setdefault(caller, set())
                if not found[function] <= known:
                    known |= found[function]
                    todo.append(caller)
        return found

    # --- while something is held

    def again(self, function: FunctionId, event: Event, state: State, lock: int) -> Iterator[Acquisition]:
        """How an event of a function that holds a lock and is in this state takes it again, in the words of the function, the shortest
        way first: where it has a name for it, or there is only one such lock."""
        return self.under(function, event, state, lock, lock)

    def under(self, function: FunctionId, event: Event, state: State, lock: int, held: int) -> Iterator[Acquisition]:
        """How an event of a function that holds one lock takes another one, whatever it is called."""
        match event:
            case Take(hold=hold) if lock in hold.locks:
                yield self._direct(function, event, state)
            case Call(callee=callee) if lock in self._reach.get(callee, ()) and (lock == held or not event.is_guess):
                for one in self._below(lock, held).get(callee, {}).values():
                    yield from self._through(function, event, state, one)
            case _:
                pass

    def into(self, function: FunctionId, lock: int, farthest: int) -> Iterator[Acquisition]:
        """How a call of a function that is made with nothing held takes a lock, in its own words, the shortest way first, on ways of so
        many steps at most, the calls and the take."""
        region, last = {function}, {function}
        for _ in range(farthest - 1):
            calls = (self.held.graph.program.calls.get(one, frozenset()) for one in last)
            last = {callee for callees in calls for callee in callees if lock in self._reach.get(callee, ())} - region
            region |= last
        yield from self._in_region(region, lock, lock, farthest, needs_name=False).get(function, {}).values()

    def _below(self, lock: int, held: int) -> dict[FunctionId, dict[object, Acquisition]]:
        """How the functions take a lock that run while one is held, found from those that take it themselves upwards, the nearest
        first. Where it is the same lock, only ways count on which it has a name, unless there is only one such lock."""
        found = self._ways.get((lock, held))
        if found is None:
            needs_name = lock == held and not self.held.identity.is_single(lock)
            found = self._ways[lock, held] = self._in_region(self._region(lock, held), lock, held, _FARTHEST, needs_name=needs_name)
        return found

    def _in_region(
        self, region: set[FunctionId], lock: int, held: int, farthest: int, *, needs_name: bool
    ) -> dict[FunctionId, dict[object, Acquisition]]:
        """How these functions take a lock, itself or through each other."""
        found: dict[FunctionId, dict[object, Acquisition]] = {function: {} for function in region}
        todo = deque((f, one) for f in sorted(found) for one in self._direct_ways(f, lock, same=lock == held))
        while todo:
            function, one = todo.popleft()
            key = (one.hold, one.blocks, one.without, one.when, one.is_late, one.is_one_of)
            known = found[function]
            if key in known or len(known) >= _MOST or (needs_name and one.hold.term is None):
                continue
            known[key] = one
            if len(one.way) < farthest:
                for caller in sorted(self._callers(function) & found.keys()):
                    todo.extend((caller, further) for further in self._upwards(caller, function, one, may_guess=lock == held))
        return found

    def _callers(self, function: FunctionId) -> frozenset[FunctionId]:
        return self.held.graph.program.callers.get(function, frozenset())

    def _region(self, lock: int, held: int) -> set[FunctionId]:
        """The functions that run while one lock is held and may take another."""
        seen: set[FunctionId] = set()
        todo = [
            event.callee
            for function in self.held.holders
            for _, event, state in self.held.steps(function)
            if isinstance(event, Call) and any(held in hold.locks for hold in state.holds)
        ]
        while todo:
            function = todo.pop()
            if function not in seen and lock in self._reach.get(function, ()):
                seen.add(function)
                todo += self.held.graph.program.calls.get(function, frozenset())
        return seen

    def _direct_ways(self, function: FunctionId, lock: int, *, same: bool) -> Iterator[Acquisition]:
        """How a function takes a lock itself; `same`: also where it may be another lock that is taken."""
        if lock in self.held.events.takers.get(function, frozenset()):
            for node, event, state in self.held.steps(function):
                if isinstance(event, Take) and lock in event.hold.locks and (len(event.hold.locks) == 1 or same):
                    yield self._timed(function, node, state, self._direct(function, event, state))

    def _direct(self, function: FunctionId, take: Take, state: State) -> Acquisition:
        return Acquisition(take.hold, take.blocks, function, (take.hold.taken,), state.without, state.facts)

    def _upwards(self, caller: FunctionId, function: FunctionId, one: Acquisition, *, may_guess: bool) -> Iterator[Acquisition]:
        """How a caller of a function takes a lock that the function takes in one way."""
        for node, call, state in self.held.calls_to(caller, function):
            for further in self._through(caller, call, state, one) if may_guess or not call.is_guess else ():
                yield self._timed(caller, node, state, further)

    def _timed(self, function: FunctionId, node: Node, state: State, one: Acquisition) -> Acquisition:
        """Of a generator that stands for a block, what happens after its `yield`: what it held there may be given back by then."""
        if id(node) not in self._late(function):
            return one
        return replace(one, is_late=True, without=one.without | (self.held.inside(function) - state.holds))

    def _through(self, function: FunctionId, call: Call, state: State, one: Acquisition) -> Iterable[Acquisition]:
        """How a call takes what its callee takes in one way, in the words of the function that makes it and is in this state."""
        is_half = call.how in (How.ENTERED, How.LEFT) and self.held.graph.program.node(call.callee).is_generator
        if is_half and one.is_late is not (call.how is How.LEFT):
            return ()
        if any(_contradicts(call, name, wanted) for name, wanted in one.when):
            return ()
        if any(
            isinstance(wanted, tuple) and name not in call.values and not _is_parameter(function, call, name) for name, wanted in one.when
        ):
            return ()
        visible = self.held.visible(function)
        when = state.facts | {(call.given[name].name, wanted) for name, wanted in one.when if _is_parameter(function, call, name)}
        when |= {(call.through, call.callee.source)} if call.through is not None else frozenset()
        without = state.without | {in_caller(hold, call, visible) for hold in one.without}
        way = (self.held.step(function, call), *one.way)
        is_one_of = one.is_one_of or call.is_one_of
        return (Acquisition(in_caller(one.hold, call, visible), one.blocks, one.function, way, without, when, is_one_of=is_one_of),)

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


def _contradicts(call: Call, name: str, wanted: bool | tuple[int, int]) -> bool:
    """Whether a call gives something for a parameter that has the other truth value, or is another function."""
    match call.values.get(name):
        case ir.Constant(kind="none"):
            return wanted is not False
        case ir.Constant(kind="bool", text=text) if isinstance(wanted, bool):
            return wanted is not (text == "True")
        case frozenset() as functions if isinstance(wanted, tuple):
            return wanted not in functions
        case _:
            return False
