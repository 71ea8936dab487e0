"""What functions hold at each of their points, and what calls of them leave held or give back."""

from __future__ import annotations

from collections import Counter, deque
from functools import cached_property

from leaklint.finding import Step
from leaklint.graph import Graph
from leaklint.link.values import FunctionId
from leaklint.locks.calls import Call, Calls, How
from leaklint.locks.events import Event, Events, Give
from leaklint.locks.flow import NOTHING, Effect, Flow, State, effect, flow, meant, renamed
from leaklint.locks.holds import Hold
from leaklint.locks.identity import Identity
from leaklint.locks.terms import Terms, visible
from leaklint.paths import Node

_VISITS = 4
"""How often the effect of a function is judged again when those of its callees have changed."""


class Held:
    """Answers for one program, each function settled once."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.identity = Identity(graph)
        self.terms = Terms(graph)
        self.calls = Calls(graph, self.terms)
        self.events = Events(graph, self.identity, self.terms, self.calls)
        self._effects: dict[tuple[FunctionId, How], Effect] = {}
        self._flows: dict[FunctionId, Flow] = {}
        self._steps: dict[FunctionId, tuple[tuple[Node, Event, State], ...]] = {}
        self._calls: dict[FunctionId, dict[FunctionId, list[tuple[Node, Call, State]]]] = {}
        self._settle()

    def at(self, function: FunctionId, node: Node) -> frozenset[Hold]:
        """The locks that the function itself surely holds when it comes to a node."""
        if function not in self.holders:
            return frozenset()
        state = self._flow(function).states.get(id(node))
        return state.holds if state is not None else frozenset()

    def steps(self, function: FunctionId) -> tuple[tuple[Node, Event, State], ...]:
        """Everything that happens to locks in a function and every call, each with its node and the state before it; what cannot be reached
        is left out."""
        found = self._steps.get(function)
        if found is None:
            flow = self._flow(function)
            found = self._steps[function] = tuple(
                (node, event, state)
                for node in self.graph.paths(function).nodes
                if id(node) in flow.states
                for event, state in flow.during(node, self.events.at(function, node))
            )
        return found

    def calls_to(self, function: FunctionId, callee: FunctionId) -> list[tuple[Node, Call, State]]:
        """The calls of one function that another makes, among its steps."""
        found = self._calls.get(function)
        if found is None:
            found = self._calls[function] = {}
            for node, event, state in self.steps(function):
                if isinstance(event, Call):
                    found.setdefault(event.callee, []).append((node, event, state))
        return found.get(callee, [])

    @cached_property
    def holders(self) -> frozenset[FunctionId]:
        """The functions that hold a lock at some point: they take one, or call a function that leaves it held."""
        program = self.graph.program
        found = set(self.events.takers)
        for (function, _), one in self._effects.items():
            if one.keeps:
                found |= program.callers.get(function, frozenset())
        return frozenset(found & program.live)

    @cached_property
    def signals(self) -> frozenset[int]:
        """The locks that somebody gives back who has not taken them: whoever takes one a second time may be waiting for just that."""
        program = self.graph.program
        givers = {a.function for a in self.events.gives if not a.method.startswith("__") and a.function in program.live}
        by_hand = self.events.gates.givers & program.live
        return frozenset(
            lock
            for function in givers | {caller for giver in by_hand for caller in program.callers.get(giver, ())}
            for node, event, state in self.steps(function)
            for lock in self._lent(function, node, event, state)
        )

    def _lent(self, function: FunctionId, node: Node, event: Event, state: State) -> frozenset[int]:
        """The locks that an event gives back which the function has not taken; of those written by hand, where a method is called that
        leaves them."""
        given: frozenset[Hold] = frozenset()
        if isinstance(event, Give) and function not in self.events.gates.givers:
            given = frozenset({event.hold})
        elif isinstance(event, Call) and event.callee in self.events.gates.givers and event.how is How.CALLED:
            given = self.changes(function, event).gives
        lent = self._flow(function).applied(state, event, node).lent if given else frozenset()
        return frozenset(lock for hold in given if meant(lent, hold) for lock in hold.locks)

    def _flow(self, function: FunctionId) -> Flow:
        found = self._flows.get(function)
        if found is None:
            found = self._flows[function] = self._new_flow(function)
        return found

    def _new_flow(self, function: FunctionId) -> Flow:
        return flow(self.graph, function, self.events, lambda call: self.changes(function, call))

    # --- what calls change

    def changes(self, function: FunctionId, call: Call) -> Effect:
        """What a call leaves held or gives back, in the words of the function that makes it."""
        found = self._effects.get((call.callee, _part(call)))
        return NOTHING if found is None else renamed(found, call, self.visible(function))

    def inside(self, function: FunctionId) -> frozenset[Hold]:
        """What a generator that stands for a block holds while the block runs."""
        return self._effects.get((function, How.ENTERED), NOTHING).keeps

    def _settle(self) -> None:
        """The effects of the functions that take or give back by a call, of generators that stand for a block, and of their callers."""
        program = self.graph.program
        direct = {
            action.function
            for action in (*self.events.takes, *self.events.gives)
            if not action.method.startswith("__") or action.function.source in program.blocks_written_as_generators
        }
        todo = deque(sorted(direct | ((self.events.gates.takers | self.events.gates.givers) & program.live)))
        visits: Counter[FunctionId] = Counter()
        while todo:
            function = todo.popleft()
            visits[function] += 1
            if visits[function] > _VISITS:
                continue
            if self._update(function, self._new_flow(function).states):
                todo.extend(sorted(program.callers.get(function, frozenset())))

    def _update(self, function: FunctionId, states: dict[int, State]) -> bool:
        """Judge a function by what is known of those it calls; whether anything is new."""
        changed = False
        for how in (How.CALLED, How.ENTERED, How.LEFT):
            found = effect(self.graph, function, states, how)
            if found != self._effects.get((function, how), NOTHING):
                self._effects[function, how] = found
                changed = True
        return changed

    # --- words

    def visible(self, function: FunctionId) -> frozenset[tuple[int, int]]:
        """The functions whose variables the code of a function sees."""
        return visible(self.graph, function)

    def step(self, function: FunctionId, call: Call) -> Step:
        """A call as a line of a trace."""
        name = self.graph.program.node(call.callee).qualname
        match call.how:
            case How.READ:
                words = f"reads the property `{name}` here"
            case How.ASKED:
                words = f"runs `{name}` here"
            case How.ENTERED | How.LEFT:
                words = f"the `with` runs `{name}` here"
            case _:
                words = f"calls `{name}` here"
        return self.graph.step(function, call.at, words)


def _part(call: Call) -> How:
    return call.how if call.how in (How.ENTERED, How.LEFT) else How.CALLED
