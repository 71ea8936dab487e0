"""What a loop does once: it stands behind a flag that the loop turns off, or in a state that the loop leaves for good."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from leaklint import ir
from leaklint.link.syntax import blocks, walk


@dataclass(frozen=True, slots=True)
class _Flag:
    """A name or an attribute that is asked; `state`: what it is compared with, None where it is asked whether it is true; `holds`: whether
    that is so when the statement behind it is run."""

    asked: ir.Expr
    state: ir.Expr | None
    holds: bool


_FALSE = frozenset({"False", "None", "0"})


def turned_off(body: tuple[ir.Stmt, ...], inner: ir.Stmt | None, functions: Sequence[ir.Function] = ()) -> frozenset[int]:
    """The statements of a loop, by identity, that turn off a flag behind which a statement of the loop stands; of those flags that the loop
    does not turn on again. `functions`: those that may be called by their names to raise unless a flag is on."""
    flags = dict.fromkeys(_flags(body, inner, functions))
    settings = [(stmt, flag, _sets(stmt, flag)) for flag in flags for stmt in walk(body)]
    again = {flag for _, flag, is_on in settings if is_on}
    return frozenset(id(stmt) for stmt, flag, is_on in settings if is_on is False and flag not in again)


def _flags(body: tuple[ir.Stmt, ...], inner: ir.Stmt | None, functions: Sequence[ir.Function]) -> Iterator[_Flag]:
    """The flags that the branches around a statement ask, and those by which the statements before it would have left."""
    for position, stmt in enumerate(body):
        for number, block in enumerate(blocks(stmt)):
            if any(one is inner for one in walk(block)):
                if isinstance(stmt, ir.Branch):
                    yield from _asked(stmt.test, holds=number == 0)
                yield from _flags(block, inner, functions)
        if stmt is inner or any(one is inner for block in blocks(stmt) for one in walk(block)):
            for before in body[:position]:
                yield from _passed(before, functions)


def _passed(stmt: ir.Stmt, functions: Sequence[ir.Function]) -> Iterator[_Flag]:
    """The flags that are on where a statement has been passed: `if state != OPEN: raise`, `check(OPEN)` where a function says that."""
    match stmt:
        case ir.Branch(test=test, body=(*_, ir.Raise() | ir.Return() | ir.Jump()), orelse=()):
            yield from _asked(test, holds=False)
        case ir.Evaluate(value=ir.Call(function=ir.Name(id=name), arguments=arguments)):
            for function in functions:
                if function.name == name and len(function.body) == 1 and not isinstance(function.body[0], ir.Evaluate):
                    given = {p.name: a.value for p, a in zip(function.parameters, arguments, strict=False) if a.keyword is None}
                    for flag in _passed(function.body[0], ()):
                        state = given.get(flag.state.id) if isinstance(flag.state, ir.Name) else flag.state
                        if flag.state is None or state is not None:
                            yield _Flag(flag.asked, state, flag.holds)
        case _:
            pass


def _asked(test: ir.Expr, *, holds: bool) -> Iterator[_Flag]:
    match test:
        case ir.Name() | ir.Attribute():
            yield _Flag(test, None, holds)
        case ir.Comparison(left=ir.Name() | ir.Attribute() as asked, operators=("==" | "is",), rights=(state,)):
            yield _Flag(asked, state, holds)
        case ir.Comparison(left=ir.Name() | ir.Attribute() as asked, operators=("!=" | "is not",), rights=(state,)):
            yield _Flag(asked, state, not holds)
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
        case ir.Bind(targets=targets, value=value) if flag.asked in targets:
            if flag.state is not None:
                return not _is_named(value) or not _is_named(flag.state) or (value == flag.state) is flag.holds
            return not isinstance(value, ir.Constant) or (value.text not in _FALSE) is flag.holds
        case ir.Augment(target=target) if target == flag.asked:
            return True
        case _:
            return None


def _is_named(state: ir.Expr) -> bool:
    """Whether two states written so are the same only if they read the same: constants, the members of an enumeration."""
    match state:
        case ir.Constant():
            return True
        case ir.Attribute(base=ir.Name(id=name)):
            return name[:1].isupper()
        case _:
            return False
