"""Locks, permits and counts kept by hand: where they are taken and given back, through any number of calls."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto

from leaklint import ir
from leaklint.catalog.grammar import Does, Kind
from leaklint.graph import Graph
from leaklint.link.actions import Action
from leaklint.link.syntax import subexpressions, walk
from leaklint.link.values import ClassId, FunctionId, Instance, Resource
from leaklint.paths import EXCEPTIONAL, Edge, Exit, Node

_LOCKS = frozenset({Kind.LOCK, Kind.SEMAPHORE, Kind.CONDITION})
_FARTHEST = 5
"""Calls between a function and the lock itself, from which the function counts as having nothing to do with it."""
_VISITS = 4
"""How often a function is judged again when those it calls have changed."""
_MOST = 2_000
"""Functions looked at for one lock before it counts as unknown."""


class Event(Enum):
    TAKE = auto()
    TRY = auto()  # may or may not have taken it
    GIVE = auto()


@dataclass(frozen=True, slots=True, eq=False)
class Holdable:
    """Something that is taken and given back. `functions` hold the direct events, which `direct` tells for a node; `objects` are the ids
    of the locks, none for a count; `explicit`: somewhere it is taken by a call, not only by `with`."""

    name: str
    objects: frozenset[int]
    functions: frozenset[FunctionId]
    direct: Callable[[FunctionId, Node], Event | None]


def holdables(graph: Graph) -> Iterator[Holdable]:
    """Every lock that is acquired by a call somewhere, and every count that somebody waits for."""
    groups = {
        _wrapped(graph, action.subjects) for action in graph.program.actions
        if action.does is Does.ACQUIRE and not _is_block(action) and action.subjects
        and all(graph.program.kind(o) in _LOCKS for o in action.subjects)
    }  # fmt: skip
    for group in sorted(groups, key=sorted):
        functions = {a.function for o in group for a in graph.program.on(o) if a.does in (Does.ACQUIRE, Does.RELEASE)}
        named = min((graph.program.describe(o) for o in group), key=lambda n: ("." not in n, n))
        yield Holdable(named, group, frozenset(functions), _lock_events(graph, group))
    yield from _counts(graph)


def _is_block(action: Action) -> bool:
    return action.method.startswith("__")


def _wrapped(graph: Graph, objects: frozenset[int]) -> frozenset[int]:
    """The locks with those inside them: a condition made from a lock is that lock."""
    state = graph.program.state
    inside = [graph.program.holds(state.solver.known(("attribute", o, "()wraps"))) for o in objects]
    return objects | {o for one in inside for o in one if graph.program.kind(o) in _LOCKS}


def _lock_events(graph: Graph, group: frozenset[int]) -> Callable[[FunctionId, Node], Event | None]:
    def direct(function: FunctionId, node: Node) -> Event | None:
        found: Event | None = None
        for number in node.sites():
            for action in graph.program.at(function.site(number)):
                if not action.subjects & group or action.deferred or action.call.record.by is not None:
                    continue
                if action.does is Does.RELEASE and (not _is_block(action) or node.kind == "exit"):
                    return Event.GIVE
                if action.does is Does.ACQUIRE and (not _is_block(action) or node.kind == "enter"):
                    sure = action.waits is not None and not action.bounded
                    found = Event.TAKE if sure or node.kind == "test" else Event.TRY
        return found

    return direct


# --- counts kept by hand


def _counts(graph: Graph) -> Iterator[Holdable]:
    """`self.holders += 1` in one method, `self.holders -= 1` and a notify in another, and somebody waits until the count is right: a lock
    made by hand. The side that notifies gives back."""
    program = graph.program
    for module, node in enumerate(program.modules):
        for (cls, name), by_sign in sorted(_steps(module, node.summary).items()):
            by_sign = {sign: {one for f in functions for one in program.versions(f)} for sign, functions in by_sign.items()}
            signals = {sign: [_signalled(graph, f) for f in functions] for sign, functions in by_sign.items()}
            gives = [sign for sign, told in signals.items() if all(told)]
            takes = [sign for sign, told in signals.items() if not any(told)]
            if len(gives) == len(takes) == 1:
                conditions = frozenset(o for one in signals[gives[0]] for o in one)
                if _is_awaited(graph, ClassId(module, cls), name, conditions):
                    functions = frozenset(f for one in by_sign.values() for f in one)
                    named = f"{node.summary.classes[cls].name}.{name}"
                    yield Holdable(named, frozenset(), functions, _count_events(functions, name, gives[0]))


def _steps(module: int, summary: ir.Summary) -> dict[tuple[int, str], dict[str, set[FunctionId]]]:
    """(class, attribute) → `+` and `-` → the methods that count it up and down."""
    found: dict[tuple[int, str], dict[str, set[FunctionId]]] = {}
    for index, function in enumerate(summary.functions):
        if function.owner is None:
            continue
        for stmt in walk(function.body):
            match stmt:
                case ir.Augment(target=ir.Attribute(base=ir.Name(id="self"), name=name), operator="+" | "-" as sign, value=ir.Constant()):
                    found.setdefault((function.owner, name), {}).setdefault(sign, set()).add(FunctionId(module, index))
                case _:
                    pass
    return found


def _signalled(graph: Graph, function: FunctionId) -> frozenset[int]:
    """The conditions that the function notifies."""
    subjects = [a.subjects for a in graph.program.actions_in(function) if a.does is Does.SIGNAL]
    return frozenset(o for one in subjects for o in one if graph.program.kind(o) is Kind.CONDITION)


def _is_awaited(graph: Graph, cls: ClassId, name: str, conditions: frozenset[int]) -> bool:
    """Whether a wait on one of the conditions looks at the count."""
    program = graph.program
    summary = program.modules[cls.module].summary
    for action in (a for o in conditions for a in program.on(o) if a.does is Does.WAIT and a.function.module == cls.module):
        place = program.place(action.function, action.site.number)
        node = action.call.record.node
        looked = [loop.test for loop in place.loops if isinstance(loop, ir.While)] if place is not None else []
        for argument in node.arguments if node is not None else ():
            match argument.value:
                case ir.Lambda(function=index):
                    looked += [s.value for s in summary.functions[index].body if isinstance(s, ir.Return) and s.value is not None]
                case _:
                    pass
        if any(isinstance(p, ir.Attribute) and p.name == name for test in looked for p in subexpressions(test)):
            return True
    return False


def _count_events(functions: frozenset[FunctionId], name: str, give: str) -> Callable[[FunctionId, Node], Event | None]:
    def direct(function: FunctionId, node: Node) -> Event | None:
        match node.stmt:
            case ir.Augment(target=ir.Attribute(base=ir.Name(id="self"), name=one), operator=sign) if one == name and function in functions:
                return Event.GIVE if sign == give else Event.TAKE
            case _:
                return None

    return direct


# --- through calls


_UNTOUCHED, _HELD, _MAYBE, _GIVEN, _LENT = 1, 2, 4, 8, 16
"""Lent: given back without having been taken here. Who takes again then gives it back to the caller, as `Condition.wait` does."""


@dataclass(slots=True, eq=False)
class Holding:
    """What the functions of the program do with one holdable. `acquirers` hold it whenever they return; `keepers` do so on some way;
    `releasers` give back what they have not taken. `_twice` take it a second time while it is held."""

    graph: Graph
    what: Holdable
    acquirers: set[FunctionId] = field(default_factory=set)
    keepers: set[FunctionId] = field(default_factory=set)
    releasers: set[FunctionId] = field(default_factory=set)
    is_known: bool = True
    _twice: set[FunctionId] = field(default_factory=set)
    _before: dict[int, int] = field(default_factory=dict)
    _names: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        program = self.graph.program
        own = sorted(self.what.functions)
        todo = deque((function, 0) for function in [*own, *own])  # again: that a callback gives back is known only when it was judged
        visits: Counter[FunctionId] = Counter()
        while todo:
            function, distance = todo.popleft()
            visits[function] += 1
            if len(visits) > _MOST:
                self.is_known = False
                return
            if visits[function] > _VISITS or not self._update(function) or distance == _FARTHEST:
                continue
            around = set(program.callers.get(function, frozenset())) - {function}
            if parent := program.node(function).parent:
                around.add(function.inner(parent))
            todo.extend((one, distance + 1) for one in sorted(around))

    def _update(self, function: FunctionId) -> bool:
        """Judge a function by what is known of those it calls; whether anything is new."""
        before = function in self.acquirers, function in self.keepers, function in self.releasers
        returns, frees = self._flow(function)
        generates = self.graph.program.node(function).is_generator
        for members, belongs in (
            (self.acquirers, returns == _HELD and not generates), (self.keepers, bool(returns & _HELD)), (self.releasers, frees),
        ):  # fmt: skip
            if belongs:
                members.add(function)
            else:
                members.discard(function)
        if frees:
            self._names.add(self.graph.program.node(function).name)
        return before != (function in self.acquirers, function in self.keepers, function in self.releasers)

    def _flow(self, function: FunctionId) -> tuple[int, bool]:
        """The states in which the function returns, and whether it gives back what it has not taken."""
        found = self.graph.paths(function)
        states: dict[int, int] = {id(found.entry): _UNTOUCHED}
        todo = [found.entry]
        returns = ends = 0
        while todo:
            node = todo.pop()
            state = states[id(node)]
            if node.exit_kind is not None:
                returns |= state if node.exit_kind is Exit.RETURN else 0
                ends |= state
                continue
            event = self.event(function, node)
            for edge, target in node.successors:
                after = _after(state, event, edge, node)
                if states.get(id(target), 0) | after != states.get(id(target), 0):
                    states[id(target)] = states.get(id(target), 0) | after
                    todo.append(target)
        taken = [states[id(n)] for n in found.nodes if id(n) in states and self.what.direct(function, n) is Event.TAKE]
        (self._twice.add if _HELD in taken else self._twice.discard)(function)
        self._before.update(states)
        return returns, bool(ends & _LENT)

    @property
    def is_signal(self) -> bool:
        """Whether somebody takes it twice, to wait until another unit gives it back."""
        return bool(self._twice)

    def takes(self, function: FunctionId, node: Node) -> bool:
        """Whether the node takes what the function did not hold, and not only what it has lent."""
        return self.event(function, node) is Event.TAKE and not self._before.get(id(node), _UNTOUCHED) & _LENT

    def event(self, function: FunctionId, node: Node) -> Event | None:
        """What happens to the holdable at a node, calls included. Giving wins: what may be given back is not missed."""
        own = self.what.direct(function, node)
        if own is Event.GIVE or self._hands_on(function, node):
            return Event.GIVE
        program = self.graph.program
        for number in node.sites():
            callees = program.state.callees.get(function.site(number), set())
            if node.kind in ("enter", "exit"):
                callees = {c for c in callees if program.node(c).name.endswith("exit__") == (node.kind == "exit")}
            if callees & self.releasers:
                return Event.GIVE
            if callees and callees <= self.acquirers and callees <= program.calls.get(function, frozenset()):
                # What a constructor takes belongs to the new object, not to whoever makes it.
                own = own or (None if any(program.node(c).name == "__init__" for c in callees) else Event.TAKE)
        return own

    def _hands_on(self, function: FunctionId, node: Node) -> bool:
        """Whether something that gives back is handed to somebody: `task.add_done_callback(lock.release)`, a coroutine for a task."""
        program = self.graph.program
        for number in node.sites():
            for action in program.at(function.site(number)):
                if self.releasers and any(entry in self.releasers for entry in program.entries(action.call)):
                    return True
        words, lambdas = node.handed()
        if (self.what.objects and "release" in words) or any(self._may_be_function(function, node, word) for word in words & self._names):
            return True
        return any(function.inner(index) in self.releasers for index in lambdas)

    def _may_be_function(self, function: FunctionId, node: Node, word: str) -> bool:
        """Whether a word used without being called may stand for a function: not when it is a variable known to hold something else."""
        if any(isinstance(one, ir.Attribute) and one.name == word for part in node.parts for one in subexpressions(part)):
            return True
        program = self.graph.program
        around: int | None = function.index
        while around is not None:
            objects = program.local_objects(function.inner(around), (word,))
            if objects:
                return not all(isinstance(program.value(o), Instance | Resource) for o in objects)
            around = program.modules[function.module].summary.functions[around].parent
        return True


def held_edges(node: Node) -> frozenset[Edge]:
    """The ways on from a node that takes something on which it is held: the result of the take may be the test of a branch."""
    if node.kind != "test" or not isinstance(node.stmt, ir.Branch | ir.While):
        return frozenset(Edge) - EXCEPTIONAL
    match node.stmt.test:
        case ir.Operation(operator="not"):
            return frozenset({Edge.FALSE})
        case _:
            return frozenset({Edge.TRUE})


def _after(state: int, event: Event | None, edge: Edge, node: Node) -> int:
    match event:
        case Event.GIVE:
            return (_LENT if state & (_UNTOUCHED | _LENT) else 0) | (_GIVEN if state & (_HELD | _MAYBE | _GIVEN) else 0)
        case Event.TAKE if edge in held_edges(node):
            return (_UNTOUCHED if state & _LENT else 0) | (_HELD if state & ~_LENT else 0)
        case Event.TRY if edge not in EXCEPTIONAL:
            return _HELD if state == _HELD else _MAYBE
        case _:
            return state
