"""What the decorators of the language do to a function in a class body."""

from __future__ import annotations

from enum import Enum, auto

from leaklint import ir
from leaklint.link.syntax import expressions, subexpressions, walk


class Binding(Enum):
    """What loading a function from an instance gives."""

    PLAIN = auto()
    PROPERTY = auto()
    STATIC = auto()
    CLASS = auto()


def binding(function: ir.Function) -> Binding:
    """By the last word of its decorators: whatever ends in `property` is read without a call."""
    for decorator in function.decorators:
        word = last_word(decorator)
        if word.endswith("property") or word in ("reify", "setter", "getter"):
            return Binding.PROPERTY
        if word == "staticmethod":
            return Binding.STATIC
        if word == "classmethod":
            return Binding.CLASS
    if function.name in ("__new__", "__init_subclass__", "__class_getitem__"):
        return Binding.CLASS
    return Binding.PLAIN


def is_transparent(summary: ir.Summary, index: int) -> bool:
    """Whether a function is a wrapper that only calls what its decorator was given: nothing else is done with the decorated function or
    its result than to await it, keep it in a name or return it, and nothing with what the decorator made. Such a wrapper stands for the
    one that it wraps."""
    function = summary.functions[index]
    if not function.parent or function.kind != "def":
        return False
    outer = summary.functions[function.parent]
    wrapped = next((p.name for p in outer.parameters if p.kind in ("positional", "any")), None)
    if wrapped is None or not any(s == ir.DefineFunction(index) for s in walk(outer.body)):
        return False
    called = False
    own = {p.name for p in function.parameters}
    while outer.kind != "module":
        own |= {t.id for stmt in outer.body if isinstance(stmt, ir.Bind) for t in stmt.targets if isinstance(t, ir.Name)}
        outer = summary.functions[outer.parent or 0]
    for stmt in walk(function.body):
        if isinstance(stmt, ir.With):
            return False
        for expression in expressions(stmt):
            for part in subexpressions(expression):
                if isinstance(part, ir.Attribute) and isinstance(part.base, ir.Name) and part.base.id in own:
                    return False
                if not isinstance(part, ir.Call):
                    continue
                if part.function == ir.Name(wrapped):
                    called = True
                if any(_mentions(argument.value, wrapped) for argument in part.arguments):
                    return False
    return called


def _mentions(expression: ir.Expr, name: str) -> bool:
    return any(part == ir.Name(name) for part in subexpressions(expression))


def last_word(expression: ir.Expr) -> str:
    match expression:
        case ir.Name(id=name) | ir.Attribute(name=name):
            return name
        case ir.Call(function=function):
            return last_word(function)
        case ir.Subscript(base=base):
            return last_word(base)
        case _:
            return ""
