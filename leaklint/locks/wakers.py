"""Who can end a wait: the operations at the other end, or the units whose end is waited for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from leaklint import ir
from leaklint.catalog.grammar import Does, Kind, UnitKind, Waits
from leaklint.exits.waking import Waking
from leaklint.graph import Graph
from leaklint.link.actions import Action
from leaklint.link.syntax import expressions, subexpressions
from leaklint.link.units import Unit
from leaklint.link.values import FunctionId
from leaklint.locks.needs import is_root

_ENDS = frozenset({Does.SIGNAL, Does.CANCEL, Does.CLOSE})
_SIGNALLED = frozenset({Kind.EVENT, Kind.CONDITION, Kind.FUTURE, Kind.BARRIER})
_ALL_OF_THEM = frozenset({Waits.UNTIL_DONE})
_HERE = frozenset({Does.SPAWN, Does.ARM, Does.SUBMIT, Does.RUN, Does.BOUND, Does.JOIN, Does.WAIT})
"""Operations that let what they are given happen soon: its place is theirs. A registered callback comes whenever it likes."""


@dataclass(frozen=True, slots=True)
class Wakers:
    """What ends a wait for `obj`: any of the `operations`, or the end of `unit`. `since`: what comes before each of these operations, the
    taking of a lock that is given back. `again`: one such operation does not last, others must follow: what was sent is taken, an event is
    cleared."""

    obj: int
    operations: tuple[Action, ...] = ()
    since: tuple[Action, ...] = ()
    unit: Unit | None = None
    again: bool = False


class Wakening:
    """Answers for one program."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._waking = Waking(graph)

    def of(self, wait: Action) -> list[Wakers]:
        """What must come about for the wait to end, in parts: it lasts as long as one of them does not. Empty when code out of sight,
        the world outside or something that nobody knows may end it, when it does not wait, and when nothing in sight ends it."""
        return self.when_it_lasts(wait) if self.graph.program.blocks(wait) else []

    def when_it_lasts(self, wait: Action) -> list[Wakers]:
        """The same of a wait whose own bounds are not looked at: by default it has none."""
        if not wait.subjects or self._is_bounded_outside(wait.function, frozenset()):
            return []
        units = [Wakers(obj, unit=unit) for obj in sorted(wait.subjects) for unit in self._units(wait, obj)]
        others = [obj for obj in sorted(wait.subjects) if not self._stands_for_units(obj)]
        signalled = [found for obj in others if (found := self._operations(wait, obj)) is not None]
        if wait.waits in _ALL_OF_THEM or wait.does is Does.JOIN:
            return [*units, *signalled]
        if units and len(wait.subjects) == 1:
            return units
        # Of several things that may be meant, each must be hard to come by.
        return signalled if len(signalled) == len(wait.subjects) else []

    def _stands_for_units(self, obj: int) -> bool:
        return obj in self.graph.program.handles or self.graph.program.kind(obj) in (Kind.GROUP, Kind.EXECUTOR)

    def _units(self, wait: Action, obj: int) -> Iterator[Unit]:
        """The units whose end is waited for: by their handles, or as members of a group or pool that is left."""
        program = self.graph.program
        ends = wait.waits in (Waits.UNTIL_DONE, Waits.UNTIL_SET) or wait.does is Does.JOIN
        if not ends or not self._stands_for_units(obj):
            return
        for unit in program.units:
            spawned = (s for s in unit.spawns if s.subject == obj and program.kind(obj) in (Kind.GROUP, Kind.EXECUTOR))
            if (obj in unit.handle or any(True for _ in spawned)) and unit.kind not in (UnitKind.CALLBACK, UnitKind.HANDLER):
                yield unit

    def _operations(self, wait: Action, obj: int) -> Wakers | None:
        program = self.graph.program
        if self._waking.opened(obj) is not None:
            return None
        channel = self._waking.channel(obj)
        match wait.waits:
            case Waits.WHILE_FULL if channel is not None:
                found = [*channel.receives, *channel.closes] if channel.bounded else []
            case Waits.WHILE_EMPTY if channel is not None:
                found = [*channel.sends, *channel.closes]
            case Waits.UNTIL_DRAINED if channel is not None:
                found = [a for o in sorted(channel.objects) for a in program.on(o) if a.does is Does.DRAIN]
            case Waits.UNTIL_SET | Waits.UNTIL_NOTIFIED | Waits.UNTIL_DONE if program.kind(obj) in _SIGNALLED:
                if (
                    any(a.does is Does.REGISTER and a.call.record.by is None for a in program.on(obj))
                    and program.kind(obj) is not Kind.FUTURE
                ):
                    return None
                found = [a for a in program.on(obj) if a.does in _ENDS]
            case Waits.WHILE_HELD:
                found = self._given_back_elsewhere(obj)
            case _:
                found = []
        found = [a for a in dict.fromkeys(found) if a.function in program.live and a.site != wait.site and not self._comes_first(a)]
        if not found or any(self._comes_at_any_time(a) for a in found):
            return None
        takes = (a for a in program.on(obj) if a.does is Does.ACQUIRE and wait.waits is Waits.WHILE_HELD)
        return Wakers(obj, tuple(found), tuple(takes), again=self._comes_to_nothing(obj))

    def _given_back_elsewhere(self, obj: int) -> list[Action]:
        """The releases of a lock or permit that is always given back by other functions than those that take it; none where one function
        does both: then what it takes in between is a matter of order."""
        on = self.graph.program.on(obj)
        takers = {a.function for a in on if a.does is Does.ACQUIRE}
        releases = [a for a in on if a.does is Does.RELEASE]
        return releases if not takers & {a.function for a in releases} else []

    def _comes_to_nothing(self, obj: int) -> bool:
        program = self.graph.program
        match program.kind(obj):
            case Kind.EVENT | Kind.FUTURE:
                return any(a.does is Does.CLEAR for a in program.on(obj))
            case Kind.LOCK | Kind.SEMAPHORE:
                return False
            case _:
                return True

    def _comes_first(self, operation: Action) -> bool:
        """Whether it happens while the object that owns the thing is made, before anybody waits."""
        return self.graph.program.node(operation.function).name in ("__init__", "__post_init__")

    def _comes_at_any_time(self, operation: Action) -> bool:
        by = operation.call.record.by
        return by is not None and by.operation.does not in _HERE

    def _is_bounded_outside(self, function: FunctionId, around: frozenset[FunctionId]) -> bool:
        """Whether every way to the function leads through a block or a call that ends after some time."""
        program = self.graph.program
        callers = program.callers.get(function, frozenset())
        if function in around or is_root(self.graph, function):
            return False
        return all(
            self._is_bounded_at(caller, number) or self._is_bounded_outside(caller, around | {function})
            for caller in callers
            for number in self.graph.calls_to(caller, function)
        )

    def _is_bounded_at(self, caller: FunctionId, number: int) -> bool:
        program = self.graph.program
        if any(a.bounded for a in program.at(caller.site(number))):
            return True
        place = program.place(caller, number)
        if place is None:
            return False
        return self._is_argument_of_bound(caller, place.stmt, number) or any(
            self._is_scope(caller, e.stmt) for e in place.around if isinstance(e.stmt, ir.With) and e.block == "body"
        )

    def _is_argument_of_bound(self, function: FunctionId, stmt: ir.Stmt, number: int) -> bool:
        """Whether the coroutine that a call makes is given to one that does not wait for ever (`wait_for(self._read(), 5)`)."""
        for part in (p for e in expressions(stmt) for p in subexpressions(e)):
            if isinstance(part, ir.Call) and any(a.bounded for a in self.graph.program.at(function.site(part.site))):
                given = (p for argument in part.arguments for p in subexpressions(argument.value))
                if any(isinstance(p, ir.Call) and p.site == number for p in given):
                    return True
        return False

    def _is_scope(self, function: FunctionId, stmt: ir.With) -> bool:
        program = self.graph.program
        subjects = (o for item in stmt.items for a in program.at(function.site(item.site)) for o in a.subjects)
        return any(program.kind(o) is Kind.SCOPE for o in subjects)
