"""Calls of forwarders, replaced by the operations that these do for their callers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from msgspec import Struct, structs

from leaklint import ir
from leaklint.link.names import Names
from leaklint.link.syntax import bound_names, expressions, outermost, root_of, subexpressions, walk
from leaklint.link.values import ClassId, FunctionId


class Operation(NamedTuple):
    """What a call of a forwarder stands for: `by` the forwarder's name, and where it does it. `waits`: who calls it may have to wait for
    others there."""

    by: str
    path: str
    at: ir.Span
    waits: bool = False


Through = dict[tuple[str, ir.Span], Operation]
"""Path and span of a call of a forwarder → the operation that is done instead."""


@dataclass(frozen=True, slots=True)
class Forwarder:
    """`call` is all that the function does. `waits`: it is awaited, by a coroutine function; `gives`: its result is returned."""

    function: ir.Function
    path: str
    call: ir.Call
    waits: bool
    gives: bool


def inlined(names: Names, number: int, forwarders: Mapping[FunctionId, Forwarder], through: Through) -> ir.Module:
    """A module with the operations in the place of the calls, noted in `through`; itself where there are none."""
    module = names.modules[number]
    words = {forwarder.function.name for forwarder in forwarders.values()}
    functions = tuple(
        _Inlining(names, number, index, forwarders, through).function() if _calls_one_of(function, words) else function
        for index, function in enumerate(module.summary.functions)
    )
    if all(one is function for one, function in zip(functions, module.summary.functions, strict=True)):
        return module
    return structs.replace(module, summary=structs.replace(module.summary, functions=functions))


def _calls_one_of(function: ir.Function, words: set[str]) -> bool:
    for stmt in walk(function.body):
        for part in (part for expression in expressions(stmt) for part in subexpressions(expression)):
            match part:
                case ir.Call(function=ir.Name(id=word) | ir.Attribute(name=word)) if word in words:
                    return True
                case _:
                    pass
    return False


class _Inlining:
    """One function."""

    def __init__(self, names: Names, module: int, index: int, forwarders: Mapping[FunctionId, Forwarder], through: Through) -> None:
        self.names, self.module, self.index, self.forwarders, self.through = names, module, index, forwarders, through
        self.path, self.summary = names.modules[module].path, names.modules[module].summary
        self.bound = list(self._bound())
        self.own = self._own()

    def function(self) -> ir.Function:
        function = self.summary.functions[self.index]
        body = self._changed(function.body)
        return function if body is function.body else structs.replace(function, body=body)

    def _bound(self) -> Iterator[str]:
        """The names that the function, and those around it, bind themselves; one that several bind, several times."""
        index: int | None = self.index
        while index:
            function = self.summary.functions[index]
            yield from (parameter.name for parameter in function.parameters)
            yield from set(bound_names(function.body, self.summary))
            index = function.parent

    def _own(self) -> tuple[str, ClassId] | None:
        """The name for the object whose method the function is or stands in, and its class."""
        method = self.summary.functions[outermost(self.summary.functions, self.index)]
        if method.owner is None or not method.parameters or any(d in _NO_METHODS for d in method.decorators):
            return None
        name = method.parameters[0].name
        return (name, ClassId(self.module, method.owner)) if self.bound.count(name) == 1 else None

    def _changed(self, node: Any) -> Any:
        """A node of a body, or anything in one, with the calls replaced; itself where there are none."""
        if isinstance(node, tuple):
            items = tuple(self._changed(item) for item in node)
            return node if all(one is item for one, item in zip(items, node, strict=True)) else items
        if not isinstance(node, Struct) or isinstance(node, ir.Span):
            return node
        inner = {name: new for name in node.__struct_fields__ if (new := self._changed(old := getattr(node, name))) is not old}
        changed = structs.replace(node, **inner) if inner else node
        match changed:
            case ir.Evaluate(value=value) if (operation := self._operation(value, is_asked=False)) is not None:
                return structs.replace(changed, value=operation)
            case ir.Await() | ir.Call() if (operation := self._operation(changed, is_asked=True)) is not None:
                return operation
            case _:
                return changed

    def _operation(self, value: ir.Expr, is_asked: bool) -> ir.Expr | None:
        """What a call, or the wait for one, stands for. `is_asked`: its result is used."""
        call = value.value if isinstance(value, ir.Await) else value
        forwarder = self._called(call) if isinstance(call, ir.Call) else None
        if forwarder is None or not isinstance(call, ir.Call) or (is_asked and not forwarder.gives):
            return None
        if forwarder.function.is_async and not isinstance(value, ir.Await):
            return None  # a coroutine that somebody else runs
        given = _given(forwarder, call)
        if given is None:
            return None
        place = self.through.get((forwarder.path, forwarder.call.at), Operation("", forwarder.path, forwarder.call.at))
        self.through[self.path, call.at] = place._replace(by=forwarder.function.name)
        operation = structs.replace(_filled(forwarder.call, given), at=call.at, site=call.site)
        is_waited = isinstance(value, ir.Await) and (forwarder.waits or not forwarder.function.is_async)
        return structs.replace(value, value=operation) if is_waited and isinstance(value, ir.Await) else operation

    def _called(self, call: ir.Call) -> Forwarder | None:
        match call.function:
            case ir.Attribute(base=ir.Name(id=base), name=name) if self.own is not None and base == self.own[0]:
                cls = self.own[1]
                found = self.names.method(cls, name)
                is_sure = all(name not in self.names.members(one) for one in self.names.below(cls))
                return self.forwarders.get(found) if found is not None and is_sure else None
            case ir.Name() | ir.Attribute() if root_of(call.function) not in self.bound:
                target = self.names.resolve(self.module, call.function)
                return self.forwarders.get(target) if isinstance(target, FunctionId) else None
            case _:
                return None


_NO_METHODS = (ir.Name("staticmethod"), ir.Name("classmethod"))


# --- what is given


def _given(forwarder: Forwarder, call: ir.Call) -> dict[str, ir.Expr] | None:
    """Parameter → what the call gives for it; None where it cannot be written in the place of the parameter."""
    if any(argument.star for argument in call.arguments):
        return None
    function = forwarder.function
    by_place = [p.name for p in function.parameters if p.kind != "keyword"]
    plain = [argument.value for argument in call.arguments if argument.keyword is None]
    if function.owner is not None and isinstance(call.function, ir.Attribute):
        plain = [call.function.base, *plain]
    if len(plain) > len(by_place):
        return None
    given = dict(zip(by_place, plain, strict=False))
    given |= {argument.keyword: argument.value for argument in call.arguments if argument.keyword is not None}
    for parameter in function.parameters:
        if parameter.name not in given and isinstance(parameter.default, ir.Constant):
            given[parameter.name] = parameter.default
    if given.keys() != {p.name for p in function.parameters}:
        return None
    return given if _keeps_order(forwarder.call, given) else None


def _keeps_order(operation: ir.Call, given: Mapping[str, ir.Expr]) -> bool:
    """Whether what does something when it is evaluated is evaluated once, and in the same order."""
    used = [part.id for part in subexpressions(operation) if isinstance(part, ir.Name)]
    telling = [name for name, value in given.items() if not isinstance(value, ir.Constant) and root_of(value) is None]
    return [name for name in used if name in telling] == telling


def _filled(operation: ir.Call, given: Mapping[str, ir.Expr]) -> ir.Call:
    arguments = tuple(structs.replace(a, value=_filled_in(a.value, given)) for a in operation.arguments)
    return structs.replace(operation, function=_filled_in(operation.function, given), arguments=arguments)


def _filled_in(expression: ir.Expr, given: Mapping[str, ir.Expr]) -> ir.Expr:
    match expression:
        case ir.Name(id=name):
            return given[name]
        case ir.Attribute(base=base):
            return structs.replace(expression, base=_filled_in(base, given))
        case _:
            return expression
