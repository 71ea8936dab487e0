"""In which order locks are taken: who takes one while holding another, and which of these orders may meet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from leaklint.catalog.grammar import UnitKind
from leaklint.finding import Growth
from leaklint.graph import Graph
from leaklint.link.flow.state import LibraryCall
from leaklint.link.units import Unit
from leaklint.link.values import ClassId, FunctionId, Instance, Resource
from leaklint.locks.calls import Call
from leaklint.locks.events import Event, Take
from leaklint.locks.flow import State
from leaklint.locks.holds import Acquisition, Hold
from leaklint.locks.locks import Locks

_MOST = 6
"""Places at which one lock is taken under another that are told apart."""
_CONSTRUCTORS = frozenset({"__init__", "__post_init__", "__new__"})
"""What they make is not in other hands yet: nobody else waits for its locks."""


@dataclass(frozen=True, slots=True, eq=False)
class Nesting:
    """A function that holds one lock and takes another, itself or through calls."""

    function: FunctionId
    held: Hold
    taken: Acquisition
    gates: frozenset[int]
    """The other locks that are surely held then, by the function or by all its callers."""


class Order:
    """Answers for one program."""

    def __init__(self, graph: Graph, locks: Locks) -> None:
        self.graph = graph
        self.locks = locks

    @cached_property
    def pairs(self) -> frozenset[tuple[int, int]]:
        """The pairs (held, taken) of locks for which some function may take one while holding the other."""
        return frozenset(self._places)

    @cached_property
    def _places(self) -> dict[tuple[int, int], list[tuple[FunctionId, Event, State, Hold]]]:
        found: dict[tuple[int, int], list[tuple[FunctionId, Event, State, Hold]]] = {}
        for function in sorted(self.locks.holders):
            if self.graph.program.node(function).name in _CONSTRUCTORS:
                continue
            for _, event, state in self.locks.steps(function):
                for hold in state.holds:
                    if len(hold.locks) == 1:
                        for lock in self._others(hold, event):
                            found.setdefault((min(hold.locks), lock), []).append((function, event, state, hold))
        return found

    def _others(self, hold: Hold, event: Event) -> Iterator[int]:
        """The locks that an event may take besides one that is held: not the same lock of another object, for which object it is of
        nobody knows for sure after a call through several."""
        made = {self._source(lock) for lock in hold.locks}
        return (
            lock
            for lock in sorted(self._taken(event))
            if self._source(lock) not in made and not any(self._is_part(lock, one) or self._is_part(one, lock) for one in hold.locks)
        )

    def _is_part(self, lock: int, whole: int) -> bool:
        """Whether a lock is one that another, written by hand, is made from: to wait for the one gives back the other."""
        program, gates = self.graph.program, self.locks.events.gates
        value, made = program.value(whole), program.made_at(lock)
        if not isinstance(value, Instance) or made is None or value.cls not in gates.classes:
            return False
        return program.class_of(made[0]) in program.state.names.lineage(value.cls)[0]

    def _source(self, lock: int) -> tuple[int, int] | int:
        """Where in the code a lock is made."""
        match self.graph.program.value(lock):
            case Resource(site=site):
                return site.module, site.number
            case _:
                return lock

    def _taken(self, event: Event) -> frozenset[int]:
        match event:
            case Take(hold=hold, blocks=True) if len(hold.locks) == 1:
                return hold.locks
            case Call(callee=callee):
                return self.locks.taking.locks(callee)
            case _:
                return frozenset()

    def nestings(self, held: int, taken: int) -> Iterator[Nesting]:
        """The places where one lock is waited for with the other held: not one that is held already, and taken once more."""
        count = 0
        for function, event, state, hold in self._places.get((held, taken), ()):
            gates = self._gates(function, state)
            if taken in gates:
                continue
            for one in self.locks.taking.under(function, event, state, taken, held):
                if one.blocks and len(one.hold.locks) == 1 and not any(w.locks & hold.locks for w in one.without):
                    yield Nesting(function, hold, one, gates - {held})
                    count += 1
                    break
            if count == _MOST:
                return

    def _gates(self, function: FunctionId, state: State) -> frozenset[int]:
        contexts = [frozenset(lock for hold in c.holds for lock in hold.locks) for c in self.locks.entered_with(function)]
        return frozenset(lock for hold in state.holds for lock in hold.locks) | frozenset.intersection(*contexts)

    def may_meet(self, one: Nesting, other: Nesting) -> bool:
        """Whether two nestings of opposite order may run at the same time on the same locks: no lock around both, and not one unit
        alone."""
        return not one.gates & other.gates and self.in_two_units(one.function, other.function) and self._may_be_same(one, other)

    def is_known_to_meet(self, one: Nesting, other: Nesting) -> bool:
        """Whether two that may meet are known to be about the same two locks, and not about those of other instances: both take them
        from one object, or the objects of one class make those of the other. Where each makes the other the instances have several
        parts to play: a master connection and those of its workers. Others must be a lock that the program has once."""
        if all(_of_one_object(nesting) for nesting in (one, other)):
            return True
        makers = [self._made_within(lock) for lock in self._locks(one, other)]
        (first, above_first), (second, above_second) = makers
        makes, is_made = first in above_second, second in above_first
        if first is not None and second is not None and first != second and (makes or is_made):
            return makes is not is_made
        return self._is_any_single(one, other)

    def _made_within(self, lock: int) -> tuple[ClassId | None, frozenset[ClassId]]:
        """The class whose objects make a lock, and those that make them."""
        program = self.graph.program
        made = program.made_at(lock)
        cls = program.class_of(made[0]) if made is not None else None
        return cls, program.makers(cls) if cls is not None else frozenset()

    def in_two_units(self, one: FunctionId, other: FunctionId) -> bool:
        """Whether two functions may run at the same time."""
        first, second = self.graph.runners(one), self.graph.runners(other)
        if any(r.kind is UnitKind.ANYONE for r in (*first, *second)):
            return bool(first) and bool(second)
        return any(a.unit is not b.unit or self._is_many(a.unit) for a in first for b in second)

    def _is_many(self, unit: Unit | None) -> bool:
        """Whether several of the unit run at a time."""
        if unit is None:
            return False
        return self.graph.growth(unit.spawns) is not Growth.ONCE or any(self._repeats(spawn) for spawn in unit.spawns)

    def _repeats(self, spawn: LibraryCall) -> bool:
        """Whether one spawn starts several: for each element of something, or in a loop."""
        if spawn.operation.subject is not None:
            return True
        place = self.graph.program.place(spawn.record.function, spawn.record.site.number)
        return place is not None and (bool(place.loops) or place.in_comprehension)

    def _may_be_same(self, one: Nesting, other: Nesting) -> bool:
        """Whether the locks of both may be the same two: there is one of each, they belong to different classes, or each nesting takes
        both from one object."""
        if self._is_any_single(one, other):
            return True
        owners = [self.graph.program.holders.get(lock, frozenset()) for lock in self._locks(one, other)]
        if owners[0] and owners[1] and not owners[0] & owners[1]:
            return True
        return all(_of_one_object(nesting) for nesting in (one, other))

    def _is_any_single(self, one: Nesting, other: Nesting) -> bool:
        return any(self.locks.identity.is_single(lock) for lock in self._locks(one, other))

    def _locks(self, one: Nesting, other: Nesting) -> tuple[int, int]:
        return min(one.held.locks), min(other.held.locks)


def _of_one_object(nesting: Nesting) -> bool:
    held, taken = nesting.held.term, nesting.taken.hold.term
    if held is None or taken is None:
        return False
    return (held.scope, held.name, held.steps[:-1]) == (taken.scope, taken.name, taken.steps[:-1]) and bool(held.steps)
