"""The linked program: every operation with its place and subjects, who calls whom, what runs on its own, what is open."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from leaklint.catalog.grammar import Does, Makes
from leaklint.link.actions import Action
from leaklint.link.effects import Effects
from leaklint.link.flow.calls import is_inert
from leaklint.link.flow.state import NOTHING, CallRecord, LibraryCall
from leaklint.link.objects import Objects
from leaklint.link.openness import functions_of
from leaklint.link.raising import Raising
from leaklint.link.suspending import Suspending
from leaklint.link.units import Unit, units
from leaklint.link.values import (
    ClassId,
    ClassValue,
    ContainerMethod,
    Coroutine,
    FunctionId,
    FunctionValue,
    Generator,
    Resource,
    Site,
)


class Program(Objects):
    """What rules may ask."""

    # --- who runs what

    def versions(self, function: FunctionId) -> list[FunctionId]:
        """The function on every object that it may run on in this program, itself among them."""
        return self._versions.get(function.source, [])

    @cached_property
    def _versions(self) -> dict[tuple[int, int], list[FunctionId]]:
        found: dict[tuple[int, int], list[FunctionId]] = {}
        for function in sorted(self.live):
            found.setdefault(function.source, []).append(function)
        return found

    @cached_property
    def calls(self) -> dict[FunctionId, frozenset[FunctionId]]:
        """Function → the functions that run as part of it: called, awaited, iterated; not what it spawns."""
        edges: dict[FunctionId, set[FunctionId]] = {}
        state = self.state
        for record in state.calls:
            if record.by is not None:
                continue
            for callee in state.callees.get(record.site, ()):
                node = self.node(callee)
                if not node.is_async and not node.is_generator:
                    edges.setdefault(record.function, set()).add(callee)
        for obj, functions in state.awaits.items():
            value = self.value(obj)
            if isinstance(value, Coroutine | Generator):
                for function in functions:
                    edges.setdefault(function, set()).add(value.function)
        for caller, callee in state.accessed:
            edges.setdefault(caller, set()).add(callee)
        for sites in state.entered.values():
            for site, owner in sites.items():
                edges.setdefault(owner, set()).update(state.callees.get(site, ()))
        for call in state.library.values():
            if call.operation.does in _INLINE:
                for obj in call.entries:
                    edges.setdefault(call.record.function, set()).update(functions_of(state, obj))
        return {caller: frozenset(callees) for caller, callees in edges.items()}

    def entries(self, call: LibraryCall) -> tuple[FunctionId, ...]:
        """The project functions that a library call runs."""
        return tuple(sorted({f for obj in call.entries for f in functions_of(self.state, obj)}))

    def calls_of(self, function: FunctionId) -> list[CallRecord]:
        """The calls in sight that may run the function, or make its coroutine."""
        return self._calls_of.get(function, [])

    @cached_property
    def _calls_of(self) -> dict[FunctionId, list[CallRecord]]:
        found: dict[FunctionId, list[CallRecord]] = {}
        for record in self.state.calls:
            if record.by is None:
                for callee in self.state.callees.get(record.site, ()):
                    found.setdefault(callee, []).append(record)
        return found

    def is_inert(self, site: Site) -> bool:
        """Whether a call only reaches methods of containers and library functions that keep nothing and end soon."""
        if self.state.callees.get(site):
            return False
        names = self.state.unknown_calls.get(site)
        if names is None:
            held = self.holds(self._callee.get(site, NOTHING))
            return bool(held) and all(isinstance(self.value(o), ContainerMethod) for o in held)
        return all(is_inert(self.state, name) for name in names)

    def called(self, site: Site) -> frozenset[int]:
        """The objects that a call may call."""
        return self.holds(self._callee.get(site, NOTHING))

    def makers(self, cls: ClassId) -> frozenset[ClassId]:
        """The classes on whose objects the instances of a class are made, by their methods or by what these make in turn. Classes below
        and above each other count as one."""
        found: set[ClassId] = set()
        todo = list(self._kin(cls))
        while todo:
            for maker in self._makers.get(todo.pop(), set()) - found:
                kin = self._kin(maker)
                found |= kin
                todo += kin
        return frozenset(found)

    @cached_property
    def _makers(self) -> dict[ClassId, set[ClassId]]:
        """Class → the classes whose methods call it."""
        found: dict[ClassId, set[ClassId]] = {}
        for record in self.state.calls:
            maker = self.class_of(record.function) if record.by is None else None
            for obj in self.called(record.site) if maker is not None else ():
                if isinstance(value := self.value(obj), ClassValue) and maker is not None:
                    found.setdefault(value.cls, set()).add(maker)
        return found

    def _kin(self, cls: ClassId) -> set[ClassId]:
        names = self.state.names
        return {cls, *names.lineage(cls)[0], *names.below(cls)}

    def arguments(self, site: Site) -> list[int]:
        """The variables of what a call is given."""
        return [actual.variable for record in self._records.get(site, ()) for actual in record.actuals]

    def sites_in(self, function: FunctionId) -> list[Site]:
        """The calls that stand in a function."""
        return self._sites_in.get(function, [])

    @cached_property
    def _sites_in(self) -> dict[FunctionId, list[Site]]:
        found: dict[FunctionId, dict[Site, None]] = {}
        for record in self.state.calls:
            if record.by is None:
                found.setdefault(record.function, {})[record.site] = None
        return {function: list(sites) for function, sites in found.items()}

    @cached_property
    def _records(self) -> dict[Site, list[CallRecord]]:
        found: dict[Site, list[CallRecord]] = {}
        for record in self.state.calls:
            if record.by is None:
                found.setdefault(record.site, []).append(record)
        return found

    def captured(self, function: FunctionId, site: Site) -> frozenset[int]:
        """What the nested functions that a call of the function starts can see of the function's own variables."""
        nested = {e for a in self.at(site) for e in self.entries(a.call) if e.module == function.module}
        if not any(self.node(e).parent == function.index for e in nested):
            return frozenset()
        keys = (k for k in self.state.solver.keyed() if isinstance(k, tuple) and k[:4] == ("local", *function.source, function.context))
        return frozenset(o for k in keys for o in self.holds(self.state.solver.known(k)))

    def makes_plainly(self, site: Site) -> bool:
        """Whether a call makes an instance of a project class that has no constructor of its own."""
        held = self.holds(self._callee.get(site, NOTHING))
        return bool(held) and all(isinstance(self.value(o), ClassValue) for o in held)

    @cached_property
    def raising(self) -> Raising:
        return Raising(self)

    @cached_property
    def suspending(self) -> Suspending:
        return Suspending(self)

    @cached_property
    def blocks_written_as_generators(self) -> frozenset[tuple[int, int]]:
        """The sources of the generators that a decorator makes context managers of."""
        makers = (a for a in self.actions if a.call.operation.makes is Makes.CONTEXT_MANAGER)
        return frozenset(v.function.source for a in makers for o in a.subjects if isinstance(v := self.value(o), FunctionValue))

    @cached_property
    def effects(self) -> Effects:
        return Effects(self)

    @cached_property
    def _callee(self) -> dict[Site, int]:
        """Call → the variable that holds what is called."""
        return {record.site: record.callee for record in self.state.calls if record.by is None}

    @cached_property
    def callers(self) -> dict[FunctionId, frozenset[FunctionId]]:
        edges: dict[FunctionId, set[FunctionId]] = {}
        for caller, callees in self.calls.items():
            for callee in callees:
                edges.setdefault(callee, set()).add(caller)
        return {callee: frozenset(callers) for callee, callers in edges.items()}

    @cached_property
    def units(self) -> tuple[Unit, ...]:
        """Everything that is started by the program or by the library for it, in the order of place."""
        return tuple(units(self))

    @cached_property
    def handles(self) -> frozenset[int]:
        """The objects that stand for units: tasks, threads, timers, the futures of jobs."""
        return frozenset(obj for unit in self.units for obj in unit.handle)

    @cached_property
    def entered_by(self) -> dict[FunctionId, tuple[Unit, ...]]:
        """Function → the units that start in it."""
        found: dict[FunctionId, list[Unit]] = {}
        for unit in self.units:
            for entry in unit.entries:
                found.setdefault(entry, []).append(unit)
        return {function: tuple(units) for function, units in found.items()}

    def roots(self, function: FunctionId) -> frozenset[FunctionId]:
        """The functions in which whatever runs this function may have started: entries of units, module bodies, functions that
        outside code may call; the function itself when nothing calls it."""
        found = self._roots.get(function)
        if found is None:
            seen, todo, tops = {function}, [function], set()
            while todo:
                one = todo.pop()
                callers = self.callers.get(one, frozenset())
                if one in self.entered_by or one in self.openness.callable or one.index == 0 or not callers:
                    tops.add(one)
                for caller in callers - seen:
                    seen.add(caller)
                    todo.append(caller)
            found = self._roots[function] = frozenset(tops)
        return found

    @cached_property
    def _roots(self) -> dict[FunctionId, frozenset[FunctionId]]:
        return {}

    def reached(self, entries: Iterable[FunctionId]) -> frozenset[FunctionId]:
        """The entries and every function that runs as part of them."""
        seen = set(entries)
        todo = list(seen)
        while todo:
            for callee in self.calls.get(todo.pop(), frozenset()) - seen:
                seen.add(callee)
                todo.append(callee)
        return frozenset(seen)

    def done_at(self, function: FunctionId, number: int) -> list[Action]:
        """The operations at a site of a function, and those in the other functions that run there."""
        site = function.site(number)
        inside = self.reached(self.state.callees.get(site, ())) - {function}
        return [*self.at(site), *(action for callee in sorted(inside) for action in self.actions_in(callee))]

    @cached_property
    def from_factories(self) -> frozenset[int]:
        """The objects that stand for several of the running program, each kept elsewhere: a function makes and returns one for each of the
        places that call it."""
        made = {obj: self.made_at(obj) for obj in range(len(self.state.solver.objects)) if isinstance(self.value(obj), Resource)}
        return frozenset(
            obj for obj, at in made.items()
            if at is not None and len({record.site for record in self.calls_of(at[0])}) > 1
            and obj in self.holds(self.state.solver.known(("result", *at[0].source, at[0].context)))
        )  # fmt: skip

    @cached_property
    def finalizers(self) -> list[FunctionId]:
        """The methods that the interpreter calls when an object is collected."""
        return sorted(f for f in self.state.functions if (node := self.node(f)).name == "__del__" and node.owner is not None)

    @cached_property
    def live(self) -> frozenset[FunctionId]:
        """The functions that somebody may run: from module bodies, from outside, and in what those start."""
        starts: dict[FunctionId, set[FunctionId]] = {}
        for unit in self.units:
            for spawn in unit.spawns:
                starts.setdefault(spawn.record.function, set()).update(unit.entries)
        for call in self.state.library.values():
            for obj in call.entries:
                if call.operation.does is not Does.MAKE:
                    starts.setdefault(call.record.function, set()).update(functions_of(self.state, obj))
        seen: set[FunctionId] = set()
        todo = [FunctionId(m, 0) for m in range(len(self.modules))] + sorted(self.openness.callable) + self.finalizers
        while todo:
            one = todo.pop()
            if one in seen:
                continue
            seen.add(one)
            todo += self.calls.get(one, frozenset())
            todo += starts.get(one, ())
        return frozenset(seen)


_INLINE = frozenset({Does.RUN, Does.BOUND, Does.SHIELD, Does.ENTER, Does.OBSERVE, Does.COPY})
"""Operations that run what they are given here and now, and wait for it."""
