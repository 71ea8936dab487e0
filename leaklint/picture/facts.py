"""The channel graph of a program as plain facts: what there is, who uses it, who starts it and who owns it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby

from leaklint.catalog.grammar import Does, Kind, UnitKind
from leaklint.link import Program
from leaklint.link.actions import Action
from leaklint.link.dump import origins
from leaklint.link.units import Unit
from leaklint.link.values import ClassId, FunctionId, Pending, Resource, Site
from leaklint.picture.drawing import OWN, Drawing, Edge, Node, NodeType


def drawn(program: Program) -> Drawing:
    """The two ends of a pair are one channel; a task, thread or timer is drawn as the unit that it stands for; what one place makes
    under one name is one node. What nothing in sight runs has no edge."""
    return _numbered(_Picture(program), {module.path: module.name for module in program.modules})


@dataclass(frozen=True, slots=True, order=True)
class _Thing:
    """What becomes one node; the fields, in this order, sort the nodes by place."""

    path: str
    line: int
    column: int
    rank: int
    kind: str
    name: str


_TYPES = (NodeType.UNIT, NodeType.RESOURCE, NodeType.OBJECT)
_UNIT, _RESOURCE, _OBJECT = range(3)

_ANYONE = _Thing("", 0, 0, _UNIT, UnitKind.ANYONE, "anyone")


@dataclass(frozen=True, slots=True, order=True)
class _Doing:
    path: str
    line: int
    column: int
    operation: str
    source: _Thing
    target: _Thing


def _numbered(picture: _Picture, modules: dict[str, str]) -> Drawing:
    doings = sorted(set(picture.doings()))
    used = {*picture.units.values(), *picture.resources.values(), *(end for doing in doings for end in (doing.source, doing.target))}
    nodes: dict[_Thing, Node] = {}
    for number, thing in enumerate(sorted(used)):
        sort = _TYPES[thing.rank]
        name = f"{sort[0]}{number}"
        nodes[thing] = Node(name, sort, thing.kind, thing.name, thing.path, thing.line, picture.reasons.get(thing))
    edges = (Edge(doing.path, doing.line, doing.operation, nodes[doing.source], nodes[doing.target]) for doing in doings)
    return Drawing(tuple(nodes.values()), tuple(edges), modules)


class _Picture:
    """What stands for each unit and each object of the program."""

    def __init__(self, program: Program) -> None:
        self.program = program

    @cached_property
    def units(self) -> dict[Unit, _Thing]:
        found: dict[Unit, _Thing] = {}
        for unit in self.program.units:
            if unit.made is not None:
                record = unit.made.record
                path = self.program.path(record.function.module)
                found[unit] = _Thing(path, record.at.line, record.at.column, _UNIT, unit.kind, unit.name)
        return found

    @cached_property
    def resources(self) -> dict[int, _Thing]:
        """Object id → what stands for it, for what has a kind, is used, and is no handle of a unit."""
        handles = {obj for unit in self.units for obj in unit.handle}
        used = {obj for action in self.program.actions if action.does is not Does.MAKE for obj in action.subjects} - handles
        found: dict[int, _Thing] = {}
        owned: dict[_Thing, dict[int, list[int]]] = {}
        for _, group in groupby(sorted(used, key=self._channel), key=self._channel):
            ends = sorted(group, key=lambda obj: _part(self.program, obj))
            kind, made = self.program.kind(ends[0]), origins(self.program, ends[0])
            if kind is None or not made:
                continue
            name = ", ".join(dict.fromkeys(self.program.describe(obj) for obj in ends))
            path, at = self.program.path(made[0].function.module), made[0].at
            shown = Kind.CHANNEL if self._channel(ends[0])[0] else kind
            thing = _Thing(path, at.line, at.column, _RESOURCE, shown, name)
            found.update(dict.fromkeys(ends, thing))
            if (owner := self.program.owner(ends[0])) is not None:
                owned.setdefault(thing, {}).setdefault(owner, []).extend(ends)
        for thing, by_owner in owned.items():
            if len({self._of(owner) for owner in by_owner}) > 1:  # two buffers of one class have two queues
                for owner, ends in by_owner.items():
                    found.update(dict.fromkeys(ends, replace(thing, name=f"{thing.name} of {self._of(owner)}")))
        return found

    def _of(self, owner: int) -> str:
        """An object by its class and the place that makes it, and so its owner."""
        made, outer = self.program.made_at(owner), self.program.owner(owner)
        place = f" at {self.program.path(made[0].module)}:{made[1].line}" if made is not None else ""
        return f"{self.program.describe(owner)}{place}" + (f" of {self._of(outer)}" if outer is not None else "")

    @cached_property
    def reasons(self) -> dict[_Thing, str]:
        """Why code out of sight may use a thing, for those that it may: not when it stands for one, too, that is all in sight."""
        reasons: dict[_Thing, dict[object, str | None]] = {}
        objects: list[tuple[_Thing, object, int]] = [
            (thing, unit, obj) for unit, thing in self.units.items() for obj in sorted(unit.handle)
        ]
        objects += [(thing, self._channel(obj), obj) for obj, thing in sorted(self.resources.items())]
        for thing, one, obj in objects:
            known = reasons.setdefault(thing, {})
            known[one] = known.get(one) or self.program.opened(obj)
        found = {thing: [reason for reason in known.values() if reason is not None] for thing, known in reasons.items()}
        return {thing: found[thing][0] for thing, known in reasons.items() if len(found[thing]) == len(known)}

    def _channel(self, obj: int) -> tuple[bool, Site | None, int]:
        """What two ends of one pair have in common; anything else has it for itself."""
        value = self.program.value(obj)
        if isinstance(value, Resource) and value.part and self.program.kind(obj) in (Kind.SENDER, Kind.RECEIVER, Kind.ENDPOINT):
            return True, value.site, 0
        return False, None, obj

    def doings(self) -> Iterator[_Doing]:
        yield from self._operations()
        yield from self._starts()
        yield from self._owned_by_objects()
        yield from self._owned_by_units()

    def _operations(self) -> Iterator[_Doing]:
        for action in self.program.actions:
            if action.does is Does.MAKE:
                continue
            targets = dict.fromkeys(thing for obj in action.subjects for thing in self._things(obj))
            yield from self._between(self._performers(action), targets, action.does, action.function, action.at.line, action.at.column)

    def _starts(self) -> Iterator[_Doing]:
        for unit, thing in self.units.items():
            for spawn in unit.spawns:
                does = Does.SPAWN if spawn.operation.does is Does.MAKE else spawn.operation.does
                function, at = spawn.record.function, spawn.record.at
                yield from self._between(self._runners(function), [thing], does, function, at.line, at.column)

    def _owned_by_objects(self) -> Iterator[_Doing]:
        """What attributes hold belongs to the class that makes it, if one does, else to all that hold it."""
        held = [(obj, thing) for unit, thing in self.units.items() for obj in sorted(unit.handle)]
        held += self.resources.items()
        for obj, thing in held:
            for cls in self._owners(obj):
                yield _Doing(thing.path, thing.line, thing.column, OWN, self._object(cls), thing)

    def _owners(self, obj: int) -> list[ClassId]:
        holders = self.program.holders.get(obj, frozenset())
        made = origins(self.program, obj)
        maker = self.program.class_of(made[0].function) if made and holders else None
        if maker is not None and any(maker in self.program.state.names.lineage(holder)[0] for holder in holders):
            return [maker]
        return sorted(holders)

    def _object(self, cls: ClassId) -> _Thing:
        node = self.program.state.names.cls(cls)
        return _Thing(self.program.path(cls.module), node.at.line, node.at.column, _OBJECT, "object", node.qualname)

    def _owned_by_units(self) -> Iterator[_Doing]:
        """What no attribute holds belongs to whoever runs the function that makes it."""
        for obj, thing in self.resources.items():
            made = origins(self.program, obj)
            if made and not self.program.holders.get(obj):
                for owner in self._runners(made[0].function):
                    if owner != _ANYONE:
                        yield _Doing(thing.path, thing.line, thing.column, OWN, owner, thing)

    def _between(
        self, sources: Iterable[_Thing], targets: Collection[_Thing], does: Does, function: FunctionId, line: int, column: int
    ) -> Iterator[_Doing]:
        path = self.program.path(function.module)
        for source in sources:
            for target in targets:
                yield _Doing(path, line, column, does, source, target)

    def _things(self, obj: int) -> list[_Thing]:
        if obj in self.resources:
            return [self.resources[obj]]
        return self._by_handle.get(obj, [])

    @cached_property
    def _by_handle(self) -> dict[int, list[_Thing]]:
        found: dict[int, list[_Thing]] = {}
        for unit, thing in self.units.items():
            for obj in unit.handle:
                found.setdefault(obj, []).append(thing)
        return found

    def _performers(self, action: Action) -> Collection[_Thing]:
        """A coroutine of the library that is handed on runs in the unit made of it."""
        own = self._by_pending.get(action.site, []) if action.deferred else []
        return own or self._runners(action.function)

    @cached_property
    def _by_pending(self) -> dict[Site, list[_Thing]]:
        found: dict[Site, list[_Thing]] = {}
        for unit, thing in self.units.items():
            for obj in unit.made.entries if unit.made is not None else ():
                value = self.program.value(obj)
                if isinstance(value, Pending):
                    found.setdefault(value.site, []).append(thing)
        return found

    def _runners(self, function: FunctionId) -> frozenset[_Thing]:
        found = self._runners_of.get(function)
        if found is None:
            roots = self.program.roots(function)
            found = self._runners_of[function] = frozenset[_Thing]().union(*(self._begun(root) for root in roots))
        return found

    @cached_property
    def _runners_of(self) -> dict[FunctionId, frozenset[_Thing]]:
        return {}

    def _begun(self, root: FunctionId) -> frozenset[_Thing]:
        """Who begins with a function."""
        found = self._begun_in.get(root)
        if found is None:
            found = self._begun_in[root] = frozenset(self._who_begins(root))
        return found

    @cached_property
    def _begun_in(self) -> dict[FunctionId, frozenset[_Thing]]:
        return {}

    def _who_begins(self, root: FunctionId) -> Iterator[_Thing]:
        program = self.program
        yield from (self.units[unit] for unit in program.entered_by.get(root, ()) if unit in self.units)
        if root.index == 0:
            module = program.modules[root.module]
            yield _Thing(module.path, 1, 0, _UNIT, UnitKind.MAIN, module.name)
        if root in program.openness.callable:
            yield _ANYONE


def _part(program: Program, obj: int) -> str:
    value = program.value(obj)
    return value.part if isinstance(value, Resource) else ""
