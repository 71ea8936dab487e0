"""The linked program: every operation with its place and subjects, who calls whom, what runs on its own, what is open."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

from leaklint import ir
from leaklint.catalog.grammar import Does, Kind, Models, TypeModel
from leaklint.link.actions import Action
from leaklint.link.calls import channel, is_inert
from leaklint.link.effects import Effects
from leaklint.link.openness import Openness, functions_of
from leaklint.link.places import Place, places
from leaklint.link.raising import Raising
from leaklint.link.reasons import Reason
from leaklint.link.state import NOTHING, CallRecord, LibraryCall, State
from leaklint.link.units import Unit, units
from leaklint.link.values import (
    NO_CONTEXT,
    ClassId,
    ClassValue,
    Container,
    ContainerMethod,
    Coroutine,
    FunctionId,
    Generator,
    Instance,
    Object,
    Pending,
    Resource,
    Site,
)

Rank: TypeAlias = "tuple[str, int, str | int, str, Rank | tuple[()]]"


@dataclass
class Program:
    """What rules may ask. Object ids are those of the flow; `describe` names them for people."""

    state: State
    openness: Openness
    actions: tuple[Action, ...]
    _by_site: dict[Site, list[Action]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for action in self.actions:
            self._by_site.setdefault(action.site, []).append(action)

    # --- places

    @property
    def models(self) -> Models:
        return self.state.models

    @property
    def modules(self) -> tuple[ir.Module, ...]:
        return tuple(self.state.names.modules)

    def node(self, function: FunctionId) -> ir.Function:
        return self.state.names.function(function)

    def path(self, module: int) -> str:
        return self.state.names.modules[module].path

    def place(self, function: FunctionId, number: int) -> Place | None:
        """Where in its function a site stands."""
        return self._places(function).get(number)

    def _places(self, function: FunctionId) -> dict[int, Place]:
        found = self._place_cache.get(function)
        if found is None:
            found = self._place_cache[function] = places(self.node(function))
        return found

    @cached_property
    def _place_cache(self) -> dict[FunctionId, dict[int, Place]]:
        return {}

    def at(self, site: Site) -> list[Action]:
        """The operations that a call, await, with item or loop may do."""
        return self._by_site.get(site, [])

    def on(self, obj: int) -> list[Action]:
        """The operations that may act on an object, in the order of place."""
        return self._by_subject.get(obj, [])

    @cached_property
    def _by_subject(self) -> dict[int, list[Action]]:
        found: dict[int, list[Action]] = {}
        for action in self.actions:
            for obj in action.subjects:
                found.setdefault(obj, []).append(action)
        return found

    def blocks(self, action: Action) -> bool:
        """Whether the operation can wait without a bound: no timeout of its own, none around it."""
        if action.waits is None or action.bounded:
            return False
        return action.site not in self._bounded_sites and not self._in_scope(action)

    @cached_property
    def _bounded_sites(self) -> frozenset[Site]:
        """Operations whose coroutine is given to one that does not wait for ever (`wait_for(q.get(), 5)`)."""
        bounding = (a for a in self.actions if a.bounded and a.does in (Does.BOUND, Does.WAIT, Does.JOIN))
        return frozenset(v.site for a in bounding for o in a.subjects if isinstance(v := self.value(o), Pending))

    def _in_scope(self, action: Action) -> bool:
        place = self.place(action.function, action.site.number)
        if place is None:
            return False
        items = (item for e in place.around if isinstance(e.stmt, ir.With) and e.block == "body" for item in e.stmt.items)
        return any(self.kind(o) is Kind.SCOPE for item in items for a in self.at(action.function.site(item.site)) for o in a.subjects)

    # --- objects

    def value(self, obj: int) -> Object:
        return self.state.solver.objects[obj]

    def model(self, obj: int) -> TypeModel | None:
        return self.state.model_of(self.value(obj))

    def kind(self, obj: int) -> Kind | None:
        value = self.value(obj)
        if isinstance(value, Resource) and value.part == "channel":
            return Kind.CHANNEL
        model = self.model(obj)
        return model.kind if model is not None else None

    def opened(self, obj: int) -> str | None:
        """Why code out of sight may use the object; None when all who can are known."""
        reason = self.openness.escaped.get(obj)
        return reason.text if reason is not None else None

    def escape(self, obj: int) -> Reason | None:
        """The same with the kind of the reason."""
        return self.openness.escaped.get(obj)

    def holds(self, variable: int) -> frozenset[int]:
        return self.state.solver.held(variable) if variable != NOTHING else frozenset()

    def local_objects(self, function: FunctionId, names: Iterable[str]) -> frozenset[int]:
        """What local variables of a function may hold."""
        keys = (("local", *function.source, function.context, name) for name in names)
        return frozenset(o for key in keys for o in self.holds(self.state.solver.known(key)))

    def sent(self, obj: int) -> frozenset[int]:
        """The objects that were sent to a channel."""
        return self.holds(self.state.solver.known(("element", channel(self.state, obj))))

    def denoted(self, function: FunctionId, expression: ir.Expr) -> frozenset[int]:
        """The objects that a name, or an attribute of a name, may stand for in a function; none where the flow did not look."""
        match expression:
            case ir.Name(id=name):
                around: int | None = function.index
                while around:
                    if found := self.local_objects(function.inner(around), (name,)):
                        return found
                    around = self.node(function.inner(around)).parent
                keys = (("global", function.module, name), ("read", function.module, name))
                return frozenset(o for key in keys for o in self.holds(self.state.solver.known(key)))
            case ir.Attribute(base=base, name=name):
                owners = self.denoted(function, base)
                return frozenset(o for owner in owners for o in self.holds(self.state.solver.known(("attribute", owner, name))))
            case _:
                return frozenset()

    def elements(self, objects: Iterable[int]) -> frozenset[int]:
        """The objects themselves, and what is in those that are containers, at any depth."""
        found: set[int] = set()
        todo = list(objects)
        while todo:
            obj = todo.pop()
            if obj in found:
                continue
            found.add(obj)
            if isinstance(self.value(obj), Container):
                todo += self.holds(self.state.solver.known(("element", obj)))
        return frozenset(found)

    @cached_property
    def names_of(self) -> dict[int, str]:
        """Object id → the name people know it by: `Outbox._rows`, a local's or global's name."""
        ranked: dict[int, tuple[int, str]] = {}
        names = self.state.names
        for key, variable in self.state.solver.keyed().items():
            if not isinstance(key, tuple) or key[0] not in ("attribute", "global", "local"):
                continue
            points = self.state.solver.points[variable]
            if not points:
                continue
            if key[0] == "attribute":
                owner = self.value(key[1])
                if not isinstance(owner, Instance | ClassValue) or key[2].startswith("()"):
                    continue
                label, rank = f"{names.cls(owner.cls).name}.{key[2]}", 0
            elif key[0] == "global":
                label, rank = key[2], 1
            else:
                function = names.modules[key[1]].summary.functions[key[2]]
                label, rank = key[4], 3 if any(p.name == key[4] for p in function.parameters) else 2
            for obj in points:
                if isinstance(self.value(obj), Resource) and (obj not in ranked or (rank, label) < ranked[obj]):
                    ranked[obj] = (rank, label)
        return {obj: label for obj, (_, label) in ranked.items()}

    @cached_property
    def held_for_long(self) -> frozenset[int]:
        """The objects that an attribute, a global or a container may hold: what outlives the function that made them."""
        found: set[int] = set()
        for key, variable in self.state.solver.keyed().items():
            if isinstance(key, tuple) and key[0] in ("attribute", "global", "element", "indexed"):
                found |= self.state.solver.points[variable]
        return frozenset(found)

    @cached_property
    def kept_on_objects(self) -> frozenset[int]:
        """The objects that an attribute or a global may hold, directly or in containers held there."""
        found: set[int] = set()
        for key, variable in self.state.solver.keyed().items():
            if isinstance(key, tuple) and key[0] in ("attribute", "global"):
                found |= self.state.solver.points[variable]
        return self.elements(found)

    @cached_property
    def holders(self) -> dict[int, frozenset[ClassId]]:
        """Object id → the project classes whose attributes, on instances or on the class, hold it, itself or in a container held there."""
        found: dict[int, set[ClassId]] = {}
        for key, variable in self.state.solver.keyed().items():
            if isinstance(key, tuple) and key[0] == "attribute" and not key[2].startswith("()"):
                owner = self.value(key[1])
                if isinstance(owner, Instance | ClassValue):
                    held = self.state.solver.points[variable]
                    inside = (self.holds(self.state.solver.known(("element", o))) for o in held if isinstance(self.value(o), Container))
                    for obj in frozenset(held).union(*inside):
                        found.setdefault(obj, set()).add(owner.cls)
        return {obj: frozenset(classes) for obj, classes in found.items()}

    def class_of(self, function: FunctionId) -> ClassId | None:
        """The class in one of whose methods the code of a function stands."""
        inside: FunctionId | None = function
        while inside is not None and inside.index != 0:
            node = self.node(inside)
            if node.owner is not None:
                return ClassId(inside.module, node.owner)
            inside = inside.inner(node.parent) if node.parent is not None else None
        return None

    def is_flag(self, name: str) -> bool:
        """Whether attributes of this name are set to True or False somewhere: accounts and collections are not."""
        return name in self._flags

    @cached_property
    def _flags(self) -> frozenset[str]:
        return frozenset(load.name for load in self.state.loads if isinstance(load.constant, ir.Constant) and load.constant.kind == "bool")

    def actions_in(self, function: FunctionId) -> list[Action]:
        """The operations that stand in a function."""
        return self._by_function.get(function, [])

    @cached_property
    def _by_function(self) -> dict[FunctionId, list[Action]]:
        found: dict[FunctionId, list[Action]] = {}
        for action in self.actions:
            found.setdefault(action.function, []).append(action)
        return found

    def describe(self, obj: int) -> str:
        found = self.names_of.get(obj)
        if found is not None:
            return found
        value = self.value(obj)
        match value:
            case Resource(type=name, part="channel"):
                return "the stream"
            case Resource(type=name):
                return name.rpartition(".")[2]
            case Instance(cls=cls):
                return self.state.names.cls(cls).name
            case _:
                return type(value).__name__.lower()

    def owner(self, obj: int) -> int | None:
        """The object whose method makes this one, where such objects are told apart."""
        value = self.value(obj)
        context = value.site.context if isinstance(value, Resource | Instance) and value.site is not None else NO_CONTEXT
        return context if isinstance(self.value(context), Instance) else None

    def rank(self, obj: int) -> Rank:
        """A key to sort objects by: by where they are made, whatever their ids."""
        value = self.value(obj)
        owner = self.owner(obj)
        outer = self.rank(owner) if owner is not None else ()
        match value:
            case Resource(type=name, site=site, part=part):
                return (self.path(site.module), site.number, name, part, outer)
            case Instance(cls=cls, site=site):
                return (self.path(cls.module), cls.index, *((site.number, self.path(site.module)) if site is not None else (0, "")), outer)
            case _:
                return (type(value).__name__, obj, "", "", outer)

    def made_at(self, obj: int) -> tuple[FunctionId, ir.Span] | None:
        """Where a resource is made."""
        for call in self.state.constructed.get(obj, ()):
            return call.record.function, call.record.at
        value = self.value(obj)
        if isinstance(value, Resource):
            for call in self.state.at(value.site):
                return call.record.function, call.record.at
        if (record := self.state.made_by.get(obj)) is not None:
            return record.function, record.at
        return None

    # --- who runs what

    def versions(self, function: FunctionId) -> list[FunctionId]:
        """The function on every object that it may run on in this program, itself among them."""
        return self._versions.get(function.source, [])

    @cached_property
    def _versions(self) -> dict[tuple[int, int], list[FunctionId]]:
        found: dict[tuple[int, int], list[FunctionId]] = {}
        for function in sorted(self.live):
            found.setdefault(function.source, []).append(function)
        return found

    @cached_property
    def calls(self) -> dict[FunctionId, frozenset[FunctionId]]:
        """Function → the functions that run as part of it: called, awaited, iterated; not what it spawns."""
        edges: dict[FunctionId, set[FunctionId]] = {}
        state = self.state
        for record in state.calls:
            if record.by is not None:
                continue
            for callee in state.callees.get(record.site, ()):
                node = self.node(callee)
                if not node.is_async and not node.is_generator:
                    edges.setdefault(record.function, set()).add(callee)
        for obj, functions in state.awaits.items():
            value = self.value(obj)
            if isinstance(value, Coroutine | Generator):
                for function in functions:
                    edges.setdefault(function, set()).add(value.function)
        for caller, callee in state.accessed:
            edges.setdefault(caller, set()).add(callee)
        for sites in state.entered.values():
            for site, owner in sites.items():
                edges.setdefault(owner, set()).update(state.callees.get(site, ()))
        for call in state.library.values():
            if call.operation.does in _INLINE:
                for obj in call.entries:
                    edges.setdefault(call.record.function, set()).update(functions_of(state, obj))
        return {caller: frozenset(callees) for caller, callees in edges.items()}

    def entries(self, call: LibraryCall) -> tuple[FunctionId, ...]:
        """The project functions that a library call runs."""
        return tuple(sorted({f for obj in call.entries for f in functions_of(self.state, obj)}))

    def calls_of(self, function: FunctionId) -> list[CallRecord]:
        """The calls in sight that may run the function, or make its coroutine."""
        return self._calls_of.get(function, [])

    @cached_property
    def _calls_of(self) -> dict[FunctionId, list[CallRecord]]:
        found: dict[FunctionId, list[CallRecord]] = {}
        for record in self.state.calls:
            if record.by is None:
                for callee in self.state.callees.get(record.site, ()):
                    found.setdefault(callee, []).append(record)
        return found

    def is_inert(self, site: Site) -> bool:
        """Whether a call only reaches methods of containers and library functions that keep nothing and end soon."""
        if self.state.callees.get(site):
            return False
        names = self.state.unknown_calls.get(site)
        if names is None:
            held = self.holds(self._callee.get(site, NOTHING))
            return bool(held) and all(isinstance(self.value(o), ContainerMethod) for o in held)
        return all(is_inert(self.state, name) for name in names)

    def called(self, site: Site) -> frozenset[int]:
        """The objects that a call may call."""
        return self.holds(self._callee.get(site, NOTHING))

    def arguments(self, site: Site) -> list[int]:
        """The variables of what a call is given."""
        return [actual.variable for record in self._records.get(site, ()) for actual in record.actuals]

    @cached_property
    def _records(self) -> dict[Site, list[CallRecord]]:
        found: dict[Site, list[CallRecord]] = {}
        for record in self.state.calls:
            if record.by is None:
                found.setdefault(record.site, []).append(record)
        return found

    def captured(self, function: FunctionId, site: Site) -> frozenset[int]:
        """What the nested functions that a call of the function starts can see of the function's own variables."""
        nested = {e for a in self.at(site) for e in self.entries(a.call) if e.module == function.module}
        if not any(self.node(e).parent == function.index for e in nested):
            return frozenset()
        keys = (k for k in self.state.solver.keyed() if isinstance(k, tuple) and k[:4] == ("local", *function.source, function.context))
        return frozenset(o for k in keys for o in self.holds(self.state.solver.known(k)))

    def makes_plainly(self, site: Site) -> bool:
        """Whether a call makes an instance of a project class that has no constructor of its own."""
        held = self.holds(self._callee.get(site, NOTHING))
        return bool(held) and all(isinstance(self.value(o), ClassValue) for o in held)

    @cached_property
    def raising(self) -> Raising:
        return Raising(self)

    @cached_property
    def effects(self) -> Effects:
        return Effects(self)

    @cached_property
    def _callee(self) -> dict[Site, int]:
        """Call → the variable that holds what is called."""
        return {record.site: record.callee for record in self.state.calls if record.by is None}

    @cached_property
    def callers(self) -> dict[FunctionId, frozenset[FunctionId]]:
        edges: dict[FunctionId, set[FunctionId]] = {}
        for caller, callees in self.calls.items():
            for callee in callees:
                edges.setdefault(callee, set()).add(caller)
        return {callee: frozenset(callers) for callee, callers in edges.items()}

    @cached_property
    def units(self) -> tuple[Unit, ...]:
        """Everything that is started by the program or by the library for it, in the order of place."""
        return tuple(units(self))

    @cached_property
    def handles(self) -> frozenset[int]:
        """The objects that stand for units: tasks, threads, timers, the futures of jobs."""
        return frozenset(obj for unit in self.units for obj in unit.handle)

    @cached_property
    def entered_by(self) -> dict[FunctionId, tuple[Unit, ...]]:
        """Function → the units that start in it."""
        found: dict[FunctionId, list[Unit]] = {}
        for unit in self.units:
            for entry in unit.entries:
                found.setdefault(entry, []).append(unit)
        return {function: tuple(units) for function, units in found.items()}

    def roots(self, function: FunctionId) -> frozenset[FunctionId]:
        """The functions in which whatever runs this function may have started: entries of units, module bodies, functions that
        outside code may call; the function itself when nothing calls it."""
        found = self._roots.get(function)
        if found is None:
            seen, todo, tops = {function}, [function], set()
            while todo:
                one = todo.pop()
                callers = self.callers.get(one, frozenset())
                if one in self.entered_by or one in self.openness.callable or one.index == 0 or not callers:
                    tops.add(one)
                for caller in callers - seen:
                    seen.add(caller)
                    todo.append(caller)
            found = self._roots[function] = frozenset(tops)
        return found

    @cached_property
    def _roots(self) -> dict[FunctionId, frozenset[FunctionId]]:
        return {}

    def reached(self, entries: Iterable[FunctionId]) -> frozenset[FunctionId]:
        """The entries and every function that runs as part of them."""
        seen = set(entries)
        todo = list(seen)
        while todo:
            for callee in self.calls.get(todo.pop(), frozenset()) - seen:
                seen.add(callee)
                todo.append(callee)
        return frozenset(seen)

    @cached_property
    def live(self) -> frozenset[FunctionId]:
        """The functions that somebody may run: from module bodies, from outside, and in what those start."""
        starts: dict[FunctionId, set[FunctionId]] = {}
        for unit in self.units:
            for spawn in unit.spawns:
                starts.setdefault(spawn.record.function, set()).update(unit.entries)
        for call in self.state.library.values():
            for obj in call.entries:
                if call.operation.does is not Does.MAKE:
                    starts.setdefault(call.record.function, set()).update(functions_of(self.state, obj))
        seen: set[FunctionId] = set()
        todo = [FunctionId(m, 0) for m in range(len(self.modules))] + sorted(self.openness.callable)
        while todo:
            one = todo.pop()
            if one in seen:
                continue
            seen.add(one)
            todo += self.calls.get(one, frozenset())
            todo += starts.get(one, ())
        return frozenset(seen)


_INLINE = frozenset({Does.RUN, Does.BOUND, Does.SHIELD, Does.ENTER, Does.OBSERVE, Does.COPY})
"""Operations that run what they are given here and now, and wait for it."""
