"""What awaiting, iterating and entering an object gives, and what happens then."""

from __future__ import annotations

from leaklint.catalog.grammar import Does
from leaklint.link.flow import calls
from leaklint.link.flow.fields import CONTAINERS, in_order
from leaklint.link.flow.state import NOTHING, CallRecord, State
from leaklint.link.values import (
    Container,
    Coroutine,
    Generator,
    Instance,
    Pending,
    Resource,
)


def awaited(state: State, record: CallRecord, target: int) -> None:
    """target ⊇ await record.callee; the awaiting place is the record's."""
    solver = state.solver

    def of(obj: int) -> None:
        match solver.objects[obj]:
            case Coroutine(function=callee):
                state.awaits.setdefault(obj, set()).add(record.function)
                solver.copy(state.result(callee), target)
            case Pending():
                state.awaits.setdefault(obj, set()).add(record.function)
                solver.copy(state.outcome(obj), target)
            case Resource() | Instance() as value:
                solver.copy(state.outcome(obj), target)
                _operate(state, record, obj, value, "__await__", target)
            case _:
                pass

    solver.watch(record.callee, of)


def iterated(state: State, record: CallRecord, target: int, is_async: bool) -> None:
    """target ⊇ what iterating record.callee gives."""
    solver = state.solver
    seen: set[int] = set()

    def once(obj: int) -> None:
        if obj not in seen:
            seen.add(obj)
            of(obj)

    def of(obj: int) -> None:
        match solver.objects[obj]:
            case Container():
                solver.copy(state.element(obj), target)
            case Generator(function=callee):
                state.awaits.setdefault(obj, set()).add(record.function)
                solver.copy(state.yields(callee), target)
            case Resource() as value:
                solver.copy(state.element(calls.channel(state, obj)), target)
                _operate(state, record, obj, value, "__iter__", target)
            case Instance(cls=cls) as value:
                if CONTAINERS.intersection(state.names.lineage(cls)[1]) and state.names.method(cls, "__iter__") is None:
                    solver.copy(state.element(obj), target)
                for name in in_order(state, cls):
                    solver.copy(state.attribute(obj, name), target)
                names = ("__aiter__", "__anext__") if is_async else ("__iter__", "__next__")
                for name in names:
                    method = state.method(cls, name, obj)
                    if method is not None:
                        calls.bind_self(state, method, obj)
                        state.accessed.add((record.function, method))
                        node = state.names.function(method)
                        solver.copy(state.yields(method) if node.is_generator else state.result(method), target)
                        if name.endswith("iter__") and not node.is_generator:
                            solver.watch(state.result(method), once)
                _operate(state, record, obj, value, "__iter__", target)
            case _:
                pass

    solver.watch(record.callee, once)


def entered(state: State, record: CallRecord, target: int, is_async: bool) -> None:
    """target ⊇ what `with record.callee as target` binds; the exit happens at the same place."""
    solver = state.solver
    names = ("__aenter__", "__aexit__") if is_async else ("__enter__", "__exit__")

    def of(obj: int) -> None:
        sites = state.entered.setdefault(obj, {})
        if record.site in sites:
            return
        sites[record.site] = record.function
        match solver.objects[obj]:
            case Generator(function=callee):
                state.awaits.setdefault(obj, set()).add(record.function)
                solver.copy(state.yields(callee), target)
                state.callees.setdefault(record.site, set()).add(callee)
            case Instance(cls=cls) as value:
                for position, name in enumerate(names):
                    method = state.method(cls, name, obj)
                    if method is None:
                        continue
                    calls.bind_self(state, method, obj)
                    state.callees.setdefault(record.site, set()).add(method)
                    if position == 0:
                        solver.copy(state.result(method), target)
                if state.names.method(cls, names[0]) is None:
                    _operate(state, record, obj, value, "__enter__", target)
                    _operate(state, record, obj, value, "__exit__", target)
            case Resource() as value:
                _operate(state, record, obj, value, "__enter__", target)
                _operate(state, record, obj, value, "__exit__", NOTHING)
                _close_wrapped(state, record, obj, value, is_async)
            case Pending():
                solver.copy(state.outcome(obj), target)
                inner = CallRecord(record.function, record.site, record.at, state.outcome(obj), (), target)
                entered(state, inner, target, is_async)
            case Coroutine(function=callee):
                state.awaits.setdefault(obj, set()).add(record.function)
                inner = CallRecord(record.function, record.site, record.at, state.result(callee), (), target)
                entered(state, inner, target, is_async)
            case _:
                pass

    solver.watch(record.callee, of)


def _close_wrapped(state: State, record: CallRecord, obj: int, value: Resource, is_async: bool) -> None:
    """Leaving the block of a wrapper that closes (`closing`, `aclosing`) calls `close` or `aclose` of what it wraps."""
    model = state.models.types.get(value.type)
    leaving = model.methods.get("__exit__") if model is not None else None
    if model is None or model.wraps is None or leaving is None or leaving.does is not Does.CLOSE:
        return
    name = "aclose" if is_async else "close"

    def wrapped(inner: int) -> None:
        match state.solver.objects[inner]:
            case Instance(cls=cls) as held:
                method = state.method(cls, name, inner)
                if method is not None:
                    calls.bind_self(state, method, inner)
                    state.callees.setdefault(record.site, set()).add(method)
                else:
                    _operate(state, record, inner, held, name, NOTHING)
            case Resource() as held:
                _operate(state, record, inner, held, name, NOTHING)
            case _:
                pass

    state.solver.watch(state.attribute(obj, "()wraps"), wrapped)


def _operate(state: State, record: CallRecord, obj: int, value: Resource | Instance, name: str, target: int) -> None:
    """The modelled special method `name` happens to the object at the record's place."""
    model = state.model_of(value)
    if model is not None and name in model.methods:
        inner = CallRecord(record.function, record.site, record.at, record.callee, (), target, by=record.by)
        calls.operate(state, inner, f"{model.name}.{name}", model.methods[name], obj)


__all__ = ["awaited", "entered", "iterated"]
