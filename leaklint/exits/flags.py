"""The flags that a loop tests to know whether to go on, and who sets one without waking what waits in the loop."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from leaklint import ir
from leaklint.catalog.grammar import Does, Kind
from leaklint.finding import Step
from leaklint.graph import Graph
from leaklint.link.actions import Action
from leaklint.link.syntax import blocks, expressions, subexpressions, walk
from leaklint.link.values import FunctionId
from leaklint.paths import Node, handler_names, is_endless

FARTHEST = 4
"""Calls between a wait and the loop around it, and between a stop and what follows it, followed at most."""

Loop = ir.While | ir.For


@dataclass(frozen=True, slots=True)
class Turn:
    """A loop whose every turn passes the place `site` of `function`: a wait, or a call that leads to one."""

    function: FunctionId
    site: int
    loop: Loop


@dataclass(frozen=True, slots=True)
class Flag:
    """An attribute of one of the objects `bases` that holds a truth value, or (no name) the events `bases`; `stop` is the value on which
    the loop ends."""

    name: str
    bases: frozenset[int]
    stop: bool


@dataclass(frozen=True, slots=True)
class Stop:
    """A place where a flag gets the value that ends the loop."""

    flag: Flag
    function: FunctionId


@dataclass(frozen=True, slots=True)
class Exit:
    """A statement that leaves a loop, or the end of its test. `flags` is empty when something other than flags decides."""

    flags: tuple[Flag, ...]


def turns(graph: Graph, function: FunctionId, site: int) -> Iterator[Turn]:
    """The loops around a place, innermost first: those of its function, then those around the calls that lead to it."""
    todo, seen = [(function, site, 0)], {function}
    while todo:
        one, number, depth = todo.pop(0)
        place = graph.program.place(one, number)
        for loop in reversed(place.loops if place is not None else ()):
            yield Turn(one, number, loop)
        if depth < FARTHEST and one not in graph.program.entered_by:
            for caller in sorted(graph.program.callers.get(one, frozenset()) - seen):
                seen.add(caller)
                todo += [(caller, call, depth + 1) for call in graph.calls_to(caller, one)]


def exits(graph: Graph, turn: Turn) -> Iterator[Exit]:
    """The ways out of the loop that are written in it. A handler of nothing but a cancellation is none."""
    match turn.loop:
        case ir.While(test=test) if not is_endless(test):
            yield from _decided(graph, turn.function, test, going_on=True)
        case ir.For(site=site) if site != turn.site:
            yield Exit(())
        case _:
            pass
    yield from _written(graph, turn.function, turn.loop.body, None, inner=False)


def _written(graph: Graph, function: FunctionId, body: tuple[ir.Stmt, ...], test: ir.Expr | None, *, inner: bool) -> Iterator[Exit]:
    for stmt in body:
        match stmt:
            case ir.Return() | ir.Raise():
                yield from _decided(graph, function, test, going_on=False)
            case ir.Jump(kind="break") if not inner:
                yield from _decided(graph, function, test, going_on=False)
            case ir.Branch():
                yield from _written(graph, function, stmt.body, stmt.test, inner=inner)
                yield from _written(graph, function, stmt.orelse, ir.Operation("not", (stmt.test,)), inner=inner)
            case ir.Try():
                handled = (h.body for h in stmt.handlers if handler_names(h) != ("CancelledError",))
                for block in (stmt.body, *handled, stmt.orelse, stmt.final):
                    yield from _written(graph, function, block, None, inner=inner)
            case _:
                for block in blocks(stmt):
                    yield from _written(graph, function, block, None, inner=inner or isinstance(stmt, ir.While | ir.For))


def _decided(graph: Graph, function: FunctionId, test: ir.Expr | None, *, going_on: bool) -> Iterator[Exit]:
    if test is None:
        yield Exit(())
        return
    for atom, stop in atoms(test, going_on):
        yield Exit(tuple(flags_in(graph, function, atom, stop)))


def atoms(test: ir.Expr, going_on: bool) -> Iterator[tuple[ir.Expr, bool]]:
    """The parts of a test that alone can end the loop, each with the value that does; the loop goes on while the test is `going_on`."""
    match test:
        case ir.Operation(operator="not", operands=(one,)):
            yield from atoms(one, not going_on)
        case ir.Operation(operator="and" | "or" as operator, operands=operands) if (operator == "and") is going_on:
            for one in operands:
                yield from atoms(one, going_on)
        case _:
            yield test, not going_on


def flags_in(graph: Graph, function: FunctionId, atom: ir.Expr, stop: bool) -> Iterator[Flag]:
    program = graph.program
    match atom:
        case ir.Attribute(name=name):
            reads = (load for load in graph.loads_of(name) if load.value is None and load.function == function)
            bases = frozenset(o for load in reads for o in program.holds(load.base))
            if bases:
                yield Flag(name, bases, stop)
        case ir.Call(site=number) if stop:
            looks = (a for a in program.at(function.site(number)) if a.does is Does.OBSERVE)
            events = frozenset(o for a in looks for o in a.subjects if program.kind(o) is Kind.EVENT)
            if events:
                yield Flag("", events, stop)
        case _:
            pass


def silent_stop(graph: Graph, flags: Iterable[Flag], entries: Iterable[FunctionId], wait: Action, objects: frozenset[int]) -> Stop | None:
    """A place, outside what the unit with these `entries` runs, that sets a flag and wakes nobody who waits for `objects`. None when one
    such place does wake, or may: then the flag has a wake-up."""
    own = graph.program.reached(entries)
    stops: list[Stop] = []
    for flag in flags:
        found = list(stops_of(graph, flag))
        if None in found:
            return None
        stops += [s for s in found if s is not None and s.function not in own]
    stops = [s for s in stops if s.function in graph.program.live and not graph.starts_units(s.function)]
    wake_ups = WakeUps(graph, objects)
    if any(wake_ups.by(stop.function) for stop in stops):
        return None
    return stops[0] if stops else None


def stop_step(graph: Graph, stop: Stop, what: str) -> Step:
    """Where the flag is set that should end the unit."""
    name = stop.flag.name or min(graph.program.describe(o) for o in stop.flag.bases)
    at = graph.program.node(stop.function).at
    return graph.step(stop.function, at, f"`{name}` is set in here to end it, and nothing wakes the {what}")


def stops_of(graph: Graph, flag: Flag) -> Iterator[Stop | None]:
    """Where the flag gets its last value, None for a write of an unknown value; the constructor's first value is none."""
    program = graph.program
    if not flag.name:
        yield from (Stop(flag, a.function) for o in sorted(flag.bases) for a in program.on(o) if a.does is Does.SIGNAL)
        return
    for load in graph.loads_of(flag.name):
        if load.value is None or not program.holds(load.base) & flag.bases or program.node(load.function).name == "__init__":
            continue
        if not (isinstance(load.constant, ir.Constant) and load.constant.kind in ("bool", "none")):
            yield None
        elif (load.constant.text == "True") is flag.stop:
            yield Stop(flag, load.function)


@dataclass(eq=False)
class WakeUps:
    """Who wakes those who wait for `objects`; asked of each function once."""

    graph: Graph
    objects: frozenset[int]
    _within: dict[FunctionId, bool] = field(default_factory=dict)
    _itself: dict[FunctionId, bool] = field(default_factory=dict)

    def by(self, function: FunctionId) -> bool:
        """Whether the function, what it calls, or what its callers do after it, may end the wait."""
        return self.within(function) or self.after(function)

    def within(self, function: FunctionId) -> bool:
        found = self._within.get(function)
        if found is None:
            found = self._within[function] = any(map(self._does, self.graph.program.reached([function])))
        return found

    def after(self, function: FunctionId) -> bool:
        """Whether a caller does after the call, or one of its callers, at most `FARTHEST` further away."""
        seen, near = {function}, [function]
        for _ in range(FARTHEST + 1):
            farther: dict[FunctionId, None] = {}
            for callee in near:
                for caller in sorted(self.graph.program.callers.get(callee, frozenset())):
                    calls = self.graph.calls_to(caller, callee)
                    if any(self._at(caller, node) for number in calls for node in self._follow(caller, callee, number)):
                        return True
                    if caller not in seen:
                        farther[caller] = None
            seen |= farther.keys()
            near = list(farther)
        return False

    def _follow(self, caller: FunctionId, callee: FunctionId, number: int) -> Iterator[Node]:
        """The nodes after the call; a `with` calls its `__exit__` where it is left."""
        leaves = self.graph.program.node(callee).name in ("__exit__", "__aexit__")
        starts = [n for n in self.graph.paths(caller).of(number) if n.kind not in ("enter", "exit") or (n.kind == "exit") is leaves]
        seen: set[int] = set()
        todo = [target for node in starts for _, target in node.successors]
        while todo:
            node = todo.pop()
            if id(node) not in seen:
                seen.add(id(node))
                yield node
                todo += [target for _, target in node.successors]

    def _at(self, function: FunctionId, node: Node) -> bool:
        program = self.graph.program
        for number in node.sites():
            site = function.site(number)
            if any(self._is_waking(a) for a in program.at(site)):
                return True
            if any(self.within(callee) for callee in program.state.callees.get(site, ())):
                return True
        return self._is_outside and any(self._is_something(function, part) for part in node.parts)

    def _does(self, function: FunctionId) -> bool:
        found = self._itself.get(function)
        if found is None:
            found = self._itself[function] = self._finds(function)
        return found

    def _finds(self, function: FunctionId) -> bool:
        program = self.graph.program
        if any(self._is_waking(a) for a in program.actions_in(function)):
            return True
        statements = walk(program.node(function).body)
        return self._is_outside and any(self._is_something(function, e) for stmt in statements for e in expressions(stmt))

    def _is_waking(self, action: Action) -> bool:
        return action.does in _WAKES and bool(action.subjects & self.objects)

    @cached_property
    def _is_outside(self) -> bool:
        """Whether the world outside decides when the wait ends: the program may wake it through a file or socket."""
        return not {self.graph.program.kind(o) for o in self.objects} <= _WITHIN

    def _is_something(self, function: FunctionId, expression: ir.Expr) -> bool:
        """Whether a call in it may write to what the wait watches: any but a join, a look and the program's own functions."""
        program = self.graph.program
        for part in subexpressions(expression):
            if not isinstance(part, ir.Call):
                continue
            site = function.site(part.site)
            actions = program.at(site)
            if actions:
                if not all(a.does in _LOOKS for a in actions):
                    return True
            elif not program.is_inert(site) and not program.state.callees.get(site):
                return True
        return False


_WAKES = frozenset({Does.SIGNAL, Does.SEND, Does.CLOSE, Does.CANCEL, Does.REGISTER})
_LOOKS = frozenset({Does.JOIN, Does.OBSERVE, Does.ACQUIRE, Does.RELEASE})
_WITHIN = frozenset({Kind.EVENT, Kind.CONDITION, Kind.FUTURE, Kind.CHANNEL, Kind.SENDER, Kind.RECEIVER})
"""What only the program itself can make ready."""
