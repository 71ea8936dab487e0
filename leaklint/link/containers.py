"""The methods of the built-in containers, as far as they move elements."""

from __future__ import annotations

from leaklint.catalog.grammar import Operation
from leaklint.link import calls
from leaklint.link.state import CallRecord, State
from leaklint.link.values import Container, Generator

_ADDS = {"append": 0, "appendleft": 0, "add": 0, "insert": 1, "setdefault": 1, "__setitem__": 1}
"""Method → position of the value that becomes an element."""
_ADDS_ALL = frozenset({"extend", "extendleft", "update", "union", "__ior__"})
_GIVES_ONE = frozenset({"pop", "popleft", "get", "setdefault", "__getitem__"})
_GIVES_ALL = frozenset({"values", "keys", "copy", "union", "difference", "intersection", "__iter__"})

METHODS = frozenset({*_ADDS, *_ADDS_ALL, *_GIVES_ONE, *_GIVES_ALL, "items", "popitem", "remove", "discard", "clear"})


def construct(state: State, record: CallRecord, operation: Operation) -> None:
    """A container made by a call: empty, with the elements of what it is given, or with what a factory makes (`defaultdict`)."""
    solver = state.solver
    container = solver.allocate(record.result, Container(record.site.module, record.site.number, "made"))
    element = state.element(container)
    for actual in record.actuals:
        if actual.keyword is not None:
            solver.copy(actual.variable, element)
        else:
            solver.watch(actual.variable, lambda obj: _pour(state, record, obj, element))
    if operation.runs is not None and record.actuals:
        factory = record.actuals[0].variable
        calls.call(state, CallRecord(record.function, record.site, record.at, factory, (), element))


def _pour(state: State, record: CallRecord, obj: int, element: int) -> None:
    match state.solver.objects[obj]:
        case Container():
            state.solver.copy(state.element(obj), element)
        case Generator(function=function):
            state.awaits.setdefault(obj, set()).add(record.function)
            state.solver.copy(state.yields(function), element)
        case _:
            pass


def call(state: State, record: CallRecord, container: int, name: str) -> None:
    """`container.name(…)`: what goes in, what comes out."""
    solver = state.solver
    element = state.element(container)
    positional = [a.variable for a in record.actuals if a.keyword is None and not a.star]
    if name in _ADDS and len(positional) > _ADDS[name]:
        solver.copy(positional[_ADDS[name]], element)
    if name in _ADDS_ALL:
        for actual in record.actuals:
            if actual.keyword is not None:
                solver.copy(actual.variable, element)
            else:
                solver.watch(actual.variable, lambda obj: solver.copy(state.element(obj), element))
    if name in _GIVES_ONE:
        solver.copy(element, record.result)
        if len(positional) > 1:
            solver.copy(positional[1], record.result)
    if name in _GIVES_ALL:
        solver.add(record.result, container)
    if name in ("items", "popitem"):
        value = solver.objects[container]
        assert isinstance(value, Container)
        pairs = solver.identify(Container(value.module, value.place, "items"))
        pair = solver.identify(Container(value.module, value.place, "item"))
        solver.copy(element, state.element(pair))
        if name == "items":
            solver.add(state.element(pairs), pair)
            solver.add(record.result, pairs)
        else:
            solver.add(record.result, pair)
