"""LK501: a lock or permit that is taken for a job, and that the job does not give back on every way to its end."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint import ir
from leaklint.catalog.grammar import Does
from leaklint.finding import Confidence, Leak
from leaklint.graph import Graph
from leaklint.link.values import FunctionId
from leaklint.paths import EXCEPTIONAL, Exit, Node
from leaklint.queries.held import Way, held_ways, left, span_of, take_span
from leaklint.queries.holding import Event, Holding
from leaklint.queries.wording import grows

_STARTS = frozenset({Does.SPAWN, Does.SUBMIT})


def kept_by_job(graph: Graph, holding: Holding) -> Iterator[Leak]:
    """The function that takes starts a job that gives back, and nobody else does; the job may end by an exception before it has."""
    told: set[tuple[int, int]] = set()
    for function in sorted(holding.what.functions & graph.program.live):
        for node in graph.paths(function).nodes:
            if function.source in told or not isinstance(node.stmt, ir.Evaluate) or not holding.takes(function, node):
                continue
            for job in _jobs(graph, holding, function, node):
                ways = [] if _is_shared(graph, holding, job) else held_ways(graph, holding, job, None)
                at = take_span(graph, holding, function, node)
                if ways and at is not None and all(way[0] is not Exit.RETURN for way in ways):
                    told.add(function.source)
                    yield _leak(graph, holding, function, at, job, ways[0])
                    break


def _jobs(graph: Graph, holding: Holding, function: FunctionId, take: Node) -> Iterator[FunctionId]:
    """What is started after the take, with it held, and gives back what it has not taken."""
    todo = [target for edge, target in take.successors if edge not in EXCEPTIONAL]
    seen: set[int] = set()
    while todo:
        node = todo.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        started = [
            entry
            for number in node.sites()
            for action in graph.program.at(function.site(number))
            if action.does in _STARTS
            for entry in graph.program.entries(action.call)
        ]
        yield from (entry for entry in started if entry in holding.releasers)
        if holding.event(function, node) is not Event.GIVE:
            todo += [target for edge, target in node.successors if edge not in EXCEPTIONAL]


def _is_shared(graph: Graph, holding: Holding, job: FunctionId) -> bool:
    """Whether somebody else may give back in its place: a callback, or whoever waits for it."""
    return not holding.releasers <= graph.program.reached([job])


def _leak(graph: Graph, holding: Holding, function: FunctionId, at: ir.Span, job: FunctionId, way: Way) -> Leak:
    _, edge, node = way
    name, qualname = holding.what.name, graph.qualname(job)
    often = graph.recurrences.of(job)
    trace = (
        graph.step(function, at, f"`{name}` is acquired here"),
        graph.step(job, graph.program.node(job).at, f"`{qualname}` is started with it, and nobody else releases it"),
        graph.step(job, span_of(node) or graph.program.node(job).at, f"{left(edge, node)}, and `{name}` is still held"),
    )
    return Leak(
        graph.program.path(function.module), at, graph.qualname(function),
        {"object": name, "function": qualname, "growth": grows(graph, often, "lost permit", job)},
        Confidence.LIKELY, often.growth, trace, "job",
    )  # fmt: skip
