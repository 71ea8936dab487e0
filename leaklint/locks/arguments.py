"""What a call gives decides tests on the parameters of the function that it calls, and with them which places there it comes to."""

from __future__ import annotations

from itertools import pairwise

from leaklint import ir
from leaklint.exits.ways import Truth, agrees, evaluated, first_reached
from leaklint.graph import Graph
from leaklint.link.syntax import bindings, subexpressions
from leaklint.link.values import FunctionId
from leaklint.locks.frames import Frame
from leaklint.paths import Node

_THINGS = (ir.Display, ir.Mapping, ir.Template, ir.Comprehension)
"""Expressions that are never None."""


def lead_on(graph: Graph, way: tuple[Frame, ...]) -> bool:
    """Whether each function on the way comes to where it goes on, with what it is given."""
    return all(_leads_on(graph, frame, following) for frame, following in pairwise(way))


def _leads_on(graph: Graph, frame: Frame, following: Frame) -> bool:
    given = _given(graph, frame, following)
    if not given:
        return True

    def truth(test: ir.Expr) -> bool | None:
        match test:
            case ir.Comparison(left=ir.Name(id=name), operators=("is" | "is not" as operator,), rights=(ir.Constant(kind="none"),)):
                return given[name] is (operator == "is not") if name in given else None
            case ir.Name(id=name) if name in given and not given[name]:
                return False
            case _:
                return None

    entry = graph.paths(following.function).entry
    reached = first_reached([entry], lambda node: node is following.node, lambda node: False, lambda node, edge: agrees(node, edge, truth))
    return reached is not None and _is_evaluated(graph, following, truth)


def _is_evaluated(graph: Graph, frame: Frame, truth: Truth) -> bool:
    """Whether the node comes to the call by which the function goes on, and does not leave it out (`x is None or call()`)."""
    calls = [call for call in _calls(frame.node) if frame.call is not None and frame.call.callee in _callees(graph, frame, call)]
    done = {id(one) for part in frame.node.parts for one in evaluated(part, truth)}
    return not calls or any(id(call) in done for call in calls)


def _given(graph: Graph, frame: Frame, following: Frame) -> dict[str, bool]:
    """The parameters of which the call says whether they are None: parameter → whether it is something. Those that are bound anew are
    left out."""
    calls = [call for call in _calls(frame.node) if following.function in _callees(graph, frame, call)]
    node = graph.program.node(following.function)
    if len(calls) != 1 or any(argument.star for argument in calls[0].arguments):
        return {}
    takes = [p for p in node.parameters if p.kind in ("positional", "any", "keyword")]
    places = [p.name for p in takes if p.kind != "keyword"][1 if node.owner is not None else 0 :]
    values: dict[str, ir.Expr | None] = {p.name: p.default for p in takes}
    for position, argument in enumerate(calls[0].arguments):
        name = argument.keyword or (places[position] if position < len(places) else "")
        values[name] = argument.value
    found = {name: isinstance(value, _THINGS) for name, value in values.items() if isinstance(value, _THINGS) or _is_none(value)}
    return {name: something for name, something in found.items() if not bindings(node.body, name)}


def _calls(node: Node) -> list[ir.Call]:
    return [one for part in node.parts for one in subexpressions(part) if isinstance(one, ir.Call)]


def _callees(graph: Graph, frame: Frame, call: ir.Call) -> set[FunctionId]:
    return set(graph.program.state.callees.get(frame.function.site(call.site), ()))


def _is_none(value: ir.Expr | None) -> bool:
    return isinstance(value, ir.Constant) and value.kind == "none"
