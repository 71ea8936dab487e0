"""LK403: a new timer in every turn of a loop, and the old ones stay armed."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint import ir
from leaklint.catalog.grammar import Does, Kind
from leaklint.exits.chains import rearms
from leaklint.finding import Confidence, Growth, Leak
from leaklint.graph import Graph
from leaklint.link.flow.state import LibraryCall
from leaklint.link.syntax import scope_names, subexpressions, walk
from leaklint.link.units import Unit
from leaklint.link.values import FunctionId, Site
from leaklint.obligations.armed import Armed
from leaklint.queries.again import Again, comes_again_armed
from leaklint.queries.query import NoOptions
from leaklint.queries.wording import grows
from leaklint.recurrence import Recurrence

_STOPS = frozenset({Does.SIGNAL, Does.CANCEL, Does.CLOSE})
Loop = ir.While | ir.For


def timer_in_turns(graph: Graph, options: NoOptions) -> Iterator[Leak]:
    """A timer armed in a loop that goes on for long, which the next turn arms again with nothing to cancel the first: one whose handle is
    kept to be cancelled, so that only the last can be, or one that watches over what the turn itself waits for."""
    program, told = graph.program, set[Site]()
    for unit in program.units:
        if unit.made is None or unit.daemon or rearms(graph, unit):
            continue
        for spawn in unit.spawns:
            record = spawn.record
            place = program.place(record.function, record.site.number)
            if spawn.operation.does is not Does.ARM or place is None or not place.loops or record.site in told:
                continue
            often = graph.recurrence([record])
            if often.growth is not Growth.PER_ITERATION or often.function != record.function or often.loop is None:
                continue
            if any(program.opened(obj) is not None for obj in unit.handle) or _is_in_a_table(graph, unit):
                continue
            if _is_cancelled_inside(graph, unit, record.function, often.loop):
                continue
            if not comes_again_armed(graph, unit, record.function, record.site.number, often.loop):
                continue
            if _is_meant_to_be_cancelled(graph, unit) or _watches_over(graph, unit, record.function, often.loop):
                told.add(record.site)
                yield _leak(graph, unit, spawn, often)
    yield from _through_a_call(graph, told)


def _is_cancelled_inside(graph: Graph, unit: Unit, function: FunctionId, loop: Loop) -> bool:
    """Whether a turn cancels its timer under a test that the callback of the timer has a say in: where it does not, the timer has fired."""
    names = {name for entry in unit.entries for name in scope_names(graph.program.node(entry).body, "nonlocal", "global")}
    for branch in (stmt for stmt in walk(loop.body) if isinstance(stmt, ir.Branch)):
        if any(isinstance(part, ir.Name) and part.id in names for part in subexpressions(branch.test)):
            inside = {id(stmt) for stmt in walk((*branch.body, *branch.orelse))}
            sites = (number for node in graph.paths(function).nodes if id(node.stmt) in inside for number in node.sites())
            if any(a.does is Does.CANCEL and a.subjects & unit.handle for n in sites for a in graph.program.done_at(function, n)):
                return True
    return False


def _is_in_a_table(graph: Graph, unit: Unit) -> bool:
    """Whether a container holds the timers: each has a place of its own there."""
    return bool(unit.handle & graph.program.in_containers)


def _is_meant_to_be_cancelled(graph: Graph, unit: Unit) -> bool:
    program = graph.program
    return any(a.does is Does.CANCEL and a.function in program.live for obj in unit.handle for a in program.on(obj))


def _watches_over(graph: Graph, unit: Unit, function: FunctionId, loop: Loop) -> bool:
    """Whether the callback stops what the loop waits for: a future that it awaits, a connection that it reads."""
    program = graph.program
    assert unit.made is not None
    given = program.at(unit.made.record.site)  # `call_later(60, task.cancel)`
    actions = (a for one in program.reached(unit.entries) for a in program.actions_in(one))
    stopped = frozenset(o for a in (*given, *actions) if a.does in _STOPS for o in a.subjects)
    inside = {id(stmt) for stmt in walk(loop.body)} | {id(loop)}
    sites = (number for node in graph.paths(function).nodes if id(node.stmt) in inside for number in node.sites())
    return any(a.waits is not None and a.subjects & stopped for number in sites for a in program.at(function.site(number)))


def _through_a_call(graph: Graph, told: set[Site]) -> Iterator[Leak]:
    """The same where the loop calls a method that arms the timer of its object."""
    armed = Armed(graph)
    for kept in armed.kept():
        if not kept.cancels:
            continue
        again = Again(graph, kept, armed.arming(kept))
        for unit in kept.units:
            assert unit.made is not None
            record = unit.made.record
            often = graph.recurrence([record])
            if record.site in told or often.loop is None or often.function is None or often.function == record.function:
                continue
            if again.in_turns(often.function, often.loop):
                told.add(record.site)
                yield _leak(graph, unit, unit.made, often)


def _leak(graph: Graph, unit: Unit, spawn: LibraryCall, often: Recurrence) -> Leak:
    program = graph.program
    record = unit.made.record if unit.made is not None and unit.made.record.function == spawn.record.function else spawn.record
    assert often.loop is not None and often.function is not None
    handles = [obj for obj in sorted(unit.handle) if program.kind(obj) is Kind.TIMER and obj in program.names_of]
    name = program.describe(handles[0]) if handles else unit.name
    trace = (
        graph.step(record.function, record.at, f"a timer that will call `{unit.name}` is armed here"),
        graph.step(often.function, often.loop.at, "the next turn of this loop comes here again, and nothing on the way cancels it"),
    )
    return Leak(
        program.path(record.function.module), record.at, graph.qualname(record.function),
        {"callee": unit.name, "object": name, "growth": grows(graph, often, "timer", record.function)},
        Confidence.LIKELY, often.growth, trace,
    )  # fmt: skip
