"""LK306: a job that waits for another job of the pool in which it takes up a worker."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint import ir
from leaklint.catalog.grammar import Does, Kind, UnitKind
from leaklint.finding import Confidence, Growth, Leak
from leaklint.graph import Graph
from leaklint.link.actions import Action
from leaklint.link.capacity import capacity
from leaklint.link.flow.state import LibraryCall
from leaklint.link.units import Unit
from leaklint.link.values import FunctionId
from leaklint.locks.frames import Frames
from leaklint.queries.wording import grows

_WAITS = frozenset({Does.WAIT, Does.JOIN, Does.BOUND})


def own_pool(graph: Graph) -> Iterator[Leak]:
    """A wait for a job that was submitted by a job of the same pool. As many of these as the pool has workers leave none for what they wait
    for; with one worker, the first does."""
    frames = Frames(graph)
    jobs = _jobs(graph)
    by_handle = {obj: (unit, spawn, pool) for unit, spawn, pool in jobs for obj in unit.handle}
    within = [(graph.program.reached(unit.entries), unit, spawn, pool) for unit, spawn, pool in jobs]
    told: set[tuple[int, int]] = set()
    for action in graph.program.actions:
        if action.does not in _WAITS or action.deferred or not graph.program.blocks(action) or action.function.source in told:
            continue
        for obj in sorted(action.subjects & by_handle.keys()):
            inner, submit, pool = by_handle[obj]
            waiting = (one for one in within if _waits_inside(one, action, submit, pool) and _fills(graph, one[1], inner, pool))
            outer = next((one for one in waiting if _comes_to(frames, one[1], action) and _is_same(frames, one[1], one[2], submit)), None)
            if outer is not None:
                told.add(action.function.source)
                yield _leak(graph, action, outer[1], outer[2], submit, pool)
                break


def _jobs(graph: Graph) -> list[tuple[Unit, LibraryCall, int]]:
    """The jobs of pools whose workers are counted, each with its submit and its pool."""
    program = graph.program
    return [
        (unit, spawn, spawn.subject)
        for unit in program.units
        for spawn in unit.spawns
        if unit.kind is UnitKind.JOB and unit.entries and spawn.subject is not None and program.kind(spawn.subject) is Kind.EXECUTOR
    ]


def _waits_inside(one: tuple[frozenset[FunctionId], Unit, LibraryCall, int], wait: Action, submit: LibraryCall, pool: int) -> bool:
    """Whether the wait and the submit of what it waits for both run as part of a job of the pool."""
    functions, _, _, own = one
    return own == pool and wait.function in functions and submit.record.function in functions


def _comes_to(frames: Frames, outer: Unit, wait: Action) -> bool:
    """Whether the job comes to the wait without having asked whether it is one."""
    ways = (way for entry in outer.entries for way in frames.to(entry, wait))
    return any(not any(frames.asks_who_runs(frame) for frame in way) for way in ways)


def _is_same(frames: Frames, outer: Unit, begun: LibraryCall, submit: LibraryCall) -> bool:
    """Whether the pool has one name for the job: where it is submitted, and where it submits another."""
    for entry in outer.entries:
        pool = frames.of_entry(begun.record, entry, _pool_at(begun))
        ways = (frames.named(way, _pool_at(submit)) for way in frames.to_place(entry, submit.record.function, submit.record.site.number))
        if pool is not None and pool in ways:
            return True
    return False


def _pool_at(submit: LibraryCall) -> ir.Expr:
    """The expression for the pool in a submit: the object of the method, or the argument that names it."""
    match submit.record.node:
        case ir.Call(function=ir.Attribute(base=base)) if submit.operation.subject is None:
            return base
        case _:
            return submit.given.get(submit.operation.subject or "", ir.Constant("none", "None"))


def _fills(graph: Graph, outer: Unit, inner: Unit, pool: int) -> bool:
    """Whether there can be as many waiting jobs as workers."""
    if capacity(graph.program, [pool]) == 1 or outer is inner:
        return True
    places = [graph.program.place(spawn.record.function, spawn.record.site.number) for spawn in outer.spawns]
    if any(place is not None and (place.loops or place.in_comprehension) for place in places):
        return True
    return graph.recurrence(spawn.record for spawn in outer.spawns).growth is not Growth.ONCE


def _leak(graph: Graph, wait: Action, outer: Unit, begun: LibraryCall, submit: LibraryCall, pool: int) -> Leak:
    program = graph.program
    name = program.describe(pool)
    often = graph.recurrence((begun.record,))
    trace = (
        graph.step(begun.record.function, begun.record.at, f"`{outer.name}` becomes a job of `{name}` here"),
        graph.step(submit.record.function, submit.record.at, "it hands another job to the same pool"),
        graph.step(
            wait.function, wait.at, "it waits for that job and keeps its own worker: when all workers wait here, none is left to run it"
        ),
    )
    facts = {"unit": outer.name, "object": name, "growth": grows(graph, often, "job", wait.function)}
    return Leak(
        program.path(wait.function.module), wait.at, graph.qualname(wait.function), facts, Confidence.LIKELY, often.growth, trace, "pool"
    )
