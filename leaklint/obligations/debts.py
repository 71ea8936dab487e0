"""What owes a release, and what settles it.

A resource of a library owes what its model says. A unit that goes on until something happens owes its end. An instance of a project class
that makes such things, and whose methods alone settle them, owes these methods to whoever makes it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from leaklint import ir
from leaklint.catalog.grammar import Does, Kind, UnitKind
from leaklint.exits.leaving import is_finalizer
from leaklint.finding import Step
from leaklint.graph import Graph
from leaklint.link.actions import Action
from leaklint.link.effects import Effect
from leaklint.link.flow.state import CallRecord, LibraryCall
from leaklint.link.reasons import Why
from leaklint.link.units import Unit
from leaklint.link.values import ClassId, ClassValue, FunctionId, Instance, Object, Resource, Site
from leaklint.obligations.ends import Ends, is_end_of_unit
from leaklint.obligations.holdings import Holdings

_SETTLES = frozenset({Effect.CANCELS, Effect.AWAITS, Effect.JOINS, Effect.CLOSES, Effect.RELEASES})
_TAKES = frozenset({Effect.KEEPS, Effect.ESCAPES})
_UNIT_KINDS = {
    UnitKind.TASK: Kind.TASK,
    UnitKind.THREAD: Kind.THREAD,
    UnitKind.PROCESS: Kind.PROCESS,
    UnitKind.TIMER: Kind.TIMER,
    UnitKind.CALLBACK: Kind.TIMER,
}
_BEFORE = frozenset({"__init__", "__new__", "__post_init__"})


@dataclass(frozen=True, slots=True)
class Debt:
    """What one object owes. `kind`: what is owed in the end; of an instance, what it holds. `methods`: the names of the methods, one of
    which is to be called; `teardowns`: the project functions among them (of an instance); `incurred`: of an instance, the methods of which
    each brings the debt about, empty when making the instance does. `collected`: a finalizer settles it too when nobody refers to the
    object any more. `why`: the step that says where it comes from."""

    obj: int
    kind: Kind
    methods: frozenset[str]
    teardowns: frozenset[FunctionId]
    incurred: frozenset[FunctionId]
    collected: bool
    why: Step


class Debts:
    """Answers for one program."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.program = graph.program
        self.ends = Ends(graph)
        self._known: dict[int, Debt | None] = {}
        self._settlers: dict[int, frozenset[FunctionId]] = {}

    @cached_property
    def holdings(self) -> Holdings:
        return Holdings(self.program)

    def of(self, obj: int) -> Debt | None:
        """What an object owes; None when nothing."""
        if obj not in self._known:
            self._known[obj] = None  # what holds itself owes nothing on that account
            self._known[obj] = self._find(obj)
        return self._known[obj]

    # --- who settles

    def settlers(self, obj: int) -> frozenset[FunctionId]:
        """The functions in which an object is settled: where it is handled, and where its unit is told to end."""
        found = self._settlers.get(obj)
        if found is None:
            told = frozenset(f for unit in self.ends.units(obj) for f in self.ends.of(unit).enders)
            found = self._settlers[obj] = self.handlers(obj) | told
        return found

    def handlers(self, obj: int) -> frozenset[FunctionId]:
        """The functions in which a method settles an object: one that is called, or given to somebody who calls it. Those that nobody in
        sight runs are among them: a handler that a registry finds by its name is one."""
        debt = self.of(obj)
        found = {a.function for a in self.program.on(obj) if self.is_settling(a, obj)}
        if self._leaves_owed(obj, debt):
            found |= set(self.program.state.entered.get(obj, {}).values())
        if debt is not None:
            for teardown in debt.teardowns:
                found |= self.program.callers.get(teardown, frozenset()) - debt.teardowns
        return frozenset(found)

    def is_settling(self, action: Action, obj: int) -> bool:
        """Whether an operation on an object gives it back, or is its end."""
        if obj not in action.subjects:
            return False
        model = self.program.model(obj)
        if model is not None and action.method in model.owes:
            return True
        if obj in self.program.handles:
            return is_end_of_unit(action)
        return action.does in (Does.CLOSE, Does.CANCEL)

    def settles(self, function: FunctionId, number: int, obj: int) -> bool:
        """Whether what happens at a place of a function (a call, an await, a `with` item) settles an object: by a method of it, called or
        given to somebody who will; by leaving its block; by a function that is given it, or that does so on the way."""
        program, site = self.program, function.site(number)
        if any(self.is_settling(a, obj) for a in program.at(site)):
            return True
        debt = self.of(obj)
        teardowns = {f.source for f in debt.teardowns} if debt is not None else set()
        called = set(program.state.callees.get(site, ())) | {e for a in program.at(site) for e in program.entries(a.call)}
        if any(f.source in teardowns for f in called):
            return True
        if site in program.state.entered.get(obj, {}) and self._leaves_owed(obj, debt):
            return True
        if program.reached(called) & self.settlers(obj):
            return True
        return bool(self._effects(site, obj) & _SETTLES)

    def hands_over(self, function: FunctionId, number: int, obj: int) -> bool:
        """Whether a call is given an object, or what holds it, and keeps it or lets it out of sight."""
        return bool(self._effects(function.site(number), obj) & _TAKES)

    def _leaves_owed(self, obj: int, debt: Debt | None) -> bool:
        """Whether leaving a `with` block on the object settles it."""
        model = self.program.model(obj)
        if model is not None and model.owes:
            return "__exit__" in model.methods
        return debt is not None and any(self.program.node(f).name in ("__exit__", "__aexit__") for f in debt.teardowns)

    def _effects(self, site: Site, obj: int) -> frozenset[Effect]:
        program, found = self.program, set[Effect]()
        for record in program.effects.records(site):
            for actual in record.actuals:
                if obj in program.elements(program.holds(actual.variable)):
                    found |= program.effects.of_argument(record, actual.variable)
        return frozenset(found)

    # --- what owes

    def _find(self, obj: int) -> Debt | None:
        value = self.program.value(obj)
        if self.program.kind(obj) is not Kind.EXECUTOR and any(_runs_on(unit) for unit in self.ends.units(obj)):
            return self._of_unit(obj)
        if isinstance(value, Resource):
            return self._of_resource(obj)
        if isinstance(value, Instance):
            return self._of_instance(obj)
        return None

    def _of_resource(self, obj: int) -> Debt | None:
        model, made = self.program.model(obj), self.program.made_at(obj)
        if model is None or not model.owes or made is None or self._is_only_looked_up(obj):
            return None
        why = self.graph.step(*made, f"`{self.program.describe(obj)}` is made here")
        return Debt(obj, model.kind, frozenset(model.owes), frozenset(), frozenset(), model.collected, why)

    def _is_only_looked_up(self, obj: int) -> bool:
        """Whether it exists already where the program gets hold of it (`get_running_loop`)."""
        return all(call.operation.does is Does.OBSERVE for call in self._making(obj))

    def _making(self, obj: int) -> list[LibraryCall]:
        value = self.program.value(obj)
        calls = list(self.program.state.constructed.get(obj, ()))
        if not calls and isinstance(value, Resource):
            calls = [call for call in self.program.state.at(value.site) if obj in call.made]
        return calls

    def _of_unit(self, obj: int) -> Debt | None:
        for unit in self.ends.units(obj):
            kind = _UNIT_KINDS.get(unit.kind)
            if kind is not None and unit.made is not None and self._must_be_ended(unit):
                record, model = unit.made.record, self.program.model(obj)
                owes = frozenset(model.owes) if model is not None and model.owes else frozenset({"cancel"})
                why = self.graph.step(record.function, record.at, f"`{unit.name}` is started here and goes on until it is told to end")
                return Debt(obj, kind, owes, frozenset(), frozenset(), False, why)
        return None

    def _must_be_ended(self, unit: Unit) -> bool:
        """Whether it goes on until something happens. What is a daemon ends with the process, and that is meant."""
        if not unit.spawns or not _runs_on(unit) or (unit.daemon and unit.kind is not UnitKind.TASK):
            return False
        return unit.kind is UnitKind.PROCESS or self.ends.of(unit).lasts

    def _of_instance(self, obj: int) -> Debt | None:
        """What an instance has made and nobody but its own methods settles."""
        found: list[Debt] = []
        methods = list(self.holdings.methods(obj))
        for place in self.holdings.of(obj):
            for held in sorted(self.holdings.places[place], key=self.program.rank):
                inner = self.of(held) if held != obj else None
                if inner is None or self.program.opened(held) is not None:
                    continue
                one = self._through(obj, held, inner, methods)
                if one is not None:
                    found.append(one)
        firm = [debt for debt in found if not debt.collected] or found
        if not firm:
            return None
        teardowns = frozenset(t for debt in firm for t in debt.teardowns)
        at_once = any(not debt.incurred for debt in firm)
        incurred = frozenset() if at_once else frozenset(f for debt in firm for f in debt.incurred)
        names = frozenset(self.program.node(t).name for t in teardowns)
        return Debt(obj, firm[0].kind, names, teardowns, incurred, firm[0].collected, firm[0].why)

    def _through(self, owner: int, held: int, inner: Debt, methods: list[FunctionId]) -> Debt | None:
        """What an instance owes on account of one thing that it holds; None when it did not make it, or somebody else settles it."""
        program, own = self.program, frozenset(methods)
        makers = {record.function for record in self.makers(held)}
        if not makers or not all(self.holdings.is_made_by(owner, maker) for maker in makers):
            return None
        settlers = self.settlers(held)
        if not settlers:
            return None
        making = self.above(makers) & own
        teardowns: set[FunctionId] = set()
        for settler in settlers:
            through = self.above([settler]) & own
            if not through:
                return None  # somebody else ends it
            teardowns |= through
        if any(is_finalizer(self.graph, f) or self._runs_by_itself(f) for f in teardowns):
            return None
        teardowns = {f for f in teardowns - making if program.node(f).name not in _BEFORE and self._is_for_others(f, own)}
        if not teardowns:
            return None
        at_once = any(program.node(f).name in _BEFORE for f in making)
        return Debt(
            owner, inner.kind, frozenset(program.node(t).name for t in teardowns), frozenset(teardowns),
            frozenset() if at_once else frozenset(making), inner.collected, inner.why,
        )  # fmt: skip

    def makers(self, obj: int) -> list[CallRecord]:
        """The calls that make an object, those that start its unit included."""
        records = [one.made for unit in self.ends.units(obj) for one in self.ends.started(unit)]
        value = self.program.value(obj)
        records = records or [call.record for call in self._making(obj)]
        if not records and (record := self.program.state.made_by.get(obj)) is not None:
            records = [record]
        return records or self._makers_of_all(value)

    def _makers_of_all(self, value: Object) -> list[CallRecord]:
        """The calls of a class whose instances are not told apart."""
        return self._class_calls.get(value.cls, []) if isinstance(value, Instance) else []

    @cached_property
    def _class_calls(self) -> dict[ClassId, list[CallRecord]]:
        found: dict[ClassId, list[CallRecord]] = {}
        for record in self.program.state.calls:
            for obj in self.program.holds(record.callee):
                if isinstance(value := self.program.value(obj), ClassValue):
                    found.setdefault(value.cls, []).append(record)
        return found

    def _is_for_others(self, function: FunctionId, own: frozenset[FunctionId]) -> bool:
        """Whether a method is there for those who have the instance: by its name, or because they call it."""
        name = self.program.node(function).name
        return not name.startswith("_") or name.endswith("__") or bool(self.program.callers.get(function, frozenset()) - own)

    def _runs_by_itself(self, function: FunctionId) -> bool:
        """Whether a library calls the function of its own accord (a protocol's `connection_lost`, a callback), or a unit starts in it."""
        reason = self.program.openness.callable.get(function)
        overrides = reason is not None and reason.why is Why.OVERRIDES and not self.program.node(function).name.endswith("exit__")
        return overrides or bool(self.program.entered_by.get(function))

    def above(self, functions: Iterable[FunctionId]) -> frozenset[FunctionId]:
        """The functions, and all that run them as part of themselves."""
        seen = set(functions)
        todo = list(seen)
        while todo:
            for caller in self.program.callers.get(todo.pop(), frozenset()) - seen:
                seen.add(caller)
                todo.append(caller)
        return frozenset(seen)


def _runs_on(unit: Unit) -> bool:
    """Whether a unit goes on by itself once it is started; a callback does that only while it is armed."""
    return unit.kind is not UnitKind.CALLBACK or any(spawn.operation.does is Does.ARM for spawn in unit.spawns)


def takes_more(method: ir.Function) -> bool:
    """Whether a method cannot be called without arguments."""
    return any(p.default is None and p.kind in ("positional", "any", "keyword") for p in method.parameters[1:])
