"""What a test comes down to: its parts, looked up behind names, properties and small functions of the project."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from leaklint import ir
from leaklint.catalog.grammar import Does, Kind
from leaklint.exits.flags import Flag, atoms, flags_in
from leaklint.graph import Graph
from leaklint.link.syntax import subexpressions, walk
from leaklint.link.values import FunctionId

_FARTHEST = 3
"""Names and functions between a test and what it asks in the end, followed at most."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A part of a test that alone can end a loop, with the function that it stands in; `stop` is the value that ends the loop."""

    function: FunctionId
    test: ir.Expr
    stop: bool


def conditions(graph: Graph, function: FunctionId, test: ir.Expr, *, going_on: bool) -> Iterator[Condition]:
    """The parts of a test; the loop goes on while the test is `going_on`."""
    yield from _parts(graph, function, test, going_on, _FARTHEST)


def _parts(graph: Graph, function: FunctionId, test: ir.Expr, going_on: bool, depth: int) -> Iterator[Condition]:
    for atom, stop in atoms(test, going_on):
        behind = _behind(graph, function, atom) if depth else ()
        inner = [part for where, value in behind for part in _parts(graph, where, value, not stop, depth - 1)]
        # Other than flags, what stands behind a name says less than the name.
        yield from inner if any(flags_of(graph, part) for part in inner) else (Condition(function, atom, stop),)


def _behind(graph: Graph, function: FunctionId, atom: ir.Expr) -> Iterator[tuple[FunctionId, ir.Expr]]:
    """The expressions that give the atom its value: what a loop's own name is set to, what a small function or property returns."""
    program = graph.program
    match atom:
        case ir.Name(id=name):
            bound = [s.value for s in walk(program.node(function).body) if isinstance(s, ir.Bind) and s.targets == (ir.Name(name),)]
            yield from ((function, value) for value in bound if not isinstance(value, ir.Constant) and _asks(value))
        case ir.Call(site=site):
            callees = program.state.callees.get(function.site(site), set())
            yield from (found for callee in sorted(callees) for found in _returned(graph, callee))
        case ir.Attribute(name=name):
            read = (callee for caller, callee in program.state.accessed if caller == function and program.node(callee).name == name)
            yield from (found for callee in sorted(set(read)) for found in _returned(graph, callee))
        case _:
            pass


def _asks(value: ir.Expr) -> bool:
    """Whether a value is a test itself: of an attribute or of a call without arguments of weight, not something received."""
    match value:
        case ir.Operation(operator="not" | "and" | "or"):
            return True
        case ir.Attribute():
            return True
        case _:
            return False


def _returned(graph: Graph, function: FunctionId) -> Iterator[tuple[FunctionId, ir.Expr]]:
    """What a function returns, if it does nothing else; an async one is left out."""
    node = graph.program.node(function)
    if node.is_async or node.is_generator:
        return
    match node.body:
        case (ir.Return(value=value),) if value is not None:
            yield function, value
        case _:
            pass


def flags_of(graph: Graph, condition: Condition) -> list[Flag]:
    """The attributes that hold True or False, and the events, that a condition asks."""
    program = graph.program
    found = list(flags_in(graph, condition.function, condition.test, condition.stop))
    for part in subexpressions(condition.test):
        if isinstance(part, ir.Call) and condition.stop:  # `while not stop.wait(5)`: the wait tells whether the event is set
            looks = [a for a in program.at(condition.function.site(part.site)) if a.does in (Does.WAIT, Does.BOUND)]
            events = frozenset(o for a in looks for o in a.subjects if program.kind(o) is Kind.EVENT)
            if events:
                found.append(Flag("", events, True))
    return [flag for flag in found if flag.name == "" or program.is_flag(flag.name)]
