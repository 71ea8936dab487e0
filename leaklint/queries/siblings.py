"""LK207: the first error of a group ends the wait for it, and the others of the group go on."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint import ir
from leaklint.catalog.grammar import Does, UnitKind, Waits
from leaklint.exits.loops import lasting
from leaklint.finding import Confidence, Leak
from leaklint.graph import Graph
from leaklint.link.actions import Action
from leaklint.link.syntax import walk
from leaklint.link.units import Unit
from leaklint.link.values import FunctionId
from leaklint.queries.query import NoOptions
from leaklint.queries.wording import grows

_NEAR = 1
"""Calls between what a unit runs and an error or a wait of its own: those farther off are mostly a library's business, and soon over."""
_FOR_ANOTHER = frozenset({Waits.UNTIL_SET, Waits.WHILE_EMPTY, Waits.UNTIL_NOTIFIED})
"""Waits that another part of the program must end."""


def sibling_left(graph: Graph, options: NoOptions) -> Iterator[Leak]:
    """A wait for several that the first error ends, one of them that raises an error of the program, another that lasts, and nobody who
    cancels that one."""
    program = graph.program
    for action in program.actions:
        stops_early = action.call.operation.fails_early
        if stops_early is None or _is_true(action.call.given.get(stops_early)) or action.function not in program.live:
            continue
        place = program.place(action.function, action.site.number)
        if place is None or not place.awaited or graph.ends_with_main(action.function) or action.call.record.by is not None:
            continue
        members = _members(graph, action)
        failing = next(((unit, at) for unit in members for at in _fails_at(graph, unit)), None)
        if failing is None or _is_alone(graph, action, members):
            continue
        others = [unit for unit in members if _lasts(graph, unit) and (unit is not failing[0] or _is_many(graph, action))]
        others = [unit for unit in others if not _is_cancelled(graph, unit)]
        if others:
            yield _leak(graph, action, failing, others[0])


def _is_true(given: ir.Expr | None) -> bool:
    return given is not None and not (isinstance(given, ir.Constant) and given.text in ("False", "None"))


def _members(graph: Graph, action: Action) -> list[Unit]:
    """The units that the wait is for: those that it makes of coroutines, and tasks that it is given."""
    made = [unit for unit in graph.program.units if unit.made is action.call and unit.kind is UnitKind.TASK]
    return made + [unit for unit in graph.program.units if unit.handle & action.subjects and unit.kind is UnitKind.TASK]


def _is_many(graph: Graph, action: Action) -> bool:
    """Whether one of the arguments stands for several: `gather(*[…])`."""
    node = action.call.record.node
    return node is not None and any(argument.star for argument in node.arguments)


def _is_alone(graph: Graph, action: Action, members: list[Unit]) -> bool:
    return len(members) < 2 and not _is_many(graph, action)


def _fails_at(graph: Graph, unit: Unit) -> Iterator[tuple[FunctionId, ir.Span]]:
    """The errors that the program itself raises in the unit and that end it."""
    program = graph.program
    for function in sorted(_near(graph, unit)):
        if not any(program.raising.of(entry) for entry in unit.entries):
            return
        for stmt in walk(program.node(function).body):
            if isinstance(stmt, ir.Raise) and stmt.exception is not None:
                yield function, stmt.at


def _lasts(graph: Graph, unit: Unit) -> bool:
    """Whether the unit goes on for long: it has a loop without an end, or waits for others without a bound."""
    program = graph.program
    inside = _near(graph, unit)
    if any(lasting(graph, function) for function in inside):
        return True
    waits = (a for function in inside for a in program.actions_in(function) if a.waits in _FOR_ANOTHER)
    return any(program.blocks(a) and not a.deferred and a.call.record.by is None for a in waits)


def _near(graph: Graph, unit: Unit) -> frozenset[FunctionId]:
    near = seen = frozenset(unit.entries)
    for _ in range(_NEAR):
        near = frozenset(callee for function in near for callee in graph.program.calls.get(function, ())) - seen
        seen |= near
    return seen


def _is_cancelled(graph: Graph, unit: Unit) -> bool:
    program = graph.program
    ends = (a for obj in unit.handle for a in program.on(obj) if a.does is Does.CANCEL)
    return any(True for _ in ends) or any(program.opened(obj) is not None for obj in unit.handle)


def _leak(graph: Graph, action: Action, failing: tuple[Unit, tuple[FunctionId, ir.Span]], other: Unit) -> Leak:
    unit, (function, at) = failing
    often = graph.recurrence([action.call.record])
    trace = (
        graph.step(action.function, action.at, f"`{unit.name}` and `{other.name}` start here"),
        graph.step(function, at, f"this error ends `{unit.name}`, and with it the wait for both"),
        graph.step(
            other.entries[0], graph.program.node(other.entries[0]).at, f"`{other.name}` goes on, and nobody waits for it or cancels it"
        ),
    )
    return Leak(
        graph.program.path(action.function.module), action.at, graph.qualname(action.function),
        {"operation": action.method, "unit": other.name, "growth": grows(graph, often, "task", action.function)},
        Confidence.LIKELY, often.growth, trace,
    )  # fmt: skip
