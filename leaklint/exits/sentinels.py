"""Which exits of a receive loop are the agreed end of the data, and which come as a surprise to the producer."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint import ir
from leaklint.catalog.grammar import Does, Kind, Models
from leaklint.graph import Channel, Graph
from leaklint.link.actions import Action
from leaklint.link.syntax import blocks, subexpressions, target_names, walk
from leaklint.link.values import FunctionId
from leaklint.paths import handler_names

_FLAGS = frozenset({Kind.EVENT, Kind.TASK, Kind.FUTURE, Kind.THREAD})
"""What a test may ask whether it is set or done."""
_ENDINGS = frozenset({"CancelledError", "EOFError", "StopAsyncIteration", "StopIteration", "TimeoutError", "KeyboardInterrupt"})
"""Exceptions of the language by which a stream, a poll or a stop says that there is no more."""


def endings(models: Models) -> frozenset[str]:
    """The exceptions, by their last words, by which a receive says that there is no more, or nothing yet."""
    receives = (o for t in models.types.values() for o in t.methods.values() if o.does is Does.RECEIVE)
    return _ENDINGS | {name.rpartition(".")[2] for o in receives for name in (*o.raises, *o.gives_up)}


def data_names(loop: ir.While | ir.For, site: int) -> tuple[frozenset[str], frozenset[str]]:
    """The names that hold what was received, and all names that the loop assigns."""
    received: set[str] = set()
    assigned: set[str] = set()
    if isinstance(loop, ir.For):
        received |= set(target_names(loop.target))
        assigned |= received
    for stmt in (loop, *walk(loop.body)):
        match stmt:
            case ir.Bind(targets=targets, value=value):
                names = {n for t in targets for n in target_names(t)}
                assigned |= names
                if _mentions_site(value, site):
                    received |= names
            case _:
                pass
        for expression in _own(stmt):
            for part in subexpressions(expression):
                if isinstance(part, ir.Walrus):
                    assigned.add(part.target.id)
                    if _mentions_site(part.value, site):
                        received.add(part.target.id)
    return frozenset(received), frozenset(assigned)


def is_end_of_data(
    graph: Graph,
    channel: Channel,
    function: FunctionId,
    loop: ir.While | ir.For,
    leaving: ir.Stmt,
    names: tuple[frozenset[str], frozenset[str]],
    producers: frozenset[int],
) -> bool:
    """Whether a `break`, `return` or `raise` of the loop follows from a sentinel, a stop flag or the end of the channel."""
    received, assigned = names
    way = way_to(loop.body, leaving)
    if way is None:
        return True
    for stmt, part in reversed(way):
        match stmt, part:
            case ir.Try(), ir.Handler() as handler:
                caught = set(handler_names(handler))
                return bool(caught) and caught <= endings(graph.program.models)
            case ir.Branch(test=test), _:
                words = {e.id for e in subexpressions(test) if isinstance(e, ir.Name)}
                if not words & assigned:  # a flag; or a count, a deadline: whoever keeps it knows
                    return not is_stop_flag(graph, function, test, producers)
                return bool(words & received and is_sentinel(channel, test, received))
            case ir.Match(cases=cases), ir.Case() as case:
                return any(_sent(channel, test) for test in case.tests) or not cases
            case ((ir.While() | ir.For()), _):
                return True  # leaving after an inner loop: its own business
            case _:
                pass
    return isinstance(leaving, ir.Raise) is False and _is_last(loop, leaving)


def is_stop_flag(graph: Graph, function: FunctionId, test: ir.Expr, producers: frozenset[int]) -> bool:
    """Whether the test looks at nothing but a flag that somebody sets from outside: a boolean attribute, `is_set()` of an event, `done()`
    of a task. A flag says that the consumer may go; it does not wake a producer that waits in a send. Looking at the producers' own handles
    (`producers`) is another matter: when they are done nobody waits."""
    match test:
        case ir.Operation(operator="not" | "and" | "or", operands=operands):
            return all(is_stop_flag(graph, function, operand, producers) for operand in operands)
        case ir.Attribute(base=ir.Name(id="self"), name=name):
            return graph.program.is_flag(name)
        case ir.Call(site=site, arguments=()):
            looks = graph.program.at(function.site(site))
            seen = {o for a in looks if a.does is Does.OBSERVE for o in a.subjects}
            return not seen & producers and any(graph.program.kind(o) in _FLAGS for o in seen)
        case _:
            return False


def _is_last(loop: ir.While | ir.For, leaving: ir.Stmt) -> bool:
    """An unconditional exit: the loop runs once, by intention."""
    return any(stmt is leaving for stmt in loop.body)


def is_sentinel(channel: Channel, test: ir.Expr, received: frozenset[str]) -> bool:
    """Whether the test compares what was received with something that a producer sends."""
    match test:
        case ir.Operation(operator="not", operands=(ir.Name(id=name),)) if name in received:
            return True
        case ir.Name(id=name) if name in received:
            return True
        case ir.Operation(operator="and" | "or" | "not", operands=operands):
            return any(is_sentinel(channel, operand, received) for operand in operands)
        case ir.Comparison(left=left, rights=rights):
            return any(_sent(channel, side) for side in (left, *rights) if not _is_received(side, received) and _word(side) is not None)
        case ir.Call(function=ir.Name(id="isinstance"), arguments=(_, ir.Argument(value=cls))):
            return _sent(channel, cls)
        case _:
            return False


def tells_end(channel: Channel, test: ir.Expr, received: frozenset[str]) -> bool | None:
    """The value of a test on what was received that says that it is a sentinel; None for another test."""
    match test:
        case ir.Operation(operator="not", operands=(one,)):
            inner = tells_end(channel, one, received)
            return None if inner is None else not inner
        case ir.Operation(operator="and" | "or", operands=operands):
            return next((told for one in operands if (told := tells_end(channel, one, received)) is not None), None)
        case ir.Walrus(target=name):
            return False if name.id in received else None
        case ir.Name(id=word):
            return False if word in received else None
        case ir.Comparison(operators=(operator,)) if is_sentinel(channel, test, received):
            return operator in ("is", "==", "in")
        case _:
            return True if is_sentinel(channel, test, received) else None


_FALSE = frozenset({"none None", "bool False", "int 0", "str ", "bytes b''", 'bytes b""'})
"""The constants that a test for truth takes for the end."""


def sends_of(channel: Channel, test: ir.Expr, received: frozenset[str]) -> tuple[Action, ...]:
    """The sends of what a test takes for a sentinel."""
    words = {word for side in _compared(test, received) if (word := _word(side)) is not None} or _FALSE
    given = ((send, send.call.given.get(send.call.operation.value or "")) for send in channel.sends)
    return tuple(send for send, value in given if value is not None and any(_word(e) in words for e in subexpressions(value)))


def _compared(test: ir.Expr, received: frozenset[str]) -> Iterator[ir.Expr]:
    """What a test compares the received with."""
    match test:
        case ir.Operation(operands=operands) | ir.Display(items=operands):
            for one in operands:
                yield from _compared(one, received)
        case ir.Comparison(left=left, rights=rights):
            for side in (left, *rights):
                yield from (side.items if isinstance(side, ir.Display) else () if _is_received(side, received) else (side,))
        case ir.Call(function=ir.Name(id="isinstance"), arguments=(_, ir.Argument(value=cls))):
            yield from cls.items if isinstance(cls, ir.Display) else (cls,)
        case _:
            pass


def _is_received(side: ir.Expr, received: frozenset[str]) -> bool:
    return any(isinstance(e, ir.Name) and e.id in received for e in subexpressions(side))


def _sent(channel: Channel, value: ir.Expr) -> bool:
    """Whether a send of the channel speaks of the same constant, name or class."""
    word = _word(value)
    if word is None:
        return True
    if isinstance(value, ir.Display):
        return any(_sent(channel, item) for item in value.items)
    for send in channel.sends:
        given = send.call.given.get(send.call.operation.value or "")
        if given is None:
            return True  # sent by name or through a helper: it may be anything
        if any(_word(e) == word for e in subexpressions(given)):
            return True
    return False


def _word(value: ir.Expr) -> str | None:
    match value:
        case ir.Constant(kind=kind, text=text):
            return f"{kind} {text}"
        case ir.Name(id=name) | ir.Attribute(name=name):
            return name
        case ir.Call(function=function):
            return _word(function)
        case _:
            return None


def _mentions_site(value: ir.Expr, site: int) -> bool:
    return any(isinstance(e, ir.Call | ir.Await) and e.site == site for e in subexpressions(value))


def _own(stmt: ir.Stmt) -> Iterator[ir.Expr]:
    match stmt:
        case ir.While(test=test) | ir.Branch(test=test):
            yield test
        case ir.Evaluate(value=value) | ir.Bind(value=value):
            yield value
        case _:
            pass


Step = tuple[ir.Stmt, ir.Handler | ir.Case | None]


def way_to(body: tuple[ir.Stmt, ...], wanted: ir.Stmt) -> list[Step] | None:
    """The compound statements around a statement of the body, outermost first, with the handler or case that holds it."""
    for stmt in body:
        if stmt is wanted:
            return []
        match stmt:
            case ir.Try(handlers=handlers):
                for handler in handlers:
                    if (way := way_to(handler.body, wanted)) is not None:
                        return [(stmt, handler), *way]
            case ir.Match(cases=cases):
                for case in cases:
                    if (way := way_to(case.body, wanted)) is not None:
                        return [(stmt, case), *way]
            case _:
                pass
        for block in blocks(stmt):
            if (way := way_to(block, wanted)) is not None:
                return [(stmt, None), *way]
    return None
