"""LK601: a large value is copied again and again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from leaklint import ir
from leaklint.catalog.grammar import Does, UnitKind
from leaklint.finding import Confidence, Growth, Leak, Step
from leaklint.graph import Graph
from leaklint.link.actions import Action
from leaklint.link.footprint import footprint
from leaklint.link.sizes import length
from leaklint.link.syntax import blocks, subexpressions, walk
from leaklint.link.units import Unit
from leaklint.link.values import FunctionId, Site
from leaklint.queries.growing import only_grows
from leaklint.queries.put_back import put_back
from leaklint.queries.query import NoOptions
from leaklint.queries.remains import remains

_LARGE = 1 << 20
"""Bytes from which a copy counts as large: below it, allocation and copying cost less than the call around them."""
_CHANGES = frozenset(
    {
        "append", "extend", "insert", "pop", "remove", "clear", "sort", "reverse", "update", "setdefault", "popitem", "add", "discard",
        "fill", "popleft",
    }
)  # fmt: skip
"""Methods of containers and buffers that change them."""


def copied(graph: Graph, options: NoOptions) -> Iterator[Leak]:
    """A full copy, by call, slice or pickle, in every turn of a loop or for every unit that is started, of a value whose size can be read
    off the program or which only ever grows. A copy that its receiver changes is wanted."""
    told: set[tuple[FunctionId, ir.Span]] = set()
    for copy in _copies(graph):
        if (copy.function, copy.at) in told:
            continue
        leak = _judge(graph, copy)
        if leak is not None:
            told.add((copy.function, copy.at))
            yield leak
    yield from remains(graph)
    yield from put_back(graph)


_PLACELESS = ir.Scope | ir.DefineFunction | ir.DefineClass


@dataclass(frozen=True, slots=True, eq=False)
class _Copy:
    """A place that copies `value`: with all it refers to when `deep`. `loop`: the innermost around it; `repeated`: in a comprehension."""

    function: FunctionId
    at: ir.Span
    operation: str
    value: ir.Expr
    deep: bool
    stmt: ir.Stmt
    loop: ir.While | ir.For | None
    repeated: bool


def _copies(graph: Graph) -> Iterator[_Copy]:
    program = graph.program
    for function in sorted(program.live):
        for stmt, loop in _statements(program.node(function).body):
            for value in _read(stmt):
                yield from _in_expression(graph, function, stmt, loop, value)


def _statements(body: tuple[ir.Stmt, ...]) -> Iterator[tuple[ir.Stmt, ir.While | ir.For | None]]:
    """Every statement with the innermost loop around it, in source order."""
    todo: list[tuple[ir.Stmt, ir.While | ir.For | None]] = [(stmt, None) for stmt in reversed(body)]
    while todo:
        stmt, loop = todo.pop()
        yield stmt, loop
        inside = stmt if isinstance(stmt, ir.While | ir.For) else loop
        for number, block in reversed(list(enumerate(blocks(stmt)))):
            around = inside if number == 0 else loop
            todo += [(one, around if isinstance(stmt, ir.While | ir.For) else loop) for one in reversed(block)]


def _read(stmt: ir.Stmt) -> tuple[ir.Expr, ...]:
    """The expressions whose value a statement uses: what it assigns to is none."""
    match stmt:
        case ir.Bind(value=value) | ir.Augment(value=value) | ir.Evaluate(value=value):
            return (value,)
        case ir.Return(value=value):
            return (value,) if value is not None else ()
        case ir.For(iterable=iterable):
            return (iterable,)
        case ir.With(items=items):
            return tuple(item.context for item in items)
        case ir.Branch(test=test) | ir.While(test=test):
            return (test,)
        case _:
            return ()


def _in_expression(
    graph: Graph, function: FunctionId, stmt: ir.Stmt, loop: ir.While | ir.For | None, expression: ir.Expr
) -> Iterator[_Copy]:
    parts = list(subexpressions(expression))
    repeated = {id(p) for part in parts if isinstance(part, ir.Comprehension) for p in subexpressions(part.element)}
    for part in parts:
        match part:
            case ir.Call(site=site, at=where):
                for operation, value, deep in _by_call(graph, function.site(site), part):
                    yield _Copy(function, where, operation, value, deep, stmt, loop, id(part) in repeated)
            case ir.Subscript(base=base, index=ir.Slice(lower=None, upper=None, step=None)) if not isinstance(stmt, _PLACELESS):
                yield _Copy(function, stmt.at, "[:]", base, False, stmt, loop, id(part) in repeated)
            case _:
                pass


def _by_call(graph: Graph, site: Site, call: ir.Call) -> Iterator[tuple[str, ir.Expr, bool]]:
    """What a call copies: its operation, each value, and whether with all that it refers to."""
    actions = graph.program.at(site)
    for action in actions:
        for value in _copied_values(action):
            yield action.method, value, action.call.operation.copies or action.does is not Does.COPY
    match call:
        case ir.Call(function=ir.Attribute(base=base, name="copy"), arguments=()) if not actions:
            yield "copy", base, False
        case _:
            pass


def _copied_values(action: Action) -> tuple[ir.Expr, ...]:
    """What the operation copies whole: its value, or everything that is pickled with it."""
    operation, given = action.call.operation, action.call.given
    starts_process = action.does is Does.MAKE and operation.kind is UnitKind.PROCESS
    if not (action.does is Does.COPY or operation.copies or starts_process):
        return ()
    if operation.value is not None:
        return (given[operation.value],) if operation.value in given else ()
    node = action.call.record.node
    return tuple(argument.value for argument in node.arguments) if node is not None else ()


def _judge(graph: Graph, copy: _Copy) -> Leak | None:
    found = _largest(graph, copy)
    if found is None:
        return None
    if copy.loop is not None and (_is_new_each_turn(copy, found.made) or isinstance(copy.stmt, ir.Return)):
        return None
    count, growth = _count(graph, copy.function, copy.loop, copy.repeated)
    if count is None or _is_changed(graph, copy):
        return None
    name = _name(found.value)
    trace: list[Step] = []
    if found.made is not None:
        trace.append(graph.step(*found.made, f"`{name}` is made here, {found.size}"))
    trace.append(graph.step(copy.function, copy.at, f"`{copy.operation}` copies all of it, {count}"))
    return Leak(
        graph.program.path(copy.function.module), copy.at, graph.qualname(copy.function),
        {"operation": copy.operation, "object": name, "size": found.size, "count": count, "growth": ""},
        Confidence.LIKELY, growth, tuple(trace),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Large:
    """A large value: its size in words, and where it is made."""

    value: ir.Expr
    size: str
    made: tuple[FunctionId, ir.Span] | None


def _largest(graph: Graph, copy: _Copy) -> _Large | None:
    """The large value itself: of arguments in a tuple, the one that is large. What is made on the spot is no copy of another value."""
    pieces = copy.value.items if copy.deep and isinstance(copy.value, ir.Display) else (copy.value,)
    for piece in pieces:
        taken = footprint(graph.program, copy.function, piece)
        size = 0 if taken is None else taken.deep if copy.deep else taken.shallow
        if taken is not None and taken.made is not None and size >= _LARGE:
            return _Large(piece, _bytes(size), taken.made)
        match piece:
            case ir.Attribute(base=ir.Name(id="self"), name=name) if copy.deep and copy.loop is not None:
                if only_grows(graph, copy.function, name):
                    return _Large(piece, "everything that was ever added to it", None)
            case _:
                pass
    return None


def _is_new_each_turn(copy: _Copy, made: tuple[FunctionId, ir.Span] | None) -> bool:
    """Whether each turn of the loop makes the value anew: copying it once is no repetition."""
    if copy.loop is None or made is None or made[0] != copy.function:
        return False
    return copy.loop.at.line <= made[1].line <= copy.loop.at.end_line


# --- how often


def _count(graph: Graph, function: FunctionId, loop: ir.While | ir.For | None, repeated: bool) -> tuple[str | None, Growth]:
    """How often, in words; None: once."""
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
    if repeated:
        return "once for each element", Growth.PER_CALL
    units = graph.program.entered_by.get(function, ())
    if any(graph.growth(unit.spawns) is not Growth.ONCE or _in_loop(graph, unit) for unit in units):
        return "once for each one started", Growth.PER_CALL
    for caller in sorted(graph.program.callers.get(function, frozenset())):
        for number in graph.calls_to(caller, function):
            place = graph.program.place(caller, number)
            if place is not None and (place.loops or place.in_comprehension):
                return "in every turn of the loop that calls it", Growth.PER_CALL
    return None, Growth.ONCE


def _in_loop(graph: Graph, unit: Unit) -> bool:
    for spawn in unit.spawns:
        place = graph.program.place(spawn.record.function, spawn.record.site.number)
        if place is not None and (place.loops or place.in_comprehension):
            return True
    return False


# --- what becomes of the copy


def _is_changed(graph: Graph, copy: _Copy) -> bool:
    """Whether the receiver changes the copy: the function under the name it gives it, or the one to which it is handed on."""
    program = graph.program
    name = copy.stmt.targets[0].id if isinstance(copy.stmt, ir.Bind) and isinstance(copy.stmt.targets[0], ir.Name) else None
    if name is not None and _changes(program.node(copy.function), name):
        return True
    for stmt in walk(program.node(copy.function).body):
        for value in _read(stmt):
            for part in subexpressions(value):
                if not isinstance(part, ir.Call):
                    continue
                for position, argument in enumerate(part.arguments):
                    callees = program.state.callees.get(copy.function.site(part.site), set())
                    inside = argument.value == ir.Name(name) if name is not None else _holds(argument.value, copy)
                    if inside and any(_changes_parameter(graph, callee, position, argument.keyword) for callee in callees):
                        return True
    return False


def _holds(value: ir.Expr, copy: _Copy) -> bool:
    match value:
        case ir.Call(at=at):
            return at == copy.at
        case ir.Subscript(base=base, index=ir.Slice(lower=None, upper=None, step=None)):
            return base is copy.value
        case _:
            return False


def _changes_parameter(graph: Graph, function: FunctionId, position: int, keyword: str | None) -> bool:
    node = graph.program.node(function)
    names = [p.name for p in node.parameters if p.kind in ("positional", "any")]
    if node.owner is not None and names[:1] in (["self"], ["cls"]):
        names = names[1:]
    name = keyword if keyword is not None else names[position] if position < len(names) else None
    return name is not None and _changes(node, name)


def _changes(function: ir.Function, name: str) -> bool:
    """Whether the function changes what it holds under the name: by subscript, by attribute, or by a method that changes containers."""
    for stmt in walk(function.body):
        match stmt:
            case ir.Bind(targets=targets) | ir.Delete(targets=targets) if any(_is_part_of(t, name) for t in targets):
                return True
            case ir.Augment(target=target) if _is_part_of(target, name) or target == ir.Name(name):
                return True
            case _:
                pass
        for value in _read(stmt):
            for part in subexpressions(value):
                match part:
                    case ir.Call(function=ir.Attribute(base=base, name=method)) if method in _CHANGES and _root(base) == name:
                        return True
                    case _:
                        pass
    return False


def _is_part_of(target: ir.Expr, name: str) -> bool:
    return isinstance(target, ir.Subscript | ir.Attribute) and _root(target) == name


def _root(expression: ir.Expr) -> str | None:
    """The name at the start of `name.a[0].b`."""
    while isinstance(expression, ir.Attribute | ir.Subscript):
        expression = expression.base
    return expression.id if isinstance(expression, ir.Name) else None


# --- for people


def _name(value: ir.Expr) -> str:
    match value:
        case ir.Name(id=name):
            return name
        case ir.Attribute(base=base, name=name):
            return f"{_name(base)}.{name}"
        case ir.Call(function=function):
            return f"{_name(function)}()"
        case _:
            return "the value"


def _bytes(size: int) -> str:
    """Bytes for people, in binary units."""
    for unit, scale in (("GiB", 1 << 30), ("MiB", 1 << 20)):
        if size >= scale:
            return f"{size / scale:.3g} {unit}"
    return f"{size} bytes"
