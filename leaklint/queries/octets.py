"""Which names and attributes hold bytes, so that a slice of them is a copy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from leaklint import ir
from leaklint.catalog.grammar import Kind
from leaklint.graph import Graph
from leaklint.link.syntax import expressions, subexpressions, walk
from leaklint.link.values import FunctionId

_BYTES = frozenset({"bytes", "bytearray"})
_VIEWS = frozenset({"memoryview", "Buffer", "ReadableBuffer", "ndarray", "frombuffer", "getbuffer"})
_GIVE_BYTES = frozenset({"encode", "to_bytes", "tobytes", "getvalue"})
_SHORT = frozenset({"pack", "to_bytes"})
"""Calls that write out a few numbers."""


def are_octets(graph: Graph, function: FunctionId, value: ir.Expr) -> bool:
    """Whether a name of the function, or an attribute of its `self`, holds bytes of any length, and never a view of some."""
    bound = list(_given(graph, function, value))
    parts = [part for one in bound for part in subexpressions(one)]
    if any(_word(part) in _VIEWS for part in parts):
        return False
    known = any(_is_octets(one) or _is_annotation(one) for one in bound) or _is_sent(graph, function, value)
    if not known and not (isinstance(value, ir.Name) and any(are_octets(graph, function, one) for one in _joined(bound))):
        return False
    return isinstance(value, ir.Attribute) or _is_parameter(graph, function, value) or not all(_is_short(one, value) for one in bound)


def row_of_octets(graph: Graph, function: FunctionId, row: ir.Attribute) -> bool:
    """Whether what an attribute of `self` keeps in a row is bytes, and never a view of some: its annotation says so, or what is added."""
    marks = list(_given(graph, function, row))
    for method in methods(graph, function):
        node = graph.program.node(method)
        for stmt in walk(node.body):
            for part in (p for e in expressions(stmt) for p in subexpressions(e)):
                match part:
                    case ir.Call(function=ir.Attribute(base=base, name="append"), arguments=(one,)) if base == row:
                        marks += [one.value, *_given(graph, method, one.value)] if isinstance(one.value, ir.Name) else [one.value]
                    case _:
                        pass
    parts = [part for one in marks for part in subexpressions(one)]
    if any(_word(part) in _VIEWS for part in parts) or _makes_views(graph, function):
        return False
    return any(_is_octets(one) for one in marks) or any(_is_annotation(part) for part in parts)


def _makes_views(graph: Graph, function: FunctionId) -> bool:
    return any(_word(p) in _VIEWS for stmt in walk(graph.program.node(function).body) for e in expressions(stmt) for p in subexpressions(e))


def bindings(body: Iterable[ir.Stmt], value: ir.Expr) -> Iterator[tuple[ir.Stmt, ir.Expr | None]]:
    """The statements that bind a name or attribute, each with what it is bound to, as far as that has an expression of its own."""
    for stmt in walk(body):
        match stmt:
            case ir.Bind(targets=targets, value=bound):
                for target in targets:
                    if target == value:
                        yield stmt, bound
                    elif isinstance(target, ir.Display) and value in target.items:
                        paired = isinstance(bound, ir.Display) and len(bound.items) == len(target.items)
                        yield stmt, bound.items[target.items.index(value)] if paired and isinstance(bound, ir.Display) else None
            case ir.Augment(target=target, value=bound) if target == value:
                yield stmt, bound
            case ir.For(target=target) if value in tuple(subexpressions(target)):
                yield stmt, None
            case ir.With(items=items) if any(item.target is not None and value in tuple(subexpressions(item.target)) for item in items):
                yield stmt, None
            case _:
                pass
        for part in (p for e in expressions(stmt) for p in subexpressions(e)):
            if isinstance(part, ir.Walrus) and part.target == value:
                yield stmt, part.value


def methods(graph: Graph, function: FunctionId) -> list[FunctionId]:
    """The methods of the class that a function stands in; the function alone where it is in none."""
    cls = graph.program.class_of(function)
    if cls is None:
        return [function]
    functions = graph.program.modules[cls.module].summary.functions
    return [function.inner(index) for index, one in enumerate(functions) if one.owner == cls.index]


def _given(graph: Graph, function: FunctionId, value: ir.Expr) -> Iterator[ir.Expr]:
    """What a name or attribute is bound to, and the annotations that it bears."""
    program = graph.program
    if isinstance(value, ir.Name):
        yield from (p.annotation for p in program.node(function).parameters if p.name == value.id and p.annotation is not None)
        yield from _in(program.node(function).body, value)
        return
    for method in methods(graph, function):
        yield from _in(program.node(method).body, value)
    cls = program.class_of(function)
    if cls is not None and isinstance(value, ir.Attribute):
        yield from _in(program.modules[cls.module].summary.classes[cls.index].body, ir.Name(value.name))


def _in(body: tuple[ir.Stmt, ...], value: ir.Expr) -> Iterator[ir.Expr]:
    for stmt, bound in bindings(body, value):
        if bound is not None:
            yield bound
        if isinstance(stmt, ir.Bind) and stmt.annotation is not None:
            yield stmt.annotation
    yield from (stmt.annotation for stmt in walk(body) if isinstance(stmt, ir.Declare) and stmt.target == value)


def _joined(bound: list[ir.Expr]) -> Iterator[ir.Attribute]:
    """The attributes of `self` that something is joined with."""
    for one in bound:
        if isinstance(one, ir.Operation) and one.operator == "+":
            yield from (part for part in one.operands if isinstance(part, ir.Attribute) and part.base == ir.Name("self"))


def _word(expression: ir.Expr) -> str | None:
    match expression:
        case ir.Name(id=name) | ir.Attribute(name=name):
            return name
        case ir.Constant(kind="str", text=text) if text in _VIEWS:
            return text
        case _:
            return None


def _is_annotation(expression: ir.Expr) -> bool:
    """`bytes`, `bytes | None`, `Optional[bytes]`: types one of which is bytes, and none holds several."""
    match expression:
        case ir.Name(id=name):
            return name in _BYTES
        case ir.Constant(kind="str", text=text):
            return text in _BYTES
        case ir.Operation(operator="|", operands=operands):
            return any(_is_annotation(one) for one in operands)
        case ir.Subscript(base=ir.Name(id="Optional") | ir.Attribute(name="Optional"), index=index):
            return _is_annotation(index)
        case _:
            return False


def _is_octets(expression: ir.Expr) -> bool:
    match expression:
        case ir.Constant(kind="bytes"):
            return True
        case ir.Call(function=ir.Name(id=name)):
            return name in _BYTES
        case ir.Call(function=ir.Attribute(base=base, name=name)):
            return name in _GIVE_BYTES or (name == "join" and _is_octets(base))
        case ir.Operation(operator="+" | "or" | "and", operands=operands):
            return any(_is_octets(one) for one in operands)
        case ir.Choice(then=then, otherwise=otherwise):
            return _is_octets(then) or _is_octets(otherwise)
        case _:
            return False


def _is_parameter(graph: Graph, function: FunctionId, value: ir.Expr) -> bool:
    return isinstance(value, ir.Name) and any(p.name == value.id for p in graph.program.node(function).parameters)


def _is_short(expression: ir.Expr, value: ir.Expr) -> bool:
    """Whether all that the expression gives is written out in the program, or what is left of that."""
    match expression:
        case ir.Constant() | ir.Template():
            return True
        case ir.Call(function=ir.Attribute(base=base, name=name)):
            return name in _SHORT or (name == "encode" and _is_short(base, value))
        case ir.Operation(operands=operands):
            return all(_is_short(one, value) for one in operands)
        case ir.Subscript(base=base):
            return base == value
        case _:
            return _is_annotation(expression)


def _is_sent(graph: Graph, function: FunctionId, value: ir.Expr) -> bool:
    """Whether it, or a slice of it, is what the function sends over a connection."""
    for action in graph.program.actions_in(function):
        if action.call.operation.value is None or not any(graph.program.kind(one) is Kind.CONNECTION for one in action.subjects):
            continue
        sent = action.call.given.get(action.call.operation.value)
        if sent == value or (isinstance(sent, ir.Subscript) and sent.base == value and isinstance(sent.index, ir.Slice)):
            return True
    return False
