"""Timers that the attributes of objects keep: where they are armed and cancelled, and which methods end their owner."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from leaklint.catalog.grammar import Callbacks, Does, Kind
from leaklint.graph import Graph
from leaklint.link.actions import Action
from leaklint.link.reasons import Why
from leaklint.link.units import Unit
from leaklint.link.values import ClassId, FunctionId, Instance
from leaklint.obligations.holdings import Holdings, Place

_ENDS = frozenset({Does.CANCEL, Does.JOIN})
_LEAVES = frozenset({"__exit__", "__aexit__"})


@dataclass(frozen=True, slots=True)
class Kept:
    """The timers that one attribute of an instance holds. `cancels`: the operations that end them."""

    place: Place
    name: str
    units: tuple[Unit, ...]
    handles: frozenset[int]
    cancels: tuple[Action, ...]

    @property
    def cancelling(self) -> frozenset[FunctionId]:
        return frozenset(action.function for action in self.cancels)


class Armed:
    """Answers for one program."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.program = graph.program

    @cached_property
    def holdings(self) -> Holdings:
        return Holdings(self.program)

    def kept(self) -> Iterator[Kept]:
        """The attributes that hold one timer at a time, in the order of their owners. An owner that code out of sight reaches into is left
        out, but not one whose attribute is merely public."""
        program = self.program
        timers: dict[int, Unit] = {}
        for unit in program.units:
            if unit.made is not None and not unit.daemon and unit.entries and any(s.operation.does is Does.ARM for s in unit.spawns):
                timers.update((obj, unit) for obj in unit.handle if program.kind(obj) is Kind.TIMER)
        for place, held in sorted(self._places(frozenset(timers)), key=lambda found: found[0]):
            units = tuple(dict.fromkeys(timers[obj] for obj in sorted(held) if self._is_own(place.owner, timers[obj])))
            handles = frozenset(obj for unit in units for obj in unit.handle)
            if units and not any(self._is_open(obj) for obj in handles):
                cancels = tuple(a for obj in sorted(handles) for a in program.on(obj) if a.does in _ENDS and a.function in program.live)
                yield Kept(place, min(program.describe(obj) for obj in handles), units, handles, cancels)

    def _places(self, timers: frozenset[int]) -> Iterator[tuple[Place, frozenset[int]]]:
        """The attributes of instances that hold timers themselves, not in a container, with what they hold of these."""
        for key, variable in self.program.state.solver.keyed().items() if timers else ():
            if not isinstance(key, tuple) or key[0] != "attribute" or not isinstance(self.program.value(key[1]), Instance):
                continue
            if held := self.program.holds(variable) & timers:
                yield Place(key[1], str(key[2])), held

    def _is_own(self, owner: int, unit: Unit) -> bool:
        """Whether a method of the owner arms the timer."""
        return unit.made is not None and self.holdings.is_made_by(owner, unit.made.record.function)

    def _is_open(self, obj: int) -> bool:
        reason = self.program.escape(obj)
        return reason is not None and reason.why is not Why.PUBLIC_ATTRIBUTE

    # --- the methods of an owner

    def teardowns(self, kept: Kept) -> list[FunctionId]:
        """The methods after which nobody uses the owner any more: those with the names by which libraries give things up, the end of its
        `with` block, what a library calls last, and those that end something else that the owner holds and do not make it anew."""
        names = self._giving_up | _LEAVES | {name for one in self._callbacks(kept.place.owner) for name in one.last}
        found = [method for name in sorted(names) if (method := self.method(kept.place.owner, name)) is not None]
        others = frozenset(o for place in self.holdings.of(kept.place.owner) for o in self.holdings.places[place]) - kept.handles
        for method in self._entries(kept):
            if method not in found and self._ends_and_makes_none(method, others):
                found.append(method)
        arming = self.arming(kept)
        return [method for method in found if method in self.program.live and not self.program.reached([method]) & arming]

    def is_event(self, kept: Kept, method: FunctionId) -> bool:
        """Whether a library calls the method of the owner again and again."""
        return any(self.program.node(method).name in one.again for one in self._callbacks(kept.place.owner))

    def methods(self, kept: Kept) -> frozenset[FunctionId]:
        """The methods of the owner, and what stands in them."""
        return frozenset(self._own(kept.place.owner))

    def ways_to_cancel(self, kept: Kept) -> frozenset[FunctionId]:
        """The methods of the owner, called from outside of it, that come to a line that cancels the timer."""
        return self._entered_above(kept, kept.cancelling)

    def ways_to_arm(self, kept: Kept) -> frozenset[FunctionId]:
        return self._entered_above(kept, self.arming(kept))

    def arming(self, kept: Kept) -> frozenset[FunctionId]:
        """The functions in which the timer is made and armed."""
        return frozenset(s.record.function for unit in kept.units for s in unit.spawns) | {
            unit.made.record.function for unit in kept.units if unit.made is not None
        }

    def _entered_above(self, kept: Kept, functions: Iterable[FunctionId]) -> frozenset[FunctionId]:
        """The entries of the owner from which one of the functions is reached, and such of these as are no methods of it."""
        own = frozenset(self._own(kept.place.owner))
        seen, todo, found = set(functions), list(functions), set[FunctionId]()
        while todo:
            one = todo.pop()
            callers = self.program.callers.get(one, frozenset())
            if one not in own or self._is_entry(one, own):
                found.add(one)
            if one in own:
                todo += [caller for caller in callers if caller in own and caller not in seen]
                seen |= callers
        return frozenset(found)

    def _entries(self, kept: Kept) -> list[FunctionId]:
        own = frozenset(self._own(kept.place.owner))
        return sorted(method for method in own if self._is_entry(method, own))

    def _is_entry(self, method: FunctionId, own: frozenset[FunctionId]) -> bool:
        """Whether others than the methods of the owner call it."""
        program = self.program
        callers = program.callers.get(method, frozenset())
        return method in program.openness.callable or method in program.entered_by or not callers or not callers <= own

    def _own(self, owner: int) -> Iterator[FunctionId]:
        """The methods of an instance and what stands in them, as far as no class below hides them."""
        value = self.program.value(owner)
        assert isinstance(value, Instance)
        contexts = self.holdings.contexts(owner)
        for cls in self.program.state.names.lineage(value.cls)[0]:
            yield from (function for function in self._inside.get(cls, ()) if function.context in contexts)

    @cached_property
    def _inside(self) -> dict[ClassId, list[FunctionId]]:
        """Class → the functions in its methods, these included."""
        found: dict[ClassId, list[FunctionId]] = {}
        for function in sorted(self.program.live):
            if (cls := self.program.class_of(function)) is not None:
                found.setdefault(cls, []).append(function)
        return found

    def method(self, owner: int, name: str) -> FunctionId | None:
        value = self.program.value(owner)
        assert isinstance(value, Instance)
        return self.program.state.method(value.cls, name, owner)

    def _callbacks(self, owner: int) -> list[Callbacks]:
        value = self.program.value(owner)
        assert isinstance(value, Instance)
        described = self.program.models.callbacks
        return [described[base] for base in self.program.state.names.lineage(value.cls)[1] if base in described]

    def _ends_and_makes_none(self, method: FunctionId, others: frozenset[int]) -> bool:
        program = self.program
        ended, made = set[int](), set[int]()
        for function in program.reached([method]):
            for action in program.actions_in(function):
                if action.does in (Does.CANCEL, Does.CLOSE):
                    ended |= action.subjects & others
                made |= action.call.made
        return bool(ended) and not made & others

    @cached_property
    def _giving_up(self) -> frozenset[str]:
        """The names of the methods that types of libraries are owed and that close them."""
        return frozenset(
            name for model in self.program.models.types.values() for name in model.owes if model.methods[name].does is Does.CLOSE
        )
