"""What a method does to an object whose type nobody knows, by its name alone."""

from __future__ import annotations

from collections import Counter

from leaklint import ir
from leaklint.catalog.grammar import Models, Operation
from leaklint.link.effects.kinds import AWAITS, CANCELS, CLOSES, JOINS, RELEASES, SENDS_TO, SIGNALS, Mask, on_subject
from leaklint.link.flow.containers import METHODS

BUILTIN = frozenset(name for cls in (str, bytes, list, dict, set, tuple, int, float) for name in dir(cls))
"""Methods of the built-in types: none of them keeps its object."""

TAKES = METHODS - {"pop", "popleft", "popitem", "get", "remove", "discard", "clear", "values", "keys", "items", "copy"}
"""Methods of containers after which these hold what they are given."""

GIVES = METHODS - {"append", "appendleft", "add", "insert", "extend", "extendleft", "update", "remove", "discard", "clear", "__setitem__"}
"""Methods of containers that give elements."""

_AGREED = 0.75
"""Share of the modelled types with an effect under a name that must agree on it."""

_FEWEST = 2
"""Modelled types with that effect, at least: a name of one type alone is no convention."""

_HANDED_OUT = CANCELS | CLOSES | RELEASES | SENDS_TO | SIGNALS
"""Effects for which methods are given away uncalled; `start` and `get` are names of data as well."""


class MethodNames:
    """The modelled methods by name."""

    def __init__(self, models: Models) -> None:
        self._operations: dict[str, list[Operation]] = {}
        for model in models.types.values():
            for name, operation in model.methods.items():
                if not name.startswith("__"):
                    self._operations.setdefault(name, []).append(operation)

    def called(self, name: str, arguments: tuple[ir.Argument, ...], awaited: bool) -> tuple[Mask, Operation] | None:
        """The effect on the object of `object.name(arguments)`, and a model of the arguments; None when the name tells nothing."""
        if name in BUILTIN and not awaited and not _is_ours(name, arguments, self._operations.get(name, [])):
            return None
        fitting = [o for o in self._operations.get(name, ()) if _accepts(o, arguments)]
        if not fitting:
            return None
        if awaited and any(o.is_async for o in fitting):
            fitting = [o for o in fitting if o.is_async]
        found = _agreed(fitting)
        if found is None:
            return None
        effects, operation = found
        if effects & (AWAITS | JOINS):
            effects = AWAITS if awaited else JOINS
        return effects, operation

    def handed_out(self, name: str) -> Mask:
        """The effect of `object.name`, given away uncalled, when it is called at last."""
        if name in BUILTIN or name not in self._operations:
            return 0
        found = _agreed(self._operations[name])
        return found[0] & _HANDED_OUT if found is not None else 0


def _agreed(operations: list[Operation]) -> tuple[Mask, Operation] | None:
    """The effect that the operations have in common; those without any effect do not vote."""
    votes = Counter(bits & ~JOINS | AWAITS if bits & JOINS else bits for o in operations if (bits := on_subject(o)))
    if not votes:
        return 0, operations[0]
    effects, count = votes.most_common(1)[0]
    if count < max(_AGREED * votes.total(), _FEWEST):
        return None
    return effects, next(o for o in operations if on_subject(o) & (effects | (JOINS if effects & AWAITS else 0)))


def _is_ours(name: str, arguments: tuple[ir.Argument, ...], operations: list[Operation]) -> bool:
    """Whether a call of a name that built-in types have too is meant for a modelled one: nothing but what these are given."""
    for position, argument in enumerate(arguments):
        match argument:
            case ir.Argument(keyword=None, star=0, value=ir.Constant(kind="int" | "float" | "bool")):
                if name != "join" and not any(position < len(o.params) and o.unless for o in operations):
                    return False
            case ir.Argument(keyword=None, star=0, value=ir.Name(id=word) | ir.Attribute(name=word)):
                if not any(position < len(o.params) and o.params[position] == word.lstrip("_") for o in operations):
                    return False
            case ir.Argument(keyword=str()):
                pass
            case _:
                return False
    return True


def _accepts(operation: Operation, arguments: tuple[ir.Argument, ...]) -> bool:
    if any(p.startswith("*") for p in operation.params) or any(a.star for a in arguments):
        return True
    named = {*operation.params, *operation.keyword_only}
    positional = sum(a.keyword is None for a in arguments)
    return positional <= len(operation.params) and all(a.keyword is None or a.keyword in named for a in arguments)
