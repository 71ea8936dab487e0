"""Outlines: what other files can know of a file that holds no concurrency.

All classes, and all functions that are not inside another one, with their signatures; imports and bindings of the module and
of classes; and of a body what tells where objects come from, in a flat row: imports, `global`, returns, and bindings of names
and of attributes. A value is kept if it is a name, an attribute, a constant, a call, a choice between such, or a repeated literal;
whatever is bound to an attribute is kept.

The tree is the standard library's, ten times faster than libcst's. What the running Python refuses, because it is newer than
itself, has no outline here: the caller then lowers it in full, so that on an older Python such a file has more in its summary.
"""

from __future__ import annotations

import ast
import re
import warnings
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import Any

from leaklint import ir
from leaklint.lower.outline_expressions import OPERATORS, OutlineWalk, argument, expression, items, optional, parameters
from leaklint.lower.walk import Place, TooDeepError, whole

_YIELD = re.compile(r"\byield\b")


def outline(text: str) -> ir.Summary | None:
    """The outline without suppressions; None if the running Python cannot parse the text or it nests too deep."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
        walk = _Outline(text)
        body = tuple(_scope_body(walk, tree.body))
    except (SyntaxError, ValueError, MemoryError, RecursionError, TooDeepError):
        return None
    starts = any(isinstance(node, ast.If) and _is_program_guard(node.test) for node in tree.body)
    return walk.summary(body, whole(text), is_outline=True, starts_program=starts)


class _Outline(OutlineWalk):
    """`yields` are the lines with the word."""

    __slots__ = ("yields",)

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.yields = [text.count("\n", 0, match.start()) + 1 for match in _YIELD.finditer(text)]


def _is_program_guard(test: ast.expr) -> bool:
    match test:
        case ast.Compare(ast.Name("__name__"), [ast.Eq()], [ast.Constant("__main__")]):
            return True
        case ast.Compare(ast.Constant("__main__"), [ast.Eq()], [ast.Name("__name__")]):
            return True
        case _:
            return False


# --- the module and classes --------------------------------------------------------------------------------------------


def _scope_body(walk: _Outline, nodes: Iterable[ast.stmt]) -> Iterator[ir.Stmt]:
    """Definitions and bindings of a module or class body, those under `if`, `try`, … included."""
    for node in nodes:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield _function(walk, node)
            case ast.ClassDef():
                yield _class(walk, node)
            case ast.Assign(targets, value):
                yield _bind(walk, node, targets, value)
            case ast.AnnAssign():
                yield _annotated(walk, node)
            case ast.AugAssign():
                at = walk.span(node)
                target = expression(walk, node.target)
                yield ir.Augment(target, OPERATORS[type(node.op)], expression(walk, node.value), at)
            case ast.Import() | ast.ImportFrom():
                yield _import(walk, node)
            case ast.Expr():
                pass
            case _ if type(node).__name__ == "TypeAlias":
                alias: Any = node
                yield _bind(walk, node, [alias.name], alias.value)
            case _:
                yield from _scope_body(walk, _nested(node))


def _nested(node: Any) -> Iterator[ast.stmt]:
    """The statements inside a compound statement, in the order of the source."""
    yield from getattr(node, "body", ())
    for part in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
        yield from part.body
    yield from getattr(node, "orelse", ())
    yield from getattr(node, "finalbody", ())


def _function(walk: _Outline, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ir.Stmt:
    index = walk.new_function()
    place = walk.place
    at = walk.span(node)
    decorators = items(walk, node.decorator_list)
    params = parameters(walk, node.args)
    returns = optional(walk, node.returns)
    qualname = place.prefix + node.name
    walk.place = Place(index, None, f"{qualname}.<locals>.")
    body = tuple(_function_body(walk, node.body))
    walk.place = place
    walk.functions[index] = ir.Function(
        node.name, qualname, "def", params, body, decorators, returns, isinstance(node, ast.AsyncFunctionDef), _yields(walk, node),
        place.function, place.owner, at,
    )  # fmt: skip
    return ir.DefineFunction(index)


def _yields(walk: _Outline, function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    first = bisect_left(walk.yields, function.lineno)
    if first == len(walk.yields) or walk.yields[first] > (function.end_lineno or function.lineno):
        return False
    todo: list[ast.AST] = list(function.body)
    while todo:
        node = todo.pop()
        if isinstance(node, (ast.Yield, ast.YieldFrom)):
            return True
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            todo += node.decorator_list
        elif isinstance(node, ast.Lambda):
            todo.append(node.args)
        else:
            todo += ast.iter_child_nodes(node)
    return False


def _class(walk: _Outline, node: ast.ClassDef) -> ir.Stmt:
    index = walk.new_class()
    place = walk.place
    at = walk.span(node)
    decorators = items(walk, node.decorator_list)
    bases = items(walk, node.bases)
    arguments = tuple([argument(walk, keyword) for keyword in node.keywords])
    qualname = place.prefix + node.name
    walk.place = Place(place.function, index, f"{qualname}.")
    body = tuple(_scope_body(walk, node.body))
    walk.place = place
    walk.classes[index] = ir.Class(node.name, qualname, bases, arguments, decorators, body, place.function, place.owner, at)
    return ir.DefineClass(index)


# --- the bodies of functions -------------------------------------------------------------------------------------------


def _function_body(walk: _Outline, nodes: Iterable[ast.stmt]) -> Iterator[ir.Stmt]:
    for node in nodes:
        match node:
            case ast.Expr() | ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef() | ast.AugAssign():
                pass
            case ast.Assign(targets, value):
                if _keeps(targets, value):
                    yield _bind(walk, node, targets, value)
            case ast.AnnAssign(target, _, value):
                if value is None or _keeps([target], value):
                    yield _annotated(walk, node)
            case ast.Return(value):
                if value is not None and _is_origin(value):
                    at = walk.span(node)
                    yield ir.Return(expression(walk, value), at)
            case ast.Import() | ast.ImportFrom():
                yield _import(walk, node)
            case ast.Global(names):
                yield ir.Scope("global", tuple(names))
            case ast.Nonlocal(names):
                yield ir.Scope("nonlocal", tuple(names))
            case _:
                yield from _function_body(walk, _nested(node))


def _keeps(targets: list[ast.expr], value: ast.expr) -> bool:
    if any(isinstance(target, ast.Attribute) for target in targets):
        return True
    return _is_origin(value) and all(isinstance(target, (ast.Name, ast.Tuple)) for target in targets)


def _is_origin(value: ast.expr) -> bool:
    """Whether the value says where an object comes from."""
    match value:
        case ast.Name() | ast.Attribute() | ast.Constant() | ast.Call():
            return True
        case ast.Await(inner):
            return _is_origin(inner)
        case ast.BoolOp(_, values):
            return all(map(_is_origin, values))
        case ast.IfExp(_, then, otherwise):
            return _is_origin(then) and _is_origin(otherwise)
        case ast.BinOp(ast.List() | ast.Tuple() | ast.Constant(bytes() | str()), ast.Mult(), _):
            return True
        case _:
            return False


def _bind(walk: _Outline, node: ast.stmt, targets: list[ast.expr], value: ast.expr) -> ir.Stmt:
    at = walk.span(node)
    lowered = items(walk, targets)
    return ir.Bind(lowered, expression(walk, value), None, at)


def _annotated(walk: _Outline, node: ast.AnnAssign) -> ir.Stmt:
    at = walk.span(node)
    target = expression(walk, node.target)
    annotation = expression(walk, node.annotation)
    if node.value is None:
        return ir.Declare(target, annotation, at)
    return ir.Bind((target,), expression(walk, node.value), annotation, at)


def _import(walk: _Outline, node: ast.Import | ast.ImportFrom) -> ir.Stmt:
    at = walk.span(node)
    if isinstance(node, ast.Import):
        names = [ir.Imported(alias.asname or alias.name.partition(".")[0], alias.name, None, 0) for alias in node.names]
    else:
        module, level = node.module or "", node.level
        names = [ir.Imported(alias.asname or alias.name, module, alias.name, level) for alias in node.names]
    return ir.Import(tuple(names), at)
