"""LK107: the only consumer of a channel without a bound can die, and nobody who sends to it ever notices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from leaklint import ir
from leaklint.catalog.grammar import Does, Kind, UnitKind, Waits
from leaklint.exits.sentinels import endings
from leaklint.exits.stopping import stopped
from leaklint.finding import Confidence, Growth, Leak
from leaklint.graph import Channel, Graph
from leaklint.link.actions import Action
from leaklint.link.raising import ANY
from leaklint.link.syntax import expressions, subexpressions, walk
from leaklint.link.units import Unit
from leaklint.link.values import FunctionId
from leaklint.paths import is_endless
from leaklint.queries.catching import is_caught
from leaklint.queries.outlived import Consumption, consumptions, is_many, outside
from leaklint.queries.query import NoOptions
from leaklint.queries.wording import grows
from leaklint.recurrence import Recurrence

_UNITS = frozenset({UnitKind.TASK, UnitKind.THREAD})
_OWNERS = frozenset({Kind.GROUP, Kind.EXECUTOR})
_AWAITS = frozenset({Does.JOIN, Does.WAIT, Does.BOUND, Does.SHIELD})


@dataclass(frozen=True, slots=True)
class _Death:
    """Where the consumer dies: what may raise there, and with what."""

    function: FunctionId
    at: ir.Span
    name: str


def backlog(graph: Graph, options: NoOptions) -> Iterator[Leak]:
    """One consuming loop in one unit, an exception of the program that leaves it, and a send that goes on for ever."""
    for channel in graph.channels:
        if channel.bounded or channel.open is not None or not channel.receives or channel.closes:
            continue
        loops = {(c.function, c.site): c for a in channel.receives for c in consumptions(graph, a)}
        if len({id(c.loop) for c in loops.values()}) != 1:
            continue
        consumption = next(iter(loops.values()))
        unit = _consumer(graph, consumption)
        if unit is None or any(outside(graph, a, consumption) for a in channel.receives) or _is_watched(graph, channel, unit):
            continue
        send = next((found for a in channel.sends if (found := _going_on(graph, a, unit)) is not None), None)
        death = _death(graph, consumption, unit) if send is not None else None
        if send is not None and death is not None:
            yield _leak(graph, channel, unit, death, *send)


def _consumer(graph: Graph, consumption: Consumption) -> Unit | None:
    """The one unit that runs the loop, and runs it for ever."""
    runners = graph.runners(consumption.function)
    units = [r.unit for r in runners if r.unit is not None and r.unit.kind in _UNITS]
    if len(units) != 1 or any(r.unit is None and r.kind is UnitKind.MAIN for r in runners) or any(is_many(graph, r) for r in runners):
        return None
    endless = isinstance(consumption.loop, ir.While) and is_endless(consumption.loop.test)
    return units[0] if endless else None


def _is_watched(graph: Graph, channel: Channel, unit: Unit) -> bool:
    """Whether somebody looks after the consumer or the channel: asks whether it is alive, waits for it without having ended it, is told of
    its end; asks how long the channel is, or waits until all is done; or the group that it is in ends with it."""
    program = graph.program
    if any(s.subject is not None and program.kind(s.subject) in _OWNERS for s in unit.spawns):
        return True
    for obj in unit.handle:
        done = [a for a in program.on(obj) if all(a.call is not s for s in unit.spawns)]
        if any(a.does in (Does.OBSERVE, Does.REGISTER) for a in done):
            return True
        if unit.kind is UnitKind.TASK and (program.opened(obj) is not None or _is_awaited(done)):
            return True
    return any(a.does is Does.OBSERVE or a.waits is Waits.UNTIL_DRAINED for o in channel.objects for a in program.on(o))


def _is_awaited(done: list[Action]) -> bool:
    """Whether somebody waits for the task who has not cancelled it."""
    ended = {a.function for a in done if a.does is Does.CANCEL}
    return any(a.does in _AWAITS and a.function not in ended for a in done)


def _going_on(graph: Graph, send: Action, consumer: Unit) -> tuple[Action, Recurrence] | None:
    """A send that comes again and again for as long as the program runs."""
    if send.function in graph.program.reached(consumer.entries) or send.call.record.by is not None:
        return None
    producers = [r for r in graph.runners(send.function) if r.unit is None or stopped(graph, r.unit) is None]
    often = graph.recurrence([send.call.record])
    given = send.call.given.get(send.call.operation.value or "")
    is_sentinel = isinstance(given, ir.Constant)
    return (send, often) if producers and not is_sentinel and often.growth in (Growth.PER_CALL, Growth.PER_ITERATION) else None


def _death(graph: Graph, consumption: Consumption, unit: Unit) -> _Death | None:
    """The first call in the loop that may raise, by name, what nobody around it in the unit catches."""
    function = consumption.function
    if function not in unit.entries:
        return None
    raising, over = graph.program.raising, endings(graph.program.models)
    for stmt in walk(consumption.loop.body):
        for call in (e for expression in expressions(stmt) for e in subexpressions(expression) if isinstance(e, ir.Call)):
            names = raising.of_call(function, call) - over - {ANY} if call.site != consumption.site else frozenset[str]()
            left = [name for name in sorted(names) if not is_caught(graph, function, call, name)]
            if left:
                return _Death(function, call.at, left[0])
    return None


def _leak(graph: Graph, channel: Channel, unit: Unit, death: _Death, send: Action, often: Recurrence) -> Leak:
    start = unit.spawns[0].record
    producer = graph.qualname(send.function) or "the module"
    trace = (
        graph.step(*channel.made, f"`{channel.name}` is made here, without a bound"),
        graph.step(start.function, start.at, f"its only consumer `{unit.name}` starts here, and nobody looks whether it is alive"),
        graph.step(death.function, death.at, f"this may raise `{death.name}`, and the consumer is gone"),
        graph.step(send.function, send.at, f"`{producer}` goes on sending, and what it sends stays in memory"),
    )
    return Leak(
        graph.program.path(death.function.module), death.at, graph.qualname(death.function),
        {"channel": channel.name, "consumer": unit.name, "producer": producer, "error": death.name,
         "growth": grows(graph, often, "item", send.function)},
        Confidence.LIKELY, often.growth, trace,
    )  # fmt: skip
