"""What linking gathers while objects flow: calls, library operations, awaits and loads, each with its place."""

from __future__ import annotations

from dataclasses import dataclass, field

from leaklint import ir
from leaklint.catalog.grammar import Models, Operation, TypeModel
from leaklint.link.names import Names
from leaklint.link.solver import NOTHING, Solver
from leaklint.link.values import ClassId, ClassValue, FunctionId, Instance, Object, Resource, Site


@dataclass(frozen=True, slots=True)
class Actual:
    """An actual argument: its variable, with the keyword or the stars it was given with."""

    variable: int
    keyword: str | None = None
    star: int = 0


@dataclass(slots=True, eq=False)
class CallRecord:
    """A call in the program, or the call that a library makes on the program's behalf (`by`)."""

    function: FunctionId
    site: Site
    at: ir.Span
    callee: int
    actuals: tuple[Actual, ...]
    result: int
    node: ir.Call | None = None
    by: LibraryCall | None = None


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
    """An attribute read or, with `value`, written."""

    function: FunctionId
    base: int
    name: str
    value: int | None = None
    constant: ir.Expr | None = None


@dataclass(slots=True)
class State:
    names: Names
    models: Models
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
    unfolded: set[tuple[Site, int]] = field(default_factory=set)
    """(call, partial) pairs already followed."""
    instances: dict[ClassId, int] = field(default_factory=dict)

    sites: dict[Site, list[LibraryCall]] = field(default_factory=dict)

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
        return self.solver.variable(("local", function.module, function.index, name))

    def global_(self, module: int, name: str) -> int:
        return self.solver.variable(("global", module, name))

    def result(self, function: FunctionId) -> int:
        return self.solver.variable(("result", function.module, function.index))

    def yields(self, function: FunctionId) -> int:
        return self.solver.variable(("yields", function.module, function.index))

    def attribute(self, obj: int, name: str) -> int:
        return self.solver.variable(("attribute", obj, name))

    def element(self, obj: int) -> int:
        """What a container, or a channel, holds."""
        return self.solver.variable(("element", obj))

    def outcome(self, obj: int) -> int:
        """What awaiting the object gives."""
        return self.solver.variable(("outcome", obj))

    # --- objects

    def instance(self, cls: ClassId) -> int:
        found = self.instances.get(cls)
        if found is None:
            found = self.instances[cls] = self.solver.identify(Instance(cls))
        return found

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
