"""How many bytes a value takes, where it can be read off the program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from leaklint import ir
from leaklint.catalog.grammar import Does
from leaklint.link.sizes import length, origin, whole_number
from leaklint.link.syntax import subexpressions, walk
from leaklint.link.values import FunctionId

if TYPE_CHECKING:
    from leaklint.link.actions import Action
    from leaklint.link.program import Program

_POINTER = 8
"""Bytes that one element of a list or tuple takes on a 64-bit machine, the element itself not counted."""
_DEEPEST = 8
"""Names and displays followed one after another before a size counts as unknown."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """Bytes of a value: `shallow` without, `deep` with what it refers to. `made`: the function and the place that make it, for a value
    with a name."""

    shallow: int
    deep: int
    made: tuple[FunctionId, ir.Span] | None = None


def footprint(program: Program, function: FunctionId, value: ir.Expr, depth: int = 0) -> Footprint | None:
    """The bytes of what the expression gives in this function; None when that is not known."""
    if depth > _DEEPEST:
        return None
    match value:
        case ir.Operation(operator="*", operands=operands):
            return _repeated(program, function, operands)
        case ir.Display(items=items):
            return _together(program, function, items, depth)
        case ir.Mapping(items=pairs):
            return _together(program, function, tuple(one for _, one in pairs), depth)
        case ir.Subscript(base=base, index=ir.Slice(lower=None, upper=None, step=None)):
            return _copy(footprint(program, function, base, depth + 1))
        case ir.Call(site=site) if (made := _made(program, function, program.at(function.site(site)), depth)) is not None:
            return made
        case _:
            found = origin(program, function, value)
            if found is None:
                return None
            where, expression = found
            inner = footprint(program, where, expression, depth + 1)
            if inner is None or inner.made is not None:
                return inner
            at = _span(program, where, expression)
            return Footprint(inner.shallow, inner.deep, (where, at) if at is not None else None)


def _repeated(program: Program, function: FunctionId, operands: tuple[ir.Expr, ...]) -> Footprint | None:
    """A literal, many times: `[0.0] * CELLS`."""
    total, is_literal = 1, False
    for operand in operands:
        each = _unit(operand)
        number = each if each is not None else whole_number(program, function, operand)
        if number is None:
            return None
        total, is_literal = total * number, is_literal or each is not None
    return Footprint(total, total) if is_literal else None


def _together(program: Program, function: FunctionId, items: tuple[ir.Expr, ...], depth: int) -> Footprint:
    """A display; elements of unknown size count for nothing."""
    own = len(items) * _POINTER
    known = [inner.deep for one in items if (inner := footprint(program, function, one, depth + 1)) is not None]
    return Footprint(own, own + sum(known))


def _made(program: Program, function: FunctionId, actions: list[Action], depth: int) -> Footprint | None:
    """What a library call makes or copies: as many elements as its value says, or as much as its value takes."""
    for action in actions:
        operation = action.call.operation
        value = action.call.given.get(operation.value) if operation.value is not None else None
        if value is None or action.does not in (Does.MAKE, Does.COPY):
            continue
        if operation.bytes_each is not None and (count := _count(program, function, value)) is not None:
            return Footprint(count * operation.bytes_each, count * operation.bytes_each)
        if action.does is Does.COPY:
            return _copy(footprint(program, function, value, depth + 1))
    return None


def _count(program: Program, function: FunctionId, value: ir.Expr) -> int | None:
    """How many elements: the number, the product of a shape, the length of an iterable."""
    if isinstance(value, ir.Display) and value.kind == "tuple":
        total = 1
        for side in value.items:
            number = whole_number(program, function, side)
            if number is None:
                return None
            total *= number
        return total
    number = whole_number(program, function, value)
    return number if number is not None else length(program, function, value)


def _copy(source: Footprint | None) -> Footprint | None:
    """A copy takes as much as its source, and is made elsewhere."""
    return None if source is None else Footprint(source.shallow, source.deep)


def _unit(unit: ir.Expr) -> int | None:
    """Bytes of a literal that is repeated."""
    match unit:
        case ir.Constant(kind="bytes", text=text):
            return max(1, len(text.encode("latin-1", "replace").decode("unicode_escape", "replace")) - 3)
        case ir.Constant(kind="str", text=text):
            return len(text)
        case ir.Display(kind="list" | "tuple", items=items):
            return len(items) * _POINTER
        case ir.Call(function=ir.Name(id="bytes" | "bytearray"), arguments=(ir.Argument(value=inner),)):
            return _unit(inner)
        case _:
            return None


def _span(program: Program, function: FunctionId, expression: ir.Expr) -> ir.Span | None:
    """Where an expression stands: its own place, or that of the statement that binds or returns it."""
    if isinstance(expression, ir.Call):
        return expression.at
    for stmt in walk(program.node(function).body):
        match stmt:
            case ir.Bind(value=value, at=at) | ir.Return(value=value, at=at):
                if value is not None and any(part is expression for part in subexpressions(value)):
                    return at
            case _:
                pass
    return None
