"""What code outside the project may reach, decided once: functions it may call, objects it may use, and why."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from leaklint import ir
from leaklint.link.closed import is_hidden, main_function
from leaklint.link.decorators import is_transparent, last_word
from leaklint.link.flow.calls import is_inert
from leaklint.link.flow.state import NOTHING, CallRecord, State
from leaklint.link.reasons import Reason, Why
from leaklint.link.values import (
    NO_CONTEXT,
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
    Object,
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


_PUBLIC = Reason(Why.PUBLIC, "it is public")


@dataclass(slots=True)
class Openness:
    """`escaped` gives for an object id the reason why code out of sight may use it; `callable` the functions that such code may
    call, with the reason."""

    escaped: dict[int, Reason] = field(default_factory=dict)
    callable: dict[FunctionId, Reason] = field(default_factory=dict)
    closed_modules: frozenset[int] = frozenset()


def decide(state: State) -> Openness:
    return _Decision(state).run()


class _Decision:
    def __init__(self, state: State) -> None:
        self.state = state
        self.result = Openness()
        self.todo: deque[int] = deque()
        self.touched: set[str] = set()
        self.stubs: dict[tuple[int, int], bool] = {}
        self.by_object: dict[int, list[tuple[str, int]]] | None = None

    def run(self) -> Openness:
        self.result.closed_modules = self.state.contexts.closed
        self._calls()
        self._loads()
        self._functions()
        self._public_state()
        self._outlines()
        self._widened()
        self._spread()
        return self.result

    # --- roots

    def _escape(self, variable: int, reason: Reason) -> None:
        if variable == NOTHING:
            return
        for obj in self.state.solver.points[variable]:
            self._escape_object(obj, reason)

    def _escape_object(self, obj: int, reason: Reason) -> None:
        if obj not in self.result.escaped:
            self.result.escaped[obj] = reason
            self.todo.append(obj)

    def _calls(self) -> None:
        """Arguments of calls that lead out of sight."""
        points = self.state.solver.points
        given = [r for r in self.state.calls if any(a.variable != NOTHING and points[a.variable] for a in r.actuals)]
        leads = [(record, lead) for record in given if (lead := self._lead(record)) is not None]
        paths = [module.path for module in self.state.names.modules]
        for record, (why, text) in sorted(leads, key=lambda one: (paths[one[0].function.module], one[0].at.line, one[0].at.column, one[1])):
            reason = Reason(why, f"{text} ({self._place(record.function, record.at.line)})")
            for actual in record.actuals:
                self._escape(actual.variable, reason)

    def _lead(self, record: CallRecord) -> tuple[Why, str] | None:
        """How what a call is given gets out of sight: to a library, to nobody knows whom, to a stub that any class of others implements."""
        solver = self.state.solver
        unknown = self.state.unknown_calls.get(record.site)
        if unknown:
            names = [name for name in sorted(unknown) if not is_inert(self.state, name)]
            return (Why.PASSED, f"passed to `{names[0]}`") if names else None
        if record.callee == NOTHING or record.callee in solver.widened or not solver.points[record.callee]:
            return Why.UNRESOLVED, "passed to a call that cannot be resolved"
        stub = next((f for f in sorted(self.state.callees.get(record.site, ())) if self._is_stub(f)), None)
        if stub is None:
            return None
        return Why.UNRESOLVED, f"passed to `{self.state.names.function(stub).qualname}`, which others implement"

    def _is_stub(self, function: FunctionId) -> bool:
        found = self.stubs.get(function.source)
        if found is None:
            found = self.stubs[function.source] = self._implements_nothing(function)
        return found

    def _implements_nothing(self, function: FunctionId) -> bool:
        node = self.state.names.function(function)
        if node.owner is None or not all(_says_nothing(stmt) for stmt in node.body):
            return False
        outside = self.state.names.lineage(ClassId(function.module, node.owner))[1]
        words = {base.rpartition(".")[2] for base in outside} | {last_word(decorator) for decorator in node.decorators}
        return not words.isdisjoint({"Protocol", "abstractmethod"})

    def _loads(self) -> None:
        """Attributes used on objects that nobody knows: any object under that name may be meant. An instance that is told apart only when
        it has escaped: see `_instance`."""
        solver = self.state.solver
        for load in self.state.loads:
            if load.base != NOTHING and solver.points[load.base]:
                continue
            if load.value is None:
                self.touched.add(load.name)
            else:
                self._escape(load.value, Reason(Why.STORED, f"stored on an unknown object as `.{load.name}`"))
        for key, variable in solver.keyed().items():
            if isinstance(key, tuple) and key[0] == "attribute" and key[2] in self.touched and not is_apart(solver.objects[key[1]]):
                self._escape(variable, Reason(Why.UNKNOWN_OBJECT, f"`.{key[2]}` is used on an unknown object"))
        for cls in self.state.made:
            generic = self.state.generic.get(cls)
            for _, variable in self._attributes().get(generic, ()) if generic is not None else ():
                self._escape(variable, Reason(Why.MADE_ELSEWHERE, f"code out of sight may make a `{self.state.names.cls(cls).name}` too"))

    def _functions(self) -> None:
        names = self.state.names
        called = {f for callees in self.state.callees.values() for f in callees} | {f for _, f in self.state.accessed}
        for made in self.state.library.values():
            for obj in made.entries:
                called |= set(functions_of(self.state, obj))
        sources = {function.source for function in called}
        for module, node in enumerate(names.modules):
            main = main_function(node)
            if module in self.result.closed_modules and main is not None and not node.summary.starts_program:
                self._open(FunctionId(module, main), Reason(Why.PUBLIC, "it starts the program"))
        paths = [module.path for module in names.modules]
        for function in sorted(self.state.functions, key=lambda f: (paths[f.module], f.index, f.context)):
            written = names.function(function)
            if written.kind != "def":
                continue
            owner = ClassId(function.module, written.owner) if written.owner is not None else None
            hidden = is_hidden(written.name)
            if owner is not None and self._overrides_library(self._class_of(function, owner), written.name):
                self._open(function, Reason(Why.OVERRIDES, "it overrides a method of a library class"))
            elif owner is not None and written.name in self.touched and function.context == NO_CONTEXT:
                self._open(function, Reason(Why.UNKNOWN_OBJECT, f"`.{written.name}` is called on an unknown object"))
            elif function.module in self.result.closed_modules or written.parent:
                pass
            elif function.source not in sources:
                self._open(function, Reason(Why.PUBLIC, "nothing in sight calls it") if hidden else _PUBLIC)
            elif not hidden and function.context == NO_CONTEXT:
                self._open(function, _PUBLIC)

    def _class_of(self, function: FunctionId, owner: ClassId) -> ClassId:
        """The class of the object that a method runs on."""
        value = self.state.solver.objects[function.context]
        return value.cls if isinstance(value, Instance) else owner

    def _overrides_library(self, cls: ClassId, name: str) -> bool:
        """Whether a base outside the project may call the method by its name."""
        outside = [base for base in self.state.names.lineage(cls)[1] if base not in _TRANSPARENT_BASES]
        for base in outside:
            if (described := self.state.models.callbacks.get(base)) is not None:
                if name in (*described.first, *described.again, *described.last):
                    return True
                continue
            model = self.state.models.types.get(base)
            if model is None or (name in model.methods and name != model.entry):
                return True
        return False

    def _open(self, function: FunctionId, reason: Reason) -> None:
        if function in self.result.callable or is_transparent(self.state.names.modules[function.module].summary, function.index):
            return
        self.result.callable[function] = reason
        node = self.state.names.function(function)
        if function.module in self.result.closed_modules and reason is _PUBLIC:
            return
        where = Reason(Why.RETURNED, f"returned from `{node.qualname}`")
        self._escape(self.state.solver.known(("result", *function.source, function.context)), where)
        self._escape(self.state.solver.known(("yields", *function.source, function.context)), where)

    def _public_state(self) -> None:
        """Public attributes and globals of modules that others may import."""
        solver = self.state.solver
        for key, variable in solver.keyed().items():
            if not isinstance(key, tuple):
                continue
            if key[0] == "global" and key[1] not in self.result.closed_modules and not key[2].startswith("_"):
                self._escape(variable, Reason(Why.PUBLIC_NAME, f"`{key[2]}` is a public name of its module"))
            elif key[0] == "attribute" and not str(key[2]).startswith(("_", "()")):
                value = solver.objects[key[1]]
                if isinstance(value, Instance | ClassValue) and value.cls.module not in self.result.closed_modules and not is_apart(value):
                    self._escape(variable, Reason(Why.PUBLIC_ATTRIBUTE, f"`{key[2]}` is a public attribute"))

    def _outlines(self) -> None:
        """Files that are known only in outline: what they import they may use, in ways that were not looked at."""
        names, solver = self.state.names, self.state.solver
        whole: dict[int, Reason] = {}
        for module, node in enumerate(names.modules):
            if not node.summary.is_outline:
                continue
            reason = Reason(Why.IMPORTED, f"imported by {node.path}, which holds no concurrency of its own")
            for source, name in names.imported_names(module):
                if name is None:
                    whole.setdefault(source, reason)
                else:
                    self._escape(solver.known(("global", source, name)), reason)
        for key, variable in solver.keyed().items():
            if not isinstance(key, tuple):
                continue
            if key[0] == "global" and key[1] in whole and not key[2].startswith("_"):
                self._escape(variable, whole[key[1]])
            elif key[0] == "local" and names.modules[key[1]].summary.is_outline:
                self._called_back(FunctionId(key[1], key[2]), key[4], variable)

    def _called_back(self, function: FunctionId, name: str, variable: int) -> None:
        """What can be called and is given to a function of such a file: it may call it."""
        node = self.state.names.function(function)
        if any(p.name == name for p in node.parameters):
            for obj in sorted(self.state.solver.points[variable]):
                if isinstance(self.state.solver.objects[obj], LibraryMethod | FunctionValue | Method | Partial):
                    self._escape_object(obj, Reason(Why.UNRESOLVED, f"given to `{node.qualname}`, which may call it"))

    def _widened(self) -> None:
        """What reaches a variable that can hold anything."""
        solver = self.state.solver
        for obj in sorted(solver.anything()):
            self._escape_object(obj, Reason(Why.WIDENED, "it passes through a variable that can hold anything"))
            if isinstance(solver.objects[obj], Instance):
                for _, attribute in self._attributes().get(obj, ()):
                    self._escape(attribute, Reason(Why.WIDENED, "its owner passes through a variable that can hold anything"))

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
                    for one in state.instances(cls):
                        if not is_apart(solver.objects[one]):
                            self._instance(cls, one, reason)
                case _:
                    pass

    def _instance(self, cls: ClassId, obj: int, reason: Reason) -> None:
        """Whoever has an instance may call its public methods and use its public attributes, and the others that unknown objects have."""
        for one in self.state.names.lineage(cls)[0]:
            for name, method in self.state.names.members(one).items():
                public = not name.startswith("_") or name.startswith("__") or name in self.touched
                if method is not None and public and name != "__init__":
                    self._open(self.state.within(method, obj), reason)
        for key, variable in self._attributes().get(obj, ()):
            if not key.startswith(("_", "()")):
                self._escape(variable, reason)
            elif key in self.touched:
                self._escape(variable, Reason(Why.UNKNOWN_OBJECT, f"`.{key}` is used on an unknown object"))

    def _attributes(self) -> dict[int, list[tuple[str, int]]]:
        if self.by_object is None:
            self.by_object = {}
            for key, variable in self.state.solver.keyed().items():
                if isinstance(key, tuple) and key[0] == "attribute":
                    self.by_object.setdefault(key[1], []).append((str(key[2]), variable))
        return self.by_object

    def _place(self, function: FunctionId, line: int) -> str:
        return f"{self.state.names.modules[function.module].path}:{line}"


def _says_nothing(stmt: ir.Stmt) -> bool:
    """The body of a stub: `...`, or an error that says so."""
    match stmt:
        case ir.Evaluate(value=ir.Constant()):
            return True
        case ir.Raise(exception=ir.Name(id="NotImplementedError") | ir.Call(function=ir.Name(id="NotImplementedError"))):
            return True
        case _:
            return False


def is_apart(value: Object) -> bool:
    """Whether the object is an instance that is told apart from others of its class."""
    return isinstance(value, Instance) and value.site is not None


def functions_of(state: State, obj: int) -> tuple[FunctionId, ...]:
    """The project functions that run when the object is called, awaited or started. Partials may be made of one another."""
    found: list[FunctionId] = []
    seen: set[int] = set()
    todo = [obj]
    while todo:
        one = todo.pop()
        if one in seen:
            continue
        seen.add(one)
        match state.solver.objects[one]:
            case FunctionValue(function=function) | Method(function=function) | Coroutine(function=function) | Generator(function=function):
                found.append(function)
            case Partial():
                inner = state.partials[one]
                variables = inner.formals.get(inner.operation.runs or "", ())
                todo += sorted((o for v in variables for o in state.solver.points[v]), reverse=True)
            case Instance(cls=cls):
                method = state.method(cls, "__call__", one)
                found += [method] if method is not None else []
            case _:
                pass
    return tuple(found)


__all__ = ["Openness", "decide", "functions_of"]
