"""LK102: a receiver that is left behind by a sender which fails before it has said the end."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint import ir
from leaklint.catalog.grammar import Does, Kind, UnitKind, Waits
from leaklint.exits.endings import endings_of, leaves
from leaklint.exits.stopping import can_be_stopped
from leaklint.finding import Confidence, Leak
from leaklint.graph import Channel, Graph
from leaklint.link.actions import Action
from leaklint.link.units import Unit
from leaklint.queries.rescue import in_group
from leaklint.queries.serving import given
from leaklint.queries.short_ways import ShortWay, ShortWays
from leaklint.queries.wording import grows

_UNITS = frozenset({UnitKind.TASK, UnitKind.THREAD, UnitKind.JOB, UnitKind.PROCESS})
_JOINS = frozenset({Does.JOIN, Does.CANCEL, Does.SPAWN, Does.MAKE})


def deserted(graph: Graph) -> Iterator[Leak]:
    """One unit alone sends to the channel and says its end, and an exception takes it past that. Whoever receives waits for the end without
    a bound, and does not look whether the unit still is there."""
    ways = ShortWays(graph)
    for channel in graph.channels:
        unit = _only_sender(graph, channel) if channel.open is None and channel.sends else None
        if unit is None:
            continue
        for receive in channel.receives:
            ends = _ends(graph, channel, receive, unit) if _waits_alone(graph, receive, unit) else ()
            way = ways.past(unit.entries[0], ends) if ends else None
            if way is not None:
                yield _leak(graph, channel, receive, ends[0], unit, way)
                break


# --- who sends


def _only_sender(graph: Graph, channel: Channel) -> Unit | None:
    """The unit that alone sends and closes, started at one place, and whose failure nobody is told of."""
    program = graph.program
    speaking = [*channel.sends, *(a for a in channel.closes if any(program.kind(o) is not Kind.RECEIVER for o in a.subjects))]
    roots = {root for action in speaking for root in program.roots(action.function)}
    units = given(graph, channel, (unit for root in roots for unit in program.entered_by.get(root, ())))
    if len(roots) != 1 or len(units) != 1 or any(a.deferred for a in speaking):
        return None
    (unit,) = units
    if unit.kind not in _UNITS or len(unit.spawns) != 1 or len(unit.entries) != 1 or in_group(graph, unit):
        return None
    return None if _is_watched(graph, unit) else unit


def _is_one(graph: Graph, unit: Unit) -> bool:
    """Whether the unit is started once where it is started, not for each of several things."""
    start = unit.spawns[0].record
    place = graph.program.place(start.function, start.site.number)
    return place is not None and not place.loops and not place.in_comprehension


def _is_watched(graph: Graph, unit: Unit) -> bool:
    """Whether anybody does more with the unit than start, end and join it."""
    program = graph.program
    return any(
        a.does not in _JOINS or a.waits is Waits.UNTIL_FIRST or a.bounded
        for obj in unit.handle
        for a in program.on(obj)
        if a.function in program.live
    ) or (unit.kind is not UnitKind.THREAD and any(program.opened(obj) is not None for obj in unit.handle))


# --- who receives


def _waits_alone(graph: Graph, receive: Action, unit: Unit) -> bool:
    """Whether the receive waits without a bound, in something that nobody ends, and after the unit has been started, not after its end."""
    program = graph.program
    if receive.waits is not Waits.WHILE_EMPTY or receive.deferred or receive.call.record.by is not None or not program.blocks(receive):
        return False
    runners = graph.runners(receive.function)
    if not runners or all(can_be_stopped(graph, r) for r in runners) or receive.function in program.reached(unit.entries):
        return False
    joins = [a for obj in unit.handle for a in program.on(obj) if a.does is Does.JOIN and a.function == receive.function]
    return not any((a.at.line, a.at.column) < (receive.at.line, receive.at.column) for a in joins)


def _ends(graph: Graph, channel: Channel, receive: Action, unit: Unit) -> tuple[Action, ...]:
    """The operations of the sender one of which the receiver must see: what ends its loop or, where it receives once, or once for each
    unit, whatever comes."""
    place = graph.program.place(receive.function, receive.site.number)
    if place is None or len(place.loops) > 1:
        return ()
    loop = place.loops[-1] if place.loops else None
    counted = place.in_comprehension or (isinstance(loop, ir.For) and loop.site != receive.site.number and not leaves(loop, frozenset()))
    if _is_one(graph, unit) and loop is not None and not place.in_comprehension:
        return endings_of(channel, receive, loop)
    here = receive.function == channel.made[0] == unit.spawns[0].record.function
    conditional = any(isinstance(e.stmt, ir.Branch | ir.Match) for e in place.around)
    fits = here and not conditional and counted is not _is_one(graph, unit)
    return channel.sends if fits and all(_comes_once(graph, send, unit) for send in channel.sends) else ()


def _comes_once(graph: Graph, send: Action, unit: Unit) -> bool:
    """Whether the unit does no more than one such send."""
    place = graph.program.place(send.function, send.site.number)
    return place is not None and not place.loops and not place.in_comprehension and send.function in unit.entries


def _leak(graph: Graph, channel: Channel, receive: Action, end: Action, unit: Unit, way: ShortWay) -> Leak:
    program, start, entry = graph.program, unit.spawns[0].record, unit.entries[0]
    often = graph.recurrences.of(receive.function)
    at = getattr(way.node.stmt, "at", None) or program.node(entry).at
    says = "closes" if end.does is Does.CLOSE else "sends what it waits for to"
    raises = "it raises here" if isinstance(way.node.stmt, ir.Raise) else "this may raise"
    trace = (
        graph.step(*channel.made, f"`{channel.name}` is made here"),
        graph.step(start.function, start.at, f"`{unit.name}` starts here, and only it {says} `{channel.name}`"),
        graph.step(entry, at, f"{raises}, and `{unit.name}` ends without that"),
        graph.step(end.function, end.at, "this is then never reached"),
        graph.step(receive.function, receive.at, f"the receiver waits here in `{receive.method}` for ever"),
    )
    return Leak(
        program.path(receive.function.module), receive.at, graph.qualname(receive.function),
        {"channel": channel.name, "operation": receive.method, "unit": graph.qualname(receive.function) or "the module",
         "sender": unit.name, "growth": grows(graph, often, "waiting caller", receive.function)},
        Confidence.LIKELY, often.growth, trace, "fails", blocked=trace[-1:],
    )  # fmt: skip
