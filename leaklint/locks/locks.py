"""The lock sets of a program: what is held where, what a call may take, and with what held a function is entered."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeAlias

from leaklint import ir
from leaklint.catalog.grammar import Does
from leaklint.finding import Step
from leaklint.graph import Graph
from leaklint.link.values import FunctionId
from leaklint.locks.calls import Call, Calls, How
from leaklint.locks.flow import NOTHING, Effect, Event, Events, Give, State, Take, during, effect, flow, in_caller, renamed, yields
from leaklint.locks.holds import Acquisition, Context, Hold
from leaklint.locks.identity import Identity
from leaklint.locks.terms import Terms, entering
from leaklint.paths import Node

_VISITS = 4
"""How often the effect of a function is judged again when those of its callees have changed."""
_FARTHEST = 12
"""Calls between a function and a lock that it takes, from which it counts as having nothing to do with it."""
_MOST = 48
"""Ways in which a function takes locks, or is entered with locks held, that are told apart."""

Contexts: TypeAlias = dict[FunctionId, dict[frozenset[Hold], Context]]


class Locks:
    """Answers for one program. Locks are named by the canonical ids of `Identity`, holds are in the words of the function asked about."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.identity = Identity(graph)
        self.terms = Terms(graph)
        self.calls = Calls(graph, self.terms)
        self.events = Events(graph, self.identity, self.terms, self.calls)
        self._effects: dict[tuple[FunctionId, How], Effect] = {}
        self._states: dict[FunctionId, dict[int, State]] = {}
        self._during: dict[FunctionId, tuple[tuple[Node, Event, State], ...]] = {}
        self._taken: dict[FunctionId, dict[object, Acquisition]] = {}
        self._settle()

    # --- what is held

    def held(self, function: FunctionId, node: Node) -> frozenset[Hold]:
        """The locks that the function itself surely holds when it comes to a node."""
        if function not in self.holders:
            return frozenset()
        return self._flow(function).get(id(node), _NOWHERE).holds

    def steps(self, function: FunctionId) -> tuple[tuple[Node, Event, State], ...]:
        """Everything that happens to locks in a function and every call, each with its node and the state before it; what cannot be reached
        is left out."""
        found = self._during.get(function)
        if found is None:
            states = self._flow(function)
            found = self._during[function] = tuple(
                (node, event, state)
                for node in self.graph.paths(function).nodes
                if id(node) in states
                for event, state in during(states[id(node)], node, list(self.events.at(function, node)), self._of(function))
            )
        return found

    @cached_property
    def holders(self) -> frozenset[FunctionId]:
        """The functions that hold a lock at some point: they take one, or call a function that leaves it held."""
        program = self.graph.program
        found = {function for function, how in self._effects}
        for action in program.actions:
            if action.does is Does.ACQUIRE and self.identity.locks(action.subjects):
                found.add(action.function)
        for function in list(found):
            if any(e.keeps for e in (self._effects.get((function, how), NOTHING) for how in How)):
                found |= program.callers.get(function, frozenset())
        return frozenset(found & program.live)

    def _flow(self, function: FunctionId) -> dict[int, State]:
        found = self._states.get(function)
        if found is None:
            found = self._states[function] = flow(self.graph, function, self.events, self._of(function))
        return found

    def _of(self, function: FunctionId) -> _Of:
        return _Of(self, function)

    def are_same(self, one: Hold, other: Hold) -> bool:
        """Whether two locks, in the words of one function, are one lock of the running program for sure: both places call it the same,
        or it may be but one object, which the program makes once."""
        if not one.locks & other.locks:
            return False
        if one.term is not None and one.term == other.term:
            return True
        return one.locks == other.locks and len(one.locks) == 1 and self.identity.is_single(min(one.locks))

    @cached_property
    def signals(self) -> frozenset[int]:
        """The locks that somebody gives back who has not taken them: whoever takes one a second time may be waiting for just that."""
        program = self.graph.program
        found: set[int] = set()
        for action in program.actions:
            if action.does is Does.RELEASE and not action.method.startswith("__") and action.function in program.live:
                for _, event, state in self.steps(action.function):
                    if isinstance(event, Give) and not any(one.locks & event.hold.locks for one in state.holds):
                        found |= event.hold.locks
        return frozenset(found)

    # --- what calls change

    def _settle(self) -> None:
        """The effects of the functions that take or give back by a call, of generators that stand for a block, and of their callers."""
        program = self.graph.program
        direct = {
            action.function
            for action in program.actions
            if action.does in (Does.ACQUIRE, Does.RELEASE)
            and self.identity.locks(action.subjects)
            and (not action.method.startswith("__") or program.node(action.function).is_generator)
        }
        todo = deque(sorted(direct))
        visits: Counter[FunctionId] = Counter()
        while todo:
            function = todo.popleft()
            visits[function] += 1
            if visits[function] > _VISITS:
                continue
            states = flow(self.graph, function, self.events, self._of(function))
            changed = False
            for how in (How.CALLED, How.ENTERED, How.LEFT):
                found = effect(self.graph, function, states, how)
                if found != self._effects.get((function, how), NOTHING):
                    self._effects[function, how] = found
                    changed = True
            if changed:
                todo.extend(sorted(program.callers.get(function, frozenset())))

    def effect(self, call: Call) -> Effect:
        """What a call leaves held or gives back, in the words of the called function."""
        how = call.how if call.how in (How.ENTERED, How.LEFT) else How.CALLED
        return self._effects.get((call.callee, how), NOTHING) if call.how is not How.WAITED else NOTHING

    # --- what calls take

    def acquisitions(self, function: FunctionId) -> tuple[Acquisition, ...]:
        """The locks that a call of the function may take, itself or through any number of calls, in its words, the nearest first."""
        if function not in self._taken:
            self._explore(function)
        return tuple(self._taken[function].values())

    def _explore(self, start: FunctionId) -> None:
        """All that the functions below a function take, from the bottom up."""
        order = [start]
        fresh = {start}
        callers: dict[FunctionId, set[FunctionId]] = {}
        for function in order:
            for call in self._calls(function):
                callers.setdefault(call.callee, set()).add(function)
                if call.callee not in self._taken and call.callee not in fresh:
                    fresh.add(call.callee)
                    order.append(call.callee)
        for function in fresh:
            self._taken[function] = {}
        todo = deque(reversed(order))
        waiting = set(todo)
        while todo:
            function = todo.popleft()
            waiting.discard(function)
            if self._collect(function):
                for caller in sorted(callers.get(function, ())):
                    if caller not in waiting:
                        waiting.add(caller)
                        todo.append(caller)

    def _calls(self, function: FunctionId) -> Iterator[Call]:
        if function in self.holders:
            yield from (event for _, event, _ in self.steps(function) if isinstance(event, Call))
        else:
            for node in self.graph.paths(function).nodes:
                yield from self.calls.at(function, node)

    def _collect(self, function: FunctionId) -> bool:
        """Add what the function takes by what is known of those that it calls; whether anything is new."""
        known = self._taken[function]
        before = len(known)
        for one in sorted(self._acquired(function), key=lambda a: len(a.way)):
            key = (one.hold, one.blocks, one.without, one.when, one.is_late)
            if key not in known and len(known) < _MOST:
                known[key] = one
        return len(known) != before

    def _acquired(self, function: FunctionId) -> Iterator[Acquisition]:
        late = self._late(function)
        for node, event, state in self._steps_anywhere(function):
            match event:
                case Take():
                    yield replace(taken_by(function, event, state), is_late=id(node) in late)
                case Call():
                    yield from (replace(one, is_late=id(node) in late) for one in self.of_call(function, event, state))
                case _:
                    pass

    def _late(self, function: FunctionId) -> frozenset[int]:
        """The nodes of a generator that stands for a block which run when the block is left."""
        if function.source not in self.graph.program.blocks_written_as_generators:
            return frozenset()
        todo = [target for node in self.graph.paths(function).nodes if yields(node) for _, target in node.successors]
        seen: set[int] = set()
        while todo:
            node = todo.pop()
            if id(node) not in seen:
                seen.add(id(node))
                todo += [target for _, target in node.successors]
        return frozenset(seen)

    def _steps_anywhere(self, function: FunctionId) -> Iterable[tuple[Node, Event, State]]:
        if function in self.holders or any(
            self.terms.bindings(function).times[p.name] for p in self.graph.program.node(function).parameters
        ):
            return self.steps(function)
        return ((node, call, _NOWHERE) for node in self.graph.paths(function).nodes for call in self.calls.at(function, node))

    def of_call(self, function: FunctionId, call: Call, state: State) -> Iterator[Acquisition]:
        """What a call takes, in the words of the function that makes it and is in this state."""
        visible = self.visible(function)
        is_half = self.graph.program.node(call.callee).is_generator and call.how in (How.ENTERED, How.LEFT)
        for one in self._taken.get(call.callee, {}).values() if call.callee in self._taken else self._after(call.callee):
            if is_half and one.is_late is not (call.how is How.LEFT):
                continue
            if len(one.way) >= _FARTHEST or any(_contradicts(call, name, truth) for name, truth in one.when):
                continue
            when = state.facts | {(call.given[name].name, truth) for name, truth in one.when if self._is_parameter(function, call, name)}
            without = state.lent | {in_caller(hold, call, visible) for hold in one.without}
            yield Acquisition(
                in_caller(one.hold, call, visible), one.blocks, one.function, (self._step(function, call), *one.way), without, when,
                one.in_other_unit or call.how is How.WAITED, is_late=False,
            )  # fmt: skip

    def _after(self, callee: FunctionId) -> Iterable[Acquisition]:
        return self.acquisitions(callee)

    def _is_parameter(self, function: FunctionId, call: Call, name: str) -> bool:
        term = call.given.get(name)
        return term is not None and term.scope == function.source and not term.steps

    def _step(self, function: FunctionId, call: Call) -> Step:
        name = self.graph.program.node(call.callee).qualname
        match call.how:
            case How.WAITED:
                words = f"waits for `{name}` here"
            case How.READ:
                words = f"reads the property `{name}` here"
            case How.ENTERED | How.LEFT:
                words = f"the `with` runs `{name}` here"
            case _:
                words = f"calls `{name}` here"
        return self.graph.step(function, call.at, words)

    def visible(self, function: FunctionId) -> frozenset[tuple[int, int]]:
        """The functions whose variables the code of a function sees: itself and those around it."""
        found = [function.source]
        node = self.graph.program.node(function)
        while node.parent:
            found.append((function.module, node.parent))
            node = self.graph.program.node(function.inner(node.parent))
        return frozenset(found)

    # --- what callers hold

    def entered_with(self, function: FunctionId) -> tuple[Context, ...]:
        """What callers may hold when they call the function, each way once, with the calls that lead there. One without holds: it may be
        entered with nothing held."""
        found = tuple(self._contexts.get(function, {}).values())
        return found or (_FREE,)

    @cached_property
    def _contexts(self) -> Contexts:
        """From the functions that hold something down to all that runs below."""
        contexts: Contexts = {}
        todo: deque[tuple[FunctionId, Context]] = deque()
        for function in sorted(self.holders):
            self._pass_on(contexts, todo, function, _FREE)
        while todo:
            function, context = todo.popleft()
            self._pass_on(contexts, todo, function, context)
        for function in contexts:
            if self._may_be_free(function, contexts):
                contexts[function].setdefault(frozenset(), _FREE)
        return contexts

    def _pass_on(
        self,
        contexts: Contexts,
        todo: deque[tuple[FunctionId, Context]],
        function: FunctionId,
        context: Context,
    ) -> None:
        for _, event, state in self._steps_anywhere(function):
            if not isinstance(event, Call) or event.how is How.WAITED or len(context.way) >= _FARTHEST:
                continue
            outer = frozenset(h for h in context.holds if not any(h.locks & lent.locks for lent in state.lent))
            if not state.holds and not outer:
                continue
            callee = event.callee
            seen = self.visible(callee)
            holds = frozenset(replace(h, term=entering(h.term, seen, callee.source, event.given)) for h in state.holds | outer)
            known = contexts.setdefault(callee, {})
            if holds not in known and len(known) < _MOST:
                taken = sorted((h.taken for h in state.holds), key=lambda s: (s.path, s.at.line, s.at.column))
                found = Context(holds, (*context.way, *taken, self._step(function, event)))
                known[holds] = found
                todo.append((callee, found))

    def _may_be_free(self, function: FunctionId, contexts: Contexts) -> bool:
        """Whether somebody may enter the function with nothing held: a unit, code out of sight, a caller that holds nothing there."""
        program = self.graph.program
        if function in program.entered_by or function in program.openness.callable or not program.callers.get(function):
            return True
        for caller in program.callers.get(function, frozenset()):
            for _, event, state in self._steps_anywhere(caller):
                if not isinstance(event, Call) or event.callee != function or state.holds:
                    continue
                if caller not in contexts or self._is_entry(caller) or any(not c.holds for c in contexts[caller].values()):
                    return True
        return False

    def _is_entry(self, function: FunctionId) -> bool:
        program = self.graph.program
        return function in program.entered_by or function in program.openness.callable or not program.callers.get(function)


@dataclass(frozen=True, slots=True, eq=False)
class _Of:
    """The effects of calls in the words of one caller."""

    locks: Locks
    function: FunctionId

    def __call__(self, call: Call) -> Effect:
        found = self.locks.effect(call)
        return renamed(found, call, self.locks.visible(self.function)) if found is not NOTHING else NOTHING


_NOWHERE = State()
_FREE = Context(frozenset(), ())


def taken_by(function: FunctionId, take: Take, state: State) -> Acquisition:
    """What a function takes itself, where it is in this state."""
    return Acquisition(take.hold, take.blocks, function, (take.hold.taken,), state.lent, state.facts, in_other_unit=False, is_late=False)


def _contradicts(call: Call, name: str, truth: bool) -> bool:
    constant = call.constants.get(name)
    if constant is None:
        return False
    match constant:
        case ir.Constant(kind="none"):
            return truth
        case ir.Constant(kind="bool", text=text):
            return truth is not (text == "True")
        case _:
            return False
