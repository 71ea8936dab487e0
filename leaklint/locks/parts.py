"""What the fields of an object are called where it is made: of `self._feed = Feed(self, self._lock)` the field `_owner` of the feed is
`self`, and its `_guard` is `self._lock`."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from leaklint import ir
from leaklint.graph import Graph
from leaklint.link.flow.calls import field_names
from leaklint.link.flow.state import Load
from leaklint.link.values import ClassId, ClassValue, FunctionId, Instance
from leaklint.locks.terms import Term, Terms

_MAKING = frozenset({"__init__", "__post_init__"})


@dataclass(eq=False)
class Parts:
    """Answers for one program."""

    graph: Graph
    terms: Terms
    _given: dict[ClassId, dict[str, tuple[int, str]]] = field(default_factory=dict)

    def of(self, function: FunctionId, expression: ir.Expr) -> dict[str, Term]:
        """Field of what an expression gives → its name in the function: where the object is made in the expression itself, as the only
        value of a variable, or, by its owner, as the only value of an attribute."""
        match expression:
            case ir.Call():
                return self._made(function, expression)
            case ir.Name(id=name):
                bindings = self.terms.bindings(function)
                value = bindings.values.get(name) if bindings.times[name] == 1 else None
                return self._made(function, value) if isinstance(value, ir.Call) else {}
            case ir.Attribute(base=ir.Name(id=own), name=name) if own == self._self(function):
                return self._kept(function, own, name)
            case _:
                return {}

    def _made(self, function: FunctionId, call: ir.Call) -> dict[str, Term]:
        cls = self._class(function, call)
        if cls is None or any(argument.star for argument in call.arguments):
            return {}
        found: dict[str, Term] = {}
        for name, (position, parameter) in self._fields(cls).items():
            for number, argument in enumerate(call.arguments):
                if argument.keyword == parameter or (argument.keyword is None and number == position):
                    term = self.terms.of(function, argument.value)
                    if term is not None and self._stays(function, term):
                        found[name] = term
        return found

    def _kept(self, function: FunctionId, own: str, name: str) -> dict[str, Term]:
        """The same for an attribute of the function's own object, in words of the method that makes it: these call the object alike."""
        owner = self.graph.program.class_of(function)
        stores = [load for load in self._stores.get(name, ()) if owner is not None and self._may_be(load.base, owner)]
        stores = [load for load in stores if not (isinstance(load.constant, ir.Constant) and load.constant.kind == "none")]
        makers = {(load.function.source, id(load.constant)): load for load in stores}
        if len(makers) != 1:
            return {}
        (store,) = makers.values()
        if not isinstance(store.constant, ir.Call) or self._self(store.function) == "":
            return {}
        scope, made = store.function.source, self._self(store.function)
        terms = self._made(store.function, store.constant)
        return {f: Term(function.source, own, t.steps) for f, t in terms.items() if (t.scope, t.name) == (scope, made)}

    def _stays(self, function: FunctionId, term: Term) -> bool:
        """Whether what a term names is the same for ever: a variable that is bound once, an attribute that only constructors set."""
        if not all(self.terms.is_bound_once(*root) for root in term.roots()) or len(term.steps) > 1:
            return False
        if not term.steps:
            return True
        owner, name = self.graph.program.class_of(function), term.steps[0]
        if owner is None or not isinstance(name, str) or term.name != self._self(function):
            return False
        stores = (load for load in self._stores.get(name, ()) if self._may_be(load.base, owner))
        return all(self.graph.program.node(load.function).name in _MAKING for load in stores)

    def _fields(self, cls: ClassId) -> dict[str, tuple[int, str]]:
        """Field → the position and the name of the parameter of the constructor that it has for ever."""
        found = self._given.get(cls)
        if found is None:
            found = self._given[cls] = self._find_fields(cls)
        return found

    def _find_fields(self, cls: ClassId) -> dict[str, tuple[int, str]]:
        program = self.graph.program
        init = program.state.names.method(cls, "__init__")
        if init is None:
            return {name: (n, name) for n, name in enumerate(field_names(program.state, cls)) if not self._others(cls, name, None)}
        node, bindings = program.node(init), self.terms.bindings(init)
        positions = {p.name: n for n, p in enumerate(node.parameters[1:]) if bindings.times[p.name] == 1}
        own = node.parameters[0].name if node.parameters else ""
        found: dict[str, tuple[int, str]] = {}
        for stmt in node.body:
            match stmt:
                case ir.Bind(targets=(ir.Attribute(base=ir.Name(id=base), name=name),), value=ir.Name(id=given)):
                    if base == own and given in positions and not self._others(cls, name, init):
                        found[name] = (positions[given], given)
                case _:
                    pass
        return found

    def _others(self, cls: ClassId, name: str, init: FunctionId | None) -> bool:
        """Whether anything else sets the field of an object of the class."""
        stores = [load for load in self._stores.get(name, ()) if self._may_be(load.base, cls)]
        here = [load for load in stores if init is not None and load.function.source == init.source]
        return len(here) < len(stores) or len({id(load.constant) for load in here}) > 1

    def _class(self, function: FunctionId, call: ir.Call) -> ClassId | None:
        """The class that a call makes an instance of, where it is one."""
        called = [self.graph.program.value(obj) for obj in self.graph.program.called(function.site(call.site))]
        classes = {value.cls for value in called if isinstance(value, ClassValue)}
        return min(classes) if len(classes) == len(called) == 1 else None

    def _may_be(self, variable: int, cls: ClassId) -> bool:
        program = self.graph.program
        lineage = program.state.names.lineage
        held = (program.value(obj) for obj in program.holds(variable))
        return any(isinstance(v, Instance) and (cls in lineage(v.cls)[0] or v.cls in lineage(cls)[0]) for v in held)

    def _self(self, function: FunctionId) -> str:
        node = self.graph.program.node(function)
        return node.parameters[0].name if node.owner is not None and node.parameters else ""

    @cached_property
    def _stores(self) -> dict[str, list[Load]]:
        """Attribute → where it is set."""
        found: dict[str, list[Load]] = {}
        for load in self.graph.program.state.loads:
            if load.value is not None:
                found.setdefault(load.name, []).append(load)
        return found


def named(own: str, parts: dict[str, Term]) -> dict[str, Term]:
    """The fields of the object that a method runs on, as entries of what its parameters are called: `self._owner`."""
    return {f"{own}.{name}": term for name, term in parts.items()}
