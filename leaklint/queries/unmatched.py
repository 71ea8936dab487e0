"""LK101, LK102: one side of a channel waits and the other side does not exist."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from msgspec import Struct

from leaklint.catalog.grammar import Kind, Waits
from leaklint.exits.stopping import can_be_stopped
from leaklint.finding import Confidence, Leak, Step
from leaklint.graph import Channel, Graph, Runner
from leaklint.link.actions import Action
from leaklint.link.capacity import UNKNOWN
from leaklint.queries.deserted import deserted
from leaklint.queries.last_word import last_words
from leaklint.queries.left_block import left_blocks
from leaklint.queries.order import too_early
from leaklint.queries.wording import grows, kind_of


class Options(Struct, frozen=True, forbid_unknown_fields=True):
    side: Literal["send", "receive"]


def unmatched(graph: Graph, options: Options) -> Iterator[Leak]:
    """A send that fills a bounded channel nobody receives from; a receive from a channel nobody sends to or closes."""
    for channel in graph.channels:
        if channel.open is not None:
            continue
        if options.side == "send" and _wakes_senders(channel):
            continue
        if options.side == "send" and channel.bounded and not channel.receives:
            waiting = _overfull(graph, channel)
        elif options.side == "send" and channel.bounded:
            waiting = too_early(graph, channel)
        elif options.side == "receive" and not channel.sends:
            waiting = [a for a in channel.receives if a.waits is Waits.WHILE_EMPTY and graph.program.blocks(a)]
            waiting = [a for a in waiting if not _is_closed(graph, channel, a)]
        else:
            continue
        for action in waiting:
            runners = graph.runners(action.function)
            left = [r for r in runners if not can_be_stopped(graph, r)]
            if left:
                yield _leak(graph, channel, action, left[0], options.side)
                break
    if options.side == "send":
        yield from last_words(graph)
        yield from left_blocks(graph)
    else:
        yield from deserted(graph)


def _wakes_senders(channel: Channel) -> bool:
    """Whether somebody closes an end: whoever sends then fails, and waits no longer. The `with` block around a send does not count, nor
    does a function that receives: it does not come to its close."""
    sending, receiving = {a.function for a in channel.sends}, {a.function for a in channel.receives}
    closes = (a for a in channel.closes if a.function not in receiving)
    return any(a.method != "__exit__" or a.function not in sending for a in closes)


def _is_closed(graph: Graph, channel: Channel, receive: Action) -> bool:
    """Whether somebody may end the wait by closing: anybody but the receiver itself, who leaves a `with` block around the wait."""
    others = (a for a in channel.closes if a.method != "__exit__" or a.function != receive.function)
    own = (a for a in channel.closes if a.method == "__exit__" and a.function == receive.function)
    return any(True for _ in others) or any(graph.program.kind(o) is not Kind.RECEIVER for a in own for o in a.subjects)


def _overfull(graph: Graph, channel: Channel) -> list[Action]:
    """The blocking sends, when there may be more sends than the channel holds."""
    blocking = [a for a in channel.sends if a.waits is Waits.WHILE_FULL and graph.program.blocks(a)]
    if channel.capacity == 0 or not blocking:
        return blocking
    many = [a for a in channel.sends if _repeats(graph, a)]
    if many or (channel.capacity != UNKNOWN and len(channel.sends) > (channel.capacity or 0)):
        return blocking
    return []


def _repeats(graph: Graph, action: Action) -> bool:
    place = graph.program.place(action.function, action.site.number)
    if place is not None and (place.loops or place.in_comprehension):
        return True
    return not graph.runs_once(action.function)


def _leak(graph: Graph, channel: Channel, action: Action, runner: Runner, side: str) -> Leak:
    unit = runner.unit
    starts = (spawn.record for spawn in unit.spawns) if unit is not None else ()
    often = graph.recurrence(starts) if unit is not None else graph.recurrences.of(action.function)
    source = unit.spawns[0].record.function if unit is not None else action.function
    nobody = "nobody that runs sends to it or closes it"
    if side == "send":
        nobody = "nobody can receive from it before the send below is over" if channel.receives else "nobody that runs receives from it"
    bound = "" if side == "receive" else ", unbuffered" if channel.capacity == 0 else ", bounded"
    trace: list[Step] = [graph.step(*channel.made, f"`{channel.name}` is made here{bound}; {nobody}")]
    if unit is not None:
        trace.append(graph.step(source, unit.spawns[0].record.at, f"`{unit.name}` starts here and is cancelled nowhere"))
    trace.append(graph.step(action.function, action.at, f"it waits here in `{action.method}` for ever"))
    return Leak(
        graph.program.path(action.function.module), action.at, graph.qualname(action.function),
        {
            "channel": channel.name, "operation": action.method, "unit": graph.qualname(action.function) or "the module",
            "growth": grows(graph, often, kind_of(unit), action.function),
        },
        Confidence.LIKELY, often.growth, tuple(trace), blocked=tuple(trace[-1:]),
    )  # fmt: skip
