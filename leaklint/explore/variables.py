"""What the units of a scope agree on without a channel: flags, counts, and how many elements a list has, in attributes of one object."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from leaklint import ir
from leaklint.explore.system import NOTHING, UNKNOWN
from leaklint.graph import Graph
from leaklint.link.flow.state import Load
from leaklint.link.syntax import expressions, in_order, subexpressions, walk
from leaklint.link.values import Container, FunctionId, Instance

MOST_VARIABLES = 5

LENGTHS = {"append": 1, "appendleft": 1, "insert": 1, "pop": -1, "popleft": -1, "remove": -1, "clear": 0}
"""Method of a list → how many elements more or fewer; 0: none are left."""
_LOOKING = frozenset({"copy", "count", "index"})
_READERS = frozenset(
    {"len", "bool", "list", "tuple", "sorted", "sum", "any", "all", "set", "enumerate", "reversed", "print", "repr", "str"}
)
_LISTS = frozenset({"list", "deque"})


@dataclass(frozen=True, slots=True)
class Variable:
    """The attribute `name` of the object `owner`. `is_length`: it holds a list, and counts its elements. `initial`: the value before
    anybody assigns one. `writers`: the functions that change it."""

    owner: int
    name: str
    is_length: bool
    initial: int
    writers: frozenset[FunctionId]


def variables(graph: Graph, below: set[FunctionId], touching: frozenset[FunctionId], is_one: Callable[[int], bool]) -> tuple[Variable, ...]:
    """Those that tests of these functions look at and that only functions `below` change. `is_one`: there is one of an instance."""
    wanted = {(owner, name) for function in touching for owner, name in _tested(graph, function)}
    found = (
        _variable(graph, owner, name, below) for owner, name in sorted(wanted) if graph.program.opened(owner) is None and is_one(owner)
    )
    return tuple([one for one in found if one is not None][:MOST_VARIABLES])


def predicate(graph: Graph, function: FunctionId, test: ir.Expr) -> tuple[FunctionId, ir.Expr] | None:
    """What a lambda, or the call of a function that is but one `return`, looks at."""
    match test:
        case ir.Lambda(function=index):
            inner = function.inner(index)
        case ir.Call(site=site, arguments=()):
            callees = graph.program.state.callees.get(function.site(site), set())
            if len(callees) != 1:
                return None
            (inner,) = callees
        case _:
            return None
    match graph.program.node(inner):
        case ir.Function(is_async=False, is_generator=False, body=(*_, ir.Return(value=value)) as body) if value is not None:
            return (inner, value) if all(isinstance(stmt, ir.Evaluate | ir.Return) for stmt in body) and len(body) <= 2 else None
        case _:
            return None


def is_list(expression: ir.Expr) -> int | None:
    """How many elements a list has where it is made; None: it is none, or unknown."""
    match expression:
        case ir.Display(kind="list", items=items) if not any(isinstance(i, ir.Starred) for i in items):
            return len(items)
        case ir.Call(function=ir.Name(id=name) | ir.Attribute(name=name), arguments=()) if name in _LISTS:
            return 0
        case _:
            return None


OBJECT = -1_000_003
"""The value of a flag that stands for some object, which is true."""


def is_object(expression: ir.Expr | None) -> bool:
    """Whether an expression makes an object, to all appearances."""
    match expression:
        case ir.Call(function=ir.Name(id=name) | ir.Attribute(name=name)):
            return name[:1].isupper()
        case _:
            return False


def constant(expression: ir.Expr | None) -> int | None:
    """The value of a constant, as flags have it."""
    match expression:
        case ir.Constant(kind="none"):
            return NOTHING
        case ir.Constant(kind="bool", text=text):
            return int(text == "True")
        case ir.Constant(kind="int", text=text) if len(text) < 6:
            return int(text.replace("_", ""), 0)
        case _:
            return None


def _tested(graph: Graph, function: FunctionId) -> Iterator[tuple[int, str]]:
    """The attributes that tests of the function look at, each with the one object that has it."""
    program = graph.program
    tests: list[tuple[FunctionId, ir.Expr]] = []
    for stmt in walk(program.node(function).body):
        if isinstance(stmt, ir.Branch | ir.While):
            tests.append((function, stmt.test))
        for part in (p for e in expressions(stmt) for p in subexpressions(e) if isinstance(p, ir.Lambda)):
            tests += [told] if (told := predicate(graph, function, part)) is not None else []
    while tests:
        where, test = tests.pop()
        match test:
            case ir.Operation(operator="not" | "and" | "or", operands=operands):
                tests += [(where, one) for one in operands]
            case ir.Comparison(left=left, rights=rights):
                tests += [(where, one) for one in (left, *rights) if isinstance(one, ir.Attribute | ir.Call)]
            case ir.Call(function=ir.Name(id="len" | "bool"), arguments=(ir.Argument(value=value),)):
                tests.append((where, value))
            case ir.Call():
                tests += [told] if where == function and (told := predicate(graph, where, test)) is not None else []
            case ir.Attribute(base=base, name=name):
                owners = program.denoted(where, base)
                if len(owners) == 1 and isinstance(program.value(owner := min(owners)), Instance):
                    yield owner, name
            case _:
                pass


def _variable(graph: Graph, owner: int, name: str, below: set[FunctionId]) -> Variable | None:
    program = graph.program
    loads = [load for load in graph.loads_of(name) if load.function in program.live and owner in program.state.solver.held(load.base)]
    stores = [load for load in loads if load.value is not None]
    if any(load.function not in below for load in stores):
        return None
    kept = program.holds(program.state.solver.known(("attribute", owner, name)))
    is_length = any(isinstance(program.value(obj), Container) for obj in kept)
    writers = {load.function for load in stores}
    if is_length:
        readers = {load.function for load in loads if load.value is None}
        if not readers <= below or not all(_is_plain(graph, function, owner, name) for function in readers):
            return None
        writers |= {function for function in readers if any(True for _ in _changes(graph, function, owner, name))}
    return Variable(owner, name, is_length, _initial(graph, owner, name, stores), frozenset(writers))


def _changes(graph: Graph, function: FunctionId, owner: int, name: str) -> Iterator[ir.Call]:
    """The calls that change the list."""
    for stmt in walk(graph.program.node(function).body):
        for part in (p for e in expressions(stmt) for p in in_order(e)):
            match part:
                case ir.Call(function=ir.Attribute(base=ir.Attribute(name=held) as one, name=method)) if held == name:
                    if method not in _LOOKING and owner in graph.program.denoted(function, one.base):
                        yield part
                case _:
                    pass


def _is_plain(graph: Graph, function: FunctionId, owner: int, name: str) -> bool:
    """Whether the function only looks at the list, or changes it in ways that are understood: it gives it no other name."""
    seen = understood = 0
    for stmt in walk(graph.program.node(function).body):
        for part in (p for e in expressions(stmt) for p in in_order(e)):
            seen += _is(graph, function, part, owner, name)
            match part:
                case ir.Call(function=ir.Attribute(base=one, name=method)):
                    understood += (method in LENGTHS or method in _LOOKING) and _is(graph, function, one, owner, name)
                case ir.Call(function=ir.Name(id=reader), arguments=arguments) if reader in _READERS:
                    understood += sum(_is(graph, function, argument.value, owner, name) for argument in arguments)
                case ir.Operation(operator="not" | "and" | "or", operands=operands):
                    understood += sum(_is(graph, function, one, owner, name) for one in operands)
                case ir.Comparison(rights=rights):
                    understood += sum(_is(graph, function, one, owner, name) for one in rights)
                case ir.Subscript(base=one, index=index) if not isinstance(stmt, ir.Delete) and not isinstance(index, ir.Slice):
                    understood += _is(graph, function, one, owner, name)
                case ir.Comprehension(clauses=clauses):
                    understood += sum(_is(graph, function, clause.iterable, owner, name) for clause in clauses)
                case _:
                    pass
        match stmt:
            case ir.For(iterable=one) | ir.Branch(test=one) | ir.While(test=one):
                understood += _is(graph, function, one, owner, name)
            case ir.Bind(targets=targets, value=value):
                pairs = list(assigned(targets, value))
                bound = sum(_is(graph, function, target, owner, name) for target, _ in pairs)
                understood += bound
                if bound:  # `ready, self._ready = self._ready, []`: the old one is given away, and a new one takes its place
                    understood += sum(given is not None and _is(graph, function, given, owner, name) for _, given in pairs)
            case _:
                pass
    return seen == understood


def assigned(targets: tuple[ir.Expr, ...], value: ir.Expr) -> Iterator[tuple[ir.Expr, ir.Expr | None]]:
    """Each single target with the expression that it gets, where that is one."""
    for target in targets:
        match target, value:
            case ir.Display(items=inner), ir.Display(items=items) if len(inner) == len(items):
                yield from zip(inner, items, strict=True)
            case ir.Display(items=inner), _:
                yield from ((one, None) for one in inner)
            case _:
                yield target, value


def _is(graph: Graph, function: FunctionId, expression: ir.Expr, owner: int, name: str) -> bool:
    return isinstance(expression, ir.Attribute) and expression.name == name and owner in graph.program.denoted(function, expression.base)


def _initial(graph: Graph, owner: int, name: str, stores: list[Load]) -> int:
    """The default in the class body, where the constructor is given nothing else."""
    program = graph.program
    value, made = program.value(owner), program.state.made_by.get(owner)
    assert isinstance(value, Instance)
    if made is None or (
        made.node is not None and made.node.arguments and not any(program.node(s.function).name == "__init__" for s in stores)
    ):
        return UNKNOWN
    for cls in program.state.names.lineage(value.cls)[0]:
        for stmt in program.state.names.cls(cls).body:
            if isinstance(stmt, ir.Bind) and ir.Name(name) in stmt.targets:
                return _default(stmt.value)
    return UNKNOWN


def _default(value: ir.Expr) -> int:
    match value:
        case ir.Call(function=ir.Name(id="field") | ir.Attribute(name="field"), arguments=(ir.Argument(keyword=word, value=given),)):
            factory = isinstance(given, ir.Name | ir.Attribute) and (given.id if isinstance(given, ir.Name) else given.name) in _LISTS
            return 0 if word == "default_factory" and factory else _known(constant(given)) if word == "default" else UNKNOWN
        case _:
            return _known(constant(value))


def _known(value: int | None) -> int:
    return UNKNOWN if value is None else value
