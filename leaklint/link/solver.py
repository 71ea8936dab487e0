"""The object flow: which abstract objects every variable of the program can hold.

An inclusion-based points-to analysis (Andersen, "Program Analysis and Specialization for the C Programming Language", 1994) with the
call graph built on the way and difference propagation (Pearce, Kelly and Hankin, 2003): each variable hands on only what is new to it.
Flow- and context-insensitive; fields are told apart by object and name.

Widening: a variable that could hold more than `WIDEST` objects holds "anything". It hands on no more than it already has, and all that
reaches it is given up as open (see `openness`), so that no conclusion rests on what is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from leaklint.link.values import Object

NOTHING = -1
"""The variable of an expression that can hold no object of interest."""

WIDEST = 100
"""A dispatcher through which more objects than this pass says nothing about any of them."""

Watcher = Callable[[int], None]
"""Called once with the id of each object that reaches a variable."""


@dataclass(slots=True)
class Solver:
    """Variables and objects are dense ids. `points[v]` is the set of object ids of variable v."""

    points: list[set[int]] = field(default_factory=list)
    objects: list[Object] = field(default_factory=list)
    _variables: dict[Hashable, int] = field(default_factory=dict)
    _object_ids: dict[Object, int] = field(default_factory=dict)
    _copies: list[list[int]] = field(default_factory=list)
    _watchers: list[list[Watcher]] = field(default_factory=list)
    _edges: set[tuple[int, int]] = field(default_factory=set)
    _new: dict[int, set[int]] = field(default_factory=dict)
    _late: list[tuple[Watcher, list[int]]] = field(default_factory=list)
    overflow: dict[int, set[int]] = field(default_factory=dict)
    """Widened variable → the objects that it no longer hands on."""

    def fresh(self) -> int:
        """A new anonymous variable."""
        self.points.append(set())
        self._copies.append([])
        self._watchers.append([])
        return len(self.points) - 1

    def variable(self, key: Hashable) -> int:
        """The variable known by this key."""
        found = self._variables.get(key)
        if found is None:
            found = self._variables[key] = self.fresh()
        return found

    def known(self, key: Hashable) -> int:
        """Like `variable`, but NOTHING when nobody asked for it before."""
        return self._variables.get(key, NOTHING)

    def keyed(self) -> dict[Hashable, int]:
        return self._variables

    def identify(self, value: Object) -> int:
        found = self._object_ids.get(value)
        if found is None:
            found = self._object_ids[value] = len(self.objects)
            self.objects.append(value)
        return found

    def held(self, variable: int) -> frozenset[int]:
        """The objects of a variable, which may be NOTHING."""
        return frozenset(self.points[variable]) if variable != NOTHING else frozenset()

    def add(self, variable: int, obj: int) -> None:
        if variable != NOTHING and obj not in self.points[variable]:
            self._push(variable, {obj})

    def allocate(self, variable: int, value: Object) -> int:
        obj = self.identify(value)
        self.add(variable, obj)
        return obj

    def copy(self, source: int, target: int) -> None:
        """Whatever `source` holds, `target` may hold."""
        if source in (target, NOTHING) or target == NOTHING or (source, target) in self._edges:
            return
        self._edges.add((source, target))
        self._copies[source].append(target)
        self._push(target, self.points[source])

    def watch(self, variable: int, watcher: Watcher) -> None:
        if variable == NOTHING:
            return
        self._watchers[variable].append(watcher)
        known = self.points[variable] - self._new.get(variable, set())
        if known:  # later, not here: a watcher may watch in its turn, to any depth
            self._late.append((watcher, sorted(known)))

    def solve(self) -> None:
        """Propagate until nothing changes. Ids of objects found on the way depend on the order of the modules, so whatever is shown is
        sorted by place and not by id; so does what a widened variable still hands on, but all of that is open."""
        while self._late or self._new:
            while self._late:
                watcher, objects = self._late.pop()
                for obj in objects:
                    watcher(obj)
            if not self._new:
                continue
            variable, new = self._new.popitem()
            for target in self._copies[variable]:
                self._push(target, new)
            for watcher in tuple(self._watchers[variable]):
                for obj in sorted(new):
                    watcher(obj)

    def _push(self, target: int, objects: set[int]) -> None:
        more = objects - self.points[target]
        if not more:
            return
        if len(self.points[target]) + len(more) > WIDEST:
            self.overflow.setdefault(target, set()).update(more)
        else:
            self.points[target] |= more
            self._new.setdefault(target, set()).update(more)
