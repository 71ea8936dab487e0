"""What a call does to its arguments, for each kind of callee: threads from the arguments to parameters, effects and the result."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from leaklint import ir
from leaklint.catalog.grammar import Does, Gives, Makes, Operation, TypeModel
from leaklint.link.effects.kinds import ALL, AWAITS, BACK, ESCAPES, HELD, KEEPS, Mask, on_passed, on_run, on_subject
from leaklint.link.effects.methods import BUILTIN, TAKES
from leaklint.link.effects.web import NO_VALUE, Value
from leaklint.link.flow.binding import bind_formals
from leaklint.link.flow.calls import is_inert
from leaklint.link.flow.state import Actual, CallRecord
from leaklint.link.values import (
    ClassValue,
    Container,
    ContainerMethod,
    FunctionId,
    FunctionValue,
    Instance,
    Library,
    LibraryMethod,
    Method,
    Object,
    Site,
)

if TYPE_CHECKING:
    from leaklint.link.effects import Effects

WIDEST = 16
"""A dispatcher that may call more than this says nothing about what it does to an argument."""

RECEIVER = -1
"""The position of the object whose method is called."""


@dataclass(frozen=True, slots=True)
class Given:
    """An argument with its value. `items`: the values in a tuple or dict written out, which may be spread, and `names` the keys of a dict;
    `position`: its number in the call as written, -1 for the object whose method is called; `source`: the value before it became an
    argument; `is_parameter`: it is the bare name of a parameter."""

    value: Value
    keyword: str | None = None
    star: int = 0
    items: tuple[Value, ...] | None = None
    names: tuple[str, ...] | None = None
    position: int | None = None
    source: Value = NO_VALUE
    is_parameter: bool = False


class Calls:
    """Draws the threads of calls."""

    def __init__(self, effects: Effects) -> None:
        self.effects = effects
        self.program = effects.program
        self.state = effects.program.state
        self.web = effects.web

    def value(self, call: ir.Call, site: Site, receiver: Value, given: Sequence[Given], *, awaited: bool, passed_in: bool) -> Value:
        """What the call gives; what it does with its arguments is drawn. `passed_in`: what is called is a parameter."""
        return _Call(self, call, site, receiver, given, awaited, passed_in).run()


class _Call:
    def __init__(
        self, calls: Calls, call: ir.Call, site: Site, receiver: Value, given: Sequence[Given], awaited: bool, passed_in: bool
    ) -> None:
        self.effects, self.program, self.state, self.web = calls.effects, calls.program, calls.state, calls.web
        self.call, self.site, self.awaited, self.passed_in = call, site, awaited, passed_in
        self.records = calls.effects.records(site)
        self.result = self.web.result(site)
        self.given = [self._argument(one, position) for position, one in enumerate(given)]
        self.receiver = self._argument(Given(receiver), RECEIVER)
        self.kinds: set[bool] = set()
        """Whether the callees are async, for each."""

    def _argument(self, given: Given, position: int) -> Given:
        """The argument with a node of its own: what is done to it is done to what it gives, and what it returns is in the result."""
        items = given.items
        if items is not None:
            items = tuple(self._node(value, (position, index)) for index, value in enumerate(items))
        return replace(given, value=self._node(given.value, position), items=items, position=position, source=given.value)

    def _node(self, value: Value, position: int | tuple[int, int]) -> Value:
        if not value:
            return NO_VALUE
        node = self.web.argument(self.site, position)
        for one, mask in value:
            self.web.draw(one, node, mask & ~BACK)
            self.web.draw(one, self.result, mask, node)
        return ((node, ALL),)

    def run(self) -> Value:
        resolved = False
        seen: set[tuple[int, str]] = set()
        for record in self.records:
            key = (record.callee, record.by.name if record.by is not None else "")
            if key in seen:
                continue  # one that differs in the object alone
            seen.add(key)
            called = self._distinct(record.callee)
            given = list(self._actuals(record))
            resolved = resolved or bool(called)
            if len(called) > WIDEST or (not called and record.by is not None) or self._is_passed_in(record):
                self._use(given, ESCAPES)
                resolved = True
                continue
            for value in called:
                self._callee(record, value, given)
        if not resolved:
            self._unknown()
        if self.awaited and True not in self.kinds:
            self.web.mark(self.result, AWAITS)
        if self.awaited and self.kinds == {False}:
            return NO_VALUE
        return ((self.result, ALL),)

    def _is_passed_in(self, record: CallRecord) -> bool:
        """Whether what is called is a parameter: who calls the function decides what it does."""
        if record.by is None:
            return self.passed_in and record.node is self.call
        operation = record.by.operation
        formals, _ = bind_formals(operation, _numbered(self.given))
        position = next(iter(formals.get(operation.runs or "", ())), None)
        return position is not None and self.given[position].is_parameter

    def _actuals(self, record: CallRecord) -> Iterator[Given]:
        """The arguments of a record, found again among those written by their variables."""
        if record.by is None and record.node is self.call and len(record.actuals) == len(self.given):
            yield from self.given
            return
        written = {a.variable: g for first in self.records[:1] for a, g in zip(first.actuals, self.given, strict=False)}
        passes = record.by.operation.passes if record.by is not None else ()
        for position, actual in enumerate(record.actuals):
            found = written.get(actual.variable)
            if found is None and position < len(passes) and passes[position] == "self":
                found = self.receiver
            if found is None:
                yield Given(NO_VALUE, actual.keyword, actual.star)
            elif actual.star == 2 and found.items is not None and found.names is not None:
                for name, value in zip(found.names, found.items, strict=True):
                    yield Given(value, name, source=found.source, position=found.position)
            elif actual.star == 1 and found.items is not None and found.names is None:
                yield from (Given(value, source=found.source, position=found.position) for value in found.items)
            else:
                yield replace(found, keyword=actual.keyword, star=actual.star)

    # --- callees

    def _distinct(self, callee: int) -> list[Object]:
        """What is called, methods of one type and versions of one function once."""
        found: dict[object, Object] = {}
        for obj in sorted(self.program.holds(callee)):
            match self.program.value(obj):
                case LibraryMethod(type=type_name, name=name) as method:
                    found.setdefault((type_name, name), method)
                case ContainerMethod(name=name) as method:
                    found.setdefault(name, method)
                case Method(function=function) | FunctionValue(function=function) as value:
                    found.setdefault((type(value), function), value)
                case Instance(cls=cls) as value:
                    found.setdefault(cls, value)
                case value:
                    found.setdefault(value, value)
        return list(found.values())

    def _callee(self, record: CallRecord, called: Object, given: list[Given]) -> None:
        match called:
            case FunctionValue(function=function):
                self._function(record, function, given, None)
            case Method(function=function):
                self._function(record, function, given, self.receiver)
            case ClassValue(cls=cls):
                init = self.state.names.method(cls, "__init__")
                if init is not None:
                    self._bind(init, given, 1)
                elif (model := self.state.model_of(Instance(cls))) is not None:
                    self._operation(record, _constructor(model), given)
                self._hold(given)
                self.kinds.add(False)
            case Instance(cls=cls):
                method = self.state.names.method(cls, "__call__")
                if method is not None:
                    self._function(record, method, given, self.receiver)
            case Library(name=name):
                self._library(record, name, given)
            case LibraryMethod(type=type_name, name=name):
                model = self.state.models.types[type_name]
                operation = _constructor(model) if name == "__init__" else model.methods[name]
                if operation.subject is None and record.by is None:
                    self._use([self.receiver], on_subject(operation))
                self._operation(record, operation, given)
            case ContainerMethod(name=name) if name in TAKES:
                self._use(given, KEEPS)
            case Container():  # a class that `namedtuple` made
                self._hold(given)
                self.kinds.add(False)
            case _:
                pass

    def _function(self, record: CallRecord, function: FunctionId, given: list[Given], receiver: Given | None) -> None:
        node = self.program.node(function)
        if receiver is not None:
            self._bind(function, [receiver, *given], 0)
        else:
            self._bind(function, given, 0)
        if record.by is not None:
            return
        self.kinds.add(node.is_async and not node.is_generator)
        if node.is_generator or (node.is_async and not self.awaited):
            self._hold(given)
        if node.parent and self.effects.root(function) == self.effects.root(record.function):
            self.web.draw(self.web.returned(function), self.result, ALL)

    def _bind(self, function: FunctionId, given: Sequence[Given], offset: int) -> None:
        if not any(one.value for one in given):
            return
        for name, one in landing(self.program.node(function), given, offset):
            self.web.flow(one.value, self.web.variable(function, name))

    def _library(self, record: CallRecord, name: str, given: list[Given]) -> None:
        models = self.state.models
        operation = models.functions.get(name)
        head, _, tail = name.rpartition(".")
        if operation is not None:
            self._operation(record, operation, given)
            if operation.makes is Makes.CONTAINER:
                self._use(given, BACK)
        elif (model := models.types.get(name)) is not None:
            self._operation(record, _constructor(model), given)
        elif head in models.types and given and (tail in models.types[head].methods or tail == "__init__"):
            inner = models.types[head].methods[tail] if tail != "__init__" else _constructor(models.types[head])
            self._use(given[:1], on_subject(inner))
            self._operation(record, inner, given[1:])
        elif not is_inert(self.state, name):
            self._use(given, ESCAPES)

    def _operation(self, record: CallRecord, operation: Operation, given: Sequence[Given]) -> None:
        """A modelled operation: each argument by the part it plays."""
        formals, _ = bind_formals(operation, _numbered(given))
        passed = {name.lstrip("*") for name in operation.passes}
        named = {name.lstrip("*") for name in (*operation.params, *operation.keyword_only)}
        is_async = operation.is_async and record.by is None
        if record.by is None:
            self.kinds.add(is_async)
        for name, positions in formals.items():
            ones = [given[position] for position in positions]
            if name == operation.subject:
                self._use(ones, on_subject(operation))
                if operation.runs is not None and not operation.passes and operation.does in (Does.RUN, Does.VIEW):
                    self._hand(operation, formals, given, ones)
            if name == operation.subject and _gives_subject(operation):
                self._use(ones, BACK)
            if name == operation.runs and name != operation.subject:  # `iter` has its function and its iterable in one place
                self._use(ones, on_run(operation) | (BACK if operation.does in _STANDS_FOR else 0))
            if name in passed or (operation.does is Does.BIND and name != operation.runs):
                self._use(ones, on_passed(operation))
                self._hold(ones)
            if name == operation.value and operation.does in (Does.SEND, Does.STORE, Does.SIGNAL):
                self._use(ones, KEEPS)
            if operation.does in (Does.MAKE, Does.REGISTER) and name not in named:  # `create_datagram_endpoint(…, sock=sock)`
                self._use(ones, KEEPS)
            if is_async and not self.awaited:
                self._hold(ones)
        if operation.does is Does.BIND:
            self._hand(operation, formals, given, [g for i, g in enumerate(given) if i not in formals.get(operation.runs or "", ())])
        if operation.returns == Gives.SELF and record.by is None:
            self._use([self.receiver], BACK)

    def _hand(self, operation: Operation, formals: dict[str, list[int]], given: Sequence[Given], ones: Sequence[Given]) -> None:
        """What is run now or later gets these."""
        for position in formals.get(operation.runs or "", ()):
            written = given[position].position
            variables = [first.actuals[written].variable for first in self.records[:1] if written is not None and written >= 0]
            for variable in variables:
                for obj in sorted(self.program.holds(variable)):
                    match self.program.value(obj):
                        case FunctionValue(function=function):
                            self._bind(function, ones, 0)
                        case Method(function=function):
                            self._bind(function, ones, 1)
                        case _:
                            pass

    def _unknown(self) -> None:
        """Nobody knows what is called: a method may tell by its name what it does."""
        function = self.call.function
        if not isinstance(function, ir.Attribute):
            self._use(self.given, ESCAPES)
            return
        if isinstance(function.base, ir.Constant | ir.Template):
            return
        known = self.effects.methods.called(function.name, self.call.arguments, self.awaited)
        if known is not None:
            effects, operation = known
            self._use([self.receiver], effects)
            for record in self.records[:1]:
                self._operation(record, operation, self.given)
            self._use(_beyond(operation, self.given), ESCAPES)
        elif function.name not in BUILTIN or self.awaited:
            self._use([self.receiver, *self.given], ESCAPES)

    # --- what becomes of arguments

    def _use(self, given: Sequence[Given], effects: Mask) -> None:
        for one in given:
            self.web.use(one.value, effects)

    def _hold(self, given: Sequence[Given]) -> None:
        """The result holds them: a coroutine, a closure, an instance."""
        for one in given:
            for node, mask in one.source:
                self.web.draw(node, self.result, mask & HELD)


def _beyond(operation: Operation, given: Sequence[Given]) -> list[Given]:
    """The arguments that an operation has no parameter of its own for: what is only taken for it, by its name, may do anything to them."""
    formals, _ = bind_formals(operation, _numbered(given))
    named = {*operation.params, *operation.keyword_only}
    return [given[position] for name, positions in formals.items() if name not in named for position in positions]


def _numbered(given: Sequence[Given]) -> list[Actual]:
    """The arguments by their positions, for binding."""
    return [Actual(position, one.keyword, one.star) for position, one in enumerate(given)]


def landing(node: ir.Function, given: Sequence[Given], offset: int) -> Iterator[tuple[str, Given]]:
    """Each argument that has a value with the parameters in which it may land; `offset` positional parameters are bound already."""
    positional = [p.name for p in node.parameters if p.kind in ("positional", "any")]
    by_name = [p.name for p in node.parameters if p.kind in ("any", "keyword")]
    rest = [p.name for p in node.parameters if p.kind == "vararg"]
    named_rest = [p.name for p in node.parameters if p.kind == "kwarg"]
    in_order = sum(one.keyword is None and not one.star for one in given)
    taken = {*positional[: offset + in_order], *(one.keyword for one in given)}
    if node.owner is not None:
        taken.update(positional[:1])  # nobody gives `self` in a dict
    position = offset
    for one in given:
        if not one.value:
            position += one.keyword is None and not one.star
        elif one.star == 1:
            for name in (*positional[position:], *rest):
                yield name, one
        elif one.star == 2:
            for name in (*(n for n in by_name if n not in taken), *named_rest):
                yield name, one
        elif one.keyword is not None:
            for name in [one.keyword] if one.keyword in by_name else named_rest:
                yield name, one
        else:
            for name in positional[position : position + 1] or rest:
                yield name, one
            position += 1


def _constructor(model: TypeModel) -> Operation:
    return Operation(
        Does.MAKE, params=model.init, keyword_only=model.keyword_only, runs=model.runs, passes=model.passes, kind=model.unit,
        subject=model.wraps, returns=Gives.SUBJECT if model.wraps is not None else None,
    )  # fmt: skip


_STANDS_FOR = frozenset({Does.SPAWN, Does.SUBMIT, Does.ARM, Does.BIND, Does.MAKE})
"""Operations whose result stands for what they run: to cancel the task is to cancel its coroutine."""

_PASSED_ON = frozenset({Gives.SUBJECT, Gives.ELEMENT, Gives.NUMBERED, Gives.ZIPPED})


def _gives_subject(operation: Operation) -> bool:
    returns = operation.returns
    return any(one in _PASSED_ON for one in ((returns,) if isinstance(returns, str) else returns or ()))
