"""LK302: what a wait was for is left running when the wait itself is cancelled."""

from __future__ import annotations

from leaklint.catalog.grammar import Does, Waits
from leaklint.exits.ways import agrees, first_reached, is_told
from leaklint.graph import Graph
from leaklint.link.actions import Action
from leaklint.link.units import Unit
from leaklint.link.values import FunctionId, Pending
from leaklint.paths import FORCED, Edge, Exit, Node
from leaklint.queries.race import Race


def is_left_when_cancelled(race: Race) -> bool:
    """Whether a cancellation that arrives at the wait leaves the function on a way that neither cancels nor awaits the unit, which then
    takes what comes next from a channel and gives it to nobody. Somebody who goes on himself must be able to give the wait up."""
    graph, function = race.graph, race.function
    if not takes_an_item(graph, race.unit) or not may_be_given_up(graph, function):
        return False
    waits = graph.paths(function).of(race.action.site.number)
    starts = [target for node in waits for edge, target in node.successors if edge is Edge.CANCEL]

    def follows(node: Node, edge: Edge) -> bool:
        if not agrees(node, edge, race.truth):
            return False
        return is_told(graph, function, node, edge) or (edge in FORCED and not _waits(node))

    return first_reached(starts, lambda node: node.exit_kind in (Exit.CANCEL, Exit.RETURN), race.ends, follows) is not None


def _waits(node: Node) -> bool:
    """Whether another cancellation may arrive at the node."""
    return node.kind == "stmt" and bool(node.sites())


def takes_an_item(graph: Graph, unit: Unit) -> bool:
    """Whether the unit waits for an item of a channel that others have as well, and takes it away when it comes."""
    return any(_takes(graph, action) for action in _actions(graph, unit))


def _actions(graph: Graph, unit: Unit) -> list[Action]:
    """What the unit does: the library's coroutine that it runs, or what the program's own functions do as part of it."""
    program = graph.program
    values = [program.value(o) for o in unit.made.entries] if unit.made is not None else []
    found = [a for value in values if isinstance(value, Pending) for a in program.at(value.site)]
    return found + [a for one in program.reached(unit.entries) for a in program.actions_in(one)]


def _takes(graph: Graph, action: Action) -> bool:
    if action.does is not Does.RECEIVE or action.waits is not Waits.WHILE_EMPTY or action.bounded:
        return False
    return bool(action.subjects) and action.subjects <= graph.program.kept_on_objects


def may_be_given_up(graph: Graph, function: FunctionId) -> bool:
    """Whether somebody who goes on himself may cancel a run of the function: code out of sight that awaits it, or a caller that waits for
    it no longer than a time."""
    program = graph.program
    if not program.node(function).is_async:
        return False
    bounding = (a.call for a in program.actions if a.does is Does.BOUND)
    bounded = {entry for call in bounding for entry in program.entries(call)}
    seen, todo = {function}, [function]
    while todo:
        one = todo.pop()
        callers = program.callers.get(one, frozenset())
        sites = ((caller, number) for caller in callers for number in graph.calls_to(caller, one))
        if one in program.openness.callable or one in bounded or any(program.in_scope(*site) for site in sites):
            return True
        todo += callers - seen
        seen |= callers
    return False
