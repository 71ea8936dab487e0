"""What runs on its own: tasks, threads, processes, timers, jobs and callbacks, each with what starts it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from leaklint import ir
from leaklint.catalog.grammar import Does, TypeModel, UnitKind
from leaklint.link.actions import order
from leaklint.link.state import LibraryCall, State
from leaklint.link.values import FunctionId

if TYPE_CHECKING:
    from leaklint.link.program import Program

_STARTS = frozenset({Does.SPAWN, Does.ARM, Does.SUBMIT, Does.REGISTER})


@dataclass(frozen=True, slots=True, eq=False)
class Unit:
    """What runs on its own. `entries` are the functions it starts in; `handle` the object ids that stand for it (task, thread, timer);
    `spawns` the calls that start it."""

    kind: UnitKind
    name: str
    entries: tuple[FunctionId, ...]
    handle: frozenset[int]
    made: LibraryCall | None
    spawns: tuple[LibraryCall, ...]
    daemon: bool


def units(program: Program) -> Iterator[Unit]:
    state = program.state
    for call in sorted(state.library.values(), key=order):
        operation = call.operation
        if operation.does in _STARTS and operation.runs is not None:
            entries = program.entries(call)
            handle = frozenset(call.made)
            kind = operation.kind or UnitKind.CALLBACK
            yield Unit(kind, _name(program, entries, call), entries, handle, call, (call,), operation.daemon)
        elif operation.does is Does.MAKE and call.made:
            for obj in sorted(call.made):
                model = state.model_of(state.solver.objects[obj])
                if model is None or model.unit is None or obj != call.subject:
                    continue
                entries = program.entries(call)
                started = tuple(a.call for a in program.on(obj) if a.does in (Does.SPAWN, Does.ARM))
                spawns = (call, *started) if model.starts else started
                yield Unit(
                    model.unit, _name(program, entries, call), entries, frozenset({obj}), call, spawns, _daemon(state, call, model, obj)
                )
    for call in sorted(state.library.values(), key=order):
        if call.operation.does in (Does.JOIN, Does.WAIT) and call.operation.runs is None:
            for entry in program.entries(call):  # gather(a(), b()): each becomes a unit of its own
                yield Unit(call.operation.kind or UnitKind.TASK, program.node(entry).qualname, (entry,), frozenset(), call, (call,), False)


def _name(program: Program, entries: tuple[FunctionId, ...], call: LibraryCall) -> str:
    return ", ".join(sorted({program.node(entry).qualname for entry in entries})[:3]) or call.name.rpartition(".")[2]


def _daemon(state: State, call: LibraryCall, model: TypeModel, obj: int) -> bool:
    """`daemon=True` in the constructor, the class body, or assigned before the start."""
    if model.daemon is None or model.daemon is True:
        return model.daemon is True
    for made in state.constructed.get(obj, [call]):
        if isinstance(model.daemon, str) and _is_true(made.given.get(model.daemon)):
            return True
    return any(
        load.name in (model.daemon, "daemon") and load.value is not None and _is_true(load.constant) and obj in state.solver.held(load.base)
        for load in state.loads
    )


def _is_true(expression: ir.Expr | None) -> bool:
    return isinstance(expression, ir.Constant) and expression.kind == "bool" and expression.text == "True"
