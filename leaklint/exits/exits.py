"""Every way to the end of a unit: of what it runs, from outside, and of the timer that calls it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from leaklint.catalog.grammar import Does, UnitKind
from leaklint.exits.body import Bodies
from leaklint.exits.chains import ends_by_itself, rearms
from leaklint.exits.inline import Inline
from leaklint.exits.kinds import ExitKind, Verdict, WayOut, judge
from leaklint.exits.leaving import Leaving
from leaklint.exits.outside import Outside
from leaklint.exits.started import Started, library_actions
from leaklint.exits.waking import Waking
from leaklint.finding import Step
from leaklint.graph import Channel, Graph
from leaklint.link.actions import Action
from leaklint.link.flow.calls import is_inert
from leaklint.link.values import ClassValue, ContainerMethod, Library, Object


@dataclass(frozen=True, slots=True)
class Ending:
    """How a unit ends. `hindrances` say why what looks like an end is none."""

    ways: tuple[WayOut, ...]
    hindrances: tuple[Step, ...]

    @property
    def verdict(self) -> Verdict:
        return judge(self.ways)


class Exits:
    """Answers for one program."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._waking = Waking(graph)
        self._outside = Outside(graph)
        self._bodies = Bodies(Leaving(graph, Inline(graph), self._waking))

    def of(self, one: Started) -> Ending:
        if not one.unit.spawns and all(self.graph.program.opened(obj) is None for obj in one.unit.handle):
            return Ending((WayOut(ExitKind.NEVER_STARTED, self.graph.step(one.made.function, one.made.at, "it is never started")),), ())
        ways, hindrances = self._bodies.ways(one.entries) if one.entries else (list(self._library(one)), [])
        if ways and self._is_armed(one):
            ways = list(self._timer(one))
        ways += self._outside.ways(one)
        return Ending(tuple(dict.fromkeys(ways)), tuple(hindrances))

    def blocks(self, one: Started) -> list[Action]:
        """The operations in it that wait without a bound, in the order of place."""
        program = self.graph.program
        found = [a for f in program.reached(one.entries) for a in program.actions_in(f) if a.call.record.by is None and not a.deferred]
        if not one.entries:
            found = library_actions(self.graph, one.unit)
        waits = [a for a in dict.fromkeys(found) if program.blocks(a) and self._waking.may_wait(a)]
        return sorted(waits, key=lambda a: (program.path(a.function.module), a.at.line, a.at.column, a.name))

    def channel(self, obj: int) -> Channel | None:
        """The channel that an object is, or is an end of."""
        return self._waking.channel(obj)

    def _is_armed(self, one: Started) -> bool:
        return one.unit.kind in (UnitKind.TIMER, UnitKind.CALLBACK) and (
            any(s.operation.does is Does.ARM for s in one.unit.spawns) or rearms(self.graph, one.unit)
        )

    def _timer(self, one: Started) -> Iterator[WayOut]:
        at = one.made
        if not rearms(self.graph, one.unit):
            if any(s.operation.does is Does.ARM for s in one.unit.spawns):
                yield WayOut(ExitKind.FIRES_ONCE, self.graph.step(at.function, at.at, "it fires once"))
        elif ends_by_itself(self.graph, one.unit):
            yield WayOut(ExitKind.CONDITION, self.graph.step(at.function, at.at, f"`{one.name}` arms it again on some ways only"))

    def _library(self, one: Started) -> Iterator[WayOut]:
        """What runs code of a library: one operation, or something out of sight."""
        program = self.graph.program
        actions = library_actions(self.graph, one.unit)
        at = one.made
        if not actions:
            values = [program.value(o) for o in one.values]
            if values and all(self._is_soon_over(value) for value in values):
                yield WayOut(ExitKind.RETURNS, self.graph.step(at.function, at.at, f"`{one.name}` ends soon"))
            else:
                yield WayOut(ExitKind.UNSEEN, self.graph.step(at.function, at.at, "what it runs is out of sight"))
        for action in actions:
            if not program.blocks(action) or self._waking.may_come(action):
                message = f"`{action.method}` comes to its end"
                yield WayOut(ExitKind.RETURNS, self.graph.step(action.function, action.at, message))

    def _is_soon_over(self, value: Object) -> bool:
        """Whether a call of it makes an instance, moves an element, or is known to keep nothing and end soon."""
        match value:
            case ContainerMethod() | ClassValue():
                return True
            case Library(name=name):
                return is_inert(self.graph.program.state, name)
            case _:
                return False
