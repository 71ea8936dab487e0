"""Debts kept in attributes of instances: who settles them for good, in the whole program, and which of them nobody does."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from leaklint import ir
from leaklint.catalog.grammar import Does, Kind
from leaklint.exits import ExitKind
from leaklint.exits.loops import lasting
from leaklint.exits.sweeps import Sweeps
from leaklint.exits.ways import names_in
from leaklint.link.actions import Action
from leaklint.link.flow.state import CallRecord
from leaklint.link.reasons import Why
from leaklint.link.syntax import walk
from leaklint.link.units import Unit
from leaklint.link.values import ClassId, FunctionId, Instance, Resource
from leaklint.obligations.debts import Debt, Debts, takes_more
from leaklint.obligations.holdings import Place

UNITS = frozenset({Kind.TASK, Kind.THREAD, Kind.PROCESS, Kind.TIMER})
_NO_END = frozenset({ExitKind.CANCELLED, ExitKind.CONDITION, ExitKind.TIMEOUT, ExitKind.DAEMON})
"""Ways out of a unit that lasts on which it cannot count when its owner is gone: what cancels it makes it again, what it asks of the world
may go on for ever."""
_SHARED = frozenset({Why.PUBLIC_ATTRIBUTE, Why.MADE_ELSEWHERE})
"""Code out of sight may get hold of it, but it was the owner that made it."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An attribute that holds debts, on all the instances that have it. `made`: the calls that make what it holds, by place."""

    name: str
    holders: tuple[Place, ...]
    debts: tuple[Debt, ...]
    made: tuple[CallRecord, ...]

    @property
    def kind(self) -> Kind:
        return self.debts[0].kind

    @property
    def is_instance(self) -> bool:
        """Whether it holds instances of project classes, and not the resources and units themselves."""
        return bool(self.debts[0].teardowns)


class Owned:
    """Answers for one program."""

    def __init__(self, debts: Debts) -> None:
        self.debts = debts
        self.graph = debts.graph
        self.program = debts.program
        self._sweeps = Sweeps(debts.graph)

    @cached_property
    def kept(self) -> tuple[Kept, ...]:
        """The attributes that hold debts, by the place where the first of these is made: one for each class that makes them."""
        groups: dict[tuple[ClassId | None, str], list[tuple[Place, Debt, CallRecord]]] = {}
        places = self.debts.holdings.places
        owing = frozenset(obj for obj in frozenset[int]().union(*places.values()) if self.debts.of(obj) is not None)
        for place, held in places.items():
            for obj in held & owing:
                debt = self.debts.of(obj) if obj != place.owner else None
                for made in self.debts.makers(obj) if debt is not None else ():
                    own = self.debts.holdings.is_made_by(place.owner, made.function)
                    if self.debts.holdings.is_replaced(place.owner, made.function):
                        continue
                    if debt is not None and (own or self._is_bound_by(made, place.name)):
                        groups.setdefault((self.program.class_of(made.function), place.name), []).append((place, debt, made))
        found = [self._kept(name, group) for (_, name), group in groups.items()]
        return tuple(sorted(found, key=lambda kept: (*self._rank(kept.made[0]), kept.name)))

    def _is_bound_by(self, made: CallRecord, name: str) -> bool:
        """Whether the call stands where the attribute gets its value: `stream._reader = create_task(…)`."""
        place = self.program.place(made.function, made.site.number)
        bound = place.stmt.targets if place is not None and isinstance(place.stmt, ir.Bind) else ()
        return any(isinstance(target, ir.Attribute) and target.name == name for target in bound)

    def _kept(self, name: str, group: list[tuple[Place, Debt, CallRecord]]) -> Kept:
        made = {(record.site.module, record.site.number): record for _, _, record in group}
        debts = {debt.obj: debt for _, debt, _ in group}
        return Kept(
            name, tuple(sorted({place for place, _, _ in group})), tuple(debts.values()), tuple(sorted(made.values(), key=self._rank))
        )

    def _rank(self, record: CallRecord) -> tuple[str, int, int]:
        return self.program.path(record.function.module), record.at.line, record.at.column

    def is_open(self, kept: Kept, *, but_attribute: bool = False) -> bool:
        """Whether code out of sight may settle it; `but_attribute`: not where that code only sees the attribute that it is kept in."""
        reasons = [self.program.escape(debt.obj) for debt in kept.debts]
        if any(self._is_used_beyond_model(debt.obj) for debt in kept.debts):
            return True
        return any(reason is not None and not (but_attribute and reason.why in _SHARED) for reason in reasons)

    def _is_used_beyond_model(self, obj: int) -> bool:
        """Whether a library keeps a resource, or something is read of it that its model does not speak of, by which it may be ended too
        (`process.pid`)."""
        if any(obj in self.program.elements(self._given(a)) for a in self._keeping):
            return True
        model = self.program.model(obj)
        if model is None or not isinstance(self.program.value(obj), Resource):
            return False
        known = {*model.methods, *model.attributes, *model.views}
        return any(name not in known for name in self._read_of.get(obj, ()))

    @cached_property
    def _keeping(self) -> tuple[Action, ...]:
        """The operations that only hand something to a library, which keeps it (`set_event_loop`)."""
        return tuple(a for a in self.program.actions if a.does is Does.OBSERVE and a.call.operation.keeps)

    def _given(self, action: Action) -> frozenset[int]:
        return frozenset(o for variable in self.program.arguments(action.site) for o in self.program.holds(variable))

    @cached_property
    def _read_of(self) -> dict[int, set[str]]:
        """Resource → the names of the attributes that are read of it."""
        wanted = {debt.obj for kept in self.kept for debt in kept.debts if isinstance(self.program.value(debt.obj), Resource)}
        found: dict[int, set[str]] = {}
        for load in self.program.state.loads:
            if load.value is None:
                for obj in self.program.holds(load.base) & wanted:
                    found.setdefault(obj, set()).add(load.name)
        return found

    def enders(self, kept: Kept) -> frozenset[FunctionId]:
        """The functions that settle it for good: not those that make it anew."""
        return self._for_good(kept, frozenset(f for debt in kept.debts for f in self.debts.settlers(debt.obj)) | self._sweepers(kept))

    def handlers(self, kept: Kept) -> frozenset[FunctionId]:
        """Those that call its methods, or are methods of its owner: not those that end a unit by the way, for all that they know."""
        handled = frozenset(f for debt in kept.debts for f in self.debts.handlers(debt.obj))
        return self._for_good(kept, handled | self._sweepers(kept)) | self.enders(kept) & self.methods(kept)

    def _sweepers(self, kept: Kept) -> frozenset[FunctionId]:
        """The functions, reached from methods of its owner, that cancel whatever tasks there are."""
        if kept.kind is not Kind.TASK or not self._sweeps.cancelling:
            return frozenset()
        return self._sweeps.cancelling & self.program.reached(self.methods(kept))

    def _for_good(self, kept: Kept, settlers: frozenset[FunctionId]) -> frozenset[FunctionId]:
        methods = {method.source for method in self.methods(kept)}
        makers = self.debts.above(one for record in kept.made for one in self.program.versions(record.function))
        return frozenset(f for f in settlers if f.source not in methods or not self._only_remakes(f, kept, makers))

    def _only_remakes(self, settler: FunctionId, kept: Kept, makers: frozenset[FunctionId]) -> bool:
        """Whether a function settles it to make it anew: nothing that it does after it has made one settles one. `makers`: the functions
        that make it, directly or not. What is entered is left again in due time, by its block or its stack."""
        if any(settler in self.program.state.entered.get(debt.obj, {}).values() for debt in kept.debts):
            return False
        making = [record.site.number for record in kept.made if record.function.source == settler.source]
        for callee in self.program.calls.get(settler, frozenset()) & makers:
            making += self.graph.calls_to(settler, callee)
        return bool(making) and not self._settles_after(settler, making, kept)

    def _settles_after(self, function: FunctionId, making: list[int], kept: Kept) -> bool:
        todo = [target for number in making for node in self.graph.paths(function).of(number) for _, target in node.successors]
        seen: set[int] = set()
        while todo:
            node = todo.pop()
            if id(node) not in seen:
                seen.add(id(node))
                if any(self.debts.settles(function, number, debt.obj) for number in node.sites() for debt in kept.debts):
                    return True
                todo += [target for _, target in node.successors]
        return False

    def ways(self, kept: Kept) -> frozenset[ExitKind]:
        """How the units that it holds come to their ends, if not because their owner ends them."""
        found = {way.kind for unit in self.units(kept) for ending in self.debts.ends.of(unit).found for way in ending.ways}
        if ExitKind.CONDITION in found and (not self._is_held_by_unit(kept) or self._ends_with_its_data(kept)):
            return frozenset(found)
        return frozenset(found - _NO_END)

    def units(self, kept: Kept) -> list[Unit]:
        """The units that it holds itself."""
        return [unit for debt in kept.debts if debt.kind in UNITS for unit in self.debts.ends.units(debt.obj)]

    def _is_held_by_unit(self, kept: Kept) -> bool:
        """Whether its units refer to their owner, which then lasts as long as they: not through a weak reference, which they would test."""
        program, owners = self.program, {place.owner for place in kept.holders}
        for entry in (entry for unit in self.units(kept) for entry in unit.entries):
            around = program.class_of(entry)
            given = program.local_objects(entry, (parameter.name for parameter in program.node(entry).parameters))
            if owners & given or any(around in self._lineage(owner) for owner in owners):
                return True
        return False

    def _ends_with_its_data(self, kept: Kept) -> bool:
        """Whether its units leave their loops by what they have got there, and not by asking other objects how they are."""
        for entry in (entry for unit in self.units(kept) for entry in unit.entries):
            node = self.program.node(entry)
            own = {parameter.name for parameter in node.parameters[:1]}
            for loop in lasting(self.graph, entry):
                for stmt in walk(loop.body):
                    leaves = isinstance(stmt, ir.Branch) and any(isinstance(one, ir.Jump | ir.Return) for one in stmt.body[-1:])
                    if isinstance(stmt, ir.Branch) and leaves and set(names_in(stmt.test)) - own:
                        return True
        return False

    def _lineage(self, owner: int) -> tuple[ClassId, ...]:
        value = self.program.value(owner)
        return self.program.state.names.lineage(value.cls)[0] if isinstance(value, Instance) else ()

    def methods(self, kept: Kept) -> frozenset[FunctionId]:
        """The methods of the instances that have it."""
        return frozenset(f for place in kept.holders for f in self.debts.holdings.methods(place.owner))

    def teardowns(self, kept: Kept) -> list[FunctionId]:
        """The methods that end its owner, by a word of their name; those that do something, and not to what they are given. Whoever is only
        lent it by the one that makes it is not its owner."""
        methods = frozenset(f for place in self._owning(kept) for f in self.debts.holdings.methods(place.owner))
        named = (f for f in methods if _ends_its_owner(self.program.node(f)) and _does_something(self.program.node(f)))
        return sorted(named, key=lambda f: (self.program.node(f).name.startswith("_"), f))

    def _owning(self, kept: Kept) -> list[Place]:
        """Where the instances have it that make it themselves; where none does, all that have it."""
        own = [p for p in kept.holders if any(self.debts.holdings.is_made_by(p.owner, made.function) for made in kept.made)]
        return own or list(kept.holders)

    def label(self, kept: Kept) -> str:
        """The attribute with its class: the one that makes what it holds, or else one that has it."""
        names = self.program.state.names
        makers = [place.owner for place in kept.holders if self.debts.holdings.is_made_by(place.owner, kept.made[0].function)]
        cls = self.program.class_of(kept.made[0].function) if makers else None
        if cls is None:
            value = self.program.value(kept.holders[0].owner)
            assert isinstance(value, Instance)
            cls = value.cls
        return f"{names.cls(cls).name}.{kept.name}"


ENDINGS = frozenset(
    {
        "aclose", "cancel", "cleanup", "close", "disconnect", "dispose", "end", "finish", "kill", "release", "shutdown", "stop", "teardown",
        "terminate", "wait_closed", "__aexit__", "__del__", "__exit__",
    }
)  # fmt: skip
"""Names of methods by which objects are ended."""


def _ends_its_owner(node: ir.Function) -> bool:
    return _is_ending(node.name) and (node.name.startswith("__") or not takes_more(node))


def _is_ending(name: str) -> bool:
    return name in ENDINGS or name.strip("_").partition("_")[0] in ENDINGS


def _does_something(node: ir.Function) -> bool:
    return any(not isinstance(stmt, ir.Raise | ir.Evaluate) or _calls(stmt) for stmt in node.body)


def _calls(stmt: ir.Stmt) -> bool:
    return isinstance(stmt, ir.Evaluate) and isinstance(stmt.value, ir.Call | ir.Await)
