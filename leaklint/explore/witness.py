"""A schedule that ends with somebody stuck, event by event."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

from leaklint.catalog.grammar import Kind
from leaklint.explore import words
from leaklint.explore.automata import Built
from leaklint.explore.reach import Reach
from leaklint.explore.search import Result, Stuck, stuck_units
from leaklint.explore.setting import Step
from leaklint.explore.state import Alarm, ChannelState, EventState, LockState, State, Status, initial
from leaklint.explore.steps import Move, movable, moves
from leaklint.explore.system import Act, Barrier, Channel, Condition, Lock, Op, Outcome, System
from leaklint.explore.twins import canonical
from leaklint.graph import Graph
from leaklint.link.capacity import capacity
from leaklint.link.dump import origins
from leaklint.link.values import FunctionId
from leaklint.witness import Event, Sort, Standing, Thing, Way, listed

MOST_SETTLING = 16
"""Moves after those of the schedule."""


def told(graph: Graph, built: Built, result: Result) -> tuple[Event, ...]:
    """Who does what, and where, in the order of the schedule; at the end those who are stuck, and why nobody wakes them."""
    return tuple(_Telling(graph, built).of(result))


def _replayed(system: System, schedule: tuple[Move, ...]) -> Iterator[tuple[State, Move]]:
    """The same schedule with each twin keeping its number: each move, and the state before it."""
    state = initial(system)
    for wanted in schedule:
        move = next(m for n in movable(system, state) for m in moves(system, state, n) if canonical(system, m.state) == wanted.state)
        yield state, move
        state = move.state


def _settled(system: System, state: State) -> Iterator[tuple[State, Move]]:
    """What those who have been woken do next: nothing that they can do changes who is stuck, but it shows why."""
    for _ in range(MOST_SETTLING):
        woken = [
            n for n, it in enumerate(state.units) if it.at >= 0 and it.status in (Status.WOKEN, Status.GIVEN) and it.alarm is Alarm.NONE
        ]
        able = set(movable(system, state))
        running = [n for n in state.running if n in able]
        ready = [*running, *(n for n in woken if n in able)]
        move = next((m for n in ready for m in moves(system, state, n) if m.outcome is not Outcome.TIMED_OUT), None) if woken else None
        if move is None:
            return
        yield state, move
        state = move.state


@dataclass(eq=False)
class _Telling:
    """`holders`: lock → who has it, in the order in which they took it."""

    graph: Graph
    built: Built
    holders: dict[int, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.system = self.built.system

    def of(self, result: Result) -> Iterator[Event]:
        last = initial(self.system)
        for before, move in _replayed(self.system, result.schedule):
            yield from self._moved(before, move)
            last = move.state
        for before, move in _settled(replace(self.system, is_bold=False), last):
            yield from self._moved(before, move)
            last = move.state
        stuck = sorted(stuck_units(self.system, last), key=lambda one: one.unit)
        for one in stuck:
            yield from self._stuck(last, one, frozenset(other.unit for other in stuck))

    # --- what moves are

    def _moved(self, before: State, move: Move) -> Iterator[Event]:
        if move.at >= 0:
            op, step = self._at(move.unit, move.at)
            self._note(move, op)
            hands_over, is_rough = self._hands_over(op), op.on in self._rough
            does = words.done(before, move, op, self._on(op), is_rough, hands_over) if step is not None else None
            if does is not None and step is not None:
                yield self._event(move.unit, Way.ACTS if move.outcome is not None else Way.WAITS, does, op, step, move.state)
        if move.at >= 0 > (end := move.state.units[move.unit].at):
            entry = self._entry(move.unit)
            at = self.graph.program.node(entry).at
            path = self.graph.program.path(entry.module)
            yield Event(self._units[move.unit], Way.ENDS, words.ends(end), path, at.line, at.column)

    def _at(self, unit: int, at: int) -> tuple[Op, Step | None]:
        point = self.system.units[unit].points[at]
        return point.op, self.built.steps.get(point.label)

    def _event(self, unit: int, way: Way, does: str, op: Op, step: Step, state: State, why: str = "") -> Event:
        at, path = step.action.at, self.graph.program.path(step.function.module)
        after = self._standing(state, op.on) if op.on >= 0 else None
        to = after.thing if after is not None else self._units[op.units[0]] if op.units else None
        return Event(self._units[unit], way, does, path, at.line, at.column, to, after, why)

    def _note(self, move: Move, op: Op) -> None:
        """Who holds which lock after a move."""
        if move.outcome is not Outcome.DONE or op.on < 0:
            return
        holders = self.holders.setdefault(op.on, [])
        if op.act in (Act.ACQUIRE, Act.TRY_ACQUIRE):
            holders.append(move.unit)
        elif op.act is Act.RELEASE and holders:
            holders.remove(move.unit if move.unit in holders else holders[0])

    def _on(self, op: Op) -> str:
        """What an act is on, in words."""
        if op.on >= 0:
            return str(self._resources[op.on])
        things = [self._units[unit] for unit in op.units]
        return listed(tuple(dict.fromkeys(f"`{thing.name}`" for thing in things)))

    # --- who is stuck

    def _stuck(self, state: State, stuck: Stuck, all_stuck: frozenset[int]) -> Iterator[Event]:
        op, step = self._at(stuck.unit, stuck.at)
        if step is not None:
            waited = words.waited(op, self._on(op), self._hands_over(op))
            does = f"waits for ever in `{words.method(step.action.method)}`{f' {waited}' if waited else ''}"
            yield self._event(stuck.unit, Way.STUCK, does, op, step, state, self._why(state, stuck, op, all_stuck))

    def _why(self, state: State, stuck: Stuck, op: Op, all_stuck: frozenset[int]) -> str:
        """What became of those who could have ended the wait."""
        who = words.who(op)
        if op.act is Act.ACQUIRE and (holders := set(self.holders.get(op.on, ()))):
            others, who = sorted(holders - {stuck.unit}), "has it"
            if stuck.unit in holders:
                return "it has taken that itself"
        elif op.units:
            others = [unit for unit in op.units if state.units[unit].at >= 0]
        else:
            others = [unit for unit in range(len(self.system.units)) if unit != stuck.unit and self._wakes(unit, op)]
            if not others and who is not None:
                return f"nobody {'else ' if self._wakes(stuck.unit, op) else ''}{who}"
        became: dict[tuple[str, str], list[str]] = {}
        for other in others:
            became.setdefault(words.became(state, other, other in all_stuck), []).append(str(self._units[other]))
        told = listed(tuple(f"{listed(tuple(names))} {forms[len(names) > 1]}" for forms, names in became.items()))
        return f"who {who}: {told}" if who is not None and told else told

    def _wakes(self, unit: int, wait: Op) -> bool:
        """Whether a unit ever does what ends a wait; that others wait too ends one at a barrier alone."""
        is_barrier = wait.on >= 0 and isinstance(self.system.resources[wait.on], Barrier)
        acts = [point.op for point in self.system.units[unit].points if point.op.act is not Act.WAIT or is_barrier]
        return any(self._reach.wakes(op, wait) for op in acts)

    @cached_property
    def _reach(self) -> Reach:
        return Reach(self.system)

    # --- how things stand

    def _standing(self, state: State, number: int) -> Standing:
        thing, spec, it = self._resources[number], self.system.resources[number], state.resources[number]
        match spec, it:
            case Channel(capacity=room), ChannelState():
                lines = ((it.putters, "to put"), (it.getters, "to take"), (it.joiners, "for all to be done"))
                waiting = self._waiting(state, *lines)
                return Standing(thing, Sort.CHANNEL, len(it.items), room, it.is_closed, number in self._rough, (), waiting)
            case Lock(permits=permits), LockState():
                by = tuple(str(self._units[unit]) for unit in dict.fromkeys(self.holders.get(number, ())))
                return Standing(thing, Sort.LOCK, permits - it.free, permits, by=by, waiting=self._waiting(state, (it.waiters, "for it")))
            case Barrier(parties=parties), EventState():
                return Standing(thing, Sort.BARRIER, len(it.waiters), parties, waiting=self._waiting(state, (it.waiters, "there")))
            case Condition(), EventState():
                return Standing(
                    thing, Sort.CONDITION, len(it.waiters), None, waiting=self._waiting(state, (it.waiters, "for a notification"))
                )
            case _, EventState():
                is_future = Kind.FUTURE in {self.graph.program.kind(obj) for obj in self.built.scope.resources[number]}
                waiting = self._waiting(state, (it.waiters, "for it"))
                return Standing(thing, Sort.FUTURE if is_future else Sort.EVENT, int(it.is_set), 1, waiting=waiting)
            case _:
                raise AssertionError(f"automata know no {type(spec).__name__}")

    def _waiting(self, state: State, *lines: tuple[tuple[int, ...], str]) -> tuple[str, ...]:
        return tuple(
            f"{self._units[unit]} waits {what}" for line, what in lines for unit in line if state.units[unit].status is Status.WAITING
        )

    def _hands_over(self, op: Op) -> bool:
        return op.on >= 0 and self.system.resources[op.on] == Channel(0)

    @cached_property
    def _rough(self) -> frozenset[int]:
        """The channels one element of which stands for as many as there is room for."""
        program, groups = self.graph.program, self.built.scope.resources
        rooms = {n: spec.capacity for n, spec in enumerate(self.system.resources) if isinstance(spec, Channel)}
        return frozenset(number for number, room in rooms.items() if room and room != capacity(program, groups[number]))

    # --- names and places

    @cached_property
    def _units(self) -> list[Thing]:
        """Each with its number among those of its name."""
        count = Counter(unit.name for unit in self.system.units)
        seen: Counter[str] = Counter()
        found = []
        for unit in self.system.units:
            seen[unit.name] += 1
            number = seen[unit.name] if count[unit.name] > 1 else 0
            started = self.built.scope.units[unit.twin] if unit.twin is not None else None
            made = started.made.record if started is not None and started.made is not None else None
            place = (self.graph.program.path(made.function.module), made.at.line) if made is not None else ("", 0)
            found.append(Thing(unit.name, *place, number))
        return found

    def _entry(self, unit: int) -> FunctionId:
        twin = self.system.units[unit].twin
        return self.built.scope.units[twin].entries[0] if twin is not None else self.built.scope.root

    @cached_property
    def _resources(self) -> list[Thing]:
        program, groups = self.graph.program, self.built.scope.resources
        own_locks = [group for group in groups if program.kind(min(group)) is Kind.CONDITION]
        found = []
        for name, group in zip(self.system.names, (*groups, *own_locks), strict=False):  # flags come last, and are not spoken of
            made = [record for obj in sorted(group) for record in origins(program, obj)][:1]
            places = [(program.path(record.function.module), record.at.line) for record in made]
            found.append(Thing(name, *(places[0] if places else ("", 0))))
        return found
