"""What a unit can still do from where it stands, whatever the others do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property

from leaklint.explore.state import Alarm, State, Status
from leaklint.explore.system import FAILED, Act, Condition, Lock, Op, Point, System

Touch = tuple[str, int]
"""A resource or a unit that an act looks at or changes."""

_QUIET = frozenset({Act.CHOOSE, Act.GUESS, Act.RECEIVED})
"""Acts that nobody else can notice, and that notice nobody."""
_HANDING_ON = frozenset({Act.JOIN, Act.GATHER, Act.GROUP})
"""Waits for units that hand a cancellation on to them."""


class Reach:
    """Answers for one system."""

    def __init__(self, system: System) -> None:
        self.system = system

    @cached_property
    def _after(self) -> list[list[frozenset[Op]]]:
        """Of each point of each unit: every act from there on, and of the units that are started on the way."""
        own = [_acts_from(unit.points) for unit in self.system.units]
        while True:
            grown = [[acts | self._of_started(acts, own) for acts in points] for points in own]
            if grown == own:
                return own
            own = grown

    def _of_started(self, acts: frozenset[Op], own: list[list[frozenset[Op]]]) -> frozenset[Op]:
        found: set[Op] = set()
        for op in acts:
            if op.act is Act.SPAWN:
                for other in op.units:
                    found |= own[other][0]
        return frozenset(found)

    def of(self, state: State, number: int) -> frozenset[Op]:
        """Every act of the unit from where it stands."""
        it = state.units[number]
        return self._after[number][it.at] if it.at >= 0 and it.status is not Status.IDLE else frozenset()

    # --- partial order

    def is_alone(self, state: State, number: int) -> bool:
        """Whether the next act of a unit concerns nobody else from now on."""
        it, unit = state.units[number], self.system.units[number]
        if it.alarm is not Alarm.NONE or it.status is Status.WAITING or unit.points[it.at].op.timed:
            return False
        op = unit.points[it.at].op
        if unit.loop is not None and it.status is not Status.READY:
            return False  # whoever is chosen next on the loop may matter
        if op.act in _QUIET:
            return True
        if op.act is Act.PAUSE:
            return False
        mine = self._touched(op)
        if any(touch[0] == "unit" for touch in mine):
            return False
        return not any(mine & self._touched(other) for n in range(len(state.units)) if n != number for other in self.of(state, n))

    def _touched(self, op: Op) -> frozenset[Touch]:
        found = {("unit", unit) for unit in op.units}
        if op.on >= 0:
            found.add(("resource", op.on))
            match self.system.resources[op.on]:
                case Condition(lock=lock):
                    found.add(("resource", lock))
                case _:
                    pass
        return frozenset(found)

    # --- who can wake whom

    def may_wake(self, state: State, others: Iterable[int], number: int) -> bool:
        """Whether one of the others may do something that ends the wait of a unit: what it waits for, or its cancellation."""
        op = self.system.units[number].points[state.units[number].at].op
        for other in others:
            if other in op.units or self._hands_on(state, other, op):
                return True
            if any(self._is_cancelled_with(state, group, number) for group in self._groups_that_fail_with(state, other)):
                return True
            for act in self.of(state, other):
                if act.act is Act.CANCEL and self._is_cancelled_with(state, act.units, number):
                    return True
                if op.on >= 0 and self.wakes(act, op):
                    return True
        return False

    def _hands_on(self, state: State, other: int, wait: Op) -> bool:
        """Whether one who has been woken at the same place may leave what he was woken for to the next."""
        it = state.units[other]
        if it.status not in (Status.WOKEN, Status.GIVEN) or it.at < 0:
            return False
        op = self.system.units[other].points[it.at].op
        return op.on == wait.on >= 0 and op.act is wait.act

    def _is_cancelled_with(self, state: State, units: Iterable[int], number: int) -> bool:
        """Whether a cancellation of these units is one of this unit, or goes on to it: to what they wait for, and to what they have in a
        group."""
        targets, todo = set(units), list(units)
        while todo:
            it = state.units[one := todo.pop()]
            waited = self._after[one][it.at] if it.at >= 0 else ()
            further = {unit for op in waited if op.act in _HANDING_ON and not op.shielded for unit in op.units}
            further |= {child for parent, children in self.system.groups if parent == one for child in children}
            todo += further - targets
            targets |= further
        return number in targets

    def _groups_that_fail_with(self, state: State, number: int) -> Iterator[tuple[int, ...]]:
        """The groups, each with whose it is, that are cancelled when a unit ends by an exception, if it may."""
        it = state.units[number]
        if it.at >= 0 and self._may_fail[number][it.at]:
            yield from ((parent, *children) for parent, children in self.system.groups if number in children)

    @cached_property
    def _may_fail(self) -> list[list[bool]]:
        """Of each point of each unit: whether a way leads from there to an end by an exception."""
        return [_leads_to(unit.points, FAILED) for unit in self.system.units]

    def wakes(self, act: Op, wait: Op) -> bool:
        """Whether an act on a resource ends a wait for it."""
        if act.on != wait.on:
            return isinstance(spec := self.system.resources[wait.on], Lock) and self._gives_up(act, wait.on, spec)
        return act.act in _WAKING.get(wait.act, frozenset())

    def _gives_up(self, act: Op, lock: int, spec: Lock) -> bool:
        """Listening to a condition gives up its lock."""
        resource = self.system.resources[act.on] if act.on >= 0 else None
        return act.act is Act.LISTEN and isinstance(resource, Condition) and resource.lock == lock


_WAKING = {
    Act.SEND: frozenset({Act.RECEIVE, Act.TRY_RECEIVE, Act.CLOSE}),
    Act.RECEIVE: frozenset({Act.SEND, Act.TRY_SEND, Act.CLOSE}),
    Act.DRAINED: frozenset({Act.TASK_DONE}),
    Act.ACQUIRE: frozenset({Act.RELEASE}),
    Act.WAIT: frozenset({Act.SET, Act.WAIT}),
    Act.LISTEN: frozenset({Act.NOTIFY}),
}
"""What ends a wait; a barrier is reached by others who wait there."""


def _leads_to(points: tuple[Point, ...], end: int) -> list[bool]:
    found = [any(end in targets for targets in point.ways.values()) for point in points]
    while True:
        grown = [
            told or any(t >= 0 and found[t] for ts in point.ways.values() for t in ts) for told, point in zip(found, points, strict=True)
        ]
        if grown == found:
            return found
        found = grown


def _acts_from(points: tuple[Point, ...]) -> list[frozenset[Op]]:
    after = [{point.op} for point in points]
    changed = True
    while changed:
        changed = False
        for at, point in enumerate(points):
            for targets in point.ways.values():
                for target in targets:
                    if target >= 0 and not after[target] <= after[at]:
                        after[at] |= after[target]
                        changed = True
    return [frozenset(acts) for acts in after]
