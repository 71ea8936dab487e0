"""The resources of a scope, as the automata know them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from leaklint import ir
from leaklint.catalog.grammar import Kind
from leaklint.explore.points import Unsupported
from leaklint.explore.scope import Scope
from leaklint.explore.system import Barrier, Channel, Condition, Event, Flag, Lock, Resource
from leaklint.graph import Channel as Told
from leaklint.graph import Graph
from leaklint.link.actions import Action
from leaklint.link.capacity import UNKNOWN, capacity
from leaklint.link.values import FunctionId


@dataclass(eq=False)
class Resources:
    """Answers for one scope. `filled_by_data`: the channels that get as many elements as there is data."""

    graph: Graph
    scope: Scope
    filled_by_data: set[int] = field(default_factory=set)

    @cached_property
    def number_of(self) -> dict[int, int]:
        """Object id → the number of its resource."""
        return {obj: number for number, group in enumerate(self.scope.resources) for obj in group}

    def number(self, action: Action) -> int | None:
        """The resource that an operation is on. Raises Unsupported when it is on one of several."""
        numbers = {self.number_of[o] for o in action.subjects if o in self.number_of}
        if len(numbers) > 1 or (numbers and not action.subjects <= self.number_of.keys()):
            raise Unsupported("an operation on one of several things")
        return numbers.pop() if numbers else None

    # --- locks of conditions

    def lock_of(self, number: int) -> int:
        """The lock that a condition has: the one that it was made from, or its own. A lock is its own. Raises Unsupported."""
        program, group = self.graph.program, self.scope.resources[number]
        if program.kind(min(group)) is not Kind.CONDITION:
            return number
        given = {lock for obj in group for lock in program.holds(program.state.solver.known(("attribute", obj, "()wraps")))}
        if not given:
            return len(self.scope.resources) + self._conditions.index(number)
        numbers = {self.number_of.get(lock) for lock in given}
        if len(numbers) > 1 or (found := numbers.pop()) is None:
            raise Unsupported("the lock of a condition out of sight")
        return found

    @cached_property
    def _conditions(self) -> list[int]:
        program = self.graph.program
        return [n for n, group in enumerate(self.scope.resources) if program.kind(min(group)) is Kind.CONDITION]

    # --- flags

    def flag(self, function: FunctionId, expression: ir.Expr) -> int | None:
        """The flag that an expression is for sure."""
        found = self.changed(function, expression)
        return found[0] if found is not None and found[1] else None

    def changed(self, function: FunctionId, target: ir.Expr) -> tuple[int, bool] | None:
        """The flag that a target may be, and whether it is for sure."""
        if not isinstance(target, ir.Attribute):
            return None
        for number, variable in enumerate(self.scope.variables):
            if variable.name == target.name and variable.owner in (owners := self.graph.program.denoted(function, target.base)):
                return len(self.scope.resources) + len(self._conditions) + number, len(owners) == 1
        return None

    def is_length(self, flag: int) -> bool:
        return self.scope.variables[flag - len(self.scope.resources) - len(self._conditions)].is_length

    # --- as resources of a system

    @cached_property
    def names(self) -> tuple[str, ...]:
        described = ([self.graph.program.describe(o) for o in group] for group in self.scope.resources)
        names = [min(names, key=lambda n: ("." not in n, n)) for names in described]
        return (*names, *(names[n] for n in self._conditions), *(variable.name for variable in self.scope.variables))

    def all(self) -> tuple[Resource, ...]:
        """To be asked when all automata are made: that tells what fills the channels. Raises Unsupported."""
        own = (self._own_lock(number) for number in self._conditions)
        flags = (Flag(variable.initial) for variable in self.scope.variables)
        return (*map(self._resource, range(len(self.scope.resources))), *own, *flags)

    def _own_lock(self, condition: int) -> Lock:
        group = self.scope.resources[condition]
        model = self.graph.program.model(min(group))
        return Lock(is_reentrant=model is not None and model.reentrant, is_fair=self._is_async(group))

    def _resource(self, number: int) -> Resource:
        program, group = self.graph.program, self.scope.resources[number]
        kinds = {program.kind(o) for o in group}
        model = program.model(min(group))
        match kinds.pop():
            case Kind.CHANNEL | Kind.SENDER | Kind.RECEIVER:
                return Channel(self._capacity(number))
            case Kind.LOCK:
                return Lock(is_reentrant=model is not None and model.reentrant, is_fair=self._is_async(group))
            case Kind.SEMAPHORE:
                permits = capacity(program, group)
                if permits is None or permits == UNKNOWN:
                    raise Unsupported("a semaphore with an unknown number of permits")
                return Lock(permits, is_fair=self._is_async(group), is_bounded=False)
            case Kind.CONDITION:
                return Condition(self.lock_of(number))
            case Kind.BARRIER:
                return Barrier(capacity(program, group) or 1)
            case _:
                return Event()

    def _capacity(self, number: int) -> int | None:
        """What a channel holds; where the loops of the scope turn over data, one element stands for many."""
        room = capacity(self.graph.program, self.scope.resources[number])
        is_scaled = number in self.filled_by_data
        if room == UNKNOWN or (room and is_scaled and not self._is_written(number)):
            raise Unsupported("a channel of unknown capacity")
        return min(room, 1) if room is not None and is_scaled else room

    def _is_written(self, number: int) -> bool:
        """Whether the capacity stands as a number where the channel is made: it has nothing to do with how much data there is."""
        program = self.graph.program
        for obj in self.scope.resources[number]:
            model = program.model(obj)
            for call in program.state.constructed.get(obj, ()):
                described = call.operation.capacity or (model.capacity if model is not None else None)
                given = call.given.get(described.arg) if described is not None and described.arg is not None else None
                if given is not None and not isinstance(given, ir.Constant):
                    return False
        return True

    @cached_property
    def channels(self) -> tuple[Told, ...]:
        """The channels of the scope as the graph knows them."""
        return tuple(c for c in self.graph.channels if c.objects & self.number_of.keys())

    def _is_async(self, group: frozenset[int]) -> bool:
        return any(a.call.operation.is_async or a.method == "__await__" for o in group for a in self.graph.program.on(o))

    def blocking(self) -> frozenset[int]:
        groups = (*enumerate(self.scope.resources), *((self.lock_of(n), self.scope.resources[n]) for n in self._conditions))
        return frozenset(n for n, group in groups if not self._is_async(group))
