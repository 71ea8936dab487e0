"""LK601: what is left of some bytes is copied for each piece that is taken from them: the work grows with the square of their length."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from leaklint import ir
from leaklint.finding import Confidence, Growth, Leak, Step
from leaklint.graph import Graph
from leaklint.link.sizes import whole_number
from leaklint.link.syntax import blocks, expressions, subexpressions, walk
from leaklint.link.values import FunctionId
from leaklint.paths import EXCEPTIONAL, Node, is_endless
from leaklint.paths.one_time import turned_off
from leaklint.queries.octets import are_octets, bindings, methods

_Loop = ir.While | ir.For

_SMALL = 1 << 14
"""Bytes of one read that cost next to nothing to copy, even once for each of the messages in them."""


def remains(graph: Graph) -> Iterator[Leak]:
    """A loop that goes through bytes of any length and cuts off what is done in each turn: bytes of which a call takes as much as it likes,
    and bytes that come in pieces and are kept in an attribute."""
    told: set[tuple[str, str, str]] = set()
    for function in sorted(graph.program.live):
        for rest in _rests(graph, function):
            if not are_octets(graph, function, rest.whole):
                continue
            leak = _taken_by_calls(graph, rest) or _gathered(graph, rest)
            # A loop that cuts in several places is told of once.
            if leak is not None and (key := (leak.path, leak.facts["object"], leak.facts["loop"])) not in told:
                told.add(key)
                yield leak


@dataclass(frozen=True, slots=True, eq=False)
class _Rest:
    """`whole[start:]` in a statement; `is_cut`: it is bound to the very name that it is the rest of."""

    function: FunctionId
    stmt: ir.Bind | ir.Augment | ir.Evaluate | ir.Return
    whole: ir.Name | ir.Attribute
    start: ir.Expr
    is_cut: bool


def _rests(graph: Graph, function: FunctionId) -> Iterator[_Rest]:
    """The slices without an end of names, and of attributes of `self`, in a function."""
    for stmt in walk(graph.program.node(function).body):
        if not isinstance(stmt, ir.Bind | ir.Augment | ir.Evaluate | ir.Return):
            continue
        for part in (p for e in expressions(stmt) for p in subexpressions(e)):
            match part:
                case ir.Subscript(base=ir.Name() as whole) | ir.Subscript(base=ir.Attribute(base=ir.Name(id="self")) as whole):
                    if (start := rest_of(part, whole)) is not None:
                        yield _Rest(function, stmt, whole, start, any(bound is part for _, bound in bindings((stmt,), whole)))
                case _:
                    pass


def rest_of(value: ir.Expr | None, whole: ir.Expr) -> ir.Expr | None:
    """Where the rest begins, for a slice that leaves out the beginning of `whole`; `whole[-n:]` keeps a short tail."""
    match value:
        case ir.Subscript(base=base, index=ir.Slice(lower=lower, upper=None, step=None)) if base == whole and lower is not None:
            return None if isinstance(lower, ir.Operation) and lower.operator == "-" and len(lower.operands) == 1 else lower
        case _:
            return None


# --- bytes of which a call takes as much as it likes


def _taken_by_calls(graph: Graph, rest: _Rest) -> Leak | None:
    """The call is given the rest, and says how much of it is done; the next turn makes the rest of that."""
    node = graph.program.node(rest.function)
    loop = _loop_of(graph, rest, frozenset())
    if loop is None or any(isinstance(one, ir.Augment) for one, _ in bindings(node.body, rest.whole)):
        return None  # it also reads what comes, and has no more at a time than one read brings
    for stmt in walk(loop.body):
        for call, result in _calls_bound(stmt):
            if _advances(rest, loop, stmt, result) and _is_given(graph, rest, node, call):
                given = f"this is given what is left of `{name_of(rest.whole)}` and says how much of it is done"
                return _leak(graph, rest, "rest", loop, (graph.step(rest.function, _at(stmt), given),))
    return None


def _calls_bound(stmt: ir.Stmt) -> Iterator[tuple[ir.Call, ir.Name | None]]:
    """The calls whose result a statement binds to a name, or adds to one (None)."""
    match stmt:
        case ir.Bind(targets=(ir.Name() as name,), value=value):
            if (call := _call(value)) is not None:
                yield call, name
            if isinstance(value, ir.Operation) and value.operator == "+":
                yield from ((call, None) for one in value.operands if (call := _call(one)) is not None)
        case ir.Augment(operator="+", value=value):
            if (call := _call(value)) is not None:
                yield call, None
        case _:
            pass


def _call(value: ir.Expr) -> ir.Call | None:
    if isinstance(value, ir.Await):
        value = value.value
    return value if isinstance(value, ir.Call) else None


def _advances(rest: _Rest, loop: _Loop, stmt: ir.Stmt, result: ir.Name | None) -> bool:
    """Whether the rest of the next turn begins where the call says: the start is its result, or a count to which that is added."""
    if rest.is_cut:
        return result is not None and rest.start == result
    if not isinstance(rest.start, ir.Name):
        return False
    for one in walk(loop.body):
        match one:
            case ir.Augment(target=target, operator="+", value=value) if target == rest.start and (value == result or one is stmt):
                return True
            case ir.Bind(targets=(target,), value=ir.Operation(operator="+", operands=operands)) if target == rest.start:
                if target in operands and (result in operands or one is stmt):
                    return True
            case _:
                pass
    return False


def _is_given(graph: Graph, rest: _Rest, node: ir.Function, call: ir.Call) -> bool:
    """Whether the call gets what is left, or the beginning of it, and does something with it."""
    if isinstance(call.function, ir.Name) and graph.program.is_inert(rest.function.site(call.site)):
        return False
    for argument in call.arguments:
        values = [argument.value]
        if isinstance(argument.value, ir.Name) and argument.value != rest.whole:
            values += [bound for _, bound in bindings(node.body, argument.value) if bound is not None]
        for value in values:
            if rest.is_cut and value == rest.whole:
                return True
            match value:
                case ir.Subscript(base=base, index=ir.Slice(lower=lower)) if base == rest.whole:
                    if lower == (None if rest.is_cut else rest.start):
                        return True
                case _:
                    pass
    return False


# --- bytes that come in pieces and are kept in an attribute


def _gathered(graph: Graph, rest: _Rest) -> Leak | None:
    """An attribute gets what has come; a loop takes one message after the other from it, and cuts it each time."""
    if not rest.is_cut:
        return None
    buffer = rest.whole if isinstance(rest.whole, ir.Attribute) else _kept_as(graph, rest)
    added = _added(graph, rest.function, buffer, rest.whole) if buffer is not None else None
    if buffer is None or added is None or not _may_be_much(graph, *added):
        return None
    fillers = frozenset(one.source for one, _ in _additions(graph, rest.function, buffer))
    steps = (graph.step(*added, f"what comes is added to `{name_of(buffer)}` here"),)
    if (loop := _loop_of(graph, rest, fillers)) is not None:
        return _leak(graph, rest, "buffer", loop, steps) if _goes_through(graph, rest.function, loop, rest.whole) else None
    if not isinstance(rest.whole, ir.Attribute):
        return None
    for caller in sorted(graph.program.callers.get(rest.function, frozenset())):
        if graph.program.class_of(caller) != graph.program.class_of(rest.function):
            continue
        for number in graph.calls_to(caller, rest.function):
            for node in graph.paths(caller).of(number):
                around = _loop_through(graph, caller, node, rest.whole, fillers)
                if around is not None and node.stmt is not None and _goes_through(graph, caller, around, rest.whole):
                    called = graph.step(
                        caller, _at(node.stmt), f"the loop at line {around.at.line} calls `{graph.qualname(rest.function)}`"
                    )
                    return _leak(graph, rest, "buffer", around, (*steps, called))
    return None


def _goes_through(graph: Graph, function: FunctionId, loop: _Loop, whole: ir.Expr) -> bool:
    """Whether a loop goes on for as long as there are bytes. One that asks a state takes the few pieces that the state needs."""
    if not isinstance(loop, ir.While) or is_endless(loop.test):
        return True
    body = graph.program.node(function).body
    for part in subexpressions(loop.test):
        if part == whole or isinstance(part, ir.Call):
            return True
        if isinstance(part, ir.Name) and any(
            bound is not None and whole in tuple(subexpressions(bound)) for _, bound in bindings(body, part)
        ):
            return True
    return False


def _additions(graph: Graph, function: FunctionId, buffer: ir.Attribute) -> Iterator[tuple[FunctionId, ir.Span]]:
    """Where methods of the class put more behind what is in the attribute."""
    for method in methods(graph, function):
        for stmt in walk(graph.program.node(method).body):
            match stmt:
                case ir.Augment(target=target, operator="+", at=at) if target == buffer:
                    yield method, at
                case ir.Bind(targets=targets, value=ir.Operation(operator="+", operands=operands), at=at):
                    if buffer in targets and buffer in operands:
                        yield method, at
                case _:
                    pass


def _may_be_much(graph: Graph, function: FunctionId, at: ir.Span) -> bool:
    """Whether what is added comes from the caller, who may bring any amount, or is read right there in large pieces. What a method reads in
    small ones, or in pieces of unknown size, leaves little to cut, as far as one can tell."""
    node = graph.program.node(function)
    parameters = {ir.Name(parameter.name) for parameter in node.parameters}
    added = {part for stmt in walk(node.body) if getattr(stmt, "at", None) == at for e in expressions(stmt) for part in subexpressions(e)}
    names = {part for part in added if isinstance(part, ir.Name) and part != ir.Name("self")}
    sources = {part for name in names for _, bound in bindings(node.body, name) if bound is not None for part in subexpressions(bound)}
    if (names | sources) & parameters - {ir.Name("self")}:
        return True
    sizes = (whole_number(graph.program, function, a.value) for one in sources if isinstance(one, ir.Call) for a in one.arguments)
    return any(size is not None and size > _SMALL for size in sizes)


def _added(graph: Graph, function: FunctionId, buffer: ir.Attribute, whole: ir.Expr) -> tuple[FunctionId, ir.Span] | None:
    if whole == buffer:
        return min(_additions(graph, function, buffer), default=None, key=lambda one: one[1].line)
    return next(
        ((function, _at(stmt)) for stmt, bound in bindings(graph.program.node(function).body, whole) if _joins(bound, buffer)), None
    )


def _joins(bound: ir.Expr | None, buffer: ir.Expr) -> bool:
    return isinstance(bound, ir.Operation) and bound.operator == "+" and buffer in bound.operands


def _kept_as(graph: Graph, rest: _Rest) -> ir.Attribute | None:
    """The attribute that keeps what is left of a local name for the next call, where that is put in front of what comes then."""
    body = graph.program.node(rest.function).body
    for _, bound in bindings(body, rest.whole):
        for part in bound.operands if isinstance(bound, ir.Operation) and bound.operator == "+" else ():
            if isinstance(part, ir.Attribute) and part.base == ir.Name("self") and _is_left_in(body, part, rest.whole):
                return part
    return None


def _is_left_in(body: tuple[ir.Stmt, ...], buffer: ir.Expr, whole: ir.Expr) -> bool:
    return any(isinstance(one, ir.Bind) and buffer in one.targets and whole in tuple(subexpressions(one.value)) for one in walk(body))


# --- loops


def _loop_of(graph: Graph, rest: _Rest, fillers: frozenset[tuple[int, int]]) -> _Loop | None:
    """The innermost loop that comes to the rest again and again with nothing new in the bytes."""
    for node in graph.paths(rest.function).nodes:
        if node.stmt is rest.stmt and (loop := _loop_through(graph, rest.function, node, rest.whole, fillers)) is not None:
            return loop
    return None


def _renewals(graph: Graph, function: FunctionId, whole: ir.Expr) -> frozenset[int]:
    """The statements, by identity, that bind the bytes to anything but their own rest."""
    return frozenset(id(stmt) for stmt, bound in bindings(graph.program.node(function).body, whole) if rest_of(bound, whole) is None)


def _loop_through(graph: Graph, function: FunctionId, start: Node, whole: ir.Expr, fillers: frozenset[tuple[int, int]]) -> _Loop | None:
    """The innermost loop in which control comes back to a node without new bytes, or a flag that says not to come there again. A loop that
    reads on when it needs more, itself or in what it calls, never has more left than one read brings."""
    renewals = _renewals(graph, function, whole)
    for loop in reversed(_loops_around(graph.program.node(function).body, start.stmt)):
        inside = {id(stmt) for stmt in walk(loop.body)} | {id(loop)}
        if _reads_on(graph, function, loop, whole) or _fills(graph, function, inside, fillers):
            return None
        done = renewals | turned_off(loop.body, start.stmt)
        todo, seen = [start], set[int]()
        while todo:
            node = todo.pop()
            for edge, target in node.successors:
                if target is start and edge not in EXCEPTIONAL:
                    return loop
                if edge in EXCEPTIONAL or id(target) in seen or not (target.stmt is None or id(target.stmt) in inside):
                    continue
                seen.add(id(target))
                if id(target.stmt) not in done:
                    todo.append(target)
    return None


def _reads_on(graph: Graph, function: FunctionId, loop: _Loop, whole: ir.Expr) -> bool:
    """Whether the loop itself adds to the bytes, or binds them to what a call gives that does not get them."""
    for stmt, bound in bindings(loop.body, whole):
        match bound:
            case None | ir.Constant():
                pass
            case ir.Operation(operator="+", operands=operands) if whole in operands:
                return True
            case _ if isinstance(stmt, ir.Augment) or (_call(bound) is not None and whole not in tuple(subexpressions(bound))):
                return True
            case _:
                pass
    return False


def _fills(graph: Graph, function: FunctionId, inside: set[int], fillers: frozenset[tuple[int, int]]) -> bool:
    """Whether statements, by identity, call what puts more behind the bytes."""
    nodes = (node for node in graph.paths(function).nodes if fillers and id(node.stmt) in inside)
    callees = {c for node in nodes for number in node.sites() for c in graph.program.state.callees.get(function.site(number), ())}
    return any(one.source in fillers for one in graph.program.reached(callees)) if callees else False


def _loops_around(body: tuple[ir.Stmt, ...], inner: ir.Stmt | None) -> list[_Loop]:
    """The loops in the body of which a statement stands, outermost first."""
    for stmt in body:
        for number, block in enumerate(blocks(stmt)):
            if any(one is inner for one in walk(block)):
                own = [stmt] if isinstance(stmt, _Loop) and number == 0 else []
                return own + _loops_around(block, inner)
    return []


# --- for people


def _leak(graph: Graph, rest: _Rest, variant: str, loop: _Loop, steps: tuple[Step, ...]) -> Leak:
    name, at = name_of(rest.whole), rest.stmt.at
    last = graph.step(rest.function, at, f"each turn of the loop at line {loop.at.line} copies all that is left of `{name}`")
    return Leak(
        graph.program.path(rest.function.module), at, graph.qualname(rest.function),
        {"operation": f"{name}[{written(rest.start)}:]", "object": name, "loop": str(loop.at.line), "growth": ""},
        Confidence.LIKELY, Growth.PER_ITERATION, (*steps, last), variant,
    )  # fmt: skip


def name_of(value: ir.Expr) -> str:
    match value:
        case ir.Name(id=name):
            return name
        case ir.Attribute(base=base, name=name):
            return f"{name_of(base)}.{name}"
        case _:
            return "the bytes"


def written(start: ir.Expr) -> str:
    match start:
        case ir.Name(id=name):
            return name
        case ir.Constant(text=text):
            return text
        case _:
            return "…"


def _at(stmt: ir.Stmt) -> ir.Span:
    assert not isinstance(stmt, ir.Scope | ir.DefineFunction | ir.DefineClass)
    return stmt.at
