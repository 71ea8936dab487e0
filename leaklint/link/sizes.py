"""What a number is, where it can be read off the program: literals, constants of modules and classes, arguments that all agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from leaklint import ir
from leaklint.link.scopes import walk
from leaklint.link.values import FunctionId

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
            number = whole_number(program, function, one, depth + 1)
            return None if number is None else -number
        case ir.Operation(operator=operator, operands=(left, right)):
            a, b = whole_number(program, function, left, depth + 1), whole_number(program, function, right, depth + 1)
            return None if a is None or b is None else _calculate(operator, a, b)
        case ir.Call(function=ir.Name(id="len"), arguments=(ir.Argument(value=value),)):
            return length(program, function, value, depth + 1)
        case _:
            found = origin(program, function, expression)
            if found is None:
                return None
            where, value = found
            return whole_number(program, where, value, depth + 1)


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
        case ir.Call(function=ir.Name(id="list" | "tuple" | "set" | "sorted" | "enumerate" | "reversed"), arguments=(ir.Argument(value=value), *_)):
            return length(program, function, value, depth + 1)
        case _:
            found = origin(program, function, expression) if depth <= _DEEPEST else None
            return None if found is None else length(program, found[0], found[1], depth + 1)


def origin(program: Program, function: FunctionId, expression: ir.Expr) -> tuple[FunctionId, ir.Expr] | None:
    """The one expression that a name or `self` attribute is bound to, and the function that binds it. None when there are several, or
    when it comes from outside."""
    match expression:
        case ir.Name(id=name):
            return _name_origin(program, function, name)
        case ir.Attribute(base=ir.Name(id="self" | "cls"), name=name):
            return _attribute_origin(program, function, name)
        case _:
            return None


def _name_origin(program: Program, function: FunctionId, name: str) -> tuple[FunctionId, ir.Expr] | None:
    summary = program.modules[function.module].summary
    index: int | None = function.index
    while index is not None:
        node = summary.functions[index]
        here = FunctionId(function.module, index)
        bound = list(_bindings(node.body, name))
        parameter = next((p for p in node.parameters if p.name == name), None)
        if parameter is not None:
            return None if bound else _argument_origin(program, here, parameter)
        if bound:
            return (here, bound[0]) if len(bound) == 1 and bound[0] is not None else None
        index = node.parent
    imported = program.state.names.resolve_global(function.module, name)
    if imported is None:
        return None
    module, original = imported
    bound = list(_bindings(program.modules[module].summary.functions[0].body, original))
    return (FunctionId(module, 0), bound[0]) if len(bound) == 1 and bound[0] is not None else None


def _bindings(body: tuple[ir.Stmt, ...], name: str) -> list[ir.Expr | None]:
    """What the body binds the name to: an expression, or None where it is not a plain assignment."""
    found: list[ir.Expr | None] = []
    for stmt in walk(body):
        match stmt:
            case ir.Bind(targets=targets, value=value):
                for target in targets:
                    match target:
                        case ir.Name(id=one) if one == name:
                            found.append(value)
                        case ir.Display(items=items) if any(isinstance(i, ir.Name) and i.id == name for i in items):
                            found.append(None)
                        case _:
                            pass
            case ir.Augment(target=ir.Name(id=one)) if one == name:
                found.append(None)
            case ir.For(target=ir.Name(id=one)) if one == name:
                found.append(None)
            case _:
                pass
    return found


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
        values |= {name: value for name, value in zip(names[offset:], plain, strict=False)}
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


def _attribute_origin(program: Program, function: FunctionId, name: str) -> tuple[FunctionId, ir.Expr] | None:
    summary = program.modules[function.module].summary
    index: int | None = function.index
    while index is not None and summary.functions[index].owner is None:
        index = summary.functions[index].parent
    if index is None:
        return None
    owner = summary.functions[index].owner
    found: list[tuple[FunctionId, ir.Expr]] = []
    for number, node in enumerate(summary.functions):
        if node.owner != owner:
            continue
        for stmt in walk(node.body):
            match stmt:
                case ir.Bind(targets=targets, value=value) if any(_is_self(t, name) for t in targets):
                    found.append((FunctionId(function.module, number), value))
                case ir.Augment(target=target) if _is_self(target, name):
                    return None
                case _:
                    pass
    if not found and owner is not None:
        for stmt in summary.classes[owner].body:
            match stmt:
                case ir.Bind(targets=(ir.Name(id=one),), value=value) if one == name:
                    found.append((FunctionId(function.module, 0), value))
                case _:
                    pass
    return found[0] if len(found) == 1 else None


def _is_self(target: ir.Expr, name: str) -> bool:
    return isinstance(target, ir.Attribute) and target.name == name and isinstance(target.base, ir.Name) and target.base.id == "self"
