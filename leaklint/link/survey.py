"""What the calls of a project say as they are written: who makes instances of which class, who calls which factory."""

from __future__ import annotations

from collections.abc import Iterator

from leaklint import ir
from leaklint.catalog.grammar import Does, Kind, Makes, Models
from leaklint.link.names import Names
from leaklint.link.syntax import expressions, outermost, subexpressions, walk
from leaklint.link.values import ClassId, FunctionId

Place = tuple[int, int]
"""A call: its module and site number. A function: its module and index."""


class Survey:
    """`made`: call → the class that it makes an instance of; `places`: class → for each such call the class, or the plain function,
    whose body holds it; `users`: the classes whose methods use words of concurrency; `asked`: method name → the classes that call it on
    what their attributes hold; `called`: call → the factory that it calls;
    `calls`: how many calls a factory has. A factory is a plain function that makes or starts something and returns a value.
    `decorated`: how many functions a plain function decorates."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.made: dict[Place, ClassId] = {}
        self.places: dict[ClassId, list[ClassId | Place | None]] = {}
        self.users: set[ClassId] = set()
        self.asked: dict[str, set[ClassId]] = {}
        self.called: dict[Place, Place] = {}
        self.calls: dict[Place, int] = {}
        self.decorated: dict[Place, int] = {}
        self._classes = {cls.name for module in names.modules for cls in module.summary.classes if not cls.parent}
        self._words, self._starters = _words(names.models), _starters(names.models)
        factories = dict(self._factories())
        self._factory_names = {names.modules[module].summary.functions[index].name for module, index in factories}
        for number, module in enumerate(names.modules):
            self._module(number, module.summary, factories)

    def _factories(self) -> Iterator[tuple[Place, None]]:
        for number, module in enumerate(self.names.modules):
            for index, function in enumerate(module.summary.functions):
                plain = function.parent == 0 and function.owner is None and function.kind == "def" and not function.decorators
                if plain and self._is_factory(function):
                    yield (number, index), None

    def _is_factory(self, function: ir.Function) -> bool:
        gives = function.is_generator or any(isinstance(stmt, ir.Return) and stmt.value is not None for stmt in walk(function.body))
        return gives and any(_word(call.function) in self._starters for call in calls_in(function.body))

    def _module(self, number: int, summary: ir.Summary, factories: dict[Place, None]) -> None:
        known: dict[ir.Expr, object] = {}
        for index, function in enumerate(summary.functions):
            top = outermost(summary.functions, index)
            outer = summary.functions[top]
            holder: ClassId | Place | None = None
            if outer.owner is None:
                holder = (number, top)
            elif not summary.classes[outer.owner].parent:
                holder = ClassId(number, outer.owner)
            for call in calls_in(function.body):
                self._call(number, call, holder, known, factories)
            for decorator in function.decorators:
                self._decorator(number, decorator.function if isinstance(decorator, ir.Call) else decorator, known)
        for index, cls in enumerate(summary.classes):
            for call in calls_in(cls.body):
                self._call(number, call, ClassId(number, index), known, factories)

    def _decorator(self, module: int, name: ir.Expr, known: dict[ir.Expr, object]) -> None:
        if name not in known:
            known[name] = self.names.resolve(module, name)
        if isinstance(found := known[name], FunctionId):
            self.decorated[found.source] = self.decorated.get(found.source, 0) + 1

    def _call(
        self, module: int, call: ir.Call, holder: ClassId | Place | None, known: dict[ir.Expr, object], factories: dict[Place, None]
    ) -> None:
        name, word = call.function, _word(call.function)
        bare = word in _SHARED and not any(a.keyword is None for a in call.arguments)
        told = bare or word in self._words or any(_word(a.value) in self._words for a in call.arguments)  # field(factory=Queue)
        if told and isinstance(holder, ClassId):
            self.users.add(holder)
        elif isinstance(holder, ClassId) and isinstance(name, ir.Attribute) and _is_own(name.base) and word not in _PLAIN:
            self.asked.setdefault(word, set()).add(holder)
        if word not in self._classes and word not in self._factory_names:
            return
        if name not in known:
            known[name] = self.names.resolve(module, name)
        match known[name]:
            case ClassId() as cls:
                self.made[module, call.site] = cls
                self.places.setdefault(cls, []).append(holder)
            case FunctionId(source=source) if source in factories:
                self.called[module, call.site] = source
                self.calls[source] = self.calls.get(source, 0) + 1


_SHARED = frozenset({"get", "join", "close"})
"""Words of queues and threads that dicts, strings and files use too; without an argument they speak of concurrency."""
_TELLING = frozenset(
    {Does.SEND, Does.RECEIVE, Does.DRAIN, Does.SPAWN, Does.CANCEL, Does.ACQUIRE, Does.RELEASE, Does.ARM, Does.SUBMIT, Does.SIGNAL}
)
_STARTING = frozenset({Does.SPAWN, Does.ARM, Does.SUBMIT})
_PLAIN = frozenset({*dir(dict), *dir(list), *dir(str), *dir(set), "send", "write", "read", "set", "close", "start", "run", "open"})


def _words(models: Models) -> frozenset[str]:
    """The last words of what makes or works on the resources of concurrency; not those that much else uses."""
    return _named(models, _TELLING)


def _starters(models: Models) -> frozenset[str]:
    """The last words of what makes resources or starts units."""
    return _named(models, _STARTING)


def _named(models: Models, telling: frozenset[Does]) -> frozenset[str]:
    found = {name.rpartition(".")[2] for name, model in models.types.items() if model.kind not in (Kind.VALUE, Kind.STACK)}
    for name, operation in models.functions.items():
        if operation.does in telling or operation.makes is Makes.PAIR:
            found.add(name.rpartition(".")[2])
    found |= {name for model in models.types.values() for name, operation in model.methods.items() if operation.does in telling}
    return frozenset(found) - _PLAIN


def _word(expression: ir.Expr) -> str:
    match expression:
        case ir.Name(id=word) | ir.Attribute(name=word):
            return word
        case _:
            return ""


def _is_own(base: ir.Expr) -> bool:
    return isinstance(base, ir.Attribute) and base.base == ir.Name("self")


def calls_in(body: tuple[ir.Stmt, ...]) -> Iterator[ir.Call]:
    for stmt in walk(body):
        for expression in expressions(stmt):
            for part in subexpressions(expression):
                if isinstance(part, ir.Call):
                    yield part
