"""Functions that only do one operation on what they are given: a call of one is that operation, done by the caller.

`def give_back(lock): lock.release()` says nothing that its callers do not: with `give_back(self._lock)` read as `self._lock.release()`,
whoever asks what the caller does on its way need not look behind a call, and two callers with two locks stay two. So for a method that
only its own class calls: `self._send(item)` is `self._queue.put(item)`. This is the inlining of compilers, for the shortest functions,
before objects flow. People are shown where the operation stands (`Through`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import structs

from leaklint import ir
from leaklint.catalog.grammar import Models
from leaklint.link.closed import closed_modules, is_hidden
from leaklint.link.inlining import Forwarder, Through, inlined
from leaklint.link.names import Names
from leaklint.link.syntax import expressions, subexpressions, walk
from leaklint.link.values import ClassId, FunctionId


def forwarded(modules: Sequence[ir.Module], models: Models) -> tuple[Names, Through]:
    """The names of the project in which every call of a forwarder is the operation that it stands for."""
    through: Through = {}
    names = Names(modules, models)
    known: dict[FunctionId, Forwarder] = {}
    while (forwarders := dict(_forwarders(names))).keys() - known.keys():  # what calls a forwarder may then be one
        known |= forwarders
        names = Names([inlined(names, number, known, through) for number in range(len(modules))], models)
    return (_without(names, _spent(names, known, {operation.by for operation in through.values()})) if through else names), through


# --- which functions


def _forwarders(names: Names) -> Iterator[tuple[FunctionId, Forwarder]]:
    for number, module in enumerate(names.modules):
        for index, function in enumerate(module.summary.functions):
            if len(function.body) == 1 and _is_plain(names, FunctionId(number, index), function):
                forwarder = _forwarder(function, module.path)
                if forwarder is not None:
                    yield FunctionId(number, index), forwarder


def _is_plain(names: Names, identity: FunctionId, function: ir.Function) -> bool:
    """Whether the name means this function and no other: one of a module, or a method that is its class's own affair. That no class below
    has another is asked for each call."""
    if function.kind != "def" or function.parent != 0 or function.decorators or function.is_generator or not function.parameters:
        return False
    if any(p.kind in ("vararg", "kwarg") for p in function.parameters):
        return False
    if function.owner is None:
        return names.is_defined_once(identity)
    cls = ClassId(identity.module, function.owner)
    return is_hidden(function.name) and names.members(cls).get(function.name) == identity


def _forwarder(function: ir.Function, path: str) -> Forwarder | None:
    """A function of one statement: a method of a parameter, or of a part of one, called with parameters and constants."""
    match function.body[0]:
        case ir.Return(value=ir.Await(value=ir.Call() as call)) | ir.Evaluate(value=ir.Await(value=ir.Call() as call)):
            waits = True
        case ir.Return(value=ir.Call() as call) | ir.Evaluate(value=ir.Call() as call):
            waits = False
        case _:
            return None
    own = [parameter.name for parameter in function.parameters]
    named = [part.id for part in subexpressions(call) if isinstance(part, ir.Name)]
    values = [argument.value for argument in call.arguments]
    is_operation = isinstance(call.function, ir.Attribute) and all(isinstance(v, ir.Name | ir.Constant | ir.Attribute) for v in values)
    if not is_operation or any(argument.star for argument in call.arguments) or not named or not set(named) <= set(own):
        return None
    return Forwarder(function, path, call, waits, gives=isinstance(function.body[0], ir.Return))


# --- what is left of them


def _spent(names: Names, forwarders: dict[FunctionId, Forwarder], used: set[str]) -> set[FunctionId]:
    """The forwarders that nobody can call any more: their names stand nowhere, and nobody out of sight knows them."""
    closed = closed_modules(names)
    candidates = {one for one in forwarders if (name := names.function(one).name) in used and (one.module in closed or is_hidden(name))}
    written = _written(names, {names.function(one).name for one in candidates})
    return {one for one in candidates if names.function(one).name not in written}


def _written(names: Names, words: set[str]) -> set[str]:
    """Those of the words that an expression of the project names."""
    found: set[str] = set()
    for module in names.modules:
        for body in (*(f.body for f in module.summary.functions), *(c.body for c in module.summary.classes)):
            for part in (part for stmt in walk(body) for expression in expressions(stmt) for part in subexpressions(expression)):
                match part:
                    case ir.Name(id=word) | ir.Attribute(name=word) if word in words:
                        found.add(word)
                    case _:
                        pass
    return found


def _without(names: Names, spent: set[FunctionId]) -> Names:
    """The project in which these functions do nothing."""
    modules = list(names.modules)
    for number in {one.module for one in spent}:
        summary = modules[number].summary
        functions = tuple(
            structs.replace(function, body=()) if FunctionId(number, index) in spent else function
            for index, function in enumerate(summary.functions)
        )
        modules[number] = structs.replace(modules[number], summary=structs.replace(summary, functions=functions))
    return Names(modules, names.models) if spent else names
