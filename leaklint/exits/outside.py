"""What ends a unit from outside: whoever has its handle, the group it belongs to, the end of the program."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from leaklint import ir
from leaklint.catalog.grammar import Does, Kind, UnitKind
from leaklint.exits.kinds import ExitKind, WayOut
from leaklint.exits.leaving import is_finalizer
from leaklint.exits.started import Started
from leaklint.exits.stopping import ends_with_main, keeps_main, makers
from leaklint.graph import Graph
from leaklint.link.actions import Action
from leaklint.link.flow.state import CallRecord, LibraryCall
from leaklint.link.units import Unit
from leaklint.link.values import Resource

_UNCANCELLED = frozenset({UnitKind.THREAD, UnitKind.JOB})
"""A thread cannot be ended from outside, and no job once it runs."""


class Outside:
    """Answers for one program."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def ways(self, one: Started) -> Iterator[WayOut]:
        unit = one.unit
        yield from self._cancelled(one)
        yield from self._in_group(unit, frozenset())
        if unit.daemon:
            yield self._way(ExitKind.DAEMON, one.made, "a daemon: the process ends without waiting for it")
        if self._ends_with_program(unit):
            yield self._way(ExitKind.PROGRAM_END, one.made, "the end of the program's main coroutine cancels it")
        yield from self._escaping(one)

    def _way(self, kind: ExitKind, record: CallRecord, message: str) -> WayOut:
        return WayOut(kind, self.graph.step(record.function, record.at, message))

    # --- its handle

    def _cancelled(self, one: Started) -> Iterator[WayOut]:
        if one.unit.kind in _UNCANCELLED:
            return
        for action in self._cancels(one):
            finalizer = is_finalizer(self.graph, action.function)
            where = self.graph.qualname(action.function) or "the module"
            word = "terminated" if one.unit.kind is UnitKind.PROCESS else "cancelled"
            message = f"it is {word} in `{where}`"
            yield WayOut(ExitKind.FINALIZER if finalizer else ExitKind.CANCELLED, self.graph.step(action.function, action.at, message))

    def _cancels(self, one: Started) -> list[Action]:
        """The operations that cancel it. Where a helper starts many, those that name the handle of another are left out."""
        program = self.graph.program
        found = {a for o in one.unit.handle for a in program.on(o) if a.does is Does.CANCEL and a.function in program.live}
        found = {a for a in found if not _is_of_another(one, a)}
        return sorted(found, key=lambda a: (program.path(a.function.module), a.at.line, a.at.column, a.name))

    def _escaping(self, one: Started) -> Iterator[WayOut]:
        program = self.graph.program
        if one.unit.kind in _UNCANCELLED:
            return
        for obj in sorted(one.unit.handle):
            reason = program.opened(obj)
            if reason is not None:
                yield self._way(ExitKind.ESCAPES, one.made, f"code out of sight may cancel it: {reason}")
                return

    # --- its group

    def _in_group(self, unit: Unit, seen: frozenset[Unit]) -> Iterator[WayOut]:
        for spawn in unit.spawns:
            group = spawn.subject
            if group is not None and self.graph.program.kind(group) is Kind.GROUP:
                yield from self._group(group, spawn, seen | {unit})
            elif spawn.operation.does in (Does.JOIN, Does.WAIT) and not unit.handle:
                yield from islice(self._held_by(spawn.record, seen | {unit}, f"`{spawn.name.rpartition('.')[2]}`"), 1)

    def _group(self, group: int, spawn: LibraryCall, seen: frozenset[Unit]) -> Iterator[WayOut]:
        program = self.graph.program
        name = program.describe(group)
        value = program.value(group)
        site = value.site if isinstance(value, Resource) else None
        cancels = [
            a
            for a in program.actions
            if a.does is Does.CANCEL
            and a.function in program.live
            and any(o == group or (isinstance(v := program.value(o), Resource) and v.site == site) for o in a.subjects)
        ]
        for action in cancels:
            where = self.graph.qualname(action.function) or "the module"
            yield WayOut(ExitKind.GROUP, self.graph.step(action.function, action.at, f"its group `{name}` is cancelled in `{where}`"))
        reason = program.opened(group)
        if reason is not None:
            yield self._way(ExitKind.ESCAPES, spawn.record, f"code out of sight may cancel its group: {reason}")
        elif not cancels:
            for entering in makers(self.graph, group):
                yield from islice(self._held_by(entering, seen, f"its group `{name}`"), 1)

    def _held_by(self, record: CallRecord, seen: frozenset[Unit], what: str) -> Iterator[WayOut]:
        """What is awaited ends with who awaits it: with a unit that can be cancelled, or a caller out of sight."""
        for runner in self.graph.runners(record.function):
            if runner.unit is None:  # the main line waits for it: the program does not end before it
                if runner.kind is UnitKind.ANYONE and self.graph.program.node(runner.entry).is_async:
                    name = self.graph.qualname(runner.entry)
                    yield self._way(ExitKind.GROUP, record, f"{what} is cancelled with `{name}`, which code out of sight runs")
            elif runner.unit not in seen and self._can_be_cancelled(runner.unit, seen):
                yield self._way(ExitKind.GROUP, record, f"{what} is cancelled with `{runner.unit.name}`")

    def _can_be_cancelled(self, unit: Unit, seen: frozenset[Unit]) -> bool:
        program = self.graph.program
        if unit.kind in _UNCANCELLED:
            return False
        for obj in unit.handle:
            if program.opened(obj) is not None or any(a.does is Does.CANCEL and a.function in program.live for a in program.on(obj)):
                return True
        return any(True for _ in self._in_group(unit, seen | {unit}))

    # --- the program

    def _ends_with_program(self, unit: Unit) -> bool:
        if not unit.spawns or unit.kind is not UnitKind.TASK or keeps_main(self.graph, unit):
            return False
        return all(ends_with_main(self.graph, spawn) for spawn in unit.spawns)


def _is_of_another(one: Started, action: Action) -> bool:
    """Whether `self._task.cancel()` or `task.cancel()` names what only another unit is bound to."""
    match action.call.record.node:
        case ir.Call(function=ir.Attribute(base=ir.Attribute(name=name))):
            return name in {word for _, word in one.others}
        case ir.Call(function=ir.Attribute(base=ir.Name(id=name))):
            return (action.function, name) in one.others
        case _:
            return False
