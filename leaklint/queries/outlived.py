"""LK103: the consumer of a bounded channel can leave while its producer still sends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from leaklint import ir
from leaklint.catalog.grammar import Does, Kind, UnitKind, Waits
from leaklint.finding import Confidence, Growth, Leak, Step
from leaklint.graph import Channel, Graph, Runner
from leaklint.link.actions import Action
from leaklint.link.program import Unit
from leaklint.link.scopes import expressions, subexpressions, walk
from leaklint.link.values import FunctionId, Site
from leaklint.paths import Edge, Exit, Node
from leaklint.queries.query import NoOptions
from leaklint.queries.sentinels import ENDINGS, data_names, is_end_of_data, is_stop_flag
from leaklint.queries.stopping import can_be_stopped
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
        loops = {(c.function, c.site): c for a in channel.receives for c in _consumptions(graph, a)}
        if not sends or len({id(c.loop) for c in loops.values()}) != 1:
            continue
        consumption = next(iter(loops.values()))
        if any(_outside(graph, a, consumption) for a in channel.receives):
            continue
        leak = _judge(graph, channel, consumption, sends)
        if leak is not None:
            yield leak


def _consumptions(graph: Graph, receive: Action) -> Iterator[Consumption]:
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
            if isinstance(stmt, ir.For) and any(isinstance(e, ir.Call) and e.site == record.site.number for e in subexpressions(stmt.iterable)):
                yield Consumption(record.function, stmt.site, stmt, receive)


def _outside(graph: Graph, receive: Action, consumption: Consumption) -> bool:
    """Whether a receive belongs to somebody else, who goes on when this loop is left. A non-waiting one drains."""
    if receive.waits is None:
        return receive.function not in graph.program.reached([consumption.function])
    return not any(c.loop is consumption.loop for c in _consumptions(graph, receive))


def _judge(graph: Graph, channel: Channel, consumption: Consumption, sends: list[Action]) -> Leak | None:
    consumers = graph.runners(consumption.function)
    if any(r.unit is not None and _is_many(graph, r) for r in consumers):
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
        rescue = _Rescue(graph, channel, producers)
        for departure in (*_departures(graph, channel, consumption), *_failures(graph, consumption, rescue)):
            if departure.edge is Edge.RAISE and _shares_a_group(graph, producers):
                continue
            if departure.function is None and rescue.precedes(consumption, departure):
                continue
            if rescue.is_missed(departure.function or consumption.function, departure.target, departure.edge, frozenset(), 0):
                return _leak(graph, channel, consumption, send, producers[0], departure)
    return None


def _is_many(graph: Graph, runner: Runner) -> bool:
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


def in_group(graph: Graph, unit: Unit) -> bool:
    """Whether the unit is started in a task group."""
    return bool(unit.spawns) and all(s.subject is not None and graph.program.kind(s.subject) is Kind.GROUP for s in unit.spawns)


def _departures(graph: Graph, channel: Channel, consumption: Consumption) -> list[Departure]:
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
                if explicit and not is_end_of_data(graph, channel, consumption.function, loop, node.stmt, received):
                    found.append(Departure(at, edge, node, target, True))
            elif edge is Edge.FALSE and node.stmt is loop and isinstance(loop, ir.While) and is_stop_flag(graph, consumption.function, loop.test):
                found.append(Departure(at, edge, node, target, True))
            elif edge is Edge.RAISE and node.kind in ("stmt", "test", "enter"):
                raising = _raising_call(graph, consumption, node)
                if raising is not None:
                    found.append(Departure(raising, edge, node, target, False))
    return sorted(found, key=lambda d: (not d.explicit, d.at.line, d.at.column))


def _failures(graph: Graph, consumption: Consumption, rescue: _Rescue) -> Iterator[Departure]:
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


def _raising_call(graph: Graph, consumption: Consumption, node: Node) -> ir.Span | None:
    """The first call of a node that may raise for a reason of its own: not the receive, not the end of a channel."""
    raising = graph.program.raising
    for part in node.parts:
        for expression in subexpressions(part):
            if isinstance(expression, ir.Call) and expression.site != consumption.site:
                if raising.of_call(consumption.function, expression) - ENDINGS:
                    return expression.at
    return None


class _Rescue:
    """What frees the producer after the consumer has left."""

    def __init__(self, graph: Graph, channel: Channel, producers: list[Runner]) -> None:
        self.graph = graph
        self.tasks = all(r.unit is not None and r.unit.kind is UnitKind.TASK for r in producers)
        program = graph.program
        handles = {o for r in producers if r.unit is not None for o in r.unit.handle}
        groups = {s.subject for r in producers if r.unit is not None for s in r.unit.spawns if s.subject is not None}
        watched = self._watched(producers)
        self.sites: set[Site] = set()
        functions: set[FunctionId] = set()
        for action in program.actions:
            frees = (
                (action.does is Does.CANCEL and action.subjects & (handles | groups))
                or (action.does in (Does.CLOSE, Does.RECEIVE) and action.subjects & channel.objects)
                or (action.does is Does.SIGNAL and action.subjects & watched)
                or (action.call.operation.ends_tasks and self.tasks)
            )
            if frees:
                self.sites.add(action.site)
                functions.add(action.function)
        self.functions = self._upwards(functions)
        self.makers = self._upwards({channel.made[0]}) if channel.made[0].index else frozenset()

    def _watched(self, producers: list[Runner]) -> frozenset[int]:
        """The events that the producers look at or wait for."""
        program = self.graph.program
        functions = program.reached([r.entry for r in producers])
        looks = (a for a in program.actions if a.function in functions and a.does in (Does.OBSERVE, Does.WAIT))
        return frozenset(o for a in looks for o in a.subjects if program.kind(o) in (Kind.EVENT, Kind.CONDITION, Kind.FUTURE))

    def _upwards(self, functions: set[FunctionId]) -> frozenset[FunctionId]:
        found, todo = set(functions), list(functions)
        while todo:
            for caller in self.graph.program.callers.get(todo.pop(), frozenset()) - found:
                found.add(caller)
                todo.append(caller)
        return frozenset(found)

    def _frees(self, function: FunctionId, node: Node) -> bool:
        for number in node.sites():
            site = Site(function.module, number)
            if site in self.sites:
                return True
            if self.graph.program.state.callees.get(site, set()) & self.functions:
                return True
            if any(set(self.graph.program.entries(a.call)) & self.functions for a in self.graph.program.at(site) if a.does is not Does.SPAWN):
                return True
        return False

    def is_missed(self, function: FunctionId, start: Node, edge: Edge, seen: frozenset[FunctionId], depth: int) -> bool:
        """Whether a way from here ends the unit, or returns to code out of sight, without freeing the producer."""
        program = self.graph.program
        if depth > _FARTHEST or function in seen:
            return False
        for end in self._ends(function, start):
            if end is None:
                return True
            if function.index == 0:
                if not self.tasks:
                    return True
                continue
            if function in program.entered_by:
                if end is Exit.RAISE and all(in_group(self.graph, unit) for unit in program.entered_by[function]):
                    continue  # the failure cancels the group, and with it whoever waits in its body
                return True
            callers = sorted(program.callers.get(function, frozenset()))
            if not callers or function in program.openness.callable:
                return True
            for caller in callers:
                for number in self.graph.calls_to(caller, function):
                    for node in self.graph.paths(caller).of(number):
                        if Site(caller.module, number) in self.sites:
                            # The end of the program cancels it; but what leaves it behind before that is at fault.
                            if depth:
                                return True
                            continue
                        for way, target in node.successors:
                            if _continues(way, end) and self.is_missed(caller, target, way, seen | {function}, depth + 1):
                                return True
        return False

    def precedes(self, consumption: Consumption, departure: Departure) -> bool:
        """Whether the producer is always freed between the receive and the departure."""
        paths = self.graph.paths(consumption.function)
        todo = [target for node in paths.of(consumption.site) for _, target in node.successors]
        if any(departure.node is node for node in paths.of(consumption.site)):
            return False
        seen: set[int] = set()
        while todo:
            node = todo.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            if node is departure.node:
                return False
            if not self._frees(consumption.function, node):
                todo += [target for _, target in node.successors]
        return True

    def before(self, function: FunctionId) -> list[Node]:
        """The nodes that a run of the function may reach before it frees anybody."""
        seen: dict[int, Node] = {}
        todo = [self.graph.paths(function).entry]
        while todo:
            node = todo.pop()
            if id(node) in seen or self._frees(function, node):
                continue
            seen[id(node)] = node
            todo += [target for _, target in node.successors]
        return list(seen.values())

    def _makes_another(self, function: FunctionId, node: Node) -> bool:
        """Whether the node comes to the place that makes the channel: from there on it is another one, and this one is forgotten."""
        callees = self.graph.program.state.callees
        return any(callees.get(Site(function.module, number), set()) & self.makers for number in node.sites())

    def _ends(self, function: FunctionId, start: Node) -> list[Exit | None]:
        """How ways from here that free nobody end: at an exit of the function, or (None) where the channel is made anew."""
        seen: set[int] = set()
        found: list[Exit | None] = []
        todo = [start]
        while todo:
            node = todo.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            if node.exit_kind is not None:
                if node.exit_kind is not Exit.CANCEL:
                    found.append(node.exit_kind)
                continue
            if self._makes_another(function, node):
                found.append(None)
                continue
            if self._frees(function, node):
                continue
            todo += [target for way, target in node.successors if way is not Edge.CANCEL]
        return found


def _continues(way: Edge, end: Exit) -> bool:
    return (way is Edge.RAISE) == (end is Exit.RAISE) and way is not Edge.CANCEL


def _leak(graph: Graph, channel: Channel, consumption: Consumption, send: Action, producer: Runner, departure: Departure) -> Leak:
    program, unit = graph.program, producer.unit
    growth = graph.growth(unit.spawns) if unit is not None else Growth.PER_CALL
    source = unit.spawns[0].record.function if unit is not None else send.function
    name = unit.name if unit is not None else graph.qualname(send.function) or "the module"
    size = "unbuffered" if channel.capacity == 0 else f"bounded to {channel.capacity}" if (channel.capacity or 0) > 0 else "bounded"
    trace: list[Step] = [graph.step(*channel.made, f"`{channel.name}` is made here, {size}")]
    if unit is not None:
        trace.append(graph.step(source, unit.spawns[0].record.at, f"its producer `{name}` starts here and nothing cancels it on the way below"))
    leaves = "the only consumer leaves here" if departure.explicit else "this may raise: the only consumer leaves"
    where = departure.function or consumption.function
    trace.append(graph.step(where, departure.at, leaves))
    trace.append(graph.step(send.function, send.at, f"the producer then waits in `{send.method}` for ever"))
    return Leak(
        program.path(where.module), departure.at, graph.qualname(where),
        {"channel": channel.name, "producer": name, "growth": grows(graph, growth, kind_of(unit), source)},
        Confidence.LIKELY, growth, tuple(trace),
    )  # fmt: skip
