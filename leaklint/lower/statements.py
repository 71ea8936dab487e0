"""Statements, functions and classes of libcst become those of `ir`.

Type parameters (`def f[T: Bound]()`) have no form of their own: they exist for type checkers only, and a name that nothing
binds is resolved to nothing. `pass` and docstrings leave nothing behind either.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import libcst as cst

from leaklint import ir
from leaklint.lower import patterns
from leaklint.lower.expressions import OPERATORS, TreeWalk, arguments, expression, optional, parameters
from leaklint.lower.positions import Positions
from leaklint.lower.walk import Arm, Place, arms, whole


def lower_tree(module: cst.Module, text: str) -> ir.Summary:
    """The full summary of a parsed module, without its suppressions. Raises walk.TooDeepError with its place."""
    walk = TreeWalk(Positions(module, text))
    body = _statements(walk, module.body)
    starts = any(isinstance(statement, ir.Branch) and _is_program_guard(statement.test) for statement in body)
    return walk.summary(_without_docstring(body), whole(text), is_outline=False, starts_program=starts)


def _is_program_guard(test: ir.Expr) -> bool:
    match test:
        case ir.Comparison(ir.Name("__name__"), ("==",), (ir.Constant("str", "__main__"),)):
            return True
        case ir.Comparison(ir.Constant("str", "__main__"), ("==",), (ir.Name("__name__"),)):
            return True
        case _:
            return False


def _without_docstring(body: list[ir.Stmt]) -> tuple[ir.Stmt, ...]:
    match body:
        case [ir.Evaluate(ir.Constant("str")), *rest]:
            return tuple(rest)
        case _:
            return tuple(body)


def _suite(walk: TreeWalk, suite: cst.BaseSuite) -> tuple[ir.Stmt, ...]:
    return tuple(_statements(walk, suite.body))


def _statements(walk: TreeWalk, nodes: Sequence[cst.CSTNode]) -> list[ir.Stmt]:
    """An `if` of many arms is one statement; a `pass` none."""
    lowered: list[ir.Stmt] = []
    for node in nodes:
        kind = type(node)
        if kind is cst.SimpleStatementLine:
            for small in node.body:  # type: ignore[attr-defined]
                if type(small) is not cst.Pass:
                    walk.at = at = walk.positions.span(small)
                    lowered.append(_FORMS[type(small)](walk, small, at))
        elif kind is not cst.Pass:
            walk.at = at = walk.positions.span(node)
            lowered.append(_FORMS[kind](walk, node, at))
    return lowered


# --- definitions -------------------------------------------------------------------------------------------------------


def _decorators(walk: TreeWalk, nodes: Sequence[cst.Decorator]) -> tuple[ir.Expr, ...]:
    return tuple([expression(walk, node.decorator) for node in nodes])


def _function(walk: TreeWalk, node: cst.FunctionDef, at: ir.Span) -> ir.Stmt:
    index = walk.new_function()
    place = walk.place
    name = node.name.value
    decorators = _decorators(walk, node.decorators)
    params = parameters(walk, node.params)
    returns = expression(walk, node.returns.annotation) if node.returns else None
    qualname = place.prefix + name
    walk.place = Place(index, None, f"{qualname}.<locals>.")
    body = _without_docstring(_statements(walk, node.body.body))
    walk.place = place
    walk.functions[index] = ir.Function(
        name, qualname, "def", params, body, decorators, returns, node.asynchronous is not None, index in walk.generators,
        place.function, place.owner, at,
    )  # fmt: skip
    return ir.DefineFunction(index)


def _class(walk: TreeWalk, node: cst.ClassDef, at: ir.Span) -> ir.Stmt:
    index = walk.new_class()
    place = walk.place
    decorators = _decorators(walk, node.decorators)
    bases = tuple([
        ir.Starred(expression(walk, base.value)) if base.star else expression(walk, base.value) for base in node.bases
    ])  # fmt: skip
    keywords = arguments(walk, node.keywords)
    qualname = place.prefix + node.name.value
    walk.place = Place(place.function, index, f"{qualname}.")
    body = _without_docstring(_statements(walk, node.body.body))
    walk.place = place
    walk.classes[index] = ir.Class(
        node.name.value, qualname, bases, keywords, decorators, body, place.function, place.owner, at
    )  # fmt: skip
    return ir.DefineClass(index)


# --- simple statements -------------------------------------------------------------------------------------------------


def _evaluate(walk: TreeWalk, node: cst.Expr, at: ir.Span) -> ir.Stmt:
    return ir.Evaluate(expression(walk, node.value), at)


def _assign(walk: TreeWalk, node: cst.Assign, at: ir.Span) -> ir.Stmt:
    targets = tuple([expression(walk, target.target) for target in node.targets])
    return ir.Bind(targets, expression(walk, node.value), None, at)


def _annotated(walk: TreeWalk, node: cst.AnnAssign, at: ir.Span) -> ir.Stmt:
    target = expression(walk, node.target)
    annotation = expression(walk, node.annotation.annotation)
    if node.value is None:
        return ir.Declare(target, annotation, at)
    return ir.Bind((target,), expression(walk, node.value), annotation, at)


def _augmented(walk: TreeWalk, node: cst.AugAssign, at: ir.Span) -> ir.Stmt:
    target = expression(walk, node.target)
    return ir.Augment(target, OPERATORS[type(node.operator)], expression(walk, node.value), at)


def _type_alias(walk: TreeWalk, node: cst.TypeAlias, at: ir.Span) -> ir.Stmt:
    return ir.Bind((ir.Name(node.name.value),), expression(walk, node.value), None, at)


def _return(walk: TreeWalk, node: cst.Return, at: ir.Span) -> ir.Stmt:
    return ir.Return(optional(walk, node.value), at)


def _raise(walk: TreeWalk, node: cst.Raise, at: ir.Span) -> ir.Stmt:
    exception = optional(walk, node.exc)
    return ir.Raise(exception, expression(walk, node.cause.item) if node.cause else None, at)


def _assert(walk: TreeWalk, node: cst.Assert, at: ir.Span) -> ir.Stmt:
    test = expression(walk, node.test)
    return ir.Assert(test, optional(walk, node.msg), at)


def _delete(walk: TreeWalk, node: cst.Del, at: ir.Span) -> ir.Stmt:
    target = expression(walk, node.target)
    return ir.Delete(target.items if isinstance(target, ir.Display) else (target,), at)


def _break(walk: TreeWalk, node: cst.Break, at: ir.Span) -> ir.Stmt:
    return ir.Jump("break", at)


def _continue(walk: TreeWalk, node: cst.Continue, at: ir.Span) -> ir.Stmt:
    return ir.Jump("continue", at)


def _global(walk: TreeWalk, node: cst.Global, at: ir.Span) -> ir.Stmt:
    return ir.Scope("global", tuple([item.name.value for item in node.names]))


def _nonlocal(walk: TreeWalk, node: cst.Nonlocal, at: ir.Span) -> ir.Stmt:
    return ir.Scope("nonlocal", tuple([item.name.value for item in node.names]))


def _import(walk: TreeWalk, node: cst.Import | cst.LazyImport, at: ir.Span) -> ir.Stmt:
    names: list[ir.Imported] = []
    for alias in node.names:
        module = _dotted(alias.name)
        local = _alias(alias)
        names.append(ir.Imported(local or module.partition(".")[0], module, None, 0))
    return ir.Import(tuple(names), at)


def _import_from(walk: TreeWalk, node: cst.ImportFrom | cst.LazyImportFrom, at: ir.Span) -> ir.Stmt:
    module = _dotted(node.module) if node.module else ""
    level = len(node.relative)
    if isinstance(node.names, cst.ImportStar):
        return ir.Import((ir.Imported("*", module, "*", level),), at)
    names: list[ir.Imported] = []
    for alias in node.names:
        name = _dotted(alias.name)
        names.append(ir.Imported(_alias(alias) or name, module, name, level))
    return ir.Import(tuple(names), at)


def _dotted(node: cst.BaseExpression) -> str:
    parts: list[str] = []
    while isinstance(node, cst.Attribute):
        parts.append(node.attr.value)
        node = node.value
    assert isinstance(node, cst.Name)
    return ".".join([node.value, *reversed(parts)])


def _alias(node: cst.ImportAlias) -> str | None:
    return node.asname.name.value if node.asname and isinstance(node.asname.name, cst.Name) else None


# --- compound statements -----------------------------------------------------------------------------------------------


def _if(walk: TreeWalk, node: cst.If, at: ir.Span) -> ir.Stmt:
    branches: list[Arm] = []
    arm: cst.If | cst.Else | None = node
    while isinstance(arm, cst.If):
        walk.at = at = walk.positions.span(arm)
        test = expression(walk, arm.test)
        branches.append((test, _suite(walk, arm.body), at))
        arm = arm.orelse
    return arms(branches, _suite(walk, arm.body) if arm is not None else ())


def _orelse(walk: TreeWalk, node: cst.Else | None) -> tuple[ir.Stmt, ...]:
    return _suite(walk, node.body) if node is not None else ()


def _while(walk: TreeWalk, node: cst.While, at: ir.Span) -> ir.Stmt:
    test = expression(walk, node.test)
    body = _suite(walk, node.body)
    return ir.While(test, body, _orelse(walk, node.orelse), at)


def _for(walk: TreeWalk, node: cst.For, at: ir.Span) -> ir.Stmt:
    site = walk.site()
    target = expression(walk, node.target)
    iterable = expression(walk, node.iter)
    body = _suite(walk, node.body)
    return ir.For(target, iterable, body, _orelse(walk, node.orelse), node.asynchronous is not None, at, site)


def _try(walk: TreeWalk, node: cst.Try | cst.TryStar, at: ir.Span) -> ir.Stmt:
    body = _suite(walk, node.body)
    handlers = tuple([_handler(walk, handler) for handler in node.handlers])
    orelse = _orelse(walk, node.orelse)
    final = _suite(walk, node.finalbody.body) if node.finalbody else ()
    return ir.Try(body, handlers, orelse, final, isinstance(node, cst.TryStar), at)


def _handler(walk: TreeWalk, node: cst.ExceptHandler | cst.ExceptStarHandler) -> ir.Handler:
    walk.at = at = walk.positions.span(node)
    kind = optional(walk, node.type)
    name = node.name.name.value if node.name and isinstance(node.name.name, cst.Name) else None
    return ir.Handler(kind, name, _suite(walk, node.body), at)


def _with(walk: TreeWalk, node: cst.With, at: ir.Span) -> ir.Stmt:
    items = tuple([_with_item(walk, item) for item in node.items])
    return ir.With(items, _suite(walk, node.body), node.asynchronous is not None, at)


def _with_item(walk: TreeWalk, node: cst.WithItem) -> ir.WithItem:
    is_bracketed = isinstance(node.item, (cst.Tuple, cst.GeneratorExp))
    at = walk.positions.bracketed(node.item) if is_bracketed else walk.positions.span(node.item)
    site = walk.site()
    context = expression(walk, node.item)
    return ir.WithItem(context, expression(walk, node.asname.name) if node.asname else None, at, site)


def _match(walk: TreeWalk, node: cst.Match, at: ir.Span) -> ir.Stmt:
    subject = expression(walk, node.subject)
    return ir.Match(subject, tuple([_case(walk, case) for case in node.cases]), at)


def _case(walk: TreeWalk, node: cst.MatchCase) -> ir.Case:
    walk.at = at = walk.positions.span(node)
    tests = tuple(patterns.tests(walk, node.pattern))
    binds = tuple(dict.fromkeys(patterns.captures(node.pattern)))
    guard = optional(walk, node.guard)
    is_irrefutable = guard is None and patterns.is_irrefutable(node.pattern)
    return ir.Case(tests, binds, is_irrefutable, guard, _suite(walk, node.body), at)


_FORMS: dict[type[cst.CSTNode], Callable[[TreeWalk, Any, ir.Span], ir.Stmt]] = {
    cst.FunctionDef: _function,
    cst.ClassDef: _class,
    cst.Expr: _evaluate,
    cst.Assign: _assign,
    cst.AnnAssign: _annotated,
    cst.AugAssign: _augmented,
    cst.TypeAlias: _type_alias,
    cst.Return: _return,
    cst.Raise: _raise,
    cst.Assert: _assert,
    cst.Del: _delete,
    cst.Break: _break,
    cst.Continue: _continue,
    cst.Global: _global,
    cst.Nonlocal: _nonlocal,
    cst.Import: _import,
    cst.LazyImport: _import,
    cst.ImportFrom: _import_from,
    cst.LazyImportFrom: _import_from,
    cst.If: _if,
    cst.While: _while,
    cst.For: _for,
    cst.Try: _try,
    cst.TryStar: _try,
    cst.With: _with,
    cst.Match: _match,
}
