"""How much a channel can hold, how many permits a semaphore has: what the constructor was told."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from leaklint import ir
from leaklint.link.sizes import whole_number

if TYPE_CHECKING:
    from leaklint.link.program import Program

UNKNOWN = -1
"""A capacity that is a bound of unknown size."""


def capacity(program: Program, objects: Iterable[int]) -> int | None:
    """None: unbounded; 0: a rendezvous; a number, or UNKNOWN. Of several objects that are one, the ends of a pair, or may be one."""
    sizes: set[int | None] = set()
    for obj in objects:
        model = program.model(obj)
        for call in program.state.constructed.get(obj, ()):
            described = call.operation.capacity or (model.capacity if model is not None else None)
            if described is None:
                continue
            if described.fixed is not None:
                sizes.add(described.fixed)
                continue
            given = call.given.get(described.arg) if described.arg is not None else None
            if given is None:
                sizes.add(described.default)
                continue
            number = whole_number(program, call.record.function, given)
            if number is None:
                sizes.add(UNKNOWN if not _is_infinite(given) else None)
            elif described.unbounded is not None and number <= described.unbounded:
                sizes.add(None)
            else:
                sizes.add(number)
    if not sizes or None in sizes:
        return None
    numbers = [s for s in sizes if s is not None]
    return numbers[0] if len(set(numbers)) == 1 else UNKNOWN


def _is_infinite(expression: ir.Expr) -> bool:
    match expression:
        case ir.Attribute(name="inf"):
            return True
        case ir.Call(function=ir.Name(id="float")):
            return True
        case _:
            return False
