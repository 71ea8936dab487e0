"""What the program knows of the calls, awaits and blocks of a function: what they raise, stop and swallow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from leaklint import ir
from leaklint.link.program import Program
from leaklint.link.raising import ANY
from leaklint.link.syntax import expressions, subexpressions, walk
from leaklint.link.thrown import types_of
from leaklint.link.values import FunctionId


@dataclass(frozen=True, slots=True)
class Semantics:
    """`raised`: the last words of the exceptions that a call may raise, `?` for any; `above`: of an exception the classes above it;
    `swallowed`: the exceptions that leaving a `with` item may swallow, `?` for some; `suspends`: whether an await may really wait, so that
    a cancellation can arrive; `is_block`: of a generator, whether its `yield` runs the block of a `with`."""

    raised: Callable[[ir.Call], frozenset[str]]
    above: Callable[[str], frozenset[str]]
    swallowed: Callable[[ir.WithItem], tuple[str, ...]]
    suspends: Callable[[ir.Await], bool]
    is_block: bool


def semantics(program: Program, function: FunctionId) -> Semantics:
    return Semantics(
        lambda call: program.raising.of_call(function, call),
        lambda name: program.raising.above(function.module, name),
        lambda item: _swallowed(program, function, item),
        lambda awaited: program.suspending.at(function, awaited),
        _is_block(program, function),
    )


def _is_block(program: Program, function: FunctionId) -> bool:
    if not program.node(function).is_generator or not program.node(function).decorators:
        return False
    return function.source in program.blocks_written_as_generators


# --- with


def _swallowed(program: Program, function: FunctionId, item: ir.WithItem) -> tuple[str, ...]:
    site = function.site(item.site)
    words: list[str] = []
    if any((model := program.model(o)) is not None and model.suppresses is not None for a in program.at(site) for o in a.subjects):
        match item.context:
            case ir.Call(arguments=arguments, site=made) if not any(a.star for a in arguments) and not _calls_program(
                program, function, made
            ):
                words += (word for a in arguments for word in types_of(a.value) or ())
            case _:
                words.append(ANY)
    for callee in program.state.callees.get(site, ()):
        node = program.node(callee)
        if node.is_generator:
            words += _caught_around_yield(node)
        elif node.name.endswith("exit__") and any(_may_be_true(stmt) for stmt in walk(node.body)):
            words.append(ANY)
    return tuple(words)


def _calls_program(program: Program, function: FunctionId, number: int) -> bool:
    return bool(program.state.callees.get(function.site(number)))


def _may_be_true(stmt: ir.Stmt) -> bool:
    match stmt:
        case ir.Return(value=ir.Constant(text="False" | "None" | "0") | None):
            return False
        case ir.Return(value=ir.Await(value=value)) | ir.Return(value=value):
            # What another `__exit__` says, of a base class or of something inside, is mostly nothing.
            return not (isinstance(value, ir.Call) and isinstance(value.function, ir.Attribute) and value.function.name.endswith("exit__"))
        case _:
            return False


def _caught_around_yield(node: ir.Function) -> list[str]:
    """The exceptions that a generator catches round a `yield` and does not raise again."""
    found: list[str] = []
    for stmt in walk(node.body):
        if isinstance(stmt, ir.Try) and stmt.handlers and _yields(stmt.body):
            for handler in stmt.handlers:
                if handler.body and not isinstance(handler.body[-1], ir.Raise):
                    found += types_of(handler.type) or ("BaseException",)
    return found


def _yields(body: tuple[ir.Stmt, ...]) -> bool:
    return any(isinstance(part, ir.Yield) for stmt in walk(body) for e in expressions(stmt) for part in subexpressions(e))
