"""LK103: a buffer that one unit alone empties, and an exception ends the unit while others go on filling it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from leaklint import ir
from leaklint.catalog.grammar import Does, UnitKind
from leaklint.exits.loops import Loop, lasting
from leaklint.exits.sentinels import endings
from leaklint.exits.stopping import cancelled
from leaklint.finding import Confidence, Leak
from leaklint.graph import Graph
from leaklint.link.syntax import expressions, subexpressions, walk
from leaklint.link.units import Unit
from leaklint.link.values import FunctionId
from leaklint.obligations.risks import UNTOLD
from leaklint.obligations.tables import Act, Table, Use, is_teardown
from leaklint.obligations.traffic import tables
from leaklint.queries.catching import is_caught
from leaklint.queries.rescue import in_group
from leaklint.queries.wording import grows

_UNITS = frozenset({UnitKind.TASK, UnitKind.THREAD})
_RUNS = _UNITS | {UnitKind.TIMER, UnitKind.JOB, UnitKind.PROCESS}
_WATCHES = frozenset({Does.OBSERVE, Does.REGISTER, Does.WAIT, Does.BOUND})


@dataclass(frozen=True, slots=True)
class _Mortal:
    """A unit with a loop, in the function that it starts in, and a call in it that may raise by name what nobody catches. `below`: what the
    loop calls."""

    unit: Unit
    function: FunctionId
    call: ir.Call
    error: str
    below: frozenset[FunctionId]


def forsaken(graph: Graph) -> Iterator[Leak]:
    """A container that calls from outside fill and only a background loop empties. An exception ends the loop, nobody looks whether it is
    still there, and what is put in stays for ever or is thrown away."""
    mortals = list(_mortals(graph))
    told: set[tuple[tuple[int, int], ir.Span]] = set()
    for table in tables(graph.program) if mortals else ():
        puts, drains = table.of(Act.PUT), table.of(Act.DRAIN, Act.TAKE)
        if not table.is_own or table.home_is_module or not puts or not drains or _is_lent(table):
            continue
        for mortal in mortals:
            put = _forsaken(graph, mortal, puts, drains)
            key = mortal.function.source, mortal.call.at
            if put is not None and key not in told:
                told.add(key)
                yield _leak(graph, table, put, mortal)


def _mortals(graph: Graph) -> Iterator[_Mortal]:
    over = endings(graph.program.models)
    for unit in graph.program.units:
        if unit.kind not in _UNITS or len(unit.spawns) != 1 or len(unit.entries) != 1 or in_group(graph, unit) or _is_watched(graph, unit):
            continue
        (function,) = unit.entries
        if _is_one_of_several(graph, unit):
            continue
        for loop in lasting(graph, function):
            calls = list(_calls(loop))
            below = graph.program.reached({c for call in calls for c in graph.program.state.callees.get(function.site(call.site), ())})
            for call in calls:
                names = graph.program.raising.of_call(function, call) - over - UNTOLD
                left = [name for name in sorted(names) if not is_caught(graph, function, call, name)]
                if left:
                    yield _Mortal(unit, function, call, left[0], below)
                    break


def _is_one_of_several(graph: Graph, unit: Unit) -> bool:
    """Whether units like it are started beside it: then another goes on."""
    record = unit.spawns[0].record
    place = graph.program.place(record.function, record.site.number)
    return place is not None and (bool(place.loops) or place.in_comprehension)


def _is_watched(graph: Graph, unit: Unit) -> bool:
    """Whether anybody is told of the end of the unit, or asks for it."""
    if unit.kind is UnitKind.TASK and (cancelled(graph, unit) is not None or not unit.handle):
        return True
    return any(a.does in _WATCHES for obj in unit.handle for a in graph.program.on(obj))


def _calls(loop: Loop) -> Iterator[ir.Call]:
    return (e for s in walk(loop.body) for x in expressions(s) for e in subexpressions(x) if isinstance(e, ir.Call))


def _is_lent(table: Table) -> bool:
    """Whether the container itself, and not only what is in it, goes where nobody sees who empties it."""
    return any(not use.is_deep for use in table.of(Act.LEND))


def _forsaken(graph: Graph, mortal: _Mortal, puts: list[Use], drains: list[Use]) -> Use | None:
    """A place that fills the container from outside and does not empty it, where the unit alone empties it of its own accord."""
    program = graph.program
    own = {one.source for one in mortal.below | {mortal.function}}
    draining = {use.function.source for use in drains if not is_teardown(program.node(use.function))}
    others = (u for u in program.units if u.kind in _RUNS and _place(u) != _place(mortal.unit))
    emptying = {use.function.source for use in drains}
    if not draining or not draining <= own or any(emptying & _sources(graph, unit.entries) for unit in others):
        return None
    for put in puts:
        versions = program.versions(put.function)
        called = any(r.unit is None and r.entry in program.openness.callable for one in versions for r in graph.runners(one))
        if called and put.function.source not in own and not draining & _sources(graph, versions):
            return put
    return None


def _place(unit: Unit) -> tuple[int, int]:
    """Where the unit is made, on whatever object."""
    record = unit.made.record if unit.made is not None else unit.spawns[0].record
    return record.function.module, record.site.number


def _sources(graph: Graph, functions: list[FunctionId] | tuple[FunctionId, ...]) -> set[tuple[int, int]]:
    return {one.source for one in graph.program.reached(functions)}


def _leak(graph: Graph, table: Table, put: Use, mortal: _Mortal) -> Leak:
    start, function = mortal.unit.spawns[0].record, mortal.function
    often = graph.recurrences.of(put.function)
    producer = graph.qualname(put.function)
    trace = (
        graph.step(start.function, start.at, f"`{mortal.unit.name}` starts here; it alone empties `{table.label}`"),
        graph.step(function, mortal.call.at, f"this may raise `{mortal.error}`, and nothing around it catches that: it is gone"),
        graph.step(put.function, put.at or mortal.call.at, f"`{producer}` goes on filling `{table.label}`"),
    )  # fmt: skip
    return Leak(
        graph.program.path(function.module), mortal.call.at, graph.qualname(function),
        {"channel": table.label, "producer": producer, "growth": grows(graph, often, "item", put.function)},
        Confidence.LIKELY, often.growth, trace, "buffer",
    )  # fmt: skip
