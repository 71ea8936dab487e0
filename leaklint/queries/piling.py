"""Tables from which nothing in the program ever takes anything out, although each call puts in something of its own."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint import ir
from leaklint.catalog.grammar import Does, Kind
from leaklint.finding import Confidence, Leak
from leaklint.graph import Graph
from leaklint.link.program import Program
from leaklint.link.syntax import expressions, subexpressions, walk
from leaklint.link.values import FunctionId, Instance
from leaklint.obligations.tables import MAKERS, Act, Table, Use
from leaklint.queries.bounded import is_bounded
from leaklint.queries.wording import grows

_CLOSES = frozenset({"close", "aclose", "stop", "disconnect", "shutdown", "__exit__", "__aexit__"})
_ONE_USE = frozenset({Kind.FUTURE, Kind.EVENT})
"""Made to be waited for once."""


def piling(graph: Graph, tables: tuple[Table, ...]) -> Iterator[Leak]:
    """What a call puts in for its own use, and what has an end of its own, in a table that only grows."""
    for table in tables:
        if not table.is_own or table.of(Act.TAKE, Act.DRAIN, Act.LEND) or not table.name.startswith("_"):
            continue
        for use in table.of(Act.PUT):
            found = _of_its_own(graph, table, use)
            if found is not None and _is_repeated(graph, use) and not is_bounded(graph.program, tables, use):
                yield _leak(graph, table, use, found)
                break


def _of_its_own(graph: Graph, table: Table, use: Use) -> tuple[FunctionId, ir.Span] | None:
    """What the function has made and puts in: something to wait for, or something that is closed when it is no longer needed."""
    program = graph.program
    if use.value is None or use.is_handed or use.entry is not use.value or not use.is_sure or not _is_asked_for(program, use):
        return None
    names = [one for one in subexpressions(use.value) if isinstance(one, ir.Name)]
    for version in program.versions(use.function):
        for obj in sorted({o for name in names for o in program.denoted(version, name)}):
            made = program.made_at(obj)
            if made is None or made[0].source != use.function.source:
                continue
            if program.kind(obj) in _ONE_USE or _is_closed_alone(graph, use, obj) or _is_skipped_when_done(graph, table):
                return made
    if isinstance(use.value, ir.Name) and _is_skipped_when_done(graph, table):
        for stmt in walk(program.node(use.function).body):
            if isinstance(stmt, ir.Bind) and stmt.targets == (use.value,) and isinstance(stmt.value, ir.Call):
                return use.function, stmt.at
    return None


def _is_asked_for(program: Program, use: Use) -> bool:
    """Whether the function waits for what it puts in, or gives it to its caller."""
    names, waits = (_names(use.value) if use.value is not None else set[str]()), _methods(program, Does.WAIT)
    for stmt in walk(program.node(use.function).body):
        match stmt:
            case ir.Bind(targets=(ir.Name(id=other),), value=value) if _names(value) & names and not isinstance(value, ir.Await):
                names.add(other)
            case ir.Return(value=value) if value is not None and _names(value) & names:
                return True
            case _:
                pass
        for part in (p for e in expressions(stmt) for p in subexpressions(e)):
            match part:
                case ir.Await(value=value) if _names(value) & names:
                    return True
                case ir.Call(function=ir.Attribute(base=ir.Name(id=name), name=verb)) if name in names and verb in waits:
                    return True
                case _:
                    pass
    return False


def _names(expression: ir.Expr) -> set[str]:
    return {one.id for one in subexpressions(expression) if isinstance(one, ir.Name)}


def _is_closed_alone(graph: Graph, use: Use, obj: int) -> bool:
    """Whether it is an instance that is given to whoever asked for it, and that can be closed."""
    program, value = graph.program, graph.program.value(obj)
    if not isinstance(value, Instance) or not isinstance(use.value, ir.Name):
        return False
    returned = any(isinstance(stmt, ir.Return) and stmt.value == use.value for stmt in walk(program.node(use.function).body))
    names = (name for cls in program.state.names.lineage(value.cls)[0] for name in program.state.names.members(cls))
    return returned and any(name in _CLOSES for name in names)


def _is_skipped_when_done(graph: Graph, table: Table) -> bool:
    """Whether somebody who goes through the table passes over the entries that are done."""
    states = _methods(graph.program, Does.OBSERVE)
    for visit in table.of(Act.VISIT):
        body = visit.stmt.body if isinstance(visit.stmt, ir.For) else ()
        for part in (p for stmt in walk(body) for e in expressions(stmt) for p in subexpressions(e)):
            match part:
                case ir.Call(function=ir.Attribute(base=base, name=name)) if base == visit.value and name in states:
                    return True
                case _:
                    pass
    return False


def _methods(program: Program, does: Does) -> frozenset[str]:
    """The names of the methods by which futures and events are waited for, or tell whether they are done."""
    types = (t for t in program.models.types.values() if t.kind in _ONE_USE)
    return frozenset(name for t in types for name, one in t.methods.items() if one.does is does and set(one.params) <= {one.timeout})


def _is_repeated(graph: Graph, use: Use) -> bool:
    """Whether the function may run any number of times on one object."""
    program = graph.program
    if use.function.index == 0 or program.node(use.function).name in MAKERS:
        return False
    versions = [v for v in program.versions(use.function) if v in program.live]
    return bool(versions) and not any(graph.runs_once(v) for v in versions) and not _is_set_up(graph, use.function)


def _is_set_up(graph: Graph, function: FunctionId) -> bool:
    """Whether only the constructor calls it."""
    callers = {c for v in graph.program.versions(function) for c in graph.program.callers.get(v, frozenset())}
    reachable = any(v in graph.program.openness.callable for v in graph.program.versions(function))
    return bool(callers) and not reachable and all(graph.program.node(c).name in MAKERS for c in callers)


def _leak(graph: Graph, table: Table, use: Use, made: tuple[FunctionId, ir.Span]) -> Leak:
    program, function = graph.program, use.function
    at = use.at or program.node(function).at
    qualname = graph.qualname(function)
    trace = (
        graph.step(*made, "this is made anew in each call"),
        graph.step(function, at, f"and put into `{table.label}` here"),
        graph.step(function, at, f"nothing in the program takes anything out of `{table.label}`"),
    )
    often = graph.recurrences.of(function)
    facts = {"table": table.label, "function": qualname, "growth": grows(graph, often, "entry", function)}
    return Leak(program.path(function.module), at, qualname, facts, Confidence.LIKELY, often.growth, trace, "never")
