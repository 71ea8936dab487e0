"""Expressions of the standard library's `ast` become expressions of `ir`: for outlines, which need no libcst.

The forms are those of `expressions`, node by node; a test holds the two together.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from leaklint import ir
from leaklint.lower import literals
from leaklint.lower.nesting import STRING
from leaklint.lower.walk import MAX_DEPTH, Place, TooDeepError, Walk

_ONE_BYTES = re.compile(rf"[bBrR]{{1,2}}(?:{STRING})", re.VERBOSE | re.DOTALL)


class OutlineWalk(Walk):
    """The accumulators of one outline. `within` is the template around: before Python 3.12 `ast` misplaces what is inside of one,
    so that everything there gets the template's span."""

    __slots__ = ("lines", "within")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.lines = text.split("\n")
        self.within: ir.Span | None = None

    def span(self, node: ast.AST) -> ir.Span:
        """`ast` counts columns in UTF-8 bytes from 0."""
        located: Any = node
        if self.within is not None:
            return self.within
        line, end_line = located.lineno, located.end_lineno
        return ir.Span(line, self._column(line, located.col_offset), end_line, self._column(end_line, located.end_col_offset))

    def source(self, node: ast.AST) -> str:
        at = self.span(node)
        if at.line == at.end_line:
            return self.lines[at.line - 1][at.column - 1 : at.end_column - 1]
        first, last = self.lines[at.line - 1][at.column - 1 :], self.lines[at.end_line - 1][: at.end_column - 1]
        return "\n".join([first, *self.lines[at.line : at.end_line - 1], last])

    def _column(self, line: int, offset: int) -> int:
        text = self.lines[line - 1]
        if text.isascii():
            return offset + 1
        return len(text.encode()[:offset].decode()) + 1


def expression(walk: OutlineWalk, node: ast.AST) -> ir.Expr:
    """Raises TooDeepError."""
    walk.depth += 1
    if walk.depth > MAX_DEPTH:
        raise TooDeepError(walk.at.line, walk.at.column)
    lowered = _FORMS[type(node)](walk, node)
    walk.depth -= 1
    return lowered


def optional(walk: OutlineWalk, node: ast.AST | None) -> ir.Expr | None:
    return None if node is None else expression(walk, node)


def items(walk: OutlineWalk, nodes: Iterable[ast.AST]) -> tuple[ir.Expr, ...]:
    return tuple([expression(walk, node) for node in nodes])


def argument(walk: OutlineWalk, node: ast.expr | ast.keyword) -> ir.Argument:
    if isinstance(node, ast.keyword):
        return ir.Argument(expression(walk, node.value), node.arg, 0 if node.arg else 2)
    if isinstance(node, ast.Starred):
        return ir.Argument(expression(walk, node.value), None, 1)
    return ir.Argument(expression(walk, node))


def parameters(walk: OutlineWalk, node: ast.arguments) -> tuple[ir.Parameter, ...]:
    found: list[ir.Parameter] = []
    plain = len(node.posonlyargs) + len(node.args)
    defaults: list[ast.expr | None] = [None] * (plain - len(node.defaults)) + node.defaults
    for number, arg in enumerate([*node.posonlyargs, *node.args]):
        found.append(_parameter(walk, arg, "positional" if number < len(node.posonlyargs) else "any", defaults[number]))
    if node.vararg:
        found.append(_parameter(walk, node.vararg, "vararg", None))
    for arg, default in zip(node.kwonlyargs, node.kw_defaults, strict=True):
        found.append(_parameter(walk, arg, "keyword", default))
    if node.kwarg:
        found.append(_parameter(walk, node.kwarg, "kwarg", None))
    return tuple(found)


def _parameter(walk: OutlineWalk, node: ast.arg, kind: Any, default: ast.expr | None) -> ir.Parameter:
    annotation = optional(walk, node.annotation)
    return ir.Parameter(node.arg, kind, optional(walk, default), annotation)


def _name(walk: OutlineWalk, node: ast.Name) -> ir.Expr:
    return ir.Name(node.id)


def _attribute(walk: OutlineWalk, node: ast.Attribute) -> ir.Expr:
    return ir.Attribute(expression(walk, node.value), node.attr)


def _constant(walk: OutlineWalk, node: ast.Constant) -> ir.Expr:
    value = node.value
    if isinstance(value, str):
        return literals.text(value)
    if isinstance(value, bytes):
        source = "" if walk.within else walk.source(node)
        return ir.Constant("bytes", source) if _ONE_BYTES.fullmatch(source) else literals.joined_bytes(value)
    if value is None:
        return literals.NONE
    if value is True:
        return literals.TRUE
    if value is False:
        return literals.FALSE
    if value is ...:
        return literals.ELLIPSIS
    kind: Any = type(value).__name__
    return ir.Constant(kind, repr(value) if walk.within else walk.source(node))


def _call(walk: OutlineWalk, node: ast.Call) -> ir.Expr:
    at = walk.span(node)
    site = walk.site()
    function = expression(walk, node.func)
    return ir.Call(function, tuple([argument(walk, arg) for arg in _in_order(node)]), at, site)


def _in_order(node: ast.Call) -> Sequence[ast.expr | ast.keyword]:
    """`f(key=1, *rest)`: `ast` puts `*rest` before the keyword, the source does not."""
    if not node.keywords or not any(isinstance(arg, ast.Starred) for arg in node.args):
        return [*node.args, *node.keywords]
    return sorted([*node.args, *node.keywords], key=lambda arg: (arg.lineno, arg.col_offset))


def _await(walk: OutlineWalk, node: ast.Await) -> ir.Expr:
    at = walk.span(node)
    site = walk.site()
    return ir.Await(expression(walk, node.value), at, site)


def _yield(walk: OutlineWalk, node: ast.Yield | ast.YieldFrom) -> ir.Expr:
    walk.generators.add(walk.place.function)
    at = walk.span(node)
    return ir.Yield(optional(walk, node.value), isinstance(node, ast.YieldFrom), at)


def _lambda(walk: OutlineWalk, node: ast.Lambda) -> ir.Expr:
    index = walk.new_function()
    at = walk.span(node)
    place = walk.place
    params = parameters(walk, node.args)
    qualname = f"{place.prefix}<lambda>"
    walk.place = Place(index, None, f"{qualname}.<locals>.")
    body = (ir.Return(expression(walk, node.body), at),)
    walk.place = place
    walk.functions[index] = ir.Function(
        "<lambda>", qualname, "lambda", params, body, (), None, False, index in walk.generators, place.function, place.owner, at
    )  # fmt: skip
    return ir.Lambda(index)


def _display(kind: Any) -> Callable[[OutlineWalk, Any], ir.Expr]:
    return lambda walk, node: ir.Display(kind, items(walk, node.elts))


def _dict(walk: OutlineWalk, node: ast.Dict) -> ir.Expr:
    pairs = zip(node.keys, node.values, strict=True)
    return ir.Mapping(tuple([(optional(walk, key), expression(walk, value)) for key, value in pairs]))


def _starred(walk: OutlineWalk, node: ast.Starred) -> ir.Expr:
    return ir.Starred(expression(walk, node.value))


def _clauses(walk: OutlineWalk, nodes: Sequence[ast.comprehension]) -> tuple[ir.Clause, ...]:
    clauses: list[ir.Clause] = []
    for node in nodes:
        site = walk.site()
        target = expression(walk, node.target)
        iterable = expression(walk, node.iter)
        clauses.append(ir.Clause(target, iterable, items(walk, node.ifs), bool(node.is_async), site))
    return tuple(clauses)


def _comprehension(kind: Any) -> Callable[[OutlineWalk, Any], ir.Expr]:
    def lower(walk: OutlineWalk, node: Any) -> ir.Expr:
        at = walk.span(node)
        key = expression(walk, node.key) if kind == "dict" else None
        element = expression(walk, node.value if kind == "dict" else node.elt)
        return ir.Comprehension(kind, key, element, _clauses(walk, node.generators), at)

    return lower


def _subscript(walk: OutlineWalk, node: ast.Subscript) -> ir.Expr:
    base = expression(walk, node.value)
    return ir.Subscript(base, expression(walk, node.slice))


def _slice(walk: OutlineWalk, node: ast.Slice) -> ir.Expr:
    return ir.Slice(optional(walk, node.lower), optional(walk, node.upper), optional(walk, node.step))


def _unary(walk: OutlineWalk, node: ast.UnaryOp) -> ir.Expr:
    return ir.Operation(OPERATORS[type(node.op)], (expression(walk, node.operand),))


def _binary(walk: OutlineWalk, node: ast.BinOp) -> ir.Expr:
    operator = type(node.op)
    rights = [node.right]
    left = node.left
    while isinstance(left, ast.BinOp) and type(left.op) is operator:
        rights.append(left.right)
        left = left.left
    first = expression(walk, left)
    return ir.Operation(OPERATORS[operator], (first, *items(walk, reversed(rights))))


def _boolean(walk: OutlineWalk, node: ast.BoolOp) -> ir.Expr:
    operator = type(node.op)
    operands: list[ir.Expr] = []
    todo: list[ast.expr] = [node]
    while todo:
        operand = todo.pop()
        if isinstance(operand, ast.BoolOp) and type(operand.op) is operator:
            todo += reversed(operand.values)
        else:
            operands.append(expression(walk, operand))
    return ir.Operation(OPERATORS[operator], tuple(operands))


def _comparison(walk: OutlineWalk, node: ast.Compare) -> ir.Expr:
    left = expression(walk, node.left)
    return ir.Comparison(left, tuple([OPERATORS[type(operator)] for operator in node.ops]), items(walk, node.comparators))


def _choice(walk: OutlineWalk, node: ast.IfExp) -> ir.Expr:
    then = expression(walk, node.body)
    test = expression(walk, node.test)
    return ir.Choice(test, then, expression(walk, node.orelse))


def _walrus(walk: OutlineWalk, node: ast.NamedExpr) -> ir.Expr:
    return ir.Walrus(ir.Name(node.target.id), expression(walk, node.value))


def _template(walk: OutlineWalk, node: Any) -> ir.Expr:
    around = walk.within
    walk.within = around or walk.span(node)
    parts = tuple(_interpolated(walk, node))
    walk.within = around
    return ir.Template(parts)


def _interpolated(walk: OutlineWalk, node: Any) -> Iterable[ir.Expr]:
    """`node` is a JoinedStr, or from Python 3.14 on a TemplateStr."""
    for part in node.values:
        if not isinstance(part, ast.Constant):
            value = expression(walk, part.value)
            yield ir.Operation("!r", (value,)) if part.conversion in _SHOWN else value
            if part.format_spec is not None:
                yield from _interpolated(walk, part.format_spec)


_SHOWN = frozenset({ord("r"), ord("a")})

OPERATORS: dict[type[ast.AST], str] = {
    ast.Not: "not", ast.USub: "-", ast.UAdd: "+", ast.Invert: "~", ast.And: "and", ast.Or: "or",
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.MatMult: "@", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%", ast.Pow: "**",
    ast.LShift: "<<", ast.RShift: ">>", ast.BitOr: "|", ast.BitXor: "^", ast.BitAnd: "&",
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
    ast.Is: "is", ast.IsNot: "is not", ast.In: "in", ast.NotIn: "not in",
}  # fmt: skip

_FORMS: dict[type[ast.AST], Callable[[OutlineWalk, Any], ir.Expr]] = {
    ast.Name: _name,
    ast.Attribute: _attribute,
    ast.Constant: _constant,
    ast.Call: _call,
    ast.Await: _await,
    ast.Yield: _yield,
    ast.YieldFrom: _yield,
    ast.Lambda: _lambda,
    ast.Tuple: _display("tuple"),
    ast.List: _display("list"),
    ast.Set: _display("set"),
    ast.Dict: _dict,
    ast.Starred: _starred,
    ast.ListComp: _comprehension("list"),
    ast.SetComp: _comprehension("set"),
    ast.DictComp: _comprehension("dict"),
    ast.GeneratorExp: _comprehension("generator"),
    ast.Subscript: _subscript,
    ast.Slice: _slice,
    ast.UnaryOp: _unary,
    ast.BinOp: _binary,
    ast.BoolOp: _boolean,
    ast.Compare: _comparison,
    ast.IfExp: _choice,
    ast.NamedExpr: _walrus,
    ast.JoinedStr: _template,
}
if TEMPLATE := getattr(ast, "TemplateStr", None):
    _FORMS[TEMPLATE] = _template
