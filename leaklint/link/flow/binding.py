"""Actual arguments meet formal parameters: of project functions, and of modelled operations."""

from __future__ import annotations

from collections.abc import Sequence

from leaklint import ir
from leaklint.catalog.grammar import Operation
from leaklint.link.flow.state import NOTHING, Actual, State
from leaklint.link.values import Container, FunctionId


def variadic(function: FunctionId, parameter: ir.Parameter) -> Container:
    """The tuple or dict that a `*args` or `**kwargs` parameter holds."""
    return Container(function.site(function.index), parameter.kind)


def bind(state: State, actuals: Sequence[Actual], function: FunctionId, offset: int) -> None:
    """Each parameter ⊇ the actuals that may land in it; `offset` positional parameters are already bound."""
    solver = state.solver
    parameters = state.names.function(function).parameters
    positional = [p for p in parameters if p.kind in ("positional", "any")]
    by_name = {p.name: p for p in parameters if p.kind in ("any", "keyword")}
    vararg = next((state.element(solver.identify(variadic(function, p))) for p in parameters if p.kind == "vararg"), NOTHING)
    kwarg_object = next((solver.identify(variadic(function, p)) for p in parameters if p.kind == "kwarg"), NOTHING)
    kwarg = state.element(kwarg_object) if kwarg_object != NOTHING else NOTHING

    def at(position: int) -> int:
        return state.local(function, positional[position].name) if position < len(positional) else vararg

    def spread_tuple(obj: int, start: int) -> None:
        if not isinstance(solver.objects[obj], Container):
            return
        index = 0
        while (known := solver.known(("indexed", obj, index))) != NOTHING:
            solver.copy(known, at(start + index))
            index += 1
        if not index:
            for place in range(start, len(positional)):
                solver.copy(state.element(obj), at(place))
            solver.copy(state.element(obj), vararg)

    def spread_dict(obj: int) -> None:
        if not isinstance(solver.objects[obj], Container):
            return
        named = [p.name for p in (*positional[offset:], *by_name.values()) if solver.known(("indexed", obj, p.name)) != NOTHING]
        for name in named:
            solver.copy(solver.known(("indexed", obj, name)), state.local(function, name))
        if not named:
            for parameter in by_name.values():
                if parameter not in positional[:offset]:
                    solver.copy(state.element(obj), state.local(function, parameter.name))
        solver.copy(state.element(obj), kwarg)

    position = offset
    for actual in actuals:
        if actual.star == 1:
            solver.watch(actual.variable, lambda obj, start=position: spread_tuple(obj, start))  # type: ignore[misc]
        elif actual.star == 2:
            solver.watch(actual.variable, spread_dict)
        elif actual.keyword is None:
            solver.copy(actual.variable, at(position))
            position += 1
        elif actual.keyword in by_name:
            solver.copy(actual.variable, state.local(function, actual.keyword))
        elif kwarg != NOTHING:
            state.put_at(kwarg_object, actual.keyword, actual.variable)


def bind_formals(operation: Operation, actuals: Sequence[Actual]) -> tuple[dict[str, list[int]], dict[str, ir.Expr]]:
    """For a modelled operation: parameter → variables, and parameter → the expression given for it."""
    formals: dict[str, list[int]] = {}
    given: dict[str, ir.Expr] = {}
    plain = [p for p in operation.params if not p.startswith("*")]
    rest = next((p[1:] for p in operation.params if p.startswith("*") and not p.startswith("**")), None)
    position = 0
    for actual in actuals:
        if actual.keyword is not None:
            name: str | None = actual.keyword
        elif actual.star:
            name = rest if rest is not None else plain[position] if position < len(plain) else None
        else:
            name = plain[position] if position < len(plain) else rest
            position += 1
        if name is None:
            continue
        formals.setdefault(name, []).append(actual.variable)
        if actual.expression is not None:
            given.setdefault(name, actual.expression)
    return formals, given
