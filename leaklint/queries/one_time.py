"""What a loop does once: it stands behind a flag that the loop turns off."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint import ir
from leaklint.link.syntax import blocks, walk

_Flag = tuple[ir.Expr, bool]
"""A name or an attribute, and what it is when the statement behind it is run."""
_FALSE = frozenset({"False", "None", "0"})


def turned_off(body: tuple[ir.Stmt, ...], inner: ir.Stmt | None) -> frozenset[int]:
    """The statements of a loop, by identity, that turn off a flag behind which a statement of the loop stands; of those flags that the loop
    does not turn on again."""
    flags = dict.fromkeys(_flags(body, inner))
    settings = [(stmt, flag, _sets(stmt, flag)) for flag in flags for stmt in walk(body)]
    again = {flag for _, flag, is_on in settings if is_on}
    return frozenset(id(stmt) for stmt, flag, is_on in settings if is_on is False and flag not in again)


def _flags(body: tuple[ir.Stmt, ...], inner: ir.Stmt | None) -> Iterator[_Flag]:
    """The flags that the branches around a statement ask."""
    for stmt in body:
        for number, block in enumerate(blocks(stmt)):
            if any(one is inner for one in walk(block)):
                if isinstance(stmt, ir.Branch):
                    yield from _asked(stmt.test, holds=number == 0)
                yield from _flags(block, inner)


def _asked(test: ir.Expr, *, holds: bool) -> Iterator[_Flag]:
    match test:
        case ir.Name() | ir.Attribute():
            yield test, holds
        case ir.Operation(operator="not", operands=(one,)):
            yield from _asked(one, holds=not holds)
        case ir.Operation(operator=operator, operands=operands) if operator == ("and" if holds else "or"):
            for one in operands:
                yield from _asked(one, holds=holds)
        case _:
            pass


def _sets(stmt: ir.Stmt, flag: _Flag) -> bool | None:
    """Whether a statement turns the flag on, as far as it says; None for one that does not touch it."""
    match stmt:
        case ir.Bind(targets=targets, value=value) if flag[0] in targets:
            if not isinstance(value, ir.Constant):
                return True
            return (value.text not in _FALSE) is flag[1]
        case ir.Augment(target=target) if target == flag[0]:
            return True
        case _:
            return None
