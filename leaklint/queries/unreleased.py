"""LK501: a path on which an acquired lock is not released."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint import ir
from leaklint.catalog.grammar import Does, Kind
from leaklint.finding import Confidence, Growth, Leak
from leaklint.graph import Graph
from leaklint.link.actions import Action
from leaklint.link.values import FunctionId, Site
from leaklint.paths import Edge, Exit, Node
from leaklint.queries.query import NoOptions

_LOCKS = frozenset({Kind.LOCK, Kind.SEMAPHORE, Kind.CONDITION})


def unreleased(graph: Graph, options: NoOptions) -> Iterator[Leak]:
    """An `acquire()` call whose function does release, but not on every way out of it; or that nobody ever releases."""
    program = graph.program
    for action in program.actions:
        if action.does is not Does.ACQUIRE or action.method != "acquire" or action.bounded or action.waits is None:
            continue
        if action.function not in program.live or action.deferred or not action.subjects:
            continue
        if not all(program.kind(o) in _LOCKS for o in action.subjects):
            continue
        if _is_tested(graph, action) or _is_half(graph, action.function):
            continue
        yield from _judge(graph, action)


def _is_tested(graph: Graph, action: Action) -> bool:
    """Whether the result of the acquire decides what follows."""
    place = _statement(graph, action)
    return place is None or not isinstance(place, ir.Evaluate)


def _statement(graph: Graph, action: Action) -> ir.Stmt | None:
    place = graph.program.place(action.function, action.site.number)
    return place.stmt if place is not None else None


def _is_half(graph: Graph, function: FunctionId) -> bool:
    """One half of a pair that the language or a naming convention calls separately."""
    name = graph.program.node(function).name
    return name in ("__enter__", "__aenter__") or "acquire" in name or "lock" in name


def _judge(graph: Graph, action: Action) -> Iterator[Leak]:
    program = graph.program
    releases = [a for o in action.subjects for a in program.on(o) if a.does is Does.RELEASE]
    here = [a for a in releases if a.function == action.function]
    if not here:
        # Released somewhere else: the lock is handed on with what it protects.
        if releases or any(program.opened(o) is not None for o in action.subjects):
            return
    functions = frozenset(a.function for a in releases)
    releasing = _releasing(graph, functions)
    for node in graph.paths(action.function).of(action.site.number):
        way = _unreleased_way(graph, action, node, releasing)
        if way is None:
            continue
        edge, where = way
        name = program.describe(min(action.subjects))
        at = _span(where) or action.at
        what = "this may raise" if edge in (Edge.RAISE, Edge.CANCEL) else "the function is left here"
        if edge is Edge.CANCEL:
            what = "a cancellation may arrive here"
        trace = (
            graph.step(action.function, action.at, f"`{name}` is acquired here"),
            graph.step(action.function, at, f"{what}, and `{name}` is still held"),
            graph.step(action.function, action.at, "whoever acquires it next waits for ever"),
        )
        yield Leak(
            program.path(action.function.module), action.at, graph.qualname(action.function),
            {"object": name, "function": graph.qualname(action.function) or "the module", "growth": ""},
            Confidence.LIKELY, Growth.ONCE, trace,
        )  # fmt: skip
        return


def _releasing(graph: Graph, functions: frozenset[FunctionId]) -> frozenset[FunctionId]:
    """The functions that release the lock themselves or through what they call."""
    found, todo = set(functions), list(functions)
    while todo:
        for caller in graph.program.callers.get(todo.pop(), frozenset()) - found:
            found.add(caller)
            todo.append(caller)
    return frozenset(found)


def _unreleased_way(graph: Graph, action: Action, start: Node, releasing: frozenset[FunctionId]) -> tuple[Edge, Node] | None:
    """The last step of a way from the acquire out of the function that passes no release."""
    todo = [(edge, start, target) for edge, target in start.successors if edge not in (Edge.RAISE, Edge.CANCEL)]
    seen: set[int] = set()
    while todo:
        edge, source, node = todo.pop()
        if node.exit_kind is not None:
            if node.exit_kind is Exit.RETURN and edge is Edge.NEXT and source.kind == "stmt" and _hands_over(source):
                continue
            return edge, source
        if id(node) in seen:
            continue
        seen.add(id(node))
        if node is start or _releases(graph, action, node, releasing):
            continue
        for way, target in node.successors:
            # An except dispatch or a finally hides who raised: keep the node that did.
            origin = source if node.kind in ("except", "exit") or edge in (Edge.RAISE, Edge.CANCEL) else node
            todo.append((edge if origin is source and edge in (Edge.RAISE, Edge.CANCEL) else way, origin, target))
    return None


def _hands_over(node: Node) -> bool:
    """A `return` of something made under the lock: the caller gets the lock with it."""
    return isinstance(node.stmt, ir.Return) and isinstance(node.stmt.value, ir.Call | ir.Lambda)


def _releases(graph: Graph, action: Action, node: Node, releasing: frozenset[FunctionId]) -> bool:
    module = action.function.module
    program = graph.program
    for number in node.sites():
        site = Site(module, number)
        if any(a.does is Does.RELEASE and a.subjects & action.subjects for a in program.at(site)):
            return True
        if program.state.callees.get(site, set()) & releasing:
            return True
        if any(a.does is Does.REGISTER and a.call.entries for a in program.at(site)):
            return True
    return False


def _span(node: Node) -> ir.Span | None:
    return getattr(node.stmt, "at", None)
