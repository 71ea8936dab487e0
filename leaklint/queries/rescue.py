"""What frees a producer after its consumer has left, and whether every way out of the consumer comes to it."""

from __future__ import annotations

from leaklint.catalog.grammar import Does, Kind, UnitKind
from leaklint.graph import Channel, Graph, Runner
from leaklint.link.units import Unit
from leaklint.link.values import FunctionId, Site
from leaklint.paths import FORCED, Edge, Exit, Node

_FARTHEST = 4
"""Calls from the consumer's loop towards the entry of its unit, followed at most."""


class Rescue:
    """What frees the producer after the consumer has left."""

    def __init__(self, graph: Graph, channel: Channel, producers: list[Runner]) -> None:
        self.graph = graph
        self.tasks = all(r.unit is not None and r.unit.kind is UnitKind.TASK for r in producers)
        program = graph.program
        self.handles = frozenset(o for r in producers if r.unit is not None for o in r.unit.handle)
        groups = {s.subject for r in producers if r.unit is not None for s in r.unit.spawns if s.subject is not None}
        watched = self._watched(producers)
        self.sites: set[Site] = set()
        functions: set[FunctionId] = set()
        for action in program.actions:
            frees = (
                (action.does is Does.CANCEL and action.subjects & (self.handles | groups))
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
            site = function.site(number)
            if site in self.sites:
                return True
            if self.graph.program.state.callees.get(site, set()) & self.functions:
                return True
            if any(
                set(self.graph.program.entries(a.call)) & self.functions for a in self.graph.program.at(site) if a.does is not Does.SPAWN
            ):
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
                        if caller.site(number) in self.sites:
                            # The end of the program cancels it; but what leaves it behind before that is at fault.
                            if depth:
                                return True
                            continue
                        for way, target in node.successors:
                            if _continues(way, end) and self.is_missed(caller, target, way, seen | {function}, depth + 1):
                                return True
        return False

    def precedes(self, function: FunctionId, receive: int, departure: Node) -> bool:
        """Whether the producer is always freed between a receive (its site) and a departure from the loop around it."""
        starts = self.graph.paths(function).of(receive)
        if any(departure is node for node in starts):
            return False
        todo = [target for node in starts for _, target in node.successors]
        seen: set[int] = set()
        while todo:
            node = todo.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            if node is departure:
                return False
            if not self._frees(function, node):
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
        return any(callees.get(function.site(number), set()) & self.makers for number in node.sites())

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
                if node.exit_kind in (Exit.RETURN, Exit.RAISE):
                    found.append(node.exit_kind)
                continue
            if self._makes_another(function, node):
                found.append(None)
                continue
            if self._frees(function, node):
                continue
            todo += [target for way, target in node.successors if way not in FORCED]
        return found


def in_group(graph: Graph, unit: Unit) -> bool:
    """Whether the unit is started in a task group."""
    return bool(unit.spawns) and all(s.subject is not None and graph.program.kind(s.subject) is Kind.GROUP for s in unit.spawns)


def _continues(way: Edge, end: Exit) -> bool:
    return (way is Edge.RAISE) == (end is Exit.RAISE) and way not in FORCED
