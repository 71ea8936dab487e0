"""LK301: a stop that sets a flag and waits for a unit, whose retry loop does not look at the flag."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from leaklint import ir
from leaklint.catalog.grammar import Does, Kind, UnitKind
from leaklint.exits.stopping import cancelled, pile_up
from leaklint.exits.ways import first_reached
from leaklint.finding import Confidence, Growth, Leak
from leaklint.graph import Graph
from leaklint.link.actions import Action
from leaklint.link.flow.state import Load
from leaklint.link.syntax import expressions, subexpressions, walk
from leaklint.link.units import Unit
from leaklint.link.values import FunctionId
from leaklint.paths import FORCED, Edge, Node
from leaklint.queries.wording import grows
from leaklint.recurrence import Recurrence

_UNITS = frozenset({UnitKind.TASK, UnitKind.THREAD})
_SIGNALS = frozenset({Kind.EVENT, Kind.FUTURE})
_LOOKS = frozenset({Does.OBSERVE, Does.WAIT, Does.JOIN, Does.BOUND})
_ORDERS = frozenset({"<", "<=", ">", ">="})


@dataclass(frozen=True, slots=True)
class _Stop:
    """What a function says to a unit before it waits for it, and the unit looks at: the events and futures that it sets, the attributes
    that hold these or get a truth value, each with the objects whose attribute it is."""

    join: Action
    objects: frozenset[int]
    fields: tuple[tuple[str, frozenset[int]], ...]


def deaf_retries(graph: Graph) -> Iterator[Leak]:
    """A stop sets a flag and joins a unit, which looks at the flag in one place; in another it tries again and again what fails, until that
    comes off, and never looks. While it fails, stop and unit stay."""
    judge = _Judge(graph)
    told: set[tuple[tuple[int, int], ir.Span]] = set()
    for unit in graph.program.units:
        if unit.kind not in _UNITS or not unit.spawns or not unit.entries or cancelled(graph, unit) is not None:
            continue
        retries = judge.retries(unit)
        for stop in judge.stops(unit) if retries else ():
            for function, loop in retries:
                if (function.source, loop.at) not in told and not judge.hears(function, loop, stop):
                    told.add((function.source, loop.at))
                    yield _leak(graph, unit, stop, function, loop)


class _Judge:
    """Answers for one program."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.program = graph.program

    def stops(self, unit: Unit) -> Iterator[_Stop]:
        """Those who join the unit without a bound, and have set something before which the unit looks at."""
        own = self.program.reached(unit.entries)
        for join in {a for obj in unit.handle for a in self.program.on(obj) if a.does is Does.JOIN}:
            if join.function in own or join.function not in self.program.live or not self.program.blocks(join) or join.deferred:
                continue
            before = self._before(join)
            signals = [
                a
                for one in before
                for a in self.program.actions_in(one)
                if a.does is Does.SIGNAL and {self.program.kind(o) for o in a.subjects} <= _SIGNALS and a.subjects
                if one != join.function or a.at.line < join.at.line
            ]
            written = [(load.name, self.program.holds(load.base)) for one in before for load in self._written.get(one, [])]
            known = {o for a in signals for o in a.subjects if not self._is_one_of_many(o)}
            fields = [*written, *(field for a in signals for field in self._fields(a))]
            heard = _Stop(
                join,
                frozenset(o for o in known if any(self._looks(one, _Stop(join, frozenset({o}), ())) for one in own)),
                tuple(field for field in fields if any(self._looks(one, _Stop(join, frozenset(), (field,))) for one in own)),
            )
            if heard.objects or heard.fields:
                yield heard

    def _is_one_of_many(self, obj: int) -> bool:
        """Whether a function that several call makes it: it stands for what each of them got, and who uses one may mean another."""
        made = self.program.made_at(obj)
        return made is not None and self.program.node(made[0]).owner is None and len(self.program.calls_of(made[0])) > 1

    def _fields(self, signal: Action) -> Iterator[tuple[str, frozenset[int]]]:
        """The attribute whose object a call signals: `self._closing.set_result(None)`."""
        match signal.call.record.node:
            case ir.Call(function=ir.Attribute(base=ir.Attribute(name=name))):
                reads = (load for load in self.graph.loads_of(name) if load.value is None and load.function == signal.function)
                yield name, frozenset(o for load in reads for o in self.program.holds(load.base))
            case _:
                pass

    def _before(self, join: Action) -> list[FunctionId]:
        """The function that joins, and those that it calls on a line above."""
        program, function = self.program, join.function
        calls = [s for s in program.sites_in(function) if (p := self._line(function, s.number)) is not None and p < join.at.line]
        return [function, *sorted(program.reached({c for site in calls for c in program.state.callees.get(site, ())}) - {function})]

    def _line(self, function: FunctionId, number: int) -> int | None:
        place = self.program.place(function, number)
        at = getattr(place.stmt, "at", None) if place is not None else None
        return at.line if isinstance(at, ir.Span) else None

    @cached_property
    def _written(self) -> dict[FunctionId, list[Load]]:
        """Function → the attributes that it gives a truth value, but for constructors."""
        found: dict[FunctionId, list[Load]] = {}
        for load in self.program.state.loads:
            fixed = isinstance(load.constant, ir.Constant) and load.constant.kind == "bool"
            if load.value is not None and fixed and self.program.node(load.function).name != "__init__":
                found.setdefault(load.function, []).append(load)
        return found

    def _looks(self, function: FunctionId, stop: _Stop, loop: ir.While | None = None) -> bool:
        """Whether the function, or only a loop of it, looks at anything that the stop has set."""
        inside = _sites(loop) if loop is not None else None
        names = _attributes(loop) if loop is not None else None
        for action in self.program.actions_in(function):
            if action.does in _LOOKS and action.subjects & stop.objects and (inside is None or action.site.number in inside):
                return True
        for name, bases in stop.fields:
            for load in self.graph.loads_of(name):
                read = load.value is None and load.function == function and self.program.holds(load.base) & bases
                if read and (names is None or load.name in names):
                    return True
        return False

    # --- the loop that does not look

    def retries(self, unit: Unit) -> list[tuple[FunctionId, ir.While]]:
        """The loops of a unit that try again and again."""
        functions = sorted(self.program.reached(unit.entries))
        loops = ((f, s) for f in functions for s in walk(self.program.node(f).body) if isinstance(s, ir.While))
        return [(function, loop) for function, loop in loops if self._is_retry(function, loop)]

    def hears(self, function: FunctionId, loop: ir.While, stop: _Stop) -> bool:
        """Whether a loop, or what it calls, looks at what a stop has set."""
        called = {c for n in _sites(loop) for c in self.program.state.callees.get(function.site(n), ())}
        asked = {c for c in self.program.calls.get(function, ()) if self.program.node(c).name in _attributes(loop)}  # properties
        below = self.program.reached(called | asked) - {function}
        return self._looks(function, stop, loop) or any(self._looks(one, stop) for one in below)

    def _is_retry(self, function: FunctionId, loop: ir.While) -> bool:
        """Whether the loop sleeps and comes again after an exception that it catches, and counts neither turns nor time."""
        tests = [loop.test, *(s.test for s in walk(loop.body) if isinstance(s, ir.Branch))]
        counts = {_word(s.target) for s in walk(loop.body) if isinstance(s, ir.Augment)}
        for one in (e for test in tests for e in subexpressions(test) if isinstance(e, ir.Comparison)):
            if _ORDERS & set(one.operators) or counts & {_word(side) for side in (one.left, *one.rights)}:
                return False
        if any(isinstance(e, ir.Call) for e in subexpressions(loop.test)):  # what it asks may know of a time
            return False
        if not any(isinstance(e, ir.Call) and _word(e.function) == "sleep" for e in _parts(loop)):
            return False
        inside = {id(s) for s in walk(loop.body)}
        catches = (n for n in self.graph.paths(function).nodes if n.kind == "except" and id(n.stmt) in inside)

        def comes_again(node: Node) -> bool:
            return node.stmt is loop and node.kind == "test"

        def leaves(node: Node) -> bool:
            return node.exit_kind is not None or (node.stmt is not None and id(node.stmt) not in inside and node.stmt is not loop)

        def follows(node: Node, edge: Edge) -> bool:
            return edge not in FORCED and (edge is not Edge.RAISE or node.kind == "except")

        return any(first_reached([node], comes_again, leaves, follows) is not None for node in catches)


def _parts(loop: ir.While) -> Iterator[ir.Expr]:
    yield from subexpressions(loop.test)
    for stmt in walk(loop.body):
        for expression in expressions(stmt):
            yield from subexpressions(expression)


def _sites(loop: ir.While) -> frozenset[int]:
    return frozenset(e.site for e in _parts(loop) if isinstance(e, ir.Call | ir.Await))


def _attributes(loop: ir.While) -> frozenset[str]:
    return frozenset(e.name for e in _parts(loop) if isinstance(e, ir.Attribute))


def _word(expression: ir.Expr) -> str:
    match expression:
        case ir.Attribute(name=word) | ir.Name(id=word):
            return word
        case _:
            return ""


def _leak(graph: Graph, unit: Unit, stop: _Stop, function: FunctionId, loop: ir.While) -> Leak:
    often = pile_up(graph, unit) or Recurrence(Growth.AT_EXIT)
    start, join = unit.spawns[0].record, stop.join
    said = sorted({graph.program.describe(o) for o in stop.objects} | {name for name, _ in stop.fields})[0]
    waits = join.method.strip("_")
    trace = (
        graph.step(start.function, start.at, f"`{unit.name}` starts here and is cancelled nowhere"),
        graph.step(function, loop.at, f"as part of it this tries again until it comes off, and never looks at `{said}`"),
        graph.step(join.function, join.at, f"the stop has set `{said}` and waits here in `{waits}` for ever"),
    )
    return Leak(
        graph.program.path(function.module), loop.at, graph.qualname(function),
        {"unit": unit.name, "operation": waits, "object": said, "growth": grows(graph, often, unit.kind.value, function)},
        Confidence.LIKELY, often.growth, trace, "retry",
    )  # fmt: skip
