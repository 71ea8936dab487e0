"""What ends a receive loop from the other side, and nothing else does."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint import ir
from leaklint.exits.sentinels import data_names, sends_of
from leaklint.graph import Channel
from leaklint.link.actions import Action
from leaklint.link.syntax import subexpressions, walk
from leaklint.paths import is_endless


def endings_of(channel: Channel, receive: Action, loop: ir.While | ir.For) -> tuple[Action, ...]:
    """What ends the loop around a receive: the sends of the sentinel that it looks for, or the closes of what it reads; nothing when it may
    be left for another reason."""
    if isinstance(loop, ir.For):
        closes = tuple(a for a in channel.closes if a.function != receive.function)
        return closes if loop.site == receive.site.number and not leaves(loop, frozenset()) else ()
    received, _ = data_names(loop, receive.site.number)
    inside = any(isinstance(e, ir.Call | ir.Await) and e.site == receive.site.number for e in subexpressions(loop.test))
    if leaves(loop, received) or not (is_endless(loop.test) or inside):
        return ()
    tests = [*([loop.test] if inside else []), *leaving_tests(loop.body, received)]
    return tuple(dict.fromkeys(send for test in tests for send in sends_of(channel, test, received)))


def leaving_tests(body: tuple[ir.Stmt, ...], received: frozenset[str]) -> Iterator[ir.Expr]:
    """The tests on what was received after which the function or the loop is left."""
    for branch in (stmt for stmt in walk(body) if isinstance(stmt, ir.Branch) and _speaks_of(stmt.test, received)):
        if any(isinstance(s, ir.Return | ir.Raise) or _is_break(s) for s in branch.body):
            yield branch.test


def leaves(loop: ir.While | ir.For, received: frozenset[str]) -> bool:
    """Whether something else than what was received takes control out of the loop."""
    told = {id(s) for b in walk(loop.body) if isinstance(b, ir.Branch) and _speaks_of(b.test, received) for s in walk((*b.body, *b.orelse))}
    return any(id(s) not in told for s in walk(loop.body) if isinstance(s, ir.Return) or _is_break(s))


def _is_break(stmt: ir.Stmt) -> bool:
    return isinstance(stmt, ir.Jump) and stmt.kind == "break"


def _speaks_of(test: ir.Expr, names: frozenset[str]) -> bool:
    return any(isinstance(e, ir.Name) and e.id in names for e in subexpressions(test))
