"""LK304: a unit that receives for ever, with nothing to end it."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint import ir
from leaklint.catalog.grammar import UnitKind, Waits
from leaklint.finding import Confidence, Growth, Leak
from leaklint.graph import Channel, Graph
from leaklint.link.actions import Action
from leaklint.link.scopes import blocks
from leaklint.paths import is_endless
from leaklint.queries.query import NoOptions
from leaklint.queries.stopping import stopped
from leaklint.queries.wording import grows


def endless_receiver(graph: Graph, options: NoOptions) -> Iterator[Leak]:
    """An endless loop around a receive that waits, run only by units that nobody stops."""
    for channel in graph.channels:
        if channel.closes:
            continue
        for action in channel.receives:
            if action.waits is not Waits.WHILE_EMPTY or not graph.program.blocks(action) or action.deferred:
                continue
            if not _never_leaves(graph, action):
                continue
            yield from _judge(graph, channel, action)


def _never_leaves(graph: Graph, action: Action) -> bool:
    place = graph.program.place(action.function, action.site.number)
    if place is None or not place.loops:
        return False
    loop = place.loops[-1]
    match loop:
        case ir.While(test=test, body=body) if is_endless(test):
            return not _exits(body, inner=False)
        case ir.For(site=site) if site == action.site.number:
            return not _exits(loop.body, inner=False)
        case _:
            return False


def _exits(body: tuple[ir.Stmt, ...], *, inner: bool) -> bool:
    """Whether a statement of the loop's body leaves the loop."""
    for stmt in body:
        match stmt:
            case ir.Return() | ir.Raise():
                return True
            case ir.Jump(kind="break") if not inner:
                return True
            case _:
                pass
        nested = inner or isinstance(stmt, ir.While | ir.For)
        if any(_exits(block, inner=nested) for block in blocks(stmt)):
            return True
    return False


def _judge(graph: Graph, channel: Channel, action: Action) -> Iterator[Leak]:
    runners = graph.runners(action.function)
    units = [r.unit for r in runners if r.unit is not None]
    if len(units) != len(runners) or not units:
        return
    for unit in units:
        if unit.daemon or stopped(graph, unit) is not None or unit.kind not in (UnitKind.TASK, UnitKind.THREAD, UnitKind.PROCESS):
            return
    unit = units[0]
    assert unit is not None
    growth = graph.growth(unit.spawns)
    if growth is Growth.ONCE:
        if unit.kind is UnitKind.TASK:
            return
        growth = Growth.AT_EXIT
    spawn = unit.spawns[0].record
    trace = (
        graph.step(*channel.made, f"`{channel.name}` is made here; nobody closes it"),
        graph.step(spawn.function, spawn.at, f"`{unit.name}` starts here and is cancelled nowhere"),
        graph.step(action.function, action.at, "this receive waits whenever the channel is empty, and nothing leaves the loop around it"),
    )
    yield Leak(
        graph.program.path(action.function.module), action.at, graph.qualname(action.function),
        {"channel": channel.name, "unit": unit.name, "growth": grows(graph, growth, unit.kind.value, spawn.function)},
        Confidence.LIKELY, growth, trace,
    )  # fmt: skip


