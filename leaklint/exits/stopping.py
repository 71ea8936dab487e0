"""What may end a unit from outside: the evidence that keeps a rule silent about a wait."""

from __future__ import annotations

from leaklint import ir
from leaklint.catalog.grammar import Does, Kind, UnitKind, Waits
from leaklint.finding import Growth
from leaklint.graph import Graph, Runner
from leaklint.link.actions import Action
from leaklint.link.flow.state import CallRecord, LibraryCall
from leaklint.link.units import Unit
from leaklint.link.values import FunctionId, Resource
from leaklint.paths import is_endless
from leaklint.recurrence import Recurrence


def stopped(graph: Graph, unit: Unit) -> str | None:
    """Why the unit may end though what it waits for never comes; None when nothing in sight can end it."""
    reason = cancelled(graph, unit)
    if reason is not None:
        return reason
    if unit.kind is UnitKind.TASK and all(ends_with_main(graph, spawn) for spawn in unit.spawns) and not keeps_main(graph, unit):
        return "the program's end cancels it"
    return None


def cancelled(graph: Graph, unit: Unit, seen: frozenset[Unit] = frozenset()) -> str | None:
    """Why the unit may end before the program does. `seen` are the units that wait in groups for this one."""
    program = graph.program
    if not unit.spawns:
        return "it is never started"
    for obj in sorted(unit.handle):
        if any(a.does is Does.CANCEL and a.function in program.live for a in program.on(obj)):
            return "it is cancelled"
        reason = program.opened(obj)
        if reason is not None and unit.kind is not UnitKind.THREAD:  # nobody can end a thread from outside
            return reason
    if unit.kind in (UnitKind.CALLBACK, UnitKind.HANDLER):
        return "the library ends it"
    for spawn in unit.spawns:
        if spawn.subject is None or program.kind(spawn.subject) not in (Kind.GROUP, Kind.EXECUTOR):
            continue
        if cancels(graph, spawn.subject):
            return "its group is cancelled"
        if program.kind(spawn.subject) is Kind.GROUP and _holder_is_cancelled(graph, spawn.subject, seen | {unit}):
            return "its group is cancelled with the one that waits for it"
    if unit.kind is UnitKind.TASK and not unit.handle and any(s.operation.does is not Does.SPAWN for s in unit.spawns):
        return "the one that waits for it can be cancelled"
    return None


def cancels(graph: Graph, group: int) -> bool:
    """Whether somebody cancels a task group or its scope, or the group lets a failure do it."""
    return graph.program.opened(group) is not None or any(is_cancel_of(graph, a, group) for a in graph.program.actions)


def _holder_is_cancelled(graph: Graph, group: int, seen: frozenset[Unit]) -> bool:
    """Whether a unit that waits at the end of the group's block may be ended itself: its cancellation is that of all in the group."""
    runners = (runner.unit for record in makers(graph, group) for runner in graph.runners(record.function))
    return any(unit is not None and unit not in seen and cancelled(graph, unit, seen) is not None for unit in runners)


def makers(graph: Graph, group: int) -> list[CallRecord]:
    """Where a group is made: in the function that waits at the end of its block."""
    program = graph.program
    calls = program.state.constructed.get(group, [])
    value = program.value(group)
    if not calls and isinstance(value, Resource):
        calls = program.state.at(value.site)
    return [call.record for call in calls]


def is_cancel_of(graph: Graph, action: Action, group: int) -> bool:
    """Whether an operation cancels a task group, or the scope that belongs to it."""
    if action.does is not Does.CANCEL:
        return False
    site = getattr(graph.program.value(group), "site", None)
    return group in action.subjects or any(getattr(graph.program.value(o), "site", None) == site for o in action.subjects)


def ends_with_main(graph: Graph, spawn: LibraryCall) -> bool:
    """Whether the spawn stands in a main coroutine, at whose end what is left is cancelled, and not in a loop without an end."""
    function = spawn.record.function
    place = graph.program.place(function, spawn.record.site.number)
    if place is None or not graph.ends_with_main(function):
        return False
    return not any(loop.is_async if isinstance(loop, ir.For) else is_endless(loop.test) for loop in place.loops)


def keeps_main(graph: Graph, unit: Unit) -> bool:
    """Whether a main coroutine waits for the unit itself, so that the program does not end before it."""
    program = graph.program
    if any(s.subject is not None and program.kind(s.subject) is Kind.GROUP for s in unit.spawns):
        return True  # leaving the group's block waits for it
    joins = (
        a
        for obj in unit.handle
        for a in program.on(obj)
        if a.does in (Does.JOIN, Does.WAIT) and a.waits is not Waits.UNTIL_FIRST and program.blocks(a)
    )
    return any(graph.ends_with_main(a.function) for a in joins)


def units_only(graph: Graph, function: FunctionId) -> list[Unit]:
    """The units that run a function, when only units do that nothing in sight can end; else none. Outside code that may call the entry
    of a unit does not count."""
    runners = graph.runners(function)
    units = [r.unit for r in runners if r.unit is not None]
    entries = {entry for unit in units for entry in unit.entries}
    if not all(r.unit is not None or (r.kind is UnitKind.ANYONE and r.entry in entries) for r in runners):
        return []
    if any(u.kind not in (UnitKind.TASK, UnitKind.THREAD, UnitKind.PROCESS) or stopped(graph, u) is not None for u in units):
        return []
    return units


def pile_up(graph: Graph, unit: Unit) -> Recurrence | None:
    """How many of a unit that does not end there are; None for one that lives as long as the process and does not keep it from ending."""
    often = graph.recurrence(spawn.record for spawn in unit.spawns)
    if often.growth is not Growth.ONCE:
        return often
    if unit.daemon or (unit.kind is UnitKind.TASK and not keeps_main(graph, unit)):
        return None
    return Recurrence(Growth.AT_EXIT)


def can_be_stopped(graph: Graph, runner: Runner) -> bool:
    """Whether who runs a function may be ended from outside while it waits."""
    return runner.unit is not None and stopped(graph, runner.unit) is not None
