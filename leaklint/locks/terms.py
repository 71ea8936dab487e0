"""How code names a value: a variable and the attributes from there. Two places that name the same thing mean one lock, whatever else is
known of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

from leaklint import ir
from leaklint.graph import Graph
from leaklint.link.syntax import bound_names, scope_names, walk
from leaklint.link.values import FunctionId

_DEEPEST = 4
"""Attributes of a term, and aliases followed, from which a value counts as having no name."""


@dataclass(frozen=True, slots=True)
class Term:
    """`self._pool._lock`: the variable `self` of the function `scope` (module and index; index 0 for a global), and the steps from
    there: the name of an attribute, or what stands in a subscript."""

    scope: tuple[int, int]
    name: str
    steps: tuple[Step, ...] = ()

    def roots(self) -> frozenset[tuple[tuple[int, int], str]]:
        """The variables that it takes to follow the term."""
        inner = (step.key.roots() for step in self.steps if isinstance(step, At) and isinstance(step.key, Term))
        return frozenset({(self.scope, self.name)}).union(*inner)

    def __str__(self) -> str:
        return self.name + "".join(str(step) if isinstance(step, At) else f".{step}" for step in self.steps)


@dataclass(frozen=True, slots=True)
class At:
    """A subscript: a constant by its text, or a value that has a name itself."""

    key: Term | str

    def __str__(self) -> str:
        return f"[{self.key}]"


Step: TypeAlias = str | At


@dataclass(slots=True, eq=False)
class Terms:
    """The terms of one program."""

    graph: Graph
    _bindings: dict[tuple[int, int], Bindings] = field(default_factory=dict)

    def of(self, function: FunctionId, expression: ir.Expr, depth: int = 0) -> Term | None:
        """The term of an expression; None where it has no name that stays."""
        if depth > _DEEPEST:
            return None
        match expression:
            case ir.Name(id=name):
                return self._variable(function, name, depth)
            case ir.Attribute(base=base, name=name):
                return longer(self.of(function, base, depth), name)
            case ir.Subscript(base=base, index=ir.Constant(text=text)):
                return longer(self.of(function, base, depth), At(text))
            case ir.Subscript(base=base, index=ir.Name() | ir.Attribute() as index):
                key = self.of(function, index, depth)
                return longer(self.of(function, base, depth), At(key)) if key is not None else None
            case ir.Call(function=ir.Name(id="super")):
                return self._self(function)
            case ir.Walrus(value=value):
                return self.of(function, value, depth)
            case _:
                return None

    def _variable(self, function: FunctionId, name: str, depth: int) -> Term | None:
        here: FunctionId | None = function
        while here is not None and here.index != 0:
            bindings = self.bindings(here)
            if name in bindings.times:
                value = bindings.values.get(name) if bindings.times[name] == 1 else None
                alias = self.of(here, value, depth + 1) if isinstance(value, ir.Name | ir.Attribute) else None
                if alias is not None and all(self.is_bound_once(*root) for root in alias.roots()):
                    return alias
                return Term(here.source, name)
            parent = self.graph.program.node(here).parent
            here = here.inner(parent) if parent else None
        return Term((function.module, 0), name)

    def _self(self, function: FunctionId) -> Term | None:
        parameters = self.graph.program.node(function).parameters
        return Term(function.source, parameters[0].name) if parameters and self.graph.program.node(function).owner is not None else None

    def is_bound_once(self, scope: tuple[int, int], name: str) -> bool:
        return scope[1] == 0 or self.bindings(FunctionId(*scope)).times.get(name, 0) <= 1

    def bindings(self, function: FunctionId) -> Bindings:
        found = self._bindings.get(function.source)
        if found is None:
            summary = self.graph.program.modules[function.module].summary
            found = self._bindings[function.source] = Bindings(summary.functions[function.index], summary)
        return found


def longer(term: Term | None, step: Step) -> Term | None:
    """The term of an attribute or element of what a term names."""
    if term is None or len(term.steps) >= _DEEPEST:
        return None
    return Term(term.scope, term.name, (*term.steps, step))


class Bindings:
    """The variables of one function. `times`: how often each is bound, parameters once; `values`: what plain assignments give them."""

    def __init__(self, function: ir.Function, summary: ir.Summary) -> None:
        elsewhere = set(scope_names(function.body, "global", "nonlocal"))
        self.times = Counter(p.name for p in function.parameters)
        self.times.update(name for name in bound_names(function.body, summary) if name not in elsewhere)
        self._function = function

    @cached_property
    def values(self) -> dict[str, ir.Expr]:
        return {
            target.id: stmt.value
            for stmt in walk(self._function.body)
            if isinstance(stmt, ir.Bind)
            for target in stmt.targets
            if isinstance(target, ir.Name)
        }


def visible(graph: Graph, function: FunctionId) -> frozenset[tuple[int, int]]:
    """The functions whose variables the code of a function sees: itself and those around it."""
    found = [function.source]
    node = graph.program.node(function)
    while node.parent:
        found.append((function.module, node.parent))
        node = graph.program.node(function.inner(node.parent))
    return frozenset(found)


def translated(term: Term | None, caller: frozenset[tuple[int, int]], callee: tuple[int, int], given: dict[str, Term]) -> Term | None:
    """A term of a called function in the words of its caller: `caller` are the functions whose variables those of the caller see,
    `given` the terms of what the parameters get. None where the caller has no name for it."""
    if term is None:
        return None
    steps = term.steps
    if term.scope == callee:
        base = given.get(term.name)
        if steps and (part := given.get(f"{term.name}.{steps[0]}")) is not None:
            base, steps = part, steps[1:]
    else:
        base = Term(term.scope, term.name) if term.scope[1] == 0 or term.scope in caller else None
    for step in steps:
        if base is None:
            return None
        if isinstance(step, At) and isinstance(step.key, Term):
            key = translated(step.key, caller, callee, given)
            base = longer(base, At(key)) if key is not None else None
        else:
            base = longer(base, step)
    return base


def entering(term: Term | None, callee: frozenset[tuple[int, int]], own: tuple[int, int], given: dict[str, Term]) -> Term | None:
    """A term of the caller in the words of the function `own` that it calls, the other way round: `callee` are the functions whose
    variables the called one sees."""
    if term is None:
        return None
    for name, meant in given.items():
        if (meant.scope, meant.name) == (term.scope, term.name) and term.steps[: len(meant.steps)] == meant.steps:
            rest = term.steps[len(meant.steps) :]
            if not any(isinstance(step, At) and isinstance(step.key, Term) for step in rest):
                first, _, part = name.partition(".")
                return Term(own, first, (part, *rest) if part else rest)
    return term if term.scope[1] == 0 or term.scope in callee - {own} else None
