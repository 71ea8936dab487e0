"""LK110: a unit that ends without setting what only it sets."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint import ir
from leaklint.catalog.grammar import Does, Kind, UnitKind, Waits
from leaklint.finding import Confidence, Leak
from leaklint.graph import Graph
from leaklint.link.actions import Action
from leaklint.link.units import Unit
from leaklint.link.values import FunctionId, Instance
from leaklint.locks.wakers import Wakening
from leaklint.paths import EXCEPTIONAL, Edge, Node
from leaklint.queries.silent_ends import SilentEnds
from leaklint.queries.wording import grows

_UNITS = frozenset({UnitKind.TASK, UnitKind.THREAD, UnitKind.JOB})
_RESULTS = frozenset({Kind.FUTURE, Kind.EVENT})
_WAITS = frozenset({Waits.UNTIL_SET, Waits.UNTIL_DONE})


def unset(graph: Graph) -> Iterator[Leak]:
    """Somebody waits without a bound for a future or event that one unit alone sets, and that unit has a way to its end that does not."""
    judge = _Judge(graph)
    told: set[tuple[int, ...]] = set()
    for wait in graph.program.actions:
        if wait.waits not in _WAITS or wait.deferred or wait.call.record.by is not None or wait.function not in graph.program.live:
            continue
        for wakers in judge.wakening.of(wait) if _kinds(graph, wait) <= _RESULTS else ():
            found = judge.of(wait, wakers.obj, wakers.operations) if wakers.unit is None and not wakers.again else None
            key = (wakers.obj,)
            if found is not None and key not in told:
                told.add(key)
                yield _leak(graph, wait, wakers.obj, wakers.operations[0], *found)


def _kinds(graph: Graph, wait: Action) -> set[Kind | None]:
    return {graph.program.kind(o) for o in wait.subjects}


class _Judge:
    """Answers for one program."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.program = graph.program
        self.wakening = Wakening(graph)
        self.ends = SilentEnds(graph)

    def of(self, wait: Action, obj: int, operations: tuple[Action, ...]) -> tuple[Unit, FunctionId, Edge, Node] | None:
        """The unit that may end without doing any of the operations, and the last step of such a way: where, how and at what node."""
        if any(a.does is not Does.SIGNAL for a in operations) or self._is_set_at_first(obj) or self._is_sent(obj):
            return None
        roots = {root for action in operations for root in self.program.roots(action.function)}
        units = [unit for unit in self.program.units if roots & set(unit.entries)]
        if len(roots) != 1 or len(units) != 1 or units[0].kind not in _UNITS or not self._is_for_this_wait(units[0], wait, obj):
            return None
        (entry,) = roots
        waiting = self._waiting(wait, obj)
        if all(unit is not None and self._is_cancelled(unit) for unit in waiting):
            return None  # who notices that the unit has ended may end the wait
        if wait.function in self.program.reached((entry,)):
            return None
        way = self._way(entry, obj, operations)
        return (units[0], entry, *way) if way is not None else None

    def _waiting(self, wait: Action, obj: int) -> list[Unit | None]:
        """The units that may wait there, None for code out of sight. A function that is given what it waits for waits for this object only
        where those in sight call it."""
        units = [runner.unit for runner in self.graph.runners(wait.function)]
        inside = [unit for unit in units if unit is not None and unit.handle]
        match wait.call.record.node:
            case ir.Call(function=ir.Attribute(base=ir.Name(id=name))) if inside and self.program.opened(obj) is None:
                given = {p.name for p in self.program.node(wait.function).parameters}
                return list(inside) if name in given else units
            case _:
                return units

    def _is_cancelled(self, unit: Unit) -> bool:
        """Whether somebody may cancel the unit: in sight, or out of sight whoever is given its handle."""
        if any(self.program.opened(o) is not None for o in unit.handle):
            return True
        return any(a.does is Does.CANCEL and a.function in self.program.live for o in unit.handle for a in self.program.on(o))

    def _is_set_at_first(self, obj: int) -> bool:
        """Whether it is set where its owner is made: then it is a gate that somebody closes and opens."""
        on = self.program.on(obj)
        return any(a.does is Does.CLEAR or (a.does is Does.SIGNAL and self._makes(a.function)) for a in on)

    def _is_sent(self, obj: int) -> bool:
        """Whether it, or what owns it, goes through a container or a channel: then the unit serves many, and each comes with its own."""
        program = self.program
        holders = program.holders.get(obj, frozenset())
        values = (program.value(o) for o in program.in_containers)
        return obj in program.in_containers or any(isinstance(value, Instance) and value.cls in holders for value in values)

    def _makes(self, function: FunctionId) -> bool:
        return self.program.node(function).name in ("__init__", "__post_init__")

    def _is_for_this_wait(self, unit: Unit, wait: Action, obj: int) -> bool:
        """Whether one unit is started for one wait: by the function that waits, or makes what is waited for, and not again and again."""
        if len(unit.spawns) != 1 or len(unit.entries) != 1:
            return False
        record = unit.spawns[0].record
        place = self.program.place(record.function, record.site.number)
        made = self.program.made_at(obj)
        return place is not None and not place.loops and not place.in_comprehension and made is not None

    def _way(self, entry: FunctionId, obj: int, operations: tuple[Action, ...]) -> tuple[Edge, Node] | None:
        """A way through the entry that does none of the operations, in what it calls neither."""
        sites = {action.site for action in operations} | {a.site for a in self.program.on(obj) if a.does is Does.OBSERVE}
        takers = {a.function for a in operations}

        def sets(function: FunctionId, node: Node) -> bool:
            return any(function.site(number) in sites for number in node.sites())

        way = self.ends.of(entry, sets, takers)
        made = self._made_in(entry, obj) if way is not None else None
        if made is None:
            return way
        since = self.ends.of(made[0], sets, takers, starts=made[1])
        return since if made[0] == entry or since is None else way

    def _made_in(self, entry: FunctionId, obj: int) -> tuple[FunctionId, list[Node]] | None:
        """Where the unit itself makes the object, or what owns it, and goes on from there: nobody waits for it before."""
        program = self.program
        made = program.made_at(obj)
        record = next((call.record for call in program.state.constructed.get(obj, ())), None)
        while made is not None and self._makes(made[0]) and isinstance(program.value(made[0].context), Instance):
            record = program.state.made_by.get(made[0].context)
            made = (record.function, record.at) if record is not None else None
        if record is None or record.function not in program.reached((entry,)):
            return None
        nodes = self.graph.paths(record.function).of(record.site.number)
        return record.function, [target for node in nodes for edge, target in node.successors if edge not in EXCEPTIONAL]


def _leak(graph: Graph, wait: Action, obj: int, instead: Action, unit: Unit, entry: FunctionId, edge: Edge, node: Node) -> Leak:
    program = graph.program
    name = program.describe(obj)
    spawn = unit.spawns[0].record
    often = graph.recurrences.of(wait.function)
    what = "this may raise" if edge is Edge.RAISE and not isinstance(node.stmt, ir.Raise) else "it may end here"
    trace = (
        graph.step(spawn.function, spawn.at, f"`{unit.name}` starts here, and only it sets `{name}`"),
        graph.step(instead.function, instead.at, f"it sets `{name}` here"),
        graph.step(entry, getattr(node.stmt, "at", program.node(entry).at), f"{what}, and then `{name}` is never set"),
        graph.step(wait.function, wait.at, "this waits for it without a bound"),
    )
    facts = {
        "object": name,
        "function": graph.qualname(wait.function),
        "unit": unit.name,
        "growth": grows(graph, often, "waiter", wait.function),
    }
    return Leak(
        program.path(wait.function.module), wait.at, graph.qualname(wait.function), facts, Confidence.LIKELY, often.growth, trace,
        blocked=(graph.step(wait.function, wait.at, "it waits here"),),
    )  # fmt: skip
