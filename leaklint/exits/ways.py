"""The ways on from a place in a function, as far as a fact that is assumed lets control take them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from leaklint import ir
from leaklint.catalog.grammar import Does, Gives, Kind
from leaklint.graph import Graph
from leaklint.link.syntax import awaits, parts, subexpressions, target_names, walk
from leaklint.link.thrown import types_of
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
    return any(hands_on(graph, function.site(number)) and not _has_done_well(graph, function, node, number) for number in node.sites())


def hands_on(graph: Graph, site: Site) -> bool:
    """Whether the call reads the result of a unit: what ended the unit is raised here, unless its own handlers catch that."""
    reads = (a for a in graph.program.at(site) if a.does is Does.OBSERVE and a.call.operation.returns in (Gives.RESULT, Gives.ELEMENT))
    return any(not a.subjects or not all(_keeps_its_errors(graph, obj) for obj in a.subjects) for a in reads)


def _keeps_its_errors(graph: Graph, obj: int) -> bool:
    """Whether the unit with this handle is a coroutine that waits only where a handler catches all exceptions, and raises nothing."""
    units = graph.units_of(obj)
    return bool(units) and all(unit.entries and all(map(partial(_waits_guarded, graph), unit.entries)) for unit in units)


def _waits_guarded(graph: Graph, function: FunctionId) -> bool:
    body = graph.program.node(function).body
    guarded = {id(inner) for stmt in walk(body) if isinstance(stmt, ir.Try) and _catches_all(stmt) for inner in walk(stmt.body)}
    bare = [stmt for stmt in walk(body) if id(stmt) not in guarded]
    waits = [stmt for stmt in walk(body) if awaits(stmt)]
    return bool(waits) and not any(awaits(stmt) or isinstance(stmt, ir.Raise) for stmt in bare)


def _catches_all(stmt: ir.Try) -> bool:
    """Whether a handler catches whatever is no cancellation and raises nothing itself."""
    for handler in stmt.handlers:
        if any(isinstance(inner, ir.Raise) for inner in walk(handler.body)):
            return False
        if set(types_of(handler.type) or ("BaseException",)) & {"Exception", "BaseException"}:
            return True
    return False


def _has_done_well(graph: Graph, function: FunctionId, node: Node, number: int) -> bool:
    """Whether the unit whose result is read here has been asked before, and has said that no exception ended it: on no way from where its
    name gets it does an exception lead here (`if task.exception() is None: … task.result()`)."""
    reads = (e for part in node.parts for e in subexpressions(part) if isinstance(e, ir.Call) and e.site == number)
    match next(reads, None):
        case ir.Call(function=ir.Attribute(base=ir.Name() as unit)) as read:
            pass
        case _:
            return False

    def failed(test: ir.Expr) -> bool | None:
        match test:
            case ir.Comparison(left=left, operators=("is" | "is not" as operator,), rights=(ir.Constant(kind="none"),)):
                return operator == "is not" if _asks_what_ended(graph, function, left, unit) else None
            case _:
                return True if _asks_what_ended(graph, function, test, unit) else None

    if not any(one is read for part in node.parts for one in evaluated(part, failed)):
        return True
    nodes = graph.paths(function).nodes
    bound = [one for one in nodes if unit.id in _bound_by(one)] or [graph.paths(function).entry]
    starts = [target for one in bound for _, target in one.successors]
    return first_reached(starts, lambda one: one is node, lambda one: one in bound, lambda at, edge: agrees(at, edge, failed)) is None


def _asks_what_ended(graph: Graph, function: FunctionId, expression: ir.Expr, unit: ir.Name) -> bool:
    """Whether an expression gives the exception that ended the unit, or None: `task.exception()`."""
    match expression:
        case ir.Call(function=ir.Attribute(base=base, name="exception"), site=number) if base == unit:
            asked = (o for a in graph.program.at(function.site(number)) for o in a.subjects)
            return any(graph.program.kind(o) in (Kind.TASK, Kind.FUTURE) for o in asked)
        case _:
            return False


def _bound_by(node: Node) -> frozenset[str]:
    """The names that a node binds."""
    match node.stmt:
        case ir.Bind(targets=targets) if node.kind == "stmt":
            return frozenset(name for target in targets for name in target_names(target))
        case ir.For(target=target) if node.kind == "step":
            return frozenset(target_names(target))
        case _:
            return frozenset()


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
    """The expression and those below it, without what the fact says is not evaluated: the other side of a choice, the rest of an `and`,
    what a comprehension leaves out."""
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
        case ir.Comprehension(clauses=clauses) if any(decided(c, truth) is False for clause in clauses for c in clause.conditions):
            inner = [part for clause in clauses for part in (clause.iterable, *clause.conditions)]
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
