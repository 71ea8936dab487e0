"""The methods of the built-in containers, as far as they move elements."""

from __future__ import annotations

from leaklint import ir
from leaklint.catalog.grammar import Operation
from leaklint.link.flow import calls, fields, protocols
from leaklint.link.flow.state import CallRecord, State
from leaklint.link.values import Container

_ADDS = {"append": 0, "appendleft": 0, "add": 0, "insert": 1, "setdefault": 1, "__setitem__": 1}
"""Method → position of the value that becomes an element."""
_ADDS_ALL = frozenset({"extend", "extendleft", "update", "union", "__ior__"})
_GIVES_ONE = frozenset({"pop", "popleft", "get", "setdefault", "__getitem__"})
_GIVES_ALL = frozenset({"values", "keys", "copy", "union", "difference", "intersection", "__iter__"})

WITH_ATTRIBUTES = frozenset({"namespace", "record"})
"""Parts of containers whose keys are read as attributes: namespaces and named tuples."""

METHODS = frozenset({*_ADDS, *_ADDS_ALL, *_GIVES_ONE, *_GIVES_ALL, "items", "popitem", "remove", "discard", "clear"})


def construct(state: State, record: CallRecord, name: str, operation: Operation) -> None:
    """A container made by a call: empty, with the elements of what it is given, or with what a factory makes (`defaultdict`)."""
    solver = state.solver
    if name == "types.SimpleNamespace":
        container = solver.allocate(record.result, Container(record.site, "namespace", is_record=True))
    else:
        keywords = bool(record.actuals) and all(actual.keyword is not None for actual in record.actuals)
        container = solver.allocate(record.result, Container(record.site, "made", keywords))
    if "field_names" in operation.params:
        state.tuples[container] = _field_names(record)
    element = state.anywhere(container)
    for actual in record.actuals:
        if actual.keyword is not None:
            state.put_at(container, actual.keyword, actual.variable)
        else:
            _pour(state, record, actual.variable, element)
            if "**kwargs" in operation.params:  # of pairs
                pairs = solver.fresh()
                _pour(state, record, actual.variable, pairs)
                fields.element(state, pairs, element)
    if operation.runs is not None and record.actuals:
        factory = record.actuals[0].variable
        calls.call(state, CallRecord(record.function, record.site, record.at, factory, (), element))


def _field_names(record: CallRecord) -> tuple[str, ...]:
    """`namedtuple("Pair", ["first", "second"])` or `namedtuple("Pair", "first second")`"""
    match record.node:
        case ir.Call(arguments=(_, ir.Argument(value=ir.Constant(kind="str", text=text)), *_)):
            return tuple(text.replace(",", " ").split())
        case ir.Call(arguments=(_, ir.Argument(value=ir.Display(items=items)), *_)):
            return tuple(item.text for item in items if isinstance(item, ir.Constant))
        case _:
            return ()


def record_of(state: State, record: CallRecord, names: tuple[str, ...] = ()) -> None:
    """A typed dict, or a named tuple of the class with these fields."""
    container = state.solver.allocate(record.result, Container(record.site, "record", is_record=True))
    for position, actual in enumerate(record.actuals):
        if actual.keyword is not None:
            state.put_at(container, actual.keyword, actual.variable)
        elif position < len(names) and not actual.star:
            state.put_at(container, names[position], actual.variable)
        else:
            state.solver.copy(actual.variable, state.anywhere(container))
    for position, name in enumerate(names):
        state.solver.copy(state.indexed(container, name), state.indexed(container, position))


def _pour(state: State, record: CallRecord, values: int, target: int) -> None:
    """target ⊇ each of the values"""
    protocols.iterated(state, CallRecord(record.function, record.site, record.at, values, (), target), target, is_async=False)


def call(state: State, record: CallRecord, container: int, name: str) -> None:
    """`container.name(…)`: what goes in, what comes out."""
    solver = state.solver
    element, anywhere = state.element(container), state.anywhere(container)
    positional = [a.variable for a in record.actuals if a.keyword is None and not a.star]
    if name in _ADDS and len(positional) > _ADDS[name]:
        added = positional[_ADDS[name]]
        key = record.actuals[0].key if name in ("setdefault", "__setitem__") else None
        if key is not None and state.is_record(container):
            state.put_at(container, key, added)
        else:
            solver.copy(added, anywhere)
    if name in _ADDS_ALL:
        for actual in record.actuals:
            if actual.keyword is not None:
                state.put_at(container, actual.keyword, actual.variable)
            else:
                _pour(state, record, actual.variable, anywhere)
    if name in _GIVES_ONE:
        _give_one(state, record, container)
        if len(positional) > 1:
            solver.copy(positional[1], record.result)
    if name in _GIVES_ALL:
        solver.add(record.result, container)
    if name in ("items", "popitem"):
        part = value.part if isinstance(value := solver.objects[container], Container) else ""
        site = value.site if isinstance(value, Container) else record.site
        pairs = solver.identify(Container(site, f"{part} items"))
        pair = solver.identify(Container(site, f"{part} item"))
        solver.copy(element, state.element(pair))
        if name == "items":
            solver.add(state.element(pairs), pair)
            solver.add(record.result, pairs)
        else:
            solver.add(record.result, pair)


def _give_one(state: State, record: CallRecord, container: int) -> None:
    """What the key leads to, when it is a string as it stands; else any element."""
    key = record.actuals[0].key if record.actuals else None
    if key is not None and state.is_record(container):
        state.solver.copy(state.indexed(container, key), record.result)
        state.solver.copy(state.anywhere(container), record.result)
    else:
        state.solver.copy(state.element(container), record.result)
