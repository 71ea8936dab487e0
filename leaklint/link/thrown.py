"""Which exceptions a handler catches, judged by the last words of their names."""

from __future__ import annotations

import builtins
from dataclasses import dataclass

from leaklint import ir


@dataclass(frozen=True, slots=True)
class Thrown:
    """An exception on its way: the last words of its type and of those above it where they are known, or a cancellation."""

    name: str | None = None
    is_cancel: bool = False
    above: frozenset[str] = frozenset()


_CANCELLED = frozenset({"CancelledError", "Cancelled"})
_CATCH_CANCELLED = _CANCELLED | {"BaseException"}


def types_of(expression: ir.Expr | None) -> tuple[str, ...] | None:
    """The last words of the types that an `except` names; `?` for what is no name; None where it names none."""
    match expression:
        case None:
            return None
        case ir.Display(items=items):
            return tuple(_word(item) or "?" for item in items)
        case _:
            return (_word(expression) or "?",)


def _word(expression: ir.Expr) -> str | None:
    match expression:
        case ir.Name(id=name) | ir.Attribute(name=name):
            return name
        case _:
            return None


def thrown_by(exception: ir.Expr | None) -> Thrown:
    """What a `raise` of this expression raises. A name in small letters is a variable and tells nothing."""
    word = _word(exception.function if isinstance(exception, ir.Call) else exception) if exception is not None else None
    if word in _CANCELLED:
        return Thrown(is_cancel=True)
    return Thrown(word if word is not None and word.lstrip("_")[:1].isupper() else None)


def catches(types: tuple[str, ...] | None, thrown: Thrown) -> bool | None:
    """Whether a handler of these types (None: a bare `except`) catches the exception; None: perhaps."""
    if types is None:
        return True
    if thrown.is_cancel:
        return True if _CATCH_CANCELLED & set(types) else None if "?" in types else False
    if thrown.above & set(types):
        return True
    told = {_catches_one(one, thrown.name) for one in types}
    return True if True in told else None if None in told else False


def _catches_one(caught: str, name: str | None) -> bool | None:
    if caught in _CANCELLED:
        return False
    if caught == "BaseException" or caught == name:
        return True
    if name is None:
        return True if caught == "Exception" else None
    outer, inner = _builtin(caught), _builtin(name)
    if inner is not None and outer is not None:
        return True if issubclass(inner, outer) else None if issubclass(outer, inner) else False
    if caught == "Exception":
        return True
    return None


def _builtin(name: str) -> type[BaseException] | None:
    found = getattr(builtins, name, None)
    return found if isinstance(found, type) and issubclass(found, BaseException) else None
