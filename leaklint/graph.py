"""The channel graph of a program: units and resources as nodes, operations as edges, behind the verbs that queries need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from leaklint import ir
from leaklint.catalog.grammar import Does, Kind, UnitKind
from leaklint.finding import Growth, Step
from leaklint.link.actions import Action
from leaklint.link.capacity import capacity
from leaklint.link.commands import is_run_by_its_class
from leaklint.link.flow.state import CallRecord, LibraryCall, Load
from leaklint.link.program import Program
from leaklint.link.units import Unit
from leaklint.link.values import Coroutine, FunctionId, Instance, Resource, Site
from leaklint.mainline import MainLines
from leaklint.paths import Paths, paths, semantics
from leaklint.picture import Drawing, drawn
from leaklint.picture.near import network
from leaklint.recurrence import Recurrence, Recurrences

if TYPE_CHECKING:
    import networkx as nx


@dataclass(frozen=True, slots=True, eq=False)
class Channel:
    """A queue, a stream pair or a pipe with all that is known to be done to it. `capacity`: None unbounded, 0 a rendezvous, a number, or
    UNKNOWN. `open`: why code out of sight may use an end; None when both ends are all in sight. Only operations that somebody may run."""

    objects: frozenset[int]
    name: str
    made: tuple[FunctionId, ir.Span]
    capacity: int | None
    open: str | None
    sends: tuple[Action, ...]
    receives: tuple[Action, ...]
    closes: tuple[Action, ...]

    @property
    def bounded(self) -> bool:
        return self.capacity is not None


@dataclass(frozen=True, slots=True)
class Runner:
    """Who may run a function: a unit, the program's main line (`unit` None, `kind` MAIN) or code out of sight (ANYONE)."""

    kind: UnitKind
    unit: Unit | None
    entry: FunctionId


class Graph:
    def __init__(self, program: Program) -> None:
        self.program = program

    # --- resources

    @cached_property
    def channels(self) -> tuple[Channel, ...]:
        """Every channel of the program, by the place where it is made."""
        groups: dict[Site | int, set[int]] = {}
        for obj in self._resources({Kind.CHANNEL, Kind.SENDER, Kind.RECEIVER}):
            match self.program.value(obj):
                case Resource(part=part, site=site) if part != "channel":
                    groups.setdefault(site, set()).add(obj)
                case Instance():  # of a class of the project that inherits from one
                    groups[obj] = {obj}
                case _:
                    pass
        return tuple(channel for group in self._by_place(groups.values()) if (channel := self._channel(frozenset(group))) is not None)

    def _by_place(self, groups: Iterable[set[int]]) -> list[set[int]]:
        return sorted(groups, key=lambda group: min(self.program.rank(obj) for obj in group))

    def _resources(self, kinds: set[Kind]) -> Iterator[int]:
        seen: set[int] = set()
        for action in self.program.actions:
            for obj in (*action.subjects, *action.call.made):
                if obj not in seen:
                    seen.add(obj)
                    if self.program.kind(obj) in kinds:
                        yield obj

    def resources(self, *kinds: Kind) -> list[int]:
        """The ids of the resources of these kinds, by place."""
        return sorted(self._resources(set(kinds)), key=lambda o: (str(self.program.made_at(o)), o))

    def _channel(self, objects: frozenset[int]) -> Channel | None:
        program = self.program
        actions = [a for obj in sorted(objects) for a in program.on(obj) if a.function in program.live]
        made = program.made_at(min(objects))
        if made is None or made[0] not in program.live:
            return None
        name = min((program.describe(o) for o in objects), key=lambda n: ("." not in n, n))
        opened = next((reason for obj in sorted(objects) if (reason := program.opened(obj)) is not None), None)
        return Channel(
            objects, name, made, capacity(program, objects), opened,
            tuple(a for a in actions if a.does is Does.SEND),
            tuple(a for a in actions if a.does is Does.RECEIVE),
            tuple(a for a in actions if a.does is Does.CLOSE),
        )  # fmt: skip

    # --- who runs what

    def runners(self, function: FunctionId) -> tuple[Runner, ...]:
        """Everything that may run the function."""
        found: list[Runner] = []
        program = self.program
        for root in sorted(program.roots(function)):
            if root not in program.live:
                continue
            found += [Runner(unit.kind, unit, root) for unit in program.entered_by.get(root, ())]
            if root.index == 0:
                found.append(Runner(UnitKind.MAIN, None, root))
            elif root in program.openness.callable or root not in program.entered_by:
                found.append(Runner(UnitKind.ANYONE, None, root))
        return tuple(found)

    def growth(self, spawns: Iterable[LibraryCall]) -> Growth:
        """How many units the spawns start over the life of the process."""
        return self.growth_at(spawn.record for spawn in spawns)

    def growth_at(self, records: Iterable[CallRecord]) -> Growth:
        """How often the calls are made over the life of the process."""
        return self.recurrence(records).growth

    def recurrence(self, records: Iterable[CallRecord]) -> Recurrence:
        """The same, with what brings the program to the calls again."""
        return self.recurrences.of_places((record.function, record.site.number) for record in records)

    @cached_property
    def recurrences(self) -> Recurrences:
        return Recurrences(self.program, self.paths, self.calls_to)

    def ends_with_process(self, function: FunctionId) -> bool:
        """Whether the function is the main line of a process, or a part of it that is run once."""
        return self._main_lines.has(function)

    @cached_property
    def _main_lines(self) -> MainLines:
        return MainLines(self.program, self._calls_once)

    def runs_once(self, function: FunctionId) -> bool:
        """Whether the program runs the function at most once: straight from a module body, in no loop on the way."""
        return self._once(function, frozenset())

    def _once(self, function: FunctionId, seen: frozenset[FunctionId]) -> bool:
        if function.index == 0:
            return True
        program = self.program
        if function in seen or function in program.openness.callable or function in program.entered_by:
            return False
        callers = program.callers.get(function, frozenset())
        if len(callers) != 1:
            return False
        (caller,) = callers
        return self._calls_once(caller, function) and self._once(caller, seen | {function})

    def _calls_once(self, caller: FunctionId, callee: FunctionId) -> bool:
        sites = [number for number in self.calls_to(caller, callee) if not self._runs_what_is_made_elsewhere(caller, number, callee)]
        if len(sites) != 1:
            return False
        place = self.program.place(caller, sites[0])
        return place is not None and not place.loops and not place.in_comprehension

    def _runs_what_is_made_elsewhere(self, caller: FunctionId, number: int, callee: FunctionId) -> bool:
        """Whether a call only runs coroutines that other calls of the same function make: in `run(main())` there is one call of `main`."""
        values = [self.program.value(o) for a in self.program.at(caller.site(number)) for o in a.call.entries]
        runs = [v for v in values if isinstance(v, Coroutine) and v.function == callee]
        return bool(runs) and all(v.site != caller.site(number) and v.site.number in self.calls_to(caller, callee) for v in runs)

    def calls_to(self, caller: FunctionId, callee: FunctionId) -> list[int]:
        """The site numbers at which the caller runs the callee."""
        return self._call_sites.get((caller, callee), [])

    @cached_property
    def _call_sites(self) -> dict[tuple[FunctionId, FunctionId], list[int]]:
        found: dict[tuple[FunctionId, FunctionId], set[int]] = {}
        program = self.program
        for record in program.state.calls:
            if record.by is None:
                for callee in program.state.callees.get(record.site, ()):
                    found.setdefault((record.function, callee), set()).add(record.site.number)
        for call in program.state.library.values():
            for entry in program.entries(call):
                found.setdefault((call.record.function, entry), set()).add(call.record.site.number)
        for sites in program.state.entered.values():
            for site, owner in sites.items():
                for callee in program.state.callees.get(site, ()):
                    found.setdefault((owner, callee), set()).add(site.number)
        return {key: sorted(numbers) for key, numbers in found.items()}

    # --- paths

    def paths(self, function: FunctionId) -> Paths:
        """The control flow of a function, made once."""
        found = self._paths.get(function)
        if found is None:
            found = self._paths[function] = paths(self.program.node(function), semantics(self.program, function))
        return found

    @cached_property
    def _paths(self) -> dict[FunctionId, Paths]:
        return {}

    def is_main(self, function: FunctionId) -> bool:
        """Whether the function is a main coroutine, run once by a call that cancels what is left when it returns (`asyncio.run`)."""
        runs = self._runs.get(function)
        others = self.program.callers.get(function, frozenset()) - (runs or frozenset())
        return runs is not None and not others and function not in self.program.entered_by

    def ends_with_main(self, function: FunctionId) -> bool:
        """Whether the function is a main coroutine, or a part of one that is run once."""
        seen: set[FunctionId] = set()
        while function not in seen:
            if self.is_main(function):
                return True
            seen.add(function)
            callers = self.program.callers.get(function, frozenset())
            if len(callers) != 1 or function in self.program.entered_by or len(self.program.versions(function)) > 1:
                return False
            (caller,) = callers
            if not self._calls_once(caller, function):
                return False
            function = caller
        return False

    @cached_property
    def _runs(self) -> dict[FunctionId, frozenset[FunctionId]]:
        """Main coroutine → the functions that run it, be it in other ways too (`run_until_complete` for an older Python)."""
        runs = [call for call in self.program.state.library.values() if call.operation.does is Does.RUN]
        mains = {entry for call in runs if call.operation.ends_tasks for entry in self.program.entries(call)}
        mains |= {function for function in self.program.live if is_run_by_its_class(self.program.state.names, function)}
        found: dict[FunctionId, set[FunctionId]] = {entry: set() for entry in mains}
        for call in runs:
            for entry in mains.intersection(self.program.entries(call)):
                found[entry].add(call.record.function)
        return {entry: frozenset(functions) for entry, functions in found.items()}

    def loads_of(self, name: str) -> list[Load]:
        """The reads and writes of the attributes of that name."""
        return self._loads.get(name, [])

    @cached_property
    def _loads(self) -> dict[str, list[Load]]:
        found: dict[str, list[Load]] = {}
        for load in self.program.state.loads:
            found.setdefault(load.name, []).append(load)
        return found

    def units_of(self, obj: int) -> tuple[Unit, ...]:
        """The units that an object is the handle of."""
        return self._units_of.get(obj, ())

    @cached_property
    def _units_of(self) -> dict[int, tuple[Unit, ...]]:
        found: dict[int, tuple[Unit, ...]] = {}
        for unit in self.program.units:
            for obj in unit.handle:
                found[obj] = (*found.get(obj, ()), unit)
        return found

    def starts_units(self, function: FunctionId) -> bool:
        """Whether a unit is started in the function itself."""
        return function in self._starters

    @cached_property
    def _starters(self) -> frozenset[FunctionId]:
        return frozenset(spawn.record.function for unit in self.program.units for spawn in unit.spawns)

    # --- for people

    def step(self, function: FunctionId, at: ir.Span, message: str) -> Step:
        return Step(self.program.path(function.module), at, message)

    def qualname(self, function: FunctionId) -> str:
        node = self.program.node(function)
        return "" if node.kind == "module" else node.qualname

    @cached_property
    def drawing(self) -> Drawing:
        return drawn(self.program)

    @cached_property
    def network(self) -> nx.MultiDiGraph:
        """Units, resources and objects as nodes, operations and ownership as edges, with the facts of `picture`."""
        return network(self.drawing)


def rings(edges: Iterable[tuple[int, int]], longest: int) -> list[list[int]]:
    """The cycles of at most so many nodes, each from its smallest node on, in order."""
    import networkx as nx

    found = nx.simple_cycles(nx.DiGraph(sorted(edges)), length_bound=longest)
    return sorted(ring[ring.index(min(ring)) :] + ring[: ring.index(min(ring))] for ring in found)


def build(program: Program) -> Graph:
    return Graph(program)
