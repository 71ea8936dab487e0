"""From library calls to operations: subjects known, constants of the call applied to what the model says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from leaklint import ir
from leaklint.catalog.grammar import Does, Waits
from leaklint.link.flow.state import LibraryCall, State
from leaklint.link.values import Container, FunctionId, Pending, Site

_ON_THE_WHOLE = frozenset({Does.COPY, Does.VIEW, Does.OBSERVE, Does.MAKE, Does.BIND, Does.DECORATE, Does.RUN, Does.STORE})
"""Operations on a container as such, not on each of its elements."""


@dataclass(frozen=True, slots=True, eq=False)
class Action:
    """An operation at a place. `subjects` are object ids: the queue that is put to, the tasks that are cancelled. `waits` is None when it
    cannot block; `bounded` when a timeout given to it ends the wait. `deferred`: the coroutine is handed on, so that it happens in a unit
    of its own or at an await elsewhere."""

    does: Does
    name: str
    function: FunctionId
    site: Site
    at: ir.Span
    subjects: frozenset[int]
    waits: Waits | None
    bounded: bool
    deferred: bool
    call: LibraryCall

    @property
    def method(self) -> str:
        return self.name.rpartition(".")[2]


def actions(state: State) -> Iterator[Action]:
    """Every operation of the program, in the order of place."""
    for call in sorted(state.library.values(), key=order):
        waits, bounded = _waiting(call)
        record = call.record
        yield Action(
            call.operation.does, call.name, record.function, record.site, record.at, _subjects(state, call), waits, bounded,
            _deferred(state, call), call,
        )  # fmt: skip


def order(call: LibraryCall) -> tuple[Site, str, int]:
    return (call.record.site, call.name, -1 if call.subject is None else call.subject)


def _subjects(state: State, call: LibraryCall) -> frozenset[int]:
    """What the operation acts on: the objects themselves and, where it acts on each element of what it is given, what is in containers."""
    if call.operation.does is Does.MAKE and call.subject is not None:
        return frozenset({call.subject})
    found = {o for variable in call.formals.get("()subjects", ()) for o in state.solver.points[variable]}
    if call.operation.does in _ON_THE_WHOLE:
        return frozenset(found)
    todo = [o for o in found if isinstance(state.solver.objects[o], Container)]
    while todo:
        inside = state.solver.held(state.solver.known(("element", todo.pop()))) - found
        found |= inside
        todo += [o for o in inside if isinstance(state.solver.objects[o], Container)]
    return frozenset(found)


def _waiting(call: LibraryCall) -> tuple[Waits | None, bool]:
    """When the call blocks, given its constants, and whether a timeout bounds it. What is not a constant speaks for the program."""
    operation = call.operation
    waits = operation.waits
    for name, constant in operation.unless.items():
        given = call.given.get(name)
        if given is not None and (not isinstance(given, ir.Constant) or _equals(given, constant)):
            waits = None
    for name, constant in operation.only_if.items():
        given = call.given.get(name)
        if given is None or not _equals(given, constant):
            waits = operation.instead
    timeout = call.given.get(operation.timeout) if operation.timeout is not None else None
    bounded = timeout is not None and not (isinstance(timeout, ir.Constant) and timeout.kind == "none")
    if operation.timeout is not None and timeout is None and call.formals.get(operation.timeout):
        bounded = True
    return waits, bounded


def _equals(given: ir.Expr, constant: bool | int | str) -> bool:
    match given:
        case ir.Constant(text=text):
            return text == str(constant)
        case ir.Name(id=name) | ir.Attribute(name=name):
            return name == constant
        case _:
            return False


def _deferred(state: State, call: LibraryCall) -> bool:
    if not call.operation.is_async or call.record.by is not None or call.name.rpartition(".")[2].startswith("__"):
        return False
    pending = state.solver.identify(Pending(call.record.site))
    return call.record.function not in state.awaits.get(pending, ())
