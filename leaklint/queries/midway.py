"""Locks that finalizers and signal handlers take: they come in the middle of what a thread does, and it may hold the lock just then."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from leaklint import ir
from leaklint.catalog.grammar import Does, Interrupts, UnitKind
from leaklint.finding import Confidence, Leak, Step
from leaklint.graph import Graph
from leaklint.link.flow.containers import METHODS
from leaklint.link.flow.state import CallRecord
from leaklint.link.syntax import subexpressions
from leaklint.link.values import ClassId, ClassValue, FunctionId, Instance, Library, Object
from leaklint.locks import Acquisition, Hold, Locks, Term
from leaklint.paths import Node
from leaklint.queries.double_checked import is_done_once
from leaklint.queries.wording import grows

_FARTHEST = 3
"""Calls from a place where a lock is held to one that makes an object, followed at most."""
_FARTHEST_TAKE = 6
"""Calls from a finalizer to the lock, with the take itself: on longer ways nobody can tell which object is meant."""
_CONSTRUCTORS = frozenset({"__init__", "__post_init__", "__new__"})


@dataclass(frozen=True, slots=True)
class _Interruption:
    """A function that a thread may come to run between any two steps. `dying`: the class whose instances are collected then."""

    entry: FunctionId
    interrupts: Interrupts
    dying: ClassId | None


def taken_midway(graph: Graph, locks: Locks) -> Iterator[Leak]:
    """Of each place that takes a lock, in a finalizer or signal handler or in what these call, the first way that leads there, when the
    thread that is interrupted may hold that lock."""
    told: set[tuple[str, ir.Span]] = set()
    search = _Search(graph, locks)
    for one in _interruptions(graph):
        for lock in sorted(locks.may_take(one.entry)):
            if locks.identity.is_reentrant(lock):
                continue
            for taken in locks.taking.into(one.entry, lock, _FARTHEST_TAKE):
                place = (taken.way[-1].path, taken.way[-1].at)
                if lock in taken.hold.locks and taken.blocks and place not in told and search.is_shared(one, lock, taken):
                    held = search.held(one, lock, taken.hold.term)
                    if held is not None:
                        told.add(place)
                        yield _leak(graph, one, lock, taken, *held)


def _interruptions(graph: Graph) -> Iterator[_Interruption]:
    program = graph.program
    for function in program.finalizers:
        cls = program.class_of(function)
        if function in program.live and cls is not None:
            yield _Interruption(function, Interrupts.ANY, cls)
    for unit in program.units:
        kinds = {spawn.operation.interrupts for spawn in unit.spawns}
        for entry in unit.entries if len(kinds) == 1 else ():
            for kind in kinds - {None}:
                assert kind is not None
                yield _Interruption(entry, kind, None)


class _Search:
    """Answers for one program."""

    def __init__(self, graph: Graph, locks: Locks) -> None:
        self.graph = graph
        self.locks = locks

    def is_shared(self, one: _Interruption, lock: int, taken: Acquisition) -> bool:
        """Whether the lock that an interruption takes may be held by others: one that the program has once, or one of an object that those
        who are collected have been lent. What belongs to the object that is collected nobody holds any more."""
        term = taken.hold.term
        if self.locks.identity.is_single(lock):
            return True
        if term is None:
            return False
        if term.scope[1] == 0:
            return True
        if one.dying is None:
            own = self.graph.program.class_of(one.entry)
            return own is not None and self._maker(lock) == own
        return len(term.steps) > 1 and self._is_lent(one.dying, lock)

    def _maker(self, lock: int) -> ClassId | None:
        """The class whose objects make the lock."""
        made = self.graph.program.made_at(lock)
        return self.graph.program.class_of(made[0]) if made is not None else None

    def _is_lent(self, dying: ClassId, lock: int) -> bool:
        """Whether instances of a class are given the owner of a lock by somebody who keeps it: `Session(self)`, `Cursor(self._pool)`."""
        program = self.graph.program
        owner = self._maker(lock)
        if owner is None or dying in program.makers(owner):
            return False
        return any(
            isinstance(actual.expression, ir.Attribute) or (isinstance(actual.expression, ir.Name) and actual.expression.id == "self")
            for cls in (dying, *program.state.names.below(dying))
            for record in self._making.get(cls, ())
            for actual in record.actuals
            if any(self._is_instance(obj, owner) for obj in program.holds(actual.variable))
        )

    @cached_property
    def _making(self) -> dict[ClassId, list[CallRecord]]:
        """Class → the calls that make its instances."""
        found: dict[ClassId, list[CallRecord]] = {}
        for record in self.graph.program.state.calls:
            for obj in self.graph.program.holds(record.callee) if record.by is None else ():
                if isinstance(value := self.graph.program.value(obj), ClassValue):
                    found.setdefault(value.cls, []).append(record)
        return found

    def _is_instance(self, obj: int, cls: ClassId) -> bool:
        value = self.graph.program.value(obj)
        return isinstance(value, Instance) and cls in self.graph.program.state.names.lineage(value.cls)[0]

    def held(self, one: _Interruption, lock: int, term: Term | None) -> tuple[FunctionId, Hold, Step] | None:
        """A function that holds the lock, and a step of it at which the interruption may come. Where the lock has a name for the whole
        program, but the program has several like it, it must be called the same."""
        graph, is_main = self.graph, one.interrupts is Interrupts.MAIN
        named = term if term is not None and term.scope[1] == 0 and not self.locks.identity.is_single(lock) else None
        owner = self._maker(lock)
        for function in sorted(self.locks.holders, key=lambda f: (graph.program.class_of(f) != owner, f)):
            if graph.program.node(function).name in _CONSTRUCTORS or (is_main and not _in_main(graph, function)):
                continue
            for node in sorted(graph.paths(function).nodes, key=_line):
                holds = (h for h in self.locks.held(function, node) if lock in h.locks and named in (None, h.term))
                hold = next(holds, None)
                at = getattr(node.stmt, "at", None)
                if hold is None or at is None or node.kind not in ("stmt", "test", "step") or self._waits_without(function, node, lock):
                    continue
                if is_main or (_makes_objects(graph, function, node, 0) and not is_done_once(graph.program.node(function), node.stmt)):
                    words = "a signal may arrive here" if is_main else "the garbage collector may run here"
                    return function, hold, graph.step(function, at, words)
        return None

    def _waits_without(self, function: FunctionId, node: Node, lock: int) -> bool:
        """Whether the node waits on the condition of the lock: it gives the lock back for as long."""
        actions = (action for number in node.sites() for action in self.graph.program.at(function.site(number)))
        return any(action.does is Does.WAIT and lock in self.locks.identity.locks(action.subjects) for action in actions)


def _in_main(graph: Graph, function: FunctionId) -> bool:
    return any(runner.kind is UnitKind.MAIN for runner in graph.runners(function))


def _makes_objects(graph: Graph, function: FunctionId, node: Node, depth: int) -> bool:
    """Whether a node makes objects that the garbage collector counts: it may run whenever one is made."""
    program = graph.program
    for expression in (one for part in node.parts for one in subexpressions(part)):
        match expression:
            case ir.Display() | ir.Mapping() | ir.Comprehension() | ir.Lambda():
                return True
            case ir.Call(site=number):
                site = function.site(number)
                callees = program.state.callees.get(site, set())
                called = program.called(site)
                if any(_is_maker(program.value(obj)) for obj in called) or (not called and not _is_of_container(expression)):
                    return True
                below = depth < _FARTHEST and any(
                    _makes_objects(graph, callee, inner, depth + 1) for callee in callees for inner in graph.paths(callee).nodes
                )
                if below:
                    return True
            case _:
                pass
    return False


def _is_maker(called: Object) -> bool:
    """Whether calling it makes at least one object: a class, a function of a library that is not built in."""
    return isinstance(called, ClassValue) or (isinstance(called, Library) and "." in called.name)


def _is_of_container(call: ir.Call) -> bool:
    """Whether a call of nobody knows what is named like a method of containers, which makes nothing."""
    match call.function:
        case ir.Attribute(name=name):
            return name in METHODS
        case _:
            return False


def _line(node: Node) -> tuple[int, int]:
    at = getattr(node.stmt, "at", None)
    return (at.line, at.column) if at is not None else (0, 0)


# --- what to say


def _leak(graph: Graph, one: _Interruption, lock: int, taken: Acquisition, holder: FunctionId, hold: Hold, moment: Step) -> Leak:
    program = graph.program
    name, last = program.describe(lock), taken.way[-1]
    entry, often = graph.qualname(one.entry), graph.recurrences.of(holder)
    is_signal = one.interrupts is Interrupts.MAIN
    trace = (hold.taken, moment, *taken.way[:-1], Step(last.path, last.at, f"`{name}` is taken again here, by the thread that holds it"))
    return Leak(
        last.path, last.at, graph.qualname(taken.function),
        {
            "object": name, "entry": entry, "function": graph.qualname(holder) or "the module",
            "growth": grows(graph, often, "waiting caller", holder),
        },
        Confidence.LIKELY, often.growth, trace, variant="signal" if is_signal else "collected",
    )  # fmt: skip
