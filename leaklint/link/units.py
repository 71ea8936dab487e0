"""What runs on its own: tasks, threads, processes, timers, jobs and callbacks, each with what starts it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from leaklint import ir
from leaklint.catalog.grammar import Does, TypeModel, UnitKind
from leaklint.link.actions import order
from leaklint.link.flow.calls import is_inert
from leaklint.link.flow.state import LibraryCall, State
from leaklint.link.values import FunctionId, Instance, Library

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
        starts = operation.does in _STARTS or (operation.does is Does.RUN and operation.kind is not None)
        if starts and operation.runs is not None and not _is_nothing(state, call):
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
                    model.unit, _name(program, entries, call), entries, frozenset({obj}), call, spawns, _daemon(program, call, model, obj)
                )
    for call in sorted(state.library.values(), key=order):
        if call.operation.does in (Does.JOIN, Does.WAIT) and call.operation.runs is None:
            for entry in program.entries(call):  # gather(a(), b()): each becomes a unit of its own
                yield Unit(call.operation.kind or UnitKind.TASK, program.node(entry).qualname, (entry,), frozenset(), call, (call,), False)


def _name(program: Program, entries: tuple[FunctionId, ...], call: LibraryCall) -> str:
    return ", ".join(sorted({program.node(entry).qualname for entry in entries})[:3]) or call.name.rpartition(".")[2]


def _is_nothing(state: State, call: LibraryCall) -> bool:
    """Whether a registration takes a callback away: `signal.signal(number, signal.SIG_DFL)`."""
    given = [state.solver.objects[obj] for obj in call.entries]
    return call.operation.does is Does.REGISTER and bool(given) and all(isinstance(v, Library) and is_inert(state, v.name) for v in given)


def _daemon(program: Program, call: LibraryCall, model: TypeModel, obj: int) -> bool:
    """`daemon=True` in the constructor or the class body, or set before the start."""
    if model.daemon is None or model.daemon is True:
        return model.daemon is True
    state = program.state
    if any(_is_true(made.given.get(model.daemon)) for made in state.constructed.get(obj, [call]) if isinstance(model.daemon, str)):
        return True
    if any(a.method == "setDaemon" and _is_true(a.call.given.get("daemonic")) for a in program.on(obj)):
        return True
    value = state.solver.objects[obj]
    if isinstance(value, Instance):
        for cls in state.names.lineage(value.cls)[0]:
            for stmt in state.names.cls(cls).body:
                if isinstance(stmt, ir.Bind) and ir.Name("daemon") in stmt.targets:
                    return _is_true(stmt.value)
    return any(
        load.name in (model.daemon, "daemon") and load.value is not None and _is_true(load.constant) and obj in state.solver.held(load.base)
        for load in state.loads
    )


def _is_true(expression: ir.Expr | None) -> bool:
    return isinstance(expression, ir.Constant) and expression.kind == "bool" and expression.text == "True"
