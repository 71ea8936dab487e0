"""LK305: an async generator that holds something, left half-way and not closed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from leaklint import ir
from leaklint.catalog.grammar import Kind
from leaklint.exits.ways import first_reached
from leaklint.finding import Confidence, Leak
from leaklint.graph import Graph
from leaklint.link.syntax import blocks, expressions, subexpressions, walk
from leaklint.link.values import FunctionId, Generator
from leaklint.paths import EXCEPTIONAL, Node
from leaklint.queries.query import NoOptions
from leaklint.queries.wording import grows

_HARMLESS = frozenset({Kind.SCOPE})
"""What a generator may hold across a `yield` without keeping anybody from it."""


@dataclass(frozen=True, slots=True)
class _Hold:
    """What a generator holds while it is stopped at a `yield`, and releases only when it goes on or is closed."""

    function: FunctionId
    at: ir.Span
    what: str


def half_read(graph: Graph, options: NoOptions) -> Iterator[Leak]:
    """An `async for` that can be left by `break`, `return` or `raise` over a new generator that holds something at its `yield`, where
    nothing closes the generator afterwards. A plain generator is closed at once when nobody refers to it any more; an async one is given to
    the event loop, which closes it later, in another task."""
    told: set[tuple[int, int]] = set()
    for function in sorted(graph.program.live):
        node = graph.program.node(function)
        for stmt in walk(node.body):
            if not isinstance(stmt, ir.For) or not stmt.is_async or (function.module, stmt.site) in told:
                continue
            leaving = _leaving(stmt)
            hold = _held(graph, function, stmt) if leaving is not None else None
            if leaving is not None and hold is not None and not _is_closed(node, stmt) and not _ends_with_main(graph, function, leaving):
                told.add((function.module, stmt.site))
                yield _leak(graph, function, stmt, leaving, hold)


def _ends_with_main(graph: Graph, function: FunctionId, leaving: ir.Stmt) -> bool:
    """Whether a main coroutine is over as soon as it has left the loop, and its runner then closes what is left (`asyncio.run`)."""
    if not graph.is_main(function):
        return False
    starts = [node for node in graph.paths(function).nodes if node.stmt is leaving]
    return first_reached(starts, Node.gives_way, lambda node: False, lambda node, edge: edge not in EXCEPTIONAL) is None


def _leaving(loop: ir.For) -> ir.Stmt | None:
    """The first statement of a loop that leaves it before its end."""
    return next(_early(loop.body, in_loop=False, caught=False), None)


def _early(body: tuple[ir.Stmt, ...], *, in_loop: bool, caught: bool) -> Iterator[ir.Stmt]:
    """`caught`: a handler in the loop may catch what is raised here."""
    for stmt in body:
        match stmt:
            case ir.Return():
                yield stmt
            case ir.Raise() if not caught:
                yield stmt
            case ir.Jump(kind="break") if not in_loop:
                yield stmt
            case ir.For() | ir.While():
                yield from _early(stmt.body, in_loop=True, caught=caught)
                yield from _early(stmt.orelse, in_loop=in_loop, caught=caught)
            case ir.Try(body=guarded, handlers=[_, *_]):
                yield from _early(guarded, in_loop=in_loop, caught=True)
                for block in blocks(stmt)[1:]:
                    yield from _early(block, in_loop=in_loop, caught=caught)
            case ir.With():
                yield from _early(stmt.body, in_loop=in_loop, caught=True)
            case _:
                for block in blocks(stmt):
                    yield from _early(block, in_loop=in_loop, caught=caught)


def _held(graph: Graph, function: FunctionId, loop: ir.For) -> _Hold | None:
    """What the generator of a loop holds, where the loop is the only one to have it."""
    program = graph.program
    match loop.iterable:
        case ir.Call(site=number):
            variables = [r.result for r in program.effects.records(function.site(number)) if r.by is None]
            objects = frozenset(o for variable in variables for o in program.holds(variable))
        case ir.Name(id=name) if not any(p.name == name for p in program.node(function).parameters):
            objects = program.local_objects(function, (name,)) if _is_only_read(program.node(function), name) else frozenset()
        case _:
            return None
    values = [program.value(o) for o in sorted(objects)]
    if not values or not all(isinstance(v, Generator) and program.node(v.function).is_async for v in values):
        return None
    holds = [_hold_of(graph, v.function, frozenset()) for v in values if isinstance(v, Generator)]
    return holds[0] if all(holds) else None


def _is_only_read(node: ir.Function, name: str) -> bool:
    """Whether a name is bound once and used once: by the loop."""
    uses = [part for stmt in walk(node.body) for e in expressions(stmt) for part in subexpressions(e) if part == ir.Name(name)]
    return len(uses) == 2 and any(isinstance(s, ir.Bind) and s.targets == (ir.Name(name),) for s in walk(node.body))


def _hold_of(graph: Graph, function: FunctionId, seen: frozenset[FunctionId]) -> _Hold | None:
    """What a generator holds around a `yield`, itself or by the generator that it hands on."""
    if function in seen:
        return None
    for around in _around_yields(graph.program.node(function).body, ()):
        for outer in around:
            if (found := _hold_in(graph, function, outer, seen)) is not None:
                return found
    return None


def _around_yields(body: tuple[ir.Stmt, ...], around: tuple[ir.Stmt, ...]) -> Iterator[tuple[ir.Stmt, ...]]:
    """For each statement that yields the blocks around it whose end may release something, the outermost first."""
    for stmt in body:
        if any(isinstance(part, ir.Yield) for e in expressions(stmt) for part in subexpressions(e)):
            yield around
        match stmt:
            case ir.Try():
                inner = (*around, stmt) if stmt.final else around
                for block in (stmt.body, *(h.body for h in stmt.handlers), stmt.orelse):
                    yield from _around_yields(block, inner)
            case ir.With() | ir.For():
                yield from _around_yields(stmt.body, (*around, stmt))
            case _:
                for block in blocks(stmt):
                    yield from _around_yields(block, around)


def _hold_in(graph: Graph, function: FunctionId, outer: ir.Stmt, seen: frozenset[FunctionId]) -> _Hold | None:
    program = graph.program
    match outer:
        case ir.With(items=items, is_async=is_async):
            for item in items:
                entered = {o for a in program.at(function.site(item.site)) for o in a.subjects}
                kinds = {program.kind(o) for o in entered}
                owes = any(model.owes for o in entered if (model := program.model(o)) is not None)
                if (is_async and not kinds & _HARMLESS) or kinds & {Kind.LOCK, Kind.SEMAPHORE, Kind.CONDITION} or owes:
                    return _Hold(function, item.at, "the block that it is in")
        case ir.Try(final=final, at=at):
            if any(isinstance(p, ir.Await) for s in walk(final) for e in expressions(s) for p in subexpressions(e)):
                return _Hold(function, at, "what its `finally` releases")
        case ir.For(is_async=True) as loop:
            return _held_by(graph, function, loop, seen | {function})
        case _:
            pass
    return None


def _held_by(graph: Graph, function: FunctionId, loop: ir.For, seen: frozenset[FunctionId]) -> _Hold | None:
    """What the generator holds that a generator reads and hands on."""
    program = graph.program
    if not isinstance(loop.iterable, ir.Call):
        return None
    records = program.effects.records(function.site(loop.iterable.site))
    values = [program.value(o) for r in records if r.by is None for o in sorted(program.holds(r.result))]
    for value in values:
        if isinstance(value, Generator) and (found := _hold_of(graph, value.function, seen)) is not None:
            return found
    return None


def _is_closed(node: ir.Function, loop: ir.For) -> bool:
    """Whether the function closes the generator by its name."""
    if not isinstance(loop.iterable, ir.Name):
        return False
    name = loop.iterable.id
    for stmt in walk(node.body):
        for expression in expressions(stmt):
            for part in subexpressions(expression):
                match part:
                    case ir.Call(function=ir.Attribute(base=ir.Name(id=base), name="aclose" | "athrow")) if base == name:
                        return True
                    case _:
                        pass
    return False


def _made_at(node: ir.Function, loop: ir.For) -> int:
    """The site of the call that makes the generator; that of the loop where no call of this function does."""
    calls = [loop.iterable, *(s.value for s in walk(node.body) if isinstance(s, ir.Bind) and s.targets == (loop.iterable,))]
    return next((one.site for one in calls if isinstance(one, ir.Call)), loop.site)


def _leak(graph: Graph, function: FunctionId, loop: ir.For, leaving: ir.Stmt, hold: _Hold) -> Leak:
    program = graph.program
    often = graph.recurrences.of_places([(function, _made_at(program.node(function), loop))])
    name = graph.qualname(hold.function)
    where: ir.Span = leaving.at  # type: ignore[union-attr]
    trace = (
        graph.step(hold.function, hold.at, f"`{name}` holds this while it is stopped at its `yield`"),
        graph.step(function, where, f"the loop is left here, and `{name}` stays where it is"),
        graph.step(function, loop.at, "the event loop closes it when the garbage collector comes to it, in a task of its own"),
    )
    return Leak(
        program.path(function.module), loop.at, graph.qualname(function),
        {"generator": name, "holds": hold.what, "growth": grows(graph, often, "of it", function)}, Confidence.LIKELY, often.growth, trace,
    )  # fmt: skip
