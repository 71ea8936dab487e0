"""LK201: the only reference to a task is dropped."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint import ir
from leaklint.catalog.grammar import Does, UnitKind
from leaklint.finding import Confidence, Growth, Leak, Step
from leaklint.graph import Graph
from leaklint.link.scopes import expressions, subexpressions, walk
from leaklint.link.state import CallRecord, LibraryCall
from leaklint.link.values import FunctionId
from leaklint.queries.query import NoOptions
from leaklint.queries.wording import grows


def dropped(graph: Graph, options: NoOptions) -> Iterator[Leak]:
    """A spawned task that no variable, container or await keeps: where it is spawned, or where a wrapper's caller lets it go."""
    program = graph.program
    for unit in program.units:
        spawn = unit.made
        if spawn is None or unit.kind is not UnitKind.TASK or spawn.operation.does is not Does.SPAWN or spawn.operation.keeps:
            continue
        if spawn.record.node is None or not unit.handle or _kept_elsewhere(graph, unit.handle):
            continue
        for record, wrapper in _drops(graph, spawn.record, spawn.record.function, 0):
            yield _leak(graph, unit.name, spawn, record, wrapper)


def _kept_elsewhere(graph: Graph, handle: frozenset[int]) -> bool:
    """Whether an attribute, a global or a container of any kind may hold the task: the object flow says so."""
    return any(obj in graph.program.held_for_long for obj in handle)


def _drops(graph: Graph, record: CallRecord, function: FunctionId, depth: int) -> Iterator[tuple[CallRecord, FunctionId | None]]:
    """The calls whose result, the task, is let go: this one, or those of the wrapper that returns it."""
    program = graph.program
    place = program.place(function, record.site.number)
    if place is None or place.in_comprehension:
        return
    match place.stmt:
        case ir.Evaluate(value=value) if _is_call(value, record):
            yield record, None
        case ir.Bind(targets=(ir.Name(id=name),), value=value) if _is_call(value, record) and function.index:
            if not _is_read(graph, function, name):
                yield record, None
            elif _only_returned(graph, function, name):
                yield from _callers(graph, function, depth)
        case ir.Return(value=value) if value is not None and _is_call(value, record):
            yield from _callers(graph, function, depth)
        case _:
            pass


def _callers(graph: Graph, wrapper: FunctionId, depth: int) -> Iterator[tuple[CallRecord, FunctionId | None]]:
    if depth < 3:
        for record in graph.program.calls_of(wrapper):
            if record.node is not None and graph.program.state.callees.get(record.site) == {wrapper}:
                if not graph.program.node(wrapper).is_async:
                    yield from ((r, wrapper) for r, _ in _drops(graph, record, record.function, depth + 1))


def _is_call(value: ir.Expr, record: CallRecord) -> bool:
    return isinstance(value, ir.Call) and value.site == record.site.number


def _reads(graph: Graph, function: FunctionId, name: str) -> Iterator[ir.Stmt]:
    """The statements of the function, and of the functions in it, that use the name's value."""
    summary = graph.program.modules[function.module].summary
    todo = [function.index, *(i for i, f in enumerate(summary.functions) if _is_inside(summary, i, function.index))]
    for index in todo:
        for stmt in walk(summary.functions[index].body):
            targets = set(map(id, stmt.targets)) if isinstance(stmt, ir.Bind | ir.Delete) else set()
            for expression in expressions(stmt):
                if id(expression) in targets:
                    continue
                if any(isinstance(e, ir.Name) and e.id == name for e in subexpressions(expression)):
                    yield stmt
                    break


def _is_inside(summary: ir.Summary, index: int, outer: int) -> bool:
    parent = summary.functions[index].parent
    while parent:
        if parent == outer:
            return True
        parent = summary.functions[parent].parent
    return False


def _is_read(graph: Graph, function: FunctionId, name: str) -> bool:
    node = graph.program.node(function)
    outer = any(isinstance(s, ir.Scope) and name in s.names for s in walk(node.body))
    return outer or any(True for _ in _reads(graph, function, name))


def _only_returned(graph: Graph, function: FunctionId, name: str) -> bool:
    return all(isinstance(s, ir.Return) and s.value == ir.Name(name) for s in _reads(graph, function, name))


def _leak(graph: Graph, name: str, spawn: LibraryCall, record: CallRecord, wrapper: FunctionId | None) -> Leak:
    growth = graph.growth([spawn]) if wrapper is None else Growth.ONCE if graph.runs_once(record.function) else Growth.PER_CALL
    trace: list[Step] = []
    if wrapper is not None:
        trace.append(graph.step(spawn.record.function, spawn.record.at, f"`{graph.qualname(wrapper)}` starts the task and only returns it"))
        trace.append(graph.step(record.function, record.at, "its caller drops what it returns"))
    else:
        trace.append(graph.step(record.function, record.at, f"`{name}` starts here, and nothing keeps the task"))
    trace.append(graph.step(record.function, record.at, "the event loop itself holds tasks only weakly"))
    return Leak(
        graph.program.path(record.function.module), record.at, graph.qualname(record.function),
        {"callee": name, "growth": grows(graph, growth, "task", record.function)},
        Confidence.LIKELY, growth, tuple(trace),
    )  # fmt: skip


