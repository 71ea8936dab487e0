"""LK201: the only reference to a task is dropped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from leaklint import ir
from leaklint.catalog.grammar import Does, UnitKind
from leaklint.finding import Confidence, Leak, Step
from leaklint.graph import Graph
from leaklint.link.flow.state import CallRecord, LibraryCall
from leaklint.link.syntax import awaits, expressions, subexpressions, walk
from leaklint.link.units import Unit
from leaklint.link.values import FunctionId, Resource, Site
from leaklint.queries.answers import Answers, Handing
from leaklint.queries.fate import Custody, Fate
from leaklint.queries.query import NoOptions
from leaklint.queries.wording import grows

_FARTHEST = 3
"""Wrappers around the spawn followed at most."""


@dataclass(frozen=True, slots=True)
class Drop:
    """A call whose result, the task, is let go; `through` is the function around the spawn when the task came from it. `unshielded`: only
    when the function's wait for it is cut short."""

    record: CallRecord
    through: FunctionId | None
    unshielded: bool = False


def dropped(graph: Graph, options: NoOptions) -> Iterator[Leak]:
    """A spawned task that no variable, container or await keeps: where it is spawned, or where a wrapper's caller lets it go."""
    seen: set[Site] = set()
    handing = Handing(graph.program)
    for unit in graph.program.units:
        spawn = unit.made
        if spawn is None or unit.kind is not UnitKind.TASK or spawn.operation.does is not Does.SPAWN or spawn.operation.keeps:
            continue
        if graph.program.state.callees.get(spawn.record.site):
            continue  # it may as well be a method of the program, which keeps the task
        if not unit.handle or any(isinstance(graph.program.value(o), Resource) for o in spawn.entries):
            continue
        if unit.entries and all(_only_waits(graph.program.node(entry)) for entry in unit.entries):
            continue
        if unit.entries and all(_ends_at_once(graph.program.node(entry)) for entry in unit.entries):
            continue  # it ends in its first step, until which the loop holds it
        for drop in _drops(graph, spawn.record, Answers(handing, unit), 0):
            if drop.record.site not in seen:
                seen.add(drop.record.site)
                yield _leak(graph, unit, spawn, drop)


def _only_waits(node: ir.Function) -> bool:
    """Whether a coroutine does nothing of its own: it waits for what others do, and hands on their errors. Nothing is lost with it."""
    for stmt in walk(node.body):
        if isinstance(stmt, ir.Raise):
            continue
        if isinstance(stmt, ir.Bind | ir.Augment) and any(not isinstance(target, ir.Name) for target in _targets(stmt)):
            return False
        if any(isinstance(part, ir.Call | ir.Yield) for expression in expressions(stmt) for part in subexpressions(expression)):
            return False
    return any(isinstance(part, ir.Await) for stmt in walk(node.body) for e in expressions(stmt) for part in subexpressions(e))


def _ends_at_once(node: ir.Function) -> bool:
    """Whether a coroutine awaits nothing, not even what may never make it wait."""
    return node.is_async and not any(awaits(stmt) for stmt in walk(node.body))


def _targets(stmt: ir.Bind | ir.Augment) -> tuple[ir.Expr, ...]:
    return stmt.targets if isinstance(stmt, ir.Bind) else (stmt.target,)


def _drops(graph: Graph, record: CallRecord, answers: Answers, depth: int) -> Iterator[Drop]:
    """The places where the task that a call gives is let go: there, or at the callers of a wrapper that returns it."""
    if record.node is None:
        if record.by is not None and record.by.operation.does in (Does.REGISTER, Does.ARM):
            yield Drop(record, None)  # the loop calls `create_task` itself
        return
    function = record.function
    fate = Custody(graph, function, {}, answers).of_call(record)
    if fate is Fate.DROPPED:
        yield Drop(record, None)
        return
    if fate is Fate.KEPT and Custody(graph, function, {}, answers, shielded=Fate.DROPPED).of_call(record) is Fate.DROPPED:
        yield Drop(record, None, unshielded=True)
        return
    if fate is Fate.GIVEN and not graph.program.node(function).is_async and _result_is_lost(graph, function):
        yield Drop(record, None)
    if depth < _FARTHEST:
        for call in graph.program.calls_of(function):
            if call.node is None or graph.program.state.callees.get(call.site) != {function}:
                continue
            here = Custody(graph, function, _constants(graph.program.node(function), call.node), answers).of_call(record)
            if here is Fate.DROPPED:
                yield Drop(call, function)
            elif here is Fate.GIVEN:
                yield from (Drop(drop.record, function) for drop in _drops(graph, call, answers, depth + 1))


def _result_is_lost(graph: Graph, function: FunctionId) -> bool:
    """Whether the library calls the function and throws away what it returns."""
    kinds = {unit.kind for unit in graph.program.entered_by.get(function, ())}
    return bool(kinds) and kinds <= {UnitKind.CALLBACK, UnitKind.HANDLER, UnitKind.TIMER, UnitKind.THREAD}


def _constants(node: ir.Function, call: ir.Call) -> dict[str, ir.Constant]:
    """The parameters of a function that are constants in a call of it, left out ones by their defaults."""
    if any(argument.star for argument in call.arguments):
        return {}
    parameters = [p for p in node.parameters if p.kind in ("positional", "any", "keyword")]
    found = {p.name: p.default for p in parameters if p.default is not None}
    positional = [p for p in parameters if p.kind != "keyword"]
    if node.owner is not None and positional:
        positional = positional[1:]
    for position, argument in enumerate(call.arguments):
        if argument.keyword is not None:
            found[argument.keyword] = argument.value
        elif position < len(positional):
            found[positional[position].name] = argument.value
    return {name: value for name, value in found.items() if isinstance(value, ir.Constant)}


def _leak(graph: Graph, unit: Unit, spawn: LibraryCall, drop: Drop) -> Leak:
    record, wrapper = drop.record, drop.through
    often = graph.recurrence([record])
    name = _runs(unit, spawn, record)
    trace: list[Step] = []
    if wrapper is not None:
        trace.append(graph.step(spawn.record.function, spawn.record.at, f"`{graph.qualname(wrapper)}` starts the task and keeps nothing"))
        trace.append(graph.step(record.function, record.at, "its caller drops what it returns"))
    elif drop.unshielded:
        trace.append(graph.step(record.function, record.at, f"`{name}` starts here, and only this function holds the task"))
        shields = (a for a in graph.program.actions_in(record.function) if a.does is Does.SHIELD)
        trace += [
            graph.step(a.function, a.at, "when this wait is cut short, the task goes on") for a in shields if a.subjects & unit.handle
        ]
    else:
        trace.append(graph.step(record.function, record.at, f"`{name}` starts here, and nothing keeps the task"))
    trace.append(graph.step(record.function, record.at, "the event loop itself holds tasks only weakly"))
    return Leak(
        graph.program.path(record.function.module), record.at, graph.qualname(record.function),
        {"callee": name, "growth": grows(graph, often, "task", record.function)},
        Confidence.LIKELY, often.growth, tuple(trace), "shielded" if drop.unshielded else "default",
    )  # fmt: skip


def _runs(unit: Unit, spawn: LibraryCall, record: CallRecord) -> str:
    """What the task runs, as the program is read: the one coroutine in sight, or the one that the call is given."""
    if len(unit.entries) == 1:
        return unit.name
    given = [a.value for a in record.node.arguments] if record.node is not None else []
    for expression in (*given, spawn.given.get(spawn.operation.runs or "")):
        match expression:
            case ir.Call(function=ir.Name(id=name) | ir.Attribute(name=name)):
                return name
            case _:
                pass
    return unit.name
