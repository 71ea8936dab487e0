"""How often a place of the program is come to over the life of the process, and what brings it there again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

from leaklint import ir
from leaklint.catalog.grammar import Does, Per
from leaklint.finding import Growth
from leaklint.link.closed import main_function
from leaklint.link.program import Program
from leaklint.link.syntax import subexpressions, walk
from leaklint.link.units import Unit
from leaklint.link.values import Coroutine, FunctionId
from leaklint.paths import EXCEPTIONAL, Node, Paths, is_endless
from leaklint.paths.one_time import turned_off

Loop = ir.While | ir.For


@dataclass(frozen=True, slots=True)
class Recurrence:
    """`growth` is ONCE for any fixed number of times. Otherwise `function` is what is called again and again, or holds the `loop`; `per`:
    what happens each time that a library calls it."""

    growth: Growth
    function: FunctionId | None = None
    loop: Loop | None = None
    per: Per | None = None


ONCE = Recurrence(Growth.ONCE)


class Recurrences:
    """Answers for one program. `paths` gives the control flow of a function, `calls_to` the sites at which one calls another."""

    def __init__(
        self, program: Program, paths: Callable[[FunctionId], Paths], calls_to: Callable[[FunctionId, FunctionId], list[int]]
    ) -> None:
        self.program = program
        self.paths = paths
        self.calls_to = calls_to
        self._known: dict[FunctionId, Recurrence] = {}

    def of_places(self, places: Iterable[tuple[FunctionId, int]]) -> Recurrence:
        """How often the worst of the places is come to, each the number of a site in a function."""
        return _worst(self._of_place(function, number) for function, number in places)

    def of(self, function: FunctionId) -> Recurrence:
        """How often a function is run."""
        found = self._known.get(function)
        if found is None:
            found = self._known[function] = self._above([function], frozenset())
        return found

    def of_chain(self, links: Collection[FunctionId], chain: frozenset[FunctionId]) -> Recurrence:
        """How often a chain of calls that bring about each other is begun: what runs one of its links without being a part of it."""
        return self._above(sorted(links), chain)

    def only_place(self, function: FunctionId) -> FunctionId | None:
        """The function that runs this one, if only one does and at one place, which a run of it comes to once at most."""
        places = {place for place in self._places_that_run(function) if place[0] in self.program.live}
        caller, number = next(iter(places), (function, None))
        if len(places) != 1 or number is None or self._repeats(caller, number):
            return None
        return caller

    def _of_place(self, function: FunctionId, number: int) -> Recurrence:
        loop = self._lasting_loop(function, number)
        return Recurrence(Growth.PER_ITERATION, function, loop) if loop is not None else self.of(function)

    def _above(self, functions: list[FunctionId], chain: frozenset[FunctionId]) -> Recurrence:
        """The nearest lasting loop around a way to one of the functions, from outside the chain, that leads through nothing called again
        and again from out of sight; where there is none, the nearest function called so, or at several places, or in a loop that ends."""
        best = ONCE
        seen, level = {*functions, *chain}, functions
        while level:
            above: set[FunctionId] = set()
            for one in level:
                places = [place for place in self._places_that_run(one) if place[0] in self.program.live and place[0] not in chain]
                for caller, number in places:
                    if (loop := self._lasting_loop(caller, number)) is not None:
                        return Recurrence(Growth.PER_ITERATION, caller, loop)
                again = self._by_others(one, one in chain)
                if best is ONCE:
                    best = again or (Recurrence(Growth.PER_CALL, one) if self._is_several(places) else ONCE)
                if again is None:
                    above.update(caller for caller, _ in places)
            level = sorted(above - seen)
            seen |= above
        return best

    def _is_several(self, places: list[tuple[FunctionId, int | None]]) -> bool:
        """Whether what runs at the places runs more than once: they are several, or one is come to several times."""
        return len(set(places)) > 1 or any(number is not None and self._repeats(function, number) for function, number in places)

    def _repeats(self, function: FunctionId, number: int) -> bool:
        place = self.program.place(function, number)
        if place is None:
            return False
        return place.in_comprehension or any(self._comes_again(function, number, loop) for loop in place.loops)

    def _by_others(self, function: FunctionId, is_link: bool) -> Recurrence | None:
        """What calls the function again and again although no loop in sight does: code out of sight, a library, its own timer."""
        for unit in self.program.entered_by.get(function, ()):
            per = next((s.operation.per for s in unit.spawns if s.operation.per is not None), None)
            if per is not None or (not is_link and self._arms_itself(unit)):
                return Recurrence(Growth.PER_CALL, function, per=per)
        if function in self.program.openness.callable and not self._is_main(function):
            return Recurrence(Growth.PER_CALL, function)
        return None

    def _arms_itself(self, unit: Unit) -> bool:
        arms = {s.record.function for s in unit.spawns if s.operation.does is Does.ARM}
        return bool(arms & self.program.reached(unit.entries)) if arms else False

    def _is_main(self, function: FunctionId) -> bool:
        return main_function(self.program.modules[function.module]) == function.index

    def _places_that_run(self, function: FunctionId) -> Iterator[tuple[FunctionId, int | None]]:
        """Where the function is called, its coroutine made, or a unit started in it; no number where a caller reads it as a property."""
        program = self.program
        called = program.calls_of(function)
        yield from ((record.function, record.site.number) for record in called)
        for unit in program.entered_by.get(function, ()):
            if not self._is_given_its_coroutine(unit, function):
                yield from ((spawn.record.function, spawn.record.site.number) for spawn in unit.spawns)
        if not program.node(function).is_async:
            for caller in program.callers.get(function, frozenset()) - {record.function for record in called}:
                numbers: list[int | None] = [*self.calls_to(caller, function)]
                yield from ((caller, number) for number in numbers or [None])

    def _is_given_its_coroutine(self, unit: Unit, function: FunctionId) -> bool:
        """Whether what starts the unit is given a coroutine: the function then runs as often as its coroutine is made."""
        given = [self.program.value(o) for o in unit.made.entries] if unit.made is not None else []
        return any(isinstance(value, Coroutine) and value.function == function for value in given)

    # --- loops

    def _lasting_loop(self, function: FunctionId, number: int | None) -> Loop | None:
        """The innermost loop around the place that may turn for as long as the program runs, and comes to the place in turn after turn."""
        place = self.program.place(function, number) if number is not None else None
        for loop in reversed(place.loops if place is not None else ()):
            if number is not None and self._is_lasting(function, loop) and self._comes_again(function, number, loop):
                return loop
        return None

    def _is_lasting(self, function: FunctionId, loop: Loop) -> bool:
        match loop:
            case ir.While(test=test):
                if is_endless(test):
                    return True
                asked = list(subexpressions(test))
                asks = any(isinstance(part, ir.Call | ir.Attribute) for part in asked)
                takes = any(
                    isinstance(part, ir.Await) or (isinstance(part, ir.Walrus) and isinstance(part.value, ir.Call)) for part in asked
                )
                return takes or (asks and self._waits(function, loop))
            case ir.For(iterable=ir.Call(function=ir.Name(id="iter"), arguments=(_, _))):
                return True
            case ir.For(site=site, is_async=is_async):
                return is_async or any(a.does is Does.RECEIVE for a in self.program.at(function.site(site)))

    def _waits(self, function: FunctionId, loop: ir.While) -> bool:
        inside = {id(stmt) for stmt in walk(loop.body)} | {id(loop)}
        nodes = (node for node in self.paths(function).nodes if id(node.stmt) in inside)
        return any(a.waits is not None for node in nodes for number in node.sites() for a in self.program.at(function.site(number)))

    def _comes_again(self, function: FunctionId, number: int, loop: Loop) -> bool:
        """Whether the loop goes on after the place, and comes there once more: `while True: … return connect()` comes to it once, as does
        `while True: … if not greeted: greeted = True; greet()`."""
        places = self.paths(function).of(number)
        heads = [node for node in self._calmly_after(places, frozenset()) if node.stmt is loop and node.kind in ("test", "step")]
        summary = self.program.modules[function.module].summary
        inside = [one for one in summary.functions if one.parent == function.index]
        off = turned_off(loop.body, places[0].stmt, inside) if heads else frozenset[int]()
        if not off:
            return bool(heads)
        return any(node is place for node in self._calmly_after(places, off) for place in places)

    def _calmly_after(self, places: list[Node], ends: frozenset[int]) -> Iterator[Node]:
        """The nodes to which control goes on from some when nothing is raised, up to the statements in `ends`."""
        todo = [target for node in places for edge, target in node.successors if edge not in EXCEPTIONAL]
        seen: set[int] = set()
        while todo:
            node = todo.pop()
            if id(node) not in seen:
                seen.add(id(node))
                yield node
                if id(node.stmt) not in ends:
                    todo += [target for edge, target in node.successors if edge not in EXCEPTIONAL]


def _worst(found: Iterable[Recurrence]) -> Recurrence:
    order = list(Growth)
    return min(found, key=lambda one: order.index(one.growth), default=ONCE)
