"""What may end a unit from outside: the evidence that keeps a rule silent about a wait."""

from __future__ import annotations

from leaklint.catalog.grammar import Does, Kind, UnitKind
from leaklint.finding import Growth
from leaklint.graph import Graph, Runner
from leaklint.link.program import Unit


def stopped(graph: Graph, unit: Unit) -> str | None:
    """Why the unit may end though what it waits for never comes; None when nothing in sight can end it."""
    program = graph.program
    if not unit.spawns:
        return "it is never started"
    for obj in sorted(unit.handle):
        if any(a.does is Does.CANCEL and a.function in program.live for a in program.on(obj)):
            return "it is cancelled"
        reason = program.opened(obj)
        if reason is not None:
            return reason
    if unit.kind in (UnitKind.CALLBACK, UnitKind.HANDLER):
        return "the library ends it"
    for spawn in unit.spawns:
        if spawn.subject is not None and program.kind(spawn.subject) in (Kind.GROUP, Kind.EXECUTOR) and _cancels(graph, spawn.subject):
            return "its group is cancelled"
    if unit.kind is UnitKind.TASK and not unit.handle and any(s.operation.does is not Does.SPAWN for s in unit.spawns):
        return "the one that waits for it can be cancelled"
    waited = any(s.subject is not None and program.kind(s.subject) is Kind.GROUP for s in unit.spawns)
    if unit.kind is UnitKind.TASK and not waited and graph.growth(unit.spawns) is Growth.ONCE and in_program(graph, unit):
        return "the program's end cancels it"
    return None


def _cancels(graph: Graph, group: int) -> bool:
    """Whether somebody cancels a task group or its scope, or the group lets a failure do it."""
    program = graph.program
    value = program.value(group)
    site = getattr(value, "site", None)
    return program.opened(group) is not None or any(
        a.does is Does.CANCEL and (group in a.subjects or any(getattr(program.value(o), "site", None) == site for o in a.subjects))
        for a in program.actions
    )


def in_program(graph: Graph, unit: Unit) -> bool:
    """Whether the unit is started under a call that cancels what is left when it returns (`asyncio.run`)."""
    program = graph.program
    tops = {root for spawn in unit.spawns for root in program.roots(spawn.record.function)}
    runs = {
        entry
        for call in program.state.library.values()
        if call.operation.ends_tasks
        for entry in program.entries(call)
    }
    reached = program.reached(runs)
    return all(spawn.record.function in reached for spawn in unit.spawns) and all(top.index == 0 for top in tops)


def can_be_stopped(graph: Graph, runner: Runner) -> bool:
    """Whether who runs a function may be ended from outside while it waits."""
    return runner.unit is not None and stopped(graph, runner.unit) is not None

