"""What a number is, where it can be read off the program: literals, constants of modules and classes, arguments that all agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leaklint import ir
from leaklint.link.decorators import Binding, binding
from leaklint.link.flow.state import NOTHING
from leaklint.link.syntax import bindings, expressions, subexpressions, walk
from leaklint.link.values import NO_CONTEXT, ClassId, FunctionId, Instance, ModuleValue

if TYPE_CHECKING:
    from leaklint.link.program import Program

_DEEPEST = 6
"""Names followed one after another before a value counts as unknown."""


def whole_number(program: Program, function: FunctionId, expression: ir.Expr, depth: int = 0) -> int | None:
    """The whole number that the expression stands for in this function; None when it is not known."""
    if depth > _DEEPEST:
        return None
    match expression:
        case ir.Constant(kind="int", text=text):
            return int(text.replace("_", ""), 0)
        case ir.Operation(operator="-", operands=(one,)):
            positive = whole_number(program, function, one, depth + 1)
            return None if positive is None else -positive
        case ir.Operation(operator=operator, operands=(first, *rest)) if rest:
            total = whole_number(program, function, first, depth + 1)
            for operand in rest:
                number = whole_number(program, function, operand, depth + 1)
                total = None if total is None or number is None else _calculate(operator, total, number)
            return total
        case ir.Call(function=ir.Name(id="len"), arguments=(ir.Argument(value=value),)):
            return length(program, function, value, depth + 1)
        case _:
            found = origin(program, function, expression)
            if found is None:
                return None
            where, value = found
            return whole_number(program, where, value, depth + 1)


_AS_LONG = frozenset({"list", "tuple", "set", "sorted", "enumerate", "reversed"})
"""Builtins that give as many elements as they are given."""


def _calculate(operator: str, a: int, b: int) -> int | None:
    match operator:
        case "+":
            return a + b
        case "-":
            return a - b
        case "*":
            return a * b
        case "//":
            return a // b if b else None
        case "<<":
            return a << b if 0 <= b < 64 else None
        case "**":
            return a**b if 0 <= b < 64 and abs(a) < 1 << 20 else None
        case _:
            return None


def length(program: Program, function: FunctionId, expression: ir.Expr, depth: int = 0) -> int | None:
    """How many elements a display, a `range` or a name for one has."""
    match expression:
        case ir.Display(items=items):
            return None if any(isinstance(item, ir.Starred) for item in items) else len(items)
        case ir.Mapping(items=pairs):
            return None if any(key is None for key, _ in pairs) else len(pairs)
        case ir.Call(function=ir.Attribute(base=base, name="values" | "items" | "keys"), arguments=()):
            return length(program, function, base, depth + 1)
        case ir.Call(function=ir.Name(id="range"), arguments=(ir.Argument(value=stop),)):
            return whole_number(program, function, stop, depth + 1)
        case ir.Call(function=ir.Name(id="range"), arguments=(ir.Argument(value=start), ir.Argument(value=stop))):
            a, b = whole_number(program, function, start, depth + 1), whole_number(program, function, stop, depth + 1)
            return None if a is None or b is None else max(0, b - a)
        case ir.Call(function=ir.Name(id=name), arguments=(ir.Argument(value=value), *_)) if name in _AS_LONG:
            return length(program, function, value, depth + 1)
        case _:
            found = origin(program, function, expression) if depth <= _DEEPEST else None
            if found is None or _is_filled(program, function, expression, found[1]):
                return None
            return length(program, found[0], found[1], depth + 1)


_RESIZES = frozenset(
    {
        "append", "appendleft", "extend", "extendleft", "insert", "pop", "popleft", "popitem", "remove", "discard", "clear", "add",
        "update", "setdefault",
    }
)  # fmt: skip
"""Methods after which a container has another number of elements."""


def _is_filled(program: Program, function: FunctionId, name: ir.Expr, value: ir.Expr) -> bool:
    """Whether a container is empty where it is made, or gets or loses elements under the same name in the same module."""
    match value:
        case ir.Display(kind="list" | "set", items=()) | ir.Mapping(items=()) | ir.Call(arguments=()):
            return True
        case ir.Display(kind="tuple") | ir.Constant():
            return False
        case _:
            word = name.name if isinstance(name, ir.Attribute) else name.id if isinstance(name, ir.Name) else None
            return word in _resized(program, function.module)


def _resized(program: Program, module: int) -> frozenset[str]:
    """The names and attributes whose containers the module resizes."""
    found: set[str] = set()
    for function in program.modules[module].summary.functions:
        for stmt in walk(function.body):
            for expression in expressions(stmt):
                for part in subexpressions(expression):
                    match part:
                        case ir.Call(function=ir.Attribute(base=ir.Attribute(name=word) | ir.Name(id=word), name=method)):
                            found.update({word} if method in _RESIZES else ())
                        case ir.Subscript(base=ir.Attribute(name=word) | ir.Name(id=word)) if isinstance(stmt, ir.Bind | ir.Delete):
                            found.update({word} if part in stmt.targets else ())
                        case _:
                            pass
    return frozenset(found)


Origin = tuple[FunctionId, ir.Expr]
"""An expression, and the function in which it stands."""


def origin(program: Program, function: FunctionId, expression: ir.Expr) -> Origin | None:
    """The one expression that gives the value of a name, an attribute, a property or a call of a project function. None when there are
    several, or when it comes from outside."""
    match expression:
        case ir.Name(id=name):
            return _name_origin(program, function, name)
        case ir.Attribute(base=base, name=name):
            module = program.state.names.resolve(function.module, base)
            if isinstance(module, ModuleValue):
                return _global_origin(program, module.module, name)
            found = [_attribute_origin(program, cls, context, name) for cls, context in _owners(program, function, base)]
            return found[0] if found and all(one == found[0] for one in found) else None
        case ir.Call(site=site) | ir.Await(value=ir.Call(site=site)):
            callees = program.state.callees.get(function.site(site), set())
            return _returned(program, next(iter(callees))) if len(callees) == 1 else None
        case _:
            return None


def _returned(program: Program, function: FunctionId) -> Origin | None:
    """What a function returns, when it has one `return` with a value."""
    node = program.node(function)
    if node.is_generator:
        return None
    values = [stmt.value for stmt in walk(node.body) if isinstance(stmt, ir.Return) and stmt.value is not None]
    return (function, values[0]) if len(values) == 1 else None


def _owners(program: Program, function: FunctionId, base: ir.Expr) -> list[tuple[ClassId, int]]:
    """The project instances that the expression may give: the class of each, and the context of its methods."""
    own = _owner(program, function)
    match base:
        case ir.Name(id="self" | "cls") if own is not None:
            receiver = program.value(function.context)
            return [(receiver.cls if isinstance(receiver, Instance) else own, function.context)]
        case ir.Name(id=name):
            variable = program.state.solver.known(("local", *function.source, function.context, name))
        case ir.Attribute(base=inner, name=name):
            instances = [context or program.state.instance(cls) for cls, context in _owners(program, function, inner)]
            variables = [program.state.solver.known(("attribute", obj, name)) for obj in instances]
            variable = variables[0] if len(variables) == 1 else NOTHING
        case _:
            return []
    held = ((o, program.value(o)) for o in program.holds(variable))
    return sorted((value.cls, o if value.site is not None else NO_CONTEXT) for o, value in held if isinstance(value, Instance))


def _owner(program: Program, function: FunctionId) -> ClassId | None:
    """The class of the method that the function is, or stands in."""
    functions = program.modules[function.module].summary.functions
    index: int | None = function.index
    while index is not None and functions[index].owner is None:
        index = functions[index].parent
    owner = functions[index].owner if index is not None else None
    return ClassId(function.module, owner) if owner is not None else None


def _name_origin(program: Program, function: FunctionId, name: str) -> Origin | None:
    summary = program.modules[function.module].summary
    index: int | None = function.index
    while index:
        node = summary.functions[index]
        here = function.inner(index)
        bound = bindings(node.body, name)
        parameter = next((p for p in node.parameters if p.name == name), None)
        if parameter is not None:
            return None if bound else _argument_origin(program, here, parameter)
        if bound:
            return _only(here, bound)
        index = node.parent
    return _global_origin(program, function.module, name)


def _global_origin(program: Program, module: int, name: str) -> Origin | None:
    where, original = program.state.names.resolve_global(module, name) or (module, name)
    return _only(FunctionId(where, 0), bindings(program.modules[where].summary.functions[0].body, original))


def _only(function: FunctionId, bound: list[ir.Expr | None]) -> Origin | None:
    return (function, bound[0]) if len(bound) == 1 and bound[0] is not None else None


def _argument_origin(program: Program, function: FunctionId, parameter: ir.Parameter) -> tuple[FunctionId, ir.Expr] | None:
    """What every call in sight gives for a parameter, when they all give the same constant or there is but one."""
    node = program.node(function)
    names = [p.name for p in node.parameters if p.kind in ("positional", "any")]
    offset = 1 if node.owner is not None and names[:1] in (["self"], ["cls"]) else 0
    given: list[tuple[FunctionId, ir.Expr]] = []
    for record in program.calls_of(function):
        if record.node is None or any(a.star for a in record.node.arguments):
            return None
        values = {a.keyword: a.value for a in record.node.arguments if a.keyword is not None}
        plain = [a.value for a in record.node.arguments if a.keyword is None]
        values |= dict(zip(names[offset:], plain, strict=False))
        if parameter.name in values:
            given.append((record.function, values[parameter.name]))
        elif parameter.default is not None:
            given.append((function, parameter.default))
        else:
            return None
    if not given and parameter.default is not None:
        return (function, parameter.default)
    if len(given) == 1 or (given and all(value == given[0][1] and isinstance(value, ir.Constant) for _, value in given)):
        return given[0]
    return None


def _attribute_origin(program: Program, cls: ClassId, context: int, name: str) -> Origin | None:
    """What the methods of the class, its body or the bases bind an attribute to; what a property returns."""
    names = program.state.names
    for one in names.lineage(cls)[0]:
        summary = program.modules[one.module].summary
        found: list[ir.Expr | None] = []
        where = FunctionId(one.module, 0)
        for index, node in enumerate(summary.functions):
            if node.owner != one.index:
                continue
            if node.name == name:
                return _returned(program, FunctionId(one.module, index, context)) if binding(node) is Binding.PROPERTY else None
            for stmt in walk(node.body):
                match stmt:
                    case ir.Bind(targets=targets, value=value) if any(_is_self(t, name) for t in targets):
                        found.append(value)
                        where = FunctionId(one.module, index, context)
                    case ir.Augment(target=target) if _is_self(target, name):
                        found.append(None)
                    case _:
                        pass
        found = found or bindings(summary.classes[one.index].body, name)
        if found:
            return _only(where, found)
    return None


def _is_self(target: ir.Expr, name: str) -> bool:
    return isinstance(target, ir.Attribute) and target.name == name and isinstance(target.base, ir.Name) and target.base.id == "self"
