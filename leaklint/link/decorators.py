"""What the decorators of the language do to a function in a class body."""

from __future__ import annotations

from enum import Enum, auto

from leaklint import ir


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
