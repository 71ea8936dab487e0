"""Callbacks made in a loop that take out the variable of the loop: when they run it stands for something newer."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint import ir
from leaklint.catalog.grammar import Does
from leaklint.finding import Confidence, Growth, Leak
from leaklint.graph import Graph
from leaklint.link.syntax import bound_names, expressions, scope_names, subexpressions, walk
from leaklint.link.values import FunctionId
from leaklint.queries.wording import grows
from leaklint.recurrence import Recurrence

_TAKES_OUT = frozenset({"discard", "remove", "pop"})


def late(graph: Graph) -> Iterator[Leak]:
    """A callback that is registered in a loop to take out "its" entry, by a name that the next turn binds anew."""
    program = graph.program
    told: set[tuple[int, int]] = set()
    for action in program.actions:
        node, place = action.call.record.node, program.place(action.function, action.site.number)
        if action.does is not Does.REGISTER or node is None or place is None or not place.loops:
            continue
        key = (action.function.module, action.site.number)
        for index in _nested(graph, action.function, node) if key not in told else ():
            turn = set(bound_names(place.loops[-1].body, program.modules[action.function.module].summary))
            if isinstance(place.loops[-1], ir.For):
                turn |= {n.id for n in subexpressions(place.loops[-1].target) if isinstance(n, ir.Name)}
            for taken, table in _taken_out(program.node(action.function.inner(index))):
                if taken in turn:
                    told.add(key)
                    yield _leak(graph, action.function, node, taken, table)


def _nested(graph: Graph, function: FunctionId, call: ir.Call) -> Iterator[int]:
    """The functions written inside this one that a call is given."""
    summary = graph.program.modules[function.module].summary
    for argument in call.arguments:
        match argument.value:
            case ir.Lambda(function=index):
                yield index
            case ir.Name(id=name):
                yield from (i for i, f in enumerate(summary.functions) if f.parent == function.index and f.name == name and f.kind == "def")
            case _:
                pass


def _taken_out(callback: ir.Function) -> Iterator[tuple[str, str]]:
    """The variables of the function around it by which a callback takes something out, each with the name of what it is taken out of."""
    own = {p.name for p in callback.parameters} | set(scope_names(callback.body, "global"))
    own |= {t.id for stmt in walk(callback.body) if isinstance(stmt, ir.Bind) for t in stmt.targets if isinstance(t, ir.Name)}
    for part in (p for stmt in walk(callback.body) for e in expressions(stmt) for p in subexpressions(e)):
        match part:
            case ir.Call(
                function=ir.Attribute(base=ir.Attribute(name=table) | ir.Name(id=table), name=verb),
                arguments=(ir.Argument(ir.Name(id=name)), *_),
            ) if verb in _TAKES_OUT and name not in own:
                yield name, table
            case _:
                pass


def _leak(graph: Graph, function: FunctionId, call: ir.Call, taken: str, table: str) -> Leak:
    qualname = graph.qualname(function)
    trace = (
        graph.step(function, call.at, f"the callback looks `{taken}` up when it runs"),
        graph.step(
            function, call.at, f"by then the loop has bound `{taken}` anew: another entry is taken out of `{table}`, and this one stays"
        ),
    )
    often = Recurrence(Growth.PER_ITERATION)
    facts = {"table": table, "object": taken, "function": qualname, "growth": grows(graph, often, "entry", function)}
    path = graph.program.path(function.module)
    return Leak(path, call.at, qualname, facts, Confidence.LIKELY, often.growth, trace, "late")
