"""Whether what a unit runs comes to its end by itself: each of its waits has a bound of its own."""

from __future__ import annotations

from leaklint import ir
from leaklint.catalog.grammar import Does, Kind, UnitKind
from leaklint.graph import Graph
from leaklint.link.actions import Action
from leaklint.link.syntax import expressions, subexpressions, walk
from leaklint.link.units import Unit
from leaklint.link.values import FunctionId, Pending, Site

_TIMEOUTS = frozenset({"timeout", "timeout_s", "timeout_seconds", "request_timeout", "deadline"})
"""Names under which a coroutine is given the time that it may take."""


def ends_by_itself(graph: Graph, unit: Unit, wait: Action) -> bool:
    """Whether the unit does not last much longer than the wait allows for: its waits are bounded, or it is given a timeout to keep."""
    if _is_given_a_timeout(unit, wait) or _is_a_thread(graph, unit):
        return True
    return bool(unit.entries) and all(_is_bounded(graph, entry, frozenset()) for entry in unit.entries)


def awaited_attributes(graph: Graph, unit: Unit) -> frozenset[str]:
    """The attributes whose objects the unit itself waits for: `await self._response`, `await self._stream.read()`."""
    found = set()
    for entry in unit.entries:
        for stmt in walk(graph.program.node(entry).body):
            for inner in (e for expression in expressions(stmt) for e in subexpressions(expression)):
                match inner:
                    case ir.Await(value=ir.Attribute(name=name) | ir.Call(function=ir.Attribute(base=ir.Attribute(name=name)))):
                        found.add(name)
                    case _:
                        pass
    return frozenset(found)


def _is_a_thread(graph: Graph, unit: Unit) -> bool:
    """Whether it is a job of a pool, or the task only waits for a call in a thread: no cancellation stops either of them
    (`run_in_executor(pool, f)`, `create_task(to_thread(f))`)."""
    if unit.kind is UnitKind.JOB:
        return True
    program = graph.program
    values = [program.value(o) for o in unit.made.entries] if unit.made is not None else []
    runs = [a.does is Does.RUN for value in values if isinstance(value, Pending) for a in program.at(value.site)]
    return bool(runs) and len(runs) >= len(values) and all(runs)


def _is_given_a_timeout(unit: Unit, wait: Action) -> bool:
    made = unit.made
    given = made.given.get(made.operation.runs) if made is not None and made.operation.runs is not None else None
    if not isinstance(given, ir.Call):
        return False
    limit = wait.call.given.get(wait.call.operation.timeout) if wait.call.operation.timeout is not None else None
    same = isinstance(limit, ir.Name | ir.Attribute) and any(argument.value == limit for argument in given.arguments)
    return same or _has_a_timeout(given)


def _has_a_timeout(call: ir.Call) -> bool:
    return any(a.keyword in _TIMEOUTS and not (isinstance(a.value, ir.Constant) and a.value.kind == "none") for a in call.arguments)


def _is_bounded(graph: Graph, function: FunctionId, around: frozenset[FunctionId]) -> bool:
    """Whether an async function waits somewhere, and nowhere without a bound. `around` are the functions that it is called from."""
    node = graph.program.node(function)
    if function in around or not node.is_async or node.is_generator:
        return False
    waits = [stmt.site for stmt in walk(node.body) if isinstance(stmt, ir.For) and stmt.is_async]
    calls: dict[int, ir.Expr] = {}
    for stmt in walk(node.body):
        for inner in (e for expression in expressions(stmt) for e in subexpressions(expression)):
            match inner:
                case ir.Await(value=value, site=site):
                    waits.append(site)
                    calls[site] = value
                case ir.Comprehension(clauses=clauses):
                    waits += [clause.site for clause in clauses if clause.is_async]
                case _:
                    pass
        if isinstance(stmt, ir.With) and stmt.is_async:
            waits += [item.site for item in stmt.items if not _is_scope(graph, function.site(item.site))]
    return bool(waits) and all(_is_bounded_at(graph, function, site, calls.get(site), around | {function}) for site in waits)


def _is_bounded_at(graph: Graph, function: FunctionId, number: int, awaited: ir.Expr | None, around: frozenset[FunctionId]) -> bool:
    program = graph.program
    place = program.place(function, number)
    if place is None:
        return False
    for enclosing in place.around:
        if isinstance(enclosing.stmt, ir.While):
            return False  # a bound of one turn is none of the loop
        items = enclosing.stmt.items if isinstance(enclosing.stmt, ir.With) and enclosing.block == "body" else ()
        if any(_is_scope(graph, function.site(item.site)) for item in items):
            return True
    if not isinstance(awaited, ir.Call):
        return False
    site = function.site(awaited.site)
    callees = program.state.callees.get(site, set())
    if callees:
        return _has_a_timeout(awaited) or all(_is_bounded(graph, callee, around) for callee in callees)
    actions = program.at(site)
    if not actions:
        return _has_a_timeout(awaited)
    # The time that a sleep takes is no bound but the work itself.
    return all(a.bounded and a.does in (Does.BOUND, Does.WAIT, Does.JOIN) and a.call.operation.subject for a in actions)


def _is_scope(graph: Graph, site: Site) -> bool:
    return any(graph.program.kind(o) is Kind.SCOPE for a in graph.program.at(site) for o in a.subjects)
