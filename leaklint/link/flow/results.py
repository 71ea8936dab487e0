"""What the call of a modelled operation gives, as its model says."""

from __future__ import annotations

from leaklint.catalog.grammar import Does, Gives, Kind, Makes
from leaklint.link.flow import calls, protocols
from leaklint.link.flow.state import CallRecord, LibraryCall, State
from leaklint.link.values import (
    Container,
    Generator,
    Resource,
)


def give(state: State, done: LibraryCall, subjects: int, target: int) -> None:
    returns = done.operation.returns
    match returns:
        case None:
            pass
        case str():
            _give(state, done, returns, "", subjects, target)
        case _:
            together = state.solver.allocate(target, Container(done.record.site, "tuple"))
            for index, one in enumerate(returns):
                place = state.solver.variable(("indexed", together, index))
                state.solver.copy(place, state.element(together))
                if one == Gives.SUBJECT:  # a set of them
                    group = state.solver.allocate(place, Container(done.record.site, f"set {index}"))
                    state.solver.copy(subjects, state.element(group))
                else:
                    _give(state, done, one, str(index), subjects, place)


def _give(state: State, done: LibraryCall, what: str, part: str, subjects: int, target: int) -> None:
    solver, record, operation = state.solver, done.record, done.operation
    match what:
        case Gives.SELF:
            if done.subject is not None:
                model = state.model_of(solver.objects[done.subject])
                if model is not None and model.wraps is not None and model.kind is Kind.VALUE:  # `with closing(thing) as same:`
                    solver.copy(state.attribute(done.subject, "()wraps"), target)
                else:
                    solver.add(target, done.subject)
        case Gives.SUBJECT:
            sources = done.formals.get(operation.subject, ()) if operation.subject is not None else [subjects]
            for variable in sources:
                solver.copy(variable, target)
        case Gives.RESULT:
            if part:  # next to something else that the call makes
                for variable in done.formals.get("()result", ()):
                    solver.copy(variable, target)
            elif operation.runs is None and done.subject is not None and operation.subject is None:
                solver.copy(state.outcome(done.subject), target)
            elif operation.runs is None:
                protocols.awaited(state, CallRecord(record.function, record.site, record.at, subjects, (), target, by=done), target)
        case Gives.RESULTS:
            group = solver.allocate(target, Container(record.site, "results"))
            element = state.element(group)
            for variable in done.formals.get("()result", ()):
                solver.copy(variable, element)
            protocols.awaited(state, CallRecord(record.function, record.site, record.at, subjects, (), element, by=done), element)
        case Gives.ELEMENT:
            sources = done.formals.get(operation.subject, ()) if operation.subject is not None else [subjects]
            for variable in sources:
                solver.watch(variable, lambda obj: _element(state, obj, target))
        case Gives.NUMBERED | Gives.ZIPPED:
            outer = solver.allocate(target, Container(record.site, "tuples"))
            inner = solver.allocate(state.element(outer), Container(record.site, "tuple of"))
            solver.copy(subjects, state.element(inner))
        case Gives.OBJECT:
            pass
        case _:
            _make_result(state, done, what, part, target)


def _element(state: State, obj: int, target: int) -> None:
    """target ⊇ what was sent to the object, is in it, or what it yields."""
    value = state.solver.objects[obj]
    source = state.yields(value.function) if isinstance(value, Generator) else state.element(calls.channel(state, obj))
    state.solver.copy(source, target)


def _make_result(state: State, done: LibraryCall, what: str, part: str, target: int) -> None:
    record, operation = done.record, done.operation
    model = state.models.types.get(what)
    if operation.makes in (Makes.PAIR, Makes.DUPLEX):
        obj = state.solver.allocate(target, Resource(what, record.site, f"end {part}"))
        state.constructed.setdefault(obj, []).append(done)
    elif operation.does is Does.MAKE and model is not None:
        obj = calls.make(state, record, model, part, target, record.actuals)
    else:
        # The same call on two subjects gives two resources of one site: one object.
        obj = state.solver.allocate(target, Resource(what, record.site, part))
    done.made.add(obj)
    for variable in done.formals.get("()result", ()):
        state.solver.copy(variable, state.outcome(obj))
