"""LK601: a large value is copied again and again."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint import ir
from leaklint.catalog.grammar import Does
from leaklint.finding import Confidence, Growth, Leak, Step
from leaklint.graph import Graph
from leaklint.link.actions import Action
from leaklint.link.scopes import subexpressions, walk
from leaklint.link.sizes import length, origin, whole_number
from leaklint.link.values import FunctionId
from leaklint.queries.query import NoOptions

_LARGE = 1 << 20
"""Bytes from which a copy counts as large: below it, allocation and copying cost less than the call around them."""
_POINTER = 8
"""Bytes that one element of a list or tuple takes on a 64-bit machine, the element itself not counted."""


def copied(graph: Graph, options: NoOptions) -> Iterator[Leak]:
    """A full copy, by call, slice or pickle, of a value whose size can be read off the program, in every turn of a loop or for every
    unit that is started."""
    for action in graph.program.actions:
        if action.function not in graph.program.live:
            continue
        for value in _copied_values(action):
            leak = _judge(graph, action.function, action.site.number, action.at, action.method, value)
            if leak is not None:
                yield leak
                break
    yield from _slices(graph)


def _copied_values(action: Action) -> list[ir.Expr]:
    """What the operation copies whole: its value, or everything that is pickled with it."""
    operation, given = action.call.operation, action.call.given
    if action.does is Does.COPY:
        name = operation.value or operation.subject
        return [given[name]] if name in given else []
    if not operation.copies and not _pickles(action):
        return []
    values: list[ir.Expr] = []
    for expression in ([given[operation.value]] if operation.value in given else []):
        values.append(expression)
    node = action.call.record.node
    for argument in node.arguments if node is not None else ():
        if operation.value is None:
            values += argument.value.items if isinstance(argument.value, ir.Display) else (argument.value,)
    return values


def _pickles(action: Action) -> bool:
    """The constructor of a process hands its arguments over as a copy."""
    return action.does is Does.MAKE and action.call.operation.kind is not None and action.call.operation.kind.value == "process"


def _judge(graph: Graph, function: FunctionId, site: int, at: ir.Span, operation: str, value: ir.Expr) -> Leak | None:
    size, made = _size(graph, function, value)
    if size is None or size < _LARGE:
        return None
    place = graph.program.place(function, site)
    if place is None:
        return None
    loop = place.loops[-1] if place.loops else None
    if loop is not None and made is not None and made[0] == function and _is_inside(loop, made[1]):
        return None  # a new value in every turn: copying it once is no repetition
    if loop is not None and _leaves_at_once(loop, place.stmt):
        return None
    count, growth = _count(graph, function, loop, place.in_comprehension)
    if count is None:
        return None
    name = _name(value)
    trace: list[Step] = []
    if made is not None:
        trace.append(graph.step(made[0], made[2], f"`{name}` is made here, {_bytes(size)}"))
    trace.append(graph.step(function, at, f"`{operation}` copies all of it, {count}"))
    return Leak(
        graph.program.path(function.module), at, graph.qualname(function),
        {"operation": operation, "object": name, "size": _bytes(size), "count": count, "growth": ""},
        Confidence.LIKELY, growth, tuple(trace),
    )  # fmt: skip


def _count(graph: Graph, function: FunctionId, loop: ir.While | ir.For | None, in_comprehension: bool) -> tuple[str | None, Growth]:
    """How often, in words."""
    match loop:
        case ir.While():
            return "in every turn of the loop", Growth.PER_ITERATION
        case ir.For(iterable=iterable, is_async=is_async):
            known = None if is_async else length(graph.program, function, iterable)
            if known is not None and known < 2:
                return None, Growth.ONCE
            return (f"{known} times" if known is not None else "in every turn of the loop"), Growth.PER_CALL
        case None:
            pass
    if in_comprehension:
        return "once for each element", Growth.PER_CALL
    if graph.program.is_spawned(function) and any(graph.growth(u.spawns) is not Growth.ONCE or _in_loop(graph, u) for u in graph.program.entered_by[function]):
        return "once for each one started", Growth.PER_CALL
    callers = [(c, n) for c in graph.program.callers.get(function, frozenset()) for n in graph.calls_to(c, function)]
    for caller, number in sorted(callers):
        place = graph.program.place(caller, number)
        if place is not None and (place.loops or place.in_comprehension):
            return "in every turn of the loop that calls it", Growth.PER_CALL
    return None, Growth.ONCE


def _in_loop(graph: Graph, unit: object) -> bool:
    for spawn in getattr(unit, "spawns", ()):
        place = graph.program.place(spawn.record.function, spawn.record.site.number)
        if place is not None and (place.loops or place.in_comprehension):
            return True
    return False


def _leaves_at_once(loop: ir.While | ir.For, stmt: ir.Stmt) -> bool:
    return isinstance(stmt, ir.Return | ir.Raise)


def _is_inside(loop: ir.While | ir.For, bound: ir.Stmt | None) -> bool:
    return any(stmt is bound for stmt in walk(loop.body)) or (isinstance(loop, ir.For) and bound is loop)


def _size(graph: Graph, function: FunctionId, value: ir.Expr) -> tuple[int | None, tuple[FunctionId, ir.Stmt | None, ir.Span] | None]:
    """Bytes of the value, where they can be read off, and where it is made."""
    own = _bytes_of(graph, function, value)
    if own is not None:
        return own, None
    found = origin(graph.program, function, value)
    if found is None:
        return None, None
    where, expression = found
    size = _bytes_of(graph, where, expression)
    stmt = next((s for s in walk(graph.program.node(where).body) if isinstance(s, ir.Bind) and s.value is expression), None)
    if size is None:
        return (*_size(graph, where, expression)[:1], None) if isinstance(expression, ir.Name | ir.Attribute) else (None, None)
    at = stmt.at if stmt is not None else expression.at if isinstance(expression, ir.Call) else None
    return size, (where, stmt, at) if at is not None else None


def _bytes_of(graph: Graph, function: FunctionId, value: ir.Expr) -> int | None:
    """Bytes of an expression that makes a value of visible size."""
    match value:
        case ir.Operation(operator="*", operands=(left, right)):
            for unit, factor in ((left, right), (right, left)):
                each = _unit_bytes(unit)
                times = whole_number(graph.program, function, factor) if each is not None else None
                if each is not None and times is not None:
                    return each * times
            return None
        case ir.Call(function=callee, arguments=(ir.Argument(value=first, keyword=None), *_)):
            word = callee.name if isinstance(callee, ir.Attribute) else callee.id if isinstance(callee, ir.Name) else ""
            return _made_bytes(graph, function, word, first)
        case _:
            return None


def _made_bytes(graph: Graph, function: FunctionId, word: str, first: ir.Expr) -> int | None:
    match word:
        case "bytearray" | "bytes" | "urandom" | "token_bytes" | "randbytes":
            number = whole_number(graph.program, function, first)
            return number if number is not None else _bytes_of(graph, function, first)
        case "zeros" | "ones" | "empty" | "full" | "random":
            sides = first.items if isinstance(first, ir.Display) else (first,)
            total = _POINTER
            for side in sides:
                number = whole_number(graph.program, function, side)
                if number is None:
                    return None
                total *= number
            return total
        case "list" | "tuple" | "array":
            number = length(graph.program, function, first)
            return number * _POINTER if number is not None else _bytes_of(graph, function, first)
        case _:
            return None


def _unit_bytes(unit: ir.Expr) -> int | None:
    """Bytes of a repeated literal."""
    match unit:
        case ir.Constant(kind="bytes", text=text):
            return max(1, len(text.encode("latin-1", "replace").decode("unicode_escape", "replace")) - 3)
        case ir.Constant(kind="str", text=text):
            return len(text)
        case ir.Display(kind="list" | "tuple", items=items):
            return len(items) * _POINTER
        case ir.Call(function=ir.Name(id="bytes" | "bytearray"), arguments=(ir.Argument(value=inner),)):
            return _unit_bytes(inner)
        case _:
            return None


def _slices(graph: Graph) -> Iterator[Leak]:
    """`x[:]` and `x.copy()` have no operation of their own: found where a call's argument or a binding's value is one."""
    program = graph.program
    for module, node in enumerate(program.modules):
        for index, function in enumerate(node.summary.functions):
            here = FunctionId(module, index)
            if here not in program.live:
                continue
            for stmt in walk(function.body):
                match stmt:
                    case ir.Bind(value=value) | ir.Evaluate(value=value) | ir.Return(value=ir.Call() as value):
                        yield from _copies_in(graph, here, value)
                    case _:
                        pass


def _copies_in(graph: Graph, function: FunctionId, value: ir.Expr) -> Iterator[Leak]:
    for part in subexpressions(value):
        match part:
            case ir.Call(function=ir.Attribute(base=base, name="copy"), arguments=(), site=site, at=where):
                leak = _judge(graph, function, site, where, "copy", base)
            case ir.Call(arguments=arguments, site=site, at=where):
                whole = [a.value.base for a in arguments if isinstance(a.value, ir.Subscript) and a.value.index == ir.Slice(None, None, None)]
                leak = _judge(graph, function, site, where, "[:]", whole[0]) if whole else None
            case _:
                continue
        if leak is not None:
            yield leak


def _name(value: ir.Expr) -> str:
    match value:
        case ir.Name(id=name):
            return name
        case ir.Attribute(base=base, name=name):
            return f"{_name(base)}.{name}"
        case _:
            return "the value"


def _bytes(size: int) -> str:
    """Bytes for people, in binary units."""
    for unit, scale in (("GiB", 1 << 30), ("MiB", 1 << 20)):
        if size >= scale:
            return f"{size / scale:.3g} {unit}"
    return f"{size} bytes"

