"""LK301: a wait that what stops its owner does not wake."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint import ir
from leaklint.catalog.grammar import Does, Kind, Waits
from leaklint.exits.flags import Flag, Stop, exits, silent_stop, stop_step, turns
from leaklint.exits.stopping import pile_up, units_only
from leaklint.finding import Confidence, Leak, Step
from leaklint.graph import Graph
from leaklint.link.actions import Action
from leaklint.link.units import Unit
from leaklint.link.values import Resource
from leaklint.paths import is_endless
from leaklint.queries.deaf import deaf_retries
from leaklint.queries.query import NoOptions
from leaklint.queries.wording import grows
from leaklint.recurrence import Recurrence

_WAITS = frozenset({Waits.UNTIL_NOTIFIED, Waits.UNTIL_SET, Waits.UNTIL_FIRST, Waits.UNTIL_READY})
"""Receives are left to LK304."""


def unwoken(graph: Graph, options: NoOptions) -> Iterator[Leak]:
    """A wait without a bound in a unit that nothing ends: the flag that should end the loop around it is set without a wake-up, or
    nothing in sight ever makes ready what it waits for."""
    program = graph.program
    for action in program.actions:
        if not _may_hang(graph, action):
            continue
        unit = next(iter(units_only(graph, action.function)), None)
        often = pile_up(graph, unit) if unit is not None else None
        if unit is None or often is None:
            continue
        stop = silent_stop(graph, _flags(graph, action), unit.entries, action, action.subjects)
        if stop is not None or _never_ready(graph, action):
            yield _leak(graph, action, unit, often, stop)
    yield from deaf_retries(graph)


def _may_hang(graph: Graph, action: Action) -> bool:
    """A wait without a bound for things that are all in sight. Of what the world outside makes ready, selectors and what gives
    connections: a stop can come while nothing happens there."""
    program = graph.program
    if action.does is not Does.WAIT or action.waits not in _WAITS or action.deferred or not action.subjects:
        return False
    if action.function not in program.live or not program.blocks(action) or any(program.opened(o) is not None for o in action.subjects):
        return False
    if action.subjects & program.handles:
        return False  # the future of a job or a task: it comes when that ends
    selects = action.call.operation.returns is not None or all(program.kind(o) is Kind.SELECTOR for o in action.subjects)
    return action.waits is not Waits.UNTIL_READY or selects


def _flags(graph: Graph, action: Action) -> list[Flag]:
    """The flags that end a loop around the wait, but for events that are waited for themselves."""
    found = [f for turn in turns(graph, action.function, action.site.number) for way in exits(graph, turn) for f in way.flags]
    return [f for f in found if not f.bases & action.subjects]


def _never_ready(graph: Graph, action: Action) -> bool:
    """Nobody in sight signals what is waited for, again and again or as the first of many."""
    program = graph.program
    if {program.kind(o) for o in action.subjects} - {Kind.EVENT, Kind.CONDITION, Kind.FUTURE}:
        return False
    place = program.place(action.function, action.site.number)
    again = place is not None and any(isinstance(loop, ir.While) and is_endless(loop.test) for loop in place.loops)
    if not again and action.waits is not Waits.UNTIL_FIRST:
        return False
    return not any(_is_done_by_somebody(graph, o) for o in action.subjects)


def _is_done_by_somebody(graph: Graph, obj: int) -> bool:
    """Whether the program signals the object, or a library does: the future of a job or a call."""
    program = graph.program
    ends = (Does.SIGNAL, Does.CANCEL, Does.CLOSE, Does.REGISTER)
    if any(a.does in ends and a.function in program.live for a in program.on(obj)):
        return True
    value = program.value(obj)
    return isinstance(value, Resource) and any(a.does is not Does.MAKE for a in program.at(value.site))


def _leak(graph: Graph, action: Action, unit: Unit, often: Recurrence, stop: Stop | None) -> Leak:
    program = graph.program
    name = min(program.describe(o) for o in action.subjects)
    spawn = unit.spawns[0].record
    trace: list[Step] = []
    made = program.made_at(min(action.subjects))
    if made is not None:
        trace.append(graph.step(*made, f"`{name}` is made here"))
    trace.append(graph.step(spawn.function, spawn.at, f"`{unit.name}` starts here and is cancelled nowhere"))
    trace.append(graph.step(action.function, action.at, "it waits here without a timeout"))
    if stop is not None:
        trace.append(stop_step(graph, stop, "wait"))
    else:
        trace.append(graph.step(action.function, action.at, f"nothing that runs signals `{name}`"))
    return Leak(
        program.path(action.function.module), action.at, graph.qualname(action.function),
        {"unit": unit.name, "operation": action.method, "object": name, "growth": grows(graph, often, unit.kind.value, action.function)},
        Confidence.LIKELY, often.growth, tuple(trace), blocked=(graph.step(action.function, action.at, "it waits here"),),
    )  # fmt: skip
