"""Methods that run without being called: those behind operators, tests of truth and f-strings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from leaklint import ir

Asked: TypeAlias = tuple[ir.Expr, tuple[str, ...]]
"""An operand, and the methods of which the first that it has is run."""

ITERATED = ("__iter__",)
TRUTH = ("__bool__", "__len__")
SHOWN = ("__repr__",)
TEXT = ("__str__", "__repr__")
FORMATTED = ("__format__", *TEXT)
_COMPARED = {
    "==": ("__eq__",),
    "!=": ("__ne__", "__eq__"),
    "<": ("__lt__",),
    "<=": ("__le__",),
    ">": ("__gt__",),
    ">=": ("__ge__",),
}
_LOGICAL = frozenset({"not", "and", "or"})


def asked(expression: ir.Expr) -> Iterator[Asked]:
    """The operands of an expression, not of its parts, that are asked for something, in order."""
    match expression:
        case ir.Template(parts=parts):
            yield from ((part, FORMATTED) for part in parts if not isinstance(part, ir.Operation))
        case ir.Operation(operator="!r", operands=(value,)):
            yield value, SHOWN
        case ir.Operation(operator="%", operands=(ir.Constant(kind="str"), ir.Display(kind="tuple", items=items))):
            yield from ((item, TEXT) for item in items)
        case ir.Operation(operator="%", operands=(ir.Constant(kind="str"), value)):
            yield value, TEXT
        case ir.Operation(operator=operator, operands=operands) if operator in _LOGICAL:
            yield from ((operand, TRUTH) for operand in operands)
        case ir.Choice(test=test):
            yield test, TRUTH
        case ir.Comparison(left=left, operators=operators, rights=rights):
            for operator, one, other in zip(operators, (left, *rights), rights, strict=False):
                if operator in ("in", "not in"):
                    yield other, ("__contains__",)
                elif operator in _COMPARED:
                    yield one, _COMPARED[operator]
        case ir.Subscript(base=base):
            yield base, ("__getitem__",)
        case ir.Comprehension(clauses=clauses):
            for clause in clauses:
                yield clause.iterable, ITERATED
                yield from ((condition, TRUTH) for condition in clause.conditions)
        case _:
            pass


def asked_by(stmt: ir.Stmt) -> Iterator[Asked]:
    """What a statement asks itself: whether its test is true, for the elements of what it goes through, to keep something or let it go."""
    match stmt:
        case ir.Branch(test=test) | ir.While(test=test) | ir.Assert(test=test):
            yield test, TRUTH
        case ir.For(iterable=iterable):
            yield iterable, ITERATED
        case ir.Augment(target=ir.Subscript(base=base)):
            yield base, ("__getitem__",)
            yield base, ("__setitem__",)
        case ir.Bind():
            yield from ((target.base, ("__setitem__",)) for target in targets(stmt))
        case ir.Delete():
            yield from ((target.base, ("__delitem__",)) for target in targets(stmt))
        case _:
            pass


def targets(stmt: ir.Stmt | None) -> list[ir.Subscript]:
    """The elements that a statement binds or deletes without looking at what they were."""
    match stmt:
        case ir.Bind(targets=bound) | ir.Delete(targets=bound):
            return [target for target in bound if isinstance(target, ir.Subscript)]
        case ir.Augment(target=ir.Subscript() as target):
            return [target]
        case _:
            return []
