"""LK301: a wait that what stops its owner does not wake."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint import ir
from leaklint.catalog.grammar import Does, Kind, UnitKind, Waits
from leaklint.finding import Confidence, Growth, Leak, Step
from leaklint.graph import Graph
from leaklint.link.actions import Action
from leaklint.link.program import Unit
from leaklint.link.scopes import expressions, subexpressions, walk
from leaklint.link.state import Load
from leaklint.link.values import ClassId, FunctionId, Site
from leaklint.paths import is_endless
from leaklint.queries.query import NoOptions
from leaklint.queries.stopping import stopped
from leaklint.queries.wording import grows

_WAITS = frozenset({Waits.UNTIL_NOTIFIED, Waits.UNTIL_SET, Waits.UNTIL_FIRST, Waits.UNTIL_READY, Waits.WHILE_EMPTY})


def unwoken(graph: Graph, options: NoOptions) -> Iterator[Leak]:
    """A wait without a bound in the loop of a unit: nothing ever signals it, or the flag that should end the loop is set without a
    signal."""
    program = graph.program
    for action in program.actions:
        if action.waits not in _WAITS or action.function not in program.live or not program.blocks(action) or not action.subjects:
            continue
        if action.does not in (Does.WAIT, Does.RECEIVE) or any(program.opened(o) is not None for o in action.subjects):
            continue
        loop = _loop(graph, action)
        if loop is None:
            continue
        units = _units(graph, action)
        if not units:
            continue
        flags = _flags(graph, action.function, loop)
        if flags:
            silent = _silent_stop(graph, action, flags)
            if silent is not None:
                yield _leak(graph, action, units[0], silent)
        elif action.does is Does.WAIT and is_endless(loop.test) and _never_ends(graph, action):
            yield _leak(graph, action, units[0], None)


def _loop(graph: Graph, action: Action) -> ir.While | None:
    place = graph.program.place(action.function, action.site.number)
    loops = place.loops if place is not None else ()
    return next((loop for loop in loops if isinstance(loop, ir.While)), None)


def _units(graph: Graph, action: Action) -> list[Unit]:
    """The units that run the wait, when only units do and none of them can be stopped in another way."""
    found: list[Unit] = []
    for runner in graph.runners(action.function):
        unit = runner.unit
        if unit is None or unit.kind not in (UnitKind.TASK, UnitKind.THREAD, UnitKind.PROCESS) or stopped(graph, unit) is not None:
            return []
        if unit.daemon and graph.growth(unit.spawns) is Growth.ONCE:
            return []
        found.append(unit)
    return found


def _flags(graph: Graph, function: FunctionId, loop: ir.While) -> frozenset[str]:
    """The attributes of `self` that the loop tests to know whether to go on."""
    tests = [loop.test]
    for stmt in walk(loop.body):
        if isinstance(stmt, ir.Branch) and any(isinstance(s, ir.Return) or (isinstance(s, ir.Jump) and s.kind == "break") for s in stmt.body):
            tests.append(stmt.test)
    names: set[str] = set()
    for test in tests:
        match test:
            case ir.Attribute(base=ir.Name(id="self"), name=name) | ir.Operation(operator="not", operands=(ir.Attribute(base=ir.Name(id="self"), name=name),)):
                names.add(name)
            case _:
                pass
    return frozenset(names)


def _silent_stop(graph: Graph, action: Action, flags: frozenset[str]) -> Load | None:
    """A write to the flag, outside the waiting function and the constructor, in a function that wakes nobody, directly or through what
    it calls, and that no caller follows with a wake-up."""
    program = graph.program
    owner = _owners(graph, action.function)
    writes = [
        load
        for load in program.state.loads
        if load.value is not None and load.name in flags and load.function != action.function and _owners(graph, load.function) & owner
        and program.node(load.function).name != "__init__" and isinstance(load.constant, ir.Constant) and load.constant.kind == "bool"
    ]  # fmt: skip
    if not writes or any(_wakes(graph, action, load.function) for load in writes):
        return None
    starts = [w for w in writes if _starts(graph, w.function)]
    stops = [w for w in writes if w not in starts]
    return stops[0] if stops else None


def _starts(graph: Graph, function: FunctionId) -> bool:
    """A function that starts a unit sets the flag to begin with."""
    return any(s.record.function == function for unit in graph.program.units for s in unit.spawns)


def _owners(graph: Graph, function: FunctionId) -> frozenset[object]:
    program = graph.program
    node = program.node(function)
    if node.owner is None:
        return frozenset()
    cls = ClassId(function.module, node.owner)
    names = program.state.names
    return frozenset({*names.lineage(cls)[0], *names.subclasses(cls)})


def _wakes(graph: Graph, action: Action, function: FunctionId) -> bool:
    """Whether the function, what it calls or a caller of it does anything that may end the wait."""
    program = graph.program
    functions = set(program.reached([function]))
    for caller in program.callers.get(function, frozenset()):
        functions |= program.reached([caller])
    for one in functions:
        for other in program.actions_in(one):
            if other.subjects & action.subjects and other.does in (Does.SIGNAL, Does.SEND, Does.CLOSE, Does.CANCEL, Does.REGISTER):
                return True
        if action.waits in (Waits.UNTIL_READY, Waits.UNTIL_FIRST) and _does_something(graph, one):
            return True
    return False


def _does_something(graph: Graph, function: FunctionId) -> bool:
    """Any call but a join or a look: it may write to a socket that the wait watches."""
    program = graph.program
    for stmt in walk(program.node(function).body):
        for expression in expressions(stmt):
            for part in subexpressions(expression):
                if not isinstance(part, ir.Call):
                    continue
                site = Site(function.module, part.site)
                actions = program.at(site)
                if not (actions and all(a.does in (Does.JOIN, Does.OBSERVE, Does.ACQUIRE, Does.RELEASE) for a in actions)) and not program.is_inert(site):
                    return True
    return False


def _never_ends(graph: Graph, action: Action) -> bool:
    """Nobody in sight signals what is waited for."""
    program = graph.program
    kinds = {program.kind(o) for o in action.subjects}
    if not kinds <= {Kind.EVENT, Kind.CONDITION, Kind.FUTURE}:
        return False
    ends = (Does.SIGNAL, Does.CANCEL, Does.CLOSE, Does.REGISTER)
    return not any(a.does in ends and a.function in program.live for o in action.subjects for a in program.on(o))


def _leak(graph: Graph, action: Action, unit: Unit, stop: Load | None) -> Leak:
    program = graph.program
    growth = graph.growth(unit.spawns)
    if growth is Growth.ONCE and unit.kind is not UnitKind.TASK:
        growth = Growth.AT_EXIT
    name = min(program.describe(o) for o in action.subjects)
    spawn = unit.spawns[0].record
    trace: list[Step] = []
    made = program.made_at(min(action.subjects))
    if made is not None:
        trace.append(graph.step(*made, f"`{name}` is made here"))
    trace.append(graph.step(spawn.function, spawn.at, f"`{unit.name}` starts here and is cancelled nowhere"))
    trace.append(graph.step(action.function, action.at, "it waits here without a timeout"))
    if stop is not None:
        trace.append(graph.step(stop.function, program.node(stop.function).at, f"`{stop.name}` is set here to end it, and nothing wakes the wait"))
    else:
        trace.append(graph.step(action.function, action.at, f"nothing that runs signals `{name}`"))
    return Leak(
        program.path(action.function.module), action.at, graph.qualname(action.function),
        {"unit": unit.name, "operation": action.method, "object": name, "growth": grows(graph, growth, unit.kind.value, spawn.function)},
        Confidence.LIKELY, growth, tuple(trace),
    )  # fmt: skip
