"""LK601: the rest of a piece goes back to the front of the row that it was taken from, as a copy, for each part that is read."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint import ir
from leaklint.finding import Confidence, Growth, Leak
from leaklint.graph import Graph
from leaklint.link.syntax import expressions, subexpressions, walk
from leaklint.link.values import FunctionId
from leaklint.queries.octets import bindings, row_of_octets
from leaklint.queries.remains import name_of, rest_of, written


def put_back(graph: Graph) -> Iterator[Leak]:
    """A method takes the first of a row of bytes that its object keeps, uses a part of it, and puts what is left back in front."""
    told: set[tuple[int, int]] = set()
    for function in sorted(graph.program.live):
        body = graph.program.node(function).body
        for row, given, at in _puts(body):
            if function.source in told or (found := _rest(body, row, given)) is None or not row_of_octets(graph, function, row):
                continue
            piece, start, cut = found
            if not _is_used(graph, function, piece):
                continue
            told.add(function.source)
            yield _leak(graph, function, row, piece, start, cut if cut is not None else at, at)


def _puts(body: tuple[ir.Stmt, ...]) -> Iterator[tuple[ir.Attribute, ir.Expr, ir.Span]]:
    """What is put in front of a row in an attribute of `self`, or in the place of its first: the row, what is put there, where."""
    for stmt in walk(body):
        match stmt:
            case ir.Bind(targets=(ir.Subscript(base=row, index=ir.Constant(text="0")),), value=given, at=at) if _is_kept(row):
                assert isinstance(row, ir.Attribute)
                yield row, given, at
            case _:
                pass
        for part in (p for e in expressions(stmt) for p in subexpressions(e)):
            match part:
                case ir.Call(function=ir.Attribute(base=ir.Attribute() as row, name="appendleft"), arguments=(one,), at=at) if _is_kept(
                    row
                ):
                    yield row, one.value, at
                case ir.Call(function=ir.Attribute(base=ir.Attribute() as row, name="insert"), arguments=(first, one), at=at):
                    if _is_kept(row) and first.value == ir.Constant("int", "0"):
                        yield row, one.value, at
                case _:
                    pass


def _is_kept(row: ir.Expr) -> bool:
    return isinstance(row, ir.Attribute) and row.base == ir.Name("self")


def _rest(body: tuple[ir.Stmt, ...], row: ir.Attribute, given: ir.Expr) -> tuple[ir.Expr, ir.Expr, ir.Span | None] | None:
    """What `given` is the rest of, where that begins, and where the slice stands if it has a name: of the first in the row, or of what was
    taken from its front."""
    named = [(bound, stmt) for stmt, bound in bindings(body, given) if bound is not None] if isinstance(given, ir.Name) else [(given, None)]
    for value, stmt in named:
        if not isinstance(value, ir.Subscript) or (start := rest_of(value, value.base)) is None:
            continue
        is_first = isinstance(value.base, ir.Name) and any(_is_front(bound, row) for _, bound in bindings(body, value.base))
        if is_first or _is_front(value.base, row):
            return value.base, start, stmt.at if isinstance(stmt, ir.Bind) else None
    return None


def _is_used(graph: Graph, function: FunctionId, piece: ir.Expr) -> bool:
    """Whether the beginning of the piece is read here, or a call takes as much of it as it likes."""
    for stmt in walk(graph.program.node(function).body):
        for part in (p for e in expressions(stmt) for p in subexpressions(e)):
            match part:
                case ir.Subscript(base=base, index=ir.Slice(upper=upper)) if base == piece and upper is not None:
                    return True
                case ir.Call(function=called, arguments=arguments, site=site) if any(one.value == piece for one in arguments):
                    if not isinstance(called, ir.Name) or not graph.program.is_inert(function.site(site)):
                        return True
                case _:
                    pass
    return False


def _is_front(value: ir.Expr | None, row: ir.Attribute) -> bool:
    match value:
        case ir.Call(function=ir.Attribute(base=base, name="popleft"), arguments=()):
            return base == row
        case ir.Call(function=ir.Attribute(base=base, name="pop"), arguments=(first,)):
            return base == row and first.value == ir.Constant("int", "0")
        case ir.Subscript(base=base, index=ir.Constant(text="0")):
            return base == row
        case _:
            return False


def _leak(graph: Graph, function: FunctionId, row: ir.Attribute, piece: ir.Expr, start: ir.Expr, cut: ir.Span, put: ir.Span) -> Leak:
    operation, container = f"{name_of(piece)}[{written(start)}:]", name_of(row)
    steps = (
        graph.step(function, cut, f"`{operation}` copies all that is left of the first piece"),
        graph.step(function, put, f"it goes back to the front of `{container}`, and the next call cuts it again"),
    )
    return Leak(
        graph.program.path(function.module), cut, graph.qualname(function),
        {"operation": operation, "object": container, "growth": ""},
        Confidence.LIKELY, Growth.PER_CALL, steps, "putback",
    )  # fmt: skip
