"""LK306: a unit that waits for its own end, or for what only it signals, takes or counts as done."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from leaklint import ir
from leaklint.catalog.grammar import Does, UnitKind, Waits
from leaklint.finding import Confidence, Leak
from leaklint.graph import Graph
from leaklint.link.actions import Action
from leaklint.link.syntax import subexpressions
from leaklint.link.units import Unit
from leaklint.link.values import FunctionId
from leaklint.locks.arguments import lead_on
from leaklint.locks.frames import Frame, Frames
from leaklint.locks.terms import Term
from leaklint.locks.wakers import Wakening, Wakers
from leaklint.paths import EXCEPTIONAL, Node
from leaklint.queries.wording import grows

_UNITS = frozenset({UnitKind.TASK, UnitKind.THREAD, UnitKind.PROCESS, UnitKind.JOB})
_LASTS = frozenset({Waits.UNTIL_SET, Waits.UNTIL_NOTIFIED, Waits.UNTIL_DONE})


def own_unit(graph: Graph) -> Iterator[Leak]:
    """A wait in a unit for something that has one name in it wherever it is used, and that no other unit brings about."""
    judge = _Judge(graph)
    for action in graph.program.actions:
        if action.waits is None or action.deferred or action.call.record.by is not None or action.function not in graph.program.live:
            continue
        for wakers in judge.wakening.of(action):
            found = judge.of(action, wakers)
            if found is not None:
                yield _leak(graph, action, *found)
                break


class _Judge:
    """Answers for one program."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.program = graph.program
        self.wakening = Wakening(graph)
        self.frames = Frames(graph)

    def of(self, wait: Action, wakers: Wakers) -> tuple[Unit, tuple[Frame, ...], Action | None] | None:
        """The unit that waits for itself, its way to the wait, and what it would have to do instead; None of that: come to its end."""
        if wakers.unit is not None:
            return self._own_end(wait, wakers.unit)
        doers = {root for action in wakers.operations for root in self.program.roots(action.function)}
        units = [unit for unit in self.program.units if unit.kind in _UNITS and doers & set(unit.entries)]
        if not units or not all(doers <= set(unit.entries) for unit in units) or any(self._is_run_by_others(one) for one in doers):
            return None
        if wait.waits in _LASTS and not self._is_alone(units):
            return None
        if wait.waits is Waits.WHILE_FULL and not self._others_send(wait, doers):
            return None
        for way in self._ways(units[0], wait):
            if all(self._is_ours(units[0], way, wait, action) for action in wakers.operations) and self._comes_too_late(way, wait, wakers):
                return units[0], way, wakers.operations[0]
        return None

    def _is_run_by_others(self, entry: FunctionId) -> bool:
        """Whether the function in which a unit starts is called as well, by the program or from out of sight."""
        return entry in self.program.openness.callable or bool(self.program.callers.get(entry))

    def _is_alone(self, units: list[Unit]) -> bool:
        """Whether one instance of the unit is started at a time, so that no other can do what this one waits for."""
        if len(units) > 1 or len(units[0].spawns) > 1:
            return False
        place = self.program.place((record := units[0].spawns[0].record).function, record.site.number) if units[0].spawns else None
        return place is not None and not place.loops and not place.in_comprehension

    def _others_send(self, wait: Action, doers: set[FunctionId]) -> bool:
        """Whether others fill the channel too, after it is made: what only goes round always finds its room."""
        on = (a for o in wait.subjects for a in self.program.on(o) if a.does is Does.SEND and a.function in self.program.live)
        sends = (a for a in on if self.program.node(a.function).name not in ("__init__", "__post_init__"))
        return any(self.program.roots(a.function) - doers for a in sends)

    # --- the way to the wait

    def _ways(self, unit: Unit, wait: Action) -> Iterator[tuple[Frame, ...]]:
        """The ways on which nobody asks whether this is the unit itself, as far as what the calls give lets control take them."""
        for entry in unit.entries:
            for way in self.frames.to(entry, wait):
                if not any(self.frames.asks_who_runs(frame) for frame in way) and lead_on(self.graph, way):
                    yield way

    def _is_ours(self, unit: Unit, way: tuple[Frame, ...], wait: Action, action: Action) -> bool:
        """Whether the operation, where the unit comes to it, is on the very thing that it waits for."""
        ways = (one for entry in unit.entries for one in self.frames.to(entry, action))
        here = self._terms(way, wait)
        return any(here & self._terms(one, action) for one in ways)

    def _terms(self, way: tuple[Frame, ...], action: Action) -> frozenset[Term]:
        """What the things that an operation is done to are called in the unit."""
        node = action.call.record.node
        match node:
            case ir.Call(function=ir.Attribute(base=base)) if action.call.operation.subject is None:
                named = [base]
            case ir.Call(arguments=arguments):
                given = [argument.value for argument in arguments if argument.keyword is None and not argument.star]
                named = [one for value in given for one in (value.items if isinstance(value, ir.Display) else (value,))]
            case None:
                named = list(_awaited(way[-1].node))
        return frozenset(term for one in named if (term := self.frames.named(way, one)) is not None)

    def _comes_too_late(self, way: tuple[Frame, ...], wait: Action, wakers: Wakers) -> bool:
        """Whether the unit may come to the wait without having done what it waits for: since it began or, of what is counted, since it
        took the last."""
        if wait.waits is Waits.WHILE_FULL:
            return True
        if wait.waits is Waits.UNTIL_DRAINED:
            return any(self._has_taken(frame, wait, wakers) for frame in way)
        if wait.waits not in _LASTS:
            return False
        return all(self._passes(frame.function, [self.graph.paths(frame.function).entry], frame.node, self._doing(wakers)) for frame in way)

    def _has_taken(self, frame: Frame, wait: Action, wakers: Wakers) -> bool:
        takes = [a for o in wait.subjects for a in self.program.on(o) if a.does is Does.RECEIVE and a.function == frame.function]
        nodes = [node for action in takes for node in self.graph.paths(frame.function).of(action.site.number)]
        starts = [target for node in nodes for edge, target in node.successors if edge not in EXCEPTIONAL]
        return self._passes(frame.function, starts, frame.node, self._doing(wakers))

    def _doing(self, wakers: Wakers) -> Callable[[FunctionId, Node], bool]:
        """Whether a node does what the unit waits for, or may, in what it calls."""
        sites = {action.site for action in wakers.operations}
        doing = {action.function for action in wakers.operations}
        calls = self.frames.calls

        def does(function: FunctionId, node: Node) -> bool:
            if any(function.site(number) in sites for number in node.sites()):
                return True
            return (
                any(self.program.reached((call.callee,)) & doing for call in calls.at(function, node)) if node.stmt is not None else False
            )

        return does

    def _passes(self, function: FunctionId, starts: list[Node], goal: Node, does: Callable[[FunctionId, Node], bool]) -> bool:
        seen: set[int] = set()
        todo = list(starts)
        while todo:
            node = todo.pop()
            if node is goal:
                return True
            if id(node) in seen or does(function, node):
                continue
            seen.add(id(node))
            todo += [target for edge, target in node.successors if edge not in EXCEPTIONAL or node.kind == "except"]
        return False

    # --- a unit that waits for its own end

    def _own_end(self, wait: Action, unit: Unit) -> tuple[Unit, tuple[Frame, ...], None] | None:
        if (
            unit.kind not in _UNITS
            or len(unit.entries) != 1
            or any(a.does is Does.CANCEL for o in unit.handle for a in self._on_the_way(o, wait))
        ):
            return None
        kept = self._kept_as(unit)
        if kept is None:
            return None
        for way in self._ways(unit, wait):
            if kept in self._terms(way, wait):
                return unit, way, None
        return None

    def _on_the_way(self, obj: int, wait: Action) -> list[Action]:
        """What the function that waits does to the handle besides."""
        return [a for a in self.program.on(obj) if a.function == wait.function]

    def _kept_as(self, unit: Unit) -> Term | None:
        """What the attribute that holds the handle is called in the unit itself: `self._task = create_task(self._run())`."""
        made = unit.made
        if made is None or made.record.by is not None:
            return None
        function, record = made.record.function, made.record
        place = self.program.place(function, record.site.number)
        match place.stmt if place is not None else None:
            case ir.Bind(targets=(ir.Attribute() as target,), value=value) if value is record.node:
                return self.frames.of_entry(record, unit.entries[0], target)
            case _:
                return None


def _awaited(node: Node) -> Iterator[ir.Expr]:
    for part in node.parts:
        for one in subexpressions(part):
            if isinstance(one, ir.Await):
                yield one.value


def _leak(graph: Graph, wait: Action, unit: Unit, way: tuple[Frame, ...], instead: Action | None) -> Leak:
    program = graph.program
    name = min(program.describe(o) for o in wait.subjects)
    spawn = unit.spawns[0].record if unit.spawns else None
    started = [graph.step(spawn.function, spawn.at, f"`{unit.name}` starts here")] if spawn is not None else []
    calls = [
        graph.step(frame.function, frame.call.at, f"`{unit.name}` comes to `{graph.qualname(frame.call.callee)}` through this call")
        for frame in way
        if frame.call is not None
    ]
    last = (
        graph.step(wait.function, wait.at, f"it waits here for its own end: `{name}` stands for `{unit.name}` itself")
        if instead is None
        else graph.step(instead.function, instead.at, f"only `{unit.name}` does this, and it cannot while it waits")
    )
    middle = [] if instead is None else [graph.step(wait.function, wait.at, f"it waits here for `{name}`")]
    often = graph.recurrence(one.record for one in unit.spawns)
    facts = {"unit": unit.name, "object": name, "growth": grows(graph, often, unit.kind.value, wait.function)}
    return Leak(
        program.path(wait.function.module), wait.at, graph.qualname(wait.function), facts, Confidence.LIKELY, often.growth,
        (*started, *calls, *middle, last), "default" if instead is not None else "end",
    )  # fmt: skip
