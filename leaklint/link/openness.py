"""What code outside the project may reach, decided once: functions it may call, objects it may use, and why."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from leaklint import ir
from leaklint.link.calls import is_inert
from leaklint.link.decorators import is_transparent
from leaklint.link.state import NOTHING, State
from leaklint.link.values import (
    ClassId,
    ClassValue,
    Container,
    Coroutine,
    FunctionId,
    FunctionValue,
    Generator,
    Instance,
    LibraryMethod,
    Method,
    Partial,
    Pending,
    Resource,
)

_TRANSPARENT_BASES = frozenset(
    {
        "object", "Exception", "BaseException", "abc.ABC", "typing.Protocol", "typing_extensions.Protocol", "typing.Generic", "Generic",
        "typing.NamedTuple", "typing.TypedDict", "typing_extensions.TypedDict", "enum.Enum", "enum.IntEnum", "enum.StrEnum", "enum.Flag",
        "enum.IntFlag", "str", "int", "dict", "list", "set", "tuple", "ValueError", "RuntimeError", "OSError", "ConnectionError",
    }
)  # fmt: skip
"""Bases of the language that call no methods of their subclasses on their own."""


@dataclass(slots=True)
class Openness:
    """`escaped` gives for an object id the reason why code out of sight may use it; `callable` the functions that such code may
    call, with the reason."""

    escaped: dict[int, str] = field(default_factory=dict)
    callable: dict[FunctionId, str] = field(default_factory=dict)
    closed_modules: frozenset[int] = frozenset()


def decide(state: State) -> Openness:
    return _Decision(state).run()


class _Decision:
    def __init__(self, state: State) -> None:
        self.state = state
        self.result = Openness()
        self.todo: deque[int] = deque()
        self.touched: set[str] = set()
        self.by_object: dict[int, list[tuple[str, int]]] | None = None

    def run(self) -> Openness:
        self.result.closed_modules = _closed_modules(self.state)
        self._calls()
        self._loads()
        self._functions()
        self._public_state()
        self._outlines()
        self._widened()
        self._spread()
        return self.result

    # --- roots

    def _escape(self, variable: int, reason: str) -> None:
        if variable == NOTHING:
            return
        for obj in self.state.solver.points[variable]:
            self._escape_object(obj, reason)

    def _escape_object(self, obj: int, reason: str) -> None:
        if obj not in self.result.escaped:
            self.result.escaped[obj] = reason
            self.todo.append(obj)

    def _calls(self) -> None:
        """Arguments of calls that lead out of sight."""
        solver = self.state.solver
        for record in self.state.calls:
            if not record.actuals:
                continue
            callees = solver.points[record.callee] if record.callee != NOTHING and record.callee not in solver.overflow else ()
            unknown = self.state.unknown_calls.get(record.site)
            if callees and not unknown:
                continue
            names = [name for name in sorted(unknown or ()) if not is_inert(self.state, name)]
            if unknown and not names:
                continue
            reason = f"passed to `{names[0]}`" if names else "passed to a call that cannot be resolved"
            for actual in record.actuals:
                self._escape(actual.variable, f"{reason} ({self._place(record.function, record.at.line)})")

    def _loads(self) -> None:
        """Attributes used on objects that nobody knows: any object under that name may be meant."""
        solver = self.state.solver
        for load in self.state.loads:
            if load.base != NOTHING and solver.points[load.base]:
                continue
            if load.value is None:
                self.touched.add(load.name)
            else:
                self._escape(load.value, f"stored on an unknown object as `.{load.name}`")
        for key, variable in list(solver.keyed().items()):
            if isinstance(key, tuple) and key[0] == "attribute" and key[2] in self.touched:
                self._escape(variable, f"`.{key[2]}` is used on an unknown object")

    def _functions(self) -> None:
        names = self.state.names
        called = {f for callees in self.state.callees.values() for f in callees} | {f for _, f in self.state.accessed}
        for made in self.state.library.values():
            for obj in made.entries:
                called |= set(functions_of(self.state, obj))
        for module, node in enumerate(names.modules):
            closed = module in self.result.closed_modules
            main = _main(node)
            if closed and main is not None and not node.summary.starts_program:
                self._open(FunctionId(module, main), "it starts the program")
            for index, function in enumerate(node.summary.functions):
                if function.kind != "def":
                    continue
                identity = FunctionId(module, index)
                owner = ClassId(module, function.owner) if function.owner is not None else None
                nested = function.parent not in (0, None)
                hidden = function.name.startswith("_") and not function.name.startswith("__")
                if owner is not None and self._overrides_library(owner, function.name):
                    self._open(identity, "it overrides a method of a library class")
                elif function.name in self.touched and owner is not None:
                    self._open(identity, f"`.{function.name}` is called on an unknown object")
                elif not closed and not nested and (not hidden or identity not in called):
                    self._open(identity, "it is public" if not hidden else "nothing in sight calls it")

    def _overrides_library(self, cls: ClassId, name: str) -> bool:
        """Whether a base outside the project may call the method by its name."""
        outside = [base for base in self.state.names.lineage(cls)[1] if base not in _TRANSPARENT_BASES]
        for base in outside:
            model = self.state.models.types.get(base)
            if model is None or (name in model.methods and name != model.entry):
                return True
        return False

    def _open(self, function: FunctionId, reason: str) -> None:
        if function in self.result.callable or is_transparent(self.state.names.modules[function.module].summary, function.index):
            return
        self.result.callable[function] = reason
        node = self.state.names.function(function)
        if function.module in self.result.closed_modules and reason.startswith("it is public"):
            return
        where = f"returned from `{node.qualname}`"
        self._escape(self.state.solver.known(("result", function.module, function.index)), where)
        self._escape(self.state.solver.known(("yields", function.module, function.index)), where)

    def _public_state(self) -> None:
        """Public attributes and globals of modules that others may import."""
        solver = self.state.solver
        for key, variable in list(solver.keyed().items()):
            if not isinstance(key, tuple):
                continue
            if key[0] == "global" and key[1] not in self.result.closed_modules and not key[2].startswith("_"):
                self._escape(variable, f"`{key[2]}` is a public name of its module")
            elif key[0] == "attribute" and not str(key[2]).startswith(("_", "()")):
                value = solver.objects[key[1]]
                if isinstance(value, Instance | ClassValue) and value.cls.module not in self.result.closed_modules:
                    self._escape(variable, f"`{key[2]}` is a public attribute")

    def _outlines(self) -> None:
        """Files that are known only in outline: what they import they may use, in ways that were not looked at."""
        names, solver = self.state.names, self.state.solver
        whole: dict[int, str] = {}
        for module, node in enumerate(names.modules):
            if not node.summary.is_outline:
                continue
            reason = f"imported by {node.path}, which holds no concurrency of its own"
            for source, name in names.imported_names(module):
                if name is None:
                    whole.setdefault(source, reason)
                else:
                    self._escape(solver.known(("global", source, name)), reason)
        for key, variable in list(solver.keyed().items()):
            if isinstance(key, tuple) and key[0] == "global" and key[1] in whole and not key[2].startswith("_"):
                self._escape(variable, whole[key[1]])

    def _widened(self) -> None:
        """What reaches a variable that can hold anything."""
        solver = self.state.solver
        anything = {obj for variable, rest in solver.overflow.items() for obj in solver.points[variable] | rest}
        for obj in sorted(anything):
            self._escape_object(obj, "it passes through a variable that can hold anything")
            if isinstance(solver.objects[obj], Instance):
                for _, attribute in self._attributes().get(obj, ()):
                    self._escape(attribute, "its owner passes through a variable that can hold anything")

    # --- what escapes with it

    def _spread(self) -> None:
        state, solver = self.state, self.state.solver
        while self.todo:
            obj = self.todo.popleft()
            reason = self.result.escaped[obj]
            match solver.objects[obj]:
                case FunctionValue(function=function) | Method(function=function):
                    self._open(function, reason)
                case Coroutine(function=function) | Generator(function=function):
                    self._open(function, reason)
                case LibraryMethod(subject=subject):
                    self._escape_object(subject, reason)
                case Partial():
                    inner = state.partials[obj]
                    for variables in inner.formals.values():
                        for variable in variables:
                            self._escape(variable, reason)
                case Pending(site=site):
                    for call in state.at(site):
                        for variable in call.formals.get("()subjects", ()):
                            self._escape(variable, reason)
                case Container() | Resource():
                    self._escape(solver.known(("element", obj)), reason)
                case Instance(cls=cls):
                    self._instance(cls, obj, reason)
                case ClassValue(cls=cls):
                    self._instance(cls, state.instance(cls), reason)
                case _:
                    pass

    def _instance(self, cls: ClassId, obj: int, reason: str) -> None:
        """Whoever has an instance may call its public methods and use its public attributes."""
        for one in self.state.names.lineage(cls)[0]:
            for name, method in self.state.names.members(one).items():
                if method is not None and (not name.startswith("_") or name.startswith("__")) and name != "__init__":
                    self._open(method, reason)
        for key, variable in self._attributes().get(obj, ()):
            if not key.startswith(("_", "()")):
                self._escape(variable, reason)

    def _attributes(self) -> dict[int, list[tuple[str, int]]]:
        if self.by_object is None:
            self.by_object = {}
            for key, variable in self.state.solver.keyed().items():
                if isinstance(key, tuple) and key[0] == "attribute":
                    self.by_object.setdefault(key[1], []).append((str(key[2]), variable))
        return self.by_object

    def _place(self, function: FunctionId, line: int) -> str:
        return f"{self.state.names.modules[function.module].path}:{line}"


def functions_of(state: State, obj: int) -> tuple[FunctionId, ...]:
    """The project functions that run when the object is called, awaited or started."""
    match state.solver.objects[obj]:
        case FunctionValue(function=function) | Method(function=function) | Coroutine(function=function) | Generator(function=function):
            return (function,)
        case Partial():
            inner = state.partials[obj]
            variables = inner.formals.get(inner.operation.runs or "", ())
            return tuple(f for v in variables for o in sorted(state.solver.points[v]) if o != obj for f in functions_of(state, o))
        case Instance(cls=cls):
            method = state.names.method(cls, "__call__")
            return (method,) if method is not None else ()
        case _:
            return ()


def _main(module: ir.Module) -> int | None:
    """The index of a top-level function called `main`."""
    functions = enumerate(module.summary.functions)
    return next((i for i, f in functions if f.name == "main" and f.parent == 0 and f.owner is None), None)


def _closed_modules(state: State) -> frozenset[int]:
    """The modules of programs that are all in sight: scripts (a `__main__` guard or a `main`, outside any package) and the project modules
    outside packages that they import, directly or not. Nobody else uses what these define."""
    names = state.names
    modules = names.modules
    lone = {i for i, m in enumerate(modules) if "." not in m.name and not m.is_package}
    todo = [i for i in lone if modules[i].summary.starts_program or _main(modules[i]) is not None]
    closed: set[int] = set()
    while todo:
        module = todo.pop()
        if module in closed:
            continue
        closed.add(module)
        for imported in names.imports(module):
            if imported in lone:
                todo.append(imported)
    return frozenset(closed)


__all__ = ["Openness", "decide", "functions_of"]
