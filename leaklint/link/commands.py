"""Functions that libraries run from beginning to end by themselves: the commands of a program, the tests of a class."""

from __future__ import annotations

from fnmatch import fnmatchcase

from leaklint import ir
from leaklint.link.names import Names
from leaklint.link.values import ClassId, FunctionId, Library


def is_command(names: Names, function: FunctionId) -> bool:
    """Whether a decorator of the function comes from a command-line library: itself, by an object that the library makes (`app.command`),
    or by a function that is a command already (`main.command`)."""
    return _is_command(names, function, frozenset())


def is_run_by_its_class(names: Names, function: FunctionId) -> bool:
    """Whether a method is a coroutine for which a library class above its own makes a loop, and cancels what it leaves there."""
    node = names.function(function)
    if node.owner is None or not node.is_async or not names.models.mains:
        return False
    outside = names.lineage(ClassId(function.module, node.owner))[1]
    return any(fnmatchcase(node.name, pattern) for base in outside for pattern in names.models.mains.get(base, ()))


def _is_command(names: Names, function: FunctionId, seen: frozenset[FunctionId]) -> bool:
    if function in seen:
        return False
    decorators = names.function(function).decorators
    return any(_is_from_library(names, function.module, one, seen | {function}) for one in decorators)


def _is_from_library(names: Names, module: int, expression: ir.Expr, seen: frozenset[FunctionId]) -> bool:
    match expression:
        case ir.Call(function=made):
            return _is_from_library(names, module, made, seen)
        case ir.Attribute(base=base):
            return _is_from_library(names, module, base, seen)
        case ir.Name(id=name):
            match names.resolve_name(module, name):
                case Library(name=dotted):
                    return dotted.partition(".")[0] in names.models.commands
                case FunctionId() as other:
                    return _is_command(names, other, seen)
                case _:
                    value = names.assigned(module, name)
                    return value is not None and isinstance(value[1], ir.Call) and _is_from_library(names, *value, seen)
        case _:
            return False
