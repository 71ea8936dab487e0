"""LK304: a unit that receives for ever, with nothing to end it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from leaklint.catalog.grammar import Kind, Waits
from leaklint.exits import Exits, Started, Verdict, started
from leaklint.exits.flags import Stop, exits, silent_stop, stop_step, turns
from leaklint.exits.stopping import pile_up, units_only
from leaklint.finding import Confidence, Leak
from leaklint.graph import Channel, Graph
from leaklint.link.actions import Action
from leaklint.link.units import Unit
from leaklint.queries.query import NoOptions
from leaklint.queries.wording import grows
from leaklint.recurrence import Recurrence


def endless_receiver(graph: Graph, options: NoOptions) -> Iterator[Leak]:
    """A loop around a receive that waits, run only by units that nobody stops, which nothing leaves: at most a flag is set, and that
    does not wake the receive, or a sentinel is looked for that nobody sends."""
    program, exits = graph.program, _NoExit(graph)
    for channel in graph.channels:
        if channel.closes or _may_be_closed(graph, channel):
            continue
        for action in channel.receives:
            if action.waits is Waits.WHILE_EMPTY and not action.deferred and program.blocks(action):
                yield from _judge(graph, channel, action, exits)


def _may_be_closed(graph: Graph, channel: Channel) -> bool:
    """Whether code out of sight has an end of a stream: closing that end is how streams end."""
    return channel.open is not None and all(graph.program.kind(o) is not Kind.CHANNEL for o in channel.objects)


class _NoExit:
    """Which units have no way to their end at all."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.exits = Exits(graph)

    @cached_property
    def _starts(self) -> dict[Unit, list[Started]]:
        found: dict[Unit, list[Started]] = {}
        for one in started(self.graph):
            found.setdefault(one.unit, []).append(one)
        return found

    def of(self, unit: Unit) -> bool:
        starts = self._starts.get(unit, [])
        return bool(starts) and all(self.exits.of(one).verdict is Verdict.NO_EXIT for one in starts)


def _judge(graph: Graph, channel: Channel, action: Action, no_exit: _NoExit) -> Iterator[Leak]:
    turn = next(turns(graph, action.function, action.site.number), None)
    if turn is None:
        return
    ways = list(exits(graph, turn))
    if ways and channel.open is not None:
        return
    units = units_only(graph, action.function)
    if not units or any(unit.daemon for unit in units):
        return
    if not all(way.flags for way in ways):
        if not channel.sends or not all(no_exit.of(unit) for unit in units):
            return
        ways = []
    unit, stop = units[0], None
    often = pile_up(graph, unit)
    if often is None:
        return
    if ways:
        stop = silent_stop(graph, [flag for way in ways for flag in way.flags], unit.entries, action, channel.objects)
        if stop is None:
            return
    yield _leak(graph, channel, action, unit, often, stop)


def _leak(graph: Graph, channel: Channel, action: Action, unit: Unit, often: Recurrence, stop: Stop | None) -> Leak:
    spawn = unit.spawns[0].record
    trace = [
        graph.step(*channel.made, f"`{channel.name}` is made here; nobody closes it"),
        graph.step(spawn.function, spawn.at, f"`{unit.name}` starts here and is cancelled nowhere"),
    ]
    end = ", and nothing leaves the loop around it" if stop is None else ""
    trace.append(graph.step(action.function, action.at, f"this receive waits whenever the channel is empty{end}"))
    if stop is not None:
        trace.append(stop_step(graph, stop, "receive"))
    return Leak(
        graph.program.path(action.function.module), action.at, graph.qualname(action.function),
        {"channel": channel.name, "unit": unit.name, "growth": grows(graph, often, unit.kind.value, action.function)},
        Confidence.LIKELY, often.growth, tuple(trace), blocked=(graph.step(action.function, action.at, "it waits here"),),
    )  # fmt: skip
