"""LK401, LK402: timers that nobody stops, and timers that arm themselves for ever."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint.catalog.grammar import Does, Kind, UnitKind
from leaklint.finding import Confidence, Growth, Leak
from leaklint.graph import Graph
from leaklint.link.program import Unit
from leaklint.link.state import LibraryCall
from leaklint.link.values import FunctionId
from leaklint.paths import Edge, Exit, Node
from leaklint.queries.query import NoOptions
from leaklint.queries.wording import grows


def _timers(graph: Graph) -> Iterator[tuple[Unit, LibraryCall]]:
    """The units that a timer starts, each with the call that makes it, where the program arms it."""
    program = graph.program
    for unit in program.units:
        if unit.made is None or unit.made.record.function not in program.live:
            continue
        if any(s.operation.does is Does.ARM for s in unit.spawns) and (unit.handle or unit.kind is UnitKind.CALLBACK):
            yield unit, unit.made


def unstopped_timer(graph: Graph, options: NoOptions) -> Iterator[Leak]:
    """A timer kept for later by an owner that never cancels it."""
    program = graph.program
    for unit, made in _timers(graph):
        if unit.daemon or _cancelled(graph, unit) or _rearms(graph, unit) or not unit.entries:
            continue
        kept = [obj for obj in sorted(unit.handle) if obj in program.held_for_long and program.kind(obj) is Kind.TIMER]
        if not kept:
            continue
        at = made.record
        name = program.describe(kept[0])
        growth = graph.growth(unit.spawns)
        trace = (
            graph.step(at.function, at.at, f"the timer is made here and kept as `{name}`"),
            graph.step(unit.entries[0], program.node(unit.entries[0]).at, f"when it fires it runs `{unit.name}`, whatever became of its owner"),
            graph.step(at.function, at.at, f"nothing in the program cancels `{name}`"),
        )
        yield Leak(
            program.path(at.function.module), at.at, graph.qualname(at.function),
            {"object": name, "callee": unit.name, "growth": grows(graph, growth, "timer", at.function)},
            Confidence.LIKELY, growth, trace,
        )  # fmt: skip


def rearming_timer(graph: Graph, options: NoOptions) -> Iterator[Leak]:
    """A callback that arms a timer for itself on every path, with nobody to cancel it."""
    program = graph.program
    for unit, made in _timers(graph):
        if not _rearms(graph, unit) or _cancelled(graph, unit):
            continue
        at = made.record
        entry = unit.entries[0]
        if unit.daemon or not _always(graph, entry, at.function, at.site.number):
            continue
        growth = Growth.PER_CALL if not graph.runs_once(_starter(graph, entry, at.function)) else Growth.AT_EXIT
        trace = (
            graph.step(at.function, at.at, f"the timer that runs `{unit.name}` is armed here, and nobody can cancel it"),
            graph.step(entry, program.node(entry).at, "each time it fires it comes back to that line: no flag or count ends the chain"),
        )
        yield Leak(
            program.path(at.function.module), at.at, graph.qualname(at.function),
            {"callee": unit.name, "growth": grows(graph, growth, "chain of timers", _starter(graph, entry, at.function))},
            Confidence.LIKELY, growth, trace,
        )  # fmt: skip


def _starter(graph: Graph, entry: FunctionId, arming: FunctionId) -> FunctionId:
    """Who starts the chain: a caller of the callback from outside the chain, or the callback itself."""
    chain = graph.program.reached([entry])
    outside = sorted(c for f in (entry, arming) for c in graph.program.callers.get(f, frozenset()) if c not in chain)
    return outside[0] if outside else entry


def _cancelled(graph: Graph, unit: Unit) -> bool:
    program = graph.program
    if any(program.opened(obj) is not None for obj in unit.handle):
        return True
    return any(a.does in (Does.CANCEL, Does.JOIN) for obj in unit.handle for a in program.on(obj))


def _rearms(graph: Graph, unit: Unit) -> bool:
    return unit.made is not None and bool(unit.entries) and unit.made.record.function in graph.program.reached(unit.entries)


def _always(graph: Graph, entry: FunctionId, arming: FunctionId, site: int, depth: int = 0) -> bool:
    """Whether every way through the callback that ends without an exception comes to the arming line."""
    if depth > 4:
        return False
    sites = {site} if entry == arming else _sites_towards(graph, entry, arming, site, depth)
    if not sites:
        return False
    seen: set[int] = set()
    todo: list[Node] = [graph.paths(entry).entry]
    while todo:
        node = todo.pop()
        if id(node) in seen or sites & set(node.sites()):
            continue
        seen.add(id(node))
        if node.exit_kind is Exit.RETURN:
            return False
        todo += [target for edge, target in node.successors if edge not in (Edge.RAISE, Edge.CANCEL)]
    return True


def _sites_towards(graph: Graph, entry: FunctionId, arming: FunctionId, site: int, depth: int) -> set[int]:
    """The calls in the callback whose callee always comes to the arming line."""
    program = graph.program
    return {
        number
        for callee in program.calls.get(entry, frozenset())
        if callee != entry and arming in program.reached([callee]) and _always(graph, callee, arming, site, depth + 1)
        for number in graph.calls_to(entry, callee)
    }


