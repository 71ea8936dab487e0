"""The ways on from a place in a function, as far as a fact that is assumed lets control take them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from leaklint import ir
from leaklint.catalog.grammar import Does, Gives
from leaklint.graph import Graph
from leaklint.link.syntax import parts, subexpressions
from leaklint.link.values import FunctionId, Site
from leaklint.paths import FORCED, Edge, Node

Truth = Callable[[ir.Expr], bool | None]
"""What the assumed fact says of a test without `not`, `and`, `or`; None when it says nothing."""


def first_reached(
    starts: Iterable[Node], goal: Callable[[Node], bool], stops: Callable[[Node], bool], follows: Callable[[Node, Edge], bool]
) -> Node | None:
    """The first node, from `starts` on and these included, that is a goal and is reached without passing one that `stops`."""
    seen: set[int] = set()
    todo = list(starts)
    while todo:
        node = todo.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if goal(node):
            return node
        if not stops(node):
            todo += [target for edge, target in node.successors if follows(node, edge)]
    return None


def decided(test: ir.Expr, truth: Truth) -> bool | None:
    """The value of a test as far as the fact decides it."""
    known = truth(test)
    if known is not None:
        return known
    match test:
        case ir.Constant(kind="bool", text=text):
            return text == "True"
        case ir.Operation(operator="not", operands=(one,)):
            inner = decided(one, truth)
            return None if inner is None else not inner
        case ir.Operation(operator="and" | "or" as operator, operands=operands):
            values = [decided(one, truth) for one in operands]
            settles = operator == "or"
            if settles in values:
                return settles
            return None if None in values else not settles
        case ir.Walrus(value=value):
            return decided(value, truth)
        case _:
            return None


def agrees(node: Node, edge: Edge, truth: Truth) -> bool:
    """Whether the fact lets control leave a test by this edge."""
    if node.kind != "test" or edge not in (Edge.TRUE, Edge.FALSE) or not isinstance(node.stmt, ir.Branch | ir.While):
        return True
    known = decided(node.stmt.test, truth)
    return known is None or known is (edge is Edge.TRUE)


def is_told(graph: Graph, function: FunctionId, node: Node, edge: Edge) -> bool:
    """Whether a way on is one that the program speaks of: no cancellation, and of the exceptions those that it raises or hands on from
    a unit whose result it reads."""
    if edge in FORCED:
        return False
    if edge is not Edge.RAISE or node.kind == "except" or isinstance(node.stmt, ir.Raise):
        return True
    return any(hands_on(graph, function.site(number)) for number in node.sites())


def hands_on(graph: Graph, site: Site) -> bool:
    """Whether the call reads the result of a unit: what ended the unit is raised here."""
    return any(a.does is Does.OBSERVE and a.call.operation.returns in (Gives.RESULT, Gives.ELEMENT) for a in graph.program.at(site))


def names_in(expression: ir.Expr) -> Iterator[str]:
    for part in subexpressions(expression):
        if isinstance(part, ir.Name):
            yield part.id


def holders(graph: Graph, function: FunctionId, expression: ir.Expr, handle: frozenset[int]) -> frozenset[str]:
    """The local names in an expression that may hold one of the objects, directly or in a container."""
    return frozenset(name for name in names_in(expression) if may_hold(graph, function, name, handle))


def may_hold(graph: Graph, function: FunctionId, name: str, handle: frozenset[int]) -> bool:
    program = graph.program
    variable = program.state.solver.known(("local", *function.source, function.context, name))
    return bool(program.elements(program.holds(variable)) & handle)


def evaluated(expression: ir.Expr, truth: Truth) -> Iterator[ir.Expr]:
    """The expression and those below it, without what the fact says is not evaluated: the other side of a choice, the rest of an `and`."""
    yield expression
    match expression:
        case ir.Choice(test=test, then=then, otherwise=otherwise):
            known = decided(test, truth)
            inner: list[ir.Expr] = [test, *((then,) if known is not False else ()), *((otherwise,) if known is not True else ())]
        case ir.Operation(operator="and" | "or" as operator, operands=operands):
            inner = []
            for operand in operands:
                inner.append(operand)
                if decided(operand, truth) is (operator == "or"):
                    break
        case _:
            inner = list(parts(expression))
    for one in inner:
        yield from evaluated(one, truth)


def bound_at(stmt: ir.Stmt | None, number: int) -> frozenset[str]:
    """The names that a statement binds to what the call at a site gives, be it in a container."""
    match stmt:
        case ir.Bind(targets=targets, value=value):
            if any(isinstance(e, ir.Call) and e.site == number for e in subexpressions(value)):
                return frozenset(t.id for t in targets if isinstance(t, ir.Name))
        case _:
            pass
    return frozenset()
