"""Lock sets inside one function: what is surely held at each node, and what the function leaves held or has given back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

from leaklint import ir
from leaklint.catalog.grammar import Does
from leaklint.graph import Graph
from leaklint.link.actions import Action
from leaklint.link.syntax import bound_by, subexpressions
from leaklint.link.values import FunctionId
from leaklint.locks.calls import Call, Calls, How
from leaklint.locks.holds import Hold, Mode
from leaklint.locks.identity import Identity
from leaklint.locks.terms import Term, Terms, translated
from leaklint.paths import EXCEPTIONAL, Edge, Exit, Node


@dataclass(frozen=True, slots=True)
class Take:
    """A lock is taken. `sure`: it is held afterwards, on the edges that say so; `blocks`: it waits without a bound."""

    hold: Hold
    sure: bool
    blocks: bool


@dataclass(frozen=True, slots=True)
class Give:
    """A lock is given back."""

    hold: Hold


Event: TypeAlias = Take | Give | Call
Facts: TypeAlias = frozenset[tuple[str, bool]]
"""Parameters and whether they are true."""


@dataclass(frozen=True, slots=True)
class State:
    """At a point of a function: the locks that it surely holds, those of its caller that it may have given back, what tests of
    parameters have told."""

    holds: frozenset[Hold] = frozenset()
    lent: frozenset[Hold] = frozenset()
    facts: Facts = frozenset()

    def joined(self, other: State) -> State:
        return State(self.holds & other.holds, self.lent | other.lent, self.facts & other.facts)


@dataclass(frozen=True, slots=True)
class Effect:
    """What a call of a function changes for its caller, in the words of the function: locks that it leaves held, locks that it may
    give back without having taken them."""

    keeps: frozenset[Hold] = frozenset()
    gives: frozenset[Hold] = frozenset()


NOTHING = Effect()
Effects: TypeAlias = Callable[[Call], Effect]


@dataclass(slots=True, eq=False)
class Events:
    """What happens to locks at the nodes of the functions of one program, calls included."""

    graph: Graph
    identity: Identity
    terms: Terms
    calls: Calls

    def at(self, function: FunctionId, node: Node) -> Iterator[Event]:
        """In the order of evaluation. Of a `with`, each item is entered after what it names is evaluated."""
        if isinstance(node.stmt, ir.With) and node.kind in ("enter", "exit"):
            yield from self._block(function, node, node.stmt)
            return
        yield from self.calls.at(function, node)
        for number in node.sites():
            for action in self.graph.program.at(function.site(number)):
                yield from self._direct(function, action)

    def _block(self, function: FunctionId, node: Node, stmt: ir.With) -> Iterator[Event]:
        entering = node.kind == "enter"
        calls = self.calls.at(function, node)
        yield from (call for call in calls if call.how not in (How.ENTERED, How.LEFT))
        for item in stmt.items if entering else reversed(stmt.items):
            yield from (call for call in calls if call.how in (How.ENTERED, How.LEFT) and call.at == item.at)
            for action in self.graph.program.at(function.site(item.site)):
                if (action.does is Does.ACQUIRE) is entering:
                    yield from self._direct(function, action, self.terms.of(function, item.context))

    def _direct(self, function: FunctionId, action: Action, term: Term | None = None) -> Iterator[Event]:
        if action.does not in (Does.ACQUIRE, Does.RELEASE) or action.deferred or action.call.record.by is not None:
            return
        locks = self.identity.locks(action.subjects)
        if not locks:
            return
        node = action.call.record.node
        if term is None and node is not None and isinstance(node.function, ir.Attribute):
            term = self.terms.of(function, node.function.base)
        taken = self.graph.step(function, action.at, f"`{self.graph.program.describe(min(locks))}` is taken here")
        hold = Hold(locks, term, Mode.EXCLUSIVE, taken, by_block=action.method.startswith("__"))
        if action.does is Does.RELEASE:
            yield Give(hold)
        else:
            yield Take(hold, action.waits is not None and not action.bounded, self.graph.program.blocks(action))


def flow(graph: Graph, function: FunctionId, events: Events, effects: Effects) -> dict[int, State]:
    """id of a node → the state in which it is entered, for every node that can be reached."""
    paths = graph.paths(function)
    found: dict[int, State] = {id(paths.entry): State()}
    todo = [paths.entry]
    fixed = _fixed_parameters(graph, function, events.terms)
    while todo:
        node = todo.pop()
        before = found[id(node)]
        for edge, target in node.successors:
            after = step(before, node, edge, list(events.at(function, node)), effects)
            if edge in (Edge.TRUE, Edge.FALSE) and isinstance(node.stmt, ir.Branch | ir.While):
                after = State(after.holds, after.lent, after.facts | _told(node.stmt.test, edge is Edge.TRUE, fixed))
            after = _forget(graph, function, node, after)
            known = found.get(id(target))
            joined = after if known is None else known.joined(after)
            if joined != known:
                found[id(target)] = joined
                todo.append(target)
    return found


def during(before: State, node: Node, events: list[Event], effects: Effects) -> Iterator[tuple[Event, State]]:
    """Each event of a node with the state in which it happens."""
    state = before
    for event in events:
        yield event, state
        state = _applied(state, event, node, effects)


def step(before: State, node: Node, edge: Edge, events: list[Event], effects: Effects) -> State:
    """The state after a node, on one way on. A node that raises has taken nothing, but may have given back."""
    state = before
    for event in events:
        after = _applied(state, event, node, effects)
        if edge in EXCEPTIONAL:
            state = State(state.holds & after.holds, state.lent | after.lent, state.facts)
        elif isinstance(event, Take) and edge not in held_edges(node):
            pass
        else:
            state = after
    return state


def _applied(state: State, event: Event, node: Node, effects: Effects) -> State:
    match event:
        case Take(hold=hold, sure=sure):
            is_test = node.kind == "test"
            return _taken(state, hold) if sure or is_test or node.kind == "enter" else state
        case Give(hold=hold):
            return _given(state, hold)
        case Call():
            effect = effects(event)
            for hold in effect.gives:
                state = _given(state, hold)
            for hold in effect.keeps:
                state = _taken(state, replace(hold, by_block=True) if event.how is How.ENTERED else hold)
            return state


def _taken(state: State, hold: Hold) -> State:
    """Taking what was lent gives it back to the caller."""
    lent = _meant(state.lent, hold)
    return State(state.holds, state.lent - lent, state.facts) if lent else State(state.holds | {hold}, state.lent, state.facts)


def _given(state: State, hold: Hold) -> State:
    own = _meant(state.holds, hold)
    return State(state.holds - own, state.lent, state.facts) if own else State(state.holds, state.lent | {hold}, state.facts)


def _meant(holds: frozenset[Hold], hold: Hold) -> frozenset[Hold]:
    """Those that may be the same lock: those of the same name if there are any."""
    same = frozenset(one for one in holds if one.locks & hold.locks)
    return frozenset(one for one in same if one.term == hold.term) or same


def held_edges(node: Node) -> frozenset[Edge]:
    """The ways on from a node that takes something on which it is held: the result of the take may be the test of a branch."""
    if node.kind != "test" or not isinstance(node.stmt, ir.Branch | ir.While):
        return frozenset(Edge) - EXCEPTIONAL
    match node.stmt.test:
        case ir.Operation(operator="not"):
            return frozenset({Edge.FALSE})
        case _:
            return frozenset({Edge.TRUE})


def _forget(graph: Graph, function: FunctionId, node: Node, state: State) -> State:
    """A variable that gets a new value no longer names what is held."""
    if not state.holds or node.stmt is None or node.kind not in ("stmt", "step", "enter"):
        return state
    bound = (
        set(bound_by(node.stmt, graph.program.modules[function.module].summary))
        if node.kind != "stmt" or not isinstance(node.stmt, ir.For)
        else set()
    )
    bound |= {one.target.id for part in node.parts for one in subexpressions(part) if isinstance(one, ir.Walrus)}
    if not bound:
        return state
    holds = frozenset(
        replace(h, term=None) if h.term is not None and any(s == function.source and n in bound for s, n in h.term.roots()) else h
        for h in state.holds
    )
    return State(holds, state.lent, state.facts)


def _fixed_parameters(graph: Graph, function: FunctionId, terms: Terms) -> frozenset[str]:
    bindings = terms.bindings(function)
    return frozenset(p.name for p in graph.program.node(function).parameters if bindings.times[p.name] == 1)


def _told(test: ir.Expr, holds: bool, fixed: frozenset[str]) -> Facts:
    """What a test says about parameters when it holds, or does not."""
    match test:
        case ir.Name(id=name) if name in fixed:
            return frozenset({(name, holds)})
        case ir.Operation(operator="not", operands=(inner,)):
            return _told(inner, not holds, fixed)
        case ir.Operation(operator="and" | "or" as operator, operands=operands) if holds is (operator == "and"):
            return frozenset(fact for one in operands for fact in _told(one, holds, fixed))
        case _:
            return frozenset()


def effect(graph: Graph, function: FunctionId, states: dict[int, State], how: How) -> Effect:
    """What a call of the function changes for its caller. A generator that is the block of a `with` counts up to its `yield`, and from
    there."""
    paths = graph.paths(function)
    ends = [states[id(n)] for n in paths.nodes if n.exit_kind is Exit.RETURN and id(n) in states]
    if how not in (How.ENTERED, How.LEFT) or not graph.program.node(function).is_generator:
        return _effect(ends)
    inside = _effect([states[id(n)] for n in paths.nodes if id(n) in states and yields(n)])
    return inside if how is How.ENTERED else Effect(inside.gives, inside.keeps)


def yields(node: Node) -> bool:
    return any(isinstance(one, ir.Yield) for part in node.parts for one in subexpressions(part))


def _effect(states: list[State]) -> Effect:
    if not states:
        return NOTHING
    keeps = frozenset.intersection(*(s.holds for s in states))
    return Effect(keeps, frozenset().union(*(s.lent for s in states)))


def renamed(found: Effect, call: Call, caller: frozenset[tuple[int, int]]) -> Effect:
    """An effect in the words of the caller."""
    return Effect(
        frozenset(in_caller(hold, call, caller) for hold in found.keeps), frozenset(in_caller(hold, call, caller) for hold in found.gives)
    )


def in_caller(hold: Hold, call: Call, caller: frozenset[tuple[int, int]]) -> Hold:
    return replace(hold, term=translated(hold.term, caller, call.callee.source, call.given))
