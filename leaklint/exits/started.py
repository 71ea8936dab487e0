"""Units as people count them: what is started where, with one function that it runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from leaklint import ir
from leaklint.graph import Graph
from leaklint.link.actions import Action
from leaklint.link.flow.state import CallRecord
from leaklint.link.openness import functions_of
from leaklint.link.syntax import expressions, subexpressions, walk
from leaklint.link.units import Unit
from leaklint.link.values import ClassId, ClassValue, Coroutine, FunctionId, Instance, LibraryMethod, Pending, Site


@dataclass(frozen=True, slots=True, eq=False)
class Started:
    """A unit with the functions of one name that it may run: a helper such as `spawn(coroutine)` is one call that starts many. `made`: the
    call that makes it or, where a helper does, the call that hands the helper its coroutine. `values` are the objects that it runs."""

    unit: Unit
    name: str
    entries: tuple[FunctionId, ...]
    values: frozenset[int]
    made: CallRecord
    others: frozenset[tuple[FunctionId, str]]
    """The names that the handle has where it stands for others, which the same helper starts: each with the function that binds it."""

    @property
    def is_shared(self) -> bool:
        return bool(self.others)


def started(graph: Graph) -> Iterator[Started]:
    """Everything that runs on its own, in the order of the units."""
    makers = _makers(graph)
    for unit in graph.program.units:
        if unit.made is not None:
            yield from _of(graph, unit, unit.made.record, makers)


def _of(graph: Graph, unit: Unit, made: CallRecord, makers: dict[int, list[CallRecord]]) -> Iterator[Started]:
    program = graph.program
    assert unit.made is not None
    groups: dict[tuple[str, CallRecord], list[int]] = {}
    for obj in sorted(unit.made.entries):
        functions = functions_of(program.state, obj)
        if functions and set(functions) <= set(unit.entries):
            name = program.node(functions[0]).qualname
            groups.setdefault((name, _maker(graph, obj, unit, made)), []).append(obj)
    if len(unit.entries) <= 1 and len(groups) <= 1:
        record = next((record for _, record in groups), made)
        record = next((r for o in sorted(unit.handle) for r in makers.get(o, ())), record) if record is made else record
        yield Started(unit, _name(graph, unit), unit.entries, frozenset(unit.made.entries), record, frozenset())
        return
    bound = {record: word for _, record in groups if (word := bound_to(graph, record)) is not None}
    for (qualname, record), values in groups.items():
        entries = tuple(sorted({f for obj in values for f in functions_of(program.state, obj)}))
        others = {(other.function, word) for other, word in bound.items() if other is not record} - {
            (record.function, bound.get(record, ""))
        }
        yield Started(unit, qualname, entries, frozenset(values), record, frozenset(others))


def _maker(graph: Graph, obj: int, unit: Unit, made: CallRecord) -> CallRecord:
    """Where the coroutine is made, if that is not where the unit is."""
    value = graph.program.value(obj)
    if not isinstance(value, Coroutine):
        return made
    found = [r for r in graph.program.calls_of(value.function) if r.site == value.site]
    return found[0] if found and found[0].function != made.function else made


def _makers(graph: Graph) -> dict[int, list[CallRecord]]:
    """Instance of a thread class → the calls of that class, which say more than the call of the library's constructor."""
    program = graph.program
    handles: dict[ClassId, list[tuple[int, Site | None]]] = {}
    for obj in program.handles:
        if isinstance(value := program.value(obj), Instance):
            handles.setdefault(value.cls, []).append((obj, value.site))
    found: dict[int, list[CallRecord]] = {}
    for record in program.state.calls if handles else ():
        if record.by is None:
            called = (v.cls for o in program.holds(record.callee) if isinstance(v := program.value(o), ClassValue) and v.cls in handles)
            for cls in called:
                for obj, site in handles[cls]:
                    if site is None or site == record.site:
                        found.setdefault(obj, []).append(record)
    return {obj: sorted(records, key=lambda r: (r.function, r.at.line, r.at.column)) for obj, records in found.items()}


def _name(graph: Graph, unit: Unit) -> str:
    """What it runs, by the name of the project's function or else of the library's."""
    program = graph.program
    cls = next((v.cls for o in sorted(unit.handle) if isinstance(v := program.value(o), Instance)), None)
    if cls is not None:
        return f"{program.state.names.cls(cls).qualname}.{program.node(unit.entries[0]).name if unit.entries else 'run'}"
    if unit.entries or unit.made is None:
        return unit.name
    actions = library_actions(graph, unit)
    if actions:
        subject = next((program.describe(o) for a in actions for o in sorted(a.subjects) if program.kind(o) is not None), None)
        return f"{subject}.{actions[0].method}" if subject is not None else actions[0].name
    given = unit.made.given.get(unit.made.operation.runs or "")
    return _written(given) or unit.name


def library_actions(graph: Graph, unit: Unit) -> list[Action]:
    """The operations of a library that the unit runs as they are: `create_task(queue.get())`, `Thread(target=server.serve_forever)`."""
    program = graph.program
    if unit.made is None:
        return []
    found: list[Action] = []
    for obj in sorted(unit.made.entries):
        match program.value(obj):
            case Pending(site=site):
                found += program.at(site)
            case LibraryMethod(subject=subject, type=name, name=method):
                wanted = f"{name}.{method}"
                found += [a for a in program.at(unit.made.record.site) if a.name == wanted and subject in a.subjects]
            case _:
                pass
    return found


def _written(expression: ir.Expr | None) -> str | None:
    match expression:
        case ir.Name(id=name):
            return name
        case ir.Attribute(base=base, name=name):
            inner = _written(base)
            return f"{inner}.{name}" if inner is not None else name
        case ir.Call(function=ir.Name(id="partial") | ir.Attribute(name="partial"), arguments=(first, *_)):
            return _written(first.value)
        case ir.Call(function=function):
            return _written(function)
        case _:
            return None


def bound_to(graph: Graph, record: CallRecord) -> str | None:
    """The last word of what the result of a call, or of a call around it, is bound to; None when it is not bound to a single name."""
    for stmt in walk(graph.program.node(record.function).body):
        match stmt:
            case ir.Bind(targets=(ir.Name(id=name) | ir.Attribute(name=name),)):
                inside = (part for expression in expressions(stmt) for part in subexpressions(expression))
                if any(isinstance(part, ir.Call) and part.site == record.site.number for part in inside):
                    return name
            case _:
                pass
    return None
