"""Callbacks of objects that come and go, registered with somebody who lives on and never taken back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from leaklint import ir
from leaklint.catalog.grammar import Does, UnitKind
from leaklint.finding import Confidence, Leak
from leaklint.graph import Graph
from leaklint.link.flow.state import CallRecord
from leaklint.link.syntax import expressions, subexpressions, walk
from leaklint.link.values import ClassId, FunctionId
from leaklint.obligations.tables import MAKERS, Act, Table, Use
from leaklint.queries.wording import grows


@dataclass(frozen=True, slots=True, eq=False)
class Registration:
    """A callback of an object is given away in a method of `cls`: another method, or a function written in one. `call` is None where
    a decorator does it; `to`: what it is given to, as people know it."""

    function: FunctionId
    at: ir.Span
    call: ir.Call | None
    cls: ClassId
    callback: FunctionId
    to: str


def unheard(graph: Graph, tables: tuple[Table, ...]) -> Iterator[Leak]:
    """Listeners and hooks that outlive the object they belong to."""
    yield from _hooks(graph)
    calls = _Calls(graph)
    for table in tables:
        for use in table.of(Act.PUT):
            parameter = _parameter_put(graph, use)
            if parameter is None:
                continue
            removers = _removers(graph, table)
            told: set[tuple[int, int, int]] = set()
            for registration in _registrations(graph, calls, table, use, parameter):
                key = (registration.function.module, registration.at.line, registration.at.column)
                if key in told:
                    continue
                told.add(key)
                variant = _fault(graph, table, use, registration, removers)
                if variant is not None:
                    yield _leak(graph, registration, variant)


# --- who keeps callbacks


def _parameter_put(graph: Graph, use: Use) -> str | None:
    """The parameter that a function puts into a table as it is, or in a tuple."""
    node = graph.program.node(use.function)
    names = {p.name for p in node.parameters} - {"self", "cls"}
    match use.value:
        case ir.Name(id=name) if name in names and not use.is_handed:
            return name
        case ir.Display(items=items):
            return next((item.id for item in items if isinstance(item, ir.Name) and item.id in names), None)
        case _:
            return None


def _removers(graph: Graph, table: Table) -> frozenset[tuple[int, int]]:
    return frozenset(use.function.source for use in table.of(Act.TAKE, Act.DRAIN) if graph.program.node(use.function).name not in MAKERS)


class _Calls:
    """Calls of methods on objects that nobody knows, by the name of the method, where only one class of the program has such a method."""

    def __init__(self, graph: Graph) -> None:
        program = graph.program
        counts = Counter(f.name for module in program.modules for f in module.summary.functions if f.owner is not None)
        self.by_name: dict[str, list[CallRecord]] = {}
        for record in program.state.calls:
            match record.node:
                case ir.Call(function=ir.Attribute(name=name)) if counts[name] == 1 and record.by is None:
                    if not program.state.callees.get(record.site) and not program.at(record.site) and not program.called(record.site):
                        self.by_name.setdefault(name, []).append(record)
                case _:
                    pass

    def of(self, graph: Graph, function: FunctionId) -> list[CallRecord]:
        """The calls that run a function, or may."""
        known = [r for version in graph.program.versions(function) for r in graph.program.calls_of(version)]
        node = graph.program.node(function)
        return known + (self.by_name.get(node.name, []) if node.owner is not None else [])


def _registrations(graph: Graph, calls: _Calls, table: Table, use: Use, parameter: str) -> Iterator[Registration]:
    """The calls, in methods of other classes, by which something of their object is put into the table."""
    program = graph.program
    for record in calls.of(graph, use.function):
        cls = program.class_of(record.function)
        given = _given_for(graph, use.function, record, parameter)
        if cls is None or given is None or _is_one_class(graph, cls, table):
            continue
        callback = _own_callback(graph, record.function, cls, given)
        if callback is not None:
            yield Registration(record.function, record.at, record.node, cls, callback, table.label)
    for function, node in _decorated(graph, use.function):
        cls = program.class_of(function)
        if cls is not None and _sees_self(program.modules[function.module].summary, function.index):
            outer = function.inner(node.parent or 0)
            yield Registration(outer, node.at, None, cls, function, table.label)


def _decorated(graph: Graph, decorator: FunctionId) -> Iterator[tuple[FunctionId, ir.Function]]:
    """The functions inside others that are given to a function by writing it above them."""
    program = graph.program
    for module, found in enumerate(program.modules):
        for index, node in enumerate(found.summary.functions):
            if node.parent and any(program.state.names.resolve(module, one) == decorator for one in node.decorators):
                yield FunctionId(module, index), node


def _is_one_class(graph: Graph, cls: ClassId, table: Table) -> bool:
    names = graph.program.state.names
    return isinstance(table.home, ClassId) and (table.home in names.lineage(cls)[0] or cls in names.lineage(table.home)[0])


def _given_for(graph: Graph, callee: FunctionId, record: CallRecord, parameter: str) -> ir.Expr | None:
    if record.node is None:
        return None
    names = [p.name for p in graph.program.node(callee).parameters if p.name not in ("self", "cls")]
    for position, argument in enumerate(record.node.arguments):
        if argument.star:
            return None
        if argument.keyword == parameter or (argument.keyword is None and position < len(names) and names[position] == parameter):
            return argument.value
    return None


def _own_callback(graph: Graph, function: FunctionId, cls: ClassId, given: ir.Expr) -> FunctionId | None:
    """The method of `self`, or the function written here that sees `self`, which an expression stands for."""
    program = graph.program
    summary = program.modules[function.module].summary
    match given:
        case ir.Attribute(base=ir.Name(id="self"), name=name):
            return program.state.names.method(cls, name)
        case ir.Lambda(function=index):
            return function.inner(index) if _sees_self(summary, index) else None
        case ir.Name(id=name):
            for index, one in enumerate(summary.functions):
                if one.parent == function.index and one.name == name and one.kind == "def" and _sees_self(summary, index):
                    return function.inner(index)
            return None
        case _:
            return None


def _sees_self(summary: ir.Summary, index: int) -> bool:
    node = summary.functions[index]
    if any(p.name == "self" for p in node.parameters):
        return False
    inner = [i for i, one in enumerate(summary.functions) if one.parent == index]
    parts = (p for stmt in walk(node.body) for e in expressions(stmt) for p in subexpressions(e))
    return any(isinstance(p, ir.Name) and p.id == "self" for p in parts) or any(_sees_self(summary, i) for i in inner)


# --- what is wrong


def _fault(graph: Graph, table: Table, use: Use, one: Registration, removers: frozenset[tuple[int, int]]) -> str | None:
    if _is_guarded(graph, one) or not _comes_and_goes(graph, one.function):
        return None
    if not removers and not table.of(Act.LEND):
        return "hook" if table.home_is_module and not _replaces(use) else None
    lives_on = bool(removers) and isinstance(table.home, ClassId) and not _made_by(graph, one)
    return "listener" if lives_on and _is_switched_off(graph, one) and not _is_taken_back(graph, one, removers) else None


def _replaces(use: Use) -> bool:
    """Whether it is put in under a name, where the next one of that name takes its place."""
    return use.entry is not None and use.entry != use.value


def _is_guarded(graph: Graph, one: Registration) -> bool:
    """Whether a flag that outlives the object says whether it has been done already, or one of an object that is made only once and set
    up again by each call of its class."""
    names, module = graph.program.state.names, one.function.module
    if _leaves_when_done(graph.program.node(one.function), one.at):
        return True
    place = graph.program.place(one.function, one.call.site) if one.call is not None else None
    for around in place.around if place is not None else ():
        test = around.stmt.test if isinstance(around.stmt, ir.Branch) else None
        for part in subexpressions(test) if test is not None else ():
            match part:
                case ir.Attribute(base=ir.Name(id=name)) if name == "cls" or isinstance(names.resolve_name(module, name), ClassId):
                    return True
                case ir.Name(id=name) if names.resolve_global(module, name) and names.resolve_name(module, name) is None:
                    return True
                case _:
                    pass
    return False


def _leaves_when_done(function: ir.Function, at: ir.Span) -> bool:
    """Whether a constructor returns before the place when its object has something already that a new one does not have."""
    bound: set[ir.Expr] = set()
    for stmt in function.body if function.name == "__init__" else ():
        match stmt:
            case ir.Bind(targets=targets):
                bound |= {one for one in targets if isinstance(one, ir.Attribute)}
            case ir.Branch(test=test, body=(*_, ir.Return()), at=where) if where.line < at.line:
                parts = list(subexpressions(test))
                whole = [one for one in parts if isinstance(one, ir.Call) and any(a.value == ir.Name("self") for a in one.arguments)]
                if whole or any(isinstance(one, ir.Attribute) and one.base == ir.Name("self") and one not in bound for one in parts):
                    return True
            case _:
                pass
    return False


def _comes_and_goes(graph: Graph, function: FunctionId) -> bool:
    """Whether more than one object of the class may be made over the life of the process, and registers itself."""
    program = graph.program
    versions = [v for v in program.versions(function) if v in program.live]
    return bool(versions) and not any(graph.runs_once(v) for v in versions) and not _is_called_at_one_place(graph, versions)


def _is_called_at_one_place(graph: Graph, versions: list[FunctionId]) -> bool:
    """Whether a constructor runs once when what its class's own `__new__` calls is left out: that makes the object of the same call."""
    program = graph.program
    callers = {caller for one in versions for caller in program.callers.get(one, frozenset())}
    others = [caller for caller in callers if program.node(caller).name != "__new__"]
    if len(others) != 1 or len(others) == len(callers) or any(one in program.openness.callable for one in versions):
        return False
    (caller,) = others
    numbers = {number for one in versions for number in graph.calls_to(caller, one)}
    places = [program.place(caller, number) for number in numbers]
    return graph.runs_once(caller) and len(places) == 1 and all(p is not None and not p.loops and not p.in_comprehension for p in places)


def _made_by(graph: Graph, one: Registration) -> bool:
    """Whether the object has made the one that it registers with, or may have: both go together."""
    program = graph.program
    match one.call:
        case ir.Call(function=ir.Attribute(base=base)):
            makers = [program.state.made_by.get(obj) for obj in program.denoted(one.function, base)]
            if any(record is not None and program.class_of(record.function) == one.cls for record in makers):
                return True
            return not _is_parameter(graph, one.function, base)
        case _:
            return True


def _is_parameter(graph: Graph, function: FunctionId, base: ir.Expr) -> bool:
    """Whether an object comes from outside: a parameter, or an attribute that the constructor binds to one."""
    program = graph.program
    match base:
        case ir.Name(id=name):
            return any(p.name == name for p in program.node(function).parameters)
        case ir.Attribute(base=ir.Name(id="self"), name=name) if (cls := program.class_of(function)) is not None:
            init = program.state.names.method(cls, "__init__")
            node = program.node(init) if init is not None else None
            for stmt in walk(node.body) if node is not None else ():
                match stmt:
                    case ir.Bind(targets=targets, value=ir.Name(id=given)) if node is not None and base in targets:
                        return any(p.name == given for p in node.parameters)
                    case _:
                        pass
            return False
        case _:
            return False


def _is_switched_off(graph: Graph, one: Registration) -> bool:
    """Whether the object comes to an end of its own: its callback looks at a flag that another method sets for good."""
    program = graph.program
    looked = _flags_read(program.node(one.callback))
    methods = [m for cls in program.state.names.lineage(one.cls)[0] for m in program.state.names.members(cls).values() if m is not None]
    raised: dict[str, set[str]] = {}
    for method in methods:
        for stmt in walk(program.node(method).body):
            match stmt:
                case ir.Bind(targets=(ir.Attribute(base=ir.Name(id="self"), name=name),), value=ir.Constant(kind="bool", text=text)):
                    if program.node(method).name not in MAKERS:
                        raised.setdefault(name, set()).add(text)
                case _:
                    pass
    return any(len(raised.get(name, ())) == 1 for name in looked)


def _flags_read(function: ir.Function) -> set[str]:
    found: set[str] = set()
    for stmt in walk(function.body):
        if isinstance(stmt, ir.Branch):
            for part in subexpressions(stmt.test):
                if isinstance(part, ir.Attribute) and part.base == ir.Name("self"):
                    found.add(part.name)
    return found


def _is_taken_back(graph: Graph, one: Registration, removers: frozenset[tuple[int, int]]) -> bool:
    """Whether somewhere in the class a function that takes something out is called, or the result of the registration is kept."""
    program = graph.program
    place = program.place(one.function, one.call.site) if one.call is not None else None
    if place is None or not isinstance(place.stmt, ir.Evaluate) or place.stmt.value is not one.call:
        return True
    names = {program.modules[m].summary.functions[i].name for m, i in removers}
    for index, node in enumerate(program.modules[one.cls.module].summary.functions):
        if index == 0 or program.class_of(one.function.inner(index)) not in program.state.names.lineage(one.cls)[0]:
            continue
        for part in (p for stmt in walk(node.body) for e in expressions(stmt) for p in subexpressions(e)):
            if isinstance(part, ir.Attribute) and part.name in names and part.base != ir.Name("self"):
                return True
    return False


# --- hooks of the process


def _hooks(graph: Graph) -> Iterator[Leak]:
    """What a library keeps for the rest of the process, with no way to take it back."""
    program = graph.program
    told: set[tuple[int, int]] = set()
    for action in program.actions:
        operation, record = action.call.operation, action.call.record
        if (
            action.does is not Does.REGISTER
            or operation.kind is not UnitKind.HANDLER
            or not operation.keeps
            or operation.undone
            or record.by is not None
        ):
            continue
        cls = program.class_of(record.function)
        key = (record.function.module, record.site.number)
        given = action.call.given.get(operation.runs) if operation.runs is not None else None
        if cls is None or given is None or key in told:
            continue
        callback = _own_callback(graph, record.function, cls, given)
        if callback is None or not _comes_and_goes(graph, record.function):
            continue
        one = Registration(record.function, record.at, record.node, cls, callback, action.name)
        if _is_guarded(graph, one):
            continue
        told.add(key)
        yield _leak(graph, one, "hook")


def _leak(graph: Graph, one: Registration, variant: str) -> Leak:
    program, function = graph.program, one.function
    qualname, owner = graph.qualname(function), program.state.names.cls(one.cls).name
    what = "there is no way to take it back" if variant == "hook" else f"no method of `{owner}` takes it back"
    trace = (
        graph.step(function, one.at, f"`{one.to}` keeps what belongs to one `{owner}`"),
        graph.step(one.callback, program.node(one.callback).at, f"{what}: it keeps each `{owner}` alive, for as long as `{one.to}` lasts"),
    )
    often = graph.recurrences.of(function)
    facts = {"object": owner, "table": one.to, "function": qualname, "growth": grows(graph, often, "callback", function)}
    return Leak(program.path(function.module), one.at, qualname, facts, Confidence.LIKELY, often.growth, trace, variant)
