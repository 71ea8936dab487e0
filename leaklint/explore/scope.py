"""The smallest part of a program that one wait can be judged in: a function, what it runs and starts, and the resources in between.

After GCatch (Liu et al., "Automatically Detecting and Fixing Concurrency Bugs in Go Software Systems", ASPLOS 2021), which disentangles a
channel from the rest of its program in the same way: the scope is the lowest function from which all operations on the channel are
reached, and other resources come in only when they are in sight as a whole. Unlike there, units are told apart by what starts them, so
that a channel in an attribute, or one that is handed through calls, is followed by the flow of objects and not by names.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from leaklint.catalog.grammar import Does, Gives, Kind
from leaklint.explore.points import Unsupported
from leaklint.explore.variables import Variable, variables
from leaklint.graph import Graph
from leaklint.link.actions import Action
from leaklint.link.units import Unit
from leaklint.link.values import ClassId, ClassValue, FunctionId, Instance, Resource, Site

MOST_RESOURCES = 6
_KINDS = frozenset(
    {Kind.CHANNEL, Kind.SENDER, Kind.RECEIVER, Kind.LOCK, Kind.SEMAPHORE, Kind.CONDITION, Kind.EVENT, Kind.BARRIER, Kind.FUTURE}
)
_STARTS = frozenset({Does.SPAWN, Does.SUBMIT, Does.JOIN, Does.WAIT, Does.CANCEL})


@dataclass(frozen=True, slots=True)
class Scope:
    """`root`: the function whose run is explored. `resources`: groups of object ids, each of which is one thing. `units`: what is started
    in it and matters. `touching`: the functions that do something about them, or run one that does. `variables`: what tests look at."""

    root: FunctionId
    resources: tuple[frozenset[int], ...]
    units: tuple[Unit, ...]
    touching: frozenset[FunctionId]
    variables: tuple[Variable, ...] = ()


class Scopes:
    """Answers for one program."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def around(self, objects: frozenset[int]) -> Scope:
        """The scope in which the objects, which are one resource, can be judged. Raises Unsupported when they are not in sight as a whole,
        or when one name may stand for several of them."""
        program = self.graph.program
        if any(program.opened(obj) is not None for obj in objects):
            raise Unsupported("code out of sight may use it")
        if any(self._is_beyond(obj) for obj in objects):
            raise Unsupported("an operation that is handed out")
        made = {record[0] for obj in objects if (record := program.made_at(obj)) is not None}
        touching = {a.function for obj in objects for a in program.on(obj) if a.function in program.live} | made
        root = self._lowest(touching)
        if root is None:
            raise Unsupported("no function runs all that use it")
        if not all(self._is_made_once(obj, root) for obj in objects):
            raise Unsupported("there may be several of it")
        return self._grown(root, objects)

    def _is_beyond(self, obj: int) -> bool:
        """Whether automata cannot follow the object: an end of a stream with clones, each of which is closed for itself; the future of a
        unit; something whose methods are handed out, for others to call."""
        program = self.graph.program
        if obj in program.handles or any(a.does is Does.MAKE and a.call.operation.returns == Gives.SELF for a in program.on(obj)):
            return True
        return any(a.call.record.by is not None or (a.deferred and a.does is not Does.MAKE) for a in program.on(obj))

    def _lowest(self, functions: set[FunctionId]) -> FunctionId | None:
        """The function nearest to all of these that runs or starts them all."""
        common: set[FunctionId] | None = None
        for function in functions:
            above = self._above(function)
            common = above if common is None else common & above
        if not common:
            return None
        return min(common, key=lambda one: (len(self._below(one)), one))

    def _above(self, function: FunctionId) -> set[FunctionId]:
        seen, todo = {function}, [function]
        while todo:
            for other in self._runners.get(todo.pop(), ()):
                if other not in seen:
                    seen.add(other)
                    todo.append(other)
        return seen

    def _below(self, function: FunctionId) -> set[FunctionId]:
        """What the function runs and starts."""
        seen, todo = {function}, [function]
        while todo:
            for other in self._runs.get(todo.pop(), ()):
                if other not in seen:
                    seen.add(other)
                    todo.append(other)
        return seen

    @cached_property
    def _runs(self) -> dict[FunctionId, set[FunctionId]]:
        program = self.graph.program
        found = {caller: set(callees) for caller, callees in program.calls.items()}
        for unit in program.units:
            for call in (*unit.spawns, *((unit.made,) if unit.made is not None else ())):
                found.setdefault(call.record.function, set()).update(unit.entries)
        return found

    @cached_property
    def _runners(self) -> dict[FunctionId, set[FunctionId]]:
        found: dict[FunctionId, set[FunctionId]] = {}
        for caller, callees in self._runs.items():
            for callee in callees:
                found.setdefault(callee, set()).add(caller)
        return found

    def _is_made_once(self, obj: int, root: FunctionId) -> bool:
        """Whether a run of the root makes just one of what the object stands for."""
        program = self.graph.program
        made = program.made_at(obj)
        if made is None or not self._runs_once(made[0], self._site_of(obj), root, frozenset()):
            return False
        if obj in self._in_globals and not (root.index == 0 or self.graph.runs_once(root)):
            return False
        holders = program.holders.get(obj, frozenset())
        if any(
            place[0] not in self._below(root) for cls in holders if not self._constructs(root, cls) for place in self._made_at.get(cls, ())
        ):
            return False  # it outlives a run of the root, in something that was there before
        if (owner := program.owner(obj)) is not None:
            return self._is_instance_made_once(owner, root)
        return all(self._has_one_instance(cls, root) for cls in holders if self._is_made_by(made[0], cls))

    def _constructs(self, root: FunctionId, cls: ClassId) -> bool:
        """Whether a run of the root is the making of one instance of the class."""
        program = self.graph.program
        return program.node(root).name == "__init__" and program.class_of(root) in program.state.names.lineage(cls)[0]

    def _is_instance_made_once(self, instance: int, root: FunctionId) -> bool:
        """The same of an instance that is told apart from others of its class by the place that makes it."""
        value, made = self.graph.program.value(instance), self.graph.program.state.made_by.get(instance)
        if isinstance(value, Instance) and self._constructs(root, value.cls):
            return True
        return made is not None and self._runs_once(made.function, made.site.number, root, frozenset())

    @cached_property
    def _in_globals(self) -> frozenset[int]:
        """What a global, or a container that a global holds, may hold."""
        program = self.graph.program
        keyed = program.state.solver.keyed().items()
        return program.elements(o for key, v in keyed if isinstance(key, tuple) and key[0] == "global" for o in program.holds(v))

    def _is_made_by(self, function: FunctionId, cls: ClassId) -> bool:
        """Whether each instance of the class makes one: in a method, or as the default of a field."""
        return self.graph.program.class_of(function) == cls or function.index == 0

    def _has_one_instance(self, cls: ClassId, root: FunctionId) -> bool:
        """Whether a run of the root makes one instance of the class at most."""
        places = [place for place in self._made_at.get(cls, ()) if place[0] in self._below(root)]
        return len(places) <= 1 and all(self._runs_once(*place, root, frozenset()) for place in places)

    @cached_property
    def _made_at(self) -> dict[ClassId, list[tuple[FunctionId, int]]]:
        """Class of the program → the calls that make an instance of it."""
        program = self.graph.program
        found: dict[ClassId, list[tuple[FunctionId, int]]] = {}
        for function in sorted(program.live):
            for site in program.sites_in(function):
                for obj in program.called(site):
                    if isinstance(value := program.value(obj), ClassValue):
                        found.setdefault(value.cls, []).append((function, site.number))
        return found

    def _site_of(self, obj: int) -> int | None:
        value = self.graph.program.value(obj)
        return value.site.number if isinstance(value, Resource) else None

    def _runs_once(self, function: FunctionId, site: int | None, root: FunctionId, seen: frozenset[FunctionId]) -> bool:
        """Whether one run of the root comes to a place of the function at most once."""
        place = self.graph.program.place(function, site) if site is not None else None
        if place is not None and (place.loops or place.in_comprehension):
            return False
        if function == root:
            return True
        runners = self._runners.get(function, set()) & self._below(root)
        if function in seen or len(runners) != 1:
            return False
        (runner,) = runners
        sites = self.graph.calls_to(runner, function)
        return len(sites) == 1 and self._runs_once(runner, sites[0], root, seen | {function})

    def _grown(self, root: FunctionId, objects: frozenset[int]) -> Scope:
        """The scope with all that its units also wait for, where that is in sight as a whole."""
        below = self._below(root)
        resources = [objects]
        for group in self._groups(below):
            if group != objects and len(resources) < MOST_RESOURCES and self._is_inside(group, root, below):
                resources.append(group)
        plain = self._with_units(root, tuple(resources), ())
        found = variables(self.graph, below, plain.touching, lambda owner: self._is_made_in(owner, root))
        return self._with_units(root, tuple(resources), found) if found else plain

    def _is_made_in(self, instance: int, root: FunctionId) -> bool:
        made = self.graph.program.state.made_by.get(instance)
        return made is not None and made.function in self._below(root) and self._is_instance_made_once(instance, root)

    def _with_units(self, root: FunctionId, resources: tuple[frozenset[int], ...], variables: tuple[Variable, ...]) -> Scope:
        program, below = self.graph.program, self._below(root)
        known = frozenset(o for group in resources for o in group)
        direct = {f for f in below if any(a.subjects & known for a in program.actions_in(f))}
        direct |= {writer for variable in variables for writer in variable.writers}
        units: list[Unit] = []
        while True:
            touching = frozenset(f for f in below if program.reached([f]) & direct)
            found = [u for u in program.units if u.entries and set(u.entries) & touching and self._is_started_in(u, below)]
            if len(found) == len(units):
                return Scope(root, resources, tuple(units), touching, variables)
            units = found
            for unit in units:
                direct |= {s.record.function for s in unit.spawns}
                direct |= {a.function for o in unit.handle for a in program.on(o) if a.does in _STARTS} & below

    def _is_started_in(self, unit: Unit, below: set[FunctionId]) -> bool:
        return any(spawn.record.function in below for spawn in unit.spawns)

    def _groups(self, below: set[FunctionId]) -> list[frozenset[int]]:
        """The resources that are made in these functions; the ends of a channel are one."""
        program = self.graph.program
        groups: dict[Site, set[int]] = {}
        for function in sorted(below):
            for action in program.actions_in(function):
                for obj in action.subjects:
                    value = program.value(obj)
                    if isinstance(value, Resource) and program.kind(obj) in _KINDS and value.part != "channel":
                        groups.setdefault(value.site, set()).add(obj)
        return [frozenset(group) for _, group in sorted(groups.items())]

    def _is_inside(self, group: frozenset[int], root: FunctionId, below: set[FunctionId]) -> bool:
        program = self.graph.program
        if any(program.opened(obj) is not None or self._is_beyond(obj) or not self._is_made_once(obj, root) for obj in group):
            return False
        users = {a.function for obj in group for a in program.on(obj) if a.function in program.live}
        return users <= below


def waits_of(scope: Scope, graph: Graph) -> list[Action]:
    """The operations on the first resource of a scope that wait without a bound."""
    found = {a.site: a for obj in scope.resources[0] for a in graph.program.on(obj) if graph.program.blocks(a) and not a.deferred}
    return [found[site] for site in sorted(found)]
