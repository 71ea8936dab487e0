"""The object flow: which abstract objects every variable of the program can hold.

An inclusion-based points-to analysis (Andersen, "Program Analysis and Specialization for the C Programming Language", 1994) with the
call graph built on the way and difference propagation (Pearce, Kelly and Hankin, 2003): each variable hands on only what is new to it.
The solver knows no order and no context: who asks for variables makes one for each context, and for each binding of a name that matters
(see `contexts` and `scope`).

Widening: a variable that could hold more than `WIDEST` objects holds "anything". But for handles it hands on no more than it already has,
and all that reaches it is given up as open (see `openness`), so that no conclusion rests on what is missing.

Most variables hold one object or the very objects that another does: sets are shared, and none is ever changed.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import TypeVarTuple

from leaklint.link.values import LibraryMethod, Object, Resource

NOTHING = -1
"""The variable of an expression that can hold no object of interest."""

WIDEST = 100
"""A dispatcher through which more objects than this pass says nothing about any of them."""

MOST_HANDLES = 1_000
"""So many tasks, threads and timers pass on top of that."""

Watcher = Callable[[int], None]
"""Called once with the id of each object that reaches a variable."""

_Context = TypeVarTuple("_Context")

_NONE: frozenset[int] = frozenset()

_FEW = 12
"""Below this a list takes less room than a set and is searched as fast."""


_MOST_SHARED = 50_000
"""Sets to look for an equal one among."""


@dataclass(slots=True)
class Solver:
    """Variables and objects are dense ids. `points[v]` is the set of object ids of variable v."""

    points: list[frozenset[int]] = field(default_factory=list)
    objects: list[Object] = field(default_factory=list)
    _variables: dict[Hashable, int] = field(default_factory=dict)
    _object_ids: dict[Object, int] = field(default_factory=dict)
    _copies: dict[int, list[int] | set[int]] = field(default_factory=dict)
    _watchers: dict[int, list[tuple[Callable[..., None], tuple[object, ...]]]] = field(default_factory=dict)
    _new: dict[int, frozenset[int]] = field(default_factory=dict)
    _wave: dict[int, frozenset[int]] = field(default_factory=dict)
    """What is left of the round before `_new`: in rounds a variable hands on much at a time, not each object for itself."""
    _late: list[tuple[Callable[..., None], tuple[object, ...], list[int]]] = field(default_factory=list)
    _sets: dict[frozenset[int], frozenset[int]] = field(default_factory=dict)
    handles: frozenset[str] = frozenset()
    """The types of what stands for units: `cancel_and_wait` may be given every task of a program, and does to each what it does to one."""
    _handle_ids: set[int] = field(default_factory=set)
    widened: set[int] = field(default_factory=set)
    """The variables that can hold anything."""
    _lost: set[int] = field(default_factory=set)
    """The objects that some of these no longer hand on."""

    def fresh(self) -> int:
        """A new anonymous variable."""
        self.points.append(_NONE)  # most variables never hold anything
        return len(self.points) - 1

    def variable(self, key: Hashable) -> int:
        """The variable known by this key."""
        found = self._variables.get(key)
        if found is None:
            found = self._variables[key] = len(self.points)
            self.points.append(_NONE)
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
            is_handle = isinstance(value, Resource) and value.type in self.handles
            if is_handle or (isinstance(value, LibraryMethod) and value.subject in self._handle_ids):
                self._handle_ids.add(found)
        return found

    def held(self, variable: int) -> frozenset[int]:
        """The objects of a variable, which may be NOTHING."""
        return self.points[variable] if variable != NOTHING else _NONE

    def anything(self) -> set[int]:
        """The objects that reach a widened variable."""
        return self._lost.union(*(self.points[variable] for variable in self.widened))

    def add(self, variable: int, obj: int) -> None:
        if variable != NOTHING and obj not in self.points[variable]:
            self._push(variable, self._shared(frozenset((obj,))))

    def allocate(self, variable: int, value: Object) -> int:
        obj = self.identify(value)
        self.add(variable, obj)
        return obj

    def copy(self, source: int, target: int) -> None:
        """Whatever `source` holds, `target` may hold."""
        if source in (target, NOTHING) or target == NOTHING:
            return
        targets = self._copies.get(source)
        if targets is None:
            self._copies[source] = [target]
        elif target in targets:
            return
        elif isinstance(targets, set):
            targets.add(target)
        elif len(targets) < _FEW:
            targets.append(target)
        else:
            self._copies[source] = {*targets, target}
        if not (points := self.points[source]) <= self.points[target]:
            self._push(target, points)

    def watch(self, variable: int, watcher: Callable[[*_Context, int], None], *context: *_Context) -> None:
        """Call the watcher with the context and the id of each object that reaches the variable, once; a context takes less room than
        a closure."""
        if variable == NOTHING:
            return
        watchers = self._watchers.get(variable)
        if watchers is None:
            self._watchers[variable] = [(watcher, context)]
        else:
            watchers.append((watcher, context))
        if points := self.points[variable]:
            known = points - self._new.get(variable, _NONE) - self._wave.get(variable, _NONE)
            if known:  # later, not here: a watcher may watch in its turn, to any depth
                self._late.append((watcher, context, sorted(known)))

    def solve(self) -> None:
        """Propagate until nothing changes. Ids of objects found on the way depend on the order of the modules, so whatever is shown is
        sorted by place and not by id; so does what a widened variable still hands on, but all of that is open."""
        while self._late or self._new or self._wave:
            while self._late:
                watcher, context, objects = self._late.pop()
                for obj in objects:
                    watcher(*context, obj)
            if not self._wave:
                self._wave, self._new = self._new, self._wave
                continue
            variable, new = self._wave.popitem()
            for target in self._copies.get(variable, ()):
                if not new <= self.points[target]:
                    self._push(target, new)
            if watchers := self._watchers.get(variable):
                ordered = sorted(new) if len(new) > 1 else new
                for watcher, context in tuple(watchers):
                    for obj in ordered:
                        watcher(*context, obj)

    def finish(self) -> None:
        """Let go of what only solving needs, a third of the memory."""
        for table in (self._copies, self._watchers, self._sets):
            table.clear()

    def _handed_on(self, target: int, objects: frozenset[int]) -> frozenset[int]:
        """What a widened variable still takes: handles, up to `MOST_HANDLES`."""
        handles = objects & self._handle_ids
        if len(self.points[target]) + len(handles) > WIDEST + MOST_HANDLES:
            handles = _NONE
        if rest := objects - handles:
            self.widened.add(target)
            self._lost |= rest
        return handles

    def _push(self, target: int, objects: frozenset[int]) -> None:
        """The target holds these objects too, some of which are new to it."""
        points = self.points[target]
        more = objects - points if points else objects
        if len(points) + len(more) > WIDEST:
            more = self._handed_on(target, more)
            if not more:
                return
        self.points[target] = self._shared(points | more) if points else more
        new = self._new.get(target)
        self._new[target] = more if new is None else new | more

    def _shared(self, objects: frozenset[int]) -> frozenset[int]:
        if len(self._sets) > _MOST_SHARED:
            self._sets.clear()  # what few have in common any more
        return self._sets.setdefault(objects, objects)
