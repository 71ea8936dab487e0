"""The control flow of one run of a function within an automaton: where each node leads, and what its tests are to the explorer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from leaklint import ir
from leaklint.explore.locals import Locals, Values
from leaklint.explore.operations import Operations
from leaklint.explore.points import Points, Unsupported
from leaklint.explore.predicates import Predicates
from leaklint.explore.reading import DATA, LOWEST, Reading
from leaklint.explore.runs import Loop
from leaklint.explore.setting import Setting
from leaklint.explore.system import Act, Op, Outcome
from leaklint.link.actions import Action
from leaklint.link.decorators import Binding, binding
from leaklint.link.values import FunctionId
from leaklint.paths import Edge, Exit, Node
from leaklint.paths.choices import Choices, Facts
from leaklint.paths.nodes import EXCEPTIONAL

DEEPEST = 8
"""Calls inlined in one another."""

Given = tuple["Frame", ir.Expr, "Here"]
"""A value as it stands in the frame that gives it."""


class Here(NamedTuple):
    """What is known where a run has come to. `turns`: loop → the turn that it is in, from 1 on; `values` of local names."""

    facts: Facts = frozenset()
    turns: tuple[tuple[int, int], ...] = ()
    values: Values = ()

    def turned(self, loop: Loop, turn: int | None) -> Here:
        turns = {**dict(self.turns), id(loop): turn}
        return self._replace(turns=tuple(sorted((key, n) for key, n in turns.items() if n is not None)))


@dataclass(eq=False)
class Frame:
    """One run of a function within an automaton. `raises`: an exception's name → where it goes on outside."""

    setting: Setting
    points: Points
    function: FunctionId
    returns: int
    raises: Callable[[str], tuple[int, ...]]
    cancels: int
    stack: tuple[FunctionId, ...]
    in_data: bool
    """Whether it runs as often as there is data."""
    given: Mapping[str, Given] = field(default_factory=dict)
    """Parameter → what it is in this call, where that is known."""
    gives_up: Callable[[], int] | None = None
    """Where a time limit around the call leads, when there is one."""
    _known: dict[tuple[int, Here], int] = field(default_factory=dict)

    def start(self) -> int:
        if self.function in self.stack or len(self.stack) > DEEPEST:
            raise Unsupported("a function that calls itself")
        node = self.setting.graph.program.node(self.function)
        if node.is_generator:
            raise Unsupported("a generator")
        paths = self.setting.graph.paths(self.function)
        self.setting.followed.setdefault(self.function, set())
        self.choices = Choices(node, paths, lambda call: False)
        self.choices.relevant = frozenset(atom for atom in self.choices.relevant if self.reading.is_lasting(atom))
        self.operations, self.predicates, self.locals = Operations(self), Predicates(self), Locals(self)
        return self.at(paths.entry, Here())

    @cached_property
    def reading(self) -> Reading:
        return self.setting.reading(self.function)

    def at(self, node: Node, here: Here) -> int:
        match node.exit_kind:
            case Exit.RETURN | Exit.CLOSE:
                return self.returns
            case Exit.RAISE:
                return self.raises("?")[0]
            case Exit.CANCEL:
                return self.cancels
            case None:
                pass
        key = (id(node), here)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self.points.new()
            self.points.set(found, Op(Act.CHOOSE), {Outcome.DONE: (self._node(node, here),)})
        return found

    def _node(self, node: Node, here: Here) -> int:
        """The point at which a node begins."""
        onward = [(edge, target, after) for edge, target, after in self.choices.onward(node, here.facts) if edge is not Edge.CLOSE]
        way = Ways(self, node, here, self.locals.after(node, here), onward)
        then = self._branch(node, way)
        for act in reversed(list(self.operations.of(node))):
            then = act(way, then)
        return then

    # --- where control goes on

    def _branch(self, node: Node, way: Ways) -> int:
        stmt = node.stmt
        if isinstance(stmt, ir.For) and node.kind == "step":
            return self._turn(stmt, way)
        if isinstance(stmt, ir.For) and node.kind == "stmt":
            way = way.with_turn(stmt, 0)
        if stmt is not None and stmt is self.setting.scope.turn and node.kind == "test":
            return self._one_turn(stmt, way)
        if isinstance(stmt, ir.Branch | ir.While) and node.kind == "test":
            return self.predicates.test(stmt.test, way.to(Edge.TRUE), way.to(Edge.FALSE), way.here)
        if isinstance(stmt, ir.Match) and node.kind == "test" and not self.reading.is_data(stmt.subject):
            return self.points.add(Op(Act.GUESS), {Outcome.DONE: (*way.to(Edge.TRUE), *way.to(Edge.FALSE))})
        targets = tuple(dict.fromkeys(t for edge in (Edge.NEXT, Edge.TRUE, Edge.FALSE) for t in way.to(edge)))
        if not targets:  # a `raise`
            targets = tuple(dict.fromkeys((*way.to(Edge.RAISE), *way.to(Edge.CANCEL))))
        return self.points.choose(targets)

    def _one_turn(self, loop: Loop, way: Ways) -> int:
        """The turn of a `while` loop that is explored: when it is over, so is the loop."""
        if not dict(way.here.turns).get(id(loop)):
            return self.points.choose(way.with_turn(loop, 1).to(Edge.TRUE))
        return self.points.choose(way.with_turn(loop, None).to(Edge.FALSE) or (self.returns,))

    def _turn(self, loop: ir.For, way: Ways) -> int:
        receives = self.reading.receives(loop.site)
        if receives:
            done, over = way.to(Edge.TRUE), way.to(Edge.FALSE)
            return self.operations.wait(receives[0], Act.RECEIVE, way, self.points.choose(done), {Outcome.REFUSED: over})
        turned = dict(way.here.turns).get(id(loop), 0)
        if turned < self.setting.turns.turns(self.function, loop):
            return self.points.choose(way.with_turn(loop, turned + 1).to(Edge.TRUE))
        return self.points.choose(way.with_turn(loop, None).to(Edge.FALSE))

    # --- calls and values

    def inlined(self, callee: FunctionId, call: ir.Call | None, way: Ways, then: int, gives_up: Callable[[], int] | None) -> int:
        node = self.setting.graph.program.node(callee)
        self.setting.followed[self.function].add(callee)
        given: dict[str, Given] = {}
        if call is not None and not any(a.star for a in call.arguments):
            names = [p.name for p in node.parameters if p.kind in ("positional", "any")][_is_bound(node) :]
            given = {p.name: (self, p.default, way.here) for p in node.parameters if isinstance(p.default, ir.Constant)}
            given |= {
                name: (self, a.value, way.here) for name, a in zip(names, (a for a in call.arguments if a.keyword is None), strict=False)
            }
            given |= {a.keyword: (self, a.value, way.here) for a in call.arguments if a.keyword is not None}
        limit = gives_up or self.gives_up
        in_data = self.in_data or (call is not None and self.setting.turns.is_in_data_loop(self.function, call.site))
        return Frame(
            self.setting, self.points, callee, then, way.raised, way.cancelled()[0], (*self.stack, self.function), in_data, given, limit
        ).start()

    def limit(self, site: int, way: Ways) -> Callable[[], int] | None:
        """Where the time limit of a block around a call leads."""
        return (lambda: way.raised("TimeoutError")[0]) if self.setting.graph.program.in_scope(self.function, site) else None

    def code(self, value: ir.Expr, here: Here) -> int:
        """What stands for a value that is sent: itself when it is a constant, what a parameter or the variable of a loop is now; else
        data."""
        match self._origin(value, here):
            case (frame, given, there):
                return frame.code(given, there)
            case _:
                return self.reading.code(value) or DATA

    def value(self, expression: ir.Expr, here: Here) -> int | None:
        """The value of an expression where it is known, as flags have it."""
        match expression:
            case ir.Name(id=name) if (found := dict(here.values).get(name)) is not None:
                return found
            case ir.Operation(operator="+" | "-" as operator, operands=(left, right)):
                one, other = self.value(left, here), self.value(right, here)
                if one is None or other is None or min(one, other) < LOWEST:
                    return None
                return one + other if operator == "+" else one - other
            case _:
                pass
        match self._origin(expression, here):
            case (frame, given, there):
                return frame.value(given, there)
            case _:
                return self.reading.value(expression)

    def _origin(self, value: ir.Expr, here: Here) -> Given | None:
        """The expression that gives a parameter, or the variable of a loop, its value."""
        if not isinstance(value, ir.Name):
            return None
        if value.id in self.given:
            return self.given[value.id] if value.id not in self.locals.bound else None
        if (loop := self.reading.loops_over.get(value.id)) is not None and isinstance(loop.iterable, ir.Display):
            turn = dict(here.turns).get(id(loop), 0)
            return (self, loop.iterable.items[turn - 1], here) if 0 < turn <= len(loop.iterable.items) else None
        return None


def _is_bound(function: ir.Function) -> bool:
    """Whether its first parameter is what it is called on."""
    return function.owner is not None and binding(function) is not Binding.STATIC


@dataclass(eq=False)
class Ways:
    """Where control goes on from a node. `after`: what local names are once it has done what it does."""

    frame: Frame
    node: Node
    here: Here
    after: Values
    onward: Sequence[tuple[Edge, Node, Facts]]

    def with_turn(self, loop: Loop, turn: int | None) -> Ways:
        return Ways(self.frame, self.node, self.here.turned(loop, turn), self.after, self.onward)

    def to(self, edge: Edge) -> tuple[int, ...]:
        values = self.here.values if edge in EXCEPTIONAL else self.after
        targets = ((target, self.here._replace(facts=facts, values=values)) for one, target, facts in self.onward if one is edge)
        return tuple(dict.fromkeys(self.frame.at(target, there) for target, there in targets))

    def raised(self, name: str) -> tuple[int, ...]:
        target = self.node.thrown.get(name) or self.node.thrown.get("?")
        if target is not None:
            return (self.frame.at(target, self.here),)
        return self.to(Edge.RAISE) or self.frame.raises(name)

    def cancelled(self) -> tuple[int, ...]:
        return self.to(Edge.CANCEL) or (self.frame.cancels,)

    def refused(self, action: Action, then: int) -> tuple[int, ...]:
        operation = action.call.operation
        return self._told((*operation.raises, *operation.gives_up)) or (then,)

    def gives_up(self, action: Action, then: int) -> tuple[int, ...]:
        return self._told(action.call.operation.gives_up) or (then, *self.to(Edge.RAISE))

    def _told(self, names: Sequence[str]) -> tuple[int, ...]:
        return tuple(dict.fromkeys(t for name in names for t in self.raised(name.rpartition(".")[2])))
