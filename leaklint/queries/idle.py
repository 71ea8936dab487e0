"""LK602: a worker keeps its last job while it waits for the next one, and with it everything that the job refers to."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint import ir
from leaklint.catalog.grammar import Does
from leaklint.finding import Confidence, Leak
from leaklint.graph import Graph
from leaklint.link.actions import Action
from leaklint.link.syntax import expressions, subexpressions, target_names, walk
from leaklint.link.values import Container, FunctionId, FunctionValue, Instance, Resource
from leaklint.paths import EXCEPTIONAL, Edge, Node
from leaklint.queries.query import NoOptions
from leaklint.queries.wording import grows


def kept_while_idle(graph: Graph, options: NoOptions) -> Iterator[Leak]:
    """An endless loop that takes callables from a channel and calls them, and comes back to the next wait with the last one still under its
    name. Plain functions of a module hold nothing and are left out. A wait with a time limit counts where running out of it leads to the
    next wait."""
    program = graph.program
    told: set[tuple[tuple[int, int], ir.Span]] = set()
    for action in program.actions:
        if action.does is not Does.RECEIVE or action.waits is None or action.deferred or not _is_in_loop(graph, action):
            continue
        if action.function not in program.live or (action.function.source, action.at) in told or not _brings_closures(graph, action):
            continue
        found = _still_held(graph, action)
        if found is not None:
            told.add((action.function.source, action.at))
            yield _leak(graph, action, *found)


def _is_in_loop(graph: Graph, action: Action) -> bool:
    """Whether the wait may come again: a method that is only given away to be called is waited for by a loop over its results."""
    place = graph.program.place(action.function, action.site.number)
    return place is None or bool(place.loops) or action.call.record.by is not None


def _brings_closures(graph: Graph, action: Action) -> bool:
    """Whether what is sent may refer to other objects: not all of it is functions that stand in a module."""
    program = graph.program
    sent = frozenset(o for subject in action.subjects for o in program.elements(program.sent(subject)))
    values = [value for o in sent if not isinstance(value := program.value(o), Container | Resource | Instance)]
    return not values or not all(isinstance(v, FunctionValue) and program.node(v.function).parent == 0 for v in values)


def _still_held(graph: Graph, action: Action) -> tuple[str, ir.Span] | None:
    """The name under which the last job is still held at the next wait, and where it is called."""
    function, number = action.function, _turn(graph, action)
    if graph.recurrences.of_places([(function, number)]).function != function:
        return None
    for wait in graph.paths(function).of(number):
        for name, call in _jobs(graph, function, wait):
            if action.bounded and not any(t is wait or _comes_back(t, wait, name) for edge, t in wait.successors if edge is Edge.RAISE):
                continue
            for node in graph.paths(function).of(call.site):
                if _comes_back(node, wait, name):
                    return name, call.at
    return None


def _turn(graph: Graph, action: Action) -> int:
    """The site that waits: of `for job in iter(queue.get, None)`, where the method is only given away, the step of the loop."""
    number = action.site.number
    nodes = graph.paths(action.function).of(number)
    return next(
        (n.stmt.site for n in nodes if isinstance(n.stmt, ir.For) and n.kind != "step" and action.call.record.by is not None), number
    )


def _jobs(graph: Graph, function: FunctionId, wait: Node) -> Iterator[tuple[str, ir.Call]]:
    """What the wait brings and the function then calls: the name that holds it, and the call. The job may be a part of what comes."""
    body = graph.program.node(function).body
    taken = dict.fromkeys(_taken(wait), "")
    wholes = {name: {name} for name in taken}
    for stmt in walk(body):
        match stmt:
            case ir.Bind(targets=(ir.Display() as parts,), value=ir.Name(id=whole)) if whole in taken:
                wholes |= {part: {part, whole} for part in target_names(parts)}
            case _:
                pass
    for stmt in walk(body):
        for part in (p for e in expressions(stmt) for p in subexpressions(e)):
            if isinstance(part, ir.Call) and isinstance(part.function, ir.Name) and part.function.id in wholes:
                yield from ((name, part) for name in sorted(wholes[part.function.id]))


def _taken(wait: Node) -> Iterator[str]:
    match wait.stmt:
        case ir.Bind(targets=targets, value=ir.Call() | ir.Await()):
            for target in targets:
                yield from target_names(target)
        case ir.For(target=target):
            yield from target_names(target)
        case _:
            yield from (p.target.id for part in wait.parts for p in subexpressions(part) if isinstance(p, ir.Walrus))


def _comes_back(start: Node, wait: Node, name: str) -> bool:
    """Whether control comes from a node to the wait with the name still bound to what it was."""
    todo, seen = [start], {id(start)}
    while todo:
        node = todo.pop()
        for edge, target in node.successors:
            if edge in EXCEPTIONAL and not (node.kind == "except" and edge is Edge.RAISE):
                continue
            if target is wait:
                return True
            if id(target) not in seen and not _lets_go(target, name):
                seen.add(id(target))
                todo.append(target)
    return False


def _lets_go(node: Node, name: str) -> bool:
    match node.stmt:
        case ir.Delete(targets=targets):
            return any(name in target_names(target) for target in targets)
        case ir.Bind(targets=targets):
            return any(name in target_names(target) for target in targets)
        case _:
            return False


def _leak(graph: Graph, action: Action, name: str, called: ir.Span) -> Leak:
    function = action.function
    often = graph.recurrences.of(function)
    steps = (
        graph.step(function, action.at, f"`{name}` is taken here"),
        graph.step(function, called, "it is called, and with that it is done"),
        graph.step(function, action.at, f"`{name}` still refers to it while this waits for the next, for as long as none comes"),
    )
    return Leak(
        graph.program.path(function.module), action.at, graph.qualname(function),
        {"function": graph.qualname(function), "object": name, "growth": grows(graph, often, "job kept", function)},
        Confidence.LIKELY, often.growth, steps,
    )  # fmt: skip
