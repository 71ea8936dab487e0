"""LK202, LK203: a unit that its owner forgets after telling it to stop, and that a new start tells to go on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from leaklint import ir
from leaklint.catalog.grammar import Does, Kind, UnitKind
from leaklint.exits.flags import Flag, Turn, exits
from leaklint.exits.loops import lasting
from leaklint.finding import Confidence, Leak
from leaklint.graph import Graph
from leaklint.link.flow.state import Load
from leaklint.link.syntax import expressions, subexpressions, walk
from leaklint.link.units import Unit
from leaklint.link.values import FunctionId
from leaklint.obligations.holdings import Holdings, Place
from leaklint.queries.wording import grows

_LOOKS_AFTER = frozenset({Does.JOIN, Does.OBSERVE, Does.CANCEL, Does.WAIT, Does.BOUND, Does.SHIELD, Does.REGISTER})
_KINDS = {UnitKind.THREAD: Kind.THREAD, UnitKind.TASK: Kind.TASK}
_WAITS_FOR = {Kind.THREAD: ("joins", "`{}.join()`"), Kind.TASK: ("awaits or cancels", "`{}.cancel()`, or await it,")}


@dataclass(frozen=True, slots=True)
class _Restart:
    """`forgets`: the method that sets the flag to its last value and the attribute to None; `revives`: the one that sets the flag back and
    starts another thread."""

    forgets: FunctionId
    revives: FunctionId
    flag: Flag


def restart_leaks(graph: Graph, holdings: Holdings, kinds: frozenset[Kind | None]) -> Iterator[Leak]:
    """A thread or task that may still be in the middle of a turn when the flag which should end it is set back: nobody waited for it, and
    the attribute that held it was set to None so that another could be started."""
    told: set[tuple[str, ir.Span]] = set()
    for unit in graph.program.units:
        kind = _KINDS.get(unit.kind)
        if kind not in kinds or kind is None or not unit.spawns or unit.made is None or _is_looked_after(graph, unit):
            continue
        for place in sorted({place for obj in unit.handle for place in holdings.holding(obj)}):
            restart = _restart(graph, holdings, unit, place)
            where = graph.program.path(unit.made.record.function.module), unit.made.record.at
            if restart is not None and where not in told:
                told.add(where)
                yield _leak(graph, unit, kind, place, restart)


def _is_looked_after(graph: Graph, unit: Unit) -> bool:
    """Whether anybody waits for the unit, asks how it is, or may do so out of sight."""
    program = graph.program
    return any(program.opened(obj) is not None or any(a.does in _LOOKS_AFTER for a in program.on(obj)) for obj in unit.handle)


def _restart(graph: Graph, holdings: Holdings, unit: Unit, place: Place) -> _Restart | None:
    program, own = graph.program, frozenset(holdings.methods(place.owner))
    forgetting = [load for load in _writes(graph, place.name, frozenset({place.owner})) if _is_none(load)]
    if not forgetting or unit.made is None:
        return None
    for entry in unit.entries:
        loops = lasting(graph, entry)
        if not loops or _reads(program.node(entry), place.name):
            continue
        for flag in (flag for loop in loops for way in exits(graph, Turn(entry, -1, loop)) for flag in way.flags):
            stops, goes = _turned(graph, flag)
            forgets = {f for f in stops if f in {load.function for load in forgetting} and _is_for_others(graph, unit, f)}
            starting = [f for f in sorted(own) if unit.made.record.function in program.reached([f]) and program.reached([f]) & goes]
            revives = [f for f in starting if f in goes] or [f for f in starting if not program.reached([f]) & forgets]
            if forgets and revives:
                return _Restart(min(forgets), revives[0], flag)
    return None


def _turned(graph: Graph, flag: Flag) -> tuple[frozenset[FunctionId], frozenset[FunctionId]]:
    """The functions that give a flag the value which ends the loop, and those that set it back; constructors do neither."""
    program = graph.program
    if not flag.name:
        actions = [a for obj in flag.bases for a in program.on(obj)]
        return (
            frozenset(a.function for a in actions if a.does is Does.SIGNAL),
            frozenset(a.function for a in actions if a.does is Does.CLEAR),
        )
    stops, goes = set[FunctionId](), set[FunctionId]()
    for load in _writes(graph, flag.name, flag.bases):
        if isinstance(load.constant, ir.Constant) and load.constant.kind == "bool":
            (stops if (load.constant.text == "True") is flag.stop else goes).add(load.function)
    return frozenset(stops), frozenset(goes)


def _writes(graph: Graph, name: str, owners: frozenset[int]) -> list[Load]:
    program = graph.program
    return [
        load
        for load in graph.loads_of(name)
        if load.value is not None and program.holds(load.base) & owners and program.node(load.function).name != "__init__"
    ]


def _is_none(load: Load) -> bool:
    return isinstance(load.constant, ir.Constant) and load.constant.kind == "none"


def _reads(node: ir.Function, name: str) -> bool:
    """Whether a function reads an attribute of that name: a unit may see there that another has taken its place."""
    parts = (part for stmt in walk(node.body) for e in expressions(stmt) for part in subexpressions(e))
    targets = {id(t) for stmt in walk(node.body) if isinstance(stmt, ir.Bind) for t in stmt.targets}
    return any(isinstance(part, ir.Attribute) and part.name == name and id(part) not in targets for part in parts)


def _is_for_others(graph: Graph, unit: Unit, function: FunctionId) -> bool:
    """Whether not only the unit itself runs a function."""
    program, inside = graph.program, graph.program.reached(unit.entries)
    return function not in inside or function in program.openness.callable or bool(program.callers.get(function, frozenset()) - inside)


def _leak(graph: Graph, unit: Unit, kind: Kind, place: Place, restart: _Restart) -> Leak:
    assert unit.made is not None
    program, made = graph.program, unit.made.record
    flag = restart.flag.name or min(program.describe(obj) for obj in restart.flag.bases)
    forgets, revives = graph.qualname(restart.forgets), graph.qualname(restart.revives)
    often = graph.recurrence([made])
    waits, release = _WAITS_FOR[kind]
    trace = (
        graph.step(made.function, made.at, f"the {kind.value} that runs `{unit.name}` is made here and kept as `{place.name}`"),
        graph.step(
            restart.forgets, program.node(restart.forgets).at, f"`{forgets}` sets `{flag}` to end it and drops it; nobody {waits} it"
        ),
        graph.step(restart.revives, program.node(restart.revives).at, f"`{revives}` sets `{flag}` back and starts another {kind.value}"),
        graph.step(made.function, made.at, "if the old one has not looked at the flag in the meantime, both of them go on"),
    )
    return Leak(
        program.path(made.function.module), made.at, graph.qualname(made.function),
        {
            "object": unit.name, "release": release.format(place.name), "function": forgets,
            "growth": grows(graph, often, kind.value, made.function),
        },
        Confidence.LIKELY, often.growth, trace, "restarted",
    )  # fmt: skip
