"""What is over when a connection has been made: the first callback of its protocol runs before the call that makes it returns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leaklint import ir
from leaklint.catalog.grammar import Does, Gives, Kind
from leaklint.link.values import FunctionId

if TYPE_CHECKING:
    from leaklint.link.program import Program


def is_set_on_connecting(program: Program, function: FunctionId, awaited: ir.Await) -> bool:
    """Whether what is awaited is a future that only the first callbacks of protocols set, after a call that makes a connection:
    `await ready`, where `connection_made` sets it."""
    if not isinstance(awaited.value, ir.Name):
        return False
    futures = program.local_objects(function, (awaited.value.id,))
    if not futures or any(program.kind(obj) is not Kind.FUTURE for obj in futures):
        return False
    waits = [a for obj in futures for a in program.on(obj) if a.does is Does.WAIT and a.function == function]
    makes = [a for a in program.actions_in(function) if _makes_a_connection(a.call.operation.returns)]
    if not any(made.at.end_line < wait.at.line for wait in waits for made in makes):
        return False
    return all(_is_set_by_first_callbacks(program, obj) for obj in futures)


def _makes_a_connection(returns: object) -> bool:
    return isinstance(returns, tuple) and Gives.RESULT in returns


def _is_set_by_first_callbacks(program: Program, future: int) -> bool:
    if program.escape(future) is not None:
        return False
    signals = [a for a in program.on(future) if a.does is Does.SIGNAL]
    return bool(signals) and all(_is_first(program, root) for a in signals for root in program.roots(a.function))


def _is_first(program: Program, function: FunctionId) -> bool:
    cls = program.class_of(function)
    outside = program.state.names.lineage(cls)[1] if cls is not None else ()
    described = (program.models.callbacks.get(base) for base in outside)
    return any(one is not None and program.node(function).name in one.first for one in described)
