"""Sends that come before their receiver can exist."""

from __future__ import annotations

from leaklint.catalog.grammar import Does, Waits
from leaklint.graph import Channel, Graph
from leaklint.link.actions import Action
from leaklint.link.capacity import UNKNOWN
from leaklint.link.values import FunctionId, Pending
from leaklint.paths import Node


def too_early(graph: Graph, channel: Channel) -> list[Action]:
    """The blocking sends of a channel after which, and only after which, the one who receives gets hold of the channel or is started."""
    blocking = [a for a in channel.sends if a.waits is Waits.WHILE_FULL and graph.program.blocks(a) and not a.deferred]
    return [a for a in blocking if _before_handing_over(graph, channel, a) or _before_start(graph, channel, a)]


def _before_handing_over(graph: Graph, channel: Channel, send: Action) -> bool:
    """A rendezvous in the function that makes the channel, before anybody else has been given an end of it."""
    program = graph.program
    if channel.capacity != 0 or send.function != channel.made[0] or channel.objects & program.kept_on_objects:
        return False
    return not any(_hands_over(graph, channel, send, node) for node in _nodes_before(graph, send))


def _hands_over(graph: Graph, channel: Channel, send: Action, node: Node) -> bool:
    """Whether the node gives the channel to anything but its own operations: as an argument, or to what it starts."""
    program = graph.program
    for number in node.sites():
        site = send.function.site(number)
        given = {o for variable in program.arguments(site) for o in program.elements(program.holds(variable))}
        handed = {program.value(o) for o in given}
        later = {o for v in handed if isinstance(v, Pending) for a in program.at(v.site) for o in a.subjects}
        if (given | later) & channel.objects:
            return True
        if any(a.does in (Does.SPAWN, Does.SUBMIT) for a in program.at(site)) and channel.objects & program.captured(send.function, site):
            return True
    return False


def _before_start(graph: Graph, channel: Channel, send: Action) -> bool:
    """A send that runs before the only line that starts the receiver, on a channel that others may have filled by then."""
    units = {u for a in channel.receives for r in graph.runners(a.function) for u in [r.unit]}
    if len(units) != 1 or None in units or len(channel.receives) == 0:
        return False
    (unit,) = units
    if unit is None or len(unit.spawns) != 1:
        return False
    start = unit.spawns[0].record
    if start.function != send.function:
        return False
    if any(start.site.number in node.sites() for node in _nodes_before(graph, send)):
        return False
    if not _leads_to(graph, send.function, send.site.number, start.site.number):
        return False
    others = [a for a in channel.sends if a is not send and a.function not in graph.program.reached(unit.entries)]
    return channel.capacity == 0 or (bool(others) and channel.capacity in (1, UNKNOWN)) or any(_repeats(graph, a) for a in others)


def _repeats(graph: Graph, action: Action) -> bool:
    place = graph.program.place(action.function, action.site.number)
    return place is not None and bool(place.loops)


def _nodes_before(graph: Graph, send: Action) -> list[Node]:
    """The nodes that may run in the function before the send does for the first time."""
    seen: dict[int, Node] = {}
    todo = [graph.paths(send.function).entry]
    while todo:
        node = todo.pop()
        if id(node) in seen or send.site.number in node.sites():
            continue
        seen[id(node)] = node
        todo += [target for _, target in node.successors]
    # Of these, the ones from which the send can still be reached.
    return [node for node in seen.values() if _reaches(node, send.site.number)]


def _leads_to(graph: Graph, function: FunctionId, first: int, second: int) -> bool:
    return any(_reaches(node, second) for node in graph.paths(function).of(first))


def _reaches(start: Node, site: int) -> bool:
    seen: set[int] = set()
    todo = [start]
    while todo:
        node = todo.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if site in node.sites():
            return True
        todo += [target for _, target in node.successors]
    return False
