"""Ways on which a timer that is still armed is armed again, and nothing cancels it before."""

from __future__ import annotations

from collections.abc import Iterable

from leaklint import ir
from leaklint.catalog.grammar import Does, UnitKind
from leaklint.exits.ways import agrees, bound_at, first_reached
from leaklint.graph import Graph
from leaklint.link.syntax import subexpressions, target_names, walk
from leaklint.link.units import Unit
from leaklint.link.values import FunctionId
from leaklint.obligations.armed import Kept
from leaklint.paths import EXCEPTIONAL, Edge, Node

_FARTHEST = 4
"""Calls between a method and the line that arms the timer, followed at most."""
_ENDS = frozenset({Does.CANCEL, Does.JOIN})


class Again:
    """Answers for the timers that one attribute holds. `arming` are the functions that arm them."""

    def __init__(self, graph: Graph, kept: Kept, arming: frozenset[FunctionId]) -> None:
        self.graph = graph
        self.program = graph.program
        self.kept = kept
        self.arming = arming
        self._known: dict[FunctionId, bool] = {}

    def from_the_start(self, function: FunctionId) -> bool:
        """Whether a function, begun with the timer armed, comes to the line that arms it without passing one that cancels it."""
        return self._reaches(function, 0)

    def on_its_own(self, function: FunctionId) -> bool:
        """Whether what a function does after the line that arms the timer, in tasks that it starts too, leads to that line again."""
        starts = [target for node in self.graph.paths(function).nodes if self._arms(function, node) for _, target in node.successors]
        seen, todo = set[FunctionId](), [callee for node in self._onward(function, starts) for callee in self._begins(function, node)]
        while todo:
            one = todo.pop()
            if one == function:
                return self.from_the_start(function)
            if one not in seen and one not in self.kept.cancelling:
                seen.add(one)
                todo += [callee for node in self.graph.paths(one).nodes for callee in self._begins(one, node)]
        return False

    def in_turns(self, function: FunctionId, loop: ir.While | ir.For) -> bool:
        """Whether a turn of a loop in the function arms the timer, and the next one does so again with nothing to cancel the first."""
        inside = {id(node) for node in self.graph.paths(function).nodes if self._is_in(node, loop)}
        arms = [node for node in self.graph.paths(function).nodes if id(node) in inside and self._leads(function, node, 0)]
        arms = [node for node in arms if not _is_of_the_turn(node, loop)]
        starts = [target for node in arms for edge, target in node.successors if edge not in EXCEPTIONAL]
        found = first_reached(
            starts,
            lambda node: any(node is one for one in arms),
            lambda node: id(node) not in inside or self._cancels(function, node),
            lambda node, edge: self._follows(node, edge),
        )
        return found is not None

    def _is_in(self, node: Node, loop: ir.While | ir.For) -> bool:
        at = getattr(node.stmt, "at", None)
        return at is not None and (loop.at.line, loop.at.column) <= (at.line, at.column) and at.end_line <= loop.at.end_line

    # --- one function

    def _reaches(self, function: FunctionId, depth: int) -> bool:
        if depth > _FARTHEST:
            return False
        if function not in self._known:
            self._known[function] = False  # on a way round it is no nearer
            goal = first_reached(
                [self.graph.paths(function).entry],
                lambda node: self._leads(function, node, depth),
                lambda node: self._cancels(function, node),
                self._follows,
            )
            self._known[function] = goal is not None
        return self._known[function]

    def _leads(self, function: FunctionId, node: Node, depth: int) -> bool:
        """Whether a node arms the timer, or calls what comes to such a line. What stands under a test of another attribute is in order: it
        may be true just when the timer is not armed."""
        if self._cancels(function, node):
            return False
        if self._arms(function, node):
            return not self._is_guarded(function, node)
        callees = [c for number in node.sites() for c in self.program.state.callees.get(function.site(number), ())]
        callees = [c for c in callees if not self.program.node(c).is_async or self._is_awaited(function, c)]
        return any(self._reaches(c, depth + 1) for c in callees) and not self._is_guarded(function, node)

    def _is_awaited(self, function: FunctionId, callee: FunctionId) -> bool:
        return callee in self.program.calls.get(function, ())

    def _arms(self, function: FunctionId, node: Node) -> bool:
        if function not in self.arming:
            return False
        made = {spawn.record.site for unit in self.kept.units for spawn in unit.spawns}
        return any(function.site(number) in made for number in node.sites())

    def _is_guarded(self, function: FunctionId, node: Node) -> bool:
        for number in node.sites():
            place = self.program.place(function, number)
            tests = (e.stmt.test for e in (place.around if place is not None else ()) if isinstance(e.stmt, ir.Branch))
            if any(isinstance(part, ir.Attribute) for test in tests if self._truth(test) is None for part in subexpressions(test)):
                return True
        return False

    def _cancels(self, function: FunctionId, node: Node) -> bool:
        return cancels_at(self.graph, function, node, self.kept.handles)

    # --- what follows

    def _follows(self, node: Node, edge: Edge) -> bool:
        return edge not in EXCEPTIONAL and agrees(node, edge, self._truth)

    def _truth(self, test: ir.Expr) -> bool | None:
        """What a test of the attribute gives while it holds an armed timer."""
        name = self.kept.place.name
        match test:
            case ir.Attribute(name=read) if read == name:
                return True
            case ir.Comparison(left=ir.Attribute(name=read), operators=("is" | "is not" as operator,), rights=(ir.Constant(kind="none"),)):
                return operator == "is not" if read == name else None
            case ir.Call(function=ir.Attribute(base=ir.Attribute(name=read), name="is_alive")) if read == name:
                return True
            case ir.Call(function=ir.Attribute(base=ir.Attribute(name=read), name="cancelled")) if read == name:
                return False
            case _:
                return None

    def _onward(self, function: FunctionId, starts: Iterable[Node]) -> list[Node]:
        found: dict[int, Node] = {}
        todo = list(starts)
        while todo:
            node = todo.pop()
            if id(node) not in found and not self._cancels(function, node):
                found[id(node)] = node
                todo += [target for edge, target in node.successors if self._follows(node, edge)]
        return list(found.values())

    def _begins(self, function: FunctionId, node: Node) -> list[FunctionId]:
        """What a node calls, and what it starts in a task."""
        found: list[FunctionId] = []
        for number in node.sites():
            site = function.site(number)
            found += self.program.state.callees.get(site, ())
            for action in self.program.at(site):
                if action.does is Does.SPAWN and action.call.operation.kind is UnitKind.TASK:
                    found += self.program.entries(action.call)
        return found


def comes_again_armed(graph: Graph, unit: Unit, function: FunctionId, number: int, loop: ir.While | ir.For) -> bool:
    """Whether the next turn comes to the place without passing one that cancels the timer."""
    arms = graph.paths(function).of(number)
    made = unit.made.record.site.number if unit.made is not None else number
    names = frozenset(name for node in graph.paths(function).nodes for name in bound_at(node.stmt, made))
    attributes = _attributes(graph, unit)

    def truth(test: ir.Expr) -> bool | None:
        match test:
            case ir.Name(id=name) if name in names:
                return True
            case ir.Attribute(name=name) if name in attributes:
                return True
            case ir.Comparison(left=left, operators=("is" | "is not" as operator,), rights=(ir.Constant(kind="none"),)) if truth(left):
                return operator == "is not"
            case _:
                return None

    inside = {id(stmt) for stmt in walk(loop.body)} | {id(loop)}
    found = first_reached(
        [target for node in arms for edge, target in node.successors if edge not in EXCEPTIONAL],
        lambda node: any(node is one for one in arms),
        lambda node: cancels_at(graph, function, node, unit.handle) or (node.stmt is not None and id(node.stmt) not in inside),
        lambda node, edge: edge not in EXCEPTIONAL and agrees(node, edge, truth),
    )
    return found is not None


def _is_of_the_turn(node: Node, loop: ir.While | ir.For) -> bool:
    """Whether what is called at a node belongs to an object that each turn of the loop has another of."""
    bound = {name for stmt in (loop, *walk(loop.body)) for target in _targets(stmt) for name in target_names(target)}
    calls = (part for expression in node.parts for part in subexpressions(expression) if isinstance(part, ir.Call))
    return any(_root(call.function) in bound for call in calls)


def _targets(stmt: ir.Stmt) -> tuple[ir.Expr, ...]:
    match stmt:
        case ir.Bind(targets=targets):
            return targets
        case ir.For(target=target):
            return (target,)
        case _:
            return ()


def _root(expression: ir.Expr) -> str | None:
    """The name that a chain of attributes begins with."""
    while isinstance(expression, ir.Attribute | ir.Subscript):
        expression = expression.base
    return expression.id if isinstance(expression, ir.Name) else None


def cancels_at(graph: Graph, function: FunctionId, node: Node, handles: frozenset[int]) -> bool:
    """Whether a timer is cancelled at a node, or in what is called there."""
    done = (action for number in node.sites() for action in graph.program.done_at(function, number))
    return any(action.does in _ENDS and action.subjects & handles for action in done)


def _attributes(graph: Graph, unit: Unit) -> frozenset[str]:
    names = (graph.program.names_of.get(obj, "") for obj in unit.handle)
    return frozenset(name.rpartition(".")[2] for name in names if "." in name)
