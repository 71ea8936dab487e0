"""What runs as part of a node, in the order of evaluation, and what its parameters are called there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TypeAlias

from leaklint import ir
from leaklint.catalog.grammar import Does
from leaklint.graph import Graph
from leaklint.link import implicit
from leaklint.link.actions import Action
from leaklint.link.flow.state import CallRecord
from leaklint.link.syntax import parts
from leaklint.link.values import ClassValue, Coroutine, FunctionId, FunctionValue, Instance, Library, LibraryMethod, Method, Resource, Site
from leaklint.locks.parts import Parts, named
from leaklint.locks.terms import Term, Terms
from leaklint.paths import Node

Values: TypeAlias = dict[str, ir.Constant | frozenset[tuple[int, int]]]


class How(Enum):
    """How a function comes to run at a place."""

    CALLED = auto()
    ENTERED = auto()  # by a `with`: `__enter__`, or a generator up to its `yield`
    LEFT = auto()  # the exit of that `with`
    READ = auto()  # a property
    ASKED = auto()  # by an operator, a test, an f-string, a built-in function
    GIVEN = auto()  # called by the library function that gets it


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """A function of the program that runs at a node. `given`: parameter → what the caller calls the argument, where it has a name, and
    `self.field` the same for fields of the object that a method runs on; `values`: parameter → the constant given for it, or the functions
    (by their source) that it gets. `through`: the parameter of the caller that is called. `is_guess`: one of several functions that may run
    there; `is_one_of`: on one of several objects. `at`: the place to show."""

    callee: FunctionId
    how: How
    at: ir.Span
    given: dict[str, Term]
    values: Values
    through: str | None = None
    is_guess: bool = False
    is_one_of: bool = False


_HERE = frozenset({Does.RUN, Does.BOUND, Does.SHIELD, Does.ENTER, Does.OBSERVE, Does.COPY})
"""Operations that run what they are given here and now."""


@dataclass(slots=True, eq=False)
class Calls:
    """The calls of one program."""

    graph: Graph
    terms: Terms
    parts: Parts = field(init=False)
    _found: dict[FunctionId, dict[int, tuple[Call, ...]]] = field(default_factory=dict)
    _records: dict[Site, CallRecord] = field(default_factory=dict)
    _read: dict[FunctionId, dict[str, list[FunctionId]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        program = self.graph.program
        self.parts = Parts(self.graph, self.terms)
        for record in program.state.calls:
            if record.by is None:
                self._records.setdefault(record.site, record)
        for caller, callee in sorted(program.state.accessed):
            self._read.setdefault(caller, {}).setdefault(program.node(callee).name, []).append(callee)

    def at(self, function: FunctionId, node: Node) -> tuple[Call, ...]:
        """The calls of a node, those of arguments before that of the function that gets them."""
        known = self._found.setdefault(function, {})
        if id(node) not in known:
            known[id(node)] = tuple(self._calls(function, node))
        return known[id(node)]

    def _calls(self, function: FunctionId, node: Node) -> Iterator[Call]:
        blocks = node.stmt.items if isinstance(node.stmt, ir.With) and node.kind in ("enter", "exit") else ()
        targets = {id(target) for target in implicit.targets(node.stmt)}
        for expression, is_awaited in _in_order(node.parts):
            match expression:
                case ir.Call(site=number):
                    yield from self._called(function, expression, function.site(number), is_awaited)
                    yield from self._asked(function, node, self._arguments_asked(function, expression))
                case ir.Attribute(base=base, name=name):
                    for callee in self._read.get(function, {}).get(name, ()):
                        yield Call(callee, How.READ, _span(node), self._as_self(callee, self.terms.of(function, base)), {})
                case ir.Await(value=value, at=at) if not isinstance(value, ir.Call):
                    yield from self._awaited(function, value, at)
                case _ if id(expression) not in targets:
                    yield from self._asked(function, node, implicit.asked(expression))
                case _:
                    pass
        if node.stmt is not None and node.kind in ("stmt", "test"):
            yield from self._asked(function, node, implicit.asked_by(node.stmt))
        for item in blocks:
            yield from self.of_item(function, item, node.kind)

    def _asked(self, function: FunctionId, node: Node, asked: Iterable[implicit.Asked]) -> Iterator[Call]:
        """The methods that run without being called, of what has a name."""
        program, read = self.graph.program, self._read.get(function)
        for operand, names in asked if read else ():
            candidates = {callee for name in names for callee in (read or {}).get(name, ())}
            if not candidates:
                continue
            values = [program.value(obj) for obj in program.denoted(function, operand)]
            own = {self._first_of(value, names) for value in values if isinstance(value, Instance)}
            callees = sorted(callee for callee in candidates if callee.source in own)
            for callee in callees:
                given = self._as_self(callee, self.terms.of(function, operand))
                yield Call(callee, How.ASKED, _span(node), given, {}, is_guess=len({c.source for c in callees}) > 1 or len(own) > 1)

    def _first_of(self, value: Instance, names: tuple[str, ...]) -> tuple[int, int] | None:
        """The source of the first of these methods that an instance has."""
        found = (self.graph.program.state.names.method(value.cls, name) for name in names)
        return next((method.source for method in found if method is not None), None)

    def _arguments_asked(self, function: FunctionId, call: ir.Call) -> Iterator[implicit.Asked]:
        program = self.graph.program
        names = program.state.unknown_calls.get(function.site(call.site), ())
        methods = [program.models.asks[name] for name in sorted(names) if name in program.models.asks]
        return ((argument.value, one) for one in methods for argument in call.arguments)

    def of_item(self, function: FunctionId, item: ir.WithItem, kind: str) -> Iterator[Call]:
        """What runs where a `with` item is entered or left."""
        program = self.graph.program
        how = How.ENTERED if kind == "enter" else How.LEFT
        for callee in sorted(program.state.callees.get(function.site(item.site), ())):
            node = program.node(callee)
            if node.is_generator:
                yield from self._of_generator(function, item, callee, how)
            elif node.name.endswith("exit__") == (how is How.LEFT) and node.name.startswith("__"):
                yield Call(callee, how, item.at, self._as_self(callee, self.terms.of(function, item.context)), {})

    def _of_generator(self, function: FunctionId, item: ir.WithItem, callee: FunctionId, how: How) -> Iterator[Call]:
        made = item.context
        if isinstance(made, ir.Call) and callee in self.graph.program.state.callees.get(function.site(made.site), ()):
            given, values = self._arguments(function, made, callee)
            yield Call(callee, how, item.at, given, values)
        else:
            yield Call(callee, how, item.at, {}, {})

    # --- calls

    def _called(self, function: FunctionId, call: ir.Call, site: Site, is_awaited: bool) -> Iterator[Call]:
        program = self.graph.program
        callees = sorted(program.state.callees.get(site, ()))
        versions = Counter(callee.source for callee in callees)
        for callee in callees:
            node = program.node(callee)
            if node.is_async and not node.is_generator and not is_awaited:
                continue
            if callee.source in program.blocks_written_as_generators:
                continue
            given, values = self._arguments(function, call, callee)
            through = self._parameter(function, call.function)
            is_guess = through is None and self._is_guess(site)
            yield Call(callee, How.CALLED, call.at, given, values, through, is_guess, is_one_of=versions[callee.source] > 1)
        for action in program.at(site):
            if action.call.record.by is None and not action.bounded:
                yield from self._by_library(function, call, action)

    def _is_guess(self, site: Site) -> bool:
        """Whether a call goes to one of several functions, whichever the object at hand has or was given, or perhaps to none of the
        program: what is called may be a weak reference to it."""
        program = self.graph.program
        callees = {c.source for c in program.state.callees.get(site, ()) if program.node(c).name != "__init__"}
        return len(callees) > 1 or any(isinstance(program.value(o), Resource | Library | LibraryMethod) for o in program.called(site))

    def _parameter(self, function: FunctionId, called: ir.Expr) -> str | None:
        """The parameter that is called, where it is always what the caller has given."""
        match called:
            case ir.Name(id=name) if any(p.name == name for p in self.graph.program.node(function).parameters):
                return name if self.terms.is_bound_once(function.source, name) else None
            case _:
                return None

    def _by_library(self, function: FunctionId, call: ir.Call, action: Action) -> Iterator[Call]:
        """What a library function calls here and now of what it is given."""
        if action.does not in _HERE and not (action.does is Does.WAIT and action.call.operation.runs is not None):
            return
        entries = self.graph.program.entries(action.call)
        for callee in entries:
            yield Call(callee, How.GIVEN, call.at, self.handed(function, call, callee), {}, is_guess=len(entries) > 1)

    def _awaited(self, function: FunctionId, value: ir.Expr, at: ir.Span) -> Iterator[Call]:
        """A coroutine that was made before."""
        program = self.graph.program
        made = [one for obj in sorted(program.denoted(function, value)) if isinstance(one := program.value(obj), Coroutine)]
        for coroutine in made:
            given, values = self._made(function, coroutine.site, coroutine.function)
            yield Call(coroutine.function, How.CALLED, at, given, values, is_guess=len(made) > 1)

    def _made(self, function: FunctionId, site: Site, callee: FunctionId) -> tuple[dict[str, Term], Values]:
        """The arguments of a call that made a coroutine, where it stands in the same function."""
        record = self._records.get(site)
        if record is None or record.node is None or record.function != function:
            return {}, {}
        return self._arguments(function, record.node, callee)

    # --- arguments

    def _arguments(self, function: FunctionId, call: ir.Call, callee: FunctionId) -> tuple[dict[str, Term], Values]:
        node = self.graph.program.node(callee)
        offset, receiver = self._receiver(function, call, callee)
        positional = [p.name for p in node.parameters if p.kind in ("positional", "any")]
        named = {p.name for p in node.parameters if p.kind in ("any", "keyword")}
        given = self._as_self(callee, receiver) | self._fields_of(function, call.function, callee)
        values: Values = {p.name: p.default for p in node.parameters if isinstance(p.default, ir.Constant)}
        record = self._records.get(function.site(call.site))
        actuals = record.actuals if record is not None and len(record.actuals) == len(call.arguments) else ()
        for position, argument in enumerate(call.arguments, offset):
            if argument.star:
                return given, {}
            name = argument.keyword if argument.keyword is not None else positional[position] if position < len(positional) else None
            if name is None or (argument.keyword is not None and name not in named):
                continue
            values.pop(name, None)
            if isinstance(argument.value, ir.Constant):
                values[name] = argument.value
                continue
            if (term := self.terms.of(function, argument.value)) is not None:
                given[name] = term
            if actuals and (functions := self._functions(actuals[position - offset].variable)):
                values[name] = functions
        return given, values

    def _fields_of(self, function: FunctionId, called: ir.Expr, callee: FunctionId) -> dict[str, Term]:
        """What the fields of the object of a method are called, where the caller has made it."""
        node = self.graph.program.node(callee)
        if not isinstance(called, ir.Attribute) or called.name != node.name or node.owner is None or not node.parameters:
            return {}
        return named(node.parameters[0].name, self.parts.of(function, called.base))

    def _functions(self, variable: int) -> frozenset[tuple[int, int]]:
        """The functions that an argument may be; none where it may be something else."""
        found = [self.graph.program.value(obj) for obj in self.graph.program.holds(variable)]
        functions = [value.function.source for value in found if isinstance(value, FunctionValue | Method)]
        return frozenset(functions) if len(functions) == len(found) else frozenset()

    def _receiver(self, function: FunctionId, call: ir.Call, callee: FunctionId) -> tuple[int, Term | None]:
        """How many parameters are bound before the arguments, and the term of the first of them."""
        program = self.graph.program
        for obj in sorted(program.called(function.site(call.site))):
            match program.value(obj):
                case FunctionValue(function=one) if one.source == callee.source:
                    return 0, None
                case Method(function=one, receiver=receiver) if one.source == callee.source:
                    return 1, self._base(function, call.function, callee, receiver)
                case ClassValue():
                    return 1, None
                case Instance() if program.node(callee).name == "__call__":
                    return 1, self.terms.of(function, call.function)
                case _:
                    pass
        return 0, None

    def _base(self, function: FunctionId, expression: ir.Expr, callee: FunctionId, receiver: int) -> Term | None:
        """What the object of a bound method is called where the method is named: `self._pool` in `self._pool.close`."""
        program = self.graph.program
        match expression:
            case ir.Attribute(base=base, name=name) if name == program.node(callee).name:
                objects = program.denoted(function, base)
                return self.terms.of(function, base) if not objects or receiver in objects else None
            case _:
                return None

    def handed(self, function: FunctionId, call: ir.Call, callee: FunctionId) -> dict[str, Term]:
        """The object of a bound method that is given away, and the arguments of a call that is: `submit(self._flush)`,
        `create_task(self._run(x))`."""
        program = self.graph.program
        for argument in call.arguments:
            for value, _ in _in_order((argument.value,)):
                match value:
                    case ir.Call(site=site) if callee in program.state.callees.get(function.site(site), ()):
                        return self._arguments(function, value, callee)[0]
                    case ir.Attribute(base=base, name=name) if name == program.node(callee).name:
                        return self._as_self(callee, self.terms.of(function, base))
                    case _:
                        pass
        return {}

    def _as_self(self, callee: FunctionId, term: Term | None) -> dict[str, Term]:
        parameters = self.graph.program.node(callee).parameters
        return {parameters[0].name: term} if term is not None and parameters else {}


def _in_order(expressions: tuple[ir.Expr, ...], is_awaited: bool = False) -> Iterator[tuple[ir.Expr, bool]]:
    """All subexpressions, each after those that it is made of, and whether an `await` has it as its operand."""
    for expression in expressions:
        inside = isinstance(expression, ir.Await) or (is_awaited and isinstance(expression, ir.Choice))
        yield from _in_order(parts(expression), inside)
        yield expression, is_awaited


def _span(node: Node) -> ir.Span:
    at: ir.Span = node.stmt.at  # type: ignore[union-attr]
    return at
