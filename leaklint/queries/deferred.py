"""LK604: releases that pile up on an exit stack, and run only when it is closed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from leaklint import ir
from leaklint.catalog.grammar import Does, Kind
from leaklint.finding import Confidence, Growth, Leak, Step
from leaklint.graph import Graph
from leaklint.link.actions import Action
from leaklint.link.syntax import expressions, parts, subexpressions, walk
from leaklint.link.values import FunctionId, LibraryMethod, Site
from leaklint.obligations.tables import MAKERS
from leaklint.queries.query import NoOptions
from leaklint.queries.wording import grows
from leaklint.recurrence import Recurrence

_PUTS_OFF = frozenset({Does.ENTER, Does.REGISTER})


def deferred(graph: Graph, options: NoOptions) -> Iterator[Leak]:
    """A stack that is made before an endless loop gets one more release in each turn; or the stack of a long-lived object gets, in each
    call of a method, the release of something that only this call uses."""
    told: set[tuple[tuple[int, int], int]] = set()
    for put in _puts(graph):
        key = (put.function.source, put.call.at.line)
        if key in told or put.function not in graph.program.live:
            continue
        leak = _in_turns(graph, put) or _in_calls(graph, put)
        if leak is not None:
            told.add(key)
            yield leak


@dataclass(frozen=True, slots=True, eq=False)
class _Put:
    """A call that puts a release off: `stacks` are the ids of the stacks, `stack` stands for them in the program."""

    function: FunctionId
    action: Action
    call: ir.Call
    stacks: frozenset[int]
    stack: ir.Expr
    method: str


def _puts(graph: Graph) -> Iterator[_Put]:
    program = graph.program
    for action in program.actions:
        node = action.call.record.node
        if action.does not in _PUTS_OFF or not isinstance(node, ir.Call) or not isinstance(node.function, ir.Attribute):
            continue
        stacks = _stacks(graph, action.site)
        if stacks:
            yield _Put(action.function, action, node, stacks, node.function.base, node.function.name)


def _stacks(graph: Graph, site: Site) -> frozenset[int]:
    """The stacks whose method a call calls."""
    called = (graph.program.value(o) for o in graph.program.called(site))
    return frozenset(v.subject for v in called if isinstance(v, LibraryMethod) and graph.program.kind(v.subject) is Kind.STACK)


def _is_emptied(graph: Graph, put: _Put, within: ir.Span) -> bool:
    """Whether the function closes the stack, or moves what is on it, in these lines, or has a block for it there: a block around them all
    is no such place."""
    program = graph.program
    for site in program.sites_in(put.function):
        if _stacks(graph, site) & put.stacks:
            own = (action for action in program.at(site) if action.call.record.by is None)
            if any(a.does in (Does.CLOSE, Does.MAKE) and within.line <= a.call.record.at.line <= within.end_line for a in own):
                return True
    blocks = (stmt for stmt in walk(program.node(put.function).body) if isinstance(stmt, ir.With))
    return any(
        within.line <= item.at.line <= within.end_line and program.denoted(put.function, item.context) & put.stacks
        for block in blocks
        for item in block.items
    )


# --- turns of a loop


def _in_turns(graph: Graph, put: _Put) -> Leak | None:
    often = graph.recurrence([put.action.call.record])
    loop = often.loop
    if loop is None or often.function != put.function or _is_emptied(graph, put, loop.at):
        return None
    for stack in sorted(put.stacks):
        made = graph.program.made_at(stack)
        if made is None or made[0] != put.function or loop.at.line <= made[1].line <= loop.at.end_line:
            return None
        steps = (
            graph.step(*made, "the stack is made here, before the loop"),
            graph.step(put.function, put.call.at, "each turn puts one more release on it, and nothing runs them while the loop goes on"),
        )
        facts = {"operation": put.method, "object": _name(put.stack), "loop": str(loop.at.line), "growth": ""}
        return _leak(graph, put, facts, often, steps, "default")
    return None


# --- calls of a method


def _in_calls(graph: Graph, put: _Put) -> Leak | None:
    program, function = graph.program, put.function
    kept = isinstance(put.stack, ir.Attribute) and put.stack.base == ir.Name("self") and put.stacks <= program.held_for_long
    if (
        not kept
        or program.node(function).name in MAKERS | {"__enter__", "__aenter__"}
        or _is_emptied(graph, put, program.node(function).at)
    ):
        return None
    often = graph.recurrences.of(function)
    if often.growth not in (Growth.PER_CALL, Growth.PER_ITERATION):
        return None
    for name in sorted(_released(graph, put)):
        used = _used_up(graph, put, name)
        if used is not None:
            made, waits = used
            steps = (
                graph.step(*made, f"`{name}` is made here, for this call"),
                graph.step(function, put.call.at, f"its release is put off until `{_name(put.stack)}` is closed"),
                graph.step(function, waits.at, f"this is the last that anybody needs `{name}` for"),
            )
            facts = {"operation": put.method, "object": _name(put.stack), "resource": name}
            return _leak(graph, put, facts | {"growth": grows(graph, often, "release put off", function)}, often, steps, "call")
    return None


def _released(graph: Graph, put: _Put) -> set[str]:
    """The names of what is released later: given to the stack, or used by the callback that is."""
    found: set[str] = set()
    for argument in put.call.arguments:
        for part in subexpressions(argument.value):
            match part:
                case ir.Name(id=name):
                    found.add(name)
                case ir.Lambda(function=index):
                    inner = graph.program.node(put.function.inner(index))
                    values = (stmt.value for stmt in inner.body if isinstance(stmt, ir.Return) and stmt.value is not None)
                    found |= {one.id for value in values for one in subexpressions(value) if isinstance(one, ir.Name)}
                case _:
                    pass
    return found


def _used_up(graph: Graph, put: _Put, name: str) -> tuple[tuple[FunctionId, ir.Span], Action] | None:
    """Where the function makes what the name stands for, and where it waits for it, when nobody else gets it."""
    program, function = graph.program, put.function
    if _gets_away(graph, put, name):
        return None
    for obj in sorted(program.denoted(function, ir.Name(name))):
        made = program.made_at(obj)
        if made is None or made[0].source != function.source:
            continue
        waits = [a for a in program.actions_in(function) if obj in a.subjects and a.waits is not None and not a.deferred]
        if waits:
            return made, waits[-1]
    return None


def _gets_away(graph: Graph, put: _Put, name: str) -> bool:
    """Whether anybody else may get what the name stands for: it is returned, kept, given to a call, or seen by a nested function."""
    program, function = graph.program, put.function
    node = program.node(function)
    for stmt in walk(node.body):
        match stmt:
            case ir.DefineFunction(function=index):
                if name in {p.id for one in walk(program.node(function.inner(index)).body) for p in _names(one)}:
                    return True
            case ir.Return(value=value) if value is not None and _holds(value, name):
                return True
            case ir.Bind(targets=targets, value=value) if _holds(value, name):
                if any(not _is_passing(node, target) for target in targets):
                    return True
            case _:
                pass
        for part in (p for e in expressions(stmt) for p in subexpressions(e)):
            match part:
                case ir.Yield(value=value) if value is not None and _holds(value, name):
                    return True
                case ir.Call(arguments=arguments, at=at, site=site) if at != put.call.at and not _stacks(graph, function.site(site)):
                    if any(_holds(one.value, name) for one in arguments) and not program.is_inert(function.site(site)):
                        return True
                case _:
                    pass
    return False


def _names(stmt: ir.Stmt) -> Iterator[ir.Name]:
    yield from (p for e in expressions(stmt) for p in subexpressions(e) if isinstance(p, ir.Name))


def _is_passing(function: ir.Function, target: ir.Expr) -> bool:
    """Whether what is bound is gone when the function ends: a local name, or a place in a table from which the function takes it again."""
    match target:
        case ir.Subscript(base=table):
            pass
        case _:
            return not isinstance(target, ir.Attribute)
    for stmt in walk(function.body):
        match stmt:
            case ir.Delete(targets=targets) if any(isinstance(one, ir.Subscript) and one.base == table for one in targets):
                return True
            case ir.Evaluate(value=ir.Call(function=ir.Attribute(base=base, name="pop"))) if base == table:
                return True
            case _:
                pass
    return False


def _holds(value: ir.Expr, name: str) -> bool:
    """Whether the value holds what the name stands for: `reader` and `Wrapper(reader)` do, `reader.read()` does not."""
    match value:
        case ir.Attribute():
            return False
        case _:
            return value == ir.Name(name) or any(_holds(part, name) for part in parts(value))


# --- for people


def _leak(graph: Graph, put: _Put, facts: dict[str, str], often: Recurrence, steps: tuple[Step, ...], variant: str) -> Leak:
    return Leak(
        graph.program.path(put.function.module), put.call.at, graph.qualname(put.function),
        facts, Confidence.LIKELY, often.growth, steps, variant,
    )  # fmt: skip


def _name(value: ir.Expr) -> str:
    match value:
        case ir.Name(id=name):
            return name
        case ir.Attribute(base=base, name=name):
            return f"{_name(base)}.{name}"
        case _:
            return "the stack"
