"""Shared state by name: the attributes and outer variables that code looks at, and those that it changes.

A cell is `.queue` for an attribute of whatever object, `queue` for a variable of a function around or of the module.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from types import MappingProxyType

from leaklint import ir
from leaklint.catalog.grammar import Does
from leaklint.graph import Graph
from leaklint.link.syntax import expressions, scope_names, subexpressions, walk
from leaklint.link.values import ClassId, FunctionId, Instance
from leaklint.locks.terms import Terms
from leaklint.paths import Node

Cells = frozenset[str]

_READING = frozenset({"copy", "fromkeys", "maxlen"})
CHANGING = frozenset(
    {*dir(list), *dir(deque)} - {*dir(tuple)} | {*dir(set)} - {*dir(frozenset)} | {*dir(dict)} - {*dir(MappingProxyType)}
) - _READING  # fmt: skip
"""The methods by which containers change."""

_TELLING = frozenset({Does.SEND, Does.SIGNAL, Does.CLEAR, Does.CLOSE, Does.STORE, Does.RECEIVE})
"""Operations after which their subject answers differently."""


class Shared:
    """Answers for one program, each function looked at once."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._terms = Terms(graph)
        self._changed: dict[FunctionId, Cells] = {}

    def changed_in(self, function: FunctionId) -> Cells:
        """What the statements of the function itself change."""
        found = self._changed.get(function)
        if found is None:
            body = self.graph.program.node(function).body
            outer = frozenset(scope_names(body, "global", "nonlocal"))
            found = self._changed[function] = frozenset(c for stmt in walk(body) for c in self._changed_by(function, stmt, outer))
        return found

    def changed_at(self, function: FunctionId, node: Node) -> Cells:
        outer = frozenset(scope_names(self.graph.program.node(function).body, "global", "nonlocal"))
        return frozenset(self._changed_by(function, node.stmt, outer)) if node.stmt is not None and node.kind == "stmt" else frozenset()

    def may_be_same(self, cell: str, one: FunctionId, other: FunctionId) -> bool:
        """Whether two functions may mean the same by the name of an attribute: not when they look it up on objects of unrelated classes."""
        mine, theirs = self._classes(cell, one), self._classes(cell, other)
        return not mine or not theirs or not mine.isdisjoint(theirs)

    def _classes(self, cell: str, function: FunctionId) -> frozenset[ClassId]:
        """The classes, with those above and below them, of the objects on which the function looks an attribute up."""
        program = self.graph.program
        loads = (load for load in self.graph.loads_of(cell.removeprefix(".")) if load.function.source == function.source)
        found = {value.cls for load in loads for o in program.holds(load.base) if isinstance(value := program.value(o), Instance)}
        names = program.state.names
        return frozenset(c for cls in found for c in (*names.lineage(cls)[0], *names.below(cls)))

    def _changed_by(self, function: FunctionId, stmt: ir.Stmt, outer: frozenset[str]) -> Iterator[str]:
        for target in _targets(stmt):
            match target:
                case ir.Name(id=name) if name not in outer:
                    pass
                case _:
                    yield from cell_of(target)
        for part in (p for e in expressions(stmt) for p in subexpressions(e)):
            match part:
                case ir.Call(function=ir.Attribute(base=base, name=method), site=site):
                    done = self.graph.program.at(function.site(site))
                    meant = self._meant(function, base)
                    # A list that is written out here is no cell, and what is in it does not change with it.
                    if not isinstance(meant, ir.Display) and (any(a.does in _TELLING for a in done) or (not done and method in CHANGING)):
                        yield from cell_of(meant)
                case _:
                    pass

    def _meant(self, function: FunctionId, base: ir.Expr) -> ir.Expr:
        """What a local name that is bound once stands for."""
        bindings = self._terms.bindings(function)
        seen: set[str] = set()
        while isinstance(base, ir.Name) and bindings.times[base.id] == 1 and base.id not in seen:
            seen.add(base.id)
            base = bindings.values.get(base.id, base)
        return base


def looked_at(node: Node) -> Iterator[str]:
    """What the node evaluates that is a cell or may be one: every attribute and every name, but for those that it only binds."""
    bound = {id(target) for target in _targets(node.stmt)} if node.stmt is not None else set()
    for part in node.parts:
        for one in subexpressions(part):
            match one:
                case ir.Attribute(name=name) if id(one) not in bound:
                    yield f".{name}"
                case ir.Name(id=name) if id(one) not in bound:
                    yield name
                case _:
                    pass


def cell_of(expression: ir.Expr) -> Iterator[str]:
    match expression:
        case ir.Name(id=name):
            yield name
        case ir.Attribute(name=name):
            yield f".{name}"
        case ir.Subscript(base=base):
            yield from cell_of(base)
        case ir.Display(items=items):
            for item in items:
                yield from cell_of(item)
        case _:
            pass


def _targets(stmt: ir.Stmt) -> Iterator[ir.Expr]:
    match stmt:
        case ir.Bind(targets=targets) | ir.Delete(targets=targets):
            for target in targets:
                yield from target.items if isinstance(target, ir.Display) else (target,)
        case ir.Augment(target=target):
            yield target
        case _:
            pass
