"""The control flow of one run of a function within an automaton: where each node leads, and what its tests are to the explorer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from leaklint import ir
from leaklint.catalog.grammar import Does, Kind
from leaklint.explore.operations import Operations
from leaklint.explore.points import Points, Unsupported
from leaklint.explore.reading import DATA, FALSE, NONE, Reading
from leaklint.explore.setting import Setting
from leaklint.explore.system import Act, Op, Outcome
from leaklint.link.actions import Action
from leaklint.link.values import FunctionId
from leaklint.paths import Edge, Exit, Node
from leaklint.paths.choices import Choices, Facts

DEEPEST = 8
"""Calls inlined in one another."""

Given = tuple["Frame", ir.Expr, "Counts"]
"""A value as it stands in the frame that gives it."""

Counts = tuple[tuple[int, int], ...]
"""Loop → the turn that it is in, from 1 on."""


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
    _known: dict[tuple[int, Facts, Counts], int] = field(default_factory=dict)

    def start(self) -> int:
        if self.function in self.stack or len(self.stack) > DEEPEST:
            raise Unsupported("a function that calls itself")
        node = self.setting.graph.program.node(self.function)
        if node.is_generator:
            raise Unsupported("a generator")
        paths = self.setting.graph.paths(self.function)
        self.choices = Choices(node, paths, lambda call: False)
        self.operations = Operations(self)
        return self.at(paths.entry, frozenset(), ())

    @cached_property
    def reading(self) -> Reading:
        return self.setting.reading(self.function)

    def at(self, node: Node, facts: Facts, counts: Counts) -> int:
        match node.exit_kind:
            case Exit.RETURN | Exit.CLOSE:
                return self.returns
            case Exit.RAISE:
                return self.raises("?")[0]
            case Exit.CANCEL:
                return self.cancels
            case None:
                pass
        key = (id(node), facts, counts)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self.points.new()
            self.points.set(found, Op(Act.CHOOSE), {Outcome.DONE: (self._node(node, facts, counts),)})
        return found

    def _node(self, node: Node, facts: Facts, counts: Counts) -> int:
        """The point at which a node begins."""
        onward = [(edge, target, after) for edge, target, after in self.choices.onward(node, facts) if edge is not Edge.CLOSE]
        way = Ways(self, node, facts, counts, onward)
        then = self._branch(node, way, counts)
        for act in reversed(list(self.operations.of(node))):
            then = act(way, then)
        return then

    # --- where control goes on

    def _branch(self, node: Node, way: Ways, counts: Counts) -> int:
        stmt = node.stmt
        if isinstance(stmt, ir.For) and node.kind == "stmt":
            counts = _counted(counts, id(stmt), 0)
        if isinstance(stmt, ir.For) and node.kind == "step":
            return self._turn(node, stmt, way, counts)
        if isinstance(stmt, ir.Branch | ir.While) and node.kind == "test":
            return self._test(stmt.test, way.to(Edge.TRUE, counts), way.to(Edge.FALSE, counts))
        if isinstance(stmt, ir.Match) and node.kind == "test" and not self.reading.is_data(stmt.subject):
            return self.points.add(Op(Act.GUESS), {Outcome.DONE: (*way.to(Edge.TRUE, counts), *way.to(Edge.FALSE, counts))})
        targets = tuple(dict.fromkeys(t for edge in (Edge.NEXT, Edge.TRUE, Edge.FALSE) for t in way.to(edge, counts)))
        if not targets:  # a `raise`
            targets = tuple(dict.fromkeys((*way.to(Edge.RAISE, counts), *way.to(Edge.CANCEL, counts))))
        return self.points.choose(targets)

    def _turn(self, node: Node, loop: ir.For, way: Ways, counts: Counts) -> int:
        site = self.function.site(loop.site)
        receives = [
            a for a in self.setting.graph.program.at(site) if a.does is Does.RECEIVE and self.setting.resources.number(a) is not None
        ]
        if receives:
            done, over = way.to(Edge.TRUE, counts), way.to(Edge.FALSE, counts)
            return self.operations.wait(receives[0], Act.RECEIVE, way, self.points.choose(done), {Outcome.REFUSED: over})
        turned = dict(counts).get(id(loop), 0)
        if turned < self.setting.turns.turns(self.function, loop):
            return self.points.choose(way.to(Edge.TRUE, _counted(counts, id(loop), turned + 1)))
        return self.points.choose(way.to(Edge.FALSE, _counted(counts, id(loop), None)))

    # --- tests

    def _test(self, test: ir.Expr, true: tuple[int, ...], false: tuple[int, ...]) -> int:
        if not true or not false:
            return self.points.choose(true or false)
        match test:
            case ir.Operation(operator="not", operands=(one,)):
                return self._test(one, false, true)
            case ir.Operation(operator="and", operands=operands):
                for one in reversed(operands):
                    true = (self._test(one, true, false),)
                return true[0]
            case ir.Operation(operator="or", operands=operands):
                for one in reversed(operands):
                    false = (self._test(one, true, false),)
                return false[0]
            case ir.Comparison(left=left, operators=("is" | "==" | "is not" | "!=" as operator,), rights=(right,)):
                if self.reading.is_received(left) and (code := self.reading.code(right)) is not None:
                    return self._received(code, true, false) if operator in ("is", "==") else self._received(code, false, true)
            case ir.Name() | ir.Walrus() | ir.Await() if self.reading.is_received(test):
                return self._received(NONE, false, (self._received(FALSE, false, true),))
            case ir.Call(site=number):
                for action in self.setting.graph.program.at(self.function.site(number)):
                    resource = self.setting.resources.number(action)
                    if resource is not None and action.method in ("is_set", "empty"):
                        act = Act.IS_SET if action.method == "is_set" else Act.IS_EMPTY
                        return self.points.add(Op(act, resource), {Outcome.DONE: true, Outcome.REFUSED: false})
            case _:
                pass
        match test:
            case ir.Call(function=ir.Name(id="isinstance"), arguments=(ir.Argument(value=ir.Name() as one), ir.Argument(value=cls))):
                if self.reading.is_received(one) and (code := self.reading.class_code(cls)) is not None:
                    return self._received(code, true, false)
            case _:
                pass
        both = (*true, *false)
        if self.reading.is_data(test):
            return self.points.choose(both)
        return self.points.add(Op(Act.GUESS), {Outcome.DONE: both})

    def _received(self, code: int, true: tuple[int, ...], false: tuple[int, ...]) -> int:
        return self.points.add(Op(Act.RECEIVED, value=code), {Outcome.DONE: true, Outcome.REFUSED: false})

    # --- calls and values

    def inlined(self, callee: FunctionId, call: ir.Call | None, way: Ways, then: int, gives_up: Callable[[], int] | None) -> int:
        node = self.setting.graph.program.node(callee)
        given: dict[str, Given] = {}
        if call is not None and not any(a.star for a in call.arguments):
            names = [p.name for p in node.parameters if p.kind in ("positional", "any")][1 if node.owner is not None else 0 :]
            given = {p.name: (self, p.default, way.counts) for p in node.parameters if isinstance(p.default, ir.Constant)}
            given |= {
                name: (self, a.value, way.counts) for name, a in zip(names, (a for a in call.arguments if a.keyword is None), strict=False)
            }
            given |= {a.keyword: (self, a.value, way.counts) for a in call.arguments if a.keyword is not None}
        limit = gives_up or self.gives_up
        in_data = self.in_data or (call is not None and self.setting.turns.is_in_data_loop(self.function, call.site))
        return Frame(
            self.setting, self.points, callee, then, way.raised, way.cancelled()[0], (*self.stack, self.function), in_data, given, limit
        ).start()

    def limit(self, site: int, way: Ways) -> Callable[[], int] | None:
        """Where the time limit of a block around a call leads."""
        program = self.setting.graph.program
        place = program.place(self.function, site)
        items = [
            i
            for e in (place.around if place is not None else ())
            if isinstance(e.stmt, ir.With) and e.block == "body"
            for i in e.stmt.items
        ]
        is_limited = any(program.kind(o) is Kind.SCOPE for i in items for a in program.at(self.function.site(i.site)) for o in a.subjects)
        return (lambda: way.raised("TimeoutError")[0]) if is_limited else None

    def code(self, value: ir.Expr, counts: Counts) -> int:
        """What stands for a value: itself when it is a constant, what a parameter or the variable of a loop is now; else data."""
        if isinstance(value, ir.Name):
            if value.id in self.given:
                frame, given, there = self.given[value.id]
                return frame.code(given, there)
            if (loop := self.reading.loops_over.get(value.id)) is not None and isinstance(loop.iterable, ir.Display):
                turn = dict(counts).get(id(loop), 0)
                return self.code(loop.iterable.items[turn - 1], counts) if 0 < turn <= len(loop.iterable.items) else DATA
        return self.reading.code(value) or DATA


@dataclass(eq=False)
class Ways:
    """Where control goes on from a node."""

    frame: Frame
    node: Node
    facts: Facts
    counts: Counts
    onward: Sequence[tuple[Edge, Node, Facts]]

    def to(self, edge: Edge, counts: Counts) -> tuple[int, ...]:
        return tuple(dict.fromkeys(self.frame.at(target, facts, counts) for one, target, facts in self.onward if one is edge))

    def raised(self, name: str) -> tuple[int, ...]:
        target = self.node.thrown.get(name) or self.node.thrown.get("?")
        if target is not None:
            return (self.frame.at(target, self.facts, self.counts),)
        return self.to(Edge.RAISE, self.counts) or self.frame.raises(name)

    def cancelled(self) -> tuple[int, ...]:
        return self.to(Edge.CANCEL, self.counts) or (self.frame.cancels,)

    def refused(self, action: Action, then: int) -> tuple[int, ...]:
        operation = action.call.operation
        names = [name.rpartition(".")[2] for name in (*operation.raises, *operation.gives_up)]
        return tuple(dict.fromkeys(t for name in names for t in self.raised(name))) or (then,)

    def gives_up(self, action: Action, then: int) -> tuple[int, ...]:
        names = [name.rpartition(".")[2] for name in action.call.operation.gives_up]
        return tuple(dict.fromkeys(t for name in names for t in self.raised(name))) or (then, *self.to(Edge.RAISE, self.counts))


def _counted(counts: Counts, loop: int, turns: int | None) -> Counts:
    return tuple(sorted({**{k: n for k, n in counts if k != loop}, **({loop: turns} if turns is not None else {})}.items()))
