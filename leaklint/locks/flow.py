"""Lock sets inside one function: what is surely held at each node, and what the function leaves held or has given back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

from leaklint import ir
from leaklint.graph import Graph
from leaklint.link.syntax import bound_by, subexpressions
from leaklint.link.values import FunctionId
from leaklint.locks.calls import Call, How
from leaklint.locks.events import Event, Events, Give, Take
from leaklint.locks.holds import Facts, Hold
from leaklint.locks.terms import Terms, translated
from leaklint.paths import EXCEPTIONAL, Edge, Exit, Node, Paths


@dataclass(frozen=True, slots=True)
class State:
    """At a point of a function: the locks that it surely holds, those of its caller that it may have given back, what tests of parameters
    have told, and the locks that its caller cannot hold: a try has got them."""

    holds: frozenset[Hold] = frozenset()
    lent: frozenset[Hold] = frozenset()
    facts: Facts = frozenset()
    free: frozenset[Hold] = frozenset()

    @property
    def without(self) -> frozenset[Hold]:
        """The locks of its caller that are not held here."""
        return self.lent | self.free

    def joined(self, other: State) -> State:
        return State(self.holds & other.holds, self.lent | other.lent, self.facts & other.facts, self.free & other.free)


@dataclass(frozen=True, slots=True)
class Effect:
    """What a call of a function changes for its caller, in the words of the function: locks that it leaves held, locks that it may
    give back without having taken them."""

    keeps: frozenset[Hold] = frozenset()
    gives: frozenset[Hold] = frozenset()


NOTHING = Effect()
Effects: TypeAlias = Callable[[Call], Effect]


@dataclass(frozen=True, slots=True, eq=False)
class Flow:
    """The lock sets of one function. `states`: id of a node → the state in which it is entered, for every node that can be reached;
    `taken`: id of a statement → the locks that may have been taken, or tried, before it."""

    function: FunctionId
    states: dict[int, State]
    taken: dict[int, frozenset[Hold]]
    effects: Effects

    def during(self, node: Node, events: Iterable[Event]) -> Iterator[tuple[Event, State]]:
        """Each event of a node with the state in which it happens."""
        state = self.states[id(node)]
        for event in events:
            yield event, state
            state = self.applied(state, event, node)

    def after(self, before: State, node: Node, edge: Edge, events: list[Event]) -> State:
        """The state after a node, on one way on. A node that raises has taken nothing for sure, but may have given back."""
        state = before
        for event in events:
            after = self.applied(state, event, node)
            if edge in EXCEPTIONAL:
                state = replace(state, holds=state.holds & after.holds, lent=state.lent | after.lent)
            elif not isinstance(event, Take) or edge in held_edges(node):
                state = after
        return state

    def applied(self, state: State, event: Event, node: Node) -> State:
        match event:
            case Take(hold=hold, sure=sure, blocks=blocks):
                got = _taken(state, hold) if sure or node.kind == "test" else state
                return got if blocks or node.kind != "test" or hold in state.holds else replace(got, free=got.free | {hold})
            case Give(hold=hold):
                return self._given(state, hold, node)
            case Call():
                effect = self.effects(event)
                for hold in effect.gives:
                    state = self._given(state, hold, node)
                for hold in effect.keeps:
                    state = _taken(state, replace(hold, by_block=True) if event.how is How.ENTERED else hold)
                return state

    def _given(self, state: State, hold: Hold, node: Node) -> State:
        """Giving back what nobody has taken here lends it."""
        own = meant(state.holds, hold)
        if own or meant(self.taken.get(id(node.stmt), frozenset()), hold):
            return replace(state, holds=state.holds - own)
        return replace(state, lent=state.lent | {hold})


def flow(graph: Graph, function: FunctionId, events: Events, effects: Effects) -> Flow:
    """What is held at the nodes of a function, where calls have these effects."""
    paths = graph.paths(function)
    active = {id(n): [e for e in events.at(function, n) if not isinstance(e, Call) or effects(e) != NOTHING] for n in paths.nodes}
    found = Flow(function, {id(paths.entry): State()}, _taken_before(paths, active, effects), effects)
    fixed = _fixed_parameters(graph, function, events.terms)
    todo = [paths.entry]
    while todo:
        node = todo.pop()
        for edge, target in node.successors:
            after = found.after(found.states[id(node)], node, edge, active[id(node)])
            if edge in (Edge.TRUE, Edge.FALSE) and isinstance(node.stmt, ir.Branch | ir.While):
                after = replace(after, facts=after.facts | _told(node.stmt.test, edge is Edge.TRUE, fixed))
            after = _renamed_away(graph, function, node, after)
            known = found.states.get(id(target))
            joined = after if known is None else known.joined(after)
            if joined != known:
                found.states[id(target)] = joined
                todo.append(target)
    return found


def _taken_before(paths: Paths, active: dict[int, list[Event]], effects: Effects) -> dict[int, frozenset[Hold]]:
    """id of a statement → what may have been taken on some way to it, or to another of its nodes."""
    found: dict[int, frozenset[Hold]] = {}
    by_stmt: dict[int, frozenset[Hold]] = {}
    todo = [node for node in paths.nodes if _takes(active[id(node)], effects)]
    while todo:
        node = todo.pop()
        out = found.get(id(node), frozenset()) | _takes(active[id(node)], effects)
        for _, target in node.successors:
            known = found.get(id(target), frozenset())
            if not out <= known:
                found[id(target)] = known | out
                by_stmt[id(target.stmt)] = by_stmt.get(id(target.stmt), frozenset()) | out
                todo.append(target)
    return by_stmt


def _takes(events: list[Event], effects: Effects) -> frozenset[Hold]:
    own = frozenset(event.hold for event in events if isinstance(event, Take))
    return own.union(*(effects(event).keeps for event in events if isinstance(event, Call)))


def _taken(state: State, hold: Hold) -> State:
    """Taking what was lent gives it back to the caller."""
    lent = meant(state.lent, hold)
    return replace(state, lent=state.lent - lent) if lent else replace(state, holds=state.holds | {hold})


def meant(holds: frozenset[Hold], hold: Hold) -> frozenset[Hold]:
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


def _renamed_away(graph: Graph, function: FunctionId, node: Node, state: State) -> State:
    """A variable that gets a new value no longer names what is held."""
    if not state.holds or node.stmt is None or node.kind not in ("stmt", "step", "enter"):
        return state
    is_start = isinstance(node.stmt, ir.For) and node.kind == "stmt"
    bound = set() if is_start else set(bound_by(node.stmt, graph.program.modules[function.module].summary))
    bound |= {one.target.id for part in node.parts for one in subexpressions(part) if isinstance(one, ir.Walrus)}
    if not bound:
        return state
    here = {(function.source, name) for name in bound}
    lost = frozenset(hold for hold in state.holds if hold.term is not None and hold.term.roots() & here)
    return replace(state, holds=(state.holds - lost) | {hold.named(None) for hold in lost}) if lost else state


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


# --- what a call changes


def effect(graph: Graph, function: FunctionId, states: dict[int, State], how: How) -> Effect:
    """What a call of the function changes for its caller. A generator that is the block of a `with` counts up to its `yield`, and from
    there."""
    paths = graph.paths(function)
    if how is How.CALLED or function.source not in graph.program.blocks_written_as_generators:
        return _effect([states[id(n)] for n in paths.nodes if n.exit_kind is Exit.RETURN and id(n) in states])
    inside = _effect([states[id(n)] for n in paths.nodes if id(n) in states and yields(n)])
    return inside if how is How.ENTERED else Effect(inside.gives, inside.keeps)


def yields(node: Node) -> bool:
    return any(isinstance(one, ir.Yield) for part in node.parts for one in subexpressions(part))


def _effect(states: list[State]) -> Effect:
    if not states:
        return NOTHING
    return Effect(frozenset.intersection(*(s.holds for s in states)), frozenset().union(*(s.lent for s in states)))


def renamed(found: Effect, call: Call, caller: frozenset[tuple[int, int]]) -> Effect:
    """An effect in the words of the caller."""
    keeps, gives = (frozenset(in_caller(hold, call, caller) for hold in holds) for holds in (found.keeps, found.gives))
    return Effect(keeps, gives)


def in_caller(hold: Hold, call: Call, caller: frozenset[tuple[int, int]]) -> Hold:
    return hold.named(translated(hold.term, caller, call.callee.source, call.given))
