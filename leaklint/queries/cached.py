"""LK603: a cache without a bound that is asked with functions made anew, none of which it ever lets go."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint import ir
from leaklint.catalog.grammar import Does, Makes
from leaklint.finding import Confidence, Leak
from leaklint.graph import Graph
from leaklint.link.flow.state import CallRecord
from leaklint.link.syntax import subexpressions
from leaklint.link.values import FunctionId, FunctionValue, Library, Method
from leaklint.queries.query import NoOptions
from leaklint.queries.wording import grows

_FUNCTIONS = frozenset({"typing.Callable", "collections.abc.Callable", "types.FunctionType", "types.MethodType", "types.LambdaType"})
"""The types of functions, as annotations name them."""


def cached_for_ever(graph: Graph, options: NoOptions) -> Iterator[Leak]:
    """A function that remembers every result it gave, by arguments one of which is a function: bound methods and closures that are made
    for each call, and what the users of a library bring, are never asked for again."""
    program = graph.program
    told: set[tuple[int, int]] = set()
    for function in sorted(program.live):
        if function.source in told or not _remembers_all(graph, function):
            continue
        told.add(function.source)
        found = _brought(graph, function)
        if found is not None:
            yield _leak(graph, function, *found)


def _remembers_all(graph: Graph, function: FunctionId) -> bool:
    """Whether a decorator of the function keeps the results of all calls, by their arguments."""
    program = graph.program
    for decorator in program.node(function).decorators:
        called = decorator.function if isinstance(decorator, ir.Call) else decorator
        resolved = program.state.names.resolve(function.module, called)
        operation = program.models.functions.get(resolved.name) if isinstance(resolved, Library) else None
        if operation is None or not operation.keeps or operation.does is not Does.DECORATE or operation.makes is not Makes.SAME:
            continue
        if operation.capacity is None:
            return True
        if not isinstance(decorator, ir.Call):
            return False
        bound = [a.value for a in decorator.arguments if a.keyword in (None, operation.capacity.arg)][:1]
        return bound == [ir.Constant("none", "None")]
    return False


def _brought(graph: Graph, function: FunctionId) -> tuple[str, CallRecord, str] | None:
    """The parameter that gets functions made anew, a call that brings one, and what it brings, in words."""
    program = graph.program
    parameters = [p for p in program.node(function).parameters if p.kind != "vararg" and p.kind != "kwarg"]
    records = [r for version in program.versions(function) for r in program.calls_of(version)]
    for position, parameter in enumerate(parameters):
        for record in records:
            given = _given(record, position, parameter.name)
            if given is None:
                continue
            variable, expression = given
            values = [program.value(o) for o in program.holds(variable)] if variable >= 0 else []
            if any(isinstance(v, Method) for v in values):
                return parameter.name, record, "a bound method, which keeps its object"
            if any(isinstance(v, FunctionValue) and program.node(v.function).parent for v in values):
                return parameter.name, record, "a function that is made for each call"
            if _is_of_users(graph, record, expression) and _is_function(graph, function, parameter.annotation):
                return parameter.name, record, "whatever function a caller outside brings"
    return None


def _given(record: CallRecord, position: int, name: str) -> tuple[int, ir.Expr | None] | None:
    positional = [a for a in record.actuals if a.keyword is None and not a.star]
    if position < len(positional):
        return positional[position].variable, positional[position].expression
    return next(((a.variable, a.expression) for a in record.actuals if a.keyword == name), None)


def _is_of_users(graph: Graph, record: CallRecord, expression: ir.Expr | None) -> bool:
    """Whether it is a parameter of a function that code outside may call."""
    node = graph.program.node(record.function)
    public = record.function in graph.program.openness.callable and not node.name.startswith("_")
    return public and isinstance(expression, ir.Name) and any(p.name == expression.id for p in node.parameters)


def _is_function(graph: Graph, function: FunctionId, annotation: ir.Expr | None) -> bool:
    """Whether an annotation, perhaps by a name of its own, is the type of functions; not where a word may stand for one: who may
    say `"size"` brings what has a name, and that comes again."""
    names = graph.program.state.names
    if ir.Name("str") in _alternatives(annotation):
        return False
    for part in subexpressions(annotation) if annotation is not None else ():
        found = names.resolve(function.module, part) if isinstance(part, ir.Name | ir.Attribute) else None
        if isinstance(found, Library) and found.name in _FUNCTIONS:
            return True
    return False


def _alternatives(annotation: ir.Expr | None) -> list[ir.Expr]:
    """The types of which a value may have any: `A | B`, `Union[A, B]`."""
    match annotation:
        case None:
            return []
        case ir.Operation(operator="|", operands=operands):
            return [one for operand in operands for one in _alternatives(operand)]
        case ir.Subscript(base=ir.Name(id="Union" | "Optional") | ir.Attribute(name="Union" | "Optional"), index=index):
            inner = index.items if isinstance(index, ir.Display) else (index,)
            return [one for item in inner for one in _alternatives(item)]
        case one:
            return [one]


def _leak(graph: Graph, function: FunctionId, parameter: str, record: CallRecord, what: str) -> Leak:
    node = graph.program.node(function)
    often = graph.recurrence([record])
    steps = (
        graph.step(function, node.at, f"every result is kept, with the `{parameter}` that it was made for"),
        graph.step(record.function, record.at, f"this brings {what}"),
    )
    return Leak(
        graph.program.path(function.module), node.at, graph.qualname(function),
        {"function": graph.qualname(function), "object": parameter, "growth": grows(graph, often, "entry", record.function)},
        Confidence.LIKELY, often.growth, steps,
    )  # fmt: skip
