"""What the linked program knows of places and objects: which operations happen where and to what, what holds what, what is open."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

from leaklint import ir
from leaklint.catalog.grammar import Does, Kind, Models, TypeModel
from leaklint.link.actions import Action
from leaklint.link.flow.calls import channel
from leaklint.link.flow.state import NOTHING, State
from leaklint.link.inlining import Through
from leaklint.link.openness import Openness
from leaklint.link.places import Place, places
from leaklint.link.reasons import Reason
from leaklint.link.values import (
    NO_CONTEXT,
    ClassId,
    ClassValue,
    Container,
    FunctionId,
    Instance,
    Object,
    Pending,
    Resource,
    Site,
)

_MOST_KINDS = 4
"""A variable that holds things of more kinds than these is taken for one that may hold anything."""

Rank: TypeAlias = "tuple[str, int, str, str, Rank | tuple[()]]"


@dataclass
class Objects:
    """Places, objects and what is done to them. Object ids are those of the flow; `describe` names them for people."""

    state: State
    openness: Openness
    actions: tuple[Action, ...]
    through: Through
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
        return action.site not in self._bounded_sites and not self.in_scope(action.function, action.site.number)

    @cached_property
    def _bounded_sites(self) -> frozenset[Site]:
        """Operations whose coroutine is given to one that does not wait for ever (`wait_for(q.get(), 5)`)."""
        bounding = (a for a in self.actions if a.bounded and a.does in (Does.BOUND, Does.WAIT, Does.JOIN))
        return frozenset(v.site for a in bounding for o in a.subjects if isinstance(v := self.value(o), Pending))

    def in_scope(self, function: FunctionId, number: int) -> bool:
        """Whether a site of a function stands in a block that is left after a time, or when somebody says so."""
        place = self.place(function, number)
        if place is None:
            return False
        items = (item for e in place.around if isinstance(e.stmt, ir.With) and e.block == "body" for item in e.stmt.items)
        return any(self.kind(o) is Kind.SCOPE for item in items for a in self.at(function.site(item.site)) for o in a.subjects)

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
            found = [obj for obj in points if isinstance(self.value(obj), Resource)]
            rank += 4 if found and self._is_mixed(points) else 0
            for obj in found:
                if obj not in ranked or (rank, label) < ranked[obj]:
                    ranked[obj] = (rank, label)
        return {obj: label for obj, (_, label) in ranked.items()}

    def _is_mixed(self, points: Collection[int]) -> bool:
        """Whether a variable holds things of so many kinds that its name says nothing of any of them."""
        values = map(self.value, points)
        kinds = {v.type if isinstance(v, Resource) else v.cls if isinstance(v, Instance | ClassValue) else type(v) for v in values}
        return len(kinds) > _MOST_KINDS

    @cached_property
    def held_for_long(self) -> frozenset[int]:
        """The objects that an attribute, a global or a container may hold: what outlives the function that made them."""
        found: set[int] = set()
        for key, variable in self.state.solver.keyed().items():
            if isinstance(key, tuple) and key[0] in ("attribute", "global", "element", "indexed"):
                found |= self.state.solver.points[variable]
        return frozenset(found)

    @cached_property
    def in_containers(self) -> frozenset[int]:
        """The objects that a container may hold."""
        found: set[int] = set()
        for key, variable in self.state.solver.keyed().items():
            if isinstance(key, tuple) and key[0] in ("element", "indexed"):
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
                return (
                    self.path(cls.module),
                    cls.index,
                    *((f"{site.number:09}", self.path(site.module)) if site is not None else ("", "")),
                    outer,
                )
            case _:
                return (type(value).__name__, obj, "", "", outer)

    def made_at(self, obj: int) -> tuple[FunctionId, ir.Span] | None:
        """Where a resource is made: an instance of a project class where that class is called."""
        if isinstance(self.value(obj), Instance) and (record := self.state.made_by.get(obj)) is not None:
            return record.function, record.at
        for call in self.state.constructed.get(obj, ()):
            return call.record.function, call.record.at
        value = self.value(obj)
        if isinstance(value, Resource):
            for call in self.state.at(value.site):
                return call.record.function, call.record.at
        return None
