"""Expressions of libcst become expressions of `ir`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import libcst as cst

from leaklint import ir
from leaklint.lower import literals
from leaklint.lower.positions import Positions
from leaklint.lower.walk import MAX_DEPTH, Place, TooDeepError, Walk


class TreeWalk(Walk):
    """The accumulators of one full lowering, with the positions of its tree."""

    __slots__ = ("positions",)

    def __init__(self, positions: Positions) -> None:
        super().__init__()
        self.positions = positions


def expression(walk: TreeWalk, node: cst.CSTNode) -> ir.Expr:
    """Everything is lowered in the order of the source, which makes the site numbers ascend. Raises TooDeepError."""
    walk.depth += 1
    if walk.depth > MAX_DEPTH:
        raise TooDeepError(walk.at.line, walk.at.column)
    lowered = _FORMS[type(node)](walk, node)
    walk.depth -= 1
    return lowered


def optional(walk: TreeWalk, node: cst.CSTNode | None) -> ir.Expr | None:
    return None if node is None else expression(walk, node)


def arguments(walk: TreeWalk, nodes: Sequence[cst.Arg]) -> tuple[ir.Argument, ...]:
    return tuple([
        ir.Argument(expression(walk, node.value), node.keyword.value if node.keyword else None, len(node.star)) for node in nodes
    ])  # fmt: skip


def parameters(walk: TreeWalk, node: cst.Parameters) -> tuple[ir.Parameter, ...]:
    found: list[ir.Parameter] = []
    add = found.append
    for param in node.posonly_params:
        add(_parameter(walk, param, "positional"))
    for param in node.params:
        add(_parameter(walk, param, "any"))
    if isinstance(node.star_arg, cst.Param):
        add(_parameter(walk, node.star_arg, "vararg"))
    for param in node.kwonly_params:
        add(_parameter(walk, param, "keyword"))
    if node.star_kwarg is not None:
        add(_parameter(walk, node.star_kwarg, "kwarg"))
    return tuple(found)


def _parameter(walk: TreeWalk, node: cst.Param, kind: Any) -> ir.Parameter:
    annotation = optional(walk, node.annotation.annotation) if node.annotation else None
    return ir.Parameter(node.name.value, kind, optional(walk, node.default), annotation)


def _name(walk: TreeWalk, node: cst.Name) -> ir.Expr:
    return literals.NAMED.get(node.value) or ir.Name(node.value)


def _attribute(walk: TreeWalk, node: cst.Attribute) -> ir.Expr:
    return ir.Attribute(expression(walk, node.value), node.attr.value)


def _call(walk: TreeWalk, node: cst.Call) -> ir.Expr:
    at = walk.positions.span(node)
    walk.sites = site = walk.sites + 1
    return ir.Call(expression(walk, node.func), arguments(walk, node.args), at, site)


def _await(walk: TreeWalk, node: cst.Await) -> ir.Expr:
    at = walk.positions.span(node)
    site = walk.site()
    return ir.Await(expression(walk, node.expression), at, site)


def _yield(walk: TreeWalk, node: cst.Yield) -> ir.Expr:
    walk.generators.add(walk.place.function)
    at = walk.positions.span(node)
    if isinstance(node.value, cst.From):
        return ir.Yield(expression(walk, node.value.item), True, at)
    return ir.Yield(optional(walk, node.value), False, at)


def _lambda(walk: TreeWalk, node: cst.Lambda) -> ir.Expr:
    index = walk.new_function()
    at = walk.positions.span(node)
    place = walk.place
    params = parameters(walk, node.params)
    qualname = f"{place.prefix}<lambda>"
    walk.place = Place(index, None, f"{qualname}.<locals>.")
    body = (ir.Return(expression(walk, node.body), at),)
    walk.place = place
    walk.functions[index] = ir.Function(
        "<lambda>", qualname, "lambda", params, body, (), None, False, index in walk.generators, place.function, place.owner, at
    )  # fmt: skip
    return ir.Lambda(index)


def _elements(walk: TreeWalk, nodes: Iterable[cst.BaseElement]) -> tuple[ir.Expr, ...]:
    return tuple([
        ir.Starred(expression(walk, node.value)) if type(node) is cst.StarredElement else expression(walk, node.value) for node in nodes
    ])  # fmt: skip


def _starred(walk: TreeWalk, node: cst.StarredElement) -> ir.Expr:
    return ir.Starred(expression(walk, node.value))


def _tuple(walk: TreeWalk, node: cst.Tuple) -> ir.Expr:
    return ir.Display("tuple", _elements(walk, node.elements))


def _list(walk: TreeWalk, node: cst.List) -> ir.Expr:
    return ir.Display("list", _elements(walk, node.elements))


def _set(walk: TreeWalk, node: cst.Set) -> ir.Expr:
    return ir.Display("set", _elements(walk, node.elements))


def _dict(walk: TreeWalk, node: cst.Dict) -> ir.Expr:
    return ir.Mapping(tuple([
        (expression(walk, item.key) if isinstance(item, cst.DictElement) else None, expression(walk, item.value)) for item in node.elements
    ]))  # fmt: skip


def _clauses(walk: TreeWalk, node: cst.CompFor) -> tuple[ir.Clause, ...]:
    clauses: list[ir.Clause] = []
    inner: cst.CompFor | None = node
    while inner is not None:
        site = walk.site()
        target = expression(walk, inner.target)
        iterable = expression(walk, inner.iter)
        conditions = tuple([expression(walk, clause.test) for clause in inner.ifs])
        clauses.append(ir.Clause(target, iterable, conditions, inner.asynchronous is not None, site))
        inner = inner.inner_for_in
    return tuple(clauses)


def _simple_comprehension(kind: Any) -> Callable[[TreeWalk, Any], ir.Expr]:
    def lower(walk: TreeWalk, node: cst.ListComp | cst.SetComp | cst.GeneratorExp) -> ir.Expr:
        at = walk.positions.bracketed(node) if kind == "generator" else walk.positions.span(node)
        element = expression(walk, node.elt)
        return ir.Comprehension(kind, None, element, _clauses(walk, node.for_in), at)

    return lower


def _dict_comprehension(walk: TreeWalk, node: cst.DictComp) -> ir.Expr:
    at = walk.positions.span(node)
    key = expression(walk, node.key)
    element = expression(walk, node.value)
    return ir.Comprehension("dict", key, element, _clauses(walk, node.for_in), at)


def _subscript(walk: TreeWalk, node: cst.Subscript) -> ir.Expr:
    base = expression(walk, node.value)
    elements = node.slice
    items = tuple([_index(walk, element.slice) for element in elements])
    first = elements[0]
    is_single = len(elements) == 1 and not isinstance(first.comma, cst.Comma) and not isinstance(items[0], ir.Starred)
    return ir.Subscript(base, items[0] if is_single else ir.Display("tuple", items))


def _index(walk: TreeWalk, node: cst.BaseSlice) -> ir.Expr:
    if isinstance(node, cst.Slice):
        return ir.Slice(optional(walk, node.lower), optional(walk, node.upper), optional(walk, node.step))
    assert isinstance(node, cst.Index)
    item = expression(walk, node.value)
    return ir.Starred(item) if node.star else item


def _unary(walk: TreeWalk, node: cst.UnaryOperation) -> ir.Expr:
    return ir.Operation(OPERATORS[type(node.operator)], (expression(walk, node.expression),))


def _binary(walk: TreeWalk, node: cst.BinaryOperation) -> ir.Expr:
    operator = type(node.operator)
    rights: list[cst.BaseExpression] = [node.right]
    left = node.left
    while isinstance(left, cst.BinaryOperation) and type(left.operator) is operator:
        rights.append(left.right)
        left = left.left
    first = expression(walk, left)
    return ir.Operation(OPERATORS[operator], (first, *[expression(walk, right) for right in reversed(rights)]))


def _boolean(walk: TreeWalk, node: cst.BooleanOperation) -> ir.Expr:
    operator = type(node.operator)
    operands: list[ir.Expr] = []
    todo: list[cst.BaseExpression] = [node]
    while todo:
        operand = todo.pop()
        if isinstance(operand, cst.BooleanOperation) and type(operand.operator) is operator:
            todo += (operand.right, operand.left)
        else:
            operands.append(expression(walk, operand))
    return ir.Operation(OPERATORS[operator], tuple(operands))


def _comparison(walk: TreeWalk, node: cst.Comparison) -> ir.Expr:
    left = expression(walk, node.left)
    operators = tuple([OPERATORS[type(target.operator)] for target in node.comparisons])
    return ir.Comparison(left, operators, tuple([expression(walk, target.comparator) for target in node.comparisons]))


def _choice(walk: TreeWalk, node: cst.IfExp) -> ir.Expr:
    then = expression(walk, node.body)
    test = expression(walk, node.test)
    return ir.Choice(test, then, expression(walk, node.orelse))


def _walrus(walk: TreeWalk, node: cst.NamedExpr) -> ir.Expr:
    assert isinstance(node.target, cst.Name)
    return ir.Walrus(ir.Name(node.target.value), expression(walk, node.value))


def _string(walk: TreeWalk, node: cst.SimpleString) -> ir.Expr:
    return literals.string(node.value)


def _template(walk: TreeWalk, node: cst.FormattedString | cst.TemplatedString) -> ir.Expr:
    return ir.Template(tuple(_interpolated(walk, node.parts)))


def _interpolated(walk: TreeWalk, parts: Iterable[cst.CSTNode]) -> Iterable[ir.Expr]:
    for part in parts:
        if isinstance(part, (cst.FormattedStringExpression, cst.TemplatedStringExpression)):
            value = expression(walk, part.expression)
            is_shown = part.conversion in ("r", "a") or (part.equal is not None and part.conversion is None and part.format_spec is None)
            yield ir.Operation("!r", (value,)) if is_shown else value
            if part.format_spec:
                yield from _interpolated(walk, part.format_spec)


def _concatenated(walk: TreeWalk, node: cst.ConcatenatedString) -> ir.Expr:
    pieces: list[cst.CSTNode] = []
    rest: cst.CSTNode = node
    while isinstance(rest, cst.ConcatenatedString):
        pieces.append(rest.left)
        rest = rest.right
    pieces.append(rest)
    plain = [piece.value for piece in pieces if isinstance(piece, cst.SimpleString)]
    if len(plain) < len(pieces):
        parts = [piece.parts for piece in pieces if isinstance(piece, (cst.FormattedString, cst.TemplatedString))]
        return ir.Template(tuple([item for part in parts for item in _interpolated(walk, part)]))
    if literals.is_bytes(plain[0]):
        return literals.joined_bytes(b"".join(value for piece in plain if isinstance(value := literals.evaluate(piece), bytes)))
    return literals.text("".join(map(literals.value, plain)))


def _ellipsis(walk: TreeWalk, node: cst.Ellipsis) -> ir.Expr:
    return literals.ELLIPSIS


def _number(kind: Any) -> Callable[[TreeWalk, Any], ir.Expr]:
    return lambda walk, node: ir.Constant(kind, node.value)


OPERATORS: dict[type[cst.CSTNode], str] = {
    cst.Not: "not", cst.Minus: "-", cst.Plus: "+", cst.BitInvert: "~", cst.And: "and", cst.Or: "or",
    cst.Add: "+", cst.Subtract: "-", cst.Multiply: "*", cst.MatrixMultiply: "@", cst.Divide: "/", cst.FloorDivide: "//",
    cst.Modulo: "%", cst.Power: "**", cst.LeftShift: "<<", cst.RightShift: ">>", cst.BitOr: "|", cst.BitXor: "^", cst.BitAnd: "&",
    cst.Equal: "==", cst.NotEqual: "!=", cst.LessThan: "<", cst.LessThanEqual: "<=", cst.GreaterThan: ">", cst.GreaterThanEqual: ">=",
    cst.Is: "is", cst.IsNot: "is not", cst.In: "in", cst.NotIn: "not in",
    cst.AddAssign: "+", cst.SubtractAssign: "-", cst.MultiplyAssign: "*", cst.MatrixMultiplyAssign: "@", cst.DivideAssign: "/",
    cst.FloorDivideAssign: "//", cst.ModuloAssign: "%", cst.PowerAssign: "**", cst.LeftShiftAssign: "<<", cst.RightShiftAssign: ">>",
    cst.BitOrAssign: "|", cst.BitXorAssign: "^", cst.BitAndAssign: "&",
}  # fmt: skip

_FORMS: dict[type[cst.CSTNode], Callable[[TreeWalk, Any], ir.Expr]] = {
    cst.Name: _name,
    cst.Attribute: _attribute,
    cst.Call: _call,
    cst.Await: _await,
    cst.Yield: _yield,
    cst.Lambda: _lambda,
    cst.Tuple: _tuple,
    cst.List: _list,
    cst.Set: _set,
    cst.Dict: _dict,
    cst.StarredElement: _starred,
    cst.ListComp: _simple_comprehension("list"),
    cst.SetComp: _simple_comprehension("set"),
    cst.GeneratorExp: _simple_comprehension("generator"),
    cst.DictComp: _dict_comprehension,
    cst.Subscript: _subscript,
    cst.UnaryOperation: _unary,
    cst.BinaryOperation: _binary,
    cst.BooleanOperation: _boolean,
    cst.Comparison: _comparison,
    cst.IfExp: _choice,
    cst.NamedExpr: _walrus,
    cst.SimpleString: _string,
    cst.ConcatenatedString: _concatenated,
    cst.FormattedString: _template,
    cst.TemplatedString: _template,
    cst.Integer: _number("int"),
    cst.Float: _number("float"),
    cst.Imaginary: _number("complex"),
    cst.Ellipsis: _ellipsis,
}
