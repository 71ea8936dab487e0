"""Which objects are one lock, and which of them stand for one lock of the running program."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from leaklint.catalog.grammar import Does, Kind, TypeModel
from leaklint.graph import Graph
from leaklint.link.sizes import whole_number
from leaklint.link.values import FunctionId, Instance, Resource, Site

_KINDS = frozenset({Kind.LOCK, Kind.SEMAPHORE, Kind.CONDITION})


@dataclass(slots=True, eq=False)
class Identity:
    """Answers for one program. Locks are known by the ids of their objects."""

    graph: Graph
    _single: dict[int, bool] = field(default_factory=dict)

    def locks(self, objects: Iterable[int]) -> frozenset[int]:
        """The locks among some objects, each by its canonical id."""
        found: set[int] = set()
        for obj in objects:
            found |= self._inside(obj, frozenset())
        return frozenset(found)

    def _inside(self, obj: int, seen: frozenset[int]) -> frozenset[int]:
        """A lock itself, or the locks that a condition is made from; nothing for a semaphore that lets several in."""
        program = self.graph.program
        kind = program.kind(obj)
        if kind not in _KINDS or obj in seen or (kind is Kind.SEMAPHORE and not self._is_mutex(obj)):
            return frozenset()
        wrapped = program.holds(program.state.solver.known(("attribute", obj, "()wraps")))
        inner = frozenset(one for w in wrapped for one in self._inside(w, seen | {obj}))
        return inner or frozenset({obj})

    def _is_mutex(self, obj: int) -> bool:
        """Whether a semaphore has one permit."""
        program = self.graph.program
        model = program.model(obj)
        capacity = model.capacity if model is not None else None
        if capacity is None or capacity.arg is None:
            return False
        made = program.state.constructed.get(obj, ())
        for call in made:
            given = call.given.get(capacity.arg)
            if given is None and (capacity.arg in call.formals or capacity.default != 1):
                return False
            if given is not None and whole_number(program, call.record.function, given) != 1:
                return False
        return bool(made)

    def is_reentrant(self, lock: int) -> bool:
        """Whether the unit that holds the lock may take it again: of a class of the program that takes it in a way of its own, nobody
        knows."""
        model = self.graph.program.model(lock)
        return model is not None and (model.reentrant or self._is_taken_in_its_own_way(lock, model))

    def _is_taken_in_its_own_way(self, lock: int, model: TypeModel) -> bool:
        program = self.graph.program
        match program.value(lock):
            case Instance(cls=cls):
                takes = {name for name, operation in model.methods.items() if operation.does is Does.ACQUIRE}
                return any(takes & program.state.names.members(one).keys() for one in program.state.names.lineage(cls)[0])
            case _:
                return False

    def is_single(self, obj: int) -> bool:
        """Whether the object stands for one object of the running program: made once, by one that is made once."""
        found = self._single.get(obj)
        if found is None:
            self._single[obj] = False  # until known
            found = self._single[obj] = self._is_made_once(obj)
        return found

    def _is_made_once(self, obj: int) -> bool:
        program = self.graph.program
        match program.value(obj):
            case Resource(site=site) | Instance(site=Site() as site):
                made = program.state.made_by.get(obj) or next((c.record for c in program.state.constructed.get(obj, ())), None)
                return made is not None and made.node is not None and self._runs_once(made.function, site)
            case _:
                return False

    def _runs_once(self, function: FunctionId, site: Site) -> bool:
        """Whether the program comes to a place at most once, for the object in whose context it stands; and whether there is one of
        these."""
        place = self.graph.program.place(function, site.number)
        if place is None or place.loops or place.in_comprehension:
            return False
        return self.graph.runs_once(function)
