"""LK204: tasks or threads started for each thing that arrives, with nothing to keep their number down."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint import ir
from leaklint.catalog.grammar import Does, Kind, UnitKind, Waits
from leaklint.exits.sentinels import data_names
from leaklint.exits.ways import names_in
from leaklint.finding import Confidence, Growth, Leak
from leaklint.graph import Graph
from leaklint.link.actions import Action
from leaklint.link.flow.state import LibraryCall
from leaklint.link.places import Place
from leaklint.link.syntax import expressions, subexpressions, target_names, walk
from leaklint.link.units import Unit
from leaklint.link.values import FunctionId, Site
from leaklint.queries.query import NoOptions
from leaklint.queries.wording import grows
from leaklint.recurrence import Recurrence

_ARRIVES = frozenset({Waits.WHILE_EMPTY, Waits.UNTIL_READY})
_ORDERS = frozenset({"<", ">", "<=", ">="})


def unlimited(graph: Graph, options: NoOptions) -> Iterator[Leak]:
    """A unit for each thing that an endless loop takes in, started without a permit, without waiting for an earlier one, and without
    counting those that still run."""
    program, told = graph.program, set[Site]()
    for unit in program.units:
        if unit.kind not in (UnitKind.TASK, UnitKind.THREAD, UnitKind.PROCESS):
            continue
        for spawn in unit.spawns:
            record = spawn.record
            place = program.place(record.function, record.site.number)
            if spawn.operation.does is not Does.SPAWN or place is None or not place.loops or record.site in told:
                continue
            often = graph.recurrence([record])
            if often.growth is not Growth.PER_ITERATION or often.function != record.function or often.loop is None:
                continue
            taken = _taken_in(graph, record.function, often.loop)
            if (
                taken is not None
                and _is_for_each(graph, unit, spawn, often.loop, taken)
                and not _is_held_back(graph, unit, spawn, often.loop)
            ):
                told.add(record.site)
                yield _leak(graph, unit, spawn, taken, often)


def _taken_in(graph: Graph, function: FunctionId, loop: ir.While | ir.For) -> Action | None:
    """The operation of a loop that waits for the next thing to arrive."""
    for number in sorted(_sites(graph, function, loop)):
        for action in graph.program.at(function.site(number)):
            if action.waits in _ARRIVES and not action.bounded and action.call.operation.timeout is None and not action.deferred:
                return action
            if action.does is Does.RECEIVE and action.waits is Waits.WHILE_EMPTY and not action.deferred:
                return action
    return None


def _sites(graph: Graph, function: FunctionId, loop: ir.While | ir.For) -> frozenset[int]:
    inside = {id(stmt) for stmt in walk(loop.body)} | {id(loop)}
    return frozenset(number for node in graph.paths(function).nodes if id(node.stmt) in inside for number in node.sites())


def _is_for_each(graph: Graph, unit: Unit, spawn: LibraryCall, loop: ir.While | ir.For, taken: Action) -> bool:
    """Whether every turn that takes something in starts a unit for it: the unit is given it, and no test stands around the start."""
    function, number = spawn.record.function, spawn.record.site.number
    place = graph.program.place(function, number)
    if place is None or any(isinstance(stmt, ir.Branch | ir.Match) for stmt in _within(place, loop)):
        return False
    received = _derived(loop, data_names(loop, taken.site.number)[0])
    made = unit.made.record if unit.made is not None else spawn.record
    given = [call.node for call in (made, spawn.record) if call.node is not None and call.function == function]
    return any(received & set(names_in(a.value)) for call in given for a in call.arguments)


def _derived(loop: ir.While | ir.For, received: frozenset[str]) -> frozenset[str]:
    """The names of what was taken in, and of what is made of it."""
    found: frozenset[str] = frozenset()
    while received - found:
        found |= received
        binds = [stmt for stmt in walk(loop.body) if isinstance(stmt, ir.Bind) and found & set(names_in(stmt.value))]
        received = found | {name for stmt in binds for target in stmt.targets for name in target_names(target)}
    return found


def _within(place: Place, loop: ir.While | ir.For) -> list[ir.Stmt]:
    """The statements between a loop and the place."""
    around = [enclosing.stmt for enclosing in place.around]
    return around[around.index(loop) + 1 :] if loop in around else []


def _is_held_back(graph: Graph, unit: Unit, spawn: LibraryCall, loop: ir.While | ir.For) -> bool:
    """Whether something keeps the number of units down: a permit, a wait for earlier ones, a test that counts; or the unit itself takes a
    permit first, which is at least meant to."""
    program, function = graph.program, spawn.record.function
    sites = [function.site(number) for number in _sites(graph, function, loop)]
    actions = [a for site in sites for a in program.at(site)]
    for site in sites:
        for callee in program.reached(program.state.callees.get(site, ())) - {function}:
            actions += program.actions_in(callee)
    inside = [a for entry in program.reached(unit.entries) for a in program.actions_in(entry)]
    if any(a.does is Does.ACQUIRE and any(program.kind(o) is Kind.SEMAPHORE for o in a.subjects) for a in (*actions, *inside)):
        return True
    if any(a.does in (Does.JOIN, Does.WAIT, Does.BOUND) and a.subjects & unit.handle for a in actions):
        return True
    if any(a.waits is Waits.UNTIL_NOTIFIED for a in actions):
        return True
    return any(_counts(e) for stmt in walk(loop.body) for e in expressions(stmt)) or (isinstance(loop, ir.While) and _counts(loop.test))


def _counts(expression: ir.Expr) -> bool:
    return any(isinstance(part, ir.Comparison) and _ORDERS & set(part.operators) for part in subexpressions(expression))


def _leak(graph: Graph, unit: Unit, spawn: LibraryCall, taken: Action, often: Recurrence) -> Leak:
    record, kind = spawn.record, unit.kind.value
    trace = (
        graph.step(taken.function, taken.at, "each turn of the loop waits here for the next thing to arrive"),
        graph.step(record.function, record.at, f"and starts `{unit.name}` here, however many of them still run"),
    )
    return Leak(
        graph.program.path(record.function.module), record.at, graph.qualname(record.function),
        {"unit": unit.name, "kind": kind, "operation": taken.method, "growth": grows(graph, often, kind, record.function)},
        Confidence.LIKELY, often.growth, trace,
    )  # fmt: skip
