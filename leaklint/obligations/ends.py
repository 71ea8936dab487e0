"""How a unit is brought to its end: by itself, or by functions that cancel it, wait for it, set its flag or send it its sentinel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from leaklint import ir
from leaklint.catalog.grammar import Does, UnitKind, Waits
from leaklint.exits import Ending, ExitKind, Exits, Started, Verdict, started
from leaklint.exits.flags import Turn, exits, stops_of
from leaklint.exits.loops import Loop, lasting
from leaklint.graph import Graph
from leaklint.link.actions import Action
from leaklint.link.units import Unit
from leaklint.link.values import FunctionId

_BRINGS = frozenset({Does.SIGNAL, Does.SEND, Does.CLOSE, Does.CANCEL})
_FOR_ANOTHER = frozenset({Waits.UNTIL_SET, Waits.WHILE_EMPTY, Waits.UNTIL_NOTIFIED})
"""Waits that another part of the program must end."""
_NEAR = 2
"""Calls between the entry of a unit and a loop that makes it last."""
_BY_SOMEBODY = frozenset({ExitKind.SENTINEL, ExitKind.CLOSED, ExitKind.FINALIZER})


@dataclass(frozen=True, slots=True)
class End:
    """`lasts`: the unit goes on until something happens; `has_exit`: something in sight, or code out of sight, brings it to its end before
    the process ends; `enders`: the functions that do; `found`: all that is known of its ways out."""

    lasts: bool
    has_exit: bool
    enders: frozenset[FunctionId]
    found: tuple[Ending, ...]


class Ends:
    """Answers for one program."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.exits = Exits(graph)
        self._known: dict[Unit, End] = {}
        self._lasting: dict[FunctionId, list[Loop]] = {}

    def units(self, obj: int) -> list[Unit]:
        """The units that an object stands for."""
        return self._units.get(obj, [])

    @cached_property
    def _units(self) -> dict[int, list[Unit]]:
        found: dict[int, list[Unit]] = {}
        for unit in self.graph.program.units:
            for obj in unit.handle:
                found.setdefault(obj, []).append(unit)
        return found

    @cached_property
    def _starts(self) -> dict[Unit, list[Started]]:
        found: dict[Unit, list[Started]] = {}
        for one in started(self.graph):
            found.setdefault(one.unit, []).append(one)
        return found

    def started(self, unit: Unit) -> list[Started]:
        return self._starts.get(unit, [])

    def of(self, unit: Unit) -> End:
        found = self._known.get(unit)
        if found is None:
            starts = self.started(unit)
            endings = tuple(self.exits.of(one) for one in starts)
            has_exit = not endings or any(ending.verdict in (Verdict.ENDS, Verdict.OPEN) for ending in endings)
            enders = frozenset(self._enders(unit, starts, endings))
            found = self._known[unit] = End(any(self._lasts(one) for one in starts), has_exit, enders, endings)
        return found

    def _lasts(self, one: Started) -> bool:
        if one.unit.kind in (UnitKind.TIMER, UnitKind.CALLBACK):
            return True  # armed until it fires
        return bool(self._loops(one.entries)) or any(a.waits in _FOR_ANOTHER for a in self.exits.blocks(one))

    def _loops(self, entries: tuple[FunctionId, ...]) -> list[tuple[FunctionId, Loop]]:
        """The loops that make a unit last, each with its function."""
        near, seen = set(entries), set(entries)
        for _ in range(_NEAR):
            near = {callee for function in near for callee in self.graph.program.calls.get(function, ())} - seen
            seen |= near
        found = []
        for function in sorted(seen):
            if function not in self._lasting:
                self._lasting[function] = lasting(self.graph, function)
            found += [(function, loop) for loop in self._lasting[function]]
        return found

    def _enders(self, unit: Unit, starts: list[Started], endings: tuple[Ending, ...]) -> Iterator[FunctionId]:
        program = self.graph.program
        own = program.reached(unit.entries)
        for obj in unit.handle:
            yield from (a.function for a in program.on(obj) if is_end_of_unit(a))
        told = {(way.step.path, way.step.at) for ending in endings for way in ending.ways if way.kind in _BY_SOMEBODY}
        for action in self._brought(starts):
            if action.function not in own and (action.does is not Does.SEND or self._is_told(action, told)):
                yield action.function
        for function, loop in self._loops(unit.entries):
            for way in exits(self.graph, Turn(function, -1, loop)):
                stops = (s for flag in way.flags for s in stops_of(self.graph, flag) if s is not None)
                yield from (s.function for s in stops if s.function not in own)

    def _brought(self, starts: list[Started]) -> Iterator[Action]:
        """What is done to the things that a unit waits for."""
        program = self.graph.program
        waits = [a for one in starts for a in self.exits.blocks(one) if a.waits in _FOR_ANOTHER or a.waits is Waits.UNTIL_READY]
        for obj in sorted({o for a in waits for o in a.subjects}):
            channel = self.exits.channel(obj)
            yield from (a for o in (channel.objects if channel is not None else {obj}) for a in program.on(o) if a.does in _BRINGS)

    def _is_told(self, action: Action, told: set[tuple[str, ir.Span]]) -> bool:
        return (self.graph.program.path(action.function.module), action.at) in told


def is_end_of_unit(action: Action) -> bool:
    """Whether an operation on the handle of a unit cancels it, or waits until it is over."""
    match action.does:
        case Does.CANCEL | Does.JOIN | Does.CLOSE | Does.BOUND | Does.SHIELD:
            return True
        case Does.WAIT:
            return action.waits is not Waits.UNTIL_FIRST
        case _:
            return False
