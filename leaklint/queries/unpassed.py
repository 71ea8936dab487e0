"""LK505: a waiter of a hand-written lock or queue that is cancelled after it was woken and keeps the wake-up to itself."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint import ir
from leaklint.catalog.grammar import Does, Kind
from leaklint.finding import Confidence, Leak
from leaklint.graph import Graph
from leaklint.link.actions import Action
from leaklint.link.syntax import expressions, meant, subexpressions, walk
from leaklint.link.values import FunctionId
from leaklint.locks.cells import CHANGING, cell_of
from leaklint.paths import Edge, Node
from leaklint.queries.wording import grows

_TAKING = frozenset({"pop", "popleft", "popitem"})


def unpassed(graph: Graph) -> Iterator[Leak]:
    """A coroutine that finds no room queues up with a future or an event of its own, and others wake one of the queue at a time. On a
    cancellation after that, nothing wakes the next one."""
    told: set[tuple[int, int]] = set()
    for obj in graph.resources(Kind.EVENT, Kind.FUTURE):
        made = graph.program.made_at(obj)
        if made is None or made[0] not in graph.program.live or made[0].source in told or not graph.program.node(made[0]).is_async:
            continue
        wakers = [a for a in graph.program.on(obj) if a.does is Does.SIGNAL and a.function != made[0] and _wakes_one(graph, a)]
        for node, name in _awaited(graph, made[0], obj) if wakers else ():
            if _wants_room(graph, made[0], obj, node) and not _passes_on(graph, made[0], obj, node, wakers):
                told.add(made[0].source)
                yield _leak(graph, made, obj, name, node, wakers[0])
                break


def _wakes_one(graph: Graph, wake: Action) -> bool:
    """Whether the waker takes one of a queue, whichever is next, and leaves the others waiting. What hands over a value answers the one who
    asked for it."""
    function, node = wake.function, wake.call.record.node
    value = wake.call.given.get(wake.call.operation.value or "")
    if value is not None and not isinstance(value, ir.Constant):
        return False
    receiver = node.function.base if node is not None and isinstance(node.function, ir.Attribute) else None
    if receiver is None or not _is_next(graph, function, meant(graph.program.node(function), receiver)):
        return False
    place = graph.program.place(function, wake.site.number)
    loops = place.loops if place is not None else ()
    return not loops or not _comes_back(graph, function, wake.site.number) or not _empties(loops[-1])


def _is_next(graph: Graph, function: FunctionId, receiver: ir.Expr) -> bool:
    """Whether the expression, or what its name is bound to, takes an element out of a container by its place and not by its key, or is
    the first that a loop over the container comes to."""
    if isinstance(receiver, ir.Name):
        for stmt in walk(graph.program.node(function).body):
            match stmt:
                case ir.Bind(targets=targets, value=value):
                    bound = {p.id for t in targets for p in subexpressions(t) if isinstance(p, ir.Name)}
                    if receiver.id in bound and _takes_next(value):
                        return True
                case ir.For(target=target) if any(p == receiver for p in subexpressions(target)):
                    return True
                case _:
                    pass
    return _takes_next(receiver)


def _takes_next(value: ir.Expr) -> bool:
    for part in subexpressions(value):
        match part:
            case ir.Call(function=ir.Attribute(name=name), arguments=arguments) if name in _TAKING:
                return all(isinstance(a.value, ir.Constant) and a.value.kind in ("int", "bool") for a in arguments)
            case ir.Call(function=ir.Name(id="next")):
                return True
            case _:
                pass
    return False


def _comes_back(graph: Graph, function: FunctionId, number: int) -> bool:
    """Whether the loop goes on after the wake."""
    nodes = graph.paths(function).of(number)
    todo = [target for node in nodes for _, target in node.successors]
    seen: set[int] = set()
    while todo:
        node = todo.pop()
        if any(node is one for one in nodes):
            return True
        if id(node) not in seen:
            seen.add(id(node))
            todo += [target for _, target in node.successors]
    return False


def _empties(loop: ir.While | ir.For) -> bool:
    """Whether the loop goes on until the container is empty, and by nothing else."""
    match loop:
        case ir.For(iterable=ir.Call(function=ir.Name(id="range"))):
            return False
        case ir.While(test=ir.Operation(operator="and")):
            return False
        case _:
            return True


def _awaited(graph: Graph, function: FunctionId, obj: int) -> Iterator[tuple[Node, str]]:
    """The nodes at which the function awaits the object it has made, itself or its `wait()`, each with the name it has there."""
    program = graph.program
    for node in graph.paths(function).nodes:
        for one in (p for part in node.parts for p in subexpressions(part) if isinstance(p, ir.Await)):
            names = (p.id for p in subexpressions(one.value) if isinstance(p, ir.Name))
            yield from ((node, name) for name in names if obj in program.local_objects(function, (name,)))


def _wants_room(graph: Graph, function: FunctionId, obj: int, node: Node) -> bool:
    """Whether it has queued up for room that is not there yet: only when a test fails, or so that it takes itself out of the queue when it
    gives up. A place in a row of answers is none, nor one that brings along what whoever wakes it takes."""
    place = graph.program.place(function, node.sites()[0])
    if place is None or _queued_at(graph, function, obj) is None or _brings(graph, function, obj):
        return False
    if any(isinstance(e.stmt, ir.While | ir.Branch) or e.block == "handler" for e in place.around):
        return True
    return any(isinstance(e.stmt, ir.Try) and e.block == "body" and _takes_out(e.stmt) for e in place.around)


def _brings(graph: Graph, function: FunctionId, obj: int) -> bool:
    """Whether something goes into the queue together with the waiter: a value under it as a key, a parameter beside it in a tuple."""
    node = graph.program.node(function)
    given = {p.name for p in node.parameters}
    for stmt in walk(node.body):
        match stmt:
            case ir.Bind(targets=(ir.Subscript(index=index),), value=value) if _is(graph, function, index, obj):
                if not isinstance(value, ir.Constant):
                    return True
            case _:
                pass
        for part in (p for e in expressions(stmt) for p in subexpressions(e)):
            match part:
                case ir.Display(kind="tuple", items=items) if any(_is(graph, function, item, obj) for item in items):
                    if any(isinstance(item, ir.Name) and item.id in given for item in items):
                        return True
                case _:
                    pass
    return False


def _is(graph: Graph, function: FunctionId, expression: ir.Expr, obj: int) -> bool:
    """Whether the expression is a variable that may hold the object, itself or in a tuple made here."""
    return isinstance(expression, ir.Name) and obj in graph.program.elements(graph.program.local_objects(function, (expression.id,)))


def _takes_out(stmt: ir.Try) -> bool:
    """Whether a handler or the `finally` takes something out of a container by its value or key."""
    for inner in (s for body in (*(h.body for h in stmt.handlers), stmt.final) for s in walk(body)):
        match inner:
            case ir.Evaluate(value=ir.Call(function=ir.Attribute(base=base, name="remove" | "discard" | "pop"), arguments=arguments)):
                if arguments and any(True for _ in cell_of(base)):
                    return True
            case ir.Delete():
                return True
            case _:
                pass
    return False


def _passes_on(graph: Graph, function: FunctionId, obj: int, node: Node, wakers: list[Action]) -> bool:
    """Whether a way out on a cancellation wakes somebody else, or may; also where no cancellation arrives."""
    program = graph.program
    waking = {a.function.source for a in wakers}
    starts = [target for edge, target in node.successors if edge is Edge.CANCEL]

    def wakes(number: int) -> bool:
        site = function.site(number)
        if any(a.does is Does.SIGNAL and obj in a.subjects for a in program.at(site)):
            return True
        return any(f.source in waking for f in program.reached(program.state.callees.get(site, ())))

    return not starts or any(wakes(number) for number in _sites_from(graph, function, starts))


def _sites_from(graph: Graph, function: FunctionId, starts: list[Node]) -> Iterator[int]:
    """The sites that may be evaluated from these nodes on, those in handlers of what containers raise (`ValueError`) among them."""
    seen: dict[int, Node] = {}
    todo = list(starts)
    while todo:
        one = todo.pop()
        if id(one) not in seen:
            seen[id(one)] = one
            yield from one.sites()
            todo += [target for _, target in one.successors]
    reached = {id(node.stmt) for node in seen.values() if node.kind == "stmt"}
    for stmt in walk(graph.program.node(function).body):
        if isinstance(stmt, ir.Try) and any(id(inner) in reached for inner in walk(stmt.body)):
            for inner in (s for handler in stmt.handlers for s in walk(handler.body)):
                yield from (p.site for e in expressions(inner) for p in subexpressions(e) if isinstance(p, ir.Call))


def _leak(graph: Graph, made: tuple[FunctionId, ir.Span], obj: int, name: str, node: Node, wake: Action) -> Leak:
    program, function = graph.program, made[0]
    at: ir.Span = getattr(node.stmt, "at", made[1])
    often = graph.recurrences.of(function)
    trace = (
        graph.step(function, _queued_at(graph, function, obj) or made[1], f"`{name}` is put into a queue here"),
        graph.step(wake.function, wake.at, f"`{graph.qualname(wake.function)}` wakes one of the queue, and only one"),
        graph.step(function, at, f"a cancellation may arrive here when `{name}` is woken already: nobody else is woken in its place"),
    )
    return Leak(
        program.path(function.module), at, graph.qualname(function),
        {"object": name, "function": graph.qualname(function), "growth": grows(graph, often, "lost wake-up", function)},
        Confidence.LIKELY, often.growth, trace, "unpassed",
    )  # fmt: skip


def _queued_at(graph: Graph, function: FunctionId, obj: int) -> ir.Span | None:
    """Where the function puts the object into a container."""
    for stmt in walk(graph.program.node(function).body):
        match stmt:
            case ir.Evaluate(value=ir.Call(function=ir.Attribute(name=method), arguments=arguments), at=at) if method in CHANGING:
                if any(_is(graph, function, p, obj) for a in arguments for p in subexpressions(a.value)):
                    return at
            case ir.Bind(targets=(ir.Subscript(index=index),), value=value, at=at):
                if any(_is(graph, function, p, obj) for p in (index, *subexpressions(value))):
                    return at
            case _:
                pass
    return None
