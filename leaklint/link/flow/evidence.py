"""What stands in where the flow came to nothing: decorators out of sight, receivers that nobody gives, annotations."""

from __future__ import annotations

from collections import Counter

from leaklint.catalog.grammar import Does, Kind, Models
from leaklint.link.flow.calls import invoke
from leaklint.link.flow.state import NOTHING, Load, State
from leaklint.link.values import ClassId, ClassValue, Instance, Resource, Super


def given_back(state: State) -> None:
    """A decorator out of sight is taken to give what it gets."""
    for held, result, given in state.decorated:
        if not state.solver.points[result]:
            state.solver.copy(held, given)


def unknown_receivers(state: State) -> None:
    """A method called through its class, on an object that nothing is known of."""
    for record, function in state.unbound:
        variable = record.actuals[0].variable
        if variable == NOTHING or not state.solver.points[variable]:
            invoke(state, record, state.want(function), None)


def declared_instances(state: State) -> None:
    """An annotation is evidence: any instance of that class, or of one below it, for a variable that holds none."""
    evidence: list[tuple[int, ClassId]] = []
    for variable, attribute, classes in state.declared:
        if attribute is None:
            targets = [variable]
        else:
            targets = [state.attribute(obj, attribute) for obj in sorted(state.solver.held(variable)) if _has_attributes(state, obj)]
        wanted = [one for cls in classes for one in (cls, *state.names.subclasses(cls))]
        evidence += ((target, cls) for target in targets if not _holds_one(state, target, set(wanted)) for cls in wanted)
    for target, cls in evidence:
        for obj in state.instances(cls):
            state.solver.add(target, obj)


def event_loops(state: State) -> None:
    """What is used by a method that event loops alone have is one, where nothing else is known of it: `self._loop.call_later(…)`."""
    words = _words_of_loops(state.models)
    unknown = [load for load in state.loads if load.base != NOTHING and not state.solver.points[load.base]]
    evidence = [(load, words[load.name]) for load in unknown if load.value is None and load.name in words]
    read_into: dict[int, list[Load]] = {}
    bases = {load.base for load, _ in evidence}
    for load in state.loads:
        if load.target in bases:
            read_into.setdefault(load.target, []).append(load)
    for load, name in evidence:
        taken = Resource(name, load.function.site(-1 - load.function.index), "taken")
        origins = [
            state.attribute(obj, origin.name)
            for origin in read_into.get(load.base, ())
            for obj in sorted(state.solver.held(origin.base))
            if _has_attributes(state, obj)
        ]
        for variable in origins or [load.base]:
            state.solver.allocate(variable, taken)


def _words_of_loops(models: Models) -> dict[str, str]:
    """Method by which loops make and start things → the only type that has it; words of one part mean much else."""
    known = Counter(name for model in models.types.values() for name in model.methods)
    return {
        name: model.name
        for model in models.types.values()
        if model.kind is Kind.LOOP
        for name, operation in model.methods.items()
        if known[name] == 1 and operation.does in _STARTING and not operation.is_async and "_" in name.strip("_")
    }


_STARTING = frozenset({Does.MAKE, Does.SPAWN, Does.REGISTER, Does.ARM, Does.SUBMIT, Does.RUN})


def _has_attributes(state: State, obj: int) -> bool:
    return isinstance(state.solver.objects[obj], Instance | ClassValue | Super)


def _holds_one(state: State, variable: int, classes: set[ClassId]) -> bool:
    held = (state.solver.objects[obj] for obj in state.solver.held(variable))
    return any(isinstance(value, Instance) and value.cls in classes for value in held)
