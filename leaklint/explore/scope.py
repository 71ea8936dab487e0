"""The smallest part of a program that one wait can be judged in: a function, what it runs and starts, and the resources in between.

After GCatch (Liu et al., "Automatically Detecting and Fixing Concurrency Bugs in Go Software Systems", ASPLOS 2021), which disentangles a
channel from the rest of its program in the same way: the scope is the lowest function from which all operations on the channel are
reached, and other resources come in only when they are in sight as a whole. Unlike there, units are told apart by what starts them, so
that a channel in an attribute, or one that is handed through calls, is followed by the flow of objects and not by names.
"""

from __future__ import annotations

from dataclasses import dataclass

from leaklint.catalog.grammar import Does, Gives, Kind
from leaklint.explore.instances import Instances
from leaklint.explore.points import Unsupported
from leaklint.explore.runs import Loop, Run, Runs
from leaklint.explore.variables import Variable, variables
from leaklint.graph import Graph
from leaklint.link.units import Unit
from leaklint.link.values import FunctionId, Resource, Site

MOST_RESOURCES = 6
_KINDS = frozenset(
    {Kind.CHANNEL, Kind.SENDER, Kind.RECEIVER, Kind.LOCK, Kind.SEMAPHORE, Kind.CONDITION, Kind.EVENT, Kind.BARRIER, Kind.FUTURE}
)
_STARTS = frozenset({Does.SPAWN, Does.SUBMIT, Does.JOIN, Does.WAIT, Does.CANCEL})


@dataclass(frozen=True, slots=True)
class Scope:
    """`root`: the function whose run is explored. `resources`: groups of object ids, each of which is one thing. `units`: what is started
    in it and matters. `touching`: the functions that do something about them, or run one that does. `variables`: what tests look at.
    `turn`: of this loop of the root one turn is explored, and no other."""

    root: FunctionId
    resources: tuple[frozenset[int], ...]
    units: tuple[Unit, ...]
    touching: frozenset[FunctionId]
    variables: tuple[Variable, ...] = ()
    turn: Loop | None = None


class Scopes:
    """Answers for one program."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.runs = Runs(graph)
        self.instances = Instances(graph, self.runs)

    def around(self, objects: frozenset[int]) -> Scope:
        """The scope in which the objects, which are one resource or stand for units, can be judged. Raises Unsupported when they are not in
        sight as a whole, or when one name may stand for several of them."""
        program = self.graph.program
        if any(program.opened(obj) is not None for obj in objects):
            raise Unsupported("code out of sight may use it")
        units = [u for u in program.units if u.handle & objects or any(s.subject in objects for s in u.spawns)]
        if not units and any(self._is_beyond(obj) for obj in objects):
            raise Unsupported("an operation that is handed out")
        touching = {a.function for obj in objects for a in program.on(obj) if a.function in program.live}
        touching |= {record[0] for obj in objects if (record := program.made_at(obj)) is not None}
        touching |= {spawn.record.function for unit in units for spawn in unit.spawns}
        root = self.runs.lowest(touching)
        if root is None:
            raise Unsupported("no function runs all that use it")
        run = self._run(root, objects, touching, bool(units))
        return self._grown(run, () if units else (objects,), units)

    def _run(self, root: FunctionId, objects: frozenset[int], touching: set[FunctionId], is_unit: bool) -> Run:
        """A run of the root, or one turn of a loop in it, that makes just one. Raises Unsupported."""
        sites = {a.site for obj in objects for a in self.graph.program.on(obj)}
        for turn in (None, self.runs.loop_around(root, touching - {root}, sites)):
            run = Run(root, turn)
            if all(self._is_one(obj, run, is_unit) for obj in objects):
                return run
        raise Unsupported("there may be several of it")

    def _is_one(self, obj: int, run: Run, is_unit: bool) -> bool:
        """Of units there may be several, but not of whoever owns them."""
        owner = self.graph.program.owner(obj)
        if self.instances.is_made_once(obj, run):
            return True
        return is_unit and (owner is None or self.instances.is_instance_made_once(owner, run))

    def _is_beyond(self, obj: int) -> bool:
        """Whether automata cannot follow the object: an end of a stream with clones, each of which is closed for itself; the future of a
        unit; something whose methods are handed out, for others to call."""
        program = self.graph.program
        if obj in program.handles or any(a.does is Does.MAKE and a.call.operation.returns == Gives.SELF for a in program.on(obj)):
            return True
        return any(a.call.record.by is not None or (a.deferred and a.does is not Does.MAKE) for a in program.on(obj))

    def _grown(self, run: Run, own: tuple[frozenset[int], ...], wanted: list[Unit]) -> Scope:
        """The scope with all that its units also wait for, where that is in sight as a whole; what the `wanted` units use comes first."""
        program, below = self.graph.program, self.runs.below(run.function)
        used = {o for f in program.reached([e for u in wanted for e in u.entries]) for a in program.actions_in(f) for o in a.subjects}
        resources = [*own]
        for group in sorted(self._groups(below), key=lambda group: not group & used):
            if group not in own and len(resources) < MOST_RESOURCES and self._is_inside(group, run, below):
                resources.append(group)
        plain = self._with_units(run, tuple(resources), (), wanted)
        found = variables(self.graph, below, plain.touching, lambda owner: self.instances.is_made_in(owner, run))
        return self._with_units(run, tuple(resources), found, wanted) if found else plain

    def _with_units(self, run: Run, resources: tuple[frozenset[int], ...], variables: tuple[Variable, ...], wanted: list[Unit]) -> Scope:
        program, below = self.graph.program, self.runs.below(run.function)
        known = frozenset(o for group in resources for o in group)
        direct = {f for f in below if any(a.subjects & known for a in program.actions_in(f))}
        direct |= {writer for variable in variables for writer in variable.writers}
        direct |= {spawn.record.function for unit in wanted for spawn in unit.spawns}
        direct |= {entry for unit in wanted for entry in unit.entries}
        units: list[Unit] = []
        while True:
            touching = frozenset(f for f in below if program.reached([f]) & direct)
            found = [u for u in program.units if u.entries and set(u.entries) & touching and self._is_started_in(u, below)]
            if len(found) == len(units):
                return Scope(run.function, resources, tuple(units), touching, variables, run.turn)
            units = found
            for unit in units:
                direct |= {s.record.function for s in unit.spawns}
                direct |= {a.function for o in unit.handle for a in program.on(o) if a.does in _STARTS} & below
            direct |= self._who_may_end(units)

    def _who_may_end(self, units: list[Unit]) -> set[FunctionId]:
        """The entries of units that are in a task group with one of these, and by whose exception it ends with the group."""
        program = self.graph.program
        groups = {s.subject for unit in units for s in unit.spawns if s.subject is not None and program.kind(s.subject) is Kind.GROUP}
        beside = {e for unit in program.units if any(s.subject in groups for s in unit.spawns) for e in unit.entries} if groups else set()
        return {entry for entry in beside if program.raising.of(entry)}

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

    def _is_inside(self, group: frozenset[int], run: Run, below: set[FunctionId]) -> bool:
        program = self.graph.program
        if any(program.opened(obj) is not None or self._is_beyond(obj) or not self.instances.is_made_once(obj, run) for obj in group):
            return False
        users = {a.function for obj in group for a in program.on(obj) if a.function in program.live}
        return users <= below
