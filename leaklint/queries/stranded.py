"""LK110: those who wait for an answer in a table, when who gives the answers has ended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from leaklint import ir
from leaklint.catalog.grammar import Does, Kind, UnitKind, Waits
from leaklint.exits.bounds import may_last
from leaklint.finding import Confidence, Leak, Step
from leaklint.graph import Graph
from leaklint.link.actions import Action
from leaklint.link.syntax import subexpressions, walk
from leaklint.link.units import Unit
from leaklint.link.values import ClassId, ClassValue, Container, FunctionId, Instance
from leaklint.locks.wakers import Wakening, Wakers
from leaklint.obligations.tables import MAKERS, Act, Table, Use
from leaklint.obligations.traffic import tables as tables_of
from leaklint.paths import Edge, Node
from leaklint.queries.silent_ends import SilentEnds
from leaklint.queries.wording import grows

_SERVERS = frozenset({UnitKind.TASK, UnitKind.THREAD})
_RESULTS = frozenset({Kind.FUTURE, Kind.EVENT})
_STREAMS = frozenset({Kind.CHANNEL, Kind.SENDER, Kind.RECEIVER})
_WAITS = frozenset({Waits.UNTIL_SET, Waits.UNTIL_DONE, Waits.WHILE_EMPTY})

_FARTHEST = 3
"""Calls between a wait and the function that puts in what is waited for and waits for it by these calls."""


@dataclass(frozen=True, slots=True)
class _End:
    """How a server ends without a word to those in the table: a step of it, or the place where it is cancelled."""

    function: FunctionId
    at: ir.Span
    message: str


def stranded(graph: Graph) -> Iterator[Leak]:
    """Callers wait without a bound for what they have put in a table. One unit takes the entries out and answers; it may end, and nobody in
    the program ever goes through the table to tell those who are left."""
    waits = list(_waits(graph))
    if not waits:
        return
    judge = _Judge(graph)
    asked = judge.by_object(waits)
    told: set[tuple[ClassId | int | None, str]] = set()
    for table in judge.tables if asked else ():
        key = (table.home, table.name)
        objects = judge.contents(table, asked) if key not in told else set[int]()
        for wait in dict.fromkeys(wait for obj in sorted(objects) for wait in asked[obj]):
            leak = judge.of(table, wait)
            if leak is not None:
                told.add(key)
                yield leak
                break


def _waits(graph: Graph) -> Iterator[Action]:
    """The waits without a bound for a result that lies in a container, itself or as a part of something there."""
    program = graph.program
    for wait in program.actions:
        if wait.waits in _WAITS and not wait.deferred and wait.function in program.live and wait.call.record.by is None:
            kinds = {program.kind(o) for o in wait.subjects}
            if kinds and (kinds <= _RESULTS or kinds <= _STREAMS) and not wait.subjects & program.handles and may_last(graph, wait):
                yield wait


class _Judge:
    """Answers for one program."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.program = graph.program
        self.wakening = Wakening(graph)
        self.ends = SilentEnds(graph)
        self._parties: dict[Action, frozenset[FunctionId]] = {}
        self._wakers: dict[Action, list[Wakers]] = {}

    def by_object(self, waits: list[Action]) -> dict[int, list[Action]]:
        """The waits that only operations in sight end, by what must lie in a table for them: what is waited for, or the other end of the
        stream."""
        ends = {o: channel.objects for channel in self.graph.channels for o in channel.objects}
        found: dict[int, list[Action]] = {}
        for wait in waits:
            wakers = self._wakers[wait] = self.wakening.when_it_lasts(wait)
            if not wakers or any(one.unit is not None for one in wakers):
                continue
            for obj in sorted(wait.subjects.union(*(ends.get(o, frozenset()) for o in wait.subjects))):
                found.setdefault(obj, []).append(wait)
        return found

    @cached_property
    def tables(self) -> list[Table]:
        """The tables of objects that nobody out of sight is given."""
        return [
            table for table in tables_of(self.program)
            if not table.home_is_module and table.of(Act.PUT) and table.of(Act.TAKE, Act.DRAIN) and not table.of(Act.LEND)
        ]  # fmt: skip

    def _for_all(self, table: Table) -> list[Use]:
        """Where somebody goes through the table, or empties it, but for those who make it."""
        return [use for use in table.uses if self._is_for_all(table, use)]

    def _is_for_all(self, table: Table, use: Use) -> bool:
        """Whether a place is about all that is in the table, and not about one entry."""
        node = self.program.node(use.function)
        match use.act:
            case Act.VISIT:
                return True
            case Act.DRAIN if node.name in MAKERS:
                return False
            case Act.DRAIN:
                return not _takes_one(use.stmt) or any(
                    _names(loop.test, table.name) and any(one is use.stmt for one in walk(loop.body))
                    for loop in walk(node.body)
                    if isinstance(loop, ir.While)
                )
            case _:
                return False

    # --- what is in a table

    def contents(self, table: Table, asked: Mapping[int, list[Action]]) -> set[int]:
        """What is asked for that it may hold, itself or as an attribute of what it holds."""
        assert isinstance(table.home, ClassId)
        program = self.program
        homes = (variable for owner, variable in self._attributes.get(table.name, ()) if self._is_of(owner, table.home))
        inside = program.elements(o for one in homes for o in program.holds(one) if isinstance(program.value(o), Container))
        parts = (o for one in inside for o in self._parts.get(one, ()))
        return {o for o in (*inside, *parts) if o in asked}

    @cached_property
    def _attributes(self) -> dict[str, list[tuple[int, int]]]:
        """By their names the attributes of objects: the owner and the variable of each."""
        found: dict[str, list[tuple[int, int]]] = {}
        for key, variable in self.program.state.solver.keyed().items():
            if isinstance(key, tuple) and key[0] == "attribute":
                found.setdefault(str(key[2]), []).append((key[1], variable))
        return found

    @cached_property
    def _parts(self) -> dict[int, list[int]]:
        """Instance → what its attributes hold."""
        found: dict[int, list[int]] = {}
        for owner, variable in (one for attributes in self._attributes.values() for one in attributes):
            if isinstance(self.program.value(owner), Instance):
                found.setdefault(owner, []).extend(self.program.holds(variable))
        return found

    def _is_of(self, owner: int, home: ClassId) -> bool:
        value = self.program.value(owner)
        return isinstance(value, Instance | ClassValue) and home in self.program.state.names.lineage(value.cls)[0]

    # --- who answers

    def of(self, table: Table, wait: Action) -> Leak | None:
        put = next((use for use in table.of(Act.PUT) if self._is_put_by_who_waits(use, wait)), None)
        if put is None:
            return None
        rescues = self._for_all(table)
        rescued = self.program.reached(v for use in rescues for v in self.program.versions(use.function))
        for wakers in self._wakers[wait]:
            answers = [a for a in wakers.operations if a.function.source != wait.function.source and a.function not in rescued]
            if not answers:
                return None
            found = self._server(table, answers, wait)
            end = self._end(*found, rescues) if found is not None else None
            if found is not None and end is not None:
                return self._leak(table, put, wait, answers[0], found[0], end)
        return None

    def _is_put_by_who_waits(self, put: Use, wait: Action) -> bool:
        """Whether who waits puts the entry in as well, or is called by who does: it is a question, and not the inbox of a worker."""
        found = self._parties.get(wait)
        if found is None:
            asking = {wait.function}
            for _ in range(_FARTHEST):
                asking |= {caller for one in asking for caller in self.program.callers.get(one, ())}
            found = self._parties[wait] = self.program.reached(asking)
        return not found.isdisjoint(self.program.versions(put.function))

    def _server(self, table: Table, answers: list[Action], wait: Action) -> tuple[Unit, FunctionId] | None:
        """The only unit that looks into the table and answers, or that starts one of its own for each answer."""
        program = self.program
        roots = {root for action in answers for root in program.roots(action.function)}
        units = self._started(roots)
        while len(roots) == 1 and units and (above := {root for f in _starters(units) for root in program.roots(f)}) != roots:
            if not (upper := self._started(above)) or len(above) > 1:
                break
            roots, units = above, upper
        below = program.reached({*roots, *(root for action in answers for root in program.roots(action.function))})
        if len(roots) != 1 or not units or wait.function in below or self._waiters_are_told(wait):
            return None
        (entry,) = roots
        return (units[0], entry) if any(load.function in below for load in self.graph.loads_of(table.name)) else None

    def _started(self, entries: Iterable[FunctionId]) -> list[Unit]:
        """The tasks or threads that start in these functions; none when something else does too."""
        program = self.program
        units = [unit for entry in entries for unit in program.entered_by.get(entry, ())]
        sound = all(program.entered_by.get(entry) and entry not in program.openness.callable for entry in entries)
        return units if sound and all(unit.kind in _SERVERS for unit in units) else []

    def _waiters_are_told(self, wait: Action) -> bool:
        """Whether all who wait are units that somebody cancels: who notices that the server has ended may end them."""
        units = [runner.unit for runner in self.graph.runners(wait.function)]
        return all(unit is not None and self._cancels(unit) is not None for unit in units)

    def _cancels(self, unit: Unit) -> Action | None:
        found = (a for o in sorted(unit.handle) for a in self.program.on(o))
        return next((a for a in found if a.does is Does.CANCEL and a.function in self.program.live), None)

    def _end(self, unit: Unit, entry: FunctionId, rescues: list[Use]) -> _End | None:
        """How the unit ends: by itself or, when nobody ever goes through the table, by being cancelled."""
        in_group = any(s.subject is not None and self.program.kind(s.subject) is Kind.GROUP for s in unit.spawns)
        if rescues and (in_group or self._is_watched(unit)):
            return None
        stmts = {(use.function.source, id(use.stmt)) for use in rescues}
        rescuers = [v for use in rescues for v in self.program.versions(use.function)]
        way = self.ends.of(entry, lambda function, node: (function.source, id(node.stmt)) in stmts, rescuers, raising=not in_group)
        if way is not None:
            edge, node = way
            at = getattr(node.stmt, "at", self.program.node(entry).at)
            return _End(entry, at, f"`{unit.name}` may {_ends(edge, node)} here, and tells nobody who is left in the table")
        cancel = self._cancels(unit) if not rescues else None
        if cancel is None:
            return None
        return _End(cancel.function, cancel.at, f"`{unit.name}` is cancelled here, and nobody is told who is left in the table")

    def _is_watched(self, unit: Unit) -> bool:
        """Whether somebody waits for the end of the unit, or is called when it comes."""
        watches = (Does.JOIN, Does.WAIT, Does.BOUND, Does.REGISTER, Does.SHIELD)
        return any(a.does in watches for o in unit.handle for a in self.program.on(o))

    def _leak(self, table: Table, put: Use, wait: Action, answer: Action, unit: Unit, end: _End) -> Leak:
        graph, program = self.graph, self.program
        often = graph.recurrences.of(wait.function)
        start = unit.spawns[0].record if unit.spawns else None
        trace: list[Step] = [graph.step(put.function, put.at or wait.at, f"what is waited for is put into `{table.label}` here")]
        if start is not None:
            trace.append(graph.step(start.function, start.at, f"`{unit.name}` starts here, and only it answers"))
        trace += (
            graph.step(answer.function, answer.at, "it answers one of them here"),
            graph.step(end.function, end.at, end.message),
            graph.step(wait.function, wait.at, "this waits for the answer without a bound"),
        )
        facts = {
            "object": table.label,
            "function": graph.qualname(wait.function),
            "unit": unit.name,
            "growth": grows(graph, often, "waiter", wait.function),
        }
        path = program.path(wait.function.module)
        return Leak(path, wait.at, facts["function"], facts, Confidence.LIKELY, often.growth, tuple(trace), "stranded")


def _ends(edge: Edge, node: Node) -> str:
    return "raise" if edge is Edge.RAISE and not isinstance(node.stmt, ir.Raise) else "end"


def _starters(units: Iterable[Unit]) -> set[FunctionId]:
    return {spawn.record.function for unit in units for spawn in unit.spawns}


def _takes_one(stmt: ir.Stmt) -> bool:
    """Whether a statement takes one entry out, be it any: `table.popleft()`."""
    calls = (one for one in _calls(stmt) if isinstance(one.function, ir.Attribute))
    return any(isinstance(call.function, ir.Attribute) and call.function.name in ("pop", "popleft", "popitem") for call in calls)


def _calls(stmt: ir.Stmt) -> Iterator[ir.Call]:
    match stmt:
        case ir.Bind(value=value) | ir.Evaluate(value=value) | ir.Return(value=ir.Call() as value):
            yield from (one for one in subexpressions(value) if isinstance(one, ir.Call))
        case ir.Branch(test=value) | ir.While(test=value):
            yield from (one for one in subexpressions(value) if isinstance(one, ir.Call))
        case _:
            pass


def _names(expression: ir.Expr, name: str) -> bool:
    return any(isinstance(one, ir.Attribute) and one.name == name for one in subexpressions(expression))
