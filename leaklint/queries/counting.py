"""LK105: sends, receives and capacity of a channel that cannot match."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint import ir
from leaklint.catalog.grammar import Does, Waits
from leaklint.exits.stopping import cancelled
from leaklint.finding import Confidence, Leak, Step
from leaklint.graph import Channel, Graph, Runner
from leaklint.link.actions import Action
from leaklint.link.capacity import UNKNOWN
from leaklint.link.sizes import length
from leaklint.link.syntax import expressions, subexpressions, target_names, walk
from leaklint.link.values import FunctionId
from leaklint.paths import is_endless
from leaklint.queries.few_ends import too_few_ends
from leaklint.queries.query import NoOptions
from leaklint.queries.wording import grows, kind_of

MANY = 1_000_000
"""Stands for a count that the program does not fix but that is surely more than one: one for each element of something."""


def miscounted(graph: Graph, options: NoOptions) -> Iterator[Leak]:
    """Both sides are counted once per use of the channel: more sends than receives and room, or more receives than sends."""
    for channel in graph.channels:
        if channel.open is not None or channel.closes or not channel.sends or not channel.receives:
            continue
        homes = _homes(graph, channel)
        sends = [(a, _count(graph, channel, homes, a)) for a in channel.sends]
        receives = [(a, _count(graph, channel, homes, a)) for a in channel.receives]
        if any(count is None for _, count in (*sends, *receives)):
            continue
        repeated = any(_in_loop(graph, a) for a in channel.receives)
        if repeated and any(count == MANY for _, count in (*sends, *receives)):
            continue  # two loops of unknown length may well match
        sent = sum(count or 0 for _, count in sends)
        received = sum(count or 0 for _, count in receives)
        waiting_sends = [a for a, _ in sends if a.waits is Waits.WHILE_FULL and graph.program.blocks(a)]
        waiting_receives = [a for a, count in receives if a.waits is Waits.WHILE_EMPTY and graph.program.blocks(a) and (count or 0) > 0]
        room = channel.capacity
        if room is not None and room != UNKNOWN and waiting_sends and received < MANY and sent > received + room:
            yield from _stays(graph, channel, waiting_sends, "default")
        elif waiting_receives and sent < MANY and received > sent and received < MANY:
            yield from _stays(graph, channel, waiting_receives, "starved")
    yield from too_few_ends(graph)


def _in_loop(graph: Graph, action: Action) -> bool:
    place = graph.program.place(action.function, action.site.number)
    return place is not None and bool(place.loops or place.in_comprehension)


def _homes(graph: Graph, channel: Channel) -> frozenset[FunctionId]:
    """The function that makes the channel, and those that run it just once: one run of any of them has one channel."""
    made = channel.made[0]
    homes = {made}
    while True:
        sources = _sources(graph, channel, made)
        if len(sources) != 1 or sources[0][0] in homes:
            return frozenset(homes)
        made, site = sources[0]
        place = graph.program.place(made, site)
        if place is None or place.loops or place.in_comprehension:
            return frozenset(homes)
        homes.add(made)


def _count(graph: Graph, channel: Channel, homes: frozenset[FunctionId], action: Action) -> int | None:
    """How often the operation happens for one channel: a number, MANY, or None when nothing can be said."""
    if action.deferred or action.waits is None or action.call.record.by is not None:
        return None  # a try may fail, and a library calls as often as it likes
    return _times(graph, channel, action.function, action.site.number, homes, 0)


def _times(graph: Graph, channel: Channel, function: FunctionId, site: int, homes: frozenset[FunctionId], depth: int) -> int | None:
    """How often a site of a function runs in one run of a home function of the channel."""
    program = graph.program
    place = program.place(function, site)
    if (
        place is None
        or depth > 5
        or any(isinstance(e.stmt, ir.Branch | ir.Match | ir.Try) and _is_conditional(e.stmt, e.block) for e in place.around)
    ):
        return None
    count = 1
    for loop in place.loops:
        if _is_over_channels(graph, channel, function, loop):
            continue
        times = _turns(graph, function, loop, is_spawn=depth > 0 and _is_spawn(graph, function, site))
        if times is None:
            return None
        count = min(MANY, count * times)
    if place.in_comprehension:
        times = _elements(graph, function, place.stmt, site)
        if times is None:
            return None
        count = min(MANY, count * times)
    if function in homes:
        return count
    outer = 0
    sources = _sources(graph, channel, function)
    if not sources:
        return None
    for caller, number in sources:
        times = _times(graph, channel, caller, number, homes, depth + 1)
        if times is None:
            return None
        outer += times
    return min(MANY, count * outer)


def _is_conditional(stmt: ir.Stmt, block: str) -> bool:
    return not isinstance(stmt, ir.Try) or block in ("handler", "orelse")


def _sources(graph: Graph, channel: Channel, function: FunctionId) -> list[tuple[FunctionId, int]]:
    """Where the function is called or spawned; nothing when code out of sight may call it for this very channel."""
    program = graph.program
    found = {(c, n) for c in program.callers.get(function, frozenset()) for n in graph.calls_to(c, function)}
    for unit in program.entered_by.get(function, ()):
        found |= {(s.record.function, s.record.site.number) for s in unit.spawns}
    if function in program.openness.callable and channel.objects & program.kept_on_objects:
        return []
    return sorted(found)


def _is_over_channels(graph: Graph, channel: Channel, function: FunctionId, loop: ir.While | ir.For) -> bool:
    """Whether each turn of the loop has another channel in hand."""
    if not isinstance(loop, ir.For):
        return False
    held = graph.program.local_objects(function, target_names(loop.target))
    return bool(held & channel.objects)


def _is_spawn(graph: Graph, function: FunctionId, site: int) -> bool:
    return any(a.does is Does.SPAWN for a in graph.program.at(function.site(site)))


def _turns(graph: Graph, function: FunctionId, loop: ir.While | ir.For, *, is_spawn: bool) -> int | None:
    """How often a loop turns. A loop that starts a unit in each turn is there to start more than one."""
    match loop:
        case ir.While(test=test):
            return MANY if not _leaves(loop) and (is_spawn or is_endless(test)) else None
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
    runners = [r for r in graph.runners(action.function) if r.unit is None or cancelled(graph, r.unit) is None]
    if not runners:
        return
    runner: Runner = runners[0]
    unit = runner.unit
    home = channel.made[0]
    often = graph.recurrences.of(home)
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
        "channel": channel.name, "operation": action.method, "growth": grows(graph, often, kind_of(unit), home),
        "producer" if variant == "default" else "consumer": name,
    }  # fmt: skip
    if variant == "default":
        facts["capacity"] = "nothing" if channel.capacity == 0 else str(channel.capacity)
    yield Leak(
        graph.program.path(action.function.module), action.at, graph.qualname(action.function), facts,
        Confidence.LIKELY, often.growth, tuple(trace), variant, blocked=tuple(trace[-1:]),
    )  # fmt: skip
