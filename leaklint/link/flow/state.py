"""What linking gathers while objects flow: calls, library operations, awaits and loads, each with its place."""

from __future__ import annotations

from dataclasses import dataclass, field

from msgspec import Struct

from leaklint import ir
from leaklint.catalog.grammar import Kind, Models, Operation, TypeModel
from leaklint.link.contexts import Contexts
from leaklint.link.decorators import Binding, binding
from leaklint.link.flow.solver import NOTHING, Solver, Watcher
from leaklint.link.names import Names
from leaklint.link.syntax import outermost
from leaklint.link.values import (
    NO_CONTEXT,
    Called,
    ClassId,
    ClassValue,
    Container,
    FunctionId,
    FunctionValue,
    Instance,
    Library,
    Object,
    Resource,
    Site,
)

DEEPEST = 3
"""Owners of owners that tell instances apart."""


_HANDLES = frozenset({Kind.TASK, Kind.FUTURE, Kind.THREAD, Kind.PROCESS, Kind.TIMER})


class Actual(Struct, frozen=True):
    """An actual argument: its variable, with the keyword or the stars it was given with, and how it is written, where it is."""

    variable: int
    keyword: str | None = None
    star: int = 0
    expression: ir.Expr | None = None
    key: int | str | None = None
    """What it is as a key of a dict, where it is a constant."""


@dataclass(slots=True, eq=False)
class CallRecord:
    """A call in the program, or the call that a library makes on the program's behalf (`by`). A plain function that is called to decorate
    runs in the context of what it decorates (`context`), so that each decorated function has a wrapper of its own."""

    function: FunctionId
    site: Site
    at: ir.Span
    callee: int
    actuals: tuple[Actual, ...]
    result: int
    node: ir.Call | None = None
    by: LibraryCall | None = None
    context: int = NO_CONTEXT


@dataclass(slots=True, eq=False)
class LibraryCall:
    """A modelled operation called at a place. `subject` is the object that a method is bound to; `formals` holds the variables given for
    each parameter name; `entries` collects the project functions, coroutines and operations that it runs; `made` the resource it gave."""

    record: CallRecord
    name: str
    operation: Operation
    subject: int | None
    formals: dict[str, list[int]]
    given: dict[str, ir.Expr]
    entries: set[int] = field(default_factory=set)
    made: set[int] = field(default_factory=set)


@dataclass(slots=True)
class Load:
    """An attribute read, into `target`, or, with `value`, written."""

    function: FunctionId
    base: int
    name: str
    value: int | None = None
    constant: ir.Expr | None = None
    target: int = NOTHING


@dataclass(slots=True)
class State:
    names: Names
    models: Models
    contexts: Contexts
    solver: Solver = field(default_factory=Solver)
    calls: list[CallRecord] = field(default_factory=list)
    callees: dict[Site, set[FunctionId]] = field(default_factory=dict)
    """The project functions that run at a call, here and now (for an async one: whose coroutine the call makes)."""
    library: dict[tuple[Site, str, int | None, int], LibraryCall] = field(default_factory=dict)
    constructed: dict[int, list[LibraryCall]] = field(default_factory=dict)
    """Resource or instance of a thread class → the constructor calls that made it."""
    awaits: dict[int, set[FunctionId]] = field(default_factory=dict)
    """Coroutine, generator or pending operation → the functions that await or iterate it."""
    entered: dict[int, dict[Site, FunctionId]] = field(default_factory=dict)
    """Object → the `with` items that enter it, each with its function."""
    accessed: set[tuple[FunctionId, FunctionId]] = field(default_factory=set)
    """(function, property it reads): calls without a place of their own."""
    loads: list[Load] = field(default_factory=list)
    unknown_calls: dict[Site, set[str]] = field(default_factory=dict)
    """Calls of library names that no model describes."""
    decorated: list[tuple[int, int, int]] = field(default_factory=list)
    """(what is decorated, what the decorator gave, what stands for the name), innermost decorators first."""
    partials: dict[int, LibraryCall] = field(default_factory=dict)
    tuples: dict[int, tuple[str, ...]] = field(default_factory=dict)
    """What `namedtuple` gave → the names of its fields, in their order."""
    unfolded: set[tuple[Site, int]] = field(default_factory=set)
    """(call, partial) pairs already followed."""
    made: dict[ClassId, list[int]] = field(default_factory=dict)
    """Class → its instances that are told apart."""
    made_by: dict[int, CallRecord] = field(default_factory=dict)
    """Each of these → a call that makes it."""
    generic: dict[ClassId, int] = field(default_factory=dict)
    """Class → the one object for all its other instances."""
    awaiting: dict[ClassId, list[Watcher]] = field(default_factory=dict)
    """Class → what is to be done for each instance."""
    functions: dict[FunctionId, None] = field(default_factory=dict)
    """The functions that are part of the program, each in its contexts."""
    unread: list[FunctionId] = field(default_factory=list)
    """Those whose bodies are not constraints yet."""
    unbound: list[tuple[CallRecord, FunctionId]] = field(default_factory=list)
    """Calls of a method through its class, `Base.run(self)`, each with the method."""
    declared: list[tuple[int, str | None, tuple[ClassId, ...]]] = field(default_factory=list)
    """(variable, attribute of what it holds or None for itself, the classes that an annotation names)."""

    sites: dict[Site, list[LibraryCall]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.solver.handles = frozenset(name for name, model in self.models.types.items() if model.kind in _HANDLES)
        self.solver.identify(Library(""))  # nobody's context: the id is NO_CONTEXT

    def remember(self, call: LibraryCall, obj: int | None) -> bool:
        """Keep a library call, once for each place, operation and subject; whether it is new."""
        key = (call.record.site, call.name, obj, call.record.by is not None)
        if key in self.library:
            return False
        self.library[key] = call
        self.sites.setdefault(call.record.site, []).append(call)
        return True

    def at(self, site: Site) -> list[LibraryCall]:
        return self.sites.get(site, [])

    # --- variables

    def local(self, function: FunctionId, name: str) -> int:
        return self.solver.variable(("local", function.module, function.index, function.context, name))

    def global_(self, module: int, name: str) -> int:
        return self.solver.variable(("global", module, name))

    def result(self, function: FunctionId) -> int:
        return self.solver.variable(("result", function.module, function.index, function.context))

    def yields(self, function: FunctionId) -> int:
        return self.solver.variable(("yields", *function.source, function.context))

    def sent(self, function: FunctionId) -> int:
        """What a generator is sent: the value of its `yield`."""
        return self.solver.variable(("sent", *function.source, function.context))

    def attribute(self, obj: int, name: str) -> int:
        return self.solver.variable(("attribute", obj, name))

    def element(self, obj: int) -> int:
        """What a container, or a channel, holds."""
        return self.solver.variable(("element", obj))

    def indexed(self, obj: int, key: int | str) -> int:
        """What a container holds at one index or key."""
        return self.solver.variable(("indexed", obj, key))

    def anywhere(self, obj: int) -> int:
        """What a container may hold at any key. Of a dict that is made with constant keys alone, what is put in by those is not here."""
        if not self.is_record(obj):
            return self.element(obj)
        found = self.solver.known(("anywhere", obj))
        if found == NOTHING:
            found = self.solver.variable(("anywhere", obj))
            self.solver.copy(found, self.element(obj))
        return found

    def is_record(self, obj: int) -> bool:
        """Whether what is under one key is told from what is under another: dicts made with constant keys, project classes of dicts."""
        value = self.solver.objects[obj]
        return isinstance(value, Instance) or (isinstance(value, Container) and value.is_record)

    def put_at(self, obj: int, key: int | str, value: int) -> None:
        """obj[key] ⊇ value, for a constant key."""
        self.solver.copy(value, self.indexed(obj, key))
        self.solver.copy(value, self.element(obj))

    def outcome(self, obj: int) -> int:
        """What awaiting the object gives."""
        return self.solver.variable(("outcome", obj))

    # --- objects

    def instance(self, cls: ClassId) -> int:
        """All instances that are not told apart."""
        found = self.generic.get(cls)
        if found is None:
            found = self.generic[cls] = self.solver.identify(Instance(cls))
            self._enlist(cls, found)
        return found

    def for_each(self, cls: ClassId, watcher: Watcher) -> None:
        """Call the watcher for each instance of the class and of those below it, now or when it is made."""
        self.awaiting.setdefault(cls, []).append(watcher)
        for one in (cls, *self.names.below(cls)):
            for obj in (*([self.generic[one]] if one in self.generic else ()), *self.made.get(one, ())):
                watcher(obj)

    def _enlist(self, cls: ClassId, obj: int) -> None:
        for one in self.names.lineage(cls)[0]:
            for watcher in self.awaiting.get(one, ()):
                watcher(obj)

    def make(self, cls: ClassId, record: CallRecord) -> int:
        """The instance that a call makes."""
        maker = self.contexts.maker(cls, self._shallow(record.site, cls)) if record.by is None else None
        if maker is None:
            return self.instance(cls)
        value = Instance(cls, maker)
        found = self.solver.identify(value)
        known = self.made.setdefault(cls, [])
        if found not in known:
            known.append(found)
            self.made_by[found] = record
            self._enlist(cls, found)
            for name in dict.fromkeys(n for one in self.names.lineage(cls)[0] for n in self.names.members(one)):
                self.method(cls, name, found)
        return found

    def _shallow(self, site: Site, cls: ClassId | None = None) -> Site:
        """The site without its context when the class, or the site, is already in it: a tree of nodes is one node below the second."""
        context = site.context
        for _ in range(DEEPEST):
            if context == NO_CONTEXT:
                return site
            match self.solver.objects[context]:
                case Instance(cls=other, site=Site() as outer) if other != cls:
                    context = outer.context
                case Called(site=outer) if (outer.module, outer.number) != (site.module, site.number):
                    context = outer.context
                case FunctionValue(function=function):
                    context = function.context
                case _:
                    break
        return Site(site.module, site.number) if context != NO_CONTEXT else site

    def called(self, function: FunctionId, record: CallRecord) -> FunctionId:
        """A plain function as a call runs it: a factory in the context of the call, a decorator in that of what it decorates."""
        node = self.names.function(function)
        if function.context != NO_CONTEXT or node.owner is not None or node.parent or self.contexts.is_fixed(*function.source):
            return function
        context = record.context
        if record.by is None and self.contexts.is_told_apart(function, record.site):
            again = self._running(function, record.site.context)
            context = self.solver.identify(Called(self._shallow(record.site))) if again == NO_CONTEXT else again
        return self.want(FunctionId(*function.source, context))

    def _running(self, factory: FunctionId, context: int) -> int:
        """The context in which a call that is under way runs the factory: what calls itself runs on in it."""
        for _ in range(DEEPEST):
            if context == NO_CONTEXT:
                break
            match self.solver.objects[context]:
                case Called(site=site) if self.contexts.is_told_apart(factory, site):
                    return context
                case Called(site=site) | Instance(site=Site() as site):
                    context = site.context
                case FunctionValue(function=function):
                    context = function.context
                case _:
                    break
        return NO_CONTEXT

    def instances(self, cls: ClassId) -> list[int]:
        """Every object that stands for instances of the class."""
        found = list(self.made.get(cls, ()))
        return found if self.contexts.is_whole(cls) and cls not in self.generic else [self.instance(cls), *found]

    # --- functions

    def want(self, function: FunctionId) -> FunctionId:
        """The function is part of the program."""
        outer = outermost(self.names.modules[function.module].summary.functions, function.index)
        whole = function if outer == function.index else function.inner(outer)
        if whole not in self.functions:
            self.functions[whole] = None
            self.unread.append(whole)
        return function

    def within(self, function: FunctionId, receiver: int) -> FunctionId:
        """The function as it runs on an object: a method in the object's context, anything else as it is."""
        value, node = self.solver.objects[receiver], self.names.function(function)
        if node.owner is None or binding(node) in (Binding.STATIC, Binding.CLASS):
            return self.want(function)
        is_apart = isinstance(value, Instance) and value.site is not None
        fixed = not is_apart or node.parent or self.contexts.is_fixed(*function.source)
        return self.want(FunctionId(*function.source, NO_CONTEXT if fixed else receiver))

    def method(self, cls: ClassId, name: str, receiver: int) -> FunctionId | None:
        """The method that the class has under this name, as it runs on the object."""
        found = self.names.method(cls, name)
        return self.within(found, receiver) if found is not None else None

    def class_value(self, cls: ClassId) -> int:
        return self.solver.identify(ClassValue(cls))

    def model_of(self, value: Object) -> TypeModel | None:
        """The model of a resource, or of the library class that an instance's class derives from."""
        match value:
            case Resource(type=name):
                return self.models.types.get(name)
            case Instance(cls=cls):
                return next((m for name in self.names.lineage(cls)[1] if (m := self.models.types.get(name)) is not None), None)
            case _:
                return None


__all__ = ["NOTHING", "Actual", "CallRecord", "LibraryCall", "Load", "State"]
