"""LK303: a cancellation that is caught inside an endless loop, which goes on as if nothing had come."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from leaklint import ir
from leaklint.catalog.grammar import Does, Kind
from leaklint.finding import Confidence, Leak
from leaklint.graph import Graph
from leaklint.link.syntax import expressions, subexpressions, walk
from leaklint.link.thrown import Thrown, catches, types_of
from leaklint.link.values import FunctionId
from leaklint.paths import EXCEPTIONAL, Edge, Exit, Node, is_endless
from leaklint.paths.semantics import semantics
from leaklint.queries.query import NoOptions
from leaklint.queries.wording import grows

_CANCELLED = Thrown(is_cancel=True)
_AWAITS = frozenset({Does.WAIT, Does.JOIN, Does.BOUND, Does.SHIELD})
_BY_THEMSELVES = frozenset({Kind.TASK, Kind.FUTURE})
"""What awaiting gives a CancelledError of its own: somebody has cancelled it, and not the one who waits."""


@dataclass(frozen=True, slots=True, eq=False)
class _Catch:
    """A handler, or a block that suppresses, which stops cancellations in `function`: they arrive at the `awaits`, and `then` runs next.
    `body` is what the handler does."""

    function: FunctionId
    at: ir.Span
    stmt: ir.Stmt
    body: tuple[ir.Stmt, ...]
    awaits: tuple[Node, ...]
    then: Node


def swallowed(graph: Graph, options: NoOptions) -> Iterator[Leak]:
    """A `CancelledError` stopped in a loop without an end, or in a coroutine that it awaits, when every way from there leads to the
    loop's next turn."""
    told: set[tuple[tuple[int, int], int]] = set()
    for function in sorted(graph.program.live):
        if not graph.program.node(function).is_async:
            continue
        for catch in _catches(graph, function):
            key = (function.source, id(catch.stmt) ^ catch.at.line)
            found = _goes_on(graph, catch) if key not in told and _is_meant_for_the_task(graph, catch) else None
            if found is not None:
                told.add(key)
                yield _leak(graph, catch, *found)


# --- what stops a cancellation


def _catches(graph: Graph, function: FunctionId) -> list[_Catch]:
    nodes = graph.paths(function).nodes
    arriving: dict[int, list[Node]] = {}
    for node in nodes:
        for edge, target in node.successors:
            if edge is Edge.CANCEL and not isinstance(node.stmt, ir.Raise) and _may_be_cancelled(node):
                arriving.setdefault(id(target), []).append(node)
    found = [c for node in nodes if id(node) in arriving for c in _stops(graph, function, node, tuple(arriving[id(node)]))]
    return sorted(found, key=lambda c: (c.at.line, c.at.column))


def _stops(graph: Graph, function: FunctionId, node: Node, awaits: tuple[Node, ...]) -> Iterator[_Catch]:
    match node.stmt:
        case ir.Try(handlers=handlers) as stmt if node.kind == "except":
            catching = [h for h in handlers if catches(types_of(h.type), _CANCELLED) is not False]
            for handler, (edge, target) in zip(catching, node.successors, strict=False):
                if edge is Edge.CANCEL and catches(types_of(handler.type), _CANCELLED):
                    yield _Catch(function, handler.at, stmt, handler.body, awaits, target)
        case ir.With(items=items) as stmt if node.kind == "exit":
            swallows = semantics(graph.program, function).swallowed
            for item in items:
                if catches(swallows(item), _CANCELLED) and len(node.successors) == 1:
                    yield _Catch(function, item.at, stmt, (), awaits, node.successors[0][1])
        case _:
            pass


def _is_meant_for_the_task(graph: Graph, catch: _Catch) -> bool:
    """Whether the cancellation can only be that of the task itself, not of what its function has just cancelled, and nothing of it is kept
    for later."""
    if any(a.does is Does.CANCEL for a in graph.program.actions_in(catch.function)):
        return False
    if _is_kept(graph, catch) or _is_raised_below(graph, catch):
        return False
    return not any(_cancelled_inside(graph, catch.function, node) for node in catch.awaits)


def _is_kept(graph: Graph, catch: _Catch) -> bool:
    """Whether the handler notes what came in a variable that the function tests or raises later."""
    noted = {t for stmt in walk(catch.body) if isinstance(stmt, ir.Bind) for t in stmt.targets if isinstance(t, ir.Name | ir.Attribute)}
    return bool(noted) and any(part in noted for part in _asked(graph.program.node(catch.function)))


def _is_raised_below(graph: Graph, catch: _Catch) -> bool:
    """Whether the handler calls something that may raise it again: code out of sight that gets it, a function that never returns."""
    program = graph.program
    alias = next((h.name for h in catch.stmt.handlers if h.body is catch.body), None) if isinstance(catch.stmt, ir.Try) else None
    for call in (p for stmt in walk(catch.body) for e in expressions(stmt) for p in subexpressions(e) if isinstance(p, ir.Call)):
        callees = program.state.callees.get(catch.function.site(call.site), set())
        if callees and not any(node.exit_kind is Exit.RETURN for callee in callees for node in graph.paths(callee).nodes):
            return True
        if any(argument.value == ir.Name(alias) for argument in call.arguments if alias is not None):
            if not callees and not program.is_inert(catch.function.site(call.site)):
                return True
            if any(isinstance(stmt, ir.Raise) for callee in callees for stmt in walk(program.node(callee).body)):
                return True
    return False


def _asked(function: ir.Function) -> Iterator[ir.Expr]:
    for stmt in walk(function.body):
        match stmt:
            case ir.Branch(test=asked) | ir.While(test=asked):
                yield from subexpressions(asked)
            case ir.Raise(exception=asked) if asked is not None:
                yield from subexpressions(asked)
            case _:
                pass


def _cancelled_inside(graph: Graph, function: FunctionId, node: Node) -> bool:
    """Whether what is awaited may have been cancelled itself: a task or future that somebody cancels, or that is not known."""
    program = graph.program
    for one in (p for part in node.parts for p in subexpressions(part) if isinstance(p, ir.Await)):
        number = one.value.site if isinstance(one.value, ir.Call) else one.site
        callees = program.state.callees.get(function.site(number), set())
        subjects = {o for a in program.at(function.site(number)) if a.does in _AWAITS for o in a.subjects}
        if not isinstance(one.value, ir.Call) and not subjects:
            return True
        below = (a for f in program.reached(callees) for a in program.actions_in(f) if a.does in _AWAITS)
        if any(_is_cancelled(graph, o) for o in subjects.union(*(a.subjects for a in below))):
            return True
    return False


def _is_cancelled(graph: Graph, obj: int) -> bool:
    program = graph.program
    if program.kind(obj) not in _BY_THEMSELVES:
        return False
    return program.opened(obj) is not None or any(a.does is Does.CANCEL and a.function in program.live for a in program.on(obj))


# --- the loop that goes on


def _goes_on(graph: Graph, catch: _Catch) -> tuple[FunctionId, ir.While | ir.For, Node] | None:
    """The endless loop that goes on after the catch, around it or around an await of its function, and the await that comes next."""
    loop = _loop_around(graph, catch.function, catch.stmt)
    if loop is not None:
        after = _next_await(loop, [catch.then]) if any(_comes_round(loop, node) for node in catch.awaits) else None
        return (catch.function, loop, after) if after is not None else None
    return _goes_on_above(graph, catch) if _returns_calmly(catch.then) and _is_always_there(graph, catch) else None


def _is_always_there(graph: Graph, catch: _Catch) -> bool:
    """Whether every way through the function, as long as nothing is raised, comes to one of the awaits."""
    awaits = {id(node) for node in catch.awaits}
    seen: set[int] = set()
    todo = [graph.paths(catch.function).entry]
    while todo:
        node = todo.pop()
        if node.exit_kind is Exit.RETURN:
            return False
        if id(node) not in seen | awaits:
            seen.add(id(node))
            todo += _calmly_on(node)
    return True


def _goes_on_above(graph: Graph, catch: _Catch) -> tuple[FunctionId, ir.While | ir.For, Node] | None:
    """The same of a loop that awaits the function and does not look at what it returns."""
    program = graph.program
    for caller in sorted(program.callers.get(catch.function, frozenset())):
        for number in graph.calls_to(caller, catch.function):
            callees = program.state.callees.get(caller.site(number), set())
            for node in graph.paths(caller).of(number) if {c.source for c in callees} == {catch.function.source} else ():
                match node.stmt:
                    case ir.Evaluate(value=ir.Await(value=ir.Call(site=site))) if site == number and node.kind == "stmt":
                        loop = _loop_around(graph, caller, node.stmt)
                        after = _next_await(loop, _calmly_on(node)) if loop is not None else None
                        if loop is not None and after is not None:
                            return caller, loop, after
                    case _:
                        pass
    return None


def _loop_around(graph: Graph, function: FunctionId, stmt: ir.Stmt) -> ir.While | ir.For | None:
    """The innermost loop without an end of its own that holds the statement."""
    found: ir.While | ir.For | None = None
    for one in walk(graph.program.node(function).body):
        match one:
            case ir.While(test=test) if is_endless(test) and any(inner is stmt for inner in walk(one.body)):
                found = one
            case ir.For(is_async=True) if any(inner is stmt for inner in walk(one.body)):
                found = one
            case _:
                pass
    return found


def _next_await(loop: ir.While | ir.For, starts: list[Node]) -> Node | None:
    """The await of the loop that comes next, when every way leads to its next turn; None where some way leaves it or asks."""
    inside = {id(stmt) for stmt in walk((loop,))}
    awaits: list[Node] = []
    heads: list[Node] = []
    seen: set[int] = set()
    todo = list(starts)
    while todo:
        node = todo.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node.stmt, ir.Raise) or node.exit_kind is not None or (node.stmt is not None and id(node.stmt) not in inside):
            return None
        if _may_be_cancelled(node):
            awaits.append(node)
        if node.stmt is loop and node.kind in ("test", "step"):
            heads.append(node)
        else:
            todo += _calmly_on(node)
    return _first(awaits or heads, inside) if heads else None


def _comes_round(loop: ir.While | ir.For, start: Node) -> bool:
    """Whether the loop has a next turn too when nothing is raised: it does more than try until it has what it waits for."""
    inside = {id(stmt) for stmt in walk((loop,))}
    seen: set[int] = set()
    todo = _calmly_on(start) if start.stmt is not loop else []
    while todo:
        node = todo.pop()
        if node.stmt is loop and node.kind in ("test", "step"):
            return True
        if id(node) not in seen and (node.stmt is None or id(node.stmt) in inside):
            seen.add(id(node))
            todo += _calmly_on(node)
    return start.stmt is loop


def _first(starts: list[Node], inside: set[int]) -> Node | None:
    """The first await from these nodes on."""
    seen: set[int] = set()
    todo = list(starts)
    for node in todo:
        if _may_be_cancelled(node):
            return node
        if id(node) not in seen:
            seen.add(id(node))
            todo += [one for one in _calmly_on(node) if one.stmt is None or id(one.stmt) in inside]
    return None


def _may_be_cancelled(node: Node) -> bool:
    return any(edge is Edge.CANCEL for edge, _ in node.successors) and node.kind not in ("except", "exit", "join")


def _returns_calmly(start: Node) -> bool:
    """Whether every way from a node on, as long as nothing is raised, leads to the end of the function."""
    seen: set[int] = set()
    todo = [start]
    ends = False
    while todo:
        node = todo.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node.stmt, ir.Raise):
            return False
        ends = ends or node.exit_kind is Exit.RETURN
        todo += _calmly_on(node)
    return ends


def _calmly_on(node: Node) -> list[Node]:
    return [target for edge, target in node.successors if edge not in EXCEPTIONAL]


# --- for people


def _leak(graph: Graph, catch: _Catch, where: FunctionId, loop: ir.While | ir.For, after: Node) -> Leak:
    program, function = graph.program, catch.function
    qualname = graph.qualname(function)
    often = graph.recurrences.of(where)
    arrives = min((_span(node, catch.at) for node in catch.awaits), key=lambda at: (at.line, at.column))
    trace = (
        graph.step(function, arrives, "a cancellation may arrive here"),
        graph.step(function, catch.at, "it is caught here, and nothing is raised again"),
        graph.step(where, _span(after, loop.at), f"the loop at line {loop.at.line} goes on and waits here, as if nobody had cancelled it"),
    )
    return Leak(
        program.path(function.module), catch.at, qualname,
        {"function": qualname, "loop": graph.qualname(where), "growth": grows(graph, often, "task", where)},
        Confidence.LIKELY, often.growth, trace, "default" if where == function else "caller",
    )  # fmt: skip


def _span(node: Node, otherwise: ir.Span) -> ir.Span:
    spans = (p.at for e in expressions(node.stmt) for p in subexpressions(e) if isinstance(p, ir.Await)) if node.stmt is not None else ()
    return next(iter(spans), getattr(node.stmt, "at", otherwise))
