"""LK504: a unit waits with a lock held that the one who would wake it needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from leaklint import ir
from leaklint.catalog.grammar import Does, Kind, UnitKind, Waits
from leaklint.exits.inline import Inline
from leaklint.finding import Confidence, Leak, Step
from leaklint.graph import Graph
from leaklint.link.actions import Action
from leaklint.link.capacity import UNKNOWN
from leaklint.link.syntax import subexpressions
from leaklint.link.units import Unit
from leaklint.link.values import FunctionId
from leaklint.locks import Hold, Mode, Take, locks_of
from leaklint.locks.dispatch import Dispatch, Selves
from leaklint.locks.needs import Needs, Spot, callers_of
from leaklint.locks.wakers import Wakening, Wakers
from leaklint.paths import Node
from leaklint.queries.query import NoOptions
from leaklint.queries.suspended import suspended
from leaklint.queries.wording import grows


def withheld(graph: Graph, options: NoOptions) -> Iterator[Leak]:
    """A wait without a bound in a place where a lock is held, when everybody who could end it must get that lock first."""
    search = _Search(graph)
    for action in graph.program.actions:
        leak = search.judge(action) if _is_candidate(graph, action) else None
        if leak is not None:
            yield leak
    yield from suspended(graph, search.locks)


def _is_candidate(graph: Graph, action: Action) -> bool:
    return action.waits is not None and not action.deferred and action.function in graph.program.live and action.call.record.by is None


@dataclass(frozen=True, slots=True)
class _Need:
    """Why those who could end a wait do not come to it. `variant` of the message; `waker`: who needs the lock; `steps` show where."""

    variant: str
    waker: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class _Held:
    """A lock that is held at a wait, with the way on which it came to be held."""

    lock: int
    way: tuple[Step, ...]


class _Search:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.locks = locks_of(graph)
        self.inline = Inline(graph)
        self.dispatch = Dispatch(graph)
        self.wakening = Wakening(graph)
        self._needs: dict[int, Needs] = {}

    def judge(self, wait: Action) -> Leak | None:
        nodes = [n for n in self.graph.paths(wait.function).of(wait.site.number) if is_at(wait, n)]
        held = [one for node in nodes for one in self._held(wait, node)]
        for part in self.wakening.of(wait) if held else ():
            if never_waits(self.graph, wait, part.obj):
                continue
            for one in held:
                need = self._need(one.lock, wait, part)
                if need is not None and self._comes_there_with(one.lock, wait.function):
                    return self._leak(wait, one, part, need)
        return None

    def _held(self, wait: Action, node: Node) -> Iterator[_Held]:
        """The locks that are held where an operation waits, by its function or by callers; not the one that it gives back itself."""
        here = (a for a in self.graph.program.at(wait.site) if a.does is wait.does)
        given_back = self.locks.identity.locks(o for a in here for o in a.subjects)
        ways: list[tuple[Hold, tuple[Step, ...]]] = [(hold, (hold.taken,)) for hold in self.locks.held(wait.function, node)]
        ways += [(hold, context.way) for context in self.locks.entered_with(wait.function) for hold in context.holds]
        given_back |= self.locks.events.gates.guarded(wait.function)
        taken: dict[tuple[str, ir.Span], set[int]] = {}
        for hold, _ in ways:
            taken.setdefault((hold.taken.path, hold.taken.at), set()).update(hold.locks)
        for hold, way in sorted(ways, key=lambda w: (len(w[1]), w[0].taken.path, w[0].taken.at.line)):
            is_certain = len(taken[hold.taken.path, hold.taken.at]) == 1  # one place that takes several takes one of them
            lock = min(hold.locks)
            if (
                is_certain
                and hold.mode is Mode.EXCLUSIVE
                and lock not in given_back
                and (hold.term is not None or self.locks.identity.is_single(lock))
            ):
                yield _Held(lock, way)

    def _comes_there_with(self, lock: int, function: FunctionId) -> bool:
        """Whether calls that go to the methods of one object lead to the function from where the lock is held."""
        graph, dispatch = self.graph, self.dispatch
        if any(lock in hold.locks for node in graph.paths(function).nodes for hold in self.locks.held(function, node)):
            return True
        leading = callers_of(graph, {function})
        todo = [
            (one, dispatch.at_start(one), node)
            for one in sorted(leading & self.locks.holders)
            for node in graph.paths(one).nodes
            if any(lock in hold.locks for hold in self.locks.held(one, node))
        ]
        seen: set[tuple[FunctionId, Selves]] = set()
        while todo:
            one, selves, node = todo.pop()
            for following in dispatch.callees(self.inline, one, selves, node):
                if following[0] == function:
                    return True
                if following[0] in leading and following not in seen:
                    seen.add(following)
                    todo += [(*following, inner) for inner in graph.paths(following[0]).nodes]
        return False

    def needs(self, lock: int) -> Needs:
        found = self._needs.get(lock)
        if found is None:
            found = self._needs[lock] = Needs(
                self.graph, self.inline, self.dispatch, self._takes(lock), self._takers.get(lock, frozenset())
            )
        return found

    def _takes(self, lock: int) -> Callable[[FunctionId, Node], bool]:
        def takes(function: FunctionId, node: Node) -> bool:
            return function in self._takers.get(lock, frozenset()) and lock in self._waited_for(function).get(id(node), frozenset())

        return takes

    def _waited_for(self, function: FunctionId) -> dict[int, frozenset[int]]:
        """id of a node → the locks that it waits for itself."""
        found = self._taken.get(function)
        if found is None:
            events = self.locks.events
            found = self._taken[function] = {
                id(node): frozenset(
                    lock
                    for event in events.at(function, node)
                    if isinstance(event, Take) and event.blocks and len(event.hold.locks) == 1
                    for lock in event.hold.locks
                )
                for node in self.graph.paths(function).nodes
            }
        return found

    @cached_property
    def _taken(self) -> dict[FunctionId, dict[int, frozenset[int]]]:
        return {}

    @cached_property
    def _takers(self) -> dict[int, frozenset[FunctionId]]:
        """Lock → the functions that take it themselves."""
        found: dict[int, set[FunctionId]] = {}
        for function, locks in self.locks.events.takers.items():
            for lock in locks if function in self.graph.program.live else ():
                found.setdefault(lock, set()).add(function)
        return {lock: frozenset(functions) for lock, functions in found.items()}

    def _need(self, lock: int, wait: Action, part: Wakers) -> _Need | None:
        needs = self.needs(lock)
        if part.unit is not None:
            return self._of_unit(needs, wait, part.unit)
        places = self._spots(part.operations)
        if not places or not _may_be_others(self.graph, wait.function, {f for f, _ in places}):
            return None
        roots = sorted({r for f, _ in places for r in self.graph.program.roots(f)} & self.graph.program.live)
        found = [self._of_root(needs, root, part, places) for root in roots]
        left = [need for need in found if need is not None]
        others = [need for need in left if need.variant != "default"]
        return (others or left)[0] if left and len(left) == len(found) and len(others) <= 1 else None

    def _spots(self, operations: Iterable[Action]) -> list[Spot]:
        return [(a.function, node) for a in operations for node in self.graph.paths(a.function).of(a.site.number) if is_at(a, node)]

    def _of_unit(self, needs: Needs, wait: Action, unit: Unit) -> _Need | None:
        """The unit that is waited for takes the lock on some way: it can be there when the wait begins."""
        graph, program = self.graph, self.graph.program
        if unit.kind is UnitKind.TASK and any(
            a.does is Does.CANCEL and a.function in program.live for o in unit.handle for a in program.on(o)
        ):
            return None
        if not _may_be_others(graph, wait.function, set(unit.entries)) or _is_told_by(graph, wait, unit):
            return None
        if len({entry.source for entry in unit.entries}) != 1 or any(_answers_every_name(graph, entry) for entry in unit.entries):
            return None  # one of several, or of any name: nobody knows that it is this one
        for entry in unit.entries:
            route = needs.route(entry, needs.dispatch.at_start(entry, unit.handle))
            if route:
                started = unit.spawns[0].record
                return _Need(
                    "unit", unit.name,
                    (graph.step(started.function, started.at, f"`{unit.name}` starts here"), *self._route_steps(needs, route)),
                )  # fmt: skip
        return None

    def _of_root(self, needs: Needs, root: FunctionId, part: Wakers, places: list[Spot]) -> _Need | None:
        """Why what starts in one function does not come to the operations that would end the wait."""
        within = self.graph.program.reached([root])
        here = [(f, n) for f, n in places if f in within]
        return self._always(needs, root, within, part, here) or self._sometimes(needs, root, within, part, here)

    def _always(self, needs: Needs, root: FunctionId, within: frozenset[FunctionId], part: Wakers, places: list[Spot]) -> _Need | None:
        """Every way to the operations passes the lock. A unit that comes to them again and again may be past what it did at its start."""
        since = self._spots(part.since)
        found = needs.approach(places, within, since)
        if found.again or not found.guards:
            return None
        if found.roots and not (part.again and _is_one(self.graph, root) and needs.approach(places, within, since, heeding=False).again):
            return None
        operation = next(a for a in part.operations if a.function == places[0][0])
        guard = min(found.guards, key=lambda s: (s[0] != operation.function, s[0], _line(s[1])))
        who = self.graph.qualname(operation.function) or "the module"
        steps = (
            *self._guard_steps(needs, guard),
            self.graph.step(operation.function, operation.at, f"and only then comes to `{operation.method}`, which would end the wait"),
        )
        return _Need("default", who, steps)

    def _sometimes(self, needs: Needs, root: FunctionId, within: frozenset[FunctionId], part: Wakers, places: list[Spot]) -> _Need | None:
        """The only unit that comes to the operations may come to the lock before that."""
        route = needs.met(places, within) if part.again and _is_one(self.graph, root) else ()
        if not route:
            return None
        operation = next(a for a in part.operations if a.function == places[0][0])
        who = self.graph.qualname(operation.function) or "the module"
        first = self.graph.step(operation.function, operation.at, f"`{who}` alone does `{operation.method}`, which would end the wait")
        return _Need("sometimes", who, (first, *self._route_steps(needs, route)))

    # --- for people

    def _guard_steps(self, needs: Needs, guard: Spot) -> tuple[Step, ...]:
        function, node = guard
        if needs.takes(function, node):
            return self._route_steps(needs, (guard,))
        inside = [c for _, callees in self.inline.by_site(function, node) for c in callees if needs.surely(c)]
        return self._route_steps(needs, (guard, *(needs.route(inside[0], None) if inside else ())))

    def _route_steps(self, needs: Needs, route: tuple[Spot, ...]) -> tuple[Step, ...]:
        steps: list[Step] = []
        for (function, node), following in zip(route, [*route[1:], None], strict=True):
            at = getattr(node.stmt, "at", None) or self.graph.program.node(function).at
            if following is None:
                steps.append(self.graph.step(function, at, f"`{self.graph.qualname(function)}` waits for the lock here"))
            else:
                steps.append(self.graph.step(function, at, f"it calls `{self.graph.qualname(following[0])}`"))
        return tuple(steps)

    def _leak(self, wait: Action, held: _Held, part: Wakers, need: _Need) -> Leak:
        graph, program = self.graph, self.graph.program
        name, what = program.describe(held.lock), part.unit.name if part.unit is not None else program.describe(part.obj)
        method = "with" if wait.method.startswith("__") else wait.method
        often = graph.recurrences.of(wait.function)
        waits = graph.step(wait.function, wait.at, f"it waits here for `{what}` with `{name}` held")
        steps = (*held.way, waits, *need.steps)
        return Leak(
            program.path(wait.function.module), wait.at, graph.qualname(wait.function),
            {
                "operation": method, "object": what, "lock": name, "waker": need.waker,
                "growth": grows(graph, often, "waiting caller", wait.function),
            },
            Confidence.LIKELY, often.growth, steps, need.variant, blocked=(waits,),
        )  # fmt: skip


def _line(node: Node) -> int:
    at = getattr(node.stmt, "at", None)
    return at.line if at is not None else 0


def is_at(action: Action, node: Node) -> bool:
    """Whether a node does the operation: what happens at the end of a block stands at both its ends."""
    if node.kind not in ("enter", "exit") or not action.method.startswith("__"):
        return node.kind != "exit"
    return (node.kind == "exit") is action.method.endswith("exit__")


def _is_one(graph: Graph, root: FunctionId) -> bool:
    """Whether a single unit starts in a function: one for each object, where it is a method."""
    program = graph.program
    if root in program.openness.callable:
        return False
    units = program.entered_by.get(root, ())
    if not units:
        return root.index == 0
    return len(units) == 1 and not _is_many(graph, units[0])


def _is_many(graph: Graph, unit: Unit) -> bool:
    """Whether what starts the unit starts several: in a loop, or one for each element of what it is given."""
    if unit.made is None or (unit.made.operation.does is Does.SUBMIT and unit.made.operation.subject is not None):
        return True
    record = unit.made.record
    place = graph.program.place(record.function, record.site.number)
    return place is None or bool(place.loops) or place.in_comprehension


def _may_be_others(graph: Graph, waiting: FunctionId, wakers: set[FunctionId]) -> bool:
    """Whether somebody other than the one who waits comes to the wakers' functions."""
    own = graph.program.roots(waiting)
    others = {r for f in wakers for r in graph.program.roots(f)}
    return bool(others) and not (own == others and len(own) == 1 and _is_one(graph, next(iter(own))))


def _answers_every_name(graph: Graph, function: FunctionId) -> bool:
    """Whether the function is what a `__getattr__` gives for a name: nobody knows then what was meant."""
    return ".__getattr__." in f".{graph.qualname(function)}."


def _is_told_by(graph: Graph, wait: Action, unit: Unit) -> bool:
    """Whether the wait only comes when a flag is set that the unit itself sets, towards its end."""
    place = graph.program.place(wait.function, wait.site.number)
    tests = (
        [e.stmt.test for e in place.around if isinstance(e.stmt, ir.Branch | ir.While) and e.block == "body"] if place is not None else []
    )
    own = graph.program.reached(unit.entries)
    for name in {p.name for test in tests for p in subexpressions(test) if isinstance(p, ir.Attribute)}:
        loads = graph.loads_of(name)
        bases = {o for load in loads if load.value is None and load.function == wait.function for o in graph.program.holds(load.base)}
        writes = [
            load
            for load in loads
            if isinstance(load.constant, ir.Constant) and load.constant.text == "True" and graph.program.holds(load.base) & bases
        ]
        if writes and all(load.function in own for load in writes):
            return True
    return False


def never_waits(graph: Graph, wait: Action, obj: int) -> bool:
    """Whether the program makes sure before that it does not have to wait: it looks whether there is something, or room, or whether the
    job is done."""
    program = graph.program
    if program.kind(obj) in _LOOKED_AT and any(
        a.does is Does.OBSERVE and obj in a.subjects
        for test in _tests(graph, wait.function)
        for part in subexpressions(test)
        if isinstance(part, ir.Call)
        for a in program.at(wait.function.site(part.site))
    ):
        return True
    return wait.waits is Waits.WHILE_FULL and not _may_fill(graph, obj)


_LOOKED_AT = frozenset({Kind.CHANNEL, Kind.SENDER, Kind.RECEIVER, Kind.FUTURE, Kind.TASK})
"""What may be found ready; a thread that is alive, or an event that is not set, is waited for all the more."""


def _tests(graph: Graph, function: FunctionId) -> Iterator[ir.Expr]:
    """What the function asks before it goes on, or takes an element."""
    for node in graph.paths(function).nodes:
        if node.kind == "test":
            yield from node.parts
        for part in (p for one in node.parts for p in subexpressions(one)):
            if isinstance(part, ir.Comprehension):
                yield from (condition for clause in part.clauses for condition in clause.conditions)


def _may_fill(graph: Graph, obj: int) -> bool:
    """Whether there may be more sends than the channel holds."""
    channel = next((c for c in graph.channels if obj in c.objects), None)
    if channel is None or channel.capacity is None:
        return False
    if channel.capacity in (0, UNKNOWN) or len(channel.sends) > channel.capacity:
        return True
    for send in channel.sends:
        place = graph.program.place(send.function, send.site.number)
        if place is None or place.loops or place.in_comprehension or not graph.runs_once(send.function):
            return True
    return False
