"""LK105: sends, receives and capacity of a channel that cannot match."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint import ir
from leaklint.catalog.grammar import Waits
from leaklint.finding import Confidence, Growth, Leak, Step
from leaklint.graph import UNKNOWN, Channel, Graph, Runner
from leaklint.link.actions import Action
from leaklint.link.scopes import expressions, subexpressions, walk
from leaklint.link.sizes import length
from leaklint.link.values import FunctionId
from leaklint.paths import is_endless
from leaklint.queries.query import NoOptions
from leaklint.queries.stopping import can_be_stopped
from leaklint.queries.wording import grows, kind_of

MANY = 1_000_000
"""Stands for a count that the program does not fix but that is surely more than one: one for each element of something."""


def miscounted(graph: Graph, options: NoOptions) -> Iterator[Leak]:
    """Both sides are counted once per use of the channel: more sends than receives and room, or more receives than sends."""
    for channel in graph.channels:
        if channel.open is not None or channel.closes or not channel.sends or not channel.receives:
            continue
        sends = [(a, _count(graph, channel, a)) for a in channel.sends]
        receives = [(a, _count(graph, channel, a)) for a in channel.receives]
        if any(count is None for _, count in (*sends, *receives)):
            continue
        sent = sum(count or 0 for _, count in sends)
        received = sum(count or 0 for _, count in receives)
        waiting_sends = [a for a, _ in sends if a.waits is Waits.WHILE_FULL and graph.program.blocks(a)]
        waiting_receives = [a for a, count in receives if a.waits is Waits.WHILE_EMPTY and graph.program.blocks(a) and (count or 0) > 0]
        room = channel.capacity
        if room is not None and room != UNKNOWN and waiting_sends and received < MANY and sent > received + room:
            yield from _stays(graph, channel, waiting_sends, "default")
        elif waiting_receives and sent < MANY and received > sent and received < MANY:
            yield from _stays(graph, channel, waiting_receives, "starved")


def _count(graph: Graph, channel: Channel, action: Action) -> int | None:
    """How often the operation happens for one channel: a number, MANY, or None when nothing can be said."""
    if action.deferred:
        return None
    return _times(graph, action.function, action.site.number, channel.made[0], 0)


def _times(graph: Graph, function: FunctionId, site: int, home: FunctionId, depth: int) -> int | None:
    """How often a site of a function runs in one run of the channel's home function."""
    program = graph.program
    place = program.place(function, site)
    if place is None or depth > 5 or any(isinstance(e.stmt, ir.Branch | ir.Match | ir.Try) and _is_conditional(e.stmt, e.block) for e in place.around):
        return None
    count = 1
    for loop in place.loops:
        times = _turns(graph, function, loop)
        if times is None:
            return None
        count = min(MANY, count * times)
    if place.in_comprehension:
        times = _elements(graph, function, place.stmt, site)
        if times is None:
            return None
        count = min(MANY, count * times)
    if function == home:
        return count
    outer = 0
    sources = _sources(graph, function)
    if not sources:
        return None
    for caller, number in sources:
        times = _times(graph, caller, number, home, depth + 1)
        if times is None:
            return None
        outer += times
    return min(MANY, count * outer)


def _is_conditional(stmt: ir.Stmt, block: str) -> bool:
    return not isinstance(stmt, ir.Try) or block in ("handler", "orelse")


def _sources(graph: Graph, function: FunctionId) -> list[tuple[FunctionId, int]]:
    """Where the function is called or spawned."""
    program = graph.program
    found = {(c, n) for c in program.callers.get(function, frozenset()) for n in graph.calls_to(c, function)}
    for unit in program.entered_by.get(function, ()):
        found |= {(s.record.function, s.record.site.number) for s in unit.spawns}
    if function in program.openness.callable:
        return []
    return sorted(found)


def _turns(graph: Graph, function: FunctionId, loop: ir.While | ir.For) -> int | None:
    match loop:
        case ir.While(test=test):
            return None if not is_endless(test) or _leaves(loop) else MANY
        case ir.For(iterable=iterable):
            if _leaves(loop) or loop.is_async:
                return None
            known = length(graph.program, function, iterable)
            return known if known is not None else MANY


def _leaves(loop: ir.While | ir.For) -> bool:
    return any(isinstance(s, ir.Return | ir.Raise) or (isinstance(s, ir.Jump) and s.kind == "break") for s in walk(loop.body))


def _elements(graph: Graph, function: FunctionId, stmt: ir.Stmt, site: int) -> int | None:
    for expression in expressions(stmt):
        for part in subexpressions(expression):
            if isinstance(part, ir.Comprehension) and any(isinstance(e, ir.Call) and e.site == site for e in subexpressions(part.element)):
                if len(part.clauses) != 1 or part.clauses[0].conditions:
                    return MANY
                known = length(graph.program, function, part.clauses[0].iterable)
                return known if known is not None else MANY
    return None


def _stays(graph: Graph, channel: Channel, waiting: list[Action], variant: str) -> Iterator[Leak]:
    action = waiting[0]
    runners = [r for r in graph.runners(action.function) if not can_be_stopped(graph, r)]
    if not runners:
        return
    runner: Runner = runners[0]
    unit = runner.unit
    home = channel.made[0]
    growth = Growth.ONCE if graph.runs_once(home) else Growth.PER_CALL
    name = unit.name if unit is not None else graph.qualname(action.function) or "the module"
    trace: list[Step] = [graph.step(*channel.made, f"`{channel.name}` is made here, with room for {channel.capacity}")]
    if variant == "starved":
        trace = [graph.step(*channel.made, f"`{channel.name}` is made here")]
    if unit is not None and unit.spawns:
        trace.append(graph.step(unit.spawns[0].record.function, unit.spawns[0].record.at, f"`{name}` starts here"))
    others = channel.receives if variant == "default" else channel.sends
    trace += [graph.step(o.function, o.at, f"the other side does `{o.method}` here, and not as often") for o in others[:2]]
    trace.append(graph.step(action.function, action.at, f"one of them stays in `{action.method}` for ever"))
    facts = {
        "channel": channel.name, "operation": action.method, "growth": grows(graph, growth, kind_of(unit), home),
        "producer" if variant == "default" else "consumer": name,
    }  # fmt: skip
    if variant == "default":
        facts["capacity"] = "nothing" if channel.capacity == 0 else str(channel.capacity)
    yield Leak(
        graph.program.path(action.function.module), action.at, graph.qualname(action.function), facts,
        Confidence.LIKELY, growth, tuple(trace), variant,
    )  # fmt: skip
