"""Locks written by hand: a class that counts who is inside, lets others wait until its counters allow, and wakes them when one leaves.

A *gate* is the place where somebody goes in: a change of the object's own attributes, behind a wait that goes on while other attributes
say so. What a gate makes true (`_readers += 1`, `_writing = True`) and what keeps others out tells which gates shut each other out: one
that shuts itself out is exclusive, one that only exclusive ones shut out is shared. What is true only while one waits announces it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from leaklint import ir
from leaklint.catalog.grammar import Does, Waits
from leaklint.graph import Graph
from leaklint.link.actions import Action
from leaklint.link.syntax import subexpressions
from leaklint.link.values import ClassId, FunctionId, Instance
from leaklint.locks.holds import Mode
from leaklint.paths import EXCEPTIONAL, Edge, Node

_WAITS = frozenset({Waits.UNTIL_NOTIFIED, Waits.UNTIL_SET})


@dataclass(frozen=True, slots=True, eq=False)
class Gate:
    """A place where a lock written by hand is taken. `shut_by`: the attributes that keep one out while they are true; `holds`: those that
    it makes true; `announces`: those that are true while it waits."""

    function: FunctionId
    node: Node
    shut_by: frozenset[str]
    holds: frozenset[str]
    announces: frozenset[str]


@dataclass(frozen=True, slots=True, eq=False)
class Handmade:
    """A class of such locks. `modes`: source of a function → id of a statement that goes in → how; `gives`: the same → ids of those that
    leave; `heeds_waiting`: whether somebody who waits to go in alone keeps further readers out."""

    modes: dict[tuple[int, int], dict[int, Mode]]
    gives: dict[tuple[int, int], frozenset[int]]
    heeds_waiting: bool


class Gates:
    """Answers for one program."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    @cached_property
    def classes(self) -> dict[ClassId, Handmade]:
        """The classes that are such locks."""
        found: dict[ClassId, list[Gate]] = {}
        for function in sorted({a.function for a in self.graph.program.actions if self._is_wait(a)}):
            cls = self.graph.program.class_of(function)
            if cls is not None and self.graph.program.node(function).owner == cls.index and function in self.graph.program.live:
                found.setdefault(cls, []).extend(self._gates(function))
        judged = ((cls, self._judged(cls, gates)) for cls, gates in found.items() if gates)
        return {cls: one for cls, one in judged if one is not None}

    def taken(self, function: FunctionId, node: Node) -> Mode | None:
        """How a node goes in; None where it does not."""
        one = self._of(function)
        return one.modes.get(function.source, {}).get(id(node.stmt)) if one is not None and node.kind == "stmt" else None

    def is_left(self, function: FunctionId, node: Node) -> bool:
        one = self._of(function)
        return one is not None and node.kind == "stmt" and id(node.stmt) in one.gives.get(function.source, frozenset())

    def objects(self, function: FunctionId) -> frozenset[int]:
        """The locks that a method of such a class may run on."""
        program = self.graph.program
        found = program.denoted(function, ir.Name(program.node(function).parameters[0].name))
        return frozenset(obj for obj in found if isinstance(program.value(obj), Instance))

    def guarded(self, function: FunctionId) -> frozenset[int]:
        """The locks for which a function waits that is their own method."""
        return self.objects(function) if self._of(function) is not None else frozenset()

    @cached_property
    def takers(self) -> frozenset[FunctionId]:
        return frozenset(f for one in self.classes.values() for source in one.modes for f in self._versions(source))

    @cached_property
    def givers(self) -> frozenset[FunctionId]:
        return frozenset(f for one in self.classes.values() for source in one.gives for f in self._versions(source))

    def alone(self, lock: int) -> frozenset[FunctionId]:
        """The functions that go in alone."""
        one = self._of_object(lock)
        sources = [source for source, modes in one.modes.items() if Mode.EXCLUSIVE in modes.values()] if one is not None else []
        return frozenset(f for source in sources for f in self._versions(source) if lock in self.objects(f))

    def heeds_waiting(self, lock: int) -> bool:
        """Whether a lock keeps further readers out while somebody waits to go in alone."""
        one = self._of_object(lock)
        return one is not None and one.heeds_waiting

    def _of_object(self, lock: int) -> Handmade | None:
        value = self.graph.program.value(lock)
        return self.classes.get(value.cls) if isinstance(value, Instance) else None

    def _of(self, function: FunctionId) -> Handmade | None:
        node = self.graph.program.node(function)
        return self.classes.get(ClassId(function.module, node.owner)) if node.owner is not None else None

    def _versions(self, source: tuple[int, int]) -> list[FunctionId]:
        return self.graph.program.versions(FunctionId(*source))

    # --- a class

    def _judged(self, cls: ClassId, gates: list[Gate]) -> Handmade | None:
        """None where it is no lock: what a gate makes true must be undone by a method that does not wait itself, or the class hands
        something over from one to another."""
        alone = [gate for gate in gates if gate.holds & gate.shut_by]
        shared = [
            gate for gate in gates if gate not in alone and any(gate.holds & one.shut_by and one.holds & gate.shut_by for one in alone)
        ]
        if not alone or len(alone) + len(shared) < len(gates):
            return None
        held = frozenset(name for gate in gates for name in gate.holds)
        gives: dict[tuple[int, int], frozenset[int]] = {}
        undone: set[str] = set()
        for function in self._methods(cls):
            entering = self._before_going_in(function)
            for node in self.graph.paths(function).nodes:
                names = {name for name, is_set in _changes(node, self._self(function)) if not is_set} & held
                if not names or id(node) in entering:
                    continue
                if not self._is_half(function) and self._waits(function):
                    return None
                undone |= names
                gives[function.source] = gives.get(function.source, frozenset()) | {id(node.stmt)}
        if held - undone or self._asks_who_it_is(cls):
            return None
        modes: dict[tuple[int, int], dict[int, Mode]] = {}
        for gate in gates:
            modes.setdefault(gate.function.source, {})[id(gate.node.stmt)] = Mode.EXCLUSIVE if gate in alone else Mode.SHARED
        heeds = any(one.announces & other.shut_by for one in alone for other in shared)
        return Handmade(modes, gives, heeds)

    def _methods(self, cls: ClassId) -> Iterator[FunctionId]:
        for source in self.graph.program.state.names.members(cls).values():
            if source is not None and self.graph.program.node(source).name not in ("__init__", "__new__"):
                yield source

    def _waits(self, function: FunctionId) -> bool:
        program = self.graph.program
        return any(self._is_wait(a) for version in program.versions(function) for a in program.actions_in(version))

    def _asks_who_it_is(self, cls: ClassId) -> bool:
        """Whether the class tells its holders apart: who is inside already may pass."""
        program = self.graph.program
        return any(
            a.call.operation.current for source in self._methods(cls) for f in program.versions(source) for a in program.actions_in(f)
        )

    def _is_half(self, function: FunctionId) -> bool:
        return function.source in self.graph.program.blocks_written_as_generators

    def _before_going_in(self, function: FunctionId) -> frozenset[int]:
        """The nodes that come before somebody is inside: of a generator those before its `yield`, of a method that has a gate all."""
        paths = self.graph.paths(function)
        if not self._is_half(function):
            return frozenset()
        seen: set[int] = set()
        todo = [paths.entry]
        while todo:
            node = todo.pop()
            if id(node) not in seen:
                seen.add(id(node))
                todo += [] if _yields(node) else [target for edge, target in node.successors if edge not in EXCEPTIONAL]
        return frozenset(seen)

    # --- a method

    def _is_wait(self, action: Action) -> bool:
        return action.does is Does.WAIT and action.waits in _WAITS and self.graph.program.blocks(action) and not action.deferred

    def _self(self, function: FunctionId) -> str:
        parameters = self.graph.program.node(function).parameters
        return parameters[0].name if parameters else ""

    def _gates(self, function: FunctionId) -> Iterator[Gate]:
        """The changes of a method's own attributes that come after a wait, each with what must be false for it."""
        paths, own = self.graph.paths(function), self._self(function)
        waits = [n for a in self.graph.program.actions_in(function) if self._is_wait(a) for n in paths.of(a.site.number)]
        inside = self._before_going_in(function) if self._is_half(function) else frozenset(id(node) for node in paths.nodes)
        changes = [(node, name, is_set) for node in paths.nodes if id(node) in inside for name, is_set in _changes(node, own)]
        ends = {name for _, name, is_set in changes if not is_set}
        for node, name, is_set in changes:
            if is_set and name not in ends:
                shut_by = self._shut_by(function, waits, node)
                announced = frozenset(other for _, other, other_set in changes if other_set and other in ends)
                if shut_by:
                    yield Gate(function, node, shut_by, frozenset({name}), announced)

    def _shut_by(self, function: FunctionId, waits: list[Node], goal: Node) -> frozenset[str] | None:
        """The attributes that must all be false for the goal to be reached past these waits; None where it is not as simple as that."""
        paths, own, found = self.graph.paths(function), self._self(function), frozenset[str]()
        for wait in waits:
            if (predicate := self._predicate(function, wait)) is not None and not _reaches(paths.entry, goal, wait, None):
                names = _false(predicate, True, own)
                if names is None:
                    return None
                found |= names
        for test in paths.nodes:
            if test.kind != "test" or not isinstance(test.stmt, ir.While | ir.Branch):
                continue
            for edge, other, holds in ((Edge.TRUE, Edge.FALSE, True), (Edge.FALSE, Edge.TRUE, False)):
                if _reaches(paths.entry, goal, test, edge) or not any(self._leads(test, other, wait) for wait in waits):
                    continue
                names = _false(test.stmt.test, holds, own)
                if names is None:
                    return None
                found |= names
        return found

    def _leads(self, test: Node, edge: Edge, wait: Node) -> bool:
        return any(target is wait or _reaches(target, wait, None, None) for way, target in test.successors if way is edge)

    def _predicate(self, function: FunctionId, wait: Node) -> ir.Expr | None:
        """What a wait waits for itself: `wait_for(lambda: not self._busy)`."""
        for part in (one for expression in wait.parts for one in subexpressions(expression)):
            if isinstance(part, ir.Lambda):
                body = self.graph.program.node(function.inner(part.function)).body
                return body[0].value if body and isinstance(body[0], ir.Return) else None
        return None


def _reaches(start: Node, goal: Node, barrier: Node | None, edge: Edge | None) -> bool:
    """Whether the goal can be reached without leaving the barrier by this edge, or at all where there is none."""
    seen: set[int] = set()
    todo = [start]
    while todo:
        node = todo.pop()
        if node is goal:
            return True
        if id(node) in seen:
            continue
        seen.add(id(node))
        todo += [
            target for way, target in node.successors if way not in EXCEPTIONAL and not (node is barrier and (edge is None or way is edge))
        ]
    return False


def _changes(node: Node, own: str) -> Iterator[tuple[str, bool]]:
    """The attributes of the object that a node makes true (`+= 1`, `= True`) or false (`-= 1`, `= False`, `= None`, `= 0`)."""
    match node.stmt:
        case ir.Augment(
            target=ir.Attribute(base=ir.Name(id=base), name=name), operator="+" | "-" as operator, value=ir.Constant(kind="int")
        ):
            if base == own and node.kind == "stmt":
                yield name, operator == "+"
        case ir.Bind(targets=targets, value=ir.Constant(kind=kind, text=text)) if node.kind == "stmt":
            for target in targets:
                if isinstance(target, ir.Attribute) and target.base == ir.Name(own):
                    yield target.name, kind == "bool" and text == "True"
        case _:
            pass


def _yields(node: Node) -> bool:
    return any(isinstance(one, ir.Yield) for part in node.parts for one in subexpressions(part))


def _false(test: ir.Expr, holds: bool, own: str) -> frozenset[str] | None:
    """The attributes that are false, all of them, just when a test holds, or does not; None where it asks for anything else."""
    match test:
        case ir.Operation(operator="not", operands=(inner,)):
            return _false(inner, not holds, own)
        case ir.Operation(operator="and" | "or" as operator, operands=operands) if holds is (operator == "and"):
            parts = [_false(one, holds, own) for one in operands]
            return None if None in parts else frozenset(name for names in parts for name in names or ())
        case ir.Attribute(base=ir.Name(id=base), name=name) if base == own and not holds:
            return frozenset({name})
        case ir.Comparison(
            left=ir.Attribute(base=ir.Name(id=base), name=name), operators=(operator,), rights=(ir.Constant(kind="int", text="0"),)
        ):
            is_zero = (operator in ("==", "<=") and holds) or (operator in ("!=", ">") and not holds)
            return frozenset({name}) if base == own and is_zero else None
        case ir.Constant(kind="bool", text="True") if holds:
            return frozenset()
        case _:
            return None
