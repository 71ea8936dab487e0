"""LK103: the consumer of a bounded channel can leave while its producer still sends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from leaklint import ir
from leaklint.catalog.grammar import UnitKind, Waits
from leaklint.exits.sentinels import data_names, endings, is_end_of_data, is_stop_flag
from leaklint.exits.stopping import can_be_stopped
from leaklint.finding import Confidence, Leak, Step
from leaklint.graph import Channel, Graph, Runner
from leaklint.link.actions import Action
from leaklint.link.syntax import expressions, subexpressions, walk
from leaklint.link.values import FunctionId
from leaklint.paths import Edge, Node
from leaklint.queries.forsaken import forsaken
from leaklint.queries.query import NoOptions
from leaklint.queries.rescue import Rescue, in_group
from leaklint.queries.wording import grows, kind_of

_FARTHEST = 4
"""Calls between a receive and the loop around it, and between that loop and the unit's entry, followed at most."""


@dataclass(frozen=True, slots=True)
class Consumption:
    """A loop that receives: `site` is the receive, or the call that leads to it, in `function`."""

    function: FunctionId
    site: int
    loop: ir.While | ir.For
    receive: Action


@dataclass(frozen=True, slots=True)
class Departure:
    """A way out of the loop that the producer does not know of."""

    at: ir.Span
    edge: Edge
    node: Node
    target: Node
    explicit: bool
    function: FunctionId | None = None
    """Where it is, if not in the function of the loop."""


def outlived(graph: Graph, options: NoOptions) -> Iterator[Leak]:
    """One consuming loop, a departure from it that neither ends, drains nor closes for the producer, and a send that then blocks."""
    for channel in graph.channels:
        if channel.open is not None or not channel.bounded or not channel.receives:
            continue
        sends = [a for a in channel.sends if a.waits is Waits.WHILE_FULL and graph.program.blocks(a)]
        loops = {(c.function, c.site): c for a in channel.receives for c in consumptions(graph, a)}
        if not sends or len({id(c.loop) for c in loops.values()}) != 1:
            continue
        consumption = next(iter(loops.values()))
        if any(outside(graph, a, consumption) for a in channel.receives):
            continue
        leak = _judge(graph, channel, consumption, sends)
        if leak is not None:
            yield leak
    yield from forsaken(graph)


def consumptions(graph: Graph, receive: Action) -> Iterator[Consumption]:
    todo = [(receive.function, receive.site.number, 0)]
    while todo:
        function, site, depth = todo.pop()
        place = graph.program.place(function, site)
        if place is not None and place.loops and not _yields_in(place.loops[-1]):
            yield Consumption(function, site, place.loops[-1], receive)
        elif place is not None and graph.program.node(function).is_generator:
            yield from _iterations(graph, function, receive)
        elif depth < _FARTHEST:
            for caller in sorted(graph.program.callers.get(function, frozenset())):
                todo += [(caller, number, depth + 1) for number in graph.calls_to(caller, function)]


def _yields_in(loop: ir.While | ir.For) -> bool:
    """A generator's loop goes on only as long as somebody iterates it."""
    return any(isinstance(e, ir.Yield) for s in walk(loop.body) for x in expressions(s) for e in subexpressions(x))


def _iterations(graph: Graph, generator: FunctionId, receive: Action) -> Iterator[Consumption]:
    """The loops of other functions over what the generator yields."""
    for record in graph.program.calls_of(generator):
        for stmt in walk(graph.program.node(record.function).body):
            if isinstance(stmt, ir.For) and any(
                isinstance(e, ir.Call) and e.site == record.site.number for e in subexpressions(stmt.iterable)
            ):
                yield Consumption(record.function, stmt.site, stmt, receive)


def outside(graph: Graph, receive: Action, consumption: Consumption) -> bool:
    """Whether a receive belongs to somebody else, who goes on when this loop is left. A non-waiting one drains."""
    if receive.waits is None:
        return receive.function not in graph.program.reached([consumption.function])
    return not any(c.loop is consumption.loop for c in consumptions(graph, receive))


def _judge(graph: Graph, channel: Channel, consumption: Consumption, sends: list[Action]) -> Leak | None:
    consumers = graph.runners(consumption.function)
    if any(r.unit is not None and is_many(graph, r) for r in consumers):
        return None
    entries = {r.entry for r in consumers}
    for send in sends:
        producers = [r for r in graph.runners(send.function) if r.unit is not None or r.entry not in entries]
        producers = [r for r in producers if r.entry not in entries and not can_be_stopped(graph, r)]
        if not all(r.unit is not None for r in consumers):
            # Whoever calls in from outside has an instance of his own, and consumes from it himself.
            producers = [r for r in producers if r.kind is not UnitKind.ANYONE]
        if not producers or not _sends_much(graph, channel, send, producers[0]):
            continue
        rescue = Rescue(graph, channel, producers)
        for departure in (*_departures(graph, channel, consumption, rescue.handles), *_failures(graph, consumption, rescue)):
            if departure.edge is Edge.RAISE and _shares_a_group(graph, producers):
                continue
            if departure.function is None and rescue.precedes(consumption.function, consumption.site, departure.node):
                continue
            if rescue.is_missed(departure.function or consumption.function, departure.target, departure.edge, frozenset(), 0):
                return _leak(graph, channel, consumption, send, producers[0], departure)
    return None


def is_many(graph: Graph, runner: Runner) -> bool:
    """Several units run the same consumer: one that leaves has others behind it."""
    for spawn in runner.unit.spawns if runner.unit is not None else ():
        place = graph.program.place(spawn.record.function, spawn.record.site.number)
        if place is not None and (place.loops or place.in_comprehension):
            return True
    return runner.unit is not None and len(runner.unit.spawns) > 1


def _sends_much(graph: Graph, channel: Channel, send: Action, producer: Runner) -> bool:
    """Whether the send can meet a full channel after the consumer has left."""
    if channel.capacity == 0 or producer.unit is None:
        return True
    here: tuple[FunctionId, int] | None = (send.function, send.site.number)
    for _ in range(_FARTHEST):
        if here is None:
            return False
        place = graph.program.place(*here)
        if place is not None and (place.loops or place.in_comprehension):
            return True
        callers = sorted(graph.program.callers.get(here[0], frozenset()))
        sites = [(caller, number) for caller in callers for number in graph.calls_to(caller, here[0])]
        if len(sites) > 1:
            return True
        here = sites[0] if sites else None
    return False


def _shares_a_group(graph: Graph, producers: list[Runner]) -> bool:
    """Whether the producers run in a task group, which an exception in its body or in a sibling cancels."""
    return all(r.unit is not None and in_group(graph, r.unit) for r in producers)


def _departures(graph: Graph, channel: Channel, consumption: Consumption, producers: frozenset[int]) -> list[Departure]:
    """The ways out of the loop: the explicit ones first, then the calls in it that may raise."""
    loop = consumption.loop
    inside = {id(s) for s in walk(loop.body)} | {id(loop)}
    found: list[Departure] = []
    received = data_names(loop, consumption.site)
    for node in graph.paths(consumption.function).nodes:
        if node.stmt is None or id(node.stmt) not in inside:
            continue
        at = getattr(node.stmt, "at", None)
        for edge, target in node.successors:
            if _is_inside(target, inside, loop) or at is None:
                continue
            if isinstance(node.stmt, ir.Jump | ir.Return | ir.Raise):
                explicit = edge is (Edge.RAISE if isinstance(node.stmt, ir.Raise) else Edge.NEXT)
                if explicit and not is_end_of_data(graph, channel, consumption.function, loop, node.stmt, received, producers):
                    found.append(Departure(at, edge, node, target, True))
            elif (
                edge is Edge.FALSE
                and node.stmt is loop
                and isinstance(loop, ir.While)
                and is_stop_flag(graph, consumption.function, loop.test, producers)
            ):
                found.append(Departure(at, edge, node, target, True))
            elif edge is Edge.RAISE and node.kind in ("stmt", "test", "enter"):
                raising = raising_call(graph, consumption, node)
                if raising is not None:
                    found.append(Departure(raising, edge, node, target, False))
    return sorted(found, key=lambda d: (not d.explicit, d.at.line, d.at.column))


def _failures(graph: Graph, consumption: Consumption, rescue: Rescue) -> Iterator[Departure]:
    """A consumer that fails before it begins: the handler of an exception that leaves the unit's entry."""
    for runner in graph.runners(consumption.function):
        if runner.unit is None:
            continue
        for node in rescue.before(runner.entry):
            if node.kind == "except" and isinstance(node.stmt, ir.Try):
                for handler, (edge, target) in zip(node.stmt.handlers, node.successors, strict=False):
                    if edge is Edge.RAISE and any(isinstance(s, ir.Return) for s in walk(handler.body)):
                        yield Departure(handler.at, Edge.NEXT, node, target, True, runner.entry)


def _is_inside(node: Node, inside: set[int], loop: ir.While | ir.For) -> bool:
    if node.exit_kind is not None or node.stmt is None:
        return False
    return id(node.stmt) in inside and not (node.stmt is loop and node.kind == "stmt")


def raising_call(graph: Graph, consumption: Consumption, node: Node) -> ir.Span | None:
    """The first call of a node that may raise for a reason of its own: not the receive, not the end of a channel."""
    raising = graph.program.raising
    for part in node.parts:
        for expression in subexpressions(part):
            if not isinstance(expression, ir.Call) or expression.site == consumption.site:
                continue
            if raising.of_call(consumption.function, expression) - endings(graph.program.models):
                return expression.at
    return None


def _leak(graph: Graph, channel: Channel, consumption: Consumption, send: Action, producer: Runner, departure: Departure) -> Leak:
    program, unit = graph.program, producer.unit
    starts = (spawn.record for spawn in unit.spawns) if unit is not None else ()
    often = graph.recurrence(starts) if unit is not None else graph.recurrences.of(send.function)
    source = unit.spawns[0].record.function if unit is not None else send.function
    name = unit.name if unit is not None else graph.qualname(send.function) or "the module"
    size = "unbuffered" if channel.capacity == 0 else f"bounded to {channel.capacity}" if (channel.capacity or 0) > 0 else "bounded"
    trace: list[Step] = [graph.step(*channel.made, f"`{channel.name}` is made here, {size}")]
    if unit is not None:
        trace.append(
            graph.step(source, unit.spawns[0].record.at, f"its producer `{name}` starts here and nothing cancels it on the way below")
        )
    leaves = "the only consumer leaves here" if departure.explicit else "this may raise: the only consumer leaves"
    where = departure.function or consumption.function
    trace.append(graph.step(where, departure.at, leaves))
    trace.append(graph.step(send.function, send.at, f"the producer then waits in `{send.method}` for ever"))
    return Leak(
        program.path(where.module), departure.at, graph.qualname(where),
        {"channel": channel.name, "producer": name, "growth": grows(graph, often, kind_of(unit), where)},
        Confidence.LIKELY, often.growth, tuple(trace), "default" if unit is not None else "caller",
        blocked=tuple(graph.step(a.function, a.at, "a send") for a in channel.sends),
    )  # fmt: skip
