"""Whether one run of a function makes just one of what an object of the analysis stands for."""

from __future__ import annotations

from functools import cached_property

from leaklint.explore.runs import Run, Runs
from leaklint.graph import Graph
from leaklint.link.values import ClassId, ClassValue, FunctionId, Instance, Resource


class Instances:
    """Answers for one program."""

    def __init__(self, graph: Graph, runs: Runs) -> None:
        self.graph, self.runs = graph, runs

    def is_made_once(self, obj: int, run: Run) -> bool:
        """Whether a run makes just one of what the object stands for."""
        program = self.graph.program
        made = program.made_at(obj)
        if made is None or not self._runs_once(made[0], self._site_of(obj), run, frozenset()):
            return False
        if obj in self._in_globals and not (run.function.index == 0 or self.graph.runs_once(run.function)):
            return False
        holders = program.holders.get(obj, frozenset())
        if any(
            place[0] not in self.runs.below(run.function)
            for cls in holders
            if not self._constructs(run, cls)
            for place in self._made_at.get(cls, ())
        ):
            return False  # it outlives a run of the root, in something that was there before
        if (owner := program.owner(obj)) is not None:
            return made[0].index != 0 or self.is_instance_made_once(owner, run)
        return all(self._has_one_instance(cls, run) for cls in holders if self._is_made_by(made[0], cls))

    def _constructs(self, run: Run, cls: ClassId) -> bool:
        """Whether a run is the making of one instance of the class."""
        program = self.graph.program
        return program.node(run.function).name == "__init__" and program.class_of(run.function) in program.state.names.lineage(cls)[0]

    def is_instance_made_once(self, instance: int, run: Run) -> bool:
        """The same of an instance that is told apart from others of its class by the place that makes it."""
        value, made = self.graph.program.value(instance), self.graph.program.state.made_by.get(instance)
        if isinstance(value, Instance) and self._constructs(run, value.cls):
            return True
        return made is not None and self._runs_once(made.function, made.site.number, run, frozenset())

    @cached_property
    def _in_globals(self) -> frozenset[int]:
        """What a global, or a container that a global holds, may hold."""
        program = self.graph.program
        keyed = program.state.solver.keyed().items()
        return program.elements(o for key, v in keyed if isinstance(key, tuple) and key[0] == "global" for o in program.holds(v))

    def _is_made_by(self, function: FunctionId, cls: ClassId) -> bool:
        """Whether each instance of the class makes one: in a method, or as the default of a field."""
        return self.graph.program.class_of(function) == cls or function.index == 0

    def _has_one_instance(self, cls: ClassId, run: Run) -> bool:
        """Whether a run makes one instance of the class at most."""
        places = [place for place in self._made_at.get(cls, ()) if place[0] in self.runs.below(run.function)]
        return len(places) <= 1 and all(self._runs_once(*place, run, frozenset()) for place in places)

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

    def _runs_once(self, function: FunctionId, site: int | None, run: Run, seen: frozenset[FunctionId]) -> bool:
        """Whether one run comes to a place of the function at most once."""
        place = self.graph.program.place(function, site) if site is not None else None
        if place is not None and (any(loop is not run.turn for loop in place.loops) or place.in_comprehension):
            return False
        if function == run.function:
            return True
        runners = self.runs.runners.get(function, set()) & self.runs.below(run.function)
        if function in seen or len(runners) != 1:
            return False
        (runner,) = runners
        sites = self.graph.calls_to(runner, function)
        return len(sites) == 1 and self._runs_once(runner, sites[0], run, seen | {function})

    def is_made_in(self, instance: int, run: Run) -> bool:
        """Whether a run makes the instance, and makes it once."""
        made = self.graph.program.state.made_by.get(instance)
        return made is not None and made.function in self.runs.below(run.function) and self.is_instance_made_once(instance, run)
