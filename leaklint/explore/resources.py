"""The resources of a scope, as the automata know them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from leaklint import ir
from leaklint.catalog.grammar import Kind
from leaklint.explore.points import Unsupported
from leaklint.explore.scope import Scope
from leaklint.explore.system import Barrier, Channel, Event, Lock, Resource
from leaklint.graph import Channel as Told
from leaklint.graph import Graph
from leaklint.link.actions import Action
from leaklint.link.capacity import UNKNOWN, capacity


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

    @cached_property
    def names(self) -> tuple[str, ...]:
        described = ([self.graph.program.describe(o) for o in group] for group in self.scope.resources)
        return tuple(min(names, key=lambda n: ("." not in n, n)) for names in described)

    def all(self) -> tuple[Resource, ...]:
        """To be asked when all automata are made: that tells what fills the channels. Raises Unsupported."""
        return tuple(map(self._resource, range(len(self.scope.resources))))

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
                raise Unsupported("a condition")
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
        return frozenset(n for n, group in enumerate(self.scope.resources) if not self._is_async(group))
