"""Which instances of project classes are told apart: by the place that makes them, in the context of the object whose method does.

Decided before objects flow, from the calls as they are written, so that it depends on no order. Two widenings bound the cost. A class with
more than `MOST_MADE` instances, each counted once for every instance of the class that makes it, is told apart by place alone; with more
places than that, or below a base whose subclasses have more than `MOST_BELOW` between them, not at all: its instances are one object. So
are those that no plain call of the class makes (`cls()`, a class from a table), and those of classes that have nothing to do with
concurrency: no method uses a word of it, none makes an instance of a class that does, none calls a method of such a class on an attribute.

A factory, which is a plain function that makes or starts something and returns a value, is told apart by its calls when there are at most
`MOST_CALLED`; one that decorates, by what it decorates, and each of these counts for what it makes.
"""

from __future__ import annotations

from functools import cached_property

from leaklint.link.closed import closed_modules
from leaklint.link.names import Names
from leaklint.link.survey import Place, Survey
from leaklint.link.values import NO_CONTEXT, ClassId, FunctionId, Site

MOST_MADE = 4
MOST_BELOW = 32
MOST_CALLED = 24


class Contexts:
    """The decision for one project."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.closed = closed_modules(names)
        self._seen = Survey(names)
        self._counts: dict[ClassId, int] = {}

    def maker(self, cls: ClassId, site: Site) -> Site | None:
        """What tells the instance that a call makes from others of its class; None when nothing does."""
        if self._seen.made.get((site.module, site.number)) != cls or cls not in self.split:
            return None
        return site if self._number(cls) <= MOST_MADE else Site(site.module, site.number, NO_CONTEXT)

    def is_told_apart(self, function: FunctionId, site: Site) -> bool:
        """Whether a call of a factory runs it in the context of that call: what two calls make are two objects."""
        called = self._seen.called.get((site.module, site.number))
        return called == function.source and self.are_calls_told_apart(called)

    def are_calls_told_apart(self, factory: Place) -> bool:
        """Whether the plain function is a factory with several calls, and not too many."""
        return 1 < self._seen.calls.get(factory, 0) <= MOST_CALLED

    def is_whole(self, cls: ClassId) -> bool:
        """Whether all instances are made in sight: no one else knows the class."""
        return cls in self.split and (self.names.cls(cls).name.startswith("_") or cls.module in self.closed)

    def is_fixed(self, module: int, index: int) -> bool:
        """Whether a method is one function whatever it runs on: it holds a class of its own, whose methods see its variables."""
        return index in self._around_classes.get(module, ())

    @cached_property
    def _around_classes(self) -> dict[int, frozenset[int]]:
        found: dict[int, set[int]] = {}
        for number, module in enumerate(self.names.modules):
            functions = module.summary.functions
            for cls in module.summary.classes:
                index: int | None = cls.parent
                while index:
                    found.setdefault(number, set()).add(index)
                    index = functions[index].parent
        return {number: frozenset(indices) for number, indices in found.items()}

    @cached_property
    def split(self) -> frozenset[ClassId]:
        """The classes whose instances are told apart."""
        places = self._seen.places
        below: dict[ClassId, int] = {}
        for cls in places:
            for one in self.names.lineage(cls)[0]:
                below[one] = below.get(one, 0) + len(places[cls])
        return frozenset(
            cls
            for cls in self._concurrent & places.keys()
            if len(places[cls]) <= MOST_MADE and all(below[one] <= MOST_BELOW for one in self.names.lineage(cls)[0])
        )

    @cached_property
    def _concurrent(self) -> frozenset[ClassId]:
        """The classes that use a word of concurrency, in a base perhaps, and those that make instances of them."""
        makers: dict[ClassId, set[ClassId]] = {}
        for cls, holders in self._seen.places.items():
            for holder in holders:
                if isinstance(holder, ClassId):
                    makers.setdefault(cls, set()).add(holder)
        found: set[ClassId] = set()
        todo = sorted({*self._seen.users, *self._askers()})
        while todo:
            one = todo.pop()
            for cls in (one, *self.names.below(one)):
                if cls not in found:
                    found.add(cls)
                    todo += makers.get(cls, ())
        return frozenset(found)

    def _askers(self) -> set[ClassId]:
        """The classes that call a method of one that uses words of concurrency, on what an attribute of theirs holds."""
        names = {name for cls in self._seen.users for name, method in self.names.members(cls).items() if method is not None}
        return {asker for name in names for asker in self._seen.asked.get(name, ())}

    def _number(self, cls: ClassId) -> int:
        """How many instances of the class would be told apart by place and context; more than `MOST_MADE` when it makes itself."""
        found = self._counts.get(cls)
        if found is None:
            self._counts[cls] = MOST_MADE + 1  # until known: whoever makes itself on a roundabout way has too many
            found = sum(self._runs_on(holder) for holder in self._seen.places.get(cls, ()))
            self._counts[cls] = found
        return found

    def _runs_on(self, holder: ClassId | Place | None) -> int:
        """In how many contexts the methods of a class, or a plain function, may run."""
        if holder is None:
            return 1
        if not isinstance(holder, ClassId):
            return max(self._seen.calls[holder] if self.are_calls_told_apart(holder) else 1, self._seen.decorated.get(holder, 1))
        one = (holder, *self.names.below(holder))
        return 1 + sum(self._number(cls) for cls in one if cls in self.split)
