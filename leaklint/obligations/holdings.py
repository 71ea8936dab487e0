"""Which objects hold which: what the attributes of instances may hold, themselves or in containers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from leaklint.link.program import Program
from leaklint.link.values import ClassId, Container, FunctionId, Instance, Resource


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """An attribute of an instance."""

    owner: int
    name: str


class Holdings:
    """Answers for one program."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.places: dict[Place, frozenset[int]] = {}
        """Attribute → all that it may hold of resources, units and instances; a container is what is in it."""
        self._contents: dict[int, frozenset[int]] = {}
        self._direct: dict[int, tuple[frozenset[int], frozenset[int]]] = {}
        self._of: dict[int, list[Place]] = {}
        self._holding: dict[int, list[Place]] = {}
        self._methods: dict[ClassId, list[FunctionId]] = {}
        for key, variable in program.state.solver.keyed().items():
            if isinstance(key, tuple) and key[0] == "attribute" and not str(key[2]).startswith("()"):
                self._add(Place(key[1], str(key[2])), variable)
        for function in sorted(program.live):
            owner = program.node(function).owner
            if owner is not None:
                self._methods.setdefault(ClassId(function.module, owner), []).append(function)

    def _add(self, place: Place, variable: int) -> None:
        if not isinstance(self.program.value(place.owner), Instance):
            return
        held = frozenset(one for obj in self.program.holds(variable) for one in self._inside(obj))
        if held:
            self.places[place] = held
            self._of.setdefault(place.owner, []).append(place)
            for obj in held:
                self._holding.setdefault(obj, []).append(place)

    def _inside(self, obj: int) -> frozenset[int]:
        """The object, or what is in it at any depth where it is a container."""
        found = self._contents.get(obj)
        if found is None:
            leaves, containers = self._split(frozenset({obj}))
            todo, seen = list(containers), set(containers)
            while todo:
                more, inner = self._directly(todo.pop())
                leaves |= more
                todo += inner - seen
                seen |= inner
            found = self._contents[obj] = leaves
        return found

    def _directly(self, container: int) -> tuple[frozenset[int], frozenset[int]]:
        """What a container holds itself: resources, units and instances; containers."""
        found = self._direct.get(container)
        if found is None:
            held = self.program.holds(self.program.state.solver.known(("element", container)))
            found = self._direct[container] = self._split(held)
        return found

    def _split(self, objects: frozenset[int]) -> tuple[frozenset[int], frozenset[int]]:
        values = [(obj, self.program.value(obj)) for obj in objects]
        leaves = frozenset(obj for obj, value in values if isinstance(value, Resource | Instance))
        return leaves, frozenset(obj for obj, value in values if isinstance(value, Container))

    def of(self, owner: int) -> list[Place]:
        """The attributes of an instance, in the order of their names."""
        return sorted(self._of.get(owner, ()))

    def holding(self, obj: int) -> list[Place]:
        """The attributes that may hold an object."""
        return sorted(self._holding.get(obj, ()))

    def methods(self, owner: int) -> Iterator[FunctionId]:
        """The methods of an instance, own and inherited, as they run on it."""
        value = self.program.value(owner)
        assert isinstance(value, Instance)
        contexts = self.contexts(owner)
        for cls in self.program.state.names.lineage(value.cls)[0]:
            yield from (function for function in self._methods.get(cls, ()) if function.context in contexts)

    def contexts(self, owner: int) -> frozenset[int]:
        """The contexts in which code of an instance runs: its own, and that of all objects that are not told apart."""
        return frozenset({owner, 0})

    def is_made_by(self, owner: int, function: FunctionId) -> bool:
        """Whether a function is a method of an instance, or stands in one."""
        value = self.program.value(owner)
        cls = self.program.class_of(function)
        return (
            isinstance(value, Instance)
            and cls is not None
            and cls in self.program.state.names.lineage(value.cls)[0]
            and function.context in self.contexts(owner)
        )

    def is_replaced(self, owner: int, function: FunctionId) -> bool:
        """Whether a function is a method of a class above that of an instance, which has another in its place, and nothing of the classes
        in between calls it."""
        names, value, cls = self.program.state.names, self.program.value(owner), self.program.class_of(function)
        node = self.program.node(function)
        if not isinstance(value, Instance) or node.owner is None or cls is None:
            return False
        lineage, own = names.lineage(value.cls)[0], names.method(value.cls, node.name)
        if cls not in lineage or own is None or self.program.class_of(own) == cls:
            return False
        nearer = frozenset(lineage[: lineage.index(cls)])
        return not any(self.program.class_of(caller) in nearer for caller in self.program.callers.get(function, ()))
