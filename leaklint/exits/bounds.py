"""Bounds of waits that are there for who asks for one: by default nothing ends the wait."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint import ir
from leaklint.catalog.grammar import Does, Kind
from leaklint.graph import Graph
from leaklint.link.actions import Action
from leaklint.link.syntax import walk
from leaklint.link.values import FunctionId, Pending


def may_last(graph: Graph, wait: Action) -> bool:
    """Whether an operation can wait for ever: it has no bound, or its bounds are variables that are None unless somebody gives them."""
    if wait.waits is None:
        return False
    return graph.program.blocks(wait) or all(one is not None and _is_optional(graph, wait.function, one) for one in _bounds(graph, wait))


def _bounds(graph: Graph, wait: Action) -> Iterator[ir.Expr | None]:
    """What bounds a wait: its own timeout, that of the operation that is given its coroutine, that of the scopes around it. None for what
    cannot be read."""
    program = graph.program
    if wait.bounded:
        yield _timeout(wait)
    for action in program.actions_in(wait.function):
        if action.bounded and action.does in (Does.BOUND, Does.WAIT, Does.JOIN) and any(
            isinstance(value := program.value(o), Pending) and value.site == wait.site for o in action.subjects
        ):  # fmt: skip
            yield _timeout(action)
    place = program.place(wait.function, wait.site.number)
    around = place.around if place is not None else ()
    for item in (item for e in around if isinstance(e.stmt, ir.With) and e.block == "body" for item in e.stmt.items):
        entered = (o for a in program.at(wait.function.site(item.site)) for o in a.subjects)
        if any(program.kind(o) is Kind.SCOPE for o in entered):
            makers = program.at(wait.function.site(item.context.site)) if isinstance(item.context, ir.Call) else []
            yield next((_timeout(a) for a in makers if a.call.operation.timeout is not None), None)


def _timeout(action: Action) -> ir.Expr | None:
    name = action.call.operation.timeout
    return action.call.given.get(name) if name is not None else None


def _is_optional(graph: Graph, function: FunctionId, bound: ir.Expr) -> bool:
    """Whether a bound is None unless it is asked for: a variable that begins as None, or a parameter that is None by default and that some
    call leaves out, or that code out of sight may leave out."""
    if not isinstance(bound, ir.Name):
        return False
    program = graph.program
    node = program.node(function)
    given = [s.value for s in walk(node.body) if isinstance(s, ir.Bind) and bound in s.targets]
    if given:
        return any(_is_none(value) for value in given)
    default = next((p.default for p in node.parameters if p.name == bound.id), None)
    if default is None or not _is_none(default):
        return False
    calls = [record.node for record in program.calls_of(function)]
    names = [p.name for p in node.parameters if p.name not in ("self", "cls")]
    return function in program.openness.callable or any(call is not None and _leaves_out(call, names, bound.id) for call in calls)


def _leaves_out(call: ir.Call, names: list[str], name: str) -> bool:
    positional = [a for a in call.arguments if a.keyword is None]
    if any(a.star for a in call.arguments):
        return False
    return name not in names[: len(positional)] and all(a.keyword != name for a in call.arguments)


def _is_none(value: ir.Expr) -> bool:
    return isinstance(value, ir.Constant) and value.kind == "none"
